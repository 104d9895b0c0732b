/*
 * Requests that wait (control.h): told in the log, and listed by stats.
 *
 * Nobody looks while nothing is asked: a thread that begins a request when nobody does wakes
 * the control thread (fe_woken), which looks from time to time until it has seen nothing for
 * two rounds; the second because the thread may have begun just when it stopped.
 *
 * What the manager is at may wait just so, and with it the jobs behind: it is told and listed
 * as requests are, and those who wait for their jobs are told, too.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_private.h"
#include "daemon/fe_stats.h"
#include "daemon/log.h"
#include "daemon/session.h"

#define NS_PER_MS    UINT64_C(1000000)
#define ROUND_MIN_MS 20
#define ROUND_MAX_MS 1000
#define SAY_EVERY_NS (1000 * NS_PER_MS)

/* One that has been told of. */
struct slow {
	uint64_t sl_thread, sl_seq, sl_since_ns;
	char *sl_what;
};

static void
append(char *buf, size_t cap, const char *name)
{
	size_t n = strlen(buf);

	if (n == 1)
		n = 0; /* the root has its slash */
	snprintf(buf + n, cap - n, "/%s", name);
}

/* What the host calls a path of the namespace, by what is declared; "": nothing. */
static void
host_of(struct session *s, const char *path, char *host, size_t cap)
{
	struct catalog *cg = catalog_get(&s->s_catalog);
	const struct entry *en = cg ? catalog_above(cg, path) : NULL;
	const struct entry *dev =
	    en && en->en_device ? catalog_above(cg, en->en_device) : en;

	host[0] = '\0';
	if (dev && dev->en_host && dev == en && en->en_kind == ENTRY_KEY)
		snprintf(host, cap, "%s%s", en->en_host,
		    strcmp(en->en_path, "/") == 0 ? path : path + strlen(en->en_path));
	else if (dev && dev->en_host)
		snprintf(host, cap, "%s", dev->en_host);
	catalog_unref(cg);
}

static void
slow_where(
    struct session *s, const struct fe_running *fr, char *path, char *host, size_t cap)
{
	AUTO_VNODE vp = vfs_node_get(&s->s_space.sp_vfs, fr->fr_node);

	path[0] = host[0] = '\0';
	if (!vp)
		return;
	if (etfs_where(vp, path, host, cap)) {
		if (fr->fr_name[0]) {
			append(path, cap, fr->fr_name);
			append(host, cap, fr->fr_name);
		}
		return;
	}
	if (vfs_where(vp, path, cap) < 0)
		snprintf(path, cap, "/...");
	if (fr->fr_name[0])
		append(path, cap, fr->fr_name);
	host_of(s, path, host, cap);
}

static const char *
op_name(const struct fe_running *fr)
{
	return fr->fr_op < 0 ? "request" : fe_op_name((enum fe_op)fr->fr_op);
}

static size_t
slow_waiting(struct session *s, struct fe_running **ret)
{
	uint64_t limit = s->s_slow_ns, now = control_now_ns();

	*ret = NULL;
	return limit && limit < now ? fe_running_get(&s->s_fe, now - limit, ret, NULL)
	                            : 0;
}

/* The manager's, if it waits that long.  *ret_at: it is at something. */
static bool
work_waiting(struct session *s, uint64_t now, struct manager_work *ret, bool *ret_at)
{
	*ret_at = manager_work(&s->s_manager, ret);
	return *ret_at && ret->mw_since_ns < now &&
	       now - ret->mw_since_ns >= s->s_slow_ns;
}

static void
put_waiting(struct jw *w, const char *operation, const char *path, const char *host,
    uint64_t age_ns, pid_t pid)
{
	jw_open(w, NULL, '{');
	jw_text(w, "operation", operation);
	jw_text(w, "path", path[0] ? path : NULL);
	jw_text(w, "host", host[0] ? host : NULL);
	jw_number(w, "age_ms", age_ns / NS_PER_MS);
	if (pid)
		jw_number(w, "pid", (uint64_t)pid);
	else
		jw_null(w, "pid");
	jw_close(w, '}');
}

