/*
 * libukfs: file systems as library calls.
 *
 * A program mounts a file system image, or a tree in memory, in its own process, without
 * privileges and without the kernel's knowledge, and uses it by calls that are named after
 * the system calls and behave like them: 0 or a count, else -1 with errno.  All that the
 * calls do is done as if by root of the mounted file system: no permission is checked.
 *
 *	ukfs_init();
 *	fs = ukfs_mount("auto", "disk.img", "/img", UKFS_RDONLY, "partition=2", 11);
 *	n = ukfs_read(fs, "/etc/hostname", 0, buf, sizeof(buf));
 *	ukfs_release(fs, 0);
 *
 * Handles.  A handle's "/" is the root of its mount, ".." does not lead out of it, and
 * symbolic links are followed within it.  Relative paths start at the handle's current
 * directory, which only ukfs_chdir() changes.
 *
 * Threads.  All calls may be made from any thread and on one handle from many; but
 * ukfs_release() of a handle must be the last call on it.
 *
 * Environment.  $UKFS_MODULES is the directory that ukfs_mount() loads file system types
 * from, instead of the one the library was built for.
 *
 * Behaviour and names are those of NetBSD's libukfs; ukfs(3) says where they differ.
 */
#ifndef UKFS_H
#define UKFS_H

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ukfs;
struct ukfs_dircookie;
struct mount;
struct vnode;

#define UKFS_VERSION 1

/* Linux has no such error. */
#ifndef EPROGMISMATCH
#define EPROGMISMATCH EPROTONOSUPPORT
#endif

/* Once per process, before anything else (EPROTO); again it does nothing.  EPROGMISMATCH: the
 * program was compiled for another version of the library. */
int _ukfs_init(int version);
#define ukfs_init() _ukfs_init(UKFS_VERSION)

/* For flags of ukfs_mount(). */
#define UKFS_RDONLY 0x0001 /* every change is EROFS */

/*
 * Mounts.  vfsname is a type of ukfs_vfstypes(), or "auto".  device is a host file; it is
 * ignored by types that lie on none ("rumpfs"), and may be NULL or "" for them.  mountpath
 * is where the file system is in the process's own tree, which is in memory; missing
 * directories are made and stay.  arg is a text of arglen bytes (no NUL is needed), or NULL:
 * "name=value,…" with
 *	begin=, size=	the range of the device, in bytes or with K, M, G, T, s (sectors)
 *	partition=	instead of them: number, PARTLABEL or PARTUUID
 *	nolock		the range is not locked against other processes
 * and what the type knows besides.
 *
 * The device is locked, shared if read-only and else exclusive, against other processes that
 * lock (OFD locks on the range) and against other mounts of this one.
 *
 * NULL with errno: EBUSY it is locked or mounted; ENODEV no such type, or none recognises the
 * image; EINVAL a bad argument, mountpath or range; EUCLEAN the image is damaged; EOPNOTSUPP
 * it has features that the type cannot do; EROFS it cannot be written; EEXIST something is
 * mounted at mountpath; or what opening the device says.  ukfs_why() has the sentence.
 */
struct ukfs *ukfs_mount(const char *vfsname, const char *device, const char *mountpath,
    int flags, const void *arg, size_t arglen);
/* What there is to say of the last ukfs_mount() of this thread: why it failed, or a warning
 * (it is read-only after all, and why).  "" if there is nothing; good until the next one. */
const char *ukfs_why(void);
/* True if changes are EROFS, asked for or not. */
int ukfs_rdonly(struct ukfs *fs);
/* The type of the mounted file system; never "auto". */
const char *ukfs_type(struct ukfs *fs);

/* For ukfs_release(). */
#define UKFS_RELFLAG_NOUNMOUNT 0x01 /* the handle goes, the file system stays mounted */
#define UKFS_RELFLAG_FORCE     0x02 /* although files are open: they see EIO */
/* Unmounts, unlocks and frees.  Non-zero: it could not be unmounted (EBUSY: something is
 * open), and fs is still good.  With one of the flags it always succeeds. */
int ukfs_release(struct ukfs *fs, int flags);
/* Everything that was changed is on the device's disk when it returns. */
int ukfs_sync(struct ukfs *fs);

/*
 * Directories.  Entries come as struct dirent of getdents64(2): d_ino, d_off, d_reclen,
 * d_type, d_name.  Bytes, 0 at the end, -1 with errno (EINVAL: the buffer is too small for
 * one entry); *off, 0 at first, is moved on.  *ret is untouched if opendir fails.
 */
int ukfs_opendir(struct ukfs *fs, const char *path, struct ukfs_dircookie **ret);
ssize_t ukfs_getdents_cookie(
    struct ukfs *fs, struct ukfs_dircookie *c, off_t *off, void *buf, size_t size);
ssize_t ukfs_getdents(
    struct ukfs *fs, const char *path, off_t *off, void *buf, size_t size);
int ukfs_closedir(struct ukfs *fs, struct ukfs_dircookie *c);

