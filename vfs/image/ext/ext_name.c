/*
 * Names: found, made, linked, removed.
 *
 * Order, for a process that is killed: what a name leads to is written before the name is,
 * and a name is gone before what it led to.  What fails half-way is taken back: a new inode
 * is an orphan until it has its name, and dropping it frees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/image/ext/ext.h"

int
ext_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct ext *e = ext_of(dvp);
	struct ext_node *en;
	struct ext_ent x;
	int r;

	AUTO_EXT(e);
	r = ext_dir_find(e, ext_node_of(dvp), n, &x, NULL);
	if (r == 0)
		r = ext_node_get(e, x.ent_ino, dvp, &en);
	if (r == 0)
		*ret_vp = ext_vn(en);
	return r;
}

/* May this directory take one more name? */
static int
may_make(struct ext *e, struct ext_node *dir, const struct name *n)
{
	struct ext_ent x;
	int r;

	if (dir->en_i.i_links_count == 0)
		return -ENOENT;
	r = ext_dir_find(e, dir, n, &x, NULL);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	r = ext_may_add(dir);
	return r < 0 ? r : ext_will_change(e);
}

static int
write_target(void *arg, uint64_t pblk, uint64_t n)
{
	(void)arg;
	(void)pblk;
	(void)n;
	return 0;
}

static bool
is_short(const char *target)
{
	return strlen(target) < sizeof(((struct ext2_inode *)NULL)->i_block);
}

/* Short targets are in the inode, in the place of block numbers. */
static int
set_target(struct ext *e, struct ext_node *en, const char *target)
{
	size_t len = strlen(target);
	uint64_t pblk, n;
	int r;

	if (is_short(target)) {
		memcpy(en->en_i.i_block, target, len);
		en->en_i.i_size = (uint32_t)len;
		return ext_node_write(e, en);
	}
	if (len >= e->e_bs)
		return -ENAMETOOLONG;
	if (ext2fs_has_feature_extents(e->e_fs->super))
		en->en_i.i_flags |= EXT4_EXTENTS_FL;
	r = ext_alloc(e, en, 0, 1, RUN_DATA, write_target, NULL, &pblk, &n);
	if (r < 0)
		return r;
	memset(e->e_dbuf, 0, e->e_bs);
	memcpy(e->e_dbuf, target, len);
	r = ext_err(io_channel_write_blk64(e->e_fs->io, pblk, 1, e->e_dbuf));
	en->en_i.i_size = (uint32_t)len;
	return r < 0 ? r : ext_node_write(e, en);
}

/* An inode with all that it begins with, and without a name. */
static int
make_node(struct ext *e, struct ext_node *dir, const struct vmake *mk,
    const struct cred *cr, struct ext_node **ret)
{
	struct vmake m = *mk;
	struct ext_node *en;
	struct ext_acls acls;
	bool block =
	    mk->vm_type == VDIR || (mk->vm_type == VLNK && !is_short(mk->vm_target));
	int r = block ? ext_have_room(e, 1, ext_may_reserve(e, cr)) : 0;

	if (r == 0)
		r = ext_acl_inherit(e, dir, mk, &m.vm_mode, &acls);
	if (r < 0)
		return r;
	r = ext_node_new(e, dir, &m, cr, &en);
	if (r == 0) {
		if (mk->vm_type == VDIR) {
			ext_vn(en)->v_parent = vn_ref(ext_vn(dir));
			r = ext_dir_init(e, en, ext_ino(dir));
		} else if (mk->vm_type == VLNK) {
			r = set_target(e, en, mk->vm_target);
		}
		if (r == 0)
			r = ext_acl_give(e, en, &acls);
		if (r < 0)
			vn_unref(ext_vn(en));
	}
	ext_acls_free(&acls);
	if (r == 0)
		*ret = en;
	return r;
}

