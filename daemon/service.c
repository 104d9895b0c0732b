/*
 * What a service manager is told (service.h).
 */
#include "daemon/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

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
	sd_notifyf(0, "STATUS=%s", text);
}

void
service_extend(unsigned seconds)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u000000", seconds);
}

void
service_ready(void)
{
	sd_notify(0, "READY=1");
}

void
service_reloading(void)
{
	struct timespec ts;

	/* The time is for Type=notify-reload, which newer systems have. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void
service_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
