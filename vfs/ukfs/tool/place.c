/*
 * Places: what both kinds share, and those of the image (place.h).
 */
#include "vfs/ukfs/tool/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/tool.h"

char *
place_name(const struct place *p, const char *name)
{
	if (strcmp(name, ".") == 0)
		return xstrdup(*p->p_path ? p->p_path : ".");
	return *p->p_path ? path_join(p->p_path, name) : xstrdup(name);
}

int
place_begin(
    struct place *p, const struct place_ops *op, const char *path, char **ret_name)
{
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	AUTO_FREE char *dir = NULL, *name = NULL;
	int r;

	if (!*path)
		return -ENOENT;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
		dir = xstrdup(path);
		name = xstrdup(".");
	} else {
		dir = slash ? strndup(path, (size_t)(last - path)) : xstrdup("");
		name = xstrdup(last);
	}
	*p = (struct place){.p_op = op, .p_path = xstrdup(""), .p_fd = AT_FDCWD};
	r = dir && *dir ? place_enter(p, dir, true) : 0;
	if (r < 0) {
		place_done(p);
		return r;
	}
	*ret_name = name;
	name = NULL;
	return 0;
}

void
place_done(struct place *p)
{
	if (p->p_op && p->p_op->done)
		p->p_op->done(p);
	free(p->p_path);
	*p = (struct place){.p_fd = -1};
}

int
place_enter(struct place *p, const char *name, bool follow)
{
	int r = p->p_op->enter(p, name, follow);

	if (r < 0)
		return r;
	char *path = place_name(p, name);
	free(p->p_path);
	p->p_path = path;
	return 0;
}

int
place_leave(struct place *p, size_t parent_len)
{
	p->p_path[parent_len] = '\0';
	return p->p_op->leave ? p->p_op->leave(p) : 0;
}

/* The image's. */

#define HERE(p, name) AUTO_FREE char *path_ = place_name(p, name)

static int
im_enter(struct place *p, const char *name, bool follow)
{
	struct stat st;

	HERE(p, name);
	int r = follow ? img_stat(path_, &st) : img_lstat(path_, &st);
	if (r < 0)
		return r;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int
im_stat(struct place *p, const char *name, bool follow, struct stat *ret)
{
	HERE(p, name);
	return follow ? img_stat(path_, ret) : img_lstat(path_, ret);
}

static int
im_names(struct place *p, struct names *na)
{
	return img_names(*p->p_path ? p->p_path : ".", na);
}

static int
im_open_flags(
    struct place *p, const char *name, int flags, bool follow, struct pfile *ret)
{
	HERE(p, name);
	int fd = img_open(path_, flags | (follow ? 0 : O_NOFOLLOW));

	if (fd < 0)
		return fd;
	*ret = (struct pfile){.pf_place = p, .pf_fd = fd};
	return 0;
}

static int
im_open(struct place *p, const char *name, bool follow, struct pfile *ret)
{
	return im_open_flags(p, name, O_RDONLY, follow, ret);
}

static int
im_create(struct place *p, const char *name, mode_t mode, struct pfile *ret)
{
	HERE(p, name);
	int r = img_create(path_, mode);

	return r < 0 ? r : im_open_flags(p, name, O_WRONLY, false, ret);
}

static int
im_empty(struct place *p, const char *name, bool follow, struct pfile *ret)
{
	int r = im_open_flags(p, name, O_WRONLY, follow, ret);

	if (r < 0)
		return r;
	HERE(p, name);
	r = img_truncate(path_, 0);
	if (r < 0)
		img_close(ret->pf_fd);
	return r;
}

static void
im_close(struct pfile *f)
{
	img_close(f->pf_fd);
}

static ssize_t
im_read(struct pfile *f, uint64_t off, void *buf, size_t n)
{
	return img_read(f->pf_fd, off, buf, n);
}

static ssize_t
im_write(struct pfile *f, uint64_t off, const void *buf, size_t n)
{
	return img_write(f->pf_fd, off, buf, n);
}

static int64_t
im_seek(struct pfile *f, uint64_t off, int whence)
{
	return img_seek(f->pf_fd, off, whence);
}

static int
im_truncate(struct place *p, const char *name, struct pfile *f, uint64_t size)
{
	HERE(p, name);
	return img_truncate(path_, size);
}

static int
im_mkdir(struct place *p, const char *name, mode_t mode)
{
	HERE(p, name);
	return img_mkdir(path_, mode);
}

static int
im_mknod(struct place *p, const char *name, mode_t mode, dev_t dev)
{
	HERE(p, name);
	return img_mknod(path_, mode, dev);
}

static int
im_symlink(struct place *p, const char *to, const char *name)
{
	HERE(p, name);
	return img_symlink(to, path_);
}

static int
im_readlink(struct place *p, const char *name, char **ret)
{
	HERE(p, name);
	return img_readlink(path_, ret);
}

static int
im_link(struct place *p, const char *old, const char *name)
{
	HERE(p, name);
	return img_link(old, path_);
}

static int
im_unlink(struct place *p, const char *name)
{
	HERE(p, name);
	return img_remove(path_);
}

static int
im_chmod(struct place *p, const char *name, mode_t mode)
{
	HERE(p, name);
	return img_chmod(path_, mode);
}

static int
im_chown(struct place *p, const char *name, uid_t uid, gid_t gid)
{
	HERE(p, name);
	return img_chown(path_, uid, gid, false);
}

static int
im_utimens(struct place *p, const char *name, const struct timespec t[2])
{
	HERE(p, name);
	return img_utimens(path_, t, false);
}

static ssize_t
im_listxattr(struct place *p, const char *name, char *buf, size_t n)
{
	HERE(p, name);
	return img_listxattr(path_, buf, n);
}

static ssize_t
im_getxattr(struct place *p, const char *name, const char *attr, void *buf, size_t n)
{
	HERE(p, name);
	return img_getxattr(path_, attr, buf, n);
}

static int
im_setxattr(struct place *p, const char *name, const char *attr, const void *v, size_t n)
{
	HERE(p, name);
	return img_setxattr(path_, attr, v, n);
}

const struct place_ops place_image = {
    .enter = im_enter,
    .stat = im_stat,
    .names = im_names,
    .open = im_open,
    .create = im_create,
    .empty = im_empty,
    .close = im_close,
    .read = im_read,
    .write = im_write,
    .seek = im_seek,
    .truncate = im_truncate,
    .mkdir = im_mkdir,
    .mknod = im_mknod,
    .symlink = im_symlink,
    .readlink = im_readlink,
    .link = im_link,
    .unlink = im_unlink,
    .chmod = im_chmod,
    .chown = im_chown,
    .utimens = im_utimens,
    .listxattr = im_listxattr,
    .getxattr = im_getxattr,
    .setxattr = im_setxattr,
};
