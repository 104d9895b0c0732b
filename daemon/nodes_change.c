/*
 * Declared nodes (nodes.h): given names, taken away, changed, and the way back.
 */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/apply.h"
#include "daemon/log.h"
#include "daemon/nodes.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

static bool
in_memory(const struct space *sp, const struct vnode *dvp)
{
	return dvp->v_mount == sp->sp_vfs.vfs_mem_root->v_mount;
}

/* Remembers (vp and laid), or forgets (NULL and not laid). */
static void
record(struct space *sp, const char *path, const struct vnode *vp, bool laid)
{
	struct declared *dc;

	if (!vp && !laid) {
		g_tree_remove(sp->sp_nodes.ns_all, path);
		return;
	}
	dc = g_new0(struct declared, 1);
	*dc = (struct declared){g_strdup(path), vp ? vp->v_id : 0, laid};
	g_tree_replace(sp->sp_nodes.ns_all, dc->dc_path, dc);
}

static void
begin(struct space *sp, struct node_done *nd, const char *path)
{
	const struct declared *dc = nodes_find(sp, path);

	*nd = (struct node_done){.nd_path = g_strdup(path)};
	if (dc)
		nd->nd_was =
		    (struct declared){g_strdup(dc->dc_path), dc->dc_id, dc->dc_laid};
}

/* Empties it; the record is put back if the node was. */
static void
end(struct space *sp, struct node_done *nd, bool back)
{
	if (back && nd->nd_path) {
		g_tree_remove(sp->sp_nodes.ns_all, nd->nd_path);
		if (nd->nd_was.dc_path) {
			struct declared *dc = g_new0(struct declared, 1);

			*dc = nd->nd_was;
			nd->nd_was.dc_path = NULL;
			g_tree_replace(sp->sp_nodes.ns_all, dc->dc_path, dc);
		}
	}
	if (nd->nd_dvp)
		vn_unref(nd->nd_dvp);
	if (nd->nd_old)
		vn_unref(nd->nd_old);
	if (nd->nd_new)
		vn_unref(nd->nd_new);
	g_free(nd->nd_was.dc_path);
	g_free(nd->nd_path);
	*nd = (struct node_done){0};
}

/* Lays vp (NULL: a whiteout) over path. */
static int
lay_over(struct space *sp, const char *path, struct vnode *vp)
{
	struct attach *at = calloc(1, sizeof(*at));
	char *copy = strdup(path);
	int r = -ENOMEM;

	if (at && copy) {
		at->at_kind = vp ? AT_MOUNT : AT_WHITEOUT;
		at->at_vp = vp;
		at->at_path = copy;
		r = vfs_attach(&sp->sp_vfs, at);
	}
	if (r < 0) {
		free(at);
		free(copy);
		return r;
	}
	if (vp) {
		vn_ref(vp);
		rumpfs_name(vp);
	}
	return 0;
}

/* The other way, for good.  A directory has been ended before. */
static void
attach_free(struct attach *at)
{
	if (at->at_vp) {
		if (at->at_vp->v_type != VDIR)
			rumpfs_unname(at->at_vp);
		vn_unref(at->at_vp);
	}
	free(at->at_path);
	free(at);
}

/* What is called so in dvp, which is in memory, whatever is attached there; or NULL. */
static struct vnode *
entry_of(struct vnode *dvp, const struct name *n)
{
	struct vnode *vp;
	int r;

	lk_read(&dvp->v_lock, LK_DIR);
	r = dvp->v_op->lookup(dvp, n, &vp);
	lk_unlock(&dvp->v_lock, LK_DIR);
	return r == 0 ? vp : NULL;
}

static void
tell_looks(struct space *sp, struct vnode *vp)
{
	const struct vfs *v = &sp->sp_vfs;

	if (v->vfs_notify)
		v->vfs_notify->attrs(v->vfs_notify_arg, vp);
}

/* Sets what vs says of mode and owner, which nd remembers.  The owner first: a change of it
 * takes set-id bits off. */
