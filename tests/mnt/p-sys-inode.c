/*
 * System calls, part five: files without a name, and statx.  Run as root, on a directory
 * that other users can reach.
 */
#include "list-sys.h"

/* Gives a file that has a descriptor a name. */
static int
name_it(int fd, const char *path)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

static int
entries(const char *path)
{
	DIR *d = opendir(path);
	int n = -2; /* the dots */

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

GROUP(tmpfile)
{
	struct stat st, was;
	int fd, ro;

	OK(mkdir("d", 0755));
	was = l_stat("d");
	tick();
	umask(027);
	OK(fd = open("d", O_TMPFILE | O_RDWR, 0666));
	umask(022);
	st = f_stat(fd);
	IS(st.st_nlink, 0);
	IS(st.st_mode, S_IFREG | 0640);
	IS(st.st_size, 0);
	IS(st.st_uid, 0);
	IS(entries("d"), 0);
	T(t_cmp(l_stat("d").st_mtim, was.st_mtim) == 0);
	T(fill(fd, 0, 10000, 't') && all(fd, 0, 10000, 't'));
	OK(fchmod(fd, 0600));
	OK(fsetxattr(fd, "user.a", "1", 1, 0));
	OK(fsync(fd));
	OK(name_it(fd, "d/f"));
	T(t_cmp(l_stat("d").st_mtim, was.st_mtim) > 0);
	IS(f_stat(fd).st_nlink, 1);
	IS(l_stat("d/f").st_ino, st.st_ino);
	IS(l_stat("d/f").st_size, 10000);
	IS(MODE("d/f"), 0600);
	IS(getxattr("d/f", "user.a", NULL, 0), 1);
	IS(entries("d"), 1);
	OK(ro = open("d/f", O_RDONLY));
	T(all(ro, 0, 10000, 't'));
	close(ro);
	ERR(EEXIST, name_it(fd, "d/f"));
	OK(linkat(fd, "", AT_FDCWD, "d/g", AT_EMPTY_PATH));
	IS(f_stat(fd).st_nlink, 2);
	OK(unlink("d/f"));
	OK(unlink("d/g"));
	IS(f_stat(fd).st_nlink, 0);
	/* It has had names; there is no way back. */
	ERR(ENOENT, name_it(fd, "d/h"));
	T(all(fd, 0, 10000, 't'));
	close(fd);
	/* O_EXCL: never a name. */
	OK(fd = open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	ERR(ENOENT, name_it(fd, "d/x"));
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "d/x", AT_EMPTY_PATH));
	T(fill(fd, 0, 10, 'x'));
	/* It keeps nobody from removing the directory, nor is it lost with it. */
	OK(rmdir("d"));
	T(all(fd, 0, 10, 'x'));
	IS(f_stat(fd).st_nlink, 0);
	close(fd);
	OK(fd = open(".", O_TMPFILE | O_WRONLY | O_APPEND, 0600));
	OK(write(fd, "ab", 2));
	OK(pwrite(fd, "c", 1, 0));
	OK(name_it(fd, "app"));
	close(fd);
	T(l_holds("app", "abc"));
}

GROUP(tmpfile_rules)
{
	struct acl_raw a;
	struct stat st;
	int fd;

	l_file("f", "");
	ERR(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0600));
	ERR(EINVAL, open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	ERR(ENOTDIR, open("f", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOENT, open("no", O_TMPFILE | O_RDWR, 0600));
	/* 040000 is O_TMPFILE without O_DIRECTORY. */
	OK(mkdir("d", 0755));
	ERR_AS(A, EACCES, open("d", O_TMPFILE | O_RDWR, 0600));
	OK(chmod("d", 0772));
	ERR_AS(A, EACCES, open("d", O_TMPFILE | O_RDWR, 0600));
	OK(chmod("d", 0773));
	OK_AS(A, fd = open("d", O_TMPFILE | O_RDWR, 0200));
	IS(f_stat(fd).st_uid, UID_A);
	IS(f_stat(fd).st_gid, GID_A);
	IS(f_stat(fd).st_mode & 07777, 0200);
	OK_AS(A, name_it(fd, "d/a"));
	OK_AS(A, unlink("d/a"));
	close(fd);
	/* The group of a set-group-id directory, and its default list. */
	OK(chown("d", 0, 12345));
	OK(chmod("d", 02777));
	OK_AS(A, fd = open("d", O_TMPFILE | O_RDWR, 0666));
	st = f_stat(fd);
	IS(st.st_gid, 12345);
	IS(st.st_mode & 07777, 0644);
	close(fd);
	OK(acl_set("d", ACL_D, "u::7 u:65533:7 g::5 m::7 o::5"));
	umask(077);
	OK(fd = open("d", O_TMPFILE | O_RDWR, 0666));
	umask(022);
	IS(f_stat(fd).st_mode & 07777, 0664);
	TEXT(acl_text(fgetxattr(fd, ACL_A, &a, sizeof(a)), &a),
	    "u::6 u:65533:7 g::5 m::6 o::4");
	OK(name_it(fd, "d/b"));
	TEXT(acl_get("d/b", ACL_A), "u::6 u:65533:7 g::5 m::6 o::4");
	/* Where it is named it must be the same file system, and permitted. */
	OK(mkdir("e", 0755));
	ERR_AS(A, EACCES, name_it(fd, "e/x"));
	ERR(ENOENT, name_it(fd, "no/x"));
	ERR(ENOTDIR, name_it(fd, "f/x"));
	close(fd);
	/* Many at once, each a node of its own. */
	int fds[50];
	bool differ = true;
	for (int i = 0; i < 50; i++) {
		fds[i] = open(".", O_TMPFILE | O_RDWR, 0600);
		for (int j = 0; j < i; j++)
			differ &= f_stat(fds[i]).st_ino != f_stat(fds[j]).st_ino;
		differ &= fill(fds[i], 0, 100, i);
	}
	T(differ);
	for (int i = 0; i < 50; i++) {
		CASE(all(fds[i], 0, 100, i), "contents of nameless file %d", i);
		close(fds[i]);
	}
}

static struct statx
x_stat(const char *path)
{
	struct statx sx;

	memset(&sx, 0xff, sizeof(sx));
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_ALL, &sx) != 0) {
		memset(&sx, 0, sizeof(sx));
		printf("FAIL %s: statx %s: %m\n", l_name, path);
		l_failed++;
	}
	return sx;
}

