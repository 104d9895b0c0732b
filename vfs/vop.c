/*
 * The vop wrappers: what is the same for every file system (vop.h).
 *
 * Each wrapper checks, in the order Linux does, what the kernel cannot have checked for
 * us or what must hold for other callers too; takes the locks of the op's row; calls;
 * traces. Open files are in vop_open.c, directory listing and attachments in vop_dir.c,
 * rename in rename.c.
 */
#include "vfs/vop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs/vop_private.h"

/* How often a look-up brings attachments along before it gives up. */
#define REBIND_TRIES 16

int
vop_lookup_plain(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	int r = -ENODATA;

	if (dvp->v_type != VDIR)
		r = -ENOTDIR;
	else if (has_shadow(dvp))
		r = shadow_lookup(dvp, n, ret_vp);
	if (r == -ENODATA) {
		vop_lock_shared(dvp);
		r = dvp->v_op->lookup(dvp, n, ret_vp);
		vop_unlock(dvp);
	}
	return r;
}

/* What attachments below the name hang on may have been replaced, moved, or come at last
 * where a parent was made for want of it. */
bool
vop_strays(struct vnode *dvp, const struct name *n, int r, struct vnode *vp)
{
	struct vnode *host;
	bool come;

	if (r < 0 || !(atomic_load(&vp->v_flags) & VF_SYNTH) ||
	    vp->v_mount == dvp->v_mount)
		return shadow_way_strays(dvp, n, r, vp);
	if (dvp->v_op->lookup(dvp, n, &host) < 0)
		return false;
	come = host->v_type == VDIR;
	vn_unref(host);
	return come;
}

/* In a file system that changes by itself: the look-up, and attachments brought along.
 * While they are on their way a look-up waits, so that nothing hidden is seen. */
static int
lookup_rebinding(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct vfs *v = dvp->v_mount->mnt_vfs;

	for (int tries = 1;; tries++) {
		uint64_t seq = atomic_load(&v->vfs_rebinds);
		struct vnode *vp = NULL;
		bool strays, made;
		int r, e = 0;

		if (seq & 1) {
			pthread_mutex_lock(&v->vfs_attach_mtx);
			pthread_mutex_unlock(&v->vfs_attach_mtx);
			seq = atomic_load(&v->vfs_rebinds);
		}
		r = vop_lookup_plain(dvp, n, &vp);
		strays = vop_strays(dvp, n, r, vp);
		/* A made parent that users have filled stays, whatever the host has. */
		made = r == 0 && vp->v_mount != dvp->v_mount;
		if ((!strays && atomic_load(&v->vfs_rebinds) == seq) ||
		    (made && tries == REBIND_TRIES)) {
			if (r == 0)
				*ret_vp = vp;
			return r;
		}
		if (r == 0)
			vn_unref(vp);
		if (strays)
			e = vfs_rebind(dvp, n);
		/* Never what the host has without what is attached there. */
		if (e < 0 || tries == REBIND_TRIES)
			return e < 0 ? e : -ESTALE;
	}
}

int
vop_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	int r;

	if ((dvp->v_op->vo_flags & VOPS_LOCKED) || dvp->v_type != VDIR || vfs_attaching())
		r = vop_lookup_plain(dvp, n, ret_vp);
	else
		r = lookup_rebinding(dvp, n, ret_vp);
	TRACE("lookup dir=%llu \"%s\" = %d node=%llu", ID(dvp), n->n_ptr, r,
	    r == 0 ? ID(*ret_vp) : 0);
	return r;
}

int
vop_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	int r;

	vop_lock_shared(vp);
	r = vp->v_op->getattr(vp, f, ret);
	vop_unlock(vp);
	if (r == 0)
		ret->va_ino += vp->v_mount->mnt_ino;
	/* A link count of 1 says that the file system does not count subdirectories. */
	if (r == 0 && vp->v_type == VDIR && has_shadow(vp) && ret->va_nlink > 1)
		ret->va_nlink += shadow_ndirs(vp);
	TRACE("getattr node=%llu = %d", ID(vp), r);
	return r;
}

int
vop_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr)
{
	int r;

	if (rdonly(vp) || !vp->v_op->setattr) {
		r = -EROFS;
	} else if ((vs->vs_valid & VS_SIZE) && vp->v_type != VREG) {
		r = vp->v_type == VDIR ? -EISDIR : -EINVAL;
	} else if ((vs->vs_valid & VS_SIZE) && vs->vs_size > INT64_MAX) {
		r = -EFBIG;
	} else if ((vs->vs_valid & VS_SIZE) && vn_is_device(vp)) {
		r = -EBUSY;
	} else {
		vop_lock_excl(vp);
		r = vp->v_op->setattr(vp, f, vs, cr);
		vop_unlock(vp);
	}
	TRACE("setattr node=%llu valid=%#x = %d", ID(vp), vs->vs_valid, r);
	return r;
}

int
vop_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	int r = -EINVAL;

	if (vp->v_type == VLNK && vp->v_op->readlink) {
		vop_lock_shared(vp);
		r = vp->v_op->readlink(vp, buf, cap, ret_len);
		vop_unlock(vp);
	}
	TRACE("readlink node=%llu = %d", ID(vp), r);
	return r;
}

