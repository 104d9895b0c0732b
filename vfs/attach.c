/*
 * Attaching (mount.h).
 *
 * The table of attachments is a chained hash by path.  An attachment appears in two
 * places: in the table, for those who know its path, and as a shadow entry of the
 * directory it is in, for look-ups.  v_nattach counts, in every directory from there to
 * the top, the attachments at or below it: such a directory cannot be renamed or removed,
 * so the path of an attachment stays true as long as it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/attach_private.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

/* How often an attachment is put back where the host moves things meanwhile. */
#define PUT_BACK_TRIES 256

/* How often attaching follows a path that changes under it. */
#define ATTACH_TRIES 16u

/* Deepest first. */
static int
by_depth(const void *a, const void *b)
{
	size_t x = strlen((*(struct attach *const *)a)->at_path);
	size_t y = strlen((*(struct attach *const *)b)->at_path);

	return (x < y) - (x > y);
}

/* Attaching. */

/* Look-ups of a thread that attaches take things as they are: it is the one that puts
 * them right. */
static _Thread_local unsigned attaching;

bool
vfs_attaching(void)
{
	return attaching > 0;
}

static void
attach_enter(struct vfs *v)
{
	pthread_mutex_lock(&v->vfs_attach_mtx);
	attaching++;
}

static void
attach_leave(struct vfs *v)
{
	attaching--;
	pthread_mutex_unlock(&v->vfs_attach_mtx);
}

/* The rename mutex keeps directories from moving to other parents under the walk. */
static void
count_up(struct vfs *v, struct vnode *dvp, int delta)
{
	lk_mutex(&v->vfs_rename, LK_RENAME);
	for (; dvp; dvp = dvp->v_parent)
		atomic_fetch_add(&dvp->v_nattach, (uint32_t)delta);
	lk_mutex_unlock(&v->vfs_rename, LK_RENAME);
}

/* dvp NULL: takes the parent away.  The pointer owns a reference. */
static void
set_parent(struct vnode *vp, struct vnode *dvp)
{
	struct vnode *old;

	lk_mutex(&vp->v_mount->mnt_vfs->vfs_rename, LK_RENAME);
	lk_write(&vp->v_lock, LK_DIR);
	old = vp->v_parent;
	vp->v_parent = dvp ? vn_ref(dvp) : NULL;
	lk_unlock(&vp->v_lock, LK_DIR);
	lk_mutex_unlock(&vp->v_mount->mnt_vfs->vfs_rename, LK_RENAME);
	if (old)
		vn_unref(old);
}

static void
notify_entry(struct vfs *v, struct vnode *dvp, const struct name *n)
{
	if (v->vfs_notify)
		v->vfs_notify->entry(v->vfs_notify_arg, dvp, n);
}

static void
notify_inode(struct vfs *v, struct vnode *vp)
{
	if (v->vfs_notify)
		v->vfs_notify->inode(v->vfs_notify_arg, vp);
}

/* The last component of a normalised path. */
static void
last_name(const char *path, struct name *ret)
{
	(void)name_init(ret, strrchr(path, '/') + 1);
}

/* Tells of every name that is listed in a tree's root, as one of the namespace's root. */
static void
notify_names(struct vfs *v, struct vnode *listed)
{
	static const struct cred nobody;
	_Alignas(8) char mem[4096];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	struct file *f;

	if (vop_open(listed, O_RDONLY | O_DIRECTORY, &nobody, &f) < 0)
		return;
	while (vop_readdir(f, &db) == 0 && db.db_used > 0) {
		for (struct dirrec *r = NULL; (r = dirbuf_next(&db, r));) {
			struct name n;

			db.db_cookie = r->dr_cookie;
			if (name_init_len(&n, r->dr_name, r->dr_namelen) == 0)
				notify_entry(v, vfs_root_peek(v), &n);
		}
	}
	vop_close(f);
}

/* The names of the old root may be cached as there, those of the new one as missing. */
static void
set_root(struct vfs *v, struct vnode *vp)
{
	struct vnode *old = vfs_root_peek(v);

	atomic_store_explicit(&v->vfs_root, vp, memory_order_release);
	notify_inode(v, vp);
	if (v->vfs_notify) {
		notify_names(v, old);
		notify_names(v, vp);
	}
}

