/*
 * What the processes of p-fstress do (p-fstress.h).
 *
 * Each operation draws paths out of a small tree of names, so that they meet.  Few levels
 * and few names make most of them exist most of the time.
 */
#include "p-fstress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#define RENAME_WHITEOUT  4
#endif

enum {
	NAMES = 8,
	LEVELS = 4,
	DATA = 40000,
	FAR = 400000 /* where the longest files end */
};

static uint64_t state;
static char data[DATA];

static uint64_t
rnd(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static unsigned
below(unsigned n)
{
	return (unsigned)(rnd() % n);
}

static void
draw(char path[64])
{
	unsigned levels = 1 + below(LEVELS);
	size_t n = 0;

	while (levels-- > 0)
		n += (size_t)sprintf(
		    path + n, "%s%c%u", n ? "/" : "", "df"[levels == 0], below(NAMES));
	/* Directories and files are of different names as a rule. */
	if (below(4) == 0 && n > 2)
		path[n - 2] = 'd';
}

static int
close_after(int fd, int r)
{
	int err = errno;

	close(fd);
	errno = err;
	return r;
}

static int
open_drawn(int flags)
{
	char p[64];

	draw(p);
	/* A fifo must not be waited for. */
	return openat(top, p, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0666);
}

static int
do_create(void)
{
	int fd = open_drawn(
	    O_CREAT | O_RDWR | (below(2) ? O_EXCL : 0) | (below(4) ? 0 : O_TRUNC));

	return fd < 0 ? -1 : close_after(fd, (int)write(fd, data, below(DATA)));
}

static int
do_mkdir(void)
{
	char p[64];

	draw(p);
	p[strlen(p) - 2] = 'd';
	return mkdirat(top, p, 0777);
}

static int
do_mknod(void)
{
	static const mode_t kinds[] = {S_IFREG, S_IFIFO, S_IFSOCK};
	char p[64];

	draw(p);
	return mknodat(top, p, kinds[below(3)] | 0666, 0);
}

static int
do_symlink(void)
{
	char p[64], to[64];

	draw(p);
	draw(to);
	return symlinkat(to, top, p);
}

static int
do_readlink(void)
{
	char p[64], to[4096];

	draw(p);
	return (int)readlinkat(top, p, to, sizeof(to));
}

static int
do_link(void)
{
	char a[64], b[64];

	draw(a);
	draw(b);
	return linkat(top, a, top, b, 0);
}

static int
do_rename(void)
{
	static const unsigned flags[] = {
	    0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE};
	char a[64], b[64];

	draw(a);
	draw(b);
	return renameat2(top, a, top, b, flags[below(6)]);
}

static int
do_unlink(void)
{
	char p[64];

	draw(p);
	return unlinkat(top, p, 0);
}

static int
do_rmdir(void)
{
	char p[64];

	draw(p);
	p[strlen(p) - 2] = 'd';
	return unlinkat(top, p, AT_REMOVEDIR);
}

static int
do_write(void)
{
	int fd = open_drawn(O_WRONLY | (below(3) ? 0 : O_APPEND));

	if (fd < 0)
		return -1;
	return close_after(fd, (int)pwrite(fd, data, below(DATA), below(FAR)));
}

static int
do_read(void)
{
	int fd = open_drawn(O_RDONLY);
	char buf[DATA];

	return fd < 0 ? -1
	              : close_after(fd, (int)pread(fd, buf, sizeof(buf), below(FAR)));
}

static int
do_map(void)
{
	int fd = open_drawn(O_RDWR);
	struct stat st;
	char *p;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return close_after(fd, 0);
	/* Not touched: somebody else may cut the file, which is SIGBUS. */
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return close_after(fd, -1);
	msync(p, (size_t)st.st_size, MS_SYNC);
	munmap(p, (size_t)st.st_size);
	return close_after(fd, 0);
}

static int
do_truncate(void)
{
	int fd = open_drawn(O_WRONLY);

	return fd < 0 ? -1 : close_after(fd, ftruncate(fd, below(FAR)));
}

static int
do_fallocate(void)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE,
	    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE};
	int fd = open_drawn(O_WRONLY);

	if (fd < 0)
		return -1;
	return close_after(
	    fd, fallocate(fd, modes[below(4)], below(FAR), 1 + below(DATA)));
}

static int
do_copy(void)
{
	int in = open_drawn(O_RDONLY), out, r;
	loff_t from = below(DATA), to = below(FAR);

	if (in < 0)
		return -1;
	out = open_drawn(O_WRONLY);
	if (out < 0)
		return close_after(in, -1);
	r = (int)copy_file_range(in, &from, out, &to, below(DATA), 0);
	r = close_after(out, r);
	return close_after(in, r);
}

static int
do_chmod(void)
{
	char p[64];

	draw(p);
	/* Directories stay open to all, or the work would come to an end. */
	return fchmodat(top, p, p[strlen(p) - 2] == 'd' ? 0777 : below(01000) | 0600, 0);
}

static int
do_chown(void)
{
	char p[64];

	draw(p);
	return fchownat(top, p, below(2) ? 1000 + below(3) : (uid_t)-1,
	    below(2) ? 1000 + below(3) : (gid_t)-1, AT_SYMLINK_NOFOLLOW);
}

