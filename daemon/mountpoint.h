/*
 * Making a mount point ready.
 *
 * What is mounted there may be dead, or may hang.  So it is asked by a process of its own,
 * for a limited time: a thread that waits for an answer would keep its process from ending.
 */
#ifndef RF_DAEMON_MOUNTPOINT_H
#define RF_DAEMON_MOUNTPOINT_H

/*
 * Is a directory there that answers?  0 or -errno; mnttab_is_dead() knows those of a dead
 * mount; -ETIMEDOUT: no answer within five seconds.  *ret_path is its absolute path, allocated,
 * or NULL if even that is not to be had.  Before there are threads.
 */
int mountpoint_ask(const char *mountpoint, char **ret_path);

/* Logs what has not answered, and what to do.  path: what mountpoint_ask() gave, or NULL. */
void mountpoint_tell_hanging(const char *mountpoint, const char *path);

/*
 * Makes a mount point ready: it must be a directory that answers; a dead mount of ours on it is
 * taken away, which is one of type fuse.rumpfuse or of fstype; a living one of the same source
 * is an error.  *ret_path is its absolute path, allocated.  *ret_lock: a descriptor whose lock
 * keeps others who start at the same time from mounting there too, or -1; to be unlocked when
 * the mount is there.  0, or -1 after an error message.
 */
int mountpoint_prepare(const char *mountpoint, const char *source, const char *fstype,
    char **ret_path, int *ret_lock);

#endif
