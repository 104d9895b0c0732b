/*
 * archive: what libarchive reads, as a read-only file system.
 *
 * An archive is indexed once, when it is mounted (index.c): one pass of libarchive over it
 * makes a tree of small nodes in arrays (tree.c), from which lookups and listings are
 * answered for ever.  Data come in one of two ways:
 *
 *	direct	The bytes of the file lie as they are in the stream: tar, cpio, ar, stored
 *		files in zip, iso9660.  If the stream is the device itself (no compression),
 *		a read lends the device's own window and takes no lock.
 *	fed	The bytes come out of a decoder: a compressed stream as a whole (tar.gz: its
 *		files are direct in what it decompresses to), or the members of formats that
 *		compress each or several together (zip, 7z, cab).
 *
 * What is fed goes through a struct seq (seq.c): a bounded cache of chunks, filled by a few
 * cursors, each a libarchive instance in the midst of the archive.  A read that no chunk
 * answers moves the nearest cursor before it on, or starts one at the nearest place where
 * one can start (feed.c): the beginning of a compressed stream, the member in a zip or 7z.
 * The index pass of a compressed stream reads through the same cache, so that an archive
 * which fits is decompressed once.
 *
 * Trust.  libarchive is asked in process and never runs a program: filters are enabled one by
 * one, and those that would fork are not among them.  Numbers of the archive are addresses
 * in the stream and nothing else: nothing is allocated in their size.
 *
 * Letters: c constant after the index is made · m the struct's own mutex (plain, held over no
 * device call) · b of the thread that has it marked busy
 */
#ifndef RF_VFS_IMAGE_ARCHIVE_PRIVATE_H
#define RF_VFS_IMAGE_ARCHIVE_PRIVATE_H

#include <archive.h>
#include <archive_entry.h>

#include "vfs/image/inotab.h"
#include "vfs/progress.h"

/* Sequential bytes, cached (seq.c). */

struct seq;

/* One run through the bytes. */
struct feed {
	uint64_t fd_pos; /* b: of the next byte it gives */
};

struct feed_ops {
	/* The last place at or before off where a run can start without running through
	 * what lies before. */
	uint64_t (*place)(void *src, uint64_t off);
	/* A run from place(off) or before.  0 or -errno. */
	int (*start)(void *src, uint64_t off, struct feed **ret);
	/* The next bytes, lent until the next call: 1; they are at fd_pos, which the call
	 * may have moved ahead over what cannot be read, and which the caller adds the length
	 * to.  0: the end.  -errno: it cannot go on. */
	int (*next)(struct feed *f, const void **ret_buf, size_t *ret_len);
	void (*end)(struct feed *f);
	/* One thing from its start to its end: where a run ends or fails, all do. */
	bool whole;
};

/* budget: bytes of cache.  NULL without memory. */
struct seq *seq_new(const struct feed_ops *ops, void *src, uint64_t budget);
/* From here on reads that take long are told of; before there are several threads.  name
 * (may be NULL): of the archive, for as long as s. */
void seq_tell(struct seq *s, const char *name);
void seq_free(struct seq *s);
/* All together may have so many bytes of cache, or more if that has been said before; beyond
 * that each makes do with what it has, and a little. */
void seq_allow(uint64_t budget);
/* The len bytes at off, or fewer where the bytes end.  -errno if the first of them cannot be
 * had. */
ssize_t seq_read(struct seq *s, void *buf, size_t len, uint64_t off);

/* libarchive over bytes of ours (la.c). */

/* One of the two. */
struct stream {
	struct device *st_dev;
	struct seq *st_seq; /* what is decompressed from the device */
};

/* All of len bytes or -errno. */
int stream_read(const struct stream *st, void *buf, size_t len, uint64_t off);

struct la {
	struct archive *la_a;
	struct stream la_st;
	uint64_t la_pos;    /* of the next byte that is read from the stream */
	uint64_t la_got;    /* bytes that have been read */
	uint64_t la_buf_at; /* what is in la_buf: where it is from, and how much */
	size_t la_buf_len;
	uint64_t la_limit; /* what is read beyond is an error */
	int la_error;      /* the last error of the stream, or 0 */
	uint8_t *la_buf;   /* LA_BUF */
	/* Or NULL: told, as it is read, how far it is in the device; while it has a pg_what. */
	struct progress *la_pg;
};

