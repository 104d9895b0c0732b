/*
 * Reload (reload.h).
 */
#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/options.h"

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool
same_key(const struct conf_etfs *a, const struct conf_etfs *b)
{
	return same_text(a->ce_host, b->ce_host) && a->ce_type == b->ce_type &&
	       a->ce_begin == b->ce_begin && a->ce_size == b->ce_size &&
	       same_text(a->ce_partition, b->ce_partition) &&
	       a->ce_rdonly == b->ce_rdonly && a->ce_missing == b->ce_missing &&
	       a->ce_hidden == b->ce_hidden && a->ce_no_lock == b->ce_no_lock &&
	       a->ce_special == b->ce_special && a->ce_watch == b->ce_watch &&
	       a->ce_symlinks == b->ce_symlinks && a->ce_set_mode == b->ce_set_mode &&
	       a->ce_set_uid == b->ce_set_uid && a->ce_set_gid == b->ce_set_gid &&
	       (!a->ce_set_mode || a->ce_mode == b->ce_mode) &&
	       (!a->ce_set_uid || a->ce_uid == b->ce_uid) &&
	       (!a->ce_set_gid || a->ce_gid == b->ce_gid);
}

static bool
same_mount(const struct conf_mount *a, const struct conf_mount *b)
{
	return same_text(a->cm_vfs, b->cm_vfs) && same_text(a->cm_device, b->cm_device) &&
	       same_text(a->cm_host, b->cm_host) && a->cm_begin == b->cm_begin &&
	       a->cm_size == b->cm_size && same_text(a->cm_partition, b->cm_partition) &&
	       same_text(a->cm_options, b->cm_options) &&
	       a->cm_no_lock == b->cm_no_lock && a->cm_rdonly == b->cm_rdonly &&
	       a->cm_set_uid == b->cm_set_uid && a->cm_set_gid == b->cm_set_gid &&
	       (!a->cm_set_uid || a->cm_uid == b->cm_uid) &&
	       (!a->cm_set_gid || a->cm_gid == b->cm_gid);
}

static bool
same_node(const struct conf_node *a, const struct conf_node *b)
{
	return a->cn_kind == b->cn_kind && same_text(a->cn_path, b->cn_path) &&
	       a->cn_set_mode == b->cn_set_mode && a->cn_set_uid == b->cn_set_uid &&
	       a->cn_set_gid == b->cn_set_gid &&
	       (!a->cn_set_mode || a->cn_mode == b->cn_mode) &&
	       (!a->cn_set_uid || a->cn_uid == b->cn_uid) &&
	       (!a->cn_set_gid || a->cn_gid == b->cn_gid) &&
	       a->cn_content_len == b->cn_content_len &&
	       !a->cn_content == !b->cn_content &&
	       (!a->cn_content ||
		   memcmp(a->cn_content, b->cn_content, a->cn_content_len) == 0) &&
	       same_text(a->cn_host_copy, b->cn_host_copy) &&
	       same_text(a->cn_target, b->cn_target) && a->cn_type == b->cn_type &&
	       a->cn_major == b->cn_major && a->cn_minor == b->cn_minor;
}

static void
later(const char *what)
{
	log_msg(LOG_NOTICE, "%s: the change takes effect at the next mount", what);
}

