/*
 * stats --openmetrics (stats.h).
 *
 * The text is OpenMetrics 1.0, and also what the Prometheus text format allows: that has no
 * info, unknown or stateset types, so there are none, and takes the rest for comments.  A
 * family's samples stand together, as both ask for; every one has the mount point, so that
 * the texts of several mounts can lie in one directory.
 *
 * The bounds of the histograms are the same for ever, for those who compare two texts:
 * powers of four, which the daemon's own finer ones are divided by.  What lies in a finer
 * bucket that one of these bounds cuts counts as above it.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/stats.h"

/* Microseconds, from 1 µs to 67 s. */
#define BOUND_FIRST 1u
#define BOUND_LAST  (UINT64_C(1) << 26)

char *
metrics_escape(const char *s)
{
	g_autofree char *valid = g_utf8_make_valid(s ? s : "", -1);
	GString *out = g_string_new(NULL);

	for (const char *c = valid; *c; c++) {
		if (*c == '\n')
			g_string_append(out, "\\n");
		else if (*c == '"' || *c == '\\')
			g_string_append_printf(out, "\\%c", *c);
		else
			g_string_append_c(out, *c);
	}
	return g_string_free(out, FALSE);
}

struct metrics {
	GString *mx_out;
	char *mx_mount; /* the label that all samples have, with its name */
};

static void
family(struct metrics *mx, const char *name, const char *type, const char *unit,
    const char *help)
{
	g_string_append_printf(mx->mx_out, "# TYPE rumpfuse_%s %s\n", name, type);
	if (unit)
		g_string_append_printf(mx->mx_out, "# UNIT rumpfuse_%s %s\n", name, unit);
	g_string_append_printf(mx->mx_out, "# HELP rumpfuse_%s %s\n", name, help);
}

/* NAME{mountpoint="…",LABEL="VALUE"} and a blank; label may be NULL. */
static void
sample(struct metrics *mx, const char *name, const char *label, const char *value)
{
	g_string_append_printf(mx->mx_out, "rumpfuse_%s{%s", name, mx->mx_mount);
	if (label) {
		g_autofree char *safe = metrics_escape(value);

		g_string_append_printf(mx->mx_out, ",%s=\"%s\"", label, safe);
	}
	g_string_append(mx->mx_out, "} ");
}

static void
whole(struct metrics *mx, uint64_t n)
{
	g_string_append_printf(mx->mx_out, "%" PRIu64 "\n", n);
}

/* Millionths as a decimal fraction, without an exponent or a locale's comma. */
static void
append_seconds(GString *out, uint64_t us)
{
	g_string_append_printf(
	    out, "%" PRIu64 ".%06u", us / 1000000, (unsigned)(us % 1000000));
	while (out->str[out->len - 1] == '0' && out->str[out->len - 2] != '.')
		g_string_truncate(out, out->len - 1);
}

static void
seconds(struct metrics *mx, uint64_t us)
{
	append_seconds(mx->mx_out, us);
	g_string_append_c(mx->mx_out, '\n');
}

static void
put_daemon(struct metrics *mx, const struct stats *st, JsonObject *hello)
{
	static const char *const labels[] = {"source", "version", "access", "device"};

	family(mx, "daemon", "gauge", NULL,
	    "Always 1; its labels say who serves the mount.");
	g_string_append_printf(mx->mx_out, "rumpfuse_daemon{%s", mx->mx_mount);
	for (size_t i = 0; i < G_N_ELEMENTS(labels); i++) {
		g_autofree char *safe = metrics_escape(get_str(hello, labels[i]));

		g_string_append_printf(mx->mx_out, ",%s=\"%s\"", labels[i], safe);
	}
	g_string_append(mx->mx_out, "} 1\n");
	family(mx, "uptime_seconds", "gauge", "seconds",
	    "Time since the daemon was started.");
	sample(mx, "uptime_seconds", NULL, NULL);
	seconds(mx, st->st_uptime_ms * 1000);
}

static void
put_histogram(struct metrics *mx, const struct stat_op *op)
{
	g_autofree char *name = metrics_escape(op->so_name);
	const struct hist *h = &op->so_hist;

	for (uint64_t us = BOUND_FIRST; us <= BOUND_LAST; us *= 4) {
		g_string_append_printf(mx->mx_out,
		    "rumpfuse_operation_duration_seconds_bucket{%s,operation=\"%s\",le=\"",
		    mx->mx_mount, name);
		append_seconds(mx->mx_out, us);
		g_string_append_printf(
		    mx->mx_out, "\"} %" PRIu64 "\n", hist_below(h, us));
	}
	/* The count is the sum of the buckets: counted in the same moment. */
	g_string_append_printf(mx->mx_out,
	    "rumpfuse_operation_duration_seconds_bucket{%s,operation=\"%s\",le=\"+Inf\"} %" PRIu64
	    "\n",
	    mx->mx_mount, name, h->h_count);
	sample(mx, "operation_duration_seconds_sum", "operation", op->so_name);
	seconds(mx, op->so_total_us);
	sample(mx, "operation_duration_seconds_count", "operation", op->so_name);
	whole(mx, h->h_count);
}

