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

#include "daemon/log.h"

/* So long nobody has asked when the heap is trimmed. */
#define TRIM_WAIT_NS 200000000
#define NSEC         1000000000

/* How long a request waits for its notes at most. */
#define SETTLE_MS 100

enum what {
	NO_NAME,   /* it means something else */
	NO_EXPIRE, /* it may mean something else */
	NO_INODE,  /* attributes and pages */
	NO_ATTRS,
};

struct note {
	struct note *no_next;
	uint64_t no_id; /* the inode, or the directory of the name */
	uint8_t no_what;
	uint8_t no_len; /* of the name */
	char no_name[];
};

static void
put_note(struct notify *nt, struct note *no)
{
	bool taken;

	pthread_mutex_lock(&nt->nt_mtx);
	taken = nt->nt_running;
	if (taken) {
		/* The thread sleeps only when there is nothing. */
		if (!nt->nt_first)
			pthread_cond_signal(&nt->nt_cond);
		*nt->nt_tail = no;
		nt->nt_tail = &no->no_next;
		nt->nt_put++;
	}
	pthread_mutex_unlock(&nt->nt_mtx);
	if (!taken)
		free(no);
}

static void
note_new(struct notify *nt, const struct vnode *vp, enum what what, const struct name *n)
{
	size_t len = n ? n->n_len : 0;
	struct note *no = malloc(sizeof(*no) + len + 1);

	if (!no) {
		log_msg(LOG_WARNING,
		    "out of memory: the kernel may show an old name until "
		    "its time is up");
		return;
	}
	no->no_next = NULL;
	no->no_id = vfs_node_id(nt->nt_vfs, vp);
	no->no_what = (uint8_t)what;
	no->no_len = (uint8_t)len;
	if (n)
		memcpy(no->no_name, n->n_ptr, len);
	no->no_name[len] = '\0';
	put_note(nt, no);
}

static void
entry_changed(void *arg, struct vnode *dvp, const struct name *n)
{
	note_new(arg, dvp, NO_NAME, n);
	/* The directory's own times and link count, and its pages of a listing. */
	note_new(arg, dvp, NO_INODE, NULL);
}

static void
inode_changed(void *arg, struct vnode *vp)
{
	note_new(arg, vp, NO_INODE, NULL);
}

static void
name_expired(void *arg, struct vnode *dvp, const struct name *n)
{
	note_new(arg, dvp, NO_EXPIRE, n);
}

static void
attrs_changed(void *arg, struct vnode *vp)
{
	note_new(arg, vp, NO_ATTRS, NULL);
}

static void
settle(void *arg)
{
	struct notify *nt = arg;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += SETTLE_MS * 1000000;
	end.tv_sec += end.tv_nsec / NSEC;
	end.tv_nsec %= NSEC;
	pthread_mutex_lock(&nt->nt_mtx);
	uint64_t put = nt->nt_put;
	nt->nt_waiting++;
	while (nt->nt_running && nt->nt_sent < put)
		if (pthread_cond_timedwait(&nt->nt_done, &nt->nt_mtx, &end) != 0)
			break;
	nt->nt_waiting--;
	pthread_mutex_unlock(&nt->nt_mtx);
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
		fuse_lowlevel_notify_inval_entry(se, no->no_id, no->no_name, no->no_len);
		break;
	case NO_EXPIRE:
		expire(se, no);
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
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += TRIM_WAIT_NS;
	at.tv_sec += at.tv_nsec / NSEC;
	at.tv_nsec %= NSEC;
	pthread_mutex_lock(&nt->nt_mtx);
	nt->nt_trim_at = at;
	if (!nt->nt_trim) {
		nt->nt_trim = true;
		pthread_cond_signal(&nt->nt_cond);
	}
	pthread_mutex_unlock(&nt->nt_mtx);
}

/* Waits for a note or for the time to trim the heap, and does that; nt_mtx is held. */
static void
wait_for_work(struct notify *nt)
{
	if (!nt->nt_trim) {
		pthread_cond_wait(&nt->nt_cond, &nt->nt_mtx);
	} else {
		struct timespec at = nt->nt_trim_at;

		if (pthread_cond_timedwait(&nt->nt_cond, &nt->nt_mtx, &at) != ETIMEDOUT)
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
	struct notify *nt = arg;

	pthread_setname_np(pthread_self(), "rumpfuse-notify");
	pthread_mutex_lock(&nt->nt_mtx);
	for (;;) {
		struct note *no = nt->nt_first;

		if (!no && nt->nt_stop)
			break;
		if (!no) {
			wait_for_work(nt);
			continue;
		}
		nt->nt_first = no->no_next;
		if (!nt->nt_first)
			nt->nt_tail = &nt->nt_first;
		pthread_mutex_unlock(&nt->nt_mtx);
		send_note(nt->nt_se, no);
		free(no);
		pthread_mutex_lock(&nt->nt_mtx);
		nt->nt_sent++;
		if (nt->nt_waiting)
			pthread_cond_broadcast(&nt->nt_done);
	}
	pthread_mutex_unlock(&nt->nt_mtx);
	return NULL;
}

static const struct vfs_notify_ops notify_ops = {
    .entry = entry_changed,
    .inode = inode_changed,
    .expire = name_expired,
    .attrs = attrs_changed,
    .settle = settle,
};

void
notify_init(struct notify *nt, struct vfs *v)
{
	pthread_condattr_t attr;

	memset(nt, 0, sizeof(*nt));
	pthread_mutex_init(&nt->nt_mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&nt->nt_cond, &attr);
	pthread_cond_init(&nt->nt_done, &attr);
	pthread_condattr_destroy(&attr);
	nt->nt_tail = &nt->nt_first;
	nt->nt_vfs = v;
	v->vfs_notify = &notify_ops;
	v->vfs_notify_arg = nt;
}

int
notify_start(struct notify *nt, struct fuse_session *se)
{
	int r;

	nt->nt_se = se;
	r = pthread_create(&nt->nt_thread, NULL, notify_run, nt);
	if (r != 0)
		return -r;
	pthread_mutex_lock(&nt->nt_mtx);
	nt->nt_running = true;
	pthread_mutex_unlock(&nt->nt_mtx);
	return 0;
}

void
notify_stop(struct notify *nt)
{
	bool was;

	pthread_mutex_lock(&nt->nt_mtx);
	was = nt->nt_running;
	nt->nt_running = false;
	nt->nt_stop = true;
	pthread_cond_signal(&nt->nt_cond);
	pthread_cond_broadcast(&nt->nt_done);
	pthread_mutex_unlock(&nt->nt_mtx);
	if (was)
		pthread_join(nt->nt_thread, NULL);
}

void
notify_done(struct notify *nt)
{
	notify_stop(nt);
	pthread_cond_destroy(&nt->nt_cond);
	pthread_cond_destroy(&nt->nt_done);
	pthread_mutex_destroy(&nt->nt_mtx);
}
