/*
 * ops: one file system operation over and over, as fast as one process or several can, and what
 * it costs: how many, how long, how much of a processor here and in the daemon that serves them.
 *
 *	ops [-p PROCESSES] [-t MILLISECONDS] [-n NUMBER] [-d PID]… WORK DIR
 *
 * and ops clock PID…, their nanoseconds of processor time together; the first prints one line of
 * JSON: operations, their rate per second (the sum over the processes), and
 * nanoseconds of processor time of the clients and of the daemons -d names.
 *
 * Data.  A process has a directory of its own, DIR/WORK.N, which it fills before the clock runs
 * and leaves as it is, so that the next run finds it filled.  What processes tell the parent is
 * in a shared mapping; they start together when the last has filled its directory.
 *
 * The clocks of other processes are read by clock_gettime (the kernel's numbers for them are
 * built from the pid), which counts nanoseconds over all threads, those that have ended too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 64
#define HOT           64 /* names that a loop goes round over: they stay cached */
#define MAX_DROPS     3  /* they take long */
#define COLD          1000 /* names that are each looked at once after the caches are dropped */

struct share {
	uint64_t warm;            /* operations before the clock */
	uint64_t ops, ns, cpu_ns; /* without what dropping caches took */
	volatile int ready;
};

static struct share *share;
static volatile int *go;
static int limit_ms = 300;
static uint64_t limit_ops;
static char page[4096];

