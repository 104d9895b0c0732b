/*
 * Shadow entries: the names attached in a directory (mount.h).
 *
 * A directory gets its table with the first attachment and keeps it.  The wrappers test
 * the pointer without a lock, which is all it costs where nothing is attached.
 *
 * Ways.  What is attached below a directory key has a path, but the directories on that
 * path are the host's, which may replace them at any time.  So each such directory is noted
 * by name in the one above it, with the vnode it was when the attachment was made; a
 * look-up that finds something else there moves the attachments over (vfs_rebind()).
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "vfs/mount.h"

static struct shadow *
table_of(const struct vnode *dvp)
{
	return atomic_load_explicit(&dvp->v_shadow, memory_order_acquire);
}

/* The table, made if it is missing; v_lock is held exclusively. */
static struct shadow *
need_table(struct vnode *dvp)
{
	struct shadow *sh = table_of(dvp);

	if (sh)
		return sh;
	sh = calloc(1, sizeof(*sh));
	if (!sh)
		return NULL;
	dirtab_init(&sh->sh_tab, 0);
	dirtab_init(&sh->sh_ways, 0);
	atomic_init(&sh->sh_ttl_ns, MNT_TTL_FOREVER);
	atomic_store_explicit(&dvp->v_shadow, sh, memory_order_release);
	return sh;
}

int
shadow_add(struct vnode *dvp, const struct name *n, struct attach *at, bool uncounted)
{
	struct shadow *sh;
	int r;

	lk_write(&dvp->v_lock, LK_DIR);
	sh = need_table(dvp);
	if (!sh)
		r = -ENOMEM;
	else if (at->at_seq && at->at_seq_of == dvp->v_id)
		r = dirtab_add_at(&sh->sh_tab, n, at, at->at_seq);
	else
		r = dirtab_add(&sh->sh_tab, n, at);
	if (r == 0) {
		at->at_uncounted = uncounted;
		sh->sh_ndirs += uncounted;
		if (at->at_kind == AT_PENDING)
			atomic_fetch_or(&dvp->v_flags, VF_PENDING);
	}
	lk_unlock(&dvp->v_lock, LK_DIR);
	return r;
}

void
shadow_remove(struct vnode *dvp, const struct name *n)
{
	struct shadow *sh = table_of(dvp);
	struct dirent_node *de;

	lk_write(&dvp->v_lock, LK_DIR);
	de = dirtab_find(&sh->sh_tab, n);
	if (de) {
		struct attach *at = de->de_value;

		sh->sh_ndirs -= at->at_uncounted;
		at->at_seq = dirtab_seq(&sh->sh_tab, de);
		at->at_seq_of = dvp->v_id;
		dirtab_remove(&sh->sh_tab, de);
	}
	lk_unlock(&dvp->v_lock, LK_DIR);
}

uint32_t
shadow_ndirs(struct vnode *dvp)
{
	struct shadow *sh = table_of(dvp);
	uint32_t n;

	if (!sh)
		return 0;
	lk_read(&dvp->v_lock, LK_DIR);
	n = sh->sh_ndirs;
	lk_unlock(&dvp->v_lock, LK_DIR);
	return n;
}

/* The way of this name, with a new one made if make is set; v_lock is held. */
static struct way *
way_of(struct shadow *sh, const struct name *n, struct vnode *make)
{
	struct dirent_node *de = dirtab_find(&sh->sh_ways, n);
	struct way *w;

	if (de || !make)
		return de ? de->de_value : NULL;
	w = calloc(1, sizeof(*w));
	if (!w || dirtab_add(&sh->sh_ways, n, w) < 0) {
		free(w);
		return NULL;
	}
	w->wy_vp = vn_ref(make);
	return w;
}

int
shadow_way_add(struct vnode *dvp, const struct name *n, struct vnode *vp)
{
	struct shadow *sh;
	struct way *w = NULL;

	lk_write(&dvp->v_lock, LK_DIR);
	sh = need_table(dvp);
	if (sh)
		w = way_of(sh, n, vp);
	if (w)
		w->wy_count++;
	lk_unlock(&dvp->v_lock, LK_DIR);
	return w ? 0 : -ENOMEM;
}

void
shadow_way_del(struct vnode *dvp, const struct name *n)
{
	struct shadow *sh = table_of(dvp);
	struct vnode *vp = NULL;
	struct way *w;

	lk_write(&dvp->v_lock, LK_DIR);
	w = sh ? way_of(sh, n, NULL) : NULL;
	if (w && --w->wy_count == 0) {
		vp = w->wy_vp;
		free(w);
		dirtab_remove(&sh->sh_ways, dirtab_find(&sh->sh_ways, n));
	}
	lk_unlock(&dvp->v_lock, LK_DIR);
	if (vp)
		vn_unref(vp);
}

bool
shadow_way_strays(struct vnode *dvp, const struct name *n, int r, struct vnode *vp)
{
	struct shadow *sh = table_of(dvp);
	const struct way *w = NULL;
	bool strays;

	if (sh) {
		lk_read(&dvp->v_lock, LK_DIR);
		w = way_of(sh, n, NULL);
		strays = w && (r == -ENOENT || (r == 0 && vp != w->wy_vp));
		lk_unlock(&dvp->v_lock, LK_DIR);
		if (w)
			return strays;
	}
	/* A directory that has been moved here with what was attached below it. */
	return r == 0 && vp->v_type == VDIR && vp->v_mount == dvp->v_mount &&
	       atomic_load(&vp->v_nattach) > 0;
}

/* What is attached under the name: -1 for nothing, else the kind; with a reference to the
 * vnode for AT_MOUNT. */
