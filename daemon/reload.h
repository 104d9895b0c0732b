/*
 * Reload: the configuration is read again, and the difference applied as one.
 *
 * The whole of the new text is tried in a namespace of its own first, and then everything
 * that the steps of the plan (plan.h) need in the one that runs.  Only if nothing speaks
 * against it is anything touched; what fails nevertheless (a lock that another process takes
 * meanwhile) is undone, step by step.  What does not differ is left alone, and open files
 * on it go on.
 *
 * A key that is added or removed by hand is a reload of one step.
 *
 * Runs in a thread that serves no request, one reload at a time.
 */
#ifndef RF_DAEMON_RELOAD_H
#define RF_DAEMON_RELOAD_H

#include "daemon/apply.h"
#include "daemon/plan.h"

/* What a reload has done. */
struct reload_result {
	/* Keys, images and nodes; what changed is in the third alone. */
	size_t rr_added, rr_removed, rr_changed;
	size_t rr_later; /* settings that wait for the next mount; not in rr_changed */
	char **rr_plan;  /* rr_nplan lines, as --check --diff prints them */
	size_t rr_nplan;
	size_t rr_left_out; /* lines: a reload can be of very many keys */
};

/* On success *conf is replaced (and the old one freed), added keys that it declares are
 * forgotten as such, and *ret, which may be NULL, is filled.  On failure nothing is changed, and all reasons are logged.  live: the kernel asks
 * for mtime and size before it trusts its pages (fe_live). */
bool reload(struct space *sp, struct conf **conf, const struct options *o, bool live,
    struct reload_result *ret);
void reload_result_done(struct reload_result *rr);

/* Makes the key c->c_etfs[i] (PO_ADD) or takes it away (PO_REMOVE; one that has been lost is
 * none the less).  0 or -errno, which is logged; then all is as it was. */
int reload_key(struct space *sp, const struct conf *c, size_t i, enum plan_op op,
    const struct options *o);

#endif
