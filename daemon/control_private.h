/*
 * What the files of the control socket share.
 *
 *   control.c       the socket, the thread, who is let in
 *   control_conn.c  a connection: lines in, answers out
 *   control_ops.c   what is asked: answered at once, or made a job of the manager's
 *   control_json.c, control_scan.c  the form of the lines
 *   control_stats.c, control_explain.c   the longer answers
 *   control_slow.c  requests that wait: told, and listed
 *
 * A connection is the control thread's alone.  A task, once posted, is the manager's, and
 * comes back by ct_done; its connection may have gone by then, so it knows that by a number.
 *
 * Letters on fields: c constant after creation · t ct_mtx
 */
#ifndef RF_DAEMON_CONTROL_PRIVATE_H
#define RF_DAEMON_CONTROL_PRIVATE_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/catalog.h"
#include "daemon/control.h"
#include "daemon/control_json.h"
#include "daemon/manager.h"

#define CONTROL_LINE_MAX 65536u

/* What the manager is asked to do. */
struct task {
	struct job t_job; /* the first member */
	struct control *t_control;
	uint64_t t_conn;
	char *t_id; /* the request's, as JSON */
	int (*t_do)(struct session *s, struct task *t);
	char *t_arg;  /* the key, the path; or NULL */
	char *t_path; /* the path of that, for people; or NULL */
	bool t_rdonly;
	GString *t_result; /* JSON, of t_do; or NULL */
	GString *t_log;    /* JSON: what it has logged, a list without its brackets */
	char *t_why;       /* the last error that was logged, or NULL */
	int t_r;           /* 0 or -errno */
	struct task *t_next;
};

struct conn {
	int cn_fd;
	uint64_t cn_id;      /* no other connection has had it */
	uint64_t cn_used_ns; /* when anything came or went last */
	char *cn_in;         /* NULL while nothing is there */
	size_t cn_nin, cn_cap;
	GString *cn_out; /* what is to be sent; NULL: nothing */
	size_t cn_sent;
	struct listing *cn_listing; /* what is to follow cn_out, with its end; or NULL */
	struct task
	    *cn_task; /* its request that the manager has, or that is done; or NULL */
	bool cn_eof;  /* nothing more comes */
	bool cn_last; /* closes once cn_out is sent */
	bool cn_more; /* there may be a line in cn_in that has not been looked at */
};

struct control {
	struct session *ct_session; /* c */
	int ct_listen, ct_wake;     /* c */
	char *ct_path;              /* c */
	char *ct_why;               /* c: why there is no socket; or NULL */
	uint64_t ct_dev, ct_ino;    /* c: of the socket at ct_path */
	pthread_t ct_thread;        /* c once ct_started */
	bool ct_started;
	unsigned ct_max;        /* c: connections */
	struct conn **ct_conns; /* ct_max; the thread's, as the next two */
	unsigned ct_nconns;
	uint64_t ct_last_id;
	uint64_t ct_full_ns; /* no descriptor was to be had then; 0 */
	/* control_slow.c; the thread's */
	struct slow *ct_slow; /* requests that have been told of */
	size_t ct_nslow;
	bool ct_looking;       /* a round is to come */
	uint64_t ct_looked_ns; /* when the last was */
	uint64_t ct_begun;     /* fe_running_get()'s, then */
	uint64_t ct_work_seq,
	    ct_work_since_ns;     /* the manager's step that was told; or 0 */
	uint64_t ct_work_said_ns; /* when its clients were told last */
	char *ct_work_what;
	pthread_mutex_t ct_mtx;
	struct task *ct_done;  /* t: run, to be answered */
	GString *ct_news;      /* t: how far the manager's task is, a line; or NULL */
	uint64_t ct_news_conn; /* t: whose */
	bool ct_stop;          /* t */
};

uint64_t control_now_ns(void);
/* Tells all for whom the manager is to do something what it waits for. */
void control_tell_waiting(struct control *ct, const char *what, uint64_t seconds);

/* control_conn.c */
struct conn *conn_new(int fd, uint64_t id);
void conn_free(struct conn *cn);
/* What poll(2) is to wait for. */
short conn_wants(const struct conn *cn);
/* Something of that has come.  False: the connection is at its end. */
bool conn_serve(struct control *ct, struct conn *cn, short revents);
/* Has been asked for something that is not done, or not taken, as yet. */
bool conn_busy(const struct conn *cn);
/* How far its task is, a line; taken over, and left out if it does not take what came before.
 * False as above. */
bool conn_tell(struct conn *cn, GString *line);
/* An answer, finished by its newline; taken over.  False as above. */
bool conn_answer(struct control *ct, struct conn *cn, GString *answer);

/* control_ops.c */
/* One line, without its newline: the answer, or NULL: the manager has it, as cn_task.
 * *ret_last: nothing more is to be taken from there. */
GString *control_request(
    struct control *ct, struct conn *cn, const char *line, size_t len, bool *ret_last);
/* The next piece of cn_listing, which goes with the last. */
GString *control_list_more(struct conn *cn);
/* A line for who waits for it. */
GString *task_waits(const struct task *t, const char *what, uint64_t seconds);
/* The answer to a task that has been run; frees it. */
GString *task_answer(struct task *t);
void task_free(struct task *t);
/* From the manager: it has been run. */
void control_task_done(struct task *t);
/* From the manager: a line of how far it is; taken over. */
void control_task_tell(struct task *t, GString *line);

/* The entries of a list, from what there is now, put to out in pieces, without the brackets.
 * False: that was the last. */
struct listing *listing_new(struct session *s);
bool listing_put(struct listing *li, GString *out);
void listing_free(struct listing *li);

/* Results: members into an object that is open. */
void control_explain(
    struct session *s, const char *path, struct jw *w); /* path is normalised */
/* The entry that rules a normalised path, or NULL. */
const struct entry *control_ruler(
    struct session *s, const struct catalog *cg, const char *path);
void control_stats(struct session *s, bool buckets, struct jw *w);

/* Does the kernel use files of the host without us? */
bool control_passes(const struct session *s);
void control_waiting(struct session *s, struct jw *w);

/* control_slow.c */
/* Looks for requests that wait too long, if it is time to.  In how many milliseconds it is
 * again, or -1: when it is woken. */
int slow_rounds(struct control *ct);
void slow_done(struct control *ct);

#endif
