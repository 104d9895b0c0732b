/*
 * Counting (fe_stats.h).
 *
 * What a thread is at is read by others while it changes: th_seq is odd while it does, and
 * another afterwards.  All of it is atomic, and what it costs a request is a few stores.
 *
 * Locking: fe_threads_mtx for the list of records and for what ended threads have counted;
 * it is taken when a thread comes or goes, and by those who ask.
 */
#include "daemon/fe_stats.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SUB_BITS   3u
#define SUBS       (1u << SUB_BITS)
#define TOP_BIT    26u /* of the last bucket but one, in microseconds */
#define NS_PER_US  1000u
#define NAME_WORDS 32u

_Static_assert(FE_BUCKETS == (TOP_BIT - SUB_BITS + 2) * SUBS + 1, "they reach to there");

/* Of one operation and one thread, which alone writes it.  A bucket that is nearly full is
 * poured into fe_ended. */
struct counts {
	_Atomic uint64_t c_count, c_errors, c_bytes, c_total_ns, c_max_ns;
	_Atomic uint32_t c_bucket[FE_BUCKETS];
};

/* In pages of its own: among what a thread allocates while it serves it would keep all below
 * it on the heap from being given back.  What it never does takes no memory. */
struct fe_thread {
	struct fe *th_fe;                      /* c */
	struct fe_thread *th_next, **th_prevp; /* fe_threads_mtx */
	uint64_t th_id;                        /* c */
	struct counts *th_now; /* the thread's: of what it is at; or NULL */
	bool th_counted;       /* the thread's: it has been counted for a key */
	/* What it is at: th_since_ns 0: nothing. */
	_Atomic uint64_t th_seq, th_since_ns, th_node;
	_Atomic pid_t th_pid;
	_Atomic int th_op;
	_Atomic uint64_t th_name[NAME_WORDS]; /* ends with a NUL */
	_Atomic bool th_watched;
	struct counts th_ops[FE_NOPS];
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

unsigned
fe_bucket(uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;
	unsigned top;

	if (us < SUBS)
		return (unsigned)us;
	top = 63u - (unsigned)__builtin_clzll(us);
	if (top > TOP_BIT)
		return FE_BUCKETS - 1;
	return (top - SUB_BITS + 1) * SUBS +
	       (unsigned)((us >> (top - SUB_BITS)) & (SUBS - 1));
}

uint64_t
fe_bucket_end_us(unsigned bucket)
{
	if (bucket >= FE_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < SUBS)
		return bucket + 1;
	return (uint64_t)(SUBS + bucket % SUBS + 1) << (bucket / SUBS - 1);
}

uint64_t
fe_percentile_us(const struct fe_sum *fs, unsigned permille)
{
	uint64_t n = 0, seen = 0, max_us = (fs->fs_max_ns + NS_PER_US - 1) / NS_PER_US;

	for (unsigned i = 0; i < FE_BUCKETS; i++)
		n += fs->fs_bucket[i];
	for (unsigned i = 0; i < FE_BUCKETS && n; i++) {
		seen += fs->fs_bucket[i];
		if (fs->fs_bucket[i] && seen * 1000 >= n * permille) {
			uint64_t end = fe_bucket_end_us(i);

			return end < max_us ? end : max_us;
		}
	}
	return 0;
}

/* By the one thread that writes it. */
static void
add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(
	    to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static uint64_t
get(_Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

/* Threads. */

static void
sum_add(struct fe_sum *fs, struct counts *c)
{
	uint64_t max = get(&c->c_max_ns);

	if (!get(&c->c_count))
		return;
	fs->fs_count += get(&c->c_count);
	fs->fs_errors += get(&c->c_errors);
	fs->fs_bytes += get(&c->c_bytes);
	fs->fs_total_ns += get(&c->c_total_ns);
	if (max > fs->fs_max_ns)
		fs->fs_max_ns = max;
	for (unsigned i = 0; i < FE_BUCKETS; i++)
		fs->fs_bucket[i] +=
		    atomic_load_explicit(&c->c_bucket[i], memory_order_relaxed);
}

/* What it has counted joins what those before it have. */
static void
thread_free(void *arg)
{
	struct fe_thread *th = arg;
	struct fe *fe = th->th_fe;

	pthread_mutex_lock(&fe->fe_threads_mtx);
	for (unsigned op = 0; op < FE_NOPS; op++)
		sum_add(&fe->fe_ended[op], &th->th_ops[op]);
	*th->th_prevp = th->th_next;
	if (th->th_next)
		th->th_next->th_prevp = th->th_prevp;
	pthread_mutex_unlock(&fe->fe_threads_mtx);
	munmap(th, sizeof(*th));
}

/* This thread's record, or NULL: no memory. */
static struct fe_thread *
mine(const struct fe *cfe)
{
	struct fe *fe = (struct fe *)(uintptr_t)cfe;
	struct fe_thread *th = pthread_getspecific(fe->fe_thread_key);

	if (th)
		return th;
	th = mmap(NULL, sizeof(*th), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	if (th == MAP_FAILED)
		return NULL;
	if (pthread_setspecific(fe->fe_thread_key, th) != 0) {
		munmap(th, sizeof(*th));
		return NULL;
	}
	th->th_fe = fe;
	pthread_mutex_lock(&fe->fe_threads_mtx);
	th->th_id = ++fe->fe_last_thread;
	th->th_next = fe->fe_threads;
	th->th_prevp = &fe->fe_threads;
	if (th->th_next)
		th->th_next->th_prevp = &th->th_next;
	fe->fe_threads = th;
	pthread_mutex_unlock(&fe->fe_threads_mtx);
	return th;
}

int
fe_stats_init(struct fe *fe)
{
	int r;

	fe->fe_ended = calloc(FE_NOPS, sizeof(*fe->fe_ended));
	if (!fe->fe_ended)
		return -ENOMEM;
	r = -pthread_key_create(&fe->fe_thread_key, thread_free);
	if (r < 0) {
		free(fe->fe_ended);
		return r;
	}
	pthread_mutex_init(&fe->fe_threads_mtx, NULL);
	return 0;
}

void
fe_stats_done(struct fe *fe)
{
	pthread_key_delete(fe->fe_thread_key);
	/* That of the thread that is here, if it has served. */
	while (fe->fe_threads)
		thread_free(fe->fe_threads);
	free(fe->fe_ended);
	pthread_mutex_destroy(&fe->fe_threads_mtx);
}

/* What it is at. */

/* Where the name is in the body of a request; -1: it has none that says where it is. */
static int
name_at(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_SYMLINK:
		return 0;
	case FUSE_MKNOD:
		return sizeof(struct fuse_mknod_in);
	case FUSE_MKDIR:
		return sizeof(struct fuse_mkdir_in);
	case FUSE_CREATE:
		return sizeof(struct fuse_create_in);
	case FUSE_RENAME:
		return sizeof(struct fuse_rename_in);
	case FUSE_RENAME2:
		return sizeof(struct fuse_rename2_in);
	case FUSE_LINK:
		return sizeof(struct fuse_link_in);
	default:
		return -1;
	}
}

static void
set(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to, n, memory_order_release);
}

static void
set_name(struct fe_thread *th, const char *name, size_t max)
{
	size_t len = strnlen(name, max), at = 0;
	uint64_t word;

	if (len > NAME_WORDS * sizeof(word) - 1)
		len = NAME_WORDS * sizeof(word) - 1;
	do {
		size_t n = len - at < sizeof(word) ? len - at : sizeof(word);

		word = 0;
		memcpy(&word, name + at, n);
		set(&th->th_name[at / sizeof(word)], word);
		at += sizeof(word);
	} while (at <= len); /* the NUL, too */
}

static void
note(struct fe_thread *th, uint64_t node, pid_t pid, const char *name, size_t max)
{
	uint64_t seq = get(&th->th_seq);

	atomic_store_explicit(&th->th_seq, seq + 1, memory_order_relaxed);
	set(&th->th_node, node);
	atomic_store_explicit(&th->th_pid, pid, memory_order_release);
	atomic_store_explicit(&th->th_op, -1, memory_order_release);
	set_name(th, name, max);
	set(&th->th_since_ns, now_ns());
	set(&th->th_seq, seq + 2);
	th->th_counted = false;
}

void
fe_stats_read(struct fe *fe, const void *buf, size_t n)
{
	const struct fuse_in_header *in = buf;
	struct fe_thread *th = mine(fe);
	int at;

	if (!th || n < sizeof(*in))
		return;
	at = name_at(in->opcode);
	if (at >= 0 && sizeof(*in) + (size_t)at < n)
		note(th, in->nodeid, (pid_t)in->pid, (const char *)buf + sizeof(*in) + at,
		    n - sizeof(*in) - (size_t)at);
	else
		note(th, in->nodeid, (pid_t)in->pid, "", 0);
}

void
fe_stats_ask(struct fe *fe, uint64_t node, pid_t pid, const char *name)
{
	struct fe_thread *th = mine(fe);

	if (th)
		note(th, node, pid, name, NAME_WORDS * sizeof(uint64_t));
}

static void
count_time(struct fe_thread *th, struct counts *c, uint64_t took)
{
	unsigned b = fe_bucket(took);
	uint32_t n = atomic_load_explicit(&c->c_bucket[b], memory_order_relaxed) + 1;

	if (n == UINT32_MAX) {
		pthread_mutex_lock(&th->th_fe->fe_threads_mtx);
		th->th_fe->fe_ended[c - th->th_ops].fs_bucket[b] += n;
		n = 0;
	}
	atomic_store_explicit(&c->c_bucket[b], n, memory_order_relaxed);
	if (n == 0)
		pthread_mutex_unlock(&th->th_fe->fe_threads_mtx);
}

static void
end(struct fe_thread *th)
{
	struct counts *c = th->th_now;

	if (c) {
		uint64_t took = now_ns() - get(&th->th_since_ns);

		add(&c->c_total_ns, took);
		count_time(th, c, took);
		if (took > get(&c->c_max_ns))
			atomic_store_explicit(&c->c_max_ns, took, memory_order_relaxed);
	}
	th->th_now = NULL;
	set(&th->th_since_ns, 0);
	if (atomic_load_explicit(&th->th_watched, memory_order_relaxed) &&
	    atomic_exchange(&th->th_watched, false) && th->th_fe->fe_woken)
		th->th_fe->fe_woken(th->th_fe->fe_woken_arg);
}

void
fe_stats_end(struct fe *fe)
{
	struct fe_thread *th = pthread_getspecific(fe->fe_thread_key);

	if (th && get(&th->th_since_ns))
		end(th);
}

void
fe_stats_look(struct fe *fe)
{
	if (!atomic_load_explicit(&fe->fe_looked_at, memory_order_relaxed) &&
	    fe->fe_woken && !atomic_exchange(&fe->fe_looked_at, true))
		fe->fe_woken(fe->fe_woken_arg);
}

void
fe_stats_begin(struct fe *fe, enum fe_op op, fuse_req_t req)
{
	struct fe_thread *th = mine(fe);

	if (!th)
		return;
	/* Without the wire this is where it begins, and the one before ends. */
	if (th->th_now)
		end(th);
	if (!get(&th->th_since_ns))
		note(th, 0, fuse_req_ctx(req)->pid, "", 0);
	atomic_store_explicit(&th->th_op, (int)op, memory_order_release);
	th->th_now = &th->th_ops[op];
	add(&th->th_now->c_count, 1);
	fe_stats_look(fe);
}

void
fe_stats_error(struct fe *fe)
{
	struct fe_thread *th = mine(fe);

	if (th && th->th_now)
		add(&th->th_now->c_errors, 1);
}

void
fe_stats_vnode(const struct fe *fe, struct vnode *vp)
{
	struct fe_thread *th = mine(fe);
	int op = th ? atomic_load_explicit(&th->th_op, memory_order_relaxed) : FE_FORGET;

	/* The first that a request is about.  Forgetting is nobody's wish. */
	if (op == FE_FORGET || th->th_counted)
		return;
	th->th_counted = true;
	atomic_fetch_add_explicit(
	    &vp->v_mount->mnt_count.mc_ops, 1, memory_order_relaxed);
}

void
fe_stats_at(const struct fe *fe, const char *name, size_t len)
{
	struct fe_thread *th = mine(fe);

	if (th)
		set_name(th, name, len);
}

void
fe_stats_moved(struct fe *fe, struct vnode *from, struct vnode *to, uint64_t n)
{
	struct fe_thread *th = mine(fe);

	if (th && th->th_now)
		add(&th->th_now->c_bytes, n);
	if (from)
		atomic_fetch_add_explicit(
		    &from->v_mount->mnt_count.mc_read, n, memory_order_relaxed);
	if (to)
		atomic_fetch_add_explicit(
		    &to->v_mount->mnt_count.mc_written, n, memory_order_relaxed);
}

/* Asking. */

void
fe_sum_get(struct fe *fe, enum fe_op op, struct fe_sum *ret)
{
	pthread_mutex_lock(&fe->fe_threads_mtx);
	*ret = fe->fe_ended[op];
	for (struct fe_thread *th = fe->fe_threads; th; th = th->th_next)
		sum_add(ret, &th->th_ops[op]);
	pthread_mutex_unlock(&fe->fe_threads_mtx);
}

uint64_t
fe_count(struct fe *fe, enum fe_op op)
{
	uint64_t n;

	pthread_mutex_lock(&fe->fe_threads_mtx);
	n = fe->fe_ended[op].fs_count;
	for (struct fe_thread *th = fe->fe_threads; th; th = th->th_next)
		n += get(&th->th_ops[op].c_count);
	pthread_mutex_unlock(&fe->fe_threads_mtx);
	return n;
}

static uint64_t
get_new(_Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_acquire);
}

/* False: it is at nothing that long. */
static bool
read_thread(struct fe_thread *th, uint64_t before_ns, struct fe_running *ret)
{
	_Static_assert(
	    sizeof(ret->fr_name) == NAME_WORDS * sizeof(uint64_t), "all of it");
	uint64_t seq;

	do {
		seq = get_new(&th->th_seq);
		ret->fr_since_ns = get_new(&th->th_since_ns);
		if (seq % 2 || ret->fr_since_ns == 0 || ret->fr_since_ns >= before_ns)
			return false; /* it has just begun, or nothing has */
		ret->fr_node = get_new(&th->th_node);
		ret->fr_pid = atomic_load_explicit(&th->th_pid, memory_order_acquire);
		ret->fr_op = atomic_load_explicit(&th->th_op, memory_order_acquire);
		for (unsigned i = 0; i < NAME_WORDS; i++) {
			uint64_t word = get_new(&th->th_name[i]);

			memcpy(ret->fr_name + i * sizeof(word), &word, sizeof(word));
		}
	} while (get(&th->th_seq) != seq);
	ret->fr_name[sizeof(ret->fr_name) - 1] = '\0';
	ret->fr_thread = th->th_id;
	ret->fr_seq = seq;
	return true;
}

static int
by_age(const void *a, const void *b)
{
	const struct fe_running *x = a, *y = b;

	return (x->fr_since_ns > y->fr_since_ns) - (x->fr_since_ns < y->fr_since_ns);
}

size_t
fe_running_get(
    struct fe *fe, uint64_t before_ns, struct fe_running **ret, uint64_t *ret_begun)
{
	struct fe_running *all;
	uint64_t begun;
	size_t n = 0;

