/*
 * Programs whose requests come at a bad time.
 *
 *	p-late create FILE MS	asks whether FILE is there, waits, opens it with O_CREAT:
 *				prints "open", or the errno's name
 *	p-late statx FILE	statx with the time of birth, not from the cache
 *	p-late storm DIR	files without a name and statx in DIR until that fails
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
late_create(const char *path, unsigned ms)
{
	struct stat st;
	int fd;

	if (stat(path, &st) == 0 || errno != ENOENT)
		return 1;
	usleep(ms * 1000);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	puts(fd < 0 ? strerrorname_np(errno) : "open");
	return 0;
}

static int
birth(const char *path)
{
	struct statx x;

	return statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BTIME | STATX_BASIC_STATS,
		   &x) != 0;
}

static int
storm(const char *dir)
{
	for (;;) {
		int fd = open(dir, O_TMPFILE | O_RDWR, 0600);

		if (fd < 0 || birth(dir) != 0)
			return 0;
		close(fd);
	}
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "create") == 0)
		return late_create(argv[2], (unsigned)atoi(argv[3]));
	if (argc == 3 && strcmp(argv[1], "statx") == 0)
		return birth(argv[2]);
	if (argc == 3 && strcmp(argv[1], "storm") == 0)
		return storm(argv[2]);
	return 2;
}
