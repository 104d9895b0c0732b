/*
 * namei: from a path to a vnode, for those who have paths (the configuration, tests,
 * later the ukfs library).  The FUSE front end never needs it: the kernel walks.
 *
 * Paths are relative to the namespace's root whether or not they start with a slash.
 * Symlinks are not followed.  "." and ".." are refused (-EINVAL).
 */
#ifndef RF_VFS_NAMEI_H
#define RF_VFS_NAMEI_H

#include "vfs/mount.h"
#include "vfs/vnode.h"

/* The vnode at path, with a reference.  -ENOENT, -ENOTDIR, or as vop_lookup. */
int namei(struct vfs *v, const char *path, struct vnode **ret_vp);

/*
 * The directory that path's last component is in, and that component.  *ret_name points
 * into path.  With make_parents, missing directories on the way are made in memory, 0755,
 * owner of the root; where the host's tree is in the way they are attached to it.
 */
int namei_parent(struct vfs *v, const char *path, bool make_parents,
    struct vnode **ret_dvp, struct name *ret_name);

/* Removes the directories above path that were made for an attachment, from the lowest
 * up, as long as they are empty and nothing is attached below. */
void namei_prune(struct vfs *v, const char *path);

#endif
