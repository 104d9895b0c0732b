/*
 * System calls, part nine: what has no name any more and is open still, file or
 * directory, and what takes the place of an open one.
 */
#include "list-sys.h"

#include <linux/fs.h>
#include <sys/sendfile.h>
#include <sys/vfs.h>

static char proc[64];

/* The path of a descriptor. */
static const char *
by_fd(int fd)
{
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return proc;
}

static const struct timespec then[2] = {{.tv_sec = 1000}, {.tv_sec = 2000}};

GROUP(gone_file)
{
	int fd = make("f"), ro;
	struct stat st, was;
	struct statfs sf;
	char buf[100], *p;

	T(fill(fd, 0, 10000, 'g'));
	OK(ro = open("f", O_RDONLY));
	was = f_stat(fd);
	tick();
	OK(unlink("f"));
	st = f_stat(fd);
	IS(st.st_nlink, 0);
	IS(st.st_ino, was.st_ino);
	IS(st.st_size, 10000);
	T(t_cmp(st.st_ctim, was.st_ctim) > 0);
	T(t_cmp(st.st_mtim, was.st_mtim) == 0);
	IS(f_stat(ro).st_nlink, 0);
	T(!l_exists("f"));
	/* Contents. */
	T(all(ro, 0, 10000, 'g'));
	IS(pwrite(fd, "new", 3, 20000), 3);
	IS(f_stat(ro).st_size, 20003);
	T(all(ro, 10000, 10000, 0) && pread(ro, buf, 3, 20000) == 3 &&
	    memcmp(buf, "new", 3) == 0);
	OK(ftruncate(fd, 5000));
	IS(f_stat(ro).st_size, 5000);
	OK(ftruncate(fd, 8192));
	OK(fallocate(fd, 0, 8192, 4096));
	IS(f_stat(ro).st_size, 12288);
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	T(all(ro, 0, 4096, 0) && all(ro, 4096, 904, 'g') && all(ro, 5000, 7288, 0));
	IS(lseek(fd, 0, SEEK_DATA), 4096);
	IS(lseek(fd, 0, SEEK_END), 12288);
	OK(fsync(fd));
	OK(fdatasync(ro));
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T(p != MAP_FAILED);
	p[10] = 'm';
	OK(msync(p, 8192, MS_SYNC));
	munmap(p, 8192);
	T(all(ro, 10, 1, 'm'));
	OK(fstatfs(fd, &sf));
	close(fd);
	close(ro);
}

GROUP(gone_file_attributes)
{
	int fd = make("f"), ro, again, f;
	struct stat st, was;
	char buf[100];

	OK(fsetxattr(fd, "user.a", "1", 1, 0));
	OK(ro = open("f", O_RDONLY));
	was = f_stat(fd);
	OK(unlink("f"));
	OK(fchmod(fd, 0640));
	IS(f_stat(ro).st_mode & 07777, 0640);
	OK(fchown(fd, UID_A, GID_A));
	IS(f_stat(ro).st_uid, UID_A);
	OK(futimens(fd, then));
	IS(f_stat(ro).st_mtim.tv_sec, 2000);
	IS(f_stat(ro).st_atim.tv_sec, 1000);
	IS(fgetxattr(ro, "user.a", buf, 10), 1);
	OK(fsetxattr(fd, "user.b", "22", 2, 0));
	IS(flistxattr(fd, buf, 100), 14);
	OK(fremovexattr(fd, "user.a"));
	ERR(ENODATA, fgetxattr(fd, "user.a", buf, 10));
	OK(ioctl(fd, FS_IOC_GETFLAGS, &f));
	/* A name it gets no more, but another opening. */
	ERR(ENOENT, linkat(AT_FDCWD, by_fd(fd), AT_FDCWD, "g", AT_SYMLINK_FOLLOW));
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "g", AT_EMPTY_PATH));
	OK(again = open(by_fd(fd), O_RDWR));
	IS(f_stat(again).st_ino, was.st_ino);
	IS(pwrite(again, "a", 1, 0), 1);
	T(all(ro, 0, 1, 'a'));
	close(again);
	OK(chmod(by_fd(fd), 0600));
	IS(f_stat(ro).st_mode & 07777, 0600);
	OK(truncate(by_fd(fd), 3));
	IS(f_stat(ro).st_size, 3);
	OK(stat(by_fd(ro), &st));
	IS(st.st_nlink, 0);
	OK(again = open(by_fd(fd), O_WRONLY | O_TRUNC));
	IS(f_stat(ro).st_size, 0);
	close(again);
	close(fd);
	IS(f_stat(ro).st_nlink, 0);
	close(ro);
}

