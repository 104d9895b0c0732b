/*
 * Showing what takes long (progress.h).
 */
#include "daemon/progress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/service.h"

#define NS_PER_MS   UINT64_C(1000000)
#define NS_PER_S    UINT64_C(1000000000)
#define DRAW_NS     (100 * NS_PER_MS)
#define STATUS_NS   NS_PER_S
#define STALE_NS    NS_PER_S /* what is silent for as long leaves its place to others */
#define COLUMNS     80u
#define COLUMNS_MAX 200u
#define BAR_MAX     30u

/* pg_shown */
enum {
	SHOWN = 1,      /* it is or was looked at under the mutex */
	SHOWN_LINE = 2, /* and a line says so */
};

static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static struct progress_how how; /* m; the times: c */
static pid_t starter;           /* c: who has the terminal */
static struct {
	const struct progress *pg; /* what has the place, or NULL; not looked into */
	uint64_t began_ns, told_ns;
	uint64_t drawn_ns, status_ns, line_ns;
	bool bar, status; /* it is there */
} now_shown;              /* m */

static _Thread_local struct {
	void (*fn)(void *arg, const struct progress *pg);
	void *arg;
	uint64_t told_ns;
} tee;

/* Words. */

/* The power of 1024 that n is best said in. */
static unsigned
scale_of(uint64_t n)
{
	unsigned s = 0;

	while (n >= 1024 && s < 5) {
		n /= 1024;
		s++;
	}
	return s;
}

static void
put_scaled(char *buf, size_t len, uint64_t n, unsigned scale)
{
	double x = (double)n / (double)(UINT64_C(1) << (10 * scale));

	snprintf(buf, len, scale && x < 99.95 ? "%.1f" : "%.0f", x);
}

static bool
is_bytes(const struct progress *pg)
{
	return strcmp(pg->pg_unit, "bytes") == 0;
}

static const char *
unit_of(const struct progress *pg, unsigned scale)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};

	return is_bytes(pg) ? units[scale] : pg->pg_unit;
}

/* "3.1 of 9.0 GiB", "1200 of 100000 entries", "12 MiB" */
static void
put_amount(char *buf, size_t len, const struct progress *pg)
{
	unsigned s =
	    is_bytes(pg) ? scale_of(pg->pg_total ? pg->pg_total : pg->pg_done) : 0;
	char done[32], total[32];

	put_scaled(done, sizeof(done), pg->pg_done, s);
	put_scaled(total, sizeof(total), pg->pg_total, s);
	if (pg->pg_total)
		snprintf(buf, len, "%s of %s %s", done, total, unit_of(pg, s));
	else
		snprintf(buf, len, "%s %s", done, unit_of(pg, s));
}

/* Of the pg_unit in a second, since it began; 0: not known. */
static double
rate_of(const struct progress *pg, uint64_t now_ns)
{
	if (now_ns <= pg->pg_began_ns || pg->pg_done <= pg->pg_from)
		return 0;
	return (double)(pg->pg_done - pg->pg_from) * 1e9 /
	       (double)(now_ns - pg->pg_began_ns);
}

static void
put_time(char *buf, size_t len, double s)
{
	uint64_t n = s < 1e9 ? (uint64_t)(s + 0.5) : 1000000000;

	if (n >= 3600)
		snprintf(buf, len, "%" PRIu64 ":%02u:%02u", n / 3600,
		    (unsigned)(n / 60 % 60), (unsigned)(n % 60));
	else
		snprintf(buf, len, "%u:%02u", (unsigned)(n / 60), (unsigned)(n % 60));
}

static unsigned
percent_of(const struct progress *pg)
{
	if (pg->pg_done >= pg->pg_total)
		return 100;
	return (unsigned)((double)pg->pg_done * 100 / (double)pg->pg_total);
}

/* The numbers, with sep between them. */
static void
put_numbers(char *buf, size_t len, const struct progress *pg, uint64_t now_ns,
    const char *sep, bool percent)
{
	double rate = rate_of(pg, now_ns);
	char amount[80], speed[64] = "", left[64] = "", part[16] = "", text[32];

	put_amount(amount, sizeof(amount), pg);
	if (percent && pg->pg_total)
		snprintf(part, sizeof(part), "%s%u %%", sep, percent_of(pg));
	if (rate > 0) {
		uint64_t n = rate < 1e18 ? (uint64_t)rate : UINT64_MAX;
		unsigned s = is_bytes(pg) ? scale_of(n) : 0;

		put_scaled(text, sizeof(text), n, s);
		snprintf(speed, sizeof(speed), "%s%s%s%s/s", sep, text,
		    is_bytes(pg) ? " " : "", is_bytes(pg) ? unit_of(pg, s) : "");
	}
	if (rate > 0 && pg->pg_total > pg->pg_done) {
		put_time(text, sizeof(text), (double)(pg->pg_total - pg->pg_done) / rate);
		snprintf(left, sizeof(left), "%s%s left", sep, text);
	}
	snprintf(buf, len, "%s%s%s%s", amount, part, speed, left);
}

