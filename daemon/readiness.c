/*
 * Readiness (readiness.h).
 */
#include "daemon/readiness.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "daemon/asks.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"
#include "daemon/service.h"
#include "daemon/session.h"

#define ANSWER_WITHIN_S 30
#define END_WITHIN_S    2

/* A request that the kernel cannot answer by itself, and a name that it does not know as yet.
 * 0 or an errno. */
static void *
ask(void *arg)
{
	const struct session *s = arg;
	char path[4096];
	struct statvfs sv;
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/.rumpfuse", s->s_mountpoint);

	pthread_setname_np(pthread_self(), "rumpfuse-ask");
	mnttab_ask_alone();
	if (statvfs(s->s_mountpoint, &sv) < 0)
		return (void *)(intptr_t)errno;
	if (n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) == 0)
		return NULL;
	/* Whatever it says, it has answered; but not what the kernel says without it. */
	return (void *)(intptr_t)(mnttab_is_dead(errno) ? errno : 0);
}

/* 0 or an errno. */
static int
await_answer(struct session *s)
{
	struct timespec until;
	void *ret = NULL;
	pthread_t t;
	int r = pthread_create(&t, NULL, ask, s);

	if (r != 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ANSWER_WITHIN_S;
	r = pthread_timedjoin_np(t, &ret, &until);
	if (r == ETIMEDOUT) {
		log_msg(LOG_ERR,
		    "%s: the mount has not answered for %d s: a host path may hang",
		    s->s_mountpoint, ANSWER_WITHIN_S);
		service_status("%s does not answer", s->s_mountpoint);
		background_failed(&s->s_bg);
		r = pthread_join(t, &ret);
	}
	return r != 0 ? r : (int)(intptr_t)ret;
}

/* Keys whose host objects are not there. */
static size_t
count_missing(struct session *s)
{
	struct etfs_list l;
	size_t there = 0;

	if (!service_managed() || etfs_list(s->s_space.sp_etfs, &l) < 0)
		return 0;
	for (size_t i = 0; i < l.el_n; i++)
		there += l.el_all[i].ei_key && !l.el_all[i].ei_missing;
	etfs_list_done(&l);
	return there < s->s_nkeys ? s->s_nkeys - there : 0;
}

static void
tell_status(struct session *s)
{
	size_t missing = count_missing(s);
	char text[48] = "";

	if (missing > 0)
		snprintf(text, sizeof(text), ", %zu missing", missing);
	service_status("%s on %s: %zu key%s%s, %zu image%s", s->s_source, s->s_mountpoint,
	    s->s_nkeys, s->s_nkeys == 1 ? "" : "s", text, s->s_nimages,
	    s->s_nimages == 1 ? "" : "s");
}

static void *
run(void *arg)
{
	struct session *s = arg;
	int r;

	pthread_setname_np(pthread_self(), "rumpfuse-ready");
	/* A mount that was made by somebody else may be where we cannot see it. */
	r = s->s_given && s->s_dev == 0 ? 0 : await_answer(s);
	if (r != 0) {
		if (!atomic_load(&s->s_stopping) && !atomic_load(&s->s_ended))
			log_msg(LOG_ERR, "%s: the mount does not answer: %s",
			    s->s_mountpoint, strerror(r));
		background_failed(&s->s_bg);
		return NULL;
	}
	asks_answered(s);
	if (!background_ready(&s->s_bg)) {
		log_msg(LOG_WARNING, "%s: who started this is gone: it ends",
		    s->s_mountpoint);
		pthread_kill(s->s_signals, SIGTERM);
		return NULL;
	}
	log_unheard();
	tell_status(s);
	service_running();
	if (!s->s_forked)
		service_ready();
	log_msg(LOG_INFO, "%s mounted on %s", s->s_source, s->s_mountpoint);
	control_ready(s->s_control);
	return NULL;
}

void
readiness_start(struct session *s)
{
	struct readiness *rd = &s->s_readiness;
	int r = pthread_create(&rd->rd_thread, NULL, run, s);

	if (r != 0) {
		log_msg(LOG_ERR, "%s: %s", s->s_mountpoint, strerror(r));
		background_failed(&s->s_bg);
		return;
	}
	rd->rd_started = true;
}

bool
readiness_stop(struct session *s)
{
	struct timespec until;

	if (!s->s_readiness.rd_started)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_WITHIN_S;
	return pthread_timedjoin_np(s->s_readiness.rd_thread, NULL, &until) == 0;
}
