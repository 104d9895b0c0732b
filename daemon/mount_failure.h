/*
 * Why a mount has failed, for the person in front of it.
 */
#ifndef RF_DAEMON_MOUNT_FAILURE_H
#define RF_DAEMON_MOUNT_FAILURE_H

#include <stdbool.h>

/* Logs that it could not be mounted there, and as far as that can be seen, why, and what to
 * do.  What libfuse or fusermount3(1) had to say stands above it. */
void mount_failure(const char *mountpoint, bool allow_other);

#endif
