/*
 * Sequential bytes, read at random (archive_private.h).
 *
 * The cache is a hash of chunks in the order of their use.  Each chunk knows one range of its
 * bytes.  A range only grows, at its end and under the mutex, so who has a reference may copy
 * what he saw of it without; what would not join it takes its place in a new chunk.
 *
 * A cursor is one thread's while it is busy.  Who needs what a busy cursor is about to come
 * by waits for it instead of starting another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vfs/image/archive/archive_private.h"

#define CHUNK    (256u << 10)
#define PER_SLAB 8u
#define SLAB     ((size_t)CHUNK * PER_SLAB)
#define NCURSORS 4u
#define MIN_KEPT 4u /* slabs, whatever others have: more than all cursors are at */

struct chunk {
	uint64_t c_no;
	uint32_t c_from, c_to; /* m: which bytes it has */
	uint32_t c_ref;        /* m: the table's, and those who copy */
	struct chunk *c_hnext; /* m; or of the seq's that are free */
	struct chunk *c_prev, *c_next;
	uint8_t *c_data; /* c */
};

/* Memory comes in slabs, which a seq keeps: what it drops it fills again. */
struct slab {
	struct slab *sl_next;
	uint8_t *sl_data;
	struct chunk sl_chunks[PER_SLAB];
};

/* Slabs of all there are, and how many these may be. */
static _Atomic uint64_t all_slabs, all_max;

struct cursor {
	struct feed *cu_feed; /* b */
	uint64_t cu_pos;      /* m: fd_pos, as last seen */
	uint64_t cu_used;     /* m */
	bool cu_busy;         /* m */
};

struct seq {
	const struct feed_ops *s_ops; /* c */
	void *s_src;                  /* c */
	const char *s_name;           /* c: the archive's, or NULL */
	bool s_tell;                  /* c */
	pthread_mutex_t s_mtx;
	pthread_cond_t s_moved; /* a cursor is further, or free */
	struct chunk **s_hash;  /* m */
	uint32_t s_nhash;       /* c: a power of two */
	struct slab *s_slabs;   /* m */
	struct chunk *s_free;   /* m */
	uint32_t s_nslabs;      /* m */
	uint32_t s_max;         /* c: slabs */
	struct cursor s_cursors[NCURSORS];
	uint64_t s_clock;   /* m */
	uint64_t s_end;     /* m: no byte from here on … */
	int s_end_err;      /* … because of this, or 0 */
	struct chunk s_lru; /* m: the head, without data: c_next was used last */
};

struct seq *
seq_new(const struct feed_ops *ops, void *src, uint64_t budget)
{
	struct seq *s = calloc(1, sizeof(*s));
	uint64_t max = budget / SLAB;

	if (!s)
		return NULL;
	s->s_max = max < MIN_KEPT ? MIN_KEPT : max > 1u << 21 ? 1u << 21 : (uint32_t)max;
	for (s->s_nhash = 64; s->s_nhash / PER_SLAB < s->s_max && s->s_nhash < 1u << 16;)
		s->s_nhash *= 2;
	s->s_hash = calloc(s->s_nhash, sizeof(struct chunk *));
	if (!s->s_hash) {
		free(s);
		return NULL;
	}
	s->s_ops = ops;
	s->s_src = src;
	s->s_end = UINT64_MAX;
	s->s_lru.c_prev = s->s_lru.c_next = &s->s_lru;
	pthread_mutex_init(&s->s_mtx, NULL);
	pthread_cond_init(&s->s_moved, NULL);
	return s;
}

void
seq_tell(struct seq *s, const char *name)
{
	s->s_name = name;
	s->s_tell = true;
}

static struct chunk **
slot_of(struct seq *s, uint64_t no)
{
	return &s->s_hash[(no * 0x9e3779b97f4a7c15ull >> 40) & (s->s_nhash - 1)];
}

static struct chunk *
find(struct seq *s, uint64_t no)
{
	struct chunk *c = *slot_of(s, no);

	while (c && c->c_no != no)
		c = c->c_hnext;
	return c;
}

static void
lru_out(struct chunk *c)
{
	c->c_prev->c_next = c->c_next;
	c->c_next->c_prev = c->c_prev;
}

static void
lru_front(struct seq *s, struct chunk *c)
{
	c->c_prev = &s->s_lru;
	c->c_next = s->s_lru.c_next;
	c->c_next->c_prev = c;
	s->s_lru.c_next = c;
}

static void
put(struct seq *s, struct chunk *c)
{
	if (--c->c_ref == 0) {
		c->c_hnext = s->s_free;
		s->s_free = c;
	}
}

/* Out of the table. */
static void
drop(struct seq *s, struct chunk *c)
{
	struct chunk **p = slot_of(s, c->c_no);

	while (*p != c)
		p = &(*p)->c_hnext;
	*p = c->c_hnext;
	lru_out(c);
	put(s, c);
}

