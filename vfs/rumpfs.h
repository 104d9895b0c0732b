/*
 * rumpfs: the in-memory tree.
 *
 * All seven kinds of nodes, regular files included.  File data is kept in pages of 4 KiB
 * on the heap while it is small and in a memfd when it is large; holes cost nothing.
 * Everything is counted against two limits, bytes and nodes: over the limit is -ENOSPC at
 * once, and nothing half-done stays behind.  See rumpfs_node.c and rumpfs_data.c.
 */
#ifndef RF_VFS_RUMPFS_H
#define RF_VFS_RUMPFS_H

#include "vfs/mount.h"
#include "vfs/vnode.h"

struct vmake;

struct rumpfs_opts {
	uint64_t ro_size;   /* bytes; 0: no limit */
	uint64_t ro_inodes; /* nodes; 0: no limit */
	uint32_t ro_mode;   /* of the root, permission bits */
	uint32_t ro_uid, ro_gid;
};

/* Makes the tree: a root directory with nothing in it.  The root vnode's reference keeps
 * the mount.  0, -ENOMEM, -ENFILE. */
int rumpfs_new(struct vfs *v, const struct rumpfs_opts *o, struct vnode **ret_root);

/* A node with no name, to be attached with vfs_attach(); not VREG with content, but any
 * kind that mk can say.  Belongs to cr.  0, -ENOSPC, -ENOMEM, -ENFILE. */
int rumpfs_node_new(struct mount *mp, const struct vmake *mk, const struct cred *cr,
    struct vnode **ret_vp);

/* A directory for attach.c: 0755, owner of the root, even where the tree is read-only. */
int rumpfs_mkdir_synth(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
/* The same without a name. */
int rumpfs_dir_synth(struct mount *mp, struct vnode **ret_vp);
/* Removes it if it is empty: 0, -ENOTEMPTY, -ENOENT. */
int rumpfs_rmdir_synth(struct vnode *dvp, const struct name *n);
/* The same for one without a name: from here on it takes no entries. */
int rumpfs_retire_synth(struct vnode *vp);

/*
 * What somebody does who owns names and not only asks for them: in dvp, which is in memory, n
 * is made to name new_vp (NULL: nothing), if it names old_vp (NULL: nothing) just now.  All
 * references stay the caller's.  new_vp has no name: it was made by rumpfs_node_new() and
 * given to rumpfs_unname(), or has been taken out like this.  Where old_vp is a directory it
 * must be empty and takes no entries from here on, unless keep is set: it will have another
 * place then (rumpfs_name(), or this call) with all that is in it.
 * *seq: out: where it was or is in the listing; in: 0, or where new_vp is to be.
 * 0; -ESTALE: n names something else; -ENOTEMPTY, -ENOENT (dvp was removed), -ENOSPC,
 * -ENOMEM.
 */
int rumpfs_put(struct vnode *dvp, const struct name *n, struct vnode *old_vp,
    struct vnode *new_vp, bool keep, uint64_t *seq);
/* A node that was just made loses the name that it was counted to have; and one without a
 * name is given one that is in no directory (it is attached). */
void rumpfs_unname(struct vnode *vp);
void rumpfs_name(struct vnode *vp);

/* Takes everything out of a tree that has been unmounted, because entries and directories
 * keep one another; nothing can be made in it any more.  What is still in use goes with its
 * last user. */
void rumpfs_empty(struct vnode *root);

/* Changes limits ; -EBUSY if more is in use already. */
int rumpfs_set_limits(struct mount *mp, uint64_t size, uint64_t inodes);

/*
 * A store: a file system of the kernel's own, in memory, in no namespace, whose size is the
 * limit of the tree.  What it gives are files without a name.  With one the kernel may write
 * what is in memory without us (vop_backing), and the limit holds (rumpfs_store.c).
 */
struct rumpfs_store {
	/* A new, empty file for reading and writing, which does not note when it is read.
	 * An fd or -errno. */
	int (*st_file)(struct rumpfs_store *st);
	/* Another size in bytes, whole pages; 0: no limit.  0 or -EBUSY: more is in use. */
	int (*st_resize)(struct rumpfs_store *st, uint64_t bytes);
	/* futimens(3) on one of its files. */
	int (*st_times)(int fd, const struct timespec ts[2]);
	void (*st_free)(struct rumpfs_store *st);
};
/* From here on what is in memory lies in st, whose size is that of the tree and which is the
 * tree's on success.  No request may run.  0, -ENOMEM, -ENOSPC, -EMFILE. */
int rumpfs_store_use(struct mount *mp, struct rumpfs_store *st);

/* What vp is called in dvp, if both are directories of rumpfs: 256 bytes.  False: it is not in
 * it. */
bool rumpfs_name_of(struct vnode *dvp, const struct vnode *vp, char name[256]);

struct rumpfs_usage {
	uint64_t ru_size, ru_size_used;     /* bytes */
	uint64_t ru_inodes, ru_inodes_used; /* nodes, the root included */
};
void rumpfs_usage(struct mount *mp, struct rumpfs_usage *ret);

#endif
