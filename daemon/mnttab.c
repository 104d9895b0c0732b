/*
 * The mount point (mnttab.h).
 */
#include "daemon/mnttab.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"

void
mnttab_entry_done(struct mnttab_entry *e)
{
	free(e->me_fstype);
	free(e->me_source);
	memset(e, 0, sizeof(*e));
}

/* The kernel writes blanks and backslashes as \ooo.  In place. */
static char *
unescape(char *s)
{
	char *to = s;

	for (const char *p = s; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
		    p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + p[3] - '0');
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
	return s;
}

/* id parent major:minor root mountpoint options [optional …] - fstype source superoptions
 * Points into line.  False: not of that form. */
static bool
parse_line(
    char *line, char **ret_point, uint64_t *ret_dev, char **ret_type, char **ret_src)
{
	char *save = NULL, *dev = NULL, *point = NULL, *f;
	unsigned major, minor;
	int i = 0;

	for (f = strtok_r(line, " \n", &save); f && strcmp(f, "-") != 0;
	     f = strtok_r(NULL, " \n", &save), i++) {
		if (i == 2)
			dev = f;
		else if (i == 4)
			point = f;
	}
	if (!f || !point || sscanf(dev, "%u:%u", &major, &minor) != 2)
		return false;
	*ret_type = strtok_r(NULL, " \n", &save);
	*ret_src = strtok_r(NULL, " \n", &save);
	if (!*ret_type || !*ret_src)
		return false;
	*ret_point = unescape(point);
	*ret_dev = makedev(major, minor);
	return true;
}

int
mnttab_at(const char *path, struct mnttab_entry *ret)
{
	struct mnttab_entry found = {0};
	char *line = NULL, *point, *type, *src;
	size_t cap = 0;
	bool any = false;
	uint64_t dev;
	FILE *fp = fopen("/proc/self/mountinfo", "re");

	if (!fp)
		return -errno;
	while (getline(&line, &cap, fp) > 0) {
		if (!parse_line(line, &point, &dev, &type, &src) ||
		    strcmp(point, path) != 0)
			continue;
		/* The last line of a path is the mount on top. */
		mnttab_entry_done(&found);
		found.me_dev = dev;
		found.me_fstype = strdup(type);
		found.me_source = strdup(unescape(src));
		any = true;
	}
	free(line);
	fclose(fp);
	if (!any)
		return -ENOENT;
	if (!found.me_fstype || !found.me_source) {
		mnttab_entry_done(&found);
		return -ENOMEM;
	}
	*ret = found;
	return 0;
}

bool
mnttab_is(const char *path, uint64_t dev)
{
	struct mnttab_entry e;
	bool same;

	if (mnttab_at(path, &e) < 0)
		return false;
	same = e.me_dev == dev;
	mnttab_entry_done(&e);
	return same;
}

/* The absolute path of a mount point.  The last component may be a dead mount, which can
 * be named but not asked. */
static char *
absolute(const char *mountpoint)
{
	char *whole = realpath(mountpoint, NULL), *copy, *slash, *dir, *path = NULL;

	if (whole || errno != ENOTCONN)
		return whole;
	copy = strdup(mountpoint);
	if (!copy)
		return NULL;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	dir = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (dir && asprintf(&path, "%s/%s", strcmp(dir, "/") ? dir : "",
		       slash ? slash + 1 : copy) < 0)
		path = NULL;
	free(dir);
	free(copy);
	return path;
}

/* A mount whose server is gone.  Ours is taken away; somebody else's is left alone. */
static int
remove_dead(const char *path)
{
	struct mnttab_entry e;
	int r = mnttab_at(path, &e);

	if (r < 0) {
		log_msg(LOG_ERR, "%s: the mount there is dead and not in the mount table",
		    path);
		return -1;
	}
	if (strcmp(e.me_fstype, "fuse.rumpfuse") != 0) {
		log_msg(LOG_ERR, "%s: a dead mount of type %s is in the way", path,
		    e.me_fstype);
		mnttab_entry_done(&e);
		return -1;
	}
	mnttab_entry_done(&e);
	r = mnttab_unmount(path, true);
	if (r < 0) {
		log_msg(LOG_ERR, "%s: cannot take the dead mount away: %s", path,
		    strerror(-r));
		return -1;
	}
	log_msg(LOG_NOTICE, "%s: took away a dead mount", path);
	return 0;
}