static void
put_work(struct jw *w, const struct manager_work *mw, uint64_t now)
{
	put_waiting(w, mw->mw_what, mw->mw_path, mw->mw_host, now - mw->mw_since_ns, 0);
}

void
control_waiting(struct session *s, struct jw *w)
{
	char path[PATH_MAX], host[PATH_MAX];
	struct fe_running *all;
	size_t n = slow_waiting(s, &all);
	uint64_t now = control_now_ns();
	struct manager_work mw;
	bool at, work = s->s_slow_ns && work_waiting(s, now, &mw, &at);

	jw_open(w, "waiting", '[');
	for (size_t i = 0; i < n; i++) {
		if (work && mw.mw_since_ns < all[i].fr_since_ns) {
			put_work(w, &mw, now);
			work = false;
		}
		slow_where(s, &all[i], path, host, sizeof(path));
		put_waiting(w, op_name(&all[i]), path, host, now - all[i].fr_since_ns,
		    all[i].fr_pid);
	}
	if (work)
		put_work(w, &mw, now);
	jw_close(w, ']');
	jw_number(w, "waiting_limit_ms", s->s_slow_ns / NS_PER_MS);
	free(all);
}

/* Telling. */

static bool
is_it(const struct slow *sl, const struct fe_running *fr)
{
	return sl->sl_thread == fr->fr_thread && sl->sl_seq == fr->fr_seq;
}

/* What waits, for people; for free(), or NULL. */
static char *
what_waits(const char *operation, const char *path, const char *host)
{
	char *what;

	return asprintf(&what, "%s of %s%s%s%s", operation, path[0] ? path : "something",
		   host[0] ? " (" : "", host, host[0] ? " on the host)" : "") < 0
	           ? NULL
	           : what;
}

static void
tell(struct control *ct, const struct fe_running *fr, uint64_t now)
{
	char path[PATH_MAX], host[PATH_MAX];
	struct slow *all = reallocarray(ct->ct_slow, ct->ct_nslow + 1, sizeof(*all));
	struct slow *sl = all ? &all[ct->ct_nslow] : NULL;

	if (!sl)
		return;
	ct->ct_slow = all;
	slow_where(ct->ct_session, fr, path, host, sizeof(path));
	*sl = (struct slow){fr->fr_thread, fr->fr_seq, fr->fr_since_ns,
	    what_waits(op_name(fr), path, host)};
	if (!sl->sl_what)
		return;
	ct->ct_nslow++;
	log_msg(LOG_WARNING, "%s has been waiting for %.1f s; process %d asked for it",
	    sl->sl_what, (double)(now - fr->fr_since_ns) / 1e9, (int)fr->fr_pid);
	(void)fe_running_watch(&ct->ct_session->s_fe, fr);
}

static void
say_back(const char *what, uint64_t ns)
{
	log_msg(LOG_NOTICE, "%s has come back after %.1f s", what, (double)ns / 1e9);
}

static void
tell_end(struct control *ct, size_t i, uint64_t now)
{
	struct slow *sl = &ct->ct_slow[i];

	say_back(sl->sl_what, now - sl->sl_since_ns);
	free(sl->sl_what);
	*sl = ct->ct_slow[--ct->ct_nslow];
}

static void
tell_work(struct control *ct, const struct manager_work *mw, uint64_t now)
{
	ct->ct_work_what = what_waits(mw->mw_what, mw->mw_path, mw->mw_host);
	if (!ct->ct_work_what)
		return;
	ct->ct_work_seq = mw->mw_seq;
	ct->ct_work_since_ns = mw->mw_since_ns;
	log_msg(LOG_WARNING, "%s has been waiting for %.1f s; other changes wait for it",
	    ct->ct_work_what, (double)(now - mw->mw_since_ns) / 1e9);
}

