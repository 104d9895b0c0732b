/*
 * A window of a host object: the one place where byte ranges are added up.
 *
 * A range is made by range_init() against the size of the object and lies inside it, so
 * r_begin + r_len never overflows, and neither does r_begin + off for off <= r_len.
 * Offsets that users give are relative to r_begin.  All numbers are bytes.
 */
#ifndef RF_ETFS_RANGE_H
#define RF_ETFS_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANGE_REST UINT64_MAX /* as a size: all there is from begin on */

struct etfs_range {
	uint64_t r_begin, r_len;
};

/* Why a range is none; each of them is EINVAL. */
enum range_fault {
	RANGE_OK,
	RANGE_BEGIN,    /* begin lies past the end of the object */
	RANGE_OVERFLOW, /* begin + size is not a number */
	RANGE_END,      /* begin + size lies past the end */
};

static inline enum range_fault
range_init(struct etfs_range *ret, uint64_t begin, uint64_t size, uint64_t total)
{
	uint64_t end;

	if (begin > total)
		return RANGE_BEGIN;
	if (size == RANGE_REST)
		size = total - begin;
	if (__builtin_add_overflow(begin, size, &end))
		return RANGE_OVERFLOW;
	if (end > total)
		return RANGE_END;
	*ret = (struct etfs_range){begin, size};
	return RANGE_OK;
}

static inline uint64_t
range_end(const struct etfs_range *r)
{
	return r->r_begin + r->r_len;
}

/* How much of len bytes at off lies in the window; 0 at and past its end. */
static inline uint64_t
range_clip(const struct etfs_range *r, uint64_t off, uint64_t len)
{
	if (off >= r->r_len)
		return 0;
	return len < r->r_len - off ? len : r->r_len - off;
}

/* Whether all of the len bytes at off lie in the window. */
static inline bool
range_holds(const struct etfs_range *r, uint64_t off, uint64_t len)
{
	return off <= r->r_len && len <= r->r_len - off;
}

static inline bool
range_equal(const struct etfs_range *a, const struct etfs_range *b)
{
	return a->r_begin == b->r_begin && a->r_len == b->r_len;
}

static inline bool
range_overlap(const struct etfs_range *a, const struct etfs_range *b)
{
	return a->r_len && b->r_len && a->r_begin < range_end(b) &&
	       b->r_begin < range_end(a);
}

#endif
