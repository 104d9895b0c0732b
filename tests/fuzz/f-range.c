/*
 * Fuzzer of etfs/etfs_range.h: windows of a host object, against the same arithmetic in 128
 * bits.
 *
 * An input is eight numbers, each a byte that says how it is meant and, for some, its
 * bytes: near a power of two, near another number of the input, or as it is.
 */
#include "etfs/etfs_range.h"
#include "tests/fuzz/fuzz.h"

typedef unsigned __int128 wide;

static uint64_t
number(struct input *in, uint64_t near)
{
	uint8_t how = in_byte(in);
	uint64_t little = in_byte(in);

	switch (how & 7) {
	case 0:
		return little;
	case 1:
		return (UINT64_C(1) << (how >> 3) << (little & 31)) - 16 + (little >> 3);
	case 2:
		return UINT64_MAX - little;
	case 3:
		return near + (how >> 3) - little;
	case 4:
		return near;
	case 5:
		return RANGE_REST;
	default:
		return in_number(in, 8);
	}
}

static void
check_init(uint64_t begin, uint64_t size, uint64_t total)
{
	struct etfs_range r = {1, 2};
	enum range_fault fault = range_init(&r, begin, size, total);
	wide end = (wide)begin + (size == RANGE_REST ? (wide)total - begin : size);

	if (fault != RANGE_OK) {
		/* Each fault for its own reason, and nothing is touched. */
		NEED(r.r_begin == 1 && r.r_len == 2);
		NEED((fault == RANGE_BEGIN) == (begin > total));
		NEED(fault != RANGE_OVERFLOW || end > UINT64_MAX);
		NEED(fault != RANGE_END || (end <= UINT64_MAX && end > total));
		return;
	}
	NEED(begin <= total && end <= total);
	NEED(r.r_begin == begin);
	NEED((wide)r.r_begin + r.r_len == end);
	NEED(range_end(&r) == end);
}

/* What of [off, off+len) is in a window of n bytes. */
static wide
common(uint64_t n, uint64_t off, uint64_t len)
{
	wide end = (wide)off + len;

	if (end > n)
		end = n;
	return off < end ? end - off : 0;
}

static void
check_use(const struct etfs_range *r, uint64_t off, uint64_t len)
{
	uint64_t clip = range_clip(r, off, len);

	NEED(clip == common(r->r_len, off, len));
	NEED(range_holds(r, off, len) == ((wide)off + len <= r->r_len));
	/* What is left of a request never leaves the window, also on the host. */
	NEED(clip == 0 || (wide)r->r_begin + off + clip <= range_end(r));
}

static void
check_pair(const struct etfs_range *a, const struct etfs_range *b)
{
	wide begin = a->r_begin > b->r_begin ? a->r_begin : b->r_begin;
	wide aend = (wide)a->r_begin + a->r_len, bend = (wide)b->r_begin + b->r_len;
	bool both = begin < (aend < bend ? aend : bend);

	/* An empty window has no bytes to share, wherever it lies. */
	NEED(range_overlap(a, b) == (both && a->r_len && b->r_len));
	NEED(range_overlap(a, b) == range_overlap(b, a));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint64_t n[8];
	struct etfs_range a, b;

	for (unsigned i = 0; i < 8; i++)
		n[i] = number(&in, i ? n[i - 1] : 4096);
	for (unsigned i = 0; i < 8; i++)
		check_init(n[i], n[(i + 1) % 8], n[(i + 2) % 8]);
	if (range_init(&a, n[0], n[1], n[2]) != RANGE_OK)
		return 0;
	for (unsigned i = 3; i < 8; i++)
		check_use(&a, n[i], n[(i + 1) % 8]);
	if (range_init(&b, n[3], n[4], n[2]) == RANGE_OK)
		check_pair(&a, &b);
	return 0;
}
