/*
 * The race test: threads that change one small tree at random, at the same time.
 *
 *	p-race [-s SEED] [-t SECONDS] [-j THREADS] DIR
 *
 * While it runs, an operation may succeed or fail with an errno that such a race can
 * explain; any other errno (EIO, ESTALE from a fresh name, …) is counted and is a failure.
 * Afterwards, with everybody at rest, the tree must be one: the link count of a directory
 * is 2 and one for each subdirectory, ".." is the parent, a file's link count is the
 * number of its names, a listing has no name twice.  At the end all is removed, and the
 * used bytes and nodes of the file system are back to what they were (-k: the file system
 * is a host's, which others use too: not compared).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#define RENAME_WHITEOUT  4
#endif

enum {
	NAMES = 5,
	LEVELS = 4,
	THREADS_MAX = 64
};

static int top;
static uint64_t seed;
static _Atomic bool stop;
static _Atomic unsigned long done, odd;

struct rng {
	uint64_t s;
};

static uint64_t
rnd(struct rng *r)
{
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void
draw(struct rng *r, char *path)
{
	unsigned levels = 1 + (unsigned)(rnd(r) % LEVELS);
	size_t n = 0;

	while (levels-- > 0)
		n += (size_t)sprintf(
		    path + n, "%s%c", n ? "/" : "", 'a' + (char)(rnd(r) % NAMES));
}

/* Reading and writing under a name that others take away. */
static int
use_file(const char *path, struct rng *r)
{
	char buf[3000];
	int fd = openat(top, path, O_RDWR | (rnd(r) % 4 ? 0 : O_TRUNC)), err = 0;
	off_t off = (off_t)(rnd(r) % 200000);

	if (fd < 0)
		return -1;
	memset(buf, 'r', sizeof(buf));
	if (pwrite(fd, buf, sizeof(buf), off) < 0 ||
	    pread(fd, buf, sizeof(buf), off) < 0 ||
	    (rnd(r) % 4 == 0 && ftruncate(fd, (off_t)(rnd(r) % 100000)) != 0))
		err = errno;
	close(fd);
	errno = err;
	return err ? -1 : 0;
}

/* Lists a directory: no name may come twice that was there all the time, which cannot be
 * seen here, but nothing may fail, and names must be names. */
static int
use_dir(const char *path)
{
	int fd = openat(top, path, O_RDONLY | O_DIRECTORY), err;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -1;
	d = fdopendir(fd);
	if (!d)
		return -1;
	errno = 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '\0' || strchr(e->d_name, '/'))
			atomic_fetch_add(&odd, 1);
	}
	err = errno;
	closedir(d);
	errno = err;
	return err ? -1 : 0;
}

/* Removes what is below a directory, as far as the others let it. */
static void
remove_all(int dirfd, unsigned *failed)
{
	int fd = dirfd < 0 ? -1 : openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || unlinkat(fd, d->d_name, 0) == 0)
			continue;
		int sub = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY);
		remove_all(sub, failed);
		if (sub >= 0)
			close(sub);
		if (unlinkat(fd, d->d_name, AT_REMOVEDIR) != 0)
			(*failed)++;
	}
	if (dir)
		closedir(dir);
}

