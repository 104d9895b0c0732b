/*
 * Vnodes: what a file is to everything above the file systems.
 *
 * Life.  A file system allocates its node with a struct vnode as the first member and
 * calls vn_init(), which gives it a node id and one reference.  References are one atomic
 * count: each directory entry, open file, child's parent pointer, attachment and each
 * lookup the kernel has not forgotten holds one.  When the last goes, the file system's
 * last_unref is asked (a node that can be found by identity is taken out of its shard
 * there, under the shard's lock); if it says the node is dead, reclaim frees it.
 *
 * Ids.  v_id is the FUSE node id: a slot number with a generation (slot.h).  vn_peek()
 * lends the vnode of an id; the id is valid as long as its sender holds a lookup.
 *
 * Locks.  v_lock has rank DIR for directories and FILE for others.  Whether the wrappers
 * in vop.c take it is the op table's choice (vop.h): rumpfs says yes; etfs says no,
 * because nothing may be held across a host call.  The table of attachments (v_shadow) is
 * under v_lock for all.
 *
 * Letters on fields: c constant after creation · a atomic · v v_lock · r rename mutex
 */
#ifndef RF_VFS_VNODE_H
#define RF_VFS_VNODE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "vfs/lock.h"
#include "vfs/name.h"

struct mount;
struct vfs;
struct vops;
struct shadow;

enum vtype {
	VREG = 1,
	VDIR,
	VLNK,
	VCHR,
	VBLK,
	VFIFO,
	VSOCK,
};

/* S_IFMT bits of a type and back (0 for what is none of the seven). */
mode_t vtype_to_ifmt(enum vtype t);
enum vtype vtype_of_mode(mode_t mode);
/* The DT_* of a type. */
unsigned char vtype_to_dt(enum vtype t);

/* Attributes as stat shows them. */
struct vattr {
	uint64_t va_ino;
	uint32_t va_mode; /* type and permission */
	uint32_t va_uid, va_gid;
	uint32_t va_blksize;
	uint64_t va_nlink;
	uint64_t va_rdev; /* dev_t */
	uint64_t va_size;
	uint64_t va_blocks_blk; /* 512-byte units */
	struct timespec va_atime, va_mtime, va_ctime, va_btime;
};

/* What a setattr changes.  Nothing of these: ctime alone, as chown(2) to nobody does. */
enum {
	VS_MODE = 1 << 0,
	VS_UID = 1 << 1,
	VS_GID = 1 << 2,
	VS_SIZE = 1 << 3,
	VS_ATIME = 1 << 4, /* to vs_atime, or to now with VS_ATIME_NOW too */
	VS_MTIME = 1 << 5,
	VS_ATIME_NOW = 1 << 6,
	VS_MTIME_NOW = 1 << 7,
	VS_KILL_SETID = 1 << 8, /* the bits that writing takes off, without VS_MODE */
};

struct vattr_set {
	unsigned vs_valid; /* VS_* */
	uint32_t vs_mode;  /* permission bits; a type is ignored */
	uint32_t vs_uid, vs_gid;
	uint64_t vs_size;
	struct timespec vs_atime, vs_mtime;
};

/* Who asks.  Permission is the kernel's business (default_permissions); this says to whom
 * new nodes belong and as whom the host is asked. */
struct cred {
	uid_t cr_uid;
	gid_t cr_gid;
	pid_t cr_pid; /* where its supplementary groups can be read; 0: it has none */
	/* Is it of this group, besides cr_gid?  NULL: no. */
	bool (*cr_member)(const struct cred *cr, gid_t gid);
	void *cr_arg; /* cr_member's */
};

enum {
	VF_ROOT = 1 << 0, /* the root of its mount */
	VF_SYNTH =
	    1 << 2, /* a directory made only because something is attached below it */
	VF_PENDING = 1 << 1, /* a name that is missing here may appear by itself (missing
	                        = hide): absence must not be cached without limit */
	/* it has been lent to the kernel (vop_backing), whose pages of it may be old since */
	VF_LENT = 1 << 4,
	VF_DEVICE = 1 << 3, /* an image file system is mounted from it: it is in use */
};

struct vnode {
	const struct vops *v_op; /* c */
	struct mount *v_mount;   /* c: one reference */
	_Atomic uint64_t v_ref;  /* a */
	_Atomic uint64_t
	    v_nlookup; /* a: of those, lookups the kernel has not forgotten */
	uint64_t v_id; /* c: node id */
	_Atomic(struct shadow *)
	    v_shadow; /* a to test, v to use: what is attached here */
	struct vnode
	    *v_parent; /* r, v: directories only, one reference; NULL at the top */
	_Atomic uint32_t
	    v_nattach; /* a: attachments at or below; such a directory stays put */
	_Atomic uint16_t v_flags; /* a: VF_* */
	uint8_t v_type;           /* c: enum vtype */
	pthread_rwlock_t v_lock;  /* rank DIR or FILE */
};

/* An open file or directory: what a file handle of the kernel stands for. */
struct file {
	struct vnode *f_vp; /* c: one reference */
	int f_flags;        /* c: O_ACCMODE, O_APPEND, O_DIRECT, O_SYNC … as opened */
	int f_fd;           /* c: etfs: the host file; -1 elsewhere */
	void *f_priv;       /* the file system's own */
	struct dirscan *f_scan; /* vop.c: where a merged directory listing stands */
	uint64_t f_id;          /* c: slot id in vfs_files */
	uint8_t f_kernel;       /* the front end's: how the kernel has it open */
};

/*
 * Takes the place of a constructor: sets all fields of *vp, gives it an id and the first
 * reference, and takes a reference on mp.  0, -ENOMEM, -ENFILE; on failure *vp is as if
 * never touched.
 */
int vn_init(struct vnode *vp, struct mount *mp, const struct vops *op, enum vtype type);
/* The other end, called by reclaim: gives the id, the lock, the shadow, the parent's and
 * the mount's references back.  Does not free the memory. */
void vn_done(struct vnode *vp);

struct vnode *vn_ref(struct vnode *vp);
/* One more reference unless the count is zero (a node that is being reclaimed). */
bool vn_ref_live(struct vnode *vp);
void vn_unref(struct vnode *vp);
/* The caller's reference becomes one of the kernel's lookups … */
void vn_lookup_given(struct vnode *vp);
/* … and n of those are given back (forget).  n beyond what was given is clamped. */
void vn_forget(struct vnode *vp, uint64_t n);

/* Is an image file system mounted from it? */
static inline bool
vn_is_device(const struct vnode *vp)
{
	return atomic_load_explicit(&vp->v_flags, memory_order_relaxed) & VF_DEVICE;
}

static inline enum lock_rank
vn_rank(const struct vnode *vp)
{
	return vp->v_type == VDIR ? LK_DIR : LK_FILE;
}

/* Guard: __attribute__((cleanup(vn_unref_p))) struct vnode *vp = NULL; */
static inline void
vn_unref_p(struct vnode **vpp)
{
	if (*vpp)
		vn_unref(*vpp);
}
#define AUTO_VNODE __attribute__((cleanup(vn_unref_p))) struct vnode *

/* Now, on the clock that file times are kept in. */
void vfs_now(struct timespec *ret);

#endif
