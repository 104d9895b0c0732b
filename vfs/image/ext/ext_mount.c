/*
 * Mounting, marking, syncing and unmounting (ext.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define BITMAPS_DAMAGED "its bitmaps are damaged: run e2fsck -fy IMAGE; mounted read-only"

/* The primary superblock alone. */
static int
write_super(struct ext *e)
{
	int flags = e->e_fs->flags;
	int r;

	e->e_fs->flags |= EXT2_FLAG_SUPER_ONLY;
	r = ext_err(ext2fs_flush2(e->e_fs, EXT2_FLAG_FLUSH_NO_SYNC));
	e->e_fs->flags = (flags & ~EXT2_FLAG_DIRTY) | (e->e_fs->flags & EXT2_FLAG_DIRTY);
	/* The rest is as dirty as it was. */
	if (flags & EXT2_FLAG_DIRTY)
		e->e_fs->flags |= EXT2_FLAG_DIRTY;
	return r;
}

int
ext_will_change(struct ext *e)
{
	struct ext2_super_block *sb = e->e_fs->super;
	int r;

	if (atomic_load(&e->e_dead))
		return -EIO;
	if (e->e_rdonly || e->e_wrong)
		return -EROFS;
	if (e->e_dirty)
		return 0;
	sb->s_state &= (uint16_t)~EXT2_VALID_FS;
	sb->s_mtime = (uint32_t)time(NULL);
	sb->s_mnt_count++;
	r = write_super(e);
	if (r == 0)
		r = device_sync(e->e_im.im_dev, false);
	if (r == 0)
		e->e_dirty = true;
	return r;
}

int
ext_wrong(struct ext *e)
{
	if (!e->e_wrong && !e->e_rdonly) {
		e->e_wrong = e->e_failed = true;
		e->e_fs->super->s_state |= EXT2_ERROR_FS;
		(void)write_super(e);
	}
	return -EUCLEAN;
}

int
ext_write_descs(struct ext *e)
{
	ext2_filsys fs = e->e_fs;
	blk64_t super = fs->super->s_first_data_block;
	int r = 0;

	if (super == 0 && fs->blocksize == 1024) /* with bigalloc */
		super = 1;
	for (unsigned long i = 0; r == 0 && i < fs->desc_blocks; i++) {
		const char *at = (const char *)fs->group_desc + i * e->e_bs;

		if (!e->e_gdt_dirty[i])
			continue;
#ifdef WORDS_BIGENDIAN
		r = ext_err(ext2fs_flush2(fs, EXT2_FLAG_FLUSH_NO_SYNC));
#else
		r = ext_err(io_channel_write_blk64(
		    fs->io, ext2fs_descriptor_block_loc2(fs, super, i), 1, at));
#endif
		e->e_gdt_dirty[i] = r < 0;
	}
	return r;
}

/* m: all that waits. */
static int
flush(struct ext *e)
{
	int r = ext_err(ext2fs_flush2(e->e_fs, EXT2_FLAG_FLUSH_NO_SYNC));

	if (r == 0)
		memset(e->e_gdt_dirty, 0, e->e_fs->desc_blocks * sizeof(bool));
	return r;
}

static int
ext_sync(struct vnode *root)
{
	struct ext *e = ext_of(root);
	int r = 0;

	pthread_mutex_lock(&e->e_mtx);
	if (atomic_load(&e->e_dead))
		r = -EIO;
	else if (e->e_dirty)
		r = flush(e);
	pthread_mutex_unlock(&e->e_mtx);
	if (r == 0 && !e->e_rdonly)
		r = device_sync(e->e_im.im_dev, false);
	return r;
}

/* m.  Files that are open without a name go now: nobody else would free them. */
static int
leave_clean(struct ext *e)
{
	int r = 0, e1;

	/* As with a mount that has become a read-only one: e2fsck will do the rest. */
	if (e->e_wrong) {
		(void)device_sync(e->e_im.im_dev, false);
		return -EUCLEAN;
	}
	for (struct ext_node *en = e->e_orphans, *next; en; en = next) {
		next = en->en_onext;
		e1 = ext_node_free(e, en);
		if (r == 0)
			r = e1;
	}
	e1 = flush(e);
	if (r == 0)
		r = e1;
	e1 = device_sync(e->e_im.im_dev, false);
	if (r == 0)
		r = e1;
	if (r < 0 || e->e_failed)
		return r < 0 ? r : -EIO;
	e->e_fs->super->s_state |= EXT2_VALID_FS;
	r = write_super(e);
	if (r == 0)
		r = device_sync(e->e_im.im_dev, false);
	return r;
}

static int
ext_unmount(struct vnode *root)
{
	struct ext *e = ext_of(root);
	int r = 0;

	/* A file may have been opened just now; its writes are before this, or -EIO. */
	pthread_rwlock_wrlock(&e->e_use);
	pthread_mutex_lock(&e->e_mtx);
	if (e->e_dirty && !atomic_load(&e->e_dead))
		r = leave_clean(e);
	atomic_store(&e->e_dead, true);
	pthread_mutex_unlock(&e->e_mtx);
	pthread_rwlock_unlock(&e->e_use);
	return r;
}

