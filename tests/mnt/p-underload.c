/*
 * Users of a tree that is changed under them, and who changes it.
 *
 *	p-underload use DIR STOP		eight processes, until the file STOP is there
 *	p-underload drive DIR TEXT CONF LOG PID N SECONDS
 *						N changes of what CONF says, told to PID by SIGHUP,
 *						spread over SECONDS; the text of TEXT stays in it
 *
 * What stays: DIR/stay (64 KiB of "s"), DIR/own0 … own7 (64 KiB each, one for each process to
 * write to), DIR/tree (a directory with files that hold their own names), DIR/kept ("kept"),
 * DIR/mine (a directory in memory, to work in).  No call on these may fail or fall short, and
 * every listing of DIR has each of them once.  What begins with "c-" comes and goes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USERS    8
#define KEY      65536
#define STALE_MS 100

static const char *const staying[] = {"stay", "own0", "own1", "own2", "own3", "own4",
    "own5", "own6", "own7", "tree", "kept", "mine"};
#define NSTAYING (sizeof(staying) / sizeof(staying[0]))

static const char *dir;
static unsigned long bad;

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	bad++;
	if (bad > 20)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\n", strerror(e));
	fflush(stdout);
}

static char *
in(const char *name)
{
	static char buf[4][4096];
	static unsigned i;
	char *p = buf[i++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", dir, name);
	return p;
}

static void
sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* All of fd from 0 on is len times c. */
static void
read_all(int fd, const char *what, size_t len, int c)
{
	static char buf[KEY + 1];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	errno = n < 0 ? errno : 0;
	if (n != (ssize_t)len)
		wrong("%s: read %zd of %zu", what, n, len);
	for (ssize_t i = 0; i < n; i++)
		if (buf[i] != c) {
			wrong("%s: byte %zd is %d, not %d", what, i, buf[i], c);
			break;
		}
}

static void
use_stay(int held, const char *map)
{
	int fd = open(in("stay"), O_RDONLY);

	if (fd < 0) {
		wrong("stay: open");
		return;
	}
	read_all(fd, "stay", KEY, 's');
	close(fd);
	read_all(held, "stay, held open", KEY, 's');
	for (size_t i = 0; i < KEY; i += 4096)
		if (map[i] != 's')
			wrong("stay, mapped: byte %zu", i);
}

static void
use_own(unsigned user, unsigned round)
{
	static char buf[KEY];
	char name[16];
	int c = 'a' + (int)(round % 26), fd;

	snprintf(name, sizeof(name), "own%u", user);
	fd = open(in(name), O_RDWR);
	if (fd < 0) {
		wrong("%s: open", name);
		return;
	}
	memset(buf, c, sizeof(buf));
	if (pwrite(fd, buf, sizeof(buf), 0) != KEY)
		wrong("%s: write", name);
	if (round % 8 == 0 && fsync(fd) < 0)
		wrong("%s: fsync", name);
	read_all(fd, name, KEY, c);
	if (close(fd) < 0)
		wrong("%s: close", name);
}

static void
use_memory(unsigned user, unsigned round)
{
	char a[64], b[64], text[8] = "";
	int fd;

	snprintf(a, sizeof(a), "mine/a%u.%u", user, round);
	snprintf(b, sizeof(b), "mine/b%u", user);
	fd = open(in(a), O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || write(fd, "x", 1) != 1)
		wrong("%s", a);
	if (fd >= 0)
		close(fd);
	if (rename(in(a), in(b)) < 0)
		wrong("rename of %s", a);
	fd = open(in("kept"), O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text)) != 4 || memcmp(text, "kept", 4) != 0)
		wrong("kept: \"%s\"", text);
	if (fd >= 0)
		close(fd);
}

/* A file of the tree holds its own name. */
static void
use_file(const char *path, const char *name)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n != (ssize_t)strlen(name) || strcmp(text, name) != 0)
		wrong("%s: \"%s\"", path, text);
	if (fd >= 0)
		close(fd);
}

static unsigned
walk_tree(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;
	struct dirent *de;

	if (!d) {
		wrong("%s: opendir", path);
		return 0;
	}
	errno = 0;
	while ((de = readdir(d))) {
		char sub[4096];

		/* That one comes and goes. */
		if (de->d_name[0] == '.' || strcmp(de->d_name, "hidden") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, de->d_name);
		n++;
		if (de->d_type == DT_DIR)
			n += walk_tree(sub);
		else
			use_file(sub, de->d_name);
		errno = 0;
	}
	if (errno)
		wrong("%s: readdir", path);
	closedir(d);
	return n;
}

