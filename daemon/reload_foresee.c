/*
 * What speaks against a reload in the namespace that runs (reload_private.h).
 *
 * The trial has shown that the new configuration is good by itself.  What is left are those
 * who use the namespace: files that are open in an image, names that users have made, memory
 * that is in use.  They may do so a moment later too; then the steps fail, and are undone.
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/reload_private.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"

/* How long files may be open that have just been closed. */
#define BUSY_WAIT_MS  500
#define BUSY_PAUSE_MS 20

struct foresee {
	struct space *fs_space;
	const struct plan *fs_plan;
	GHashTable *fs_going; /* the paths of what goes or is made anew */
	bool fs_ok;
};

static void
object(struct foresee *fs, const struct conf_item *i, const char *text)
{
	apply_complain(i->ci_where, LOG_ERR, text);
	fs->fs_ok = false;
}

static bool
goes(const struct plan_step *ps)
{
	return ps->ps_op == PO_REMOVE || (ps->ps_op == PO_CHANGE && !ps->ps_name &&
					     !ps->ps_in_place && ps->ps_kind != PK_NODE);
}

/* Does the path, or what is above it, go?  Then what is there now says nothing. */
static bool
way_goes(const struct foresee *fs, const char *path)
{
	char *p = g_strdup(path), *slash;
	bool found = false;

	do {
		found = g_hash_table_contains(fs->fs_going, p);
		slash = strrchr(p, '/');
		if (slash)
			*slash = '\0';
	} while (!found && slash && slash != p);
	g_free(p);
	return found;
}

static bool
is_below(const char *path, const char *top)
{
	size_t len = strcmp(top, "/") == 0 ? 0 : strlen(top);

	return strncmp(path, top, len) == 0 && path[len] == '/';
}

/* An image that goes is used by those that lie on it and go before it. */
static bool
carries_others(const struct foresee *fs, const char *path)
{
	for (size_t i = 0; i < fs->fs_plan->pl_n; i++) {
		const struct plan_step *ps = &fs->fs_plan->pl_steps[i];

		if (goes(ps) && ps->ps_old.ci_mount && ps->ps_old.ci_mount->cm_device &&
		    is_below(ps->ps_old.ci_mount->cm_device, path))
			return true;
	}
	return false;
}

/* Where opens are not told: nodes of a mount that the kernel knew when it was asked to forget
 * them.  What is in use it keeps; what is only looked at comes back as another. */
struct users {
	const struct mount *us_mp;
	GHashTable *us_ids; /* or NULL: opens are told */
	bool us_first;
};

/* The root stays the same, whoever looks at it. */
static bool
is_user(const void *obj, void *arg)
{
	const struct vnode *vp = obj;
	struct users *us = arg;
	void *id = GSIZE_TO_POINTER(vp->v_id);

	if (vp->v_mount != us->us_mp || atomic_load(&vp->v_nlookup) == 0 ||
	    atomic_load(&vp->v_flags) & VF_ROOT)
		return false;
	if (us->us_first)
		g_hash_table_add(us->us_ids, id);
	return !us->us_first && g_hash_table_contains(us->us_ids, id);
}

static void
users_init(struct users *us, struct space *sp, const struct mount *mp, const char *path)
{
	struct vfs *v = &sp->sp_vfs;
	AUTO_VNODE dvp = NULL;
	struct name n;

	*us = (struct users){.us_mp = mp};
	if (!atomic_load(&sp->sp_unopened) || !v->vfs_notify ||
	    namei_parent(v, path, false, &dvp, &n) < 0)
		return;
	us->us_ids = g_hash_table_new(NULL, NULL);
	us->us_first = true;
	(void)slots_any(&v->vfs_nodes, is_user, us);
	us->us_first = false;
	v->vfs_notify->entry(v->vfs_notify_arg, dvp, &n);
	v->vfs_notify->settle_names(v->vfs_notify_arg);
}

static void
users_done(struct users *us)
{
	if (us->us_ids)
		g_hash_table_destroy(us->us_ids);
}

/* carries: what is open may be the device of others, which go too. */
static bool
in_use(struct space *sp, struct users *us, bool carries)
{
	return (!carries && atomic_load(&us->us_mp->mnt_nopen) > 0) ||
	       (us->us_ids && slots_any(&sp->sp_vfs.vfs_nodes, is_user, us));
}

