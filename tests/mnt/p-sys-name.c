/*
 * System calls, part eleven: names of any bytes and of any length, deep trees, handles,
 * and places in a listing.
 */
#include "list-sys.h"

#include <sys/resource.h>

/* The one-byte names that there are, but "/" and ".". */
static int
next_byte(int c)
{
	do
		c++;
	while (c == '/' || c == '.');
	return c;
}
#define EACH_BYTE(c) for (int c = 1; c < 256; c = next_byte(c))

/* How many of the 253 calls succeed, with p as the name behind what is given. */
#define BYTES(before, call)                                        \
	({                                                         \
		int good_ = 0;                                     \
		EACH_BYTE(c)                                       \
		{                                                  \
			char p[64];                                \
			snprintf(p, sizeof(p), "%s%c", before, c); \
			good_ += (call) >= 0;                      \
		}                                                  \
		l_number(good_, 253, __LINE__, #call " of 253");   \
	})
/* The same with c/c. */
#define BYTES2(call)                                             \
	({                                                       \
		int good_ = 0;                                   \
		EACH_BYTE(c)                                     \
		{                                                \
			char p[64];                              \
			snprintf(p, sizeof(p), "%c/%c", c, c);   \
			good_ += (call) >= 0;                    \
		}                                                \
		l_number(good_, 253, __LINE__, #call " of 253"); \
	})

static int
put(const char *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);

	if (fd < 0 || write(fd, path, strlen(path)) < 0)
		return -1;
	return close(fd);
}

/* Which one-byte names are listed: each once? */
static bool
all_listed(const char *path, const char *prefix)
{
	int seen[256] = {0};
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = strlen(prefix);

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, prefix, n) == 0 && strlen(e->d_name) == n + 1)
			seen[(unsigned char)e->d_name[n]]++;
	}
	if (d)
		closedir(d);
	EACH_BYTE(c)
	{
		if (seen[c] != 1)
			return false;
	}
	return d != NULL;
}

GROUP(name_bytes)
{
	char buf[64];

	BYTES("", put(p));
	T(all_listed(".", ""));
	BYTES("", l_holds(p, p) ? 0 : -1);
	BYTES("", access(p, R_OK));
	BYTES("", put(p) < 0 && errno == EEXIST ? 0 : -1);
	OK(mkdir("dir", 0700));
	BYTES("", link(p, (snprintf(buf, sizeof(buf), "dir/x%c", c), buf)));
	T(all_listed("dir", "x"));
	BYTES("dir/x", (int)(l_stat(p).st_nlink == 2) - 1);
	BYTES("dir/x", rename(p, (snprintf(buf, sizeof(buf), "dir/%c", c), buf)));
	T(all_listed("dir", ""));
	BYTES("", unlink(p));
	BYTES("dir/", unlink(p));
	OK(rmdir("dir"));
	BYTES("", mkdir(p, 0700));
	BYTES2(put(p));
	T(all_listed(".", ""));
	BYTES2(l_holds(p, p) ? 0 : -1);
	BYTES2(unlink(p));
	BYTES("", rmdir(p));
	BYTES("", symlink(p, p));
	BYTES("", readlink(p, buf, 64) == 1 && buf[0] == (char)c ? 0 : -1);
	BYTES("", unlink(p));
	/* Dots are names as soon as there is more to it. */
	OK(mkdir("...", 0700));
	OK(mkdir("..a", 0700));
	OK(mkdir(".a", 0700));
	OK(mkdir("a.", 0700));
	OK(mkdir("....", 0700));
	OK(rmdir("..."));
	/* Bytes that differ are names that differ. */
	OK(put("\xc3\xa9"));
	OK(put("e\xcc\x81"));
	OK(put("E"));
	OK(put("e"));
	OK(put("e "));
	OK(put("\xe9"));
	OK(put("\xff\xfe\xfd"));
	T(l_holds("\xc3\xa9", "\xc3\xa9") && l_holds("e\xcc\x81", "e\xcc\x81") &&
	    l_holds("E", "E") && l_holds("e", "e") && l_holds("e ", "e "));
}

