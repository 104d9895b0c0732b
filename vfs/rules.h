/*
 * What Linux's vfs does before it asks a file system, and cannot do for one in user space:
 * what inode flags (chattr) forbid, which set-id bits a change takes off, which names an
 * extended attribute can have.  For file systems whose nodes keep these themselves.
 *
 * Flags are FS_*_FL of linux/fs.h.  Who may set them is checked by the kernel.  All return
 * 0 or -errno, take no lock and keep nothing.  The rules are those of Linux's fs/namei.c,
 * fs/attr.c, fs/open.c, fs/ioctl.c and fs/xattr.c.
 */
#ifndef RF_VFS_RULES_H
#define RF_VFS_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "vfs/uio.h"
#include "vfs/vnode.h"

/* Of a directory that a name is made in; of one that it is taken from, with what it names;
 * of what gets or loses names or attributes. */
int rule_may_add(uint32_t dir);
int rule_may_take(uint32_t dir, uint32_t flags);
int rule_may_change(uint32_t flags);
/* O_* of open(2). */
int rule_may_open(uint32_t flags, int how);
int rule_may_fallocate(uint32_t flags, int mode);

/* May cr give a file of this group the set-group-id bit? */
bool rule_may_setgid(uint32_t gid, const struct cred *cr);
/* The set-id bits that writing takes off a file of this mode for who may not keep them,
 * whoever that is. */
static inline uint32_t
rule_setid_of(uint32_t mode)
{
	return mode & (mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
}
/* Those that go with what has been written. */
uint32_t rule_setid_written(uint32_t mode, uint32_t uid, uint32_t gid, struct uio *u);
/*
 * The set-id bits that this change takes off a file of this mode (its type included), owner
 * and group.  The kernel says when they are to go (VS_KILL_SETID), but not where a file's
 * group may not execute it: then the set-group-id bit goes if the caller is not of the
 * group, which the kernel knows and FUSE has no word for.  Its request is for nothing at all
 * then, as is a chown to nobody, which takes them off for the owner; and it asks for nothing
 * before a write that takes them off, whose caller need not be the owner.
 */
uint32_t rule_setid_lost(uint32_t mode, uint32_t uid, uint32_t gid,
    const struct vattr_set *vs, const struct cred *cr);

/* FS_IOC_SETFLAGS, or with x FS_IOC_FSSETXATTR, of a node that has old: what it asks for.
 * The second form says nothing of flags that it has no name for.  -EINVAL, -EOPNOTSUPP. */
int rule_flags_wanted(
    uint32_t old, const void *in, size_t in_len, bool x, uint32_t *ret_flags);
/* FS_IOC_GETFLAGS, or with x FS_IOC_FSGETXATTR. */
int rule_flags_told(uint32_t flags, bool x, void *out, size_t out_len);

/* Can an attribute have this name?  -EOPNOTSUPP: it is nobody's; -EINVAL: a family's prefix
 * and no more. */
int rule_xattr_name(const char *name);

#endif
