/*
 * Replaying a journal (ext_journal.h).
 *
 * The log is a ring of blocks: transactions of descriptor blocks, each followed by the blocks
 * that it names, revoke blocks, and one commit block.  Four passes go over it: the first
 * finds the last transaction that is whole, the second collects which blocks later
 * transactions have revoked, the third looks at all that is to be written, and only then does
 * a fourth write it to its places: a journal that is damaged leaves the image as it was.
 *
 * Everything in the log is big-endian, and hostile: block numbers are held against the file
 * system's size and the journal's own blocks, those of the log against its length, and no pass
 * looks at more blocks than the log has.
 */
#include "vfs/image/ext/ext_journal.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/progress.h"

#define MAGIC        0xC03B3998u
#define SB_BYTES     1024u
#define HEADER_BYTES 12u
#define MAX_BLOCK    65536u
#define BLOCKS_MAX   10240000u  /* as mke2fs makes them */
#define REVOKES_MAX  (8u << 20) /* entries; a log of 4 GiB has no more worth keeping */
#define UUID_BYTES   16u
#define TAIL_BYTES   4u

enum {
	BT_DESCRIPTOR = 1,
	BT_COMMIT = 2,
	BT_SUPER_V1 = 3,
	BT_SUPER_V2 = 4,
	BT_REVOKE = 5,
};

enum {
	INCOMPAT_REVOKE = 0x01,
	INCOMPAT_64BIT = 0x02,
	INCOMPAT_ASYNC = 0x04,
	INCOMPAT_CSUM_V2 = 0x08,
	INCOMPAT_CSUM_V3 = 0x10,
	INCOMPAT_FAST = 0x20,
};

enum {
	TAG_ESCAPE = 1,
	TAG_SAME_UUID = 2,
	TAG_LAST = 8,
};

/* Where things are in the journal's superblock. */
enum {
	SB_BLOCKSIZE = 0x0C,
	SB_MAXLEN = 0x10,
	SB_FIRST = 0x14,
	SB_SEQUENCE = 0x18,
	SB_START = 0x1C,
	SB_ERRNO = 0x20,
	SB_INCOMPAT = 0x28,
	SB_UUID = 0x30,
	SB_CHECKSUM = 0xFC,
};

struct revoke {
	uint64_t rv_block;
	uint32_t rv_seq;
};

struct journal {
	ext2_filsys j_fs;
	struct device *j_dev;
	ext2_ino_t j_ino;
	uint32_t j_bs;           /* bytes of a block, the file system's */
	uint32_t j_len, j_first; /* blocks */
	uint32_t j_seq, j_start; /* of the first transaction */
	uint32_t j_end;          /* the sequence number after the last whole one */
	uint32_t j_incompat;
	uint32_t j_seed;           /* of checksums */
	uint64_t *j_at;            /* where its blocks are, j_len */
	uint64_t *j_own;           /* the same, sorted */
	uint8_t *j_sb;             /* SB_BYTES */
	uint8_t *j_desc, *j_block; /* j_bs bytes each */
	struct revoke *j_rv;
	size_t j_nrv, j_caprv;
	char *j_why;
	size_t j_why_len;
	struct progress
	    j_pg; /* of all passes, once the first has shown how long the log is */
};

enum pass {
	PASS_SCAN,
	PASS_REVOKE,
	PASS_VERIFY,
	PASS_REPLAY,
	PASSES,
};

static int __attribute__((format(printf, 3, 4)))
fail(struct journal *j, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->j_why, j->j_why_len, fmt, ap);
	va_end(ap);
	return err;
}

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void
put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static bool
has_csum(const struct journal *j)
{
	return j->j_incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3);
}

/* Is a comes after b?  Numbers of transactions go round. */
static bool
later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static int
place_of(struct journal *j, uint32_t block, uint64_t *ret)
{
	blk64_t at = 0;
	errcode_t e = 0;

	if (j->j_at) /* block < j_len */
		at = j->j_at[block];
	else
		e = ext2fs_bmap2(j->j_fs, j->j_ino, NULL, NULL, 0, block, NULL, &at);
	if (e || at == 0 || at >= ext2fs_blocks_count(j->j_fs->super))
		return fail(j, -EUCLEAN, "block %u of the journal has no place", block);
	*ret = at * j->j_bs;
	return 0;
}

