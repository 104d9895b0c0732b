/*
 * Requests that wait (control.h): told in the log, and listed by stats.
 *
 * Nobody looks while nothing is asked: a thread that begins a request when nobody does wakes
 * the control thread (fe_woken), which looks from time to time until it has seen nothing for
 * two rounds; the second because the thread may have begun just when it stopped.
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

void
control_waiting(struct session *s, struct jw *w)
{
	char path[PATH_MAX], host[PATH_MAX];
	struct fe_running *all;
	size_t n = slow_waiting(s, &all);
	uint64_t now = control_now_ns();

	jw_open(w, "waiting", '[');
	for (size_t i = 0; i < n; i++) {
		slow_where(s, &all[i], path, host, sizeof(path));
		jw_open(w, NULL, '{');
		jw_text(w, "operation", op_name(&all[i]));
		jw_text(w, "path", path[0] ? path : NULL);
		jw_text(w, "host", host[0] ? host : NULL);
		jw_number(w, "age_ms", (now - all[i].fr_since_ns) / NS_PER_MS);
		jw_number(w, "pid", (uint64_t)all[i].fr_pid);
		jw_close(w, '}');
	}
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
	*sl = (struct slow){fr->fr_thread, fr->fr_seq, fr->fr_since_ns, NULL};
	if (asprintf(&sl->sl_what, "%s of %s%s%s%s", op_name(fr),
		path[0] ? path : "something", host[0] ? " (" : "", host,
		host[0] ? " on the host)" : "") < 0) {
		sl->sl_what = NULL;
		return;
	}
	ct->ct_nslow++;
	log_msg(LOG_WARNING, "%s has been waiting for %.1f s; process %d asked for it",
	    sl->sl_what, (double)(now - fr->fr_since_ns) / 1e9, (int)fr->fr_pid);
	(void)fe_running_watch(&ct->ct_session->s_fe, fr);
}

static void
tell_end(struct control *ct, size_t i, uint64_t now)
{
	struct slow *sl = &ct->ct_slow[i];

	log_msg(LOG_NOTICE, "%s has come back after %.1f s", sl->sl_what,
	    (double)(now - sl->sl_since_ns) / 1e9);
	free(sl->sl_what);
	*sl = ct->ct_slow[--ct->ct_nslow];
}

/* One round.  Whether anything is running, or was begun since the last. */
static bool
look(struct control *ct, uint64_t now)
{
	uint64_t begun, limit = ct->ct_session->s_slow_ns;
	struct fe_running *all;
	size_t n = fe_running_get(&ct->ct_session->s_fe, now, &all, &begun);
	bool busy = n > 0 || begun != ct->ct_begun;

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
	if (now - ct->ct_looked_ns < every && ct->ct_nslow == 0)
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
}
