/*
 * Images mounted in a namespace (image.h).
 */
#include "vfs/ukfs/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/fstype.h"
#include "vfs/image/types.h"
#include "vfs/namei.h"
#include "vfs/vop.h"

struct image {
	const struct fstype *im_type; /* c */
	struct etfs *im_etfs;         /* c */
	struct vnode *im_root;        /* c: one reference */
	struct vnode *im_devvp;       /* c: one reference, or NULL */
	struct device *im_dev;        /* c: the file system's, or NULL */
	struct vfs *im_vfs;           /* c */
	bool im_host;                 /* c: im_devvp is a key of ours without a name */
	bool im_rdonly;               /* m to set and for others; c once mounted */
	bool im_check;                /* c: is only looked at, and never written */
	unsigned im_number;           /* m: its own among those that are mounted */
	struct attach im_at;
	struct image *im_next; /* m */
};

/* Inode numbers of images begin there, each image's a step after the one's before: apart from
 * those of the tree in memory and of host files (etfs_fs.c). */
#define INO_BASE (0x4000ull << 48)
#define INO_STEP (1ull << 48)

/* All of the process: there are few. */
static pthread_mutex_t images_mtx = PTHREAD_MUTEX_INITIALIZER; /* rank LEAF */
static struct image *images;

static void __attribute__((format(printf, 3, 4)))
say(struct image_why *why, const struct image_spec *s, const char *fmt, ...)
{
	const char *dev = s->is_host ? s->is_host : s->is_device;
	size_t n;
	va_list ap;

	if (!why)
		return;
	n = (size_t)snprintf(why->iw_text, sizeof(why->iw_text),
	    "mount %s%s%s: ", s->is_path, dev ? " from " : "", dev ? dev : "");
	if (n >= sizeof(why->iw_text))
		return;
	va_start(ap, fmt);
	vsnprintf(why->iw_text + n, sizeof(why->iw_text) - n, fmt, ap);
	va_end(ap);
}

void
image_types_load(void)
{
	(void)fstype_register(&rumpfs_fstype); /* -EEXIST: done before */
	fstype_load_all();
}

/* What stands between two images.  Checks go by what would be, so they exclude one another
 * within a namespace that is tried; one in earnest they disturb only if it is written while
 * they look.  m held. */
static int
conflict_locked(const struct image *im, const struct image *o)
{
	bool both_read = o->im_rdonly && im->im_rdonly;

	if (!o->im_devvp || !im->im_devvp ||
	    (o->im_devvp != im->im_devvp && !etfs_overlap(o->im_devvp, im->im_devvp)))
		return 0;
	if (o->im_check)
		return im->im_check && im->im_vfs == o->im_vfs && !both_read ? -EBUSY : 0;
	if (im->im_check)
		return o->im_rdonly ? 0 : -EINPROGRESS;
	return both_read ? 0 : -EBUSY;
}

/* A number that no other has.  m held. */
static unsigned
free_number(void)
{
	unsigned n = 0;

	for (const struct image *o = images; o;) {
		bool taken = o->im_number == n;

		n += taken;
		o = taken ? images : o->im_next;
	}
	return n;
}

/* From here on its device is in use.  0, -EBUSY or -EINPROGRESS. */
static int
enlist(struct image *im)
{
	int r = 0;

	lk_mutex(&images_mtx, LK_LEAF);
	for (const struct image *o = images; o && r == 0; o = o->im_next)
		r = conflict_locked(im, o);
	if (r == 0) {
		im->im_number = free_number();
		if (im->im_devvp)
			atomic_fetch_or(&im->im_devvp->v_flags, VF_DEVICE);
		im->im_next = images;
		images = im;
	}
	lk_mutex_unlock(&images_mtx, LK_LEAF);
	return r;
}

static void
delist(struct image *im)
{
	bool used = false;

	lk_mutex(&images_mtx, LK_LEAF);
	for (struct image **p = &images; *p; p = &(*p)->im_next) {
		if (*p == im) {
			*p = im->im_next;
			break;
		}
	}
	for (const struct image *o = images; o; o = o->im_next)
		used |= im->im_devvp && o->im_devvp == im->im_devvp;
	if (im->im_devvp && !used)
		atomic_fetch_and(&im->im_devvp->v_flags, (uint16_t)~VF_DEVICE);
	lk_mutex_unlock(&images_mtx, LK_LEAF);
}

/* The device's vnode, with a reference.  peek: only to look at it. */
static int
get_device(struct vfs *v, struct etfs *e, const struct image_spec *s, struct image *im,
    bool peek, struct image_why *why)
{
	int r;

	if (s->is_host) {
		struct etfs_spec es = {
		    .es_key = s->is_path,
		    .es_host = s->is_host,
		    .es_type = ETFS_BLK,
		    .es_begin = s->is_begin,
		    .es_size = s->is_size,
		    .es_partition = s->is_partition,
		    .es_rdonly = peek || im->im_rdonly || im->im_check,
		    .es_no_lock = peek || s->is_no_lock || im->im_check,
		};
		struct etfs_why ew = {{0}};

		r = etfs_device_get(e, &es, &ew, &im->im_devvp);
		im->im_host = r == 0;
		if (r < 0)
			say(why, s, "%s",
			    ew.ew_text[0] ? ew.ew_text : strerrordesc_np(-r));
	} else {
		r = namei(v, s->is_device, &im->im_devvp);
		if (r < 0)
			say(why, s, "%s", strerrordesc_np(-r));
	}
	return r;
}