/* Files.  A descriptor is a small number of the library's own, good on the handle that
 * opened it.  flags are open(2)'s; without O_CREAT's mode: use ukfs_create(). */
int ukfs_open(struct ukfs *fs, const char *path, int flags);
int ukfs_close(struct ukfs *fs, int fd);
ssize_t ukfs_read(struct ukfs *fs, const char *path, off_t off, void *buf, size_t size);
ssize_t ukfs_read_fd(struct ukfs *fs, int fd, off_t off, void *buf, size_t size);
/* What was written is on the device's disk when it returns. */
ssize_t ukfs_write(
    struct ukfs *fs, const char *path, off_t off, const void *buf, size_t size);
/* The same if sync is not 0. */
ssize_t ukfs_write_fd(
    struct ukfs *fs, int fd, off_t off, const void *buf, size_t size, int sync);
int ukfs_fsync(struct ukfs *fs, int fd);
/* A file that is there is fine, and not truncated. */
int ukfs_create(struct ukfs *fs, const char *path, mode_t mode);
int ukfs_truncate(struct ukfs *fs, const char *path, off_t size);

/* Names.  Modes are taken as they are: the library has no umask. */
int ukfs_mknod(struct ukfs *fs, const char *path, mode_t mode, dev_t dev);
int ukfs_mkfifo(struct ukfs *fs, const char *path, mode_t mode);
int ukfs_mkdir(struct ukfs *fs, const char *path, mode_t mode);
int ukfs_remove(struct ukfs *fs, const char *path); /* as unlink(2) */
int ukfs_rmdir(struct ukfs *fs, const char *path);
int ukfs_link(struct ukfs *fs, const char *path, const char *newpath);
int ukfs_symlink(struct ukfs *fs, const char *target, const char *path);
ssize_t ukfs_readlink(struct ukfs *fs, const char *path, char *buf, size_t size);
int ukfs_rename(struct ukfs *fs, const char *from, const char *to);

/* Attributes.  The l forms act on a symbolic link itself.  flags of chflags are Linux's
 * (FS_IMMUTABLE_FL …). */
int ukfs_stat(struct ukfs *fs, const char *path, struct stat *ret);
int ukfs_lstat(struct ukfs *fs, const char *path, struct stat *ret);
int ukfs_chmod(struct ukfs *fs, const char *path, mode_t mode);
int ukfs_lchmod(struct ukfs *fs, const char *path, mode_t mode);
int ukfs_chown(struct ukfs *fs, const char *path, uid_t uid, gid_t gid);
int ukfs_lchown(struct ukfs *fs, const char *path, uid_t uid, gid_t gid);
int ukfs_chflags(struct ukfs *fs, const char *path, unsigned long flags);
int ukfs_lchflags(struct ukfs *fs, const char *path, unsigned long flags);
int ukfs_utimes(struct ukfs *fs, const char *path, const struct timeval times[2]);
int ukfs_lutimes(struct ukfs *fs, const char *path, const struct timeval times[2]);
/* As utimensat(2), UTIME_NOW and UTIME_OMIT included; flags: AT_SYMLINK_NOFOLLOW. */
int ukfs_utimens(
    struct ukfs *fs, const char *path, const struct timespec times[2], int flags);
ssize_t ukfs_lgetxattr(
    struct ukfs *fs, const char *path, const char *name, void *buf, size_t size);
int ukfs_lsetxattr(struct ukfs *fs, const char *path, const char *name, const void *value,
    size_t size, int flags);
ssize_t ukfs_llistxattr(struct ukfs *fs, const char *path, char *buf, size_t size);
int ukfs_lremovexattr(struct ukfs *fs, const char *path, const char *name);
struct statvfs;
int ukfs_statvfs(struct ukfs *fs, struct statvfs *ret);
/* Data and holes: lseek(2)'s SEEK_DATA and SEEK_HOLE. */
off_t ukfs_seek_fd(struct ukfs *fs, int fd, off_t off, int whence);

/* A failure leaves the old directory. */
int ukfs_chdir(struct ukfs *fs, const char *path);

/* Modules.  1: loaded (or it was); 0: something that it needs is missing; -1. */
int ukfs_modload(const char *file);
/* Every libukfs_*.so of a directory; those whose dependencies are missing are tried again as
 * long as that gets any further.  How many were loaded; -1 only if the directory cannot be
 * read and nothing was loaded. */
int ukfs_modload_dir(const char *dir);
/* The names of all types, separated by blanks, into buf, cut to fit and with a NUL if there
 * is room; how long they are without it. */
ssize_t ukfs_vfstypes(char *buf, size_t size);

/* mkdir -p: what is there is fine; stops at the first other failure. */
int ukfs_util_builddirs(struct ukfs *fs, const char *path, mode_t mode);

/* For those who use the vnode layer itself (no promise of stability): the mount, lent; the
 * root vnode, with a reference. */
struct mount *ukfs_getmp(struct ukfs *fs);
struct vnode *ukfs_getrvp(struct ukfs *fs);

#ifdef __cplusplus
}
#endif

#endif
