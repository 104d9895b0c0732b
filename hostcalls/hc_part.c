/*
 * Partitions, through libblkid.
 *
 * libblkid is given an fd of its own, because it marks the one that it gets as read at
 * random, and that would cost a window its read-ahead.  An image file does not say how
 * large its sectors are: 512 is tried first, then 4096.
 */
#include <blkid/blkid.h>
#include <string.h>
#include <strings.h>

#include "hostcalls/hc_private.h"

#define UNIT 512 /* what libblkid counts in, whatever the sector size */

static void
probe_free_p(blkid_probe *pr)
{
	blkid_free_probe(*pr);
}

/* The number that a text of digits stands for, 0 if it is none. */
static int
spec_number(const char *spec)
{
	if (spec[0] == '\0' || strspn(spec, "0123456789") != strlen(spec) ||
	    strlen(spec) > 9)
		return 0;
	return atoi(spec);
}

static int
find_by_number(blkid_partlist ls, int number, blkid_partition *ret)
{
	for (int i = 0; i < blkid_partlist_numof_partitions(ls); i++) {
		blkid_partition p = blkid_partlist_get_partition(ls, i);
		if (p && blkid_partition_get_partno(p) == number) {
			*ret = p;
			return 0;
		}
	}
	return -ENOENT;
}

/* -EEXIST if several have this label. */
static int
find_by_label(blkid_partlist ls, const char *label, blkid_partition *ret)
{
	blkid_partition found = NULL;

	for (int i = 0; i < blkid_partlist_numof_partitions(ls); i++) {
		blkid_partition p = blkid_partlist_get_partition(ls, i);
		const char *name = p ? blkid_partition_get_name(p) : NULL;
		if (!name || strcmp(name, label) != 0)
			continue;
		if (found)
			return -EEXIST;
		found = p;
	}
	if (!found)
		return -ENOENT;
	*ret = found;
	return 0;
}

static int
find_by_uuid(blkid_partlist ls, const char *text, blkid_partition *ret)
{
	for (int i = 0; i < blkid_partlist_numof_partitions(ls); i++) {
		blkid_partition p = blkid_partlist_get_partition(ls, i);
		const char *uuid = p ? blkid_partition_get_uuid(p) : NULL;
		if (uuid && strcasecmp(uuid, text) == 0) {
			*ret = p;
			return 0;
		}
	}
	return -ENOENT;
}

static int
find(blkid_partlist ls, const char *spec, blkid_partition *ret)
{
	int number = spec_number(spec);
	int err = number > 0 ? find_by_number(ls, number, ret) : -ENOENT;

	/* A partition without a label has none to be found by. */
	if (err != -ENOENT || spec[0] == '\0')
		return err;
	err = find_by_label(ls, spec, ret);
	return err == -ENOENT ? find_by_uuid(ls, spec, ret) : err;
}

/* The partition table read with sectors of that many bytes, 0: what the device says. */
static int
probe_table(int fd, unsigned sector, blkid_probe *ret_pr, blkid_partlist *ret_ls)
{
	__attribute__((cleanup(probe_free_p))) blkid_probe pr = blkid_new_probe();

	if (!pr)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(pr, fd, 0, 0) != 0)
		return errno ? -errno : -EINVAL;
	if (sector && blkid_probe_set_sectorsize(pr, sector) != 0)
		return -EINVAL;
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_enable_partitions(pr, 1);
	blkid_partlist ls = blkid_probe_get_partitions(pr);
	/* A list without a table: only the MBR that guards a GPT was found.  The GPT is
	 * damaged, or is not where sectors of this size would put it. */
	if (!ls || !blkid_partlist_get_table(ls))
		return -ENODATA;
	*ret_ls = ls;
	*ret_pr = pr;
	pr = NULL;
	return 0;
}

int
hc_partition(int fd, const char *spec, uint64_t *ret_begin, uint64_t *ret_size)
{
	HC_ENTER("partition");
	char sector[UNIT];
	blkid_partlist ls;
	blkid_partition p;
	__attribute__((cleanup(probe_free_p))) blkid_probe pr = NULL;

	AUTO_FD own = hc_do_reopen(fd, O_RDONLY | O_NONBLOCK, 0);
	if (own < 0)
		return own;
	/* libblkid takes a read error for the absence of a table. */
	ssize_t got = hc_do_pread(own, sector, sizeof(sector), 0);
	if (got < 0)
		return (int)got;
	int err = probe_table(own, 0, &pr, &ls);
	if (err == -ENODATA)
		err = probe_table(own, 4096, &pr, &ls);
	if (!err)
		err = find(ls, spec, &p);
	if (err)
		return err;
	*ret_begin = (uint64_t)blkid_partition_get_start(p) * UNIT;
	*ret_size = (uint64_t)blkid_partition_get_size(p) * UNIT;
	return 0;
}
