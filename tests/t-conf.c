/*
 * conf/: bad configurations each with their exact messages (conf-bad.h), good ones field
 * by field, drop-ins, -k, and robustness against cut and random text.  Values are
 * compared with what GKeyFile itself makes of them.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "conf-bad.h"
#include "conf-t.h"

static const struct conf_etfs *
key(const struct conf *c, const char *path)
{
	static const struct conf_etfs none;

	for (size_t i = 0; i < c->c_netfs; i++) {
		if (strcmp(c->c_etfs[i].ce_path, path) == 0)
			return &c->c_etfs[i];
	}
	printf("no key %s\n", path);
	t_bad++;
	return &none;
}

static const struct conf_node *
node(const struct conf *c, const char *path)
{
	static const struct conf_node none;

	for (size_t i = 0; i < c->c_nnodes; i++) {
		if (strcmp(c->c_nodes[i].cn_path, path) == 0)
			return &c->c_nodes[i];
	}
	printf("no node %s\n", path);
	t_bad++;
	return &none;
}

/* A host path below the working directory. */
static void
check_host(const char *got, const char *rest)
{
	g_autofree char *expected = g_strconcat(work, "/", rest, NULL);

	check_text("host path", got ? got : "NULL", expected);
}

TEST(bad_table)
{
	start();
	CHECK(G_N_ELEMENTS(bad) >= 60);
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(GString) expected = g_string_new(bad[i].errors);
		g_string_replace(expected, "\n", "\nt.conf:", 0);
		g_string_prepend(expected, "t.conf:");
		check_bad_text(bad[i].text, expected->str);
	}
}

/* A long text of one letter, for g_free(). */
static char *
many(size_t n)
{
	return g_strnfill(n, 'x');
}

TEST(bad_lengths)
{
	g_autofree char *x77 = many(77), *x100 = many(100), *x256 = many(256);
	g_autofree char *x4096 = many(4096), *text = NULL, *expected = NULL;
	g_autoptr(GString) deep = g_string_new(NULL);

	start();
	text = g_strdup_printf("[daemon]\naccess = %s\n", x100);
	expected = g_strdup_printf(
	    "t.conf:2: [daemon] access: \"%s...\" is not an access, expected rw or ro",
	    x77);
	check_bad_text(text, expected);

	g_free(text), g_free(expected);
	text = g_strdup_printf(
	    "[dir /%s]\n[dir b]\npath = /%s/b\n[dir /%s]", x256, x256, x256 + 1);
	expected =
	    g_strdup_printf("t.conf:1: [dir /%s]: a name of the path has 256 bytes, "
			    "expected at most 255\nt.conf:3: [dir b] path: a name of "
			    "the path has 256 bytes, expected at most 255",
		x256);
	check_bad_text(text, expected);

	while (deep->len < 4095)
		g_string_append(deep, "/xxxx");
	g_string_append(deep, "x"); /* 4096 */
	g_free(text), g_free(expected);
	text = g_strdup_printf("[dir d]\npath = %s\n", deep->str);
	check_bad_text(text,
	    "t.conf:2: [dir d] path: the path has 4096 bytes, expected at most 4095");
	text[strlen(text) - 2] = '\0';
	conf_free(load_good(text));

	g_free(text);
	text = g_strdup_printf(
	    "[symlink /a]\ntarget = %s\n[etfs /b]\nhost = /%s", x4096, x4096 + 1);
	check_bad_text(text,
	    "t.conf:2: [symlink /a] target: the target has 4096 bytes, expected at most 4095\n"
	    "t.conf:4: [etfs /b] host: the path has 4096 bytes, expected at most 4095");
	g_free(text);
	text = g_strdup_printf(
	    "[symlink /a]\ntarget = %s\n[etfs /b]\nhost = /%s", x4096 + 1, x4096 + 2);
	conf_free(load_good(text));
	expected = NULL;
}

