/*
 * Mounting and releasing by ukfs.h: arguments, several mounts, locks against other
 * processes, modules.
 */
#include <sys/sysmacros.h>

#include "tests/t-tmp.h"
#include "tests/t-ukfs.h"

static struct tmp dir;
static char text[128];

static void
dir_done(void)
{
	tmp_done(&dir);
}

/* A host file of three lines. */
static void
begin(void)
{
	FILE *f;

	CHECK_EQ(ukfs_init(), 0);
	if (!text[0]) {
		dir = tmp_new("/tmp");
		atexit(dir_done);
		snprintf(text, sizeof(text), "%s/text", dir.path);
	}
	f = fopen(text, "w");
	fputs("one\ntwo\nthree\n", f);
	fclose(f);
}

static struct ukfs *
mount_arg(
    const char *type, const char *device, const char *at, int flags, const char *arg)
{
	return ukfs_mount(type, device, at, flags, arg, arg ? strlen(arg) : 0);
}

TEST(refused_mounts)
{
	struct ukfs *there;
	char long_name[300] = "/", none[160];

	begin();
	snprintf(none, sizeof(none), "%s/none", dir.path);
	memset(long_name + 1, 'n', 256);
	there = mount_arg("rumpfs", NULL, "/there", 0, NULL);
	REQUIRE(there);
	CHECK_EQ(put(there, "file", "x"), 0);
	const struct {
		const char *type, *device, *at, *arg, *why;
		int flags, err;
	} rows[] = {
	    {NULL, text, "/x", NULL, "", 0, EINVAL},
	    {"lines", text, NULL, NULL, "", 0, EINVAL},
	    {"lines", text, "/x", NULL, "", 0x80, EINVAL},
	    {"lines", text, "x", NULL, "", 0, EINVAL},
	    {"lines", text, "", NULL, "", 0, EINVAL},
	    {"lines", text, "/a/../x", NULL, "", 0, EINVAL},
	    {"lines", text, long_name, NULL, "", 0, ENAMETOOLONG},
	    {"nofs", text, "/x", NULL, "rumpfs", 0, ENODEV},
	    {"auto", text, "/x", NULL, "recognises", 0, ENODEV},
	    {"lines", NULL, "/x", NULL, "needs a device", 0, EINVAL},
	    {"lines", "", "/x", NULL, "needs a device", 0, EINVAL},
	    {"lines", none, "/x", NULL, "none", 0, ENOENT},
	    {"lines", dir.path, "/x", NULL, "directory", 0, EINVAL},
	    {"lines", text, "/x", "begin=x", "begin=x", 0, EINVAL},
	    {"lines", text, "/x", "begin=", "begin", 0, EINVAL},
	    {"lines", text, "/x", "begin", "begin", 0, EINVAL},
	    {"lines", text, "/x", "begin=-1", "begin", 0, EINVAL},
	    {"lines", text, "/x", "begin=1Q", "begin", 0, EINVAL},
	    {"lines", text, "/x", "begin=1KK", "begin", 0, EINVAL},
	    {"lines", text, "/x", "begin=18446744073709551615K", "begin", 0, EINVAL},
	    {"lines", text, "/x", "size=99999999999999999999", "size", 0, EINVAL},
	    {"lines", text, "/x", "begin=15", "past the end", 0, EINVAL},
	    {"lines", text, "/x", "begin=10,size=5", "past the end", 0, EINVAL},
	    {"lines", text, "/x", "begin=18446744073709551615,size=2", "", 0, EINVAL},
	    {"lines", text, "/x", "partition=1", "partition table", 0, ENODATA},
	    {"lines", text, "/x", "partition=", "partition", 0, EINVAL},
	    {"lines", text, "/x", "partition=1,begin=1", "instead", 0, EINVAL},
	    {"lines", text, "/x", "nolock=yes", "nolock", 0, EINVAL},
	    {"rumpfs", NULL, "/x", "wrong=1", "wrong", 0, EINVAL},
	    {"rumpfs", NULL, "/x", "size=1X", "size", 0, EINVAL},
	    {"rumpfs", NULL, "/there", NULL, "something is mounted", 0, EEXIST},
	    {"rumpfs", NULL, "//there/", NULL, "something is mounted", 0, EEXIST},
	    {"rumpfs", NULL, "/there/file/x", NULL, "not a directory", 0, ENOTDIR},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ukfs *fs;

		errno = 0;
		fs = mount_arg(
		    rows[i].type, rows[i].device, rows[i].at, rows[i].flags, rows[i].arg);
		if (fs || errno != rows[i].err || !*ukfs_why() ||
		    !strstr(ukfs_why(), rows[i].why)) {
			printf("row %zu (\"%s\"): %s: %s\n", i,
			    rows[i].arg ? rows[i].arg : "", strerror(errno), ukfs_why());
			t_bad++;
		}
	}
	CHECK(strcmp(text_of(there, "file"), "x") == 0);
	CHECK_EQ(ukfs_release(there, 0), 0);
}

