/*
 * System calls, part twelve: listings, and places in them.
 */
#include "list-sys.h"

#define MANY 600

static void
many(const char *dir)
{
	char name[64];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s/entry-%d", dir, i);
		l_file(name, "");
	}
}

/* The number in the name; -1 for the dots. */
static int
number(const struct dirent *e)
{
	return strncmp(e->d_name, "entry-", 6) == 0 ? atoi(e->d_name + 6) : -1;
}

GROUP(list_places)
{
	static long place[MANY + 3];
	static char name[MANY + 3][32];
	struct dirent *e;
	DIR *d;
	int n = 0, good = 0;

	OK(mkdir("d", 0755));
	many("d");
	T((d = opendir("d")) != NULL);
	for (;;) {
		place[n] = telldir(d);
		if (!(e = readdir(d)))
			break;
		snprintf(name[n], sizeof(name[n]), "%.31s", e->d_name);
		good += e->d_off == telldir(d);
		if (++n == MANY + 2 + 1)
			break;
	}
	IS(n, MANY + 2);
	IS(good, MANY + 2);
	IS(place[0], 0);
	T(readdir(d) == NULL);
	/* Back to each of them, from the end and back and forth. */
	good = 0;
	for (int i = n; i-- > 0;) {
		seekdir(d, place[i]);
		good += (e = readdir(d)) && strcmp(e->d_name, name[i]) == 0;
	}
	IS(good, n);
	good = 0;
	for (int i = 0; i < n; i++) {
		int k = i * 389 % n;
		seekdir(d, place[k]);
		good += telldir(d) == place[k];
		good += (e = readdir(d)) && strcmp(e->d_name, name[k]) == 0;
	}
	IS(good, 2 * n);
	seekdir(d, place[n]);
	T(readdir(d) == NULL);
	/* From a place in the middle to the end: just what followed. */
	seekdir(d, place[300]);
	good = 0;
	for (int i = 300; (e = readdir(d)); i++)
		good += i < n && strcmp(e->d_name, name[i]) == 0;
	IS(good, n - 300);
	/* In another opening they mean the same. */
	DIR *o = opendir("d");
	seekdir(o, place[500]);
	T((e = readdir(o)) && strcmp(e->d_name, name[500]) == 0);
	seekdir(o, place[3]);
	T((e = readdir(o)) && strcmp(e->d_name, name[3]) == 0);
	rewinddir(o);
	T((e = readdir(o)) && strcmp(e->d_name, name[0]) == 0);
	closedir(o);
	closedir(d);
}

/* Which of them are listed from here, how often; the sum of repeats in *twice. */
static int
rest(DIR *d, int *seen, int *twice)
{
	struct dirent *e;
	int n = 0;

	*twice = 0;
	while ((e = readdir(d))) {
		int i = number(e);
		if (i < 0)
			continue;
		n++;
		*twice += seen[i % (2 * MANY)]++ > 0;
	}
	return n;
}

GROUP(list_changing)
{
	static int seen[2 * MANY];
	char path[64];
	struct dirent *e;
	int twice, n;
	long at = 0;
	DIR *d;

	OK(mkdir("d", 0755));
	many("d");
	/* Removed while it is listed: those that are left, each once. */
	T((d = opendir("d")) != NULL);
	for (int i = 0; i < 100 && (e = readdir(d)); i++) {
		if (number(e) >= 0)
			seen[number(e)]++;
		if (i == 50)
			at = telldir(d);
	}
	for (int i = 0; i < MANY; i += 2) {
		snprintf(path, sizeof(path), "d/entry-%d", i);
		if (unlink(path) != 0)
			OK(-1);
	}
	rest(d, seen, &twice);
	IS(twice, 0);
	n = 0;
	for (int i = 1; i < MANY; i += 2)
		n += seen[i] == 1;
	IS(n, MANY / 2);
	/* A place that was got before still is one. */
	memset(seen, 0, sizeof(seen));
	seekdir(d, at);
	n = rest(d, seen, &twice);
	IS(twice, 0);
	T(n > MANY / 2 - 60);
	TAG("kept-listing");
	T(n <= MANY / 2);
	TAG(NULL);
	/* From the start there is what is there now. */
	memset(seen, 0, sizeof(seen));
	rewinddir(d);
	IS(rest(d, seen, &twice), MANY / 2);
	IS(twice, 0);
	closedir(d);
}