static int
one(struct rng *r)
{
	static const unsigned flags[] = {
	    0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE};
	char a[64], b[64];
	struct stat st;
	unsigned failed = 0;
	int fd;

	draw(r, a);
	draw(r, b);
	/* Renames push trees down to where no name is drawn: now and then one goes. */
	if (rnd(r) % 2000 == 0) {
		fd = openat(top, a, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		if (fd >= 0) {
			remove_all(fd, &failed);
			close(fd);
		}
		return 0;
	}
	switch (rnd(r) % 16) {
	case 0:
	case 1:
		fd = openat(top, a, O_CREAT | O_RDWR | (rnd(r) % 2 ? O_EXCL : 0), 0644);
		return fd < 0 ? -1 : close(fd);
	case 2:
	case 3:
	case 4:
		return mkdirat(top, a, 0755);
	case 5:
	case 6:
		return unlinkat(top, a, 0);
	case 7:
	case 8:
		return unlinkat(top, a, AT_REMOVEDIR);
	case 9:
		return linkat(top, a, top, b, 0);
	case 10:
		return symlinkat(b, top, a);
	case 11:
		return use_file(a, r);
	case 12:
		return use_dir(a);
	case 13:
		return fstatat(top, a, &st, AT_SYMLINK_NOFOLLOW);
	default:
		return renameat2(top, a, top, b, flags[rnd(r) % 6]);
	}
}

static void *
worker(void *arg)
{
	struct rng r = {seed + (uintptr_t)arg * 7919};

	while (!atomic_load(&stop)) {
		if (one(&r) != 0) {
			switch (errno) {
			case ENOENT:
			case EEXIST:
			case ENOTDIR:
			case EISDIR:
			case ENOTEMPTY:
			case EINVAL:
			case ELOOP:
			case EPERM:
			case EBUSY:
				break;
			default:
				if (atomic_fetch_add(&odd, 1) < 20)
					printf(
					    "unexpected: %s\n", strerrorname_np(errno));
			}
		}
		atomic_fetch_add(&done, 1);
	}
	return NULL;
}

/* What the check of the tree has seen. */
struct file {
	ino_t ino;
	nlink_t nlink, names;
};
static struct file *files;
static size_t nfiles, ndirs;
static unsigned bad;

static void
complain(const char *what, const char *path, long got, long want)
{
	printf("%s: %s is %ld, expected %ld\n", path, what, got, want);
	bad++;
}

static void
count_name(const struct stat *st)
{
	size_t i = 0;

	while (i < nfiles && files[i].ino != st->st_ino)
		i++;
	if (i == nfiles) {
		files = realloc(files, (nfiles + 1) * sizeof(*files));
		if (!files)
			abort();
		files[nfiles++] = (struct file){st->st_ino, st->st_nlink, 0};
	}
	files[i].names++;
}

static unsigned stale;

static void
verify(int dirfd, const char *path, ino_t parent)
{
	char seen[NAMES] = {0}, sub[512];
	struct stat st, e;
	long subdirs = 0;
	struct dirent *d;
	DIR *dir;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);

	ndirs++;
	if (fd < 0 || !(dir = fdopendir(fd)) || fstat(fd, &st) != 0) {
		complain("opening it", path, errno, 0);
		return;
	}
	if (fstatat(fd, "..", &e, 0) != 0 || (parent && e.st_ino != parent))
		complain("the inode of ..", path, (long)e.st_ino, (long)parent);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, d->d_name);
		if (d->d_name[0] < 'a' || d->d_name[0] >= 'a' + NAMES ||
		    seen[d->d_name[0] - 'a']++)
			complain("times listed", sub, 2, 1);
		if (fstatat(fd, d->d_name, &e, AT_SYMLINK_NOFOLLOW) != 0) {
			complain("stat", sub, errno, 0);
			continue;
		}
		if (d->d_ino != e.st_ino)
			complain("d_ino", sub, (long)d->d_ino, (long)e.st_ino);
		if (!S_ISDIR(e.st_mode)) {
			count_name(&e);
			continue;
		}
		subdirs++;
		int subfd = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY);
		verify(subfd, sub, st.st_ino);
		close(subfd);
	}
	/* An answer of before a change can reach the kernel after it, and be good for ever:
	 * what counts is what the file system says. */
	if ((long)st.st_nlink != 2 + subdirs) {
		struct statx sx;

		stale++;
		if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_NLINK,
			&sx) == 0)
			st.st_nlink = sx.stx_nlink;
	}
	if ((long)st.st_nlink != 2 + subdirs)
		complain("the link count", path, (long)st.st_nlink, 2 + subdirs);
	closedir(dir);
}

int
main(int argc, char **argv)
{
	unsigned seconds = 20, threads = 8, failed = 0;
	struct statvfs was, is;
	pthread_t t[THREADS_MAX];
	bool host = false;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = (uint64_t)time(NULL);
	while ((opt = getopt(argc, argv, "s:t:j:k")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 10);
		else if (opt == 't')
			seconds = (unsigned)atoi(optarg);
		else if (opt == 'j' && atoi(optarg) <= THREADS_MAX)
			threads = (unsigned)atoi(optarg);
		else if (opt == 'k')
			host = true;
	}
	if (optind >= argc || (top = open(argv[optind], O_RDONLY | O_DIRECTORY)) < 0 ||
	    fstatvfs(top, &was) != 0)
		return 2;
	printf("seed %llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i) != 0)
			return 2;
	sleep(seconds);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	verify(top, ".", 0);
	if (stale)
		printf(
		    "deviation link counts that the kernel had of before a change: %u\n",
		    stale);
	for (size_t i = 0; i < nfiles; i++)
		if (files[i].nlink != files[i].names)
			complain("the link count of an inode with so many names", ".",
			    (long)files[i].nlink, (long)files[i].names);
	printf(
	    "figure: race: %lu operations by %u threads in %u s; then %zu directories, %zu "
	    "files\n",
	    atomic_load(&done), threads, seconds, ndirs, nfiles);
	remove_all(top, &failed);
	if (failed)
		complain("what cannot be removed", ".", failed, 0);
	/* Nodes that were open to the last are given back a moment later. */
	for (int i = 0; i < 20 && fstatvfs(top, &is) == 0 && is.f_ffree != was.f_ffree;
	     i++)
		usleep(100000);
	if (!host && is.f_bfree != was.f_bfree)
		complain("the number of free blocks", ".", (long)is.f_bfree,
		    (long)was.f_bfree);
	if (!host && is.f_ffree != was.f_ffree)
		complain(
		    "the number of free nodes", ".", (long)is.f_ffree, (long)was.f_ffree);
	if (odd)
		complain(
		    "the number of unexpected answers", ".", (long)atomic_load(&odd), 0);
	return bad != 0;
}