static int
read_log(struct journal *j, uint32_t block, uint8_t *buf)
{
	uint64_t at;
	int r = place_of(j, block, &at);

	return r < 0 ? r : device_read(j->j_dev, buf, j->j_bs, at);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
is_own(const struct journal *j, uint64_t block)
{
	return bsearch(&block, j->j_own, j->j_len, sizeof(block), by_number);
}

/* Where all of it lies, once.  No block is in it twice. */
static int
find_places(struct journal *j)
{
	uint64_t *at = calloc(j->j_len, sizeof(*at)), byte;
	int r = 0;

	j->j_own = calloc(j->j_len, sizeof(*at));
	if (!at || !j->j_own)
		r = -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < j->j_len; i++) {
		r = place_of(j, i, &byte);
		if (r == 0)
			at[i] = j->j_own[i] = byte / j->j_bs;
	}
	if (r < 0) {
		free(at);
		return r;
	}
	j->j_at = at;
	qsort(j->j_own, j->j_len, sizeof(*at), by_number);
	for (uint32_t i = 1; i < j->j_len; i++)
		if (j->j_own[i] == j->j_own[i - 1])
			return fail(j, -EUCLEAN, "the journal has a block twice");
	return 0;
}

/* The block after the n-th one, in the ring. */
static uint32_t
advance(const struct journal *j, uint32_t block, uint32_t n)
{
	uint32_t ring = j->j_len - j->j_first;

	return j->j_first + (uint32_t)(((uint64_t)(block - j->j_first) + n) % ring);
}

/* The checksum at off of a block, which counts as zero in it. */
static bool
csum_right(struct journal *j, uint8_t *block, uint32_t off)
{
	uint32_t want = get32(block + off), is;

	if (!has_csum(j))
		return true;
	memset(block + off, 0, sizeof(want));
	is = ext2fs_crc32c_le(j->j_seed, block, j->j_bs);
	put32(block + off, want);
	return is == want;
}

/* One tag of a descriptor. */
struct tag {
	uint64_t t_block;
	uint32_t t_flags;
	uint32_t t_csum;
};

static uint32_t
tag_bytes(const struct journal *j)
{
	uint32_t n = 12;

	if (j->j_incompat & INCOMPAT_CSUM_V3)
		return 16;
	if (j->j_incompat & INCOMPAT_CSUM_V2)
		n += 2;
	return j->j_incompat & INCOMPAT_64BIT ? n : n - 4;
}

/* The tag at *off of the descriptor, and *off to the next.  False: there is no more. */
static bool
next_tag(const struct journal *j, uint32_t *off, struct tag *ret)
{
	uint32_t end = j->j_bs - (has_csum(j) ? TAIL_BYTES : 0), n = tag_bytes(j);
	const uint8_t *p = j->j_desc + *off;

	if (*off > end || n > end - *off)
		return false;
	ret->t_block = get32(p);
	if (j->j_incompat & INCOMPAT_CSUM_V3) {
		ret->t_flags = get32(p + 4);
		ret->t_csum = get32(p + 12);
		if (j->j_incompat & INCOMPAT_64BIT)
			ret->t_block |= (uint64_t)get32(p + 8) << 32;
	} else {
		ret->t_csum = (uint32_t)p[4] << 8 | p[5];
		ret->t_flags = (uint32_t)p[6] << 8 | p[7];
		if (j->j_incompat & INCOMPAT_64BIT)
			ret->t_block |= (uint64_t)get32(p + 8) << 32;
	}
	*off += n;
	if (!(ret->t_flags & TAG_SAME_UUID))
		*off += UUID_BYTES;
	return true;
}

static int
by_block(const void *a, const void *b)
{
	const struct revoke *x = a, *y = b;

	if (x->rv_block != y->rv_block)
		return x->rv_block < y->rv_block ? -1 : 1;
	return later(x->rv_seq, y->rv_seq) ? -1 : later(y->rv_seq, x->rv_seq);
}

/* Has this or a later transaction revoked the block?  The array is sorted, the latest of a
 * block first. */
