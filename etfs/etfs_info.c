/*
 * How many keys, host files and descriptors there are.
 */
#include "etfs/etfs_private.h"

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
