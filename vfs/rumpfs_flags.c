/*
 * Inode flags of in-memory nodes: chattr(1).
 *
 * The flags are those that tmpfs has: immutable, append-only, no dump, no atime; the last
 * two are handed down to what is made in a directory.  What they forbid is in rules.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>

#include "vfs/rules.h"
#include "vfs/rumpfs_private.h"

#define SETTABLE (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)
#define FROZEN   (FS_IMMUTABLE_FL | FS_APPEND_FL)

int
rumpfs_may_add(const struct rumpfs_node *dir)
{
	return rule_may_add(dir->rn_flags);
}

int
rumpfs_may_take(const struct rumpfs_node *dir, const struct rumpfs_node *rn)
{
	return rule_may_take(dir->rn_flags, rn->rn_flags);
}

int
rumpfs_may_change(const struct rumpfs_node *rn)
{
	return rule_may_change(rn->rn_flags);
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
	return rule_may_open(rn->rn_flags, flags);
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

int
rumpfs_may_write(const struct rumpfs_node *rn, const struct file *f, const struct uio *u)
{
	bool appends = u->uio_append || u->uio_kept;

	if (!f && (rn->rn_flags & FS_IMMUTABLE_FL))
		return -EPERM;
	if ((!f || (f->f_flags & O_APPEND)) && (rn->rn_flags & FS_APPEND_FL) && !appends)
		return -EPERM;
	return 0;
}

bool
rumpfs_may_setgid(const struct rumpfs_node *rn, const struct cred *cr)
{
	return rule_may_setgid(rn->rn_gid, cr);
}

uint32_t
rumpfs_setid_lost(
    const struct rumpfs_node *rn, const struct vattr_set *vs, const struct cred *cr)
{
	uint32_t mode = vtype_to_ifmt(rn->rn_vn.v_type) | rn->rn_mode;

	return rule_setid_lost(mode, rn->rn_uid, rn->rn_gid, vs, cr);
}

int
rumpfs_may_fallocate(const struct rumpfs_node *rn, int mode)
{
	return rule_may_fallocate(rn->rn_flags, mode);
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

static int
set_flags(struct vnode *vp, const void *in, size_t in_len, bool x)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	uint32_t flags;
	int r;

	if (atomic_load(&vp->v_mount->mnt_flags) & MNT_RDONLY)
		return -EROFS;
	r = rule_flags_wanted(rn->rn_flags, in, in_len, x, &flags);
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
	(void)f;
	(void)cr;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
		return rule_flags_told(
		    rumpfs_node_of(vp)->rn_flags, cmd == FS_IOC_FSGETXATTR, out, out_len);
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return set_flags(vp, in, in_len, cmd == FS_IOC_FSSETXATTR);
	default:
		return -ENOTTY;
	}
}