static uint64_t
clock_of(clockid_t id)
{
	struct timespec t;
	if (clock_gettime(id, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
now(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

/* The clock of all threads of another process: CPUCLOCK_SCHED of its pid. */
static uint64_t
cpu_of(pid_t pid)
{
	return clock_of((clockid_t)(~(unsigned)pid << 3 | 2));
}

static void
must(bool ok, const char *what, const char *name)
{
	if (!ok)
		err(1, "%s %s", what, name);
}

static void
make(const char *name, size_t bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT, 0644);
	must(fd >= 0, "create", name);
	must(write(fd, page, bytes) == (ssize_t)bytes, "write", name);
	close(fd);
}

/* fill N BYTES: f0 … of the working directory, unless they are there. */
static void
fill(unsigned n, size_t bytes)
{
	char name[32];
	snprintf(name, sizeof(name), "f%u", n - 1);
	if (access(name, F_OK) == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		make(name, bytes);
	}
}

static void
drop(const char *what)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	must(fd >= 0, "open", "drop_caches");
	must(write(fd, what, 1) == 1, "write", "drop_caches");
	close(fd);
}

/*
 * The loops.  Each does one operation with the name of number i and says how many that was; a
 * pass (walk, readdir) counts its entries.
 */

static void
hot_name(char *name, const char *prefix, uint64_t i)
{
	i %= HOT;
	while (*prefix)
		*name++ = *prefix++;
	*name++ = (char)('0' + i / 10);
	*name++ = (char)('0' + i % 10);
	*name = '\0';
}

static void
fill_hot(void)
{
	char name[32];
	for (unsigned i = 0; i < HOT; i++) {
		hot_name(name, "h", i);
		if (access(name, F_OK))
			make(name, sizeof(page));
	}
}

static uint64_t
do_stat(uint64_t i)
{
	struct stat st;
	char name[16];
	hot_name(name, "h", i);
	must(stat(name, &st) == 0, "stat", name);
	return 1;
}

static uint64_t
do_missing(uint64_t i)
{
	struct stat st;
	char name[16];
	hot_name(name, "no", i);
	must(stat(name, &st) && errno == ENOENT, "stat", name);
	return 1;
}

static uint64_t
do_openread(uint64_t i)
{
	char name[16], buf[4096];
	hot_name(name, "h", i);
	int fd = open(name, O_RDONLY);
	must(fd >= 0, "open", name);
	must(read(fd, buf, sizeof(buf)) == (ssize_t)sizeof(buf), "read", name);
	close(fd);
	return 1;
}

static uint64_t
do_create(uint64_t i)
{
	char name[16];
	hot_name(name, "c", i);
	make(name, sizeof(page));
	must(unlink(name) == 0, "unlink", name);
	return 1;
}

static uint64_t
do_rename(uint64_t i)
{
	must(rename(i & 1 ? "r1" : "r0", i & 1 ? "r0" : "r1") == 0, "rename", "r");
	return 1;
}

static void
fill_rename(void)
{
	unlink("r1");
	make("r0", 0);
}

static uint64_t
do_mkdir(uint64_t i)
{
	char name[16];
	hot_name(name, "d", i);
	must(mkdir(name, 0755) == 0, "mkdir", name);
	must(rmdir(name) == 0, "rmdir", name);
	return 1;
}

/* Opening one file and writing to it over and over: pages that are in the cache. */
static int write_fd = -1;

static void
fill_write(void)
{
	write_fd = open("w", O_RDWR | O_CREAT, 0644);
	must(write_fd >= 0 && ftruncate(write_fd, 16 << 20) == 0, "open", "w");
	for (unsigned i = 0; i < 4096; i++)
		must(pwrite(write_fd, page, sizeof(page), (off_t)i * 4096) == 4096,
		    "write", "w");
}

static uint64_t
do_write(uint64_t i)
{
	uint64_t at = i * 2654435761u % 4096;
	must(
	    pwrite(write_fd, page, sizeof(page), (off_t)at * 4096) == 4096, "write", "w");
	return 1;
}

static uint64_t
do_read(uint64_t i)
{
	char buf[4096];
	uint64_t at = i * 2654435761u % 4096;
	must(pread(write_fd, buf, sizeof(buf), (off_t)at * 4096) == 4096, "read", "w");
	return 1;
}

/*
 * walk FD DEEP ATTRIBUTES: entries below, each looked at.  Who is slow is not asked to the end:
 * what he has done until walk_until counts.
 */
static uint64_t walk_until;

static uint64_t
walk(int fd, bool deep, bool attributes)
{
	uint64_t n = 0;
	DIR *d = fdopendir(fd);
	must(d != NULL, "opendir", "");
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.'))
			continue;
		n++;
		if (n % 16 == 0 && now() > walk_until)
			break;
		if (attributes)
			must(fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0,
			    "stat", e->d_name);
		if (deep && e->d_type == DT_DIR) {
			int sub =
			    openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			must(sub >= 0, "open", e->d_name);
			n += walk(sub, deep, attributes);
		}
	}
	closedir(d);
	return n;
}

static int
here(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	must(fd >= 0, "open", ".");
	return fd;
}

static uint64_t
do_walk(uint64_t i)
{
	(void)i;
	return walk(here(), true, true);
}

static uint64_t
do_readdir(uint64_t i)
{
	(void)i;
	return walk(here(), false, false);
}

static uint64_t
do_list(uint64_t i)
{
	(void)i;
	return walk(here(), false, true);
}

/* Looks at each of COLD names once. */
static uint64_t
do_each_stat(uint64_t i)
{
	(void)i;
	struct stat st;
	char name[32];
	for (unsigned k = 0; k < COLD; k++) {
		snprintf(name, sizeof(name), "f%u", k);
		must(stat(name, &st) == 0, "stat", name);
	}
	return COLD;
}

static uint64_t
do_each_missing(uint64_t i)
{
	(void)i;
	struct stat st;
	char name[32];
	for (unsigned k = 0; k < COLD; k++) {
		snprintf(name, sizeof(name), "no%u", k);
		must(stat(name, &st) && errno == ENOENT, "stat", name);
	}
	return COLD;
}

static uint64_t
do_each_open(uint64_t i)
{
	(void)i;
	char name[32], buf[4096];
	for (unsigned k = 0; k < COLD; k++) {
		snprintf(name, sizeof(name), "f%u", k);
		int fd = open(name, O_RDONLY);
		must(fd >= 0 && read(fd, buf, sizeof(buf)) >= 0, "read", name);
		close(fd);
	}
	return COLD;
}

static void
fill_cold(void)
{
	fill(COLD, sizeof(page));
}

enum {
	HERE = 1, /* in DIR itself, which somebody else has filled */
	DROP = 2, /* caches are dropped before each pass, and a pass is long */
	PASS = 4, /* one pass is many operations: look at the clock after each */
};

static const struct work {
	const char *name;
	void (*fill)(void);
	uint64_t (*op)(uint64_t i);
	unsigned flags;
} works[] = {
    {"stat", fill_hot, do_stat, 0},
    {"missing", fill_hot, do_missing, 0},
    {"openread", fill_hot, do_openread, 0},
    {"create", NULL, do_create, 0},
    {"rename", fill_rename, do_rename, 0},
    {"mkdir", NULL, do_mkdir, 0},
    {"write", fill_write, do_write, 0},
    {"read", fill_write, do_read, 0},
    {"stat-cold", fill_cold, do_each_stat, DROP | PASS},
    {"missing-cold", fill_cold, do_each_missing, DROP | PASS},
    {"openread-cold", fill_cold, do_each_open, DROP | PASS},
    {"walk", NULL, do_walk, HERE | PASS},
    {"walk-cold", NULL, do_walk, HERE | PASS | DROP},
    {"readdir", NULL, do_readdir, HERE | PASS},
    {"readdir-cold", NULL, do_readdir, HERE | PASS | DROP},
    {"list", NULL, do_list, HERE | PASS},
    {"list-cold", NULL, do_list, HERE | PASS | DROP},
};

static void
run_loop(const struct work *w, struct share *s)
{
	uint64_t every = w->flags & PASS ? 1 : 16, ops = 0, i = 0, spent = 0, cpu = 0;
	uint64_t limit = (uint64_t)limit_ms * 1000000u, from = now();
	uint64_t cpu_from = clock_of(CLOCK_PROCESS_CPUTIME_ID);

	while (spent < limit && (!limit_ops || i < limit_ops)) {
		walk_until = now() + 5 * limit;
		if (w->flags & DROP) {
			if (i == MAX_DROPS)
				break;
			drop("3");
			from = now() - spent;
			cpu_from = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		}
		for (uint64_t k = 0; k < every; k++)
			ops += w->op(i++);
		spent = now() - from;
		if (w->flags & DROP)
			cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_from;
	}
	s->ops = ops;
	s->ns = spent;
	s->cpu_ns = w->flags & DROP ? cpu : clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_from;
}

static void
child(const struct work *w, const char *dir, int number)
{
	char own[4096];
	struct share *s = &share[number];

	if (w->flags & HERE)
		snprintf(own, sizeof(own), "%s", dir);
	else
		snprintf(own, sizeof(own), "%s/%s.%d", dir, w->name, number);
	must(mkdir(own, 0755) == 0 || errno == EEXIST, "mkdir", own);
	must(chdir(own) == 0, "chdir", own);
	if (w->fill)
		w->fill();
	/* Once round unmeasured, for what is to be cached. */
	walk_until = now() + 3000000000u;
	if (!(w->flags & PASS))
		for (uint64_t i = 0; i < HOT; i++)
			s->warm += w->op(i);
	else if (!(w->flags & DROP))
		s->warm = w->op(0);
	s->ready = 1;
	while (!*go)
		usleep(100);
	run_loop(w, s);
	_exit(0);
}

static int
run(const struct work *w, const char *dir, int processes, const pid_t *daemons,
    int n_daemons)
{
	uint64_t served = 0, ops = 0, cpu = 0, warm = 0;
	double rate = 0;
	int status, failed = 0;

	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();
		must(pid >= 0, "fork", "");
		if (pid == 0)
			child(w, dir, i);
	}
	for (int i = 0; i < processes; i++)
		while (!share[i].ready) {
			if (waitpid(-1, &status, WNOHANG) > 0)
				return 1;
			usleep(200);
		}
	for (int i = 0; i < n_daemons; i++)
		served -= cpu_of(daemons[i]);
	*go = 1;
	while (wait(&status) > 0)
		failed |= status;
	for (int i = 0; i < n_daemons; i++)
		served += cpu_of(daemons[i]);
	if (failed)
		return 1;
	for (int i = 0; i < processes; i++) {
		ops += share[i].ops;
		warm += share[i].warm;
		cpu += share[i].cpu_ns;
		rate +=
		    (double)share[i].ops * 1e9 / (double)(share[i].ns ? share[i].ns : 1);
	}
	printf("{\"ops\": %llu, \"warm\": %llu, \"rate\": %.3f, \"client_ns\": %llu, "
	       "\"daemon_ns\": %llu}\n",
	    (unsigned long long)ops, (unsigned long long)warm, rate,
	    (unsigned long long)cpu, (unsigned long long)served);
	return 0;
}

