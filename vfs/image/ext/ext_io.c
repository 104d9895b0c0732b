/*
 * libext2fs's way to the device, and what is kept of metadata blocks.
 *
 * Reads of one block are served from a cache of sets of four; writes go to the device at once
 * and into the cache, so that the device is never behind it.  What is larger than a block or
 * of another size goes past the cache and takes out what it overlaps.  File contents do not
 * come through here; their blocks are taken out when they are handed out (ext_io_forget).
 *
 * All under e_mtx.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define CACHE_BYTES (16u << 20)
#define WAYS        4u
#define NO_BLOCK    UINT64_MAX

struct buf {
	uint64_t b_blk;
	uint32_t b_used;
	char *b_data; /* made when it is used first */
};

struct ext_cache {
	uint32_t c_bs, c_nsets, c_clock;
	struct buf c_bufs[];
};

static _Thread_local struct ext *next_channel;

int
ext_err(errcode_t err)
{
	switch (err) {
	case 0:
		return 0;
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	case EXT2_ET_BLOCK_ALLOC_FAIL:
	case EXT2_ET_INODE_ALLOC_FAIL:
	case EXT2_ET_DIR_NO_SPACE:
	case EXT2_ET_EA_NO_SPACE:
	case EXT2_ET_TOOSMALL:
	case EXT2_ET_INLINE_DATA_NO_SPACE:
		return -ENOSPC;
	case EXT2_ET_RO_FILSYS:
		return -EROFS;
	case EXT2_ET_FILE_TOO_BIG:
		return -EFBIG;
	case EXT2_ET_EA_KEY_NOT_FOUND:
		return -ENODATA;
	case EXT2_ET_FILE_NOT_FOUND:
		return -ENOENT;
	case EXT2_ET_SHORT_READ:
	case EXT2_ET_SHORT_WRITE:
		return -EIO;
	}
	if (err > 0 && err < 256)
		return -(int)err;
	/* All else that it says is about the image. */
	return -EUCLEAN;
}

static struct ext *
ext_of_io(io_channel ch)
{
	return ch->private_data;
}

void
ext_io_next(struct ext *e)
{
	next_channel = e;
}

int
ext_io_cache_init(struct ext *e)
{
	uint32_t nsets = CACHE_BYTES / WAYS / e->e_bs;
	struct ext_cache *c = calloc(1, sizeof(*c) + nsets * WAYS * sizeof(struct buf));

	if (!c)
		return -ENOMEM;
	c->c_bs = e->e_bs;
	c->c_nsets = nsets;
	for (uint32_t i = 0; i < nsets * WAYS; i++)
		c->c_bufs[i].b_blk = NO_BLOCK;
	e->e_cache = c;
	return 0;
}

void
ext_io_cache_done(struct ext *e)
{
	struct ext_cache *c = e->e_cache;

	for (uint32_t i = 0; c && i < c->c_nsets * WAYS; i++)
		free(c->c_bufs[i].b_data);
	free(c);
	e->e_cache = NULL;
}

static struct buf *
set_of(struct ext_cache *c, uint64_t blk)
{
	/* Blocks of a table lie in a row, and so they fall into different sets. */
	return &c->c_bufs[(blk ^ blk >> 20) % c->c_nsets * WAYS];
}

static struct buf *
cache_find(struct ext_cache *c, uint64_t blk)
{
	struct buf *b = set_of(c, blk);

	for (unsigned i = 0; i < WAYS; i++, b++) {
		if (b->b_blk == blk) {
			b->b_used = ++c->c_clock;
			return b;
		}
	}
	return NULL;
}

/* Without memory it is not kept, and that is all. */
static void
cache_put(struct ext_cache *c, uint64_t blk, const void *data)
{
	struct buf *b = cache_find(c, blk), *set = set_of(c, blk);

	for (unsigned i = 0; !b && i < WAYS; i++)
		if (set[i].b_blk == NO_BLOCK)
			b = &set[i];
	if (!b) {
		b = set;
		for (unsigned i = 1; i < WAYS; i++)
			if ((int32_t)(set[i].b_used - b->b_used) < 0)
				b = &set[i];
	}
	b->b_blk = NO_BLOCK;
	if (!b->b_data)
		b->b_data = malloc(c->c_bs);
	if (!b->b_data)
		return;
	memcpy(b->b_data, data, c->c_bs);
	b->b_used = ++c->c_clock;
	b->b_blk = blk;
}

void
ext_io_forget(struct ext *e, uint64_t blk, uint64_t n)
{
	struct ext_cache *c = e->e_cache;

	if (!c)
		return;
	if (n >= c->c_nsets) {
		for (uint32_t i = 0; i < c->c_nsets * WAYS; i++)
			if (c->c_bufs[i].b_blk - blk < n)
				c->c_bufs[i].b_blk = NO_BLOCK;
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		struct buf *b = cache_find(c, blk + i);

		if (b)
			b->b_blk = NO_BLOCK;
	}
}

