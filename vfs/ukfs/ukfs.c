/*
 * Handles of libukfs: the process's namespace, mounting and releasing.
 *
 * A process has one namespace, with a tree in memory at its root, and never gives it up:
 * what is mounted with ukfs_mount() is attached in it, and what a released handle has left
 * mounted stays there.  A handle is an image (image.h), a current directory, and what has
 * been opened through it.
 */
#include "vfs/ukfs/ukfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vfs/image/fstype.h"
#include "vfs/rumpfs.h"
#include "vfs/ukfs/ukfs_private.h"

const struct cred uk_cred = {0, 0, 0, NULL, NULL};

static struct {
	struct vfs p_vfs;
	struct etfs *p_etfs;
	int p_error;         /* c after the first _ukfs_init() */
	_Atomic bool p_done; /* a: _ukfs_init() has succeeded */
} proc;

/*
 * The namespace takes it that the kernel may ask for what stood at its root, so a file system
 * that was mounted there is kept.  Here nobody asks but who mounts and unmounts; while nobody
 * does, it is let go.
 */
static pthread_rwlock_t root_lock =
    PTHREAD_RWLOCK_INITIALIZER; /* outside the rank order */

/* What there is to say of this thread's last mount. */
static _Thread_local struct image_why last_why;

static void
init_once(void)
{
	const struct rumpfs_opts ro = {
	    .ro_mode = 0755, .ro_uid = getuid(), .ro_gid = getgid()};
	const struct etfs_opts eo = {.eo_no_watch = true};
	struct vnode *root;
	int r = vfs_init(&proc.p_vfs);

	if (r == 0) {
		r = rumpfs_new(&proc.p_vfs, &ro, &root);
		if (r == 0) {
			vn_unref(root); /* the namespace has one of its own */
			r = etfs_new(&proc.p_vfs, &eo, &proc.p_etfs);
		}
		if (r < 0)
			vfs_done(&proc.p_vfs);
	}
	proc.p_error = r;
	atomic_store(&proc.p_done, r == 0);
}

int
_ukfs_init(int version)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (version != UKFS_VERSION)
		return (int)uk_ret(-EPROGMISMATCH);
	pthread_once(&once, init_once);
	return (int)uk_ret(proc.p_error);
}

int
uk_ready(void)
{
	return atomic_load(&proc.p_done) ? 0 : -EPROTO;
}

/* Makes the directories of a normalised path, as far as that can be done: attaching makes
 * do without, and says what is wrong. */
static void
build_path(const char *path)
{
	const struct vmake mk = {.vm_type = VDIR, .vm_mode = 0755};
	const struct cred cr = {getuid(), getgid(), 0, NULL, NULL};
	AUTO_VNODE dvp = vn_ref(vfs_root_peek(&proc.p_vfs));
	char buf[NAME_LEN_MAX + 1];
	int r = 0;

	for (const char *p = path + 1; r == 0 && *p; p += *p == '/') {
		size_t len = strcspn(p, "/");
		struct vnode *vp;
		struct name n;

		memcpy(buf, p, len);
		buf[len] = '\0';
		p += len;
		r = name_init_len(&n, buf, len);
		if (r == 0)
			r = vop_lookup(dvp, &n, &vp);
		if (r == -ENOENT)
			r = vop_make(dvp, &n, &mk, &cr, &vp);
		if (r == 0) {
			vn_unref(dvp);
			dvp = vp;
		}
	}
}

static int
handle_new(struct image *im, struct ukfs **ret)
{
	struct ukfs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return -ENOMEM;
	fs->fs_im = im;
	fs->fs_root = image_root_peek(im);
	fs->fs_cwd = vn_ref(fs->fs_root);
	pthread_mutex_init(&fs->fs_mtx, NULL);
	*ret = fs;
	return 0;
}

static void
handle_free(struct ukfs *fs)
{
	vn_unref(fs->fs_cwd);
	pthread_mutex_destroy(&fs->fs_mtx);
	free(fs);
}

/* As image_unmount(). */
static int
unmount(struct image *im, bool force, bool *ret_gone)
{
	AUTO_VNODE root = NULL;
	int r;

	if (strcmp(image_path(im), "/") == 0)
		root = vn_ref(image_root_peek(im));
	pthread_rwlock_rdlock(&root_lock);
	r = image_unmount(&proc.p_vfs, im, force, ret_gone);
	pthread_rwlock_unlock(&root_lock);
	if (*ret_gone && root) {
		pthread_rwlock_wrlock(&root_lock);
		vn_forget(root, 1);
		pthread_rwlock_unlock(&root_lock);
	}
	return r;
}

