/*
 * What the programs p-posix-*.c share besides list.h: users, kinds of nodes, and what
 * happens to times.
 *
 * The programs are started by root, in a directory that every user can reach.  A part of a
 * group is run as somebody else like this:
 *
 *	BY (ann) {
 *		ERR(EPERM, chmod("f", 0600));
 *	}
 *
 * That is a process of its own, which has these ids and no privilege; its rows count as if
 * they had been made here.  It sees the descriptors and variables of the group, and what it
 * changes in variables is gone afterwards.
 *
 * "a" in the name of a row's file stands for every kind of node where a row is run once for
 * each: about() says of what the next rows speak, and the number of rows is what is printed,
 * kinds counted apart.
 */
#ifndef RF_POSIX_H
#define RF_POSIX_H

#include "list.h"

#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

struct user {
	const char *name;
	uid_t uid;
	gid_t gid;
	size_t ngroups;
	gid_t group;
};

#define ANN_UID 65533
#define ANN_GID 65533
#define BOB_UID 65532
#define BOB_GID 65532
/* Ann is a member of this one besides her own; nobody is of the other one. */
#define CLUB  65530
#define OTHER 65529

__attribute__((unused)) static const struct user ann = {"ann", ANN_UID, ANN_GID, 1, CLUB};
__attribute__((unused)) static const struct user bob = {"bob", BOB_UID, BOB_GID, 0, 0};

/* The rows of a child, in memory that is shared with it. */
struct report {
	unsigned passed, failed, skipped, deviated;
	unsigned seen[32];
	bool complete;
};
static struct report *p_report;
static const char *p_group;
static char p_about[200];

/* The next rows are about this one: a kind, a variant, a user.  NULL: no longer. */
__attribute__((unused)) static void
about(const char *what)
{
	if (l_name != p_about)
		p_group = l_name;
	snprintf(p_about, sizeof(p_about), "%s, %s", p_group, what ? what : "");
	l_name = what ? p_about : p_group;
}

/* In the child: takes on the user's ids for good. */
static void
become(const struct user *u)
{
	static char name[240];
	bool good = setgroups(u->ngroups, &u->group) == 0 &&
	            setresgid(u->gid, u->gid, u->gid) == 0 &&
	            setresuid(u->uid, u->uid, u->uid) == 0;

	if (!good) {
		printf("FAIL %s: becoming %s: %m\n", l_name, u->name);
		_exit(1);
	}
	snprintf(name, sizeof(name), "%s, %s", l_name, u->name);
	l_name = name;
	l_passed = l_failed = l_skipped = l_deviated = 0;
	memset(l_seen, 0, sizeof(l_seen));
}

/* In the parent: adds what the child has counted. */
static void
take_report(pid_t pid, const struct user *u)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid || !p_report->complete || status != 0) {
		printf("FAIL %s: the part of %s ends with status %#x\n", l_name, u->name,
		    (unsigned)status);
		l_failed++;
	}
	l_passed += p_report->passed;
	l_failed += p_report->failed;
	l_skipped += p_report->skipped;
	l_deviated += p_report->deviated;
	for (unsigned i = 0; i < 32; i++)
		l_seen[i] += p_report->seen[i];
}

/* True in the child, false in the parent when the child has ended. */
__attribute__((unused)) static bool
by_begin(const struct user *u)
{
	pid_t pid;

	if (!p_report)
		p_report = mmap(NULL, sizeof(*p_report), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p_report == MAP_FAILED) {
		printf("FAIL %s: mmap: %m\n", l_name);
		exit(1);
	}
	memset(p_report, 0, sizeof(*p_report));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		become(u);
		return true;
	}
	take_report(pid, u);
	return false;
}

/* In the child: the end of it. */
__attribute__((unused)) static bool
by_end(void)
{
	*p_report = (struct report){.passed = l_passed,
	    .failed = l_failed,
	    .skipped = l_skipped,
	    .deviated = l_deviated,
	    .complete = true};
	memcpy(p_report->seen, l_seen, sizeof(l_seen));
	fflush(stdout);
	_exit(0);
}

#define BY(user) for (bool by_ = by_begin(&(user)); by_; by_ = by_end())

