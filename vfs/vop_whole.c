/*
 * Reading and writing as much as was asked for, for those who have no kernel above them that
 * comes again for the rest (vop.h).
 */
#include <errno.h>
#include <unistd.h>

#include "vfs/vop.h"

/* Brings what a read was lent into its buffer.  How much, or -errno. */
static ssize_t
take_window(const struct uio *u)
{
	size_t done = 0;

	while (done < u->uio_done) {
		ssize_t n = pread(u->uio_fd, (char *)u->uio_buf + done,
		    u->uio_done - done, (off_t)(u->uio_fdoff + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
vop_read_whole(struct vnode *vp, struct file *f, void *buf, size_t len, uint64_t off,
    size_t *ret_done)
{
	*ret_done = 0;
	while (*ret_done < len) {
		struct uio u;
		ssize_t n;

		uio_init_buf(
		    &u, (char *)buf + *ret_done, len - *ret_done, off + *ret_done);
		n = vop_read(vp, f, &u);
		if (n == 0)
			n = u.uio_fd < 0 ? (ssize_t)u.uio_done : take_window(&u);
		if (n <= 0)
			return (int)n;
		*ret_done += (size_t)n;
	}
	return 0;
}

int
vop_write_whole(struct vnode *vp, struct file *f, const void *buf, size_t len,
    uint64_t off, bool append, size_t *ret_done)
{
	*ret_done = 0;
	while (*ret_done < len) {
		struct uio u;
		int r;

		/* The uio does not write to what it is given to write. */
		uio_init_buf(&u, (char *)(uintptr_t)buf + *ret_done, len - *ret_done,
		    off + *ret_done);
		u.uio_append = append;
		r = vop_write(vp, f, &u);
		*ret_done += u.uio_done;
		if (r < 0)
			return r;
		if (u.uio_done == 0)
			return -EIO;
	}
	return 0;
}
