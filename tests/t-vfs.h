/*
 * A namespace for tests of the vnode layer: made and unmade, worked on by path, dumped as
 * text, and checked.
 *
 * Paths go through namei(), so attachments are seen as they are by everybody else.  A
 * dump shows everything of a tree that a user can see and nothing that may differ from
 * run to run (no times, no ids); two dumps are equal if nothing has changed.
 */
#ifndef RF_T_VFS_H
#define RF_T_VFS_H

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/t.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

struct world {
	struct vfs v;
	struct vnode *root;
};

static const struct cred t_cred = {1000, 100, 0};

static inline int
world_init_bare(struct world *w, uint64_t size, uint64_t inodes)
{
	struct rumpfs_opts o = {size, inodes, 0755, 1000, 100};
	int r = vfs_init(&w->v);

	if (r < 0)
		return r;
	r = rumpfs_new(&w->v, &o, &w->root);
	if (r < 0)
		vfs_done(&w->v);
	return r;
}

static inline int
world_init_sized(struct world *w, uint64_t size, uint64_t inodes)
{
	int r = world_init_bare(w, size, inodes);

#ifdef T_WORLD_MADE
	if (r == 0)
		T_WORLD_MADE(w->root->v_mount, size);
#endif
	return r;
}

static inline void
world_init(struct world *w)
{
	if (world_init_sized(w, 0, 0) < 0)
		abort();
}

/* In checked builds vfs_done() aborts if a vnode is left. */
static inline void
world_done(struct world *w)
{
	vn_unref(w->root);
	vfs_done(&w->v);
}
#define AUTO_WORLD __attribute__((cleanup(world_done))) struct world

/* A name, good until the eighth from now in this thread. */
static inline const struct name *
nm(const char *s)
{
	static _Thread_local struct name names[8];
	static _Thread_local unsigned next;
	struct name *n = &names[next++ % 8];

	if (name_init(n, s) < 0)
		abort();
	return n;
}

/* One step on a path: dvp and the name of its end. */
static inline int
p_parent(struct world *w, const char *path, struct vnode **ret_dvp, struct name *ret)
{
	return namei_parent(&w->v, path, false, ret_dvp, ret);
}

static inline struct vnode *
p_get(struct world *w, const char *path)
{
	struct vnode *vp;

	return namei(&w->v, path, &vp) == 0 ? vp : NULL;
}

static inline int
p_make_full(struct world *w, const char *path, const struct vmake *mk)
{
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE vp = NULL;
	struct name n;
	int r = p_parent(w, path, &dvp, &n);

	return r < 0 ? r : vop_make(dvp, &n, mk, &t_cred, &vp);
}

static inline int
p_make(struct world *w, const char *path, enum vtype type)
{
	struct vmake mk = {.vm_type = type, .vm_mode = 0755, .vm_target = "target"};

	return p_make_full(w, path, &mk);
}

static inline int
p_unlink(struct world *w, const char *path)
{
	AUTO_VNODE dvp = NULL;
	struct name n;
	int r = p_parent(w, path, &dvp, &n);

	return r < 0 ? r : vop_unlink(dvp, &n, &t_cred);
}

static inline int
p_rmdir(struct world *w, const char *path)
{
	AUTO_VNODE dvp = NULL;
	struct name n;
	int r = p_parent(w, path, &dvp, &n);

	return r < 0 ? r : vop_rmdir(dvp, &n, &t_cred);
}

static inline int
p_rename(struct world *w, const char *from, const char *to, unsigned flags)
{
	AUTO_VNODE fdvp = NULL;
	AUTO_VNODE tdvp = NULL;
	struct name fn, tn;
	int r = p_parent(w, from, &fdvp, &fn);

	if (r == 0)
		r = p_parent(w, to, &tdvp, &tn);
	return r < 0 ? r : vop_rename(fdvp, &fn, tdvp, &tn, flags, &t_cred);
}

static inline int
p_link(struct world *w, const char *old, const char *new)
{
	AUTO_VNODE vp = NULL;
	AUTO_VNODE dvp = NULL;
	struct name n;
	int r = namei(&w->v, old, &vp);

	if (r == 0)
		r = p_parent(w, new, &dvp, &n);
	return r < 0 ? r : vop_link(vp, dvp, &n, &t_cred);
}

