/*
 * The form of the control socket's lines (control.h): JSON taken apart and put together.
 *
 * Reading.  A line is looked through before the parser has it (control_scan.h).  So what is
 * not text in UTF-8, is not JSON to the letter, or is nested too deep, never gets there.
 *
 * Writing.  A writer appends to a string and sees to commas.  What is no UTF-8 (names of
 * files may be any bytes) becomes U+FFFD.
 */
#ifndef RF_DAEMON_CONTROL_JSON_H
#define RF_DAEMON_CONTROL_JSON_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	char *
	    rq_id; /* the very bytes that came, which are JSON: "null" where there was none */
	bool rq_nul; /* a string, or a name, has a NUL: request_text() would end there */
	JsonObject *rq_object;
	JsonParser *rq_parser; /* owns it */
};

/* A line without its newline; it need not end with NUL.  False: it is not a request, and
 * *ret_why says why. */
bool request_parse(
    struct request *rq, const char *line, size_t len, const char **ret_why);
void request_done(struct request *rq);
/* A member that is a string, or a truth; else NULL, or what is meant without it. */
const char *request_text(const struct request *rq, const char *name);
bool request_bool(const struct request *rq, const char *name, bool otherwise);

struct jw {
	GString *jw_s;
	bool jw_more; /* a comma comes before what is next */
};

/* name NULL: in a list, or at the top. */
void jw_open(struct jw *w, const char *name, char bracket);
void jw_close(struct jw *w, char bracket);
void jw_text(struct jw *w, const char *name, const char *text); /* NULL: null */
void jw_text_len(struct jw *w, const char *name, const char *text, size_t len);
void jw_number(struct jw *w, const char *name, uint64_t n);
void jw_bool(struct jw *w, const char *name, bool b);
void jw_null(struct jw *w, const char *name);
/* JSON that is finished. */
void jw_raw(struct jw *w, const char *name, const char *json);

#endif
