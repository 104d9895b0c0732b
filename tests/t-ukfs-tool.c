/*
 * The parsers of the ukfs tool: chmod's modes, quoting, find's expressions, sizes, names for
 * a terminal; and commands on a tree in memory.
 */
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

#include "t.h"
#include "vfs/ukfs/tool/find.h"
#include "vfs/ukfs/tool/find_private.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

TEST(mode_change)
{
	static const struct {
		const char *text;
		mode_t old;
		bool dir;
		int want; /* or -EINVAL */
	} rows[] = {
	    {"755", 0, false, 0755},
	    {"0", 07777, false, 0},
	    {"4755", 0, false, 04755},
	    {"755", 02700, true, 02755},
	    {"00755", 02700, true, 0755},
	    {"17777", 0, false, -EINVAL},
	    {"8", 0, false, -EINVAL},
	    {"75x", 0, false, -EINVAL},
	    {"u+x", 0644, false, 0744},
	    {"u+x,go-r", 0644, false, 0700},
	    {"a=r", 0777, false, 0444},
	    {"a=rX", 0644, false, 0444},
	    {"a=rX", 0744, false, 0555},
	    {"a+X", 0644, true, 0755},
	    {"g=u", 0640, false, 0660},
	    {"o=u-w", 0640, false, 0644},
	    {"u=", 0777, false, 0077},
	    {"+x", 0644, false, 0755},
	    {"+w", 0444, false, 0644},
	    {"-w", 0666, false, 0466},
	    {"=r", 0777, false, 0444},
	    {"u+s", 0755, false, 04755},
	    {"g+s", 0755, true, 02755},
	    {"+t", 0755, true, 01755},
	    {"o+t", 0755, true, 01755},
	    {"u+t", 0755, true, 0755},
	    {"ug+s", 0755, false, 06755},
	    {"a-s", 06755, false, 0755},
	    {"u=rwx", 06750, true, 06750},
	    {"u=rwx", 06750, false, 02750},
	    {"g=s", 06750, true, 06700},
	    {"ug+rw,o-rwx", 0007, false, 0660},
	    {"u+r+w-x", 0100, false, 0600},
	    {"", 0644, false, -EINVAL},
	    {"u", 0644, false, -EINVAL},
	    {"u+x,", 0644, false, -EINVAL},
	    {",u+x", 0644, false, -EINVAL},
	    {"z+x", 0644, false, -EINVAL},
	    {"u+q", 0644, false, -EINVAL},
	    {"u+x go", 0644, false, -EINVAL},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mode_t got = 012345;
		int r = mode_change(rows[i].text, rows[i].old, rows[i].dir, 022, &got);
		if (r == 0 ? (int)got != rows[i].want : r != rows[i].want) {
			printf(
			    "%s of %04o: %d, %04o\n", rows[i].text, rows[i].old, r, got);
			t_bad++;
		}
		CHECK(r == 0 || got == 012345);
	}
}

TEST(split)
{
	static const struct {
		const char *line;
		int n; /* or -EINVAL */
		const char *joined;
	} rows[] = {
	    {"ls -l /x\n", 3, "ls|-l|/x|"},
	    {"", 0, ""},
	    {"  \t\n", 0, ""},
	    {"# a comment", 0, ""},
	    {"ls # a comment 'with a quote", 1, "ls|"},
	    {"ls a#b", 2, "ls|a#b|"},
	    {"a 'b c' \"d e\"", 3, "a|b c|d e|"},
	    {"a'b c'd", 1, "ab cd|"},
	    {"'' \"\"", 2, "||"},
	    {"a\\ b \\'c\\\\", 2, "a b|'c\\|"},
	    {"'a\\b' \"a\\b\\\"\\\\\"", 2, "a\\b|a\\b\"\\|"},
	    {"\"it's\" 'say \"x\"'", 2, "it's|say \"x\"|"},
	    {"end\\", 1, "end\\|"},
	    {"'open", -EINVAL, ""},
	    {"a \"open", -EINVAL, ""},
	    {"\"open\\\"", -EINVAL, ""},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[200], joined[200] = "";
		char **argv = NULL;

		snprintf(line, sizeof(line), "%s", rows[i].line);
		int n = script_split(line, &argv);
		for (int k = 0; k < n; k++) {
			strcat(joined, argv[k]);
			strcat(joined, "|");
		}
		CHECK(n < 0 || argv[n] == NULL);
		if (n != rows[i].n || strcmp(joined, rows[i].joined) != 0) {
			printf("%s: %d, %s\n", rows[i].line, n, joined);
			t_bad++;
		}
		free(argv);
	}
}

