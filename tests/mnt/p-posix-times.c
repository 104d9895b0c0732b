/*
 * POSIX, name by name: utimensat, futimens and what they are made of.  See posix.h.
 */
#include "posix.h"

#include <sys/time.h>
#include <utime.h>

static const struct timespec explicit[2] = {
    {1000000000, 123456789}, {1100000000, 987654321}};

static int
times(const char *path, long a_sec, long a_nsec, long m_sec, long m_nsec)
{
	struct timespec ts[2] = {{a_sec, a_nsec}, {m_sec, m_nsec}};

	return utimensat(AT_FDCWD, path, ts, AT_SYMLINK_NOFOLLOW);
}

static bool
is_time(struct timespec got, long sec, long nsec)
{
	return got.tv_sec == sec && got.tv_nsec == nsec;
}

GROUP(set_kinds)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, ANN_UID, ANN_GID);
		MARK("a", ".");
		OK(times("a", 1000000000, 123456789, 1100000000, 987654321));
		MOVED(".", NONE);
		struct stat st = l_stat("a");
		T(is_time(st.st_atim, 1000000000, 123456789));
		T(is_time(st.st_mtim, 1100000000, 987654321));
		T(after(st.st_ctim, p_marks[0].st.st_ctim) > 0);
		MARK("a");
		OK(times("a", 0, UTIME_NOW, 0, UTIME_NOW));
		MOVED("a", AT | MT | CT);
		MARK("a");
		OK(times("a", 0, UTIME_NOW, 0, UTIME_OMIT));
		MOVED("a", AT | CT);
		MARK("a");
		OK(times("a", 0, UTIME_OMIT, 0, UTIME_NOW));
		MOVED("a", MT | CT);
		MARK("a");
		OK(times("a", 0, UTIME_OMIT, 0, UTIME_OMIT));
		MOVED("a", NONE);
		OK(times("a", 5, 6, 0, UTIME_OMIT));
		T(is_time(l_stat("a").st_atim, 5, 6));
		T(after(l_stat("a").st_mtim, p_marks[0].st.st_mtim) == 0);
		OK(times("a", 0, UTIME_OMIT, 7, 8));
		T(is_time(l_stat("a").st_mtim, 7, 8));
		T(is_time(l_stat("a").st_atim, 5, 6));
		OK(times("a", 9, 10, 0, UTIME_NOW));
		T(is_time(l_stat("a").st_atim, 9, 10));
		T(l_stat("a").st_mtim.tv_sec > 1500000000);
		MARK("a");
		OK(utimensat(AT_FDCWD, "a", NULL, AT_SYMLINK_NOFOLLOW));
		MOVED("a", AT | MT | CT);
		OK(take_away(k, "a"));
	}
}

GROUP(set_values)
{
	static const struct timespec good[] = {{0, 0}, {0, 1}, {0, 999999999}, {1, 0},
	    {-1, 0}, {-1, 999999999}, {-2147483648ll, 0}, {2147483647, 999999999},
	    {2147483648ll, 0}, {4294967296ll, 1}, {7000000000ll, 5}};
	static const struct timespec bad[] = {
	    {0, 1000000000}, {0, -1}, {0, 2000000000}, {0, UTIME_NOW + 1000}};

	l_file("f", "");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct timespec ts[2] = {good[i], good[i]};
		char text[60];

		snprintf(text, sizeof(text), "%lld.%09ld", (long long)good[i].tv_sec,
		    good[i].tv_nsec);
		about(text);
		OK(utimensat(AT_FDCWD, "f", ts, 0));
		struct stat st = l_stat("f");
		T(after(st.st_atim, good[i]) == 0);
		T(after(st.st_mtim, good[i]) == 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct timespec first[2] = {bad[i], {1, 1}}, second[2] = {{1, 1}, bad[i]};
		char text[60];

		snprintf(text, sizeof(text), "nanoseconds %ld", bad[i].tv_nsec);
		about(text);
		MARK("f");
		ERR(EINVAL, utimensat(AT_FDCWD, "f", first, 0));
		ERR(EINVAL, utimensat(AT_FDCWD, "f", second, 0));
		MOVED("f", NONE);
	}
}

