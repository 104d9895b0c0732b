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
	       a->ce_rdonly == b->ce_rdonly && a->ce_missing_hide == b->ce_missing_hide &&
	       a->ce_hidden == b->ce_hidden && a->ce_no_lock == b->ce_no_lock &&
	       a->ce_special == b->ce_special && a->ce_watch == b->ce_watch &&
	       a->ce_symlinks == b->ce_symlinks && a->ce_set_mode == b->ce_set_mode &&
	       a->ce_set_uid == b->ce_set_uid && a->ce_set_gid == b->ce_set_gid &&
	       (!a->ce_set_mode || a->ce_mode == b->ce_mode) &&
	       (!a->ce_set_uid || a->ce_uid == b->ce_uid) &&
	       (!a->ce_set_gid || a->ce_gid == b->ce_gid);
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
	    a->c_attr_timeout_ns != b->c_attr_timeout_ns || a->c_dev != b->c_dev ||
	    a->c_suid != b->c_suid || a->c_export != b->c_export ||
	    a->c_watch != b->c_watch || a->c_no_seccomp != b->c_no_seccomp)
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

/* The difference: keys to remove and to register; a key that changed is in both. */
struct diff {
	const struct conf_etfs **gone, **came;
	size_t ngone, ncame, nchanged;
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

/* False: no memory. */
static bool
diff_make(struct diff *d, struct etfs *e, const struct conf *old, const struct conf *new)
{
	size_t i = 0, k = 0, nold, nnew;

	/* Thinned out in place. */
	memset(d, 0, sizeof(*d));
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
	return d->gone && d->came;
}

static void
diff_done(struct diff *d)
{
	free(d->gone);
	free(d->came);
}

/* Puts back what diff_apply() had done: nremoved keys removed, nmade registered.  How many
 * it could not. */
static size_t
diff_undo(struct etfs *e, const struct diff *d, size_t nremoved, size_t nmade)
{
	size_t failed = 0;

	while (nmade > 0) {
		const char *key = d->came[--nmade]->ce_path;
		int r = etfs_remove(e, key);

		if (r < 0 && is_there(e, key)) {
			log_msg(LOG_ERR,
			    "key %s: it was added and cannot be removed again: %s", key,
			    strerror(-r));
			failed++;
		}
	}
	while (nremoved > 0) {
		/* They were removed from the last to the first. */
		const struct conf_etfs *ce = d->gone[d->ngone - nremoved--];

		if (apply_key(e, ce) < 0) {
			log_msg(LOG_ERR,
			    "key %s: it could not be put back and is gone; the next "
			    "reload tries it again",
			    ce->ce_path);
			failed++;
		}
	}
	return failed;
}

/* *ret_failed: what could not be undone after a failure. */
static int
diff_apply(struct space *sp, const struct diff *d, size_t *ret_failed)
{
	const struct vfs *v = &sp->sp_vfs;
	struct etfs *e = sp->sp_etfs;
	size_t nremoved = 0, nmade = 0;
	int r = 0;

	for (; nremoved < d->ngone; nremoved++) {
		const char *key = d->gone[d->ngone - 1 - nremoved]->ce_path;

		r = etfs_remove(e, key);
		if (r < 0 && is_there(e, key)) {
			log_msg(
			    LOG_ERR, "key %s: cannot be removed: %s", key, strerror(-r));
			break;
		}
		r = 0;
	}
	/* Whoever sees what is new sees that the old has gone. */
	if (nremoved && v->vfs_notify)
		v->vfs_notify->settle_names(v->vfs_notify_arg);
	for (; nmade < d->ncame && r == 0; nmade++) {
		r = apply_key(e, d->came[nmade]);
		if (r < 0)
			break;
	}
	*ret_failed = r < 0 ? diff_undo(e, d, nremoved, nmade) : 0;
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
    bool live, size_t *ret_failed)
{
	struct diff d;
	bool ok = diff_make(&d, sp->sp_etfs, old, new);

	if (!ok)
		log_msg(LOG_ERR, "out of memory");
	ok = ok && diff_apply(sp, &d, ret_failed) == 0;
	if (ok) {
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
	}
	diff_done(&d);
	return ok;
}

void
reload(struct space *sp, struct conf **conf, const struct options *o, bool live)
{
	struct conf *new = apply_load(o, o->o_config);
	struct space trial;
	size_t failed = 0;
	bool ok = false;

	if (new &&space_new(&trial, new, o->o_rdonly, true) == 0) {
		space_done(&trial);
		ok = apply_difference(sp, *conf, new, live, &failed);
	}
	if (!ok) {
		if (failed)
			log_msg(LOG_ERR,
			    "the configuration was not reloaded, and %zu keys are not as "
			    "they were",
			    failed);
		else
			log_msg(LOG_ERR,
			    "the configuration was not reloaded; nothing has changed");
		if (new)
			conf_free(new);
		return;
	}
	conf_free(*conf);
	*conf = new;
}
