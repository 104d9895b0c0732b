/*
 * Contents where the kernel keeps the account: a store (rumpfs.h).
 *
 * What the kernel writes without us (FUSE passthrough, mappings) we cannot count.  So with a
 * store everything lies in one file system of the kernel's own, in memory, whose size is the
 * limit of the whole tree: large files, and those that are being written, are a file of the
 * store each; pages of small ones are pages of one file there, the page file; and what is on
 * our heap all the same (attributes, targets of symlinks, what was made before there was a
 * store) is weighed out in another, the weight file, whose pages nobody uses.  So no sum of
 * ours has to follow what the kernel does, and the limit is exact to the page for a write, a
 * fallocate and a page fault alike.
 *
 * The page file is used with pread and pwrite: a page that is mapped would cost a fault when
 * it is made and an interrupt of all threads when it goes.
 *
 * A store file that is small goes back to the page file when it has been closed for a while:
 * it costs an fd, and the kernel about a kilobyte.  What was closed last is in rs_idle; who
 * falls out of it moves, if nobody has it open and nobody has it mapped.  A mapping outlives
 * the file that the kernel tells us of, but not the kernel's file of the store: whether there
 * is another than ours is asked by a lease.
 *
 * Who opens a small file for writing gets a store file at once only while large ones are what is
 * written (rs_large): many small ones in a row are as fast without.
 *
 * Letters: a atomic · c constant · m rs_mtx (rank LEAF)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vfs/rumpfs_private.h"

#define IDLE_FILES 256u
/* In pages: what moves back; and what does where fds are short. */
#define BACK_PAGES      8u
#define BACK_PAGES_MOST 31u
/* The size of the page file and the weight file, which are sparse. */
#define SPARSE_BYTES (1ll << 62)

struct rstore {
	struct rumpfs_store *rs_maker; /* c: owned */
	int rs_page_fd, rs_weight_fd;  /* c */
	pthread_mutex_t rs_mtx;
	uint64_t rs_weight;      /* m: pages that the weight file has */
	uint64_t rs_next;        /* m: the page file's first page that was never used */
	uint64_t *rs_free;       /* m: pages below it that are free: rs_nfree of them */
	size_t rs_nfree, rs_cap; /* m */
	uint64_t rs_idle[IDLE_FILES]; /* m: node ids, a ring */
	unsigned rs_idle_at;          /* m */
	/* a: how likely what is written next becomes large, by what was written last: a
	 * file of its own costs a small one more than it gains */
	_Atomic int rs_large;
};

struct rstore *
rstore_of(const struct rumpfs_mount *rm)
{
	return atomic_load_explicit(&rm->rm_store, memory_order_acquire);
}

/* Pages.  A page of the page file is told from one of the heap by its lowest bit. */

static uint64_t
index_of(const void *page)
{
	return (uint64_t)(uintptr_t)page >> 1;
}

static bool
is_stored(const void *page)
{
	return (uintptr_t)page & 1;
}

static off_t
place_of(const void *page)
{
	return (off_t)(index_of(page) << PAGE_SHIFT);
}

static void *
take_index(struct rstore *rs)
{
	uint64_t i;

	lk_mutex(&rs->rs_mtx, LK_LEAF);
	i = rs->rs_nfree ? rs->rs_free[--rs->rs_nfree] : rs->rs_next++;
	if (rs->rs_nfree == 0 && rs->rs_cap) {
		free(rs->rs_free);
		rs->rs_free = NULL;
		rs->rs_cap = 0;
	}
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
	return (void *)(uintptr_t)(i << 1 | 1);
}

/* Without memory to note it, its number is lost, and nothing but that. */
static void
give_index(struct rstore *rs, uint64_t i)
{
	lk_mutex(&rs->rs_mtx, LK_LEAF);
	if (rs->rs_nfree == rs->rs_cap) {
		size_t cap = rs->rs_cap ? rs->rs_cap * 2 : 64;
		uint64_t *more = realloc(rs->rs_free, cap * sizeof(*more));

		if (more) {
			rs->rs_free = more;
			rs->rs_cap = cap;
		}
	}
	if (rs->rs_nfree < rs->rs_cap)
		rs->rs_free[rs->rs_nfree++] = i;
	if (rs->rs_nfree == rs->rs_next) {
		free(rs->rs_free);
		rs->rs_free = NULL;
		rs->rs_nfree = rs->rs_cap = rs->rs_next = 0;
	}
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
}

