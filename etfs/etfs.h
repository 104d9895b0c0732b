/*
 * etfs, the extra-terrestrial file system: keys in the namespace that are host files,
 * ranges of host files, or host directories.
 *
 * A key is registered at an absolute path of the mount and appears there at once; missing
 * parents are made (vfs/mount.h).  Checks come in this order, and the first that fails is
 * the answer: key syntax, host object, directory rules, range, device (size, lock),
 * duplicate.  On failure nothing has changed.
 *
 * Types.  reg: a host file, live and whole, or a fixed window of it.  blk, chr: a fixed
 * window, byte granular or in sectors of 512; both look like regular files from outside.
 * dir: a host directory and its immediate files; dir-subdirs: the whole tree.
 *
 * Behaviour is that of NetBSD's rump_etfs_register() and friends where it made sense; the
 * differences are in README.md.
 */
#ifndef RF_ETFS_H
#define RF_ETFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfs/mount.h"

enum etfs_type {
	ETFS_AUTO, /* by what host is: directory → dir-subdirs, block device → blk, else
	              reg */
	ETFS_REG,
	ETFS_BLK,
	ETFS_CHR,
	ETFS_DIR,
	ETFS_DIR_SUBDIRS,
};
const char *etfs_type_name(enum etfs_type t);

#define ETFS_SIZE_END UINT64_MAX /* the rest of the host object from begin on */

enum etfs_symlinks {
	ETFS_SYMLINKS_SHOW,   /* as symlinks */
	ETFS_SYMLINKS_HIDE,   /* not there */
	ETFS_SYMLINKS_FOLLOW, /* as what they point to, if that is below the key */
};

enum etfs_watch {
	ETFS_WATCH_DEFAULT, /* as eo_no_watch says */
	ETFS_WATCH_AUTO, /* changes on the host are told to the kernel where that can be known */
	ETFS_WATCH_NO,
};

/* All there is to say of a key.  Zeroed, with es_key and es_host set and es_size
 * ETFS_SIZE_END, it is the default. */
struct etfs_spec {
	const char *es_key;
	const char *es_host;
	enum etfs_type es_type;
	uint64_t es_begin, es_size;
	const char *es_partition; /* instead of begin and size; or NULL */
	bool es_rdonly;
	bool es_hidden;       /* reachable by name, not listed */
	bool es_missing_hide; /* an absent host object is not an error: the key appears
	                         with it */
	bool es_no_lock;      /* a window takes no lock on its range of the host file */
	bool es_special;      /* directory keys: fifos, sockets and devices are shown */
	enum etfs_symlinks es_symlinks;
	enum etfs_watch es_watch;
	bool es_set_mode, es_set_uid,
	    es_set_gid;                   /* what the key itself shows instead of the */
	uint32_t es_mode, es_uid, es_gid; /* host's mode and owner */
};

/* Why a registration was refused: a sentence with the key, the host path and the reason.
 */
struct etfs_why {
	char ew_text[512];
};

struct etfs_opts {
	uint64_t eo_ttl_ns; /* how long names and attributes may be cached */
	unsigned eo_fd_max; /* fds kept open for known files; 0: by RLIMIT_NOFILE */
	bool eo_rdonly;     /* all keys are read-only */
	bool eo_no_lock;    /* take no range locks (--check) */
	bool eo_no_watch;   /* directory keys are not watched unless they say so */
	/* The host object of a key that was missing has come; why: but is refused so far, which
	 * is told once; else NULL.  Called by a thread that serves nobody.  May be NULL. */
	void (*eo_late)(void *arg, const char *key, const char *host, const char *why);
	void *eo_late_arg;
};

struct etfs;
/* One per namespace.  0 or -errno. */
int etfs_new(struct vfs *v, const struct etfs_opts *o, struct etfs **ret);
/* Removes all keys.  Open files must be closed and no request running.  Vnodes that the
 * kernel still knows may outlive it until vfs_done(). */
void etfs_free(struct etfs *e);

int etfs_register(struct etfs *e, const char *key, const char *host, enum etfs_type type);
int etfs_register_withsize(struct etfs *e, const char *key, const char *host,
    enum etfs_type type, uint64_t begin, uint64_t size);
/* why may be NULL. */
int etfs_register_spec(
    struct etfs *e, const struct etfs_spec *spec, struct etfs_why *why);

/* -EINVAL (no leading slash …), -ENOENT (not a key; a path below a key is not one), -EBUSY
 * (a file system is mounted from it).
 * The name is gone at once; open reg, blk and chr files give EIO; open files below a
 * directory key go on working. */
int etfs_remove(struct etfs *e, const char *key);

/*
 * The same in two steps, for who may have to go back: withdrawn, the name is gone, but open
 * files go on and locks are kept.  Then either restored (0 or -errno: it stays withdrawn),
 * in its old place of the listing, or ended.  etfs_remove() is both.
 */
struct etfs_key;
int etfs_withdraw(struct etfs *e, const char *key, struct etfs_key **ret_key);
int etfs_restore(struct etfs_key *k);
void etfs_end(struct etfs_key *k);

/* What a key itself shows instead of the host's mode and owner, and whether it is listed:
 * what can change while files are open. */
