/*
 * rename, for all file systems: checks in Linux's order, and for those whose vnodes are
 * locked by the wrappers the lock order and the ancestor rules.
 *
 * The scheme is Linux's published one (Documentation/filesystems/directory-locking): a
 * rename between two directories holds the namespace's rename mutex, under which no directory
 * changes its parent, so that "is an ancestor of" is a fact; then it locks both
 * directories, the ancestor first if one is above the other, else by id; then the two
 * nodes, directories before files, each by id.  A rename within one directory needs the
 * mutex only if both nodes are directories, which are unrelated to one another.  The proof
 * that this cannot deadlock carries over: every thread that waits for a directory holds
 * only directories above it, or unrelated ones under the one mutex.
 */
#include <errno.h>
#include <stdio.h>

#include "vfs/trace.h"
#include "vfs/vop.h"

/* Is a above b, or b itself?  The rename mutex is held. */
static bool
is_ancestor(const struct vnode *a, const struct vnode *b)
{
	for (; b && b->v_mount == a->v_mount; b = b->v_parent)
		if (a == b)
			return true;
	return false;
}

static void
lock_dirs(struct vnode *a, struct vnode *b, bool mutex)
{
	if (mutex)
		lk_mutex(&a->v_mount->mnt_vfs->vfs_rename, LK_RENAME);
	if (a == b) {
		lk_write(&a->v_lock, LK_DIR);
		return;
	}
	if (is_ancestor(b, a) || (!is_ancestor(a, b) && b->v_id < a->v_id)) {
		struct vnode *t = a;
		a = b;
		b = t;
	}
	lk_write(&a->v_lock, LK_DIR);
	lk_write(&b->v_lock, LK_DIR);
}

static void
unlock_dirs(struct vnode *a, struct vnode *b, bool mutex)
{
	lk_unlock(&a->v_lock, LK_DIR);
	if (a != b)
		lk_unlock(&b->v_lock, LK_DIR);
	if (mutex)
		lk_mutex_unlock(&a->v_mount->mnt_vfs->vfs_rename, LK_RENAME);
}

/* b may be NULL or a itself. */
static void
lock_nodes(struct vnode *a, struct vnode *b)
{
	if (b && b != a) {
		bool a_dir = a->v_type == VDIR, b_dir = b->v_type == VDIR;

		if (b_dir != a_dir ? b_dir : b->v_id < a->v_id) {
			struct vnode *t = a;
			a = b;
			b = t;
		}
	}
	lk_write(&a->v_lock, vn_rank(a));
	if (b && b != a)
		lk_write(&b->v_lock, vn_rank(b));
}

static void
unlock_nodes(struct vnode *a, struct vnode *b)
{
	lk_unlock(&a->v_lock, vn_rank(a));
	if (b && b != a)
		lk_unlock(&b->v_lock, vn_rank(b));
}

