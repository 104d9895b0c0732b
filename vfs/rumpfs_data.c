/*
 * The contents of in-memory files.
 *
 * Small files are pages of 4 KiB on the heap (rumpfs_pages.h), or in the store where there is
 * one (rumpfs_store.c): a page that was never written is a hole and costs nothing.  A file
 * that comes to hold more than MEMFD_MIN moves to a memfd of its own (rumpfs_memfd.c), for
 * good: the kernel then keeps the pages, and the front end can splice them.  When no fd is to
 * be had the file stays on the heap, however large: nothing depends on the move but speed.
 *
 * Every page is counted against the mount's size before it is made.  A write that runs
 * into the limit is short, or -ENOSPC if nothing went in.
 *
 * Locking: the file's v_lock, shared to read and seek, exclusive for the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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

void
rdata_drop_pages(struct rumpfs_mount *rm, struct rdata *d, uint64_t first, uint64_t end)
{
	uint64_t i;

	while (pages_next(&d->rd_pages, first, &i) && i < end) {
		rpage_free(rm, pages_take(&d->rd_pages, i));
		first = i + 1;
	}
}

void
rdata_done(struct rumpfs_mount *rm, struct rdata *d)
{
	if (d->rd_fd >= 0) {
		uint64_t pages = d->rd_memfd_pages;

		rmemfd_close(d);
		rumpfs_unreserve(rm, pages * PAGE_BYTES);
	} else {
		rdata_drop_pages(rm, d, 0, UINT64_MAX);
	}
}

static int64_t
ns_of(const struct timespec *ts)
{
	return ts->tv_sec * 1000000000ll + ts->tv_nsec;
}

int
rdata_attr(const struct rdata *d, struct rattr *ret)
{
	struct stat st;

	if (!d->rd_store) {
		ret->ra_size = d->rd_size;
		ret->ra_pages = d->rd_fd >= 0 ? d->rd_memfd_pages : d->rd_pages.pg_count;
		return 0;
	}
	if (fstat(d->rd_fd, &st) < 0)
		return -errno;
	ret->ra_size = (uint64_t)st.st_size;
	ret->ra_pages = (uint64_t)st.st_blocks * 512 / PAGE_BYTES;
	ret->ra_atime_ns = ns_of(&st.st_atim);
	ret->ra_mtime_ns = ns_of(&st.st_mtim);
	ret->ra_ctime_ns = ns_of(&st.st_ctim);
	/* Where the clock is coarse mtime alone may tell. */
	if (ret->ra_ctime_ns == d->rd_ctime_ns && ret->ra_mtime_ns == d->rd_mtime_ns)
		ret->ra_ctime_ns = 0;
	return 0;
}

void
rdata_times_set(struct rdata *d)
{
	struct stat st;

	if (fstat(d->rd_fd, &st) < 0)
		return;
	d->rd_mtime_ns = ns_of(&st.st_mtim);
	d->rd_ctime_ns = ns_of(&st.st_ctim);
}

void
rdata_opened(struct rdata *d)
{
	atomic_fetch_add(&d->rd_opens, 1);
}