	pthread_mutex_lock(&fe->fe_threads_mtx);
	begun = fe->fe_last_thread;
	for (struct fe_thread *th = fe->fe_threads; th; th = th->th_next) {
		begun += get(&th->th_seq);
		n++;
	}
	all = calloc(n + 1, sizeof(*all));
	n = 0;
	for (struct fe_thread *th = fe->fe_threads; all && th; th = th->th_next)
		n += read_thread(th, before_ns, &all[n]);
	pthread_mutex_unlock(&fe->fe_threads_mtx);
	if (n > 1)
		qsort(all, n, sizeof(*all), by_age);
	if (ret_begun)
		*ret_begun = begun;
	*ret = all;
	return n;
}

bool
fe_running_watch(struct fe *fe, const struct fe_running *fr)
{
	struct fe_thread *th;
	bool is;

	pthread_mutex_lock(&fe->fe_threads_mtx);
	for (th = fe->fe_threads; th && th->th_id != fr->fr_thread; th = th->th_next)
		;
	if (th)
		atomic_store(&th->th_watched, true);
	is = th && atomic_load(&th->th_seq) == fr->fr_seq &&
	     atomic_load(&th->th_since_ns) != 0;
	pthread_mutex_unlock(&fe->fe_threads_mtx);
	return is;
}
