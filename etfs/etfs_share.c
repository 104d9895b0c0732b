/*
 * One host file under several keys.
 *
 * Two directory keys may overlap, a file key may be of a file that is in a directory key
 * too, windows may overlap.  Each has a node, and an inode with pages in the kernel, of its
 * own.  What is written through one is to be read through the other.
 *
 * While somebody has one of them open for writing the attributes of the others are good for
 * no time at all: the kernel asks before each read, sees that mtime or size has moved, and
 * drops its pages (FUSE_AUTO_INVAL_DATA).  What it was told before goes when the writer
 * opens (share_changed()), before the open is answered.  The same after a truncation by
 * name.
 *
 * The time of a change must differ from that of the change before, which clock ticks do not
 * provide for on older kernels, and a block device's inode does not tell of changes at all.
 * So a time that is fresh is shown with a few nanoseconds more, others each time, for as
 * long as there is a writer (share_blur()).
 *
 * Siblings.  Files of directory keys are hashed by the host's numbers alone, so those of
 * other keys are in the same chain.  File keys are in a table of host files, each with the
 * list of its keys and of the files that are open for writing through them; a hundred
 * thousand windows of one image are one entry.  Which of them overlap at all is worked out
 * when it is needed first after the list has changed.
 *
 * A mapping has what it has; pages change in it when the file is read or asked about
 * through the same key, or opened.
 *
 * Locking: e_share_mtx (rank LEAF) for the table.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

#define FRESH_NS 40000000ll

struct hostfile {
	struct hostfile *hl_next; /* in its chain */
	uint64_t hl_dev, hl_ino;
	struct etfs_key *hl_keys;
	size_t hl_nkeys;
	struct efile *hl_writers;
	bool hl_swept; /* k_laps of the keys is right */
};

static struct hostfile **
slot_of(struct etfs *e, uint64_t dev, uint64_t ino)
{
	uint64_t h = (dev * 0xe7037ed1a0b428dbull ^ ino) * 0x8ebc6af09c88c6e3ull;
	struct hostfile **p = &e->e_share[(h >> 32) & (e->e_share_size - 1)];

	while (*p && ((*p)->hl_dev != dev || (*p)->hl_ino != ino))
		p = &(*p)->hl_next;
	return p;
}

static struct hostfile *
find_locked(struct etfs *e, uint64_t dev, uint64_t ino)
{
	return e->e_share_size ? *slot_of(e, dev, ino) : NULL;
}

static int
grow_locked(struct etfs *e)
{
	uint32_t size = e->e_share_size ? e->e_share_size * 2 : 16, old = e->e_share_size;
	struct hostfile **was = e->e_share, **h = calloc(size, sizeof(struct hostfile *));

	if (!h)
		return old ? 0 : -ENOMEM;
	e->e_share = h;
	e->e_share_size = size;
	for (uint32_t i = 0; i < old; i++) {
		struct hostfile *hl, *next;

		for (hl = was[i]; hl; hl = next) {
			struct hostfile **p = slot_of(e, hl->hl_dev, hl->hl_ino);

			next = hl->hl_next;
			hl->hl_next = NULL;
			*p = hl;
		}
	}
	free(was);
	return 0;
}

static int
add_locked(struct etfs *e, struct etfs_key *k)
{
	struct hostfile *hl, **slot;

	if (e->e_share_count >= e->e_share_size && grow_locked(e) < 0)
		return -ENOMEM;
	slot = slot_of(e, k->k_dev, k->k_ino);
	hl = *slot;
	if (!hl) {
		hl = calloc(1, sizeof(*hl));
		if (!hl)
			return -ENOMEM;
		hl->hl_dev = k->k_dev;
		hl->hl_ino = k->k_ino;
		*slot = hl;
		e->e_share_count++;
	}
	k->k_share_next = hl->hl_keys;
	if (hl->hl_keys)
		hl->hl_keys->k_share_prev = k;
	hl->hl_keys = k;
	hl->hl_nkeys++;
	hl->hl_swept = false;
	return 0;
}

static void
maybe_free_locked(struct etfs *e, struct hostfile *hl)
{
	if (hl->hl_keys || hl->hl_writers)
		return;
	*slot_of(e, hl->hl_dev, hl->hl_ino) = hl->hl_next;
	free(hl);
	e->e_share_count--;
}

int
share_key_add(struct etfs_key *k, struct enode *root)
{
	struct etfs *e = k->k_etfs;
	int r;

	if (key_is_dir(k))
		return 0;
	lk_mutex(&e->e_share_mtx, LK_LEAF);
	r = add_locked(e, k);
	if (r == 0)
		k->k_share_root = root;
	lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
	return r;
}

