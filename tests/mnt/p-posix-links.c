/*
 * POSIX, name by name: link, unlink, symlink, readlink and their -at forms.  See posix.h.
 */
#include "posix.h"

static bool
sysctl_is(const char *name, char value)
{
	char path[80], c = 0;

	snprintf(path, sizeof(path), "/proc/sys/fs/%s", name);
	int fd = open(path, O_RDONLY);
	if (fd >= 0) {
		if (read(fd, &c, 1) != 1)
			c = 0;
		close(fd);
	}
	return c == value;
}

static void
skipping(const char *why)
{
	printf("SKIP %s: %s\n", l_name, why);
	l_skipped++;
}

GROUP(link_kinds)
{
	MUST(mkdir("d", 0755));
	for (enum kind k = REG; k < NKINDS; k++) {
		if (k == DIRECTORY)
			continue;
		about(kind_name[k]);
		make(k, "a", 0640, ANN_UID, CLUB);
		struct stat a = l_stat("a");
		IS(a.st_nlink, 1);
		MARK("a", ".", "d");
		OK(link("a", "d/b"));
		MOVED("a", CT);
		MOVED(".", NONE);
		MOVED("d", MT | CT);
		struct stat b = l_stat("d/b");
		IS(b.st_ino, a.st_ino);
		IS(b.st_nlink, 2);
		IS(l_stat("a").st_nlink, 2);
		NODE("d/b", a.st_mode, ANN_UID, CLUB);
		OK(linkat(AT_FDCWD, "d/b", AT_FDCWD, "c", 0));
		IS(l_stat("c").st_ino, a.st_ino);
		IS(l_stat("a").st_nlink, 3);
		if (k != LNK) {
			/* What is done to one is done to all. */
			OK(chmod("c", 0604));
			OK(chown("a", 3, 4));
			NODE("d/b", kind_type[k] | 0604, 3, 4);
		}
		MARK("c", ".", "d");
		OK(unlink("a"));
		MOVED("c", CT);
		MOVED(".", MT | CT);
		MOVED("d", NONE);
		IS(l_stat("c").st_nlink, 2);
		OK(unlink("d/b"));
		IS(l_stat("c").st_nlink, 1);
		OK(unlink("c"));
		ERR(ENOENT, unlink("c"));
	}
}

/* No name is taken twice, and nothing changes when one would be. */
GROUP(link_exists)
{
	l_file("f", "");
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, 0, 0);
		MARK("f", "a", ".");
		ERR(EEXIST, link("f", "a"));
		MOVED("f", NONE);
		MOVED("a", NONE);
		MOVED(".", NONE);
		IS(l_stat("f").st_nlink, 1);
		OK(take_away(k, "a"));
	}
	about(NULL);
	ERR(EEXIST, link("f", "f"));
	ERR(EEXIST, link("f", "."));
	ERR(EEXIST, link("f", ".."));
	MUST(mkdir("d", 0755));
	ERR(ENOENT, link("f", "g/"));
	ERR(ENOTDIR, link("f", "f/g"));
	ERR(EXDEV, link("f", "/dev/none"));
	ERR(EXDEV, link("/proc/self/status", "g"));
	ERR(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "g", 0x40000000));
	ERR(EBADF, linkat(-1, "f", AT_FDCWD, "g", 0));
	ERR(EBADF, linkat(AT_FDCWD, "f", -1, "g", 0));
	int fd = (int)MUST(open("f", O_RDONLY));
	ERR(ENOTDIR, linkat(fd, "f", AT_FDCWD, "g", 0));
	ERR(ENOTDIR, linkat(AT_FDCWD, "f", fd, "g", 0));
	close(fd);
	IS(l_stat("f").st_nlink, 1);
	IS(entries("."), 2);
}

