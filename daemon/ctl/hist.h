/*
 * Histograms of how long things took, as the daemon counts them: [upper bound, count],
 * only what is occupied.  The last may have no bound: UINT64_MAX.
 */
#ifndef RF_CTL_HIST_H
#define RF_CTL_HIST_H

#include <stdint.h>

#include "daemon/ctl/json.h"

struct bucket {
	uint64_t b_upper_us, b_count;
};

struct hist {
	GArray *h_buckets; /* struct bucket, bounds ascending */
	uint64_t h_count;  /* of all */
};

/* a: [[upper, count]…] in any order, or NULL: an empty one. */
void hist_init(struct hist *h, JsonArray *a);
/* What came from old to new; buckets that have shrunk are left out. */
void hist_diff(struct hist *ret, const struct hist *now, const struct hist *old);
/* The bound that the part of all counts (0.5: half) lies below; 0 of an empty one. */
uint64_t hist_percentile(const struct hist *h, double part);
/* How many lie in buckets with bounds of at most `us`. */
uint64_t hist_below(const struct hist *h, uint64_t us);
/* Adds all counts. */
void hist_add(struct hist *h, const struct hist *other);
void hist_done(struct hist *h);

#endif
