/*
 * rumpfs vnode operations.
 *
 * Read from the table at the end.  The wrappers in vop.c have taken the locks of each
 * op's row (vop.h) and checked types, read-only and attachments; what is here is the
 * behaviour of Linux's tmpfs: entries, link counts, times.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "vfs/rules.h"
#include "vfs/rumpfs_private.h"

/* What tmpfs says a directory entry takes. */
#define DIRENT_BYTES 20

#define TIME_MAX_S 9223372036ll

static void
touch_dir(struct rumpfs_node *rn, int64_t now)
{
	rn->rn_mtime_ns = rn->rn_ctime_ns = now;
}

/* Of an entry's node. */
static struct rumpfs_node *
value_of(const struct dirent_node *de)
{
	return de->de_value;
}

static int
rumpfs_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct dirent_node *de = dirtab_find(&rumpfs_node_of(dvp)->rn_dir.tab, n);

	if (!de)
		return -ENOENT;
	*ret_vp = vn_ref(&value_of(de)->rn_vn);
	return 0;
}

static uint64_t
size_of(const struct rumpfs_node *rn)
{
	switch (rn->rn_vn.v_type) {
	case VREG:
		return 0; /* regular_attr() */
	case VDIR:
		return (uint64_t)dirtab_count(&rn->rn_dir.tab) * DIRENT_BYTES;
	case VLNK:
		return rn->rn_link.len;
	default:
		return 0;
	}
}

/* What the kernel may have changed without us, in a store file, is asked of that. */
static int
regular_attr(const struct rumpfs_node *rn, struct vattr *ret)
{
	struct rattr a;
	int r = rdata_attr(&rn->rn_data, &a);

	if (r < 0)
		return r;
	ret->va_size = a.ra_size;
	ret->va_blocks_blk = a.ra_pages * (PAGE_BYTES / 512);
	if (!rn->rn_data.rd_store)
		return 0;
	ret->va_mtime = rumpfs_timespec(a.ra_mtime_ns);
	if (a.ra_ctime_ns > rn->rn_ctime_ns)
		ret->va_ctime = rumpfs_timespec(a.ra_ctime_ns);
	if (a.ra_atime_ns > atomic_load(&rn->rn_atime_ns))
		ret->va_atime = rumpfs_timespec(a.ra_atime_ns);
	return 0;
}

static int
rumpfs_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	const struct rumpfs_node *rn = rumpfs_node_of(vp);
	bool dev = vp->v_type == VCHR || vp->v_type == VBLK;

	(void)f;
	ret->va_ino = rn->rn_ino;
	ret->va_mode = vtype_to_ifmt(vp->v_type) | rn->rn_mode;
	ret->va_uid = rn->rn_uid;
	ret->va_gid = rn->rn_gid;
	ret->va_blksize = (uint32_t)PAGE_BYTES;
	ret->va_nlink = rn->rn_nlink;
	ret->va_rdev = dev ? rn->rn_rdev : 0;
	ret->va_size = size_of(rn);
	ret->va_blocks_blk = 0;
	ret->va_atime = rumpfs_timespec(atomic_load(&rn->rn_atime_ns));
	ret->va_mtime = rumpfs_timespec(rn->rn_mtime_ns);
	ret->va_ctime = rumpfs_timespec(rn->rn_ctime_ns);
	ret->va_btime = rumpfs_timespec(rn->rn_btime_ns);
	return vp->v_type == VREG ? regular_attr(rn, ret) : 0;
}

/* Nanoseconds in 64 bits reach from 1677 to 2262; times beyond are kept at the ends. */
static int64_t
ns_of(const struct timespec *ts)
{
	if (ts->tv_sec >= TIME_MAX_S)
		return TIME_MAX_S * 1000000000ll;
	if (ts->tv_sec <= -TIME_MAX_S)
		return -TIME_MAX_S * 1000000000ll;
	return ts->tv_sec * 1000000000ll + ts->tv_nsec;
}

