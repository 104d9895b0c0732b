/*
 * Find's expressions, as find_expr.c makes them and find.c uses them.
 */
#ifndef UKFS_TOOL_FIND_PRIVATE_H
#define UKFS_TOOL_FIND_PRIVATE_H

#include "vfs/ukfs/tool/find.h"

enum find_op {
	F_AND,
	F_OR,
	F_NOT,
	F_TRUE,
	F_FALSE,
	F_NAME,
	F_INAME,
	F_PATH,
	F_LNAME,
	F_TYPE,
	F_SIZE,
	F_EMPTY,
	F_NEWER,
	F_MTIME,
	F_MMIN,
	F_PERM,
	F_LINKS,
	F_INUM,
	F_USER,
	F_GROUP,
	F_UID,
	F_GID,
	F_MAXDEPTH,
	F_MINDEPTH,
	F_DEPTH,
	F_PRUNE,
	F_QUIT,
	F_PRINT,
	F_PRINT0,
	F_LS,
	F_DELETE,
};

struct find_expr {
	enum find_op e_op;
	struct find_expr *e_left, *e_right;
	const char *e_text; /* the argument, lent */
	uint64_t e_number;  /* in units; of types: a bit for each; a mode; an id */
	uint64_t e_unit;
	int e_cmp; /* -1 less, 0 equal, 1 more */
	struct timespec e_time;
};

#endif
