/*
 * The calls of ukfs.h as the tool makes them (img.h).
 */
#include "vfs/ukfs/tool/img.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/tool.h"

/* Where relative paths start, as it was got to; NULL: the root. */
static char *cwd;
/* The handle's current directory is another one. */
static bool strayed;

/* The handle's current directory becomes path, which may be long. */
static int
go(const char *path)
{
	char part[PATH_MAX];

	if (*path == '/' && ukfs_chdir(tool_fs, "/") < 0)
		return -errno;
	while (*path == '/')
		path++;
	while (*path) {
		size_t n = strlen(path);

		if (n >= sizeof(part)) {
			n = sizeof(part) - 1;
			while (n && path[n] != '/')
				n--;
			if (n == 0)
				return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		if (ukfs_chdir(tool_fs, part) < 0)
			return -errno;
		for (path += n; *path == '/';)
			path++;
	}
	return 0;
}

static int
go_home(void)
{
	int r = ukfs_chdir(tool_fs, "/") < 0 ? -errno : 0;

	if (r == 0 && cwd)
		r = go(cwd);
	strayed = r < 0;
	return r;
}

void
img_mounted(void)
{
	if (go_home() < 0) {
		free(cwd);
		cwd = NULL;
	}
}

int
img_chdir(const char *path)
{
	int r = strayed ? go_home() : 0;

	if (r == 0)
		r = go(path);
	if (r < 0) {
		strayed = true;
		return r;
	}
	char *old = cwd;
	cwd = *path == '/' ? xstrdup(path) : path_join(old ? old : "/", path);
	free(old);
	return 0;
}

/* What a call is to be given for the path. */
static int
reach(const char *path, const char **ret)
{
	size_t n = strlen(path), tail;

	if (strayed) {
		int r = go_home();
		if (r < 0)
			return r;
	}
	*ret = path;
	if (n < PATH_MAX)
		return 0;
	/* The last components stay, as many as a call takes. */
	for (tail = n - (PATH_MAX - 1); path[tail] && path[tail - 1] != '/';)
		tail++;
	if (!path[tail])
		return -ENAMETOOLONG;
	AUTO_FREE char *head = strndup(path, tail);
	if (!head)
		return -ENOMEM;
	strayed = true;
	*ret = path + tail;
	return go(head);
}

#define AT_PATH(path)                       \
	const char *near_;                  \
	int reach_ = reach((path), &near_); \
	if (reach_ < 0)                     \
	return reach_

#define RESULT(call)                         \
	do {                                 \
		__typeof__(call) r_ = call;  \
		return r_ < 0 ? -errno : r_; \
	} while (0)

int
img_stat(const char *path, struct stat *ret)
{
	AT_PATH(path);
	RESULT(ukfs_stat(tool_fs, near_, ret));
}

int
img_lstat(const char *path, struct stat *ret)
{
	AT_PATH(path);
	RESULT(ukfs_lstat(tool_fs, near_, ret));
}

void
names_add(struct names *na, const char *name, ino_t ino, unsigned char type)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (na->na_n == na->na_room) {
		na->na_room = na->na_room ? na->na_room * 2 : 16;
		na->na_v = xrealloc(na->na_v, na->na_room * sizeof(na->na_v[0]));
	}
	na->na_v[na->na_n++] = (struct name_entry){xstrdup(name), ino, type};
}

static int
by_name(const void *a, const void *b)
{
	const struct name_entry *x = a, *y = b;
	int r = strcoll(x->ne_name, y->ne_name);

	return r ? r : strcmp(x->ne_name, y->ne_name);
}

void
names_sort(struct names *na)
{
	if (na->na_n)
		qsort(na->na_v, na->na_n, sizeof(na->na_v[0]), by_name);
}

void
names_done(struct names *na)
{
	for (size_t i = 0; i < na->na_n; i++)
		free(na->na_v[i].ne_name);
	free(na->na_v);
	*na = (struct names){0};
}

/* The entries of one buffer.  A name that cannot be one would lead elsewhere when it is
 * put behind a path. */
static int
take_dirents(struct names *na, const char *buf, size_t n)
{
	int r = 0;

	for (size_t at = 0; at < n;) {
		const struct dirent *d = (const struct dirent *)(buf + at);

		at += d->d_reclen;
		if (!d->d_name[0] || strchr(d->d_name, '/'))
			r = -EUCLEAN;
		else
			names_add(na, d->d_name, d->d_ino, d->d_type);
	}
	return r;
}

int
img_names(const char *path, struct names *na)
{
	struct ukfs_dircookie *c;
	off_t off = 0;
	ssize_t n;
	int r = 0;
	static char buf[128 << 10] __attribute__((aligned(8)));

	AT_PATH(path);
	if (ukfs_opendir(tool_fs, near_, &c) < 0)
		return -errno;
	while ((n = ukfs_getdents_cookie(tool_fs, c, &off, buf, sizeof(buf))) > 0) {
		int err = take_dirents(na, buf, (size_t)n);
		if (err < 0)
			r = err;
		if (tool_interrupted())
			break;
	}
	if (n < 0)
		r = -errno;
	ukfs_closedir(tool_fs, c);
	return r;
}

