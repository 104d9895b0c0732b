/*
 * Data: whole host files, and windows of them.
 *
 * A live file is the host file: its size, its end, its holes.  Its host fd is never
 * opened with O_APPEND, because pages of a mapping may be written back through any open
 * file; a write that appends says so itself, and the host decides where the end is.  A
 * file that the host takes nothing but appending for (chattr +a) is the exception; to such
 * an open file nothing else is written.
 *
 * A window never grows and never moves; not one byte outside of it is touched.  Reading
 * ends at its end.  Writing at its end is ENOSPC, across it short, as for a block device.
 * For the same reason O_TRUNC means nothing to it, and a write that appends is ENOSPC,
 * whatever its offset: after an open with O_TRUNC the kernel takes the size to be 0.
 *
 * A chr key takes multiples of 512 bytes only.  The kernel, however, cuts a large transfer
 * at the pages of the caller's memory.  If that does not begin at a multiple of 512, nor
 * do the pieces end at one, so the pieces of such a transfer are let pass: each open file
 * keeps where the last one ended, for reading and for writing.  That is one transfer at a
 * time; where two such go on in one open file, one of them may end short or in EINVAL.
 *
 * Reading copies nothing: the asker is lent the host fd, an offset and a length, and
 * moves the bytes itself.  Writing is the same the other way round: the source moves its
 * bytes straight into the host fd.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etfs/etfs_private.h"

#define SECTOR 512u

/* Pieces of a transfer that the kernel has cut are at least this long, but for the last:
 * the most that one request has, less what the caller's memory lacks to a whole page. */
#define PIECE_MIN ((1u << 20) - 4096)

/* What of open's flags the host is to obey. */
#define HOST_FLAGS (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NOATIME)

static const struct etfs_range *
window(struct vnode *vp)
{
	return &key_of(node_of(vp))->k_win;
}

static struct efile *
efile_of(const struct file *f)
{
	return f->f_priv;
}

static int
open_host(struct enode *n, int flags, const struct cred *cr, struct file *f)
{
	struct etfs_key *k = key_of(n);
	AUTO_OWN emptied = flags & O_TRUNC ? watch_own(n) : NULL;
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	AUTO_FD fd = -1;
	/* For one request it is opened as the daemon: who was let open it, as whom, is not
	 * known.  The mode by which he was let is the host's own: only a key's root can show
	 * another (dir_is_disguised()).  A network's server may not know the daemon. */
	const struct cred *as = f->f_once ? NULL : cr;
	bool only = false, stranger = writes_as_stranger(n, cr, f->f_once);
	int r = key_alive(n), how = (flags & HOST_FLAGS) | O_NOCTTY;

	/* What cannot be written does not show either that it was read. */
	if (k->k_rdonly)
		how |= O_NOATIME;
	if (r == 0)
		r = node_pin(n, &pin);
	if (r == 0 && stranger && (how & O_TRUNC))
		r = strip_setid(pin.p_fd, NULL);
	if (r >= 0)
		r = act_as(n, as, &acting);
	if (r < 0)
		return r;
	fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how));
	if (fd == -EACCES && !as && act_as(n, cr, &acting) == 0)
		fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how));
	/* The kernel has asked who owns the file as it is seen; the host may see another. */
	if (fd == -EPERM && (how & O_NOATIME)) {
		how &= ~O_NOATIME;
		fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how));
	}
	if (fd == -EPERM && (flags & O_APPEND)) {
		only = true;
		fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how | O_APPEND));
	}
	act_done(&acting);
	if (fd < 0)
		return fd;
	r = efile_open(n, &fd, sizeof(struct efile), f);
	if (r == 0) {
		efile_of(f)->ef_append_only = only;
		efile_of(f)->ef_stranger = stranger;
	}
	return r;
}

/*
 * The kernel leaves all of O_TRUNC to the open, also to take the set-id bits off for who is
 * not privileged.  The host does that in a directory key, for the caller.  A file key is
 * opened as the daemon, so there it is done here, as the daemon too, as with writing: for
 * the mode that is seen.  The host file's bits have gone before it was opened.
 */
static void
drop_setid(struct vnode *vp, struct file *f)
{
	struct vattr_set vs = {.vs_valid = VS_MODE};
	struct vattr va;
	uint32_t off;

	if (etfs_getattr(vp, f, &va) < 0)
		return;
	off = va.va_mode & (va.va_mode & S_IXGRP ? S_ISUID | S_ISGID : S_ISUID);
	vs.vs_mode = va.va_mode & ~off;
	/* The file is open and empty already, whatever becomes of this. */
	if (off)
		(void)etfs_setattr(vp, f, &vs, NULL);
}

