/*
 * Nodes: one vnode per (key, alias, host device, host inode).
 *
 * Nodes are found by identity in 64 shards, each a chained hash under a mutex.  The host
 * is asked first (what is it, which inode?), then the node is found or made under the
 * shard's mutex, in one step: two threads that look up two hard links at once get one
 * node.  Making one allocates and takes an id, which cannot be done under the mutex; so a
 * node is made ahead, and thrown away if somebody else's has got in first.
 *
 * The shards hold no references.  The last reference to a node is dropped under the
 * shard's mutex (node_last_unref), together with taking it out of the hash, so a node
 * that is found there has a reference that can be added to.
 *
 * Reused inodes.  The host may give a deleted file's inode number to a new file.  A match
 * whose birth time differs is another file: the old node is taken out of the hash and lives
 * on, unfindable, for those who have it; the host's fd that it may have still works, and
 * getting a new one fails with ESTALE.  Birth times do not tell where the host keeps none,
 * nor for a file that was deleted within the clock tick it was made in; a node that is made
 * of such a file keeps the inode's generation as well (n_gen).
 *
 * Aliases.  With symlinks = follow a directory can be reached under many names, but the
 * kernel wants one place for each directory.  The alias number tells them apart: 0 for
 * the directory itself, else a hash of where the link is, handed down to the directories
 * below.  Other files have no aliases: they may have many names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

/* Of a shard that has any. */
#define MIN_CHAINS 16u

static uint64_t
mix(uint64_t first, uint64_t dev, uint64_t ino)
{
	uint64_t h = (name_hash_seed ^ first) * 0xa0761d6478bd642full;

	h ^= h >> 32;
	h = (h ^ dev) * 0xe7037ed1a0b428dbull;
	h ^= h >> 32;
	h = (h ^ ino) * 0x8ebc6af09c88c6e3ull;
	return h ^ h >> 29;
}

uint64_t
file_hash(uint64_t dev, uint64_t ino)
{
	return mix(0, dev, ino);
}

/* Directories and keys are found by who they are of.  Files of directory keys are hashed
 * by the host's numbers alone, so that the same in other keys are in the same chain
 * (etfs_share.c). */
static uint64_t
identity_hash(
    const struct etfs_key *k, bool own, uint64_t alias, uint64_t dev, uint64_t ino)
{
	return own ? mix((uintptr_t)k ^ alias, dev, ino) : file_hash(dev, ino);
}

/* Longer than the longest clock tick that birth times are taken from. */
#define TICK_NS 40000000

static bool
time_set(const struct timespec *t)
{
	return t->tv_sec || t->tv_nsec;
}

/* Whether another file with this inode number could show the same birth time. */
static bool
birth_is_vague(const struct hc_stat *hs)
{
	struct timespec now;

	if (!time_set(&hs->hs_btime))
		return true;
	vfs_now(&now);
	return (now.tv_sec - hs->hs_btime.tv_sec) * 1000000000ll + now.tv_nsec -
	           hs->hs_btime.tv_nsec <
	       TICK_NS;
}

/* 0: not to be had. */
static uint64_t
generation(int fd)
{
	uint64_t gen = 0;

	if (fd >= 0)
		(void)hc_generation(fd, &gen);
	return gen;
}

/* Whether *hs, which has the node's device and inode number, is the node's file.  gen: its
 * generation, or 0. */
static bool
same_life(const struct enode *n, const struct hc_stat *hs, uint64_t gen)
{
	const struct timespec *a = &n->n_btime, *b = &hs->hs_btime;

	if (n->n_ifmt != (hs->hs_mode & S_IFMT) || (n->n_gen && gen && n->n_gen != gen))
		return false;
	return !time_set(a) || !time_set(b) ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec);
}

bool
node_same(const struct enode *n, const struct hc_stat *hs, int fd)
{
	return n->n_dev == hs->hs_dev && n->n_ino == hs->hs_ino &&
	       same_life(n, hs, n->n_gen ? generation(fd) : 0);
}

static struct enode **
chain(struct etfs_shard *sh, uint64_t hash)
{
	return &sh->sh_hash[hash & (sh->sh_size - 1)];
}

static struct enode *
find_locked(struct etfs_shard *sh, uint64_t hash, const struct etfs_key *k,
    uint64_t alias, uint64_t dev, uint64_t ino)
{
	struct enode *n;

	if (!sh->sh_size)
		return NULL;
	for (n = *chain(sh, hash); n; n = n->n_chain)
		if (n->n_hash == hash && key_of(n) == k && n->n_alias == alias &&
		    n->n_dev == dev && n->n_ino == ino)
			return n;
	return NULL;
}

