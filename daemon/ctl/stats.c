/*
 * stats: an answer taken apart, and shown (stats.h).
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/stats.h"
#include "daemon/ctl/text.h"

static void
op_free(void *p)
{
	struct stat_op *op = p;

	hist_done(&op->so_hist);
	g_free(op->so_name);
	g_free(op);
}

static void
key_free(void *p)
{
	struct stat_key *key = p;

	g_free(key->sk_path);
	g_free(key);
}

static void
wait_free(void *p)
{
	struct stat_wait *w = p;

	g_free(w->sw_operation);
	g_free(w->sw_path);
	g_free(w->sw_host);
	g_free(w);
}

static void
read_op(struct stats *st, JsonObject *o)
{
	struct stat_op *op;

	if (!get_str(o, "name"))
		return;
	op = g_new0(struct stat_op, 1);
	op->so_name = g_strdup(get_str(o, "name"));
	op->so_count = get_num(o, "count", 0);
	op->so_errors = get_num(o, "errors", 0);
	op->so_bytes = get_num(o, "bytes", 0);
	op->so_total_us = get_num(o, "total_us", 0);
	op->so_p50_us = get_num(o, "p50_us", 0);
	op->so_p90_us = get_num(o, "p90_us", 0);
	op->so_p99_us = get_num(o, "p99_us", 0);
	op->so_p999_us = get_num(o, "p999_us", 0);
	op->so_max_us = get_num(o, "max_us", 0);
	hist_init(&op->so_hist, get_arr(o, "buckets"));
	g_ptr_array_add(st->st_ops, op);
}

static void
read_key(struct stats *st, JsonObject *o)
{
	struct stat_key *key;

	if (!get_str(o, "path"))
		return;
	key = g_new0(struct stat_key, 1);
	key->sk_path = g_strdup(get_str(o, "path"));
	key->sk_count = get_num(o, "operations", 0);
	key->sk_read = get_num(o, "read_bytes", 0);
	key->sk_written = get_num(o, "written_bytes", 0);
	g_ptr_array_add(st->st_keys, key);
}

static void
read_wait(struct stats *st, JsonObject *o)
{
	struct stat_wait *w;

	if (!o)
		return;
	w = g_new0(struct stat_wait, 1);
	w->sw_operation = g_strdup(get_str(o, "operation"));
	w->sw_path = g_strdup(get_str(o, "path"));
	w->sw_host = g_strdup(get_str(o, "host"));
	w->sw_age_ms = get_num(o, "age_ms", 0);
	w->sw_pid = get_num(o, "pid", 0);
	g_ptr_array_add(st->st_waiting, w);
}

static struct stats *
stats_empty(JsonObject *result)
{
	struct stats *st = g_new0(struct stats, 1);

	st->st_object = json_object_ref(result);
	st->st_uptime_ms = get_num(result, "uptime_ms", 0);
	st->st_limit_ms = get_num(result, "waiting_limit_ms", 0);
	st->st_ops = g_ptr_array_new_with_free_func(op_free);
	st->st_keys = g_ptr_array_new_with_free_func(key_free);
	st->st_waiting = g_ptr_array_new_with_free_func(wait_free);
	return st;
}

struct stats *
stats_new(JsonObject *result)
{
	static const struct {
		const char *name;
		void (*read)(struct stats *, JsonObject *);
	} lists[] = {{"operations", read_op}, {"keys", read_key}, {"waiting", read_wait}};
	struct stats *st = stats_empty(result);

	for (size_t l = 0; l < G_N_ELEMENTS(lists); l++) {
		JsonArray *a = get_arr(result, lists[l].name);

		for (guint i = 0; i < arr_len(a); i++)
			lists[l].read(st, elem_obj(a, i));
	}
	return st;
}

void
stats_free(struct stats *st)
{
	if (!st)
		return;
	g_ptr_array_unref(st->st_ops);
	g_ptr_array_unref(st->st_keys);
	g_ptr_array_unref(st->st_waiting);
	json_object_unref(st->st_object);
	g_free(st);
}

const struct stat_op *
stats_op(const struct stats *st, const char *name)
{
	for (guint i = 0; i < st->st_ops->len; i++) {
		const struct stat_op *op = st->st_ops->pdata[i];

		if (strcmp(op->so_name, name) == 0)
			return op;
	}
	return NULL;
}

/* A counter that has gone back belongs to something that began anew. */
static uint64_t
minus(uint64_t now, uint64_t old)
{
	return now < old ? now : now - old;
}