GROUP(gone_file_more)
{
	int fd = make("f"), other, out = make("out"), path;
	struct stat st;
	struct acl_raw a;
	loff_t at = 0;

	T(fill(fd, 0, 5000, 'o'));
	OK(path = open("f", O_PATH));
	st = f_stat(fd);
	OK(unlink("f"));
	/* Another of the same name has nothing to do with it. */
	other = make("f");
	T(f_stat(other).st_ino != st.st_ino);
	IS(pwrite(other, "other", 5, 0), 5);
	IS(f_stat(fd).st_size, 5000);
	IS(f_stat(fd).st_nlink, 0);
	IS(f_stat(other).st_nlink, 1);
	IS(copy_file_range(fd, &at, out, NULL, 5000, 0), 5000);
	T(all(out, 0, 5000, 'o'));
	at = 0;
	IS(copy_file_range(out, &at, fd, NULL, 100, 0), 100);
	at = 0;
	IS(sendfile(out, fd, &at, 10), 10);
	OK(fsetxattr(fd, ACL_A, &a, acl_make(&a, "u::6 u:1:4 g::4 m::4 o::0"), 0));
	IS(f_stat(fd).st_mode & 07777, 0640);
	TEXT(acl_text(fgetxattr(fd, ACL_A, &a, sizeof(a)), &a),
	    "u::6 u:1:4 g::4 m::4 o::0");
	OK(flock(fd, LOCK_EX));
	struct flock fl = {.l_type = F_WRLCK};
	OK(fcntl(fd, F_SETLK, &fl));
	OK(fchmod(fd, 0));
	ERR_AS(A, EACCES, open(by_fd(fd), O_RDONLY));
	OK(fchmod(fd, 0604));
	OK_AS(A, other = open(by_fd(fd), O_RDONLY));
	T(all(other, 0, 5000, 'o'));
	close(other);
	ERR_AS(A, EPERM, fchmod(fd, 0600));
	/* Through O_PATH. */
	IS(f_stat(path).st_nlink, 0);
	OK(other = open(by_fd(path), O_RDONLY));
	T(all(other, 0, 5000, 'o'));
	close(other);
	close(fd);
	OK(other = open(by_fd(path), O_RDONLY));
	T(all(other, 0, 5000, 'o'));
	close(other);
	close(path);
	close(out);
}

