/*
 * The superblock, looked at before libext2fs does: what this module can do with the image,
 * and whether its numbers can be true of a device of this size.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "vfs/image/ext/ext.h"

#define SUPER_AT 1024u

struct feature {
	uint32_t mask;
	const char *name;
};

/* What the library knows and this module does as well. */
#define INCOMPAT_KNOWN                                                         \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_RECOVER |      \
	    EXT2_FEATURE_INCOMPAT_META_BG | EXT3_FEATURE_INCOMPAT_EXTENTS |    \
	    EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_MMP |          \
	    EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_EA_INODE |   \
	    EXT4_FEATURE_INCOMPAT_CSUM_SEED | EXT4_FEATURE_INCOMPAT_LARGEDIR | \
	    EXT4_FEATURE_INCOMPAT_INLINE_DATA)

#define RO_COMPAT_KNOWN                                                             \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |  \
	    EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |    \
	    EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | \
	    EXT4_FEATURE_RO_COMPAT_BIGALLOC | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)

static const struct feature incompat[] = {
    {EXT2_FEATURE_INCOMPAT_COMPRESSION, "compression"},
    {EXT3_FEATURE_INCOMPAT_JOURNAL_DEV, "journal_dev"},
    {EXT4_FEATURE_INCOMPAT_DIRDATA, "dirdata"},
    {EXT4_FEATURE_INCOMPAT_ENCRYPT, "encrypt"},
    {EXT4_FEATURE_INCOMPAT_CASEFOLD, "casefold"},
};

/* Quota files would not be kept, multiple mount protection and projects neither. */
static const struct feature ro_compat[] = {
    {EXT4_FEATURE_RO_COMPAT_HAS_SNAPSHOT, "has_snapshot"},
    {EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},
    {EXT4_FEATURE_RO_COMPAT_REPLICA, "replica"},
    {EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},
    {EXT4_FEATURE_RO_COMPAT_PROJECT, "project"},
    {EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
    {EXT4_FEATURE_RO_COMPAT_VERITY, "verity"},
};

static void __attribute__((format(printf, 2, 3)))
say(struct fsmount *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->fm_why, sizeof(m->fm_why), fmt, ap);
	va_end(ap);
}

/* Of those that are set: their names, and the number of those without one. */
static void
name_features(const struct feature *f, size_t n, uint32_t set, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		if ((set & f[i].mask) && at < len)
			at += (size_t)snprintf(
			    buf + at, len - at, "%s%s", at ? ", " : "", f[i].name);
		set &= ~f[i].mask;
	}
	if (set && at < len)
		snprintf(buf + at, len - at, "%s%#x", at ? ", " : "", set);
}

static uint64_t
blocks_of(const struct ext2_super_block *sb)
{
	uint64_t n = sb->s_blocks_count;

	if (sb->s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT)
		n |= (uint64_t)sb->s_blocks_count_hi << 32;
	return n;
}

/* Do the numbers that sizes in memory follow from fit the device? */
static int
check_sizes(struct fsmount *m, const struct ext2_super_block *sb)
{
	uint64_t bs, n = blocks_of(sb), groups, desc, cl;

	if (sb->s_log_block_size > 6 || sb->s_log_cluster_size > 20 ||
	    sb->s_log_cluster_size < sb->s_log_block_size)
		goto bad;
	bs = 1024ull << sb->s_log_block_size;
	cl = 1ull << (sb->s_log_cluster_size - sb->s_log_block_size);
	desc =
	    sb->s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT ? sb->s_desc_size : 32;
	if (n == 0 || sb->s_first_data_block >= n || sb->s_blocks_per_group < 256 ||
	    sb->s_blocks_per_group > bs * 8 * cl || sb->s_inodes_per_group == 0 ||
	    sb->s_inodes_per_group > bs * 8 || desc < 32 || desc > 1024)
		goto bad;
	if (n > device_size(m->fm_dev) / bs) {
		say(m,
		    "it says that it has %llu blocks of %llu bytes, and the device ends before",
		    (unsigned long long)n, (unsigned long long)bs);
		return -EUCLEAN;
	}
	groups = (n - sb->s_first_data_block + sb->s_blocks_per_group - 1) /
	         sb->s_blocks_per_group;
	if (groups * sb->s_inodes_per_group != sb->s_inodes_count)
		goto bad;
	if (!(sb->s_feature_incompat & EXT2_FEATURE_INCOMPAT_META_BG) &&
	    groups * desc / bs > sb->s_blocks_per_group)
		goto bad;
	return 0;
bad:
	say(m, "the superblock is damaged");
	return -EUCLEAN;
}

