/*
 * What the kernel may keep of the listing of a host directory.
 *
 * The kernel keeps what a listing was answered, and hands it out until it is told at an
 * opening to drop it.  It may be kept for as long as the host directory has certainly not
 * changed since it was listed.  What tells is the change time: it moves with each change of
 * an entry and cannot be set.  But two changes within one tick of the host's clock have the
 * same; so a time says something only when it was old already when it was looked at
 * (settled()).  Some file systems keep times to two seconds, and are known by their round
 * numbers.  Others, on a network or behind a daemon, tell what they believe, and what a link
 * leads to changes elsewhere: there nothing is kept.
 *
 * What is kept may come of several who list at once, so all of it has to be of one state of
 * the directory.  The time is looked at before each part that is read.  As long as it is the
 * one of the first part, what the kernel has is of that state (DL_KNOWN), or newer, which
 * shows at the next opening.  If it is another, the kernel may have a mixture (DL_MIXED).
 * Somebody who has read a part may have an answer on its way to the kernel when another tells
 * the kernel to drop all: so the next that is kept begins when nobody who has read is left.
 *
 * Kept listings come at a price.  A listing brings the attributes of all entries with it, and
 * when those have expired each is asked for by itself.  So a listing is dropped when it is as
 * old as what it brought.
 */
#include <errno.h>
#include <stdlib.h>

#include "etfs/etfs_private.h"

#define TICK_NS   40000000   /* longer than the longest tick that times are taken from */
#define COARSE_NS 1000000    /* a time that is a multiple of it was cut */
#define CUT_NS    3000000000 /* longer than the longest that times are cut to */

enum {
	DL_NOTHING, /* the kernel has nothing, or will drop it before it gets anything */
	DL_KNOWN,
	DL_MIXED,
};

struct dirlist {
	uint64_t dl_stamp_ns; /* s: DL_KNOWN: the change time of what the kernel has */
	uint64_t dl_began_ns; /* s: when that was listed, etfs_clock_ns() */
	uint32_t dl_reading;  /* s: who have read a part and are open */
	uint8_t dl_state;     /* s: DL_* */
};

static uint64_t
time_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

uint64_t
ctime_settled(const struct hc_stat *hs, const struct timespec *before)
{
	uint64_t at = time_ns(&hs->hs_ctime), age;

	if (time_ns(before) < at)
		return 0;
	age = time_ns(before) - at;
	return age < (at % COARSE_NS ? TICK_NS : CUT_NS) ? 0 : at;
}

/* The same of a directory. */
static uint64_t
settled(int fd)
{
	struct timespec now;
	struct hc_stat hs;

	vfs_now(&now);
	if (hc_stat(fd, &hs) < 0 || hs.hs_nlink == 0)
		return 0;
	return ctime_settled(&hs, &now);
}

/* The directory's, made if need be; NULL: out of memory. */
static struct dirlist *
need_list(struct etfs_shard *sh, struct enode *d)
{
	struct dirlist *dl, *made = NULL;

	lk_mutex(&sh->sh_mtx, LK_LEAF);
	dl = d->n_list;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (dl)
		return dl;
	made = calloc(1, sizeof(*made));
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (!d->n_list && made) {
		d->n_list = made;
		made = NULL;
	}
	dl = d->n_list;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	free(made);
	return dl;
}

static enum dirkeep
listing_locked(struct dirlist *dl, uint64_t stamp, uint64_t now, uint64_t ttl)
{
	if (dl->dl_state == DL_KNOWN && stamp && dl->dl_stamp_ns == stamp) {
		if (now - dl->dl_began_ns < ttl)
			return LISTING_KEPT;
		dl->dl_began_ns = now;
		return LISTING_NEW;
	}
	if (dl->dl_reading == 0)
		dl->dl_state = DL_NOTHING;
	else if (dl->dl_state != DL_NOTHING)
		dl->dl_state = DL_MIXED;
	return stamp && dl->dl_state == DL_NOTHING ? LISTING_NEW : LISTING_ASK;
}

enum dirkeep
etfs_listing(struct vnode *dvp, struct file *f)
{
	struct enode *d = node_of(dvp);
	struct etfs_shard *sh = node_shard(d);
	struct edir *ed = f->f_priv;
	uint64_t ttl, now, stamp;
	struct dirlist *dl;
	enum dirkeep how;

	if (dir_is_leaf(d))
		return LISTING_KEPT; /* the dots */
	ttl = watch_name_ttl(dvp);
	if (key_of(d)->k_symlinks == ETFS_SYMLINKS_FOLLOW || ttl == 0 ||
	    !atomic_load_explicit(&d->n_fs->hf_near, memory_order_relaxed))
		return LISTING_ASK;
	dl = need_list(sh, d);
	if (!dl)
		return LISTING_ASK;
	stamp = settled(f->f_fd);
	now = etfs_clock_ns();
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	how = listing_locked(dl, stamp, now, ttl);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	ed->ed_kept = how != LISTING_ASK;
	return how;
}

void
listing_drop(struct enode *d)
{
	struct vfs *v = d->n_vn.v_mount->mnt_vfs;

	if (v->vfs_notify && v->vfs_notify->listing)
		v->vfs_notify->listing(v->vfs_notify_arg, &d->n_vn);
}

void
listing_read(struct enode *d, struct edir *ed)
{
	struct etfs_shard *sh = node_shard(d);
	struct dirlist *dl;
	uint64_t stamp, now;
	bool mixed = false;

	if (!ed->ed_kept)
		return;
	stamp = settled(ed->ed_file.ef_fd);
	now = etfs_clock_ns();
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	dl = d->n_list;
	if (!ed->ed_read) {
		ed->ed_read = true;
		dl->dl_reading++;
	}
	if (dl->dl_state == DL_NOTHING && stamp) {
		dl->dl_state = DL_KNOWN;
		dl->dl_stamp_ns = stamp;
		dl->dl_began_ns = now;
	} else if (dl->dl_state != DL_MIXED && (!stamp || dl->dl_stamp_ns != stamp)) {
		dl->dl_state = DL_MIXED;
		mixed = true;
	}
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	/* Who has it open may read it again without opening it. */
	if (mixed)
		listing_drop(d);
}

void
listing_close(struct enode *d, struct edir *ed)
{
	struct etfs_shard *sh = node_shard(d);

	if (!ed->ed_read)
		return;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	d->n_list->dl_reading--;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
}
