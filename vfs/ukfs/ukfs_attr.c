/*
 * Attributes of a handle's files.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/xattr.h>

#include "vfs/ukfs/ukfs_private.h"

#define XATTR_NAME_MAX_ 255u
#define XATTR_SIZE_MAX_ 65536u

static void
fill_stat(const struct vnode *vp, const struct vattr *va, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = vp->v_mount->mnt_number;
	st->st_ino = va->va_ino;
	st->st_mode = va->va_mode;
	st->st_nlink = va->va_nlink;
	st->st_uid = va->va_uid;
	st->st_gid = va->va_gid;
	st->st_rdev = va->va_rdev;
	st->st_size = (off_t)va->va_size;
	st->st_blksize = (blksize_t)va->va_blksize;
	st->st_blocks = (blkcnt_t)va->va_blocks_blk;
	st->st_atim = va->va_atime;
	st->st_mtim = va->va_mtime;
	st->st_ctim = va->va_ctime;
}

static int
get(struct ukfs *fs, const char *path, bool follow, struct stat *ret)
{
	AUTO_VNODE vp = NULL;
	struct vattr va;
	int r = uk_lookup(fs, path, follow, &vp);

	if (r == 0)
		r = vop_getattr(vp, NULL, &va);
	if (r == 0)
		fill_stat(vp, &va, ret);
	return (int)uk_ret(r);
}

int
ukfs_stat(struct ukfs *fs, const char *path, struct stat *ret)
{
	return get(fs, path, true, ret);
}

int
ukfs_lstat(struct ukfs *fs, const char *path, struct stat *ret)
{
	return get(fs, path, false, ret);
}

static int
set_mode(struct ukfs *fs, const char *path, bool follow, mode_t mode)
{
	struct vattr_set vs = {.vs_valid = VS_MODE, .vs_mode = mode & 07777};
	AUTO_VNODE vp = NULL;
	int r = uk_lookup(fs, path, follow, &vp);

	/* Links have no mode, on Linux. */
	if (r == 0)
		r = vp->v_type == VLNK ? -EOPNOTSUPP
		                       : vop_setattr(vp, NULL, &vs, &uk_cred);
	return (int)uk_ret(r);
}

int
ukfs_chmod(struct ukfs *fs, const char *path, mode_t mode)
{
	return set_mode(fs, path, true, mode);
}

int
ukfs_lchmod(struct ukfs *fs, const char *path, mode_t mode)
{
	return set_mode(fs, path, false, mode);
}

/* As the kernel does, for root too: a file with another owner does not run as him. */
static int
drop_setid(struct vnode *vp, struct vattr_set *vs)
{
	struct vattr va;
	int r;

	if (vp->v_type == VDIR || vp->v_type == VLNK)
		return 0;
	r = vop_getattr(vp, NULL, &va);
	if (r < 0 || !(va.va_mode & (S_ISUID | S_ISGID)))
		return r;
	vs->vs_mode = va.va_mode & 07777 & ~(uint32_t)S_ISUID;
	if (va.va_mode & S_IXGRP)
		vs->vs_mode &= ~(uint32_t)S_ISGID;
	vs->vs_valid |= VS_MODE;
	return 0;
}

static int
set_owner(struct ukfs *fs, const char *path, bool follow, uid_t uid, gid_t gid)
{
	struct vattr_set vs = {.vs_uid = uid, .vs_gid = gid};
	AUTO_VNODE vp = NULL;
	int r = uk_lookup(fs, path, follow, &vp);

	vs.vs_valid = (uid != (uid_t)-1 ? VS_UID : 0) | (gid != (gid_t)-1 ? VS_GID : 0);
	if (r == 0)
		r = drop_setid(vp, &vs);
	if (r == 0)
		r = vop_setattr(vp, NULL, &vs, &uk_cred);
	return (int)uk_ret(r);
}

int
ukfs_chown(struct ukfs *fs, const char *path, uid_t uid, gid_t gid)
{
	return set_owner(fs, path, true, uid, gid);
}

int
ukfs_lchown(struct ukfs *fs, const char *path, uid_t uid, gid_t gid)
{
	return set_owner(fs, path, false, uid, gid);
}

/* The flags that say something of a file; others say how its file system keeps it, and stay. */
#define FLAGS                                                                       \
	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL | FS_IMMUTABLE_FL |    \
	    FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_JOURNAL_DATA_FL |      \
	    FS_NOTAIL_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL | FS_DAX_FL | \
	    FS_PROJINHERIT_FL)

static int
change_flags(struct vnode *vp, struct file *f, uint32_t flags)
{
	uint32_t now = 0;
	int r = vop_ioctl(vp, f, FS_IOC_GETFLAGS, NULL, 0, &now, sizeof(now), &uk_cred);

	if (r < 0)
		return r;
	flags |= now & ~(uint32_t)FLAGS;
	return vop_ioctl(
	    vp, f, FS_IOC_SETFLAGS, &flags, sizeof(flags), NULL, 0, &uk_cred);
}

/* On an open file, as ioctl(2) has it; what cannot be opened has no flags. */
static int
set_flags(struct ukfs *fs, const char *path, bool follow, unsigned long flags)
{
	AUTO_VNODE vp = NULL;
	struct file *f;
	int r = flags > UINT32_MAX ? -EINVAL : uk_lookup(fs, path, follow, &vp);

	if (r == 0 && vp->v_type != VREG && vp->v_type != VDIR)
		r = -EOPNOTSUPP;
	else if (r == 0 && uk_is_rdonly(vp))
		r = -EROFS;
	if (r == 0)
		r = vop_open(vp, O_RDONLY, &uk_cred, &f);
	if (r == 0) {
		r = change_flags(vp, f, (uint32_t)flags);
		vop_close(f);
	}
	return (int)uk_ret(r == -ENOTTY ? -EOPNOTSUPP : r);
}

