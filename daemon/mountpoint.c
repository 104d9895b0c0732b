/*
 * Making a mount point ready (mountpoint.h).
 */
#include "daemon/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control_client.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"

/* A start takes a moment until the mount is there; one that opens a large image takes longer. */
#define LOCK_WITHIN_MS   2000
#define ANSWER_WITHIN_MS 5000
/* Several dead mounts may lie on one another. */
#define TRIES 16

/* The first that is sent has the path, or why there is none; the second whether it answers. */
struct answer {
	int an_err;
	char an_path[PATH_MAX];
};

static int
say(int fd, int err, const char *path)
{
	struct answer a = {.an_err = err};

	if (path && strlen(path) < sizeof(a.an_path))
		strcpy(a.an_path, path);
	return send(fd, &a, sizeof(a), MSG_NOSIGNAL) == sizeof(a) ? 0 : -1;
}

/* stat(2) alone may be answered from the kernel's cache when the server of a mount is long
 * gone; statfs(2) never is.  Opening is what comes next (lock_point()).  0 or an errno. */
static int
ask_there(const char *path)
{
	struct statvfs sv;
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || statvfs(path, &sv) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return ENOTDIR;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return mnttab_is_dead(errno) ? errno : 0;
	close(fd);
	return 0;
}

/* Nothing of ours is held by who may hang: no descriptor, and nothing to be written to. */
static void __attribute__((noreturn)) ask_run(int fd, const char *mountpoint)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *path;

	prctl(PR_SET_NAME, "rumpfuse-ask", 0, 0, 0);
	for (int i = 0; i <= 2; i++)
		dup2(null, i);
	if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
		_exit(1);
	closefrom(4);
	path = mnttab_absolute(mountpoint);
	if (say(3, path ? 0 : errno, path) == 0 && path)
		(void)say(3, ask_there(path), NULL);
	_exit(0);
}

static int
ms_since(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int)((now.tv_sec - since->tv_sec) * 1000 +
		     (now.tv_nsec - since->tv_nsec) / 1000000);
}

/* 0 or -errno. */
static int
hear(int fd, const struct timespec *since, struct answer *ret)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int left, n;

	do {
		left = ANSWER_WITHIN_MS - ms_since(since);
		n = poll(&pfd, 1, left > 0 ? left : 0);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	if (recv(fd, ret, sizeof(*ret), 0) != sizeof(*ret))
		return -EIO; /* it was killed */
	return -ret->an_err;
}

int
mountpoint_ask(const char *mountpoint, char **ret_path)
{
	struct timespec since;
	struct answer a;
	int fds[2], r;
	pid_t pid;

	*ret_path = NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	clock_gettime(CLOCK_MONOTONIC, &since);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		ask_run(fds[1], mountpoint);
	r = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (r == 0)
		r = hear(fds[0], &since, &a);
	if (r == 0) {
		*ret_path = strdup(a.an_path);
		r = *ret_path ? hear(fds[0], &since, &a) : -ENOMEM;
	}
	close(fds[0]);
	if (pid < 0)
		return r;
	kill(pid, SIGKILL);
	/* What the host holds is not waited for. */
	while (waitpid(pid, NULL, r == -ETIMEDOUT ? WNOHANG : 0) < 0 && errno == EINTR)
		;
	return r;
}

void
mountpoint_tell_hanging(const char *mountpoint, const char *path)
{
	struct mnttab_entry e;

	if (!path || mnttab_at(path, &e) < 0) {
		log_msg(LOG_ERR,
		    "mount point %s: no answer for %d s: a mount on the way to it hangs",
		    mountpoint, ANSWER_WITHIN_MS / 1000);
		return;
	}
	log_msg(LOG_ERR,
	    "%s: what is mounted there (%s, %s) does not answer: see to the process that serves "
	    "it and to its host, or take it away: umount -l %s",
	    path, e.me_source, e.me_fstype, path);
	mnttab_entry_done(&e);
}

static bool
is_ours(const struct mnttab_entry *e, const char *fstype)
{
	return strcmp(e->me_fstype, "fuse.rumpfuse") == 0 ||
	       strcmp(e->me_fstype, fstype) == 0;
}

/* Just the mount that the descriptor is of, whatever has come to the same place since.  Who may
 * not do that himself goes by the path.  0 or -errno. */
static int
unmount_this(int fd, const char *path)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (umount2(name, MNT_DETACH) == 0 || errno == EINVAL)
		return 0; /* somebody else has been faster */
	return errno == EPERM || errno == ENOENT ? mnttab_unmount(path, true) : -errno;
}

/* A mount whose server is gone.  Ours is taken away; somebody else's is left alone.  -1 after an
 * error message. */