TEST(bad_files)
{
	static const char nul[] = "[daemon]\naccess = no\nthr\0eads = 0\n";

	start();
	check_bad("absent.conf",
	    "absent.conf: cannot be read: No such file or directory, "
	    "expected a text file");
	CHECK(mkdir("dir.conf", 0755) == 0);
	check_bad("dir.conf", "dir.conf: a directory, expected a text file");
	/* A fifo must not be waited for, nor a device read. */
	CHECK(mkfifo("fifo.conf", 0644) == 0);
	check_bad("fifo.conf", "fifo.conf: not a regular file, expected a text file");
	check_bad("/dev/null", "/dev/null: not a regular file, expected a text file");
	CHECK(mkdir("t.conf.d", 0755) == 0 && mkfifo("t.conf.d/a.conf", 0644) == 0);
	check_bad_text("", "t.conf.d/a.conf: not a regular file, expected a text file");
	unlink("t.conf.d/a.conf");
	rmdir("t.conf.d");
	unlink("fifo.conf");
	put_len("nul.conf", nul, sizeof(nul) - 1);
	check_bad("nul.conf",
	    "nul.conf:2: [daemon] access: \"no\" is not an access, expected rw or ro\n"
	    "nul.conf:3: a NUL byte, expected a text file (nothing after it was read)");
	check_bad_text("# caf\xe9\n[daemon]\nacc\xff = 1\n[etfs /a]\nhost = \xc3\x28\n"
		       "[dir /\xff]\nmode = 9\n[rumpfs]\nmode = 8\n",
	    "t.conf:1: byte 0xe9 in column 6 is not UTF-8, expected UTF-8 text\n"
	    "t.conf:3: [daemon]: byte 0xff in column 4 is not UTF-8, expected UTF-8 text\n"
	    "t.conf:3: [daemon] acc\xff: unknown key, expected mountpoint, access, "
	    "allow-other, attr-timeout, watch, wait, threads, dev, suid, export, seccomp, slow, "
	    "passthrough, transport, no-open or writeback\n"
	    "t.conf:5: [etfs /a]: byte 0xc3 in column 8 is not UTF-8, expected UTF-8 text\n"
	    "t.conf:6: [etfs /a]: byte 0xff in column 7 is not UTF-8, expected UTF-8 text\n"
	    "t.conf:9: [rumpfs] mode: \"8\" is not a mode, expected octal digits, 0 to 7777");
	CHECK(truncate("nul.conf", (64 << 20) + 1) == 0);
	check_bad("nul.conf", "nul.conf: larger than 64 MiB, expected less");
	unlink("nul.conf");
	rmdir("dir.conf");
}

TEST(defaults)
{
	struct conf *c;

	start();
	c = load_good("# nothing\n\n");
	CHECK(c->c_mountpoint == NULL && !c->c_rdonly && !c->c_allow_other);
	CHECK(!c->c_dev && !c->c_suid && !c->c_no_seccomp && !c->c_export);
	CHECK_EQ(c->c_attr_timeout_ns, 1000000000);
	CHECK_EQ(c->c_slow_ns, 5000000000);
	CHECK(!c->c_no_passthrough && c->c_transport == CTR_AUTO);
	CHECK(c->c_no_open == WHEN_AUTO && c->c_writeback == WHEN_AUTO);
	CHECK_EQ(c->c_threads, 0);
	CHECK(c->c_size > 1 << 20);
	CHECK_EQ(c->c_inodes, 1 << 20);
	CHECK_EQ(c->c_mode, 0755);
	CHECK(!c->c_set_uid && !c->c_set_gid);
	CHECK(c->c_nnodes == 0 && c->c_netfs == 0);
	conf_free(c);
	conf_free(conf_new());
	conf_free(NULL);
}

