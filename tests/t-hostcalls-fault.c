/*
 * Every host call is a fault point: it fails as told, before it has done anything, and is
 * counted as one call.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "hostcalls/hostcalls.h"
#include "tests/t-tmp.h"
#include "tests/t.h"

/* Something to work on; what a call would make is always called "new". */
struct stage {
	struct tmp *tmp;
	int dir, file; /* a real directory fd, a file open for both */
	struct hc_handle *handle;
};

static _Alignas(8) char buf[4096];
static struct iovec iov = {buf, 8};
static size_t len;
static uint64_t num, num2;
static struct hc_stat st;
static struct statvfs sv;
static const struct timespec times[2] = {{1, 0}, {1, 0}};

#define CALL(id, expr)                         \
	static long call_##id(struct stage *s) \
	{                                      \
		(void)s;                       \
		return expr;                   \
	}
#define MAKE_FLAGS (O_CREAT | O_EXCL | O_RDWR)

CALL(open_root, hc_open_root(s->tmp->path, O_PATH))
CALL(open_beneath, hc_open_beneath(s->dir, "new", MAKE_FLAGS, 0600))
CALL(open_tmpfile, hc_open_tmpfile(s->dir, O_RDWR, 0600))
CALL(reopen, hc_reopen(s->file, O_RDWR))
CALL(handle_get, hc_handle_get(s->file, &s->handle))
CALL(handle_open, hc_handle_open(s->dir, s->handle, O_PATH))
CALL(stat, hc_stat(s->file, &st))
CALL(stat_beneath, hc_stat_beneath(s->dir, "file", &st))
CALL(chmod, hc_chmod(s->file, 0777))
CALL(chown, hc_chown(s->file, (uid_t)-1, (gid_t)-1))
CALL(utimens, hc_utimens(s->file, times))
CALL(truncate, hc_truncate(s->file, 1))
CALL(statvfs, hc_statvfs(s->file, &sv))
CALL(size, hc_size(s->file, &num))
CALL(pread, hc_pread(s->file, buf, 8, 0))
CALL(pwrite, hc_pwrite(s->file, buf, 8, 1000))
CALL(preadv, hc_preadv(s->file, &iov, 1, 0))
CALL(pwritev, hc_pwritev(s->file, &iov, 1, 1000))
CALL(copy_range, hc_copy_range(s->file, 0, s->file, 2000, 4))
CALL(fallocate, hc_fallocate(s->file, 0, 3000, 1))
CALL(seek, hc_seek(s->file, 0, SEEK_HOLE, &num))
CALL(fsync, hc_fsync(s->file, true))
CALL(flush, hc_flush(s->file))
CALL(append, (int)hc_append(s->file, "x", 1))
CALL(ioctl, hc_ioctl(s->file, 0, NULL))
CALL(getdents, hc_getdents(s->dir, 0, buf, sizeof(buf), &len))
CALL(mkdir, hc_mkdir(s->dir, "new", 0755))
CALL(mknod, hc_mknod(s->dir, "new", S_IFIFO | 0600, 0))
CALL(symlink, hc_symlink("x", s->dir, "new"))
CALL(link, hc_link(s->file, s->dir, "new"))
CALL(unlink, hc_unlink(s->dir, "file", false))
CALL(rename, hc_rename(s->dir, "file", s->dir, "new", 0))
CALL(readlink, hc_readlink(s->file, buf, sizeof(buf), &len))
CALL(getxattr, hc_getxattr(s->file, "user.x", buf, 8, &len))
CALL(setxattr, hc_setxattr(s->file, "user.x", "v", 1, 0))
CALL(listxattr, hc_listxattr(s->file, buf, sizeof(buf), &len))
CALL(removexattr, hc_removexattr(s->file, "user.x"))
CALL(lock, hc_lock(s->file, F_WRLCK, 0, 0, NULL))
CALL(partition, hc_partition(s->file, "1", &num, &num2))
CALL(become, hc_become(1234, 1234, 0))
CALL(own_mount_of, hc_own_mount_of("/", &num))

#define ROW(id)                \
	{                      \
#id, call_##id \
	}
static const struct {
	const char *name;
	long (*fn)(struct stage *s);
} calls[] = {ROW(open_root), ROW(open_beneath), ROW(open_tmpfile), ROW(reopen),
    ROW(handle_get), ROW(handle_open), ROW(stat), ROW(stat_beneath), ROW(chmod),
    ROW(chown), ROW(utimens), ROW(truncate), ROW(statvfs), ROW(size), ROW(pread),
    ROW(pwrite), ROW(preadv), ROW(pwritev), ROW(copy_range), ROW(fallocate), ROW(seek),
    ROW(fsync), ROW(flush), ROW(append), ROW(ioctl), ROW(getdents), ROW(mkdir),
    ROW(mknod), ROW(symlink), ROW(link), ROW(unlink), ROW(rename), ROW(readlink),
    ROW(getxattr), ROW(setxattr), ROW(listxattr), ROW(removexattr), ROW(lock),
    ROW(partition), ROW(become), ROW(own_mount_of)};
