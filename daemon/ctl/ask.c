/*
 * What all commands do: ask, and say what came of it (ctl.h).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/text.h"

/* syslog's, in the protocol. */
#define PRIORITY_ERROR   3
#define PRIORITY_WARNING 4
#define PRIORITY_INFO    6

void
complain(const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "rumpfusectl: %s\n", text);
}

int
output(GString *text)
{
	bool bad = fwrite(text->str, 1, text->len, stdout) != text->len;
	int err;

	bad |= fflush(stdout) != 0;
	err = errno;
	g_string_free(text, TRUE);
	if (!bad)
		return CTL_OK;
	complain("the result cannot be written: %s", g_strerror(err));
	return CTL_OUTPUT;
}

int
output_json(JsonObject *result)
{
	g_autoptr(JsonNode) node = json_of(result);
	g_autofree char *text = json_text(node, isatty(STDOUT_FILENO));
	GString *out = g_string_new(text);

	g_string_append_c(out, '\n');
	return output(out);
}

double
soon(const struct ctl *o)
{
	return o->o_timeout > 0 ? o->o_timeout : PEER_SECONDS;
}

double
patient(const struct ctl *o)
{
	return o->o_timeout;
}

/* A line of how far it is, which the next one takes the place of. */
static bool progress_shown, progress_noted;

static void
progress_show(JsonObject *pg)
{
	g_autofree char *what = text_show(get_str(pg, "what"));
	g_autofree char *unit = text_show(get_str(pg, "unit"));
	uint64_t done = get_num(pg, "done", 0), total = get_num(pg, "total", 0);
	bool bytes = strcmp(unit, "bytes") == 0;
	g_autofree char *d = bytes ? text_about(done) : text_size(done);
	g_autofree char *t = bytes ? text_about(total) : text_size(total);

	progress_shown = true;
	if (total)
		fprintf(stderr, "\r\033[K%s: %s of %s %s, %d %%", what, d, t, unit,
		    (int)(100.0 * MIN(done, total) / total));
	else
		fprintf(stderr, "\r\033[K%s: %s %s", what, d, unit);
}

/* Where nobody watches: only that it waits for the host, and once. */
static void
progress_note(JsonObject *pg)
{
	g_autofree char *what = text_show(get_str(pg, "what"));

	if (!progress_noted && g_str_has_prefix(what, "waiting for "))
		complain("%s", what);
	progress_noted = g_str_has_prefix(what, "waiting for ");
}

static void
progress_clear(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

/* What was logged, as far as it says more than the answer: of a refusal the rest of the
 * reasons, of a success what somebody ought to know. */
static void
show_log(const struct answer *a)
{
	for (guint i = 0; i < arr_len(a->a_log); i++) {
		JsonObject *line = elem_obj(a->a_log, i);
		const char *text = get_str(line, "text");
		g_autofree char *safe = text_show(text);
		bool more =
		    a->a_ok ? get_num(line, "priority", PRIORITY_INFO) <= PRIORITY_WARNING
			    : g_strcmp0(text, a->a_text) != 0;

		if (text && more)
			fprintf(stderr, "%s\n", safe);
	}
}

/* What a refusal comes from: the first error that was logged, or what the answer says. */
static const char *
reason(const struct answer *a)
{
	for (guint i = 0; i < arr_len(a->a_log); i++) {
		JsonObject *line = elem_obj(a->a_log, i);
		const char *text = get_str(line, "text");

		if (text && get_num(line, "priority", PRIORITY_INFO) <= PRIORITY_ERROR)
			return text;
	}
	return a->a_text;
}

/* With --json a refusal is an object as well: what the daemon said, without its frame. */
static void
refusal_json(const struct answer *a)
{
	JsonObject *line = json_node_get_object(a->a_root);
	g_autoptr(JsonObject) o = json_object_new();

	json_object_set_member(
	    o, "error", json_node_ref(json_object_get_member(line, "error")));
	if (a->a_log)
		json_object_set_member(
		    o, "log", json_node_ref(json_object_get_member(line, "log")));
	output_json(o);
}

int
ask(const struct ctl *o, struct peer *p, JsonObject *request, double seconds,
    struct answer *ret)
{
	g_autofree char *op = g_strdup(get_str(request, "op"));
	g_autoptr(GString) why = g_string_new(NULL);
	int rc = peer_ask(p, request, seconds,
	    isatty(STDERR_FILENO) ? progress_show : progress_note, ret, why);

	progress_clear();
	if (rc) {
		complain("%s", why->str);
		return rc;
	}
	if (!o->o_quiet)
		show_log(ret);
	if (ret->a_ok)
		return CTL_OK;
	g_autofree char *text = text_show(o->o_quiet ? reason(ret) : ret->a_text);
	g_autofree char *code = text_show(ret->a_code);
	if (o->o_quiet)
		complain("%s: %s", op, text);
	else if (ret->a_code[0] && strcmp(code, text) != 0)
		complain("%s: %s (%s)", op, text, code);
	else
		complain("%s: %s", op, text);
	if (o->o_json)
		refusal_json(ret);
	answer_done(ret);
	return CTL_REFUSED;
}
