/*
 * System calls, part ten: files of 4 GiB and more (sparse), their ends and limits, holes,
 * and the modes of fallocate.
 */
#include "list-sys.h"

#include <sys/resource.h>

#define GiB (1ll << 30)

GROUP(big_writes)
{
	static const off_t at[] = {4 * GiB - 1, 4 * GiB, 4 * GiB + 1, 2 * GiB - 1,
	    2 * GiB, 8 * GiB - 3, 100 * GiB, 1024 * GiB + 7};
	int fd = make("f"), ro;
	off_t end = 0;
	char buf[8];

	OK(ro = open("f", O_RDONLY));
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		CASE_IS(pwrite(fd, "across", 6, at[i]), 6, "writing at %lld",
		    (long long)at[i]);
		if (at[i] + 6 > end)
			end = at[i] + 6;
		CASE_IS(f_stat(ro).st_size, end, "size after writing at %lld",
		    (long long)at[i]);
		CASE(pread(ro, buf, 6, at[i]) == 6 && memcmp(buf, "across", 6) == 0,
		    "reading at %lld", (long long)at[i]);
	}
	/* The three at 4 GiB lie over one another. */
	IS(pread(ro, buf, 8, 4 * GiB - 1), 8);
	T(memcmp(buf, "aaacross", 8) == 0);
	T(all(ro, 4 * GiB - 1000, 999, 0) && all(ro, 4 * GiB + 7, 1000, 0));
	T(all(ro, 0, 4096, 0) && all(ro, 3 * GiB, 4096, 0) && all(ro, 5 * GiB, 4096, 0));
	T(f_stat(fd).st_blocks < 2048);
	/* By position. */
	IS(lseek(fd, 0, SEEK_END), 1024 * GiB + 13);
	IS(lseek(fd, 5 * GiB, SEEK_SET), 5 * GiB);
	IS(write(fd, "here", 4), 4);
	IS(lseek(fd, 0, SEEK_CUR), 5 * GiB + 4);
	IS(lseek(fd, -8, SEEK_CUR), 5 * GiB - 4);
	IS(read(fd, buf, 8), 8);
	T(memcmp(buf, "\0\0\0\0here", 8) == 0);
	IS(pread(ro, buf, 8, 1024 * GiB + 13), 0);
	IS(pread(ro, buf, 8, 2048 * GiB), 0);
	OK(fcntl(fd, F_SETFL, O_APPEND));
	IS(write(fd, "app", 3), 3);
	IS(f_stat(fd).st_size, 1024 * GiB + 16);
	/* A page of it in memory. */
	char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * GiB);
	T(m != MAP_FAILED);
	T(memcmp(m, "aacross", 7) == 0);
	m[100] = 'm';
	OK(msync(m, 4096, MS_SYNC));
	munmap(m, 4096);
	T(all(ro, 4 * GiB + 100, 1, 'm'));
	close(fd);
	close(ro);
}

GROUP(big_truncate)
{
	static const off_t sizes[] = {
	    4 * GiB - 1, 4 * GiB, 4 * GiB + 1, 2 * GiB, 8 * GiB, 6 * GiB + 1, 1 << 20, 0};
	int fd = make("f");
	loff_t a, b;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CASE_OK(truncate("f", sizes[i]), "truncate to %lld", (long long)sizes[i]);
		CASE_IS(f_stat(fd).st_size, sizes[i], "size %lld", (long long)sizes[i]);
		CASE_IS(
		    lseek(fd, 0, SEEK_END), sizes[i], "end of %lld", (long long)sizes[i]);
	}
	T(fill(fd, 4 * GiB - 4096, 8192, 'x'));
	OK(ftruncate(fd, 4 * GiB - 1));
	OK(ftruncate(fd, 5 * GiB));
	T(all(fd, 4 * GiB - 4096, 4095, 'x') && all(fd, 4 * GiB - 1, 4097, 0));
	OK(fallocate(fd, 0, 6 * GiB, 10000));
	IS(f_stat(fd).st_size, 6 * GiB + 10000);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 7 * GiB, 10000));
	IS(f_stat(fd).st_size, 6 * GiB + 10000);
	T(fill(fd, 4 * GiB - 8192, 16384, 'y'));
	OK(fallocate(
	    fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * GiB - 4096, 8192));
	T(all(fd, 4 * GiB - 8192, 4096, 'y') && all(fd, 4 * GiB - 4096, 8192, 0) &&
	    all(fd, 4 * GiB + 4096, 4096, 'y'));
	/* Copied from far to far. */
	a = 4 * GiB + 4096;
	b = 9 * GiB - 1;
	IS(copy_file_range(fd, &a, fd, &b, 4096, 0), 4096);
	T(all(fd, 9 * GiB - 1, 4096, 'y'));
	IS(f_stat(fd).st_size, 9 * GiB + 4095);
	/* Locks know no size. */
	struct flock fl = {.l_type = F_WRLCK, .l_start = 1ll << 40, .l_len = 1ll << 40};
	OK(fcntl(fd, F_SETLK, &fl));
	close(fd);
}

