/*
 * The manager: the one thread that changes the namespace while it is served.
 *
 * Reloads, keys that are added and removed, images that are written back: whatever may wait
 * for the host and is no request is a job of this thread's, done one after the other, so
 * that the running configuration, the space and its images have one owner and need no lock.
 * The signal thread and the control thread only post jobs; neither ever waits for one, so
 * that the end can be asked for, and questions be answered, while the host does not answer.
 *
 * Without jobs it has images written back every few seconds.
 *
 * Locking: mg_mtx guards the queue; nothing is taken below it, no job is run under it.
 */
#ifndef RF_DAEMON_MANAGER_H
#define RF_DAEMON_MANAGER_H

#include <pthread.h>
#include <stdbool.h>

struct session;

/* Part of whatever the poster keeps; his again when it has been run. */
struct job {
	/* Called once, by the manager; s is NULL if the session ends before it was its turn
	 * (then perhaps by another thread). */
	void (*jb_run)(struct session *s, struct job *jb);
	struct job *jb_next; /* the queue's */
};

struct manager {
	struct session *mg_session; /* c */
	pthread_t mg_thread;        /* c */
	pthread_mutex_t mg_mtx;
	pthread_cond_t mg_cond; /* a job, or the end; or the thread has ended */
	struct job *mg_first, **mg_tail;
	bool mg_running; /* m: jobs are taken */
	bool mg_ended;   /* m: the thread has come to its end */
};

void manager_init(struct manager *mg);
/* Starts the thread.  0 or -errno. */
int manager_start(struct manager *mg, struct session *s);
/* From any thread; before the start and after the stop the job is turned away at once. */
void manager_post(struct manager *mg, struct job *jb);
/* Ends the thread when it is done with its job; what is queued is turned away.  False: it
 * has not ended within a moment, because the host holds it; then it goes on using the
 * session for as long as the process lives.  Harmless if it was not started. */
bool manager_stop(struct manager *mg);
void manager_done(struct manager *mg);

#endif
