/*
 * Is it JSON, to the letter?  Looked at before the parser has it: that calls itself for each
 * level, takes more than JSON, ends strings at a NUL and forgets how a number was written.
 */
#ifndef RF_DAEMON_CONTROL_SCAN_H
#define RF_DAEMON_CONTROL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#define CONTROL_DEPTH 16

struct control_scan {
	const char *sc_id; /* the bytes of the value of the last member "id", or NULL */
	size_t sc_idlen;
	bool sc_nul; /* a string has a \u0000, of all but that id */
};

/* A line, which is UTF-8: one object of RFC 8259, of at most CONTROL_DEPTH levels, in which
 * no half of a surrogate pair stands alone.  False: it is not, and *ret_why says why. */
bool control_scan(
    const char *line, size_t len, struct control_scan *ret, const char **ret_why);

#endif