static void
put_device(struct image *im)
{
	if (!im->im_devvp)
		return;
	if (im->im_host)
		etfs_device_put(im->im_etfs, im->im_devvp);
	else
		vn_unref(im->im_devvp);
	im->im_devvp = NULL;
	im->im_host = false;
}

struct names {
	char text[256];
};

static int
add_name(const struct fstype *t, void *arg)
{
	struct names *n = arg;
	size_t len = strlen(n->text);

	snprintf(
	    n->text + len, sizeof(n->text) - len, "%s%s", len ? ", " : "", t->ft_name);
	return 0;
}

static int
find_type(const struct image_spec *s, struct image *im, struct image_why *why)
{
	struct names n = {""};

	if (strcmp(s->is_type, "auto") == 0)
		return 0;
	im->im_type = fstype_find(s->is_type);
	if (im->im_type)
		return 0;
	fstype_each(add_name, &n);
	say(why, s, "there is no file system type %s, but: %s", s->is_type, n.text);
	return -ENODEV;
}

/* Finds out what the image is, without a claim on it. */
static int
detect(struct vfs *v, struct etfs *e, const struct image_spec *s, struct image *im,
    struct image_why *why)
{
	struct device *d = NULL;
	char blkid[32] = "";
	int r = get_device(v, e, s, im, true, why);

	if (r < 0)
		return r;
	r = device_open(im->im_devvp, false, &d);
	if (r == 0)
		im->im_type = fstype_detect(d, blkid);
	device_close(d);
	put_device(im);
	if (r < 0)
		say(why, s, "%s", strerrordesc_np(-r));
	else if (blkid[0] && !im->im_type)
		say(why, s, "it is %s, for which there is no module", blkid);
	else if (!im->im_type)
		say(why, s, "no file system type recognises it");
	return r < 0 ? r : im->im_type ? 0 : -ENODEV;
}

/* The file system, from an open device. */
static int
make_root(struct vfs *v, const struct image_spec *s, struct image *im, struct device *d,
    struct image_why *why)
{
	struct fsmount m = {
	    .fm_vfs = v,
	    .fm_dev = d,
	    .fm_options = s->is_options ? s->is_options : "",
	    .fm_uid = s->is_uid,
	    .fm_gid = s->is_gid,
	    .fm_rdonly = im->im_rdonly || im->im_check,
	    .fm_name = s->is_host ? s->is_host : s->is_device,
	};
	int r;

	if (m.fm_options[0] && !(im->im_type->ft_flags & FT_OPTIONS)) {
		say(why, s, "%s has no options", im->im_type->ft_name);
		return -EINVAL;
	}
	r = im->im_type->ft_mount(&m, &im->im_root);

	if (r < 0) {
		say(why, s, "%s: %s", im->im_type->ft_name,
		    m.fm_why[0] ? m.fm_why : strerrordesc_np(-r));
		return r;
	}
	if (m.fm_why[0])
		say(why, s, "%s: %s", im->im_type->ft_name, m.fm_why);
	if (!im->im_check && m.fm_rdonly) {
		/* Who mounts something else may be looking. */
		lk_mutex(&images_mtx, LK_LEAF);
		im->im_rdonly = true;
		lk_mutex_unlock(&images_mtx, LK_LEAF);
	}
	atomic_fetch_or(&im->im_root->v_flags, VF_ROOT);
	if (!s->is_own_ino)
		im->im_root->v_mount->mnt_ino = INO_BASE + im->im_number * INO_STEP;
	if (im->im_rdonly || im->im_check)
		atomic_fetch_or(&im->im_root->v_mount->mnt_flags, MNT_RDONLY);
	return 0;
}

/* A check does not open for writing what somebody may be writing. */
static int
open_device(const struct image *im, struct device **ret)
{
	bool write = !im->im_rdonly && !im->im_check;

	if (!im->im_rdonly && !im->im_host &&
	    atomic_load(&im->im_devvp->v_mount->mnt_flags) & MNT_RDONLY)
		return -EROFS;
	return device_open(im->im_devvp, write, ret);
}

static int
open_image(
    struct vfs *v, const struct image_spec *s, struct image *im, struct image_why *why)
{
	struct device *d = NULL;
	int r = 0;

