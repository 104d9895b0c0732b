/*
 * What the files of etfs share.
 *
 *   etfs_table.c   keys: register, find, list
 *   etfs_change.c  keys: remove, withdraw and restore, change in place
 *   etfs_info.c    statistics
 *   etfs_copy.c    files copied into memory at the start
 *   etfs_check.c   the checks of a registration, in their order
 *   etfs_lock.c    range locks against other processes
 *   etfs_fs.c      host file systems: inode numbers, file handles
 *   etfs_ident.c   nodes: one vnode per host file and key
 *   etfs_fd.c      the fds that nodes keep, and how they get them back
 *   etfs_attr.c    attributes
 *   etfs_xattr.c   extended attributes, readlink, statfs
 *   etfs_file.c    data of files and windows
 *   etfs_dir.c     directories: lookup, open, readdir
 *   etfs_dirmod.c  directories: everything that changes them
 *   etfs_rename.c  rename, and where nodes are in the tree
 *   etfs_follow.c  symlinks = follow
 *   etfs_inside.c  are directories still below their key?
 *   etfs_share.c   one host file under several keys
 *   etfs_overlap.c bytes that several have in common
 *   etfs_late.c    missing = hide: host objects that come later
 *   etfs_where.c   where a node is, for people
 *   etfs_watch.c   watch = auto: changes on the host
 *   etfs_list.c    what the kernel may keep of a listing
 *
 * Life.  A key embeds its mount and its attachment.  The registration holds one reference
 * on the mount and each vnode another, so a key that was removed lives until its last
 * vnode goes.  Each key holds a reference on the struct etfs.
 *
 * Locking.  No lock is held across a host call, with three exceptions that are plain
 * mutexes outside the rank order: e_lock_mtx (the table of range locks), e_fs_mtx
 * (making acquaintance with a host file system) and ed_mtx (one listing per open
 * directory). e_key_mtx makes "look a key up, then use it" one step; it is taken before
 * the namespace's attach mutex.  The three others are taken after it; nothing but locks
 * of rank LEAF is taken under the first two.  A pending name is resolved under the attach
 * mutex, so resolving must not take e_key_mtx.
 *
 * Letters on fields: c constant after creation · a atomic · s the node's shard mutex ·
 * l e_lock_mtx · k constant once k_ready is set · w wt_mtx
 */
#ifndef RF_ETFS_PRIVATE_H
#define RF_ETFS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "etfs/etfs.h"
#include "etfs/etfs_range.h"
#include "hostcalls/hostcalls.h"
#include "vfs/mount.h"
#include "vfs/vop.h"

#define ETFS_NSHARDS 64u

/* The deepest nesting of directories that were reached through links (symlinks =
 * follow). */
#define ETFS_ALIAS_DEPTH 8u

/* Nodes by identity, and those of them that have an fd, the one used last first. */
struct etfs_shard {
	_Alignas(64) pthread_mutex_t sh_mtx; /* rank LEAF */
	struct enode **sh_hash;          /* s: chains; a power of two of them, or none */
	uint32_t sh_size, sh_count;      /* s */
	uint32_t sh_nfds;                /* s: length of the list */
	struct enode *sh_head, *sh_tail; /* s: the list */
};

/* A host file system that some node is on; lives as long as the etfs. */
struct hostfs {
	struct hostfs *hf_next;    /* c */
	uint64_t hf_dev;           /* c: st_dev */
	uint32_t hf_index;         /* c: from 1 */
	_Atomic uint64_t hf_nodes; /* a: see etfs_fs.c, as for the next two */
	_Atomic bool hf_silent;    /* a: changes in it are not told */
	_Atomic bool hf_near;      /* a: nobody changes it but through this kernel */
	_Atomic bool hf_tried;     /* a: a directory was there to try handles with */
	_Atomic int hf_mount_fd; /* a: for opening by handle; -1: that is not possible */
	pthread_mutex_t hf_mtx;  /* rank LEAF, for the rest */
	uint64_t *hf_big;        /* pairs (host inode, number): open addressing */
	uint32_t hf_size, hf_count;
};

