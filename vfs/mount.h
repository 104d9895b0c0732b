/*
 * Mounts and attachments: how separate trees become one namespace.
 *
 * A struct vfs is one namespace: node ids, open files, a root, and a table of mounts by
 * path.  A struct mount is one file system in it: the in-memory tree, an etfs key.
 *
 * Attaching.  vfs_attach() makes a mount's root vnode appear at a path, whatever is there
 * already: the directory above gets a shadow entry of that name, and the vop wrappers
 * look at shadow entries before they ask the file system.  What lay there is hidden, not
 * touched, and seen again after vfs_detach().  The same mechanism hides a name (a
 * whiteout over a host directory), lays an in-memory file over a host directory, and
 * waits for a host object that is missing as yet.  An attached name cannot be unlinked or
 * renamed (EBUSY) nor created over (EEXIST), and the directories above it stay where they
 * are (EBUSY on rename, ENOTEMPTY on rmdir) as long as it is there.
 *
 * Parents that are missing on the way are made: in memory, 0755, owner of the root.
 * Those made that way go again with the last attachment below them if they are empty.
 *
 * Longest path wins: attaching a tree at a path with attachments below it moves those on
 * top of the new tree; detaching moves them back.
 *
 * Locking: the table is under vfs_lock (rank MOUNTS); shadow entries are under the
 * directory's v_lock.  Attaching and detaching exclude one another by vfs_attach_mtx,
 * which is outside the rank order and taken first, because they may make host calls while
 * they walk; no request ever takes it but one that finds a pending name.
 */
#ifndef RF_VFS_MOUNT_H
#define RF_VFS_MOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "vfs/dirtab.h"
#include "vfs/slot.h"
#include "vfs/vnode.h"

enum {
	MNT_RDONLY = 1 << 0,  /* every change is EROFS */
	MNT_NOCACHE = 1 << 1, /* file contents are not cached: direct I/O (chr keys) */
	/* On a network, or another process's: asking it may take for ever, so that its root is
	 * listed, as mnt_root_ino, without being asked. */
	MNT_FAR = 1 << 2,
};

/* No limit to how long names and attributes may be cached. */
#define MNT_TTL_FOREVER UINT64_MAX

/* What has been asked of a mount, in lines of the processor's cache that nothing else is in.
 */
struct mount_count {
	char mc_before[64];
	_Atomic uint64_t mc_ops, mc_read, mc_written; /* a: requests; bytes */
	/* a: opens of files that the kernel uses without us, and that it did not take */
	_Atomic uint64_t mc_passed, mc_refused;
	char mc_after[64];
};

struct mount {
	struct vfs *mnt_vfs;           /* c */
	_Atomic uint64_t mnt_ref;      /* a: each vnode, each table entry */
	_Atomic unsigned mnt_flags;    /* a: MNT_* */
	uint32_t mnt_number;           /* c: no other mount of the process has it */
	uint64_t mnt_ino;              /* c: added to the inode numbers that are shown */
	_Atomic uint64_t mnt_root_ino; /* a: MNT_FAR, set before it: as stat shows it */
	_Atomic uint64_t mnt_ttl_ns;   /* a: how long names and attributes are good for */
	/* c: or NULL: that is how long.  A name (there or not) in dvp; and attributes *va,
	 * as just told, of vp, found in dvp or (NULL) known already. */
	uint64_t (*mnt_name_ttl)(struct vnode *dvp);
	uint64_t (*mnt_attr_ttl)(
	    struct vnode *dvp, struct vnode *vp, const struct vattr *va);
	_Atomic uint64_t mnt_nopen; /* a: open files and directories */
	const char *mnt_type;       /* c: "rumpfs", "reg", "blk" …, for people */
	void (*mnt_free)(struct mount *mp); /* c: the last reference is gone */
	struct mount_count mnt_count;
};

void mount_init(struct mount *mp, struct vfs *vfs, const char *type, uint64_t ttl_ns,
    void (*mnt_free)(struct mount *));
struct mount *mount_ref(struct mount *mp);
uint64_t mount_name_ttl(struct vnode *dvp);
uint64_t mount_attr_ttl(struct vnode *dvp, struct vnode *vp, const struct vattr *va);
void mount_unref(struct mount *mp);

enum attach_kind {
	AT_MOUNT,    /* a vnode is there */
	AT_WHITEOUT, /* the name is hidden: ENOENT, EACCES to create it */
	AT_PENDING,  /* nothing as yet: at_resolve is tried when the name is looked up */
};

