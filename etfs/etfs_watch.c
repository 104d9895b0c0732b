/*
 * watch = auto: changes on the host are told to the kernel as they happen.
 *
 * Each directory of a watched key in which something is looked up gets a watch (inotify)
 * before the host is asked, for as long as its node lives.  While it has one, what the
 * kernel is told of its names is good for WATCH_TTL_NS instead of the cache time, and so
 * are the attributes of files that are found in it.  One thread reads the events, a batch
 * at a time, and what they are about expires in the kernel: it asks again when it needs
 * it.
 *
 * What inotify does not tell stays as good as the cache time: a file with several names,
 * which can be changed through another; a directory without a watch of its own; a file
 * that was changed in the same clock tick in which it was looked at.  What it cannot tell
 * (a change through a mapping, in a file that was moved to where nothing is watched, or that
 * got another name there after it was looked at, a mount, a lost event) shows after
 * WATCH_TTL_NS at the latest.  Followed links lead to
 * where no watch is, so keys that follow have none.
 *
 * Our own changes cause events too, which would make the kernel ask for what it has just
 * been told.  A node knows the change time that the kernel was told last (n_told_ns): what
 * still has that is left alone, and so is what has changed through us since (AUTO_OWN).
 *
 * Where watches cannot be had (a network's file system, the limit of watches reached, a
 * directory that the daemon may not read) directories go without.
 *
 * Locking: the table is under wt_mtx (rank LEAF).  It holds no references: a node leaves it
 * when it is reclaimed.  The same directory in two keys has one watch and two nodes.  A
 * watch that the last of them takes with it while another is about to use it is noticed by
 * setting it once more after the node is in the table: the number differs then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "etfs/etfs_private.h"

#define WATCH_TTL_NS  10000000000ull
#define RETRY_NS      10000000000ull /* after a watch was not to be had */
#define BATCH_WAIT_NS 10000000       /* events that belong together come together */
#define BUSY_WAIT_NS  50000000       /* the same after a batch of BUSY changes */
#define BUSY          64u
#define BATCH_MAX     4096u /* changes */
#define BATCH_HASH    8192u /* a power of two */
#define READ_SIZE     (64u << 10)
#define NODES_MAX     16u /* of one directory; more keys than that map no directory */
#define TICK_NS       40000000ll

struct watch {
	struct watch *wa_next; /* in its chain */
	struct enode *wa_nodes;
	int wa_wd;
};

static uint64_t
time_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec;
}

/* Whether something may have changed since without this time having moved. */
static bool
is_fresh(const struct timespec *t)
{
	struct timespec now;

	vfs_now(&now);
	return (int64_t)(time_ns(&now) - time_ns(t)) < TICK_NS;
}

static bool
is_watched(struct enode *d)
{
	const struct watcher *wt = &key_of(d)->k_etfs->e_watcher;

	return atomic_load_explicit(&d->n_wd, memory_order_relaxed) != 0 &&
	       atomic_load_explicit(&wt->wt_on, memory_order_relaxed);
}

uint64_t
watch_name_ttl(struct vnode *dvp)
{
	uint64_t ttl = dvp->v_mount->mnt_ttl_ns;

	return is_watched(node_of(dvp)) && ttl < WATCH_TTL_NS ? WATCH_TTL_NS : ttl;
}

void
watch_told(struct enode *n, const struct hc_stat *hs)
{
	atomic_store_explicit(
	    &n->n_told_ns, time_ns(&hs->hs_ctime), memory_order_relaxed);
}

void
watch_changed(struct enode *n, int fd)
{
	struct hc_stat hs;

	if (hc_stat(fd, &hs) == 0)
		watch_told(n, &hs);
}

void
watch_moved(struct enode *d, int fd, const struct name *name)
{
	AUTO_NODE n = NULL;
	struct hc_stat hs;

	if (is_watched(d) && hc_stat_beneath(fd, name->n_ptr, &hs) == 0)
		n = node_find(key_of(d), &hs, 0);
	if (n)
		watch_own(n);
}

