/*
 * explain: what a path is, in words.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/text.h"

static void
label(GString *out, const char *name, const char *text)
{
	g_string_append_printf(out, "  %-12s %s\n", name, text);
}

static const char *
kind_words(const char *kind)
{
	static const struct {
		const char *kind, *words;
	} table[] = {
	    {"memory", "in memory"},
	    {"key", "below a key: the host's"},
	    {"image", "in an image"},
	    {"node", "declared, in memory"},
	    {"whiteout", "a whiteout: hides a name of the host"},
	    {"missing", "a key whose host object is not there"},
	    {"none", "nothing that the mount has"},
	};

	for (size_t i = 0; kind && i < G_N_ELEMENTS(table); i++)
		if (strcmp(kind, table[i].kind) == 0)
			return table[i].words;
	return NULL;
}

static void
say_kind(JsonObject *r, GString *out)
{
	const char *kind = get_str(r, "kind"), *type = get_str(r, "type");
	bool itself = kind && strcmp(kind, "key") == 0 &&
	              g_strcmp0(get_str(r, "path"), get_str(r, "covered_by")) == 0;
	const char *words = itself ? "a key: the host's" : kind_words(kind);
	g_autofree char *k = text_show(kind), *t = text_show(type);
	g_autofree char *text = g_strdup_printf(
	    "%s%s%s", words ? words : k, type ? ", type " : "", type ? t : "");

	label(out, "is", text);
}

static void
say_host(JsonObject *r, GString *out)
{
	static const char *const names[] = {"host", "device"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		const char *path = get_str(r, names[i]);
		g_autofree char *text = text_show(path);

		if (path)
			label(out, names[i], text);
	}
}

static void
say_range(JsonObject *r, GString *out)
{
	uint64_t begin = get_num(r, "begin", 0), size = get_num(r, "size", 0);
	g_autofree char *n = text_bytes(size);
	g_autofree char *text = NULL;

	if (!has_num(r, "size"))
		return;
	if (has_num(r, "begin")) {
		g_autofree char *at = text_bytes(begin);

		text = g_strdup_printf("begins at byte %s, %s bytes of it", at, n);
	} else {
		text = g_strdup_printf("%s bytes", n);
	}
	label(out, has_num(r, "begin") ? "range" : "size", text);
}

/* Milliseconds, null for until they change. */
static char *
cached(JsonObject *r, const char *name)
{
	if (!has_num(r, name))
		return g_strdup("until they change");
	if (get_num(r, name, 0) == 0)
		return g_strdup("not at all");
	return g_strdup_printf("for %g s", get_num(r, name, 0) / 1e3);
}

static void
say_caching(JsonObject *r, GString *out)
{
	g_autofree char *names = cached(r, "names_cached_ms");
	g_autofree char *attributes = cached(r, "attributes_cached_ms");
	g_autofree char *contents = text_show(get_str(r, "contents_cached"));
	g_autofree char *text = g_strdup_printf(
	    "names %s, attributes %s, contents: %s", names, attributes, contents);

	label(out, "kernel keeps", text);
	/* In memory nothing changes but through the mount. */
	if (get_str(r, "host") && get_bool(r, "watched") >= 0)
		label(out, "watched",
		    get_bool(r, "watched")
			? "yes: what the host changes is seen at once"
			: "no: what the host changes is seen when that time is over");
	if (get_bool(r, "passthrough") >= 0)
		label(out, "passthrough", get_bool(r, "passthrough") ? "yes" : "no");
}

static void
say_exists(JsonObject *r, GString *out)
{
	static const char *const words[] = {"only the host knows", "no", "yes"};

	if (json_object_has_member(r, "exists"))
		label(out, "exists", words[get_bool(r, "exists") + 1]);
}

static void
say_origin(JsonObject *r, GString *out)
{
	const char *section = get_str(r, "section"), *origin = get_str(r, "origin");
	g_autofree char *s = text_show(section), *o = text_show(origin);
	g_autofree char *text = g_strdup_printf(
	    "%s%s%s", section ? s : "", section && origin ? ", " : "", origin ? o : "");

	if (section || origin)
		label(out, "declared by", text);
}

static void
print_result(JsonObject *r, GString *out)
{
	const char *access = get_str(r, "access"), *by = get_str(r, "covered_by");
	g_autofree char *path = text_show(get_str(r, "path")), *ruler = text_show(by);
	JsonArray *notes = get_arr(r, "notes");

	g_string_append_printf(out, "%s\n", path);
	say_kind(r, out);
	say_exists(r, out);
	if (by)
		label(out, "ruled by", ruler);
	say_origin(r, out);
	say_host(r, out);
	say_range(r, out);
	if (json_object_has_member(r, "access"))
		label(out, "access",
		    !access                     ? "-"
		    : strcmp(access, "ro") == 0 ? "read only"
						: "read and write");
	say_caching(r, out);
	for (guint i = 0; i < arr_len(notes); i++) {
		JsonNode *n = json_array_get_element(notes, i);

		if (JSON_NODE_HOLDS_VALUE(n) &&
		    json_node_get_value_type(n) == G_TYPE_STRING) {
			g_autofree char *note = text_show(json_node_get_string(n));

			label(out, "note", note);
		}
	}
}

static int
explain_one(const struct ctl *o, struct peer *p, const char *path, bool first)
{
	JsonObject *request = request_new("explain");
	struct answer a;
	GString *out;
	int rc;

	json_object_set_string_member(request, "path", path);
	rc = ask(o, p, request, soon(o), &a);
	if (rc)
		return rc;
	if (o->o_json) {
		rc = output_json(a.a_result);
	} else {
		out = g_string_new(first ? NULL : "\n");
		print_result(a.a_result, out);
		rc = output(out);
	}
	answer_done(&a);
	return rc;
}

int
cmd_explain(const struct ctl *o, struct peer *p)
{
	g_autofree char *cwd = g_get_current_dir();
	g_autofree char *typed = NULL;
	int worst = CTL_OK;

	if (o->o_mountpoint) {
		g_autofree char *absolute = path_absolute(o->o_mountpoint, cwd);

		typed = path_clean(absolute);
	}
	/* One that is refused does not keep the others from being told. */
	for (int i = 0; i < o->o_nargs && worst <= CTL_REFUSED; i++) {
		g_autofree char *path =
		    path_in_mount(p->p_point, typed, o->o_args[i], cwd);

		int rc = explain_one(o, p, path, i == 0);

		worst = MAX(worst, rc);
	}
	return worst;
}