static int
mount_at(const char *vfsname, const char *device, char *path, int flags, const void *arg,
    size_t arglen, struct ukfs **ret)
{
	const struct fstype *t;
	struct mountarg ma;
	struct image *im;
	bool gone, nodev;
	int r;

	image_types_load();
	t = fstype_find(vfsname);
	nodev = t && (t->ft_flags & FT_NODEV);
	r = uk_arg_parse(&ma, arg, arglen, nodev, &last_why);
	if (r < 0)
		return r;
	struct image_spec s = {
	    .is_path = path,
	    .is_type = vfsname,
	    .is_host = nodev || !device || !*device ? NULL : device,
	    .is_begin = ma.ma_begin,
	    .is_size = ma.ma_size,
	    .is_partition = ma.ma_partition,
	    .is_no_lock = ma.ma_no_lock,
	    .is_options = ma.ma_options,
	    .is_uid = getuid(),
	    .is_gid = getgid(),
	    .is_rdonly = flags & UKFS_RDONLY,
	    .is_own_ino = true, /* st_dev tells mounts apart here */
	};
	pthread_rwlock_rdlock(&root_lock);
	build_path(path);
	r = image_mount(&proc.p_vfs, proc.p_etfs, &s, &im, &last_why);
	pthread_rwlock_unlock(&root_lock);
	uk_arg_done(&ma);
	if (r == 0) {
		r = handle_new(im, ret);
		if (r < 0)
			(void)unmount(im, true, &gone);
	}
	return r;
}

struct ukfs *
ukfs_mount(const char *vfsname, const char *device, const char *mountpath, int flags,
    const void *arg, size_t arglen)
{
	struct ukfs *fs = NULL;
	char *path = NULL;
	int r = uk_ready();

	last_why.iw_text[0] = '\0';
	if (r == 0 && (!vfsname || !mountpath || (flags & ~UKFS_RDONLY)))
		r = -EINVAL;
	if (r == 0)
		r = vfs_path_normal(mountpath, &path);
	if (r == 0)
		r = mount_at(vfsname, device, path, flags, arg, arglen, &fs);
	free(path);
	if (r < 0 && !last_why.iw_text[0])
		snprintf(last_why.iw_text, sizeof(last_why.iw_text), "mount %s: %s",
		    mountpath ? mountpath : "", strerrordesc_np(-r));
	if (r < 0)
		errno = -r;
	return fs;
}

const char *
ukfs_why(void)
{
	return last_why.iw_text;
}

int
ukfs_rdonly(struct ukfs *fs)
{
	return image_rdonly(fs->fs_im);
}

const char *
ukfs_type(struct ukfs *fs)
{
	return image_type(fs->fs_im);
}

int
ukfs_sync(struct ukfs *fs)
{
	return (int)uk_ret(image_sync(fs->fs_im));
}

/*
 * What can fail and leave the handle as it was comes first: writing back.  What is found
 * after that, when the image is no longer mounted, has a sentence only.
 */
int
ukfs_release(struct ukfs *fs, int flags)
{
	bool stays = flags & UKFS_RELFLAG_NOUNMOUNT,
	     must = flags & (UKFS_RELFLAG_NOUNMOUNT | UKFS_RELFLAG_FORCE), gone;
	int r;

	if (flags & ~(UKFS_RELFLAG_NOUNMOUNT | UKFS_RELFLAG_FORCE))
		return (int)uk_ret(-EINVAL);
	last_why.iw_text[0] = '\0';
	if (must) {
		uk_fd_close_all(fs);
		uk_dirs_close(fs);
	}
	uk_forget(fs);
	r = image_sync(fs->fs_im);
	if (r < 0 && !must)
		return (int)uk_ret(r);
	if (!stays) {
		int e = unmount(fs->fs_im, flags & UKFS_RELFLAG_FORCE, &gone);

		if (!gone && !must)
			return (int)uk_ret(e);
		r = r < 0 ? r : e;
	}
	if (r < 0)
		snprintf(last_why.iw_text, sizeof(last_why.iw_text), "unmount: %s",
		    strerrordesc_np(-r));
	handle_free(fs);
	return 0;
}

struct mount *
ukfs_getmp(struct ukfs *fs)
{
	return fs->fs_root->v_mount;
}

struct vnode *
ukfs_getrvp(struct ukfs *fs)
{
	return vn_ref(fs->fs_root);
}
