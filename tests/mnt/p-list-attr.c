/*
 * The list, part four: owners, modes, permission, times, extended attributes.  Run as
 * root, and other users must be able to reach the directory.  See list.h.
 */
#include "list.h"

#include <grp.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

/* The errno of the call made as another user, in a process of its own; 0 if it succeeds. */
#define AS(user, group, call)                                                            \
	({                                                                               \
		pid_t pid_ = fork();                                                     \
		int status_ = -1;                                                        \
		if (pid_ == 0) {                                                         \
			if (setgroups(0, NULL) != 0 || setresgid(group, group, group) || \
			    setresuid(user, user, user))                                 \
				_exit(255);                                              \
			long long r_ = (call);                                           \
			_exit(r_ < 0 ? errno : 0);                                       \
		}                                                                        \
		waitpid(pid_, &status_, 0);                                              \
		WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;                          \
	})

/* Lets at least one tick of the coarsest clock go by. */
static void
tick(void)
{
	struct timespec ts = {.tv_nsec = 12 * 1000 * 1000};

	nanosleep(&ts, NULL);
}

static bool
later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Does the call change the times of path?  Both answers are rows of the list. */
#define TIMES(path, mtime, ctime, call)                                     \
	({                                                                  \
		struct stat was_ = l_stat(path);                            \
		tick();                                                     \
		OK(call);                                                   \
		struct stat is_ = l_stat(path);                             \
		l_number(later(is_.st_mtim, was_.st_mtim), mtime, __LINE__, \
		    "mtime of " path " rises by " #call);                   \
		l_number(later(is_.st_ctim, was_.st_ctim), ctime, __LINE__, \
		    "ctime of " path " rises by " #call);                   \
	})

GROUP(chmod)
{
	static const mode_t modes[] = {0, 0777, 0644, 04755, 02755, 01777, 06711, 07777};

	l_file("f", "");
	OK(mkdir("d", 0755));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		OK(chmod("f", modes[i]));
		IS(l_stat("f").st_mode, S_IFREG | modes[i]);
		OK(chmod("d", modes[i]));
		IS(l_stat("d").st_mode, S_IFDIR | modes[i]);
	}
	OK(chmod("d", 0755));
	ERR(ENOENT, chmod("no", 0644));
	OK(symlink("f", "l"));
	OK(chmod("l", 0600));
	IS(l_stat("f").st_mode, S_IFREG | 0600);
	IS(l_stat("l").st_mode, S_IFLNK | 0777);
	int fd = open("f", O_RDONLY);
	OK(fchmod(fd, 0640));
	IS(l_stat("f").st_mode, S_IFREG | 0640);
	close(fd);
	OK(mkfifo("p", 0600));
	OK(chmod("p", 0622));
	IS(l_stat("p").st_mode, S_IFIFO | 0622);
}

GROUP(chown)
{
	l_file("f", "");
	OK(chown("f", 1000, 1001));
	IS(l_stat("f").st_uid, 1000);
	IS(l_stat("f").st_gid, 1001);
	OK(chown("f", (uid_t)-1, 7));
	IS(l_stat("f").st_uid, 1000);
	IS(l_stat("f").st_gid, 7);
	OK(chown("f", 8, (gid_t)-1));
	IS(l_stat("f").st_uid, 8);
	IS(l_stat("f").st_gid, 7);
	OK(chown("f", 4000000000u, 4000000001u));
	IS(l_stat("f").st_uid, 4000000000u);
	IS(l_stat("f").st_gid, 4000000001u);
	OK(symlink("f", "l"));
	OK(lchown("l", 5, 6));
	IS(l_stat("l").st_uid, 5);
	IS(l_stat("l").st_gid, 6);
	IS(l_stat("f").st_uid, 4000000000u);
	ERR(ENOENT, chown("no", 0, 0));
	/* A change of owner takes the set-id bits away, but not from a directory. */
	OK(chmod("f", 06755));
	OK(chown("f", 0, 0));
	IS(l_stat("f").st_mode, S_IFREG | 0755);
	OK(mkdir("d", 0755));
	OK(chmod("d", 02755));
	OK(chown("d", 1, 1));
	IS(l_stat("d").st_mode, S_IFDIR | 02755);
}

GROUP(owner_of_new)
{
	OK(chmod(".", 0777));
	IS(AS(1000, 1001, open("f", O_CREAT | O_RDWR, 0666)), 0);
	IS(l_stat("f").st_uid, 1000);
	IS(l_stat("f").st_gid, 1001);
	IS(AS(1000, 1001, mkdir("d", 0777)), 0);
	IS(l_stat("d").st_uid, 1000);
	IS(AS(1000, 1001, symlink("x", "l")), 0);
	IS(l_stat("l").st_uid, 1000);
	IS(l_stat("l").st_gid, 1001);
	IS(AS(1000, 1001, mkfifo("p", 0666)), 0);
	IS(l_stat("p").st_uid, 1000);
	/* A directory with the set-group-id bit hands its group down, and the bit to
	 * directories. */
	OK(mkdir("s", 0777));
	OK(chown("s", 0, 77));
	OK(chmod("s", 02777));
	IS(AS(1000, 1001, open("s/f", O_CREAT | O_RDWR, 0666)), 0);
	IS(l_stat("s/f").st_gid, 77);
	IS(l_stat("s/f").st_mode, S_IFREG | 0644);
	IS(AS(1000, 1001, mkdir("s/d", 0755)), 0);
	IS(l_stat("s/d").st_gid, 77);
	IS(l_stat("s/d").st_mode, S_IFDIR | 02755);
	IS(AS(1000, 1001, symlink("x", "s/l")), 0);
	IS(l_stat("s/l").st_gid, 77);
	IS(AS(1000, 1001, mkfifo("s/p", 0666)), 0);
	IS(l_stat("s/p").st_gid, 77);
}

GROUP(permission)
{
	l_file("f", "secret");
	OK(chmod("f", 0600));
	OK(mkdir("d", 0700));
	OK(mkdir("r", 0744));
	l_file("r/x", "");
	IS(AS(1000, 1000, open("f", O_RDONLY)), EACCES);
	IS(AS(1000, 1000, open("d", O_RDONLY)), EACCES);
	IS(AS(1000, 1000, open("d/x", O_RDONLY)), EACCES);
	IS(AS(1000, 1000, open("r", O_RDONLY)), 0);
	IS(AS(1000, 1000, open("r/x", O_RDONLY)), EACCES);
	IS(AS(1000, 1000, mkdir("new", 0755)), EACCES);
	IS(AS(1000, 1000, unlink("f")), EACCES);
	IS(AS(1000, 1000, rename("f", "g")), EACCES);
	IS(AS(1000, 1000, rmdir("d")), EACCES);
	IS(AS(1000, 1000, chmod("f", 0777)), EPERM);
	IS(AS(1000, 1000, chown("f", 1000, 1000)), EPERM);
	IS(AS(1000, 1000, truncate("f", 0)), EACCES);
	IS(AS(1000, 1000, utimes("f", NULL)), EACCES);
	IS(AS(1000, 1000, access("f", R_OK)), EACCES);
	IS(AS(1000, 1000, access("f", F_OK)), 0);
	OK(chmod("f", 0666));
	IS(AS(1000, 1000, open("f", O_RDWR)), 0);
	IS(AS(1000, 1000, open("f", O_RDWR | O_TRUNC)), 0);
	IS(AS(1000, 1000, access("f", X_OK)), EACCES);
	struct timeval tv[2] = {{1, 0}, {1, 0}};
	IS(AS(1000, 1000, utimes("f", NULL)), 0);
	IS(AS(1000, 1000, utimes("f", tv)), EPERM);
	OK(chown("f", 1000, 2000));
	OK(chmod("f", 0070));
	IS(AS(1000, 1000, open("f", O_RDONLY)), EACCES);
	IS(AS(1001, 2000, open("f", O_RDONLY)), 0);
	IS(AS(1000, 1000, chmod("f", 0600)), 0);
	IS(AS(1000, 1000, chown("f", (uid_t)-1, 1000)), 0);
	IS(AS(1000, 1000, chown("f", (uid_t)-1, 3000)), EPERM);
	IS(AS(1000, 1000, mknod("f2", S_IFCHR | 0600, 259)), EACCES);
	OK(chmod(".", 0777));
	IS(AS(1000, 1000, mknod("f2", S_IFCHR | 0600, 259)), EPERM);
	/* A set-id bit does not survive another's writing. */
	OK(chown("f", 0, 0));
	OK(chmod("f", 06777));
	IS(AS(1000, 1000, write(open("f", O_WRONLY), "x", 1)), 0);
	IS(l_stat("f").st_mode, S_IFREG | 0777);
}

GROUP(sticky)
{
	OK(mkdir("t", 0777));
	OK(chmod("t", 01777));
	l_file("t/root", "");
	IS(AS(1000, 1000, open("t/mine", O_CREAT | O_RDWR, 0666)), 0);
	IS(AS(1000, 1000, mkdir("t/dir", 0777)), 0);
	IS(AS(1000, 1000, unlink("t/root")), EPERM);
	IS(AS(1000, 1000, rename("t/root", "t/x")), EPERM);
	IS(AS(1001, 1001, unlink("t/mine")), EPERM);
	IS(AS(1001, 1001, rmdir("t/dir")), EPERM);
	IS(AS(1001, 1001, open("t/other", O_CREAT | O_RDWR, 0666)), 0);
	IS(AS(1001, 1001, rename("t/other", "t/mine")), EPERM);
	IS(AS(1000, 1000, rename("t/mine", "t/mine2")), 0);
	IS(AS(1000, 1000, unlink("t/mine2")), 0);
	IS(AS(1000, 1000, rmdir("t/dir")), 0);
	OK(chown("t", 1000, 1000));
	IS(AS(1000, 1000, unlink("t/root")), 0);
}

GROUP(times)
{
	struct timespec ts[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
	struct timespec omit[2] = {{5, UTIME_OMIT}, {7, 0}};
	struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	struct timespec old[2] = {{-100, 0}, {-5000000, 500}};
	struct stat st;

	l_file("f", "");
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	st = l_stat("f");
	IS(st.st_atim.tv_sec, 1000000000);
	IS(st.st_atim.tv_nsec, 123456789);
	IS(st.st_mtim.tv_sec, 1100000000);
	IS(st.st_mtim.tv_nsec, 987654321);
	OK(utimensat(AT_FDCWD, "f", omit, 0));
	st = l_stat("f");
	IS(st.st_atim.tv_sec, 1000000000);
	IS(st.st_mtim.tv_sec, 7);
	OK(utimensat(AT_FDCWD, "f", now, 0));
	T(labs(time(NULL) - l_stat("f").st_mtim.tv_sec) < 10);
	T(labs(time(NULL) - l_stat("f").st_atim.tv_sec) < 10);
	OK(utimensat(AT_FDCWD, "f", old, 0));
	IS(l_stat("f").st_atim.tv_sec, -100);
	IS(l_stat("f").st_mtim.tv_sec, -5000000);
	OK(symlink("f", "l"));
	OK(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	IS(l_stat("l").st_mtim.tv_sec, 1100000000);
	IS(l_stat("f").st_mtim.tv_sec, -5000000);
	OK(mkdir("d", 0755));
	OK(utimensat(AT_FDCWD, "d", ts, 0));
	IS(l_stat("d").st_mtim.tv_sec, 1100000000);
	ts[0].tv_nsec = 1000000000;
	ERR(EINVAL, utimensat(AT_FDCWD, "f", ts, 0));
	ERR(ENOENT, utimensat(AT_FDCWD, "no", now, 0));
}

GROUP(times_of_changes)
{
	char c;

	l_file("f", "x");
	OK(mkdir("d", 0755));
	int fd = open("f", O_RDWR);
	TIMES("f", 1, 1, pwrite(fd, "y", 1, 0));
	TIMES("f", 1, 1, ftruncate(fd, 100));
	TIMES("f", 1, 1, truncate("f", 10));
	TIMES("f", 0, 1, fchmod(fd, 0600));
	TIMES("f", 0, 1, fchown(fd, 1, 1));
	TIMES("f", 0, 1, link("f", "f2"));
	TIMES("f", 0, 1, unlink("f2"));
	TIMES("f", 0, 1, setxattr("f", "user.a", "1", 1, 0));
	TIMES("f", 0, 1, removexattr("f", "user.a"));
	TIMES("f", 0, 0, pread(fd, &c, 1, 0));
	TIMES("f", 0, 0, access("f", R_OK));
	TIMES("f", 1, 1, open("f", O_WRONLY | O_TRUNC));
	struct stat st, st2;
	fstat(fd, &st);
	tick();
	OK(rename("f", "d/f"));
	fstat(fd, &st2);
	T(later(st2.st_ctim, st.st_ctim));
	T(!later(st2.st_mtim, st.st_mtim));
	close(fd);
}

GROUP(times_of_directories)
{
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	l_file("x", "");
	TIMES("d", 1, 1, mkdir("d/a", 0755));
	TIMES("d", 1, 1, mknod("d/f", S_IFREG | 0644, 0));
	TIMES("d", 1, 1, symlink("t", "d/l"));
	TIMES("d", 1, 1, link("x", "d/x"));
	TIMES("d", 1, 1, unlink("d/x"));
	TIMES("d", 1, 1, rename("d/f", "d/g"));
	TIMES("d", 1, 1, rename("d/g", "e/g"));
	TIMES("d", 1, 1, rename("e/g", "d/g"));
	TIMES("e", 1, 1, rename("d/g", "e/g"));
	TIMES("d", 1, 1, rmdir("d/a"));
	TIMES("d", 0, 0, open("d/l", O_PATH | O_NOFOLLOW));
	TIMES("d", 0, 0, chmod("e/g", 0600));
	TIMES("d", 0, 1, chmod("d", 0700));
	struct stat was = l_stat("d");
	tick();
	ERR(EEXIST, symlink("t", "d/l"));
	ERR(ENOENT, unlink("d/no"));
	struct stat is = l_stat("d");
	T(!later(is.st_mtim, was.st_mtim) && !later(is.st_ctim, was.st_ctim));
}

GROUP(times_new)
{
	struct stat st;
	struct statx stx;
	time_t from = time(NULL) - 2, to = time(NULL) + 2;

	l_file("f", "x");
	st = l_stat("f");
	T(st.st_mtim.tv_sec >= from && st.st_mtim.tv_sec <= to);
	T(st.st_ctim.tv_sec >= from && st.st_ctim.tv_sec <= to);
	T(st.st_atim.tv_sec >= from && st.st_atim.tv_sec <= to);
	OK(statx(AT_FDCWD, "f", 0, STATX_BTIME | STATX_BASIC_STATS, &stx));
	if (stx.stx_mask & STATX_BTIME) {
		long long born = stx.stx_btime.tv_sec;
		T(born >= from && born <= to);
		tick();
		OK(chmod("f", 0600));
		OK(statx(AT_FDCWD, "f", 0, STATX_BTIME, &stx));
		IS(stx.stx_btime.tv_sec, born);
	} else {
		l_skipped++;
	}
	IS(st.st_size, 1);
	T(st.st_blksize >= 512);
	T(st.st_dev == l_stat(".").st_dev);
	T(st.st_ino > 0);
}

/* Is name in the list of path? */
static bool
listed(const char *path, const char *name)
{
	char buf[8192];
	ssize_t n = listxattr(path, buf, sizeof(buf));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(buf + i) + 1)
		if (strcmp(buf + i, name) == 0)
			return true;
	return false;
}

GROUP(xattr)
{
	char buf[4096];

	l_file("f", "");
	OK(mkdir("d", 0755));
	ERR(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
	ERR(ENODATA, removexattr("f", "user.a"));
	T(!listed("f", "user.a"));
	OK(setxattr("f", "user.a", "hello", 5, 0));
	IS(getxattr("f", "user.a", buf, sizeof(buf)), 5);
	T(memcmp(buf, "hello", 5) == 0);
	IS(getxattr("f", "user.a", NULL, 0), 5);
	ERR(ERANGE, getxattr("f", "user.a", buf, 4));
	IS(getxattr("f", "user.a", buf, 5), 5);
	ERR(EEXIST, setxattr("f", "user.a", "x", 1, XATTR_CREATE));
	OK(setxattr("f", "user.a", "longer value", 12, XATTR_REPLACE));
	IS(getxattr("f", "user.a", NULL, 0), 12);
	ERR(ENODATA, setxattr("f", "user.b", "x", 1, XATTR_REPLACE));
	OK(setxattr("f", "user.b", "", 0, XATTR_CREATE));
	IS(getxattr("f", "user.b", buf, sizeof(buf)), 0);
	T(listed("f", "user.a") && listed("f", "user.b"));
	T(listxattr("f", NULL, 0) >= 14);
	ERR(ERANGE, listxattr("f", buf, 8));
	OK(removexattr("f", "user.a"));
	T(!listed("f", "user.a") && listed("f", "user.b"));
	ERR(ENODATA, getxattr("f", "user.a", buf, sizeof(buf)));
	OK(setxattr("d", "user.a", "dir", 3, 0));
	IS(getxattr("d", "user.a", buf, sizeof(buf)), 3);
	memset(buf, 'v', 2000);
	OK(setxattr("f", "user.big", buf, 2000, 0));
	IS(getxattr("f", "user.big", buf, sizeof(buf)), 2000);
	T(buf[0] == 'v' && buf[1999] == 'v');
	OK(link("f", "g"));
	IS(getxattr("g", "user.big", NULL, 0), 2000);
	OK(rename("f", "h"));
	IS(getxattr("h", "user.big", NULL, 0), 2000);
	OK(unlink("g"));
	int fd = open("h", O_RDONLY);
	OK(fsetxattr(fd, "user.fd", "1", 1, 0));
	IS(fgetxattr(fd, "user.fd", buf, 8), 1);
	OK(unlink("h"));
	IS(fgetxattr(fd, "user.fd", buf, 8), 1);
	OK(fremovexattr(fd, "user.fd"));
	close(fd);
}

GROUP(xattr_kinds)
{
	static char big[70000];
	char name[300], buf[64];

	l_file("f", "");
	OK(symlink("f", "l"));
	OK(mkfifo("p", 0644));
	ERR(EPERM, lsetxattr("l", "user.a", "x", 1, 0));
	ERR(EPERM, setxattr("p", "user.a", "x", 1, 0));
	OK(setxattr("f", "trusted.overlay.opaque", "y", 1, 0));
	IS(getxattr("f", "trusted.overlay.opaque", buf, sizeof(buf)), 1);
	T(listed("f", "trusted.overlay.opaque"));
	OK(lsetxattr("l", "trusted.t", "x", 1, 0));
	IS(lgetxattr("l", "trusted.t", buf, sizeof(buf)), 1);
	ERR(ENODATA, getxattr("f", "trusted.t", buf, sizeof(buf)));
	OK(setxattr("f", "security.test", "s", 1, 0));
	IS(getxattr("f", "security.test", buf, sizeof(buf)), 1);
	ERR(EOPNOTSUPP, setxattr("f", "nonsense.a", "x", 1, 0));
	ERR(EOPNOTSUPP, setxattr("f", "nodot", "x", 1, 0));
	ERR(ERANGE, setxattr("f", "", "x", 1, 0));
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[256] = '\0';
	ERR(ERANGE, setxattr("f", name, "x", 1, 0));
	name[255] = '\0';
	OK(setxattr("f", name, "x", 1, 0));
	T(listed("f", name));
	ERR(E2BIG, setxattr("f", "user.big", big, 65537, 0));
	ERR(ENOENT, setxattr("no", "user.a", "x", 1, 0));
	/* Only root sees trusted. names. */
	OK(chmod("f", 0666));
	OK(chmod(".", 0755));
	IS(AS(1000, 1000, getxattr("f", "trusted.overlay.opaque", buf, sizeof(buf))),
	    ENODATA);
	IS(AS(1000, 1000, setxattr("f", "trusted.x", "x", 1, 0)), EPERM);
	IS(AS(1000, 1000, setxattr("f", "user.theirs", "x", 1, 0)), 0);
	OK(chmod("f", 0600));
	IS(AS(1000, 1000, setxattr("f", "user.theirs", "x", 1, 0)), EACCES);
	IS(AS(1000, 1000, getxattr("f", "user.theirs", buf, sizeof(buf))), EACCES);
	unsigned bad = 0;
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		bad += setxattr("f", name, name, strlen(name), 0) != 0;
	}
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "user.n%d", i);
		bad += getxattr("f", name, buf, sizeof(buf)) != (ssize_t)strlen(name);
		bad += !listed("f", name);
	}
	IS(bad, 0);
}

