/*
 * The front end's requests for contents: reading, writing (fe.h).
 *
 * Reading.  A vop either copies into the thread's buffer or lends a window of a host
 * file. A large window is spliced from the host file to the kernel; below SPLICE_MIN a
 * pread into the thread's buffer is faster than the two splices, and libfuse would
 * allocate for it.
 *
 * Writing.  The data are in memory, or in a pipe that libfuse has spliced the request
 * into.  In the second case the vop pulls them from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

#include "daemon/fe_mode.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_stats.h"
#include "daemon/fe_uring.h"
#include "daemon/fe_wire.h"

#define SPLICE_MIN (128u << 10)
#define COPY_MAX   (64u << 20)
#define SPLICE_MAX (FE_DATA_MAX - (64u << 10))

/* Brings what a read has found into the buffer.  How much, or -errno. */
static ssize_t
take_read(struct fe_bufs *fb, const struct uio *u)
{
	struct fuse_bufvec src = FUSE_BUFVEC_INIT(u->uio_done);
	struct fuse_bufvec dst = FUSE_BUFVEC_INIT(u->uio_done);

	if (u->uio_fd < 0 || u->uio_done == 0)
		return (ssize_t)u->uio_done;
	src.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
	src.buf[0].fd = u->uio_fd;
	src.buf[0].pos = (off_t)u->uio_fdoff;
	dst.buf[0].mem = fb->fb_data;
	return fuse_buf_copy(&dst, &src, 0);
}

/* Sends what a read has found: from the buffer, or from the window it was lent. */
static void
reply_read(fuse_req_t req, struct fe_bufs *fb, const struct uio *u, struct vnode *vp)
{
	struct fe *fe = fuse_req_userdata(req);
	struct fuse_bufvec src = FUSE_BUFVEC_INIT(u->uio_done);
	ssize_t n;

	/* A ring's buffer is the kernel's own next stop. */
	if (u->uio_fd >= 0 && u->uio_done >= SPLICE_MIN && u->uio_done <= SPLICE_MAX &&
	    !fe_uring_serves()) {
		src.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
		src.buf[0].fd = u->uio_fd;
		src.buf[0].pos = (off_t)u->uio_fdoff;
		fe_stats_moved(fe, vp, NULL, u->uio_done);
		/* If it cannot be sent, libfuse has replied with the error. */
		(void)fuse_reply_data(req, &src, FUSE_BUF_SPLICE_MOVE);
		return;
	}
	n = take_read(fb, u);
	if (n < 0) {
		fe_error(req, (int)n);
		return;
	}
	fe_stats_moved(fe, vp, NULL, (uint64_t)n);
	(void)fuse_reply_buf(req, fb->fb_data, (size_t)n);
}

void
fe_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_READ);
	struct vnode *vp = fe_node(fe, ino), *unkept;
	struct fe_bufs *fb = fe_bufs(fe);
	struct fe_use fu;
	struct uio u;
	int r = !vp ? -ESTALE : !fb ? -ENOMEM : fe_use(fe, req, fi, vp, O_RDONLY, &fu);

	if (r < 0) {
		fe_error(req, r);
		return;
	}
	if (size > FE_DATA_MAX)
		size = FE_DATA_MAX;
	uio_init_buf(&u, fb->fb_data, size, (uint64_t)off);
	r = vop_read(vp, fu.fu_f, &u);
	/* With the reply the kernel may forget the node. */
	unkept = fe_mode_reads(fe, vp);
	if (r < 0)
		fe_error(req, r);
	else
		reply_read(req, fb, &u, vp);
	fe_unuse(&fu);
	fe_mode_was_read(fe, unkept);
}

/* The next n bytes of the request to where dst says.  fuse_buf_copy() goes on where it
 * stopped, because it counts in the source. */
static ssize_t
pull(struct uio *u, struct fuse_bufvec *dst)
{
	return fuse_buf_copy(dst, u->uio_arg, FUSE_BUF_SPLICE_MOVE);
}

static ssize_t
pull_mem(struct uio *u, void *to, size_t n)
{
	struct fuse_bufvec dst = FUSE_BUFVEC_INIT(n);

	dst.buf[0].mem = to;
	return pull(u, &dst);
}

