/*
 * Failures of the calls that take paths, as a table.
 *
 * Each row is made on a file system of the type and, with the system call of the same name, on
 * the kernel's own tmpfs, which says whether the errno that the table expects is right.  After
 * each row everything must be as it was.
 */
#ifndef RF_T_UKFS_ROWS_H
#define RF_T_UKFS_ROWS_H

#include <limits.h>
#include <sys/xattr.h>

#include "tests/t-ukfs.h"

enum call {
	C_CHDIR,
	C_CHMOD,
	C_CHOWN,
	C_CREATE,
	C_GETX,
	C_LCHMOD,
	C_LCHOWN,
	C_LINK,
	C_LISTX,
	C_LSTAT,
	C_LUTIMES,
	C_MKDIR,
	C_MKFIFO,
	C_MKNOD,
	C_OPEN,
	C_OPENDIR,
	C_READLINK,
	C_REMOVE,
	C_REMX,
	C_RENAME,
	C_RMDIR,
	C_SETX,
	C_STAT,
	C_SYMLINK,
	C_TRUNCATE,
	C_UTIMENS,
	C_UTIMES,
};

struct row {
	enum call call;
	const char *a, *b;
	long n;
	int err;
	bool only_ours; /* the kernel does otherwise, and ukfs(3) says so */
};

static char name255[256], name256[257], path4095[4096], path4096[4097];
#define N255  name255
#define N256  name256
#define P4095 path4095
#define P4096 path4096

static void
fill_names(void)
{
	memset(name255, 'n', 255);
	memset(name256, 'n', 256);
	for (int i = 0; i < 4095; i++)
		path4095[i] = path4096[i] = i % 2 ? '/' : '.';
	path4096[4095] = '.';
}

/*
 * /f "hello"   /d/e   /d/sub/   /empty/   /fifo   /up/to/
 * /l -> f   /ld -> d   /labs -> /d/e   /none -> nowhere   /loop -> loop   /lslash -> f/
 */
