/*
 * System calls, part two: extended attributes, and the capabilities of a file, which go
 * when it is changed.  Run as root, on a directory that other users can reach.
 */
#include "list-sys.h"

#include <linux/capability.h>
#include <sys/sendfile.h>

static char big[70000];

GROUP(xattr_values)
{
	static const size_t sizes[] = {0, 1, 7, 8, 255, 256, 1000, 2000};
	char got[4096];

	l_file("f", "");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];
		memset(big, 'a' + (int)i, n);
		CASE_OK(setxattr("f", "user.v", big, n, 0), "setting %zu bytes", n);
		CASE_IS(getxattr("f", "user.v", NULL, 0), n, "asking for %zu bytes", n);
		CASE_IS(
		    getxattr("f", "user.v", got, sizeof(got)), n, "getting %zu bytes", n);
		CASE(memcmp(got, big, n) == 0, "the same %zu bytes", n);
		if (n == 0)
			continue;
		CASE_IS(getxattr("f", "user.v", got, n), n, "getting %zu bytes into %zu",
		    n, n);
		if (n > 1)
			CASE_ERR(ERANGE, getxattr("f", "user.v", got, n - 1),
			    "getting %zu bytes into less", n);
	}
	/* Bytes are bytes. */
	OK(setxattr("f", "user.v", "\0\1\xff\0", 4, XATTR_REPLACE));
	IS(getxattr("f", "user.v", got, sizeof(got)), 4);
	T(memcmp(got, "\0\1\xff\0", 4) == 0);
	OK(removexattr("f", "user.v"));
	ERR(ENODATA, getxattr("f", "user.v", got, sizeof(got)));
	ERR(ENODATA, getxattr("f", "user.v", NULL, 0));
	ERR(ENODATA, removexattr("f", "user.v"));
	memset(big, 'x', sizeof(big));
	ERR(E2BIG, setxattr("f", "user.v", big, 65537, 0));
	ERR(E2BIG, setxattr("f", "trusted.v", big, 65537, 0));
	/* ext4 keeps them in one block of 4 KiB. */
	TAG("xattr-64k");
	OK(setxattr("f", "user.v", big, 65536, 0));
	IS(getxattr("f", "user.v", NULL, 0), 65536);
	ERR(ERANGE, getxattr("f", "user.v", got, sizeof(got)));
	TAG(NULL);
	IS(l_stat("f").st_size, 0);
}

