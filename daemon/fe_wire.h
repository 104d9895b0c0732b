/*
 * Between the kernel and libfuse: requests that the libfuse at hand does not know.
 *
 * The kernel's newer requests (a file without a name, the time of birth) are optional: a
 * daemon that does not answer them is asked no more.  Where libfuse is older than the
 * kernel they are taken out of the stream here, answered, and libfuse sees the others.
 * libfuse reads and writes through fuse_session_custom_io() for that.
 */
#ifndef RF_DAEMON_FE_WIRE_H
#define RF_DAEMON_FE_WIRE_H

#include "daemon/fe.h"

/* Puts itself between; fd is where the requests come from: of the mounted session, or of a
 * socket pair.  The session's user data is a struct fe.  0 or -errno. */
int fe_wire_start(struct fuse_session *se, int fd);

#endif
