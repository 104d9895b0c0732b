/* Directory tables: against a model, at size, and with scans under change. */
#include <time.h>

#include "tests/t.h"
#include "vfs/dirtab.h"

static char text[32];

static struct name
numbered(unsigned i)
{
	struct name n;

	snprintf(text, sizeof(text), "n%u", i);
	(void)name_init(&n, text);
	return n;
}

static int
add(struct dirtab *t, unsigned i)
{
	struct name n = numbered(i);

	return dirtab_add(t, &n, (void *)(uintptr_t)(i + 1));
}

static struct dirent_node *
find(const struct dirtab *t, unsigned i)
{
	struct name n = numbered(i);

	return dirtab_find(t, &n);
}

static unsigned
number(const struct dirent_node *de)
{
	return (unsigned)(uintptr_t)de->de_value - 1;
}

TEST(empty)
{
	struct dirtab t;
	uint64_t seq = 0;
	uint32_t pos = 0;

	dirtab_init(&t, 0);
	CHECK(!find(&t, 1));
	CHECK(!dirtab_next(&t, &seq, &pos));
	CHECK_EQ(seq, 0);
	CHECK_EQ(dirtab_count(&t), 0);
	dirtab_done(&t);
}

TEST(add_find_remove)
{
	struct dirtab t;
	uint64_t seq = 0;
	uint32_t pos = 0;

	dirtab_init(&t, 100);
	CHECK_EQ(add(&t, 1), 0);
	CHECK_EQ(add(&t, 1), -EEXIST);
	CHECK_EQ(add(&t, 2), 0);
	CHECK_EQ(dirtab_count(&t), 2);
	REQUIRE(find(&t, 1) && find(&t, 2) && !find(&t, 3));
	CHECK(strcmp(find(&t, 1)->de_name, "n1") == 0);
	CHECK(dirtab_next(&t, &seq, &pos) == find(&t, 1));
	CHECK_EQ(seq, 101);
	dirtab_remove(&t, find(&t, 1));
	CHECK(!find(&t, 1));
	CHECK(dirtab_next(&t, &seq, &pos) == find(&t, 2));
	CHECK_EQ(seq, 102);
	CHECK(!dirtab_next(&t, &seq, &pos));
	dirtab_remove(&t, find(&t, 2));
	/* Numbers go on rising when the table was empty in between. */
	CHECK_EQ(add(&t, 1), 0);
	CHECK(dirtab_next(&t, &seq, &pos) == find(&t, 1));
	CHECK_EQ(seq, 103);
	dirtab_done(&t);
}

TEST(a_reserved_entry)
{
	struct dirtab t;
	struct dirent_node *spare;
	struct name n;

	dirtab_init(&t, 0);
	for (unsigned i = 0; i < 1000; i++) {
		n = numbered(i);
		REQUIRE(dirtab_reserve(&t, &n, &spare) == 0);
		CHECK(!find(&t, i)); /* a reservation is not an entry */
		dirtab_add_spare(&t, spare, (void *)(uintptr_t)(i + 1));
		CHECK(find(&t, i) == spare);
	}
	n = numbered(5000);
	REQUIRE(dirtab_reserve(&t, &n, &spare) == 0);
	free(spare);
	CHECK_EQ(dirtab_count(&t), 1000);
	dirtab_done(&t);
}

/* What must hold inside: the order, the counts, every entry found. */
static void
check_inside(const struct dirtab *t)
{
	uint32_t live = 0, indexed = 0;

	for (uint32_t i = 0; i < t->dt_used; i++) {
		struct dirent_node *de = t->dt_places[i].dp_de;

		live += de != NULL;
		if (i > 0)
			CHECK(t->dt_places[i - 1].dp_seq < t->dt_places[i].dp_seq);
		if (i < t->dt_first)
			CHECK(!de);
	}
	for (uint32_t i = 0; i < t->dt_isize; i++)
		indexed += t->dt_index[i] != 0 && t->dt_index[i] != UINT32_MAX;
	CHECK_EQ(live, t->dt_live);
	CHECK_EQ(indexed, t->dt_live);
	CHECK(t->dt_used <= t->dt_cap);
	CHECK(t->dt_isize == 0 || t->dt_ifill < t->dt_isize);
}

