/*
 * POSIX, name by name: truncate, ftruncate, and what any change of a file's contents does to
 * its times and set-id bits.  See posix.h.
 */
#include "posix.h"

#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

GROUP(truncate)
{
	static const off_t sizes[] = {0, 1, 4095, 4096, 4097, 1000000, 12345, 3, 0};
	off_t was = 0;
	char c;
	int fd;

	l_file("f", "");
	for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char text[60];

		snprintf(text, sizeof(text), "%lld to %lld", (long long)was,
		    (long long)sizes[i]);
		about(text);
		MARK("f", ".");
		OK(truncate("f", sizes[i]));
		IS(l_stat("f").st_size, sizes[i]);
		MOVED("f", MT | CT);
		MOVED(".", NONE);
		OK(truncate("f", was));
		fd = (int)MUST(open("f", O_RDWR));
		MARK("f");
		OK(ftruncate(fd, sizes[i]));
		IS(l_stat("f").st_size, sizes[i]);
		MOVED("f", MT | CT);
		/* What was never written is zero. */
		if (sizes[i] > was && sizes[i] > 0) {
			IS(pread(fd, &c, 1, sizes[i] - 1), 1);
			IS(c, 0);
		}
		IS(pread(fd, &c, 1, sizes[i]), 0);
		close(fd);
		was = sizes[i];
	}
	about(NULL);
	l_file("f", "text");
	fd = (int)MUST(open("f", O_RDWR));
	OK(truncate("f", 2));
	OK(truncate("f", 4));
	char buf[8];
	IS(pread(fd, buf, 8, 0), 4);
	T(memcmp(buf, "te\0\0", 4) == 0);
	/* The size that it has: ftruncate counts as a change. */
	MARK("f");
	OK(ftruncate(fd, 4));
	MOVED("f", MT | CT);
	/* The offset stays. */
	IS(lseek(fd, 3, SEEK_SET), 3);
	OK(ftruncate(fd, 1));
	IS(lseek(fd, 0, SEEK_CUR), 3);
	IS(write(fd, "x", 1), 1);
	IS(l_stat("f").st_size, 4);
	close(fd);
	MUST(symlink("f", "l"));
	OK(truncate("l", 1));
	IS(l_stat("f").st_size, 1);
	IS(l_stat("l").st_size, 1);
}

GROUP(truncate_refused)
{
	int fd;

	for (enum kind k = DIRECTORY; k < LNK; k++) {
		about(kind_name[k]);
		make(k, "a", 0666, ANN_UID, ANN_GID);
		MARK("a");
		ERR(k == DIRECTORY ? EISDIR : EINVAL, truncate("a", 0));
		ERR(k == DIRECTORY ? EISDIR : EINVAL, truncate("a", 10));
		BY (bob)
			ERR(k == DIRECTORY ? EISDIR : EINVAL, truncate("a", 0));
		MOVED("a", NONE);
		OK(take_away(k, "a"));
	}
	about(NULL);
	l_file("f", "text");
	MUST(mkdir("d", 0755));
	MARK("f");
	ERR(EINVAL, truncate("f", -1));
	ERR(EINVAL, truncate("f", INT64_MIN));
	OK(fd = open("f", O_RDONLY));
	ERR(EINVAL, ftruncate(fd, 0));
	close(fd);
	OK(fd = open("f", O_RDWR));
	ERR(EINVAL, ftruncate(fd, -1));
	close(fd);
	OK(fd = open("d", O_RDONLY));
	ERR(EINVAL, ftruncate(fd, 0));
	close(fd);
	ERR(EBADF, ftruncate(-1, 0));
	ERR(EBADF, ftruncate(fd, 0));
	MOVED("f", NONE);
	T(l_holds("f", "text"));
	int p[2];
	MUST(pipe(p));
	ERR(EINVAL, ftruncate(p[1], 0));
	close(p[0]);
	close(p[1]);
}

GROUP(truncate_user)
{
	int fd;

	make(REG, "f", 0644, ANN_UID, ANN_GID);
	MUST(truncate("f", 4));
	MARK("f");
	BY (bob) {
		ERR(EACCES, truncate("f", 0));
		ERR(EACCES, truncate("f", 4));
		ERR(EINVAL, truncate("f", -1));
	}
	MOVED("f", NONE);
	BY (ann) {
		OK(truncate("f", 2));
		NODE("f", S_IFREG | 0644, ANN_UID, ANN_GID);
	}
	MUST(chmod("f", 0466));
	BY (ann)
		ERR(EACCES, truncate("f", 0));
	IS(l_stat("f").st_size, 2);
	BY (bob)
		OK(truncate("f", 1));
	IS(l_stat("f").st_size, 1);
	/* A descriptor keeps the right. */
	fd = (int)MUST(open("f", O_RDWR));
	MUST(chmod("f", 0));
	MARK("f");
	BY (bob) {
		ERR(EACCES, truncate("f", 7));
		OK(ftruncate(fd, 7));
	}
	IS(l_stat("f").st_size, 7);
	MOVED("f", MT | CT);
	OK(truncate("f", 3));
	/* Also to one without a name. */
	OK(unlink("f"));
	BY (ann)
		OK(ftruncate(fd, 100));
	struct stat st;
	OK(fstat(fd, &st));
	IS(st.st_size, 100);
	close(fd);
}