TEST(daemon_and_rumpfs)
{
	struct conf *c;

	start();
	c = load_good(
	    "[daemon]\nmountpoint=mnt\naccess = ro\nallow-other = true\n"
	    "attr-timeout = 250ms\nthreads = 8\ndev = yes\nsuid = yes\nseccomp = no\nexport = yes\n"
	    "slow = 1500ms\npassthrough = no\ntransport = io-uring\nno-open = no\n"
	    "writeback = yes\n"
	    "[rumpfs]\nsize = 64M\ninodes = 10K\nmode = 1777\nuid = root\ngid = 7\n");
	check_host(c->c_mountpoint, "mnt");
	CHECK(c->c_rdonly && c->c_allow_other);
	CHECK(c->c_dev && c->c_suid && c->c_no_seccomp && c->c_export);
	CHECK_EQ(c->c_attr_timeout_ns, 250000000);
	CHECK_EQ(c->c_slow_ns, 1500000000);
	CHECK(c->c_no_passthrough && c->c_transport == CTR_URING);
	CHECK(c->c_no_open == WHEN_NO && c->c_writeback == WHEN_YES);
	CHECK_EQ(c->c_threads, 8);
	CHECK_EQ(c->c_size, 64 << 20);
	CHECK_EQ(c->c_inodes, 10240);
	CHECK_EQ(c->c_mode, 01777);
	CHECK(c->c_set_uid && c->c_set_gid);
	CHECK_EQ(c->c_uid, 0);
	CHECK_EQ(c->c_gid, 7);
	conf_free(c);
}

TEST(times)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} t[] = {{"0", 0}, {"1", 1000000000}, {"2s", 2000000000}, {"1500ms", 1500000000},
	    {"0.5", 500000000}, {"1.25s", 1250000000}, {"0.000000001", 1},
	    {"1.5ms", 1500000}, {"9223372036", 9223372036000000000}};

	start();
	for (size_t i = 0; i < G_N_ELEMENTS(t); i++) {
		g_autofree char *text =
		    g_strdup_printf("[daemon]\nattr-timeout = %s\n", t[i].text);
		struct conf *c = load_good(text);
		CHECK_EQ(c->c_attr_timeout_ns, t[i].ns);
		conf_free(c);
	}
}

TEST(sizes)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t size;
	} t[] = {
	    {"0", true, 0},
	    {"1", true, 1},
	    {"007", true, 7},
	    {"3s", true, 1536},
	    {"1K", true, 1024},
	    {"64M", true, 64 << 20},
	    {"2G", true, UINT64_C(2) << 30},
	    {"1T", true, UINT64_C(1) << 40},
	    {"9223372036854775807", true, INT64_MAX},
	    {"9223372036854775808", false, 0},
	    {"18446744073709551616", false, 0},
	    {"8388607T", true, UINT64_C(8388607) << 40},
	    {"8388608T", false, 0},
	    {"18014398509481984s", false, 0},
	    {"18014398509481983s", true, UINT64_C(18014398509481983) * 512},
	    {"", false, 0},
	    {"K", false, 0},
	    {"1k", false, 0},
	    {"1KB", false, 0},
	    {"1 K", false, 0},
	    {" 1", false, 0},
	    {"-1", false, 0},
	    {"+1", false, 0},
	    {"0x10", false, 0},
	    {"1.5K", false, 0},
	    {"end", false, 0},
	    {"50%", false, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(t); i++) {
		uint64_t size = 4711;
		bool good = conf_parse_size(t[i].text, &size);
		if (good != t[i].good || size != (good ? t[i].size : 4711)) {
			printf("size \"%s\" gives %d, %llu\n", t[i].text, good,
			    (unsigned long long)size);
			t_bad++;
		}
	}
}

TEST(memory_percent)
{
	struct conf *all, *half;

	start();
	all = load_good("[rumpfs]\nsize = 100%\n");
	half = load_good("[rumpfs]\nsize = 50%\n");
	CHECK_EQ(all->c_size, half->c_size * 2);
	conf_free(all);
	all = conf_new();
	CHECK_EQ(all->c_size, half->c_size);
	conf_free(all);
	conf_free(half);
}

