/*
 * Vnode operations: the seam between those who ask (the FUSE front end, later the ukfs
 * library) and the file systems (rumpfs, etfs, later images).
 *
 * A file system fills a const struct vops; an empty slot means the default in the last
 * column.  Askers call the wrappers vop_*() only.  The wrapper checks what is the same
 * for every file system (read-only, types, attachments, EXDEV), takes the locks of the
 * row if the table says VOPS_LOCKED, calls, unlocks, traces.
 *
 * All return 0 (or a count, where said) or -errno, and leave results untouched on
 * failure. Returned vnodes come with a reference.  Arguments are borrowed.  Nothing may
 * call back into a wrapper with a lock held.
 *
 *   op           locks if VOPS_LOCKED        errors beyond EIO, ENOMEM          if empty
 *   lookup       dvp shared                  ENOENT ESTALE EACCES               ENOTDIR
 *   getattr      vp shared                   ESTALE                             –
 *   setattr      vp exclusive                EPERM EINVAL EFBIG ENOSPC          EROFS
 *   readlink     vp shared                   EINVAL                             EINVAL
 *   make         dvp exclusive               EEXIST ENOSPC ENAMETOOLONG ENOENT  EPERM
 *   create       dvp exclusive               as make; ESTALE                    make, open
 *   tmpfile      dvp shared                  ENOSPC EOPNOTSUPP                  EOPNOTSUPP
 *   link         dvp exclusive, then vp      EEXIST EMLINK ENOENT EPERM         EPERM
 *   unlink       dvp exclusive               ENOENT EISDIR                      EPERM
 *   rmdir        dvp exclusive               ENOENT ENOTDIR ENOTEMPTY           EPERM
 *   rename       rename.c; see below         …                                  EPERM
 *   open         none                        EACCES EIO                         succeeds
 *   close        none                        – (no result)                      nothing
 *   flush        none                        EIO ENOSPC                         succeeds
 *   read         vp shared                   EINVAL                             EINVAL
 *   write        vp exclusive                ENOSPC EFBIG                       EINVAL
 *   backing      none                        EOPNOTSUPP EPERM                   EOPNOTSUPP
 *   fsync        none                        EIO ENOSPC                         succeeds
 *   fallocate    vp exclusive                EOPNOTSUPP ENOSPC EFBIG            EOPNOTSUPP
 *   seek         vp shared                   ENXIO EINVAL                       EINVAL
 *   copy_range   none                        EOPNOTSUPP EXDEV ENOSPC EFBIG      EOPNOTSUPP
 *   readdir      dvp shared                  ESTALE                             ENOTDIR
 *   listing      none                        – (no error)                       see below
 *   getxattr     vp shared                   ENODATA ERANGE EOPNOTSUPP          EOPNOTSUPP
 *   setxattr     vp exclusive                EEXIST ENODATA ENOSPC E2BIG        EOPNOTSUPP
 *   listxattr    vp shared                   ERANGE                             empty list
 *   removexattr  vp exclusive                ENODATA                            EOPNOTSUPP
 *   ioctl        none                        ENOTTY EOPNOTSUPP                  ENOTTY
 *   statfs       none                                                           –
 *
 * Behaviour is that of the Linux system call of the same name on tmpfs; where a row of
 * the manual page says otherwise for a kind of node, the op says so.
 */
#ifndef RF_VFS_VOP_H
#define RF_VFS_VOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "vfs/mount.h"
#include "vfs/uio.h"
#include "vfs/vnode.h"

/* What make and create are to make. */
struct vmake {
	enum vtype vm_type;
	uint32_t vm_mode;      /* permission bits, as asked for */
	uint64_t vm_rdev;      /* VCHR and VBLK: dev_t */
	const char *vm_target; /* VLNK: 1 to 4095 bytes and a NUL */
	uint32_t vm_umask; /* taken off vm_mode unless the directory has a default ACL */
};