/* make-tree DIRS FILES: DIRS directories, in branches of 25, of FILES small files each. */
static void
make_tree(unsigned dirs, unsigned files)
{
	char name[64];
	for (unsigned d = 0; d < dirs; d++) {
		snprintf(name, sizeof(name), "b%u", d / 25);
		must(mkdir(name, 0755) == 0 || errno == EEXIST, "mkdir", name);
		snprintf(name, sizeof(name), "b%u/d%u", d / 25, d);
		must(mkdir(name, 0755) == 0, "mkdir", name);
		for (unsigned f = 0; f < files; f++) {
			snprintf(name, sizeof(name), "b%u/d%u/file%u.c", d / 25, d, f);
			int n = snprintf(page, sizeof(page), "int f%u(void);\n", f);
			make(name, (size_t)n);
		}
	}
}

static int
prepare(const char *what, char **args, int n)
{
	if (n >= 1 && strcmp(what, "fill") == 0)
		fill((unsigned)atoi(args[0]), n > 1 ? (size_t)atoi(args[1]) : 0);
	else if (n >= 2 && strcmp(what, "make-tree") == 0)
		make_tree((unsigned)atoi(args[0]), (unsigned)atoi(args[1]));
	else
		errx(2, "%s: not known", what);
	return 0;
}

