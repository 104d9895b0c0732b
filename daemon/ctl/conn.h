/*
 * A connection to a daemon: lines of JSON both ways (PROTOCOL in rumpfusectl(8)).
 *
 * Nothing waits longer than it is told, whatever the other side sends or leaves out, and
 * what is kept of it is bounded.
 */
#ifndef RF_CTL_CONN_H
#define RF_CTL_CONN_H

#include <signal.h>
#include <sys/types.h>

#include "daemon/ctl/json.h"

#define CONN_FOREVER INT64_MAX

struct conn {
	int c_fd;      /* -1: there is none */
	GString *c_in; /* what has come and was not read yet */
	gsize c_seen;  /* so much of it has no end of line */
	uint64_t c_id; /* of the last request */
	pid_t c_pid;   /* of the daemon, and its user */
	uid_t c_uid;
	int c_wake; /* -1, or a descriptor that ends waiting when it can be read */
	const sigset_t *c_mask; /* signals while it waits, or NULL: as they are */
};

/* What a request came to. */
struct answer {
	JsonNode *a_root; /* the line; the rest lies in it */
	bool a_ok;
	JsonObject *a_result;        /* of a_ok; never NULL then */
	const char *a_code, *a_text; /* otherwise */
	JsonArray *a_log;            /* may be NULL */
};

/* Microseconds; what deadlines are in. */
int64_t conn_now(void);
/* seconds from now; 0: CONN_FOREVER. */
int64_t conn_deadline(double seconds);

void conn_init(struct conn *c);
/* 0 or -errno; -ETIMEDOUT: it does not take connections. */
int conn_open(struct conn *c, const char *path, int64_t deadline);
/* c may be used for conn_open again. */
void conn_close(struct conn *c);
void conn_done(struct conn *c);

/* An object for conn_send, with its op. */
JsonObject *request_new(const char *op);
/* Takes the request, and gives it an id, which is c_id then.  0 or -errno, -E2BIG if it is
 * longer than the protocol allows. */
int conn_send(struct conn *c, JsonObject *request, int64_t deadline);

/*
 * The answer to request `id`.  Lines about how far it is go to progress, which may be NULL.
 * 0; -EINTR: a signal or c_wake, call
 * again to go on; -ETIMEDOUT; -ECONNRESET: the daemon has closed the connection; -EPROTO
 * with *ret_why (a literal): what came is no answer.
 */
int conn_answer(struct conn *c, uint64_t id, int64_t deadline,
    void (*progress)(JsonObject *), struct answer *ret, const char **ret_why);
void answer_done(struct answer *a);

#endif