GROUP(xattr_flags)
{
	char got[16];

	l_file("f", "");
	ERR(ENODATA, setxattr("f", "user.a", "x", 1, XATTR_REPLACE));
	ERR(ENODATA, getxattr("f", "user.a", got, 16));
	OK(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	ERR(EEXIST, setxattr("f", "user.a", "22", 2, XATTR_CREATE));
	IS(getxattr("f", "user.a", got, 16), 1);
	IS(got[0], '1');
	OK(setxattr("f", "user.a", "22", 2, XATTR_REPLACE));
	IS(getxattr("f", "user.a", got, 16), 2);
	OK(setxattr("f", "user.a", "333", 3, 0));
	IS(getxattr("f", "user.a", got, 16), 3);
	ERR(EINVAL, setxattr("f", "user.a", "4", 1, 4));
	ERR(EINVAL, setxattr("f", "user.a", "4", 1, -1));
	IS(getxattr("f", "user.a", got, 16), 3);
	ERR(EEXIST, setxattr("f", "user.a", "", 0, XATTR_CREATE));
	ERR(EFAULT, setxattr("f", "user.a", nowhere(), 1, 0));
	ERR(EFAULT, setxattr("f", nowhere(), "1", 1, 0));
	ERR(EFAULT, getxattr("f", "user.a", nowhere(), 16));
	IS(getxattr("f", "user.a", got, 16), 3);
}

GROUP(xattr_names)
{
	char name[300], list[1000];

	l_file("f", "");
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[255] = 0;
	OK(setxattr("f", name, "1", 1, 0));
	IS(getxattr("f", name, list, 10), 1);
	IS(listxattr("f", list, sizeof(list)), 256);
	OK(removexattr("f", name));
	name[255] = 'n';
	name[256] = 0;
	ERR(ERANGE, setxattr("f", name, "1", 1, 0));
	ERR(ERANGE, getxattr("f", name, NULL, 0));
	ERR(ERANGE, removexattr("f", name));
	ERR(ERANGE, setxattr("f", "", "1", 1, 0));
	ERR(ERANGE, getxattr("f", "", NULL, 0));
	ERR(ERANGE, removexattr("f", ""));
	ERR(EINVAL, setxattr("f", "user.", "1", 1, 0));
	ERR(EINVAL, getxattr("f", "user.", NULL, 0));
	ERR(EINVAL, setxattr("f", "trusted.", "1", 1, 0));
	/* Families that nobody knows. */
	ERR(EOPNOTSUPP, setxattr("f", "plain", "1", 1, 0));
	ERR(EOPNOTSUPP, getxattr("f", "plain", NULL, 0));
	ERR(EOPNOTSUPP, removexattr("f", "plain"));
	ERR(EOPNOTSUPP, setxattr("f", "other.a", "1", 1, 0));
	ERR(EOPNOTSUPP, getxattr("f", "other.a", NULL, 0));
	ERR(EOPNOTSUPP, setxattr("f", "system.other", "1", 1, 0));
	ERR(EOPNOTSUPP, getxattr("f", "system.other", NULL, 0));
	ERR(EOPNOTSUPP, setxattr("f", "user", "1", 1, 0));
	ERR(EOPNOTSUPP, setxattr("f", "User.a", "1", 1, 0));
	IS(listxattr("f", list, sizeof(list)), 0);
	/* Any byte will do. */
	OK(setxattr("f", "user.\1 /\xff.\n", "1", 1, 0));
	IS(getxattr("f", "user.\1 /\xff.\n", list, 10), 1);
	ERR(ENODATA, getxattr("f", "user.\1 /\xff.", list, 10));
	OK(setxattr("f", "user.a", "1", 1, 0));
	ERR(ENODATA, getxattr("f", "user.A", list, 10));
	ERR(ENODATA, getxattr("f", "user.aa", list, 10));
	ERR(ENODATA, getxattr("f", "trusted.a", list, 10));
	ERR(ENOENT, setxattr("no", "user.a", "1", 1, 0));
	ERR(ENOENT, listxattr("no", NULL, 0));
	ERR(ENOTDIR, getxattr("f/x", "user.a", NULL, 0));
}

/* Is the name in the list? */
static bool
listed(const char *list, ssize_t n, const char *name)
{
	for (const char *p = list; p < list + n; p += strlen(p) + 1) {
		if (strcmp(p, name) == 0)
			return true;
	}
	return false;
}

GROUP(xattr_list)
{
	char name[30], list[1000];
	ssize_t n;
	int seen = 0;

	l_file("f", "");
	IS(listxattr("f", list, sizeof(list)), 0);
	IS(listxattr("f", NULL, 0), 0);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "%s.%02d",
		    i % 3 == 0   ? "user"
		    : i % 3 == 1 ? "trusted"
				 : "security",
		    i);
		CASE_OK(setxattr("f", name, name, (size_t)i, 0), "setting %s", name);
	}
	IS(listxattr("f", NULL, 0), 10 * 8 + 10 * 11 + 10 * 12);
	IS(n = listxattr("f", list, sizeof(list)), 310);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "%s.%02d",
		    i % 3 == 0   ? "user"
		    : i % 3 == 1 ? "trusted"
				 : "security",
		    i);
		seen += listed(list, n, name);
		CASE_IS(getxattr("f", name, NULL, 0), i, "size of %s", name);
	}
	IS(seen, 30);
	IS(listxattr("f", list, 310), 310);
	ERR(ERANGE, listxattr("f", list, 309));
	ERR(ERANGE, listxattr("f", list, 1));
	OK(removexattr("f", "trusted.16"));
	IS(n = listxattr("f", list, sizeof(list)), 299);
	T(!listed(list, n, "trusted.16") && listed(list, n, "trusted.13"));
	/* Those who are not trusted see nothing of them. */
	OK_AS(A, n = listxattr("f", list, sizeof(list)));
	T(listed(list, n, "user.00") && listed(list, n, "security.02"));
	T(!listed(list, n, "trusted.01"));
	IS(n, 10 * 8 + 10 * 12);
	int fd = open("f", O_RDONLY);
	IS(flistxattr(fd, list, sizeof(list)), 299);
	close(fd);
	OK(symlink("f", "l"));
	IS(listxattr("l", list, sizeof(list)), 299);
	IS(llistxattr("l", list, sizeof(list)), 0);
}