/* The table.  Numbers rise, so they are their own hash. */

static struct watch **
slot_of(struct watcher *wt, int wd)
{
	struct watch **p = &wt->wt_hash[(uint32_t)wd & (wt->wt_size - 1)];

	while (*p && (*p)->wa_wd != wd)
		p = &(*p)->wa_next;
	return p;
}

/* Whether the directory that a file was found in, now or before, has a watch. */
static bool
is_watched_above(struct enode *n, struct vnode *dvp)
{
	struct watcher *wt = &key_of(n)->k_etfs->e_watcher;
	int wd = dvp ? atomic_load(&node_of(dvp)->n_wd) : atomic_load(&n->n_found_wd);
	bool there;

	if (wd == 0 || !atomic_load(&wt->wt_on))
		return false;
	if (dvp)
		return true;
	lk_mutex(&wt->wt_mtx, LK_LEAF);
	there = *slot_of(wt, wd) != NULL;
	lk_mutex_unlock(&wt->wt_mtx, LK_LEAF);
	return there;
}

uint64_t
watch_attr_ttl(struct vnode *dvp, struct vnode *vp, const struct vattr *va)
{
	uint64_t ttl = vp->v_mount->mnt_ttl_ns;
	struct enode *n = node_of(vp);
	bool told;

	/* Directories have another use for it. */
	if (dvp && vp->v_type != VDIR)
		atomic_store(&n->n_found_wd, atomic_load(&node_of(dvp)->n_wd));
	if (share_is_written(n)) {
		/* The kernel keeps nothing, so it need not be told; and it must not be: what
		 * it is just asking for would be taken for older than the telling. */
		atomic_store(&n->n_told_ns, 0);
		return 0;
	}
	if (ttl >= WATCH_TTL_NS || is_fresh(&va->va_ctime))
		return ttl;
	if (vp->v_type == VDIR)
		told = is_watched(n);
	else
		told = va->va_nlink == 1 && is_watched_above(n, dvp);
	return told ? WATCH_TTL_NS : ttl;
}

static int
grow_locked(struct watcher *wt)
{
	uint32_t size = wt->wt_size ? wt->wt_size * 2 : 64, old = wt->wt_size;
	struct watch **was = wt->wt_hash, **h = calloc(size, sizeof(struct watch *));

	if (!h)
		return old ? 0 : -ENOMEM;
	wt->wt_hash = h;
	wt->wt_size = size;
	for (uint32_t i = 0; i < old; i++) {
		struct watch *wa, *next;

		for (wa = was[i]; wa; wa = next) {
			struct watch **p = &h[(uint32_t)wa->wa_wd & (size - 1)];

			next = wa->wa_next;
			wa->wa_next = *p;
			*p = wa;
		}
	}
	free(was);
	return 0;
}

/* Takes d out of the table.  The number of its watch if nobody else has it, else 0. */
static int
leave_locked(struct watcher *wt, struct enode *d)
{
	int wd = atomic_load(&d->n_wd);
	struct watch **slot, *wa;
	struct enode **p;

	if (wd == 0)
		return 0;
	atomic_store(&d->n_wd, 0);
	slot = slot_of(wt, wd);
	wa = *slot;
	for (p = &wa->wa_nodes; *p != d; p = &(*p)->n_wnext)
		continue;
	*p = d->n_wnext;
	d->n_wnext = NULL;
	if (wa->wa_nodes)
		return 0;
	*slot = wa->wa_next;
	free(wa);
	wt->wt_count--;
	return wd;
}

/* Puts d at watch wd.  The number of a watch that nobody has any more, 0, or -ENOMEM. */
static int
enter_locked(struct watcher *wt, struct enode *d, int wd)
{
	struct watch **slot, *wa;
	int left;

	if (atomic_load(&d->n_wd) == wd)
		return 0;
	left = leave_locked(wt, d);
	if (wt->wt_count >= wt->wt_size && grow_locked(wt) < 0)
		return -ENOMEM;
	slot = slot_of(wt, wd);
	wa = *slot;
	if (!wa) {
		wa = calloc(1, sizeof(*wa));
		if (!wa)
			return -ENOMEM;
		wa->wa_wd = wd;
		*slot = wa;
		wt->wt_count++;
	}
	d->n_wnext = wa->wa_nodes;
	wa->wa_nodes = d;
	atomic_store(&d->n_wd, wd);
	return left;
}

