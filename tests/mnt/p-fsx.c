/*
 * A random reader and writer with a check of the contents, as fsx is: two files are read,
 * written, mapped, cut, extended, punched and copied in every way there is, and must hold at
 * any time what a picture of them in memory holds.
 *
 *	p-fsx [-s SEED] [-n OPERATIONS] [-l LENGTH] [-d] DIR
 *
 * -l: the files are never longer (512 KiB); -d: with O_DIRECT too.  What the file system
 * does not have (zero range, copy_file_range, O_DIRECT) is noted and left out.  At the first
 * difference the seed, the place and the last operations are printed; the same seed does
 * the same again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILES = 2,
	HISTORY = 60,
	SMALL = 64,
	BLOCK = 4096,
	WHOLE_EVERY = 500 /* operations between two looks at everything */
};

enum op {
	READ,
	WRITE,
	APPEND,
	MAP_READ,
	MAP_WRITE,
	KEPT_READ, /* through a mapping that stays */
	KEPT_WRITE,
	CUT,
	EXTEND,
	ALLOCATE,
	ALLOCATE_KEEP,
	PUNCH,
	ZERO,
	ZERO_KEEP,
	COPY,
	SYNC,
	MSYNC,
	FORGET, /* what the kernel has cached */
	REOPEN,
	DIRECT_READ,
	DIRECT_WRITE,
	NOPS
};

static const char *const names[NOPS] = {"read", "write", "append", "mapread", "mapwrite",
    "keptread", "keptwrite", "cut", "extend", "allocate", "allocate-keep", "punch",
    "zero", "zero-keep", "copy", "sync", "msync", "forget", "reopen", "direct-read",
    "direct-write"};

struct file {
	char path[4096];
	int fd, direct; /* direct: a second one with O_DIRECT, or -1 */
	uint8_t *good;  /* the picture: max bytes, zeros from size on */
	uint8_t *kept;  /* a shared mapping of max bytes */
	size_t size;
};

struct step {
	enum op op;
	unsigned file;
	size_t off, len, size; /* size: afterwards; of a copy, off is where to */
};

static struct file files[FILES];
static struct step history[HISTORY];
static unsigned long at, operations = 100000;
static size_t max = 512 << 10;
static uint64_t seed = 1, state;
static bool missing[NOPS], direct;
static unsigned long done[NOPS];
static uint8_t *buf; /* max + BLOCK bytes, aligned */

static uint64_t
rnd(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static size_t
below(size_t n)
{
	return n ? rnd() % n : 0;
}

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(
	    "\nseed %llu, operation %lu; the last ones:\n", (unsigned long long)seed, at);
	for (unsigned long i = at < HISTORY ? 0 : at - HISTORY + 1; i <= at; i++) {
		const struct step *s = &history[i % HISTORY];

		printf("%8lu %-13s file %u, 0x%zx to 0x%zx, size 0x%zx\n", i,
		    names[s->op], s->file, s->off, s->off + s->len, s->size);
	}
	exit(1);
}

/* What was got must be what is in the picture at off. */
static void
compare(const struct file *f, const uint8_t *got, size_t off, size_t len)
{
	size_t i = 0, n = 0, first;

	if (memcmp(got, f->good + off, len) == 0)
		return;
	while (got[i] == f->good[off + i])
		i++;
	first = i;
	for (; i < len; i++)
		n += got[i] != f->good[off + i];
	die("%s: %zu bytes differ, the first at 0x%zx: is 0x%02x, expected 0x%02x",
	    f->path, n, off + first, got[first], f->good[off + first]);
}

static void
check_size(const struct file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0 || (size_t)st.st_size != f->size)
		die("%s: size is 0x%llx, expected 0x%zx", f->path,
		    (unsigned long long)st.st_size, f->size);
}

static void
open_files(struct file *f)
{
	f->fd = open(f->path, O_RDWR | O_CREAT, 0644);
	if (f->fd < 0)
		die("open %s: %m", f->path);
	f->direct = direct ? open(f->path, O_RDWR | O_DIRECT) : -1;
	if (f->direct < 0)
		missing[DIRECT_READ] = missing[DIRECT_WRITE] = true;
	f->kept = mmap(NULL, max, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->kept == MAP_FAILED)
		die("mmap %s: %m", f->path);
}

static void
close_files(struct file *f)
{
	if (munmap(f->kept, max) != 0 || close(f->fd) != 0 ||
	    (f->direct >= 0 && close(f->direct) != 0))
		die("close %s: %m", f->path);
}

/* New bytes for the picture, and in buf. */
static void
invent(struct file *f, size_t off, size_t len)
{
	uint64_t x = rnd();

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(x >> (i & 7) * 8) + (uint8_t)(i >> 8);
	memcpy(f->good + off, buf, len);
	if (off + len > f->size)
		f->size = off + len;
}

static void
grown(struct file *f, size_t end)
{
	if (end > f->size)
		f->size = end;
}

