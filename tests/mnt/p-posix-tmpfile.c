/*
 * POSIX, name by name: files without a name, O_TMPFILE, and how they come to one.  See
 * posix.h.
 */
#include "posix.h"

#include <sys/xattr.h>

static const char *
proc(int fd)
{
	static char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static int
give_name(int fd, const char *name)
{
	return linkat(AT_FDCWD, proc(fd), AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

GROUP(tmpfile_made)
{
	struct stat st, two;
	char buf[8];
	int fd, fd2;

	MUST(mkdir("d", 0755));
	MARK("d", ".");
	OK(fd = open("d", O_TMPFILE | O_RDWR, 0640));
	OK(fstat(fd, &st));
	MOVED("d", NONE);
	IS(entries("d"), 0);
	IS(st.st_mode, S_IFREG | 0640);
	IS(st.st_nlink, 0);
	IS(st.st_size, 0);
	IS(st.st_uid, 0);
	IS(st.st_gid, 0);
	T(st.st_dev == l_stat("d").st_dev && st.st_ino != l_stat("d").st_ino);
	T(after(st.st_mtim, p_marks[0].st.st_ctim) > 0);
	T(after(st.st_ctim, p_marks[0].st.st_ctim) > 0);
	OK(fd2 = open("d", O_TMPFILE | O_WRONLY, 0600));
	OK(fstat(fd2, &two));
	T(st.st_ino != two.st_ino);
	ERR(EBADF, read(fd2, buf, 1));
	close(fd2);
	IS(write(fd, "text", 4), 4);
	IS(pread(fd, buf, 8, 0), 4);
	T(memcmp(buf, "text", 4) == 0);
	OK(ftruncate(fd, 2));
	OK(fchmod(fd, 0604));
	OK(fchown(fd, ANN_UID, CLUB));
	OK(futimens(fd, NULL));
	OK(fstat(fd, &st));
	IS(st.st_size, 2);
	IS(st.st_mode, S_IFREG | 0604);
	IS(st.st_uid, ANN_UID);
	IS(st.st_nlink, 0);
	/* It can be opened again. */
	OK(fd2 = open(proc(fd), O_RDONLY));
	IS(read(fd2, buf, 8), 2);
	close(fd2);
	close(fd);
	IS(entries("d"), 0);
	OK(rmdir("d"));
	/* In the directory itself, by its descriptor. */
	OK(fd = openat(AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0777));
	OK(fstat(fd, &st));
	IS(st.st_mode, S_IFREG | 0755);
	close(fd);
	umask(077);
	OK(fd = open(".", O_TMPFILE | O_RDWR, 0777));
	OK(fstat(fd, &st));
	IS(st.st_mode, S_IFREG | 0700);
	close(fd);
	umask(022);
	OK(fd = open(".", O_TMPFILE | O_RDWR, 0));
	IS(write(fd, "x", 1), 1);
	close(fd);
}

GROUP(tmpfile_refused)
{
	l_file("f", "");
	MUST(symlink("f", "l"));
	MUST(symlink("no", "dangling"));
	MUST(mkdir("d", 0755));
	MARK("d", ".");
	ERR(EINVAL, open("d", O_TMPFILE | O_RDONLY, 0600));
	ERR(EINVAL, open("d", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	ERR(ENOENT, open("no", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOENT, open("", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOENT, open("dangling", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOTDIR, open("f", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOTDIR, open("l", O_TMPFILE | O_RDWR, 0600));
	ERR(ENOTDIR, open("f/x", O_TMPFILE | O_RDWR, 0600));
	ERR(ENAMETOOLONG, open(name_of(256), O_TMPFILE | O_RDWR, 0600));
	ERR(EBADF, openat(-1, "d", O_TMPFILE | O_RDWR, 0600));
	BY (ann)
		ERR(EACCES, open("d", O_TMPFILE | O_RDWR, 0600));
	make(DIRECTORY, "blind", 0766, 0, 0);
	BY (bob)
		ERR(EACCES, open("blind", O_TMPFILE | O_RDWR, 0600));
	MOVED("d", NONE);
}

GROUP(tmpfile_named)
{
	struct stat st;
	int fd;

	MUST(mkdir("d", 0755));
	MUST(mkdir("e", 0755));
	l_file("taken", "taken");
	OK(fd = open("d", O_TMPFILE | O_RDWR, 0640));
	IS(write(fd, "text", 4), 4);
	ERR(EEXIST, give_name(fd, "taken"));
	ERR(ENOENT, give_name(fd, "no/f"));
	ERR(ENOTDIR, give_name(fd, "taken/f"));
	ERR(EXDEV, give_name(fd, "/dev/none"));
	ERR(ENAMETOOLONG, give_name(fd, name_of(256)));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	MARK("d", "e", ".");
	OK(give_name(fd, "d/f"));
	MOVED("d", MT | CT);
	OK(fstat(fd, &st));
	IS(st.st_nlink, 1);
	T(after(st.st_ctim, p_marks[0].st.st_ctim) > 0);
	IS(l_stat("d/f").st_ino, st.st_ino);
	NODE("d/f", S_IFREG | 0640, 0, 0);
	T(l_holds("d/f", "text"));
	/* From then on like any other. */
	OK(give_name(fd, "e/g"));
	IS(l_stat("e/g").st_nlink, 2);
	OK(link("d/f", "h"));
	IS(write(fd, "s", 1), 1);
	close(fd);
	T(l_holds("e/g", "texts"));
	OK(rename("h", "taken"));
	T(l_holds("taken", "texts"));
	OK(unlink("d/f"));
	OK(unlink("e/g"));
	OK(unlink("taken"));
	/* By the descriptor alone. */
	OK(fd = open(".", O_TMPFILE | O_WRONLY, 0600));
	OK(linkat(fd, "", AT_FDCWD, "f", AT_EMPTY_PATH));
	T(l_exists("f"));
	close(fd);
	OK(unlink("f"));
	/* One that is to have none ever. */
	OK(fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	ERR(ENOENT, give_name(fd, "f"));
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "f", AT_EMPTY_PATH));
	IS(write(fd, "x", 1), 1);
	close(fd);
	T(!l_exists("f"));
	/* And one that has lost it gets none again. */
	OK(fd = open(".", O_TMPFILE | O_RDWR, 0600));
	OK(give_name(fd, "f"));
	OK(unlink("f"));
	ERR(ENOENT, give_name(fd, "f"));
	close(fd);
}

GROUP(tmpfile_owner)
{
	struct stat st;

	make(DIRECTORY, "open", 0777, 0, 0);
	make(DIRECTORY, "club", 02777, 0, CLUB);
	make(DIRECTORY, "shut", 0755, 0, 0);
	BY (ann) {
		int fd;
		OK(fd = open("open", O_TMPFILE | O_RDWR, 0664));
		OK(fstat(fd, &st));
		IS(st.st_uid, ANN_UID);
		IS(st.st_gid, ANN_GID);
		IS(st.st_mode, S_IFREG | 0644);
		IS(write(fd, "mine", 4), 4);
		ERR(EACCES, give_name(fd, "shut/f"));
		OK(give_name(fd, "open/f"));
		close(fd);
		OK(fd = open("club", O_TMPFILE | O_RDWR, 0600));
		OK(fstat(fd, &st));
		IS(st.st_uid, ANN_UID);
		IS(st.st_gid, CLUB);
		OK(give_name(fd, "club/f"));
		close(fd);
	}
	NODE("open/f", S_IFREG | 0644, ANN_UID, ANN_GID);
	NODE("club/f", S_IFREG | 0600, ANN_UID, CLUB);
	T(l_holds("open/f", "mine"));
	BY (bob) {
		int fd;
		OK(fd = open("club", O_TMPFILE | O_RDWR, 02775));
		OK(fstat(fd, &st));
		IS(st.st_uid, BOB_UID);
		IS(st.st_gid, CLUB);
		/* Not of the group: without its bit. */
		IS(st.st_mode, S_IFREG | 0755);
		OK(give_name(fd, "club/bobs"));
		close(fd);
	}
	NODE("club/bobs", S_IFREG | 0755, BOB_UID, CLUB);
}
