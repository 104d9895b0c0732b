/*
 * System calls, part six: the flags of chattr, and what they forbid.  Run as root, on a
 * directory that other users can reach.
 */
#include "list-sys.h"

#include <linux/fs.h>

#define ALL_FLAGS (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

static int
fd_flags(int fd, bool set, int *flags)
{
	int r = ioctl(fd, set ? FS_IOC_SETFLAGS : FS_IOC_GETFLAGS, flags), e = errno;

	close(fd);
	errno = e;
	return r;
}

/* Those of the flags here that are set; -1 with errno. */
static int
flags_of(const char *path)
{
	int f = 0, r = fd_flags(open(path, O_RDONLY | O_NONBLOCK), false, &f);

	return r < 0 ? r : f & ALL_FLAGS;
}

/* Sets exactly these, and leaves what is not for users. */
static int
set_flags(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK), f = 0;

	if (fd < 0)
		return -1;
	if (ioctl(fd, FS_IOC_GETFLAGS, &f) != 0) {
		close(fd);
		return -1;
	}
	f = (f & ~ALL_FLAGS) | flags;
	return fd_flags(fd, true, &f);
}

GROUP(flags_set)
{
	static const int some[] = {FS_NODUMP_FL, FS_NOATIME_FL, FS_APPEND_FL,
	    FS_IMMUTABLE_FL, FS_IMMUTABLE_FL | FS_APPEND_FL, ALL_FLAGS, 0};
	static const struct {
		int flag;
		uint32_t x;
		uint64_t attr;
	} same[] = {{FS_NODUMP_FL, FS_XFLAG_NODUMP, STATX_ATTR_NODUMP},
	    {FS_APPEND_FL, FS_XFLAG_APPEND, STATX_ATTR_APPEND},
	    {FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE, STATX_ATTR_IMMUTABLE},
	    {FS_NOATIME_FL, FS_XFLAG_NOATIME, 0}};
	struct fsxattr fsx;
	struct statx sx;
	int fd;

	l_file("f", "");
	OK(mkdir("d", 0755));
	IS(flags_of("f"), 0);
	IS(flags_of("d"), 0);
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		CASE_OK(set_flags("f", some[i]), "flags %x of a file", some[i]);
		CASE_IS(flags_of("f"), some[i], "flags %x of a file", some[i]);
		CASE_OK(set_flags("d", some[i]), "flags %x of a directory", some[i]);
		CASE_IS(flags_of("d"), some[i], "flags %x of a directory", some[i]);
		OK(set_flags("f", 0));
		OK(set_flags("d", 0));
	}
	/* The other two ways to ask, and the other way to set. */
	OK(fd = open("f", O_RDWR));
	for (size_t i = 0; i < 4; i++) {
		OK(set_flags("f", same[i].flag));
		memset(&fsx, 0xff, sizeof(fsx));
		OK(ioctl(fd, FS_IOC_FSGETXATTR, &fsx));
		CASE_IS(fsx.fsx_xflags & 0xd8, same[i].x, "flags %x by FSGETXATTR",
		    same[i].flag);
		CASE_IS(fsx.fsx_projid, 0, "no project with flags %x", same[i].flag);
		OK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &sx));
		/* statx of a FUSE mount has none of the daemon's attributes. */
		TAG("statx-attributes");
		CASE_IS(sx.stx_attributes & 0x70, same[i].attr, "flags %x by statx",
		    same[i].flag);
		TAG(NULL);
		OK(set_flags("f", 0));
		fsx.fsx_xflags |= same[i].x;
		CASE_OK(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "flags %x by FSSETXATTR",
		    same[i].flag);
		CASE_IS(flags_of("f"), same[i].flag, "flags %x set so", same[i].flag);
		fsx.fsx_xflags &= ~same[i].x;
		CASE_OK(ioctl(fd, FS_IOC_FSSETXATTR, &fsx), "flags %x taken so",
		    same[i].flag);
		CASE_IS(flags_of("f"), 0, "flags %x taken so", same[i].flag);
	}
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &sx));
	TAG("statx-attributes");
	IS(sx.stx_attributes_mask & 0x70, 0x70);
	TAG(NULL);
	close(fd);
}

