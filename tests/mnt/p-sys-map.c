/*
 * System calls, part eight: mappings, direct and synchronous I/O, advice.
 */
#include "list-sys.h"

#include <setjmp.h>
#include <sys/sendfile.h>

static sigjmp_buf back;

static void
on_fault(int sig)
{
	siglongjmp(back, sig);
}

/* Touches a byte: 0, or the signal that it brings. */
static int
touch(volatile char *p, bool change)
{
	struct sigaction sa = {.sa_handler = on_fault}, bus, segv;
	int sig;

	sigaction(SIGBUS, &sa, &bus);
	sigaction(SIGSEGV, &sa, &segv);
	sig = sigsetjmp(back, 1);
	if (sig == 0) {
		if (change)
			*p = 't';
		else
			(void)*p;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return sig;
}

static void *
map(int fd, size_t len, int prot, int flags, off_t at)
{
	void *p = mmap(NULL, len, prot, flags, fd, at);

	return p == MAP_FAILED ? NULL : p;
}
#define RW      (PROT_READ | PROT_WRITE)
#define MAPS(p) ((p) ? 0 : -1)

GROUP(map_rights)
{
	static const struct {
		int how, prot, flags, err;
	} t[] = {{O_RDONLY, PROT_READ, MAP_SHARED, 0},
	    {O_RDONLY, PROT_READ, MAP_PRIVATE, 0}, {O_RDONLY, RW, MAP_SHARED, EACCES},
	    {O_RDONLY, PROT_WRITE, MAP_SHARED, EACCES}, {O_RDONLY, RW, MAP_PRIVATE, 0},
	    {O_WRONLY, PROT_READ, MAP_SHARED, EACCES},
	    {O_WRONLY, PROT_WRITE, MAP_SHARED, EACCES},
	    {O_WRONLY, PROT_READ, MAP_PRIVATE, EACCES}, {O_RDWR, RW, MAP_SHARED, 0},
	    {O_RDWR, RW, MAP_PRIVATE, 0}, {O_RDWR, PROT_NONE, MAP_SHARED, 0},
	    {O_WRONLY, PROT_NONE, MAP_SHARED, EACCES},
	    {O_RDWR | O_APPEND, RW, MAP_SHARED, 0},
	    {O_PATH, PROT_READ, MAP_SHARED, EBADF},
	    {O_RDONLY, PROT_READ | PROT_EXEC, MAP_SHARED, 0},
	    {O_RDONLY, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0}, {O_RDWR, RW, 0, EINVAL}};
	void *p;
	int fd;

	l_file("f", "some text");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		OK(fd = open("f", t[i].how));
		p = map(fd, 4096, t[i].prot, t[i].flags, 0);
		if (t[i].err)
			CASE_ERR(t[i].err, MAPS(p), "open %o, mapping %d of kind %d",
			    t[i].how, t[i].prot, t[i].flags);
		else
			CASE_OK(MAPS(p), "open %o, mapping %d of kind %d", t[i].how,
			    t[i].prot, t[i].flags);
		if (p)
			munmap(p, 4096);
		close(fd);
	}
	OK(fd = open("f", O_RDONLY));
	p = map(fd, 4096, PROT_READ, MAP_SHARED, 0);
	ERR(EACCES, mprotect(p, 4096, RW));
	IS(touch(p, true), SIGSEGV);
	IS(touch(p, false), 0);
	munmap(p, 4096);
	ERR(EINVAL, MAPS(map(fd, 0, PROT_READ, MAP_SHARED, 0)));
	ERR(EINVAL, MAPS(map(fd, 4096, PROT_READ, MAP_SHARED, 100)));
	ERR(EBADF, MAPS(map(999, 4096, PROT_READ, MAP_SHARED, 0)));
	close(fd);
	OK(mkdir("d", 0700));
	OK(fd = open("d", O_RDONLY | O_DIRECTORY));
	ERR(ENODEV, MAPS(map(fd, 4096, PROT_READ, MAP_SHARED, 0)));
	close(fd);
	OK(mkfifo("p", 0600));
	OK(fd = open("p", O_RDWR));
	ERR(ENODEV, MAPS(map(fd, 4096, RW, MAP_SHARED, 0)));
	close(fd);
}