static void
leave(struct watcher *wt, struct enode *d)
{
	int wd;

	lk_mutex(&wt->wt_mtx, LK_LEAF);
	wd = leave_locked(wt, d);
	lk_mutex_unlock(&wt->wt_mtx, LK_LEAF);
	if (wd > 0)
		hc_watch_del(wt->wt_fd, wd);
}

/* Is d not to be watched, for whatever reason, or is it? */
static bool
has_no_need(struct watcher *wt, struct enode *d)
{
	uint64_t now;

	if (!key_of(d)->k_watch || is_watched(d) || !atomic_load(&wt->wt_on) ||
	    atomic_load(&d->n_fs->hf_silent))
		return true;
	now = etfs_clock_ns();
	return now < atomic_load(&wt->wt_retry_ns) ||
	       now / 1000000000u < (unsigned)atomic_load(&d->n_found_wd);
}

/* There is no watch for d: notes for how many it is useless to ask, and how long. */
static void
note_refusal(struct watcher *wt, struct enode *d, int err)
{
	uint64_t until = etfs_clock_ns() + RETRY_NS;

	switch (err) {
	case -EOPNOTSUPP:
		atomic_store(&d->n_fs->hf_silent, true);
		break;
	case -ENOSPC:
	case -ENOMEM:
	case -EMFILE:
		atomic_store(&wt->wt_retry_ns, until);
		break;
	default: /* that is d's own, as EACCES where the daemon may not read it */
		atomic_store(&d->n_found_wd, (int)(until / 1000000000u));
	}
}

void
watch_want(struct enode *d, int fd)
{
	struct watcher *wt = &key_of(d)->k_etfs->e_watcher;
	int wd, was = 0;

	if (has_no_need(wt, d))
		return;
	for (;;) {
		int left;

		wd = hc_watch_add(wt->wt_fd, fd);
		if (wd <= 0 || wd == was)
			break;
		lk_mutex(&wt->wt_mtx, LK_LEAF);
		left = enter_locked(wt, d, wd);
		lk_mutex_unlock(&wt->wt_mtx, LK_LEAF);
		if (left < 0)
			return;
		if (left > 0)
			hc_watch_del(wt->wt_fd, left);
		was = wd;
	}
	if (wd > 0)
		return;
	if (was)
		leave(wt, d);
	note_refusal(wt, d, wd);
}

void
watch_forget(struct enode *d)
{
	if (atomic_load(&d->n_wd))
		leave(&key_of(d)->k_etfs->e_watcher, d);
}

/* The thread. */

/* What a batch says of one name, or of a directory itself. */
struct change {
	struct change *ch_next; /* in its chain */
	int ch_wd;
	bool ch_name_changed, ch_came_new, ch_gone, ch_moved;
	char ch_name[];
};

struct batch {
	struct change *b_hash[BATCH_HASH];
	struct change *b_all[2 * BATCH_MAX]; /* each name may bring its directory */
	unsigned b_n;
	bool b_lost;
	_Alignas(8) char b_read[READ_SIZE];
};

static struct change *
change_of(struct batch *b, int wd, const char *name)
{
	uint32_t h = (uint32_t)wd * 0x9e3779b1u;
	struct change *ch, **slot;
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x01000193u;
	slot = &b->b_hash[(h ^ h >> 15) & (BATCH_HASH - 1)];
	for (ch = *slot; ch; ch = ch->ch_next)
		if (ch->ch_wd == wd && strcmp(ch->ch_name, name) == 0)
			return ch;
	ch = calloc(1, sizeof(*ch) + len + 1);
	if (!ch) {
		b->b_lost = true;
		return NULL;
	}
	ch->ch_wd = wd;
	ch->ch_came_new = true;
	memcpy(ch->ch_name, name, len);
	ch->ch_next = *slot;
	*slot = ch;
	b->b_all[b->b_n++] = ch;
	return ch;
}

