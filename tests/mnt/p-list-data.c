/*
 * The list, part three: what is in files.  See list.h.
 */
#include "list.h"

#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

static int
make(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0644);

	if (fd < 0) {
		printf("FAIL %s: making %s: %m\n", l_name, path);
		exit(1);
	}
	return fd;
}

/* Are these bytes of the file all c? */
static bool
all(int fd, off_t off, size_t len, int c)
{
	unsigned char buf[4096];

	while (len > 0) {
		size_t want = len < sizeof(buf) ? len : sizeof(buf);
		if (pread(fd, buf, want, off) != (ssize_t)want)
			return false;
		for (size_t i = 0; i < want; i++)
			if (buf[i] != (unsigned char)c)
				return false;
		off += (off_t)want;
		len -= want;
	}
	return true;
}

/* Writes len times c at off. */
static bool
fill(int fd, off_t off, size_t len, int c)
{
	char buf[4096];

	memset(buf, c, sizeof(buf));
	while (len > 0) {
		size_t want = len < sizeof(buf) ? len : sizeof(buf);
		if (pwrite(fd, buf, want, off) != (ssize_t)want)
			return false;
		off += (off_t)want;
		len -= want;
	}
	return true;
}

static off_t
size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static long long
blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (long long)st.st_blocks : -1;
}

GROUP(read_write)
{
	char buf[64];
	int fd = make("f");

	IS(read(fd, buf, 10), 0);
	IS(write(fd, "0123456789", 10), 10);
	IS(lseek(fd, 0, SEEK_CUR), 10);
	IS(read(fd, buf, 10), 0);
	IS(pread(fd, buf, 10, 0), 10);
	T(memcmp(buf, "0123456789", 10) == 0);
	IS(pread(fd, buf, 10, 5), 5);
	T(memcmp(buf, "56789", 5) == 0);
	IS(pread(fd, buf, 10, 10), 0);
	IS(pread(fd, buf, 10, 1000000), 0);
	IS(pread(fd, buf, 0, 0), 0);
	IS(pwrite(fd, buf, 0, 100), 0);
	IS(size_of(fd), 10);
	IS(pwrite(fd, "ab", 2, 4), 2);
	IS(pread(fd, buf, 10, 0), 10);
	T(memcmp(buf, "0123ab6789", 10) == 0);
	IS(pwrite(fd, "end", 3, 9), 3);
	IS(size_of(fd), 12);
	ERR(EINVAL, pread(fd, buf, 1, -1));
	ERR(EINVAL, pwrite(fd, buf, 1, -1));
	struct iovec iov[3] = {{buf, 1}, {buf + 1, 4}, {buf + 5, 20}};
	IS(preadv(fd, iov, 3, 0), 12);
	T(memcmp(buf, "0123ab678end", 12) == 0);
	IS(pwritev(fd, iov, 2, 12), 5);
	IS(size_of(fd), 17);
	IS(lseek(fd, -2, SEEK_END), 15);
	ERR(EINVAL, lseek(fd, -1, SEEK_SET));
	IS(lseek(fd, 1000, SEEK_SET), 1000);
	IS(read(fd, buf, 1), 0);
	IS(write(fd, "x", 1), 1);
	IS(size_of(fd), 1001);
	T(all(fd, 17, 983, 0));
	close(fd);
}

GROUP(past_the_end)
{
	int fd = make("f");

	IS(pwrite(fd, "x", 1, 10000), 1);
	IS(size_of(fd), 10001);
	T(all(fd, 0, 10000, 0));
	IS(pwrite(fd, "y", 1, 5000000), 1);
	T(all(fd, 10001, 100000, 0));
	T(all(fd, 4990000, 10000, 0));
	T(all(fd, 5000000, 1, 'y'));
	IS(pwrite(fd, "z", 1, (off_t)1 << 40), 1);
	IS(size_of(fd), ((off_t)1 << 40) + 1);
	T(all(fd, (off_t)1 << 39, 8192, 0));
	T(all(fd, (off_t)1 << 40, 1, 'z'));
	T(blocks_of(fd) <= 64);
	OK(ftruncate(fd, 0));
	IS(blocks_of(fd), 0);
	close(fd);
}

