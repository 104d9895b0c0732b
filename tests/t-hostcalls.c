/*
 * Host calls on real files, in directories of their own below /tmp and /dev/shm.
 *
 * What needs root is skipped without.  Partitions are in t-hostcalls-part.c, mount points
 * and acting as a caller in t-hostcalls-own.c, injected faults in t-hostcalls-fault.c.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "hostcalls/hc_private.h"
#include "tests/t-tmp.h"
#include "tests/t.h"

static const char *const wheres[] = {"/tmp", "/dev/shm"};
#define NWHERES 2

static int
make_file(int dirfd, const char *name, const char *content)
{
	int fd = hc_open_beneath(dirfd, name, O_CREAT | O_EXCL | O_RDWR, 0644);
	if (fd >= 0 && content)
		CHECK_EQ(
		    hc_pwrite(fd, content, strlen(content), 0), (ssize_t)strlen(content));
	return fd;
}

static unsigned
count_entries(int dirfd)
{
	_Alignas(8) char buf[4096];
	size_t len;
	unsigned n = 0;
	AUTO_FD fd = hc_reopen(dirfd, O_RDONLY | O_DIRECTORY);

	CHECK_EQ(hc_getdents(fd, 0, buf, sizeof(buf), &len), 0);
	for (size_t at = 0; at < len; at += ((struct hc_dirent *)(buf + at))->hd_reclen)
		n++;
	return n;
}

TEST(init_and_features)
{
	CHECK_EQ(hc_init(), 0);
	CHECK_EQ(hc_init(), 0);
	CHECK(hc_features()->hf_openat2);
	CHECK(hc_features()->hf_privileged || geteuid() != 0 || getenv("container"));

	struct rlimit rl, half;
	REQUIRE(getrlimit(RLIMIT_NOFILE, &rl) == 0);
	half = (struct rlimit){.rlim_cur = 64, .rlim_max = rl.rlim_max};
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &half), 0);
	CHECK_EQ(hc_raise_nofile(), rl.rlim_max);
	CHECK_EQ(hc_raise_nofile(), rl.rlim_max);
}

TEST(names_are_one_component)
{
	static const struct {
		const char *name;
		int err;
	} rows[] = {{"", -EINVAL}, {".", -EINVAL}, {"..", -EACCES}, {"a/b", -EINVAL},
	    {"/etc", -EINVAL}, {"../x", -EINVAL}, {"sub/", -EINVAL}};
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD fd = make_file(t.fd, "file", "x");
	struct hc_stat st = {.hs_ino = 77};

	CHECK_EQ(hc_mkdir(t.fd, "a", 0755), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *n = rows[i].name;
		int err = rows[i].err;
		CHECK_EQ(hc_open_beneath(t.fd, n, O_PATH, 0), err);
		CHECK_EQ(hc_open_beneath(t.fd, n, O_CREAT | O_RDWR, 0644), err);
		CHECK_EQ(hc_stat_beneath(t.fd, n, &st), err);
		CHECK_EQ(hc_mkdir(t.fd, n, 0755), err);
		CHECK_EQ(hc_mknod(t.fd, n, S_IFIFO | 0644, 0), err);
		CHECK_EQ(hc_symlink("t", t.fd, n), err);
		CHECK_EQ(hc_link(fd, t.fd, n), err);
		CHECK_EQ(hc_unlink(t.fd, n, false), err);
		CHECK_EQ(hc_unlink(t.fd, n, true), err);
		CHECK_EQ(hc_rename(t.fd, n, t.fd, "y", 0), err);
		CHECK_EQ(hc_rename(t.fd, "file", t.fd, n, 0), err);
	}
	CHECK_EQ(st.hs_ino, 77);
	CHECK_EQ(count_entries(t.fd), 4);
	char longer[300];
	memset(longer, 'n', 256);
	longer[256] = '\0';
	CHECK_EQ(hc_mkdir(t.fd, longer, 0755), -ENAMETOOLONG);
}

static void
check_contained(void)
{
	AUTO_TMP t = tmp_new("/tmp");
	struct hc_stat st;

	AUTO_FD in = make_file(t.fd, "inside", "secret");
	REQUIRE(in >= 0);
	CHECK_EQ(hc_symlink("/etc", t.fd, "abs"), 0);
	CHECK_EQ(hc_symlink("..", t.fd, "up"), 0);
	CHECK_EQ(hc_symlink("inside", t.fd, "near"), 0);
	static const char *const links[] = {"abs", "up", "near"};
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(hc_open_beneath(t.fd, links[i], O_RDONLY, 0), -ELOOP);
		CHECK_EQ(hc_open_beneath(t.fd, links[i], O_RDWR | O_CREAT, 0644), -ELOOP);
		int err = hc_open_beneath(t.fd, links[i], O_RDONLY | O_DIRECTORY, 0);
		CHECK(err == -ELOOP || err == -ENOTDIR);
		CHECK_EQ(
		    hc_open_beneath(t.fd, links[i], O_PATH | O_DIRECTORY, 0), -ENOTDIR);
		CHECK_EQ(hc_stat_beneath(t.fd, links[i], &st), 0);
		CHECK(S_ISLNK(st.hs_mode));
		AUTO_FD link = hc_open_beneath(t.fd, links[i], O_PATH, 0);
		CHECK_EQ(hc_stat(link, &st), 0);
		CHECK(S_ISLNK(st.hs_mode));
		CHECK_EQ(hc_open_beneath(link, "passwd", O_RDONLY, 0), -ENOTDIR);
		CHECK_EQ(hc_reopen(link, O_RDONLY), -ELOOP);
	}

	AUTO_FD proc = hc_open_root("/proc/self", O_PATH | O_DIRECTORY);
	static const char *const magic[] = {"root", "cwd", "exe"};
	for (int i = 0; i < 3; i++) {
		int err = hc_open_beneath(proc, magic[i], O_RDONLY, 0);
		CHECK(err == -ELOOP || err == -EACCES);
		CHECK_EQ(hc_stat_beneath(proc, magic[i], &st), 0);
		CHECK(S_ISLNK(st.hs_mode));
	}
}

TEST(containment)
{
	check_contained();
	bool had = hc_g.g_has.hf_openat2;
	hc_g.g_has.hf_openat2 = false;
	check_contained();
	hc_g.g_has.hf_openat2 = had;
}

TEST(open_flags)
{
	AUTO_TMP t = tmp_new("/tmp");
	char buf[8];

	AUTO_FD fd = make_file(t.fd, "f", "hello");
	REQUIRE(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(hc_open_beneath(t.fd, "f", O_CREAT | O_EXCL | O_RDWR, 0644), -EEXIST);
	CHECK_EQ(hc_open_beneath(t.fd, "none", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(hc_open_beneath(t.fd, "f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	/* What open(2) ignores is ignored: an unknown flag, others beside O_PATH, a type
	 * in the mode, a mode with nothing to create. */
	AUTO_FD odd = hc_open_beneath(t.fd, "f", O_RDONLY | 0x20, S_IFREG | 0600);
	CHECK(odd >= 0);
	AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH | O_RDWR | O_TRUNC, 0600);
	CHECK(path >= 0);
	CHECK_EQ(hc_pread(odd, buf, sizeof(buf), 0), 5);
	CHECK_EQ(hc_pread(path, buf, sizeof(buf), 0), -EBADF);
	AUTO_FD cut = hc_open_beneath(t.fd, "f", O_RDWR | O_TRUNC, 0);
	CHECK_EQ(hc_pread(cut, buf, sizeof(buf), 0), 0);

	AUTO_FD root = hc_open_root(t.path, O_PATH);
	CHECK(root >= 0);
	CHECK_EQ(fcntl(root, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(hc_open_root("/nonexistent/x", O_RDONLY), -ENOENT);
	hc_close(-1);
	errno = 4711;
	hc_close(dup(fd));
	hc_close(9999);
	CHECK_EQ(errno, 4711);
}

TEST(reopen)
{
	AUTO_TMP t = tmp_new("/tmp");
	char buf[8] = "";

	AUTO_FD fd = make_file(t.fd, "f", "hello");
	AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH, 0);
	REQUIRE(fd >= 0 && path >= 0);
	CHECK_EQ(hc_unlink(t.fd, "f", false), 0);
	AUTO_FD again = hc_reopen(path, O_RDWR | O_NOFOLLOW | O_CREAT | O_EXCL);
	CHECK(again >= 0);
	CHECK_EQ(fcntl(again, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(hc_pread(again, buf, sizeof(buf), 0), 5);
	CHECK(strcmp(buf, "hello") == 0);
	CHECK_EQ(hc_reopen(path, O_RDONLY | O_DIRECTORY), -ENOTDIR);
	CHECK_EQ(hc_reopen(9999, O_RDONLY), -ENOENT);

	/* In a child, "the fd N" is the child's. */
	pid_t pid = fork();
	if (pid == 0) {
		int null = hc_open_root("/dev/null", O_RDONLY);
		struct hc_stat a, b;
		int mine = dup2(null, path) < 0 ? -1 : hc_reopen(path, O_PATH);
		_exit(mine < 0 || hc_stat(mine, &a) || hc_stat(null, &b) ||
		      a.hs_ino != b.hs_ino);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	CHECK_EQ(status, 0);
}

TEST(handles)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_MEM struct hc_handle *hh = NULL;
	AUTO_MEM struct hc_handle *none = NULL;
	struct hc_stat a, b;

	AUTO_FD fd = make_file(t.fd, "f", "hello");
	AUTO_FD proc = hc_open_root("/proc", O_PATH);
	CHECK(hc_handle_get(proc, &none) == -EOPNOTSUPP && !none);
	if (!hc_features()->hf_handles) {
		CHECK_EQ(hc_handle_get(fd, &none), -EOPNOTSUPP);
		SKIP("may not open by handle");
	}
	AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH, 0);
	int err = hc_handle_get(path, &hh);
	if (err == -EOPNOTSUPP)
		SKIP("/tmp has no file handles");
	REQUIRE(err == 0);
	hc_close(path);
	path = -1;
	/* t.fd is O_PATH; a real one must do as well. */
	AUTO_FD real = hc_reopen(t.fd, O_RDONLY | O_DIRECTORY);
	int mounts[] = {t.fd, real, fd};
	for (int i = 0; i < 3; i++) {
		AUTO_FD again = hc_handle_open(mounts[i], hh, O_PATH);
		CHECK(again >= 0 && fcntl(again, F_GETFD) == FD_CLOEXEC);
		CHECK_EQ(hc_stat(again, &a), 0);
		CHECK_EQ(hc_stat(fd, &b), 0);
		CHECK_EQ(a.hs_ino, b.hs_ino);
	}
	CHECK_EQ(hc_handle_open(9999, hh, O_PATH), -EBADF);
	CHECK_EQ(hc_unlink(t.fd, "f", false), 0);
	hc_close(fd);
	fd = -1;
	CHECK_EQ(hc_handle_open(t.fd, hh, O_PATH), -ESTALE);
}

TEST(read_write)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD fd = make_file(t.fd, "f", "0123456789");
	AUTO_FD ro = hc_open_beneath(t.fd, "f", O_RDONLY, 0);
	char a[4], b[4], c[8], d[2000];
	struct iovec iov[3] = {{a, 4}, {b, 4}, {c, 8}};

	CHECK_EQ(hc_pread(fd, c, 8, 6), 4);
	CHECK_EQ(hc_pread(fd, c, 8, 10), 0);
	CHECK_EQ(hc_pread(fd, c, 8, UINT64_MAX - 3), -EINVAL);
	CHECK_EQ(hc_pread(t.fd, c, 8, 0), -EBADF);
	CHECK_EQ(hc_pwrite(ro, "x", 1, 0), -EBADF);
	CHECK_EQ(hc_pwritev(ro, iov, 1, 0), -EBADF);
	CHECK_EQ(hc_preadv(fd, iov, 3, 1), 9);
	CHECK(memcmp(a, "1234", 4) == 0 && memcmp(b, "5678", 4) == 0 && c[0] == '9');
	CHECK_EQ(hc_preadv(fd, iov, 3, 10), 0);
	CHECK_EQ(hc_preadv(fd, iov, 3, UINT64_MAX), -EINVAL);

	/* More elements than one system call takes. */
	struct iovec many[2000];
	for (int i = 0; i < 2000; i++)
		many[i] = (struct iovec){d + i, 1};
	memset(d, 'm', sizeof(d));
	CHECK(2000 > IOV_MAX);
	CHECK_EQ(hc_pwritev(fd, many, 2000, 5), 2000);
	memset(d, 0, sizeof(d));
	CHECK_EQ(hc_preadv(fd, many, 2000, 5), 2000);
	CHECK(d[0] == 'm' && d[1999] == 'm');
	CHECK_EQ(hc_preadv(fd, many, 2000, 1005), 1000);
}