GROUP(link_directory)
{
	make(DIRECTORY, "d", 0777, ANN_UID, ANN_GID);
	MUST(chmod(".", 0777));
	MARK("d", ".");
	ERR(EPERM, link("d", "e"));
	ERR(EPERM, link(".", "e"));
	ERR(EPERM, linkat(AT_FDCWD, "d", AT_FDCWD, "e", AT_SYMLINK_FOLLOW));
	BY (ann)
		ERR(EPERM, link("d", "e"));
	BY (bob)
		ERR(EPERM, link("d", "e"));
	MOVED("d", NONE);
	MOVED(".", NONE);
	IS(l_stat("d").st_nlink, 2);
}

GROUP(link_user)
{
	bool strict = sysctl_is("protected_hardlinks", '1');

	make(REG, "mine", 0600, ANN_UID, ANN_GID);
	make(REG, "roots", 0644, 0, 0);
	make(REG, "open", 0666, 0, 0);
	make(REG, "setuid", 04777, 0, 0);
	make(REG, "setgid", 02777, 0, 0);
	make(FIFO, "fifo", 0666, 0, 0);
	make(DIRECTORY, "d", 0777, 0, 0);
	make(DIRECTORY, "shut", 0755, 0, 0);
	make(DIRECTORY, "blind", 0766, 0, 0);
	MARK("mine", "shut");
	BY (ann) {
		ERR(EACCES, link("mine", "shut/mine"));
		ERR(EACCES, link("mine", "blind/mine"));
	}
	MOVED("mine", NONE);
	MOVED("shut", NONE);
	BY (ann) {
		OK(link("mine", "d/mine"));
		OK(link("open", "d/open"));
		IS(l_stat("mine").st_nlink, 2);
	}
	BY (bob)
		OK(link("open", "d/open2"));
	NODE("d/mine", S_IFREG | 0600, ANN_UID, ANN_GID);
	NODE("d/open", S_IFREG | 0666, 0, 0);
	IS(l_stat("open").st_nlink, 3);
	if (!strict) {
		skipping("fs.protected_hardlinks is off");
		return;
	}
	/* Links to what is not one's own, and is not open to one. */
	MARK("roots", "mine", "d");
	BY (ann) {
		ERR(EPERM, link("roots", "d/roots"));
		ERR(EPERM, link("setuid", "d/setuid"));
		ERR(EPERM, link("setgid", "d/setgid"));
		ERR(EPERM, link("fifo", "d/fifo"));
	}
	BY (bob)
		ERR(EPERM, link("mine", "d/bobs"));
	MOVED("roots", NONE);
	MOVED("mine", NONE);
	MOVED("d", NONE);
	OK(link("roots", "d/roots"));
	OK(link("setuid", "d/setuid"));
	IS(perm("setuid"), 04777);
}

GROUP(link_symlink)
{
	char path[40];

	l_file("f", "text");
	MUST(symlink("f", "l"));
	MUST(symlink("none", "dangling"));
	OK(link("l", "l2"));
	IS(l_stat("l2").st_mode, S_IFLNK | 0777);
	IS(l_stat("l").st_nlink, 2);
	IS(l_stat("f").st_nlink, 1);
	OK(linkat(AT_FDCWD, "l", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
	IS(l_stat("f2").st_ino, l_stat("f").st_ino);
	IS(l_stat("f").st_nlink, 2);
	OK(link("dangling", "d2"));
	IS(l_stat("dangling").st_nlink, 2);
	ERR(ENOENT, linkat(AT_FDCWD, "dangling", AT_FDCWD, "d3", AT_SYMLINK_FOLLOW));
	/* By a descriptor. */
	int fd = (int)MUST(open("f", O_RDONLY));
	OK(linkat(fd, "", AT_FDCWD, "f3", AT_EMPTY_PATH));
	IS(l_stat("f").st_nlink, 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "f4", AT_SYMLINK_FOLLOW));
	IS(l_stat("f4").st_ino, l_stat("f").st_ino);
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "f5", 0));
	OK(unlink("f"));
	OK(unlink("f2"));
	OK(unlink("f3"));
	OK(unlink("f4"));
	/* One without a name gets none again. */
	ERR(ENOENT, linkat(fd, "", AT_FDCWD, "f6", AT_EMPTY_PATH));
	ERR(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "f6", AT_SYMLINK_FOLLOW));
	close(fd);
}