static const struct row rows[] = {
    /* Paths. */
    {C_STAT, "", NULL, 0, ENOENT},
    {C_STAT, "none", NULL, 0, ENOENT},
    {C_STAT, "nothing", NULL, 0, ENOENT},
    {C_STAT, "nothing/x", NULL, 0, ENOENT},
    {C_STAT, "f/", NULL, 0, ENOTDIR},
    {C_STAT, "f/.", NULL, 0, ENOTDIR},
    {C_STAT, "f/..", NULL, 0, ENOTDIR},
    {C_STAT, "f/x", NULL, 0, ENOTDIR},
    {C_STAT, "l/", NULL, 0, ENOTDIR},
    {C_STAT, "lslash", NULL, 0, ENOTDIR},
    {C_STAT, "loop", NULL, 0, ELOOP},
    {C_STAT, "loop/x", NULL, 0, ELOOP},
    {C_STAT, N256, NULL, 0, ENAMETOOLONG},
    {C_STAT, N255, NULL, 0, ENOENT},
    {C_STAT, P4096, NULL, 0, ENAMETOOLONG},
    {C_LSTAT, "none/", NULL, 0, ENOENT},
    {C_LSTAT, "loop/", NULL, 0, ELOOP},
    {C_LSTAT, "nothing", NULL, 0, ENOENT},
    /* Opening. */
    {C_OPEN, "nothing", NULL, O_RDONLY, ENOENT},
    {C_OPEN, "d", NULL, O_WRONLY, EISDIR},
    {C_OPEN, "d", NULL, O_RDWR, EISDIR},
    {C_OPEN, "d", NULL, O_RDONLY | O_TRUNC, EISDIR},
    {C_OPEN, "f/", NULL, O_RDONLY, ENOTDIR},
    {C_OPEN, "f", NULL, O_RDONLY | O_DIRECTORY, ENOTDIR},
    {C_OPEN, "l", NULL, O_RDONLY | O_NOFOLLOW, ELOOP},
    {C_OPEN, "ld", NULL, O_RDONLY | O_NOFOLLOW, ELOOP},
    {C_OPEN, "ld", NULL, O_RDONLY | O_NOFOLLOW | O_DIRECTORY, ENOTDIR},
    {C_OPEN, "none", NULL, O_RDONLY, ENOENT},
    {C_OPEN, "fifo", NULL, O_WRONLY | O_NONBLOCK, ENXIO},
    {C_OPEN, "fifo", NULL, O_RDONLY | O_NONBLOCK, ENXIO, true},
    {C_OPEN, "f", NULL, O_RDONLY | O_CREAT, EINVAL, true},
    {C_OPEN, "d", NULL, O_RDWR | O_TMPFILE, EINVAL, true},
    {C_OPEN, "f", NULL, O_PATH, EINVAL, true},
    {C_OPEN, "f", NULL, O_ACCMODE, EINVAL, true},
    {C_OPENDIR, "f", NULL, 0, ENOTDIR},
    {C_OPENDIR, "l", NULL, 0, ENOTDIR},
    {C_OPENDIR, "nothing", NULL, 0, ENOENT},
    {C_CHDIR, "f", NULL, 0, ENOTDIR},
    {C_CHDIR, "nothing", NULL, 0, ENOENT},
    {C_CHDIR, "none", NULL, 0, ENOENT},
    /* Making. */
    {C_CREATE, "d", NULL, 0644, EISDIR},
    {C_CREATE, "ld", NULL, 0644, EISDIR},
    {C_CREATE, ".", NULL, 0644, EISDIR},
    {C_CREATE, "new/", NULL, 0644, EISDIR},
    {C_CREATE, "f/", NULL, 0644, EISDIR},
    {C_CREATE, "nothing/x", NULL, 0644, ENOENT},
    {C_CREATE, "f/x", NULL, 0644, ENOTDIR},
    {C_CREATE, "loop", NULL, 0644, ELOOP},
    {C_CREATE, N256, NULL, 0644, ENAMETOOLONG},
    {C_CREATE, "", NULL, 0644, ENOENT},
    {C_MKDIR, "d", NULL, 0755, EEXIST},
    {C_MKDIR, "d/", NULL, 0755, EEXIST},
    {C_MKDIR, "f", NULL, 0755, EEXIST},
    {C_MKDIR, "l", NULL, 0755, EEXIST},
    {C_MKDIR, "none", NULL, 0755, EEXIST},
    {C_MKDIR, "d/.", NULL, 0755, EEXIST},
    {C_MKDIR, "d/..", NULL, 0755, EEXIST},
    {C_MKDIR, "/", NULL, 0755, EEXIST},
    {C_MKDIR, "nothing/x", NULL, 0755, ENOENT},
    {C_MKDIR, "f/x", NULL, 0755, ENOTDIR},
    {C_MKDIR, N256, NULL, 0755, ENAMETOOLONG},
    {C_MKNOD, "f", NULL, S_IFREG | 0644, EEXIST},
    {C_MKNOD, "new", NULL, S_IFDIR | 0755, EPERM},
    {C_MKNOD, "new", NULL, S_IFLNK | 0755, EINVAL},
    {C_MKNOD, "new", NULL, 0110000 | 0755, EINVAL},
    {C_MKNOD, "new/", NULL, S_IFREG | 0644, ENOENT},
    {C_MKNOD, "d/", NULL, S_IFREG | 0644, EEXIST},
    {C_MKNOD, ".", NULL, S_IFREG | 0644, EEXIST},
    {C_MKFIFO, "f", NULL, 0600, EEXIST},
    {C_MKFIFO, "nothing/x", NULL, 0600, ENOENT},
    {C_SYMLINK, "new", "", 0, ENOENT},
    {C_SYMLINK, "new", P4096, 0, ENAMETOOLONG},
    {C_SYMLINK, "f", "x", 0, EEXIST},
    {C_SYMLINK, "none", "x", 0, EEXIST},
    {C_SYMLINK, "new/", "x", 0, ENOENT},
    {C_SYMLINK, "nothing/x", "x", 0, ENOENT},
    {C_LINK, "nothing", "new", 0, ENOENT},
    {C_LINK, "d", "new", 0, EPERM},
    {C_LINK, "d", "f", 0, EEXIST},
    {C_LINK, "f", "d/e", 0, EEXIST},
    {C_LINK, "f", "d/..", 0, EEXIST},
    {C_LINK, "f", "new/", 0, ENOENT},
    {C_LINK, "f/", "new", 0, ENOTDIR},
    {C_LINK, "f", "nothing/x", 0, ENOENT},
    {C_LINK, "f", "f/x", 0, ENOTDIR},
    /* Removing. */
    {C_REMOVE, "nothing", NULL, 0, ENOENT},
    {C_REMOVE, "nothing/", NULL, 0, ENOENT},
    {C_REMOVE, "d", NULL, 0, EISDIR},
    {C_REMOVE, "d/", NULL, 0, EISDIR},
    {C_REMOVE, "f/", NULL, 0, ENOTDIR},
    {C_REMOVE, "l/", NULL, 0, ENOTDIR},
    {C_REMOVE, ".", NULL, 0, EISDIR},
    {C_REMOVE, "d/..", NULL, 0, EISDIR},
    {C_REMOVE, "/", NULL, 0, EISDIR},
    {C_REMOVE, "f/x", NULL, 0, ENOTDIR},
    {C_RMDIR, "nothing", NULL, 0, ENOENT},
    {C_RMDIR, "f", NULL, 0, ENOTDIR},
    {C_RMDIR, "ld", NULL, 0, ENOTDIR},
    {C_RMDIR, "ld/", NULL, 0, ENOTDIR},
    {C_RMDIR, "d", NULL, 0, ENOTEMPTY},
    {C_RMDIR, "d/sub/.", NULL, 0, EINVAL},
    {C_RMDIR, "d/sub/..", NULL, 0, ENOTEMPTY},
    {C_RMDIR, "/", NULL, 0, EBUSY},
    {C_RENAME, "nothing", "new", 0, ENOENT},
    {C_RENAME, "f", "d", 0, EISDIR},
    {C_RENAME, "d", "f", 0, ENOTDIR},
    {C_RENAME, "d", "empty/../d/sub/x", 0, EINVAL},
    {C_RENAME, "d/sub", "d", 0, ENOTEMPTY},
    {C_RENAME, "empty", "d", 0, ENOTEMPTY},
    {C_RENAME, "d/.", "new", 0, EBUSY},
    {C_RENAME, "d", "empty/..", 0, EBUSY},
    {C_RENAME, "/", "new", 0, EBUSY},
    {C_RENAME, "f/", "new", 0, ENOTDIR},
    {C_RENAME, "f", "new/", 0, ENOTDIR},
    {C_RENAME, "f", "nothing/x", 0, ENOENT},
    {C_RENAME, "f", N256, 0, ENAMETOOLONG},
    {C_RENAME, "f/x", "new", 0, ENOTDIR},
    /* Attributes. */
    {C_READLINK, "f", NULL, 100, EINVAL},
    {C_READLINK, "d", NULL, 100, EINVAL},
    {C_READLINK, "l", NULL, 0, EINVAL},
    {C_READLINK, "nothing", NULL, 100, ENOENT},
    {C_CHMOD, "nothing", NULL, 0600, ENOENT},
    {C_CHMOD, "none", NULL, 0600, ENOENT},
    {C_LCHMOD, "nothing", NULL, 0600, ENOENT},
    {C_LCHMOD, "l", NULL, 0600, EOPNOTSUPP},
    {C_CHOWN, "none", NULL, 7, ENOENT},
    {C_LCHOWN, "nothing", NULL, 7, ENOENT},
    {C_TRUNCATE, "d", NULL, 0, EISDIR},
    {C_TRUNCATE, "fifo", NULL, 0, EINVAL},
    {C_TRUNCATE, "f", NULL, -1, EINVAL},
    {C_TRUNCATE, "nothing", NULL, 0, ENOENT},
    {C_TRUNCATE, "f/", NULL, 0, ENOTDIR},
    {C_UTIMES, "nothing", NULL, 0, ENOENT},
    {C_UTIMES, "f", NULL, 1000000, EINVAL},
    {C_UTIMES, "f", NULL, -1, EINVAL},
    {C_LUTIMES, "nothing", NULL, 0, ENOENT},
    {C_UTIMENS, "f", NULL, 1000000000, EINVAL},
    {C_UTIMENS, "nothing", NULL, 0, ENOENT},
    {C_GETX, "f", "trusted.none", 100, ENODATA},
    {C_GETX, "f", "", 100, ERANGE},
    {C_GETX, "f", N256, 100, ERANGE},
    {C_GETX, "f", "family.x", 100, EOPNOTSUPP},
    {C_GETX, "l", "user.x", 100, ENODATA},
    {C_GETX, "nothing", "trusted.x", 100, ENOENT},
    {C_SETX, "f", "trusted.x", XATTR_REPLACE, ENODATA},
    {C_SETX, "f", "trusted.x", 64, EINVAL},
    {C_SETX, "f", "family.x", 0, EOPNOTSUPP},
    {C_SETX, "l", "user.x", 0, EPERM},
    {C_SETX, "nothing", "trusted.x", 0, ENOENT},
    {C_LISTX, "nothing", NULL, 0, ENOENT},
    {C_REMX, "f", "trusted.x", 0, ENODATA},
    {C_REMX, "l", "user.x", 0, EPERM},
    {C_REMX, "nothing", "trusted.x", 0, ENOENT},
};