static bool
is_revoked(const struct journal *j, uint64_t block, uint32_t seq)
{
	size_t lo = 0, hi = j->j_nrv;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (j->j_rv[mid].rv_block < block)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < j->j_nrv && j->j_rv[lo].rv_block == block &&
	       !later(seq, j->j_rv[lo].rv_seq);
}

static int
add_revoke(struct journal *j, uint64_t block, uint32_t seq)
{
	if (j->j_nrv == j->j_caprv) {
		size_t cap = j->j_caprv ? j->j_caprv * 2 : 256;
		struct revoke *p =
		    cap > REVOKES_MAX ? NULL : reallocarray(j->j_rv, cap, sizeof(*p));

		if (!p)
			return fail(j, -ENOMEM, "too many revoked blocks");
		j->j_rv = p;
		j->j_caprv = cap;
	}
	j->j_rv[j->j_nrv++] = (struct revoke){block, seq};
	return 0;
}

/* A revoke block, in j_desc. */
static int
take_revokes(struct journal *j, uint32_t seq)
{
	uint32_t n = j->j_incompat & INCOMPAT_64BIT ? 8 : 4;
	uint32_t used = get32(j->j_desc + HEADER_BYTES);
	int r = 0;

	if (!csum_right(j, j->j_desc, j->j_bs - TAIL_BYTES) || used > j->j_bs)
		return fail(j, -EUCLEAN, "a revoke block of the journal is damaged");
	for (uint32_t off = HEADER_BYTES + 4; r == 0 && off + n <= used; off += n) {
		uint64_t block = get32(j->j_desc + off);

		if (n == 8)
			block = block << 32 | get32(j->j_desc + off + 4);
		r = add_revoke(j, block, seq);
	}
	return r;
}

/* One block of a transaction to its place, or only looked at. */
static int
replay_block(
    struct journal *j, enum pass pass, const struct tag *t, uint32_t at, uint32_t seq)
{
	struct ext2_super_block *sb = j->j_fs->super;
	uint32_t be_seq = htobe32(seq), is;
	int r;

	if (is_revoked(j, t->t_block, seq))
		return 0;
	if (t->t_block < sb->s_first_data_block || t->t_block >= ext2fs_blocks_count(sb))
		return fail(j, -EUCLEAN, "the journal names a block beyond the end");
	if (is_own(j, t->t_block))
		return fail(j, -EUCLEAN, "the journal names a block of its own");
	if (pass == PASS_VERIFY && !has_csum(j))
		return 0;
	r = read_log(j, at, j->j_block);
	if (r < 0)
		return r;
	if (has_csum(j)) {
		is = ext2fs_crc32c_le(j->j_seed, (uint8_t *)&be_seq, sizeof(be_seq));
		is = ext2fs_crc32c_le(is, j->j_block, j->j_bs);
		if (!(j->j_incompat & INCOMPAT_CSUM_V3))
			is &= 0xFFFF;
		if (is != t->t_csum)
			return fail(j, -EUCLEAN, "a block in the journal is damaged");
	}
	if (pass == PASS_VERIFY)
		return 0;
	if (t->t_flags & TAG_ESCAPE)
		put32(j->j_block, MAGIC);
	return device_write(j->j_dev, j->j_block, j->j_bs, t->t_block * j->j_bs);
}

/* A descriptor, in j_desc, at a block of the log: *ret_n blocks follow it. */
static int
take_descriptor(
    struct journal *j, enum pass pass, uint32_t at, uint32_t seq, uint32_t *ret_n)
{
	uint32_t off = HEADER_BYTES, n = 0;
	struct tag t;
	int r = 0;

	while (r == 0 && next_tag(j, &off, &t)) {
		n++;
		if (pass == PASS_VERIFY || pass == PASS_REPLAY)
			r = replay_block(j, pass, &t, advance(j, at, n), seq);
		if (t.t_flags & TAG_LAST)
			break;
	}
	*ret_n = n;
	return r;
}

/*
 * A descriptor or commit block of transaction seq whose checksum is wrong.  Was it being
 * written when everything ended, the log ends before it; then there is no whole commit block
 * of it in the rest of the log.  If there is one, it has been committed and is damaged.
 */
