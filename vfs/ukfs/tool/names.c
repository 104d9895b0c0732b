/*
 * Commands that make, remove and rename: mkdir, rm, rmdir, mv, ln, cd, sync.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"
#include "vfs/ukfs/tool/walk.h"

static int
cannot(const char *what, const char *path, int err)
{
	return badf("%s %s: %s", what, qm(path), strerror(-err));
}

/* mkdir */

static bool
is_directory(const char *path)
{
	struct stat st;

	return img_stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The directories above, as mkdir -p does: w and x are its maker's. */
static int
make_parents(char *path, mode_t mode)
{
	for (char *s = path + strspn(path, "/"); (s = strchr(s, '/')); s++) {
		*s = '\0';
		int r = img_mkdir(path, mode | 0300);
		if (r == -EEXIST && is_directory(path))
			r = 0;
		if (r < 0) {
			cannot("cannot create directory", path, r);
			return RC_SOME;
		}
		*s = '/';
		s += strspn(s, "/") - 1;
	}
	return RC_FINE;
}

static int
make_directory(const char *arg, bool parents, mode_t plain, mode_t mode)
{
	AUTO_FREE char *path = xstrdup(arg);

	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';)
		path[--n] = '\0';
	if (parents && make_parents(path, plain) != RC_FINE)
		return RC_SOME;
	int r = img_mkdir(path, mode);
	if (r == -EEXIST && parents && is_directory(path))
		return RC_FINE;
	/* mkdir() may leave s and t out. */
	if (r == 0 && mode & 07000)
		r = img_chmod(path, mode);
	return r < 0 ? cannot("cannot create directory", arg, r) : RC_FINE;
}

static int
run_mkdir(int argc, char **argv)
{
	static const struct option longs[] = {{"parents", no_argument, NULL, 'p'},
	    {"mode", required_argument, NULL, 'm'}, {0}};
	mode_t plain = 0777 & ~mode_umask(), mode = plain;
	bool parents = false;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt_long(argc, argv, "pm:", longs, NULL)) != -1) {
		if (c == 'p') {
			parents = true;
		} else if (c != 'm') {
			return cmd_usage("mkdir");
		} else if (mode_change(optarg, 0777, false, mode_umask(), &mode) < 0) {
			badf("mkdir: invalid mode %s", qm(optarg));
			return RC_USAGE;
		}
	}
	if (optind >= argc)
		return cmd_missing("mkdir");
	for (; optind < argc; optind++)
		rc |= make_directory(argv[optind], parents, plain, mode);
	return rc;
}

const struct command cmd_mkdir = {
    .c_name = "mkdir",
    .c_synopsis = "[-p] [-m MODE] DIRECTORY…",
    .c_help = "make directories",
    .c_run = run_mkdir,
    .c_writes = cmd_always,
};

/* rm */

static int
remove_one(struct walk *w, enum when when)
{
	int r;

	if (when == W_PRE)
		return 0;
	r = when == W_POST ? img_rmdir(w->w_path) : img_remove(w->w_path);
	/* What kept a directory from being emptied has been said. */
	if (r < 0 && !(r == -ENOTEMPTY && (w->w_failed || *(int *)w->w_arg)))
		*(int *)w->w_arg = cannot("cannot remove", w->w_path, r);
	return 0;
}

static bool
is_dots(const char *path)
{
	AUTO_FREE char *base = path_base(path);

	return strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ||
	       strcmp(base, "/") == 0;
}

static int
remove_operand(const char *path, bool recursive, bool force)
{
	struct stat st;
	int rc = RC_FINE, r = img_lstat(path, &st);

	if (r == -ENOENT && force)
		return RC_FINE;
	if (r < 0)
		return cannot("cannot remove", path, r);
	if (is_dots(path))
		return badf("refusing to remove %s", qm(path));
	if (S_ISDIR(st.st_mode) && !recursive)
		return cannot("cannot remove", path, -EISDIR);
	struct walk w = {.w_arg = &rc, .w_command = "cannot remove"};
	return walk_tree(&w, path, remove_one) | rc;
}

static int
run_rm(int argc, char **argv)
{
	static const struct option longs[] = {{"recursive", no_argument, NULL, 'r'},
	    {"force", no_argument, NULL, 'f'}, {0}};
	bool recursive = false, force = false;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt_long(argc, argv, "rRf", longs, NULL)) != -1) {
		if (c == '?')
			return cmd_usage("rm");
		force |= c == 'f';
		recursive |= c != 'f';
	}
	if (optind >= argc)
		return force ? RC_FINE : cmd_missing("rm");
	for (; optind < argc && !tool_interrupted(); optind++)
		rc |= remove_operand(argv[optind], recursive, force);
	return rc;
}

const struct command cmd_rm = {
    .c_name = "rm",
    .c_synopsis = "[-rf] PATH…",
    .c_help = "remove",
    .c_run = run_rm,
    .c_writes = cmd_always,
};

static int
run_rmdir(int argc, char **argv)
{
	int rc = RC_FINE;

	if (argc < 2)
		return cmd_missing("rmdir");
	for (int i = 1; i < argc; i++) {
		int r = img_rmdir(argv[i]);
		if (r < 0)
			rc = cannot("cannot remove", argv[i], r);
	}
	return rc;
}

const struct command cmd_rmdir = {
    .c_name = "rmdir",
    .c_synopsis = "DIRECTORY…",
    .c_help = "remove empty directories",
    .c_run = run_rmdir,
    .c_writes = cmd_always,
};

/* mv and ln: SOURCE… into a directory, or SOURCE to a name. */

