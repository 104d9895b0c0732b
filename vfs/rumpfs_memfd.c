/*
 * Contents of large in-memory files: a memfd each, or a file of the store (rumpfs_store.c), of
 * which no account is kept here.
 *
 * A memfd is memory, not a host file, so it is used under the file's lock and without the
 * host calls.  Its size is the file's size.  What it holds is known from fstat after each
 * change and kept in rd_memfd_pages, which is what is accounted; before a change as much
 * is reserved as it could need, and what it did not need is given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/rumpfs_private.h"

/* Writes all of n bytes; 0 or -errno. */
static int
write_all(int fd, const char *buf, size_t n, uint64_t off)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, buf, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? -errno : -EIO;
		buf += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

static int
pages_held(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_blocks * 512 / PAGE_BYTES;
	return 0;
}

/* Copies the page at off, cut at the end of the file.  One past the end (fallocate has
 * kept it) holds zeros, and must not make the file longer. */
static int
copy_page(struct rumpfs_mount *rm, int fd, const void *page, uint64_t off, uint64_t size)
{
	size_t n = size - off < PAGE_BYTES ? (size_t)(size - off) : (size_t)PAGE_BYTES;
	char buf[PAGE_BYTES];
	int r;

	if (off >= size) {
		if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)off, PAGE_BYTES) < 0)
			return -errno;
		return 0;
	}
	r = rpage_read(rm, page, 0, buf, n);
	return r < 0 ? r : write_all(fd, buf, n, off);
}

/* memfds and store files of the whole process.  Keys need fds too, so at most a quarter of what
 * is allowed is taken here; then files stay on the heap. */
static _Atomic uint64_t memfds;

static bool
more_than(unsigned share)
{
	struct rlimit rl;

	return getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	       atomic_load(&memfds) >= rl.rlim_cur / share;
}

static bool
take_fd(void)
{
	if (more_than(4))
		return false;
	atomic_fetch_add(&memfds, 1);
	return true;
}

bool
rmemfd_fds_short(void)
{
	return more_than(8);
}

void
rmemfd_close(struct rdata *d)
{
	close(d->rd_fd);
	d->rd_fd = -1;
	d->rd_store = false;
	d->rd_memfd_pages = 0;
	atomic_fetch_sub(&memfds, 1);
}

