/*
 * Requests that libfuse does not know (fe_wire.h).
 *
 * What comes from the kernel has the form of linux/fuse.h; what that file does not have on
 * the system at hand is declared here.  A request is answered on the fd that it came by,
 * with one writev.
 */
#include "daemon/fe_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/fe_reply.h"

#define OP_TMPFILE 51u
#define OP_STATX   52u

struct wire_statx_in {
	uint32_t getattr_flags, reserved;
	uint64_t fh;
	uint32_t sx_flags, sx_mask;
};

struct wire_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct wire_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec, flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

_Static_assert(sizeof(struct wire_statx_out) == 288, "as the kernel has it");

/* A request in a reader's buffer. */
struct wire {
	struct fe *w_fe;
	int w_fd;
	const struct fuse_in_header *w_in;
	const char *w_body; /* what follows the header */
	size_t w_len;
};

/* 0, or -errno if it could not be sent. */
static int
reply(const struct wire *w, int r, const void *body, size_t len)
{
	struct fuse_out_header out = {
	    .len = (uint32_t)(sizeof(out) + (r < 0 ? 0 : len)),
	    .error = r,
	    .unique = w->w_in->unique,
	};
	struct iovec iov[2] = {
	    {&out, sizeof(out)},
	    {(void *)(uintptr_t)body, len},
	};

	if (r < 0)
		atomic_fetch_add_explicit(&w->w_fe->fe_errors, 1, memory_order_relaxed);
	return writev(w->w_fd, iov, r < 0 || !len ? 1 : 2) < 0 ? -errno : 0;
}

static void
count(const struct wire *w, enum fe_op op)
{
	atomic_fetch_add_explicit(&w->w_fe->fe_count[op], 1, memory_order_relaxed);
}

/* Seconds, as fe_seconds() has them, in two parts. */
static void
put_ttl(double ttl, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	*ret_sec = (uint64_t)ttl;
	*ret_nsec = (uint32_t)((ttl - (double)*ret_sec) * 1e9);
}

static struct wire_time
put_time(const struct timespec *ts)
{
	return (struct wire_time){.sec = ts->tv_sec, .nsec = (uint32_t)ts->tv_nsec};
}

static int
fill_statx(struct vnode *vp, struct file *f, struct wire_statx_out *out)
{
	struct vattr va;
	int r = vop_getattr(vp, f, &va);

	if (r < 0)
		return r;
	memset(out, 0, sizeof(*out));
	put_ttl(fe_seconds(mount_attr_ttl(NULL, vp, &va)), &out->attr_valid,
	    &out->attr_valid_nsec);
	out->stat = (struct wire_statx){
	    .mask = STATX_BASIC_STATS,
	    .blksize = va.va_blksize,
	    .nlink = (uint32_t)va.va_nlink,
	    .uid = va.va_uid,
	    .gid = va.va_gid,
	    .mode = (uint16_t)va.va_mode,
	    .ino = va.va_ino,
	    .size = va.va_size,
	    .blocks = va.va_blocks_blk,
	    .atime = put_time(&va.va_atime),
	    .btime = put_time(&va.va_btime),
	    .ctime = put_time(&va.va_ctime),
	    .mtime = put_time(&va.va_mtime),
	    .rdev_major = major(va.va_rdev),
	    .rdev_minor = minor(va.va_rdev),
	};
	/* 0.0: the host does not keep it. */
	if (va.va_btime.tv_sec || va.va_btime.tv_nsec)
		out->stat.mask |= STATX_BTIME;
	return 0;
}

static void
do_statx(const struct wire *w)
{
	struct vnode *vp = fe_node(w->w_fe, w->w_in->nodeid);
	struct wire_statx_in in;
	struct wire_statx_out out;
	struct file *f = NULL;
	int r = vp ? 0 : -ESTALE;

	count(w, FE_STATX);
	if (w->w_len < sizeof(in)) {
		(void)reply(w, -EINVAL, NULL, 0);
		return;
	}
	memcpy(&in, w->w_body, sizeof(in));
	if (in.getattr_flags & FUSE_GETATTR_FH)
		f = vfs_file_peek(w->w_fe->fe_vfs, in.fh);
	/* A handle of another file says nothing of this one. */
	if (f && f->f_vp != vp)
		f = NULL;
	if (r == 0)
		r = fill_statx(vp, f, &out);
	(void)reply(w, r, &out, sizeof(out));
}

static void
put_attr(struct fuse_attr *ret, const struct stat *st)
{
	*ret = (struct fuse_attr){
	    .ino = st->st_ino,
	    .size = (uint64_t)st->st_size,
	    .blocks = (uint64_t)st->st_blocks,
	    .atime = (uint64_t)st->st_atim.tv_sec,
	    .mtime = (uint64_t)st->st_mtim.tv_sec,
	    .ctime = (uint64_t)st->st_ctim.tv_sec,
	    .atimensec = (uint32_t)st->st_atim.tv_nsec,
	    .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
	    .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
	    .mode = st->st_mode,
	    .nlink = (uint32_t)st->st_nlink,
	    .uid = st->st_uid,
	    .gid = st->st_gid,
	    .rdev = (uint32_t)st->st_rdev,
	    .blksize = (uint32_t)st->st_blksize,
	};
}

