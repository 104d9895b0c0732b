/*
 * One operation, over and over, for so long: what ./dev profile looks at, and what is
 * measured about threads.
 *
 *	ops_loop OP DIR SECONDS [PROCESSES]
 *
 * prints operations, nanoseconds of wall time for one (a process), and nanoseconds of CPU time
 * of the clients for one.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
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

#define FILE_BYTES (8u << 20)
#define ENTRIES    1000

struct loop {
	const char *l_dir;
	int l_proc, l_fd;
	uint64_t l_n;
	char *l_buf; /* 1 MiB, page-aligned */
	char l_path[512];
};

static void
must(bool ok, const char *what)
{
	if (!ok)
		err(1, "%s", what);
}

static const char *
path_of(struct loop *l, const char *form, uint64_t n)
{
	int len = snprintf(l->l_path, sizeof(l->l_path), "%s/p%d", l->l_dir, l->l_proc);

	snprintf(l->l_path + len, sizeof(l->l_path) - (size_t)len, form, n);
	return l->l_path;
}

static void
data_file(struct loop *l, int flags)
{
	int fd = open(path_of(l, "-data", 0), O_RDWR | O_CREAT, 0644);

	must(fd >= 0, l->l_path);
	for (unsigned at = 0; at < FILE_BYTES; at += 1u << 20)
		must(pwrite(fd, l->l_buf, 1u << 20, at) == 1 << 20, "write");
	close(fd);
	l->l_fd = open(l->l_path, O_RDWR | flags);
	must(l->l_fd >= 0, l->l_path);
}

static void
begin_direct(struct loop *l)
{
	data_file(l, O_DIRECT);
}

static void
begin_buffered(struct loop *l)
{
	data_file(l, 0);
}

static void
begin_entries(struct loop *l)
{
	must(mkdir(path_of(l, "-dir", 0), 0755) == 0, l->l_path);
	for (unsigned i = 0; i < ENTRIES; i++) {
		int fd = open(path_of(l, "-dir/file-%lu", i), O_CREAT | O_WRONLY, 0644);

		must(fd >= 0, l->l_path);
		close(fd);
	}
}

static void
op_stat(struct loop *l)
{
	struct statx sx;

	must(statx(AT_FDCWD, path_of(l, "-data", 0), AT_STATX_FORCE_SYNC,
		 STATX_BASIC_STATS, &sx) == 0,
	    "statx");
}

static void
op_miss(struct loop *l)
{
	struct stat st;

	must(
	    lstat(path_of(l, "-missing-%lu", l->l_n), &st) < 0, "a name that is missing");
}

static void
op_open(struct loop *l)
{
	int fd = open(path_of(l, "-data", 0), O_RDONLY);

	must(fd >= 0, "open");
	close(fd);
}

static void
op_create(struct loop *l)
{
	int fd = open(path_of(l, "-new-%lu", l->l_n), O_CREAT | O_EXCL | O_WRONLY, 0644);

	must(fd >= 0, "create");
	close(fd);
	must(unlink(l->l_path) == 0, "unlink");
}

static void
transfer(struct loop *l, size_t len, bool out)
{
	off_t at = (off_t)(l->l_n * len % FILE_BYTES);
	ssize_t n =
	    out ? pwrite(l->l_fd, l->l_buf, len, at) : pread(l->l_fd, l->l_buf, len, at);

	must(n == (ssize_t)len, "transfer");
}

static void
op_read4k(struct loop *l)
{
	transfer(l, 4096, false);
}

static void
op_write4k(struct loop *l)
{
	transfer(l, 4096, true);
}

static void
op_read128k(struct loop *l)
{
	transfer(l, 128u << 10, false);
}

static void
op_read1m(struct loop *l)
{
	transfer(l, 1u << 20, false);
}

static void
op_write1m(struct loop *l)
{
	transfer(l, 1u << 20, true);
}

static void
op_readdir(struct loop *l)
{
	DIR *d = opendir(path_of(l, "-dir", 0));
	unsigned n = 0;

	must(d != NULL, "opendir");
	while (readdir(d))
		n++;
	must(n == ENTRIES + 2, "a listing");
	closedir(d);
}

static const struct {
	const char *name;
	void (*begin)(struct loop *l), (*op)(struct loop *l);
} ops[] = {
    {"stat", begin_buffered, op_stat},
    {"miss", begin_buffered, op_miss},
    {"open", begin_buffered, op_open},
    {"create", begin_buffered, op_create},
    {"read4k", begin_direct, op_read4k},
    {"write4k", begin_buffered, op_write4k},
    {"read128k", begin_direct, op_read128k},
    {"read1m", begin_direct, op_read1m},
    {"write1m", begin_buffered, op_write1m},
    {"readdir", begin_entries, op_readdir},
};

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct result {
	uint64_t r_n, r_wall_ns, r_cpu_ns;
};

static void
run(unsigned which, const char *dir, int proc, double seconds, struct result *ret)
{
	struct loop l = {.l_dir = dir, .l_proc = proc};
	uint64_t wall, cpu, until;

	l.l_buf = aligned_alloc(4096, 1u << 20);
	must(l.l_buf != NULL, "memory");
	memset(l.l_buf, 'x', 1u << 20);
	ops[which].begin(&l);
	cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall = now_ns(CLOCK_MONOTONIC);
	until = wall + (uint64_t)(seconds * 1e9);
	do {
		ops[which].op(&l);
		l.l_n++;
	} while (now_ns(CLOCK_MONOTONIC) < until);
	*ret = (struct result){l.l_n, now_ns(CLOCK_MONOTONIC) - wall,
	    now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

int
main(int argc, char **argv)
{
	int procs = argc > 4 ? atoi(argv[4]) : 1, status, bad = 0;
	unsigned which = 0;
	uint64_t n = 0, wall = 0, cpu = 0;
	struct result *r;

	if (argc < 4 || procs < 1 || procs > 64)
		errx(1, "usage: ops_loop OP DIR SECONDS [PROCESSES]");
	while (
	    which < sizeof(ops) / sizeof(ops[0]) && strcmp(ops[which].name, argv[1]) != 0)
		which++;
	if (which == sizeof(ops) / sizeof(ops[0]))
		errx(1, "no such operation: %s", argv[1]);
	r = mmap(NULL, (size_t)procs * sizeof(*r), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(r != MAP_FAILED, "mmap");
	for (int i = 0; i < procs; i++)
		if (fork() == 0) {
			run(which, argv[2], i, atof(argv[3]), &r[i]);
			_exit(0);
		}
	while (wait(&status) > 0)
		bad |= status;
	for (int i = 0; i < procs; i++) {
		n += r[i].r_n;
		wall += r[i].r_wall_ns;
		cpu += r[i].r_cpu_ns;
	}
	if (bad || n == 0)
		errx(1, "a client has failed");
	printf("%lu %lu %lu\n", n, wall / n, cpu / n);
	return 0;
}
