/*
 * What the calls of libukfs do, case by case, on a file system of T_TYPE.
 */
#ifndef RF_T_UKFS_CALLS_H
#define RF_T_UKFS_CALLS_H

#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "tests/t-ukfs-rows.h"

TEST(paths_lead_through_links_and_dots)
{
	static const struct {
		const char *path, *same;
	} pairs[] = {{"/d/e", "d/e"}, {"//d///e", "d/e"}, {"d/./e", "d/e"},
	    {"d/../d/e", "d/e"}, {"../../d/e", "d/e"}, {"/../..", "/"}, {"..", "/"},
	    {"d/sub/../../l", "l"}, {"ld/e", "d/e"}, {"ld/sub/../e", "d/e"},
	    {"ld/../f", "f"}, {"d/.", "d"}, {"ld/", "d"}, {"ld/.", "d"}, {"/.", "/"},
	    {"d/sub/..", "d"}};
	struct stat st;

	FRESH(fs);
	fixture(fs);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		CHECK_EQ(ukfs_lstat(fs, pairs[i].path, &st), 0);
		CHECK_EQ(st.st_ino, st_of(fs, pairs[i].same).st_ino);
	}
	CHECK(strcmp(text_of(fs, "l"), "hello") == 0);
	CHECK(strcmp(text_of(fs, "labs"), "inner") == 0);
	CHECK_EQ(ukfs_stat(fs, "ld", &st), 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK(S_ISLNK(st_of(fs, "ld").st_mode));
	/* A link to the root, and one that leads above it. */
	CHECK_EQ(ukfs_symlink(fs, "/", "top"), 0);
	CHECK_EQ(ukfs_symlink(fs, "../../../d/e", "up/to/e"), 0);
	CHECK(strcmp(text_of(fs, "top/f"), "hello") == 0);
	CHECK(strcmp(text_of(fs, "top/top/top/d/e"), "inner") == 0);
	CHECK(strcmp(text_of(fs, "up/to/e"), "inner") == 0);
	CHECK_EQ(ukfs_stat(fs, "top", &st), 0);
	CHECK_EQ(st.st_ino, st_of(fs, "/").st_ino);
}

TEST(forty_links_and_no_more)
{
	char name[16], to[16];

	FRESH(fs);
	CHECK_EQ(put(fs, "c0", "end"), 0);
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(to, sizeof(to), "c%d", i - 1);
		CHECK_EQ(ukfs_symlink(fs, to, name), 0);
	}
	CHECK(strcmp(text_of(fs, "c40"), "end") == 0);
	FAILS(ukfs_stat(fs, "c41", &(struct stat){0}), ELOOP);
	CHECK(S_ISLNK(st_of(fs, "c41").st_mode));
}

TEST(chdir_is_the_handles_own)
{
	char buf[4096];
	off_t off = 0;

	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_chdir(fs, "d"), 0);
	CHECK(strcmp(text_of(fs, "e"), "inner") == 0);
	CHECK(strcmp(text_of(fs, "/f"), "hello") == 0);
	CHECK(strcmp(text_of(fs, "../f"), "hello") == 0);
	FAILS(ukfs_chdir(fs, "e"), ENOTDIR);
	FAILS(ukfs_chdir(fs, "nothing"), ENOENT);
	CHECK(strcmp(text_of(fs, "e"), "inner") == 0);
	/* In a directory that has been removed there is nothing. */
	CHECK_EQ(ukfs_chdir(fs, "sub"), 0);
	CHECK_EQ(ukfs_rmdir(fs, "/d/sub"), 0);
	FAILS(ukfs_create(fs, "x", 0644), ENOENT);
	FAILS(ukfs_stat(fs, "x", &(struct stat){0}), ENOENT);
	CHECK_EQ(ukfs_stat(fs, ".", &(struct stat){0}), 0);
	CHECK(ukfs_getdents(fs, ".", &off, buf, sizeof(buf)) >= 0);
	CHECK_EQ(ukfs_chdir(fs, "/"), 0);
	CHECK(strcmp(text_of(fs, "f"), "hello") == 0);
}

