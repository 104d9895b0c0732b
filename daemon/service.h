/*
 * What a service manager is told (sd_notify(3)); without one, nothing happens.
 *
 * From any thread.  The socket is the one that $NOTIFY_SOCKET named at the start.
 */
#ifndef RF_DAEMON_SERVICE_H
#define RF_DAEMON_SERVICE_H

#include <stdbool.h>
#include <sys/types.h>

/* Is there one that waits to be told? */
bool service_managed(void);
/* A line for people: STATUS=. */
void service_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for as long as something takes (progress.h); while the service starts, reloads or
 * stops, with more time for that.  NULL: back to what service_status() has said last. */
void service_progress(const char *text);
/* The start takes so many seconds more from now, if it would be over by then. */
void service_extend(unsigned seconds);
/* It has been started, whoever says so: progress is given no more time from here on. */
void service_running(void);
/* The mount has answered a lookup. */
void service_ready(void);
/* The same, said by a parent that ends: this process stays. */
void service_ready_as(pid_t pid);
/* A reload begins; service_ready() ends it, however it went. */
void service_reloading(void);
void service_stopping(void);

#endif