static int
set_looks(struct space *sp, struct vnode *vp, struct vattr_set vs, struct node_done *nd)
{
	static const struct cred root;
	unsigned valid = vs.vs_valid & (VS_MODE | VS_UID | VS_GID);
	struct vattr va;
	int r = valid ? vop_getattr(vp, NULL, &va) : 0;

	if (r < 0 || !valid)
		return r;
	if (nd && !nd->nd_looked) {
		nd->nd_looked = true;
		nd->nd_looks = (struct vattr_set){
		    .vs_valid = VS_MODE | VS_UID | VS_GID,
		    .vs_mode = va.va_mode & 07777,
		    .vs_uid = va.va_uid,
		    .vs_gid = va.va_gid,
		};
	}
	vs.vs_valid = valid & (VS_UID | VS_GID);
	r = vs.vs_valid ? vop_setattr(vp, NULL, &vs, &root) : 0;
	if (r == 0 && vp->v_type != VLNK) {
		vs.vs_mode = valid & VS_MODE ? vs.vs_mode : va.va_mode & 07777;
		vs.vs_valid = VS_MODE;
		r = vop_setattr(vp, NULL, &vs, &root);
	}
	tell_looks(sp, vp);
	return r;
}

/* A directory that is there because something lies below it becomes the declared one. */
static int
adopt(struct space *sp, const struct conf_node *cn, struct vnode *vp, bool laid,
    struct node_done *nd)
{
	struct vattr_set vs = {
	    .vs_valid = VS_MODE | VS_UID | VS_GID,
	    .vs_mode = cn->cn_set_mode ? cn->cn_mode : 0755,
	    .vs_uid = cn->cn_set_uid ? cn->cn_uid : sp->sp_uid,
	    .vs_gid = cn->cn_set_gid ? cn->cn_gid : sp->sp_gid,
	};
	int r;

	nd->nd_change = NC_LOOKS;
	nd->nd_old = vn_ref(vp);
	nd->nd_synth = true;
	r = set_looks(sp, vp, vs, nd);
	if (r < 0)
		return r;
	atomic_fetch_and(&vp->v_flags, (uint16_t)~VF_SYNTH);
	record(sp, cn->cn_path, vp, laid);
	return 0;
}

static int
add_in_memory(struct space *sp, const struct conf_node *cn, struct vnode *dvp,
    const struct name *n, struct vnode *vp, struct node_done *nd)
{
	AUTO_VNODE there = entry_of(dvp, n);
	int r;

	if (there && cn->cn_kind == CK_DIR && there->v_type == VDIR &&
	    atomic_load(&there->v_flags) & VF_SYNTH)
		return adopt(sp, cn, there, false, nd);
	r = rumpfs_put(dvp, n, NULL, vp, false, &nd->nd_seq);
	if (r < 0)
		return r == -ESTALE ? -EEXIST : r;
	nd->nd_change = NC_MEMORY;
	nd->nd_dvp = vn_ref(dvp);
	nd->nd_new = vn_ref(vp);
	record(sp, cn->cn_path, vp, false);
	return 0;
}

/* A directory that has stayed over another when it was not declared any more. */
static struct vnode *
laid_dir(struct space *sp, const struct node_done *nd)
{
	struct attach *at = nd->nd_was.dc_path && nd->nd_was.dc_laid
	                        ? vfs_attach_peek(&sp->sp_vfs, nd->nd_path)
	                        : NULL;

	return at && at->at_vp && at->at_vp->v_type == VDIR ? at->at_vp : NULL;
}

int
node_add(
    struct space *sp, const struct conf_node *cn, struct vnode *vp, struct node_done *nd)
{
	AUTO_VNODE dvp = NULL;
	struct vnode *there;
	struct name n;
	int r = namei_parent(&sp->sp_vfs, cn->cn_path, true, &dvp, &n);