/* Is a directory there that answers?  0 or -errno.  stat(2) alone may be answered from the
 * kernel's cache when the server of a mount is long gone; statfs(2) never is. */
static int
ask(const char *path)
{
	struct statvfs sv;
	struct stat st;

	if (stat(path, &st) < 0 || statvfs(path, &sv) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int
mnttab_prepare(const char *mountpoint, const char *source, char **ret_path)
{
	char *path = absolute(mountpoint);
	struct mnttab_entry e;
	int tries = 0, r;

	if (!path) {
		log_msg(LOG_ERR, "mount point %s: %s", mountpoint, strerror(errno));
		return -1;
	}
	/* Several dead mounts may lie on one another. */
	while ((r = ask(path)) == -ENOTCONN && tries++ < 16)
		if (remove_dead(path) < 0)
			goto fail;
	if (r < 0) {
		log_msg(LOG_ERR, "mount point %s: %s", path, strerror(-r));
		goto fail;
	}
	if (mnttab_at(path, &e) == 0) {
		bool same = strcmp(e.me_fstype, "fuse.rumpfuse") == 0 &&
		            strcmp(e.me_source, source) == 0;

		mnttab_entry_done(&e);
		if (same) {
			log_msg(LOG_ERR, "%s is already mounted on %s", source, path);
			goto fail;
		}
	}
	*ret_path = path;
	return 0;
fail:
	free(path);
	return -1;
}

static int
run_fusermount(const char *path, bool lazy)
{
	char *argv[] = {"fusermount3", "-u", "-q", lazy ? "-z" : "--", "--", NULL, NULL};
	char *arg = strdup(path);
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r, status;

	if (!arg)
		return -ENOMEM;
	argv[lazy ? 5 : 4] = arg;
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	free(arg);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -ECHILD;
	/* It does not say why; busy is the reason that it has. */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

/* Constant while there are threads. */
static int helper_fd = -1;
static pid_t helper_pid;

/* A byte in, lazy or not; a byte out, done or not.  The fd is the only one but stdio: the
 * terminal or pipe that the daemon leaves, and what the daemon was given, are not held. */
static void __attribute__((noreturn)) helper_run(int fd, const char *path)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char lazy, busy;

	prctl(PR_SET_NAME, "rumpfuse-umount", 0, 0, 0);
	for (int i = 0; i <= 2; i++)
		dup2(null, i);
	if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
		_exit(1);
	closefrom(4);
	if (chdir("/") < 0)
		_exit(1);
	while (TEMP_FAILURE_RETRY(read(3, &lazy, 1)) == 1) {
		busy = run_fusermount(path, lazy) != 0;
		if (write(3, &busy, 1) != 1)
			break;
	}
	_exit(0);
}

int
mnttab_helper_start(const char *path)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	fflush(NULL);
	helper_pid = fork();
	if (helper_pid == 0)
		helper_run(fds[1], path);
	close(fds[1]);
	if (helper_pid < 0) {
		int err = errno;

		close(fds[0]);
		return -err;
	}
	helper_fd = fds[0];
	return 0;
}

void
mnttab_helper_stop(void)
{
	if (helper_fd < 0)
		return;
	close(helper_fd);
	helper_fd = -1;
	while (waitpid(helper_pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int
ask_helper(bool lazy)
{
	char c = lazy;

	if (write(helper_fd, &c, 1) != 1 ||
	    TEMP_FAILURE_RETRY(read(helper_fd, &c, 1)) != 1)
		return -EIO; /* it was killed */
	return c ? -EBUSY : 0;
}

int
mnttab_unmount(const char *path, bool force)
{
	if (umount2(path, (force ? MNT_FORCE | MNT_DETACH : 0) | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return helper_fd >= 0 ? ask_helper(force) : run_fusermount(path, force);
}

void
mnttab_abort(uint64_t dev)
{
	char path[64];
	int fd;

	/* A connection is named after the minor number of its file system. */
	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor(dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		log_msg(LOG_DEBUG, "%s: %s", path, strerror(errno));
	close(fd);
}
