/*
 * xattr: extended attributes of a name itself, symbolic links included.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

/* A value as a text where it is one, else "0x" and its bytes. */
static void
print_value(const char *v, size_t n)
{
	bool text = true;

	for (size_t i = 0; i < n; i++)
		text &= v[i] >= ' ' && v[i] < 127 && v[i] != '"' && v[i] != '\\';
	if (text) {
		printf("\"%.*s\"", (int)n, v);
		return;
	}
	fputs("0x", stdout);
	for (size_t i = 0; i < n; i++)
		printf("%02x", (unsigned char)v[i]);
}

static int
print_attribute(const char *path, const char *name, bool raw)
{
	static char value[65536];
	ssize_t n = img_getxattr(path, name, value, sizeof(value));

	if (n < 0)
		return badf("%s: %s: %s", qm(path), qm(name), strerror((int)-n));
	if (raw) {
		fwrite(value, 1, (size_t)n, stdout);
		return RC_FINE;
	}
	AUTO_FREE char *shown = name_text(name, Q_ESCAPE);
	printf("%s=", shown);
	print_value(value, (size_t)n);
	putchar('\n');
	return RC_FINE;
}

static int
print_attributes(const char *path, bool head)
{
	static char list[65536];
	int rc = RC_FINE;
	ssize_t n = img_listxattr(path, list, sizeof(list));

	if (n < 0)
		return bad(path, (int)n);
	if (head && n > 0)
		printf("# %s\n", qm(path));
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		rc |= print_attribute(path, list + at, false);
	return rc;
}

/* "0x0a0b", or the text itself: how many bytes, or -EINVAL.  In place. */
static ssize_t
parse_value(char *s)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t n = strlen(s);

	if (strncmp(s, "0x", 2) != 0)
		return (ssize_t)n;
	if (n % 2 || s[2 + strspn(s + 2, digits)])
		return -EINVAL;
	for (size_t i = 2; i < n; i += 2) {
		char two[3] = {s[i], s[i + 1], '\0'};
		s[i / 2 - 1] = (char)strtoul(two, NULL, 16);
	}
	return (ssize_t)(n / 2 - 1);
}

static int
run_xattr(int argc, char **argv)
{
	const char *print = NULL, *set = NULL, *drop = NULL;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "p:w:d:")) != -1) {
		if (c == '?')
			return cmd_usage("xattr");
		*(c == 'p' ? &print : c == 'w' ? &set : &drop) = optarg;
	}
	if (argc - optind < (set ? 2 : 1) || !!print + !!set + !!drop > 1)
		return cmd_missing("xattr");
	char *value = set ? argv[optind++] : NULL;
	ssize_t n = set ? parse_value(value) : 0;
	if (n < 0) {
		badf("xattr: invalid value %s", qm(value));
		return RC_USAGE;
	}
	for (int i = optind; i < argc; i++) {
		int r = 0;
		if (print)
			rc |= print_attribute(argv[i], print, true);
		else if (set)
			r = img_setxattr(argv[i], set, value, (size_t)n);
		else if (drop)
			r = img_removexattr(argv[i], drop);
		else
			rc |= print_attributes(argv[i], argc - optind > 1);
		if (r < 0)
			rc = badf("%s: %s: %s", qm(argv[i]), qm(set ? set : drop),
			    strerror(-r));
	}
	return rc;
}

static bool
xattr_writes(int argc, char **argv)
{
	bool writes = false;
	int c, old = opterr;

	cmd_begin_options();
	opterr = 0;
	while ((c = getopt(argc, argv, "p:w:d:")) != -1)
		writes |= c == 'w' || c == 'd';
	opterr = old;
	return writes;
}

const struct command cmd_xattr = {
    .c_name = "xattr",
    .c_synopsis = "[-p NAME | -w NAME VALUE | -d NAME] PATH…",
    .c_help = "list, print, write or delete extended attributes",
    .c_run = run_xattr,
    .c_writes = xattr_writes,
};
