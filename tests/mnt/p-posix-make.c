/*
 * POSIX, name by name: mkdir, mkfifo, mknod, creat, umask, rmdir: whose the new one is,
 * which mode it has, what becomes of its directory.  See posix.h.
 */
#include "posix.h"

/* The ways to make something. */
static int
m_mkdir(const char *p, mode_t m)
{
	return mkdir(p, m);
}

static int
m_mkdirat(const char *p, mode_t m)
{
	return mkdirat(AT_FDCWD, p, m);
}

static int
m_mkfifo(const char *p, mode_t m)
{
	return mkfifo(p, m);
}

static int
m_mkfifoat(const char *p, mode_t m)
{
	return mkfifoat(AT_FDCWD, p, m);
}

static int
m_node(const char *p, mode_t m)
{
	return mknod(p, S_IFREG | m, 0);
}

static int
m_untyped(const char *p, mode_t m)
{
	return mknod(p, m, 0);
}

static int
m_socket(const char *p, mode_t m)
{
	return mknod(p, S_IFSOCK | m, 0);
}

static int
m_fifo(const char *p, mode_t m)
{
	return mknodat(AT_FDCWD, p, S_IFIFO | m, 0);
}

static int
m_chr(const char *p, mode_t m)
{
	return mknod(p, S_IFCHR | m, makedev(1, 3));
}

static int
m_blk(const char *p, mode_t m)
{
	return mknod(p, S_IFBLK | m, makedev(7, 200));
}

static int
m_open(const char *p, mode_t m)
{
	int fd = open(p, O_CREAT | O_RDWR, m);

	return fd < 0 ? -1 : close(fd);
}

static int
m_excl(const char *p, mode_t m)
{
	int fd = openat(AT_FDCWD, p, O_CREAT | O_EXCL | O_RDONLY, m);

	return fd < 0 ? -1 : close(fd);
}

static int
m_creat(const char *p, mode_t m)
{
	int fd = creat(p, m);

	return fd < 0 ? -1 : close(fd);
}

struct maker {
	const char *name;
	int (*fn)(const char *, mode_t);
	mode_t type;
	bool root_only, may_exist;
};

static const struct maker makers[] = {
    {"mkdir", m_mkdir, S_IFDIR, false, false},
    {"mkdirat", m_mkdirat, S_IFDIR, false, false},
    {"mkfifo", m_mkfifo, S_IFIFO, false, false},
    {"mkfifoat", m_mkfifoat, S_IFIFO, false, false},
    {"mknod of a file", m_node, S_IFREG, false, false},
    {"mknod without a type", m_untyped, S_IFREG, false, false},
    {"mknod of a socket", m_socket, S_IFSOCK, false, false},
    {"mknodat of a fifo", m_fifo, S_IFIFO, false, false},
    {"mknod of a character device", m_chr, S_IFCHR, true, false},
    {"mknod of a block device", m_blk, S_IFBLK, true, false},
    {"open", m_open, S_IFREG, false, true},
    {"open with O_EXCL", m_excl, S_IFREG, false, false},
    {"creat", m_creat, S_IFREG, false, true},
};
#define NMAKERS (sizeof(makers) / sizeof(makers[0]))

static void
gone(const struct maker *m, const char *path)
{
	MUST(m->type == S_IFDIR ? rmdir(path) : unlink(path));
}

/* The bits that a mode may carry: mkdir knows of no set-id bits. */
static mode_t
carried(const struct maker *m, mode_t mode)
{
	return m->type == S_IFDIR ? mode & 01777 : mode & 07777;
}

GROUP(make_mode)
{
	static const mode_t masks[] = {0, 022, 027, 077, 0777, 0111};
	static const mode_t modes[] = {0777, 0666, 0640, 01755, 06755, 0};

	for (size_t i = 0; i < NMAKERS; i++) {
		const struct maker *m = &makers[i];
		about(m->name);
		for (size_t j = 0; j < 6; j++) {
			umask(masks[j]);
			OK(m->fn("a", modes[0]));
			IS(l_stat("a").st_mode, m->type | (modes[0] & ~masks[j]));
			gone(m, "a");
		}
		umask(022);
		for (size_t j = 1; j < 6; j++) {
			OK(m->fn("a", modes[j]));
			IS(l_stat("a").st_mode, m->type | (carried(m, modes[j]) & ~022u));
			gone(m, "a");
		}
	}
}

