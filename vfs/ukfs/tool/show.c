/*
 * Commands that show: cat, readlink, df, du, tree; and write, cat's other direction.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <langinfo.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"
#include "vfs/ukfs/tool/walk.h"

#define CHUNK (1u << 20)

static char chunk[CHUNK] __attribute__((aligned(4096)));

/* cat */

static int
cat_one(const char *path)
{
	struct stat st;
	uint64_t off = 0;
	ssize_t n;
	int r = img_stat(path, &st);

	if (r == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	else if (r == 0 && !S_ISREG(st.st_mode))
		r = -EINVAL; /* the devices of an image are nobody's */
	int fd = r < 0 ? r : img_open(path, O_RDONLY);
	if (fd < 0)
		return bad(path, fd);
	while ((n = img_read(fd, off, chunk, CHUNK)) > 0 && !tool_interrupted()) {
		if (fwrite(chunk, 1, (size_t)n, stdout) != (size_t)n)
			break; /* run_command() says it */
		off += (uint64_t)n;
	}
	img_close(fd);
	return n < 0 ? bad(path, (int)n) : RC_FINE;
}

static int
run_cat(int argc, char **argv)
{
	int rc = RC_FINE;

	if (argc < 2)
		return cmd_missing("cat");
	for (int i = 1; i < argc && !ferror(stdout); i++)
		rc |= cat_one(argv[i]);
	return rc;
}

const struct command cmd_cat = {
    .c_name = "cat",
    .c_synopsis = "FILE…",
    .c_help = "print files",
    .c_run = run_cat,
};

/* Standard input, to its end, from an offset on. */
static int
fill(const char *path, int fd, uint64_t off)
{
	size_t n;

	while ((n = fread(chunk, 1, CHUNK, stdin)) > 0 && !tool_interrupted()) {
		for (size_t at = 0; at < n;) {
			ssize_t w = img_write(fd, off + at, chunk + at, n - at);
			if (w <= 0)
				return bad(path, w < 0 ? (int)w : -EIO);
			at += (size_t)w;
		}
		off += n;
	}
	return ferror(stdin) ? badf("standard input: %s", strerror(errno)) : RC_FINE;
}

static int
run_write(int argc, char **argv)
{
	struct stat st;
	bool append = false;
	int c, r;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "a")) != -1) {
		if (c != 'a')
			return cmd_usage("write");
		append = true;
	}
	if (argc - optind != 1)
		return cmd_missing("write");
	const char *path = argv[optind];
	r = img_create(path, 0666 & ~mode_umask());
	if (r == 0)
		r = img_stat(path, &st);
	if (r == 0 && !append)
		r = img_truncate(path, 0);
	int fd = r < 0 ? r : img_open(path, O_WRONLY);
	if (fd < 0)
		return bad(path, fd);
	int rc = fill(path, fd, append ? (uint64_t)st.st_size : 0);
	img_close(fd);
	return rc;
}

const struct command cmd_write = {
    .c_name = "write",
    .c_synopsis = "[-a] FILE",
    .c_help = "write standard input to a file",
    .c_run = run_write,
    .c_writes = cmd_always,
};

/* readlink */

static int
run_readlink(int argc, char **argv)
{
	int c, rc = RC_FINE;
	bool newline = true;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "n")) != -1) {
		if (c != 'n')
			return cmd_usage("readlink");
		newline = false;
	}
	if (optind >= argc)
		return cmd_missing("readlink");
	for (; optind < argc; optind++) {
		AUTO_FREE char *to = NULL;
		int r = img_readlink(argv[optind], &to);
		if (r < 0) {
			rc = bad(argv[optind], r);
			continue;
		}
		AUTO_FREE char *shown = name_text(to, quoting_default());
		printf("%s%s", shown, newline ? "\n" : "");
	}
	return rc;
}

const struct command cmd_readlink = {
    .c_name = "readlink",
    .c_synopsis = "[-n] LINK…",
    .c_help = "print where symbolic links lead",
    .c_run = run_readlink,
};

/* df */

static const char *
amount(uint64_t bytes, bool h, char buf[32])
{
	if (h)
		return human(bytes, buf);
	snprintf(buf, 32, "%llu", (unsigned long long)(bytes / 1024));
	return buf;
}

