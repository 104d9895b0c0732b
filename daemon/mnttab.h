/*
 * The mount point: what is mounted there, making it ready, and unmounting it.
 *
 * /proc/self/mountinfo is asked, never the mount itself: whoever serves the mount cannot
 * wait for its own answer.
 */
#ifndef RF_DAEMON_MNTTAB_H
#define RF_DAEMON_MNTTAB_H

#include <stdbool.h>
#include <stdint.h>

struct mnttab_entry {
	uint64_t me_dev; /* as st_dev */
	char *me_fstype; /* allocated */
	char *me_source; /* allocated */
};
void mnttab_entry_done(struct mnttab_entry *e);

/* What is mounted on top at this absolute path.  0, -ENOENT (nothing), or -errno. */
int mnttab_at(const char *path, struct mnttab_entry *ret);

/* Is the file system dev on top at path? */
bool mnttab_is(const char *path, uint64_t dev);

/*
 * Makes a mount point ready: it must be a directory; a dead mount of ours on it is taken
 * away; a living one of the same source is an error.  *ret_path is its absolute path,
 * allocated.  0, or -1 after an error message.
 */
int mnttab_prepare(const char *mountpoint, const char *source, char **ret_path);

/* Unmounts what is on top at path; by way of fusermount3 where we may not ourselves.
 * force: even if it is in use; requests that wait for an answer fail.  0 or -errno
 * (-EBUSY). */
int mnttab_unmount(const char *path, bool force);

/*
 * fusermount3 is setuid, and a confined process gains no rights from one (confine.h).  So
 * a daemon that needs it forks off a process, early, while there is little to be copied
 * and nothing open, which waits for the word and runs it.  It ends with the daemon.  From
 * then on mnttab_unmount() of this path goes by way of it.  0 or -errno.
 */
int mnttab_helper_start(const char *path);
void mnttab_helper_stop(void);

/* Cuts the connection between the kernel and the server of the FUSE file system dev,
 * where the kernel's control file system is there to do it. */
void mnttab_abort(uint64_t dev);

#endif
