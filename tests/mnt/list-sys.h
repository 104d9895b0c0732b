/*
 * What p-sys-*.c need beside list.h: users, clocks, access control lists, and another
 * process that does as it is told.
 */
#ifndef RF_LIST_SYS_H
#define RF_LIST_SYS_H

#include "list.h"

#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#define UNUSED __attribute__((unused))

/* Two users who have no group in common. */
enum user {
	ROOT,
	A,
	B
};
#define UID_A    65533
#define GID_A    65533
#define GID_ALSO 65530 /* A is in this one too */
#define UID_B    65532
#define GID_B    65532

/* From here on the process acts as this user, and can go back: the real and the saved
 * ids stay root's.  Without the effective id it has no capabilities. */
UNUSED static void
as(enum user u)
{
	static const gid_t also[] = {GID_ALSO};
	static const uid_t uids[] = {0, UID_A, UID_B};
	static const gid_t gids[] = {0, GID_A, GID_B};

	if (setresuid((uid_t)-1, 0, (uid_t)-1) != 0 ||
	    setgroups(u == A ? 1 : 0, also) != 0 ||
	    setresgid((gid_t)-1, gids[u], (gid_t)-1) != 0 ||
	    setresuid((uid_t)-1, uids[u], (uid_t)-1) != 0) {
		perror("changing the user");
		exit(1);
	}
}

