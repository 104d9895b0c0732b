/*
 * POSIX, name by name: rename, renameat, renameat2.  Sticky directories are in
 * p-posix-sticky.c.  See posix.h.
 */
#include "posix.h"

#define HERE AT_FDCWD

static int
rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(HERE, from, HERE, to, flags);
}

/* Every kind goes to another directory, and stays what it is. */
GROUP(rename_kinds)
{
	MUST(mkdir("d", 0755));
	MUST(mkdir("e", 0755));
	for (enum kind k = REG; k < NKINDS; k++) {
		bool dir = k == DIRECTORY;

		about(kind_name[k]);
		make(k, "d/a", 0640, ANN_UID, CLUB);
		struct stat was = l_stat("d/a");
		MARK("d/a", "d", "e", ".");
		OK(rename("d/a", "e/b"));
		MOVED_TO("d/a", "e/b", CT);
		MOVED("d", MT | CT);
		MOVED("e", MT | CT);
		MOVED(".", NONE);
		T(!l_exists("d/a"));
		struct stat is = l_stat("e/b");
		IS(is.st_ino, was.st_ino);
		IS(is.st_nlink, was.st_nlink);
		NODE("e/b", was.st_mode, ANN_UID, CLUB);
		IS(l_stat("d").st_nlink, 2);
		IS(l_stat("e").st_nlink, dir ? 3 : 2);
		/* In the same directory. */
		MARK("e/b", "e", "d");
		OK(rename("e/b", "e/c"));
		MOVED_TO("e/b", "e/c", CT);
		MOVED("e", MT | CT);
		MOVED("d", NONE);
		IS(l_stat("e/c").st_ino, was.st_ino);
		IS(entries("e"), 1);
		ERR(ENOENT, rename("e/b", "e/d"));
		OK(take_away(k, "e/c"));
		IS(l_stat("e").st_nlink, 2);
	}
}

/* What has the name already goes, if it is of the right sort. */
GROUP(rename_over)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		for (enum kind o = REG; o < NKINDS; o++) {
			char text[80];
			int want = 0;

			snprintf(
			    text, sizeof(text), "%s over %s", kind_name[k], kind_name[o]);
			about(text);
			make(k, "a", 0644, ANN_UID, ANN_GID);
			make(o, "b", 0600, BOB_UID, BOB_GID);
			if (k == DIRECTORY && o != DIRECTORY)
				want = ENOTDIR;
			else if (k != DIRECTORY && o == DIRECTORY)
				want = EISDIR;
			if (want) {
				MARK("a", "b", ".");
				ERR(want, rename("a", "b"));
				MOVED("a", NONE);
				MOVED("b", NONE);
				MOVED(".", NONE);
				OK(take_away(k, "a"));
				OK(take_away(o, "b"));
				continue;
			}
			ino_t ino = l_stat("a").st_ino;
			OK(rename("a", "b"));
			IS(l_stat("b").st_ino, ino);
			T(!l_exists("a"));
			IS(l_stat(".").st_nlink, k == DIRECTORY ? 3 : 2);
			NODE("b", kind_type[k] | (k == LNK ? 0777 : 0644), ANN_UID,
			    ANN_GID);
			OK(take_away(k, "b"));
		}
	}
}

/* The links of what is replaced. */
GROUP(rename_replaced)
{
	struct stat st;
	int fd;

	l_file("a", "new");
	l_file("b", "old");
	MUST(link("b", "other"));
	MARK("b", ".");
	OK(rename("a", "b"));
	MOVED_TO("b", "other", CT);
	MOVED(".", MT | CT);
	IS(l_stat("other").st_nlink, 1);
	T(l_holds("b", "new") && l_holds("other", "old"));
	/* What is open goes on. */
	l_file("a", "newer");
	fd = (int)MUST(open("b", O_RDWR));
	OK(rename("a", "b"));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	char buf[8];
	IS(read(fd, buf, 8), 3);
	IS(write(fd, "x", 1), 1);
	close(fd);
	T(l_holds("b", "newer"));
	/* And so does what is moved. */
	fd = (int)MUST(open("b", O_RDWR));
	OK(rename("b", "c"));
	IS(write(fd, "N", 1), 1);
	close(fd);
	T(l_holds("c", "Newer"));
	/* Two names of one file: nothing happens. */
	MUST(link("c", "d"));
	MARK("c", ".");
	OK(rename("c", "d"));
	OK(rename("c", "c"));
	MOVED("c", NONE);
	MOVED(".", NONE);
	IS(l_stat("d").st_nlink, 2);
	/* A directory that is replaced. */
	MUST(mkdir("e", 0755));
	MUST(mkdir("f", 0755));
	fd = (int)MUST(open("f", O_RDONLY | O_DIRECTORY));
	OK(rename("e", "f"));
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	ERR(ENOENT, mkdirat(fd, "x", 0755));
	close(fd);
	IS(l_stat(".").st_nlink, 3);
}

