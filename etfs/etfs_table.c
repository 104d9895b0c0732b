/*
 * Keys: registering, removing, finding, listing.
 *
 * There is no table of keys here: the namespace's table of attachments is one.  An
 * attachment is a key's if its at_resolve is ours (others leave it empty), and then
 * at_arg is the key.
 *
 * A key whose host object is missing (es_missing_hide) is attached as a pending name;
 * the namespace calls key_resolve() under its attach mutex when the name is looked up,
 * which makes all checks that registering would have made.  Everything that depends on
 * the object is set before k_ready, and read after it.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

static const char *const type_names[] = {
    [ETFS_AUTO] = "auto",
    [ETFS_REG] = "reg",
    [ETFS_BLK] = "blk",
    [ETFS_CHR] = "chr",
    [ETFS_DIR] = "dir",
    [ETFS_DIR_SUBDIRS] = "dir-subdirs",
};

const char *
etfs_type_name(enum etfs_type t)
{
	return (unsigned)t < sizeof(type_names) / sizeof(type_names[0]) ? type_names[t]
	                                                                : "?";
}

static unsigned
fd_share(const struct etfs_opts *o)
{
	uint64_t max = o->eo_fd_max;

	if (max == 0) {
		max = hc_raise_nofile() / 4;
		max = max < 64 ? 64 : max > 65536 ? 65536 : max;
	}
	max /= ETFS_NSHARDS;
	return max < 2 ? 2 : (unsigned)max;
}

#ifdef RF_CHECKED
/* Before any thread: a second etfs may be made while requests run. */
__attribute__((constructor)) static void
install_hook(void)
{
	hc_hook = lock_assert_none;
}
#endif

int
etfs_new(struct vfs *v, const struct etfs_opts *o, struct etfs **ret)
{
	struct etfs *e;
	int r = hc_init();

	if (r < 0)
		return r;
	e = aligned_alloc(_Alignof(struct etfs), sizeof(*e));
	if (!e)
		return -ENOMEM;
	memset(e, 0, sizeof(*e));
	e->e_vfs = v;
	e->e_opts = *o;
	e->e_shard_fds = fd_share(o);
	atomic_init(&e->e_ref, 1);
	pthread_mutex_init(&e->e_key_mtx, NULL);
	pthread_mutex_init(&e->e_fs_mtx, NULL);
	pthread_mutex_init(&e->e_lock_mtx, NULL);
	pthread_mutex_init(&e->e_share_mtx, NULL);
	pthread_mutex_init(&e->e_list_mtx, NULL);
	e->e_list_tail = &e->e_list;
	watch_init(e);
	for (unsigned i = 0; i < ETFS_NSHARDS; i++)
		pthread_mutex_init(&e->e_shard[i].sh_mtx, NULL);
	*ret = e;
	return 0;
}

void
etfs_unref(struct etfs *e)
{
	if (atomic_fetch_sub(&e->e_ref, 1) != 1)
		return;
	hostlock_done(e);
	hostfs_done(e);
	watch_done(e);
	share_done(e);
	for (unsigned i = 0; i < ETFS_NSHARDS; i++) {
		free(e->e_shard[i].sh_hash);
		pthread_mutex_destroy(&e->e_shard[i].sh_mtx);
	}
	pthread_mutex_destroy(&e->e_key_mtx);
	pthread_mutex_destroy(&e->e_fs_mtx);
	pthread_mutex_destroy(&e->e_lock_mtx);
	pthread_mutex_destroy(&e->e_list_mtx);
	free(e->e_tried);
	free(e);
}

/* The last reference to a key's mount is gone. */
static void
key_free(struct mount *mp)
{
	struct etfs_key *k = (struct etfs_key *)mp;
	struct etfs *e = k->k_etfs;

	free(k->k_at.at_path);
	free(k->k_host);
	free(k->k_partition);
	free(k->k_real);
	free(k);
	etfs_unref(e);
}

/* Says what the key becomes, as far as that depends on the host object. */
static void
key_settle(struct etfs_key *k, const struct key_probe *p)
{
	k->k_type = p->kp_type;
	k->k_window = p->kp_window;
	k->k_win = p->kp_win;
	k->k_dev = p->kp_stat.hs_dev;
	k->k_ino = p->kp_stat.hs_ino;
	k->k_lock = p->kp_lock;
	k->k_locked_write = p->kp_write;
	k->k_mount.mnt_type = etfs_type_name(p->kp_type);
	if (p->kp_type == ETFS_CHR)
		atomic_fetch_or(&k->k_mount.mnt_flags, MNT_NOCACHE);
}

