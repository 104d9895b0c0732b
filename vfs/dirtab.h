/*
 * The directory table: name → value, listed in the order of creation.
 *
 * A dense array of entries in creation order and an open-addressing index over it by the
 * hash of the name.  Each entry gets a sequence number that is never used again in the
 * life of the table; that number is the readdir cookie.  A scan that goes on "after
 * cookie c" therefore returns every entry that exists for the whole scan exactly once,
 * whatever is added or removed meanwhile.  Removal leaves a gap; gaps are squeezed out
 * (keeping the order) when they are more than half of the array.
 *
 * Find, add and remove are O(1) amortised; finding the place of a cookie O(log n).
 *
 * Locking: none of its own; the directory's v_lock, shared to find and scan, exclusive to
 * change.  The values are the caller's: the table takes and drops no references.
 */
#ifndef RF_VFS_DIRTAB_H
#define RF_VFS_DIRTAB_H

#include "vfs/name.h"

struct dirent_node {
	void *de_value;
	uint32_t de_hash;
	uint16_t de_len;
	char de_name[]; /* de_len bytes and a NUL */
};

struct dirtab_place {
	uint64_t dp_seq;           /* the cookie; rising along the array, kept in a gap */
	struct dirent_node *dp_de; /* NULL = gap */
};

struct dirtab {
	struct dirtab_place *dt_places;
	uint32_t *dt_index;       /* position + 1 in dt_places, 0 = empty, ~0 = deleted */
	uint32_t dt_used, dt_cap; /* of dt_places */
	uint32_t dt_first;        /* nothing but gaps before it */
	uint32_t dt_isize;        /* of dt_index: a power of two, or 0 */
	uint32_t dt_ifill;        /* index slots that are not empty */
	uint32_t dt_live;         /* entries */
	uint64_t dt_seq;          /* the last sequence number given out */
};

/* Sequence numbers start at base + 1. */
void dirtab_init(struct dirtab *t, uint64_t base);
/* Frees all entries; the values must have been dealt with. */
void dirtab_done(struct dirtab *t);

struct dirent_node *dirtab_find(const struct dirtab *t, const struct name *n);
/* 0, -EEXIST, -ENOMEM or -EFBIG.  On failure the table is as before. */
int dirtab_add(struct dirtab *t, const struct name *n, void *value);
/* The sequence number of an entry that is in the table. */
uint64_t dirtab_seq(const struct dirtab *t, const struct dirent_node *de);
/* The same as dirtab_add() where an entry was that has been removed: with the number that it
 * had, and so in its place of the listing. */
int dirtab_add_at(struct dirtab *t, const struct name *n, void *value, uint64_t seq);
/* Removes and frees an entry that is in the table.  Cannot fail. */
void dirtab_remove(struct dirtab *t, struct dirent_node *de);
/* Makes room, so that the next dirtab_add() of a name of len bytes cannot fail but with
 * -EEXIST: *ret_spare is an entry to pass to dirtab_add_spare(), or to free(). */
int dirtab_reserve(
    struct dirtab *t, const struct name *n, struct dirent_node **ret_spare);
/* Adds a reserved entry under the name it was reserved for.  The name must be absent. */
void dirtab_add_spare(struct dirtab *t, struct dirent_node *spare, void *value);

/* The first entry whose sequence number is greater than *seq, which becomes its own; NULL
 * at the end.  *pos is a hint that makes the next call O(1); start it at 0. */
struct dirent_node *dirtab_next(const struct dirtab *t, uint64_t *seq, uint32_t *pos);

static inline uint32_t
dirtab_count(const struct dirtab *t)
{
	return t->dt_live;
}

#endif