/* It gets its first name. */
static int
name_node(struct ext *e, struct ext_node *dir, const struct name *n, struct ext_node *en)
{
	bool isdir = ext_vn(en)->v_type == VDIR;
	int r, e1;

	en->en_i.i_links_count = isdir ? 2 : 1;
	r = ext_node_write(e, en);
	if (r == 0)
		r = ext_dir_add(e, dir, n, ext_ino(en), ext_vn(en)->v_type);
	if (r < 0) {
		en->en_i.i_links_count = 0;
		(void)ext_node_write(e, en);
		return r;
	}
	ext_node_adopt(e, en);
	if (isdir)
		ext_link_add(e, dir, 1);
	ext_touch(e, dir, EXT_MTIME | EXT_CTIME);
	e1 = ext_node_write(e, dir);
	return e1;
}

int
ext_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp)
{
	struct ext_node *dir = ext_node_of(dvp), *en;
	struct ext *e = ext_of(dvp);
	int r;

	AUTO_EXT(e);
	r = may_make(e, dir, n);
	if (r == 0 && mk->vm_type == VDIR)
		r = ext_may_link(e, dir);
	if (r == 0)
		r = make_node(e, dir, mk, cr, &en);
	if (r < 0)
		return r;
	r = name_node(e, dir, n, en);
	if (r < 0)
		vn_unref(ext_vn(en));
	else
		*ret_vp = ext_vn(en);
	return r;
}

int
ext_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags, const struct cred *cr,
    struct file *f, struct vnode **ret_vp)
{
	struct ext_node *dir = ext_node_of(dvp), *en;
	struct ext *e = ext_of(dvp);
	int r;

	AUTO_EXT(e);
	r = dir->en_i.i_links_count == 0 ? -ENOENT : ext_may_add(dir);
	if (r == 0)
		r = ext_will_change(e);
	if (r == 0)
		r = make_node(e, dir, mk, cr, &en);
	if (r < 0)
		return r;
	en->en_linkable = !(flags & O_EXCL);
	f->f_priv = ext_may_reserve(e, cr) ? e : NULL;
	atomic_fetch_add(&en->en_nopen, 1);
	*ret_vp = ext_vn(en);
	return 0;
}

int
ext_link(struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct ext_node *dir = ext_node_of(dvp), *en = ext_node_of(vp);
	struct ext *e = ext_of(dvp);
	bool first;
	int r;

	(void)cr;
	AUTO_EXT(e);
	/* Under the mutex: its last name may have gone since it was looked up. */
	first = en->en_orphan;
	if (first && !en->en_linkable)
		return -ENOENT;
	r = may_make(e, dir, n);
	if (r == 0)
		r = ext_may_change(en);
	if (r == 0)
		r = ext_may_link(e, en);
	if (r < 0)
		return r;
	if (first) {
		ext_touch(e, en, EXT_CTIME);
		r = name_node(e, dir, n, en);
		en->en_linkable = r < 0;
		return r;
	}
	/* More links than names is what can be put right; fewer is not. */
	ext_link_add(e, en, 1);
	ext_touch(e, en, EXT_CTIME);
	r = ext_node_write(e, en);
	if (r == 0)
		r = ext_dir_add(e, dir, n, ext_ino(en), vp->v_type);
	if (r < 0) {
		ext_link_add(e, en, -1);
		(void)ext_node_write(e, en);
		return r;
	}
	ext_touch(e, dir, EXT_MTIME | EXT_CTIME);
	return ext_node_write(e, dir);
}

int
ext_drop_link(struct ext *e, struct ext_node *en)
{
	if (ext_vn(en)->v_type == VDIR)
		en->en_i.i_links_count = 0;
	else
		ext_link_add(e, en, -1);
	if (en->en_i.i_links_count == 0)
		ext_node_orphan(e, en);
	ext_touch(e, en, EXT_CTIME);
	return ext_node_write(e, en);
}