TEST(what_is_written_is_read)
{
	char buf[64];

	FRESH(fs);
	CHECK_EQ(ukfs_create(fs, "a", 0640), 0);
	CHECK_EQ(st_of(fs, "a").st_mode, S_IFREG | 0640);
	CHECK_EQ(ukfs_read(fs, "a", 0, buf, 10), 0);
	CHECK_EQ(ukfs_write(fs, "a", 3, "hello", 5), 5);
	CHECK_EQ(st_of(fs, "a").st_size, 8);
	CHECK_EQ(ukfs_read(fs, "a", 0, buf, sizeof(buf)), 8);
	CHECK(memcmp(buf, "\0\0\0hello", 8) == 0);
	CHECK_EQ(ukfs_read(fs, "a", 6, buf, 1), 1);
	CHECK_EQ(buf[0], 'l');
	CHECK_EQ(ukfs_read(fs, "a", 8, buf, sizeof(buf)), 0);
	CHECK_EQ(ukfs_read(fs, "a", 1ll << 40, buf, sizeof(buf)), 0);
	CHECK_EQ(ukfs_read(fs, "a", 0, buf, 0), 0);
	CHECK_EQ(ukfs_write(fs, "a", 0, buf, 0), 0);
	/* It is there, which is fine, and it stays as it is. */
	CHECK_EQ(ukfs_create(fs, "a", 0600), 0);
	CHECK_EQ(st_of(fs, "a").st_size, 8);
	CHECK_EQ(st_of(fs, "a").st_mode, S_IFREG | 0640);
	/* Through a link that leads to nothing as yet. */
	CHECK_EQ(ukfs_symlink(fs, "b", "to-b"), 0);
	CHECK_EQ(ukfs_create(fs, "to-b", 0600), 0);
	CHECK(S_ISREG(st_of(fs, "b").st_mode));
	FAILS(ukfs_read(fs, "a", -1, buf, 1), EINVAL);
	FAILS(ukfs_write(fs, "a", -1, buf, 1), EINVAL);
	FAILS(ukfs_write(fs, "a", INT64_MAX, buf, 1), EFBIG);
	FAILS(ukfs_read(fs, "/", 0, buf, 1), EISDIR);
	FAILS(ukfs_write(fs, "/", 0, buf, 1), EISDIR);
	FAILS(ukfs_read(fs, "c", 0, buf, 1), ENOENT);
	FAILS(ukfs_write(fs, "c", 0, buf, 1), ENOENT);
	CHECK_EQ(st_of(fs, "a").st_size, 8);
}

TEST(descriptors)
{
	char buf[64];
	int rd, wr, ap, d;

	FRESH(fs);
	CHECK_EQ(put(fs, "a", "0123456789"), 0);
	rd = ukfs_open(fs, "a", O_RDONLY);
	wr = ukfs_open(fs, "a", O_WRONLY);
	ap = ukfs_open(fs, "a", O_RDWR | O_APPEND);
	CHECK(rd >= 0 && wr >= 0 && ap >= 0 && rd != wr && wr != ap && rd < 16);
	CHECK_EQ(ukfs_read_fd(fs, rd, 4, buf, 3), 3);
	CHECK(memcmp(buf, "456", 3) == 0);
	CHECK_EQ(ukfs_write_fd(fs, wr, 0, "abc", 3, 0), 3);
	CHECK_EQ(ukfs_write_fd(fs, ap, 0, "end", 3, 1), 3);
	CHECK(strcmp(text_of(fs, "a"), "abc3456789end") == 0);
	FAILS(ukfs_read_fd(fs, wr, 0, buf, 1), EBADF);
	FAILS(ukfs_write_fd(fs, rd, 0, buf, 1, 0), EBADF);
	FAILS(ukfs_read_fd(fs, rd, -1, buf, 1), EINVAL);
	FAILS(ukfs_write_fd(fs, wr, -1, buf, 1, 0), EINVAL);
	FAILS(ukfs_write_fd(fs, wr, INT64_MAX, buf, 1, 0), EFBIG);
	CHECK_EQ(ukfs_fsync(fs, wr), 0);
	CHECK_EQ(ukfs_fsync(fs, rd), 0);
	FAILS(ukfs_release(fs, 0), EBUSY);
	/* A file without a name is read on. */
	CHECK_EQ(ukfs_remove(fs, "a"), 0);
	CHECK_EQ(ukfs_read_fd(fs, rd, 0, buf, 3), 3);
	CHECK(memcmp(buf, "abc", 3) == 0);
	CHECK_EQ(ukfs_close(fs, rd), 0);
	CHECK_EQ(ukfs_close(fs, wr), 0);
	CHECK_EQ(ukfs_close(fs, ap), 0);
	FAILS(ukfs_close(fs, rd), EBADF);
	FAILS(ukfs_read_fd(fs, rd, 0, buf, 1), EBADF);
	FAILS(ukfs_write_fd(fs, wr, 0, buf, 1, 0), EBADF);
	FAILS(ukfs_fsync(fs, wr), EBADF);
	FAILS(ukfs_seek_fd(fs, rd, 0, SEEK_DATA), EBADF);
	FAILS(ukfs_read_fd(fs, -1, 0, buf, 1), EBADF);
	FAILS(ukfs_read_fd(fs, INT_MAX, 0, buf, 1), EBADF);
	d = ukfs_open(fs, "/", O_RDONLY | O_DIRECTORY);
	CHECK(d >= 0);
	FAILS(ukfs_read_fd(fs, d, 0, buf, 1), EISDIR);
	CHECK_EQ(ukfs_fsync(fs, d), 0);
	CHECK_EQ(ukfs_close(fs, d), 0);
}