int
ukfs_chflags(struct ukfs *fs, const char *path, unsigned long flags)
{
	return set_flags(fs, path, true, flags);
}

int
ukfs_lchflags(struct ukfs *fs, const char *path, unsigned long flags)
{
	return set_flags(fs, path, false, flags);
}

/* One time of utimensat(2).  0 or -EINVAL. */
static int
one_time(struct vattr_set *vs, unsigned valid, unsigned now, const struct timespec *from,
    struct timespec *to)
{
	if (from && from->tv_nsec == UTIME_OMIT)
		return 0;
	if (!from || from->tv_nsec == UTIME_NOW) {
		vs->vs_valid |= valid | now;
		return 0;
	}
	if (from->tv_nsec < 0 || from->tv_nsec > 999999999)
		return -EINVAL;
	vs->vs_valid |= valid;
	*to = *from;
	return 0;
}

static int
set_times(struct ukfs *fs, const char *path, bool follow, const struct timespec times[2])
{
	struct vattr_set vs = {0};
	AUTO_VNODE vp = NULL;
	int r =
	    one_time(&vs, VS_ATIME, VS_ATIME_NOW, times ? &times[0] : NULL, &vs.vs_atime);

	if (r == 0)
		r = one_time(
		    &vs, VS_MTIME, VS_MTIME_NOW, times ? &times[1] : NULL, &vs.vs_mtime);
	/* Nothing to do, and not even the path is looked at: as utimensat(2). */
	if (r < 0 || !vs.vs_valid)
		return r;
	r = uk_lookup(fs, path, follow, &vp);
	return r < 0 ? r : vop_setattr(vp, NULL, &vs, &uk_cred);
}

int
ukfs_utimens(struct ukfs *fs, const char *path, const struct timespec times[2], int flags)
{
	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return (int)uk_ret(-EINVAL);
	return (int)uk_ret(set_times(fs, path, !(flags & AT_SYMLINK_NOFOLLOW), times));
}

static int
set_timevals(struct ukfs *fs, const char *path, bool follow, const struct timeval tv[2])
{
	struct timespec ts[2];

	for (int i = 0; tv && i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec > 999999)
			return (int)uk_ret(-EINVAL);
		ts[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
	}
	return (int)uk_ret(set_times(fs, path, follow, tv ? ts : NULL));
}

int
ukfs_utimes(struct ukfs *fs, const char *path, const struct timeval times[2])
{
	return set_timevals(fs, path, true, times);
}

int
ukfs_lutimes(struct ukfs *fs, const char *path, const struct timeval times[2])
{
	return set_timevals(fs, path, false, times);
}

/* Extended attributes. */

/* The node whose attribute is meant.  refused: what is said of users' attributes where
 * files cannot have them, as by the kernel. */
static int
xattr_node(struct ukfs *fs, const char *path, const char *name, int refused,
    struct vnode **ret_vp)
{
	size_t len = name ? strnlen(name, XATTR_NAME_MAX_ + 1) : 0;
	int r;

	if (!name)
		return -EFAULT;
	if (len == 0 || len > XATTR_NAME_MAX_)
		return -ERANGE;
	r = uk_lookup(fs, path, false, ret_vp);
	if (r == 0 && refused == -EPERM && uk_is_rdonly(*ret_vp))
		r = -EROFS;
	if (r == 0 && strncmp(name, "user.", 5) == 0 && (*ret_vp)->v_type != VREG &&
	    (*ret_vp)->v_type != VDIR)
		r = refused;
	return r;
}

ssize_t
ukfs_lgetxattr(
    struct ukfs *fs, const char *path, const char *name, void *buf, size_t size)
{
	AUTO_VNODE vp = NULL;
	size_t len;
	int r = xattr_node(fs, path, name, -ENODATA, &vp);

	if (r == 0)
		r = vop_getxattr(vp, name, buf, size, &len);
	return r < 0 ? uk_ret(r) : (ssize_t)len;
}

int
ukfs_lsetxattr(struct ukfs *fs, const char *path, const char *name, const void *value,
    size_t size, int flags)
{
	AUTO_VNODE vp = NULL;
	int r = 0;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		r = -EINVAL;
	else if (size > XATTR_SIZE_MAX_)
		r = -E2BIG;
	if (r == 0)
		r = xattr_node(fs, path, name, -EPERM, &vp);
	if (r == 0)
		r = vop_setxattr(vp, name, value, size, flags, &uk_cred);
	return (int)uk_ret(r);
}

ssize_t
ukfs_llistxattr(struct ukfs *fs, const char *path, char *buf, size_t size)
{
	AUTO_VNODE vp = NULL;
	size_t len;
	int r = uk_lookup(fs, path, false, &vp);

	if (r == 0)
		r = vop_listxattr(vp, buf, size, &len);
	return r < 0 ? uk_ret(r) : (ssize_t)len;
}

int
ukfs_lremovexattr(struct ukfs *fs, const char *path, const char *name)
{
	AUTO_VNODE vp = NULL;
	int r = xattr_node(fs, path, name, -EPERM, &vp);

	if (r == 0)
		r = vop_removexattr(vp, name, &uk_cred);
	return (int)uk_ret(r);
}

int
ukfs_statvfs(struct ukfs *fs, struct statvfs *ret)
{
	struct statvfs sv;
	int r = vop_statfs(fs->fs_root, &sv);

	if (r == 0) {
		sv.f_flag |= ukfs_rdonly(fs) ? ST_RDONLY : 0;
		*ret = sv;
	}
	return (int)uk_ret(r);
}
