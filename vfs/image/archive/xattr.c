/*
 * Extended attributes and ACLs of an archive's entries (archive_private.h).
 *
 * They are kept as records behind one another: the name's length (2 bytes), the value's (4),
 * the name and a NUL, the value.  ACLs are turned into what they are as attributes; names in
 * them that have no number in the archive are those of this system, as for tar.
 */
#include <errno.h>
#include <grp.h>
#include <linux/limits.h>
#include <linux/posix_acl_xattr.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "vfs/acl.h"
#include "vfs/image/archive/archive_private.h"

#define MAX_ACL     4096 /* entries */
#define MAX_ALL     (1u << 20)
#define MAX_COUNT   1000
#define RECORD_HEAD 6u

/* linux/posix_acl.h is not for programs. */
enum {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

static const struct {
	int theirs;
	uint16_t tag;
} tags[] = {
    {ARCHIVE_ENTRY_ACL_USER_OBJ, TAG_USER_OBJ},
    {ARCHIVE_ENTRY_ACL_USER, TAG_USER},
    {ARCHIVE_ENTRY_ACL_GROUP_OBJ, TAG_GROUP_OBJ},
    {ARCHIVE_ENTRY_ACL_GROUP, TAG_GROUP},
    {ARCHIVE_ENTRY_ACL_MASK, TAG_MASK},
    {ARCHIVE_ENTRY_ACL_OTHER, TAG_OTHER},
};

static int
add_record(struct tree *t, const char *name, const void *value, size_t len)
{
	uint16_t n = (uint16_t)strlen(name);
	uint32_t v = (uint32_t)len;
	uint64_t before = t->t_xattrs_len;
	int r = tree_xattr_bytes(t, &n, sizeof(n));

	if (r == 0)
		r = tree_xattr_bytes(t, &v, sizeof(v));
	if (r == 0)
		r = tree_xattr_bytes(t, name, (size_t)n + 1);
	if (r == 0)
		r = tree_xattr_bytes(t, value, len);
	if (r < 0)
		t->t_xattrs_len = before;
	return r;
}

/* The next record: its end, or NULL. */
static const uint8_t *
record(const uint8_t *p, const uint8_t *end, const char **ret_name,
    uint16_t *ret_name_len, const uint8_t **ret_value, uint32_t *ret_len)
{
	if (p >= end)
		return NULL;
	memcpy(ret_name_len, p, 2);
	memcpy(ret_len, p + 2, 4);
	*ret_name = (const char *)p + RECORD_HEAD;
	*ret_value = p + RECORD_HEAD + *ret_name_len + 1;
	return *ret_value + *ret_len;
}

/* Is it among the records from at on?  Some writers say all twice, in two ways. */
static bool
known(const struct tree *t, uint64_t at, const char *name)
{
	const uint8_t *p = t->t_xattrs + at, *end = t->t_xattrs + t->t_xattrs_len, *v;
	const char *n;
	uint16_t nlen;
	uint32_t len;

	while ((p = record(p, end, &n, &nlen, &v, &len)))
		if (strcmp(n, name) == 0)
			return true;
	return false;
}

/* Those that Linux has room for; the ACLs come from elsewhere. */
static bool
shown(const char *name, size_t len)
{
	return strlen(name) <= XATTR_NAME_MAX && len <= XATTR_SIZE_MAX &&
	       (strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 ||
		   strncmp(name, "security.", 9) == 0) &&
	       strchr(name, '.')[1];
}

/* The number of a user or group that is known by name only. */
static bool
resolve(uint16_t tag, const char *name, uint32_t *ret)
{
	char buf[4096];
	bool found = false;

	if (!name || !*name)
		return false;
	if (tag == TAG_USER) {
		struct passwd pw, *p = NULL;

		found = getpwnam_r(name, &pw, buf, sizeof(buf), &p) == 0 && p;
		if (found)
			*ret = pw.pw_uid;
	} else {
		struct group gr, *p = NULL;

		found = getgrnam_r(name, &gr, buf, sizeof(buf), &p) == 0 && p;
		if (found)
			*ret = gr.gr_gid;
	}
	return found;
}

static int
by_tag_and_id(const void *a, const void *b)
{
	const struct posix_acl_xattr_entry *x = a, *y = b;

	if (x->e_tag != y->e_tag)
		return x->e_tag < y->e_tag ? -1 : 1;
	return x->e_id < y->e_id ? -1 : x->e_id > y->e_id;
}

/* One kind of ACL: how many of its entries had to be left out, or -ENOMEM. */
static int
add_acl(
    struct tree *t, struct archive_entry *e, int type, const char *name, uint32_t *mode)
{
	int n = archive_entry_acl_reset(e, type), ty, perm, tag, id, lost = 0;
	struct posix_acl_xattr_header *h;
	struct posix_acl_xattr_entry *x;
	uint32_t perms = *mode & 07777;
	const char *who;
	bool empty, more = true;
	size_t len;