/* The times of a store file are its own: those that have been set, or come of truncating. */
static void
times_stored(struct rumpfs_node *rn, unsigned valid)
{
	struct rattr a;

	if (!(valid & (VS_SIZE | VS_ATIME | VS_MTIME)) ||
	    rdata_attr(&rn->rn_data, &a) < 0)
		return;
	if (valid & VS_ATIME)
		a.ra_atime_ns = atomic_load(&rn->rn_atime_ns);
	if (valid & (VS_SIZE | VS_MTIME))
		a.ra_mtime_ns = rn->rn_mtime_ns;
	rstore_times(rstore_of(rumpfs_mount_of(&rn->rn_vn)), &rn->rn_data, a.ra_atime_ns,
	    a.ra_mtime_ns);
}

static int
rumpfs_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);
	int64_t now = rumpfs_now_ns();
	int r = rumpfs_may_setattr(rn, f, vs);

	if (r < 0)
		return r;
	/* The only part that can fail comes first. */
	if (vs->vs_valid & VS_SIZE) {
		r = rdata_truncate(rumpfs_mount_of(vp), &rn->rn_data, vs->vs_size);

		if (r < 0)
			return r;
		rn->rn_mtime_ns = now;
	}
	if (vs->vs_valid & VS_MODE) {
		rn->rn_mode = vs->vs_mode & 07777;
		rumpfs_acl_chmod(rn);
	}
	rn->rn_mode &= ~rumpfs_setid_lost(rn, vs, cr);
	if (vs->vs_valid & VS_UID)
		rn->rn_uid = vs->vs_uid;
	if (vs->vs_valid & VS_GID)
		rn->rn_gid = vs->vs_gid;
	if (vs->vs_valid & VS_ATIME)
		atomic_store(&rn->rn_atime_ns,
		    vs->vs_valid & VS_ATIME_NOW ? now : ns_of(&vs->vs_atime));
	if (vs->vs_valid & VS_MTIME)
		rn->rn_mtime_ns =
		    vs->vs_valid & VS_MTIME_NOW ? now : ns_of(&vs->vs_mtime);
	rn->rn_ctime_ns = vs->vs_has_ctime ? ns_of(&vs->vs_ctime) : now;
	if (vp->v_type == VREG && rn->rn_data.rd_store)
		times_stored(rn, vs->vs_valid);
	return 0;
}

/* As with relatime: only where it says something that mtime and ctime do not, or once a
 * day. */
void
rumpfs_touch_atime(struct rumpfs_node *rn)
{
	int64_t now, at = atomic_load_explicit(&rn->rn_atime_ns, memory_order_relaxed);
	struct rattr a = {.ra_mtime_ns = rn->rn_mtime_ns};

	if (rumpfs_keeps_atime(rn))
		return;
	if (rn->rn_vn.v_type == VREG && rn->rn_data.rd_store)
		(void)rdata_attr(&rn->rn_data, &a);
	if (at > a.ra_mtime_ns && at > rn->rn_ctime_ns) {
		now = rumpfs_now_ns();
		if (now - at < 86400ll * 1000000000)
			return;
	} else {
		now = rumpfs_now_ns();
	}
	atomic_store_explicit(&rn->rn_atime_ns, now, memory_order_relaxed);
}

static int
rumpfs_readlink(struct vnode *vp, char *buf, size_t cap, size_t *ret_len)
{
	struct rumpfs_node *rn = rumpfs_node_of(vp);

	if (cap < rn->rn_link.len)
		return -ENAMETOOLONG;
	rumpfs_touch_atime(rn);
	memcpy(buf, rn->rn_link.target, rn->rn_link.len);
	*ret_len = rn->rn_link.len;
	return 0;
}

/* A directory that has been removed takes no entries any more. */
static bool
is_dead(const struct rumpfs_node *rn)
{
	return rn->rn_nlink == 0;
}