TEST(short_write_then_error)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD fd = make_file(t.fd, "f", NULL);
	char buf[64] = {0};
	struct iovec iov[2] = {{buf, 40}, {buf, 24}};
	struct rlimit old, low;

	REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
	low = (struct rlimit){.rlim_cur = 50, .rlim_max = old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &low) == 0);
	ssize_t one = hc_pwrite(fd, buf, 64, 0);
	ssize_t vec = hc_pwritev(fd, iov, 2, 0);
	ssize_t end = hc_pwrite(fd, buf, 1, 50);
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	CHECK_EQ(one, 50);
	CHECK_EQ(vec, 50);
	CHECK_EQ(end, -EFBIG);
}

TEST(copy_range)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD in = make_file(t.fd, "in", "0123456789");
	AUTO_FD out = make_file(t.fd, "out", NULL);
	AUTO_FD ro = hc_open_beneath(t.fd, "in", O_RDONLY, 0);
	char buf[16] = "";

	CHECK_EQ(hc_copy_range(in, 2, out, 1, 5), 5);
	CHECK_EQ(hc_copy_range(in, 8, out, 6, 100), 2);
	CHECK_EQ(hc_copy_range(in, 10, out, 6, 100), 0);
	CHECK_EQ(hc_pread(out, buf, 16, 0), 8);
	CHECK(memcmp(buf,
		  "\0"
		  "2345689",
		  8) == 0);
	CHECK_EQ(hc_copy_range(in, 0, ro, 0, 1), -EBADF);
}