/* So many chains, or as they are where memory is short; -ENOMEM if there are none. */
static int
resize_locked(struct etfs_shard *sh, uint32_t size)
{
	uint32_t old = sh->sh_size;
	struct enode **was = sh->sh_hash, **h = calloc(size, sizeof(struct enode *));

	if (!h)
		return old ? 0 : -ENOMEM;
	sh->sh_hash = h;
	sh->sh_size = size;
	for (uint32_t i = 0; i < old; i++) {
		struct enode *n, *next;

		for (n = was[i]; n; n = next) {
			struct enode **p = chain(sh, n->n_hash);

			next = n->n_chain;
			n->n_chain = *p;
			*p = n;
		}
	}
	free(was);
	return 0;
}

static void
unhash_locked(struct etfs_shard *sh, struct enode *n)
{
	struct enode **p = chain(sh, n->n_hash);

	while (*p != n)
		p = &(*p)->n_chain;
	*p = n->n_chain;
	n->n_chain = NULL;
	n->n_hashed = false;
	sh->sh_count--;
	/* Long before it is full again, so that it does not go up and down. */
	if (sh->sh_size > MIN_CHAINS && sh->sh_count < sh->sh_size / 8)
		(void)resize_locked(sh, sh->sh_size / 2);
}

static int
insert_locked(struct etfs_shard *sh, struct enode *n)
{
	struct enode **p;

	if (sh->sh_count >= sh->sh_size) {
		int r = resize_locked(sh, sh->sh_size ? sh->sh_size * 2 : MIN_CHAINS);
		if (r < 0)
			return r;
	}
	p = chain(sh, n->n_hash);
	n->n_chain = *p;
	*p = n;
	n->n_hashed = true;
	sh->sh_count++;
	return 0;
}

/* What node_get() is asked for. */
struct wanted {
	const struct node_place *w_pl;
	const struct hc_stat *w_hs;
	uint64_t w_alias, w_hash;
	uint64_t w_gen; /* 0: not asked for as yet, or there is none */
};

/* A node of this identity that is still about, with a reference; or NULL, and one whose
 * inode has been reused is out of the way.  *ret_ask: the generation decides, and is not
 * known. */
static struct enode *
match_locked(struct etfs_shard *sh, const struct wanted *w, bool *ret_ask)
{
	const struct hc_stat *hs = w->w_hs;
	struct enode *n = find_locked(
	    sh, w->w_hash, w->w_pl->np_key, w->w_alias, hs->hs_dev, hs->hs_ino);

	*ret_ask = n && n->n_gen && !w->w_gen;
	if (!n || *ret_ask)
		return NULL;
	if (same_life(n, hs, w->w_gen) && vn_ref_live(&n->n_vn))
		return n;
	unhash_locked(sh, n);
	return NULL;
}

static const struct vops *
ops_for(const struct node_place *pl, const struct hc_stat *hs, enum vtype *ret_type)
{
	enum vtype t = vtype_of_mode(hs->hs_mode);

	*ret_type = t;
	if (!pl->np_parent && t != VDIR) {
		/* A file key: whatever it is on the host, it shows as a regular file. */
		*ret_type = VREG;
		return pl->np_key->k_window ? &etfs_window_vops : &etfs_live_vops;
	}
	return t == VREG   ? &etfs_live_vops
	       : t == VDIR ? &etfs_dir_vops
	       : t == VLNK ? &etfs_link_vops
	                   : &etfs_special_vops;
}

static int
node_new(const struct wanted *w, int fd, struct enode **ret)
{
	const struct node_place *pl = w->w_pl;
	const struct hc_stat *hs = w->w_hs;
	struct enode *n = calloc(1, sizeof(*n));
	const struct vops *op;
	enum vtype type;
	int r;

	if (!n)
		return -ENOMEM;
	n->n_dev = hs->hs_dev;
	n->n_ino = hs->hs_ino;
	n->n_ifmt = hs->hs_mode & S_IFMT;
	n->n_btime = hs->hs_btime;
	n->n_gen = w->w_gen;
	n->n_hash = w->w_hash;
	n->n_alias = w->w_alias;
	n->n_depth = pl->np_depth;
	n->n_fd = -1;
	r = hostfs_ref(pl->np_key->k_etfs, hs, fd,
	    pl->np_parent ? NULL : pl->np_key->k_host, &n->n_fs);
	if (r == 0)
		r = hostfs_ino(n->n_fs, hs->hs_ino, &n->n_shown_ino);
	op = ops_for(pl, hs, &type);
	if (r == 0)
		r = vn_init(&n->n_vn, &pl->np_key->k_mount, op, type);
	if (r < 0) {
		if (n->n_fs)
			hostfs_unref(pl->np_key->k_etfs, n->n_fs);
		free(n);
		return r;
	}
	if (!pl->np_parent)
		atomic_fetch_or(&n->n_vn.v_flags, VF_ROOT);
	if (pl->np_real && w->w_alias) {
		vn_ref(&pl->np_real->n_vn);
		n->n_real = pl->np_real;
	}
	*ret = n;
	return 0;
}