/* Who is told of changes in directories (etfs_watch.c). */
struct watcher {
	pthread_mutex_t wt_mtx;     /* rank LEAF */
	struct watch **wt_hash;     /* w: chains; a power of two of them, or none */
	uint32_t wt_size, wt_count; /* w */
	int wt_fd, wt_stop_fd;      /* c while wt_on; -1 */
	pthread_t wt_thread;        /* e_key_mtx, as wt_started */
	bool wt_started;
	_Atomic bool wt_on;           /* a: events are read */
	_Atomic uint64_t wt_retry_ns; /* a: no watch is to be had before */
	_Atomic uint64_t wt_events;   /* a: how many there were */
};

struct etfs {
	struct vfs *e_vfs;        /* c */
	_Atomic uint64_t e_ref;   /* a: the owner's and one for each key */
	_Atomic uint64_t e_nkeys; /* a */
	struct etfs_opts
	    e_opts; /* c; eo_ttl_ns e_key_mtx, eo_rdonly the changing thread's */
	_Atomic bool e_rdonly;   /* a: etfs_set_rdonly() */
	_Atomic bool e_unopened; /* a: etfs_unopened() */
	unsigned e_shard_fds;    /* c: how many fds a shard may keep */
	pthread_mutex_t e_key_mtx;
	pthread_mutex_t e_fs_mtx;
	_Atomic(struct hostfs *) e_fs; /* a: only ever added to, under e_fs_mtx */
	struct watcher e_watcher;
	struct lates *e_lates; /* e_key_mtx: what waits for its host object; or NULL */
	bool e_mounted;        /* e_key_mtx: etfs_watch() was called */
	_Atomic uint64_t e_writers;  /* a: files that are open for writing */
	pthread_mutex_t e_share_mtx; /* rank LEAF */
	struct hostfile **e_share;   /* e_share_mtx, as the next: chains */
	uint32_t e_share_size, e_share_count;
	pthread_mutex_t e_list_mtx; /* rank LEAF */
	struct tried *e_tried;      /* e_list_mtx: etfs_check.c; or NULL */
	struct etfs_key *e_list,
	    **e_list_tail; /* e_list_mtx: the first registered first */
	pthread_mutex_t e_lock_mtx;
	struct hostlock **e_locks;          /* l: chains */
	uint32_t e_lock_size, e_lock_count; /* l */
	struct etfs_shard e_shard[ETFS_NSHARDS];
};

/* What a key itself shows instead of what the host says, where vw_valid (VS_*) says so.
 */
struct etfs_view {
	unsigned vw_valid;
	uint32_t vw_mode, vw_uid, vw_gid;
	struct timespec vw_atime, vw_mtime, vw_ctime; /* ctime: of the last change here */
};

struct etfs_key {
	struct mount k_mount; /* the first member */
	struct attach k_at;
	struct etfs *k_etfs;           /* c: one reference */
	char *k_host;                  /* c: the host path as given */
	char *k_partition;             /* c: or NULL */
	uint64_t k_begin, k_size;      /* c: as asked for */
	enum etfs_type k_wanted;       /* c: as asked for */
	enum etfs_symlinks k_symlinks; /* c */
	bool k_special, k_no_lock;     /* c */
	bool k_own_rdonly;             /* c: whatever the others are */
	_Atomic bool k_rdonly;         /* a: so it is used; etfs_make_writable() */
	bool k_device;                 /* c: has no name: etfs_device_get() */
	bool k_watch;                  /* c: directories in it are to be watched */
	_Atomic bool k_ready;  /* a: the host object is there and has passed the checks */
	_Atomic bool k_gone;   /* a: removed */
	enum etfs_type k_type; /* k */
	bool k_window;         /* k: a fixed range */
	bool k_near, k_still;  /* k: of the host object: hf_near, mount_is_still() */
	bool k_locked_write;   /* k: k_lock keeps readers out as well */
	struct etfs_range k_win; /* k */
	uint64_t k_dev, k_ino;   /* k: the host object */
	char *k_real; /* k: directories: the host path without links; or NULL */
	struct hostlock *k_lock; /* k, given back by whoever removes the key; or NULL */
	/* e_share_mtx: the other keys of the host file; its node while it is in that list, or
	 * NULL; whether it has bytes in common with one of them */
	struct etfs_key *k_share_next, *k_share_prev;
	struct enode *k_share_root;
	bool k_laps;
	struct etfs_view k_view;            /* s: of the root node's shard */
	struct etfs_key *k_next, **k_prevp; /* e_list_mtx: all that are registered */
};

