/*
 * rumpfs, inside: the node and what its files share.
 *
 * Letters: c constant · a atomic · v v_lock of the node · m rm_mtx
 */
#ifndef RF_VFS_RUMPFS_PRIVATE_H
#define RF_VFS_RUMPFS_PRIVATE_H

#include "vfs/dirtab.h"
#include "vfs/rumpfs.h"
#include "vfs/rumpfs_pages.h"
#include "vfs/uio.h"
#include "vfs/vop.h"

struct rumpfs_mount {
	struct mount rm_mnt;
	_Atomic uint64_t rm_size; /* a: limit in bytes, 0 = none */
	_Atomic uint64_t rm_used; /* a: bytes; with a store, those on the heap only */
	_Atomic(struct rstore *) rm_store; /* a: or NULL; once there it stays */
	_Atomic uint64_t rm_inodes;        /* a: limit, 0 = none */
	_Atomic uint64_t rm_nodes;         /* a: nodes */
	_Atomic uint64_t rm_ino;           /* a: the last inode number */
	uint32_t rm_uid, rm_gid;           /* c: owner of the root as it was made */
};

/* A regular file's contents: rumpfs_data.c. */
struct rdata {
	uint64_t rd_size;      /* not of a store file, which has its own: rdata_attr() */
	struct pages rd_pages; /* while rd_fd is -1 */
	uint64_t rd_memfd_pages;   /* what the memfd holds and is accounted for */
	int rd_fd;                 /* -1, or the memfd or store file with the contents */
	_Atomic uint32_t rd_opens; /* a: open files */
	_Atomic bool rd_stays;     /* a: on the heap: moving it has failed, this time */
	/* a store file's own, as our setting its times has left them */
	int64_t rd_mtime_ns, rd_ctime_ns;
	bool rd_beyond; /* the memfd may hold pages past the end (FALLOC_FL_KEEP_SIZE) */
	/* a, changed under v: rd_fd is of the store, and the kernel may change it without us */
	_Atomic bool rd_store;
	_Atomic bool rd_idle; /* likewise: it has been closed, and may move back */
};

/* What a file has, wherever it is.  The times of a store file are its own, but for ctime,
 * which is the later one (0: it has not been changed since its times were set), and atime,
 * likewise. */
struct rattr {
	uint64_t ra_size, ra_pages;
	int64_t ra_atime_ns, ra_mtime_ns, ra_ctime_ns; /* store files only */
};

struct rxattr {
	struct rxattr *rx_next;
	size_t rx_len; /* of the value */
	char *rx_value;
	char rx_name[];
};

struct rumpfs_node {
	struct vnode rn_vn;                /* first */
	uint64_t rn_ino;                   /* c */
	uint32_t rn_mode;                  /* v: permission bits */
	uint32_t rn_uid, rn_gid, rn_nlink; /* v */
	_Atomic int64_t rn_atime_ns;       /* a: read without the lock's exclusive half */
	int64_t rn_mtime_ns, rn_ctime_ns;  /* v */
	int64_t rn_btime_ns;               /* c */
	_Atomic uint32_t rn_flags;         /* a: FS_IMMUTABLE_FL … (chattr) */
	bool rn_linkable;                  /* v: made without a name, may get one */
	struct rxattr *rn_xattrs;          /* v */
	union {
		struct {
			struct dirtab tab;
		} rn_dir;
		struct rdata rn_data;
		struct {
			char *target;
			size_t len;
		} rn_link;
		uint64_t rn_rdev;
	};
};

static inline struct rumpfs_node *
rumpfs_node_of(struct vnode *vp)
{
	return (struct rumpfs_node *)vp;
}

static inline struct rumpfs_mount *
rumpfs_mount_of(const struct vnode *vp)
{
	return (struct rumpfs_mount *)vp->v_mount;
}

extern const struct vops rumpfs_vops;

