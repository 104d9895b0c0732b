/*
 * The list, part one: names, directories, and what links them.  See list.h.
 */
#include "list.h"

#include <sys/sysmacros.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#define RENAME_WHITEOUT  4
#endif

/* A name of n bytes. */
static const char *
name_of(size_t n)
{
	static char buf[8192];

	memset(buf, 'n', n);
	buf[n] = '\0';
	return buf;
}

static int
rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

GROUP(open_flags)
{
	int fd;

	ERR(ENOENT, open("a", O_RDONLY));
	ERR(ENOENT, open("no/a", O_CREAT | O_RDWR, 0644));
	OK(fd = open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
	IS(l_stat("a").st_mode, S_IFREG | 0640);
	IS(l_stat("a").st_size, 0);
	IS(write(fd, "hello", 5), 5);
	close(fd);
	ERR(EEXIST, open("a", O_CREAT | O_EXCL | O_RDWR, 0644));
	OK(fd = open("a", O_CREAT | O_RDWR, 0600));
	IS(l_stat("a").st_mode, S_IFREG | 0640);
	IS(l_stat("a").st_size, 5);
	close(fd);
	OK(fd = open("a", O_WRONLY | O_TRUNC));
	IS(l_stat("a").st_size, 0);
	close(fd);
	ERR(ENOTDIR, open("a/b", O_RDONLY));
	ERR(ENOTDIR, open("a/b", O_CREAT | O_RDWR, 0644));
	ERR(ENOTDIR, open("a", O_RDONLY | O_DIRECTORY));
	OK(mkdir("d", 0755));
	ERR(EISDIR, open("d", O_WRONLY));
	ERR(EISDIR, open("d", O_CREAT | O_RDWR, 0644));
	ERR(EISDIR, open("new/", O_CREAT | O_RDWR, 0644));
	OK(fd = open("d", O_RDONLY | O_DIRECTORY));
	ERR(EISDIR, read(fd, &fd, 1));
	close(fd);
	OK(symlink("a", "l"));
	ERR(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
	ERR(EEXIST, open("l", O_CREAT | O_EXCL | O_RDWR, 0644));
	OK(symlink("made", "dangling"));
	ERR(ENOENT, open("dangling", O_RDONLY));
	OK(fd = open("dangling", O_CREAT | O_WRONLY, 0644));
	close(fd);
	T(l_exists("made"));
	OK(symlink("loop", "loop"));
	ERR(ELOOP, open("loop", O_RDONLY));
}

GROUP(open_modes)
{
	char c;
	int fd;

	l_file("a", "text");
	OK(fd = open("a", O_RDONLY));
	ERR(EBADF, write(fd, "x", 1));
	close(fd);
	OK(fd = open("a", O_WRONLY));
	ERR(EBADF, read(fd, &c, 1));
	close(fd);
	OK(fd = open("a", O_WRONLY | O_APPEND));
	IS(write(fd, "12", 2), 2);
	IS(lseek(fd, 0, SEEK_SET), 0);
	IS(write(fd, "34", 2), 2);
	close(fd);
	T(l_holds("a", "text1234"));
	OK(fd = open("a", O_PATH));
	ERR(EBADF, read(fd, &c, 1));
	close(fd);
	umask(077);
	OK(fd = open("masked", O_CREAT | O_RDWR, 0666));
	IS(l_stat("masked").st_mode, S_IFREG | 0600);
	close(fd);
	OK(fd = open("readonly", O_CREAT | O_RDWR, 0400));
	IS(write(fd, "x", 1), 1);
	close(fd);
	IS(l_stat("readonly").st_mode, S_IFREG | 0400);
}

GROUP(names)
{
	DIR *d;
	struct dirent *e;
	unsigned found = 0;

	OK(mkdir(name_of(255), 0755));
	OK(rmdir(name_of(255)));
	ERR(ENAMETOOLONG, mkdir(name_of(256), 0755));
	ERR(ENAMETOOLONG, open(name_of(256), O_CREAT | O_RDWR, 0644));
	ERR(ENAMETOOLONG, open(name_of(256), O_RDONLY));
	ERR(ENAMETOOLONG, symlink("x", name_of(256)));
	ERR(ENAMETOOLONG, mknod(name_of(256), S_IFIFO | 0644, 0));
	ERR(ENAMETOOLONG, unlink(name_of(256)));
	ERR(ENAMETOOLONG, rmdir(name_of(256)));
	l_file("a", "");
	ERR(ENAMETOOLONG, link("a", name_of(256)));
	ERR(ENAMETOOLONG, rename("a", name_of(256)));
	ERR(ENAMETOOLONG, open(name_of(5000), O_RDONLY));
	OK(link("a", name_of(255)));
	OK(unlink(name_of(255)));
	/* Any byte but a slash and NUL. */
	OK(mkdir("\x01\xff\n\t \\\"*", 0755));
	OK(mkdir("...", 0755));
	OK(mkdir("\xc3\xa4", 0755));
	OK(mkdir("A", 0755));
	d = opendir(".");
	while (d && (e = readdir(d)))
		found += strcmp(e->d_name, "\x01\xff\n\t \\\"*") == 0;
	if (d)
		closedir(d);
	IS(found, 1);
	T(l_exists("a") && l_exists("A"));
	ERR(ENOENT, open("", O_RDONLY));
	ERR(ENOENT, mkdir("", 0755));
	ERR(ENOTDIR, mkdir("a/b", 0755));
	ERR(ENOENT, mkdir("no/b", 0755));
}

GROUP(mkdir_rmdir)
{
	int fd;

	IS(l_stat(".").st_nlink, 2);
	OK(mkdir("d", 01777));
	IS(l_stat("d").st_mode, S_IFDIR | 01755);
	IS(l_stat("d").st_nlink, 2);
	IS(l_stat(".").st_nlink, 3);
	OK(mkdir("d/e", 0700));
	IS(l_stat("d").st_nlink, 3);
	ERR(EEXIST, mkdir("d", 0755));
	ERR(EEXIST, mkdir(".", 0755));
	ERR(EEXIST, mkdir("d/..", 0755));
	l_file("f", "");
	ERR(EEXIST, mkdir("f", 0755));
	OK(symlink("nowhere", "l"));
	ERR(EEXIST, mkdir("l", 0755));
	ERR(ENOTEMPTY, rmdir("d"));
	ERR(ENOTDIR, rmdir("f"));
	ERR(ENOTDIR, rmdir("l"));
	ERR(ENOENT, rmdir("no"));
	ERR(EINVAL, rmdir("d/e/."));
	ERR(ENOTEMPTY, rmdir("d/e/.."));
	OK(fd = open("d/e", O_RDONLY | O_DIRECTORY));
	OK(rmdir("d/e"));
	IS(l_stat("d").st_nlink, 2);
	struct stat st;
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	ERR(ENOENT, openat(fd, "x", O_CREAT | O_RDWR, 0644));
	ERR(ENOENT, mkdirat(fd, "x", 0755));
	ERR(ENOENT, symlinkat("t", fd, "x"));
	ERR(ENOENT, linkat(AT_FDCWD, "f", fd, "x", 0));
	ERR(ENOENT, renameat(AT_FDCWD, "f", fd, "x"));
	ERR(ENOENT, openat(fd, "x", O_RDONLY));
	close(fd);
	OK(rmdir("d"));
	IS(l_stat(".").st_nlink, 2);
	OK(mkdir("slash/", 0755));
	OK(rmdir("slash/"));
}

GROUP(unlink)
{
	struct stat st;
	char buf[8];
	int fd;

	ERR(ENOENT, unlink("no"));
	OK(mkdir("d", 0755));
	ERR(EISDIR, unlink("d"));
	ERR(ENOENT, unlink("no/a"));
	l_file("f", "content");
	ERR(ENOTDIR, unlink("f/a"));
	ERR(ENOTDIR, unlink("f/"));
	OK(fd = open("f", O_RDWR));
	OK(unlink("f"));
	ERR(ENOENT, open("f", O_RDONLY));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	IS(st.st_size, 7);
	IS(pread(fd, buf, 7, 0), 7);
	T(memcmp(buf, "content", 7) == 0);
	IS(pwrite(fd, "XY", 2, 7), 2);
	OK(ftruncate(fd, 9));
	OK(fchmod(fd, 0600));
	OK(fsync(fd));
	OK(fstat(fd, &st));
	IS(st.st_size, 9);
	IS(st.st_mode, S_IFREG | 0600);
	/* The name is free for another file. */
	l_file("f", "other");
	T(l_stat("f").st_ino != st.st_ino);
	IS(pread(fd, buf, 7, 0), 7);
	T(memcmp(buf, "content", 7) == 0);
	close(fd);
	T(l_holds("f", "other"));
	OK(symlink("f", "l"));
	OK(unlink("l"));
	T(l_exists("f"));
	OK(mkfifo("p", 0600));
	OK(unlink("p"));
}

GROUP(link)
{
	struct stat a, b;
	int fd;

	l_file("a", "one");
	OK(link("a", "b"));
	a = l_stat("a");
	b = l_stat("b");
	IS(a.st_ino, b.st_ino);
	IS(a.st_nlink, 2);
	IS(b.st_nlink, 2);
	l_file("b", "two!");
	T(l_holds("a", "two!"));
	IS(l_stat("a").st_size, 4);
	OK(chmod("b", 0600));
	IS(l_stat("a").st_mode, S_IFREG | 0600);
	ERR(EEXIST, link("a", "b"));
	ERR(EEXIST, link("a", "a"));
	ERR(ENOENT, link("no", "c"));
	ERR(ENOENT, link("a", "no/c"));
	ERR(ENOTDIR, link("a", "b/c"));
	OK(mkdir("d", 0755));
	ERR(EPERM, link("d", "e"));
	ERR(EEXIST, link("a", "d"));
	OK(link("a", "d/c"));
	IS(l_stat("a").st_nlink, 3);
	OK(symlink("a", "l"));
	OK(link("l", "l2"));
	IS(l_stat("l").st_nlink, 2);
	T(S_ISLNK(l_stat("l2").st_mode));
	OK(mkfifo("p", 0600));
	OK(link("p", "p2"));
	IS(l_stat("p2").st_nlink, 2);
	OK(unlink("a"));
	IS(l_stat("b").st_nlink, 2);
	OK(fd = open("b", O_RDONLY));
	OK(unlink("b"));
	OK(unlink("d/c"));
	/* Without O_TMPFILE a file that has lost its last name cannot get another. */
	char proc[32];
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ERR(ENOENT, linkat(AT_FDCWD, proc, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
	close(fd);
}

GROUP(symlink)
{
	static char target[8192], got[8192];
	static const size_t lens[] = {1, 59, 60, 127, 128, 255, 1023, 1024, 4094, 4095};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		memset(target, 't', lens[i]);
		target[lens[i]] = '\0';
		OK(symlink(target, "l"));
		IS(readlink("l", got, sizeof(got)), lens[i]);
		T(memcmp(got, target, lens[i]) == 0);
		IS(l_stat("l").st_size, lens[i]);
		OK(unlink("l"));
	}
	memset(target, 't', 4096);
	target[4096] = '\0';
	ERR(ENAMETOOLONG, symlink(target, "l"));
	ERR(ENOENT, symlink("", "l"));
	OK(symlink("x", "l"));
	ERR(EEXIST, symlink("y", "l"));
	IS(readlink("l", got, 1), 1);
	IS(l_stat("l").st_mode, S_IFLNK | 0777);
	l_file("f", "");
	ERR(EINVAL, readlink("f", got, 10));
	ERR(EINVAL, readlink(".", got, 10));
	OK(mkdir("d", 0755));
	OK(symlink("d", "ld"));
	l_file("ld/x", "through");
	T(l_holds("d/x", "through"));
	OK(symlink("../f", "d/up"));
	l_file("d/up", "up");
	T(l_holds("f", "up"));
	ERR(ENOTDIR, rmdir("ld"));
	ERR(ENOTDIR, open("f/..", O_RDONLY));
}

GROUP(mknod_kinds)
{
	OK(mknod("reg", S_IFREG | 0644, 0));
	IS(l_stat("reg").st_mode, S_IFREG | 0644);
	OK(mknod("fifo", S_IFIFO | 0600, 0));
	IS(l_stat("fifo").st_mode, S_IFIFO | 0600);
	OK(mknod("sock", S_IFSOCK | 0777, 0));
	IS(l_stat("sock").st_mode, S_IFSOCK | 0755);
	OK(mknod("chr", S_IFCHR | 0666, makedev(1, 3)));
	IS(l_stat("chr").st_mode, S_IFCHR | 0644);
	IS(l_stat("chr").st_rdev, makedev(1, 3));
	OK(mknod("blk", S_IFBLK | 0600, makedev(259, 70000)));
	IS(l_stat("blk").st_rdev, makedev(259, 70000));
	OK(mknod("whiteout", S_IFCHR, makedev(0, 0)));
	IS(l_stat("whiteout").st_mode, S_IFCHR);
	IS(l_stat("whiteout").st_rdev, 0);
	ERR(EEXIST, mknod("reg", S_IFREG | 0644, 0));
	ERR(EEXIST, mknod("fifo", S_IFIFO | 0644, 0));
	ERR(EEXIST, mknod(".", S_IFIFO | 0644, 0));
	ERR(EPERM, mknod("dir", S_IFDIR | 0755, 0));
	ERR(EINVAL, mknod("odd", S_IFLNK | 0755, 0));
	ERR(ENOENT, mknod("no/f", S_IFIFO | 0644, 0));
	ERR(ENOTDIR, mknod("reg/f", S_IFIFO | 0644, 0));
	IS(l_stat("sock").st_nlink, 1);
	IS(l_stat(".").st_nlink, 2);
	OK(rename("fifo", "fifo2"));
	OK(link("chr", "chr2"));
	IS(l_stat("chr2").st_rdev, makedev(1, 3));
	ERR(ENXIO, open("sock", O_RDONLY));
	ERR(ENXIO, open("fifo2", O_WRONLY | O_NONBLOCK));
	int r = open("fifo2", O_RDWR | O_NONBLOCK);
	OK(r);
	IS(write(r, "x", 1), 1);
	char c;
	IS(read(r, &c, 1), 1);
	close(r);
}

GROUP(rename_files)
{
	struct stat a;

	ERR(ENOENT, rename("no", "x"));
	ERR(ENOENT, rename("no/a", "x"));
	l_file("a", "A");
	a = l_stat("a");
	ERR(ENOENT, rename("a", "no/x"));
	OK(rename("a", "a"));
	OK(rename("a", "b"));
	T(!l_exists("a"));
	IS(l_stat("b").st_ino, a.st_ino);
	IS(l_stat("b").st_nlink, 1);
	l_file("c", "C");
	OK(rename("b", "c"));
	T(!l_exists("b"));
	T(l_holds("c", "A"));
	OK(link("c", "c2"));
	/* Two names of one file: nothing happens. */
	OK(rename("c", "c2"));
	T(l_exists("c") && l_exists("c2"));
	IS(l_stat("c").st_nlink, 2);
	OK(mkdir("d", 0755));
	ERR(EISDIR, rename("c", "d"));
	ERR(ENOTDIR, rename("d", "c"));
	ERR(ENOTDIR, rename("c/x", "y"));
	ERR(ENOTDIR, rename("c", "c2/y"));
	ERR(ENOTDIR, rename("c", "new/"));
	OK(rename("c", "d/c"));
	T(l_holds("d/c", "A"));
	l_file("e", "E");
	OK(rename("e", "d/c"));
	T(l_holds("d/c", "E"));
	IS(l_stat("c2").st_nlink, 1);
	OK(symlink("c2", "l"));
	OK(rename("l", "l2"));
	T(S_ISLNK(l_stat("l2").st_mode));
	OK(rename("l2", "c2"));
	T(S_ISLNK(l_stat("c2").st_mode));
	int fd = open("d/c", O_RDONLY);
	l_file("z", "Z");
	OK(rename("z", "d/c"));
	OK(fstat(fd, &a));
	IS(a.st_nlink, 0);
	char ch = 0;
	IS(pread(fd, &ch, 1, 0), 1);
	IS(ch, 'E');
	close(fd);
}

GROUP(rename_dirs)
{
	ino_t ino, up;

	OK(mkdir("a", 0755));
	OK(mkdir("a/b", 0755));
	OK(mkdir("a/b/c", 0755));
	OK(mkdir("t", 0755));
	ERR(EINVAL, rename("a", "a/x"));
	ERR(EINVAL, rename("a", "a/b/x"));
	ERR(EINVAL, rename("a", "a/b"));
	ERR(EINVAL, rename("a/b", "a/b/c"));
	ERR(ENOTEMPTY, rename("a/b", "a"));
	ERR(ENOTEMPTY, rename("a/b/c", "a"));
	ERR(ENOTEMPTY, rename("t", "a"));
	ERR(EBUSY, rename(".", "x"));
	ERR(EBUSY, rename("t", "."));
	ERR(EBUSY, rename("t/..", "x"));
	ERR(EBUSY, rename("t", "a/.."));
	OK(rename("a", "a"));
	ino = l_stat("a/b").st_ino;
	up = l_stat("t").st_ino;
	IS(l_stat("a").st_nlink, 3);
	OK(rename("a/b", "t/b"));
	IS(l_stat("a").st_nlink, 2);
	IS(l_stat("t").st_nlink, 3);
	IS(l_stat("t/b").st_ino, ino);
	IS(l_stat("t/b/..").st_ino, up);
	T(l_exists("t/b/c"));
	OK(mkdir("e", 0755));
	/* An empty directory is replaced. */
	OK(rename("t/b", "e"));
	IS(l_stat("e").st_ino, ino);
	IS(l_stat("e").st_nlink, 3);
	IS(l_stat("t").st_nlink, 2);
	IS(l_stat(".").st_nlink, 5);
	OK(rename("e/", "f/"));
	T(l_exists("f/c"));
	/* A directory that is held open goes on where it is. */
	int fd = open("f", O_RDONLY | O_DIRECTORY);
	OK(rename("f", "t/g"));
	OK(mkdirat(fd, "in", 0755));
	T(l_exists("t/g/in"));
	struct stat st;
	OK(fstatat(fd, "..", &st, 0));
	IS(st.st_ino, up);
	close(fd);
}

GROUP(rename_flags)
{
	ino_t a, b;

	l_file("a", "A");
	l_file("b", "B");
	ERR(EEXIST, rename2("a", "b", RENAME_NOREPLACE));
	OK(mkdir("d", 0755));
	ERR(EEXIST, rename2("a", "d", RENAME_NOREPLACE));
	ERR(EEXIST, rename2("a", "a", RENAME_NOREPLACE));
	OK(rename2("a", "c", RENAME_NOREPLACE));
	T(!l_exists("a") && l_holds("c", "A"));
	ERR(ENOENT, rename2("c", "no", RENAME_EXCHANGE));
	ERR(ENOENT, rename2("no", "c", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("c", "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
	ERR(EINVAL, rename2("c", "b", RENAME_EXCHANGE | RENAME_WHITEOUT));
	ERR(EINVAL, rename2("c", "b", 1u << 12));
	a = l_stat("c").st_ino;
	b = l_stat("b").st_ino;
	OK(rename2("c", "b", RENAME_EXCHANGE));
	IS(l_stat("b").st_ino, a);
	IS(l_stat("c").st_ino, b);
	T(l_holds("b", "A") && l_holds("c", "B"));
	OK(rename2("c", "c", RENAME_EXCHANGE));
	OK(mkdir("d/sub", 0755));
	/* A file and a directory change places; link counts follow. */
	OK(rename2("d/sub", "b", RENAME_EXCHANGE));
	T(S_ISDIR(l_stat("b").st_mode) && S_ISREG(l_stat("d/sub").st_mode));
	IS(l_stat("d").st_nlink, 2);
	IS(l_stat(".").st_nlink, 4);
	IS(l_stat("b/..").st_ino, l_stat(".").st_ino);
	OK(mkdir("e", 0755));
	OK(mkdir("e/full", 0755));
	OK(rename2("d", "e", RENAME_EXCHANGE));
	T(l_exists("d/full") && l_exists("e/sub"));
	ERR(EINVAL, rename2("d", "d/full", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("d/full", "d", RENAME_EXCHANGE));
	OK(rename2("d/full", "e/sub", RENAME_EXCHANGE));
	IS(l_stat("e").st_nlink, 3);
	IS(l_stat("d").st_nlink, 2);
	IS(l_stat("e/sub/..").st_ino, l_stat("e").st_ino);
}

GROUP(whiteouts)
{
	l_file("a", "A");
	l_file("c", "C");
	OK(rename2("a", "b", RENAME_WHITEOUT));
	T(l_holds("b", "A"));
	IS(l_stat("a").st_mode & S_IFMT, S_IFCHR);
	IS(l_stat("a").st_rdev, 0);
	OK(rename2("b", "c", RENAME_WHITEOUT));
	T(l_holds("c", "A"));
	IS(l_stat("b").st_mode & S_IFMT, S_IFCHR);
	OK(mkdir("d", 0755));
	OK(rename2("d", "e", RENAME_WHITEOUT));
	IS(l_stat("d").st_mode & S_IFMT, S_IFCHR);
	T(S_ISDIR(l_stat("e").st_mode));
	ERR(EEXIST, rename2("c", "b", RENAME_WHITEOUT | RENAME_NOREPLACE));
	OK(rename2("c", "f", RENAME_WHITEOUT | RENAME_NOREPLACE));
	OK(unlink("a"));
	OK(rename("f", "b"));
	T(l_holds("b", "A"));
}

GROUP(deep)
{
	int top = open(".", O_RDONLY | O_DIRECTORY);
	unsigned n, bad = 0;
	struct stat st;

	for (n = 0; n < 1000; n++)
		if (mkdir("deep", 0755) != 0 || chdir("deep") != 0)
			break;
	IS(n, 1000);
	l_file("bottom", "here");
	T(l_holds("bottom", "here"));
	for (n = 0; n < 1000; n++)
		bad += chdir("..") != 0;
	IS(bad, 0);
	struct stat here;
	OK(fstat(top, &st));
	OK(stat(".", &here));
	IS(here.st_ino, st.st_ino);
	close(top);
}