static int
remove_dead(const char *path, const char *fstype)
{
	struct mnttab_entry e;
	struct statvfs sv;
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : mnttab_at(path, &e);

	if (fd >= 0 && (fstatvfs(fd, &sv) == 0 || !mnttab_is_dead(errno))) {
		/* Another start has replaced it. */
		if (r == 0)
			mnttab_entry_done(&e);
		close(fd);
		return 0;
	}
	if (r < 0) {
		log_msg(LOG_ERR, "%s: the mount there is dead and not in the mount table",
		    path);
	} else if (!is_ours(&e, fstype)) {
		log_msg(LOG_ERR,
		    "%s: a dead mount of type %s (%s) is in the way: umount -l %s", path,
		    e.me_fstype, e.me_source, path);
		r = -EBUSY;
	} else if ((r = unmount_this(fd, path)) < 0) {
		log_msg(LOG_ERR, "%s: cannot take the dead mount away: %s", path,
		    strerror(-r));
	} else {
		log_msg(LOG_NOTICE, "%s: took away a dead mount", path);
	}
	if (fd >= 0) {
		close(fd);
		mnttab_entry_done(&e);
	}
	return r < 0 ? -1 : 0;
}

/* The lock is on the directory below the mount, and is let go when that is covered.  Where
 * it cannot be opened there is none.  -1: somebody has it, for longer than a moment. */
static int
lock_point(const char *path, int *ret_fd)
{
	struct timespec pause = {.tv_nsec = 50000000};
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_fd = fd;
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			break;
		if (i == LOCK_WITHIN_MS / 50) {
			close(fd);
			*ret_fd = -1;
			log_msg(LOG_ERR,
			    "%s: another process is about to mount there (it holds a lock on "
			    "the directory)",
			    path);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* The same file may have several names. */
static bool
is_same_source(const char *a, const char *b)
{
	struct stat sta, stb;

	if (strcmp(a, b) == 0)
		return true;
	return a[0] == '/' && b[0] == '/' && stat(a, &sta) == 0 && stat(b, &stb) == 0 &&
	       sta.st_dev == stb.st_dev && sta.st_ino == stb.st_ino;
}

/* -1 after an error message: our source is mounted there.  Another may be covered. */
static int
check_double(const char *path, const char *source, const char *fstype)
{
	struct mnttab_entry e;
	int r = 0;
	pid_t pid;

	if (mnttab_at(path, &e) < 0)
		return 0;
	if (is_ours(&e, fstype) && is_same_source(e.me_source, source)) {
		pid = control_client_pid(e.me_dev, e.me_user);
		if (pid > 0)
			log_msg(LOG_ERR, "%s is already mounted on %s, by process %d",
			    e.me_source, path, pid);
		else
			log_msg(
			    LOG_ERR, "%s is already mounted on %s", e.me_source, path);
		r = -1;
	} else if (is_ours(&e, fstype)) {
		log_msg(LOG_NOTICE, "%s: what is mounted there, %s, is covered", path,
		    e.me_source);
	}
	mnttab_entry_done(&e);
	return r;
}

static bool
is_mounted_on(const char *path)
{
	struct mnttab_entry e;

	if (mnttab_at(path, &e) < 0)
		return false;
	mnttab_entry_done(&e);
	return true;
}

/* 0; -EAGAIN: a dead mount has been taken away; or -1 after an error message. */
static int
make_answer(const char *mountpoint, const char *fstype, bool last, char **ret_path)
{
	int r;

	free(*ret_path);
	r = mountpoint_ask(mountpoint, ret_path);
	if (r == 0)
		return 0;
	if (mnttab_is_dead(-r) && *ret_path && !last)
		return remove_dead(*ret_path, fstype) < 0 ? -1 : -EAGAIN;
	if (r == -ETIMEDOUT)
		mountpoint_tell_hanging(mountpoint, *ret_path);
	else
		log_msg(LOG_ERR, "mount point %s: %s", *ret_path ? *ret_path : mountpoint,
		    strerror(-r));
	return -1;
}

/* As make_answer(). */
static int
make_ready(
    const char *mountpoint, const char *fstype, bool last, char **ret_path, int *ret_lock)
{
	int r = make_answer(mountpoint, fstype, last, ret_path);

	if (r == 0)
		r = lock_point(*ret_path, ret_lock);
	/* Who had the lock may have mounted meanwhile, and died. */
	if (r == 0 && is_mounted_on(*ret_path))
		r = make_answer(mountpoint, fstype, last, ret_path);
	return r;
}

int
mountpoint_prepare(const char *mountpoint, const char *source, const char *fstype,
    char **ret_path, int *ret_lock)
{
	char *path = NULL;
	int lock = -1, r = -EAGAIN;

	for (int i = 1; i <= TRIES && r == -EAGAIN; i++) {
		if (lock >= 0)
			close(lock);
		lock = -1;
		r = make_ready(mountpoint, fstype, i == TRIES, &path, &lock);
	}
	if (r == 0)
		r = check_double(path, source, fstype);
	if (r < 0) {
		if (lock >= 0)
			close(lock);
		free(path);
		return -1;
	}
	*ret_path = path;
	*ret_lock = lock;
	return 0;
}