GROUP(list_growing)
{
	static int seen[2 * MANY];
	char path[64];
	struct dirent *e;
	int twice, n = 0, left = 0;
	DIR *d;

	OK(mkdir("d", 0755));
	many("d");
	/* Made while it is listed: those from before, each once. */
	T((d = opendir("d")) != NULL);
	for (int i = 0; i < 20 && (e = readdir(d)); i++) {
		if (number(e) >= 0)
			seen[number(e)]++;
	}
	for (int i = MANY; i < 2 * MANY; i++) {
		snprintf(path, sizeof(path), "d/entry-%d", i);
		l_file(path, "");
	}
	rest(d, seen, &twice);
	IS(twice, 0);
	for (int i = 0; i < MANY; i++)
		n += seen[i] == 1;
	IS(n, MANY);
	memset(seen, 0, sizeof(seen));
	rewinddir(d);
	IS(rest(d, seen, &twice), 2 * MANY);
	IS(twice, 0);
	/* All removed as they come. */
	rewinddir(d);
	while ((e = readdir(d))) {
		if (number(e) >= 0 && unlinkat(dirfd(d), e->d_name, 0) == 0)
			left++;
	}
	IS(left, 2 * MANY);
	closedir(d);
	OK(rmdir("d"));
}

struct dent {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

GROUP(list_kinds)
{
	static const struct {
		const char *name;
		int type;
	} t[] = {{"file", DT_REG}, {"dir", DT_DIR}, {"link", DT_LNK}, {"fifo", DT_FIFO},
	    {"sock", DT_SOCK}, {"chr", DT_CHR}, {"blk", DT_BLK}, {".", DT_DIR},
	    {"..", DT_DIR}};
	struct {
		ino_t ino;
		int type;
	} got[9];
	struct dirent *e;
	int found = 0;
	DIR *d;

	l_file("file", "");
	OK(mkdir("dir", 0755));
	OK(symlink("file", "link"));
	OK(mkfifo("fifo", 0600));
	OK(mknod("sock", S_IFSOCK | 0600, 0));
	OK(mknod("chr", S_IFCHR | 0600, makedev(1, 3)));
	OK(mknod("blk", S_IFBLK | 0600, makedev(77, 1)));
	T((d = opendir(".")) != NULL);
	memset(got, 0, sizeof(got));
	while ((e = readdir(d))) {
		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			if (strcmp(e->d_name, t[i].name) == 0) {
				got[i].ino = e->d_ino;
				got[i].type = e->d_type;
				found++;
			}
		}
	}
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CASE_IS(got[i].type, t[i].type, "type of %s", t[i].name);
		CASE_IS(got[i].ino, l_stat(t[i].name).st_ino, "number of %s", t[i].name);
	}
	IS(found, 9);
	closedir(d);
}

GROUP(list_calls)
{
	int fd, n = 0;
	struct dirent *e;
	char buf[4096];
	DIR *d;

	l_file("file", "");
	OK(mkdir("dir", 0755));
	/* With room for little at a time. */
	OK(fd = open(".", O_RDONLY | O_DIRECTORY));
	for (long r; (r = syscall(SYS_getdents64, fd, buf, 48)) > 0;) {
		for (long at = 0; at < r; at += ((struct dent *)(buf + at))->len)
			n++;
	}
	IS(n, 4);
	OK(lseek(fd, 0, SEEK_SET));
	ERR(EINVAL, syscall(SYS_getdents64, fd, buf, 10));
	ERR(EFAULT, syscall(SYS_getdents64, fd, nowhere(), 4096));
	OK(syscall(SYS_getdents64, fd, buf, 4096));
	IS(syscall(SYS_getdents64, fd, buf, 4096), 0);
	OK(lseek(fd, 0, SEEK_SET));
	ERR(EISDIR, read(fd, buf, 10));
	ERR(EBADF, write(fd, buf, 10));
	close(fd);
	OK(fd = open("file", O_RDONLY));
	ERR(ENOTDIR, syscall(SYS_getdents64, fd, buf, 4096));
	close(fd);
	OK(fd = open("dir", O_PATH));
	ERR(EBADF, syscall(SYS_getdents64, fd, buf, 4096));
	close(fd);
	ERR(EBADF, syscall(SYS_getdents64, 999, buf, 4096));
	T(opendir("no") == NULL && errno == ENOENT);
	T(opendir("file") == NULL && errno == ENOTDIR);
	OK(chmod("dir", 0733));
	ERR_AS(A, EACCES, open("dir", O_RDONLY | O_DIRECTORY));
	/* Open it may be read, whatever becomes of the mode. */
	OK(fd = open("dir", O_RDONLY | O_DIRECTORY));
	OK(chmod("dir", 0));
	OK_AS(A, syscall(SYS_getdents64, fd, buf, 4096));
	close(fd);
	/* An empty one has its dots. */
	OK(chmod("dir", 0700));
	n = 0;
	T((d = opendir("dir")) != NULL);
	while ((e = readdir(d))) {
		n++;
		if (strcmp(e->d_name, "..") == 0)
			IS(e->d_ino, l_stat(".").st_ino);
		else
			IS(e->d_ino, l_stat("dir").st_ino);
	}
	IS(n, 2);
	/* What is made later is seen after rewinding. */
	l_file("dir/later", "");
	rewinddir(d);
	for (n = 0; readdir(d); n++)
		;
	IS(n, 3);
	closedir(d);
}
