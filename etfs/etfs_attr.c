/*
 * Attributes.
 *
 * What is shown is what the host says at the moment, except:
 *   – a window (blk, chr, reg with a range) is a regular file of its window's size;
 *   – a file key has one link and the host object's inode number, so that two keys on
 *     one host file can be seen to be that;
 *   – a key's root shows mode, owner and times from its view (struct etfs_view) where
 *     that has them: because the registration said so or, for windows, because somebody
 *     changed them.  What is in the view is changed in the view and not on the host; on
 *     a window everything is.  A write through a window ends a modification time set by
 *     hand.
 *
 * Writing takes set-id bits off.  The kernel asks for that in the mode as it is seen; the
 * host would do it to the mode that the file has, but the daemon, as which the data of file
 * keys is written, may keep them.  So it is done here (strip_setid()): who can write to a
 * key is not to write the program that another user's name is on.
 *
 * The view is under the mutex of the root node's shard.
 */
#include <errno.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"
#include "vfs/rules.h"

#define PERM 07777u

int
key_alive(const struct enode *n)
{
	const struct etfs_key *k = key_of(n);

	return atomic_load_explicit(&k->k_gone, memory_order_acquire) && !key_is_dir(k)
	           ? -EIO
	           : 0;
}

static int
become(const struct cred *cr, bool *ret_acting)
{
	int r = hc_become(cr->cr_uid, cr->cr_gid, cr->cr_pid);

	if (r == 0)
		*ret_acting = true;
	return r;
}

int
act_as(const struct enode *n, const struct cred *cr, bool *ret_acting)
{
	return key_is_dir(key_of(n)) && cr ? become(cr, ret_acting) : 0;
}

/* Attributes are the host's, and not the view of a window. */
static bool
is_live(const struct enode *n)
{
	return n->n_vn.v_op != &etfs_window_vops;
}

int
act_as_owner(struct enode *n, const struct cred *cr, bool *ret_acting)
{
	return is_live(n) && cr ? become(cr, ret_acting) : 0;
}

bool
writes_as_stranger(const struct enode *n, const struct cred *cr, bool once)
{
	return cr && cr->cr_uid != 0 && (once || !key_is_dir(key_of(n))) &&
	       S_ISREG(n->n_ifmt) && hc_features()->hf_privileged;
}

/* Of a regular file. */
static uint32_t
setid_lost(uint32_t mode, uint32_t uid, uint32_t gid, const struct cred *cr)
{
	const struct vattr_set kill = {.vs_valid = VS_KILL_SETID};

	return rule_setid_lost(S_IFREG | (mode & PERM), uid, gid, &kill, cr);
}

int
strip_setid(int fd, const struct cred *cr)
{
	struct hc_stat hs;
	uint32_t off;
	int r = hc_stat(fd, &hs);

	if (r < 0 || !S_ISREG(hs.hs_mode))
		return r;
	off = setid_lost(hs.hs_mode, hs.hs_uid, hs.hs_gid, cr);
	r = off ? hc_chmod(fd, hs.hs_mode & PERM & ~off) : 0;
	return r < 0 ? r : off != 0;
}

bool
view_strip_setid(struct enode *n)
{
	struct etfs_view *vw = &key_of(n)->k_view;
	struct etfs_shard *sh = node_shard(n);
	uint32_t off = 0;

	if (!node_is_root(n))
		return false;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (vw->vw_valid & VS_MODE)
		off = setid_lost(vw->vw_mode, vw->vw_uid, vw->vw_gid, NULL);
	vw->vw_mode &= ~off;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return off != 0;
}

/* The window's part of the space that the host file takes. */
static uint64_t
blocks_share(const struct etfs_range *w, const struct hc_stat *hs)
{
	uint64_t all = (w->r_len + 511) / 512, share;

	if (S_ISBLK(hs->hs_mode) || hs->hs_size == 0)
		return all;
	share = (uint64_t)((unsigned __int128)hs->hs_blocks_blk * w->r_len / hs->hs_size);
	return share < all ? share : all;
}

static bool
later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void
apply_view(struct enode *n, struct vattr *va, bool written)
{
	const struct etfs_view *vw = &key_of(n)->k_view;
	struct etfs_shard *sh = node_shard(n);

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (vw->vw_valid & VS_MODE)
		va->va_mode = (va->va_mode & S_IFMT) | vw->vw_mode;
	if (vw->vw_valid & VS_UID)
		va->va_uid = vw->vw_uid;
	if (vw->vw_valid & VS_GID)
		va->va_gid = vw->vw_gid;
	if (vw->vw_valid & VS_ATIME)
		va->va_atime = vw->vw_atime;
	if ((vw->vw_valid & VS_MTIME) && !written)
		va->va_mtime = vw->vw_mtime;
	if (later(&vw->vw_ctime, &va->va_ctime))
		va->va_ctime = vw->vw_ctime;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
}

