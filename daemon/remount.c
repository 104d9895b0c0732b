/*
 * Remounting (remount.h).
 *
 * Flags that are not named stay.  Towards read-only the kernel goes first, because it knows
 * who writes; towards read-write the daemon does, because it knows what it may.
 */
#include "daemon/remount.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "conf/conf.h"
#include "daemon/apply.h"
#include "daemon/control_client.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"
#include "daemon/mountpoint.h"
#include "daemon/options.h"

/* -1 after an error message. */
static int
refuse_change(const char *path, const char *word, const char *value, const char *is)
{
	log_msg(LOG_ERR,
	    "%s: %s%s cannot be changed by a remount%s%s: unmount it, and mount it anew",
	    path, word, value, *is ? ", and is " : "", is);
	return -1;
}

/* Is it ours, and what was named?  -1 after an error message. */
static int
check_mount(const struct options *o, const char *path, const struct mnttab_entry *e)
{
	if (strncmp(e->me_fstype, "fuse.", 5) != 0 ||
	    (!o->o_subtype && strcmp(e->me_fstype, "fuse.rumpfuse") != 0)) {
		log_msg(LOG_ERR,
		    "%s: what is mounted there is of type %s, not rumpfuse's", path,
		    e->me_fstype);
		return -1;
	}
	if (o->o_subtype && strcmp(e->me_fstype + 5, o->o_subtype) != 0)
		return refuse_change(path, "subtype=", o->o_subtype, e->me_fstype + 5);
	if (o->o_config ? strcmp(e->me_source, o->o_config) == 0
			: strcmp(e->me_source, o->o_source) == 0)
		return o->o_fsname && strcmp(e->me_source, o->o_fsname) != 0
		           ? refuse_change(path, "fsname=", o->o_fsname, e->me_source)
		           : 0;
	if (strcmp(e->me_source, options_source(o)) != 0) {
		log_msg(LOG_ERR,
		    "%s: %s is mounted there, not %s: unmount it, and mount the other",
		    path, e->me_source, options_source(o));
		return -1;
	}
	return 0;
}

/* Options that are there for as long as the mount is.  A line of fstab comes with all of its
 * own, and they may stand: those that differ are refused.  -1 after an error message. */
static int
check_fixed(const struct options *o, const char *path, const struct mnttab_entry *e)
{
	unsigned threads = 0;
	bool clone_fd = false;
	char is[32];
	int r;

	if (o->o_nkeys > 0)
		return refuse_change(path, "-k", "", "");
	if (o->o_allow_other && !e->me_allow_other)
		return refuse_change(path, "allow_other", "", "");
	if (!o->o_max_threads && !o->o_clone_fd)
		return 0;
	r = control_client_threads(e->me_dev, (uid_t)e->me_user, &threads, &clone_fd);
	if (r < 0) {
		log_msg(LOG_NOTICE,
		    "%s: the daemon does not say how it serves: max_threads and clone_fd stay "
		    "as they are",
		    path);
		return 0;
	}
	snprintf(is, sizeof(is), "%u", threads);
	if (o->o_max_threads && o->o_max_threads != threads)
		return refuse_change(path, "max_threads", "", is);
	if (o->o_clone_fd && !clone_fd)
		return refuse_change(path, "clone_fd", "", "");
	return 0;
}

static int
set_flags(const char *path, unsigned long flags)
{
	if (mount(NULL, path, NULL, MS_REMOUNT | flags, NULL) == 0)
		return 0;
	if (errno == EBUSY)
		log_msg(LOG_ERR,
		    "%s: cannot become read-only: files are open for writing", path);
	else if (errno == EPERM)
		log_msg(LOG_ERR, "%s: only root can remount", path);
	else
		log_msg(LOG_ERR, "%s: remount: %s", path, strerror(errno));
	return -1;
}

/* Without the daemon's word there is that of the configuration.  -1 after an error
 * message. */
static int
check_config(const struct options *o, const char *path)
{
	struct conf *c = apply_load(o, o->o_config ? o->o_source : NULL, NULL);
	bool rdonly = c && c->c_rdonly;

	if (!c)
		return -1;
	conf_free(c);
	if (!rdonly)
		return 0;
	log_msg(LOG_ERR, "%s: cannot become writable: %s says access = ro", path,
	    o->o_source);
	return -1;
}