TEST(open_truncates)
{
	int fd;

	FRESH(fs);
	CHECK_EQ(put(fs, "a", "0123456789"), 0);
	fd = ukfs_open(fs, "a", O_WRONLY | O_TRUNC);
	CHECK(fd >= 0);
	CHECK_EQ(st_of(fs, "a").st_size, 0);
	CHECK_EQ(ukfs_write_fd(fs, fd, 0, "x", 1, 0), 1);
	CHECK_EQ(ukfs_close(fs, fd), 0);
	CHECK(strcmp(text_of(fs, "a"), "x") == 0);
	/* O_EXCL means nothing without O_CREAT. */
	fd = ukfs_open(fs, "a", O_RDONLY | O_EXCL | O_NOFOLLOW);
	CHECK(fd >= 0);
	CHECK_EQ(ukfs_close(fs, fd), 0);
}

TEST(a_thousand_descriptors)
{
	int fds[1000];
	char c;

	FRESH(fs);
	CHECK_EQ(put(fs, "a", "x"), 0);
	for (int i = 0; i < 1000; i++) {
		fds[i] = ukfs_open(fs, "a", O_RDONLY);
		CHECK(fds[i] >= 0);
	}
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(ukfs_read_fd(fs, fds[i], 0, &c, 1), 1);
		CHECK_EQ(ukfs_close(fs, fds[i]), 0);
		FAILS(ukfs_close(fs, fds[i]), EBADF);
	}
}