GROUP(rename_directory)
{
	MUST(mkdir("d", 0755));
	MUST(mkdir("d/s", 0755));
	MUST(mkdir("d/s/t", 0755));
	MUST(mkdir("e", 0755));
	l_file("d/s/f", "text");
	MARK("d", "d/s", "e", "d/s/f", "d/s/t");
	OK(rename("d/s", "e/s"));
	MOVED("d", MT | CT);
	MOVED("e", MT | CT);
	MOVED_TO("d/s/f", "e/s/f", NONE);
	MOVED_TO("d/s/t", "e/s/t", NONE);
	IS(l_stat("d").st_nlink, 2);
	IS(l_stat("e").st_nlink, 3);
	IS(l_stat("e/s").st_nlink, 3);
	IS(l_stat("e/s/..").st_ino, l_stat("e").st_ino);
	T(l_holds("e/s/f", "text"));
	ERR(ENOENT, open("d/s/f", O_RDONLY));
	/* Not into itself, nor over what it is in. */
	MARK("e", "e/s", ".");
	ERR(EINVAL, rename("e", "e/x"));
	ERR(EINVAL, rename("e", "e/s/x"));
	ERR(EINVAL, rename("e", "e/s/t/x"));
	ERR(EINVAL, rename("e", "e/s/t"));
	ERR(ENOTEMPTY, rename("e/s", "e"));
	ERR(ENOTEMPTY, rename("e/s/t", "e"));
	ERR(ENOTEMPTY, rename("d", "e"));
	ERR(ENOTEMPTY, rename("e/s/f", "e"));
	MOVED("e", NONE);
	MOVED("e/s", NONE);
	MOVED(".", NONE);
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(DIRECTORY, "full", 0755, 0, 0);
		make(k, "full/a", 0644, 0, 0);
		ERR(ENOTEMPTY, rename("d", "full"));
		OK(rename("full", "moved"));
		T(l_exists("moved/a"));
		OK(take_away(k, "moved/a"));
		OK(rename("d", "moved"));
		OK(rename("moved", "d"));
	}
}

GROUP(rename_refused)
{
	int fd;

	l_file("f", "text");
	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	MUST(symlink("d", "l"));
	MARK("f", "d", ".");
	ERR(EBUSY, rename(".", "x"));
	ERR(EBUSY, rename("d/..", "x"));
	ERR(EBUSY, rename("f", "."));
	ERR(EBUSY, rename("f", ".."));
	ERR(EBUSY, rename("d/.", "x"));
	ERR(EBUSY, rename("d", "d/e/.."));
	ERR(ENOTDIR, rename("f", "x/"));
	ERR(ENOTDIR, rename("f/", "x"));
	ERR(ENOTDIR, rename("l/", "x"));
	ERR(ENOENT, rename("f", "no/x"));
	ERR(ENOTDIR, rename("f", "f/x"));
	ERR(EXDEV, rename("f", "/dev/none"));
	ERR(EXDEV, rename("/dev/none", "x"));
	ERR(EINVAL, rename2("f", "x", 0x40000000));
	ERR(EINVAL, rename2("f", "x", RENAME_NOREPLACE | RENAME_EXCHANGE));
	ERR(EINVAL, rename2("f", "x", RENAME_WHITEOUT | RENAME_EXCHANGE));
	ERR(EBADF, renameat(-1, "f", HERE, "x"));
	ERR(EBADF, renameat(HERE, "f", -1, "x"));
	fd = (int)MUST(open("f", O_RDONLY));
	ERR(ENOTDIR, renameat(fd, "f", HERE, "x"));
	ERR(ENOTDIR, renameat(HERE, "f", fd, "x"));
	close(fd);
	MOVED("f", NONE);
	MOVED("d", NONE);
	MOVED(".", NONE);
	IS(entries("."), 3);
	/* A directory may be named with a slash. */
	OK(rename("d/", "x"));
	OK(rename("x", "d/"));
	fd = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	OK(renameat(HERE, "f", fd, "g"));
	OK(renameat(fd, "g", HERE, "f"));
	T(l_holds("f", "text"));
	close(fd);
	/* The link, and not what it leads to. */
	OK(rename("l", "m"));
	IS(l_stat("m").st_mode & S_IFMT, S_IFLNK);
	OK(rename("f", "m"));
	T(l_holds("m", "text") && l_exists("d"));
}

