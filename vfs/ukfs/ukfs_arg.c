/*
 * The text that ukfs_mount() is given besides: what is for the library, and the rest, which
 * the type understands.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vfs/image/fstype.h"
#include "vfs/ukfs/ukfs_private.h"

#define ARG_MAX_BYTES 65536u

/* A number of bytes, with K, M, G, T or s for sectors of 512.  False: not one. */
static bool
bytes(const char *text, uint64_t *ret)
{
	static const struct {
		char unit;
		uint8_t shift;
	} units[] = {{'s', 9}, {'K', 10}, {'M', 20}, {'G', 30}, {'T', 40}};
	unsigned shift = 0;
	char *end;
	uint64_t v;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (size_t i = 0; *end && i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].unit && !end[1])
			shift = units[i].shift;
	if ((*end && !shift) || v > UINT64_MAX >> shift)
		return false;
	*ret = v << shift;
	return true;
}

/* One option.  1: it is ours; 0: it is not; -EINVAL: its value is wrong. */
static int
take(struct mountarg *ma, const char *name, char *value)
{
	if (strcmp(name, "begin") == 0)
		return bytes(value, &ma->ma_begin) ? 1 : -EINVAL;
	if (strcmp(name, "size") == 0) {
		if (value && strcmp(value, "end") == 0) {
			ma->ma_size = ETFS_SIZE_END;
			return 1;
		}
		return bytes(value, &ma->ma_size) ? 1 : -EINVAL;
	}
	if (strcmp(name, "partition") == 0) {
		ma->ma_partition = value;
		return value && *value ? 1 : -EINVAL;
	}
	if (strcmp(name, "nolock") == 0) {
		ma->ma_no_lock = true;
		return value ? -EINVAL : 1;
	}
	return 0;
}

static void
pass_on(struct mountarg *ma, const char *name, const char *value)
{
	char *p = ma->ma_options + strlen(ma->ma_options);

	if (p > ma->ma_options)
		*p++ = ',';
	p = stpcpy(p, name);
	if (value) {
		*p++ = '=';
		strcpy(p, value);
	}
}

static int
cut(struct mountarg *ma, struct image_why *why)
{
	char *rest = ma->ma_text, *name, *value;

	while (fs_option(&rest, &name, &value)) {
		int r = take(ma, name, value);

		if (r < 0) {
			snprintf(why->iw_text, sizeof(why->iw_text),
			    "option \"%s%s%s\": expected begin=BYTES, size=BYTES, "
			    "partition=NUMBER or LABEL, or nolock",
			    name, value ? "=" : "", value ? value : "");
			return r;
		}
		if (r == 0)
			pass_on(ma, name, value);
	}
	if (!ma->ma_partition || (!ma->ma_begin && ma->ma_size == ETFS_SIZE_END))
		return 0;
	snprintf(why->iw_text, sizeof(why->iw_text),
	    "partition= is instead of begin= and size=");
	return -EINVAL;
}

int
uk_arg_parse(struct mountarg *ma, const void *arg, size_t len, bool all_types,
    struct image_why *why)
{
	int r = 0;

	*ma = (struct mountarg){.ma_size = ETFS_SIZE_END};
	if (!arg)
		len = 0;
	if (len > ARG_MAX_BYTES)
		return -EINVAL;
	/* The options are never longer than the text that they come from. */
	ma->ma_text = calloc(1, len + 1);
	ma->ma_options = calloc(1, len + 1);
	if (!ma->ma_text || !ma->ma_options) {
		r = -ENOMEM;
	} else {
		memcpy(ma->ma_text, arg ? arg : "", len);
		if (all_types)
			strcpy(ma->ma_options, ma->ma_text);
		else
			r = cut(ma, why);
	}
	if (r < 0)
		uk_arg_done(ma);
	return r;
}

void
uk_arg_done(struct mountarg *ma)
{
	free(ma->ma_text);
	free(ma->ma_options);
}
