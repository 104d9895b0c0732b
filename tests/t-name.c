/* Names: what is one, what is not, and that hashes spread. */
#include "tests/t.h"
#include "vfs/mount.h"
#include "vfs/name.h"

static char longest[NAME_LEN_MAX + 1], too_long[NAME_LEN_MAX + 2], huge[5000];

__attribute__((constructor)) static void
fill(void)
{
	memset(longest, 'x', NAME_LEN_MAX);
	memset(too_long, 'x', NAME_LEN_MAX + 1);
	memset(huge, 'x', sizeof(huge) - 1);
}

TEST(what_is_a_name)
{
	const struct {
		const char *text;
		int r;
	} rows[] = {
	    {"a", 0},
	    {"...", 0},
	    {".a", 0},
	    {"a.", 0},
	    {"..a", 0},
	    {" ", 0},
	    {"\n", 0},
	    {"\xff\xfe", 0},
	    {longest, 0},
	    {"", -ENOENT},
	    {".", -EINVAL},
	    {"..", -EINVAL},
	    {"/", -EINVAL},
	    {"a/b", -EINVAL},
	    {"a/", -EINVAL},
	    {too_long, -ENAMETOOLONG},
	    {huge, -ENAMETOOLONG},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct name n = {.n_len = 77};

		CHECK_EQ(name_init(&n, rows[i].text), rows[i].r);
		if (rows[i].r < 0) {
			CHECK_EQ(n.n_len, 77); /* untouched */
			continue;
		}
		CHECK_EQ(n.n_len, strlen(rows[i].text));
		CHECK(n.n_ptr == rows[i].text);
		CHECK_EQ(n.n_hash, name_hash(rows[i].text, n.n_len));
	}
}

TEST(a_length_is_believed)
{
	struct name n;

	CHECK_EQ(name_init_len(&n, "abc/def", 3), 0);
	CHECK_EQ(n.n_len, 3);
	CHECK_EQ(name_init_len(&n, "..x", 2), -EINVAL);
	CHECK_EQ(name_init_len(&n, "a\0b", 3), -EINVAL);
	CHECK_EQ(name_init_len(&n, "abc", 0), -ENOENT);
}

TEST(hash_depends_on_every_byte_and_the_length)
{
	char a[64], b[64];

	for (size_t len = 1; len < sizeof(a); len++) {
		memset(a, 'q', len);
		for (size_t i = 0; i < len; i++) {
			memcpy(b, a, len);
			b[i] ^= 1;
			CHECK(name_hash(a, len) != name_hash(b, len));
		}
		memset(b, 0, sizeof(b));
		CHECK(name_hash(b, len) != name_hash(b, len - 1));
	}
}

/* Names as programs make them must spread over a power-of-two table like random ones: the
 * expected maximum of 65536 balls in 65536 bins is about 8. */
TEST(hash_spreads)
{
	enum {
		BINS = 65536
	};
	static unsigned char bins[BINS];
	static const char *const before[] = {"", "file", "a-very-long-prefix-of-it-", ""};
	static const char *const after[] = {"", "", ".c", "-and-a-long-end.jpeg"};

	for (size_t f = 0; f < sizeof(before) / sizeof(*before); f++) {
		unsigned top = 0;

		memset(bins, 0, sizeof(bins));
		for (unsigned i = 0; i < BINS; i++) {
			char s[80];
			int len =
			    snprintf(s, sizeof(s), "%s%u%s", before[f], i, after[f]);
			unsigned n = ++bins[name_hash(s, (size_t)len) % BINS];

			top = n > top ? n : top;
		}
		CHECK(top <= 16);
	}
}

TEST(paths_have_one_form)
{
	static char deep[4097];
	const struct {
		const char *text;
		int r;
		const char *form;
	} rows[] = {
	    {"/", 0, "/"},
	    {"////", 0, "/"},
	    {"/a", 0, "/a"},
	    {"/a/", 0, "/a"},
	    {"//a///b//", 0, "/a/b"},
	    {"/a/...", 0, "/a/..."},
	    {"", -EINVAL, NULL},
	    {"a", -EINVAL, NULL},
	    {"a/b", -EINVAL, NULL},
	    {"./a", -EINVAL, NULL},
	    {"/.", -EINVAL, NULL},
	    {"/a/./b", -EINVAL, NULL},
	    {"/a/..", -EINVAL, NULL},
	    {"/../a", -EINVAL, NULL},
	    {huge, -EINVAL, NULL},
	    {deep, -ENAMETOOLONG, NULL},
	    {deep + 1, 0, deep + 1},
	};
	char buf[600] = "/";

	for (size_t i = 0; i < 4096; i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[0] = '/'; /* "//d/d…", 4096 bytes; one less is 4095 */
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *form = NULL;
		int r = vfs_path_normal(rows[i].text, &form);

		CHECK_EQ(r, rows[i].r);
		CHECK((form == NULL) == (r < 0));
		if (form && strcmp(rows[i].text, deep + 1) != 0)
			CHECK(strcmp(form, rows[i].form) == 0);
		if (form)
			CHECK(strlen(form) <= strlen(rows[i].text));
		free(form);
	}
	char *form = NULL;
	strcat(buf, too_long);
	CHECK_EQ(vfs_path_normal(buf, &form), -ENAMETOOLONG);
	buf[NAME_LEN_MAX + 1] = '\0';
	CHECK_EQ(vfs_path_normal(buf, &form), 0);
	CHECK(form && strcmp(form, buf) == 0);
	free(form);
}