static void
zeroed(struct file *f, size_t off, size_t len)
{
	if (off < f->size)
		memset(f->good + off, 0, len < f->size - off ? len : f->size - off);
}

static void
do_read(struct file *f, int fd, size_t off, size_t len)
{
	size_t want = off >= f->size ? 0 : len < f->size - off ? len : f->size - off;
	ssize_t n = pread(fd, buf, len, (off_t)off);

	if (n != (ssize_t)want)
		die("%s: read gives %zd, expected %zu: %m", f->path, n, want);
	compare(f, buf, off, want);
}

static void
do_write(struct file *f, int fd, size_t off, size_t len)
{
	ssize_t n;

	invent(f, off, len);
	n = pwrite(fd, buf, len, (off_t)off);
	if (n != (ssize_t)len)
		die("%s: write gives %zd, expected %zu: %m", f->path, n, len);
}

static void
do_append(struct file *f, size_t len)
{
	int fd = open(f->path, O_WRONLY | O_APPEND);
	ssize_t n;

	if (fd < 0)
		die("open %s: %m", f->path);
	invent(f, f->size, len);
	n = write(fd, buf, len);
	if (n != (ssize_t)len || close(fd) != 0)
		die("%s: append gives %zd, expected %zu: %m", f->path, n, len);
}

/* Inside the file only. */
static void
do_map(struct file *f, size_t off, size_t len, bool change, bool sync)
{
	size_t page = off & ~(size_t)(BLOCK - 1), n = off + len - page;
	uint8_t *p = mmap(NULL, n, PROT_READ | (change ? PROT_WRITE : 0), MAP_SHARED,
	    f->fd, (off_t)page);

	if (p == MAP_FAILED)
		die("mmap %s: %m", f->path);
	if (change) {
		invent(f, off, len);
		memcpy(p + off - page, buf, len);
		if (sync && msync(p, n, MS_SYNC) != 0)
			die("msync %s: %m", f->path);
	} else {
		compare(f, p + off - page, off, len);
	}
	munmap(p, n);
}

static void
do_truncate(struct file *f, size_t size, bool by_name)
{
	int r = by_name ? truncate(f->path, (off_t)size) : ftruncate(f->fd, (off_t)size);

	if (r != 0)
		die("truncate %s: %m", f->path);
	if (size < f->size)
		memset(f->good + size, 0, f->size - size);
	f->size = size;
}

/* False: there is no such operation here. */
static bool
do_fallocate(struct file *f, int mode, size_t off, size_t len)
{
	if (fallocate(f->fd, mode, (off_t)off, (off_t)len) == 0)
		return true;
	if (errno == EOPNOTSUPP)
		return false;
	die("fallocate %s: %m", f->path);
}

static bool
do_copy(struct file *from, size_t off, struct file *to, size_t to_off, size_t len)
{
	loff_t in = (loff_t)off, out = (loff_t)to_off;
	size_t left = len;

	while (left > 0) {
		ssize_t n = copy_file_range(from->fd, &in, to->fd, &out, left, 0);

		if (n < 0 && left == len && (errno == EOPNOTSUPP || errno == ENOSYS))
			return false;
		if (n <= 0)
			die("copy_file_range: %zd: %m", n);
		left -= (size_t)n;
	}
	memcpy(to->good + to_off, from->good + off, len);
	grown(to, to_off + len);
	return true;
}

static bool
change_ranges(struct file *f, enum op op, size_t off, size_t len)
{
	static const int modes[NOPS] = {
	    [ALLOCATE] = 0,
	    [ALLOCATE_KEEP] = FALLOC_FL_KEEP_SIZE,
	    [PUNCH] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    [ZERO] = FALLOC_FL_ZERO_RANGE,
	    [ZERO_KEEP] = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};

	if (!do_fallocate(f, modes[op], off, len))
		return false;
	if (op == PUNCH || op == ZERO || op == ZERO_KEEP)
		zeroed(f, off, len);
	if (op == ALLOCATE || op == ZERO)
		grown(f, off + len);
	return true;
}

/* Draws where a copy comes from; the file and the place must not overlap. */
static bool
draw_copy(struct file *to, size_t off, size_t *len)
{
	struct file *from = &files[below(FILES)];
	size_t src = below(from->size);

	if (*len > from->size - src)
		*len = from->size - src;
	if (*len == 0 || (from == to && src < off + *len && off < src + *len))
		return true;
	return do_copy(from, src, to, off, *len);
}

/* The kernel's own business: what is cached and when it is written. */
static void
settle(struct file *f, enum op op)
{
	int r = 0;

	switch (op) {
	case SYNC:
		r = below(2) ? fsync(f->fd) : fdatasync(f->fd);
		break;
	case MSYNC:
		r = msync(f->kept, max, below(2) ? MS_SYNC : MS_ASYNC);
		break;
	case FORGET:
		r = fsync(f->fd);
		posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
		break;
	default:
		close_files(f);
		open_files(f);
	}
	if (r != 0)
		die("%s %s: %m", names[op], f->path);
}