TEST(space_holes_sync)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	AUTO_FD fd = make_file(t.fd, "f", NULL);
	AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH, 0);
	AUTO_FD ro = hc_open_beneath(t.fd, "f", O_RDONLY, 0);
	static char block[65536];
	struct hc_stat st;
	uint64_t at = 7;

	memset(block, 'x', sizeof(block));
	CHECK_EQ(hc_pwrite(fd, block, sizeof(block), 0), 65536);
	CHECK_EQ(
	    hc_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 8192), 0);
	CHECK_EQ(hc_seek(fd, 0, SEEK_HOLE, &at), 0);
	CHECK_EQ(at, 8192);
	CHECK_EQ(hc_seek(fd, 8192, SEEK_DATA, &at), 0);
	CHECK_EQ(at, 16384);
	CHECK_EQ(hc_seek(fd, 65536, SEEK_DATA, &at), -ENXIO);
	CHECK_EQ(hc_seek(fd, UINT64_MAX, SEEK_DATA, &at), -ENXIO);
	CHECK_EQ(hc_seek(fd, 0, SEEK_END, &at), -EINVAL);
	CHECK_EQ(at, 16384);
	CHECK_EQ(hc_fallocate(fd, 0, 65536, 4096), 0);
	CHECK_EQ(hc_stat(fd, &st), 0);
	CHECK_EQ(st.hs_size, 69632);
	CHECK_EQ(hc_fallocate(ro, 0, 0, 1), -EBADF);
	CHECK_EQ(hc_fallocate(fd, 0, UINT64_MAX, 1), -EFBIG);
	CHECK_EQ(hc_flush(fd), 0);
	CHECK_EQ(hc_flush(-1), -EBADF);
	CHECK_EQ(hc_append(path, "x", 1), -EBADF);
	CHECK_EQ(hc_fsync(fd, false), 0);
	CHECK_EQ(hc_fsync(fd, true), 0);
	CHECK_EQ(hc_fsync(path, false), -EBADF);
	int n = 0;
	CHECK_EQ(hc_ioctl(fd, BLKSSZGET, &n), -ENOTTY);
	CHECK_EQ(hc_ioctl(fd, FIGETBSZ, &n), 0);
	CHECK(n > 0);
}