/* An entry of a directory begins (+1) or ends (-1) to name a node. */
static void
count_sub(struct rumpfs_node *dir, const struct rumpfs_node *rn, int delta)
{
	if (rn->rn_vn.v_type != VDIR)
		return;
	dir->rn_nlink += (uint32_t)delta;
}

/* Puts a node into a directory, in a place reserved before: cannot fail. */
static void
enter(struct rumpfs_node *dir, struct dirent_node *spare, struct rumpfs_node *rn)
{
	dirtab_add_spare(&dir->rn_dir.tab, spare, rn);
	count_sub(dir, rn, 1);
}

/* Takes an entry out; its reference becomes the caller's. */
static struct rumpfs_node *
leave(struct rumpfs_node *dir, struct dirent_node *de)
{
	struct rumpfs_node *rn = value_of(de);

	dirtab_remove(&dir->rn_dir.tab, de);
	count_sub(dir, rn, -1);
	return rn;
}

static int
rumpfs_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp), *rn;
	struct dirent_node *spare;
	int r;

	if (is_dead(dir))
		return -ENOENT;
	if (dirtab_find(&dir->rn_dir.tab, n))
		return -EEXIST;
	r = rumpfs_may_add(dir);
	if (r == 0)
		r = dirtab_reserve(&dir->rn_dir.tab, n, &spare);
	if (r < 0)
		return r;
	r = rumpfs_node_alloc(rumpfs_mount_of(dvp), dir, mk, cr, &rn);
	if (r < 0) {
		free(spare);
		return r;
	}
	if (mk->vm_type == VDIR)
		rn->rn_vn.v_parent = vn_ref(dvp);
	/* One reference is the entry's, one the caller's. */
	*ret_vp = vn_ref(&rn->rn_vn);
	enter(dir, spare, rn);
	touch_dir(dir, rn->rn_ctime_ns);
	return 0;
}

static int
rumpfs_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags,
    const struct cred *cr, struct file *f, struct vnode **ret_vp)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp), *rn;
	int r =
	    rumpfs_may_add(dir); /* a directory that was removed will do, as on tmpfs */

	if (r == 0)
		r = rumpfs_node_alloc(rumpfs_mount_of(dvp), dir, mk, cr, &rn);
	if (r < 0)
		return r;
	rdata_opened(&rn->rn_data);
	rn->rn_nlink = 0;
	rn->rn_linkable = !(flags & O_EXCL);
	*ret_vp = &rn->rn_vn;
	return 0;
}

static int
rumpfs_link(
    struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp), *rn = rumpfs_node_of(vp);
	struct dirent_node *spare;
	bool first = rn->rn_nlink == 0;
	int r;

	(void)cr;
	if (is_dead(dir) || (first && !rn->rn_linkable))
		return -ENOENT;
	if (rn->rn_nlink == UINT32_MAX)
		return -EMLINK;
	if (dirtab_find(&dir->rn_dir.tab, n))
		return -EEXIST;
	r = rumpfs_may_add(dir);
	if (r == 0)
		r = rumpfs_may_change(rn);
	if (r < 0)
		return r;
	/* The first name comes with the node. */
	if (!first && !rumpfs_count_node(rumpfs_mount_of(vp)))
		return -ENOSPC;
	r = dirtab_reserve(&dir->rn_dir.tab, n, &spare);
	if (r < 0) {
		if (!first)
			rumpfs_uncount_node(rumpfs_mount_of(vp));
		return r;
	}
	vn_ref(vp);
	enter(dir, spare, rn);
	rn->rn_linkable = false;
	rn->rn_nlink++;
	rn->rn_ctime_ns = rumpfs_now_ns();
	touch_dir(dir, rn->rn_ctime_ns);
	return 0;
}

/* One name less.  The last one's share goes with the node. */
static void
drop_link(struct rumpfs_node *rn)
{
	if (--rn->rn_nlink > 0)
		rumpfs_uncount_node(rumpfs_mount_of(&rn->rn_vn));
}

