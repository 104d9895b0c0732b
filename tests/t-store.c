/*
 * Contents of in-memory files in a store: all rows of t-data.c again, and what is the store's
 * own: a limit that the kernel's writes keep too, files that come and go back.
 */
#include "vfs/rumpfs.h"

static void use_store(struct mount *mp, uint64_t size);
#define T_WORLD_MADE(mp, size) use_store(mp, size)
#include "tests/t-data.c"

#include <errno.h>
#include <linux/fs.h>
#include <sys/mman.h>
#include <time.h>

#include "daemon/store.h"
#include "vfs/rumpfs_private.h"

static int made = 1; /* 0, or why there is none */

static void
use_store(struct mount *mp, uint64_t size)
{
	struct rumpfs_store *st;

	made = store_new(size, &st);
	if (made == 0 && rumpfs_store_use(mp, st) < 0)
		abort();
}

#define NEEDS_STORE(w)                                           \
	do {                                                     \
		if (made < 0)                                    \
			SKIP("no tmpfs of one's own to be had"); \
	} while (0)

/* Opened for writing, and lent to the kernel: what that does, the test does. */
static struct file *
lend(struct vnode *vp, int flags, int *ret_fd)
{
	struct file *f = NULL;

	CHECK_EQ(vop_open(vp, flags, &t_cred, &f), 0);
	if (f)
		CHECK_EQ(vop_backing(vp, f, ret_fd), 0);
	return f;
}

static struct vnode *
file_called(struct world *w, const char *path)
{
	CHECK_EQ(p_make(w, path, VREG), 0);
	return p_get(w, path);
}

/* Where reading has to go: true if in a file of its own. */
static bool
is_apart(struct vnode *vp)
{
	struct file *f;
	struct uio u;
	bool apart;

	CHECK_EQ(vop_open(vp, O_RDONLY, &t_cred, &f), 0);
	uio_init_buf(&u, got, 1, 0);
	CHECK_EQ(vop_read(vp, f, &u), 0);
	apart = u.uio_fd >= 0;
	vop_close(f);
	return apart;
}

/* Others are closed until what was before is too old to be kept at hand. */
static void
age(struct world *w)
{
	char path[16];
	int fd;

	for (int i = 0; i < 300; i++) {
		AUTO_VNODE vp = NULL;
		struct file *f;

		snprintf(path, sizeof(path), "/age%d", i);
		vp = file_called(w, path);
		f = lend(vp, O_RDWR, &fd);
		vop_close(f);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/age%d", i);
		CHECK_EQ(p_unlink(w, path), 0);
	}
}

/* The limit is one, to the page, whoever writes. */
TEST(one_limit)
{
	AUTO_WORLD w;
	AUTO_VNODE big = NULL;
	AUTO_VNODE small = NULL;
	struct file *f;
	int fd;

	CHECK_EQ(world_init_sized(&w, 64 * PG, 0), 0);
	NEEDS_STORE(w);
	small = file_called(&w, "/small");
	CHECK_EQ(v_write(small, src, 3 * PG, 0), 3 * PG);
	big = file_called(&w, "/big");
	f = lend(big, O_RDWR, &fd);
	CHECK_EQ(pwrite(fd, src, 60 * PG, 0), 60 * PG);
	CHECK_EQ(usage(&w).ru_size_used, 63 * PG);
	CHECK_EQ(pwrite(fd, src, 2 * PG, 60 * PG), PG);
	CHECK_EQ(pwrite(fd, src, PG, 61 * PG), -1);
	CHECK_EQ(errno, ENOSPC);
	CHECK_EQ(v_write(small, src, 1, 3 * PG), -ENOSPC);
	CHECK_EQ(v_write(big, src, 1, 61 * PG), -ENOSPC);
	CHECK_EQ(vop_fallocate(small, NULL, 0, 0, 4 * PG), -ENOSPC);
	CHECK_EQ(vop_setxattr(small, "user.x", src, 100, 0, &t_cred), -ENOSPC);
	CHECK_EQ(truncate_to(small, PG), 0);
	CHECK_EQ(pwrite(fd, src, 4 * PG, 61 * PG), 2 * PG);
	CHECK_EQ(usage(&w).ru_size_used, 64 * PG);
	vop_close(f);
	vn_unref_p(&big);
	big = NULL;
	CHECK_EQ(p_unlink(&w, "/big"), 0);
	CHECK_EQ(usage(&w).ru_size_used, PG);
	CHECK_EQ(vop_setxattr(small, "user.x", src, 100, 0, &t_cred), 0);
	CHECK(usage(&w).ru_size_used > PG && usage(&w).ru_size_used < 2 * PG);
	vn_unref_p(&small);
	small = NULL;
	CHECK_EQ(p_unlink(&w, "/small"), 0);
	CHECK_EQ(usage(&w).ru_size_used, 0);
}

