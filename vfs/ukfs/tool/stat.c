/*
 * stat
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

struct shown {
	const char *s_path;
	bool s_quote; /* %N has quotes in any case */
	struct stat s_st;
};

static void
field_time(const struct timespec *t, bool seconds, char *buf, size_t size)
{
	if (seconds)
		snprintf(buf, size, "%lld", (long long)t->tv_sec);
	else
		time_full(t, buf, size);
}

/* Numbers.  False: it is none. */
static bool
field_number(char c, const struct stat *st, unsigned long long *ret)
{
	switch (c) {
	case 's':
		*ret = (unsigned long long)st->st_size;
		return true;
	case 'b':
		*ret = (unsigned long long)st->st_blocks;
		return true;
	case 'B':
		*ret = 512;
		return true;
	case 'o':
		*ret = (unsigned long long)st->st_blksize;
		return true;
	case 'u':
		*ret = st->st_uid;
		return true;
	case 'g':
		*ret = st->st_gid;
		return true;
	case 'h':
		*ret = st->st_nlink;
		return true;
	case 'i':
		*ret = st->st_ino;
		return true;
	case 'd':
		*ret = st->st_dev;
		return true;
	case 'r':
		*ret = st->st_rdev;
		return true;
	}
	return false;
}

/* With what a symbolic link leads to. */
static char *
field_name(const struct shown *s)
{
	enum quoting q = s->s_quote ? Q_ALWAYS : Q_SHELL;
	AUTO_FREE char *name = name_text(s->s_path, q), *to = NULL;

	if (!S_ISLNK(s->s_st.st_mode) || img_readlink(s->s_path, &to) < 0)
		return xstrdup(name);
	AUTO_FREE char *shown = name_text(to, q);
	return xasprintf("%s -> %s", name, shown);
}

/* What one letter stands for: the caller's to free; NULL: nothing. */
static char *
field(char c, const struct shown *s)
{
	const struct stat *st = &s->s_st;
	unsigned long long n;
	char buf[128];
	const char *name;

	if (field_number(c, st, &n))
		return xasprintf("%llu", n);
	switch (c) {
	case 'n':
		return name_text(s->s_path, quoting_default());
	case 'N':
		return field_name(s);
	case 'F':
		return xstrdup(type_text(st));
	case 'a':
		return xasprintf("%o", st->st_mode & 07777);
	case 'f':
		return xasprintf("%x", st->st_mode);
	case 'A':
		mode_text(st->st_mode, buf);
		return xstrdup(buf);
	case 'U':
		name = owner_user(st->st_uid);
		return xstrdup(name ? name : "UNKNOWN");
	case 'G':
		name = owner_group(st->st_gid);
		return xstrdup(name ? name : "UNKNOWN");
	case 't':
		return xasprintf("%x", major(st->st_rdev));
	case 'T':
		return xasprintf("%x", minor(st->st_rdev));
	case 'x':
	case 'X':
		field_time(&st->st_atim, c == 'X', buf, sizeof(buf));
		return xstrdup(buf);
	case 'y':
	case 'Y':
		field_time(&st->st_mtim, c == 'Y', buf, sizeof(buf));
		return xstrdup(buf);
	case 'z':
	case 'Z':
		field_time(&st->st_ctim, c == 'Z', buf, sizeof(buf));
		return xstrdup(buf);
	case 'w':
		return xstrdup("-");
	case 'W':
		return xstrdup("0");
	}
	return NULL;
}

/* printf's flags and width are a string's. */
static int
print_format(const char *f, const struct shown *s)
{
	for (; *f; f++) {
		if (*f != '%') {
			putchar(*f);
			continue;
		}
		size_t n = 1 + strspn(f + 1, "-0+ #");
		bool left = memchr(f, '-', n) != NULL, zero = !left && memchr(f, '0', n);
		int width = 0;
		for (; f[n] >= '0' && f[n] <= '9'; n++)
			width = width < 10000 ? width * 10 + (f[n] - '0') : width;
		if (f[n] == '%' && n == 1) {
			putchar('%');
			f++;
			continue;
		}
		AUTO_FREE char *text = f[n] ? field(f[n], s) : NULL;
		if (!text)
			return badf("stat: %%%c is not known", f[n] ? f[n] : ' ');
		int pad = width - text_width(text);
		for (int i = 0; !left && i < pad; i++)
			putchar(zero ? '0' : ' ');
		fputs(text, stdout);
		for (int i = 0; left && i < pad; i++)
			putchar(' ');
		f += n;
	}
	return RC_FINE;
}

static const char plain[] = "  File: %N\n"
			    "  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\n"
			    "Device: %-8d\tInode: %-11i Links: %h\n"
			    "Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\n"
			    "Access: %x\nModify: %y\nChange: %z\n";
static const char plain_device[] =
    "  File: %N\n"
    "  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\n"
    "Device: %-8d\tInode: %-11i Links: %-5h Device type: %t,%T\n"
    "Access: (%04a/%A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\n"
    "Access: %x\nModify: %y\nChange: %z\n";

static int
run_stat(int argc, char **argv)
{
	static const struct option longs[] = {{"format", required_argument, NULL, 'c'},
	    {"dereference", no_argument, NULL, 'L'}, {0}};
	const char *format = NULL;
	bool follow = false;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt_long(argc, argv, "c:L", longs, NULL)) != -1) {
		if (c == '?')
			return cmd_usage("stat");
		if (c == 'c')
			format = optarg;
		else
			follow = true;
	}
	if (optind >= argc)
		return cmd_missing("stat");
	for (; optind < argc; optind++) {
		struct shown s = {.s_path = argv[optind], .s_quote = format};
		int r =
		    follow ? img_stat(s.s_path, &s.s_st) : img_lstat(s.s_path, &s.s_st);
		if (r < 0) {
			rc = badf("cannot stat %s: %s", qm(s.s_path), strerror(-r));
			continue;
		}
		bool device = S_ISCHR(s.s_st.st_mode) || S_ISBLK(s.s_st.st_mode);
		rc |= print_format(format ? format : device ? plain_device : plain, &s);
		if (format)
			putchar('\n');
	}
	return rc;
}

const struct command cmd_stat = {
    .c_name = "stat",
    .c_synopsis = "[-L] [-c FORMAT] PATH…",
    .c_help = "show attributes",
    .c_run = run_stat,
};
