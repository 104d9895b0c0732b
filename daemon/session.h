/*
 * A session: one configuration mounted at one place, from the command line to the exit
 * code.
 *
 * Order.  Options and configuration are read and the mount point is made ready by the
 * first process, so that errors are on the terminal.  Then it forks (background.h), and
 * the child makes the namespace, mounts, and serves.  Threads: the main thread waits in
 * libfuse's loop; libfuse's workers serve; one thread takes signals (signals.c), one
 * changes the namespace (manager.h); three tell the kernel of changes (notify.h).
 *
 * End.  umount(8) ends the loop by itself.  SIGTERM: what has been read from the kernel
 * is answered, then the loop is left.  In both cases the mount is taken away if it is
 * still there, files that were open are closed, and everything is freed.  A thread that
 * the kernel holds (notify.h) keeps the process as a zombie until it is set free; nothing
 * else waits for it.
 */
#ifndef RF_DAEMON_SESSION_H
#define RF_DAEMON_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/apply.h"
#include "daemon/background.h"
#include "daemon/catalog.h"
#include "daemon/control.h"
#include "daemon/fe.h"
#include "daemon/manager.h"
#include "daemon/notify.h"
#include "daemon/readiness.h"

struct options;

struct session {
	const struct options *s_opt; /* c */
	struct conf *s_conf;         /* the manager's, once it runs */
	const char *s_source;        /* c: what /proc/mounts shows */
	char *s_mountpoint;          /* c: absolute */
	uint64_t s_dev;              /* c: st_dev of the mount */
	const char *s_given;       /* c: /dev/fd/N: who started us has mounted already */
	int s_lock;                /* on the mount point, until it is mounted; or -1 */
	bool s_forked;             /* c: this is the child */
	size_t s_nkeys, s_nimages; /* c: at the start */
	unsigned s_nthreads;       /* c: that serve, at most */
	struct space s_space;
	struct fe s_fe;
	/* made before rights are given up; the tree's from when passthrough is agreed on */
	struct rumpfs_store *s_store;
	struct notify s_notify;
	struct manager s_manager;
	struct catalog_place s_catalog;
	struct control *s_control; /* c once it serves; or NULL */
	uint64_t s_slow_ns;        /* c: requests that wait longer are told of; 0: none */
	uint64_t s_began_ns;       /* c: CLOCK_MONOTONIC */
	atomic_bool s_rdonly;      /* a: the whole of it; the manager changes it */
	struct readiness s_readiness;
	struct job s_reload;        /* SIGHUP's */
	atomic_bool s_reload_asked; /* it is queued */
	struct fuse_session *s_se;
	struct fe_uring *s_uring; /* c once it serves; or NULL: all comes by /dev/fuse */
	atomic_bool s_by_rings;   /* a: the kernel has agreed to it */
	struct background s_bg;
	bool s_held;            /* the main thread's: the kernel holds a notifier */
	bool s_stuck;           /* the main thread's: the host holds the manager */
	pthread_t s_main;       /* c */
	pthread_t s_signals;    /* c */
	atomic_bool s_stopping; /* a signal asked for the end */
	atomic_bool s_ended;    /* the loop has been left */
};

/* An exit code. */
int session_run(const struct options *o);
/* rumpfuse --check: an exit code. */
int session_check(const struct options *o);
/* rumpfuse --check --diff: an exit code. */
int session_diff(const struct options *o);

/* Is the session's mount on top at its place? */
bool session_is_mounted(const struct session *s);

/* Before anything is done: signals that say nothing to us have no effect from here on. */
void signals_init(void);
/* Before there is a mount: blocks the signals that the signal thread takes, in this thread and
 * those it makes.  Up to then TERM and INT end the process. */
void signals_block(void);
/* Starts it, from the main thread.  0 or -errno. */
int signals_start(struct session *s);
/* Ends it; the loop has been left. */
void signals_stop(struct session *s);

#endif