GROUP(truncate)
{
	int fd = make("f");

	T(fill(fd, 0, 20000, 'a'));
	OK(ftruncate(fd, 5000));
	IS(size_of(fd), 5000);
	OK(ftruncate(fd, 20000));
	IS(size_of(fd), 20000);
	T(all(fd, 0, 5000, 'a'));
	T(all(fd, 5000, 15000, 0));
	OK(truncate("f", 4096));
	OK(truncate("f", 4097));
	T(all(fd, 4096, 1, 0));
	OK(truncate("f", 0));
	OK(truncate("f", 3));
	T(all(fd, 0, 3, 0));
	ERR(EINVAL, ftruncate(fd, -1));
	ERR(EINVAL, truncate("f", -1));
	ERR(ENOENT, truncate("no", 0));
	OK(mkdir("d", 0755));
	ERR(EISDIR, truncate("d", 0));
	ERR(ENOTDIR, truncate("f/x", 0));
	close(fd);
	OK(fd = open("f", O_RDONLY));
	ERR(EINVAL, ftruncate(fd, 1));
	close(fd);
	fd = make("g");
	T(fill(fd, 0, 300000, 'b'));
	OK(ftruncate(fd, 100001));
	OK(ftruncate(fd, 300000));
	T(all(fd, 0, 100001, 'b'));
	T(all(fd, 100001, 199999, 0));
	OK(fd = open("g", O_RDWR | O_TRUNC));
	IS(size_of(fd), 0);
	IS(blocks_of(fd), 0);
	close(fd);
}

GROUP(large)
{
	enum {
		MB = 1 << 20
	};
	unsigned char *buf = malloc(4 * MB), *got = malloc(4 * MB);
	int fd = make("f");

	for (int i = 0; i < 4 * MB; i++)
		buf[i] = (unsigned char)(i * 7 + (i >> 12));
	IS(pwrite(fd, buf, 4 * MB, 0), 4 * MB);
	IS(pread(fd, got, 4 * MB, 0), 4 * MB);
	T(memcmp(buf, got, 4 * MB) == 0);
	IS(pwrite(fd, buf + 13, MB, 77777), MB);
	IS(pread(fd, got, MB, 77777), MB);
	T(memcmp(buf + 13, got, MB) == 0);
	IS(pread(fd, got, 4 * MB, MB), 3 * MB);
	T(blocks_of(fd) >= 4 * MB / 512);
	OK(fsync(fd));
	OK(fdatasync(fd));
	/* A second opening sees the same. */
	int fd2 = open("f", O_RDONLY);
	IS(pread(fd2, got, MB, 77777), MB);
	T(memcmp(buf + 13, got, MB) == 0);
	close(fd2);
	close(fd);
	free(buf);
	free(got);
}

GROUP(append)
{
	int a = make("f"), b;

	OK(b = open("f", O_WRONLY | O_APPEND));
	IS(pwrite(a, "12345", 5, 0), 5);
	IS(write(b, "6", 1), 1);
	IS(pwrite(a, "7", 1, 6), 1);
	IS(write(b, "8", 1), 1);
	T(l_holds("f", "12345678"));
	/* Linux appends even where pwrite names a position. */
	IS(pwrite(b, "9", 1, 0), 1);
	T(l_holds("f", "123456789"));
	OK(ftruncate(a, 2));
	IS(write(b, "x", 1), 1);
	T(l_holds("f", "12x"));
	close(a);
	close(b);
}

GROUP(sparse)
{
	int fd = make("f");
	const off_t mb = 1 << 20;

	OK(ftruncate(fd, 64 * mb));
	IS(blocks_of(fd), 0);
	IS(lseek(fd, 0, SEEK_HOLE), 0);
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	T(fill(fd, 32 * mb, 8192, 'd'));
	T(blocks_of(fd) >= 16 && blocks_of(fd) <= 128);
	IS(lseek(fd, 0, SEEK_DATA), 32 * mb);
	IS(lseek(fd, 32 * mb, SEEK_DATA), 32 * mb);
	IS(lseek(fd, 32 * mb + 100, SEEK_DATA), 32 * mb + 100);
	IS(lseek(fd, 32 * mb, SEEK_HOLE), 32 * mb + 8192);
	IS(lseek(fd, 0, SEEK_HOLE), 0);
	ERR(ENXIO, lseek(fd, 32 * mb + 8192, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 64 * mb, SEEK_HOLE));
	ERR(ENXIO, lseek(fd, 64 * mb, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 65 * mb, SEEK_HOLE));
	T(fill(fd, 64 * mb - 4096, 4096, 'e'));
	IS(lseek(fd, 64 * mb - 4096, SEEK_HOLE), 64 * mb);
	IS(lseek(fd, 33 * mb, SEEK_DATA), 64 * mb - 4096);
	ERR(EINVAL, lseek(fd, 0, 99));
	close(fd);
	fd = make("small");
	IS(write(fd, "x", 1), 1);
	IS(lseek(fd, 0, SEEK_DATA), 0);
	IS(lseek(fd, 0, SEEK_HOLE), 1);
	ERR(ENXIO, lseek(fd, 1, SEEK_DATA));
	close(fd);
	fd = make("empty");
	ERR(ENXIO, lseek(fd, 0, SEEK_HOLE));
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	close(fd);
}