void
share_key_del(struct etfs_key *k)
{
	struct etfs *e = k->k_etfs;
	struct hostfile *hl;

	lk_mutex(&e->e_share_mtx, LK_LEAF);
	if (k->k_share_root) {
		hl = find_locked(e, k->k_dev, k->k_ino);
		if (k->k_share_prev)
			k->k_share_prev->k_share_next = k->k_share_next;
		else
			hl->hl_keys = k->k_share_next;
		if (k->k_share_next)
			k->k_share_next->k_share_prev = k->k_share_prev;
		k->k_share_root = NULL;
		hl->hl_nkeys--;
		hl->hl_swept = false;
		maybe_free_locked(e, hl);
	}
	lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
}

void
share_done(struct etfs *e)
{
	free(e->e_share);
	pthread_mutex_destroy(&e->e_share_mtx);
}

static bool
is_file_key(const struct enode *n)
{
	return node_is_root(n) && n->n_vn.v_type != VDIR;
}

/* Whether two nodes of one host file have bytes in common. */
static bool
meet(const struct enode *a, const struct enode *b)
{
	const struct etfs_key *ka = key_of(a), *kb = key_of(b);

	return !is_file_key(a) || !is_file_key(b) || !ka->k_window || !kb->k_window ||
	       range_overlap(&ka->k_win, &kb->k_win);
}

static int
by_begin(const void *a, const void *b)
{
	const struct etfs_key *x = *(struct etfs_key *const *)a;
	const struct etfs_key *y = *(struct etfs_key *const *)b;

	return (x->k_win.r_begin > y->k_win.r_begin) -
	       (x->k_win.r_begin < y->k_win.r_begin);
}

/* Says of each key whether it has bytes in common with any other.  In the order of their
 * beginnings each is compared with the one that reaches farthest. */
static void
sweep_locked(struct hostfile *hl)
{
	struct etfs_key **all = malloc(hl->hl_nkeys * sizeof(struct etfs_key *)), *far;
	bool whole = false;
	size_t n = 0;

	for (struct etfs_key *k = hl->hl_keys; k; k = k->k_share_next) {
		whole |= !k->k_window;
		if (all)
			all[n++] = k;
	}
	for (struct etfs_key *k = hl->hl_keys; k; k = k->k_share_next)
		k->k_laps = !all || (whole && hl->hl_nkeys > 1);
	if (all && n && !whole) {
		qsort(all, n, sizeof(struct etfs_key *), by_begin);
		far = all[0];
		for (size_t i = 1; i < n; i++) {
			if (range_overlap(&all[i]->k_win, &far->k_win))
				all[i]->k_laps = far->k_laps = true;
			if (range_end(&all[i]->k_win) > range_end(&far->k_win))
				far = all[i];
		}
	}
	hl->hl_swept = all != NULL;
	free(all);
}

/* The host file of n, if there are file keys that n may have bytes in common with: windows
 * that overlap with none are left out at once, however many there are. */
static struct hostfile *
shared_locked(struct enode *n)
{
	struct hostfile *hl = find_locked(key_of(n)->k_etfs, n->n_dev, n->n_ino);

	if (!hl || !is_file_key(n))
		return hl;
	if (!hl->hl_swept)
		sweep_locked(hl);
	return key_of(n)->k_laps ? hl : NULL;
}

/* The nodes to be told, each with a reference. */
struct siblings {
	struct enode **sb_node;
	size_t sb_n, sb_cap;
};

/* Without memory one goes without being told: its attributes are good for the cache time. */
static void
add_sibling(struct siblings *sb, struct enode *n)
{
	if (sb->sb_n == sb->sb_cap) {
		size_t cap = sb->sb_cap ? sb->sb_cap * 2 : 8;
		struct enode **p = realloc(sb->sb_node, cap * sizeof(struct enode *));

		if (!p)
			return;
		sb->sb_node = p;
		sb->sb_cap = cap;
	}
	if (vn_ref_live(&n->n_vn))
		sb->sb_node[sb->sb_n++] = n;
}

static void
key_siblings(struct enode *n, struct siblings *sb)
{
	struct etfs *e = key_of(n)->k_etfs;
	struct hostfile *hl;

	lk_mutex(&e->e_share_mtx, LK_LEAF);
	hl = shared_locked(n);
	if (hl)
		for (struct etfs_key *k = hl->hl_keys; k; k = k->k_share_next)
			if (k->k_share_root != n && meet(n, k->k_share_root))
				add_sibling(sb, k->k_share_root);
	lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
}

/* Calls fn for the files of directory keys that are n's, but for n itself, until it says
 * true; whether it did.  Their shard is locked. */