/* Makes or prepares something, or dies: what cannot be made cannot be tested. */
#define MUST(call)                                                               \
	({                                                                       \
		long long m_ = (call);                                           \
		if (m_ < 0) {                                                    \
			printf("FAIL %s:%d: %s: %m\n", l_name, __LINE__, #call); \
			exit(1);                                                 \
		}                                                                \
		m_;                                                              \
	})

/* The seven kinds of nodes. */
enum kind {
	REG,
	DIRECTORY,
	FIFO,
	CHR,
	BLK,
	SOCK,
	LNK,
	NKINDS
};

__attribute__((unused)) static const char *const kind_name[NKINDS] = {
    "file", "directory", "fifo", "character device", "block device", "socket", "symlink"};
__attribute__((unused)) static const mode_t kind_type[NKINDS] = {
    S_IFREG, S_IFDIR, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFLNK};

__attribute__((unused)) static int
try_make(enum kind k, const char *path, mode_t mode)
{
	int fd;

	switch (k) {
	case REG:
		fd = open(path, O_CREAT | O_EXCL | O_WRONLY, mode);
		return fd < 0 ? -1 : close(fd);
	case DIRECTORY:
		return mkdir(path, mode);
	case LNK:
		return symlink("nowhere", path);
	default:
		return mknod(path, kind_type[k] | mode, k == FIFO || k == SOCK ? 0 : 259);
	}
}

/* One of this kind, with exactly this mode and owner. */
__attribute__((unused)) static void
make(enum kind k, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	MUST(try_make(k, path, mode));
	MUST(lchown(path, uid, gid));
	if (k != LNK)
		MUST(chmod(path, mode));
}

__attribute__((unused)) static int
take_away(enum kind k, const char *path)
{
	return k == DIRECTORY ? rmdir(path) : unlink(path);
}

__attribute__((unused)) static mode_t
perm(const char *path)
{
	return l_stat(path).st_mode & 07777;
}

/* Type, permission, owner and group, as one row. */
__attribute__((unused)) static bool
l_node(const char *path, mode_t mode, uid_t uid, gid_t gid, int line, const char *text)
{
	struct stat st = l_stat(path);
	char buf[120];

	snprintf(buf, sizeof(buf), " is %o %u:%u, expected %o %u:%u", st.st_mode,
	    st.st_uid, st.st_gid, mode, uid, gid);
	return l_row(
	    st.st_mode == mode && st.st_uid == uid && st.st_gid == gid, line, text, buf);
}
#define NODE(path, mode, uid, gid) \
	l_node((path), (mode), (uid), (gid), __LINE__, "mode and owner of " #path)

/*
 * Times.  MARK("f", ".") notes the times of both and lets a tick of the coarsest clock go
 * by; after that, MOVED("f", MT | CT) says that just these two of f have moved since, and
 * that they went forward.
 */
enum {
	NONE = 0,
	AT = 1,
	MT = 2,
	CT = 4
};

struct mark {
	const char *path;
	struct stat st;
};
static struct mark p_marks[8];

static int
after(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec < b.tv_sec ? -1 : 1;
	return a.tv_nsec == b.tv_nsec ? 0 : a.tv_nsec < b.tv_nsec ? -1 : 1;
}

/* However late the ticks are that it lives on. */
__attribute__((unused)) static void
tick(void)
{
	struct timespec start, now, nap = {.tv_nsec = 1000000};

	clock_gettime(CLOCK_REALTIME, &start);
	do {
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (after(now, start) <= 0);
}

__attribute__((unused)) static void
mark(const char *const *paths)
{
	memset(p_marks, 0, sizeof(p_marks));
	for (unsigned i = 0; paths[i]; i++) {
		p_marks[i].path = paths[i];
		p_marks[i].st = l_stat(paths[i]);
	}
	tick();
}
#define MARK(...) mark((const char *const[]){__VA_ARGS__, NULL})

static const char *
moves_text(char *buf, int a, int m, int c)
{
	static const char sign[] = "-=+";

	sprintf(buf, "a%cm%cc%c", sign[a + 1], sign[m + 1], sign[c + 1]);
	return buf;
}

__attribute__((unused)) static bool
l_moved(const char *path, const struct stat *now, int want, int line, const char *text)
{
	char buf[80], is[8], expected[8];
	const struct stat *was = NULL;

	for (unsigned i = 0; i < 8 && p_marks[i].path; i++)
		if (strcmp(p_marks[i].path, path) == 0)
			was = &p_marks[i].st;
	if (!was)
		return l_row(false, line, text, " was not marked");
	int a = after(now->st_atim, was->st_atim), m = after(now->st_mtim, was->st_mtim),
	    c = after(now->st_ctim, was->st_ctim);
	bool good = a == !!(want & AT) && m == !!(want & MT) && c == !!(want & CT);
	moves_text(is, a, m, c);
	moves_text(expected, !!(want & AT), !!(want & MT), !!(want & CT));
	snprintf(buf, sizeof(buf), " is %s, expected %s", is, expected);
	return l_row(good, line, text, buf);
}
#define MOVED(path, want)                                                      \
	({                                                                     \
		struct stat now_ = l_stat(path);                               \
		l_moved(path, &now_, (want), __LINE__, "the times of " #path); \
	})
/* The same of what has another name by now, or none but this descriptor. */
#define MOVED_TO(path, to, want)                                             \
	({                                                                   \
		struct stat now_ = l_stat(to);                               \
		l_moved(path, &now_, (want), __LINE__, "the times of " #to); \
	})
#define MOVED_FD(path, fd, want)                                             \
	({                                                                   \
		struct stat now_;                                            \
		MUST(fstat(fd, &now_));                                      \
		l_moved(path, &now_, (want), __LINE__, "the times of " #fd); \
	})
/* All three times of something new lie between the mark and now. */
#define FRESH(path) l_fresh((path), __LINE__, "times of the new " #path)

__attribute__((unused)) static bool
l_fresh(const char *path, int line, const char *text)
{
	struct stat st = l_stat(path), was = p_marks[0].st;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	bool good = after(st.st_atim, was.st_ctim) > 0 &&
	            after(st.st_mtim, was.st_ctim) > 0 &&
	            after(st.st_ctim, was.st_ctim) > 0 && after(now, st.st_atim) >= 0 &&
	            after(now, st.st_mtim) >= 0 && after(now, st.st_ctim) >= 0;
	return l_row(good, line, text, " are not those of its making");
}

/* A name of n bytes. */
__attribute__((unused)) static const char *
name_of(size_t n)
{
	static char buf[8192];

	memset(buf, 'n', n);
	buf[n] = '\0';
	return buf;
}

/* The entries of the working directory, without the dots. */
__attribute__((unused)) static unsigned
entries(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	while (d && (e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		closedir(d);
	return n;
}

#endif
