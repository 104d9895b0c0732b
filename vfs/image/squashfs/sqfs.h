/*
 * squashfs: the parts of the module, and what they share.
 *
 * The format's structures, its superblock and its compressors are libsquashfs's.  Its
 * readers are not used: each of them holds one block and one place, so that threads could
 * share nothing, and they allocate what the image says.  Here everything goes through two
 * caches of decompressed blocks that all threads share (cache.c), one of metadata and one
 * of contents, and is read from there with a cursor (meta.c).
 *
 * Nodes.  A node is found by where its inode lies (block << 16 | offset in it), which is
 * unique whatever the image says of inode numbers; those are only shown.  An inode is
 * decoded once and kept in its node as attributes.
 *
 * A directory has one parent: who saw it first.  Another one is damage (-EUCLEAN), so that
 * no loop can come of a directory that is its own ancestor.
 *
 * Memory.  Both caches are bounded; so are the name indexes of directories, together
 * (dir.c).  Nothing else is kept but nodes.
 *
 * Locks are plain ones that are no rank's: what is held over a device call is m_build
 * alone, of which a thread holds one; the mutexes of caches, workers and directories are
 * leaves (LK_LEAF).
 *
 * Letters: c constant after creation · a atomic · k the cache's mutex · d m_dirs_mtx ·
 * b the node's m_build mutex
 */
#ifndef RF_VFS_IMAGE_SQUASHFS_SQFS_H
#define RF_VFS_IMAGE_SQUASHFS_SQFS_H

#include <endian.h>
#include <errno.h>
#include <sqfs/block.h>
#include <sqfs/compressor.h>
#include <sqfs/dir.h>
#include <sqfs/error.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>
#include <sqfs/super.h>
#include <sqfs/xattr.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/inotab.h"

#define SQ_NOWHERE UINT64_MAX  /* of tables in the superblock: not there */
#define SQ_NONE    0xFFFFFFFFu /* no fragment, no extended attributes */
#define SQ_STORED  (1u << 24)  /* in a block's size: it is not compressed */
#define SQ_WORKERS 32u         /* at most so many threads decompress at a time */
#define SQ_BUILDS  16u
#define SQ_CHUNK   1024u /* sizes of blocks that are looked through at a time */

/* A decompressor with the memory it reads into; one thread's while it uses it. */
struct sq_worker {
	struct sq_worker *w_next;
	sqfs_compressor_t *w_cmp;
	uint8_t *w_in; /* room for what a block can be on disk */
};

/* A decompressed block, pinned as long as somebody has a reference. */
struct sq_block {
	uint64_t b_pos;  /* c: where it lies on the device */
	uint64_t b_end;  /* what follows it on the device; when loaded */
	uint32_t b_word; /* c: size and flag, as an inode has them; 0: metadata */
	uint32_t b_len;  /* of b_data; when loaded */
	uint32_t b_refs; /* k */
	int b_error;     /* k: 0, or why it could not be loaded */
	bool b_loading;  /* k */
	struct sq_block *b_hnext;         /* k */
	struct sq_block *b_prev, *b_next; /* k: by last use */
	uint8_t *b_data;                  /* c: k_cap bytes, behind it */
};

struct sq_mount;

struct sq_cache {
	struct sq_mount *k_m;  /* c */
	uint32_t k_cap;        /* c: bytes of a block */
	uint32_t k_max;        /* c: blocks */
	uint32_t k_nchains;    /* c: a power of two */
	uint32_t k_count;      /* k */
	pthread_mutex_t k_mtx; /* rank LEAF */
	pthread_cond_t k_loaded;
	struct sq_block **k_chains; /* k */
	struct sq_block k_lru;      /* k: the ring; b_next is what was used last */
};

/* An array of entries of one size in metadata blocks, with the list of those. */
struct sq_table {
	uint64_t *t_blocks; /* c */
	uint32_t t_count;   /* c: entries */
	uint32_t t_size;    /* c: bytes of one */
};

struct sq_dir;

struct sq_mount {
	struct imgmount m_im; /* the first member */
	sqfs_super_t m_super; /* c */
	uint64_t m_limit;     /* c: no byte of the image lies beyond */
	uint32_t m_bsize;     /* c */
	struct vnode *m_root; /* c: not a reference: to know it by */
	struct sq_table m_ids, m_frags, m_xattrs;
	uint64_t m_xattr_start; /* c */
	struct sq_cache m_meta, m_data;

	sqfs_compressor_t *m_cmp;      /* c: what workers are copies of */
	pthread_mutex_t m_workers_mtx; /* rank LEAF; for what follows */
	pthread_cond_t m_worker_back;
	struct sq_worker *m_workers;
	uint32_t m_nworkers;

	pthread_mutex_t m_dirs_mtx;             /* rank LEAF */
	struct sq_dir *m_dirs_new, *m_dirs_old; /* d: by last use */
	size_t m_dirs_bytes;                    /* d */
	/* Of a node: while an index of it is being made.  Held over device calls. */
	pthread_mutex_t m_build[SQ_BUILDS];
};

