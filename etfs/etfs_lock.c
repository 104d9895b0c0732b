/*
 * Range locks: windows against other processes.
 *
 * A writable window holds an exclusive, a read-only one a shared lock on exactly its
 * bytes of the host file.  The locks are open file description locks: they belong to an
 * fd, and one fd for each host file carries the locks of all windows in it, so keys of
 * one daemon never refuse one another.
 *
 * Windows may overlap, and the host knows only one lock for each byte of an fd.  So a
 * host file has a sorted array of segments, each with the number of writable and of
 * read-only windows that cover it; a segment reaches to the beginning of the next one,
 * the last one is never covered.  From the two numbers follows the lock a segment must
 * have: exclusive if there is a writable window, else shared if there is any, else
 * none.  Adding or removing a window changes the numbers of the segments in it, and the
 * locks of those where that makes a difference, neighbours in one call.
 *
 * Cost: a binary search and, for windows that come in ascending order, O(1) besides.
 * Windows in random order move half of the array (24 bytes a segment).  Boundaries that
 * nothing needs any more are squeezed out when enough windows have gone.  The host's own
 * list of locks is linear: adjacent windows of one kind become one lock there, but each
 * of n windows with gaps between them costs the host a walk along the others (measured:
 * 5,000 such windows of one file take half a second, 20,000 ten; lock = no avoids it).
 *
 * An exclusive lock wants an fd that is open for writing, which is not opened before it
 * is needed: an open file that nobody writes to would keep the host from other things
 * (running it, remounting read-only).  When the first writable window comes, a new fd
 * takes over all shared locks, and then the old one is closed, so nothing is unlocked in
 * between.
 *
 * Locking: everything here is under e_lock_mtx, which is held across host calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etfs/etfs_private.h"

struct lockseg {
	uint64_t ls_begin;
	uint32_t ls_nwr, ls_nrd; /* windows that cover it: writable, read-only */
	uint32_t ls_edges;       /* windows that begin or end where it begins */
};

struct hostlock {
	struct hostlock *hl_next;
	uint64_t hl_dev, hl_ino;
	int hl_fd;
	bool hl_writable;
	uint64_t hl_windows;
	struct lockseg *hl_seg;
	uint32_t hl_n, hl_cap;
	uint32_t hl_drops; /* since the boundaries were squeezed */
};

static int
level(uint32_t nwr, uint32_t nrd)
{
	return nwr ? F_WRLCK : nrd ? F_RDLCK : F_UNLCK;
}

