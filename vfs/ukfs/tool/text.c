/*
 * How things look (text.h).
 */
#include "vfs/ukfs/tool/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "vfs/ukfs/tool/tool.h"

enum quoting
quoting_default(void)
{
	static int is_terminal = -1;

	if (is_terminal < 0)
		is_terminal = isatty(STDOUT_FILENO);
	return is_terminal ? Q_SHELL : Q_LITERAL;
}

/* The character at s: its length, whether it can be printed. */
static size_t
one_char(const char *s, bool *ret_print)
{
	wchar_t wc;
	mbstate_t st;

	memset(&st, 0, sizeof(st));
	size_t n = mbrtowc(&wc, s, strlen(s), &st);

	if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
		*ret_print = false;
		return 1;
	}
	*ret_print = iswprint((wint_t)wc) != 0;
	return n;
}

/* Is the name a word as it is? */
static bool
is_plain(const char *s)
{
	bool print;

	if (!*s || *s == '~' || *s == '#')
		return false;
	for (; *s; s += one_char(s, &print)) {
		(void)one_char(s, &print);
		if (!print || strchr(" !\"$&'()*;<=>?[\\]^`{|}", *s))
			return false;
	}
	return true;
}

static char *
put_octal(char *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		o += sprintf(o, "\\%03o", (unsigned char)s[i]);
	return o;
}

static char *
put_escape(char *o, const char *s, size_t n)
{
	static const char from[] = "\a\b\f\n\r\t\v", to[] = "abfnrtv";
	const char *p = n == 1 && *s ? strchr(from, *s) : NULL;

	if (!p)
		return put_octal(o, s, n);
	*o++ = '\\';
	*o++ = to[p - from];
	return o;
}

/* One character in the style; the longest is '$'\000'' for one byte. */
static char *
put_char(char *o, const char *s, size_t n, bool print, enum quoting q)
{
	if (!print && q == Q_QUESTION) {
		*o++ = '?';
		return o;
	}
	if (!print && q == Q_ESCAPE)
		return put_escape(o, s, n);
	if (!print && q == Q_SHELL) {
		o = stpcpy(o, "'$'");
		o = put_escape(o, s, n);
		return stpcpy(o, "''");
	}
	if (q == Q_ESCAPE && (*s == ' ' || *s == '\\'))
		*o++ = '\\';
	if (q == Q_SHELL && *s == '\'')
		return stpcpy(o, "'\\''");
	memcpy(o, s, n);
	return o + n;
}

char *
name_text(const char *name, enum quoting q)
{
	bool print;
	size_t n;

	if (q == Q_LITERAL || (q == Q_SHELL && is_plain(name)))
		return xstrdup(name);
	q = q == Q_ALWAYS ? Q_SHELL : q;
	char *out = xmalloc(strlen(name) * 10 + 3), *o = out;

	if (q == Q_SHELL)
		*o++ = '\'';
	for (const char *s = name; *s; s += n) {
		n = one_char(s, &print);
		o = put_char(o, s, n, print, q);
	}
	if (q == Q_SHELL)
		*o++ = '\'';
	*o = '\0';
	return out;
}

const char *
qm(const char *name)
{
	static char *ring[8];
	static unsigned at;

	at = (at + 1) % 8;
	free(ring[at]);
	ring[at] = name_text(name, Q_SHELL);
	return ring[at];
}

int
text_width(const char *s)
{
	int w = 0;
	wchar_t wc;
	mbstate_t st;

	memset(&st, 0, sizeof(st));
	while (*s) {
		size_t n = mbrtowc(&wc, s, strlen(s), &st);
		if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
			memset(&st, 0, sizeof(st));
			n = 1;
			w++;
		} else {
			int cw = wcwidth(wc);
			w += cw > 0 ? cw : 0;
		}
		s += n;
	}
	return w;
}