/* The listing of the top has all that stays, once; what else there is comes and goes. */
static void
use_top(void)
{
	unsigned seen[NSTAYING] = {0};
	DIR *d = opendir(dir);
	struct dirent *de;
	struct stat st;

	if (!d) {
		wrong("opendir of the top");
		return;
	}
	errno = 0;
	while ((de = readdir(d))) {
		bool mine = de->d_name[0] == '.' || strncmp(de->d_name, "c-", 2) == 0;

		if (mine && fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT && errno != ESTALE && errno != EIO)
			wrong("%s: stat", de->d_name);
		for (size_t i = 0; i < NSTAYING; i++)
			if (strcmp(de->d_name, staying[i]) == 0) {
				seen[i]++;
				mine = true;
			}
		if (!mine)
			wrong("%s: nobody knows it", de->d_name);
		errno = 0;
	}
	if (errno)
		wrong("readdir of the top");
	closedir(d);
	for (size_t i = 0; i < NSTAYING; i++) {
		if (seen[i] != 1)
			wrong("%s is listed %u times", staying[i], seen[i]);
		if (stat(in(staying[i]), &st) < 0)
			wrong("%s: stat", staying[i]);
	}
}

/* What comes and goes is used too: that it fails is no error, that it holds something else
 * than it may is one. */
static void
use_changing(void)
{
	static const char *const names[] = {
	    "c-key", "c-file", "c-dir/in", "c-link", "c-tree/0"};
	char buf[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = open(in(names[i]), O_RDONLY | O_NONBLOCK);
		ssize_t n;

		if (fd < 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (i == 0 && n > 0 && buf[0] != 'A' && buf[0] != 'B')
			wrong("c-key: %c", buf[0]);
		close(fd);
	}
}

static int
use(unsigned user, const char *stop)
{
	int held = open(in("stay"), O_RDONLY);
	const char *map = mmap(NULL, KEY, PROT_READ, MAP_SHARED, held, 0);
	unsigned round = 0, files = 0;

	if (held < 0 || map == MAP_FAILED) {
		wrong("stay");
		return 1;
	}
	for (; access(stop, F_OK) < 0; round++) {
		unsigned n;

		use_stay(held, map);
		use_own(user, round);
		use_memory(user, round);
		use_top();
		use_changing();
		n = walk_tree(in("tree"));
		if (files && n != files)
			wrong("tree: %u files, %u before", n, files);
		files = n;
	}
	printf("user %u: %u rounds\n", user, round);
	return bad ? 1 : 0;
}

static int
use_all(const char *stop)
{
	int failed = 0, status;

	for (unsigned i = 0; i < USERS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			int r = use(i, stop);

			fflush(stdout);
			_exit(r);
		}
		if (pid < 0)
			failed++;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	return failed ? 1 : 0;
}

/* Who changes it. */

struct drive {
	const char *dv_text, *dv_conf, *dv_log, *dv_host;
	pid_t dv_pid;
	long dv_at; /* how far the log has been read */
};

/* Does round n have it?  Each comes, changes and goes in a time of its own. */
static bool
has(unsigned n, unsigned period)
{
	return n % period != 0;
}

static void
write_conf(const struct drive *dv, unsigned n, bool broken)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.new", dv->dv_conf);
	f = fopen(name, "w");
	if (!f) {
		wrong("%s", name);
		return;
	}
	fputs(dv->dv_text, f);
	if (has(n, 3))
		fprintf(f, "[etfs /c-key]\nhost = img%c\ntype = blk\naccess = %s\n",
		    n % 2 ? 'A' : 'B', n % 4 < 2 ? "ro" : "rw");
	if (has(n, 4))
		fprintf(f, "[file /c-file]\ncontent = %u\nmode = 0%o\n", n,
		    n % 2 ? 0600 : 0644);
	if (has(n, 5))
		fprintf(f, "[dir /c-dir]\n[file /c-dir/in]\ncontent = in\n");
	if (has(n, 2))
		fprintf(f, "[symlink /c-link]\ntarget = %u\n", n);
	if (has(n, 3))
		fprintf(f, "[whiteout /tree/hidden]\n[node /c-fifo]\ntype = fifo\n");
	if (has(n, 6))
		fprintf(f,
		    "[etfs /c-tree]\nhost = tree\n[file /c-tree/over]\ncontent = %u\n",
		    n);
	if (broken)
		fprintf(f, "[etfs /c-broken]\nhost = %s\n",
		    n % 20 ? "absent" : "imgA\nbegin = x");
	fclose(f);
	if (rename(name, dv->dv_conf) < 0)
		wrong("rename of %s", name);
}

