/*
 * The model test: drawing operations and carrying them out.
 *
 * Names are few (NAMES at each of LEVELS levels), so that operations meet what others have
 * made.  Half of the names are drawn from those that came to be lately.
 */
#include "p-model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	NAMES = 7,
	LEVELS = 4,
	POOL = 128
};

static char pool[POOL][PATH_LEN];
static unsigned pool_next;

bool no_setid;

/* How often each kind is drawn. */
static const unsigned char weight[K_COUNT] = {
    [K_CREATE] = 10,
    [K_OPEN] = 5,
    [K_CLOSE] = 2,
    [K_PWRITE] = 9,
    [K_PREAD] = 8,
    [K_FTRUNCATE] = 3,
    [K_FALLOCATE] = 4,
    [K_SEEK] = 4,
    [K_WRITE] = 9,
    [K_READ] = 8,
    [K_TRUNCATE] = 3,
    [K_RENAME] = 12,
    [K_LINK] = 5,
    [K_SYMLINK] = 3,
    [K_READLINK] = 2,
    [K_UNLINK] = 6,
    [K_RMDIR] = 4,
    [K_MKDIR] = 8,
    [K_MKNOD] = 2,
    [K_READDIR] = 5,
    [K_CHMOD] = 3,
    [K_CHOWN] = 3,
    [K_UTIMENS] = 2,
    [K_SETXATTR] = 4,
    [K_GETXATTR] = 3,
    [K_REMOVEXATTR] = 2,
    [K_STAT] = 3,
    [K_COPY] = 2,
};

static const char *const kind_name[K_COUNT] = {
    [K_CREATE] = "create",
    [K_OPEN] = "open",
    [K_CLOSE] = "close",
    [K_PWRITE] = "pwrite",
    [K_PREAD] = "pread",
    [K_FTRUNCATE] = "ftruncate",
    [K_FALLOCATE] = "fallocate",
    [K_SEEK] = "seek",
    [K_WRITE] = "write",
    [K_READ] = "read",
    [K_TRUNCATE] = "truncate",
    [K_RENAME] = "rename",
    [K_LINK] = "link",
    [K_SYMLINK] = "symlink",
    [K_READLINK] = "readlink",
    [K_UNLINK] = "unlink",
    [K_RMDIR] = "rmdir",
    [K_MKDIR] = "mkdir",
    [K_MKNOD] = "mknod",
    [K_READDIR] = "readdir",
    [K_CHMOD] = "chmod",
    [K_CHOWN] = "chown",
    [K_UTIMENS] = "utimens",
    [K_SETXATTR] = "setxattr",
    [K_GETXATTR] = "getxattr",
    [K_REMOVEXATTR] = "removexattr",
    [K_STAT] = "stat",
    [K_COPY] = "copy_file_range",
};

static void
draw_path(char *path)
{
	unsigned levels = 1 + below(LEVELS);
	size_t n = 0;

	if (pool_next > 0 && below(2)) {
		unsigned used = pool_next < POOL ? pool_next : POOL;
		strcpy(path, pool[below(used)]);
		if (below(3) || strlen(path) > 2 * LEVELS)
			return;
		n = strlen(path);
		levels = 1;
	}
	while (levels-- > 0)
		n += (size_t)sprintf(
		    path + n, "%s%c", n ? "/" : "", 'a' + (char)below(NAMES));
}

static long
draw_offset(void)
{
	unsigned r = below(100);

	if (r < 70)
		return below(20000);
	return below(r < 97 ? 300000 : 3000000);
}

