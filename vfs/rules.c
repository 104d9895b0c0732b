/*
 * Rules of Linux's vfs (rules.h).
 */
#include "vfs/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/acl.h"

#define FROZEN (FS_IMMUTABLE_FL | FS_APPEND_FL)

int
rule_may_add(uint32_t dir)
{
	return dir & FS_IMMUTABLE_FL ? -EPERM : 0;
}

int
rule_may_take(uint32_t dir, uint32_t flags)
{
	return (dir | flags) & FROZEN ? -EPERM : 0;
}

int
rule_may_change(uint32_t flags)
{
	return flags & FROZEN ? -EPERM : 0;
}

int
rule_may_open(uint32_t flags, int how)
{
	bool writes = (how & O_ACCMODE) != O_RDONLY;

	if ((flags & FS_IMMUTABLE_FL) && (writes || (how & O_TRUNC)))
		return -EPERM;
	if ((flags & FS_APPEND_FL) && ((writes && !(how & O_APPEND)) || (how & O_TRUNC)))
		return -EPERM;
	return 0;
}

int
rule_may_fallocate(uint32_t flags, int mode)
{
	if (flags & FS_IMMUTABLE_FL)
		return -EPERM;
	return (flags & FS_APPEND_FL) && (mode & ~FALLOC_FL_KEEP_SIZE) ? -EPERM : 0;
}

bool
rule_may_setgid(uint32_t gid, const struct cred *cr)
{
	return !cr || cr->cr_uid == 0 || cr->cr_gid == gid ||
	       (cr->cr_member && cr->cr_member(cr, gid));
}

uint32_t
rule_setid_lost(uint32_t mode, uint32_t uid, uint32_t gid, const struct vattr_set *vs,
    const struct cred *cr)
{
	bool alone = (mode & (S_ISGID | S_IXGRP)) == S_ISGID;
	unsigned what = vs->vs_valid & ~(unsigned)VS_KILL_SETID;
	bool owner = cr && (cr->cr_uid == 0 || cr->cr_uid == uid);
	uint32_t lost = 0;

	if (S_ISDIR(mode))
		return 0;
	/* A chown to nobody by who may. */
	if ((vs->vs_valid & VS_KILL_SETID) || (vs->vs_valid == 0 && owner))
		lost = rule_setid_of(mode);
	if (alone && (what == 0 || (what & (VS_SIZE | VS_UID | VS_GID))) &&
	    !rule_may_setgid(gid, cr))
		lost |= S_ISGID;
	return lost;
}

uint32_t
rule_setid_written(uint32_t mode, uint32_t uid, uint32_t gid, struct uio *u)
{
	const struct vattr_set kill = {.vs_valid = VS_KILL_SETID};
	uint32_t lost = 0;

	if (u->uio_killer && (mode & (S_ISUID | S_ISGID)))
		lost = rule_setid_lost(mode, uid, gid, &kill, u->uio_killer);
	u->uio_killed = lost != 0;
	return lost;
}

/* The flags by their two names. */
static const struct {
	uint32_t fl, xf;
} both[] = {
    {FS_SYNC_FL, FS_XFLAG_SYNC},
    {FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {FS_APPEND_FL, FS_XFLAG_APPEND},
    {FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {FS_NOATIME_FL, FS_XFLAG_NOATIME},
};

static uint32_t
xflags(uint32_t flags)
{
	uint32_t x = 0;

	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		if (flags & both[i].fl)
			x |= both[i].xf;
	return x;
}

int
rule_flags_wanted(
    uint32_t old, const void *in, size_t in_len, bool x, uint32_t *ret_flags)
{
	struct fsxattr fx;
	uint32_t flags = old;

	if (in_len < (x ? sizeof(fx) : sizeof(flags)))
		return -EINVAL;
	if (!x) {
		memcpy(ret_flags, in, sizeof(*ret_flags));
		return 0;
	}
	memcpy(&fx, in, sizeof(fx));
	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
		flags &= ~both[i].fl;
		if (fx.fsx_xflags & both[i].xf)
			flags |= both[i].fl;
	}
	if (fx.fsx_xflags != xflags(flags) || fx.fsx_extsize || fx.fsx_cowextsize ||
	    fx.fsx_projid)
		return -EOPNOTSUPP;
	*ret_flags = flags;
	return 0;
}

int
rule_flags_told(uint32_t flags, bool x, void *out, size_t out_len)
{
	struct fsxattr fx = {.fsx_xflags = xflags(flags)};
	size_t len = x ? sizeof(fx) : sizeof(flags);

	if (out_len < len)
		return -EINVAL;
	memcpy(out, x ? (const void *)&fx : &flags, len);
	return 0;
}

int
rule_xattr_name(const char *name)
{
	static const char *const prefixes[] = {"user.", "security.", "trusted."};

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return name[strlen(prefixes[i])] ? 0 : -EINVAL;
	return acl_is_name(name) ? 0 : -EOPNOTSUPP;
}