static void
put_operations(struct metrics *mx, const struct stats *st)
{
	family(mx, "operation_duration_seconds", "histogram", "seconds",
	    "How long requests of the kernel took.");
	for (guint i = 0; i < st->st_ops->len; i++)
		put_histogram(mx, st->st_ops->pdata[i]);
	family(mx, "operation_errors", "counter", NULL,
	    "Requests that were answered with an error.");
	for (guint i = 0; i < st->st_ops->len; i++) {
		const struct stat_op *op = st->st_ops->pdata[i];

		sample(mx, "operation_errors_total", "operation", op->so_name);
		whole(mx, op->so_errors);
	}
	family(mx, "operation_bytes", "counter", "bytes", "Contents read and written.");
	for (guint i = 0; i < st->st_ops->len; i++) {
		const struct stat_op *op = st->st_ops->pdata[i];

		sample(mx, "operation_bytes_total", "operation", op->so_name);
		whole(mx, op->so_bytes);
	}
}

static void
put_keys(struct metrics *mx, const struct stats *st)
{
	static const struct {
		const char *family, *unit, *sample, *help;
		size_t offset;
	} rows[] = {
	    {"key_operations", NULL, "key_operations_total", "Requests below a key.",
		offsetof(struct stat_key, sk_count)},
	    {"key_read_bytes", "bytes", "key_read_bytes_total",
		"Contents read below a key.", offsetof(struct stat_key, sk_read)},
	    {"key_written_bytes", "bytes", "key_written_bytes_total",
		"Contents written below a key.", offsetof(struct stat_key, sk_written)},
	};

	for (size_t r = 0; r < G_N_ELEMENTS(rows) && st->st_keys->len; r++) {
		family(mx, rows[r].family, "counter", rows[r].unit, rows[r].help);
		for (guint i = 0; i < st->st_keys->len; i++) {
			const struct stat_key *key = st->st_keys->pdata[i];

			sample(mx, rows[r].sample, "key", key->sk_path);
			whole(
			    mx, *(const uint64_t *)((const char *)key + rows[r].offset));
		}
	}
}

static void
put_numbers(struct metrics *mx, const struct stats *st)
{
	static const struct {
		const char *object, *member, *name, *unit, *help;
		bool counter;
	} rows[] = {
	    {NULL, "nodes", "nodes", NULL, "Files that the kernel knows."},
	    {NULL, "open_files", "open_files", NULL, "Files that are open."},
	    {NULL, "rss_bytes", "resident_memory_bytes", "bytes",
		"Memory of the daemon."},
	    {"memory", "size", "memory_size_bytes", "bytes",
		"What the in-memory tree may hold."},
	    {"memory", "size_used", "memory_used_bytes", "bytes",
		"What the in-memory tree holds."},
	    {"memory", "inodes", "memory_inodes", NULL,
		"Files that the in-memory tree may have."},
	    {"memory", "inodes_used", "memory_inodes_used", NULL,
		"Files that the in-memory tree has."},
	    {"host", "known", "host_files", NULL, "Host files that are known."},
	    {"host", "descriptors", "host_descriptors", NULL,
		"Descriptors of host files that are open."},
	    {"host", "descriptors_max", "host_descriptors_max", NULL,
		"Descriptors that may be open."},
	    {"host", "watches", "host_watches", NULL,
		"Host directories that are watched."},
	    {"host", "events", "host_events", NULL, "Changes that the host has told of.",
		true},
	    {"passthrough", "opens", "passthrough_opens", NULL,
		"Opens of files that the kernel uses without the daemon.", true},
	    {"passthrough", "refused", "passthrough_refused", NULL,
		"Files that were offered to the kernel and not taken.", true},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		JsonObject *o = rows[i].object ? get_obj(st->st_object, rows[i].object)
		                               : st->st_object;
		g_autofree char *name =
		    g_strconcat(rows[i].name, rows[i].counter ? "_total" : "", NULL);

		if (!has_num(o, rows[i].member))
			continue;
		family(mx, rows[i].name, rows[i].counter ? "counter" : "gauge",
		    rows[i].unit, rows[i].help);
		sample(mx, name, NULL, NULL);
		whole(mx, get_num(o, rows[i].member, 0));
	}
}

static void
put_waiting(struct metrics *mx, const struct stats *st)
{
	uint64_t oldest = 0;

	for (guint i = 0; i < st->st_waiting->len; i++) {
		const struct stat_wait *w = st->st_waiting->pdata[i];

		oldest = MAX(oldest, w->sw_age_ms);
	}
	family(mx, "waiting_requests", "gauge", NULL,
	    "Requests that have waited for longer than the limit.");
	sample(mx, "waiting_requests", NULL, NULL);
	whole(mx, st->st_waiting->len);
	family(mx, "waiting_oldest_seconds", "gauge", "seconds",
	    "How long the oldest of those has waited.");
	sample(mx, "waiting_oldest_seconds", NULL, NULL);
	seconds(mx, oldest * 1000);
	family(mx, "waiting_limit_seconds", "gauge", "seconds", "That limit.");
	sample(mx, "waiting_limit_seconds", NULL, NULL);
	seconds(mx, st->st_limit_ms * 1000);
}

void
stats_openmetrics(const struct stats *st, JsonObject *hello, GString *out)
{
	g_autofree char *point = metrics_escape(get_str(hello, "mountpoint"));
	g_autofree char *label = g_strdup_printf("mountpoint=\"%s\"", point);
	struct metrics mx = {out, label};

	put_daemon(&mx, st, hello);
	put_operations(&mx, st);
	put_keys(&mx, st);
	put_numbers(&mx, st);
	put_waiting(&mx, st);
	g_string_append(out, "# EOF\n");
}
