/*
 * Files that are in memory from the start: copied in from the host before anything is
 * mounted.  Holes stay holes where the host can tell them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etfs/etfs_private.h"
#include "vfs/progress.h"

#define COPY_CHUNK (128u << 10)

static const struct cred daemon_cred; /* uid 0: the file's owner was set before */

/* Writes what lies in [off, end) of the host file. */
static int
copy_part(int fd, struct vnode *vp, struct file *f, char *buf, uint64_t off, uint64_t end,
    struct progress *pg)
{
	while (off < end) {
		size_t want = end - off < COPY_CHUNK ? (size_t)(end - off) : COPY_CHUNK;
		ssize_t got = hc_pread(fd, buf, want, off);
		struct uio u;
		int r;

		if (got < 0)
			return (int)got;
		if (got == 0)
			return 0;
		uio_init_buf(&u, buf, (size_t)got, off);
		r = vop_write(vp, f, &u);
		if (r < 0)
			return r;
		if (u.uio_done != (size_t)got)
			return -ENOSPC;
		off += (uint64_t)got;
		pg->pg_done = off;
		PROGRESS_TELL(pg, 0);
	}
	return 0;
}

/* The parts of the host file that hold data. */
static int
copy_data(int fd, struct vnode *vp, struct file *f, char *buf, uint64_t size,
    struct progress *pg)
{
	uint64_t off = 0, hole;
	int r;

	while (off < size) {
		r = hc_seek(fd, off, SEEK_DATA, &off);
		if (r == -ENXIO)
			return 0;
		if (r < 0 || hc_seek(fd, off, SEEK_HOLE, &hole) < 0 || hole > size)
			hole = size;
		r = copy_part(fd, vp, f, buf, off, hole, pg);
		if (r < 0)
			return r;
		off = hole;
	}
	return 0;
}

static int
open_source(const char *host, struct hc_stat *ret)
{
	AUTO_FD at = hc_open_root(host, O_PATH);
	int r = at < 0 ? at : hc_stat(at, ret);

	if (r < 0)
		return r;
	if (!S_ISREG(ret->hs_mode))
		return S_ISDIR(ret->hs_mode) ? -EISDIR : -EINVAL;
	return hc_reopen(at, O_RDONLY);
}

static int
copy_in(const char *host, struct vnode *vp)
{
	struct vattr_set size = {.vs_valid = VS_SIZE};
	struct file *f = NULL;
	struct progress pg = {.pg_what = "copying", .pg_name = host, .pg_unit = "bytes"};
	struct hc_stat hs;
	AUTO_FD fd = open_source(host, &hs);
	char *buf;
	int r;

	if (fd < 0)
		return fd;
	buf = malloc(COPY_CHUNK);
	r = buf ? vop_open(vp, O_WRONLY, &daemon_cred, &f) : -ENOMEM;
	if (r == 0) {
		pg.pg_total = hs.hs_size;
		PROGRESS_TELL(&pg, 0);
		r = copy_data(fd, vp, f, buf, hs.hs_size, &pg);
		PROGRESS_TELL(&pg, 1);
		if (r == 0) {
			size.vs_size = hs.hs_size;
			r = vop_setattr(vp, f, &size, &daemon_cred);
		}
		vop_close(f);
	}
	free(buf);
	return r;
}

int
etfs_copy_in(const char *host, struct vnode *vp, struct etfs_why *why)
{
	int r = hc_init();

	if (r == 0)
		r = copy_in(host, vp);
	if (r < 0 && why)
		snprintf(why->ew_text, sizeof(why->ew_text), "%s: %s", host,
		    r == -EINVAL ? "is not a regular file" : strerrordesc_np(-r));
	return r;
}
