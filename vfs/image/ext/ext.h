/*
 * ext2, ext3 and ext4 by libext2fs: what the files of this module share.
 *
 * Locks.  libext2fs is not made for threads, so one mutex per mount (e_mtx) is around all of
 * it and all that is kept here of its metadata: inodes, directory indexes, the block cache.
 * The contents of files are not under it: a regular file has a lock of its own (en_lock),
 * shared by its readers, and a map of where its blocks are (en_map); a read takes the mutex
 * only where the map does not know.  The device is called under either; both rank above it.
 *
 *	e_use  before  en_lock  before  e_mtx  before  en_map_mtx
 *
 * e_mtx is recursive, because a vnode that is dropped under it may be the last of a deleted
 * file, and frees its blocks.
 *
 * State.  Writing goes through: when an operation returns, the device has its data, inodes
 * and entries; block and inode bitmaps and the counts that go with them are written at a
 * sync.  The image is marked as not clean, and that synced, before the first change, and
 * clean when it is unmounted.  In between nothing but e2fsck can tell whether the bitmaps are
 * right, and it makes them anew from the inodes; what it finds inodes by (group
 * descriptors) is written at fsync.
 *
 * Letters: c constant after mounting · m e_mtx · l en_lock · p en_map_mtx · a atomic
 */
#ifndef RF_VFS_IMAGE_EXT_H
#define RF_VFS_IMAGE_EXT_H

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>

#include "vfs/dirtab.h"
#include "vfs/image/ext/ext_journal.h"
#include "vfs/image/inotab.h"
#include "vfs/progress.h"

#define EXT_LINK_MAX 65000u
/* Blocks that a file can have at most, whatever its format. */
#define EXT_LBLK_MAX (1ull << 32)

struct ext_cache;

/* Blocks that no file may have. */
struct ext_zone {
	uint64_t z_blk, z_n;
};

struct ext {
	struct imgmount e_im;      /* first */
	pthread_mutex_t e_mtx;     /* plain: the device is called under it */
	pthread_rwlock_t e_use;    /* plain: who changes contents; unmounting alone */
	ext2_filsys e_fs;          /* c: the pointer */
	struct ext_cache *e_cache; /* m */
	uint32_t e_bs, e_bits;     /* c: bytes of a block, and their logarithm */
	uint64_t e_spare_blk;      /* c: shown as not to be had */
	uint64_t e_overhead_blk;   /* c: what files can never have */
	bool e_rdonly;             /* c once mounted */
	bool e_recovered;          /* c: its journal was replayed */
	bool e_dirty;              /* m: marked as not clean */
	_Atomic bool e_dead;       /* a: unmounted: nothing is written any more */
	bool e_failed;             /* m: a write has failed; never to be marked clean */
	bool e_wrong; /* m: it contradicts itself; nothing is written any more */
	struct ext_zone *e_zones;     /* c: sorted, with room between them */
	size_t e_nzones, e_zones_cap; /* c */
	bool *e_gdt_dirty;            /* m: descriptor blocks to be written at fsync */
	char *e_ibuf, *e_dbuf;        /* m: an inode; a directory block */
	char *e_bbuf;                 /* m: two blocks, for the library */
	char *e_zero;                 /* c: a block of zeros */
	struct ext_node *e_orphans;   /* m: nodes without a name */
	struct ext_dir *e_dirs;       /* m: indexes, as a ring; the first was used last */
	uint64_t e_dir_names;         /* m: entries in all of them */
	pthread_mutex_t e_buf_mtx;    /* rank LEAF */
	struct progress *e_pg; /* of what reads block by block at the mount, or NULL */
	void *e_bufs[4];       /* of EXT_CHUNK bytes, for writes that come piecemeal */
};

#define EXT_CHUNK (256u << 10)

enum ext_kind {
	RUN_HOLE,
	RUN_DATA,
	RUN_UNWRITTEN
};

/* Blocks of a file that lie behind one another, or are not there. */
struct ext_run {
	uint64_t r_lblk, r_pblk, r_len;
	enum ext_kind r_kind;
};

