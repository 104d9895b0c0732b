/*
 * Extended attributes, in the inode and in a block of their own, by libext2fs.
 *
 * Names are as the system calls have them; the library turns them into the image's.  ACLs are
 * kept in another form there than in the system call (ext_acl.c), so the library is asked for
 * the bytes as they are.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "vfs/acl.h"
#include "vfs/image/ext/ext.h"
#include "vfs/rules.h"

#define VALUE_MAX 65536u
#define NAME_MAX_ 255u

/* All attributes of a node, read. */
static int
open_attrs(struct ext *e, struct ext_node *en, struct ext2_xattr_handle **ret)
{
	unsigned flags = XATTR_HANDLE_FLAG_RAW;
	struct ext2_xattr_handle *h;
	int r = ext_err(ext2fs_xattrs_open(e->e_fs, ext_ino(en), &h));

	if (r < 0)
		return r;
	(void)ext2fs_xattrs_flags(h, &flags, NULL);
	r = ext_err(ext2fs_xattrs_read(h));
	if (r < 0)
		(void)ext2fs_xattrs_close(&h);
	else
		*ret = h;
	return r;
}

int
ext_xattr_get(
    struct ext *e, struct ext_node *en, const char *name, void **ret, size_t *ret_len)
{
	struct ext2_xattr_handle *h;
	void *value;
	size_t len;
	int r;

	if (en->en_noxattr)
		return -ENODATA;
	r = open_attrs(e, en, &h);
	if (r < 0)
		return r;
	r = ext_err(ext2fs_xattr_get(h, name, &value, &len));
	(void)ext2fs_xattrs_close(&h);
	if (r < 0)
		return r;
	*ret = value;
	*ret_len = len;
	return 0;
}

int
ext_xattr_set(
    struct ext *e, struct ext_node *en, const char *name, const void *value, size_t len)
{
	struct ext2_xattr_handle *h;
	int r = ext_have_room(e, 1 + len / e->e_bs, true), e1;

	en->en_nocaps = false;
	/* Taking away needs no room. */
	if (r < 0 && value)
		return r;
	r = open_attrs(e, en, &h);
	if (r < 0)
		return r;
	if (value)
		r = ext_err(ext2fs_xattr_set(h, name, value, len));
	else
		r = ext_err(ext2fs_xattr_remove(h, name));
	(void)ext2fs_xattrs_close(&h);
	e1 = ext_node_reload(e, en);
	return r < 0 ? r : e1;
}

static int
give(void *value, size_t len, void *buf, size_t size, size_t *ret_len)
{
	int r = size && size < len ? -ERANGE : 0;

	if (r == 0 && size && len)
		memcpy(buf, value, len);
	if (r == 0)
		*ret_len = len;
	free(value);
	return r;
}

int
ext_getxattr(struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	void *value;
	size_t len;
	int r = rule_xattr_name(name);

	if (r < 0)
		return r;
	AUTO_EXT(e);
	r = acl_is_name(name) ? ext_acl_get(e, en, name, &value, &len)
	                      : ext_xattr_get(e, en, name, &value, &len);
	return r < 0 ? r : give(value, len, buf, size, ret_len);
}

/* Is it there?  1, 0, or -errno. */
static int
is_there(struct ext *e, struct ext_node *en, const char *name)
{
	void *value;
	size_t len;
	int r = ext_xattr_get(e, en, name, &value, &len);

	if (r == 0)
		free(value);
	return r == -ENODATA ? 0 : r < 0 ? r : 1;
}

static int
set_plain(struct ext *e, struct ext_node *en, const char *name, const void *value,
    size_t size, int flags)
{
	int r;

	if (strlen(name) > NAME_MAX_)
		return -ERANGE;
	if (size > VALUE_MAX)
		return -E2BIG;
	r = is_there(e, en, name);
	if (r < 0)
		return r;
	if (r && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!r && (flags & XATTR_REPLACE))
		return -ENODATA;
	r = ext_xattr_set(e, en, name, value ? value : "", size);
	if (r < 0)
		return r;
	ext_touch(e, en, EXT_CTIME);
	return ext_node_write(e, en);
}

int
ext_setxattr(struct vnode *vp, const char *name, const void *value, size_t size,
    int flags, const struct cred *cr)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	int r = rule_xattr_name(name);

	if (r < 0)
		return r;
	AUTO_EXT(e);
	r = ext_may_change(en);
	if (r == 0)
		r = ext_will_change(e);
	if (r < 0)
		return r;
	return acl_is_name(name) ? ext_acl_set(e, en, name, value, size, cr)
	                         : set_plain(e, en, name, value, size, flags);
}

struct listing {
	char *ls_buf;
	size_t ls_size, ls_need;
};

static int
list_name(char *name, char *value, size_t len, void *arg)
{
	struct listing *ls = arg;
	size_t n = strlen(name) + 1;

	(void)value;
	(void)len;
	if (rule_xattr_name(name) < 0) /* the image's own */
		return 0;
	if (ls->ls_size && ls->ls_need + n <= ls->ls_size)
		memcpy(ls->ls_buf + ls->ls_need, name, n);
	ls->ls_need += n;
	return 0;
}

int
ext_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	struct ext2_xattr_handle *h;
	struct listing ls = {buf, size, 0};
	int r;

	AUTO_EXT(e);
	if (en->en_noxattr) {
		*ret_len = 0;
		return 0;
	}
	r = open_attrs(e, en, &h);
	if (r < 0)
		return r;
	r = ext_err(ext2fs_xattrs_iterate(h, list_name, &ls));
	(void)ext2fs_xattrs_close(&h);
	if (r == 0 && size && ls.ls_need > size)
		r = -ERANGE;
	if (r == 0)
		*ret_len = ls.ls_need;
	return r;
}

int
ext_removexattr(struct vnode *vp, const char *name, const struct cred *cr)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	int r = rule_xattr_name(name);

	(void)cr;
	if (r < 0)
		return r;
	AUTO_EXT(e);
	r = ext_may_change(en);
	if (r == 0)
		r = is_there(e, en, name);
	/* That there is no ACL is no error. */
	if (r <= 0)
		return r < 0 ? r : acl_is_name(name) ? 0 : -ENODATA;
	r = ext_will_change(e);
	if (r == 0)
		r = ext_xattr_set(e, en, name, NULL, 0);
	if (r < 0)
		return r;
	ext_touch(e, en, EXT_CTIME);
	return ext_node_write(e, en);
}
