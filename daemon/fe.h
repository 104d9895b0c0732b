/*
 * The FUSE front end: kernel requests to vops and back.
 *
 * One function per request, in fe_ops.c (names and attributes), fe_open.c (opening),
 * fe_data.c (contents) and fe_readdir.c; fe_hello.c is the greeting, fe_mode.c what is
 * different where the kernel tells of no opens or writes later, and fe_wire.c is for
 * what libfuse does not know as yet.  A node id becomes a
 * vnode by fe_node(), a file handle an open file by fe_file(); neither is ever a pointer on
 * the wire, and one that is not known is ESTALE or EBADF.
 *
 * References.  A vnode that goes to the kernel in a reply carries one reference, made the
 * kernel's (vn_lookup_given) before the reply, since a forget for it may arrive before
 * the reply function has returned, and taken back (vn_forget) if the reply fails.  An
 * open file whose reply fails is closed.  No lock is held during a reply: the vop
 * wrappers return with none.
 *
 * Memory.  Each worker thread has one set of buffers (struct fe_bufs), made at its first
 * request that needs them and freed with the thread.  Requests allocate nothing else.
 */
#ifndef RF_DAEMON_FE_H
#define RF_DAEMON_FE_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vfs/vop.h"

/* What is counted.  The names are in fe_reply.c. */
enum fe_op {
	FE_LOOKUP,
	FE_FORGET,
	FE_GETATTR,
	FE_SETATTR,
	FE_READLINK,
	FE_MKNOD,
	FE_MKDIR,
	FE_UNLINK,
	FE_RMDIR,
	FE_SYMLINK,
	FE_RENAME,
	FE_LINK,
	FE_OPEN,
	FE_CREATE,
	FE_READ,
	FE_WRITE,
	FE_FLUSH,
	FE_RELEASE,
	FE_FSYNC,
	FE_OPENDIR,
	FE_READDIR,
	FE_READDIRPLUS,
	FE_RELEASEDIR,
	FE_FSYNCDIR,
	FE_STATFS,
	FE_SETXATTR,
	FE_GETXATTR,
	FE_LISTXATTR,
	FE_REMOVEXATTR,
	FE_ACCESS,
	FE_FALLOCATE,
	FE_LSEEK,
	FE_IOCTL,
	FE_COPY_RANGE,
	FE_TMPFILE,
	FE_STATX,
	FE_NOPS
};

/* The user data of the FUSE session. */
struct fe {
	struct vfs *fe_vfs; /* c */
	/* c: some contents can change behind the kernel (a living host file, a host
	 * directory, windows that overlap): it is to look at mtime and size before it
	 * trusts its pages */
	bool fe_live;
	bool fe_export;         /* c: file handles outlast what the kernel has cached */
	uint64_t fe_generation; /* c: of all inodes; of this mount and no other */
	pthread_key_t fe_bufs_key; /* c */
	/* What is wanted of the kernel, set before the mount … */
	bool fe_want_passthrough, fe_want_uring, fe_want_no_open,
	    fe_want_writeback;       /* c */
	int fe_dev;                  /* c once mounted: where requests come from; -1 */
	struct fe_passes *fe_passes; /* c: fe_pass.h */
	uint64_t fe_agreed; /* c once the kernel has said hello: … and got: FE_INIT_* */
	/* c, the same: opens of files, and of directories, are not told; the kernel writes
	 * what was written later (fe_mode.c) */
	bool fe_no_open, fe_no_opendir, fe_writeback;
	uint32_t fe_minor; /* c, the same: of the protocol that the kernel speaks */
	void (*fe_unopened)(
	    void *arg); /* c: or NULL: called before the first request then */
	void (*fe_ready)(void *arg); /* c: called once, when the kernel has said hello */
	void *fe_ready_arg;          /* c: of both */
	/* c: called when much has been forgotten, and more may follow; may be NULL */
	void (*fe_forgot)(void *arg);
	void *fe_forgot_arg;
	/* fe_stats.h */
	pthread_key_t fe_thread_key; /* c */
	pthread_mutex_t fe_threads_mtx;
	struct fe_thread
	    *fe_threads; /* fe_threads_mtx, as the next two: those that serve */
	uint64_t fe_last_thread;
	struct fe_sum *fe_ended; /* FE_NOPS: what ended threads have counted */
	/* a: somebody looks at what runs; else fe_woken is called when a request begins */
	atomic_bool fe_looked_at;
	void (*fe_woken)(void *arg); /* c: or NULL; from any thread */
	void *fe_woken_arg;
	_Atomic uint64_t
	    fe_forgotten;         /* a: nodes forgotten, for when to look at the heap */
	_Atomic uint64_t fe_told; /* a: fe_forgotten when fe_forgot was called last */
	_Atomic uint32_t fe_peak; /* a: nodes known since the heap was trimmed last */
};

/* 0 or -errno. */
int fe_init(struct fe *fe, struct vfs *v);
void fe_done(struct fe *fe);
const char *fe_op_name(enum fe_op op);

/* All requests (fe_ops.c). */
extern const struct fuse_lowlevel_ops fe_ops;

#define FE_DATA_MAX (1u << 20)   /* the largest read or write that is negotiated */
#define FE_DIR_MAX  (256u << 10) /* the largest part of a listing */

/* A worker thread's buffers. */
struct fe_bufs {
	char *fb_data; /* FE_DATA_MAX bytes, page-aligned */
	char *fb_dir;  /* FE_DIR_MAX bytes, page-aligned: listings from the vnode layer */
};

/* Requests of the other files. */
void fe_hello(void *userdata, struct fuse_conn_info *conn);
void fe_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fe_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    struct fuse_file_info *fi);
void fe_read(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fe_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
    struct fuse_file_info *fi);
void fe_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fe_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fe_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void fe_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
    struct fuse_file_info *fi);
void fe_lseek(
    fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void fe_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
    struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_len,
    size_t out_len);
void fe_copy_range(fuse_req_t req, fuse_ino_t ino, off_t off, struct fuse_file_info *fi,
    fuse_ino_t to_ino, off_t to_off, struct fuse_file_info *to_fi, size_t len, int flags);
void fe_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fe_readdir(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fe_readdirplus(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void fe_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fe_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

#endif
