/*
 * The escape test: names in a host directory are swapped for symlinks to a secret outside,
 * over and over, while others walk the directory through the mount.
 *
 *	p-swap [-f] SECONDS HOSTDIR VIEW OUTSIDE
 *
 * HOSTDIR is the host directory of a key and VIEW the same through the mount.  OUTSIDE is
 * a directory outside of it; everything in it is made here.  The walkers never let the
 * kernel follow a symlink (O_NOFOLLOW at each step), so a byte of the secret that they see
 * was fetched by the daemon.  With -f the daemon resolves symlinks below the key itself
 * (symlinks = follow), and the kernel never meets one: then plain opens are used.
 *
 * Walkers also create, rename, and remove; at the end OUTSIDE must be exactly as it was.
 * The exit status is 1 if anything leaked or was changed.
 */
#include <dirent.h>
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
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

enum {
	WALKERS = 2
};

struct shared {
	_Atomic unsigned long swaps, walks, inside, leaks, errors;
	_Atomic bool stop;
};
static struct shared *sh;
static int nofollow = O_NOFOLLOW;

static void
put(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(name);
		exit(2);
	}
	close(fd);
}

static int
dir(int at, const char *name)
{
	int fd;

	mkdirat(at, name, 0755);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0) {
		perror(name);
		exit(2);
	}
	return fd;
}

/* HOSTDIR: x/, x/deep/ and f, each with a twin that is a symlink to the same in OUTSIDE. */
static void
prepare(int host, int out, const char *outside)
{
	char target[4096];
	int x = dir(host, "x"), deep = dir(x, "deep"), secret = dir(out, "deep");

	put(x, "data", "inside");
	put(deep, "data", "inside");
	put(host, "f", "inside");
	put(out, "data", "SECRET");
	put(out, "only-outside", "SECRET");
	put(secret, "data", "SECRET");
	fsetxattr(out, "user.secret", "SECRET", 6, 0);
	snprintf(target, sizeof(target), "%s", outside);
	if (symlinkat(target, host, "x.link") != 0)
		exit(2);
	snprintf(target, sizeof(target), "%s/data", outside);
	if (symlinkat(target, host, "f.link") != 0)
		exit(2);
	snprintf(target, sizeof(target), "%s/deep", outside);
	if (symlinkat(target, x, "deep.link") != 0)
		exit(2);
	close(x);
	close(deep);
	close(secret);
}

static void
swapper(int host)
{
	int x = openat(host, "x", O_RDONLY | O_DIRECTORY);

	while (!sh->stop) {
		renameat2(host, "x", host, "x.link", RENAME_EXCHANGE);
		renameat2(host, "f", host, "f.link", RENAME_EXCHANGE);
		renameat2(x, "deep", x, "deep.link", RENAME_EXCHANGE);
		sh->swaps++;
		if (sh->swaps % 64 == 0)
			usleep(100);
	}
}

static void
judge(const char *what, const char *buf, ssize_t n)
{
	if (n > 0 && memmem(buf, (size_t)n, "SECRET", 6)) {
		if (sh->leaks++ < 5)
			printf("LEAK: %s\n", what);
	} else if (n > 0) {
		sh->inside++;
	}
}

static void
read_file(int dirfd, const char *name, const char *what)
{
	char buf[64];
	int fd = openat(dirfd, name, O_RDONLY | nofollow);

	if (fd < 0)
		return;
	judge(what, buf, read(fd, buf, sizeof(buf)));
	close(fd);
}

static void
list(int dirfd, const char *what)
{
	int fd = dup(dirfd);
	struct dirent *e;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return;
	rewinddir(d);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, "only-outside") == 0)
			judge(what, "SECRET", 6);
	closedir(d);
}