#define LA_BUF (128u << 10)

enum la_mode {
	LA_INDEX,      /* all formats that can be had of a device */
	LA_INDEX_TEXT, /* those of a stream that cannot be read backwards */
	LA_UNFILTER,   /* what compressed bytes decompress to */
	LA_ZIP_MEMBER, /* a member of a zip at its local header */
	LA_SIGHT,      /* is it compressed? */
};

/* Opens libarchive at a place of the stream.  rar: with the formats that are only read if
 * asked for.  0 or -errno; text (may be NULL) gets libarchive's sentence. */
int la_open(struct la *la, const struct stream *st, uint64_t at, enum la_mode mode,
    bool rar, char text[128]);
void la_close(struct la *la);
/* The next entry: 1, 0 at the end, -errno.  Entries with a warning are entries. */
int la_next(struct la *la, struct archive_entry **ret);
/* The next bytes of the entry's data, at *ret_off in it: 1, 0 at the end, -errno. */
int la_data(struct la *la, const void **ret_buf, size_t *ret_len, uint64_t *ret_off);

/* The tree (tree.c). */

enum {
	DK_NONE,   /* no data, or zeros only */
	DK_DIRECT, /* an_data: where in the stream */
	DK_FED,    /* an_data: where in what the units are fed to */
	DK_SECRET, /* encrypted: -EACCES */
	DK_LOST,   /* damaged: -EIO */
};

/* A node; its index + 1 is the inode number. */
struct anode {
	uint64_t an_size;
	uint64_t an_data; /* VREG: see DK_*; VCHR, VBLK: dev_t; VDIR: the node above */
	int64_t an_mtime;
	uint32_t an_mtime_ns;
	uint32_t an_uid, an_gid;
	uint32_t an_nlink;
	uint32_t an_first; /* VDIR: entry + 1; VLNK: of the target in t_text */
	uint32_t an_last;  /* VDIR: entry + 1 */
	uint32_t an_extra; /* index + 1, or 0 */
	uint16_t an_mode;  /* with the type */
	uint8_t an_kind;   /* DK_* */
	uint8_t an_made;   /* VDIR: only because something is below it */
};

/* What few nodes have. */
struct aextra {
	struct timespec ax_atime, ax_ctime, ax_btime;
	uint64_t ax_stored; /* bytes of data that are there; the rest is holes */
	uint64_t ax_xattrs; /* in t_xattrs */
	uint32_t ax_xattrs_len;
	uint32_t ax_sparse, ax_nsparse; /* in t_sparse; with 0, no holes */
};

/* Data of a file with holes. */
struct asparse {
	uint64_t as_off, as_len; /* in the file */
	uint64_t as_pos;         /* from an_data on */
};

struct adirent {
	uint32_t ad_name; /* in t_text: length (one byte), bytes, NUL */
	uint32_t ad_hash;
	uint32_t ad_dir, ad_node;
	uint32_t ad_next; /* entry + 1 */
};

struct tree {
	struct anode *t_nodes;
	struct adirent *t_ents;
	struct aextra *t_extras;
	struct asparse *t_sparse;
	uint8_t *t_xattrs; /* records of xattr.c */
	char *t_text;
	uint32_t *t_index; /* entry + 1, 0 = empty; a power of two */
	uint64_t t_xattrs_len, t_xattrs_cap;
	uint64_t t_text_len, t_text_cap;
	uint32_t t_nnodes, t_nodes_cap;
	uint32_t t_nents, t_ents_cap;
	uint32_t t_nextras, t_extras_cap;
	uint32_t t_nsparse, t_sparse_cap;
	uint32_t t_nindex;
	uint32_t t_max; /* nodes */
	/* The directory of the entry that was added last, for its neighbours. */
	char *t_last_path;
	size_t t_last_len, t_last_cap;
	uint32_t t_last_dir;
	uint32_t t_uid, t_gid; /* of directories that are made */
};

/* The root is node 0.  0 or -ENOMEM. */
int tree_init(struct tree *t, uint32_t max, uint32_t uid, uint32_t gid);
void tree_done(struct tree *t);
/* Gives memory back that nothing will be added to. */
void tree_settle(struct tree *t);

/* Everything below: 0 or -errno, of which -ENOMEM and -ENOSPC (too many nodes) end the index
 * and others concern the entry. */

