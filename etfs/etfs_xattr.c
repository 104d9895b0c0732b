/*
 * Extended attributes, links' targets, and the host file system's figures.
 *
 * Extended attributes pass through to the host file under their own names, ACLs among
 * them.  A window is not the whole file, so it has none; but a mode that is shown is not
 * the whole truth where the host's file has an ACL, so a window has that, to be read.  A
 * key that shows a mode or owner of its own shows no ACL of the host's beside it.
 */
#include <errno.h>
#include <string.h>

#include "etfs/etfs_private.h"
#include "vfs/acl.h"

/* The node's fd, if it may have extended attributes at all. */
static int
pin_for_xattr(struct enode *n, int none, struct pin *ret)
{
	int r = key_alive(n);

	if (r < 0)
		return r;
	return n->n_vn.v_op == &etfs_window_vops ? none : node_pin(n, ret);
}

/* Does the node show who may do what by itself? */
static bool
has_own_mode(struct enode *n)
{
	const struct etfs_view *vw = &key_of(n)->k_view;
	struct etfs_shard *sh = node_shard(n);
	bool own;

	if (!node_is_root(n))
		return false;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	own = vw->vw_valid & (VS_MODE | VS_UID | VS_GID);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return own;
}

int
etfs_getxattr(struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	struct enode *n = node_of(vp);
	AUTO_PIN pin = {.p_fd = -1};
	int r;

	if (!acl_is_name(name))
		r = pin_for_xattr(n, -ENODATA, &pin);
	else if (has_own_mode(n))
		r = -ENODATA;
	else
		r = key_alive(n) < 0 ? -EIO : node_pin(n, &pin);
	return r < 0 ? r : hc_getxattr(pin.p_fd, name, buf, size, ret_len);
}

int
etfs_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr)
{
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = acl_is_name(name) && has_own_mode(node_of(vp))
	            ? -EOPNOTSUPP
	            : pin_for_xattr(node_of(vp), -EOPNOTSUPP, &pin);

	if (r == 0)
		r = act_as_owner(node_of(vp), cr, &acting);
	watch_own(node_of(vp));
	if (r == 0)
		r = hc_setxattr(pin.p_fd, name, value, size, flags);
	if (r == 0)
		watch_changed(node_of(vp), pin.p_fd);
	return r;
}

int
etfs_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	AUTO_PIN pin = {.p_fd = -1};
	int r = pin_for_xattr(node_of(vp), -EOPNOTSUPP, &pin);

	if (r == -EOPNOTSUPP) {
		*ret_len = 0;
		return 0;
	}
	return r < 0 ? r : hc_listxattr(pin.p_fd, buf, size, ret_len);
}

int
etfs_removexattr(struct vnode *vp, const char *name, const struct cred *cr)
{
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = pin_for_xattr(node_of(vp), -EOPNOTSUPP, &pin);

	/* It has no ACL, and no ACL is what it is to have. */
	if (r == 0 && acl_is_name(name) && has_own_mode(node_of(vp)))
		return 0;
	/* The kernel takes a file's capabilities off when somebody writes to it, in the
	 * writer's name; who asks for that otherwise was checked by it. */
	if (r == 0 && strcmp(name, "security.capability") != 0)
		r = act_as_owner(node_of(vp), cr, &acting);
	watch_own(node_of(vp));
	if (r == 0)
		r = hc_removexattr(pin.p_fd, name);
	if (r == 0)
		watch_changed(node_of(vp), pin.p_fd);
	return r;
}

int
etfs_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	AUTO_PIN pin = {.p_fd = -1};
	int r = node_pin(node_of(vp), &pin);

	return r < 0 ? r : hc_readlink(pin.p_fd, buf, cap, ret_len);
}

int
etfs_statfs(struct vnode *vp, struct statvfs *ret)
{
	struct enode *n = node_of(vp);
	AUTO_PIN pin = {.p_fd = -1};
	int r = key_alive(n);

	if (r == 0)
		r = node_pin(n, &pin);
	return r < 0 ? r : hc_statvfs(pin.p_fd, ret);
}