/* A memfd or a store file with what d holds.  The fd or -errno. */
static int
copy_out(struct rumpfs_mount *rm, struct rdata *d, uint64_t *ret_held, bool *ret_beyond)
{
	struct rstore *rs = rstore_of(rm);
	uint64_t i = 0;
	int fd = rs ? rstore_file(rs) : memfd_create("rumpfs", MFD_CLOEXEC), r = 0;

	if (fd < 0)
		return rs ? fd : -errno;
	if (d->rd_size && ftruncate(fd, (off_t)d->rd_size) < 0)
		r = -errno;
	for (uint64_t from = 0; r == 0 && pages_next(&d->rd_pages, from, &i);
	     from = i + 1) {
		*ret_beyond = i << PAGE_SHIFT >= d->rd_size;
		r = copy_page(
		    rm, fd, pages_get(&d->rd_pages, i), i << PAGE_SHIFT, d->rd_size);
	}
	if (r == 0 && rs)
		return fd;
	if (r == 0)
		r = pages_held(fd, ret_held);
	if (r == 0 && *ret_held != d->rd_pages.pg_count)
		r = -EIO; /* the accounts would be wrong */
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static struct rumpfs_node *
node_of(struct rdata *d)
{
	return (struct rumpfs_node *)((char *)d - offsetof(struct rumpfs_node, rn_data));
}

int
rmemfd_convert(struct rumpfs_mount *rm, struct rdata *d)
{
	struct rstore *rs = rstore_of(rm);
	uint64_t i, held = 0;
	bool beyond = false;
	int fd;

	if (d->rd_stays || !take_fd())
		return -EMFILE;
	fd = copy_out(rm, d, &held, &beyond);
	if (fd < 0) {
		/* Not again at each write: it copies all there is. */
		d->rd_stays = true;
		atomic_fetch_sub(&memfds, 1);
		return fd;
	}
	d->rd_beyond = beyond;
	if (rs) {
		struct rumpfs_node *rn = node_of(d);

		rdata_drop_pages(rm, d, 0, UINT64_MAX);
		d->rd_fd = fd;
		rstore_times(rs, d, atomic_load(&rn->rn_atime_ns), rn->rn_mtime_ns);
		d->rd_store = true;
	}
	while (pages_next(&d->rd_pages, 0, &i))
		free(pages_take(&d->rd_pages, i));
	d->rd_fd = fd;
	d->rd_memfd_pages = held;
	return 0;
}

/* After a change for which reserved bytes were set aside: accounts for what there is. */
static void
settle(struct rumpfs_mount *rm, struct rdata *d, uint64_t reserved)
{
	uint64_t held, had = d->rd_memfd_pages;

	if (d->rd_store)
		return; /* the kernel's business */
	if (pages_held(d->rd_fd, &held) < 0)
		held = had + reserved / PAGE_BYTES;
	d->rd_memfd_pages = held;
	if (held * PAGE_BYTES > had * PAGE_BYTES + reserved) {
		/* More than could be needed: cannot be, but must not go uncounted. */
		atomic_fetch_add(&rm->rm_used, (held - had) * PAGE_BYTES - reserved);
	} else {
		rumpfs_unreserve(rm, had * PAGE_BYTES + reserved - held * PAGE_BYTES);
	}
}

/* Is every page of the range there already?  Cheap where the file has no holes. */
static bool
is_dense(const struct rdata *d, uint64_t end)
{
	return !d->rd_beyond && end <= d->rd_size &&
	       d->rd_memfd_pages >= (d->rd_size + PAGE_BYTES - 1) / PAGE_BYTES;
}

static bool
is_hole(const struct rdata *d, uint64_t off)
{
	off_t at = (off_t)(off & ~(PAGE_BYTES - 1));

	return (uint64_t)at >= d->rd_size || lseek(d->rd_fd, at, SEEK_DATA) != at;
}

static ssize_t
write_span(struct rdata *d, struct uio *u, size_t n)
{
	uint64_t off = u->uio_off + u->uio_done;
	ssize_t r;

	if (u->uio_buf) {
		/* One call: what went in before an error is counted. */
		do {
			r = pwrite(d->rd_fd, (const char *)u->uio_buf + u->uio_taken, n,
			    (off_t)off);
		} while (r < 0 && errno == EINTR);
		if (r <= 0)
			r = r < 0 ? -errno : -EIO;
	} else {
		r = u->uio_pull_fd(u, d->rd_fd, off, n);
	}
	if (r > 0) {
		u->uio_taken += (size_t)r;
		u->uio_done += (size_t)r;
		if (u->uio_off + u->uio_done > d->rd_size)
			d->rd_size = u->uio_off + u->uio_done;
	}
	return r;
}

/* Near the limit: page by page, reserving just for the holes. */
static int
write_frugal(struct rumpfs_mount *rm, struct rdata *d, struct uio *u)
{
	while (u->uio_done < u->uio_len) {
		uint64_t off = u->uio_off + u->uio_done;
		size_t n = (size_t)(PAGE_BYTES - off % PAGE_BYTES);
		uint64_t need = is_hole(d, off) ? PAGE_BYTES : 0;
		ssize_t r;

		if (n > u->uio_len - u->uio_done)
			n = u->uio_len - u->uio_done;
		if (need && !rumpfs_reserve(rm, need))
			return -ENOSPC;
		r = write_span(d, u, n);
		settle(rm, d, need);
		if (r <= 0)
			return r < 0 ? (int)r : -EIO;
	}
	return 0;
}

int
rmemfd_write(struct rumpfs_mount *rm, struct rdata *d, struct uio *u)
{
	uint64_t end = u->uio_off + u->uio_len, need = 0;
	ssize_t r;

	if (!d->rd_store && !is_dense(d, end)) {
		need = (end + PAGE_BYTES - 1) / PAGE_BYTES - u->uio_off / PAGE_BYTES;
		need *= PAGE_BYTES;
		if (!rumpfs_reserve(rm, need))
			return write_frugal(rm, d, u);
	}
	r = 1;
	while (r > 0 && u->uio_done < u->uio_len)
		r = write_span(d, u, u->uio_len - u->uio_done);
	if (need)
		settle(rm, d, need);
	return r < 0 ? (int)r : 0;
}

int
rmemfd_truncate(struct rumpfs_mount *rm, struct rdata *d, uint64_t size)
{
	if (ftruncate(d->rd_fd, (off_t)size) < 0)
		return -errno;
	if (size <= d->rd_size)
		d->rd_beyond = false;
	d->rd_size = size;
	settle(rm, d, 0);
	return 0;
}

/* The holes in a range, in bytes of whole pages. */
static uint64_t
hole_bytes(const struct rdata *d, uint64_t off, uint64_t end)
{
	uint64_t at = off & ~(PAGE_BYTES - 1), data = 0, stop = end;

	end = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	stop = end;
	for (uint64_t p = at; p < stop && p < d->rd_size;) {
		off_t from = lseek(d->rd_fd, (off_t)p, SEEK_DATA), to;

		if (from < 0 || (uint64_t)from >= stop)
			break;
		to = lseek(d->rd_fd, from, SEEK_HOLE);
		if (to < 0 || (uint64_t)to > stop)
			to = (off_t)stop;
		to = (off_t)(((uint64_t)to + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1));
		data += (uint64_t)(to - from);
		p = (uint64_t)to;
	}
	return end - at - data;
}

/* Makes the pages of the range that are missing. */
static int
allocate(struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len)
{
	uint64_t need = d->rd_store ? 0 : hole_bytes(d, off, off + len);
	int r = 0;

	if (need && !rumpfs_reserve(rm, need))
		return -ENOSPC;
	if (fallocate(d->rd_fd, mode & FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) < 0)
		r = -errno;
	if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > d->rd_size)
		d->rd_size = off + len;
	if (off + len > d->rd_size)
		d->rd_beyond = true;
	settle(rm, d, need);
	return r;
}

