/*
 * System calls, part seven: copy_file_range, sendfile, splice, tee, vmsplice.  What is
 * copied is compared.  P_OTHER, if set, is a directory of another kind below the same
 * mount or of another file system.
 */
#include "list-sys.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

static char got[200000];

/* A file of n bytes that say where they are. */
static int
numbered(const char *path, size_t n)
{
	int fd = make(path);

	for (size_t i = 0; i < n; i++)
		got[i] = (char)(i * 7 + (i >> 8));
	if (pwrite(fd, got, n, 0) != (ssize_t)n) {
		printf("FAIL %s: filling %s: %m\n", l_name, path);
		exit(1);
	}
	return fd;
}

/* Do the n bytes at "at" say that they were at "from"? */
static bool
says(int fd, off_t at, size_t n, size_t from)
{
	if (pread(fd, got, n, at) != (ssize_t)n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (got[i] != (char)((from + i) * 7 + ((from + i) >> 8)))
			return false;
	}
	return true;
}

/* copy_file_range with offsets; how far each has come is checked by its value. */
static ssize_t
cfr(int in, loff_t from, int out, loff_t to, size_t n)
{
	loff_t a = from, b = to;
	ssize_t r = copy_file_range(in, &a, out, &b, n, 0);

	if (r >= 0 && (a != from + r || b != to + r)) {
		errno = EILSEQ;
		return -1;
	}
	if (r < 0 && (a != from || b != to))
		errno = EILSEQ;
	return r;
}

GROUP(copy_range)
{
	static const struct {
		loff_t from, to;
		size_t n, done;
	} t[] = {{0, 0, 100000, 100000}, {0, 0, 1, 1}, {4096, 0, 4096, 4096},
	    {1, 4095, 10000, 10000}, {99999, 0, 1, 1}, {99999, 0, 100, 1},
	    {100000, 0, 10, 0}, {200000, 0, 10, 0}, {0, 150000, 5, 5}, {50000, 7, 0, 0},
	    {90000, 90000, 1 << 20, 10000}, {12345, 54321, 6789, 6789}};
	int in = numbered("in", 100000), out;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		out = make("out");
		CASE_IS(cfr(in, t[i].from, out, t[i].to, t[i].n), t[i].done,
		    "copying %zu bytes from %lld to %lld", t[i].n, (long long)t[i].from,
		    (long long)t[i].to);
		CASE_IS(f_stat(out).st_size, t[i].done ? t[i].to + (loff_t)t[i].done : 0,
		    "size after copy %zu", i);
		CASE(says(out, t[i].to, t[i].done, (size_t)t[i].from),
		    "contents after copy %zu", i);
		CASE(t[i].done == 0 || all(out, 0, (size_t)t[i].to, 0),
		    "nothing before copy %zu", i);
		close(out);
	}
	/* Into the middle: the rest stays. */
	out = make("out");
	T(fill(out, 0, 20000, 'o'));
	IS(cfr(in, 3, out, 5000, 10000), 10000);
	T(all(out, 0, 5000, 'o') && says(out, 5000, 10000, 3) &&
	    all(out, 15000, 5000, 'o'));
	IS(f_stat(out).st_size, 20000);
	/* By the positions of the descriptors. */
	OK(lseek(in, 1000, SEEK_SET));
	OK(lseek(out, 19000, SEEK_SET));
	IS(copy_file_range(in, NULL, out, NULL, 2000, 0), 2000);
	IS(lseek(in, 0, SEEK_CUR), 3000);
	IS(lseek(out, 0, SEEK_CUR), 21000);
	T(says(out, 19000, 2000, 1000));
	loff_t at = 5;
	IS(copy_file_range(in, &at, out, NULL, 10, 0), 10);
	IS(at, 15);
	IS(lseek(in, 0, SEEK_CUR), 3000);
	IS(lseek(out, 0, SEEK_CUR), 21010);
	T(says(in, 0, 100000, 0));
	close(in);
	close(out);
}

