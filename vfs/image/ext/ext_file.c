/*
 * Contents of regular files.
 *
 * Reading takes the file's lock shared, asks the map, and reads from the device straight into
 * the reader's buffer; where nothing can change, a window of the device is lent instead.
 * Writing takes the lock exclusive.  Blocks that have data are overwritten where they are,
 * without the mount's mutex; for holes and unwritten blocks it is taken, and data is in the
 * new blocks before the tree leads to them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/image/ext/ext.h"
#include "vfs/rules.h"

int
ext_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f)
{
	struct vattr_set empty = {.vs_valid = VS_SIZE};
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	int r;

	pthread_mutex_lock(&e->e_mtx);
	r = ext_may_open(en, flags);
	pthread_mutex_unlock(&e->e_mtx);
	/* The kernel leaves all of O_TRUNC to us, and with it the set-id bits. */
	if (cr && cr->cr_uid != 0)
		empty.vs_valid |= VS_KILL_SETID;
	if (r == 0 && vp->v_type == VREG && (flags & O_TRUNC))
		r = ext_setattr(vp, f, &empty, cr);
	if (r < 0)
		return r;
	/* Who writes is known now and not when blocks are wanted. */
	f->f_priv = ext_may_reserve(e, cr) ? e : NULL;
	atomic_fetch_add(&en->en_nopen, 1);
	return 0;
}

void
ext_close(struct file *f)
{
	struct ext_node *en = ext_node_of(f->f_vp);

	if (atomic_fetch_sub(&en->en_nopen, 1) != 1)
		return;
	/* A large map is not kept for files that nobody uses. */
	pthread_mutex_lock(&en->en_map_mtx);
	if (en->en_map.m_cap > 64) {
		free(en->en_map.m_runs);
		memset(&en->en_map, 0, sizeof(en->en_map));
	}
	pthread_mutex_unlock(&en->en_map_mtx);
}

static int
read_inline(struct ext *e, struct ext_node *en, struct uio *u, size_t want)
{
	size_t len = 0;
	char *buf;
	int r = -EUCLEAN;

	AUTO_EXT(e);
	/* Its size is held against what an inode can have. */
	if (ext_size(en) > EXT2_INODE_SIZE(e->e_fs->super))
		return -EUCLEAN;
	buf = calloc(1, EXT2_INODE_SIZE(e->e_fs->super) + 64u);
	if (!buf)
		return -ENOMEM;
	if (ext2fs_inline_data_size(e->e_fs, ext_ino(en), &len) == 0 &&
	    len <= EXT2_INODE_SIZE(e->e_fs->super))
		r = ext_err(
		    ext2fs_inline_data_get(e->e_fs, ext_ino(en), ext_i(en), buf, &len));
	if (r == 0)
		memcpy(u->uio_buf, buf + u->uio_off, want);
	free(buf);
	if (r == 0)
		u->uio_done = want;
	return r;
}

static int
read_runs(struct ext *e, struct ext_node *en, struct uio *u, size_t want)
{
	struct device *d = e->e_im.im_dev;
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < want) {
		uint64_t off = u->uio_off + done, in = off & (e->e_bs - 1);
		struct ext_run run;
		size_t n = want - done;

		r = ext_map_find(e, en, off >> e->e_bits, &run);
		if (r < 0)
			break;
		if (run.r_len <= (n + in) >> e->e_bits)
			n = (size_t)((run.r_len << e->e_bits) - in);
		if (run.r_kind != RUN_DATA) {
			memset((char *)u->uio_buf + done, 0, n);
		} else if (n == want && e->e_rdonly) {
			return device_lend(d, (run.r_pblk << e->e_bits) + in, n, u);
		} else {
			r = device_read(d, (char *)u->uio_buf + done, n,
			    (run.r_pblk << e->e_bits) + in);
		}
		done += n;
	}
	if (r == 0)
		u->uio_done = done;
	return r;
}

int
ext_read(struct vnode *vp, struct file *f, struct uio *u)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	uint64_t size;
	size_t want;
	int r;

	(void)f;
	if (vp->v_type != VREG)
		return -EINVAL;
	ext_touch_atime(e, en);
	pthread_rwlock_rdlock(&en->en_lock);
	size = ext_size(en);
	want = u->uio_off >= size               ? 0
	       : u->uio_len < size - u->uio_off ? u->uio_len
	                                        : (size_t)(size - u->uio_off);
	u->uio_done = 0;
	if (want == 0)
		r = 0;
	else if (ext_is_inline(en))
		r = read_inline(e, en, u, want);
	else
		r = read_runs(e, en, u, want);
	pthread_rwlock_unlock(&en->en_lock);
	return r;
}