GROUP(fallocate)
{
	int fd = make("f"), r;

	OK(fallocate(fd, 0, 0, 10000));
	IS(size_of(fd), 10000);
	T(all(fd, 0, 10000, 0));
	T(blocks_of(fd) >= 10000 / 512);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	IS(size_of(fd), 10000);
	T(fill(fd, 0, 10000, 'a'));
	OK(fallocate(fd, 0, 5000, 1000));
	IS(size_of(fd), 10000);
	T(all(fd, 0, 10000, 'a'));
	OK(fallocate(fd, 0, 9000, 3000));
	IS(size_of(fd), 12000);
	T(all(fd, 9000, 1000, 'a'));
	T(all(fd, 10000, 2000, 0));
	ERR(EINVAL, fallocate(fd, 0, 0, 0));
	ERR(EINVAL, fallocate(fd, 0, -1, 10));
	ERR(EINVAL, fallocate(fd, 0, 0, -10));
	ERR(EOPNOTSUPP, fallocate(fd, 1 << 20, 0, 10));
	ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	close(fd);
	OK(r = open("f", O_RDONLY));
	ERR(EBADF, fallocate(r, 0, 0, 10));
	close(r);
}

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

GROUP(punch)
{
	int fd = make("f");
	long long before;

	T(fill(fd, 0, 1 << 20, 'p'));
	before = blocks_of(fd);
	OK(fallocate(fd, PUNCH, 65536, 131072));
	IS(size_of(fd), 1 << 20);
	T(all(fd, 0, 65536, 'p'));
	T(all(fd, 65536, 131072, 0));
	T(all(fd, 196608, (1 << 20) - 196608, 'p'));
	T(blocks_of(fd) <= before - 256 + 16);
	IS(lseek(fd, 0, SEEK_HOLE), 65536);
	IS(lseek(fd, 65536, SEEK_DATA), 196608);
	/* Not on block boundaries. */
	OK(fallocate(fd, PUNCH, 1000, 10));
	T(all(fd, 0, 1000, 'p'));
	T(all(fd, 1000, 10, 0));
	T(all(fd, 1010, 3000, 'p'));
	OK(fallocate(fd, PUNCH, 300001, 20000));
	T(all(fd, 299000, 1001, 'p'));
	T(all(fd, 300001, 20000, 0));
	T(all(fd, 320001, 1000, 'p'));
	/* Over the end and past it. */
	OK(fallocate(fd, PUNCH, (1 << 20) - 100, 10000));
	IS(size_of(fd), 1 << 20);
	T(all(fd, (1 << 20) - 100, 100, 0));
	OK(fallocate(fd, PUNCH, 2 << 20, 10000));
	IS(size_of(fd), 1 << 20);
	T(fill(fd, 65536, 4096, 'q'));
	T(all(fd, 65536, 4096, 'q'));
	T(all(fd, 69632, 4096, 0));
	close(fd);
}

GROUP(zero_range)
{
	int fd = make("f");

	T(fill(fd, 0, 40000, 'z'));
	TAG("zero-range");
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5000, 20000));
	T(all(fd, 0, 5000, 'z'));
	T(all(fd, 5000, 20000, 0));
	T(all(fd, 25000, 15000, 'z'));
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 39000, 5000));
	IS(size_of(fd), 40000);
	T(all(fd, 39000, 1000, 0));
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 39000, 5000));
	IS(size_of(fd), 44000);
	T(all(fd, 39000, 5000, 0));
	TAG(NULL);
	close(fd);
}