#define NCALLS (sizeof(calls) / sizeof(calls[0]))

static const char *hooked;

static void
hook(const char *call)
{
	hooked = call;
}

static bool
checked_build(void)
{
	struct hc_stat root;

	hc_fault_set(1, EIO);
	bool is = hc_stat(STDIN_FILENO, &root) == -EIO;
	hc_fault_set(0, 0);
	return is;
}

TEST(each_call_fails_as_told)
{
	REQUIRE(hc_init() == 0);
	if (!checked_build())
		SKIP("not a checked build");
	AUTO_TMP t = tmp_new("/dev/shm");
	struct stage s = {.tmp = &t};
	struct hc_stat before, after;
	AUTO_FD dir = hc_open_root(t.path, O_RDONLY | O_DIRECTORY);
	AUTO_FD file = hc_open_beneath(dir, "file", MAKE_FLAGS, 0600);
	REQUIRE(dir >= 0 && file >= 0);
	CHECK_EQ(hc_pwrite(file, "content", 7, 0), 7);
	CHECK_EQ(hc_stat(file, &before), 0);
	s.dir = dir;
	s.file = file;

	hc_hook = hook;
	for (size_t i = 0; i < NCALLS; i++) {
		hooked = "";
		hc_fault_set(1, ENOTNAM);
		long r = calls[i].fn(&s);
		if (r != -ENOTNAM || strcmp(hooked, calls[i].name) != 0)
			printf("%s (hook said %s):\n", calls[i].name, hooked);
		CHECK_EQ(r, -ENOTNAM);
		CHECK(strcmp(hooked, calls[i].name) == 0);
		CHECK_EQ(hc_fault_calls(), 1);
	}
	hc_hook = NULL;
	CHECK_EQ(hc_stat(file, &after), 0);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	CHECK_EQ(hc_stat_beneath(dir, "new", &after), -ENOENT);
	CHECK(!s.handle);
}

TEST(calls_count_as_one)
{
	REQUIRE(hc_init() == 0);
	if (!checked_build())
		SKIP("not a checked build");
	AUTO_TMP t = tmp_new("/dev/shm");
	struct stage s = {.tmp = &t};
	AUTO_FD dir = hc_open_root(t.path, O_RDONLY | O_DIRECTORY);
	AUTO_FD file = hc_open_beneath(dir, "file", MAKE_FLAGS, 0600);
	s.dir = dir;
	s.file = file;

	/* Those that are made of others. */
	hc_fault_set(0, 0);
	CHECK_EQ(call_stat_beneath(&s), 0);
	CHECK_EQ(hc_fault_calls(), 1);
	CHECK_EQ(call_size(&s), 0);
	CHECK_EQ(hc_fault_calls(), 2);
	CHECK_EQ(call_partition(&s), -ENODATA);
	CHECK_EQ(hc_fault_calls(), 3);
	hc_close(dup(file));
	hc_unbecome();
	CHECK_EQ(hc_fault_calls(), 3);

	/* The third fails, and only that. */
	hc_fault_set(3, ENOSPC);
	static const long expected[] = {0, 0, -ENOSPC, 0, 0};
	for (int i = 0; i < 5; i++)
		CHECK_EQ(call_stat(&s), expected[i]);
	CHECK_EQ(hc_fault_calls(), 5);
	hc_fault_set(0, 0);
}

static atomic_int nfailed;

static void *
stat_often(void *arg)
{
	struct hc_stat mine;

	for (int i = 0; i < 1000; i++) {
		if (hc_stat(*(int *)arg, &mine) != 0)
			atomic_fetch_add(&nfailed, 1);
	}
	return NULL;
}

TEST(one_thread_gets_the_fault)
{
	pthread_t tid[4];

	REQUIRE(hc_init() == 0);
	if (!checked_build())
		SKIP("not a checked build");
	AUTO_FD dir = hc_open_root("/tmp", O_PATH);
	hc_fault_set(2500, EIO);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&tid[i], NULL, stat_often, &dir) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(tid[i], NULL);
	CHECK_EQ(atomic_load(&nfailed), 1);
	CHECK_EQ(hc_fault_calls(), 4000);
	hc_fault_set(0, 0);
}
