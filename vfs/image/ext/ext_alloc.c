/*
 * Giving blocks to files and taking them back.
 *
 * A hole is filled by runs: the library's bitmap is asked for as many blocks, or clusters, as
 * are free behind one another, the caller writes to them, and then they are put into the
 * tree, as part of the extent before them where they go on from it, or block by block where
 * there are indirect ones.  So a process that is killed leaves no blocks in a file that have
 * something else in them.
 *
 * All under e_mtx, and the file's en_lock exclusive where it has contents.
 */
#include <errno.h>

#include "vfs/image/ext/ext.h"

/* The library has it for all, but not in its headers. */
errcode_t ext2fs_inline_data_expand(ext2_filsys fs, ext2_ino_t ino);

/* What a tree may need for one more extent, on each level. */
#define TREE_BLOCKS 8u

int
ext_have_room(struct ext *e, uint64_t n, bool reserve)
{
	uint64_t have = ext2fs_free_blocks_count(e->e_fs->super);
	uint64_t keep = reserve ? 0 : ext2fs_r_blocks_count(e->e_fs->super);

	/* Twice the tree's blocks, so that one more change never runs out half-way. */
	keep += TREE_BLOCKS;
	if (have < keep || n > have - keep)
		return -ENOSPC;
	return 0;
}

bool
ext_tree_has_room(struct ext *e, struct ext_node *en, uint64_t lblk, unsigned n)
{
	struct ext2_extent_info info;
	ext2_extent_handle_t h;
	errcode_t err;

	if (!ext_has_extents(en))
		return true;
	err = ext2fs_extent_open2(e->e_fs, ext_ino(en), ext_i(en), &h);
	if (err)
		return false;
	err = ext2fs_extent_goto(h, lblk);
	if (!err)
		err = ext2fs_extent_get_info(h, &info);
	ext2fs_extent_free(h);
	return !err && info.num_entries + (int)n <= info.max_entries;
}

bool
ext_may_reserve(const struct ext *e, const struct cred *cr)
{
	const struct ext2_super_block *sb = e->e_fs->super;

	return !cr || cr->cr_uid == 0 || cr->cr_uid == sb->s_def_resuid ||
	       (sb->s_def_resgid && cr->cr_gid == sb->s_def_resgid);
}

/* Behind the block before, or where the inode's group begins. */
static uint64_t
goal_of(struct ext *e, struct ext_node *en, uint64_t lblk)
{
	struct ext2_super_block *sb = e->e_fs->super;
	struct ext_run run;
	dgrp_t g;

	if (lblk > 0 && ext_map_find_locked(e, en, lblk - 1, &run) == 0 &&
	    run.r_kind != RUN_HOLE)
		return run.r_pblk + 1;
	g = ext2fs_group_of_ino(e->e_fs, ext_ino(en));
	if (sb->s_log_groups_per_flex && sb->s_log_groups_per_flex < 32)
		g &= ~((1u << sb->s_log_groups_per_flex) - 1);
	return ext2fs_group_first_block2(e->e_fs, g);
}

/* The extent before lblk, at which the handle then stands.  False: there is none before. */
static bool
left_of(ext2_extent_handle_t h, uint64_t lblk, struct ext2fs_extent *ret)
{
	(void)ext2fs_extent_goto(h, lblk);
	return ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, ret) == 0 &&
	       (ret->e_flags & EXT2_EXTENT_FLAGS_LEAF) && ret->e_lblk < lblk;
}

static errcode_t
insert(ext2_extent_handle_t h, struct ext2fs_extent *x)
{
	struct ext2fs_extent left;
	uint32_t max =
	    x->e_flags & EXT2_EXTENT_FLAGS_UNINIT ? EXT_UNINIT_MAX_LEN : EXT_INIT_MAX_LEN;
	errcode_t err;

	if (left_of(h, x->e_lblk, &left)) {
		if (((left.e_flags ^ x->e_flags) & EXT2_EXTENT_FLAGS_UNINIT) == 0 &&
		    left.e_lblk + left.e_len == x->e_lblk &&
		    left.e_pblk + left.e_len == x->e_pblk &&
		    left.e_len + x->e_len <= max) {
			left.e_len += x->e_len;
			return ext2fs_extent_replace(h, 0, &left);
		}
		err = ext2fs_extent_insert(h, EXT2_EXTENT_INSERT_AFTER, x);
	} else {
		err = ext2fs_extent_insert(h, 0, x);
	}
	return err ? err : ext2fs_extent_fix_parents(h);
}

