/*
 * Giving up rights (confine.h).
 *
 * Capabilities.  Those of caps[], as far as they are there, stay permitted and effective;
 * the ambient, inheritable and bounding sets become empty.  hc_become() needs them in the
 * permitted set: the kernel takes those which override file permissions away from the
 * effective set when the file system uid leaves 0, and gives back what is permitted when
 * it returns (hostcalls/hc_cred.c).  CAP_SYS_RESOURCE, which would stay in force for every
 * caller, is not among them: reserved blocks and quotas hold.
 *
 * Programs.  With no_new_privs nothing that is executed gains rights, and the filter lets
 * nothing be executed.  An unprivileged daemon's end needs fusermount3, which is setuid,
 * and a filter is to be had without CAP_SYS_ADMIN only with no_new_privs; so a process
 * that was forked off before runs it (mnttab.h).
 *
 * The filter is a list of what is allowed.  Anything else is CONFINE_ERRNO, "no such system
 * call", for which the C library has a fallback wherever the call is newer than the list:
 * clone3, whose flags cannot be looked at, becomes clone.  It is about what a request could
 * be made to do by an error in this program: no programs, processes, networks, mounts,
 * namespaces, tracing, kernel facilities.  Files are the daemon's trade; which of them it
 * touches is for hostcalls/ to keep.
 *
 * Memory.  It holds other users' data, so there are no core dumps, and to a privileged
 * daemon only who has CAP_SYS_PTRACE can attach.
 */
#include "daemon/confine.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"

#ifdef RF_SANITIZED
#define FILTERING false
#else
#define FILTERING true
#endif

/* In the headers of newer systems only; the number is the same on all machines but Alpha. */
#define NR_FCHMODAT2 452

static const struct {
	unsigned cap;
	const char *why;
} caps[] = {
    {CAP_CHOWN, "chown for root"},
    {CAP_DAC_OVERRIDE, "files of any owner for root; file keys for everybody"},
    {CAP_DAC_READ_SEARCH, "open_by_handle_at"},
    {CAP_FOWNER, "chmod, utimens, O_NOATIME and sticky directories for root"},
    {CAP_FSETID, "set-id bits that stay when root writes"},
    {CAP_LINUX_IMMUTABLE, "chattr +i, +a"},
    {CAP_MKNOD, "device nodes in directory keys"},
    {CAP_SETFCAP, "security.capability"},
    {CAP_SETGID, "acting as a caller: setfsgid, setgroups"},
    {CAP_SETUID, "acting as a caller: setfsuid"},
    {CAP_SYS_ADMIN,
	"umount2, trusted.* attributes, BLKFLSBUF, handing files to the kernel, the size of "
	"our store"},
#ifdef RF_SANITIZED
    {CAP_SYS_PTRACE, "LeakSanitizer attaches to its process"},
#endif
};

/* Names without a meaning on this machine are passed over. */
static const struct {
	const char *why;
	const char *calls;
} allowed[] = {
    {"requests by rings that were made before, and refuse all else (fe_ring.h)",
	"io_uring_enter sched_setaffinity"},
    {"requests and replies",
	"read readv write writev poll ppoll splice vmsplice tee pipe2 close close_range dup "
	"dup2 dup3 fcntl ioctl"},
    {"opening and asking",
	"open openat openat2 name_to_handle_at open_by_handle_at stat lstat fstat newfstatat "
	"statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64 "
	"lseek getcwd"},
    {"data",
	"pread64 preadv preadv2 pwrite64 pwritev pwritev2 copy_file_range sendfile truncate "
	"ftruncate fallocate fadvise64 readahead fsync fdatasync sync_file_range syncfs "
	"memfd_create msync"},
    {"names", "mkdirat mknodat symlinkat linkat unlinkat renameat renameat2"},
    {"attributes",
	"fchmod fchmodat fchmodat2 fchown fchownat utimensat umask "
	"getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr "
	"listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr"},
    {"changes on the host", "inotify_init1 inotify_add_watch inotify_rm_watch"},
    {"acting as a caller",
	"setfsuid setfsgid setgroups getgroups capget getuid geteuid getgid getegid"},
    {"going into the background", "setsid"},
    {"the end", "umount2 wait4 exit exit_group"},
    {"the control socket", "accept accept4"},
    {"syslog, user names in a configuration",
	"connect sendto sendmsg sendmmsg recvfrom recvmsg getsockname getpeername getsockopt "
	"setsockopt shutdown"},
    {"threads",
	"futex sched_yield sched_getaffinity set_robust_list rseq gettid getpid getppid "
	"membarrier eventfd2"},
    {"signals",
	"rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend "
	"sigaltstack restart_syscall"},
    {"memory", "brk mmap munmap mprotect mremap madvise"},
    {"time and the machine",
	"nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times "
	"getrusage sysinfo uname getrandom getcpu getrlimit"},
    {"all of these on machines of 32 bits",
	"_llseek mmap2 fcntl64 stat64 lstat64 fstat64 fstatat64 statfs64 fstatfs64 truncate64 "
	"ftruncate64 fadvise64_64 arm_fadvise64_64 sync_file_range2 setfsuid32 setfsgid32 "
	"setgroups32 getgroups32 getuid32 geteuid32 getgid32 getegid32 ugetrlimit sigreturn "
	"futex_time64 ppoll_time64 clock_gettime64 clock_nanosleep_time64 clock_getres_time64 "
	"utimensat_time64 rt_sigtimedwait_time64 recvmmsg_time64"},
};

