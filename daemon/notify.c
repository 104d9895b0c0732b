/*
 * Telling the kernel (notify.h).
 */
#include "daemon/notify.h"

#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/fe_wire.h"
#include "daemon/log.h"

/* So long nobody has asked when the heap is trimmed. */
#define TRIM_WAIT_NS 200000000
#define NSEC         1000000000

/* How long a request waits for its notes at most. */
#define SETTLE_MS 100
/* Of those that take locks of pages, as others are left to serve who has them; and if it keeps
 * the last from that. */
#define PAGES_MS 1000
#define LAST_MS  10
/* How long the end waits for the threads, each time. */
#define STOP_MS 1000

/* So many notes wait in a queue that the host fills. */
#define WAITING_MAX (64 * 1024)
#define CHAINS      4096

enum what {
	NO_NAME,   /* it means something else */
	NO_UNUSED, /* a node, to be dropped unless it is used */
	NO_EXPIRE, /* it may mean something else */
	NO_INODE,  /* attributes and pages */
	NO_LIST,   /* the same of a directory of the host */
	NO_ATTRS,
	NO_PAGES, /* NO_INODE, for a request that waits for it */
};

struct note {
	struct note *no_next, *no_hnext;
	uint64_t no_id; /* the inode, or the directory of the name */
	uint32_t no_hash;
	uint8_t no_what;
	uint8_t no_len; /* of the name */
	char no_name[];
};

static struct timespec
from_now(uint64_t ns)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	ns += (uint64_t)at.tv_nsec;
	at.tv_sec += (time_t)(ns / NSEC);
	at.tv_nsec = (long)(ns % NSEC);
	return at;
}

static struct notes *
queue_of(struct notify *nt, enum what what)
{
	switch (what) {
	case NO_ATTRS:
		return &nt->nt_notes[NQ_ATTRS];
	case NO_PAGES:
		return &nt->nt_notes[NQ_PAGES];
	case NO_EXPIRE:
	case NO_LIST:
		return &nt->nt_notes[NQ_EXPIRE];
	default:
		return &nt->nt_notes[NQ_NAMES];
	}
}

static bool
is_waiting(const struct notes *ns, const struct note *no)
{
	for (const struct note *o = ns->ns_hash[no->no_hash % CHAINS]; o; o = o->no_hnext)
		if (o->no_hash == no->no_hash && o->no_id == no->no_id &&
		    o->no_what == no->no_what && o->no_len == no->no_len &&
		    memcmp(o->no_name, no->no_name, no->no_len) == 0)
			return true;
	return false;
}

static void
enqueue(struct notes *ns, struct note *no)
{
	struct note **chain = &ns->ns_hash[no->no_hash % CHAINS];

	/* The thread sleeps only when there is nothing. */
	if (!ns->ns_first)
		pthread_cond_signal(&ns->ns_cond);
	*ns->ns_tail = no;
	ns->ns_tail = &no->no_next;
	no->no_hnext = *chain;
	*chain = no;
	ns->ns_count++;
	ns->ns_put++;
}

/* The first of the queue, which is not empty. */
static struct note *
dequeue(struct notes *ns)
{
	struct note *no = ns->ns_first;
	struct note **at = &ns->ns_hash[no->no_hash % CHAINS];

	while (*at != no)
		at = &(*at)->no_hnext;
	*at = no->no_hnext;
	ns->ns_first = no->no_next;
	if (!ns->ns_first)
		ns->ns_tail = &ns->ns_first;
	ns->ns_count--;
	return no;
}

/* False: it will not be sent. */
static bool
put_note(struct notify *nt, struct note *no)
{
	struct notes *ns = queue_of(nt, no->no_what);
	bool taken, full, there, tell = false;

	pthread_mutex_lock(&nt->nt_mtx);
	there = nt->nt_running && is_waiting(ns, no);
	taken = nt->nt_running && !there;
	full = ns->ns_count >= WAITING_MAX && ns != &nt->nt_notes[NQ_NAMES];
	if (taken && full) {
		tell = !ns->ns_lost;
		ns->ns_lost = true;
		taken = false;
	}
	if (taken)
		enqueue(ns, no);
	pthread_mutex_unlock(&nt->nt_mtx);
	if (!taken)
		free(no);
	if (tell)
		log_msg(LOG_WARNING,
		    "too many changes on the host, or somebody holds a directory: some "
		    "are seen only when the time of what is cached is up");
	return taken || there;
}