	begin(sp, nd, cn->cn_path);
	if (r < 0)
		return r;
	there = laid_dir(sp, nd);
	if (there && cn->cn_kind == CK_DIR)
		return adopt(sp, cn, there, true, nd);
	if (in_memory(sp, dvp))
		return add_in_memory(sp, cn, dvp, &n, vp, nd);
	if (cn->cn_kind == CK_WHITEOUT)
		vp = NULL;
	r = lay_over(sp, cn->cn_path, vp);
	if (r < 0)
		return r;
	nd->nd_change = NC_LAID;
	record(sp, cn->cn_path, vp, true);
	return 0;
}

static void
stays(const struct conf_node *cn, const char *why)
{
	apply_complain(&cn->cn_where, LOG_NOTICE, why);
}

/* Is vp another than was made for this path? */
static bool
is_theirs(const struct conf_node *cn, const struct vnode *vp, const struct node_done *nd)
{
	if (nd->nd_was.dc_path && vp->v_id == nd->nd_was.dc_id)
		return false;
	stays(cn,
	    "what is there stays: users have put it in the place of what was declared");
	return true;
}

/* A directory that is not empty: others need it, or have put something into it. */
static int
leave_dir(struct space *sp, const struct conf_node *cn, bool below, struct vnode *vp,
    struct node_done *nd)
{
	struct vattr_set vs = {
	    .vs_valid = VS_MODE | VS_UID | VS_GID,
	    .vs_mode = 0755,
	    .vs_uid = sp->sp_uid,
	    .vs_gid = sp->sp_gid,
	};
	int r = 0;

	nd->nd_change = NC_STAYS;
	nd->nd_old = vn_ref(vp);
	if (below) {
		r = set_looks(sp, vp, vs, nd);
		nd->nd_change = NC_LOOKS;
		if (r == 0)
			atomic_fetch_or(&vp->v_flags, VF_SYNTH);
	} else {
		stays(cn, "the directory stays: users have put something into it");
	}
	return r;
}

static int
lift_laid(struct space *sp, const struct conf_node *cn, bool below, struct node_done *nd)
{
	struct vnode *dir = laid_dir(sp, nd);
	struct attach *at;
	int r;

	/* From here on it takes no entries. */
	if (dir && rumpfs_retire_synth(dir) < 0)
		return leave_dir(sp, cn, below, dir, nd);
	r = vfs_withdraw(&sp->sp_vfs, cn->cn_path, &at);
	if (r < 0 && dir)
		rumpfs_name(dir);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	nd->nd_change = NC_LIFTED;
	nd->nd_at = at;
	return 0;
}

static int
remove_in_memory(
    struct space *sp, const struct conf_node *cn, bool below, struct node_done *nd)
{
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE vp = NULL;
	struct name n;
	int r = namei_parent(&sp->sp_vfs, cn->cn_path, false, &dvp, &n);

	vp = r == 0 && in_memory(sp, dvp) ? entry_of(dvp, &n) : NULL;
	nd->nd_change = NC_STAYS;
	if (!vp) /* users have removed it */
		return 0;
	if (is_theirs(cn, vp, nd))
		return 0;
	r = rumpfs_put(dvp, &n, vp, NULL, false, &nd->nd_seq);
	if (r == -ENOTEMPTY)
		return leave_dir(sp, cn, below, vp, nd);
	if (r < 0)
		return r;
	nd->nd_change = NC_MEMORY;
	nd->nd_dvp = vn_ref(dvp);
	nd->nd_old = vn_ref(vp);
	return 0;
}

int
node_remove(
    struct space *sp, const struct conf_node *cn, bool below, struct node_done *nd)
{
	int r = 0;

	begin(sp, nd, cn->cn_path);
	if (nd->nd_was.dc_path && nd->nd_was.dc_laid)
		r = lift_laid(sp, cn, below, nd);
	else if (nd->nd_was.dc_path)
		r = remove_in_memory(sp, cn, below, nd);
	/* What stays laid over something is taken off at the end. */
	if (r == 0 && !(nd->nd_was.dc_laid && nd->nd_change != NC_LIFTED))
		record(sp, cn->cn_path, NULL, false);
	return r;
}

