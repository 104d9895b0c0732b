/*
 * The mount point (mnttab.h).
 */
#include "daemon/mnttab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

/* A line of mountinfo; what it points to is in the text of the line. */
struct line {
	char *ln_point, *ln_type, *ln_source, *ln_options, *ln_super;
	uint64_t ln_dev;
};

/* id parent major:minor root mountpoint options [optional …] - fstype source superoptions
 * False: not of that form. */
static bool
parse_line(char *text, struct line *ret)
{
	char *save = NULL, *dev = NULL, *f;
	unsigned major, minor;
	int i = 0;

	memset(ret, 0, sizeof(*ret));
	for (f = strtok_r(text, " \n", &save); f && strcmp(f, "-") != 0;
	     f = strtok_r(NULL, " \n", &save), i++) {
		if (i == 2)
			dev = f;
		else if (i == 4)
			ret->ln_point = f;
		else if (i == 5)
			ret->ln_options = f;
	}
	if (!f || !ret->ln_options || sscanf(dev, "%u:%u", &major, &minor) != 2)
		return false;
	ret->ln_type = strtok_r(NULL, " \n", &save);
	ret->ln_source = strtok_r(NULL, " \n", &save);
	ret->ln_super = strtok_r(NULL, " \n", &save);
	if (!ret->ln_super)
		return false;
	unescape(ret->ln_point);
	unescape(ret->ln_source);
	ret->ln_dev = makedev(major, minor);
	return true;
}

/* Flags of mount(2), and whose mount it is.  The options are cut into words. */
static void
parse_options(char *options, struct mnttab_entry *e)
{
	static const struct {
		const char *word;
		unsigned long flag;
	} words[] = {
	    {"ro", MS_RDONLY},
	    {"nosuid", MS_NOSUID},
	    {"nodev", MS_NODEV},
	    {"noexec", MS_NOEXEC},
	    {"noatime", MS_NOATIME},
	    {"nodiratime", MS_NODIRATIME},
	    {"relatime", MS_RELATIME},
	    {"sync", MS_SYNCHRONOUS},
	    {"dirsync", MS_DIRSYNC},
	    {"lazytime", MS_LAZYTIME},
	};
	char *save = NULL;

	for (char *w = strtok_r(options, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strcmp(w, words[i].word) == 0)
				e->me_flags |= words[i].flag;
		(void)sscanf(w, "user_id=%u", &e->me_user);
		e->me_allow_other |= strcmp(w, "allow_other") == 0;
	}
}

/* Takes the place of what *e has.  0 or -ENOMEM. */
static int
entry_set(struct mnttab_entry *e, const struct line *ln)
{
	mnttab_entry_done(e);
	e->me_dev = ln->ln_dev;
	e->me_fstype = strdup(ln->ln_type);
	e->me_source = strdup(ln->ln_source);
	parse_options(ln->ln_options, e);
	parse_options(ln->ln_super, e);
	return e->me_fstype && e->me_source ? 0 : -ENOMEM;
}

/* The last line that is wanted: of several at a path it is the mount on top.  ret_path, if
 * not NULL: where that is, allocated. */
static int
find_line(bool (*wanted)(const struct line *ln, const void *arg), const void *arg,
    struct mnttab_entry *ret, char **ret_path)
{
	struct mnttab_entry found = {0};
	char *text = NULL, *path = NULL;
	size_t cap = 0;
	struct line ln;
	int r = -ENOENT;
	FILE *fp = fopen("/proc/self/mountinfo", "re");

	if (!fp)
		return -errno;
	while (r != -ENOMEM && getline(&text, &cap, fp) > 0) {
		if (!parse_line(text, &ln) || !wanted(&ln, arg))
			continue;
		r = entry_set(&found, &ln);
		free(path);
		path = strdup(ln.ln_point);
		if (!path)
			r = -ENOMEM;
	}
	free(text);
	fclose(fp);
	if (r < 0) {
		mnttab_entry_done(&found);
		free(path);
		return r;
	}
	*ret = found;
	if (ret_path)
		*ret_path = path;
	else
		free(path);
	return 0;
}

