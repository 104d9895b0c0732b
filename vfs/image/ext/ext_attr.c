/*
 * Attributes: times, owner, mode, as stat shows and setattr sets them.
 *
 * Times are 32 bits of seconds, and in inodes that are large enough two bits more and
 * nanoseconds: to 2446.  What lies beyond is kept at the ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfs/image/ext/ext.h"

/* Is this field of the larger inode there? */
#define HAS(e, i, field)                                                     \
	(EXT2_INODE_SIZE((e)->e_fs->super) > 128 &&                          \
	    offsetof(struct ext2_inode_large, field) + sizeof((i)->field) <= \
		128u + (i)->i_extra_isize)

static void
put(bool extra, const struct timespec *t, uint32_t *sec, uint32_t *more)
{
	int64_t min = INT32_MIN, max = INT32_MAX, s = t->tv_sec;

	if (extra)
		max = 0x37fffffffll;
	s = s < min ? min : s > max ? max : s;
	*sec = (uint32_t)s;
	if (extra)
		*more = (uint32_t)((((uint64_t)s - (uint64_t)(int64_t)(int32_t)s) >> 32) &
				   3) |
		        (uint32_t)t->tv_nsec << 2;
}

static struct timespec
get(bool extra, uint32_t sec, uint32_t more)
{
	struct timespec t = {(int32_t)sec, 0};

	if (extra) {
		t.tv_sec += (int64_t)(more & 3) << 32;
		t.tv_nsec = more >> 2;
		if (t.tv_nsec > 999999999)
			t.tv_nsec = 0;
	}
	return t;
}

void
ext_time_set(struct ext *e, struct ext_node *en, unsigned which, const struct timespec *t)
{
	struct ext2_inode_large *i = &en->en_i;

	if (which & EXT_ATIME)
		put(HAS(e, i, i_atime_extra), t, &i->i_atime, &i->i_atime_extra);
	if (which & EXT_MTIME)
		put(HAS(e, i, i_mtime_extra), t, &i->i_mtime, &i->i_mtime_extra);
	if (which & EXT_CTIME)
		put(HAS(e, i, i_ctime_extra), t, &i->i_ctime, &i->i_ctime_extra);
	if ((which & EXT_BTIME) && HAS(e, i, i_crtime))
		put(HAS(e, i, i_crtime_extra), t, &i->i_crtime, &i->i_crtime_extra);
	if (which & (EXT_MTIME | EXT_CTIME | EXT_ATIME))
		atomic_store_explicit(&en->en_atime_done, false, memory_order_relaxed);
}

struct timespec
ext_time_get(const struct ext *e, const struct ext_node *en, unsigned which)
{
	const struct ext2_inode_large *i = &en->en_i;

	switch (which) {
	case EXT_ATIME:
		return get(HAS(e, i, i_atime_extra), i->i_atime, i->i_atime_extra);
	case EXT_MTIME:
		return get(HAS(e, i, i_mtime_extra), i->i_mtime, i->i_mtime_extra);
	case EXT_CTIME:
		return get(HAS(e, i, i_ctime_extra), i->i_ctime, i->i_ctime_extra);
	default:
		if (!HAS(e, i, i_crtime))
			return ext_time_get(e, en, EXT_CTIME);
		return get(HAS(e, i, i_crtime_extra), i->i_crtime, i->i_crtime_extra);
	}
}

void
ext_touch(struct ext *e, struct ext_node *en, unsigned which)
{
	struct timespec now;

	vfs_now(&now);
	ext_time_set(e, en, which, &now);
}

static bool
later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/* As with relatime: only where it says something that mtime and ctime do not, or once a
 * day. */
void
ext_touch_atime(struct ext *e, struct ext_node *en)
{
	struct timespec now, at, mt, ct;

	if (e->e_rdonly || atomic_load_explicit(&en->en_atime_done, memory_order_relaxed))
		return;
	AUTO_EXT(e);
	vfs_now(&now);
	at = ext_time_get(e, en, EXT_ATIME);
	mt = ext_time_get(e, en, EXT_MTIME);
	ct = ext_time_get(e, en, EXT_CTIME);
	if (!(en->en_i.i_flags & EXT2_NOATIME_FL) &&
	    (!later(&at, &mt) || !later(&at, &ct) || now.tv_sec - at.tv_sec >= 86400) &&
	    ext_will_change(e) == 0) {
		ext_time_set(e, en, EXT_ATIME, &now);
		(void)ext_node_write(e, en);
	}
	/* Asked again after a change, or when the node is met anew. */
	atomic_store_explicit(&en->en_atime_done, true, memory_order_relaxed);
}

