/*
 * A random exerciser of trees, as fsstress is: several processes work on one tree at a time,
 * with every call that files and directories have.
 *
 *	p-fstress [-s SEED] [-t SECONDS] [-p PROCESSES] [-u UID] [-m] DIR
 *
 * DIR must be empty.  -u: every second process is this user, with DIR open to all; -m: the
 * file system is nobody else's, so that the free nodes must be as many at the end as they
 * were.
 *
 * While it runs an operation may fail with any errno that others' work can explain; another
 * one (EIO, ESTALE, EBADF, …) is a failure, and so is a process that ends by itself.
 * Afterwards the tree must be one: two walks see the same; a directory has as many links as
 * subdirectories and two, a file as many as names; entries are of the kind that their
 * listing says, and no name is there twice.  Then all of it can be removed.
 */
#include "p-fstress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROCESSES_MAX = 64,
	INODES = 1 << 16 /* that a walk can remember */
};

struct shared *shared;
int top;
static unsigned processes = 4, seconds = 20;
static uid_t other;
static uint64_t seed = 1;
static bool alone;
static unsigned bad;

/* A file's names, counted. */
struct links {
	ino_t ino;
	nlink_t said, seen;
};

struct walk {
	struct links links[INODES];
	unsigned count, entries;
	uint64_t hash;
};

static void
complain(const char *what, const char *dir, const char *name, long is, long expected)
{
	printf("FAIL %s: %s/%s: is %ld, expected %ld\n", what, dir, name, is, expected);
	bad++;
}

static void
mix(uint64_t *h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*h = (*h ^ ((const uint8_t *)p)[i]) * 0x100000001b3ull;
}

static void
note_links(struct walk *w, const char *dir, const char *name, const struct stat *st)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->links[i].ino != st->st_ino)
			continue;
		w->links[i].seen++;
		if (w->links[i].said != st->st_nlink)
			complain("link count, by another name", dir, name,
			    (long)st->st_nlink, (long)w->links[i].said);
		return;
	}
	if (w->count < INODES)
		w->links[w->count++] = (struct links){st->st_ino, st->st_nlink, 1};
}

static unsigned char
dt_of(mode_t mode)
{
	return (unsigned char)(mode >> 12);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk_dir(struct walk *w, int fd, const char *path, nlink_t nlink);

static void
walk_entry(struct walk *w, int fd, const char *path, const char *entry, nlink_t *subdirs)
{
	const char *name = entry + 1;
	char sub[PATH_MAX];
	struct stat st;
	int sfd;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		complain("an entry cannot be looked at", path, name, errno, 0);
		return;
	}
	w->entries++;
	mix(&w->hash, name, strlen(name));
	mix(&w->hash, &st.st_mode, sizeof(st.st_mode));
	mix(&w->hash, &st.st_nlink, sizeof(st.st_nlink));
	mix(&w->hash, &st.st_ino, sizeof(st.st_ino));
	mix(&w->hash, &st.st_uid, sizeof(st.st_uid));
	if (entry[0] != DT_UNKNOWN && (unsigned char)entry[0] != dt_of(st.st_mode))
		complain("d_type", path, name, entry[0], dt_of(st.st_mode));
	if (!S_ISDIR(st.st_mode)) {
		mix(&w->hash, &st.st_size, sizeof(st.st_size));
		note_links(w, path, name, &st);
		return;
	}
	++*subdirs;
	snprintf(sub, sizeof(sub), "%s/%s", path, name);
	sfd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (sfd < 0)
		complain("a directory cannot be opened", path, name, errno, 0);
	else
		walk_dir(w, sfd, sub, st.st_nlink);
}

/* Closes fd. */
static void
walk_dir(struct walk *w, int fd, const char *path, nlink_t nlink)
{
	DIR *d = fdopendir(fd);
	char *entries[4096];
	unsigned n = 0;
	nlink_t subdirs = 0;
	struct dirent *e;

	while (n < 4096 && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (asprintf(&entries[n], "%c%s", e->d_type, e->d_name) < 0)
			exit(1);
		n++;
	}
	qsort(entries, n, sizeof(entries[0]), by_name);
	for (unsigned i = 0; i < n; i++) {
		if (i > 0 && strcmp(entries[i - 1] + 1, entries[i] + 1) == 0)
			complain("a name is listed twice", path, entries[i] + 1, 2, 1);
		walk_entry(w, fd, path, entries[i], &subdirs);
	}
	if (nlink != subdirs + 2)
		complain("link count of a directory", path, ".", (long)nlink,
		    (long)subdirs + 2);
	for (unsigned i = 0; i < n; i++)
		free(entries[i]);
	closedir(d);
}