GROUP(gone_or_not)
{
	int fd = make("x");
	char buf[16];

	/* With a name left it is not gone. */
	OK(link("x", "y"));
	OK(unlink("x"));
	IS(f_stat(fd).st_nlink, 1);
	OK(linkat(AT_FDCWD, by_fd(fd), AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
	IS(f_stat(fd).st_nlink, 2);
	IS(l_stat("x").st_ino, l_stat("y").st_ino);
	close(fd);
	/* A fifo, a symlink. */
	OK(mkfifo("p", 0600));
	OK(fd = open("p", O_RDWR));
	OK(unlink("p"));
	IS(write(fd, "through", 7), 7);
	IS(read(fd, buf, 16), 7);
	IS(f_stat(fd).st_nlink, 0);
	OK(fchmod(fd, 0640));
	IS(f_stat(fd).st_mode, S_IFIFO | 0640);
	close(fd);
	OK(symlink("target", "l"));
	OK(fd = open("l", O_PATH | O_NOFOLLOW));
	OK(unlink("l"));
	IS(readlinkat(fd, "", buf, 16), 6);
	IS(f_stat(fd).st_nlink, 0);
	close(fd);
}

static int
list_fd(int fd)
{
	char buf[1024];

	return (int)syscall(SYS_getdents64, fd, buf, sizeof(buf));
}

GROUP(gone_dir)
{
	int d, top;
	struct stat was, st;

	OK(mkdir("d", 0755));
	l_file("f", "");
	OK(top = open(".", O_RDONLY | O_DIRECTORY));
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	was = f_stat(d);
	tick();
	OK(rmdir("d"));
	st = f_stat(d);
	IS(st.st_nlink, 0);
	IS(st.st_ino, was.st_ino);
	T(S_ISDIR(st.st_mode));
	T(t_cmp(st.st_ctim, was.st_ctim) > 0);
	/* Nothing is in it, and nothing comes into it. */
	ERR(ENOENT, list_fd(d));
	ERR(ENOENT, openat(d, "x", O_RDONLY));
	ERR(ENOENT, openat(d, "x", O_CREAT | O_WRONLY, 0600));
	ERR(ENOENT, mkdirat(d, "x", 0700));
	ERR(ENOENT, mkfifoat(d, "x", 0700));
	ERR(ENOENT, symlinkat("t", d, "x"));
	ERR(ENOENT, linkat(top, "f", d, "x", 0));
	ERR(ENOENT, renameat(top, "f", d, "x"));
	ERR(ENOENT, renameat(d, "x", top, "y"));
	ERR(ENOENT, unlinkat(d, "x", 0));
	ERR(ENOENT, unlinkat(d, "x", AT_REMOVEDIR));
	ERR(ENOENT, fstatat(d, "x", &st, 0));
	ERR(EINVAL, unlinkat(d, ".", AT_REMOVEDIR));
	T(l_exists("f"));
	close(d);
	close(top);
}

/* It is a directory all the same. */
GROUP(gone_dir_itself)
{
	int d, e, top;
	struct stat was, st;
	char buf[1024];
	struct statfs sf;

	OK(mkdir("d", 0755));
	l_file("f", "");
	OK(top = open(".", O_RDONLY | O_DIRECTORY));
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	was = f_stat(d);
	OK(rmdir("d"));
	OK(e = openat(d, ".", O_RDONLY | O_DIRECTORY));
	IS(f_stat(e).st_ino, was.st_ino);
	close(e);
	OK(fstatat(d, "..", &st, 0));
	IS(st.st_ino, f_stat(top).st_ino);
	OK(fchmod(d, 0700));
	IS(f_stat(d).st_mode, S_IFDIR | 0700);
	OK(fchown(d, UID_A, GID_A));
	IS(f_stat(d).st_gid, GID_A);
	OK(futimens(d, then));
	IS(f_stat(d).st_mtim.tv_sec, 2000);
	OK(fsetxattr(d, "user.a", "1", 1, 0));
	IS(fgetxattr(d, "user.a", buf, 10), 1);
	OK(fsync(d));
	OK(fstatfs(d, &sf));
	OK(flock(d, LOCK_EX));
	/* As the working directory. */
	OK(fchdir(d));
	ERR(ENOENT, syscall(SYS_getcwd, buf, sizeof(buf)));
	ERR(ENOENT, open("x", O_CREAT | O_WRONLY, 0600));
	ERR(ENOENT, mkdir("x", 0700));
	ERR(ENOENT, mkdir("./x", 0700));
	ERR(ENOENT, rename("../f", "f"));
	OK(stat(".", &st));
	IS(st.st_nlink, 0);
	OK(access("../f", F_OK));
	OK(chdir(".."));
	IS(l_stat(".").st_ino, f_stat(top).st_ino);
	close(d);
	/* One of the same name is another. */
	OK(mkdir("d", 0700));
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d"));
	OK(mkdir("d", 0700));
	l_file("d/in", "");
	ERR(ENOENT, openat(d, "in", O_RDONLY));
	IS(f_stat(d).st_nlink, 0);
	close(d);
	close(top);
}

/* In the middle of a listing, too. */
GROUP(gone_dir_listing)
{
	char name[32];
	DIR *d;
	struct dirent *e;

	OK(mkdir("d", 0700));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		l_file(name, "");
	}
	T((d = opendir("d")) != NULL);
	T(readdir(d) != NULL);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		if (unlink(name) != 0)
			OK(-1);
	}
	OK(rmdir("d"));
	errno = 0;
	while ((e = readdir(d)))
		;
	rewinddir(d);
	errno = 0;
	T((e = readdir(d)) == NULL);
	closedir(d);
}