/* Bytes on their way into blocks that have nothing as yet. */
struct fill {
	struct ext *fl_ext;
	const char *fl_buf;
	size_t fl_in, fl_len; /* where they begin in the first block, and how many */
};

/* The blocks whole: what is not written is zeros. */
static int
fill_blocks(void *arg, uint64_t pblk, uint64_t n)
{
	struct fill *fl = arg;
	struct ext *e = fl->fl_ext;
	uint64_t at = pblk << e->e_bits, all = n << e->e_bits;
	size_t len = fl->fl_len, tail;
	int r = 0;

	if (len > all - fl->fl_in)
		len = (size_t)(all - fl->fl_in);
	tail = (size_t)(all - fl->fl_in - len);
	if (fl->fl_in)
		r = device_write(e->e_im.im_dev, e->e_zero, fl->fl_in, at);
	if (r == 0)
		r = device_write(e->e_im.im_dev, fl->fl_buf, len, at + fl->fl_in);
	if (r == 0 && tail)
		r = device_write(e->e_im.im_dev, e->e_zero, tail, at + fl->fl_in + len);
	fl->fl_len = len;
	return r;
}

/* m.  What has blocks already wants one only for the tree. */
static int
room_for(struct ext *e, struct ext_node *en, const struct ext_run *run, bool reserve)
{
	if (run->r_kind == RUN_HOLE)
		return ext_have_room(e, 1, reserve);
	return ext_tree_has_room(e, en, run->r_lblk, 2) ? 0 : ext_have_room(e, 0, true);
}

/* Where no data is.  *ret_done bytes are written. */
static int
write_new(struct ext *e, struct ext_node *en, const struct ext_run *run, uint64_t n,
    struct fill *fl, bool reserve, size_t *ret_done)
{
	uint64_t pblk, got = n;
	int r;

	AUTO_EXT(e);
	r = ext_will_change(e);
	if (r == 0)
		r = room_for(e, en, run, reserve);
	if (r == 0 && run->r_kind == RUN_HOLE) {
		uint64_t left = ext2fs_free_blocks_count(e->e_fs->super);

		r = ext_alloc(e, en, run->r_lblk, n < left ? n : left, RUN_DATA,
		    fill_blocks, fl, &pblk, &got);
	} else if (r == 0) {
		r = fill_blocks(fl, run->r_pblk, n);
		if (r == 0)
			r = ext_convert(e, en, run->r_lblk, n);
	}
	/* Fewer blocks may have found a place in the tree than were written to. */
	if (r == 0)
		*ret_done = fl->fl_len < (got << e->e_bits) - fl->fl_in
		                ? fl->fl_len
		                : (size_t)((got << e->e_bits) - fl->fl_in);
	return r;
}

/* Into runs of data, and new ones.  Bytes written, or -errno if none. */
static ssize_t
write_bytes(struct ext *e, struct ext_node *en, const char *buf, size_t len, uint64_t off,
    bool reserve)
{
	size_t done = 0;
	int r = 0;

	if (ext_is_inline(en)) {
		r = ext_inline_write(e, en, buf, len, off);
		return r < 0 ? r : (ssize_t)len;
	}
	while (done < len) {
		uint64_t at = off + done, in = at & (e->e_bs - 1), blocks;
		struct ext_run run;
		size_t n = len - done;

		r = ext_map_find(e, en, at >> e->e_bits, &run);
		if (r < 0)
			break;
		blocks = (in + n + e->e_bs - 1) >> e->e_bits;
		blocks = blocks < run.r_len ? blocks : run.r_len;
		if (n > (blocks << e->e_bits) - in)
			n = (size_t)((blocks << e->e_bits) - in);
		if (run.r_kind == RUN_DATA) {
			r = device_write(e->e_im.im_dev, buf + done, n,
			    (run.r_pblk << e->e_bits) + in);
		} else {
			struct fill fl = {e, buf + done, (size_t)in, n};

			r = write_new(e, en, &run, blocks, &fl, reserve, &n);
		}
		if (r < 0)
			break;
		done += n;
	}
	return done ? (ssize_t)done : r;
}