TEST(sizes)
{
	static const struct {
		const char *text;
		int r;
		uint64_t want, unit;
	} rows[] = {
	    {"12", 0, 12 * 512, 512},
	    {"12c", 0, 12, 1},
	    {"3k", 0, 3072, 1024},
	    {"3K", 0, 3072, 1024},
	    {"3KB", 0, 3000, 1000},
	    {"3kiB", 0, 3072, 1024},
	    {"2M", 0, 2 << 20, 1 << 20},
	    {"1E", 0, 1ull << 60, 1ull << 60},
	    {"16E", -ERANGE, 0, 0},
	    {"18446744073709551616", -ERANGE, 0, 0},
	    {"", -EINVAL, 0, 0},
	    {"-1", -EINVAL, 0, 0},
	    {"k", -EINVAL, 0, 0},
	    {"1x", -EINVAL, 0, 0},
	    {"1kx", -EINVAL, 0, 0},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t n = 7, unit = 7;
		CHECK_EQ(size_parse(rows[i].text, 512, &n, &unit), rows[i].r);
		CHECK_EQ(n, rows[i].r ? 7 : rows[i].want);
		CHECK_EQ(unit, rows[i].r ? 7 : rows[i].unit);
	}
	static const struct {
		uint64_t n;
		const char *want;
	} humans[] = {{0, "0"}, {1023, "1023"}, {1024, "1.0K"}, {1025, "1.1K"},
	    {10239, "10K"}, {10240, "10K"}, {10241, "11K"}, {1048575, "1.0M"},
	    {1048576, "1.0M"}, {3002368, "2.9M"}, {UINT64_MAX, "16E"}};
	for (unsigned i = 0; i < sizeof(humans) / sizeof(humans[0]); i++) {
		char buf[16];
		human(humans[i].n, buf);
		if (strcmp(buf, humans[i].want) != 0) {
			printf("%llu: %s\n", (unsigned long long)humans[i].n, buf);
			t_bad++;
		}
	}
}

TEST(names)
{
	static const struct {
		const char *name, *question, *escape, *shell;
	} rows[] = {
	    {"plain-1.2_x", "plain-1.2_x", "plain-1.2_x", "plain-1.2_x"},
	    {"a b", "a b", "a\\ b", "'a b'"},
	    {"it's", "it's", "it's", "'it'\\''s'"},
	    {"a\nb", "a?b", "a\\nb", "'a'$'\\n''b'"},
	    {"\033[31m", "?[31m", "\\033[31m", "''$'\\033''[31m'"},
	    {"\377x", "?x", "\\377x", "''$'\\377''x'"},
	    {"a\\b", "a\\b", "a\\\\b", "'a\\b'"},
	    {"", "", "", "''"},
	    {"~", "~", "~", "'~'"},
	    {"a$b", "a$b", "a$b", "'a$b'"},
	    {"\342\202\254", "\342\202\254", "\342\202\254", "\342\202\254"},
	    /* C1 controls, which terminals obey, too */
	    {"\302\233x", "?x", "\\302\\233x", "''$'\\302\\233''x'"},
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		SKIP("no UTF-8 locale");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *a = name_text(rows[i].name, Q_QUESTION),
		     *b = name_text(rows[i].name, Q_ESCAPE),
		     *c = name_text(rows[i].name, Q_SHELL),
		     *d = name_text(rows[i].name, Q_LITERAL);
		if (strcmp(a, rows[i].question) != 0 || strcmp(b, rows[i].escape) != 0 ||
		    strcmp(c, rows[i].shell) != 0 || strcmp(d, rows[i].name) != 0) {
			printf("row %u: %s %s %s\n", i, a, b, c);
			t_bad++;
		}
		free(a);
		free(b);
		free(c);
		free(d);
	}
}