static int
x_cmp(struct statx_timestamp a, struct statx_timestamp b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec > b.tv_sec ? 1 : -1;
	return (a.tv_nsec > b.tv_nsec) - (a.tv_nsec < b.tv_nsec);
}

GROUP(statx_fields)
{
	static const char *const paths[] = {"f", "d", "l", "p", "n"};
	struct statx sx;
	struct stat st;

	l_file("f", "some text");
	OK(mkdir("d", 0700));
	OK(mkdir("d/e", 0700));
	OK(symlink("target", "l"));
	OK(mkfifo("p", 0640));
	OK(mknod("n", S_IFBLK | 0600, makedev(77, 1234)));
	OK(chown("f", 12, 34));
	OK(link("f", "g"));
	for (int i = 0; i < 5; i++) {
		const char *p = paths[i];
		sx = x_stat(p);
		st = l_stat(p);
		CASE_IS(
		    sx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS, "mask of %s", p);
		CASE_IS(sx.stx_mode, st.st_mode, "mode of %s", p);
		CASE_IS(sx.stx_nlink, st.st_nlink, "nlink of %s", p);
		CASE_IS(sx.stx_uid, st.st_uid, "uid of %s", p);
		CASE_IS(sx.stx_gid, st.st_gid, "gid of %s", p);
		CASE_IS(sx.stx_ino, st.st_ino, "ino of %s", p);
		CASE_IS(sx.stx_size, st.st_size, "size of %s", p);
		CASE_IS(sx.stx_blocks, st.st_blocks, "blocks of %s", p);
		CASE_IS(sx.stx_blksize, st.st_blksize, "blksize of %s", p);
		CASE_IS(makedev(sx.stx_dev_major, sx.stx_dev_minor), st.st_dev,
		    "dev of %s", p);
		CASE_IS(makedev(sx.stx_rdev_major, sx.stx_rdev_minor), st.st_rdev,
		    "rdev of %s", p);
		CASE(sx.stx_mtime.tv_sec == st.st_mtim.tv_sec &&
			 sx.stx_mtime.tv_nsec == st.st_mtim.tv_nsec,
		    "mtime of %s", p);
		CASE(sx.stx_ctime.tv_sec == st.st_ctim.tv_sec &&
			 sx.stx_ctime.tv_nsec == st.st_ctim.tv_nsec,
		    "ctime of %s", p);
		CASE(sx.stx_atime.tv_sec == st.st_atim.tv_sec &&
			 sx.stx_atime.tv_nsec == st.st_atim.tv_nsec,
		    "atime of %s", p);
		CASE_IS(sx.stx_mask & STATX_BTIME, STATX_BTIME, "%s has a btime", p);
		CASE(x_cmp(sx.stx_btime, sx.stx_ctime) <= 0, "btime of %s", p);
		CASE_IS(sx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND |
						STATX_ATTR_NODUMP),
		    0, "attributes of %s", p);
		CASE_IS(sx.stx_attributes & ~sx.stx_attributes_mask, 0,
		    "attributes of %s are among those that there are", p);
	}
}