GROUP(copy_range_one_file)
{
	int fd = numbered("f", 100000), also;

	OK(also = open("f", O_RDONLY));
	IS(cfr(fd, 0, fd, 50000, 10000), 10000);
	T(says(fd, 0, 50000, 0) && says(fd, 50000, 10000, 0) &&
	    says(fd, 60000, 40000, 60000));
	IS(cfr(also, 60000, fd, 10000, 5000), 5000);
	T(says(fd, 10000, 5000, 60000) && says(fd, 15000, 35000, 15000));
	/* Neighbours do not overlap; one byte more does. */
	IS(cfr(fd, 20000, fd, 21000, 1000), 1000);
	ERR(EINVAL, cfr(fd, 20000, fd, 21000, 1001));
	ERR(EINVAL, cfr(fd, 21000, fd, 20000, 1001));
	ERR(EINVAL, cfr(fd, 20000, fd, 20000, 1));
	ERR(EINVAL, cfr(also, 20000, fd, 20999, 1000));
	IS(cfr(fd, 20000, fd, 20000, 0), 0);
	/* What counts is what is there to be copied. */
	IS(cfr(fd, 99990, fd, 100000, 100), 10);
	IS(f_stat(fd).st_size, 100010);
	T(says(fd, 100000, 10, 99990));
	IS(cfr(fd, 100010, fd, 0, 50), 0);
	close(fd);
	close(also);
}

GROUP(copy_range_errors)
{
	int in = numbered("in", 10000), out = make("out"), fd, p[2];
	struct stat was;

	T(fill(out, 0, 100, 'o'));
	was = f_stat(out);
	ERR(EINVAL, copy_file_range(in, NULL, out, NULL, 10, 1));
	ERR(EINVAL, copy_file_range(in, NULL, out, NULL, 10, -1u));
	OK(fd = open("out", O_RDONLY));
	ERR(EBADF, cfr(in, 0, fd, 0, 10));
	close(fd);
	OK(fd = open("out", O_WRONLY | O_APPEND));
	ERR(EBADF, cfr(in, 0, fd, 0, 10));
	close(fd);
	OK(fd = open("in", O_WRONLY));
	ERR(EBADF, cfr(fd, 0, out, 0, 10));
	close(fd);
	OK(fd = open("out", O_PATH));
	ERR(EBADF, cfr(in, 0, fd, 0, 10));
	ERR(EBADF, cfr(fd, 0, out, 0, 10));
	close(fd);
	ERR(EBADF, cfr(999, 0, out, 0, 10));
	ERR(EBADF, cfr(in, 0, 999, 0, 10));
	OK(mkdir("d", 0700));
	OK(fd = open("d", O_RDONLY | O_DIRECTORY));
	ERR(EISDIR, cfr(fd, 0, out, 0, 10));
	ERR(EISDIR, cfr(in, 0, fd, 0, 10));
	close(fd);
	OK(mkfifo("p", 0600));
	OK(fd = open("p", O_RDWR));
	ERR(EINVAL, cfr(fd, 0, out, 0, 10));
	ERR(EINVAL, copy_file_range(in, NULL, fd, NULL, 10, 0));
	close(fd);
	OK(pipe(p));
	ERR(EINVAL, copy_file_range(p[0], NULL, out, NULL, 10, 0));
	ERR(EINVAL, copy_file_range(in, NULL, p[1], NULL, 10, 0));
	close(p[0]);
	close(p[1]);
	/* EINVAL by the manual page, EOVERFLOW by newer kernels. */
	T(cfr(in, -1, out, 0, 10) == -1 && (errno == EINVAL || errno == EOVERFLOW));
	T(cfr(in, 0, out, -1, 10) == -1 && (errno == EINVAL || errno == EOVERFLOW));
	ERR(EFAULT, copy_file_range(in, nowhere(), out, NULL, 10, 0));
	/* Nothing of it has done anything. */
	IS(f_stat(out).st_size, 100);
	T(all(out, 0, 100, 'o'));
	T(t_cmp(f_stat(out).st_mtim, was.st_mtim) == 0);
	tick();
	IS(cfr(in, 0, out, 0, 10), 10);
	T(t_cmp(f_stat(out).st_mtim, was.st_mtim) > 0);
	T(t_cmp(f_stat(out).st_ctim, was.st_ctim) > 0);
	/* Set-id bits go when an ordinary user copies into it. */
	OK(fchown(out, UID_A, GID_A));
	OK(fchmod(out, 06777));
	OK_AS(A, cfr(in, 0, out, 0, 10));
	IS(f_stat(out).st_mode & 07777, 0777);
	close(in);
	close(out);
}

/* From and to another place. */
GROUP(copy_range_across)
{
	char path[300];
	const char *other = getenv("P_OTHER");
	int in = numbered("in", 70000), out;

	snprintf(path, sizeof(path), "%s/copy-%d", other ? other : ".", getpid());
	OK(out = open(path, O_CREAT | O_EXCL | O_RDWR, 0600));
	IS(cfr(in, 100, out, 50, 60000), 60000);
	T(all(out, 0, 50, 0) && says(out, 50, 60000, 100));
	IS(cfr(out, 50, in, 0, 1000), 1000);
	T(says(in, 0, 1000, 100) && says(in, 1000, 60000, 1000));
	IS(cfr(out, 60050, in, 0, 1000), 0);
	IS(f_stat(out).st_size, 60050);
	OK(lseek(in, 0, SEEK_SET));
	OK(ftruncate(out, 0));
	IS(sendfile(out, in, NULL, 100), 100);
	T(says(out, 0, 100, 100));
	OK(unlink(path));
	IS(cfr(in, 500, out, 0, 500), 500);
	T(says(out, 0, 400, 600));
	close(in);
	close(out);
}

