/*
 * The front end's requests that open and close (fe.h), and what the kernel is told to do
 * with what is open.
 */
#include <errno.h>
#include <fcntl.h>

#include "daemon/fe_mode.h"
#include "daemon/fe_pass.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_wire.h"

/* What the kernel is to do with the pages of a file. */
static void
caching(struct fuse_file_info *fi, const struct vnode *vp)
{
	const struct mount *mp = vp->v_mount;
	bool forever = mp->mnt_ttl_ns == MNT_TTL_FOREVER;

	fi->direct_io = (atomic_load(&mp->mnt_flags) & MNT_NOCACHE) != 0;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
	/* Windows do not grow, so writes to one need no order. */
	fi->parallel_direct_writes = fi->direct_io;
#endif
	/* Who only reads has nothing to flush, nor has who writes to memory or an image. */
	fi->noflush = forever || (fi->flags & O_ACCMODE) == O_RDONLY;
	/* There nothing changes but through the kernel; but an image's device is written
	 * behind it. */
	fi->keep_cache = forever && !(atomic_load(&vp->v_flags) & VF_DEVICE);
}

/* Closes what has been opened, and answered so. */
static void
close_file(struct fe *fe, struct file *f, bool answered)
{
	fe_pass_close(fe->fe_passes, fe->fe_dev, f, answered);
	vop_close(f);
}

/* How the kernel is to have f, a regular file: 0, or -errno. */
static int
how_open(
    struct fe *fe, struct file *f, struct fuse_file_info *fi, struct fe_pass_how *how)
{
	int r;

	*how = (struct fe_pass_how){0};
	fi->fh = f->f_id;
	caching(fi, f->f_vp);
	if (!(fe->fe_agreed & FE_INIT_PASSTHROUGH))
		return 0;
	r = fe_pass_open(fe->fe_passes, fe->fe_dev, f, how);
	if (r == 0 && !how->ph_backing && how->ph_direct)
		fi->direct_io = 1;
	/* Its own pages of what it has changed without them are old. */
	if (r == 0 && how->ph_drop)
		fi->keep_cache = 0;
	return r;
}

/* Opens.  The kernel leaves all of O_TRUNC to that, and goes on with the mode that it knows.
 * File systems go by the user; here is what they cannot know: root that may not keep set-id
 * bits. */
static int
open_file(struct fe *fe, struct vnode *vp, const struct fuse_file_info *fi,
    const struct cred *cr, struct file **ret_f)
{
	struct vattr_set vs = {.vs_valid = VS_KILL_SETID};
	bool kills =
	    (fi->flags & O_TRUNC) && (cr->cr_uid != 0 || fe_wire_kills_setid(fi, 0));
	bool tell = kills && fe_has_setid(vp, NULL);
	int r = vop_open(vp, fi->flags, cr, ret_f);

	if (r < 0 || !tell)
		return r;
	if (cr->cr_uid == 0)
		(void)vop_setattr(vp, *ret_f, &vs, cr);
	fe_attrs_changed(fe, vp);
	return 0;
}

/* Replies to an open or (e not NULL) a create. */
static int
reply_open(fuse_req_t req, const struct fuse_entry_param *e,
    const struct fuse_file_info *fi, const struct fe_pass_how *how)
{
	if (how->ph_backing)
		return fe_pass_reply(req, e, fi, how);
	return e ? fuse_reply_create(req, e, fi) : fuse_reply_open(req, fi);
}

void
fe_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_OPEN);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_pass_how how;
	struct file *f = NULL;
	struct cred cr;
	int r;

	fe_cred(req, &cr);
	if (fe->fe_no_open) {
		fe_unknown(req);
		return;
	}
	r = vp ? open_file(fe, vp, fi, &cr, &f) : -ESTALE;
	if (r == 0)
		r = how_open(fe, f, fi, &how);
	if (r < 0) {
		if (f)
			vop_close(f);
		fe_error(req, r);
		return;
	}
	if (reply_open(req, NULL, fi, &how) < 0)
		close_file(fe, f, false); /* no release will come */
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
	struct fe_pass_how how;
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
	if (r == 0)
		r = how_open(fe, f, fi, &how);
	if (r < 0) {
		vop_close(f);
		vn_unref(vp);
		fe_error(req, r);
		return;
	}
	/* Without opens nothing is released either. */
	if (fe->fe_no_open) {
		fi->fh = 0;
		close_file(fe, f, false);
		f = NULL;
	}
	vn_lookup_given(vp);
	if (reply_open(req, &e, fi, &how) < 0) {
		if (f)
			close_file(fe, f, false);
		vn_forget(vp, 1);
	}
}

void
fe_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_OPENDIR);
	struct vnode *vp = fe_node(fe, ino);
	enum dirkeep how;
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
	/* What has not changed is listed from the kernel's own pages the second time. */
	how = vop_listing(f);
	fi->cache_readdir = how != LISTING_ASK;
	fi->keep_cache = how == LISTING_KEPT;
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
		close_file(fe, f, true);
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