/* A vnode of etfs.  Its identity is (mount, alias, dev, ino). */
struct enode {
	struct vnode n_vn;       /* the first member */
	struct hostfs *n_fs;     /* c */
	uint64_t n_dev, n_ino;   /* c: on the host */
	uint32_t n_ifmt;         /* c: S_IFMT of the host object */
	uint64_t n_shown_ino;    /* c: in stat */
	struct timespec n_btime; /* c */
	uint64_t n_gen; /* c: hc_generation(), where birth times do not tell; else 0 */
	/* a: directories: when it was known last to be below the key's root (etfs_inside.c);
	 * ns of a clock that only rises, 0: never */
	_Atomic uint64_t n_inside_ns;
	uint64_t n_hash;  /* c: of the identity; the shard is chosen by its top bits */
	uint64_t n_alias; /* c: directories reached through a link; else 0 */
	struct enode
	    *n_real; /* c: such a link's target: the directory itself; one reference */
	uint8_t n_depth; /* c: how many such links lie above */
	bool n_hashed;   /* s */
	bool n_listed;   /* s: in the list of those with an fd */
	int n_fd;        /* s: an O_PATH fd, or -1 */
	/* s: etfs_unopened(): what its pages are of */
	struct shown {
		uint64_t sh_ctime_ns; /* 0: there are none */
		uint64_t sh_size;
		bool sh_young; /* the next change could have the same time */
	} n_shown;
	uint32_t n_pins; /* s: users of n_fd */
	_Atomic uint64_t
	    n_told_ns;    /* a: ctime that was told last; 0: nothing is known of it */
	_Atomic int n_wd; /* a, changed under w: its watch, or 0 */
	/* a: directories: the second of etfs_clock_ns() before which it gets no watch; other
	 * files: the watch of the directory that it was found in last, or 0 */
	_Atomic int n_found_wd;
	struct dirlist *n_list;        /* s: directories: etfs_list.c; or NULL */
	struct enode *n_wnext;         /* w: nodes with that watch */
	struct enode *n_chain;         /* s: hash */
	struct enode *n_prev, *n_next; /* s: list */
	uint32_t n_writers;            /* s: files of directory keys: open for writing */
	struct efile *n_files;         /* s: open files; their fds serve as well */
	struct hc_handle *n_handle;    /* s until set, then c */
	/* Where it was last seen, if that is needed to find it again.  A directory's
	 * parent is v_parent. */
	struct enode *n_parent; /* s: a reference */
	char *n_name;           /* s */
};

/* An open file's part of its node (f_priv). */
struct efile {
	struct enode *ef_node;           /* c */
	struct efile *ef_prev, *ef_next; /* s */
	int ef_fd;                       /* c */
	/* a: chr keys: where the next piece of a large read or write begins; 0: nowhere */
	_Atomic uint64_t ef_read_on, ef_write_on;
	uint32_t ef_pins;           /* s: users of ef_fd besides the open file itself */
	struct hostfile *ef_shared; /* c: file keys, open for writing; or NULL */
	struct efile *ef_wnext, *ef_wprev; /* e_share_mtx: others of that */
	bool ef_writes;                    /* c: open for writing */
	bool ef_append_only;               /* c once open: the host's fd has O_APPEND */
	bool ef_stranger;                  /* c once open: writes_as_stranger() */
	bool ef_closed;                    /* s: the last of them closes the fd */
};