static unsigned
draw_flags(enum kind k)
{
	static const unsigned rename[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE,
	    RENAME_EXCHANGE, RENAME_WHITEOUT, RENAME_NOREPLACE | RENAME_EXCHANGE};
	static const unsigned create[] = {
	    O_RDWR, O_RDWR | O_EXCL, O_RDWR | O_TRUNC, O_WRONLY};
	static const unsigned open[] = {O_RDWR, O_RDWR, O_RDONLY, O_RDWR | O_APPEND,
	    O_RDWR | O_TRUNC, O_RDWR | O_CREAT};
	static const unsigned write[] = {O_WRONLY, O_WRONLY, O_WRONLY | O_APPEND,
	    O_WRONLY | O_TRUNC, O_WRONLY | O_CREAT};
	static const unsigned falloc[] = {0, FALLOC_FL_KEEP_SIZE,
	    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
	    FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
	    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};

#define PICK(t) t[below(sizeof(t) / sizeof(t[0]))]
	switch (k) {
	case K_RENAME:
		return PICK(rename);
	case K_CREATE:
		return PICK(create) | O_CREAT;
	case K_OPEN:
		return PICK(open);
	case K_WRITE:
		return PICK(write);
	case K_FALLOCATE:
		return PICK(falloc);
	case K_SETXATTR:
		return below(3); /* 0, XATTR_CREATE, XATTR_REPLACE */
	default:
		return 0;
	}
}

void
op_draw(struct op *o)
{
	static unsigned total;
	unsigned r;

	memset(o, 0, sizeof(*o));
	if (total == 0)
		for (int k = 0; k < K_COUNT; k++)
			total += weight[k];
	r = below(total);
	while (r >= weight[o->kind])
		r -= weight[o->kind++];
	draw_path(o->a);
	draw_path(o->b);
	o->slot = (int)below(SLOTS);
	o->slot2 = (int)below(SLOTS);
	o->off = draw_offset();
	o->off2 = draw_offset();
	o->len = 1 + (long)below(below(10) ? 6000 : LEN_MAX - 1);
	o->flags = draw_flags(o->kind);
	o->mode = below(8) ? 0400 | below(01000) : below(010000);
	if (no_setid && o->kind == K_CHMOD)
		o->mode &= 01777;
	o->uid = below(3) ? below(5) : (uid_t)-1;
	/* Not both: FUSE does not pass on that chown(-1, -1) moves the ctime. */
	o->gid = o->uid == (uid_t)-1 || below(3) ? below(5) : (gid_t)-1;
	snprintf(o->xname, sizeof(o->xname), "user.%c", 'a' + (char)below(4));
	o->seed = rnd();
}

void
op_print(const struct op *o)
{
	printf(
	    "%s a=%s b=%s slot=%d,%d off=%ld,%ld len=%ld flags=%#x mode=%o uid=%d gid=%d "
	    "x=%s\n",
	    kind_name[o->kind], o->a, o->b, o->slot, o->slot2, o->off, o->off2, o->len,
	    o->flags, o->mode, (int)o->uid, (int)o->gid, o->xname);
}

void
op_remember(const struct op *o, const struct result *res)
{
	const char *path;

	if (res->ret < 0)
		return;
	switch (o->kind) {
	case K_CREATE:
	case K_MKDIR:
	case K_MKNOD:
	case K_SYMLINK:
		path = o->a;
		break;
	case K_RENAME:
	case K_LINK:
		path = o->b;
		break;
	default:
		return;
	}
	strcpy(pool[pool_next++ % POOL], path);
	/* The index must not wrap back to the time when the pool was not full. */
	if (pool_next == 2 * POOL)
		pool_next = POOL;
}

