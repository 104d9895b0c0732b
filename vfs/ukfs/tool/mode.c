/*
 * chmod's modes (text.h).
 *
 * A clause is who ("ugoa", none: all that the umask leaves), then one or more of an operator
 * and what it is about: permissions "rwxXst", or whose present ones: "u", "g", "o".
 */
#include <errno.h>
#include <string.h>

#include "vfs/ukfs/tool/text.h"

/* The bits that who stands for; the s and t bits go with them. */
static mode_t
who_bits(char c)
{
	switch (c) {
	case 'u':
		return S_ISUID | S_IRWXU;
	case 'g':
		return S_ISGID | S_IRWXG;
	case 'o':
		return S_ISVTX | S_IRWXO;
	case 'a':
		return 07777;
	}
	return 0;
}

/* One user class's permissions as everybody's: 05 is 0555. */
static mode_t
spread(mode_t three)
{
	return three << 6 | three << 3 | three;
}

/* What stands behind an operator, moved past: the bits for everybody. */
static mode_t
what_bits(const char **s, mode_t old, bool is_dir)
{
	mode_t what = 0;

	if (**s && strchr("ugo", **s)) {
		unsigned shift = **s == 'u' ? 6 : **s == 'g' ? 3 : 0;
		(*s)++;
		return spread(old >> shift & 7);
	}
	for (;; (*s)++) {
		switch (**s) {
		case 'r':
			what |= 0444;
			break;
		case 'w':
			what |= 0222;
			break;
		case 'x':
			what |= 0111;
			break;
		case 'X':
			if (is_dir || old & 0111)
				what |= 0111;
			break;
		case 's':
			what |= S_ISUID | S_ISGID;
			break;
		case 't':
			what |= S_ISVTX;
			break;
		default:
			return what;
		}
	}
}

/* One clause, moved past. */
static int
clause(const char **s, mode_t *mode, bool is_dir, mode_t umask_)
{
	mode_t who = 0, mask;

	for (; who_bits(**s); (*s)++)
		who |= who_bits(**s);
	mask = who ? who : 07777 & ~umask_;
	if (!**s || !strchr("+-=", **s))
		return -EINVAL;
	while (**s && strchr("+-=", **s)) {
		char op = *(*s)++;
		mode_t what = what_bits(s, *mode, is_dir) & mask;

		if (op == '+') {
			*mode |= what;
		} else if (op == '-') {
			*mode &= ~what;
		} else {
			mode_t clear = who ? who : 07777;
			/* "=" leaves a directory's s bits, unless they are named. */
			if (is_dir)
				clear &= ~(mode_t)(S_ISUID | S_ISGID);
			*mode = (*mode & ~clear) | what;
		}
	}
	return 0;
}

static int
octal(const char *text, mode_t old, bool is_dir, mode_t *ret)
{
	size_t len = strspn(text, "01234567");
	mode_t mode = 0;

	if (text[len])
		return -EINVAL;
	for (const char *s = text; *s; s++) {
		mode = mode << 3 | (mode_t)(*s - '0');
		if (mode > 07777)
			return -EINVAL;
	}
	/* A directory keeps its s bits unless they are spelt out: 00755. */
	if (is_dir && len < 5)
		mode |= old & (S_ISUID | S_ISGID);
	*ret = mode;
	return 0;
}

int
mode_change(const char *text, mode_t old, bool is_dir, mode_t umask_, mode_t *ret)
{
	mode_t mode = old & 07777;

	if (*text >= '0' && *text <= '9')
		return octal(text, mode, is_dir, ret);
	for (const char *s = text;; s++) {
		int r = clause(&s, &mode, is_dir, umask_);
		if (r < 0)
			return r;
		if (!*s)
			break;
		if (*s != ',')
			return -EINVAL;
	}
	*ret = mode;
	return 0;
}

mode_t
mode_umask(void)
{
	mode_t m = umask(022);

	umask(m);
	return m;
}