/* What a name leads to, with a reference, if it may be taken away. */
static int
get_victim(struct ext *e, struct vnode *dvp, const struct name *n, struct ext_node **ret)
{
	struct ext_node *dir = ext_node_of(dvp), *en;
	struct ext_ent x;
	int r = ext_dir_find(e, dir, n, &x, NULL);

	if (r == 0)
		r = ext_node_get(e, x.ent_ino, dvp, &en);
	if (r < 0)
		return r;
	r = ext_may_take(dir, en);
	if (r == 0)
		r = ext_will_change(e);
	if (r < 0)
		vn_unref(ext_vn(en));
	else
		*ret = en;
	return r;
}

int
ext_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct ext_node *dir = ext_node_of(dvp), *en;
	struct ext *e = ext_of(dvp);
	int r;

	(void)cr;
	AUTO_EXT(e);
	r = get_victim(e, dvp, n, &en);
	if (r < 0)
		return r;
	if (ext_vn(en)->v_type == VDIR)
		r = -EISDIR;
	if (r == 0)
		r = ext_dir_del(e, dir, n);
	if (r == 0) {
		r = ext_drop_link(e, en);
		ext_touch(e, dir, EXT_MTIME | EXT_CTIME);
		if (r == 0)
			r = ext_node_write(e, dir);
	}
	vn_unref(ext_vn(en));
	return r;
}

int
ext_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct ext_node *dir = ext_node_of(dvp), *en;
	struct ext *e = ext_of(dvp);
	int r;

	(void)cr;
	AUTO_EXT(e);
	r = get_victim(e, dvp, n, &en);
	if (r < 0)
		return r;
	if (ext_vn(en)->v_type != VDIR)
		r = -ENOTDIR;
	/* What cannot be read is not known to be empty. */
	if (r == 0)
		r = ext_dir_load(e, en);
	if (r == 0 && (!ext_dir_empty(e, en) || atomic_load(&ext_vn(en)->v_nattach) > 0))
		r = -ENOTEMPTY;
	if (r == 0)
		r = ext_dir_del(e, dir, n);
	if (r == 0) {
		r = ext_drop_link(e, en);
		ext_link_add(e, dir, -1);
		ext_touch(e, dir, EXT_MTIME | EXT_CTIME);
		if (r == 0)
			r = ext_node_write(e, dir);
	}
	vn_unref(ext_vn(en));
	return r;
}

static int
read_target(struct ext *e, struct ext_node *en, char *buf, size_t cap, size_t *ret_len)
{
	size_t len = (size_t)ext_size(en), got = 0;
	struct ext_run run;
	int r;

	if (len == 0 || len >= e->e_bs || len > PATH_MAX || len > cap)
		return -EUCLEAN;
	if (ext_is_inline(en)) {
		if (ext2fs_inline_data_size(e->e_fs, ext_ino(en), &got) || got < len ||
		    got > e->e_bs)
			return -EUCLEAN;
		r = ext_err(ext2fs_inline_data_get(
		    e->e_fs, ext_ino(en), ext_i(en), e->e_dbuf, &got));
		memcpy(buf, e->e_dbuf, len);
	} else if (ext2fs_is_fast_symlink(ext_i(en)) && !ext_has_extents(en)) {
		memcpy(buf, en->en_i.i_block, len);
		r = 0;
	} else {
		r = ext_map_find_locked(e, en, 0, &run);
		if (r == 0 && run.r_kind != RUN_DATA)
			r = -EUCLEAN;
		if (r == 0)
			r = ext_read_block(e, run.r_pblk, e->e_dbuf);
		if (r == 0)
			memcpy(buf, e->e_dbuf, len);
	}
	/* A target that ends early is damaged. */
	if (r == 0 && memchr(buf, 0, len))
		r = -EUCLEAN;
	if (r == 0)
		*ret_len = len;
	return r;
}

int
ext_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	struct ext *e = ext_of(vp);

	ext_touch_atime(e, ext_node_of(vp));
	AUTO_EXT(e);
	return read_target(e, ext_node_of(vp), buf, cap, ret_len);
}
