/*
 * Large trees of host files, made fast and walked.
 *
 *	p-tree make DIR DIRS FILES	DIRS directories with FILES files of a few bytes each
 *	p-tree walk DIR HOLD		stats everything, reads every 50th file, and holds the
 *					first HOLD files open meanwhile; prints the number of
 *					files; exit status 1 if anything failed
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static unsigned files, failed, nheld, hold;
static int *held;

static int
make(const char *path, unsigned dirs, unsigned per_dir)
{
	char name[64];

	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return 1;
	if (chdir(path) != 0)
		return 1;
	for (unsigned d = 0; d < dirs; d++) {
		snprintf(name, sizeof(name), "dir%u", d);
		if (mkdir(name, 0755) != 0)
			return 1;
		int fd = open(name, O_RDONLY | O_DIRECTORY);
		for (unsigned i = 0; i < per_dir; i++) {
			snprintf(name, sizeof(name), "file%u.%u", d, i);
			int f = openat(fd, name, O_CREAT | O_WRONLY, 0644);
			if (f < 0 || write(f, name, strlen(name)) < 0)
				return 1;
			close(f);
		}
		close(fd);
	}
	return 0;
}

static void
complain(const char *what, const char *name)
{
	if (failed++ < 10)
		printf("%s %s: %s\n", what, name, strerrorname_np(errno));
}

static void
visit_file(int dirfd, const char *name)
{
	char buf[64];
	int fd;

	files++;
	if (files % 50 != 0 && nheld >= hold)
		return;
	fd = openat(dirfd, name, O_RDONLY);
	if (fd < 0) {
		complain("open", name);
		return;
	}
	/* Each file holds its own name. */
	ssize_t n = pread(fd, buf, sizeof(buf), 0);
	if (n != (ssize_t)strlen(name) || memcmp(buf, name, (size_t)n) != 0)
		complain("read", name);
	if (nheld < hold)
		held[nheld++] = fd;
	else
		close(fd);
}

static void
walk(int dirfd, const char *path)
{
	struct dirent *e;
	struct stat st;
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		complain("opendir", path);
		return;
	}
	errno = 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			complain("stat", e->d_name);
		else if (S_ISDIR(st.st_mode))
			walk(fd, e->d_name);
		else
			visit_file(fd, e->d_name);
		errno = 0;
	}
	if (errno)
		complain("readdir", path);
	closedir(d);
}

int
main(int argc, char **argv)
{
	struct rlimit rl;

	if (argc == 5 && strcmp(argv[1], "make") == 0) {
		int r = make(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
		if (r)
			perror("making the tree");
		return r;
	}
	if (argc != 4 || strcmp(argv[1], "walk") != 0)
		return 2;
	hold = (unsigned)atoi(argv[3]);
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	held = calloc(hold + 1, sizeof(*held));
	if (!held)
		return 2;
	walk(AT_FDCWD, argv[2]);
	for (unsigned i = 0; i < nheld; i++) {
		char buf[64];
		if (pread(held[i], buf, sizeof(buf), 0) <= 0)
			complain("read", "a file held open");
		close(held[i]);
	}
	printf("%u files, %u held open, %u failures\n", files, nheld, failed);
	return failed != 0;
}