static int
judge(struct journal *j, uint32_t at, uint32_t seen, uint32_t seq)
{
	uint32_t ring = j->j_len - j->j_first;
	int r = 0;

	for (uint32_t n = 1; r == 0 && n < ring - seen; n++) {
		r = read_log(j, advance(j, at, n), j->j_desc);
		if (r == 0 && get32(j->j_desc) == MAGIC &&
		    get32(j->j_desc + 4) == BT_COMMIT && get32(j->j_desc + 8) == seq)
			r = fail(j, -EUCLEAN, "a descriptor of the journal is damaged");
	}
	return r;
}

/* The block in j_desc.  *ret_n blocks follow that belong to it; *ret_end: the log ends
 * before it. */
static int
take_block(struct journal *j, enum pass pass, uint32_t at, uint32_t seen, uint32_t *seq,
    uint32_t *ret_n, bool *ret_end)
{
	uint32_t type = get32(j->j_desc + 4);

	*ret_n = 0;
	*ret_end = false;
	switch (type) {
	case BT_DESCRIPTOR:
		if (csum_right(j, j->j_desc, j->j_bs - TAIL_BYTES))
			return take_descriptor(j, pass, at, *seq, ret_n);
		*ret_end = true;
		return judge(j, at, seen, *seq);
	case BT_REVOKE:
		return pass == PASS_REVOKE ? take_revokes(j, *seq) : 0;
	case BT_COMMIT:
		/* It is one sector: it is there or not. */
		if (!csum_right(j, j->j_desc, HEADER_BYTES + 4))
			return fail(
			    j, -EUCLEAN, "a commit block of the journal is damaged");
		++*seq;
		return 0;
	default:
		*ret_end = true;
		return 0;
	}
}

/* Goes over the log.  The scan ends where the log does; the others at j_end. */
static int
go_over(struct journal *j, enum pass pass)
{
	uint32_t seq = j->j_seq, at = j->j_start, seen = 0, n;
	uint32_t ring = j->j_len - j->j_first;
	uint64_t before = j->j_pg.pg_done;
	bool end = false;
	int r = 0;

	while (r == 0 && seen < ring && (pass == PASS_SCAN || later(j->j_end, seq))) {
		j->j_pg.pg_done = before + seen;
		PROGRESS_TELL(&j->j_pg, 0);
		r = read_log(j, at, j->j_desc);
		if (r < 0 || get32(j->j_desc) != MAGIC || get32(j->j_desc + 8) != seq)
			break;
		r = take_block(j, pass, at, seen, &seq, &n, &end);
		/* More than there is: no commit block can follow. */
		if (r < 0 || end || n + 1 > ring - seen)
			break;
		at = advance(j, at, n + 1);
		seen += n + 1;
	}
	j->j_pg.pg_done = before + seen;
	if (pass == PASS_SCAN) {
		j->j_end = seq;
		j->j_pg.pg_total = PASSES * (uint64_t)seen;
	}
	if (pass != PASS_SCAN && r == 0 && later(j->j_end, seq))
		r = fail(j, -EUCLEAN, "the journal is damaged");
	return r;
}