GROUP(mmap)
{
	int fd = make("f");
	char *p, *q;

	T(fill(fd, 0, 20000, 'm'));
	p = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T(p != MAP_FAILED);
	if (p == MAP_FAILED)
		return;
	T(p[0] == 'm' && p[19999] == 'm');
	memset(p + 4000, 'w', 5000);
	OK(msync(p, 20000, MS_SYNC));
	T(all(fd, 4000, 5000, 'w'));
	T(all(fd, 9000, 11000, 'm'));
	IS(pwrite(fd, "WW", 2, 12000), 2);
	T(p[12000] == 'W' && p[12001] == 'W');
	/* The mapping outlives the descriptor. */
	close(fd);
	p[0] = '0';
	munmap(p, 20000);
	OK(fd = open("f", O_RDWR));
	T(all(fd, 0, 1, '0'));
	q = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	T(q != MAP_FAILED);
	if (q != MAP_FAILED) {
		q[1] = 'P';
		munmap(q, 20000);
	}
	T(all(fd, 1, 1, 'm'));
	/* And its name. */
	p = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T(p != MAP_FAILED);
	OK(unlink("f"));
	if (p != MAP_FAILED) {
		p[19999] = 'u';
		OK(msync(p, 20000, MS_SYNC));
		T(all(fd, 19999, 1, 'u'));
		munmap(p, 20000);
	}
	close(fd);
}

GROUP(two_openings)
{
	int a = make("f"), b, c;

	OK(b = open("f", O_RDWR));
	IS(pwrite(a, "first", 5, 0), 5);
	char buf[16];
	IS(pread(b, buf, 16, 0), 5);
	T(memcmp(buf, "first", 5) == 0);
	IS(pwrite(b, "F", 1, 0), 1);
	IS(pread(a, buf, 1, 0), 1);
	IS(buf[0], 'F');
	OK(ftruncate(b, 2));
	IS(pread(a, buf, 16, 0), 2);
	IS(size_of(a), 2);
	/* A copy of a descriptor shares the position. */
	OK(c = dup(a));
	IS(lseek(a, 1, SEEK_SET), 1);
	IS(read(c, buf, 1), 1);
	IS(lseek(a, 0, SEEK_CUR), 2);
	close(c);
	close(a);
	IS(pread(b, buf, 16, 0), 2);
	close(b);
	OK(b = open("f", O_RDWR | O_SYNC));
	IS(pwrite(b, "sync", 4, 0), 4);
	close(b);
	T(l_holds("f", "sync"));
}

GROUP(copying)
{
	static char got[20000];
	int in = make("in"), out = make("out");
	loff_t a = 100, b = 50;

	T(fill(in, 0, 20000, 'c'));
	IS(copy_file_range(in, &a, out, &b, 10000, 0), 10000);
	IS(a, 10100);
	IS(size_of(out), 10050);
	T(all(out, 0, 50, 0) && all(out, 50, 10000, 'c'));
	a = 20000;
	IS(copy_file_range(in, &a, out, &b, 10, 0), 0);
	int p[2];
	OK(pipe(p));
	a = 0;
	IS(splice(in, &a, p[1], NULL, 4096, 0), 4096);
	IS(read(p[0], got, sizeof(got)), 4096);
	T(got[0] == 'c' && got[4095] == 'c');
	IS(write(p[1], "piped", 5), 5);
	b = 0;
	IS(splice(p[0], NULL, out, &b, 5, 0), 5);
	IS(pread(out, got, 5, 0), 5);
	T(memcmp(got, "piped", 5) == 0);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

GROUP(statfs)
{
	struct statvfs a;
	int fd;

	OK(statvfs(".", &a));
	T(a.f_bsize > 0 && a.f_frsize > 0);
	IS(a.f_namemax, 255);
	T(a.f_blocks > 0 && a.f_bfree <= a.f_blocks && a.f_bavail <= a.f_bfree);
	T(a.f_files > 0 && a.f_ffree <= a.f_files);
	OK(fd = open(".", O_RDONLY | O_DIRECTORY));
	OK(fstatvfs(fd, &a));
	OK(fsync(fd));
	close(fd);
}
