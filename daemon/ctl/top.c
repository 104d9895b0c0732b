/*
 * top: what goes on between two answers to stats, again and again.
 *
 * On a terminal nothing that the daemon does or leaves out keeps a key from being seen: an
 * answer that is late is waited for over the rounds, and a daemon that is gone is looked
 * for once a round, by its mount point, because the next one has another socket.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/stats.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

struct top {
	const struct ctl *t_o;
	struct peer *t_peer;
	bool t_screen;
	struct term t_term;
	struct stats *t_last;  /* the last answer */
	struct stats *t_shown; /* the difference to the one before; NULL: not known yet */
	double t_seconds;      /* that it is over */
	bool t_pending;        /* asked and not answered, since t_asked */
	int64_t t_asked;
	char *t_trouble; /* why there is nothing new, or NULL */
	bool t_quit;
};

static void
trouble(struct top *t, char *text)
{
	g_free(t->t_trouble);
	t->t_trouble = text;
}

/* What was measured belongs to a daemon that is gone. */
static void
forget(struct top *t)
{
	g_clear_pointer(&t->t_last, stats_free);
	g_clear_pointer(&t->t_shown, stats_free);
	t->t_pending = false;
	conn_close(&t->t_peer->p_conn);
}

static void
take(struct top *t, JsonObject *result)
{
	struct stats *now = stats_new(result);

	g_clear_pointer(&t->t_shown, stats_free);
	if (t->t_last && now->st_uptime_ms > t->t_last->st_uptime_ms) {
		t->t_shown = stats_diff(now, t->t_last);
		t->t_seconds = t->t_shown->st_uptime_ms / 1e3;
	}
	stats_free(t->t_last);
	t->t_last = now;
	trouble(t, NULL);
}

/* True: there is something to be asked. */
static bool
connected(struct top *t)
{
	struct peer *p = t->t_peer;
	g_autoptr(GString) why = g_string_new(NULL);
	double seconds = p->p_seconds;
	int rc;

	if (p->p_conn.c_fd >= 0)
		return true;
	p->p_seconds = MIN(seconds, 1);
	p->p_conn.c_wake = -1;
	rc = peer_find(p, t->t_o->o_mountpoint, t->t_o->o_socket, why);
	if (rc == CTL_OK)
		rc = peer_dial(p, why);
	p->p_seconds = seconds;
	if (rc == CTL_OK)
		return true;
	conn_close(&p->p_conn);
	why->str[strcspn(why->str, "\n")] = '\0';
	trouble(t, g_strdup_printf("NO DAEMON: %s", why->str));
	return false;
}

/* A key, a signal, another size.  True: what is shown is to be drawn again. */
static bool
happened(struct top *t)
{
	bool again = false;
	char key = 0;

	if (!t->t_screen)
		return false;
	for (;;) {
		switch (term_event(&t->t_term, &key)) {
		case TERM_NOTHING:
			return again;
		case TERM_QUIT:
			t->t_quit = true;
			return false;
		case TERM_KEY:
			if (key == 'q' || key == 'Q') {
				t->t_quit = true;
				return false;
			}
			break;
		case TERM_REDRAW:
			again = true;
			break;
		}
	}
}

static void draw(struct top *t);

/* One answer, at the latest at `until`; an old question's is as good. */
static void
sample(struct top *t, int64_t until)
{
	struct conn *c = &t->t_peer->p_conn;
	const char *why = NULL;
	struct answer a;
	int err = 0;

	if (!connected(t))
		return;
	if (!t->t_pending) {
		err = conn_send(c, request_new("stats"), until);
		/* Half a request can only be forgotten. */
		if (err == -ETIMEDOUT)
			err = -EPIPE;
		t->t_pending = true;
		t->t_asked = conn_now();
	}
	c->c_wake = t->t_screen ? t->t_term.tm_in : -1;
	c->c_mask = t->t_screen ? &t->t_term.tm_waiting : NULL;
	while (err == 0 && !t->t_quit) {
		err = conn_answer(c, c->c_id, until, NULL, &a, &why);
		if (err == -EINTR) {
			err = 0;
			if (happened(t))
				draw(t);
			continue;
		}
		break;
	}
	c->c_wake = -1;
	c->c_mask = NULL;
	if (t->t_quit)
		return;
	if (err == -ETIMEDOUT) {
		trouble(t, g_strdup_printf("NO ANSWER for %.0f s: is process %d stopped?",
			       (conn_now() - t->t_asked) / 1e6, (int)c->c_pid));
	} else if (err) {
		trouble(
		    t, g_strdup_printf("NO DAEMON: %s", why ? why : g_strerror(-err)));
		forget(t);
	} else {
		t->t_pending = false;
		if (a.a_ok)
			take(t, a.a_result);
		else
			trouble(t, text_show(a.a_text));
		answer_done(&a);
	}
}

