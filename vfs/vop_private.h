/*
 * What the wrappers share among themselves (vop.c, vop_open.c).
 */
#ifndef RF_VFS_VOP_PRIVATE_H
#define RF_VFS_VOP_PRIVATE_H

#include "vfs/trace.h"
#include "vfs/vop.h"

#define ID(vp) ((unsigned long long)(vp)->v_id)

/* The guards of a row: v_lock, if the file system wants it. */
static inline void
vop_lock_shared(struct vnode *vp)
{
	if (vp->v_op->vo_flags & VOPS_LOCKED)
		lk_read(&vp->v_lock, vn_rank(vp));
}

static inline void
vop_lock_excl(struct vnode *vp)
{
	if (vp->v_op->vo_flags & VOPS_LOCKED)
		lk_write(&vp->v_lock, vn_rank(vp));
}

static inline void
vop_unlock(struct vnode *vp)
{
	if (vp->v_op->vo_flags & VOPS_LOCKED)
		lk_unlock(&vp->v_lock, vn_rank(vp));
}

static inline bool
rdonly(const struct vnode *vp)
{
	return atomic_load_explicit(&vp->v_mount->mnt_flags, memory_order_relaxed) &
	       MNT_RDONLY;
}

static inline bool
has_shadow(const struct vnode *vp)
{
	return atomic_load_explicit(&vp->v_shadow, memory_order_relaxed) != NULL;
}

/* May this name be made in dvp? */
int vop_may_create(struct vnode *dvp, const struct name *n);
/* vop_make() without the trace. */
int vop_make_plain(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp);

#endif