static int
find(struct vnode *dvp, const struct name *n, struct vnode **ret_vp,
    struct attach **ret_at)
{
	struct shadow *sh = table_of(dvp);
	struct dirent_node *de;
	int kind = -1;

	if (!sh)
		return -1;
	lk_read(&dvp->v_lock, LK_DIR);
	de = dirtab_find(&sh->sh_tab, n);
	if (de) {
		struct attach *at = de->de_value;

		kind = (int)at->at_kind;
		if (kind == AT_MOUNT && ret_vp)
			*ret_vp = vn_ref(at->at_vp);
		if (ret_at)
			*ret_at = at;
	}
	lk_unlock(&dvp->v_lock, LK_DIR);
	return kind;
}

static uint64_t
clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void
shadow_list_begin(struct vnode *dvp)
{
	struct shadow *sh = table_of(dvp);

	if (sh)
		atomic_store_explicit(
		    &sh->sh_listed_ns, clock_ns(), memory_order_relaxed);
}

/* The shortest ever, which is never too long. */
void
shadow_list_saw(struct vnode *dvp, uint64_t ttl_ns)
{
	struct shadow *sh = table_of(dvp);

	if (sh && ttl_ns < atomic_load_explicit(&sh->sh_ttl_ns, memory_order_relaxed))
		atomic_store_explicit(&sh->sh_ttl_ns, ttl_ns, memory_order_relaxed);
}

bool
shadow_list_good(struct vnode *dvp)
{
	struct shadow *sh = table_of(dvp);
	uint64_t ttl, at;

	if (!sh)
		return true;
	/* What is still missing may come when it is asked for. */
	if (atomic_load_explicit(&dvp->v_flags, memory_order_relaxed) & VF_PENDING)
		return false;
	ttl = atomic_load_explicit(&sh->sh_ttl_ns, memory_order_relaxed);
	at = atomic_load_explicit(&sh->sh_listed_ns, memory_order_relaxed);
	return ttl == MNT_TTL_FOREVER || clock_ns() - at < ttl;
}

void
shadow_come(struct vnode *dvp, struct attach *at, struct vnode *vp)
{
	if (vp->v_type == VDIR)
		vp->v_parent = vn_ref(dvp);
	lk_write(&dvp->v_lock, LK_DIR);
	at->at_vp = vp;
	at->at_kind = AT_MOUNT;
	at->at_uncounted = vp->v_type == VDIR;
	table_of(dvp)->sh_ndirs += at->at_uncounted;
	lk_unlock(&dvp->v_lock, LK_DIR);
}

/* A name that waits for its host object: try again.  Only here does a request take the
 * attach mutex. */
static int
resolve(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct vfs *v = dvp->v_mount->mnt_vfs;
	struct attach *at;
	struct vnode *vp;
	int kind, r = 0;

	pthread_mutex_lock(&v->vfs_attach_mtx);
	kind = find(dvp, n, ret_vp, &at);
	if (kind == AT_PENDING) {
		r = at->at_resolve(at, &vp);
		if (r == 0) {
			shadow_come(dvp, at, vp);
			*ret_vp = vn_ref(vp);
		}
	} else if (kind != AT_MOUNT) {
		r = kind < 0 ? -ENODATA : -ENOENT;
	}
	pthread_mutex_unlock(&v->vfs_attach_mtx);
	return r == -ENODATA ? r : r < 0 ? -ENOENT : 0;
}

int
shadow_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	switch (find(dvp, n, ret_vp, NULL)) {
	case AT_MOUNT:
		return 0;
	case AT_WHITEOUT:
		return -ENOENT;
	case AT_PENDING:
		return resolve(dvp, n, ret_vp);
	default:
		return -ENODATA;
	}
}

int
shadow_may_create(struct vnode *dvp, const struct name *n)
{
	switch (find(dvp, n, NULL, NULL)) {
	case AT_MOUNT:
		return -EEXIST;
	case AT_WHITEOUT:
	case AT_PENDING:
		return -EACCES;
	default:
		return 0;
	}
}

int
shadow_may_remove(struct vnode *dvp, const struct name *n)
{
	switch (find(dvp, n, NULL, NULL)) {
	case AT_MOUNT:
		return -EBUSY;
	case AT_WHITEOUT:
	case AT_PENDING:
		return -ENOENT;
	default:
		return 0;
	}
}

bool
shadow_covers(struct vnode *dvp, const char *name, size_t len)
{
	struct name n;

	return name_init_len(&n, name, len) == 0 && find(dvp, &n, NULL, NULL) >= 0;
}

bool
shadow_next(
    struct vnode *dvp, uint64_t *seq, char name[NAME_LEN_MAX + 1], struct vnode **ret_vp)
{
	struct shadow *sh = table_of(dvp);
	struct dirent_node *de;
	struct attach *at = NULL;
	uint32_t pos = 0;
	enum attach_kind kind = AT_WHITEOUT;

	if (!sh)
		return false;
	for (;;) {
		struct name n;

		lk_read(&dvp->v_lock, LK_DIR);
		while ((de = dirtab_next(&sh->sh_tab, seq, &pos))) {
			at = de->de_value;
			kind = at->at_kind;
			if (!at->at_hidden && kind != AT_WHITEOUT)
				break;
		}
		if (de) {
			memcpy(name, de->de_name, de->de_len + 1u);
			if (kind == AT_MOUNT)
				*ret_vp = vn_ref(at->at_vp);
		}
		lk_unlock(&dvp->v_lock, LK_DIR);
		if (!de)
			return false;
		if (kind == AT_MOUNT)
			return true;
		if (name_init(&n, name) == 0 && resolve(dvp, &n, ret_vp) == 0)
			return true;
		pos = 0; /* still missing: it is not listed */
	}
}