int
ext_statfs(struct vnode *vp, struct statvfs *ret)
{
	struct ext *e = ext_of(vp);
	struct ext2_super_block *sb = e->e_fs->super;
	uint64_t reserved = ext2fs_r_blocks_count(sb) + e->e_spare_blk;

	memset(ret, 0, sizeof(*ret));
	pthread_mutex_lock(&e->e_mtx);
	ret->f_bsize = ret->f_frsize = e->e_bs;
	ret->f_blocks = ext2fs_blocks_count(sb) - e->e_overhead_blk;
	ret->f_bfree = ext2fs_free_blocks_count(sb);
	ret->f_bavail = ret->f_bfree > reserved ? ret->f_bfree - reserved : 0;
	ret->f_files = sb->s_inodes_count;
	ret->f_ffree = ret->f_favail = sb->s_free_inodes_count;
	ret->f_namemax = NAME_LEN_MAX;
	pthread_mutex_unlock(&e->e_mtx);
	return 0;
}

/* What superblocks, descriptors, bitmaps, inode tables and the journal take: as the kernel
 * counts, df shows no more than what could be had. */
static uint64_t
overhead(ext2_filsys fs)
{
	struct ext2_inode journal;
	uint64_t n = fs->super->s_first_data_block, all = ext2fs_blocks_count(fs->super);

	if (fs->super->s_overhead_clusters) {
		n = (uint64_t)fs->super->s_overhead_clusters << fs->cluster_ratio_bits;
		return n < all ? n : 0;
	}
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		blk_t used = 0;

		if (ext2fs_super_and_bgd_loc2(fs, g, NULL, NULL, NULL, &used) == 0)
			n += used;
		n += 2 + fs->inode_blocks_per_group;
	}
	if (ext2fs_has_feature_journal(fs->super) && fs->super->s_journal_inum &&
	    ext2fs_read_inode(fs, fs->super->s_journal_inum, &journal) == 0)
		n += EXT2_I_SIZE(&journal) / fs->blocksize;
	return n < all ? n : 0;
}

/* What the kernel's driver keeps back besides, for trees that grow: a fiftieth of the
 * clusters, 4096 at most. */
static uint64_t
spare(ext2_filsys fs)
{
	uint64_t n = ext2fs_blocks_count(fs->super) >> fs->cluster_ratio_bits;

	if (!ext2fs_has_feature_extents(fs->super))
		return 0;
	n = n / 50 < 4096 ? n / 50 : 4096;
	return n << fs->cluster_ratio_bits;
}

static void
ext_free(struct ext *e)
{
	if (e->e_fs) {
		/* What is dirty then is not to be written. */
		e->e_fs->flags &= ~(EXT2_FLAG_RW | EXT2_FLAG_DIRTY);
		ext2fs_free(e->e_fs);
	}
	ext_io_cache_done(e);
	for (unsigned i = 0; i < sizeof(e->e_bufs) / sizeof(e->e_bufs[0]); i++)
		free(e->e_bufs[i]);
	free(e->e_gdt_dirty);
	free(e->e_zones);
	free(e->e_ibuf);
	free(e->e_dbuf);
	free(e->e_bbuf);
	free(e->e_zero);
	pthread_rwlock_destroy(&e->e_use);
	pthread_mutex_destroy(&e->e_mtx);
	pthread_mutex_destroy(&e->e_buf_mtx);
}

static void
ext_mnt_free(struct mount *mp)
{
	struct ext *e = (struct ext *)mp;

	ext_free(e);
	imgmount_done(&e->e_im);
	free(e);
}

static int
buffers(struct ext *e)
{
	ext2_filsys fs = e->e_fs;
	size_t isize = EXT2_INODE_SIZE(fs->super);

	e->e_bs = fs->blocksize;
	e->e_bits = (uint32_t)__builtin_ctz(fs->blocksize);
	e->e_ibuf = calloc(1, isize > sizeof(struct ext2_inode_large)
				  ? isize
				  : sizeof(struct ext2_inode_large));
	e->e_dbuf = calloc(1, e->e_bs);
	e->e_bbuf = calloc(3, e->e_bs);
	e->e_zero = calloc(1, e->e_bs);
	e->e_gdt_dirty = calloc(fs->desc_blocks, sizeof(bool));
	if (!e->e_ibuf || !e->e_dbuf || !e->e_bbuf || !e->e_zero || !e->e_gdt_dirty)
		return -ENOMEM;
	return ext_io_cache_init(e);
}

