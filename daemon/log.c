/*
 * The log (log.h).
 */
#include "daemon/log.h"

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
static atomic_bool log_detached; /* set by the thread that answers the first request */

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

#define WIPE "\r\033[K"

static pthread_mutex_t stderr_mtx = PTHREAD_MUTEX_INITIALIZER;
static char bar[1024]; /* m: what is at the bottom of the terminal, or nothing */

void
log_bar(const char *text)
{
	struct iovec iov[] = {
	    {(char *)(uintptr_t)WIPE, strlen(WIPE)},
	    {bar, 0},
	};

	pthread_mutex_lock(&stderr_mtx);
	snprintf(bar, sizeof(bar), "%s", text ? text : "");
	iov[1].iov_len = strlen(bar);
	if (writev(STDERR_FILENO, iov, 2) < 0)
		bar[0] = '\0';
	pthread_mutex_unlock(&stderr_mtx);
}

/* A line in one write, so that lines of several threads do not mix. */
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
	pthread_mutex_lock(&stderr_mtx);
	if (bar[0]) {
		iov[0].iov_len = strlen(WIPE);
		iov[5].iov_len = strlen(bar);
	}
	/* Where that fails nobody is listening, and there is nobody else to tell. */
	ssize_t n = writev(STDERR_FILENO, iov, 6);
	(void)n;
	pthread_mutex_unlock(&stderr_mtx);
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