static void
percent(uint64_t used, uint64_t rest, char buf[8])
{
	uint64_t all = used + rest;

	if (all == 0)
		snprintf(buf, 8, "-");
	else /* rounded up, as df does */
		snprintf(buf, 8, "%u%%",
		    (unsigned)(((unsigned __int128)used * 100 + all - 1) / all));
}

static int
run_df(int argc, char **argv)
{
	struct statvfs v;
	bool inodes = false, h = false;
	char a[32], b[32], d[32], p[8];
	int c;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "hikT")) != -1) {
		if (c == '?')
			return cmd_usage("df");
		inodes |= c == 'i';
		h |= c == 'h';
	}
	int r = img_statvfs(&v);
	if (r < 0)
		return bad(target.tg_name, r);
	uint64_t size = inodes ? v.f_files : v.f_blocks * v.f_frsize,
		 rest = inodes ? v.f_ffree : v.f_bavail * v.f_frsize,
		 used = inodes ? v.f_files - v.f_ffree
	                       : (v.f_blocks - v.f_bfree) * v.f_frsize;
	printf("%-20s %-8s %12s %12s %12s %5s\n", "Filesystem", "Type",
	    inodes ? "Inodes"
	    : h    ? "Size"
		   : "1K-blocks",
	    inodes ? "IUsed" : "Used", inodes ? "IFree" : "Available",
	    inodes ? "IUse%" : "Use%");
	/* Inodes are counted and not measured. */
	uint64_t unit = inodes && !h ? 1024 : 1;
	percent(used, rest, p);
	printf("%-20s %-8s %12s %12s %12s %5s\n", qm(target.tg_name), ukfs_type(tool_fs),
	    amount(size * unit, h, a), amount(used * unit, h, b),
	    amount(rest * unit, h, d), p);
	return RC_FINE;
}

const struct command cmd_df = {
    .c_name = "df",
    .c_synopsis = "[-hi]",
    .c_help = "room in the file system",
    .c_run = run_df,
};

/* du */

struct du {
	bool du_all, du_bytes, du_human, du_summary;
	uint64_t du_max; /* -d */
	uint64_t *du_sums;
	size_t du_room;
	struct inoset du_seen; /* files of several names count once */
	uint64_t du_total;
};

static void
du_print(const struct du *du, uint64_t n, const char *path)
{
	char b[32];
	AUTO_FREE char *shown = name_text(path, quoting_default());

	if (du->du_human)
		human(n, b);
	else
		snprintf(b, sizeof(b), "%llu",
		    (unsigned long long)(du->du_bytes ? n : (n + 1023) / 1024));
	printf("%s\t%s\n", b, shown);
}

static int
du_one(struct walk *w, enum when when)
{
	struct du *du = w->w_arg;
	const struct stat *st = w->w_st;
	uint64_t n = du->du_bytes ? (uint64_t)st->st_size : (uint64_t)st->st_blocks * 512;

	if (w->w_depth + 2 > du->du_room) {
		du->du_room = w->w_depth + 64;
		du->du_sums = xrealloc(du->du_sums, du->du_room * sizeof(du->du_sums[0]));
	}
	if (when == W_PRE) {
		du->du_sums[w->w_depth] = n;
		return 0;
	}
	if (when == W_POST)
		n = du->du_sums[w->w_depth];
	else if (st->st_nlink > 1 && inoset_add(&du->du_seen, st->st_dev, st->st_ino))
		return 0;
	if (w->w_depth == 0)
		du->du_total += n;
	else
		du->du_sums[w->w_depth - 1] += n;
	if (w->w_depth <= du->du_max && (when == W_POST || du->du_all || w->w_depth == 0))
		du_print(du, n, w->w_path);
	return ferror(stdout);
}

static int
run_du(int argc, char **argv)
{
	char dot[] = ".", *here[] = {dot, NULL};
	struct du du = {.du_max = UINT64_MAX};
	bool total = false;
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "ashbckd:")) != -1) {
		if (c == '?' || (c == 'd' && size_parse(optarg, 1, &du.du_max, NULL) < 0))
			return cmd_usage("du");
		du.du_all |= c == 'a';
		du.du_human |= c == 'h';
		du.du_bytes |= c == 'b';
		total |= c == 'c';
		if (c == 's')
			du.du_max = 0;
	}
	int n = argc - optind;
	char **v = n ? argv + optind : here;
	for (int i = 0; i < (n ? n : 1); i++) {
		struct walk w = {.w_arg = &du};
		rc |= walk_tree(&w, v[i], du_one);
	}
	if (total)
		du_print(&du, du.du_total, "total");
	free(du.du_sums);
	inoset_done(&du.du_seen);
	return rc;
}