/* A slab more.  The first may be more than there is need for; others are filled, which is
 * cheaper all at once than page by page. */
static bool
add_slab(struct seq *s)
{
	struct slab *sl = calloc(1, sizeof(*sl));

	if (!sl)
		return false;
	sl->sl_data = mmap(NULL, SLAB, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | (s->s_slabs ? MAP_POPULATE : 0), -1, 0);
	if (sl->sl_data == MAP_FAILED) {
		free(sl);
		return false;
	}
	sl->sl_next = s->s_slabs;
	s->s_slabs = sl;
	for (unsigned i = PER_SLAB; i-- > 0;) {
		sl->sl_chunks[i].c_data = sl->sl_data + (size_t)i * CHUNK;
		sl->sl_chunks[i].c_hnext = s->s_free;
		s->s_free = &sl->sl_chunks[i];
	}
	s->s_nslabs++;
	all_slabs++;
	return true;
}

void
seq_allow(uint64_t budget)
{
	uint64_t max = budget / SLAB, old = all_max;

	while (old < max && !atomic_compare_exchange_weak(&all_max, &old, max))
		;
}

void
seq_free(struct seq *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < NCURSORS; i++)
		if (s->s_cursors[i].cu_feed)
			s->s_ops->end(s->s_cursors[i].cu_feed);
	while (s->s_slabs) {
		struct slab *sl = s->s_slabs;

		s->s_slabs = sl->sl_next;
		(void)munmap(sl->sl_data, SLAB);
		free(sl);
		all_slabs--;
	}
	pthread_cond_destroy(&s->s_moved);
	pthread_mutex_destroy(&s->s_mtx);
	free(s->s_hash);
	free(s);
}

static struct chunk *
make(struct seq *s, uint64_t no)
{
	struct chunk *c, **p;

	if (!s->s_free && s->s_nslabs < s->s_max &&
	    (s->s_nslabs < MIN_KEPT || all_slabs < all_max))
		(void)add_slab(s);
	/* One that is dropped may be in somebody's hands still. */
	while (!s->s_free && s->s_lru.c_prev != &s->s_lru)
		drop(s, s->s_lru.c_prev);
	if (!s->s_free && !add_slab(s))
		return NULL;
	c = s->s_free;
	s->s_free = c->c_hnext;
	p = slot_of(s, no);
	c->c_no = no;
	c->c_from = c->c_to = 0;
	c->c_ref = 1;
	c->c_hnext = *p;
	*p = c;
	lru_front(s, c);
	return c;
}

/* m held.  Bytes of one chunk.  keep: the number of one that is not to lose what it has. */
static int
store_part(struct seq *s, const uint8_t *p, uint32_t len, uint64_t no, uint32_t at,
    uint64_t keep)
{
	struct chunk *c = find(s, no);

	if (c && c->c_from <= at && at + len <= c->c_to)
		return 0; /* known */
	if (c && (at > c->c_to || at < c->c_from)) {
		if (no == keep)
			return 0;
		drop(s, c);
		c = NULL;
	}
	if (!c) {
		c = make(s, no);
		if (!c)
			return -ENOMEM;
		c->c_from = c->c_to = at;
	}
	/* What it has already somebody may be copying. */
	memcpy(c->c_data + c->c_to, p + (c->c_to - at), at + len - c->c_to);
	c->c_to = at + len;
	return 0;
}

static int
store(struct seq *s, const uint8_t *p, size_t len, uint64_t pos, uint64_t keep)
{
	int r = 0;

	while (len && r == 0) {
		uint32_t at = (uint32_t)(pos % CHUNK);
		uint32_t n = len < CHUNK - at ? (uint32_t)len : CHUNK - at;

		r = store_part(s, p, n, pos / CHUNK, at, keep);
		p += n;
		len -= n;
		pos += n;
	}
	return r;
}

/* m held.  The cursor to use for off, marked busy; NULL: look again. */
static struct cursor *
choose(struct seq *s, uint64_t off)
{
	uint64_t place = s->s_ops->place(s->s_src, off);
	struct cursor *best = NULL, *idle = NULL;

	for (unsigned i = 0; i < NCURSORS; i++) {
		struct cursor *cu = &s->s_cursors[i];
		bool runs = cu->cu_busy || cu->cu_feed;

		if (runs && cu->cu_pos <= off && cu->cu_pos >= place &&
		    (!best || cu->cu_pos > best->cu_pos))
			best = cu;
		if (!cu->cu_busy && (!idle || cu->cu_used < idle->cu_used))
			idle = cu;
	}
	if ((best && best->cu_busy) || (!best && !idle)) {
		pthread_cond_wait(&s->s_moved, &s->s_mtx);
		return NULL;
	}
	if (!best) {
		best = idle;
		best->cu_pos = place;
		if (best->cu_feed) {
			struct feed *f = best->cu_feed;

			best->cu_feed = NULL;
			best->cu_busy = true;
			pthread_mutex_unlock(&s->s_mtx);
			s->s_ops->end(f);
			pthread_mutex_lock(&s->s_mtx);
		}
	}
	best->cu_busy = true;
	best->cu_used = ++s->s_clock;
	return best;
}

