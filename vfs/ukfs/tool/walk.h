/*
 * Walks a tree of the image, with a stack of its own: no depth is too much.
 *
 * A directory that is met a second time, by another name, is not entered again: a damaged
 * image can hold a directory in itself, or so many names of one that there is no end.
 */
#ifndef UKFS_TOOL_WALK_H
#define UKFS_TOOL_WALK_H

#include "vfs/ukfs/tool/img.h"

enum when {
	W_FILE, /* not a directory */
	W_PRE,  /* a directory, before what is in it */
	W_POST, /* after it; w_err: it could not be read */
};

struct walk {
	/* For the function. */
	const char *w_path, *w_name;
	const struct stat *w_st;
	unsigned w_depth; /* 0: where it begins */
	bool w_last;      /* of its directory's entries */
	int w_err;
	bool w_failed; /* something could not be looked at, and this has been said */
	void *w_arg;
	/* It may set, at W_PRE: the directory is not entered, and there is no W_POST. */
	bool w_prune;
	/* For walk_tree(). */
	bool w_sorted;
	bool w_follow_first;   /* a symbolic link where it begins */
	const char *w_command; /* in messages: NULL: none */
	/* Which entries there are at all; empty: all. */
	bool (*w_wants)(const struct walk *w, const struct name_entry *e);
};

/* fn: non-zero ends the walk, which returns it then.  What cannot be read is said, and makes
 * the result RC_SOME. */
int walk_tree(
    struct walk *w, const char *path, int (*fn)(struct walk *w, enum when when));

/* What is said of a directory that is met again. */
#define MET_AGAIN "it is a directory of several names, and another one was entered"

/* A set of inodes. */
struct inoset {
	struct inoset_slot *is_v;
	size_t is_n, is_room;
};
/* Was it there? */
bool inoset_add(struct inoset *is, dev_t dev, ino_t ino);
void inoset_done(struct inoset *is);

#endif
