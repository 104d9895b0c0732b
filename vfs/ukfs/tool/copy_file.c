/*
 * Copying: the bytes of a file with its holes, and attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfs/ukfs/tool/copy.h"
#include "vfs/ukfs/tool/tool.h"

#define CHUNK (1u << 20)

static char chunk[CHUNK] __attribute__((aligned(4096)));

static int
write_all(struct pfile *out, uint64_t off, const char *buf, size_t n)
{
	while (n > 0) {
		ssize_t w = out->pf_place->p_op->write(out, off, buf, n);
		if (w <= 0)
			return w < 0 ? (int)w : -EIO;
		buf += w;
		off += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

/* The bytes from *off to end, or as far as there are any: *off is moved on.  *ret_in says
 * whose error it is. */
static int
copy_range(struct pfile *in, struct pfile *out, uint64_t *off, uint64_t end, bool *ret_in)
{
	while (*off < end) {
		size_t n = end - *off < CHUNK ? (size_t)(end - *off) : CHUNK;
		ssize_t got = in->pf_place->p_op->read(in, *off, chunk, n);

		*ret_in = true;
		if (got < 0)
			return (int)got;
		if (got == 0)
			break;
		if (tool_interrupted())
			return -EINTR;
		*ret_in = false;
		int r = write_all(out, *off, chunk, (size_t)got);
		if (r < 0)
			return r;
		*off += (uint64_t)got;
	}
	return 0;
}

/* Only where there is data, as far as the source can say. */
static int
copy_sparse(
    struct pfile *in, struct pfile *out, uint64_t size, uint64_t *ret_end, bool *ret_in)
{
	const struct place_ops *op = in->pf_place->p_op;
	uint64_t off = 0;

	*ret_end = 0;
	while (off < size) {
		int64_t data = op->seek(in, off, SEEK_DATA), hole;

		if (data == -ENXIO)
			break; /* nothing but a hole */
		if (data < 0)
			data = (int64_t)off, hole = (int64_t)size;
		else
			hole = op->seek(in, (uint64_t)data, SEEK_HOLE);
		if (hole <= data || (uint64_t)hole > size)
			hole = (int64_t)size;
		off = (uint64_t)data;
		int r = copy_range(in, out, &off, (uint64_t)hole, ret_in);
		if (r < 0)
			return r;
		*ret_end = off;
		if (off < (uint64_t)hole)
			return 0; /* it has become shorter */
	}
	if (*ret_end < size)
		*ret_end = size;
	return 0;
}

int
copy_data(struct copy *c, const char *from, const struct stat *st, struct pfile *in,
    const char *to, struct pfile *out)
{
	uint64_t end = 0, written = 0;
	bool of_in = true;
	int r;

	if (in->pf_stream || out->pf_stream || !S_ISREG(st->st_mode) ||
	    st->st_size == 0) {
		r = copy_range(in, out, &written, UINT64_MAX, &of_in);
	} else {
		r = copy_sparse(in, out, (uint64_t)st->st_size, &end, &of_in);
		of_in = r < 0 && of_in;
		/* A hole at the end. */
		if (r == 0)
			r = c->c_dst->p_op->truncate(c->c_dst, to, out, end);
	}
	if (r < 0 && of_in)
		copy_bad(c, c->c_src, from, "error reading", r);
	else if (r < 0)
		copy_bad(c, c->c_dst, to, "error writing", r);
	return r;
}

static bool
is_refusal(int r)
{
	return r == -EPERM || r == -EACCES || r == -EOPNOTSUPP || r == -ENOSYS ||
	       r == -EINVAL;
}

static void
copy_xattr(struct copy *c, const char *from, const char *to, const char *attr)
{
	static char value[65536];
	struct place *s = c->c_src, *d = c->c_dst;
	ssize_t n = s->p_op->getxattr(s, from, attr, value, sizeof(value));

	if (n < 0) {
		if (n != -ENODATA && !(c->c_o->co_archive && is_refusal((int)n)))
			copy_bad(c, s, from, "cannot read an attribute of", (int)n);
		return;
	}
	int r = d->p_op->setxattr(d, to, attr, value, (size_t)n);
	if (r < 0 && !(c->c_o->co_archive && is_refusal(r)))
		copy_bad(c, d, to, "cannot set an attribute of", r);
}

static void
copy_xattrs(struct copy *c, const char *from, const char *to)
{
	static char list[65536];
	struct place *s = c->c_src;
	ssize_t n = s->p_op->listxattr(s, from, list, sizeof(list));

	if (n < 0) {
		if (!is_refusal((int)n))
			copy_bad(c, s, from, "cannot list the attributes of", (int)n);
		return;
	}
	for (ssize_t at = 0; at < n;) {
		size_t len = strnlen(list + at, (size_t)(n - at));
		if (len == (size_t)(n - at))
			break; /* no NUL: not a name */
		copy_xattr(c, from, to, list + at);
		at += (ssize_t)len + 1;
	}
}

/* False: the file is not the owner's that it was, so that it must not have his s bits. */
static bool
copy_owner(struct copy *c, const struct stat *st, const char *to)
{
	struct place *d = c->c_dst;
	int r = d->p_op->chown(d, to, st->st_uid, st->st_gid);

	if (r == 0)
		return true;
	if (r != -EPERM && r != -EINVAL && r != -EOPNOTSUPP)
		copy_bad(c, d, to, "cannot preserve the owner of", r);
	else /* the group at least */
		(void)d->p_op->chown(d, to, (uid_t)-1, st->st_gid);
	return false;
}

void
copy_attributes(struct copy *c, const char *from, const struct stat *st, const char *to)
{
	struct place *d = c->c_dst;
	bool owned = false;
	int r;

	if (c->c_o->co_preserve)
		owned = copy_owner(c, st, to);
	/* After chown(), which takes capabilities away; before a mode without w. */
	if (c->c_o->co_xattr)
		copy_xattrs(c, from, to);
	if (!c->c_o->co_preserve)
		return;
	if (!S_ISLNK(st->st_mode)) {
		mode_t mode = st->st_mode & 07777;
		if (!owned)
			mode &= ~(mode_t)(S_ISUID | S_ISGID);
		r = d->p_op->chmod(d, to, mode);
		if (r < 0)
			copy_bad(c, d, to, "cannot preserve the mode of", r);
	}
	const struct timespec t[2] = {st->st_atim, st->st_mtim};
	r = d->p_op->utimens(d, to, t);
	if (r < 0)
		copy_bad(c, d, to, "cannot preserve the times of", r);
}