static bool
note_id(struct notify *nt, uint64_t id, enum what what, const struct name *n)
{
	size_t len = n ? n->n_len : 0;
	struct note *no = malloc(sizeof(*no) + len + 1);

	if (!no) {
		log_msg(LOG_WARNING,
		    "out of memory: the kernel may show an old name until "
		    "its time is up");
		return false;
	}
	no->no_next = NULL;
	no->no_id = id;
	no->no_hash = (n ? n->n_hash : 0) ^ (uint32_t)no->no_id * 0x9e3779b1U;
	no->no_what = (uint8_t)what;
	no->no_len = (uint8_t)len;
	if (n)
		memcpy(no->no_name, n->n_ptr, len);
	no->no_name[len] = '\0';
	return put_note(nt, no);
}

static bool
note_new(struct notify *nt, const struct vnode *vp, enum what what, const struct name *n)
{
	return note_id(nt, vfs_node_id(nt->nt_vfs, vp), what, n);
}

static void
entry_changed(void *arg, struct vnode *dvp, const struct name *n)
{
	(void)note_new(arg, dvp, NO_NAME, n);
}

static void
inode_changed(void *arg, struct vnode *vp)
{
	(void)note_new(arg, vp, NO_INODE, NULL);
}

static void
name_expired(void *arg, struct vnode *dvp, const struct name *n)
{
	(void)note_new(arg, dvp, NO_EXPIRE, n);
}

static void
listing_changed(void *arg, struct vnode *dvp)
{
	(void)note_new(arg, dvp, NO_LIST, NULL);
}

static void
attrs_changed(void *arg, struct vnode *vp)
{
	(void)note_new(arg, vp, NO_ATTRS, NULL);
}

static bool
drop_unused(void *arg, uint64_t id)
{
	struct notify *nt = arg;

	if (nt->nt_drops)
		(void)note_id(nt, id, NO_UNUSED, NULL);
	return nt->nt_drops;
}

/* False: not all was sent in time. */
static bool
wait_sent_locked(struct notify *nt, enum note_queue q, unsigned ms)
{
	const struct notes *ns = &nt->nt_notes[q];
	struct timespec end = from_now(ms * UINT64_C(1000000));
	uint64_t put = ns->ns_put;

	nt->nt_waiting++;
	while (nt->nt_running && ns->ns_sent < put)
		if (pthread_cond_timedwait(&nt->nt_done, &nt->nt_mtx, &end) != 0)
			break;
	nt->nt_waiting--;
	return ns->ns_sent >= put;
}

static void
wait_sent(struct notify *nt, enum note_queue q)
{
	pthread_mutex_lock(&nt->nt_mtx);
	(void)wait_sent_locked(nt, q, SETTLE_MS);
	pthread_mutex_unlock(&nt->nt_mtx);
}

static bool
pages_changed(void *arg, struct vnode *vp)
{
	struct notify *nt = arg;
	bool last, gone;

	if (!note_new(nt, vp, NO_PAGES, NULL))
		return false;
	pthread_mutex_lock(&nt->nt_mtx);
	last = ++nt->nt_in_pages == nt->nt_serving;
	gone = wait_sent_locked(nt, NQ_PAGES, last ? LAST_MS : PAGES_MS);
	nt->nt_in_pages--;
	pthread_mutex_unlock(&nt->nt_mtx);
	return gone;
}

static void
settle(void *arg)
{
	wait_sent(arg, NQ_ATTRS);
}

static void
settle_names(void *arg)
{
	wait_sent(arg, NQ_NAMES);
}

/* Before Linux 6.2 a name cannot be made to expire; then it is dropped, and with it what
 * is mounted on it. */
static void
expire(struct fuse_session *se, const struct note *no)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
	int r = fuse_lowlevel_notify_expire_entry(se, no->no_id, no->no_name, no->no_len);
