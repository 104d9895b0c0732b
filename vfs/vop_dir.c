/*
 * Listing directories: the record buffer, and attachments merged into a listing.
 *
 * In a directory that has attachments when it is opened, a listing starts with those
 * (cookies 1 … DIR_COOKIE_BASE: their sequence numbers) and goes on with the file
 * system's own entries (cookies above it), leaving out the names that attachments cover.
 * In any other directory the file system's cookies are passed on as they are.
 *
 * Kept listings.  The kernel may keep a listing, and hand it out without asking.  It drops
 * what it keeps at changes that are made through it, and when it is told that a name has been
 * attached or detached.  What is attached may vanish by itself, as its host does: then a
 * listing is good for as long as the attributes of what it names.
 */
#include <errno.h>
#include <stdlib.h>

#include "vfs/trace.h"
#include "vfs/vop.h"

/* Of an open directory whose listing is merged; made with the first listing. */
struct dirscan {
	bool ds_merged; /* c */
};

bool
dirbuf_add(struct dirbuf *db, uint64_t ino, uint64_t cookie, unsigned char dt,
    const char *name, size_t len, struct vnode *vp)
{
	size_t reclen = (sizeof(struct dirrec) + len + 1 + 7) & ~(size_t)7;
	struct dirrec *r;

	if (reclen > db->db_cap - db->db_used) {
		db->db_full = true;
		return false;
	}
	r = (struct dirrec *)(void *)(db->db_base + db->db_used);
	r->dr_ino = ino;
	r->dr_cookie = cookie;
	r->dr_vp = vp;
	r->dr_reclen = (uint16_t)reclen;
	r->dr_namelen = (uint16_t)len;
	r->dr_type = dt;
	memcpy(r->dr_name, name, len);
	r->dr_name[len] = '\0';
	db->db_used += reclen;
	return true;
}

struct dirrec *
dirbuf_next(const struct dirbuf *db, const struct dirrec *r)
{
	char *p = r ? (char *)(uintptr_t)r + r->dr_reclen : db->db_base;

	if (p == db->db_base + db->db_used)
		return NULL;
	return (struct dirrec *)(void *)p;
}

void
dirbuf_release(struct dirbuf *db, struct dirrec *r)
{
	for (r = r ? r : dirbuf_next(db, NULL); r; r = dirbuf_next(db, r)) {
		if (r->dr_vp)
			vn_unref(r->dr_vp);
		r->dr_vp = NULL;
	}
}

/* The inode number that an attached vnode is listed with.  0 or -errno. */
static int
attached_ino(struct vnode *vp, uint64_t *ret)
{
	struct mount *mp = vp->v_mount;
	struct vattr va;
	int r;

	if (atomic_load_explicit(&mp->mnt_flags, memory_order_acquire) & MNT_FAR) {
		*ret = atomic_load_explicit(&mp->mnt_root_ino, memory_order_relaxed);
		return 0;
	}
	r = vop_getattr(vp, NULL, &va);
	*ret = va.va_ino;
	return r;
}

/* Attachments after db_cookie, until the buffer is full or there are no more. */
static int
list_attached(struct vnode *dvp, struct dirbuf *db)
{
	uint64_t seq = db->db_cookie;
	char name[NAME_LEN_MAX + 1];
	struct vnode *vp;

	if (seq == 0)
		shadow_list_begin(dvp);
	while (shadow_next(dvp, &seq, name, &vp)) {
		uint64_t ino;

		shadow_list_saw(dvp, atomic_load(&vp->v_mount->mnt_ttl_ns));
		if (attached_ino(vp, &ino) < 0) {
			vn_unref(vp);
			continue; /* gone from the host: not listed */
		}
		if (!dirbuf_add(db, ino, seq, vtype_to_dt(vp->v_type), name, strlen(name),
			db->db_want_vnodes ? vp : NULL)) {
			vn_unref(vp);
			return 0;
		}
		if (!db->db_want_vnodes)
			vn_unref(vp);
	}
	db->db_cookie = DIR_COOKIE_BASE;
	return 0;
}

