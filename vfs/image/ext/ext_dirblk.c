/*
 * One block of a directory: records of an inode number, a length and a name, one behind the
 * other to the end of the block.  A record's length covers the room behind its name, which is
 * where new entries go; a record with inode 0 is nothing but room.  With checksums the last
 * twelve bytes are a record of that kind, which is never room.
 *
 * Every walk holds every record against the block before it is looked at.
 */
#include <errno.h>

#include "vfs/image/ext/ext.h"

#define HEAD     8u
#define TAIL     12u
#define TAIL_LEN 0xde00u /* of its name, as it is found there */

static unsigned
need_of(unsigned name_len)
{
	return (HEAD + name_len + 3) & ~3u;
}

static bool
is_tail(struct ext *e, const struct ext2_dir_entry *de, unsigned off, unsigned reclen)
{
	return off == e->e_bs - TAIL && reclen == TAIL && de->inode == 0 &&
	       de->name_len == TAIL_LEN &&
	       ext2fs_has_feature_metadata_csum(e->e_fs->super);
}

/* The record at off and its length; -EUCLEAN if it is none. */
static int
at(struct ext *e, char *blk, unsigned off, struct ext2_dir_entry **ret, unsigned *ret_len)
{
	struct ext2_dir_entry *de = (struct ext2_dir_entry *)(void *)(blk + off);
	unsigned len;

	if (e->e_bs - off < HEAD || ext2fs_get_rec_len(e->e_fs, de, &len) || len < HEAD ||
	    (len & 3) || len > e->e_bs - off)
		return -EUCLEAN;
	if (de->inode && need_of((unsigned)ext2fs_dirent_name_len(de)) > len)
		return -EUCLEAN;
	*ret = de;
	*ret_len = len;
	return 0;
}

/* What of a record is free. */
static unsigned
room_of(struct ext *e, const struct ext2_dir_entry *de, unsigned off, unsigned len)
{
	if (is_tail(e, de, off, len))
		return 0;
	return len - (de->inode ? need_of((unsigned)ext2fs_dirent_name_len(de)) : 0);
}

uint32_t
ext_blk_room(struct ext *e, char *blk)
{
	unsigned len, best = 0;

	for (unsigned off = 0; off < e->e_bs; off += len) {
		struct ext2_dir_entry *de;

		if (at(e, blk, off, &de, &len) < 0)
			return 0;
		if (room_of(e, de, off, len) > best)
			best = room_of(e, de, off, len);
	}
	return best;
}

int
ext_blk_each(struct ext *e, char *blk,
    int (*fn)(void *arg, struct ext2_dir_entry *de, unsigned reclen), void *arg)
{
	unsigned len;
	int r = 0;

	for (unsigned off = 0; r == 0 && off < e->e_bs; off += len) {
		struct ext2_dir_entry *de;

		r = at(e, blk, off, &de, &len);
		if (r == 0)
			r = fn(arg, de, len);
	}
	return r;
}

static void
set_tail(struct ext *e, char *blk)
{
	ext2fs_initialize_dirent_tail(e->e_fs, EXT2_DIRENT_TAIL(blk, e->e_bs));
}

void
ext_blk_init(struct ext *e, char *blk)
{
	bool csum = ext2fs_has_feature_metadata_csum(e->e_fs->super);

	memset(blk, 0, e->e_bs);
	(void)ext2fs_set_rec_len(e->e_fs, e->e_bs - (csum ? TAIL : 0), (void *)blk);
	if (csum)
		set_tail(e, blk);
}

void
ext_blk_unindex(struct ext *e, char *blk, bool root)
{
	unsigned off = root ? need_of(1) : 0;

	if (!ext2fs_has_feature_metadata_csum(e->e_fs->super))
		return;
	(void)ext2fs_set_rec_len(e->e_fs, e->e_bs - off - TAIL, (void *)(blk + off));
	set_tail(e, blk);
}

uint8_t
ext_ft(const struct ext *e, enum vtype type)
{
	static const uint8_t fts[] = {
	    [VREG] = EXT2_FT_REG_FILE,
	    [VDIR] = EXT2_FT_DIR,
	    [VLNK] = EXT2_FT_SYMLINK,
	    [VCHR] = EXT2_FT_CHRDEV,
	    [VBLK] = EXT2_FT_BLKDEV,
	    [VFIFO] = EXT2_FT_FIFO,
	    [VSOCK] = EXT2_FT_SOCK,
	};

	return ext2fs_has_feature_filetype(e->e_fs->super) ? fts[type] : 0;
}

int
ext_blk_add(struct ext *e, char *blk, const struct name *n, ext2_ino_t ino, uint8_t ft)
{
	unsigned need = need_of(n->n_len), len;

	for (unsigned off = 0; off < e->e_bs; off += len) {
		struct ext2_dir_entry *de;
		unsigned room;
		int r = at(e, blk, off, &de, &len);

		if (r < 0)
			return r;
		room = room_of(e, de, off, len);
		if (room < need)
			continue;
		if (de->inode) { /* the room becomes a record of its own */
			(void)ext2fs_set_rec_len(e->e_fs, len - room, de);
			de = (struct ext2_dir_entry *)(void *)(blk + off + len - room);
			(void)ext2fs_set_rec_len(e->e_fs, room, de);
		}
		de->inode = ino;
		de->name_len = 0;
		ext2fs_dirent_set_name_len(de, n->n_len);
		ext2fs_dirent_set_file_type(de, ft);
		memcpy(de->name, n->n_ptr, n->n_len);
		return 0;
	}
	return -ENOSPC;
}

/* The record of a name, and the one before it (NULL). */
static int
find(struct ext *e, char *blk, const struct name *n, struct ext2_dir_entry **ret,
    struct ext2_dir_entry **ret_prev)
{
	struct ext2_dir_entry *de, *prev = NULL;
	unsigned len;

	for (unsigned off = 0; off < e->e_bs; off += len) {
		int r = at(e, blk, off, &de, &len);

		if (r < 0)
			return r;
		if (de->inode && ext2fs_dirent_name_len(de) == n->n_len &&
		    memcmp(de->name, n->n_ptr, n->n_len) == 0) {
			*ret = de;
			*ret_prev = prev;
			return 0;
		}
		prev = de;
	}
	/* The index says that it is here. */
	return -EUCLEAN;
}

int
ext_blk_del(struct ext *e, char *blk, const struct name *n)
{
	struct ext2_dir_entry *de, *prev;
	unsigned len, before;
	int r = find(e, blk, n, &de, &prev);

	if (r < 0)
		return r;
	de->inode = 0;
	if (!prev)
		return 0;
	(void)ext2fs_get_rec_len(e->e_fs, de, &len);
	(void)ext2fs_get_rec_len(e->e_fs, prev, &before);
	(void)ext2fs_set_rec_len(e->e_fs, before + len, prev);
	return 0;
}

int
ext_blk_set(struct ext *e, char *blk, const struct name *n, ext2_ino_t ino, uint8_t ft)
{
	struct ext2_dir_entry *de, *prev;
	int r = find(e, blk, n, &de, &prev);

	if (r < 0)
		return r;
	de->inode = ino;
	if (ext2fs_has_feature_filetype(e->e_fs->super))
		ext2fs_dirent_set_file_type(de, ft);
	return 0;
}