static int
live_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f)
{
	struct enode *n = node_of(vp);
	int r = open_host(n, flags, cr, f);

	if (r == 0 && (flags & O_TRUNC) && cr && cr->cr_uid != 0 &&
	    !key_is_dir(key_of(n)))
		drop_setid(vp, f);
	return r;
}

static int
window_open(struct vnode *vp, int flags, const struct cred *cr, struct file *f)
{
	return open_host(node_of(vp), flags & ~(O_TRUNC | O_APPEND), cr, f);
}

/* The open file's fd, or why there is none to use.  A directory may have left its key. */
static int
data_fd(struct vnode *vp, const struct file *f)
{
	int r = key_alive(node_of(vp));

	if (r < 0)
		return r;
	if (!f || f->f_fd < 0)
		return -EBADF;
	r = vp->v_type == VDIR ? node_inside(node_of(vp), f->f_fd) : 0;
	return r < 0 ? r : f->f_fd;
}

/* The same for changing what is in it; u, which may be NULL, says whose change it is. */
static int
write_fd(struct vnode *vp, const struct file *f, struct uio *u)
{
	int fd = data_fd(vp, f), r = 0;

	if (fd < 0)
		return fd;
	if (u && u->uio_killer) {
		r = strip_setid(fd, u->uio_killer);
		u->uio_killed = r > 0 || view_strip_setid(node_of(vp));
	} else if (efile_of(f)->ef_stranger) {
		r = strip_setid(fd, NULL);
	}
	return r < 0 ? r : fd;
}

static int
live_read(struct vnode *vp, struct file *f, struct uio *u)
{
	int fd = data_fd(vp, f);

	if (fd < 0)
		return fd;
	u->uio_fd = fd;
	u->uio_fdoff = u->uio_off;
	u->uio_done = u->uio_len;
	return 0;
}

/* Whether a request is one that the key takes. */
static int
check_sectors(struct vnode *vp, uint64_t off, uint64_t len)
{
	if (key_of(node_of(vp))->k_type == ETFS_CHR && (off % SECTOR || len % SECTOR))
		return -EINVAL;
	return 0;
}

/* The same for what may be a piece of a larger transfer.  on is where the open file keeps
 * its next piece. */
static int
check_piece(struct vnode *vp, const struct uio *u, _Atomic uint64_t *on)
{
	uint64_t off = u->uio_off, end = off + u->uio_len, was = off;
	bool first = off % SECTOR == 0, last;

	if (check_sectors(vp, off, u->uio_len) == 0)
		return 0;
	/* Where the window ends it ends, at a multiple of 512 or not. */
	last = end % SECTOR == 0 || (!first && end >= window(vp)->r_len);
	if (!last && u->uio_len < PIECE_MIN)
		return -EINVAL;
	if (first)
		atomic_store(on, end);
	else if (!atomic_compare_exchange_strong(on, &was, last ? 0 : end))
		return -EINVAL;
	return 0;
}

static int
window_read(struct vnode *vp, struct file *f, struct uio *u)
{
	const struct etfs_range *w = window(vp);
	int fd = data_fd(vp, f), r;

	if (fd < 0)
		return fd;
	u->uio_done = (size_t)range_clip(w, u->uio_off, u->uio_len);
	if (u->uio_done == 0) /* the end, which programs look for with any length */
		return 0;
	r = check_piece(vp, u, &efile_of(f)->ef_read_on);
	if (r < 0)
		return r;
	u->uio_fd = fd;
	u->uio_fdoff = w->r_begin + u->uio_off;
	return 0;
}

/* Moves n bytes of the source to fd at off.  An error after some bytes is a short count:
 * those are on the host, and the next call will meet the error again. */
static int
put(struct uio *u, int fd, uint64_t off, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r;

		if (u->uio_buf)
			r = hc_pwrite(fd, (const char *)u->uio_buf + u->uio_taken,
			    n - done, off + done);
		else
			r = u->uio_pull_fd(u, fd, off + done, n - done);
		if (r < 0 && done == 0)
			return (int)r;
		if (r <= 0)
			break;
		done += (size_t)r;
		u->uio_taken += (size_t)r;
	}
	u->uio_done = done;
	return 0;
}