static void
fill(struct enode *n, const struct hc_stat *hs, struct vattr *va)
{
	const struct etfs_key *k = key_of(n);
	bool written = share_is_written(n);

	*va = (struct vattr){
	    .va_ino = n->n_shown_ino,
	    .va_mode = vtype_to_ifmt(n->n_vn.v_type) | (hs->hs_mode & PERM),
	    .va_uid = hs->hs_uid,
	    .va_gid = hs->hs_gid,
	    .va_blksize = hs->hs_blksize ? hs->hs_blksize : 4096,
	    .va_nlink = hs->hs_nlink,
	    .va_rdev = hs->hs_rdev,
	    .va_size = hs->hs_size,
	    .va_blocks_blk = hs->hs_blocks_blk,
	    .va_atime = hs->hs_atime,
	    .va_mtime = hs->hs_mtime,
	    .va_ctime = hs->hs_ctime,
	    .va_btime = hs->hs_btime,
	};
	if (!node_is_root(n)) {
		if (written)
			share_blur(n, va);
		return;
	}
	if (!key_is_dir(k)) {
		va->va_nlink = 1;
		va->va_rdev = 0;
	}
	if (k->k_window) {
		va->va_size = k->k_win.r_len;
		va->va_blocks_blk = blocks_share(&k->k_win, hs);
	} else if (S_ISBLK(hs->hs_mode)) {
		va->va_size = k->k_win.r_len;
	}
	apply_view(n, va, written);
	if (written)
		share_blur(n, va);
}

/* Who is shown another mode or owner than the host's is refused by the host. */
bool
dir_is_disguised(const struct enode *d)
{
	const struct etfs_key *k = key_of(d);
	struct etfs_shard *sh = node_shard(d);
	bool r;

	if (!node_is_root(d))
		return false;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	r = (k->k_view.vw_valid & (VS_MODE | VS_UID | VS_GID)) != 0;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return r;
}

/* Whether the pages that the kernel may have are of another state.  Of nothing there are none
 * as yet. */
static bool
pages_are_old(struct enode *n, const struct shown *now)
{
	struct etfs_shard *sh = node_shard(n);
	struct shown *was = &n->n_shown;
	bool old;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (was->sh_ctime_ns == 0)
		*was = *now;
	old = was->sh_ctime_ns != now->sh_ctime_ns || was->sh_size != now->sh_size ||
	      (was->sh_young && !now->sh_young);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	return old;
}

static void
pages_are_of(struct enode *n, const struct shown *now)
{
	struct etfs_shard *sh = node_shard(n);

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	n->n_shown = *now;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
}

/*
 * The kernel keeps pages and listings over opens that it does not tell of, and asks for
 * attributes each time instead (etfs_unopened()).  Where they have moved, pages go before the
 * answer: it is what an open would be answered after.  The kernel throws this answer away
 * then, but for who asked, and asks again when it needs one.
 *
 * Only when they have gone is it noted of what state pages are: who asks meanwhile waits for the
 * same.  A state that was seen before they went may be older than they are then; so the next
 * who asks drops them once more.
 *
 * A change in the same tick as the one before has the same time.  So they go once more when the
 * time is old enough to tell; not each time until then, or no answer would ever reach the kernel.
 */
static void
unopened_told(struct enode *n, const struct hc_stat *hs, const struct timespec *before,
    struct vattr *va)
{
	struct vfs *v = key_of(n)->k_etfs->e_vfs;
	struct shown now = {
	    .sh_ctime_ns = (uint64_t)hs->hs_ctime.tv_sec * 1000000000 +
	                   (uint64_t)hs->hs_ctime.tv_nsec,
	    .sh_size = hs->hs_size,
	    .sh_young = ctime_settled(hs, before) == 0,
	};

	if (n->n_vn.v_type == VDIR) {
		share_blur(n, va); /* a listing is good as long as the time stays */
		/* What one was let list is nobody else's. */
		if (dir_is_disguised(n) && v->vfs_notify)
			(void)v->vfs_notify->pages(v->vfs_notify_arg, &n->n_vn);
	}
	if (n->n_vn.v_type != VREG)
		return;
	if (pages_are_old(n, &now) && v->vfs_notify &&
	    v->vfs_notify->pages(v->vfs_notify_arg, &n->n_vn))
		pages_are_of(n, &now);
}

