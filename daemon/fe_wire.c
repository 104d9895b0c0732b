/*
 * Requests that libfuse does not know (fe_wire.h).
 *
 * What comes from the kernel has the form of linux/fuse.h; what that file does not have on
 * the system at hand is declared here.
 *
 * Nothing is answered between the kernel and libfuse: a thread that is there counts as one
 * that waits for work, and may be ended at any moment.
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

#include "daemon/fe_mode.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_stats.h"
#include "daemon/fe_uring.h"

/* What a statx begins with is a fuse_getattr_in. */
#define STATX_IN_LEN 24u

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

/* Of linux/fuse.h, and passed on by newer libfuses as it is. */
#define SETATTR_KILL_SETID (1u << 11)

/* What libfuse has no call for, as yet. */
struct wire_prune {
	struct fuse_out_header
	    head; /* no request's: the code is where an error would be */
	uint32_t count, padding;
	uint64_t spare;
	uint64_t id; /* as many as count says */
};

#define NOTIFY_PRUNE 9

#if FE_WIRE
/* The answer to the greeting. */
struct wire_init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
};

/* Flags of linux/fuse.h. */
#define WRITE_KILL_SETID (1u << 2)
#define OPEN_KILL_SETID  (1u << 0)
#define INIT_EXT         (UINT64_C(1) << 30)

/* The greeting's number while this thread is at it, and what the kernel has offered. */
static _Thread_local uint64_t hello_unique, hello_offered;
#endif

_Static_assert(sizeof(struct wire_statx_out) == 288, "as the kernel has it");
_Static_assert(sizeof(struct wire_prune) == 16 + 16 + 8, "as the kernel has it");

/* What the request of this thread was before it was renamed; 0: what it is. */
static _Thread_local uint32_t renamed;

bool
fe_wire_is_tmpfile(void)
{
	return renamed == FE_OP_TMPFILE;
}

#if FE_WIRE
/* Whether it says that it takes set-id bits off, in a place that libfuse passes over. */
static _Thread_local bool kills_setid;

bool
fe_wire_kills_setid(const struct fuse_file_info *fi, int to_set)
{
	(void)fi;
	(void)to_set;
	return kills_setid;
}
#else
bool
fe_wire_kills_setid(const struct fuse_file_info *fi, int to_set)
{
	return fi ? fi->kill_suidgid : (to_set & (int)SETATTR_KILL_SETID) != 0;
}
#endif

bool
fe_wire_is_statx(void)
{
	return renamed == FE_OP_STATX;
}

void
fe_wire_note(uint32_t opcode)
{
	renamed = opcode;
}

