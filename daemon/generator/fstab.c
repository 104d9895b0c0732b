/*
 * The lines of fstab (generator.h).
 *
 * Ours are of type rumpfuse or fuse.rumpfuse, or of type fuse with a source rumpfuse#CONFIG.
 * Those that are not mounted at boot (noauto) have a unit too, whose order is as good to know.
 * Of the others it matters which come with the network: what the boot waits for before that
 * cannot wait for them.
 */
#include <mntent.h>
#include <string.h>

#include "daemon/generator/generator.h"

static bool
is_remote(struct mntent *me)
{
	static const char *const types[] = {"9p", "afs", "ceph", "cifs", "coda", "davfs",
	    "fuse.ceph", "fuse.cephfs", "fuse.curlftpfs", "fuse.davfs", "fuse.gfs2",
	    "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs", "gfs2",
	    "glusterfs", "lustre", "ncp", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
	    "pvfs2", "smb3", "smbfs", "sshfs", NULL};

	return hasmntopt(me, "_netdev") || g_strv_contains(types, me->mnt_type);
}

/* The configuration that the line mounts, or NULL: it is not ours. */
static const char *
config_of(const struct mntent *me)
{
	static const char prefix[] = "rumpfuse#";

	if (strcmp(me->mnt_type, "rumpfuse") == 0 ||
	    strcmp(me->mnt_type, "fuse.rumpfuse") == 0)
		return me->mnt_fsname;
	if (strcmp(me->mnt_type, "fuse") == 0 && g_str_has_prefix(me->mnt_fsname, prefix))
		return me->mnt_fsname + strlen(prefix);
	return NULL;
}

static void
add_line(struct plan *pn, struct mntent *me)
{
	g_autofree char *at = NULL;
	const char *config = config_of(me);
	struct place *pl;
	char *unit;

	if (me->mnt_dir[0] != '/')
		return;
	at = gen_resolve(me->mnt_dir);
	if (is_remote(me))
		g_hash_table_add(pn->pn_remote, g_strdup(at));
	if (!config || config[0] != '/')
		return;
	unit = gen_mount_unit(at);
	if (!unit)
		return;
	pl = gen_place_new(pn, unit, config);
	pl->pl_mountpoint = g_steal_pointer(&at);
	pl->pl_early = !hasmntopt(me, "_netdev") && !hasmntopt(me, "nofail") &&
	               !hasmntopt(me, "noauto") &&
	               !hasmntopt(me, "x-systemd.automount") &&
	               !hasmntopt(me, "comment=systemd.automount");
}

void
gen_fstab(struct plan *pn, const char *fstab)
{
	char line[16384];
	struct mntent me;
	FILE *fp = setmntent(fstab, "re");

	if (!fp)
		return; /* a system without one */
	while (getmntent_r(fp, &me, line, sizeof(line)))
		add_line(pn, &me);
	endmntent(fp);
}