static int
attach_root(struct vfs *v, struct attach *at)
{
	if (at->at_kind != AT_MOUNT || at->at_vp->v_type != VDIR)
		return at->at_kind == AT_MOUNT ? -ENOTDIR : -EINVAL;
	/* The kernel knows the root without having looked it up, and requests on it may
	 * be running when it is replaced: it counts as known until vfs_done(). */
	vn_lookup_given(vn_ref(at->at_vp));
	set_root(v, at->at_vp);
	return 0;
}

static void
set_at_parent(const struct attach *at, struct vnode *dvp)
{
	if (at->at_kind == AT_MOUNT && at->at_vp->v_type == VDIR)
		set_parent(at->at_vp, dvp);
}

/* Notes (or forgets) the names of the directories from dvp upwards that belong to file
 * systems which change by themselves; path is that of something attached in dvp.  All, or
 * none and -ENOMEM. */
static int
note_ways(const char *path, struct vnode *dvp, bool add)
{
	char buf[PATH_MAX], *slash = NULL;
	struct vnode *d = dvp, *up;
	int r = 0;

	if (strlen(path) >= sizeof(buf))
		return -ENAMETOOLONG;
	strcpy(buf, path);
	*strrchr(buf, '/') = '\0';
	for (; (up = d->v_parent) && (slash = strrchr(buf, '/')); d = up, *slash = '\0') {
		struct name n;

		/* The root of a mount, and a parent that was made, are attached themselves. */
		if (d->v_mount != up->v_mount || (up->v_op->vo_flags & VOPS_LOCKED) ||
		    name_init(&n, slash + 1) < 0)
			continue;
		if (!add)
			shadow_way_del(up, &n);
		else if ((r = shadow_way_add(up, &n, d)) < 0)
			break;
	}
	if (r < 0) { /* as far as it came */
		const struct vnode *stop = d;

		strcpy(buf, path);
		*strrchr(buf, '/') = '\0';
		for (d = dvp; d != stop; d = d->v_parent) {
			struct name n;

			slash = strrchr(buf, '/');
			if (d->v_mount == d->v_parent->v_mount &&
			    !(d->v_parent->v_op->vo_flags & VOPS_LOCKED) &&
			    name_init(&n, slash + 1) == 0)
				shadow_way_del(d->v_parent, &n);
			*slash = '\0';
		}
	}
	return r;
}

/* Whether the file system itself has a directory of this name. */
static bool
has_own_dir(struct vnode *dvp, const struct name *n)
{
	bool locked = dvp->v_op->vo_flags & VOPS_LOCKED, is;
	struct vnode *vp;
	int r;

	if (locked)
		lk_read(&dvp->v_lock, LK_DIR);
	r = dvp->v_op->lookup(dvp, n, &vp);
	if (locked)
		lk_unlock(&dvp->v_lock, LK_DIR);
	if (r < 0)
		return false;
	is = vp->v_type == VDIR;
	vn_unref(vp);
	return is;
}

/* Whether the link count of dvp lacks what at adds to it. */
static bool
is_uncounted(const struct attach *at, struct vnode *dvp, const struct name *n)
{
	return at->at_kind == AT_MOUNT && at->at_vp->v_type == VDIR &&
	       !has_own_dir(dvp, n);
}

/* Does this path's parent lead to dvp? */
static bool
leads_to(struct vfs *v, const char *path, const struct vnode *dvp)
{
	AUTO_VNODE again = NULL;
	struct name n;

	return namei_parent(v, path, false, &again, &n) == 0 && again == dvp;
}

/* Puts the shadow entry into the directory above, which comes back with a reference.
 * Until the directory is counted as one that stays where it is, somebody may move or
 * remove it, or one above it: then all is taken back and tried again. */