void
key_unlock(struct etfs_key *k)
{
	hostlock_drop(k->k_etfs, k->k_lock, &k->k_win, k->k_locked_write);
	k->k_lock = NULL;
}

/* What the kernel calls a directory now; etfs_where() does without if it is not known. */
static void
note_real(struct etfs_key *k, int fd)
{
	char path[PATH_MAX];

	if (!k->k_real && key_is_dir(k) && hc_path(fd, path, sizeof(path)) == 0)
		k->k_real = strdup(path);
}

/* The checks, and the key's root node. */
static int
key_open(struct etfs_key *k, struct etfs_why *why, struct enode **ret)
{
	struct node_place pl = {.np_key = k};
	struct key_probe p;
	int r = key_check(k, why, &p);

	if (r < 0)
		return r;
	key_settle(k, &p);
	note_real(k, p.kp_fd);
	k->k_still = mount_is_still(p.kp_fd);
	r = node_get(&pl, &p.kp_stat, &p.kp_fd, ret);
	hc_close(p.kp_fd);
	if (r == 0) {
		r = share_key_add(k, *ret);
		if (r < 0)
			vn_unref(&(*ret)->n_vn);
	}
	if (r < 0) {
		key_unlock(k);
		why_say(why, k->k_at.at_path, k->k_host, "%s", strerrordesc_np(-r));
		return r;
	}
	k->k_near = atomic_load(&(*ret)->n_fs->hf_near);
	if (!k->k_near) {
		atomic_store(&k->k_mount.mnt_root_ino, (*ret)->n_shown_ino);
		atomic_fetch_or(&k->k_mount.mnt_flags, MNT_FAR);
	}
	atomic_store_explicit(&k->k_ready, true, memory_order_release);
	return 0;
}

/* Why a key is refused that is tried by this thread; for key_come(). */
static _Thread_local struct etfs_why *come_why;

static int
key_resolve(struct attach *at, struct vnode **ret_vp)
{
	struct enode *root;
	int r = key_open(at->at_arg, come_why, &root);

	if (r == 0)
		*ret_vp = &root->n_vn;
	return r;
}

struct etfs_key *
key_of_attach(const struct attach *at)
{
	return at && at->at_resolve == key_resolve ? at->at_arg : NULL;
}

/* A key that is nowhere yet.  path is its own from here on, even on failure. */
static struct etfs_key *
key_new(struct etfs *e, const struct etfs_spec *s, char *path)
{
	struct etfs_key *k = calloc(1, sizeof(*k));
	char *host = strdup(s->es_host);
	char *part = s->es_partition ? strdup(s->es_partition) : NULL;

	if (!k || !host || (s->es_partition && !part)) {
		free(k);
		free(host);
		free(part);
		free(path);
		return NULL;
	}
	atomic_fetch_add(&e->e_ref, 1);
	k->k_etfs = e;
	mount_init(&k->k_mount, e->e_vfs, etfs_type_name(s->es_type), e->e_opts.eo_ttl_ns,
	    key_free);
	k->k_host = host;
	k->k_partition = part;
	k->k_begin = s->es_begin;
	k->k_size = s->es_size;
	k->k_wanted = k->k_type = s->es_type;
	k->k_symlinks = s->es_symlinks;
	k->k_own_rdonly = s->es_rdonly;
	atomic_init(&k->k_rdonly, s->es_rdonly || e->e_opts.eo_rdonly);
	k->k_special = s->es_special;
	k->k_no_lock = s->es_no_lock || e->e_opts.eo_no_lock;
	k->k_watch = (s->es_watch == ETFS_WATCH_AUTO ||
			 (s->es_watch == ETFS_WATCH_DEFAULT && !e->e_opts.eo_no_watch)) &&
	             s->es_symlinks != ETFS_SYMLINKS_FOLLOW && e->e_opts.eo_ttl_ns != 0;
	k->k_mount.mnt_name_ttl = watch_name_ttl;
	k->k_mount.mnt_attr_ttl = watch_attr_ttl;
	if (k->k_rdonly || atomic_load(&e->e_rdonly))
		atomic_fetch_or(&k->k_mount.mnt_flags, MNT_RDONLY);
	k->k_view.vw_valid = (s->es_set_mode ? VS_MODE : 0) |
	                     (s->es_set_uid ? VS_UID : 0) | (s->es_set_gid ? VS_GID : 0);
	k->k_view.vw_mode = s->es_mode & 07777;
	k->k_view.vw_uid = s->es_uid;
	k->k_view.vw_gid = s->es_gid;
	k->k_at.at_path = path;
	k->k_at.at_hidden = s->es_hidden;
	k->k_at.at_resolve = key_resolve;
	k->k_at.at_arg = k;
	return k;
}

