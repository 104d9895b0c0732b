/*
 * ls
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"
#include "vfs/ukfs/tool/walk.h"

static struct options {
	bool all, almost_all, long_, recursive, inode, human, directory, numeric, reverse;
	bool by_time, by_size, unsorted, classify, full_time, columns, blocks, follow;
	enum quoting q;
} o;

/* One line of the listing. */
struct item {
	char *name; /* as it is shown */
	const char *raw;
	char *path;
	struct stat st;
	int err; /* no st */
	bool acl;
};

struct items {
	struct item *v;
	size_t n;
};

/* How wide the columns of -l are. */
struct widths {
	int inode, blocks, links, user, group, size, acl;
};

static bool
needs_stat(void)
{
	return o.long_ || o.by_time || o.by_size || o.classify || o.inode || o.blocks ||
	       o.recursive;
}

static int
by_order(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = 0;

	if (o.by_time) {
		r = (x->st.st_mtim.tv_sec < y->st.st_mtim.tv_sec) -
		    (x->st.st_mtim.tv_sec > y->st.st_mtim.tv_sec);
		if (!r)
			r = (x->st.st_mtim.tv_nsec < y->st.st_mtim.tv_nsec) -
			    (x->st.st_mtim.tv_nsec > y->st.st_mtim.tv_nsec);
	} else if (o.by_size) {
		r = (x->st.st_size < y->st.st_size) - (x->st.st_size > y->st.st_size);
	}
	if (!r)
		r = strcoll(x->raw, y->raw);
	if (!r)
		r = strcmp(x->raw, y->raw);
	return o.reverse ? -r : r;
}

static const char *
user_text(uid_t uid, char buf[16])
{
	const char *s = o.numeric ? NULL : owner_user(uid);

	snprintf(buf, 16, "%u", uid);
	return s ? s : buf;
}

static const char *
group_text(gid_t gid, char buf[16])
{
	const char *s = o.numeric ? NULL : owner_group(gid);

	snprintf(buf, 16, "%u", gid);
	return s ? s : buf;
}

static const char *
size_text(const struct stat *st, char buf[32])
{
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(buf, 32, "%u, %u", major(st->st_rdev), minor(st->st_rdev));
	else if (o.human)
		human((uint64_t)st->st_size, buf);
	else
		snprintf(buf, 32, "%llu", (unsigned long long)st->st_size);
	return buf;
}

static const char *
blocks_text(const struct stat *st, char buf[32])
{
	uint64_t bytes = (uint64_t)st->st_blocks * 512;

	if (o.human)
		return human(bytes, buf);
	snprintf(buf, 32, "%llu", (unsigned long long)(bytes + 1023) / 1024);
	return buf;
}

static void
widen(int *w, const char *s)
{
	int n = (int)strlen(s);

	if (n > *w)
		*w = n;
}

static struct widths
measure(const struct items *it)
{
	struct widths w = {0};
	char b[32];

	for (size_t i = 0; i < it->n; i++) {
		const struct stat *st = &it->v[i].st;
		if (it->v[i].err)
			continue;
		snprintf(b, sizeof(b), "%llu", (unsigned long long)st->st_ino);
		widen(&w.inode, b);
		widen(&w.blocks, blocks_text(st, b));
		if (!o.long_)
			continue;
		snprintf(b, sizeof(b), "%llu", (unsigned long long)st->st_nlink);
		widen(&w.links, b);
		widen(&w.user, user_text(st->st_uid, b));
		widen(&w.group, group_text(st->st_gid, b));
		widen(&w.size, size_text(st, b));
		if (it->v[i].acl)
			w.acl = 1;
	}
	return w;
}

static const char *
mark(const struct item *it)
{
	mode_t m = it->st.st_mode;

	if (!o.classify || it->err)
		return "";
	return S_ISDIR(m)    ? "/"
	       : S_ISLNK(m)  ? "@"
	       : S_ISFIFO(m) ? "|"
	       : S_ISSOCK(m) ? "="
	       : m & 0111    ? "*"
	                     : "";
}

static void
print_link(const struct item *it)
{
	AUTO_FREE char *to = NULL;

	if (img_readlink(it->path, &to) < 0)
		return;
	AUTO_FREE char *shown = name_text(to, o.q);
	printf(" -> %s", shown);
}

/* Names to the left, numbers to the right. */
static void
print_owner(const char *text, const char *number, int width)
{
	printf("%*s ", text == number ? width : -width, text);
}

static void
print_long(const struct item *it, const struct widths *w)
{
	const struct stat *st = &it->st;
	char mode[12], user[16], group[16], size[32], when[64];

	mode_text(st->st_mode, mode);
	if (o.full_time)
		time_full(&st->st_mtim, when, sizeof(when));
	else
		time_short(&st->st_mtim, when, sizeof(when));
	printf("%s%*s %*llu ", mode, w->acl, it->acl ? "+" : "", w->links,
	    (unsigned long long)st->st_nlink);
	print_owner(user_text(st->st_uid, user), user, w->user);
	print_owner(group_text(st->st_gid, group), group, w->group);
	printf("%*s %s %s", w->size, size_text(st, size), when, it->name);
	if (S_ISLNK(st->st_mode))
		print_link(it);
	else
		fputs(mark(it), stdout);
	putchar('\n');
}

