/*
 * JSON, to the letter (control_scan.h).
 */
#include "daemon/control_scan.h"

#include <stdint.h>
#include <string.h>

struct scan {
	const char *s_at, *s_end;
	unsigned s_depth;
	struct control_scan *s_ret;
	const char *s_why; /* NULL: it is just no JSON */
};

/* The next byte, or -1. */
static int
peek(const struct scan *s)
{
	return s->s_at < s->s_end ? (unsigned char)*s->s_at : -1;
}

static bool
take(struct scan *s, char c)
{
	if (peek(s) != (unsigned char)c)
		return false;
	s->s_at++;
	return true;
}

static void
space(struct scan *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\r' || peek(s) == '\n')
		s->s_at++;
}

static bool
word(struct scan *s, const char *text)
{
	while (*text)
		if (!take(s, *text++))
			return false;
	return true;
}

static bool
digits(struct scan *s)
{
	const char *from = s->s_at;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->s_at++;
	return s->s_at > from;
}

static bool
number(struct scan *s)
{
	(void)take(s, '-');
	if (!take(s, '0') && !digits(s))
		return false;
	if (take(s, '.') && !digits(s))
		return false;
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			(void)take(s, '-');
		return digits(s);
	}
	return true;
}

/* The four digits after \u. */
static bool
unit(struct scan *s, unsigned *ret)
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";

	*ret = 0;
	for (int i = 0; i < 4; i++) {
		int c = peek(s);
		const char *at = c > 0 ? strchr(hex, c) : NULL;

		if (!at)
			return false;
		*ret = *ret << 4 | (unsigned)((at - hex) % 16);
		s->s_at++;
	}
	return true;
}

/* After a backslash. */
static bool
escape(struct scan *s, bool *nul)
{
	int c = peek(s);
	unsigned u, low;

	if (c <= 0 || !strchr("\"\\/bfnrtu", c))
		return false;
	s->s_at++;
	if (c != 'u')
		return true;
	if (!unit(s, &u))
		return false;
	*nul |= u == 0;
	if (u < 0xd800 || u > 0xdfff)
		return true;
	if (u <= 0xdbff && word(s, "\\u") && unit(s, &low) && low >= 0xdc00 &&
	    low <= 0xdfff)
		return true;
	s->s_why = "half of a surrogate pair";
	return false;
}

static bool
string(struct scan *s, bool *nul)
{
	if (!take(s, '"'))
		return false;
	while (!take(s, '"')) {
		if (take(s, '\\')) {
			if (!escape(s, nul))
				return false;
		} else if (peek(s) < 0x20) {
			return false; /* or the end */
		} else {
			s->s_at++;
		}
	}
	return true;
}

/* Is a member's name, in its quotes, that of the id?  Who likes may write it in escapes. */
static bool
is_id(const char *name, size_t len)
{
	static const char *const forms[2][3] = {
	    {"i", "\\u0069", "\\u0069"}, {"d", "\\u0064", "\\u0064"}};
	const char *at = name + 1, *end = name + len - 1;

	for (size_t i = 0; i < 2; i++) {
		size_t k = 0, n = 0;

		for (; k < 2; k++) {
			n = strlen(forms[i][k]);
			if ((size_t)(end - at) >= n && memcmp(at, forms[i][k], n) == 0)
				break;
		}
		if (k == 2)
			return false;
		at += n;
	}
	return at == end;
}

static bool value(struct scan *s, bool *nul);

static bool
member(struct scan *s)
{
	const char *name = s->s_at, *from;
	bool id, nul = false, *to = &s->s_ret->sc_nul;

	if (!string(s, &s->s_ret->sc_nul))
		return false;
	id = s->s_depth == 1 && is_id(name, (size_t)(s->s_at - name));
	space(s);
	if (!take(s, ':'))
		return false;
	space(s);
	from = s->s_at;
	if (!value(s, id ? &nul : to))
		return false;
	if (id) {
		s->s_ret->sc_id = from;
		s->s_ret->sc_idlen = (size_t)(s->s_at - from);
	}
	return true;
}

/* The members or elements that are left, and the bracket. */
static bool
rest(struct scan *s, char bracket, bool *nul)
{
	space(s);
	if (take(s, bracket))
		return true;
	for (;;) {
		space(s);
		if (!(bracket == '}' ? member(s) : value(s, nul)))
			return false;
		space(s);
		if (take(s, bracket))
			return true;
		if (!take(s, ','))
			return false;
	}
}

static bool
nested(struct scan *s, char bracket, bool *nul)
{
	bool ok;

	if (s->s_depth == CONTROL_DEPTH) {
		s->s_why = "nested too deep";
		return false;
	}
	s->s_depth++;
	s->s_at++;
	ok = rest(s, bracket, nul);
	s->s_depth--;
	return ok;
}

static bool
value(struct scan *s, bool *nul)
{
	switch (peek(s)) {
	case '{':
		return nested(s, '}', nul);
	case '[':
		return nested(s, ']', nul);
	case '"':
		return string(s, nul);
	case 't':
		return word(s, "true");
	case 'f':
		return word(s, "false");
	case 'n':
		return word(s, "null");
	default:
		return number(s);
	}
}

bool
control_scan(const char *line, size_t len, struct control_scan *ret, const char **ret_why)
{
	struct scan s = {.s_at = line, .s_end = line + len, .s_ret = ret};
	bool ok;

	*ret = (struct control_scan){.sc_id = NULL};
	space(&s);
	ok = peek(&s) == '{' && value(&s, &ret->sc_nul);
	space(&s);
	if (ok && s.s_at == s.s_end)
		return true;
	*ret_why = s.s_why ? s.s_why : "a request is one JSON object to a line";
	return false;
}
