/*
 * Around each request, where nobody comes between libfuse and the kernel (fe_wire.h).
 *
 * From 3.18 on libfuse knows all the requests that fe_wire.c gives to an older one under
 * other names, and refuses a daemon's own way of reading and writing unless it was built for
 * that; over io_uring there is nothing to read.  So what begins a request and ends it is done
 * around its function.
 */
#include "daemon/fe_wire.h"

#if !FE_WIRE
#include <sys/stat.h>

#include "daemon/fe_stats.h"

/* A request about a node, and about a name in a directory. */
#define NODE(op, params, ...) NAMED(op, "", params, __VA_ARGS__)
#define NAMED(op, name, params, ...)                                 \
	static void around_##op params                               \
	{                                                            \
		struct fe *fe = fuse_req_userdata(req);              \
                                                                     \
		fe_stats_ask(fe, ino, fuse_req_ctx(req)->pid, name); \
		fe_ops.op(req, __VA_ARGS__);                         \
		fe_stats_end(fe);                                    \
	}

typedef struct fuse_file_info fi_t;

NAMED(lookup, n, (fuse_req_t req, fuse_ino_t ino, const char *n), ino, n)
NODE(forget, (fuse_req_t req, fuse_ino_t ino, uint64_t count), ino, count)
NODE(getattr, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NODE(setattr, (fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, fi_t *fi), ino,
    st, set, fi)
NODE(readlink, (fuse_req_t req, fuse_ino_t ino), ino)
NAMED(mknod, n, (fuse_req_t req, fuse_ino_t ino, const char *n, mode_t m, dev_t d), ino,
    n, m, d)
NAMED(mkdir, n, (fuse_req_t req, fuse_ino_t ino, const char *n, mode_t m), ino, n, m)
NAMED(unlink, n, (fuse_req_t req, fuse_ino_t ino, const char *n), ino, n)
NAMED(rmdir, n, (fuse_req_t req, fuse_ino_t ino, const char *n), ino, n)
NAMED(symlink, n, (fuse_req_t req, const char *to, fuse_ino_t ino, const char *n), to,
    ino, n)
NAMED(rename, n,
    (fuse_req_t req, fuse_ino_t ino, const char *n, fuse_ino_t to, const char *as,
	unsigned flags),
    ino, n, to, as, flags)
NAMED(link, n, (fuse_req_t req, fuse_ino_t ino, fuse_ino_t to, const char *n), ino, to, n)
NODE(open, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NAMED(create, n, (fuse_req_t req, fuse_ino_t ino, const char *n, mode_t m, fi_t *fi), ino,
    n, m, fi)
NODE(read, (fuse_req_t req, fuse_ino_t ino, size_t len, off_t off, fi_t *fi), ino, len,
    off, fi)
NODE(write_buf,
    (fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off, fi_t *fi), ino,
    in, off, fi)
NODE(flush, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NODE(release, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NODE(fsync, (fuse_req_t req, fuse_ino_t ino, int data, fi_t *fi), ino, data, fi)
NODE(fallocate,
    (fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, fi_t *fi), ino, mode,
    off, len, fi)
NODE(lseek, (fuse_req_t req, fuse_ino_t ino, off_t off, int whence, fi_t *fi), ino, off,
    whence, fi)
NODE(copy_file_range,
    (fuse_req_t req, fuse_ino_t ino, off_t off, fi_t *fi, fuse_ino_t to, off_t to_off,
	fi_t *to_fi, size_t len, int flags),
    ino, off, fi, to, to_off, to_fi, len, flags)
NODE(ioctl,
    (fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, fi_t *fi, unsigned flags,
	const void *in, size_t in_len, size_t out_len),
    ino, cmd, arg, fi, flags, in, in_len, out_len)
NODE(opendir, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NODE(readdir, (fuse_req_t req, fuse_ino_t ino, size_t len, off_t off, fi_t *fi), ino, len,
    off, fi)
NODE(readdirplus, (fuse_req_t req, fuse_ino_t ino, size_t len, off_t off, fi_t *fi), ino,
    len, off, fi)
NODE(releasedir, (fuse_req_t req, fuse_ino_t ino, fi_t *fi), ino, fi)
NODE(fsyncdir, (fuse_req_t req, fuse_ino_t ino, int data, fi_t *fi), ino, data, fi)
NODE(statfs, (fuse_req_t req, fuse_ino_t ino), ino)
NODE(access, (fuse_req_t req, fuse_ino_t ino, int mask), ino, mask)
NODE(setxattr,
    (fuse_req_t req, fuse_ino_t ino, const char *attr, const char *value, size_t len,
	int flags),
    ino, attr, value, len, flags)
NODE(getxattr, (fuse_req_t req, fuse_ino_t ino, const char *attr, size_t len), ino, attr,
    len)
NODE(listxattr, (fuse_req_t req, fuse_ino_t ino, size_t len), ino, len)
NODE(removexattr, (fuse_req_t req, fuse_ino_t ino, const char *attr), ino, attr)

static void
around_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	struct fe *fe = fuse_req_userdata(req);

	fe_stats_ask(fe, 0, fuse_req_ctx(req)->pid, "");
	fe_ops.forget_multi(req, count, all);
	fe_stats_end(fe);
}

/* What an older libfuse has of fe_wire.c under the older requests' names. */

static void
around_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, fi_t *fi)
{
	fe_wire_note(FE_OP_STATX);
	around_getattr(req, ino, fi);
	fe_wire_note(0);
}

static void
around_tmpfile(fuse_req_t req, fuse_ino_t ino, mode_t mode, fi_t *fi)
{
	fe_wire_note(FE_OP_TMPFILE);
	around_create(req, ino, "", mode, fi);
	fe_wire_note(0);
}

/* The kernel has said hello; who asks before it has the answer waits there. */
static void
around_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fe *fe = userdata;

	fe_hello(userdata, conn);
	if (fe->fe_ready)
		fe->fe_ready(fe->fe_ready_arg);
}

const struct fuse_lowlevel_ops fe_wire_ops = {
    .init = around_init,
    .lookup = around_lookup,
    .forget = around_forget,
    .forget_multi = around_forget_multi,
    .getattr = around_getattr,
    .setattr = around_setattr,
    .readlink = around_readlink,
    .mknod = around_mknod,
    .mkdir = around_mkdir,
    .unlink = around_unlink,
    .rmdir = around_rmdir,
    .symlink = around_symlink,
    .rename = around_rename,
    .link = around_link,
    .open = around_open,
    .create = around_create,
    .read = around_read,
    .write_buf = around_write_buf,
    .flush = around_flush,
    .release = around_release,
    .fsync = around_fsync,
    .fallocate = around_fallocate,
    .lseek = around_lseek,
    .copy_file_range = around_copy_file_range,
    .ioctl = around_ioctl,
    .opendir = around_opendir,
    .readdir = around_readdir,
    .readdirplus = around_readdirplus,
    .releasedir = around_releasedir,
    .fsyncdir = around_fsyncdir,
    .statfs = around_statfs,
    .access = around_access,
    .setxattr = around_setxattr,
    .getxattr = around_getxattr,
    .listxattr = around_listxattr,
    .removexattr = around_removexattr,
    .tmpfile = around_tmpfile,
    .statx = around_statx,
};
#endif
