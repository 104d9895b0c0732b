/*
 * Contents: blocks of one size, each compressed by itself, stored as it is, or not there at
 * all (a hole); and the tail of a file, which may lie in a block together with others'.
 *
 * An inode has the list of its blocks' sizes on disk, so where a block lies is the sum of
 * those before it.  The sums are kept for every 1,024th block, as far as somebody has read:
 * a block is then found by looking through one chunk of sizes, which is metadata in the
 * cache, however large the file is.
 *
 * What is stored as it is goes from the device to the asker, as a window where the device
 * has one; all else comes out of the cache of blocks.
 */
#include <unistd.h>

#include "vfs/image/squashfs/sqfs.h"

/* Of files that have a list of blocks beyond all reason, nothing is read: 32 TiB with the
 * usual blocks. */
#define BLOCKS_MAX (1ull << 28)

/* Where a file's blocks lie; those of one chunk. */
struct sizes {
	uint64_t s_chunk; /* which; UINT64_MAX: none as yet */
	uint64_t s_pos; /* where block s_i of it lies: the last one that was asked for */
	uint32_t s_i;
	uint32_t s_n;
	uint32_t s_words[SQ_CHUNK];
};

/* A stretch of a file that is in one piece. */
struct piece {
	enum {
		HOLE,
		STORED,
		PACKED
	} p_kind;
	uint64_t p_pos;  /* on the device: of the bytes if stored, else of the block */
	uint32_t p_word; /* of the block, if packed */
	uint32_t p_off;  /* in the block, decompressed, if packed */
	uint32_t
	    p_want; /* PACKED: bytes that the block is to have, or at least to p_off + p_len */
	uint32_t p_len;
};

/* The sizes of a chunk, of which it is known where it begins. */
static int
read_sizes(struct sq_mount *m, const struct sq_file *f, uint64_t chunk,
    const struct sq_chunk *at, struct sizes *s, struct sq_chunk *ret_next)
{
	uint64_t left = f->f_nblocks - chunk * SQ_CHUNK;
	uint64_t disk = at->h_disk;
	struct sq_cursor c;
	int r;

	s->s_chunk = UINT64_MAX;
	s->s_n = left < SQ_CHUNK ? (uint32_t)left : SQ_CHUNK;
	s->s_pos = disk;
	s->s_i = 0;
	sq_cursor_init(&c, m, at->h_pos, at->h_off);
	r = sq_read(&c, s->s_words, s->s_n * sizeof(uint32_t));
	for (uint32_t i = 0; r == 0 && i < s->s_n; i++) {
		s->s_words[i] = le32toh(s->s_words[i]);
		disk += s->s_words[i] & (SQ_STORED - 1);
	}
	/* At most 1,024 times 16 MiB more than what has been checked before. */
	if (r == 0 && disk > m->m_limit)
		r = -EUCLEAN;
	if (r == 0)
		s->s_chunk = chunk;
	*ret_next = (struct sq_chunk){c.c_pos, disk, c.c_off};
	sq_cursor_done(&c);
	return r;
}

static int
remember(struct sq_file *f, const struct sq_chunk *next)
{
	if (f->f_nmore == f->f_cap) {
		uint64_t cap = f->f_cap ? f->f_cap * 2 : 8;
		void *p = reallocarray(f->f_more, cap, sizeof(*f->f_more));

		if (!p)
			return -ENOMEM;
		f->f_more = p;
		f->f_cap = cap;
	}
	f->f_more[f->f_nmore++] = *next;
	return 0;
}

/* The chunk that block is in.  The first is known from the start; each that is looked
 * through says where the next begins. */
static int
get_sizes(struct sq_node *n, uint64_t block, struct sizes *s)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	struct sq_file *f = &n->n_file;
	uint64_t chunk = block / SQ_CHUNK;
	struct sq_chunk next;
	int r;

	if (s->s_chunk == chunk)
		return 0;
	if (chunk == 0)
		return read_sizes(m, f, 0, &f->f_first, s, &next);
	pthread_mutex_lock(sq_build_of(n));
	do {
		uint64_t known = f->f_nmore < chunk ? f->f_nmore : chunk;
		struct sq_chunk at = known ? f->f_more[known - 1] : f->f_first;

		if (known == chunk) {
			pthread_mutex_unlock(sq_build_of(n));
			return read_sizes(m, f, chunk, &at, s, &next);
		}
		r = read_sizes(m, f, known, &at, s, &next);
		if (r == 0)
			r = remember(f, &next);
	} while (r == 0);
	pthread_mutex_unlock(sq_build_of(n));
	return r;
}

/* The rest of a stored or packed block from off in it. */
static int
piece_of(struct sq_mount *m, uint64_t pos, uint32_t word, uint32_t off, struct piece *p)
{
	if (word >> 25 || pos > m->m_limit || (word & (SQ_STORED - 1)) > m->m_limit - pos)
		return -EUCLEAN;
	p->p_kind = word & SQ_STORED ? STORED : PACKED;
	p->p_pos = p->p_kind == STORED ? pos + off : pos;
	p->p_word = word;
	p->p_off = off;
	return 0;
}

