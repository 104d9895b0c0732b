/*
 * Many threads on one handle, with mounts that come and go beside.
 *
 * RF_RACE_SECONDS says how long (0.4 s without).  Names are few, so threads meet; numbers of
 * open files are taken from one another and closed while they are read.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/t-tmp.h"
#include "tests/t-ukfs.h"

/* As in t-race.c: the order of two directories is that of the tree at the moment. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}

enum {
	NTHREADS = 8,
	NFDS = 16,
	RECORD = 64
};

#define ROUND 1.0 /* seconds on one image */

static struct ukfs *fs;
static _Atomic bool stop;
static _Atomic uint64_t ops, odd;
static _Atomic int fds[NFDS]; /* a number plus one, or 0 */

struct racer {
	pthread_t thread;
	unsigned id, rnd;
};

static unsigned
rnd(struct racer *r, unsigned n)
{
	r->rnd = r->rnd * 1103515245 + 12345;
	return (r->rnd >> 9) % n;
}

/* A path of few, some of which lead through links. */
static void
some_path(struct racer *r, char buf[64])
{
	static const char *const heads[] = {
	    "", "/", "d/", "/d/../", "l/", "d/d/", "../", "./"};

	snprintf(buf, 64, "%s%c", heads[rnd(r, 8)], "abcdl"[rnd(r, 5)]);
}

/* What may come of a call among others. */
static void
expect(const char *what, long got)
{
	static const int may_be[] = {ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EBUSY,
	    EINVAL, ELOOP, EBADF, EPERM, ENXIO, EXDEV};
	int e = errno;

	atomic_fetch_add(&ops, 1);
	if (got >= 0)
		return;
	for (size_t i = 0; i < sizeof(may_be) / sizeof(may_be[0]); i++)
		if (e == may_be[i])
			return;
	printf("%s: %s\n", what, strerror(e));
	atomic_fetch_add(&odd, 1);
}

/* Records are written whole and read whole. */
static void
check_record(const char *buf, ssize_t n)
{
	for (ssize_t i = 1; i < n; i++) {
		if (buf[i] != buf[0]) {
			printf("a record is mixed: %c %c at %zd of %zd\n", buf[0], buf[i],
			    i, n);
			atomic_fetch_add(&odd, 1);
			return;
		}
	}
}

static void
use_fd(struct racer *r, const char *path)
{
	_Atomic int *slot = &fds[rnd(r, NFDS)];
	char buf[RECORD];
	int fd = atomic_load(slot) - 1;
	ssize_t n;

	switch (rnd(r, 4)) {
	case 0:
		fd = ukfs_open(fs, path, rnd(r, 2) ? O_RDWR : O_RDONLY);
		expect("open", fd);
		fd = atomic_exchange(slot, fd < 0 ? 0 : fd + 1) - 1;
		if (fd >= 0)
			expect("close", ukfs_close(fs, fd));
		break;
	case 1: /* it may be somebody else's by now, or nobody's */
		memset(buf, 'a' + (int)r->id, sizeof(buf));
		expect("write_fd", ukfs_write_fd(fs, fd, 0, buf, sizeof(buf), 0));
		break;
	default:
		n = ukfs_read_fd(fs, fd, 0, buf, sizeof(buf));
		expect("read_fd", n);
		check_record(buf, n);
	}
}

static void
list(struct racer *r, const char *path)
{
	struct ukfs_dircookie *dc;
	char buf[512];
	off_t off = 0;
	ssize_t n;

	n = ukfs_opendir(fs, path, &dc);
	expect("opendir", n);
	if (n < 0)
		return;
	while ((n = ukfs_getdents_cookie(fs, dc, &off, buf, sizeof(buf))) > 0)
		;
	expect("getdents", n);
	expect("closedir", ukfs_closedir(fs, dc));
}

static void
step(struct racer *r)
{
	char a[64], b[64], buf[RECORD];
	struct stat st;
	ssize_t n;

	some_path(r, a);
	some_path(r, b);
	memset(buf, 'a' + (int)r->id, sizeof(buf));
	switch (rnd(r, 16)) {
	case 0:
		expect("create", ukfs_create(fs, a, 0600));
		break;
	case 1:
		expect("write", ukfs_write(fs, a, 0, buf, sizeof(buf)));
		break;
	case 2:
		n = ukfs_read(fs, a, 0, buf, sizeof(buf));
		expect("read", n);
		check_record(buf, n);
		break;
	case 3:
		expect("mkdir", ukfs_mkdir(fs, a, 0700));
		break;
	case 4:
		expect("rmdir", ukfs_rmdir(fs, a));
		break;
	case 5:
		expect("remove", ukfs_remove(fs, a));
		break;
	case 6:
		expect("rename", ukfs_rename(fs, a, b));
		break;
	case 7:
		expect("link", ukfs_link(fs, a, b));
		break;
	case 8:
		expect("symlink", ukfs_symlink(fs, b, a));
		break;
	case 9:
		expect("stat", ukfs_stat(fs, a, &st));
		break;
	case 10:
		expect("chdir", ukfs_chdir(fs, rnd(r, 4) ? "/" : a));
		break;
	case 11:
		expect("chmod", ukfs_chmod(fs, a, 0600 + rnd(r, 8)));
		break;
	case 12:
		list(r, a);
		break;
	case 13:
		expect("builddirs", ukfs_util_builddirs(fs, "d/d/d", 0700));
		break;
	default:
		use_fd(r, a);
	}
}

