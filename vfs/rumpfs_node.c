/*
 * rumpfs nodes: making and freeing them, limits, the mount.
 *
 * A node lives as long as its vnode has references: each name holds one, each open file,
 * each lookup of the kernel, and each child directory on its parent.  Its inode number is
 * from a counter that never goes back.  A node and what it holds are counted against the
 * mount's limits from the moment it is made until it is reclaimed, so that the memory of
 * an unlinked but open file stays accounted for.
 */
#include "vfs/rumpfs_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Bytes of a symlink's target that are not counted. */
#define SHORT_TARGET 128u

/* Adds n unless that goes over the limit.  Never adds to take away again: a request that
 * is refused must not make one beside it fail that has room. */
static bool
count_in(_Atomic uint64_t *used, uint64_t n, const _Atomic uint64_t *limit)
{
	uint64_t max = atomic_load_explicit(limit, memory_order_relaxed);
	uint64_t u = atomic_load_explicit(used, memory_order_relaxed);

	do {
		if (max && (u > max || n > max - u))
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    used, &u, u + n, memory_order_relaxed, memory_order_relaxed));
	return true;
}

bool
rumpfs_reserve(struct rumpfs_mount *rm, uint64_t n)
{
	struct rstore *rs = rstore_of(rm);

	return rs ? rstore_reserve(rm, rs, n) : count_in(&rm->rm_used, n, &rm->rm_size);
}

void
rumpfs_unreserve(struct rumpfs_mount *rm, uint64_t n)
{
	struct rstore *rs = rstore_of(rm);

	if (rs && n)
		rstore_unreserve(rm, rs, n);
	else
		atomic_fetch_sub_explicit(&rm->rm_used, n, memory_order_relaxed);
}