/* The whole source in one step to the end of the file: two writers must not meet there.
 */
static int
append(struct uio *u, int fd)
{
	char *copy = u->uio_buf ? NULL : malloc(u->uio_len);
	const char *from = u->uio_buf ? (const char *)u->uio_buf + u->uio_taken : copy;
	ssize_t r = from ? (ssize_t)u->uio_len : -ENOMEM;

	if (copy)
		r = uio_take_mem(u, copy, u->uio_len);
	if (r > 0)
		r = hc_append(fd, from, (size_t)r);
	free(copy);
	if (r < 0)
		return (int)r;
	u->uio_done = (size_t)r;
	return 0;
}

static int
live_write(struct vnode *vp, struct file *f, struct uio *u)
{
	AUTO_OWN own = watch_own(node_of(vp));
	int fd = write_fd(vp, f, u);

	if (fd < 0)
		return fd;
	if (u->uio_append)
		return append(u, fd);
	/* The host would append it. */
	if (efile_of(f)->ef_append_only)
		return -EPERM;
	return put(u, fd, u->uio_off, u->uio_len);
}

/* The modification time is the host's again. */
static void
window_written(struct enode *n)
{
	struct etfs_shard *sh = node_shard(n);

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	key_of(n)->k_view.vw_valid &= ~(unsigned)VS_MTIME;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
}

static int
window_write(struct vnode *vp, struct file *f, struct uio *u)
{
	const struct etfs_range *w = window(vp);
	size_t len = (size_t)range_clip(w, u->uio_off, u->uio_len);
	int fd = data_fd(vp, f), r;

	if (fd < 0)
		return fd;
	if (u->uio_append && u->uio_len)
		return -ENOSPC;
	r = check_piece(vp, u, &efile_of(f)->ef_write_on);
	if (r < 0)
		return r;
	if (len == 0)
		return u->uio_len ? -ENOSPC : 0;
	fd = write_fd(vp, f, u);
	r = fd < 0 ? fd : put(u, fd, w->r_begin + u->uio_off, len);
	if (r == 0)
		window_written(node_of(vp));
	return r;
}

bool
mount_is_still(int fd)
{
	struct statvfs sv;

	return hc_statvfs(fd, &sv) == 0 && sv.f_flag & (ST_NOATIME | ST_RDONLY);
}

/*
 * Whole host files may be used by the kernel itself, but not where we are needed at each
 * access: to take set-id bits off for those who may not keep them (the host does it for
 * capabilities), to leave the time of access as it is where nothing may be changed, and to
 * be asked whether a host elsewhere has failed at close.  What may only be appended to must
 * be asked each time whether it is, and a mapping of the host file would ask nobody.
 */
static int
live_backing(struct vnode *vp, struct file *f, int *ret_fd)
{
	struct enode *n = node_of(vp);
	int fd = data_fd(vp, f), r = fd < 0 ? fd : etfs_may_lend(n, fd);

	if (r == 0 && efile_of(f)->ef_append_only)
		r = -EPERM;
	if (r < 0)
		return r;
	if (!S_ISREG(n->n_ifmt) ||
	    !atomic_load_explicit(&n->n_fs->hf_near, memory_order_relaxed))
		return -EOPNOTSUPP;
	/* How it is mounted can change. */
	if (key_of(n)->k_rdonly && !mount_is_still(fd))
		return -EOPNOTSUPP;
	*ret_fd = fd;
	return 0;
}

int
etfs_fsync(struct vnode *vp, struct file *f, bool datasync)
{
	int fd = data_fd(vp, f);

	return fd < 0 ? fd : hc_fsync(fd, datasync);
}

/* A host file on a network tells only now that a write has failed. */
static int
etfs_flush(struct file *f)
{
	if ((f->f_flags & O_ACCMODE) == O_RDONLY)
		return 0;
	return WITH_FDS(key_of(node_of(f->f_vp))->k_etfs, hc_flush(f->f_fd));
}

static int
live_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len)
{
	AUTO_OWN own = watch_own(node_of(vp));
	int fd = write_fd(vp, f, NULL);

	return fd < 0 ? fd : hc_fallocate(fd, mode, off, len);
}

/* Makes part of the window zeros, giving the space back if that is wanted or the only
 * way. */
