/*
 * Decompressed blocks, shared by all threads, and the decompressors that make them.
 *
 * A block is looked up and, if it is not there, entered as "loading" in one step; it is
 * loaded with nothing held, and who wants it meanwhile waits for that.  So a block is
 * decompressed once however many ask for it, and different blocks are decompressed at the
 * same time.  A block that could not be loaded is not kept.
 *
 * A cache grows up to its bound; then the block that was not used for longest, and has no
 * references, gives its memory to the next one.  Only if all are in use is there one more.
 */
#include "vfs/image/squashfs/sqfs.h"

static struct sq_block **
chain_of(const struct sq_cache *k, uint64_t pos)
{
	return &k->k_chains[(pos * 0x9e3779b97f4a7c15ull >> 32) & (k->k_nchains - 1)];
}

static void
unlink_block(struct sq_block *b)
{
	b->b_prev->b_next = b->b_next;
	b->b_next->b_prev = b->b_prev;
}

static void
put_first(struct sq_cache *k, struct sq_block *b)
{
	b->b_prev = &k->k_lru;
	b->b_next = k->k_lru.b_next;
	b->b_next->b_prev = b;
	k->k_lru.b_next = b;
}

int
sq_cache_init(struct sq_cache *k, struct sq_mount *m, uint32_t cap, uint32_t blocks)
{
	k->k_nchains = 16;
	while (k->k_nchains < blocks)
		k->k_nchains *= 2;
	k->k_chains = calloc(k->k_nchains, sizeof(struct sq_block *));
	if (!k->k_chains)
		return -ENOMEM;
	k->k_m = m;
	k->k_cap = cap;
	k->k_max = blocks;
	k->k_lru.b_next = k->k_lru.b_prev = &k->k_lru;
	pthread_mutex_init(&k->k_mtx, NULL);
	pthread_cond_init(&k->k_loaded, NULL);
	return 0;
}

void
sq_cache_done(struct sq_cache *k)
{
	if (!k->k_chains)
		return;
	for (struct sq_block *b = k->k_lru.b_next, *next; b != &k->k_lru; b = next) {
		next = b->b_next;
		free(b);
	}
	pthread_cond_destroy(&k->k_loaded);
	pthread_mutex_destroy(&k->k_mtx);
	free(k->k_chains);
	k->k_chains = NULL;
}

/* k held.  Out of the table and the ring; nobody has a reference. */
static void
take_out(struct sq_cache *k, struct sq_block *b)
{
	struct sq_block **p = chain_of(k, b->b_pos);

	while (*p != b)
		p = &(*p)->b_hnext;
	*p = b->b_hnext;
	unlink_block(b);
	k->k_count--;
}

/* k held.  Memory for one more block: an old one's, or new. */
static struct sq_block *
get_memory(struct sq_cache *k)
{
	struct sq_block *b;

	if (k->k_count >= k->k_max) {
		for (b = k->k_lru.b_prev; b != &k->k_lru; b = b->b_prev) {
			if (b->b_refs == 0) {
				take_out(k, b);
				return b;
			}
		}
	}
	b = malloc(sizeof(*b) + k->k_cap);
	if (b)
		b->b_data = (uint8_t *)(b + 1);
	return b;
}

/* k held. */
static struct sq_block *
find(struct sq_cache *k, uint64_t pos, uint32_t word)
{
	for (struct sq_block *b = *chain_of(k, pos); b; b = b->b_hnext)
		if (b->b_pos == pos && b->b_word == word)
			return b;
	return NULL;
}

/* Workers. */

static struct sq_worker *
worker_new(struct sq_mount *m)
{
	struct sq_worker *w = malloc(sizeof(*w));
	size_t cap =
	    m->m_bsize > SQFS_META_BLOCK_SIZE ? m->m_bsize : SQFS_META_BLOCK_SIZE;

	if (!w)
		return NULL;
	w->w_in = malloc(cap + 2);
	w->w_cmp = sqfs_copy(m->m_cmp);
	if (!w->w_in || !w->w_cmp) {
		sqfs_destroy(w->w_cmp);
		free(w->w_in);
		free(w);
		return NULL;
	}
	return w;
}

