/*
 * One open file, and what is asked of it, from the command line.
 *
 *	p-io FILE FLAGS OP...
 *
 * FLAGS are letters: r w (both: rw), a append, t truncate, c create, x exclusive, d direct,
 * n O_NOFOLLOW, D O_DIRECTORY, u from and to memory that is not aligned.  Each OP is a word with arguments behind colons; each
 * prints one line, its result or the name of the errno.  Numbers may end in K, M, G, T.
 *
 *	pread:OFF:LEN   pwrite:OFF:LEN:C   write:LEN:C   check:OFF:LEN:C (yes or no)
 *	size   end (SEEK_END)   data:OFF   hole:OFF   trunc:LEN   fsync   nlink
 *	alloc:MODE:OFF:LEN (the bits of fallocate)   chmod:OCTAL   utimes
 *	getsize   ssz   pbsz   flsbuf   discard:OFF:LEN   (ioctls of block devices)
 *	list (the entries of a directory, from its beginning)   flags (FS_IOC_GETFLAGS)
 *	rdlock:OFF:LEN   wrlock:OFF:LEN   (OFD locks, never waiting)
 *	waitlock:OFF:LEN   (as wrlock, waiting)
 *	plock:OFF:LEN   (a lock of the process, exclusive)
 *	wait:PATH (until it exists, at most 60 s)   touch:PATH   mksock:PATH
 *
 * The exit status is 0 if the file could be opened; what became of the OPs is in the text.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BUF = 4 << 20
};
static char *buf; /* aligned, for direct I/O, but with u */

struct args {
	char *text[4]; /* what is behind the colons; "" if nothing */
	long long n[4];
};

static long long
number(const char *s)
{
	char *end;
	long long v = strtoll(s, &end, 0);

	switch (*end) {
	case 'T':
		v *= 1024; /* fall through */
	case 'G':
		v *= 1024; /* fall through */
	case 'M':
		v *= 1024; /* fall through */
	case 'K':
		v *= 1024;
	}
	return v;
}

static void
say(const char *op, long long r)
{
	int err = errno;

	if (r < 0)
		printf("%s %s\n", op, strerrorname_np(err));
	else
		printf("%s %lld\n", op, r);
}

static const char *
check(int fd, long long off, long long len, int c)
{
	while (len > 0) {
		size_t want = len < BUF ? (size_t)len : BUF;
		ssize_t n = pread(fd, buf, want, off);
		if (n <= 0)
			return n < 0 ? strerrorname_np(errno) : "short";
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != (char)c)
				return "no";
		off += n;
		len -= n;
	}
	return "yes";
}

static long long
lock(int fd, int cmd, int type, long long off, long long len)
{
	struct flock fl = {.l_type = (short)type, .l_whence = SEEK_SET};

	fl.l_start = off;
	fl.l_len = len;
	return fcntl(fd, cmd, &fl);
}

static long long
wait_for(const char *path)
{
	for (int i = 0; i < 1200; i++) {
		if (access(path, F_OK) == 0)
			return 0;
		usleep(50000);
	}
	errno = ETIMEDOUT;
	return -1;
}

static long long
list(int fd)
{
	long long count = 0;
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	while ((n = getdents64(fd, buf, 32768)) > 0)
		for (ssize_t at = 0; at < n; count++)
			at += ((const struct dirent64 *)(buf + at))->d_reclen;
	return n < 0 ? n : count;
}

/* Block device ioctls.  False: op is none. */
static bool
run_ioctl(int fd, const char *op, const struct args *a)
{
	uint64_t u64 = 0, range[2] = {(uint64_t)a->n[0], (uint64_t)a->n[1]};
	int i = 0, r;

	if (strcmp(op, "getsize") == 0) {
		r = ioctl(fd, BLKGETSIZE64, &u64);
		say(op, r < 0 ? r : (long long)u64);
	} else if (strcmp(op, "ssz") == 0) {
		r = ioctl(fd, BLKSSZGET, &i);
		say(op, r < 0 ? r : i ? i : r);
	} else if (strcmp(op, "pbsz") == 0) {
		r = ioctl(fd, BLKPBSZGET, &i);
		say(op, r < 0 ? r : i ? i : r);
	} else if (strcmp(op, "flsbuf") == 0) {
		say(op, ioctl(fd, BLKFLSBUF, 0));
	} else if (strcmp(op, "discard") == 0) {
		say(op, ioctl(fd, BLKDISCARD, range));
	} else {
		return false;
	}
	return true;
}