static void
print_prefix(const struct item *it, const struct widths *w)
{
	char b[32];

	if (o.inode && it->err)
		printf("%*s ", w->inode, "?");
	else if (o.inode)
		printf("%*llu ", w->inode, (unsigned long long)it->st.st_ino);
	if (o.blocks)
		printf("%*s ", w->blocks, it->err ? "?" : blocks_text(&it->st, b));
}

static int
terminal_width(void)
{
	struct winsize ws;
	const char *env = getenv("COLUMNS");

	if (env && atoi(env) > 0)
		return atoi(env);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

/* Columns of one width, filled from above. */
static void
print_columns(const struct items *it, const struct widths *w)
{
	int widest = 0,
	    extra = (o.inode ? w->inode + 1 : 0) + (o.blocks ? w->blocks + 1 : 0);

	for (size_t i = 0; i < it->n; i++) {
		int n = text_width(it->v[i].name) + (*mark(&it->v[i]) ? 1 : 0);
		widest = n > widest ? n : widest;
	}
	widest += extra + 2;
	size_t cols = (size_t)(terminal_width() / widest), rows;
	cols = cols ? cols : 1;
	rows = (it->n + cols - 1) / cols;
	for (size_t r = 0; r < rows; r++) {
		for (size_t i = r; i < it->n; i += rows) {
			const struct item *x = &it->v[i];
			int n = text_width(x->name) + (*mark(x) ? 1 : 0) + extra;

			print_prefix(x, w);
			printf("%s%s%*s", x->name, mark(x),
			    i + rows < it->n ? widest - n : 0, "");
		}
		putchar('\n');
	}
}

static void
print_items(struct items *it)
{
	if (!o.unsorted && it->n)
		qsort(it->v, it->n, sizeof(it->v[0]), by_order);
	struct widths w = measure(it);
	if (o.columns && !o.long_) {
		print_columns(it, &w);
		return;
	}
	for (size_t i = 0; i < it->n; i++) {
		const struct item *x = &it->v[i];

		print_prefix(x, &w);
		if (o.long_ && !x->err)
			print_long(x, &w);
		else if (o.long_)
			printf("?????????? %*s %*s %*s %*s            ? %s\n", w.links,
			    "?", -w.user, "?", -w.group, "?", w.size, "?", x->name);
		else
			printf("%s%s\n", x->name, mark(x));
	}
}

static bool
has_acl(const struct item *x)
{
	mode_t m = x->st.st_mode;

	return !S_ISLNK(m) &&
	       (img_getxattr(x->path, "system.posix_acl_access", NULL, 0) > 0 ||
		   (S_ISDIR(m) &&
		       img_getxattr(x->path, "system.posix_acl_default", NULL, 0) > 0));
}

static int
add(struct items *it, const char *path, const char *raw, bool follow)
{
	if ((it->n & (it->n - 1)) == 0)
		it->v = xrealloc(it->v, (it->n ? it->n * 2 : 1) * sizeof(it->v[0]));
	struct item *x = &it->v[it->n++];

	*x = (struct item){
	    .name = name_text(raw, o.q), .path = xstrdup(path), .raw = NULL};
	x->raw = strcmp(path, raw) == 0 ? x->path : strrchr(x->path, '/') + 1;
	if (!needs_stat())
		return 0;
	x->err = follow ? img_stat(path, &x->st) : img_lstat(path, &x->st);
	if (x->err < 0)
		return bad(path, x->err);
	x->acl = o.long_ && has_acl(x);
	return 0;
}

static void
items_done(struct items *it)
{
	for (size_t i = 0; i < it->n; i++) {
		free(it->v[i].name);
		free(it->v[i].path);
	}
	free(it->v);
	*it = (struct items){0};
}

/* Directories that are to be listed, the next one last. */
struct todo {
	char **v;
	size_t n, room;
};

static void
todo_push(struct todo *t, const char *path)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 16;
		t->v = xrealloc(t->v, t->room * sizeof(t->v[0]));
	}
	t->v[t->n++] = xstrdup(path);
}

static int
add_dots(struct items *it, const char *path)
{
	AUTO_FREE char *dot = path_join(path, "."), *dots = path_join(path, "..");

	return add(it, dot, ".", false) | add(it, dots, "..", false);
}

