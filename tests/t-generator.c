/*
 * The generator: names of units as systemd-escape has them, words of unit files, symbolic
 * links, and the order of places with its circles.
 */

#include "conf-t.h"
#include "daemon/generator/generator.h"

static GString *said;

void
gen_log(int prio, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	if (!said)
		said = g_string_new(NULL);
	g_string_append_printf(said, "%d %s\n", prio, text);
}

/* What a command prints, for g_free(); NULL if it is not there. */
static char *
output(GPtrArray *argv)
{
	char *out = NULL;
	int status = 1;

	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL,
		NULL, &out, NULL, &status, NULL))
		return NULL;
	return out;
}

/* A path of bytes that are anything but NUL; the same for the same seed.  systemd-escape
 * prints one line per path, and names have no newline in them. */
static char *
odd_path(GRand *r)
{
	static const char some[] = "-_.:\\/ \t\n\r%\"'@$*?[]{}~#;&|<>()=,+!^`\x01\x7f";
	GString *s = g_string_new(NULL);
	int n = g_rand_int_range(r, 1, 5);

	for (int i = 0; i < n; i++) {
		int len = g_rand_int_range(r, 1, 9);

		g_string_append_c(s, '/');
		for (int k = 0; k < len; k++) {
			int how = g_rand_int_range(r, 0, 4);

			g_string_append_c(
			    s, how == 0   ? some[g_rand_int_range(r, 0, sizeof(some) - 1)]
			       : how == 1 ? (char)g_rand_int_range(r, 128, 256)
					  : (char)g_rand_int_range(r, 'a', 'z'));
		}
		/* "." and ".." are not names. */
		g_string_append_c(s, 'x');
	}
	return g_string_free(s, FALSE);
}

TEST(names_of_units)
{
	static const char *const fixed[] = {"/", "/mnt/lab", "/.hidden", "/a.b", "/a/.b",
	    "/mnt/a-b", "/mnt/a b", "/\\x2d", "/mnt/ä", "//mnt///lab/", "/a@b", "/a:b_c",
	    "/%i", "/-", "/a/-/b"};
	g_autoptr(GPtrArray) argv = g_ptr_array_new(), paths = g_ptr_array_new();
	g_autoptr(GRand) r = g_rand_new_with_seed(1);
	g_autofree char *out = NULL;
	g_auto(GStrv) lines = NULL;

	g_ptr_array_add(argv, "systemd-escape");
	g_ptr_array_add(argv, "--path");
	g_ptr_array_add(argv, "--suffix=mount");
	g_ptr_array_add(argv, "--");
	for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
		g_ptr_array_add(paths, g_strdup(fixed[i]));
	for (int i = 0; i < 500; i++)
		g_ptr_array_add(paths, odd_path(r));
	for (guint i = 0; i < paths->len; i++)
		g_ptr_array_add(argv, paths->pdata[i]);
	out = output(argv);
	if (!out || !*out)
		SKIP("no systemd-escape");
	lines = g_strsplit_set(g_strchomp(out), " \n", -1);
	CHECK_EQ(g_strv_length(lines), paths->len);
	for (guint i = 0; i < paths->len && lines[i]; i++) {
		g_autofree char *ours = gen_mount_unit(paths->pdata[i]);

		if (g_strcmp0(ours, lines[i]) != 0)
			printf("%s: %s, expected %s\n", (char *)paths->pdata[i], ours,
			    lines[i]);
		CHECK(g_strcmp0(ours, lines[i]) == 0);
		g_free(paths->pdata[i]);
	}
}

TEST(long_names)
{
	g_autofree char *fits = g_strnfill(250, 'a'), *long_one = g_strnfill(251, 'a');
	char *unit;

	fits[0] = long_one[0] = '/';
	unit = gen_mount_unit(fits);
	CHECK(unit && strlen(unit) == 249 + 6);
	g_free(unit);
	CHECK(gen_is_instance("a-b.c:d_e\\x2d@"));
	CHECK(!gen_is_instance("") && !gen_is_instance("a b") &&
	      !gen_is_instance("a%b") && !gen_is_instance("ä"));
	long_one = g_realloc(long_one, 400);
	memset(long_one + 1, 'b', 398);
	long_one[399] = '\0';
	CHECK(gen_mount_unit(long_one) == NULL && !gen_is_instance(long_one + 1));
}