GROUP(setgid_chmod)
{
	/* One who is not in the group cannot set the set-group-id bit. */
	l_file("f", "");
	OK(chown("f", 1000, 77));
	IS(AS(1000, 1000, chmod("f", 02755)), 0);
	IS(l_stat("f").st_mode, S_IFREG | 0755);
	OK(chown("f", 1000, 1000));
	IS(AS(1000, 1000, chmod("f", 02755)), 0);
	IS(l_stat("f").st_mode, S_IFREG | 02755);
}

GROUP(rename_permission)
{
	OK(chmod(".", 0755));
	OK(mkdir("a", 0777));
	OK(chmod("a", 0777));
	OK(mkdir("b", 0755));
	l_file("b/f", "");
	OK(mkdir("a/sub", 0755));
	IS(AS(1000, 1000, rename("b/f", "a/f")), EACCES);
	IS(AS(1000, 1000, rename("a/sub", "b/sub")), EACCES);
	OK(chmod("b", 0777));
	/* To move a directory to another parent its ".." must be writable. */
	IS(AS(1000, 1000, rename("a/sub", "b/sub")), EACCES);
	IS(AS(1000, 1000, rename("a/sub", "a/sub2")), 0);
	OK(chmod("a/sub2", 0777));
	IS(AS(1000, 1000, rename("a/sub2", "b/sub")), 0);
	IS(AS(1000, 1000, rename("b/f", "a/f")), 0);
}
