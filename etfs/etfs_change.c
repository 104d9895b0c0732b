/*
 * Keys that change: taken away for good or to come back, and what can change in place.
 *
 * A withdrawn key is a key without a name: its mount, its nodes, its locks and its open files
 * are as before.  So putting it back cannot be refused by another program that wanted its
 * range meanwhile, and nobody who has a file of it open notices.
 */
#include <errno.h>
#include <stdlib.h>

#include "etfs/etfs_private.h"

static int
withdraw(struct etfs *e, const char *key, bool prune, struct etfs_key **ret_key)
{
	struct etfs_key *k;
	struct attach *at;
	char *path;
	int r = vfs_path_normal(key, &path);

	if (r < 0)
		return r;
	pthread_mutex_lock(&e->e_key_mtx);
	r = -ENOENT;
	k = key_of_attach(vfs_attach_peek(e->e_vfs, path));
	if (k && k->k_at.at_vp && vn_is_device(k->k_at.at_vp))
		r = -EBUSY;
	else if (k)
		r = prune ? vfs_detach(e->e_vfs, path, &at)
		          : vfs_withdraw(e->e_vfs, path, &at);
	if (r == 0) {
		late_del(e, path);
		key_unlist(e, k);
	}
	pthread_mutex_unlock(&e->e_key_mtx);
	free(path);
	if (r == 0)
		*ret_key = k;
	return r;
}

int
etfs_withdraw(struct etfs *e, const char *key, struct etfs_key **ret_key)
{
	return withdraw(e, key, false, ret_key);
}

int
etfs_restore(struct etfs_key *k)
{
	struct etfs *e = k->k_etfs;
	int r;

	pthread_mutex_lock(&e->e_key_mtx);
	/* From when it can be seen it can be removed. */
	key_list(e, k);
	r = vfs_attach(e->e_vfs, &k->k_at);
	if (r < 0)
		key_unlist(e, k);
	else if (k->k_at.at_kind == AT_PENDING)
		late_add(e, k->k_at.at_path, k->k_host);
	pthread_mutex_unlock(&e->e_key_mtx);
	return r;
}

void
etfs_end(struct etfs_key *k)
{
	pthread_mutex_lock(&k->k_etfs->e_key_mtx);
	atomic_store(&k->k_gone, true);
	key_unlock(k);
	pthread_mutex_unlock(&k->k_etfs->e_key_mtx);
	share_key_del(k);
	if (k->k_at.at_vp)
		vn_unref(k->k_at.at_vp);
	mount_unref(&k->k_mount);
}

int
etfs_remove(struct etfs *e, const char *key)
{
	struct etfs_key *k;
	int r = withdraw(e, key, true, &k);

	if (r == 0)
		etfs_end(k);
	return r;
}

/* The key at this path and its root, both for as long as e_key_mtx is held, which is taken
 * unless there is none (NULL). */
static struct etfs_key *
lock_key(struct etfs *e, const char *key, struct enode **ret_root)
{
	struct etfs_key *k;
	char *path;

	if (vfs_path_normal(key, &path) < 0)
		return NULL;
	pthread_mutex_lock(&e->e_key_mtx);
	k = key_of_attach(vfs_attach_peek(e->e_vfs, path));
	free(path);
	if (k && atomic_load_explicit(&k->k_ready, memory_order_acquire) &&
	    k->k_at.at_vp) {
		*ret_root = node_of(k->k_at.at_vp);
		return k;
	}
	pthread_mutex_unlock(&e->e_key_mtx);
	return NULL;
}

int
etfs_looks_get(struct etfs *e, const char *key, struct etfs_looks *ret)
{
	struct enode *root;
	struct etfs_key *k = lock_key(e, key, &root);
	const struct etfs_view *vw;

	if (!k)
		return -ENOENT;
	vw = &k->k_view;
	lk_mutex(&node_shard(root)->sh_mtx, LK_LEAF);
	*ret = (struct etfs_looks){
	    .el_hidden = k->k_at.at_hidden,
	    .el_set_mode = vw->vw_valid & VS_MODE,
	    .el_set_uid = vw->vw_valid & VS_UID,
	    .el_set_gid = vw->vw_valid & VS_GID,
	    .el_mode = vw->vw_mode,
	    .el_uid = vw->vw_uid,
	    .el_gid = vw->vw_gid,
	};
	lk_mutex_unlock(&node_shard(root)->sh_mtx, LK_LEAF);
	pthread_mutex_unlock(&e->e_key_mtx);
	return 0;
}