static void
tell_clients(struct control *ct, const struct manager_work *mw, uint64_t now)
{
	const char *host = mw->mw_host[0] ? mw->mw_host : mw->mw_path;
	g_autofree char *what = g_strdup_printf(
	    "waiting for %s (%s)", host[0] ? host : "the host", mw->mw_what);

	ct->ct_work_said_ns = now;
	control_tell_waiting(ct, what, (now - mw->mw_since_ns) / (1000 * NS_PER_MS));
}

/* The manager.  Whether it is at anything. */
static bool
look_at_work(struct control *ct, uint64_t now)
{
	struct manager_work mw;
	bool at, late = work_waiting(ct->ct_session, now, &mw, &at);

	if (ct->ct_work_seq && (!at || mw.mw_seq != ct->ct_work_seq)) {
		say_back(ct->ct_work_what, now - ct->ct_work_since_ns);
		free(ct->ct_work_what);
		ct->ct_work_what = NULL;
		ct->ct_work_seq = 0;
	}
	if (late && !ct->ct_work_seq)
		tell_work(ct, &mw, now);
	if (late && now - ct->ct_work_said_ns >= SAY_EVERY_NS)
		tell_clients(ct, &mw, now);
	return at;
}

/* One round.  Whether anything is running, or was begun since the last. */
static bool
look(struct control *ct, uint64_t now)
{
	uint64_t begun, limit = ct->ct_session->s_slow_ns;
	struct fe_running *all;
	size_t n = fe_running_get(&ct->ct_session->s_fe, now, &all, &begun);
	bool busy = n > 0 || begun != ct->ct_begun;

	busy |= look_at_work(ct, now);
	for (size_t k = ct->ct_nslow; k-- > 0;) {
		size_t i = 0;

		while (i < n && !is_it(&ct->ct_slow[k], &all[i]))
			i++;
		if (i == n)
			tell_end(ct, k, now);
	}
	for (size_t i = 0; i < n && now - all[i].fr_since_ns >= limit; i++) {
		size_t k = 0;

		while (k < ct->ct_nslow && !is_it(&ct->ct_slow[k], &all[i]))
			k++;
		if (k == ct->ct_nslow)
			tell(ct, &all[i], now);
	}
	ct->ct_begun = begun;
	free(all);
	return busy;
}

static int
round_ms(const struct control *ct)
{
	uint64_t ms = ct->ct_session->s_slow_ns / NS_PER_MS / 4;

	return ms < ROUND_MIN_MS   ? ROUND_MIN_MS
	       : ms > ROUND_MAX_MS ? ROUND_MAX_MS
	                           : (int)ms;
}

int
slow_rounds(struct control *ct)
{
	struct fe *fe = &ct->ct_session->s_fe;
	uint64_t now = control_now_ns(), every = (uint64_t)round_ms(ct) * NS_PER_MS;

	if (!ct->ct_session->s_slow_ns)
		return -1;
	if (!ct->ct_looking && !atomic_load(&fe->fe_looked_at))
		return -1;
	/* One that has been told of may have ended. */
	if (now - ct->ct_looked_ns < every && ct->ct_nslow == 0 && !ct->ct_work_seq)
		return (int)((every - (now - ct->ct_looked_ns)) / NS_PER_MS) + 1;
	ct->ct_looked_ns = now;
	if (look(ct, now)) {
		atomic_store(&fe->fe_looked_at, true);
		ct->ct_looking = true;
	} else {
		ct->ct_looking = atomic_exchange(&fe->fe_looked_at, false);
	}
	return ct->ct_looking ? round_ms(ct) : -1;
}

void
slow_done(struct control *ct)
{
	while (ct->ct_nslow > 0)
		free(ct->ct_slow[--ct->ct_nslow].sl_what);
	free(ct->ct_slow);
	ct->ct_slow = NULL;
	free(ct->ct_work_what);
	ct->ct_work_what = NULL;
}
