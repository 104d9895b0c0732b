/*
 * Remounting (remount.h).
 *
 * Flags that are not named stay.  Towards read-only the kernel goes first, because it knows
 * who writes; towards read-write the daemon does, because it knows what it may.
 */
#include "daemon/remount.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "conf/conf.h"
#include "daemon/apply.h"
#include "daemon/control_client.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"
#include "daemon/options.h"

/* Is it ours, and what was named?  -1 after an error message. */
static int
check_mount(const struct options *o, const char *path, const struct mnttab_entry *e)
{
	const char *subtype = o->o_subtype ? o->o_subtype : "rumpfuse";
	const char *source = o->o_fsname ? o->o_fsname : o->o_source;

	if (strncmp(e->me_fstype, "fuse.", 5) != 0 ||
	    strcmp(e->me_fstype + 5, subtype) != 0) {
		log_msg(LOG_ERR,
		    "%s: what is mounted there is of type %s, not rumpfuse's", path,
		    e->me_fstype);
		return -1;
	}
	if (strcmp(e->me_source, source) != 0 &&
	    !(o->o_config && strcmp(e->me_source, o->o_config) == 0)) {
		log_msg(LOG_ERR,
		    "%s: %s is mounted there, not %s: unmount it, and mount the other",
		    path, e->me_source, source);
		return -1;
	}
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

static int
change(const struct options *o, const char *path, const struct mnttab_entry *e)
{
	unsigned long flags = (e->me_flags & ~o->o_clear) | o->o_set;
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

int
remount_run(const struct options *o)
{
	struct mnttab_entry e;
	char *path;
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
	path = mnttab_absolute(o->o_mountpoint);
	r = path ? mnttab_at(path, &e) : -errno;
	if (r < 0) {
		log_msg(LOG_ERR, "%s: %s", o->o_mountpoint,
		    r == -ENOENT ? "nothing is mounted there" : strerror(-r));
		free(path);
		return EXIT_MOUNT;
	}
	r = check_mount(o, path, &e);
	if (r == 0)
		r = change(o, path, &e);
	mnttab_entry_done(&e);
	free(path);
	return r == 0 ? EXIT_OK : EXIT_MOUNT;
}
