/*
 * POSIX, name by name: open and creat: their flags, and what they do to what is there.
 * What a mode allows is in p-posix-access.c.  See posix.h.
 */
#include "posix.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/xattr.h>

/* The same, with the descriptor closed at once. */
static long
oc(const char *p, int flags)
{
	int fd = open(p, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

GROUP(open_times)
{
	int fd;

	l_file("f", "text");
	MARK("f", ".");
	OK(oc("f", O_RDONLY));
	OK(oc("f", O_WRONLY));
	OK(oc("f", O_RDWR | O_APPEND));
	OK(oc("f", O_RDWR | O_CREAT));
	OK(oc("f", O_PATH));
	ERR(EEXIST, oc("f", O_RDWR | O_CREAT | O_EXCL));
	ERR(EEXIST, oc("f", O_RDWR | O_CREAT | O_EXCL | O_TRUNC));
	MOVED("f", NONE);
	MOVED(".", NONE);
	T(l_holds("f", "text"));
	MARK("f", ".");
	OK(oc("f", O_WRONLY | O_TRUNC));
	MOVED("f", MT | CT);
	MOVED(".", NONE);
	IS(l_stat("f").st_size, 0);
	/* Empty as it is. */
	MARK("f", ".");
	OK(oc("f", O_WRONLY | O_TRUNC));
	MOVED("f", MT | CT);
	MARK("f", ".");
	fd = (int)OK(creat("f", 0600));
	MOVED("f", MT | CT);
	MOVED(".", NONE);
	IS(perm("f"), 0644);
	MARK("f", ".");
	OK(oc("f", O_CREAT | O_TRUNC | O_RDWR));
	MOVED("f", MT | CT);
	MOVED(".", NONE);
	MARK(".");
	OK(oc("g", O_CREAT | O_TRUNC | O_RDWR));
	MOVED(".", MT | CT);
	FRESH("g");
	MARK(".");
	OK(oc("h", O_CREAT | O_RDONLY));
	MOVED(".", MT | CT);
	FRESH("h");
	/* What exists keeps its owner and mode. */
	make(REG, "anns", 0666, ANN_UID, CLUB);
	BY (bob) {
		OK(oc("anns", O_CREAT | O_WRONLY | O_TRUNC));
		NODE("anns", S_IFREG | 0666, ANN_UID, CLUB);
	}
	(void)fd;
}

/* Reading marks the time of access, where that is older than the others. */
GROUP(open_read_atime)
{
	struct timespec old[2] = {{1000000000, 0}, {1000000001, 0}};
	char c;
	int fd;

	l_file("f", "text");
	MUST(utimensat(AT_FDCWD, "f", old, 0));
	fd = (int)MUST(open("f", O_RDONLY));
	MARK("f");
	IS(read(fd, &c, 1), 1);
	MOVED("f", AT);
	close(fd);
	MUST(utimensat(AT_FDCWD, "f", old, 0));
	fd = (int)MUST(open("f", O_RDONLY | O_NOATIME));
	MARK("f");
	IS(read(fd, &c, 1), 1);
	MOVED("f", NONE);
	close(fd);
	MUST(mkdir("d", 0755));
	MUST(mkdir("d/x", 0755));
	MUST(utimensat(AT_FDCWD, "d", old, 0));
	MARK("d");
	IS(entries("d"), 1);
	MOVED("d", AT);
}

GROUP(open_noatime)
{
	make(REG, "anns", 0666, ANN_UID, ANN_GID);
	OK(oc("anns", O_RDONLY | O_NOATIME));
	BY (ann)
		OK(oc("anns", O_RDONLY | O_NOATIME));
	BY (bob) {
		ERR(EPERM, oc("anns", O_RDONLY | O_NOATIME));
		OK(oc("anns", O_RDONLY));
	}
	/* The mode comes first. */
	MUST(chmod("anns", 0));
	BY (bob)
		ERR(EACCES, oc("anns", O_RDONLY | O_NOATIME));
}

/* Every kind by every flag that says something of kinds. */
GROUP(open_kinds)
{
	static const int devices = O_NONBLOCK;

	for (enum kind k = REG; k < NKINDS; k++) {
		bool dir = k == DIRECTORY, link = k == LNK;

		about(kind_name[k]);
		make(k, "a", 0755, ANN_UID, ANN_GID);
		MARK("a", ".");
		ERR(EEXIST, oc("a", O_CREAT | O_EXCL | O_WRONLY));
		ERR(EEXIST, oc("a", O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW));
		if (dir)
			OK(oc("a", O_DIRECTORY | O_RDONLY));
		else
			ERR(link ? ENOENT : ENOTDIR, oc("a", O_DIRECTORY | O_RDONLY));
		if (link)
			ERR(ELOOP, oc("a", O_NOFOLLOW | O_RDONLY));
		if (link || dir)
			ERR(link ? ENOTDIR : EISDIR,
			    oc("a", O_NOFOLLOW | O_WRONLY | (link ? O_DIRECTORY : 0)));
		if (k == SOCK) {
			ERR(ENXIO, oc("a", O_RDONLY | devices));
			ERR(ENXIO, oc("a", O_RDWR | devices));
		}
		if (k == FIFO) {
			ERR(ENXIO, oc("a", O_WRONLY | devices));
			OK(oc("a", O_RDONLY | devices));
			OK(oc("a", O_RDWR | devices));
			/* It has no bytes to be dropped. */
			OK(oc("a", O_RDWR | O_TRUNC | devices));
			OK(oc("a", O_RDWR | O_CREAT | devices));
		}
		if (dir) {
			ERR(EISDIR, oc("a", O_WRONLY));
			ERR(EISDIR, oc("a", O_RDWR));
			ERR(EISDIR, oc("a", O_RDONLY | O_TRUNC));
			ERR(EISDIR, oc("a", O_RDONLY | O_CREAT));
			ERR(EISDIR, oc("a", O_WRONLY | O_APPEND));
			OK(oc("a/", O_RDONLY));
			OK(oc("a/.", O_RDONLY));
		}
		/* To follow a link is to read it. */
		MOVED("a", link ? AT : NONE);
		MOVED(".", NONE);
		OK(take_away(k, "a"));
	}
}

/* Descriptors that stand for a name. */
GROUP(open_path)
{
	struct stat st;
	char buf[16];

	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "a", 0, ANN_UID, ANN_GID);
		MARK("a");
		/* The mode does not matter. */
		BY (bob) {
			int fd = (int)OK(open("a", O_PATH | O_NOFOLLOW));
			OK(fd = open("a", O_PATH | O_NOFOLLOW));
			OK(fstat(fd, &st));
			IS(st.st_mode & S_IFMT, kind_type[k]);
			ERR(EBADF, read(fd, buf, 1));
			ERR(EBADF, write(fd, "x", 1));
			ERR(EBADF, fchmod(fd, 0777));
			ERR(EBADF, fchown(fd, BOB_UID, BOB_GID));
			ERR(EBADF, ftruncate(fd, 0));
			ERR(EBADF, fallocate(fd, 0, 0, 1));
			ERR(EBADF, fsetxattr(fd, "user.a", "x", 1, 0));
			ERR(EBADF, futimens(fd, NULL));
			ERR(EBADF, fsync(fd));
			ERR(EBADF, lseek(fd, 0, SEEK_SET));
			ERR(EBADF,
			    mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED
				? -1
				: 0);
		}
		MOVED("a", NONE);
		OK(take_away(k, "a"));
	}
	about(NULL);
	/* The other flags but three are ignored with it. */
	l_file("f", "text");
	OK(oc("f", O_PATH | O_TRUNC | O_CREAT | O_EXCL | O_RDWR | O_APPEND));
	T(l_holds("f", "text"));
	ERR(ENOENT, oc("none", O_PATH | O_CREAT));
	ERR(ENOTDIR, oc("f", O_PATH | O_DIRECTORY));
	/* Opened again by way of /proc, the mode is asked for. */
	MUST(chmod("f", 0640));
	int fd = (int)MUST(open("f", O_PATH));
	char proc[40];
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	OK(oc(proc, O_RDWR));
	BY (ann)
		ERR(EACCES, oc(proc, O_RDWR));
	close(fd);
}

