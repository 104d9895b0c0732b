/*
 * Images with random damage: the same seed makes the same of the same image.  Used by
 * p-corrupt, which writes one to a file, and p-hostile, which mounts many.
 *
 * A damage is one to eight changes: bits and bytes, numbers that somebody may count or
 * allocate by, blocks that are zero, swapped or doubled, digits in headers of text, and now
 * and then the end cut off.  Two of three changes go to places full of structure: near the
 * signatures that are found in the image, its beginning and its end.  Then, mostly, checksums
 * of headers are put right again, as an attacker would, so that damage gets further than to
 * the first of them.
 */
#ifndef CORRUPT_H
#define CORRUPT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOT 4096u

/* Where an image has structure; found once for all its damages. */
struct hot {
	size_t ho_at[MAX_HOT];
	unsigned ho_n;
};

struct damage {
	uint8_t *dm_p;
	size_t dm_len; /* may become less */
	uint64_t dm_rng;
	const struct hot *dm_hot;
};

static inline uint64_t
dm_random(struct damage *d)
{
	uint64_t z = d->dm_rng += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline size_t
dm_below(struct damage *d, size_t n)
{
	return n ? (size_t)(dm_random(d) % n) : 0;
}

static inline uint32_t
dm_crc(const uint8_t *p, size_t len, uint32_t poly, uint32_t crc)
{
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? poly : 0);
	}
	return crc;
}

static inline void
dm_put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline uint64_t
dm_get64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline void
corrupt_look(const uint8_t *p, size_t len, struct hot *ret)
{
	static const struct {
		const char *sig;
		size_t len, back; /* where the structure begins before it */
	} sigs[] = {
	    {"ustar", 5, 257},
	    {"PK\1\2", 4, 0},
	    {"PK\3\4", 4, 0},
	    {"PK\5\6", 4, 0},
	    {"PK\6\6", 4, 0},
	    {"070701", 6, 0},
	    {"070707", 6, 0},
	    {"CD001", 5, 1},
	    {"RR\5\1", 4, 33},
	    {"PX\44\1", 4, 33},
	    {"\x53\xef", 2, 56},
	    {"\x0a\xf3", 2, 40},
	    {"7z\xbc\xaf", 4, 0},
	    {"hsqs", 4, 0},
	};

	ret->ho_n = 0;
	for (size_t i = 0; i + 8 < len && ret->ho_n < MAX_HOT; i++)
		for (size_t j = 0; j < sizeof(sigs) / sizeof(sigs[0]); j++)
			if (p[i] == (uint8_t)sigs[j].sig[0] && i >= sigs[j].back &&
			    memcmp(p + i, sigs[j].sig, sigs[j].len) == 0 &&
			    ret->ho_n < MAX_HOT)
				ret->ho_at[ret->ho_n++] = i - sigs[j].back;
}

static inline size_t
dm_place(struct damage *d)
{
	size_t at;

	switch (dm_below(d, 6)) {
	case 0:
	case 1:
		at = d->dm_hot->ho_n ? d->dm_hot->ho_at[dm_below(d, d->dm_hot->ho_n)] +
		                           dm_below(d, 512)
		                     : dm_below(d, 512);
		break;
	case 2:
		at = dm_below(d, 4096);
		break;
	case 3:
		at = d->dm_len - 1 - dm_below(d, d->dm_len < 4096 ? d->dm_len : 4096);
		break;
	case 4:
		at = dm_below(d, 192 << 10);
		break;
	default:
		at = dm_below(d, d->dm_len);
	}
	return at < d->dm_len ? at : dm_below(d, d->dm_len);
}

static inline void
dm_number(struct damage *d)
{
	static const uint64_t odd[] = {0, 1, 2, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff,
	    0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x7fffffffffffffff,
	    0x8000000000000000, 0xffffffffffffffff};
	size_t at = dm_place(d), n = (size_t)1 << dm_below(d, 4);
	uint64_t v = dm_below(d, 3) ? odd[dm_below(d, sizeof(odd) / 8)] : dm_random(d);
	bool big = dm_below(d, 4) == 0;

	at -= at % n;
	for (size_t i = 0; i < n && at + i < d->dm_len; i++)
		d->dm_p[at + i] = (uint8_t)(v >> 8 * (big ? n - 1 - i : i));
}

