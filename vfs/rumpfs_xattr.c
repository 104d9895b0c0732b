/*
 * Extended attributes of in-memory nodes: a short list per node.
 *
 * Who may touch which namespace is the kernel's business.  ACLs (system.*) are not kept.
 * Names and values count against the mount's size.
 */
#include "vfs/rumpfs_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

/* As in linux/limits.h, which the kernel has checked for its own callers. */
#define VALUE_MAX 65536u
#define NAME_MAX_ 255u

static bool
known_namespace(const char *name)
{
	static const char *const prefixes[] = {"user.", "security.", "trusted."};

	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return name[strlen(prefixes[i])] != '\0';
	return false;
}

static struct rxattr **
find(struct rumpfs_node *rn, const char *name)
{
	struct rxattr **x = &rn->rn_xattrs;

	while (*x && strcmp((*x)->rx_name, name) != 0)
		x = &(*x)->rx_next;
	return x;
}

static uint64_t
cost(const struct rxattr *x)
{
	return sizeof(*x) + strlen(x->rx_name) + 1 + x->rx_len;
}

static struct rxattr *
xattr_new(const char *name, const void *value, size_t len)
{
	size_t nlen = strlen(name) + 1;
	struct rxattr *x = malloc(sizeof(*x) + nlen + len);

	if (!x)
		return NULL;
	memcpy(x->rx_name, name, nlen);
	x->rx_value = x->rx_name + nlen;
	x->rx_len = len;
	if (len)
		memcpy(x->rx_value, value, len);
	return x;
}

int
rumpfs_getxattr(
    struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	const struct rxattr *x;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	x = *find(rumpfs_node_of(vp), name);
	if (!x)
		return -ENODATA;
	if (size && size < x->rx_len)
		return -ERANGE;
	if (size && x->rx_len)
		memcpy(buf, x->rx_value, x->rx_len);
	*ret_len = x->rx_len;
	return 0;
}

int
rumpfs_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rumpfs_mount *rm = rumpfs_mount_of(vp);
	struct rxattr **at, *old, *x;

	(void)cr;
	if (!known_namespace(name))
		return -EOPNOTSUPP;
	if (strlen(name) > NAME_MAX_)
		return -ERANGE;
	if (size > VALUE_MAX)
		return -E2BIG;
	at = find(rn, name);
	old = *at;
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	x = xattr_new(name, value, size);
	if (!x)
		return -ENOMEM;
	if (!rumpfs_reserve(rm, cost(x))) {
		free(x);
		return -ENOSPC;
	}
	x->rx_next = old ? old->rx_next : NULL;
	*at = x;
	if (old) {
		rumpfs_unreserve(rm, cost(old));
		free(old);
	}
	rn->rn_ctime_ns = rumpfs_now_ns();
	return 0;
}

int
rumpfs_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	size_t need = 0;

	for (const struct rxattr *x = rumpfs_node_of(vp)->rn_xattrs; x; x = x->rx_next) {
		size_t n = strlen(x->rx_name) + 1;

		if (size && need + n > size)
			return -ERANGE;
		if (size)
			memcpy(buf + need, x->rx_name, n);
		need += n;
	}
	*ret_len = need;
	return 0;
}

int
rumpfs_removexattr(struct vnode *vp, const char *name, const struct cred *cr)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rxattr **at, *x;

	(void)cr;
	if (!known_namespace(name))
		return -EOPNOTSUPP;
	at = find(rn, name);
	x = *at;
	if (!x)
		return -ENODATA;
	*at = x->rx_next;
	rumpfs_unreserve(rumpfs_mount_of(vp), cost(x));
	free(x);
	rn->rn_ctime_ns = rumpfs_now_ns();
	return 0;
}

void
rumpfs_xattrs_free(struct rumpfs_mount *rm, struct rumpfs_node *rn)
{
	struct rxattr *x;

	while ((x = rn->rn_xattrs)) {
		rn->rn_xattrs = x->rx_next;
		rumpfs_unreserve(rm, cost(x));
		free(x);
	}
}