/* The bytes end at pos, for err or for nothing. */
static void
ends(struct seq *s, uint64_t pos, int err)
{
	if (s->s_ops->whole && pos < s->s_end) {
		s->s_end = pos;
		s->s_end_err = err;
	}
}

/* m held, and let go meanwhile.  The cursor's next bytes: 1, 0, -errno. */
static int
advance(struct seq *s, struct cursor *cu, uint64_t keep, struct progress *pg)
{
	struct feed *f = cu->cu_feed;
	const void *buf;
	size_t len;
	int r;

	pthread_mutex_unlock(&s->s_mtx);
	if (s->s_tell) {
		pg->pg_done = f->fd_pos;
		PROGRESS_TELL(pg, 0);
	}
	r = s->s_ops->next(f, &buf, &len);
	pthread_mutex_lock(&s->s_mtx);
	if (r > 0) {
		int e = store(s, buf, len, f->fd_pos, keep);

		if (e < 0)
			r = e;
		f->fd_pos += len;
		cu->cu_pos = f->fd_pos;
		pthread_cond_broadcast(&s->s_moved);
	} else {
		ends(s, f->fd_pos, r);
	}
	return r;
}

/* m held, and let go meanwhile.  Has the byte at off, and what follows it up to to if that
 * goes well, brought to the cache.  1: look there; 0: there is none; -errno. */
static int
run(struct seq *s, uint64_t off, uint64_t to, struct progress *pg)
{
	struct cursor *cu = choose(s, off);
	bool came = false;
	int r = 1;

	if (!cu)
		return 1;
	if (!cu->cu_feed) {
		struct feed *f;

		pthread_mutex_unlock(&s->s_mtx);
		r = s->s_ops->start(s->s_src, off, &f);
		pthread_mutex_lock(&s->s_mtx);
		if (r == 0) {
			cu->cu_feed = f;
			cu->cu_pos = f->fd_pos;
			r = 1;
		}
	}
	while (r > 0 && cu->cu_feed->fd_pos < to) {
		uint64_t before = cu->cu_feed->fd_pos;

		/* What it came for stays, though there be a gap behind it. */
		r = advance(s, cu, came ? off / CHUNK : UINT64_MAX, pg);
		/* It may have leapt over what is asked for. */
		if (r > 0 && before <= off && cu->cu_feed->fd_pos > off) {
			struct chunk *c = find(s, off / CHUNK);

			came = c && c->c_from <= off % CHUNK && off % CHUNK < c->c_to;
			if (!came)
				r = -EIO;
		}
	}
	if (r <= 0 && cu->cu_feed) {
		struct feed *f = cu->cu_feed;

		cu->cu_feed = NULL;
		pthread_mutex_unlock(&s->s_mtx);
		s->s_ops->end(f);
		pthread_mutex_lock(&s->s_mtx);
	}
	cu->cu_busy = false;
	pthread_cond_broadcast(&s->s_moved);
	return came ? 1 : r;
}

ssize_t
seq_read(struct seq *s, void *buf, size_t len, uint64_t off)
{
	struct progress pg = {
	    .pg_what = "reading through",
	    .pg_name = s->s_name,
	    .pg_unit = "bytes",
	    .pg_total = off + len,
	};
	size_t done = 0;
	int r = 1;

	pthread_mutex_lock(&s->s_mtx);
	while (done < len && r > 0) {
		uint64_t at = off + done;
		struct chunk *c = at < s->s_end ? find(s, at / CHUNK) : NULL;
		uint32_t in = (uint32_t)(at % CHUNK);

		if (at >= s->s_end) {
			r = s->s_end_err;
		} else if (c && c->c_from <= in && in < c->c_to) {
			size_t n = c->c_to - in < len - done ? c->c_to - in : len - done;

			lru_out(c);
			lru_front(s, c);
			c->c_ref++;
			pthread_mutex_unlock(&s->s_mtx);
			memcpy((char *)buf + done, c->c_data + in, n);
			pthread_mutex_lock(&s->s_mtx);
			put(s, c);
			done += n;
		} else {
			r = run(s, at, off + len, &pg);
		}
	}
	pthread_mutex_unlock(&s->s_mtx);
	if (s->s_tell)
		PROGRESS_TELL(&pg, 1);
	return done || r >= 0 ? (ssize_t)done : r;
}
