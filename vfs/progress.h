/*
 * Progress of what takes long: indexing an archive, reading through to a place in it.
 *
 * Whoever works calls PROGRESS_TELL() as often as he likes, at least once for each piece of
 * work that a person would wait for; if nobody watches that is one predictable branch.  The
 * sink is called from any thread, with no lock held that it could need, and thins out what
 * it shows.
 */
#ifndef RF_VFS_PROGRESS_H
#define RF_VFS_PROGRESS_H

#include <stdint.h>

/* One piece of work, on the worker's stack; the same one in all calls for it. */
struct progress {
	const char *pg_what;  /* "opening", "reading through": a verb */
	const char *pg_name;  /* of what: a path, or NULL */
	const char *pg_unit;  /* of the numbers: "bytes", "keys" */
	uint64_t pg_done;     /* so much of it */
	uint64_t pg_total;    /* 0: not known */
	uint64_t pg_began_ns; /* CLOCK_MONOTONIC; 0 before the first call */
	uint64_t pg_shown_ns; /* the sink's */
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
