/*
 * Being told of changes: inotify.
 *
 * A watch is set on the very directory behind an fd.  Setting it again gives the same
 * number.  A file system that others can change without this kernel seeing it, one on a
 * network or behind a daemon, would be silent: those that are known not to be are listed,
 * and no other is watched.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include "hostcalls/hc_private.h"

#define XFS_MAGIC      0x58465342
#define F2FS_MAGIC     0xf2f52010
#define ZFS_MAGIC      0x2fc12fc1
#define BCACHEFS_MAGIC 0xca451a4e
#define EXFAT_MAGIC    0x2011bab0
#define NTFS3_MAGIC    0x7366746e

#define MASK                                                                           \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB | \
	    IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

int
hc_watch_new(void)
{
	HC_ENTER("watch_new");
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static bool
is_local(const struct statfs *sf)
{
	switch ((uint32_t)sf->f_type) {
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 too */
	case OVERLAYFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case XFS_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_MAGIC:
	case ZFS_MAGIC:
	case BCACHEFS_MAGIC:
	case MSDOS_SUPER_MAGIC:
	case EXFAT_MAGIC:
	case NTFS3_MAGIC:
		return true;
	default:
		return false;
	}
}

bool
hc_is_near(int fd)
{
	HC_ENTER_NOFAIL("is_near");
	struct statfs sf;

	return TEMP_FAILURE_RETRY(fstatfs(fd, &sf)) == 0 && is_local(&sf);
}

int
hc_watch_add(int watch_fd, int dirfd)
{
	HC_ENTER("watch_add");
	struct hc_fd_name fn;
	struct statfs sf;
	int wd;

	if (TEMP_FAILURE_RETRY(fstatfs(dirfd, &sf)) < 0)
		return -errno;
	if (!is_local(&sf))
		return -EOPNOTSUPP;
	hc_fd_name(&fn, dirfd);
	wd = inotify_add_watch(watch_fd, fn.fn_abs, MASK);
	return wd < 0 ? -errno : wd;
}

void
hc_watch_del(int watch_fd, int wd)
{
	int saved = errno;

	HC_ENTER_NOFAIL("watch_del");
	/* It may have gone with its directory. */
	(void)inotify_rm_watch(watch_fd, wd);
	errno = saved;
}

int
hc_watch_stop_new(void)
{
	HC_ENTER("watch_stop_new");
	int fd = eventfd(0, EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void
hc_watch_stop(int stop_fd)
{
	HC_ENTER_NOFAIL("watch_stop");
	(void)eventfd_write(stop_fd, 1);
}

int
hc_watch_wait(int watch_fd, int stop_fd)
{
	HC_ENTER("watch_wait");
	struct pollfd p[2] = {
	    {.fd = stop_fd, .events = POLLIN},
	    {.fd = watch_fd, .events = POLLIN},
	};

	if (TEMP_FAILURE_RETRY(poll(p, 2, -1)) < 0)
		return -errno;
	return p[0].revents ? 0 : 1;
}

int
hc_mounts_new(void)
{
	HC_ENTER("mounts_new");
	int fd =
	    openat(hc_g.g_proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

int
hc_late_wait(int watch_fd, int mounts_fd, int wake_fd, int ms)
{
	HC_ENTER("late_wait");
	struct pollfd p[3] = {
	    {.fd = watch_fd, .events = POLLIN},
	    /* The kernel notes with the fd what has been told. */
	    {.fd = mounts_fd, .events = POLLPRI},
	    {.fd = wake_fd, .events = POLLIN},
	};
	eventfd_t n;
	int r = poll(p, 3, ms);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[2].revents)
		(void)eventfd_read(wake_fd, &n);
	return (p[0].revents ? HC_LATE_EVENTS : 0) | (p[1].revents ? HC_LATE_MOUNTS : 0) |
	       (p[2].revents ? HC_LATE_WOKEN : 0);
}

ssize_t
hc_watch_read(int watch_fd, void *buf, size_t cap)
{
	HC_ENTER("watch_read");
	ssize_t n = TEMP_FAILURE_RETRY(read(watch_fd, buf, cap));

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

bool
hc_watch_next(const void *buf, size_t len, size_t *at, struct hc_event *ret)
{
	struct inotify_event ev;
	const char *p = (const char *)buf + *at;

	if (len - *at < sizeof(ev))
		return false;
	memcpy(&ev, p, sizeof(ev));
	*at += sizeof(ev) + ev.len;
	*ret = (struct hc_event){
	    .he_wd = ev.wd,
	    .he_name = ev.len ? p + sizeof(ev) : "",
	    .he_name_changed =
		ev.mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO),
	    .he_came_new = ev.mask & IN_CREATE,
	    .he_gone = ev.mask & (IN_IGNORED | IN_UNMOUNT),
	    .he_moved = ev.mask & IN_MOVE_SELF,
	    .he_lost = ev.mask & IN_Q_OVERFLOW,
	};
	return true;
}
