/*
 * Between the kernel and libfuse: requests that the libfuse at hand does not know.
 *
 * The kernel's newer requests (a file without a name, the time of birth) are optional: a
 * daemon that does not answer them is asked no more.  Where libfuse is older than the
 * kernel they are given to it as the older request that has the same form, and the request
 * function asks what it was.  libfuse reads and writes through fuse_session_custom_io() for
 * that.
 */
#ifndef RF_DAEMON_FE_WIRE_H
#define RF_DAEMON_FE_WIRE_H

#include "daemon/fe.h"

/* Flags of FUSE_INIT that libfuse may not know, as linux/fuse.h has them. */
#define FE_INIT_KILLPRIV_V2 (UINT64_C(1) << 28)
#define FE_INIT_PASSTHROUGH (UINT64_C(1) << 37)
#define FE_INIT_URING       (UINT64_C(1) << 41)

/* What is to be added to libfuse's answer to the greeting, of what the kernel offers; it is
 * noted as agreed (fe_hello.c). */
uint64_t fe_hello_more(struct fe *fe, uint64_t offered);

/* Puts itself between; fd is where the requests come from: of the mounted session, or of a
 * socket pair.  0 or -errno. */
int fe_wire_start(struct fuse_session *se, int fd);

/* Whether the request at hand in this thread, which came as a create or a getattr, is one
 * of these. */
bool fe_wire_is_tmpfile(void);
bool fe_wire_is_statx(void);

/* Whether the request at hand in this thread (a write, a setattr, an open or a create) takes
 * the set-id bits off the file: its caller may not keep them. */
bool fe_wire_kills_setid(void);

/* Replies to a statx with the attributes of vp (f may be NULL). */
void fe_statx(fuse_req_t req, struct vnode *vp, struct file *f);

#endif