static bool
each_in_dirs(struct enode *n, bool (*fn)(struct enode *m, void *arg), void *arg)
{
	struct etfs *e = key_of(n)->k_etfs;
	uint64_t hash = file_hash(n->n_dev, n->n_ino);
	struct etfs_shard *sh = &e->e_shard[hash >> 58];
	bool found = false;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	for (struct enode *m = sh->sh_size ? sh->sh_hash[hash & (sh->sh_size - 1)] : NULL;
	     m && !found; m = m->n_chain)
		if (m != n && m->n_hash == hash && m->n_dev == n->n_dev &&
		    m->n_ino == n->n_ino && !node_is_root(m))
			found = fn(m, arg);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return found;
}

static bool
take_sibling(struct enode *m, void *arg)
{
	add_sibling(arg, m);
	return false;
}

static bool
has_writers(struct enode *m, void *arg)
{
	(void)arg;
	return m->n_writers != 0;
}

void
share_changed(struct enode *n)
{
	struct etfs *e = key_of(n)->k_etfs;
	struct vfs *v = n->n_vn.v_mount->mnt_vfs;
	struct siblings sb = {NULL, 0, 0};

	if (atomic_load(&e->e_nkeys) < 2 || n->n_vn.v_type != VREG || !v->vfs_notify)
		return;
	key_siblings(n, &sb);
	(void)each_in_dirs(n, take_sibling, &sb);
	for (size_t i = 0; i < sb.sb_n; i++) {
		/* It keeps nothing from then on (watch_attr_ttl()). */
		atomic_store(&sb.sb_node[i]->n_told_ns, 0);
		v->vfs_notify->attrs(v->vfs_notify_arg, &sb.sb_node[i]->n_vn);
		vn_unref(&sb.sb_node[i]->n_vn);
	}
	if (sb.sb_n)
		v->vfs_notify->settle(v->vfs_notify_arg);
	free(sb.sb_node);
}

void
share_open(struct efile *ef)
{
	struct enode *n = ef->ef_node;
	struct etfs *e = key_of(n)->k_etfs;
	struct etfs_shard *sh = node_shard(n);
	struct hostfile *hl;

	if (is_file_key(n)) {
		lk_mutex(&e->e_share_mtx, LK_LEAF);
		hl = find_locked(e, n->n_dev, n->n_ino);
		/* Not there: the key has just been removed. */
		ef->ef_shared = hl;
		ef->ef_wnext = hl ? hl->hl_writers : NULL;
		if (ef->ef_wnext)
			ef->ef_wnext->ef_wprev = ef;
		if (hl)
			hl->hl_writers = ef;
		lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
	} else {
		lk_mutex(&sh->sh_mtx, LK_LEAF);
		n->n_writers++;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	}
	ef->ef_writes = true;
	atomic_fetch_add(&e->e_writers, 1);
	share_changed(n);
}

void
share_close(struct efile *ef)
{
	struct enode *n = ef->ef_node;
	struct etfs *e = key_of(n)->k_etfs;
	struct etfs_shard *sh = node_shard(n);

	if (!is_file_key(n)) {
		lk_mutex(&sh->sh_mtx, LK_LEAF);
		n->n_writers--;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	} else if (ef->ef_shared) {
		lk_mutex(&e->e_share_mtx, LK_LEAF);
		if (ef->ef_wprev)
			ef->ef_wprev->ef_wnext = ef->ef_wnext;
		else
			ef->ef_shared->hl_writers = ef->ef_wnext;
		if (ef->ef_wnext)
			ef->ef_wnext->ef_wprev = ef->ef_wprev;
		maybe_free_locked(e, ef->ef_shared);
		lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
	}
	atomic_fetch_sub(&e->e_writers, 1);
}

bool
share_is_written(struct enode *n)
{
	struct etfs *e = key_of(n)->k_etfs;
	struct hostfile *hl;
	bool found = false;

	if (atomic_load_explicit(&e->e_writers, memory_order_relaxed) == 0 ||
	    atomic_load_explicit(&e->e_nkeys, memory_order_relaxed) < 2 ||
	    n->n_vn.v_type != VREG)
		return false;
	lk_mutex(&e->e_share_mtx, LK_LEAF);
	hl = shared_locked(n);
	for (struct efile *ef = hl ? hl->hl_writers : NULL; ef && !found;
	     ef = ef->ef_wnext)
		found = ef->ef_node != n && meet(n, ef->ef_node);
	lk_mutex_unlock(&e->e_share_mtx, LK_LEAF);
	return found || each_in_dirs(n, has_writers, NULL);
}

void
share_blur(const struct enode *n, struct vattr *va)
{
	static _Atomic unsigned count;
	struct timespec now, *t = &va->va_mtime;
	long more = (long)(atomic_fetch_add(&count, 1) % 4096);

	vfs_now(&now);
	if (S_ISBLK(n->n_ifmt))
		*t = va->va_ctime = now;
	else if ((now.tv_sec - t->tv_sec) * 1000000000ll + now.tv_nsec - t->tv_nsec >=
		 FRESH_NS)
		return;
	t->tv_nsec += t->tv_nsec + more < 1000000000l ? more : -more;
}
