/*
 * The log: stderr while a person is watching, syslog(3) once the daemon is detached.  Where
 * stderr is the journal's, lines on it begin with their priority as the journal takes it.
 *
 * Only daemon/ logs; the layers below return errors and trace.  Where lines go and how
 * many of them is the only state of the process that is not in struct session.
 */
#ifndef RF_DAEMON_LOG_H
#define RF_DAEMON_LOG_H

#include <syslog.h>

/* Lines of lower priority than this are dropped (LOG_INFO; LOG_DEBUG with -d). */
void log_init(int level);
/* From here on to the system's log, facility daemon. */
void log_to_syslog(void);
/* From here on stderr is not waited for: somebody uses the mount, and who reads a pipe may
 * have stopped.  What could not be written within a moment is dropped, and how much that was
 * is said as soon as it can be. */
void log_unheard(void);

/* One line, without a newline; on stderr "rumpfuse: " goes before it.  prio: LOG_ERR … */
void log_msg(int prio, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A finished line that says itself where it belongs (FILE:LINE: …): nothing is put before
 * it. */
void log_text(int prio, const char *text);

/* What this thread logs from here on, of any priority that is not dropped, fn gets too, as it
 * would stand on stderr but for "rumpfuse: "; fn NULL: no more.  For who asked for what is
 * being done. */
void log_tee(void (*fn)(void *arg, int prio, const char *text), void *arg);

/* A line on stderr, which is a terminal, that stays below what is logged until it is given
 * anew; NULL: none.  text has no newline and fits the terminal's width. */
void log_bar(const char *text);

/* trace_sink of -d: one line on stderr. */
void log_trace(const char *line);

#endif
