/*
 * The table of attachments: a chained hash by path (mount.h, attach_private.h).
 *
 * vfs_lock guards the chains; whoever changes them holds the attach mutex too, so that
 * whoever holds that may read them without the lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/attach_private.h"

static struct attach **
bucket(struct vfs *v, const char *path)
{
	return &v->vfs_ahash[name_hash(path, strlen(path)) & (v->vfs_asize - 1)];
}

struct attach *
vfs_attach_peek(struct vfs *v, const char *path)
{
	struct attach *at;

	lk_read(&v->vfs_lock, LK_MOUNTS);
	for (at = *bucket(v, path); at && strcmp(at->at_path, path) != 0;
	     at = at->at_hnext)
		;
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
	return at;
}

static void
table_grow(struct vfs *v)
{
	uint32_t osize = v->vfs_asize;
	struct attach **old = v->vfs_ahash, **h = calloc(osize * 4, sizeof(*h));

	if (!h)
		return; /* longer chains, nothing worse */
	v->vfs_ahash = h;
	v->vfs_asize = osize * 4;
	for (uint32_t i = 0; i < osize; i++) {
		struct attach *at, *next;

		for (at = old[i]; at; at = next) {
			struct attach **b = bucket(v, at->at_path);

			next = at->at_hnext;
			at->at_hnext = *b;
			*b = at;
		}
	}
	free(old);
}

void
attach_table_add(struct vfs *v, struct attach *at)
{
	struct attach **b;

	lk_write(&v->vfs_lock, LK_MOUNTS);
	if (v->vfs_acount >= v->vfs_asize)
		table_grow(v);
	b = bucket(v, at->at_path);
	at->at_hnext = *b;
	*b = at;
	v->vfs_acount++;
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
}

void
attach_table_del(struct vfs *v, struct attach *at)
{
	struct attach **b;

	lk_write(&v->vfs_lock, LK_MOUNTS);
	for (b = bucket(v, at->at_path); *b != at; b = &(*b)->at_hnext)
		;
	*b = at->at_hnext;
	at->at_hnext = NULL;
	v->vfs_acount--;
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
}

static int
by_order(const void *a, const void *b)
{
	const struct attach *x = *(struct attach *const *)a,
			    *y = *(struct attach *const *)b;

	return (x->at_order > y->at_order) - (x->at_order < y->at_order);
}

int
attach_collect(struct vfs *v, const char *path, struct attach ***ret, size_t *ret_n)
{
	size_t n = 0, len = path ? strlen(path) : 0;
	struct attach **all = malloc((v->vfs_acount + 1) * sizeof(*all));

	if (!all)
		return -ENOMEM;
	if (len == 1)
		len = 0; /* "/" has everything below it */
	for (uint32_t i = 0; i < v->vfs_asize; i++)
		for (struct attach *at = v->vfs_ahash[i]; at; at = at->at_hnext)
			if (!path || (strncmp(at->at_path, path, len) == 0 &&
					 at->at_path[len] == '/' && at->at_path[len + 1]))
				all[n++] = at;
	qsort(all, n, sizeof(struct attach *), by_order);
	*ret = all;
	*ret_n = n;
	return 0;
}

int
vfs_attach_each(struct vfs *v, int (*fn)(struct attach *at, void *arg), void *arg)
{
	struct attach **all = NULL;
	size_t n = 0;
	int r;

	pthread_mutex_lock(&v->vfs_attach_mtx);
	r = attach_collect(v, NULL, &all, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!all[i]->at_synth)
			r = fn(all[i], arg);
	pthread_mutex_unlock(&v->vfs_attach_mtx);
	free(all);
	return r;
}
