/* Windows: the arithmetic of etfs_range.h, and which registrations it refuses. */
#include "etfs/etfs_range.h"

#include <stdbool.h>

#include "tests/t.h"

#define BIG UINT64_MAX

TEST(init)
{
	static const struct {
		uint64_t begin, size, total;
		enum range_fault want;
		uint64_t len;
	} rows[] = {
	    {0, 0, 0, RANGE_OK, 0},
	    {0, RANGE_REST, 10, RANGE_OK, 10},
	    {10, RANGE_REST, 10, RANGE_OK, 0},
	    {10, 0, 10, RANGE_OK, 0},
	    {3, 7, 10, RANGE_OK, 7},
	    {3, 8, 10, RANGE_END, 0},
	    {11, 0, 10, RANGE_BEGIN, 0},
	    {11, RANGE_REST, 10, RANGE_BEGIN, 0},
	    {5, BIG - 1, 10, RANGE_OVERFLOW, 0},
	    {5, BIG - 5, 10, RANGE_END, 0},
	    {2, BIG - 1, BIG, RANGE_OVERFLOW, 0},
	    {1, BIG - 1, BIG, RANGE_OK, BIG - 1},
	    {BIG, 0, BIG, RANGE_OK, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct etfs_range r = {77, 88};

		CHECK_EQ(range_init(&r, rows[i].begin, rows[i].size, rows[i].total),
		    rows[i].want);
		if (rows[i].want == RANGE_OK) {
			CHECK(r.r_begin == rows[i].begin && r.r_len == rows[i].len);
			CHECK(range_end(&r) == rows[i].begin + rows[i].len);
		} else {
			CHECK(r.r_begin == 77 && r.r_len == 88);
		}
	}
}

TEST(clip)
{
	static const struct {
		uint64_t off, len, want;
		bool holds;
	} rows[] = {
	    {0, 10, 10, true},
	    {0, 100, 100, true},
	    {0, 101, 100, false},
	    {99, 1, 1, true},
	    {99, 2, 1, false},
	    {100, 0, 0, true},
	    {100, 1, 0, false},
	    {101, 0, 0, false},
	    {BIG, 1, 0, false},
	    {50, BIG, 50, false},
	    {BIG, BIG, 0, false},
	};
	const struct etfs_range r = {1000, 100};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(range_clip(&r, rows[i].off, rows[i].len) == rows[i].want);
		CHECK(range_holds(&r, rows[i].off, rows[i].len) == rows[i].holds);
	}
}

TEST(overlap)
{
	static const struct {
		struct etfs_range a, b;
		bool want;
	} rows[] = {
	    {{0, 10}, {10, 10}, false},
	    {{0, 11}, {10, 10}, true},
	    {{0, 100}, {10, 1}, true},
	    {{5, 0}, {0, 10}, false},
	    {{0, 0}, {0, 0}, false},
	    {{BIG - 10, 10}, {BIG - 1, 1}, true},
	    {{0, 10}, {BIG - 10, 10}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(range_overlap(&rows[i].a, &rows[i].b) == rows[i].want);
		CHECK(range_overlap(&rows[i].b, &rows[i].a) == rows[i].want);
	}
}