/* Waits if there are enough and all are at work.  NULL: no memory. */
static struct sq_worker *
worker_get(struct sq_mount *m)
{
	struct sq_worker *w;
	bool make;

	lk_mutex(&m->m_workers_mtx, LK_LEAF);
	while (!m->m_workers && m->m_nworkers == SQ_WORKERS)
		pthread_cond_wait(&m->m_worker_back, &m->m_workers_mtx);
	w = m->m_workers;
	make = !w;
	if (w)
		m->m_workers = w->w_next;
	else
		m->m_nworkers++;
	lk_mutex_unlock(&m->m_workers_mtx, LK_LEAF);
	if (!make)
		return w;
	w = worker_new(m);
	if (!w) {
		lk_mutex(&m->m_workers_mtx, LK_LEAF);
		m->m_nworkers--;
		pthread_cond_signal(&m->m_worker_back);
		lk_mutex_unlock(&m->m_workers_mtx, LK_LEAF);
	}
	return w;
}

static void
worker_put(struct sq_mount *m, struct sq_worker *w)
{
	lk_mutex(&m->m_workers_mtx, LK_LEAF);
	w->w_next = m->m_workers;
	m->m_workers = w;
	pthread_cond_signal(&m->m_worker_back);
	lk_mutex_unlock(&m->m_workers_mtx, LK_LEAF);
}

int
sq_workers_init(struct sq_mount *m)
{
	sqfs_compressor_config_t cfg;
	SQFS_COMPRESSOR id = m->m_super.compression_id;
	int r;

	pthread_mutex_init(&m->m_workers_mtx, NULL);
	pthread_cond_init(&m->m_worker_back, NULL);
	/* The options that may be behind the superblock are for compressing. */
	r = sqfs_compressor_config_init(&cfg, id, m->m_bsize, SQFS_COMP_FLAG_UNCOMPRESS);
	if (r == 0)
		r = sqfs_compressor_create(&cfg, &m->m_cmp);
	if (r != 0 && id == SQFS_COMP_LZO)
		return sq_lzo_create(&m->m_cmp);
	return r == 0 ? 0 : r == SQFS_ERROR_ALLOC ? -ENOMEM : -EOPNOTSUPP;
}

void
sq_workers_done(struct sq_mount *m)
{
	for (struct sq_worker *w = m->m_workers, *next; w; w = next) {
		next = w->w_next;
		sqfs_destroy(w->w_cmp);
		free(w->w_in);
		free(w);
	}
	sqfs_destroy(m->m_cmp);
	pthread_cond_destroy(&m->m_worker_back);
	pthread_mutex_destroy(&m->m_workers_mtx);
}

/* Loading. */

/* The n bytes at in become the block. */
static int
unpack(struct sq_cache *k, struct sq_worker *w, const uint8_t *in, uint32_t n,
    bool stored, struct sq_block *b)
{
	sqfs_s32 r;

	if (stored) {
		memcpy(b->b_data, in, n);
		b->b_len = n;
		return 0;
	}
	r = w->w_cmp->do_block(w->w_cmp, in, n, b->b_data, k->k_cap);
	if (r == SQFS_ERROR_ALLOC)
		return -ENOMEM;
	if (r <= 0 || (uint32_t)r > k->k_cap)
		return -EUCLEAN;
	b->b_len = (uint32_t)r;
	return 0;
}

/* A block of metadata begins with its size, and the flag that it is stored.  It is read in
 * one go with whatever follows it. */