static void *
chunk_get(struct ext *e)
{
	void *p = NULL;

	pthread_mutex_lock(&e->e_buf_mtx);
	for (unsigned i = 0; !p && i < sizeof(e->e_bufs) / sizeof(e->e_bufs[0]); i++) {
		p = e->e_bufs[i];
		e->e_bufs[i] = NULL;
	}
	pthread_mutex_unlock(&e->e_buf_mtx);
	return p ? p : malloc(EXT_CHUNK);
}

static void
chunk_put(struct ext *e, void *p)
{
	pthread_mutex_lock(&e->e_buf_mtx);
	for (unsigned i = 0; p && i < sizeof(e->e_bufs) / sizeof(e->e_bufs[0]); i++) {
		if (!e->e_bufs[i]) {
			e->e_bufs[i] = p;
			p = NULL;
		}
	}
	pthread_mutex_unlock(&e->e_buf_mtx);
	free(p);
}

/* All of it, from wherever it comes. */
static int
write_uio(struct ext *e, struct ext_node *en, struct uio *u, bool reserve)
{
	char *chunk = NULL;
	ssize_t n = 0;

	if (!u->uio_buf) {
		chunk = chunk_get(e);
		if (!chunk)
			return -ENOMEM;
	}
	while (u->uio_done < u->uio_len) {
		const char *buf = (const char *)u->uio_buf + u->uio_taken;
		size_t len = u->uio_len - u->uio_done;

		if (chunk) {
			n = uio_take_mem(u, chunk, len < EXT_CHUNK ? len : EXT_CHUNK);
			if (n <= 0)
				break;
			buf = chunk;
			len = (size_t)n;
		}
		n = write_bytes(e, en, buf, len, u->uio_off + u->uio_done, reserve);
		if (n > 0)
			u->uio_done += (size_t)n;
		if (!chunk && n > 0)
			u->uio_taken += (size_t)n;
		if (n < 0 || (size_t)n < len)
			break;
	}
	if (chunk)
		chunk_put(e, chunk);
	return n < 0 ? (int)n : 0;
}

static uint64_t
size_max(const struct ext *e, const struct ext_node *en)
{
	uint64_t per = e->e_bs / 4, n = 12 + per + per * per + per * per * per;

	if (ext_has_extents(en) || n > UINT32_MAX)
		n = UINT32_MAX;
	/* Counted in sectors of 32 bits without huge_file. */
	return n << e->e_bits;
}

/* What is behind the end in its block may be anything; from now on it can be read. */
static int
clear_tail(struct ext *e, struct ext_node *en, uint64_t to)
{
	uint64_t size = ext_size(en), end = (size | (e->e_bs - 1)) + 1;

	if (to <= size)
		return 0;
	if (ext_is_inline(en))
		return ext_inline_write(e, en, NULL, (size_t)(to - size), size);
	if ((size & (e->e_bs - 1)) == 0)
		return 0;
	return ext_zero(e, en, size, to < end ? to : end);
}

static int
prepare_write(struct ext *e, struct ext_node *en, struct uio *u)
{
	int r;

	if (u->uio_append)
		u->uio_off = ext_size(en);
	pthread_mutex_lock(&e->e_mtx);
	r = ext_will_change(e);
	if (r == 0 && (u->uio_off > e->e_bs || u->uio_len > e->e_bs ||
			  !ext_inline_fits(e, en, u->uio_off + u->uio_len)))
		r = ext_inline_expand(e, en);
	pthread_mutex_unlock(&e->e_mtx);
	if (r == 0 && u->uio_off >= size_max(e, en))
		r = -EFBIG;
	if (r == 0 && u->uio_len > size_max(e, en) - u->uio_off)
		u->uio_len = (size_t)(size_max(e, en) - u->uio_off);
	if (r == 0 && u->uio_off > ext_size(en))
		r = clear_tail(e, en, u->uio_off);
	return r;
}

/* What has been written to, by whomever, has no capabilities any more: the kernel leaves that to
 * us.  Whether there are any is looked up once. */
static int
lose_caps(struct ext *e, struct ext_node *en, struct uio *u)
{
	static const char name[] = "security.capability";
	size_t len;
	void *value;
	int r = ext_xattr_get(e, en, name, &value, &len);

	if (r == -ENODATA)
		en->en_nocaps = true;
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	free(value);
	u->uio_killed = true;
	r = ext_xattr_set(e, en, name, NULL, 0);
	return r < 0 ? r : ext_node_write(e, en);
}

