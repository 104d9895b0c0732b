/* Sparse arrays of pages, against a model and at the far end. */
#include "tests/t.h"
#include "vfs/rumpfs_pages.h"

/* The pages are never looked into: any allocation will do. */
static int
put(struct pages *p, uint64_t index)
{
	void *page = malloc(1);
	int r = pages_put(p, index, page);

	if (r < 0)
		free(page);
	return r;
}

static void
take(struct pages *p, uint64_t index)
{
	free(pages_take(p, index));
}

TEST(empty)
{
	struct pages p = {0};
	uint64_t i;

	CHECK(!pages_get(&p, 0));
	CHECK(!pages_take(&p, 5));
	CHECK(!pages_next(&p, 0, &i));
	CHECK_EQ(pages_next_hole(&p, 7), 7);
}

TEST(one_page_is_no_tree)
{
	struct pages p = {0};
	uint64_t i;

	CHECK_EQ(put(&p, 0), 0);
	CHECK_EQ(p.pg_height, 0);
	CHECK(pages_get(&p, 0) == p.pg_root);
	CHECK(!pages_get(&p, 1));
	CHECK(pages_next(&p, 0, &i) && i == 0);
	CHECK(!pages_next(&p, 1, &i));
	CHECK_EQ(pages_next_hole(&p, 0), 1);
	take(&p, 0);
	CHECK(p.pg_root == NULL);
}

/* Every boundary of the tree's heights, alone, in pairs, and in both orders. */
TEST(boundaries)
{
	uint64_t at[40], i;
	unsigned n = 0;

	for (unsigned shift = 0; shift <= 51; shift += 6) {
		at[n++] = (1ull << shift) - 1;
		at[n++] = 1ull << shift;
	}
	at[n++] = (1ull << 51) - 1; /* the last page of the largest file */
	for (unsigned a = 0; a < n; a++) {
		for (unsigned b = 0; b < n; b++) {
			struct pages p = {0};

			CHECK_EQ(put(&p, at[a]), 0);
			if (at[b] != at[a])
				CHECK_EQ(put(&p, at[b]), 0);
			CHECK_EQ(p.pg_count, 1 + (at[b] != at[a]));
			CHECK(pages_get(&p, at[a]) && pages_get(&p, at[b]));
			CHECK(pages_next(&p, 0, &i));
			CHECK(i == (at[a] < at[b] ? at[a] : at[b]));
			CHECK(pages_next(&p, i + 1, &i) == (at[b] != at[a]));
			take(&p, at[a]);
			CHECK(!pages_get(&p, at[a]));
			take(&p, at[b]);
			CHECK(p.pg_root == NULL);
			CHECK_EQ(p.pg_count, 0);
		}
	}
}

TEST(random_against_a_model)
{
	enum {
		N = 5000
	};
	static bool model[N];
	struct pages p = {0};
	unsigned rnd = 99, have = 0;

	for (unsigned step = 0; step < 40000; step++) {
		unsigned k;

		rnd = rnd * 1103515245 + 12345;
		k = (rnd >> 8) % N;
		if (model[k]) {
			take(&p, k);
			have--;
		} else {
			CHECK_EQ(put(&p, k), 0);
			have++;
		}
		model[k] = !model[k];
		if (step % 4000 == 0) {
			uint64_t at = 0;

			CHECK_EQ(p.pg_count, have);
			for (unsigned i = 0; i < N; i++) {
				CHECK((pages_get(&p, i) != NULL) == model[i]);
				if (!model[i])
					continue;
				CHECK(pages_next(&p, at, &at) && at == i);
				at++;
			}
			CHECK(!pages_next(&p, at, &at));
		}
	}
	for (unsigned i = 0; i < N; i++)
		take(&p, i);
	CHECK(p.pg_root == NULL);
}
