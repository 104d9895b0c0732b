/*
 * A terminal as a screen (term.h).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

static volatile sig_atomic_t got_end, got_stop, got_size;

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void
on_signal(int sig)
{
	if (sig == SIGWINCH || sig == SIGCONT)
		got_size = 1;
	else if (sig == SIGTSTP)
		got_stop = 1;
	else
		got_end = sig;
}

static void
watch(sigset_t *set, int sig)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
	sigaddset(set, sig);
}

static void
measure(struct term *tm)
{
	struct winsize ws;

	tm->tm_rows = 24;
	tm->tm_columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_row && ws.ws_col) {
		tm->tm_rows = ws.ws_row;
		tm->tm_columns = ws.ws_col;
	}
}

/* The screen and the keyboard; signals stay as they are. */
static void
take_screen(struct term *tm)
{
	struct termios raw;

	tm->tm_raw = tcgetattr(STDIN_FILENO, &tm->tm_was) == 0;
	if (tm->tm_raw) {
		raw = tm->tm_was;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	tm->tm_in = tm->tm_raw ? STDIN_FILENO : -1;
	fputs("\033[?1049h\033[?25l\033[H\033[2J", stdout);
	fflush(stdout);
	measure(tm);
}

static void
give_screen(struct term *tm)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (tm->tm_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &tm->tm_was);
}

void
term_enter(struct term *tm)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	for (size_t i = 0; i < G_N_ELEMENTS(ends); i++)
		watch(&blocked, ends[i]);
	watch(&blocked, SIGWINCH);
	watch(&blocked, SIGTSTP);
	watch(&blocked, SIGCONT);
	sigprocmask(SIG_BLOCK, &blocked, &tm->tm_before);
	tm->tm_waiting = tm->tm_before;
	take_screen(tm);
}

void
term_leave(struct term *tm)
{
	give_screen(tm);
}

void
term_die(struct term *tm)
{
	if (got_end) {
		signal(got_end, SIG_DFL);
		raise(got_end);
	}
	sigprocmask(SIG_SETMASK, &tm->tm_before, NULL);
}

enum term_event
term_event(struct term *tm, char *ret_key)
{
	struct pollfd p = {tm->tm_in, POLLIN, 0};

	/* A moment for signals that came while nobody was waiting. */
	ppoll(NULL, 0, &(struct timespec){0, 0}, &tm->tm_waiting);
	if (got_end)
		return TERM_QUIT;
	if (got_stop) {
		got_stop = 0;
		give_screen(tm);
		kill(getpid(), SIGSTOP);
		take_screen(tm);
		return TERM_REDRAW;
	}
	if (got_size) {
		got_size = 0;
		measure(tm);
		return TERM_REDRAW;
	}
	if (tm->tm_in < 0 || poll(&p, 1, 0) <= 0)
		return TERM_NOTHING;
	/* A terminal that has gone can be read, and nothing comes. */
	return read(tm->tm_in, ret_key, 1) == 1 ? TERM_KEY : TERM_QUIT;
}

void
term_wait(struct term *tm, int64_t until)
{
	int64_t left = MAX(until - g_get_monotonic_time(), 0);
	struct timespec ts = {left / 1000000, left % 1000000 * 1000};
	struct pollfd p = {tm->tm_in, POLLIN, 0};

	ppoll(&p, 1, &ts, &tm->tm_waiting);
}

void
term_draw(struct term *tm, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	GString *out = g_string_new("\033[H");

	for (size_t i = 0; lines[i] && i + 1 < tm->tm_rows; i++) {
		bool marked = lines[i][0] == '\1';
		GString *line = g_string_new(lines[i] + marked);

		/* In the last column a terminal may take the erasing for the next line's. */
		text_cut(line, MAX(tm->tm_columns, 2) - 1);
		g_string_append_printf(out, "%s%s%s\033[K\n", marked ? "\033[7m" : "",
		    line->str, marked ? "\033[0m" : "");
		g_string_free(line, TRUE);
	}
	g_string_append(out, "\033[J");
	fwrite(out->str, 1, out->len, stdout);
	fflush(stdout);
	g_string_free(out, TRUE);
}
