/*
 * Mount points, our own mount above all, and acting as a caller.
 *
 * Cases that mount do it in a child with a mount namespace of its own.  Our own mount is
 * played by a FUSE mount that nobody serves: whatever asks it anything waits for ever,
 * and an alarm ends the child.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hostcalls/hc_private.h"
#include "tests/t-tmp.h"
#include "tests/t.h"

#define SKIP_STATUS 77

/* Runs fn in a child; its failed checks count here as one. */
static void
in_child(void (*fn)(const struct tmp *t), const struct tmp *t)
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(10);
		t_bad = 0;
		fn(t);
		_exit(t_skipped ? SKIP_STATUS : t_bad != 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP_STATUS)
		t_skipped = "mounting is not permitted here";
	else
		CHECK_EQ(status, 0);
}

static void
unprivileged(const struct tmp *t)
{
	REQUIRE(setgid(1234) == 0 && setuid(1234) == 0);
	/* This process has not called hc_init() before, so this finds out who it is. */
	CHECK_EQ(hc_init(), 0);
	CHECK(!hc_features()->hf_privileged && !hc_features()->hf_handles);
	CHECK_EQ(hc_become(0, 0, 0), 0);
	hc_unbecome();
	CHECK_EQ(hc_become(5, 5, 0), 0);
	hc_unbecome();
	AUTO_MEM struct hc_handle *hh = NULL;
	CHECK_EQ(hc_handle_get(t->fd, &hh), -EOPNOTSUPP);
	AUTO_FD fd = hc_open_beneath(t->fd, "f", O_CREAT | O_RDWR, 0600);
	CHECK_EQ(hc_link(fd, t->fd, "g"), 0);
}

/* The first case, because hc_init() remembers. */
TEST(without_privilege)
{
	if (geteuid() != 0)
		SKIP("needs root to give it up");
	AUTO_TMP t = tmp_new("/tmp");
	CHECK_EQ(chmod(t.path, 0777), 0);
	in_child(unprivileged, &t);
}

static bool
own_namespace(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A FUSE mount that never answers; the fd holds it. */
static int
mute_mount(const char *path)
{
	char opts[80];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd >= 0 && mount("mute", path, "fuse", 0, opts) == 0)
		return fd;
	hc_close(fd);
	return -1;
}

static void
check_own(int dirfd, const char *path)
{
	struct hc_stat st = {.hs_ino = 77};
	static const int flags[] = {O_PATH, O_RDONLY, O_RDONLY | O_DIRECTORY,
	    O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_RDWR | O_TMPFILE,
	    O_PATH | O_DIRECTORY};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		CHECK_EQ(hc_open_beneath(dirfd, "own", flags[i], 0600), -EDEADLK);
	CHECK_EQ(hc_stat_beneath(dirfd, "own", &st), -EDEADLK);
	CHECK_EQ(st.hs_ino, 77);
	CHECK_EQ(hc_open_root(path, O_RDONLY), -EDEADLK);
	/* A second place of the same mount. */
	CHECK_EQ(hc_open_beneath(dirfd, "bind", O_RDONLY, 0), -EDEADLK);
	/* Names are made and removed beside the mount, not in it. */
	CHECK_EQ(hc_mkdir(dirfd, "own", 0755), -EEXIST);
	CHECK_EQ(hc_unlink(dirfd, "own", true), -EBUSY);
	CHECK_EQ(hc_rename(dirfd, "own", dirfd, "new", 0), -EBUSY);
}

