/*
 * A very large directory in memory: make, list, look up, measure, remove.
 *
 *	p-bigdir [-n FILES] [-q] PID DIR
 *
 * PID is the daemon's, whose memory is measured.  -q: only print what is measured (a
 * sanitizer build is neither small nor fast), and judge what is right or wrong.
 *
 * The promises: a lookup among FILES entries takes at most 1.5 times what it takes among
 * 1,000; an empty file costs at most 512 bytes of the daemon; listing returns every entry
 * once, while another thread makes and removes others; after all is deleted, the memory is
 * back to within 20 % and 8 MiB of where it began.
 */
#include "timed.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static unsigned files = 1000000;
static unsigned bad;
static bool quiet;
static int big, small;
static _Atomic bool stop;

static long
rss_kib(int pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void
judge(const char *what, double got, double limit)
{
	printf("figure: %s: %.2f (limit %.2f)\n", what, got, limit);
	if (got > limit && !quiet) {
		printf("%s: %.2f is over %.2f\n", what, got, limit);
		bad++;
	}
}

static void
must_be(const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("%s: %ld, expected %ld\n", what, got, want);
	bad++;
}

/* Makes n empty files; the number of failures. */
static long
make(int fd, unsigned n)
{
	char name[32];
	long failed = 0;

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		failed += mknodat(fd, name, S_IFREG | 0644, 0) != 0;
	}
	return failed;
}

static long
destroy(int fd, unsigned n)
{
	char name[32];
	long failed = 0;

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		failed += unlinkat(fd, name, 0) != 0;
	}
	return failed;
}

/* Makes and removes other names while the directory is listed. */
static void *
disturb(void *arg)
{
	char name[32];

	for (unsigned i = 0; !atomic_load(&stop); i++) {
		snprintf(name, sizeof(name), "other%u", i);
		mknodat(big, name, S_IFREG | 0644, 0);
		if (i >= 100) {
			snprintf(name, sizeof(name), "other%u", i - 100);
			unlinkat(big, name, 0);
		}
	}
	return NULL;
}

static void
remove_others(void)
{
	int fd = openat(big, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] == 'o')
			unlinkat(big, e->d_name, 0);
	if (d)
		closedir(d);
}

static void
list(void)
{
	unsigned char *seen = calloc(files, 1);
	long times = 0, strange = 0, missing = 0;
	double from = now_s();
	pthread_t t;
	struct dirent *e;
	DIR *d = fdopendir(openat(big, ".", O_RDONLY | O_DIRECTORY));

	if (!seen || !d || pthread_create(&t, NULL, disturb, NULL) != 0)
		exit(2);
	while ((e = readdir(d))) {
		unsigned i;
		if (e->d_name[0] != 'f')
			continue;
		i = (unsigned)strtoul(e->d_name + 1, NULL, 10);
		if (i >= files || e->d_type != DT_REG)
			strange++;
		else
			times += seen[i]++ != 0;
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	closedir(d);
	for (unsigned i = 0; i < files; i++)
		missing += !seen[i];
	must_be("entries listed more than once", times, 0);
	must_be("entries not listed", missing, 0);
	must_be("entries that are strange", strange, 0);
	printf("figure: listing %u entries while others come and go: %.1f s\n", files,
	    now_s() - from);
	remove_others();
	free(seen);
}

/* One half of the names, in an order of its own. */
static void *
stat_half(void *arg)
{
	struct timed *t = arg;

	timed_batch(t, t->count);
	return NULL;
}

static void
stat_all(void)
{
	static struct timed half[2];
	pthread_t thread;
	double from;

	timed_init(&half[0], big, "f", files);
	half[1] = half[0];
	half[0].count = files / 2;
	half[1].count = files - files / 2;
	half[1].order += files / 2;
	drop_names();
	from = now_s();
	if (pthread_create(&thread, NULL, stat_half, &half[1]) != 0)
		exit(2);
	stat_half(&half[0]);
	pthread_join(thread, NULL);
	must_be("names that are not there", half[0].errors + half[1].errors, 0);
	printf("figure: %u lookups by random name, from two threads: %.1f s\n", files,
	    now_s() - from);
	free(half[0].order);
}

static void
compare(void)
{
	static struct timed a, b;
	double ta, tb;
	char what[80];

	timed_init(&a, big, "f", files);
	timed_init(&b, small, "f", 1000);
	timed_compare(&a, &b, 11, 1000, &ta, &tb);
	printf("figure: lookup among %u: %.1f us, among 1000: %.1f us\n", files, ta, tb);
	snprintf(what, sizeof(what), "lookup among %u compared with 1000", files);
	judge(what, ta / tb, 1.5);
	must_be("names that are not there", a.errors + b.errors, 0);
	free(a.order);
	free(b.order);
}

int
main(int argc, char **argv)
{
	int opt, pid, top;
	double from;
	long before, full, after;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "n:q")) != -1) {
		if (opt == 'n')
			files = (unsigned)strtoul(optarg, NULL, 10);
		else if (opt == 'q')
			quiet = true;
	}
	if (argc - optind != 2)
		return 2;
	pid = atoi(argv[optind]);
	top = open(argv[optind + 1], O_RDONLY | O_DIRECTORY);
	if (top < 0 || mkdirat(top, "big", 0755) != 0 || mkdirat(top, "small", 0755) != 0)
		return 2;
	big = openat(top, "big", O_RDONLY | O_DIRECTORY);
	small = openat(top, "small", O_RDONLY | O_DIRECTORY);
	must_be("files not made", make(small, 1000), 0);
	before = rss_kib(pid);
	from = now_s();
	must_be("files not made", make(big, files), 0);
	printf("figure: making %u files: %.1f s, %.1f us each\n", files, now_s() - from,
	    (now_s() - from) * 1e6 / files);
	full = rss_kib(pid);
	judge("bytes of memory for an empty file", (double)(full - before) * 1024 / files,
	    512);
	list();
	compare();
	/* After it the kernel knows all names, and removing need not look them up again. */
	stat_all();
	from = now_s();
	must_be("files not removed", destroy(big, files), 0);
	printf("figure: removing %u files: %.1f s\n", files, now_s() - from);
	drop_names();
	for (int i = 0; i < 50 && (after = rss_kib(pid)) > before + 8192; i++)
		usleep(100000);
	printf("figure: memory before %ld KiB, full %ld KiB, after %ld KiB\n", before,
	    full, after);
	judge("memory after deletion, in MiB", (double)after / 1024,
	    (double)before * 1.2 / 1024 + 8);
	must_be("directories not removed",
	    (unlinkat(top, "big", AT_REMOVEDIR) != 0) + (destroy(small, 1000) != 0) +
		(unlinkat(top, "small", AT_REMOVEDIR) != 0),
	    0);
	return bad != 0;
}