static int
attach_below(struct vfs *v, struct attach *at, struct vnode **ret_dvp)
{
	struct name n;
	int r = -EBUSY;

	for (unsigned tries = 0; tries < ATTACH_TRIES; tries++) {
		AUTO_VNODE dvp = NULL;

		r = namei_parent(v, at->at_path, true, &dvp, &n);
		if (r == -ENOENT)
			continue; /* a directory went away under the walk */
		if (r < 0)
			return r;
		set_at_parent(at, dvp);
		r = shadow_add(dvp, &n, at, is_uncounted(at, dvp, &n));
		if (r < 0) {
			set_at_parent(at, NULL);
			return r;
		}
		count_up(v, dvp, 1);
		if (leads_to(v, at->at_path, dvp)) {
			r = note_ways(at->at_path, dvp, true);
			if (r == 0) {
				*ret_dvp = dvp;
				dvp = NULL;
				return 0;
			}
			tries = ATTACH_TRIES;
		}
		count_up(v, dvp, -1);
		shadow_remove(dvp, &n);
		set_at_parent(at, NULL);
		if (r == 0)
			r = -EBUSY;
	}
	return r;
}

/* One attachment, with nothing in its way and nothing below it. */
static int
attach_one(struct vfs *v, struct attach *at)
{
	struct vnode *dvp = NULL;
	struct name n;
	int r;

	at->at_dvp = NULL;
	if (strcmp(at->at_path, "/") == 0)
		r = attach_root(v, at);
	else
		r = attach_below(v, at, &dvp);
	if (r < 0) {
		namei_prune(v, at->at_path);
		return r;
	}
	at->at_order = ++v->vfs_aorder;
	attach_table_add(v, at);
	if (dvp) {
		at->at_dvp = dvp;
		last_name(at->at_path, &n);
		notify_entry(v, dvp, &n);
	}
	return 0;
}

static void
detach_one(struct vfs *v, struct attach *at)
{
	struct vnode *dvp = at->at_dvp;
	struct name n;

	attach_table_del(v, at);
	if (!dvp) {
		set_root(v, v->vfs_mem_root);
		return;
	}
	last_name(at->at_path, &n);
	shadow_remove(dvp, &n);
	(void)note_ways(at->at_path, dvp, false);
	count_up(v, dvp, -1);
	notify_entry(v, dvp, &n);
	if (at->at_kind == AT_MOUNT)
		notify_inode(v, at->at_vp);
	set_at_parent(at, NULL);
	at->at_dvp = NULL;
	vn_unref(dvp);
}

/* Takes off what is attached below path, to put it back on something else: deepest first,
 * so that each is counted out of all that is above it.  Parents that were made for them
 * go as well, and are left out of the list. */
static int
lift(struct vfs *v, const char *path, struct attach ***ret, size_t *ret_n)
{
	size_t n, kept = 0;
	struct attach **all;
	int r = attach_collect(v, path, &all, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!all[i]->at_synth)
			all[kept++] = all[i];
	qsort(all, kept, sizeof(struct attach *), by_depth);
	for (size_t i = 0; i < kept; i++)
		detach_one(v, all[i]);
	for (size_t i = 0; i < kept; i++)
		namei_prune(v, all[i]->at_path);
	*ret = all;
	*ret_n = kept;
	return 0;
}

/* Puts lifted attachments on what is at their paths by then: all, or none and the reason.
 */
static int
put_on(struct vfs *v, struct attach **all, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		uint64_t order = all[i]->at_order;
		int r = attach_one(v, all[i]);

		if (r < 0) {
			for (size_t k = i + 1; k < n; k++) {
				detach_one(v, all[k]);
				namei_prune(v, all[k]->at_path);
			}
			return r;
		}
		all[i]->at_order = order;
	}
	return 0;
}

/* Puts lifted attachments back where they were, after a failure.  One that finds no
 * memory even for that is lost: it is attached nowhere. */
static void
put_back(struct vfs *v, struct attach **all, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		uint64_t order = all[i]->at_order;
		int r, tries = 0;

		/* The host may go on moving directories out of the way: it is walked anew. */
		do
			r = attach_one(v, all[i]);
		while (r == -ESTALE && ++tries < PUT_BACK_TRIES);
		if (r == 0)
			all[i]->at_order = order;
	}
}

/* What is seen at path, if it has attachments at or below it: a reference, or NULL. */
static struct vnode *
crowded(struct vfs *v, const char *path)
{
	struct vnode *vp;

	if (namei(v, path, &vp) < 0)
		return NULL;
	if (vp->v_type == VDIR && atomic_load(&vp->v_nattach) > 0)
		return vp;
	vn_unref(vp);
	return NULL;
}

