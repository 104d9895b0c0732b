/*
 * The front end's requests that open and close (fe.h), and what the kernel is told to do
 * with what is open.
 */
#include <errno.h>
#include <fcntl.h>

#include "daemon/fe_mode.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_wire.h"

/* What the kernel is to do with the pages of a file. */
static void
caching(struct fuse_file_info *fi, const struct vnode *vp)
{
	const struct mount *mp = vp->v_mount;

	fi->direct_io = (atomic_load(&mp->mnt_flags) & MNT_NOCACHE) != 0;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
	/* Windows do not grow, so writes to one need no order. */
	fi->parallel_direct_writes = fi->direct_io;
#endif
	/* In memory nothing changes but through the kernel, and there is nothing to
	 * flush. */
	fi->noflush = mp->mnt_ttl_ns == MNT_TTL_FOREVER;
	/* Nor in an image; but an image's device is written behind the kernel. */
	fi->keep_cache = fi->noflush && !(atomic_load(&vp->v_flags) & VF_DEVICE);
}

void
fe_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_OPEN);
	struct vnode *vp = fe_node(fe, ino);
	struct file *f;
	struct cred cr;
	int r;

	fe_cred(req, &cr);
	if (fe->fe_no_open) {
		fe_unknown(req);
		return;
	}
	r = vp ? vop_open(vp, fi->flags, &cr, &f) : -ESTALE;
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	fi->fh = f->f_id;
	caching(fi, vp);
	if (fuse_reply_open(req, fi) < 0)
		vop_close(f); /* no release will come */
}

void
fe_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
    struct fuse_file_info *fi)
{
	bool tmpfile = fe_wire_is_tmpfile(); /* then the name says nothing */
	struct fe *fe = fe_begin(req, tmpfile ? FE_TMPFILE : FE_CREATE);
	struct vnode *dvp = fe_node(fe, parent), *vp;
	struct vmake mk = {
	    .vm_type = VREG, .vm_mode = mode & 07777, .vm_umask = fe_umask(req)};
	struct fuse_entry_param e;
	struct file *f;
	struct name n;
	struct cred cr;
	int r = !dvp ? -ESTALE : tmpfile ? 0 : name_init(&n, name);

	fe_cred(req, &cr);
	if (r == 0)
		r = tmpfile ? vop_tmpfile(dvp, &mk, fi->flags, &cr, &vp, &f)
		            : vop_create(dvp, &n, &mk, fi->flags, &cr, &vp, &f);
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	r = fe_entry_fill(fe, &e, dvp, vp);
	if (r < 0) {
		vop_close(f);
		vn_unref(vp);
		fe_error(req, r);
		return;
	}
	fi->fh = f->f_id;
	caching(fi, vp);
	/* Without opens nothing is released either. */
	if (fe->fe_no_open) {
		fi->fh = 0;
		vop_close(f);
		f = NULL;
	}
	vn_lookup_given(vp);
	if (fuse_reply_create(req, &e, fi) < 0) {
		if (f)
			vop_close(f);
		vn_forget(vp, 1);
	}
}

/* An image that is only read. */
static bool
is_fixed(const struct mount *mp)
{
	return mp->mnt_ttl_ns == MNT_TTL_FOREVER &&
	       atomic_load_explicit(&mp->mnt_flags, memory_order_relaxed) & MNT_RDONLY;
}

void
fe_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_OPENDIR);
	struct vnode *vp = fe_node(fe, ino);
	struct file *f;
	struct cred cr;
	int r;

	fe_cred(req, &cr);
	if (fe->fe_no_opendir) {
		fe_unknown(req);
		return;
	}
	r = vp ? vop_open(vp, fi->flags, &cr, &f) : -ESTALE;
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	fi->fh = f->f_id;
	/* What never changes is listed from the kernel's own pages the second time.  What is
	 * attached in it comes and goes with a note, which makes the kernel ask again. */
	fi->cache_readdir = fi->keep_cache = is_fixed(vp->v_mount);
	if (fuse_reply_open(req, fi) < 0)
		vop_close(f);
}

void
fe_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_FLUSH);
	struct file *f = fe_file(fe, fi);

	(void)ino;
	/* Without a handle there is nothing to flush, and none will be asked for again. */
	if (!f && fe->fe_no_open && fi->fh == 0)
		fe_unknown(req);
	else
		fe_error(req, f ? vop_flush(f) : -EBADF);
}

static void
release(fuse_req_t req, enum fe_op op, const struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, op);
	struct file *f = fe_file(fe, fi);

	if (f)
		vop_close(f);
	fe_error(req, f || (fe->fe_no_open && fi->fh == 0) ? 0 : -EBADF);
}

void
fe_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	release(req, FE_RELEASE, fi);
}

void
fe_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	release(req, FE_RELEASEDIR, fi);
}