static void
look_path(struct root *r, const char *path, struct seen *ret)
{
	ret->there = fstatat(r->fd, path, &ret->st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
look_parent(struct root *r, const char *path, struct seen *ret)
{
	char dir[PATH_LEN];
	char *slash;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	look_path(r, slash ? dir : ".", ret);
}

/* Has the file system asked again for the attributes of path's directory. */
static void
refresh_parent(struct root *r, const char *path)
{
	char dir[PATH_LEN];
	struct statx stx;
	char *slash;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	(void)statx(
	    r->fd, slash ? dir : ".", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx);
}

/* Where a rename that leaves a whiteout fails, ext4 has touched the directories all the
 * same.  Nobody is told of that, so whoever caches attributes shows it later: in this step,
 * whose times are not compared, and not in one of the next. */
static long
rename_op(struct root *r, const struct op *o)
{
	long ret = renameat2(r->fd, o->a, r->fd, o->b, o->flags);
	int err = errno;

	if (ret < 0 && (o->flags & RENAME_WHITEOUT)) {
		refresh_parent(r, o->a);
		refresh_parent(r, o->b);
		errno = err;
	}
	return ret;
}

static bool
uses_slot(enum kind k)
{
	return k == K_OPEN || (k >= K_CLOSE && k <= K_SEEK) || k == K_COPY;
}

void
op_look(struct root *r, const struct op *o, struct seen ret[TOUCHED_MAX])
{
	bool slot = uses_slot(o->kind);

	if (!slot || o->kind == K_OPEN) {
		look_path(r, o->a, &ret[0]);
		look_parent(r, o->a, &ret[1]);
	}
	if (o->kind == K_RENAME || o->kind == K_LINK) {
		look_path(r, o->b, &ret[2]);
		look_parent(r, o->b, &ret[3]);
	}
	if (slot && r->slot[o->slot] >= 0)
		ret[4].there = fstat(r->slot[o->slot], &ret[4].st) == 0;
}

/* The data that an operation writes. */
static const char *
data_of(const struct op *o)
{
	static char buf[LEN_MAX];
	static uint64_t have;
	uint64_t x = o->seed | 1;

	if (have == o->seed)
		return buf;
	for (long i = 0; i < LEN_MAX && i < o->len + 8; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(buf + i, &x, i + 8 <= LEN_MAX ? 8 : (size_t)(LEN_MAX - i));
	}
	have = o->seed;
	return buf;
}

static long
read_hash(int fd, const struct op *o, uint64_t *ret_hash)
{
	static char buf[LEN_MAX];
	ssize_t n = pread(fd, buf, (size_t)o->len, o->off);

	if (n > 0)
		*ret_hash = hash_add(1, buf, (size_t)n);
	return n;
}

/* tmpfs has no FALLOC_FL_ZERO_RANGE: there, zeros are written. */
static long
zero_range(int fd, const struct op *o)
{
	static const char zeros[LEN_MAX];
	char path[32];
	struct stat st;
	long len = o->len;

	if (fallocate(fd, (int)o->flags, o->off, len) == 0)
		return 0;
	if (errno != EOPNOTSUPP)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (o->flags & FALLOC_FL_KEEP_SIZE) {
		if (o->off >= st.st_size)
			return 0;
		if (o->off + len > st.st_size)
			len = st.st_size - o->off;
	}
	/* Opened anew, because with O_APPEND pwrite appends. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	len = pwrite(fd, zeros, (size_t)len, o->off) == len ? 0 : -1;
	close(fd);
	return len;
}

/* Operations on open files. */
static long
run_slot(struct root *r, const struct op *o, struct result *res)
{
	int *fd = &r->slot[o->slot];
	loff_t from = o->off, to = o->off2;
	const char *bad;

	if (o->kind == K_OPEN) {
		int new =
		    openat(r->fd, o->a, (int)o->flags | O_NONBLOCK | O_CLOEXEC, 0644);
		if (new < 0)
			return -1;
		if (*fd >= 0)
			close(*fd);
		*fd = new;
		return 0;
	}
	if (*fd < 0)
		return 0;
	switch (o->kind) {
	case K_CLOSE: {
		int old = *fd;
		*fd = -1;
		return close(old);
	}
	case K_PWRITE:
		return pwrite(*fd, data_of(o), (size_t)o->len, o->off);
	case K_PREAD:
		return read_hash(*fd, o, &res->hash);
	case K_FTRUNCATE:
		return ftruncate(*fd, o->off);
	case K_FALLOCATE:
		if (o->flags & FALLOC_FL_ZERO_RANGE)
			return zero_range(*fd, o);
		return fallocate(*fd, (int)o->flags, o->off, o->len);
	case K_SEEK:
		bad = seek_check(*fd, o->off);
		if (bad)
			printf("%s: %s\n", r->path, bad);
		return bad != NULL;
	default: /* K_COPY */
		if (r->slot[o->slot2] < 0 || o->slot2 == o->slot)
			return 0;
		return copy_file_range(
		    r->slot[o->slot2], &from, *fd, &to, (size_t)o->len, 0);
	}
}

/* Opening by name, doing one thing, closing. */
static long
run_file(struct root *r, const struct op *o, struct result *res)
{
	int flags = o->kind == K_READ ? O_RDONLY : (int)o->flags, err;
	int fd = openat(r->fd, o->a, flags | O_NONBLOCK | O_CLOEXEC, o->mode);
	long n = 0;

	if (fd < 0)
		return -1;
	if (o->kind == K_READ)
		n = read_hash(fd, o, &res->hash);
	else if (o->kind == K_WRITE)
		n = pwrite(fd, data_of(o), (size_t)o->len, o->off);
	err = errno;
	if (close(fd) != 0 && n >= 0)
		return -1;
	errno = err;
	return n;
}

static long
run_xattr(struct root *r, const struct op *o, struct result *res)
{
	char buf[4096];
	long n;
	int err, fd = openat(r->fd, o->a, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (o->kind == K_SETXATTR) {
		n = fsetxattr(
		    fd, o->xname, data_of(o), (size_t)o->len % 200, (int)o->flags);
	} else if (o->kind == K_GETXATTR) {
		n = fgetxattr(fd, o->xname, buf, sizeof(buf));
		if (n > 0)
			res->hash = hash_add(1, buf, (size_t)n);
	} else {
		n = fremovexattr(fd, o->xname);
	}
	err = errno;
	close(fd);
	errno = err;
	return n;
}

/* Operations on names. */
static long
run_name(struct root *r, const struct op *o, struct result *res)
{
	struct timespec ts[2] = {{o->off, o->off2}, {o->off2, o->len}};
	char buf[PATH_LEN * 2];
	long n;

	switch (o->kind) {
	case K_RENAME:
		return rename_op(r, o);
	case K_LINK:
		return linkat(r->fd, o->a, r->fd, o->b, 0);
	case K_SYMLINK:
		return symlinkat(o->b, r->fd, o->a);
	case K_READLINK:
		n = readlinkat(r->fd, o->a, buf, sizeof(buf));
		if (n > 0)
			res->hash = hash_add(1, buf, (size_t)n);
		return n;
	case K_UNLINK:
		return unlinkat(r->fd, o->a, 0);
	case K_RMDIR:
		return unlinkat(r->fd, o->a, AT_REMOVEDIR);
	case K_MKDIR:
		return mkdirat(r->fd, o->a, o->mode | 0700);
	case K_MKNOD:
		return mknodat(
		    r->fd, o->a, (o->seed & 1 ? S_IFIFO : S_IFSOCK) | o->mode, 0);
	case K_CHMOD:
		return fchmodat(r->fd, o->a, o->mode, 0);
	case K_CHOWN:
		return fchownat(r->fd, o->a, o->uid, o->gid, AT_SYMLINK_NOFOLLOW);
	case K_UTIMENS:
		return utimensat(r->fd, o->a, ts, AT_SYMLINK_NOFOLLOW);
	default:
		return 0;
	}
}

static long
run_truncate(struct root *r, const struct op *o)
{
	char path[PATH_LEN * 2];

	/* Relative to the root's descriptor: there is no truncateat. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", r->fd, o->a);
	return truncate(path, o->off);
}

void
op_run(struct root *r, const struct op *o, struct result *res)
{
	errno = 0;
	if (uses_slot(o->kind))
		res->ret = run_slot(r, o, res);
	else if (o->kind == K_CREATE || o->kind == K_WRITE || o->kind == K_READ)
		res->ret = run_file(r, o, res);
	else if (o->kind >= K_SETXATTR && o->kind <= K_REMOVEXATTR)
		res->ret = run_xattr(r, o, res);
	else if (o->kind == K_TRUNCATE)
		res->ret = run_truncate(r, o);
	else if (o->kind == K_READDIR)
		res->hash = dir_hash(r, o->a, &res->err);
	else
		res->ret = run_name(r, o, res);
	if (res->ret < 0)
		res->err = errno;
}