static bool
run_data(int fd, const char *op, const struct args *a)
{
	if (strcmp(op, "pread") == 0) {
		say(op, pread(fd, buf, a->n[1] < BUF ? (size_t)a->n[1] : BUF, a->n[0]));
	} else if (strcmp(op, "pwrite") == 0) {
		memset(buf, a->text[2][0], BUF);
		say(op, pwrite(fd, buf, a->n[1] < BUF ? (size_t)a->n[1] : BUF, a->n[0]));
	} else if (strcmp(op, "write") == 0) {
		memset(buf, a->text[1][0], BUF);
		say(op, write(fd, buf, a->n[0] < BUF ? (size_t)a->n[0] : BUF));
	} else if (strcmp(op, "check") == 0) {
		printf("check %s\n", check(fd, a->n[0], a->n[1], a->text[2][0]));
	} else if (strcmp(op, "zero") == 0) {
		printf("zero %s\n", check(fd, a->n[0], a->n[1], 0));
	} else if (strcmp(op, "trunc") == 0) {
		say(op, ftruncate(fd, a->n[0]));
	} else if (strcmp(op, "alloc") == 0) {
		say(op, fallocate(fd, (int)a->n[0], a->n[1], a->n[2]));
	} else if (strcmp(op, "fsync") == 0) {
		say(op, fsync(fd));
	} else {
		return false;
	}
	return true;
}

static bool
run_other(int fd, const char *op, const struct args *a)
{
	struct stat st;
	int flags;

	if (strcmp(op, "list") == 0)
		say(op, list(fd));
	else if (strcmp(op, "flags") == 0)
		say(op, ioctl(fd, FS_IOC_GETFLAGS, &flags));
	else if (strcmp(op, "size") == 0)
		say(op, fstat(fd, &st) == 0 ? st.st_size : -1);
	else if (strcmp(op, "nlink") == 0)
		say(op, fstat(fd, &st) == 0 ? (long long)st.st_nlink : -1);
	else if (strcmp(op, "end") == 0)
		say(op, lseek(fd, 0, SEEK_END));
	else if (strcmp(op, "data") == 0)
		say(op, lseek(fd, a->n[0], SEEK_DATA));
	else if (strcmp(op, "hole") == 0)
		say(op, lseek(fd, a->n[0], SEEK_HOLE));
	else if (strcmp(op, "chmod") == 0)
		say(op, fchmod(fd, (mode_t)strtoul(a->text[0], NULL, 8)));
	else if (strcmp(op, "utimes") == 0)
		say(op, futimens(fd, NULL));
	else if (strcmp(op, "rdlock") == 0)
		say(op, lock(fd, F_OFD_SETLK, F_RDLCK, a->n[0], a->n[1]));
	else if (strcmp(op, "wrlock") == 0)
		say(op, lock(fd, F_OFD_SETLK, F_WRLCK, a->n[0], a->n[1]));
	else if (strcmp(op, "waitlock") == 0)
		say(op, lock(fd, F_OFD_SETLKW, F_WRLCK, a->n[0], a->n[1]));
	else if (strcmp(op, "plock") == 0)
		say(op, lock(fd, F_SETLK, F_WRLCK, a->n[0], a->n[1]));
	else if (strcmp(op, "mksock") == 0)
		say(op, mknod(a->text[0], S_IFSOCK | 0644, 0));
	else if (strcmp(op, "wait") == 0)
		say(op, wait_for(a->text[0]));
	else if (strcmp(op, "touch") == 0)
		say(op, close(open(a->text[0], O_CREAT | O_WRONLY, 0644)));
	else
		return false;
	return true;
}

static int
flags_of(const char *s)
{
	bool r = strchr(s, 'r') != NULL, w = strchr(s, 'w') != NULL;
	int f = r && w ? O_RDWR : w ? O_WRONLY : O_RDONLY;

	f |= strchr(s, 'a') ? O_APPEND : 0;
	f |= strchr(s, 't') ? O_TRUNC : 0;
	f |= strchr(s, 'c') ? O_CREAT : 0;
	f |= strchr(s, 'x') ? O_EXCL : 0;
	f |= strchr(s, 'd') ? O_DIRECT : 0;
	f |= strchr(s, 'n') ? O_NOFOLLOW : 0;
	f |= strchr(s, 'D') ? O_DIRECTORY : 0;
	return f;
}

int
main(int argc, char **argv)
{
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || posix_memalign((void **)&buf, 4096, BUF + 4096) != 0)
		return 2;
	if (strchr(argv[2], 'u'))
		buf += 16;
	fd = open(argv[1], flags_of(argv[2]), 0644);
	if (fd < 0) {
		printf("open %s\n", strerrorname_np(errno));
		return 1;
	}
	for (int i = 3; i < argc; i++) {
		struct args a = {{"", "", "", ""}, {0}};
		char *p = argv[i];

		for (int k = 0; k < 4 && (p = strchr(p, ':')); k++) {
			*p++ = '\0';
			a.text[k] = p;
		}
		for (int k = 0; k < 4; k++)
			a.n[k] = number(a.text[k]);
		if (!run_data(fd, argv[i], &a) && !run_ioctl(fd, argv[i], &a) &&
		    !run_other(fd, argv[i], &a)) {
			fprintf(stderr, "p-io: what is %s?\n", argv[i]);
			return 2;
		}
	}
	if (close(fd) != 0)
		say("close", -1);
	return 0;
}