GROUP(open_excl)
{
	int fd;

	/* O_EXCL means nothing alone. */
	l_file("f", "text");
	OK(oc("f", O_RDONLY | O_EXCL));
	MUST(symlink("f", "l"));
	MUST(symlink("none", "dangling"));
	ERR(EEXIST, oc("l", O_CREAT | O_EXCL | O_RDWR));
	ERR(EEXIST, oc("dangling", O_CREAT | O_EXCL | O_RDWR));
	T(!l_exists("none"));
	ERR(ELOOP, oc("dangling", O_CREAT | O_NOFOLLOW | O_RDWR));
	OK(oc("dangling", O_CREAT | O_RDWR));
	T(l_exists("none"));
	OK(oc("l", O_CREAT | O_RDWR | O_TRUNC));
	IS(l_stat("f").st_size, 0);
	IS(l_stat("l").st_size, 1);
	/* A mode that forbids what is opened takes hold at the next open. */
	BY (ann)
		ERR(EACCES, oc("new", O_CREAT | O_RDWR));
	MUST(chmod(".", 0777));
	BY (ann) {
		OK(fd = open("new", O_CREAT | O_EXCL | O_RDWR, 0));
		NODE("new", S_IFREG, ANN_UID, ANN_GID);
		IS(write(fd, "mine", 4), 4);
		ERR(EACCES, oc("new", O_RDONLY));
		ERR(EACCES, oc("new", O_CREAT | O_WRONLY));
		ERR(EEXIST, oc("new", O_CREAT | O_EXCL | O_WRONLY));
		OK(fd = creat("ro", 0400));
		IS(write(fd, "mine", 4), 4);
		ERR(EACCES, creat("ro", 0400));
		T(l_holds("ro", "mine"));
	}
	T(l_holds("new", "mine"));
}

