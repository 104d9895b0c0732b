/*
 * Telling the kernel that names or attributes it has cached are no longer good.
 *
 * Whoever changes the namespace (a key added or removed, a pending name that appears)
 * only puts a note into a queue; a thread that serves no request sends them.  Sending
 * from a request would deadlock: the kernel takes the directory's lock for it, which the
 * request's own caller may hold.
 *
 * Attributes alone are the one thing that could be sent from anywhere; they go the same
 * way, and who needs them to be there (settle) waits, but not for ever: the thread may be
 * held up by a request that waits for a thread that waits here.
 *
 * Notes hold node ids and names, no vnodes.  An id that the kernel does not know, or has
 * forgotten by the time, is refused by the kernel and nothing happens.
 *
 * The same thread gives back what the C library keeps of freed memory, when it is asked to
 * and nobody has asked for a moment: that takes the locks of the heap for a while.
 *
 * Locking: nt_mtx guards the queue and the flags; nothing is taken below it.
 */
#ifndef RF_DAEMON_NOTIFY_H
#define RF_DAEMON_NOTIFY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vfs/mount.h"

struct fuse_session;
struct note;

struct notify {
	struct vfs *nt_vfs;         /* c */
	struct fuse_session *nt_se; /* m: NULL before the start */
	pthread_t nt_thread;
	pthread_mutex_t nt_mtx;
	pthread_cond_t nt_cond;
	struct note *nt_first, **nt_tail; /* m */
	struct timespec nt_trim_at;       /* m: when to trim the heap, CLOCK_MONOTONIC */
	bool nt_trim;                     /* m: it is to be trimmed */
	uint64_t nt_put, nt_sent;         /* m: how many there were, and are done */
	pthread_cond_t nt_done;           /* nt_sent has grown */
	unsigned nt_waiting;              /* m: for that */
	bool nt_running;                  /* m: notes are taken */
	bool nt_stop;                     /* m: the thread ends when the queue is empty */
};

/* Puts itself in place as v's notifier.  Notes are dropped until it is started: the
 * kernel knows nothing as yet. */
void notify_init(struct notify *nt, struct vfs *v);
/* Starts the thread.  0 or -errno. */
int notify_start(struct notify *nt, struct fuse_session *se);
/* Trims the heap when this has not been called for a moment; arg: a struct notify. */
void notify_trim(void *arg);
/* Sends what is queued and ends the thread; later notes are dropped.  Requests must still
 * be served meanwhile, or the connection be gone.  May be called again. */
void notify_stop(struct notify *nt);
void notify_done(struct notify *nt);

#endif
