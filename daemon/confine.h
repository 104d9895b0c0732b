/*
 * What the process gives up once the mount is there.
 *
 * Up to then it opens what the configuration names, mounts, and may start programs.  From
 * then on it answers requests, reads its configuration again, and at the end unmounts; so
 * it keeps the capabilities and system calls which that takes and no others.  For good:
 * nothing here can be taken back, and nothing depends on the configuration, because a
 * reload may add a key of any kind.
 */
#ifndef RF_DAEMON_CONFINE_H
#define RF_DAEMON_CONFINE_H

#include <stdbool.h>

/* May this process unmount by itself?  If not, fusermount3 has to do it (mnttab.h). */
bool confine_can_unmount(void);

/*
 * Before any thread is made, because capabilities and filters are a thread's own and
 * inherited by those it makes.  What cannot be given up is logged as a warning and kept.
 * filter: with the filter of system calls (in sanitizer builds there is none).
 */
void confine(bool filter);

/* What the filter says to a call that it does not let through. */
#define CONFINE_ERRNO ENOSYS

#endif