/* Why a key cannot be where it is to be.  None of it is the host object's fault. */
static const char *
attach_words(int r)
{
	switch (r) {
	case -EEXIST:
		return "there is a key of that name";
	case -ENOTDIR:
		return "a component of the key is not a directory";
	case -EBUSY:
		return "something is attached below the key, or its path leads through a "
		       "name that is hidden or missing";
	case -ENOSPC:
		return "there is no room in the in-memory tree for the directories above "
		       "the key ([rumpfs] size, inodes)";
	case -ENOMEM:
		return "the daemon is out of memory";
	default:
		return strerrordesc_np(-r);
	}
}

static int
key_attach(struct etfs_key *k, struct enode *root, struct etfs_why *why)
{
	int r;

	k->k_at.at_kind = root ? AT_MOUNT : AT_PENDING;
	k->k_at.at_vp = root ? &root->n_vn : NULL;
	r = vfs_attach(k->k_etfs->e_vfs, &k->k_at);
	if (r == 0)
		return 0;
	k->k_at.at_vp = NULL;
	why_say(why, k->k_at.at_path, k->k_host, "%s", attach_words(r));
	return r;
}

void
key_list(struct etfs *e, struct etfs_key *k)
{
	lk_mutex(&e->e_list_mtx, LK_LEAF);
	k->k_next = NULL; /* one that comes back had another behind it */
	k->k_prevp = e->e_list_tail;
	*e->e_list_tail = k;
	e->e_list_tail = &k->k_next;
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
	atomic_fetch_add(&e->e_nkeys, 1);
}

void
key_unlist(struct etfs *e, struct etfs_key *k)
{
	lk_mutex(&e->e_list_mtx, LK_LEAF);
	*k->k_prevp = k->k_next;
	if (k->k_next)
		k->k_next->k_prevp = k->k_prevp;
	else
		e->e_list_tail = k->k_prevp;
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
	atomic_fetch_sub(&e->e_nkeys, 1);
}

int
etfs_register_spec(struct etfs *e, const struct etfs_spec *spec, struct etfs_why *why)
{
	struct enode *root = NULL;
	struct etfs_key *k;
	bool watch;
	char *path, *late;
	int r = vfs_path_normal(spec->es_key, &path);

	if (r < 0) {
		why_say(why, spec->es_key, spec->es_host, "%s",
		    r == -ENAMETOOLONG ? "the key's path is too long"
		    : r == -EINVAL     ? "a key is an absolute path without . and .."
				       : strerrordesc_np(-r));
		return r;
	}
	k = key_new(e, spec, path);
	if (!k) {
		why_say(why, spec->es_key, spec->es_host, "%s", strerrordesc_np(ENOMEM));
		return -ENOMEM;
	}
	watch = k->k_watch;
	late = spec->es_missing_hide ? strdup(path) : NULL;
	r = key_open(k, why, &root);
	if (r == -ENOENT && spec->es_missing_hide)
		r = 0;
	if (r == 0) {
		/* From when it can be seen it can be removed. */
		key_list(e, k);
		r = key_attach(k, root, why);
		if (r < 0) {
			key_unlist(e, k);
			key_unlock(k);
		}
	}
	if (r < 0) {
		share_key_del(k);
		if (root)
			vn_unref(&root->n_vn);
		mount_unref(&k->k_mount);
		free(late);
		return r;
	}
	pthread_mutex_lock(&e->e_key_mtx);
	if (!root && late)
		late_add(e, late, spec->es_host);
	if (watch && e->e_mounted && !e->e_watcher.wt_started)
		watch_start(e);
	pthread_mutex_unlock(&e->e_key_mtx);
	free(late);
	return 0;
}

int
etfs_register_withsize(struct etfs *e, const char *key, const char *host,
    enum etfs_type type, uint64_t begin, uint64_t size)
{
	struct etfs_spec s = {
	    .es_key = key,
	    .es_host = host,
	    .es_type = type,
	    .es_begin = begin,
	    .es_size = size,
	};

