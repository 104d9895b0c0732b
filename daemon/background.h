/*
 * Going into the background.
 *
 * The process forks before it has a thread or a mount.  The child does all the work; the
 * parent waits to hear that the mount has answered (readiness.h), and exits with what it
 * heard.  A child that ends before that has said why on stderr, and the parent passes its
 * exit code on.  A service manager is told by the parent, whom it knows, which process stays.
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
int background_enter(struct background *bg);

/* The child is about to lose its last chance to hear that the parent has ended: up to here it
 * was told by SIGTERM, so that an interrupted start does not mount. */
void background_mounted(struct background *bg);

/* The child's reports, one of them; nothing in the foreground.  All is well: from here on
 * nobody reads its stderr.  False: the parent is gone. */
bool background_ready(struct background *bg);
/* The mount does not answer: the parent ends the child. */
void background_failed(struct background *bg);

#endif