GROUP(big_holes)
{
	int fd = make("f");

	T(fill(fd, 0, 4096, 'd'));
	T(fill(fd, 4 * GiB, 4096, 'd'));
	T(fill(fd, 6 * GiB, 4096, 'd'));
	OK(ftruncate(fd, 8 * GiB));
	OK(fsync(fd));
	IS(lseek(fd, 0, SEEK_DATA), 0);
	IS(lseek(fd, 0, SEEK_HOLE), 4096);
	IS(lseek(fd, 4096, SEEK_DATA), 4 * GiB);
	IS(lseek(fd, 4096, SEEK_HOLE), 4096);
	IS(lseek(fd, 100, SEEK_DATA), 100);
	IS(lseek(fd, 4 * GiB - 1, SEEK_DATA), 4 * GiB);
	IS(lseek(fd, 4 * GiB - 1, SEEK_HOLE), 4 * GiB - 1);
	IS(lseek(fd, 4 * GiB, SEEK_HOLE), 4 * GiB + 4096);
	IS(lseek(fd, 4 * GiB + 5000, SEEK_DATA), 6 * GiB);
	IS(lseek(fd, 6 * GiB + 4095, SEEK_HOLE), 6 * GiB + 4096);
	ERR(ENXIO, lseek(fd, 6 * GiB + 4096, SEEK_DATA));
	IS(lseek(fd, 7 * GiB, SEEK_HOLE), 7 * GiB);
	ERR(ENXIO, lseek(fd, 8 * GiB, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 8 * GiB, SEEK_HOLE));
	ERR(ENXIO, lseek(fd, 9 * GiB, SEEK_HOLE));
	ERR(ENXIO, lseek(fd, -1, SEEK_DATA));
	ERR(ENXIO, lseek(fd, -1, SEEK_HOLE));
	IS(lseek(fd, 8 * GiB - 1, SEEK_HOLE), 8 * GiB - 1);
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * GiB, 4096));
	IS(lseek(fd, 4096, SEEK_DATA), 6 * GiB);
	IS(f_stat(fd).st_size, 8 * GiB);
	/* The position is set to what is found, and stays where nothing is. */
	IS(lseek(fd, 0, SEEK_CUR), 6 * GiB);
	ERR(ENXIO, lseek(fd, 7 * GiB, SEEK_DATA));
	IS(lseek(fd, 0, SEEK_CUR), 6 * GiB);
	ERR(EINVAL, lseek(fd, 0, 9));
	ERR(EINVAL, lseek(fd, -1, SEEK_SET));
	ERR(EINVAL, lseek(fd, -7 * GiB, SEEK_CUR));
	ERR(EBADF, lseek(999, 0, SEEK_DATA));
	/* Data up to the end: there the hole is. */
	OK(ftruncate(fd, 4096));
	IS(lseek(fd, 0, SEEK_HOLE), 4096);
	ERR(ENXIO, lseek(fd, 4096, SEEK_HOLE));
	OK(ftruncate(fd, 0));
	ERR(ENXIO, lseek(fd, 0, SEEK_DATA));
	ERR(ENXIO, lseek(fd, 0, SEEK_HOLE));
	close(fd);
}

