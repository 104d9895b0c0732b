/*
 * Mounting an archive (archive_private.h).
 *
 * Options: cache=BYTES, what is kept of decompressed data (a sixteenth of the memory,
 * 512 MiB at most; all mounts together: an eighth, 1 GiB at most, or what one was given);
 * entries=N, how many files and names there may be (4 million); limit=BYTES, how much may be
 * decompressed for the index (64 GiB, or 1100 times the size of the device, which is more
 * than gzip can do); rar, to read rar, and lha, whose decoders have had many errors in
 * memory.  Bytes may have K, M, G or T.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfs/image/archive/archive_private.h"

#define DEFAULT_ENTRIES 4000000u
#define MAX_ENTRIES     100000000u
#define MIN_LIMIT       (64ull << 30)
#define MAX_RATIO       1100u
#define MIN_BUDGET      (8ull << 20)
#define MAX_BUDGET      (512ull << 20)

static uint64_t
default_budget(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t b = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 16 : 0;

	return b < MIN_BUDGET ? MIN_BUDGET : b > MAX_BUDGET ? MAX_BUDGET : b;
}

static uint64_t
default_limit(uint64_t size)
{
	uint64_t limit;

	if (__builtin_mul_overflow(size, MAX_RATIO, &limit))
		return INT64_MAX;
	return limit < MIN_LIMIT ? MIN_LIMIT : limit;
}

static bool
number(const char *s, uint64_t *ret)
{
	char *end;
	const char *unit;
	uint64_t n;

	if (!s || *s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno)
		return false;
	if (*end) {
		unit = strchr("KMGT", *end);
		if (!unit || end[1] ||
		    __builtin_mul_overflow(n, 1ull << (10 * (unit - "KMGT" + 1)), &n))
			return false;
	}
	*ret = n;
	return true;
}

struct options {
	uint64_t cache, entries, limit;
	bool rar;
};

static int
parse_options(struct fsmount *m, struct options *o)
{
	char *all = strdup(m->fm_options), *p = all, *name, *value;
	int r = all ? 0 : -ENOMEM;

	while (r == 0 && fs_option(&p, &name, &value)) {
		bool good = false;

		if (strcmp(name, "cache") == 0)
			good = number(value, &o->cache);
		else if (strcmp(name, "entries") == 0)
			good = number(value, &o->entries) && o->entries <= MAX_ENTRIES;
		else if (strcmp(name, "limit") == 0)
			good = number(value, &o->limit);
		else if (strcmp(name, "rar") == 0)
			good = o->rar = !value;
		if (!good) {
			snprintf(m->fm_why, sizeof(m->fm_why),
			    "option %.60s: not known, or not a good value; there are "
			    "cache=BYTES, entries=N, limit=BYTES, rar",
			    name);
			r = -EINVAL;
		}
	}
	free(all);
	return r;
}

/* All but the mount itself. */
static void
ar_empty(struct ar *ar)
{
	seq_free(ar->ar_fed);
	seq_free(ar->ar_st.st_seq);
	tree_done(&ar->ar_tree);
	free(ar->ar_units);
	free(ar->ar_name);
}

static void
ar_free(struct mount *mp)
{
	struct ar *ar = (struct ar *)mp;

	ar_empty(ar);
	imgmount_done(&ar->ar_im);
	free(ar);
}

/* The stream, the tree and what feeds. */
static int
ar_build(struct ar *ar, struct fsmount *m)
{
	int r = ar_compressed(m->fm_dev);

	if (r < 0)
		return r;
	ar->ar_st.st_dev = m->fm_dev;
	if (r > 0) {
		ar->ar_st.st_seq = seq_new(&feed_filter_ops, ar, ar->ar_budget);
		if (!ar->ar_st.st_seq)
			return -ENOMEM;
	}
	ar->ar_pg = (struct progress){
	    .pg_what = "opening",
	    .pg_name = ar->ar_name,
	    .pg_unit = "bytes",
	    .pg_total = device_size(m->fm_dev),
	};
	PROGRESS_TELL(&ar->ar_pg, 0);
	r = ar_index(ar, m->fm_why, sizeof(m->fm_why));
	PROGRESS_TELL(&ar->ar_pg, 1);
	ar->ar_pg.pg_what = NULL;
	if (r == 0 && ar->ar_nunits) {
		ar->ar_fed = seq_new(
		    ar->ar_zip ? &feed_zip_ops : &feed_walk_ops, ar, ar->ar_budget);
		if (!ar->ar_fed)
			return -ENOMEM;
		seq_tell(ar->ar_fed, ar->ar_name);
	}
	if (ar->ar_st.st_seq)
		seq_tell(ar->ar_st.st_seq, ar->ar_name);
	return r;
}

static int
ar_mount(struct fsmount *m, struct vnode **ret_root)
{
	struct options o = {default_budget(), DEFAULT_ENTRIES, 0, false};
	struct ar *ar = NULL;
	int r = parse_options(m, &o);

	if (r < 0)
		return r;
	seq_allow(2 * default_budget());
	seq_allow(o.cache);
	if (o.limit == 0)
		o.limit = default_limit(device_size(m->fm_dev));
	ar = calloc(1, sizeof(*ar));
	if (!ar)
		return -ENOMEM;
	ar->ar_im.im_dev = m->fm_dev; /* for what reads before it is a mount */
	ar->ar_uid = m->fm_uid;
	ar->ar_gid = m->fm_gid;
	ar->ar_budget = o.cache;
	ar->ar_limit = o.limit;
	ar->ar_rar = o.rar;
	r = tree_init(&ar->ar_tree, (uint32_t)o.entries + 1, m->fm_uid, m->fm_gid);
	if (r == 0 && m->fm_name && !(ar->ar_name = strdup(m->fm_name)))
		r = -ENOMEM;
	if (r == 0)
		r = ar_build(ar, m);
	if (r == 0)
		r = imgmount_init(&ar->ar_im, m, "archive", ar_free);
	if (r < 0) {
		ar_empty(ar);
		free(ar);
		return r;
	}
	m->fm_rdonly = true;
	r = ar_vnode(ar, 0, NULL, ret_root);
	if (r < 0)
		ar->ar_im.im_dev = NULL; /* it stays the caller's */
	mount_unref(&ar->ar_im.im_mnt);  /* the root's now */
	return r;
}

static int
ar_probe(const struct fsprobe *p)
{
	struct stream st = {.st_dev = p->fp_dev};
	struct archive_entry *e;
	struct la la;
	int sure = 0;

	if (strcmp(p->fp_blkid, "iso9660") == 0)
		return 80;
	if (p->fp_blkid[0])
		return 0;
	if (ar_compressed(p->fp_dev) > 0)
		return 50;
	if (la_open(&la, &st, 0, LA_INDEX, false, NULL) < 0)
		return 0;
	/* Nothing but zeros is an empty tar to libarchive, and to nobody else. */
	if (la_next(&la, &e) > 0)
		sure = 70;
	la_close(&la);
	return sure;
}

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_RDONLY | FT_OPTIONS,
    .ft_name = "archive",
    .ft_title = "tar, cpio, zip, 7z, iso9660 and others, compressed or not",
    .ft_probe = ar_probe,
    .ft_mount = ar_mount,
};