/* What has changed beside the keys. */
static void
tell_other_changes(const struct conf *a, const struct conf *b)
{
	bool nodes = a->c_nnodes == b->c_nnodes;

	if (!same_text(a->c_mountpoint, b->c_mountpoint) || a->c_rdonly != b->c_rdonly ||
	    a->c_allow_other != b->c_allow_other || a->c_threads != b->c_threads ||
	    a->c_attr_timeout_ns != b->c_attr_timeout_ns ||
	    a->c_wait_ns != b->c_wait_ns || a->c_dev != b->c_dev ||
	    a->c_suid != b->c_suid || a->c_export != b->c_export ||
	    a->c_watch != b->c_watch || a->c_no_seccomp != b->c_no_seccomp ||
	    a->c_slow_ns != b->c_slow_ns)
		later("[daemon]");
	if (a->c_size != b->c_size || a->c_inodes != b->c_inodes ||
	    a->c_mode != b->c_mode || a->c_set_uid != b->c_set_uid ||
	    a->c_set_gid != b->c_set_gid || (a->c_set_uid && a->c_uid != b->c_uid) ||
	    (a->c_set_gid && a->c_gid != b->c_gid))
		later("[rumpfs]");
	for (size_t i = 0; nodes && i < a->c_nnodes; i++)
		nodes = same_node(&a->c_nodes[i], &b->c_nodes[i]);
	if (!nodes)
		later("[dir], [file], [symlink], [node], [whiteout]");
}

/* The difference: what is to go and what is to come; what changed is in both.  Keys are in
 * the order of their paths, images in that in which they are mounted. */
struct diff {
	const struct conf_etfs **gone, **came;
	size_t ngone, ncame, nchanged;
	const struct conf_mount **mgone, **mcame;
	size_t nmgone, nmcame;
};

/* How much of it has been done. */
struct done {
	size_t unmounted, removed, made, mounted;
};

static int
by_path(const void *a, const void *b)
{
	const struct conf_etfs *const *x = a, *const *y = b;

	return strcmp((*x)->ce_path, (*y)->ce_path);
}

static bool
is_there(struct etfs *e, const char *key)
{
	struct etfs_info i;

	return etfs_find(e, key, &i) == 0;
}

/* The keys of c in the order of their paths, which puts what is above first; with e, only
 * those that are registered: one may be missing since it could not be put back. */
static const struct conf_etfs **
sorted(const struct conf *c, struct etfs *e, size_t *ret_n)
{
	const struct conf_etfs **all = calloc(c->c_netfs + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; all && i < c->c_netfs; i++)
		if (!e || is_there(e, c->c_etfs[i].ce_path))
			all[n++] = &c->c_etfs[i];
	if (all)
		qsort(all, n, sizeof(*all), by_path);
	*ret_n = n;
	return all;
}

static void
diff_keys(struct diff *d, struct etfs *e, const struct conf *old, const struct conf *new)
{
	size_t i = 0, k = 0, nold, nnew;

	/* Thinned out in place. */
	d->gone = sorted(old, e, &nold);
	d->came = sorted(new, NULL, &nnew);
	while (d->gone && d->came && (i < nold || k < nnew)) {
		int c = i == nold   ? 1
		        : k == nnew ? -1
		                    : by_path(&d->gone[i], &d->came[k]);

		if (c == 0 && same_key(d->gone[i], d->came[k])) {
			i++;
			k++;
			continue;
		}
		d->nchanged += c == 0;
		if (c <= 0)
			d->gone[d->ngone++] = d->gone[i++];
		if (c >= 0)
			d->came[d->ncame++] = d->came[k++];
	}
}

/* What c says of the image at path, or NULL.  They are few. */
static const struct conf_mount *
mount_at(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->c_nmounts; i++)
		if (strcmp(c->c_mounts[i].cm_path, path) == 0)
			return &c->c_mounts[i];
	return NULL;
}

/* Those of a that are not mounted and just so in b, in the order in which they are mounted;
 * or only those of them that are mounted. */
static const struct conf_mount **
mounts_but(const struct space *sp, const struct conf *a, const struct conf *b,
    bool only_mounted, size_t *ret_n)
{
	const struct conf_mount **all = calloc(a->c_nmounts + 1, sizeof(*all));
	size_t n = 0, nitems;
	struct conf_item *items = conf_order(a, &nitems);

	for (size_t i = 0; all && i < nitems; i++) {
		const struct conf_mount *cm = items[i].ci_mount, *other;
		bool is = cm && images_find(sp, cm->cm_path);

		if (!cm || (only_mounted && !is))
			continue;
		other = mount_at(b, cm->cm_path);
		if (!is || !other || !same_mount(cm, other))
			all[n++] = cm;
	}
	conf_order_free(items);
	*ret_n = n;
	return all;
}