/* One entry of a listing, packed behind one another in a dirbuf, 8-byte aligned. */
struct dirrec {
	uint64_t dr_ino;
	uint64_t dr_cookie;  /* the listing goes on after this entry from here */
	struct vnode *dr_vp; /* a reference if the file system had it at hand and
	                        db_want_vnodes was set; else NULL */
	uint16_t dr_reclen;  /* of the record */
	uint16_t dr_namelen;
	uint8_t dr_type; /* DT_* */
	char dr_name[];  /* dr_namelen bytes and a NUL */
};

struct dirbuf {
	char *db_base; /* 8-byte aligned, the caller's */
	size_t db_cap, db_used;
	uint64_t
	    db_cookie; /* in: list what comes after this cookie; 0 = from the start */
	bool db_want_vnodes;
	bool db_full; /* out: dirbuf_add() has refused an entry */
};

/* Appends an entry; on success the record owns vp's reference (vp may be NULL).  False:
 * no room, and db_full is set; the reference stays the caller's. */
bool dirbuf_add(struct dirbuf *db, uint64_t ino, uint64_t cookie, unsigned char dt,
    const char *name, size_t len, struct vnode *vp);
/* The record after r (NULL: the first), or NULL at the end. */
struct dirrec *dirbuf_next(const struct dirbuf *db, const struct dirrec *r);
/* Drops the vnode references of the records from r (NULL: the first) on. */
void dirbuf_release(struct dirbuf *db, struct dirrec *r);

/* What is to be done with a listing that the kernel keeps of a directory. */
enum dirkeep {
	LISTING_ASK, /* nothing: who lists asks us, and what he hears is not kept */
	LISTING_NEW, /* what is kept is dropped; what is asked from here on may be kept */
	LISTING_KEPT, /* what is kept is as good as what we would say */
};

/* File systems whose listings may be merged with attachments give cookies above this one
 * in a directory that has any: below are the attachments'.  (vop_readdir, dirscan) */
#define DIR_COOKIE_BASE (1ull << 33)

enum vops_flags {
	VOPS_LOCKED = 1 << 0, /* the wrappers take the locks of the rows above */
	/* Contents and listings are reached through an open file.  Without the flag each op
	 * that is given one takes NULL for it too. */
	VOPS_OPENED = 1 << 1,
};

/*
 * rename, for VOPS_LOCKED file systems, is split (rename.c takes the locks, looks up and
 * checks; the file system only moves entries):
 */
struct vrename {
	struct vnode *rn_fdvp, *rn_tdvp; /* both exclusive; may be the same */
	const struct name *rn_fname, *rn_tname;
	struct vnode *rn_fvp; /* what is moved; exclusive */
	struct vnode *rn_tvp; /* what is replaced or exchanged, exclusive, or NULL */
	unsigned rn_flags;    /* RENAME_NOREPLACE, EXCHANGE, WHITEOUT */
	const struct cred *rn_cred;
};

struct vops {
	const char *vo_name;
	unsigned vo_flags; /* VOPS_* */

