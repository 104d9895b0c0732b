/*
 * The log (log.h).
 */
#include "daemon/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_level = LOG_INFO;
static bool log_journal; /* stderr is the journal's */
static _Thread_local struct {
	void (*fn)(void *arg, int prio, const char *text);
	void *arg;
} tee;
static atomic_bool log_detached; /* set by the thread that says that the mount is there */

/* A line waits so long for its reader, if the line before it did not have to. */
#define HEARD_WITHIN_MS 500
static atomic_bool log_waits_little;
static pthread_mutex_t log_mtx = PTHREAD_MUTEX_INITIALIZER;
static unsigned long log_lost; /* log_mtx: lines, since the last that was written */

/* $JOURNAL_STREAM is its device and inode, for who inherits the variable and not the fd. */
static bool
is_journal(int fd)
{
	const char *said = getenv("JOURNAL_STREAM");
	struct stat st;
	char is[64];

	if (!said || fstat(fd, &st) < 0)
		return false;
	snprintf(is, sizeof(is), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(said, is) == 0;
}

void
log_init(int level)
{
	log_level = level;
	log_journal = is_journal(STDERR_FILENO);
}

void
log_tee(void (*fn)(void *arg, int prio, const char *text), void *arg)
{
	tee.fn = fn;
	tee.arg = arg;
}

void
log_to_syslog(void)
{
	openlog("rumpfuse", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_detached = true;
}

void
log_unheard(void)
{
	log_waits_little = true;
}

#define WIPE "\r\033[K"

static char bar[1024]; /* log_mtx: what is at the bottom of the terminal, or nothing */

void
log_bar(const char *text)
{
	struct iovec iov[] = {
	    {(char *)(uintptr_t)WIPE, strlen(WIPE)},
	    {bar, 0},
	};

	pthread_mutex_lock(&log_mtx);
	snprintf(bar, sizeof(bar), "%s", text ? text : "");
	iov[1].iov_len = strlen(bar);
	if (writev(STDERR_FILENO, iov, 2) < 0)
		bar[0] = '\0';
	pthread_mutex_unlock(&log_mtx);
}

/* Can a line be written to stderr without being held?  One page is free in a pipe then. */
static bool
can_write(void)
{
	struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};

	return !log_waits_little ||
	       poll(&pfd, 1, log_lost > 0 ? 0 : HEARD_WITHIN_MS) == 1;
}

/* A line in one write, one at a time, so that lines of several threads do not mix and what
 * poll(2) says holds.  Where it fails nobody is listening, and there is nobody else to tell.
 * log_mtx is held. */
static void
write_line(const struct iovec *iov, int n)
{
	char text[80];
	int len;

	if (!can_write()) {
		log_lost++;
		return;
	}
	if (log_lost > 0) {
		len = snprintf(text, sizeof(text),
		    "rumpfuse: %lu lines were lost: nobody read them\n", log_lost);
		log_lost = 0;
		(void)!write(STDERR_FILENO, text, (size_t)len);
		if (!can_write())
			return;
	}
	(void)!writev(STDERR_FILENO, iov, n);
}

static void
to_stderr(int prio, const char *before, const char *text)
{
	char level[8] = "";
	struct iovec iov[] = {
	    {(char *)(uintptr_t)WIPE, 0},
	    {level, 0},
	    {(char *)(uintptr_t)before, strlen(before)},
	    {(char *)(uintptr_t)text, strlen(text)},
	    {(char *)(uintptr_t) "\n", 1},
	    {bar, 0},
	};

	if (log_journal) {
		/* The journal knows whose line it is. */
		iov[1].iov_len = (size_t)snprintf(level, sizeof(level), "<%d>", prio);
		iov[2].iov_len = 0;
	}
	pthread_mutex_lock(&log_mtx);
	if (bar[0]) {
		iov[0].iov_len = strlen(WIPE);
		iov[5].iov_len = strlen(bar);
	}
	write_line(iov, 6);
	pthread_mutex_unlock(&log_mtx);
}

static void
put_line(int prio, const char *before, const char *text)
{
	if (log_detached)
		syslog(prio, "%s", text);
	else
		to_stderr(prio, before, text);
	if (tee.fn)
		tee.fn(tee.arg, prio, text);
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
	put_line(prio, "rumpfuse: ", text);
}

void
log_text(int prio, const char *text)
{
	if (prio <= log_level)
		put_line(prio, "", text);
}

void
log_trace(const char *line)
{
	to_stderr(LOG_DEBUG, "", line);
}