TEST(ranges_of_a_device)
{
	static const struct {
		const char *arg, *first;
	} rows[] = {{"begin=4,size=4", "two\n"}, {"begin=8", "three\n"}, {"size=2", "on"},
	    {"size=end,begin=4", "two\n"}, {"begin=8,,size=3,", "thr"},
	    {"nolock", "one\n"}, {"begin=0s", "one\n"}, {"begin=0K,nolock", "one\n"},
	    {"", "one\n"}};
	char nul[] = "begin=4\0garbage";
	struct ukfs *fs;

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fs = mount_arg("lines", text, "/w", 0, rows[i].arg);
		if (!fs)
			printf("%s\n", ukfs_why());
		REQUIRE(fs);
		CHECK(strcmp(text_of(fs, "1"), rows[i].first) == 0);
		CHECK(ukfs_rdonly(fs));
		FAILS(ukfs_create(fs, "x", 0600), EROFS);
		CHECK_EQ(ukfs_release(fs, 0), 0);
	}
	/* The text may end with a NUL or without; and it is asked for its length. */
	fs = ukfs_mount("lines", text, "/w", 0, nul, sizeof(nul));
	REQUIRE(fs);
	CHECK(strcmp(text_of(fs, "1"), "two\n") == 0);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	fs = ukfs_mount("lines", text, "/w", 0, "begin=45", 7);
	REQUIRE(fs);
	CHECK(strcmp(text_of(fs, "1"), "two\n") == 0);
	CHECK_EQ(ukfs_release(fs, 0), 0);
}

TEST(limits_of_a_tree_in_memory)
{
	static char buf[1 << 20];
	struct ukfs *fs;
	struct statvfs sv;

	begin();
	fs = mount_arg("rumpfs", "ignored", "/m", 0, "size=512K,inodes=4,mode=1770");
	REQUIRE(fs);
	CHECK_EQ(st_of(fs, "/").st_mode, S_IFDIR | 01770);
	CHECK_EQ(st_of(fs, "/").st_uid, getuid());
	CHECK_EQ(ukfs_create(fs, "a", 0600), 0);
	CHECK_EQ(ukfs_write(fs, "a", 0, buf, sizeof(buf)), 512 << 10);
	FAILS(ukfs_write(fs, "a", 512 << 10, buf, 1), ENOSPC);
	CHECK_EQ(ukfs_truncate(fs, "a", 0), 0);
	CHECK_EQ(ukfs_create(fs, "b", 0600), 0);
	CHECK_EQ(ukfs_mkdir(fs, "c", 0700), 0);
	FAILS(ukfs_create(fs, "d", 0600), ENOSPC);
	FAILS(ukfs_create(fs, "c", 0600), EISDIR);
	FAILS(ukfs_mkdir(fs, "c", 0700), EEXIST);
	CHECK_EQ(ukfs_statvfs(fs, &sv), 0);
	CHECK_EQ(sv.f_blocks * sv.f_frsize, 512 << 10);
	CHECK_EQ(sv.f_ffree, 0);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	fs = mount_arg("rumpfs", NULL, "/m", UKFS_RDONLY, NULL);
	REQUIRE(fs);
	CHECK(ukfs_rdonly(fs));
	CHECK_EQ(ukfs_statvfs(fs, &sv), 0);
	CHECK(sv.f_flag & ST_RDONLY);
	FAILS(ukfs_mkdir(fs, "x", 0700), EROFS);
	FAILS(ukfs_chflags(fs, "/", 0), EROFS);
	FAILS(ukfs_chmod(fs, "/", 0), EROFS);
	CHECK_EQ(ukfs_release(fs, 0), 0);
}