static int
list_directory(const char *path, struct todo *todo, struct inoset *seen)
{
	AUTO_NAMES struct names na = {0};
	struct items it = {0};
	struct stat st;
	uint64_t blocks = 0;
	char b[32];
	int rc = RC_FINE, r = img_stat(path, &st);

	if (r == 0 && o.recursive && inoset_add(seen, st.st_dev, st.st_ino))
		return badf("%s: " MET_AGAIN, qm(path));
	if (r == 0)
		r = img_names(path, &na);
	if (r < 0)
		rc = bad(path, r);
	if (o.all)
		rc |= add_dots(&it, path);
	for (size_t i = 0; i < na.na_n && !tool_interrupted(); i++) {
		const char *name = na.na_v[i].ne_name;
		if (*name == '.' && !o.all && !o.almost_all)
			continue;
		AUTO_FREE char *full = path_join(path, name);
		rc |= add(&it, full, name, o.follow);
	}
	if (o.long_ || o.blocks) {
		for (size_t i = 0; i < it.n; i++)
			blocks += it.v[i].err ? 0 : (uint64_t)it.v[i].st.st_blocks;
		st.st_blocks = (blkcnt_t)blocks;
		printf("total %s\n", blocks_text(&st, b));
	}
	print_items(&it);
	for (size_t i = it.n; o.recursive && i-- > 0;) {
		const char *raw = it.v[i].raw;
		if (!it.v[i].err && S_ISDIR(it.v[i].st.st_mode) &&
		    strcmp(raw, ".") != 0 && strcmp(raw, "..") != 0)
			todo_push(todo, it.v[i].path);
	}
	items_done(&it);
	return rc;
}

static int
list_all(struct todo *todo, bool heads, bool first)
{
	struct inoset seen = {0};
	int rc = RC_FINE;

	while (todo->n > 0) {
		AUTO_FREE char *path = todo->v[--todo->n];
		AUTO_FREE char *shown = name_text(path, o.q);

		if (tool_interrupted())
			continue;
		if (heads)
			printf("%s%s:\n", first ? "" : "\n", shown);
		first = false;
		rc |= list_directory(path, todo, &seen);
	}
	free(todo->v);
	inoset_done(&seen);
	return rc;
}

static int
list_operands(int n, char **v)
{
	struct items files = {0}, dirs = {0};
	struct todo todo = {0};
	struct stat st;
	int rc = RC_FINE;

	for (int i = 0; i < n; i++) {
		/* A link to a directory is listed as that, unless -l shows the link. */
		bool follow = o.follow || (!o.long_ && !o.directory && !o.classify);
		int r = follow ? img_stat(v[i], &st) : img_lstat(v[i], &st);

		if (r < 0 && follow)
			r = img_lstat(v[i], &st);
		if (r < 0)
			rc = bad(v[i], r);
		else if (S_ISDIR(st.st_mode) && !o.directory)
			rc |= add(&dirs, v[i], v[i], true);
		else
			rc |= add(&files, v[i], v[i], o.follow);
	}
	print_items(&files);
	if (!o.unsorted && dirs.n)
		qsort(dirs.v, dirs.n, sizeof(dirs.v[0]), by_order);
	for (size_t i = dirs.n; i-- > 0;)
		todo_push(&todo, dirs.v[i].path);
	rc |= list_all(&todo, o.recursive || n > 1, files.n == 0);
	items_done(&files);
	items_done(&dirs);
	return rc;
}

#define FULL_TIME 256

static bool *
flag_of(int c)
{
	static const struct {
		int letter;
		bool *flag;
	} flags[] = {{'a', &o.all}, {'A', &o.almost_all}, {'l', &o.long_},
	    {'R', &o.recursive}, {'i', &o.inode}, {'h', &o.human}, {'d', &o.directory},
	    {'C', &o.columns}, {'n', &o.numeric}, {'r', &o.reverse}, {'t', &o.by_time},
	    {'S', &o.by_size}, {'U', &o.unsorted}, {'F', &o.classify}, {'s', &o.blocks},
	    {'L', &o.follow}, {FULL_TIME, &o.full_time}};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].letter == c)
			return flags[i].flag;
	return NULL;
}

static int
run_ls(int argc, char **argv)
{
	static const struct option longs[] = {{"all", no_argument, NULL, 'a'},
	    {"almost-all", no_argument, NULL, 'A'}, {"recursive", no_argument, NULL, 'R'},
	    {"human-readable", no_argument, NULL, 'h'}, {"inode", no_argument, NULL, 'i'},
	    {"full-time", no_argument, NULL, FULL_TIME},
	    {"directory", no_argument, NULL, 'd'},
	    {"numeric-uid-gid", no_argument, NULL, 'n'}, {0}};
	int c;

	o = (struct options){.q = quoting_default(), .columns = isatty(STDOUT_FILENO)};
	cmd_begin_options();
	while ((c = getopt_long(argc, argv, "aAlRihd1nrtSUFCsLqbN", longs, NULL)) != -1) {
		bool *flag = flag_of(c);

		if (flag)
			*flag = true;
		else if (c == '1')
			o.columns = false;
		else if (c == 'q' || c == 'b' || c == 'N')
			o.q = c == 'q' ? Q_QUESTION : c == 'b' ? Q_ESCAPE : Q_LITERAL;
		else
			return cmd_usage("ls");
		o.long_ |= c == 'n' || c == FULL_TIME;
	}
	char dot[] = ".", *here[] = {dot, NULL};
	return optind < argc ? list_operands(argc - optind, argv + optind)
	                     : list_operands(1, here);
}

const struct command cmd_ls = {
    .c_name = "ls",
    .c_synopsis = "[-aAlRihd1CnrtSUFsLqbN] [--full-time] [PATH…]",
    .c_help = "list directories",
    .c_run = run_ls,
};