static int
load_meta(struct sq_cache *k, struct sq_worker *w, struct sq_block *b)
{
	struct sq_mount *m = k->k_m;
	uint64_t room = m->m_limit - b->b_pos;
	uint32_t n;
	int r;

	if (b->b_pos >= m->m_limit || room < 2)
		return -EUCLEAN;
	room = room < SQFS_META_BLOCK_SIZE + 2 ? room : SQFS_META_BLOCK_SIZE + 2;
	r = device_read(m->m_im.im_dev, w->w_in, room, b->b_pos);
	if (r < 0)
		return r;
	n = (uint32_t)w->w_in[0] | (uint32_t)w->w_in[1] << 8;
	if ((n & 0x7FFF) == 0 || (n & 0x7FFF) > room - 2)
		return -EUCLEAN;
	b->b_end = b->b_pos + 2 + (n & 0x7FFF);
	return unpack(k, w, w->w_in + 2, n & 0x7FFF, n & 0x8000, b);
}

static int
load_data(struct sq_cache *k, struct sq_worker *w, struct sq_block *b)
{
	struct sq_mount *m = k->k_m;
	uint32_t n = b->b_word & (SQ_STORED - 1);
	int r;

	if (b->b_word >= SQ_STORED << 1 || n == 0 || n > m->m_bsize ||
	    b->b_pos > m->m_limit || n > m->m_limit - b->b_pos)
		return -EUCLEAN;
	b->b_end = b->b_pos + n;
	r = device_read(m->m_im.im_dev, w->w_in, n, b->b_pos);
	return r < 0 ? r : unpack(k, w, w->w_in, n, b->b_word & SQ_STORED, b);
}

/* b is ours, and loading.  0 and everybody may have it, or it is gone for all. */
static int
load(struct sq_cache *k, struct sq_block *b)
{
	struct sq_worker *w = worker_get(k->k_m);
	int r = -ENOMEM;

	if (w) {
		r = b->b_word ? load_data(k, w, b) : load_meta(k, w, b);
		worker_put(k->k_m, w);
	}
	lk_mutex(&k->k_mtx, LK_LEAF);
	b->b_loading = false;
	b->b_error = r;
	pthread_cond_broadcast(&k->k_loaded);
	lk_mutex_unlock(&k->k_mtx, LK_LEAF);
	return r;
}

/* k held. */
static void
put_locked(struct sq_cache *k, struct sq_block *b)
{
	if (--b->b_refs == 0 && (b->b_error || k->k_count > k->k_max)) {
		take_out(k, b);
		free(b);
	}
}

void
sq_cache_put(struct sq_cache *k, struct sq_block *b)
{
	lk_mutex(&k->k_mtx, LK_LEAF);
	put_locked(k, b);
	lk_mutex_unlock(&k->k_mtx, LK_LEAF);
}

/* k held: waits until b is loaded, with a reference on it. */
static int
wait_locked(struct sq_cache *k, struct sq_block *b)
{
	int r;

	while (b->b_loading)
		pthread_cond_wait(&k->k_loaded, &k->k_mtx);
	r = b->b_error;
	if (r < 0)
		put_locked(k, b);
	return r;
}

int
sq_cache_get(struct sq_cache *k, uint64_t pos, uint32_t word, struct sq_block **ret)
{
	struct sq_block *b;
	int r = 0;
	bool mine;

	lk_mutex(&k->k_mtx, LK_LEAF);
	b = find(k, pos, word);
	mine = !b;
	if (b) {
		b->b_refs++;
		unlink_block(b);
		put_first(k, b);
		r = wait_locked(k, b);
	} else if ((b = get_memory(k))) {
		struct sq_block **c = chain_of(k, pos);

		b->b_pos = pos;
		b->b_word = word;
		b->b_len = 0;
		b->b_refs = 1;
		b->b_error = 0;
		b->b_loading = true;
		b->b_hnext = *c;
		*c = b;
		put_first(k, b);
		k->k_count++;
	} else {
		r = -ENOMEM;
	}
	lk_mutex_unlock(&k->k_mtx, LK_LEAF);
	if (mine && r == 0) {
		r = load(k, b);
		if (r < 0)
			sq_cache_put(k, b);
	}
	if (r == 0)
		*ret = b;
	return r;
}