/* All that is known of a window of a file: what is in it but in no run is a hole. */
struct ext_map {
	uint64_t m_from, m_to; /* blocks */
	uint32_t m_n, m_cap;
	struct ext_run *m_runs; /* rising */
};

/* A directory's names (ext_dir.c). */
struct ext_dir {
	struct ext_node *d_node;
	struct ext_dir *d_next, *d_prev;
	struct dirtab d_tab; /* values: ext_ent_pack() */
	uint16_t *d_room; /* of each block: the largest room for an entry, in 4 bytes */
	uint32_t d_nblk, d_cap, d_hint;
};

struct ext_node {
	struct imgnode en_in;         /* first */
	pthread_rwlock_t en_lock;     /* contents and their size; plain */
	pthread_mutex_t en_map_mtx;   /* rank LEAF */
	struct ext_map en_map;        /* p */
	struct ext2_inode_large en_i; /* m; size and blocks also l: changed under both */
	struct ext_dir *en_dir;       /* m */
	struct ext_node *en_onext, *en_oprev; /* m */
	_Atomic uint32_t en_nopen;            /* a */
	bool en_orphan;                       /* m: in e_orphans */
	bool en_noxattr;                      /* m: it has no attributes at all */
	bool en_nocaps;                       /* m: it has no capabilities */
	bool en_linkable;                     /* m: made without a name, may get one */
	_Atomic bool en_atime_done;           /* a: need not be set by a read */
};

static inline struct ext *
ext_of(const struct vnode *vp)
{
	return (struct ext *)vp->v_mount;
}

static inline struct ext_node *
ext_node_of(struct vnode *vp)
{
	return (struct ext_node *)vp;
}

static inline struct vnode *
ext_vn(struct ext_node *en)
{
	return &en->en_in.in_vn;
}

static inline ext2_ino_t
ext_ino(const struct ext_node *en)
{
	return (ext2_ino_t)en->en_in.in_ino;
}

/* m: the directory that a directory is in.  NULL of the root: what is above that is whoever
 * attaches the mount to change, and not under the mutex. */
static inline struct ext_node *
ext_node_above(struct ext_node *en)
{
	return ext_ino(en) == EXT2_ROOT_INO ? NULL : ext_node_of(ext_vn(en)->v_parent);
}

/* As the library wants it. */
static inline struct ext2_inode *
ext_i(struct ext_node *en)
{
	return (struct ext2_inode *)&en->en_i;
}

static inline uint64_t
ext_size(const struct ext_node *en)
{
	return EXT2_I_SIZE(&en->en_i);
}

static inline bool
ext_has_extents(const struct ext_node *en)
{
	return en->en_i.i_flags & EXT4_EXTENTS_FL;
}

static inline bool
ext_is_inline(const struct ext_node *en)
{
	return en->en_i.i_flags & EXT4_INLINE_DATA_FL;
}

/* A guard of the mutex: AUTO_EXT(e); */
static inline void
ext_unlock_p(struct ext **e)
{
	pthread_mutex_unlock(&(*e)->e_mtx);
}
static inline struct ext *
ext_lock(struct ext *e)
{
	pthread_mutex_lock(&e->e_mtx);
	return e;
}
#define AUTO_EXT(e) \
	struct ext *locked_ __attribute__((cleanup(ext_unlock_p), unused)) = ext_lock(e)

/* Around a change that lets go of the mutex between its parts: the image is not marked clean
 * in the midst of it.  The first part asks ext_will_change(). */
static inline void
ext_unuse_p(struct ext **e)
{
	pthread_rwlock_unlock(&(*e)->e_use);
}
static inline struct ext *
ext_use(struct ext *e)
{
	pthread_rwlock_rdlock(&e->e_use);
	return e;
}
#define AUTO_USE(e) \
	struct ext *used_ __attribute__((cleanup(ext_unuse_p), unused)) = ext_use(e)

extern const struct vops ext_vops;