/* A run of free blocks, marked as in use. */
static int
take_run(struct ext *e, uint64_t goal, uint64_t n, blk64_t *ret_pblk, uint64_t *ret_n)
{
	blk64_t pblk, got;
	errcode_t err = ext2fs_new_range(e->e_fs, 0, goal, n, NULL, &pblk, &got);

	if (err)
		return ext_err(err);
	got = got < n ? got : n;
	if (!ext_blocks_ok(e, pblk, got))
		return ext_wrong(e);
	ext2fs_block_alloc_stats_range(e->e_fs, pblk, (blk_t)got, 1);
	*ret_pblk = pblk;
	*ret_n = got;
	return 0;
}

/* The cluster for lblk: one that the file has a part of already, or a free one, which is
 * marked then (*ret_new). */
static int
take_cluster(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t goal,
    blk64_t *ret_pblk, bool *ret_new)
{
	ext2_filsys fs = e->e_fs;
	uint64_t mask = (uint64_t)EXT2FS_CLUSTER_MASK(fs);
	blk64_t pblk = 0;
	errcode_t err;

	err = ext2fs_map_cluster_block(fs, ext_ino(en), ext_i(en), lblk, &pblk);
	*ret_new = !err && pblk == 0;
	if (*ret_new) {
		err = ext2fs_new_block3(fs, goal & ~mask, NULL, &pblk, NULL);
		pblk = (pblk & ~mask) + (lblk & mask);
	}
	if (err)
		return ext_err(err);
	if (!ext_blocks_ok(e, pblk, 1))
		return ext_wrong(e);
	*ret_pblk = pblk;
	return 0;
}

/* The same with clusters.  *ret_new of them, from *ret_from on, were free. */
static int
take_clusters(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t goal,
    uint64_t n, blk64_t *ret_pblk, uint64_t *ret_n, blk64_t *ret_from, uint64_t *ret_new)
{
	uint64_t ratio = (uint64_t)EXT2FS_CLUSTER_RATIO(e->e_fs), got = 0, fresh = 0;
	blk64_t pblk = 0;
	bool new;
	int r = 0;

	while (got < n) {
		uint64_t len = ratio - ((lblk + got) & (ratio - 1));

		r = take_cluster(e, en, lblk + got, goal, &pblk, &new);
		if (r < 0 || (got > 0 && pblk != *ret_pblk + got))
			break;
		if (got == 0)
			*ret_pblk = pblk;
		if (new) {
			if (fresh++ == 0)
				*ret_from = pblk & ~(ratio - 1);
			ext2fs_block_alloc_stats2(e->e_fs, pblk & ~(ratio - 1), 1);
		}
		got += len < n - got ? len : n - got;
		goal = pblk + len;
	}
	*ret_n = got;
	*ret_new = fresh;
	return got > 0 ? 0 : r;
}

/* The counterpart of both: n clusters of one block or more. */
static void
untake(struct ext *e, blk64_t from, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		ext2fs_block_alloc_stats2(
		    e->e_fs, from + i * (uint64_t)EXT2FS_CLUSTER_RATIO(e->e_fs), -1);
}

static int
map_extent(struct ext *e, struct ext_node *en, uint64_t lblk, blk64_t pblk, uint64_t n,
    enum ext_kind kind)
{
	struct ext2fs_extent x = {.e_lblk = lblk,
	    .e_pblk = pblk,
	    .e_len = (uint32_t)n,
	    .e_flags = EXT2_EXTENT_FLAGS_LEAF};
	ext2_extent_handle_t h;
	errcode_t err = ext2fs_extent_open2(e->e_fs, ext_ino(en), ext_i(en), &h);

	if (err)
		return ext_err(err);
	if (kind == RUN_UNWRITTEN)
		x.e_flags |= EXT2_EXTENT_FLAGS_UNINIT;
	err = insert(h, &x);
	ext2fs_extent_free(h);
	return ext_err(err);
}

/* By the library, block by block; it makes the indirect blocks.  *ret_n: how many it was, if
 * any. */
static int
map_indirect(struct ext *e, struct ext_node *en, uint64_t lblk, blk64_t pblk, uint64_t n,
    uint64_t *ret_n)
{
	errcode_t err = 0;
	uint64_t i = 0;

	for (; !err && i < n; i += !err) {
		blk64_t at = pblk + i;

		err = ext2fs_bmap2(e->e_fs, ext_ino(en), ext_i(en), e->e_bbuf,
		    BMAP_ALLOC | BMAP_SET, lblk + i, NULL, &at);
	}
	*ret_n = i;
	return i > 0 ? 0 : ext_err(err);
}

/* How many at once: what one extent or one indirect block can have, and what is there besides
 * the blocks that the tree may need. */
static uint64_t
at_once(const struct ext *e, const struct ext_node *en, enum ext_kind kind, uint64_t n)
{
	uint64_t have = ext2fs_free_blocks_count(e->e_fs->super), max;

	max = !ext_has_extents(en)    ? e->e_bs / 4
	      : kind == RUN_UNWRITTEN ? EXT_UNINIT_MAX_LEN
	                              : EXT_INIT_MAX_LEN;
	if (!ext_has_extents(en))
		max = have > TREE_BLOCKS && have - TREE_BLOCKS < max ? have - TREE_BLOCKS
		                                                     : max;
	return n < max ? n : max;
}

