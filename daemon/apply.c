/*
 * A configuration applied (apply.h).
 */
#include "daemon/apply.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/images.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/waiting.h"
#include "vfs/progress.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

static void
print_errors(struct conf_errors *errs)
{
	for (size_t i = 0; i < errs->ce_n; i++)
		log_text(LOG_ERR, errs->ce_text[i]);
	conf_errors_done(errs);
}

/* The paths of all that c declares, lent by it. */
static GHashTable *
declared_paths(const struct conf *c)
{
	GHashTable *all = g_hash_table_new(g_str_hash, g_str_equal);

	for (size_t i = 0; i < c->c_netfs; i++)
		g_hash_table_add(all, c->c_etfs[i].ce_path);
	for (size_t i = 0; i < c->c_nnodes; i++)
		g_hash_table_add(all, c->c_nodes[i].cn_path);
	for (size_t i = 0; i < c->c_nmounts; i++)
		g_hash_table_add(all, c->c_mounts[i].cm_path);
	return all;
}

/* What is declared rules: keys of those paths are left out. */
static bool
load_added(struct conf *c, const struct added *ad, struct conf_errors *errs)
{
	GHashTable *declared = declared_paths(c);
	bool ok = true;

	for (size_t i = 0; i < ad->ad_n; i++)
		if (!g_hash_table_contains(declared, ad->ad_keys[i].ak_path))
			ok &= conf_add_key_from(
			    c, ADDED_FROM, ad->ad_keys[i].ak_text, (unsigned)i + 1, errs);
	g_hash_table_destroy(declared);
	return ok;
}

struct conf *
apply_load(const struct options *o, const char *file, const struct added *ad)
{
	struct conf_errors errs = {0};
	struct conf *c = file ? conf_load(file, &errs) : conf_new();
	size_t nadded = ad ? ad->ad_n : 0;
	bool ok = c != NULL;

	/* All that is wrong is said at once: with a bad file, the -k options are read into
	 * a configuration that is thrown away. */
	if (!c && (o->o_nkeys || nadded))
		c = conf_new();
	for (size_t i = 0; c && i < o->o_nkeys; i++)
		ok &= conf_add_key(c, o->o_keys[i], (unsigned)i + 1, &errs);
	if (c && nadded)
		ok &= load_added(c, ad, &errs);
	if (ok && (o->o_nkeys || nadded))
		ok = conf_check(c, &errs);
	print_errors(&errs);
	if (!ok && c) {
		conf_free(c);
		c = NULL;
	}
	return c;
}

bool
added_is(const struct conf_etfs *ce)
{
	return strcmp(ce->ce_where.cw_file, ADDED_FROM) == 0;
}

static void
added_key_done(struct added_key *ak)
{
	free(ak->ak_path);
	free(ak->ak_text);
}

void
added_drop(struct added *ad, bool (*goes)(const char *path, void *arg), void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < ad->ad_n; i++) {
		if (goes(ad->ad_keys[i].ak_path, arg))
			added_key_done(&ad->ad_keys[i]);
		else
			ad->ad_keys[kept++] = ad->ad_keys[i];
	}
	ad->ad_n = kept;
}

void
added_done(struct added *ad)
{
	while (ad->ad_n > 0)
		added_key_done(&ad->ad_keys[--ad->ad_n]);
	free(ad->ad_keys);
	*ad = (struct added){0};
}

void
apply_complain(const struct conf_where *w, int level, const char *text)
{
	char *line = NULL;

	if (asprintf(&line, "%s:%u: [%s]: %s", w->cw_file, w->cw_line, w->cw_section,
		text) < 0)
		line = NULL;
	log_text(level, line ? line : text);
	free(line);
}

/* Keys. */

static enum etfs_type
key_type(enum conf_type t)
{
	static const enum etfs_type types[] = {
	    [CT_AUTO] = ETFS_AUTO,
	    [CT_REG] = ETFS_REG,
	    [CT_BLK] = ETFS_BLK,
	    [CT_CHR] = ETFS_CHR,
	    [CT_DIR] = ETFS_DIR,
	    [CT_DIR_SUBDIRS] = ETFS_DIR_SUBDIRS,
	};

	return types[t];
}

