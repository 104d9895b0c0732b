/*
 * Contents that lie in the inode: those of small files, and the names of small directories.
 *
 * They begin in the place of block numbers (60 bytes) and go on in an attribute.  What fits
 * where they are stays there, so that what is small can be changed when there is no block to
 * be had.  A directory's first four bytes are the number of the one above; then each of the
 * two parts is records of their own (ext_dirblk.c says what those are).
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define IN_BLOCK 60u
#define HEAD     8u

/* All of it, and how much it is; to be freed. */
static int
get(struct ext *e, struct ext_node *en, char **ret, size_t *ret_len)
{
	size_t isize = EXT2_INODE_SIZE(e->e_fs->super), len = 0;
	char *buf = NULL;
	int r = ext_err(ext2fs_inline_data_size(e->e_fs, ext_ino(en), &len));

	if (r == 0 && (len < IN_BLOCK || len > isize))
		r = -EUCLEAN;
	if (r == 0) {
		buf = calloc(1, isize + IN_BLOCK);
		r = buf ? ext_err(ext2fs_inline_data_get(
			      e->e_fs, ext_ino(en), ext_i(en), buf, &len))
		        : -ENOMEM;
	}
	if (r < 0) {
		free(buf);
		return r;
	}
	*ret = buf;
	*ret_len = len;
	return 0;
}

/* Frees buf. */
static int
put(struct ext *e, struct ext_node *en, char *buf, size_t len)
{
	int r =
	    ext_err(ext2fs_inline_data_set(e->e_fs, ext_ino(en), ext_i(en), buf, len));
	int e1 = ext_node_reload(e, en);

	free(buf);
	return r < 0 ? r : e1;
}

bool
ext_inline_fits(struct ext *e, struct ext_node *en, uint64_t end)
{
	size_t len = 0;

	AUTO_EXT(e);
	return ext_is_inline(en) &&
	       ext2fs_inline_data_size(e->e_fs, ext_ino(en), &len) == 0 &&
	       len >= IN_BLOCK && end <= len;
}

int
ext_inline_write(
    struct ext *e, struct ext_node *en, const void *data, size_t n, uint64_t off)
{
	size_t len;
	char *buf;
	int r;

	AUTO_EXT(e);
	r = get(e, en, &buf, &len);
	if (r < 0)
		return r;
	if (off > len || n > len - off) {
		free(buf);
		return -EUCLEAN;
	}
	if (data)
		memcpy(buf + off, data, n);
	else
		memset(buf + off, 0, n);
	return put(e, en, buf, len);
}

/* A record in one of the parts. */
struct rec {
	struct ext2_dir_entry *rc_de, *rc_prev;
	unsigned rc_len;
};

static unsigned
need_of(unsigned name_len)
{
	return (HEAD + name_len + 3) & ~3u;
}

static unsigned
reclen_of(const struct ext2_dir_entry *de)
{
	return ext2fs_le16_to_cpu(de->rec_len);
}

static unsigned
used_of(const struct ext2_dir_entry *de)
{
	return de->inode ? need_of((unsigned)ext2fs_dirent_name_len(de)) : 0;
}

/* The record of n in a part, or the first with room for it (room).  -ENOENT. */
static int
find_in(char *part, size_t len, const struct name *n, bool room, struct rec *ret)
{
	struct ext2_dir_entry *prev = NULL;
	unsigned rl;

	for (size_t off = 0; len - off >= HEAD; off += rl) {
		struct ext2_dir_entry *de = (void *)(part + off);

		rl = reclen_of(de);
		if (rl < HEAD || (rl & 3) || rl > len - off || used_of(de) > rl)
			return -EUCLEAN;
		if (room ? rl - used_of(de) >= need_of(n->n_len)
			 : de->inode && ext2fs_dirent_name_len(de) == n->n_len &&
			       memcmp(de->name, n->n_ptr, n->n_len) == 0) {
			*ret = (struct rec){de, prev, rl};
			return 0;
		}
		prev = de;
	}
	return -ENOENT;
}

static int
find(char *buf, size_t len, const struct name *n, bool room, struct rec *ret)
{
	int r = find_in(buf + 4, IN_BLOCK - 4, n, room, ret);

	return r == -ENOENT ? find_in(buf + IN_BLOCK, len - IN_BLOCK, n, room, ret) : r;
}

int
ext_inline_add(
    struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino, uint8_t ft)
{
	struct ext2_dir_entry *de;
	struct rec rc;
	size_t len;
	char *buf;
	int r = get(e, dir, &buf, &len);

	if (r < 0)
		return r;
	r = find(buf, len, n, true, &rc);
	if (r < 0) {
		free(buf);
		return r == -ENOENT ? -ENOSPC : r;
	}
	de = rc.rc_de;
	if (de->inode) {
		unsigned used = used_of(de);

		de->rec_len = ext2fs_cpu_to_le16((uint16_t)used);
		de = (void *)((char *)de + used);
		de->rec_len = ext2fs_cpu_to_le16((uint16_t)(rc.rc_len - used));
	}
	de->inode = ext2fs_cpu_to_le32(ino);
	de->name_len = 0;
	ext2fs_dirent_set_name_len(de, n->n_len);
	ext2fs_dirent_set_file_type(de, ft);
	memcpy(de->name, n->n_ptr, n->n_len);
	return put(e, dir, buf, len);
}

int
ext_inline_del(struct ext *e, struct ext_node *dir, const struct name *n)
{
	struct rec rc;
	size_t len;
	char *buf;
	int r = get(e, dir, &buf, &len);

	if (r < 0)
		return r;
	r = find(buf, len, n, false, &rc);
	if (r < 0) {
		free(buf);
		return -EUCLEAN; /* the index says that it is here */
	}
	rc.rc_de->inode = 0;
	if (rc.rc_prev)
		rc.rc_prev->rec_len =
		    ext2fs_cpu_to_le16((uint16_t)(reclen_of(rc.rc_prev) + rc.rc_len));
	return put(e, dir, buf, len);
}

int
ext_inline_set(
    struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino, uint8_t ft)
{
	ino = ext2fs_cpu_to_le32(ino);
	struct rec rc;
	size_t len;
	char *buf;
	int r = get(e, dir, &buf, &len);

	if (r < 0)
		return r;
	if (n->n_len == 2 && memcmp(n->n_ptr, "..", 2) == 0) {
		memcpy(buf, &ino, sizeof(ino));
		return put(e, dir, buf, len);
	}
	r = find(buf, len, n, false, &rc);
	if (r < 0) {
		free(buf);
		return -EUCLEAN;
	}
	rc.rc_de->inode = ino;
	if (ext2fs_has_feature_filetype(e->e_fs->super))
		ext2fs_dirent_set_file_type(rc.rc_de, ft);
	return put(e, dir, buf, len);
}
