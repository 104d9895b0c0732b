/*
 * Connections that are not like others (fe_mode.h).
 */
#include "daemon/fe_mode.h"

#include <errno.h>
#include <fcntl.h>

#include "daemon/fe_reply.h"

void
fe_mode_agree(struct fe *fe, const struct fuse_conn_info *conn)
{
	fe->fe_no_open = fe->fe_want_no_open && conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
	fe->fe_no_opendir = fe->fe_no_open && conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	fe->fe_writeback =
	    fe->fe_want_writeback && conn->capable & FUSE_CAP_WRITEBACK_CACHE;
	/* It ends with a release, and goes round what the kernel keeps. */
	if (fe->fe_no_open || fe->fe_writeback)
		fe->fe_want_passthrough = false;
	fe->fe_minor = conn->proto_minor;
	if (fe->fe_no_open && fe->fe_unopened)
		fe->fe_unopened(fe->fe_ready_arg);
}

/* 1: the handle says nothing, and need not.  0 with the file of it, or -EBADF. */
static int
by_handle(struct fe *fe, const struct fuse_file_info *fi, struct fe_use *ret)
{
	*ret = (struct fe_use){.fu_f = fe_file(fe, fi)};
	if (ret->fu_f)
		return 0;
	return fi && fi->fh == 0 && fe->fe_no_open ? 1 : -EBADF;
}

int
fe_use(struct fe *fe, fuse_req_t req, const struct fuse_file_info *fi, struct vnode *vp,
    int flags, struct fe_use *ret)
{
	int r = by_handle(fe, fi, ret);
	struct cred cr;

	if (r <= 0 || !(vp->v_op->vo_flags & VOPS_OPENED))
		return r < 0 ? r : 0;
	fe_cred(req, &cr);
	ret->fu_once = true;
	return vop_open_once(vp, flags, &cr, &ret->fu_f);
}

int
fe_use_file(struct fe *fe, fuse_req_t req, const struct fuse_file_info *fi,
    struct vnode *vp, int flags, struct fe_use *ret)
{
	int r = fe_use(fe, req, fi, vp, flags, ret);
	struct cred cr;

	if (r < 0 || ret->fu_f)
		return r;
	fe_cred(req, &cr);
	ret->fu_once = true;
	return vop_open(vp, flags, &cr, &ret->fu_f);
}

void
fe_unuse(struct fe_use *fu)
{
	if (fu->fu_once && fu->fu_f)
		vop_close(fu->fu_f);
	fu->fu_f = NULL;
}

int
fe_use_written(const struct fe *fe, const struct fe_use *fu)
{
	/* The kernel sends no flush from the first that was not answered. */
	return fe->fe_no_open && fu->fu_f ? vop_flush(fu->fu_f) : 0;
}

uint64_t
fe_attr_ttl(
    const struct fe *fe, struct vnode *dvp, struct vnode *vp, const struct vattr *va)
{
	bool living = atomic_load(&vp->v_mount->mnt_ttl_ns) != MNT_TTL_FOREVER;

	if (fe->fe_no_open && living && (vp->v_type == VREG || vp->v_type == VDIR))
		return 0;
	return mount_attr_ttl(dvp, vp, va);
}

struct vnode *
fe_mode_reads(const struct fe *fe, struct vnode *vp)
{
	bool unkept =
	    fe->fe_no_open && fe->fe_vfs->vfs_notify &&
	    atomic_load_explicit(&vp->v_mount->mnt_flags, memory_order_relaxed) &
		MNT_NOCACHE;

	return unkept ? vn_ref(vp) : NULL;
}

void
fe_mode_was_read(const struct fe *fe, struct vnode *unkept)
{
	struct vfs *v = fe->fe_vfs;

	if (!unkept)
		return;
	v->vfs_notify->inode(v->vfs_notify_arg, unkept);
	vn_unref(unkept);
}
