/*
 * Copying a tree from one place to another (cp.c has the command).
 */
#ifndef UKFS_TOOL_COPY_H
#define UKFS_TOOL_COPY_H

#include "vfs/ukfs/tool/place.h"

struct copy_options {
	bool co_recursive;
	bool co_preserve;     /* mode, owner, times */
	bool co_xattr;        /* and extended attributes */
	bool co_links;        /* hard links among what is copied stay such */
	bool co_follow;       /* every symbolic link */
	bool co_follow_first; /* those on the command line */
	bool co_force, co_update, co_no_clobber, co_verbose;
	bool co_archive; /* what the user may not set is passed over in silence */
};

/* The first names of files with several, and of the directories that were made. */
struct copy_links;

struct copy {
	const struct copy_options *c_o;
	struct place *c_src, *c_dst;
	struct copy_links *c_links;
	mode_t c_umask;
	int c_rc;
};

struct copy_links *copy_links_new(void);
void copy_links_free(struct copy_links *l);
/* The path that the file was copied to first; or NULL, and then it is path now. */
const char *copy_links_find(struct copy_links *l, dev_t dev, ino_t ino, const char *path);
/* That path is no copy after all. */
void copy_links_forget(struct copy_links *l, dev_t dev, ino_t ino);

/* Copies one name and what is below it.  What fails is said, and is in c_rc. */
void copy_tree(struct copy *c, const char *from, const char *to);

/* copy_file.c: the bytes: 0 or -errno, said already. */
int copy_data(struct copy *c, const char *from, const struct stat *st, struct pfile *in,
    const char *to, struct pfile *out);
/* copy_file.c: what the options preserve of st; fresh: the copy was made by us with the mode
 * it is to have without them. */
void copy_attributes(
    struct copy *c, const char *from, const struct stat *st, const char *to);

/* Messages with the whole name: "WHAT 'PATH': text of err". */
void copy_bad(
    struct copy *c, const struct place *p, const char *name, const char *what, int err);

#endif