GROUP(make_effects)
{
	for (size_t i = 0; i < NMAKERS; i++) {
		const struct maker *m = &makers[i];
		bool dir = m->type == S_IFDIR;

		about(m->name);
		MARK(".");
		OK(m->fn("a", 0644));
		MOVED(".", MT | CT);
		FRESH("a");
		NODE("a", m->type | 0644, 0, 0);
		IS(l_stat("a").st_nlink, dir ? 2 : 1);
		IS(l_stat(".").st_nlink, dir ? 3 : 2);
		T(dir || l_stat("a").st_size == 0);
		T(l_stat("a").st_dev == l_stat(".").st_dev);
		T(l_stat("a").st_ino != l_stat(".").st_ino);
		if (m->type == S_IFCHR)
			IS(l_stat("a").st_rdev, makedev(1, 3));
		if (m->type == S_IFBLK)
			IS(l_stat("a").st_rdev, makedev(7, 200));
		gone(m, "a");
		IS(l_stat(".").st_nlink, 2);
	}
}

/* What is there already stays as it is. */
GROUP(make_exists)
{
	for (size_t i = 0; i < NMAKERS; i++) {
		const struct maker *m = &makers[i];

		if (m->may_exist)
			continue;
		about(m->name);
		for (enum kind k = REG; k < NKINDS; k++) {
			make(k, "a", 0604, ANN_UID, CLUB);
			MARK("a", ".");
			ERR(EEXIST, m->fn("a", 0777));
			NODE("a", kind_type[k] | (k == LNK ? 0777 : 0604), ANN_UID, CLUB);
			MOVED("a", NONE);
			MOVED(".", NONE);
			MUST(take_away(k, "a"));
		}
		ERR(EEXIST, m->fn(".", 0777));
		ERR(EEXIST, m->fn("..", 0777));
		T(!l_exists("nowhere"));
	}
}

static void
make_as(const struct maker *m, const char *dir, uid_t uid, gid_t gid)
{
	char path[40];

	snprintf(path, sizeof(path), "%s/a", dir);
	OK(m->fn(path, 0640));
	NODE(path, m->type | 0640, uid, gid);
	gone(m, path);
}

GROUP(make_owner)
{
	make(DIRECTORY, "plain", 0777, 0, 0);
	make(DIRECTORY, "clubs", 0777, 0, CLUB);
	make(DIRECTORY, "bobs", 0777, BOB_UID, BOB_GID);
	make(DIRECTORY, "shut", 0755, 0, 0);
	make(DIRECTORY, "anns", 0700, ANN_UID, ANN_GID);
	for (size_t i = 0; i < NMAKERS; i++) {
		const struct maker *m = &makers[i];

		about(m->name);
		make_as(m, "bobs", 0, 0);
		make_as(m, "anns", 0, 0);
		if (m->root_only) {
			MARK("plain");
			BY (ann)
				ERR(EPERM, m->fn("plain/a", 0644));
			BY (bob)
				ERR(EPERM, m->fn("bobs/a", 0644));
			MOVED("plain", NONE);
			continue;
		}
		MARK("shut", "anns");
		BY (ann) {
			make_as(m, "plain", ANN_UID, ANN_GID);
			make_as(m, "clubs", ANN_UID, ANN_GID);
			make_as(m, "bobs", ANN_UID, ANN_GID);
			ERR(EACCES, m->fn("shut/a", 0644));
		}
		BY (bob) {
			make_as(m, "plain", BOB_UID, BOB_GID);
			make_as(m, "clubs", BOB_UID, BOB_GID);
			ERR(EACCES, m->fn("shut/a", 0644));
			ERR(EACCES, m->fn("anns/a", 0644));
		}
		MOVED("shut", NONE);
		MOVED("anns", NONE);
	}
}

/* A directory with the set-group-id bit hands down its group, and the bit to directories;
 * a program that its group may execute does not get the bit from who is not of the group. */