GROUP(unlink_kinds)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		if (k == DIRECTORY)
			continue;
		make(k, "a", 0644, 0, 0);
		MARK(".");
		OK(unlink("a"));
		MOVED(".", MT | CT);
		T(!l_exists("a"));
		ERR(ENOENT, unlink("a"));
		make(k, "a", 0, BOB_UID, BOB_GID);
		OK(unlinkat(AT_FDCWD, "a", 0));
		T(!l_exists("a"));
		make(k, "a", 0644, 0, 0);
		MARK(".", "a");
		ERR(ENOTDIR, rmdir("a"));
		ERR(ENOTDIR, unlinkat(AT_FDCWD, "a", AT_REMOVEDIR));
		ERR(EINVAL, unlinkat(AT_FDCWD, "a", 0x40000000));
		MOVED("a", NONE);
		MOVED(".", NONE);
		OK(unlink("a"));
	}
}

GROUP(unlink_refused)
{
	make(DIRECTORY, "d", 0777, ANN_UID, ANN_GID);
	MUST(symlink("d", "tod"));
	MUST(chmod(".", 0777));
	int fd;

	MARK("d", ".");
	ERR(EISDIR, unlink("d"));
	ERR(EISDIR, unlink("."));
	ERR(EISDIR, unlink(".."));
	ERR(EISDIR, unlink("d/"));
	ERR(EISDIR, unlink("d/."));
	ERR(ENOTDIR, unlink("tod/"));
	ERR(EISDIR, unlinkat(AT_FDCWD, "d", 0));
	BY (ann)
		ERR(EISDIR, unlink("d"));
	BY (bob)
		ERR(EISDIR, unlink("d"));
	MOVED("d", NONE);
	MOVED(".", NONE);
	ERR(EBADF, unlinkat(-1, "d", 0));
	l_file("f", "");
	fd = (int)MUST(open("f", O_RDONLY));
	ERR(ENOTDIR, unlinkat(fd, "f", 0));
	close(fd);
	/* A symlink goes, and what it leads to stays. */
	OK(unlink("tod"));
	T(l_exists("d") && !l_exists("tod"));
}

/* One without a name lives as long as it is open. */
GROUP(unlink_open)
{
	struct stat st;
	char buf[8];
	int fd, fd2;

	make(REG, "f", 0644, ANN_UID, ANN_GID);
	fd = (int)MUST(open("f", O_RDWR));
	IS(write(fd, "text", 4), 4);
	MUST(link("f", "g"));
	MARK("f");
	OK(unlink("f"));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 1);
	MOVED_FD("f", fd, CT);
	p_marks[0].path = "g";
	tick();
	p_marks[0].st = st;
	OK(unlink("g"));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	MOVED_FD("g", fd, CT);
	IS(st.st_size, 4);
	IS(pwrite(fd, "TE", 2, 0), 2);
	IS(pread(fd, buf, 8, 0), 4);
	T(memcmp(buf, "TExt", 4) == 0);
	OK(ftruncate(fd, 2));
	OK(fstat(fd, &st));
	IS(st.st_size, 2);
	/* The name is free. */
	OK(fd2 = open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
	T(l_stat("f").st_ino != st.st_ino);
	close(fd2);
	T(l_holds("f", ""));
	close(fd);
}