/* False: no memory. */
static bool
diff_make(
    struct diff *d, struct space *sp, const struct conf *old, const struct conf *new)
{
	memset(d, 0, sizeof(*d));
	diff_keys(d, sp->sp_etfs, old, new);
	d->mgone = mounts_but(sp, old, new, true, &d->nmgone);
	d->mcame = mounts_but(sp, new, old, false, &d->nmcame);
	return d->gone && d->came && d->mgone && d->mcame;
}

static void
diff_done(struct diff *d)
{
	free(d->gone);
	free(d->came);
	free(d->mgone);
	free(d->mcame);
}

/* A key that was removed and made, or an image, cannot be had as it was. */
static void
tell_lost(const char *what, const char *path)
{
	log_msg(LOG_ERR,
	    "%s %s: it could not be put back and is gone; the next reload tries it again",
	    what, path);
}

/* Puts back what diff_apply() had done, from the last to the first.  How much it could
 * not. */
static size_t
diff_undo(struct space *sp, const struct diff *d, struct done *n)
{
	struct etfs *e = sp->sp_etfs;
	size_t failed = 0;

	while (n->mounted > 0)
		failed += images_unmount(sp, d->mcame[--n->mounted]->cm_path) < 0;
	while (n->made > 0) {
		const char *key = d->came[--n->made]->ce_path;
		int r = etfs_remove(e, key);

		if (r < 0 && is_there(e, key)) {
			log_msg(LOG_ERR,
			    "key %s: it was added and cannot be removed again: %s", key,
			    strerror(-r));
			failed++;
		}
	}
	/* They were removed from the last to the first. */
	while (n->removed > 0) {
		const struct conf_etfs *ce = d->gone[d->ngone - n->removed--];

		if (apply_key(e, ce) < 0) {
			tell_lost("key", ce->ce_path);
			failed++;
		}
	}
	while (n->unmounted > 0) {
		const struct conf_mount *cm = d->mgone[d->nmgone - n->unmounted--];

		if (images_mount(sp, cm) < 0) {
			tell_lost("image at", cm->cm_path);
			failed++;
		}
	}
	return failed;
}

/* Takes away what goes: images before the keys they may lie on, the last mounted first. */
static int
diff_remove(struct space *sp, const struct diff *d, struct done *n)
{
	struct etfs *e = sp->sp_etfs;

	for (; n->unmounted < d->nmgone; n->unmounted++) {
		int r =
		    images_unmount(sp, d->mgone[d->nmgone - 1 - n->unmounted]->cm_path);

		if (r < 0)
			return r;
	}
	for (; n->removed < d->ngone; n->removed++) {
		const char *key = d->gone[d->ngone - 1 - n->removed]->ce_path;
		int r = etfs_remove(e, key);

		if (r < 0 && is_there(e, key)) {
			log_msg(LOG_ERR, "key %s: cannot be removed: %s", key,
			    r == -EBUSY ? "an image is mounted from it" : strerror(-r));
			return r;
		}
	}
	return 0;
}

/* *ret_failed: what could not be undone after a failure. */
static int
diff_apply(struct space *sp, const struct diff *d, size_t *ret_failed)
{
	const struct vfs *v = &sp->sp_vfs;
	struct done n = {0};
	int r = diff_remove(sp, d, &n);

	/* Whoever sees what is new sees that the old has gone. */
	if ((n.removed || n.unmounted) && v->vfs_notify)
		v->vfs_notify->settle_names(v->vfs_notify_arg);
	while (r == 0 && n.made < d->ncame) {
		r = apply_key(sp->sp_etfs, d->came[n.made]);
		n.made += r == 0;
	}
	while (r == 0 && n.mounted < d->nmcame) {
		r = images_mount(sp, d->mcame[n.mounted]);
		n.mounted += r == 0;
	}
	*ret_failed = r < 0 ? diff_undo(sp, d, &n) : 0;
	return r;
}