struct pair {
	bool p_force, p_no_clobber, p_symbolic, p_no_follow, p_no_into;
	const char *p_into;
};

typedef int pair_fn(const struct pair *p, const char *from, const char *to);

static bool
is_there(const char *path, struct stat *ret)
{
	return img_lstat(path, ret) == 0;
}

static int
move_one(const struct pair *p, const char *from, const char *to)
{
	struct stat a, b;
	bool there = is_there(to, &b);

	if (there && p->p_no_clobber)
		return RC_FINE;
	if (there && is_there(from, &a) && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		/* rename() does nothing between two names of one file; mv is to remove one. */
		if (S_ISDIR(a.st_mode) || strcmp(from, to) == 0)
			return badf("%s and %s are the same file", qm(from), qm(to));
		int r = img_remove(from);
		return r < 0 ? cannot("cannot remove", from, r) : RC_FINE;
	}
	int r = img_rename(from, to);
	if (r < 0)
		return badf("cannot move %s to %s: %s", qm(from), qm(to), strerror(-r));
	return RC_FINE;
}

static int
link_one(const struct pair *p, const char *from, const char *to)
{
	struct stat a, b;
	int r = 0;

	if (p->p_force && is_there(to, &b)) {
		if (!p->p_symbolic && is_there(from, &a) && a.st_ino == b.st_ino)
			return badf("%s and %s are the same file", qm(from), qm(to));
		r = S_ISDIR(b.st_mode) ? -EISDIR : img_remove(to);
	}
	if (r == 0)
		r = p->p_symbolic ? img_symlink(from, to) : img_link(from, to);
	if (r < 0)
		return badf("cannot link %s to %s: %s", qm(to), qm(from), strerror(-r));
	return RC_FINE;
}

static int
each_pair(const struct pair *p, int n, char **v, const char *to, pair_fn *fn)
{
	struct stat st;
	bool into =
	    !p->p_no_into &&
	    (p->p_no_follow && n == 1 ? img_lstat(to, &st) == 0 && S_ISDIR(st.st_mode)
				      : is_directory(to));
	int rc = RC_FINE;

	if (!into && (n > 1 || p->p_into))
		return badf("target %s is not a directory", qm(to));
	for (int i = 0; i < n && !tool_interrupted(); i++) {
		AUTO_FREE char *base = path_base(v[i]), *path = path_join(to, base);
		rc |= fn(p, v[i], into ? path : to);
	}
	return rc;
}

static int
run_pairs(int argc, char **argv, const char *options, pair_fn *fn)
{
	static const struct option longs[] = {{"force", no_argument, NULL, 'f'},
	    {"symbolic", no_argument, NULL, 's'}, {"no-clobber", no_argument, NULL, 'n'},
	    {"target-directory", required_argument, NULL, 't'},
	    {"no-target-directory", no_argument, NULL, 'T'}, {0}};
	struct pair p = {0};
	bool is_mv = fn == move_one;
	int c;

	cmd_begin_options();
	while ((c = getopt_long(argc, argv, options, longs, NULL)) != -1) {
		if (c == '?' || (c == 's' && is_mv))
			return cmd_usage(argv[0]);
		p.p_force |= c == 'f';
		p.p_symbolic |= c == 's';
		p.p_no_into |= c == 'T';
		p.p_no_clobber |= c == 'n' && is_mv;
		p.p_no_follow |= c == 'n' && !is_mv;
		if (c == 't')
			p.p_into = optarg;
	}
	int n = argc - optind;
	if (n < 1 || (n < 2 && !p.p_into && is_mv))
		return cmd_missing(argv[0]);
	if (p.p_into)
		return each_pair(&p, n, argv + optind, p.p_into, fn);
	if (n == 1) /* ln TARGET: into the current directory */
		return each_pair(&p, 1, argv + optind, ".", fn);
	if (p.p_no_into && n > 2)
		return cmd_usage(argv[0]);
	return each_pair(&p, n - 1, argv + optind, argv[argc - 1], fn);
}

static int
run_mv(int argc, char **argv)
{
	return run_pairs(argc, argv, "fnt:T", move_one);
}

static int
run_ln(int argc, char **argv)
{
	return run_pairs(argc, argv, "fsnt:T", link_one);
}

const struct command cmd_mv = {
    .c_name = "mv",
    .c_synopsis = "[-fnT] [-t DIRECTORY] SOURCE… DESTINATION",
    .c_help = "rename, or move into a directory",
    .c_run = run_mv,
    .c_writes = cmd_always,
};

const struct command cmd_ln = {
    .c_name = "ln",
    .c_synopsis = "[-sfnT] [-t DIRECTORY] TARGET… NAME",
    .c_help = "make links",
    .c_run = run_ln,
    .c_writes = cmd_always,
};

/* The mount. */

static int
run_cd(int argc, char **argv)
{
	int r;

	if (argc > 2)
		return cmd_usage("cd");
	r = img_chdir(argc > 1 ? argv[1] : "/");
	return r < 0 ? bad(argv[1], r) : RC_FINE;
}

const struct command cmd_cd = {
    .c_name = "cd",
    .c_synopsis = "[DIRECTORY]",
    .c_help = "where relative paths of the next commands start",
    .c_run = run_cd,
};

static int
run_sync(int argc, char **argv)
{
	return ukfs_sync(tool_fs) < 0 ? bad(target.tg_name, errno) : RC_FINE;
}

const struct command cmd_sync = {
    .c_name = "sync",
    .c_synopsis = "",
    .c_help = "what was written is on the disk",
    .c_run = run_sync,
};
