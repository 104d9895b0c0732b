/*
 * Where the blocks of a file are.
 *
 * Each node keeps the runs of one window of its file: what one leaf of its extent tree or
 * one block of its indirect blocks says, hundreds to thousands of runs.  Most files are in one
 * window whole.  Beyond the window the tree is walked again, from the root, a block per level;
 * nothing is allocated for that but the window.
 *
 * Walking is done here and not by the library because readers want runs, not blocks, and
 * because every number is held against the image before it is followed.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define DEPTH_MAX 5

void
ext_map_forget(struct ext_node *en)
{
	pthread_mutex_lock(&en->en_map_mtx);
	en->en_map.m_from = en->en_map.m_to = 0;
	en->en_map.m_n = 0;
	pthread_mutex_unlock(&en->en_map_mtx);
}

/* One more run of the window being made; runs that go on one another become one. */
static int
add(struct ext_map *m, uint64_t lblk, uint64_t pblk, uint64_t len, enum ext_kind kind)
{
	struct ext_run *last = m->m_n ? &m->m_runs[m->m_n - 1] : NULL;

	if (last && last->r_kind == kind && last->r_lblk + last->r_len == lblk &&
	    last->r_pblk + last->r_len == pblk) {
		last->r_len += len;
		return 0;
	}
	if (m->m_n == m->m_cap) {
		uint32_t cap = m->m_cap ? m->m_cap * 2 : 4;
		struct ext_run *p = reallocarray(m->m_runs, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		m->m_runs = p;
		m->m_cap = cap;
	}
	m->m_runs[m->m_n++] = (struct ext_run){lblk, pblk, len, kind};
	return 0;
}

/* Of the indexes of one node: the child that lblk is below, and the range it is for.  1, 0
 * (nothing there: the window has been set to the hole), or -errno. */
static int
step_down(struct ext_map *m, const struct ext3_extent_header *eh, uint64_t lblk,
    uint64_t *ret_child)
{
	const struct ext3_extent_idx *ix = (const void *)(eh + 1);
	unsigned n = ext2fs_le16_to_cpu(eh->eh_entries), lo = 0, hi = n;

	while (lo < hi) { /* the first that begins behind lblk */
		unsigned mid = (lo + hi) / 2;

		if (ext2fs_le32_to_cpu(ix[mid].ei_block) <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < n) {
		uint64_t end = ext2fs_le32_to_cpu(ix[lo].ei_block);

		if (end < m->m_to)
			m->m_to = end;
	}
	if (lo == 0)
		return n == 0 ? -EUCLEAN : 0;
	if (ext2fs_le32_to_cpu(ix[lo - 1].ei_block) > m->m_from)
		m->m_from = ext2fs_le32_to_cpu(ix[lo - 1].ei_block);
	*ret_child = ext2fs_le32_to_cpu(ix[lo - 1].ei_leaf) |
	             (uint64_t)ext2fs_le16_to_cpu(ix[lo - 1].ei_leaf_hi) << 32;
	return 1;
}

static int
take_leaf(struct ext *e, struct ext_map *m, const struct ext3_extent_header *eh)
{
	const struct ext3_extent *x = (const void *)(eh + 1);
	unsigned n = ext2fs_le16_to_cpu(eh->eh_entries);
	uint64_t end = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		uint64_t lblk = ext2fs_le32_to_cpu(x[i].ee_block);
		uint64_t pblk = ext2fs_le32_to_cpu(x[i].ee_start) |
		                (uint64_t)ext2fs_le16_to_cpu(x[i].ee_start_hi) << 32;
		uint64_t len = ext2fs_le16_to_cpu(x[i].ee_len);
		bool unwritten = len > EXT_INIT_MAX_LEN;

		if (unwritten)
			len -= EXT_INIT_MAX_LEN;
		if (len == 0 || lblk < end || lblk + len > EXT_LBLK_MAX ||
		    !ext_blocks_ok(e, pblk, len))
			return -EUCLEAN;
		end = lblk + len;
		/* What the index does not lead to nobody finds. */
		if (lblk < m->m_from || end > m->m_to)
			return -EUCLEAN;
		r = add(m, lblk, pblk, len, unwritten ? RUN_UNWRITTEN : RUN_DATA);
	}
	return r;
}

static int
check_node(struct ext *e, struct ext_node *en, const char *buf, unsigned depth)
{
	struct ext3_extent_header *eh = (struct ext3_extent_header *)(uintptr_t)buf;

	if (ext2fs_extent_header_verify(eh, (int)e->e_bs) ||
	    ext2fs_le16_to_cpu(eh->eh_depth) != depth ||
	    ext2fs_le16_to_cpu(eh->eh_entries) > ext2fs_le16_to_cpu(eh->eh_max) ||
	    (ext2fs_le16_to_cpu(eh->eh_max) + 1u) * sizeof(struct ext3_extent) > e->e_bs)
		return -EUCLEAN;
	if (!ext2fs_extent_block_csum_verify(e->e_fs, ext_ino(en), eh))
		return -EUCLEAN;
	return 0;
}

static int
load_extents(struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_map *m)
{
	const struct ext3_extent_header *eh = (const void *)en->en_i.i_block;
	unsigned depth = ext2fs_le16_to_cpu(eh->eh_depth);
	uint64_t child;
	int r;

	m->m_from = 0;
	m->m_to = EXT_LBLK_MAX;
	if (eh->eh_magic == 0 && eh->eh_entries == 0 && depth == 0)
		return 0; /* never had any */
	if (ext2fs_le16_to_cpu(eh->eh_magic) != EXT3_EXT_MAGIC || depth > DEPTH_MAX ||
	    ext2fs_le16_to_cpu(eh->eh_entries) > 4)
		return -EUCLEAN;
	while (depth-- > 0) {
		r = step_down(m, eh, lblk, &child);
		if (r <= 0)
			return r;
		if (!ext_blocks_ok(e, child, 1))
			return -EUCLEAN;
		r = ext_read_block(e, child, e->e_bbuf);
		if (r == 0)
			r = check_node(e, en, e->e_bbuf, depth);
		if (r < 0)
			return r;
		eh = (const void *)e->e_bbuf;
	}
	return take_leaf(e, m, eh);
}

static int
take_numbers(struct ext *e, struct ext_map *m, const uint32_t *blk, uint64_t n)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		uint64_t pblk = ext2fs_le32_to_cpu(blk[i]), len = 1;

		if (pblk == 0)
			continue;
		while (i + len < n && ext2fs_le32_to_cpu(blk[i + len]) == pblk + len)
			len++;
		if (!ext_blocks_ok(e, pblk, len))
			return -EUCLEAN;
		r = add(m, m->m_from + i, pblk, len, RUN_DATA);
		i += len - 1;
	}
	return r;
}

