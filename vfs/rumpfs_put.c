/*
 * Names that a configuration owns: made, replaced and taken away while others use the tree.
 *
 * Replacing is one step, as rename's is: who looks sees what was or what is.  Nothing is asked
 * of flags (chattr) and of who may: that is for those who are asked for, by whom.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/rumpfs_private.h"

void
rumpfs_unname(struct vnode *vp)
{
	lk_write(&vp->v_lock, vn_rank(vp));
	rumpfs_node_of(vp)->rn_nlink = 0;
	lk_unlock(&vp->v_lock, vn_rank(vp));
}

void
rumpfs_name(struct vnode *vp)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);

	lk_write(&vp->v_lock, vn_rank(vp));
	if (rn->rn_nlink == 0)
		rn->rn_nlink = vp->v_type == VDIR ? 2 : 1;
	lk_unlock(&vp->v_lock, vn_rank(vp));
}

/* One name more.  The first comes with the node. */
static int
link_node(struct vnode *vp)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	int r = 0;

	lk_write(&vp->v_lock, vn_rank(vp));
	if (vp->v_type == VDIR)
		rn->rn_nlink = rn->rn_nlink ? rn->rn_nlink : 2;
	else if (rn->rn_nlink > 0 && !rumpfs_count_node(rumpfs_mount_of(vp)))
		r = -ENOSPC;
	else
		rn->rn_nlink++;
	lk_unlock(&vp->v_lock, vn_rank(vp));
	return r;
}

/* One name less. */
static int
unlink_node(struct vnode *vp, bool keep)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	int r = 0;

	lk_write(&vp->v_lock, vn_rank(vp));
	if (vp->v_type == VDIR)
		r = keep ? 0 : rumpfs_kill_dir(rn, rumpfs_now_ns());
	else if (--rn->rn_nlink > 0)
		rumpfs_uncount_node(rumpfs_mount_of(vp));
	lk_unlock(&vp->v_lock, vn_rank(vp));
	return r;
}

/* A directory's parent; the rename mutex and dvp's lock are held.  The old one's reference is
 * the caller's to drop. */
static struct vnode *
reparent(struct vnode *vp, struct vnode *dvp)
{
	struct vnode *old = vp->v_parent;

	if (vp->v_type != VDIR || old == dvp)
		return NULL;
	vp->v_parent = vn_ref(dvp);
	return old;
}

/* The name is as it was said to be. */
static int
put_locked(struct vnode *dvp, const struct name *n, struct dirent_node *de,
    struct vnode *new_vp, bool keep, uint64_t *seq)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp);
	struct rumpfs_node *rn = new_vp ? rumpfs_node_of(new_vp) : NULL;
	struct vnode *old = de ? &((struct rumpfs_node *)de->de_value)->rn_vn : NULL;
	int r = new_vp ? link_node(new_vp) : 0;

	if (r == 0 && old) {
		r = unlink_node(old, keep);
		*seq = r == 0 ? dirtab_seq(&dir->rn_dir.tab, de) : *seq;
	} else if (r == 0 && new_vp) {
		r = *seq ? dirtab_add_at(&dir->rn_dir.tab, n, rn, *seq)
		         : dirtab_add(&dir->rn_dir.tab, n, rn);
		if (r == 0)
			*seq = dirtab_seq(
			    &dir->rn_dir.tab, dirtab_find(&dir->rn_dir.tab, n));
	}
	if (r < 0) {
		if (new_vp)
			(void)unlink_node(new_vp, false);
		return r;
	}
	if (old && new_vp)
		de->de_value = rn;
	else if (old)
		dirtab_remove(&dir->rn_dir.tab, de);
	dir->rn_nlink +=
	    (uint32_t)((new_vp && new_vp->v_type == VDIR) - (old && old->v_type == VDIR));
	dir->rn_mtime_ns = dir->rn_ctime_ns = rumpfs_now_ns();
	return 0;
}

int
rumpfs_put(struct vnode *dvp, const struct name *n, struct vnode *old_vp,
    struct vnode *new_vp, bool keep, uint64_t *seq)
{
	struct vfs *v = dvp->v_mount->mnt_vfs;
	struct rumpfs_node *dir = rumpfs_node_of(dvp);
	struct vnode *is, *parent = NULL;
	struct dirent_node *de;
	int r;

	lk_mutex(&v->vfs_rename, LK_RENAME);
	lk_write(&dvp->v_lock, LK_DIR);
	de = dirtab_find(&dir->rn_dir.tab, n);
	is = de ? &((struct rumpfs_node *)de->de_value)->rn_vn : NULL;
	if (dir->rn_nlink == 0)
		r = -ENOENT;
	else if (is != old_vp)
		r = -ESTALE;
	else
		r = put_locked(dvp, n, de, new_vp, keep, seq);
	if (r == 0 && new_vp) {
		vn_ref(new_vp); /* the entry's */
		parent = reparent(new_vp, dvp);
	}
	lk_unlock(&dvp->v_lock, LK_DIR);
	lk_mutex_unlock(&v->vfs_rename, LK_RENAME);
	if (parent)
		vn_unref(parent);
	if (r == 0 && old_vp)
		vn_unref(old_vp); /* the entry's; the caller has another */
	if (r == 0 && v->vfs_notify) {
		v->vfs_notify->entry(v->vfs_notify_arg, dvp, n);
		if (old_vp)
			v->vfs_notify->attrs(v->vfs_notify_arg, old_vp);
	}
	return r;
}