/* How many segments begin at or before x. */
static uint32_t
upto(const struct hostlock *hl, uint64_t x)
{
	uint32_t lo = 0, hi = hl->hl_n;

	/* Ascending windows are looked for at the end. */
	if (hi && hl->hl_seg[hi - 1].ls_begin <= x)
		return hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (hl->hl_seg[mid].ls_begin <= x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The segment that begins at x, made if needed; there is room for it. */
static uint32_t
split(struct hostlock *hl, uint64_t x)
{
	uint32_t p = upto(hl, x);
	struct lockseg s = {x, 0, 0, 0};

	if (p && hl->hl_seg[p - 1].ls_begin == x)
		return p - 1;
	if (p) {
		s.ls_nwr = hl->hl_seg[p - 1].ls_nwr;
		s.ls_nrd = hl->hl_seg[p - 1].ls_nrd;
	}
	memmove(hl->hl_seg + p + 1, hl->hl_seg + p, (hl->hl_n - p) * sizeof(s));
	hl->hl_seg[p] = s;
	hl->hl_n++;
	return p;
}

static int
reserve(struct hostlock *hl)
{
	uint32_t cap = hl->hl_cap ? hl->hl_cap * 2 : 8;
	struct lockseg *p;

	if (hl->hl_n + 2 <= hl->hl_cap)
		return 0;
	p = realloc(hl->hl_seg, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	hl->hl_seg = p;
	hl->hl_cap = cap;
	return 0;
}

/* Takes out the boundaries that are no window's edge any more. */
static void
squeeze(struct hostlock *hl)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < hl->hl_n; i++)
		if (hl->hl_seg[i].ls_edges)
			hl->hl_seg[to++] = hl->hl_seg[i];
	hl->hl_n = to;
	hl->hl_drops = 0;
}

/* What one more (delta 1) or one less (-1) window over the segments means for their
 * locks. */
struct change {
	uint32_t c_first, c_end; /* segments */
	int c_delta;
	bool c_exclusive;
};

static int
level_after(const struct lockseg *s, const struct change *c)
{
	uint32_t d = (uint32_t)c->c_delta;

	return c->c_exclusive ? level(s->ls_nwr + d, s->ls_nrd)
	                      : level(s->ls_nwr, s->ls_nrd + d);
}

/* One host call for each run of segments that go from one lock to another.  back: from
 * the new to the old one instead.  Returns how far it came in *ret_done. */
static int
relock(const struct hostlock *hl, const struct change *c, uint32_t end, bool back,
    pid_t *ret_pid, uint32_t *ret_done)
{
	const struct lockseg *s = hl->hl_seg;
	uint32_t i = c->c_first, j;
	int r = 0;

	for (; i < end; i = j) {
		int was = level(s[i].ls_nwr, s[i].ls_nrd), is = level_after(&s[i], c);

		for (j = i + 1; j < end; j++)
			if (level(s[j].ls_nwr, s[j].ls_nrd) != was ||
			    level_after(&s[j], c) != is)
				break;
		if (was == is)
			continue;
		r = hc_lock(hl->hl_fd, back ? was : is, s[i].ls_begin,
		    s[j].ls_begin - s[i].ls_begin, ret_pid);
		if (r < 0 && !back)
			break;
	}
	if (ret_done)
		*ret_done = i;
	return back ? 0 : r;
}

static void
count(struct hostlock *hl, const struct change *c)
{
	hl->hl_seg[c->c_first].ls_edges += (uint32_t)c->c_delta;
	hl->hl_seg[c->c_end].ls_edges += (uint32_t)c->c_delta;
	for (uint32_t i = c->c_first; i < c->c_end; i++) {
		uint32_t *n =
		    c->c_exclusive ? &hl->hl_seg[i].ls_nwr : &hl->hl_seg[i].ls_nrd;
		*n += (uint32_t)c->c_delta;
	}
}

/* The table of host files with windows. */

static struct hostlock **
bucket(const struct etfs *e, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 40) * 0x9e3779b97f4a7c15ull;

	return &e->e_locks[(h >> 32) & (e->e_lock_size - 1)];
}

static int
table_room(struct etfs *e)
{
	uint32_t osize = e->e_lock_size, size = osize ? osize * 2 : 64;
	struct hostlock **old = e->e_locks, **h;

	if (e->e_lock_count < osize)
		return 0;
	h = calloc(size, sizeof(struct hostlock *));
	if (!h)
		return osize ? 0 : -ENOMEM;
	e->e_locks = h;
	e->e_lock_size = size;
	for (uint32_t i = 0; i < osize; i++) {
		struct hostlock *hl, *next;

		for (hl = old[i]; hl; hl = next) {
			struct hostlock **b = bucket(e, hl->hl_dev, hl->hl_ino);

			next = hl->hl_next;
			hl->hl_next = *b;
			*b = hl;
		}
	}
	free(old);
	return 0;
}

static int
find_or_make(struct etfs *e, const struct hc_stat *hs, struct hostlock **ret)
{
	struct hostlock *hl, **b;
	int r = table_room(e);

	if (r < 0)
		return r;
	b = bucket(e, hs->hs_dev, hs->hs_ino);
	for (hl = *b; hl; hl = hl->hl_next)
		if (hl->hl_dev == hs->hs_dev && hl->hl_ino == hs->hs_ino)
			break;
	if (!hl) {
		hl = calloc(1, sizeof(*hl));
		if (!hl)
			return -ENOMEM;
		hl->hl_dev = hs->hs_dev;
		hl->hl_ino = hs->hs_ino;
		hl->hl_fd = -1;
		hl->hl_next = *b;
		*b = hl;
		e->e_lock_count++;
	}
	*ret = hl;
	return 0;
}