/* May this name be made in dvp? */
int
vop_may_create(struct vnode *dvp, const struct name *n)
{
	int r;

	if (dvp->v_type != VDIR)
		return -ENOTDIR;
	if (has_shadow(dvp)) {
		r = shadow_may_create(dvp, n);
		if (r < 0)
			return r;
	}
	return rdonly(dvp) ? -EROFS : 0;
}

static int
may_remove(struct vnode *dvp, const struct name *n)
{
	if (dvp->v_type != VDIR)
		return -ENOTDIR;
	if (has_shadow(dvp)) {
		int r = shadow_may_remove(dvp, n);
		if (r < 0)
			return r;
	}
	return rdonly(dvp) ? -EROFS : 0;
}

int
vop_make_plain(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp)
{
	int r = vop_may_create(dvp, n);

	if (r < 0)
		return r;
	if (!dvp->v_op->make)
		return -EPERM;
	vop_lock_excl(dvp);
	r = dvp->v_op->make(dvp, n, mk, cr, ret_vp);
	vop_unlock(dvp);
	return r;
}

int
vop_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp)
{
	int r = vop_make_plain(dvp, n, mk, cr, ret_vp);

	TRACE("make dir=%llu \"%s\" mode=%o = %d node=%llu", ID(dvp), n->n_ptr,
	    vtype_to_ifmt(mk->vm_type) | mk->vm_mode, r, r == 0 ? ID(*ret_vp) : 0);
	return r;
}

int
vop_link(struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	int r = vop_may_create(dvp, n);

	if (r == 0 && vp->v_mount != dvp->v_mount)
		r = -EXDEV;
	if (r == 0 && (vp->v_type == VDIR || !dvp->v_op->link))
		r = -EPERM;
	if (r == 0) {
		vop_lock_excl(dvp);
		vop_lock_excl(vp);
		r = dvp->v_op->link(vp, dvp, n, cr);
		vop_unlock(vp);
		vop_unlock(dvp);
	}
	TRACE("link node=%llu dir=%llu \"%s\" = %d", ID(vp), ID(dvp), n->n_ptr, r);
	return r;
}

int
vop_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	int r = may_remove(dvp, n);

	if (r == 0 && !dvp->v_op->unlink)
		r = -EPERM;
	if (r == 0) {
		vop_lock_excl(dvp);
		r = dvp->v_op->unlink(dvp, n, cr);
		vop_unlock(dvp);
	}
	TRACE("unlink dir=%llu \"%s\" = %d", ID(dvp), n->n_ptr, r);
	return r;
}

/* A directory with something attached at or below it is not empty, whatever its file
 * system says.  Where nothing is attached below dvp there is nothing to ask. */
static int
may_rmdir(struct vnode *dvp, const struct name *n)
{
	struct vnode *vp;
	int r = may_remove(dvp, n);

	if (r < 0 || atomic_load_explicit(&dvp->v_nattach, memory_order_relaxed) == 0)
		return r;
	r = vop_lookup(dvp, n, &vp);
	if (r == 0) {
		r = atomic_load(&vp->v_nattach) > 0 ? -ENOTEMPTY : 0;
		vn_unref(vp);
	}
	return r;
}

int
vop_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	int r = may_rmdir(dvp, n);

	if (r == 0 && !dvp->v_op->rmdir)
		r = -EPERM;
	if (r == 0) {
		vop_lock_excl(dvp);
		r = dvp->v_op->rmdir(dvp, n, cr);
		vop_unlock(dvp);
	}
	TRACE("rmdir dir=%llu \"%s\" = %d", ID(dvp), n->n_ptr, r);
	return r;
}

int
vop_flush(struct file *f)
{
	int r = f->f_vp->v_op->flush ? f->f_vp->v_op->flush(f) : 0;

	TRACE("flush node=%llu = %d", ID(f->f_vp), r);
	return r;
}

int
vop_read(struct vnode *vp, struct file *f, struct uio *u)
{
	int r = -EINVAL;

	if (vp->v_type == VDIR) {
		r = -EISDIR;
	} else if (vp->v_op->read) {
		vop_lock_shared(vp);
		r = vp->v_op->read(vp, f, u);
		vop_unlock(vp);
	}
	TRACE("read node=%llu off=%llu len=%zu = %d done=%zu", ID(vp),
	    (unsigned long long)u->uio_off, u->uio_len, r, u->uio_done);
	return r;
}

int
vop_write(struct vnode *vp, struct file *f, struct uio *u)
{
	int r = -EINVAL;

	if (rdonly(vp)) {
		r = -EROFS;
	} else if (u->uio_off > INT64_MAX || u->uio_len > INT64_MAX - u->uio_off) {
		r = -EFBIG;
	} else if (vp->v_type == VREG && vp->v_op->write) {
		vop_lock_excl(vp);
		r = vp->v_op->write(vp, f, u);
		vop_unlock(vp);
	}
	TRACE("write node=%llu off=%llu len=%zu = %d done=%zu", ID(vp),
	    (unsigned long long)u->uio_off, u->uio_len, r, u->uio_done);
	return r;
}

