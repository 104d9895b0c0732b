/*
 * Where fed data come from (archive_private.h): a compressed stream as a whole, members of a
 * zip, members of whatever else decodes.
 *
 * Members are units, in the order of the archive.  What is fed is their data behind one
 * another, so that a chunk of the cache holds many small ones and reading on and on is one
 * run.  Where a unit turns out shorter than the archive says, or damaged, that is noted, and
 * the run leaps to the next: nobody tries that again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/archive/archive_private.h"

struct run {
	struct feed r_feed; /* the first member */
	struct la r_la;
	bool r_open;      /* r_la */
	struct ar *r_ar;  /* units only */
	uint32_t r_unit;  /* the one that it is in … */
	bool r_in;        /* … whose header has been read */
	uint64_t r_nhead; /* headers that r_la has read */
	/* A block that lies further on than where the run is: zeros come first. */
	const void *r_block;
	size_t r_block_len;
	uint64_t r_block_at;
};

static const uint8_t zeros[65536];

static void
run_end(struct feed *f)
{
	struct run *r = (struct run *)f;

	if (r->r_open)
		la_close(&r->r_la);
	free(r);
}

/* Puts what libarchive gave at *ret_buf for a run that is at `at` of the thing it reads,
 * zeros first if the block begins later.  False: it begins before. */
static bool
give(struct run *r, uint64_t at, const void **ret_buf, size_t *ret_len)
{
	if (r->r_block_at < at)
		return false;
	if (r->r_block_at > at) {
		uint64_t n = r->r_block_at - at;

		*ret_buf = zeros;
		*ret_len = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		return true;
	}
	*ret_buf = r->r_block;
	*ret_len = r->r_block_len;
	r->r_block = NULL;
	return true;
}

/* A compressed stream. */

static uint64_t
filter_place(void *src, uint64_t off)
{
	return 0;
}

static int
filter_start(void *src, uint64_t off, struct feed **ret)
{
	struct ar *ar = src;
	struct stream st = {.st_dev = ar->ar_im.im_dev};
	struct run *r = calloc(1, sizeof(*r));
	struct archive_entry *e;
	int err;

	if (!r)
		return -ENOMEM;
	err = la_open(&r->r_la, &st, 0, LA_UNFILTER, false, NULL);
	if (err == 0) {
		r->r_open = true;
		r->r_la.la_pg = &ar->ar_pg;
		err = la_next(&r->r_la, &e) > 0 ? 0 : -EIO;
	}
	if (err < 0) {
		run_end(&r->r_feed);
		return err == -EUCLEAN ? -EIO : err;
	}
	*ret = &r->r_feed;
	return 0;
}

static int
filter_next(struct feed *f, const void **ret_buf, size_t *ret_len)
{
	struct run *r = (struct run *)f;
	int err = 1;

	if (!r->r_block)
		err = la_data(&r->r_la, &r->r_block, &r->r_block_len, &r->r_block_at);
	if (err <= 0)
		return err;
	return give(r, f->fd_pos, ret_buf, ret_len) ? 1 : -EIO;
}

const struct feed_ops feed_filter_ops = {
    .place = filter_place,
    .start = filter_start,
    .next = filter_next,
    .end = run_end,
    .whole = true,
};

/* Units. */