	return etfs_register_spec(e, &s, NULL);
}

int
etfs_register(struct etfs *e, const char *key, const char *host, enum etfs_type type)
{
	return etfs_register_withsize(e, key, host, type, 0, ETFS_SIZE_END);
}

int
etfs_device_get(struct etfs *e, const struct etfs_spec *spec, struct etfs_why *why,
    struct vnode **ret_vp)
{
	char *label = strdup(spec->es_key);
	struct etfs_key *k = label ? key_new(e, spec, label) : NULL;
	struct enode *root;
	int r;

	if (!k) {
		why_say(why, spec->es_key, spec->es_host, "%s", strerrordesc_np(ENOMEM));
		return -ENOMEM;
	}
	k->k_device = true;
	r = key_open(k, why, &root);
	if (r < 0)
		mount_unref(&k->k_mount);
	else
		*ret_vp = &root->n_vn;
	return r;
}

void
etfs_device_put(struct etfs *e, struct vnode *vp)
{
	struct etfs_key *k = key_of(node_of(vp));

	(void)e;
	atomic_store(&k->k_gone, true);
	key_unlock(k);
	share_key_del(k);
	vn_unref(vp);
	mount_unref(&k->k_mount);
}

/* Whether the kernel may use files of the key without us; each of them may be refused. */
static bool
may_pass(const struct etfs_key *k)
{
	const struct mount_count *mc = &k->k_mount.mnt_count;

	return k->k_near && !k->k_window && (!atomic_load(&k->k_rdonly) || k->k_still) &&
	       (atomic_load(&mc->mc_passed) || !atomic_load(&mc->mc_refused));
}

void
key_info(struct etfs_key *k, struct etfs_info *ret)
{
	bool ready = atomic_load_explicit(&k->k_ready, memory_order_acquire);
	enum etfs_type t = ready ? k->k_type : k->k_wanted;
	bool dir = t == ETFS_DIR || t == ETFS_DIR_SUBDIRS;

	*ret = (struct etfs_info){
	    .ei_key = k->k_at.at_path,
	    .ei_host = k->k_host,
	    .ei_type = t,
	    .ei_begin = dir     ? 0
	                : ready ? k->k_win.r_begin
	                        : k->k_begin,
	    .ei_size = dir     ? 0
	               : ready ? k->k_win.r_len
	                       : k->k_size,
	    .ei_window = ready && k->k_window,
	    .ei_rdonly = atomic_load(&k->k_mount.mnt_flags) & MNT_RDONLY,
	    .ei_hidden = k->k_at.at_hidden,
	    .ei_missing = !ready,
	    .ei_ops = atomic_load(&k->k_mount.mnt_count.mc_ops),
	    .ei_read = atomic_load(&k->k_mount.mnt_count.mc_read),
	    .ei_written = atomic_load(&k->k_mount.mnt_count.mc_written),
	    .ei_passed = atomic_load(&k->k_mount.mnt_count.mc_passed),
	    .ei_passes = ready && may_pass(k),
	    .ei_nocache = atomic_load(&k->k_mount.mnt_flags) & MNT_NOCACHE,
	    .ei_watched =
		k->k_watch && dir &&
		atomic_load_explicit(&k->k_etfs->e_watcher.wt_on, memory_order_relaxed),
	};
}

int
etfs_list(struct etfs *e, struct etfs_list *ret)
{
	size_t cap = atomic_load(&e->e_nkeys) + 64, n = 0;
	struct etfs_list l = {
	    .el_all = calloc(cap, sizeof(*l.el_all)),
	    .el_mounts = calloc(cap, sizeof(*l.el_mounts)),
	};

	if (!l.el_all || !l.el_mounts) {
		etfs_list_done(&l);
		return -ENOMEM;
	}
	/* Of those that came meanwhile as many as there is room for. */
	lk_mutex(&e->e_list_mtx, LK_LEAF);
	for (struct etfs_key *k = e->e_list; k && n < cap; k = k->k_next) {
		key_info(k, &l.el_all[n]);
		l.el_mounts[n++] = mount_ref(&k->k_mount);
	}
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
	l.el_n = n;
	*ret = l;
	return 0;
}

static bool
list_this(struct attach *at, void *arg)
{
	struct etfs_key *k = key_of_attach(at);
	struct etfs_list *l = arg;

	if (!k)
		return false;
	key_info(k, &l->el_all[0]);
	l->el_mounts[0] = mount_ref(&k->k_mount);
	l->el_n = 1;
	return true;
}

