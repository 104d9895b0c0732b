/*
 * Which files and keys have bytes of a host file in common.
 */
#include <stdlib.h>

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

static int
by_place(const void *a, const void *b)
{
	const struct etfs_key *x = *(struct etfs_key *const *)a;
	const struct etfs_key *y = *(struct etfs_key *const *)b;

	if (x->k_dev != y->k_dev)
		return x->k_dev < y->k_dev ? -1 : 1;
	if (x->k_ino != y->k_ino)
		return x->k_ino < y->k_ino ? -1 : 1;
	return (x->k_win.r_begin > y->k_win.r_begin) -
	       (x->k_win.r_begin < y->k_win.r_begin);
}

static bool
shares_host(const struct etfs_key *a, const struct etfs_key *b)
{
	return a->k_dev == b->k_dev && a->k_ino == b->k_ino &&
	       b->k_win.r_begin < range_end(&a->k_win);
}

void
etfs_overlaps(struct etfs *e,
    void (*fn)(const struct etfs_info *a, const struct etfs_info *b, void *arg),
    void *arg)
{
	struct keylist l = {NULL, 0, 0};
	size_t n = 0;

	pthread_mutex_lock(&e->e_key_mtx); /* keys stay */
	/* Out of memory: those that were collected are still compared. */
	(void)vfs_attach_each(e->e_vfs, collect_key, &l);
	for (size_t i = 0; i < l.kl_n; i++)
		if (atomic_load_explicit(&l.kl_key[i]->k_ready, memory_order_acquire) &&
		    l.kl_key[i]->k_window)
			l.kl_key[n++] = l.kl_key[i];
	if (n)
		qsort(l.kl_key, n, sizeof(*l.kl_key), by_place);
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n && shares_host(l.kl_key[i], l.kl_key[j]);
		     j++) {
			struct etfs_key *a = l.kl_key[i], *b = l.kl_key[j];
			struct etfs_info ia, ib;

			if ((a->k_rdonly && b->k_rdonly) ||
			    !range_overlap(&a->k_win, &b->k_win))
				continue;
			key_info(a, &ia);
			key_info(b, &ib);
			fn(&ia, &ib, arg);
		}
	pthread_mutex_unlock(&e->e_key_mtx);
	free(l.kl_key);
}