static void
add_event(struct batch *b, const struct hc_event *ev)
{
	struct change *ch;

	if (ev->he_lost)
		b->b_lost = true;
	if (ev->he_wd <= 0)
		return;
	ch = change_of(b, ev->he_wd, ev->he_name);
	if (!ch)
		return;
	ch->ch_gone |= ev->he_gone;
	ch->ch_moved |= ev->he_moved;
	if (!ev->he_name_changed)
		return;
	ch->ch_name_changed = true;
	ch->ch_came_new &= ev->he_came_new;
	(void)change_of(b, ev->he_wd, "");
}

static void
collect(struct watcher *wt, struct batch *b, long wait_ns)
{
	struct timespec wait = {0, wait_ns};
	struct hc_event ev;
	ssize_t len = 1;

	clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
	/* An event is at least 16 bytes. */
	while (len > 0 && b->b_n / 2 + READ_SIZE / 16 <= BATCH_MAX) {
		size_t at = 0;

		len = hc_watch_read(wt->wt_fd, b->b_read, READ_SIZE);
		while (len > 0 && hc_watch_next(b->b_read, (size_t)len, &at, &ev)) {
			add_event(b, &ev);
			atomic_fetch_add(&wt->wt_events, 1);
		}
	}
}

static void
tell_attrs(struct enode *n, uint64_t now_ns)
{
	struct vfs *v = n->n_vn.v_mount->mnt_vfs;
	uint64_t told = atomic_load(&n->n_told_ns);

	if (told == 0 || told == now_ns ||
	    !atomic_compare_exchange_strong(&n->n_told_ns, &told, 0))
		return;
	if (v->vfs_notify)
		v->vfs_notify->attrs(v->vfs_notify_arg, &n->n_vn);
}

/* Something has happened to what is called so in d. */
static void
tell_name(struct enode *d, const struct change *ch)
{
	struct vfs *v = d->n_vn.v_mount->mnt_vfs;
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_NODE n = NULL;
	struct hc_stat hs;
	struct name name;
	bool known = false;

	if (name_init(&name, ch->ch_name) < 0)
		return;
	if (node_pin(d, &pin) == 0 && hc_stat_beneath(pin.p_fd, ch->ch_name, &hs) == 0)
		n = node_find(key_of(d), &hs, 0);
	if (n) {
		known = atomic_load(&n->n_told_ns) == time_ns(&hs.hs_ctime);
		tell_attrs(n, time_ns(&hs.hs_ctime));
	}
	/* A file that was made and is as the kernel knows it was made by the kernel. */
	if (ch->ch_name_changed && !(ch->ch_came_new && known) && v->vfs_notify)
		v->vfs_notify->expire(v->vfs_notify_arg, &d->n_vn, &name);
}

static void
tell_dir(struct enode *d, const struct change *ch)
{
	AUTO_PIN pin = {.p_fd = -1};
	struct hc_stat hs;

	if (ch->ch_moved || ch->ch_gone)
		listing_drop(d);
	if (ch->ch_moved)
		atomic_store(&d->n_inside_ns, 0);
	if (ch->ch_gone)
		leave(&key_of(d)->k_etfs->e_watcher, d);
	if (!ch->ch_gone && node_pin(d, &pin) == 0 && hc_stat(pin.p_fd, &hs) == 0)
		tell_attrs(d, time_ns(&hs.hs_ctime));
	else
		tell_attrs(d, 0);
}

