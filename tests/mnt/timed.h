/*
 * Measuring: what p-bigdir and p-lookup share.
 *
 * A lookup is measured cold: the kernel's names are dropped first (drop_caches), so that
 * each stat is a request to the daemon.  Two directories are measured in turns, a batch
 * here and a batch there, and the lower quartile of the rounds is compared: the machine is
 * never quiet, and what disturbs a round only makes it longer.
 */
#ifndef RF_TIMED_H
#define RF_TIMED_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 50,
	ROUNDS_MAX = 101
};

static inline double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static inline uint64_t
timed_rnd(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

static inline int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static inline double
lower_quartile(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 4];
}

static inline void
drop_names(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || write(fd, "2", 1) != 1)
		perror("drop_caches");
	close(fd);
}

/* A directory whose entries are called PREFIX0, PREFIX1, … */
struct timed {
	int fd;
	const char *prefix;
	unsigned count;
	unsigned errors;
	unsigned *order; /* a permutation: no name is looked up twice in a round */
	unsigned next;
	double rounds[ROUNDS_MAX]; /* microseconds for one lookup */
};

static inline void
timed_init(struct timed *t, int fd, const char *prefix, unsigned count)
{
	*t = (struct timed){.fd = fd, .prefix = prefix, .count = count};
	t->order = malloc(count * sizeof(*t->order));
	if (!t->order)
		abort();
	for (unsigned i = 0; i < count; i++)
		t->order[i] = i;
	for (unsigned i = count; i-- > 1;) {
		unsigned k = (unsigned)(timed_rnd() % (i + 1)), o = t->order[i];
		t->order[i] = t->order[k];
		t->order[k] = o;
	}
}

static inline double
timed_batch(struct timed *t, unsigned n)
{
	char name[64];
	struct stat st;
	double from = now_s();

	while (n-- > 0) {
		snprintf(name, sizeof(name), "%s%u", t->prefix, t->order[t->next]);
		t->next = (t->next + 1) % t->count;
		if (fstatat(t->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			t->errors++;
	}
	return now_s() - from;
}

/* Measures a and b: the lower quartiles of their rounds, in microseconds.  lookups: in each round,
 * at most what the smaller one has. */
static inline void
timed_compare(struct timed *a, struct timed *b, int rounds, unsigned lookups,
    double *ret_a, double *ret_b)
{
	for (int r = 0; r < rounds; r++) {
		double ta = 0, tb = 0;

		drop_names();
		/* The daemon is told of what was dropped; that is not to be measured. */
		usleep(r == 0 ? 3000000 : 200000);
		timed_batch(a, 1);
		timed_batch(b, 1);
		for (unsigned i = 0; i < lookups; i += BATCH) {
			if (i / BATCH % 2) {
				ta += timed_batch(a, BATCH);
				tb += timed_batch(b, BATCH);
			} else {
				tb += timed_batch(b, BATCH);
				ta += timed_batch(a, BATCH);
			}
		}
		a->rounds[r] = ta * 1e6 / lookups;
		b->rounds[r] = tb * 1e6 / lookups;
	}
	*ret_a = lower_quartile(a->rounds, rounds);
	*ret_b = lower_quartile(b->rounds, rounds);
}

#endif
