/*
 * cp: a path that begins with a colon is in the image, others are the host's.
 *
 *	cp -a :/etc ./out		cp -a ./tree :/dst		cp :/a :/b
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/copy.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

struct cp {
	struct copy_options cp_o;
	const char *cp_into; /* -t */
	bool cp_no_into;     /* -T */
	bool cp_nofollow;    /* -P */
	char **cp_from;
	int cp_n;
	const char *cp_to;
};

static int
take_options(int argc, char **argv, struct cp *cp)
{
	static const struct option longs[] = {
	    {"archive", no_argument, NULL, 'a'},
	    {"recursive", no_argument, NULL, 'r'},
	    {"force", no_argument, NULL, 'f'},
	    {"no-clobber", no_argument, NULL, 'n'},
	    {"update", no_argument, NULL, 'u'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"dereference", no_argument, NULL, 'L'},
	    {"no-dereference", no_argument, NULL, 'P'},
	    {"target-directory", required_argument, NULL, 't'},
	    {"no-target-directory", no_argument, NULL, 'T'},
	    {0},
	};
	struct copy_options *o = &cp->cp_o;
	int c;

	cmd_begin_options();
	while ((c = getopt_long(argc, argv, "arRpdfnuvLHPt:T", longs, NULL)) != -1) {
		switch (c) {
		case 'a':
			o->co_archive = o->co_recursive = o->co_preserve = true;
			o->co_xattr = o->co_links = cp->cp_nofollow = true;
			break;
		case 'r':
		case 'R':
			o->co_recursive = true;
			break;
		case 'p':
			o->co_preserve = true;
			break;
		case 'd':
			o->co_links = cp->cp_nofollow = true;
			break;
		case 'f':
			o->co_force = true;
			break;
		case 'n':
			o->co_no_clobber = true;
			break;
		case 'u':
			o->co_update = true;
			break;
		case 'v':
			o->co_verbose = true;
			break;
		case 'L':
			o->co_follow = true;
			break;
		case 'H':
			o->co_follow_first = true;
			break;
		case 'P':
			cp->cp_nofollow = true;
			o->co_follow = o->co_follow_first = false;
			break;
		case 't':
			cp->cp_into = optarg;
			break;
		case 'T':
			cp->cp_no_into = true;
			break;
		default:
			return RC_USAGE;
		}
	}
	if (!cp->cp_nofollow && !o->co_recursive)
		o->co_follow = true;
	return -1;
}

static int
take_operands(int argc, char **argv, struct cp *cp)
{
	int n = argc - optind;

	if (n < (cp->cp_into ? 1 : 2))
		return cmd_missing("cp");
	if (cp->cp_into && cp->cp_no_into) {
		badf("cp: -t and -T do not go together");
		return cmd_usage("cp");
	}
	cp->cp_from = argv + optind;
	cp->cp_n = cp->cp_into ? n : n - 1;
	cp->cp_to = cp->cp_into ? cp->cp_into : argv[argc - 1];
	if (cp->cp_no_into && cp->cp_n > 1) {
		badf("cp: -T takes one source");
		return cmd_usage("cp");
	}
	bool image = *cp->cp_to == ':';
	for (int i = 0; i < cp->cp_n; i++)
		image |= cp->cp_from[i][0] == ':';
	if (!image) {
		badf("cp: no path is in the image; those begin with a colon");
		return cmd_usage("cp");
	}
	return -1;
}

/* The place that a path is of, and the path there. */
static const struct place_ops *
side(const char **path)
{
	if (**path != ':')
		return &place_host;
	(*path)++;
	if (!**path)
		*path = ".";
	return &place_image;
}

static bool
is_directory(const char *path)
{
	const struct place_ops *op = side(&path);
	struct place p;
	AUTO_FREE char *name = NULL;
	struct stat st;

	if (place_begin(&p, op, path, &name) < 0)
		return false;
	bool yes = op->stat(&p, name, true, &st) == 0 && S_ISDIR(st.st_mode);
	place_done(&p);
	return yes;
}