/* ext_io.c */
/* An error of the library as -errno; 0 stays 0. */
int ext_err(errcode_t err);
io_manager ext_io_manager(void);
/* The next channel that this thread opens is of this mount. */
void ext_io_next(struct ext *e);
/* From now on blocks of e_bs are kept. */
int ext_io_cache_init(struct ext *e);
void ext_io_cache_done(struct ext *e);
/* m: what is known of these blocks is not so any more. */
void ext_io_forget(struct ext *e, uint64_t blk, uint64_t n);
int ext_read_block(struct ext *e, uint64_t blk, void *buf);

/* ext_super.c: looks at the superblock before the library does. */
/* *ret_recover: its journal is to be replayed (ext_recover) and this asked again. */
int ext_super_check(struct fsmount *m, bool *ret_recover);

/* ext_recover.c: while mounting.  What cannot be done makes it read-only, with a reason in
 * fm_why; an error is one that also reading would have. */
/* Before the file system is opened: replays the journal. */
int ext_recover(struct ext *e, struct fsmount *m);
/* The counts of the superblock, which no journal has. */
void ext_recount(struct ext *e);
/* m: frees what waits to be freed. */
int ext_orphans(struct ext *e, struct fsmount *m);

/* ext_mount.c */
/* m: the image is about to be changed: it is marked.  0, -EIO, -EROFS. */
int ext_will_change(struct ext *e);
/* m: the image contradicts itself: it is marked, and not written any more.  -EUCLEAN. */
int ext_wrong(struct ext *e);
/* m: what fsync promises besides what is written through. */
int ext_write_descs(struct ext *e);
int ext_statfs(struct vnode *vp, struct statvfs *ret);

/* ext_node.c.  All m. */
/* The node of an inode, with a reference.  dvp: where its entry was found. */
int ext_node_get(struct ext *e, ext2_ino_t ino, struct vnode *dvp, struct ext_node **ret);
/* One that may have no links, and is in no directory. */
int ext_node_get_orphan(struct ext *e, ext2_ino_t ino, struct ext_node **ret);
int ext_node_write(struct ext *e, struct ext_node *en);
/* The library has changed the inode by itself. */
int ext_node_reload(struct ext *e, struct ext_node *en);
/* A new inode, written, with no name and no link as yet. */
int ext_node_new(struct ext *e, struct ext_node *dir, const struct vmake *mk,
    const struct cred *cr, struct ext_node **ret);
void ext_node_orphan(struct ext *e, struct ext_node *en);
void ext_node_adopt(struct ext *e, struct ext_node *en);
/* Gives back the blocks and the number of an inode without links. */
int ext_node_free(struct ext *e, struct ext_node *en);
void ext_node_reclaim(struct vnode *vp);
/* More names or less; a directory's are counted up to a limit. */
int ext_may_link(struct ext *e, const struct ext_node *en);
void ext_link_add(struct ext *e, struct ext_node *en, int delta);

/* ext_attr.c */
enum {
	EXT_ATIME = 1,
	EXT_MTIME = 2,
	EXT_CTIME = 4,
	EXT_BTIME = 8
};
/* m */
void ext_time_set(
    struct ext *e, struct ext_node *en, unsigned which, const struct timespec *t);
struct timespec ext_time_get(
    const struct ext *e, const struct ext_node *en, unsigned which);
/* m: to now. */
void ext_touch(struct ext *e, struct ext_node *en, unsigned which);
/* Not m. */
void ext_touch_atime(struct ext *e, struct ext_node *en);
int ext_getattr(struct vnode *vp, struct file *f, struct vattr *ret);
int ext_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr);

/* ext_map.c */
/* The run that lblk is in, from lblk on.  Not m; l, or m for what is no regular file. */
int ext_map_find(struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_run *ret);
/* The same under m. */
int ext_map_find_locked(
    struct ext *e, struct ext_node *en, uint64_t lblk, struct ext_run *ret);
void ext_map_forget(struct ext_node *en);