/* A place in a run of metadata blocks, and the block it is in. */
struct sq_cursor {
	struct sq_mount *c_m;
	uint64_t c_pos;           /* of the block, on the device */
	uint32_t c_off;           /* in the block, decompressed */
	struct sq_block *c_block; /* a reference, or NULL: not yet */
};

/* Where the chunk of a file's blocks begins: their sizes, and themselves. */
struct sq_chunk {
	uint64_t h_pos, h_disk;
	uint32_t h_off;
};

struct sq_file {
	uint32_t f_frag, f_frag_off; /* c: SQ_NONE */
	uint64_t f_nblocks;          /* c: without the fragment */
	struct sq_chunk f_first;     /* c */
	struct sq_chunk *f_more;     /* b: the chunks after the first, as far as known */
	uint64_t f_nmore, f_cap;     /* b */
};

struct sq_node {
	struct imgnode n_in; /* the first member; in_ino is where the inode lies */
	struct vattr n_va;   /* c */
	uint32_t n_xattr;    /* c: SQ_NONE */
	union {
		struct sq_file n_file;
		struct { /* of a link: where its target lies */
			uint64_t l_pos;
			uint32_t l_off;
		} n_link;
		struct {
			uint64_t d_pos;         /* c: the listing */
			uint32_t d_off, d_len;  /* c */
			uint32_t d_parent;      /* c: inode number, as it says */
			struct sq_dir *d_index; /* d: no reference; it leaves */
		} n_dir;
	};
};

static inline struct sq_mount *
sq_mount_of(const struct vnode *vp)
{
	return (struct sq_mount *)vp->v_mount;
}

static inline struct sq_node *
sq_node_of(struct vnode *vp)
{
	return (struct sq_node *)vp;
}

/* What is held while an index of the node is made or grown. */
static inline pthread_mutex_t *
sq_build_of(struct sq_node *n)
{
	uint64_t at = n->n_in.in_ino;

	return &sq_mount_of(&n->n_in.in_vn)->m_build[(at >> 4 ^ at >> 20) % SQ_BUILDS];
}

/* cache.c */

int sq_cache_init(struct sq_cache *k, struct sq_mount *m, uint32_t cap, uint32_t blocks);
/* Takes one of all zeros. */
void sq_cache_done(struct sq_cache *k);
/*
 * The block at pos, with a reference.  word: of contents, its size and flag; 0: metadata,
 * where the block itself says.  Whoever comes second waits for who loads it.
 * -EUCLEAN: not a block, or not within the image; -EIO as the device says.
 */
int sq_cache_get(struct sq_cache *k, uint64_t pos, uint32_t word, struct sq_block **ret);
void sq_cache_put(struct sq_cache *k, struct sq_block *b);

/* Makes m_cmp, by the superblock.  -EOPNOTSUPP: nobody has this compressor. */
int sq_workers_init(struct sq_mount *m);
void sq_workers_done(struct sq_mount *m);

/* lzo.c */

/* libsquashfs has no LZO for its own licence's sake. */
int sq_lzo_create(sqfs_compressor_t **ret);

/* meta.c */

static inline void
sq_cursor_init(struct sq_cursor *c, struct sq_mount *m, uint64_t pos, uint32_t off)
{
	c->c_m = m;
	c->c_pos = pos;
	c->c_off = off;
	c->c_block = NULL;
}

void sq_cursor_done(struct sq_cursor *c);
/* The next len bytes; buf NULL: goes over them. */
int sq_read(struct sq_cursor *c, void *buf, size_t len);
/* Reads the list of a table's blocks.  count may be 0. */
int sq_table_load(struct sq_mount *m, struct sq_table *t, uint64_t start, uint32_t count,
    uint32_t size);
/* One entry.  -EUCLEAN: there is no such one. */
int sq_table_get(
    struct sq_mount *m, const struct sq_table *t, uint32_t i, void *ret_entry);

/* node.c */

/* The node of the inode at ref, with a reference.  dvp: the directory it was found in, or
 * NULL for the root. */
int sq_node_get(
    struct sq_mount *m, struct vnode *dvp, uint64_t ref, struct vnode **ret_vp);
/* S_IFMT of one of the 14 types, or 0. */
uint32_t sq_ifmt(unsigned type);
void sq_reclaim(struct vnode *vp);

/* dir.c */

int sq_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp);
int sq_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged);
/* The node goes. */
void sq_dir_forget(struct sq_node *n);

/* data.c */

int sq_vop_read(struct vnode *vp, struct file *f, struct uio *u);
int sq_seek(
    struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off);

/* xattr.c */

int sq_xattr_load(struct sq_mount *m);
int sq_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len);
int sq_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len);

/* mount.c */

extern const struct vops sq_vops;

#endif