/* A directory's path with slashes behind it is the directory; but the root stays. */
static char *
without_slashes(const char *path)
{
	size_t n = strlen(path), root = *path == ':' ? 2 : 1;

	while (n > root && path[n - 1] == '/')
		n--;
	char *s = xstrdup(path);
	s[n] = '\0';
	return s;
}

/* The destination's path: in the directory, under the source's last name. */
static char *
target_path(const struct cp *cp, const char *from, bool into)
{
	if (!into)
		return without_slashes(cp->cp_to);
	const struct place_ops *op = side(&from);
	AUTO_FREE char *base = path_base(from);
	bool colon = *cp->cp_to == ':' && !cp->cp_to[1];

	if (op && (strcmp(base, "/") == 0 || strcmp(base, ".") == 0))
		return xstrdup(cp->cp_to);
	/* "dir/.." would be the directory above. */
	if (strcmp(base, "..") == 0)
		return xstrdup(cp->cp_to);
	return colon ? xasprintf(":%s", base) : path_join(cp->cp_to, base);
}

static int
copy_operand(const struct copy *c, const struct cp *cp, const char *from, bool into)
{
	AUTO_FREE char *to_path = target_path(cp, from, into), *from_name = NULL,
		       *to_name = NULL, *plain = without_slashes(from);
	const char *to = to_path;
	struct place src, dst;
	struct copy_options o = *c->c_o;
	struct copy one = *c;

	/* "link/" is what the link leads to. */
	if (strcmp(plain, from) != 0)
		o.co_follow_first = true;
	from = plain;
	const struct place_ops *sop = side(&from), *dop = side(&to);
	int r = place_begin(&src, sop, from, &from_name);
	if (r < 0)
		return bad(from, r);
	r = place_begin(&dst, dop, to, &to_name);
	if (r < 0) {
		place_done(&src);
		return bad(to, r);
	}
	one.c_o = &o;
	one.c_src = &src;
	one.c_dst = &dst;
	copy_tree(&one, from_name, to_name);
	place_done(&src);
	place_done(&dst);
	return one.c_rc;
}

static int
run_cp(int argc, char **argv)
{
	struct cp cp = {{0}};
	int rc = take_options(argc, argv, &cp);

	if (rc >= 0)
		return cmd_usage("cp");
	rc = take_operands(argc, argv, &cp);
	if (rc >= 0)
		return rc;
	bool into = !cp.cp_no_into && is_directory(cp.cp_to);
	if (!into && (cp.cp_into || cp.cp_n > 1))
		return badf("target %s is not a directory", qm(cp.cp_to));
	struct copy c = {.c_o = &cp.cp_o, .c_umask = mode_umask()};
	c.c_links = copy_links_new();
	rc = RC_FINE;
	for (int i = 0; i < cp.cp_n && !tool_interrupted(); i++)
		rc |= copy_operand(&c, &cp, cp.cp_from[i], into);
	copy_links_free(c.c_links);
	return rc;
}

/* Only into the image. */
static bool
cp_writes(int argc, char **argv)
{
	struct cp cp = {{0}};
	int old = opterr;

	opterr = 0;
	int rc = take_options(argc, argv, &cp);
	opterr = old;
	return rc < 0 && argc > optind &&
	       (cp.cp_into ? *cp.cp_into : *argv[argc - 1]) == ':';
}

const struct command cmd_cp = {
    .c_name = "cp",
    .c_synopsis = "[-arpdfnuvLHP] [-T] SOURCE… DESTINATION\n"
		  "       cp [-arpdfnuvLHP] -t DIRECTORY SOURCE…",
    .c_help = "copy; :PATH is in the image, PATH on the host",
    .c_run = run_cp,
    .c_writes = cp_writes,
};