static uint64_t
rdev_of(const struct ext2_inode_large *i)
{
	uint32_t d = i->i_block[0];

	if (d)
		return makedev(d >> 8 & 0xff, d & 0xff);
	d = i->i_block[1];
	return makedev((d & 0xfff00) >> 8, (d & 0xff) | (d >> 12 & 0xfff00));
}

int
ext_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	const struct ext2_inode_large *i = &en->en_i;

	(void)f;
	AUTO_EXT(e);
	ret->va_ino = ext_ino(en);
	ret->va_mode = i->i_mode;
	ret->va_uid = ext_uid(en);
	ret->va_gid = ext_gid(en);
	ret->va_blksize = e->e_bs;
	ret->va_nlink = i->i_links_count;
	ret->va_rdev = vp->v_type == VCHR || vp->v_type == VBLK ? rdev_of(i) : 0;
	ret->va_size = ext_size(en);
	ret->va_blocks_blk = ext2fs_get_stat_i_blocks(e->e_fs, ext_i(en));
	ret->va_atime = ext_time_get(e, en, EXT_ATIME);
	ret->va_mtime = ext_time_get(e, en, EXT_MTIME);
	ret->va_ctime = ext_time_get(e, en, EXT_CTIME);
	ret->va_btime = ext_time_get(e, en, EXT_BTIME);
	return 0;
}

static void
set_owner(struct ext_node *en, const struct vattr_set *vs)
{
	if (vs->vs_valid & VS_UID) {
		en->en_i.i_uid = (uint16_t)vs->vs_uid;
		en->en_i.osd2.linux2.l_i_uid_high = (uint16_t)(vs->vs_uid >> 16);
	}
	if (vs->vs_valid & VS_GID) {
		en->en_i.i_gid = (uint16_t)vs->vs_gid;
		en->en_i.osd2.linux2.l_i_gid_high = (uint16_t)(vs->vs_gid >> 16);
	}
}

static void
set_times(struct ext *e, struct ext_node *en, const struct vattr_set *vs)
{
	struct timespec now;

	vfs_now(&now);
	if (vs->vs_valid & VS_ATIME)
		ext_time_set(
		    e, en, EXT_ATIME, vs->vs_valid & VS_ATIME_NOW ? &now : &vs->vs_atime);
	if (vs->vs_valid & VS_MTIME)
		ext_time_set(
		    e, en, EXT_MTIME, vs->vs_valid & VS_MTIME_NOW ? &now : &vs->vs_mtime);
	ext_time_set(e, en, EXT_CTIME, &now);
	/* A time that was given is to stay until something is read that is newer. */
	if (vs->vs_valid & VS_ATIME)
		atomic_store(&en->en_atime_done, false);
}

static int
set_inode(
    struct ext *e, struct ext_node *en, const struct vattr_set *vs, const struct cred *cr)
{
	int r = 0;

	if (vs->vs_valid & VS_MODE) {
		en->en_i.i_mode =
		    (uint16_t)((en->en_i.i_mode & S_IFMT) | (vs->vs_mode & 07777));
		r = ext_acl_chmod(e, en);
	}
	if (r < 0)
		return r;
	en->en_i.i_mode &= (uint16_t)~ext_setid_lost(en, vs, cr);
	set_owner(en, vs);
	set_times(e, en, vs);
	return ext_node_write(e, en);
}

int
ext_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);
	bool sized = vs->vs_valid & VS_SIZE;
	int r;

	AUTO_USE(e);
	if (sized)
		pthread_rwlock_wrlock(&en->en_lock);
	pthread_mutex_lock(&e->e_mtx);
	r = ext_may_setattr(en, f, vs);
	if (r == 0)
		r = ext_will_change(e);
	pthread_mutex_unlock(&e->e_mtx);
	/* The only part that may want room comes first. */
	if (r == 0 && sized)
		r = ext_truncate(e, en, vs->vs_size);
	if (r == 0) {
		AUTO_EXT(e);
		r = set_inode(e, en, vs, cr);
	}
	if (sized)
		pthread_rwlock_unlock(&en->en_lock);
	return r;
}