/* One attachment.  The caller allocates it and gets it back from vfs_detach(). */
struct attach {
	enum attach_kind at_kind; /* v of the directory */
	bool at_hidden;           /* v of the directory: not listed */
	bool at_synth;        /* c: a parent made on the way; attach.c and namei.c only */
	bool at_uncounted;    /* v of the directory: counted in sh_ndirs */
	struct vnode *at_vp;  /* v of the directory: one reference; AT_MOUNT only */
	char *at_path;        /* c: normalised text, owned; also the table's key */
	struct vnode *at_dvp; /* attach mutex: the directory it is attached in, one
	                         reference; NULL while it replaces the root */
	/* AT_PENDING: tries to get the vnode (a reference in *ret_vp).  Called with no
	 * lock but the attach mutex.  0, or -errno: still missing. */
	int (*at_resolve)(struct attach *at, struct vnode **ret_vp);
	void *at_arg;      /* the owner's own: etfs: its key */
	uint64_t at_order; /* attach mutex: rises with each attachment */
	/* attach mutex: its place in the listing of the directory with this id, kept while it
	 * is detached */
	uint64_t at_seq, at_seq_of;
	struct attach *at_hnext; /* vfs_lock: hash chain */
};

/* What attaching, and changes of the host, do to what the kernel may have cached.  Called
 * with no lock that a request needs; must not send anything from the calling thread if that serves
 * requests. */
struct vfs_notify_ops {
	/* the name in dvp now means something else */
	void (*entry)(void *arg, struct vnode *dvp, const struct name *n);
	/* attributes and pages of vp are no longer good */
	void (*inode)(void *arg, struct vnode *vp);
	/* the same, by a request; returns when they have gone, or after a moment.  False:
	 * they may be there yet */
	bool (*pages)(void *arg, struct vnode *vp);
	/* the name in dvp may mean something else: it is to be looked up when it is used
	 * next, and what is mounted on it stays */
	void (*expire)(void *arg, struct vnode *dvp, const struct name *n);
	/* what is kept of the listing of dvp is no longer good; may be NULL */
	void (*listing)(void *arg, struct vnode *dvp);
	/* attributes of vp are to be asked for; pages stay unless those say otherwise */
	void (*attrs)(void *arg, struct vnode *vp);
	/* returns when all attributes that were told before have reached the kernel, or
	 * after a moment: a request may wait like this, because telling takes no lock that
	 * its caller may hold */
	void (*settle)(void *arg);
	/* the same of entry and inode; not for requests */
	void (*settle_names)(void *arg);
	/* the kernel is to drop what it keeps of the node with this id unless somebody uses
	 * it; settled as names are.  False: it cannot be asked that */
	bool (*drop_unused)(void *arg, uint64_t id);
};

struct vfs {
	struct slots vfs_nodes;     /* vnodes by node id */
	struct slots vfs_files;     /* open files by handle */
	struct vnode *vfs_mem_root; /* c: the in-memory root, one reference */
	_Atomic(struct vnode *)
	    vfs_root; /* a: what node id 1 means: the in-memory root or a
	                 tree attached at "/"; kept alive by its attachment */
	pthread_mutex_t vfs_attach_mtx; /* taken before any ranked lock */
	/* rank RENAME: under it no directory of any mount gets another parent, so that the
	 * ways up, which lead through several mounts, can be walked */
	pthread_mutex_t vfs_rename;
	pthread_rwlock_t vfs_lock;      /* rank MOUNTS */
	struct attach **vfs_ahash;      /* m: attachments by path, chained */
	uint32_t vfs_asize, vfs_acount; /* m */
	uint64_t vfs_aorder;            /* attach mutex */
	_Atomic uint64_t vfs_rebinds;   /* a: odd while attachments are being moved */
	bool vfs_rebinding; /* attach mutex: what is in the way is laid over */
	const struct vfs_notify_ops *vfs_notify; /* c after start-up; may be NULL */
	void *vfs_notify_arg;
};

int vfs_init(struct vfs *v);
/* Gives back the kernel's lookups, closes open files, dissolves the in-memory tree and
 * frees the tables.  Everything must have been detached and no request may be running. */
void vfs_done(struct vfs *v);