static void
tell(struct etfs *e, const struct change *ch)
{
	struct watcher *wt = &e->e_watcher;
	struct enode *node[NODES_MAX];
	const struct watch *wa;
	unsigned n = 0;

	lk_mutex(&wt->wt_mtx, LK_LEAF);
	wa = wt->wt_size ? *slot_of(wt, ch->ch_wd) : NULL;
	for (struct enode *d = wa ? wa->wa_nodes : NULL; d && n < NODES_MAX;
	     d = d->n_wnext)
		if (vn_ref_live(&d->n_vn))
			node[n++] = d;
	lk_mutex_unlock(&wt->wt_mtx, LK_LEAF);
	while (n > 0) {
		struct enode *d = node[--n];

		if (ch->ch_name[0])
			tell_name(d, ch);
		else
			tell_dir(d, ch);
		vn_unref(&d->n_vn);
	}
}

/* Events were lost: all that the kernel was told of any file is to be asked for. */
static void
tell_all(struct etfs *e)
{
	for (unsigned i = 0; i < ETFS_NSHARDS; i++) {
		struct etfs_shard *sh = &e->e_shard[i];
		struct enode **all, *n;
		uint32_t k = 0;

		lk_mutex(&sh->sh_mtx, LK_LEAF);
		all = calloc(sh->sh_count + 1, sizeof(struct enode *));
		for (uint32_t j = 0; all && j < sh->sh_size; j++)
			for (n = sh->sh_hash[j]; n; n = n->n_chain)
				if (atomic_load(&n->n_told_ns) && vn_ref_live(&n->n_vn))
					all[k++] = n;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
		while (k > 0) {
			tell_attrs(all[--k], 0);
			vn_unref(&all[k]->n_vn);
		}
		free(all);
	}
}

static void *
watch_run(void *arg)
{
	struct etfs *e = arg;
	struct watcher *wt = &e->e_watcher;
	struct batch *b = calloc(1, sizeof(*b));
	long wait_ns = BATCH_WAIT_NS;

	while (b && hc_watch_wait(wt->wt_fd, wt->wt_stop_fd) > 0) {
		collect(wt, b, wait_ns);
		wait_ns = b->b_n > BUSY ? BUSY_WAIT_NS : BATCH_WAIT_NS;
		for (unsigned i = 0; i < b->b_n; i++)
			tell(e, b->b_all[i]);
		for (unsigned i = 0; i < b->b_n; i++)
			free(b->b_all[i]);
		if (b->b_lost)
			tell_all(e);
		memset(b->b_hash, 0, sizeof(b->b_hash));
		b->b_n = 0;
		b->b_lost = false;
	}
	/* Nobody reads on: nothing more is to rely on it. */
	atomic_store(&wt->wt_on, false);
	free(b);
	return NULL;
}

void
watch_init(struct etfs *e)
{
	pthread_mutex_init(&e->e_watcher.wt_mtx, NULL);
	e->e_watcher.wt_fd = e->e_watcher.wt_stop_fd = -1;
}

void
watch_start(struct etfs *e)
{
	struct watcher *wt = &e->e_watcher;
	int fd = hc_watch_new(), stop = fd < 0 ? fd : hc_watch_stop_new();

	if (stop >= 0) {
		wt->wt_fd = fd;
		wt->wt_stop_fd = stop;
		if (pthread_create(&wt->wt_thread, NULL, watch_run, e) == 0) {
			pthread_setname_np(wt->wt_thread, "rumpfuse-watch");
			wt->wt_started = true;
			atomic_store(&wt->wt_on, true);
			return;
		}
		wt->wt_fd = wt->wt_stop_fd = -1;
	}
	hc_close(fd);
	hc_close(stop);
}

void
watch_stop(struct etfs *e)
{
	struct watcher *wt = &e->e_watcher;

	if (!wt->wt_started)
		return;
	atomic_store(&wt->wt_on, false);
	hc_watch_stop(wt->wt_stop_fd);
	pthread_join(wt->wt_thread, NULL);
	wt->wt_started = false;
}

void
watch_done(struct etfs *e)
{
	struct watcher *wt = &e->e_watcher;

	hc_close(wt->wt_fd);
	hc_close(wt->wt_stop_fd);
	free(wt->wt_hash);
	pthread_mutex_destroy(&wt->wt_mtx);
}