/* The library's part.  A writable mount needs the bitmaps; without them it can be read. */
static int
open_fs(struct ext *e, struct fsmount *m)
{
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
	struct progress pg = {
	    .pg_what = "opening", .pg_name = m->fm_name, .pg_unit = "bitmaps"};
	errcode_t err;

	ext_io_next(e);
	err = ext2fs_open2("image", NULL, flags | (m->fm_rdonly ? 0 : EXT2_FLAG_RW), 0, 0,
	    ext_io_manager(), &e->e_fs);
	ext_io_next(NULL);
	if (err == 0)
		err = ext2fs_check_desc(e->e_fs);
	if (err) {
		snprintf(m->fm_why, sizeof(m->fm_why), "%s: run e2fsck -fy IMAGE",
		    err == EXT2_ET_NO_MEMORY ? "not enough memory"
		    : err == EXT2_ET_SB_CSUM_INVALID
			? "the checksum of the superblock is wrong"
			: "the superblock or group descriptors are damaged");
		return ext_err(err) == -EINVAL ? -EUCLEAN : ext_err(err);
	}
	if (m->fm_rdonly)
		return 0;
	e->e_fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	/* Those of a large one are a long way apart. */
	pg.pg_total = 2 * (uint64_t)e->e_fs->group_desc_count;
	e->e_pg = &pg;
	err = ext2fs_read_bitmaps(e->e_fs);
	e->e_pg = NULL;
	PROGRESS_TELL(&pg, 1);
	if (err) {
		m->fm_rdonly = true;
		snprintf(m->fm_why, sizeof(m->fm_why), BITMAPS_DAMAGED);
	}
	return 0;
}

static int
start(struct ext *e, struct fsmount *m, bool recover)
{
	pthread_rwlockattr_t ra;
	pthread_mutexattr_t ma;
	int r;

	pthread_mutexattr_init(&ma);
	pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&e->e_mtx, &ma);
	pthread_mutexattr_destroy(&ma);
	pthread_rwlockattr_init(&ra);
	pthread_rwlockattr_setkind_np(&ra, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&e->e_use, &ra);
	pthread_rwlockattr_destroy(&ra);
	pthread_mutex_init(&e->e_buf_mtx, NULL);
	e->e_im.im_dev = m->fm_dev;
	r = recover && !m->fm_rdonly ? ext_recover(e, m) : 0;
	/* There is another superblock now. */
	if (r == 0 && e->e_recovered)
		r = ext_super_check(m, &recover);
	if (r == 0)
		r = open_fs(e, m);
	if (r == 0)
		r = buffers(e);
	if (r == 0)
		r = ext_zones_init(e);
	if (r < 0)
		return r;
	if (!m->fm_rdonly && !ext_zones_in_use(e)) {
		m->fm_rdonly = true;
		snprintf(m->fm_why, sizeof(m->fm_why), BITMAPS_DAMAGED);
	}
	e->e_rdonly = m->fm_rdonly;
	e->e_overhead_blk = overhead(e->e_fs);
	e->e_spare_blk = spare(e->e_fs);
	return imgmount_init(&e->e_im, m, "ext", ext_mnt_free);
}

/* m: brings the image to where writing can begin. */
static int
make_ready(struct ext *e, struct fsmount *m)
{
	int r = 0;

	if (e->e_rdonly)
		return 0;
	if (e->e_recovered) {
		ext_recount(e);
		r = ext_will_change(e);
	}
	return r < 0 ? r : ext_orphans(e, m);
}

static int
ext_mount(struct fsmount *m, struct vnode **ret_root)
{
	bool recover = false;
	struct ext_node *root = NULL;
	struct ext *e;
	int r = ext_super_check(m, &recover);

	if (r < 0)
		return r;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	r = start(e, m, recover);
	if (r < 0) {
		ext_free(e);
		free(e);
		return r;
	}
	pthread_mutex_lock(&e->e_mtx);
	r = ext_node_get(e, EXT2_ROOT_INO, NULL, &root);
	if (r == 0 && ext_vn(root)->v_type != VDIR)
		r = -EUCLEAN;
	if (r < 0)
		snprintf(m->fm_why, sizeof(m->fm_why), "the root directory is damaged");
	else
		r = make_ready(e, m);
	if (r < 0 && root)
		vn_unref(ext_vn(root));
	pthread_mutex_unlock(&e->e_mtx);
	if (r < 0) {
		e->e_im.im_dev = NULL; /* it stays the caller's */
	} else {
		*ret_root = ext_vn(root);
	}
	mount_unref(&e->e_im.im_mnt); /* the root's now */
	return r;
}

static int
ext_probe(const struct fsprobe *p)
{
	static const char *const names[] = {"ext2", "ext3", "ext4", "ext4dev"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(p->fp_blkid, names[i]) == 0)
			return 100;
	/* By its magic number alone. */
	return p->fp_len > 0x43a && p->fp_head[0x438] == 0x53 && p->fp_head[0x439] == 0xef
	           ? 40
	           : 0;
}

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_name = "ext",
    .ft_title = "ext2, ext3, ext4",
    .ft_probe = ext_probe,
    .ft_mount = ext_mount,
    .ft_sync = ext_sync,
    .ft_unmount = ext_unmount,
};