GROUP(sendfile)
{
	int in = numbered("in", 70000), out = make("out"), s[2], p[2];
	off_t at = 10;
	size_t n;
	ssize_t r;

	IS(sendfile(out, in, &at, 5000), 5000);
	IS(at, 5010);
	IS(lseek(in, 0, SEEK_CUR), 0);
	IS(lseek(out, 0, SEEK_CUR), 5000);
	T(says(out, 0, 5000, 10));
	OK(lseek(in, 60000, SEEK_SET));
	IS(sendfile(out, in, NULL, 50000), 10000);
	IS(lseek(in, 0, SEEK_CUR), 70000);
	T(says(out, 5000, 10000, 60000));
	IS(sendfile(out, in, NULL, 10), 0);
	IS(sendfile(out, in, &at, 0), 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	at = 3;
	for (n = 0; n < 60000; n += (size_t)r) {
		r = sendfile(s[0], in, &at, 60000 - n > 8000 ? 8000 : 60000 - n);
		if (r <= 0)
			break;
		for (ssize_t k = 0; k < r;) {
			ssize_t c = read(s[1], got, (size_t)(r - k));
			if (c <= 0 || pwrite(out, got, (size_t)c, (off_t)n + k) != c)
				break;
			k += c;
		}
	}
	IS(n, 60000);
	T(says(out, 0, 60000, 3));
	/* From a socket it cannot be. */
	ERR(EINVAL, sendfile(out, s[0], NULL, 10));
	ERR(ESPIPE, sendfile(out, s[0], &at, 10));
	close(s[0]);
	close(s[1]);
	OK(pipe(p));
	at = 1000;
	IS(sendfile(p[1], in, &at, 3000), 3000);
	IS(read(p[0], got, sizeof(got)), 3000);
	IS(got[0], (char)(1000 * 7 + 3));
	close(p[0]);
	close(p[1]);
	int fd = open("out", O_RDONLY);
	ERR(EBADF, sendfile(fd, in, NULL, 10));
	close(fd);
	OK(fd = open("in", O_WRONLY));
	ERR(EBADF, sendfile(out, fd, NULL, 10));
	close(fd);
	OK(fd = open("out", O_WRONLY | O_APPEND));
	at = 0;
	ERR(EINVAL, sendfile(fd, in, &at, 10));
	close(fd);
	at = -5;
	ERR(EINVAL, sendfile(out, in, &at, 10));
	ERR(EFAULT, sendfile(out, in, nowhere(), 10));
	close(in);
	close(out);
}

GROUP(splice)
{
	int in = numbered("in", 70000), out = make("out"), p[2], q[2];
	loff_t at, to;
	ssize_t r;

	OK(pipe(p));
	OK(pipe(q));
	/* All of it through a pipe, by offset, and again by position. */
	for (int pass = 0; pass < 2; pass++) {
		OK(ftruncate(out, 0));
		at = to = 0;
		OK(lseek(in, 0, SEEK_SET) + lseek(out, 0, SEEK_SET));
		while ((r = splice(in, pass ? NULL : &at, p[1], NULL, 20000, 0)) > 0) {
			while (r > 0) {
				ssize_t w = splice(p[0], NULL, out, pass ? NULL : &to,
				    (size_t)r, SPLICE_F_MOVE);
				if (w <= 0)
					break;
				r -= w;
			}
		}
		CASE_IS(r, 0, "splice at the end, pass %d", pass);
		CASE_IS(f_stat(out).st_size, 70000, "size after splice, pass %d", pass);
		CASE(says(out, 0, 70000, 0), "contents after splice, pass %d", pass);
		CASE_IS(lseek(out, 0, SEEK_CUR), pass ? 70000 : 0,
		    "position after splice, pass %d", pass);
	}
	/* The two halves of a tee. */
	at = 5;
	IS(splice(in, &at, p[1], NULL, 4000, 0), 4000);
	IS(at, 4005);
	IS(tee(p[0], q[1], 10000, 0), 4000);
	to = 100;
	IS(splice(p[0], NULL, out, &to, 10000, 0), 4000);
	IS(to, 4100);
	to = 10000;
	IS(splice(q[0], NULL, out, &to, 10000, SPLICE_F_NONBLOCK), 4000);
	T(says(out, 100, 4000, 5) && says(out, 10000, 4000, 5));
	ERR(EAGAIN, splice(q[0], NULL, out, &to, 10, SPLICE_F_NONBLOCK));
	/* Bytes from memory. */
	static char mem[9000];
	memset(mem, 'v', sizeof(mem));
	struct iovec iov[2] = {{mem, 5000}, {mem + 5000, 4000}};
	IS(vmsplice(p[1], iov, 2, 0), 9000);
	to = 20000;
	IS(splice(p[0], NULL, out, &to, 9000, 0), 9000);
	T(all(out, 20000, 9000, 'v') && says(out, 29000, 100, 29000));
	close(p[0]);
	close(p[1]);
	close(q[0]);
	close(q[1]);
	close(in);
	close(out);
}

GROUP(splice_errors)
{
	int in = numbered("in", 70000), out = make("out"), p[2];
	loff_t at = 0, to = 0;

	OK(pipe(p));
	ERR(EINVAL, splice(in, &at, out, &to, 10, 0));
	ERR(ESPIPE, splice(p[0], &at, out, &to, 10, 0));
	ERR(ESPIPE, splice(in, &at, p[1], &to, 10, 0));
	ERR(EINVAL, splice(in, &at, p[1], NULL, 10, 0x100));
	ERR(EBADF, splice(in, &at, p[0], NULL, 10, 0));
	ERR(EINVAL, tee(in, p[1], 10, 0));
	IS(splice(in, &at, p[1], NULL, 0, 0), 0);
	int fd = open("out", O_RDWR | O_APPEND);
	IS(splice(in, &at, p[1], NULL, 10, 0), 10);
	ERR(EINVAL, splice(p[0], NULL, fd, NULL, 10, 0));
	close(fd);
	OK(fd = open("out", O_RDONLY));
	ERR(EBADF, splice(p[0], NULL, fd, NULL, 10, 0));
	close(fd);
	at = 70000;
	IS(splice(in, &at, p[1], NULL, 10, 0), 0);
	at = 69999;
	IS(splice(in, &at, p[1], NULL, 10, 0), 1);
	IS(f_stat(out).st_size, 0);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

/* What has been taken out of the file may be changed in it before it is read. */
GROUP(splice_then_write)
{
	int in = numbered("in", 8192), p[2];
	loff_t at = 0;

	OK(pipe(p));
	IS(splice(in, &at, p[1], NULL, 8192, 0), 8192);
	OK(unlink("in"));
	OK(ftruncate(in, 0));
	OK(ftruncate(in, 8192));
	IS(read(p[0], got, 8192), 8192);
	T(got[1] == 7 && got[8191] == (char)(8191 * 7 + 31));
	T(all(in, 0, 8192, 0));
	close(p[0]);
	close(p[1]);
	close(in);
}

GROUP(vectors)
{
	char a[3], b[5], c[100];
	struct iovec iov[3] = {{a, 3}, {b, 5}, {c, 100}};
	int fd = make("f");

	memcpy(a, "abc", 3);
	memcpy(b, "defgh", 5);
	IS(pwritev(fd, iov, 2, 10), 8);
	IS(f_stat(fd).st_size, 18);
	memset(a, 0, 3);
	memset(b, 0, 5);
	IS(preadv(fd, iov, 3, 10), 8);
	T(memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0);
	IS(preadv(fd, iov, 3, 18), 0);
	IS(preadv(fd, iov, 0, 0), 0);
	ERR(EINVAL, preadv(fd, iov, 1, -5));
	ERR(EINVAL, syscall(SYS_pwritev, fd, iov, 2000, 0L, 0L));
	OK(lseek(fd, 16, SEEK_SET));
	IS(writev(fd, iov, 2), 8);
	IS(lseek(fd, 0, SEEK_CUR), 24);
	IS(pwritev2(fd, iov, 1, 0, RWF_APPEND), 3);
	IS(f_stat(fd).st_size, 27);
	IS(pwritev2(fd, iov, 1, 0, RWF_DSYNC), 3);
	IS(pwritev2(fd, iov, 1, 3, RWF_SYNC), 3);
	IS(pwritev2(fd, iov, 1, -1, 0), 3);
	IS(lseek(fd, 0, SEEK_CUR), 27);
	IS(preadv2(fd, iov, 1, 0, 0), 3);
	T(memcmp(a, "abc", 3) == 0);
	ERR(EOPNOTSUPP, preadv2(fd, iov, 1, 0, 0x8000));
	ERR(EOPNOTSUPP, pwritev2(fd, iov, 1, 0, 0x8000));
	close(fd);
}