/* The rules that need both nodes; both directories are locked. */
static int
check(const struct vrename *rn)
{
	bool exchange = rn->rn_flags & RENAME_EXCHANGE;
	const struct vnode *f = rn->rn_fvp, *t = rn->rn_tvp;
	bool cross = rn->rn_fdvp != rn->rn_tdvp;

	if (t && (rn->rn_flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!t && exchange)
		return -ENOENT;
	if (cross && f->v_type == VDIR && is_ancestor(f, rn->rn_tdvp))
		return -EINVAL;
	if (cross && t && t->v_type == VDIR && is_ancestor(t, rn->rn_fdvp))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (t == f)
		return 0;
	if (t && !exchange) {
		if (f->v_type == VDIR && t->v_type != VDIR)
			return -ENOTDIR;
		if (f->v_type != VDIR && t->v_type == VDIR)
			return -EISDIR;
	}
	if (atomic_load(&f->v_nattach) > 0)
		return -EBUSY;
	if (t && atomic_load(&t->v_nattach) > 0)
		return exchange ? -EBUSY : -ENOTEMPTY;
	return 0;
}

static bool
both_dirs(const struct vnode *f, const struct vnode *t)
{
	return f && t && f != t && f->v_type == VDIR && t->v_type == VDIR;
}

/* With or without the rename mutex.  -EAGAIN: it is needed. */
static int
try_rename(struct vrename *rn, bool mutex)
{
	const struct vops *op = rn->rn_fdvp->v_op;
	struct vnode *fvp = NULL, *tvp = NULL;
	int r;

	lock_dirs(rn->rn_fdvp, rn->rn_tdvp, mutex);
	r = op->lookup(rn->rn_fdvp, rn->rn_fname, &fvp);
	if (r == 0) {
		r = op->lookup(rn->rn_tdvp, rn->rn_tname, &tvp);
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0 && !mutex && both_dirs(fvp, tvp))
		r = -EAGAIN;
	if (r == 0) {
		rn->rn_fvp = fvp;
		rn->rn_tvp = tvp;
		r = check(rn);
	}
	/* Two names of one file: nothing happens, and it is no error. */
	if (r == 0 && fvp != tvp) {
		lock_nodes(fvp, tvp);
		r = op->rename_locked(rn);
		unlock_nodes(fvp, tvp);
	}
	unlock_dirs(rn->rn_fdvp, rn->rn_tdvp, mutex);
	if (fvp)
		vn_unref(fvp);
	if (tvp)
		vn_unref(tvp);
	return r;
}

static int
rename_locked(struct vrename *rn)
{
	bool cross = rn->rn_fdvp != rn->rn_tdvp;
	int r = try_rename(rn, cross);

	return r == -EAGAIN && !cross ? try_rename(rn, true) : r;
}

/* For file systems that rename by themselves: a directory with attachments below stays.
 * Asked only where there are any, and under no lock: more may be attached before it moves. */
static int
may_move(struct vnode *dvp, const struct name *n, int busy)
{
	struct vnode *vp;
	int r;

	if (atomic_load_explicit(&dvp->v_nattach, memory_order_relaxed) == 0)
		return 0;
	r = vop_lookup(dvp, n, &vp);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = atomic_load(&vp->v_nattach) > 0 ? busy : 0;
	vn_unref(vp);
	return r;
}

static int
attached_names(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags)
{
	int r = 0;

	if (atomic_load_explicit(&fdvp->v_shadow, memory_order_relaxed))
		r = shadow_may_remove(fdvp, fname);
	if (r == 0 && atomic_load_explicit(&tdvp->v_shadow, memory_order_relaxed)) {
		r = shadow_may_create(tdvp, tname);
		if (r == -EEXIST && !(flags & RENAME_NOREPLACE))
			r = -EBUSY;
	}
	return r;
}

static int
do_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr)
{
	struct vrename rn = {fdvp, tdvp, fname, tname, NULL, NULL, flags, cr};
	int r;

	if (fdvp->v_type != VDIR || tdvp->v_type != VDIR)
		return -ENOTDIR;
	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
	    ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))))
		return -EINVAL;
	if (fdvp->v_mount != tdvp->v_mount)
		return -EXDEV;
	r = attached_names(fdvp, fname, tdvp, tname, flags);
	if (r < 0)
		return r;
	if (atomic_load(&fdvp->v_mount->mnt_flags) & MNT_RDONLY)
		return -EROFS;
	if (fdvp->v_op->vo_flags & VOPS_LOCKED)
		return fdvp->v_op->rename_locked ? rename_locked(&rn) : -EPERM;
	if (!fdvp->v_op->rename)
		return -EPERM;
	r = may_move(fdvp, fname, -EBUSY);
	if (r == 0)
		r = may_move(tdvp, tname, flags & RENAME_EXCHANGE ? -EBUSY : -ENOTEMPTY);
	if (r == 0)
		r = fdvp->v_op->rename(fdvp, fname, tdvp, tname, flags, cr);
	return r;
}

int
vop_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr)
{
	int r = do_rename(fdvp, fname, tdvp, tname, flags, cr);

	TRACE("rename dir=%llu \"%s\" dir=%llu \"%s\" flags=%#x = %d",
	    (unsigned long long)fdvp->v_id, fname->n_ptr, (unsigned long long)tdvp->v_id,
	    tname->n_ptr, flags, r);
	return r;
}
