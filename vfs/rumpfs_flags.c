/*
 * Inode flags of in-memory nodes: chattr(1).
 *
 * The flags are those that tmpfs has: immutable, append-only, no dump, no atime; the last
 * two are handed down to what is made in a directory.  Who may set them is checked by the
 * kernel.  What they forbid has to be forbidden here, because the kernel does not know of
 * them; the rules are those of Linux's fs/namei.c, fs/attr.c, fs/open.c and fs/xattr.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/rumpfs_private.h"

#define SETTABLE (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define FROZEN   (FS_IMMUTABLE_FL | FS_APPEND_FL)

int
rumpfs_may_add(const struct rumpfs_node *dir)
{
	return dir->rn_flags & FS_IMMUTABLE_FL ? -EPERM : 0;
}

int
rumpfs_may_take(const struct rumpfs_node *dir, const struct rumpfs_node *rn)
{
	return (dir->rn_flags | rn->rn_flags) & FROZEN ? -EPERM : 0;
}

int
rumpfs_may_change(const struct rumpfs_node *rn)
{
	return rn->rn_flags & FROZEN ? -EPERM : 0;
}

int
rumpfs_may_rename(const struct vrename *v)
{
	const struct rumpfs_node *tdir = rumpfs_node_of(v->rn_tdvp);
	int r = rumpfs_may_take(rumpfs_node_of(v->rn_fdvp), rumpfs_node_of(v->rn_fvp));

	if (r < 0)
		return r;
	return v->rn_tvp ? rumpfs_may_take(tdir, rumpfs_node_of(v->rn_tvp))
	                 : rumpfs_may_add(tdir);
}

int
rumpfs_may_open(const struct rumpfs_node *rn, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;

	if ((rn->rn_flags & FS_IMMUTABLE_FL) && (writes || (flags & O_TRUNC)))
		return -EPERM;
	if ((rn->rn_flags & FS_APPEND_FL) &&
	    ((writes && !(flags & O_APPEND)) || (flags & O_TRUNC)))
		return -EPERM;
	return 0;
}

int
rumpfs_may_setattr(
    const struct rumpfs_node *rn, const struct file *f, const struct vattr_set *vs)
{
	bool writer = f && (f->f_flags & O_ACCMODE) != O_RDONLY;
	bool to_now = vs->vs_valid & (VS_ATIME_NOW | VS_MTIME_NOW);

	if (!(rn->rn_flags & FROZEN))
		return 0;
	if (vs->vs_valid & (VS_MODE | VS_UID | VS_GID))
		return -EPERM;
	/* The times of a truncation are its own.  A file that was open for writing before
	 * it became immutable goes on being written. */
	if (vs->vs_valid & VS_SIZE)
		return (rn->rn_flags & FS_APPEND_FL) || !writer ? -EPERM : 0;
	if (vs->vs_valid & (VS_ATIME | VS_MTIME))
		return (rn->rn_flags & FS_IMMUTABLE_FL) || !to_now ? -EPERM : 0;
	return 0;
}

bool
rumpfs_may_setgid(const struct rumpfs_node *rn, const struct cred *cr)
{
	return cr->cr_uid == 0 || cr->cr_gid == rn->rn_gid ||
	       (cr->cr_member && cr->cr_member(cr, rn->rn_gid));
}

/*
 * The set-id bits that this change takes off.  The kernel sends the mode without them, but
 * not at O_TRUNC, which is ours altogether, and not where a file's group may not execute
 * it: then the set-group-id bit goes if the caller is not of the group, which the kernel
 * knows and FUSE has no word for.  Its request may be for nothing at all then.
 */
