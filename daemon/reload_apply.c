/*
 * The steps of a reload, and the way back (reload_private.h).
 *
 * Nodes are made first, without names, so that most of what can fail has been done before
 * anybody can notice.  Then what goes is taken away, the last that was made first: images
 * before the keys that they lie on.  What is told to the kernel of that has arrived before
 * anything comes.  Then what comes or changes, what is above first.  Only when all has been
 * done is what was kept aside let go.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/reload_private.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

/* What has been done of a step, and what it needs to be undone. */
struct taken {
	bool tk_unmounted;   /* the old image */
	bool tk_came;        /* the new key or image is there */
	struct vnode *tk_vp; /* the new node, made */
	struct node_done tk_node;
	struct etfs_key *tk_key; /* the old one, withdrawn … */
	struct vnode *tk_dvp;    /* … from here; a reference, or NULL */
	struct etfs_looks tk_looks;
	bool tk_looked; /* tk_looks is to be set again */
	/* Nodes that the new key or image would cover: taken out, then laid over it. */
	struct node_done *tk_moved;
	size_t tk_nout, tk_nmoved; /* the first nout were taken out, the others laid */
	struct vattr_set tk_root;  /* of the root */
};

/* A step, or the half of one that takes away. */
struct turn {
	size_t tn_step;
	bool tn_away;
};

struct run {
	struct space *rn_space;
	const struct plan *rn_plan;
	struct taken *rn_taken; /* one for each step */
	struct turn *rn_turn;   /* what was begun, in that order */
	size_t rn_nturns;
	struct rumpfs_usage rn_before; /* limits */
	unsigned long rn_fault; /* counts down to the step that is to fail; 0: none */
	size_t rn_failed;
};

bool
memory_unlock(struct space *sp)
{
	return atomic_fetch_and(
		   &sp->sp_vfs.vfs_mem_root->v_mount->mnt_flags, ~(unsigned)MNT_RDONLY) &
	       MNT_RDONLY;
}

void
memory_lock(struct space *sp, bool rdonly)
{
	if (rdonly)
		atomic_fetch_or(&sp->sp_vfs.vfs_mem_root->v_mount->mnt_flags, MNT_RDONLY);
}

