/*
 * Replies (fe_reply.h), and the beginning and end of struct fe.
 */
#include "daemon/fe_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/fe_pass.h"
#include "daemon/fe_stats.h"

/* Long enough for everybody, short enough for the kernel's arithmetic: 31 years. */
#define FOREVER_S 1e9
/* How long the absence of a name that may appear by itself is believed. */
#define PENDING_TTL_S 1.0
/* As many groups as most have, and more. */
#define NGROUPS_SOME 64

static const char *const op_names[FE_NOPS] = {
    [FE_LOOKUP] = "lookup",
    [FE_FORGET] = "forget",
    [FE_GETATTR] = "getattr",
    [FE_SETATTR] = "setattr",
    [FE_READLINK] = "readlink",
    [FE_MKNOD] = "mknod",
    [FE_MKDIR] = "mkdir",
    [FE_UNLINK] = "unlink",
    [FE_RMDIR] = "rmdir",
    [FE_SYMLINK] = "symlink",
    [FE_RENAME] = "rename",
    [FE_LINK] = "link",
    [FE_OPEN] = "open",
    [FE_CREATE] = "create",
    [FE_READ] = "read",
    [FE_WRITE] = "write",
    [FE_FLUSH] = "flush",
    [FE_RELEASE] = "release",
    [FE_FSYNC] = "fsync",
    [FE_OPENDIR] = "opendir",
    [FE_READDIR] = "readdir",
    [FE_READDIRPLUS] = "readdirplus",
    [FE_RELEASEDIR] = "releasedir",
    [FE_FSYNCDIR] = "fsyncdir",
    [FE_STATFS] = "statfs",
    [FE_SETXATTR] = "setxattr",
    [FE_GETXATTR] = "getxattr",
    [FE_LISTXATTR] = "listxattr",
    [FE_REMOVEXATTR] = "removexattr",
    [FE_ACCESS] = "access",
    [FE_FALLOCATE] = "fallocate",
    [FE_LSEEK] = "lseek",
    [FE_IOCTL] = "ioctl",
    [FE_COPY_RANGE] = "copy_file_range",
    [FE_TMPFILE] = "tmpfile",
    [FE_STATX] = "statx",
};

const char *
fe_op_name(enum fe_op op)
{
	return op_names[op];
}

int
fe_init(struct fe *fe, struct vfs *v)
{
	int r;

	memset(fe, 0, sizeof(*fe));
	fe->fe_vfs = v;
	/* A file handle that was made of an id of another mount must not fit this one. */
	if (getrandom(&fe->fe_generation, sizeof(uint32_t), 0) < 0)
		return -errno;
	fe->fe_dev = -1;
	fe->fe_passes = fe_passes_new(NULL);
	r = fe->fe_passes ? fe_stats_init(fe) : -ENOMEM;
	if (r < 0) {
		fe_passes_free(fe->fe_passes);
		return r;
	}
	/* The buffers are one piece of memory, so that free() is all of their end. */
	r = -pthread_key_create(&fe->fe_bufs_key, free);
	if (r < 0) {
		fe_stats_done(fe);
		fe_passes_free(fe->fe_passes);
	}
	return r;
}

void
fe_done(struct fe *fe)
{
	pthread_key_delete(fe->fe_bufs_key);
	fe_stats_done(fe);
	fe_passes_free(fe->fe_passes);
}

struct fe_bufs *
fe_bufs(struct fe *fe)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fe_bufs *fb = pthread_getspecific(fe->fe_bufs_key);
	char *mem;

	if (fb)
		return fb;
	/* One piece: this struct, the data, the listing.  Pages are touched as they are
	 * used. */
	mem = aligned_alloc(page, page + FE_DATA_MAX + FE_DIR_MAX);
	if (!mem)
		return NULL;
	fb = (struct fe_bufs *)mem;
	fb->fb_data = mem + page;
	fb->fb_dir = fb->fb_data + FE_DATA_MAX;
	if (pthread_setspecific(fe->fe_bufs_key, fb) != 0) {
		free(mem);
		return NULL;
	}
	return fb;
}

struct fe *
fe_begin(fuse_req_t req, enum fe_op op)
{
	struct fe *fe = fuse_req_userdata(req);

	fe_heap_thread();
	fe_stats_begin(fe, op, req);
	return fe;
}

struct vnode *
fe_node(const struct fe *fe, fuse_ino_t ino)
{
	struct vnode *vp = vfs_node_peek(fe->fe_vfs, ino);

	if (vp)
		fe_stats_vnode(fe, vp);
	return vp;
}

struct file *
fe_file(const struct fe *fe, const struct fuse_file_info *fi)
{
	return fi ? vfs_file_peek(fe->fe_vfs, fi->fh) : NULL;
}

