/*
 * Names of a handle: making, removing, linking, renaming.
 *
 * What is checked here is what the kernel checks before it asks a file system: "." and
 * "..", slashes behind the last name, kinds of nodes; in its order.
 */
#include <stdlib.h>

#include "vfs/ukfs/ukfs_private.h"

/* Walks to where a new name is to be and makes it. */
static int
make_at(struct ukfs *fs, const char *path, const struct vmake *mk)
{
	AUTO_WALK w = {0};
	struct vnode *vp;
	int r = uk_walk(fs, path, WALK_PARENT, &w);

	if (r < 0)
		return r;
	if (w.w_last != LAST_NAME)
		return -EEXIST;
	if (w.w_slash && mk->vm_type != VDIR) {
		r = vop_lookup(w.w_dvp, &w.w_name, &vp);
		if (r == 0)
			vn_unref(vp);
		return r == 0 ? -EEXIST : r;
	}
	r = uk_make(&w, mk, &vp);
	if (r == 0)
		vn_unref(vp);
	return r;
}

int
ukfs_mknod(struct ukfs *fs, const char *path, mode_t mode, dev_t dev)
{
	struct vmake mk = {.vm_type = mode & S_IFMT ? vtype_of_mode(mode) : VREG,
	    .vm_mode = mode & 07777,
	    .vm_rdev = dev};

	if (mk.vm_type == VDIR)
		return (int)uk_ret(-EPERM);
	if (mk.vm_type == VLNK || !mk.vm_type)
		return (int)uk_ret(-EINVAL);
	return (int)uk_ret(make_at(fs, path, &mk));
}

int
ukfs_mkfifo(struct ukfs *fs, const char *path, mode_t mode)
{
	return ukfs_mknod(fs, path, (mode & 07777) | S_IFIFO, 0);
}

int
ukfs_mkdir(struct ukfs *fs, const char *path, mode_t mode)
{
	struct vmake mk = {.vm_type = VDIR, .vm_mode = mode & 01777};

	return (int)uk_ret(make_at(fs, path, &mk));
}

int
ukfs_symlink(struct ukfs *fs, const char *target, const char *path)
{
	struct vmake mk = {.vm_type = VLNK, .vm_mode = 0777, .vm_target = target};

	if (!target)
		return (int)uk_ret(-EFAULT);
	if (!*target)
		return (int)uk_ret(-ENOENT);
	if (strnlen(target, PATH_MAX) == PATH_MAX)
		return (int)uk_ret(-ENAMETOOLONG);
	return (int)uk_ret(make_at(fs, path, &mk));
}

/* What is there although there is a slash behind its name, as an error. */
static int
slash_behind(const struct walk *w)
{
	struct vnode *vp;
	int r;

	if (uk_is_rdonly(w->w_dvp))
		return -EROFS;
	r = vop_lookup(w->w_dvp, &w->w_name, &vp);
	if (r < 0)
		return r;
	r = vp->v_type == VDIR ? -EISDIR : -ENOTDIR;
	vn_unref(vp);
	return r;
}

int
ukfs_remove(struct ukfs *fs, const char *path)
{
	AUTO_WALK w = {0};
	int r = uk_walk(fs, path, WALK_PARENT, &w);

	if (r == 0 && w.w_last != LAST_NAME)
		r = -EISDIR;
	else if (r == 0 && w.w_slash)
		r = slash_behind(&w);
	else if (r == 0)
		r = vop_unlink(w.w_dvp, &w.w_name, &uk_cred);
	return (int)uk_ret(r);
}

int
ukfs_rmdir(struct ukfs *fs, const char *path)
{
	static const int whys[] = {
	    [LAST_DOT] = -EINVAL, [LAST_DOTDOT] = -ENOTEMPTY, [LAST_ROOT] = -EBUSY};
	AUTO_WALK w = {0};
	int r = uk_walk(fs, path, WALK_PARENT, &w);

	if (r == 0)
		r = w.w_last == LAST_NAME ? vop_rmdir(w.w_dvp, &w.w_name, &uk_cred)
		                          : whys[w.w_last];
	if (r == 0)
		uk_forget(fs);
	return (int)uk_ret(r);
}

