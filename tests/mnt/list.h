/*
 * The list of what a file system does: the frame of p-list-*.c.
 *
 * Each program is a part of one list.  It is run on a directory, any directory of any file
 * system: bare tmpfs and bare ext4 have to pass all of it, which is what makes the list
 * trustworthy, and then the mount has to.  Each group runs in a fresh directory as its
 * working directory.
 *
 *	p-list-tree [-x TAG]… [-v] DIR [GROUP…]
 *
 * Some rows hold for most file systems and not for all; those are under a tag, and -x TAG
 * says that this one is known to deviate.  Then the failing row is printed as a deviation;
 * a tag without any deviation is noted.
 *
 * The last line is "N passed, N failed, N skipped".
 */
#ifndef RF_LIST_H
#define RF_LIST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

struct l_group {
	const char *name;
	void (*fn)(void);
	struct l_group *next;
};
static struct l_group *l_first, **l_tail = &l_first;
static unsigned l_passed, l_failed, l_skipped, l_deviated;
static const char *l_tag, *l_name;
static const char *l_known[32];
static unsigned l_seen[32], l_nknown;
static bool l_verbose;

#define GROUP(id)                                                  \
	static void group_##id(void);                              \
	__attribute__((constructor)) static void add_##id(void)    \
	{                                                          \
		static struct l_group g = {#id, group_##id, NULL}; \
		*l_tail = &g;                                      \
		l_tail = &g.next;                                  \
	}                                                          \
	static void group_##id(void)

/* The outcome of one row. */
static bool
l_row(bool good, int line, const char *text, const char *got)
{
	unsigned i = 0;

	while (i < l_nknown && (!l_tag || strcmp(l_known[i], l_tag) != 0))
		i++;
	if (l_verbose)
		printf("%s %s:%d %s\n",
		    good           ? "ok   "
		    : i < l_nknown ? "known"
				   : "bad  ",
		    l_name, line, text);
	if (good) {
		l_passed++;
		return true;
	}
	if (i < l_nknown) {
		printf("deviation %s: %s:%d: %s%s\n", l_tag, l_name, line, text, got);
		l_deviated++;
		l_seen[i]++;
		return false;
	}
	printf("FAIL %s:%d: %s%s\n", l_name, line, text, got);
	l_failed++;
	return false;
}

__attribute__((unused)) static bool
l_number(long long got, long long want, int line, const char *text)
{
	char buf[80];

	snprintf(buf, sizeof(buf), " is %lld, expected %lld", got, want);
	return l_row(got == want, line, text, buf);
}

/* The call succeeds (its value is not negative). */
__attribute__((unused)) static bool
l_good(long long r, int err, int line, const char *text)
{
	char buf[80];

	snprintf(buf, sizeof(buf), ": %s", strerrorname_np(err));
	return l_row(r >= 0, line, text, buf);
}

/* The call fails with this errno. */
__attribute__((unused)) static bool
l_error(long long r, int err, int want, int line, const char *text)
{
	char buf[80];

	if (r >= 0)
		snprintf(
		    buf, sizeof(buf), " succeeds, expected %s", strerrorname_np(want));
	else
		snprintf(buf, sizeof(buf), " is %s, expected %s", strerrorname_np(err),
		    strerrorname_np(want));
	return l_row(r < 0 && err == want, line, text, buf);
}

#define T(cond)  l_row((cond), __LINE__, #cond, " does not hold")
#define IS(a, b) l_number((long long)(a), (long long)(b), __LINE__, #a)
/* Two statements: errno must be read after the call. */
#define OK(call)                                    \
	({                                          \
		long long r_ = (call);              \
		l_good(r_, errno, __LINE__, #call); \
	})
#define ERR(want, call)                                      \
	({                                                   \
		long long r_ = (call);                       \
		l_error(r_, errno, (want), __LINE__, #call); \
	})
/* Rows between TAG(name) and TAG(NULL) may deviate. */
#define TAG(t) (l_tag = (t))

/* Helpers that most groups need. */

/* Makes a file with this text, or dies: what cannot be made cannot be tested. */
__attribute__((unused)) static void
l_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		printf("FAIL %s: making %s: %m\n", l_name, path);
		exit(1);
	}
	close(fd);
}

/* Does the file hold exactly this text? */
__attribute__((unused)) static bool
l_holds(const char *path, const char *text)
{
	char buf[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

__attribute__((unused)) static struct stat
l_stat(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		memset(&st, 0, sizeof(st));
		printf("FAIL %s: lstat %s: %m\n", l_name, path);
		l_failed++;
	}
	return st;
}

__attribute__((unused)) static bool
l_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Removes everything below the working directory of fd. */
static void
l_clear(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd, e->d_name, 0) == 0)
			continue;
		int sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (sub >= 0) {
			fchmod(sub, 0700);
			l_clear(sub);
			close(sub);
		}
		unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

static void
l_run(struct l_group *g, int top)
{
	int fd;

	l_name = g->name;
	if (mkdirat(top, g->name, 0755) != 0 ||
	    (fd = openat(top, g->name, O_RDONLY | O_DIRECTORY)) < 0 || fchdir(fd) != 0) {
		printf("FAIL %s: making its directory: %m\n", g->name);
		l_failed++;
		return;
	}
	umask(022);
	g->fn();
	l_tag = NULL;
	if (fchdir(top) != 0)
		exit(1);
	l_clear(fd);
	close(fd);
	if (unlinkat(top, g->name, AT_REMOVEDIR) != 0) {
		printf("FAIL %s: cannot be cleared: %m\n", g->name);
		l_failed++;
	}
}

int
main(int argc, char **argv)
{
	int opt, top;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "x:v")) != -1) {
		if (opt == 'x' && l_nknown < 32)
			l_known[l_nknown++] = optarg;
		else if (opt == 'v')
			l_verbose = true;
		else
			return 2;
	}
	if (optind >= argc || (top = open(argv[optind], O_RDONLY | O_DIRECTORY)) < 0) {
		fprintf(stderr, "usage: %s [-x TAG]... [-v] DIR [GROUP...]\n", argv[0]);
		return 2;
	}
	for (struct l_group *g = l_first; g; g = g->next) {
		bool wanted = optind + 1 == argc;
		for (int i = optind + 1; i < argc; i++)
			wanted |= strcmp(argv[i], g->name) == 0;
		if (wanted)
			l_run(g, top);
	}
	for (unsigned i = 0; i < l_nknown; i++) {
		if (l_seen[i] == 0 && optind + 1 == argc) {
			printf("note: no deviation %s\n", l_known[i]);
		}
	}
	if (l_deviated)
		printf("%u rows deviate as expected\n", l_deviated);
	printf("%u passed, %u failed, %u skipped\n", l_passed, l_failed, l_skipped);
	return l_failed != 0;
}

#endif
