/*
 * Going into the background.
 *
 * The process forks before it has a thread, a lock or a mount.  The child does all the
 * work; the parent waits to hear that the kernel has begun to talk to the mount, then
 * asks the mount itself, and exits with what it found.  A child that ends before that has
 * said why on stderr, and the parent passes its exit code on.
 */
#ifndef RF_DAEMON_BACKGROUND_H
#define RF_DAEMON_BACKGROUND_H

#include <stdbool.h>

struct background {
	int bg_fd; /* the child's end of the pipe; -1: in the foreground, or reported */
	bool bg_parent; /* this is the parent, and it is done */
};

/*
 * Forks.  In the child, and if the fork fails, returns 0 or -1 with a message printed. In
 * the parent, waits and returns an exit code; bg_parent is set.
 */
int background_enter(struct background *bg, const char *mountpoint);

/* The child's report that all is well: from here on nobody reads its stderr. */
void background_ready(struct background *bg);

#endif