void
progress_text(char *buf, size_t len, const struct progress *pg, uint64_t now_ns)
{
	char numbers[240];

	put_numbers(numbers, sizeof(numbers), pg, now_ns, ", ", true);
	snprintf(buf, len, "%s%s%s: %s", pg->pg_what, pg->pg_name ? " " : "",
	    pg->pg_name ? pg->pg_name : "", numbers);
}

/* Columns, each character taken for one. */
static unsigned
columns(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* The name in so many columns, the end of a long one.  Nothing that moves the cursor. */
static void
put_name(char *buf, size_t len, const char *name, unsigned room)
{
	unsigned n = columns(name);
	const char *before = "";

	if (n > room) {
		before = room > 3 ? "..." : "";
		room -= room > 3 ? 3 : 0;
		while (n > room && *name) {
			name++;
			while (((unsigned char)*name & 0xc0) == 0x80)
				name++;
			n--;
		}
	}
	snprintf(buf, len, "%s%s", before, name);
	for (char *p = buf; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
}

void
progress_bar(
    char *buf, size_t len, const struct progress *pg, uint64_t now_ns, unsigned width)
{
	char numbers[240], name[4 * COLUMNS_MAX + 1] = "", bar[BAR_MAX + 16] = "";
	unsigned room = width < COLUMNS_MAX ? width : COLUMNS_MAX, has, used;

	put_numbers(numbers, sizeof(numbers), pg, now_ns, "  ", false);
	used = columns(pg->pg_what) + columns(numbers) + 1;
	if (pg->pg_total)
		used += 6; /* " 34 % " */
	if (pg->pg_name && room > used + 8) {
		/* A bar has what the name leaves, the name what a short bar leaves. */
		put_name(name + 1, sizeof(name) - 1, pg->pg_name,
		    room > used + 30 ? room - used - 16 : room - used - 2);
		name[0] = ' ';
		used += columns(name);
	}
	has = pg->pg_total && room > used + 8 ? room - used - 4 : 0;
	if (has > BAR_MAX)
		has = BAR_MAX;
	if (pg->pg_total) {
		unsigned full = has * percent_of(pg) / 100;
		int n = has ? snprintf(bar, sizeof(bar), " [%.*s%.*s]", (int)full,
				  "##############################", (int)(has - full),
				  "------------------------------")
		            : 0;

		snprintf(bar + n, sizeof(bar) - (size_t)n, " %u %%", percent_of(pg));
	}
	snprintf(buf, len, "%s%s%s  %s", pg->pg_what, name, bar, numbers);
	if (columns(buf) > room) { /* without the name it is plain, but for the what */
		char *p = buf;

		for (unsigned n = 0; n < room; n++) {
			p++;
			while (((unsigned char)*p & 0xc0) == 0x80)
				p++;
		}
		*p = '\0';
	}
}

/* Showing. */

/* m held.  Does somebody wait at the terminal?  In the background it is the parent, who may
 * have been ended meanwhile. */
static bool
has_terminal(void)
{
	if (how.ph_bar && starter && getpid() != starter && getppid() != starter) {
		if (now_shown.bar)
			log_bar(NULL);
		now_shown.bar = false;
		how.ph_bar = false;
	}
	return how.ph_bar;
}

static unsigned
terminal_width(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col < 2)
		return COLUMNS - 1;
	return ws.ws_col - 1u; /* the last column makes some terminals wrap */
}

static void
draw(const struct progress *pg, uint64_t now_ns)
{
	char text[1024];

	progress_bar(text, sizeof(text), pg, now_ns, terminal_width());
	log_bar(text);
	now_shown.bar = true;
	now_shown.drawn_ns = now_ns;
}

/* m held.  Whose turn is it? */
static bool
has_place(const struct progress *pg, uint64_t now_ns)
{
	return !now_shown.pg || now_shown.pg == pg ||
	       pg->pg_began_ns >= now_shown.began_ns ||
	       now_ns - now_shown.told_ns > STALE_NS;
}

static bool
is_due(uint64_t *last_ns, uint64_t now_ns, uint64_t every_ns)
{
	if (*last_ns && now_ns - *last_ns < every_ns)
		return false;
	*last_ns = now_ns;
	return true;
}

/* m held. */
static void
show(struct progress *pg, uint64_t now_ns)
{
	char text[1024];

	pg->pg_shown |= SHOWN;
	if (!has_place(pg, now_ns))
		return;
	now_shown.pg = pg;
	now_shown.began_ns = pg->pg_began_ns;
	now_shown.told_ns = now_ns;
	progress_text(text, sizeof(text), pg, now_ns);
	if (service_managed() && is_due(&now_shown.status_ns, now_ns, STATUS_NS)) {
		service_progress(text);
		now_shown.status = true;
	}
	if (has_terminal()) {
		if (!now_shown.bar || now_ns - now_shown.drawn_ns >= DRAW_NS)
			draw(pg, now_ns);
	} else if (is_due(&now_shown.line_ns, now_ns, how.ph_line_ns)) {
		log_msg(LOG_INFO, "%s", text);
		pg->pg_shown |= SHOWN_LINE;
	}
}

/* m held. */
static void
finish(const struct progress *pg, uint64_t now_ns)
{
	char took[32];

	if (now_shown.pg == pg) {
		now_shown.pg = NULL;
		if (now_shown.bar)
			log_bar(NULL);
		if (now_shown.status)
			service_progress(NULL);
		now_shown.bar = now_shown.status = false;
	}
	if (pg->pg_shown & SHOWN_LINE) {
		put_time(took, sizeof(took), (double)(now_ns - pg->pg_began_ns) / 1e9);
		log_msg(LOG_INFO, "%s%s%s: it took %s", pg->pg_what,
		    pg->pg_name ? " " : "", pg->pg_name ? pg->pg_name : "", took);
	}
}

void
progress_tell_at(struct progress *pg, int end, uint64_t now_ns)
{
	if (!pg->pg_began_ns) {
		pg->pg_began_ns = now_ns;
		pg->pg_from = pg->pg_done;
	}
	if (!pg->pg_shown && (end || now_ns - pg->pg_began_ns < how.ph_after_ns))
		return;
	if (!end && tee.fn && is_due(&tee.told_ns, now_ns, STATUS_NS))
		tee.fn(tee.arg, pg);
	if (end)
		pthread_mutex_lock(&mtx);
	else if (pthread_mutex_trylock(&mtx) != 0)
		return; /* somebody is showing something */
	if (end)
		finish(pg, now_ns);
	else
		show(pg, now_ns);
	pthread_mutex_unlock(&mtx);
}

static void
sink(struct progress *pg, int end)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	progress_tell_at(pg, end, (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec);
}

/* From the start to the end. */

static uint64_t
ms_from_env(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return (s ? strtoull(s, NULL, 10) : otherwise) * NS_PER_MS;
}

void
progress_set(const struct progress_how *h)
{
	pthread_mutex_lock(&mtx);
	how = *h;
	pthread_mutex_unlock(&mtx);
}

void
progress_start(bool lines)
{
	const char *term = getenv("TERM");
	struct progress_how h = {
	    .ph_bar = !lines && isatty(STDERR_FILENO) && term && *term &&
	              strcmp(term, "dumb") != 0,
	    .ph_after_ns = ms_from_env("RF_PROGRESS_AFTER_MS", 1000),
	    .ph_line_ns = ms_from_env("RF_PROGRESS_LINE_MS", 5000),
	};

	starter = getpid();
	progress_set(&h);
	progress_sink = sink;
}

void
progress_tee(void (*fn)(void *arg, const struct progress *pg), void *arg)
{
	tee.fn = fn;
	tee.arg = arg;
	tee.told_ns = 0;
}

void
progress_detach(void)
{
	pthread_mutex_lock(&mtx);
	if (now_shown.bar)
		log_bar(NULL);
	now_shown.bar = false;
	how.ph_bar = false;
	pthread_mutex_unlock(&mtx);
}

void
progress_wipe(void)
{
	pthread_mutex_lock(&mtx);
	if (how.ph_bar)
		log_bar(NULL);
	pthread_mutex_unlock(&mtx);
}