GROUP(rename_noreplace)
{
	l_file("f", "text");
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, 0, 0);
		MARK("f", "a", ".");
		ERR(EEXIST, rename2("f", "a", RENAME_NOREPLACE));
		MOVED("f", NONE);
		MOVED("a", NONE);
		MOVED(".", NONE);
		OK(rename2("a", "b", RENAME_NOREPLACE));
		T(!l_exists("a"));
		ERR(EEXIST, rename2("b", "f", RENAME_NOREPLACE));
		OK(take_away(k, "b"));
	}
	about(NULL);
	ERR(EEXIST, rename2("f", "f", RENAME_NOREPLACE));
	MUST(link("f", "g"));
	ERR(EEXIST, rename2("f", "g", RENAME_NOREPLACE));
	ERR(ENOENT, rename2("no", "f", RENAME_NOREPLACE));
	ERR(EEXIST, rename2("f", ".", RENAME_NOREPLACE));
}

GROUP(rename_exchange)
{
	MUST(mkdir("d", 0755));
	MUST(mkdir("e", 0755));
	for (enum kind k = REG; k < NKINDS; k++) {
		for (enum kind o = REG; o < NKINDS; o++) {
			bool two = (k == DIRECTORY) != (o == DIRECTORY);
			char text[80];

			snprintf(
			    text, sizeof(text), "%s for %s", kind_name[k], kind_name[o]);
			about(text);
			make(k, "d/a", 0644, ANN_UID, ANN_GID);
			make(o, "e/b", 0600, BOB_UID, BOB_GID);
			ino_t a = l_stat("d/a").st_ino, b = l_stat("e/b").st_ino;
			OK(rename2("d/a", "e/b", RENAME_EXCHANGE));
			IS(l_stat("d/a").st_ino, b);
			IS(l_stat("e/b").st_ino, a);
			IS(l_stat("d/a").st_uid, BOB_UID);
			if (two) {
				IS(l_stat("d").st_nlink, o == DIRECTORY ? 3 : 2);
				IS(l_stat("e").st_nlink, k == DIRECTORY ? 3 : 2);
			}
			OK(take_away(o, "d/a"));
			OK(take_away(k, "e/b"));
		}
	}
	about(NULL);
	l_file("d/a", "one");
	l_file("e/b", "two");
	MARK("d/a", "e/b", "d", "e", ".");
	OK(rename2("d/a", "e/b", RENAME_EXCHANGE));
	MOVED_TO("d/a", "e/b", CT);
	MOVED_TO("e/b", "d/a", CT);
	MOVED("d", MT | CT);
	MOVED("e", MT | CT);
	MOVED(".", NONE);
	T(l_holds("d/a", "two") && l_holds("e/b", "one"));
	MARK("d/a", "d");
	ERR(ENOENT, rename2("d/a", "d/none", RENAME_EXCHANGE));
	ERR(ENOENT, rename2("d/none", "d/a", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("d", "d/a", RENAME_EXCHANGE));
	ERR(EINVAL, rename2("d/a", "d", RENAME_EXCHANGE));
	ERR(EBUSY, rename2("d/a", ".", RENAME_EXCHANGE));
	MOVED("d/a", NONE);
	MOVED("d", NONE);
	/* Full directories change places. */
	MUST(mkdir("d/in", 0755));
	OK(rename2("d", "e", RENAME_EXCHANGE));
	T(l_exists("e/in") && l_exists("d/b"));
	ERR(EINVAL, rename2("e/in", "e", RENAME_EXCHANGE));
	OK(rename2("e/in", "d", RENAME_EXCHANGE));
	T(l_exists("e/in/b") && entries("d") == 0);
}

GROUP(rename_whiteout)
{
	MUST(mkdir("d", 0755));
	MUST(mkdir("e", 0755));
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "d/a", 0644, ANN_UID, ANN_GID);
		ino_t ino = l_stat("d/a").st_ino;
		MARK("d/a", "d", "e");
		OK(rename2("d/a", "e/b", RENAME_WHITEOUT));
		MOVED_TO("d/a", "e/b", CT);
		MOVED("d", MT | CT);
		MOVED("e", MT | CT);
		FRESH("d/a");
		IS(l_stat("e/b").st_ino, ino);
		NODE("d/a", S_IFCHR | 0000, 0, 0);
		IS(l_stat("d/a").st_rdev, 0);
		IS(l_stat("d").st_nlink, 2);
		OK(unlink("d/a"));
		OK(take_away(k, "e/b"));
	}
	about(NULL);
	l_file("f", "text");
	l_file("g", "");
	ERR(EEXIST, rename2("f", "g", RENAME_WHITEOUT | RENAME_NOREPLACE));
	OK(rename2("f", "g", RENAME_WHITEOUT));
	T(l_holds("g", "text"));
	IS(l_stat("f").st_mode, S_IFCHR);
	OK(rename2("g", "h", RENAME_WHITEOUT | RENAME_NOREPLACE));
	T(l_exists("g") && l_holds("h", "text"));
	MUST(chmod("d", 0777));
	make(REG, "d/a", 0644, 0, 0);
	BY (ann)
		OK(rename2("d/a", "d/b", RENAME_WHITEOUT));
	NODE("d/a", S_IFCHR, ANN_UID, ANN_GID);
	NODE("d/b", S_IFREG | 0644, 0, 0);
}