void
etfs_unopened(struct etfs *e)
{
	atomic_store(&e->e_unopened, true);
}

int
etfs_may_lend(struct enode *n, int fd)
{
	struct vattr va;
	struct hc_stat hs;
	int r = hc_stat(fd, &hs);

	if (r < 0)
		return r;
	va = (struct vattr){.va_mode = hs.hs_mode};
	if (node_is_root(n))
		apply_view(n, &va, true);
	if (hs.hs_append)
		return -EPERM;
	return (va.va_mode | hs.hs_mode) & (S_ISUID | S_ISGID) ? -EOPNOTSUPP : 0;
}

int
etfs_getattr(struct vnode *vp, struct file *f, struct vattr *ret)
{
	struct enode *n = node_of(vp);
	AUTO_PIN pin = {.p_fd = -1};
	struct timespec before;
	struct hc_stat hs;
	int r = key_alive(n), fd = f ? f->f_fd : -1;

	vfs_now(&before);
	if (r == 0 && fd < 0) {
		r = node_pin(n, &pin);
		fd = pin.p_fd;
	}
	if (r == 0)
		r = hc_stat(fd, &hs);
	if (r < 0)
		return r;
	fill(n, &hs, ret);
	watch_told(n, &hs);
	if (atomic_load_explicit(&key_of(n)->k_etfs->e_unopened, memory_order_relaxed))
		unopened_told(n, &hs, &before, ret);
	return 0;
}

/* Takes out of *vs what the key keeps to itself, and keeps it. */
static void
set_view(struct enode *n, struct vattr_set *vs)
{
	struct etfs_key *k = key_of(n);
	struct etfs_view *vw = &k->k_view;
	struct etfs_shard *sh = node_shard(n);
	unsigned mine = VS_MODE | VS_UID | VS_GID;
	struct timespec now;

	vfs_now(&now);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	mine = k->k_window ? mine | VS_ATIME | VS_MTIME : mine & vw->vw_valid;
	mine &= vs->vs_valid;
	if (mine & VS_MODE)
		vw->vw_mode = vs->vs_mode & PERM;
	if (mine & VS_UID)
		vw->vw_uid = vs->vs_uid;
	if (mine & VS_GID)
		vw->vw_gid = vs->vs_gid;
	if (mine & VS_ATIME)
		vw->vw_atime = vs->vs_valid & VS_ATIME_NOW ? now : vs->vs_atime;
	if (mine & VS_MTIME)
		vw->vw_mtime = vs->vs_valid & VS_MTIME_NOW ? now : vs->vs_mtime;
	if (mine)
		vw->vw_ctime = now;
	vw->vw_valid |= mine;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	vs->vs_valid &= ~mine;
}

static int
set_size(
    struct enode *n, int fd, const struct file *f, uint64_t size, const struct cred *cr)
{
	struct etfs_key *k = key_of(n);
	AUTO_ACT acting = false;
	AUTO_FD own = -1;
	int r;

	if (n->n_vn.v_op == &etfs_window_vops)
		/* Without opens O_TRUNC, which a window ignores, comes as this. */
		return size == k->k_win.r_len ||
		               (size == 0 && !f && atomic_load(&k->k_etfs->e_unopened))
		           ? 0
		           : -EINVAL;
	r = writes_as_stranger(n, cr, f && f->f_once) ? strip_setid(fd, NULL)
	                                              : act_as(n, cr, &acting);
	if (r < 0)
		return r;
	/* An open file may be writable where its name is not. */
	if (f && f->f_fd >= 0 && (f->f_flags & O_ACCMODE) != O_RDONLY)
		return hc_truncate(f->f_fd, size);
	/* fd may be lent by a file that somebody else has open for writing. */
	own = WITH_FDS(k->k_etfs, hc_reopen(fd, O_WRONLY | O_NONBLOCK | O_NOCTTY));
	return own < 0 ? own : hc_truncate(own, size);
}

static int
set_owner(int fd, const struct vattr_set *vs)
{
	uid_t uid = vs->vs_valid & VS_UID ? vs->vs_uid : (uid_t)-1;
	gid_t gid = vs->vs_valid & VS_GID ? vs->vs_gid : (gid_t)-1;

	return hc_chown(fd, uid, gid);
}

static int
set_times(int fd, const struct vattr_set *vs)
{
	struct timespec ts[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};

	if (vs->vs_valid & VS_ATIME)
		ts[0] = vs->vs_atime;
	if (vs->vs_valid & VS_MTIME)
		ts[1] = vs->vs_mtime;
	if (vs->vs_valid & VS_ATIME_NOW)
		ts[0].tv_nsec = UTIME_NOW;
	if (vs->vs_valid & VS_MTIME_NOW)
		ts[1].tv_nsec = UTIME_NOW;
	return hc_utimens(fd, ts);
}