/* An open directory. */
struct edir {
	struct efile ed_file;   /* the first member */
	pthread_mutex_t ed_mtx; /* taken first; one listing at a time */
	int64_t
	    *ed_offs; /* ed_mtx: host positions after entry 0, 1, … of a merged listing */
	uint32_t ed_n, ed_cap; /* ed_mtx */
	bool ed_kept;          /* c after opening: what it lists may be kept */
	bool ed_read;          /* s: it is counted in dl_reading */
};

static inline struct enode *
node_of(struct vnode *vp)
{
	return (struct enode *)vp;
}

static inline struct etfs_key *
key_of(const struct enode *n)
{
	return (struct etfs_key *)n->n_vn.v_mount;
}

static inline bool
node_is_root(const struct enode *n)
{
	return atomic_load_explicit(&n->n_vn.v_flags, memory_order_relaxed) & VF_ROOT;
}

static inline struct etfs_shard *
node_shard(const struct enode *n)
{
	return &key_of(n)->k_etfs->e_shard[n->n_hash >> 58];
}

static inline void
node_unref_p(struct enode **np)
{
	if (*np)
		vn_unref(&(*np)->n_vn);
}
#define AUTO_NODE __attribute__((cleanup(node_unref_p))) struct enode *

/* etfs_table.c */
void etfs_unref(struct etfs *e);
/* The key that is attached so, or NULL. */
struct etfs_key *key_of_attach(const struct attach *at);
/* Gives its range lock back, if it has one. */
void key_unlock(struct etfs_key *k);
/* In and out of the list of keys. */
void key_list(struct etfs *e, struct etfs_key *k);
void key_unlist(struct etfs *e, struct etfs_key *k);

/* etfs_check.c */

/* What the checks found: what a key becomes. */
struct key_probe {
	int kp_fd; /* O_PATH, the caller's to close; -1 */
	struct hc_stat kp_stat;
	enum etfs_type kp_type;
	bool kp_window;
	bool kp_write; /* it has been tried for that, and locked for it */
	struct etfs_range kp_win;
	struct hostlock *kp_lock; /* taken; or NULL */
};
/* *why, which may be NULL, becomes "KEY: HOST: text". */
void why_say(struct etfs_why *why, const char *key, const char *host, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));
/* All checks but the syntax and the duplicate.  On failure *ret is untouched, except that
 * kp_fd is -1, and no lock is held on the range. */
int key_check(const struct etfs_key *k, struct etfs_why *why, struct key_probe *ret);

/* etfs_lock.c */
int hostlock_add(struct etfs *e, const struct hc_stat *hs, int fd,
    const struct etfs_range *r, bool exclusive, pid_t *ret_pid, struct hostlock **ret);
void hostlock_drop(
    struct etfs *e, struct hostlock *hl, const struct etfs_range *r, bool exclusive);
void hostlock_done(struct etfs *e);

/* etfs_fs.c */
int hostfs_ref(struct etfs *e, const struct hc_stat *hs, int fd, const char *path,
    struct hostfs **ret);
void hostfs_unref(struct etfs *e, struct hostfs *fs);
int hostfs_ino(struct hostfs *fs, uint64_t ino, uint64_t *ret);
void hostfs_done(struct etfs *e);

/* etfs_ident.c */