int
etfs_looks_set(struct etfs *e, const char *key, const struct etfs_looks *looks)
{
	const struct vfs *v = e->e_vfs;
	struct enode *root;
	struct etfs_key *k = lock_key(e, key, &root);
	struct etfs_view *vw;

	if (!k)
		return -ENOENT;
	vw = &k->k_view;
	lk_mutex(&node_shard(root)->sh_mtx, LK_LEAF);
	vw->vw_valid &= ~(unsigned)(VS_MODE | VS_UID | VS_GID);
	vw->vw_valid |= (looks->el_set_mode ? VS_MODE : 0) |
	                (looks->el_set_uid ? VS_UID : 0) |
	                (looks->el_set_gid ? VS_GID : 0);
	vw->vw_mode = looks->el_mode & 07777;
	vw->vw_uid = looks->el_uid;
	vw->vw_gid = looks->el_gid;
	lk_mutex_unlock(&node_shard(root)->sh_mtx, LK_LEAF);
	if (k->k_at.at_hidden != looks->el_hidden)
		(void)vfs_attach_hide(e->e_vfs, k->k_at.at_path, looks->el_hidden);
	if (v->vfs_notify)
		v->vfs_notify->attrs(v->vfs_notify_arg, &root->n_vn);
	pthread_mutex_unlock(&e->e_key_mtx);
	return 0;
}

static int
set_ttl(struct attach *at, void *arg)
{
	struct etfs_key *k = key_of_attach(at);

	if (k)
		atomic_store(&k->k_mount.mnt_ttl_ns, *(const uint64_t *)arg);
	return 0;
}

void
etfs_set_ttl(struct etfs *e, uint64_t ttl_ns)
{
	pthread_mutex_lock(&e->e_key_mtx);
	e->e_opts.eo_ttl_ns = ttl_ns;
	(void)vfs_attach_each(e->e_vfs, set_ttl, &ttl_ns);
	pthread_mutex_unlock(&e->e_key_mtx);
}

static bool
is_device(const struct etfs_key *k)
{
	return atomic_load_explicit(&k->k_ready, memory_order_acquire) && k->k_at.at_vp &&
	       vn_is_device(k->k_at.at_vp);
}

void
etfs_set_rdonly(struct etfs *e, bool rdonly)
{
	atomic_store(&e->e_rdonly, rdonly);
	lk_mutex(&e->e_list_mtx, LK_LEAF);
	for (struct etfs_key *k = e->e_list; k; k = k->k_next) {
		if (!rdonly && !k->k_rdonly)
			atomic_fetch_and(&k->k_mount.mnt_flags, ~(unsigned)MNT_RDONLY);
		else if (!is_device(k))
			atomic_fetch_or(&k->k_mount.mnt_flags, MNT_RDONLY);
	}
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
}

/* What registering would have asked for if it had been for writing. */
static int
make_writable(struct etfs_key *k, struct etfs_why *why)
{
	struct vfs *v = k->k_etfs->e_vfs;
	struct key_probe p;
	bool ready;
	int r;

	/* One that is missing is resolved under this mutex; it will be asked for then. */
	pthread_mutex_lock(&v->vfs_attach_mtx);
	atomic_store(&k->k_rdonly, false);
	ready = atomic_load(&k->k_ready);
	pthread_mutex_unlock(&v->vfs_attach_mtx);
	if (!ready)
		return 0;
	r = key_check(k, why, &p);
	if (r == 0) {
		hc_close(p.kp_fd);
		if (p.kp_stat.hs_dev == k->k_dev && p.kp_stat.hs_ino == k->k_ino &&
		    range_equal(&p.kp_win, &k->k_win)) {
			key_unlock(k);
			k->k_lock = p.kp_lock;
			k->k_locked_write = true;
			return 0;
		}
		hostlock_drop(k->k_etfs, p.kp_lock, &p.kp_win, true);
		why_say(why, k->k_at.at_path, k->k_host, "it is another file by now");
		r = -ESTALE;
	}
	atomic_store(&k->k_rdonly, true);
	return r;
}

int
etfs_make_writable(struct etfs *e, struct etfs_why *why)
{
	struct etfs_list l;
	int r = etfs_list(e, &l);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < l.el_n; i++) {
		struct etfs_key *k = (struct etfs_key *)l.el_mounts[i];

		if (!k->k_own_rdonly && atomic_load(&k->k_rdonly) && !is_device(k))
			r = make_writable(k, why);
	}
	if (r == 0)
		e->e_opts.eo_rdonly = false;
	etfs_list_done(&l);
	return r;
}
