/*
 * Places of the host: a descriptor of the directory, and names relative to that (place.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfs/ukfs/tool/place.h"
#include "vfs/ukfs/tool/tool.h"

#define SEARCH (O_PATH | O_DIRECTORY | O_CLOEXEC)

static inline int
result(int r)
{
	return r < 0 ? -errno : r;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* A directory by a path of any length, relative to fd. */
static int
open_dir(int fd, const char *path, bool follow)
{
	char part[PATH_MAX];
	int at = fd;

	while (*path) {
		size_t n = strlen(path);

		if (n >= sizeof(part))
			for (n = sizeof(part) - 1; n && path[n] != '/';)
				n--;
		if (n == 0) {
			if (at != fd)
				close_fd(at);
			return -ENAMETOOLONG;
		}
		memcpy(part, path, n);
		part[n] = '\0';
		int next = openat(at, part, SEARCH | (follow ? 0 : O_NOFOLLOW)),
		    err = errno;
		if (at != fd)
			close_fd(at);
		if (next < 0)
			return -err;
		at = next;
		for (path += n; *path == '/';)
			path++;
	}
	return at;
}

/*
 * The way back is by "..", because as many descriptors as there are levels would be too many;
 * where that leads is compared with where we came from.  Through a symbolic link there is no
 * way back, and the descriptor is kept.
 */
struct level {
	dev_t le_dev;
	ino_t le_ino;
	int le_fd; /* or -1 */
	struct level *le_up;
};

static int
ho_enter(struct place *p, const char *name, bool follow)
{
	struct stat st;
	int fd = open_dir(p->p_fd, name, follow);

	if (fd < 0)
		return fd;
	if (fstatat(p->p_fd, ".", &st, 0) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	struct level *le = xmalloc(sizeof(*le));
	*le = (struct level){st.st_dev, st.st_ino, follow ? p->p_fd : -1, p->p_levels};
	if (!follow)
		close_fd(p->p_fd);
	p->p_levels = le;
	p->p_fd = fd;
	return 0;
}

static int
ho_leave(struct place *p)
{
	struct level *le = p->p_levels;
	struct stat st;
	int fd = le->le_fd;

	if (fd == -1) {
		fd = openat(p->p_fd, "..", SEARCH);
		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) < 0 || st.st_dev != le->le_dev ||
		    st.st_ino != le->le_ino) {
			close(fd);
			return -ESTALE;
		}
	}
	close_fd(p->p_fd);
	p->p_fd = fd;
	p->p_levels = le->le_up;
	free(le);
	return 0;
}

static void
ho_done(struct place *p)
{
	close_fd(p->p_fd);
	for (struct level *le = p->p_levels; le;) {
		struct level *up = le->le_up;
		close_fd(le->le_fd);
		free(le);
		le = up;
	}
}

