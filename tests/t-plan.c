/* plan.c: the difference of two configurations, in order and in words. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/plan.h"
#include "tests/t.h"

static struct conf *
conf_of(const char *text)
{
	char name[] = "/dev/shm/t-plan.XXXXXX";
	struct conf_errors errs = {0};
	int fd = mkstemp(name);
	struct conf *c = NULL;

	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		c = conf_load(name, &errs);
	for (size_t i = 0; i < errs.ce_n; i++)
		printf("%s\n", errs.ce_text[i]);
	conf_errors_done(&errs);
	close(fd);
	unlink(name);
	return c;
}

/* What the plan from a to b prints is want. */
static void
plan_is(unsigned line, const char *a, const char *b, const struct plan_runs *runs,
    const char *want)
{
	struct conf *ca = conf_of(a), *cb = conf_of(b);
	struct plan pl;
	char *got = NULL;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	CHECK(ca && cb && f);
	if (ca && cb && f && plan_make(&pl, ca, cb, runs)) {
		plan_print(&pl, f);
		plan_done(&pl);
	}
	if (f)
		fclose(f);
	if (!got || strcmp(got, want) != 0) {
		printf("line %u:\n%s---- expected\n%s", line, got ? got : "", want);
		t_bad++;
	}
	free(got);
	if (ca)
		conf_free(ca);
	if (cb)
		conf_free(cb);
}
#define PLAN(a, b, want) plan_is(__LINE__, a, b, NULL, want)

TEST(nothing)
{
	PLAN("", "", "no difference\n");
	PLAN("[dir /a]\n[etfs /k]\nhost=/x\n", "[etfs /k]\nhost=/x\n[dir /a]\n",
	    "no difference\n");
	/* Empty contents are none; a default that is said is none. */
	PLAN("[file /a]\n", "[file /a]\ncontent =\n", "no difference\n");
	PLAN("[etfs /k]\nhost=/x\n",
	    "[etfs /k]\nhost=/x\naccess=rw\nbegin=0\nlock=yes\nhidden=no\n",
	    "no difference\n");
}

TEST(keys)
{
	PLAN("",
	    "[etfs /k]\nhost=/x\ntype=blk\nbegin=1K\nsize=2K\naccess=ro\nmode=0640\n",
	    "+ [etfs /k]: host /x, type blk, begin 1024, size 2048, access ro, mode 0640\n"
	    "1 added, 0 removed, 0 changed\n");
	PLAN("[etfs /k]\nhost=/x\n", "", "- [etfs /k]\n0 added, 1 removed, 0 changed\n");
	PLAN("[etfs /k]\nhost=/x\ntype=blk\n",
	    "[etfs /k]\nhost=/y\ntype=chr\nbegin=1\nsize=9\nmissing=hide\nlock=no\n",
	    "~ [etfs /k]: host /x -> /y, type blk -> chr, begin 0 -> 1, size end -> 9, "
	    "missing fail -> hide, lock yes -> no\n0 added, 0 removed, 1 changed\n");
	PLAN("[etfs /k]\nhost=/x\ntype=dir\n",
	    "[etfs /k]\nhost=/x\ntype=dir\nsymlinks=hide\nspecial=yes\nwatch=no\nhidden=yes\n"
	    "uid=1\ngid=2\n",
	    "~ [etfs /k]: hidden no -> yes, symlinks show -> hide, special no -> yes, watch "
	    "default -> no, uid the host's -> 1, gid the host's -> 2\n"
	    "0 added, 0 removed, 1 changed\n");
}

TEST(nodes)
{
	PLAN("",
	    "[dir /d]\nmode=0700\n[file /f]\ncontent=hi\n[symlink /s]\ntarget=f\n"
	    "[node /n]\ntype=chr\nmajor=1\nminor=3\n[whiteout /w]\n",
	    "+ [dir /d]: mode 0700\n+ [file /f]: content \"hi\"\n+ [symlink /s]: target f\n"
	    "+ [node /n]: type chr, major 1, minor 3\n+ [whiteout /w]\n"
	    "5 added, 0 removed, 0 changed\n");
	PLAN("[file /f]\ncontent=hi\n", "[file /f]\nhost-copy=/x\nuid=3\n",
	    "~ [file /f]: content \"hi\" -> none, host-copy none -> /x, uid the root's -> "
	    "3\n0 added, 0 removed, 1 changed\n");
	/* Another kind is another thing. */
	PLAN("[file /f]\n", "[dir /f]\n",
	    "- [file /f]\n+ [dir /f]\n1 added, 1 removed, 0 changed\n");
	PLAN("[file /f]\n", "[etfs /f]\nhost=/x\n",
	    "- [file /f]\n+ [etfs /f]: host /x\n1 added, 1 removed, 0 changed\n");
	/* What is no text is its length and a sum. */
	PLAN("", "[file /f]\ncontent=a\\nb\n",
	    "+ [file /f]: content 3 bytes (sum 28e4c710)\n1 added, 0 removed, 0 changed\n");
}

TEST(images)
{
	PLAN("[mount /m]\nhost=/i\n",
	    "[mount /m]\nhost=/i\naccess=ro\nvfs=ext4\n[mount /n]\nvfs=rumpfs\n",
	    "~ [mount /m]: vfs auto -> ext4, access rw -> ro\n+ [mount /n]: vfs rumpfs\n"
	    "1 added, 0 removed, 1 changed\n");
}