TEST(nodes)
{
	const struct conf_node *n;
	struct conf *c;

	start();
	c = load_good("[dir /tmp]\nmode = 1777\nuid = 1\ngid = 2\n\n"
		      "[file /etc/motd]\ncontent = \\shello\\n\\ttab\\\\\\r  \n"
		      "[file /etc/copy]\nhost-copy = ../motd\nmode = 0600\n"
		      "[file /empty]\n"
		      "[symlink /bin//sh/]\ntarget = /../dash\n"
		      "[node /dev/sda]\ntype = blk\nmajor = 8\nminor = 1048575\n"
		      "[node /dev/fifo]\ntype = fifo\n"
		      "[whiteout /src/.env]\n"
		      "[dir of brackets]\npath = /a[b]\\nc#d\n"
		      "[dir]\npath=/with space\n");
	CHECK_EQ(c->c_nnodes, 10);
	n = &c->c_nodes[0];
	check_text("path", n->cn_path, "/tmp");
	CHECK(n->cn_kind == CK_DIR && n->cn_set_mode && n->cn_set_uid && n->cn_set_gid);
	CHECK(n->cn_mode == 01777 && n->cn_uid == 1 && n->cn_gid == 2);
	check_text("file", n->cn_where.cw_file, "t.conf");
	check_text("section", n->cn_where.cw_section, "dir /tmp");
	CHECK_EQ(n->cn_where.cw_line, 1);

	n = &c->c_nodes[1];
	CHECK(n->cn_kind == CK_FILE && !n->cn_set_mode && n->cn_host_copy == NULL);
	check_text("content", n->cn_content, " hello\n\ttab\\\r");
	CHECK_EQ(n->cn_content_len, 13);
	CHECK_EQ(n->cn_where.cw_line, 6);
	n = &c->c_nodes[2];
	check_host(n->cn_host_copy, "../motd");
	CHECK(n->cn_content == NULL && n->cn_mode == 0600);
	n = &c->c_nodes[3];
	CHECK(n->cn_content == NULL && n->cn_host_copy == NULL && n->cn_content_len == 0);
	n = node(c, "/bin/sh");
	CHECK(n->cn_kind == CK_SYMLINK);
	check_text("target", n->cn_target, "/../dash");
	n = node(c, "/dev/sda");
	CHECK(n->cn_kind == CK_NODE && n->cn_type == 'b');
	CHECK(n->cn_major == 8 && n->cn_minor == 1048575);
	CHECK(node(c, "/dev/fifo")->cn_type == 'p');
	CHECK(node(c, "/src/.env")->cn_kind == CK_WHITEOUT);
	check_text(
	    "section", node(c, "/a[b]\nc#d")->cn_where.cw_section, "dir of brackets");
	CHECK(node(c, "/with space")->cn_kind == CK_DIR);
	conf_free(c);
}

