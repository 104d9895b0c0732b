/*
 * Files of a handle: opening, reading, writing.
 */
#include <fcntl.h>
#include <unistd.h>

#include "vfs/ukfs/ukfs_private.h"

/* What open files are asked to be; the rest of open(2)'s flags are of no effect here. */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC)

/* A guard for a number's file. */
static inline void
put_p(struct openfile **of)
{
	if (*of)
		uk_fd_put(*of);
}
#define AUTO_OPENFILE __attribute__((cleanup(put_p))) struct openfile *

int
uk_open(struct ukfs *fs, const char *path, int flags, struct file **ret_f)
{
	AUTO_VNODE vp = NULL;
	int r;

	if ((flags & (O_CREAT | O_PATH)) || (flags & O_TMPFILE) == O_TMPFILE ||
	    (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	r = uk_lookup(fs, path, !(flags & O_NOFOLLOW), &vp);
	if (r < 0)
		return r;
	if ((flags & O_DIRECTORY) && vp->v_type != VDIR)
		return -ENOTDIR;
	if (vp->v_type == VLNK)
		return -ELOOP;
	return vop_open(vp, flags & OPEN_FLAGS, &uk_cred, ret_f);
}

int
ukfs_open(struct ukfs *fs, const char *path, int flags)
{
	struct file *f;
	int r = uk_open(fs, path, flags, &f);

	if (r == 0) {
		r = uk_fd_new(fs, f);
		if (r < 0)
			vop_close(f);
	}
	return (int)uk_ret(r);
}

int
ukfs_close(struct ukfs *fs, int fd)
{
	return (int)uk_ret(uk_fd_close(fs, fd));
}

static ssize_t
read_file(struct file *f, off_t off, void *buf, size_t size)
{
	size_t done;
	int r;

	if ((f->f_flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (size > UK_RW_MAX)
		size = UK_RW_MAX;
	if (size > (uint64_t)(INT64_MAX - off))
		size = (size_t)(INT64_MAX - off);
	if (f->f_vp->v_type == VDIR) /* even for nothing */
		return -EISDIR;
	r = vop_read_whole(f->f_vp, f, buf, size, (uint64_t)off, &done);
	return r < 0 && done == 0 ? r : (ssize_t)done;
}

static ssize_t
write_file(struct file *f, off_t off, const void *buf, size_t size, bool sync)
{
	size_t done;
	int r;

	if ((f->f_flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (size > UK_RW_MAX)
		size = UK_RW_MAX;
	if (size > (uint64_t)(INT64_MAX - off))
		size = (size_t)(INT64_MAX - off);
	if (off == INT64_MAX)
		return -EFBIG;
	r = vop_write_whole(
	    f->f_vp, f, buf, size, (uint64_t)off, f->f_flags & O_APPEND, &done);
	if (r < 0 && done == 0)
		return r;
	if (sync || (f->f_flags & (O_SYNC | O_DSYNC))) {
		r = vop_fsync(f->f_vp, f, false);
		if (r < 0)
			return r;
	}
	return (ssize_t)done;
}

ssize_t
ukfs_read(struct ukfs *fs, const char *path, off_t off, void *buf, size_t size)
{
	struct file *f;
	ssize_t n = uk_open(fs, path, O_RDONLY, &f);

	if (n == 0) {
		n = off < 0 ? -EINVAL : read_file(f, off, buf, size);
		vop_close(f);
	}
	return uk_ret(n);
}

ssize_t
ukfs_read_fd(struct ukfs *fs, int fd, off_t off, void *buf, size_t size)
{
	AUTO_OPENFILE of = NULL;
	struct file *f;

	if (off < 0)
		return uk_ret(-EINVAL);
	f = uk_fd_get(fs, fd, &of);
	return uk_ret(f ? read_file(f, off, buf, size) : -EBADF);
}

ssize_t
ukfs_write(struct ukfs *fs, const char *path, off_t off, const void *buf, size_t size)
{
	struct file *f;
	ssize_t n = uk_open(fs, path, O_WRONLY, &f);
	int r;

	if (n == 0) {
		n = off < 0 ? -EINVAL : write_file(f, off, buf, size, true);
		r = vop_flush(f);
		if (n >= 0 && r < 0)
			n = r;
		vop_close(f);
	}
	return uk_ret(n);
}

ssize_t
ukfs_write_fd(struct ukfs *fs, int fd, off_t off, const void *buf, size_t size, int sync)
{
	AUTO_OPENFILE of = NULL;
	struct file *f;

	if (off < 0)
		return uk_ret(-EINVAL);
	f = uk_fd_get(fs, fd, &of);
	return uk_ret(f ? write_file(f, off, buf, size, sync) : -EBADF);
}

int
ukfs_fsync(struct ukfs *fs, int fd)
{
	AUTO_OPENFILE of = NULL;
	struct file *f = uk_fd_get(fs, fd, &of);

	return (int)uk_ret(f ? vop_fsync(f->f_vp, f, false) : -EBADF);
}

/* What every file system can say without knowing of holes: data up to the end. */
static int
seek_plain(struct file *f, uint64_t off, int whence, uint64_t *ret)
{
	struct vattr va;
	int r = vop_getattr(f->f_vp, f, &va);

	if (r < 0)
		return r;
	if (off >= va.va_size)
		return -ENXIO;
	*ret = whence == SEEK_DATA ? off : va.va_size;
	return 0;
}

off_t
ukfs_seek_fd(struct ukfs *fs, int fd, off_t off, int whence)
{
	AUTO_OPENFILE of = NULL;
	struct file *f = uk_fd_get(fs, fd, &of);
	uint64_t at = 0;
	int r;

	if (!f)
		return (off_t)uk_ret(-EBADF);
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return (off_t)uk_ret(-EINVAL);
	r = off < 0 ? -ENXIO : vop_seek(f->f_vp, f, (uint64_t)off, whence, &at);
	if (r == -EINVAL && f->f_vp->v_type == VREG)
		r = seek_plain(f, (uint64_t)off, whence, &at);
	return r < 0 ? (off_t)uk_ret(r) : (off_t)at;
}

/* open(2) with O_CREAT|O_WRONLY, as far as it is there already. */
static int
open_existing(const struct walk *w)
{
	struct file *f;
	int r;

	if (w->w_slash || w->w_vp->v_type == VDIR)
		return -EISDIR;
	r = vop_open(w->w_vp, O_WRONLY, &uk_cred, &f);
	if (r == 0)
		vop_close(f);
	return r;
}

static int
create(struct ukfs *fs, const char *path, mode_t mode)
{
	const struct vmake mk = {.vm_type = VREG, .vm_mode = mode & 07777};
	AUTO_WALK w = {0};
	struct vnode *vp;
	int r = uk_walk(fs, path, WALK_FOLLOW | WALK_MISSING, &w);

	if (r < 0)
		return r;
	if (w.w_vp)
		return open_existing(&w);
	if (w.w_slash)
		return -EISDIR;
	r = uk_make(&w, &mk, &vp);
	if (r == 0)
		vn_unref(vp);
	return r;
}

int
ukfs_create(struct ukfs *fs, const char *path, mode_t mode)
{
	int r;

	do
		r = create(fs, path, mode);
	while (r == -EEXIST); /* somebody was quicker: then it is there */
	return (int)uk_ret(r);
}

int
ukfs_truncate(struct ukfs *fs, const char *path, off_t size)
{
	struct vattr_set vs = {.vs_valid = VS_SIZE, .vs_size = (uint64_t)size};
	AUTO_VNODE vp = NULL;
	int r = size < 0 ? -EINVAL : uk_lookup(fs, path, true, &vp);

	/* The kind of file comes before whether it may be changed. */
	if (r == 0 && vp->v_type != VREG)
		r = vp->v_type == VDIR ? -EISDIR : -EINVAL;
	if (r == 0)
		r = vop_setattr(vp, NULL, &vs, &uk_cred);
	return (int)uk_ret(r);
}