GROUP(map_and_files)
{
	int fd = make("f"), ro;
	char *a, *b, *c, buf[16];

	T(fill(fd, 0, 20000, 'f'));
	a = map(fd, 20000, RW, MAP_SHARED, 0);
	b = map(fd, 4096, RW, MAP_SHARED, 4096);
	c = map(fd, 20000, RW, MAP_PRIVATE, 0);
	OK(ro = open("f", O_RDONLY));
	T(a && b && c);
	/* Two mappings, read and write: all see the same at once. */
	a[4096] = '1';
	IS(b[0], '1');
	b[1] = '2';
	IS(a[4097], '2');
	IS(pread(ro, buf, 2, 4096), 2);
	T(memcmp(buf, "12", 2) == 0);
	IS(pwrite(fd, "3", 1, 4098), 1);
	T(a[4098] == '3' && b[2] == '3');
	a[19999] = 'e';
	T(all(ro, 19999, 1, 'e'));
	/* What is private stays so; until it is written it is the file's. */
	IS(c[4098], '3');
	c[0] = 'p';
	T(a[0] == 'f' && all(ro, 0, 1, 'f'));
	IS(pwrite(fd, "w", 1, 1), 1);
	IS(c[0], 'p');
	OK(msync(c, 20000, MS_SYNC));
	T(all(ro, 0, 1, 'f'));
	OK(msync(a, 20000, MS_SYNC));
	OK(msync(a, 20000, MS_ASYNC));
	OK(msync(b, 4096, MS_SYNC | MS_INVALIDATE));
	ERR(EINVAL, msync(a, 4096, MS_SYNC | MS_ASYNC));
	ERR(EINVAL, msync(a + 1, 4096, MS_SYNC));
	ERR(EINVAL, msync(a, 4096, 0x80));
	munmap(b, 4096);
	ERR(ENOMEM, msync(b, 4096, MS_SYNC));
	/* Neither a rename nor an unlink nor a close cuts it off. */
	OK(rename("f", "g"));
	a[10] = 'r';
	T(all(ro, 10, 1, 'r'));
	close(fd);
	OK(unlink("g"));
	a[11] = 'u';
	T(all(ro, 11, 1, 'u'));
	OK(msync(a, 20000, MS_SYNC));
	munmap(a, 20000);
	munmap(c, 20000);
	T(all(ro, 10, 1, 'r') && all(ro, 11, 1, 'u') && all(ro, 12, 1000, 'f'));
	close(ro);
}

/* Large, and written back by the unmapping alone. */
GROUP(map_large)
{
	int fd = make("big");
	char *a, buf[16];

	OK(ftruncate(fd, 8 << 20));
	a = map(fd, 8 << 20, RW, MAP_SHARED, 0);
	T(a != NULL);
	for (size_t i = 0; a && i < 8 << 20; i += 4096)
		a[i] = (char)(i >> 12);
	munmap(a, 8 << 20);
	close(fd);
	OK(fd = open("big", O_RDONLY));
	bool same = true;
	for (int i = 0; i < 2048; i++)
		same &= pread(fd, buf, 1, (off_t)i << 12) == 1 && buf[0] == (char)i;
	T(same);
	close(fd);
}

GROUP(map_ends)
{
	int fd = make("f");
	char *p, *q;

	T(fill(fd, 0, 5000, 'x'));
	p = map(fd, 4 * 4096, RW, MAP_SHARED, 0);
	q = map(fd, 4 * 4096, RW, MAP_PRIVATE, 0);
	T(p && q);
	/* The rest of the last page is zero, what lies behind it is nowhere. */
	T(p[4999] == 'x' && p[5000] == 0 && p[8191] == 0);
	IS(touch(p + 8191, false), 0);
	IS(touch(p + 8192, false), SIGBUS);
	IS(touch(p + 8192, true), SIGBUS);
	IS(touch(q + 8192, false), SIGBUS);
	IS(touch(q + 8192, true), SIGBUS);
	IS(touch(p + 4 * 4096 - 1, false), SIGBUS);
	/* What is written behind the end does not come into the file. */
	p[6000] = 'z';
	OK(msync(p, 8192, MS_SYNC));
	IS(f_stat(fd).st_size, 5000);
	OK(ftruncate(fd, 7000));
	/* tmpfs forgets to clear it. */
	TAG("mapped-tail");
	T(all(fd, 5000, 2000, 0));
	IS(p[6000], 0);
	TAG(NULL);
	/* The end moves. */
	OK(ftruncate(fd, 9000));
	IS(touch(p + 8192, true), 0);
	T(all(fd, 8192, 1, 't'));
	IS(touch(p + 12288, false), SIGBUS);
	OK(fallocate(fd, 0, 0, 16384));
	IS(touch(p + 12288, false), 0);
	IS(p[16383], 0);
	OK(ftruncate(fd, 100));
	IS(touch(p + 4096, false), SIGBUS);
	IS(touch(p + 8192, true), SIGBUS);
	IS(p[99], 'x');
	IS(p[100], 0);
	OK(ftruncate(fd, 16384));
	T(p[100] == 0 && p[4999] == 0 && p[8192] == 0 && all(fd, 100, 16284, 0));
	IS(pwrite(fd, "w", 1, 9999), 1);
	IS(p[9999], 'w');
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
	IS(p[9999], 0);
	p[9999] = 'n';
	T(all(fd, 9999, 1, 'n'));
	OK(close(open("f", O_WRONLY | O_TRUNC)));
	IS(touch(p, false), SIGBUS);
	IS(touch(p, true), SIGBUS);
	IS(f_stat(fd).st_size, 0);
	munmap(p, 4 * 4096);
	munmap(q, 4 * 4096);
	close(fd);
}

