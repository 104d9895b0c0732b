/*
 * Start-up: what the kernel offers, who we are, and which mount is our own.
 *
 * hc_g is filled once by hc_init() and constant from then on, but for g_own_dev.  The fd
 * of /proc is kept for the life of the process.
 *
 * Our own mount.  A host directory that is mapped into the mount may contain the mount. A
 * request that is served by asking the host about a file in it would wait for itself.  So
 * hc_open_beneath() does not step over a mount point without hc_refuse_own(), which tells
 * the device behind an O_PATH fd from the kernel's tables alone: /proc/self/fdinfo has
 * the mount's id and /proc/self/mountinfo its device.  statx and statfs would ask the
 * file system.  Mount ids are used again, so devices are remembered only for as long as
 * the mount table does not change, which poll(2) tells.  The id that is looked up is
 * pinned by the fd, and whatever gets it later is a change.  mc_mtx is a plain mutex,
 * under which nothing but the files of /proc is touched.
 */
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "hostcalls/hc_private.h"

/* Not in the headers of Debian 12; the number is the same everywhere but on Alpha. */
#if !defined(SYS_fchmodat2) && !defined(__alpha__)
#define SYS_fchmodat2 452
#endif

struct hc_global hc_g = {.g_proc_fd = -1};

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static int init_err; /* c after init_once */

/* A sandbox may answer EPERM for a call it does not know: that is "not offered" too. */
static bool
probe_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	int fd = (int)syscall(SYS_openat2, hc_g.g_proc_fd, "self", &how, sizeof(how));
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool
probe_fchmodat2(void)
{
#ifdef SYS_fchmodat2
	/* Refused for its fd, or as a call. */
	return syscall(SYS_fchmodat2, -1, "", 0, AT_EMPTY_PATH) < 0 && errno == EBADF;
#else
	return false;
#endif
}

/* /proc has no file handles, so no handle can be good there; who may not open by handle
 * is told EPERM before that is seen. */
static bool
probe_handles(void)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + 8];
	} h = {.fh = {.handle_bytes = 8, .handle_type = 1}};
	int fd = open_by_handle_at(hc_g.g_proc_fd, &h.fh, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno != EPERM && errno != ENOSYS;
	close(fd);
	return true;
}

/*
 * Only root can act as another user: for root the kernel takes the capabilities that
 * override file permissions away while the file system uid is another's.  A daemon with
 * another uid would keep them and could be used to reach what the caller may not.
 */
static bool
probe_privileged(void)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	const uint32_t need = 1u << CAP_SETUID | 1u << CAP_SETGID;

	if (hc_g.g_uid != 0)
		return false;
	if (syscall(SYS_capget, &hdr, data) < 0 || (data[0].effective & need) != need)
		return false;
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	return bits >= 0 && !(bits & SECBIT_NO_SETUID_FIXUP);
}

static int
read_own_groups(void)
{
	int n = getgroups(0, NULL);
	if (n < 0)
		return -errno;
	gid_t *groups = calloc((size_t)n + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	n = getgroups(n, groups);
	if (n < 0) {
		int err = errno;
		free(groups);
		return -err;
	}
	hc_g.g_groups = groups;
	hc_g.g_ngroups = n;
	return 0;
}

static void
init(void)
{
	struct statfs sf;

	hc_g.g_proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hc_g.g_proc_fd < 0) {
		init_err = -errno;
		return;
	}
	if (fstatfs(hc_g.g_proc_fd, &sf) < 0) {
		init_err = -errno;
		return;
	}
	if (sf.f_type != PROC_SUPER_MAGIC) {
		init_err = -ENOSYS;
		return;
	}
	hc_g.g_uid = geteuid();
	hc_g.g_gid = getegid();
	init_err = read_own_groups();
	hc_g.g_has.hf_openat2 = probe_openat2();
	hc_g.g_has.hf_fchmodat2 = probe_fchmodat2();
	hc_g.g_has.hf_handles = probe_handles();
	hc_g.g_has.hf_privileged = probe_privileged();
}

int
hc_init(void)
{
	int err = pthread_once(&init_once, init);
	return err ? -err : init_err;
}

const struct hc_features *
hc_features(void)
{
	return &hc_g.g_has;
}

uint64_t
hc_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 1024;
	/* The hard limit is the administrator's word; it is not raised even by root. */
	struct rlimit up = {.rlim_cur = rl.rlim_max, .rlim_max = rl.rlim_max};
	if (rl.rlim_cur < rl.rlim_max && setrlimit(RLIMIT_NOFILE, &up) == 0)
		rl = up;
	return rl.rlim_cur;
}

void
hc_fd_name(struct hc_fd_name *ret, int fd)
{
	snprintf(ret->fn_abs, sizeof(ret->fn_abs), "/proc/self/fd/%d", fd);
}

