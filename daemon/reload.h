/*
 * Reload: the configuration is read again, and the difference in keys applied.
 *
 * The whole of the new text is tried in a namespace of its own first.  Only if that has
 * no error are the keys touched that differ; those that do not are left alone, and open
 * files on them go on.  What cannot be foreseen (a lock that another process takes
 * meanwhile) is undone: the keys of before come back.
 *
 * Runs in a thread that serves no request.
 */
#ifndef RF_DAEMON_RELOAD_H
#define RF_DAEMON_RELOAD_H

#include "daemon/apply.h"

struct reload_result {
	size_t rr_added, rr_removed, rr_changed;
	char **rr_plan; /* rr_nplan sentences */
	size_t rr_nplan;
};
void reload_result_done(struct reload_result *rr);

/* On success *conf is replaced (and the old one freed), and *ret says what was done.  On
 * failure nothing is changed; all reasons are logged. */
bool reload(struct space *sp, struct conf **conf, const struct options *o, bool live,
    struct reload_result *ret);

#endif