TEST(keys)
{
	const struct conf_etfs *e;
	struct conf *c;

	start();
	c = load_good(
	    "\t[etfs /disk/p1]\t\r\nhost = disk.img\n type\t= blk\r\nbegin = 1M\n"
	    "size = 128s\naccess = ro\nmissing = hide\nhidden = yes\nlock = no\n"
	    "mode = 0640\nuid = 3\ngid = 4\n"
	    "[etfs /part]\nhost = /dev//./disk\npartition = EFI System\n"
	    "[etfs /src]\nhost = src/./\ntype = dir-subdirs\nsymlinks = follow\n"
	    "special = true\n"
	    "[etfs /]\nhost = /\ntype = dir\n"
	    "[etfs /plain]\nhost = a\\s#b\nsize = end\nlock = yes\n");
	CHECK_EQ(c->c_netfs, 5);
	e = &c->c_etfs[0];
	check_text("path", e->ce_path, "/disk/p1");
	check_host(e->ce_host, "disk.img");
	check_text("section", e->ce_where.cw_section, "etfs /disk/p1");
	CHECK_EQ(e->ce_where.cw_line, 1);
	CHECK(e->ce_type == CT_BLK && e->ce_begin == 1 << 20 && e->ce_size == 65536);
	CHECK(e->ce_rdonly && e->ce_missing == CM_HIDE && e->ce_hidden && e->ce_no_lock);
	CHECK(
	    e->ce_set_mode && e->ce_set_uid && e->ce_set_gid && e->ce_partition == NULL);
	CHECK(e->ce_mode == 0640 && e->ce_uid == 3 && e->ce_gid == 4);
	e = key(c, "/part");
	check_text("host", e->ce_host, "/dev/disk");
	check_text("partition", e->ce_partition, "EFI System");
	CHECK(e->ce_type == CT_AUTO && e->ce_begin == 0 && e->ce_size == CONF_SIZE_END);
	e = key(c, "/src");
	check_host(e->ce_host, "src");
	CHECK(
	    e->ce_type == CT_DIR_SUBDIRS && e->ce_symlinks == CS_FOLLOW && e->ce_special);
	e = key(c, "/");
	check_text("host", e->ce_host, "/");
	CHECK(e->ce_type == CT_DIR && e->ce_symlinks == CS_SHOW && !e->ce_special);
	e = key(c, "/plain");
	check_host(e->ce_host, "a #b");
	CHECK(
	    !e->ce_rdonly && e->ce_missing == CM_FAIL && !e->ce_hidden && !e->ce_no_lock);
	CHECK(!e->ce_set_mode && !e->ce_set_uid && !e->ce_set_gid);
	CHECK(e->ce_size == CONF_SIZE_END);
	conf_free(c);
}

TEST(missing)
{
	struct conf_errors errs = {0};
	struct conf *c;

	start();
	c = load_good("[etfs /a]\nhost = a\nmissing = wait\n");
	CHECK(c->c_etfs[0].ce_missing == CM_WAIT && c->c_wait_ns == 30000000000u);
	conf_free(c);
	c = load_good("[daemon]\nwait = 250ms\n[etfs /a]\nhost = a\nmissing = fail\n");
	CHECK(c->c_etfs[0].ce_missing == CM_FAIL && c->c_wait_ns == 250000000u);
	conf_free(c);
	/* For the paths alone no user is looked up. */
	put_len("t.conf", "[etfs /a]\nhost = a\nuid = no-such-user\n", 37);
	CHECK(conf_load("t.conf", &errs) == NULL && errs.ce_n == 1);
	conf_errors_done(&errs);
	c = conf_load_paths("t.conf", &errs);
	CHECK(c && errs.ce_n == 0 && c->c_etfs[0].ce_set_uid);
	conf_free(c);
}

/* What may stand below and beside what. */
TEST(nesting)
{
	struct conf *c;

	start();
	c = load_good("[etfs /src]\nhost = src\n[whiteout /src/.env]\n[dir /src/build]\n"
		      "[etfs /src/build/log]\nhost = log\ntype = reg\n[dir /srcs]\n"
		      "[file /src/build/log2]\n[etfs /a/b]\nhost = d\ntype = dir\n"
		      "[etfs /a/b/c]\nhost = e\ntype = chr\n");
	CHECK_EQ(c->c_nnodes, 4);
	CHECK_EQ(c->c_netfs, 4);
	conf_free(c);
}