/*
 * Turns what a person wrote as a path of the mount into its one form: repeated slashes
 * collapse, one trailing slash goes.  *ret is allocated.  -EINVAL (empty, no leading
 * slash, a "." or ".." component), -ENAMETOOLONG (4096 bytes or more, or a component over
 * 255), -ENOMEM.
 */
int vfs_path_normal(const char *text, char **ret);

/*
 * Attaches at->at_vp (AT_MOUNT), a whiteout or a pending name at at->at_path, which is
 * normalised.  Makes missing parents.  On success the namespace owns a reference to what
 * at holds and at belongs to the table until vfs_detach().
 * -EEXIST: something is attached at this very path.  -ENOTDIR: a component on the way is
 * not a directory, or, in the tree that is attached, on the way to something that is
 * attached below.  -EBUSY: what is no directory over a directory with attachments in it;
 * or a path below a whiteout or a pending name.  -ENOMEM, -ENOSPC.  On failure nothing is
 * changed (but parents made for attachments may have been made anew).
 */
int vfs_attach(struct vfs *v, struct attach *at);
/*
 * Takes the attachment at this normalised path away and hands it back (*ret_at, its vnode
 * reference with it).  -ENOENT if nothing is attached at exactly this path; -ENOTDIR,
 * -ENOMEM, -ENOSPC if something is attached below it that has no place in what would be
 * seen then: it stays, and nothing is changed.
 */
int vfs_detach(struct vfs *v, const char *path, struct attach **ret_at);
/* The same for what may come back at once: the parents that were made for it stay until
 * vfs_prune(), and attaching it again gives it its place in the listing. */
int vfs_withdraw(struct vfs *v, const char *path, struct attach **ret_at);
/* Removes the directories above path that were made for an attachment, from the lowest up,
 * as long as they are empty and nothing is attached below. */
void vfs_prune(struct vfs *v, const char *path);
/* Puts another node in the place of the one that is attached at this path, in one step; none is
 * a directory.  The attachment takes a reference on vp and drops that on the other.  0,
 * -ENOENT, -EISDIR. */
int vfs_attach_swap(struct vfs *v, const char *path, struct vnode *vp);
/* Whether the attachment at this path is listed.  0 or -ENOENT. */
int vfs_attach_hide(struct vfs *v, const char *path, bool hidden);
/* Has a pending name at this path tried, and the kernel told that it is there: for who has
 * noticed by himself, not for requests.  0, -EALREADY (it was there), -ESRCH (nothing of the kind is
 * attached), or what at_resolve says. */
int vfs_come(struct vfs *v, const char *path);
/* The attachment at exactly this normalised path, borrowed, or NULL.  Good while nobody
 * detaches. */
struct attach *vfs_attach_peek(struct vfs *v, const char *path);
/* Calls fn for each attachment, in the order they were attached, under the attach mutex;
 * stops when fn returns non-zero and returns that. */
int vfs_attach_each(struct vfs *v, int (*fn)(struct attach *at, void *arg), void *arg);

static inline struct vnode *
vfs_root_peek(struct vfs *v)
{
	return atomic_load_explicit(&v->vfs_root, memory_order_acquire);
}

/* What the kernel calls this vnode: its id, or 1 for what stands at the root. */
static inline uint64_t
vfs_node_id(struct vfs *v, const struct vnode *vp)
{
	return vp == vfs_root_peek(v) ? 1 : vp->v_id;
}

/* The vnode of a node id, lent (see vnode.h), or NULL: stale. */
struct vnode *vfs_node_peek(struct vfs *v, uint64_t id);
/* The same with a reference, for an id whose sender may hold no lookup. */
struct vnode *vfs_node_get(struct vfs *v, uint64_t id);
/* The directory above a directory, or at the top itself, with a reference; NULL for what is
 * no directory: it may have many. */
struct vnode *vfs_parent_get(struct vnode *vp);
/* The open file of a handle, lent, or NULL. */
struct file *vfs_file_peek(struct vfs *v, uint64_t id);

/* The path of a vnode, for people, without asking a file system.  "..." stands for what only
 * that could say.  0, -ENOENT, -ENAMETOOLONG. */
int vfs_where(struct vnode *vp, char *buf, size_t cap);

/* What is at a path of the in-memory tree, whatever is attached over it, asked as above.
 * -ENOENT, -ENOTDIR. */
