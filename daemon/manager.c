/*
 * The manager (manager.h).
 */
#include "daemon/manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/fe_stats.h"
#include "daemon/session.h"

/* What has been changed in an image is with its host after as long, at the latest. */
#define IMAGES_EVERY_S 5
/* Somebody whose host does not answer must not keep us. */
#define END_WITHIN_S 2

static _Thread_local struct manager *mine; /* in its thread */

void
manager_init(struct manager *mg)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&mg->mg_mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mg->mg_cond, &attr);
	pthread_condattr_destroy(&attr);
	mg->mg_first = NULL;
	mg->mg_tail = &mg->mg_first;
	mg->mg_n = 0;
	mg->mg_path = NULL;
	mg->mg_work.mw_seq = mg->mg_seq = 0;
	mg->mg_running = false;
	mg->mg_ended = true;
}

void
manager_done(struct manager *mg)
{
	pthread_cond_destroy(&mg->mg_cond);
	pthread_mutex_destroy(&mg->mg_mtx);
}

static struct timespec
in_seconds(unsigned s)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += s;
	return ts;
}

static struct job *
take_first(struct manager *mg)
{
	struct job *jb = mg->mg_first;

	if (!jb)
		return NULL;
	mg->mg_first = jb->jb_next;
	if (!mg->mg_first)
		mg->mg_tail = &mg->mg_first;
	mg->mg_n--;
	for (const struct job *j = jb->jb_same; j; j = j->jb_next)
		mg->mg_n--;
	return jb;
}

static void
put(char *to, size_t cap, const char *text)
{
	snprintf(to, cap, "%s", text ? text : "");
}

