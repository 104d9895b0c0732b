/*
 * Mounting an image at a path of a namespace: what ukfs_mount() and a [mount] section do.
 *
 * The device is a file of the namespace, or a host file, which becomes a key without a name.
 * The type is asked for by name or found out.  The root of the image is attached at the
 * path like a key (vfs/mount.h): what lies there is covered and seen again afterwards.
 *
 * Use.  An image that is mounted for writing has its bytes alone among the mounts of the
 * process (-EBUSY), by whatever name they are reached; and against other processes by the
 * lock of its window (etfs).  A device is in use as long as it is mounted: removing its key
 * is -EBUSY, and so is unmounting with files open in the image, one of which may be the
 * device of another.
 */
#ifndef RF_VFS_UKFS_IMAGE_H
#define RF_VFS_UKFS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "etfs/etfs.h"
#include "vfs/mount.h"

struct image;

struct image_spec {
	const char *is_path; /* where: an absolute path of the namespace */
	const char *is_type; /* of fstype.h, or "auto" */
	/* One of the two, or neither for a type that lies on no device: */
	const char *is_device;      /* a path of the namespace */
	const char *is_host;        /* a host file, with a range: */
	uint64_t is_begin, is_size; /* bytes; ETFS_SIZE_END */
	const char *is_partition;   /* instead of begin and size; or NULL */
	bool is_no_lock;            /* the window takes no lock on the host file */
	const char *is_options;     /* the type's own, or NULL */
	uint32_t is_uid, is_gid;    /* who owns what the image gives no owner */
	bool is_rdonly;
	bool is_own_ino; /* inode numbers are shown as the image has them */
	/* Only to see whether it could be: it is mounted read-only, whatever is_rdonly says;
	 * no lock is taken, and images that are mounted in earnest are not in its way.
	 * -EINPROGRESS: one that is mounted for writing now has these bytes, so that nothing
	 * can be said of them. */
	bool is_check;
};

/* A sentence: why it was refused; or on success a warning (it is read-only, and why; what
 * was found), or empty. */
struct image_why {
	char iw_text[768];
};

/*
 * Mounts.  On failure nothing has changed.  Beside what the device says:
 * -ENODEV: no such type, or none recognises the image.  -EINVAL: a bad path, option, or no
 * device where the type needs one.  -EBUSY: the bytes are mounted already.  -EROFS: it is to
 * be written and cannot be (only if the whole device cannot).  -EUCLEAN: the image is
 * damaged.  -EOPNOTSUPP: the image has features that the type cannot do.  -EEXIST, -ENOTDIR:
 * as vfs_attach.
 */
int image_mount(struct vfs *v, struct etfs *e, const struct image_spec *s,
    struct image **ret, struct image_why *why);

/*
 * Unmounts and frees.  -EBUSY with files open in it, unless forced: those then see -EIO.
 * Any other error is of writing back, and it has been unmounted for all that; *ret_gone says
 * whether im has been freed.
 */
int image_unmount(struct vfs *v, struct image *im, bool force, bool *ret_gone);

/* Everything changed is with the host when it returns. */
int image_sync(struct image *im);

/* As long as it is mounted: */
struct vnode *image_root_peek(struct image *im);
const char *image_path(const struct image *im);
const char *image_type(const struct image *im); /* never "auto" */
bool image_rdonly(const struct image *im);      /* of a check: whether it would be */
/* The range of the host file that it lies on, with etfs_info's strings good as long as it is
 * mounted.  False: its device is not a host file of its own. */
bool image_host(const struct image *im, struct etfs_info *ret);

/* Of the calling process: the types there are, modules loaded. */
void image_types_load(void);

#endif