/* Where a node is seen: what decides its identity besides the host's numbers. */
struct node_place {
	struct etfs_key *np_key;
	struct enode *np_parent;    /* NULL: the key's root */
	const struct name *np_name; /* NULL: the key's root, or a file without a name */
	uint64_t np_alias;          /* of directories */
	uint8_t np_depth;
	struct enode *np_real; /* of a directory just reached through a link; else NULL */
};
/* What files of directory keys are hashed by. */
uint64_t file_hash(uint64_t dev, uint64_t ino);
/* The node of a host object, found or made.  *fd is an O_PATH fd of it, or -1 if there is
 * another way to get one; the node may take it (*fd is -1 then). */
int node_get(
    const struct node_place *pl, const struct hc_stat *hs, int *fd, struct enode **ret);
/* The node of the file *hs (of a directory: the one of this alias) if there is one, with a
 * reference. */
struct enode *node_find(struct etfs_key *k, const struct hc_stat *hs, uint64_t alias);
/* Whether *hs is of the node's file.  fd is of that too, or -1: then a reused inode number
 * that only its generation gives away goes unnoticed. */
bool node_same(const struct enode *n, const struct hc_stat *hs, int fd);
bool node_last_unref(struct vnode *vp);
void node_reclaim(struct vnode *vp);

/* etfs_fd.c */

/* An fd of a node, good until node_unpin(). */
struct pin {
	struct enode *p_node;
	struct efile *p_file; /* an open file lent it; NULL: it is the node's own */
	int p_fd;
};
/* May make host calls as the daemon: not between hc_become() and hc_unbecome().  A
 * directory that is not below its key's root any more is -ESTALE. */
int node_pin(struct enode *n, struct pin *ret);
void node_unpin(struct pin *p);
#define AUTO_PIN __attribute__((cleanup(node_unpin))) struct pin
/* The node's shard is locked: takes *fd if the node has none. */
void node_give_fd_locked(struct etfs_shard *sh, struct enode *n, int *fd);
/* The node's shard is locked: takes its fd out; the caller closes it. */
int node_take_fd_locked(struct etfs_shard *sh, struct enode *n);
/* Closes what the shard keeps over its share. */
void shard_trim(struct etfs *e, struct etfs_shard *sh, unsigned keep);
/* Closes every fd that is not in use just now. */
void fds_shrink(struct etfs *e);
/* Opens f on fd: f_fd and f_priv.  size is that of a struct that starts with an efile. */
int efile_open(struct enode *n, int *fd, size_t size, struct file *f);
void efile_close(struct file *f);

/* The name in d, which dirfd is of, may be the last of its file.  Where that may be in use
 * without an open file (etfs_unopened()), its node, if there is one, gets an fd that keeps it
 * while it has the name. */
void hold_name(struct enode *d, int dirfd, const struct name *n, struct enode **ret_node,
    struct pin *ret);

/* A host call that gives an fd, once more with room made if there are too many. */
#define WITH_FDS(e, call)                                             \
	({                                                            \
		int with_fds_r = (call);                              \
		if (with_fds_r == -EMFILE || with_fds_r == -ENFILE) { \
			fds_shrink(e);                                \
			with_fds_r = (call);                          \
		}                                                     \
		with_fds_r;                                           \
	})

/* etfs_attr.c, etfs_xattr.c */
int etfs_getattr(struct vnode *vp, struct file *f, struct vattr *ret);
int etfs_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr);
int etfs_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len);
int etfs_statfs(struct vnode *vp, struct statvfs *ret);
int etfs_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
int etfs_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr);
int etfs_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len);
int etfs_removexattr(struct vnode *vp, const char *name, const struct cred *cr);

/* Acting as the caller in a directory key.  The data of file keys was granted by whoever
 * registered them and is used as the daemon: the guard does nothing for them. */
int act_as(const struct enode *n, const struct cred *cr, bool *ret_acting);
/* A directory key that shows another mode or owner than the host's. */
bool dir_is_disguised(const struct enode *d);
/* Acting as the caller in what only the owner may do: in file keys too, because an owner
 * that a key shows is not the host file's.  Windows, which keep it to themselves, are left
 * out. */
