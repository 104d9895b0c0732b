/*
 * A question to the daemon of a mount, over its control socket (control.h).
 *
 * For what mount(8) has the program do with a mount that is there; rumpfusectl(8) has its
 * own.  One request, one answer, bounded in time.
 */
#ifndef RF_DAEMON_CONTROL_CLIENT_H
#define RF_DAEMON_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Asks the daemon of the FUSE file system dev, whose owner is user, to take on an access ("ro",
 * "rw").  0; -ENOENT: it has no socket; -ENOSYS: it knows no such request; -ETIMEDOUT, or
 * another -errno: the socket.  -EREMOTEIO: it refuses, and has said why in *ret_text
 * (allocated, or NULL), which is untouched otherwise.
 */
int control_client_remount(uint64_t dev, uid_t user, const char *access, char **ret_text);

/* With how many threads it serves, at most, and whether each has a descriptor of its own.  0 or
 * -errno; -ENOENT: it does not say. */
int control_client_threads(
    uint64_t dev, uid_t user, unsigned *ret_threads, bool *ret_clone_fd);

/* Its process, or 0: not to be known. */
pid_t control_client_pid(uint64_t dev, uid_t user);

#endif