GROUP(set_ways)
{
	struct timeval tv[2] = {{1000, 5}, {2000, 6}};
	struct utimbuf ut = {3000, 4000};
	struct stat st;
	int fd, dir, path;

	l_file("f", "");
	MUST(mkdir("d", 0755));
	l_file("d/g", "");
	MUST(symlink("f", "l"));
	OK(utimes("f", tv));
	T(is_time(l_stat("f").st_atim, 1000, 5000));
	T(is_time(l_stat("f").st_mtim, 2000, 6000));
	OK(utime("f", &ut));
	T(is_time(l_stat("f").st_atim, 3000, 0));
	T(is_time(l_stat("f").st_mtim, 4000, 0));
	MARK("f");
	OK(utime("f", NULL));
	MOVED("f", AT | MT | CT);
	MARK("f");
	OK(utimes("f", NULL));
	MOVED("f", AT | MT | CT);
	/* Through a link, and of it. */
	MARK("f", "l");
	OK(lutimes("l", tv));
	MOVED("f", NONE);
	T(is_time(l_stat("l").st_mtim, 2000, 6000));
	OK(utimensat(AT_FDCWD, "l", explicit, 0));
	T(is_time(l_stat("f").st_mtim, 1100000000, 987654321));
	T(is_time(l_stat("l").st_mtim, 2000, 6000));
	/* By descriptors. */
	fd = (int)MUST(open("f", O_RDONLY));
	dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	path = (int)MUST(open("l", O_PATH | O_NOFOLLOW));
	MARK("f", "d");
	OK(futimens(fd, NULL));
	MOVED("f", AT | MT | CT);
	OK(futimens(fd, explicit));
	T(is_time(l_stat("f").st_mtim, 1100000000, 987654321));
	OK(futimens(dir, explicit));
	T(is_time(l_stat("d").st_atim, 1000000000, 123456789));
	OK(utimensat(dir, "g", explicit, 0));
	T(is_time(l_stat("d/g").st_mtim, 1100000000, 987654321));
	OK(utimensat(path, "", explicit, AT_EMPTY_PATH));
	T(is_time(l_stat("l").st_mtim, 1100000000, 987654321));
	ERR(EBADF, futimens(path, explicit));
	ERR(EBADF, futimens(-1, explicit));
	ERR(EBADF, utimensat(-1, "f", explicit, 0));
	ERR(ENOTDIR, utimensat(fd, "f", explicit, 0));
	ERR(EINVAL, utimensat(AT_FDCWD, "f", explicit, 0x40000000));
	/* One without a name. */
	OK(unlink("f"));
	OK(futimens(fd, (const struct timespec[2]){{11, 12}, {13, 14}}));
	OK(fstat(fd, &st));
	T(is_time(st.st_atim, 11, 12) && is_time(st.st_mtim, 13, 14));
	close(fd);
	close(dir);
	close(path);
}

/*
 * Rights.  The owner sets what they like; who may only write sets both to now; of what is to
 * be left nobody is asked.
 */
static void
setting(bool owner, bool writer)
{
	int touch = owner || writer ? 0 : EACCES, set = owner ? 0 : EPERM;

#define EXPECT(want, call)                   \
	do {                                 \
		if ((want) == 0)             \
			OK(call);            \
		else                         \
			ERR((want), (call)); \
	} while (0)
	EXPECT(touch, utimensat(AT_FDCWD, "a", NULL, 0));
	EXPECT(touch, times("a", 0, UTIME_NOW, 0, UTIME_NOW));
	EXPECT(touch, utimes("a", NULL));
	EXPECT(set, times("a", 1, 2, 3, 4));
	EXPECT(set, times("a", 0, UTIME_NOW, 3, 4));
	EXPECT(set, times("a", 1, 2, 0, UTIME_NOW));
	EXPECT(set, times("a", 1, 2, 0, UTIME_OMIT));
	EXPECT(set, times("a", 0, UTIME_OMIT, 3, 4));
	EXPECT(set, times("a", 0, UTIME_NOW, 0, UTIME_OMIT));
	EXPECT(set, times("a", 0, UTIME_OMIT, 0, UTIME_NOW));
	OK(times("a", 0, UTIME_OMIT, 0, UTIME_OMIT));
}

GROUP(set_rights)
{
	for (enum kind k = REG; k < LNK; k++) {
		char text[80];

		make(k, "a", 0, ANN_UID, ANN_GID);
		snprintf(text, sizeof(text), "%s, closed", kind_name[k]);
		about(text);
		BY (ann)
			setting(true, false);
		MARK("a", ".");
		BY (bob)
			setting(false, false);
		MOVED("a", NONE);
		setting(true, true);
		snprintf(text, sizeof(text), "%s, readable", kind_name[k]);
		about(text);
		MUST(chmod("a", 0444));
		MARK("a", ".");
		BY (bob)
			setting(false, false);
		MOVED("a", NONE);
		snprintf(text, sizeof(text), "%s, writable", kind_name[k]);
		about(text);
		MUST(chmod("a", 0222));
		MARK("a", ".");
		BY (bob)
			setting(false, true);
		MOVED("a", AT | MT | CT);
		MOVED(".", NONE);
		/* By the group. */
		snprintf(text, sizeof(text), "%s of the club", kind_name[k]);
		about(text);
		MUST(chown("a", 0, CLUB));
		MUST(chmod("a", 0020));
		BY (ann)
			setting(false, true);
		BY (bob)
			setting(false, false);
		OK(take_away(k, "a"));
	}
}

GROUP(set_rights_fd)
{
	int fd, rw;

	make(REG, "a", 0644, ANN_UID, ANN_GID);
	fd = (int)MUST(open("a", O_RDONLY));
	rw = (int)MUST(open("a", O_RDWR));
	MARK("a");
	BY (bob) {
		/* The mode counts, and not how it was opened. */
		ERR(EACCES, futimens(fd, NULL));
		ERR(EACCES, futimens(rw, NULL));
		ERR(EPERM, futimens(fd, explicit));
		ERR(EPERM, futimens(rw, explicit));
	}
	MOVED("a", NONE);
	MUST(chmod("a", 0606));
	MARK("a");
	BY (bob) {
		OK(futimens(fd, NULL));
		ERR(EPERM, futimens(fd, explicit));
	}
	MOVED("a", AT | MT | CT);
	BY (ann) {
		OK(futimens(fd, explicit));
		T(is_time(l_stat("a").st_mtim, 1100000000, 987654321));
	}
	/* A link is its owner's. */
	MUST(symlink("a", "l"));
	MUST(lchown("l", ANN_UID, ANN_GID));
	BY (ann)
		OK(utimensat(AT_FDCWD, "l", explicit, AT_SYMLINK_NOFOLLOW));
	BY (bob)
		ERR(EPERM, utimensat(AT_FDCWD, "l", explicit, AT_SYMLINK_NOFOLLOW));
	close(fd);
	close(rw);
}