TEST(big_files_and_holes)
{
	enum {
		N = 3 << 20
	};
	static char out[N], in[N];
	struct statvfs a, b;
	int fd;

	FRESH(fs);
	CHECK_EQ(ukfs_statvfs(fs, &a), 0);
	for (int i = 0; i < N; i++)
		out[i] = (char)(i * 7 + i / 4096);
	CHECK_EQ(ukfs_create(fs, "big", 0644), 0);
	CHECK_EQ(ukfs_write(fs, "big", 0, out, N), N);
	CHECK_EQ(ukfs_read(fs, "big", 0, in, N), N);
	CHECK(memcmp(out, in, N) == 0);
	CHECK_EQ(ukfs_read(fs, "big", 12345, in, 54321), 54321);
	CHECK(memcmp(out + 12345, in, 54321) == 0);
	CHECK(st_of(fs, "big").st_blocks >= N / 512);
	CHECK_EQ(ukfs_statvfs(fs, &b), 0);
	CHECK(b.f_bfree * b.f_frsize + N <= a.f_bfree * a.f_frsize);
	CHECK_EQ(ukfs_remove(fs, "big"), 0);
	CHECK_EQ(ukfs_create(fs, "hole", 0644), 0);
	CHECK_EQ(ukfs_write(fs, "hole", 1 << 20, "data", 4), 4);
	CHECK(st_of(fs, "hole").st_blocks <= 128);
	fd = ukfs_open(fs, "hole", O_RDONLY);
	CHECK_EQ(ukfs_seek_fd(fs, fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(ukfs_seek_fd(fs, fd, 0, SEEK_DATA), 1 << 20);
	CHECK_EQ(ukfs_seek_fd(fs, fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4);
	FAILS(ukfs_seek_fd(fs, fd, (1 << 20) + 4, SEEK_DATA), ENXIO);
	FAILS(ukfs_seek_fd(fs, fd, -1, SEEK_DATA), ENXIO);
	FAILS(ukfs_seek_fd(fs, fd, 0, SEEK_SET), EINVAL);
	CHECK_EQ(ukfs_close(fs, fd), 0);
	CHECK_EQ(ukfs_truncate(fs, "hole", 100), 0);
	CHECK_EQ(st_of(fs, "hole").st_size, 100);
	CHECK_EQ(ukfs_truncate(fs, "hole", 1000), 0);
	CHECK_EQ(ukfs_read(fs, "hole", 0, in, N), 1000);
	for (int i = 0; i < 1000; i++)
		CHECK(in[i] == 0);
}

TEST(it_is_full_at_some_time)
{
	static char buf[1 << 20];
	ssize_t n = 0, sum = 0;

	FRESH(fs);
	if (!on_image())
		SKIP("a limit is tried with the mounts");
	CHECK_EQ(ukfs_create(fs, "big", 0644), 0);
	while (sum < 64 << 20 && (n = ukfs_write(fs, "big", sum, buf, 1 << 20)) > 0)
		sum += n;
	FAILS(ukfs_write(fs, "big", sum, buf, 1 << 20), ENOSPC);
	CHECK(sum > 8 << 20);
	CHECK_EQ(ukfs_remove(fs, "big"), 0);
	CHECK_EQ(put(fs, "small", "fits again"), 0);
}

/* The entries of a listing with a buffer of this size; dots are counted too. */
static int
listing(struct ukfs *fs, const char *path, size_t size, char *seen, int nseen)
{
	char buf[4096];
	off_t off = 0, last = 0;
	int count = 0;
	ssize_t n;

	while ((n = ukfs_getdents(fs, path, &off, buf, size)) > 0) {
		struct dirent64 *de;

		for (char *p = buf; p < buf + n; p += de->d_reclen, count++) {
			int i = -1;

			de = (struct dirent64 *)(void *)p;
			CHECK(de->d_reclen % 8 == 0 && de->d_reclen <= n);
			CHECK(de->d_name[0] == '.' || de->d_type == DT_REG);
			last = de->d_off;
			if (sscanf(de->d_name, "file%d", &i) == 1 && i >= 0 && i < nseen)
				seen[i]++;
		}
		CHECK_EQ(off, last);
	}
	CHECK_EQ(n, 0);
	return count;
}

TEST(listing_with_any_buffer)
{
	static const size_t sizes[] = {32, 40, 100, 1000, 4096};
	char name[32], seen[300], buf[64];
	struct ukfs_dircookie *dc, *other;
	off_t off = 0, again_off;

	FRESH(fs);
	CHECK_EQ(ukfs_mkdir(fs, "d", 0755), 0);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/file%d", i);
		CHECK_EQ(ukfs_create(fs, name, 0600), 0);
	}
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		memset(seen, 0, sizeof(seen));
		CHECK_EQ(listing(fs, "d", sizes[s], seen, 300), 302);
		for (int i = 0; i < 300; i++)
			CHECK_EQ(seen[i], 1);
	}
	FAILS(ukfs_getdents(fs, "d", &off, buf, 8), EINVAL);
	CHECK_EQ(off, 0);
	off = -1;
	FAILS(ukfs_getdents(fs, "d", &off, buf, 64), EINVAL);
	off = 0;
	FAILS(ukfs_getdents(fs, "d/file1", &off, buf, 64), ENOTDIR);
	FAILS(ukfs_getdents(fs, "x", &off, buf, 64), ENOENT);
	/* Open directories, several at a time, and one that goes on from another's place. */
	CHECK_EQ(ukfs_opendir(fs, "d", &dc), 0);
	CHECK_EQ(ukfs_opendir(fs, "d", &other), 0);
	CHECK(ukfs_getdents_cookie(fs, dc, &off, buf, sizeof(buf)) > 0);
	again_off = off;
	CHECK(ukfs_getdents_cookie(fs, dc, &off, name, sizeof(name)) > 0);
	CHECK(ukfs_getdents_cookie(fs, other, &again_off, buf, 32) > 0);
	CHECK_EQ(off, again_off);
	CHECK(memcmp(name, buf, 24) == 0);
	FAILS(ukfs_getdents_cookie(fs, NULL, &off, buf, 32), EBADF);
	FAILS(ukfs_closedir(fs, NULL), EBADF);
	FAILS(ukfs_release(fs, 0), EBUSY);
	CHECK_EQ(ukfs_closedir(fs, dc), 0);
	CHECK_EQ(ukfs_closedir(fs, other), 0);
}

TEST(all_kinds_of_nodes)
{
	static const struct {
		const char *name;
		mode_t mode;
		unsigned char dt;
	} kinds[] = {{"reg", S_IFREG | 0640, DT_REG}, {"fifo", S_IFIFO | 0600, DT_FIFO},
	    {"sock", S_IFSOCK | 0777, DT_SOCK}, {"chr", S_IFCHR | 0666, DT_CHR},
	    {"blk", S_IFBLK | 06660, DT_BLK}};
	struct stat st;

	FRESH(fs);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		dev_t dev = S_ISCHR(kinds[i].mode) || S_ISBLK(kinds[i].mode)
		                ? makedev(259, 70000)
		                : 0;

		CHECK_EQ(ukfs_mknod(fs, kinds[i].name, kinds[i].mode, dev), 0);
		st = st_of(fs, kinds[i].name);
		CHECK_EQ(st.st_mode, kinds[i].mode);
		CHECK_EQ(st.st_rdev, dev);
		CHECK_EQ(st.st_nlink, 1);
		CHECK_EQ(st.st_uid, 0);
	}
	/* No type is a regular file. */
	CHECK_EQ(ukfs_mknod(fs, "plain", 0600, 0), 0);
	CHECK_EQ(st_of(fs, "plain").st_mode, S_IFREG | 0600);
	CHECK_EQ(ukfs_mkfifo(fs, "fifo2", 0611), 0);
	CHECK_EQ(st_of(fs, "fifo2").st_mode, S_IFIFO | 0611);
	CHECK_EQ(ukfs_mkdir(fs, "dir", 01777), 0);
	CHECK_EQ(st_of(fs, "dir").st_mode, S_IFDIR | 01777);
}