TEST(size_of_things)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD fd = make_file(t.fd, "f", "12345");
	AUTO_FD null = hc_open_root("/dev/null", O_RDONLY);
	CHECK_EQ(hc_mknod(t.fd, "fifo", S_IFIFO | 0600, 0), 0);
	AUTO_FD fifo = hc_open_beneath(t.fd, "fifo", O_RDONLY | O_NONBLOCK, 0);
	uint64_t size = 7;

	CHECK_EQ(hc_size(t.fd, &size), -EISDIR);
	CHECK_EQ(hc_size(null, &size), -EOPNOTSUPP);
	CHECK_EQ(hc_size(fifo, &size), -EOPNOTSUPP);
	CHECK_EQ(hc_size(9999, &size), -EBADF);
	CHECK_EQ(size, 7);
	CHECK_EQ(hc_size(fd, &size), 0);
	CHECK_EQ(size, 5);
}

/* Through an O_PATH fd, as the callers do. */
static void
check_attributes(const char *where)
{
	AUTO_TMP t = tmp_new(where);
	struct hc_stat st, by_name;
	struct statvfs sv;

	AUTO_FD fd = make_file(t.fd, "f", "hello");
	AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH, 0);
	REQUIRE(path >= 0);
	CHECK_EQ(hc_chmod(path, S_IFREG | 04751), 0);
	CHECK_EQ(hc_stat(path, &st), 0);
	CHECK_EQ(st.hs_mode, S_IFREG | 04751);
	CHECK_EQ(hc_stat_beneath(t.fd, "f", &by_name), 0);
	CHECK(memcmp(&st, &by_name, sizeof(st)) == 0);
	CHECK(st.hs_nlink == 1 && st.hs_size == 5 && st.hs_btime.tv_sec > 0);

	struct timespec ts[2] = {{1000, 5}, {0, UTIME_OMIT}};
	CHECK_EQ(hc_utimens(path, ts), 0);
	CHECK_EQ(hc_stat(path, &by_name), 0);
	CHECK(by_name.hs_atime.tv_sec == 1000 && by_name.hs_atime.tv_nsec == 5);
	CHECK(by_name.hs_mtime.tv_sec == st.hs_mtime.tv_sec);
	ts[0].tv_nsec = 1000000000;
	CHECK_EQ(hc_utimens(path, ts), -EINVAL);

	CHECK_EQ(hc_truncate(path, 3), 0);
	CHECK_EQ(hc_truncate(fd, 2), 0);
	CHECK_EQ(hc_stat(fd, &st), 0);
	CHECK_EQ(st.hs_size, 2);
	AUTO_FD ro = hc_reopen(path, O_RDONLY);
	CHECK_EQ(hc_truncate(ro, 1), 0);
	CHECK_EQ(hc_stat(fd, &st), 0);
	CHECK_EQ(st.hs_size, 1);
	CHECK_EQ(hc_truncate(t.fd, 0), -EISDIR);
	CHECK_EQ(hc_truncate(fd, UINT64_MAX), -EFBIG);
	CHECK_EQ(hc_statvfs(path, &sv), 0);
	CHECK(sv.f_bsize > 0 && sv.f_namemax == 255);
	CHECK_EQ(hc_statvfs(9999, &sv), -EBADF);
	CHECK_EQ(hc_stat(9999, &st), -EBADF);
	CHECK_EQ(hc_chown(9999, 0, 0), -EBADF);
	CHECK_EQ(hc_chown(path, (uid_t)-1, (gid_t)-1), 0);
	if (geteuid() != 0)
		return;
	CHECK_EQ(hc_symlink("nowhere", t.fd, "l"), 0);
	AUTO_FD link = hc_open_beneath(t.fd, "l", O_PATH, 0);
	CHECK_EQ(hc_chown(link, 12, (gid_t)-1), 0);
	CHECK_EQ(hc_chown(link, (uid_t)-1, 34), 0);
	ts[0].tv_nsec = 0;
	CHECK_EQ(hc_utimens(link, ts), 0);
	CHECK_EQ(hc_stat(link, &st), 0);
	CHECK(S_ISLNK(st.hs_mode) && st.hs_uid == 12 && st.hs_gid == 34);
	CHECK_EQ(st.hs_atime.tv_sec, 1000);
	CHECK_EQ(hc_chmod(link, 0600), -EOPNOTSUPP);
}