static void
walk(struct walk *w)
{
	struct stat st;

	memset(w, 0, sizeof(*w));
	if (fstat(top, &st) != 0)
		exit(1);
	walk_dir(w, openat(top, ".", O_RDONLY | O_DIRECTORY), "", st.st_nlink);
	for (unsigned i = 0; i < w->count; i++)
		if (w->links[i].said != w->links[i].seen)
			complain("link count", "inode", "", (long)w->links[i].said,
			    (long)w->links[i].seen);
}

/* Removes everything below fd. */
static void
clear(int dirfd)
{
	DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	while ((e = readdir(d))) {
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(dirfd, e->d_name, 0) == 0)
			continue;
		sub = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (sub >= 0) {
			clear(sub);
			close(sub);
		}
		if (unlinkat(dirfd, e->d_name, AT_REMOVEDIR) != 0)
			complain("cannot be removed", "", e->d_name, errno, 0);
	}
	closedir(d);
}

static unsigned
left(void)
{
	DIR *d = fdopendir(openat(top, ".", O_RDONLY | O_DIRECTORY));
	unsigned n = 0;
	struct dirent *e;

	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void
child(unsigned k)
{
	if (other && k % 2 && (setgid(other) != 0 || setuid(other) != 0))
		exit(1);
	work(seed * 1000 + k);
	exit(0);
}

static void
run(void)
{
	pid_t pids[PROCESSES_MAX];

	fflush(stdout);
	for (unsigned k = 0; k < processes; k++) {
		pids[k] = fork();
		if (pids[k] < 0) {
			printf("FAIL fork: %m\n");
			exit(1);
		}
		if (pids[k] == 0)
			child(k);
	}
	sleep(seconds);
	atomic_store(&shared->stop, true);
	for (unsigned k = 0; k < processes; k++) {
		int status;

		if (waitpid(pids[k], &status, 0) < 0 || status != 0)
			complain("a process ends badly", "", "", status, 0);
	}
}

/* The nodes of what was removed may be let go a little later. */
static void
check_nodes(fsfilcnt_t before)
{
	struct statvfs sv;

	for (unsigned i = 0; i < 100; i++) {
		if (fstatvfs(top, &sv) == 0 && sv.f_ffree == before)
			return;
		usleep(50000);
	}
	complain("free nodes", "", "", (long)sv.f_ffree, (long)before);
}

static bool
options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:t:p:u:m")) != -1) {
		switch (opt) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			seconds = (unsigned)atoi(optarg);
			break;
		case 'p':
			processes = (unsigned)atoi(optarg);
			break;
		case 'u':
			other = (uid_t)atoi(optarg);
			break;
		case 'm':
			alone = true;
			break;
		default:
			return false;
		}
	}
	if (optind + 1 != argc || processes < 1 || processes > PROCESSES_MAX)
		return false;
	top = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top >= 0;
}

int
main(int argc, char **argv)
{
	static struct walk first, second;
	struct statvfs before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!options(argc, argv) || left() != 0) {
		fprintf(stderr, "usage: p-fstress [-s SEED] [-t SECONDS] [-p PROCESSES]"
				" [-u UID] [-m] EMPTY-DIR\n");
		return 2;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	umask(0);
	if (shared == MAP_FAILED || fstatvfs(top, &before) != 0 ||
	    (other && fchmod(top, 0777) != 0)) {
		printf("FAIL the start: %m\n");
		return 1;
	}
	run();
	walk(&first);
	walk(&second);
	if (first.hash != second.hash)
		complain("two walks see the same", "", "", (long)second.hash,
		    (long)first.hash);
	clear(top);
	if (left() != 0)
		complain("entries left", "", "", left(), 0);
	if (alone)
		check_nodes(before.f_ffree);
	bad += atomic_load(&shared->odd);
	printf(
	    "%lu operations, %lu succeeded; %u entries at the end, seed %llu, %u bad\n",
	    atomic_load(&shared->done), atomic_load(&shared->good), first.entries,
	    (unsigned long long)seed, bad);
	return bad != 0;
}
