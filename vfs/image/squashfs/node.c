/*
 * Inodes: decoded once, into attributes and what it takes to get at the contents.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfs/image/squashfs/sqfs.h"

#define SIZE_MAX_OFF ((uint64_t)INT64_MAX)

/* What inodes of any type begin with, as read. */
struct head {
	sqfs_inode_t h;
	struct sq_cursor c; /* behind it */
};

uint32_t
sq_ifmt(unsigned type)
{
	switch (type) {
	case SQFS_INODE_DIR:
	case SQFS_INODE_EXT_DIR:
		return S_IFDIR;
	case SQFS_INODE_FILE:
	case SQFS_INODE_EXT_FILE:
		return S_IFREG;
	case SQFS_INODE_SLINK:
	case SQFS_INODE_EXT_SLINK:
		return S_IFLNK;
	case SQFS_INODE_BDEV:
	case SQFS_INODE_EXT_BDEV:
		return S_IFBLK;
	case SQFS_INODE_CDEV:
	case SQFS_INODE_EXT_CDEV:
		return S_IFCHR;
	case SQFS_INODE_FIFO:
	case SQFS_INODE_EXT_FIFO:
		return S_IFIFO;
	case SQFS_INODE_SOCKET:
	case SQFS_INODE_EXT_SOCKET:
		return S_IFSOCK;
	default:
		return 0;
	}
}

/* Common to files of both kinds, all else set. */
static int
set_file(struct sq_mount *m, struct sq_node *n, const struct sq_cursor *c, uint64_t start)
{
	struct sq_file *f = &n->n_file;
	uint64_t size = n->n_va.va_size;

	if (size > SIZE_MAX_OFF || start > m->m_limit)
		return -EUCLEAN;
	f->f_nblocks = size / m->m_bsize;
	if (size % m->m_bsize != 0 && f->f_frag == SQ_NONE)
		f->f_nblocks++;
	f->f_first = (struct sq_chunk){c->c_pos, start, c->c_off};
	n->n_va.va_blocks_blk =
	    (n->n_va.va_blocks_blk + 511) / 512; /* bytes until here */
	return 0;
}

static int
read_file(struct sq_mount *m, struct sq_node *n, struct sq_cursor *c)
{
	sqfs_inode_file_t i;
	int r = sq_read(c, &i, sizeof(i));

	if (r < 0)
		return r;
	n->n_va.va_nlink = 1;
	n->n_va.va_size = n->n_va.va_blocks_blk = le32toh(i.file_size);
	n->n_file.f_frag = le32toh(i.fragment_index);
	n->n_file.f_frag_off = le32toh(i.fragment_offset);
	return set_file(m, n, c, le32toh(i.blocks_start));
}

static int
read_file_ext(struct sq_mount *m, struct sq_node *n, struct sq_cursor *c)
{
	sqfs_inode_file_ext_t i;
	uint64_t sparse;
	int r = sq_read(c, &i, sizeof(i));

	if (r < 0)
		return r;
	n->n_va.va_nlink = le32toh(i.nlink);
	n->n_va.va_size = le64toh(i.file_size);
	sparse = le64toh(i.sparse);
	n->n_va.va_blocks_blk = sparse < n->n_va.va_size ? n->n_va.va_size - sparse : 0;
	n->n_file.f_frag = le32toh(i.fragment_idx);
	n->n_file.f_frag_off = le32toh(i.fragment_offset);
	n->n_xattr = le32toh(i.xattr_idx);
	return set_file(m, n, c, le64toh(i.blocks_start));
}

static int
read_link(struct sq_node *n, struct sq_cursor *c, bool ext)
{
	sqfs_inode_slink_t i;
	uint32_t len, xattr;
	int r = sq_read(c, &i, sizeof(i));

	if (r < 0)
		return r;
	len = le32toh(i.target_size);
	if (len == 0 || len > 4095)
		return -EUCLEAN;
	n->n_va.va_nlink = le32toh(i.nlink);
	n->n_va.va_size = len;
	n->n_link.l_pos = c->c_pos;
	n->n_link.l_off = c->c_off;
	if (!ext)
		return 0;
	r = sq_read(c, NULL, len);
	if (r == 0)
		r = sq_read(c, &xattr, sizeof(xattr));
	if (r == 0)
		n->n_xattr = le32toh(xattr);
	return r;
}

/* size counts 3 for the dots. */
static int
set_dir(
    struct sq_mount *m, struct sq_node *n, uint32_t block, uint32_t off, uint32_t size)
{
	n->n_va.va_size = size;
	n->n_dir.d_pos = m->m_super.directory_table_start + block;
	n->n_dir.d_off = off;
	n->n_dir.d_len = size > 3 ? size - 3 : 0;
	return 0;
}

static int
read_dir(struct sq_mount *m, struct sq_node *n, struct sq_cursor *c)
{
	sqfs_inode_dir_t i;
	int r = sq_read(c, &i, sizeof(i));

	if (r < 0)
		return r;
	n->n_va.va_nlink = le32toh(i.nlink);
	n->n_dir.d_parent = le32toh(i.parent_inode);
	return set_dir(m, n, le32toh(i.start_block), le16toh(i.offset), le16toh(i.size));
}

/* The index of names behind it is for who has none of his own. */
static int
read_dir_ext(struct sq_mount *m, struct sq_node *n, struct sq_cursor *c)
{
	sqfs_inode_dir_ext_t i;
	int r = sq_read(c, &i, sizeof(i));

	if (r < 0)
		return r;
	n->n_va.va_nlink = le32toh(i.nlink);
	n->n_dir.d_parent = le32toh(i.parent_inode);
	n->n_xattr = le32toh(i.xattr_idx);
	return set_dir(m, n, le32toh(i.start_block), le16toh(i.offset), le32toh(i.size));
}