int
vfs_attach(struct vfs *v, struct attach *at)
{
	AUTO_VNODE under = NULL;
	struct attach **lifted = NULL;
	const struct attach *there;
	size_t n = 0;
	int r;

	attach_enter(v);
	there = vfs_attach_peek(v, at->at_path);
	if (there && !there->at_synth) {
		attach_leave(v);
		return -EEXIST;
	}
	under = crowded(v, at->at_path);
	if (under) {
		if (at->at_kind != AT_MOUNT || at->at_vp->v_type != VDIR)
			r = -EBUSY;
		else
			r = lift(v, at->at_path, &lifted, &n);
		if (r < 0) {
			attach_leave(v);
			return r;
		}
	}
	r = attach_one(v, at);
	if (r == 0) {
		r = put_on(v, lifted, n);
		if (r < 0) {
			detach_one(v, at);
			namei_prune(v, at->at_path);
		}
	}
	if (r < 0)
		put_back(v, lifted, n);
	free(lifted);
	attach_leave(v);
	return r;
}

/* Takes at off, and puts what was attached below it on what is seen then. */
static int
detach_from_under(
    struct vfs *v, struct attach *at, bool prune, struct attach **lifted, size_t n)
{
	uint64_t order = at->at_order;
	int r;

	detach_one(v, at);
	if (prune)
		namei_prune(v, at->at_path);
	r = put_on(v, lifted, n);
	if (r < 0) {
		/* -ENOENT would say that there is no such attachment. */
		r = r == -ENOENT ? -EBUSY : r;
		if (attach_one(v, at) == 0)
			at->at_order = order;
		else
			r = 0; /* it is off, that much is true */
		put_back(v, lifted, n);
	}
	return r;
}

static int
detach(struct vfs *v, const char *path, bool prune, struct attach **ret_at)
{
	struct attach *at, **lifted = NULL;
	size_t n = 0;
	int r = 0;

	attach_enter(v);
	at = vfs_attach_peek(v, path);
	if (!at || at->at_synth)
		r = -ENOENT;
	else if (at->at_kind == AT_MOUNT && at->at_vp->v_type == VDIR &&
		 atomic_load(&at->at_vp->v_nattach) > 0)
		r = lift(v, path, &lifted, &n);
	if (r == 0)
		r = detach_from_under(v, at, prune, lifted, n);
	if (r == 0)
		*ret_at = at;
	free(lifted);
	attach_leave(v);
	return r;
}

int
vfs_detach(struct vfs *v, const char *path, struct attach **ret_at)
{
	return detach(v, path, true, ret_at);
}

int
vfs_withdraw(struct vfs *v, const char *path, struct attach **ret_at)
{
	return detach(v, path, false, ret_at);
}

void
vfs_prune(struct vfs *v, const char *path)
{
	attach_enter(v);
	namei_prune(v, path);
	attach_leave(v);
}

int
vfs_attach_swap(struct vfs *v, const char *path, struct vnode *vp)
{
	struct vnode *old = NULL;
	struct attach *at;
	struct name n;
	int r = 0;

	attach_enter(v);
	at = vfs_attach_peek(v, path);
	if (!at || at->at_synth || at->at_kind != AT_MOUNT || !at->at_dvp)
		r = -ENOENT;
	else if (at->at_vp->v_type == VDIR || vp->v_type == VDIR)
		r = -EISDIR;
	if (r == 0) {
		lk_write(&at->at_dvp->v_lock, LK_DIR);
		old = at->at_vp;
		at->at_vp = vn_ref(vp);
		lk_unlock(&at->at_dvp->v_lock, LK_DIR);
		last_name(path, &n);
		notify_entry(v, at->at_dvp, &n);
		notify_inode(v, old);
	}
	attach_leave(v);
	if (old)
		vn_unref(old);
	return r;
}

int
vfs_attach_hide(struct vfs *v, const char *path, bool hidden)
{
	struct attach *at;
	struct name n;

	attach_enter(v);
	at = vfs_attach_peek(v, path);
	if (at && at->at_dvp) {
		lk_write(&at->at_dvp->v_lock, LK_DIR);
		at->at_hidden = hidden;
		lk_unlock(&at->at_dvp->v_lock, LK_DIR);
		last_name(path, &n);
		notify_entry(v, at->at_dvp, &n);
	}
	attach_leave(v);
	return at ? 0 : -ENOENT;
}