static int
link_at(struct ukfs *fs, struct vnode *vp, const char *newpath)
{
	AUTO_WALK w = {0};
	struct vnode *there;
	int r = uk_walk(fs, newpath, WALK_PARENT, &w);

	if (r < 0)
		return r;
	if (w.w_last != LAST_NAME)
		return -EEXIST;
	r = w.w_slash ? -ENOENT : vop_link(vp, w.w_dvp, &w.w_name, &uk_cred);
	/* That the name is taken comes first. */
	if (r < 0 && vop_lookup(w.w_dvp, &w.w_name, &there) == 0) {
		vn_unref(there);
		r = -EEXIST;
	}
	return r;
}

int
ukfs_link(struct ukfs *fs, const char *path, const char *newpath)
{
	AUTO_VNODE vp = NULL;
	int r = uk_lookup(fs, path, false, &vp);

	return (int)uk_ret(r < 0 ? r : link_at(fs, vp, newpath));
}

ssize_t
ukfs_readlink(struct ukfs *fs, const char *path, char *buf, size_t size)
{
	AUTO_VNODE vp = NULL;
	char text[PATH_MAX];
	size_t len;
	int r = size == 0 ? -EINVAL : uk_lookup(fs, path, false, &vp);

	if (r == 0)
		r = vop_readlink(vp, text, sizeof(text), &len);
	if (r < 0)
		return uk_ret(r);
	len = len < size ? len : size;
	memcpy(buf, text, len);
	return (ssize_t)len;
}

/* A slash behind one of the names is for directories. */
static int
rename_slashes(const struct walk *from, const struct walk *to)
{
	AUTO_VNODE vp = NULL;
	int r;

	if (!from->w_slash && !to->w_slash)
		return 0;
	if (uk_is_rdonly(from->w_dvp))
		return -EROFS;
	r = vop_lookup(from->w_dvp, &from->w_name, &vp);
	return r == 0 && vp->v_type != VDIR ? -ENOTDIR : r;
}

int
ukfs_rename(struct ukfs *fs, const char *from, const char *to)
{
	AUTO_WALK f = {0};
	AUTO_WALK t = {0};
	AUTO_VNODE vp = NULL;
	int r = uk_walk(fs, from, WALK_PARENT, &f);

	if (r == 0)
		r = uk_walk(fs, to, WALK_PARENT, &t);
	if (r == 0 && f.w_dvp->v_mount != t.w_dvp->v_mount)
		r = -EXDEV;
	if (r == 0 && (f.w_last != LAST_NAME || t.w_last != LAST_NAME))
		r = -EBUSY;
	if (r == 0)
		r = rename_slashes(&f, &t);
	if (r == 0)
		r = vop_rename(f.w_dvp, &f.w_name, t.w_dvp, &t.w_name, 0, &uk_cred);
	/* A directory may have replaced another. */
	if (r == 0 && vop_lookup(t.w_dvp, &t.w_name, &vp) == 0 && vp->v_type == VDIR)
		uk_forget(fs);
	return (int)uk_ret(r);
}

/* A directory that is to be there: 0, or why it is not. */
static int
build_one(struct ukfs *fs, const char *path, mode_t mode)
{
	struct vmake mk = {.vm_type = VDIR, .vm_mode = mode & 01777};
	AUTO_VNODE vp = NULL;
	int r = make_at(fs, path, &mk);

	if (r != -EEXIST)
		return r;
	r = uk_lookup(fs, path, true, &vp);
	if (r == -ENOENT) /* a link to nothing is in the way */
		return -EEXIST;
	return r == 0 && vp->v_type != VDIR ? -EEXIST : r;
}

int
ukfs_util_builddirs(struct ukfs *fs, const char *path, mode_t mode)
{
	char buf[PATH_MAX], *p = buf;
	int r = !path ? -EFAULT : !*path ? -ENOENT : 0;

	if (r == 0 && strnlen(path, PATH_MAX) == PATH_MAX)
		r = -ENAMETOOLONG;
	if (r == 0)
		strcpy(buf, path);
	while (r == 0 && *p) {
		char was;

		p += strspn(p, "/");
		p += strcspn(p, "/");
		was = *p;
		*p = '\0';
		r = build_one(fs, buf, mode);
		*p = was;
		if (!p[strspn(p, "/")])
			break;
		if (r == -EEXIST)
			r = -ENOTDIR; /* it is in the way of the rest */
	}
	return (int)uk_ret(r);
}