TEST(words)
{
	static const struct {
		const char *path, *word;
	} rows[] = {
	    {"/a", "\"/a\""},
	    {"/a b\tc", "\"/a b\tc\""},
	    {"/a\"b\\c'd", "\"/a\\\"b\\\\c'd\""},
	    {"/100%/%i", "\"/100%%/%%i\""},
	    {"/\xc3\xa4", "\"/\xc3\xa4\""},
	    {"/a\nb", NULL},
	    {"/a\rb", NULL},
	    {"/a\xff", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *word = gen_word(rows[i].path);

		if (g_strcmp0(word, rows[i].word) != 0)
			printf("%s: %s, expected %s\n", rows[i].path, word, rows[i].word);
		CHECK(g_strcmp0(word, rows[i].word) == 0);
	}
}

/* Within the working directory, which is on one file system, though not on the root's. */
TEST(resolving)
{
	static const struct {
		const char *path, *what;
	} rows[] = {
	    {"/no-such/../x//./y/", "/x/y"}, {"/", "/"}, {"/..", "/"},
	    {"/proc/self/../x", "/proc/x"}, /* a link on another mount is not looked at */
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *is = gen_resolve(rows[i].path);

		if (strcmp(is, rows[i].what) != 0)
			printf("%s: %s, expected %s\n", rows[i].path, is, rows[i].what);
		CHECK(strcmp(is, rows[i].what) == 0);
	}
	CHECK(gen_is_within("/a/b", "/a") && gen_is_within("/a", "/a") &&
	      gen_is_within("/a", "/") && !gen_is_within("/ab", "/a"));
	CHECK(gen_is_local("/") && gen_is_local("/no-such") &&
	      !gen_is_local("/proc/version"));
}

static struct plan
new_plan(void)
{
	if (said)
		g_string_truncate(said, 0);
	return (struct plan){
	    .pn_places = g_ptr_array_new(),
	    .pn_at = g_hash_table_new(g_str_hash, g_str_equal),
	    .pn_remote = g_hash_table_new(g_str_hash, g_str_equal),
	};
}

/* rumpfuse@NAME.service with this text, in the working directory. */
static struct place *
service(struct plan *pn, const char *name, const char *text)
{
	g_autofree char *file = g_strdup_printf("%s/%s.conf", work, name);
	struct place *pl;

	put_len(file, text, strlen(text));
	pl = gen_place_new(pn, g_strdup_printf("rumpfuse@%s.service", name), file);
	pl->pl_service = true;
	return pl;
}

/* The drop-in of a place without the lines that are every place's. */
static char *
written(const struct place *pl)
{
	g_autofree char *file = g_strdup_printf("%s.d/50-rumpfuse.conf", pl->pl_unit);
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	GString *out = g_string_new(NULL);

	gen_drop_in(pl, ".");
	if (!g_file_get_contents(file, &text, NULL, NULL))
		return g_string_free(out, FALSE);
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++)
		if (**l && **l != '#' && !strstr(*l, work) && strcmp(*l, "[Unit]") != 0)
			g_string_append_printf(out, "%s|", *l);
	return g_string_free(out, FALSE);
}

#define WRITES(pl, text)                                                  \
	do {                                                              \
		g_autofree char *w_ = written(pl);                        \
		if (strcmp(w_, text) != 0)                                \
			printf("is \"%s\"\nexpected \"%s\"\n", w_, text); \
		CHECK(strcmp(w_, text) == 0);                             \
	} while (0)

