/*
 * squashfs images through the library: many threads at once, damage, and directories that
 * are their own ancestors.  The images are mksquashfs's.
 */
#include "t.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t-tmp.h"
#include "vfs/ukfs/ukfs.h"

#define NTHREADS 8
#define NFILES   40
#define BIG      (6u << 20)

static uint64_t
rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static bool
run(const char *fmt, const char *a, const char *b)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), fmt, a, b);
	return system(cmd) == 0;
}

static bool
have_mksquashfs(void)
{
	return system("command -v mksquashfs >/dev/null 2>&1") == 0;
}

/* Bytes that compress to some extent, with a long run of zeros in the middle. */
static void
fill(char *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] =
		    i > len / 3 && i < len / 2 ? 0 : "etaoin shrdlu"[rnd(&seed) % 13];
}

static bool
put(const char *dir, const char *name, const char *buf, size_t len)
{
	char path[256];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f)
		return false;
	ok = fwrite(buf, 1, len, f) == len;
	return fclose(f) == 0 && ok;
}

/* src: big, and in d the files 0 … NFILES - 1, of i * 1000 bytes each. */
static bool
make_tree(const char *top, char *big)
{
	char dir[128], name[16];
	bool ok;

	snprintf(dir, sizeof(dir), "%s/src", top);
	ok = mkdir(dir, 0755) == 0;
	fill(big, BIG, 1);
	ok &= put(dir, "big", big, BIG);
	snprintf(dir, sizeof(dir), "%s/src/d", top);
	ok &= mkdir(dir, 0755) == 0;
	for (int i = 0; i < NFILES; i++) {
		snprintf(name, sizeof(name), "%d", i);
		ok &= put(dir, name, big + i, (size_t)i * 1000);
	}
	return ok;
}

static struct ukfs *
mount_at(const char *image, const char *where, const char *options)
{
	return ukfs_mount(
	    "squashfs", image, where, UKFS_RDONLY, options, strlen(options));
}

struct reader {
	struct ukfs *fs;
	const char *big;
	uint64_t seed;
	unsigned bad;
};

static unsigned
read_some(struct reader *r, int fd, char *buf)
{
	uint64_t off = rnd(&r->seed) % BIG, len = rnd(&r->seed) % 300000 + 1;
	uint64_t want = len < BIG - off ? len : BIG - off;
	ssize_t n = ukfs_read_fd(r->fs, fd, (off_t)off, buf, len);

	return n != (ssize_t)want || memcmp(buf, r->big + off, want) != 0;
}

static unsigned
read_small(struct reader *r, char *buf)
{
	unsigned i = (unsigned)(rnd(&r->seed) % NFILES);
	struct stat st;
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/d/%u", i);
	n = ukfs_read(r->fs, path, 0, buf, 65536);
	return ukfs_stat(r->fs, path, &st) < 0 || st.st_size != (off_t)i * 1000 ||
	       n != st.st_size || memcmp(buf, r->big + i, (size_t)n) != 0;
}