static inline int
p_stat(struct world *w, const char *path, struct vattr *ret)
{
	AUTO_VNODE vp = NULL;
	int r = namei(&w->v, path, &vp);

	return r < 0 ? r : vop_getattr(vp, NULL, ret);
}

static inline bool
p_exists(struct world *w, const char *path)
{
	AUTO_VNODE vp = p_get(w, path);

	return vp != NULL;
}

/* Bytes written or read, or -errno. */
static inline ssize_t
v_write(struct vnode *vp, const void *buf, size_t len, uint64_t off)
{
	struct uio u;
	int r;

	uio_init_buf(&u, (void *)(uintptr_t)buf, len, off);
	r = vop_write(vp, NULL, &u);
	return r < 0 ? r : (ssize_t)u.uio_done;
}

static inline ssize_t
v_read(struct vnode *vp, void *buf, size_t len, uint64_t off)
{
	struct uio u;
	int r;

	uio_init_buf(&u, buf, len, off);
	r = vop_read(vp, NULL, &u);
	if (r < 0)
		return r;
	if (u.uio_fd < 0)
		return (ssize_t)u.uio_done;
	return pread(u.uio_fd, buf, u.uio_done, (off_t)u.uio_fdoff);
}

static inline ssize_t
p_write(struct world *w, const char *path, const void *buf, size_t len, uint64_t off)
{
	AUTO_VNODE vp = NULL;
	int r = namei(&w->v, path, &vp);

	return r < 0 ? r : v_write(vp, buf, len, off);
}

static inline int
p_truncate(struct world *w, const char *path, uint64_t size)
{
	struct vattr_set vs = {.vs_valid = VS_SIZE, .vs_size = size};
	AUTO_VNODE vp = NULL;
	int r = namei(&w->v, path, &vp);

	return r < 0 ? r : vop_setattr(vp, NULL, &vs, &t_cred);
}

static inline int
p_xattr(struct world *w, const char *path, const char *name, const char *value)
{
	AUTO_VNODE vp = NULL;
	int r = namei(&w->v, path, &vp);

	return r < 0 ? r : vop_setxattr(vp, name, value, strlen(value), 0, &t_cred);
}

static inline struct rumpfs_usage
usage(struct world *w)
{
	struct rumpfs_usage u;

	rumpfs_usage(w->root->v_mount, &u);
	return u;
}

/* Attaching.  The attach is allocated here and, on failure, freed here. */
static inline int
at_add(struct world *w, enum attach_kind kind, const char *path, struct vnode *vp)
{
	struct attach *at = calloc(1, sizeof(*at));
	int r = -ENOMEM;

	if (!at)
		return r;
	at->at_kind = kind;
	at->at_path = strdup(path);
	at->at_vp = vp ? vn_ref(vp) : NULL;
	if (at->at_path)
		r = vfs_attach(&w->v, at);
	if (r < 0) {
		if (vp)
			vn_unref(vp);
		free(at->at_path);
		free(at);
	}
	return r;
}

static inline int
at_del(struct world *w, const char *path)
{
	struct attach *at;
	int r = vfs_detach(&w->v, path, &at);

	if (r < 0)
		return r;
	if (at->at_vp)
		vn_unref(at->at_vp);
	free(at->at_path);
	free(at);
	return 0;
}

/* A tree that is not the namespace's own, to be attached; the caller's reference. */
static inline struct vnode *
other_tree(struct world *w)
{
	struct rumpfs_opts o = {0, 0, 0700, 7, 7};
	struct vnode *root;

	return rumpfs_new(&w->v, &o, &root) == 0 ? root : NULL;
}

/* A file without a name, to be attached. */
static inline struct vnode *
other_file(struct world *w)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0600};
	struct vnode *vp;

	return rumpfs_node_new(w->root->v_mount, &mk, &t_cred, &vp) == 0 ? vp : NULL;
}

static inline int
at_tree(struct world *w, const char *path)
{
	AUTO_VNODE vp = other_tree(w);

	return vp ? at_add(w, AT_MOUNT, path, vp) : -ENOMEM;
}

static inline int
at_file(struct world *w, const char *path)
{
	AUTO_VNODE vp = other_file(w);

	return vp ? at_add(w, AT_MOUNT, path, vp) : -ENOMEM;
}

#endif