GROUP(xattr_kinds)
{
	char got[16];

	OK(mkdir("d", 0755));
	OK(symlink("d", "l"));
	OK(mkfifo("p", 0644));
	OK(mknod("s", S_IFSOCK | 0644, 0));
	OK(mknod("c", S_IFCHR | 0644, makedev(1, 3)));
	OK(setxattr("d", "user.a", "1", 1, 0));
	IS(getxattr("l", "user.a", got, 16), 1);
	OK(setxattr("l", "user.b", "22", 2, 0));
	IS(getxattr("d", "user.b", got, 16), 2);
	/* user. is for files and directories. */
	ERR(EPERM, lsetxattr("l", "user.a", "1", 1, 0));
	ERR(ENODATA, lgetxattr("l", "user.a", got, 16));
	ERR(EPERM, lremovexattr("l", "user.a"));
	ERR(EPERM, setxattr("p", "user.a", "1", 1, 0));
	ERR(ENODATA, getxattr("p", "user.a", got, 16));
	ERR(EPERM, removexattr("p", "user.a"));
	ERR(EPERM, setxattr("s", "user.a", "1", 1, 0));
	ERR(EPERM, setxattr("c", "user.a", "1", 1, 0));
	ERR(ENODATA, getxattr("c", "user.a", got, 16));
	/* The others are for all. */
	OK(lsetxattr("l", "trusted.a", "1", 1, 0));
	IS(lgetxattr("l", "trusted.a", got, 16), 1);
	ERR(ENODATA, getxattr("l", "trusted.a", got, 16));
	IS(llistxattr("l", got, 16), 10);
	OK(lsetxattr("l", "security.a", "1", 1, 0));
	OK(lremovexattr("l", "trusted.a"));
	OK(setxattr("p", "trusted.a", "1", 1, 0));
	IS(getxattr("p", "trusted.a", got, 16), 1);
	OK(setxattr("s", "trusted.a", "1", 1, 0));
	OK(setxattr("c", "security.a", "1", 1, 0));
	IS(getxattr("c", "security.a", got, 16), 1);
	OK(removexattr("p", "trusted.a"));
	/* By descriptor. */
	int fd = open("d", O_RDONLY | O_DIRECTORY);
	IS(fgetxattr(fd, "user.b", got, 16), 2);
	OK(fsetxattr(fd, "user.c", "333", 3, XATTR_CREATE));
	OK(fremovexattr(fd, "user.b"));
	ERR(ENODATA, getxattr("d", "user.b", got, 16));
	IS(flistxattr(fd, got, 16), 14);
	close(fd);
	OK(fd = open("d", O_PATH));
	ERR(EBADF, fgetxattr(fd, "user.c", got, 16));
	ERR(EBADF, fsetxattr(fd, "user.c", got, 1, 0));
	ERR(EBADF, flistxattr(fd, got, 16));
	close(fd);
	ERR(EBADF, fgetxattr(fd, "user.c", got, 16));
	/* A name is not the node. */
	l_file("f", "");
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(link("f", "g"));
	OK(rename("f", "h"));
	IS(getxattr("g", "user.a", got, 16), 1);
	OK(setxattr("g", "user.a", "22", 2, 0));
	IS(getxattr("h", "user.a", got, 16), 2);
	l_file("f", "");
	OK(rename("f", "h"));
	ERR(ENODATA, getxattr("h", "user.a", got, 16));
}