static void
make_rdonly(struct fsmount *m, const char *why)
{
	size_t n = strlen(m->fm_why);

	if (m->fm_rdonly)
		return;
	m->fm_rdonly = true;
	snprintf(m->fm_why + n, sizeof(m->fm_why) - n, "%s%s; mounted read-only",
	    n ? "; " : "", why);
}

/* Whether it may be written, as it was left; files that wait to be freed are no hindrance
 * (ext_orphans). */
static void
check_state(struct fsmount *m, const struct ext2_super_block *sb)
{
	if (sb->s_state & EXT2_ERROR_FS)
		make_rdonly(m, "it is marked as having errors: run e2fsck -fy IMAGE");
	else if (!(sb->s_state & EXT2_VALID_FS))
		make_rdonly(m, "it was not unmounted cleanly: run e2fsck -fy IMAGE");
}

/* Who reads does not get to see what is in the journal.  False: nothing is in it. */
static bool
check_journal(struct fsmount *m, const struct ext2_super_block *sb)
{
	size_t n = strlen(m->fm_why);

	if (!(sb->s_feature_compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL) ||
	    !(sb->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER))
		return false;
	if (m->fm_rdonly)
		snprintf(m->fm_why + n, sizeof(m->fm_why) - n,
		    "%sits journal was not replayed and what is in it is not seen: run "
		    "e2fsck -fy IMAGE",
		    n ? "; " : "");
	return true;
}

int
ext_super_check(struct fsmount *m, bool *ret_recover)
{
	struct ext2_super_block sb;
	uint32_t ro = EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT | RO_COMPAT_KNOWN;
	char names[200], text[300];
	int r = device_size(m->fm_dev) < SUPER_AT + sizeof(sb)
	            ? -EINVAL
	            : device_read(m->fm_dev, &sb, sizeof(sb), SUPER_AT);

	if (r < 0)
		return r;
#ifdef WORDS_BIGENDIAN
	ext2fs_swap_super(&sb);
#endif
	if (sb.s_magic != EXT2_SUPER_MAGIC) {
		say(m, "it is not ext2, ext3 or ext4");
		return -EINVAL;
	}
	if (sb.s_feature_incompat & ~INCOMPAT_KNOWN) {
		name_features(incompat, sizeof(incompat) / sizeof(incompat[0]),
		    sb.s_feature_incompat & ~INCOMPAT_KNOWN, names, sizeof(names));
		say(m, "it has features that cannot be read here: %s", names);
		return -EOPNOTSUPP;
	}
	r = check_sizes(m, &sb);
	if (r < 0)
		return r;
	if (sb.s_feature_ro_compat & ~ro) {
		name_features(ro_compat, sizeof(ro_compat) / sizeof(ro_compat[0]),
		    sb.s_feature_ro_compat & ~ro, names, sizeof(names));
		snprintf(text, sizeof(text),
		    "it has features that cannot be written here: %s", names);
		make_rdonly(m, text);
	}
	if (sb.s_feature_incompat & EXT4_FEATURE_INCOMPAT_MMP)
		make_rdonly(m, "it has features that cannot be written here: mmp");
	*ret_recover = check_journal(m, &sb);
	if (!*ret_recover)
		check_state(m, &sb);
	return 0;
}
