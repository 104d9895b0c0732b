/*
 * The expressions of find.
 */
#ifndef UKFS_TOOL_FIND_H
#define UKFS_TOOL_FIND_H

#include "vfs/ukfs/tool/walk.h"

struct find_expr;

/* How the walk is to be made. */
struct find_options {
	unsigned fo_mindepth, fo_maxdepth;
	bool fo_post;   /* -depth: a directory after what is in it */
	bool fo_writes; /* -delete */
};

/*
 * Parses the words v[0..n-1].  NULL: *ret_why says what is wrong (the caller's to free).
 * Without an action it is "( … ) -print".
 */
struct find_expr *find_parse(int n, char **v, struct find_options *ret_o, char **ret_why);
void find_free(struct find_expr *e);
/* The operands before it: paths. */
int find_paths(int n, char **v);

/* What the words refer to in the image is looked at (-newer): 0, or said already. */
int find_prepare(struct find_expr *e);

struct find_run {
	struct walk *fr_walk;
	int fr_rc;
	bool fr_quit;
	time_t fr_now;
};
bool find_eval(const struct find_expr *e, struct find_run *r);

#endif
