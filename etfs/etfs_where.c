/*
 * Where a node is, in the namespace and on the host, said without waiting for the host.
 *
 * Names are not kept with nodes (etfs_rename.c).  But the kernel keeps one for each fd, and
 * says it from its own tables: no file system is asked, so that it can be said of one that
 * does not answer.  That is why the shard's lock may be held meanwhile, by which the fd stays
 * what it is.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "etfs/etfs_private.h"

static int
host_path(struct enode *n, char *buf, size_t cap)
{
	struct etfs_shard *sh = node_shard(n);
	int fd, r = -ENOENT;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	fd = n->n_fd >= 0 ? n->n_fd : n->n_files ? n->n_files->ef_fd : -1;
	if (fd >= 0)
		r = hc_path(fd, buf, cap);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return r;
}

bool
etfs_where(struct vnode *vp, char *path, char *host, size_t cap)
{
	const struct etfs_key *k;
	size_t len;

	if (vp->v_op != &etfs_live_vops && vp->v_op != &etfs_window_vops &&
	    vp->v_op != &etfs_link_vops && vp->v_op != &etfs_special_vops &&
	    vp->v_op != &etfs_dir_vops)
		return false;
	k = key_of(node_of(vp));
	snprintf(path, cap, "%s", k->k_at.at_path);
	snprintf(host, cap, "%s", k->k_host);
	if (!atomic_load_explicit(&k->k_ready, memory_order_acquire) || !key_is_dir(k) ||
	    node_is_root(node_of(vp)))
		return true;
	/* What is below the key on the host is so in the namespace, where no link was
	 * followed. */
	len = k->k_real ? strlen(k->k_real) : 0;
	if (host_path(node_of(vp), host, cap) < 0) {
		snprintf(host, cap, "%s/...", k->k_host);
		snprintf(path, cap, "%s/...", k->k_at.at_path);
	} else if (len && strncmp(host, k->k_real, len) == 0 && host[len] == '/') {
		snprintf(path, cap, "%s%s",
		    strcmp(k->k_at.at_path, "/") == 0 ? "" : k->k_at.at_path, host + len);
	} else {
		snprintf(path, cap, "%s/...", k->k_at.at_path);
	}
	return true;
}
