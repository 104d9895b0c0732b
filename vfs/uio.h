/*
 * Data on its way between a file and whoever asked.
 *
 * Reading: the op either copies up to uio_len bytes to uio_buf and sets uio_done, or
 * lends a window: it sets uio_fd and uio_fdoff and uio_done to the length (an upper
 * bound: the window may turn out shorter), and the asker moves the bytes itself, by
 * splice where it can.  The fd stays open as long as the open file does.  End of file is
 * uio_done == 0.
 *
 * Writing: the bytes are at uio_buf, or (uio_buf NULL) come through uio_pull_mem and
 * uio_pull_fd.  The op takes them in order with uio_take_mem(), or uio_take_fd() to move
 * them straight into a host file, and sets uio_done to what it has taken for good.
 *
 * All numbers are bytes.  Nothing here allocates.
 */
#ifndef RF_VFS_UIO_H
#define RF_VFS_UIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct cred;

struct uio {
	uint64_t uio_off; /* where in the file */
	size_t uio_len;   /* how much is wanted or offered */
	size_t uio_done;  /* how much was moved */
	void *uio_buf;
	int uio_fd;         /* reading: -1, or the window's fd */
	uint64_t uio_fdoff; /* reading: the window's start in it */
	/* Writing, when uio_buf is NULL.  Both take the next n bytes; 0 or more is what
	 * was moved, less than n only on an error or at the end of the source; else
	 * -errno. */
	ssize_t (*uio_pull_mem)(struct uio *u, void *dst, size_t n);
	ssize_t (*uio_pull_fd)(struct uio *u, int fd, uint64_t off, size_t n);
	bool uio_append; /* writing: at the end of the file, wherever that is by then */
	/* writing: who may not keep the set-id bits that are on the file, which go; or NULL */
	const struct cred *uio_killer;
	bool
	    uio_killed; /* writing: there were some, or capabilities, which go in any case */
	/* writing: the kernel has kept it for a while, and decided when it took it; where it
	 * was appended, it has its place by now */
	bool uio_kept;
	size_t uio_taken; /* writing: how much of the source has been consumed */
	void *uio_arg;    /* the asker's own */
};

static inline void
uio_init_buf(struct uio *u, void *buf, size_t len, uint64_t off)
{
	memset(u, 0, sizeof(*u));
	u->uio_buf = buf;
	u->uio_len = len;
	u->uio_off = off;
	u->uio_fd = -1;
}

/* Writing: copies the next n bytes of the source to dst.  What was moved, or -errno. */
static inline ssize_t
uio_take_mem(struct uio *u, void *dst, size_t n)
{
	if (!u->uio_buf) {
		ssize_t r = u->uio_pull_mem(u, dst, n);
		if (r > 0)
			u->uio_taken += (size_t)r;
		return r;
	}
	memcpy(dst, (const char *)u->uio_buf + u->uio_taken, n);
	u->uio_taken += n;
	return (ssize_t)n;
}

#endif
