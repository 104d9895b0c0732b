/*
 * What image file systems have in common: a mount on a device, and nodes that are found by
 * their inode number.
 *
 * One vnode per inode.  inotab_get() finds it or has it made, under no lock while it is
 * being made; who comes second throws his away.  The table holds no references: the last
 * one is dropped under the shard's mutex together with taking the node out, so a node that
 * is found has a reference that can be added to.
 *
 * A module's mount begins with a struct imgmount, its nodes with a struct imgnode, its op
 * table has .last_unref = imgnode_last_unref, and its reclaim calls imgnode_done() and
 * frees.
 *
 * Letters: c constant after creation · a atomic · s shard mutex
 */
#ifndef RF_VFS_IMAGE_INOTAB_H
#define RF_VFS_IMAGE_INOTAB_H

#include "vfs/image/fstype.h"
#include "vfs/vop.h"

#define INOTAB_SHARDS 16u

struct imgnode {
	struct vnode in_vn;
	uint64_t in_ino;         /* c */
	struct imgnode *in_next; /* s */
	bool in_hashed;          /* s */
};

struct inotab_shard {
	pthread_mutex_t is_mtx; /* rank LEAF */
	struct imgnode **is_chains;
	uint32_t is_nchains, is_count; /* s */
};

struct imgmount {
	struct mount im_mnt;
	struct device *im_dev; /* c: or NULL */
	struct inotab_shard im_shards[INOTAB_SHARDS];
};

static inline struct imgmount *
imgmount_of(const struct vnode *vp)
{
	return (struct imgmount *)vp->v_mount;
}

static inline struct imgnode *
imgnode_of(struct vnode *vp)
{
	return (struct imgnode *)vp;
}

/* Sets the fields of *im; the mount has one reference, which the caller drops when the root
 * vnode holds it, as with mount_init().  mnt_free is called with the last reference: it
 * calls imgmount_done() and frees.  Takes m->fm_dev over only if the caller keeps it: on a
 * failure later set im_dev to NULL before dropping the reference.  0 or -ENOMEM. */
int imgmount_init(struct imgmount *im, const struct fsmount *m, const char *type,
    void (*mnt_free)(struct mount *));
/* Closes the device and frees the table, not *im. */
void imgmount_done(struct imgmount *im);

/* The node of an inode with a reference, or NULL if it is not known now. */
struct imgnode *inotab_find(struct imgmount *im, uint64_t ino);
/* Puts a node in that the caller has just made (vn_init, its reference).  Who was quicker
 * wins: then that node is returned with a reference, and the caller's has been dropped. */
struct imgnode *inotab_enter(struct imgmount *im, struct imgnode *in);
/* The inode has been deleted: its number may be another's soon. */
void inotab_forget(struct imgnode *in);

/* vn_init() and the fields of *in; not in the table yet.  0 or -errno. */
int imgnode_init(struct imgnode *in, struct imgmount *im, const struct vops *op,
    enum vtype type, uint64_t ino);
bool imgnode_last_unref(struct vnode *vp);
/* vn_done(). */
void imgnode_done(struct imgnode *in);

/*
 * A directory's node gets its parent when it is found there first, and another one when it
 * is renamed: dvp instead of what it was.  The module sees to it that dvp is not below vp.
 *
 * A directory with something attached at or below it is not renamed (-EBUSY), and the module
 * asks v_nattach for that under the lock under which it then moves the entries; what the
 * wrapper has asked before is not true any more.  Who attaches counts first and then
 * looks whether the path still leads there, which waits for that lock: so what is counted
 * after the question is taken back.  Until then the counts of those above go with vp, which
 * has its new parent whatever is counted.
 */
void imgnode_move(struct vnode *vp, struct vnode *dvp);

/* For file systems whose nodes are nothing but a number: find or make, with a reference in
 * *ret_vp; the reclaim that belongs to it. */
int imgnode_get(struct imgmount *im, const struct vops *op, enum vtype type, uint64_t ino,
    struct vnode **ret_vp);
void imgnode_reclaim(struct vnode *vp);

#endif
