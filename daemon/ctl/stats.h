/*
 * An answer to stats, taken apart; as a table, as OpenMetrics text, and the difference of
 * two.
 */
#ifndef RF_CTL_STATS_H
#define RF_CTL_STATS_H

#include "daemon/ctl/hist.h"

struct stat_op {
	char *so_name;
	uint64_t so_count, so_errors, so_bytes, so_total_us;
	uint64_t so_p50_us, so_p90_us, so_p99_us, so_p999_us, so_max_us;
	struct hist so_hist;
};

struct stat_key {
	char *sk_path;
	uint64_t sk_count, sk_read, sk_written; /* bytes */
};

struct stat_wait {
	char *sw_operation, *sw_path, *sw_host; /* the last may be NULL */
	uint64_t sw_age_ms, sw_pid;
};

struct stats {
	uint64_t st_uptime_ms, st_limit_ms;
	GPtrArray *st_ops, *st_keys, *st_waiting;
	JsonObject *st_object; /* for the plain numbers */
};

struct stats *stats_new(JsonObject *result);
void stats_free(struct stats *st);
const struct stat_op *stats_op(const struct stats *st, const char *name);
/* What happened between two answers of one daemon; percentiles are of that.  Everything
 * that does not add up is now's. */
struct stats *stats_diff(const struct stats *now, const struct stats *old);

/* Tables for people. */
void stats_print_waiting(const struct stats *st, GString *out, size_t rows, size_t width);
void stats_print(const struct stats *st, GString *out);
/* OpenMetrics text; hello: the daemon's. */
void stats_openmetrics(const struct stats *st, JsonObject *hello, GString *out);
/* A label's value, escaped. */
char *metrics_escape(const char *s);

#endif
