/*
 * What the files of a reload share: reload.c (from the text to the plan, and what is told),
 * reload_foresee.c (what speaks against it), reload_apply.c (the steps, and the way back).
 */
#ifndef RF_DAEMON_RELOAD_PRIVATE_H
#define RF_DAEMON_RELOAD_PRIVATE_H

#include "daemon/plan.h"
#include "daemon/reload.h"

/* Looks in the namespace that runs for what speaks against the steps.  All reasons are
 * logged; false if there are any.  Touches nothing. */
bool reload_foresee(struct space *sp, const struct plan *pl);

/* Takes the steps; on failure, which is logged, goes back.  0 or -errno of the step that
 * failed; *ret_failed: how much could not be put back. */
int reload_apply(
    struct space *sp, const struct plan *pl, const struct options *o, size_t *ret_failed);

/* What is declared is made in a tree that is read-only for others.  Returns whether it is. */
bool memory_unlock(struct space *sp);
void memory_lock(struct space *sp, bool rdonly);

#endif
