/*
 * What is due before an image that was not unmounted can be written: its journal is replayed,
 * and files that nobody has a name or a use for any more are freed, as the kernel does both.
 *
 * Each is looked at whole before it is begun; what is damaged makes the mount a read-only
 * one, and the image stays as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define SUPER_AT 1024u

/* The superblock's flag, which stands for a log that has something in it.  As it is on the
 * device, since the log has another one than was read before. */
static int
clear_flag(struct device *d, bool errors)
{
	struct ext2_super_block sb;
	int r = device_read(d, &sb, sizeof(sb), SUPER_AT);

	if (r < 0)
		return r;
	if (sb.s_magic != ext2fs_cpu_to_le16(EXT2_SUPER_MAGIC))
		return -EUCLEAN;
	sb.s_feature_incompat &= ~ext2fs_cpu_to_le32(EXT3_FEATURE_INCOMPAT_RECOVER);
	if (errors)
		sb.s_state |= ext2fs_cpu_to_le16(EXT2_ERROR_FS);
	if (sb.s_feature_ro_compat &
	    ext2fs_cpu_to_le32(EXT4_FEATURE_RO_COMPAT_METADATA_CSUM))
		sb.s_checksum = ext2fs_cpu_to_le32(ext2fs_crc32c_le(~0u,
		    (unsigned char *)&sb, offsetof(struct ext2_super_block, s_checksum)));
	r = device_write(d, &sb, sizeof(sb), SUPER_AT);
	return r < 0 ? r : device_sync(d, false);
}

int
ext_recover(struct ext *e, struct fsmount *m)
{
	char why[200] = "";
	bool errors = false;
	ext2_filsys fs;
	errcode_t err;
	int r;

	ext_io_next(e);
	err = ext2fs_open2("image", NULL, EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP, 0, 0,
	    ext_io_manager(), &fs);
	ext_io_next(NULL);
	if (err)
		return 0; /* whoever opens it to use it says so */
	r = ext_journal_replay(fs, m, &errors, why, sizeof(why));
	ext2fs_free(fs);
	if (r == 0)
		r = clear_flag(m->fm_dev, errors);
	if (r < 0) {
		m->fm_rdonly = true;
		snprintf(m->fm_why, sizeof(m->fm_why),
		    "its journal was not replayed and what is in it is not seen (%s): run "
		    "e2fsck -fy IMAGE; mounted read-only",
		    why[0] ? why : strerrordesc_np(-r));
		return r == -ENOMEM ? r : 0;
	}
	snprintf(m->fm_why, sizeof(m->fm_why), "its journal was replayed");
	e->e_recovered = true;
	return 0;
}

/* The kernel keeps them in memory, and makes them anew from the groups as well. */
void
ext_recount(struct ext *e)
{
	ext2_filsys fs = e->e_fs;
	uint64_t blocks = 0, inodes = 0;

	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		blocks += ext2fs_bg_free_blocks_count(fs, g);
		inodes += ext2fs_bg_free_inodes_count(fs, g);
	}
	ext2fs_free_blocks_count_set(fs->super, EXT2FS_C2B(fs, blocks));
	fs->super->s_free_inodes_count = (uint32_t)inodes;
	ext2fs_mark_super_dirty(fs);
}

/* The numbers of inodes that are to be freed, or cut to their size. */
struct orphans {
	ext2_ino_t *o_inos;
	uint32_t o_n, o_cap;
	ext2fs_inode_bitmap o_seen;
};