#else
	int r = fuse_lowlevel_notify_expire_entry(
	    se, no->no_id, no->no_name, no->no_len, FUSE_LL_EXPIRE_ONLY);
#endif
	if (r == -ENOSYS)
		fuse_lowlevel_notify_inval_entry(se, no->no_id, no->no_name, no->no_len);
}

static void
send_note(struct fuse_session *se, const struct note *no)
{
	switch (no->no_what) {
	case NO_NAME:
		/* It waits for who lists the directory just now, whatever becomes of the
		 * name; so what he was told before the change is kept by then, and the pages
		 * of the listing go, with the directory's own times and link count. */
		fuse_lowlevel_notify_inval_entry(se, no->no_id, no->no_name, no->no_len);
		fuse_lowlevel_notify_inval_inode(se, no->no_id, 0, 0);
		break;
	case NO_EXPIRE:
		expire(se, no);
		break;
	case NO_UNUSED:
		fe_wire_prune(se, no->no_id);
		break;
	default:
		fuse_lowlevel_notify_inval_inode(
		    se, no->no_id, no->no_what == NO_ATTRS ? -1 : 0, 0);
	}
}

void
notify_trim(void *arg)
{
	struct notify *nt = arg;
	struct timespec at = from_now(TRIM_WAIT_NS);

	pthread_mutex_lock(&nt->nt_mtx);
	nt->nt_trim_at = at;
	if (!nt->nt_trim) {
		nt->nt_trim = true;
		pthread_cond_signal(&nt->nt_notes[NQ_NAMES].ns_cond);
	}
	pthread_mutex_unlock(&nt->nt_mtx);
}

/* Waits for a note or for the time to trim the heap, and does that; nt_mtx is held. */
static void
wait_for_work(struct notify *nt, struct notes *ns)
{
	if (!nt->nt_trim || ns != &nt->nt_notes[NQ_NAMES]) {
		pthread_cond_wait(&ns->ns_cond, &nt->nt_mtx);
	} else {
		struct timespec at = nt->nt_trim_at;

		if (pthread_cond_timedwait(&ns->ns_cond, &nt->nt_mtx, &at) != ETIMEDOUT)
			return;
		if (at.tv_sec != nt->nt_trim_at.tv_sec ||
		    at.tv_nsec != nt->nt_trim_at.tv_nsec)
			return; /* it was put off meanwhile */
		nt->nt_trim = false;
		pthread_mutex_unlock(&nt->nt_mtx);
		malloc_trim(0);
		pthread_mutex_lock(&nt->nt_mtx);
	}
}

static void *
notify_run(void *arg)
{
	struct notes *ns = arg;
	struct notify *nt = ns->ns_nt;

	pthread_setname_np(pthread_self(), ns->ns_comm);
	pthread_mutex_lock(&nt->nt_mtx);
	while (!nt->nt_stop || (ns->ns_first && !nt->nt_drop)) {
		struct note *no;

		if (!ns->ns_first) {
			wait_for_work(nt, ns);
			continue;
		}
		no = dequeue(ns);
		pthread_mutex_unlock(&nt->nt_mtx);
		send_note(nt->nt_se, no);
		free(no);
		pthread_mutex_lock(&nt->nt_mtx);
		ns->ns_sent++;
		if (nt->nt_waiting)
			pthread_cond_broadcast(&nt->nt_done);
	}
	ns->ns_ended = true;
	pthread_cond_broadcast(&nt->nt_done);
	pthread_mutex_unlock(&nt->nt_mtx);
	return NULL;
}

static const struct vfs_notify_ops notify_ops = {
    .entry = entry_changed,
    .inode = inode_changed,
    .expire = name_expired,
    .listing = listing_changed,
    .attrs = attrs_changed,
    .pages = pages_changed,
    .settle = settle,
    .settle_names = settle_names,
    .drop_unused = drop_unused,
};

