/*
 * The operations of the control socket (control.h).
 *
 * Questions are answered at once, by the thread that has read them.  What changes something
 * is a task, run by the manager, and answered when it is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/changes.h"
#include "daemon/control_private.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/progress.h"
#include "daemon/session.h"
#include "daemon/transport.h"

#define PROTOCOL 1
/* More are turned away: the host that they wait for does not answer. */
#define CHANGES_MAX 64u

/* Answers. */

static void
answer_begin(struct jw *w, const char *id, bool ok)
{
	*w = (struct jw){.jw_s = g_string_new(NULL)};
	jw_open(w, NULL, '{');
	jw_raw(w, "id", id ? id : "null");
	jw_bool(w, "ok", ok);
}

static GString *
answer_end(struct jw *w)
{
	jw_close(w, '}');
	g_string_append_c(w->jw_s, '\n');
	return w->jw_s;
}

static void
put_error(struct jw *w, int r, const char *text)
{
	const char *code = strerrorname_np(-r);

	jw_open(w, "error", '{');
	jw_text(w, "code", code ? code : "EIO");
	jw_text(w, "text", text ? text : strerrordesc_np(-r));
	jw_close(w, '}');
}

static GString *
refuse(const char *id, int r, const char *text)
{
	struct jw w;

	answer_begin(&w, id, false);
	put_error(&w, r, text);
	return answer_end(&w);
}

/* Questions. */

static void
hello(struct session *s, struct jw *w)
{
	char device[32];

	snprintf(device, sizeof(device), "%u:%u", major(s->s_dev), minor(s->s_dev));
	jw_text(w, "version", RF_VERSION);
	jw_number(w, "protocol", PROTOCOL);
	jw_number(w, "pid", (uint64_t)getpid());
	jw_number(w, "uid", geteuid());
	jw_text(w, "source", s->s_source);
	jw_text(w, "mountpoint", s->s_mountpoint);
	jw_text(w, "config", s->s_opt->o_config);
	jw_text(w, "device", device);
	jw_text(w, "access", atomic_load(&s->s_rdonly) ? "ro" : "rw");
	jw_number(w, "threads", s->s_nthreads);
	jw_text(w, "transport", transport_name(s));
	jw_bool(w, "clone_fd", s->s_opt->o_clone_fd);
}

static GString *
ask_hello(struct session *s, const struct request *rq)
{
	struct jw w;

	answer_begin(&w, rq->rq_id, true);
	jw_open(&w, "result", '{');
	hello(s, &w);
	jw_close(&w, '}');
	return answer_end(&w);
}

/* The beginning; control_list_more() has the rest. */
static GString *
begin_list(struct control *ct, struct conn *cn, const struct request *rq)
{
	struct jw w;

	answer_begin(&w, rq->rq_id, true);
	jw_open(&w, "result", '{');
	jw_open(&w, "entries", '[');
	cn->cn_listing = listing_new(ct->ct_session);
	return w.jw_s;
}

GString *
control_list_more(struct conn *cn)
{
	struct jw w = {.jw_s = g_string_new(NULL)};

	if (listing_put(cn->cn_listing, w.jw_s))
		return w.jw_s;
	listing_free(cn->cn_listing);
	cn->cn_listing = NULL;
	jw_close(&w, ']');
	jw_close(&w, '}');
	return answer_end(&w);
}

static GString *
ask_stats(struct session *s, const struct request *rq)
{
	struct jw w;

	answer_begin(&w, rq->rq_id, true);
	jw_open(&w, "result", '{');
	control_stats(s, request_bool(rq, "buckets", true), &w);
	jw_close(&w, '}');
	return answer_end(&w);
}

static GString *
ask_explain(struct session *s, const struct request *rq)
{
	const char *path = request_text(rq, "path");
	char *normal;
	struct jw w;
	int r = path ? vfs_path_normal(path, &normal) : -EINVAL;

	if (r < 0)
		return refuse(rq->rq_id, r,
		    !path          ? "path: a string is missing"
		    : r == -EINVAL ? "path: not an absolute path without . and .."
				   : NULL);
	answer_begin(&w, rq->rq_id, true);
	jw_open(&w, "result", '{');
	control_explain(s, normal, &w);
	jw_close(&w, '}');
	free(normal);
	return answer_end(&w);
}

