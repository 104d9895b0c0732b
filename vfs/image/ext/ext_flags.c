/*
 * Inode flags: chattr(1).
 *
 * Who may set them is checked by the kernel.  What they forbid has to be forbidden here,
 * because the kernel does not know of them; the rules are those of Linux's fs/namei.c,
 * fs/attr.c, fs/open.c and fs/xattr.c, as in vfs/rumpfs_flags.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "vfs/image/ext/ext.h"

/* What means something here, or to the kernel and to tools without anything being done. */
#define SETTABLE                                                                  \
	(FS_SECRM_FL | FS_UNRM_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | \
	    FS_NODUMP_FL | FS_NOATIME_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOTAIL_FL)
#define FROZEN (FS_IMMUTABLE_FL | FS_APPEND_FL)
/* Handed down; of these not all to what is no directory. */
#define INHERITED                                                               \
	(FS_SECRM_FL | FS_UNRM_FL | FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL | \
	    FS_NOTAIL_FL | FS_DIRSYNC_FL)

int
ext_may_add(const struct ext_node *dir)
{
	return dir->en_i.i_flags & FS_IMMUTABLE_FL ? -EPERM : 0;
}

int
ext_may_take(const struct ext_node *dir, const struct ext_node *en)
{
	return (dir->en_i.i_flags | en->en_i.i_flags) & FROZEN ? -EPERM : 0;
}

int
ext_may_change(const struct ext_node *en)
{
	return en->en_i.i_flags & FROZEN ? -EPERM : 0;
}

int
ext_may_open(const struct ext_node *en, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	uint32_t fl = en->en_i.i_flags;

	if ((fl & FS_IMMUTABLE_FL) && (writes || (flags & O_TRUNC)))
		return -EPERM;
	if ((fl & FS_APPEND_FL) && S_ISREG(en->en_i.i_mode) &&
	    ((writes && !(flags & O_APPEND)) || (flags & O_TRUNC)))
		return -EPERM;
	return 0;
}

int
ext_may_setattr(
    const struct ext_node *en, const struct file *f, const struct vattr_set *vs)
{
	bool to_now = vs->vs_valid & (VS_ATIME_NOW | VS_MTIME_NOW);
	uint32_t fl = en->en_i.i_flags;

	if (!(fl & FROZEN))
		return 0;
	(void)f;
	if (vs->vs_valid & (VS_MODE | VS_UID | VS_GID | VS_SIZE))
		return -EPERM;
	if (vs->vs_valid & (VS_ATIME | VS_MTIME))
		return (fl & FS_IMMUTABLE_FL) || !to_now ? -EPERM : 0;
	return 0;
}

bool
ext_may_setgid(const struct ext_node *en, const struct cred *cr)
{
	return !cr || cr->cr_uid == 0 || cr->cr_gid == ext_gid(en) ||
	       (cr->cr_member && cr->cr_member(cr, ext_gid(en)));
}

/* As in rumpfs_flags.c, which says why. */
uint32_t
ext_setid_lost(
    const struct ext_node *en, const struct vattr_set *vs, const struct cred *cr)
{
	bool alone = (en->en_i.i_mode & (S_ISGID | S_IXGRP)) == S_ISGID;
	uint32_t lost = 0;

	if (S_ISDIR(en->en_i.i_mode) || !cr || cr->cr_uid == 0)
		return 0;
	if (vs->vs_valid & VS_KILL_SETID)
		lost = alone ? S_ISUID : S_ISUID | S_ISGID;
	if (alone &&
	    (vs->vs_valid == 0 || (vs->vs_valid & (VS_SIZE | VS_UID | VS_GID))) &&
	    !ext_may_setgid(en, cr))
		lost |= S_ISGID;
	return lost;
}

int
ext_may_fallocate(const struct ext_node *en, int mode)
{
	if (en->en_i.i_flags & FS_IMMUTABLE_FL)
		return -EPERM;
	return (en->en_i.i_flags & FS_APPEND_FL) && (mode & ~FALLOC_FL_KEEP_SIZE) ? -EPERM
	                                                                          : 0;
}

uint32_t
ext_flags_below(const struct ext_node *dir, enum vtype type)
{
	uint32_t fl = dir->en_i.i_flags & INHERITED;

	if (type == VDIR)
		return fl;
	fl &= ~(uint32_t)FS_DIRSYNC_FL;
	return type == VREG ? fl : fl & (FS_NODUMP_FL | FS_NOATIME_FL);
}

static const struct {
	uint32_t fl, xf;
} both[] = {
    {FS_SYNC_FL, FS_XFLAG_SYNC},
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

/* What is asked for in either form; the second says nothing of the flags that it has no name
 * for. */
static int
wanted_flags(
    const struct ext_node *en, const void *in, size_t in_len, bool x, uint32_t *ret)
{
	uint32_t flags = en->en_i.i_flags;
	struct fsxattr fx;

	if (in_len < (x ? sizeof(fx) : sizeof(flags)))
		return -EINVAL;
	if (!x) {
		memcpy(ret, in, sizeof(*ret));
		return 0;
	}
	memcpy(&fx, in, sizeof(fx));
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		flags &= ~both[i].fl;
		if (fx.fsx_xflags & both[i].xf)
			flags |= both[i].fl;
	}
	if (fx.fsx_xflags != xflags(flags) || fx.fsx_extsize || fx.fsx_cowextsize ||
	    fx.fsx_projid)
		return -EOPNOTSUPP;
	*ret = flags & EXT2_FL_USER_VISIBLE;
	return 0;
}

static int
set_flags(struct vnode *vp, const void *in, size_t in_len, bool x)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	uint32_t flags, old;
	int r;

	if (e->e_rdonly)
		return -EROFS;
	AUTO_EXT(e);
	old = en->en_i.i_flags;
	r = wanted_flags(en, in, in_len, x, &flags);
	if (r == 0 && ((flags & ~(uint32_t)EXT2_FL_USER_VISIBLE) ||
			  ((flags ^ old) & EXT2_FL_USER_VISIBLE & ~(uint32_t)SETTABLE)))
		r = -EOPNOTSUPP;
	/* As with ext4: as long as it is immutable its other flags are too. */
	if (r == 0 && (flags & old & FS_IMMUTABLE_FL) && ((flags ^ old) & SETTABLE))
		r = -EPERM;
	if (r == 0)
		r = ext_will_change(e);
	if (r < 0)
		return r;
	en->en_i.i_flags = (old & ~(uint32_t)SETTABLE) | (flags & SETTABLE);
	ext_touch(e, en, EXT_CTIME);
	return ext_node_write(e, en);
}

int
ext_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in, size_t in_len,
    void *out, size_t out_len, const struct cred *cr)
{
	struct fsxattr fx = {0};
	uint32_t flags;

	(void)f;
	(void)cr;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
		flags = ext_node_of(vp)->en_i.i_flags & EXT2_FL_USER_VISIBLE;
		if (out_len < sizeof(flags))
			return -EINVAL;
		memcpy(out, &flags, sizeof(flags));
		return 0;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return set_flags(vp, in, in_len, cmd == FS_IOC_FSSETXATTR);
	case FS_IOC_FSGETXATTR:
		fx.fsx_xflags = xflags(ext_node_of(vp)->en_i.i_flags);
		if (out_len < sizeof(fx))
			return -EINVAL;
		memcpy(out, &fx, sizeof(fx));
		return 0;
	default:
		return -ENOTTY;
	}
}
