/*
 * Showing what takes long (vfs/progress.h).
 *
 * Nothing is shown of what takes less than a second.  Then, for as long as it goes on: on a
 * terminal a line that is drawn anew ten times a second and taken away at the end; elsewhere
 * a line of the log every five seconds, and one at the end with the time that it took; for a
 * service manager besides a STATUS= every second, and more time for the start.
 *
 * Several things may take long at once: one is shown, that which began last.  No thread is
 * made and no time is waited for, so what does not get any further is not told of.
 *
 * For tests: $RF_PROGRESS_AFTER_MS is the second, $RF_PROGRESS_LINE_MS the five.
 *
 * Locking: one mutex, for the terminal's sake never waited for but at the end of what has
 * been shown.  Below it are the log and the service manager's socket.
 */
#ifndef RF_DAEMON_PROGRESS_H
#define RF_DAEMON_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs/progress.h"

struct progress_how {
	bool ph_bar;          /* on a terminal */
	uint64_t ph_after_ns; /* less is not shown */
	uint64_t ph_line_ns;  /* between lines of the log */
};

/* Begins to watch; before there are threads, by the process that the person waits for.
 * lines: no bar, whatever stderr is. */
void progress_start(bool lines);
/* What this thread does from here on fn gets too, every second of what takes longer than one;
 * fn NULL: no more.  For who asked for what is being done. */
void progress_tee(void (*fn)(void *arg, const struct progress *pg), void *arg);
/* From here on nobody reads stderr. */
void progress_detach(void);
/* The process that had the terminal has died: its bar is taken away. */
void progress_wipe(void);

/* The parts, for who tests them. */

void progress_set(const struct progress_how *how);
/* The sink, at that time. */
void progress_tell_at(struct progress *pg, int end, uint64_t now_ns);
/* "opening /lab/big.tar.gz: 3.1 of 9.0 GiB, 34 %, 80 MiB/s, 1:15 left" */
void progress_text(char *buf, size_t len, const struct progress *pg, uint64_t now_ns);
/* The same with a bar, in at most width columns. */
void progress_bar(
    char *buf, size_t len, const struct progress *pg, uint64_t now_ns, unsigned width);

#endif
