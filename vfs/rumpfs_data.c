/*
 * The contents of in-memory files.
 *
 * Small files are pages of 4 KiB on the heap (rumpfs_pages.h): a page that was never
 * written is a hole and costs nothing.  A file that comes to hold more than MEMFD_MIN
 * moves to a memfd of its own (rumpfs_memfd.c), for good: the kernel then keeps the
 * pages, and the front end can splice them.  When no fd is to be had the file stays on
 * the heap, however large: nothing depends on the move but speed.
 *
 * Every page is counted against the mount's size before it is made.  A write that runs
 * into the limit is short, or -ENOSPC if nothing went in.
 *
 * Locking: the file's v_lock, shared to read and seek, exclusive for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs/rumpfs_private.h"

#define MEMFD_MIN_PAGES 32u /* 128 KiB */

static uint64_t
page_of(uint64_t off)
{
	return off >> PAGE_SHIFT;
}

void
rdata_init(struct rdata *d)
{
	memset(d, 0, sizeof(*d));
	d->rd_fd = -1;
}

/* Frees the pages from index first to the one before end. */
static void
drop_pages(struct rumpfs_mount *rm, struct rdata *d, uint64_t first, uint64_t end)
{
	uint64_t i, n = 0;

	while (pages_next(&d->rd_pages, first, &i) && i < end) {
		free(pages_take(&d->rd_pages, i));
		first = i + 1;
		n++;
	}
	rumpfs_unreserve(rm, n * PAGE_BYTES);
}

void
rdata_done(struct rumpfs_mount *rm, struct rdata *d)
{
	if (d->rd_fd >= 0) {
		rmemfd_close(d);
		rumpfs_unreserve(rm, d->rd_memfd_pages * PAGE_BYTES);
	} else {
		drop_pages(rm, d, 0, UINT64_MAX);
	}
}

uint64_t
rdata_bytes(const struct rdata *d)
{
	return (d->rd_fd >= 0 ? d->rd_memfd_pages : d->rd_pages.pg_count) * PAGE_BYTES;
}

int
rdata_read(struct rdata *d, struct uio *u)
{
	uint64_t left = u->uio_off < d->rd_size ? d->rd_size - u->uio_off : 0;
	size_t want = u->uio_len < left ? u->uio_len : (size_t)left;

	if (want == 0) {
		u->uio_done = 0;
		return 0;
	}
	if (d->rd_fd >= 0) {
		u->uio_fd = d->rd_fd;
		u->uio_fdoff = u->uio_off;
		u->uio_done = want;
		return 0;
	}
	for (size_t done = 0; done < want;) {
		uint64_t off = u->uio_off + done, in = off % PAGE_BYTES;
		size_t n = (size_t)(PAGE_BYTES - in);
		const char *page = pages_get(&d->rd_pages, page_of(off));

		if (n > want - done)
			n = want - done;
		if (page)
			memcpy((char *)u->uio_buf + done, page + in, n);
		else
			memset((char *)u->uio_buf + done, 0, n);
		done += n;
	}
	u->uio_done = want;
	return 0;
}

/* The page at index, made if it is missing.  *ret_made tells. */
static int
get_page(struct rumpfs_mount *rm, struct rdata *d, uint64_t index, char **ret_page,
    bool *ret_made)
{
	char *page = pages_get(&d->rd_pages, index);
	int r;

	*ret_made = page == NULL;
	if (page) {
		*ret_page = page;
		return 0;
	}
	if (!rumpfs_reserve(rm, PAGE_BYTES))
		return -ENOSPC;
	page = calloc(1, PAGE_BYTES);
	r = page ? pages_put(&d->rd_pages, index, page) : -ENOMEM;
	if (r < 0) {
		free(page);
		rumpfs_unreserve(rm, PAGE_BYTES);
		return r;
	}
	*ret_page = page;
	return 0;
}

/* Takes the next n bytes of the source into the page that off is in. */
static ssize_t
write_page(
    struct rumpfs_mount *rm, struct rdata *d, struct uio *u, uint64_t off, size_t n)
{
	bool made;
	char *page;
	ssize_t got;
	int r = get_page(rm, d, page_of(off), &page, &made);

	if (r < 0)
		return r;
	got = uio_take_mem(u, page + off % PAGE_BYTES, n);
	if (got <= 0 && made)
		drop_pages(rm, d, page_of(off), page_of(off) + 1);
	return got == 0 ? -EIO : got;
}

int
rdata_write(struct rumpfs_mount *rm, struct rdata *d, struct uio *u)
{
	uint64_t end = u->uio_off + u->uio_len;
	ssize_t n = 0;

	if (d->rd_fd < 0 &&
	    d->rd_pages.pg_count + u->uio_len / PAGE_BYTES >= MEMFD_MIN_PAGES)
		(void)rmemfd_convert(d);
	if (d->rd_fd >= 0)
		return rmemfd_write(rm, d, u);
	while (u->uio_done < u->uio_len) {
		uint64_t off = u->uio_off + u->uio_done;
		size_t len = (size_t)(PAGE_BYTES - off % PAGE_BYTES);

		if (len > end - off)
			len = (size_t)(end - off);
		n = write_page(rm, d, u, off, len);
		if (n < 0)
			break;
		u->uio_done += (size_t)n;
		if ((size_t)n < len)
			break;
	}
	if (u->uio_done > 0 && u->uio_off + u->uio_done > d->rd_size)
		d->rd_size = u->uio_off + u->uio_done;
	return n < 0 ? (int)n : 0;
}