/* Checked builds: the number of the step that is to fail is in CONFIG.fault. */
static unsigned long
read_fault(const struct options *o)
{
	unsigned long n = 0;
#ifdef RF_CHECKED
	char *name = NULL;
	FILE *f = NULL;

	if (o->o_config && asprintf(&name, "%s.fault", o->o_config) > 0)
		f = fopen(name, "re");
	if (f && fscanf(f, "%lu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	free(name);
#else
	(void)o;
#endif
	return n;
}

/* Is this the step that is to fail? */
static bool
fails(struct run *rn, const struct plan_step *ps)
{
	if (rn->rn_fault == 0 || --rn->rn_fault > 0)
		return false;
	log_msg(
	    LOG_ERR, "%s: a fault is injected", ps->ps_path ? ps->ps_path : ps->ps_name);
	return true;
}

/* A key that cannot be had as it was, or an image. */
static void
tell_lost(struct run *rn, const char *what, const char *path, int r)
{
	log_msg(LOG_ERR,
	    "%s %s: it could not be put back (%s) and is gone; the next reload tries it "
	    "again",
	    what, path, strerror(-r));
	rn->rn_failed++;
}

/* Settings. */

/* What grows grows before anything is made; what shrinks does in the end. */
static void
set_limits(struct run *rn, bool end)
{
	struct mount *mem = rn->rn_space->sp_vfs.vfs_mem_root->v_mount;
	const struct conf *c = rn->rn_plan->pl_new, *was = rn->rn_plan->pl_old;
	struct rumpfs_usage now;
	uint64_t size = c->c_size, inodes = c->c_inodes;

	if (c->c_size == was->c_size && c->c_inodes == was->c_inodes)
		return;
	rumpfs_usage(mem, &now);
	if (!end) {
		size = size && size < now.ru_size ? now.ru_size : size;
		inodes = inodes && inodes < now.ru_inodes ? now.ru_inodes : inodes;
	}
	if (rumpfs_set_limits(mem, size, inodes) < 0)
		log_msg(LOG_WARNING,
		    "[rumpfs]: more has been put into memory meanwhile than the new limits "
		    "allow: the old ones stay");
}

static int
root_step(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	static const struct cred root;
	struct vnode *vp = rn->rn_space->sp_vfs.vfs_mem_root;
	const struct vfs *v = &rn->rn_space->sp_vfs;
	const struct conf *c = rn->rn_plan->pl_new;
	struct vattr_set vs = {
	    .vs_mode = c->c_mode,
	    .vs_uid = c->c_set_uid ? c->c_uid : getuid(),
	    .vs_gid = c->c_set_gid ? c->c_gid : getgid(),
	};
	struct vattr va;
	int r = vop_getattr(vp, NULL, &va);

	if (strcmp(ps->ps_name, "mode") == 0)
		vs.vs_valid = VS_MODE;
	else if (strcmp(ps->ps_name, "uid") == 0)
		vs.vs_valid = VS_UID;
	else if (strcmp(ps->ps_name, "gid") == 0)
		vs.vs_valid = VS_GID;
	else
		return 0; /* limits */
	tk->tk_root = (struct vattr_set){
	    .vs_valid = vs.vs_valid,
	    .vs_mode = va.va_mode & 07777,
	    .vs_uid = va.va_uid,
	    .vs_gid = va.va_gid,
	};
	if (r == 0)
		r = vop_setattr(vp, NULL, &vs, &root);
	if (r == 0 && v->vfs_notify)
		v->vfs_notify->attrs(v->vfs_notify_arg, vp);
	return r;
}

static int
setting_step(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	if (ps->ps_later)
		return 0;
	if (ps->ps_kind == PK_MEMORY)
		return root_step(rn, ps, tk);
	etfs_set_ttl(rn->rn_space->sp_etfs, rn->rn_plan->pl_new->c_attr_timeout_ns);
	return 0;
}

static void
setting_undo(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	static const struct cred root;
	struct vnode *vp = rn->rn_space->sp_vfs.vfs_mem_root;
	const struct vfs *v = &rn->rn_space->sp_vfs;

	if (ps->ps_kind == PK_DAEMON && !ps->ps_later)
		etfs_set_ttl(
		    rn->rn_space->sp_etfs, rn->rn_plan->pl_old->c_attr_timeout_ns);
	if (!tk->tk_root.vs_valid)
		return;
	(void)vop_setattr(vp, NULL, &tk->tk_root, &root);
	if (v->vfs_notify)
		v->vfs_notify->attrs(v->vfs_notify_arg, vp);
}

/* Keys and images. */

static int
key_withdraw(struct run *rn, const char *path, struct taken *tk)
{
	struct name n;
	int r;

	if (namei_parent(&rn->rn_space->sp_vfs, path, false, &tk->tk_dvp, &n) < 0)
		tk->tk_dvp = NULL;
	r = etfs_withdraw(rn->rn_space->sp_etfs, path, &tk->tk_key);
	if (r == -ENOENT) /* it is not there, which is as it should be */
		return 0;
	if (r < 0)
		log_msg(LOG_ERR, "key %s: cannot be removed: %s", path,
		    r == -EBUSY ? "an image is mounted from it" : strerror(-r));
	return r;
}

/* Mode, owner and listing, as far as the configuration has changed them. */
static int
key_looks(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	const struct conf_etfs *a = ps->ps_old.ci_key, *b = ps->ps_new.ci_key;
	struct etfs *e = rn->rn_space->sp_etfs;
	struct etfs_looks el;
	int r = etfs_looks_get(e, ps->ps_path, &el);

	if (r < 0)
		return r;
	tk->tk_looks = el;
	el.el_hidden = b->ce_hidden;
	if (a->ce_set_mode != b->ce_set_mode || a->ce_mode != b->ce_mode) {
		el.el_set_mode = b->ce_set_mode;
		el.el_mode = b->ce_mode;
	}
	if (a->ce_set_uid != b->ce_set_uid || a->ce_uid != b->ce_uid) {
		el.el_set_uid = b->ce_set_uid;
		el.el_uid = b->ce_uid;
	}
	if (a->ce_set_gid != b->ce_set_gid || a->ce_gid != b->ce_gid) {
		el.el_set_gid = b->ce_set_gid;
		el.el_gid = b->ce_gid;
	}
	r = etfs_looks_set(e, ps->ps_path, &el);
	tk->tk_looked = r == 0;
	return r;
}

/* A key or an image that comes, over nodes that stay. */
static int
tree_comes(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	struct space *sp = rn->rn_space;
	int r = nodes_move_out(sp, ps->ps_path, &tk->tk_moved, &tk->tk_nmoved);

	tk->tk_nout = tk->tk_nmoved;
	if (r < 0)
		log_msg(LOG_ERR, "%s: what lies below it: %s", ps->ps_path, strerror(-r));
	else if (ps->ps_kind == PK_KEY)
		r = apply_key(sp->sp_etfs, ps->ps_new.ci_key);
	else
		r = images_mount(sp, ps->ps_new.ci_mount);
	tk->tk_came = r == 0;
	if (r == 0 && tk->tk_nmoved) {
		r = nodes_move_in(sp, &tk->tk_moved, &tk->tk_nmoved);
		if (r < 0)
			log_msg(LOG_ERR, "%s: what lies over it: %s", ps->ps_path,
			    node_words(r));
	}
	return r;
}

static int
key_step(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	int r;

	if (ps->ps_in_place) {
		r = key_looks(rn, ps, tk);
		if (r != -ENOENT) /* its host object is missing: it is made anew */
			return r;
	}
	r = ps->ps_op == PO_CHANGE ? key_withdraw(rn, ps->ps_path, tk) : 0;
	return r < 0 ? r : tree_comes(rn, ps, tk);
}

static void
key_undo(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	struct etfs *e = rn->rn_space->sp_etfs;
	struct etfs_key *k;
	int r;

	if (tk->tk_looked)
		(void)etfs_looks_set(e, ps->ps_path, &tk->tk_looks);
	if (tk->tk_came) {
		/* The directories above it may be the old one's too. */
		r = etfs_withdraw(e, ps->ps_path, &k);
		if (r == 0) {
			etfs_end(k);
		} else if (r != -ENOENT) {
			log_msg(LOG_ERR,
			    "key %s: it was added and cannot be removed again: %s",
			    ps->ps_path, strerror(-r));
			rn->rn_failed++;
		}
	}
	if (tk->tk_key && (r = etfs_restore(tk->tk_key)) < 0) {
		tell_lost(rn, "key", ps->ps_path, r);
		etfs_end(tk->tk_key);
	}
	tk->tk_key = NULL;
}

static void
image_undo(struct run *rn, const struct plan_step *ps, bool away, struct taken *tk)
{
	int r;

	if (!away && tk->tk_came && images_unmount(rn->rn_space, ps->ps_path) < 0)
		rn->rn_failed++;
	if (!away || !tk->tk_unmounted)
		return;
	r = images_mount(rn->rn_space, ps->ps_old.ci_mount);
	if (r < 0)
		tell_lost(rn, "image at", ps->ps_path, r);
}

/* Nodes. */

static int
node_step(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	struct space *sp = rn->rn_space;
	const struct conf_node *a = ps->ps_old.ci_node, *b = ps->ps_new.ci_node;
	int r;

	if (ps->ps_op == PO_REMOVE)
		r = node_remove(
		    sp, a, plan_declares_below(rn->rn_plan, ps->ps_path), &tk->tk_node);
	else if (ps->ps_op == PO_ADD)
		r = node_add(sp, b, tk->tk_vp, &tk->tk_node);
	else
		r = node_change(sp, a, b, tk->tk_vp, &tk->tk_node);
	if (r < 0)
		apply_complain(b ? &b->cn_where : &a->cn_where, LOG_ERR, node_words(r));
	return r;
}

/* All steps. */

/* A step that takes something away: 0 or -errno. */
static int
take_away(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	int r = 0;

	if (ps->ps_kind == PK_NODE)
		return node_step(rn, ps, tk);
	if (ps->ps_kind == PK_KEY)
		return key_withdraw(rn, ps->ps_path, tk);
	r = images_unmount(rn->rn_space, ps->ps_path);
	tk->tk_unmounted = r == 0;
	return r == -ENOENT ? 0 : r;
}

static int
bring(struct run *rn, const struct plan_step *ps, struct taken *tk)
{
	if (ps->ps_name)
		return setting_step(rn, ps, tk);
	if (ps->ps_kind == PK_NODE)
		return node_step(rn, ps, tk);
	if (ps->ps_kind == PK_KEY)
		return key_step(rn, ps, tk);
	return tree_comes(rn, ps, tk);
}

static void
undo_step(struct run *rn, const struct plan_step *ps, bool away, struct taken *tk)
{
	struct space *sp = rn->rn_space;

	/* What was laid over it first, then it, then what had been taken out from under it. */
	while (!away && tk->tk_nmoved > tk->tk_nout)
		(void)node_undo(sp, &tk->tk_moved[--tk->tk_nmoved]);
	if (ps->ps_name)
		setting_undo(rn, ps, tk);
	else if (ps->ps_kind == PK_KEY)
		key_undo(rn, ps, tk);
	else if (ps->ps_kind == PK_IMAGE)
		image_undo(rn, ps, away, tk);
	else if (node_undo(sp, &tk->tk_node) < 0) {
		log_msg(LOG_ERR, "%s: it is not as it was", ps->ps_path);
		rn->rn_failed++;
	}
	while (!away && tk->tk_nmoved > 0)
		(void)node_undo(sp, &tk->tk_moved[--tk->tk_nmoved]);
}

static void
undo_all(struct run *rn)
{
	struct space *sp = rn->rn_space;

	while (rn->rn_nturns > 0) {
		const struct turn *tn = &rn->rn_turn[--rn->rn_nturns];

		undo_step(rn, &rn->rn_plan->pl_steps[tn->tn_step], tn->tn_away,
		    &rn->rn_taken[tn->tn_step]);
	}
	/* Directories that were made on the way to what came. */
	for (size_t i = 0; i < rn->rn_plan->pl_n; i++)
		if (rn->rn_plan->pl_steps[i].ps_op == PO_ADD)
			vfs_prune(&sp->sp_vfs, rn->rn_plan->pl_steps[i].ps_path);
	(void)rumpfs_set_limits(sp->sp_vfs.vfs_mem_root->v_mount, rn->rn_before.ru_size,
	    rn->rn_before.ru_inodes);
}

static int
take_turn(struct run *rn, size_t i, bool away)
{
	const struct plan_step *ps = &rn->rn_plan->pl_steps[i];

	if (fails(rn, ps))
		return -EIO;
	/* What has begun is undone, however far it came. */
	rn->rn_turn[rn->rn_nturns++] = (struct turn){i, away};
	return away ? take_away(rn, ps, &rn->rn_taken[i])
	            : bring(rn, ps, &rn->rn_taken[i]);
}

static int
make_nodes(struct run *rn)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rn->rn_plan->pl_n; i++) {
		const struct plan_step *ps = &rn->rn_plan->pl_steps[i];

		if (ps->ps_kind != PK_NODE || ps->ps_op == PO_REMOVE || ps->ps_in_place)
			continue;
		r = fails(rn, ps) ? -EIO : 0;
		if (r == 0 &&
		    node_make(rn->rn_space, ps->ps_new.ci_node, &rn->rn_taken[i].tk_vp))
			r = -EINVAL;
	}
	return r;
}