static int
note(struct ext *e, struct orphans *o, ext2_ino_t ino)
{
	const struct ext2_super_block *sb = e->e_fs->super;

	if (ino < EXT2_FIRST_INO(sb) || ino > sb->s_inodes_count ||
	    !ext2fs_test_inode_bitmap2(e->e_fs->inode_map, ino) ||
	    ext2fs_test_inode_bitmap2(o->o_seen, ino))
		return -EUCLEAN;
	if (o->o_n == o->o_cap) {
		uint32_t cap = o->o_cap ? o->o_cap * 2 : 64;
		ext2_ino_t *p = reallocarray(o->o_inos, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		o->o_inos = p;
		o->o_cap = cap;
	}
	ext2fs_mark_inode_bitmap2(o->o_seen, ino);
	o->o_inos[o->o_n++] = ino;
	return 0;
}

/* Those that are chained by what is otherwise the time of their deletion. */
static int
collect_chain(struct ext *e, struct orphans *o)
{
	ext2_ino_t ino = e->e_fs->super->s_last_orphan;
	struct ext2_inode i;
	int r = 0;

	while (r == 0 && ino) {
		r = note(e, o, ino);
		if (r == 0)
			r = ext_err(ext2fs_read_inode(e->e_fs, ino, &i));
		ino = i.i_dtime;
	}
	return r;
}

/* Each block of the orphan file, checked, in e_bbuf: its numbers are noted, or it is emptied. */
static int
orphan_file(struct ext *e, struct orphans *o, bool clear)
{
	ext2_filsys fs = e->e_fs;
	ext2_ino_t ino = fs->super->s_orphan_file_inum;
	uint32_t per = (uint32_t)ext2fs_inodes_per_orphan_block(fs);
	ext2_ino_t *slots = (ext2_ino_t *)(void *)e->e_bbuf;
	struct ext2_inode i;
	int r;

	if (!ext2fs_has_feature_orphan_present(fs->super))
		return 0;
	if (ino < EXT2_FIRST_INO(fs->super) || ino > fs->super->s_inodes_count)
		return -EUCLEAN;
	r = ext_err(ext2fs_read_inode(fs, ino, &i));
	if (r == 0 && EXT2_I_SIZE(&i) >> e->e_bits > ext2fs_blocks_count(fs->super))
		r = -EUCLEAN;
	for (uint64_t b = 0; r == 0 && b < EXT2_I_SIZE(&i) >> e->e_bits; b++) {
		blk64_t at = 0;

		r = ext_err(ext2fs_bmap2(fs, ino, &i, NULL, 0, b, NULL, &at));
		if (r == 0 && (at == 0 || at >= ext2fs_blocks_count(fs->super)))
			r = -EUCLEAN;
		if (r == 0)
			r = ext_read_block(e, at, e->e_bbuf);
		if (r == 0 &&
		    (ext2fs_le32_to_cpu(
			 ext2fs_orphan_block_tail(fs, e->e_bbuf)->ob_magic) !=
			    EXT4_ORPHAN_BLOCK_MAGIC ||
			!ext2fs_orphan_file_block_csum_verify(fs, ino, at, e->e_bbuf)))
			r = -EUCLEAN;
		for (uint32_t k = 0; r == 0 && !clear && k < per; k++)
			if (slots[k])
				r = note(e, o, ext2fs_le32_to_cpu(slots[k]));
		if (r == 0 && clear) {
			memset(slots, 0, per * sizeof(*slots));
			r = ext_err(
			    ext2fs_orphan_file_block_csum_set(fs, ino, at, e->e_bbuf));
			if (r == 0)
				r = ext_err(
				    io_channel_write_blk64(fs->io, at, 1, e->e_bbuf));
		}
	}
	return r;
}

/* Without links it goes; else it was being cut to its size. */
static int
settle(struct ext *e, ext2_ino_t ino)
{
	struct ext_node *en;
	int r = ext_node_get_orphan(e, ino, &en);

	if (r < 0)
		return r;
	if (en->en_i.i_links_count == 0) {
		r = ext_node_free(e, en);
	} else {
		uint64_t size = ext_size(en), last = (size + e->e_bs - 1) >> e->e_bits;

		if (ext_vn(en)->v_type == VREG && !ext_is_inline(en)) {
			r = ext_zero(e, en, size, last << e->e_bits);
			if (r == 0)
				r = ext_punch(e, en, last, UINT64_MAX);
		}
		en->en_i.i_dtime = 0;
		if (r == 0)
			r = ext_node_write(e, en);
	}
	vn_unref(ext_vn(en));
	return r;
}

/* They can all be read as what they are said to be. */
static int
check_all(struct ext *e, const struct orphans *o)
{
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < o->o_n; k++) {
		struct ext_node *en;

		r = ext_node_get_orphan(e, o->o_inos[k], &en);
		if (r == 0)
			vn_unref(ext_vn(en));
	}
	return r;
}

static int
settle_all(struct ext *e, const struct orphans *o, const char *name)
{
	struct progress pg = {
	    .pg_what = "freeing deleted files of",
	    .pg_name = name,
	    .pg_unit = "files",
	    .pg_total = o->o_n,
	};
	struct ext2_super_block *sb = e->e_fs->super;
	int r = ext_will_change(e);

	for (uint32_t k = 0; r == 0 && k < o->o_n; k++) {
		pg.pg_done = k;
		PROGRESS_TELL(&pg, 0);
		r = settle(e, o->o_inos[k]);
	}
	PROGRESS_TELL(&pg, 1);
	if (r == 0)
		r = orphan_file(e, NULL, true);
	if (r < 0) {
		e->e_failed = true;
		return r;
	}
	sb->s_last_orphan = 0;
	ext2fs_clear_feature_orphan_present(sb);
	ext2fs_mark_super_dirty(e->e_fs);
	return 0;
}

int
ext_orphans(struct ext *e, struct fsmount *m)
{
	struct orphans o = {0};
	int r;

	if (!e->e_fs->super->s_last_orphan &&
	    !ext2fs_has_feature_orphan_present(e->e_fs->super))
		return 0;
	r = ext_err(ext2fs_allocate_inode_bitmap(e->e_fs, NULL, &o.o_seen));
	if (r < 0)
		return r;
	r = collect_chain(e, &o);
	if (r == 0)
		r = orphan_file(e, &o, false);
	if (r == 0)
		r = check_all(e, &o);
	if (r == 0)
		r = settle_all(e, &o, m->fm_name);
	ext2fs_free_inode_bitmap(o.o_seen);
	free(o.o_inos);
	if (r < 0 && r != -ENOMEM) {
		m->fm_rdonly = e->e_rdonly = true;
		snprintf(m->fm_why, sizeof(m->fm_why),
		    "its list of deleted files that wait to be freed is damaged: run "
		    "e2fsck -fy IMAGE; mounted read-only");
		r = 0;
	}
	return r;
}