int act_as_owner(struct enode *n, const struct cred *cr, bool *ret_acting);
/* Whether what *cr writes to n is written by the daemon, to whom the host leaves set-id
 * bits that it would take off for *cr.  once: through a file of vop_open_once(). */
bool writes_as_stranger(const struct enode *n, const struct cred *cr, bool once);
/* Takes those off the host file, which somebody is about to change in that way.  If that
 * fails the change is not to be made. */
/* cr: of whom more is known; or NULL.  Whether there were any (1, 0), or -errno. */
int strip_setid(int fd, const struct cred *cr);
/* The same for what is shown of n instead. */
bool view_strip_setid(struct enode *n);
/* 0, or why the host file, which fd is of, is not for the kernel: -EPERM where it may only be
 * appended to, -EOPNOTSUPP where it, or what is shown of it, has set-id bits. */
int etfs_may_lend(struct enode *n, int fd);
static inline void
act_done(bool *acting)
{
	if (*acting)
		hc_unbecome();
	*acting = false;
}
#define AUTO_ACT __attribute__((cleanup(act_done))) bool

/* etfs_inside.c */

/* Now, on the clock of n_inside_ns. */
uint64_t etfs_clock_ns(void);
/* Whether the directory n, which fd is of, is still below its key's root: 0, -ESTALE if it
 * is not, or -errno.  Asks the host at most once in the time that names are good for. */
int node_inside(struct enode *n, int fd);
/* n was just found in parent, which is inside. */
void node_found_inside(struct enode *n, const struct enode *parent);

/* etfs_share.c */
void share_done(struct etfs *e);
/* The key is ready, and root its node.  0 or -ENOMEM. */
int share_key_add(struct etfs_key *k, struct enode *root);
/* The key goes, and root may go after it.  Does nothing if it was not added. */
void share_key_del(struct etfs_key *k);
/* A file is open for writing, or is not any more. */
void share_open(struct efile *ef);
void share_close(struct efile *ef);
/* The host file of n has changed through n: what the kernel was told of its other nodes is
 * no longer good.  Returns when the kernel knows that. */
void share_changed(struct enode *n);
/* Whether somebody may be writing to n's host file through another node. */
bool share_is_written(struct enode *n);
/* Makes the modification time in *va another than the last that was told, where it might
 * be the same for another change. */
void share_blur(const struct enode *n, struct vattr *va);

/* etfs_table.c: keys, for vfs_attach_each() with collect_key(); -ENOMEM. */
struct keylist {
	struct etfs_key **kl_key; /* allocated */
	size_t kl_n, kl_cap;
};
int collect_key(struct attach *at, void *arg);
void key_info(struct etfs_key *k, struct etfs_info *ret);

/* etfs_late.c; e_key_mtx is held, or there are no threads. */
void late_add(struct etfs *e, const char *key, const char *host);
void late_del(struct etfs *e, const char *key);
/* Where it fails, names are tried when they are looked up. */
void late_start(struct etfs *e);
void late_stop(struct etfs *e);
/* etfs_table.c: has the key that waits tried.  0, -EALREADY (it was there), -ESRCH (there is no such
 * key), or why it is refused. */
int key_come(struct etfs *e, const char *key, struct etfs_why *why);

/* etfs_watch.c */
void watch_init(struct etfs *e);
/* Where it fails there are no watches. */
void watch_start(struct etfs *e);
/* No request may be running. */
void watch_stop(struct etfs *e);
void watch_done(struct etfs *e);
/* Something is about to be looked up in d, which fd is of: sees to it that d has a watch,
 * if it is to have one. */
void watch_want(struct enode *d, int fd);
/* d is about to go. */
void watch_forget(struct enode *d);
/* The kernel is about to be told these attributes. */
void watch_told(struct enode *n, const struct hc_stat *hs);
/* What the caller changed about n through us has been changed: fd is of n.  For changes
 * after which the kernel keeps part of what it knew; for others AUTO_OWN will do. */
