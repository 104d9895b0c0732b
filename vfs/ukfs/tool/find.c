/*
 * find
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vfs/ukfs/tool/find.h"
#include "vfs/ukfs/tool/find_private.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

static bool
compare(const struct find_expr *e, uint64_t n)
{
	return e->e_cmp < 0   ? n < e->e_number
	       : e->e_cmp > 0 ? n > e->e_number
	                      : n == e->e_number;
}

/* -mtime and -mmin count whole units, downwards; -newer is to the nanosecond. */
static bool
compare_age(const struct find_expr *e, const struct find_run *r, int64_t unit)
{
	int64_t age = (int64_t)r->fr_now - r->fr_walk->w_st->st_mtim.tv_sec;

	if (age < 0)
		return e->e_cmp < 0;
	return compare(e, (uint64_t)(age / unit));
}

static bool
is_newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static bool
is_empty(const struct walk *w)
{
	AUTO_NAMES struct names na = {0};

	if (S_ISREG(w->w_st->st_mode))
		return w->w_st->st_size == 0;
	return S_ISDIR(w->w_st->st_mode) && img_names(w->w_path, &na) == 0 &&
	       na.na_n == 0;
}

static bool
matches_link(const struct find_expr *e, const struct walk *w)
{
	AUTO_FREE char *to = NULL;

	return S_ISLNK(w->w_st->st_mode) && img_readlink(w->w_path, &to) == 0 &&
	       fnmatch(e->e_text, to, 0) == 0;
}

static bool
matches_perm(const struct find_expr *e, mode_t mode)
{
	uint64_t m = mode & 07777;

	if (e->e_cmp < 0)
		return (m & e->e_number) == e->e_number;
	if (e->e_cmp > 0)
		return e->e_number == 0 || (m & e->e_number) != 0;
	return m == e->e_number;
}

static bool
test(const struct find_expr *e, struct find_run *r)
{
	const struct walk *w = r->fr_walk;
	const struct stat *st = w->w_st;

	switch (e->e_op) {
	case F_NAME:
		return fnmatch(e->e_text, w->w_name, 0) == 0;
	case F_INAME:
		return fnmatch(e->e_text, w->w_name, FNM_CASEFOLD) == 0;
	case F_PATH:
		return fnmatch(e->e_text, w->w_path, 0) == 0;
	case F_LNAME:
		return matches_link(e, w);
	case F_TYPE:
		return e->e_number >> ((st->st_mode & S_IFMT) >> 12) & 1;
	case F_SIZE: /* in units, rounded up */
		return compare(e, (uint64_t)st->st_size / e->e_unit +
				      ((uint64_t)st->st_size % e->e_unit != 0));
	case F_EMPTY:
		return is_empty(w);
	case F_NEWER:
		return is_newer(&st->st_mtim, &e->e_time);
	case F_MTIME:
		return compare_age(e, r, 86400);
	case F_MMIN:
		return compare_age(e, r, 60);
	case F_PERM:
		return matches_perm(e, st->st_mode);
	case F_LINKS:
		return compare(e, st->st_nlink);
	case F_INUM:
		return compare(e, st->st_ino);
	case F_USER:
	case F_UID:
		return compare(e, st->st_uid);
	case F_GROUP:
	case F_GID:
		return compare(e, st->st_gid);
	default:
		return e->e_op == F_TRUE || e->e_op == F_DEPTH;
	}
}

static void
print_path(const char *path)
{
	AUTO_FREE char *s = name_text(path, quoting_default());

	puts(s);
}

static void
print_ls(const struct walk *w)
{
	const struct stat *st = w->w_st;
	char mode[12], when[64], user[16], group[16];
	const char *u = owner_user(st->st_uid), *g;

	snprintf(user, sizeof(user), "%u", st->st_uid);
	snprintf(group, sizeof(group), "%u", st->st_gid);
	mode_text(st->st_mode, mode);
	time_short(&st->st_mtim, when, sizeof(when));
	printf("%9llu %6llu %s %3llu %-8s ", (unsigned long long)st->st_ino,
	    (unsigned long long)(st->st_blocks + 1) / 2, mode,
	    (unsigned long long)st->st_nlink, u ? u : user);
	g = owner_group(st->st_gid);
	printf("%-8s %8llu %s ", g ? g : group, (unsigned long long)st->st_size, when);
	AUTO_FREE char *s = name_text(w->w_path, quoting_default()), *to = NULL;
	fputs(s, stdout);
	if (S_ISLNK(st->st_mode) && img_readlink(w->w_path, &to) == 0) {
		AUTO_FREE char *t = name_text(to, quoting_default());
		printf(" -> %s", t);
	}
	putchar('\n');
}

static bool delete (struct find_run *r)
{
	const struct walk *w = r->fr_walk;
	int err;

	if (strcmp(w->w_path, ".") == 0 || strcmp(w->w_path, "/") == 0)
		return true;
	err = S_ISDIR(w->w_st->st_mode) ? img_rmdir(w->w_path) : img_remove(w->w_path);
	if (err < 0)
		r->fr_rc = badf("cannot delete %s: %s", qm(w->w_path), strerror(-err));
	return err == 0;
}