TEST(handles_are_apart_and_nested)
{
	struct ukfs *top, *a, *b;
	int fd, other;
	char c;

	begin();
	top = mount_arg("rumpfs", NULL, "/", 0, NULL);
	a = mount_arg("rumpfs", NULL, "/n/a", 0, NULL);
	b = mount_arg("rumpfs", NULL, "/n/a/deep/b", 0, NULL);
	REQUIRE(top && a && b);
	CHECK_EQ(put(a, "f", "a's"), 0);
	CHECK_EQ(put(b, "f", "b's"), 0);
	CHECK(strcmp(text_of(a, "f"), "a's") == 0);
	CHECK(strcmp(text_of(b, "f"), "b's") == 0);
	/* The handle above sees both; a root is as far as ".." goes. */
	CHECK(strcmp(text_of(top, "n/a/f"), "a's") == 0);
	CHECK(strcmp(text_of(top, "n/a/deep/b/f"), "b's") == 0);
	CHECK(strcmp(text_of(top, "n/a/deep/b/../../f"), "a's") == 0);
	CHECK(strcmp(text_of(a, "deep/b/f"), "b's") == 0);
	CHECK(strcmp(text_of(b, "../../f"), "b's") == 0);
	CHECK(st_of(a, "/").st_dev != st_of(b, "/").st_dev);
	CHECK_EQ(st_of(top, "n/a").st_dev, st_of(a, "/").st_dev);
	FAILS(ukfs_rename(top, "n/a/f", "f"), EXDEV);
	FAILS(ukfs_link(top, "n/a/f", "f"), EXDEV);
	FAILS(ukfs_rmdir(top, "n/a"), EBUSY);
	FAILS(ukfs_rename(top, "n", "m"), EBUSY);
	/* Numbers are good on the handle that opened them. */
	fd = ukfs_open(a, "f", O_RDWR);
	other = ukfs_open(b, "f", O_RDWR);
	CHECK(fd >= 0 && other >= 0 && fd != other);
	FAILS(ukfs_read_fd(b, fd, 0, &c, 1), EBADF);
	FAILS(ukfs_write_fd(b, fd, 0, &c, 1, 0), EBADF);
	FAILS(ukfs_close(b, fd), EBADF);
	FAILS(ukfs_fsync(b, fd), EBADF);
	CHECK_EQ(ukfs_read_fd(a, fd, 0, &c, 1), 1);
	CHECK_EQ(ukfs_close(b, other), 0);
	CHECK_EQ(ukfs_close(a, fd), 0);
	/* What is open through the one above keeps the one below. */
	fd = ukfs_open(top, "n/a/deep/b/f", O_RDONLY);
	FAILS(ukfs_release(b, 0), EBUSY);
	CHECK_EQ(ukfs_close(top, fd), 0);
	CHECK_EQ(ukfs_release(a, 0), 0);
	CHECK(strcmp(text_of(b, "f"), "b's") == 0);
	CHECK(strcmp(text_of(top, "n/a/deep/b/f"), "b's") == 0);
	CHECK_EQ(ukfs_release(b, 0), 0);
	CHECK_EQ(ukfs_release(top, 0), 0);
}

