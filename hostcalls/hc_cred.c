/*
 * Acting as a caller.
 *
 * The kernel keeps credentials per thread; the C library's setgroups() and its relatives
 * change them in all threads, so the system calls are made directly.  setfsuid and
 * setfsgid are per thread in the C library too and tell nothing: a second call with an
 * impossible id says what is in force.
 *
 * When the file system uid leaves 0, the kernel takes the capabilities that override file
 * permissions from the thread's effective set, and gives them back when it returns to 0
 * (probe_privileged() has made sure of that).  Capabilities of other kinds remain, among
 * them CAP_SETGID, which the way back needs; which others there are is for the daemon to
 * say (daemon/confine.c).
 *
 * If the way back fails, the thread would go on serving others with the wrong rights; the
 * process ends instead.
 */
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "hostcalls/hc_private.h"

#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#else
#define SETGROUPS SYS_setgroups
#endif

static _Thread_local bool became;

static int
thread_setgroups(int n, const gid_t *groups)
{
	return syscall(SETGROUPS, n, groups) < 0 ? -errno : 0;
}

static bool
thread_fsuid(uid_t uid)
{
	setfsuid(uid);
	return (uid_t)setfsuid((uid_t)-1) == uid;
}

static bool
thread_fsgid(gid_t gid)
{
	setfsgid(gid);
	return (gid_t)setfsgid((gid_t)-1) == gid;
}

/*
 * The supplementary groups of a process (or thread), from its status file.  One that has
 * ended, or that we cannot see, has none: what it asked for is done with fewer rights.
 * *ret_groups is allocated.
 */
static int
read_groups(pid_t pid, int *ret_n, gid_t **ret_groups)
{
	char rel[32];
	AUTO_MEM char *text = NULL;
	AUTO_MEM gid_t *groups = NULL;
	int n = 0;

	snprintf(rel, sizeof(rel), "%d/status", pid);
	int err = pid > 0 ? hc_proc_read(rel, &text) : -ENOENT;
	if (err && err != -ENOENT && err != -ESRCH && err != -EACCES && err != -EPERM)
		return err;
	const char *at = err ? NULL : strstr(text, "\nGroups:");
	if (at) {
		at += strlen("\nGroups:");
		/* Each group takes a digit and a blank at least. */
		groups = calloc(strcspn(at, "\n") / 2 + 1, sizeof(*groups));
		if (!groups)
			return -ENOMEM;
		for (;;) {
			at += strspn(at, " \t");
			if (*at < '0' || *at > '9')
				break;
			char *end;
			groups[n++] = (gid_t)strtoul(at, &end, 10);
			at = end;
		}
	}
	*ret_n = n;
	*ret_groups = groups;
	groups = NULL;
	return 0;
}

static void
go_back(void)
{
	bool ok = thread_fsuid(hc_g.g_uid) && thread_fsgid(hc_g.g_gid) &&
	          thread_setgroups(hc_g.g_ngroups, hc_g.g_groups) == 0;
	if (!ok)
		abort();
}

int
hc_become(uid_t uid, gid_t gid, pid_t pid)
{
	HC_ENTER("become");
	AUTO_MEM gid_t *groups = NULL;
	int n;

	if (!hc_g.g_has.hf_privileged || (uid == hc_g.g_uid && gid == hc_g.g_gid))
		return 0;
	if (became)
		return -EBUSY;
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return -EINVAL;
	int err = read_groups(pid, &n, &groups);
	if (err)
		return err;
	/* The uid last: it takes rights away. */
	err = thread_setgroups(n, groups);
	if (err)
		return err;
	if (!thread_fsgid(gid) || !thread_fsuid(uid)) {
		go_back();
		return -EPERM;
	}
	became = true;
	return 0;
}

void
hc_unbecome(void)
{
	HC_ENTER_NOFAIL("unbecome");
	if (!became)
		return;
	go_back();
	became = false;
}
