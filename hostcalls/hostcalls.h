/*
 * Host calls: the whole boundary between rumpfuse and the files of the host.
 *
 * No other code opens, reads, names or changes a host file (one exception: the FUSE front
 * end moves bytes between the kernel and an fd that it was lent, by splice).  All calls
 *   – return 0, a count or an fd on success and -errno on failure, results through ret_…
 *     pointers that are untouched on failure;
 *   – work relative to a directory fd, one name at a time; names have no slash;
 *   – never follow a symlink that the host could have put there (hc_open_root() is the one
 *     exception, used when a key is registered);
 *   – make close-on-exec fds, and are repeated when a signal interrupts them (EINTR reaches
 *     the caller only where it means something else: waiting locks);
 *   – take no lock and are called with none held: checked builds call hc_hook first.
 *
 * Leaving a mapping: a step that would (a symlink, "..", a magic link) fails with -EACCES.
 * A directory that is our own mount is refused with -EDEADLK: asking the host about it
 * would ask ourselves (hc_own_mount()).
 *
 * Fault injection (builds with -Dchecked=true): hc_fault_set(n, errno) makes the n-th host
 * call from now fail before it does anything.
 *
 * Units: bytes, unless a name says otherwise.
 */
#ifndef RF_HOSTCALLS_H
#define RF_HOSTCALLS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* Probes once what the kernel offers (openat2, fchmodat2, statx mount ids, file handles …).
 * Called before any other; calling it again does nothing.  0 or -errno. */
int hc_init(void);

struct hc_features {
	bool hf_openat2;
	bool hf_fchmodat2;
	bool hf_handles;    /* open_by_handle_at() is permitted */
	bool hf_privileged; /* may act as another user (setfsuid, setgroups) */
};
const struct hc_features *hc_features(void);

/* Called before every host call if set (checked builds: "no lock is held"). */
extern void (*hc_hook)(const char *call);

/* What statx says, without its masks. */
struct hc_stat {
	uint64_t hs_dev, hs_ino; /* dev: as dev_t */
	uint64_t hs_nlink, hs_rdev, hs_size;
	uint64_t hs_blocks_blk; /* 512-byte units */
	uint32_t hs_mode, hs_uid, hs_gid, hs_blksize;
	uint64_t hs_append; /* not 0: may only be appended to, as far as is known */
	struct timespec hs_atime, hs_mtime, hs_ctime;
	struct timespec hs_btime; /* 0.0 where the host does not keep it */
};

/* A file's identity for reopening it after its fd was closed; opaque. */
struct hc_handle {
	uint32_t hh_len;
	int32_t hh_type;
	unsigned char hh_bytes[];
};

/* Closing.  -1 is allowed and does nothing. */
void hc_close(int fd);
static inline void
hc_close_p(int *fd)
{
	hc_close(*fd);
}
#define AUTO_FD __attribute__((cleanup(hc_close_p))) int

/* Opening.  flags as open(2); O_CLOEXEC is added.  All return the fd. */

/* What a configuration names: an absolute path or one relative to the working directory,
 * symlinks followed.  The only call that takes a path of several components. */
int hc_open_root(const char *path, int flags);
/* The entry name of dirfd, never a symlink's target: O_NOFOLLOW is added, so that with
 * O_PATH a symlink itself is opened, and without it a symlink is -ELOOP. */
int hc_open_beneath(int dirfd, const char *name, int flags, mode_t mode);
/* A file without a name in the directory dirfd (O_TMPFILE is added; O_EXCL: it cannot be
 * given one by hc_link()).  -EOPNOTSUPP where the host file system has none. */
int hc_open_tmpfile(int dirfd, int flags, mode_t mode);
/* The same file as fd (any fd, O_PATH too), opened anew with flags. */
int hc_reopen(int fd, int flags);
/* *ret_handle is allocated, for free().  -EOPNOTSUPP where the host has none or we may not
 * open by it. */
int hc_handle_get(int fd, struct hc_handle **ret_handle);
/* mount_fd: any fd of that file system.  -ESTALE: the file is gone. */
int hc_handle_open(int mount_fd, const struct hc_handle *h, int flags);

/* 1 if the directory fd is the directory rootfd or lies below it, 0 if it does not, or
 * -errno.  Both may be O_PATH. */
