/* What a confined process can do and what it cannot. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/confine.h"
#include "tests/t.h"

/* The value of a line of /proc/self/status, a number of that base. */
static unsigned long long
status_of(const char *name, int base)
{
	char line[256];
	size_t len = strlen(name);
	unsigned long long v = ~0ull;
	FILE *fp = fopen("/proc/self/status", "re");

	while (fp && fgets(line, sizeof(line), fp))
		if (strncmp(line, name, len) == 0 && line[len] == ':')
			v = strtoull(line + len + 1, NULL, base);
	if (fp)
		fclose(fp);
	return v;
}

/* In a child, which may be somebody else. */
static void
confined(uid_t uid, bool filter, void (*fn)(void))
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		CHECK(uid == 0 || setresuid(uid, uid, uid) == 0);
		confine(filter);
		fn();
		fflush(NULL);
		_exit(t_bad > 255 ? 255 : (int)t_bad);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

#define REFUSED(call)                           \
	do {                                    \
		errno = 0;                      \
		CHECK_EQ(call, -1);             \
		CHECK_EQ(errno, CONFINE_ERRNO); \
	} while (0)

#define IS_MADE(call) CHECK((call) >= 0)

static void *
thread(void *arg)
{
	/* What a thread of ours may do to itself. */
	CHECK_EQ(unshare(CLONE_FS), 0);
	return arg;
}

static void
processes(void)
{
	char *argv[] = {"true", NULL}, *envp[] = {NULL};

	REFUSED(execve("/bin/true", argv, envp));
	REFUSED(execveat(AT_FDCWD, "/bin/true", argv, envp, 0));
	REFUSED(fork());
	REFUSED(vfork());
	REFUSED(syscall(SYS_clone3, NULL, 0));
	REFUSED(kill(getppid(), 0));
	REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
	REFUSED(syscall(SYS_pidfd_open, getppid(), 0));
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	REFUSED(setresuid(1, 1, 1));
	REFUSED(syscall(SYS_setuid, 0));
	REFUSED(syscall(SYS_setgid, 0));
	REFUSED(syscall(SYS_capset, NULL, NULL));
}

static void
kernel_facilities(void)
{
	REFUSED(mount("none", "/", "tmpfs", MS_REMOUNT, NULL));
	REFUSED(syscall(SYS_fsopen, "tmpfs", 0));
	REFUSED(syscall(SYS_open_tree, AT_FDCWD, "/", 0));
	REFUSED(syscall(SYS_pivot_root, "/", "/"));
	REFUSED(chroot("/"));
	REFUSED(unshare(CLONE_NEWNS));
	REFUSED(unshare(CLONE_FS | CLONE_NEWUSER));
	REFUSED(setns(0, 0));
	REFUSED(syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0));
	REFUSED(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(syscall(SYS_userfaultfd, 0));
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_init_module, NULL, 0, ""));
	REFUSED(syscall(SYS_reboot, 0, 0, 0, NULL));
	REFUSED(syscall(SYS_seccomp, 0, 0, NULL));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
}

static void
trade(void)
{
	char buf[4096];
	struct passwd pw, *found;
	struct rlimit rl;
	pthread_t t;
	int fd;

	CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(pthread_setname_np(pthread_self(), "name"), 0);
	IS_MADE(fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	close(fd);
	IS_MADE(fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	close(fd);
	IS_MADE(fd = memfd_create("m", MFD_CLOEXEC));
	CHECK_EQ(ftruncate(fd, 4096), 0);
	close(fd);
	CHECK_EQ(getpwuid_r(0, &pw, buf, sizeof(buf), &found), 0);
	CHECK(found && strcmp(pw.pw_name, "root") == 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &rl), 0);
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) > 0);
	free(malloc(64 << 20));
	/* Not offered by every kernel: but not by the filter's word. */
	CHECK(syscall(452, -1, "", 0, 0x1000) < 0 && (errno == EBADF || errno == ENOSYS));
}

static void
all_calls(void)
{
	CHECK_EQ(status_of("Seccomp", 10), 2);
	processes();
	kernel_facilities();
	trade();
}

static void
rights(void)
{
	unsigned long long eff = status_of("CapEff", 16);
	struct rlimit rl;

	CHECK_EQ(status_of("NoNewPrivs", 10), 1);
	CHECK_EQ(status_of("Seccomp", 10), 0);
	CHECK_EQ(status_of("CapPrm", 16), eff);
	CHECK_EQ(status_of("CapInh", 16), 0);
	CHECK_EQ(status_of("CapAmb", 16), 0);
	CHECK(getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_cur == 0 && rl.rlim_max == 0);
	/* An fd that was to be inherited is not any more. */
	CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
}

static void
rights_of_root(void)
{
	rights();
	CHECK_EQ(status_of("CapBnd", 16), 0);
	CHECK_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	CHECK(confine_can_unmount());
	/* Bits that no request could need: CAP_SYS_MODULE, CAP_NET_ADMIN, CAP_SYS_RAWIO,
	 * CAP_SYS_RESOURCE, CAP_SETPCAP. */
	CHECK_EQ(
	    status_of("CapEff", 16) & (1 << 16 | 1 << 12 | 1 << 17 | 1 << 24 | 1 << 8),
	    0);
}

static void
rights_of_nobody(void)
{
	rights();
	CHECK_EQ(status_of("CapEff", 16), 0);
	CHECK(!confine_can_unmount());
}

TEST(rights)
{
	CHECK_EQ(dup2(0, 100), 100);
	if (geteuid() == 0)
		confined(0, false, rights_of_root);
	confined(geteuid() == 0 ? 65534 : 0, false, rights_of_nobody);
	close(100);
}

TEST(calls)
{
#ifdef RF_SANITIZED
	SKIP("no filter in sanitizer builds");
#endif
	if (geteuid() == 0)
		confined(0, true, all_calls);
	confined(geteuid() == 0 ? 65534 : 0, true, all_calls);
}

/* A caller's file system uid takes the overriding capabilities away, and they come back. */
static void
as_a_caller(void)
{
	const unsigned long long dac = 1 << 1;

	CHECK(status_of("CapEff", 16) & dac);
	syscall(SYS_setfsuid, 65534);
	CHECK_EQ(status_of("CapEff", 16) & dac, 0);
	CHECK_EQ(syscall(SYS_setgroups, 0, NULL), 0);
	syscall(SYS_setfsuid, 0);
	CHECK(status_of("CapEff", 16) & dac);
}

TEST(callers)
{
	if (geteuid() != 0)
		SKIP("needs root");
	confined(0, true, as_a_caller);
}