GROUP(name_length)
{
	static char n255[256], m255[256], path[600];
	struct stat st;

	memset(n255, 'n', 255);
	memset(m255, 'm', 255);
	OK(put(n255));
	OK(stat(n255, &st));
	OK(rename(n255, m255));
	OK(link(m255, n255));
	OK(unlink(m255));
	OK(mkdir(m255, 0700));
	snprintf(path, sizeof(path), "%s/%s", m255, n255);
	OK(put(path));
	OK(stat(path, &st));
	OK(unlink(path));
	OK(rmdir(m255));
	OK(symlink("t", m255));
	OK(unlink(m255));
	OK(mkfifo(m255, 0600));
	OK(rename(n255, m255));
	OK(rename(m255, n255));
	DIR *d = opendir(".");
	struct dirent *e;
	int seen = 0;
	while ((e = readdir(d)))
		seen += strcmp(e->d_name, n255) == 0;
	closedir(d);
	IS(seen, 1);
	IS(pathconf(".", _PC_NAME_MAX), 255);
}

GROUP(name_too_long)
{
	static char n256[257], path[300];
	struct stat st;

	memset(n256, 'n', 256);
	l_file("f", "");
	ERR(ENAMETOOLONG, open(n256, O_RDONLY));
	ERR(ENAMETOOLONG, open(n256, O_CREAT | O_RDWR, 0600));
	ERR(ENAMETOOLONG, stat(n256, &st));
	ERR(ENAMETOOLONG, mkdir(n256, 0700));
	ERR(ENAMETOOLONG, mknod(n256, S_IFREG | 0600, 0));
	ERR(ENAMETOOLONG, mkfifo(n256, 0600));
	ERR(ENAMETOOLONG, symlink("t", n256));
	ERR(ENAMETOOLONG, link("f", n256));
	ERR(ENAMETOOLONG, link(n256, "g"));
	ERR(ENAMETOOLONG, rename("f", n256));
	ERR(ENAMETOOLONG, rename(n256, "f"));
	ERR(ENAMETOOLONG, unlink(n256));
	ERR(ENAMETOOLONG, rmdir(n256));
	ERR(ENAMETOOLONG, chmod(n256, 0600));
	ERR(ENAMETOOLONG, chown(n256, 0, 0));
	ERR(ENAMETOOLONG, truncate(n256, 0));
	ERR(ENAMETOOLONG, utimensat(AT_FDCWD, n256, NULL, 0));
	ERR(ENAMETOOLONG, access(n256, F_OK));
	ERR(ENAMETOOLONG, readlink(n256, path, 10));
	ERR(ENAMETOOLONG, getxattr(n256, "user.a", NULL, 0));
	ERR(ENAMETOOLONG, setxattr(n256, "user.a", "", 0, 0));
	ERR(ENAMETOOLONG, listxattr(n256, NULL, 0));
	ERR(ENAMETOOLONG, removexattr(n256, "user.a"));
	ERR(ENAMETOOLONG, chdir(n256));
	snprintf(path, sizeof(path), "%s/x", n256);
	ERR(ENAMETOOLONG, stat(path, &st));
	ERR(ENAMETOOLONG, mkdir(path, 0700));
}

GROUP(path_length)
{
	static char path[5000], link4[5000];
	struct stat st;
	int fd;

	l_file("f", "");
	for (size_t i = 0; i < 4094; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + 4094, "f");
	IS(strlen(path), 4095);
	OK(stat(path, &st));
	OK(fd = open(path, O_RDONLY));
	close(fd);
	strcpy(path + 4094, "/f");
	ERR(ENAMETOOLONG, stat(path, &st));
	ERR(ENAMETOOLONG, open(path, O_RDONLY));
	ERR(ENAMETOOLONG, mkdir(path, 0700));
	memset(path, 't', 4096);
	path[4095] = 0;
	OK(symlink(path, "l"));
	IS(readlink("l", link4, sizeof(link4)), 4095);
	T(memcmp(path, link4, 4095) == 0);
	IS(l_stat("l").st_size, 4095);
	IS(readlink("l", link4, 10), 10);
	path[4095] = 't';
	path[4096] = 0;
	ERR(ENAMETOOLONG, symlink(path, "l2"));
	ERR(ENOENT, symlink("", "l2"));
}