/* chmod as the caller.  The kernel takes the setuid and setgid bits off a file when
 * somebody else writes to it, and asks for that in the writer's name; the host would
 * refuse the writer, so that is done as the daemon. */
static int
set_mode(int fd, uint32_t mode, bool *acting)
{
	int r = hc_chmod(fd, mode & PERM);
	struct hc_stat hs;

	if (r != -EPERM || !*acting)
		return r;
	if (hc_stat(fd, &hs) < 0 ||
	    (mode & PERM & ~(uint32_t)(S_ISUID | S_ISGID)) !=
		(hs.hs_mode & PERM & ~(uint32_t)(S_ISUID | S_ISGID)) ||
	    (mode & PERM & ~hs.hs_mode))
		return r;
	act_done(acting);
	return hc_chmod(fd, mode & PERM);
}

/*
 * chown as the caller, which takes set-id bits off on the host.  The kernel asks for the
 * mode without them in the same request, as far as it knows; those that the host took off
 * in spite of that do not come back.
 *
 * A request for nothing at all is a chown to nobody, which moves ctime, or was to take the
 * set-group-id bit off a file that its group may not execute, which FUSE has no word for.
 * The host does both when it is asked the same, but takes nothing off at the request of
 * who is not the owner; as in set_mode(), a writer is not refused.  It may also be that a
 * write comes next, which takes them off.
 */
static int
change_owner(int fd, struct vattr_set *vs, bool *acting)
{
	const uint32_t setid = S_ISUID | S_ISGID;
	struct hc_stat hs;
	int r = set_owner(fd, vs);

	if (r == 0 && (vs->vs_valid & VS_MODE)) {
		r = hc_stat(fd, &hs);
		if (r == 0)
			vs->vs_mode &= hs.hs_mode | ~setid;
	} else if (r == -EPERM && vs->vs_valid == 0 && hc_stat(fd, &hs) == 0 &&
		   (hs.hs_mode & setid)) {
		r = (hs.hs_mode & setid) == S_ISGID && !(hs.hs_mode & S_IXGRP)
		        ? set_mode(fd, hs.hs_mode & ~setid, acting)
		        : 0;
	}
	return r;
}

/* For a change whose caller may not keep set-id bits: 0 or -errno. */
static int
kill_setid(struct enode *n, int fd, const struct cred *cr)
{
	int r = S_ISREG(n->n_ifmt) ? strip_setid(fd, cr) : 0;

	(void)view_strip_setid(n);
	return r < 0 ? r : 0;
}

int
etfs_setattr(
    struct vnode *vp, struct file *f, const struct vattr_set *vs, const struct cred *cr)
{
	struct enode *n = node_of(vp);
	struct vattr_set left = *vs;
	AUTO_OWN own = watch_own(n);
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	bool kills = vs->vs_valid & VS_KILL_SETID;
	int r = key_alive(n);

	left.vs_valid &= ~(unsigned)VS_KILL_SETID;
	if (r == 0)
		r = node_pin(n, &pin);
	/* Before anything is in it that its owner has not put there. */
	if (r == 0 && kills && (left.vs_valid & VS_SIZE || left.vs_valid == 0))
		r = kill_setid(n, pin.p_fd, cr);
	if (kills && left.vs_valid == 0)
		return r;
	if (r == 0 && (left.vs_valid & VS_SIZE))
		r = set_size(n, pin.p_fd, f, left.vs_size, cr);
	if (r == 0 && (left.vs_valid & VS_SIZE))
		share_changed(n);
	if (r == 0 && left.vs_valid != VS_SIZE)
		r = act_as_owner(n, cr, &acting);
	if (r < 0)
		return r;
	if (node_is_root(n))
		set_view(n, &left);
	/* The owner first: the host takes setuid bits off then. */
	if ((left.vs_valid & (VS_UID | VS_GID)) || (vs->vs_valid == 0 && is_live(n)))
		r = change_owner(pin.p_fd, &left, &acting);
	if (r == 0 && (left.vs_valid & (VS_ATIME | VS_MTIME)))
		r = set_times(pin.p_fd, &left);
	if (r == 0 && (left.vs_valid & VS_MODE))
		r = set_mode(pin.p_fd, left.vs_mode, &acting);
	act_done(&acting);
	if (r == 0 && kills && !(vs->vs_valid & VS_SIZE))
		r = kill_setid(n, pin.p_fd, cr);
	return r;
}