static void *
racing(void *arg)
{
	struct racer *r = arg;

	while (!atomic_load(&stop))
		step(r);
	return NULL;
}

/* Mounts of its own, below the others' feet. */
static void *
mounting(void *arg)
{
	struct racer *r = arg;
	char at[64];

	snprintf(at, sizeof(at), "/race/d/m%u", r->id);
	while (!atomic_load(&stop)) {
		struct ukfs *own = ukfs_mount("rumpfs", NULL, at, 0, "size=1M", 7);

		expect(ukfs_why(), own ? 0 : -1);
		if (!own)
			continue;
		if (put(own, "f", "mine") != 0 || strcmp(text_of(own, "f"), "mine") != 0)
			atomic_fetch_add(&odd, 1);
		expect("release", ukfs_release(own, rnd(r, 2) ? UKFS_RELFLAG_FORCE : 0));
	}
	return NULL;
}

static double
race_seconds(void)
{
	const char *s = getenv("RF_RACE_SECONDS");

	return s ? atof(s) : 0.4;
}

/* device: NULL in memory. */
static void
race_on(const char *type, const char *device, double s)
{
	static unsigned seeds;
	struct timespec ts = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
	struct racer r[NTHREADS + 2];

	fs = ukfs_mount(type, device, "/race", 0, NULL, 0);
	REQUIRE(fs);
	atomic_store(&stop, false);
	atomic_store(&odd, 0);
	atomic_store(&ops, 0);
	for (unsigned i = 0; i < NTHREADS + 2; i++) {
		r[i].id = i;
		r[i].rnd = (unsigned)time(NULL) * 31 + seeds++;
		REQUIRE(pthread_create(&r[i].thread, NULL,
			    i < NTHREADS ? racing : mounting, &r[i]) == 0);
	}
	nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < NTHREADS + 2; i++)
		pthread_join(r[i].thread, NULL);
	CHECK_EQ(odd, 0);
	CHECK(ops > 100);
	printf("  figure: %s: %.0f calls a second\n", type, (double)ops / s);
	for (unsigned i = 0; i < NFDS; i++) {
		if (fds[i])
			CHECK_EQ(ukfs_close(fs, fds[i] - 1), 0);
		fds[i] = 0;
	}
	CHECK_EQ(ukfs_release(fs, 0), 0);
}

TEST(many_threads_on_one_handle)
{
	CHECK_EQ(ukfs_init(), 0);
	race_on("rumpfs", NULL, race_seconds());
}

TEST(many_threads_on_an_image)
{
	AUTO_TMP t = tmp_new("/dev/shm");
	char image[96];

	CHECK_EQ(ukfs_init(), 0);
	if (!have_type("ext") || access("/sbin/mke2fs", X_OK) != 0)
		SKIP("no type ext, or nothing to make an image of");
	snprintf(image, sizeof(image), "%s/image", t.path);
	/* Trees are moved into one another and only ever grow: in a second or two that is no
	 * more than an image has inodes. */
	for (double s = race_seconds(); s > 0 && t_bad == 0; s -= ROUND) {
		CHECK_EQ(RUN("truncate", "-s", "24M", image), 0);
		REQUIRE(RUN("mke2fs", "-q", "-F", "-t", "ext4", image) == 0);
		race_on("ext", image, s < ROUND ? s : ROUND);
		CHECK_EQ(RUN("e2fsck", "-fn", image), 0);
	}
}

/* One number, closed again and again under those who read it. */

static _Atomic int shared;

static void *
reading(void *arg)
{
	char buf[8];

	(void)arg;
	while (!atomic_load(&stop)) {
		ssize_t n = ukfs_read_fd(fs, atomic_load(&shared), 0, buf, sizeof(buf));

		if (n < 0 ? errno != EBADF : n != 8 || memcmp(buf, "contents", 8) != 0)
			atomic_fetch_add(&odd, 1);
		atomic_fetch_add(&ops, 1);
	}
	return NULL;
}

TEST(closing_under_readers)
{
	pthread_t t[4];

	CHECK_EQ(ukfs_init(), 0);
	fs = ukfs_mount("rumpfs", NULL, "/race", 0, NULL, 0);
	REQUIRE(fs);
	CHECK_EQ(put(fs, "f", "contents"), 0);
	atomic_store(&stop, false);
	atomic_store(&odd, 0);
	atomic_store(&shared, -1);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&t[i], NULL, reading, NULL) == 0);
	for (int i = 0; i < 5000; i++) {
		int fd = ukfs_open(fs, "f", O_RDONLY);

		CHECK(fd >= 0);
		atomic_store(&shared, fd);
		CHECK_EQ(ukfs_close(fs, fd), 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(odd, 0);
	CHECK_EQ(ukfs_release(fs, 0), 0);
}