/* Rows on what may only be read, where nothing but the fixture is. */
static const struct row rdonly_rows[] = {
    {C_OPEN, "f", NULL, O_WRONLY, EROFS},
    {C_OPEN, "f", NULL, O_RDONLY | O_TRUNC, EROFS},
    {C_OPEN, "d", NULL, O_WRONLY, EISDIR},
    {C_CREATE, "f", NULL, 0644, EROFS},
    {C_CREATE, "new", NULL, 0644, EROFS},
    {C_MKDIR, "new", NULL, 0755, EROFS},
    {C_MKDIR, "d", NULL, 0755, EEXIST},
    {C_MKNOD, "new", NULL, S_IFREG | 0644, EROFS},
    {C_MKNOD, "f", NULL, S_IFREG | 0644, EEXIST},
    {C_MKFIFO, "new", NULL, 0600, EROFS},
    {C_SYMLINK, "new", "x", 0, EROFS},
    {C_LINK, "f", "new", 0, EROFS},
    {C_LINK, "f", "d", 0, EEXIST},
    {C_REMOVE, "f", NULL, 0, EROFS},
    {C_REMOVE, "nothing", NULL, 0, EROFS},
    {C_RMDIR, "empty", NULL, 0, EROFS},
    {C_RENAME, "f", "new", 0, EROFS},
    {C_CHMOD, "f", NULL, 0600, EROFS},
    {C_CHOWN, "f", NULL, 7, EROFS},
    {C_LCHOWN, "l", NULL, 7, EROFS},
    {C_TRUNCATE, "f", NULL, 0, EROFS},
    {C_TRUNCATE, "d", NULL, 0, EISDIR},
    {C_UTIMES, "f", NULL, 0, EROFS},
    {C_UTIMENS, "f", NULL, 0, EROFS},
    {C_SETX, "f", "trusted.x", 0, EROFS},
    {C_REMX, "f", "trusted.x", 0, EROFS},
};

