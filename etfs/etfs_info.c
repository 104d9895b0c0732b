/*
 * What can be said of keys and their files without asking the host.
 */
#include "etfs/etfs_private.h"

/* The bytes of its host file that a file is. */
static struct etfs_range
bytes_of(const struct enode *n)
{
	const struct etfs_key *k = key_of(n);
	struct etfs_range all = {0, INT64_MAX};

	return !key_is_dir(k) && k->k_window ? k->k_win : all;
}

static bool
is_file(const struct vnode *vp)
{
	return vp->v_op == &etfs_live_vops || vp->v_op == &etfs_window_vops;
}

bool
etfs_overlap(struct vnode *a, struct vnode *b)
{
	struct etfs_range ra, rb;

	if (!is_file(a) || !is_file(b) || node_of(a)->n_dev != node_of(b)->n_dev ||
	    node_of(a)->n_ino != node_of(b)->n_ino)
		return false;
	ra = bytes_of(node_of(a));
	rb = bytes_of(node_of(b));
	return range_overlap(&ra, &rb);
}

void
etfs_stats(struct etfs *e, struct etfs_stats *ret)
{
	struct etfs_stats s = {.et_keys = atomic_load(&e->e_nkeys),
	    .et_fd_max = (uint64_t)e->e_shard_fds * ETFS_NSHARDS,
	    .et_events = atomic_load(&e->e_watcher.wt_events)};

	lk_mutex(&e->e_watcher.wt_mtx, LK_LEAF);
	s.et_watches = e->e_watcher.wt_count;
	lk_mutex_unlock(&e->e_watcher.wt_mtx, LK_LEAF);

	for (unsigned i = 0; i < ETFS_NSHARDS; i++) {
		struct etfs_shard *sh = &e->e_shard[i];

		lk_mutex(&sh->sh_mtx, LK_LEAF);
		s.et_nodes += sh->sh_count;
		s.et_fds += sh->sh_nfds;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	}
	*ret = s;
}