/* From the memfd or the store file.  Lent, it stays open as long as the open file does. */
static int
read_fd(const struct rdata *d, struct uio *u, size_t want, bool lend)
{
	ssize_t r;

	if (lend) {
		u->uio_fd = d->rd_fd;
		u->uio_fdoff = u->uio_off;
		u->uio_done = want;
		return 0;
	}
	do {
		r = pread(d->rd_fd, u->uio_buf, want, (off_t)u->uio_off);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	u->uio_done = (size_t)r;
	return 0;
}

int
rdata_read(struct rumpfs_mount *rm, struct rdata *d, struct uio *u, bool lend)
{
	struct rattr a;
	uint64_t left;
	size_t want;
	int r = rdata_attr(d, &a);

	if (r < 0)
		return r;
	left = u->uio_off < a.ra_size ? a.ra_size - u->uio_off : 0;
	want = u->uio_len < left ? u->uio_len : (size_t)left;
	if (want == 0) {
		u->uio_done = 0;
		return 0;
	}
	if (d->rd_fd >= 0)
		return read_fd(d, u, want, lend);
	for (size_t done = 0; done < want;) {
		uint64_t off = u->uio_off + done, in = off % PAGE_BYTES;
		size_t n = (size_t)(PAGE_BYTES - in);
		const void *page = pages_get(&d->rd_pages, page_of(off));

		if (n > want - done)
			n = want - done;
		if (page)
			r = rpage_read(rm, page, in, (char *)u->uio_buf + done, n);
		else
			memset((char *)u->uio_buf + done, 0, n);
		if (r < 0)
			return r;
		done += n;
	}
	u->uio_done = want;
	return 0;
}

/* The page at index, made if it is missing.  *ret_made tells; without fill it is to be
 * written to then. */
static int
get_page(struct rumpfs_mount *rm, struct rdata *d, uint64_t index, bool fill,
    void **ret_page, bool *ret_made)
{
	void *page = pages_get(&d->rd_pages, index);
	int r;

	*ret_made = page == NULL;
	if (page) {
		*ret_page = page;
		return 0;
	}
	r = rpage_new(rm, fill, &page);
	if (r < 0)
		return r;
	r = pages_put(&d->rd_pages, index, page);
	if (r < 0) {
		rpage_free(rm, page);
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
	void *page;
	ssize_t got;
	int r = get_page(rm, d, page_of(off), false, &page, &made);

	if (r < 0)
		return r;
	got = rpage_take(rm, page, off % PAGE_BYTES, u, n);
	if (got <= 0 && made)
		rdata_drop_pages(rm, d, page_of(off), page_of(off) + 1);
	return got == 0 ? -EIO : got;
}

int
rdata_write(struct rumpfs_mount *rm, struct rdata *d, struct uio *u)
{
	uint64_t end = u->uio_off + u->uio_len;
	ssize_t n = 0;

	if (d->rd_fd < 0 &&
	    d->rd_pages.pg_count + u->uio_len / PAGE_BYTES >= MEMFD_MIN_PAGES)
		(void)rmemfd_convert(rm, d);
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
clear_part(struct rumpfs_mount *rm, struct rdata *d, uint64_t off, uint64_t end)
{
	void *page = pages_get(&d->rd_pages, page_of(off));
	uint64_t in = off % PAGE_BYTES, n = PAGE_BYTES - in;

	if (n > end - off)
		n = end - off;
	if (page)
		rpage_zero(rm, page, in, (size_t)n);
}

int
rdata_truncate(struct rumpfs_mount *rm, struct rdata *d, uint64_t size)
{
	if (d->rd_fd >= 0)
		return rmemfd_truncate(rm, d, size);
	/* Pages past the end may exist (fallocate keeping the size): they go as well. */
	if (size < d->rd_size && size % PAGE_BYTES)
		clear_part(rm, d, size, UINT64_MAX);
	rdata_drop_pages(rm, d, page_of(size + PAGE_BYTES - 1), UINT64_MAX);
	d->rd_size = size;
	if (size == 0)
		d->rd_stays = false;
	return 0;
}

/* Zeros from off to end; whole pages become holes. */
static void
punch(struct rumpfs_mount *rm, struct rdata *d, uint64_t off, uint64_t end)
{
	uint64_t first = page_of(off + PAGE_BYTES - 1), last = page_of(end);

	if (first > last) { /* within one page */
		clear_part(rm, d, off, end);
		return;
	}
	if (off % PAGE_BYTES)
		clear_part(rm, d, off, end);
	if (end % PAGE_BYTES)
		clear_part(rm, d, last << PAGE_SHIFT, end);
	rdata_drop_pages(rm, d, first, last);
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
		void *page;

		r = get_page(rm, d, i, true, &page, &is_new);
		if (r == 0 && is_new)
			made[n++] = i;
	}
	while (r < 0 && n-- > 0)
		rdata_drop_pages(rm, d, made[n], made[n] + 1);
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
			(void)rmemfd_convert(rm, d);
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
			clear_part(rm, d, at, end);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > d->rd_size)
		d->rd_size = end;
	return 0;
}

int
rdata_seek(struct rdata *d, uint64_t off, int whence, uint64_t *ret_off)
{
	uint64_t at = off, i;

	if (!d->rd_store && off >= d->rd_size)
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
