/*
 * Room without contents: fallocate, holes, SEEK_DATA and SEEK_HOLE.
 *
 * What is allocated ahead is unwritten extents, which read as zeros; a file with indirect
 * blocks has no such thing, so there allocating is -EOPNOTSUPP, as with the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "vfs/image/ext/ext.h"

int
ext_zero(struct ext *e, struct ext_node *en, uint64_t off, uint64_t end)
{
	int r = 0;

	while (r == 0 && off < end) {
		uint64_t in = off & (e->e_bs - 1), n = e->e_bs - in;
		struct ext_run run;

		n = n < end - off ? n : end - off;
		r = ext_map_find(e, en, off >> e->e_bits, &run);
		if (r == 0 && run.r_kind == RUN_DATA)
			r = device_write(e->e_im.im_dev, e->e_zero, (size_t)n,
			    (run.r_pblk << e->e_bits) + in);
		else if (r == 0 && run.r_len < UINT64_MAX >> e->e_bits)
			n = (run.r_len << e->e_bits) - in;
		else if (r == 0)
			n = end - off;
		off += n < end - off ? n : end - off;
	}
	return r;
}

/* How many blocks are missing from first to end. */
static int
count_holes(
    struct ext *e, struct ext_node *en, uint64_t first, uint64_t end, uint64_t *ret)
{
	uint64_t n = 0;
	int r = 0;

	while (r == 0 && first < end) {
		struct ext_run run;

		r = ext_map_find_locked(e, en, first, &run);
		if (r < 0)
			break;
		run.r_len = run.r_len < end - first ? run.r_len : end - first;
		if (run.r_kind == RUN_HOLE)
			n += run.r_len;
		first += run.r_len;
	}
	*ret = n;
	return r;
}

/* m.  All or nothing: that there is room for all has been asked before. */
static int
fill_holes(struct ext *e, struct ext_node *en, uint64_t first, uint64_t end, bool reserve)
{
	uint64_t need, pblk, got;
	int r = count_holes(e, en, first, end, &need);

	if (r == 0 && need > 0)
		r = ext_have_room(e, need, reserve);
	while (r == 0 && first < end) {
		struct ext_run run;

		r = ext_map_find_locked(e, en, first, &run);
		if (r < 0)
			break;
		got = run.r_len < end - first ? run.r_len : end - first;
		if (run.r_kind == RUN_HOLE)
			r = ext_alloc(
			    e, en, first, got, RUN_UNWRITTEN, NULL, NULL, &pblk, &got);
		first += got;
	}
	return r;
}

/* m.  The tree grows only by a hole within an extent, and only where its leaf is full. */
static int
room_for_hole(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last)
{
	struct ext_run run;
	int r;

	if (first == 0)
		return 0;
	r = ext_map_find_locked(e, en, first - 1, &run);
	if (r < 0 || run.r_kind == RUN_HOLE || run.r_len <= last - first + 2 ||
	    ext_tree_has_room(e, en, first - 1, 1))
		return r;
	return ext_have_room(e, 0, true);
}

/* l.  The bytes become zeros; whole blocks go. */
static int
punch(struct ext *e, struct ext_node *en, uint64_t off, uint64_t end)
{
	uint64_t first = (off + e->e_bs - 1) >> e->e_bits, last = end >> e->e_bits;
	int r = 0;

	if (first > last) /* within one block */
		return ext_zero(e, en, off, end);
	if (off & (e->e_bs - 1))
		r = ext_zero(e, en, off, first << e->e_bits);
	if (r == 0 && (end & (e->e_bs - 1)))
		r = ext_zero(e, en, last << e->e_bits, end);
	if (r < 0 || first == last)
		return r;
	AUTO_EXT(e);
	r = room_for_hole(e, en, first, last - 1);
	if (r == 0)
		r = ext_punch(e, en, first, last - 1);
	return r < 0 ? r : ext_node_write(e, en);
}

static int
allocate(struct ext *e, struct ext_node *en, uint64_t off, uint64_t end, bool reserve)
{
	if (!ext_has_extents(en))
		return -EOPNOTSUPP;
	/* More than the image has, and more than a file can have. */
	if (end > (uint64_t)UINT32_MAX << e->e_bits)
		return -EFBIG;
	AUTO_EXT(e);
	return fill_holes(
	    e, en, off >> e->e_bits, (end + e->e_bs - 1) >> e->e_bits, reserve);
}

static int
change(struct ext *e, struct ext_node *en, int mode, uint64_t off, uint64_t len,
    bool reserve)
{
	uint64_t end = off + len, size = ext_size(en);
	int what = mode & ~FALLOC_FL_KEEP_SIZE, r = 0;

	if (what == FALLOC_FL_ZERO_RANGE && !ext_has_extents(en))
		return -EOPNOTSUPP;
	/* From the end on there is nothing to zero but what was allocated there. */
	if (what != 0)
		r = punch(e, en, off, end);
	if (r == 0 && what != FALLOC_FL_PUNCH_HOLE)
		r = allocate(e, en, off, end, reserve);
	if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > size) {
		/* What was behind the end in its block can be read from now on. */
		if (size & (e->e_bs - 1))
			r = ext_zero(e, en, size,
			    end < (size | (e->e_bs - 1)) + 1
				? end
				: (size | (e->e_bs - 1)) + 1);
		AUTO_EXT(e);
		if (r == 0)
			r = ext_err(
			    ext2fs_inode_size_set(e->e_fs, ext_i(en), (ext2_off64_t)end));
		if (r == 0)
			r = ext_node_write(e, en);
	}
	return r;
}

int
ext_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len)
{
	int what = mode & ~FALLOC_FL_KEEP_SIZE, r;
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);

	if ((what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE) ||
	    (what == FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	AUTO_USE(e);
	pthread_rwlock_wrlock(&en->en_lock);
	pthread_mutex_lock(&e->e_mtx);
	r = ext_may_fallocate(en, mode);
	if (r == 0)
		r = ext_will_change(e);
	if (r == 0)
		r = ext_inline_expand(e, en);
	pthread_mutex_unlock(&e->e_mtx);
	if (r == 0)
		r = change(e, en, mode, off, len, !f || f->f_priv);
	if (r == 0) {
		AUTO_EXT(e);
		ext_touch(e, en, EXT_MTIME | EXT_CTIME);
		r = ext_node_write(e, en);
	}
	pthread_rwlock_unlock(&en->en_lock);
	return r;
}

int
ext_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	uint64_t size, at = off;
	int r = 0;

	(void)f;
	pthread_rwlock_rdlock(&en->en_lock);
	size = ext_size(en);
	if (off >= size)
		r = -ENXIO;
	while (r == 0 && at < size) {
		struct ext_run run = {0, 0, 0, RUN_DATA};
		uint64_t lblk = at >> e->e_bits;

		if (ext_is_inline(en))
			run.r_len = lblk + 1;
		else
			r = ext_map_find(e, en, lblk, &run);
		if (r < 0 || (run.r_kind == RUN_DATA) == (whence == SEEK_DATA))
			break;
		at = run.r_len > (size >> e->e_bits) - lblk
		         ? size
		         : (lblk + run.r_len) << e->e_bits;
	}
	if (r == 0 && at >= size) {
		at = size;
		if (whence == SEEK_DATA)
			r = -ENXIO;
	}
	pthread_rwlock_unlock(&en->en_lock);
	if (r == 0)
		*ret_off = at;
	return r;
}