#define NROWS(t) (sizeof(t) / sizeof((t)[0]))

static const struct timeval *
tv_of(const struct row *r)
{
	static struct timeval tv[2];

	tv[0].tv_sec = tv[1].tv_sec = 1000;
	tv[0].tv_usec = tv[1].tv_usec = r->n;
	return tv;
}

static const struct timespec *
ts_of(const struct row *r)
{
	static struct timespec ts[2];

	ts[0].tv_sec = ts[1].tv_sec = 1000;
	ts[0].tv_nsec = ts[1].tv_nsec = r->n;
	return ts;
}

/* Closes what should not have been opened. */
static long
opened(struct ukfs *fs, int fd)
{
	if (fd >= 0)
		fs ? ukfs_close(fs, fd) : close(fd);
	return fd;
}

static long
opened_dir(struct ukfs *fs, const char *path)
{
	struct ukfs_dircookie *const mark = (void *)&fs, *dc = mark;
	int r = ukfs_opendir(fs, path, &dc);

	if (r == 0)
		ukfs_closedir(fs, dc);
	else
		CHECK(dc == mark);
	return r;
}

/* clang-format off */
static long
ask_ukfs(struct ukfs *fs, const struct row *r)
{
	char buf[256];

	switch (r->call) {
	case C_CHDIR: return ukfs_chdir(fs, r->a);
	case C_CHMOD: return ukfs_chmod(fs, r->a, (mode_t)r->n);
	case C_CHOWN: return ukfs_chown(fs, r->a, (uid_t)r->n, 7);
	case C_CREATE: return ukfs_create(fs, r->a, (mode_t)r->n);
	case C_GETX: return ukfs_lgetxattr(fs, r->a, r->b, buf, (size_t)r->n);
	case C_LCHMOD: return ukfs_lchmod(fs, r->a, (mode_t)r->n);
	case C_LCHOWN: return ukfs_lchown(fs, r->a, (uid_t)r->n, 7);
	case C_LINK: return ukfs_link(fs, r->a, r->b);
	case C_LISTX: return ukfs_llistxattr(fs, r->a, buf, sizeof(buf));
	case C_LSTAT: return ukfs_lstat(fs, r->a, (struct stat *)(void *)buf);
	case C_LUTIMES: return ukfs_lutimes(fs, r->a, tv_of(r));
	case C_MKDIR: return ukfs_mkdir(fs, r->a, (mode_t)r->n);
	case C_MKFIFO: return ukfs_mkfifo(fs, r->a, (mode_t)r->n);
	case C_MKNOD: return ukfs_mknod(fs, r->a, (mode_t)r->n, 0);
	case C_OPEN: return opened(fs, ukfs_open(fs, r->a, (int)r->n));
	case C_OPENDIR: return opened_dir(fs, r->a);
	case C_READLINK: return ukfs_readlink(fs, r->a, buf, (size_t)r->n);
	case C_REMOVE: return ukfs_remove(fs, r->a);
	case C_REMX: return ukfs_lremovexattr(fs, r->a, r->b);
	case C_RENAME: return ukfs_rename(fs, r->a, r->b);
	case C_RMDIR: return ukfs_rmdir(fs, r->a);
	case C_SETX: return ukfs_lsetxattr(fs, r->a, r->b, "v", 1, (int)r->n);
	case C_STAT: return ukfs_stat(fs, r->a, (struct stat *)(void *)buf);
	case C_SYMLINK: return ukfs_symlink(fs, r->b, r->a);
	case C_TRUNCATE: return ukfs_truncate(fs, r->a, r->n);
	case C_UTIMENS: return ukfs_utimens(fs, r->a, ts_of(r), 0);
	case C_UTIMES: return ukfs_utimes(fs, r->a, tv_of(r));
	}
	return 0;
}