static enum etfs_symlinks
key_symlinks(enum conf_symlinks s)
{
	static const enum etfs_symlinks kinds[] = {
	    [CS_SHOW] = ETFS_SYMLINKS_SHOW,
	    [CS_HIDE] = ETFS_SYMLINKS_HIDE,
	    [CS_FOLLOW] = ETFS_SYMLINKS_FOLLOW,
	};

	return kinds[s];
}

static enum etfs_watch
key_watch(enum conf_watch w)
{
	return w == CW_DEFAULT ? ETFS_WATCH_DEFAULT
	       : w == CW_NO    ? ETFS_WATCH_NO
	                       : ETFS_WATCH_AUTO;
}

int
apply_key(struct etfs *e, const struct conf_etfs *ce)
{
	struct etfs_why why = {{0}};
	struct etfs_spec spec = {
	    .es_key = ce->ce_path,
	    .es_host = ce->ce_host,
	    .es_type = key_type(ce->ce_type),
	    .es_begin = ce->ce_begin,
	    .es_size = ce->ce_size == CONF_SIZE_END ? ETFS_SIZE_END : ce->ce_size,
	    .es_partition = ce->ce_partition,
	    .es_rdonly = ce->ce_rdonly,
	    .es_hidden = ce->ce_hidden,
	    .es_missing_hide = ce->ce_missing != CM_FAIL,
	    .es_no_lock = ce->ce_no_lock,
	    .es_special = ce->ce_special,
	    .es_symlinks = key_symlinks(ce->ce_symlinks),
	    .es_watch = key_watch(ce->ce_watch),
	    .es_set_mode = ce->ce_set_mode,
	    .es_set_uid = ce->ce_set_uid,
	    .es_set_gid = ce->ce_set_gid,
	    .es_mode = ce->ce_mode,
	    .es_uid = ce->ce_uid,
	    .es_gid = ce->ce_gid,
	};
	int r = etfs_register_spec(e, &spec, &why);

	if (r < 0)
		apply_complain(
		    &ce->ce_where, LOG_ERR, why.ew_text[0] ? why.ew_text : strerror(-r));
	return r;
}

/* Nodes. */

/* 0 or an exit code. */
static int
apply_node(struct space *sp, const struct conf_node *cn)
{
	struct node_done nd;
	AUTO_VNODE vp = NULL;
	int code = node_make(sp, cn, &vp), r;

	if (code)
		return code;
	r = node_add(sp, cn, vp, &nd);
	node_finish(sp, &nd);
	if (r == 0)
		return 0;
	apply_complain(&cn->cn_where, LOG_ERR, node_words(r));
	return EXIT_CONFIG;
}

/* All of it. */

/* Few enough that a slow host is told of in time. */
#define TELL_EVERY 16

/* A key that is made at the start, where its host object may be waited for.  0 or an exit
 * code. */
static int
apply_key_first(struct space *sp, const struct conf_etfs *ce, uint64_t *wait_ns)
{
	if (apply_key(sp->sp_etfs, ce) < 0)
		return EXIT_OBJECT;
	if (ce->ce_missing == CM_WAIT && !sp->sp_how.sh_check)
		waiting_for(sp->sp_etfs, ce, wait_ns);
	return 0;
}

/* 0 or an exit code: EXIT_OBJECT if a host object was refused. */
static int
apply_all(struct space *sp, const struct conf *c)
{
	struct progress pg = {
	    .pg_what = sp->sp_how.sh_check ? "checking" : "registering",
	    .pg_unit = "entries",
	};
	uint64_t wait_ns = sp->sp_how.sh_check ? 0 : c->c_wait_ns;
	struct conf_item *items;
	int worst = 0;
	size_t n;

	items = conf_order(c, &n);
	pg.pg_total = n;
	for (size_t i = 0; i < n; i++) {
		int code;

		if (i % TELL_EVERY == 0) {
			pg.pg_done = i;
			PROGRESS_TELL(&pg, 0);
		}
		if (items[i].ci_node)
			code = apply_node(sp, items[i].ci_node);
		else if (items[i].ci_key)
			code = apply_key_first(sp, items[i].ci_key, &wait_ns);
		else
			code = images_mount(sp, items[i].ci_mount) < 0 ? EXIT_OBJECT : 0;
		if (code > worst)
			worst = code;
	}
	PROGRESS_TELL(&pg, 1);
	conf_order_free(items);
	return worst;
}

