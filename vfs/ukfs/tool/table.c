/*
 * What is in an image: its partition table, and what is in each partition; or the file
 * system that it is.  By libblkid.
 *
 * An image file does not say how large its sectors are: 512 is tried first, then 4096.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

#define UNIT 512u /* what libblkid counts in, whatever the sector size */

static void
probe_free_p(blkid_probe *pr)
{
	blkid_free_probe(*pr);
}
#define AUTO_PROBE __attribute__((cleanup(probe_free_p)))

static void
fd_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_FD __attribute__((cleanup(fd_close_p)))

/* A range of the image. */
struct range {
	uint64_t r_begin, r_size; /* bytes */
};

/* begin= and size= of -o, for what is looked at only. */
static int
asked_range(uint64_t image, struct range *ret)
{
	AUTO_FREE char *copy = xstrdup(target.tg_options ? target.tg_options : "");
	char *save = NULL;
	struct range r = {0, UINT64_MAX};

	for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		bool begin = strncmp(o, "begin=", 6) == 0;
		uint64_t n;
		size_t len = strlen(o);

		if (!begin && strncmp(o, "size=", 5) != 0)
			continue;
		bool sectors = o[len - 1] == 's';
		if (sectors)
			o[len - 1] = '\0';
		if (size_parse(o + (begin ? 6 : 5), sectors ? UNIT : 1, &n, NULL) < 0)
			return -EINVAL;
		*(begin ? &r.r_begin : &r.r_size) = n;
	}
	if (r.r_begin > image)
		return -EINVAL;
	if (r.r_size > image - r.r_begin)
		r.r_size = image - r.r_begin;
	*ret = r;
	return 0;
}

