/*
 * Symbolic links in memory on the way to a path, for who may not ask the host.
 */
#ifndef RF_DAEMON_CONTROL_LINKS_H
#define RF_DAEMON_CONTROL_LINKS_H

#include <glib.h>
#include <stdbool.h>

struct session;
struct catalog;

enum links_end {
	LINKS_THERE, /* the way ends at lk_path */
	LINKS_LOOP,  /* more links than the kernel follows */
	LINKS_AWAY, /* the last leads out of the mount, or to where only the host knows on */
};

struct links {
	enum links_end lk_end;
	GString *
	    lk_path; /* without links in memory but for its last name, which may be one */
	GString *lk_followed; /* "/a -> b, /c -> /d"; empty: there are none */
	char *lk_last;        /* the last of those, or NULL */
	unsigned lk_n;        /* how many */
};

/* path is normalised.  No host call, no lock that is held over one. */
void links_follow(
    struct session *s, const struct catalog *cg, const char *path, struct links *ret);
void links_done(struct links *lk);

#endif
