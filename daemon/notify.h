/*
 * Telling the kernel that names or attributes it has cached are no longer good.
 *
 * Whoever changes the namespace (a key added or removed, a pending name that appears)
 * only puts a note into a queue; threads that serve no request send them.  Sending from a
 * request would deadlock: the kernel takes the directory's lock for it, which the
 * request's own caller may hold.
 *
 * Anybody who can list a directory can hold its lock for as long as he likes: the page
 * that he reads into may never come.  So there are queues, each with a thread:
 *	names    what attaching has changed, and what is to be dropped if nobody uses it.
 *	         Takes locks of directories and of pages.
 *	expire   what the host has changed, in directories that anybody may list.  Takes
 *	         their locks, and those of pages of their listings.
 *	attrs    attributes alone.  Takes none, so a request may wait for them (settle),
 *	         whatever lock its caller holds; but not for ever.
 *	pages    contents that have changed on the host, where there are no opens.  Takes
 *	         locks of pages, which a READ may hold that nobody serves as yet: a request
 *	         waits for these as long as others are left to serve, else hardly.
 * A note that is waiting already is not put twice.  When a queue that the host fills is
 * full, notes are lost, and the cache time is the bound.
 *
 * A thread that is held so cannot be freed, not even by taking away the mount.  So nobody
 * waits for one for longer than a moment, and the process ends without it
 * (notify_end).
 *
 * Notes hold node ids and names, no vnodes.  An id that the kernel does not know, or has
 * forgotten by the time, is refused by the kernel and nothing happens.
 *
 * The thread of the names also gives back what the C library keeps of freed memory, when
 * it is asked to and nobody has asked for a moment: that takes the locks of the heap for a
 * while.
 *
 * Locking: nt_mtx guards the queues and the flags; nothing is taken below it.
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

enum note_queue {
	NQ_NAMES,
	NQ_EXPIRE,
	NQ_ATTRS,
	NQ_PAGES,
	NQ_COUNT,
};

struct notes {
	struct notify *ns_nt;   /* c */
	const char *ns_comm;    /* c: of the thread */
	pthread_t ns_thread;    /* c */
	pthread_cond_t ns_cond; /* there is something to do */
	struct note *ns_first, **ns_tail;
	struct note **ns_hash;     /* chains of what is waiting */
	unsigned ns_count;         /* m: waiting */
	uint64_t ns_put, ns_sent;  /* m: how many there were, and are done */
	bool ns_started, ns_ended; /* m */
	bool ns_lost;              /* m: some did not fit */
};

struct notify {
	struct vfs *nt_vfs;         /* c */
	struct fuse_session *nt_se; /* c: NULL before the start */
	/* c once the kernel has said hello, and false where opens are told: it can drop nodes
	 * that nobody uses */
	bool nt_drops;
	pthread_mutex_t nt_mtx;
	struct notes nt_notes[NQ_COUNT];
	struct timespec nt_trim_at; /* m: when to trim the heap, CLOCK_MONOTONIC */
	bool nt_trim;               /* m: it is to be trimmed */
	pthread_cond_t nt_done;     /* an ns_sent has grown, or a thread has ended */
	unsigned nt_waiting;        /* m: for that */
	unsigned nt_in_pages;       /* m: requests that wait for pages */
	unsigned nt_serving;        /* c: threads that serve, at most; 0: many */
	bool nt_running;            /* m: notes are taken */
	bool nt_stop;               /* m: a thread ends when its queue is empty */
	bool nt_drop;               /* m: or not even then */
};

/* Puts itself in place as v's notifier.  Notes are dropped until it is started: the
 * kernel knows nothing as yet. */
void notify_init(struct notify *nt, struct vfs *v);
/* Starts the threads.  0 or -errno. */
int notify_start(struct notify *nt, struct fuse_session *se);
/* Trims the heap when this has not been called for a moment; arg: a struct notify. */
void notify_trim(void *arg);
/* Sends what is queued, but for no longer than a moment; later notes are dropped.  Requests
 * must still be served meanwhile. */
void notify_stop(struct notify *nt);
/* The connection is gone: drops what is queued and ends the threads.  False: the kernel
 * holds one.  Then the session must stay as it is and notify_done() not be called; when
 * it is set free it uses those two and nothing else.  Called once. */
bool notify_end(struct notify *nt);
void notify_done(struct notify *nt);

#endif