static int
take_steps(struct run *rn)
{
	const struct plan *pl = rn->rn_plan;
	const struct vfs *v = &rn->rn_space->sp_vfs;
	int r = make_nodes(rn);

	for (size_t i = 0; r == 0 && i < pl->pl_naway; i++)
		r = take_turn(rn, pl->pl_away[i], true);
	/* Whoever sees what is new sees that the old has gone. */
	if (pl->pl_naway && v->vfs_notify)
		v->vfs_notify->settle_names(v->vfs_notify_arg);
	for (size_t i = 0; r == 0 && i < pl->pl_n; i++)
		if (pl->pl_steps[i].ps_op != PO_REMOVE)
			r = take_turn(rn, i, false);
	return r;
}

/* Nothing fails from here on. */
static void
finish(struct run *rn)
{
	const struct plan *pl = rn->rn_plan;
	struct space *sp = rn->rn_space;

	for (size_t i = 0; i < pl->pl_n; i++) {
		const struct plan_step *ps = &pl->pl_steps[i];
		struct taken *tk = &rn->rn_taken[i];

		if (tk->tk_key)
			etfs_end(tk->tk_key);
		if (ps->ps_op == PO_REMOVE && ps->ps_kind != PK_NODE)
			nodes_uncovered(sp, ps->ps_path);
		if (ps->ps_op == PO_REMOVE && ps->ps_kind == PK_KEY)
			nodes_prune(sp, tk->tk_dvp, ps->ps_path);
		for (size_t k = 0; k < tk->tk_nmoved; k++)
			node_finish(sp, &tk->tk_moved[k]);
		node_finish(sp, &tk->tk_node);
	}
	set_limits(rn, true);
	sp->sp_uid = pl->pl_new->c_set_uid ? pl->pl_new->c_uid : getuid();
	sp->sp_gid = pl->pl_new->c_set_gid ? pl->pl_new->c_gid : getgid();
}

