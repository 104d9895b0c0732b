/*
 * Mounts on a device, and nodes by inode number (inotab.h).
 */
#include "vfs/image/inotab.h"

#include <errno.h>
#include <stdlib.h>

#define MIN_CHAINS 16u

static struct inotab_shard *
shard_of(struct imgmount *im, uint64_t ino)
{
	uint64_t h = (ino ^ name_hash_seed) * 0x9e3779b97f4a7c15ull;

	return &im->im_shards[h >> 60 & (INOTAB_SHARDS - 1)];
}

static struct imgnode **
chain_of(struct inotab_shard *sh, uint64_t ino)
{
	uint64_t h = (ino ^ name_hash_seed) * 0x9e3779b97f4a7c15ull;

	return &sh->is_chains[h >> 20 & (sh->is_nchains - 1)];
}

int
imgmount_init(struct imgmount *im, const struct fsmount *m, const char *type,
    void (*mnt_free)(struct mount *))
{
	for (unsigned i = 0; i < INOTAB_SHARDS; i++) {
		struct inotab_shard *sh = &im->im_shards[i];

		sh->is_chains = calloc(MIN_CHAINS, sizeof(struct imgnode *));
		if (!sh->is_chains) {
			while (i-- > 0)
				free(im->im_shards[i].is_chains);
			return -ENOMEM;
		}
		sh->is_nchains = MIN_CHAINS;
		sh->is_count = 0;
		pthread_mutex_init(&sh->is_mtx, NULL);
	}
	im->im_dev = m->fm_dev;
	mount_init(&im->im_mnt, m->fm_vfs, type, MNT_TTL_FOREVER, mnt_free);
	return 0;
}

void
imgmount_done(struct imgmount *im)
{
	for (unsigned i = 0; i < INOTAB_SHARDS; i++) {
		free(im->im_shards[i].is_chains);
		pthread_mutex_destroy(&im->im_shards[i].is_mtx);
	}
	device_close(im->im_dev);
}

/* s held.  Doubling or halving; without memory the chains stay as long as they are. */
static void
resize(struct inotab_shard *sh, uint32_t nchains)
{
	struct imgnode **old = sh->is_chains, **new = calloc(nchains, sizeof(*new));
	uint32_t nold = sh->is_nchains;

	if (!new)
		return;
	sh->is_chains = new;
	sh->is_nchains = nchains;
	for (uint32_t i = 0; i < nold; i++) {
		for (struct imgnode *in = old[i], *next; in; in = next) {
			struct imgnode **c = chain_of(sh, in->in_ino);

			next = in->in_next;
			in->in_next = *c;
			*c = in;
		}
	}
	free(old);
}

/* s held.  A node in the table has a reference that can be added to. */
static struct imgnode *
find_locked(struct inotab_shard *sh, uint64_t ino)
{
	for (struct imgnode *in = *chain_of(sh, ino); in; in = in->in_next) {
		if (in->in_ino == ino) {
			vn_ref(&in->in_vn);
			return in;
		}
	}
	return NULL;
}

static void
unhash_locked(struct inotab_shard *sh, struct imgnode *in)
{
	struct imgnode **p = chain_of(sh, in->in_ino);

	while (*p != in)
		p = &(*p)->in_next;
	*p = in->in_next;
	in->in_hashed = false;
	sh->is_count--;
	if (sh->is_nchains > MIN_CHAINS && sh->is_count < sh->is_nchains / 8)
		resize(sh, sh->is_nchains / 2);
}

struct imgnode *
inotab_find(struct imgmount *im, uint64_t ino)
{
	struct inotab_shard *sh = shard_of(im, ino);
	struct imgnode *in;

	lk_mutex(&sh->is_mtx, LK_LEAF);
	in = find_locked(sh, ino);
	lk_mutex_unlock(&sh->is_mtx, LK_LEAF);
	return in;
}

struct imgnode *
inotab_enter(struct imgmount *im, struct imgnode *in)
{
	struct inotab_shard *sh = shard_of(im, in->in_ino);
	struct imgnode *other;

	lk_mutex(&sh->is_mtx, LK_LEAF);
	other = find_locked(sh, in->in_ino);
	if (!other) {
		struct imgnode **c;

		if (sh->is_count >= sh->is_nchains)
			resize(sh, sh->is_nchains * 2);
		c = chain_of(sh, in->in_ino);
		in->in_next = *c;
		*c = in;
		in->in_hashed = true;
		sh->is_count++;
	}
	lk_mutex_unlock(&sh->is_mtx, LK_LEAF);
	if (!other)
		return in;
	vn_unref(&in->in_vn);
	return other;
}

void
inotab_forget(struct imgnode *in)
{
	struct inotab_shard *sh = shard_of(imgmount_of(&in->in_vn), in->in_ino);

	lk_mutex(&sh->is_mtx, LK_LEAF);
	if (in->in_hashed)
		unhash_locked(sh, in);
	lk_mutex_unlock(&sh->is_mtx, LK_LEAF);
}

int
imgnode_init(struct imgnode *in, struct imgmount *im, const struct vops *op,
    enum vtype type, uint64_t ino)
{
	in->in_ino = ino;
	in->in_next = NULL;
	in->in_hashed = false;
	return vn_init(&in->in_vn, &im->im_mnt, op, type);
}

bool
imgnode_last_unref(struct vnode *vp)
{
	struct imgnode *in = imgnode_of(vp);
	struct inotab_shard *sh = shard_of(imgmount_of(vp), in->in_ino);
	bool dead;

	lk_mutex(&sh->is_mtx, LK_LEAF);
	dead = atomic_fetch_sub(&vp->v_ref, 1) == 1;
	if (dead && in->in_hashed)
		unhash_locked(sh, in);
	lk_mutex_unlock(&sh->is_mtx, LK_LEAF);
	return dead;
}

void
imgnode_done(struct imgnode *in)
{
	vn_done(&in->in_vn);
}

/* Who counts attachments walks the parents of all mounts under this mutex. */
static void
count_up_locked(struct vnode *vp, uint32_t delta)
{
	for (; vp; vp = vp->v_parent)
		atomic_fetch_add(&vp->v_nattach, delta);
}

void
imgnode_move(struct vnode *vp, struct vnode *dvp)
{
	struct vfs *v = vp->v_mount->mnt_vfs;
	struct vnode *old = NULL;
	uint32_t n;

	lk_mutex(&v->vfs_rename, LK_RENAME);
	lk_write(&vp->v_lock, LK_DIR);
	if (vp->v_parent != dvp) {
		n = atomic_load(&vp->v_nattach);
		count_up_locked(dvp, n);
		old = vp->v_parent;
		vp->v_parent = vn_ref(dvp);
		count_up_locked(old, -n);
	}
	lk_unlock(&vp->v_lock, LK_DIR);
	lk_mutex_unlock(&v->vfs_rename, LK_RENAME);
	if (old)
		vn_unref(old);
}

int
imgnode_get(struct imgmount *im, const struct vops *op, enum vtype type, uint64_t ino,
    struct vnode **ret_vp)
{
	struct imgnode *in = inotab_find(im, ino);
	int r;

	if (!in) {
		in = calloc(1, sizeof(*in));
		if (!in)
			return -ENOMEM;
		r = imgnode_init(in, im, op, type, ino);
		if (r < 0) {
			free(in);
			return r;
		}
		in = inotab_enter(im, in);
	}
	*ret_vp = &in->in_vn;
	return 0;
}

void
imgnode_reclaim(struct vnode *vp)
{
	imgnode_done(imgnode_of(vp)); /* may free the mount */
	free(vp);
}