int
img_readlink(const char *path, char **ret)
{
	AT_PATH(path);
	for (size_t room = 256;; room *= 2) {
		AUTO_FREE char *buf = xmalloc(room + 1);
		ssize_t n = ukfs_readlink(tool_fs, near_, buf, room);
		if (n < 0)
			return -errno;
		if ((size_t)n < room) {
			buf[n] = '\0';
			*ret = xstrdup(buf);
			return 0;
		}
		if (room > 1 << 20)
			return -ENAMETOOLONG;
	}
}

int
img_open(const char *path, int flags)
{
	AT_PATH(path);
	RESULT(ukfs_open(tool_fs, near_, flags));
}

void
img_close(int fd)
{
	ukfs_close(tool_fs, fd);
}

ssize_t
img_read(int fd, uint64_t off, void *buf, size_t n)
{
	RESULT(ukfs_read_fd(tool_fs, fd, (off_t)off, buf, n));
}

ssize_t
img_write(int fd, uint64_t off, const void *buf, size_t n)
{
	RESULT(ukfs_write_fd(tool_fs, fd, (off_t)off, buf, n, 0));
}

int64_t
img_seek(int fd, uint64_t off, int whence)
{
	RESULT(ukfs_seek_fd(tool_fs, fd, (off_t)off, whence));
}

int
img_truncate(const char *path, uint64_t size)
{
	AT_PATH(path);
	RESULT(ukfs_truncate(tool_fs, near_, (off_t)size));
}

int
img_create(const char *path, mode_t mode)
{
	AT_PATH(path);
	RESULT(ukfs_create(tool_fs, near_, mode));
}

int
img_mkdir(const char *path, mode_t mode)
{
	AT_PATH(path);
	RESULT(ukfs_mkdir(tool_fs, near_, mode));
}

int
img_mknod(const char *path, mode_t mode, dev_t dev)
{
	AT_PATH(path);
	if (S_ISFIFO(mode))
		RESULT(ukfs_mkfifo(tool_fs, near_, mode));
	RESULT(ukfs_mknod(tool_fs, near_, mode, dev));
}

int
img_symlink(const char *to, const char *path)
{
	AT_PATH(path);
	RESULT(ukfs_symlink(tool_fs, to, near_));
}

/* With two paths only one can be near. */
static int
two_paths(const char *a, const char *b)
{
	if (strlen(a) >= PATH_MAX || strlen(b) >= PATH_MAX)
		return -ENAMETOOLONG;
	return strayed ? go_home() : 0;
}

int
img_link(const char *old, const char *path)
{
	int r = two_paths(old, path);

	if (r < 0)
		return r;
	RESULT(ukfs_link(tool_fs, old, path));
}

int
img_rename(const char *from, const char *to)
{
	int r = two_paths(from, to);

	if (r < 0)
		return r;
	RESULT(ukfs_rename(tool_fs, from, to));
}

int
img_remove(const char *path)
{
	AT_PATH(path);
	RESULT(ukfs_remove(tool_fs, near_));
}

int
img_rmdir(const char *path)
{
	AT_PATH(path);
	RESULT(ukfs_rmdir(tool_fs, near_));
}

int
img_chmod(const char *path, mode_t mode)
{
	AT_PATH(path);
	RESULT(ukfs_chmod(tool_fs, near_, mode));
}

int
img_chown(const char *path, uid_t uid, gid_t gid, bool follow)
{
	AT_PATH(path);
	if (follow)
		RESULT(ukfs_chown(tool_fs, near_, uid, gid));
	RESULT(ukfs_lchown(tool_fs, near_, uid, gid));
}

int
img_utimens(const char *path, const struct timespec t[2], bool follow)
{
	AT_PATH(path);
	RESULT(ukfs_utimens(tool_fs, near_, t, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}

ssize_t
img_listxattr(const char *path, char *buf, size_t n)
{
	AT_PATH(path);
	RESULT(ukfs_llistxattr(tool_fs, near_, buf, n));
}

ssize_t
img_getxattr(const char *path, const char *name, void *buf, size_t n)
{
	AT_PATH(path);
	RESULT(ukfs_lgetxattr(tool_fs, near_, name, buf, n));
}

int
img_setxattr(const char *path, const char *name, const void *v, size_t n)
{
	AT_PATH(path);
	RESULT(ukfs_lsetxattr(tool_fs, near_, name, v, n, 0));
}

int
img_removexattr(const char *path, const char *name)
{
	AT_PATH(path);
	RESULT(ukfs_lremovexattr(tool_fs, near_, name));
}

int
img_statvfs(struct statvfs *ret)
{
	RESULT(ukfs_statvfs(tool_fs, ret));
}