int
ext_alloc(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t n,
    enum ext_kind kind, int (*fill)(void *arg, uint64_t pblk, uint64_t n), void *arg,
    uint64_t *ret_pblk, uint64_t *ret_n)
{
	bool clusters = ext2fs_has_feature_bigalloc(e->e_fs->super);
	uint64_t goal = goal_of(e, en, lblk), got = 0, fresh = 0, mapped;
	blk64_t pblk = 0, from = 0;
	int r;

	n = at_once(e, en, kind, n);
	if (clusters)
		r = take_clusters(e, en, lblk, goal, n, &pblk, &got, &from, &fresh);
	else
		r = take_run(e, goal, n, &pblk, &got);
	if (r < 0)
		return r;
	if (!clusters) {
		from = pblk;
		fresh = got;
	}
	mapped = got;
	ext_io_forget(e, pblk, got);
	r = fill ? fill(arg, pblk, got) : 0;
	if (r == 0)
		r = ext_err(ext2fs_iblk_add_blocks(e->e_fs, ext_i(en), fresh));
	if (r < 0) {
		untake(e, from, fresh);
		return r;
	}
	r = ext_has_extents(en) ? map_extent(e, en, lblk, pblk, got, kind)
	                        : map_indirect(e, en, lblk, pblk, got, &mapped);
	ext_map_forget(en);
	if (r < 0 || mapped < got) {
		/* Some only with indirect blocks, where there are no clusters. */
		uint64_t kept = r < 0 ? 0 : mapped;

		untake(e, from + kept, fresh - kept);
		(void)ext2fs_iblk_sub_blocks(e->e_fs, ext_i(en), fresh - kept);
	}
	if (r < 0)
		return r;
	*ret_pblk = pblk;
	*ret_n = mapped;
	return ext_node_write(e, en);
}

/* The handle stands at x, whose part from lblk on is to be data.  Shrinks first: should it
 * end half-way, blocks are missing that nothing had been read from. */
static errcode_t
split(ext2_extent_handle_t h, struct ext2fs_extent *x, uint64_t lblk, uint64_t n)
{
	struct ext2fs_extent left = *x, mid = *x, right = *x;
	errcode_t err;

	left.e_len = (uint32_t)(lblk - x->e_lblk);
	mid.e_lblk = lblk;
	mid.e_pblk = x->e_pblk + left.e_len;
	mid.e_len = (uint32_t)n;
	mid.e_flags &= ~(uint32_t)EXT2_EXTENT_FLAGS_UNINIT;
	right.e_lblk = lblk + n;
	right.e_pblk = mid.e_pblk + n;
	right.e_len = (uint32_t)(x->e_len - left.e_len - n);
	if (left.e_len) {
		err = ext2fs_extent_replace(h, 0, &left);
		if (!err)
			err = insert(h, &mid);
		if (!err && right.e_len)
			err = insert(h, &right);
		return err;
	}
	if (right.e_len == 0)
		return ext2fs_extent_replace(h, 0, &mid);
	err = ext2fs_extent_replace(h, 0, &right);
	if (!err)
		err = ext2fs_extent_fix_parents(h);
	return err ? err : insert(h, &mid);
}

/* Clusters: block by block, by the library. */
static errcode_t
convert_blocks(
    ext2_extent_handle_t h, const struct ext2fs_extent *x, uint64_t lblk, uint64_t n)
{
	errcode_t err = 0;

	for (uint64_t i = 0; !err && i < n; i++)
		err = ext2fs_extent_set_bmap(
		    h, lblk + i, x->e_pblk + (lblk + i - x->e_lblk), 0);
	return err;
}

int
ext_convert(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t n)
{
	struct ext2fs_extent x;
	ext2_extent_handle_t h;
	errcode_t err = 0;

	while (!err && n > 0) {
		uint64_t part;

		err = ext2fs_extent_open2(e->e_fs, ext_ino(en), ext_i(en), &h);
		if (err)
			break;
		err = ext2fs_extent_goto(h, lblk);
		if (!err)
			err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &x);
		if (!err) {
			part = x.e_lblk + x.e_len - lblk;
			part = part < n ? part : n;
			if (!(x.e_flags & EXT2_EXTENT_FLAGS_UNINIT))
				err = 0;
			else if (ext2fs_has_feature_bigalloc(e->e_fs->super))
				err = convert_blocks(h, &x, lblk, part);
			else
				err = split(h, &x, lblk, part);
			lblk += part;
			n -= part;
		}
		ext2fs_extent_free(h);
	}
	ext_map_forget(en);
	return err ? ext_err(err) : ext_node_write(e, en);
}