int64_t
rumpfs_now_ns(void)
{
	struct timespec ts;

	vfs_now(&ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

struct timespec
rumpfs_timespec(int64_t ns)
{
	struct timespec ts = {ns / 1000000000, ns % 1000000000};

	if (ts.tv_nsec < 0) {
		ts.tv_nsec += 1000000000;
		ts.tv_sec--;
	}
	return ts;
}

bool
rumpfs_count_node(struct rumpfs_mount *rm)
{
	return count_in(&rm->rm_nodes, 1, &rm->rm_inodes);
}

void
rumpfs_uncount_node(struct rumpfs_mount *rm)
{
	atomic_fetch_sub(&rm->rm_nodes, 1);
}

/* What a symlink's target takes: nothing while it is short, else a page, as on tmpfs. */
static uint64_t
target_bytes(const struct rumpfs_node *rn)
{
	return rn->rn_link.len < SHORT_TARGET ? 0 : PAGE_BYTES;
}

static void
drop_target(struct rumpfs_mount *rm, struct rumpfs_node *rn)
{
	rumpfs_unreserve(rm, target_bytes(rn));
	free(rn->rn_link.target);
}

static int
init_kind(struct rumpfs_mount *rm, struct rumpfs_node *rn, const struct vmake *mk)
{
	switch (mk->vm_type) {
	case VDIR:
		dirtab_init(&rn->rn_dir.tab, RUMPFS_COOKIE_DOTDOT);
		rn->rn_nlink = 2;
		break;
	case VREG:
		rdata_init(&rn->rn_data);
		break;
	case VLNK:
		rn->rn_link.len = strlen(mk->vm_target);
		if (rn->rn_link.len == 0)
			return -ENOENT;
		if (rn->rn_link.len >= 4096)
			return -ENAMETOOLONG;
		rn->rn_link.target = strdup(mk->vm_target);
		if (!rn->rn_link.target)
			return -ENOMEM;
		if (!rumpfs_reserve(rm, target_bytes(rn))) {
			free(rn->rn_link.target);
			return -ENOSPC;
		}
		rn->rn_mode = 0777;
		break;
	default:
		rn->rn_rdev = mk->vm_rdev;
	}
	return 0;
}

/* The part of the union that a type needs; what follows it is not allocated. */
static size_t
node_size(enum vtype t)
{
	size_t base = offsetof(struct rumpfs_node, rn_rdev);

	switch (t) {
	case VDIR:
		return sizeof(struct rumpfs_node);
	case VREG:
		return base + sizeof(struct rdata);
	case VLNK:
		return base + sizeof(((struct rumpfs_node *)0)->rn_link);
	default:
		return base + sizeof(uint64_t);
	}
}

int
rumpfs_node_alloc(struct rumpfs_mount *rm, const struct rumpfs_node *dir,
    const struct vmake *mk, const struct cred *cr, struct rumpfs_node **ret)
{
	struct rumpfs_node *rn;
	int r = -ENOMEM;

	if (!rumpfs_count_node(rm))
		return -ENOSPC;
	rn = calloc(1, node_size(mk->vm_type));
	if (!rn)
		goto uncount;
	rn->rn_ino = atomic_fetch_add(&rm->rm_ino, 1) + 1;
	rn->rn_mode = mk->vm_mode & 07777;
	rn->rn_uid = cr->cr_uid;
	rn->rn_gid = cr->cr_gid;
	rn->rn_nlink = 1;
	if (dir && (dir->rn_mode & S_ISGID)) {
		rn->rn_gid = dir->rn_gid;
		if (mk->vm_type == VDIR)
			rn->rn_mode |= S_ISGID;
	}
	rn->rn_btime_ns = rn->rn_mtime_ns = rn->rn_ctime_ns = rumpfs_now_ns();
	atomic_init(&rn->rn_atime_ns, rn->rn_btime_ns);
	rn->rn_flags = rumpfs_flags_below(dir);
	r = init_kind(rm, rn, mk);
	if (r < 0)
		goto free;
	r = rumpfs_acl_inherit(rm, dir, rn, mk);
	if (r < 0)
		goto free_kind;
	r = vn_init(&rn->rn_vn, &rm->rm_mnt, &rumpfs_vops, mk->vm_type);
	if (r < 0)
		goto free_kind;
	*ret = rn;
	return 0;
free_kind:
	rumpfs_xattrs_free(rm, rn);
	if (mk->vm_type == VLNK)
		drop_target(rm, rn);
free:
	free(rn);
uncount:
	rumpfs_uncount_node(rm);
	return r;
}

void
rumpfs_reclaim(struct vnode *vp)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rumpfs_mount *rm = rumpfs_mount_of(vp);

	if (vp->v_type == VREG)
		rdata_done(rm, &rn->rn_data);
	else if (vp->v_type == VLNK)
		drop_target(rm, rn);
	else if (vp->v_type == VDIR) {
		/* Empty, but for files at the end of the namespace (subdirectories would
		 * keep it alive). */
		rumpfs_vops.dissolve(vp);
		dirtab_done(&rn->rn_dir.tab);
	}
	rumpfs_xattrs_free(rm, rn);
	rumpfs_uncount_node(rm);
	vn_done(vp); /* may free the mount */
	free(rn);
}

/* Depth first, by way of the parent pointers: no memory is needed for it. */
void
rumpfs_empty(struct vnode *root)
{
	struct vnode *dvp = vn_ref(root);

	while (dvp) {
		struct rumpfs_node *dir = rumpfs_node_of(dvp);
		struct vnode *next = NULL;
		struct dirent_node *de;
		uint64_t seq = 0;
		uint32_t pos = 0;

		lk_write(&dvp->v_lock, LK_DIR);
		de = dirtab_next(&dir->rn_dir.tab, &seq, &pos);
		if (de) {
			next = &((struct rumpfs_node *)de->de_value)->rn_vn;
			dirtab_remove(&dir->rn_dir.tab, de);
		} else {
			dir->rn_nlink = 0;
		}
		lk_unlock(&dvp->v_lock, LK_DIR);
		if (de && next->v_type == VDIR) {
			/* Its parent pointer keeps dvp. */
			vn_unref(dvp);
			dvp = next;
		} else if (de) {
			vn_unref(next);
		} else {
			next = dvp == root ? NULL : vfs_parent_get(dvp);
			vn_unref(dvp);
			dvp = next;
		}
	}
}

/* The mount. */

static void
mount_free(struct mount *mp)
{
	rstore_free(rstore_of((struct rumpfs_mount *)mp));
	free(mp);
}

int
rumpfs_new(struct vfs *v, const struct rumpfs_opts *o, struct vnode **ret_root)
{
	struct vmake mk = {.vm_type = VDIR, .vm_mode = o->ro_mode};
	struct cred cr = {o->ro_uid, o->ro_gid, 0};
	struct rumpfs_mount *rm = calloc(1, sizeof(*rm));
	struct rumpfs_node *rn;
	int r;

	if (!rm)
		return -ENOMEM;
	mount_init(&rm->rm_mnt, v, "rumpfs", MNT_TTL_FOREVER, mount_free);
	rm->rm_uid = o->ro_uid;
	rm->rm_gid = o->ro_gid;
	r = rumpfs_node_alloc(rm, NULL, &mk, &cr, &rn);
	mount_unref(&rm->rm_mnt); /* the root holds it */
	if (r < 0)
		return r;
	atomic_store(&rm->rm_size, o->ro_size);
	atomic_store(&rm->rm_inodes, o->ro_inodes);
	atomic_fetch_or(&rn->rn_vn.v_flags, VF_ROOT);
	if (!v->vfs_mem_root) {
		v->vfs_mem_root = vn_ref(&rn->rn_vn);
		atomic_store(&v->vfs_root, &rn->rn_vn);
	}
	*ret_root = &rn->rn_vn;
	return 0;
}

int
rumpfs_node_new(struct mount *mp, const struct vmake *mk, const struct cred *cr,
    struct vnode **ret_vp)
{
	struct rumpfs_node *rn;
	int r = rumpfs_node_alloc((struct rumpfs_mount *)mp, NULL, mk, cr, &rn);

	if (r == 0)
		*ret_vp = &rn->rn_vn;
	return r;
}

int
rumpfs_dir_synth(struct mount *mp, struct vnode **ret_vp)
{
	struct rumpfs_mount *rm = (struct rumpfs_mount *)mp;
	struct cred cr = {rm->rm_uid, rm->rm_gid, 0};
	struct vmake mk = {.vm_type = VDIR, .vm_mode = 0755};
	int r = rumpfs_node_new(mp, &mk, &cr, ret_vp);

	if (r == 0)
		atomic_fetch_or(&(*ret_vp)->v_flags, VF_SYNTH);
	return r;
}

int
rumpfs_mkdir_synth(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct rumpfs_mount *rm = rumpfs_mount_of(dvp);
	struct cred cr = {rm->rm_uid, rm->rm_gid, 0};
	struct vmake mk = {.vm_type = VDIR, .vm_mode = 0755};
	int r;

	lk_write(&dvp->v_lock, LK_DIR);
	r = rumpfs_vops.make(dvp, n, &mk, &cr, ret_vp);
	lk_unlock(&dvp->v_lock, LK_DIR);
	if (r == 0)
		atomic_fetch_or(&(*ret_vp)->v_flags, VF_SYNTH);
	return r;
}

int
rumpfs_rmdir_synth(struct vnode *dvp, const struct name *n)
{
	static const struct cred nobody;
	int r;

	lk_write(&dvp->v_lock, LK_DIR);
	r = rumpfs_vops.rmdir(dvp, n, &nobody);
	lk_unlock(&dvp->v_lock, LK_DIR);
	return r;
}

int
rumpfs_retire_synth(struct vnode *vp)
{
	int r;

	lk_write(&vp->v_lock, LK_DIR);
	r = rumpfs_kill_dir(rumpfs_node_of(vp), rumpfs_now_ns());
	lk_unlock(&vp->v_lock, LK_DIR);
	return r;
}

int
rumpfs_set_limits(struct mount *mp, uint64_t size, uint64_t inodes)
{
	struct rumpfs_mount *rm = (struct rumpfs_mount *)mp;
	struct rstore *rs = rstore_of(rm);
	struct rumpfs_usage u;

	rumpfs_usage(mp, &u);
	if ((size && u.ru_size_used > size) || (inodes && u.ru_inodes_used > inodes))
		return -EBUSY;
	if (rs && size != u.ru_size && rstore_resize(rs, size) < 0)
		return -EBUSY;
	atomic_store(&rm->rm_size, size);
	atomic_store(&rm->rm_inodes, inodes);
	return 0;
}

void
rumpfs_usage(struct mount *mp, struct rumpfs_usage *ret)
{
	struct rumpfs_mount *rm = (struct rumpfs_mount *)mp;
	struct rstore *rs = rstore_of(rm);

	ret->ru_size = atomic_load(&rm->rm_size);
	ret->ru_size_used = rs ? rstore_used(rm, rs) : atomic_load(&rm->rm_used);
	ret->ru_inodes = atomic_load(&rm->rm_inodes);
	ret->ru_inodes_used = atomic_load(&rm->rm_nodes);
}

bool
rumpfs_name_of(struct vnode *dvp, const struct vnode *vp, char name[256])
{
	const struct dirent_node *de;
	uint64_t seq = 0;
	uint32_t pos = 0;

	lk_read(&dvp->v_lock, LK_DIR);
	while ((de = dirtab_next(&rumpfs_node_of(dvp)->rn_dir.tab, &seq, &pos)) &&
	       de->de_value != vp)
		;
	if (de)
		memcpy(name, de->de_name, de->de_len + 1u);
	lk_unlock(&dvp->v_lock, LK_DIR);
	return de != NULL;
}