static ssize_t
pull_fd(struct uio *u, int fd, uint64_t off, size_t n)
{
	struct fuse_bufvec dst = FUSE_BUFVEC_INIT(n);

	dst.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY;
	dst.buf[0].fd = fd;
	dst.buf[0].pos = (off_t)off;
	return pull(u, &dst);
}

void
fe_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
    struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_WRITE);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu;
	struct cred cr;
	struct uio u;
	int r = vp ? fe_use(fe, req, fi, vp, O_WRONLY, &fu) : -ESTALE;

	if (r < 0) {
		fe_error(req, r);
		return;
	}
	uio_init_buf(&u, NULL, fuse_buf_size(in), (uint64_t)off);
	if (in->count == 1 && !(in->buf[0].flags & FUSE_BUF_IS_FD)) {
		u.uio_buf = in->buf[0].mem;
	} else {
		u.uio_pull_mem = pull_mem;
		u.uio_pull_fd = pull_fd;
		u.uio_arg = in;
	}
	/* The flags are those of the file at this write.  A page that comes back from a
	 * mapping has its place, whatever file it comes through. */
	u.uio_append = (fi->flags & O_APPEND) && !fi->writepage;
	u.uio_kept = fe->fe_writeback && fi->writepage;
	if (fe_wire_kills_setid(fi, 0)) {
		fe_cred(req, &cr);
		u.uio_killer = &cr;
	}
	r = vop_write(vp, fu.fu_f, &u);
	if (u.uio_killed)
		fe_attrs_changed(fe, vp);
	if (r == 0 || u.uio_done > 0)
		r = fe_use_written(fe, &fu);
	fe_unuse(&fu);
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	fe_stats_moved(fe, NULL, vp, u.uio_done);
	(void)fuse_reply_write(req, u.uio_done);
}

static void
sync_file(fuse_req_t req, enum fe_op op, fuse_ino_t ino, int datasync,
    const struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, op);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu = {0};
	int r = vp ? fe_use(fe, req, fi, vp, O_RDONLY, &fu) : -ESTALE;

	if (r == 0)
		r = vop_fsync(vp, fu.fu_f, datasync != 0);
	fe_unuse(&fu);
	fe_error(req, r);
}

void
fe_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	sync_file(req, FE_FSYNC, ino, datasync, fi);
}

void
fe_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	sync_file(req, FE_FSYNCDIR, ino, datasync, fi);
}

/* A change of contents that the kernel does not say of whether it takes set-id bits off: it
 * does for all but root. */
static int
kill_setid(fuse_req_t req, struct vnode *vp, struct file *f)
{
	struct vattr_set vs = {.vs_valid = VS_KILL_SETID};
	struct fe *fe = fuse_req_userdata(req);
	struct cred cr;
	int r;

	fe_cred(req, &cr);
	if (cr.cr_uid == 0 || !fe_has_setid(vp, f))
		return 0;
	r = vop_setattr(vp, f, &vs, &cr);
	if (r == 0)
		fe_attrs_changed(fe, vp);
	return r;
}

void
fe_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
    struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_FALLOCATE);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu = {0};
	int r = vp ? fe_use(fe, req, fi, vp, O_WRONLY, &fu) : -ESTALE;

	if (r == 0)
		r = kill_setid(req, vp, fu.fu_f);
	if (r == 0)
		r = vop_fallocate(vp, fu.fu_f, mode, (uint64_t)off, (uint64_t)len);
	if (r == 0)
		r = fe_use_written(fe, &fu);
	fe_unuse(&fu);
	fe_error(req, r);
}

void
fe_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_LSEEK);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu = {0};
	uint64_t at;
	int r = vp ? fe_use(fe, req, fi, vp, O_RDONLY, &fu) : -ESTALE;

	if (r == 0 && off < 0)
		r = -ENXIO; /* as lseek(2) for SEEK_DATA and SEEK_HOLE */
	else if (r == 0)
		r = vop_seek(vp, fu.fu_f, (uint64_t)off, whence, &at);
	fe_unuse(&fu);
	if (r < 0)
		fe_error(req, r);
	else
		(void)fuse_reply_lseek(req, (off_t)at);
}

/* Where the file systems cannot do it among themselves: by way of this thread's buffer, as
 * much as that holds; the caller comes again for the rest. */
