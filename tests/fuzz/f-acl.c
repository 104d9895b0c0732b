/*
 * Fuzzer of vfs/acl.h: values of the ACL attributes, against a second reading of
 * acl(5) and of the kernel's posix_acl_valid(), posix_acl_equiv_mode() and
 * posix_acl_create_masq().
 *
 * An input is two bytes of a mode, one that says how the value is made, and the value: as it
 * is, or put together of a byte or two for each entry, so that good ones are frequent.  It
 * lies at the end of its memory and at an odd address, as an attribute may.
 */
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>

#include "tests/fuzz/fuzz.h"
#include "vfs/acl.h"

#define ENTRIES 32u

struct ace {
	uint16_t tag, perm;
	uint32_t id;
};

static struct ace
ace(const uint8_t *value, size_t i)
{
	const uint8_t *p = value + 4 + 8 * i;

	return (struct ace){(uint16_t)(p[0] | p[1] << 8), (uint16_t)(p[2] | p[3] << 8),
	    p[4] | (uint32_t)p[5] << 8 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 24};
}

static size_t
compose(struct input *in, uint8_t *value)
{
	static const uint16_t tags[] = {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP,
	    ACL_MASK, ACL_OTHER, 0, 0x40};
	size_t n = 4;

	value[0] = 2;
	value[1] = value[2] = value[3] = 0;
	while (in->in_left > 0 && n < 4 + 8 * ENTRIES) {
		uint8_t b = in_byte(in);
		uint16_t tag = tags[b & 7];
		bool named = tag == ACL_USER || tag == ACL_GROUP;

		memset(value + n, 0, 8);
		value[n] = (uint8_t)tag;
		value[n + 2] = b >> 3 & 7;
		value[n + 3] = b >> 6 == 3; /* a right that there is not */
		memset(value + n + 4, named && b >> 6 != 2 ? in_byte(in) : 0xff, 4);
		n += 8;
	}
	return n;
}

/* The kinds in their order, which their numbers have; how many of each. */
static int
valid(const uint8_t *value, size_t len, bool *ret_empty)
{
	unsigned count[ACL_OTHER + 1] = {0};
	uint16_t last = 0;

	if (len < 4)
		return -EINVAL;
	if (value[0] != 2 || value[1] || value[2] || value[3])
		return -EOPNOTSUPP;
	if (len % 8 != 4)
		return -EINVAL;
	for (size_t i = 0; i < len / 8; i++) {
		struct ace e = ace(value, i);

		if (e.tag < last || e.perm > 7 || e.tag > ACL_OTHER || !e.tag ||
		    (e.tag & (e.tag - 1)))
			return -EINVAL;
		if ((e.tag == ACL_USER || e.tag == ACL_GROUP) && e.id == UINT32_MAX)
			return -EINVAL;
		last = e.tag;
		count[e.tag]++;
	}
	*ret_empty = len == 4;
	if (len == 4)
		return 0;
	if (count[ACL_USER_OBJ] != 1 || count[ACL_GROUP_OBJ] != 1 ||
	    count[ACL_OTHER] != 1 || count[ACL_MASK] > 1)
		return -EINVAL;
	return (count[ACL_USER] || count[ACL_GROUP]) && !count[ACL_MASK] ? -EINVAL : 0;
}

/* The rights of the entry of this kind, of which there is one; or -1. */
static int
perm_of(const uint8_t *value, size_t len, uint16_t tag)
{
	for (size_t i = 0; i < len / 8; i++)
		if (ace(value, i).tag == tag)
			return ace(value, i).perm;
	return -1;
}

static uint32_t
mode_of(const uint8_t *value, size_t len)
{
	int mask = perm_of(value, len, ACL_MASK);

	if (mask < 0)
		mask = perm_of(value, len, ACL_GROUP_OBJ);
	return (uint32_t)(perm_of(value, len, ACL_USER_OBJ) << 6 | mask << 3 |
			  perm_of(value, len, ACL_OTHER));
}

/* Only rights have changed, and no entry that the mode does not stand for. */
static void
check_kept(const uint8_t *before, const uint8_t *after, size_t len)
{
	bool mask = perm_of(before, len, ACL_MASK) >= 0, empty;

	NEED(valid(after, len, &empty) == 0);
	for (size_t i = 0; i < len / 8; i++) {
		struct ace a = ace(before, i), b = ace(after, i);

		NEED(a.tag == b.tag && a.id == b.id);
		if (a.tag == ACL_USER || a.tag == ACL_GROUP ||
		    (mask && a.tag == ACL_GROUP_OBJ))
			NEED(a.perm == b.perm);
	}
}

static void
check_good(const uint8_t *value, size_t len, uint32_t mode)
{
	uint8_t *copy = malloc(len);
	bool more = len > 4 + 3 * 8;
	uint32_t m = mode;

	NEED(copy);
	NEED(acl_to_mode(value, len, &m) == more);
	NEED(m == ((mode & 07000) | mode_of(value, len)));

	memcpy(copy, value, len);
	acl_chmod(copy, len, mode);
	check_kept(value, copy, len);
	NEED(mode_of(copy, len) == (mode & 0777));

	memcpy(copy, value, len);
	m = mode;
	NEED(acl_inherit(copy, len, &m) == more);
	check_kept(value, copy, len);
	NEED(m == (mode & (mode_of(value, len) | 07000)));
	NEED(mode_of(copy, len) == (m & 0777));
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint32_t mode = (uint32_t)in_number(&in, 2) & 07777;
	uint8_t how = in_byte(&in);
	size_t len = how & 1 ? in.in_left : 4 + 8 * ENTRIES;
	uint8_t *room = malloc(len + 1), *value;
	bool empty = false, empty_too = false;
	int r;

	NEED(room);
	if (how & 1) {
		memcpy(room + 1, in.in_ptr, len);
	} else {
		len = compose(&in, room + 1);
		room = realloc(room, len + 1);
		NEED(room);
	}
	value = room + 1;
	r = acl_check(value, len, &empty);
	NEED(r == valid(value, len, &empty_too) && empty == empty_too);
	if (r == 0 && !empty)
		check_good(value, len, mode);
	free(room);
	return 0;
}
