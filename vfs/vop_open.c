/*
 * The vop wrappers for open files: opening, creating, files without a name, closing
 * (vop.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/vop_private.h"

/* An open file with an id, its vnode not yet opened. */
static int
file_new(struct vnode *vp, int flags, bool once, struct file **ret_f)
{
	struct file *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->f_flags = flags;
	f->f_fd = -1;
	f->f_once = once;
	r = once ? 0 : slot_new(&vp->v_mount->mnt_vfs->vfs_files, f, &f->f_id);
	if (r < 0) {
		free(f);
		return r;
	}
	f->f_vp = vn_ref(vp);
	/* Whatever it becomes the file of (create), that is of the same mount. */
	atomic_fetch_add_explicit(&vp->v_mount->mnt_nopen, 1, memory_order_relaxed);
	*ret_f = f;
	return 0;
}

static void
file_free(struct file *f)
{
	struct vnode *vp = f->f_vp;

	if (!f->f_once)
		slot_release(&vp->v_mount->mnt_vfs->vfs_files, f->f_id);
	free(f->f_scan);
	free(f);
	atomic_fetch_sub_explicit(&vp->v_mount->mnt_nopen, 1, memory_order_relaxed);
	vn_unref(vp);
}

/* Does opening it with these flags change it, or let it be changed? */
static bool
to_write(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

static int
open_file(
    struct vnode *vp, int flags, const struct cred *cr, bool once, struct file **ret_f)
{
	bool writes = to_write(flags);
	struct file *f;
	int r;

	if (vp->v_type == VDIR && writes)
		return -EISDIR;
	if (vp->v_type != VREG && vp->v_type != VDIR)
		return -ENXIO;
	if (writes && rdonly(vp))
		return -EROFS;
	r = file_new(vp, flags, once, &f);
	if (r < 0)
		return r;
	r = vp->v_op->open ? vp->v_op->open(vp, flags, cr, f) : 0;
	if (r < 0)
		file_free(f);
	else
		*ret_f = f;
	return r;
}

/* What an image is mounted from is the image's. */
static int
open_shared(
    struct vnode *vp, int flags, const struct cred *cr, bool once, struct file **ret_f)
{
	if (to_write(flags) && vn_is_device(vp))
		return rdonly(vp) ? -EROFS : -EBUSY;
	return open_file(vp, flags, cr, once, ret_f);
}

int
vop_open_device(struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f)
{
	return open_file(vp, flags, cr, false, ret_f);
}

int
vop_open(struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f)
{
	int r = open_shared(vp, flags, cr, false, ret_f);

	TRACE("open node=%llu flags=%#x = %d file=%llu", ID(vp), (unsigned)flags, r,
	    r == 0 ? (unsigned long long)(*ret_f)->f_id : 0);
	return r;
}

int
vop_open_once(struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f)
{
	int r = 0;

	if (vp->v_op->vo_flags & VOPS_OPENED)
		r = open_shared(vp, flags, cr, true, ret_f);
	else
		*ret_f = NULL;
	TRACE("open_once node=%llu flags=%#x = %d", ID(vp), (unsigned)flags, r);
	return r;
}

/*
 * The file is there already, though the kernel took the name for free: somebody has been
 * quicker, or a reload has put it there.  O_CREAT opens it; but the kernel asks nothing of
 * what a create has opened.  To its owner a file is what the owner's bits of its mode say,
 * with an ACL or without; for anybody else the kernel is to look again (-ESTALE), and to
 * check as it opens.
 */
static int
owner_may_open(struct vnode *vp, int flags, const struct cred *cr)
{
	int mode = flags & O_ACCMODE;
	uint32_t need = 0;
	struct vattr va;
	int r = vop_getattr(vp, NULL, &va);

	if (r < 0)
		return r;
	if (mode != O_WRONLY)
		need |= S_IRUSR;
	if (mode != O_RDONLY || (flags & O_TRUNC))
		need |= S_IWUSR;
	return va.va_uid == cr->cr_uid && (va.va_mode & need) == need ? 0 : -ESTALE;
}

static int
create_existing(struct vnode *dvp, const struct name *n, int flags, const struct cred *cr,
    struct vnode **ret_vp, struct file **ret_f)
{
	struct vnode *vp;
	int r = vop_lookup(dvp, n, &vp);

	if (r < 0)
		return r;
	if (vp->v_type == VDIR)
		r = -EISDIR;
	else if (vp->v_type != VREG)
		r = -ESTALE; /* the kernel looks again and does what that kind needs */
	else
		r = owner_may_open(vp, flags, cr);
	if (r == 0)
		r = open_shared(vp, flags & ~(O_CREAT | O_EXCL), cr, false, ret_f);
	if (r < 0)
		vn_unref(vp);
	else
		*ret_vp = vp;
	return r;
}

/* The file system's own create, which opens as it makes. */
static int
create_native(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f)
{
	struct file *f;
	struct vnode *vp;
	int r = file_new(dvp, flags, false, &f);

	if (r < 0)
		return r;
	vop_lock_excl(dvp);
	r = dvp->v_op->create(dvp, n, mk, flags, cr, f, &vp);
	vop_unlock(dvp);
	if (r < 0) {
		file_free(f);
		return r;
	}
	vn_unref(f->f_vp);
	f->f_vp = vn_ref(vp);
	*ret_vp = vp;
	*ret_f = f;
	return 0;
}

/* make, then open.  The open file is there first: then only the file system's own open
 * can fail once the name is there, and a file system where it can has its own create. */
static int
create_made(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f)
{
	struct file *f;
	struct vnode *vp = NULL;
	int r;

	flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
	r = file_new(dvp, flags, false, &f);
	if (r < 0)
		return r;
	r = vop_make_plain(dvp, n, mk, cr, &vp);
	if (r == 0) {
		vn_unref(f->f_vp);
		f->f_vp = vn_ref(vp);
		r = vp->v_op->open ? vp->v_op->open(vp, flags, cr, f) : 0;
	}
	if (r < 0) {
		file_free(f);
		vn_unref_p(&vp);
		return r;
	}
	*ret_vp = vp;
	*ret_f = f;
	return 0;
}

static int
create(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f)
{
	int r = vop_may_create(dvp, n);

	if (r == 0 && dvp->v_op->create)
		return create_native(dvp, n, mk, flags, cr, ret_vp, ret_f);
	if (r == 0)
		r = create_made(dvp, n, mk, flags, cr, ret_vp, ret_f);
	if ((r == -EEXIST || r == -EROFS) && !(flags & O_EXCL)) {
		int e = create_existing(dvp, n, flags, cr, ret_vp, ret_f);
		/* It has gone again since: the name must be looked up anew. */
		if (e == -ENOENT)
			e = r == -EROFS ? -EROFS : -ESTALE;
		return e;
	}
	return r;
}

int
vop_create(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f)
{
	struct vnode *vp = NULL;
	struct file *f = NULL;
	int r = create(dvp, n, mk, flags, cr, &vp, &f);

	if (r == 0) {
		*ret_vp = vp;
		*ret_f = f;
	}
	TRACE("create dir=%llu \"%s\" mode=%o flags=%#x = %d node=%llu", ID(dvp),
	    n->n_ptr, mk->vm_mode, (unsigned)flags, r, r == 0 ? ID(vp) : 0);
	return r;
}

static int
tmpfile_open(struct vnode *dvp, const struct vmake *mk, int flags, const struct cred *cr,
    struct vnode **ret_vp, struct file **ret_f)
{
	struct vnode *vp;
	struct file *f;
	int r;

	if (dvp->v_type != VDIR)
		return -ENOTDIR;
	if (rdonly(dvp))
		return -EROFS;
	if (!dvp->v_op->tmpfile)
		return -EOPNOTSUPP;
	r = file_new(dvp, flags & ~(O_TMPFILE | O_CREAT | O_EXCL), false, &f);
	if (r < 0)
		return r;
	vop_lock_shared(dvp);
	r = dvp->v_op->tmpfile(dvp, mk, flags, cr, f, &vp);
	vop_unlock(dvp);
	if (r < 0) {
		file_free(f);
		return r;
	}
	vn_unref(f->f_vp);
	f->f_vp = vn_ref(vp);
	*ret_vp = vp;
	*ret_f = f;
	return 0;
}

int
vop_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags, const struct cred *cr,
    struct vnode **ret_vp, struct file **ret_f)
{
	int r = tmpfile_open(dvp, mk, flags, cr, ret_vp, ret_f);

	TRACE("tmpfile dir=%llu mode=%o = %d node=%llu", ID(dvp), mk->vm_mode, r,
	    r == 0 ? ID(*ret_vp) : 0);
	return r;
}

void
vop_close(struct file *f)
{
	TRACE("close node=%llu file=%llu", ID(f->f_vp), (unsigned long long)f->f_id);
	if (f->f_vp->v_op->close)
		f->f_vp->v_op->close(f);
	file_free(f);
}
