/*
 * The log (log.h).
 */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_level = LOG_INFO;
static atomic_bool log_detached; /* set by the thread that answers the first request */

void
log_init(int level)
{
	log_level = level;
}

void
log_to_syslog(void)
{
	openlog("rumpfuse", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_detached = true;
}

/* A line in one write, so that lines of several threads do not mix. */
static void
to_stderr(const char *before, const char *text)
{
	struct iovec iov[] = {
	    {(char *)(uintptr_t)before, strlen(before)},
	    {(char *)(uintptr_t)text, strlen(text)},
	    {(char *)(uintptr_t) "\n", 1},
	};

	if (writev(STDERR_FILENO, iov, 3) < 0)
		return; /* nobody is listening, and there is nobody else to tell */
}

void
log_msg(int prio, const char *fmt, ...)
{
	char text[1900];
	va_list ap;

	if (prio > log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (log_detached)
		syslog(prio, "%s", text);
	else
		to_stderr("rumpfuse: ", text);
}

void
log_text(int prio, const char *text)
{
	if (prio > log_level)
		return;
	if (log_detached)
		syslog(prio, "%s", text);
	else
		to_stderr("", text);
}

void
log_trace(const char *line)
{
	to_stderr("", line);
}