TEST(random_against_a_model)
{
	enum {
		N = 400
	};
	static bool model[N];
	unsigned rnd = 12345, have = 0;
	struct dirtab t;

	dirtab_init(&t, 0);
	for (unsigned step = 0; step < 60000; step++) {
		/* Phases of growing and of shrinking. */
		bool grow = (step / 5000) % 2 == 0;
		unsigned i;

		rnd = rnd * 1103515245 + 12345;
		i = (rnd >> 8) % N;
		if ((rnd >> 20) % 4 < (grow ? 3u : 1u)) {
			CHECK_EQ(add(&t, i), model[i] ? -EEXIST : 0);
			have += !model[i];
			model[i] = true;
		} else if (model[i]) {
			dirtab_remove(&t, find(&t, i));
			model[i] = false;
			have--;
		}
		if (step % 1000 == 0) {
			check_inside(&t);
			CHECK_EQ(dirtab_count(&t), have);
			for (unsigned k = 0; k < N; k++)
				CHECK((find(&t, k) != NULL) == model[k]);
		}
	}
	dirtab_done(&t);
}

/* A scan in helpings; between them others come and go.  What is there all the time is
 * returned exactly once, in the order of creation. */
TEST(scan_under_change)
{
	enum {
		STAY = 3000
	};
	static unsigned seen[STAY];
	struct dirtab t;
	uint64_t seq = 0;
	unsigned next_tmp = STAY, last = 0;

	memset(seen, 0, sizeof(seen));
	dirtab_init(&t, 0);
	for (unsigned i = 0; i < STAY; i++) {
		CHECK_EQ(add(&t, i), 0);
		CHECK_EQ(add(&t, 100000 + i), 0); /* to go during the scan */
	}
	for (unsigned round = 0;; round++) {
		uint32_t pos = 0;
		struct dirent_node *de = NULL;

		for (unsigned k = 0; k < 17 && (de = dirtab_next(&t, &seq, &pos)); k++) {
			unsigned i = number(de);

			if (i >= STAY)
				continue;
			CHECK(i == 0 || i > last);
			last = i;
			seen[i]++;
		}
		if (!de)
			break;
		for (unsigned k = 0; k < 40 && round * 40 + k < STAY; k++)
			dirtab_remove(&t, find(&t, 100000 + STAY - 1 - round * 40 - k));
		if (round < 50) {
			CHECK_EQ(add(&t, next_tmp++), 0);
			if (round % 2)
				dirtab_remove(&t, find(&t, next_tmp - 1));
		}
	}
	for (unsigned i = 0; i < STAY; i++)
		CHECK_EQ(seen[i], 1);
	dirtab_done(&t);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* 100,000 entries, in and out from either end and from the middle, and with the listing
 * begun anew after each of many removals: anything linear in it takes minutes. */
TEST(large_and_never_linear)
{
	const unsigned n = 100000;
	struct dirtab t;
	double start = seconds();

	for (unsigned way = 0; way < 3; way++) {
		dirtab_init(&t, 0);
		for (unsigned i = 0; i < n; i++)
			CHECK_EQ(add(&t, i), 0);
		for (unsigned k = 0; k < n; k++) {
			unsigned i = way == 0 ? k : way == 1 ? n - 1 - k : k * 7919u % n;
			uint64_t seq = 0;
			uint32_t pos = 0;

			dirtab_remove(&t, find(&t, i));
			if (way < 2 && k % 8 == 0 && k < n - 1)
				CHECK(dirtab_next(&t, &seq, &pos) != NULL);
		}
		CHECK_EQ(dirtab_count(&t), 0);
		CHECK(t.dt_places == NULL && t.dt_index == NULL);
		dirtab_done(&t);
	}
	CHECK(seconds() - start < 20);
}

/* A table that is always nearly empty must not grow for ever. */
TEST(churn_stays_small)
{
	struct dirtab t;

	dirtab_init(&t, 0);
	CHECK_EQ(add(&t, 0), 0);
	for (unsigned i = 1; i < 50000; i++) {
		CHECK_EQ(add(&t, i), 0);
		dirtab_remove(&t, find(&t, i));
	}
	CHECK(t.dt_cap <= 256);
	CHECK(t.dt_isize <= 256);
	CHECK(find(&t, 0) != NULL);
	dirtab_done(&t);
}