void watch_changed(struct enode *n, int fd);
/* The same for what is called so in d. */
void watch_moved(struct enode *d, int fd, const struct name *name);
/* Around a change of n that is made through us: what the kernel was told of it is no longer
 * known to it when that is answered.  It need not be told, and must not: what it asks for
 * just then would be taken for older than the telling, and thrown away. */
static inline struct enode *
watch_own(struct enode *n)
{
	atomic_store_explicit(&n->n_told_ns, 0, memory_order_relaxed);
	return n;
}
static inline void
watch_own_p(struct enode **np)
{
	if (*np)
		watch_own(*np);
}
#define AUTO_OWN __attribute__((cleanup(watch_own_p), unused)) struct enode *
/* How long names in dvp, and attributes, are good for (struct mount). */
uint64_t watch_name_ttl(struct vnode *dvp);
uint64_t watch_attr_ttl(struct vnode *dvp, struct vnode *vp, const struct vattr *va);

/* Whether the mount that fd is on leaves times of access alone. */
bool mount_is_still(int fd);

/* etfs_file.c */
extern const struct vops etfs_live_vops, etfs_window_vops, etfs_link_vops,
    etfs_special_vops;
/* -EIO once a file key was removed; directory keys go on. */
int key_alive(const struct enode *n);
int etfs_fsync(struct vnode *vp, struct file *f, bool datasync);
/* FS_IOC_GETFLAGS and its relatives, as the host's file has them.  Else -ENOTTY. */
int etfs_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr);

/* etfs_dir.c */
extern const struct vops etfs_dir_vops;
static inline bool
key_is_dir(const struct etfs_key *k)
{
	return k->k_type == ETFS_DIR || k->k_type == ETFS_DIR_SUBDIRS;
}
/* A subdirectory of a key of type dir: there, and empty. */
static inline bool
dir_is_leaf(const struct enode *d)
{
	return key_of(d)->k_type == ETFS_DIR && !node_is_root(d);
}
/* Whether a host object of this mode has a name in the key.  Links count as what they
 * are: with symlinks = follow this says true. */
bool mode_shown(const struct etfs_key *k, uint32_t mode);
/* The entry itself, links not followed. */
int dir_lookup_raw(struct enode *d, const struct name *n, struct enode **ret);
/* The entry as the key shows it. */
int dir_lookup_shown(struct enode *d, const struct name *n, struct enode **ret);

/* etfs_list.c */
/* The change time in ns, of a file that was looked at no earlier than at before (vfs_now()); 0:
 * it is so young that the next change may show the same. */
uint64_t ctime_settled(const struct hc_stat *hs, const struct timespec *before);
enum dirkeep etfs_listing(struct vnode *dvp, struct file *f);
/* A part of d's listing is about to be read through ed. */
void listing_read(struct enode *d, struct edir *ed);
/* Whoever has d open is not to read on from what is kept. */
void listing_drop(struct enode *d);
/* ed is closed. */
void listing_close(struct enode *d, struct edir *ed);

/* etfs_dirmod.c */
int etfs_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp);
int etfs_create(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    int flags, const struct cred *cr, struct file *f, struct vnode **ret_vp);
int etfs_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags,
    const struct cred *cr, struct file *f, struct vnode **ret_vp);
int etfs_link(
    struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr);
int etfs_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr);
int etfs_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr);

/* etfs_rename.c */
int etfs_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr);
/* Notes that n is seen as name in parent.  The caller has references on both. */
void node_placed(struct enode *n, struct enode *parent, const struct name *name);

/* etfs_follow.c */
/* What the link that is called name in dir leads to, as the key shows it there. */
int etfs_follow(
    struct enode *dir, const struct name *name, struct enode *link, struct enode **ret);

#endif