/* The unit that the byte at off belongs to. */
static uint32_t
unit_of(const struct ar *ar, uint64_t off)
{
	uint32_t lo = 0, hi = ar->ar_nunits;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ar->ar_units[mid].un_base <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t
unit_size(const struct ar *ar, uint32_t i)
{
	return ar->ar_units[i + 1].un_base - ar->ar_units[i].un_base;
}

static uint64_t
zip_place(void *src, uint64_t off)
{
	const struct ar *ar = src;

	return ar->ar_units[unit_of(ar, off)].un_base;
}

static uint64_t
walk_place(void *src, uint64_t off)
{
	const struct ar *ar = src;

	return ar->ar_solid ? 0 : ar->ar_units[unit_of(ar, off)].un_base;
}

static int
unit_start(void *src, uint64_t place, uint64_t off, struct feed **ret)
{
	struct ar *ar = src;
	uint32_t unit = unit_of(ar, off);
	struct run *r;

	if (off >= ar->ar_units[ar->ar_nunits].un_base ||
	    off - ar->ar_units[unit].un_base >= ar->ar_units[unit].un_good)
		return -EIO;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->r_ar = ar;
	r->r_unit = unit_of(ar, place);
	r->r_feed.fd_pos = place;
	*ret = &r->r_feed;
	return 0;
}

static int
zip_start(void *src, uint64_t off, struct feed **ret)
{
	return unit_start(src, zip_place(src, off), off, ret);
}

static int
walk_start(void *src, uint64_t off, struct feed **ret)
{
	return unit_start(src, walk_place(src, off), off, ret);
}

/* Opens the unit's member: a zip at its local header. */
static int
zip_enter(struct run *r)
{
	struct ar *ar = r->r_ar;
	struct stream st = {.st_dev = ar->ar_im.im_dev};
	struct archive_entry *e;
	int err;

	if (r->r_open)
		la_close(&r->r_la);
	r->r_open = false;
	err = la_open(
	    &r->r_la, &st, ar->ar_units[r->r_unit].un_where, LA_ZIP_MEMBER, false, NULL);
	if (err < 0)
		return err;
	r->r_open = true;
	return la_next(&r->r_la, &e) > 0 ? 0 : -EIO;
}

/* Goes over all headers before the unit's; what lies between may have to be decoded. */
static int
walk_to(struct run *r)
{
	struct progress pg = {.pg_what = "reading through",
	    .pg_name = r->r_ar->ar_name,
	    .pg_unit = "bytes"};
	struct archive_entry *e;
	int err = 1;

	r->r_la.la_pg = &pg;
	while (err > 0 && r->r_nhead <= r->r_ar->ar_units[r->r_unit].un_where) {
		err = la_next(&r->r_la, &e);
		r->r_nhead += err > 0;
	}
	r->r_la.la_pg = NULL;
	PROGRESS_TELL(&pg, 1);
	return err > 0 ? 0 : -EIO;
}

/* The same by going over all headers before it. */
static int
walk_enter(struct run *r)
{
	struct ar *ar = r->r_ar;
	struct stream st = {.st_dev = ar->ar_im.im_dev};
	int err;

	if (!r->r_open) {
		err = la_open(&r->r_la, &st, 0, LA_INDEX, ar->ar_rar, NULL);
		if (err < 0)
			return err;
		r->r_open = true;
		r->r_nhead = 0;
	}
	err = walk_to(r);
	if (err < 0) {
		la_close(&r->r_la);
		r->r_open = false;
	}
	r->r_la.la_got = 0;
	return err;
}

/* The unit ends here, whatever it should be. */
static void
leave(struct run *r, uint64_t at)
{
	struct ar *ar = r->r_ar;

	if (at < unit_size(ar, r->r_unit) && at < ar->ar_units[r->r_unit].un_good)
		ar->ar_units[r->r_unit].un_good = at;
	r->r_unit++;
	r->r_in = false;
	r->r_block = NULL;
	r->r_feed.fd_pos = ar->ar_units[r->r_unit].un_base;
}

/* A first block that took this much of the archive to get at: members are compressed
 * together. */
#define SOLID_COST (1u << 20)

static int
unit_next(
    struct run *r, int (*enter)(struct run *), const void **ret_buf, size_t *ret_len)
{
	struct ar *ar = r->r_ar;

	while (r->r_unit < ar->ar_nunits) {
		uint64_t size = unit_size(ar, r->r_unit);
		uint64_t at = r->r_feed.fd_pos - ar->ar_units[r->r_unit].un_base;
		bool first = !r->r_in;
		int err = 1;

		if (at >= size) {
			leave(r, at);
			continue;
		}
		if (first)
			err = enter(r);
		if (err == -ENOMEM)
			return err; /* that says nothing of the unit */
		err = err < 0 ? -EIO : 1;
		r->r_in = true;
		if (err > 0 && !r->r_block)
			err = la_data(
			    &r->r_la, &r->r_block, &r->r_block_len, &r->r_block_at);
		if (first && r->r_unit > 0 && r->r_la.la_got > SOLID_COST)
			ar->ar_solid = true;
		if (err > 0 && give(r, at, ret_buf, ret_len)) {
			if (*ret_len > size - at)
				*ret_len = (size_t)(size - at);
			return 1;
		}
		leave(r, at);
		/* After an error libarchive does not go on. */
		if (err < 0)
			return -EIO;
	}
	return 0;
}

static int
zip_next(struct feed *f, const void **ret_buf, size_t *ret_len)
{
	return unit_next((struct run *)f, zip_enter, ret_buf, ret_len);
}

static int
walk_next(struct feed *f, const void **ret_buf, size_t *ret_len)
{
	return unit_next((struct run *)f, walk_enter, ret_buf, ret_len);
}

const struct feed_ops feed_zip_ops = {
    .place = zip_place,
    .start = zip_start,
    .next = zip_next,
    .end = run_end,
};

const struct feed_ops feed_walk_ops = {
    .place = walk_place,
    .start = walk_start,
    .next = walk_next,
    .end = run_end,
};