static unsigned
list(struct reader *r)
{
	char buf[4096] __attribute__((aligned(8)));
	off_t off = 0;
	unsigned names = 0;
	ssize_t n;

	while ((n = ukfs_getdents(r->fs, "/d", &off, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n; names++)
			at += ((struct dirent *)(void *)(buf + at))->d_reclen;
	return n != 0 || names != NFILES + 2;
}

static void *
reader(void *arg)
{
	struct reader *r = arg;
	char *buf = malloc(300000);
	int fd = ukfs_open(r->fs, "/big", O_RDONLY);

	if (!buf || fd < 0) {
		r->bad++;
		free(buf);
		return NULL;
	}
	for (int i = 0; i < 60; i++) {
		r->bad += read_some(r, fd, buf);
		r->bad += read_small(r, buf);
		if (i % 10 == 0)
			r->bad += list(r);
	}
	r->bad += ukfs_close(r->fs, fd) < 0;
	free(buf);
	return NULL;
}

/* A cache of one MiB is much too small for all of them. */
static void
read_from_threads(const char *image, const char *big)
{
	struct ukfs *fs = mount_at(image, "/s", "cache=1");
	struct reader r[NTHREADS];
	pthread_t t[NTHREADS];

	if (!fs)
		printf("%s: %s\n", image, ukfs_why());
	REQUIRE(fs);
	for (unsigned i = 0; i < NTHREADS; i++) {
		r[i] = (struct reader){fs, big, i + 1, 0};
		pthread_create(&t[i], NULL, reader, &r[i]);
	}
	for (unsigned i = 0; i < NTHREADS; i++) {
		pthread_join(t[i], NULL);
		CHECK_EQ(r[i].bad, 0);
	}
	CHECK(ukfs_release(fs, 0) == 0);
}

TEST(threads)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	static const char *const how[] = {"-comp gzip -b 4K", "-comp zstd -b 128K",
	    "-comp xz -b 1M -always-use-fragments", "-comp lz4 -no-fragments",
	    "-comp lzo -b 64K", "-noI -noD -noF -noX"};
	char *big = malloc(BIG), image[128];

	if (!have_mksquashfs())
		SKIP("no mksquashfs");
	ukfs_init();
	REQUIRE(big && make_tree(t.path, big));
	snprintf(image, sizeof(image), "%s/img", t.path);
	for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		CHECK(run(
		    "cd %s && mksquashfs src img -noappend -quiet -no-progress %s >/dev/null",
		    t.path, how[i]));
		read_from_threads(image, big);
	}
	free(big);
}

/* Everything that is there, however little sense it makes. */
static unsigned
walk(struct ukfs *fs, const char *dir, unsigned depth)
{
	char buf[8192] __attribute__((aligned(8))), list[1024], path[600], data[5000];
	off_t off = 0;
	unsigned seen = 0;
	ssize_t n;

	if (depth > 8)
		return 1000;
	while ((n = ukfs_getdents(fs, dir, &off, buf, sizeof(buf))) > 0) {
		struct dirent *de;

		for (ssize_t at = 0; at < n; at += de->d_reclen) {
			struct stat st;

			de = (struct dirent *)(void *)(buf + at);
			if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
				continue;
			snprintf(path, sizeof(path), "%s/%.300s", dir, de->d_name);
			seen++;
			if (ukfs_lstat(fs, path, &st) < 0)
				continue;
			ukfs_llistxattr(fs, path, list, sizeof(list));
			ukfs_lgetxattr(fs, path, "user.a", list, sizeof(list));
			ukfs_readlink(fs, path, list, sizeof(list));
			if (S_ISDIR(st.st_mode))
				seen += walk(fs, path, depth + 1);
			for (int i = 0; S_ISREG(st.st_mode) && i < 3; i++)
				ukfs_read(
				    fs, path, st.st_size / 3 * i, data, sizeof(data));
		}
		if (seen > 5000)
			return seen;
	}
	return seen;
}

static size_t
load(const char *path, char **ret)
{
	FILE *f = fopen(path, "r");
	struct stat st;
	size_t n = 0;

	if (f && fstat(fileno(f), &st) == 0 && (*ret = malloc((size_t)st.st_size + 1)))
		n = fread(*ret, 1, (size_t)st.st_size, f);
	if (f)
		fclose(f);
	return n;
}

/* Damages a copy: bytes here and there, or in the superblock or the tables at the end, or
 * the end is missing. */
static size_t
damage(char *img, size_t len, unsigned round, uint64_t *s)
{
	unsigned bytes = (unsigned)(rnd(s) % 8) + 1;

	for (unsigned i = 0; i < bytes; i++) {
		size_t at = rnd(s) % len;

		if (round % 4 == 1)
			at = rnd(s) % 96;
		else if (round % 4 >= 2)
			at = len - 1 - rnd(s) % (len < 12000 ? len : 12000);
		img[at] = rnd(s) % 4 ? (char)rnd(s) : rnd(s) % 2 ? -1 : 0;
	}
	return round % 16 == 7 ? rnd(s) % len : len;
}