int
etfs_list_at(struct etfs *e, const char *key, struct etfs_list *ret)
{
	*ret = (struct etfs_list){
	    .el_all = calloc(1, sizeof(*ret->el_all)),
	    .el_mounts = calloc(1, sizeof(struct mount *)),
	};
	if (!ret->el_all || !ret->el_mounts) {
		etfs_list_done(ret);
		*ret = (struct etfs_list){.el_n = 0};
		return -ENOMEM;
	}
	return vfs_attached(e->e_vfs, key, list_this, ret) ? 0 : -ENOENT;
}

void
etfs_list_done(struct etfs_list *l)
{
	while (l->el_n > 0)
		mount_unref(l->el_mounts[--l->el_n]);
	free(l->el_all);
	free(l->el_mounts);
}

void
etfs_device_info(struct vnode *vp, struct etfs_info *ret)
{
	key_info(key_of(node_of(vp)), ret);
}

int
etfs_find(struct etfs *e, const char *key, struct etfs_info *ret)
{
	struct etfs_key *k;
	char *path;
	int r = vfs_path_normal(key, &path);

	if (r < 0)
		return r;
	pthread_mutex_lock(&e->e_key_mtx);
	k = key_of_attach(vfs_attach_peek(e->e_vfs, path));
	if (k)
		key_info(k, ret);
	pthread_mutex_unlock(&e->e_key_mtx);
	free(path);
	return k ? 0 : -ENOENT;
}

struct each {
	int (*ea_fn)(const struct etfs_info *i, void *arg);
	void *ea_arg;
};

static int
each_attach(struct attach *at, void *arg)
{
	const struct each *ea = arg;
	struct etfs_key *k = key_of_attach(at);
	struct etfs_info i;

	if (!k)
		return 0;
	key_info(k, &i);
	return ea->ea_fn(&i, ea->ea_arg);
}

int
etfs_each(struct etfs *e, int (*fn)(const struct etfs_info *i, void *arg), void *arg)
{
	struct each ea = {fn, arg};

	return vfs_attach_each(e->e_vfs, each_attach, &ea);
}

int
collect_key(struct attach *at, void *arg)
{
	struct keylist *l = arg;
	struct etfs_key *k = key_of_attach(at);

	if (!k)
		return 0;
	if (l->kl_n == l->kl_cap) {
		size_t cap = l->kl_cap ? l->kl_cap * 2 : 64;
		void *p = realloc(l->kl_key, cap * sizeof(*l->kl_key));

		if (!p)
			return -ENOMEM;
		l->kl_key = p;
		l->kl_cap = cap;
	}
	l->kl_key[l->kl_n++] = k;
	return 0;
}

static int
first_key(struct attach *at, void *arg)
{
	struct etfs_key *k = key_of_attach(at);

	if (!k)
		return 0;
	*(struct etfs_key **)arg = k;
	return 1;
}

void
etfs_free(struct etfs *e)
{
	struct keylist l = {NULL, 0, 0};

	watch_stop(e);
	late_stop(e);
	(void)vfs_attach_each(e->e_vfs, collect_key, &l);
	for (size_t i = l.kl_n; i-- > 0;)
		(void)etfs_remove(e, l.kl_key[i]->k_at.at_path);
	free(l.kl_key);
	/* Where memory for the list was short, one by one. */
	for (struct etfs_key *k; vfs_attach_each(e->e_vfs, first_key, &k) == 1;)
		if (etfs_remove(e, k->k_at.at_path) < 0)
			break;
	fds_shrink(e);
	etfs_unref(e);
}

static int
wants_watch(struct attach *at, void *arg)
{
	const struct etfs_key *k = key_of_attach(at);

	(void)arg;
	return k && k->k_watch &&
	       (!atomic_load_explicit(&k->k_ready, memory_order_acquire) ||
		   key_is_dir(k));
}

void
etfs_watch(struct etfs *e)
{
	pthread_mutex_lock(&e->e_key_mtx);
	e->e_mounted = true;
	if (vfs_attach_each(e->e_vfs, wants_watch, NULL) && !e->e_watcher.wt_started)
		watch_start(e);
	late_start(e);
	pthread_mutex_unlock(&e->e_key_mtx);
}

int
key_come(struct etfs *e, const char *key, struct etfs_why *why)
{
	int r;

	come_why = why;
	r = vfs_come(e->e_vfs, key);
	come_why = NULL;
	return r;
}