GROUP(unlink_user)
{
	static const enum kind kinds[] = {REG, FIFO, SOCK, LNK, CHR};

	make(DIRECTORY, "anns", 0755, ANN_UID, ANN_GID);
	make(DIRECTORY, "clubs", 0575, 0, CLUB);
	make(DIRECTORY, "alls", 0777, 0, 0);
	make(DIRECTORY, "blind", 0722, 0, 0);
	make(REG, "blind/a", 0777, 0, 0);
	for (size_t i = 0; i < 5; i++) {
		enum kind k = kinds[i];

		about(kind_name[k]);
		/* The directory decides, not the file. */
		make(k, "anns/a", 0, 0, 0);
		make(k, "clubs/a", 0, 0, 0);
		make(k, "alls/a", 0, 0, 0);
		make(k, "alls/b", 0, ANN_UID, ANN_GID);
		MARK("anns/a", "anns", "clubs", "alls");
		BY (bob) {
			ERR(EACCES, unlink("anns/a"));
			ERR(EACCES, unlink("clubs/a"));
			ERR(EACCES, unlink("blind/a"));
		}
		MOVED("anns/a", NONE);
		MOVED("anns", NONE);
		BY (ann) {
			OK(unlink("anns/a"));
			OK(unlink("clubs/a"));
			OK(unlink("alls/a"));
		}
		BY (bob)
			OK(unlink("alls/b"));
		MOVED("anns", MT | CT);
		MOVED("clubs", MT | CT);
		MOVED("alls", MT | CT);
	}
}

GROUP(symlink_made)
{
	static char target[4200], got[4200];
	static const size_t lengths[] = {
	    1, 2, 59, 60, 61, 255, 256, 1023, 1024, 4094, 4095};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i];

		memset(target, 'x', n);
		target[n] = '\0';
		OK(symlink(target, "a"));
		IS(l_stat("a").st_size, n);
		IS(readlink("a", got, sizeof(got)), n);
		T(memcmp(got, target, n) == 0);
		OK(unlink("a"));
	}
	memset(target, 'x', 4096);
	target[4096] = '\0';
	MARK(".");
	ERR(ENAMETOOLONG, symlink(target, "a"));
	ERR(ENOENT, symlink("", "a"));
	ERR(ENOENT, symlink("x", "a/"));
	ERR(EBADF, symlinkat("x", -1, "a"));
	MOVED(".", NONE);
	umask(077);
	MARK(".");
	OK(symlink("no/../such", "a"));
	MOVED(".", MT | CT);
	FRESH("a");
	NODE("a", S_IFLNK | 0777, 0, 0);
	IS(l_stat("a").st_nlink, 1);
	MARK("a", ".");
	ERR(EEXIST, symlink("other", "a"));
	MOVED(".", NONE);
	IS(readlink("a", got, sizeof(got)), 10);
}

GROUP(symlink_exists)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, 0, 0);
		MARK("a", ".");
		ERR(EEXIST, symlink("x", "a"));
		MOVED("a", NONE);
		MOVED(".", NONE);
		IS(l_stat("a").st_mode & S_IFMT, kind_type[k]);
		OK(take_away(k, "a"));
	}
}

GROUP(symlink_user)
{
	char buf[8];

	make(DIRECTORY, "d", 0777, 0, CLUB);
	make(DIRECTORY, "g", 02777, 0, CLUB);
	make(DIRECTORY, "shut", 0755, 0, 0);
	BY (ann) {
		OK(symlink("x", "d/anns"));
		NODE("d/anns", S_IFLNK | 0777, ANN_UID, ANN_GID);
		OK(symlink("x", "g/anns"));
		NODE("g/anns", S_IFLNK | 0777, ANN_UID, CLUB);
		ERR(EACCES, symlink("x", "shut/anns"));
	}
	BY (bob) {
		OK(symlink("x", "d/bobs"));
		NODE("d/bobs", S_IFLNK | 0777, BOB_UID, BOB_GID);
		OK(symlink("x", "g/bobs"));
		NODE("g/bobs", S_IFLNK | 0777, BOB_UID, CLUB);
		/* Anybody may read what anybody may find. */
		IS(readlink("d/anns", buf, sizeof(buf)), 1);
		/* A link may stand for what cannot be reached. */
		OK(symlink("/root/x", "d/far"));
	}
	T(!l_exists("shut/anns"));
}