static long
ask_kernel(const struct row *r)
{
	char buf[256];

	switch (r->call) {
	case C_CHDIR: return chdir(r->a);
	case C_CHMOD: return chmod(r->a, (mode_t)r->n);
	case C_CHOWN: return chown(r->a, (uid_t)r->n, 7);
	case C_CREATE: return opened(NULL, open(r->a, O_WRONLY | O_CREAT, (mode_t)r->n));
	case C_GETX: return lgetxattr(r->a, r->b, buf, (size_t)r->n);
	case C_LCHMOD: return fchmodat(AT_FDCWD, r->a, (mode_t)r->n, AT_SYMLINK_NOFOLLOW);
	case C_LCHOWN: return lchown(r->a, (uid_t)r->n, 7);
	case C_LINK: return link(r->a, r->b);
	case C_LISTX: return llistxattr(r->a, buf, sizeof(buf));
	case C_LSTAT: return lstat(r->a, (struct stat *)(void *)buf);
	case C_LUTIMES: return lutimes(r->a, tv_of(r));
	case C_MKDIR: return mkdir(r->a, (mode_t)r->n);
	case C_MKFIFO: return mkfifo(r->a, (mode_t)r->n);
	case C_MKNOD: return mknod(r->a, (mode_t)r->n, 0);
	case C_OPEN: return opened(NULL, open(r->a, (int)r->n, 0600));
	case C_OPENDIR: return opened(NULL, open(r->a, O_RDONLY | O_DIRECTORY));
	case C_READLINK: return readlink(r->a, buf, (size_t)r->n);
	case C_REMOVE: return unlink(r->a);
	case C_REMX: return lremovexattr(r->a, r->b);
	case C_RENAME: return rename(r->a, r->b);
	case C_RMDIR: return rmdir(r->a);
	case C_SETX: return lsetxattr(r->a, r->b, "v", 1, (int)r->n);
	case C_STAT: return stat(r->a, (struct stat *)(void *)buf);
	case C_SYMLINK: return symlink(r->b, r->a);
	case C_TRUNCATE: return truncate(r->a, r->n);
	case C_UTIMENS: return utimensat(AT_FDCWD, r->a, ts_of(r), 0);
	case C_UTIMES: return utimes(r->a, tv_of(r));
	}
	return 0;
}
/* clang-format on */