#define DEEP 1200
GROUP(deep_tree)
{
	static char name[DEEP][16], buf[5000];
	int at = open(".", O_RDONLY | O_DIRECTORY), next, good = 0;
	struct stat st;
	ino_t inos[DEEP + 1];

	inos[0] = f_stat(at).st_ino;
	for (int i = 0; i < DEEP; i++) {
		snprintf(name[i], sizeof(name[i]), "level-%d", i);
		next = mkdirat(at, name[i], 0700) == 0
		           ? openat(at, name[i], O_RDONLY | O_DIRECTORY)
		           : -1;
		if (next < 0)
			break;
		good++;
		close(at);
		at = next;
		inos[i + 1] = f_stat(at).st_ino;
	}
	IS(good, DEEP);
	int fd;
	OK(fd = openat(at, "bottom", O_CREAT | O_RDWR, 0600));
	OK(write(fd, "deep", 4));
	OK(fchdir(at));
	T(l_holds("bottom", "deep"));
	ERR(ENAMETOOLONG, syscall(SYS_getcwd, buf, sizeof(buf)));
	OK(rename("bottom", "../b"));
	OK(stat("../b", &st));
	IS(f_stat(fd).st_nlink, 1);
	OK(rename("../b", "bottom"));
	IS(MODE("bottom"), 0600);
	OK(unlink("bottom"));
	T(all(fd, 0, 1, 'd'));
	close(fd);
	/* Up by "..", and every one is the one that it was on the way down. */
	good = 0;
	for (int i = DEEP; i > 0; i--) {
		good += f_stat(at).st_ino == inos[i];
		next = openat(at, "..", O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
	}
	IS(good, DEEP);
	IS(f_stat(at).st_ino, inos[0]);
	/* Down again by name, moved as a whole first. */
	OK(fchdir(at));
	OK(rename("level-0", "moved"));
	strcpy(name[0], "moved");
	ERR(EINVAL, rename("moved", "moved/level-1/level-2/x"));
	good = 0;
	for (int i = 0; i < DEEP; i++)
		good += chdir(name[i]) == 0;
	IS(good, DEEP);
	good = 0;
	for (int i = DEEP; i-- > 0;)
		good += chdir("..") == 0 && rmdir(name[i]) == 0;
	IS(good, DEEP);
	IS(l_stat(".").st_ino, inos[0]);
	close(at);
}

/* Handles. */
struct handle {
	struct file_handle h;
	unsigned char room[2 * MAX_HANDLE_SZ];
};

static int
handle_of(const char *path, struct handle *h, int flags)
{
	int id;

	memset(h, 0, sizeof(*h));
	h->h.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, path, &h->h, &id, flags);
}

static int
by_handle(struct handle *h, int flags)
{
	static int top = -1; /* any descriptor of the mount */

	if (top < 0)
		top = open(".", O_RDONLY | O_DIRECTORY);
	return open_by_handle_at(top, &h->h, flags);
}

/* The same for one that is to be stale.  The kernel may hold a file for a moment after it
 * was closed, until who serves it has been told; so it is asked again. */
static int
by_stale(struct handle *h, int flags)
{
	int fd;

	for (int i = 0; (fd = by_handle(h, flags)) >= 0 && i < 200; i++) {
		close(fd);
		ms_sleep(5);
	}
	return fd;
}

static bool
same_handle(const struct handle *a, const struct handle *b)
{
	return a->h.handle_bytes == b->h.handle_bytes &&
	       a->h.handle_type == b->h.handle_type &&
	       memcmp(a->h.f_handle, b->h.f_handle, a->h.handle_bytes) == 0;
}

static void
drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd < 0 || write(fd, "2", 1) != 1)
		printf("SKIP the kernel's caches cannot be dropped\n");
	if (fd >= 0)
		close(fd);
}

