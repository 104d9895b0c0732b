/*
 * What the files of libukfs share: the handle, paths, open files.
 *
 * A path is walked component by component from the handle's current directory or root,
 * with everything that open(2) knows of paths (ukfs_namei.c).  Below that the calls are the
 * vnode operations of vfs/vop.h, made as root of the file system.  What goes wrong is -errno
 * up to the call itself, which hands it out as the system calls do (uk_ret()).
 *
 * Letters: c constant after creation · a atomic · m fs_mtx
 */
#ifndef RF_VFS_UKFS_PRIVATE_H
#define RF_VFS_UKFS_PRIVATE_H

#include <errno.h>
#include <limits.h>

#include "vfs/ukfs/image.h"
#include "vfs/ukfs/ukfs.h"
#include "vfs/vop.h"

/* As the kernel: more is not moved by one call. */
#define UK_RW_MAX ((size_t)0x7ffff000)

#define UK_RECENT 8u

struct ukfs {
	struct image *fs_im;            /* c */
	struct vnode *fs_root;          /* c: the image's */
	pthread_mutex_t fs_mtx;         /* rank LEAF */
	struct vnode *fs_cwd;           /* m: one reference */
	struct ukfs_dircookie *fs_dirs; /* m: open directories */
	/* m: the directories that paths have led to last, one reference each: what a file
	 * system knows of a directory goes with its vnode */
	struct vnode *fs_recent[UK_RECENT];
	unsigned fs_nrecent;      /* m: how many have been put there */
	_Atomic uint32_t fs_nfds; /* a: descriptors */
};

/* Who makes all calls. */
extern const struct cred uk_cred;

/* The edge: 0 or a count, or -errno, as a system call gives it. */
static inline ssize_t
uk_ret(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

static inline bool
uk_is_rdonly(const struct vnode *vp)
{
	return atomic_load_explicit(&vp->v_mount->mnt_flags, memory_order_relaxed) &
	       MNT_RDONLY;
}

/* 0, or -EPROTO before ukfs_init(). */
int uk_ready(void);

/* Mount arguments, cut up (ukfs_arg.c). */
struct mountarg {
	uint64_t ma_begin, ma_size;
	char *ma_partition; /* or NULL */
	bool ma_no_lock;
	char *ma_options; /* what is left for the type */
	char *ma_text;    /* what the others point into */
};
/* all_types: nothing in it is ours.  0, -ENOMEM, or -EINVAL with a sentence in why. */
int uk_arg_parse(struct mountarg *ma, const void *arg, size_t len, bool all_types,
    struct image_why *why);
void uk_arg_done(struct mountarg *ma);

/* Paths. */
enum {
	WALK_PARENT = 1 << 0, /* the last component is not looked up */
	WALK_FOLLOW = 1 << 1, /* a symbolic link there is followed */
	WALK_MISSING =
	    1 << 2, /* that it is missing is no error, and a slash behind what is
	                          no directory neither */
};

struct walk {
	struct vnode
	    *w_dvp; /* one reference: the directory that the last component is in */
	struct vnode *w_vp; /* one reference: what it names; or NULL */
	enum {
		LAST_NAME,
		LAST_DOT,
		LAST_DOTDOT,
		LAST_ROOT
	} w_last;
	bool w_slash;       /* there are slashes behind it */
	struct name w_name; /* LAST_NAME: in w_buf */
	char w_buf[NAME_LEN_MAX + 1];
};

/* On success w is to be given to uk_walk_done(), which takes one that is zeroed too. */
int uk_walk(struct ukfs *fs, const char *path, unsigned flags, struct walk *w);
/* Lets go of the directories that walks have led to: one of them may have been removed, or
 * the handle is about to go. */
void uk_forget(struct ukfs *fs);
void uk_walk_done(struct walk *w);
#define AUTO_WALK __attribute__((cleanup(uk_walk_done))) struct walk

/* What the path names, with a reference. */
int uk_lookup(struct ukfs *fs, const char *path, bool follow, struct vnode **ret_vp);
/* vop_make(), with the errors in Linux's order: that the name is taken comes first. */
int uk_make(struct walk *w, const struct vmake *mk, struct vnode **ret_vp);

/* Descriptors (ukfs_fd.c). */
struct openfile;
/* The number, which owns f from then on; -EMFILE, -ENOMEM. */
int uk_fd_new(struct ukfs *fs, struct file *f);
/* The file of a number, good until uk_fd_put(); NULL: it is none of this handle's. */
struct file *uk_fd_get(struct ukfs *fs, int fd, struct openfile **ret);
void uk_fd_put(struct openfile *of);
/* Its last user closes the file.  0, -EBADF, or the file's own. */
int uk_fd_close(struct ukfs *fs, int fd);
void uk_fd_close_all(struct ukfs *fs);

/* Opens what the path names, as ukfs_open(). */
int uk_open(struct ukfs *fs, const char *path, int flags, struct file **ret_f);
/* Frees the handle's open directories. */
void uk_dirs_close(struct ukfs *fs);

#endif