static int
open_image(int *ret_fd, struct range *ret)
{
	struct stat st;
	AUTO_FD int fd = open(target.tg_image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t size;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	size = (uint64_t)st.st_size;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	int r = asked_range(size, ret);
	if (r < 0)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static blkid_probe
new_probe(int fd, const struct range *r, unsigned sector)
{
	blkid_probe pr = blkid_new_probe();

	if (pr && (blkid_probe_set_device(
		       pr, fd, (blkid_loff_t)r->r_begin, (blkid_loff_t)r->r_size) != 0 ||
		      (sector && blkid_probe_set_sectorsize(pr, sector) != 0))) {
		blkid_free_probe(pr);
		pr = NULL;
	}
	return pr;
}

/* The table, as the probe's own; NULL: there is none. */
static blkid_partlist
get_table(blkid_probe pr)
{
	blkid_probe_enable_superblocks(pr, 0);
	blkid_probe_enable_partitions(pr, 1);
	blkid_partlist ls = blkid_probe_get_partitions(pr);
	return ls && blkid_partlist_get_table(ls) ? ls : NULL;
}

static blkid_probe
find_table(int fd, const struct range *r, blkid_partlist *ret)
{
	static const unsigned sectors[] = {0, 4096};

	for (unsigned i = 0; i < 2; i++) {
		blkid_probe pr = new_probe(fd, r, sectors[i]);

		*ret = pr ? get_table(pr) : NULL;
		/* A boot sector of FAT and of NTFS looks like a table without entries. */
		if (*ret && blkid_partlist_numof_partitions(*ret) > 0)
			return pr;
		blkid_free_probe(pr);
	}
	return NULL;
}

struct content {
	char co_type[32], co_label[256], co_uuid[64];
};

static void
get_value(blkid_probe pr, const char *name, char *buf, size_t size)
{
	const char *v;

	if (blkid_probe_lookup_value(pr, name, &v, NULL) == 0)
		snprintf(buf, size, "%s", v);
}

/* What libblkid takes the range for. */
static void
get_content(int fd, const struct range *r, struct content *ret)
{
	AUTO_PROBE blkid_probe pr = new_probe(fd, r, 0);

	*ret = (struct content){{0}};
	if (!pr || r->r_size == 0)
		return;
	blkid_probe_enable_partitions(pr, 0);
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(
	    pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
	int found = blkid_do_safeprobe(pr);
	if (found == -2)
		snprintf(ret->co_type, sizeof(ret->co_type), "ambiguous");
	if (found != 0)
		return;
	get_value(pr, "TYPE", ret->co_type, sizeof(ret->co_type));
	get_value(pr, "LABEL", ret->co_label, sizeof(ret->co_label));
	get_value(pr, "UUID", ret->co_uuid, sizeof(ret->co_uuid));
}

/* Types of partitions in words: those that one meets. */
static const struct type_name {
	const char *tn_id, *tn_text;
} type_names[] = {
    {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"},
    {"21686148-6449-6e6f-744e-656564454649", "BIOS boot"},
    {"0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux filesystem"},
    {"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"},
    {"e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"},
    {"a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"},
    {"bc13c2ff-59e6-4262-a352-b275fd6f7172", "Linux extended boot"},
    {"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)"},
    {"44479540-f297-41b2-9af7-d131d5f0458a", "Linux root (x86)"},
    {"b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (ARM-64)"},
    {"69dad710-2ce4-4e3c-b16c-21a1d49abed3", "Linux root (ARM)"},
    {"8484680c-9521-48c6-9c11-b0720656f69e", "Linux /usr (x86-64)"},
    {"933ac7e1-2eb4-4f13-b844-0e14e2aef915", "Linux home"},
    {"3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "Linux server data"},
    {"ca7d7ccb-63ed-4c53-861c-1742536059cc", "Linux LUKS"},
    {"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"},
    {"e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"},
    {"de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery"},
    {"48465300-0000-11aa-aa11-00306543ecac", "Apple HFS/HFS+"},
    {"7c3457ef-0000-11aa-aa11-00306543ecac", "Apple APFS"},
    {"516e7cb4-6ecf-11d6-8ff8-00022d09712b", "FreeBSD data"},
    {"49f48d5a-b10e-11dc-b99b-0019d1879648", "NetBSD FFS"},
    {"0x1", "FAT12"},
    {"0x4", "FAT16 <32M"},
    {"0x5", "extended"},
    {"0x6", "FAT16"},
    {"0x7", "HPFS/NTFS/exFAT"},
    {"0xb", "W95 FAT32"},
    {"0xc", "W95 FAT32 (LBA)"},
    {"0xe", "W95 FAT16 (LBA)"},
    {"0xf", "W95 extended (LBA)"},
    {"0x17", "hidden HPFS/NTFS"},
    {"0x27", "hidden NTFS WinRE"},
    {"0x82", "Linux swap"},
    {"0x83", "Linux"},
    {"0x85", "Linux extended"},
    {"0x8e", "Linux LVM"},
    {"0xa5", "FreeBSD"},
    {"0xa6", "OpenBSD"},
    {"0xa9", "NetBSD"},
    {"0xee", "GPT"},
    {"0xef", "EFI (FAT)"},
    {"0xfd", "Linux raid autodetect"},
};

/* Memory of the caller's. */
static char *
type_name(blkid_partition p)
{
	const char *guid = blkid_partition_get_type_string(p);
	AUTO_FREE char *id =
	    guid ? xstrdup(guid) : xasprintf("0x%x", blkid_partition_get_type(p));

	for (unsigned i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
		if (strcasecmp(type_names[i].tn_id, id) == 0)
			return xstrdup(type_names[i].tn_text);
	return xstrdup(id);
}

/* A text of the image's for one column: "-" if there is none. */
static const char *
cell(const char *s)
{
	return s && *s ? qm(s) : "-";
}

static void
show_row(int fd, const struct range *whole, blkid_partition p)
{
	uint64_t begin = (uint64_t)blkid_partition_get_start(p) * UNIT,
		 size = (uint64_t)blkid_partition_get_size(p) * UNIT;
	struct content co = {{0}};
	char h[16];

	/* What begins behind the end has no content to look at. */
	if (begin < whole->r_size) {
		struct range r = {whole->r_begin + begin, size};
		if (r.r_size > whole->r_size - begin)
			r.r_size = whole->r_size - begin;
		if (!blkid_partition_is_extended(p))
			get_content(fd, &r, &co);
	}
	AUTO_FREE char *type = type_name(p);
	printf("%3d %14llu %14llu %6s  %-20s  %-10s  %-12s  %-12s  %s\n",
	    blkid_partition_get_partno(p), (unsigned long long)begin,
	    (unsigned long long)size, human(size, h), type, cell(co.co_type),
	    cell(co.co_label), cell(blkid_partition_get_name(p)),
	    cell(blkid_partition_get_uuid(p)));
}

static void
show_table(int fd, const struct range *whole, blkid_partlist ls)
{
	blkid_parttable t = blkid_partlist_get_table(ls);
	const char *type = blkid_parttable_get_type(t), *id = blkid_parttable_get_id(t);
	int n = blkid_partlist_numof_partitions(ls);

	printf("%s: partition table %s%s%s, %d partition%s\n", qm(target.tg_name),
	    type ? type : "?", id && *id ? ", id " : "", id && *id ? id : "", n,
	    n == 1 ? "" : "s");
	printf("%3s %14s %14s %6s  %-20s  %-10s  %-12s  %-12s  %s\n", "No", "Begin",
	    "Bytes", "Size", "Type", "Content", "Label", "PARTLABEL", "PARTUUID");
	for (int i = 0; i < n; i++) {
		blkid_partition p = blkid_partlist_get_partition(ls, i);
		if (p)
			show_row(fd, whole, p);
	}
}

static void
show_content(const struct content *co, const struct range *r)
{
	char h[16];

	printf("%s: %s, %llu bytes (%s)", qm(target.tg_name),
	    *co->co_type ? co->co_type : "no file system that libblkid knows",
	    (unsigned long long)r->r_size, human(r->r_size, h));
	if (*co->co_label)
		printf(", label %s", qm(co->co_label));
	if (*co->co_uuid)
		printf(", UUID %s", co->co_uuid);
	putchar('\n');
}

static bool
is_spec(blkid_partition p, const char *spec, unsigned by)
{
	const char *name = blkid_partition_get_name(p),
		   *uuid = blkid_partition_get_uuid(p);

	switch (by) {
	case 0:
		return strspn(spec, "0123456789") == strlen(spec) && strlen(spec) < 10 &&
		       blkid_partition_get_partno(p) == atoi(spec);
	case 1:
		return name && strcmp(name, spec) == 0;
	default:
		return uuid && strcasecmp(uuid, spec) == 0;
	}
}

/* By number, else PARTLABEL, else PARTUUID; the same as the library's partition=.  NULL: a
 * message has been given. */
static blkid_partition
find_partition(blkid_partlist ls, const char *spec)
{
	blkid_partition found = NULL;
	int n = ls ? blkid_partlist_numof_partitions(ls) : 0;

	for (unsigned by = 0; by < 3 && !found && *spec; by++) {
		for (int i = 0; i < n; i++) {
			blkid_partition p = blkid_partlist_get_partition(ls, i);

			if (!p || !is_spec(p, spec, by))
				continue;
			if (found && by == 1) {
				badf("%s: several partitions have the label %s",
				    qm(target.tg_image), qm(spec));
				return NULL;
			}
			found = p;
		}
	}
	if (!found)
		badf("%s: there is no partition %s", qm(target.tg_image), qm(spec));
	return found;
}

/* One partition: the range becomes its. */
static int
narrow(blkid_partlist ls, struct range *r)
{
	blkid_partition p = find_partition(ls, target.tg_partition);

	if (!p)
		return RC_MOUNT;
	uint64_t begin = (uint64_t)blkid_partition_get_start(p) * UNIT,
		 size = (uint64_t)blkid_partition_get_size(p) * UNIT;
	if (begin > r->r_size || size > r->r_size - begin)
		return badf(
		    "%s: it ends behind the end of the image", qm(target.tg_name));
	r->r_begin += begin;
	r->r_size = size;
	return RC_FINE;
}

int
table_show(void)
{
	AUTO_FD int fd = -1;
	AUTO_PROBE blkid_probe pr = NULL;
	struct range r;
	struct content co;
	blkid_partlist ls;
	int err = open_image(&fd, &r);

	if (err < 0) {
		bad(target.tg_name, err);
		return RC_MOUNT;
	}
	pr = find_table(fd, &r, &ls);
	if (target.tg_partition) {
		if (narrow(ls, &r) != RC_FINE)
			return RC_MOUNT;
		ls = NULL;
	}
	get_content(fd, &r, &co);
	/* An ISO may be both. */
	if (ls)
		show_table(fd, &r, ls);
	if (!ls || *co.co_type)
		show_content(&co, &r);
	return RC_FINE;
}

bool
table_there(void)
{
	AUTO_FD int fd = -1;
	AUTO_PROBE blkid_probe pr = NULL;
	struct range r;
	blkid_partlist ls;

	if (target.tg_partition || open_image(&fd, &r) < 0)
		return false;
	pr = find_table(fd, &r, &ls);
	return ls != NULL;
}

int
table_number(void)
{
	AUTO_FD int fd = -1;
	AUTO_PROBE blkid_probe pr = NULL;
	struct range r;
	blkid_partlist ls;
	int err = open_image(&fd, &r);

	if (err < 0) {
		bad(target.tg_name, err);
		return -1;
	}
	pr = find_table(fd, &r, &ls);
	blkid_partition p = find_partition(ls, target.tg_partition);
	return p ? blkid_partition_get_partno(p) : -1;
}