static void
check_row(const char *who, const struct row *r, size_t i, long got, int e)
{
	if (got == -1 && e == r->err)
		return;
	printf(
	    "row %zu (call %d \"%.30s\" \"%.30s\" %ld): %s says %ld, %s; expected %s\n",
	    i, r->call, r->a, r->b ? r->b : "", r->n, who, got, strerror(e),
	    strerror(r->err));
	t_bad++;
}

static void
fixture(struct ukfs *fs)
{
	CHECK_EQ(put(fs, "f", "hello"), 0);
	CHECK_EQ(ukfs_mkdir(fs, "d", 0755), 0);
	CHECK_EQ(put(fs, "d/e", "inner"), 0);
	CHECK_EQ(ukfs_mkdir(fs, "d/sub", 0700), 0);
	CHECK_EQ(ukfs_mkdir(fs, "empty", 0755), 0);
	CHECK_EQ(ukfs_mkfifo(fs, "fifo", 0600), 0);
	CHECK_EQ(ukfs_util_builddirs(fs, "up/to", 0755), 0);
	CHECK_EQ(ukfs_symlink(fs, "f", "l"), 0);
	CHECK_EQ(ukfs_symlink(fs, "d", "ld"), 0);
	CHECK_EQ(ukfs_symlink(fs, "/d/e", "labs"), 0);
	CHECK_EQ(ukfs_symlink(fs, "nowhere", "none"), 0);
	CHECK_EQ(ukfs_symlink(fs, "loop", "loop"), 0);
	CHECK_EQ(ukfs_symlink(fs, "f/", "lslash"), 0);
}