static void
forget_bytes(struct ext *e, uint64_t off, uint64_t len)
{
	if (e->e_cache && len)
		ext_io_forget(
		    e, off / e->e_bs, (off + len - 1) / e->e_bs - off / e->e_bs + 1);
}

/* Where a transfer lies: count blocks, or -count bytes. */
static int
extent_of(io_channel ch, unsigned long long block, int count, uint64_t *ret_off,
    size_t *ret_len)
{
	uint64_t size = device_size(ext_of_io(ch)->e_im.im_dev);
	uint64_t bs = (uint64_t)ch->block_size;

	*ret_len = count < 0 ? (size_t) - (int64_t)count : (size_t)count * bs;
	if (block > size / bs || *ret_len > size - block * bs)
		return -EIO;
	*ret_off = block * bs;
	return 0;
}

static bool
cacheable(io_channel ch, int count)
{
	struct ext *e = ext_of_io(ch);

	return count == 1 && e->e_cache && (uint32_t)ch->block_size == e->e_bs;
}

static errcode_t
io_read64(io_channel ch, unsigned long long block, int count, void *data)
{
	struct ext *e = ext_of_io(ch);
	struct buf *b = cacheable(ch, count) ? cache_find(e->e_cache, block) : NULL;
	uint64_t off;
	size_t len;
	int r;

	if (e->e_pg) {
		e->e_pg->pg_done++;
		PROGRESS_TELL(e->e_pg, 0);
	}
	if (b) {
		memcpy(data, b->b_data, e->e_bs);
		return 0;
	}
	r = extent_of(ch, block, count, &off, &len);
	if (r == 0)
		r = device_read(e->e_im.im_dev, data, len, off);
	if (r == 0 && cacheable(ch, count))
		cache_put(e->e_cache, block, data);
	return -r;
}

static errcode_t
io_write64(io_channel ch, unsigned long long block, int count, const void *data)
{
	struct ext *e = ext_of_io(ch);
	uint64_t off;
	size_t len;
	int r = extent_of(ch, block, count, &off, &len);

	/* What it is to replace may be half there. */
	if (r == 0 && cacheable(ch, count))
		ext_io_forget(e, block, 1);
	if (r == 0 && atomic_load(&e->e_dead))
		r = -EIO;
	if (r == 0)
		r = device_write(e->e_im.im_dev, data, len, off);
	if (r == 0 && cacheable(ch, count))
		cache_put(e->e_cache, block, data);
	else if (r == 0)
		forget_bytes(e, off, len);
	else
		e->e_failed = true;
	return -r;
}

static errcode_t
io_write_byte(io_channel ch, unsigned long off, int count, const void *data)
{
	struct ext *e = ext_of_io(ch);
	int r = -EIO;

	if (count >= 0 && !atomic_load(&e->e_dead))
		r = device_write(e->e_im.im_dev, data, (size_t)count, off);
	if (r < 0)
		e->e_failed = true;
	else
		forget_bytes(e, off, (uint64_t)count);
	return -r;
}

static errcode_t
io_read(io_channel ch, unsigned long block, int count, void *data)
{
	return io_read64(ch, block, count, data);
}

static errcode_t
io_write(io_channel ch, unsigned long block, int count, const void *data)
{
	return io_write64(ch, block, count, data);
}

static errcode_t
io_set_blksize(io_channel ch, int size)
{
	ch->block_size = size;
	return 0;
}

/* What is to be on the disk is synced by who promises it. */
static errcode_t
io_flush(io_channel ch)
{
	(void)ch;
	return 0;
}

static errcode_t
io_close(io_channel ch)
{
	if (--ch->refcount > 0)
		return 0;
	free(ch->name);
	free(ch);
	return 0;
}

static errcode_t
io_open(const char *name, int flags, io_channel *ret)
{
	struct struct_io_channel *ch = calloc(1, sizeof(*ch));
	char *copy = strdup(name);

	(void)flags;
	if (!ch || !copy) {
		free(ch);
		free(copy);
		return EXT2_ET_NO_MEMORY;
	}
	ch->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	ch->manager = ext_io_manager();
	ch->name = copy;
	ch->block_size = 1024;
	ch->refcount = 1;
	ch->private_data = next_channel;
	*ret = ch;
	return 0;
}

int
ext_read_block(struct ext *e, uint64_t blk, void *buf)
{
	return ext_err(io_channel_read_blk64(e->e_fs->io, blk, 1, buf));
}

static struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "device",
    .open = io_open,
    .close = io_close,
    .set_blksize = io_set_blksize,
    .read_blk = io_read,
    .write_blk = io_write,
    .flush = io_flush,
    .write_byte = io_write_byte,
    .read_blk64 = io_read64,
    .write_blk64 = io_write64,
};

io_manager
ext_io_manager(void)
{
	return &manager;
}