/* To drop what is in a file is to write to it. */
GROUP(open_trunc)
{
	make(REG, "f", 0644, ANN_UID, ANN_GID);
	int fd = (int)MUST(open("f", O_WRONLY));
	IS(write(fd, "text", 4), 4);
	close(fd);
	MARK("f");
	BY (bob) {
		ERR(EACCES, oc("f", O_RDONLY | O_TRUNC));
		ERR(EACCES, oc("f", O_WRONLY | O_TRUNC));
		ERR(EACCES, oc("f", O_RDWR | O_TRUNC));
		ERR(EACCES, creat("f", 0666));
		OK(oc("f", O_RDONLY));
	}
	MOVED("f", NONE);
	T(l_holds("f", "text"));
	MUST(chmod("f", 0642));
	MARK("f");
	BY (bob) {
		ERR(EACCES, oc("f", O_RDWR | O_TRUNC));
		ERR(EACCES, oc("f", O_RDONLY | O_TRUNC));
	}
	MOVED("f", NONE);
	BY (bob)
		OK(oc("f", O_WRONLY | O_TRUNC));
	IS(l_stat("f").st_size, 0);
	MOVED("f", MT | CT);
	NODE("f", S_IFREG | 0642, ANN_UID, ANN_GID);
	MUST(chmod("f", 0400));
	BY (ann)
		ERR(EACCES, oc("f", O_WRONLY | O_TRUNC));
	/* Linux takes reading and dropping together. */
	l_file("g", "text");
	OK(oc("g", O_RDONLY | O_TRUNC));
	IS(l_stat("g").st_size, 0);
}

GROUP(open_append)
{
	struct stat st;
	char buf[16];
	int fd, fd2;

	l_file("f", "0123");
	OK(fd = open("f", O_RDWR | O_APPEND));
	IS(lseek(fd, 0, SEEK_CUR), 0);
	IS(write(fd, "45", 2), 2);
	IS(lseek(fd, 0, SEEK_CUR), 6);
	IS(lseek(fd, 1, SEEK_SET), 1);
	IS(read(fd, buf, 2), 2);
	T(memcmp(buf, "12", 2) == 0);
	IS(write(fd, "6", 1), 1);
	IS(lseek(fd, 0, SEEK_CUR), 7);
	/* Linux appends what is written at an offset, too. */
	IS(pwrite(fd, "7", 1, 0), 1);
	T(l_holds("f", "01234567"));
	OK(fd2 = open("f", O_WRONLY));
	IS(pwrite(fd2, "89", 2, 8), 2);
	IS(write(fd, "a", 1), 1);
	T(l_holds("f", "0123456789a"));
	OK(ftruncate(fd, 2));
	IS(write(fd, "b", 1), 1);
	T(l_holds("f", "01b"));
	/* The flag can be taken away and given. */
	OK(fcntl(fd, F_SETFL, 0));
	IS(pwrite(fd, "X", 1, 0), 1);
	T(l_holds("f", "X1b"));
	OK(fcntl(fd2, F_SETFL, O_APPEND));
	IS(write(fd2, "Y", 1), 1);
	T(l_holds("f", "X1bY"));
	struct iovec iov[2] = {{"p", 1}, {"q", 1}};
	IS(pwritev2(fd, iov, 2, 0, RWF_APPEND), 2);
	T(l_holds("f", "X1bYpq"));
	OK(fstat(fd, &st));
	IS(st.st_size, 6);
	close(fd);
	close(fd2);
}

