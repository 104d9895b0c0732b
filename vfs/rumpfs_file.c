/*
 * rumpfs vnode operations on the contents of files: rumpfs_vnops.c has the table.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "vfs/rules.h"
#include "vfs/rumpfs_private.h"

int
rumpfs_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f)
{
	/* The kernel leaves all of O_TRUNC to us, and with it the set-id bits. */
	struct vattr_set empty = {.vs_valid = VS_SIZE};
	int r;

	if (cr && cr->cr_uid != 0)
		empty.vs_valid |= VS_KILL_SETID;
	r = rumpfs_may_open(rumpfs_node_of(vp), flags);
	if (r == 0 && vp->v_type == VREG && (flags & O_TRUNC))
		r = vop_setattr(vp, f, &empty, cr);
	if (r == 0 && vp->v_type == VREG)
		rdata_opened(&rumpfs_node_of(vp)->rn_data);
	return r;
}

/* A file that was open for writing has been closed. */
static void
note_written(struct rstore *rs, struct rdata *d)
{
	struct rattr a;

	if (rs && rdata_attr(d, &a) == 0 && a.ra_pages > 0)
		rstore_written(rs, a.ra_pages >= 16);
}

void
rumpfs_close(struct file *f)
{
	struct vnode *vp = f->f_vp;
	struct rstore *rs = rstore_of(rumpfs_mount_of(vp));
	struct rdata *d = &rumpfs_node_of(vp)->rn_data;

	if (vp->v_type != VREG)
		return;
	if ((f->f_flags & O_ACCMODE) != O_RDONLY) {
		lk_read(&vp->v_lock, LK_FILE);
		note_written(rs, d);
		lk_unlock(&vp->v_lock, LK_FILE);
	}
	if (atomic_fetch_sub(&d->rd_opens, 1) != 1)
		return;
	if (d->rd_stays)
		d->rd_stays = false;
	if (rs)
		rstore_closed(vp);
}

/*
 * A file of the store, if it is one or becomes one: who opens it for writing will most likely
 * write.  Small ones that are only read are not worth it: the kernel keeps their pages.
 */
int
rumpfs_backing(struct vnode *vp, struct file *f, int *ret_fd)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rstore *rs = rstore_of(rumpfs_mount_of(vp));
	struct rdata *d = &rn->rn_data;
	int r = 0;

	if (!rs)
		return -EOPNOTSUPP;
	lk_write(&vp->v_lock, LK_FILE);
	/* What only grows, and what does not note when it is read, is asked of us; so are set-id
	 * bits, which the kernel has no clear word for when it writes. */
	if (rn->rn_flags & FS_APPEND_FL)
		r = -EPERM;
	else if ((rn->rn_flags & FS_NOATIME_FL) || (rn->rn_mode & (S_ISUID | S_ISGID)))
		r = -EOPNOTSUPP;
	else if (!d->rd_store) {
		if (d->rd_fd >= 0 || (f->f_flags & O_ACCMODE) == O_RDONLY ||
		    (f->f_flags & O_APPEND) || !rstore_is_worth(rs) ||
		    rmemfd_convert(rumpfs_mount_of(vp), d) < 0)
			r = -EOPNOTSUPP;
	}
	if (r == 0)
		*ret_fd = d->rd_fd;
	lk_unlock(&vp->v_lock, LK_FILE);
	return r;
}

int
rumpfs_read(struct vnode *vp, struct file *f, struct uio *u)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);

	if (vp->v_type != VREG)
		return -EINVAL;
	rumpfs_touch_atime(rn);
	return rdata_read(
	    rumpfs_mount_of(vp), &rn->rn_data, u, f || !rn->rn_data.rd_store);
}

int
rumpfs_write(struct vnode *vp, struct file *f, struct uio *u)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	int r;

	/* A file opened to append cannot be kept by the kernel from ceasing to; what was
	 * open otherwise before the flag was set goes on.  Without opens it cannot be known
	 * what was open before. */
	if (rn->rn_flags) {
		r = rumpfs_may_write(rn, f, u);
		if (r < 0)
			return r;
	}
	if (u->uio_append) {
		struct rattr a;

		r = rdata_attr(&rn->rn_data, &a);
		if (r < 0)
			return r;
		u->uio_off = a.ra_size;
	}
	if (u->uio_len > INT64_MAX - u->uio_off)
		return -EFBIG;
	r = rdata_write(rumpfs_mount_of(vp), &rn->rn_data, u);
	if (u->uio_done > 0) {
		rn->rn_mtime_ns = rn->rn_ctime_ns = rumpfs_now_ns();
		rn->rn_mode &=
		    ~rule_setid_written(rn->rn_mode, rn->rn_uid, rn->rn_gid, u);
		if (rn->rn_xattrs && rumpfs_lose_caps(rn))
			u->uio_killed = true;
	}
	return u->uio_done > 0 ? 0 : r;
}

int
rumpfs_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	int r;

	(void)f;
	r = rumpfs_may_fallocate(rn, mode);
	if (r == 0)
		r = rdata_fallocate(rumpfs_mount_of(vp), &rn->rn_data, mode, off, len);
	if (r == 0)
		rn->rn_mtime_ns = rn->rn_ctime_ns = rumpfs_now_ns();
	return r;
}

int
rumpfs_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	(void)f;
	return rdata_seek(&rumpfs_node_of(vp)->rn_data, off, whence, ret_off);
}