GROUP(flags_rules)
{
	int f = 0, fd;

	l_file("f", "");
	OK(mkfifo("p", 0644));
	OK(chown("f", UID_A, GID_A));
	/* Nodump is for the owner, these two for root. */
	OK_AS(A, set_flags("f", FS_NODUMP_FL));
	OK_AS(A, set_flags("f", FS_NODUMP_FL | FS_NOATIME_FL));
	ERR_AS(A, EPERM, set_flags("f", FS_IMMUTABLE_FL));
	ERR_AS(A, EPERM, set_flags("f", FS_APPEND_FL));
	ERR_AS(B, EPERM, set_flags("f", 0));
	ERR_AS(B, EPERM, set_flags("f", FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL));
	IS(flags_of("f"), FS_NODUMP_FL | FS_NOATIME_FL);
	OK_AS(B, flags_of("f"));
	OK(set_flags("f", FS_APPEND_FL));
	ERR_AS(A, EPERM, set_flags("f", 0));
	ERR_AS(A, EPERM, set_flags("f", FS_APPEND_FL | FS_IMMUTABLE_FL));
	OK_AS(A, set_flags("f", FS_APPEND_FL | FS_NODUMP_FL));
	IS(flags_of("f"), FS_APPEND_FL | FS_NODUMP_FL);
	OK(set_flags("f", FS_IMMUTABLE_FL));
	ERR_AS(A, EPERM, set_flags("f", 0));
	/* ext4 takes no other change as long as it is immutable. */
	TAG("immutable-flags");
	OK(set_flags("f", FS_IMMUTABLE_FL | FS_NODUMP_FL));
	TAG(NULL);
	OK(set_flags("f", 0));
	/* One that is not known is refused, and the rest with it. */
	OK(fd = open("f", O_RDONLY));
	OK(ioctl(fd, FS_IOC_GETFLAGS, &f));
	f |= FS_NOCOW_FL | FS_NODUMP_FL;
	ERR(EOPNOTSUPP, ioctl(fd, FS_IOC_SETFLAGS, &f));
	IS(flags_of("f"), 0);
	ERR(EFAULT, ioctl(fd, FS_IOC_SETFLAGS, nowhere()));
	ERR(EFAULT, ioctl(fd, FS_IOC_GETFLAGS, nowhere()));
	ERR(ENOTTY, ioctl(fd, _IO('?', 99)));
	close(fd);
	OK(fd = open("f", O_PATH));
	ERR(EBADF, ioctl(fd, FS_IOC_GETFLAGS, &f));
	close(fd);
	ERR(ENOTTY, flags_of("p"));
	ERR(ENOTTY, set_flags("p", FS_NODUMP_FL));
}

GROUP(flags_effects)
{
	struct stat was;
	struct statx sx;
	int fd;

	l_file("f", "");
	was = l_stat("f");
	tick();
	OK(set_flags("f", FS_NODUMP_FL));
	/* Whoever has the attributes cached is told, if not at once. */
	for (int i = 0; i < 100 && t_cmp(l_stat("f").st_ctim, was.st_ctim) <= 0; i++)
		ms_sleep(10);
	T(t_cmp(l_stat("f").st_ctim, was.st_ctim) > 0);
	OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &sx));
	T(sx.stx_ctime.tv_sec > was.st_ctim.tv_sec ||
	    sx.stx_ctime.tv_nsec > was.st_ctim.tv_nsec);
	T(t_cmp(l_stat("f").st_ctim, was.st_ctim) > 0);
	T(t_cmp(l_stat("f").st_mtim, was.st_mtim) == 0);
	OK(rename("f", "g"));
	IS(flags_of("g"), FS_NODUMP_FL);
	OK(fd = open("g", O_RDWR | O_TRUNC));
	close(fd);
	IS(flags_of("g"), FS_NODUMP_FL);
	/* New nodes take those of the directory that forbid nothing. */
	OK(mkdir("d", 0755));
	OK(set_flags("d", FS_NODUMP_FL | FS_NOATIME_FL | FS_APPEND_FL));
	l_file("d/f", "");
	OK(mkdir("d/d", 0755));
	IS(flags_of("d/f"), FS_NODUMP_FL | FS_NOATIME_FL);
	IS(flags_of("d/d"), FS_NODUMP_FL | FS_NOATIME_FL);
	OK(set_flags("d", 0));
	IS(flags_of("d/f"), FS_NODUMP_FL | FS_NOATIME_FL);
}

static const struct timespec then[2] = {{.tv_sec = 9}, {.tv_sec = 9}};