/* Mode and owner of b where a says otherwise. */
static struct vattr_set
new_looks(const struct space *sp, const struct conf_node *a, const struct conf_node *b)
{
	uint32_t mode = b->cn_kind == CK_DIR ? 0755 : 0644;
	struct vattr_set vs = {
	    .vs_mode = b->cn_set_mode ? b->cn_mode : mode,
	    .vs_uid = b->cn_set_uid ? b->cn_uid : sp->sp_uid,
	    .vs_gid = b->cn_set_gid ? b->cn_gid : sp->sp_gid,
	};

	if (vs.vs_mode != (a->cn_set_mode ? a->cn_mode : mode))
		vs.vs_valid |= VS_MODE;
	if (vs.vs_uid != (a->cn_set_uid ? a->cn_uid : sp->sp_uid))
		vs.vs_valid |= VS_UID;
	if (vs.vs_gid != (a->cn_set_gid ? a->cn_gid : sp->sp_gid))
		vs.vs_valid |= VS_GID;
	return vs;
}

/* Where the configuration says the same as before, what users have made of it holds. */
static int
keep_looks(
    struct space *sp, struct vnode *old, struct vnode *vp, const struct vattr_set *vs)
{
	struct vattr va;
	int r = vop_getattr(old, NULL, &va);
	struct vattr_set keep = {
	    .vs_valid = (VS_MODE | VS_UID | VS_GID) & ~vs->vs_valid,
	    .vs_mode = va.va_mode & 07777,
	    .vs_uid = va.va_uid,
	    .vs_gid = va.va_gid,
	};

	if (r < 0 || old->v_type != vp->v_type)
		return r;
	return set_looks(sp, vp, keep, NULL);
}

static int
change_laid(struct space *sp, const struct conf_node *b, const struct vattr_set *vs,
    struct vnode *vp, struct node_done *nd)
{
	struct attach *at = vfs_attach_peek(&sp->sp_vfs, b->cn_path);
	int r;

	if (!at || !at->at_vp)
		return 0; /* a whiteout */
	nd->nd_old = vn_ref(at->at_vp);
	if (!vp) {
		nd->nd_change = NC_LOOKS;
		return set_looks(sp, nd->nd_old, *vs, nd);
	}
	r = keep_looks(sp, nd->nd_old, vp, vs);
	if (r == 0)
		r = vfs_attach_swap(&sp->sp_vfs, b->cn_path, vp);
	if (r < 0)
		return r;
	rumpfs_name(vp);
	rumpfs_unname(nd->nd_old);
	nd->nd_change = NC_SWAP;
	nd->nd_new = vn_ref(vp);
	record(sp, b->cn_path, vp, true);
	return 0;
}

static int
change_in_memory(struct space *sp, const struct conf_node *b, const struct vattr_set *vs,
    struct vnode *vp, struct node_done *nd)
{
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE old = NULL;
	struct name n;
	int r = namei_parent(&sp->sp_vfs, b->cn_path, vp != NULL, &dvp, &n);

	if (r < 0 && !vp)
		return 0;
	if (r < 0)
		return r;
	if (!in_memory(sp, dvp)) {
		end(sp, nd, false);
		return vp ? node_add(sp, b, vp, nd) : 0;
	}
	old = entry_of(dvp, &n);
	if (old ? is_theirs(b, old, nd) : !vp) /* or users have removed it */
		return 0;
	if (!vp) {
		nd->nd_change = NC_LOOKS;
		nd->nd_old = vn_ref(old);
		return set_looks(sp, old, *vs, nd);
	}
	r = old ? keep_looks(sp, old, vp, vs) : 0;
	if (r == 0)
		r = rumpfs_put(dvp, &n, old, vp, false, &nd->nd_seq);
	if (r < 0)
		return r == -ESTALE ? -EEXIST : r;
	nd->nd_change = NC_MEMORY;
	nd->nd_dvp = vn_ref(dvp);
	nd->nd_old = old ? vn_ref(old) : NULL;
	nd->nd_new = vn_ref(vp);
	record(sp, b->cn_path, vp, false);
	return 0;
}

int
node_change(struct space *sp, const struct conf_node *a, const struct conf_node *b,
    struct vnode *vp, struct node_done *nd)
{
	struct vattr_set vs = new_looks(sp, a, b);