/* Waits until the log says that a reload has ended: 1 it was made, 0 it was refused. */
static int
wait_end(struct drive *dv)
{
	double until = now() + 20;

	while (now() < until) {
		FILE *f = fopen(dv->dv_log, "r");
		char line[4096];
		int r = -1;

		if (f && fseek(f, dv->dv_at, SEEK_SET) == 0) {
			while (r < 0 && fgets(line, sizeof(line), f)) {
				if (!strchr(line, '\n'))
					break;
				dv->dv_at = ftell(f);
				if (strstr(line, "not reloaded; nothing has changed"))
					r = 0;
				else if (strstr(line, "reloaded: ") &&
					 !strstr(line, "images"))
					r = 1;
			}
		}
		if (f)
			fclose(f);
		if (r >= 0)
			return r;
		sleep_ms(1);
	}
	wrong("the reload does not end");
	return -1;
}

/* The contents of a file, or the target of a link, is text; NULL: it is not there. */
static void
is(unsigned n, const char *name, const char *text)
{
	char buf[64] = "";
	struct stat st;
	ssize_t len;
	int fd;

	errno = 0;
	if (!text) {
		if (lstat(in(name), &st) == 0 || errno != ENOENT)
			wrong("round %u: %s is still there", n, name);
		return;
	}
	len = readlink(in(name), buf, sizeof(buf) - 1);
	if (len < 0) {
		fd = open(in(name), O_RDONLY | O_NONBLOCK);
		len = fd < 0 ? -1
		             : read(fd, buf,
				   strlen(text) + (text[0] >= '0' && text[0] <= '9'));
		if (fd >= 0)
			close(fd);
	}
	if (len < 0 || (size_t)len != strlen(text) || memcmp(buf, text, (size_t)len) != 0)
		wrong("round %u: %s is \"%s\", not \"%s\"", n, name, buf, text);
}

/* Everything is as round n has it. */
static void
check_round(unsigned n)
{
	char num[16];
	struct stat st;

	snprintf(num, sizeof(num), "%u", n);
	is(n, "c-key", !has(n, 3) ? NULL : n % 2 ? "AAAA" : "BBBB");
	is(n, "c-file", has(n, 4) ? num : NULL);
	if (has(n, 4) && (stat(in("c-file"), &st) < 0 ||
			     (st.st_mode & 07777) != (n % 2 ? 0600 : 0644)))
		wrong("round %u: c-file: mode %o", n, st.st_mode);
	is(n, "c-dir/in", has(n, 5) ? "in" : NULL);
	is(n, "c-link", has(n, 2) ? num : NULL);
	is(n, "tree/hidden", has(n, 3) ? NULL : "hidden");
	is(n, "c-tree/over", has(n, 6) ? num : NULL);
	is(n, "c-broken", NULL);
	if ((lstat(in("c-fifo"), &st) == 0) != has(n, 3))
		wrong("round %u: c-fifo", n);
}

static int
drive(struct drive *dv, unsigned rounds, double seconds)
{
	unsigned is_now = 0, made = 0, refused = 0;
	double start = now(), longest = 0;

	for (unsigned n = 1; n <= rounds; n++) {
		bool broken = n % 10 == 0;
		double begun, rest;
		int r;

		write_conf(dv, n, broken);
		begun = now();
		kill(dv->dv_pid, SIGHUP);
		r = wait_end(dv);
		if (now() - begun > longest)
			longest = now() - begun;
		if (r < 0)
			break;
		errno = 0;
		if (r != !broken)
			wrong(
			    "round %u: %s", n, r ? "it is not refused" : "it is refused");
		sleep_ms(STALE_MS);
		if (r)
			is_now = n;
		if (is_now)
			check_round(is_now);
		made += r == 1;
		refused += r == 0;
		rest = start + seconds * n / rounds - now();
		if (rest > 0)
			sleep_ms((long)(rest * 1000));
	}
	printf("figure: reloads made: %u, refused: %u, the longest: %.3f s, in %.1f s\n",
	    made, refused, longest, now() - start);
	return bad ? 1 : 0;
}

static char *
slurp(const char *name)
{
	static char buf[65536];
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	buf[n] = '\0';
	if (f)
		fclose(f);
	return buf;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "use") == 0) {
		dir = argv[2];
		return use_all(argv[3]);
	}
	if (argc == 9 && strcmp(argv[1], "drive") == 0) {
		struct drive dv = {.dv_text = slurp(argv[3]),
		    .dv_conf = argv[4],
		    .dv_log = argv[5],
		    .dv_pid = (pid_t)atoi(argv[6])};
		struct stat st;

		dir = argv[2];
		dv.dv_at = stat(dv.dv_log, &st) == 0 ? (long)st.st_size : 0;
		return drive(&dv, (unsigned)atoi(argv[7]), atof(argv[8]));
	}
	fprintf(stderr, "usage: see the head of p-underload.c\n");
	return 2;
}