GROUP(size_limits)
{
	struct rlimit rl, was;
	int fd = make("f");
	char buf[8192];

	/* ext4 ends at 16 TiB with blocks of 4 KiB, tmpfs nowhere. */
	TAG("largest");
	OK(ftruncate(fd, INT64_MAX));
	IS(f_stat(fd).st_size, INT64_MAX);
	TAG(NULL);
	OK(ftruncate(fd, 16 * 1024 * GiB - 4096));
	IS(pwrite(fd, "end", 3, 16 * 1024 * GiB - 4096 - 3), 3);
	IS(f_stat(fd).st_size, 16 * 1024 * GiB - 4096);
	OK(ftruncate(fd, 0));
	ERR(EINVAL, ftruncate(fd, -1));
	ERR(EINVAL, pwrite(fd, "x", 1, -1));
	ERR(EINVAL, pread(fd, buf, 1, -1));
	T(pwrite(fd, "xy", 2, INT64_MAX) == -1 && (errno == EFBIG || errno == EINVAL));
	T(fallocate(fd, 0, INT64_MAX, 1) == -1 && errno == EFBIG);
	T(fallocate(fd, 0, INT64_MAX - 10, 100) == -1 && errno == EFBIG);
	IS(f_stat(fd).st_size, 0);
	/* That of the process: a signal, an error, and what fits before. */
	signal(SIGXFSZ, SIG_IGN);
	OK(getrlimit(RLIMIT_FSIZE, &was));
	rl = was;
	rl.rlim_cur = 5 * GiB;
	OK(setrlimit(RLIMIT_FSIZE, &rl));
	memset(buf, 'l', sizeof(buf));
	IS(pwrite(fd, buf, 8192, 5 * GiB - 4000), 4000);
	IS(f_stat(fd).st_size, 5 * GiB);
	ERR(EFBIG, pwrite(fd, buf, 1, 5 * GiB));
	ERR(EFBIG, pwrite(fd, buf, 1, 6 * GiB));
	ERR(EFBIG, ftruncate(fd, 5 * GiB + 1));
	ERR(EFBIG, truncate("f", 6 * GiB));
	ERR(EFBIG, fallocate(fd, 0, 5 * GiB, 1));
	OK(ftruncate(fd, 5 * GiB - 1));
	OK(ftruncate(fd, 5 * GiB));
	OK(pwrite(fd, buf, 10, 0));
	OK(setrlimit(RLIMIT_FSIZE, &was));
	OK(ftruncate(fd, 6 * GiB));
	OK(pwrite(fd, buf, 1, 6 * GiB));
	close(fd);
}

GROUP(fallocate_modes)
{
	static const struct {
		const char *tag;
		int mode;
		off_t at, len, size; /* of a file of 40960 bytes; afterwards */
		off_t zero, nzero;   /* what is zero then */
	} t[] = {
	    {NULL, 0, 0, 40960, 40960, 0, 0},
	    {NULL, 0, 0, 1, 40960, 0, 0},
	    {NULL, 0, 40000, 10000, 50000, 40960, 9040},
	    {NULL, 0, 100000, 1, 100001, 40960, 59041},
	    {NULL, FALLOC_FL_KEEP_SIZE, 40000, 10000, 40960, 0, 0},
	    {NULL, FALLOC_FL_KEEP_SIZE, 100000, 10000, 40960, 0, 0},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192, 40960, 4096,
		8192},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5, 10, 40960, 5, 10},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 9000, 40960, 4000,
		9000},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 40000, 90000, 40960, 40000,
		960},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 40960, 40960, 0, 40960},
	    {NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 50000, 1, 40960, 0, 0},
	    {"zero-range", FALLOC_FL_ZERO_RANGE, 10, 10000, 40960, 10, 10000},
	    {"zero-range", FALLOC_FL_ZERO_RANGE, 40000, 5000, 45000, 40000, 5000},
	    {"zero-range", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 40000, 5000, 40960,
		40000, 960},
	    {"collapse", FALLOC_FL_COLLAPSE_RANGE, 8192, 4096, 36864, 0, 0},
	    {"collapse", FALLOC_FL_INSERT_RANGE, 8192, 4096, 45056, 8192, 4096},
	};
	int fd;

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		off_t z = t[i].zero, n = t[i].nzero,
		      old = t[i].size < 40960 ? t[i].size : 40960;
		fd = make("f");
		CASE(fill(fd, 0, 40960, 'f'), "filling, case %zu", i);
		TAG(t[i].tag);
		CASE_OK(fallocate(fd, t[i].mode, t[i].at, t[i].len), "mode %x, %lld+%lld",
		    t[i].mode, (long long)t[i].at, (long long)t[i].len);
		CASE_IS(f_stat(fd).st_size, t[i].size, "size after mode %x, %lld+%lld",
		    t[i].mode, (long long)t[i].at, (long long)t[i].len);
		CASE(all(fd, z, (size_t)n, 0), "zeros after mode %x, %lld+%lld",
		    t[i].mode, (long long)t[i].at, (long long)t[i].len);
		CASE(all(fd, 0, (size_t)(n && z < old ? z : old), 'f'),
		    "kept before, mode %x, %lld+%lld", t[i].mode, (long long)t[i].at,
		    (long long)t[i].len);
		if (n && z + n < t[i].size)
			CASE(all(fd, z + n, (size_t)(t[i].size - z - n), 'f'),
			    "kept behind, mode %x, %lld+%lld", t[i].mode,
			    (long long)t[i].at, (long long)t[i].len);
		TAG(NULL);
		close(fd);
	}
}

