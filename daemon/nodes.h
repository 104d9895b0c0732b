/*
 * Declared nodes: what [dir], [file], [symlink], [node] and [whiteout] sections put into a
 * namespace, and how a reload changes that while it is used.
 *
 * A node whose directory is in memory is a name in it; one whose directory is a key's or an
 * image's is laid over it (vfs/mount.h).  Which node was made for a path is remembered by its
 * id, without a reference: users may remove it, rename it and put another in its place, and
 * then it is theirs: it is neither replaced nor changed nor removed, which is told.
 *
 * Every change is a struct node_done, which says how to go back: node_undo(), or, when all
 * has gone well, node_finish().  Both empty it.
 *
 * For one thread at a time that serves no request: at first the main thread, then the manager.
 */
#ifndef RF_DAEMON_NODES_H
#define RF_DAEMON_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "vfs/vnode.h"

struct space;
struct attach;

/* What was made for a path. */
struct declared {
	char *dc_path;
	uint64_t
	    dc_id; /* its node's; 0: a whiteout over a directory that is not in memory */
	bool dc_laid;
};

struct nodes {
	struct _GTree
	    *ns_all; /* path → struct declared; what lies below a path is together */
};

enum node_change {
	NC_NONE,
	NC_MEMORY, /* a name in memory */
	NC_LAID,   /* laid over something */
	NC_LIFTED, /* not any more */
	NC_SWAP,   /* what is laid there is another */
	NC_LOOKS,  /* mode and owner */
	NC_STAYS,  /* nothing but that it is not ours any more */
};

struct node_done {
	enum node_change nd_change;
	char *nd_path;
	struct vnode *nd_dvp, *nd_old, *nd_new; /* references, or NULL */
	uint64_t nd_seq;                        /* NC_MEMORY: its place in the listing */
	struct attach *nd_at;                   /* NC_LIFTED */
	struct vattr_set nd_looks;              /* before */
	bool nd_looked;                         /* nd_looks is to be set again */
	bool nd_synth; /* whether nd_old was a directory made for what lies below */
	bool nd_move;  /* NC_MEMORY: it goes elsewhere with all that is in it */
	struct declared nd_was; /* the record before; dc_path NULL: none */
};

void nodes_init(struct nodes *ns);
/* Takes off what is laid over something.  The rest goes with the memory. */
void nodes_done(struct space *sp);
/* What was made for this path, lent, or NULL. */
const struct declared *nodes_find(const struct space *sp, const char *path);

/* Makes the node, without a name as yet, with its contents.  0 or an exit code, with the
 * reason logged.  *ret_vp has a reference. */
int node_make(struct space *sp, const struct conf_node *cn, struct vnode **ret_vp);
/* Gives it the name, where there is none as yet.  It takes a reference of its own.  -EEXIST:
 * somebody else's is there; or -errno. */
int node_add(
    struct space *sp, const struct conf_node *cn, struct vnode *vp, struct node_done *nd);
/* Takes it away.  What users have put in its place stays, and a directory that has things
 * of theirs, or of what is declared below (below): that is no error, and told unless it is
 * the latter. */
int node_remove(
    struct space *sp, const struct conf_node *cn, bool below, struct node_done *nd);
/* Puts vp in its place, or (NULL) gives it the mode and the owner that are another in b than
 * in a.  What users have put in its place stays as it is: that is no error, and told.  Where
 * they have removed it, vp comes. */
int node_change(struct space *sp, const struct conf_node *a, const struct conf_node *b,
    struct vnode *vp, struct node_done *nd);
/* Something is about to be attached at path, which will cover what was made below it in
 * memory: takes that out (*ret: *ret_n changes), to be laid over it by nodes_move_in() when
 * that is there, in an array twice as long.  On failure what was done is in *ret too. */
int nodes_move_out(
    struct space *sp, const char *path, struct node_done **ret, size_t *ret_n);
int nodes_move_in(struct space *sp, struct node_done **all, size_t *n);

/* 0, or -errno: it is not as it was.  Parents that were made are the caller's to prune. */
int node_undo(struct space *sp, struct node_done *nd);
void node_finish(struct space *sp, struct node_done *nd);

/* Removes the directories above path, of which dvp (may be NULL) was the lowest, that were
 * made for what is called so and are empty. */
void nodes_prune(struct space *sp, struct vnode *dvp, const char *path);

/* The same of path itself, from which a key or an image has gone: it may have covered a
 * directory that was made for what is not there any more. */
void nodes_uncovered(struct space *sp, const char *path);

/* Why the node could not be put at its path, in words. */
const char *node_words(int r);
/* What speaks against adding it, foreseen: a sentence, or NULL. */
const char *node_foresee(struct space *sp, const struct conf_node *cn);

#endif
