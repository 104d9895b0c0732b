/*
 * Requests by io_uring instead of /dev/fuse: what a request costs is mostly that a thread on
 * another processor is woken up for it, and here it is served on the one it comes from, with
 * one system call instead of two.
 *
 * The kernel has a queue for each processor, and hands a request to an entry of the queue
 * where it was made; an entry is a place in our memory for the request and its answer.  It is
 * there to be taken while its thread waits in its ring.  So each thread has a ring and one
 * entry, and a queue has several threads: one that waits for the host holds up nobody while
 * there is another.  Processors that are not there have one thread for all of their queues.
 *
 * Threads wait until the kernel has agreed (FE_INIT_URING), and then serve until the
 * connection ends or they are told to stop.  The greeting, forgets, interrupts, and what we
 * tell the kernel of, go by /dev/fuse as ever, and libfuse's loop is there for them.
 *
 * A request is given to libfuse in the form in which it would have been read, and what libfuse
 * then writes becomes the answer (fe_wire.c).  The answer is handed over when the thread asks
 * for the next.
 *
 * All entries are there from the start: a new one gets no request that is waiting already.
 */
#ifndef RF_DAEMON_FE_URING_H
#define RF_DAEMON_FE_URING_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "daemon/fe.h"

struct fe_uring;

/* What the kernel says of its module's switch: 0; -ENOSYS: it does not know of it; -ENXIO: it
 * is off. */
int fe_uring_offered(void);
/* Makes the rings, of so many threads for each processor, or fewer if there is not enough of
 * something.  To be called before rights are given up.  0 or -errno. */
int fe_uring_new(
    struct fe *fe, struct fuse_session *se, unsigned threads, struct fe_uring **ret);
/* Starts the threads, which wait.  0 or -errno: then there are none. */
int fe_uring_start(struct fe_uring *ur);
/* The kernel has answered the greeting: they serve, or end. */
void fe_uring_go(struct fe_uring *ur, bool agreed);
/* Waits until each thread is done with what it is at, and ends it.  ur may be NULL. */
void fe_uring_stop(struct fe_uring *ur);
void fe_uring_free(struct fe_uring *ur);
/* How many there are. */
unsigned fe_uring_threads(const struct fe_uring *ur);
/* 0, or the first error that an entry was refused with: requests then come by /dev/fuse. */
int fe_uring_error(const struct fe_uring *ur);

/* This thread is at a request from a ring. */
bool fe_uring_serves(void);
/* What libfuse writes: if it is the answer to that request it is kept for it.  *ret as
 * writev(2). */
bool fe_uring_reply(const struct iovec *iov, int count, ssize_t *ret);

#endif