/* Directory cookies: the dots, then the entries' sequence numbers. */
#define RUMPFS_COOKIE_DOT    (DIR_COOKIE_BASE + 1)
#define RUMPFS_COOKIE_DOTDOT (DIR_COOKIE_BASE + 2)

/* Counts n bytes in.  False: over the limit, nothing changed. */
bool rumpfs_reserve(struct rumpfs_mount *rm, uint64_t n);
void rumpfs_unreserve(struct rumpfs_mount *rm, uint64_t n);

/* A node, or one more name of one: names are counted as tmpfs counts them, so that their
 * memory has a limit too.  False: over the limit. */
bool rumpfs_count_node(struct rumpfs_mount *rm);
void rumpfs_uncount_node(struct rumpfs_mount *rm);

int64_t rumpfs_now_ns(void);
struct timespec rumpfs_timespec(int64_t ns);

/* A node for mk with one reference, one link (none for directories' names: nlink is 2)
 * and no name.  dir is where it will go, for the set-group-id rule; NULL: nowhere yet. */
int rumpfs_node_alloc(struct rumpfs_mount *rm, const struct rumpfs_node *dir,
    const struct vmake *mk, const struct cred *cr, struct rumpfs_node **ret);
void rumpfs_reclaim(struct vnode *vp);
/* Marks a directory as removed; its lock is held exclusively.  0 or -ENOTEMPTY. */
int rumpfs_kill_dir(struct rumpfs_node *rn, int64_t now);

/* As with relatime. */
void rumpfs_touch_atime(struct rumpfs_node *rn);

/* rumpfs_file.c: vops. */
int rumpfs_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f);
void rumpfs_close(struct file *f);
int rumpfs_backing(struct vnode *vp, struct file *f, int *ret_fd);
int rumpfs_read(struct vnode *vp, struct file *f, struct uio *u);
int rumpfs_write(struct vnode *vp, struct file *f, struct uio *u);
int rumpfs_fallocate(
    struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len);
int rumpfs_seek(
    struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off);

/* rumpfs_data.c.  The caller holds v_lock as vop.h says. */
void rdata_init(struct rdata *d);
void rdata_done(struct rumpfs_mount *rm, struct rdata *d);
/* lend: the reader may be given the fd for a while. */
int rdata_read(struct rumpfs_mount *rm, struct rdata *d, struct uio *u, bool lend);
int rdata_write(struct rumpfs_mount *rm, struct rdata *d, struct uio *u);
int rdata_truncate(struct rumpfs_mount *rm, struct rdata *d, uint64_t size);
int rdata_fallocate(
    struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len);
int rdata_seek(struct rdata *d, uint64_t off, int whence, uint64_t *ret_off);
void rdata_opened(struct rdata *d);
/* 0, or -errno of fstat. */
int rdata_attr(const struct rdata *d, struct rattr *ret);
/* The times of a store file are as they are meant to be. */
void rdata_times_set(struct rdata *d);
/* Frees the pages from index first to the one before end. */
void rdata_drop_pages(
    struct rumpfs_mount *rm, struct rdata *d, uint64_t first, uint64_t end);

/* rumpfs_memfd.c: the same for contents that have moved to a memfd. */
/* Moves the pages of d to a memfd.  On failure (no fds, no memory) d is as it was. */
int rmemfd_convert(struct rumpfs_mount *rm, struct rdata *d);
void rmemfd_close(struct rdata *d);
/* Is most of what may be had in use? */
bool rmemfd_fds_short(void);
int rmemfd_write(struct rumpfs_mount *rm, struct rdata *d, struct uio *u);
int rmemfd_truncate(struct rumpfs_mount *rm, struct rdata *d, uint64_t size);
int rmemfd_fallocate(
    struct rumpfs_mount *rm, struct rdata *d, int mode, uint64_t off, uint64_t len);