/* What is mounted there is another's: used as if it were not a mount. */
static void
check_other(int dirfd)
{
	struct hc_stat st, up;
	char c = 0;

	CHECK_EQ(hc_stat(dirfd, &up), 0);
	CHECK_EQ(hc_stat_beneath(dirfd, "other one", &st), 0);
	CHECK(S_ISDIR(st.hs_mode) && st.hs_dev != up.hs_dev);
	AUTO_FD other = hc_open_beneath(dirfd, "other one", O_RDONLY | O_DIRECTORY, 0);
	AUTO_FD in = hc_open_beneath(other, "in", O_CREAT | O_RDWR, 0600);
	CHECK(other >= 0 && in >= 0);
	AUTO_FD path = hc_open_beneath(dirfd, "other one", O_PATH, 0);
	CHECK(fcntl(path, F_GETFL) & O_PATH);
	CHECK_EQ(hc_open_beneath(dirfd, "other one", O_CREAT | O_RDONLY, 0600), -EISDIR);
	CHECK_EQ(hc_open_beneath(dirfd, "other one", O_CREAT | O_EXCL, 0600), -EEXIST);
	AUTO_FD unnamed = hc_open_beneath(dirfd, "other one", O_TMPFILE | O_RDWR, 0640);
	CHECK_EQ(hc_stat(unnamed, &st), 0);
	CHECK_EQ(st.hs_mode & 0777, 0640);

	AUTO_FD file = hc_open_beneath(dirfd, "file", O_CREAT | O_RDWR, 0600);
	CHECK_EQ(hc_pread(file, &c, 1, 0), 1);
	CHECK_EQ(c, 'b');
	CHECK_EQ(hc_open_beneath(dirfd, "file", O_CREAT | O_EXCL, 0600), -EEXIST);
	CHECK_EQ(hc_open_beneath(dirfd, "file", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);

	AUTO_FD plain = hc_open_beneath(dirfd, "plain", O_CREAT | O_RDWR, 0600);
	CHECK(plain >= 0);
	CHECK_EQ(hc_open_beneath(dirfd, "none", O_RDONLY, 0), -ENOENT);
	CHECK_EQ(hc_unlink(dirfd, "plain", false), 0);
}

static void
own_mount(const struct tmp *t)
{
	char own[100], other[100], file[100], bind[100], body[100];
	uint64_t dev = 77, first = 0;

	if (!own_namespace())
		SKIP("");
	snprintf(own, sizeof(own), "%s/own", t->path);
	snprintf(bind, sizeof(bind), "%s/bind", t->path);
	snprintf(other, sizeof(other), "%s/other one", t->path);
	snprintf(file, sizeof(file), "%s/file", t->path);
	snprintf(body, sizeof(body), "%s/body", t->path);
	if (mount("", other, "tmpfs", 0, NULL) < 0)
		SKIP("");
	REQUIRE(mount(body, file, NULL, MS_BIND, NULL) == 0);

	CHECK_EQ(hc_own_mount_of(own, &dev), -ENOENT);
	CHECK_EQ(dev, 77);
	struct stat sb;
	CHECK_EQ(stat(other, &sb), 0);
	CHECK_EQ(hc_own_mount_of(other, &dev), 0);
	CHECK_EQ(dev, sb.st_dev);

	/* Of two mounts on one place the upper one counts. */
	REQUIRE(mount("", own, "tmpfs", 0, NULL) == 0);
	CHECK_EQ(hc_own_mount_of(own, &first), 0);
	int fuse = mute_mount(own);
	if (fuse < 0)
		SKIP("");
	CHECK_EQ(hc_own_mount_of(own, &dev), 0);
	CHECK(dev != first);
	strcat(own, "/");
	CHECK_EQ(hc_own_mount_of(own, &first), 0);
	CHECK_EQ(dev, first);
	own[strlen(own) - 1] = '\0';
	REQUIRE(mount(own, bind, NULL, MS_BIND, NULL) == 0);

	/* The fd from before belongs to the namespace that was left. */
	AUTO_FD dir = hc_open_root(t->path, O_PATH);
	hc_own_mount(dev);
	for (int i = 0; i < 2; i++) {
		check_own(dir, own);
		check_other(dir);
		/* As another user too: what is read in /proc must stay readable. */
		CHECK_EQ(hc_become(1234, 1234, 0), 0);
		CHECK_EQ(hc_open_beneath(dir, "own", O_RDONLY, 0), -EDEADLK);
		CHECK_EQ(hc_open_beneath(dir, "body", O_RDWR, 0), -EACCES);
		AUTO_FD in = hc_open_beneath(dir, "other one", O_RDONLY, 0);
		CHECK(in >= 0);
		hc_unbecome();
		hc_g.g_has.hf_openat2 = false;
	}
	/* A mount that comes and goes while others are remembered. */
	hc_g.g_has.hf_openat2 = true;
	for (int i = 0; i < 20; i++) {
		REQUIRE(umount2(bind, MNT_DETACH) == 0);
		AUTO_FD plain = hc_open_beneath(dir, "bind", O_RDONLY, 0);
		CHECK(plain >= 0);
		REQUIRE(mount("", bind, "tmpfs", 0, NULL) == 0);
		AUTO_FD tmp = hc_open_beneath(dir, "bind", O_RDONLY, 0);
		CHECK(tmp >= 0);
		hc_close(tmp);
		tmp = -1;
		REQUIRE(umount2(bind, 0) == 0);
		REQUIRE(mount(own, bind, NULL, MS_BIND, NULL) == 0);
		CHECK_EQ(hc_open_beneath(dir, "bind", O_RDONLY, 0), -EDEADLK);
	}
	hc_own_mount(0);
	AUTO_FD root = hc_open_beneath(dir, "own", O_PATH, 0);
	CHECK(root >= 0);
	hc_close(fuse);
}

TEST(own_mount_is_refused)
{
	REQUIRE(hc_init() == 0);
	if (!hc_features()->hf_privileged || !hc_features()->hf_openat2)
		SKIP("needs root");
	/* What is another's must be reachable for the caller. */
	AUTO_TMP t = tmp_new("/tmp");
	CHECK_EQ(hc_chmod(t.fd, 0711), 0);
	CHECK_EQ(hc_mkdir(t.fd, "own", 0755), 0);
	CHECK_EQ(hc_mkdir(t.fd, "bind", 0755), 0);
	CHECK_EQ(hc_mkdir(t.fd, "other one", 0755), 0);
	CHECK_EQ(hc_mknod(t.fd, "file", S_IFREG | 0600, 0), 0);
	AUTO_FD body = hc_open_beneath(t.fd, "body", O_CREAT | O_RDWR, 0600);
	CHECK_EQ(hc_pwrite(body, "b", 1, 0), 1);
	in_child(own_mount, &t);
}

/* What the status file of this thread says after a word. */
static void
thread_status(const char *word, char *buf, size_t cap)
{
	AUTO_MEM char *text = NULL;

	buf[0] = '\0';
	CHECK_EQ(hc_proc_read("thread-self/status", &text), 0);
	const char *at = text ? strstr(text, word) : NULL;
	if (at)
		snprintf(buf, cap, "%.*s", (int)strcspn(at, "\n"), at);
}

struct identity {
	char uid[80], gid[80], groups[200], caps[80];
};

static struct identity
identity(void)
{
	struct identity id;

	memset(&id, 0, sizeof(id));
	thread_status("Uid:", id.uid, sizeof(id.uid));
	thread_status("Gid:", id.gid, sizeof(id.gid));
	thread_status("Groups:", id.groups, sizeof(id.groups));
	thread_status("CapEff:", id.caps, sizeof(id.caps));
	return id;
}

/* Two threads: one becomes somebody, the other looks on meanwhile. */
struct watch {
	pthread_barrier_t bar;
	struct identity before, during, after;
};

static void *
watcher(void *arg)
{
	struct watch *w = arg;

	w->before = identity();
	pthread_barrier_wait(&w->bar);
	pthread_barrier_wait(&w->bar); /* the other has become */
	w->during = identity();
	pthread_barrier_wait(&w->bar);
	pthread_barrier_wait(&w->bar); /* and is back */
	w->after = identity();
	return NULL;
}

/* A process with these groups, until down is closed. */
static pid_t
process_with_groups(const gid_t *groups, int n, int *ret_down)
{
	int up[2], down[2];
	char c;

	if (pipe(up) < 0 || pipe(down) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(down[1]);
		if (syscall(SYS_setgroups, n, groups) < 0 || write(up[1], "x", 1) != 1)
			_exit(1);
		_exit(read(down[0], &c, 1) != 0);
	}
	CHECK_EQ(read(up[0], &c, 1), 1);
	close(up[0]);
	close(up[1]);
	close(down[0]);
	*ret_down = down[1];
	return pid;
}

static void
as_caller(int dirfd)
{
	struct hc_stat st;
	struct identity id = identity();

	CHECK(strncmp(id.groups, "Groups:\t4321 5432 ", 18) == 0);
	CHECK(strstr(id.uid, "1234") && strstr(id.gid, "2345"));
	CHECK_EQ(hc_become(1, 1, 0), -EBUSY);
	CHECK_EQ(hc_open_beneath(dirfd, "roots", O_RDONLY, 0), -EACCES);
	CHECK_EQ(hc_open_beneath(dirfd, "none", O_RDONLY, 0), -ENOENT);
	AUTO_FD groups = hc_open_beneath(dirfd, "groups", O_RDONLY, 0);
	CHECK(groups >= 0);
	AUTO_FD mine = hc_open_beneath(dirfd, "mine", O_CREAT | O_EXCL | O_RDWR, 0640);
	CHECK_EQ(hc_stat(mine, &st), 0);
	CHECK(st.hs_uid == 1234 && st.hs_gid == 2345);
	/* Without the capability for AT_EMPTY_PATH, through an O_PATH fd. */
	AUTO_FD path = hc_open_beneath(dirfd, "mine", O_PATH, 0);
	CHECK_EQ(hc_link(path, dirfd, "mine2"), 0);
	CHECK_EQ(hc_chmod(path, 0600), 0);
	CHECK_EQ(hc_truncate(path, 10), 0);
	AUTO_FD again = hc_reopen(path, O_RDWR);
	CHECK(again >= 0);
	CHECK_EQ(hc_chown(path, 0, (gid_t)-1), -EPERM);
	CHECK_EQ(hc_chown(path, (uid_t)-1, 4321), 0);
	AUTO_FD roots = hc_open_beneath(dirfd, "roots", O_PATH, 0);
	CHECK(roots >= 0);
	CHECK_EQ(hc_reopen(roots, O_RDONLY), -EACCES);
	CHECK_EQ(hc_truncate(roots, 0), -EACCES);
	CHECK_EQ(hc_chmod(roots, 0666), -EPERM);
}

TEST(become_is_one_thread)
{
	static const gid_t groups[] = {4321, 5432};
	struct watch w;
	pthread_t tid;
	int down = -1;

	REQUIRE(hc_init() == 0);
	if (!hc_features()->hf_privileged)
		SKIP("needs root");
	AUTO_TMP t = tmp_new("/tmp");
	CHECK_EQ(hc_chmod(t.fd, 0777), 0);
	AUTO_FD r = hc_open_beneath(t.fd, "roots", O_CREAT | O_RDWR, 0600);
	AUTO_FD g = hc_open_beneath(t.fd, "groups", O_CREAT | O_RDWR, 0640);
	REQUIRE(r >= 0 && g >= 0);
	CHECK_EQ(hc_chown(g, (uid_t)-1, 5432), 0);
	pid_t pid = process_with_groups(groups, 2, &down);
	REQUIRE(pid > 0);

	REQUIRE(pthread_barrier_init(&w.bar, NULL, 2) == 0);
	REQUIRE(pthread_create(&tid, NULL, watcher, &w) == 0);
	pthread_barrier_wait(&w.bar);
	struct identity before = identity();
	CHECK_EQ(hc_become(1234, 2345, pid), 0);
	pthread_barrier_wait(&w.bar);
	pthread_barrier_wait(&w.bar);
	as_caller(t.fd);
	struct identity during = identity();
	hc_unbecome();
	hc_unbecome();
	struct identity after = identity();
	pthread_barrier_wait(&w.bar);
	pthread_join(tid, NULL);
	pthread_barrier_destroy(&w.bar);

	CHECK(memcmp(&before, &during, sizeof(before)) != 0);
	CHECK(strcmp(before.caps, during.caps) != 0);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
	CHECK(memcmp(&w.before, &w.during, sizeof(w.before)) == 0);
	CHECK(memcmp(&w.before, &w.after, sizeof(w.before)) == 0);
	CHECK(memcmp(&w.before, &before, sizeof(before)) == 0);
	/* The capabilities do work again. */
	AUTO_FD roots = hc_open_beneath(t.fd, "mine", O_RDWR, 0);
	CHECK(roots >= 0);
	CHECK_EQ(hc_chown(roots, 99, 99), 0);
	close(down);
	waitpid(pid, NULL, 0);
}

TEST(become_without_groups)
{
	REQUIRE(hc_init() == 0);
	if (!hc_features()->hf_privileged)
		SKIP("needs root");
	struct identity before = identity(), now;

	CHECK_EQ(hc_become(0, 0, 1), 0);
	now = identity();
	CHECK(memcmp(&before, &now, sizeof(now)) == 0);
	hc_unbecome();
	CHECK_EQ(hc_become((uid_t)-1, 5, 0), -EINVAL);
	CHECK_EQ(hc_become(5, (gid_t)-1, 0), -EINVAL);
	now = identity();
	CHECK(memcmp(&before, &now, sizeof(now)) == 0);
	/* No process, or one that has ended: none. */
	static const pid_t pids[] = {0, 0x7ffffff0};
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(hc_become(1234, 2345, pids[i]), 0);
		now = identity();
		CHECK(strcmp(now.groups, "Groups:\t ") == 0);
		hc_unbecome();
	}
	/* Only the group is another's: no right is lost. */
	CHECK_EQ(hc_become(0, 2345, 0), 0);
	now = identity();
	CHECK(strcmp(before.caps, now.caps) == 0);
	hc_unbecome();
	now = identity();
	CHECK(memcmp(&before, &now, sizeof(now)) == 0);
}
