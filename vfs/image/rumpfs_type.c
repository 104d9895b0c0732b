/*
 * rumpfs as a file system type: the in-memory tree, mounted again anywhere.
 *
 * Options: size=BYTES and inodes=NUMBER (0 or none: no limit), mode=OCTAL of the root.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/types.h"
#include "vfs/rumpfs.h"

/* A number with K, M, G, T.  False: not one. */
static bool
number(const char *text, int base, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char *end;
	const char *u;
	uint64_t v;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, base);
	if (errno)
		return false;
	if (*end && base == 10 && (u = strchr(units, *end))) {
		unsigned shift = 10 * (unsigned)(u - units + 1);

		if (v > UINT64_MAX >> shift)
			return false;
		v <<= shift;
		end++;
	}
	*ret = v;
	return *end == '\0';
}

static int
parse(struct fsmount *m, struct rumpfs_opts *ro)
{
	char *copy = strdup(m->fm_options), *rest = copy, *name, *value;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && fs_option(&rest, &name, &value)) {
		uint64_t v = 0;
		bool ok;

		if (strcmp(name, "size") == 0) {
			ok = number(value, 10, &ro->ro_size);
		} else if (strcmp(name, "inodes") == 0) {
			ok = number(value, 10, &ro->ro_inodes);
		} else if (strcmp(name, "mode") == 0) {
			ok = number(value, 8, &v) && v <= 07777;
			ro->ro_mode = (uint32_t)v;
		} else {
			ok = false;
		}
		if (!ok) {
			snprintf(m->fm_why, sizeof(m->fm_why),
			    "option \"%s\": expected size=BYTES, inodes=NUMBER or mode=OCTAL",
			    name);
			r = -EINVAL;
		}
	}
	free(copy);
	return r;
}

static int
rumpfs_type_mount(struct fsmount *m, struct vnode **ret_root)
{
	struct rumpfs_opts ro = {
	    .ro_mode = 0755, .ro_uid = m->fm_uid, .ro_gid = m->fm_gid};
	int r = parse(m, &ro);

	return r < 0 ? r : rumpfs_new(m->fm_vfs, &ro, ret_root);
}

static int
rumpfs_type_unmount(struct vnode *root)
{
	rumpfs_empty(root);
	return 0;
}

struct fstype rumpfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_NODEV | FT_OPTIONS,
    .ft_name = "rumpfs",
    .ft_title = "a tree in memory",
    .ft_mount = rumpfs_type_mount,
    .ft_unmount = rumpfs_type_unmount,
};