int vfs_look(struct vfs *v, const char *path, struct vattr *ret);
/* What the link says that is there, with its NUL.  -EINVAL: it is none; -ENAMETOOLONG. */
int vfs_look_link(struct vfs *v, const char *path, char *buf, size_t cap);
/* Calls fn with what is attached at just this normalised path, until it says that this is it,
 * under vfs_lock: it may take a reference, and no lock. */
bool vfs_attached(
    struct vfs *v, const char *path, bool (*fn)(struct attach *at, void *arg), void *arg);
/* What has been asked of the tree whose root is attached at just this path.  -ENOENT: none is,
 * or it is one that may be missing. */
int vfs_counts_at(struct vfs *v, const char *path, uint64_t *ret_ops, uint64_t *ret_read,
    uint64_t *ret_written);

/* What follows is for vop.c, attach.c and namei.c. */

/* The table of names attached in one directory; under its v_lock. */
struct shadow {
	struct dirtab sh_tab;  /* values: struct attach * */
	struct dirtab sh_ways; /* values: struct way * */
	uint32_t sh_ndirs; /* attached directories that the file system does not count */
	/* a: what is attached has been listed last, CLOCK_MONOTONIC, and the shortest time
	 * that anything which was listed is good for */
	_Atomic uint64_t sh_listed_ns, sh_ttl_ns;
};

/* The name of a directory of a file system that changes by itself, at or below which
 * something is attached; under the v_lock of the directory above. */
struct way {
	struct vnode *wy_vp; /* what was there when it was attached; one reference */
	uint32_t wy_count;   /* attachments below */
};

/* -ENODATA: nothing attached there, ask the file system.  Else 0 with a reference in
 * *ret_vp, or -ENOENT (hidden, or still missing). */
int shadow_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
/* 0, or the refusal: for creating (-EEXIST, -EACCES over a whiteout), for removing and
 * renaming (-EBUSY, -ENOENT for a whiteout). */
int shadow_may_create(struct vnode *dvp, const struct name *n);
int shadow_may_remove(struct vnode *dvp, const struct name *n);
/* Is this name attached here, so that the file system's own entry is not to be listed? */
bool shadow_covers(struct vnode *dvp, const char *name, size_t len);
/* The listed attachment after *seq, which becomes its own: its name (256 bytes) and a
 * reference to its vnode.  False at the end. */
bool shadow_next(
    struct vnode *dvp, uint64_t *seq, char name[NAME_LEN_MAX + 1], struct vnode **ret_vp);
/* Attachments of dvp are about to be listed from the first on … */
void shadow_list_begin(struct vnode *dvp);
/* … and one of them is good for so long. */
void shadow_list_saw(struct vnode *dvp, uint64_t ttl_ns);
/* Whether such a listing that is kept is good still. */
bool shadow_list_good(struct vnode *dvp);
/* The attachments below vp, which is called n in dvp, are one more or less. */
int shadow_way_add(struct vnode *dvp, const struct name *n, struct vnode *vp);
void shadow_way_del(struct vnode *dvp, const struct name *n);
/* Whether what the file system says of the name (r and, for 0, vp) is not what the
 * attachments below hang on. */
bool shadow_way_strays(struct vnode *dvp, const struct name *n, int r, struct vnode *vp);
/* Attached directories that a link count does not know of. */
uint32_t shadow_ndirs(struct vnode *dvp);
/* 0, -EEXIST or -ENOMEM.  ndirs: at is a directory that the file system does not count. */
int shadow_add(
    struct vnode *dvp, const struct name *n, struct attach *at, bool uncounted);
void shadow_remove(struct vnode *dvp, const struct name *n);
/* A pending name of dvp is vp from here on, whose reference is taken over. */
void shadow_come(struct vnode *dvp, struct attach *at, struct vnode *vp);

/* The attach mutex is held.  A synthetic parent over a directory that is not in memory.
 */
int vfs_attach_synth(struct vfs *v, struct vnode *dvp, const struct name *n,
    const char *path, size_t len, struct vnode *vp);
void vfs_detach_synth(struct vfs *v, struct attach *at);
/* What is called n in dvp has become another: puts everything attached below dvp's tree
 * on what is there by now.  0: look again; else the old arrangement stays. */
int vfs_rebind(struct vnode *dvp, const struct name *n);
/* Does this thread attach or detach?  Its look-ups take things as they are. */
bool vfs_attaching(void);
/* The look-up of vop.c without the check for names that have become others. */
int vop_lookup_plain(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
bool vop_strays(struct vnode *dvp, const struct name *n, int r, struct vnode *vp);

#endif