struct wire_created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

static void
put_created(struct wire_created *ret, const struct fuse_entry_param *e,
    const struct vnode *vp, const struct file *f)
{
	struct fuse_file_info fi = {0};

	memset(ret, 0, sizeof(*ret));
	ret->entry.nodeid = e->ino;
	ret->entry.generation = e->generation;
	put_ttl(e->entry_timeout, &ret->entry.entry_valid, &ret->entry.entry_valid_nsec);
	put_ttl(e->attr_timeout, &ret->entry.attr_valid, &ret->entry.attr_valid_nsec);
	put_attr(&ret->entry.attr, &e->attr);
	fe_caching(&fi, vp);
	ret->open.fh = f->f_id;
	ret->open.open_flags = (fi.direct_io ? FOPEN_DIRECT_IO : 0u) |
	                       (fi.keep_cache ? FOPEN_KEEP_CACHE : 0u) |
	                       (fi.noflush ? FOPEN_NOFLUSH : 0u);
}

/* The file, open; what goes into the reply has its reference and its lookup. */
static int
make_tmpfile(const struct wire *w, struct vnode **ret_vp, struct file **ret_f,
    struct wire_created *out)
{
	const struct fuse_in_header *h = w->w_in;
	struct cred cr = {h->uid, h->gid, (pid_t)h->pid};
	struct vnode *dvp = fe_node(w->w_fe, h->nodeid);
	struct fuse_create_in in;
	struct vmake mk = {.vm_type = VREG};
	struct fuse_entry_param e;
	int r;

	if (w->w_len < sizeof(in) || !dvp)
		return dvp ? -EINVAL : -ESTALE;
	memcpy(&in, w->w_body, sizeof(in));
	mk.vm_mode = in.mode & 07777;
	mk.vm_umask = in.umask & 0777;
	r = vop_tmpfile(dvp, &mk, (int)in.flags, &cr, ret_vp, ret_f);
	if (r < 0)
		return r;
	r = fe_entry_fill(w->w_fe, &e, dvp, *ret_vp);
	if (r < 0) {
		vop_close(*ret_f);
		vn_unref(*ret_vp);
		return r;
	}
	put_created(out, &e, *ret_vp, *ret_f);
	vn_lookup_given(*ret_vp);
	return 0;
}

static void
do_tmpfile(const struct wire *w)
{
	struct wire_created out;
	struct vnode *vp;
	struct file *f;
	int r;

	count(w, FE_TMPFILE);
	r = make_tmpfile(w, &vp, &f, &out);
	if (reply(w, r, &out, sizeof(out)) < 0 && r == 0) {
		vop_close(f); /* no release and no forget will come */
		vn_forget(vp, 1);
	}
}

/* Whether the request was one of these; it is answered then. */
static bool
answer(struct fe *fe, int fd, const void *buf, size_t len)
{
	const struct fuse_in_header *in = buf;
	struct wire w = {fe, fd, in, (const char *)buf + sizeof(*in), 0};

	if (len < sizeof(*in) || in->len > len)
		return false;
	w.w_len = in->len < sizeof(*in) ? 0 : in->len - sizeof(*in);
	switch (in->opcode) {
	case OP_TMPFILE:
		do_tmpfile(&w);
		return true;
	case OP_STATX:
		do_statx(&w);
		return true;
	default:
		return false;
	}
}

/*
 * A request may come of an answer to another: the kernel sees to it that a file is released
 * after what was read of it has been answered.  ThreadSanitizer learns of that from writev
 * and read, of splice it knows nothing.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define ANSWERED(fe) __tsan_release(fe)
#define ASKED(fe)    __tsan_acquire(fe)
#else
#define ANSWERED(fe) (void)(fe)
#define ASKED(fe)    (void)(fe)
#endif

static ssize_t
wire_read(int fd, void *buf, size_t len, void *userdata)
{
	struct fe *fe = userdata;
	ssize_t n;

	do
		n = read(fd, buf, len);
	while (n > 0 && answer(fe, fd, buf, (size_t)n));
	ASKED(fe);
	return n;
}

static ssize_t
wire_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return writev(fd, iov, count);
}

static ssize_t
wire_splice(int from, off_t *off, int to, off_t *to_off, size_t len, unsigned flags,
    void *userdata)
{
	ANSWERED(userdata);
	return splice(from, off, to, to_off, len, flags);
}

int
fe_wire_start(struct fuse_session *se, int fd)
{
	static const struct fuse_custom_io io = {
	    .read = wire_read,
	    .writev = wire_writev,
	    .splice_receive = wire_splice,
	    .splice_send = wire_splice,
	};

	return fuse_session_custom_io(se, &io, fd);
}
