/*
 * Sparse arrays of pages: the heap form of file data.
 *
 * A radix tree of 64 pointers a node over page numbers.  A file of one page is that page
 * and nothing else; a hole is a missing pointer.  The tree knows nothing of limits or
 * sizes.  Locking: the file's v_lock, shared to read, exclusive to change.
 */
#ifndef RF_VFS_RUMPFS_PAGES_H
#define RF_VFS_RUMPFS_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_BYTES ((uint64_t)1 << PAGE_SHIFT)

struct pages {
	void *pg_root;     /* height 0: page 0; else a node; NULL: nothing at all */
	uint64_t pg_count; /* pages that are there */
	unsigned pg_height;
};

void *pages_get(const struct pages *p, uint64_t index);
/* Puts a page (from malloc) where none is.  0 or -ENOMEM; on failure it stays the
 * caller's. */
int pages_put(struct pages *p, uint64_t index, void *page);
/* Takes a page out and hands it over; NULL if there is none. */
void *pages_take(struct pages *p, uint64_t index);
/* The lowest index ≥ from with a page.  False: none. */
bool pages_next(const struct pages *p, uint64_t from, uint64_t *ret_index);
/* The lowest index ≥ from without a page (there always is one). */
uint64_t pages_next_hole(const struct pages *p, uint64_t from);

#endif