static bool
is_live(const struct conf_etfs *ce)
{
	return ce->ce_type == CT_DIR || ce->ce_type == CT_DIR_SUBDIRS ||
	       ((ce->ce_type == CT_REG || ce->ce_type == CT_AUTO) && ce->ce_begin == 0 &&
		   ce->ce_size == CONF_SIZE_END && !ce->ce_partition);
}

static bool
apply_difference(struct space *sp, const struct conf *old, const struct conf *new,
    bool live, size_t *ret_failed, struct reload_result *ret)
{
	struct diff d;
	bool ok = diff_make(&d, sp, old, new);

	if (!ok)
		log_msg(LOG_ERR, "out of memory");
	ok = ok && diff_apply(sp, &d, ret_failed) == 0;
	if (ok) {
		*ret = (struct reload_result){.rr_added = d.ncame - d.nchanged,
		    .rr_removed = d.ngone - d.nchanged,
		    .rr_changed = d.nchanged};
		tell_other_changes(old, new);
		for (size_t i = 0; !live && i < d.ncame; i++)
			if (is_live(d.came[i]))
				log_msg(LOG_NOTICE,
				    "key %s: changes made on the host show in files that "
				    "are opened after them; from the next mount on, in open "
				    "ones too",
				    d.came[i]->ce_path);
		if (!live && space_overlaps(sp))
			log_msg(LOG_NOTICE,
			    "windows overlap: what is written through one shows through the "
			    "other in files that are opened after it; from the next mount on, "
			    "in open ones too");
		log_msg(LOG_NOTICE,
		    "reloaded: keys added: %zu, removed: %zu, changed: %zu",
		    d.ncame - d.nchanged, d.ngone - d.nchanged, d.nchanged);
		if (d.nmcame || d.nmgone)
			log_msg(LOG_NOTICE,
			    "reloaded: images mounted: %zu, unmounted: %zu", d.nmcame,
			    d.nmgone);
	}
	diff_done(&d);
	return ok;
}

struct running {
	const struct space *rn_space;
	const struct conf *rn_conf;
};

static bool
runs(const struct conf_mount *cm, void *arg)
{
	const struct running *rn = arg;
	const struct conf_mount *old = mount_at(rn->rn_conf, cm->cm_path);

	return old && same_mount(old, cm) && images_find(rn->rn_space, cm->cm_path);
}

void
reload_result_done(struct reload_result *rr)
{
	for (size_t i = 0; i < rr->rr_nplan; i++)
		free(rr->rr_plan[i]);
	free(rr->rr_plan);
}

bool
reload(struct space *sp, struct conf **conf, const struct options *o, bool live,
    struct reload_result *ret)
{
	struct conf *new = apply_load(o, o->o_config, &sp->sp_added);
	struct running rn = {sp, *conf};
	struct space_how how = {
	    .sh_rdonly = o->o_rdonly, .sh_check = true, .sh_runs = runs, .sh_arg = &rn};
	struct space trial;
	size_t failed = 0;
	bool ok = false;

	if (new &&space_new(&trial, new, &how) == 0) {
		space_done(&trial);
		ok = apply_difference(sp, *conf, new, live, &failed, ret);
	}
	if (!ok) {
		if (failed)
			log_msg(LOG_ERR,
			    "the configuration was not reloaded, and %zu keys or images are not as "
			    "they were",
			    failed);
		else
			log_msg(LOG_ERR,
			    "the configuration was not reloaded; nothing has changed");
		if (new)
			conf_free(new);
		return false;
	}
	conf_free(*conf);
	*conf = new;
	return true;
}