static void
kept(const char *what, int err)
{
	log_msg(LOG_WARNING, "not confined: %s: %s", what, strerror(err));
}

bool
confine_can_unmount(void)
{
	return capng_get_caps_process() == 0 &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
}

static void
drop_capabilities(void)
{
	bool has[sizeof(caps) / sizeof(caps[0])];
	capng_select_t sets = CAPNG_SELECT_CAPS;

	if (capng_get_caps_process() != 0) {
		kept("capabilities", errno);
		return;
	}
	for (size_t i = 0; i < sizeof(has); i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, caps[i].cap);
	/* Without CAP_SETPCAP, what programs may gain is bounded by no_new_privs alone. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		sets |= CAPNG_SELECT_BOUNDS;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < sizeof(has); i++)
		if (has[i])
			capng_update(
			    CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, caps[i].cap);
	errno = 0;
	if (capng_apply(sets) != 0)
		kept("capabilities", errno ? errno : EPERM);
}

/* 0 or -errno. */
static int
allow_list(scmp_filter_ctx ctx, const char *calls)
{
	char name[32];
	int r = 0, n;

	for (; r == 0 && sscanf(calls, " %31s%n", name, &n) == 1; calls += n) {
		int nr = seccomp_syscall_resolve_name(name);

		if (nr == __NR_SCMP_ERROR && strcmp(name, "fchmodat2") == 0)
			nr = NR_FCHMODAT2;
		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return r;
}

/* Calls that are allowed with some arguments only. */
static int
allow_some(scmp_filter_ctx ctx)
{
#ifdef __s390x__
	const unsigned clone_flags = 1;
#else
	const unsigned clone_flags = 0;
#endif
	const struct {
		int nr;
		struct scmp_arg_cmp arg;
	} some[] = {
	    /* Threads, not processes. */
	    {SCMP_SYS(clone),
		SCMP_CMP(clone_flags, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)},
	    /* A umask of a thread's own. */
	    {SCMP_SYS(unshare), SCMP_A0(SCMP_CMP_EQ, CLONE_FS)},
	    /* Descriptors of its own for the threads that ask the mount (mnttab.h). */
	    {SCMP_SYS(unshare), SCMP_A0(SCMP_CMP_EQ, CLONE_FILES)},
	    /* A ring becomes its thread's; no others are made, and what they may do stays. */
	    {SCMP_SYS(io_uring_register),
		SCMP_A1(SCMP_CMP_EQ, IORING_REGISTER_ENABLE_RINGS)},
	    /* /dev/log, and the servers that know users. */
	    {SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX)},
	    /* The size of our own tmpfs, through what was opened for it before (store.h):
	     * nothing that is not ours can be changed, nor anything mounted, without
	     * fsopen and fspick. */
	    {SCMP_SYS(fsconfig), SCMP_A1(SCMP_CMP_EQ, FSCONFIG_SET_STRING)},
	    {SCMP_SYS(fsconfig), SCMP_A1(SCMP_CMP_EQ, FSCONFIG_CMD_RECONFIGURE)},
	    {SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)},
	    {SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0)},
	    {SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(some) / sizeof(some[0]); i++)
		r = seccomp_rule_add_array(
		    ctx, SCMP_ACT_ALLOW, some[i].nr, 1, &some[i].arg);
	return r;
}

static void
load_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(CONFINE_ERRNO));
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = allow_list(ctx, allowed[i].calls);
	if (r == 0)
		r = allow_some(ctx);
	if (r == 0) {
		/* no_new_privs is set already.  No untrusted code runs here that the
		 * mitigation of speculative stores would be worth its price for.  A tree
		 * for the few calls whose answer the kernel does not remember. */
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		r = seccomp_load(ctx);
	}
	if (r < 0)
		kept("the filter of system calls", -r);
	if (ctx)
		seccomp_release(ctx);
}

void
confine(bool filter)
{
	const struct rlimit none = {0, 0};

	/* Whatever the process was started with, too. */
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS &&
	    errno != EINVAL)
		kept("descriptors", errno);
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		kept("core dumps", errno);
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		kept("no_new_privs", errno);
	/* What an unprivileged daemon holds its user could read anyway; older kernels
	 * would keep it from its own /proc/self/fdinfo. */
	if (confine_can_unmount() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		kept("dumpable", errno);
	if (filter && FILTERING)
		load_filter();
}
