/*
 * rename: the whole of renameat2(2), under the mount's one mutex.
 *
 * The new name is there before the old one goes; between the two a file has a link too many,
 * which e2fsck counts again.
 */
#include <errno.h>
#include <stdio.h>

#include "vfs/image/ext/ext.h"

struct move {
	struct ext *mv_ext;
	struct ext_node *mv_fdir, *mv_tdir;
	const struct name *mv_fname, *mv_tname;
	struct ext_node *mv_f, *mv_t; /* with references; mv_t may be NULL */
	unsigned mv_flags;
	const struct cred *mv_cred;
};

static bool
is_dir(struct ext_node *en)
{
	return en && ext_vn(en)->v_type == VDIR;
}

/* Is a above b, or b itself?  No directory moves under the mutex. */
static bool
is_above(struct ext_node *a, struct ext_node *b)
{
	for (; b; b = ext_node_above(b))
		if (b == a)
			return true;
	return false;
}

/* Is anything attached at or below it?  Under the mutex: the wrapper's answer is from before
 * (imgnode_move). */
static bool
is_busy(struct ext_node *en)
{
	return en && atomic_load(&ext_vn(en)->v_nattach) > 0;
}

static int
get_both(struct move *mv)
{
	struct ext *e = mv->mv_ext;
	struct ext_ent x;
	int r = ext_dir_find(e, mv->mv_fdir, mv->mv_fname, &x, NULL);

	if (r == 0)
		r = ext_node_get(e, x.ent_ino, ext_vn(mv->mv_fdir), &mv->mv_f);
	if (r < 0)
		return r;
	r = ext_dir_find(e, mv->mv_tdir, mv->mv_tname, &x, NULL);
	if (r == 0)
		r = ext_node_get(e, x.ent_ino, ext_vn(mv->mv_tdir), &mv->mv_t);
	return r == -ENOENT ? 0 : r;
}

static int
check_flags(struct move *mv)
{
	int r = ext_may_take(mv->mv_fdir, mv->mv_f);

	if (r == 0)
		r = mv->mv_t ? ext_may_take(mv->mv_tdir, mv->mv_t)
		             : ext_may_add(mv->mv_tdir);
	return r;
}

