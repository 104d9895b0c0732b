/*
 * Directories: listing them, and making, linking, renaming and removing names.
 *
 * Every name is checked as for opening (hc_name_check()); none of these calls follows a
 * symlink in its last component, and there is no other component.  None of them enters
 * what is mounted on a name either: a mount point is EEXIST or EBUSY.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostcalls/hc_private.h"

int
hc_getdents(int fd, int64_t pos, void *buf, size_t cap, size_t *ret_len)
{
	HC_ENTER("getdents");
	/* Seeking to where it stands costs one call and the file system nothing; asking
	 * first where it stands would cost one call more often than it saves one. */
	if (lseek(fd, (off_t)pos, SEEK_SET) < 0)
		return -errno;
	long n = TEMP_FAILURE_RETRY(syscall(SYS_getdents64, fd, buf, cap));
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

/* The process has one umask for all threads, until a thread takes leave of what they share
 * (its root and working directory among it, which nobody changes).  It is set only where it
 * differs from the last one: most callers have the same. */
int
hc_umask(mode_t mask)
{
	static _Thread_local bool own;
	static _Thread_local mode_t current;

	if (own && current == mask)
		return 0;
	HC_ENTER("umask");
	if (!own && unshare(CLONE_FS) < 0)
		return -errno;
	own = true;
	current = mask & 0777;
	umask(current);
	return 0;
}

int
hc_mkdir(int dirfd, const char *name, mode_t mode)
{
	HC_ENTER("mkdir");
	int err = hc_name_check(name);
	if (err)
		return err;
	return TEMP_FAILURE_RETRY(mkdirat(dirfd, name, mode)) < 0 ? -errno : 0;
}

int
hc_mknod(int dirfd, const char *name, mode_t mode, dev_t rdev)
{
	HC_ENTER("mknod");
	int err = hc_name_check(name);
	if (err)
		return err;
	return TEMP_FAILURE_RETRY(mknodat(dirfd, name, mode, rdev)) < 0 ? -errno : 0;
}

int
hc_symlink(const char *target, int dirfd, const char *name)
{
	HC_ENTER("symlink");
	int err = hc_name_check(name);
	if (err)
		return err;
	return TEMP_FAILURE_RETRY(symlinkat(target, dirfd, name)) < 0 ? -errno : 0;
}

int
hc_link(int fd, int dirfd, const char *name)
{
	HC_ENTER("link");
	struct hc_fd_name fn;
	int err = hc_name_check(name);
	if (err)
		return err;
	/* AT_EMPTY_PATH would do without /proc but needs a capability that is gone while
	 * we act as a caller.  AT_SYMLINK_FOLLOW follows the link in /proc and stops at
	 * the file, which may be a symlink itself. */
	hc_fd_name(&fn, fd);
	if (TEMP_FAILURE_RETRY(linkat(
		hc_g.g_proc_fd, hc_fd_rel(&fn), dirfd, name, AT_SYMLINK_FOLLOW)) < 0)
		return -errno;
	return 0;
}

int
hc_unlink(int dirfd, const char *name, bool dir)
{
	HC_ENTER("unlink");
	int err = hc_name_check(name);
	if (err)
		return err;
	if (TEMP_FAILURE_RETRY(unlinkat(dirfd, name, dir ? AT_REMOVEDIR : 0)) < 0)
		return -errno;
	return 0;
}

int
hc_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
	HC_ENTER("rename");
	int err = hc_name_check(from);
	if (!err)
		err = hc_name_check(to);
	if (err)
		return err;
	if (TEMP_FAILURE_RETRY(renameat2(from_dirfd, from, to_dirfd, to, flags)) < 0)
		return -errno;
	return 0;
}

int
hc_readlink(int fd, char *buf, size_t cap, size_t *ret_len)
{
	HC_ENTER("readlink");
	ssize_t n = TEMP_FAILURE_RETRY(readlinkat(fd, "", buf, cap));
	/* With an empty path, "not a symlink" is said as ENOENT. */
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	*ret_len = (size_t)n;
	return 0;
}