/* ext_zone.c */
/* At mount: what is the file system's own, and the library's watch over it. */
int ext_zones_init(struct ext *e);
/* Do the bitmaps, which have been read, have all of it as in use? */
bool ext_zones_in_use(const struct ext *e);
/* May a file have these blocks? */
bool ext_blocks_ok(const struct ext *e, uint64_t blk, uint64_t n);

/* ext_alloc.c.  All m. */
/* Room for n blocks and what they need in the tree, for this caller (reserve: he may have
 * what is reserved)?  0 or -ENOSPC. */
int ext_have_room(struct ext *e, uint64_t n, bool reserve);
/* Does a part of what is mapped at lblk become up to n extents more without a block for the
 * tree? */
bool ext_tree_has_room(struct ext *e, struct ext_node *en, uint64_t lblk, unsigned n);
bool ext_may_reserve(const struct ext *e, const struct cred *cr);
/* Maps up to n blocks of a hole from lblk on, as one run, after fill has written to them.
 * The inode is written. */
int ext_alloc(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t n,
    enum ext_kind kind, int (*fill)(void *arg, uint64_t pblk, uint64_t n), void *arg,
    uint64_t *ret_pblk, uint64_t *ret_n);
/* Unwritten blocks have been written. */
int ext_convert(struct ext *e, struct ext_node *en, uint64_t lblk, uint64_t n);
/* Gives back the blocks from first to last. */
int ext_punch(struct ext *e, struct ext_node *en, uint64_t first, uint64_t last);
/* Data in the inode moves to a block. */
int ext_inline_expand(struct ext *e, struct ext_node *en);

/* ext_inline.c: contents in the inode. */
/* Can they be that long where they are?  Not m. */
bool ext_inline_fits(struct ext *e, struct ext_node *en, uint64_t end);
/* Where it fits, the size not minded; data NULL: zeros.  l exclusive, not m. */
int ext_inline_write(
    struct ext *e, struct ext_node *en, const void *data, size_t n, uint64_t off);
/* m.  -ENOSPC: there is no room for it in the inode. */
int ext_inline_add(struct ext *e, struct ext_node *dir, const struct name *n,
    ext2_ino_t ino, uint8_t ft);
int ext_inline_del(struct ext *e, struct ext_node *dir, const struct name *n);
int ext_inline_set(struct ext *e, struct ext_node *dir, const struct name *n,
    ext2_ino_t ino, uint8_t ft);

/* ext_file.c */
int ext_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f);
void ext_close(struct file *f);
int ext_read(struct vnode *vp, struct file *f, struct uio *u);
int ext_write(struct vnode *vp, struct file *f, struct uio *u);
int ext_fsync(struct vnode *vp, struct file *f, bool datasync);
/* l exclusive, not m. */
int ext_truncate(struct ext *e, struct ext_node *en, uint64_t size);

/* ext_space.c */
int ext_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len);
int ext_seek(
    struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off);
/* Zeros the bytes from off to end as far as they are in blocks with data; l exclusive. */
int ext_zero(struct ext *e, struct ext_node *en, uint64_t off, uint64_t end);

/* ext_dir.c.  All m. */
struct ext_ent {
	ext2_ino_t ent_ino;
	uint8_t ent_type; /* EXT2_FT_* */
	uint32_t ent_lblk;
};
int ext_dir_load(struct ext *e, struct ext_node *dir);
void ext_dir_drop(struct ext *e, struct ext_node *dir);
/* 0 or -ENOENT; or what reading the directory says. */
int ext_dir_find(struct ext *e, struct ext_node *dir, const struct name *n,
    struct ext_ent *ret, struct dirent_node **ret_de);
int ext_dir_add(struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino,
    enum vtype type);
int ext_dir_del(struct ext *e, struct ext_node *dir, const struct name *n);
int ext_dir_set(struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino,
    enum vtype type);
int ext_dir_set_dotdot(struct ext *e, struct ext_node *dir, ext2_ino_t ino);
/* The first block of a new directory. */
int ext_dir_init(struct ext *e, struct ext_node *dir, ext2_ino_t parent);
bool ext_dir_empty(struct ext *e, struct ext_node *dir);
int ext_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged);

