/*
 * The operations of an archive (archive_private.h).  All that they look at is constant; what
 * is read goes to the device or to a cache with a lock of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/image/archive/archive_private.h"

static struct anode *
an_of(struct vnode *vp)
{
	return &ar_of(vp)->ar_tree.t_nodes[imgnode_of(vp)->in_ino - 1];
}

static const struct aextra *
extra_of(const struct ar *ar, const struct anode *an)
{
	return an->an_extra ? &ar->ar_tree.t_extras[an->an_extra - 1] : NULL;
}

int
ar_vnode(struct ar *ar, uint32_t node, struct vnode *dvp, struct vnode **ret_vp)
{
	uint64_t ino = (uint64_t)node + 1;
	enum vtype type = vtype_of_mode(ar->ar_tree.t_nodes[node].an_mode);
	struct imgnode *in = inotab_find(&ar->ar_im, ino);
	int r;

	if (!in) {
		in = calloc(1, sizeof(*in));
		if (!in)
			return -ENOMEM;
		r = imgnode_init(in, &ar->ar_im, &ar_vops, type, ino);
		if (r < 0) {
			free(in);
			return r;
		}
		if (type == VDIR && dvp)
			in->in_vn.v_parent = vn_ref(dvp);
		in = inotab_enter(&ar->ar_im, in);
	}
	*ret_vp = &in->in_vn;
	return 0;
}

static int
ar_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct ar *ar = ar_of(dvp);
	uint32_t e = tree_find(
	    &ar->ar_tree, (uint32_t)(imgnode_of(dvp)->in_ino - 1), n->n_ptr, n->n_len);

	if (e == UINT32_MAX)
		return -ENOENT;
	return ar_vnode(ar, ar->ar_tree.t_ents[e].ad_node, dvp, ret_vp);
}

static uint64_t
stored(const struct ar *ar, const struct anode *an)
{
	const struct aextra *ax = extra_of(ar, an);

	if (!an_is(an, S_IFREG))
		return 0;
	return ax ? ax->ax_stored : an->an_size;
}

static int
ar_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	const struct ar *ar = ar_of(vp);
	const struct anode *an = an_of(vp);
	const struct aextra *ax = extra_of(ar, an);

	memset(ret, 0, sizeof(*ret));
	ret->va_ino = imgnode_of(vp)->in_ino;
	ret->va_mode = an->an_mode;
	ret->va_nlink = an->an_nlink;
	ret->va_uid = an->an_uid;
	ret->va_gid = an->an_gid;
	ret->va_blksize = 4096;
	ret->va_size = an_is(an, S_IFDIR) ? 4096 : an->an_size;
	ret->va_blocks_blk = stored(ar, an) / 512 + (stored(ar, an) % 512 != 0);
	if (vp->v_type == VCHR || vp->v_type == VBLK)
		ret->va_rdev = an->an_data;
	ret->va_mtime.tv_sec = an->an_mtime;
	ret->va_mtime.tv_nsec = an->an_mtime_ns;
	ret->va_atime = ax ? ax->ax_atime : ret->va_mtime;
	ret->va_ctime = ax ? ax->ax_ctime : ret->va_mtime;
	ret->va_btime = ax ? ax->ax_btime : ret->va_mtime;
	return 0;
}

static int
ar_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	const struct anode *an = an_of(vp);

	memcpy(buf, ar_of(vp)->ar_tree.t_text + an->an_first + 1, an->an_size);
	*ret_len = an->an_size;
	return 0;
}

static int
ar_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f)
{
	switch (an_of(vp)->an_kind) {
	case DK_SECRET:
		return -EACCES;
	case DK_LOST:
		return -EIO;
	default:
		return 0;
	}
}

/* Data. */

/* The data or hole that off is in: bytes from off to its end; *ret_pos is where they are from
 * an_data on, or UINT64_MAX for a hole.  off is within the file. */
