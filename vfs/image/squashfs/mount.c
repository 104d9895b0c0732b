/*
 * squashfs as a file system type: the superblock, options, and the table of operations.
 *
 * Options: cache=MIB, how much of decompressed contents is kept (64).
 */
#include <stdio.h>
#include <sys/stat.h>

#include "vfs/image/squashfs/sqfs.h"

#define CACHE_MIB   64u
#define CACHE_MAX   65536u /* MiB */
#define META_BLOCKS 1024u  /* 8 MiB of metadata */
#define BLOCKS_MIN  8u

static int
sq_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	*ret = sq_node_of(vp)->n_va;
	return 0;
}

static int
sq_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	struct sq_node *n = sq_node_of(vp);
	struct sq_cursor c;
	int r;

	if (n->n_va.va_size > cap)
		return -ENAMETOOLONG;
	sq_cursor_init(&c, sq_mount_of(vp), n->n_link.l_pos, n->n_link.l_off);
	r = sq_read(&c, buf, n->n_va.va_size);
	sq_cursor_done(&c);
	if (r == 0 && memchr(buf, '\0', n->n_va.va_size))
		r = -EUCLEAN;
	if (r == 0)
		*ret_len = n->n_va.va_size;
	return r;
}

static int
sq_statfs(struct vnode *vp, struct statvfs *ret)
{
	struct sq_mount *m = sq_mount_of(vp);

	memset(ret, 0, sizeof(*ret));
	ret->f_bsize = ret->f_frsize = m->m_bsize;
	ret->f_blocks = (m->m_super.bytes_used + m->m_bsize - 1) / m->m_bsize;
	ret->f_files = m->m_super.inode_count;
	ret->f_namemax = NAME_LEN_MAX;
	return 0;
}

/* Mounting. */

struct devfile {
	sqfs_file_t file;
	struct device *dev;
	int error;
};

static int
devfile_read_at(sqfs_file_t *file, sqfs_u64 off, void *buf, size_t len)
{
	struct devfile *d = (struct devfile *)file;

	d->error = device_read(d->dev, buf, len, off);
	return d->error < 0 ? SQFS_ERROR_IO : 0;
}

static sqfs_u64
devfile_size(const sqfs_file_t *file)
{
	return device_size(((const struct devfile *)file)->dev);
}

/* The superblock, as far as it can be told to be right by itself. */
static int
read_super(struct sq_mount *m, struct fsmount *fm)
{
	struct devfile d = {
	    .file = {.read_at = devfile_read_at, .get_size = devfile_size},
	    .dev = fm->fm_dev};
	sqfs_super_t *s = &m->m_super;
	int r = SQFS_ERROR_SUPER_BLOCK_SIZE;

	if (device_size(fm->fm_dev) >= sizeof(*s))
		r = sqfs_super_read(s, &d.file);
	if (d.error < 0)
		return d.error;
	if (r != 0) {
		snprintf(fm->fm_why, sizeof(fm->fm_why),
		    "the superblock is not one of squashfs 4.0");
		return r == SQFS_ERROR_UNSUPPORTED ? -EOPNOTSUPP : -EUCLEAN;
	}
	m->m_bsize = s->block_size;
	m->m_limit = s->bytes_used;
	if (m->m_bsize < SQFS_MIN_BLOCK_SIZE || m->m_bsize > SQFS_MAX_BLOCK_SIZE ||
	    (m->m_bsize & (m->m_bsize - 1)) != 0 || s->bytes_used < sizeof(*s) ||
	    s->inode_table_start >= s->directory_table_start ||
	    s->directory_table_start > s->bytes_used) {
		snprintf(
		    fm->fm_why, sizeof(fm->fm_why), "the superblock contradicts itself");
		return -EUCLEAN;
	}
	if (m->m_limit > device_size(fm->fm_dev)) {
		m->m_limit = device_size(fm->fm_dev);
		snprintf(fm->fm_why, sizeof(fm->fm_why),
		    "the image is cut short: it has %llu of %llu bytes",
		    (unsigned long long)m->m_limit, (unsigned long long)s->bytes_used);
	}
	return 0;
}

/* What is not there for all files is missed by those that need it. */
static void
load_lesser(struct sq_mount *m, struct fsmount *fm)
{
	const sqfs_super_t *s = &m->m_super;
	int r = 0;

	if (s->fragment_table_start != SQ_NOWHERE)
		r = sq_table_load(m, &m->m_frags, s->fragment_table_start,
		    s->fragment_entry_count, sizeof(sqfs_fragment_t));
	if (r < 0)
		snprintf(fm->fm_why, sizeof(fm->fm_why),
		    "the table of fragments cannot be read: tails of files are missing");
	r = sq_xattr_load(m);
	if (r < 0)
		snprintf(fm->fm_why, sizeof(fm->fm_why),
		    "the table of extended attributes cannot be read");
}