/* rumpfs_store.c.  Pages, accounted for: on the heap, or in the store. */
struct rstore *rstore_of(const struct rumpfs_mount *rm);
/* A page of zeros; without fill it must be written to next.  0, -ENOSPC, -ENOMEM. */
int rpage_new(struct rumpfs_mount *rm, bool fill, void **ret_page);
void rpage_free(struct rumpfs_mount *rm, void *page);
int rpage_read(
    struct rumpfs_mount *rm, const void *page, uint64_t in, void *buf, size_t n);
ssize_t rpage_take(
    struct rumpfs_mount *rm, void *page, uint64_t in, struct uio *u, size_t n);
void rpage_zero(struct rumpfs_mount *rm, void *page, uint64_t in, size_t n);
bool rstore_reserve(struct rumpfs_mount *rm, struct rstore *rs, uint64_t n);
void rstore_unreserve(struct rumpfs_mount *rm, struct rstore *rs, uint64_t n);
uint64_t rstore_used(struct rumpfs_mount *rm, struct rstore *rs);
int rstore_resize(struct rstore *rs, uint64_t bytes);
int rstore_file(struct rstore *rs);
/* Sets those of a store file, which is no change of it. */
void rstore_times(struct rstore *rs, struct rdata *d, int64_t atime_ns, int64_t mtime_ns);
/* Is a store file worth it for a small file that will be written?  What has been written was
 * large, or not. */
bool rstore_is_worth(struct rstore *rs);
void rstore_written(struct rstore *rs, bool large);
/* The last open file of vp has been closed, under no lock. */
void rstore_closed(struct vnode *vp);
void rstore_free(struct rstore *rs);

/* rumpfs_xattr.c: vops. */
int rumpfs_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
int rumpfs_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr);
int rumpfs_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len);
int rumpfs_removexattr(struct vnode *vp, const char *name, const struct cred *cr);
void rumpfs_xattrs_free(struct rumpfs_mount *rm, struct rumpfs_node *rn);
/* A new node of this type in dir (or NULL): its mode by the umask, or its ACLs by the
 * directory's default one.  0, -ENOMEM, -ENOSPC; then some may be there, to be freed. */
int rumpfs_acl_inherit(struct rumpfs_mount *rm, const struct rumpfs_node *dir,
    struct rumpfs_node *rn, const struct vmake *mk);
/* It has been written to, by whomever, so its capabilities are nobody's any more: the kernel
 * leaves that to us.  Were there some? */
bool rumpfs_lose_caps(struct rumpfs_node *rn);
/* The mode has been set: the ACL follows. */
void rumpfs_acl_chmod(struct rumpfs_node *rn);

/* rumpfs_flags.c: 0, or -EPERM by the nodes' flags. */
int rumpfs_may_add(const struct rumpfs_node *dir);
int rumpfs_may_take(const struct rumpfs_node *dir, const struct rumpfs_node *rn);
int rumpfs_may_change(const struct rumpfs_node *rn);
int rumpfs_may_rename(const struct vrename *v);
int rumpfs_may_open(const struct rumpfs_node *rn, int flags);
int rumpfs_may_setattr(
    const struct rumpfs_node *rn, const struct file *f, const struct vattr_set *vs);
/* May this caller have a set-group-id bit on the node: root, and who is of its group. */
bool rumpfs_may_setgid(const struct rumpfs_node *rn, const struct cred *cr);
uint32_t rumpfs_setid_lost(
    const struct rumpfs_node *rn, const struct vattr_set *vs, const struct cred *cr);
/* f NULL: it is not known how it was opened. */
int rumpfs_may_write(
    const struct rumpfs_node *rn, const struct file *f, const struct uio *u);
int rumpfs_may_fallocate(const struct rumpfs_node *rn, int mode);
bool rumpfs_keeps_atime(const struct rumpfs_node *rn);
/* What is handed down to a new node in dir, or NULL. */
uint32_t rumpfs_flags_below(const struct rumpfs_node *dir);
int rumpfs_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr);

#endif
