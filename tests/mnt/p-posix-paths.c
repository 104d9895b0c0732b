/*
 * POSIX, name by name: what every call that takes a path says to a path that it cannot
 * walk: components that are missing, too long, no directories, loops, or closed to the
 * caller; and what stands at the end of the path.  See posix.h.
 */
#include "posix.h"

#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static const struct timespec p_times[2] = {{1000000000, 1}, {1000000001, 2}};
static char p_buf[4096];

#define CALL(id, expr)                    \
	static long c_##id(const char *p) \
	{                                 \
		return (expr);            \
	}

/* What opens closes again. */
static long
open_of(const char *p, int flags)
{
	int fd = open(p, flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd;
}

static long
exec_of(const char *p)
{
	char *const none[] = {NULL};

	return execve(p, none, none);
}

static long
statx_of(const char *p)
{
	struct statx stx;

	return statx(AT_FDCWD, p, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx);
}

static struct stat p_st;
static struct statfs p_sfs;

#define HERE AT_FDCWD
CALL(chmod, chmod(p, 0644))
CALL(fchmodat, fchmodat(HERE, p, 0644, 0))
CALL(chown, chown(p, (uid_t)-1, (gid_t)-1))
CALL(lchown, lchown(p, (uid_t)-1, (gid_t)-1))
CALL(fchownat, fchownat(HERE, p, (uid_t)-1, (gid_t)-1, 0))
CALL(fchownat_nofollow, fchownat(HERE, p, (uid_t)-1, (gid_t)-1, AT_SYMLINK_NOFOLLOW))
CALL(truncate, truncate(p, 0))
CALL(open_read, open_of(p, O_RDONLY))
CALL(open_write, open_of(p, O_WRONLY))
CALL(open_both, open_of(p, O_RDWR | O_APPEND))
CALL(open_trunc, open_of(p, O_WRONLY | O_TRUNC))
CALL(open_path, open_of(p, O_PATH))
CALL(open_path_nofollow, open_of(p, O_PATH | O_NOFOLLOW))
CALL(open_directory, open_of(p, O_RDONLY | O_DIRECTORY))
CALL(open_nofollow, open_of(p, O_RDONLY | O_NOFOLLOW))
CALL(open_creat, open_of(p, O_WRONLY | O_CREAT))
CALL(open_excl, open_of(p, O_WRONLY | O_CREAT | O_EXCL))
CALL(creat, open_of(p, O_WRONLY | O_CREAT | O_TRUNC))
CALL(mkdir, mkdir(p, 0755))
CALL(mkdirat, mkdirat(HERE, p, 0755))
CALL(mkfifo, mkfifo(p, 0644))
CALL(mkfifoat, mkfifoat(HERE, p, 0644))
CALL(mknod_reg, mknod(p, S_IFREG | 0644, 0))
CALL(mknod_sock, mknodat(HERE, p, S_IFSOCK | 0644, 0))
CALL(symlink, symlink("x", p))
CALL(symlinkat, symlinkat("x", HERE, p))
CALL(link_from, link(p, "none"))
CALL(linkat_from, linkat(HERE, p, HERE, "none", AT_SYMLINK_FOLLOW))
CALL(link_to, link("src", p))
CALL(linkat_to, linkat(HERE, "src", HERE, p, 0))
CALL(rename_from, rename(p, "none"))
CALL(rename_to, rename("src", p))
CALL(renameat_from, renameat(HERE, p, HERE, "none"))
CALL(noreplace_from, renameat2(HERE, p, HERE, "none", RENAME_NOREPLACE))
CALL(noreplace_to, renameat2(HERE, "src", HERE, p, RENAME_NOREPLACE))
CALL(exchange_from, renameat2(HERE, p, HERE, "src", RENAME_EXCHANGE))
CALL(exchange_to, renameat2(HERE, "src", HERE, p, RENAME_EXCHANGE))
CALL(rmdir, rmdir(p))
CALL(unlinkat_dir, unlinkat(HERE, p, AT_REMOVEDIR))
CALL(unlink, unlink(p))
CALL(unlinkat, unlinkat(HERE, p, 0))
CALL(readlink, readlink(p, p_buf, sizeof(p_buf)))
CALL(readlinkat, readlinkat(HERE, p, p_buf, sizeof(p_buf)))
CALL(utimensat, utimensat(HERE, p, p_times, 0))
CALL(utimensat_nofollow, utimensat(HERE, p, p_times, AT_SYMLINK_NOFOLLOW))
CALL(utimes, utimes(p, NULL))
CALL(access, access(p, F_OK))
CALL(faccessat, faccessat(HERE, p, R_OK, 0))
CALL(faccessat_effective, faccessat(HERE, p, R_OK, AT_EACCESS))
CALL(stat, stat(p, &p_st))
CALL(lstat, lstat(p, &p_st))
CALL(statx, statx_of(p))
CALL(chdir, chdir(p))
CALL(statfs, statfs(p, &p_sfs))
CALL(execve, exec_of(p))
CALL(getxattr, getxattr(p, "user.none", p_buf, 10))

/*
 * The columns: what a missing last component comes to, a slash after a file, a symlink to
 * itself, a symlink to what is not there; SKIP: not to be tried.  MAKES: the last component
 * is what is made.  WRITES: the parent is written to.
 */
enum {
	SKIP = -1,
	MAKES = 1,
	WRITES = 2
};

struct call {
	const char *name;
	long (*fn)(const char *);
	int missing, slash, loop, dangling;
	unsigned flags;
};

#define ROW(id, ...)                     \
	{                                \
#id, c_##id, __VA_ARGS__ \
	}
static const struct call calls[] = {
    ROW(chmod, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(fchmodat, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(chown, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(lchown, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(fchownat, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(fchownat_nofollow, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(truncate, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_read, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_write, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_both, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_trunc, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_path, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_path_nofollow, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(open_directory, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(open_nofollow, ENOENT, ENOTDIR, ELOOP, ELOOP, 0),
    ROW(open_creat, SKIP, EISDIR, ELOOP, ENOENT, WRITES),
    ROW(open_excl, SKIP, EISDIR, EEXIST, EEXIST, MAKES | WRITES),
    ROW(creat, SKIP, EISDIR, ELOOP, ENOENT, WRITES),
    ROW(mkdir, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(mkdirat, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(mkfifo, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(mkfifoat, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(mknod_reg, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(mknod_sock, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(symlink, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(symlinkat, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(link_from, ENOENT, ENOTDIR, SKIP, SKIP, 0),
    ROW(linkat_from, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(link_to, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(linkat_to, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(rename_from, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(rename_to, SKIP, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(renameat_from, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(noreplace_from, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(noreplace_to, SKIP, EEXIST, EEXIST, EEXIST, MAKES | WRITES),
    ROW(exchange_from, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(exchange_to, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(rmdir, ENOENT, ENOTDIR, ENOTDIR, ENOTDIR, WRITES),
    ROW(unlinkat_dir, ENOENT, ENOTDIR, ENOTDIR, ENOTDIR, WRITES),
    ROW(unlink, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(unlinkat, ENOENT, ENOTDIR, SKIP, SKIP, WRITES),
    ROW(readlink, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(readlinkat, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(utimensat, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(utimensat_nofollow, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(utimes, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(access, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(faccessat, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(faccessat_effective, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(stat, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(lstat, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(statx, ENOENT, ENOTDIR, 0, 0, 0),
    ROW(chdir, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(statfs, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(execve, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
    ROW(getxattr, ENOENT, ENOTDIR, ELOOP, ENOENT, 0),
};
#define NCALLS (sizeof(calls) / sizeof(calls[0]))

/* A path of exactly this length that leads to a name here: "././/name". */
static const char *
long_path(size_t length, const char *name)
{
	static char path[8192];
	size_t n = length - strlen(name);

	for (size_t i = 0; i < n; i++)
		path[i] = i % 2 == 0 && i + 1 < n ? '.' : '/';
	strcpy(path + n, name);
	return path;
}

static void
expect(const struct call *c, int want, const char *path)
{
	if (want == SKIP)
		return;
	if (want == 0)
		OK(c->fn(path));
	else
		ERR(want, c->fn(path));
}

/* Everything that fails, in a directory where it must not leave anything behind. */
static void
failing(const struct call *c)
{
	static char path[8300];

	about(c->name);
	MARK(".", "f");
	ERR(ENOENT, c->fn(""));
	ERR(ENOENT, c->fn("no/none"));
	ERR(ENOENT, c->fn("dangling/none"));
	expect(c, c->missing, "none");
	ERR(ENOTDIR, c->fn("f/none"));
	ERR(ENOTDIR, c->fn("f/../none"));
	ERR(ENOTDIR, c->fn("fifo/none"));
	ERR(ENOTDIR, c->fn("tofile/none"));
	expect(c, c->slash, "f/");
	ERR(ELOOP, c->fn("loop/none"));
	ERR(ELOOP, c->fn("one/none"));
	expect(c, c->loop, "loop");
	expect(c, c->loop, "two");
	expect(c, c->dangling, "dangling");
	ERR(ENAMETOOLONG, c->fn(name_of(256)));
	ERR(ENAMETOOLONG, c->fn(name_of(1000)));
	snprintf(path, sizeof(path), "%s/none", name_of(256));
	ERR(ENAMETOOLONG, c->fn(path));
	snprintf(path, sizeof(path), "%s/none", name_of(255));
	ERR(ENOENT, c->fn(path));
	ERR(ENAMETOOLONG, c->fn(long_path(4096, "none")));
	if (c->flags & MAKES) {
		ERR(EEXIST, c->fn("f"));
		ERR(EEXIST, c->fn("d"));
		ERR(EEXIST, c->fn("tofile"));
		ERR(EEXIST, c->fn(long_path(4095, "f")));
	} else if (c->missing == ENOENT) {
		ERR(ENOENT, c->fn(long_path(4095, "none")));
		ERR(ENOENT, c->fn(name_of(255)));
		ERR(ENOENT, c->fn("d/../none"));
		ERR(ENOENT, c->fn("todir/none"));
	}
	MOVED(".", NONE);
	MOVED("f", NONE);
	T(l_holds("f", "text") && !l_exists("none"));
}

GROUP(paths)
{
	unsigned n;

	l_file("f", "text");
	l_file("src", "src");
	MUST(mkdir("d", 0755));
	MUST(mkfifo("fifo", 0644));
	MUST(symlink("loop", "loop"));
	MUST(symlink("two", "one"));
	MUST(symlink("one", "two"));
	MUST(symlink("no/where", "dangling"));
	MUST(symlink("f", "tofile"));
	MUST(symlink("d", "todir"));
	n = entries(".");
	for (size_t i = 0; i < NCALLS; i++)
		failing(&calls[i]);
	about(NULL);
	IS(entries("."), n);
	IS(entries("d"), 0);
}

/* Search permission is needed on every directory on the way, for the class of the caller:
 * the owner is only the owner, and a member of the group only that. */
static void
searching(const struct call *c)
{
	about(c->name);
	ERR(EACCES, c->fn("locked/f"));
	ERR(EACCES, c->fn("locked/none"));
	ERR(EACCES, c->fn("locked/in/f"));
	ERR(EACCES, c->fn("intolocked/f"));
	ERR(EACCES, c->fn("readable/f"));
	if (c->missing == ENOENT) {
		ERR(ENOENT, c->fn("search/none"));
		ERR(ENOENT, c->fn("search/in/none"));
	}
	if (c->flags & MAKES)
		ERR(EEXIST, c->fn("search/f"));
}

static void
searching_class(const struct call *c, bool is_ann)
{
	about(c->name);
	if (is_ann) {
		ERR(EACCES, c->fn("notann/f"));
		ERR(EACCES, c->fn("notclub/f"));
	} else {
		ERR(EACCES, c->fn("onlyann/f"));
		ERR(EACCES, c->fn("onlyclub/f"));
	}
	if (c->missing == ENOENT) {
		ERR(ENOENT, c->fn(is_ann ? "onlyann/none" : "notann/none"));
		ERR(ENOENT, c->fn(is_ann ? "onlyclub/none" : "notclub/none"));
	}
}

static void
search_dir(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	char path[300];

	make(DIRECTORY, name, 0755, uid, gid);
	snprintf(path, sizeof(path), "%s/f", name);
	l_file(path, "");
	MUST(chmod(path, 0666));
	snprintf(path, sizeof(path), "%s/in", name);
	make(DIRECTORY, path, 0777, 0, 0);
	MUST(chmod(name, mode));
}

static void
search_dirs(void)
{
	search_dir("locked", 0700, 0, 0);
	search_dir("readable", 0766, 0, 0);
	search_dir("search", 0711, 0, 0);
	search_dir("notann", 0077, ANN_UID, OTHER);
	search_dir("onlyann", 0700, ANN_UID, OTHER);
	search_dir("notclub", 0707, 0, CLUB);
	search_dir("onlyclub", 0070, 0, CLUB);
	MUST(symlink("locked", "intolocked"));
	l_file("src", "src");
	MUST(chmod("src", 0666));
	MUST(lchown("src", ANN_UID, ANN_GID));
	/* Root may put its calls' other names here, and so may everybody. */
	MUST(chmod(".", 0777));
}

GROUP(search)
{
	search_dirs();
	BY (ann) {
		for (size_t i = 0; i < NCALLS; i++) {
			searching(&calls[i]);
			searching_class(&calls[i], true);
		}
	}
	BY (bob) {
		for (size_t i = 0; i < NCALLS; i++) {
			/* A link to what is not one's own is another matter. */
			if (strncmp(calls[i].name, "link", 4) == 0)
				continue;
			searching(&calls[i]);
			searching_class(&calls[i], false);
		}
	}
	/* Nothing is closed to root. */
	for (size_t i = 0; i < NCALLS; i++) {
		if (calls[i].missing != ENOENT)
			continue;
		about(calls[i].name);
		ERR(ENOENT, calls[i].fn("locked/in/none"));
		ERR(ENOENT, calls[i].fn("notann/none"));
	}
	about(NULL);
	T(l_exists("locked/f") && l_exists("search/f") && l_exists("onlyclub/f"));
}

/* A parent that is not to be written to. */
static void
writing(const struct call *c)
{
	if (!(c->flags & WRITES))
		return;
	about(c->name);
	if (c->missing != ENOENT) {
		ERR(EACCES, c->fn("plain/none"));
		ERR(EACCES, c->fn("search/none"));
	} else {
		/* What is not there is found out before what is not allowed. */
		ERR(ENOENT, c->fn("plain/none"));
	}
	if (c->flags & MAKES)
		ERR(EEXIST, c->fn("plain/f"));
	else if (c->fn == c_rmdir || c->fn == c_unlinkat_dir)
		ERR(EACCES, c->fn("plain/in"));
	else if (c->fn != c_open_creat && c->fn != c_creat)
		ERR(EACCES, c->fn("plain/f"));
}

GROUP(write_parent)
{
	search_dir("plain", 0755, 0, 0);
	search_dir("search", 0711, 0, 0);
	search_dir("ann", 0755, ANN_UID, ANN_GID);
	search_dir("club", 0575, 0, CLUB);
	l_file("src", "src");
	MUST(chmod("src", 0666));
	MUST(lchown("src", ANN_UID, ANN_GID));
	MUST(chmod(".", 0777));
	MARK("plain", "plain/f");
	BY (ann) {
		for (size_t i = 0; i < NCALLS; i++)
			writing(&calls[i]);
		OK(mkdir("ann/made", 0755));
		OK(rmdir("ann/made"));
		OK(mkdir("club/made", 0755));
		OK(rmdir("club/made"));
	}
	MOVED("plain", NONE);
	MOVED("plain/f", NONE);
	IS(entries("plain"), 2);
	BY (bob) {
		ERR(EACCES, mkdir("ann/made", 0755));
		ERR(EACCES, mkdir("club/made", 0755));
		ERR(EACCES, unlink("ann/f"));
		ERR(EACCES, rmdir("club/in"));
	}
}
