/*
 * What is to be done to come from one configuration to another.
 *
 * A plan is a list of steps in the order in which they are taken: settings, then what goes (the
 * last that was made first), then what comes or changes (conf_order()).  It looks at texts
 * alone, and at what is known to run; nothing here touches a namespace or the host.  Making it
 * is linear but for sorting.
 */
#ifndef RF_DAEMON_PLAN_H
#define RF_DAEMON_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/conf.h"

enum plan_op {
	PO_ADD,
	PO_REMOVE,
	PO_CHANGE,
};

enum plan_kind {
	PK_DAEMON, /* a setting of [daemon] */
	PK_MEMORY, /* a setting of [rumpfs] */
	PK_KEY,
	PK_IMAGE,
	PK_NODE,
};

struct plan_step {
	enum plan_op ps_op;
	enum plan_kind ps_kind;
	/* A change of mode, owner and listing alone: what is open is not disturbed. */
	bool ps_in_place;
	bool ps_later;       /* it waits for the next mount */
	const char *ps_path; /* of the configuration that has it; NULL for settings */
	const char *ps_name; /* of a setting; else NULL */
	struct conf_item ps_old, ps_new; /* of what there is; their ci_ pointers lent */
	size_t ps_order;                 /* when it is made, or was */
	size_t ps_was_order;             /* of a change: when the old one was made */
};

struct plan {
	const struct conf *pl_old, *pl_new; /* lent: they must outlive it */
	struct plan_step *pl_steps;
	size_t pl_n;
	size_t pl_added, pl_removed,
	    pl_changed;  /* keys, images, nodes; settings changed */
	size_t pl_later; /* of the changed */
	/* What is to go before anything comes, in that order: steps that remove, and images
	 * that change. */
	size_t *pl_away;
	size_t pl_naway;
	const char **pl_paths; /* all that is declared from now on, sorted */
	size_t pl_npaths;
};

/* What runs, where that may not be all that the old configuration says. */
struct plan_runs {
	/* Is this key registered, or this image mounted? */
	bool (*pr_runs)(const struct conf_item *item, void *arg);
	void *pr_arg;
};

/* runs NULL: all does.  False: no memory. */
bool plan_make(struct plan *pl, const struct conf *old_conf, const struct conf *new_conf,
    const struct plan_runs *runs);
void plan_done(struct plan *pl);

/* Is something declared below this path from now on? */
bool plan_declares_below(const struct plan *pl, const char *path);

/* "+ [etfs /p1]: host /disk.img, begin 512", allocated; NULL: no memory. */
char *plan_text(const struct plan *pl, const struct plan_step *ps);
/* "1 added, 2 removed, 1 changed, 1 at the next mount", or "no difference". */
char *plan_summary(const struct plan *pl);
/* All of it. */
void plan_print(const struct plan *pl, FILE *to);

/* Has what is declared so the same text but for what can be changed in place? */
bool plan_same_key(const struct conf_etfs *a, const struct conf_etfs *b, bool but_looks);
bool plan_same_image(const struct conf_mount *a, const struct conf_mount *b);
bool plan_same_node(const struct conf_node *a, const struct conf_node *b, bool but_looks);

/* Settings of [daemon] and [rumpfs] that differ, for plan.c (plan_text.c): calls fn with the
 * name of each. */
void plan_settings(const struct conf *a, const struct conf *b,
    void (*fn)(enum plan_kind kind, const char *name, void *arg), void *arg);

#endif