static bool
is_at(const struct line *ln, const void *arg)
{
	return strcmp(ln->ln_point, arg) == 0;
}

int
mnttab_at(const char *path, struct mnttab_entry *ret)
{
	return find_line(is_at, path, ret, NULL);
}

struct of_connection {
	const char *fstype;
	unsigned minor;
};

static bool
is_of_connection(const struct line *ln, const void *arg)
{
	const struct of_connection *oc = arg;

	return minor(ln->ln_dev) == oc->minor && strncmp(ln->ln_type, "fuse", 4) == 0 &&
	       strcmp(ln->ln_type, oc->fstype) == 0;
}

int
mnttab_of_device(int fd, const char *fstype, char **ret_path, struct mnttab_entry *ret)
{
	struct of_connection oc = {.fstype = fstype};
	char name[64], text[256];
	bool said = false;
	FILE *fp;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	fp = fopen(name, "re");
	if (!fp)
		return -errno;
	while (fgets(text, sizeof(text), fp))
		said |= sscanf(text, "fuse_connection: %u", &oc.minor) == 1;
	fclose(fp);
	return said ? find_line(is_of_connection, &oc, ret, ret_path) : -ENOENT;
}

int
mnttab_given_fd(const char *mountpoint)
{
	int fd, n = 0;

	if (sscanf(mountpoint, "/dev/fd/%d%n", &fd, &n) != 1 || mountpoint[n] || fd < 0)
		return -1;
	return fd;
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

bool
mnttab_is_dead(int err)
{
	/* The last is what a request by io_uring comes to when its thread is just gone. */
	return err == ENOTCONN || err == ECONNABORTED || err == ECANCELED;
}

bool
mnttab_dead_at(const char *path)
{
	struct statvfs sv;

	return statvfs(path, &sv) < 0 && mnttab_is_dead(errno);
}

/* The absolute path of a mount point.  The last component may be a dead mount, which can
 * be named but not asked. */
char *
mnttab_absolute(const char *mountpoint)
{
	char *whole = realpath(mountpoint, NULL), *copy, *slash, *dir, *path = NULL;

	if (whole || !mnttab_is_dead(errno))
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

static bool
find_in(const char *list, char *path, size_t cap)
{
	char *dirs = strdup(list), *save = NULL;
	bool found = false;

	for (char *d = dirs ? strtok_r(dirs, ":", &save) : NULL; d && !found;
	     d = strtok_r(NULL, ":", &save)) {
		int n = snprintf(path, cap, "%s/fusermount3", d);

		found = n > 0 && (size_t)n < cap && access(path, X_OK) == 0;
	}
	free(dirs);
	return found;
}

bool
mnttab_find_fusermount(char *path, size_t cap)
{
	const char *dirs = getenv("PATH");

	/* mount(8) leaves us without it, and libfuse looks at its usual place first. */
	return find_in("/usr/bin:/bin:/usr/local/bin", path, cap) ||
	       (dirs && find_in(dirs, path, cap));
}

static int
run_fusermount(const char *path, bool lazy)
{
	char *argv[] = {"fusermount3", "-u", "-q", lazy ? "-z" : "--", "--", NULL, NULL};
	char *arg;
	char program[512];
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int r, status;

	if (!mnttab_find_fusermount(program, sizeof(program)))
		return -ENOENT;
	arg = strdup(path);
	if (!arg)
		return -ENOMEM;
	argv[lazy ? 5 : 4] = arg;
	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(&pid, program, NULL, &attr, argv, environ);
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
	sigset_t all;

	prctl(PR_SET_NAME, "rumpfuse-umount", 0, 0, 0);
	/* A signal to all of the group or the service is the daemon's, whose end is ours. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	/* It is not the service. */
	unsetenv("NOTIFY_SOCKET");
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

void
mnttab_ask_alone(void)
{
	if (unshare(CLONE_FILES) == 0)
		close_range(3, ~0u, 0);
}