uint32_t
rumpfs_setid_lost(
    const struct rumpfs_node *rn, const struct vattr_set *vs, const struct cred *cr)
{
	bool alone = (rn->rn_mode & (S_ISGID | S_IXGRP)) == S_ISGID;
	uint32_t lost = 0;

	if (rn->rn_vn.v_type == VDIR || !cr || cr->cr_uid == 0)
		return 0;
	if (vs->vs_valid & VS_KILL_SETID)
		lost = alone ? S_ISUID : S_ISUID | S_ISGID;
	if (alone &&
	    (vs->vs_valid == 0 || (vs->vs_valid & (VS_SIZE | VS_UID | VS_GID))) &&
	    !rumpfs_may_setgid(rn, cr))
		lost |= S_ISGID;
	return lost;
}

int
rumpfs_may_fallocate(const struct rumpfs_node *rn, int mode)
{
	if (rn->rn_flags & FS_IMMUTABLE_FL)
		return -EPERM;
	return (rn->rn_flags & FS_APPEND_FL) && (mode & ~FALLOC_FL_KEEP_SIZE) ? -EPERM
	                                                                      : 0;
}

uint32_t
rumpfs_flags_below(const struct rumpfs_node *dir)
{
	return dir ? dir->rn_flags & (FS_NODUMP_FL | FS_NOATIME_FL) : 0;
}

bool
rumpfs_keeps_atime(const struct rumpfs_node *rn)
{
	return rn->rn_flags & FS_NOATIME_FL;
}

/* The flags by their two names. */
static const struct {
	uint32_t fl, xf;
} both[] = {
    {FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {FS_APPEND_FL, FS_XFLAG_APPEND},
    {FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {FS_NOATIME_FL, FS_XFLAG_NOATIME},
};

static uint32_t
xflags(uint32_t flags)
{
	uint32_t x = 0;

	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		if (flags & both[i].fl)
			x |= both[i].xf;
	return x;
}

/* What is asked for in either form, as FS_*_FL.  The second form has more in it that is
 * not for us, as it is not for tmpfs. */
static int
wanted_flags(const void *in, size_t in_len, bool x, uint32_t *ret)
{
	struct fsxattr fx;
	uint32_t flags = 0;

	if (in_len < (x ? sizeof(fx) : sizeof(flags)))
		return -EINVAL;
	if (!x) {
		memcpy(ret, in, sizeof(*ret));
		return 0;
	}
	memcpy(&fx, in, sizeof(fx));
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		if (fx.fsx_xflags & both[i].xf)
			flags |= both[i].fl;
	}
	if (fx.fsx_xflags != xflags(flags) || fx.fsx_extsize || fx.fsx_cowextsize ||
	    fx.fsx_projid)
		return -EOPNOTSUPP;
	*ret = flags;
	return 0;
}

static int
set_flags(struct vnode *vp, const void *in, size_t in_len, bool x)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	uint32_t flags;
	int r;

	if (atomic_load(&vp->v_mount->mnt_flags) & MNT_RDONLY)
		return -EROFS;
	r = wanted_flags(in, in_len, x, &flags);
	if (r < 0)
		return r;
	if (flags & ~(uint32_t)SETTABLE)
		return -EOPNOTSUPP;
	lk_write(&vp->v_lock, vn_rank(vp));
	rn->rn_flags = flags;
	rn->rn_ctime_ns = rumpfs_now_ns();
	lk_unlock(&vp->v_lock, vn_rank(vp));
	return 0;
}

int
rumpfs_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr)
{
	struct fsxattr fx = {0};
	uint32_t flags;

	(void)f;
	(void)cr;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
		flags = rumpfs_node_of(vp)->rn_flags;
		if (out_len < sizeof(flags))
			return -EINVAL;
		memcpy(out, &flags, sizeof(flags));
		return 0;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return set_flags(vp, in, in_len, cmd == FS_IOC_FSSETXATTR);
	case FS_IOC_FSGETXATTR:
		fx.fsx_xflags = xflags(rumpfs_node_of(vp)->rn_flags);
		if (out_len < sizeof(fx))
			return -EINVAL;
		memcpy(out, &fx, sizeof(fx));
		return 0;
	default:
		return -ENOTTY;
	}
}
