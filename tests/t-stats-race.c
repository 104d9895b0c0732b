/* What threads are at, looked at by another meanwhile. */
#include <linux/fuse.h>
#include <pthread.h>
#include <time.h>

#include "daemon/fe_stats.h"
#include "tests/t.h"

#define THREADS 4

static struct fe fe;
static atomic_bool stop;

struct asked {
	struct fuse_in_header in;
	char name[64];
};

/* A look-up whose node, caller and name belong together. */
static size_t
make(struct asked *a, unsigned which)
{
	size_t len = which % 40 + 1;

	a->in = (struct fuse_in_header){
	    .opcode = FUSE_LOOKUP, .nodeid = which, .pid = which + 1};
	memset(a->name, 'a' + (int)(which % 26), len);
	a->name[len] = '\0';
	return sizeof(a->in) + len + 1;
}

/* How many it has served. */
static void *
serve(void *arg)
{
	uintptr_t i;

	for (i = 0; i % 2 || !atomic_load(&stop); i++) {
		struct asked a;
		size_t n = make(&a, (unsigned)((uintptr_t)arg + i * THREADS));

		fe_stats_end(&fe);
		fe_stats_read(&fe, &a, n);
		fe_stats_begin(&fe, FE_LOOKUP, NULL);
		if (i % 2)
			fe_stats_error(&fe);
	}
	fe_stats_end(&fe);
	return (void *)i;
}

static void
check_one(const struct fe_running *fr)
{
	struct asked a;

	make(&a, (unsigned)fr->fr_node);
	CHECK_EQ(fr->fr_pid, a.in.pid);
	CHECK_STR(fr->fr_name, a.name);
	CHECK(fr->fr_op == FE_LOOKUP || fr->fr_op == -1);
}

TEST(whole_or_not_at_all)
{
	pthread_t t[THREADS];
	struct fe_sum fs;
	size_t seen = 0;
	uint64_t served = 0;

	REQUIRE(fe_stats_init(&fe) == 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&t[i], NULL, serve, (void *)i) == 0);
	for (int round = 0; seen < 2000 && round < 1000000; round++) {
		struct fe_running *all;
		size_t n = fe_running_get(&fe, UINT64_MAX, &all, NULL);

		for (size_t i = 0; i < n; i++)
			check_one(&all[i]);
		seen += n;
		free(all);
		CHECK(fe_count(&fe, FE_LOOKUP) >= served);
		served = fe_count(&fe, FE_LOOKUP);
	}
	atomic_store(&stop, true);
	served = 0;
	for (int i = 0; i < THREADS; i++) {
		void *n;

		pthread_join(t[i], &n);
		served += (uintptr_t)n;
	}
	CHECK(seen >= 2000);
	/* Ended threads have left all they had counted. */
	fe_sum_get(&fe, FE_LOOKUP, &fs);
	CHECK_EQ(fs.fs_count, served);
	CHECK_EQ(fs.fs_errors, served / 2);
	for (unsigned i = 0; i < FE_BUCKETS; i++)
		fs.fs_count -= fs.fs_bucket[i];
	CHECK_EQ(fs.fs_count, 0);
	CHECK(fe.fe_threads == NULL);
	fe_stats_done(&fe);
}

TEST(what_waits)
{
	struct fe_running *all, *none;
	struct timespec ts;
	struct asked a;
	uint64_t begun, again;

	REQUIRE(fe_stats_init(&fe) == 0);
	CHECK_EQ(fe_running_get(&fe, UINT64_MAX, &all, &begun), 0);
	free(all);
	fe_stats_read(&fe, &a, make(&a, 33));
	fe_stats_begin(&fe, FE_LOOKUP, NULL);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	CHECK_EQ(fe_running_get(&fe, UINT64_MAX, &all, &again), 1);
	CHECK(again != begun);
	check_one(&all[0]);
	CHECK(all[0].fr_since_ns <=
	      (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	CHECK(fe_running_watch(&fe, &all[0]));
	/* Not those that have begun since. */
	CHECK_EQ(fe_running_get(&fe, all[0].fr_since_ns, &none, NULL), 0);
	free(none);
	free(all);
	fe_stats_end(&fe);
	CHECK_EQ(fe_running_get(&fe, UINT64_MAX, &none, NULL), 0);
	free(none);
	fe_stats_done(&fe);
}