TEST(releasing)
{
	struct ukfs_dircookie *dc;
	struct ukfs *fs, *top;
	int fd;

	begin();
	fs = mount_arg("rumpfs", NULL, "/r", 0, NULL);
	REQUIRE(fs);
	CHECK_EQ(ukfs_mkdir(fs, "d", 0700), 0);
	CHECK_EQ(put(fs, "d/f", "x"), 0);
	CHECK_EQ(ukfs_chdir(fs, "d"), 0);
	FAILS(ukfs_release(fs, 4), EINVAL);
	fd = ukfs_open(fs, "f", O_RDONLY);
	/* It fails, and everything is as it was, the directory too. */
	FAILS(ukfs_release(fs, 0), EBUSY);
	CHECK(strcmp(text_of(fs, "f"), "x") == 0);
	CHECK_EQ(ukfs_close(fs, fd), 0);
	CHECK_EQ(ukfs_opendir(fs, ".", &dc), 0);
	FAILS(ukfs_release(fs, 0), EBUSY);
	CHECK_EQ(ukfs_closedir(fs, dc), 0);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	/* With what is open. */
	fs = mount_arg("rumpfs", NULL, "/r", 0, NULL);
	REQUIRE(fs);
	CHECK_EQ(put(fs, "f", "x"), 0);
	CHECK(ukfs_open(fs, "f", O_RDONLY) >= 0);
	CHECK_EQ(ukfs_opendir(fs, ".", &dc), 0);
	CHECK_EQ(ukfs_release(fs, UKFS_RELFLAG_FORCE), 0);
	/* The handle goes and the file system stays. */
	fs = mount_arg("rumpfs", NULL, "/r/stays", 0, NULL);
	REQUIRE(fs);
	CHECK_EQ(put(fs, "f", "still here"), 0);
	CHECK(ukfs_open(fs, "f", O_RDONLY) >= 0);
	CHECK_EQ(ukfs_release(fs, UKFS_RELFLAG_NOUNMOUNT), 0);
	CHECK(!mount_arg("rumpfs", NULL, "/r/stays", 0, NULL));
	CHECK_EQ(errno, EEXIST);
	top = mount_arg("rumpfs", NULL, "/", 0, NULL);
	REQUIRE(top);
	CHECK(strcmp(text_of(top, "r/stays/f"), "still here") == 0);
	CHECK_EQ(ukfs_release(top, 0), 0);
}

/* Another process that has a lock on the file, until told() with what it says. */
struct other {
	pid_t pid;
	int to, from;
};

static struct other
other_start(int (*fn)(void))
{
	int a[2], b[2];
	struct other o;
	char c = 'n';

	CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	o.pid = fork();
	if (o.pid == 0) {
		close(a[1]);
		c = fn() == 0 ? 'y' : 'n';
		if (write(b[1], &c, 1) == 1)
			(void)!read(a[0], &c, 1);
		_exit(0);
	}
	close(a[0]);
	close(b[1]);
	o.to = a[1];
	o.from = b[0];
	CHECK_EQ(read(o.from, &c, 1), 1);
	CHECK_EQ(c, 'y');
	return o;
}

static void
other_end(struct other *o)
{
	close(o->to);
	close(o->from);
	waitpid(o->pid, NULL, 0);
}

static int
lock_host(short type)
{
	struct flock fl = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = 4, .l_len = 4};
	int fd = open(text, O_RDWR | O_CLOEXEC);

	return fcntl(fd, F_OFD_SETLK, &fl);
}

static int
write_locks(void)
{
	return lock_host(F_WRLCK);
}

static int
read_locks(void)
{
	return lock_host(F_RDLCK);
}

static int
mounts_lines(void)
{
	return mount_arg("lines", text, "/l", 0, NULL) ? 0 : -1;
}

TEST(devices_are_locked_against_other_processes)
{
	struct other o;
	struct ukfs *fs;

	begin();
	/* Somebody writes: a range that he does not, or no lock. */
	o = other_start(write_locks);
	CHECK(!mount_arg("lines", text, "/l", 0, NULL));
	CHECK_EQ(errno, EBUSY);
	CHECK(strstr(ukfs_why(), "locked by"));
	fs = mount_arg("lines", text, "/l", 0, "size=4");
	REQUIRE(fs);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	fs = mount_arg("lines", text, "/l", 0, "nolock");
	REQUIRE(fs);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	other_end(&o);
	/* Somebody reads, by the library or not: so may we. */
	o = other_start(read_locks);
	fs = mount_arg("lines", text, "/l", 0, NULL);
	CHECK(fs);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	other_end(&o);
	o = other_start(mounts_lines);
	fs = mount_arg("lines", text, "/l", 0, NULL);
	REQUIRE(fs);
	CHECK_EQ(lock_host(F_WRLCK), -1);
	other_end(&o);
	CHECK_EQ(lock_host(F_WRLCK), -1);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	CHECK_EQ(lock_host(F_WRLCK), 0);
}

