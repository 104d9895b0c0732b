/*
 * The manager (manager.h).
 */
#include "daemon/manager.h"

#include <errno.h>
#include <time.h>

#include "daemon/session.h"

/* What has been changed in an image is with its host after as long, at the latest. */
#define IMAGES_EVERY_S 5
/* Somebody whose host does not answer must not keep us. */
#define END_WITHIN_S 2

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
	return jb;
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

static void *
manage(void *arg)
{
	struct manager *mg = arg;
	struct session *s = mg->mg_session;

	pthread_setname_np(pthread_self(), "rumpfuse-manage");
	pthread_mutex_lock(&mg->mg_mtx);
	while (mg->mg_running) {
		struct job *jb = next_job(mg, images_writable(&s->s_space));
		bool running = mg->mg_running;

		pthread_mutex_unlock(&mg->mg_mtx);
		if (jb)
			jb->jb_run(s, jb);
		else if (running)
			images_sync(&s->s_space);
		pthread_mutex_lock(&mg->mg_mtx);
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

void
manager_post(struct manager *mg, struct job *jb)
{
	bool taken;

	jb->jb_next = NULL;
	pthread_mutex_lock(&mg->mg_mtx);
	taken = mg->mg_running;
	if (taken) {
		*mg->mg_tail = jb;
		mg->mg_tail = &jb->jb_next;
		pthread_cond_broadcast(&mg->mg_cond);
	}
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
