/*
 * A directory for one test case, with all that is in it gone at the end of the scope.
 */
#ifndef RF_T_TMP_H
#define RF_T_TMP_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct tmp {
	int fd; /* O_PATH */
	char path[64];
};

static int
tmp_remove(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

static void
tmp_done(struct tmp *t)
{
	if (t->fd >= 0)
		close(t->fd);
	nftw(t->path, tmp_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
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