GROUP(file_size_limit)
{
	struct rlimit was, now;
	int fd;

	l_file("f", "");
	fd = (int)MUST(open("f", O_RDWR));
	MUST(getrlimit(RLIMIT_FSIZE, &was));
	signal(SIGXFSZ, SIG_IGN);
	now = was;
	now.rlim_cur = 10000;
	MUST(setrlimit(RLIMIT_FSIZE, &now));
	MARK("f");
	ERR(EFBIG, truncate("f", 10001));
	ERR(EFBIG, ftruncate(fd, 10001));
	ERR(EFBIG, pwrite(fd, "x", 1, 10000));
	MOVED("f", NONE);
	ERR(EFBIG, fallocate(fd, 0, 0, 10001));
	IS(l_stat("f").st_size, 0);
	OK(truncate("f", 10000));
	OK(ftruncate(fd, 10000));
	/* Up to the limit. */
	IS(pwrite(fd, "xyz", 3, 9999), 1);
	IS(l_stat("f").st_size, 10000);
	MUST(setrlimit(RLIMIT_FSIZE, &was));
	signal(SIGXFSZ, SIG_DFL);
	OK(truncate("f", 20000));
	ERR(EINVAL, lseek(fd, -1, SEEK_SET));
	/* Larger than some file systems have them. */
	TAG("huge");
	OK(truncate("f", 1ll << 50));
	OK(ftruncate(fd, 1ll << 51));
	IS(l_stat("f").st_size, 1ll << 51);
	TAG(NULL);
	OK(truncate("f", 20000));
	IS(l_stat("f").st_size, 20000);
	close(fd);
}

/*
 * Whoever is not privileged takes the set-id bits off by changing what is in a file, also
 * off what is theirs; the set-group-id bit of what its group may not execute stays for those
 * of the group.
 */
static int
c_write(const char *p, int fd)
{
	(void)p;
	return write(fd, "x", 1) == 1 ? 0 : -1;
}

static int
c_pwrite(const char *p, int fd)
{
	(void)p;
	return pwrite(fd, "x", 1, 100) == 1 ? 0 : -1;
}

static int
c_pwritev(const char *p, int fd)
{
	struct iovec iov[2] = {{"a", 1}, {"b", 1}};

	(void)p;
	return pwritev(fd, iov, 2, 0) == 2 ? 0 : -1;
}

static int
c_truncate(const char *p, int fd)
{
	(void)fd;
	return truncate(p, 20);
}

static int
c_grow(const char *p, int fd)
{
	(void)fd;
	return truncate(p, 200000);
}

static int
c_ftruncate(const char *p, int fd)
{
	(void)p;
	return ftruncate(fd, 30);
}

static int
c_fallocate(const char *p, int fd)
{
	(void)p;
	return fallocate(fd, 0, 0, 8192);
}