static char *
join(const char *dir, const char *name)
{
	return path_join(dir, name);
}

TEST(paths)
{
	static const struct {
		const char *path, *base;
	} rows[] = {{"/", "/"}, {"///", "/"}, {"a", "a"}, {"/a", "a"}, {"/a/b//", "b"},
	    {"a/", "a"}, {"..", ".."}, {"/a/.", "."}};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *s = path_base(rows[i].path);
		CHECK(strcmp(s, rows[i].base) == 0);
		free(s);
	}
	char *s = join("/", "x");
	CHECK(strcmp(s, "/x") == 0);
	free(s);
	s = join("a/b", "x");
	CHECK(strcmp(s, "a/b/x") == 0);
	free(s);
}

/* Expressions: whether they parse, and what they say of one file. */

static int
words(char *line, char ***ret)
{
	return script_split(line, ret);
}

TEST(find_refusals)
{
	static const char *const rows[] = {"-name", "-type", "-type x", "-type f,",
	    "-type f,,d", "-size", "-size x", "-size +", "-perm z", "-maxdepth -1",
	    "-maxdepth x", "(", ")", "( -name x", "-name x )", "!", "-o", "-name x -o",
	    "-a -name x", "-nosuch", "-mtime x", "-links 1k", "( )", "-name x -a"};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[100], **v = NULL, *why = NULL;
		struct find_options o;

		snprintf(line, sizeof(line), "%s", rows[i]);
		int n = words(line, &v);
		struct find_expr *e = find_parse(n, v, &o, &why);
		if (e || !why) {
			printf("%s: parsed, or no reason\n", rows[i]);
			t_bad++;
		}
		find_free(e);
		free(why);
		free(v);
	}
}

TEST(find_nesting)
{
	enum {
		N = 1000
	};
	char *v[N], *why = NULL, open[] = "(";
	struct find_options o;

	for (unsigned i = 0; i < N; i++)
		v[i] = open;
	CHECK(find_parse(N, v, &o, &why) == NULL);
	CHECK(why && strstr(why, "too deep"));
	free(why);
}

TEST(find_tests)
{
	static const struct {
		const char *expr;
		bool want;
	} rows[] = {
	    {"-name b.txt", true},
	    {"-name b", false},
	    {"-name '*.txt'", true},
	    {"-iname '*.TXT'", true},
	    {"-name '*.TXT'", false},
	    {"-path '*/a/*'", true},
	    {"-type f", true},
	    {"-type d", false},
	    {"-type d,f", true},
	    {"-size 3", true}, /* 1025 bytes are three blocks of 512 */
	    {"-size 2k", true},
	    {"-size +1k", true},
	    {"-size -2k", false},
	    {"-size 1025c", true},
	    {"-size +1025c", false},
	    {"-perm 640", true},
	    {"-perm -600", true},
	    {"-perm /022", false},
	    {"-perm u=rw,g=r", true},
	    {"-links 1", true},
	    {"-links +1", false},
	    {"-uid 1000", true},
	    {"-mmin +59", true},
	    {"-mmin -10", false},
	    {"-mtime 0", true},
	    {"-not -name x", true},
	    {"! ! -name b.txt", true},
	    {"-name x -o -type f", true},
	    {"-name x -a -type f", false},
	    {"-type f -name x -o -false", false},
	    {"( -name x -o -name b.txt ) -type d", false},
	    {"-name x -o -name b.txt -type f", true},
	    {"-true", true},
	    {"-false", false},
	};
	struct stat st = {.st_mode = S_IFREG | 0640,
	    .st_size = 1025,
	    .st_nlink = 1,
	    .st_uid = 1000,
	    .st_mtim.tv_sec = 1000000};
	struct walk w = {.w_path = "/a/b.txt", .w_name = "b.txt", .w_st = &st};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[100], **v = NULL, *why = NULL;
		struct find_options o;
		struct find_run r = {.fr_walk = &w, .fr_now = 1000000 + 3600};

		/* An action that does not print: -prune is always true. */
		snprintf(line, sizeof(line), "( %s ) -prune -quit", rows[i].expr);
		int n = words(line, &v);
		struct find_expr *e = find_parse(n, v, &o, &why);
		if (!e) {
			printf("%s: %s\n", rows[i].expr, why);
			t_bad++;
		} else {
			w.w_prune = false;
			(void)find_eval(e, &r);
			if (w.w_prune != rows[i].want || r.fr_quit != rows[i].want) {
				printf("%s: %d\n", rows[i].expr, w.w_prune);
				t_bad++;
			}
		}
		find_free(e);
		free(why);
		free(v);
	}
}

