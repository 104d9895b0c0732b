/*
 * POSIX ACLs (acl.h).
 */
#include "vfs/acl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#define PERM 7u

bool
acl_is_name(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

/* Values come from anywhere and need not be aligned. */
struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

static size_t
count(size_t len)
{
	return (len - sizeof(struct posix_acl_xattr_header)) /
	       sizeof(struct posix_acl_xattr_entry);
}

static char *
place(const void *value, size_t i)
{
	return (char *)(uintptr_t)value + sizeof(struct posix_acl_xattr_header) +
	       i * sizeof(struct posix_acl_xattr_entry);
}

static struct entry
get(const void *value, size_t i)
{
	struct posix_acl_xattr_entry e;

	memcpy(&e, place(value, i), sizeof(e));
	return (struct entry){le16toh(e.e_tag), le16toh(e.e_perm), le32toh(e.e_id)};
}

static void
set_perm(void *value, size_t i, unsigned perm)
{
	uint16_t p = htole16((uint16_t)perm);

	memcpy(place(value, i) + offsetof(struct posix_acl_xattr_entry, e_perm), &p,
	    sizeof(p));
}

/* The kinds of entries come in one order, the three of the mode exactly once, a mask if
 * there is anything for it to limit.  next is the tag that may come next; 0 at the end. */
static int
check_next(const struct entry *e, unsigned *next, bool *needs_mask)
{
	switch (e->tag) {
	case ACL_USER_OBJ:
		if (*next != ACL_USER_OBJ)
			return -EINVAL;
		*next = ACL_USER;
		return 0;
	case ACL_USER:
	case ACL_GROUP:
		*needs_mask = true;
		return *next == e->tag && e->id != (uint32_t)-1 ? 0 : -EINVAL;
	case ACL_GROUP_OBJ:
		if (*next != ACL_USER)
			return -EINVAL;
		*next = ACL_GROUP;
		return 0;
	case ACL_MASK:
		if (*next != ACL_GROUP)
			return -EINVAL;
		*next = ACL_OTHER;
		return 0;
	case ACL_OTHER:
		if (*next != ACL_OTHER && (*next != ACL_GROUP || *needs_mask))
			return -EINVAL;
		*next = 0;
		return 0;
	default:
		return -EINVAL;
	}
}

int
acl_check(const void *value, size_t len, bool *ret_empty)
{
	struct posix_acl_xattr_header h;
	unsigned next = ACL_USER_OBJ;
	bool needs_mask = false;

	if (len < sizeof(h))
		return -EINVAL;
	memcpy(&h, value, sizeof(h));
	if (le32toh(h.a_version) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	if ((len - sizeof(h)) % sizeof(struct posix_acl_xattr_entry))
		return -EINVAL;
	for (size_t i = 0; i < count(len); i++) {
		struct entry e = get(value, i);

		if ((e.perm & ~PERM) || check_next(&e, &next, &needs_mask) < 0)
			return -EINVAL;
	}
	if (count(len) > 0 && next != 0)
		return -EINVAL;
	*ret_empty = count(len) == 0;
	return 0;
}

bool
acl_to_mode(const void *value, size_t len, uint32_t *mode)
{
	uint32_t bits = 0, group = 0;
	bool more = false;

	for (size_t i = 0; i < count(len); i++) {
		struct entry e = get(value, i);

		switch (e.tag) {
		case ACL_USER_OBJ:
			bits |= (uint32_t)e.perm << 6;
			break;
		case ACL_GROUP_OBJ:
			group = e.perm;
			break;
		case ACL_OTHER:
			bits |= e.perm;
			break;
		case ACL_MASK: /* after the group's own */
			group = e.perm;
			more = true;
			break;
		default:
			more = true;
		}
	}
	*mode = (*mode & ~0777u) | bits | group << 3;
	return more;
}

/* The entry that the mode's group bits stand for: the mask, or without one the group's. */
static size_t
group_entry(const void *value, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < count(len); i++) {
		unsigned tag = get(value, i).tag;

		if (tag == ACL_MASK || tag == ACL_GROUP_OBJ)
			at = i;
	}
	return at;
}

void
acl_chmod(void *value, size_t len, uint32_t mode)
{
	size_t group = group_entry(value, len);

	for (size_t i = 0; i < count(len); i++) {
		unsigned tag = get(value, i).tag;

		if (tag == ACL_USER_OBJ)
			set_perm(value, i, mode >> 6 & PERM);
		else if (tag == ACL_OTHER)
			set_perm(value, i, mode & PERM);
		else if (i == group)
			set_perm(value, i, mode >> 3 & PERM);
	}
}

bool
acl_inherit(void *value, size_t len, uint32_t *mode)
{
	size_t group = group_entry(value, len);
	bool more = false;

	for (size_t i = 0; i < count(len); i++) {
		struct entry e = get(value, i);
		unsigned shift = e.tag == ACL_USER_OBJ ? 6 : e.tag == ACL_OTHER ? 0 : 3;

		more |= e.tag == ACL_USER || e.tag == ACL_GROUP || e.tag == ACL_MASK;
		if (shift == 3 && i != group)
			continue;
		set_perm(value, i, e.perm & *mode >> shift);
		*mode &= (uint32_t)e.perm << shift | ~(PERM << shift);
	}
	return more;
}