const struct command cmd_du = {
    .c_name = "du",
    .c_synopsis = "[-ashbc] [-d DEPTH] [PATH…]",
    .c_help = "room that trees take",
    .c_run = run_du,
};

/* tree */

struct tree {
	bool tr_all, tr_dirs, tr_human, tr_utf8;
	uint64_t tr_max;
	char *tr_bars; /* for each level: is there more to come? */
	size_t tr_room;
	unsigned long long tr_ndirs, tr_nfiles;
	enum quoting tr_q;
};

static void
tree_line(struct tree *t, const struct walk *w)
{
	const char *bar = t->tr_utf8 ? "│   " : "|   ",
		   *tee = t->tr_utf8 ? "├── " : "|-- ",
		   *end = t->tr_utf8 ? "└── " : "`-- ";
	char h[16];

	for (unsigned i = 1; i < w->w_depth; i++)
		fputs(t->tr_bars[i] ? bar : "    ", stdout);
	if (w->w_depth)
		fputs(w->w_last ? end : tee, stdout);
	if (t->tr_human && w->w_depth)
		printf("[%4s]  ", human((uint64_t)w->w_st->st_size, h));
	AUTO_FREE char *shown = name_text(w->w_depth ? w->w_name : w->w_path, t->tr_q),
		       *to = NULL;
	fputs(shown, stdout);
	if (S_ISLNK(w->w_st->st_mode) && img_readlink(w->w_path, &to) == 0) {
		AUTO_FREE char *t2 = name_text(to, t->tr_q);
		printf(" -> %s", t2);
	}
	putchar('\n');
}

static int
tree_one(struct walk *w, enum when when)
{
	struct tree *t = w->w_arg;

	if (when == W_POST)
		return 0;
	if (w->w_depth + 2 > t->tr_room) {
		t->tr_room = w->w_depth + 64;
		t->tr_bars = xrealloc(t->tr_bars, t->tr_room);
	}
	t->tr_bars[w->w_depth] = !w->w_last;
	tree_line(t, w);
	t->tr_ndirs += when == W_PRE && w->w_depth > 0;
	t->tr_nfiles += when == W_FILE;
	w->w_prune = when == W_PRE && w->w_depth >= t->tr_max;
	return ferror(stdout);
}

/* What is not shown is not an entry, so that the last one is one that is. */
static bool
tree_wants(const struct walk *w, const struct name_entry *e)
{
	const struct tree *t = w->w_arg;

	if (*e->ne_name == '.' && !t->tr_all)
		return false;
	return !t->tr_dirs || e->ne_type == DT_DIR || e->ne_type == DT_UNKNOWN;
}

static int
run_tree(int argc, char **argv)
{
	char dot[] = ".", *here[] = {dot, NULL};
	struct tree t = {.tr_max = UINT64_MAX,
	    .tr_q = quoting_default(),
	    .tr_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
	int c, rc = RC_FINE;

	cmd_begin_options();
	while ((c = getopt(argc, argv, "adhL:")) != -1) {
		if (c == '?' ||
		    (c == 'L' &&
			(size_parse(optarg, 1, &t.tr_max, NULL) < 0 || !t.tr_max)))
			return cmd_usage("tree");
		t.tr_all |= c == 'a';
		t.tr_dirs |= c == 'd';
		t.tr_human |= c == 'h';
	}
	int n = argc - optind;
	char **v = n ? argv + optind : here;
	for (int i = 0; i < (n ? n : 1); i++) {
		struct walk w = {.w_arg = &t,
		    .w_sorted = true,
		    .w_follow_first = true,
		    .w_wants = tree_wants};
		rc |= walk_tree(&w, v[i], tree_one);
	}
	printf("\n%llu director%s", t.tr_ndirs, t.tr_ndirs == 1 ? "y" : "ies");
	if (!t.tr_dirs)
		printf(", %llu file%s", t.tr_nfiles, t.tr_nfiles == 1 ? "" : "s");
	putchar('\n');
	free(t.tr_bars);
	return rc;
}

const struct command cmd_tree = {
    .c_name = "tree",
    .c_synopsis = "[-adh] [-L DEPTH] [PATH…]",
    .c_help = "draw trees",
    .c_run = run_tree,
};