	if (im->im_devvp)
		r = open_device(im, &d);
	if (r == -EROFS)
		say(why, s,
		    "the device cannot be written; access = ro mounts it read-only");
	else if (r < 0)
		say(why, s, "%s", strerrordesc_np(-r));
	if (r == 0)
		r = make_root(v, s, im, d, why);
	if (r < 0)
		device_close(d);
	else
		im->im_dev = d;
	return r;
}

static int
attach_image(
    struct vfs *v, const struct image_spec *s, struct image *im, struct image_why *why)
{
	int r = vfs_path_normal(s->is_path, &im->im_at.at_path);

	if (r == 0) {
		im->im_at.at_kind = AT_MOUNT;
		im->im_at.at_vp = im->im_root;
		r = vfs_attach(v, &im->im_at);
		if (r < 0) {
			free(im->im_at.at_path);
			im->im_at.at_path = NULL;
		}
	}
	if (r < 0)
		say(why, s, "%s",
		    r == -EEXIST    ? "something is mounted there"
		    : r == -ENOTDIR ? "a component of the path is not a directory"
				    : strerrordesc_np(-r));
	else
		vn_ref(im->im_root); /* the namespace's */
	return r;
}

/* The kernel may have pages of a device from the time before it was written. */
static void
tell_device(const struct image *im)
{
	struct vfs *v = im->im_vfs;

	if (im->im_devvp && !im->im_host && !im->im_rdonly && v->vfs_notify)
		v->vfs_notify->inode(v->vfs_notify_arg, im->im_devvp);
}

static bool
is_busy(const struct image *im)
{
	return atomic_load(&im->im_root->v_mount->mnt_nopen) > 0;
}

/* The root, the file system behind it, the device. */
static int
end_image(struct image *im)
{
	int r = 0;

	if (im->im_root) {
		if (im->im_type->ft_unmount)
			r = im->im_type->ft_unmount(im->im_root);
		/* Somebody may have vnodes of it; the device is free for all that.  Where
		 * files are open, one may have been lent a window just now. */
		device_shut(im->im_dev, is_busy(im));
		vn_unref(im->im_root);
	}
	return r;
}

/* The type's own wish to have a device, or none. */
static int
wants_device(const struct image_spec *s, const struct image *im, struct image_why *why)
{
	bool has = s->is_device || s->is_host,
	     none = im->im_type && im->im_type->ft_flags & FT_NODEV;

	if (has != none)
		return 0;
	say(why, s,
	    none ? "a tree in memory has no device" : "it needs a device or a host file");
	return -EINVAL;
}

int
image_mount(struct vfs *v, struct etfs *e, const struct image_spec *s, struct image **ret,
    struct image_why *why)
{
	struct image *im = calloc(1, sizeof(*im));
	int r;

	if (!im)
		return -ENOMEM;
	if (why)
		why->iw_text[0] = '\0';
	im->im_etfs = e;
	im->im_vfs = v;
	im->im_check = s->is_check;
	image_types_load();
	r = find_type(s, im, why);
	if (r == 0)
		r = wants_device(s, im, why);
	if (r == 0 && !im->im_type)
		r = detect(v, e, s, im, why);
	/* What is never written leaves its device to others. */
	im->im_rdonly =
	    s->is_rdonly || (im->im_type && im->im_type->ft_flags & FT_RDONLY);
	if (r == 0 && (s->is_device || s->is_host))
		r = get_device(v, e, s, im, false, why);
	if (r < 0)
		goto free;
	r = enlist(im);
	if (r < 0) {
		say(why, s,
		    r == -EBUSY ? "it is mounted already" : "it is mounted for writing");
		goto put;
	}
	r = open_image(v, s, im, why);
	if (r == 0)
		r = attach_image(v, s, im, why);
	if (r < 0) {
		delist(im);
		(void)end_image(im);
		goto put;
	}
	*ret = im;
	return 0;
put:
	put_device(im);
free:
	free(im);
	return r;
}

int
image_unmount(struct vfs *v, struct image *im, bool force, bool *ret_gone)
{
	struct attach *at;
	int r;

	*ret_gone = false;
	if (!force && is_busy(im))
		return -EBUSY;
	r = vfs_detach(v, im->im_at.at_path, &at);
	if (r < 0)
		return r;
	vn_unref(im->im_root); /* the namespace's */
	r = end_image(im);
	delist(im);
	tell_device(im);
	put_device(im);
	free(im->im_at.at_path);
	free(im);
	*ret_gone = true;
	return r;
}

int
image_sync(struct image *im)
{
	return im->im_type->ft_sync ? im->im_type->ft_sync(im->im_root) : 0;
}

struct vnode *
image_root_peek(struct image *im)
{
	return im->im_root;
}

const char *
image_path(const struct image *im)
{
	return im->im_at.at_path;
}

const char *
image_type(const struct image *im)
{
	return im->im_type->ft_name;
}

bool
image_rdonly(const struct image *im)
{
	return im->im_rdonly;
}

bool
image_host(const struct image *im, struct etfs_info *ret)
{
	if (im->im_host)
		etfs_device_info(im->im_devvp, ret);
	return im->im_host;
}