GROUP(immutable_file)
{
	struct stat was;
	struct acl_raw a;
	size_t n = acl_make(&a, "u::6 u:1:4 g::4 m::4 o::4");

	l_file("f", "text");
	l_file("g", "other");
	OK(mkdir("d", 0777));
	OK(setxattr("f", "user.a", "1", 1, 0));
	OK(set_flags("f", FS_IMMUTABLE_FL));
	was = l_stat("f");
	tick();
	ERR(EPERM, open("f", O_WRONLY));
	ERR(EPERM, open("f", O_RDWR));
	ERR(EPERM, open("f", O_WRONLY | O_APPEND));
	ERR(EPERM, open("f", O_WRONLY | O_TRUNC));
	ERR(EPERM, open("f", O_CREAT | O_WRONLY, 0600));
	ERR(EPERM, truncate("f", 0));
	ERR(EPERM, truncate("f", 100));
	ERR(EPERM, unlink("f"));
	ERR(EPERM, rename("f", "h"));
	ERR(EPERM, rename("f", "d/f"));
	ERR(EPERM, rename("g", "f"));
	ERR(EPERM, renameat2(AT_FDCWD, "g", AT_FDCWD, "f", RENAME_EXCHANGE));
	ERR(EEXIST, renameat2(AT_FDCWD, "g", AT_FDCWD, "f", RENAME_NOREPLACE));
	ERR(EPERM, link("f", "h"));
	ERR(EPERM, chmod("f", 0600));
	ERR(EPERM, chown("f", 1, 1));
	ERR(EPERM, chown("f", 0, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "f", then, 0));
	ERR(EPERM, utimensat(AT_FDCWD, "f", NULL, 0));
	ERR(EPERM, setxattr("f", "user.a", "2", 1, 0));
	ERR(EPERM, setxattr("f", "trusted.a", "2", 1, 0));
	ERR(EPERM, removexattr("f", "user.a"));
	ERR(EPERM, setxattr("f", ACL_A, &a, n, 0));
	ERR(EPERM, removexattr("f", ACL_A));
	/* FUSE looks at the mode alone, before it asks the daemon. */
	TAG("immutable-mode");
	ERR_AS(A, EPERM, open("f", O_WRONLY));
	ERR(EPERM, faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS));
	TAG(NULL);
	/* Reading is free. */
	T(l_holds("f", "text"));
	OK(getxattr("f", "user.a", NULL, 0));
	OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
	T(t_cmp(l_stat("f").st_ctim, was.st_ctim) == 0);
	T(t_cmp(l_stat("f").st_mtim, was.st_mtim) == 0);
	IS(l_stat("f").st_mode, was.st_mode);
	IS(l_stat("f").st_nlink, 1);
	T(l_holds("g", "other"));
	OK(set_flags("f", 0));
	OK(close(open("f", O_WRONLY)));
	OK(rename("f", "h"));
	OK(unlink("h"));
}

GROUP(immutable_open)
{
	int fd = make("f"), ro;

	OK(write(fd, "text", 4));
	OK(ro = open("f", O_RDONLY));
	OK(set_flags("f", FS_IMMUTABLE_FL));
	/* What is open already: these check for themselves. */
	ERR(EPERM, fallocate(fd, 0, 0, 8192));
	ERR(EPERM, fchmod(fd, 0600));
	ERR(EPERM, fchown(fd, 1, 1));
	ERR(EPERM, futimens(fd, then));
	ERR(EPERM, fsetxattr(fd, "user.a", "1", 1, 0));
	/* tmpfs lets writes by. */
	TAG("immutable-open");
	ERR(EPERM, pwrite(fd, "X", 1, 0));
	ERR(EPERM, pwrite(fd, "X", 1, 100));
	ERR(EPERM, ftruncate(fd, 2));
	TAG(NULL);
	OK(fsync(fd));
	char c;
	IS(pread(ro, &c, 1, 1), 1);
	OK(set_flags("f", 0));
	OK(pwrite(fd, "Y", 1, 0));
	close(fd);
	close(ro);
}

GROUP(immutable_dir)
{
	int fd;

	OK(mkdir("d", 0755));
	l_file("d/f", "in it");
	l_file("f", "outside");
	OK(mkdir("d/sub", 0755));
	OK(set_flags("d", FS_IMMUTABLE_FL));
	ERR(EPERM, open("d/new", O_CREAT | O_WRONLY, 0600));
	ERR(EPERM, open("d", O_TMPFILE | O_WRONLY, 0600));
	ERR(EPERM, mkdir("d/new", 0700));
	ERR(EPERM, mkfifo("d/new", 0700));
	ERR(EPERM, symlink("x", "d/new"));
	ERR(EPERM, link("f", "d/new"));
	ERR(EPERM, rename("f", "d/new"));
	ERR(EPERM, rename("d/f", "new"));
	ERR(EPERM, rename("d/f", "d/new"));
	ERR(EPERM, rename("d/f", "d/sub/f"));
	ERR(EPERM, unlink("d/f"));
	ERR(EPERM, rmdir("d/sub"));
	ERR(EPERM, rename("d", "e"));
	ERR(EPERM, rmdir("d"));
	ERR(EPERM, chmod("d", 0700));
	ERR(EPERM, utimensat(AT_FDCWD, "d", NULL, 0));
	ERR(EPERM, setxattr("d", "user.a", "1", 1, 0));
	ERR(EEXIST, mkdir("d/f", 0700));
	ERR(ENOENT, unlink("d/no"));
	TAG("immutable-mode");
	ERR(EPERM, faccessat(AT_FDCWD, "d", W_OK, AT_EACCESS));
	TAG(NULL);
	/* What is in it is not meant. */
	OK(fd = open("d/f", O_WRONLY | O_TRUNC));
	OK(write(fd, "else", 4));
	close(fd);
	T(l_holds("d/f", "else"));
	OK(chmod("d/f", 0600));
	OK(mkdir("d/sub/new", 0700));
	OK(rmdir("d/sub/new"));
	OK(link("d/f", "linked"));
	T(!l_exists("d/new"));
	OK(set_flags("d", 0));
	OK(unlink("d/f"));
	OK(rmdir("d/sub"));
	OK(rmdir("d"));
}