static struct vattr
attr(struct vnode *vp)
{
	struct vattr va = {0};

	CHECK_EQ(vop_getattr(vp, NULL, &va), 0);
	return va;
}

/* What the kernel does is seen; a time that was set stays until it does more. */
TEST(attributes_follow)
{
	struct vattr_set old = {.vs_valid = VS_MTIME | VS_ATIME,
	    .vs_mtime = {1000, 1},
	    .vs_atime = {2000, 2}};
	struct vattr_set ahead = {.vs_valid = VS_MTIME, .vs_mtime = {4000000000, 1}};
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	struct file *f;
	struct vattr va;
	int fd;

	world_init(&w);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	CHECK_EQ(vop_setattr(vp, NULL, &old, &t_cred), 0);
	f = lend(vp, O_RDWR, &fd);
	va = attr(vp);
	CHECK_EQ(va.va_mtime.tv_sec, 1000);
	CHECK_EQ(va.va_atime.tv_nsec, 2);
	CHECK_EQ(pwrite(fd, src, 5 * PG, PG), 5 * PG);
	va = attr(vp);
	CHECK_EQ(va.va_size, 6 * PG);
	CHECK_EQ(va.va_blocks_blk, 5 * PG / 512);
	CHECK(va.va_mtime.tv_sec > 1000000000);
	CHECK_EQ(vop_setattr(vp, f, &ahead, &t_cred), 0);
	CHECK_EQ(attr(vp).va_mtime.tv_sec, 4000000000);
	CHECK_EQ(attr(vp).va_atime.tv_sec, 2000);
	CHECK_EQ(pwrite(fd, src, 1, 0), 1);
	CHECK(attr(vp).va_mtime.tv_sec < 4000000000);
	CHECK_EQ(vop_setattr(vp, f, &old, &t_cred), 0);
	vop_close(f);
	age(&w);
	CHECK(!is_apart(vp));
	va = attr(vp);
	CHECK_EQ(va.va_mtime.tv_sec, 1000);
	CHECK_EQ(va.va_mtime.tv_nsec, 1);
	CHECK_EQ(va.va_size, 6 * PG);
	CHECK_EQ(va.va_blocks_blk, 6 * PG / 512);
}

/* Opening is no change, nor is setting times back; what the kernel writes is. */
TEST(opening_is_no_change)
{
	struct vattr_set old = {.vs_valid = VS_MTIME | VS_ATIME, .vs_mtime = {1000, 1}};
	const struct timespec moment = {.tv_nsec = 20000000};
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	struct timespec was;
	struct file *f;
	int fd;

	world_init(&w);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	CHECK_EQ(v_write(vp, src, 100, 0), 100);
	CHECK_EQ(vop_setattr(vp, NULL, &old, &t_cred), 0);
	was = attr(vp).va_ctime;
	nanosleep(&moment, NULL);
	f = lend(vp, O_RDWR, &fd);
	CHECK_EQ(attr(vp).va_ctime.tv_sec, was.tv_sec);
	CHECK_EQ(attr(vp).va_ctime.tv_nsec, was.tv_nsec);
	CHECK_EQ(pwrite(fd, src, 1, 0), 1);
	CHECK(attr(vp).va_ctime.tv_sec > was.tv_sec ||
	      attr(vp).va_ctime.tv_nsec > was.tv_nsec);
	vop_close(f);
}

/* What is small goes back when it is closed, with all that it has; not while it is mapped. */
TEST(small_ones_go_back)
{
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	struct file *f;
	char path[64], *map;
	int fd, other;

	world_init(&w);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	f = lend(vp, O_RDWR, &fd);
	memset(src, 'x', sizeof(src));
	CHECK_EQ(pwrite(fd, src, 100, 3 * PG), 100);
	CHECK_EQ(pwrite(fd, src, 100, 0), 100);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	map = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	CHECK(other >= 0 && map != MAP_FAILED);
	close(other);
	vop_close(f);
	age(&w);
	CHECK(is_apart(vp));
	map[1] = 'y';
	munmap(map, PG);
	f = lend(vp, O_RDONLY, &fd);
	vop_close(f);
	age(&w);
	CHECK(!is_apart(vp));
	CHECK_EQ(size_of(vp), 3 * PG + 100);
	CHECK_EQ(held_by(vp), 2 * PG);
	CHECK_EQ(usage(&w).ru_size_used, 2 * PG);
	CHECK_EQ(v_read(vp, got, 4 * PG, 0), 3 * PG + 100);
	CHECK(got[0] == 'x' && got[1] == 'y' && got[100] == 0 && got[3 * PG + 99] == 'x');
	/* Read only, it stays where it is; large, too. */
	CHECK_EQ(vop_open(vp, O_RDONLY, &t_cred, &f), 0);
	CHECK_EQ(vop_backing(vp, f, &fd), -EOPNOTSUPP);
	vop_close(f);
	f = lend(vp, O_RDWR, &fd);
	CHECK_EQ(pread(fd, got, 4 * PG, 0), 3 * PG + 100);
	CHECK(got[1] == 'y' && got[3 * PG] == 'x');
	CHECK_EQ(pwrite(fd, src, 40 * PG, 0), 40 * PG);
	vop_close(f);
	age(&w);
	CHECK(is_apart(vp));
	CHECK_EQ(usage(&w).ru_size_used, 40 * PG);
}