TEST(links_and_names)
{
	char buf[64];

	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_link(fs, "f", "d/second"), 0);
	CHECK_EQ(st_of(fs, "f").st_nlink, 2);
	CHECK_EQ(st_of(fs, "d/second").st_ino, st_of(fs, "f").st_ino);
	CHECK_EQ(ukfs_write(fs, "d/second", 0, "J", 1), 1);
	CHECK(strcmp(text_of(fs, "f"), "Jello") == 0);
	CHECK_EQ(ukfs_remove(fs, "f"), 0);
	CHECK_EQ(st_of(fs, "d/second").st_nlink, 1);
	CHECK(strcmp(text_of(fs, "d/second"), "Jello") == 0);
	/* A link to a link is one to it, not to where it leads. */
	CHECK_EQ(ukfs_link(fs, "labs", "labs2"), 0);
	CHECK(S_ISLNK(st_of(fs, "labs2").st_mode));
	CHECK_EQ(ukfs_readlink(fs, "labs2", buf, sizeof(buf)), 4);
	CHECK(memcmp(buf, "/d/e", 4) == 0);
	memset(buf, 'x', sizeof(buf));
	CHECK_EQ(ukfs_readlink(fs, "labs2", buf, 2), 2);
	CHECK(memcmp(buf, "/dx", 3) == 0);
	CHECK_EQ(ukfs_remove(fs, "labs2"), 0);
	CHECK(S_ISREG(st_of(fs, "d/e").st_mode));
	/* The longest. */
	fill_names();
	CHECK_EQ(ukfs_create(fs, N255, 0600), 0);
	CHECK_EQ(ukfs_remove(fs, N255), 0);
	CHECK_EQ(ukfs_symlink(fs, P4095, "long"), 0);
	CHECK_EQ(ukfs_stat(fs, "long", &(struct stat){0}), 0);
}