GROUP(fallocate_errors)
{
	int fd = make("f"), x, p[2];
	struct stat was;

	T(fill(fd, 0, 8192, 'f'));
	was = f_stat(fd);
	tick();
	ERR(EINVAL, fallocate(fd, 0, 0, 0));
	ERR(EINVAL, fallocate(fd, 0, -1, 10));
	ERR(EINVAL, fallocate(fd, 0, 0, -1));
	ERR(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	ERR(EOPNOTSUPP, fallocate(fd, 0x8000, 0, 10));
	OK(x = open("f", O_RDONLY));
	ERR(EBADF, fallocate(x, 0, 0, 10));
	ERR(EBADF, fallocate(x, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10));
	close(x);
	OK(x = open("f", O_PATH));
	ERR(EBADF, fallocate(x, 0, 0, 10));
	close(x);
	ERR(EBADF, fallocate(999, 0, 0, 10));
	OK(pipe(p));
	ERR(ESPIPE, fallocate(p[1], 0, 0, 10));
	close(p[0]);
	close(p[1]);
	OK(mkfifo("p", 0600));
	OK(x = open("p", O_RDWR));
	ERR(ESPIPE, fallocate(x, 0, 0, 10));
	close(x);
	OK(mkdir("d", 0700));
	OK(x = open("d", O_RDONLY | O_DIRECTORY));
	ERR(EBADF, fallocate(x, 0, 0, 10));
	close(x);
	IS(f_stat(fd).st_size, 8192);
	T(t_cmp(f_stat(fd).st_mtim, was.st_mtim) == 0);
	T(all(fd, 0, 8192, 'f'));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10));
	T(t_cmp(f_stat(fd).st_ctim, was.st_ctim) > 0);
	T(t_cmp(f_stat(fd).st_mtim, was.st_mtim) > 0);
	/* Room that is there takes blocks; punched, it takes none. */
	OK(ftruncate(fd, 0));
	IS(f_stat(fd).st_blocks, 0);
	OK(fallocate(fd, 0, 0, 1 << 20));
	T(f_stat(fd).st_blocks >= 2048);
	T(all(fd, 0, 1 << 20, 0));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	OK(fsync(fd));
	T(f_stat(fd).st_blocks < 100);
	IS(posix_fallocate(fd, 0, 2 << 20), 0);
	IS(f_stat(fd).st_size, 2 << 20);
	IS(posix_fallocate(fd, 0, 0), EINVAL);
	close(fd);
	OK(fd = open("f", O_WRONLY | O_APPEND));
	OK(fallocate(fd, 0, 0, 3 << 20));
	IS(f_stat(fd).st_size, 3 << 20);
	close(fd);
}
