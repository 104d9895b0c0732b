/* The store of what is in memory (store.h). */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/rumpfs.h"
#include "vfs/rumpfs_pages.h"

/* A refused change spoils what it was asked through. */
#define CONTEXTS 4
/* The kernel counts what is in use only where there is a limit. */
#define NO_LIMIT (UINT64_C(1) << 62)

struct store {
	struct rumpfs_store st; /* first */
	int st_dir;             /* c */
	int st_context
	    [CONTEXTS]; /* the attach mutex: limits are a reload's; -1: spoiled */
};

static int
set_size(int context, uint64_t bytes)
{
	char text[32];

	/* Whole pages, and not more than was said; 0 would be no limit. */
	bytes = bytes ? bytes & ~(PAGE_BYTES - 1) : NO_LIMIT;
	snprintf(
	    text, sizeof(text), "%llu", (unsigned long long)(bytes ? bytes : PAGE_BYTES));
	return fsconfig(context, FSCONFIG_SET_STRING, "size", text, 0);
}

static int
file(struct rumpfs_store *rs)
{
	struct store *st = (struct store *)rs;
	int fd =
	    openat(st->st_dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_NOATIME, 0600);

	return fd < 0 ? -errno : fd;
}

static int
resize(struct rumpfs_store *rs, uint64_t bytes)
{
	struct store *st = (struct store *)rs;

	for (int i = 0; i < CONTEXTS; i++) {
		int c = st->st_context[i];

		if (c < 0)
			continue;
		if (set_size(c, bytes) == 0 &&
		    fsconfig(c, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0)
			return 0;
		close(c);
		st->st_context[i] = -1;
		break;
	}
	return -EBUSY;
}

static int
times(int fd, const struct timespec ts[2])
{
	return futimens(fd, ts) < 0 ? -errno : 0;
}

static void
store_free(struct rumpfs_store *rs)
{
	struct store *st = (struct store *)rs;

	for (int i = 0; i < CONTEXTS; i++)
		if (st->st_context[i] >= 0)
			close(st->st_context[i]);
	if (st->st_dir >= 0)
		close(st->st_dir);
	free(st);
}

/* The root of a new tmpfs, or -errno. */
static int
make(uint64_t bytes)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), dir = -1, r = 0;

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "rumpfuse", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "0", 0) < 0 ||
	    set_size(fs, bytes) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = -errno;
	if (r == 0) {
		/* Not noexec: what is executed in our mount is mapped from here. */
		dir = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		r = dir < 0 ? -errno : dir;
	}
	close(fs);
	return r;
}

int
store_new(uint64_t bytes, struct rumpfs_store **ret)
{
	struct store *st;
	int dir = make(bytes), r = 0;

	if (dir < 0)
		return dir;
	st = calloc(1, sizeof(*st));
	if (!st) {
		close(dir);
		return -ENOMEM;
	}
	st->st = (struct rumpfs_store){file, resize, times, store_free};
	st->st_dir = dir;
	for (int i = 0; i < CONTEXTS; i++) {
		st->st_context[i] = fspick(dir, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
		if (st->st_context[i] < 0)
			r = -errno;
	}
	if (r < 0)
		store_free(&st->st);
	else
		*ret = &st->st;
	return r;
}
