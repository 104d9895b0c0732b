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
 * What it is at can be asked for, since it may wait for a host that does not answer: a job
 * has a name, and whatever calls the host for a part of it says for which (manager_at()).
 *
 * Locking: mg_mtx guards the queue and what it is at; nothing is taken below it, no job is
 * run under it.
 */
#ifndef RF_DAEMON_MANAGER_H
#define RF_DAEMON_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* Part of whatever the poster keeps; his again when it has been run. */
struct job {
	/* Called once, by the manager; s is NULL if the session ends before it was its turn
	 * (then perhaps by another thread). */
	void (*jb_run)(struct session *s, struct job *jb);
	const char *jb_what; /* "reload", "add" */
	const char *jb_path; /* of what, if that is known; or NULL */
	bool jb_joins; /* is done together with those of the same jb_run and jb_what */
	struct job *jb_same; /* those that joined it: jb_run is to see to them as well */
	struct job *jb_next; /* the queue's, or of those that joined */
};

#define MANAGER_TEXT_MAX 512u

/* What it is at. */
struct manager_work {
	uint64_t mw_seq;      /* another for each step of each job; 0: nothing */
	uint64_t mw_since_ns; /* CLOCK_MONOTONIC: that step, not the job */
	char mw_what[32];
	/* Cut where they are longer; "": not known. */
	char mw_path[MANAGER_TEXT_MAX], mw_host[MANAGER_TEXT_MAX];
};

struct manager {
	struct session *mg_session; /* c */
	pthread_t mg_thread;        /* c */
	pthread_mutex_t mg_mtx;
	pthread_cond_t mg_cond; /* a job, or the end; or the thread has ended */
	struct job *mg_first, **mg_tail;
	size_t mg_n;                 /* m: queued, with those that joined */
	struct manager_work mg_work; /* m */
	uint64_t mg_seq;             /* m: the last */
	const char *mg_path;         /* m: of the job that it is at; or NULL */
	bool mg_running;             /* m: jobs are taken */
	bool mg_ended;               /* m: the thread has come to its end */
};

void manager_init(struct manager *mg);
/* Starts the thread.  0 or -errno. */
int manager_start(struct manager *mg, struct session *s);
/* From any thread; before the start and after the stop the job is turned away at once. */
void manager_post(struct manager *mg, struct job *jb);
/* How many are queued and have not begun. */
size_t manager_queued(struct manager *mg);
/* Takes one out again that nobody wants any more.  False: it has begun. */
bool manager_withdraw(struct manager *mg, struct job *jb);
/* What it is at.  False: nothing. */
bool manager_work(struct manager *mg, struct manager_work *ret);
/* In the manager's thread (in others it does nothing): what comes now is about this path, and
 * asks the host for that object; host NULL: it does not
 * say; path NULL: the job's. */
void manager_at(const char *path, const char *host);
/* Ends the thread when it is done with its job; what is queued is turned away.  False: it
 * has not ended within a moment, because the host holds it; then it goes on using the
 * session for as long as the process lives.  Harmless if it was not started. */
bool manager_stop(struct manager *mg);
void manager_done(struct manager *mg);

#endif
