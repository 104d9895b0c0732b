/*
 * The model test: what its parts share.  See p-model.c.
 */
#ifndef RF_P_MODEL_H
#define RF_P_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#define RENAME_WHITEOUT  4
#endif

enum {
	ROOTS_MAX = 6,
	SLOTS = 8,
	TOUCHED_MAX = 5,
	PATH_LEN = 96,
	LEN_MAX = 200000
};

/* One of the directories that get the same operations. */
struct root {
	const char *path;
	int fd;
	int slot[SLOTS]; /* open files, -1 if none; the same ones in all roots */
};

enum kind {
	K_CREATE,
	K_OPEN,
	K_CLOSE,
	K_PWRITE,
	K_PREAD,
	K_FTRUNCATE,
	K_FALLOCATE,
	K_SEEK,
	K_WRITE,
	K_READ,
	K_TRUNCATE,
	K_RENAME,
	K_LINK,
	K_SYMLINK,
	K_READLINK,
	K_UNLINK,
	K_RMDIR,
	K_MKDIR,
	K_MKNOD,
	K_READDIR,
	K_CHMOD,
	K_CHOWN,
	K_UTIMENS,
	K_SETXATTR,
	K_GETXATTR,
	K_REMOVEXATTR,
	K_STAT,
	K_COPY,
	K_COUNT
};

/* An operation with all its arguments: what it needs is drawn once, so that every root
 * gets the same. */
struct op {
	enum kind kind;
	char a[PATH_LEN], b[PATH_LEN];
	int slot, slot2;
	long off, off2, len;
	unsigned flags;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	char xname[16];
	uint64_t seed; /* of the data written */
};

/* What came of it. */
struct result {
	long ret;
	int err;
	uint64_t hash; /* of the data it returned */
};

/* What the names and files that an operation touches look like. */
struct seen {
	bool there;
	struct stat st;
};

uint64_t rnd(void);
unsigned below(unsigned n); /* a random number below n */
uint64_t hash_add(uint64_t h, const void *p, size_t n);

/* p-model_ops.c */
void op_draw(struct op *o);
void op_run(struct root *r, const struct op *o, struct result *ret);
extern bool no_setid; /* -p: chmod sets no set-id bits */
void op_print(const struct op *o);
/* Stats what o touches: a, its parent, b, its parent, the open file. */
void op_look(struct root *r, const struct op *o, struct seen ret[TOUCHED_MAX]);
/* Remembers the names that came to be, to be drawn again. */
void op_remember(const struct op *o, const struct result *res);

/* p-model_tree.c */
/* A line for each thing below the root, for comparing; an array that ends with NULL. */
char **tree_list(struct root *r);
void tree_free(char **list);
/* A hash of a directory's names and types, or an errno in *ret_err. */
uint64_t dir_hash(struct root *r, const char *path, int *ret_err);
/* What SEEK_DATA and SEEK_HOLE at off say agrees with what can be read. */
const char *seek_check(int fd, long off);
/* A hash of a file's user attributes, names and values. */
uint64_t xattr_hash(int fd, const char *path);

#endif
