/*
 * POSIX, name by name: what a file system says that is not to be written to.  It is named by
 * the environment, POSIX_READONLY, and has in it
 *
 *	d/       0777, with a file in it      p    a fifo, 0666
 *	f        0666, "text"                 l    a symlink to f
 *
 * of root's.  See posix.h.
 */
#include "posix.h"

#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/xattr.h>

static bool
enter(void)
{
	const char *dir = getenv("POSIX_READONLY");

	if (dir && chdir(dir) == 0)
		return true;
	printf("SKIP no read-only directory\n");
	l_skipped++;
	return false;
}

static long
oc(const char *p, int flags)
{
	int fd = open(p, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void
names(void)
{
	ERR(EROFS, mkdir("new", 0755));
	ERR(EROFS, mkdir("d/new", 0755));
	ERR(EROFS, mkfifo("new", 0644));
	ERR(EROFS, mknod("new", S_IFREG | 0644, 0));
	ERR(EROFS, mknod("new", S_IFSOCK | 0644, 0));
	ERR(EROFS, symlink("x", "new"));
	ERR(EROFS, link("f", "new"));
	ERR(EROFS, link("f", "d/new"));
	ERR(EROFS, unlink("f"));
	ERR(EROFS, unlink("p"));
	ERR(EROFS, unlink("l"));
	ERR(EROFS, rmdir("d"));
	ERR(EROFS, rename("f", "new"));
	ERR(EROFS, rename("f", "d/new"));
	ERR(EROFS, rename("d", "new"));
	ERR(EROFS, renameat2(AT_FDCWD, "f", AT_FDCWD, "l", RENAME_EXCHANGE));
	ERR(EROFS, renameat2(AT_FDCWD, "f", AT_FDCWD, "new", RENAME_NOREPLACE));
	ERR(EROFS, oc("new", O_CREAT | O_RDWR));
	ERR(EROFS, oc("new", O_CREAT | O_EXCL | O_RDWR));
	ERR(EROFS, oc("d/new", O_CREAT | O_WRONLY | O_TRUNC));
	/* What is there is found out first. */
	ERR(EEXIST, mkdir("d", 0755));
	ERR(EEXIST, mkfifo("f", 0755));
	ERR(EEXIST, symlink("x", "l"));
	ERR(EEXIST, link("f", "p"));
	ERR(EEXIST, oc("f", O_CREAT | O_EXCL | O_RDWR));
	ERR(ENOENT, mkdir("no/new", 0755));
	ERR(ENOTDIR, mkdir("f/new", 0755));
}

static void
attributes(void)
{
	struct timespec ts[2] = {{1, 2}, {3, 4}};
	struct timeval tv[2] = {{1, 2}, {3, 4}};

	ERR(EROFS, chmod("f", 0600));
	ERR(EROFS, chmod("d", 0700));
	ERR(EROFS, chmod("p", 0600));
	ERR(EROFS, chmod("l", 0600));
	ERR(EROFS, fchmodat(AT_FDCWD, "f", 0600, 0));
	ERR(EROFS, chown("f", 1, 1));
	ERR(EROFS, chown("d", 1, 1));
	ERR(EROFS, lchown("l", 1, 1));
	ERR(EROFS, lchown("p", 1, 1));
	ERR(EROFS, truncate("f", 0));
	ERR(EROFS, truncate("f", 100));
	ERR(EROFS, utimensat(AT_FDCWD, "f", NULL, 0));
	ERR(EROFS, utimensat(AT_FDCWD, "f", ts, 0));
	ERR(EROFS, utimensat(AT_FDCWD, "d", ts, 0));
	ERR(EROFS, utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	ERR(EROFS, utimes("p", tv));
	ERR(EROFS, setxattr("f", "user.x", "y", 1, 0));
	ERR(EROFS, setxattr("d", "user.x", "y", 1, 0));
	ERR(EROFS, removexattr("f", "user.x"));
	ERR(ENOENT, chmod("none", 0600));
	ERR(ENOENT, truncate("none", 0));
	ERR(EISDIR, truncate("d", 0));
	int fd = (int)MUST(open("f", O_RDONLY));
	int dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	ERR(EROFS, fchmod(fd, 0600));
	ERR(EROFS, fchmod(dir, 0600));
	ERR(EROFS, fchown(fd, 1, 1));
	ERR(EROFS, futimens(fd, NULL));
	ERR(EROFS, futimens(dir, ts));
	ERR(EROFS, fsetxattr(fd, "user.x", "y", 1, 0));
	ERR(EINVAL, ftruncate(fd, 0));
	ERR(EBADF, write(fd, "x", 1));
	close(fd);
	close(dir);
}

static void
contents(void)
{
	char c;
	int fd;

	ERR(EROFS, oc("f", O_WRONLY));
	ERR(EROFS, oc("f", O_RDWR));
	ERR(EROFS, oc("f", O_WRONLY | O_APPEND));
	ERR(EROFS, oc("f", O_RDONLY | O_TRUNC));
	ERR(EROFS, oc("f", O_WRONLY | O_CREAT));
	ERR(EROFS, oc("l", O_WRONLY));
	ERR(EROFS, creat("f", 0644));
	ERR(EISDIR, oc("d", O_WRONLY));
	OK(oc("f", O_RDONLY));
	OK(oc("f", O_RDONLY | O_CREAT));
	OK(oc("d", O_RDONLY | O_DIRECTORY));
	T(l_holds("f", "text") && l_holds("l", "text"));
	TAG("readonly-access");
	ERR(EROFS, access("f", W_OK));
	ERR(EROFS, access("d", W_OK));
	ERR(EROFS, faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
	TAG(NULL);
	OK(access("f", R_OK));
	OK(access("d", R_OK | X_OK));
	/* A fifo is not in the file system. */
	OK(access("p", R_OK | W_OK));
	OK(fd = open("p", O_RDWR | O_NONBLOCK));
	IS(write(fd, "x", 1), 1);
	IS(read(fd, &c, 1), 1);
	close(fd);
	fd = (int)MUST(open("f", O_RDONLY));
	ERR(EACCES, mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED
			? -1
			: 0);
	char *m = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T(m != MAP_FAILED && *m == 't');
	if (m != MAP_FAILED) {
		*m = 'T';
		munmap(m, 1);
	}
	T(l_holds("f", "text"));
	close(fd);
}

/* Only what belongs to the caller, or is free to all, says that it is not to be written:
 * permission comes first for the others, and differs in order. */
static void
users(void)
{
	ERR(EROFS, mkdir("d/new", 0755));
	ERR(EROFS, symlink("x", "d/new"));
	ERR(EROFS, oc("d/new", O_CREAT | O_RDWR));
	ERR(EROFS, unlink("d/in"));
	ERR(EROFS, rename("d/in", "d/new"));
	ERR(EROFS, oc("f", O_WRONLY));
	ERR(EROFS, oc("f", O_RDONLY | O_TRUNC));
	ERR(EROFS, truncate("f", 0));
	ERR(EROFS, utimensat(AT_FDCWD, "f", NULL, 0));
	TAG("readonly-access");
	ERR(EROFS, access("f", W_OK));
	ERR(EROFS, access("d", W_OK));
	TAG(NULL);
	T(l_holds("f", "text"));
}

GROUP(readonly)
{
	if (!enter())
		return;
	MARK("f", "d", "p", ".");
	about("names");
	names();
	about("attributes");
	attributes();
	about("contents");
	contents();
	about(NULL);
	BY (ann)
		users();
	BY (bob)
		users();
	struct stat st = l_stat("f");
	IS(st.st_size, 4);
	NODE("f", S_IFREG | 0666, 0, 0);
	NODE("d", S_IFDIR | 0777, 0, 0);
	NODE("p", S_IFIFO | 0666, 0, 0);
	MOVED("d", NONE);
	IS(after(st.st_mtim, p_marks[0].st.st_mtim), 0);
	IS(after(st.st_ctim, p_marks[0].st.st_ctim), 0);
	IS(entries("d"), 1);
	IS(entries("."), 4);
}