static int
copy_through(struct fe_bufs *fb, struct file *from, uint64_t off, struct file *to,
    uint64_t to_off, size_t len, size_t *ret_done)
{
	ssize_t n;
	struct uio u;
	int r;

	uio_init_buf(&u, fb->fb_data, len < FE_DATA_MAX ? len : FE_DATA_MAX, off);
	r = vop_read(from->f_vp, from, &u);
	if (r < 0)
		return r;
	n = take_read(fb, &u);
	if (n <= 0) {
		*ret_done = 0;
		return (int)n;
	}
	uio_init_buf(&u, fb->fb_data, (size_t)n, to_off);
	r = vop_write(to->f_vp, to, &u);
	if (r < 0 && u.uio_done == 0)
		return r;
	*ret_done = u.uio_done;
	return 0;
}

/* As much of it as one request is to take. */
static int
copy_range(struct fe_bufs *fb, struct file *from, uint64_t off, struct file *to,
    uint64_t to_off, size_t len, size_t *ret_done)
{
	int r;

	/* Not a worker for minutes: the caller comes again for the rest. */
	if (len > COPY_MAX)
		len = COPY_MAX;
	r = vop_copy_range(from, off, to, to_off, len, ret_done);
	/* EINVAL: to the host two ranges of one file may overlap that are of two files here. */
	if (r == -EOPNOTSUPP || r == -EXDEV || (r == -EINVAL && from->f_vp != to->f_vp))
		r = copy_through(fb, from, off, to, to_off, len, ret_done);
	return r;
}

void
fe_copy_range(fuse_req_t req, fuse_ino_t ino, off_t off, struct fuse_file_info *fi,
    fuse_ino_t to_ino, off_t to_off, struct fuse_file_info *to_fi, size_t len, int flags)
{
	struct fe *fe = fe_begin(req, FE_COPY_RANGE);
	struct vnode *from = fe_node(fe, ino), *to = fe_node(fe, to_ino);
	struct fe_bufs *fb = fe_bufs(fe);
	struct fe_use in = {0}, out = {0};
	size_t done = 0;
	int r = !fb ? -ENOMEM : from && to ? 0 : -ESTALE;

	if (r == 0)
		r = fe_use_file(fe, req, fi, from, O_RDONLY, &in);
	if (r == 0)
		r = fe_use_file(fe, req, to_fi, to, O_WRONLY, &out);
	if (r == 0 && flags)
		r = -EINVAL;
	if (r == 0)
		r = kill_setid(req, to, out.fu_f);
	if (r == 0)
		r = copy_range(
		    fb, in.fu_f, (uint64_t)off, out.fu_f, (uint64_t)to_off, len, &done);
	if (r == 0)
		r = fe_use_written(fe, &out);
	fe_unuse(&in);
	fe_unuse(&out);
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	fe_stats_moved(fe, from, to, done);
	(void)fuse_reply_write(req, done);
}

/*
 * The kernel moves an ioctl's argument by the size that is coded into the command.
 * BLKSSZGET, BLKPBSZGET and BLKDISCARD are older than that coding and have none: nothing
 * would reach the caller's variable.  Success with the variable unset is worse than
 * ENOTTY.
 */
static bool
argument_is_lost(unsigned cmd)
{
	return cmd == BLKSSZGET || cmd == BLKPBSZGET || cmd == BLKDISCARD;
}

void
fe_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
    struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_len,
    size_t out_len)
{
	struct fe *fe = fe_begin(req, FE_IOCTL);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu = {0};
	char out[256];
	struct cred cr;
	int r = vp ? fe_use(fe, req, fi, vp, O_RDONLY, &fu) : -ESTALE;

	(void)arg;
	(void)flags;
	fe_cred(req, &cr);
	memset(out, 0, sizeof(out));
	if (r == 0 && (argument_is_lost(cmd) || out_len > sizeof(out)))
		r = -ENOTTY;
	if (r == 0)
		r = vop_ioctl(vp, fu.fu_f, cmd, in, in_len, out, out_len, &cr);
	fe_unuse(&fu);
	/* Setting flags moves the time of change, but the kernel goes on with the one it
	 * has. */
	if (r == 0 && (cmd == FS_IOC_SETFLAGS || cmd == FS_IOC_FSSETXATTR))
		fe_attrs_changed(fe, vp);
	if (r < 0)
		fe_error(req, r);
	else
		(void)fuse_reply_ioctl(req, r, out, out_len);
}