/* Tasks. */

static int
do_add(struct session *s, struct task *t)
{
	return change_add(s, t->t_arg);
}

static int
do_remove(struct session *s, struct task *t)
{
	return change_remove(s, t->t_arg);
}

static int
do_remount(struct session *s, struct task *t)
{
	return change_access(s, t->t_rdonly);
}

static int
do_reload(struct session *s, struct task *t)
{
	struct reload_result rr = {0};
	struct jw w = {.jw_s = g_string_new(NULL)};
	int r = change_reload(s, &rr);

	jw_number(&w, "added", rr.rr_added);
	jw_number(&w, "removed", rr.rr_removed);
	jw_number(&w, "changed", rr.rr_changed);
	jw_number(&w, "later", rr.rr_later);
	jw_open(&w, "plan", '[');
	for (size_t i = 0; i < rr.rr_nplan; i++)
		jw_text(&w, NULL, rr.rr_plan[i]);
	jw_close(&w, ']');
	jw_number(&w, "plan_left_out", rr.rr_left_out);
	reload_result_done(&rr);
	t->t_result = w.jw_s;
	return r;
}

/* Of what the task's thread logs. */
static void
note(void *arg, int prio, const char *text)
{
	struct task *t = arg;
	struct jw w = {.jw_s = t->t_log, .jw_more = t->t_log->len > 0};

	jw_open(&w, NULL, '{');
	jw_number(&w, "priority", (uint64_t)prio);
	jw_text(&w, "text", text);
	jw_close(&w, '}');
	if (prio <= LOG_WARNING) {
		g_free(t->t_why);
		t->t_why = g_strdup(text);
	}
}

static GString *
progress_line(const struct task *t, const char *what, uint64_t done, uint64_t total,
    const char *unit)
{
	struct jw w = {.jw_s = g_string_new(NULL)};

	jw_open(&w, NULL, '{');
	jw_raw(&w, "id", t->t_id ? t->t_id : "null");
	jw_open(&w, "progress", '{');
	jw_text(&w, "what", what);
	jw_number(&w, "done", done);
	jw_number(&w, "total", total);
	jw_text(&w, "unit", unit);
	jw_close(&w, '}');
	return answer_end(&w);
}

/* Of what takes the task's thread long. */
static void
tell(void *arg, const struct progress *pg)
{
	struct task *t = arg;
	g_autofree char *what = g_strconcat(
	    pg->pg_what, pg->pg_name ? " " : "", pg->pg_name ? pg->pg_name : "", NULL);

	control_task_tell(
	    t, progress_line(t, what, pg->pg_done, pg->pg_total, pg->pg_unit));
}

GString *
task_waits(const struct task *t, const char *what, uint64_t seconds)
{
	return progress_line(t, what, seconds, 0, "s");
}

/* Those that have joined it get the same answer. */
static void
share(const struct task *t)
{
	struct job *next;

	for (struct job *jb = t->t_job.jb_same; jb; jb = next) {
		struct task *same = (struct task *)jb;

		next = jb->jb_next;
		same->t_r = t->t_r;
		same->t_why = g_strdup(t->t_why);
		g_string_append(same->t_log, t->t_log->str);
		same->t_result = t->t_result ? g_string_new(t->t_result->str) : NULL;
		control_task_done(same);
	}
}

static void
run_task(struct session *s, struct job *jb)
{
	struct task *t = (struct task *)jb;

	if (s) {
		log_tee(note, t);
		progress_tee(tell, t);
		t->t_r = t->t_do(s, t);
		progress_tee(NULL, NULL);
		log_tee(NULL, NULL);
	} else {
		t->t_r = -ESHUTDOWN;
	}
	share(t);
	control_task_done(t);
}

void
task_free(struct task *t)
{
	g_free(t->t_id);
	g_free(t->t_arg);
	g_free(t->t_path);
	g_free(t->t_why);
	g_string_free(t->t_log, TRUE);
	if (t->t_result)
		g_string_free(t->t_result, TRUE);
	g_free(t);
}