TEST(find_options)
{
	char line[] = "-mindepth 2 -maxdepth 3 -depth -delete", **v = NULL, *why = NULL;
	struct find_options o;
	int n = words(line, &v);
	struct find_expr *e = find_parse(n, v, &o, &why);

	REQUIRE(e);
	CHECK_EQ(o.fo_mindepth, 2);
	CHECK_EQ(o.fo_maxdepth, 3);
	CHECK(o.fo_post);
	CHECK(o.fo_writes);
	find_free(e);
	free(v);
	char *paths[] = {"a", "/b", "-name", "x"};
	CHECK_EQ(find_paths(4, paths), 2);
}

/* A whole program, on a tree in memory: its exit code, and what it prints. */
static int
run_tool(const char *script, char *out, size_t size)
{
	char in_name[] = "/tmp/t-ukfs-tool.XXXXXX",
	     out_name[] = "/tmp/t-ukfs-tool.XXXXXX";
	char *argv[] = {"ukfs", "-t", "rumpfs", "none", "-", NULL};
	int in = mkstemp(in_name), o = mkstemp(out_name), keep = dup(STDOUT_FILENO),
	    rc = -1;
	ssize_t n = (ssize_t)strlen(script);

	unlink(in_name);
	unlink(out_name);
	fflush(stdout);
	if (in >= 0 && o >= 0 && keep >= 0 && write(in, script, (size_t)n) == n &&
	    lseek(in, 0, SEEK_SET) == 0 && dup2(o, STDOUT_FILENO) >= 0) {
		FILE *old = stdin;
		stdin = fdopen(dup(in), "r");
		target = (struct target){.tg_type = "auto"};
		optind = 0;
		rc = tool_main(5, argv);
		free(target.tg_image);
		free(target.tg_name);
		fclose(stdin);
		stdin = old;
		fflush(stdout);
		dup2(keep, STDOUT_FILENO);
	}
	n = pread(o, out, size - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	close(in);
	close(o);
	close(keep);
	return rc;
}

TEST(commands)
{
	static const struct {
		const char *script;
		int rc;
		const char *out;
	} rows[] = {
	    {"mkdir -p -m 700 /a/b\nstat -c '%a %F' /a /a/b", 0,
		"755 directory\n700 directory\n"},
	    {"mkdir /a\nmkdir /a", 1, ""},
	    {"touch /x\nln /x /y\nstat -c %h /x\nmv /x /y\nls /", 0, "2\ny\n"},
	    {"mkdir /d\ntouch /f\nmv /f /d\nmv -T /d /e\nfind /e", 0, "/e\n/e/f\n"},
	    {"mkdir /d\nln -s d /l\nls -F /\nreadlink /l\nls /l/", 0, "d/\nl@\nd\n"},
	    {"touch '/a b' \"/c'd\"\nls /\nrm '/a b'\nls /", 0, "a b\nc'd\nc'd\n"},
	    {"mkdir -p /a/b/c\ntouch /a/b/f\nrm -r /a\nls /", 0, ""},
	    {"rm /none", 1, ""},
	    {"rm -f /none", 0, ""},
	    {"mkdir /a\nrm /a", 1, ""},
	    {"rm -r /", 1, ""},
	    {"rm -r /.", 1, ""},
	    {"touch /f\nchmod u+x,go= /f\nchown 5:6 /f\nstat -c '%a %u %g' /f\nchown :7 "
	     "/f\nstat -c '%u %g' /f",
		0, "700 5 6\n5 7\n"},
	    {"touch /f\nchmod z /f", 1, ""},
	    {"mkdir -p /a/b\ntouch /a/b/f\nchmod -R go-rx /a\nfind /a -perm /077", 0, ""},
	    {"truncate -s 3k /f\ntruncate -s +1 /f\nstat -c %s /f", 0, "3073\n"},
	    {"touch -d @12.5 /f\nstat -c '%Y %y' /f", 0,
		"12 1970-01-01 00:00:12.500000000 +0000\n"},
	    {"mkdir -p /s/d\nln -s x /s/l\ntouch /s/f\nln /s/f /s/d/g\ncp -a :/s :/t\nfind "
	     "/t -type f -links 2\nreadlink /t/l",
		0, "/t/d/g\n/t/f\nx\n"},
	    {"mkdir /s\ncp -r :/s :/s/t\nfind /", 1, "/\n/s\n/s/t\n"},
	    {"touch /f\ncp :/f :/f", 1, ""},
	    {"mkdir /d\ncp :/d :/e\nls /", 1, "d\n"},
	    {"mkdir /d\ntouch /f\ncp -T :/f :/d", 1, ""},
	    {"ln -s none /l\ntouch /f\ncp :/f :/l\nls /", 1, "f\nl\n"},
	    {"cp /etc/passwd /tmp", 1, ""},
	    {"touch /f\nxattr -w user.a 0x00ff /f\nxattr -w user.b text /f\nxattr /f\nxattr "
	     "-d user.a /f\nxattr /f",
		0, "user.a=0x00ff\nuser.b=\"text\"\nuser.b=\"text\"\n"},
	    {"mkdir -p /a/b\ncd /a\ntouch b/f\ncd b\nls\ncd ..\nls\ncd\nls\ncd nowhere\nls",
		1, "f\nb\na\na\n"},
	    {"mkdir -p /a/b /a/c\ntouch /a/b/f\ntree /a", 0,
		"/a\n|-- b\n|   `-- f\n`-- c\n\n2 directories, 1 file\n"},
	    {"mkdir -p /a/b/c\nfind / -mindepth 1 -maxdepth 2 -depth", 0, "/a/b\n/a\n"},
	    {"mkdir -p /a/b\ntouch /a/b/f /a/g\nfind /a -name b -prune -o -print", 0,
		"/a\n/a/g\n"},
	    {"mkdir -p /a/b\ntouch /a/b/f\nfind /a -type f -delete\nfind /a", 0,
		"/a\n/a/b\n"},
	    {"ls 'open\nls /", 1, ""},
	    {"nosuch\nls -Z /\nls", 1, ""},
	};

	setenv("TZ", "UTC0", 1);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[4096], script[1024];

		/* The first command makes the mount a writable one; else what is in memory
		 * goes when the first one that writes comes. */
		snprintf(script, sizeof(script), "touch /t\nrm /t\n%s", rows[i].script);
		setlocale(LC_CTYPE, "C");
		int rc = run_tool(script, out, sizeof(out));
		if (rc != rows[i].rc || strcmp(out, rows[i].out) != 0) {
			printf("%s\n-> %d, %s\n", rows[i].script, rc, out);
			t_bad++;
		}
	}
}

/* A tree that is deeper than a path can be. */
TEST(deep)
{
	enum {
		LEVELS = 300,
		NAME = 100
	};
	char name[NAME + 1], out[64];
	size_t room = LEVELS * (2 * NAME + 40) + 1000, n = 0;
	char *script = malloc(room);

	REQUIRE(script);
	memset(name, 'x', NAME);
	name[NAME] = '\0';
	for (unsigned i = 0; i < LEVELS; i++)
		n += (size_t)snprintf(
		    script + n, room - n, "mkdir %s\ncd %s\n", name, name);
	snprintf(script + n, room - n,
	    "touch f\nstat -c %%s f\ncd\ncp -r :/%s :/copy\nfind /copy -name f -size 0 -depth "
	    "-delete\nrm -r /%s\nrm -r /copy\nls\n",
	    name, name);
	int rc = run_tool(script, out, sizeof(out));
	CHECK_EQ(rc, 0);
	CHECK(strcmp(out, "0\n") == 0);
	free(script);
}