	begin(sp, nd, b->cn_path);
	if (nd->nd_was.dc_path && nd->nd_was.dc_laid)
		return change_laid(sp, b, &vs, vp, nd);
	return change_in_memory(sp, b, &vs, vp, nd);
}

/* Is dc in memory and still in its place?  Then with references. */
static bool
is_covered(struct space *sp, const struct declared *dc, struct vnode **ret_dvp,
    struct vnode **ret_vp, struct name *ret_n)
{
	if (dc->dc_laid)
		return false;
	if (namei_parent(&sp->sp_vfs, dc->dc_path, false, ret_dvp, ret_n) < 0)
		return false;
	*ret_vp = in_memory(sp, *ret_dvp) ? entry_of(*ret_dvp, ret_n) : NULL;
	return *ret_vp && (*ret_vp)->v_id == dc->dc_id;
}

/* The first that is declared below path, and how many there are. */
static GTreeNode *
declared_below(const struct space *sp, const char *path, size_t *ret_n)
{
	char *prefix = g_strconcat(strcmp(path, "/") == 0 ? "" : path, "/", NULL);
	GTreeNode *first = g_tree_lower_bound(sp->sp_nodes.ns_all, prefix);

	*ret_n = 0;
	for (GTreeNode *at = first; at && g_str_has_prefix(g_tree_node_key(at), prefix);
	     at = g_tree_node_next(at))
		(*ret_n)++;
	g_free(prefix);
	return first;
}

int
nodes_move_out(struct space *sp, const char *path, struct node_done **ret, size_t *ret_n)
{
	size_t count;
	GTreeNode *at = declared_below(sp, path, &count);
	struct node_done *all = NULL;
	int r = 0;

	*ret_n = 0;
	/* What lies above comes first: what that has in it comes with it. */
	for (; r == 0 && count > 0; count--, at = g_tree_node_next(at)) {
		const struct declared *dc = g_tree_node_value(at);
		AUTO_VNODE dvp = NULL;
		AUTO_VNODE vp = NULL;
		struct node_done *nd;
		struct name n;

		if (!is_covered(sp, dc, &dvp, &vp, &n))
			continue;
		if (!all)
			all = g_new0(struct node_done, 2 * count);
		nd = &all[(*ret_n)++];
		begin(sp, nd, dc->dc_path);
		r = rumpfs_put(dvp, &n, vp, NULL, true, &nd->nd_seq);
		if (r == 0) {
			nd->nd_change = NC_MEMORY;
			nd->nd_move = true;
			nd->nd_dvp = vn_ref(dvp);
			nd->nd_old = vn_ref(vp);
		}
	}
	*ret = all;
	return r;
}

/* In memory it is a device 0:0; over something else it is nothing but that it hides. */
static bool
is_whiteout(struct vnode *vp)
{
	struct vattr va;

	return vp->v_type == VCHR && vop_getattr(vp, NULL, &va) == 0 && va.va_rdev == 0;
}

int
nodes_move_in(struct space *sp, struct node_done **all, size_t *n)
{
	size_t moved = *n;
	int r = 0;

	for (size_t i = 0; r == 0 && i < moved; i++) {
		struct node_done *out = &(*all)[i], *in = &(*all)[*n];
		struct vnode *vp;

		vp = is_whiteout(out->nd_old) ? NULL : out->nd_old;
		begin(sp, in, out->nd_path);
		r = lay_over(sp, out->nd_path, vp);
		(*n)++;
		if (r == 0) {
			in->nd_change = NC_LAID;
			record(sp, out->nd_path, vp, true);
		}
	}
	return r;
}

static int
undo_looks(struct space *sp, struct node_done *nd)
{
	if (!nd->nd_looked)
		return 0;
	if (nd->nd_synth)
		atomic_fetch_or(&nd->nd_old->v_flags, VF_SYNTH);
	else
		atomic_fetch_and(&nd->nd_old->v_flags, (uint16_t)~VF_SYNTH);
	return set_looks(sp, nd->nd_old, nd->nd_looks, NULL);
}