/* ext_dirblk.c: one block of a directory in memory. */
uint32_t ext_blk_room(struct ext *e, char *blk);
int ext_blk_each(struct ext *e, char *blk,
    int (*fn)(void *arg, struct ext2_dir_entry *de, unsigned reclen), void *arg);
void ext_blk_init(struct ext *e, char *blk);
int ext_blk_add(
    struct ext *e, char *blk, const struct name *n, ext2_ino_t ino, uint8_t ft);
int ext_blk_del(struct ext *e, char *blk, const struct name *n);
int ext_blk_set(
    struct ext *e, char *blk, const struct name *n, ext2_ino_t ino, uint8_t ft);
/* A block of a hash tree becomes one of entries. */
void ext_blk_unindex(struct ext *e, char *blk, bool root);
uint8_t ext_ft(const struct ext *e, enum vtype type);

/* ext_name.c */
int ext_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
int ext_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp);
int ext_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags,
    const struct cred *cr, struct file *f, struct vnode **ret_vp);
int ext_link(
    struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr);
int ext_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr);
int ext_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr);
int ext_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len);
/* m: one name less; without any it is an orphan. */
int ext_drop_link(struct ext *e, struct ext_node *en);

/* ext_rename.c */
int ext_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr);

/* ext_xattr.c */
int ext_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
int ext_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr);
int ext_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len);
int ext_removexattr(struct vnode *vp, const char *name, const struct cred *cr);
/* m.  *ret is to be freed; -ENODATA. */
int ext_xattr_get(
    struct ext *e, struct ext_node *en, const char *name, void **ret, size_t *ret_len);
/* m.  value NULL removes. */
int ext_xattr_set(
    struct ext *e, struct ext_node *en, const char *name, const void *value, size_t len);

/* ext_acl.c.  All m. */
int ext_acl_get(
    struct ext *e, struct ext_node *en, const char *name, void **ret, size_t *ret_len);
int ext_acl_set(struct ext *e, struct ext_node *en, const char *name, const void *value,
    size_t len, const struct cred *cr);
/* The mode has been set: the ACL follows. */
int ext_acl_chmod(struct ext *e, struct ext_node *en);
/* What a directory's default ACL makes of the mode of what is made there; *ret_acl (or
 * NULL) is to be given to it, and *ret_default to a directory. */
struct ext_acls {
	void *a_access, *a_default;
	size_t a_len;
};
int ext_acl_inherit(struct ext *e, struct ext_node *dir, const struct vmake *mk,
    uint32_t *mode, struct ext_acls *ret);
int ext_acl_give(struct ext *e, struct ext_node *en, const struct ext_acls *a);
void ext_acls_free(struct ext_acls *a);

/* ext_flags.c: 0, or -EPERM by the inodes' flags.  All m. */
int ext_may_add(const struct ext_node *dir);
int ext_may_take(const struct ext_node *dir, const struct ext_node *en);
int ext_may_change(const struct ext_node *en);
int ext_may_open(const struct ext_node *en, int flags);
int ext_may_setattr(
    const struct ext_node *en, const struct file *f, const struct vattr_set *vs);
bool ext_may_setgid(const struct ext_node *en, const struct cred *cr);
uint32_t ext_setid_lost(
    const struct ext_node *en, const struct vattr_set *vs, const struct cred *cr);
int ext_may_fallocate(const struct ext_node *en, int mode);
uint32_t ext_flags_below(const struct ext_node *dir, enum vtype type);
int ext_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr);

static inline uint32_t
ext_uid(const struct ext_node *en)
{
	return en->en_i.i_uid | (uint32_t)en->en_i.osd2.linux2.l_i_uid_high << 16;
}

static inline uint32_t
ext_gid(const struct ext_node *en)
{
	return en->en_i.i_gid | (uint32_t)en->en_i.osd2.linux2.l_i_gid_high << 16;
}

#endif