/* -1 after an error message. */
static int
tell_daemon(
    const struct options *o, const char *path, const struct mnttab_entry *e, bool rdonly)
{
	char *text = NULL;
	int r = control_client_remount(
	    e->me_dev, (uid_t)e->me_user, rdonly ? "ro" : "rw", &text);

	switch (r) {
	case 0:
		break;
	case -EREMOTEIO:
		log_msg(LOG_ERR, "%s: cannot become %s: %s", path,
		    rdonly ? "read-only" : "writable", text ? text : "refused");
		free(text);
		return -1;
	case -ENOENT:
	case -ENOSYS:
		if (!rdonly && check_config(o, path) < 0)
			return -1;
		log_msg(LOG_NOTICE,
		    "%s: the kernel alone is told, for the daemon has no control socket%s",
		    path,
		    rdonly ? ""
			   : "; if it was started read-only, it stays so until it is "
			     "mounted again");
		break;
	default:
		log_msg(
		    LOG_ERR, "%s: the daemon does not answer: %s", path, strerror(-r));
		return -1;
	}
	return 0;
}

unsigned long
remount_flags(const struct options *o, const struct mnttab_entry *e)
{
	const unsigned long atime = MS_NOATIME | MS_RELATIME | MS_STRICTATIME;
	unsigned long flags = e->me_flags;

	/* That is what neither of the others is called. */
	if (!(flags & atime))
		flags |= MS_STRICTATIME;
	flags = (flags & ~o->o_clear) | o->o_set;
	/* Without one of them the kernel would leave the old one. */
	return flags & atime ? flags : flags | MS_RELATIME;
}

static int
change(const struct options *o, const char *path, const struct mnttab_entry *e)
{
	unsigned long flags = remount_flags(o, e);
	bool was = e->me_flags & MS_RDONLY, is = flags & MS_RDONLY;

	if (was && !is && tell_daemon(o, path, e, false) < 0)
		return -1;
	if (set_flags(path, flags) < 0)
		return -1;
	if (was || !is || tell_daemon(o, path, e, true) == 0)
		return 0;
	(void)set_flags(path, flags & ~MS_RDONLY);
	return -1;
}

/* What is mounted there, and lives.  -1 after an error message. */
static int
find(const char *mountpoint, char **ret_path, struct mnttab_entry *ret)
{
	int answer = mountpoint_ask(mountpoint, ret_path);
	int r = *ret_path ? mnttab_at(*ret_path, ret) : answer;

	if (answer == -ETIMEDOUT) {
		mountpoint_tell_hanging(mountpoint, *ret_path);
	} else if (r < 0) {
		log_msg(LOG_ERR, "%s: %s", mountpoint,
		    r == -ENOENT && *ret_path ? "nothing is mounted there"
					      : strerror(-r));
		return -1;
	} else if (mnttab_is_dead(-answer)) {
		log_msg(LOG_ERR,
		    "%s: the mount there is dead, its process has gone: mount it again, which "
		    "replaces it, or umount -l %s",
		    *ret_path, *ret_path);
	} else {
		return 0;
	}
	if (r == 0)
		mnttab_entry_done(ret);
	return -1;
}

int
remount_run(const struct options *o, bool pretend)
{
	struct mnttab_entry e;
	char *path = NULL;
	int r;

	if (!o->o_mountpoint) {
		log_msg(LOG_ERR, "-o remount needs a mount point");
		return EXIT_USAGE;
	}
	if (mnttab_given_fd(o->o_mountpoint) >= 0) {
		log_msg(LOG_ERR,
		    "mount.fuse3 with drop_privileges mounts anew instead of remounting: umount "
		    "what lies on top now, and remount without that option");
		return EXIT_MOUNT;
	}
	if (find(o->o_mountpoint, &path, &e) < 0) {
		free(path);
		return EXIT_MOUNT;
	}
	r = check_mount(o, path, &e);
	if (r == 0)
		r = check_fixed(o, path, &e);
	if (r == 0 && !pretend)
		r = change(o, path, &e);
	mnttab_entry_done(&e);
	free(path);
	return r == 0 ? EXIT_OK : EXIT_MOUNT;
}