/* Clears the part of a page from off to the end of it or to end, if the page is there. */
static void
clear_part(struct rdata *d, uint64_t off, uint64_t end)
{
	char *page = pages_get(&d->rd_pages, page_of(off));
	uint64_t in = off % PAGE_BYTES, n = PAGE_BYTES - in;

	if (n > end - off)
		n = end - off;
	if (page)
		memset(page + in, 0, (size_t)n);
}

int
rdata_truncate(struct rumpfs_mount *rm, struct rdata *d, uint64_t size)
{
	if (d->rd_fd >= 0)
		return rmemfd_truncate(rm, d, size);
	/* Pages past the end may exist (fallocate keeping the size): they go as well. */
	if (size < d->rd_size && size % PAGE_BYTES)
		clear_part(d, size, UINT64_MAX);
	drop_pages(rm, d, page_of(size + PAGE_BYTES - 1), UINT64_MAX);
	d->rd_size = size;
	return 0;
}

/* Zeros from off to end; whole pages become holes. */
static void
punch(struct rumpfs_mount *rm, struct rdata *d, uint64_t off, uint64_t end)
{
	uint64_t first = page_of(off + PAGE_BYTES - 1), last = page_of(end);

	if (first > last) { /* within one page */
		clear_part(d, off, end);
		return;
	}
	if (off % PAGE_BYTES)
		clear_part(d, off, end);
	if (end % PAGE_BYTES)
		clear_part(d, last << PAGE_SHIFT, end);
	drop_pages(rm, d, first, last);
}

/* Makes every missing page from off to end, or none. */
static int
fill(struct rumpfs_mount *rm, struct rdata *d, uint64_t off, uint64_t end)
{
	uint64_t first = page_of(off), last = page_of(end + PAGE_BYTES - 1), n = 0, *made;
	int r = 0;

	for (uint64_t i = first; i < last; i++)
		n += pages_get(&d->rd_pages, i) == NULL;
	/* To know what to take back. */
	made = malloc((n + 1) * sizeof(*made));
	if (!made)
		return -ENOMEM;
	n = 0;
	for (uint64_t i = first; i < last && r == 0; i++) {
		bool is_new;
		char *page;

		r = get_page(rm, d, i, &page, &is_new);
		if (r == 0 && is_new)
			made[n++] = i;
	}
	while (r < 0 && n-- > 0)
		drop_pages(rm, d, made[n], made[n] + 1);
	free(made);
	return r;
}

int
rdata_fallocate(
    struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	int what = mode & ~FALLOC_FL_KEEP_SIZE, r;

	if (what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE)
		return -EOPNOTSUPP;
	if (what == FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (what != FALLOC_FL_PUNCH_HOLE) {
		uint64_t limit = atomic_load(&rm->rm_size);

		if (limit && len > limit)
			return -ENOSPC;
		if (d->rd_fd < 0 && len / PAGE_BYTES >= MEMFD_MIN_PAGES)
			(void)rmemfd_convert(d);
	}
	if (d->rd_fd >= 0)
		return rmemfd_fallocate(rm, d, mode, off, len);
	if (what == FALLOC_FL_PUNCH_HOLE) {
		punch(rm, d, off, end);
		return 0;
	}
	r = fill(rm, d, off, end);
	if (r < 0)
		return r;
	if (what == FALLOC_FL_ZERO_RANGE)
		for (uint64_t at = off; at < end; at = (page_of(at) + 1) << PAGE_SHIFT)
			clear_part(d, at, end);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > d->rd_size)
		d->rd_size = end;
	return 0;
}

int
rdata_seek(struct rdata *d, uint64_t off, int whence, uint64_t *ret_off)
{
	uint64_t at = off, i;

	if (off >= d->rd_size)
		return -ENXIO;
	if (d->rd_fd >= 0) {
		off_t r = lseek(d->rd_fd, (off_t)off, whence);

		if (r < 0)
			return -errno;
		*ret_off = (uint64_t)r;
		return 0;
	}
	if (whence == SEEK_DATA) {
		if (!pages_next(&d->rd_pages, page_of(off), &i) ||
		    i << PAGE_SHIFT >= d->rd_size)
			return -ENXIO;
		if (i != page_of(off))
			at = i << PAGE_SHIFT;
	} else {
		i = pages_next_hole(&d->rd_pages, page_of(off));
		if (i != page_of(off))
			at = i << PAGE_SHIFT;
		if (at > d->rd_size)
			at = d->rd_size;
	}
	*ret_off = at;
	return 0;
}
