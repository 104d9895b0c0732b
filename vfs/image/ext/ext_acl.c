/*
 * POSIX ACLs: in the image a version and entries of four bytes, with an id of four more where
 * the entry names somebody; in the system call entries of eight bytes always.  What they mean
 * for the mode is vfs/acl.h's.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs/acl.h"
#include "vfs/image/ext/ext.h"

#define DISK_VERSION 1u
#define CALL_VERSION 2u
#define ENTRIES_MAX  4096u

enum {
	TAG_USER = 0x02,
	TAG_GROUP = 0x08
};

static uint32_t
get32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put32(unsigned char *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static bool
has_id(const unsigned char *entry)
{
	unsigned tag = entry[0] | (unsigned)entry[1] << 8;

	return tag == TAG_USER || tag == TAG_GROUP;
}

/* *ret is to be freed. */
static int
from_disk(const unsigned char *in, size_t len, void **ret, size_t *ret_len)
{
	size_t at = 4, n = 4;
	unsigned char *out;

	if (len < 4 || get32(in) != DISK_VERSION || len > 4 + 8 * ENTRIES_MAX)
		return -EUCLEAN;
	out = malloc(4 + (len - 4) / 4 * 8 + 8);
	if (!out)
		return -ENOMEM;
	put32(out, CALL_VERSION);
	while (at + 4 <= len) {
		bool id = has_id(in + at);

		if (id && at + 8 > len)
			break;
		memcpy(out + n, in + at, 4);
		put32(out + n + 4, id ? get32(in + at + 4) : UINT32_MAX);
		at += id ? 8 : 4;
		n += 8;
	}
	if (at != len) {
		free(out);
		return -EUCLEAN;
	}
	*ret = out;
	*ret_len = n;
	return 0;
}

/* Of a value that acl_check() has accepted. */
static int
to_disk(const unsigned char *in, size_t len, void **ret, size_t *ret_len)
{
	unsigned char *out = malloc(len);
	size_t n = 4;

	if (!out)
		return -ENOMEM;
	put32(out, DISK_VERSION);
	for (size_t at = 4; at + 8 <= len; at += 8) {
		memcpy(out + n, in + at, 4);
		n += 4;
		if (has_id(in + at)) {
			memcpy(out + n, in + at + 4, 4);
			n += 4;
		}
	}
	*ret = out;
	*ret_len = n;
	return 0;
}

int
ext_acl_get(
    struct ext *e, struct ext_node *en, const char *name, void **ret, size_t *ret_len)
{
	void *disk;
	size_t len;
	int r = ext_xattr_get(e, en, name, &disk, &len);

	if (r < 0)
		return r;
	r = from_disk(disk, len, ret, ret_len);
	free(disk);
	return r;
}

static int
put(struct ext *e, struct ext_node *en, const char *name, const void *value, size_t len)
{
	void *disk;
	size_t n;
	int r = to_disk(value, len, &disk, &n);

	if (r < 0)
		return r;
	r = ext_xattr_set(e, en, name, disk, n);
	free(disk);
	return r;
}

static int
drop(struct ext *e, struct ext_node *en, const char *name)
{
	int r = en->en_noxattr ? 0 : ext_xattr_set(e, en, name, NULL, 0);

	return r == -ENODATA ? 0 : r;
}

int
ext_acl_set(struct ext *e, struct ext_node *en, const char *name, const void *value,
    size_t size, const struct cred *cr)
{
	bool access = strcmp(name, ACL_ACCESS) == 0, empty;
	uint32_t mode = en->en_i.i_mode & 07777;
	enum vtype type = (enum vtype)ext_vn(en)->v_type;
	int r = acl_check(value, size, &empty);

	if (r < 0)
		return r;
	if (type == VLNK)
		return -EOPNOTSUPP;
	if (!access && type != VDIR)
		return empty ? 0 : -EACCES;
	if (!empty && (!access || acl_to_mode(value, size, &mode)))
		r = put(e, en, name, value, size);
	else
		r = drop(e, en, name);
	if (r < 0)
		return r;
	/* As with chmod: who is not of the group cannot make the file run as it. */
	if (access && !ext_may_setgid(en, cr))
		mode &= ~(uint32_t)S_ISGID;
	en->en_i.i_mode = (uint16_t)((en->en_i.i_mode & S_IFMT) | mode);
	ext_touch(e, en, EXT_CTIME);
	return ext_node_write(e, en);
}

int
ext_acl_chmod(struct ext *e, struct ext_node *en)
{
	uint16_t mode = en->en_i.i_mode;
	void *acl;
	size_t len;
	bool empty;
	int r;

	if (en->en_noxattr || ext_vn(en)->v_type == VLNK)
		return 0;
	r = ext_acl_get(e, en, ACL_ACCESS, &acl, &len);
	if (r < 0)
		return r == -ENODATA ? 0 : r;
	r = acl_check(acl, len, &empty);
	if (r == 0 && !empty) {
		acl_chmod(acl, len, mode & 07777);
		r = put(e, en, ACL_ACCESS, acl, len);
		en->en_i.i_mode = mode; /* it has been read again */
	}
	free(acl);
	return r;
}

void
ext_acls_free(struct ext_acls *a)
{
	free(a->a_access);
	free(a->a_default);
}

int
ext_acl_inherit(struct ext *e, struct ext_node *dir, const struct vmake *mk,
    uint32_t *mode, struct ext_acls *ret)
{
	void *acl;
	size_t len;
	bool empty;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (mk->vm_type == VLNK)
		return 0;
	r = ext_acl_get(e, dir, ACL_DEFAULT, &acl, &len);
	if (r == -ENODATA) {
		*mode &= ~mk->vm_umask;
		return 0;
	}
	if (r < 0)
		return r;
	r = acl_check(acl, len, &empty);
	if (r == 0 && mk->vm_type == VDIR) {
		ret->a_default = malloc(len);
		if (ret->a_default)
			memcpy(ret->a_default, acl, len);
		else
			r = -ENOMEM;
	}
	ret->a_len = len;
	if (r == 0 && acl_inherit(acl, len, mode))
		ret->a_access = acl;
	else
		free(acl);
	return r;
}

int
ext_acl_give(struct ext *e, struct ext_node *en, const struct ext_acls *a)
{
	int r = 0;

	if (a->a_access)
		r = put(e, en, ACL_ACCESS, a->a_access, a->a_len);
	if (r == 0 && a->a_default)
		r = put(e, en, ACL_DEFAULT, a->a_default, a->a_len);
	return r;
}