int
ext_write(struct vnode *vp, struct file *f, struct uio *u)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	int r;

	if (u->uio_len == 0)
		return 0;
	/* Asked at each write, as ext4 does.  A file opened to append cannot be kept by the
	 * kernel from ceasing to. */
	if (en->en_i.i_flags & EXT2_IMMUTABLE_FL)
		return -EPERM;
	if (!u->uio_append && f && (f->f_flags & O_APPEND) &&
	    (en->en_i.i_flags & EXT2_APPEND_FL))
		return -EPERM;
	AUTO_USE(e);
	pthread_rwlock_wrlock(&en->en_lock);
	r = prepare_write(e, en, u);
	if (r == 0)
		r = write_uio(e, en, u, !f || f->f_priv);
	if (u->uio_done > 0) {
		AUTO_EXT(e);
		if (u->uio_off + u->uio_done > ext_size(en))
			(void)ext2fs_inode_size_set(
			    e->e_fs, ext_i(en), (ext2_off64_t)(u->uio_off + u->uio_done));
		ext_touch(e, en, EXT_MTIME | EXT_CTIME);
		en->en_i.i_mode &= (uint16_t)~rule_setid_written(
		    en->en_i.i_mode, ext_uid(en), ext_gid(en), u);
		r = ext_node_write(e, en);
		if (r == 0 && !en->en_noxattr && !en->en_nocaps)
			r = lose_caps(e, en, u);
	}
	pthread_rwlock_unlock(&en->en_lock);
	return r;
}

/* What is in the inode stays there while it fits. */
static int
truncate_inline(struct ext *e, struct ext_node *en, uint64_t size)
{
	uint64_t old = ext_size(en), from = size < old ? size : old;
	uint64_t end = size < old ? old : size;
	int r = 0;

	if (!ext_inline_fits(e, en, end))
		return -EUCLEAN;
	if (from < end)
		r = ext_inline_write(e, en, NULL, (size_t)(end - from), from);
	if (r < 0)
		return r;
	AUTO_EXT(e);
	r = ext_err(ext2fs_inode_size_set(e->e_fs, ext_i(en), (ext2_off64_t)size));
	ext_touch(e, en, EXT_MTIME | EXT_CTIME);
	return r < 0 ? r : ext_node_write(e, en);
}

int
ext_truncate(struct ext *e, struct ext_node *en, uint64_t size)
{
	uint64_t old = ext_size(en), last;
	int e1, r = 0;

	if (size > size_max(e, en))
		return -EFBIG;
	if (ext_inline_fits(e, en, size))
		return truncate_inline(e, en, size);
	pthread_mutex_lock(&e->e_mtx);
	r = ext_inline_expand(e, en);
	pthread_mutex_unlock(&e->e_mtx);
	if (r == 0 && size > old)
		r = clear_tail(e, en, size);
	else if (r == 0 && size < old && (size & (e->e_bs - 1)))
		r = ext_zero(e, en, size, (size | (e->e_bs - 1)) + 1);
	if (r < 0)
		return r;
	AUTO_EXT(e);
	/* Blocks behind the end may be there without a change of size (fallocate). */
	last = (size + e->e_bs - 1) >> e->e_bits;
	if (size <= old && ext2fs_inode_has_valid_blocks2(e->e_fs, ext_i(en)))
		r = ext_punch(e, en, last, UINT64_MAX);
	if (r == 0)
		r = ext_err(
		    ext2fs_inode_size_set(e->e_fs, ext_i(en), (ext2_off64_t)size));
	ext_touch(e, en, EXT_MTIME | EXT_CTIME);
	e1 = ext_node_write(e, en);
	return r < 0 ? r : e1;
}

int
ext_fsync(struct vnode *vp, struct file *f, bool datasync)
{
	struct ext *e = ext_of(vp);
	int r = 0;

	(void)f;
	if (e->e_rdonly)
		return 0;
	/* Contents, inodes and entries have been written as they changed. */
	pthread_mutex_lock(&e->e_mtx);
	if (atomic_load(&e->e_dead))
		r = -EIO;
	else
		r = ext_write_descs(e);
	pthread_mutex_unlock(&e->e_mtx);
	return r < 0 ? r : device_sync(e->e_im.im_dev, datasync);
}