int
vfs_come(struct vfs *v, const char *path)
{
	struct attach *at;
	struct vnode *vp;
	struct name n;
	int r = -ESRCH;

	pthread_mutex_lock(&v->vfs_attach_mtx);
	at = vfs_attach_peek(v, path);
	if (at && at->at_dvp && at->at_kind == AT_MOUNT)
		r = -EALREADY;
	else if (at && at->at_dvp && at->at_kind == AT_PENDING)
		r = at->at_resolve(at, &vp);
	if (r == 0)
		shadow_come(at->at_dvp, at, vp);
	/* What is mounted on the name, if somebody was quick, stays. */
	if ((r == 0 || r == -EALREADY) && v->vfs_notify) {
		last_name(at->at_path, &n);
		v->vfs_notify->expire(v->vfs_notify_arg, at->at_dvp, &n);
		notify_inode(v, at->at_dvp);
	}
	pthread_mutex_unlock(&v->vfs_attach_mtx);
	return r;
}

/* The path at which the tree that vp belongs to is attached, borrowed, or NULL. */
static const char *
path_of_tree(struct vfs *v, struct vnode *vp)
{
	struct vnode *top = vp;

	lk_mutex(&v->vfs_rename, LK_RENAME);
	while (top->v_parent && top->v_parent->v_mount == vp->v_mount)
		top = top->v_parent;
	lk_mutex_unlock(&v->vfs_rename, LK_RENAME);
	for (uint32_t i = 0; i < v->vfs_asize; i++)
		for (struct attach *at = v->vfs_ahash[i]; at; at = at->at_hnext)
			if (at->at_kind == AT_MOUNT && at->at_vp == top)
				return at->at_path;
	return NULL;
}

int
vfs_rebind(struct vnode *dvp, const struct name *n)
{
	struct vfs *v = dvp->v_mount->mnt_vfs;
	struct attach **lifted = NULL;
	struct vnode *vp = NULL;
	const char *path;
	size_t count = 0;
	int r;

	attach_enter(v);
	/* Somebody may have done it while this thread waited. */
	r = vop_lookup_plain(dvp, n, &vp);
	path = vop_strays(dvp, n, r, vp) ? path_of_tree(v, dvp) : NULL;
	if (r == 0)
		vn_unref(vp);
	r = 0;
	if (path) {
		atomic_fetch_add(&v->vfs_rebinds, 1);
		v->vfs_rebinding = true;
		r = lift(v, path, &lifted, &count);
		if (r == 0)
			put_back(v, lifted, count);
		v->vfs_rebinding = false;
		atomic_fetch_add(&v->vfs_rebinds, 1);
		free(lifted);
	}
	attach_leave(v);
	return r;
}

/* A parent that is missing below something that is not in memory (namei.c): an in-memory
 * directory, attached there. */
int
vfs_attach_synth(struct vfs *v, struct vnode *dvp, const struct name *n, const char *path,
    size_t len, struct vnode *vp)
{
	struct attach *at = calloc(1, sizeof(*at));
	int r;

	if (!at)
		return -ENOMEM;
	at->at_path = strndup(path, len);
	if (!at->at_path) {
		free(at);
		return -ENOMEM;
	}
	at->at_kind = AT_MOUNT;
	at->at_synth = true;
	at->at_vp = vp;
	set_parent(vp, dvp);
	r = shadow_add(dvp, n, at, is_uncounted(at, dvp, n));
	if (r < 0) {
		set_parent(vp, NULL);
		free(at->at_path);
		free(at);
		return r;
	}
	vn_ref(vp);
	at->at_order = ++v->vfs_aorder;
	at->at_dvp = vn_ref(dvp);
	attach_table_add(v, at);
	notify_entry(v, dvp, n);
	return 0;
}

/* The other way: only for one with nothing in or below it. */
void
vfs_detach_synth(struct vfs *v, struct attach *at)
{
	struct vnode *dvp = at->at_dvp;
	struct name n;

	attach_table_del(v, at);
	last_name(at->at_path, &n);
	shadow_remove(dvp, &n);
	notify_entry(v, dvp, &n);
	set_parent(at->at_vp, NULL);
	vn_unref(dvp);
	vn_unref(at->at_vp);
	free(at->at_path);
	free(at);
}
