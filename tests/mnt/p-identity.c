/*
 * Never a mixture of two files: names are replaced, removed, made again and exchanged, all
 * the time, while others read them.
 *
 *	p-identity SECONDS HOST VIEW SETTLE-MS
 *
 * HOST and VIEW are the same directory, seen in two ways.  Each file consists of records
 * that say which file it is: its serial number.  A reader that sees two numbers in one open
 * file, or in a mapping of it, has seen a mixture.  Names may be missing for a moment;
 * opening one never says ESTALE.  At the end, after SETTLE-MS, both show the same.  The
 * exit status is 1 if they do not, or there was a mixture.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

enum {
	READERS = 3,
	NAMES = 6,
	RECORD = 16,
	SIZE = 5 * 4096
};

struct shared {
	_Atomic unsigned long changes, reads, missing, mixed, stale, other, serial;
	_Atomic bool stop;
};
static struct shared *sh;

/* All files have one size, so that it gives nothing away. */
static void
make(int dir, const char *name, unsigned flags)
{
	unsigned long serial = ++sh->serial;
	char buf[SIZE];
	int fd = openat(dir, name, O_CREAT | O_WRONLY | (int)flags, 0644);

	memset(buf, 0, sizeof(buf));
	for (size_t at = 0; at < SIZE; at += RECORD)
		snprintf(buf + at, RECORD, "%014lu", serial);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE) {
		perror(name);
		exit(2);
	}
	close(fd);
}

static void
swap_dirs(int dir)
{
	renameat2(dir, "d0", dir, "d1", RENAME_EXCHANGE);
	/* And one that is new, most likely with the inode of the last. */
	unlinkat(dir, "d2/x", 0);
	unlinkat(dir, "d2", AT_REMOVEDIR);
	mkdirat(dir, "d2", 0755);
	make(dir, "d2/x", 0);
}

static void
changer(int dir)
{
	char name[16], other[16];

	for (unsigned i = 0; !sh->stop; i++) {
		snprintf(name, sizeof(name), "f%u", i % NAMES);
		snprintf(other, sizeof(other), "f%u", (i + 1) % NAMES);
		switch (i % 4) {
		case 0: /* the inode number of the removed file is free for the new one */
			unlinkat(dir, name, 0);
			make(dir, name, O_EXCL);
			break;
		case 1:
			make(dir, "new", O_EXCL);
			renameat(dir, "new", dir, name);
			break;
		case 2:
			renameat2(dir, name, dir, other, RENAME_EXCHANGE);
			break;
		default:
			swap_dirs(dir);
		}
		sh->changes++;
		if (i % 16 == 0)
			usleep(500);
	}
}

static void
failed(const char *name)
{
	if (errno == ENOENT) {
		sh->missing++;
	} else {
		if (errno == ESTALE)
			sh->stale++;
		else
			sh->other++;
		if (sh->stale + sh->other < 10)
			printf("%s: %s\n", name, strerror(errno));
	}
}

static bool
one_serial(const char *buf, ssize_t n)
{
	for (ssize_t at = RECORD; at + RECORD <= n; at += RECORD)
		if (memcmp(buf, buf + at, RECORD) != 0)
			return false;
	return true;
}

static void
look(int dir, const char *name, bool map)
{
	char buf[2 * SIZE];
	int fd = openat(dir, name, O_RDONLY);
	ssize_t n = 0, r = 1;

	if (fd < 0) {
		failed(name);
		return;
	}
	/* In pieces, with time for a change between them; twice, the second time from what
	 * may be cached. */
	for (; r > 0 && n < SIZE; n += r)
		r = pread(fd, buf + n, 4096, n);
	if (r >= 0)
		r = pread(fd, buf + n, SIZE, 0);
	if (r < 0)
		failed("read");
	else if (!one_serial(buf, n + r) && sh->mixed++ < 5)
		printf(
		    "%s: %.15s and %.15s in one file\n", name, buf, buf + n + r - RECORD);
	if (map && n == SIZE) {
		char *m = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

		if (m != MAP_FAILED) {
			memcpy(buf, m, SIZE);
			if (!one_serial(buf, SIZE + r) && sh->mixed++ < 5)
				printf("%s: mapped: a mixture\n", name);
			munmap(m, SIZE);
		}
	}
	sh->reads++;
	close(fd);
}

static void
reader(const char *view, unsigned id)
{
	int dir = open(view, O_RDONLY | O_DIRECTORY);
	struct stat st;
	char name[32];

	for (unsigned i = id; !sh->stop; i++) {
		snprintf(name, sizeof(name), "f%u", i % NAMES);
		look(dir, name, i % 7 == 0);
		snprintf(name, sizeof(name), "d%u/x", i % 3);
		look(dir, name, false);
		if (fstatat(dir, name, &st, 0) != 0)
			failed(name);
		if (i % 64 == id)
			usleep(2000);
	}
	close(dir);
}

static bool
same(int a, int b, const char *name)
{
	char x[SIZE + 1], y[SIZE + 1];
	int fa = openat(a, name, O_RDONLY), fb = openat(b, name, O_RDONLY);
	ssize_t na = fa < 0 ? -1 : read(fa, x, sizeof(x)),
		nb = fb < 0 ? -1 : read(fb, y, sizeof(y));
	bool eq = na == nb && (na < 0 || memcmp(x, y, (size_t)na) == 0);

	if (!eq)
		printf("%s: %zd bytes \"%.15s\", and %zd bytes \"%.15s\"\n", name, na,
		    na > 0 ? x : "", nb, nb > 0 ? y : "");
	close(fa);
	close(fb);
	return eq;
}

int
main(int argc, char **argv)
{
	pid_t pid[READERS + 1];
	unsigned different = 0;
	int host, view;
	char name[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5)
		return 2;
	host = open(argv[2], O_RDONLY | O_DIRECTORY);
	view = open(argv[3], O_RDONLY | O_DIRECTORY);
	sh = mmap(
	    NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (host < 0 || view < 0 || sh == MAP_FAILED)
		return 2;
	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		make(host, name, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		mkdirat(host, name, 0755);
		strcat(name, "/x");
		make(host, name, 0);
	}
	for (unsigned i = 0; i <= READERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			if (i == READERS)
				changer(host);
			else
				reader(argv[3], i);
			_exit(0);
		}
	}
	sleep((unsigned)atoi(argv[1]));
	sh->stop = true;
	for (unsigned i = 0; i <= READERS; i++)
		waitpid(pid[i], NULL, 0);
	usleep((unsigned)atoi(argv[4]) * 1000);
	for (unsigned i = 0; i < NAMES + 3; i++) {
		snprintf(name, sizeof(name), i < NAMES ? "f%u" : "d%u/x",
		    i < NAMES ? i : i - NAMES);
		different += !same(host, view, name);
	}
	printf(
	    "figure: identity: %lu changes, %lu reads, %lu names missing, %lu mixtures, "
	    "%lu ESTALE\n",
	    sh->changes, sh->reads, sh->missing, sh->mixed, sh->stale);
	return sh->mixed || sh->stale || sh->other || different || !sh->reads ||
	       !sh->changes;
}