int hc_inside(int fd, int rootfd);
/* The path of fd (any, O_PATH too) as the kernel's tables have it: no file system is asked,
 * so that this never waits.  A NUL ends it.  -ENOENT: it has none; -ENAMETOOLONG. */
int hc_path(int fd, char *buf, size_t cap);
/* A number that tells one life of an inode from the next, where its file system keeps
 * one: two files that had the same inode number one after the other differ in it.  Never
 * 0.  -EOPNOTSUPP: there is none. */
int hc_generation(int fd, uint64_t *ret);

/* Attributes.  fd may be O_PATH throughout. */
int hc_stat(int fd, struct hc_stat *ret);
int hc_stat_beneath(int dirfd, const char *name, struct hc_stat *ret);
int hc_chmod(int fd, mode_t mode);
int hc_chown(int fd, uid_t uid, gid_t gid);          /* (uid_t)-1: as it is */
int hc_utimens(int fd, const struct timespec ts[2]); /* UTIME_NOW, UTIME_OMIT */
int hc_truncate(int fd, uint64_t size);              /* fd may be O_PATH or O_RDONLY */
int hc_statvfs(int fd, struct statvfs *ret);
/* Bytes of what fd refers to: st_size of a regular file, BLKGETSIZE64 of a block device,
 * or -EOPNOTSUPP for anything that has no size.  The fd must be open for reading. */
int hc_size(int fd, uint64_t *ret_size);

/* Data.  Counts are bytes moved; short only at the end of the file or device, or after an
 * error that the next call will report. */
ssize_t hc_pread(int fd, void *buf, size_t len, uint64_t off);
ssize_t hc_pwrite(int fd, const void *buf, size_t len, uint64_t off);
/* Writes at the end of the file, wherever that is by then, in one step with finding it. */
ssize_t hc_append(int fd, const void *buf, size_t len);
ssize_t hc_preadv(int fd, const struct iovec *iov, int n, uint64_t off);
ssize_t hc_pwritev(int fd, const struct iovec *iov, int n, uint64_t off);
ssize_t hc_copy_range(
    int fd_in, uint64_t off_in, int fd_out, uint64_t off_out, size_t len);
int hc_fallocate(int fd, int mode, uint64_t off, uint64_t len);
int hc_seek(
    int fd, uint64_t off, int whence, uint64_t *ret_off); /* SEEK_DATA, SEEK_HOLE */
int hc_fsync(int fd, bool datasync);
/* What close(2) would report of writes that were put off, without closing. */
int hc_flush(int fd);
/* ioctl(2) on a block device or file, for those that take a plain argument. */
int hc_ioctl(int fd, unsigned long cmd, void *arg);

/* Directories. */
struct hc_dirent { /* as getdents64 lays it out */
	uint64_t hd_ino;
	int64_t hd_off; /* the position after this entry: stable, for hc_getdents() */
	uint16_t hd_reclen;
	uint8_t hd_type; /* DT_* */
	char hd_name[];
};
/* Fills buf (8-byte aligned) with entries after position pos (0: the start); *ret_len
 * bytes, 0 at the end.  Moves fd's position: one caller at a time. */
int hc_getdents(int fd, int64_t pos, void *buf, size_t cap, size_t *ret_len);

/* What the calls below and opening with O_CREAT take off the mode, unless the directory
 * has a default ACL.  Of the calling thread alone, and in force until it is set anew.
 * 0 or -errno: threads cannot have one of their own here. */
int hc_umask(mode_t mask);
int hc_mkdir(int dirfd, const char *name, mode_t mode);
int hc_mknod(int dirfd, const char *name, mode_t mode, dev_t rdev);
int hc_symlink(const char *target, int dirfd, const char *name);
/* fd: of the file (O_PATH will do); never follows. */
int hc_link(int fd, int dirfd, const char *name);
int hc_unlink(int dirfd, const char *name, bool dir);
int hc_rename(
    int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);
int hc_readlink(
    int fd, char *buf, size_t cap, size_t *ret_len); /* O_PATH fd of a symlink */

/* Extended attributes; fd may be O_PATH and may be a symlink's.  size 0 asks. */
int hc_getxattr(int fd, const char *name, void *buf, size_t size, size_t *ret_len);
int hc_setxattr(int fd, const char *name, const void *value, size_t size, int flags);
int hc_listxattr(int fd, char *buf, size_t size, size_t *ret_len);
int hc_removexattr(int fd, const char *name);