static int
rumpfs_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp), *rn;
	struct dirent_node *de = dirtab_find(&dir->rn_dir.tab, n);
	int64_t now = rumpfs_now_ns();
	int r;

	(void)cr;
	if (!de)
		return -ENOENT;
	r = rumpfs_may_take(dir, value_of(de));
	if (r < 0)
		return r;
	if (value_of(de)->rn_vn.v_type == VDIR)
		return -EISDIR;
	rn = leave(dir, de);
	lk_write(&rn->rn_vn.v_lock, LK_FILE);
	drop_link(rn);
	rn->rn_ctime_ns = now;
	lk_unlock(&rn->rn_vn.v_lock, LK_FILE);
	touch_dir(dir, now);
	vn_unref(&rn->rn_vn);
	return 0;
}

/* What is attached in it counts: the wrappers have asked, but without the lock. */
int
rumpfs_kill_dir(struct rumpfs_node *rn, int64_t now)
{
	if (dirtab_count(&rn->rn_dir.tab) > 0 || atomic_load(&rn->rn_vn.v_nattach) > 0)
		return -ENOTEMPTY;
	rn->rn_nlink = 0;
	rn->rn_ctime_ns = now;
	return 0;
}

static int
rumpfs_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp), *rn;
	struct dirent_node *de = dirtab_find(&dir->rn_dir.tab, n);
	int64_t now = rumpfs_now_ns();
	int r;

	(void)cr;
	if (!de)
		return -ENOENT;
	rn = value_of(de);
	r = rumpfs_may_take(dir, rn);
	if (r < 0)
		return r;
	if (rn->rn_vn.v_type != VDIR)
		return -ENOTDIR;
	lk_write(&rn->rn_vn.v_lock, LK_DIR);
	r = rumpfs_kill_dir(rn, now);
	lk_unlock(&rn->rn_vn.v_lock, LK_DIR);
	if (r < 0)
		return r;
	leave(dir, de);
	touch_dir(dir, now);
	vn_unref(&rn->rn_vn);
	return 0;
}

/* The parent pointer of a directory that has moved; the rename mutex is held. */
static struct vnode *
reparent(struct rumpfs_node *rn, struct vnode *dvp)
{
	struct vnode *old = rn->rn_vn.v_parent;

	if (rn->rn_vn.v_type != VDIR || old == dvp)
		return NULL;
	rn->rn_vn.v_parent = vn_ref(dvp);
	return old;
}

static int
exchange(const struct vrename *v)
{
	struct rumpfs_node *fdir = rumpfs_node_of(v->rn_fdvp);
	struct rumpfs_node *tdir = rumpfs_node_of(v->rn_tdvp);
	struct rumpfs_node *f = rumpfs_node_of(v->rn_fvp), *t = rumpfs_node_of(v->rn_tvp);
	struct vnode *a, *b;

	dirtab_find(&fdir->rn_dir.tab, v->rn_fname)->de_value = t;
	dirtab_find(&tdir->rn_dir.tab, v->rn_tname)->de_value = f;
	count_sub(fdir, f, -1);
	count_sub(fdir, t, 1);
	count_sub(tdir, t, -1);
	count_sub(tdir, f, 1);
	a = reparent(f, v->rn_tdvp);
	b = reparent(t, v->rn_fdvp);
	f->rn_ctime_ns = t->rn_ctime_ns = rumpfs_now_ns();
	touch_dir(fdir, f->rn_ctime_ns);
	touch_dir(tdir, f->rn_ctime_ns);
	/* Both parents are locked and referenced by the caller: these are not the last.
	 */
	if (a)
		vn_unref(a);
	if (b)
		vn_unref(b);
	return 0;
}