int
node_undo(struct space *sp, struct node_done *nd)
{
	struct attach *at;
	struct name n;
	int r = 0;

	switch (nd->nd_change) {
	case NC_NONE:
	case NC_STAYS:
		break;
	case NC_MEMORY:
		(void)name_init(&n, strrchr(nd->nd_path, '/') + 1);
		r = rumpfs_put(
		    nd->nd_dvp, &n, nd->nd_new, nd->nd_old, false, &nd->nd_seq);
		break;
	case NC_LAID:
		r = vfs_withdraw(&sp->sp_vfs, nd->nd_path, &at);
		if (r == 0)
			attach_free(at);
		break;
	case NC_LIFTED:
		if (nd->nd_at->at_vp)
			rumpfs_name(nd->nd_at->at_vp);
		r = vfs_attach(&sp->sp_vfs, nd->nd_at);
		break;
	case NC_SWAP:
		r = vfs_attach_swap(&sp->sp_vfs, nd->nd_path, nd->nd_old);
		rumpfs_name(nd->nd_old);
		break;
	case NC_LOOKS:
		r = undo_looks(sp, nd);
		break;
	}
	end(sp, nd, true);
	return r;
}

/* Takes dvp, in which something was called as path says, away if it was made for that and is
 * empty.  The directory above it, with a reference, or NULL: it stays. */
static struct vnode *
prune_one(struct space *sp, struct vnode *dvp, const char *path)
{
	const struct vfs *v = &sp->sp_vfs;
	struct vnode *up = NULL;
	AUTO_VNODE is = NULL;
	struct name n;

	if (in_memory(sp, dvp) && atomic_load(&dvp->v_flags) & VF_SYNTH)
		up = vfs_parent_get(dvp);
	if (!up)
		return NULL;
	if (up != dvp && in_memory(sp, up) && name_init(&n, strrchr(path, '/') + 1) == 0)
		is = entry_of(up, &n);
	if (is == dvp && rumpfs_rmdir_synth(up, &n) == 0) {
		if (v->vfs_notify)
			v->vfs_notify->entry(v->vfs_notify_arg, up, &n);
		return up;
	}
	vn_unref(up);
	return NULL;
}

void
nodes_prune(struct space *sp, struct vnode *dvp, const char *path)
{
	struct vnode *at = dvp ? vn_ref(dvp) : NULL;
	char *p = g_strdup(path), *slash;

	/* By the directories themselves: the path may lead to others by now. */
	while (at && (slash = strrchr(p, '/')) && slash != p) {
		struct vnode *up;

		*slash = '\0';
		up = prune_one(sp, at, p);
		vn_unref(at);
		at = up;
	}
	if (at)
		vn_unref(at);
	g_free(p);
	vfs_prune(&sp->sp_vfs, path);
}

void
nodes_uncovered(struct space *sp, const char *path)
{
	char *below = g_strconcat(path, "/.", NULL);

	vfs_prune(&sp->sp_vfs, below);
	g_free(below);
}

void
node_finish(struct space *sp, struct node_done *nd)
{
	if (nd->nd_at)
		attach_free(nd->nd_at);
	if (nd->nd_path && (nd->nd_change == NC_MEMORY || nd->nd_change == NC_LIFTED) &&
	    !nd->nd_new && !nd->nd_move)
		nodes_prune(sp, nd->nd_dvp, nd->nd_path);
	end(sp, nd, false);
}

const char *
node_foresee(struct space *sp, const struct conf_node *cn)
{
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE vp = NULL;
	struct name n;
	int r = namei_parent(&sp->sp_vfs, cn->cn_path, false, &dvp, &n);

	if (r < 0)
		return r == -ENOENT ? NULL : node_words(r);
	if (!in_memory(sp, dvp))
		return NULL;
	vp = entry_of(dvp, &n);
	if (!vp || (cn->cn_kind == CK_DIR && vp->v_type == VDIR &&
		       atomic_load(&vp->v_flags) & VF_SYNTH))
		return NULL;
	return node_words(-EEXIST);
}