static int
check(struct move *mv)
{
	bool exchange = mv->mv_flags & RENAME_EXCHANGE;
	struct ext_node *f = mv->mv_f, *t = mv->mv_t;

	if (t && (mv->mv_flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!t && exchange)
		return -ENOENT;
	if (is_dir(f) && is_above(f, mv->mv_tdir))
		return -EINVAL;
	if (is_dir(t) && is_above(t, mv->mv_fdir))
		return exchange ? -EINVAL : -ENOTEMPTY;
	if (mv->mv_tdir->en_i.i_links_count == 0)
		return -ENOENT;
	if (t && t != f && !exchange) {
		if (is_dir(f) && !is_dir(t))
			return -ENOTDIR;
		if (!is_dir(f) && is_dir(t))
			return -EISDIR;
	}
	if (t != f && (is_busy(f) || (exchange && is_busy(t))))
		return -EBUSY;
	return 0;
}

/* More than the entries: what a change of place needs. */
static int
check_room(struct move *mv)
{
	struct ext *e = mv->mv_ext;
	struct ext_node *f = mv->mv_f, *t = mv->mv_t;
	bool exchange = mv->mv_flags & RENAME_EXCHANGE;
	int r = 0;

	if (mv->mv_fdir != mv->mv_tdir && is_dir(f) && !is_dir(t))
		r = ext_may_link(e, mv->mv_tdir);
	if (r == 0 && exchange && mv->mv_fdir != mv->mv_tdir && is_dir(t) && !is_dir(f))
		r = ext_may_link(e, mv->mv_fdir);
	if (r == 0 && is_dir(t) && !exchange) {
		r = ext_dir_load(e, t);
		if (r == 0 && (!ext_dir_empty(e, t) || is_busy(t)))
			r = -ENOTEMPTY;
	}
	/* A block that an entry needs is asked for with it, and that comes first. */
	return r < 0 ? r : ext_will_change(e);
}

/* A directory whose entries have changed: what it is in, and its entry for that.  It is found
 * in dir from now on, whatever fails yet. */
static int
reparent(struct move *mv, struct ext_node *en, struct ext_node *dir)
{
	if (!is_dir(en) || ext_node_above(en) == dir)
		return 0;
	imgnode_move(ext_vn(en), ext_vn(dir));
	return ext_dir_set_dotdot(mv->mv_ext, en, ext_ino(dir));
}

/* Times and counts of both directories and of what has moved. */
static int
finish(struct move *mv)
{
	struct ext *e = mv->mv_ext;
	int r;

	ext_touch(e, mv->mv_f, EXT_CTIME);
	ext_touch(e, mv->mv_fdir, EXT_MTIME | EXT_CTIME);
	ext_touch(e, mv->mv_tdir, EXT_MTIME | EXT_CTIME);
	r = ext_node_write(e, mv->mv_f);
	if (r == 0)
		r = ext_node_write(e, mv->mv_fdir);
	if (r == 0 && mv->mv_tdir != mv->mv_fdir)
		r = ext_node_write(e, mv->mv_tdir);
	return r;
}

static int
exchange(struct move *mv)
{
	struct ext *e = mv->mv_ext;
	struct ext_node *f = mv->mv_f, *t = mv->mv_t;
	int e1, r;

	r = ext_dir_set(
	    e, mv->mv_tdir, mv->mv_tname, ext_ino(f), (enum vtype)ext_vn(f)->v_type);

	if (r == 0)
		r = ext_dir_set(e, mv->mv_fdir, mv->mv_fname, ext_ino(t),
		    (enum vtype)ext_vn(t)->v_type);
	if (r < 0)
		return r;
	if (is_dir(f) && !is_dir(t)) {
		ext_link_add(e, mv->mv_fdir, -1);
		ext_link_add(e, mv->mv_tdir, 1);
	} else if (is_dir(t) && !is_dir(f)) {
		ext_link_add(e, mv->mv_tdir, -1);
		ext_link_add(e, mv->mv_fdir, 1);
	}
	r = reparent(mv, f, mv->mv_tdir);
	e1 = reparent(mv, t, mv->mv_fdir);
	if (r == 0)
		r = e1;
	ext_touch(e, t, EXT_CTIME);
	if (r == 0)
		r = ext_node_write(e, t);
	return r < 0 ? r : finish(mv);
}

/* What RENAME_WHITEOUT leaves behind: a 0:0 character device. */
static int
make_whiteout(struct move *mv, struct ext_node **ret)
{
	static const struct vmake mk = {.vm_type = VCHR};
	struct ext_node *en;
	int r;

	*ret = NULL;
	if (!(mv->mv_flags & RENAME_WHITEOUT))
		return 0;
	r = ext_node_new(mv->mv_ext, mv->mv_fdir, &mk, mv->mv_cred, &en);
	if (r < 0)
		return r;
	en->en_i.i_links_count = 1;
	r = ext_node_write(mv->mv_ext, en);
	if (r < 0)
		vn_unref(ext_vn(en));
	else
		*ret = en;
	return r;
}

/* The old name's end. */
static int
leave(struct move *mv, struct ext_node *white)
{
	struct ext *e = mv->mv_ext;
	int r;

	if (!white)
		return ext_dir_del(e, mv->mv_fdir, mv->mv_fname);
	r = ext_dir_set(e, mv->mv_fdir, mv->mv_fname, ext_ino(white), VCHR);
	if (r == 0)
		ext_node_adopt(e, white);
	return r;
}

static int
move(struct move *mv, struct ext_node *white)
{
	struct ext *e = mv->mv_ext;
	struct ext_node *f = mv->mv_f, *t = mv->mv_t;
	enum vtype type = (enum vtype)ext_vn(f)->v_type;
	int e1, r;

	if (t)
		r = ext_dir_set(e, mv->mv_tdir, mv->mv_tname, ext_ino(f), type);
	else
		r = ext_dir_add(e, mv->mv_tdir, mv->mv_tname, ext_ino(f), type);
	if (r < 0)
		return r;
	r = leave(mv, white);
	if (r < 0)
		return r;
	r = reparent(mv, f, mv->mv_tdir);
	if (t) {
		if (is_dir(t))
			ext_link_add(e, mv->mv_tdir, -1);
		e1 = ext_drop_link(e, t);
		if (r == 0)
			r = e1;
	}
	if (is_dir(f)) {
		ext_link_add(e, mv->mv_fdir, -1);
		ext_link_add(e, mv->mv_tdir, 1);
	}
	return r < 0 ? r : finish(mv);
}

static int
rename_both(struct move *mv)
{
	struct ext_node *white;
	int r = get_both(mv);

	if (r == 0)
		r = check(mv);
	/* Two names of one file: nothing happens, and it is no error. */
	if (r < 0 || mv->mv_f == mv->mv_t)
		return r;
	r = check_flags(mv);
	if (r == 0)
		r = check_room(mv);
	if (r < 0)
		return r;
	if (mv->mv_flags & RENAME_EXCHANGE)
		return exchange(mv);
	r = make_whiteout(mv, &white);
	if (r < 0)
		return r;
	r = move(mv, white);
	if (white) {
		if (white->en_orphan)
			white->en_i.i_links_count = 0;
		vn_unref(ext_vn(white));
	}
	return r;
}

int
ext_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr)
{
	struct move mv = {
	    .mv_ext = ext_of(fdvp),
	    .mv_fdir = ext_node_of(fdvp),
	    .mv_tdir = ext_node_of(tdvp),
	    .mv_fname = fname,
	    .mv_tname = tname,
	    .mv_flags = flags,
	    .mv_cred = cr,
	};
	int r;

	pthread_mutex_lock(&mv.mv_ext->e_mtx);
	r = rename_both(&mv);
	if (mv.mv_f)
		vn_unref(ext_vn(mv.mv_f));
	if (mv.mv_t)
		vn_unref(ext_vn(mv.mv_t));
	pthread_mutex_unlock(&mv.mv_ext->e_mtx);
	return r;
}