TEST(drop_ins)
{
	struct plan pn = new_plan();
	struct place *all, *late, *own, *bad;

	start();
	all = service(&pn, "all",
	    "[daemon]\nmountpoint = /m/all\n[etfs /k]\nhost = /s/100%\\\\x\nuid = no-such-user\n"
	    "[file /f]\nhost-copy = /c/f\n[mount /i]\nhost = /i/disk\n"
	    "[etfs /n]\nhost = /n/a\\nb/c\n[etfs /root]\nhost = /\n"
	    "[etfs /up]\nhost = /u/v/../w\n");
	late = service(&pn, "late",
	    "[etfs /a]\nhost = /l-1/x\nmissing = hide\n[etfs /b]\nhost = /l-1/y\nmissing = wait\n"
	    "[etfs /c]\nhost = /l-1/y\n");
	own = service(&pn, "own",
	    "[daemon]\nmountpoint = /m/own\n[etfs /k]\nhost = /m/own/x\n[etfs /l]\nhost = /m/own2\n");
	bad = service(&pn, "bad", "[etfs /k]\nhots = /x\n");
	CHECK(gen_needs(all) && gen_needs(late) && gen_needs(own));
	CHECK(!gen_needs(bad) &&
	      strstr(said->str, "bad.conf:2: [etfs /k] hots: unknown key"));
	g_ptr_array_remove(pn.pn_places, bad);
	gen_order(&pn);
	WRITES(all,
	    "RequiresMountsFor=\"/s/100%%\\\\x\"|After=n-a\\x0ab-c.mount|After=n-a\\x0ab.mount|"
	    "RequiresMountsFor=\"/n\"|RequiresMountsFor=\"/u/v\"|RequiresMountsFor=\"/u/w\"|"
	    "RequiresMountsFor=\"/c/f\"|RequiresMountsFor=\"/i/disk\"|RequiresMountsFor=\"/m\"|");
	WRITES(late,
	    "After=l\\x2d1-x.mount|After=l\\x2d1.mount|RequiresMountsFor=\"/l-1/y\"|");
	WRITES(own, "RequiresMountsFor=\"/m/own2\"|RequiresMountsFor=\"/m\"|");
}

/* Each in the mount of the next: one is left out.  And one in the mount of another. */
TEST(circles)
{
	struct plan pn = new_plan();
	struct place *a, *b, *c, *d;

	start();
	a = service(&pn, "a", "[daemon]\nmountpoint = /m/a\n[etfs /k]\nhost = /m/b/x\n");
	b = service(&pn, "b", "[daemon]\nmountpoint = /m/b\n[etfs /k]\nhost = /m/c/x\n");
	c = service(&pn, "c",
	    "[daemon]\nmountpoint = /m/c\n[etfs /k]\nhost = /m/a/x\n[etfs /l]\nhost = /s\n");
	d = service(&pn, "d", "[daemon]\nmountpoint = /m/a/deep/d\n");
	CHECK(gen_needs(a) && gen_needs(b) && gen_needs(c) && gen_needs(d));
	gen_order(&pn);
	WRITES(a, "RequiresMountsFor=\"/m/b/x\"|RequiresMountsFor=\"/m\"|"
		  "After=rumpfuse@b.service|PartOf=rumpfuse@b.service|");
	WRITES(b, "RequiresMountsFor=\"/m/c/x\"|RequiresMountsFor=\"/m\"|"
		  "After=rumpfuse@c.service|PartOf=rumpfuse@c.service|");
	WRITES(c, "RequiresMountsFor=\"/s\"|RequiresMountsFor=\"/m\"|");
	WRITES(d, "RequiresMountsFor=\"/m/a/deep\"|After=rumpfuse@a.service|"
		  "PartOf=rumpfuse@a.service|");
	CHECK(strstr(said->str,
	    "c.conf: /m/a/x lies in the mount of rumpfuse@a.service, which needs this one"));
}