/* The node of this identity, which takes *fd if it has none; or NULL.  made: the one to
 * put in if there is none. */
static int
find_or_insert(struct etfs_shard *sh, struct wanted *w, int *fd, struct enode *made,
    struct enode **ret)
{
	struct enode *n;
	bool ask;
	int r = 0;

	for (;;) {
		lk_mutex(&sh->sh_mtx, LK_LEAF);
		n = match_locked(sh, w, &ask);
		if (!ask)
			break;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
		w->w_gen = generation(*fd);
		if (!w->w_gen)
			return -ESTALE;
	}
	if (!n && made) {
		r = insert_locked(sh, made);
		if (r == 0)
			n = made;
	}
	if (n)
		node_give_fd_locked(sh, n, fd);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	*ret = n;
	return r;
}

int
node_get(
    const struct node_place *pl, const struct hc_stat *hs, int *fd, struct enode **ret)
{
	struct etfs_key *k = pl->np_key;
	struct wanted w = {
	    .w_pl = pl,
	    .w_hs = hs,
	    .w_alias = S_ISDIR(hs->hs_mode) ? pl->np_alias : 0,
	};
	struct enode *n = NULL, *made = NULL;
	struct etfs_shard *sh;
	int r;

	w.w_hash = identity_hash(
	    k, !pl->np_parent || S_ISDIR(hs->hs_mode), w.w_alias, hs->hs_dev, hs->hs_ino);
	if (birth_is_vague(hs))
		w.w_gen = generation(*fd);
	sh = &k->k_etfs->e_shard[w.w_hash >> 58];
	r = find_or_insert(sh, &w, fd, NULL, &n);
	if (r == 0 && !n) {
		r = node_new(&w, *fd, &made);
		if (r == 0)
			r = find_or_insert(sh, &w, fd, made, &n);
		if (made && n != made)
			vn_unref(&made->n_vn);
	}
	if (r < 0)
		return r;
	if (pl->np_parent)
		node_found_inside(n, pl->np_real ? pl->np_real : pl->np_parent);
	if (pl->np_name)
		node_placed(n, pl->np_parent, pl->np_name);
	shard_trim(k->k_etfs, sh, k->k_etfs->e_shard_fds);
	*ret = n;
	return 0;
}

struct enode *
node_find(struct etfs_key *k, const struct hc_stat *hs, uint64_t alias)
{
	uint64_t dev = hs->hs_dev, ino = hs->hs_ino, hash;

	if (!S_ISDIR(hs->hs_mode))
		alias = 0;
	hash = identity_hash(k, S_ISDIR(hs->hs_mode), alias, dev, ino);
	struct etfs_shard *sh = &k->k_etfs->e_shard[hash >> 58];
	struct enode *n;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	n = find_locked(sh, hash, k, alias, dev, ino);
	if (n && (!same_life(n, hs, 0) || !vn_ref_live(&n->n_vn)))
		n = NULL;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return n;
}

bool
node_last_unref(struct vnode *vp)
{
	struct enode *n = node_of(vp);
	struct etfs_shard *sh = node_shard(n);
	bool dead;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	dead = atomic_fetch_sub(&vp->v_ref, 1) == 1;
	if (dead && n->n_hashed)
		unhash_locked(sh, n);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return dead;
}

void
node_reclaim(struct vnode *vp)
{
	struct enode *n = node_of(vp), *parent = n->n_parent, *real = n->n_real;
	struct etfs_shard *sh = node_shard(n);
	int fd;

	watch_forget(n);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	fd = node_take_fd_locked(sh, n);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	hc_close(fd);
	hostfs_unref(key_of(n)->k_etfs, n->n_fs);
	free(n->n_handle);
	free(n->n_list);
	free(n->n_name);
	/* The mount goes with its last vnode, so these come first. */
	if (parent)
		vn_unref(&parent->n_vn);
	if (real)
		vn_unref(&real->n_vn);
	vn_done(vp);
	free(n);
}