/* m */
static void
step(struct manager *mg, const char *path, const char *host)
{
	struct manager_work *mw = &mg->mg_work;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	mw->mw_seq = ++mg->mg_seq;
	mw->mw_since_ns =
	    (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
	put(mw->mw_path, sizeof(mw->mw_path), path ? path : mg->mg_path);
	put(mw->mw_host, sizeof(mw->mw_host), host);
}

void
manager_at(const char *path, const char *host)
{
	if (!mine)
		return;
	pthread_mutex_lock(&mine->mg_mtx);
	step(mine, path, host);
	pthread_mutex_unlock(&mine->mg_mtx);
}

bool
manager_work(struct manager *mg, struct manager_work *ret)
{
	pthread_mutex_lock(&mg->mg_mtx);
	*ret = mg->mg_work;
	pthread_mutex_unlock(&mg->mg_mtx);
	return ret->mw_seq != 0;
}

size_t
manager_queued(struct manager *mg)
{
	size_t n;

	pthread_mutex_lock(&mg->mg_mtx);
	n = mg->mg_n;
	pthread_mutex_unlock(&mg->mg_mtx);
	return n;
}

/* The next job; NULL: it is time to write images back, or to end. */
static struct job *
next_job(struct manager *mg, bool images)
{
	struct timespec until = in_seconds(IMAGES_EVERY_S);
	int r = 0;

	while (mg->mg_running && !mg->mg_first && r == 0)
		r = images ? pthread_cond_timedwait(&mg->mg_cond, &mg->mg_mtx, &until)
		           : pthread_cond_wait(&mg->mg_cond, &mg->mg_mtx);
	return mg->mg_running ? take_first(mg) : NULL;
}

/* One job, or NULL: images.  Called and left with the mutex. */
static void
work(struct manager *mg, struct job *jb)
{
	struct session *s = mg->mg_session;

	put(mg->mg_work.mw_what, sizeof(mg->mg_work.mw_what),
	    jb ? jb->jb_what : "writing images back");
	mg->mg_path = jb ? jb->jb_path : NULL;
	step(mg, NULL, NULL);
	pthread_mutex_unlock(&mg->mg_mtx);
	fe_stats_look(&s->s_fe);
	if (jb)
		jb->jb_run(s, jb);
	else
		images_sync(&s->s_space);
	pthread_mutex_lock(&mg->mg_mtx);
	mg->mg_work.mw_seq = 0;
	mg->mg_path = NULL;
}

static void *
manage(void *arg)
{
	struct manager *mg = arg;
	struct session *s = mg->mg_session;

	pthread_setname_np(pthread_self(), "rumpfuse-manage");
	mine = mg;
	pthread_mutex_lock(&mg->mg_mtx);
	while (mg->mg_running) {
		struct job *jb = next_job(mg, images_writable(&s->s_space));

		if (mg->mg_running)
			work(mg, jb);
	}
	mg->mg_ended = true;
	pthread_cond_broadcast(&mg->mg_cond);
	pthread_mutex_unlock(&mg->mg_mtx);
	return NULL;
}

int
manager_start(struct manager *mg, struct session *s)
{
	int r;

	mg->mg_session = s;
	mg->mg_running = true;
	mg->mg_ended = false;
	r = pthread_create(&mg->mg_thread, NULL, manage, mg);
	if (r != 0) {
		mg->mg_running = false;
		mg->mg_ended = true;
	}
	return -r;
}

/* The place at which it is queued, or of one that it may join. */
static struct job **
find(struct manager *mg, const struct job *jb)
{
	struct job **p = &mg->mg_first;

	while (*p && *p != jb &&
	       !(jb->jb_joins && (*p)->jb_joins && (*p)->jb_run == jb->jb_run &&
		   strcmp((*p)->jb_what, jb->jb_what) == 0))
		p = &(*p)->jb_next;
	return p;
}

/* m */
static void
queue(struct manager *mg, struct job *jb)
{
	struct job *same = *find(mg, jb);

	mg->mg_n++;
	if (same) {
		jb->jb_next = same->jb_same;
		same->jb_same = jb;
		return;
	}
	*mg->mg_tail = jb;
	mg->mg_tail = &jb->jb_next;
	pthread_cond_broadcast(&mg->mg_cond);
}

/* Takes the job at *p out; the first that has joined it has its place then.  m */
static void
unqueue(struct manager *mg, struct job **p)
{
	struct job *jb = *p, *same = jb->jb_same;

	if (same) {
		same->jb_same = same->jb_next;
		same->jb_next = jb->jb_next;
	}
	*p = same ? same : jb->jb_next;
	if (mg->mg_tail == &jb->jb_next)
		mg->mg_tail = same ? &same->jb_next : p;
}

bool
manager_withdraw(struct manager *mg, struct job *jb)
{
	struct job **p;
	bool queued;

	pthread_mutex_lock(&mg->mg_mtx);
	p = find(mg, jb);
	queued = *p == jb;
	if (queued) {
		unqueue(mg, p);
	} else if (*p) {
		for (p = &(*p)->jb_same; *p && *p != jb; p = &(*p)->jb_next)
			;
		queued = *p != NULL;
		if (queued)
			*p = jb->jb_next;
	}
	mg->mg_n -= queued;
	pthread_mutex_unlock(&mg->mg_mtx);
	return queued;
}

void
manager_post(struct manager *mg, struct job *jb)
{
	bool taken;

	jb->jb_next = jb->jb_same = NULL;
	pthread_mutex_lock(&mg->mg_mtx);
	taken = mg->mg_running;
	if (taken)
		queue(mg, jb);
	pthread_mutex_unlock(&mg->mg_mtx);
	if (!taken)
		jb->jb_run(NULL, jb);
}

bool
manager_stop(struct manager *mg)
{
	struct timespec until = in_seconds(END_WITHIN_S);
	bool started, ended;
	struct job *jb;
	int r = 0;

	pthread_mutex_lock(&mg->mg_mtx);
	started = mg->mg_running;
	mg->mg_running = false;
	pthread_cond_broadcast(&mg->mg_cond);
	while (!mg->mg_ended && r == 0)
		r = pthread_cond_timedwait(&mg->mg_cond, &mg->mg_mtx, &until);
	ended = mg->mg_ended;
	while ((jb = take_first(mg))) {
		pthread_mutex_unlock(&mg->mg_mtx);
		jb->jb_run(NULL, jb);
		pthread_mutex_lock(&mg->mg_mtx);
	}
	pthread_mutex_unlock(&mg->mg_mtx);
	if (started && ended)
		pthread_join(mg->mg_thread, NULL);
	return ended;
}