	if (n <= 0)
		return 0;
	if (n > MAX_ACL)
		return 1;
	h = calloc(1, sizeof(*h) + (size_t)n * sizeof(*x));
	if (!h)
		return -ENOMEM;
	h->a_version = POSIX_ACL_XATTR_VERSION;
	x = (struct posix_acl_xattr_entry *)(h + 1);
	while (n-- > 0 && archive_entry_acl_next(e, type, &ty, &perm, &tag, &id, &who) ==
			      ARCHIVE_OK) {
		uint32_t num = (uint32_t)id;
		size_t i = 0;

		while (i < sizeof(tags) / sizeof(tags[0]) && tags[i].theirs != tag)
			i++;
		if (i == sizeof(tags) / sizeof(tags[0])) {
			lost++;
			continue;
		}
		if (tags[i].tag != TAG_USER && tags[i].tag != TAG_GROUP) {
			num = UINT32_MAX;
		} else if (id < 0 && !resolve(tags[i].tag, who, &num)) {
			lost++;
			continue;
		}
		*x++ = (struct posix_acl_xattr_entry){
		    tags[i].tag, (uint16_t)(perm & 7), num};
	}
	len = (size_t)((char *)x - (char *)h);
	qsort(h + 1, (size_t)(x - (struct posix_acl_xattr_entry *)(h + 1)), sizeof(*x),
	    by_tag_and_id);
	if (acl_check(h, len, &empty) < 0 || empty) {
		lost++;
		more = false;
	} else if (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS) {
		more = acl_to_mode(h, len, &perms);
		*mode = (*mode & S_IFMT) | perms;
	}
	if (more && add_record(t, name, h, len) < 0)
		lost = -ENOMEM;
	free(h);
	return lost;
}

int
xattr_collect(struct tree *t, struct archive_entry *e, uint32_t *mode, uint64_t *ret_at,
    uint32_t *ret_len)
{
	uint64_t at = t->t_xattrs_len;
	const char *name;
	const void *value;
	size_t len;
	int lost = 0, count = 0, r;

	if (archive_entry_xattr_count(e) == 0 && archive_entry_acl_types(e) == 0)
		return 0;
	(void)archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		if (!name || !shown(name, len) || t->t_xattrs_len - at > MAX_ALL ||
		    ++count > MAX_COUNT)
			lost += name && strncmp(name, "system.", 7) != 0;
		else if (!known(t, at, name) && add_record(t, name, value, len) < 0)
			return -ENOMEM;
	}
	r = add_acl(t, e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS, mode);
	if (r >= 0) {
		lost += r;
		r = add_acl(t, e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT, mode);
	}
	if (r < 0)
		return r;
	*ret_at = at;
	*ret_len = (uint32_t)(t->t_xattrs_len - at);
	return lost + r;
}

int
xattr_get(const struct tree *t, const struct aextra *ax, const char *name, void *buf,
    size_t size, size_t *ret_len)
{
	const uint8_t *p = t->t_xattrs + ax->ax_xattrs, *end = p + ax->ax_xattrs_len, *v;
	const char *n;
	uint16_t nlen;
	uint32_t len;

	while ((p = record(p, end, &n, &nlen, &v, &len))) {
		if (strcmp(n, name) != 0)
			continue;
		if (size && size < len)
			return -ERANGE;
		if (size)
			memcpy(buf, v, len);
		*ret_len = len;
		return 0;
	}
	return -ENODATA;
}

int
xattr_list(const struct tree *t, const struct aextra *ax, char *buf, size_t size,
    size_t *ret_len)
{
	const uint8_t *p = t->t_xattrs + ax->ax_xattrs, *end = p + ax->ax_xattrs_len, *v;
	size_t used = 0;
	const char *n;
	uint16_t nlen;
	uint32_t len;

	while ((p = record(p, end, &n, &nlen, &v, &len))) {
		if (size && size - used < (size_t)nlen + 1)
			return -ERANGE;
		if (size)
			memcpy(buf + used, n, (size_t)nlen + 1);
		used += (size_t)nlen + 1;
	}
	*ret_len = used;
	return 0;
}
