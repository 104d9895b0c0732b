/* Sparse arrays of pages (rumpfs_pages.h). */
#include "vfs/rumpfs_pages.h"

#include <errno.h>
#include <stdlib.h>

#define BITS  6u
#define WIDTH (1u << BITS)

struct node {
	uint32_t count; /* slots in use */
	void *slot[WIDTH];
};

/* The number of pages that a tree of this height spans; 0 means more than can be counted.
 */
static uint64_t
span(unsigned height)
{
	return height * BITS >= 64 ? 0 : (uint64_t)1 << (height * BITS);
}

static bool
spans(unsigned height, uint64_t index)
{
	return span(height) == 0 || index < span(height);
}

static unsigned
slot_of(unsigned height, uint64_t index)
{
	return (unsigned)(index >> ((height - 1) * BITS)) & (WIDTH - 1);
}

void *
pages_get(const struct pages *p, uint64_t index)
{
	void *at = p->pg_root;

	if (!spans(p->pg_height, index))
		return NULL;
	for (unsigned h = p->pg_height; h > 0 && at; h--)
		at = ((struct node *)at)->slot[slot_of(h, index)];
	return at;
}

/* Makes the tree tall enough for index. */
static int
raise(struct pages *p, uint64_t index)
{
	while (!spans(p->pg_height, index)) {
		if (p->pg_root) {
			struct node *n = calloc(1, sizeof(*n));

			if (!n)
				return -ENOMEM;
			n->slot[0] = p->pg_root;
			n->count = 1;
			p->pg_root = n;
		}
		p->pg_height++;
	}
	return 0;
}

/* A chain of nodes of heights from height down to 1 with page at its end.  NULL: no
 * memory. */
static void *
chain(unsigned height, uint64_t index, void *page)
{
	void *below = page;

	for (unsigned h = 1; h <= height; h++) {
		struct node *n = calloc(1, sizeof(*n));

		if (!n) {
			while (--h > 0) {
				struct node *gone = below;

				below = gone->slot[slot_of(h, index)];
				free(gone);
			}
			return NULL;
		}
		n->slot[slot_of(h, index)] = below;
		n->count = 1;
		below = n;
	}
	return below;
}

int
pages_put(struct pages *p, uint64_t index, void *page)
{
	void **at = &p->pg_root, *sub;
	struct node *parent = NULL;
	int r = raise(p, index);
	unsigned h;

	if (r < 0)
		return r;
	for (h = p->pg_height; h > 0 && *at; h--) {
		parent = *at;
		at = &parent->slot[slot_of(h, index)];
	}
	sub = chain(h, index, page);
	if (!sub)
		return -ENOMEM;
	*at = sub;
	if (parent)
		parent->count++;
	p->pg_count++;
	return 0;
}

/* Takes the page out below at; nodes that become empty go. */
static bool
drop(void **at, unsigned height, uint64_t index, void **ret_page)
{
	struct node *n = *at;
	void **slot;

	if (!n)
		return false;
	if (height == 0) {
		*ret_page = *at;
		*at = NULL;
		return true;
	}
	slot = &n->slot[slot_of(height, index)];
	if (!drop(slot, height - 1, index, ret_page))
		return false;
	if (!*slot && --n->count == 0) {
		free(n);
		*at = NULL;
	}
	return true;
}

void *
pages_take(struct pages *p, uint64_t index)
{
	void *page = NULL;

	if (!spans(p->pg_height, index) || !drop(&p->pg_root, p->pg_height, index, &page))
		return NULL;
	p->pg_count--;
	if (!p->pg_root)
		p->pg_height = 0;
	return page;
}

/* Below at (of this height, its first page being base): the first index ≥ from. */
static bool
next(void *at, unsigned height, uint64_t base, uint64_t from, uint64_t *ret)
{
	struct node *n = at;
	unsigned shift = height ? (height - 1) * BITS : 0;

	if (height == 0) {
		*ret = base;
		return base >= from;
	}
	for (unsigned i = from > base ? (unsigned)((from - base) >> shift) : 0; i < WIDTH;
	     i++) {
		uint64_t sub = base + ((uint64_t)i << shift);

		if (n->slot[i] && next(n->slot[i], height - 1, sub, from, ret))
			return true;
	}
	return false;
}

bool
pages_next(const struct pages *p, uint64_t from, uint64_t *ret_index)
{
	if (!p->pg_root || !spans(p->pg_height, from))
		return false;
	return next(p->pg_root, p->pg_height, 0, from, ret_index);
}

uint64_t
pages_next_hole(const struct pages *p, uint64_t from)
{
	while (pages_get(p, from))
		from++;
	return from;
}