int
hc_proc_read(const char *rel, char **ret_text)
{
	AUTO_FD fd = (int)TEMP_FAILURE_RETRY(
	    openat(hc_g.g_proc_fd, rel, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	if (fd < 0)
		return -errno;

	AUTO_MEM char *text = NULL;
	size_t len = 0, cap = 0;
	for (;;) {
		if (cap - len < 2048) {
			cap = cap ? cap * 2 : 8192;
			char *more = realloc(text, cap);
			if (!more)
				return -ENOMEM;
			text = more;
		}
		ssize_t got = TEMP_FAILURE_RETRY(read(fd, text + len, cap - len - 1));
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	*ret_text = text;
	text = NULL;
	return 0;
}

/* One line of mountinfo: "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT …". */
struct mount_line {
	int ml_id;
	uint64_t ml_dev;
	const char *ml_point; /* with octal escapes, up to a blank */
};

/* Takes the next line that can be understood; false at the end. */
static bool
mount_line_next(const char **text, struct mount_line *ret)
{
	while (**text) {
		const char *line = *text;
		const char *end = strchrnul(line, '\n');
		unsigned maj, min;
		int point = 0;

		*text = *end ? end + 1 : end;
		if (sscanf(line, "%d %*d %u:%u %*s %n", &ret->ml_id, &maj, &min,
			&point) == 3 &&
		    point > 0) {
			ret->ml_dev = makedev(maj, min);
			ret->ml_point = line + point;
			return true;
		}
	}
	return false;
}

static bool
is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

/* Whether an escaped path of the mount table is this one of len bytes. */
static bool
mount_point_is(const char *escaped, const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)*escaped++;
		if (c == '\\' && is_octal(escaped)) {
			c = (unsigned char)((escaped[0] - '0') << 6 |
					    (escaped[1] - '0') << 3 | (escaped[2] - '0'));
			escaped += 3;
		}
		if (c != (unsigned char)path[i])
			return false;
	}
	return *escaped == ' ';
}

int
hc_own_mount_of(const char *mountpoint, uint64_t *ret_dev)
{
	HC_ENTER("own_mount_of");
	AUTO_MEM char *text = NULL;
	int err = hc_proc_read("self/mountinfo", &text);
	if (err)
		return err;

	size_t len = strlen(mountpoint);
	while (len > 1 && mountpoint[len - 1] == '/')
		len--;
	const char *p = text;
	struct mount_line ml;
	bool found = false;
	uint64_t dev = 0;
	/* Where mounts are stacked, the last one is on top. */
	while (mount_line_next(&p, &ml)) {
		if (mount_point_is(ml.ml_point, mountpoint, len)) {
			found = true;
			dev = ml.ml_dev;
		}
	}
	if (!found)
		return -ENOENT;
	*ret_dev = dev;
	return 0;
}

void
hc_own_mount(uint64_t dev)
{
	atomic_store(&hc_g.g_own_dev, dev);
}

/* The id of the mount that fd was opened in. */
static int
mount_id_of(int fd, int *ret_id)
{
	char rel[40];
	AUTO_MEM char *text = NULL;

	snprintf(rel, sizeof(rel), "self/fdinfo/%d", fd);
	int err = hc_proc_read(rel, &text);
	if (err)
		return err;
	const char *at = strstr(text, "mnt_id:");
	if (!at || sscanf(at, "mnt_id: %d", ret_id) != 1)
		return -EIO;
	return 0;
}

/* The device of a mount from the kernel's table; -EACCES if it is not there: unmounted
 * meanwhile, or not ours to see.  It could be our own, so that is "keep away". */
static int
mount_dev_read(int id, uint64_t *ret_dev)
{
	AUTO_MEM char *text = NULL;
	int err = hc_proc_read("self/mountinfo", &text);
	if (err)
		return err;
	const char *p = text;
	struct mount_line ml;
	while (mount_line_next(&p, &ml)) {
		if (ml.ml_id == id) {
			*ret_dev = ml.ml_dev;
			return 0;
		}
	}
	return -EACCES;
}

/* What is known of the mounts of this process; mc_mtx. */
static struct mount_cache {
	pthread_mutex_t mc_mtx;
	pid_t mc_pid; /* a child that was forked has an fd of its own */
	int mc_fd;    /* tells of changes of the mount table; -1: remember nothing */
	struct {
		int id; /* 0: none */
		uint64_t dev;
	} mc_known[64]; /* by id modulo their number */
} mounts = {.mc_mtx = PTHREAD_MUTEX_INITIALIZER, .mc_fd = -1};

/* Forgets what is known if the mount table has changed since the last time; asking sets
 * the kernel's mark anew.  False: nothing can be remembered. */
static bool
mounts_fresh(struct mount_cache *mc)
{
	bool flush = false;

	if (mc->mc_fd < 0 || mc->mc_pid != getpid()) {
		if (mc->mc_fd >= 0)
			close(mc->mc_fd);
		mc->mc_pid = getpid();
		mc->mc_fd = openat(
		    hc_g.g_proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC | O_NOCTTY);
		flush = true;
	}
	struct pollfd pf = {.fd = mc->mc_fd, .events = POLLPRI};
	int n = mc->mc_fd < 0 ? -1 : poll(&pf, 1, 0);
	if (flush || n != 0)
		memset(mc->mc_known, 0, sizeof(mc->mc_known));
	return n >= 0;
}

static int
mount_dev(int id, uint64_t *ret_dev)
{
	struct mount_cache *mc = &mounts;
	unsigned i = (unsigned)id % (sizeof(mc->mc_known) / sizeof(mc->mc_known[0]));
	int err = 0;

	pthread_mutex_lock(&mc->mc_mtx);
	if (mounts_fresh(mc) && id > 0) {
		if (mc->mc_known[i].id != id) {
			err = mount_dev_read(id, &mc->mc_known[i].dev);
			mc->mc_known[i].id = err ? 0 : id;
		}
		*ret_dev = mc->mc_known[i].dev;
	} else {
		err = mount_dev_read(id, ret_dev);
	}
	pthread_mutex_unlock(&mc->mc_mtx);
	return err;
}

int
hc_refuse_own(int fd)
{
	uint64_t own = atomic_load(&hc_g.g_own_dev), dev;
	int id;

	if (own == 0)
		return 0;
	int err = mount_id_of(fd, &id);
	if (err == 0)
		err = mount_dev(id, &dev);
	if (err)
		return err;
	return dev == own ? -EDEADLK : 0;
}