	int (*lookup)(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
	int (*getattr)(struct vnode *vp, struct file *f, struct vattr *ret);
	int (*setattr)(struct vnode *vp, struct file *f, const struct vattr_set *vs,
	    const struct cred *cr);
	/* cap is at least 4096; *ret_len bytes without a NUL. */
	int (*readlink)(struct vnode *vp, char *buf, size_t cap, size_t *ret_len);
	int (*make)(struct vnode *dvp, const struct name *n, const struct vmake *mk,
	    const struct cred *cr, struct vnode **ret_vp);
	/* open(2) with O_CREAT: makes a regular file, or opens what is there if flags
	 * lack O_EXCL.  Fills f as open does.  ESTALE: the name is something that must be
	 * looked up again (a symlink by now, or a file that is not known to be one that
	 * the caller may open: nobody asks once it is open). */
	int (*create)(struct vnode *dvp, const struct name *n, const struct vmake *mk,
	    int flags, const struct cred *cr, struct file *f, struct vnode **ret_vp);
	/* open(2) with O_TMPFILE: a regular file without a name in the file system of dvp,
	 * open as open fills f.  It can be given a name by link, unless flags have O_EXCL. */
	int (*tmpfile)(struct vnode *dvp, const struct vmake *mk, int flags,
	    const struct cred *cr, struct file *f, struct vnode **ret_vp);
	int (*link)(struct vnode *vp, struct vnode *dvp, const struct name *n,
	    const struct cred *cr);
	int (*unlink)(struct vnode *dvp, const struct name *n, const struct cred *cr);
	int (*rmdir)(struct vnode *dvp, const struct name *n, const struct cred *cr);
	/* Not VOPS_LOCKED: the whole of renameat2(2).  What is attached has been asked for,
	 * under no lock: where a name must not move with it, it is asked again (inotab.h). */
	int (*rename)(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
	    const struct name *tname, unsigned flags, const struct cred *cr);
	/* VOPS_LOCKED: checked already; moves the entries. */
	int (*rename_locked)(const struct vrename *rn);

	/* f is zeroed but for f_flags and f_fd = -1, and f_once where cr is who uses a file
	 * that somebody, maybe another, was let open (VOPS_OPENED).  O_TRUNC is in flags and
	 * to be obeyed. */
	int (*open)(struct vnode *vp, int flags, const struct cred *cr, struct file *f);
	void (*close)(struct file *f);
	int (*flush)(struct file *f);
	/* f may be NULL for file systems that need no open file. */
	int (*read)(struct vnode *vp, struct file *f, struct uio *u);
	int (*write)(struct vnode *vp, struct file *f, struct uio *u);
	/* An fd, lent while f is open, of a regular file whose bytes are this file's at every
	 * offset, from the first to the last, so that the kernel may read, write and map it
	 * without us (FUSE passthrough).  EOPNOTSUPP: there is none, or what this file system
	 * keeps an account of would not hold.  EPERM: nor may it be mapped for writing, as who
	 * has opened it may not write everywhere. */
	int (*backing)(struct vnode *vp, struct file *f, int *ret_fd);
	int (*fsync)(struct vnode *vp, struct file *f, bool datasync);
	int (*fallocate)(
	    struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len);
	/* SEEK_DATA and SEEK_HOLE only. */
	int (*seek)(struct vnode *vp, struct file *f, uint64_t off, int whence,
	    uint64_t *ret_off);
	/* copy_file_range(2) between two files of this op table's kind.  -EOPNOTSUPP and
	 * -EXDEV: it has to be done by reading and writing. */
	int (*copy_range)(struct file *from, uint64_t off, struct file *to,
	    uint64_t to_off, size_t len, size_t *ret_done);
	/* Adds entries (with "." and "..") after db->db_cookie until the buffer is full
	 * or the end is reached.  merged: cookies must be above DIR_COOKIE_BASE, and a
	 * cookie at or below it means from the start. */
	int (*readdir)(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged);
	/* What f, which has just been opened, may do with a listing that is kept outside.
	 * Empty: where nothing changes but through the kernel it is kept, elsewhere not. */
	enum dirkeep (*listing)(struct vnode *dvp, struct file *f);

	/* size 0 asks for the length.  name is a NUL-terminated full name ("user.x"). */
	int (*getxattr)(
	    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
	/* flags: XATTR_CREATE, XATTR_REPLACE.  The two names of acl.h are ACLs, of which an
	 * empty one removes. */
	int (*setxattr)(struct vnode *vp, const char *name, const void *value,
	    size_t size, int flags, const struct cred *cr);
	int (*listxattr)(struct vnode *vp, char *buf, size_t size, size_t *ret_len);
	int (*removexattr)(struct vnode *vp, const char *name, const struct cred *cr);
	/* in and out are the ioctl's argument, copied by the kernel.  What only an owner or
	 * a privileged caller may do (FS_IOC_SETFLAGS) has been checked by it. */
	int (*ioctl)(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
	    size_t in_len, void *out, size_t out_len, const struct cred *cr);
	int (*statfs)(struct vnode *vp, struct statvfs *ret);

	/* The count has fallen to one and the caller drops that one: atomically make the
	 * node unfindable and drop it.  True: it was the last, reclaim it.  Empty: a
	 * plain decrement. */
	bool (*last_unref)(struct vnode *vp);
	/* Frees the node: vn_done(), then its memory.  Nobody else can reach it. */
	void (*reclaim)(struct vnode *vp);
	/* The namespace is going down: drop the references that the node holds on others
	 * and that keep them alive in a circle (a directory on its entries).  Empty:
	 * none. */
	void (*dissolve)(struct vnode *vp);
};

int vop_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
int vop_getattr(struct vnode *vp, struct file *f, struct vattr *ret);
int vop_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr);
int vop_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len);
int vop_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp);
/* Returns an open file as vop_open() does, and its vnode with a reference of its own. */
int vop_create(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f);
/* The same for a file without a name. */
int vop_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags,
    const struct cred *cr, struct vnode **ret_vp, struct file **ret_f);