TEST(renaming)
{
	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_rename(fs, "f", "g"), 0);
	CHECK(strcmp(text_of(fs, "g"), "hello") == 0);
	FAILS(ukfs_stat(fs, "f", &(struct stat){0}), ENOENT);
	CHECK_EQ(ukfs_rename(fs, "g", "d/e"), 0);
	CHECK(strcmp(text_of(fs, "d/e"), "hello") == 0);
	CHECK_EQ(ukfs_rename(fs, "d/sub", "up/to/sub/"), 0);
	CHECK_EQ(st_of(fs, "up/to").st_nlink, 3);
	CHECK_EQ(st_of(fs, "up/to/sub/..").st_ino, st_of(fs, "up/to").st_ino);
	CHECK_EQ(st_of(fs, "d").st_nlink, 2);
	CHECK_EQ(ukfs_rename(fs, "d", "empty"), 0);
	CHECK(strcmp(text_of(fs, "empty/e"), "hello") == 0);
	/* Two names of one file: nothing happens. */
	CHECK_EQ(ukfs_link(fs, "empty/e", "a"), 0);
	CHECK_EQ(ukfs_rename(fs, "a", "empty/e"), 0);
	CHECK_EQ(st_of(fs, "a").st_nlink, 2);
	CHECK_EQ(ukfs_rename(fs, "a", "a"), 0);
	/* The link is moved, not what it leads to. */
	CHECK_EQ(ukfs_rename(fs, "ld", "ld2"), 0);
	CHECK(S_ISLNK(st_of(fs, "ld2").st_mode));
}

TEST(modes_and_owners)
{
	struct stat st;

	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_chmod(fs, "l", 04755), 0);
	CHECK_EQ(st_of(fs, "f").st_mode, S_IFREG | 04755);
	CHECK_EQ(ukfs_lchmod(fs, "f", 06711), 0);
	CHECK_EQ(st_of(fs, "f").st_mode, S_IFREG | 06711);
	/* A file with another owner does not run as him. */
	CHECK_EQ(ukfs_chown(fs, "l", 100000, (gid_t)-1), 0);
	st = st_of(fs, "f");
	CHECK_EQ(st.st_uid, 100000);
	CHECK_EQ(st.st_gid, 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0711);
	CHECK_EQ(ukfs_chown(fs, "f", (uid_t)-1, 200000), 0);
	CHECK_EQ(st_of(fs, "f").st_gid, 200000);
	CHECK_EQ(st_of(fs, "f").st_uid, 100000);
	CHECK_EQ(ukfs_lchown(fs, "l", 5, 6), 0);
	CHECK_EQ(st_of(fs, "l").st_uid, 5);
	CHECK_EQ(st_of(fs, "f").st_uid, 100000);
	CHECK_EQ(ukfs_chmod(fs, "d", 02755), 0);
	CHECK_EQ(ukfs_chown(fs, "d", 1, 2), 0);
	CHECK_EQ(st_of(fs, "d").st_mode, S_IFDIR | 02755);
	/* What is made in it is of its group. */
	CHECK_EQ(ukfs_create(fs, "d/new", 0600), 0);
	CHECK_EQ(st_of(fs, "d/new").st_gid, 2);
	CHECK_EQ(ukfs_mkdir(fs, "d/newdir", 0700), 0);
	CHECK_EQ(st_of(fs, "d/newdir").st_mode, S_IFDIR | 02700);
}