GROUP(symlink_follow)
{
	char name[16], next[16];

	l_file("f", "text");
	MUST(mkdir("d", 0755));
	MUST(symlink("../f", "d/up"));
	T(l_holds("d/up", "text"));
	MUST(symlink("d", "e"));
	T(l_holds("e/up", "text"));
	T(l_holds("e/../f", "text"));
	OK(mkdir("e/sub", 0755));
	T(l_exists("d/sub"));
	/* Forty of them, and no more. */
	MUST(symlink("f", "s1"));
	for (int i = 2; i <= 41; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		snprintf(next, sizeof(next), "s%d", i - 1);
		MUST(symlink(next, name));
	}
	T(l_holds("s1", "text"));
	T(l_holds("s39", "text"));
	T(l_holds("s40", "text"));
	ERR(ELOOP, open("s41", O_RDONLY));
	ERR(ELOOP, chmod("s41", 0644));
	ERR(ELOOP, truncate("s41", 0));
	/* What it leads to is looked up at each use. */
	MUST(symlink("new", "l"));
	ERR(ENOENT, open("l", O_RDONLY));
	l_file("new", "one");
	T(l_holds("l", "one"));
	l_file("newer", "two");
	OK(rename("newer", "new"));
	T(l_holds("l", "two"));
	OK(unlink("l"));
	OK(symlink("f", "l"));
	T(l_holds("l", "text"));
}

/* Links in directories that everybody writes to. */
GROUP(symlink_sticky)
{
	if (!sysctl_is("protected_symlinks", '1')) {
		skipping("fs.protected_symlinks is off");
		return;
	}
	make(DIRECTORY, "t", 0777, 0, 0);
	MUST(chmod("t", 01777));
	make(REG, "f", 0666, 0, 0);
	BY (ann)
		OK(symlink("../f", "t/anns"));
	MUST(symlink("../f", "t/roots"));
	BY (ann) {
		OK(open("t/anns", O_RDONLY));
		OK(open("t/roots", O_RDONLY));
	}
	BY (bob) {
		ERR(EACCES, open("t/anns", O_RDONLY));
		ERR(EACCES, truncate("t/anns", 0));
		OK(open("t/roots", O_RDONLY));
		OK(lchown("t/anns", (uid_t)-1, (gid_t)-1));
	}
	ERR(EACCES, open("t/anns", O_RDONLY));
}

GROUP(readlink)
{
	char buf[16] = "..............";
	int fd;

	MUST(symlink("target", "l"));
	IS(readlink("l", buf, sizeof(buf)), 6);
	T(memcmp(buf, "target..", 8) == 0);
	IS(readlink("l", buf, 3), 3);
	IS(readlink("l", buf, 6), 6);
	IS(readlinkat(AT_FDCWD, "l", buf, 7), 6);
	ERR(EINVAL, readlink("l", buf, 0));
	fd = (int)MUST(open("l", O_PATH | O_NOFOLLOW));
	IS(readlinkat(fd, "", buf, sizeof(buf)), 6);
	close(fd);
	for (enum kind k = REG; k < LNK; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, 0, 0);
		MARK("a", ".");
		ERR(EINVAL, readlink("a", buf, sizeof(buf)));
		MOVED("a", NONE);
		OK(take_away(k, "a"));
	}
	about(NULL);
	ERR(EBADF, readlinkat(-1, "l", buf, sizeof(buf)));
	make(DIRECTORY, "locked", 0700, 0, 0);
	MUST(symlink("target", "locked/l"));
	IS(readlink("locked/l", buf, sizeof(buf)), 6);
	BY (ann)
		ERR(EACCES, readlink("locked/l", buf, sizeof(buf)));
	MUST(chmod("locked", 0711));
	BY (ann)
		IS(readlink("locked/l", buf, sizeof(buf)), 6);
}