static int
by_rate(gconstpointer a, gconstpointer b)
{
	const struct stat_op *const *x = a, *const *y = b;

	if ((*x)->so_count != (*y)->so_count)
		return (*x)->so_count < (*y)->so_count ? 1 : -1;
	return strcmp((*x)->so_name, (*y)->so_name);
}

static int
by_key_rate(gconstpointer a, gconstpointer b)
{
	const struct stat_key *const *x = a, *const *y = b;
	uint64_t m = (*x)->sk_read + (*x)->sk_written,
		 n = (*y)->sk_read + (*y)->sk_written;

	if ((*x)->sk_count != (*y)->sk_count)
		return (*x)->sk_count < (*y)->sk_count ? 1 : -1;
	return m != n ? (m < n ? 1 : -1) : strcmp((*x)->sk_path, (*y)->sk_path);
}

static char *
rate(const struct top *t, uint64_t n)
{
	return text_about(n / t->t_seconds);
}

/* Who, since when; and when this is. */
static void
put_head(const struct top *t, GString *out)
{
	JsonObject *hello = peer_hello(t->t_peer);
	g_autofree char *point =
	    text_show(hello ? get_str(hello, "mountpoint") : t->t_o->o_mountpoint);
	char clock[32] = "";
	struct tm tm;
	time_t now = time(NULL);

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	g_string_append_printf(out, "%s  %s", clock, point);
	if (hello && t->t_last) {
		g_autofree char *source = text_show(get_str(hello, "source"));
		g_autofree char *up = text_uptime(t->t_last->st_uptime_ms);

		g_string_append_printf(out, "  of %s, process %" PRIu64 ", up %s", source,
		    get_num(hello, "pid", 0), up);
	}
	g_string_append_c(out, '\n');
}

static void
put_sum(const struct top *t, GString *out)
{
	uint64_t count = 0, errors = 0, bytes = 0;
	JsonObject *o = t->t_last->st_object;
	struct hist all;

	hist_init(&all, NULL);
	for (guint i = 0; i < t->t_shown->st_ops->len; i++) {
		const struct stat_op *op = t->t_shown->st_ops->pdata[i];

		count += op->so_count;
		errors += op->so_errors;
		bytes += op->so_bytes;
		hist_add(&all, &op->so_hist);
	}
	g_autofree char *c = rate(t, count), *e = rate(t, errors), *b = rate(t, bytes);
	g_autofree char *p50 = text_us(hist_percentile(&all, 0.5));
	g_autofree char *p99 = text_us(hist_percentile(&all, 0.99));
	g_autofree char *rss = text_about(get_num(o, "rss_bytes", 0));
	g_string_append_printf(out, "%s operations/s, %s errors/s, %s bytes/s", c, e, b);
	if (count)
		g_string_append_printf(out, "; p50 %s, p99 %s", p50, p99);
	g_string_append_printf(out,
	    "\n%" PRIu64 " nodes, %" PRIu64
	    " open files, %s bytes of memory, %u waiting\n",
	    get_num(o, "nodes", 0), get_num(o, "open_files", 0), rss,
	    t->t_shown->st_waiting->len);
	hist_done(&all);
}

static void
put_ops(const struct top *t, GString *out)
{
	static const char *const heads[] = {
	    "OPERATION", "PER S", "ERRORS/S", "P50", "P90", "P99", "MAX", "BYTES/S"};
	struct table *tab = table_new("lrrrrrrr", heads);

	g_ptr_array_sort(t->t_shown->st_ops, by_rate);
	for (guint i = 0; i < t->t_shown->st_ops->len; i++) {
		const struct stat_op *op = t->t_shown->st_ops->pdata[i];

		if (op->so_count)
			table_row(tab, text_show(op->so_name), rate(t, op->so_count),
			    rate(t, op->so_errors), text_us(op->so_p50_us),
			    text_us(op->so_p90_us), text_us(op->so_p99_us),
			    text_us(op->so_max_us), rate(t, op->so_bytes));
	}
	g_string_append_c(out, '\n');
	if (table_rows(tab))
		table_print(tab, out, SIZE_MAX, 0);
	else
		g_string_append(out, "nothing was asked of the mount\n");
	table_free(tab);
}