static char image[128];

static int
mounts_ext(void)
{
	return mount_arg("ext", image, "/e", 0, NULL) ? 0 : -1;
}

static int
mounts_ext_rdonly(void)
{
	return mount_arg("ext", image, "/e", UKFS_RDONLY, NULL) ? 0 : -1;
}

TEST(an_image_that_is_written_is_ones_own)
{
	struct other o;
	struct ukfs *fs;

	begin();
	if (!have_type("ext"))
		SKIP("no type ext");
	snprintf(image, sizeof(image), "%s/ext", dir.path);
	CHECK_EQ(RUN("truncate", "-s", "8M", image), 0);
	REQUIRE(RUN("mke2fs", "-q", "-F", "-t", "ext4", image) == 0);
	o = other_start(mounts_ext);
	CHECK(mounts_ext() != 0);
	CHECK_EQ(errno, EBUSY);
	CHECK(mounts_ext_rdonly() != 0);
	CHECK_EQ(errno, EBUSY);
	other_end(&o);
	CHECK_EQ(RUN("e2fsck", "-fy", image) & ~1, 0); /* he has not unmounted */
	o = other_start(mounts_ext_rdonly);
	CHECK(mounts_ext() != 0);
	CHECK_EQ(errno, EBUSY);
	other_end(&o);
	/* In one process too, by whatever range. */
	fs = mount_arg("auto", image, "/e", 0, NULL);
	REQUIRE(fs);
	CHECK(strcmp(ukfs_type(fs), "ext") == 0);
	CHECK(!mount_arg("ext", image, "/e2", UKFS_RDONLY, NULL));
	CHECK_EQ(errno, EBUSY);
	CHECK(!mount_arg("lines", image, "/e2", 0, "begin=4096,size=1"));
	CHECK_EQ(errno, EBUSY);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	CHECK_EQ(RUN("e2fsck", "-fn", image), 0);
}

TEST(modules_that_need_one_another)
{
	char mods[4096], path[8192], types[1024];
	struct ukfs *fs;
	ssize_t n;

	begin();
	snprintf(mods, sizeof(mods), "%s/tests/mod", getenv("UKFS_MODULES"));
	CHECK(!have_type("tabove"));
	snprintf(path, sizeof(path), "%s/libukfs_above.so", mods);
	CHECK_EQ(ukfs_modload(path), 0);
	CHECK(!have_type("tabove"));
	snprintf(path, sizeof(path), "%s/libukfs_old.so", mods);
	FAILS(ukfs_modload(path), EINVAL);
	snprintf(path, sizeof(path), "%s/none.so", mods);
	FAILS(ukfs_modload(path), ENOENT);
	FAILS(ukfs_modload(NULL), EFAULT);
	FAILS(ukfs_modload(text), ENOEXEC);
	FAILS(ukfs_modload_dir(text), ENOTDIR);
	FAILS(ukfs_modload_dir("/none"), ENOENT);
	/* above comes before base, and is tried again. */
	CHECK_EQ(ukfs_modload_dir(mods), 2);
	CHECK(have_type("tbase"));
	CHECK(have_type("tabove"));
	CHECK_EQ(ukfs_modload_dir(dir.path), 0);
	snprintf(path, sizeof(path), "%s/libukfs_above.so", mods);
	CHECK_EQ(ukfs_modload(path), 1);
	CHECK_EQ(chdir(mods), 0);
	CHECK_EQ(ukfs_modload("libukfs_base.so"), 1);
	fs = mount_arg("tabove", NULL, "/above", 0, NULL);
	REQUIRE(fs);
	CHECK_EQ(st_of(fs, "/").st_mode, S_IFDIR | 42);
	CHECK_EQ(ukfs_release(fs, 0), 0);
	/* The names, cut to fit. */
	n = ukfs_vfstypes(types, sizeof(types));
	CHECK_EQ(n, strlen(types));
	CHECK_EQ(ukfs_vfstypes(NULL, 0), n);
	memset(path, 'x', 10);
	CHECK_EQ(ukfs_vfstypes(path, 4), n);
	CHECK(memcmp(path, types, 4) == 0 && path[4] == 'x');
}