static int
do_times(void)
{
	struct timespec ts[2] = {
	    {(time_t)below(2000000000), 5}, {0, below(2) ? UTIME_NOW : UTIME_OMIT}};
	char p[64];

	draw(p);
	return utimensat(top, p, ts, AT_SYMLINK_NOFOLLOW);
}

static int
do_xattr(void)
{
	int fd = open_drawn(O_RDONLY), r;
	char name[16], buf[1024];

	if (fd < 0)
		return -1;
	snprintf(name, sizeof(name), "user.x%u", below(4));
	switch (below(4)) {
	case 0:
		r = fsetxattr(fd, name, data, below(200), 0);
		break;
	case 1:
		r = (int)fgetxattr(fd, name, buf, sizeof(buf));
		break;
	case 2:
		r = (int)flistxattr(fd, buf, sizeof(buf));
		break;
	default:
		r = fremovexattr(fd, name);
	}
	return close_after(fd, r);
}

static int
do_readdir(void)
{
	int fd = open_drawn(O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;
	struct dirent *e;

	if (!d)
		return -1;
	while ((errno = 0, e = readdir(d)))
		(void)!fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW);
	if (errno != 0) {
		int err = errno;

		closedir(d);
		errno = err;
		return -1;
	}
	return closedir(d);
}

static int
do_stat(void)
{
	struct statx sx;
	char p[64];

	draw(p);
	return statx(top, p, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &sx);
}

static int
do_statfs(void)
{
	struct statvfs sv;

	return fstatvfs(top, &sv);
}

static int
do_sync(void)
{
	int fd = open_drawn(O_RDONLY);

	return fd < 0 ? -1 : close_after(fd, below(2) ? fsync(fd) : fdatasync(fd));
}

/* A file without a name, which may get one. */
static int
do_tmpfile(void)
{
	char dir[64], p[64], self[32];
	int fd, r = 0;

	draw(dir);
	dir[strlen(dir) - 2] = 'd';
	fd = openat(top, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	if (write(fd, data, below(DATA)) < 0)
		return close_after(fd, -1);
	draw(p);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (below(2))
		r = linkat(AT_FDCWD, self, top, p, AT_SYMLINK_FOLLOW);
	return close_after(fd, r);
}

/* Work on a file that has lost its name. */
static int
do_unlinked(void)
{
	char p[64];
	int fd, r;

	draw(p);
	fd = openat(top, p, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	r = unlinkat(top, p, 0);
	if (r == 0 && pwrite(fd, data, 100, below(FAR)) < 0)
		r = -1;
	if (r == 0 && ftruncate(fd, below(FAR)) < 0)
		r = -1;
	return close_after(fd, r);
}

static const struct op {
	const char *name;
	int (*fn)(void);
	unsigned weight;
} ops[] = {
    {"create", do_create, 8},
    {"mkdir", do_mkdir, 5},
    {"mknod", do_mknod, 2},
    {"symlink", do_symlink, 2},
    {"readlink", do_readlink, 1},
    {"link", do_link, 4},
    {"rename", do_rename, 6},
    {"unlink", do_unlink, 4},
    {"rmdir", do_rmdir, 2},
    {"write", do_write, 4},
    {"read", do_read, 4},
    {"map", do_map, 1},
    {"truncate", do_truncate, 2},
    {"fallocate", do_fallocate, 2},
    {"copy", do_copy, 2},
    {"chmod", do_chmod, 2},
    {"chown", do_chown, 2},
    {"times", do_times, 2},
    {"xattr", do_xattr, 3},
    {"readdir", do_readdir, 2},
    {"stat", do_stat, 3},
    {"statfs", do_statfs, 1},
    {"sync", do_sync, 1},
    {"tmpfile", do_tmpfile, 2},
    {"unlinked", do_unlinked, 2},
};
#define NOPS (sizeof(ops) / sizeof(ops[0]))

/* What others, or the kind of the file, can be the reason of. */
static bool
explained(int err)
{
	static const int all[] = {ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL,
	    EPERM, EACCES, ELOOP, ENXIO, ENODATA, ENOSPC, EOPNOTSUPP, EMLINK, EAGAIN,
	    ESPIPE, EXDEV};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (err == all[i])
			return true;
	return false;
}

static const struct op *
draw_op(void)
{
	unsigned sum = 0, n;

	for (size_t i = 0; i < NOPS; i++)
		sum += ops[i].weight;
	n = below(sum);
	for (size_t i = 0;; i++) {
		if (n < ops[i].weight)
			return &ops[i];
		n -= ops[i].weight;
	}
}

void
work(uint64_t seed)
{
	state = seed;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)rnd();
	while (!atomic_load(&shared->stop)) {
		const struct op *op = draw_op();

		errno = 0;
		if (op->fn() >= 0) {
			atomic_fetch_add(&shared->good, 1);
		} else if (!explained(errno)) {
			printf("FAIL %s: %m\n", op->name);
			atomic_fetch_add(&shared->odd, 1);
		}
		atomic_fetch_add(&shared->done, 1);
	}
}
