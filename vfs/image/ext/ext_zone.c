/*
 * What no file may have: superblocks, descriptors, bitmaps, inode tables, the journal.
 *
 * A damaged image may have a file whose blocks are some of these; writing to it would be
 * writing to them.  So their ranges are collected when the image is mounted, sorted, and each
 * run that a file's tree leads to is held against them (ext_blocks_ok).  The library walks
 * trees by itself when it gives blocks back, and is told afterwards: what it has freed of
 * them is taken again, and the image is not written any more.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

/* A journal in more pieces than this is protected as far as it was read. */
#define JOURNAL_RUNS 65536u

static int
add(struct ext *e, uint64_t blk, uint64_t n)
{
	uint64_t end = ext2fs_blocks_count(e->e_fs->super);
	struct ext_zone *last = e->e_nzones ? &e->e_zones[e->e_nzones - 1] : NULL;

	if (n == 0 || blk >= end)
		return 0;
	n = n < end - blk ? n : end - blk;
	if (last && last->z_blk + last->z_n == blk) {
		last->z_n += n;
		return 0;
	}
	if (e->e_nzones == e->e_zones_cap) {
		size_t cap = e->e_zones_cap ? e->e_zones_cap * 2 : 64;
		struct ext_zone *p = reallocarray(e->e_zones, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		e->e_zones = p;
		e->e_zones_cap = cap;
	}
	e->e_zones[e->e_nzones++] = (struct ext_zone){blk, n};
	return 0;
}

static int
add_group(struct ext *e, dgrp_t g)
{
	ext2_filsys fs = e->e_fs;
	uint64_t descs = ext2fs_has_feature_meta_bg(fs->super)
	                     ? fs->super->s_first_meta_bg
	                     : fs->desc_blocks + fs->super->s_reserved_gdt_blocks;
	blk64_t super = 0, old = 0, new = 0;
	int r;

	r = ext_err(ext2fs_super_and_bgd_loc2(fs, g, &super, &old, &new, NULL));
	if (r == 0 && (super || g == 0))
		r = add(e, super, 1);
	if (r == 0 && old)
		r = add(e, old, descs);
	if (r == 0 && new)
		r = add(e, new, 1);
	if (r == 0)
		r = add(e, ext2fs_block_bitmap_loc(fs, g), 1);
	if (r == 0)
		r = add(e, ext2fs_inode_bitmap_loc(fs, g), 1);
	if (r == 0)
		r = add(e, ext2fs_inode_table_loc(fs, g), fs->inode_blocks_per_group);
	return r;
}

/* As far as its tree can be read: what else is wrong with it is said by who replays it. */
static int
add_journal(struct ext *e)
{
	struct ext2_super_block *sb = e->e_fs->super;
	struct ext_node *en;
	uint64_t lblk = 0, end;
	int r = 0;

	if (!ext2fs_has_feature_journal(sb) || sb->s_journal_inum == 0)
		return 0;
	en = calloc(1, sizeof(*en));
	if (!en)
		return -ENOMEM;
	pthread_mutex_init(&en->en_map_mtx, NULL);
	en->en_in.in_ino = sb->s_journal_inum;
	if (ext2fs_read_inode_full(
		e->e_fs, sb->s_journal_inum, ext_i(en), sizeof(en->en_i)) == 0) {
		end = ext_size(en) >> e->e_bits;
		for (unsigned i = 0; r == 0 && lblk < end && i < JOURNAL_RUNS; i++) {
			struct ext_run run;

			if (ext_map_find_locked(e, en, lblk, &run) < 0 || run.r_len == 0)
				break;
			if (run.r_kind != RUN_HOLE)
				r = add(e, run.r_pblk, run.r_len);
			lblk += run.r_len < end - lblk ? run.r_len : end - lblk;
		}
	}
	free(en->en_map.m_runs);
	pthread_mutex_destroy(&en->en_map_mtx);
	free(en);
	return r;
}

static int
by_block(const void *a, const void *b)
{
	const struct ext_zone *x = a, *y = b;

	return (x->z_blk > y->z_blk) - (x->z_blk < y->z_blk);
}

/* Sorted, and those that touch or lie over one another are one. */
static void
merge(struct ext *e)
{
	size_t n = 0;

	if (e->e_nzones == 0)
		return;
	qsort(e->e_zones, e->e_nzones, sizeof(*e->e_zones), by_block);
	for (size_t i = 1; i < e->e_nzones; i++) {
		struct ext_zone *z = &e->e_zones[n], *next = &e->e_zones[i];
		uint64_t end = next->z_blk + next->z_n;

		if (next->z_blk > z->z_blk + z->z_n)
			e->e_zones[++n] = *next;
		else if (end > z->z_blk + z->z_n)
			z->z_n = end - z->z_blk;
	}
	e->e_nzones = n + 1;
}

static bool
overlaps(const struct ext *e, uint64_t blk, uint64_t n)
{
	size_t lo = 0, hi = e->e_nzones;

	while (lo < hi) { /* the first that ends behind blk */
		size_t mid = (lo + hi) / 2;

		if (e->e_zones[mid].z_blk + e->e_zones[mid].z_n <= blk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < e->e_nzones && e->e_zones[lo].z_blk < blk + n;
}

bool
ext_blocks_ok(const struct ext *e, uint64_t blk, uint64_t n)
{
	uint64_t end = ext2fs_blocks_count(e->e_fs->super);

	return blk > e->e_fs->super->s_first_data_block && blk < end && n <= end - blk &&
	       !overlaps(e, blk, n);
}

/* The library has taken or given back a block, or a cluster.  m */
static void
one_changed(ext2_filsys fs, blk64_t blk, int inuse)
{
	struct ext *e = fs->priv_data;
	uint64_t n = (uint64_t)EXT2FS_CLUSTER_RATIO(fs);

	blk &= ~(n - 1);
	if (!overlaps(e, blk, n))
		return;
	ext_wrong(e);
	if (inuse < 0)
		ext2fs_block_alloc_stats2(fs, blk, 1);
}

static void
range_changed(ext2_filsys fs, blk64_t blk, blk_t n, int inuse)
{
	struct ext *e = fs->priv_data;

	if (n == 0 || !overlaps(e, blk, n))
		return;
	ext_wrong(e);
	if (inuse < 0)
		ext2fs_block_alloc_stats_range(fs, blk, n, 1);
}

int
ext_zones_init(struct ext *e)
{
	ext2_filsys fs = e->e_fs;
	int r = 0;

	for (dgrp_t g = 0; r == 0 && g < fs->group_desc_count; g++)
		r = add_group(e, g);
	if (r == 0 && ext2fs_has_feature_mmp(fs->super))
		r = add(e, fs->super->s_mmp_block, 1);
	/* A journal may not lie over the rest either. */
	merge(e);
	if (r == 0)
		r = add_journal(e);
	merge(e);
	fs->priv_data = e;
	ext2fs_set_block_alloc_stats_callback(fs, one_changed, NULL);
	ext2fs_set_block_alloc_stats_range_callback(fs, range_changed, NULL);
	return r;
}

bool
ext_zones_in_use(const struct ext *e)
{
	blk64_t blk;

	for (size_t i = 0; i < e->e_nzones; i++) {
		const struct ext_zone *z = &e->e_zones[i];

		/* Clusters before the first data block are not in the bitmap. */
		if (z->z_blk < e->e_fs->super->s_first_data_block)
			continue;
		if (ext2fs_find_first_zero_block_bitmap2(e->e_fs->block_map, z->z_blk,
			z->z_blk + z->z_n - 1, &blk) != ENOENT)
			return false;
	}
	return true;
}
