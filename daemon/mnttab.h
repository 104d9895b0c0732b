/*
 * The mount point: what is mounted there, and unmounting it.
 *
 * /proc/self/mountinfo is asked, and not the mount itself: whoever serves the mount cannot
 * wait for its own answer.
 */
#ifndef RF_DAEMON_MNTTAB_H
#define RF_DAEMON_MNTTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mnttab_entry {
	uint64_t me_dev; /* as st_dev */
	char *me_fstype; /* allocated */
	char *me_source; /* allocated */
	unsigned long
	    me_flags;     /* MS_RDONLY and others, of the mount or its file system */
	unsigned me_user; /* whose FUSE mount it is (user_id=) */
	bool me_allow_other;
};
void mnttab_entry_done(struct mnttab_entry *e);

/* What is mounted on top at this absolute path.  0, -ENOENT (nothing), or -errno. */
int mnttab_at(const char *path, struct mnttab_entry *ret);

/*
 * The mount of a FUSE device that was opened and mounted by somebody else, who gives us the
 * descriptor (/dev/fd/N in place of a mount point, as mount.fuse3(8) does after it has
 * dropped privileges).  *ret_path is allocated.  0; -ENOENT: not there, or not to be told
 * apart (before Linux 6.17 the kernel does not say); -errno.
 */
int mnttab_of_device(
    int fd, const char *fstype, char **ret_path, struct mnttab_entry *ret);
/* The N of /dev/fd/N; -1: mountpoint is none. */
int mnttab_given_fd(const char *mountpoint);

/* Is the file system dev on top at path? */
bool mnttab_is(const char *path, uint64_t dev);

/* Is this errno that of a mount whose server is gone?  What was asked at the moment of its end
 * has another than what is asked later. */
bool mnttab_is_dead(int err);
/* Is that what is mounted there?  It is asked. */
bool mnttab_dead_at(const char *path);

/* The absolute path of a mount point, allocated, or NULL and errno.  The mount there, which
 * may be dead, is not asked. */
char *mnttab_absolute(const char *mountpoint);

/* Unmounts what is on top at path; by way of fusermount3 where we may not ourselves.
 * force: even if it is in use; requests that wait for an answer fail.  0 or -errno
 * (-EBUSY). */
int mnttab_unmount(const char *path, bool force);

/* Where fusermount3(1) is; false: nowhere. */
bool mnttab_find_fusermount(char *path, size_t cap);

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

/* For a thread that is about to ask our own mount: leaves it the first three descriptors, in a
 * table of its own.  If the process is killed meanwhile, the connection ends when its
 * descriptors are closed, and the question with it; with them shared it would keep the
 * connection open for ever. */
void mnttab_ask_alone(void);

#endif