static void
free_unused(struct etfs *e, struct hostlock *hl)
{
	struct hostlock **b = bucket(e, hl->hl_dev, hl->hl_ino);

	if (hl->hl_windows)
		return;
	while (*b != hl)
		b = &(*b)->hl_next;
	*b = hl->hl_next;
	e->e_lock_count--;
	hc_close(hl->hl_fd);
	free(hl->hl_seg);
	free(hl);
}

/* Sees to it that there is an fd for the lock; fd is any of the host file. */
static int
lock_fd(struct etfs *e, struct hostlock *hl, int fd, bool exclusive)
{
	int nfd, r = 0;

	if (hl->hl_fd >= 0 && (hl->hl_writable || !exclusive))
		return 0;
	nfd = WITH_FDS(
	    e, hc_reopen(fd, (exclusive ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY));
	if (nfd < 0)
		return nfd;
	/* All locks so far are shared ones, and both fds can have them. */
	for (uint32_t i = 0; r == 0 && hl->hl_fd >= 0 && i + 1 < hl->hl_n; i++)
		if (hl->hl_seg[i].ls_nrd)
			r = hc_lock(nfd, F_RDLCK, hl->hl_seg[i].ls_begin,
			    hl->hl_seg[i + 1].ls_begin - hl->hl_seg[i].ls_begin, NULL);
	if (r < 0) {
		hc_close(nfd);
		return r;
	}
	hc_close(hl->hl_fd);
	hl->hl_fd = nfd;
	hl->hl_writable = exclusive;
	return 0;
}

static int
add_locked(struct etfs *e, struct hostlock *hl, int fd, const struct etfs_range *r,
    bool exclusive, pid_t *ret_pid)
{
	struct change c = {.c_delta = 1, .c_exclusive = exclusive};
	uint32_t done;
	int err = lock_fd(e, hl, fd, exclusive);

	if (err == 0)
		err = reserve(hl);
	if (err < 0)
		return err;
	c.c_first = split(hl, r->r_begin);
	c.c_end = split(hl, range_end(r));
	err = relock(hl, &c, c.c_end, false, ret_pid, &done);
	if (err < 0) {
		relock(hl, &c, done, true, NULL, NULL);
		return err;
	}
	count(hl, &c);
	hl->hl_windows++;
	return 0;
}

/* Locks a window of the host file that *hs describes and fd is any fd of.  -EAGAIN:
 * another process has it, *ret_pid if known.  An empty window needs no lock: *ret is
 * NULL. */
int
hostlock_add(struct etfs *e, const struct hc_stat *hs, int fd, const struct etfs_range *r,
    bool exclusive, pid_t *ret_pid, struct hostlock **ret)
{
	struct hostlock *hl;
	int err;

	if (r->r_len == 0) {
		*ret = NULL;
		return 0;
	}
	pthread_mutex_lock(&e->e_lock_mtx);
	err = find_or_make(e, hs, &hl);
	if (err == 0) {
		err = add_locked(e, hl, fd, r, exclusive, ret_pid);
		if (err == 0)
			*ret = hl;
		else
			free_unused(e, hl);
	}
	pthread_mutex_unlock(&e->e_lock_mtx);
	return err;
}

/* The other way; r and exclusive are what it was added with. */
void
hostlock_drop(
    struct etfs *e, struct hostlock *hl, const struct etfs_range *r, bool exclusive)
{
	struct change c = {.c_delta = -1, .c_exclusive = exclusive};

	if (!hl)
		return;
	pthread_mutex_lock(&e->e_lock_mtx);
	if (hl->hl_windows-- > 1) {
		c.c_first = upto(hl, r->r_begin) - 1;
		c.c_end = upto(hl, range_end(r)) - 1;
		/* Giving up what one has is not refused. */
		(void)relock(hl, &c, c.c_end, false, NULL, NULL);
		count(hl, &c);
		if (++hl->hl_drops > hl->hl_n / 2 + 16)
			squeeze(hl);
	}
	free_unused(e, hl);
	pthread_mutex_unlock(&e->e_lock_mtx);
}

/* All of them, with the last key. */
void
hostlock_done(struct etfs *e)
{
	for (uint32_t i = 0; i < e->e_lock_size; i++)
		while (e->e_locks[i]) {
			e->e_locks[i]->hl_windows = 0;
			free_unused(e, e->e_locks[i]);
		}
	free(e->e_locks);
}
