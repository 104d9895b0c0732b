/*
 * What speaks against a reload in the namespace that runs (reload_private.h).
 *
 * The trial has shown that the new configuration is good by itself.  What is left are those
 * who use the namespace: files that are open in an image, names that users have made, memory
 * that is in use.  They may do so a moment later too; then the steps fail, and are undone.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/reload_private.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

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

/*
 * Where opens are not told: nodes of an image that the kernel knew when it was asked to drop
 * what nobody uses.  What is in use it keeps; what is only looked at comes back as another.
 *
 * It is asked to drop the nodes, and then all that it knows: keys and directories made for them
 * lie on nodes of the image too, and hold them.  A kernel that cannot (before 6.18) is told that
 * the image's name means something else: it drops what is below and not used, and lets go of the
 * rest when that is closed; but not of a file with a name in a directory that has lost its own,
 * which it would never come by again.  So the names in the directories that stay go too.
 */
struct users {
	struct vfs *us_vfs;
	struct vnode *us_root; /* of the image; borrowed */
	GHashTable *us_ids;    /* or NULL: opens are told */
	bool us_first;         /* all are users */
	bool us_all;           /* nodes of all mounts are to be dropped */
	bool us_by_name;       /* the kernel cannot drop nodes */
	unsigned us_pressed;   /* times that users were pressed */
};

/* The root stays the same, whoever looks at it. */
static bool
is_user(const void *obj, void *arg)
{
	const struct vnode *vp = obj;
	struct users *us = arg;
	void *id = GSIZE_TO_POINTER(vp->v_id);

	if (vp->v_mount != us->us_root->v_mount || atomic_load(&vp->v_nlookup) == 0 ||
	    atomic_load(&vp->v_flags) & VF_ROOT)
		return false;
	if (us->us_first)
		g_hash_table_add(us->us_ids, id);
	return !us->us_first && g_hash_table_contains(us->us_ids, id);
}

/* Asks for one node.  True: it cannot be asked. */
static bool
drop_fails(const void *obj, void *arg)
{
	const struct vnode *vp = obj;
	const struct users *us = arg;
	const struct vfs_notify_ops *no = us->us_vfs->vfs_notify;

	if (us->us_all ? atomic_load(&vp->v_nlookup) == 0 : !is_user(obj, arg))
		return false;
	return !no->drop_unused || !no->drop_unused(us->us_vfs->vfs_notify_arg, vp->v_id);
}

static void
users_init(struct users *us, struct space *sp, struct vnode *root, const char *path)
{
	struct vfs *v = &sp->sp_vfs;
	AUTO_VNODE dvp = NULL;
	struct name n;

	*us = (struct users){.us_vfs = v, .us_root = root};
	if (!atomic_load(&sp->sp_unopened) || !v->vfs_notify ||
	    namei_parent(v, path, false, &dvp, &n) < 0)
		return;
	us->us_ids = g_hash_table_new(NULL, NULL);
	us->us_first = true;
	(void)slots_any(&v->vfs_nodes, is_user, us);
	us->us_first = false;
	us->us_by_name = slots_any(&v->vfs_nodes, drop_fails, us);
	if (us->us_by_name)
		v->vfs_notify->entry(v->vfs_notify_arg, dvp, &n);
	v->vfs_notify->settle_names(v->vfs_notify_arg);
}

static void
users_done(struct users *us)
{
	if (us->us_ids)
		g_hash_table_destroy(us->us_ids);
}

/* Tells that all names in a directory mean something else. */
static void
names_go(const struct vfs *v, struct vnode *dvp)
{
	static const struct cred nobody;
	_Alignas(8) char mem[4096];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	struct file *f;

	if (vop_open_once(dvp, O_RDONLY | O_DIRECTORY, &nobody, &f) < 0)
		return;
	while (vop_readdir_at(dvp, f, &db) == 0 && db.db_used > 0)
		for (struct dirrec *r = NULL; (r = dirbuf_next(&db, r));) {
			struct name n;

			db.db_cookie = r->dr_cookie;
			if (name_init_len(&n, r->dr_name, r->dr_namelen) == 0)
				v->vfs_notify->entry(v->vfs_notify_arg, dvp, &n);
		}
	if (f)
		vop_close(f);
}

/* Is the directory the image's root or below it, on whatever mount? */
static bool
in_image(const struct users *us, struct vnode *dvp)
{
	struct vnode *vp = vn_ref(dvp);
	bool top = false, in;

	while (vp && !top && vp != us->us_root) {
		AUTO_VNODE below = vp;

		vp = vfs_parent_get(below);
		top = vp == below;
	}
	in = vp == us->us_root;
	if (vp)
		vn_unref(vp);
	return in;
}

static bool
is_known_dir(const void *obj, void *arg)
{
	const struct vnode *vp = obj;

	if (vp->v_type == VDIR && atomic_load(&vp->v_nlookup) > 0)
		g_ptr_array_add(arg, GSIZE_TO_POINTER(vp->v_id));
	return false;
}

static void
all_names_go(const struct users *us)
{
	struct vfs *v = us->us_vfs;
	GPtrArray *ids = g_ptr_array_new();

	(void)slots_any(&v->vfs_nodes, is_known_dir, ids);
	for (guint i = 0; i < ids->len; i++) {
		AUTO_VNODE dvp = vfs_node_get(v, GPOINTER_TO_SIZE(ids->pdata[i]));

		if (dvp && in_image(us, dvp))
			names_go(v, dvp);
	}
	g_ptr_array_free(ids, true);
}

/* For those that are known after a pause. */
static void
users_press(struct users *us)
{
	bool first = us->us_pressed++ == 0;

	if (!us->us_ids)
		return;
	if (!us->us_by_name) {
		us->us_all = first;
		(void)slots_any(&us->us_vfs->vfs_nodes, drop_fails, us);
	} else if (first) {
		all_names_go(us);
	}
}

/* carries: what is open may be the device of others, which go too. */
static bool
in_use(struct users *us, bool carries)
{
	return (!carries && atomic_load(&us->us_root->v_mount->mnt_nopen) > 0) ||
	       (us->us_ids && slots_any(&us->us_vfs->vfs_nodes, is_user, us));
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
	users_init(&us, fs->fs_space, image_root_peek(md->md_image), ps->ps_path);
	/* close(2) does not wait until the kernel has told us. */
	for (int ms = 0; in_use(&us, carries) && ms < BUSY_WAIT_MS; ms += BUSY_PAUSE_MS) {
		nanosleep(&pause, NULL);
		users_press(&us);
	}
	busy = in_use(&us, carries);
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
