/*
 * The model test: describing whole trees, directories, holes and attributes, so that they
 * can be compared.
 */
#include "p-model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The entries of a directory without the dots, sorted; each name has its type before it.
 * -1 with errno set. */
static int
names_of(int dirfd, const char *path, char ***ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK), n = 0, cap = 0;
	char **names = NULL;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -1;
	d = fdopendir(fd);
	if (!d)
		abort();
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == cap)
			names =
			    realloc(names, sizeof(*names) * (size_t)(cap = cap * 2 + 16));
		if (!names || asprintf(&names[n++], "%s/%u", e->d_name, e->d_type) < 0)
			abort();
	}
	closedir(d);
	if (n > 0)
		qsort(names, (size_t)n, sizeof(*names), by_text);
	*ret = names;
	return n;
}

uint64_t
dir_hash(struct root *r, const char *path, int *ret_err)
{
	char **names;
	uint64_t h = 1;
	int n = names_of(r->fd, path, &names);

	if (n < 0) {
		*ret_err = errno;
		return 0;
	}
	for (int i = 0; i < n; i++) {
		h = hash_add(h, names[i], strlen(names[i]) + 1);
		free(names[i]);
	}
	free(names);
	return h;
}

static bool
zeros(int fd, long from, long to)
{
	static const char zero[65536];
	static char buf[65536];

	while (from < to) {
		long want = to - from < (long)sizeof(buf) ? to - from : (long)sizeof(buf);
		ssize_t n = pread(fd, buf, (size_t)want, from);
		if (n <= 0 || memcmp(buf, zero, (size_t)n) != 0)
			return false;
		from += n;
	}
	return true;
}

const char *
seek_check(int fd, long off)
{
	struct stat st;
	long data, hole;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return NULL;
	data = lseek(fd, off, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return "SEEK_DATA fails";
	hole = lseek(fd, off, SEEK_HOLE);
	if (hole < 0 && errno != ENXIO)
		return "SEEK_HOLE fails";
	if (off >= st.st_size)
		return data >= 0 || hole >= 0 ? "a seek past the end is no ENXIO" : NULL;
	if (hole < 0 || hole < off || hole > st.st_size)
		return "SEEK_HOLE is outside the file";
	if (data >= 0 && (data < off || data >= st.st_size))
		return "SEEK_DATA is outside the file";
	if (hole == off && data == off)
		return "one place is both data and a hole";
	if (fcntl(fd, F_GETFL) & O_WRONLY)
		return NULL;
	if (!zeros(fd, off, data < 0 ? st.st_size : data))
		return "SEEK_DATA skips data";
	return NULL;
}

uint64_t
xattr_hash(int fd, const char *path)
{
	char list[4096], value[4096], *sorted[64];
	ssize_t n, v;
	uint64_t h = 1;
	size_t k = 0;
	int f = openat(fd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);

	if (f < 0)
		return 0;
	n = flistxattr(f, list, sizeof(list));
	for (ssize_t i = 0; i < n && k < 64; i += (ssize_t)strlen(list + i) + 1)
		if (strncmp(list + i, "user.", 5) == 0)
			sorted[k++] = list + i;
	qsort(sorted, k, sizeof(*sorted), by_text);
	for (size_t i = 0; i < k; i++) {
		v = fgetxattr(f, sorted[i], value, sizeof(value));
		h = hash_add(h, sorted[i], strlen(sorted[i]) + 1);
		h = hash_add(h, value, v < 0 ? 0 : (size_t)v);
	}
	close(f);
	return h;
}

static uint64_t
content_hash(int dirfd, const char *path, const struct stat *st)
{
	static char buf[1 << 18];
	uint64_t h = 1;
	ssize_t n;
	int fd;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(dirfd, path, buf, sizeof(buf));
		return n < 0 ? 0 : hash_add(1, buf, (size_t)n);
	}
	if (!S_ISREG(st->st_mode))
		return 0;
	fd = openat(dirfd, path, O_RDONLY);
	if (fd < 0)
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		h = hash_add(h, buf, (size_t)n);
	close(fd);
	return n < 0 ? 0 : h;
}

struct list {
	char **lines;
	ino_t *inos; /* of each line */
	size_t n, cap;
};

/* The first line about the same file. */
static size_t
first_of(const struct list *l, ino_t ino)
{
	size_t i = 0;

	while (i < l->n && l->inos[i] != ino)
		i++;
	return i;
}

static void
list_add(struct list *l, struct root *r, const char *path, unsigned type)
{
	struct stat st;

	if (l->n + 1 >= l->cap) {
		l->cap = l->cap * 2 + 64;
		l->lines = realloc(l->lines, l->cap * sizeof(*l->lines));
		l->inos = realloc(l->inos, l->cap * sizeof(*l->inos));
	}
	if (!l->lines || !l->inos)
		abort();
	if (fstatat(r->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		memset(&st, 0, sizeof(st));
	if (asprintf(&l->lines[l->n],
		"%s type %u mode %o nlink %lu uid %u gid %u size %lld rdev %llx same-as %zu "
		"content %llx xattrs %llx",
		path, type, st.st_mode, (unsigned long)st.st_nlink, st.st_uid, st.st_gid,
		S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size,
		(unsigned long long)st.st_rdev, first_of(l, st.st_ino),
		(unsigned long long)content_hash(r->fd, path, &st),
		(unsigned long long)(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
					 ? xattr_hash(r->fd, path)
					 : 0)) < 0)
		abort();
	l->inos[l->n++] = st.st_ino;
}

static void
list_dir(struct list *l, struct root *r, const char *path)
{
	char **names;
	int n = names_of(r->fd, path, &names);

	for (int i = 0; i < n; i++) {
		char *slash = strrchr(names[i], '/'), *full;
		unsigned type = (unsigned)atoi(slash + 1);

		*slash = '\0';
		if (asprintf(&full, "%s%s%s", strcmp(path, ".") == 0 ? "" : path,
			strcmp(path, ".") == 0 ? "" : "/", names[i]) < 0)
			abort();
		list_add(l, r, full, type);
		if (type == DT_DIR)
			list_dir(l, r, full);
		free(full);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

char **
tree_list(struct root *r)
{
	struct list l = {0};

	list_add(&l, r, ".", DT_DIR);
	list_dir(&l, r, ".");
	l.lines[l.n] = NULL;
	free(l.inos);
	return l.lines;
}

void
tree_free(char **list)
{
	for (char **p = list; *p; p++)
		free(*p);
	free(list);
}