static void
change(int x, unsigned n)
{
	char name[32], other[32];
	int fd;

	snprintf(name, sizeof(name), "new%u", n);
	snprintf(other, sizeof(other), "moved%u", n);
	fd = openat(x, name, O_CREAT | O_RDWR | nofollow, 0644);
	if (fd >= 0) {
		if (write(fd, "mine", 4) < 0)
			sh->errors++;
		close(fd);
	}
	renameat(x, name, x, other);
	unlinkat(x, other, 0);
	unlinkat(x, name, 0);
	mkdirat(x, name, 0755);
	unlinkat(x, name, AT_REMOVEDIR);
	symlinkat("t", x, name);
	linkat(x, name, x, other, 0);
	unlinkat(x, name, 0);
	unlinkat(x, other, 0);
}

static void
walker(const char *view, unsigned id)
{
	char buf[64], path[4200];
	int top = open(view, O_RDONLY | O_DIRECTORY);
	unsigned n = id << 20;

	if (top < 0)
		sh->errors++;
	while (top >= 0 && !sh->stop) {
		int x = openat(top, "x", O_RDONLY | O_DIRECTORY | nofollow);
		read_file(top, "f", "f");
		if (x >= 0) {
			read_file(x, "data", "x/data");
			read_file(x, "only-outside", "x/only-outside");
			list(x, "the listing of x");
			int deep = openat(x, "deep", O_RDONLY | O_DIRECTORY | nofollow);
			if (deep >= 0) {
				read_file(deep, "data", "x/deep/data");
				close(deep);
			}
			judge("an attribute of x", buf,
			    fgetxattr(x, "user.secret", buf, sizeof(buf)));
			change(x, n++);
			close(x);
		}
		if (!nofollow) {
			snprintf(path, sizeof(path), "%s/x/deep/data", view);
			read_file(AT_FDCWD, path, "x/deep/data, by path");
		}
		sh->walks++;
	}
}

/* All there is to see of OUTSIDE, in one number. */
static uint64_t
fingerprint(int fd)
{
	struct dirent *e;
	uint64_t h = 0;
	DIR *d = fdopendir(dup(fd));

	rewinddir(d);
	while ((e = readdir(d))) {
		struct stat st;
		uint64_t k = 14695981039346656037ull;
		if (strcmp(e->d_name, "..") == 0 || fstatat(fd, e->d_name, &st, 0) != 0)
			continue;
		for (const char *p = e->d_name; *p; p++)
			k = (k ^ (unsigned char)*p) * 1099511628211ull;
		h += (k ^ st.st_ino ^ ((uint64_t)st.st_mode << 40)) +
		     (uint64_t)st.st_ctim.tv_nsec * 31 +
		     (uint64_t)st.st_ctim.tv_sec * 131 + (uint64_t)st.st_size * 7 +
		     st.st_nlink;
	}
	closedir(d);
	return h;
}

int
main(int argc, char **argv)
{
	pid_t pid[WALKERS + 1];
	int host, out, arg = 1;
	uint64_t before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && strcmp(argv[1], "-f") == 0) {
		nofollow = 0;
		arg++;
	}
	if (argc - arg != 4)
		return 2;
	mkdir(argv[arg + 3], 0755);
	host = open(argv[arg + 1], O_RDONLY | O_DIRECTORY);
	out = open(argv[arg + 3], O_RDONLY | O_DIRECTORY);
	sh = mmap(
	    NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (host < 0 || out < 0 || sh == MAP_FAILED)
		return 2;
	prepare(host, out, argv[arg + 3]);
	before = fingerprint(out);
	for (int i = 0; i <= WALKERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			if (i == WALKERS)
				swapper(host);
			else
				walker(argv[arg + 2], (unsigned)i);
			_exit(0);
		}
	}
	sleep((unsigned)atoi(argv[arg]));
	sh->stop = true;
	for (int i = 0; i <= WALKERS; i++)
		waitpid(pid[i], NULL, 0);
	printf(
	    "figure: escape%s: %lu swaps, %lu walks, %lu reads of what is inside, %lu of what "
	    "is outside\n",
	    nofollow ? "" : " (follow)", sh->swaps, sh->walks, sh->inside, sh->leaks);
	if (fingerprint(out) != before) {
		printf("the outside was changed\n");
		return 1;
	}
	/* A race that never lets anybody in proves nothing. */
	return sh->leaks > 0 || sh->errors > 0 || sh->inside == 0 || sh->swaps == 0;
}