static struct stat_op *
op_diff(const struct stat_op *now, const struct stat_op *old)
{
	static const struct stat_op nothing;
	struct stat_op *d = g_new0(struct stat_op, 1);
	struct hist none;

	hist_init(&none, NULL);
	const struct stat_op *o = old ? old : &nothing;
	d->so_name = g_strdup(now->so_name);
	d->so_count = minus(now->so_count, o->so_count);
	d->so_errors = minus(now->so_errors, o->so_errors);
	d->so_bytes = minus(now->so_bytes, o->so_bytes);
	d->so_total_us = minus(now->so_total_us, o->so_total_us);
	hist_diff(&d->so_hist, &now->so_hist, old ? &old->so_hist : &none);
	hist_done(&none);
	d->so_p50_us = hist_percentile(&d->so_hist, 0.5);
	d->so_p90_us = hist_percentile(&d->so_hist, 0.9);
	d->so_p99_us = hist_percentile(&d->so_hist, 0.99);
	d->so_p999_us = hist_percentile(&d->so_hist, 0.999);
	d->so_max_us = hist_percentile(&d->so_hist, 1);
	return d;
}

/* There may be a hundred thousand. */
static void
keys_diff(struct stats *d, const struct stats *now, const struct stats *old)
{
	g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < old->st_keys->len; i++) {
		struct stat_key *key = old->st_keys->pdata[i];

		g_hash_table_insert(known, key->sk_path, key);
	}
	for (guint i = 0; i < now->st_keys->len; i++) {
		const struct stat_key *key = now->st_keys->pdata[i];
		const struct stat_key *o = g_hash_table_lookup(known, key->sk_path);
		struct stat_key *k = g_new0(struct stat_key, 1);

		k->sk_path = g_strdup(key->sk_path);
		k->sk_count = minus(key->sk_count, o ? o->sk_count : 0);
		k->sk_read = minus(key->sk_read, o ? o->sk_read : 0);
		k->sk_written = minus(key->sk_written, o ? o->sk_written : 0);
		g_ptr_array_add(d->st_keys, k);
	}
}

struct stats *
stats_diff(const struct stats *now, const struct stats *old)
{
	struct stats *d = stats_empty(now->st_object);

	d->st_uptime_ms = minus(now->st_uptime_ms, old->st_uptime_ms);
	for (guint i = 0; i < now->st_ops->len; i++) {
		const struct stat_op *op = now->st_ops->pdata[i];

		g_ptr_array_add(d->st_ops, op_diff(op, stats_op(old, op->so_name)));
	}
	keys_diff(d, now, old);
	for (guint i = 0; i < now->st_waiting->len; i++) {
		const struct stat_wait *w = now->st_waiting->pdata[i];
		struct stat_wait *copy = g_memdup2(w, sizeof(*w));

		copy->sw_operation = g_strdup(w->sw_operation);
		copy->sw_path = g_strdup(w->sw_path);
		copy->sw_host = g_strdup(w->sw_host);
		g_ptr_array_add(d->st_waiting, copy);
	}
	return d;
}

static char *
decimal(uint64_t n)
{
	return g_strdup_printf("%" PRIu64, n);
}

void
stats_print_waiting(const struct stats *st, GString *out, size_t rows, size_t width)
{
	static const char *const heads[] = {"AGE", "OPERATION", "PID", "PATH", "HOST"};
	struct table *t;

	if (st->st_waiting->len == 0)
		return;
	t = table_new("rlrll", heads);
	for (guint i = 0; i < st->st_waiting->len; i++) {
		const struct stat_wait *w = st->st_waiting->pdata[i];

		table_row(t, text_us(w->sw_age_ms * 1000), text_show(w->sw_operation),
		    w->sw_pid ? decimal(w->sw_pid) : g_strdup("-"), text_show(w->sw_path),
		    text_show(w->sw_host));
	}
	g_string_append_printf(out, "WAITING: %u request%s for longer than %g s\n",
	    st->st_waiting->len, st->st_waiting->len == 1 ? "" : "s",
	    st->st_limit_ms / 1e3);
	table_print(t, out, rows, width);
	table_free(t);
}

static void
print_ops(const struct stats *st, GString *out)
{
	static const char *const heads[] = {"OPERATION", "COUNT", "ERRORS", "MEAN", "P50",
	    "P90", "P99", "P99.9", "MAX", "BYTES"};
	struct table *t = table_new("lrrrrrrrrr", heads);

	for (guint i = 0; i < st->st_ops->len; i++) {
		const struct stat_op *op = st->st_ops->pdata[i];

		if (op->so_count == 0)
			continue;
		table_row(t, text_show(op->so_name), decimal(op->so_count),
		    decimal(op->so_errors), text_us(op->so_total_us / op->so_count),
		    text_us(op->so_p50_us), text_us(op->so_p90_us),
		    text_us(op->so_p99_us), text_us(op->so_p999_us),
		    text_us(op->so_max_us), decimal(op->so_bytes));
	}
	if (table_rows(t))
		table_print(t, out, SIZE_MAX, 0);
	else
		g_string_append(out, "Nothing was asked of the mount so far.\n");
	table_free(t);
}