GROUP(statx_btime)
{
	struct statx was, is;
	struct stat st;
	struct timespec ts[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	int fd;

	l_file("f", "");
	OK(mkdir("d", 0755));
	was = x_stat("f");
	st = l_stat("f");
	T(was.stx_btime.tv_sec == st.st_ctim.tv_sec);
	tick();
	l_file("g", "");
	T(x_cmp(x_stat("g").stx_btime, was.stx_btime) > 0);
/* The birth is not changed by what is done to it later. */
#define BORN(call)                                                  \
	({                                                          \
		OK(call);                                           \
		is = x_stat("f");                                   \
		l_row((is.stx_mask & STATX_BTIME) &&                \
			  x_cmp(is.stx_btime, was.stx_btime) == 0,  \
		    __LINE__, "btime after " #call, " is another"); \
	})
	OK(fd = open("f", O_RDWR));
	BORN(pwrite(fd, "data", 4, 0));
	BORN(ftruncate(fd, 100));
	BORN(fsync(fd));
	BORN(chmod("f", 0600));
	BORN(chown("f", 5, 5));
	BORN(utimensat(AT_FDCWD, "f", ts, 0));
	BORN(link("f", "h"));
	BORN(rename("f", "d/f") + rename("d/f", "f"));
	BORN(rename("f", "g") + rename("g", "f"));
	BORN(setxattr("f", "user.a", "1", 1, 0));
	BORN(close(open("f", O_WRONLY | O_TRUNC)));
	BORN(unlink("h"));
	close(fd);
	/* It may well be later than the other times, if those have been set. */
	T(x_cmp(is.stx_btime, is.stx_ctime) < 0);
	OK(utimensat(AT_FDCWD, "f", ts, 0));
	is = x_stat("f");
	IS(is.stx_mtime.tv_sec, 1000);
	T(x_cmp(is.stx_btime, is.stx_mtime) > 0);
	/* A new file of the old name is a new one. */
	tick();
	OK(unlink("f"));
	l_file("f", "");
	T(x_cmp(x_stat("f").stx_btime, was.stx_btime) > 0);
	was = x_stat("d");
	tick();
	OK(mkdir("d/e", 0700));
	is = x_stat("d");
	T(x_cmp(is.stx_btime, was.stx_btime) == 0);
	T(x_cmp(is.stx_mtime, was.stx_mtime) > 0);
	T(x_cmp(x_stat("d/e").stx_btime, was.stx_btime) > 0);
	OK(rename("d", "d2"));
	T(x_cmp(x_stat("d2").stx_btime, was.stx_btime) == 0);
}

GROUP(statx_errors)
{
	struct statx sx;
	char name[300];
	int fd;

	l_file("f", "123");
	OK(symlink("f", "l"));
	OK(symlink("loop", "loop"));
	OK(mkdir("d", 0700));
	l_file("d/f", "");
	OK(statx(AT_FDCWD, "f", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, &sx));
	OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &sx));
	IS(sx.stx_size, 3);
	OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx));
	IS(sx.stx_size, 3);
	OK(statx(AT_FDCWD, "f", AT_NO_AUTOMOUNT, 0, &sx));
	ERR(EINVAL,
	    statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &sx));
	ERR(EINVAL, statx(AT_FDCWD, "f", 0, 0x80000000u, &sx));
	ERR(EINVAL, statx(AT_FDCWD, "f", AT_REMOVEDIR, STATX_BASIC_STATS, &sx));
	ERR(ENOENT, statx(AT_FDCWD, "no", 0, STATX_BASIC_STATS, &sx));
	ERR(ENOENT, statx(AT_FDCWD, "", 0, STATX_BASIC_STATS, &sx));
	ERR(ENOTDIR, statx(AT_FDCWD, "f/x", 0, STATX_BASIC_STATS, &sx));
	ERR(ELOOP, statx(AT_FDCWD, "loop", 0, STATX_BASIC_STATS, &sx));
	ERR(EFAULT, statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, nowhere()));
	ERR(EBADF, statx(999, "f", 0, STATX_BASIC_STATS, &sx));
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	ERR(ENAMETOOLONG, statx(AT_FDCWD, name, 0, STATX_BASIC_STATS, &sx));
	ERR_AS(A, EACCES, statx(AT_FDCWD, "d/f", 0, STATX_BASIC_STATS, &sx));
	OK_AS(A, statx(AT_FDCWD, "d", 0, STATX_BASIC_STATS, &sx));
	OK(statx(AT_FDCWD, "l", 0, STATX_BASIC_STATS, &sx));
	T(S_ISREG(sx.stx_mode));
	OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
	T(S_ISLNK(sx.stx_mode));
	OK(fd = open("f", O_PATH));
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &sx));
	IS(sx.stx_size, 3);
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx));
	T(sx.stx_mask & STATX_MNT_ID);
	ERR(ENOTDIR, statx(fd, "x", 0, STATX_ALL, &sx));
	close(fd);
	OK(fd = open("d", O_RDONLY | O_DIRECTORY));
	OK(statx(fd, "f", 0, STATX_ALL, &sx));
	T(S_ISREG(sx.stx_mode));
	OK(statx(fd, "..", 0, STATX_ALL, &sx));
	IS(sx.stx_ino, l_stat(".").st_ino);
	close(fd);
}