static int
zero_host(int fd, bool punch, uint64_t off, uint64_t len)
{
	int r = -EOPNOTSUPP;

	if (!punch)
		r = hc_fallocate(
		    fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
	if (r == -EOPNOTSUPP)
		r = hc_fallocate(
		    fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return r;
}

static int
window_fallocate(struct vnode *vp, struct file *f, int mode, uint64_t off, uint64_t len)
{
	const struct etfs_range *w = window(vp);
	int fd = data_fd(vp, f), r = check_sectors(vp, off, len);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;

	if (fd < 0 || r < 0)
		return fd < 0 ? fd : r;
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case FALLOC_FL_PUNCH_HOLE:
		if (!keep)
			return -EOPNOTSUPP;
		break;
	case FALLOC_FL_ZERO_RANGE:
		if (!keep && !range_holds(w, off, len))
			return -EOPNOTSUPP; /* it would have to grow */
		break;
	default:
		return -EOPNOTSUPP;
	}
	len = range_clip(w, off, len);
	if (len == 0)
		return 0;
	fd = write_fd(vp, f, NULL);
	return fd < 0 ? fd
	              : zero_host(fd, mode & FALLOC_FL_PUNCH_HOLE, w->r_begin + off, len);
}

static int
live_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	int fd = data_fd(vp, f);

	return fd < 0 ? fd : hc_seek(fd, off, whence, ret_off);
}

static int
window_seek(struct vnode *vp, struct file *f, uint64_t off, int whence, uint64_t *ret_off)
{
	const struct etfs_range *w = window(vp);
	int fd = data_fd(vp, f), r;
	uint64_t at;

	if (fd < 0)
		return fd;
	if (off >= w->r_len)
		return -ENXIO;
	r = hc_seek(fd, w->r_begin + off, whence, &at);
	if (r == -EINVAL) /* a block device: all of it is data */
		at = whence == SEEK_DATA ? w->r_begin + off : range_end(w);
	else if (r < 0)
		return r;
	if (at >= range_end(w)) {
		if (whence == SEEK_DATA)
			return -ENXIO;
		at = range_end(w);
	}
	*ret_off = at - w->r_begin;
	return 0;
}

/* Where the bytes of [off, off + *len) of an open file are in its host fd; *len becomes
 * what there is of them.  The fd, or -errno. */
static int
span(const struct file *f, uint64_t *off, size_t *len)
{
	struct vnode *vp = f->f_vp;

	if (vp->v_op == &etfs_window_vops) {
		*len = (size_t)range_clip(window(vp), *off, *len);
		*off += window(vp)->r_begin;
	}
	return data_fd(vp, f);
}

static int
etfs_copy_range(struct file *from, uint64_t off, struct file *to, uint64_t to_off,
    size_t len, size_t *ret_done)
{
	size_t want = len;
	int in = span(from, &off, &len), out = span(to, &to_off, &len);
	AUTO_OWN own = watch_own(node_of(to->f_vp));
	ssize_t r;

	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	/* Sectors, and what goes past the end, are the write's to judge. */
	if (key_of(node_of(from->f_vp))->k_type == ETFS_CHR ||
	    key_of(node_of(to->f_vp))->k_type == ETFS_CHR || (len == 0 && want > 0))
		return -EOPNOTSUPP;
	out = write_fd(to->f_vp, to, NULL);
	if (out < 0)
		return out;
	r = hc_copy_range(in, off, out, to_off, len);
	if (r < 0)
		return (int)r;
	if (r > 0 && to->f_vp->v_op == &etfs_window_vops)
		window_written(node_of(to->f_vp));
	*ret_done = (size_t)r;
	return 0;
}

int
etfs_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in, size_t in_len,
    void *out, size_t out_len, const struct cred *cr)
{
	char arg[sizeof(struct fsxattr)] = {0};
	bool set = cmd == FS_IOC_SETFLAGS || cmd == FS_IOC_FSSETXATTR;
	AUTO_ACT acting = false;
	int fd = data_fd(vp, f), r = 0;

	if (!set && cmd != FS_IOC_GETFLAGS && cmd != FS_IOC_FSGETXATTR)
		return -ENOTTY;
	if (fd < 0)
		return fd;
	if (set && atomic_load(&vp->v_mount->mnt_flags) & MNT_RDONLY)
		return -EROFS;
	if (in_len > sizeof(arg) || out_len > sizeof(arg))
		return -EINVAL;
	if (in_len)
		memcpy(arg, in, in_len);
	if (set)
		r = act_as_owner(node_of(vp), cr, &acting);
	if (r == 0)
		r = hc_ioctl(fd, cmd, arg);
	if (r < 0)
		return r;
	if (set)
		watch_changed(node_of(vp), fd);
	memcpy(out, arg, out_len);
	return 0;
}