GROUP(handles)
{
	struct handle f, d, h;
	int fd, known[3];

	l_file("f", "text");
	OK(mkdir("d", 0755));
	l_file("d/in", "inside");
	OK(symlink("f", "l"));
	/* As long as the kernel knows them, which somebody could make it forget. */
	OK(known[0] = open("f", O_PATH));
	OK(known[1] = open("d", O_PATH));
	OK(known[2] = open("l", O_PATH | O_NOFOLLOW));
	OK(handle_of("f", &f, 0));
	OK(handle_of("d", &d, 0));
	T(!same_handle(&f, &d));
	OK(fd = by_handle(&f, O_RDWR));
	IS(f_stat(fd).st_ino, l_stat("f").st_ino);
	T(all(fd, 0, 1, 't'));
	IS(pwrite(fd, "T", 1, 0), 1);
	T(l_holds("f", "Text"));
	close(fd);
	OK(fd = by_handle(&d, O_RDONLY | O_DIRECTORY));
	IS(f_stat(fd).st_ino, l_stat("d").st_ino);
	OK(faccessat(fd, "in", R_OK, 0));
	OK(mkdirat(fd, "new", 0700));
	T(l_exists("d/new"));
	close(fd);
	/* A handle is the node's: by any name, and again and again. */
	OK(handle_of("f", &h, 0));
	T(same_handle(&f, &h));
	OK(rename("f", "d/moved"));
	OK(handle_of("d/moved", &h, 0));
	T(same_handle(&f, &h));
	OK(link("d/moved", "f"));
	OK(handle_of("f", &h, 0));
	T(same_handle(&f, &h));
	OK(handle_of("l", &h, AT_SYMLINK_FOLLOW));
	T(same_handle(&f, &h));
	OK(handle_of("l", &h, 0));
	T(!same_handle(&f, &h));
	OK(fd = by_handle(&h, O_PATH | O_NOFOLLOW));
	T(S_ISLNK(f_stat(fd).st_mode));
	close(fd);
	ERR(ELOOP, by_handle(&h, O_RDONLY));
	for (int i = 0; i < 3; i++)
		close(known[i]);
}

GROUP(handle_rules)
{
	struct handle f, d, h;
	int fd, id, known[2];
	char c;

	l_file("f", "text");
	OK(mkdir("d", 0755));
	OK(known[0] = open("f", O_PATH));
	OK(known[1] = open("d", O_PATH));
	OK(handle_of("f", &f, 0));
	OK(handle_of("d", &d, 0));
	h = f;
	h.h.handle_bytes = 0;
	ERR(EOVERFLOW, name_to_handle_at(AT_FDCWD, "f", &h.h, &id, 0));
	IS(h.h.handle_bytes, f.h.handle_bytes);
	OK(name_to_handle_at(AT_FDCWD, "f", &h.h, &id, 0));
	h.h.handle_bytes = MAX_HANDLE_SZ + 1;
	ERR(EINVAL, name_to_handle_at(AT_FDCWD, "f", &h.h, &id, 0));
	ERR(EINVAL, by_handle(&h, O_RDONLY));
	h.h.handle_bytes = 0;
	ERR(EINVAL, by_handle(&h, O_RDONLY));
	ERR(EINVAL, handle_of("f", &h, 0x10000000));
	ERR(ENOENT, handle_of("no", &h, 0));
	ERR(ENOTDIR, handle_of("f/x", &h, 0));
	ERR_AS(A, EPERM, by_handle(&f, O_RDONLY));
	OK_AS(A, handle_of("f", &h, 0));
	ERR(EBADF, open_by_handle_at(999, &f.h, O_RDONLY));
	ERR(ENOTDIR, by_handle(&f, O_RDONLY | O_DIRECTORY));
	ERR(EISDIR, by_handle(&d, O_WRONLY));
	OK(fd = open("f", O_RDONLY));
	memset(&h, 0, sizeof(h));
	h.h.handle_bytes = MAX_HANDLE_SZ;
	OK(name_to_handle_at(fd, "", &h.h, &id, AT_EMPTY_PATH));
	T(same_handle(&f, &h));
	close(fd);
	OK(fd = by_handle(&f, O_WRONLY | O_TRUNC));
	close(fd);
	IS(l_stat("f").st_size, 0);
	OK(fd = by_handle(&f, O_WRONLY | O_APPEND));
	OK(write(fd, "app", 3));
	close(fd);
	OK(fd = by_handle(&f, O_RDONLY));
	IS(pread(fd, &c, 1, 2), 1);
	IS(c, 'p');
	close(fd);
	close(known[0]);
	close(known[1]);
}

