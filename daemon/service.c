/*
 * What a service manager is told (service.h).
 */
#include "daemon/service.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

/* What gets any further within as long is not held to the unit's time limits. */
#define EXTEND_USEC 30000000

static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static char said[512];               /* m: the last STATUS= that is no progress */
static atomic_bool in_motion = true; /* starting, reloading or stopping */

bool
service_managed(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
service_status(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!service_managed())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&mtx);
	memcpy(said, text, sizeof(said));
	sd_notifyf(0, "STATUS=%s", said);
	pthread_mutex_unlock(&mtx);
}

void
service_progress(const char *text)
{
	if (!service_managed())
		return;
	pthread_mutex_lock(&mtx);
	/* Of a service that runs, this would move RuntimeMaxSec=. */
	if (text && in_motion)
		sd_notifyf(0, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%d", text, EXTEND_USEC);
	else
		sd_notifyf(0, "STATUS=%s", text ? text : said);
	pthread_mutex_unlock(&mtx);
}

void
service_extend(unsigned seconds)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u000000", seconds);
}

void
service_running(void)
{
	in_motion = false;
}

void
service_ready(void)
{
	in_motion = false;
	sd_notify(0, "READY=1");
}

void
service_ready_as(pid_t pid)
{
	sd_notifyf(0, "MAINPID=%d\nREADY=1", pid);
}

void
service_reloading(void)
{
	struct timespec ts;

	in_motion = true;
	/* The time is for Type=notify-reload, which newer systems have. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void
service_stopping(void)
{
	in_motion = true;
	sd_notify(0, "STOPPING=1");
}
