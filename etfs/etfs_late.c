/*
 * Keys whose host object is missing (es_missing_hide): noticed when it comes.
 *
 * A name that is looked up or listed is tried then (etfs_table.c).  This is for the kernel,
 * which may have cached that there is no such name, and for who waits: one thread has a watch
 * (inotify) on the nearest directory above the host object that is there, and is told of
 * changes of the mount table, because a file system that is mounted over a directory is no
 * change in it.  Where neither tells (file systems of networks, what a symbolic link points
 * to) it looks every POLL_MS.  An object that is there but refused, as a file that is still
 * being written, is tried again when its name or contents change.
 *
 * Before there is a thread, etfs_wait() does the same for a while in the caller's.
 *
 * A host that does not answer can hold the thread for good.  So it works on texts of its own,
 * and asks for the host object without a lock before it has the key tried; at the end nobody
 * waits for it for long, and the table stays with whoever is last.
 *
 * Locking: lt_mtx (rank LEAF) guards the list; entries are freed by the thread alone, or when
 * there is none.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "etfs/etfs_private.h"

#define POLL_MS      1000
#define TOGETHER_NS  20000000 /* events that belong together come together */
#define READ_SIZE    (16u << 10)
#define END_WITHIN_S 1
#define TRIES        16 /* where directories come and go meanwhile */

struct late {
	struct late *la_next;       /* l */
	char *la_key;               /* c */
	char *la_host;              /* c: absolute */
	int la_wd;                  /* t: the watch that tells of la_name, or 0 */
	char la_name[NAME_MAX + 1]; /* t: what is missing there */
	bool la_gone;               /* l: the key has been removed */
	bool la_due;                /* l: it is to be tried */
	bool la_poll;               /* t: nobody tells */
	bool la_told;               /* t: why it is refused has been told */
};

struct lates {
	_Atomic int lt_ref; /* a: the etfs's and the thread's */
	pthread_mutex_t lt_mtx;
	struct late *lt_first;               /* l */
	struct etfs *lt_etfs;                /* l: NULL: the end */
	bool lt_busy;                        /* l: the thread is using that */
	int lt_fd, lt_mounts_fd, lt_wake_fd; /* c once there: what tells; or -1 */
	pthread_t lt_thread;                 /* e_key_mtx, as the next */
	bool lt_started;
};

static void
late_free(struct late *la)
{
	free(la->la_key);
	free(la->la_host);
	free(la);
}

static void
lates_unref(struct lates *lt)
{
	struct late *la;

	if (atomic_fetch_sub(&lt->lt_ref, 1) != 1)
		return;
	while ((la = lt->lt_first)) {
		lt->lt_first = la->la_next;
		late_free(la);
	}
	hc_close(lt->lt_fd);
	hc_close(lt->lt_mounts_fd);
	hc_close(lt->lt_wake_fd);
	pthread_mutex_destroy(&lt->lt_mtx);
	free(lt);
}

/* With what there is to be told by; what cannot be had is made up for by asking. */
static struct lates *
lates_new(struct etfs *e)
{
	struct lates *lt = calloc(1, sizeof(*lt));

	if (!lt)
		return NULL;
	atomic_init(&lt->lt_ref, 1);
	pthread_mutex_init(&lt->lt_mtx, NULL);
	lt->lt_etfs = e;
	lt->lt_fd = hc_watch_new();
	lt->lt_mounts_fd = hc_mounts_new();
	lt->lt_wake_fd = hc_watch_stop_new();
	return lt;
}

static void
wake(struct lates *lt)
{
	if (lt->lt_wake_fd >= 0)
		hc_watch_stop(lt->lt_wake_fd);
}

void
late_add(struct etfs *e, const char *key, const char *host)
{
	struct lates *lt = e->e_lates ? e->e_lates : lates_new(e);
	struct late *la = calloc(1, sizeof(*la));

	e->e_lates = lt;
	if (la) {
		la->la_key = strdup(key);
		la->la_host = strdup(host);
	}
	/* Without memory the name is tried when it is looked up. */
	if (!lt || !la || !la->la_key || !la->la_host) {
		if (la)
			late_free(la);
		return;
	}
	la->la_due = true;
	lk_mutex(&lt->lt_mtx, LK_LEAF);
	la->la_next = lt->lt_first;
	lt->lt_first = la;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	if (e->e_mounted && !lt->lt_started)
		late_start(e);
	else
		wake(lt);
}

void
late_del(struct etfs *e, const char *key)
{
	struct lates *lt = e->e_lates;
	bool any = false;

	if (!lt)
		return;
	lk_mutex(&lt->lt_mtx, LK_LEAF);
	for (struct late *la = lt->lt_first; la; la = la->la_next) {
		if (strcmp(la->la_key, key) == 0)
			la->la_gone = any = true;
	}
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	if (any)
		wake(lt);
}

