/* Vnodes: ids, references, types (vnode.h). */
#include "vfs/vnode.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/mount.h"
#include "vfs/vop.h"

static const struct {
	mode_t ifmt;
	unsigned char dt;
} types[] = {
    [VREG] = {S_IFREG, DT_REG},
    [VDIR] = {S_IFDIR, DT_DIR},
    [VLNK] = {S_IFLNK, DT_LNK},
    [VCHR] = {S_IFCHR, DT_CHR},
    [VBLK] = {S_IFBLK, DT_BLK},
    [VFIFO] = {S_IFIFO, DT_FIFO},
    [VSOCK] = {S_IFSOCK, DT_SOCK},
};

mode_t
vtype_to_ifmt(enum vtype t)
{
	return types[t].ifmt;
}

enum vtype
vtype_of_mode(mode_t mode)
{
	for (unsigned t = VREG; t <= VSOCK; t++)
		if (types[t].ifmt == (mode & S_IFMT))
			return (enum vtype)t;
	return 0;
}

unsigned char
vtype_to_dt(enum vtype t)
{
	return types[t].dt;
}

int
vn_init(struct vnode *vp, struct mount *mp, const struct vops *op, enum vtype type)
{
	uint64_t id;
	int r;

	vp->v_op = op;
	vp->v_mount = mp;
	atomic_init(&vp->v_ref, 1);
	atomic_init(&vp->v_nlookup, 0);
	atomic_init(&vp->v_shadow, NULL);
	vp->v_parent = NULL;
	atomic_init(&vp->v_nattach, 0);
	atomic_init(&vp->v_flags, 0);
	vp->v_type = (uint8_t)type;
	pthread_rwlock_init(&vp->v_lock, NULL);
	/* From here on the id can be looked up, so it comes last. */
	r = slot_new(&mp->mnt_vfs->vfs_nodes, vp, &id);
	if (r < 0) {
		pthread_rwlock_destroy(&vp->v_lock);
		return r;
	}
	vp->v_id = id;
	mount_ref(mp);
	return 0;
}

void
vn_done(struct vnode *vp)
{
	struct mount *mp = vp->v_mount;
	struct shadow *sh = atomic_load(&vp->v_shadow);

	slot_release(&mp->mnt_vfs->vfs_nodes, vp->v_id);
	if (sh) {
		dirtab_done(&sh->sh_tab);
		dirtab_done(&sh->sh_ways);
		free(sh);
	}
	if (vp->v_parent)
		vn_unref(vp->v_parent);
	pthread_rwlock_destroy(&vp->v_lock);
	mount_unref(mp);
}

struct vnode *
vn_ref(struct vnode *vp)
{
	atomic_fetch_add_explicit(&vp->v_ref, 1, memory_order_relaxed);
	return vp;
}

bool
vn_ref_live(struct vnode *vp)
{
	uint64_t n = atomic_load(&vp->v_ref);

	while (n > 0)
		if (atomic_compare_exchange_weak(&vp->v_ref, &n, n + 1))
			return true;
	return false;
}

/* Drops one reference; true if it was the last and the node is to be reclaimed. */
static bool
drop(struct vnode *vp)
{
	uint64_t n = atomic_load_explicit(&vp->v_ref, memory_order_relaxed);

	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(&vp->v_ref, &n, n - 1,
			memory_order_release, memory_order_relaxed))
			return false;
	if (vp->v_op->last_unref)
		return vp->v_op->last_unref(vp);
	return atomic_fetch_sub(&vp->v_ref, 1) == 1;
}

/* A node that goes takes its reference on its parent with it.  That is done here, in a
 * loop, and not in reclaim: a chain of a million directories must not become a million
 * stack frames. */
void
vn_unref(struct vnode *vp)
{
	while (vp && drop(vp)) {
		struct vnode *parent = vp->v_parent;

		vp->v_parent = NULL;
		vp->v_op->reclaim(vp);
		vp = parent;
	}
}

void
vn_lookup_given(struct vnode *vp)
{
	atomic_fetch_add_explicit(&vp->v_nlookup, 1, memory_order_relaxed);
}

void
vn_forget(struct vnode *vp, uint64_t n)
{
	uint64_t have = atomic_load(&vp->v_nlookup), m;

	do {
		m = n < have ? n : have;
	} while (!atomic_compare_exchange_weak(&vp->v_nlookup, &have, have - m));
	if (m == 0)
		return;
	/* All but one cannot be the last: the one is still there. */
	if (m > 1)
		atomic_fetch_sub_explicit(&vp->v_ref, m - 1, memory_order_release);
	vn_unref(vp);
}

void
vfs_now(struct timespec *ret)
{
	/* The clock the kernel's own file systems stamp files with. */
	clock_gettime(CLOCK_REALTIME_COARSE, ret);
}