TEST(times)
{
	const struct timeval tv[2] = {{1000000000, 123456}, {1100000000, 654321}};
	const struct timespec ts[2] = {{1200000000, 123456789}, {0, UTIME_OMIT}};
	const struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	const struct timespec now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
	struct stat st;

	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_utimes(fs, "l", tv), 0);
	st = st_of(fs, "f");
	CHECK_EQ(st.st_atim.tv_sec, 1000000000);
	CHECK_EQ(st.st_atim.tv_nsec, 123456000);
	CHECK_EQ(st.st_mtim.tv_sec, 1100000000);
	CHECK_EQ(st.st_mtim.tv_nsec, 654321000);
	CHECK_EQ(ukfs_lutimes(fs, "l", tv), 0);
	CHECK_EQ(st_of(fs, "l").st_mtim.tv_sec, 1100000000);
	CHECK_EQ(ukfs_utimens(fs, "f", ts, 0), 0);
	st = st_of(fs, "f");
	CHECK_EQ(st.st_atim.tv_sec, 1200000000);
	CHECK_EQ(st.st_atim.tv_nsec, 123456789);
	CHECK_EQ(st.st_mtim.tv_sec, 1100000000);
	CHECK_EQ(ukfs_utimens(fs, "f", now, 0), 0);
	CHECK(st_of(fs, "f").st_mtim.tv_sec >= time(NULL) - 2);
	CHECK_EQ(ukfs_utimens(fs, "l", ts, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_EQ(st_of(fs, "l").st_atim.tv_sec, 1200000000);
	CHECK_EQ(ukfs_utimens(fs, "nothing", omit, 0), 0);
	FAILS(ukfs_utimens(fs, "f", ts, 1), EINVAL);
	CHECK_EQ(ukfs_utimes(fs, "f", NULL), 0);
	CHECK(st_of(fs, "f").st_atim.tv_sec >= time(NULL) - 2);
}

TEST(flags_are_obeyed)
{
	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_chflags(fs, "l", FS_IMMUTABLE_FL), 0);
	FAILS(ukfs_write(fs, "f", 0, "x", 1), EPERM);
	FAILS(ukfs_remove(fs, "f"), EPERM);
	FAILS(ukfs_chmod(fs, "f", 0600), EPERM);
	FAILS(ukfs_truncate(fs, "f", 0), EPERM);
	CHECK(strcmp(text_of(fs, "f"), "hello") == 0);
	CHECK_EQ(ukfs_lchflags(fs, "f", FS_APPEND_FL), 0);
	FAILS(ukfs_write(fs, "f", 0, "x", 1), EPERM);
	CHECK_EQ(ukfs_lchflags(fs, "f", 0), 0);
	CHECK_EQ(ukfs_write(fs, "f", 0, "j", 1), 1);
	CHECK_EQ(ukfs_chflags(fs, "d", FS_IMMUTABLE_FL), 0);
	FAILS(ukfs_create(fs, "d/new", 0600), EPERM);
	FAILS(ukfs_remove(fs, "d/e"), EPERM);
	CHECK_EQ(ukfs_chflags(fs, "d", 0), 0);
	FAILS(ukfs_lchflags(fs, "l", 0), EOPNOTSUPP);
	FAILS(ukfs_chflags(fs, "fifo", 0), EOPNOTSUPP);
	FAILS(ukfs_chflags(fs, "nothing", 0), ENOENT);
	FAILS(ukfs_chflags(fs, "f", 1ul << 33), EINVAL);
}