/* Everything below path that a user can see, the time of the last change too. */
static void
dump(struct ukfs *fs, const char *path, FILE *out)
{
	char buf[4096], sub[4096], target[256];
	off_t off = 0;
	ssize_t n;

	while ((n = ukfs_getdents(fs, path, &off, buf, sizeof(buf))) > 0) {
		struct dirent64 *de;

		for (char *p = buf; p < buf + n; p += de->d_reclen) {
			struct stat st;

			de = (struct dirent64 *)(void *)p;
			if (strcmp(de->d_name, "..") == 0)
				continue;
			snprintf(sub, sizeof(sub), "%s/%s", path, de->d_name);
			st = st_of(fs, sub);
			fprintf(out, "%s %llu %o %u:%u %lld %lu %lld.%09ld %s\n", sub,
			    (unsigned long long)st.st_ino, st.st_mode, st.st_uid,
			    st.st_gid, (long long)st.st_size, st.st_nlink,
			    (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
			    S_ISREG(st.st_mode) ? text_of(fs, sub) : "");
			if (S_ISLNK(st.st_mode)) {
				ssize_t len =
				    ukfs_readlink(fs, sub, target, sizeof(target));
				fprintf(out, "\t-> %.*s\n", (int)len, target);
			}
			if (S_ISDIR(st.st_mode) && strcmp(de->d_name, ".") != 0)
				dump(fs, sub, out);
		}
	}
	fprintf(out, "%zd\n", n);
}

static char *
dumped(struct ukfs *fs)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	dump(fs, "/", f);
	fclose(f);
	return text;
}

static void
check_rows(struct ukfs *fs, const struct row *t, size_t n)
{
	char *before = dumped(fs), *after;

	CHECK(strstr(before, "hello"));
	for (size_t i = 0; i < n; i++) {
		long got;

		errno = 0;
		got = ask_ukfs(fs, &t[i]);
		check_row("libukfs", &t[i], i, got, errno);
		after = dumped(fs);
		if (strcmp(before, after) != 0) {
			printf("row %zu has changed something:\n%s%s", i, before, after);
			t_bad++;
		}
		free(after);
	}
	free(before);
}

TEST(every_failure_has_its_errno_and_changes_nothing)
{
	FRESH(fs);
	fill_names();
	fixture(fs);
	CHECK_EQ(ukfs_stat(fs, P4095, &(struct stat){0}), 0);
	check_rows(fs, rows, NROWS(rows));
	/* From below, by the same names from another directory. */
	FAILS(ukfs_chdir(fs, "f"), ENOTDIR);
	CHECK_EQ(st_of(fs, ".").st_ino, st_of(fs, "/").st_ino);
}

TEST(what_may_only_be_read_says_so)
{
	FRESH(fs);
	fill_names();
	fixture(fs);
	if (!on_image())
		SKIP("a tree in memory is empty when it is mounted");
	fs_done(&fs);
	fs = again(UKFS_RDONLY);
	REQUIRE(fs);
	CHECK(ukfs_rdonly(fs));
	check_rows(fs, rdonly_rows, NROWS(rdonly_rows));
}

/* In a process of its own, whose root is a directory of the kernel's tmpfs. */
static int
kernel_rows(const char *root)
{
	struct stat st;
	int bad = 0;

	umask(0);
	if (chroot(root) < 0 || chdir("/") < 0)
		return 77;
	close(open("f", O_CREAT | O_WRONLY, 0644));
	mkdir("d", 0755);
	close(open("d/e", O_CREAT | O_WRONLY, 0644));
	mkdir("d/sub", 0700);
	mkdir("empty", 0755);
	mkfifo("fifo", 0600);
	if (symlink("f", "l") || symlink("d", "ld") || symlink("nowhere", "none") ||
	    symlink("loop", "loop") || symlink("f/", "lslash") || stat(P4095, &st))
		return 78;
	t_bad = 0;
	for (size_t i = 0; i < NROWS(rows); i++) {
		long got;

		if (rows[i].only_ours)
			continue;
		errno = 0;
		got = ask_kernel(&rows[i]);
		check_row("the kernel", &rows[i], i, got, errno);
	}
	bad = (int)t_bad;
	return bad > 76 ? 76 : bad;
}

TEST(the_kernel_fails_the_same_way)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	int st = -1;
	pid_t pid;

	fill_names();
	pid = fork();
	if (pid == 0)
		_exit(kernel_rows(t.path));
	waitpid(pid, &st, 0);
	if (WIFEXITED(st) && WEXITSTATUS(st) == 77)
		SKIP("only root can have another root");
	CHECK(WIFEXITED(st));
	CHECK_EQ(WEXITSTATUS(st), 0);
}

#endif