static int
parse(struct fsmount *fm, unsigned *ret_mib)
{
	char *copy = strdup(fm->fm_options), *rest = copy, *name, *value, *end;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && fs_option(&rest, &name, &value)) {
		unsigned long v = 0;

		if (strcmp(name, "cache") == 0 && value && *value >= '0' && *value <= '9')
			v = strtoul(value, &end, 10);
		if (v == 0 || v > CACHE_MAX || *end) {
			snprintf(fm->fm_why, sizeof(fm->fm_why),
			    "option \"%s\": expected cache=MIB, 1 to %u", name,
			    CACHE_MAX);
			r = -EINVAL;
		}
		*ret_mib = (unsigned)v;
	}
	free(copy);
	return r;
}

static void
sq_free(struct mount *mp)
{
	struct sq_mount *m = (struct sq_mount *)mp;

	sq_workers_done(m);
	sq_cache_done(&m->m_meta);
	sq_cache_done(&m->m_data);
	free(m->m_ids.t_blocks);
	free(m->m_frags.t_blocks);
	free(m->m_xattrs.t_blocks);
	for (unsigned i = 0; i < SQ_BUILDS; i++)
		pthread_mutex_destroy(&m->m_build[i]);
	pthread_mutex_destroy(&m->m_dirs_mtx);
	imgmount_done(&m->m_im);
	free(m);
}

/* All that can fail, with the mount in a state in which it can be freed. */
static int
set_up(struct sq_mount *m, struct fsmount *fm, unsigned mib, struct vnode **ret_root)
{
	const sqfs_super_t *s = &m->m_super;
	uint32_t blocks = (uint32_t)(((uint64_t)mib << 20) / m->m_bsize);
	int r = sq_workers_init(m);

	if (r == -EOPNOTSUPP)
		snprintf(fm->fm_why, sizeof(fm->fm_why),
		    "its compression (%u) is not one that is known here",
		    s->compression_id);
	if (r == 0)
		r = sq_cache_init(&m->m_meta, m, SQFS_META_BLOCK_SIZE, META_BLOCKS);
	if (r == 0)
		r = sq_cache_init(
		    &m->m_data, m, m->m_bsize, blocks < BLOCKS_MIN ? BLOCKS_MIN : blocks);
	if (r < 0)
		return r;
	r = sq_table_load(m, &m->m_ids, s->id_table_start, s->id_count, sizeof(uint32_t));
	if (r < 0) {
		snprintf(
		    fm->fm_why, sizeof(fm->fm_why), "the table of owners cannot be read");
		return r;
	}
	load_lesser(m, fm);
	r = sq_node_get(m, NULL, s->root_inode_ref, ret_root);
	if (r == 0 && (*ret_root)->v_type != VDIR) {
		vn_unref(*ret_root);
		r = -EUCLEAN;
	}
	if (r < 0)
		snprintf(
		    fm->fm_why, sizeof(fm->fm_why), "the root directory cannot be read");
	else
		m->m_root = *ret_root;
	return r;
}

static int
sq_mount(struct fsmount *fm, struct vnode **ret_root)
{
	struct sq_mount *m = calloc(1, sizeof(*m));
	unsigned mib = CACHE_MIB;
	int r = m ? parse(fm, &mib) : -ENOMEM;

	if (r == 0)
		r = read_super(m, fm);
	if (r == 0)
		r = imgmount_init(&m->m_im, fm, "squashfs", sq_free);
	if (r < 0) {
		free(m);
		return r;
	}
	pthread_mutex_init(&m->m_dirs_mtx, NULL);
	for (unsigned i = 0; i < SQ_BUILDS; i++)
		pthread_mutex_init(&m->m_build[i], NULL);
	r = set_up(m, fm, mib, ret_root);
	if (r < 0)
		m->m_im.im_dev = NULL; /* it stays the caller's */
	mount_unref(&m->m_im.im_mnt);  /* the root's now */
	return r;
}

static int
sq_probe(const struct fsprobe *p)
{
	static const uint8_t magic[4] = {'h', 's', 'q', 's'};

	if (strcmp(p->fp_blkid, "squashfs") == 0)
		return 100;
	return p->fp_len >= sizeof(sqfs_super_t) &&
	               memcmp(p->fp_head, magic, sizeof(magic)) == 0
	           ? 60
	           : 0;
}

const struct vops sq_vops = {
    .vo_name = "squashfs",
    .lookup = sq_lookup,
    .getattr = sq_getattr,
    .readlink = sq_readlink,
    .read = sq_vop_read,
    .seek = sq_seek,
    .readdir = sq_readdir,
    .getxattr = sq_getxattr,
    .listxattr = sq_listxattr,
    .statfs = sq_statfs,
    .last_unref = imgnode_last_unref,
    .reclaim = sq_reclaim,
};

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_RDONLY | FT_OPTIONS,
    .ft_name = "squashfs",
    .ft_title = "squashfs 4.0",
    .ft_probe = sq_probe,
    .ft_mount = sq_mount,
};
