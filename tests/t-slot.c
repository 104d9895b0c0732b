/* Slot tables: ids, generations, reuse, chunks. */
#include <pthread.h>
#include <stdbool.h>

#include "tests/t.h"
#include "vfs/slot.h"

static int objs[3 * SLOT_CHUNK];
static uint64_t ids[3 * SLOT_CHUNK];

TEST(first_id_is_one)
{
	struct slots t;
	uint64_t id;

	REQUIRE(slots_init(&t) == 0);
	CHECK_EQ(slot_new(&t, &objs[0], &id), 0);
	CHECK_EQ(id, 1);
	CHECK(slot_peek(&t, 1) == &objs[0]);
	CHECK_EQ(slots_count(&t), 1);
	slots_done(&t);
	slots_done(&t); /* once more does nothing */
}

TEST(ids_that_find_nothing)
{
	struct slots t;
	uint64_t id;
	const uint64_t wrong[] = {0, 2, SLOT_CHUNK, UINT32_MAX, 1ull << 32 | 1,
	    UINT64_MAX, UINT64_MAX << 32, (uint64_t)SLOT_CHUNK * SLOT_CHUNKS - 1};

	REQUIRE(slots_init(&t) == 0);
	REQUIRE(slot_new(&t, &objs[0], &id) == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK(slot_peek(&t, wrong[i]) == NULL);
	slots_done(&t);
}

TEST(a_stale_id_finds_nothing)
{
	struct slots t;
	uint64_t a, b;

	REQUIRE(slots_init(&t) == 0);
	REQUIRE(slot_new(&t, &objs[0], &a) == 0);
	slot_release(&t, a);
	CHECK(slot_peek(&t, a) == NULL);
	CHECK_EQ(slots_count(&t), 0);
	REQUIRE(slot_new(&t, &objs[1], &b) == 0);
	CHECK(a != b);
	CHECK_EQ((uint32_t)a, (uint32_t)b); /* the same slot again */
	CHECK(slot_peek(&t, a) == NULL);
	CHECK(slot_peek(&t, b) == &objs[1]);
	slots_done(&t);
}

static void
count(void *obj, void *arg)
{
	(void)obj;
	++*(unsigned *)arg;
}

TEST(several_chunks)
{
	const unsigned n = sizeof(objs) / sizeof(*objs);
	unsigned seen = 0;
	struct slots t;

	REQUIRE(slots_init(&t) == 0);
	for (unsigned i = 0; i < n; i++)
		REQUIRE(slot_new(&t, &objs[i], &ids[i]) == 0);
	CHECK_EQ(slots_count(&t), n);
	for (unsigned i = 0; i < n; i++)
		CHECK(slot_peek(&t, ids[i]) == &objs[i]);
	for (unsigned i = 0; i < n; i += 2)
		slot_release(&t, ids[i]);
	slots_each(&t, count, &seen);
	CHECK_EQ(seen, n / 2);
	for (unsigned i = 0; i < n; i++)
		CHECK(slot_peek(&t, ids[i]) == (i % 2 ? &objs[i] : NULL));
	/* What was given back is used before anything new. */
	for (unsigned i = 0; i < n; i += 2) {
		REQUIRE(slot_new(&t, &objs[i], &ids[i]) == 0);
		CHECK((uint32_t)ids[i] <= n);
	}
	slots_done(&t);
}

static void
release_even(void *obj, void *arg)
{
	int i = (int)((int *)obj - objs);

	if (i % 2 == 0)
		slot_release(arg, ids[i]);
}

TEST(each_may_release_its_object)
{
	struct slots t;

	REQUIRE(slots_init(&t) == 0);
	for (int i = 0; i < 100; i++)
		REQUIRE(slot_new(&t, &objs[i], &ids[i]) == 0);
	slots_each(&t, release_even, &t);
	CHECK_EQ(slots_count(&t), 50);
	slots_done(&t);
}

/* Readers look up ids that a writer gives out and takes back: what they find is nothing
 * or the object of exactly that id. */
struct churn {
	struct slots t;
	_Atomic uint64_t id;
	_Atomic bool stop;
	unsigned wrong;
};

static void *
reader(void *arg)
{
	struct churn *c = arg;

	while (!c->stop) {
		uint64_t id = c->id;
		int *o = slot_peek(&c->t, id);

		if (o && o != &objs[(id >> 32) % 1000])
			c->wrong++;
	}
	return NULL;
}

TEST(lookup_while_ids_change)
{
	struct churn c = {.id = 0};
	pthread_t th;

	REQUIRE(slots_init(&c.t) == 0);
	REQUIRE(pthread_create(&th, NULL, reader, &c) == 0);
	for (unsigned gen = 0; gen < 20000; gen++) {
		uint64_t id;

		REQUIRE(slot_new(&c.t, &objs[gen % 1000], &id) == 0);
		CHECK_EQ(id >> 32, gen);
		c.id = id;
		slot_release(&c.t, id);
	}
	c.stop = true;
	pthread_join(th, NULL);
	CHECK_EQ(c.wrong, 0);
	slots_done(&c.t);
}
