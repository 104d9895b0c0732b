/*
 * A directory for one test case, with all that is in it gone at the end of the scope.
 */
#ifndef RF_T_TMP_H
#define RF_T_TMP_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tmp {
	int fd; /* O_PATH */
	char path[64];
};

/* Name by name, because paths may be longer than any call takes. */
static void
tmp_clear(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, e->d_name, 0) != 0)
			tmp_clear(fd, e->d_name);
	}
	if (d)
		closedir(d);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

static void
tmp_done(struct tmp *t)
{
	if (t->fd >= 0)
		close(t->fd);
	tmp_clear(AT_FDCWD, t->path);
}
#define AUTO_TMP __attribute__((cleanup(tmp_done))) struct tmp

/* Below where ("/tmp", "/dev/shm"). */
static struct tmp
tmp_new(const char *where)
{
	struct tmp t;

	snprintf(t.path, sizeof(t.path), "%s/rf-t-XXXXXX", where);
	if (!mkdtemp(t.path)) {
		perror(t.path);
		exit(1);
	}
	t.fd = open(t.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return t;
}

#endif