static inline void
dm_blocks(struct damage *d, int how)
{
	size_t n = (size_t)512 << dm_below(d, 4), a = dm_place(d), b = dm_place(d);

	a -= a % n;
	b -= b % n;
	if (a + n > d->dm_len || b + n > d->dm_len)
		return;
	for (size_t i = 0; i < n; i++) {
		uint8_t x = d->dm_p[a + i];

		d->dm_p[a + i] = how == 0 ? 0 : d->dm_p[b + i];
		if (how == 1)
			d->dm_p[b + i] = x;
	}
}

static inline void
dm_digits(struct damage *d)
{
	static const char alphabet[] = "0123456789abcdef7777 \0/-.";
	size_t at = dm_place(d), done = 0;

	for (size_t i = at; i < d->dm_len && i < at + 64 && done < 12; i++)
		if (d->dm_p[i] >= '0' && d->dm_p[i] <= '9') {
			d->dm_p[i] = (uint8_t)alphabet[dm_below(d, sizeof(alphabet) - 1)];
			done++;
		}
}

static inline void
dm_repair(struct damage *d)
{
	uint8_t *p = d->dm_p;

	for (size_t at = 0; at + 512 <= d->dm_len; at += 512) { /* tar */
		unsigned sum = 8 * ' ';
		char text[8];

		if (memcmp(p + at + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < 512; i++)
			sum += i < 148 || i >= 156 ? p[at + i] : 0;
		snprintf(text, sizeof(text), "%06o", sum & 0777777);
		memcpy(p + at + 148, text, 7);
		p[at + 155] = ' ';
	}
	if (d->dm_len > 32 && memcmp(p, "7z\xbc\xaf\x27\x1c", 6) == 0) {
		uint64_t off = dm_get64(p + 12), n = dm_get64(p + 20);

		if (off < d->dm_len - 32 && n <= d->dm_len - 32 - off)
			dm_put32(p + 28, ~dm_crc(p + 32 + off, n, 0xedb88320, ~0u));
		dm_put32(p + 8, ~dm_crc(p + 12, 20, 0xedb88320, ~0u));
	}
	if (d->dm_len > 2048 && p[1024 + 56] == 0x53 && p[1024 + 57] == 0xef &&
	    (p[1024 + 0x65] & 4)) /* ext4's metadata_csum */
		dm_put32(p + 2044, dm_crc(p + 1024, 1020, 0x82f63b78, ~0u));
}

/* Damages the *len bytes at p, a copy of what hot was found in; *len may become less. */
static inline void
corrupt(uint8_t *p, size_t *len, const struct hot *hot, uint64_t seed)
{
	struct damage damage = {p, *len, seed, hot}, *d = &damage;
	size_t n;

	if (*len < 16)
		return;
	for (n = 1 + dm_below(d, 8); n > 0; n--) {
		switch (dm_below(d, 12)) {
		case 0:
		case 1:
			p[dm_place(d)] ^= (uint8_t)(1u << dm_below(d, 8));
			break;
		case 2:
		case 3:
			for (size_t at = dm_place(d), i = dm_below(d, 16) + 1;
			     i > 0 && at < d->dm_len; i--, at++)
				p[at] = (uint8_t)dm_random(d);
			break;
		case 4:
			dm_blocks(d, (int)dm_below(d, 3));
			break;
		case 5:
			if (dm_below(d, 4) == 0)
				d->dm_len = 16 + dm_below(d, d->dm_len - 16);
			break;
		case 6:
		case 7:
			dm_digits(d);
			break;
		default:
			dm_number(d);
		}
	}
	if (dm_below(d, 4) != 0)
		dm_repair(d);
	*len = d->dm_len;
}

#endif