struct etfs_looks {
	bool el_hidden;
	bool el_set_mode, el_set_uid, el_set_gid;
	uint32_t el_mode, el_uid, el_gid;
};
/* -ENOENT: no such key, or its host object is missing as yet. */
int etfs_looks_get(struct etfs *e, const char *key, struct etfs_looks *ret);
int etfs_looks_set(struct etfs *e, const char *key, const struct etfs_looks *looks);
/* How long names and attributes may be cached from now on.  Not to or from 0. */
void etfs_set_ttl(struct etfs *e, uint64_t ttl_ns);

/*
 * A key without a name: the device of a file system that is mounted from a host file.  spec
 * is as for a registration; es_key is what messages call it.  *ret_vp has a reference, which
 * etfs_device_put() takes back together with the key; every open of it has been closed then.
 */
int etfs_device_get(struct etfs *e, const struct etfs_spec *spec, struct etfs_why *why,
    struct vnode **ret_vp);
void etfs_device_put(struct etfs *e, struct vnode *vp);

/* Have two files bytes of a host file in common?  False for what is not of etfs. */
bool etfs_overlap(struct vnode *a, struct vnode *b);

/* From here on every change through a key is EROFS; or no longer, but where the key itself is
 * read-only.  Devices of file systems go on as they are.  One thread at a time, and none that
 * registers. */
void etfs_set_rdonly(struct etfs *e, bool rdonly);
/* Asks the host for all that eo_rdonly had not asked for: that it may be written, and locks
 * that go with it.  0, and etfs_set_rdonly() may let it be written; or the first refusal. */
int etfs_make_writable(struct etfs *e, struct etfs_why *why);

/* What became of a registration. */
struct etfs_info {
	const char *ei_key, *ei_host; /* as long as the key is registered */
	enum etfs_type ei_type;       /* never ETFS_AUTO unless missing */
	uint64_t ei_begin, ei_size;   /* of directories: 0 and 0 */
	bool ei_window;               /* a fixed range, not the whole living file */
	bool ei_rdonly, ei_hidden, ei_missing;
	bool ei_nocache;                      /* contents are not kept by the kernel */
	bool ei_watched;                      /* it is told of changes on the host */
	uint64_t ei_ops, ei_read, ei_written; /* requests; bytes */
	uint64_t ei_passed; /* opens of files that the kernel uses without us */
	bool ei_passes;     /* the kernel may use its files, as far as is known */
};
int etfs_find(struct etfs *e, const char *key, struct etfs_info *ret);
/* The same of a key without a name; ei_key is NULL. */
void etfs_device_info(struct vnode *vp, struct etfs_info *ret);
/* In the order of registration; stops at non-zero and returns it. */
int etfs_each(struct etfs *e, int (*fn)(const struct etfs_info *i, void *arg), void *arg);
/*
 * All keys, in the order of registration, for who may not wait: nothing is asked of the host,
 * and no lock taken that is held over a call to it.  Their texts are good until
 * etfs_list_done().
 */
struct etfs_list {
	struct etfs_info *el_all;
	struct mount **el_mounts; /* a reference each */
	size_t el_n;
};
/* 0 or -ENOMEM. */
int etfs_list(struct etfs *e, struct etfs_list *ret);
/* The one at this normalised path alone, at no cost of the others.  -ENOENT: it has none, and
 * is done all the same; -ENOMEM. */
int etfs_list_at(struct etfs *e, const char *key, struct etfs_list *ret);
void etfs_list_done(struct etfs_list *l);
/* Pairs of keys of this namespace with overlapping windows of one host file, one of them
 * writable: fn is called once for each. */
void etfs_overlaps(struct etfs *e,
    void (*fn)(const struct etfs_info *a, const struct etfs_info *b, void *arg),
    void *arg);

/* Copies the contents of a host file into an in-memory file that is empty.  For files
 * that are to be there from the start.  0 or -errno with *why (which may be NULL) filled.
 */
int etfs_copy_in(const char *host, struct vnode *vp, struct etfs_why *why);

/* Tells the host calls which device our own mount is, so that a mapped directory that
 * contains it is recognised.  Called once mounted, before the first request is served.
 * 0 or -ENOENT (not in the mount table). */
int etfs_mounted_at(struct etfs *e, const char *mountpoint);
/* Starts watching the directories of keys that want it, now and when such a key is
 * registered: in a thread of its own, which has what the caller has (capabilities, signal
 * mask).  Without it, or where it fails, nothing is watched. */
void etfs_watch(struct etfs *e);

/* Before etfs_watch(): waits for the host object of a key that was registered with
 * es_missing_hide, for at most ms.  0: it is there and has passed the checks; -ENOENT. */
int etfs_wait(struct etfs *e, const char *key, unsigned ms);
/*
 * Where a node is, in the namespace and on the host, as far as that can be said without
 * waiting for the host; "..." stands for what cannot.  Both buffers have cap bytes.  False:
 * it is not of etfs.
 */
bool etfs_where(struct vnode *vp, char *path, char *host, size_t cap);

struct etfs_stats {
	uint64_t et_keys;
	uint64_t et_nodes; /* known host files */
	uint64_t et_fds;   /* of those, with an fd kept open */
	uint64_t et_fd_max;
	uint64_t et_watches; /* watched directories */
	uint64_t et_events;  /* changes that were told */
};
void etfs_stats(struct etfs *e, struct etfs_stats *ret);

#endif