/* Zeros in a store file: written, because a page that is punched there may be somebody
 * else's before it is made again.  What is past the end is zeros. */
static int
zero_stored(
    struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len)
{
	static const char zeros[64 * 1024];
	uint64_t end = off + len;
	struct rattr a;
	int r = allocate(rm, d, mode, off, len);

	if (r == 0)
		r = rdata_attr(d, &a);
	if (r == 0 && end > a.ra_size)
		end = a.ra_size;
	while (r == 0 && off < end) {
		size_t n =
		    end - off < sizeof(zeros) ? (size_t)(end - off) : sizeof(zeros);

		r = write_all(d->rd_fd, zeros, n, off);
		off += n;
	}
	return r;
}

int
rmemfd_fallocate(
    struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int r;

	if (mode & FALLOC_FL_PUNCH_HOLE) {
		r = fallocate(d->rd_fd, hole, (off_t)off, (off_t)len) < 0 ? -errno : 0;
		settle(rm, d, 0);
		return r;
	}
	if (!(mode & FALLOC_FL_ZERO_RANGE))
		return allocate(rm, d, mode, off, len);
	if (d->rd_store)
		return zero_stored(rm, d, mode, off, len);
	/* What is missing comes first: it is all that can fail.  Then the range is
	 * punched and its pages, which are accounted for, are made again. */
	r = allocate(rm, d, mode, off, len);
	if (r == 0 && fallocate(d->rd_fd, hole, (off_t)off, (off_t)len) < 0)
		r = -errno;
	if (r == 0 &&
	    fallocate(d->rd_fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) < 0)
		r = -errno;
	settle(rm, d, 0);
	return r;
}
