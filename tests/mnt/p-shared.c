/*
 * One file under two names: what is written through one is read through the other, at once.
 *
 *	p-shared [-f] ROUNDS A AT-A B AT-B LEN
 *
 * LEN bytes at AT-A of A are the LEN bytes at AT-B of B.  Both are open all the time, A for
 * writing and B for reading, then the other way round.  -f: they are whole files (AT-A and
 * AT-B are 0), and grow and shrink too.  The exit status is 1 if anything old was read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE  1
#define FALLOC_FL_PUNCH_HOLE 2
#endif

static unsigned bad, done;
static size_t len;

static void
expect(int fd, off_t at, const char *want, size_t n, const char *what)
{
	static char got[1 << 20];
	ssize_t r = pread(fd, got, n, at);

	done++;
	if (r != (ssize_t)n || memcmp(got, want, n) != 0) {
		if (bad++ < 10)
			printf(
			    "%s: %zd bytes at %lld, the first is %#x, expected %zu and %#x\n",
			    what, r, (long long)at, r > 0 ? (unsigned char)got[0] : 0u, n,
			    (unsigned char)want[0]);
	}
}

static void
fill(char *buf, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(seed * 7 + i);
}

static void
put(int fd, off_t at, const char *buf, size_t n)
{
	if (pwrite(fd, buf, n, at) != (ssize_t)n) {
		perror("write");
		exit(2);
	}
}

/* Writes at w, reads at r. */
static void
inside(int w, off_t wat, int r, off_t rat, int rounds)
{
	static char buf[1 << 20];
	size_t n = len < 16384 ? len : 16384;

	for (int i = 0; i < rounds; i++) {
		off_t at = (off_t)((size_t)(i * 977) % (len - n + 1));

		fill(buf, n, (unsigned)i);
		put(w, wat + at, buf, n);
		expect(r, rat + at, buf, n, "written");
		/* Once more from what may be in a cache, after a part has changed. */
		buf[n / 2] ^= 0x55;
		put(w, wat + at + (off_t)n / 2, buf + n / 2, 1);
		expect(r, rat + at, buf, n, "a byte of it");
		if (fallocate(w, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, wat + at,
			(off_t)n / 2) == 0) {
			memset(buf, 0, n / 2);
			expect(r, rat + at, buf, n, "punched");
		}
	}
}

/* Appends, cuts and rewrites at w by way of name too, reads at r. */
static void
whole(int w, const char *wname, int r, int rounds)
{
	static char buf[1 << 20];
	struct stat st;

	for (int i = 0; i < rounds; i++) {
		size_t size = (size_t)(i % 5) * 5000 + 100;

		if (i % 2 ? ftruncate(w, 0) : truncate(wname, 0))
			exit(2);
		if (pread(r, buf, 1, 0) != 0 && bad++ < 10)
			printf("cut off: there is something to read\n");
		fill(buf, size, (unsigned)i);
		for (size_t at = 0; at < size; at += 100)
			put(w, (off_t)at, buf + at, 100);
		expect(r, 0, buf, size, "appended");
		if (truncate(wname, (off_t)size / 2) != 0)
			exit(2);
		expect(r, 0, buf, size / 2, "cut in half");
		if (fstat(r, &st) == 0 && st.st_size != (off_t)size / 2 && bad++ < 10)
			printf("cut in half: the size is %lld\n", (long long)st.st_size);
		if (ftruncate(w, (off_t)size) != 0)
			exit(2);
		memset(buf + size / 2, 0, size - size / 2);
		expect(r, 0, buf, size, "grown again");
	}
}

/* A file that is opened for writing, written and closed again, while the other's size and
 * pages are known. */
static void
short_visits(const char *wname, const char *rname, int rounds)
{
	static char buf[8192];

	for (int i = 0; i < rounds; i++) {
		struct stat st;
		int r = open(rname, O_RDONLY), w;

		if (r < 0 || stat(rname, &st) != 0 || pread(r, buf, sizeof(buf), 0) < 0)
			exit(2);
		w = open(wname, O_WRONLY | O_TRUNC);
		fill(buf, 4000 + (size_t)(i % 3) * 1000, (unsigned)i);
		put(w, 0, buf, 4000 + (size_t)(i % 3) * 1000);
		close(w);
		expect(r, 0, buf, 4000 + (size_t)(i % 3) * 1000, "a short visit");
		close(r);
		r = open(rname, O_RDONLY);
		expect(r, 0, buf, 4000 + (size_t)(i % 3) * 1000, "opened after it");
		close(r);
	}
}

int
main(int argc, char **argv)
{
	bool files = argc > 1 && strcmp(argv[1], "-f") == 0;
	char **arg = argv + 1 + files;
	int a, b, rounds;

	if (argc != 7 + files)
		return 2;
	rounds = atoi(arg[0]);
	len = (size_t)atoll(arg[5]);
	a = open(arg[1], O_RDWR);
	b = open(arg[3], O_RDONLY);
	if (a < 0 || b < 0 || len == 0) {
		perror("open");
		return 2;
	}
	inside(a, atoll(arg[2]), b, atoll(arg[4]), rounds);
	if (files)
		whole(a, arg[1], b, rounds);
	close(b);
	close(a);
	a = open(arg[1], O_RDONLY);
	b = open(arg[3], O_RDWR);
	if (files && ftruncate(b, (off_t)len) != 0)
		return 2;
	inside(b, atoll(arg[4]), a, atoll(arg[2]), rounds);
	if (files) {
		whole(b, arg[3], a, rounds);
		close(a);
		close(b);
		a = b = -1;
		short_visits(arg[1], arg[3], rounds);
		short_visits(arg[3], arg[1], rounds);
	}
	printf("figure: shared: %u reads, %u of them old\n", done, bad);
	return bad > 0;
}
