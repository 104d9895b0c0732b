/* namei: walking paths for those who have them (namei.h). */
#include "vfs/namei.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "vfs/rumpfs.h"
#include "vfs/vop.h"

/* Cuts the next component off *path into buf.  1, 0 at the end, or -errno. */
static int
next_component(const char **path, char buf[NAME_LEN_MAX + 1], struct name *ret)
{
	const char *p = *path + strspn(*path, "/");
	size_t len = strcspn(p, "/");
	int r;

	if (len == 0)
		return 0;
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	memcpy(buf, p, len);
	buf[len] = '\0';
	r = name_init_len(ret, buf, len);
	*path = p + len;
	return r < 0 ? r : 1;
}

int
namei(struct vfs *v, const char *path, struct vnode **ret_vp)
{
	AUTO_VNODE vp = vn_ref(vfs_root_peek(v));
	char buf[NAME_LEN_MAX + 1];
	struct name n;
	int r;

	while ((r = next_component(&path, buf, &n)) > 0) {
		struct vnode *child;

		r = vop_lookup(vp, &n, &child);
		if (r < 0)
			return r;
		vn_unref(vp);
		vp = child;
	}
	if (r < 0)
		return r;
	*ret_vp = vp;
	vp = NULL;
	return 0;
}

/* Makes the directory that path's first len bytes name, missing in dvp. */
static int
make_parent(struct vfs *v, struct vnode *dvp, const struct name *n, const char *path,
    size_t len, struct vnode **ret_vp)
{
	struct mount *mem = v->vfs_mem_root->v_mount;
	struct vnode *vp;
	int r;

	/* Below a whiteout or a name that is still missing nothing can be seen. */
	if (dvp->v_type == VDIR && shadow_may_create(dvp, n) == -EACCES)
		return -EBUSY;
	if (dvp->v_mount == mem) {
		r = rumpfs_mkdir_synth(dvp, n, ret_vp);
		if (r == 0 && v->vfs_notify)
			v->vfs_notify->entry(v->vfs_notify_arg, dvp, n);
		return r;
	}
	r = rumpfs_dir_synth(mem, &vp);
	if (r < 0)
		return r;
	r = vfs_attach_synth(v, dvp, n, path, len, vp);
	if (r < 0)
		vn_unref(vp);
	else
		*ret_vp = vp;
	return r;
}

int
namei_parent(struct vfs *v, const char *path, bool make_parents, struct vnode **ret_dvp,
    struct name *ret_name)
{
	AUTO_VNODE dvp = vn_ref(vfs_root_peek(v));
	const char *p = path, *last = strrchr(path, '/');
	char buf[NAME_LEN_MAX + 1];
	struct name n;
	int r;

	last = last ? last + 1 : path;
	r = name_init(ret_name, last);
	if (r < 0)
		return r;
	while (p + strspn(p, "/") < last) {
		struct vnode *child;

		r = next_component(&p, buf, &n);
		if (r <= 0)
			return r < 0 ? r : -ENOENT;
		r = vop_lookup(dvp, &n, &child);
		/* A file where there was a directory when something was attached below. */
		if (r == 0 && make_parents && v->vfs_rebinding && child->v_type != VDIR &&
		    child->v_mount == dvp->v_mount) {
			vn_unref(child);
			r = -ENOENT;
		}
		if (r == -ENOENT && make_parents)
			r = make_parent(v, dvp, &n, path, (size_t)(p - path), &child);
		if (r == -EEXIST && make_parents) /* somebody was faster */
			r = vop_lookup(dvp, &n, &child);
		if (r < 0)
			return r;
		vn_unref(dvp);
		dvp = child;
	}
	if (dvp->v_type != VDIR)
		return -ENOTDIR;
	*ret_dvp = dvp;
	dvp = NULL;
	return 0;
}

/* Removes the directory at path if it was made for an attachment and has no use left. */
static int
prune_one(struct vfs *v, const char *path)
{
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE vp = NULL;
	struct attach *at = vfs_attach_peek(v, path);
	struct name n;
	int r;

	if (at && at->at_synth) {
		/* By itself, not by what the path leads to: they may differ by now. */
		if (atomic_load(&at->at_vp->v_nattach) > 0)
			return -ENOTEMPTY;
		r = rumpfs_retire_synth(at->at_vp);
		if (r == 0)
			vfs_detach_synth(v, at);
		return r;
	}
	r = namei_parent(v, path, false, &dvp, &n);
	if (r == 0)
		r = vop_lookup(dvp, &n, &vp);
	if (r < 0)
		return r;
	if (!(atomic_load(&vp->v_flags) & VF_SYNTH) || vp->v_mount != dvp->v_mount)
		return -ENOTEMPTY;
	r = rumpfs_rmdir_synth(dvp, &n);
	if (r == 0 && v->vfs_notify)
		v->vfs_notify->entry(v->vfs_notify_arg, dvp, &n);
	return r;
}

void
namei_prune(struct vfs *v, const char *path)
{
	char p[PATH_MAX], *slash;

	if (strlen(path) >= sizeof(p))
		return; /* no attachment's path is that long */
	strcpy(p, path);
	while ((slash = strrchr(p, '/')) && slash != p) {
		*slash = '\0';
		/* One that is missing already has a parent that may have to go. */
		int r = prune_one(v, p);
		if (r < 0 && r != -ENOENT)
			break;
	}
}