static int
load_indirect(struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_map *m)
{
	const uint32_t *block = en->en_i.i_block;
	uint64_t per = e->e_bs / 4, from = 12, span = per, pblk;
	unsigned level = 1;
	uint32_t *buf = (uint32_t *)(void *)e->e_bbuf;
	int r;

	m->m_from = 0;
	m->m_to = 12;
#ifdef WORDS_BIGENDIAN
#error "inodes of the library are in the order of the host"
#endif
	if (lblk < 12)
		return take_numbers(e, m, block, 12);
	while (lblk - from >= span) {
		from += span;
		span *= per;
		if (++level > 3) { /* beyond the end of all */
			m->m_from = from;
			m->m_to = UINT64_MAX;
			return 0;
		}
	}
	pblk = block[11 + level];
	for (;; level--) {
		m->m_from = from;
		m->m_to = from + span;
		if (pblk == 0)
			return 0;
		if (!ext_blocks_ok(e, pblk, 1))
			return -EUCLEAN;
		r = ext_read_block(e, pblk, buf);
		if (r < 0)
			return r;
		if (level == 1)
			return take_numbers(e, m, buf, per);
		span /= per;
		pblk = ext2fs_le32_to_cpu(buf[(lblk - from) / span]);
		from += (lblk - from) / span * span;
	}
}

/* p: the run, from lblk on, if the window has it. */
static bool
find(const struct ext_map *m, uint64_t lblk, struct ext_run *ret)
{
	uint32_t lo = 0, hi = m->m_n;
	uint64_t end;

	if (lblk < m->m_from || lblk >= m->m_to)
		return false;
	while (lo < hi) { /* the first that begins behind lblk */
		uint32_t mid = (lo + hi) / 2;

		if (m->m_runs[mid].r_lblk <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	end = lo < m->m_n ? m->m_runs[lo].r_lblk : m->m_to;
	*ret = (struct ext_run){lblk, 0, end - lblk, RUN_HOLE};
	if (lo > 0) {
		const struct ext_run *x = &m->m_runs[lo - 1];
		uint64_t in = lblk - x->r_lblk;

		if (in < x->r_len)
			*ret = (struct ext_run){
			    lblk, x->r_pblk + in, x->r_len - in, x->r_kind};
	}
	return true;
}

static bool
find_known(struct ext_node *en, uint64_t lblk, struct ext_run *ret)
{
	bool found;

	pthread_mutex_lock(&en->en_map_mtx);
	found = find(&en->en_map, lblk, ret);
	pthread_mutex_unlock(&en->en_map_mtx);
	return found;
}

int
ext_map_find_locked(
    struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_run *ret)
{
	struct ext_map *m = &en->en_map;
	int r;

	if (find_known(en, lblk, ret))
		return 0;
	/* Under the mutex of the map as well: a reader is told of a window or of none. */
	pthread_mutex_lock(&en->en_map_mtx);
	m->m_n = 0;
	r = ext_has_extents(en) ? load_extents(e, en, lblk, m)
	                        : load_indirect(e, en, lblk, m);
	if (r < 0) {
		m->m_from = m->m_to = 0;
		m->m_n = 0;
	} else if (!find(m, lblk, ret)) {
		/* Past what can be mapped. */
		*ret = (struct ext_run){lblk, 0, UINT64_MAX - lblk, RUN_HOLE};
	}
	pthread_mutex_unlock(&en->en_map_mtx);
	return r;
}

int
ext_map_find(struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_run *ret)
{
	if (find_known(en, lblk, ret))
		return 0;
	AUTO_EXT(e);
	return ext_map_find_locked(e, en, lblk, ret);
}