static bool
is_inside(enum op op)
{
	return op == MAP_READ || op == MAP_WRITE || op == KEPT_READ || op == KEPT_WRITE;
}

static void
draw_range(const struct file *f, enum op op, size_t *off, size_t *len)
{
	size_t limit = is_inside(op) ? f->size : max;
	size_t lens[] = {SMALL, SMALL, 2 * BLOCK, 2 * BLOCK, max / 16, max / 2};

	*off = below(limit);
	/* Near the end, where the interesting things are. */
	if (below(4) == 0 && f->size > SMALL && f->size - SMALL < limit)
		*off = f->size - SMALL + below(2 * SMALL);
	*len = 1 + below(lens[below(6)]);
	if (op == DIRECT_READ || op == DIRECT_WRITE || below(6) == 0) {
		*off &= ~(size_t)(BLOCK - 1);
		*len = (*len + BLOCK - 1) & ~(size_t)(BLOCK - 1);
	}
	if (*off > limit)
		*off = limit;
	if (*len > limit - *off)
		*len = limit - *off;
}

static bool
perform(struct file *f, enum op op, size_t off, size_t *len)
{
	switch (op) {
	case READ:
	case DIRECT_READ:
		do_read(f, op == READ ? f->fd : f->direct, off, *len);
		return true;
	case WRITE:
	case DIRECT_WRITE:
		do_write(f, op == WRITE ? f->fd : f->direct, off, *len);
		return true;
	case APPEND:
		*len = *len < max - f->size ? *len : max - f->size;
		do_append(f, *len);
		return true;
	case MAP_READ:
	case MAP_WRITE:
		do_map(f, off, *len, op == MAP_WRITE, below(2));
		return true;
	case KEPT_READ:
		compare(f, f->kept + off, off, *len);
		return true;
	case KEPT_WRITE:
		invent(f, off, *len);
		memcpy(f->kept + off, buf, *len);
		return true;
	case CUT:
		do_truncate(f, below(f->size + 1), below(2));
		return true;
	case EXTEND:
		do_truncate(f, f->size + below(max - f->size + 1), below(2));
		return true;
	case COPY:
		return draw_copy(f, off, len);
	case SYNC:
	case MSYNC:
	case FORGET:
	case REOPEN:
		settle(f, op);
		return true;
	default:
		return change_ranges(f, op, off, *len);
	}
}

static void
one(void)
{
	struct file *f = &files[below(FILES)];
	enum op op = (enum op)below(NOPS);
	size_t off, len;

	/* Long files make slow and uneventful runs. */
	if (f->size > max / 2 && below(8) == 0)
		op = CUT;
	draw_range(f, op, &off, &len);
	history[at % HISTORY] =
	    (struct step){op, (unsigned)(f - files), off, len, f->size};
	if (missing[op] || len == 0)
		return;
	if (perform(f, op, off, &len)) {
		done[op]++;
	} else {
		printf("note: no %s here\n", names[op]);
		missing[op] = true;
	}
	history[at % HISTORY].len = len;
	history[at % HISTORY].size = f->size;
	check_size(f);
}

static void
check_all(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		int fd = open(files[i].path, O_RDONLY);

		if (fd < 0)
			die("open %s: %m", files[i].path);
		do_read(&files[i], files[i].fd, 0, max);
		do_read(&files[i], fd, 0, max);
		close(fd);
	}
}

static void
start(const char *dir)
{
	state = seed;
	buf = aligned_alloc(BLOCK, max + BLOCK);
	if (!buf)
		die("memory");
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(files[i].path, sizeof(files[i].path), "%s/fsx%u", dir, i);
		files[i].good = calloc(1, max);
		if (!files[i].good)
			die("memory");
		open_files(&files[i]);
	}
}

static bool
options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:l:d")) != -1) {
		switch (opt) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			operations = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			max = strtoul(optarg, NULL, 0) & ~(size_t)(BLOCK - 1);
			break;
		case 'd':
			direct = true;
			break;
		default:
			return false;
		}
	}
	return optind + 1 == argc && max > 0;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!options(argc, argv)) {
		fprintf(stderr,
		    "usage: p-fsx [-s SEED] [-n OPERATIONS] [-l LENGTH] [-d] DIR\n");
		return 2;
	}
	start(argv[optind]);
	for (at = 0; at < operations; at++) {
		one();
		if (at % WHOLE_EVERY == 0)
			check_all();
	}
	at--;
	check_all();
	for (unsigned i = 0; i < FILES; i++) {
		close_files(&files[i]);
		if (unlink(files[i].path) != 0)
			die("unlink %s: %m", files[i].path);
	}
	printf("%lu operations, seed %llu:", operations, (unsigned long long)seed);
	for (unsigned i = 0; i < NOPS; i++)
		printf(" %s %lu", names[i], done[i]);
	printf("\n");
	return 0;
}
