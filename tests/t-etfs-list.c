/* What may be kept of listings (etfs_list.c, vop_listing), and cookies of another opening. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/t-etfs.h"

/* Longer than the longest clock tick. */
#define SETTLE() usleep(50000)

/* Reads a part of at most cap bytes after a cookie, which moves on; the names are added to
 * text.  False: there was no more. */
static bool
part(struct file *f, size_t cap, uint64_t *cookie, char *text)
{
	static _Alignas(8) char mem[1 << 16];
	struct dirbuf db = {.db_base = mem, .db_cap = cap, .db_cookie = *cookie};

	CHECK_EQ(vop_readdir(f, &db), 0);
	for (struct dirrec *r = NULL; (r = dirbuf_next(&db, r));) {
		*cookie = r->dr_cookie;
		strcat(strcat(text, r->dr_name), " ");
	}
	return db.db_used > 0;
}

static void
all(struct file *f, size_t cap, uint64_t cookie, char *text)
{
	text[0] = '\0';
	while (part(f, cap, &cookie, text))
		;
}

/* Opens path, reads it if asked, and says what it might keep. */
static enum dirkeep
keeps(struct bed *b, const char *path, bool reads)
{
	struct file *f = open_at(b, path, O_RDONLY | O_DIRECTORY);
	enum dirkeep how = vop_listing(f);
	char text[4096];

	if (reads)
		all(f, sizeof(text), 0, text);
	vop_close(f);
	return how;
}

TEST(kept_while_unchanged)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_ASK); /* it was just made */
	SETTLE();
	CHECK_EQ(keeps(&b, "/d", false), LISTING_NEW);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_NEW); /* nobody has listed it */
	CHECK_EQ(keeps(&b, "/d", false), LISTING_KEPT);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_KEPT);
	host_text(&b, "t/new", "x");
	CHECK_EQ(keeps(&b, "/d", true), LISTING_ASK);
	unlink(host(&b, "t/new"));
	CHECK_EQ(keeps(&b, "/d", true), LISTING_ASK);
	SETTLE();
	CHECK_EQ(keeps(&b, "/d", true), LISTING_NEW);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_KEPT);
	/* A time that is set leaves a trace. */
	host_text(&b, "t/again", "x");
	utimensat(AT_FDCWD, host(&b, "t"), (struct timespec[2]){{1, 1}, {1, 1}}, 0);
	SETTLE();
	CHECK_EQ(keeps(&b, "/d", true), LISTING_NEW);
}

TEST(no_mixture_is_kept)
{
	AUTO_BED b;
	struct file *f;
	uint64_t cookie = 0;
	char text[4096] = "";

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	SETTLE();
	f = open_at(&b, "/d", O_RDONLY | O_DIRECTORY);
	CHECK_EQ(vop_listing(f), LISTING_NEW);
	CHECK(part(f, 80, &cookie, text));
	host_text(&b, "t/new", "x");
	SETTLE();
	/* His answer may be on its way. */
	CHECK_EQ(keeps(&b, "/d", true), LISTING_ASK);
	all(f, 80, cookie, text);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_ASK);
	vop_close(f);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_NEW);
	CHECK_EQ(keeps(&b, "/d", true), LISTING_KEPT);
	/* Who has read nothing is not in the way. */
	f = open_at(&b, "/d", O_RDONLY | O_DIRECTORY);
	CHECK_EQ(vop_listing(f), LISTING_KEPT);
	unlink(host(&b, "t/new"));
	SETTLE();
	CHECK_EQ(keeps(&b, "/d", true), LISTING_NEW);
	vop_close(f);
}

TEST(what_is_never_kept)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	host_text(&b, "file", "x");
	CHECK_EQ(
	    reg_dir(&b, "/f", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_FOLLOW, false), 0);
	CHECK_EQ(reg_dir(&b, "/flat", "t", ETFS_DIR, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_EQ(reg(&b, "/keys/one", "file", ETFS_REG), 0);
	SETTLE();
	CHECK_EQ(keeps(&b, "/f", true), LISTING_ASK);
	CHECK_EQ(keeps(&b, "/f", true), LISTING_ASK);
	CHECK_EQ(keeps(&b, "/flat", true), LISTING_NEW);
	CHECK_EQ(keeps(&b, "/flat", true), LISTING_KEPT);
	CHECK_EQ(keeps(&b, "/flat/sub", true), LISTING_KEPT);
	/* In memory, with a key in it that lives as long as its host lets it. */
	CHECK_EQ(keeps(&b, "/keys", true), LISTING_KEPT);
	CHECK_EQ(keeps(&b, "/keys", true), LISTING_KEPT);
	usleep(1050000);
	CHECK_EQ(keeps(&b, "/keys", true), LISTING_NEW);
	CHECK_EQ(keeps(&b, "/keys", true), LISTING_KEPT);
	CHECK_EQ(keeps(&b, "/flat", true), LISTING_NEW);
}

/* The kernel goes on where another opening was, whose part of the listing it has kept. */
TEST(cookies_of_another_opening)
{
	AUTO_BED b;
	struct file *f, *g;
	uint64_t cookie = 0;
	char text[4096] = "", rest[4096], again[4096];
	char name[32];

	bed_start(&b, 0);
	make_tree(&b);
	host_text(&b, "other", "nested");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "t/n%d", i);
		host_text(&b, name, "x");
	}
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_EQ(reg(&b, "/d/n7", "other", ETFS_REG), 0);
	f = open_at(&b, "/d", O_RDONLY | O_DIRECTORY);
	while (part(f, 256, &cookie, text)) {
		g = open_at(&b, "/d", O_RDONLY | O_DIRECTORY);
		all(f, 4096, cookie, rest);
		all(g, 96, cookie, again);
		CHECK_STR(again, rest);
		vop_close(g);
	}
	vop_close(f);
}