TEST(settings)
{
	PLAN("[daemon]\nattr-timeout=1\n",
	    "[daemon]\nattr-timeout=2.5\nthreads=3\naccess=ro\n[rumpfs]\nmode=0700\ngid=5\n",
	    "~ [daemon]: access rw -> ro (at the next mount)\n"
	    "~ [daemon]: attr-timeout 1 s -> 2.5 s\n"
	    "~ [daemon]: threads auto -> 3 (at the next mount)\n"
	    "~ [rumpfs]: mode 0755 -> 0700\n~ [rumpfs]: gid the mounting user's -> 5\n"
	    "0 added, 0 removed, 3 changed, 2 at the next mount\n");
	PLAN("[rumpfs]\nsize=1M\ninodes=9\n[daemon]\nattr-timeout=0\n",
	    "[rumpfs]\nsize=2M\ninodes=8\n",
	    "~ [daemon]: attr-timeout 0 s -> 1 s (at the next mount)\n"
	    "~ [rumpfs]: size 1048576 -> 2097152\n~ [rumpfs]: inodes 9 -> 8\n"
	    "0 added, 0 removed, 2 changed, 1 at the next mount\n");
}

TEST(order)
{
	struct conf *a, *b;
	struct plan pl;

	/* What goes goes from the bottom, what comes comes from the top; an image after its
	 * device, and before it away. */
	PLAN("[dir /a]\n[dir /a/b]\n[file /a/b/c]\n[etfs /dev/i]\nhost=/i\ntype=blk\n"
	     "[mount /m]\ndevice=/dev/i\n",
	    "",
	    "- [file /a/b/c]\n- [dir /a/b]\n- [mount /m]\n- [etfs /dev/i]\n- [dir /a]\n"
	    "0 added, 5 removed, 0 changed\n");
	a = conf_of(
	    "[etfs /dev/i]\nhost=/i\ntype=blk\n[mount /m]\ndevice=/dev/i\n[dir /z]\n");
	b = conf_of(
	    "[etfs /dev/i]\nhost=/j\ntype=blk\n[mount /m]\ndevice=/dev/i\naccess=ro\n");
	REQUIRE(a && b && plan_make(&pl, a, b, NULL));
	CHECK_EQ(pl.pl_n, 3);
	CHECK_EQ(pl.pl_naway, 2);
	CHECK(pl.pl_steps[pl.pl_away[0]].ps_kind == PK_IMAGE ||
	      pl.pl_steps[pl.pl_away[1]].ps_kind == PK_IMAGE);
	CHECK(plan_declares_below(&pl, "/dev"));
	CHECK(!plan_declares_below(&pl, "/de"));
	CHECK(!plan_declares_below(&pl, "/m"));
	plan_done(&pl);
	conf_free(a);
	conf_free(b);
}

TEST(in_place)
{
	struct conf *a = conf_of("[etfs /k]\nhost=/x\n[file /f]\ncontent=1\n[file /g]\n");
	struct conf *b = conf_of(
	    "[etfs /k]\nhost=/x\nmode=0600\nhidden=yes\n[file /f]\ncontent=2\n[file /g]\nuid=9\n");
	struct plan pl;

	REQUIRE(a && b && plan_make(&pl, a, b, NULL));
	CHECK_EQ(pl.pl_n, 3);
	for (size_t i = 0; i < pl.pl_n; i++)
		CHECK_EQ(pl.pl_steps[i].ps_in_place,
		    strcmp(pl.pl_steps[i].ps_path, "/f") != 0);
	plan_done(&pl);
	conf_free(a);
	conf_free(b);
}

static bool
runs_but(const struct conf_item *item, void *arg)
{
	return strcmp(item->ci_path, arg) != 0;
}

/* What was taken away by hand comes back, and does not go again. */
TEST(what_runs)
{
	struct plan_runs runs = {runs_but, "/b"};

	plan_is(__LINE__, "[etfs /a]\nhost=/x\n[etfs /b]\nhost=/x\n",
	    "[etfs /a]\nhost=/x\n[etfs /b]\nhost=/x\n", &runs,
	    "+ [etfs /b]: host /x\n1 added, 0 removed, 0 changed\n");
	plan_is(__LINE__, "[etfs /a]\nhost=/x\n[etfs /b]\nhost=/x\n", "", &runs,
	    "- [etfs /a]\n0 added, 1 removed, 0 changed\n");
}

/* n keys from the from-th on. */
static struct conf *
many(unsigned from, unsigned n)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct conf *c;

	for (unsigned i = from; i < from + n; i++)
		fprintf(
		    f, "[etfs /d%u/k%u]\nhost=/x%s\n", i % 97, i, i % 1000 ? "" : "y");
	fclose(f);
	c = conf_of(text);
	free(text);
	return c;
}

TEST(many_keys)
{
	struct conf *a = many(0, 100000), *b = many(1000, 100000);
	struct timespec t0, t1;
	struct plan pl;
	double s;

	REQUIRE(a && b);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	REQUIRE(plan_make(&pl, a, b, NULL));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	CHECK_EQ(pl.pl_added, 1000);
	CHECK_EQ(pl.pl_removed, 1000);
	CHECK_EQ(pl.pl_changed, 0);
	s = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("figure: plan of 100,000 keys: %.3f s\n", s);
#ifndef RF_SANITIZED
	CHECK(s < 0.8);
#endif
	plan_done(&pl);
	conf_free(a);
	conf_free(b);
}