static void
put_keys(const struct top *t, GString *out)
{
	static const char *const heads[] = {"KEY", "PER S", "READ/S", "WRITTEN/S"};
	struct table *tab = table_new("lrrr", heads);

	g_ptr_array_sort(t->t_shown->st_keys, by_key_rate);
	for (guint i = 0; i < t->t_shown->st_keys->len; i++) {
		const struct stat_key *key = t->t_shown->st_keys->pdata[i];

		if (key->sk_count || key->sk_read || key->sk_written)
			table_row(tab, text_show(key->sk_path), rate(t, key->sk_count),
			    rate(t, key->sk_read), rate(t, key->sk_written));
	}
	if (table_rows(tab)) {
		g_string_append_c(out, '\n');
		table_print(tab, out, SIZE_MAX, 0);
	}
	table_free(tab);
}

/* The lines of a text before its end. */
static size_t
lines_of(const GString *text)
{
	size_t n = 0;

	for (gsize i = 0; i < text->len; i++)
		n += text->str[i] == '\n';
	return n;
}

static void
keep_lines(GString *text, size_t n)
{
	for (gsize i = 0; i < text->len; i++) {
		if (text->str[i] == '\n' && --n == 0) {
			g_string_truncate(text, i + 1);
			return;
		}
	}
}

/* Operations and keys share what is left of a screen of `rows`; 0: it has no end. */
static void
put_tables(const struct top *t, GString *out, size_t rows)
{
	g_autoptr(GString) ops = g_string_new(NULL), keys = g_string_new(NULL);
	size_t used = lines_of(out), left = rows > used ? rows - used : 1;

	put_ops(t, ops);
	put_keys(t, keys);
	if (rows && lines_of(ops) + lines_of(keys) > left) {
		size_t some = MAX(MIN(lines_of(keys), left / 2), 1);

		keep_lines(ops, left > some + 2 ? left - some : 2);
	}
	g_string_append(out, ops->str);
	g_string_append(out, keys->str);
}

static void
draw(struct top *t)
{
	g_autoptr(GString) out = g_string_new(NULL);
	size_t rows = t->t_screen ? t->t_term.tm_rows - 1 : 0;
	const char *mark = t->t_screen ? "\1" : "";

	put_head(t, out);
	if (t->t_trouble)
		g_string_append_printf(out, "%s%s\n", mark, t->t_trouble);
	if (t->t_shown) {
		put_sum(t, out);
		if (t->t_shown->st_waiting->len) {
			g_string_append_printf(out, "\n%s", mark);
			stats_print_waiting(
			    t->t_shown, out, rows ? MAX(rows / 3, 1) : SIZE_MAX, 0);
		}
		put_tables(t, out, rows);
	} else if (!t->t_trouble) {
		g_string_append_printf(out, "measuring for %g s\n", t->t_o->o_delay);
	}
	if (t->t_screen)
		term_draw(&t->t_term, out->str);
	else
		printf("%s\n", out->str);
}

/* Rounds until somebody has seen enough. */
static int
rounds(struct top *t)
{
	const int64_t step = (int64_t)(t->t_o->o_delay * 1e6);
	int64_t next = conn_now();

	for (long shown = 0;
	     !t->t_quit && (t->t_o->o_rounds == 0 || shown < t->t_o->o_rounds);) {
		int64_t patience = t->t_screen ? 0 : (int64_t)(soon(t->t_o) * 1e6);

		sample(t, MAX(next + step, conn_now() + patience));
		if (t->t_quit)
			break;
		if (t->t_screen || t->t_shown || t->t_trouble)
			draw(t);
		if (t->t_shown || t->t_trouble)
			shown++;
		if (!t->t_screen && (fflush(stdout) != 0 || ferror(stdout)))
			return CTL_OUTPUT;
		/* After a long answer the rounds go on from there. */
		next = MAX(next + step, conn_now());
		while (!t->t_quit && conn_now() < next &&
		       (t->t_o->o_rounds == 0 || shown < t->t_o->o_rounds)) {
			if (!t->t_screen) {
				g_usleep(next - conn_now());
				continue;
			}
			term_wait(&t->t_term, next);
			if (happened(t))
				draw(t);
		}
	}
	return CTL_OK;
}

int
cmd_top(const struct ctl *o, struct peer *p)
{
	struct top t = {.t_o = o, .t_peer = p};
	int rc;

	t.t_screen = !o->o_batch && isatty(STDOUT_FILENO);
	if (t.t_screen)
		term_enter(&t.t_term);
	rc = rounds(&t);
	if (t.t_screen) {
		term_leave(&t.t_term);
		term_die(&t.t_term);
	}
	if (rc)
		complain("the result cannot be written");
	forget(&t);
	g_free(t.t_trouble);
	return rc;
}