/* chattr: what may only be appended to is not lent, nor is what does not note when it is read. */
TEST(flags_keep_it_here)
{
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	struct file *f;
	struct rumpfs_node *rn;
	int fd;

	world_init(&w);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	f = lend(vp, O_RDWR, &fd);
	rn = rumpfs_node_of(vp);
	rn->rn_flags = FS_APPEND_FL;
	CHECK_EQ(vop_backing(vp, f, &fd), -EPERM);
	rn->rn_flags = FS_NOATIME_FL;
	CHECK_EQ(vop_backing(vp, f, &fd), -EOPNOTSUPP);
	rn->rn_flags = 0;
	CHECK_EQ(vop_backing(vp, f, &fd), 0);
	rn->rn_mode = 04755;
	CHECK_EQ(vop_backing(vp, f, &fd), -EOPNOTSUPP);
	vop_close(f);
}

/* What there was no room to move is tried again when it has been closed, or emptied. */
TEST(moving_is_tried_again)
{
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	AUTO_VNODE other = NULL;
	struct file *f;
	int fd;

	CHECK_EQ(world_init_sized(&w, 16 * PG, 0), 0);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	other = file_called(&w, "/other");
	CHECK_EQ(v_write(vp, src, 4 * PG, 0), 4 * PG);
	for (int how = 0; how < 2; how++) {
		CHECK_EQ(v_write(other, src, 12 * PG, 0), 12 * PG);
		CHECK_EQ(vop_open(vp, O_RDWR, &t_cred, &f), 0);
		CHECK_EQ(vop_backing(vp, f, &fd), -EOPNOTSUPP);
		CHECK_EQ(truncate_to(other, 0), 0);
		CHECK_EQ(vop_backing(vp, f, &fd), -EOPNOTSUPP);
		if (how == 0) {
			vop_close(f);
			CHECK_EQ(vop_open(vp, O_RDWR, &t_cred, &f), 0);
			CHECK_EQ(vop_backing(vp, f, &fd), 0);
			vop_close(f);
			age(&w);
			CHECK(!is_apart(vp));
			continue;
		}
		CHECK_EQ(truncate_to(vp, 0), 0);
		CHECK_EQ(vop_backing(vp, f, &fd), 0);
		vop_close(f);
	}
}

TEST(another_size)
{
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	struct file *f;
	int fd;

	CHECK_EQ(world_init_sized(&w, 16 * PG, 0), 0);
	NEEDS_STORE(w);
	vp = file_called(&w, "/f");
	f = lend(vp, O_RDWR, &fd);
	CHECK_EQ(pwrite(fd, src, 20 * PG, 0), 16 * PG);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 15 * PG, 0), -EBUSY);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 18 * PG, 0), 0);
	CHECK_EQ(pwrite(fd, src, 20 * PG, 0), 18 * PG);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 0, 0), 0);
	CHECK_EQ(pwrite(fd, src, 40 * PG, 0), 40 * PG);
	CHECK_EQ(usage(&w).ru_size_used, 40 * PG);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 40 * PG, 0), 0);
	CHECK_EQ(pwrite(fd, src, PG, 40 * PG), -1);
	vop_close(f);
}

/* What was there before the store counts. */
TEST(made_before)
{
	struct rumpfs_store *st;
	AUTO_WORLD w;
	AUTO_VNODE a = NULL;

	made = 1;
	CHECK_EQ(world_init_bare(&w, 16 * PG, 0), 0);
	a = file_called(&w, "/a");
	CHECK_EQ(v_write(a, src, 5 * PG, 0), 5 * PG);
	if (store_new(16 * PG, &st) < 0)
		SKIP("no tmpfs of one's own to be had");
	CHECK_EQ(rumpfs_store_use(w.root->v_mount, st), 0);
	CHECK_EQ(usage(&w).ru_size_used, 5 * PG);
	CHECK_EQ(v_write(a, src, 20 * PG, 0), 16 * PG);
	CHECK_EQ(usage(&w).ru_size_used, 16 * PG);
	CHECK_EQ(truncate_to(a, 0), 0);
	CHECK_EQ(usage(&w).ru_size_used, 0);
}