/* Where in the file the image's last block is, from first to last; or UINT64_MAX. */
static uint64_t
find_last_block(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	uint64_t end = ext2fs_blocks_count(e->e_fs->super);
	struct ext_run run;

	if (!ext_has_extents(en) ||
	    !ext2fs_test_block_bitmap2(e->e_fs->block_map, end - 1))
		return UINT64_MAX;
	if (last >= EXT_LBLK_MAX)
		last = EXT_LBLK_MAX - 1;
	while (first <= last && ext_map_find_locked(e, en, first, &run) == 0) {
		if (run.r_kind != RUN_HOLE && run.r_pblk + run.r_len == end)
			return run.r_len - 1 <= last - first ? first + run.r_len - 1
			                                     : UINT64_MAX;
		if (run.r_len > last - first)
			break;
		first += run.r_len;
	}
	return UINT64_MAX;
}

/* The library (1.47) takes an extent that ends with the image's last block for one beyond
 * the end, and leaves it allocated; so that block goes first, by itself. */
static int
punch_last_block(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	uint64_t lblk = find_last_block(e, en, first, last);
	uint64_t pblk = ext2fs_blocks_count(e->e_fs->super) - 1;
	struct ext2fs_extent x;
	ext2_extent_handle_t h;
	errcode_t err;

	if (lblk == UINT64_MAX)
		return 0;
	err = ext2fs_extent_open2(e->e_fs, ext_ino(en), ext_i(en), &h);
	if (err)
		return ext_err(err);
	err = ext2fs_extent_goto(h, lblk);
	if (!err)
		err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &x);
	if (!err && x.e_len > 1) {
		x.e_len--;
		err = ext2fs_extent_replace(h, 0, &x);
	} else if (!err) {
		err = ext2fs_extent_delete(h, 0);
		if (!err)
			(void)ext2fs_extent_fix_parents(h);
	}
	ext2fs_extent_free(h);
	/* A cluster goes with its first block. */
	if (!err && (pblk & (uint64_t)EXT2FS_CLUSTER_MASK(e->e_fs)) == 0) {
		ext2fs_block_alloc_stats2(e->e_fs, pblk, -1);
		err = ext2fs_iblk_sub_blocks(e->e_fs, ext_i(en), 1);
	}
	ext_map_forget(en);
	return ext_err(err);
}

/* The library (1.47) leaves what is behind the end of a level of indirect blocks if there is
 * less of it than a level has: so it is asked for each level by itself. */
static errcode_t
punch_levels(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	uint64_t per = e->e_bs / 4, from = 0, n = 12;
	errcode_t err = 0;

	for (unsigned level = 0; !err && level < 4 && from <= last; level++) {
		uint64_t lo = first > from ? first : from, hi = from + n - 1;

		hi = hi < last ? hi : last;
		if (lo <= hi)
			err = ext2fs_punch(e->e_fs, ext_ino(en), ext_i(en), NULL, lo, hi);
		from += n;
		n = level == 0 ? per : n * per;
	}
	return err;
}

/* The library follows trees without holding them against the image's own blocks, and writes
 * to what it takes for a part of one. */
static int
check_runs(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	struct ext_run run;
	int r = 0;

	if (last >= EXT_LBLK_MAX)
		last = EXT_LBLK_MAX - 1;
	while (first <= last && !ext_is_inline(en)) {
		r = ext_map_find_locked(e, en, first, &run);
		if (r < 0 || run.r_len > last - first)
			break;
		first += run.r_len;
	}
	return r;
}

int
ext_punch(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	int r;

	if (first > last)
		return 0;
	r = check_runs(e, en, first, last);
	if (r == 0)
		r = punch_last_block(e, en, first, last);
	if (r == 0 && (ext_has_extents(en) || ext_is_inline(en)))
		r = ext_err(
		    ext2fs_punch(e->e_fs, ext_ino(en), ext_i(en), NULL, first, last));
	else if (r == 0)
		r = ext_err(punch_levels(e, en, first, last));
	ext_map_forget(en);
	return r;
}

int
ext_inline_expand(struct ext *e, struct ext_node *en)
{
	int r, e1;

	if (!ext_is_inline(en))
		return 0;
	r = ext_have_room(e, 1, true);
	if (r < 0)
		return r;
	r = ext_err(ext2fs_inline_data_expand(e->e_fs, ext_ino(en)));
	e1 = ext_node_reload(e, en);
	ext_map_forget(en);
	if (r == 0 && e1 == 0) {
		struct ext_run run;

		/* Its block has come through the cache; from now on it does not. */
		if (ext_map_find_locked(e, en, 0, &run) == 0 && run.r_kind == RUN_DATA)
			ext_io_forget(e, run.r_pblk, run.r_len);
	}
	return r < 0 ? r : e1;
}