static int
c_punch(const char *p, int fd)
{
	(void)p;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int
c_open_trunc(const char *p, int fd)
{
	(void)fd;
	fd = open(p, O_WRONLY | O_TRUNC);
	return fd < 0 ? -1 : close(fd);
}

static int
c_creat(const char *p, int fd)
{
	(void)fd;
	fd = creat(p, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int
c_copy(const char *p, int fd)
{
	int src = open("src", O_RDONLY);
	ssize_t n = copy_file_range(src, NULL, fd, NULL, 4, 0);

	(void)p;
	close(src);
	return n == 4 ? 0 : -1;
}

static int
c_sendfile(const char *p, int fd)
{
	int src = open("src", O_RDONLY);
	ssize_t n = sendfile(fd, src, NULL, 4);

	(void)p;
	close(src);
	return n == 4 ? 0 : -1;
}

static int
c_append(const char *p, int fd)
{
	(void)fd;
	fd = open(p, O_WRONLY | O_APPEND);
	ssize_t n = write(fd, "x", 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

static int
c_mapped(const char *p, int fd)
{
	char *m;

	(void)p;
	if (ftruncate(fd, 4096) < 0)
		return -1;
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return -1;
	m[0]++;
	msync(m, 4096, MS_SYNC);
	return munmap(m, 4096);
}

static const struct change {
	const char *name;
	int (*fn)(const char *, int);
} changes[] = {
    {"write", c_write},
    {"pwrite", c_pwrite},
    {"pwritev", c_pwritev},
    {"truncate", c_truncate},
    {"truncate that grows", c_grow},
    {"ftruncate", c_ftruncate},
    {"fallocate", c_fallocate},
    {"punching", c_punch},
    {"O_TRUNC", c_open_trunc},
    {"creat", c_creat},
    {"copy_file_range", c_copy},
    {"sendfile", c_sendfile},
    {"appending", c_append},
    {"writing to a mapping", c_mapped},
};
#define NCHANGES (sizeof(changes) / sizeof(changes[0]))

/* Before, and after the owner, who is of the group, and after anybody. */
static const struct setid {
	mode_t before, owner, anybody;
} setids[] = {
    {06777, 0777, 0777},
    {04777, 0777, 0777},
    {02777, 0777, 0777},
    {07777, 01777, 01777},
    {04666, 0666, 0666},
    {01666, 01666, 01666},
};

static void
change_setid(const struct change *c, const struct setid *s, int fd)
{
	MUST(ftruncate(fd, 100));
	MUST(lseek(fd, 0, SEEK_SET));
	MUST(chmod("a", s->before));
	BY (ann)
		OK(c->fn("a", fd));
	IS(perm("a"), s->owner);
	MUST(ftruncate(fd, 100));
	MUST(chmod("a", s->before));
	BY (bob)
		OK(c->fn("a", fd));
	IS(perm("a"), s->anybody);
	MUST(ftruncate(fd, 100));
	MUST(chmod("a", s->before));
	OK(c->fn("a", fd));
	/* Through what was opened before the bits were set, a host may see nobody write. */
	TAG("passed-setid");
	IS(perm("a"), s->before);
	TAG(NULL);
}

GROUP(change_setid)
{
	l_file("src", "text and more");
	for (size_t i = 0; i < NCHANGES; i++) {
		about(changes[i].name);
		make(REG, "a", 0666, ANN_UID, CLUB);
		int fd = (int)MUST(open("a", O_RDWR));
		for (size_t j = 0; j < sizeof(setids) / sizeof(setids[0]); j++)
			change_setid(&changes[i], &setids[j], fd);
		close(fd);
		OK(unlink("a"));
	}
}

/* The set-group-id bit without execution for the group. */
GROUP(change_setgid_alone)
{
	l_file("src", "text and more");
	make(REG, "a", 0666, ANN_UID, CLUB);
	int fd = (int)MUST(open("a", O_RDWR));
	for (size_t i = 0; i < NCHANGES; i++) {
		about(changes[i].name);
		MUST(ftruncate(fd, 100));
		MUST(chmod("a", 02666));
		BY (ann)
			OK(changes[i].fn("a", fd));
		TAG("passed-setid");
		IS(perm("a"), 02666);
		TAG(NULL);
		MUST(chmod("a", 02666));
		OK(changes[i].fn("a", fd));
		TAG("passed-setid");
		IS(perm("a"), 02666);
		TAG(NULL);
		MUST(chmod("a", 02666));
		MUST(ftruncate(fd, 100));
		BY (bob)
			OK(changes[i].fn("a", fd));
		IS(perm("a"), 0666);
	}
	close(fd);
}

GROUP(change_times)
{
	l_file("src", "text and more");
	make(REG, "a", 0666, ANN_UID, CLUB);
	MUST(truncate("a", 100000));
	int fd = (int)MUST(open("a", O_RDWR));
	for (size_t i = 0; i < NCHANGES; i++) {
		about(changes[i].name);
		/* Mapping counts as reading, now and then. */
		if (changes[i].fn == c_mapped)
			continue;
		MARK("a", ".");
		OK(changes[i].fn("a", fd));
		MOVED("a", MT | CT);
		MOVED(".", NONE);
		BY (bob) {
			MARK("a", ".");
			OK(changes[i].fn("a", fd));
			MOVED("a", MT | CT);
		}
	}
	close(fd);
}

/* What writes nothing changes nothing. */
GROUP(change_nothing)
{
	int fd, ro;

	make(REG, "a", 0666, ANN_UID, CLUB);
	MUST(truncate("a", 10));
	MUST(chmod("a", 06777));
	fd = (int)MUST(open("a", O_RDWR));
	ro = (int)MUST(open("a", O_RDONLY));
	MARK("a");
	BY (bob) {
		IS(write(fd, "", 0), 0);
		IS(pwrite(fd, "", 0, 1000), 0);
		ERR(EBADF, write(ro, "x", 1));
		ERR(EBADF, fallocate(ro, 0, 0, 100));
		ERR(EINVAL, ftruncate(ro, 0));
		ERR(EINVAL, fallocate(fd, 0, 0, 0));
		ERR(EINVAL, fallocate(fd, 0, -1, 10));
		ERR(EINVAL, pwrite(fd, "x", 1, -1));
		ERR(EBADF, copy_file_range(fd, NULL, ro, NULL, 1, 0));
		OK(open("a", O_RDWR));
	}
	MOVED("a", NONE);
	IS(perm("a"), 06777);
	IS(l_stat("a").st_size, 10);
	close(fd);
	close(ro);
}