static int
discard(struct vnode *vp, struct file *f, const void *in, size_t in_len)
{
	const struct etfs_range *w = window(vp);
	uint64_t arg[2];
	int fd = data_fd(vp, f);

	if (fd < 0)
		return fd;
	if ((f->f_flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (in_len < sizeof(arg))
		return -EINVAL;
	memcpy(arg, in, sizeof(arg));
	if (arg[0] % SECTOR || arg[1] % SECTOR || !range_holds(w, arg[0], arg[1]))
		return -EINVAL;
	if (arg[1] == 0)
		return 0;
	fd = write_fd(vp, f, NULL);
	return fd < 0 ? fd : zero_host(fd, true, w->r_begin + arg[0], arg[1]);
}

static int
answer(const void *value, size_t len, void *out, size_t out_len)
{
	if (out_len < len)
		return -EINVAL;
	memcpy(out, value, len);
	return 0;
}

/* The host device's sector size of either kind; a file's is 512. */
static int
sector_size(struct vnode *vp, struct file *f, unsigned cmd, void *out, size_t out_len)
{
	int fd = data_fd(vp, f), size = SECTOR;

	if (fd < 0)
		return fd;
	if (S_ISBLK(node_of(vp)->n_ifmt)) {
		int r = hc_ioctl(fd, cmd, &size);
		if (r < 0)
			return r;
	}
	return answer(&size, sizeof(size), out, out_len);
}

static int
window_ioctl(struct vnode *vp, struct file *f, unsigned cmd, const void *in,
    size_t in_len, void *out, size_t out_len, const struct cred *cr)
{
	enum etfs_type t = key_of(node_of(vp))->k_type;
	uint64_t size = window(vp)->r_len;
	int r = key_alive(node_of(vp));

	(void)cr;
	if (r < 0 || (t != ETFS_BLK && t != ETFS_CHR))
		return r < 0 ? r : -ENOTTY;
	switch (cmd) {
	case BLKGETSIZE64:
		return answer(&size, sizeof(size), out, out_len);
	case BLKSSZGET:
	case BLKPBSZGET:
		return sector_size(vp, f, cmd, out, out_len);
	case BLKFLSBUF:
		return etfs_fsync(vp, f, false);
	case BLKDISCARD:
		return discard(vp, f, in, in_len);
	default:
		return -ENOTTY;
	}
}

#define COMMON_ROWS                                                                  \
	.getattr = etfs_getattr, .setattr = etfs_setattr, .getxattr = etfs_getxattr, \
	.setxattr = etfs_setxattr, .listxattr = etfs_listxattr,                      \
	.removexattr = etfs_removexattr, .statfs = etfs_statfs,                      \
	.last_unref = node_last_unref, .reclaim = node_reclaim

const struct vops etfs_live_vops = {
    .vo_name = "etfs-file",
    .vo_flags = VOPS_OPENED,
    COMMON_ROWS,
    .open = live_open,
    .close = efile_close,
    .flush = etfs_flush,
    .read = live_read,
    .write = live_write,
    .backing = live_backing,
    .fsync = etfs_fsync,
    .fallocate = live_fallocate,
    .seek = live_seek,
    .copy_range = etfs_copy_range,
    .ioctl = etfs_ioctl,
};

const struct vops etfs_window_vops = {
    .vo_name = "etfs-window",
    .vo_flags = VOPS_OPENED,
    COMMON_ROWS,
    .open = window_open,
    .close = efile_close,
    .flush = etfs_flush,
    .read = window_read,
    .write = window_write,
    .fsync = etfs_fsync,
    .fallocate = window_fallocate,
    .seek = window_seek,
    .copy_range = etfs_copy_range,
    .ioctl = window_ioctl,
};

const struct vops etfs_link_vops = {
    .vo_name = "etfs-link",
    COMMON_ROWS,
    .readlink = etfs_readlink,
};

/* Fifos, sockets and devices of a key with special = yes: the kernel opens them itself.
 */
const struct vops etfs_special_vops = {
    .vo_name = "etfs-special",
    COMMON_ROWS,
};
