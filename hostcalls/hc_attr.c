/*
 * Attributes: stat, mode, owner, times, length, the file system's numbers, xattrs.
 *
 * Everything is done to an fd that may be O_PATH.  Where the kernel wants a path, it is
 * the fd's name in /proc.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "hostcalls/hc_private.h"

static struct timespec
to_timespec(struct statx_timestamp t)
{
	return (struct timespec){.tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec};
}

int
hc_do_stat(int fd, struct hc_stat *ret)
{
	struct statx x;

	if (TEMP_FAILURE_RETRY(
		statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x)) < 0)
		return -errno;
	*ret = (struct hc_stat){
	    .hs_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
	    .hs_ino = x.stx_ino,
	    .hs_nlink = x.stx_nlink,
	    .hs_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor),
	    .hs_size = x.stx_size,
	    .hs_blocks_blk = x.stx_blocks,
	    .hs_mode = x.stx_mode,
	    .hs_uid = x.stx_uid,
	    .hs_gid = x.stx_gid,
	    .hs_blksize = x.stx_blksize,
	    .hs_append = (x.stx_attributes & STATX_ATTR_APPEND) != 0,
	    .hs_atime = to_timespec(x.stx_atime),
	    .hs_mtime = to_timespec(x.stx_mtime),
	    .hs_ctime = to_timespec(x.stx_ctime),
	};
	if (x.stx_mask & STATX_BTIME)
		ret->hs_btime = to_timespec(x.stx_btime);
	return 0;
}

int
hc_stat(int fd, struct hc_stat *ret)
{
	HC_ENTER("stat");
	return hc_do_stat(fd, ret);
}

/* By way of an fd, because statx on a name would go through a mount point, and if that is
 * our own, wait for us. */
int
hc_stat_beneath(int dirfd, const char *name, struct hc_stat *ret)
{
	HC_ENTER("stat_beneath");
	AUTO_FD fd = hc_do_open_beneath(dirfd, name, O_PATH, 0);
	if (fd < 0)
		return fd;
	return hc_do_stat(fd, ret);
}

int
hc_chmod(int fd, mode_t mode)
{
	HC_ENTER("chmod");
	struct hc_fd_name fn;

	mode &= 07777;
#ifdef SYS_fchmodat2
	if (hc_g.g_has.hf_fchmodat2) {
		if (TEMP_FAILURE_RETRY(
			syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH)) < 0)
			return -errno;
		return 0;
	}
#endif
	hc_fd_name(&fn, fd);
	if (TEMP_FAILURE_RETRY(fchmodat(hc_g.g_proc_fd, hc_fd_rel(&fn), mode, 0)) < 0)
		return -errno;
	return 0;
}

int
hc_chown(int fd, uid_t uid, gid_t gid)
{
	HC_ENTER("chown");
	return TEMP_FAILURE_RETRY(fchownat(fd, "", uid, gid, AT_EMPTY_PATH)) < 0 ? -errno
	                                                                         : 0;
}

int
hc_utimens(int fd, const struct timespec ts[2])
{
	HC_ENTER("utimens");
	return TEMP_FAILURE_RETRY(utimensat(fd, "", ts, AT_EMPTY_PATH)) < 0 ? -errno : 0;
}

static bool
open_for_writing(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY;
}

int
hc_truncate(int fd, uint64_t size)
{
	HC_ENTER("truncate");
	struct hc_fd_name fn;

	if (size > INT64_MAX)
		return -EFBIG;
	if (open_for_writing(fd))
		return TEMP_FAILURE_RETRY(ftruncate(fd, (off_t)size)) < 0 ? -errno : 0;
	hc_fd_name(&fn, fd);
	return TEMP_FAILURE_RETRY(truncate(fn.fn_abs, (off_t)size)) < 0 ? -errno : 0;
}

int
hc_statvfs(int fd, struct statvfs *ret)
{
	HC_ENTER("statvfs");
	struct statvfs sv;

	if (TEMP_FAILURE_RETRY(fstatvfs(fd, &sv)) < 0)
		return -errno;
	*ret = sv;
	return 0;
}

/* fgetxattr() and the rest do not take O_PATH fds, and a symlink has no other. */

int
hc_getxattr(int fd, const char *name, void *buf, size_t size, size_t *ret_len)
{
	HC_ENTER("getxattr");
	struct hc_fd_name fn;

	hc_fd_name(&fn, fd);
	ssize_t n = TEMP_FAILURE_RETRY(getxattr(fn.fn_abs, name, buf, size));
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

int
hc_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	HC_ENTER("setxattr");
	struct hc_fd_name fn;

	hc_fd_name(&fn, fd);
	if (TEMP_FAILURE_RETRY(setxattr(fn.fn_abs, name, value, size, flags)) < 0)
		return -errno;
	return 0;
}

int
hc_listxattr(int fd, char *buf, size_t size, size_t *ret_len)
{
	HC_ENTER("listxattr");
	struct hc_fd_name fn;

	hc_fd_name(&fn, fd);
	ssize_t n = TEMP_FAILURE_RETRY(listxattr(fn.fn_abs, buf, size));
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

int
hc_removexattr(int fd, const char *name)
{
	HC_ENTER("removexattr");
	struct hc_fd_name fn;

	hc_fd_name(&fn, fd);
	return TEMP_FAILURE_RETRY(removexattr(fn.fn_abs, name)) < 0 ? -errno : 0;
}
