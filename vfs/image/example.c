/*
 * lines: each line of a text as a file.  The example of a module; HACKING.md walks through it.
 *
 * The image is any text.  Its lines appear as 1, 2, 3 …, each with the bytes of the line and
 * its newline.  Where the lines begin is found once, when it is mounted; after that every
 * request is an array access, and what is read is lent straight from the device.
 *
 * Inode 1 is the directory, inode n + 1 line n.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/image/inotab.h"

#define LINES_MAX 1000000u

struct lines {
	struct imgmount l_im; /* the first member */
	uint32_t l_uid, l_gid;
	uint32_t l_n;     /* c: lines */
	uint64_t *l_from; /* c: where each begins; one more: the end */
	struct timespec l_time;
};

static const struct vops lines_vops; /* at the end, as always */

static struct lines *
lines_of(const struct vnode *vp)
{
	return (struct lines *)vp->v_mount;
}

static int
lines_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct lines *l = lines_of(dvp);
	char *end;
	unsigned long i = strtoul(n->n_ptr, &end, 10);

	if (n->n_ptr[0] < '1' || n->n_ptr[0] > '9' || *end || i > l->l_n)
		return -ENOENT;
	return imgnode_get(&l->l_im, &lines_vops, VREG, i + 1, ret_vp);
}

static int
lines_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	struct lines *l = lines_of(vp);
	uint64_t ino = imgnode_of(vp)->in_ino;

	memset(ret, 0, sizeof(*ret));
	ret->va_ino = ino;
	ret->va_mode = ino == 1 ? S_IFDIR | 0555 : S_IFREG | 0444;
	ret->va_nlink = ino == 1 ? 2 : 1;
	ret->va_uid = l->l_uid;
	ret->va_gid = l->l_gid;
	ret->va_blksize = 4096;
	if (ino > 1)
		ret->va_size = l->l_from[ino - 1] - l->l_from[ino - 2];
	ret->va_blocks_blk = (ret->va_size + 511) / 512;
	ret->va_atime = ret->va_mtime = ret->va_ctime = ret->va_btime = l->l_time;
	return 0;
}

static int
lines_read(struct vnode *vp, struct file *f, struct uio *u)
{
	struct lines *l = lines_of(vp);
	uint64_t ino = imgnode_of(vp)->in_ino, from = l->l_from[ino - 2];
	uint64_t size = l->l_from[ino - 1] - from;

	if (u->uio_off >= size)
		return 0;
	return device_lend(l->l_im.im_dev, from + u->uio_off,
	    u->uio_len < size - u->uio_off ? u->uio_len : (size_t)(size - u->uio_off), u);
}

/* Cookies: 1 and 2 for the dots, n + 2 for line n. */
static int
lines_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct lines *l = lines_of(dvp);
	uint64_t base = merged ? DIR_COOKIE_BASE : 0;
	uint64_t at = db->db_cookie > base ? db->db_cookie - base : 0;

	for (; at < (uint64_t)l->l_n + 2; at++) {
		char name[16];

		snprintf(name, sizeof(name), "%llu", (unsigned long long)(at - 1));
		if (at < 2)
			strcpy(name, at == 0 ? "." : "..");
		if (!dirbuf_add(db, at < 2 ? 1 : at, base + at + 1,
			at < 2 ? DT_DIR : DT_REG, name, strlen(name), NULL))
			return 0;
	}
	return 0;
}

static int
lines_statfs(struct vnode *vp, struct statvfs *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->f_bsize = ret->f_frsize = 512;
	ret->f_blocks = (device_size(lines_of(vp)->l_im.im_dev) + 511) / 512;
	ret->f_files = (uint64_t)lines_of(vp)->l_n + 1;
	ret->f_namemax = NAME_LEN_MAX;
	return 0;
}

static const struct vops lines_vops = {
    .vo_name = "lines",
    .lookup = lines_lookup,
    .getattr = lines_getattr,
    .read = lines_read,
    .readdir = lines_readdir,
    .statfs = lines_statfs,
    .last_unref = imgnode_last_unref,
    .reclaim = imgnode_reclaim,
};

static void
lines_free(struct mount *mp)
{
	struct lines *l = (struct lines *)mp;

	imgmount_done(&l->l_im);
	free(l->l_from);
	free(l);
}

static int
add_line(struct lines *l, uint64_t off)
{
	if (l->l_n == LINES_MAX)
		return -EFBIG;
	if ((l->l_n & (l->l_n + 1)) == 0) { /* the array is full */
		uint64_t *p = reallocarray(l->l_from, 2 * (l->l_n + 1), sizeof(*p));
		if (!p)
			return -ENOMEM;
		l->l_from = p;
	}
	l->l_from[l->l_n++] = off;
	return 0;
}

static int
find_lines(struct lines *l, struct device *d)
{
	char buf[65536], last = '\n';
	int r = 0;

	for (uint64_t off = 0, len; r == 0 && off < device_size(d); off += len) {
		len = device_size(d) - off;
		len = len < sizeof(buf) ? len : sizeof(buf);
		r = device_read(d, buf, len, off);
		for (size_t i = 0; r == 0 && i < len; last = buf[i++])
			if (last == '\n')
				r = add_line(l, off + i);
	}
	if (r == 0)
		r = add_line(l, device_size(d));
	l->l_n--; /* that is the end, not a line */
	return r;
}

static int
lines_mount(struct fsmount *m, struct vnode **ret_root)
{
	struct lines *l = calloc(1, sizeof(*l));
	int r = l ? find_lines(l, m->fm_dev) : -ENOMEM;

	if (r == 0)
		r = imgmount_init(&l->l_im, m, "lines", lines_free);
	if (r < 0) {
		free(l ? l->l_from : NULL);
		free(l);
		return r;
	}
	l->l_uid = m->fm_uid;
	l->l_gid = m->fm_gid;
	vfs_now(&l->l_time);
	r = imgnode_get(&l->l_im, &lines_vops, VDIR, 1, ret_root);
	if (r < 0)
		l->l_im.im_dev = NULL; /* it stays the caller's */
	mount_unref(&l->l_im.im_mnt);  /* the root's now */
	return r;
}

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_RDONLY,
    .ft_name = "lines",
    .ft_title = "the lines of a text as files (an example)",
    .ft_mount = lines_mount,
};