/* The mark that RENAME_WHITEOUT leaves behind: a 0:0 character device. */
static int
whiteout_alloc(const struct vrename *v, struct rumpfs_node **ret)
{
	static const struct vmake mk = {.vm_type = VCHR};

	*ret = NULL;
	if (!(v->rn_flags & RENAME_WHITEOUT))
		return 0;
	return rumpfs_node_alloc(rumpfs_mount_of(v->rn_fdvp), rumpfs_node_of(v->rn_fdvp),
	    &mk, v->rn_cred, ret);
}

/* Moves the entry.  Everything it needs is there: it cannot fail.  The new name comes
 * before the old one goes, because both may be in one table, and a table that becomes
 * empty gives up the room that was reserved in it. */
static void
move_entry(const struct vrename *v, struct dirent_node *spare, struct rumpfs_node *white)
{
	struct rumpfs_node *fdir = rumpfs_node_of(v->rn_fdvp);
	struct rumpfs_node *tdir = rumpfs_node_of(v->rn_tdvp);
	struct rumpfs_node *f = rumpfs_node_of(v->rn_fvp);
	struct dirent_node *from = dirtab_find(&fdir->rn_dir.tab, v->rn_fname);

	if (v->rn_tvp) {
		dirtab_find(&tdir->rn_dir.tab, v->rn_tname)->de_value = f;
		count_sub(tdir, rumpfs_node_of(v->rn_tvp), -1);
	} else {
		dirtab_add_spare(&tdir->rn_dir.tab, spare, f);
	}
	count_sub(tdir, f, 1);
	count_sub(fdir, f, -1);
	if (white)
		from->de_value = white;
	else
		dirtab_remove(&fdir->rn_dir.tab, from);
}

/* What moving needs and may not be had. */
static int
prepare_move(const struct vrename *v, struct dirent_node **ret_spare,
    struct rumpfs_node **ret_white)
{
	struct rumpfs_node *tdir = rumpfs_node_of(v->rn_tdvp);
	int r;

	*ret_spare = NULL;
	r = whiteout_alloc(v, ret_white);
	if (r < 0)
		return r;
	if (!v->rn_tvp)
		r = dirtab_reserve(&tdir->rn_dir.tab, v->rn_tname, ret_spare);
	else if (v->rn_tvp->v_type == VDIR)
		r = rumpfs_kill_dir(rumpfs_node_of(v->rn_tvp), rumpfs_now_ns());
	if (r < 0 && *ret_white)
		vn_unref(&(*ret_white)->rn_vn);
	return r;
}

static int
rumpfs_rename(const struct vrename *v)
{
	struct rumpfs_node *f = rumpfs_node_of(v->rn_fvp), *white;
	struct dirent_node *spare;
	struct vnode *old;
	int64_t now = rumpfs_now_ns();
	int r = rumpfs_may_rename(v);

	if (r < 0)
		return r;
	if (v->rn_flags & RENAME_EXCHANGE)
		return exchange(v);
	if (is_dead(rumpfs_node_of(v->rn_tdvp)))
		return -ENOENT;
	r = prepare_move(v, &spare, &white);
	if (r < 0)
		return r;
	move_entry(v, spare, white);
	if (v->rn_tvp) {
		struct rumpfs_node *t = rumpfs_node_of(v->rn_tvp);

		if (v->rn_tvp->v_type != VDIR)
			drop_link(t);
		t->rn_ctime_ns = now;
		vn_unref(v->rn_tvp); /* the entry's; the caller has another */
	}
	old = reparent(f, v->rn_tdvp);
	f->rn_ctime_ns = now;
	touch_dir(rumpfs_node_of(v->rn_fdvp), now);
	touch_dir(rumpfs_node_of(v->rn_tdvp), now);
	if (old)
		vn_unref(old);
	return 0;
}