TEST(extended_attributes)
{
	static char big[65537];
	char buf[256];
	ssize_t n;

	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_llistxattr(fs, "f", buf, sizeof(buf)), 0);
	CHECK_EQ(ukfs_lsetxattr(fs, "f", "user.one", "value", 5, 0), 0);
	CHECK_EQ(ukfs_lsetxattr(fs, "f", "trusted.two", "", 0, XATTR_CREATE), 0);
	FAILS(ukfs_lsetxattr(fs, "f", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	CHECK_EQ(ukfs_lgetxattr(fs, "f", "user.one", NULL, 0), 5);
	CHECK_EQ(ukfs_lgetxattr(fs, "f", "user.one", buf, sizeof(buf)), 5);
	CHECK(memcmp(buf, "value", 5) == 0);
	FAILS(ukfs_lgetxattr(fs, "f", "user.one", buf, 4), ERANGE);
	CHECK_EQ(ukfs_lgetxattr(fs, "f", "trusted.two", buf, sizeof(buf)), 0);
	n = ukfs_llistxattr(fs, "f", NULL, 0);
	CHECK_EQ(n, 9 + 12);
	CHECK_EQ(ukfs_llistxattr(fs, "f", buf, sizeof(buf)), n);
	CHECK(memmem(buf, (size_t)n, "user.one", 9));
	CHECK(memmem(buf, (size_t)n, "trusted.two", 12));
	FAILS(ukfs_llistxattr(fs, "f", buf, 5), ERANGE);
	CHECK_EQ(ukfs_lsetxattr(fs, "f", "user.one", "other", 5, XATTR_REPLACE), 0);
	CHECK_EQ(ukfs_lgetxattr(fs, "f", "user.one", buf, sizeof(buf)), 5);
	CHECK(memcmp(buf, "other", 5) == 0);
	FAILS(ukfs_lsetxattr(fs, "f", "user.big", big, 65537, 0), E2BIG);
	CHECK_EQ(ukfs_lremovexattr(fs, "f", "user.one"), 0);
	FAILS(ukfs_lgetxattr(fs, "f", "user.one", buf, sizeof(buf)), ENODATA);
	FAILS(ukfs_lremovexattr(fs, "f", "user.one"), ENODATA);
	CHECK_EQ(ukfs_lsetxattr(fs, "l", "trusted.l", "v", 1, 0), 0);
	CHECK_EQ(ukfs_lgetxattr(fs, "l", "trusted.l", buf, sizeof(buf)), 1);
	FAILS(ukfs_lgetxattr(fs, "f", "trusted.l", buf, sizeof(buf)), ENODATA);
}

TEST(builddirs)
{
	FRESH(fs);
	fixture(fs);
	CHECK_EQ(ukfs_util_builddirs(fs, "/a//b/c/", 0750), 0);
	CHECK_EQ(st_of(fs, "a/b/c").st_mode, S_IFDIR | 0750);
	CHECK_EQ(ukfs_util_builddirs(fs, "a/b/c", 0700), 0);
	CHECK_EQ(st_of(fs, "a/b/c").st_mode, S_IFDIR | 0750);
	CHECK_EQ(ukfs_util_builddirs(fs, "ld/x/../y", 0755), 0);
	CHECK(S_ISDIR(st_of(fs, "d/x").st_mode));
	CHECK(S_ISDIR(st_of(fs, "d/y").st_mode));
	CHECK_EQ(ukfs_util_builddirs(fs, "/", 0755), 0);
	FAILS(ukfs_util_builddirs(fs, "", 0755), ENOENT);
	FAILS(ukfs_util_builddirs(fs, "f", 0755), EEXIST);
	FAILS(ukfs_util_builddirs(fs, "new/../f/x", 0755), ENOTDIR);
	CHECK(S_ISDIR(st_of(fs, "new").st_mode));
	FAILS(ukfs_util_builddirs(fs, "none/x", 0755), ENOTDIR);
	fill_names();
	FAILS(ukfs_util_builddirs(fs, N256, 0755), ENAMETOOLONG);
	FAILS(ukfs_util_builddirs(fs, P4096, 0755), ENAMETOOLONG);
}

TEST(the_file_system_tells_of_itself)
{
	struct statvfs sv;

	FRESH(fs);
	CHECK(strcmp(ukfs_type(fs), T_TYPE) == 0);
	CHECK(!ukfs_rdonly(fs));
	CHECK_EQ(ukfs_statvfs(fs, &sv), 0);
	CHECK(sv.f_blocks > 0 && sv.f_bfree <= sv.f_blocks && sv.f_bsize >= 512);
	CHECK_EQ(sv.f_namemax, 255);
	CHECK(!(sv.f_flag & ST_RDONLY));
	CHECK_EQ(ukfs_sync(fs), 0);
	CHECK(ukfs_getmp(fs) != NULL);
}

TEST(what_is_changed_is_there_when_it_is_mounted_again)
{
	char *before, *after;

	FRESH(fs);
	if (!on_image())
		SKIP("what is in memory goes with its mount");
	fixture(fs);
	CHECK_EQ(ukfs_lsetxattr(fs, "f", "user.one", "value", 5, 0), 0);
	before = dumped(fs);
	fs_done(&fs);
	fs = again(0);
	REQUIRE(fs);
	after = dumped(fs);
	CHECK(strcmp(before, after) == 0);
	CHECK_EQ(ukfs_lgetxattr(fs, "f", "user.one", NULL, 0), 5);
	free(before);
	free(after);
}

#endif