static uint64_t
extent(const struct ar *ar, const struct anode *an, uint64_t off, uint64_t *ret_pos)
{
	const struct aextra *ax = extra_of(ar, an);
	const struct asparse *as;
	uint32_t lo = 0, hi;

	*ret_pos = an->an_kind == DK_NONE ? UINT64_MAX : off;
	if (!ax || ax->ax_nsparse == 0)
		return an->an_size - off;
	/* The first that ends after off. */
	as = &ar->ar_tree.t_sparse[ax->ax_sparse];
	for (hi = ax->ax_nsparse; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (as[mid].as_off + as[mid].as_len <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_pos = UINT64_MAX;
	if (lo == ax->ax_nsparse)
		return an->an_size - off;
	if (off < as[lo].as_off)
		return as[lo].as_off - off;
	*ret_pos = as[lo].as_pos + (off - as[lo].as_off);
	return as[lo].as_off + as[lo].as_len - off;
}

static int
read_at(struct ar *ar, const struct anode *an, void *buf, size_t len, uint64_t pos)
{
	ssize_t n;
	uint64_t at;

	if (__builtin_add_overflow(an->an_data, pos, &at))
		return -EIO;
	if (an->an_kind != DK_FED)
		return stream_read(&ar->ar_st, buf, len, at);
	n = seq_read(ar->ar_fed, buf, len, at);
	return n < 0 ? (int)n : (size_t)n < len ? -EIO : 0;
}

static int
ar_read(struct vnode *vp, struct file *f, struct uio *u)
{
	struct ar *ar = ar_of(vp);
	const struct anode *an = an_of(vp);
	size_t want, done = 0;
	uint64_t pos, n;

	if (an->an_kind >= DK_SECRET)
		return an->an_kind == DK_SECRET ? -EACCES : -EIO;
	if (u->uio_off >= an->an_size)
		return 0;
	want = u->uio_len < an->an_size - u->uio_off ? u->uio_len
	                                             : (size_t)(an->an_size - u->uio_off);
	n = extent(ar, an, u->uio_off, &pos);
	if (n >= want && pos != UINT64_MAX && an->an_kind == DK_DIRECT &&
	    !ar->ar_st.st_seq)
		return device_lend(ar->ar_st.st_dev, an->an_data + pos, want, u);
	while (done < want) {
		size_t len;
		int r = 0;

		n = extent(ar, an, u->uio_off + done, &pos);
		len = n < want - done ? (size_t)n : want - done;
		if (pos == UINT64_MAX)
			memset((char *)u->uio_buf + done, 0, len);
		else
			r = read_at(ar, an, (char *)u->uio_buf + done, len, pos);
		if (r < 0)
			return r;
		done += len;
	}
	u->uio_done = done;
	return 0;
}

static int
ar_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	const struct ar *ar = ar_of(vp);
	const struct anode *an = an_of(vp);
	uint64_t pos;

	while (off < an->an_size) {
		uint64_t n = extent(ar, an, off, &pos);

		if ((pos == UINT64_MAX) == (whence == SEEK_HOLE)) {
			*ret_off = off;
			return 0;
		}
		off += n;
	}
	if (whence == SEEK_DATA || off > an->an_size)
		return -ENXIO;
	*ret_off = an->an_size;
	return 0;
}

/* Cookies: 1 and 2 for the dots, then the entry's index + 3. */
static int
ar_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct ar *ar = ar_of(dvp);
	const struct tree *t = &ar->ar_tree;
	const struct anode *an = an_of(dvp);
	uint32_t dir = (uint32_t)(imgnode_of(dvp)->in_ino - 1), e;
	uint64_t base = merged ? DIR_COOKIE_BASE : 0;
	uint64_t at = db->db_cookie > base ? db->db_cookie - base : 0;

	for (; at < 2; at++)
		if (!dirbuf_add(db, at == 0 ? (uint64_t)dir + 1 : an->an_data + 1,
			base + at + 1, DT_DIR, "..", at + 1, NULL))
			return 0;
	if (at == 2)
		e = an->an_first;
	else if (at - 3 < t->t_nents && t->t_ents[at - 3].ad_dir == dir)
		e = t->t_ents[at - 3].ad_next;
	else
		return -EINVAL;
	while (e) {
		const struct adirent *ad = &t->t_ents[e - 1];
		const char *name = t->t_text + ad->ad_name;
		struct vnode *vp = NULL;

		if (db->db_want_vnodes && ar_vnode(ar, ad->ad_node, dvp, &vp) < 0)
			vp = NULL; /* it will be looked up */
		if (!dirbuf_add(db, (uint64_t)ad->ad_node + 1, base + e + 2,
			vtype_to_dt(vtype_of_mode(t->t_nodes[ad->ad_node].an_mode)),
			name + 1, (uint8_t)name[0], vp)) {
			if (vp)
				vn_unref(vp);
			return 0;
		}
		e = ad->ad_next;
	}
	return 0;
}

static int
ar_getxattr(struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	const struct ar *ar = ar_of(vp);
	const struct aextra *ax = extra_of(ar, an_of(vp));

	return ax ? xattr_get(&ar->ar_tree, ax, name, buf, size, ret_len) : -ENODATA;
}

static int
ar_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	const struct ar *ar = ar_of(vp);
	const struct aextra *ax = extra_of(ar, an_of(vp));

	if (ax)
		return xattr_list(&ar->ar_tree, ax, buf, size, ret_len);
	*ret_len = 0;
	return 0;
}

static int
ar_statfs(struct vnode *vp, struct statvfs *ret)
{
	const struct ar *ar = ar_of(vp);

	memset(ret, 0, sizeof(*ret));
	ret->f_bsize = ret->f_frsize = 512;
	ret->f_blocks = (device_size(ar->ar_im.im_dev) + 511) / 512;
	ret->f_files = ar->ar_tree.t_nnodes;
	ret->f_namemax = NAME_LEN_MAX;
	return 0;
}

const struct vops ar_vops = {
    .vo_name = "archive",
    .lookup = ar_lookup,
    .getattr = ar_getattr,
    .readlink = ar_readlink,
    .open = ar_open,
    .read = ar_read,
    .seek = ar_seek,
    .readdir = ar_readdir,
    .getxattr = ar_getxattr,
    .listxattr = ar_listxattr,
    .statfs = ar_statfs,
    .last_unref = imgnode_last_unref,
    .reclaim = imgnode_reclaim,
};