GROUP(make_setgid)
{
	make(DIRECTORY, "c", 02777, 0, CLUB);
	make(DIRECTORY, "o", 02777, BOB_UID, OTHER);
	for (size_t i = 0; i < NMAKERS; i++) {
		const struct maker *m = &makers[i];
		bool dir = m->type == S_IFDIR;
		mode_t got = m->type | 0750 | (dir ? S_ISGID : 0);

		about(m->name);
		OK(m->fn("c/r", 0750));
		NODE("c/r", got, 0, CLUB);
		gone(m, "c/r");
		if (m->root_only)
			continue;
		BY (ann) {
			OK(m->fn("c/a", 0750));
			NODE("c/a", got, ANN_UID, CLUB);
			OK(m->fn("o/a", 0750));
			NODE("o/a", got, ANN_UID, OTHER);
		}
		BY (bob) {
			OK(m->fn("c/b", 0750));
			NODE("c/b", got, BOB_UID, CLUB);
		}
		if (dir) {
			/* And so on, below. */
			BY (ann) {
				OK(m->fn("o/a/deep", 0750));
				NODE("o/a/deep", got, ANN_UID, OTHER);
				OK(m_open("o/a/file", 0640));
				NODE("o/a/file", S_IFREG | 0640, ANN_UID, OTHER);
				OK(rmdir("o/a/deep"));
				OK(unlink("o/a/file"));
			}
		}
		gone(m, "c/a");
		gone(m, "o/a");
		gone(m, "c/b");
		if (dir)
			continue;
		BY (ann) {
			OK(m->fn("o/a", 02755));
			IS(perm("o/a"), 0755);
			OK(m->fn("c/a", 02755));
			IS(perm("c/a"), 02755);
			OK(m->fn("o/b", 02744));
			IS(perm("o/b"), 02744);
			OK(m->fn("o/c", 06755));
			IS(perm("o/c"), 04755);
		}
		OK(m->fn("o/d", 06755));
		IS(perm("o/d"), 06755);
		gone(m, "o/a");
		gone(m, "o/b");
		gone(m, "o/c");
		gone(m, "o/d");
		gone(m, "c/a");
	}
}

GROUP(make_at)
{
	int dir, file;

	MUST(mkdir("d", 0755));
	l_file("f", "");
	dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	file = (int)MUST(open("f", O_RDONLY));
	OK(mkdirat(dir, "a", 0755));
	OK(mkfifoat(dir, "b", 0644));
	OK(mknodat(dir, "c", S_IFREG | 0644, 0));
	OK(symlinkat("x", dir, "e"));
	IS(entries("d"), 4);
	ERR(EBADF, mkdirat(-1, "x", 0755));
	ERR(EBADF, mkfifoat(-1, "x", 0644));
	ERR(EBADF, mknodat(-1, "x", S_IFREG | 0644, 0));
	ERR(EBADF, openat(-1, "x", O_CREAT | O_RDWR, 0644));
	ERR(ENOTDIR, mkdirat(file, "x", 0755));
	ERR(ENOTDIR, mkfifoat(file, "x", 0644));
	ERR(ENOTDIR, mknodat(file, "x", S_IFREG | 0644, 0));
	ERR(ENOTDIR, openat(file, "x", O_CREAT | O_RDWR, 0644));
	ERR(ENOTDIR, symlinkat("x", file, "x"));
	/* A directory that is no more takes nothing. */
	MUST(mkdir("gone", 0755));
	close(dir);
	dir = (int)MUST(open("gone", O_RDONLY | O_DIRECTORY));
	OK(rmdir("gone"));
	ERR(ENOENT, mkdirat(dir, "x", 0755));
	ERR(ENOENT, mkfifoat(dir, "x", 0644));
	ERR(ENOENT, openat(dir, "x", O_CREAT | O_RDWR, 0644));
	ERR(ENOENT, symlinkat("x", dir, "x"));
	ERR(ENOENT, linkat(AT_FDCWD, "f", dir, "x", 0));
	ERR(ENOENT, renameat(AT_FDCWD, "f", dir, "x"));
	ERR(ENOENT, openat(dir, "x", O_RDONLY));
	ERR(ENOENT, unlinkat(dir, "x", 0));
	struct stat st;
	OK(fstat(dir, &st));
	IS(st.st_nlink, 0);
	OK(fstatat(dir, ".", &st, 0));
	close(dir);
	close(file);
}

GROUP(mknod)
{
	MARK(".");
	ERR(EPERM, mknod("a", S_IFDIR | 0755, 0));
	ERR(EINVAL, mknod("a", S_IFLNK | 0755, 0));
	ERR(EINVAL, mknod("a", 0170000 | 0755, 0));
	MOVED(".", NONE);
	OK(mknod("a", S_IFCHR | 0600, makedev(4095, 0xfffff)));
	IS(l_stat("a").st_rdev, makedev(4095, 0xfffff));
	OK(mknod("b", S_IFBLK | 0600, makedev(256, 256)));
	IS(l_stat("b").st_rdev, makedev(256, 256));
	/* The number means nothing for the others. */
	OK(mknod("c", S_IFREG | 0600, makedev(3, 4)));
	IS(l_stat("c").st_rdev, 0);
	/* A whiteout is no device. */
	MUST(chmod(".", 0777));
	BY (ann) {
		OK(mknod("w", S_IFCHR | 0000, 0));
		NODE("w", S_IFCHR, ANN_UID, ANN_GID);
		IS(l_stat("w").st_rdev, 0);
		ERR(EPERM, mknod("x", S_IFCHR | 0600, makedev(1, 3)));
		ERR(EPERM, mknod("x", S_IFBLK | 0600, 0));
		ERR(EEXIST, mknod("w", S_IFCHR | 0600, makedev(1, 3)));
	}
}

