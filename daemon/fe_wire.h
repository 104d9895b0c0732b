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

/* Whether libfuse needs that, and allows it: 3.18 knows all these requests by itself, and
 * refuses fuse_session_custom_io() unless it was built for it (then: -DFE_WIRE=1).  With such
 * a library there is nothing between; what belongs to a request's beginning and end is in
 * fe_around.c. */
#ifndef FE_WIRE
#define FE_WIRE (FUSE_VERSION < FUSE_MAKE_VERSION(3, 18))
#endif

/* Flags of FUSE_INIT that libfuse may not know, as linux/fuse.h has them. */
#define FE_INIT_KILLPRIV_V2 (UINT64_C(1) << 28)
#define FE_INIT_PASSTHROUGH (UINT64_C(1) << 37)
#define FE_INIT_URING       (UINT64_C(1) << 41)

/* Files that the kernel reads for us lie in no file system that is stacked on another, and
 * such a one may be stacked on us. */
#define FE_STACK_DEPTH 1u

/* What is to be added to libfuse's answer to the greeting, of what the kernel offers; it is
 * noted as agreed (fe_hello.c). */
uint64_t fe_hello_more(struct fe *fe, uint64_t offered);

/* The requests' functions for libfuse. */
#if FE_WIRE
#define fe_wire_ops fe_ops
#else
extern const struct fuse_lowlevel_ops fe_wire_ops;
#endif

/* Puts itself between, if need be; fd is where the requests come from: of the mounted
 * session, or of a socket pair.  0 or -errno. */
int fe_wire_start(struct fuse_session *se, int fd);

/* A thread that has its requests from elsewhere (fe_uring.h): it is done with the last, and is
 * about to answer it; it has got the next. */
void fe_wire_rest(struct fe *fe);
void fe_wire_take(struct fe *fe, void *buf, size_t len);

/* Asks the kernel to drop a node's names that nobody uses, wherever they are, and with the
 * last the node (FUSE_NOTIFY_PRUNE); so it may wait for pages.  Not for threads that serve.
 * A kernel whose protocol is older than this one refuses. */
#define FE_MINOR_PRUNE 45u
void fe_wire_prune(struct fuse_session *se, uint64_t id);

/* Whether the request at hand in this thread, which came as a create or a getattr, is one
 * of these. */
bool fe_wire_is_tmpfile(void);
bool fe_wire_is_statx(void);
#define FE_OP_TMPFILE 51u
#define FE_OP_STATX   52u
/* It is this one, or what it is called (0). */
void fe_wire_note(uint32_t opcode);

/* Whether the request at hand in this thread (a write, a setattr, an open or a create) takes
 * the set-id bits off the file: its caller may not keep them.  As libfuse has passed it: fi, or
 * NULL and what a setattr sets. */
bool fe_wire_kills_setid(const struct fuse_file_info *fi, int to_set);

/* Replies to a statx with the attributes of vp (f may be NULL). */
void fe_statx(fuse_req_t req, struct vnode *vp, struct file *f);

#endif