TEST(attributes)
{
	for (int i = 0; i < NWHERES; i++)
		check_attributes(wheres[i]);
	bool had = hc_g.g_has.hf_fchmodat2;
	hc_g.g_has.hf_fchmodat2 = false;
	check_attributes("/dev/shm");
	hc_g.g_has.hf_fchmodat2 = had;
}

static void
check_xattr(int fd, const char *name)
{
	char buf[64];
	size_t len = 77;

	CHECK_EQ(hc_getxattr(fd, name, buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(hc_removexattr(fd, name), -ENODATA);
	CHECK_EQ(hc_setxattr(fd, name, "v", 1, XATTR_REPLACE), -ENODATA);
	CHECK_EQ(len, 77);
	CHECK_EQ(hc_setxattr(fd, name, "value", 5, 0), 0);
	CHECK_EQ(hc_setxattr(fd, name, "v", 1, XATTR_CREATE), -EEXIST);
	CHECK_EQ(hc_getxattr(fd, name, buf, sizeof(buf), &len), 0);
	CHECK(len == 5 && memcmp(buf, "value", 5) == 0);
	CHECK_EQ(hc_getxattr(fd, name, buf, 2, &len), -ERANGE);
	CHECK_EQ(hc_getxattr(fd, name, NULL, 0, &len), 0);
	CHECK_EQ(len, 5);
	CHECK_EQ(hc_listxattr(fd, buf, 1, &len), -ERANGE);
	CHECK_EQ(hc_listxattr(fd, buf, sizeof(buf), &len), 0);
	CHECK(len >= strlen(name) + 1 && memmem(buf, len, name, strlen(name) + 1));
	CHECK_EQ(hc_removexattr(fd, name), 0);
	CHECK_EQ(hc_getxattr(fd, name, NULL, 0, &len), -ENODATA);
}

TEST(xattrs)
{
	if (geteuid() != 0)
		SKIP("needs root for trusted.*");
	for (int i = 0; i < NWHERES; i++) {
		AUTO_TMP t = tmp_new(wheres[i]);
		AUTO_FD fd = make_file(t.fd, "f", NULL);
		AUTO_FD path = hc_open_beneath(t.fd, "f", O_PATH, 0);
		CHECK_EQ(hc_symlink("f", t.fd, "l"), 0);
		AUTO_FD link = hc_open_beneath(t.fd, "l", O_PATH, 0);
		check_xattr(fd, "trusted.a");
		check_xattr(path, "trusted.a");
		check_xattr(t.fd, "trusted.a");
		/* It must be the symlink's own, not what it points to. */
		CHECK_EQ(hc_setxattr(fd, "trusted.a", "f", 1, 0), 0);
		check_xattr(link, "trusted.a");
		CHECK_EQ(hc_setxattr(link, "user.a", "v", 1, 0), -EPERM);
	}
}

TEST(make_and_remove)
{
	for (int i = 0; i < NWHERES; i++) {
		AUTO_TMP t = tmp_new(wheres[i]);
		char buf[16];
		size_t len = 77;
		struct hc_stat a, b;

		AUTO_FD fd = make_file(t.fd, "f", "x");
		CHECK_EQ(hc_mkdir(t.fd, "d", 0750), 0);
		CHECK_EQ(hc_mkdir(t.fd, "d", 0750), -EEXIST);
		AUTO_FD d = hc_open_beneath(t.fd, "d", O_PATH | O_DIRECTORY, 0);
		CHECK_EQ(hc_mknod(t.fd, "p", S_IFIFO | 0600, 0), 0);
		CHECK_EQ(hc_mknod(t.fd, "p", S_IFIFO | 0600, 0), -EEXIST);
		CHECK_EQ(hc_symlink("target", t.fd, "l"), 0);
		CHECK_EQ(hc_symlink("target", t.fd, "l"), -EEXIST);

		AUTO_FD l = hc_open_beneath(t.fd, "l", O_PATH, 0);
		CHECK_EQ(hc_readlink(fd, buf, sizeof(buf), &len), -EINVAL);
		CHECK_EQ(len, 77);
		CHECK_EQ(hc_readlink(l, buf, sizeof(buf), &len), 0);
		CHECK(len == 6 && memcmp(buf, "target", 6) == 0);

		CHECK_EQ(hc_link(fd, d, "f2"), 0);
		CHECK_EQ(hc_link(fd, d, "f2"), -EEXIST);
		CHECK_EQ(hc_link(l, d, "l2"), 0);
		CHECK_EQ(hc_stat(l, &a), 0);
		CHECK_EQ(hc_stat_beneath(d, "l2", &b), 0);
		CHECK(a.hs_ino == b.hs_ino && a.hs_nlink == 2 && S_ISLNK(b.hs_mode));
		CHECK_EQ(hc_link(d, t.fd, "d2"), -EPERM);

		CHECK_EQ(hc_rename(t.fd, "f", d, "f2", RENAME_NOREPLACE), -EEXIST);
		CHECK_EQ(hc_rename(t.fd, "l", d, "f2", RENAME_EXCHANGE), 0);
		CHECK_EQ(hc_stat_beneath(d, "f2", &b), 0);
		CHECK(S_ISLNK(b.hs_mode));
		CHECK_EQ(hc_rename(d, "f2", t.fd, "moved", 0), 0);
		CHECK_EQ(hc_rename(d, "f2", t.fd, "moved", 0), -ENOENT);

		CHECK_EQ(hc_unlink(t.fd, "d", true), -ENOTEMPTY);
		CHECK_EQ(hc_unlink(t.fd, "d", false), -EISDIR);
		CHECK_EQ(hc_unlink(t.fd, "f", true), -ENOTDIR);
		CHECK_EQ(hc_unlink(t.fd, "gone", false), -ENOENT);
		CHECK_EQ(hc_unlink(d, "l2", false), 0);
		CHECK_EQ(hc_unlink(t.fd, "d", true), 0);
		CHECK_EQ(hc_mkdir(d, "x", 0755), -ENOENT);
	}
}

#define NFILES 300

/* Lists with a small buffer; removes each entry that was just listed if asked to, and
 * goes on from the position of the last one with another fd. */
static void
check_listing(int dirfd, bool removing)
{
	_Alignas(8) char buf[400], again[400];
	unsigned seen[NFILES] = {0}, others = 0;
	int64_t pos = 0, before;
	size_t len, len2;

	for (;;) {
		AUTO_FD fd = hc_reopen(dirfd, O_RDONLY | O_DIRECTORY);
		REQUIRE(hc_getdents(fd, pos, buf, sizeof(buf), &len) == 0);
		if (len == 0)
			break;
		CHECK_EQ(hc_getdents(fd, pos, again, sizeof(again), &len2), 0);
		CHECK_EQ(len, len2);
		before = pos;
		for (size_t at = 0; at < len;) {
			struct hc_dirent *d = (struct hc_dirent *)(buf + at);
			struct hc_dirent *d2 = (struct hc_dirent *)(again + at);
			unsigned i = NFILES;
			/* The padding between entries is anything. */
			CHECK(strcmp(d->hd_name, d2->hd_name) == 0 &&
			      d->hd_off == d2->hd_off);
			CHECK(d->hd_ino == d2->hd_ino && d->hd_type == d2->hd_type);
			if (d->hd_name[0] != '.')
				i = (unsigned)atoi(d->hd_name + 1);
			if (i < NFILES)
				seen[i]++;
			else
				others++;
			if (i < NFILES && removing)
				CHECK_EQ(hc_unlink(dirfd, d->hd_name, false), 0);
			pos = d->hd_off;
			at += d->hd_reclen;
		}
		REQUIRE(pos != before);
	}
	CHECK_EQ(others, 2);
	for (int i = 0; i < NFILES; i++)
		CHECK_EQ(seen[i], 1);
}

TEST(listing_positions)
{
	for (int i = 0; i < NWHERES; i++) {
		AUTO_TMP t = tmp_new(wheres[i]);
		_Alignas(8) char buf[64];
		char name[16];
		size_t len = 77;

		for (int k = 0; k < NFILES; k++) {
			snprintf(name, sizeof(name), "n%d", k);
			CHECK_EQ(hc_mknod(t.fd, name, S_IFREG | 0600, 0), 0);
		}
		AUTO_FD file = hc_open_beneath(t.fd, "n0", O_RDONLY, 0);
		AUTO_FD dir = hc_reopen(t.fd, O_RDONLY | O_DIRECTORY);
		CHECK_EQ(hc_getdents(file, 0, buf, sizeof(buf), &len), -ENOTDIR);
		CHECK_EQ(hc_getdents(t.fd, 0, buf, sizeof(buf), &len), -EBADF);
		CHECK_EQ(hc_getdents(dir, 0, buf, 8, &len), -EINVAL);
		CHECK_EQ(len, 77);
		check_listing(t.fd, false);
		check_listing(t.fd, true);
		CHECK_EQ(count_entries(t.fd), 2);
	}
}

TEST(locks)
{
	AUTO_TMP t = tmp_new("/tmp");
	AUTO_FD a = make_file(t.fd, "f", "0123456789");
	AUTO_FD b = hc_open_beneath(t.fd, "f", O_RDWR, 0);
	AUTO_FD ro = hc_open_beneath(t.fd, "f", O_RDONLY, 0);
	pid_t pid = 77;
	int up[2], down[2];
	char c;

	CHECK_EQ(hc_lock(a, F_WRLCK, 0, 5, NULL), 0);
	CHECK_EQ(hc_lock(b, F_WRLCK, 5, 5, NULL), 0);
	CHECK_EQ(hc_lock(b, F_RDLCK, 4, 1, NULL), -EAGAIN);
	CHECK_EQ(hc_lock(b, F_RDLCK, 4, 1, &pid), -EAGAIN);
	CHECK_EQ(pid, -1);
	CHECK_EQ(hc_lock(a, F_RDLCK, 0, 5, NULL), 0);
	CHECK_EQ(hc_lock(b, F_RDLCK, 4, 1, NULL), 0);
	CHECK_EQ(hc_lock(b, F_UNLCK, 0, 0, NULL), 0);
	CHECK_EQ(hc_lock(a, F_UNLCK, 0, 0, NULL), 0);
	CHECK_EQ(hc_lock(ro, F_WRLCK, 0, 0, &pid), -EBADF);
	CHECK_EQ(hc_lock(a, F_WRLCK, UINT64_MAX, 1, &pid), -EINVAL);

	REQUIRE(pipe(up) == 0 && pipe(down) == 0);
	pid_t child = fork();
	if (child == 0) {
		struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		close(down[1]);
		char said = fcntl(b, F_SETLK, &fl) == 0 ? 'y' : 'n';
		if (write(up[1], &said, 1) == 1 && read(down[0], &c, 1) == 0)
			_exit(0);
		_exit(1);
	}
	CHECK(read(up[0], &c, 1) == 1 && c == 'y');
	CHECK_EQ(hc_lock(a, F_WRLCK, 3, 1, &pid), -EAGAIN);
	CHECK_EQ(pid, child);
	close(down[1]);
	waitpid(child, NULL, 0);
	CHECK_EQ(hc_lock(a, F_WRLCK, 3, 1, &pid), 0);
	close(down[0]);
	close(up[0]);
	close(up[1]);
}