/* Both directories are written to; a directory that changes its parent, too. */
GROUP(rename_user)
{
	make(DIRECTORY, "open", 0777, 0, 0);
	make(DIRECTORY, "open2", 0777, 0, 0);
	make(DIRECTORY, "shut", 0755, 0, 0);
	make(DIRECTORY, "blind", 0766, 0, 0);
	make(DIRECTORY, "clubs", 0570, 0, CLUB);
	for (enum kind k = REG; k < NKINDS; k++) {
		bool dir = k == DIRECTORY;

		about(kind_name[k]);
		make(k, "open/a", 0700, 0, 0);
		make(k, "shut/a", 0777, ANN_UID, ANN_GID);
		make(k, "clubs/a", 0777, 0, 0);
		MARK("open", "shut", "open/a", "shut/a");
		BY (ann) {
			ERR(EACCES, rename("open/a", "shut/b"));
			ERR(EACCES, rename("shut/a", "open/b"));
			ERR(EACCES, rename("shut/a", "shut/b"));
			ERR(EACCES, rename("open/a", "blind/b"));
			ERR(EACCES, rename2("open/a", "shut/a", RENAME_EXCHANGE));
			if (dir)
				ERR(EACCES, rename("open/a", "open2/b"));
		}
		BY (bob)
			ERR(EACCES, rename("clubs/a", "open/b"));
		MOVED("open", NONE);
		MOVED("shut", NONE);
		MOVED("open/a", NONE);
		MOVED("shut/a", NONE);
		BY (ann) {
			OK(rename("clubs/a", "open/b"));
			OK(rename("open/b", "clubs/a"));
			OK(rename("open/a", "open/c"));
			if (!dir)
				OK(rename("open/c", "open2/c"));
			else
				OK(rename("open/c", "open/d"));
		}
		MUST(take_away(k, dir ? "open/d" : "open2/c"));
		MUST(take_away(k, "shut/a"));
		MUST(take_away(k, "clubs/a"));
	}
	about(NULL);
	make(DIRECTORY, "open/mine", 0755, ANN_UID, ANN_GID);
	BY (bob)
		ERR(EACCES, rename("open/mine", "open2/mine"));
	BY (ann)
		OK(rename("open/mine", "open2/mine"));
	NODE("open2/mine", S_IFDIR | 0755, ANN_UID, ANN_GID);
}