int
reload_apply(
    struct space *sp, const struct plan *pl, const struct options *o, size_t *ret_failed)
{
	const struct vfs *v = &sp->sp_vfs;
	struct run rn = {
	    .rn_space = sp,
	    .rn_plan = pl,
	    .rn_taken = calloc(pl->pl_n + 1, sizeof(*rn.rn_taken)),
	    .rn_turn = calloc(2 * pl->pl_n + 1, sizeof(*rn.rn_turn)),
	    .rn_fault = read_fault(o),
	};
	int r = -ENOMEM;

	rumpfs_usage(sp->sp_vfs.vfs_mem_root->v_mount, &rn.rn_before);
	if (rn.rn_taken && rn.rn_turn) {
		set_limits(&rn, false);
		r = take_steps(&rn);
		if (r == 0)
			finish(&rn);
		else
			undo_all(&rn);
	} else {
		log_msg(LOG_ERR, "out of memory");
	}
	for (size_t i = 0; rn.rn_taken && i < pl->pl_n; i++) {
		if (rn.rn_taken[i].tk_vp)
			vn_unref(rn.rn_taken[i].tk_vp);
		if (rn.rn_taken[i].tk_dvp)
			vn_unref(rn.rn_taken[i].tk_dvp);
		free(rn.rn_taken[i].tk_moved);
	}
	free(rn.rn_taken);
	free(rn.rn_turn);
	*ret_failed = rn.rn_failed;
	/* Who was told that it is done finds it so. */
	if (pl->pl_n && v->vfs_notify)
		v->vfs_notify->settle_names(v->vfs_notify_arg);
	return r;
}