GROUP(rmdir)
{
	struct stat st;
	int fd;

	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	IS(l_stat("d").st_nlink, 3);
	fd = (int)MUST(open("d/e", O_RDONLY | O_DIRECTORY));
	MARK("d", "d/e", ".");
	ERR(ENOTEMPTY, rmdir("d"));
	ERR(EINVAL, rmdir("d/e/."));
	ERR(EINVAL, rmdir("."));
	ERR(ENOTEMPTY, rmdir("d/e/.."));
	ERR(ENOTEMPTY, rmdir(".."));
	ERR(EINVAL, unlinkat(AT_FDCWD, "d/e/.", AT_REMOVEDIR));
	MOVED("d", NONE);
	MOVED("d/e", NONE);
	MOVED(".", NONE);
	MARK("d", "d/e");
	OK(rmdir("d/e"));
	MOVED("d", MT | CT);
	OK(fstat(fd, &st));
	IS(st.st_nlink, 0);
	IS(l_stat("d").st_nlink, 2);
	OK(rmdir("d/"));
	ERR(ENOENT, rmdir("d"));
	close(fd);
	MUST(mkdir("d", 0755));
	MUST(symlink("d", "l"));
	ERR(ENOTDIR, rmdir("l"));
	ERR(ENOTDIR, rmdir("l/"));
	OK(rmdir("d"));
	OK(unlink("l"));
	ERR(EBUSY, rmdir("/"));
	ERR(EBADF, unlinkat(-1, "d", AT_REMOVEDIR));
}

GROUP(rmdir_full)
{
	MUST(mkdir("d", 0755));
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "d/a", 0, 0, 0);
		MARK("d", ".");
		ERR(ENOTEMPTY, rmdir("d"));
		ERR(ENOTEMPTY, unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
		MOVED("d", NONE);
		MOVED(".", NONE);
		/* One that is none. */
		make(k, "a", 0644, 0, 0);
		if (k != DIRECTORY) {
			ERR(ENOTDIR, rmdir("a"));
			T(l_exists("a"));
		}
		OK(take_away(k, "a"));
		OK(take_away(k, "d/a"));
		OK(rmdir("d"));
		OK(mkdir("d", 0755));
	}
}

GROUP(rmdir_user)
{
	make(DIRECTORY, "anns", 0755, ANN_UID, ANN_GID);
	make(DIRECTORY, "alls", 0777, 0, 0);
	make(DIRECTORY, "clubs", 0570, 0, CLUB);
	make(DIRECTORY, "anns/a", 0, 0, 0);
	make(DIRECTORY, "alls/a", 0, 0, 0);
	make(DIRECTORY, "alls/b", 0755, ANN_UID, ANN_GID);
	make(DIRECTORY, "alls/full", 0777, 0, 0);
	make(DIRECTORY, "clubs/a", 0, 0, 0);
	l_file("alls/full/x", "");
	MARK("anns", "alls");
	BY (bob) {
		ERR(EACCES, rmdir("anns/a"));
		ERR(EACCES, rmdir("clubs/a"));
		ERR(ENOTEMPTY, rmdir("alls/full"));
		ERR(EACCES, rmdir("anns"));
	}
	MOVED("anns", NONE);
	MOVED("alls", NONE);
	BY (ann) {
		OK(rmdir("anns/a"));
		OK(rmdir("alls/a"));
		OK(rmdir("clubs/a"));
		/* Not what is one's own, but what it is in, counts. */
		ERR(EACCES, rmdir("anns"));
	}
	MOVED("anns", MT | CT);
	BY (bob)
		OK(rmdir("alls/b"));
	MOVED("alls", MT | CT);
}

/* The working directory may go. */
GROUP(rmdir_working)
{
	MUST(mkdir("d", 0755));
	int up = (int)MUST(open(".", O_RDONLY | O_DIRECTORY));

	MUST(chdir("d"));
	OK(rmdir("../d"));
	ERR(ENOENT, mkdir("x", 0755));
	ERR(ENOENT, open("x", O_CREAT | O_RDWR, 0644));
	IS(entries("."), 0);
	MUST(fchdir(up));
	close(up);
}