static bool
act(const struct find_expr *e, struct find_run *r)
{
	switch (e->e_op) {
	case F_PRUNE:
		r->fr_walk->w_prune = true;
		return true;
	case F_QUIT:
		r->fr_quit = true;
		return true;
	case F_PRINT:
		print_path(r->fr_walk->w_path);
		return true;
	case F_PRINT0:
		fputs(r->fr_walk->w_path, stdout);
		putchar('\0');
		return true;
	case F_LS:
		print_ls(r->fr_walk);
		return true;
	default:
		return delete (r);
	}
}

bool
find_eval(const struct find_expr *e, struct find_run *r)
{
	if (r->fr_quit)
		return false;
	switch (e->e_op) {
	case F_AND:
		return find_eval(e->e_left, r) && find_eval(e->e_right, r);
	case F_OR:
		return find_eval(e->e_left, r) || find_eval(e->e_right, r);
	case F_NOT:
		return !find_eval(e->e_left, r);
	case F_PRUNE:
	case F_QUIT:
	case F_PRINT:
	case F_PRINT0:
	case F_LS:
	case F_DELETE:
		return act(e, r);
	default:
		return test(e, r);
	}
}

int
find_prepare(struct find_expr *e)
{
	struct stat st;
	uid_t uid = 0;
	gid_t gid = 0;
	int r = 0;

	if (e->e_left && (r = find_prepare(e->e_left)) != 0)
		return r;
	if (e->e_right && (r = find_prepare(e->e_right)) != 0)
		return r;
	if (e->e_op == F_NEWER) {
		r = img_stat(e->e_text, &st);
		if (r < 0)
			return bad(e->e_text, r);
		e->e_time = st.st_mtim;
	} else if (e->e_op == F_USER) {
		if (owner_find_user(e->e_text, &uid, &gid) < 0)
			return badf("find: there is no user %s", qm(e->e_text));
		e->e_number = uid;
	} else if (e->e_op == F_GROUP) {
		if (owner_find_group(e->e_text, &gid) < 0)
			return badf("find: there is no group %s", qm(e->e_text));
		e->e_number = gid;
	}
	return 0;
}

struct search {
	struct find_expr *s_e;
	struct find_options s_o;
	struct find_run s_r;
};

static int
found(struct walk *w, enum when when)
{
	struct search *s = w->w_arg;
	bool prune;

	/* A prune is of no use where the directory has been walked already. */
	if ((when == W_FILE || when == (s->s_o.fo_post ? W_POST : W_PRE)) &&
	    w->w_depth >= s->s_o.fo_mindepth) {
		s->s_r.fr_walk = w;
		(void)find_eval(s->s_e, &s->s_r);
	}
	prune = when == W_PRE && w->w_depth >= s->s_o.fo_maxdepth;
	if (prune && s->s_o.fo_post && w->w_depth >= s->s_o.fo_mindepth) {
		/* It is not entered, and so there is no W_POST. */
		s->s_r.fr_walk = w;
		(void)find_eval(s->s_e, &s->s_r);
	}
	w->w_prune |= prune;
	return s->s_r.fr_quit || ferror(stdout);
}

static int
run_find(int argc, char **argv)
{
	char dot[] = ".", *here[] = {dot, NULL};
	int n = find_paths(argc - 1, argv + 1), rc = RC_FINE;
	char **paths = n ? argv + 1 : here;
	AUTO_FREE char *why = NULL;
	struct search s = {.s_r.fr_now = time(NULL)};

	s.s_e = find_parse(argc - 1 - n, argv + 1 + n, &s.s_o, &why);
	if (!s.s_e) {
		badf("find: %s", why);
		return cmd_usage("find");
	}
	if (find_prepare(s.s_e) != 0) {
		find_free(s.s_e);
		return RC_SOME;
	}
	for (int i = 0; i < (n ? n : 1) && !s.s_r.fr_quit && !tool_interrupted(); i++) {
		struct walk w = {.w_arg = &s};
		int r = walk_tree(&w, paths[i], found);
		if (!s.s_r.fr_quit)
			rc |= r;
	}
	find_free(s.s_e);
	return rc | s.s_r.fr_rc;
}

static bool
find_writes(int argc, char **argv)
{
	int n = find_paths(argc - 1, argv + 1);
	AUTO_FREE char *why = NULL;
	struct find_options o;
	struct find_expr *e = find_parse(argc - 1 - n, argv + 1 + n, &o, &why);

	find_free(e);
	return e && o.fo_writes;
}

const struct command cmd_find = {
    .c_name = "find",
    .c_synopsis = "[PATH…] [EXPRESSION]",
    .c_help = "search trees",
    .c_run = run_find,
    .c_writes = find_writes,
};