GROUP(append_file)
{
	int fd;

	l_file("f", "text");
	l_file("g", "other");
	OK(set_flags("f", FS_APPEND_FL));
	ERR(EPERM, open("f", O_WRONLY));
	ERR(EPERM, open("f", O_RDWR));
	ERR(EPERM, open("f", O_WRONLY | O_APPEND | O_TRUNC));
	ERR(EPERM, open("f", O_WRONLY | O_TRUNC));
	ERR(EPERM, truncate("f", 0));
	ERR(EPERM, truncate("f", 100));
	OK(fd = open("f", O_RDWR | O_APPEND));
	OK(write(fd, "+more", 5));
	OK(lseek(fd, 0, SEEK_SET));
	OK(write(fd, "+", 1));
	OK(pwrite(fd, "!", 1, 0));
	ERR(EPERM, ftruncate(fd, 0));
	ERR(EPERM, ftruncate(fd, 1000));
	ERR(EPERM, fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 4));
	/* FUSE does not know the flag; so the daemon asks at each write. */
	TAG("append-open");
	ERR(EPERM, fcntl(fd, F_SETFL, O_RDWR));
	TAG(NULL);
	T(fcntl(fd, F_SETFL, O_RDWR) != 0 || pwrite(fd, "X", 1, 0) < 0);
	close(fd);
	T(l_holds("f", "text+more+!"));
	ERR(EPERM, unlink("f"));
	ERR(EPERM, rename("f", "h"));
	ERR(EPERM, rename("g", "f"));
	ERR(EPERM, link("f", "h"));
	ERR(EPERM, chmod("f", 0600));
	ERR(EPERM, chown("f", 1, 1));
	ERR(EPERM, utimensat(AT_FDCWD, "f", then, 0));
	OK(utimensat(AT_FDCWD, "f", NULL, 0));
	ERR(EPERM, setxattr("f", "user.a", "1", 1, 0));
	ERR(EPERM, removexattr("f", "user.a"));
	ERR(EPERM, acl_set("f", ACL_A, "u::6 u:1:4 g::4 m::4 o::4"));
	IS(MODE("f"), 0644);
	OK(set_flags("f", 0));
	OK(truncate("f", 3));
	T(l_holds("f", "tex"));
	/* Set while it is open for all of it. */
	OK(fd = open("f", O_RDWR));
	OK(set_flags("f", FS_APPEND_FL));
	ERR(EPERM, ftruncate(fd, 0));
	TAG("append-open");
	OK(pwrite(fd, "X", 1, 0));
	TAG(NULL);
	close(fd);
	OK(set_flags("f", 0));
}

GROUP(append_dir)
{
	int fd;

	OK(mkdir("d", 0755));
	l_file("d/f", "in it");
	l_file("f", "outside");
	l_file("g", "outside");
	OK(set_flags("d", FS_APPEND_FL));
	OK(fd = open("d/new", O_CREAT | O_WRONLY, 0600));
	close(fd);
	OK(mkdir("d/sub", 0700));
	OK(symlink("x", "d/l"));
	OK(mkfifo("d/p", 0600));
	OK(link("f", "d/linked"));
	OK(rename("f", "d/moved"));
	ERR(EPERM, rename("g", "d/f"));
	ERR(EPERM, rename("d/f", "d/renamed"));
	ERR(EPERM, rename("d/f", "renamed"));
	ERR(EPERM, renameat2(AT_FDCWD, "d/f", AT_FDCWD, "g", RENAME_EXCHANGE));
	ERR(EPERM, unlink("d/new"));
	ERR(EPERM, rmdir("d/sub"));
	ERR(EPERM, rmdir("d"));
	ERR(EPERM, rename("d", "e"));
	ERR(EPERM, chmod("d", 0700));
	OK(fd = open("d/f", O_WRONLY | O_TRUNC));
	close(fd);
	OK(truncate("d/moved", 2));
	OK(set_flags("d", 0));
	OK(unlink("d/new"));
	OK(rmdir("d/sub"));
}
