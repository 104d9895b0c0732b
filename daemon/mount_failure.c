/*
 * Why a mount has failed (mount_failure.h).
 *
 * Nothing here is sure to be the reason; it is what is wrong, and would have to be put right
 * before anything else.
 */
#include "daemon/mount_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/confine.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"

/* Is there something to be said about the device? */
static bool
device(void)
{
	int fd;

	if (access("/dev/fuse", F_OK) < 0) {
		log_msg(LOG_ERR,
		    "/dev/fuse is not there: load the module (modprobe fuse); into a "
		    "container it has to be given (--device /dev/fuse)");
		return true;
	}
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		log_msg(LOG_ERR,
		    "/dev/fuse cannot be opened: %s: the unit, or the container, must be "
		    "allowed to use it (DeviceAllow=/dev/fuse rw), and its mode is 0666",
		    strerror(errno));
		return true;
	}
	close(fd);
	return false;
}

static bool
is_nosuid(const char *path)
{
	struct statvfs sv;

	return statvfs(path, &sv) == 0 && sv.f_flag & ST_NOSUID;
}

/* Somebody who may not mount by himself. */
static bool
fusermount(void)
{
	char path[512];
	struct stat st;

	if (!mnttab_find_fusermount(path, sizeof(path))) {
		log_msg(LOG_ERR,
		    "fusermount3, which mounts for other users than root, is not installed "
		    "(package fuse3)");
		return true;
	}
	if (stat(path, &st) == 0 && (!(st.st_mode & S_ISUID) || st.st_uid != 0)) {
		log_msg(LOG_ERR, "%s is not setuid root: chown root, chmod u+s", path);
		return true;
	}
	if (is_nosuid(path)) {
		log_msg(LOG_ERR, "%s is on a file system that is mounted nosuid", path);
		return true;
	}
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		log_msg(LOG_ERR,
		    "this process cannot gain rights, and so %s is without effect "
		    "(NoNewPrivileges= and what implies it, in the unit)",
		    path);
		return true;
	}
	return false;
}

/* Has /etc/fuse.conf the line? */
static bool
others_allowed(void)
{
	FILE *fp = fopen("/etc/fuse.conf", "re");
	char line[256], word[64];
	bool yes = false;

	while (fp && fgets(line, sizeof(line), fp))
		yes |= sscanf(line, " %63s", word) == 1 &&
		       strcmp(word, "user_allow_other") == 0;
	if (fp)
		fclose(fp);
	return yes;
}

void
mount_failure(const char *mountpoint, bool allow_other)
{
	if (!device() && !confine_can_unmount() && !fusermount() && allow_other &&
	    getuid() != 0 && !others_allowed())
		log_msg(LOG_ERR,
		    "allow_other by other users than root needs the line user_allow_other in "
		    "/etc/fuse.conf");
	log_msg(LOG_ERR, "cannot mount on %s", mountpoint);
}