/* What the kernel has forgotten it finds again, and the way up from there. */
GROUP(handles_forgotten)
{
	struct handle f, d, e, h;
	struct stat st;
	int fd;

	l_file("f", "text");
	OK(mkdir("d", 0755));
	OK(mkdir("d/e", 0755));
	l_file("d/e/in", "inside");
	l_file("gone", "");
	OK(handle_of("f", &f, 0));
	OK(handle_of("d", &d, 0));
	OK(handle_of("d/e", &e, 0));
	OK(handle_of("gone", &h, 0));
	OK(unlink("gone"));
	drop_caches();
	ERR(ESTALE, by_stale(&h, O_RDONLY));
	/* The node of a key lives no longer than the kernel knows it. */
	TAG("handles-forgotten");
	OK(fd = by_handle(&f, O_RDONLY));
	T(all(fd, 0, 1, 't'));
	close(fd);
	OK(fd = by_handle(&e, O_RDONLY | O_DIRECTORY));
	OK(fstatat(fd, "..", &st, 0));
	IS(st.st_ino, l_stat("d").st_ino);
	OK(faccessat(fd, "in", R_OK, 0));
	close(fd);
	OK(fd = by_handle(&d, O_RDONLY));
	close(fd);
	OK(handle_of("d/e", &h, 0));
	T(same_handle(&e, &h));
	OK(handle_of("f", &h, 0));
	T(same_handle(&f, &h));
	TAG(NULL);
	/* By name it is found in any case, and is the one that it was. */
	OK(fd = open("d/e/in", O_RDONLY));
	T(all(fd, 0, 1, 'i'));
	close(fd);
	OK(handle_of("d/e", &h, 0));
	OK(fd = by_handle(&h, O_RDONLY | O_DIRECTORY));
	IS(f_stat(fd).st_ino, l_stat("d/e").st_ino);
	close(fd);
}

GROUP(handles_stale)
{
	struct handle f, e, h;
	struct stat st;
	int fd, held, known;

	l_file("f", "text");
	OK(mkdir("d", 0755));
	OK(mkdir("d/e", 0755));
	l_file("d/e/in", "inside");
	OK(known = open("d/e", O_PATH));
	OK(held = open("f", O_RDONLY));
	OK(handle_of("f", &f, 0));
	OK(handle_of("d/e", &e, 0));
	/* Moved and given another mode they are the same. */
	OK(rename("d/e", "e"));
	OK(chmod("e", 0700));
	OK(fd = by_handle(&e, O_RDONLY | O_DIRECTORY));
	OK(fstatat(fd, "..", &st, 0));
	IS(st.st_ino, l_stat(".").st_ino);
	OK(faccessat(fd, "in", R_OK, 0));
	close(fd);
	/* As long as it is open; and then no more, even if its number is used again. */
	OK(unlink("f"));
	OK(fd = by_handle(&f, O_RDONLY));
	IS(f_stat(fd).st_nlink, 0);
	T(all(fd, 0, 1, 't'));
	close(fd);
	close(held);
	ERR(ESTALE, by_stale(&f, O_RDONLY));
	for (int i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		l_file(name, "new");
	}
	ERR(ESTALE, by_stale(&f, O_RDONLY));
	OK(unlink("e/in"));
	OK(rmdir("e"));
	close(known);
	ERR(ESTALE, by_stale(&e, O_RDONLY | O_DIRECTORY));
	OK(mkdir("e", 0700));
	ERR(ESTALE, by_stale(&e, O_RDONLY | O_DIRECTORY));
	OK(rename("n1", "n2"));
	OK(handle_of("n2", &h, 0));
	l_file("n3", "");
	OK(rename("n3", "n2"));
	ERR(ESTALE, by_stale(&h, O_RDONLY));
	/* What never was one. */
	memset(h.h.f_handle, 0x5a, h.h.handle_bytes);
	ERR(ESTALE, by_stale(&h, O_RDONLY));
}
