/*
 * list, and the daemons that run (rumpfusectl mounts).
 */
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/text.h"

/* What has no size, begins nowhere. */
static char *
size_cell(JsonObject *e, const char *name)
{
	return has_num(e, "size") && has_num(e, name) ? text_size(get_num(e, name, 0))
	                                              : g_strdup("-");
}

/* Where its bytes come from, and what one would wonder about. */
static char *
host_cell(JsonObject *e)
{
	g_autofree char *host = text_show(get_str(e, "host"));
	const char *device = get_str(e, "device");
	g_autofree char *dev = device ? text_show(device) : NULL;

	return g_strconcat(dev ? dev : host, dev ? " (in this mount)" : "",
	    get_bool(e, "missing") == 1 ? " (missing)" : "",
	    get_bool(e, "hidden") == 1 ? " (hidden)" : "", NULL);
}

static void
print_paths(JsonArray *entries, GString *out)
{
	for (guint i = 0; i < arr_len(entries); i++) {
		const char *path = get_str(elem_obj(entries, i), "path");
		g_autofree char *safe = text_show(path);

		if (path)
			g_string_append_printf(out, "%s\n", safe);
	}
}

static void
print_entries(JsonArray *entries, GString *out)
{
	static const char *const heads[] = {
	    "PATH", "KIND", "TYPE", "ACCESS", "BEGIN", "SIZE", "ORIGIN", "HOST"};
	struct table *t = table_new("llllrrll", heads);

	for (guint i = 0; i < arr_len(entries); i++) {
		JsonObject *e = elem_obj(entries, i);

		table_row(t, text_show(get_str(e, "path")), text_show(get_str(e, "kind")),
		    text_show(get_str(e, "type")), text_show(get_str(e, "access")),
		    size_cell(e, "begin"), size_cell(e, "size"),
		    text_show(get_str(e, "origin")), host_cell(e));
	}
	table_print(t, out, SIZE_MAX, 0);
	table_free(t);
}

int
cmd_list(const struct ctl *o, struct peer *p)
{
	struct answer a;
	GString *out;
	int rc = ask(o, p, request_new("list"), soon(o), &a);

	if (rc)
		return rc;
	if (o->o_json) {
		rc = output_json(a.a_result);
	} else {
		out = g_string_new(NULL);
		(o->o_paths ? print_paths : print_entries)(
		    get_arr(a.a_result, "entries"), out);
		rc = output(out);
	}
	answer_done(&a);
	return rc;
}

/* What a daemon says of itself; NULL if it does not say it in time. */
static JsonObject *
introduce(const struct ctl *o, const char *socket)
{
	g_autoptr(GString) why = g_string_new(NULL);
	JsonObject *request = request_new("stats"), *ret = NULL;
	struct answer a;
	struct peer p;

	/* One of many; who asks waits for all of them. */
	peer_init(&p, o->o_timeout > 0 ? o->o_timeout : 2);
	json_object_set_boolean_member(request, "buckets", FALSE);
	peer_find(&p, NULL, socket, why);
	if (peer_dial(&p, why) != CTL_OK) {
		json_object_unref(request);
		if (p.p_conn.c_fd >= 0 || strstr(why->str, "stopped"))
			complain("%s", why->str);
		peer_done(&p);
		return NULL;
	}
	ret = json_object_ref(peer_hello(&p));
	if (peer_ask(&p, request, p.p_seconds, NULL, &a, why) == CTL_OK) {
		if (a.a_ok)
			json_object_set_int_member(
			    ret, "uptime_ms", get_num(a.a_result, "uptime_ms", 0));
		answer_done(&a);
	}
	peer_done(&p);
	return ret;
}

/* MAJOR:MINOR */
static bool
socket_name(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n && s[n] == ':' && s[n + 1] &&
	       s[n + 1 + strspn(s + n + 1, "0123456789")] == '\0';
}

static void
introduce_all(const struct ctl *o, const char *dir, JsonArray *list)
{
	g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);

	for (const char *name; d && (name = g_dir_read_name(d));) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		JsonObject *one = socket_name(name) ? introduce(o, path) : NULL;

		if (one) {
			json_object_set_string_member(one, "socket", path);
			json_array_add_object_element(list, one);
		}
	}
}

static void
print_mounts(JsonArray *list, GString *out)
{
	static const char *const heads[] = {
	    "MOUNTPOINT", "SOURCE", "ACCESS", "PID", "UPTIME"};
	struct table *t = table_new("lllrr", heads);

	for (guint i = 0; i < arr_len(list); i++) {
		JsonObject *h = elem_obj(list, i);

		table_row(t, text_show(get_str(h, "mountpoint")),
		    text_show(get_str(h, "source")), text_show(get_str(h, "access")),
		    g_strdup_printf("%" G_GUINT64_FORMAT, get_num(h, "pid", 0)),
		    has_num(h, "uptime_ms") ? text_uptime(get_num(h, "uptime_ms", 0))
					    : g_strdup("-"));
	}
	table_print(t, out, SIZE_MAX, 0);
	table_free(t);
}

int
cmd_mounts(const struct ctl *o, struct peer *p)
{
	g_autoptr(JsonObject) result = json_object_new();
	JsonArray *list = json_array_new();
	g_auto(GStrv) dirs = socket_dirs();
	GString *out;

	(void)p;
	for (char **d = dirs; *d; d++)
		introduce_all(o, *d, list);
	json_object_set_array_member(result, "mounts", list);
	if (o->o_json)
		return output_json(result);
	out = g_string_new(NULL);
	print_mounts(list, out);
	return output(out);
}
