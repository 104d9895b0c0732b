/*
 * Inode flags: chattr(1).
 *
 * Who may set them is checked by the kernel.  What they forbid is in vfs/rules.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>

#include "vfs/image/ext/ext.h"
#include "vfs/rules.h"

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
	return rule_may_add(dir->en_i.i_flags);
}

int
ext_may_take(const struct ext_node *dir, const struct ext_node *en)
{
	return rule_may_take(dir->en_i.i_flags, en->en_i.i_flags);
}

int
ext_may_change(const struct ext_node *en)
{
	return rule_may_change(en->en_i.i_flags);
}

/* Of append-only directories nobody asks for more than to list them. */
int
ext_may_open(const struct ext_node *en, int flags)
{
	return rule_may_open(en->en_i.i_flags, flags);
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
	return rule_may_setgid(ext_gid(en), cr);
}

uint32_t
ext_setid_lost(
    const struct ext_node *en, const struct vattr_set *vs, const struct cred *cr)
{
	return rule_setid_lost(en->en_i.i_mode, ext_uid(en), ext_gid(en), vs, cr);
}

int
ext_may_fallocate(const struct ext_node *en, int mode)
{
	return rule_may_fallocate(en->en_i.i_flags, mode);
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
	r = rule_flags_wanted(old, in, in_len, x, &flags);
	if (r == 0 && x)
		flags &= EXT2_FL_USER_VISIBLE;
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
	(void)f;
	(void)cr;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
		return rule_flags_told(
		    ext_node_of(vp)->en_i.i_flags & EXT2_FL_USER_VISIBLE,
		    cmd == FS_IOC_FSGETXATTR, out, out_len);
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return set_flags(vp, in, in_len, cmd == FS_IOC_FSSETXATTR);
	default:
		return -ENOTTY;
	}
}