static int
ho_stat(struct place *p, const char *name, bool follow, struct stat *ret)
{
	return result(fstatat(p->p_fd, name, ret, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}

static int
ho_names(struct place *p, struct names *na)
{
	struct dirent *d;
	int fd = openat(p->p_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int r = -errno;
		close(fd);
		return r;
	}
	while (errno = 0, (d = readdir(dir)))
		names_add(na, d->d_name, d->d_ino, d->d_type);
	int r = -errno;
	closedir(dir);
	return r;
}

static int
ho_open(struct place *p, const char *name, bool follow, struct pfile *ret)
{
	int fd = openat(
	    p->p_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | (follow ? 0 : O_NOFOLLOW));

	if (fd < 0)
		return -errno;
	*ret = (struct pfile){
	    .pf_place = p, .pf_fd = fd, .pf_stream = lseek(fd, 0, SEEK_CUR) < 0};
	return 0;
}

static int
ho_create(struct place *p, const char *name, mode_t mode, struct pfile *ret)
{
	int fd = openat(
	    p->p_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return -errno;
	*ret = (struct pfile){.pf_place = p, .pf_fd = fd};
	return 0;
}

static int
ho_empty(struct place *p, const char *name, bool follow, struct pfile *ret)
{
	int fd = openat(p->p_fd, name,
	    O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY | (follow ? 0 : O_NOFOLLOW));

	if (fd < 0)
		return -errno;
	*ret = (struct pfile){
	    .pf_place = p, .pf_fd = fd, .pf_stream = lseek(fd, 0, SEEK_CUR) < 0};
	return 0;
}

static void
ho_close(struct pfile *f)
{
	close(f->pf_fd);
}

static ssize_t
ho_read(struct pfile *f, uint64_t off, void *buf, size_t n)
{
	ssize_t r;

	do
		r = f->pf_stream ? read(f->pf_fd, buf, n)
		                 : pread(f->pf_fd, buf, n, (off_t)off);
	while (r < 0 && errno == EINTR && !tool_interrupted());
	return r < 0 ? -errno : r;
}

static ssize_t
ho_write(struct pfile *f, uint64_t off, const void *buf, size_t n)
{
	ssize_t r;

	do
		r = f->pf_stream ? write(f->pf_fd, buf, n)
		                 : pwrite(f->pf_fd, buf, n, (off_t)off);
	while (r < 0 && errno == EINTR && !tool_interrupted());
	return r < 0 ? -errno : r;
}

static int64_t
ho_seek(struct pfile *f, uint64_t off, int whence)
{
	off_t r = lseek(f->pf_fd, (off_t)off, whence);

	return r < 0 ? -errno : r;
}

static int
ho_truncate(struct place *p, const char *name, struct pfile *f, uint64_t size)
{
	return result(ftruncate(f->pf_fd, (off_t)size));
}

static int
ho_mkdir(struct place *p, const char *name, mode_t mode)
{
	return result(mkdirat(p->p_fd, name, mode));
}

static int
ho_mknod(struct place *p, const char *name, mode_t mode, dev_t dev)
{
	return result(mknodat(p->p_fd, name, mode, dev));
}

static int
ho_symlink(struct place *p, const char *to, const char *name)
{
	return result(symlinkat(to, p->p_fd, name));
}

static int
ho_readlink(struct place *p, const char *name, char **ret)
{
	char buf[PATH_MAX];
	ssize_t n = readlinkat(p->p_fd, name, buf, sizeof(buf) - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*ret = xstrdup(buf);
	return 0;
}

static int
ho_link(struct place *p, const char *old, const char *name)
{
	const char *slash = strrchr(old, '/');
	int at = AT_FDCWD, r;

	if (slash) {
		AUTO_FREE char *dir = strndup(old, (size_t)(slash - old) + 1);
		at = dir ? open_dir(AT_FDCWD, dir, true) : -ENOMEM;
		if (at < 0)
			return at;
		old = slash + 1;
	}
	r = result(linkat(at, old, p->p_fd, name, 0));
	close_fd(at);
	return r;
}

static int
ho_unlink(struct place *p, const char *name)
{
	return result(unlinkat(p->p_fd, name, 0));
}

static int
ho_chmod(struct place *p, const char *name, mode_t mode)
{
	return result(fchmodat(p->p_fd, name, mode, 0));
}

static int
ho_chown(struct place *p, const char *name, uid_t uid, gid_t gid)
{
	return result(fchownat(p->p_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int
ho_utimens(struct place *p, const char *name, const struct timespec t[2])
{
	return result(utimensat(p->p_fd, name, t, AT_SYMLINK_NOFOLLOW));
}

/* There are no calls for attributes that take a descriptor and a name. */
struct proc_path {
	char text[64 + NAME_MAX];
};

static const char *
proc_path(const struct place *p, const char *name, struct proc_path *buf)
{
	if (p->p_fd == AT_FDCWD)
		return name;
	snprintf(buf->text, sizeof(buf->text), "/proc/self/fd/%d/%s", p->p_fd, name);
	return buf->text;
}

static ssize_t
ho_listxattr(struct place *p, const char *name, char *buf, size_t n)
{
	struct proc_path pp;
	ssize_t r = llistxattr(proc_path(p, name, &pp), buf, n);

	return r < 0 ? -errno : r;
}

static ssize_t
ho_getxattr(struct place *p, const char *name, const char *attr, void *buf, size_t n)
{
	struct proc_path pp;
	ssize_t r = lgetxattr(proc_path(p, name, &pp), attr, buf, n);

	return r < 0 ? -errno : r;
}

static int
ho_setxattr(struct place *p, const char *name, const char *attr, const void *v, size_t n)
{
	struct proc_path pp;

	return result(lsetxattr(proc_path(p, name, &pp), attr, v, n, 0));
}

const struct place_ops place_host = {
    .enter = ho_enter,
    .leave = ho_leave,
    .done = ho_done,
    .stat = ho_stat,
    .names = ho_names,
    .open = ho_open,
    .create = ho_create,
    .empty = ho_empty,
    .close = ho_close,
    .read = ho_read,
    .write = ho_write,
    .seek = ho_seek,
    .truncate = ho_truncate,
    .mkdir = ho_mkdir,
    .mknod = ho_mknod,
    .symlink = ho_symlink,
    .readlink = ho_readlink,
    .link = ho_link,
    .unlink = ho_unlink,
    .chmod = ho_chmod,
    .chown = ho_chown,
    .utimens = ho_utimens,
    .listxattr = ho_listxattr,
    .getxattr = ho_getxattr,
    .setxattr = ho_setxattr,
};