/* The end of the directory part of an absolute path. */
static void
cut_last(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/* Has the first name below dir on the way to host been there all the time, as a symbolic link
 * that leads nowhere?  Or has it come by now? */
static int
look_again(struct late *la, int dirfd)
{
	struct hc_stat hs;

	if (hc_stat_beneath(dirfd, la->la_name, &hs) < 0)
		return 0;
	if (S_ISLNK(hs.hs_mode)) {
		la->la_poll = true;
		return 0;
	}
	return 1;
}

/* Has the nearest directory above the host object watched that is there.  there: the object
 * itself is, so that it is about its name.  1: something has come meanwhile, look again. */
static int
watch_above(struct lates *lt, struct late *la, bool there)
{
	char path[PATH_MAX];
	size_t len;
	AUTO_FD fd = -1;
	int wd = -EOPNOTSUPP;

	if (strlen(la->la_host) >= sizeof(path))
		return 0;
	strcpy(path, la->la_host);
	do {
		cut_last(path);
		fd = hc_open_root(path, O_PATH | O_DIRECTORY);
	} while (fd < 0 && strcmp(path, "/") != 0);
	len = strlen(path);
	while (la->la_host[len] == '/')
		len++;
	snprintf(la->la_name, sizeof(la->la_name), "%.*s",
	    (int)strcspn(la->la_host + len, "/"), la->la_host + len);
	if (fd >= 0 && lt->lt_fd >= 0)
		wd = hc_watch_add(lt->lt_fd, fd);
	la->la_wd = wd > 0 ? wd : 0;
	la->la_poll = wd <= 0 || strcmp(la->la_name, "..") == 0;
	if (fd < 0 || la->la_name[0] == '\0')
		return 0;
	return look_again(la, fd) && !there;
}

/* The etfs, whose end waits for lates_leave(); NULL: it has come to its end. */
static struct etfs *
lates_enter(struct lates *lt)
{
	struct etfs *e;

	lk_mutex(&lt->lt_mtx, LK_LEAF);
	e = lt->lt_etfs;
	lt->lt_busy = e != NULL;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	return e;
}

static void
lates_leave(struct lates *lt)
{
	lk_mutex(&lt->lt_mtx, LK_LEAF);
	lt->lt_busy = false;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
}

/* The host object is there: has the key tried, and tells of it.  True: it waits no more. */
static bool
come(struct lates *lt, struct late *la)
{
	struct etfs *e = lates_enter(lt);
	struct etfs_why why = {{0}};
	bool tell, done;
	int r;

	if (!e)
		return true;
	r = key_come(e, la->la_key, &why);
	done = r == 0 || r == -EALREADY || r == -ESRCH;
	tell = r == 0 || (!done && !la->la_told);
	la->la_told = !done;
	if (tell && e->e_opts.eo_late)
		e->e_opts.eo_late(e->e_opts.eo_late_arg, la->la_key, la->la_host,
		    r < 0 ? why.ew_text : NULL);
	lates_leave(lt);
	return done;
}

/* True: it waits no more. */
static bool
try_late(struct lates *lt, struct late *la)
{
	bool there;
	int tries = 0;

	do {
		AUTO_FD fd = hc_open_root(la->la_host, O_PATH);

		there = fd >= 0;
		la->la_told &= there;
		if (there && come(lt, la))
			return true;
	} while (watch_above(lt, la, there) == 1 && ++tries < TRIES);
	return false;
}

/* One that is to be tried, or has gone and is the caller's to free. */
static struct late *
next_due(struct lates *lt, bool *ret_live, bool *ret_gone)
{
	struct late *la, **p;

	lk_mutex(&lt->lt_mtx, LK_LEAF);
	for (p = &lt->lt_first; (la = *p) && !la->la_due && !la->la_gone;)
		p = &la->la_next;
	*ret_live = lt->lt_etfs != NULL;
	*ret_gone = la && la->la_gone;
	if (la)
		la->la_due = false;
	if (*ret_gone && *ret_live)
		*p = la->la_next;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	return la;
}

/* Nobody else waits at its watch. */
static void
unwatch(struct lates *lt, const struct late *gone)
{
	const struct late *la;

	lk_mutex(&lt->lt_mtx, LK_LEAF);
	for (la = lt->lt_first; la && (la == gone || la->la_wd != gone->la_wd);)
		la = la->la_next;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	if (!la && gone->la_wd)
		hc_watch_del(lt->lt_fd, gone->la_wd);
}

/* Tries all that are due.  False: the end has come. */
static bool
try_due(struct lates *lt)
{
	struct late *la;
	bool live, gone;

	while ((la = next_due(lt, &live, &gone)) && live) {
		struct late was = {.la_wd = la->la_wd};

		if (gone) {
			unwatch(lt, la);
			late_free(la);
		} else if (try_late(lt, la)) {
			lk_mutex(&lt->lt_mtx, LK_LEAF);
			la->la_gone = true;
			lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
		} else if (was.la_wd != la->la_wd) {
			unwatch(lt, &was);
		}
	}
	return live;
}

/* Marks what an event is about; wd 0: all. */
static void
mark(struct lates *lt, int wd, const char *name)
{
	lk_mutex(&lt->lt_mtx, LK_LEAF);
	for (struct late *la = lt->lt_first; la; la = la->la_next)
		if (wd == 0 ||
		    (la->la_wd == wd && (!*name || strcmp(name, la->la_name) == 0)))
			la->la_due = true;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
}

static void
read_events(struct lates *lt)
{
	_Alignas(8) char buf[READ_SIZE];
	struct hc_event ev;
	ssize_t len;

	while ((len = hc_watch_read(lt->lt_fd, buf, sizeof(buf))) > 0)
		for (size_t at = 0; hc_watch_next(buf, (size_t)len, &at, &ev);)
			mark(lt, ev.he_lost ? 0 : ev.he_wd, ev.he_name);
}

/* Is there one that has to be asked for?  Marks those with ask. */
static bool
polling(struct lates *lt, bool ask)
{
	bool any = lt->lt_mounts_fd < 0;

	lk_mutex(&lt->lt_mtx, LK_LEAF);
	for (struct late *la = lt->lt_first; la; la = la->la_next) {
		any |= la->la_poll;
		la->la_due |= ask && (la->la_poll || lt->lt_mounts_fd < 0);
	}
	any &= lt->lt_first != NULL;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	return any;
}

/* Waits for something to happen, for at most ms (-1: for ever), and tries what it is about.
 * False: the end has come. */
static bool
late_round(struct lates *lt, int ms)
{
	const struct timespec together = {0, TOGETHER_NS};
	bool poll = polling(lt, false);
	int r;

	if (poll && (ms < 0 || ms > POLL_MS))
		ms = POLL_MS;
	r = hc_late_wait(lt->lt_fd, lt->lt_mounts_fd, lt->lt_wake_fd, ms);
	if (r > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &together, NULL);
	if (r > 0 && r & HC_LATE_MOUNTS)
		mark(lt, 0, "");
	if (r > 0 && r & HC_LATE_EVENTS)
		read_events(lt);
	if (r == 0 && poll)
		(void)polling(lt, true);
	return try_due(lt);
}

static void *
late_run(void *arg)
{
	struct lates *lt = arg;

	if (try_due(lt))
		while (late_round(lt, -1))
			continue;
	lates_unref(lt);
	return NULL;
}

void
late_start(struct etfs *e)
{
	struct lates *lt = e->e_lates;

	if (!lt || lt->lt_started || lt->lt_wake_fd < 0)
		return;
	atomic_fetch_add(&lt->lt_ref, 1);
	if (pthread_create(&lt->lt_thread, NULL, late_run, lt) == 0) {
		pthread_setname_np(lt->lt_thread, "rumpfuse-late");
		lt->lt_started = true;
	} else {
		atomic_fetch_sub(&lt->lt_ref, 1);
	}
}

/* Tries those that are due, and with ms waits for any of them before. */
static bool
late_wait(struct etfs *e, unsigned ms)
{
	struct lates *lt = e->e_lates;

	return lt && (ms ? late_round(lt, (int)ms) : try_due(lt));
}

int
etfs_wait(struct etfs *e, const char *key, unsigned ms)
{
	struct etfs_info i;
	int r = etfs_find(e, key, &i);

	/* It may have come since it was looked for. */
	if (r == 0 && i.ei_missing && late_wait(e, 0))
		r = etfs_find(e, key, &i);
	if (r == 0 && i.ei_missing && late_wait(e, ms))
		r = etfs_find(e, key, &i);
	return r < 0 || i.ei_missing ? -ENOENT : 0;
}

void
late_stop(struct etfs *e)
{
	struct lates *lt = e->e_lates;
	struct timespec until;
	bool busy;

	if (!lt)
		return;
	e->e_lates = NULL;
	lk_mutex(&lt->lt_mtx, LK_LEAF);
	lt->lt_etfs = NULL;
	lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
	wake(lt);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_WITHIN_S;
	if (lt->lt_started && pthread_timedjoin_np(lt->lt_thread, NULL, &until) != 0) {
		lk_mutex(&lt->lt_mtx, LK_LEAF);
		busy = lt->lt_busy;
		lk_mutex_unlock(&lt->lt_mtx, LK_LEAF);
		if (busy)
			pthread_join(lt->lt_thread, NULL);
		else
			pthread_detach(lt->lt_thread);
	}
	lates_unref(lt);
}