TEST(drop_ins)
{
	struct conf_errors e = {0};
	struct conf *c;

	start();
	CHECK(mkdir("t.conf.d", 0755) == 0);
	put("t.conf.d/20-b.conf", "[daemon]\nthreads = 2\n[etfs /b]\nhost = b\n");
	put("t.conf.d/10-a.conf",
	    "[daemon]\nthreads = 1\naccess = ro\n[rumpfs]\nmode = 0700\n[etfs /a]\nhost = a\n");
	put("t.conf.d/30-c.conf.bak", "broken\n");
	put("t.conf.d/.40.conf", "broken\n");
	c = load_good(
	    "[daemon]\nthreads = 9\nallow-other = yes\n[etfs /main]\nhost = m\n");
	CHECK_EQ(c->c_threads, 2);
	CHECK(c->c_rdonly && c->c_allow_other && c->c_mode == 0700);
	REQUIRE(c->c_netfs == 3);
	check_text("first", c->c_etfs[0].ce_path, "/main");
	check_text("second", c->c_etfs[1].ce_path, "/a");
	check_text("third", c->c_etfs[2].ce_path, "/b");
	check_host(c->c_etfs[0].ce_host, "m");
	check_host(c->c_etfs[1].ce_host, "t.conf.d/a");
	check_text("file", c->c_etfs[2].ce_where.cw_file, "t.conf.d/20-b.conf");
	conf_free(c);

	put("t.conf.d/20-b.conf", "[etfs /x]\nhost = b\n[etfs /b]\nhots = b\nhost = c\n");
	put("t.conf", "[etfs /b]\nhost = a\n[dir /x]\nmode = 9\n");
	c = conf_load("t.conf", &e);
	CHECK(c == NULL);
	g_autofree char *got = take_errors(&e);
	check_text("drop-ins", got,
	    "t.conf:4: [dir /x] mode: \"9\" is not a mode, expected octal digits, 0 to 7777\n"
	    "t.conf.d/20-b.conf:1: [etfs /x]: the path is declared already by [dir /x] "
	    "(t.conf:3), expected one section for a path\n"
	    "t.conf.d/20-b.conf:3: [etfs /b]: the path is declared already by [etfs /b] "
	    "(t.conf:1), expected one section for a path\n"
	    "t.conf.d/20-b.conf:4: [etfs /b] hots: unknown key, did you mean \"host\"?");
	unlink("t.conf.d/20-b.conf");
	unlink("t.conf.d/10-a.conf");
	CHECK(mkdir("t.conf.d/x.conf", 0755) == 0);
	check_bad("t.conf",
	    "t.conf:4: [dir /x] mode: \"9\" is not a mode, expected octal "
	    "digits, 0 to 7777\n"
	    "t.conf.d/x.conf: a directory, expected a text file");
	rmdir("t.conf.d/x.conf");
	unlink("t.conf.d/30-c.conf.bak");
	unlink("t.conf.d/.40.conf");
	CHECK(rmdir("t.conf.d") == 0);
	put("t.conf.d", "");
	check_bad_text("[daemon]\n",
	    "t.conf.d: cannot be read: Not a directory, expected a "
	    "directory of drop-ins");
	unlink("t.conf.d");
}

/* Relative paths start at the file, wherever the process is. */
TEST(other_directory)
{
	g_autofree char *abs = NULL;
	struct conf_errors e = {0};
	struct conf *c;

	start();
	abs = g_strconcat(work, "/sub/u.conf", NULL);
	CHECK(mkdir("sub", 0755) == 0);
	put("sub/u.conf", "[etfs /a]\nhost = a\n[etfs /b]\nhost = /b\n");
	c = conf_load("./sub//u.conf", &e);
	REQUIRE(c);
	check_host(c->c_etfs[0].ce_host, "sub/a");
	check_text("absolute", c->c_etfs[1].ce_host, "/b");
	check_text("file", c->c_etfs[0].ce_where.cw_file, "./sub//u.conf");
	conf_free(c);
	c = conf_load(abs, &e);
	REQUIRE(c);
	check_host(c->c_etfs[0].ce_host, "sub/a");
	conf_free(c);
	unlink("sub/u.conf");
	rmdir("sub");
}