TEST(fstab)
{
	static const char conf_text[] =
	    "[etfs /k]\nhost = /nfs/x\n[etfs /s]\nhost = /m/s/x\n";
	g_autofree char *text = NULL;
	struct plan pn = new_plan();
	struct place *pl;

	start();
	put_len("f.conf", conf_text, strlen(conf_text));
	text = g_strdup_printf("# a comment\nserver:/x /nfs nfs defaults 0 0\n"
			       "%s/f.conf /m/early fuse.rumpfuse defaults 0 0\n"
			       "%s/f.conf /m/net rumpfuse ro,_netdev 0 0\n"
			       "rumpfuse#%s/f.conf /m/a\\040b fuse nofail 0 0\n"
			       "/dev/sda1 /m/other ext4 defaults 0 0\n"
			       "sshfs#host: /m/ssh fuse defaults 0 0\n"
			       "relative.conf /m/rel rumpfuse defaults 0 0\n"
			       "%s/f.conf none rumpfuse defaults 0 0\n",
	    work, work, work, work);
	put_len("fstab", text, strlen(text));
	gen_fstab(&pn, "no-such-fstab");
	CHECK_EQ(pn.pn_places->len, 0);
	gen_fstab(&pn, "fstab");
	CHECK_EQ(pn.pn_places->len, 3);
	REQUIRE(pn.pn_places->len == 3);
	service(&pn, "s", "[daemon]\nmountpoint = /m/s\n");
	for (guint i = 0; i < pn.pn_places->len; i++)
		CHECK(gen_needs(pn.pn_places->pdata[i]));
	gen_order(&pn);
	pl = pn.pn_places->pdata[0];
	CHECK(strcmp(pl->pl_unit, "m-early.mount") == 0);
	WRITES(pl, "RequiresMountsFor=\"/m\"|");
	CHECK(strstr(said->str, "/nfs/x comes later") &&
	      strstr(said->str, "/m/s/x comes later"));
	pl = pn.pn_places->pdata[1];
	CHECK(strcmp(pl->pl_unit, "m-net.mount") == 0);
	WRITES(pl,
	    "RequiresMountsFor=\"/nfs/x\"|RequiresMountsFor=\"/m/s/x\"|"
	    "RequiresMountsFor=\"/m\"|After=rumpfuse@s.service|PartOf=rumpfuse@s.service|");
	pl = pn.pn_places->pdata[2];
	CHECK(strcmp(pl->pl_unit, "m-a\\x20b.mount") == 0);
	CHECK(strcmp(pl->pl_mountpoint, "/m/a b") == 0);
}

/* One configuration that fstab and a unit could mount at one place, with a key below it. */
TEST(twice)
{
	struct plan pn = new_plan();
	struct place *unit, *other, *line;
	g_autofree char *text = NULL;

	start();
	unit =
	    service(&pn, "t", "[daemon]\nmountpoint = /m/t\n[etfs /k]\nhost = /m/t/x\n");
	other = service(&pn, "o", "[etfs /k]\nhost = /m/t/x\n");
	text = g_strdup_printf("%s/t.conf /m/t rumpfuse nofail 0 0\n", work);
	put_len("fstab", text, strlen(text));
	gen_fstab(&pn, "fstab");
	REQUIRE(pn.pn_places->len == 3);
	line = pn.pn_places->pdata[2];
	CHECK(gen_needs(unit) && gen_needs(other) && gen_needs(line));
	gen_order(&pn);
	WRITES(unit, "RequiresMountsFor=\"/m\"|");
	WRITES(line, "RequiresMountsFor=\"/m\"|");
	WRITES(other, "RequiresMountsFor=\"/m/t/x\"|");
}

/* Two configurations with one mount point, and what lies in it: nothing is started that nobody
 * enabled. */
TEST(enabled)
{
	static const char one_text[] = "[daemon]\nmountpoint = /m/one\n";
	static const char in_text[] = "[etfs /k]\nhost = /m/one/f\n";
	struct place *dup, *one, *inner, *boot, *none;
	struct plan pn = new_plan();

	start();
	dup = service(&pn, "dup", one_text);
	one = service(&pn, "one", one_text);
	inner = service(&pn, "inner", in_text);
	boot = service(&pn, "boot", in_text);
	none = service(&pn, "none", in_text);
	CHECK(gen_needs(dup) && gen_needs(one) && gen_needs(inner) && gen_needs(boot) &&
	      gen_needs(none));
	CHECK(mkdir("lab.target.wants", 0755) == 0 &&
	      mkdir("boot.target.requires", 0755) == 0);
	CHECK(symlink("x", "lab.target.wants/rumpfuse@one.service") == 0);
	CHECK(symlink("x", "lab.target.wants/rumpfuse@inner.service") == 0);
	CHECK(symlink("x", "lab.target.wants/rumpfuse@gone.service") == 0);
	CHECK(symlink("x", "boot.target.requires/rumpfuse@boot.service") == 0);
	gen_enabled(&pn, ".");
	gen_enabled(&pn, ".");
	gen_enabled(&pn, "no-such-directory");
	gen_order(&pn);
#define AFTER_BOTH                                                   \
	"RequiresMountsFor=\"/m/one/f\"|After=rumpfuse@dup.service|" \
	"After=rumpfuse@one.service|PartOf=rumpfuse@one.service|"
	WRITES(dup, "RequiresMountsFor=\"/m\"|");
	/* What the same target starts comes back with it. */
	WRITES(one, "RequiresMountsFor=\"/m\"|Wants=rumpfuse@inner.service|");
	WRITES(inner, AFTER_BOTH);
	WRITES(boot, AFTER_BOTH);
	WRITES(none, AFTER_BOTH);
	CHECK(strstr(said->str, "dup.conf and ") &&
	      strstr(said->str, "one.conf have one mount point, /m/one: only one"));
}

