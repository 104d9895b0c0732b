/*
 * File system types: what a module brings, and the table of those there are.
 *
 * A module is a shared object libukfs_NAME.so in the module directory, with one symbol
 * that is looked at:
 *
 *	struct fstype ukfs_fstype = { .ft_abi = FSTYPE_ABI, .ft_name = "NAME", … };
 *
 * It is linked with libukfs and uses the vnode layer's own functions (vn_init, vop_read,
 * dirbuf_add …) and those of this folder.  A type is a table of struct vops like rumpfs's,
 * and a way to make a mount of it.  example.c is a whole one.
 *
 * Trust.  Images are hostile.  Whatever the bytes say, a module answers -EUCLEAN (the
 * structure is wrong) or -EIO (bytes cannot be had) for what it concerns; it never trusts a
 * size or a count before it has held it against the size of the device, allocates nothing in
 * the size that an image says without that, never loops without a bound, never recurses by
 * the depth of the image.
 */
#ifndef RF_VFS_IMAGE_FSTYPE_H
#define RF_VFS_IMAGE_FSTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfs/image/device.h"
#include "vfs/mount.h"

#define FSTYPE_ABI 1u

/* What a file system is asked to mount. */
struct fsmount {
	struct vfs *fm_vfs;
	struct device *fm_dev; /* the mount's from a success on (imgmount_done closes it);
	                           NULL for types with FT_NODEV */
	const char *fm_options;  /* the type's own: "name=value,…"; never NULL */
	uint32_t fm_uid, fm_gid; /* who owns what the image gives no owner */
	/* In: may only be read.  A file system that cannot write this image though it was
	 * asked to sets it and says why in fm_why. */
	bool fm_rdonly;
	char fm_why[384];    /* one sentence on a refusal, or a warning on a success */
	const char *fm_name; /* what it is mounted from, for people; may be NULL */
};

/* What a type is shown to recognise an image by. */
struct fsprobe {
	struct device *fp_dev;
	const char *fp_blkid;   /* libblkid's name of it ("ext4", "squashfs", "iso9660",
	                          "xfs" …), or "" */
	const uint8_t *fp_head; /* the first fp_len bytes */
	size_t fp_len;
};

enum {
	FT_NODEV = 1 << 0,   /* lies on no device */
	FT_RDONLY = 1 << 1,  /* never writes */
	FT_OPTIONS = 1 << 2, /* reads fm_options; else nobody is given any */
};

struct fstype {
	uint32_t ft_abi;
	unsigned ft_flags; /* FT_* */
	const char *ft_name;
	const char *ft_title; /* for people: "ext2, ext3, ext4" */
	/* How sure it is that the image is one of its: 0 (no) to 100.  Empty: never. */
	int (*ft_probe)(const struct fsprobe *p);
	/* Makes a mount: *ret_root is its root directory, with a reference.  0 or -errno,
	 * and then fm_dev is still the caller's. */
	int (*ft_mount)(struct fsmount *m, struct vnode **ret_root);
	/* Everything that was changed is with the device when it returns.  Empty: nothing
	 * ever waits. */
	int (*ft_sync)(struct vnode *root);
	/* The mount has been taken out of the namespace.  Writes what is to be written and
	 * leaves the image clean; it will not be written again.  Vnodes that somebody still
	 * has answer -EIO from then on if they would need the device for writing.  Called
	 * once.  An error is reported and does not keep the mount.  Empty: nothing to do. */
	int (*ft_unmount)(struct vnode *root);
	struct fstype *ft_next; /* fstype.c's own */
};

/* A module's own, if this is one: whatever others have loaded by that name, its references to
 * it are to its own. */
extern struct fstype ukfs_fstype __attribute__((visibility("protected")));

/* 0, -EINVAL (another ABI, a bad name), -EEXIST.  t stays where it is. */
int fstype_register(struct fstype *t);
/* NULL: no such type. */
const struct fstype *fstype_find(const char *name);
/* The type that is surest of the image on d, or NULL.  ret_blkid (32 bytes, may be NULL) is
 * what libblkid calls it, or "". */
const struct fstype *fstype_detect(struct device *d, char ret_blkid[32]);
/* In the order of their names; stops at non-zero and returns it. */
int fstype_each(int (*fn)(const struct fstype *t, void *arg), void *arg);

/* Loads one module: 1, 0 (something that it needs is missing as yet), or -errno.  One that
 * is loaded already is 1.  why (may be NULL) gets the linker's sentence. */
int fstype_load(const char *file, char *why, size_t why_len);
/* Loads every libukfs_*.so of the directory, again and again while that makes more of them
 * loadable.  How many it loaded, or -errno if the directory cannot be read. */
int fstype_load_dir(const char *dir);
/* What $UKFS_MODULES says, or the directory that modules are installed in; of the library as
 * it was built, the one that it was built in. */
const char *fstype_dir(void);
/* Loads what is in fstype_dir(), once per process. */
void fstype_load_all(void);

/* Cuts the next "name[=value]" off *options (which it changes): 1, or 0 at the end.
 * *ret_value is NULL where there is none. */
int fs_option(char **options, char **ret_name, char **ret_value);

#endif