GString *
task_answer(struct task *t)
{
	struct jw w;
	GString *answer;

	answer_begin(&w, t->t_id, t->t_r == 0);
	if (t->t_r == 0) {
		jw_open(&w, "result", '{');
		if (t->t_result)
			g_string_append(w.jw_s, t->t_result->str);
		jw_close(&w, '}');
	} else {
		put_error(&w, t->t_r, t->t_why);
	}
	jw_open(&w, "log", '[');
	g_string_append(w.jw_s, t->t_log->str);
	jw_close(&w, ']');
	answer = answer_end(&w);
	task_free(t);
	return answer;
}

/* What there is to ask. */
static const struct op {
	const char *op_name;
	GString *(*op_ask)(struct session *s, const struct request *rq);
	/* Or, for the manager: */
	int (*op_do)(struct session *s, struct task *t);
	const char *op_arg; /* the member that t_arg is; or NULL */
} ops[] = {
    {"hello", ask_hello, NULL, NULL},
    {"explain", ask_explain, NULL, NULL},
    {"stats", ask_stats, NULL, NULL},
    {"add", NULL, do_add, "key"},
    {"remove", NULL, do_remove, "key"},
    {"reload", NULL, do_reload, NULL},
    {"remount", NULL, do_remount, "access"},
};

/* NULL: posted. */
static GString *
post(struct control *ct, struct conn *cn, const struct op *op, const struct request *rq)
{
	const char *arg = op->op_arg ? request_text(rq, op->op_arg) : NULL;
	bool access = op->op_do == do_remount;
	struct task *t;

	if (op->op_arg && !arg) {
		char why[64];

		snprintf(why, sizeof(why), "%s: a string is missing", op->op_arg);
		return refuse(rq->rq_id, -EINVAL, why);
	}
	if (access && strcmp(arg, "ro") != 0 && strcmp(arg, "rw") != 0)
		return refuse(rq->rq_id, -EINVAL, "access: neither ro nor rw");
	if (manager_queued(&ct->ct_session->s_manager) >= CHANGES_MAX)
		return refuse(rq->rq_id, -EBUSY, "too many changes wait already");
	t = g_new0(struct task, 1);
	t->t_job.jb_run = run_task;
	t->t_job.jb_what = op->op_name;
	t->t_job.jb_joins = op->op_do == do_reload;
	t->t_control = ct;
	t->t_conn = cn->cn_id;
	t->t_id = g_strdup(rq->rq_id);
	t->t_do = op->op_do;
	t->t_arg = g_strdup(arg);
	if (arg && !access)
		t->t_path = g_strndup(arg, strcspn(arg, op->op_do == do_add ? "=" : ""));
	t->t_job.jb_path = t->t_path;
	t->t_rdonly = access && strcmp(arg, "ro") == 0;
	t->t_log = g_string_new(NULL);
	cn->cn_task = t;
	manager_post(&ct->ct_session->s_manager, &t->t_job);
	return NULL;
}

static GString *
dispatch(struct control *ct, struct conn *cn, const struct request *rq)
{
	const char *name = request_text(rq, "op");

	if (rq->rq_nul)
		return refuse(rq->rq_id, -EINVAL, "a string with a NUL");
	if (!name)
		return refuse(rq->rq_id, -EINVAL, "op: a string is missing");
	if (strcmp(name, "list") == 0)
		return begin_list(ct, cn, rq);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].op_name, name) == 0)
			return ops[i].op_ask ? ops[i].op_ask(ct->ct_session, rq)
			                     : post(ct, cn, &ops[i], rq);
	return refuse(rq->rq_id, -ENOSYS, "op: not known");
}

GString *
control_request(
    struct control *ct, struct conn *cn, const char *line, size_t len, bool *ret_last)
{
	struct request rq;
	GString *answer;
	const char *why = "a line of more than 64 KiB";

	if (len >= CONTROL_LINE_MAX || !request_parse(&rq, line, len, &why)) {
		*ret_last = true;
		return refuse(NULL, -EPROTO, why);
	}
	answer = dispatch(ct, cn, &rq);
	request_done(&rq);
	return answer;
}