const char *
human(uint64_t n, char buf[16])
{
	static const char units[] = "KMGTPE";

	if (n < 1024) {
		snprintf(buf, 16, "%u", (unsigned)n);
		return buf;
	}
	for (unsigned u = 0; u < 6; u++) {
		uint64_t one = 1ull << (10 * (u + 1));
		uint64_t tenths = (uint64_t)(((unsigned __int128)n * 10 + one - 1) / one);
		uint64_t whole = n / one + (n % one != 0);

		if (tenths < 100)
			snprintf(buf, 16, "%u.%u%c", (unsigned)(tenths / 10),
			    (unsigned)(tenths % 10), units[u]);
		else if (whole < 1024)
			snprintf(buf, 16, "%u%c", (unsigned)whole, units[u]);
		else
			continue;
		break;
	}
	return buf;
}

void
mode_text(mode_t mode, char buf[12])
{
	static const char rwx[] = "rwxrwxrwx";

	buf[0] = S_ISREG(mode)    ? '-'
	         : S_ISDIR(mode)  ? 'd'
	         : S_ISLNK(mode)  ? 'l'
	         : S_ISCHR(mode)  ? 'c'
	         : S_ISBLK(mode)  ? 'b'
	         : S_ISFIFO(mode) ? 'p'
	         : S_ISSOCK(mode) ? 's'
	                          : '?';
	for (unsigned i = 0; i < 9; i++)
		buf[1 + i] = (char)(mode & (0400u >> i) ? rwx[i] : '-');
	if (mode & S_ISUID)
		buf[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		buf[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		buf[9] = mode & S_IXOTH ? 't' : 'T';
	buf[10] = '\0';
}

const char *
type_text(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return st->st_size ? "regular file" : "regular empty file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symbolic link";
	case S_IFCHR:
		return "character special file";
	case S_IFBLK:
		return "block special file";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	}
	return "weird file";
}

void
time_short(const struct timespec *t, char *buf, size_t size)
{
	const time_t half_year = 31556952 / 2;
	time_t now = time(NULL);
	struct tm tm;

	if (!localtime_r(&t->tv_sec, &tm)) {
		snprintf(buf, size, "%lld", (long long)t->tv_sec);
		return;
	}
	bool recent = t->tv_sec <= now && t->tv_sec > now - half_year;
	strftime(buf, size, recent ? "%b %e %H:%M" : "%b %e  %Y", &tm);
}

void
time_full(const struct timespec *t, char *buf, size_t size)
{
	char day[64], zone[16];
	struct tm tm;

	if (!localtime_r(&t->tv_sec, &tm)) {
		snprintf(buf, size, "%lld", (long long)t->tv_sec);
		return;
	}
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(buf, size, "%s.%09ld %s", day, t->tv_nsec, zone);
}

/* What a suffix multiplies by; 0: it is none. */
static uint64_t
suffix(const char *s)
{
	static const char letters[] = "kMGTPE";

	if (s[0] == 'c' && !s[1])
		return 1;
	if (s[0] == 'w' && !s[1])
		return 2;
	if (s[0] == 'b' && !s[1])
		return 512;
	char c = s[0] == 'K' ? 'k' : s[0];
	const char *p = c ? strchr(letters, c) : NULL;
	if (!p || (s[1] && strcmp(s + 1, "B") != 0 && strcmp(s + 1, "iB") != 0))
		return 0;
	uint64_t base = strcmp(s + 1, "B") == 0 ? 1000 : 1024, n = 1;
	for (long i = p - letters; i >= 0; i--)
		n *= base;
	return n;
}

int
size_parse(const char *text, uint64_t unit, uint64_t *ret, uint64_t *ret_unit)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end)
		unit = suffix(end);
	if (unit == 0)
		return -EINVAL;
	if (n > UINT64_MAX / unit)
		return -ERANGE;
	*ret = n * unit;
	if (ret_unit)
		*ret_unit = unit;
	return 0;
}