static void
print_keys(const struct stats *st, GString *out)
{
	static const char *const heads[] = {"KEY", "OPERATIONS", "READ", "WRITTEN"};
	struct table *t = table_new("lrrr", heads);

	for (guint i = 0; i < st->st_keys->len; i++) {
		const struct stat_key *key = st->st_keys->pdata[i];

		table_row(t, text_show(key->sk_path), decimal(key->sk_count),
		    decimal(key->sk_read), decimal(key->sk_written));
	}
	if (table_rows(t)) {
		g_string_append_c(out, '\n');
		table_print(t, out, SIZE_MAX, 0);
	}
	table_free(t);
}

/* "NAME  USED of ALL" where the daemon says so. */
static void
print_of(
    GString *out, const char *label, JsonObject *o, const char *used, const char *all)
{
	g_autofree char *u = text_bytes(get_num(o, used, 0));
	g_autofree char *a = all ? text_bytes(get_num(o, all, 0)) : NULL;

	if (has_num(o, used))
		g_string_append_printf(out, "%-18s %s%s%s\n", label, u,
		    all && has_num(o, all) ? " of " : "",
		    all && has_num(o, all) ? a : "");
}

static void
print_count(
    GString *out, const char *label, JsonObject *o, const char *used, const char *all)
{
	if (!has_num(o, used))
		return;
	g_string_append_printf(out, "%-18s %" PRIu64, label, get_num(o, used, 0));
	if (all && has_num(o, all))
		g_string_append_printf(out, " of %" PRIu64, get_num(o, all, 0));
	g_string_append_c(out, '\n');
}

void
stats_print(const struct stats *st, GString *out)
{
	JsonObject *o = st->st_object, *memory = get_obj(o, "memory"),
		   *host = get_obj(o, "host"), *passed = get_obj(o, "passthrough");
	g_autofree char *uptime = text_uptime(st->st_uptime_ms);

	stats_print_waiting(st, out, SIZE_MAX, 0);
	if (st->st_waiting->len)
		g_string_append_c(out, '\n');
	print_ops(st, out);
	print_keys(st, out);
	g_string_append_printf(out, "\n%-18s %s\n", "up", uptime);
	if (get_str(o, "transport"))
		g_string_append_printf(out, "%-18s %s, threads: at most %" PRIu64 "\n",
		    "requests by", get_str(o, "transport"), get_num(o, "threads", 0));
	print_count(out, "nodes known", o, "nodes", NULL);
	print_count(out, "open files", o, "open_files", NULL);
	print_of(out, "in-memory bytes", memory, "size_used", "size");
	print_count(out, "in-memory inodes", memory, "inodes_used", "inodes");
	print_of(out, "daemon's memory", o, "rss_bytes", NULL);
	print_count(out, "host files known", host, "known", NULL);
	print_count(out, "host descriptors", host, "descriptors", "descriptors_max");
	print_count(out, "host watches", host, "watches", NULL);
	print_count(out, "host events", host, "events", NULL);
	print_count(out, "passthrough opens", passed, "opens", NULL);
	print_count(out, "… refused", passed, "refused", NULL);
	if (st->st_limit_ms == 0)
		g_string_append_printf(out, "%-18s not looked for\n", "requests waiting");
	else if (st->st_waiting->len == 0)
		g_string_append_printf(out, "%-18s none for longer than %g s\n",
		    "requests waiting", st->st_limit_ms / 1e3);
}

int
cmd_stats(const struct ctl *o, struct peer *p)
{
	JsonObject *request = request_new("stats");
	struct answer a;
	struct stats *st;
	GString *out;
	int rc;

	/* The tables have the percentiles; a machine gets all there is. */
	if (!o->o_json && !o->o_openmetrics)
		json_object_set_boolean_member(request, "buckets", FALSE);
	rc = ask(o, p, request, soon(o), &a);
	if (rc)
		return rc;
	if (o->o_json) {
		rc = output_json(a.a_result);
	} else {
		out = g_string_new(NULL);
		st = stats_new(a.a_result);
		if (o->o_openmetrics)
			stats_openmetrics(st, peer_hello(p), out);
		else
			stats_print(st, out);
		stats_free(st);
		rc = output(out);
	}
	answer_done(&a);
	return rc;
}