/* The tail of a file in a block of tails. */
static int
find_tail(struct sq_mount *m, const struct sq_node *n, uint64_t off, struct piece *p)
{
	uint32_t in_tail = (uint32_t)(off % m->m_bsize);
	uint32_t len = (uint32_t)(n->n_va.va_size % m->m_bsize);
	sqfs_fragment_t fr;
	int r = sq_table_get(m, &m->m_frags, n->n_file.f_frag, &fr);
	uint32_t word;

	if (r < 0)
		return r;
	word = le32toh(fr.size);
	if (n->n_file.f_frag_off > m->m_bsize ||
	    len > m->m_bsize - n->n_file.f_frag_off || (word & (SQ_STORED - 1)) == 0)
		return -EUCLEAN;
	r = piece_of(
	    m, le64toh(fr.start_offset), word, n->n_file.f_frag_off + in_tail, p);
	p->p_len = len - in_tail;
	p->p_want = 0;
	if (r == 0 && p->p_kind == STORED &&
	    n->n_file.f_frag_off + len > (word & (SQ_STORED - 1)))
		r = -EUCLEAN;
	return r;
}

/* What lies at off, which is within the file. */
static int
find_piece(struct sq_node *n, uint64_t off, struct sizes *s, struct piece *p)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	uint64_t block = off / m->m_bsize, left = n->n_va.va_size - block * m->m_bsize;
	uint32_t in_block = (uint32_t)(off % m->m_bsize), i, word;
	uint32_t len = left < m->m_bsize ? (uint32_t)left : m->m_bsize;
	int r;

	if (block >= n->n_file.f_nblocks)
		return find_tail(m, n, off, p);
	if (n->n_file.f_nblocks > BLOCKS_MAX)
		return -EFBIG;
	r = get_sizes(n, block, s);
	if (r < 0)
		return r;
	i = (uint32_t)(block % SQ_CHUNK);
	/* lend() looks ahead, and what it has seen is then asked for again. */
	for (; s->s_i > i; s->s_i--)
		s->s_pos -= s->s_words[s->s_i - 1] & (SQ_STORED - 1);
	for (; s->s_i < i; s->s_i++)
		s->s_pos += s->s_words[s->s_i] & (SQ_STORED - 1);
	word = s->s_words[i];
	p->p_len = len - in_block;
	p->p_want = len;
	if ((word & (SQ_STORED - 1)) == 0) {
		p->p_kind = HOLE;
		return word & ~SQ_STORED ? -EUCLEAN : 0;
	}
	if ((word & SQ_STORED) && (word & (SQ_STORED - 1)) != len)
		return -EUCLEAN;
	return piece_of(m, s->s_pos, word, in_block, p);
}

/* len bytes of a packed piece. */
static int
unpack(struct sq_mount *m, const struct piece *p, void *buf, uint32_t len)
{
	struct sq_block *b;
	int r = sq_cache_get(&m->m_data, p->p_pos, p->p_word, &b);

	if (r < 0)
		return r;
	if ((p->p_want && b->b_len != p->p_want) || p->p_off > b->b_len ||
	    p->p_len > b->b_len - p->p_off)
		r = -EUCLEAN;
	else
		memcpy(buf, b->b_data + p->p_off, len);
	sq_cache_put(&m->m_data, b);
	return r;
}

/*
 * All that is wanted, if it is stored and lies in one piece on the device, as the blocks of
 * an image do that is not compressed at all.  1: answered; 0: it is not so.
 */
static int
lend(struct sq_node *n, struct sizes *s, const struct piece *first, uint64_t want,
    struct uio *u)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	uint64_t got = first->p_len;

	while (got < want) {
		struct piece p;
		int r = find_piece(n, u->uio_off + got, s, &p);

		if (r < 0 || p.p_kind != STORED || p.p_pos != first->p_pos + got)
			return 0; /* the long way says what is wrong */
		got += p.p_len;
	}
	return device_lend(m->m_im.im_dev, first->p_pos, (size_t)want, u) == 0;
}

int
sq_vop_read(struct vnode *vp, struct file *f, struct uio *u)
{
	struct sq_mount *m = sq_mount_of(vp);
	struct sq_node *n = sq_node_of(vp);
	uint64_t size = n->n_va.va_size, want;
	struct sizes s;
	int r = 0;

	s.s_chunk = UINT64_MAX;
	if (u->uio_off >= size)
		return 0;
	want = size - u->uio_off < u->uio_len ? size - u->uio_off : u->uio_len;
	while (r == 0 && u->uio_done < want) {
		struct piece p;
		uint32_t len;
		char *to = (char *)u->uio_buf + u->uio_done;

		r = find_piece(n, u->uio_off + u->uio_done, &s, &p);
		if (r < 0)
			break;
		if (u->uio_done == 0 && p.p_kind == STORED && lend(n, &s, &p, want, u))
			return 0;
		len = p.p_len < want - u->uio_done ? p.p_len
		                                   : (uint32_t)(want - u->uio_done);
		if (p.p_kind == HOLE)
			memset(to, 0, len);
		else if (p.p_kind == STORED)
			r = device_read(m->m_im.im_dev, to, len, p.p_pos);
		else
			r = unpack(m, &p, to, len);
		if (r == 0)
			u->uio_done += len;
	}
	if (r < 0)
		u->uio_done = 0;
	return r;
}

int
sq_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	struct sq_node *n = sq_node_of(vp);
	struct sizes s;

	s.s_chunk = UINT64_MAX;
	if (off >= n->n_va.va_size)
		return -ENXIO;
	while (off < n->n_va.va_size) {
		struct piece p;
		int r = find_piece(n, off, &s, &p);

		if (r < 0)
			return r;
		if ((p.p_kind == HOLE) == (whence == SEEK_HOLE)) {
			*ret_off = off;
			return 0;
		}
		off += p.p_len;
	}
	if (whence == SEEK_DATA)
		return -ENXIO;
	*ret_off = n->n_va.va_size;
	return 0;
}
