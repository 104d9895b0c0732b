/*
 * Devices of image file systems (device.h).
 */
#include "vfs/image/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/vop.h"

struct device {
	struct vfs *d_vfs;  /* c */
	struct vnode *d_vp; /* c: one reference */
	uint64_t d_file; /* c: id of the open file; it may have gone with the namespace */
	pthread_rwlock_t d_lock; /* shared: the file is used; exclusive: it is closed */
	bool d_shut;             /* d_lock */
	uint64_t d_size;         /* c: bytes */
	bool d_writable;         /* c */
};

int
device_open(struct vnode *vp, bool writable, struct device **ret)
{
	struct cred cr = {getuid(), getgid(), 0, NULL, NULL};
	struct device *d;
	struct file *f;
	struct vattr va;
	int r;

	if (vp->v_type != VREG)
		return vp->v_type == VDIR ? -EISDIR : -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->d_vfs = vp->v_mount->mnt_vfs;
	d->d_vp = vp;
	d->d_writable = writable;
	r = vop_open_device(vp, writable ? O_RDWR : O_RDONLY, &cr, &f);
	if (r == 0) {
		r = vop_getattr(vp, f, &va);
		if (r < 0)
			vop_close(f);
	}
	if (r < 0) {
		free(d);
		return r;
	}
	vn_ref(vp);
	pthread_rwlock_init(&d->d_lock, NULL);
	d->d_file = f->f_id;
	d->d_size = va.va_size;
	*ret = d;
	return 0;
}

void
device_shut(struct device *d, bool lent)
{
	struct file *f;

	if (!d)
		return;
	pthread_rwlock_wrlock(&d->d_lock);
	d->d_shut = true;
	f = lent ? NULL : vfs_file_peek(d->d_vfs, d->d_file);
	if (f)
		vop_close(f);
	pthread_rwlock_unlock(&d->d_lock);
}

void
device_close(struct device *d)
{
	if (!d)
		return;
	device_shut(d, false);
	pthread_rwlock_destroy(&d->d_lock);
	vn_unref(d->d_vp);
	free(d);
}

/* The open file, to be used until leave(); NULL: it has gone.  The lock is of no rank: it is
 * below all that the file system of the image has, and above all of the device's. */
static struct file *
enter(struct device *d)
{
	pthread_rwlock_rdlock(&d->d_lock);
	return d->d_shut ? NULL : vfs_file_peek(d->d_vfs, d->d_file);
}

static int
leave(struct device *d, int r)
{
	pthread_rwlock_unlock(&d->d_lock);
	return r;
}

uint64_t
device_size(const struct device *d)
{
	return d->d_size;
}

bool
device_writable(const struct device *d)
{
	return d->d_writable;
}

static bool
inside(const struct device *d, uint64_t off, uint64_t len)
{
	return off <= d->d_size && len <= d->d_size - off;
}

static int
read_all(struct device *d, struct file *f, void *buf, size_t len, uint64_t off)
{
	size_t done;
	int r = vop_read_whole(d->d_vp, f, buf, len, off, &done);

	return r < 0 ? r : done < len ? -EIO : 0;
}

int
device_read(struct device *d, void *buf, size_t len, uint64_t off)
{
	struct file *f = enter(d);

	if (!f || !inside(d, off, len))
		return leave(d, -EIO);
	return leave(d, read_all(d, f, buf, len, off));
}

int
device_write(struct device *d, const void *buf, size_t len, uint64_t off)
{
	struct file *f = enter(d);
	size_t done;

	if (!f || !inside(d, off, len))
		return leave(d, -EIO);
	return leave(d, d->d_writable
			    ? vop_write_whole(d->d_vp, f, buf, len, off, false, &done)
			    : -EROFS);
}

int
device_sync(struct device *d, bool datasync)
{
	struct file *f = enter(d);

	return leave(d, f ? vop_fsync(d->d_vp, f, datasync) : -EIO);
}

int
device_discard(struct device *d, uint64_t off, uint64_t len)
{
	struct file *f = enter(d);
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return leave(d, f ? vop_fallocate(d->d_vp, f, mode, off, len) : -EIO);
}

/* Is the window there?  The host may have cut its file short, and nobody who reads a window
 * that was lent can tell that from the end of a file. */
static bool
is_whole(const struct uio *u)
{
	struct stat st;

	return fstat(u->uio_fd, &st) == 0 &&
	       (!S_ISREG(st.st_mode) ||
		   u->uio_fdoff + u->uio_done <= (uint64_t)st.st_size);
}

static int
lend(struct device *d, struct file *f, uint64_t off, size_t len, struct uio *u)
{
	struct uio in;
	int r;

	uio_init_buf(&in, u->uio_buf, len, off);
	r = vop_read(d->d_vp, f, &in);
	if (r < 0)
		return r;
	if (in.uio_fd < 0 || in.uio_done < len || !is_whole(&in)) {
		r = read_all(d, f, u->uio_buf, len, off);
		if (r == 0)
			u->uio_done = len;
		return r;
	}
	u->uio_fd = in.uio_fd;
	u->uio_fdoff = in.uio_fdoff;
	u->uio_done = len;
	return 0;
}

int
device_lend(struct device *d, uint64_t off, size_t len, struct uio *u)
{
	struct file *f = enter(d);

	if (!f || !inside(d, off, len))
		return leave(d, -EIO);
	return leave(d, lend(d, f, off, len, u));
}