#define OK_AS(who, call)                                          \
	({                                                        \
		as(who);                                          \
		long long r_ = (call);                            \
		int e_ = errno;                                   \
		as(ROOT);                                         \
		l_good(r_, e_, __LINE__, #call " as user " #who); \
	})
#define ERR_AS(who, want, call)                                            \
	({                                                                 \
		as(who);                                                   \
		long long r_ = (call);                                     \
		int e_ = errno;                                            \
		as(ROOT);                                                  \
		l_error(r_, e_, (want), __LINE__, #call " as user " #who); \
	})

/* A row of a table: what it is about is made up at run time. */
#define CASE(cond, ...)                                           \
	({                                                        \
		char text_[300];                                  \
		snprintf(text_, sizeof(text_), __VA_ARGS__);      \
		l_row((cond), __LINE__, text_, " does not hold"); \
	})
#define CASE_IS(got, want, ...)                                               \
	({                                                                    \
		char text_[300];                                              \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		snprintf(text_, sizeof(text_), __VA_ARGS__);                  \
		l_number(got_, want_, __LINE__, text_);                       \
	})
#define CASE_OK(call, ...)                                   \
	({                                                   \
		char text_[300];                             \
		long long r_ = (call);                       \
		int e_ = errno;                              \
		snprintf(text_, sizeof(text_), __VA_ARGS__); \
		l_good(r_, e_, __LINE__, text_);             \
	})
#define CASE_ERR(want, call, ...)                            \
	({                                                   \
		char text_[300];                             \
		long long r_ = (call);                       \
		int e_ = errno;                              \
		snprintf(text_, sizeof(text_), __VA_ARGS__); \
		l_error(r_, e_, (want), __LINE__, text_);    \
	})

UNUSED static void
ms_sleep(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* Lets at least one tick of the coarsest clock go by. */
UNUSED static void
tick(void)
{
	ms_sleep(12);
}

UNUSED static int
t_cmp(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec > b.tv_sec ? 1 : -1;
	return (a.tv_nsec > b.tv_nsec) - (a.tv_nsec < b.tv_nsec);
}

UNUSED static struct stat
f_stat(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		memset(&st, 0, sizeof(st));
		printf("FAIL %s: fstat: %m\n", l_name);
		l_failed++;
	}
	return st;
}

UNUSED static bool
fill(int fd, off_t at, size_t n, int c)
{
	static char buf[65536];

	memset(buf, c, sizeof(buf));
	while (n > 0) {
		ssize_t w = pwrite(fd, buf, n < sizeof(buf) ? n : sizeof(buf), at);
		if (w <= 0)
			return false;
		at += w;
		n -= (size_t)w;
	}
	return true;
}

/* Are all of these bytes there, and all c? */
UNUSED static bool
all(int fd, off_t at, size_t n, int c)
{
	static char buf[65536];

	while (n > 0) {
		ssize_t r = pread(fd, buf, n < sizeof(buf) ? n : sizeof(buf), at);
		if (r <= 0)
			return false;
		for (ssize_t i = 0; i < r; i++) {
			if (buf[i] != (char)c)
				return false;
		}
		at += r;
		n -= (size_t)r;
	}
	return true;
}

/* An address where nothing is, which the compiler does not know. */
UNUSED static void *
nowhere(void)
{
	volatile uintptr_t at = 8;

	return (void *)at;
}

/* A new empty file, open for both. */
UNUSED static int
make(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);

	if (fd < 0) {
		printf("FAIL %s: making %s: %m\n", l_name, path);
		exit(1);
	}
	return fd;
}

/*
 * Access control lists, in the kernel's own form of the attributes.  As text: entries
 * with blanks between them, u::6 u:1000:4 g::4 g:100:7 m::6 o::0.
 */
#define ACL_A "system.posix_acl_access"
#define ACL_D "system.posix_acl_default"

struct acl_raw {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[40];
};

/* The size of the attribute. */
UNUSED static size_t
acl_make(struct acl_raw *a, const char *text)
{
	size_t n = 0;
	char *end;

	a->version = 2;
	for (const char *p = text; *p && n < 40; n++) {
		char kind = *p;
		bool named = p[2] != ':';
		a->e[n].id = named ? (uint32_t)strtoul(p + 2, &end, 10) : UINT32_MAX;
		p = (named ? end : p + 2) + 1;
		a->e[n].perm = (uint16_t)(*p++ - '0');
		a->e[n].tag = (uint16_t)(kind == 'u'   ? 1 + named
					 : kind == 'g' ? (1 + named) * 4
					 : kind == 'm' ? 0x10
						       : 0x20);
		while (*p == ' ')
			p++;
	}
	return 4 + n * 8;
}

UNUSED static int
acl_set(const char *path, const char *name, const char *text)
{
	struct acl_raw a;
	size_t n = acl_make(&a, text);

	return setxattr(path, name, &a, n, 0);
}

/* The list as text, in a static buffer; "none" if there is none, else the error. */
UNUSED static const char *
acl_text(ssize_t n, const struct acl_raw *a)
{
	static char out[2][1024];
	static unsigned turn;
	char *o = out[turn ^= 1];
	size_t len = 0;

	if (n < 0)
		return errno == ENODATA ? "none" : strerrorname_np(errno);
	o[0] = 0;
	for (size_t i = 0; n > 4 && i < ((size_t)n - 4) / 8; i++) {
		int t = a->e[i].tag;
		char kind = t & 3 ? 'u' : t & 12 ? 'g' : t & 0x10 ? 'm' : 'o';
		if (t & (2 | 8))
			len += (size_t)snprintf(o + len, 1024 - len, "%s%c:%u:%d",
			    i ? " " : "", kind, a->e[i].id, a->e[i].perm);
		else
			len += (size_t)snprintf(o + len, 1024 - len, "%s%c::%d",
			    i ? " " : "", kind, a->e[i].perm);
	}
	return o;
}

UNUSED static const char *
acl_get(const char *path, const char *name)
{
	struct acl_raw a;
	ssize_t n = getxattr(path, name, &a, sizeof(a));

	return acl_text(n, &a);
}

UNUSED static bool
l_text(const char *got, const char *want, int line, const char *what)
{
	char buf[400];

	snprintf(buf, sizeof(buf), " is \"%s\", expected \"%s\"", got, want);
	return l_row(strcmp(got, want) == 0, line, what, buf);
}
#define TEXT(got, want) l_text((got), (want), __LINE__, #got)
#define CASE_TEXT(got, want, ...)                            \
	({                                                   \
		char text_[300];                             \
		snprintf(text_, sizeof(text_), __VA_ARGS__); \
		l_text((got), (want), __LINE__, text_);      \
	})
#define MODE(path) (l_stat(path).st_mode & 07777)

#endif
