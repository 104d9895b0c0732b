/*
 * Where a directory is, and which file it is.
 *
 * Containment.  Whether a directory lies below another is asked of the kernel's own path
 * of both (/proc/self/fd), which does not care what is mounted over the way, and needs no
 * permission on it.  That is an answer only within one mount and where the path fits into
 * a page; else the question is put to the directory above, and so on upward.  A step up
 * stays within the mount if it can: what is above may lie under our own mount, which must
 * not be asked (hc_refuse_own()).
 *
 * The root is asked before and after, so that a rename of the root between the two is not
 * mistaken for anything else.
 */
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "hostcalls/hc_private.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000
#endif

#define UP_FLAGS   (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define DEPTH_MAX  65536u
#define PATH_TRIES 4
#define PATH_EVERY 64u
#define UNDECIDED  2

struct spot {
	uint64_t sp_dev, sp_ino;
	uint64_t sp_mnt; /* 0: the kernel does not say */
};

static int
spot_of(int fd, struct spot *ret)
{
	struct statx x;

	if (TEMP_FAILURE_RETRY(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_INO | STATX_MNT_ID, &x)) < 0)
		return -errno;
	*ret = (struct spot){
	    .sp_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
	    .sp_ino = x.stx_ino,
	    .sp_mnt = x.stx_mask & STATX_MNT_ID ? x.stx_mnt_id : 0,
	};
	return 0;
}

static bool
same_spot(const struct spot *a, const struct spot *b)
{
	return a->sp_dev == b->sp_dev && a->sp_ino == b->sp_ino && a->sp_mnt == b->sp_mnt;
}

/* The length of the kernel's path of fd, in buf; 0: there is none, or it is too long. */
static size_t
path_of(int fd, char buf[PATH_MAX])
{
	struct hc_fd_name fn;

	hc_fd_name(&fn, fd);
	ssize_t n = readlinkat(hc_g.g_proc_fd, hc_fd_rel(&fn), buf, PATH_MAX);
	return n <= 0 || n >= PATH_MAX || buf[0] != '/' ? 0 : (size_t)n;
}

int
hc_path(int fd, char *buf, size_t cap)
{
	char path[PATH_MAX];
	size_t n = path_of(fd, path);

	if (n == 0)
		return -ENOENT;
	if (n >= cap)
		return -ENAMETOOLONG;
	memcpy(buf, path, n);
	buf[n] = '\0';
	return 0;
}

/* 1, 0, or UNDECIDED. */
static int
below_by_path(int fd, int rootfd)
{
	char root[PATH_MAX], again[PATH_MAX], path[PATH_MAX];

	for (int tries = 0; tries < PATH_TRIES; tries++) {
		size_t nroot, npath, nagain;

		nroot = path_of(rootfd, root);
		npath = nroot ? path_of(fd, path) : 0;
		nagain = npath ? path_of(rootfd, again) : 0;
		if (!nagain)
			return UNDECIDED;
		if (nroot != nagain || memcmp(root, again, nroot) != 0)
			continue;
		if (nroot == 1)
			return 1;
		return npath >= nroot && memcmp(path, root, nroot) == 0 &&
		       (npath == nroot || path[nroot] == '/');
	}
	return UNDECIDED;
}

/* The directory above, as O_PATH. */
static int
step_up(int fd)
{
	struct open_how how = {.flags = UP_FLAGS, .resolve = RESOLVE_NO_XDEV};
	int up, err;

	if (hc_g.g_has.hf_openat2) {
		up = (int)TEMP_FAILURE_RETRY(
		    syscall(SYS_openat2, fd, "..", &how, sizeof(how)));
		if (up >= 0 || errno != EXDEV)
			return up < 0 ? -errno : up;
	}
	up = (int)TEMP_FAILURE_RETRY(openat(fd, "..", UP_FLAGS));
	if (up < 0)
		return -errno;
	err = hc_refuse_own(up);
	if (err) {
		close(up);
		return err;
	}
	return up;
}

int
hc_inside(int fd, int rootfd)
{
	HC_ENTER("inside");
	struct spot root, at, above;
	AUTO_FD own = -1;
	int r = spot_of(rootfd, &root);

	if (r == 0)
		r = spot_of(fd, &at);
	for (unsigned depth = 0; r == 0 && depth < DEPTH_MAX; depth++) {
		if (same_spot(&at, &root))
			return 1;
		/* A path that does not fit will not a few steps further up either. */
		if (depth % PATH_EVERY == 0 && root.sp_mnt && at.sp_mnt == root.sp_mnt) {
			r = below_by_path(fd, rootfd);
			if (r != UNDECIDED)
				return r;
		}
		r = step_up(fd);
		if (r < 0)
			break;
		if (own >= 0)
			close(own);
		fd = own = r;
		r = spot_of(fd, &above);
		if (r == 0 && same_spot(&at, &above))
			return 0;
		at = above;
	}
	/* -ENOENT: the directory is not below the root of the mount it is seen in. */
	return r == -ENOENT || r == 0 ? 0 : r;
}

int
hc_generation(int fd, uint64_t *ret)
{
	HC_ENTER("generation");
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.fh = {.handle_bytes = MAX_HANDLE_SZ}};
	const unsigned char *b;
	uint64_t x = 0xcbf29ce484222325ull;
	int mount_id;

	if (name_to_handle_at(fd, "", &h.fh, &mount_id, AT_EMPTY_PATH) < 0)
		return errno == EOVERFLOW ? -EOPNOTSUPP : -errno;
	x ^= (unsigned)h.fh.handle_type;
	b = (const unsigned char *)h.room + offsetof(struct file_handle, f_handle);
	for (unsigned i = 0; i < h.fh.handle_bytes; i++)
		x = (x ^ b[i]) * 0x100000001b3ull;
	x ^= x >> 32;
	*ret = x ? x : 1;
	return 0;
}