/* The journal's superblock, checked. */
static int
read_super(struct journal *j)
{
	const uint8_t *sb = j->j_sb;
	uint32_t type, sum;
	uint64_t at;
	int r = place_of(j, 0, &at);

	if (r == 0)
		r = device_read(j->j_dev, j->j_sb, SB_BYTES, at);
	if (r < 0)
		return r;
	type = get32(sb + 4);
	if (get32(sb) != MAGIC || (type != BT_SUPER_V1 && type != BT_SUPER_V2) ||
	    get32(sb + SB_BLOCKSIZE) != j->j_bs)
		return fail(j, -EUCLEAN, "the journal's superblock is damaged");
	j->j_len = get32(sb + SB_MAXLEN);
	j->j_first = get32(sb + SB_FIRST);
	j->j_seq = get32(sb + SB_SEQUENCE);
	j->j_start = get32(sb + SB_START);
	j->j_incompat = type == BT_SUPER_V2 ? get32(sb + SB_INCOMPAT) : 0;
	if (j->j_incompat & ~(uint32_t)(INCOMPAT_REVOKE | INCOMPAT_64BIT |
					INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3))
		return fail(j, -EOPNOTSUPP,
		    "the journal has features that only e2fsck can replay (%#x)",
		    j->j_incompat);
	if (has_csum(j)) {
		uint8_t copy[SB_BYTES];

		memcpy(copy, sb, sizeof(copy));
		memset(copy + SB_CHECKSUM, 0, 4);
		sum = ext2fs_crc32c_le(~0u, copy, sizeof(copy));
		if (sum != get32(sb + SB_CHECKSUM))
			return fail(j, -EUCLEAN, "the journal's superblock is damaged");
		j->j_seed = ext2fs_crc32c_le(~0u, sb + SB_UUID, UUID_BYTES);
	}
	if (j->j_first == 0 || j->j_len > BLOCKS_MAX ||
	    j->j_len > ext2fs_blocks_count(j->j_fs->super) ||
	    j->j_first >= j->j_len - 1 ||
	    (j->j_start && (j->j_start < j->j_first || j->j_start >= j->j_len)))
		return fail(j, -EUCLEAN, "the journal's superblock is damaged");
	return 0;
}

/* From here on there is nothing in the log. */
static int
mark_empty(struct journal *j)
{
	uint64_t at;
	int r = place_of(j, 0, &at);

	if (r < 0)
		return r;
	put32(j->j_sb + SB_SEQUENCE, j->j_end + 1);
	put32(j->j_sb + SB_START, 0);
	if (has_csum(j)) {
		put32(j->j_sb + SB_CHECKSUM, 0);
		put32(j->j_sb + SB_CHECKSUM, ext2fs_crc32c_le(~0u, j->j_sb, SB_BYTES));
	}
	r = device_write(j->j_dev, j->j_sb, SB_BYTES, at);
	return r < 0 ? r : device_sync(j->j_dev, true);
}

static int
replay(struct journal *j)
{
	int r = read_super(j);

	if (r < 0 || j->j_start == 0)
		return r;
	r = find_places(j);
	if (r == 0)
		r = go_over(j, PASS_SCAN);
	if (r == 0)
		r = go_over(j, PASS_REVOKE);
	if (r < 0)
		return r;
	if (j->j_nrv)
		qsort(j->j_rv, j->j_nrv, sizeof(*j->j_rv), by_block);
	r = go_over(j, PASS_VERIFY);
	if (r == 0)
		r = go_over(j, PASS_REPLAY);
	/* What is in its place is there for good before the log says that it is not needed. */
	if (r == 0)
		r = device_sync(j->j_dev, true);
	return r < 0 ? r : mark_empty(j);
}

int
ext_journal_replay(
    ext2_filsys fs, const struct fsmount *m, bool *ret_errors, char *why, size_t why_len)
{
	struct journal j = {
	    .j_fs = fs,
	    .j_dev = m->fm_dev,
	    .j_pg = {.pg_what = "replaying the journal of",
		.pg_name = m->fm_name,
		.pg_unit = "blocks"},
	    .j_ino = fs->super->s_journal_inum,
	    .j_bs = fs->blocksize,
	    .j_why = why,
	    .j_why_len = why_len,
	};
	int r;

	if (j.j_bs < SB_BYTES || j.j_bs > MAX_BLOCK)
		return fail(&j, -EUCLEAN, "a block size that cannot be");
	if (j.j_ino == 0 || j.j_ino > fs->super->s_inodes_count)
		return fail(&j, -EOPNOTSUPP, "the journal is on another device");
	j.j_sb = malloc(SB_BYTES);
	j.j_desc = malloc(j.j_bs);
	j.j_block = malloc(j.j_bs);
	r = j.j_sb && j.j_desc && j.j_block ? replay(&j) : -ENOMEM;
	PROGRESS_TELL(&j.j_pg, 1);
	if (r == 0)
		*ret_errors = get32(j.j_sb + SB_ERRNO) != 0;
	if (r < 0 && !why[0])
		fail(&j, r, "the journal: %s", strerrordesc_np(-r));
	free(j.j_sb);
	free(j.j_desc);
	free(j.j_block);
	free(j.j_rv);
	free(j.j_at);
	free(j.j_own);
	return r;
}
