/*
 * The daemon that somebody asks for by its mount point, or by its socket.
 *
 * What fails says why in a text for the person who asked, and is one of the exit statuses.
 */
#ifndef RF_CTL_PEER_H
#define RF_CTL_PEER_H

#include "daemon/ctl/conn.h"
#include "daemon/ctl/find.h"

/* Exit statuses, rumpfusectl(8). */
enum {
	CTL_OK,
	CTL_REFUSED,  /* the daemon says no */
	CTL_USAGE,    /* the command line */
	CTL_NODAEMON, /* nobody to ask, or not allowed to */
	CTL_PROTOCOL, /* no answer in time, or one that cannot be understood */
	CTL_OUTPUT,   /* the result could not be written */
};

#define PEER_SECONDS 10 /* a daemon that can answer has done it by then */

struct peer {
	struct conn p_conn;
	GPtrArray *p_mounts;
	const struct mnt *p_mnt; /* NULL: by its socket alone */
	char *p_point;           /* where it is mounted; of peer_find, or of its hello */
	char **p_sockets;        /* to try */
	JsonNode *p_hello;       /* its answer; NULL before */
	double p_seconds;        /* how long to wait for an answer */
};

void peer_init(struct peer *p, double seconds);
/* Fills in p_point and p_sockets.  One of both is NULL. */
int peer_find(struct peer *p, const char *mountpoint, const char *socket, GString *why);
/* Connects, and exchanges hellos. */
int peer_dial(struct peer *p, GString *why);
/* Takes the request.  CTL_OK with *ret also for a refusal, which is a_ok. */
int peer_ask(struct peer *p, JsonObject *request, double seconds,
    void (*progress)(JsonObject *), struct answer *ret, GString *why);
/* What an error of conn_send or conn_answer means; unknown is its literal, or NULL. */
int peer_failed(
    struct peer *p, int err, const char *unknown, double seconds, GString *why);
JsonObject *peer_hello(const struct peer *p);
void peer_done(struct peer *p);

#endif