static void
walk_damaged(const char *dir, const char *img, size_t len, unsigned rounds)
{
	char path[128], *copy = malloc(len);
	unsigned mounted = 0;
	uint64_t s = 42;

	REQUIRE(copy);
	snprintf(path, sizeof(path), "%s/bad", dir);
	for (unsigned i = 0; i < rounds; i++) {
		struct ukfs *fs;

		memcpy(copy, img, len);
		if (!put(dir, "bad", copy, damage(copy, len, i, &s)))
			continue;
		fs = mount_at(path, "/bad", "cache=1");
		if (!fs)
			continue;
		mounted++;
		walk(fs, "/", 0);
		CHECK(ukfs_release(fs, 0) == 0);
	}
	CHECK(mounted > rounds / 3);
	free(copy);
}

TEST(damage)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	static const char *const how[] = {"-comp gzip -b 4K", "-comp zstd",
	    "-comp lzo -b 16K", "-noI -noD -noF -noX -b 4K"};
	char *big = malloc(BIG), *img = NULL, path[128];

	if (!have_mksquashfs())
		SKIP("no mksquashfs");
	ukfs_init();
	REQUIRE(big && make_tree(t.path, big));
	CHECK(run("cd %s/src && truncate -s %s big", t.path, "300000"));
	CHECK(run("cd %s/src && ln -s %s link && mkfifo p && cp -r d e && ln d/7 hard",
	    t.path, "/there/where/ever"));
	run("cd %s/src && setfattr -n user.a -v 1234 big d && setfattr -n user.b -v %s d/9",
	    t.path, "5678 2>/dev/null");
	snprintf(path, sizeof(path), "%s/img", t.path);
	for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		size_t len;

		CHECK(run(
		    "cd %s && mksquashfs src img -noappend -quiet -no-progress %s >/dev/null",
		    t.path, how[i]));
		len = load(path, &img);
		REQUIRE(len > 0);
		walk_damaged(t.path, img, len, 60);
		free(img);
		img = NULL;
	}
	free(big);
}

/* Where the entry of a directory called by one letter lies, in a listing that is not
 * compressed: offset, difference of numbers, type 1, length 1 - 1, the name. */
static char *
entry_of(char *img, size_t len, char name)
{
	const char rest[5] = {1, 0, 0, 0, name};

	for (size_t i = 4; i + sizeof(rest) <= len; i++)
		if (memcmp(img + i, rest, sizeof(rest)) == 0)
			return img + i - 4;
	return NULL;
}

TEST(own_ancestor)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	char *img = NULL, path[128], *a, *c;
	struct ukfs *fs;
	struct stat st;
	size_t len;

	if (!have_mksquashfs())
		SKIP("no mksquashfs");
	ukfs_init();
	CHECK(run("cd %s && mkdir -p src/a/b/c/d && echo %s >src/a/f", t.path, "x"));
	CHECK(run(
	    "cd %s && mksquashfs src img -noappend -quiet -no-progress -noI %s >/dev/null",
	    t.path, ""));
	snprintf(path, sizeof(path), "%s/img", t.path);
	len = load(path, &img);
	a = entry_of(img, len, 'a');
	c = entry_of(img, len, 'c');
	REQUIRE(a && c);
	memcpy(c, a, 2); /* the same inode */
	CHECK(put(t.path, "img", img, len));
	free(img);
	fs = mount_at(path, "/s", "");
	REQUIRE(fs);
	CHECK(ukfs_stat(fs, "/a/b", &st) == 0);
	CHECK(ukfs_stat(fs, "/a/f", &st) == 0 && st.st_size == 2);
	errno = 0;
	CHECK(ukfs_stat(fs, "/a/b/c", &st) < 0);
	CHECK_EQ(errno, EUCLEAN);
	errno = 0;
	CHECK(ukfs_stat(fs, "/a/b/c/b/c/b", &st) < 0);
	CHECK_EQ(errno, EUCLEAN);
	CHECK(ukfs_release(fs, 0) == 0);
}