/* Link count, device number where there is one, attributes where it is an extended one. */
static int
read_special(struct sq_node *n, struct sq_cursor *c, bool device, bool ext)
{
	uint32_t i[3] = {0};
	unsigned at = 1;
	int r = sq_read(c, i, (1u + device + ext) * sizeof(uint32_t));

	if (r < 0)
		return r;
	n->n_va.va_nlink = le32toh(i[0]);
	if (device) {
		uint32_t d = le32toh(i[at++]);

		n->n_va.va_rdev =
		    makedev((d & 0xfff00) >> 8, (d & 0xff) | (d >> 12 & 0xfff00));
	}
	if (ext)
		n->n_xattr = le32toh(i[at]);
	return 0;
}

static int
read_body(struct sq_mount *m, struct sq_node *n, struct head *h)
{
	switch (h->h.type) {
	case SQFS_INODE_FILE:
		return read_file(m, n, &h->c);
	case SQFS_INODE_EXT_FILE:
		return read_file_ext(m, n, &h->c);
	case SQFS_INODE_DIR:
		return read_dir(m, n, &h->c);
	case SQFS_INODE_EXT_DIR:
		return read_dir_ext(m, n, &h->c);
	case SQFS_INODE_SLINK:
	case SQFS_INODE_EXT_SLINK:
		return read_link(n, &h->c, h->h.type == SQFS_INODE_EXT_SLINK);
	case SQFS_INODE_BDEV:
	case SQFS_INODE_CDEV:
		return read_special(n, &h->c, true, false);
	case SQFS_INODE_EXT_BDEV:
	case SQFS_INODE_EXT_CDEV:
		return read_special(n, &h->c, true, true);
	case SQFS_INODE_FIFO:
	case SQFS_INODE_SOCKET:
		return read_special(n, &h->c, false, false);
	default: /* the type has been checked */
		return read_special(n, &h->c, false, true);
	}
}

static int
read_head(struct sq_mount *m, uint64_t ref, struct head *h)
{
	int r;

	sq_cursor_init(
	    &h->c, m, m->m_super.inode_table_start + (ref >> 16), ref & 0xffff);
	if (ref >> 16 >= m->m_super.directory_table_start - m->m_super.inode_table_start)
		return -EUCLEAN;
	r = sq_read(&h->c, &h->h, sizeof(h->h));
	if (r < 0)
		return r;
	h->h.type = le16toh(h->h.type);
	return sq_ifmt(h->h.type) ? 0 : -EUCLEAN;
}

static int
fill(struct sq_mount *m, struct sq_node *n, struct head *h)
{
	struct vattr *va = &n->n_va;
	int r;

	va->va_ino = le32toh(h->h.inode_number);
	va->va_mode = sq_ifmt(h->h.type) | (le16toh(h->h.mode) & 07777);
	va->va_blksize = m->m_bsize;
	va->va_mtime.tv_sec = le32toh(h->h.mod_time);
	va->va_atime = va->va_ctime = va->va_btime = va->va_mtime;
	n->n_xattr = SQ_NONE;
	r = sq_table_get(m, &m->m_ids, le16toh(h->h.uid_idx), &va->va_uid);
	if (r == 0)
		r = sq_table_get(m, &m->m_ids, le16toh(h->h.gid_idx), &va->va_gid);
	if (r == 0)
		r = read_body(m, n, h);
	va->va_uid = le32toh(va->va_uid);
	va->va_gid = le32toh(va->va_gid);
	if (va->va_nlink == 0)
		va->va_nlink = 1;
	return r;
}

static int
node_new(struct sq_mount *m, struct vnode *dvp, uint64_t ref, struct sq_node **ret)
{
	struct sq_node *n = calloc(1, sizeof(*n));
	struct head h;
	int r;

	if (!n)
		return -ENOMEM;
	r = read_head(m, ref, &h);
	if (r == 0)
		r = fill(m, n, &h);
	if (r == 0)
		r = imgnode_init(
		    &n->n_in, &m->m_im, &sq_vops, vtype_of_mode(sq_ifmt(h.h.type)), ref);
	sq_cursor_done(&h.c);
	if (r < 0) {
		free(n);
		return r;
	}
	if (dvp && n->n_in.in_vn.v_type == VDIR)
		n->n_in.in_vn.v_parent = vn_ref(dvp);
	*ret = n;
	return 0;
}

int
sq_node_get(struct sq_mount *m, struct vnode *dvp, uint64_t ref, struct vnode **ret_vp)
{
	struct imgnode *in = inotab_find(&m->m_im, ref);
	struct sq_node *n;
	int r;

	if (!in) {
		r = node_new(m, dvp, ref, &n);
		if (r < 0)
			return r;
		in = inotab_enter(&m->m_im, &n->n_in);
	}
	/* The parent of any but the root never changes: nobody moves anything here. */
	if (dvp && in->in_vn.v_type == VDIR &&
	    (&in->in_vn == m->m_root || in->in_vn.v_parent != dvp)) {
		vn_unref(&in->in_vn);
		return -EUCLEAN;
	}
	*ret_vp = &in->in_vn;
	return 0;
}

void
sq_reclaim(struct vnode *vp)
{
	struct sq_node *n = sq_node_of(vp);

	if (vp->v_type == VDIR)
		sq_dir_forget(n);
	else if (vp->v_type == VREG)
		free(n->n_file.f_more);
	imgnode_done(&n->n_in); /* may free the mount */
	free(n);
}