int
main(int argc, char **argv)
{
	int processes = 1, n_daemons = 0, c;
	pid_t daemons[MAX_PROCESSES];

	while ((c = getopt(argc, argv, "p:t:n:d:")) != -1) {
		if (c == 'p')
			processes = atoi(optarg);
		else if (c == 't')
			limit_ms = atoi(optarg);
		else if (c == 'n')
			limit_ops = (uint64_t)atoll(optarg);
		else if (c == 'd' && n_daemons < MAX_PROCESSES)
			daemons[n_daemons++] = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind >= 2 && strcmp(argv[optind], "clock") == 0) {
		uint64_t sum = 0;
		for (int i = optind + 1; i < argc; i++)
			sum += atoi(argv[i]) ? cpu_of(atoi(argv[i])) : 0;
		printf("%llu\n", (unsigned long long)sum);
		return 0;
	}
	if (argc - optind < 2 || processes < 1 || processes > MAX_PROCESSES)
		errx(2,
		    "usage: ops [-p processes] [-t ms] [-n operations] [-d pid] work dir");
	memset(page, 'x', sizeof(page));
	share =
	    mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(share != MAP_FAILED, "mmap", "");
	go = (volatile int *)((char *)share + 8192 - sizeof(int));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (strcmp(works[i].name, argv[optind]) == 0)
			return run(
			    &works[i], argv[optind + 1], processes, daemons, n_daemons);
	must(chdir(argv[optind + 1]) == 0, "chdir", argv[optind + 1]);
	return prepare(argv[optind], argv + optind + 2, argc - optind - 2);
}