GROUP(xattr_rights)
{
	char got[16];

	l_file("f", "");
	OK(chown("f", UID_A, GID_A));
	OK(chmod("f", 0600));
	OK_AS(A, setxattr("f", "user.a", "1", 1, 0));
	OK_AS(A, getxattr("f", "user.a", got, 16));
	ERR_AS(B, EACCES, getxattr("f", "user.a", got, 16));
	ERR_AS(B, EACCES, setxattr("f", "user.a", "2", 1, 0));
	ERR_AS(B, EACCES, removexattr("f", "user.a"));
	OK_AS(B, listxattr("f", got, 16));
	OK(chmod("f", 0604));
	OK_AS(B, getxattr("f", "user.a", got, 16));
	ERR_AS(B, EACCES, setxattr("f", "user.a", "2", 1, 0));
	OK(chmod("f", 0602));
	ERR_AS(B, EACCES, getxattr("f", "user.a", got, 16));
	OK_AS(B, setxattr("f", "user.a", "2", 1, 0));
	OK_AS(B, removexattr("f", "user.a"));
	/* Even the owner needs the right, and a descriptor does not give it. */
	OK(chmod("f", 0200));
	ERR_AS(A, EACCES, getxattr("f", "user.a", got, 16));
	OK(chmod("f", 0400));
	ERR_AS(A, EACCES, setxattr("f", "user.a", "2", 1, 0));
	int fd = open("f", O_RDWR);
	ERR_AS(A, EACCES, fsetxattr(fd, "user.a", "2", 1, 0));
	close(fd);
	OK(setxattr("f", "user.a", "root", 4, 0));
	OK(chmod("f", 0600));
	ERR_AS(A, EPERM, setxattr("f", "trusted.a", "1", 1, 0));
	ERR_AS(A, ENODATA, getxattr("f", "trusted.a", got, 16));
	OK(setxattr("f", "trusted.a", "1", 1, 0));
	ERR_AS(A, ENODATA, getxattr("f", "trusted.a", got, 16));
	ERR_AS(A, EPERM, removexattr("f", "trusted.a"));
	ERR_AS(A, EPERM, setxattr("f", "security.a", "1", 1, 0));
	OK(setxattr("f", "security.a", "1", 1, 0));
	OK_AS(A, getxattr("f", "security.a", got, 16));
	OK_AS(B, getxattr("f", "security.a", got, 16));
	ERR_AS(A, EPERM, removexattr("f", "security.a"));
	/* In a sticky directory it takes its owner. */
	OK(mkdir("d", 0755));
	OK(chmod("d", 01777));
	OK(chown("d", UID_A, GID_A));
	ERR_AS(B, EPERM, setxattr("d", "user.a", "1", 1, 0));
	OK_AS(A, setxattr("d", "user.a", "1", 1, 0));
	OK_AS(B, getxattr("d", "user.a", got, 16));
	OK(chmod("d", 0777));
	OK_AS(B, setxattr("d", "user.a", "1", 1, 0));
	OK(chmod("d", 0700));
	ERR_AS(B, EACCES, setxattr("d/x", "user.a", "1", 1, 0));
	ERR_AS(B, EACCES, listxattr("d/x", NULL, 0));
}