/* An empty file can be mapped, and a mapping can begin behind the end. */
GROUP(map_behind)
{
	int fd = make("f");
	char *p;

	p = map(fd, 4096, RW, MAP_SHARED, 1 << 20);
	T(p != NULL);
	IS(touch(p, false), SIGBUS);
	OK(ftruncate(fd, (1 << 20) + 10));
	IS(touch(p, true), 0);
	T(all(fd, 1 << 20, 1, 't') && all(fd, (1 << 20) + 1, 9, 0));
	munmap(p, 4096);
	close(fd);
}

/* A write to a mapping is a change of the file like any other. */
GROUP(map_times)
{
	int fd = make("f"), status;
	struct stat was;
	char *p;
	pid_t pid;

	T(fill(fd, 0, 8192, 'x'));
	OK(fsync(fd));
	was = f_stat(fd);
	p = map(fd, 8192, RW, MAP_SHARED, 0);
	T(p != NULL);
	if (!p)
		return;
	tick();
	p[0] = 'y';
	OK(msync(p, 8192, MS_SYNC));
	T(t_cmp(f_stat(fd).st_mtim, was.st_mtim) > 0);
	T(t_cmp(f_stat(fd).st_ctim, was.st_ctim) > 0);
	IS(f_stat(fd).st_size, 8192);
	/* A child has it as well. */
	if ((pid = fork()) == 0) {
		p[1] = 'c';
		_exit(p[0] == 'y' ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	IS(status, 0);
	IS(p[1], 'c');
	T(all(fd, 1, 1, 'c'));
	munmap(p, 8192);
	/* To its own mapping a file can be written, and read into it. */
	p = map(fd, 8192, RW, MAP_SHARED, 0);
	if (!p)
		return;
	IS(pwrite(fd, p, 4096, 4096), 4096);
	T(p[4096] == 'y' && p[4097] == 'c' && p[4098] == 'x');
	p[100] = 'r';
	IS(pread(fd, p + 4096, 4096, 0), 4096);
	T(p[4196] == 'r' && all(fd, 4196, 1, 'r'));
	munmap(p, 8192);
	close(fd);
}

/* An executable runs, and is busy while it does. */
GROUP(map_exec)
{
	int fd, in, p[2], q[2], status;
	char c = 0;
	pid_t pid;

	OK(in = open("/bin/cat", O_RDONLY));
	OK(fd = open("prog", O_CREAT | O_WRONLY, 0755));
	while (sendfile(fd, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(fd);
	OK(fd = open("prog", O_RDONLY));
	char *m = map(fd, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0);
	T(m && memcmp(m, "\177ELF", 4) == 0);
	munmap(m, 4096);
	close(fd);
	OK(pipe(p));
	OK(pipe(q));
	if ((pid = fork()) == 0) {
		dup2(p[0], 0);
		dup2(q[1], 1);
		close_range(3, ~0u, 0);
		execl("./prog", "prog", (char *)NULL);
		_exit(99);
	}
	close(p[0]);
	close(q[1]);
	/* When the first byte comes out, it runs. */
	OK(write(p[1], "1", 1));
	IS(read(q[0], &c, 1), 1);
	ERR(ETXTBSY, open("prog", O_WRONLY));
	ERR(ETXTBSY, truncate("prog", 0));
	OK(chmod("prog", 0700));
	OK(rename("prog", "moved"));
	OK(unlink("moved"));
	OK(write(p[1], "2", 1));
	IS(read(q[0], &c, 1), 1);
	IS(c, '2');
	close(p[1]);
	close(q[0]);
	waitpid(pid, &status, 0);
	IS(status, 0);
	/* Without an x anywhere there is no running it. */
	l_file("script", "#!/bin/sh\nexit 7\n");
	if ((pid = fork()) == 0) {
		execl("./script", "script", (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	IS(WEXITSTATUS(status), EACCES);
	OK(chmod("script", 0755));
	if ((pid = fork()) == 0) {
		execl("./script", "script", (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	IS(WEXITSTATUS(status), 7);
}

/* Aligned to whatever a disk may ask for. */
#define BLOCK 4096
GROUP(direct)
{
	int fd, b = make("f");
	char *buf = aligned_alloc(BLOCK, 16 * BLOCK);
	char *m;

	OK(fd = open("f", O_RDWR | O_DIRECT));
	IS(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
	memset(buf, 'd', 16 * BLOCK);
	IS(pwrite(fd, buf, 16 * BLOCK, 0), 16 * BLOCK);
	IS(f_stat(b).st_size, 16 * BLOCK);
	T(all(b, 0, 16 * BLOCK, 'd'));
	/* What has been written through the cache is read past it, and the other way. */
	T(fill(b, BLOCK, BLOCK, 'b'));
	IS(pread(fd, buf, BLOCK, BLOCK), BLOCK);
	T(buf[0] == 'b' && buf[BLOCK - 1] == 'b');
	memset(buf, 'e', BLOCK);
	IS(pwrite(fd, buf, BLOCK, BLOCK), BLOCK);
	T(all(b, BLOCK, BLOCK, 'e') && all(b, 2 * BLOCK, BLOCK, 'd'));
	m = map(b, 16 * BLOCK, RW, MAP_SHARED, 0);
	T(m != NULL);
	m[3 * BLOCK] = 'm';
	IS(pread(fd, buf, BLOCK, 3 * BLOCK), BLOCK);
	T(buf[0] == 'm' && buf[1] == 'd');
	memset(buf, 'n', BLOCK);
	IS(pwrite(fd, buf, BLOCK, 3 * BLOCK), BLOCK);
	IS(m[3 * BLOCK], 'n');
	munmap(m, 16 * BLOCK);
	/* At the end, and behind it. */
	OK(ftruncate(b, 10 * BLOCK + 100));
	IS(pread(fd, buf, 2 * BLOCK, 10 * BLOCK), 100);
	IS(pread(fd, buf, BLOCK, 20 * BLOCK), 0);
	IS(pwrite(fd, buf, BLOCK, 20 * BLOCK), BLOCK);
	IS(f_stat(b).st_size, 21 * BLOCK);
	T(all(b, 10 * BLOCK + 100, 10 * BLOCK - 100, 0) && all(b, 20 * BLOCK, 1, 'd'));
	/* By position and appending. */
	OK(lseek(fd, 0, SEEK_SET));
	IS(read(fd, buf, BLOCK), BLOCK);
	IS(lseek(fd, 0, SEEK_CUR), BLOCK);
	OK(fcntl(fd, F_SETFL, O_DIRECT | O_APPEND));
	memset(buf, 'a', BLOCK);
	IS(write(fd, buf, BLOCK), BLOCK);
	IS(f_stat(b).st_size, 22 * BLOCK);
	T(all(b, 21 * BLOCK, BLOCK, 'a'));
	/* It can be turned off and on. */
	OK(fcntl(fd, F_SETFL, 0));
	IS(pwrite(fd, "odd", 3, 7), 3);
	OK(fcntl(fd, F_SETFL, O_DIRECT));
	IS(pread(fd, buf, BLOCK, 0), BLOCK);
	T(memcmp(buf + 7, "odd", 3) == 0);
	OK(fsync(fd));
	close(fd);
	close(b);
	free(buf);
}

GROUP(direct_new)
{
	char *buf = aligned_alloc(BLOCK, BLOCK);
	int fd;

	memset(buf, 'n', BLOCK);
	OK(fd = open("g", O_CREAT | O_RDWR | O_DIRECT, 0600));
	IS(pwrite(fd, buf, BLOCK, BLOCK), BLOCK);
	OK(unlink("g"));
	IS(pread(fd, buf, BLOCK, 0), BLOCK);
	IS(buf[0], 0);
	close(fd);
	l_file("f", "something");
	OK(fd = open("f", O_RDWR | O_DIRECT | O_TRUNC));
	IS(pread(fd, buf, BLOCK, 0), 0);
	close(fd);
	free(buf);
}

GROUP(synchronous)
{
	static const int how[] = {O_SYNC, O_DSYNC, O_SYNC | O_APPEND, O_DSYNC | O_DIRECT};
	char *buf = aligned_alloc(BLOCK, BLOCK);
	int fd, d, p[2];

	memset(buf, 's', BLOCK);
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		CASE_OK(fd = open("f", O_CREAT | O_TRUNC | O_RDWR | how[i], 0600),
		    "open %o", how[i]);
		CASE_IS(fcntl(fd, F_GETFL) & how[i], how[i], "flags %o", how[i]);
		CASE_IS(write(fd, buf, BLOCK), BLOCK, "write %o", how[i]);
		CASE_IS(pwrite(fd, buf, BLOCK, BLOCK), BLOCK, "pwrite %o", how[i]);
		CASE_OK(ftruncate(fd, 3 * BLOCK), "truncate %o", how[i]);
		CASE_OK(fsync(fd), "fsync %o", how[i]);
		CASE_IS(pread(fd, buf, BLOCK, BLOCK), BLOCK, "pread %o", how[i]);
		CASE_IS(buf[BLOCK - 1], 's', "contents %o", how[i]);
		close(fd);
	}
	OK(fd = open("f", O_RDWR));
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(syncfs(fd));
	OK(sync_file_range(fd, 0, 100, SYNC_FILE_RANGE_WRITE));
	OK(sync_file_range(fd, 0, 0,
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
		SYNC_FILE_RANGE_WAIT_AFTER));
	OK(sync_file_range(fd, 1 << 30, 100, SYNC_FILE_RANGE_WRITE));
	ERR(EINVAL, sync_file_range(fd, -1, 100, SYNC_FILE_RANGE_WRITE));
	ERR(EINVAL, sync_file_range(fd, 0, -1, SYNC_FILE_RANGE_WRITE));
	ERR(EINVAL, sync_file_range(fd, 0, 1, 0x100));
	close(fd);
	/* To fsync it may be open in any way but one. */
	OK(fd = open("f", O_RDONLY));
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(syncfs(fd));
	close(fd);
	OK(fd = open("f", O_PATH));
	ERR(EBADF, fsync(fd));
	ERR(EBADF, fdatasync(fd));
	ERR(EBADF, syncfs(fd));
	close(fd);
	ERR(EBADF, fsync(fd));
	OK(mkdir("d", 0700));
	OK(d = open("d", O_RDONLY | O_DIRECTORY));
	OK(fsync(d));
	OK(fdatasync(d));
	OK(syncfs(d));
	close(d);
	OK(pipe(p));
	ERR(EINVAL, fsync(p[0]));
	ERR(ESPIPE, sync_file_range(p[0], 0, 0, 0));
	close(p[0]);
	close(p[1]);
	free(buf);
}

GROUP(advice)
{
	static const int advices[] = {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL,
	    POSIX_FADV_RANDOM, POSIX_FADV_NOREUSE, POSIX_FADV_WILLNEED,
	    POSIX_FADV_DONTNEED};
	int fd = make("f"), p[2];

	T(fill(fd, 0, 300000, 'a'));
	for (int i = 0; i < 6; i++) {
		CASE_IS(posix_fadvise(fd, 0, 0, advices[i]), 0, "advice %d", advices[i]);
		CASE_IS(posix_fadvise(fd, 1000, 5000, advices[i]), 0,
		    "advice %d for a part", advices[i]);
		CASE_IS(posix_fadvise(fd, 1 << 30, 5000, advices[i]), 0,
		    "advice %d behind the end", advices[i]);
		CASE(all(fd, 0, 300000, 'a'), "contents after advice %d", advices[i]);
	}
	IS(posix_fadvise(fd, 0, 0, 77), EINVAL);
	IS(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL);
	IS(posix_fadvise(999, 0, 0, POSIX_FADV_NORMAL), EBADF);
	OK(pipe(p));
	IS(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
	close(p[0]);
	close(p[1]);
	OK(fsync(fd));
	IS(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	OK(readahead(fd, 0, 300000));
	T(all(fd, 0, 300000, 'a'));
	OK(readahead(fd, 1 << 30, 10));
	close(fd);
	OK(fd = open("f", O_WRONLY));
	ERR(EBADF, readahead(fd, 0, 10));
	close(fd);
	/* Asked of a mapping. */
	OK(fd = open("f", O_RDWR));
	char *m = map(fd, 300000, RW, MAP_SHARED, 0);
	T(m != NULL);
	OK(madvise(m, 300000, MADV_WILLNEED));
	OK(madvise(m, 300000, MADV_SEQUENTIAL));
	m[5] = 'A';
	OK(madvise(m, 300000, MADV_DONTNEED));
	IS(m[5], 'A');
	OK(madvise(m + 4096 * 4, 4096 * 2, MADV_REMOVE));
	T(all(fd, 4096 * 4, 4096 * 2, 0) && all(fd, 4096 * 6, 4096, 'a'));
	IS(f_stat(fd).st_size, 300000);
	unsigned char in[100];
	OK(mincore(m, 300000, in));
	munmap(m, 300000);
	close(fd);
}