int vop_link(
    struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr);
int vop_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr);
int vop_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr);
int vop_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr);
/* Opens a file or directory; *ret_f is to be given to vop_close(). */
int vop_open(struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f);
/* The same for the device of an image file system, to which it is open to be written while
 * nobody else may (VF_DEVICE: -EBUSY). */
int vop_open_device(
    struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f);
/*
 * Opens for one request of somebody whose opening was not told (FUSE without opens): the
 * kernel has let him, by the mode; so the daemon opens it, and cr says only who he is.  A
 * handle it has none.  What needs no open file (VOPS_OPENED) gives NULL in *ret_f.
 */
int vop_open_once(
    struct vnode *vp, int flags, const struct cred *cr, struct file **ret_f);
void vop_close(struct file *f);
int vop_flush(struct file *f);
int vop_read(struct vnode *vp, struct file *f, struct uio *u);
int vop_write(struct vnode *vp, struct file *f, struct uio *u);
/* The same until all of len bytes have been moved, a read at most to the end of the file;
 * what a read was lent is copied.  *ret_done is set on failure too. */
int vop_read_whole(struct vnode *vp, struct file *f, void *buf, size_t len, uint64_t off,
    size_t *ret_done);
int vop_write_whole(struct vnode *vp, struct file *f, const void *buf, size_t len,
    uint64_t off, bool append, size_t *ret_done);
int vop_backing(struct vnode *vp, struct file *f, int *ret_fd);
int vop_fsync(struct vnode *vp, struct file *f, bool datasync);
int vop_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len);
int vop_seek(
    struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off);
int vop_copy_range(struct file *from, uint64_t off, struct file *to, uint64_t to_off,
    size_t len, size_t *ret_done);
/* Lists a directory opened with vop_open(), attachments merged in. */
int vop_readdir(struct file *f, struct dirbuf *db);
/* The same of a directory that is not open but for this part (f is of vop_open_once(), and
 * NULL where that says so): any part can be listed at any time by its cookie alone. */
int vop_readdir_at(struct vnode *dvp, struct file *f, struct dirbuf *db);
/* What may be kept of the listing of a directory that has just been opened.  Whoever keeps
 * one drops it by himself at changes that he asks for, and when he is told (vfs_notify). */
enum dirkeep vop_listing(struct file *f);
int vop_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
int vop_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr);
int vop_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len);
int vop_removexattr(struct vnode *vp, const char *name, const struct cred *cr);
int vop_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr);
int vop_statfs(struct vnode *vp, struct statvfs *ret);

#endif