/*
 * Locks against other processes: open file description locks, never waiting.  type is
 * F_RDLCK, F_WRLCK or F_UNLCK; len 0 locks to the end of file whatever it becomes.
 * -EAGAIN: refused; *ret_pid (if not NULL) is the holder's, or 0 or -1 if not known.
 */
int hc_lock(int fd, int type, uint64_t off, uint64_t len, pid_t *ret_pid);

/*
 * The partition spec of the disk behind fd, by number (from 1), PARTLABEL or PARTUUID, in
 * that order, through libblkid.  -ENOENT: a table, but no such partition; -ENODATA: no
 * partition table; -EEXIST: several have this PARTLABEL.
 */
int hc_partition(int fd, const char *spec, uint64_t *ret_begin, uint64_t *ret_size);

/*
 * Being told of changes in directories (inotify).
 */

/* One change, as hc_watch_next() reads it. */
struct hc_event {
	int he_wd;            /* which watch; he_lost: none */
	const char *he_name;  /* the name it is about, "" if it is the directory itself */
	bool he_name_changed; /* the name came, went or means another file */
	bool he_came_new;     /* it came, not by a rename */
	bool he_gone;         /* the watch is over: the directory has gone */
	bool he_moved;        /* the directory itself was moved */
	bool he_lost;         /* there were more than could be kept */
};
/* The fd of a queue of events, for hc_close(). */
int hc_watch_new(void);
/* The number of the watch on the directory dirfd (O_PATH will do), from 1.  -ENOSPC: there
 * are as many as the system allows; -EOPNOTSUPP: others can change this file system without
 * this system being told. */
int hc_watch_add(int watch_fd, int dirfd);
/* Is the file system of fd one of this system's own, which answers whatever others do?  (The
 * same whose changes are told.) */
bool hc_is_near(int fd);
void hc_watch_del(int watch_fd, int wd);
/* An fd to stop waiting by, for hc_close(). */
int hc_watch_stop_new(void);
void hc_watch_stop(int stop_fd);
/* Waits.  1: there are events, 0: stop_fd has something to read, or -errno. */
int hc_watch_wait(int watch_fd, int stop_fd);
/* An fd that tells of changes of the mount table, for hc_close(). */
int hc_mounts_new(void);
/* Waits for any of them, each of which may be -1, for at most ms (-1: for ever): which of
 * them there are, 0: the time is over, or -errno.  That it was woken is forgotten by that. */
#define HC_LATE_EVENTS 1
#define HC_LATE_MOUNTS 2
#define HC_LATE_WOKEN  4
int hc_late_wait(int watch_fd, int mounts_fd, int wake_fd, int ms);
/* What there is, up to cap bytes; 0: nothing.  Does not wait. */
ssize_t hc_watch_read(int watch_fd, void *buf, size_t cap);
/* The event at *at of what was read (no host call); false at the end. */
bool hc_watch_next(const void *buf, size_t len, size_t *at, struct hc_event *ret);

/*
 * Acting as a caller.  Between hc_become() and hc_unbecome() the calling thread's host
 * calls are made with this user, group and the supplementary groups of process pid (0:
 * none).  Does nothing where uid and gid are the daemon's own, or the daemon may not.
 * 0 or -errno (then nothing is changed).  Not nested.
 */
int hc_become(uid_t uid, gid_t gid, pid_t pid);
void hc_unbecome(void);

/*
 * Tells which device (st_dev) our own mount is, so that a mapped directory that contains
 * it is recognised; 0 forgets.  hc_own_mount_of() finds it out from the mount table for a
 * mount point, without asking the mount: 0 or -ENOENT.
 */
void hc_own_mount(uint64_t dev);
int hc_own_mount_of(const char *mountpoint, uint64_t *ret_dev);

/* Raises the limit of open files as far as permitted and tells it. */
uint64_t hc_raise_nofile(void);

/* Fault injection.  n counts from 1; 0 switches it off.  Counts and errnos are of the
 * whole process.  hc_fault_calls(): host calls since the last hc_fault_set().  Without
 * RF_CHECKED they do nothing and say 0. */
void hc_fault_set(unsigned long n, int err);
unsigned long hc_fault_calls(void);

#endif