int
rpage_new(struct rumpfs_mount *rm, bool fill, void **ret_page)
{
	struct rstore *rs = rstore_of(rm);
	void *page;

	if (!rs) {
		if (!rumpfs_reserve(rm, PAGE_BYTES))
			return -ENOSPC;
		page = calloc(1, PAGE_BYTES);
		if (!page) {
			rumpfs_unreserve(rm, PAGE_BYTES);
			return -ENOMEM;
		}
		*ret_page = page;
		return 0;
	}
	page = take_index(rs);
	if (fill && fallocate(rs->rs_page_fd, FALLOC_FL_KEEP_SIZE, place_of(page),
			PAGE_BYTES) < 0) {
		int r = -errno;

		give_index(rs, index_of(page));
		return r;
	}
	*ret_page = page;
	return 0;
}

void
rpage_free(struct rumpfs_mount *rm, void *page)
{
	struct rstore *rs = rstore_of(rm);

	if (!is_stored(page)) {
		free(page);
		rumpfs_unreserve(rm, PAGE_BYTES);
		return;
	}
	if (fallocate(rs->rs_page_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		place_of(page), PAGE_BYTES) == 0)
		give_index(rs, index_of(page));
}

int
rpage_read(struct rumpfs_mount *rm, const void *page, uint64_t in, void *buf, size_t n)
{
	if (!is_stored(page)) {
		memcpy(buf, (const char *)page + in, n);
		return 0;
	}
	for (size_t done = 0; done < n;) {
		ssize_t r = pread(rstore_of(rm)->rs_page_fd, (char *)buf + done, n - done,
		    place_of(page) + (off_t)(in + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		done += (size_t)r;
	}
	return 0;
}

/* The next n bytes of the source, or what there is of them, to the page file. */
static ssize_t
take_to(int fd, struct uio *u, size_t n, off_t at)
{
	ssize_t r;

	if (!u->uio_buf)
		return u->uio_pull_fd(u, fd, (uint64_t)at, n);
	do {
		r = pwrite(fd, (const char *)u->uio_buf + u->uio_taken, n, at);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

ssize_t
rpage_take(struct rumpfs_mount *rm, void *page, uint64_t in, struct uio *u, size_t n)
{
	size_t done = 0;
	ssize_t r = 0;

	if (!is_stored(page))
		return uio_take_mem(u, (char *)page + in, n);
	while (done < n) {
		r = take_to(rstore_of(rm)->rs_page_fd, u, n - done,
		    place_of(page) + (off_t)(in + done));
		if (r <= 0)
			break;
		u->uio_taken += (size_t)r;
		done += (size_t)r;
	}
	return done ? (ssize_t)done : r;
}

void
rpage_zero(struct rumpfs_mount *rm, void *page, uint64_t in, size_t n)
{
	static const char zeros[PAGE_BYTES];
	struct uio u;

	if (!is_stored(page)) {
		memset((char *)page + in, 0, n);
		return;
	}
	/* The page is there: this cannot fail for lack of room. */
	uio_init_buf(&u, (void *)(uintptr_t)zeros, n, 0);
	(void)rpage_take(rm, page, in, &u, n);
}

/* What is on the heap. */

/* Makes the weight file as heavy as bytes; rs_mtx is held. */
static bool
weigh(struct rstore *rs, uint64_t bytes)
{
	uint64_t pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES, was = rs->rs_weight;
	uint64_t n = pages > was ? pages - was : was - pages;
	int mode = FALLOC_FL_KEEP_SIZE;

	if (n == 0)
		return true;
	if (pages < was)
		mode |= FALLOC_FL_PUNCH_HOLE;
	if (fallocate(rs->rs_weight_fd, mode,
		(off_t)((pages < was ? pages : was) * PAGE_BYTES),
		(off_t)(n * PAGE_BYTES)) < 0)
		return false;
	rs->rs_weight = pages;
	return true;
}

bool
rstore_reserve(struct rumpfs_mount *rm, struct rstore *rs, uint64_t n)
{
	bool ok;

	lk_mutex(&rs->rs_mtx, LK_LEAF);
	ok = weigh(rs, atomic_load(&rm->rm_used) + n);
	if (ok)
		atomic_fetch_add(&rm->rm_used, n);
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
	return ok;
}

void
rstore_unreserve(struct rumpfs_mount *rm, struct rstore *rs, uint64_t n)
{
	lk_mutex(&rs->rs_mtx, LK_LEAF);
	(void)weigh(rs, atomic_fetch_sub(&rm->rm_used, n) - n);
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
}

uint64_t
rstore_used(struct rumpfs_mount *rm, struct rstore *rs)
{
	uint64_t heap = atomic_load(&rm->rm_used), pages;
	struct statfs sf;

	if (fstatfs(rs->rs_page_fd, &sf) < 0)
		return heap;
	pages = (uint64_t)sf.f_blocks - (uint64_t)sf.f_bfree;
	lk_mutex(&rs->rs_mtx, LK_LEAF);
	pages -= pages < rs->rs_weight ? pages : rs->rs_weight;
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
	return pages * PAGE_BYTES + heap;
}

int
rstore_resize(struct rstore *rs, uint64_t bytes)
{
	return rs->rs_maker->st_resize(rs->rs_maker, bytes);
}

/* Files. */

int
rstore_file(struct rstore *rs)
{
	return rs->rs_maker->st_file(rs->rs_maker);
}

void
rstore_times(struct rstore *rs, struct rdata *d, int64_t atime_ns, int64_t mtime_ns)
{
	const struct timespec ts[2] = {
	    rumpfs_timespec(atime_ns), rumpfs_timespec(mtime_ns)};

	(void)rs->rs_maker->st_times(d->rd_fd, ts);
	rdata_times_set(d);
}

#define LARGE_MOST 16

bool
rstore_is_worth(struct rstore *rs)
{
	return atomic_load_explicit(&rs->rs_large, memory_order_relaxed) > 0;
}

void
rstore_written(struct rstore *rs, bool large)
{
	int n = atomic_load_explicit(&rs->rs_large, memory_order_relaxed);

	if (large && n < LARGE_MOST)
		atomic_store_explicit(&rs->rs_large, LARGE_MOST, memory_order_relaxed);
	else if (!large && n > 0)
		atomic_store_explicit(&rs->rs_large, n - 1, memory_order_relaxed);
}

/* Has anybody but us a file of the store open, or mapped? */
static bool
is_shared(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return true;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

/* One page of a store file into the page file; cut holds no more than the end of file. */
static int
copy_back(struct rumpfs_mount *rm, struct rdata *d, uint64_t index)
{
	char buf[PAGE_BYTES];
	ssize_t n = pread(d->rd_fd, buf, sizeof(buf), (off_t)(index << PAGE_SHIFT));
	struct uio u;
	void *page;
	int r;

	if (n < 0)
		return -errno;
	r = rpage_new(rm, n == 0, &page);
	if (r < 0)
		return r;
	uio_init_buf(&u, buf, (size_t)n, 0);
	if (n > 0 && rpage_take(rm, page, 0, &u, (size_t)n) != n)
		r = -ENOSPC;
	if (r == 0)
		r = pages_put(&d->rd_pages, index, page);
	if (r < 0)
		rpage_free(rm, page);
	return r;
}

static int
copy_all_back(struct rumpfs_mount *rm, struct rdata *d)
{
	off_t at = 0, end;
	int r = 0;

	while (r == 0 && (at = lseek(d->rd_fd, at, SEEK_DATA)) >= 0) {
		end = lseek(d->rd_fd, at, SEEK_HOLE);
		for (; r == 0 && at < end; at += (off_t)PAGE_BYTES)
			r = copy_back(rm, d, (uint64_t)at >> PAGE_SHIFT);
	}
	return r;
}

/* Its v_lock is held exclusively. */
static void
move_back(struct rumpfs_mount *rm, struct rumpfs_node *rn)
{
	struct rdata *d = &rn->rn_data;
	unsigned most = rmemfd_fds_short() ? BACK_PAGES_MOST : BACK_PAGES;
	struct rattr a;

	d->rd_idle = false;
	if (!d->rd_store || atomic_load(&d->rd_opens) > 0 || rdata_attr(d, &a) < 0)
		return;
	/* What lies past the end (FALLOC_FL_KEEP_SIZE) is not found by seeking. */
	if (a.ra_pages > most || a.ra_pages > (a.ra_size + PAGE_BYTES - 1) / PAGE_BYTES ||
	    rn->rn_nlink == 0 || is_shared(d->rd_fd))
		return;
	if (copy_all_back(rm, d) < 0) {
		rdata_drop_pages(rm, d, 0, UINT64_MAX);
		return;
	}
	rn->rn_mtime_ns = a.ra_mtime_ns;
	if (a.ra_ctime_ns > rn->rn_ctime_ns)
		rn->rn_ctime_ns = a.ra_ctime_ns;
	if (a.ra_atime_ns > atomic_load(&rn->rn_atime_ns))
		atomic_store(&rn->rn_atime_ns, a.ra_atime_ns);
	d->rd_size = a.ra_size;
	rmemfd_close(d);
}

void
rstore_closed(struct vnode *vp)
{
	struct rumpfs_mount *rm = rumpfs_mount_of(vp);
	struct rdata *d = &rumpfs_node_of(vp)->rn_data;
	struct rstore *rs = rstore_of(rm);
	struct vnode *old;
	uint64_t id;

	/* Most are none, and who opens one meanwhile closes it, too. */
	if (!d->rd_store || d->rd_idle)
		return;
	lk_write(&vp->v_lock, LK_FILE);
	if (!d->rd_store || d->rd_idle) {
		lk_unlock(&vp->v_lock, LK_FILE);
		return;
	}
	d->rd_idle = true;
	lk_unlock(&vp->v_lock, LK_FILE);
	lk_mutex(&rs->rs_mtx, LK_LEAF);
	id = rs->rs_idle[rs->rs_idle_at];
	rs->rs_idle[rs->rs_idle_at] = vp->v_id;
	rs->rs_idle_at = (rs->rs_idle_at + 1) % IDLE_FILES;
	lk_mutex_unlock(&rs->rs_mtx, LK_LEAF);
	old = id ? vfs_node_get(vp->v_mount->mnt_vfs, id) : NULL;
	if (!old)
		return;
	if (old->v_op == &rumpfs_vops && old->v_type == VREG) {
		lk_write(&old->v_lock, LK_FILE);
		move_back(rm, rumpfs_node_of(old));
		lk_unlock(&old->v_lock, LK_FILE);
	}
	vn_unref(old);
}

/* Life. */

void
rstore_free(struct rstore *rs)
{
	if (!rs)
		return;
	if (rs->rs_page_fd >= 0)
		close(rs->rs_page_fd);
	if (rs->rs_weight_fd >= 0)
		close(rs->rs_weight_fd);
	rs->rs_maker->st_free(rs->rs_maker);
	free(rs->rs_free);
	pthread_mutex_destroy(&rs->rs_mtx);
	free(rs);
}

int
rumpfs_store_use(struct mount *mp, struct rumpfs_store *maker)
{
	struct rumpfs_mount *rm = (struct rumpfs_mount *)mp;
	struct rstore *rs = calloc(1, sizeof(*rs));
	int r = 0;

	if (!rs)
		return -ENOMEM;
	pthread_mutex_init(&rs->rs_mtx, NULL);
	rs->rs_maker = maker;
	atomic_store(&rs->rs_large, LARGE_MOST);
	rs->rs_page_fd = maker->st_file(maker);
	rs->rs_weight_fd = maker->st_file(maker);
	if (rs->rs_page_fd < 0 || rs->rs_weight_fd < 0)
		r = rs->rs_page_fd < 0 ? rs->rs_page_fd : rs->rs_weight_fd;
	else if (ftruncate(rs->rs_page_fd, SPARSE_BYTES) < 0)
		r = -errno;
	else if (!weigh(rs, atomic_load(&rm->rm_used)))
		r = -ENOSPC;
	if (r == 0) {
		atomic_store(&rm->rm_store, rs);
		return 0;
	}
	if (rs->rs_page_fd >= 0)
		close(rs->rs_page_fd);
	if (rs->rs_weight_fd >= 0)
		close(rs->rs_weight_fd);
	pthread_mutex_destroy(&rs->rs_mtx);
	free(rs);
	return r;
}
