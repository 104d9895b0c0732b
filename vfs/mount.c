/*
 * Namespaces and mounts: made and given back (mount.h).  Attaching is in attach.c.
 */
#include "vfs/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vop.h"

void
mount_init(struct mount *mp, struct vfs *vfs, const char *type, uint64_t ttl_ns,
    void (*mnt_free)(struct mount *))
{
	static _Atomic uint32_t last;

	mp->mnt_vfs = vfs;
	mp->mnt_number = atomic_fetch_add(&last, 1) + 1;
	atomic_init(&mp->mnt_ref, 1);
	atomic_init(&mp->mnt_flags, 0);
	atomic_init(&mp->mnt_nopen, 0);
	mp->mnt_ino = 0;
	mp->mnt_ttl_ns = ttl_ns;
	mp->mnt_name_ttl = NULL;
	mp->mnt_attr_ttl = NULL;
	mp->mnt_type = type;
	mp->mnt_free = mnt_free;
	atomic_init(&mp->mnt_root_ino, 0);
	atomic_init(&mp->mnt_count.mc_ops, 0);
	atomic_init(&mp->mnt_count.mc_read, 0);
	atomic_init(&mp->mnt_count.mc_written, 0);
	atomic_init(&mp->mnt_count.mc_passed, 0);
	atomic_init(&mp->mnt_count.mc_refused, 0);
}

uint64_t
mount_name_ttl(struct vnode *dvp)
{
	const struct mount *mp = dvp->v_mount;

	return mp->mnt_name_ttl ? mp->mnt_name_ttl(dvp) : mp->mnt_ttl_ns;
}

uint64_t
mount_attr_ttl(struct vnode *dvp, struct vnode *vp, const struct vattr *va)
{
	const struct mount *mp = vp->v_mount;

	if (!mp->mnt_attr_ttl)
		return mp->mnt_ttl_ns;
	return mp->mnt_attr_ttl(dvp && dvp->v_mount == mp ? dvp : NULL, vp, va);
}

struct mount *
mount_ref(struct mount *mp)
{
	atomic_fetch_add_explicit(&mp->mnt_ref, 1, memory_order_relaxed);
	return mp;
}

void
mount_unref(struct mount *mp)
{
	if (atomic_fetch_sub(&mp->mnt_ref, 1) != 1)
		return;
	mp->mnt_free(mp);
}

int
vfs_init(struct vfs *v)
{
	pthread_mutexattr_t ma;
	int r;

	memset(v, 0, sizeof(*v));
	r = slots_init(&v->vfs_nodes);
	if (r < 0)
		return r;
	r = slots_init(&v->vfs_files);
	v->vfs_asize = 64;
	v->vfs_ahash = r < 0 ? NULL : calloc(v->vfs_asize, sizeof(*v->vfs_ahash));
	if (!v->vfs_ahash) {
		slots_done(&v->vfs_files);
		slots_done(&v->vfs_nodes);
		return r < 0 ? r : -ENOMEM;
	}
	/* Recursive: resolving a pending name while walking to an attachment. */
	pthread_mutexattr_init(&ma);
	pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&v->vfs_attach_mtx, &ma);
	pthread_mutexattr_destroy(&ma);
	pthread_mutex_init(&v->vfs_rename, NULL);
	pthread_rwlock_init(&v->vfs_lock, NULL);
	return 0;
}

static void
close_file(void *obj, void *arg)
{
	(void)arg;
	vop_close(obj);
}

static void
forget_all(void *obj, void *arg)
{
	struct vnode *vp = obj;

	(void)arg;
	vn_forget(vp, UINT64_MAX);
}

static void
hold(void *obj, void *arg)
{
	(void)arg;
	vn_ref(obj);
}

static void
dissolve(void *obj, void *arg)
{
	struct vnode *vp = obj;

	(void)arg;
	if (vp->v_op->dissolve)
		vp->v_op->dissolve(vp);
}

static void
let_go(void *obj, void *arg)
{
	(void)arg;
	vn_unref(obj);
}

/* Parents made for attachments, in which somebody has left something. */
static void
drop_synths(struct vfs *v)
{
	struct attach *at;

	v->vfs_notify = NULL;
	for (uint32_t i = 0; i < v->vfs_asize; i++)
		while ((at = v->vfs_ahash[i]) && at->at_synth)
			vfs_detach_synth(v, at);
}

void
vfs_done(struct vfs *v)
{
	slots_each(&v->vfs_files, close_file, NULL);
	slots_each(&v->vfs_nodes, forget_all, NULL);
	drop_synths(v);
	/* All are held meanwhile: a directory must not go before its entries are out. */
	slots_each(&v->vfs_nodes, hold, NULL);
	slots_each(&v->vfs_nodes, dissolve, NULL);
	slots_each(&v->vfs_nodes, let_go, NULL);
	if (v->vfs_mem_root)
		vn_unref(v->vfs_mem_root);
#ifdef RF_CHECKED
	if (slots_count(&v->vfs_nodes) != 0)
		abort(); /* a reference was leaked */
#endif
	slots_done(&v->vfs_files);
	slots_done(&v->vfs_nodes);
	free(v->vfs_ahash);
	pthread_mutex_destroy(&v->vfs_attach_mtx);
	pthread_mutex_destroy(&v->vfs_rename);
	pthread_rwlock_destroy(&v->vfs_lock);
	memset(v, 0, sizeof(*v));
}

struct vnode *
vfs_node_peek(struct vfs *v, uint64_t id)
{
	return id == 1 ? vfs_root_peek(v) : slot_peek(&v->vfs_nodes, id);
}

static bool
hold_node(void *obj)
{
	return vn_ref_live(obj);
}

struct vnode *
vfs_node_get(struct vfs *v, uint64_t id)
{
	return id == 1 ? vn_ref(vfs_root_peek(v))
	               : slot_hold(&v->vfs_nodes, id, hold_node);
}

struct vnode *
vfs_parent_get(struct vnode *vp)
{
	struct vnode *up;

	if (vp->v_type != VDIR)
		return NULL;
	lk_read(&vp->v_lock, LK_DIR);
	up = vn_ref(vp->v_parent ? vp->v_parent : vp);
	lk_unlock(&vp->v_lock, LK_DIR);
	return up;
}

struct file *
vfs_file_peek(struct vfs *v, uint64_t id)
{
	return slot_peek(&v->vfs_files, id);
}

int
vfs_path_normal(const char *text, char **ret)
{
	size_t len = strlen(text), o = 0;
	const char *p = text;
	char *out;

	if (text[0] != '/')
		return -EINVAL;
	if (len >= 4096)
		return -ENAMETOOLONG;
	out = malloc(len + 2);
	if (!out)
		return -ENOMEM;
	while (*p) {
		struct name n;
		size_t c;

		p += strspn(p, "/");
		c = strcspn(p, "/");
		if (c == 0)
			break;
		/* name_init_len() wants a NUL behind; only the checks matter here. */
		int r = name_init_len(&n, p, c);
		if (r < 0) {
			free(out);
			return r;
		}
		out[o++] = '/';
		memcpy(out + o, p, c);
		o += c;
		p += c;
	}
	if (o == 0)
		out[o++] = '/';
	out[o] = '\0';
	*ret = out;
	return 0;
}