TEST(add_key)
{
	static const struct {
		const char *text, *errors;
	} t[] = {
	    {"nothing", "-k:1: \"nothing\" has no \"=\", expected KEY=HOST"},
	    {"a=b",
		"-k:1: [etfs a]: \"a\" is not absolute, expected a path that starts with "
		"\"/\""},
	    {"/a=", "-k:1: [etfs /a] host: empty, expected a path"},
	    {"/a=b,ro", "-k:1: [etfs /a]: \"ro\" has no \"=\", expected NAME=VALUE"},
	    {"/a=b,", "-k:1: [etfs /a]: \"\" has no \"=\", expected NAME=VALUE"},
	    {"/a=b,type=blob",
		"-k:1: [etfs /a] type: \"blob\" is not a type, expected reg, "
		"blk, chr, dir or dir-subdirs"},
	    {"/a=b,acess=ro,size=x",
		"-k:1: [etfs /a] acess: unknown key, did you mean \"access\"?\n"
		"-k:1: [etfs /a] size: \"x\" is not a size, expected a whole number with an "
		"optional K, M, G, T or s (512-byte sectors), or end"},
	    {"/a=b,host=c", "-k:1: [etfs /a] host: repeated, expected it once"},
	    {"/a=b,path=/c",
		"-k:1: [etfs /a] path: the section's name has the path already, "
		"expected only one"},
	    {"/a=b,type=dir,begin=1",
		"-k:1: [etfs /a] begin: not for a directory, expected "
		"type reg, blk or chr with it"},
	};
	struct conf_errors e = {0};
	struct conf *c = conf_new();
	const struct conf_etfs *k;

	start();
	for (size_t i = 0; i < G_N_ELEMENTS(t); i++) {
		CHECK(!conf_add_key(c, t[i].text, 1, &e));
		CHECK_EQ(c->c_netfs, 0);
		g_autofree char *got = take_errors(&e);
		check_text(t[i].text, got, t[i].errors);
	}
	CHECK(
	    conf_add_key(c, "//a/=b # c\\,d,type=reg,begin=1K,size=2s,access=ro", 3, &e));
	CHECK(conf_add_key(c, "/p=x=y\\z,partition=a\\,b", 4, &e));
	CHECK(conf_check(c, &e));
	REQUIRE(c->c_netfs == 2);
	k = &c->c_etfs[0];
	check_text("path", k->ce_path, "/a");
	check_host(k->ce_host, "b # c,d");
	check_text("file", k->ce_where.cw_file, "-k");
	CHECK_EQ(k->ce_where.cw_line, 3);
	CHECK(k->ce_type == CT_REG && k->ce_begin == 1024 && k->ce_size == 1024);
	CHECK(k->ce_rdonly);
	check_host(c->c_etfs[1].ce_host, "x=y\\z");
	check_text("partition", c->c_etfs[1].ce_partition, "a,b");
	CHECK(conf_add_key(c, "/a/b=c", 5, &e) && conf_add_key(c, "/p/=c", 6, &e));
	CHECK(!conf_check(c, &e));
	g_autofree char *got = take_errors(&e);
	check_text("check", got,
	    "-k:5: [etfs /a/b]: the path is below [etfs //a/] (-k:3), expected a directory "
	    "above it\n"
	    "-k:6: [etfs /p/]: the path is declared already by [etfs /p] (-k:4), expected "
	    "one section for a path");
	conf_free(c);
}

/* Added to a file, a key is held against what the file has. */
TEST(add_key_to_file)
{
	struct conf_errors e = {0};
	struct conf *c;

	start();
	c = load_good("[dir /a]\n[file /f]\n");
	CHECK(conf_add_key(c, "/a=b", 1, &e) && conf_add_key(c, "/f/x=b", 2, &e));
	CHECK(!conf_check(c, &e));
	g_autofree char *got = take_errors(&e);
	check_text("check", got,
	    "-k:1: [etfs /a]: the path is declared already by [dir /a] (t.conf:1), expected "
	    "one section for a path\n"
	    "-k:2: [etfs /f/x]: the path is below [file /f] (t.conf:2), expected a "
	    "directory above it");
	conf_free(c);
}
