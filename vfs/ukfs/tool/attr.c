/*
 * Commands that change attributes: chmod, chown, touch, truncate.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"
#include "vfs/ukfs/tool/walk.h"

/* chmod and chown, each name of a tree before what is in it. */
struct change {
	const char *ch_mode; /* chmod */
	mode_t ch_umask;
	uid_t ch_uid; /* chown */
	gid_t ch_gid;
	bool ch_nofollow;
	int ch_rc;
};

static void
change_mode(struct change *ch, const struct walk *w)
{
	mode_t mode;

	if (S_ISLNK(w->w_st->st_mode))
		return;
	(void)mode_change(ch->ch_mode, w->w_st->st_mode, S_ISDIR(w->w_st->st_mode),
	    ch->ch_umask, &mode);
	int r = img_chmod(w->w_path, mode);
	if (r < 0)
		ch->ch_rc =
		    badf("changing permissions of %s: %s", qm(w->w_path), strerror(-r));
}

static void
change_owner(struct change *ch, const struct walk *w)
{
	/* Where a walk begins at a link, it is the link that has been followed. */
	bool follow = w->w_depth == 0 && !ch->ch_nofollow;
	int r = img_chown(w->w_path, ch->ch_uid, ch->ch_gid, follow);

	if (r < 0)
		ch->ch_rc =
		    badf("changing ownership of %s: %s", qm(w->w_path), strerror(-r));
}

static int
change_one(struct walk *w, enum when when)
{
	struct change *ch = w->w_arg;

	if (when == W_POST)
		return 0;
	if (ch->ch_mode)
		change_mode(ch, w);
	else
		change_owner(ch, w);
	return 0;
}

/* Without -R: the one name. */
static int
no_descent(struct walk *w, enum when when)
{
	(void)change_one(w, when);
	w->w_prune = true;
	return 0;
}

static int
change_all(struct change *ch, bool recursive, int n, char **v)
{
	int rc = RC_FINE;

	for (int i = 0; i < n && !tool_interrupted(); i++) {
		/* chown -R leaves what a link on the command line leads to alone. */
		struct walk w = {.w_arg = ch,
		    .w_follow_first = ch->ch_mode || (!ch->ch_nofollow && !recursive),
		    .w_command = "cannot access"};
		struct stat st;
		int r = w.w_follow_first ? img_stat(v[i], &st) : 0;

		if (r < 0)
			rc = badf("cannot access %s: %s", qm(v[i]), strerror(-r));
		else
			rc |= walk_tree(&w, v[i], recursive ? change_one : no_descent);
	}
	return rc | ch->ch_rc;
}

/* "-x" and the like are modes, not options. */
static bool
is_mode_word(const char *s)
{
	return *s == '-' && s[1] && strchr("rwxXstugo", s[1]) != NULL;
}

static int
run_chmod(int argc, char **argv)
{
	struct change ch = {.ch_umask = mode_umask()};
	bool recursive = false;
	mode_t mode;
	int i = 1;

	for (; i < argc && *argv[i] == '-' && !is_mode_word(argv[i]); i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-R") != 0 && strcmp(argv[i], "--recursive") != 0)
			return cmd_usage("chmod");
		recursive = true;
	}
	if (argc - i < 2)
		return cmd_missing("chmod");
	ch.ch_mode = argv[i++];
	if (mode_change(ch.ch_mode, 0, false, ch.ch_umask, &mode) < 0) {
		badf("chmod: invalid mode %s", qm(ch.ch_mode));
		return RC_USAGE;
	}
	return change_all(&ch, recursive, argc - i, argv + i);
}

const struct command cmd_chmod = {
    .c_name = "chmod",
    .c_synopsis = "[-R] MODE PATH…",
    .c_help = "change modes: octal or symbolic",
    .c_run = run_chmod,
    .c_writes = cmd_always,
};

/* "user", "user:group", ":group", "user:" (his login group, by name). */
static int
parse_owner(const char *text, struct change *ch)
{
	AUTO_FREE char *user = xstrdup(text);
	char *g = strchr(user, ':');
	gid_t login = (gid_t)-1;

	if (g)
		*g++ = '\0';
	if (*user && owner_find_user(user, &ch->ch_uid, &login) < 0) {
		badf("chown: there is no user %s", qm(user));
		return RC_USAGE;
	}
	if (g && *g && owner_find_group(g, &ch->ch_gid) < 0) {
		badf("chown: there is no group %s", qm(g));
		return RC_USAGE;
	}
	if (g && !*g && *user)
		ch->ch_gid = login;
	return RC_FINE;
}

static int
run_chown(int argc, char **argv)
{
	struct change ch = {.ch_uid = (uid_t)-1, .ch_gid = (gid_t)-1};
	bool recursive = false;
	int c;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "Rh")) != -1) {
		if (c == '?')
			return cmd_usage("chown");
		recursive |= c == 'R';
		ch.ch_nofollow |= c == 'h';
	}
	if (argc - optind < 2)
		return cmd_missing("chown");
	int rc = parse_owner(argv[optind++], &ch);
	if (rc != RC_FINE)
		return rc;
	return change_all(&ch, recursive, argc - optind, argv + optind);
}

