/*
 * Progress of what takes long: indexing an archive, reading through to a place in it.
 *
 * Whoever works calls PROGRESS_TELL() when a piece of work begins, every MiB or every few
 * items of it, and with end when it is over, however it went; if nobody watches that is one
 * predictable branch.  With a watcher it is a look at a coarse clock, until the work has
 * taken a second.  The sink is called from any thread, with no lock held that it could
 * need, and thins out what it shows.  It may wait for a terminal: so no lock is held that a
 * request needs.
 */
#ifndef RF_VFS_PROGRESS_H
#define RF_VFS_PROGRESS_H

#include <stdint.h>

/* One piece of work, the worker's; the same one in all calls for it, from one thread. */
struct progress {
	const char *pg_what; /* "opening", "reading through": a verb */
	const char *pg_name; /* of what: a path, or NULL */
	const char *pg_unit; /* of the numbers: "bytes", "entries" */
	uint64_t pg_done;    /* so much of it */
	uint64_t pg_total;   /* 0: not known */
	/* The sink's; 0 before the first call. */
	uint64_t pg_began_ns; /* CLOCK_MONOTONIC_COARSE */
	uint64_t pg_from;     /* pg_done at that time */
	unsigned pg_shown;
};

/* pg: as it stands; end: no more of it comes. */
extern void (*progress_sink)(
    struct progress *pg, int end); /* set before the first thread */

#define PROGRESS_TELL(pg, end)                               \
	do {                                                 \
		if (__builtin_expect(progress_sink != 0, 0)) \
			progress_sink((pg), (end));          \
	} while (0)

#endif