/* Leaves out of the records from position at on those whose names are attached. */
static void
drop_covered(struct vnode *dvp, struct dirbuf *db, size_t at)
{
	char *to = db->db_base + at, *from = to, *end = db->db_base + db->db_used;

	while (from < end) {
		struct dirrec *r = (struct dirrec *)(void *)from;
		size_t len = r->dr_reclen;

		from += len;
		if (shadow_covers(dvp, r->dr_name, r->dr_namelen)) {
			if (r->dr_vp)
				vn_unref(r->dr_vp);
			continue;
		}
		memmove(to, r, len);
		to += len;
	}
	db->db_used = (size_t)(to - db->db_base);
}

/* The inode numbers from this place on, as vop_getattr() shows them. */
static void
shift_inos(const struct vnode *dvp, struct dirbuf *db, size_t at)
{
	uint64_t base = dvp->v_mount->mnt_ino;

	while (base && at < db->db_used) {
		struct dirrec *r = (struct dirrec *)(void *)(db->db_base + at);

		r->dr_ino += base;
		at += r->dr_reclen;
	}
}

static int
list_own(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	bool locked = dvp->v_op->vo_flags & VOPS_LOCKED;
	size_t at = db->db_used;
	int r;

	if (locked)
		lk_read(&dvp->v_lock, LK_DIR);
	r = dvp->v_op->readdir(dvp, f, db, merged);
	if (locked)
		lk_unlock(&dvp->v_lock, LK_DIR);
	shift_inos(dvp, db, at);
	return r;
}

/* The file system's entries without the covered ones.  A buffer full of nothing but those
 * must not look like the end. */
static int
list_uncovered(struct vnode *dvp, struct file *f, struct dirbuf *db)
{
	for (;;) {
		size_t at = db->db_used;
		struct dirrec *r, *last = NULL;
		int e;

		e = list_own(dvp, f, db, true);
		if (e < 0)
			return e;
		for (r = (struct dirrec *)(void *)(db->db_base + at);
		     (char *)r < db->db_base + db->db_used;
		     r = (struct dirrec *)(void *)((char *)r + r->dr_reclen))
			last = r;
		if (!last)
			return 0;
		db->db_cookie = last->dr_cookie;
		drop_covered(dvp, db, at);
		if (db->db_used > at || !db->db_full)
			return 0;
		db->db_full = false;
	}
}

static int
list(struct file *f, struct dirbuf *db)
{
	struct vnode *dvp = f->f_vp;

	if (dvp->v_type != VDIR || !dvp->v_op->readdir)
		return -ENOTDIR;
	if (!f->f_scan) {
		f->f_scan = malloc(sizeof(*f->f_scan));
		if (!f->f_scan)
			return -ENOMEM;
		f->f_scan->ds_merged = atomic_load(&dvp->v_shadow) != NULL;
	}
	if (!f->f_scan->ds_merged)
		return list_own(dvp, f, db, false);
	if (db->db_cookie < DIR_COOKIE_BASE) {
		list_attached(dvp, db);
		if (db->db_full)
			return 0;
	}
	return list_uncovered(dvp, f, db);
}

int
vop_readdir(struct file *f, struct dirbuf *db)
{
	uint64_t from = db->db_cookie;
	int r;

	db->db_used = 0;
	db->db_full = false;
	r = list(f, db);
	if (r < 0) {
		dirbuf_release(db, NULL);
		db->db_used = 0;
	}
	TRACE("readdir node=%llu cookie=%llu = %d bytes=%zu",
	    (unsigned long long)f->f_vp->v_id, (unsigned long long)from, r, db->db_used);
	return r;
}

enum dirkeep
vop_listing(struct file *f)
{
	struct vnode *dvp = f->f_vp;
	enum dirkeep how;

	if (dvp->v_type != VDIR)
		return LISTING_ASK;
	if (dvp->v_op->listing)
		how = dvp->v_op->listing(dvp, f);
	else
		how = dvp->v_mount->mnt_ttl_ns == MNT_TTL_FOREVER ? LISTING_KEPT
		                                                  : LISTING_ASK;
	return how == LISTING_KEPT && !shadow_list_good(dvp) ? LISTING_NEW : how;
}