static void
image_goes(struct foresee *fs, const struct plan_step *ps)
{
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000};
	const struct mounted *md = images_find(fs->fs_space, ps->ps_path);
	bool carries = carries_others(fs, ps->ps_path), busy;
	struct users us;

	if (!md)
		return;
	users_init(
	    &us, fs->fs_space, image_root_peek(md->md_image)->v_mount, ps->ps_path);
	/* close(2) does not wait until the kernel has told us. */
	for (int ms = 0; in_use(fs->fs_space, &us, carries) && ms < BUSY_WAIT_MS;
	     ms += BUSY_PAUSE_MS)
		nanosleep(&pause, NULL);
	busy = in_use(fs->fs_space, &us, carries);
	users_done(&us);
	if (!busy)
		return;
	log_msg(LOG_ERR,
	    "image at %s: it cannot be unmounted: files are open in it, or another is "
	    "mounted from it",
	    ps->ps_path);
	fs->fs_ok = false;
}

static void
key_goes(struct foresee *fs, const struct plan_step *ps)
{
	const struct attach *at = vfs_attach_peek(&fs->fs_space->sp_vfs, ps->ps_path);

	if (!at || !at->at_vp || !vn_is_device(at->at_vp))
		return;
	for (size_t i = 0; i < fs->fs_plan->pl_n; i++) {
		const struct conf_mount *cm = fs->fs_plan->pl_steps[i].ps_old.ci_mount;

		if (cm && goes(&fs->fs_plan->pl_steps[i]) && cm->cm_device &&
		    strcmp(cm->cm_device, ps->ps_path) == 0)
			return;
	}
	log_msg(LOG_ERR, "key %s: cannot be removed: an image is mounted from it",
	    ps->ps_path);
	fs->fs_ok = false;
}

static void
key_comes(struct foresee *fs, const struct plan_step *ps)
{
	struct vfs *v = &fs->fs_space->sp_vfs;
	AUTO_VNODE dvp = NULL;
	struct etfs_info info;
	struct name n;

	if (ps->ps_kind == PK_KEY && fs->fs_space->sp_writeback)
		object(fs, &ps->ps_new,
		    "this mount is one with writeback = yes: the kernel would not see what "
		    "is on the host, and cannot be told otherwise before the next mount");
	if (way_goes(fs, ps->ps_path))
		return;
	if (ps->ps_kind == PK_KEY &&
	    etfs_find(fs->fs_space->sp_etfs, ps->ps_path, &info) == 0)
		object(fs, &ps->ps_new, "there is a key of that name");
	else if (namei_parent(v, ps->ps_path, false, &dvp, &n) == -ENOTDIR)
		object(fs, &ps->ps_new, node_words(-ENOTDIR));
}

static void
node_comes(struct foresee *fs, const struct plan_step *ps)
{
	const char *why = way_goes(fs, ps->ps_path)
	                      ? NULL
	                      : node_foresee(fs->fs_space, ps->ps_new.ci_node);

	if (why)
		object(fs, &ps->ps_new, why);
}

static void
limits(struct foresee *fs)
{
	const struct conf *c = fs->fs_plan->pl_new;
	struct rumpfs_usage ru;

	rumpfs_usage(fs->fs_space->sp_vfs.vfs_mem_root->v_mount, &ru);
	if (c->c_size != fs->fs_plan->pl_old->c_size && c->c_size &&
	    ru.ru_size_used > c->c_size) {
		log_msg(LOG_ERR,
		    "[rumpfs]: size: %" PRIu64 " bytes are in use, more than %" PRIu64,
		    ru.ru_size_used, c->c_size);
		fs->fs_ok = false;
	}
	if (c->c_inodes != fs->fs_plan->pl_old->c_inodes && c->c_inodes &&
	    ru.ru_inodes_used > c->c_inodes) {
		log_msg(LOG_ERR,
		    "[rumpfs]: inodes: %" PRIu64 " are in use, more than %" PRIu64,
		    ru.ru_inodes_used, c->c_inodes);
		fs->fs_ok = false;
	}
}

bool
reload_foresee(struct space *sp, const struct plan *pl)
{
	struct foresee fs = {
	    .fs_space = sp,
	    .fs_plan = pl,
	    .fs_going = g_hash_table_new(g_str_hash, g_str_equal),
	    .fs_ok = true,
	};

	for (size_t i = 0; i < pl->pl_n; i++)
		if (goes(&pl->pl_steps[i]))
			g_hash_table_add(fs.fs_going, (void *)pl->pl_steps[i].ps_path);
	limits(&fs);
	for (size_t i = 0; i < pl->pl_n; i++) {
		const struct plan_step *ps = &pl->pl_steps[i];

		if (ps->ps_kind == PK_IMAGE && goes(ps))
			image_goes(&fs, ps);
		else if (ps->ps_kind == PK_KEY && goes(ps))
			key_goes(&fs, ps);
		if (ps->ps_op != PO_ADD || ps->ps_name)
			continue;
		if (ps->ps_kind == PK_NODE)
			node_comes(&fs, ps);
		else
			key_comes(&fs, ps);
	}
	g_hash_table_destroy(fs.fs_going);
	return fs.fs_ok;
}
