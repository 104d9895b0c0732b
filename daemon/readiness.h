/*
 * Readiness: who started us is told that the mount is there when it has answered, not before.
 *
 * Asking is done by a thread that serves nothing, because an answer may have to come from a
 * host that does not give one; and it is waited for by another, so that there is a message
 * when it takes long.
 */
#ifndef RF_DAEMON_READINESS_H
#define RF_DAEMON_READINESS_H

#include <pthread.h>
#include <stdbool.h>

struct session;

struct readiness {
	pthread_t rd_thread;
	bool rd_started;
};

/* Starts asking, and returns.  Once, by whoever hears the kernel's first word. */
void readiness_start(struct session *s);
/* Waits for the thread, shortly: the mount has been taken away, so that who asks it has an
 * answer.  False: it has not ended, and goes on using the session. */
bool readiness_stop(struct session *s);

#endif