/* The dots have the first two cookies above the base; entries those after them. */
static int
rumpfs_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct rumpfs_node *dir = rumpfs_node_of(dvp);
	struct vnode *up = dvp->v_parent ? dvp->v_parent : dvp;
	uint64_t up_ino =
	    up->v_op == &rumpfs_vops ? rumpfs_node_of(up)->rn_ino : dir->rn_ino;
	uint64_t seq = db->db_cookie;
	struct dirent_node *de;
	uint32_t pos = 0;

	(void)f;
	(void)merged;
	rumpfs_touch_atime(dir);
	if (seq < RUMPFS_COOKIE_DOT &&
	    !dirbuf_add(db, dir->rn_ino, RUMPFS_COOKIE_DOT, DT_DIR, ".", 1, NULL))
		return 0;
	if (seq < RUMPFS_COOKIE_DOTDOT &&
	    !dirbuf_add(db, up_ino, RUMPFS_COOKIE_DOTDOT, DT_DIR, "..", 2, NULL))
		return 0;
	if (seq < RUMPFS_COOKIE_DOTDOT)
		seq = RUMPFS_COOKIE_DOTDOT;
	while ((de = dirtab_next(&dir->rn_dir.tab, &seq, &pos))) {
		struct rumpfs_node *rn = value_of(de);

		if (!dirbuf_add(db, rn->rn_ino, seq, vtype_to_dt(rn->rn_vn.v_type),
			de->de_name, de->de_len, db->db_want_vnodes ? &rn->rn_vn : NULL))
			return 0;
		if (db->db_want_vnodes)
			vn_ref(&rn->rn_vn);
	}
	return 0;
}

static int
rumpfs_statfs(struct vnode *vp, struct statvfs *ret)
{
	struct rumpfs_usage u;
	uint64_t total;

	rumpfs_usage(vp->v_mount, &u);
	memset(ret, 0, sizeof(*ret));
	total = u.ru_size ? u.ru_size : INT64_MAX;
	ret->f_bsize = ret->f_frsize = PAGE_BYTES;
	ret->f_blocks = total / PAGE_BYTES;
	ret->f_bfree = ret->f_bavail =
	    (u.ru_size_used < total ? total - u.ru_size_used : 0) / PAGE_BYTES;
	total = u.ru_inodes ? u.ru_inodes : UINT32_MAX;
	ret->f_files = total;
	ret->f_ffree = ret->f_favail =
	    u.ru_inodes_used < total ? total - u.ru_inodes_used : 0;
	ret->f_namemax = NAME_LEN_MAX;
	return 0;
}

/* Empties a directory without asking, for the end of the namespace. */
static void
rumpfs_dissolve(struct vnode *vp)
{
	struct rumpfs_node *dir = rumpfs_node_of(vp);
	struct dirent_node *de;
	uint64_t seq = 0;
	uint32_t pos = 0;

	if (vp->v_type != VDIR)
		return;
	while ((de = dirtab_next(&dir->rn_dir.tab, &seq, &pos)))
		vn_unref(&leave(dir, de)->rn_vn);
}

const struct vops rumpfs_vops = {
    .vo_name = "rumpfs",
    .vo_flags = VOPS_LOCKED,
    .lookup = rumpfs_lookup,
    .getattr = rumpfs_getattr,
    .setattr = rumpfs_setattr,
    .readlink = rumpfs_readlink,
    .make = rumpfs_make,
    .tmpfile = rumpfs_tmpfile,
    .link = rumpfs_link,
    .unlink = rumpfs_unlink,
    .rmdir = rumpfs_rmdir,
    .rename_locked = rumpfs_rename,
    .open = rumpfs_open,
    .close = rumpfs_close,
    .backing = rumpfs_backing,
    .read = rumpfs_read,
    .write = rumpfs_write,
    .fallocate = rumpfs_fallocate,
    .seek = rumpfs_seek,
    .readdir = rumpfs_readdir,
    .getxattr = rumpfs_getxattr,
    .setxattr = rumpfs_setxattr,
    .listxattr = rumpfs_listxattr,
    .removexattr = rumpfs_removexattr,
    .ioctl = rumpfs_ioctl,
    .statfs = rumpfs_statfs,
    .reclaim = rumpfs_reclaim,
    .dissolve = rumpfs_dissolve,
};
