/*
 * What changes the namespace: add, remove, reload.
 */
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/text.h"

/* The daemon has done it: what it did, unless a machine asks. */
static int
done(const struct ctl *o, struct answer *a, GString *said)
{
	int rc;

	if (o->o_json) {
		g_string_free(said, TRUE);
		rc = output_json(a->a_result);
	} else {
		rc = output(said);
	}
	answer_done(a);
	return rc;
}

/* KEY=HOST,… with a HOST that is relative to where we are; the daemon is somewhere else.  A
 * text of another form is left to it to complain about. */
static char *
absolute_key(const char *text)
{
	const char *host = strchr(text, '=');
	g_autofree char *cwd = NULL;
	GString *out;

	if (!host || host[1] == '/' || host[1] == '\0' || host[1] == ',')
		return g_strdup(text);
	cwd = g_get_current_dir();
	out = g_string_new_len(text, host + 1 - text);
	for (const char *c = cwd; *c; c++) {
		/* As KEY=HOST has them. */
		if (*c == ',' || *c == '\\')
			g_string_append_c(out, '\\');
		g_string_append_c(out, *c);
	}
	g_string_append_printf(out, "/%s", host + 1);
	return g_string_free(out, FALSE);
}

int
cmd_add(const struct ctl *o, struct peer *p)
{
	JsonObject *request = request_new("add");
	g_autofree char *key = absolute_key(o->o_args[0]);
	struct answer a;
	int rc;

	json_object_set_string_member(request, "key", key);
	rc = ask(o, p, request, patient(o), &a);
	return rc ? rc : done(o, &a, g_string_new(NULL));
}

int
cmd_remove(const struct ctl *o, struct peer *p)
{
	JsonObject *request = request_new("remove");
	struct answer a;
	int rc;

	json_object_set_string_member(request, "key", o->o_args[0]);
	rc = ask(o, p, request, patient(o), &a);
	return rc ? rc : done(o, &a, g_string_new(NULL));
}

static void
print_plan(JsonObject *result, GString *out)
{
	uint64_t left_out = get_num(result, "plan_left_out", 0);
	JsonArray *plan = get_arr(result, "plan");
	uint64_t later = get_num(result, "later", 0);

	for (guint i = 0; i < arr_len(plan); i++) {
		JsonNode *n = json_array_get_element(plan, i);

		if (JSON_NODE_HOLDS_VALUE(n) &&
		    json_node_get_value_type(n) == G_TYPE_STRING) {
			g_autofree char *line = text_show(json_node_get_string(n));

			g_string_append_printf(out, "%s\n", line);
		}
	}
	if (left_out)
		g_string_append_printf(
		    out, "... and %" G_GUINT64_FORMAT " more\n", left_out);
	g_string_append_printf(out,
	    "%" G_GUINT64_FORMAT " added, %" G_GUINT64_FORMAT
	    " removed, %" G_GUINT64_FORMAT " changed",
	    get_num(result, "added", 0), get_num(result, "removed", 0),
	    get_num(result, "changed", 0));
	if (later)
		g_string_append_printf(
		    out, ", %" G_GUINT64_FORMAT " at the next mount", later);
	g_string_append_c(out, '\n');
}

int
cmd_reload(const struct ctl *o, struct peer *p)
{
	struct answer a;
	GString *out;
	int rc = ask(o, p, request_new("reload"), patient(o), &a);

	if (rc)
		return rc;
	out = g_string_new(NULL);
	if (!o->o_quiet)
		print_plan(a.a_result, out);
	return done(o, &a, out);
}