GROUP(xattr_times)
{
	struct stat a, b;

	l_file("f", "x");
	a = l_stat("f");
	tick();
	OK(setxattr("f", "user.a", "1", 1, 0));
	b = l_stat("f");
	T(t_cmp(b.st_ctim, a.st_ctim) > 0);
	T(t_cmp(b.st_mtim, a.st_mtim) == 0);
	T(t_cmp(b.st_atim, a.st_atim) == 0);
	tick();
	char got[8];
	IS(getxattr("f", "user.a", got, 8), 1);
	IS(listxattr("f", got, 8), 7);
	a = l_stat("f");
	T(t_cmp(a.st_ctim, b.st_ctim) == 0);
	T(t_cmp(a.st_atim, b.st_atim) == 0);
	tick();
	ERR(EEXIST, setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	T(t_cmp(l_stat("f").st_ctim, a.st_ctim) == 0);
	OK(removexattr("f", "user.a"));
	T(t_cmp(l_stat("f").st_ctim, a.st_ctim) > 0);
	T(t_cmp(l_stat("f").st_mtim, a.st_mtim) == 0);
	IS(l_stat("f").st_size, 1);
}

/*
 * Capabilities of a program file.
 */
#define CAPS "security.capability"

static const struct vfs_cap_data some_caps = {
    .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
    .data = {{.permitted = 1 << CAP_NET_RAW}},
};

static bool
give_caps(const char *path)
{
	return setxattr(path, CAPS, &some_caps, sizeof(some_caps), 0) == 0;
}

/* Has it, and all of them as they were? */
static bool
has_caps(const char *path)
{
	struct vfs_cap_data got;

	return getxattr(path, CAPS, &got, sizeof(got)) == sizeof(got) &&
	       memcmp(&got, &some_caps, sizeof(got)) == 0;
}

/* The row: after the call (which must succeed) they are there, or gone. */
#define LEFT(want, call)                                                              \
	({                                                                            \
		T(give_caps("f"));                                                    \
		OK(call);                                                             \
		l_number(                                                             \
		    has_caps("f"), want, __LINE__, "capabilities left after " #call); \
	})

GROUP(caps_dropped)
{
	int fd, ro, in, p[2];
	loff_t at = 0;
	char byte;

	l_file("f", "0123456789");
	l_file("in", "abcdefghij");
	OK(fd = open("f", O_RDWR));
	OK(ro = open("f", O_RDONLY));
	OK(in = open("in", O_RDONLY));
	OK(pipe(p));
	LEFT(0, pwrite(fd, "x", 1, 0));
	LEFT(0, pwrite(fd, "x", 1, 100));
	LEFT(0, ftruncate(fd, 5));
	LEFT(0, ftruncate(fd, 5000));
	LEFT(0, truncate("f", 10));
	LEFT(0, close(open("f", O_WRONLY | O_TRUNC)));
	LEFT(0, chown("f", 1, 1));
	LEFT(0, chown("f", 0, 0));
	LEFT(0, fallocate(fd, 0, 0, 8192));
	LEFT(0, fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4096));
	LEFT(0, copy_file_range(in, &at, fd, NULL, 5, 0));
	at = 0;
	LEFT(0, sendfile(fd, in, &at, 5) - 5);
	OK(write(p[1], "piped", 5));
	at = 0;
	LEFT(0, splice(p[0], NULL, fd, &at, 5, 0));
	/* What does not change what it does. */
	LEFT(1, pread(ro, &byte, 1, 0));
	LEFT(1, pwrite(fd, "", 0, 0));
	LEFT(1, chmod("f", 0755));
	LEFT(1, utimensat(AT_FDCWD, "f", NULL, 0));
	LEFT(1, setxattr("f", "user.a", "1", 1, 0));
	LEFT(1, close(open("f", O_RDWR)));
	LEFT(1, link("f", "g"));
	LEFT(1, rename("f", "f"));
	LEFT(1, fsync(fd));
	close(fd);
	close(ro);
	close(in);
	close(p[0]);
	close(p[1]);
}

GROUP(caps_rules)
{
	struct vfs_cap_data c = some_caps;
	struct stat was;
	int fd;

	l_file("f", "");
	ERR(ENODATA, getxattr("f", CAPS, &c, sizeof(c)));
	T(give_caps("f"));
	IS(getxattr("f", CAPS, NULL, 0), sizeof(c));
	IS(listxattr("f", NULL, 0), sizeof(CAPS));
	ERR(EEXIST, setxattr("f", CAPS, &c, sizeof(c), XATTR_CREATE));
	ERR(EINVAL, setxattr("f", CAPS, &c, 3, 0));
	ERR(EINVAL, setxattr("f", CAPS, &c, sizeof(c) - 1, 0));
	c.magic_etc = 0x09000000;
	ERR(EINVAL, setxattr("f", CAPS, &c, sizeof(c), 0));
	T(has_caps("f"));
	OK(chown("f", UID_A, GID_A));
	c = some_caps;
	ERR_AS(A, EPERM, setxattr("f", CAPS, &c, sizeof(c), 0));
	T(give_caps("f"));
	ERR_AS(A, EPERM, removexattr("f", CAPS));
	OK_AS(B, getxattr("f", CAPS, &c, sizeof(c)));
	/* Whoever writes, and the set-user-id bit with them if it is not root. */
	OK(chmod("f", 04755));
	T(give_caps("f"));
	OK_AS(A, fd = open("f", O_RDWR));
	OK_AS(A, pwrite(fd, "x", 1, 0));
	T(!has_caps("f"));
	IS(MODE("f"), 0755);
	T(give_caps("f"));
	was = f_stat(fd);
	ERR(EBADF, pwrite(open("f", O_RDONLY), "x", 1, 0));
	T(has_caps("f"));
	T(t_cmp(f_stat(fd).st_mtim, was.st_mtim) == 0);
	OK(removexattr("f", CAPS));
	ERR(ENODATA, removexattr("f", CAPS));
	OK(pwrite(fd, "y", 1, 0));
	/* They come with a name that is moved, and go with one that is replaced. */
	T(give_caps("f"));
	OK(rename("f", "g"));
	T(has_caps("g"));
	l_file("f", "");
	OK(rename("f", "g"));
	T(!has_caps("g"));
	close(fd);
}