void
notify_init(struct notify *nt, struct vfs *v)
{
	static const char *const comm[NQ_COUNT] = {
	    [NQ_NAMES] = "rumpfuse-notify",
	    [NQ_EXPIRE] = "rumpfuse-expire",
	    [NQ_ATTRS] = "rumpfuse-attrs",
	    [NQ_PAGES] = "rumpfuse-pages",
	};
	pthread_condattr_t attr;

	memset(nt, 0, sizeof(*nt));
	pthread_mutex_init(&nt->nt_mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	for (int q = 0; q < NQ_COUNT; q++) {
		struct notes *ns = &nt->nt_notes[q];

		ns->ns_nt = nt;
		ns->ns_comm = comm[q];
		ns->ns_tail = &ns->ns_first;
		pthread_cond_init(&ns->ns_cond, &attr);
	}
	pthread_cond_init(&nt->nt_done, &attr);
	pthread_condattr_destroy(&attr);
	nt->nt_vfs = v;
	v->vfs_notify = &notify_ops;
	v->vfs_notify_arg = nt;
}

int
notify_start(struct notify *nt, struct fuse_session *se)
{
	nt->nt_se = se;
	for (int q = 0; q < NQ_COUNT; q++) {
		struct notes *ns = &nt->nt_notes[q];
		int r;

		ns->ns_hash = calloc(CHAINS, sizeof(struct note *));
		if (!ns->ns_hash)
			return -ENOMEM;
		r = pthread_create(&ns->ns_thread, NULL, notify_run, ns);
		if (r != 0)
			return -r;
		ns->ns_started = true;
	}
	pthread_mutex_lock(&nt->nt_mtx);
	nt->nt_running = true;
	pthread_mutex_unlock(&nt->nt_mtx);
	return 0;
}

static bool
all_ended(const struct notify *nt)
{
	for (int q = 0; q < NQ_COUNT; q++)
		if (nt->nt_notes[q].ns_started && !nt->nt_notes[q].ns_ended)
			return false;
	return true;
}

static bool
wait_ended(struct notify *nt, bool drop)
{
	struct timespec end = from_now(STOP_MS * UINT64_C(1000000));
	bool ended;

	pthread_mutex_lock(&nt->nt_mtx);
	nt->nt_running = false;
	nt->nt_stop = true;
	nt->nt_drop |= drop;
	for (int q = 0; q < NQ_COUNT; q++)
		pthread_cond_signal(&nt->nt_notes[q].ns_cond);
	pthread_cond_broadcast(&nt->nt_done);
	while (!(ended = all_ended(nt)))
		if (pthread_cond_timedwait(&nt->nt_done, &nt->nt_mtx, &end) != 0)
			break;
	pthread_mutex_unlock(&nt->nt_mtx);
	return ended;
}

/* Joins the threads that have ended.  False: not all have. */
static bool
join_ended(struct notify *nt)
{
	bool all = true, ended;

	for (int q = 0; q < NQ_COUNT; q++) {
		struct notes *ns = &nt->nt_notes[q];

		pthread_mutex_lock(&nt->nt_mtx);
		ended = ns->ns_ended;
		pthread_mutex_unlock(&nt->nt_mtx);
		if (!ns->ns_started)
			continue;
		if (ended)
			pthread_join(ns->ns_thread, NULL);
		ns->ns_started = !ended;
		all &= ended;
	}
	return all;
}

/* Those that have ended are joined here: what they wrote to is closed next. */
void
notify_stop(struct notify *nt)
{
	(void)wait_ended(nt, false);
	if (!join_ended(nt))
		log_msg(LOG_NOTICE,
		    "not all changes have been told: somebody holds a directory");
}

bool
notify_end(struct notify *nt)
{
	bool all;

	(void)wait_ended(nt, true);
	all = join_ended(nt);
	for (int q = 0; q < NQ_COUNT; q++) {
		if (nt->nt_notes[q].ns_started)
			pthread_detach(nt->nt_notes[q].ns_thread);
		nt->nt_notes[q].ns_started = false;
	}
	return all;
}

void
notify_done(struct notify *nt)
{
	for (int q = 0; q < NQ_COUNT; q++) {
		struct notes *ns = &nt->nt_notes[q];

		while (ns->ns_first)
			free(dequeue(ns));
		free(ns->ns_hash);
		pthread_cond_destroy(&ns->ns_cond);
	}
	pthread_cond_destroy(&nt->nt_done);
	pthread_mutex_destroy(&nt->nt_mtx);
}