int
space_new(struct space *sp, const struct conf *c, const struct space_how *how)
{
	struct rumpfs_opts ro = {
	    .ro_size = c->c_size,
	    .ro_inodes = c->c_inodes,
	    .ro_mode = c->c_mode,
	    .ro_uid = c->c_set_uid ? c->c_uid : getuid(),
	    .ro_gid = c->c_set_gid ? c->c_gid : getgid(),
	};
	struct etfs_opts eo = {
	    .eo_ttl_ns = c->c_attr_timeout_ns,
	    .eo_rdonly = how->sh_rdonly || c->c_rdonly,
	    .eo_no_lock = how->sh_check,
	    .eo_no_watch = c->c_watch == CW_NO,
	    .eo_late = waiting_late,
	};
	struct vnode *root;
	int r, code;

	memset(sp, 0, sizeof(*sp));
	sp->sp_how = *how;
	sp->sp_how.sh_rdonly = eo.eo_rdonly;
	sp->sp_uid = ro.ro_uid;
	sp->sp_gid = ro.ro_gid;
	nodes_init(&sp->sp_nodes);
	r = vfs_init(&sp->sp_vfs);
	if (r < 0)
		goto fail;
	r = rumpfs_new(&sp->sp_vfs, &ro, &root);
	if (r == 0) {
		vn_unref(root); /* the namespace has one of its own */
		r = etfs_new(&sp->sp_vfs, &eo, &sp->sp_etfs);
	}
	if (r < 0) {
		vfs_done(&sp->sp_vfs);
		goto fail;
	}
	code = apply_all(sp, c);
	if (code) {
		space_done(sp);
		return code;
	}
	/* Only after the declared nodes have been made. */
	if (eo.eo_rdonly)
		atomic_fetch_or(&sp->sp_vfs.vfs_mem_root->v_mount->mnt_flags, MNT_RDONLY);
	return 0;
fail:
	nodes_done(sp);
	log_msg(LOG_ERR, "cannot set up the namespace: %s", strerror(-r));
	return EXIT_RUN;
}

void
space_set_rdonly(struct space *sp, bool rdonly)
{
	struct mount *mem = sp->sp_vfs.vfs_mem_root->v_mount;

	if (rdonly)
		atomic_fetch_or(&mem->mnt_flags, MNT_RDONLY);
	else
		atomic_fetch_and(&mem->mnt_flags, ~(unsigned)MNT_RDONLY);
	sp->sp_how.sh_rdonly = rdonly; /* of what comes */
	images_set_rdonly(sp, rdonly);
	etfs_set_rdonly(sp->sp_etfs, rdonly);
}

static void
close_left(void *obj, void *arg)
{
	(void)arg;
	vop_close(obj);
}

int
space_done(struct space *sp)
{
	int r;

	nodes_done(sp);
	r = images_end(sp);
	/* Files that were open when the mount went away. */
	slots_each(&sp->sp_vfs.vfs_files, close_left, NULL);
	etfs_free(sp->sp_etfs);
	vfs_done(&sp->sp_vfs);
	added_done(&sp->sp_added);
	return r;
}

static int
key_is_live(const struct etfs_info *i, void *arg)
{
	(void)arg;
	return i->ei_missing || i->ei_type == ETFS_DIR ||
	       i->ei_type == ETFS_DIR_SUBDIRS || !i->ei_window;
}

static void
overlap(const struct etfs_info *a, const struct etfs_info *b, void *arg)
{
	(void)a;
	(void)b;
	*(bool *)arg = true;
}

bool
space_overlaps(struct space *sp)
{
	bool found = false;

	etfs_overlaps(sp->sp_etfs, overlap, &found);
	return found;
}

bool
space_is_live(struct space *sp)
{
	return etfs_each(sp->sp_etfs, key_is_live, NULL) != 0 || space_overlaps(sp);
}
