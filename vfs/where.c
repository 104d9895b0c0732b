/*
 * Where a vnode is in the namespace, and what is there, for people: found without asking a
 * host, and with no lock that is held over a call to one, so that it can be said while the
 * host does not answer.
 *
 * Attachments that may be missing (at_resolve) change while others look, and are passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vfs/mount.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

/* Puts text before what is in buf. */
static int
prepend(char *buf, size_t cap, const char *text)
{
	size_t n = strlen(text), had = strlen(buf);

	if (n + had >= cap)
		return -ENAMETOOLONG;
	memmove(buf + n, buf, had + 1);
	memcpy(buf, text, n);
	return 0;
}

static bool
is_fixed(const struct attach *at)
{
	return !at->at_resolve && at->at_kind == AT_MOUNT;
}

/* Where vp, or with whole the tree that it belongs to, is attached. */
static int
prepend_attached(struct vfs *v, const struct vnode *vp, bool whole, char *buf, size_t cap)
{
	int r = -ENOENT;

	lk_read(&v->vfs_lock, LK_MOUNTS);
	for (uint32_t i = 0; r == -ENOENT && i < v->vfs_asize; i++)
		for (const struct attach *at = v->vfs_ahash[i]; at; at = at->at_hnext) {
			if (!is_fixed(at) ||
			    (whole ? at->at_vp->v_mount != vp->v_mount : at->at_vp != vp))
				continue;
			/* At the top there is nothing to put before a path. */
			r = strcmp(at->at_path, "/") == 0
			        ? 0
			        : prepend(buf, cap, at->at_path);
			break;
		}
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
	return r;
}

/* Of what is in memory. */
static int
where_in_memory(struct vfs *v, struct vnode *of, char *buf, size_t cap)
{
	struct vnode *vp = vn_ref(of);
	int r = 0;

	while (r == 0 && vp != v->vfs_mem_root) {
		struct vnode *up = vfs_parent_get(vp);
		char name[NAME_LEN_MAX + 2] = "/";

		if (prepend_attached(v, vp, false, buf, cap) == 0) {
			if (up)
				vn_unref(up);
			break;
		}
		if (!up || up == vp || up->v_mount != vp->v_mount ||
		    !rumpfs_name_of(up, vp, name + 1))
			r = -ENOENT;
		else
			r = prepend(buf, cap, name);
		vn_unref(vp);
		vp = up;
		if (!vp)
			return r;
	}
	vn_unref(vp);
	return r;
}

int
vfs_where(struct vnode *vp, char *buf, size_t cap)
{
	struct vfs *v = vp->v_mount->mnt_vfs;
	int r;

	buf[0] = '\0';
	if (vp->v_mount == v->vfs_mem_root->v_mount) {
		r = where_in_memory(v, vp, buf, cap);
	} else {
		/* Other file systems do not say what is called how in them. */
		if (!(atomic_load(&vp->v_flags) & VF_ROOT))
			snprintf(buf, cap, "/...");
		r = prepend_attached(v, vp, true, buf, cap);
	}
	if (r == 0 && !buf[0])
		snprintf(buf, cap, "/");
	return r;
}

/* The one at just this path, under vfs_lock; or NULL. */
static const struct attach *
fixed_at(struct vfs *v, const char *path, size_t len)
{
	const struct attach *at = v->vfs_ahash[name_hash(path, len) & (v->vfs_asize - 1)];

	while (at && !(strncmp(at->at_path, path, len) == 0 && !at->at_path[len] &&
			 is_fixed(at)))
		at = at->at_hnext;
	return at;
}

int
vfs_counts_at(struct vfs *v, const char *path, uint64_t *ret_ops, uint64_t *ret_read,
    uint64_t *ret_written)
{
	const struct attach *at;

	lk_read(&v->vfs_lock, LK_MOUNTS);
	at = fixed_at(v, path, strlen(path));
	if (at) {
		struct mount_count *mc = &at->at_vp->v_mount->mnt_count;

		*ret_ops = atomic_load(&mc->mc_ops);
		*ret_read = atomic_load(&mc->mc_read);
		*ret_written = atomic_load(&mc->mc_written);
	}
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
	return at ? 0 : -ENOENT;
}

/* Where a walk to path begins: what is attached in memory at it or nearest above, with a
 * reference, or the root.  *rest: what is left of path. */
static struct vnode *
nearest(struct vfs *v, const char *path, const char **rest)
{
	const struct mount *mem = v->vfs_mem_root->v_mount;
	struct vnode *vp = NULL;

	lk_read(&v->vfs_lock, LK_MOUNTS);
	for (size_t len = strlen(path); !vp && len > 1;) {
		const struct attach *at = fixed_at(v, path, len);

		if (at && at->at_vp->v_mount == mem) {
			vp = vn_ref(at->at_vp);
			*rest = path + len;
		}
		do
			len--;
		while (path[len] != '/');
	}
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
	if (!vp) {
		vp = vn_ref(v->vfs_mem_root);
		*rest = path;
	}
	return vp;
}

/* One step down.  Takes over the reference on dvp. */
static int
step(struct vnode *dvp, const char *name, size_t len, struct vnode **ret)
{
	struct name n;
	char copy[NAME_LEN_MAX + 1];
	int r = len > NAME_LEN_MAX ? -ENAMETOOLONG : 0;

	if (r == 0) {
		memcpy(copy, name, len);
		copy[len] = '\0';
		r = name_init_len(&n, copy, len);
	}
	if (r == 0 && dvp->v_type != VDIR)
		r = -ENOTDIR;
	if (r == 0) {
		lk_read(&dvp->v_lock, LK_DIR);
		r = dvp->v_op->lookup(dvp, &n, ret);
		lk_unlock(&dvp->v_lock, LK_DIR);
	}
	vn_unref(dvp);
	return r;
}

/* The vnode at a path of the in-memory tree, with a reference. */
static int
look(struct vfs *v, const char *path, struct vnode **ret)
{
	struct vnode *vp = nearest(v, path, &path);
	int r;

	while (*path == '/' && path[1]) {
		size_t len = strcspn(++path, "/");

		r = step(vp, path, len, &vp);
		if (r < 0)
			return r;
		path += len;
	}
	*ret = vp;
	return 0;
}

int
vfs_look(struct vfs *v, const char *path, struct vattr *ret)
{
	struct vnode *vp;
	int r = look(v, path, &vp);

	if (r < 0)
		return r;
	r = vop_getattr(vp, NULL, ret);
	vn_unref(vp);
	return r;
}

int
vfs_look_link(struct vfs *v, const char *path, char *buf, size_t cap)
{
	struct vnode *vp;
	size_t len;
	int r = look(v, path, &vp);

	if (r < 0)
		return r;
	r = vop_readlink(vp, buf, cap - 1, &len);
	if (r == 0)
		buf[len] = '\0';
	vn_unref(vp);
	return r;
}

bool
vfs_attached(
    struct vfs *v, const char *path, bool (*fn)(struct attach *at, void *arg), void *arg)
{
	size_t len = strlen(path);
	bool found = false;

	lk_read(&v->vfs_lock, LK_MOUNTS);
	for (struct attach *at = v->vfs_ahash[name_hash(path, len) & (v->vfs_asize - 1)];
	     at && !found; at = at->at_hnext)
		found = strcmp(at->at_path, path) == 0 && fn(at, arg);
	lk_unlock(&v->vfs_lock, LK_MOUNTS);
	return found;
}
