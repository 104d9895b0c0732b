/*
 * The books (request.h): what the kernel holds after the answers that reached it, and
 * without what it has given back.
 */
#include "tests/fuzz/request.h"

static uint64_t *
lookups_of(struct held *h, uint64_t id)
{
	for (unsigned i = 0; i < h->h_nnodes; i++)
		if (h->h_nodes[i].id == id)
			return &h->h_nodes[i].lookups;
	return NULL;
}

void
held_lookup(struct held *h, uint64_t id)
{
	uint64_t *n = lookups_of(h, id);

	if (n) {
		++*n;
		return;
	}
	NEED(h->h_nnodes < HELD_MAX);
	h->h_nodes[h->h_nnodes].id = id;
	h->h_nodes[h->h_nnodes++].lookups = 1;
}

uint64_t
held_lookups(const struct held *h, uint64_t id)
{
	const uint64_t *n = lookups_of((struct held *)(uintptr_t)h, id);

	return n ? *n : 0;
}

/* Never more than was given. */
static void
forget(struct held *h, uint64_t id, uint64_t count)
{
	uint64_t *n = lookups_of(h, id);

	if (n)
		*n -= *n < count ? *n : count;
}

void
held_open(struct held *h, uint64_t fh)
{
	NEED(h->h_nfiles < HELD_MAX);
	for (unsigned i = 0; i < h->h_nfiles; i++)
		NEED(h->h_files[i] != fh);
	h->h_files[h->h_nfiles++] = fh;
}

static void
release(struct held *h, uint64_t fh)
{
	for (unsigned i = 0; i < h->h_nfiles; i++) {
		if (h->h_files[i] != fh)
			continue;
		h->h_files[i] = h->h_files[--h->h_nfiles];
		return;
	}
}

void
held_message(struct held *h, const unsigned char *msg)
{
	const struct fuse_in_header *in = (const struct fuse_in_header *)msg;
	const unsigned char *body = msg + sizeof(*in);
	const struct fuse_batch_forget_in *batch = (const void *)body;
	const struct fuse_forget_one *one = (const void *)(batch + 1);

	switch (in->opcode) {
	case FUSE_FORGET:
		forget(h, in->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
		break;
	case FUSE_BATCH_FORGET:
		for (uint32_t i = 0; i < batch->count; i++)
			forget(h, one[i].nodeid, one[i].nlookup);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		release(h, ((const struct fuse_release_in *)body)->fh);
		break;
	}
}