/* A program that runs is not to be written to, nor one that is written to to be run. */
GROUP(open_text_busy)
{
	static char buf[65536];
	int from = (int)MUST(open("/bin/sleep", O_RDONLY));
	int to = (int)MUST(open("prog", O_CREAT | O_WRONLY, 0755));
	ssize_t n;
	int ready[2];
	char c;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		MUST(write(to, buf, (size_t)n) == n ? 0 : -1);
	close(from);
	char *const args[] = {"prog", "1000", NULL};
	char *const env[] = {NULL};
	/* Still open for writing. */
	ERR(ETXTBSY, execve("prog", args, env));
	close(to);
	MUST(pipe2(ready, O_CLOEXEC));
	pid_t pid = fork();
	if (pid == 0) {
		execve("prog", args, env);
		_exit(1);
	}
	close(ready[1]);
	/* Ends when the program has replaced the child. */
	IS(read(ready[0], &c, 1), 0);
	close(ready[0]);
	struct stat was = l_stat("prog");
	tick();
	ERR(ETXTBSY, oc("prog", O_WRONLY));
	ERR(ETXTBSY, oc("prog", O_RDWR));
	ERR(ETXTBSY, oc("prog", O_WRONLY | O_TRUNC));
	ERR(ETXTBSY, creat("prog", 0755));
	ERR(ETXTBSY, truncate("prog", 0));
	/* Its pages are read as it goes, so of its access nothing is known. */
	struct stat is = l_stat("prog");
	IS(after(is.st_mtim, was.st_mtim), 0);
	IS(after(is.st_ctim, was.st_ctim), 0);
	IS(is.st_size, was.st_size);
	OK(oc("prog", O_RDONLY));
	OK(chmod("prog", 0700));
	OK(rename("prog", "prog2"));
	OK(unlink("prog2"));
	kill(pid, SIGKILL);
	IS(waitpid(pid, NULL, 0), pid);
}

GROUP(open_descriptors)
{
	struct rlimit was, now;
	int fd, fd2;

	l_file("f", "text");
	OK(fd = open("f", O_RDONLY | O_CLOEXEC));
	IS(fcntl(fd, F_GETFD), FD_CLOEXEC);
	IS(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	OK(fd2 = open("f", O_RDWR | O_APPEND | O_NONBLOCK));
	T(fd2 > fd);
	IS(fcntl(fd2, F_GETFD), 0);
	IS(fcntl(fd2, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
	    O_RDWR | O_APPEND | O_NONBLOCK);
	ERR(EBADF, write(fd, "x", 1));
	ERR(EINVAL, ftruncate(fd, 0));
	/* No descriptor is free: nothing may be made. */
	MUST(getrlimit(RLIMIT_NOFILE, &was));
	now = was;
	now.rlim_cur = (rlim_t)fd2 + 1;
	MUST(setrlimit(RLIMIT_NOFILE, &now));
	ERR(EMFILE, open("new", O_CREAT | O_RDWR, 0644));
	MUST(setrlimit(RLIMIT_NOFILE, &was));
	T(!l_exists("new"));
	close(fd2);
	close(fd);
	OK(oc("f", O_RDONLY | O_SYNC));
	OK(oc("f", O_RDWR | O_DSYNC));
	ERR(EBADF, openat(-1, "f", O_RDONLY));
	fd = (int)MUST(open("f", O_RDONLY));
	ERR(ENOTDIR, openat(fd, "f", O_RDONLY));
	close(fd);
	/* An absolute path does not look at the directory. */
	OK(fd = openat(-1, "/", O_RDONLY | O_DIRECTORY));
	close(fd);
}

/* Devices are what their numbers say. */
GROUP(open_device)
{
	char c = 'x';
	int fd;

	make(CHR, "null", 0666, 0, 0);
	MUST(unlink("null"));
	MUST(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	MUST(chmod("null", 0666));
	MUST(mknod("zero", S_IFCHR | 0666, makedev(1, 5)));
	MUST(mknod("nothing", S_IFCHR | 0666, makedev(4095, 4095)));
	OK(fd = open("null", O_RDWR));
	IS(write(fd, "text", 4), 4);
	IS(read(fd, &c, 1), 0);
	close(fd);
	OK(fd = open("zero", O_RDONLY));
	IS(read(fd, &c, 1), 1);
	IS(c, 0);
	close(fd);
	ERR(ENXIO, oc("nothing", O_RDONLY));
	BY (bob) {
		OK(oc("null", O_RDWR));
		MARK("null");
		ERR(EINVAL, truncate("null", 0));
		MOVED("null", NONE);
	}
	MUST(chmod("null", 0600));
	BY (bob)
		ERR(EACCES, oc("null", O_WRONLY));
}

/* A fifo joins those who open it by this name. */
GROUP(open_fifo)
{
	char c = 0;
	int in, out;

	MUST(mkfifo("p", 0644));
	MUST(link("p", "q"));
	OK(in = open("p", O_RDONLY | O_NONBLOCK));
	OK(out = open("q", O_WRONLY | O_NONBLOCK));
	IS(write(out, "x", 1), 1);
	IS(read(in, &c, 1), 1);
	IS(c, 'x');
	ERR(EAGAIN, read(in, &c, 1));
	OK(unlink("p"));
	OK(unlink("q"));
	IS(write(out, "y", 1), 1);
	IS(read(in, &c, 1), 1);
	close(out);
	IS(read(in, &c, 1), 0);
	close(in);
}