GROUP(rename_over_open)
{
	int old, new;
	char *m;

	l_file("old", "old text");
	l_file("new", "new text, longer");
	OK(old = open("old", O_RDWR));
	OK(new = open("new", O_RDWR));
	m = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, old, 0);
	T(m != MAP_FAILED);
	OK(rename("new", "old"));
	IS(f_stat(old).st_nlink, 0);
	IS(f_stat(new).st_nlink, 1);
	T(l_holds("old", "new text, longer"));
	T(!l_exists("new"));
	IS(l_stat("old").st_ino, f_stat(new).st_ino);
	/* Each goes on being what it was. */
	IS(f_stat(old).st_size, 8);
	T(memcmp(m, "old text", 8) == 0);
	IS(pwrite(old, "OLD", 3, 0), 3);
	IS(m[0], 'O');
	IS(pwrite(new, "NEW", 3, 0), 3);
	T(l_holds("old", "NEW text, longer"));
	IS(m[0], 'O');
	OK(ftruncate(old, 0));
	IS(f_stat(new).st_size, 16);
	ERR(ENOENT, linkat(AT_FDCWD, by_fd(old), AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
	munmap(m, 8);
	close(old);
	/* With another name left. */
	OK(link("old", "also"));
	l_file("n", "n");
	OK(rename("n", "old"));
	IS(f_stat(new).st_nlink, 1);
	T(l_holds("also", "NEW text, longer") && l_holds("old", "n"));
	close(new);
	/* Names of one node: nothing happens. */
	OK(link("old", "same"));
	OK(rename("old", "same"));
	T(l_exists("old") && l_exists("same"));
	IS(l_stat("old").st_nlink, 2);
}

GROUP(rename_over_open_more)
{
	int old, new, d;

	/* Two change places. */
	l_file("old", "n");
	l_file("also", "NEW text, longer");
	OK(old = open("old", O_RDONLY));
	OK(new = open("also", O_RDONLY));
	OK(renameat2(AT_FDCWD, "old", AT_FDCWD, "also", RENAME_EXCHANGE));
	IS(f_stat(old).st_ino, l_stat("also").st_ino);
	IS(f_stat(new).st_ino, l_stat("old").st_ino);
	T(all(old, 0, 1, 'n'));
	T(l_holds("also", "n") && l_holds("old", "NEW text, longer"));
	close(old);
	close(new);
	/* Directories: the one that is replaced is empty. */
	OK(mkdir("d", 0700));
	OK(mkdir("e", 0700));
	l_file("e/in", "");
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	OK(rename("e", "d"));
	IS(f_stat(d).st_nlink, 0);
	ERR(ENOENT, openat(d, "in", O_RDONLY));
	ERR(ENOENT, mkdirat(d, "x", 0700));
	ERR(ENOENT, list_fd(d));
	T(l_exists("d/in"));
	close(d);
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	OK(mkdir("f", 0700));
	OK(rename("d", "f/moved"));
	OK(faccessat(d, "in", F_OK, 0));
	OK(mkdirat(d, "x", 0700));
	T(l_exists("f/moved/x"));
	struct stat st;
	OK(fstatat(d, "..", &st, 0));
	IS(st.st_ino, l_stat("f").st_ino);
	close(d);
	/* What is executed or locked can be replaced, too. */
	OK(old = open("old", O_RDWR));
	OK(flock(old, LOCK_EX));
	l_file("n", "n");
	OK(rename("n", "old"));
	OK(new = open("old", O_RDWR));
	OK(flock(new, LOCK_EX | LOCK_NB));
	close(old);
	close(new);
}