/* Reads /proc, also under a vnode's lock: for what hardly ever happens. */
static bool
caller_is_member(const struct cred *cr, gid_t gid)
{
	gid_t some[NGROUPS_SOME], *list = some;
	int n = fuse_req_getgroups(cr->cr_arg, NGROUPS_SOME, some);
	bool found = false;

	if (n > NGROUPS_SOME) {
		list = calloc((size_t)n, sizeof(*list));
		n = list ? fuse_req_getgroups(cr->cr_arg, n, list) : 0;
	}
	for (int i = 0; i < n && !found; i++)
		found = list[i] == gid;
	if (list != some)
		free(list);
	return found;
}

void
fe_cred(fuse_req_t req, struct cred *ret)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	ret->cr_uid = ctx->uid;
	ret->cr_gid = ctx->gid;
	ret->cr_pid = ctx->pid;
	ret->cr_member = caller_is_member;
	ret->cr_arg = req;
}

uint32_t
fe_umask(fuse_req_t req)
{
	return fuse_req_ctx(req)->umask & 0777;
}

void
fe_error(fuse_req_t req, int r)
{
	if (r < 0)
		fe_stats_error(fuse_req_userdata(req));
	/* A reply that cannot be sent has nobody waiting for it. */
	(void)fuse_reply_err(req, -r);
}

void
fe_attrs_changed(struct fe *fe, struct vnode *vp)
{
	struct vfs *v = fe->fe_vfs;

	if (!v->vfs_notify)
		return;
	v->vfs_notify->attrs(v->vfs_notify_arg, vp);
	v->vfs_notify->settle(v->vfs_notify_arg);
}

bool
fe_has_setid(struct vnode *vp, struct file *f)
{
	struct vattr va;

	return vp->v_type == VREG && vop_getattr(vp, f, &va) == 0 &&
	       (va.va_mode & (S_ISUID | S_ISGID));
}

/* Seconds, as libfuse wants them. */
double
fe_seconds(uint64_t ns)
{
	return ns == MNT_TTL_FOREVER ? FOREVER_S : (double)ns / 1e9;
}

void
fe_stat(struct stat *ret, const struct vattr *va)
{
	memset(ret, 0, sizeof(*ret));
	ret->st_ino = va->va_ino;
	ret->st_mode = va->va_mode;
	ret->st_nlink = va->va_nlink;
	ret->st_uid = va->va_uid;
	ret->st_gid = va->va_gid;
	ret->st_rdev = va->va_rdev;
	ret->st_size = (off_t)va->va_size;
	ret->st_blksize = va->va_blksize;
	ret->st_blocks = (blkcnt_t)va->va_blocks_blk;
	ret->st_atim = va->va_atime;
	ret->st_mtim = va->va_mtime;
	ret->st_ctim = va->va_ctime;
}

int
fe_entry_fill(
    const struct fe *fe, struct fuse_entry_param *e, struct vnode *dvp, struct vnode *vp)
{
	struct vattr va;
	int r = vop_getattr(vp, NULL, &va);

	if (r < 0)
		return r;
	memset(e, 0, sizeof(*e));
	e->ino = vfs_node_id(fe->fe_vfs, vp);
	e->generation = fe->fe_generation;
	fe_stat(&e->attr, &va);
	e->attr_timeout = fe_seconds(mount_attr_ttl(dvp, vp, &va));
	/* The name is the directory's: a key in an in-memory directory changes only by
	 * attaching and detaching, which tell the kernel. */
	e->entry_timeout = fe_seconds(mount_name_ttl(dvp));
	return 0;
}

void
fe_entry(fuse_req_t req, struct vnode *dvp, struct vnode *vp)
{
	struct fuse_entry_param e;
	int r = fe_entry_fill(fuse_req_userdata(req), &e, dvp, vp);

	if (r < 0) {
		vn_unref(vp);
		fe_error(req, r);
		return;
	}
	vn_lookup_given(vp);
	if (fuse_reply_entry(req, &e) < 0)
		vn_forget(vp, 1);
}

void
fe_no_entry(fuse_req_t req, struct vnode *dvp)
{
	struct fuse_entry_param e = {.ino = 0};

	e.entry_timeout = fe_seconds(mount_name_ttl(dvp));
	if (atomic_load(&dvp->v_flags) & VF_PENDING && e.entry_timeout > PENDING_TTL_S)
		e.entry_timeout = PENDING_TTL_S;
	if (e.entry_timeout <= 0) {
		fe_error(req, -ENOENT);
		return;
	}
	(void)fuse_reply_entry(req, &e);
}

void
fe_attr(fuse_req_t req, struct vnode *vp, struct file *f)
{
	struct vattr va;
	struct stat st;
	int r = vop_getattr(vp, f, &va);

	if (r < 0) {
		fe_error(req, r);
		return;
	}
	fe_stat(&st, &va);
	(void)fuse_reply_attr(req, &st, fe_seconds(mount_attr_ttl(NULL, vp, &va)));
}