const struct command cmd_chown = {
    .c_name = "chown",
    .c_synopsis = "[-Rh] USER[:GROUP] PATH…",
    .c_help = "change owners: names or numbers",
    .c_run = run_chown,
    .c_writes = cmd_always,
};

/* touch */

/* "2026-11-21", "2026-11-21 16:30[:15]" (or a T), "@SECONDS[.FRACTION]". */
static int
parse_time(const char *s, struct timespec *ret)
{
	static const char *const forms[] = {
	    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	char *end;

	if (*s == '@') {
		errno = 0;
		ret->tv_sec = strtoll(s + 1, &end, 10);
		ret->tv_nsec = 0;
		if (errno || end == s + 1)
			return -EINVAL;
		if (*end == '.') {
			long unit = 100000000;
			for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
				ret->tv_nsec += (*end - '0') * unit;
		}
		return *end ? -EINVAL : 0;
	}
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *rest = strptime(s, forms[i], &tm);
		if (!rest || *rest)
			continue;
		*ret = (struct timespec){.tv_sec = mktime(&tm)};
		return 0;
	}
	return -EINVAL;
}

static int
touch_one(const char *path, bool create, bool follow, const struct timespec t[2])
{
	struct stat st;
	int r = follow ? img_stat(path, &st) : img_lstat(path, &st);

	if (r == -ENOENT && !create)
		return RC_FINE;
	if (r == -ENOENT)
		r = img_create(path, 0666 & ~mode_umask());
	if (r == 0)
		r = img_utimens(path, t, follow);
	if (r < 0)
		return badf("cannot touch %s: %s", qm(path), strerror(-r));
	return RC_FINE;
}

/* What one option says of the times. */
static int
touch_option(int c, struct timespec t[2])
{
	struct stat st;
	int r;

	if (c == 'd') {
		if (parse_time(optarg, &t[0]) < 0) {
			badf("touch: invalid time %s", qm(optarg));
			return RC_USAGE;
		}
		t[1] = t[0];
		return RC_FINE;
	}
	r = img_stat(optarg, &st);
	if (r < 0)
		return bad(optarg, r);
	t[0] = st.st_atim;
	t[1] = st.st_mtim;
	return RC_FINE;
}

static int
run_touch(int argc, char **argv)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	bool create = true, follow = true, only_a = false, only_m = false;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "acmhd:r:")) != -1) {
		if (c == '?')
			return cmd_usage("touch");
		if (c == 'd' || c == 'r')
			rc = touch_option(c, t);
		if (rc != RC_FINE)
			return rc;
		only_a |= c == 'a';
		only_m |= c == 'm';
		create &= c != 'c' && c != 'h';
		follow &= c != 'h';
	}
	if (optind >= argc)
		return cmd_missing("touch");
	if (only_a && !only_m)
		t[1] = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (only_m && !only_a)
		t[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	for (; optind < argc; optind++)
		rc |= touch_one(argv[optind], create, follow, t);
	return rc;
}

const struct command cmd_touch = {
    .c_name = "touch",
    .c_synopsis = "[-acmh] [-d TIME | -r PATH] PATH…",
    .c_help = "set times, make empty files",
    .c_run = run_touch,
    .c_writes = cmd_always,
};

/* truncate */

static int
truncate_one(const char *path, const char *size, uint64_t n, bool create)
{
	struct stat st;
	uint64_t want = n;
	int r = img_stat(path, &st);

	if (r == -ENOENT && !create)
		return RC_FINE;
	if (r == -ENOENT) {
		st.st_size = 0;
		r = img_create(path, 0666 & ~mode_umask());
	}
	uint64_t have = r == 0 ? (uint64_t)st.st_size : 0;
	if (*size == '+')
		want = have > (uint64_t)INT64_MAX - n ? UINT64_MAX : have + n;
	else if (*size == '-')
		want = have > n ? have - n : 0;
	if (r == 0)
		r = want > INT64_MAX ? -EFBIG : img_truncate(path, want);
	if (r < 0)
		return badf("cannot truncate %s: %s", qm(path), strerror(-r));
	return RC_FINE;
}

static int
run_truncate(int argc, char **argv)
{
	const char *size = NULL;
	bool create = true;
	uint64_t n;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "cs:")) != -1) {
		if (c == '?')
			return cmd_usage("truncate");
		create &= c != 'c';
		if (c == 's')
			size = optarg;
	}
	if (!size || optind >= argc)
		return cmd_missing("truncate");
	if (size_parse(size + (*size == '+' || *size == '-'), 1, &n, NULL) < 0) {
		badf("truncate: invalid size %s", qm(size));
		return RC_USAGE;
	}
	for (; optind < argc; optind++)
		rc |= truncate_one(argv[optind], size, n, create);
	return rc;
}

const struct command cmd_truncate = {
    .c_name = "truncate",
    .c_synopsis = "[-c] -s [+-]SIZE PATH…",
    .c_help = "set the sizes of files",
    .c_run = run_truncate,
    .c_writes = cmd_always,
};
