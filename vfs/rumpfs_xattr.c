/*
 * Extended attributes of in-memory nodes: a short list per node.
 *
 * Who may touch which namespace is the kernel's business.  ACLs are kept among them; what
 * they say of the mode is taken from them as they are set, and the kernel, which enforces
 * them, reads the rest.  Names and values count against the mount's size.
 */
#include "vfs/rumpfs_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "vfs/acl.h"
#include "vfs/rules.h"

/* As in linux/limits.h, which the kernel has checked for its own callers. */
#define VALUE_MAX 65536u
#define NAME_MAX_ 255u

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
	int r = rule_xattr_name(name);

	if (r < 0)
		return r;
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

/* Puts x in the place of what is at *at, or at the end. */
static int
put(struct rumpfs_mount *rm, struct rxattr **at, struct rxattr *x)
{
	struct rxattr *old = *at;

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
	return 0;
}

static void
drop(struct rumpfs_mount *rm, struct rxattr **at)
{
	struct rxattr *x = *at;

	if (!x)
		return;
	*at = x->rx_next;
	rumpfs_unreserve(rm, cost(x));
	free(x);
}

static int
set_acl(struct vnode *vp, const char *name, const void *value, size_t size,
    const struct cred *cr)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rumpfs_mount *rm = rumpfs_mount_of(vp);
	bool access = strcmp(name, ACL_ACCESS) == 0, empty;
	uint32_t mode = rn->rn_mode;
	int r = acl_check(value, size, &empty);

	if (r < 0)
		return r;
	if (vp->v_type == VLNK)
		return -EOPNOTSUPP;
	if (!access && vp->v_type != VDIR)
		return empty ? 0 : -EACCES;
	if (!empty && (!access || acl_to_mode(value, size, &mode)))
		r = put(rm, find(rn, name), xattr_new(name, value, size));
	else
		drop(rm, find(rn, name));
	if (r < 0)
		return r;
	/* As with chmod: who is not of the group cannot make the file run as it. */
	if (access && !rumpfs_may_setgid(rn, cr))
		mode &= ~(uint32_t)S_ISGID;
	rn->rn_mode = mode;
	rn->rn_ctime_ns = rumpfs_now_ns();
	return 0;
}

int
rumpfs_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	struct rxattr **at;
	int r = rule_xattr_name(name);

	(void)cr;
	if (r == 0)
		r = rumpfs_may_change(rn);
	if (r < 0)
		return r;
	if (acl_is_name(name))
		return set_acl(vp, name, value, size, cr);
	if (strlen(name) > NAME_MAX_)
		return -ERANGE;
	if (size > VALUE_MAX)
		return -E2BIG;
	at = find(rn, name);
	if (*at && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!*at && (flags & XATTR_REPLACE))
		return -ENODATA;
	r = put(rumpfs_mount_of(vp), at, xattr_new(name, value, size));
	if (r == 0)
		rn->rn_ctime_ns = rumpfs_now_ns();
	return r;
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
	struct rxattr **at = find(rn, name);
	int r = rule_xattr_name(name);

	(void)cr;
	if (r == 0)
		r = rumpfs_may_change(rn);
	if (r < 0)
		return r;
	/* That there is no ACL is no error. */
	if (!*at)
		return acl_is_name(name) ? 0 : -ENODATA;
	drop(rumpfs_mount_of(vp), at);
	rn->rn_ctime_ns = rumpfs_now_ns();
	return 0;
}

bool
rumpfs_lose_caps(struct rumpfs_node *rn)
{
	struct rxattr **at = find(rn, "security.capability");

	if (!*at)
		return false;
	drop(rumpfs_mount_of(&rn->rn_vn), at);
	return true;
}

int
rumpfs_acl_inherit(struct rumpfs_mount *rm, const struct rumpfs_node *dir,
    struct rumpfs_node *rn, const struct vmake *mk)
{
	const struct rxattr *d =
	    dir ? *find((struct rumpfs_node *)(uintptr_t)dir, ACL_DEFAULT) : NULL;
	struct rxattr *a;
	int r = 0;

	if (mk->vm_type == VLNK)
		return 0;
	if (!d) {
		rn->rn_mode &= ~mk->vm_umask;
		return 0;
	}
	a = xattr_new(ACL_ACCESS, d->rx_value, d->rx_len);
	if (!a)
		return -ENOMEM;
	if (acl_inherit(a->rx_value, a->rx_len, &rn->rn_mode))
		r = put(rm, find(rn, ACL_ACCESS), a);
	else
		free(a);
	if (r == 0 && mk->vm_type == VDIR)
		r = put(rm, find(rn, ACL_DEFAULT),
		    xattr_new(ACL_DEFAULT, d->rx_value, d->rx_len));
	return r;
}

void
rumpfs_acl_chmod(struct rumpfs_node *rn)
{
	struct rxattr *a = *find(rn, ACL_ACCESS);

	if (a)
		acl_chmod(a->rx_value, a->rx_len, rn->rn_mode);
}

void
rumpfs_xattrs_free(struct rumpfs_mount *rm, struct rumpfs_node *rn)
{
	while (rn->rn_xattrs)
		drop(rm, &rn->rn_xattrs);
}
