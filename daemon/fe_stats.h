/*
 * What the front end counts, and what it is at (fe.h).
 *
 * Each thread that serves has a record of its own, which it alone writes, so that counting of
 * operations is plain stores; whoever asks adds them up.  What a thread has counted when it ends is
 * added to what those before it have.  A request is counted when it begins, and its error
 * and bytes before it is answered; its time when the thread is done with it, so that the
 * latest are in no histogram as yet.
 *
 * What is counted for keys and images (mnt_count) is not: those are sums of all threads, added
 * to atomically, once or twice a request, in cache lines of the mount's own.  Threads that serve the
 * same key share them; for a record of each thread and key there may be too many keys.
 *
 * A request begins when it has been read from the kernel and ends when its thread reads the
 * next (fe_wire.c), or with its function (fe_around.c), so that none can forget to end.  In
 * between the record says what it is:
 * operation, node, name, caller, since when.
 *
 * Times are kept in buckets: of one microsecond up to 8, then 8 for each power of two, up
 * to 134 seconds; what took longer is in the last.
 */
#ifndef RF_DAEMON_FE_STATS_H
#define RF_DAEMON_FE_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/fe.h"

#define FE_BUCKETS 201u

/* The bucket of a time, and the first number of microseconds that is not in a bucket any
 * more; UINT64_MAX for the last. */
unsigned fe_bucket(uint64_t ns);
uint64_t fe_bucket_end_us(unsigned bucket);

/* Of one operation. */
struct fe_sum {
	uint64_t fs_count, fs_errors, fs_bytes, fs_total_ns, fs_max_ns;
	uint64_t fs_bucket[FE_BUCKETS];
};

/* A time that so many parts in a thousand of the requests have not exceeded, as far as the
 * buckets tell; 0 where there are none. */
uint64_t fe_percentile_us(const struct fe_sum *fs, unsigned permille);

/* All that has been counted of an operation. */
void fe_sum_get(struct fe *fe, enum fe_op op, struct fe_sum *ret);
/* How many there were, of one operation. */
uint64_t fe_count(struct fe *fe, enum fe_op op);

/* A request that a thread is at. */
struct fe_running {
	uint64_t fr_thread, fr_seq; /* what thread, and which of its requests */
	uint64_t fr_since_ns;       /* CLOCK_MONOTONIC */
	uint64_t fr_node;
	pid_t fr_pid;
	int fr_op; /* enum fe_op; -1: not known as yet */
	char fr_name[256];
};
/* Those that have begun before that time, oldest first, in *ret, for free().  *ret_begun,
 * which may be NULL: a number that has changed if any has begun since. */
size_t fe_running_get(
    struct fe *fe, uint64_t before_ns, struct fe_running **ret, uint64_t *ret_begun);
/* fe_woken is to be called when this request ends.  False: it has. */
bool fe_running_watch(struct fe *fe, const struct fe_running *fr);

/* Something has begun that may wait: somebody is to look at it from time to time. */
void fe_stats_look(struct fe *fe);

/* For the front end. */
int fe_stats_init(struct fe *fe);
void fe_stats_done(struct fe *fe);
/* This thread has read a request (n bytes at buf), or is about to. */
void fe_stats_read(struct fe *fe, const void *buf, size_t n);
void fe_stats_end(struct fe *fe);
/* The same where nobody sees it being read: it is about this node and name of the caller. */
void fe_stats_ask(struct fe *fe, uint64_t node, pid_t pid, const char *name);
/* It is this operation. */
void fe_stats_begin(struct fe *fe, enum fe_op op, fuse_req_t req);
void fe_stats_error(struct fe *fe);
/* It is about this vnode. */
void fe_stats_vnode(const struct fe *fe, struct vnode *vp);
/* What it is at now is this name in its directory. */
void fe_stats_at(const struct fe *fe, const char *name, size_t len);
/* It has moved so many bytes, from and to what is not NULL. */
void fe_stats_moved(struct fe *fe, struct vnode *from, struct vnode *to, uint64_t n);

#endif
