/*
 * Reading metadata: inodes, listings and tables lie in runs of blocks of 8 KiB, compressed
 * each by itself, one behind the other.
 */
#include "vfs/image/squashfs/sqfs.h"

void
sq_cursor_done(struct sq_cursor *c)
{
	if (c->c_block)
		sq_cache_put(&c->c_m->m_meta, c->c_block);
	c->c_block = NULL;
}

/* Sees to it that there is a byte at the cursor.  Blocks only ever follow one another
 * further on, so that a run ends with the image at the latest. */
static int
enter_block(struct sq_cursor *c)
{
	int r;

	if (c->c_block && c->c_off < c->c_block->b_len)
		return 0;
	if (c->c_block) {
		c->c_pos = c->c_block->b_end;
		c->c_off -= c->c_block->b_len;
		sq_cursor_done(c);
	}
	r = sq_cache_get(&c->c_m->m_meta, c->c_pos, 0, &c->c_block);
	if (r == 0 && c->c_off >= c->c_block->b_len) {
		sq_cursor_done(c);
		r = -EUCLEAN;
	}
	return r;
}

int
sq_read(struct sq_cursor *c, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len > 0) {
		int r = enter_block(c);
		size_t n;

		if (r < 0)
			return r;
		n = c->c_block->b_len - c->c_off;
		n = n < len ? n : len;
		if (to) {
			memcpy(to, c->c_block->b_data + c->c_off, n);
			to += n;
		}
		c->c_off += (uint32_t)n;
		len -= n;
	}
	return 0;
}

int
sq_table_load(
    struct sq_mount *m, struct sq_table *t, uint64_t start, uint32_t count, uint32_t size)
{
	size_t per = SQFS_META_BLOCK_SIZE / size, n = (count + per - 1) / per;
	int r;

	if (count == 0)
		return 0;
	/* The image must be as large as the list: nothing is allocated on its word. */
	if (start > m->m_limit || n * sizeof(uint64_t) > m->m_limit - start)
		return -EUCLEAN;
	t->t_blocks = malloc(n * sizeof(uint64_t));
	if (!t->t_blocks)
		return -ENOMEM;
	r = device_read(m->m_im.im_dev, t->t_blocks, n * sizeof(uint64_t), start);
	for (size_t i = 0; r == 0 && i < n; i++)
		t->t_blocks[i] = le64toh(t->t_blocks[i]);
	t->t_count = count;
	t->t_size = size;
	return r;
}

int
sq_table_get(struct sq_mount *m, const struct sq_table *t, uint32_t i, void *ret_entry)
{
	uint32_t per;
	struct sq_cursor c;
	int r;

	if (i >= t->t_count)
		return -EUCLEAN;
	per = SQFS_META_BLOCK_SIZE / t->t_size;
	sq_cursor_init(&c, m, t->t_blocks[i / per], i % per * t->t_size);
	r = sq_read(&c, ret_entry, t->t_size);
	sq_cursor_done(&c);
	return r;
}
