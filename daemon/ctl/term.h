/*
 * A terminal as a screen: the alternate one, without echo, given back at the end and while
 * the program is stopped, whatever ends it.
 *
 * Between term_enter and term_leave the signals it is about are blocked, and come through
 * only where somebody waits with tm_waiting.
 */
#ifndef RF_CTL_TERM_H
#define RF_CTL_TERM_H

#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct term {
	int tm_in; /* keys come from there; -1: none do */
	bool tm_raw;
	struct termios tm_was;
	sigset_t tm_before, tm_waiting;
	size_t tm_rows, tm_columns;
};

enum term_event {
	TERM_NOTHING,
	TERM_REDRAW,
	TERM_KEY, /* *ret_key */
	TERM_QUIT,
};

void term_enter(struct term *tm);
void term_leave(struct term *tm);
/* Ends the process by the signal that made term_event say TERM_QUIT, if one did. */
void term_die(struct term *tm);
/* What has happened to the terminal; does not wait.  Stops the process if asked to. */
enum term_event term_event(struct term *tm, char *ret_key);
/* Waits for something to happen to it until a time (g_get_monotonic_time). */
void term_wait(struct term *tm, int64_t until);
/* Shows the text from the upper left corner on; what does not fit is left out.  Lines that
 * begin with a mark (\1) are shown in reverse. */
void term_draw(struct term *tm, const char *text);

#endif