void
fe_wire_prune(struct fuse_session *se, uint64_t id)
{
	const struct wire_prune wp = {
	    .head = {.len = sizeof(wp), .error = NOTIFY_PRUNE},
	    .count = 1,
	    .id = id,
	};

	/* What is refused is a node that stays, and that is seen. */
	(void)!write(fuse_session_fd(se), &wp, sizeof(wp));
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
fill_statx(
    const struct fe *fe, struct vnode *vp, struct file *f, struct wire_statx_out *out)
{
	struct vattr va;
	int r = vop_getattr(vp, f, &va);

	if (r < 0)
		return r;
	memset(out, 0, sizeof(*out));
	put_ttl(fe_seconds(fe_attr_ttl(fe, NULL, vp, &va)), &out->attr_valid,
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

void
fe_statx(fuse_req_t req, struct vnode *vp, struct file *f)
{
	struct wire_statx_out out;
	/* A handle of another file says nothing of this one. */
	int r =
	    fill_statx(fuse_req_userdata(req), vp, f && f->f_vp == vp ? f : NULL, &out);

	if (r < 0)
		fe_error(req, r);
	else
		(void)fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

#if FE_WIRE
/* Is it the greeting? */
static void
note_hello(const void *buf, size_t len)
{
	const struct fuse_in_header *in = buf;
	/* major, minor, max_readahead, flags, flags2 */
	const uint32_t *arg = (const uint32_t *)(in + 1);

	if (len < sizeof(*in) + 4 * sizeof(*arg) || in->opcode != FUSE_INIT)
		return;
	hello_unique = in->unique;
	hello_offered = arg[3];
	if (hello_offered & INIT_EXT && len >= sizeof(*in) + 5 * sizeof(*arg))
		hello_offered |= (uint64_t)arg[4] << 32;
}

/* The answer to the greeting passes: adds what libfuse does not know.  True: it has been the
 * answer. */
static bool
add_to_hello(struct fe *fe, const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	struct wire_init_out *io;
	uint64_t more;

	if (hello_unique == 0 || out->unique != hello_unique)
		return false;
	hello_unique = 0;
	if (out->error != 0 || count < 2 || iov[1].iov_len < sizeof(*io))
		return true;
	io = iov[1].iov_base;
	more = fe_hello_more(fe, hello_offered);
	io->flags |= (uint32_t)more;
	if (hello_offered & INIT_EXT) {
		io->flags |= (uint32_t)INIT_EXT;
		io->flags2 |= (uint32_t)(more >> 32);
	}
	if (more & FE_INIT_PASSTHROUGH)
		io->max_stack_depth = FE_STACK_DEPTH;
	return true;
}

/* Gives the request the name of the older one whose form it has, if it has it. */
static void
rename_request(void *buf, size_t len)
{
	struct fuse_in_header *in = buf;

	renamed = 0;
	if (len < sizeof(*in))
		return;
	if (in->opcode == FE_OP_TMPFILE &&
	    len > sizeof(*in) + sizeof(struct fuse_create_in))
		in->opcode = FUSE_CREATE;
	else if (in->opcode == FE_OP_STATX && len >= sizeof(*in) + STATX_IN_LEN)
		in->opcode = FUSE_GETATTR;
	else
		return;
	renamed = in->opcode == FUSE_CREATE ? FE_OP_TMPFILE : FE_OP_STATX;
}

/* Notes what libfuse does not pass on. */
static void
note_flags(const void *buf, size_t len)
{
	const struct fuse_in_header *in = buf;
	const void *arg = in + 1;
	size_t rest = len < sizeof(*in) ? 0 : len - sizeof(*in);
	uint32_t set = 0;

	kills_setid = false;
	if (rest == 0)
		return;
	switch (in->opcode) {
	case FUSE_WRITE:
		if (rest >= sizeof(struct fuse_write_in))
			set = ((const struct fuse_write_in *)arg)->write_flags &
			      WRITE_KILL_SETID;
		break;
	case FUSE_SETATTR:
		if (rest >= sizeof(struct fuse_setattr_in))
			set = ((const struct fuse_setattr_in *)arg)->valid &
			      SETATTR_KILL_SETID;
		break;
	case FUSE_OPEN:
		if (rest >= sizeof(struct fuse_open_in))
			set = ((const uint32_t *)arg)[1] & OPEN_KILL_SETID;
		break;
	case FUSE_CREATE:
		if (rest >= sizeof(struct fuse_create_in))
			set = ((const uint32_t *)arg)[3] & OPEN_KILL_SETID;
		break;
	default:
		break;
	}
	kills_setid = set != 0;
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

void
fe_wire_rest(struct fe *fe)
{
	fe_stats_end(fe);
	ANSWERED(fe);
}

void
fe_wire_take(struct fe *fe, void *buf, size_t len)
{
	ASKED(fe);
	fe_stats_read(fe, buf, len);
	note_flags(buf, len);
	rename_request(buf, len);
}

static ssize_t
wire_read(int fd, void *buf, size_t len, void *userdata)
{
	ssize_t n;

	/* Whoever reads is done with what was before. */
	fe_stats_end(userdata);
	n = read(fd, buf, len);
	ASKED(userdata);
	if (n > 0) {
		fe_stats_read(userdata, buf, (size_t)n);
		note_hello(buf, (size_t)n);
		note_flags(buf, (size_t)n);
		rename_request(buf, (size_t)n);
	}
	return n;
}

static ssize_t
wire_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct fe *fe = userdata;
	bool hello = add_to_hello(fe, iov, count);
	ssize_t n;
	int err;

	if (fe_uring_reply(iov, count, &n))
		return n;
	n = writev(fd, iov, count);
	err = errno;
	/* From here on the kernel answers by what has been agreed on. */
	if (hello && n >= 0 && fe->fe_ready)
		fe->fe_ready(fe->fe_ready_arg);
	errno = err;
	return n;
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
#else
/* There are no rings of ours (transport.c). */
void
fe_wire_rest(struct fe *fe)
{
}

void
fe_wire_take(struct fe *fe, void *buf, size_t len)
{
}

int
fe_wire_start(struct fuse_session *se, int fd)
{
	return 0;
}
#endif