/* Nobody has enabled either of two: the order alone. */
TEST(neither)
{
	struct plan pn = new_plan();
	struct place *a, *b, *in;

	start();
	a = service(&pn, "a", "[daemon]\nmountpoint = /m/x\n");
	b = service(&pn, "b", "[daemon]\nmountpoint = /m/x\n");
	in = service(&pn, "in", "[etfs /k]\nhost = /m/x/f\n");
	CHECK(gen_needs(a) && gen_needs(b) && gen_needs(in));
	gen_order(&pn);
	WRITES(in, "RequiresMountsFor=\"/m/x/f\"|After=rumpfuse@a.service|"
		   "After=rumpfuse@b.service|");
}

/* Anything can be called NAME.conf; none of it may hold up the boot. */
TEST(anything)
{
	g_autoptr(GRand) r = g_rand_new_with_seed(3);
	struct plan pn = new_plan();
	struct place *pl;
	char bytes[4096];

	start();
	for (int i = 0; i < 300; i++) {
		size_t len = (size_t)g_rand_int_range(r, 0, sizeof(bytes));

		for (size_t k = 0; k < len; k++)
			bytes[k] = (char)g_rand_int_range(r, 0, 256);
		pl = service(&pn, "bytes", "");
		put_len("bytes.conf", bytes, len);
		gen_needs(pl); /* it may be good by chance: when empty */
	}
	CHECK(mkfifo("fifo.conf", 0644) == 0 && mkdir("dir.conf", 0755) == 0);
	CHECK(symlink("loop.conf", "loop.conf") == 0);
	CHECK(symlink("gone", "gone.conf") == 0);
	for (const char *const *n = (const char *const[]){"fifo.conf", "dir.conf",
		 "loop.conf", "gone.conf", NULL};
	     *n; n++) {
		g_autofree char *path = g_strdup_printf("%s/%s", work, *n);

		g_string_truncate(said, 0);
		CHECK(!gen_needs(gen_place_new(&pn, g_strdup("x.service"), path)));
		if (!strstr(said->str, *n))
			printf("%s: said: %s\n", *n, said->str);
		CHECK(strstr(said->str, *n) != NULL);
	}
}

/* Seconds for the whole of a plan. */
static double
seconds(struct plan *pn)
{
	gint64 begin = g_get_monotonic_time();

	for (guint i = 0; i < pn->pn_places->len; i++)
		CHECK(gen_needs(pn->pn_places->pdata[i]));
	gen_order(pn);
	for (guint i = 0; i < pn->pn_places->len; i++)
		g_free(gen_drop_in_text(pn->pn_places->pdata[i]));
	return (double)(g_get_monotonic_time() - begin) / 1e6;
}

TEST(many)
{
	GString *text = g_string_new("[daemon]\nmountpoint = /m/big\n");
	struct plan pn = new_plan();
	double s;

	start();
	for (int i = 0; i < 100000; i++)
		g_string_append_printf(text,
		    "[etfs /d%d/f%d]\nhost = /srv/data/d%d/f%d\n", i % 300, i, i % 300,
		    i);
	service(&pn, "big", text->str);
	s = seconds(&pn);
	printf("# 100000 keys: %.2f s\n", s);
	CHECK(s < 30);
	g_string_free(text, TRUE);
	/* Each in the mount of the one before. */
	pn = new_plan();
	for (int i = 0; i < 1000; i++) {
		g_autofree char *name = g_strdup_printf("c%04d", i);
		g_autofree char *conf = g_strdup_printf(
		    "[daemon]\nmountpoint = /m/c%d\n[etfs /k]\nhost = /m/c%d/k\n", i,
		    i - 1);

		service(&pn, name, conf);
	}
	s = seconds(&pn);
	printf("# 1000 configurations in a row: %.2f s\n", s);
	CHECK(s < 10);
}