int
vop_backing(struct vnode *vp, struct file *f, int *ret_fd)
{
	int r = -EOPNOTSUPP;

	/* What an image is mounted from changes in more ways than through its file. */
	if (vp->v_type == VREG && vp->v_op->backing && !vn_is_device(vp))
		r = vp->v_op->backing(vp, f, ret_fd);

	TRACE("backing node=%llu = %d", ID(vp), r);
	return r;
}

int
vop_fsync(struct vnode *vp, struct file *f, bool datasync)
{
	int r = vp->v_op->fsync ? vp->v_op->fsync(vp, f, datasync) : 0;

	TRACE("fsync node=%llu datasync=%d = %d", ID(vp), datasync, r);
	return r;
}

int
vop_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len)
{
	int r = -EOPNOTSUPP;

	if (rdonly(vp)) {
		r = -EROFS;
	} else if (len == 0) {
		r = -EINVAL;
	} else if (off > INT64_MAX || len > INT64_MAX - off) {
		r = -EFBIG;
	} else if (vp->v_type == VREG && vp->v_op->fallocate) {
		vop_lock_excl(vp);
		r = vp->v_op->fallocate(vp, f, mode, off, len);
		vop_unlock(vp);
	}
	TRACE("fallocate node=%llu mode=%#x off=%llu len=%llu = %d", ID(vp),
	    (unsigned)mode, (unsigned long long)off, (unsigned long long)len, r);
	return r;
}

int
vop_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	int r = -EINVAL;

	if (vp->v_type == VREG && vp->v_op->seek &&
	    (whence == SEEK_DATA || whence == SEEK_HOLE)) {
		vop_lock_shared(vp);
		r = vp->v_op->seek(vp, f, off, whence, ret_off);
		vop_unlock(vp);
	}
	TRACE("seek node=%llu off=%llu whence=%d = %d", ID(vp), (unsigned long long)off,
	    whence, r);
	return r;
}

int
vop_copy_range(struct file *from, uint64_t off, struct file *to, uint64_t to_off,
    size_t len, size_t *ret_done)
{
	struct vnode *in = from->f_vp, *out = to->f_vp;
	int r = -EOPNOTSUPP;

	if (rdonly(out))
		r = -EROFS;
	else if (off > INT64_MAX || to_off > INT64_MAX || len > INT64_MAX - to_off)
		r = -EFBIG;
	else if (in->v_type != VREG || out->v_type != VREG)
		r = -EINVAL;
	else if (in->v_op->copy_range && in->v_op->copy_range == out->v_op->copy_range)
		r = in->v_op->copy_range(from, off, to, to_off, len, ret_done);
	TRACE("copy_range node=%llu off=%llu node=%llu off=%llu len=%zu = %d", ID(in),
	    (unsigned long long)off, ID(out), (unsigned long long)to_off, len, r);
	return r;
}

int
vop_getxattr(struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	int r = -EOPNOTSUPP;

	if (vp->v_op->getxattr) {
		vop_lock_shared(vp);
		r = vp->v_op->getxattr(vp, name, buf, size, ret_len);
		vop_unlock(vp);
	}
	TRACE("getxattr node=%llu %s = %d", ID(vp), name, r);
	return r;
}

int
vop_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr)
{
	int r = -EOPNOTSUPP;

	if (rdonly(vp)) {
		r = -EROFS;
	} else if (vp->v_op->setxattr) {
		vop_lock_excl(vp);
		r = vp->v_op->setxattr(vp, name, value, size, flags, cr);
		vop_unlock(vp);
	}
	TRACE("setxattr node=%llu %s len=%zu = %d", ID(vp), name, size, r);
	return r;
}

int
vop_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	int r = 0;

	if (vp->v_op->listxattr) {
		vop_lock_shared(vp);
		r = vp->v_op->listxattr(vp, buf, size, ret_len);
		vop_unlock(vp);
	} else {
		*ret_len = 0;
	}
	TRACE("listxattr node=%llu = %d", ID(vp), r);
	return r;
}

int
vop_removexattr(struct vnode *vp, const char *name, const struct cred *cr)
{
	int r = -EOPNOTSUPP;

	if (rdonly(vp)) {
		r = -EROFS;
	} else if (vp->v_op->removexattr) {
		vop_lock_excl(vp);
		r = vp->v_op->removexattr(vp, name, cr);
		vop_unlock(vp);
	}
	TRACE("removexattr node=%llu %s = %d", ID(vp), name, r);
	return r;
}

int
vop_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in, size_t in_len,
    void *out, size_t out_len, const struct cred *cr)
{
	int r = -ENOTTY;

	if (vp->v_op->ioctl)
		r = vp->v_op->ioctl(vp, f, cmd, in, in_len, out, out_len, cr);
	TRACE("ioctl node=%llu cmd=%#x = %d", ID(vp), cmd, r);
	return r;
}

int
vop_statfs(struct vnode *vp, struct statvfs *ret)
{
	int r = vp->v_op->statfs(vp, ret);

	TRACE("statfs node=%llu = %d", ID(vp), r);
	return r;
}
