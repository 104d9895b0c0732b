/*
 * Replies, and what every request of the front end needs (fe.h).  Errors are 0 or -errno
 * up to here; the sign is turned once, in fe_error().
 */
#ifndef RF_DAEMON_FE_REPLY_H
#define RF_DAEMON_FE_REPLY_H

#include "daemon/fe.h"

/* The begin of every request: counts it. */
struct fe *fe_begin(fuse_req_t req, enum fe_op op);
/* Once for each thread, before it serves (fe_heap.c). */
void fe_heap_thread(void);
/* So many nodes have been forgotten: gives memory back now and then. */
void fe_forgotten(struct fe *fe, uint64_t n);
/* A part of libfuse's buffer that nobody will read again: its pages are given back if they
 * are many. */
void fe_buffer_read(const void *mem, size_t len);
/* The vnode of a node id, lent, or NULL (ESTALE). */
struct vnode *fe_node(const struct fe *fe, fuse_ino_t ino);
/* The open file of fi, lent, or NULL: none given, or not known (EBADF). */
struct file *fe_file(const struct fe *fe, const struct fuse_file_info *fi);
/* Who asks. */
void fe_cred(fuse_req_t req, struct cred *ret);
/* The caller's umask. */
uint32_t fe_umask(fuse_req_t req);
/* This thread's buffers, or NULL: no memory. */
struct fe_bufs *fe_bufs(struct fe *fe);

/* Replies with r: 0 or -errno. */
void fe_error(fuse_req_t req, int r);

/* The request at hand has changed attributes of vp that the kernel believes to know: returns
 * when it has been told. */
void fe_attrs_changed(struct fe *fe, struct vnode *vp);
/* Does it have set-id bits?  Only before a change is made. */
bool fe_has_setid(struct vnode *vp, struct file *f);

/* A time as libfuse wants it. */
double fe_seconds(uint64_t ns);
void fe_stat(struct stat *ret, const struct vattr *va);
/* Fills *e for vp found in dvp.  0 or -errno; takes no reference. */
int fe_entry_fill(
    const struct fe *fe, struct fuse_entry_param *e, struct vnode *dvp, struct vnode *vp);

/* Replies with the entry vp of dvp and takes over the caller's reference on vp. */
void fe_entry(fuse_req_t req, struct vnode *dvp, struct vnode *vp);
/* Replies that a name of dvp does not exist, for as long as that can be known. */
void fe_no_entry(fuse_req_t req, struct vnode *dvp);
/* Replies with the attributes of vp (f may be NULL). */
void fe_attr(fuse_req_t req, struct vnode *vp, struct file *f);

#endif
