/*
 * How requests come from the kernel: by io_uring (fe_uring.h) where it is wanted and can be
 * had, else from /dev/fuse.  Whatever of it fails before the kernel has agreed, it is said
 * why, and they come from /dev/fuse; the mount does not fail for it.
 */
#ifndef RF_DAEMON_TRANSPORT_H
#define RF_DAEMON_TRANSPORT_H

#include "daemon/session.h"

/* Mounted, and rights have not been given up: that rings are made needs some. */
void transport_prepare(struct session *s);
/* They have been given up: makes the threads. */
void transport_start(struct session *s);
/* The kernel has said hello. */
void transport_agreed(struct session *s);
/* No more requests are taken; waits for what has been.  The session's connection may be
 * closed afterwards. */
void transport_end(struct session *s);

/* "device" or "io-uring", and how many threads serve, at most; from any thread. */
const char *transport_name(struct session *s);
unsigned transport_threads(struct session *s);

#endif
