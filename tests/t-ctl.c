/*
 * rumpfusectl without a daemon: where a mount is, what paths mean, histograms, texts,
 * tables, and what is taken for JSON.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/find.h"
#include "daemon/ctl/json.h"
#include "daemon/ctl/stats.h"
#include "daemon/ctl/text.h"
#include "tests/t.h"

/* What is returned is freed. */
#define SAME(got, want)                                                            \
	do {                                                                       \
		char *got_ = (got);                                                \
		if (g_strcmp0(got_, want) != 0) {                                  \
			printf("%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, \
			    __LINE__, #got, got_ ? got_ : "(null)", want);         \
			t_bad++;                                                   \
		}                                                                  \
		g_free(got_);                                                      \
	} while (0)

static const char table[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 22 0:30 / /mnt/net rw shared:2 master:1 - nfs4 srv:/x rw,addr=1.2.3.4\n"
    "40 22 0:52 / /mnt/lab rw,nosuid - fuse.rumpfuse /etc/lab.conf rw,user_id=1000,group_id=0\n"
    "41 40 0:53 / /mnt/lab/in rw - fuse.rumpfuse none rw,user_id=0\n"
    "42 22 0:54 / /mnt/two\\040words\\134 rw - fuse.rumpfuse a\\011b rw\n"
    "43 22 0:55 / /mnt/twice rw - fuse.rumpfuse low rw,user_id=0\n"
    "44 43 0:56 / /mnt/twice rw - tmpfs high rw\n"
    "45 22 0:57 / /mnt/source-less rw -\n"
    "garbage\n"
    "46 22 x:y / /mnt/no rw - fuse.rumpfuse a rw\n"
    "\n"
    "47 22 0:58 / /mnt/last rw - fuse.rumpfuse c rw,user_id=7";

TEST(mounts)
{
	g_autoptr(GPtrArray) m = mounts_parse(table);
	const struct mnt *at;
	size_t n;

	CHECK_EQ(m->len, 8);
	at = mounts_at(m, "/mnt/lab");
	REQUIRE(at);
	CHECK(mnt_ours(at) && at->m_major == 0 && at->m_minor == 52);
	CHECK(at->m_has_uid && at->m_uid == 1000);
	CHECK(strcmp(at->m_source, "/etc/lab.conf") == 0);
	at = mounts_at(m, "/mnt/two words\\");
	REQUIRE(at);
	CHECK(at->m_minor == 54 && !at->m_has_uid && strcmp(at->m_source, "a\tb") == 0);
	at = mounts_at(m, "/mnt/twice");
	REQUIRE(at);
	CHECK(!mnt_ours(at) && strcmp(at->m_type, "tmpfs") == 0);
	at = mounts_at(m, "/mnt/last");
	REQUIRE(at);
	CHECK(at->m_uid == 7);
	CHECK(!mounts_at(m, "/mnt") && !mounts_at(m, "/mnt/no") && !mounts_at(m, ""));
	at = mounts_from(m, "/etc/lab.conf", &n);
	CHECK(n == 1 && at && at->m_minor == 52);
	/* Somebody else's may be called so. */
	CHECK(mounts_from(m, "high", &n) == NULL && n == 0);
	CHECK_EQ(mounts_over(m, "/mnt/lab/x/y")->m_minor, 52);
	CHECK_EQ(mounts_over(m, "/mnt/lab/in/y")->m_minor, 53);
	CHECK_EQ(mounts_over(m, "/mnt/labor")->m_minor, 1);
}

TEST(no_mounts)
{
	static const char *const texts[] = {"", "\n\n", "1 2", "22 1 8:1 / / rw - ext4",
	    "a b c d e f g h i j k", "22 1 8:1 / /x rw shared:1 shared:2 shared:3"};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GPtrArray) m = mounts_parse(texts[i]);

		CHECK_EQ(m->len, 0);
	}
}

TEST(below)
{
	CHECK(!path_below("/mnt/labor", "/mnt/lab"));
	CHECK(!path_below("/mnt", "/mnt/lab"));
	CHECK(strcmp(path_below("/mnt/lab", "/mnt/lab"), "/") == 0);
	CHECK(strcmp(path_below("/mnt/lab/a/b", "/mnt/lab"), "/a/b") == 0);
	CHECK(strcmp(path_below("/a", "/"), "/a") == 0);
}

TEST(clean)
{
	SAME(path_clean("/"), "/");
	SAME(path_clean("//a/./b//c/"), "/a/b/c");
	SAME(path_clean("/a/../../b"), "/b");
	SAME(path_clean("/a/.."), "/");
	SAME(path_clean("/.../..a"), "/.../..a");
}

TEST(path_in_mount)
{
	static const struct {
		const char *point, *typed, *arg, *cwd, *want;
	} rows[] = {
	    {"/mnt/lab", "/mnt/lab", "/disk/p1", "/root", "/disk/p1"},
	    {"/mnt/lab", "/mnt/lab", "/mnt/lab/disk/p1", "/root", "/disk/p1"},
	    {"/mnt/lab", "/mnt/lab", "/mnt/lab", "/root", "/"},
	    {"/mnt/lab", "/mnt/lab", "/mnt/lab/", "/root", "/"},
	    {"/mnt/lab", "/mnt/lab", "/mnt/labor", "/root", "/mnt/labor"},
	    {"/mnt/lab", "/alias", "/alias//x", "/root", "/x"},
	    {"/mnt/lab", "/alias", "/mnt/lab/x", "/root", "/x"},
	    {"/mnt/lab", "/mnt/lab", "p1", "/mnt/lab/disk", "/disk/p1"},
	    {"/mnt/lab", "/mnt/lab", ".", "/mnt/lab/disk", "/disk"},
	    {"/mnt/lab", "/mnt/lab", "../a", "/mnt/lab/disk", "/a"},
	    {"/mnt/lab", "/mnt/lab", "p1", "/mnt/lab", "/p1"},
	    {"/mnt/lab", "/mnt/lab", "disk/p1", "/root", "/disk/p1"},
	    {"/mnt/lab", NULL, "/mnt/lab/a", "/root", "/a"},
	    {NULL, NULL, "/mnt/lab/a", "/root", "/mnt/lab/a"},
	    {NULL, NULL, "a", "/root", "/a"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		SAME(
		    path_in_mount(rows[i].point, rows[i].typed, rows[i].arg, rows[i].cwd),
		    rows[i].want);
}

/* A tree with links; what the mount table says hangs is not looked into. */
TEST(resolve)
{
	char top[] = "/tmp/t-ctl.XXXXXX";
	g_autofree char *text = NULL;
	GPtrArray *m;

	REQUIRE(mkdtemp(top));
	REQUIRE(chdir(top) == 0);
	CHECK(mkdir("d", 0700) == 0 && mkdir("d/m", 0700) == 0 &&
	      mkdir("hangs", 0700) == 0);
	CHECK(symlink("d", "l") == 0 && symlink("../hangs/l", "d/out") == 0);
	CHECK(symlink("/nowhere", "hangs/l") == 0 && symlink("loop", "loop") == 0);
	CHECK(symlink("m", "d/to-m") == 0);
	text = g_strdup_printf("1 0 8:1 / / rw - ext4 a rw\n"
			       "2 1 0:9 / %s/hangs rw - fuse.other a rw\n"
			       "3 1 0:8 / %s/d/m rw - fuse.rumpfuse a rw\n",
	    top, top);
	m = mounts_parse(text);
	static const struct {
		const char *arg, *want;
	} rows[] = {
	    {"", ""},
	    {"l/m", "/d/m"},
	    {"./l//to-m/", "/d/m"},
	    {"l/../l/m/x/..", "/d/m"},
	    {"d/out", "/hangs/l"},
	    {"hangs/l/x", "/hangs/l/x"},
	    {"loop/x", "/loop/x"},
	    {"none/../d/m", "/d/m"},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *absolute = path_absolute(rows[i].arg, top);
		g_autofree char *got = path_resolve(m, absolute);
		g_autofree char *want = g_strconcat(top, rows[i].want, NULL);

		SAME(g_steal_pointer(&got), want);
	}
	SAME(path_resolve(m, "/.."), "/");
	g_ptr_array_unref(m);
	CHECK(unlink("d/to-m") == 0 && unlink("d/out") == 0 && unlink("hangs/l") == 0);
	CHECK(unlink("l") == 0 && unlink("loop") == 0 && rmdir("d/m") == 0);
	CHECK(
	    rmdir("d") == 0 && rmdir("hangs") == 0 && chdir("/") == 0 && rmdir(top) == 0);
}

TEST(sockets)
{
	struct mnt m = {.m_minor = 52, .m_has_uid = true, .m_uid = 0};
	char **s;

	setenv("XDG_RUNTIME_DIR", "/run/user/77", 1);
	s = sockets_of(&m);
	CHECK(g_strv_length(s) == 3 && strcmp(s[0], "/run/rumpfuse/0:52") == 0);
	g_strfreev(s);
	m.m_uid = 77;
	s = sockets_of(&m);
	CHECK_EQ(g_strv_length(s), 2);
	CHECK(strcmp(s[0], "/run/user/77/rumpfuse/0:52") == 0);
	CHECK(strcmp(s[1], "/run/rumpfuse/0:52") == 0);
	g_strfreev(s);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	s = sockets_of(&m);
	CHECK(g_strv_length(s) == 2 && strcmp(s[0], "/run/user/77/rumpfuse/0:52") == 0);
	g_strfreev(s);
	unsetenv("XDG_RUNTIME_DIR");
}

static void
hist_of(struct hist *h, const char *text)
{
	JsonNode *n = json_from_string(text, NULL);

	hist_init(h, json_node_get_array(n));
	json_node_unref(n);
}

TEST(percentiles)
{
	struct hist h, old, d;

	hist_of(&h, "[]");
	CHECK_EQ(hist_percentile(&h, 0.5), 0);
	hist_done(&h);
	/* 100 of 1…100 in tens, the order of the buckets does not matter. */
	hist_of(&h,
	    "[[20,10],[10,10],[30,10],[40,10],[50,10],[60,10],[70,10],[80,10],[90,10],"
	    "[100,10]]");
	CHECK_EQ(h.h_count, 100);
	CHECK_EQ(hist_percentile(&h, 0.5), 50);
	CHECK_EQ(hist_percentile(&h, 0.51), 60);
	CHECK_EQ(hist_percentile(&h, 0.9), 90);
	CHECK_EQ(hist_percentile(&h, 0.99), 100);
	CHECK_EQ(hist_percentile(&h, 0), 10);
	CHECK_EQ(hist_percentile(&h, 1), 100);
	CHECK_EQ(hist_below(&h, 9), 0);
	CHECK_EQ(hist_below(&h, 10), 10);
	CHECK_EQ(hist_below(&h, 65), 60);
	CHECK_EQ(hist_below(&h, UINT64_MAX), 100);
	/* What came since: buckets that were not there, and one that has shrunk. */
	hist_of(&old, "[[10,9],[20,11],[30,10],[35,3]]");
	hist_diff(&d, &h, &old);
	CHECK_EQ(d.h_count, 71);
	CHECK_EQ(hist_percentile(&d, 0.01), 10);
	CHECK_EQ(hist_percentile(&d, 0.02), 40);
	hist_done(&d);
	hist_diff(&d, &old, &old);
	CHECK_EQ(d.h_count, 0);
	CHECK_EQ(hist_percentile(&d, 0.99), 0);
	hist_add(&d, &h);
	hist_add(&d, &old);
	CHECK_EQ(d.h_count, 133);
	CHECK_EQ(hist_percentile(&d, 0.2), 20);
	hist_done(&d);
	hist_done(&old);
	hist_done(&h);
	/* The last one has no bound. */
	hist_of(&h, "[[null,1],[5,1]]");
	CHECK_EQ(hist_percentile(&h, 0.5), 5);
	CHECK(hist_percentile(&h, 1) == UINT64_MAX);
	CHECK_EQ(hist_below(&h, 1 << 30), 1);
	hist_done(&h);
	/* Counts that nobody has counted, and what is no bucket. */
	hist_of(&h,
	    "[[1,9223372036854775807],[2,9223372036854775807],[3,9],[4],5,[6,-1],[7,\"x\"]]");
	CHECK_EQ(h.h_buckets->len, 2);
	CHECK_EQ(hist_percentile(&h, 1), 2);
	hist_done(&h);
}

TEST(stats_differ)
{
	JsonNode *a = json_from_string(
	    "{\"uptime_ms\":1000,\"operations\":[{\"name\":\"read\",\"count\":5,\"bytes\":100,"
	    "\"buckets\":[[8,5]]}],\"keys\":[{\"path\":\"/a\",\"operations\":5}]}",
	    NULL);
	JsonNode *b = json_from_string(
	    "{\"uptime_ms\":3000,\"operations\":[{\"name\":\"read\",\"count\":9,\"bytes\":50,"
	    "\"buckets\":[[8,6],[64,3]]},{\"name\":\"open\",\"count\":1,\"buckets\":[[2,1]]}],"
	    "\"keys\":[{\"path\":\"/a\",\"operations\":8},{\"path\":\"/b\",\"operations\":2}]}",
	    NULL);
	struct stats *x = stats_new(json_node_get_object(a));
	struct stats *y = stats_new(json_node_get_object(b)), *d = stats_diff(y, x);
	const struct stat_op *read = stats_op(d, "read"), *open = stats_op(d, "open");
	const struct stat_key *k = d->st_keys->pdata[0], *l = d->st_keys->pdata[1];

	CHECK_EQ(d->st_uptime_ms, 2000);
	REQUIRE(read && open && !stats_op(d, "write"));
	CHECK_EQ(read->so_count, 4);
	/* One that went back began anew. */
	CHECK_EQ(read->so_bytes, 50);
	CHECK_EQ(read->so_p50_us, 64);
	CHECK_EQ(read->so_max_us, 64);
	CHECK_EQ(open->so_p99_us, 2);
	CHECK_EQ(k->sk_count, 3);
	CHECK_EQ(l->sk_count, 2);
	stats_free(d);
	stats_free(x);
	stats_free(y);
	json_node_unref(a);
	json_node_unref(b);
}

TEST(escape)
{
	SAME(metrics_escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
	SAME(metrics_escape(NULL), "");
	SAME(metrics_escape("\xff"
			    "x"),
	    "\xef\xbf\xbdx");
	SAME(text_show("plain /p\xc3\xa4th"), "plain /p\xc3\xa4th");
	SAME(text_show("\033[2J\n\\"), "\\033[2J\\012\\134");
	SAME(text_show("\xff\xc3"), "\\377\\303");
	SAME(text_show("\xe2\x80\xae"), "\\342\\200\\256");
	SAME(text_show("\xc2\x9b"), "\\302\\233");
	SAME(text_show(NULL), "-");
}

TEST(sizes)
{
	SAME(text_size(0), "0");
	SAME(text_size(1000), "1000");
	SAME(text_size(1024), "1K");
	SAME(text_size(1536), "1536");
	SAME(text_size(3 << 20), "3M");
	SAME(text_size(UINT64_C(1) << 50), "1024T");
	SAME(text_bytes(1023), "1023");
	SAME(text_bytes(33554432), "33554432 (32.0 MiB)");
	SAME(text_bytes(1048575), "1048575 (1.0 MiB)");
	SAME(text_bytes(UINT64_MAX), "18446744073709551615 (16.0 EiB)");
	SAME(text_about(0), "0");
	SAME(text_about(0.2), "0.2");
	SAME(text_about(42), "42");
	SAME(text_about(999), "999");
	SAME(text_about(1.5 * 1048576), "1.50M");
	SAME(text_about(1e30), "867361737988E");
	text_utf8 = false;
	SAME(text_us(999), "999 us");
	text_utf8 = true;
	SAME(text_us(999), "999 \xc2\xb5s");
	SAME(text_us(1500), "1.50 ms");
	SAME(text_us(15000), "15.0 ms");
	SAME(text_us(61000000), "61.0 s");
	SAME(text_us(UINT64_MAX), "> 2 min");
	SAME(text_uptime(7999), "00:00:07");
	SAME(text_uptime(UINT64_C(90061000)), "1d 01:01:01");
}

TEST(layout)
{
	static const char *const heads[] = {"A", "LONG", "C"};
	struct table *t = table_new("lrl", heads);
	GString *out = g_string_new(NULL);

	table_row(t, g_strdup("\xc3\xa4\xc3\xb6"), g_strdup("1"), g_strdup("x"));
	table_row(t, g_strdup("wide \xe6\xbc\xa2"), g_strdup("12345"), g_strdup(""));
	CHECK_EQ(table_rows(t), 2);
	table_print(t, out, SIZE_MAX, 0);
	CHECK(strcmp(out->str, "A         LONG  C\n"
			       "\xc3\xa4\xc3\xb6           1  x\n"
			       "wide \xe6\xbc\xa2  12345  \n") == 0);
	/* The first row alone, which needs less room; cut. */
	g_string_truncate(out, 0);
	table_print(t, out, 1, 6);
	CHECK(strcmp(out->str, "A   LO\n\xc3\xa4\xc3\xb6    \n") == 0);
	g_string_assign(out, "\xe6\xbc\xa2\xe6\xbc\xa2");
	text_cut(out, 3);
	CHECK(strcmp(out->str, "\xe6\xbc\xa2") == 0);
	g_string_free(out, TRUE);
	table_free(t);
}

TEST(lines)
{
	static const char *const bad[] = {"", "[]", "{", "{} {}", "{\"a\": /* */ 1}",
	    "{'a': 1}", "{\"a\": 1} // x", "null", "{\"a\": \"\xff\"}", "# {", "{\"a\"}"};
	GString *deep = g_string_new("{\"a\":");
	const char *why = NULL;
	JsonNode *n;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		n = json_line(bad[i], &why);
		if (n)
			printf("taken for an object: %s\n", bad[i]);
		CHECK(!n && why);
	}
	for (int i = 0; i < 100000; i++)
		g_string_append_c(deep, '[');
	CHECK(!json_line(deep->str, &why));
	CHECK(strcmp(why, "nested too deeply") == 0);
	g_string_free(deep, TRUE);
	n = json_line(
	    "{\"s\": \"[[[{\\\"[\", \"n\": 5, \"neg\": -5, \"d\": 1e300, \"b\": true, "
	    "\"o\": {}, \"a\": [1, {}], \"z\": null}",
	    &why);
	REQUIRE(n);
	JsonObject *o = json_node_get_object(n);
	CHECK(strcmp(get_str(o, "s"), "[[[{\"[") == 0 && !get_str(o, "n") &&
	      !get_str(o, "z"));
	CHECK_EQ(get_num(o, "n", 9), 5);
	CHECK_EQ(get_num(o, "neg", 9), 0);
	CHECK(get_num(o, "d", 9) == UINT64_MAX && get_num(o, "s", 9) == 9 &&
	      !has_num(o, "b"));
	CHECK(
	    get_bool(o, "b") == 1 && get_bool(o, "n") == -1 && get_bool(NULL, "b") == -1);
	CHECK(get_obj(o, "o") && !get_obj(o, "a") && !get_arr(o, "o") &&
	      !get_obj(NULL, "o"));
	CHECK(arr_len(get_arr(o, "a")) == 2 && !elem_obj(get_arr(o, "a"), 0));
	CHECK(elem_obj(get_arr(o, "a"), 1) && arr_len(NULL) == 0);
	json_node_unref(n);
}