/* A node of this type, no name yet. */
int tree_node(struct tree *t, uint32_t mode, uint32_t *ret);
int tree_extra(struct tree *t, uint32_t node, struct aextra **ret);
int tree_text(struct tree *t, const char *s, size_t len, uint32_t *ret);
int tree_sparse(struct tree *t, uint64_t off, uint64_t len, uint64_t pos);
int tree_xattr_bytes(struct tree *t, const void *p, size_t len);
/* Where a path lies: its directory, made if it is missing, and its last name (in path's
 * bytes; *ret_len 0: it is the root).  -EXDEV: it has a "..".  -ENAMETOOLONG, -ENOTDIR,
 * -ELOOP. */
int tree_place(struct tree *t, const char *path, uint32_t *ret_dir, const char **ret_name,
    size_t *ret_len);
/* Gives node a name; what has it already goes, as when tar unpacks.  -EISDIR: a directory
 * with something in it. */
int tree_enter(struct tree *t, uint32_t dir, const char *name, size_t len, uint32_t node);
/* The entry of a name, or UINT32_MAX. */
uint32_t tree_find(const struct tree *t, uint32_t dir, const char *name, size_t len);
/* The node of a path that is there, symbolic links as they are: 0 or -ENOENT. */
int tree_lookup(struct tree *t, const char *path, uint32_t *ret_node);

static inline bool
an_is(const struct anode *an, mode_t ifmt)
{
	return (an->an_mode & S_IFMT) == ifmt;
}

/* Extended attributes (xattr.c). */

/* Those of the entry and its ACLs, into the tree; *mode's group bits become the mask.
 * Returns how many could not be had, or -ENOMEM. */
int xattr_collect(struct tree *t, struct archive_entry *e, uint32_t *mode,
    uint64_t *ret_at, uint32_t *ret_len);
int xattr_get(const struct tree *t, const struct aextra *ax, const char *name, void *buf,
    size_t size, size_t *ret_len);
int xattr_list(const struct tree *t, const struct aextra *ax, char *buf, size_t size,
    size_t *ret_len);

/* The mount. */

/* Data of a fed file: where it begins in what is fed, and how to get there. */
struct unit {
	uint64_t un_base;
	uint64_t un_where; /* zip: its local header; else: the number of its header */
	_Atomic uint64_t un_good; /* bytes that can be read, as far as is known */
};

struct ar {
	struct imgmount ar_im; /* the first member */
	struct stream ar_st;   /* c: what direct data lie in */
	struct seq *ar_fed;    /* c: or NULL: what units are fed to */
	struct tree ar_tree;   /* c */
	char *ar_name;         /* c: of what it is mounted from, for people, or NULL */
	/* What takes the index its time: has a pg_what only while that is made, by one
	 * thread. */
	struct progress ar_pg;
	struct unit *ar_units; /* c: by un_base; one more: the end */
	uint32_t ar_nunits, ar_units_cap;
	uint32_t ar_headers;     /* seen by the index */
	_Atomic bool ar_solid;   /* a run to the midst costs what lies before */
	bool ar_zip, ar_rar;     /* c */
	uint64_t ar_budget;      /* c: bytes of cache */
	uint64_t ar_limit;       /* c: bytes that are decompressed for the index */
	uint32_t ar_uid, ar_gid; /* c */
};

static inline struct ar *
ar_of(const struct vnode *vp)
{
	return (struct ar *)vp->v_mount;
}

/* Builds the tree from ar_st.  0, with what there is to say of it in why; or -errno. */
int ar_index(struct ar *ar, char *why, size_t why_len);
/* The tree of what decompresses to no archive: "data" (raw.c).  As ar_index(). */
int ar_raw(struct ar *ar, char *why, size_t why_len);
/* Is the device compressed as a whole?  1, 0, -errno. */
int ar_compressed(struct device *d);

extern const struct feed_ops feed_filter_ops; /* src: struct ar */
extern const struct feed_ops feed_zip_ops;    /* src: struct ar */
extern const struct feed_ops feed_walk_ops;   /* src: struct ar */
extern const struct vops ar_vops;

/* The node's vnode, with a reference; dvp is the directory that it was found in. */
int ar_vnode(struct ar *ar, uint32_t node, struct vnode *dvp, struct vnode **ret_vp);

#endif
