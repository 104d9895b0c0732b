/*
 * p-hostile [-w] [-n COUNT] [-s SEED] [-t TYPE] [-l SECONDS] [-j JOBS] NAME IMAGE DIR:
 * COUNT images with random damage (corrupt.h; seeds from SEED on), each mounted in a process
 * of its own by ukfs_mount(), walked, read, with -w also written, and unmounted.  One that
 * ends by a signal, with a report of a sanitizer, or not within the time is a failure, and
 * said with its seed; p-corrupt makes it again.  DIR is for the images and what is said.
 *
 * What the calls answer is not looked at, for any answer is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "corrupt.h"
#include "vfs/ukfs/ukfs.h"

#define MAX_DIRS  400
#define MAX_FILES 4000
#define MAX_BYTES (48 << 20)
#define FILE_PART (2 << 20)

enum {
	END_MOUNTED = 0,
	END_REFUSED = 77,
};

struct linux_dirent {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* libarchive forgets a name of some damaged ISO images; that is not ours to find. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libarchive.so\n";
}

static const char *type = "auto";
static bool writes;
static unsigned limit = 10;
static uint8_t *image;
static size_t image_len;
static struct hot hot;
static char buf[128 << 10];
static char *dirs[MAX_DIRS];
static unsigned ndirs, nfiles;
static size_t nbytes;

/* In the child. */

static void
read_file(struct ukfs *fs, const char *path, off_t size)
{
	int fd = ukfs_open(fs, path, O_RDONLY);
	off_t off = 0, end = size < FILE_PART ? size : FILE_PART, at;
	ssize_t n;

	if (fd < 0)
		return;
	while (off < end && nbytes < MAX_BYTES &&
	       (n = ukfs_read_fd(fs, fd, off, buf, sizeof(buf))) > 0) {
		off += n;
		nbytes += (size_t)n;
	}
	if (size > 5000) {
		(void)ukfs_read_fd(fs, fd, size - 5000, buf, 8192);
		(void)ukfs_read_fd(fs, fd, size / 2, buf, 8192);
	}
	for (at = 0, n = 0; n < 50 && at >= 0 && at < size; n++)
		at = ukfs_seek_fd(fs, fd, at, n % 2 ? SEEK_HOLE : SEEK_DATA);
	(void)ukfs_close(fs, fd);
}

static void
read_xattrs(struct ukfs *fs, const char *path)
{
	char names[4096];
	ssize_t n = ukfs_llistxattr(fs, path, names, sizeof(names));

	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		(void)ukfs_lgetxattr(fs, path, names + i, buf, sizeof(buf));
}

static void
look_at(struct ukfs *fs, const char *path)
{
	struct stat st;

	if (++nfiles > MAX_FILES || ukfs_lstat(fs, path, &st) < 0)
		return;
	read_xattrs(fs, path);
	if (S_ISLNK(st.st_mode)) {
		(void)ukfs_readlink(fs, path, buf, sizeof(buf));
		(void)ukfs_stat(fs, path, &st);
	} else if (S_ISREG(st.st_mode)) {
		read_file(fs, path, st.st_size);
	} else if (S_ISDIR(st.st_mode) && ndirs < MAX_DIRS) {
		dirs[ndirs++] = strdup(path);
	}
}

static void
list(struct ukfs *fs, const char *dir)
{
	struct ukfs_dircookie *c;
	char *ents = malloc(32768);
	off_t off = 0;
	ssize_t n;

	if (!ents || ukfs_opendir(fs, dir, &c) < 0) {
		free(ents);
		return;
	}
	for (unsigned i = 0;
	     i < 64 && (n = ukfs_getdents_cookie(fs, c, &off, ents, 32768)) > 0; i++) {
		for (ssize_t at = 0; at < n;) {
			struct linux_dirent *de = (struct linux_dirent *)(ents + at);
			char path[4200];

			at += de->d_reclen;
			if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
				continue;
			if ((size_t)snprintf(path, sizeof(path), "%s/%s",
				strcmp(dir, "/") == 0 ? "" : dir,
				de->d_name) < sizeof(path))
				look_at(fs, path);
		}
	}
	(void)ukfs_closedir(fs, c);
	free(ents);
}

static void
write_some(struct ukfs *fs)
{
	const char *in = ndirs > 1 ? dirs[1] : "";
	char a[4300], b[4300];
	struct timeval tv[2] = {{1, 0}, {2, 0}};

	memset(buf, 'w', sizeof(buf));
	snprintf(a, sizeof(a), "%s/hostile-a", in);
	snprintf(b, sizeof(b), "%s/hostile-b", in);
	(void)ukfs_create(fs, a, 0644);
	(void)ukfs_write(fs, a, 0, buf, sizeof(buf));
	(void)ukfs_write(fs, a, 3 << 20, buf, 5000);
	(void)ukfs_lsetxattr(fs, a, "user.a", buf, 100, 0);
	(void)ukfs_lsetxattr(fs, a, "user.b", buf, 3000, 0);
	(void)ukfs_truncate(fs, a, 100000);
	(void)ukfs_link(fs, a, b);
	(void)ukfs_remove(fs, a);
	(void)ukfs_mkdir(fs, a, 0755);
	for (int i = 0; i < 40; i++) {
		char c[4400];

		snprintf(c, sizeof(c), "%s/a-name-of-some-length-%d", a, i);
		(void)ukfs_create(fs, c, 0600);
	}
	buf[199] = '\0';
	(void)ukfs_symlink(fs, buf, "/hostile-link");
	buf[199] = 'w';
	(void)ukfs_rename(fs, b, "/hostile-c");
	for (unsigned i = 0; i < ndirs && i < 20; i++) {
		(void)ukfs_chmod(fs, dirs[i], 0700);
		(void)ukfs_utimes(fs, dirs[i], tv);
		snprintf(b, sizeof(b), "%s/hostile", dirs[i]);
		(void)ukfs_write(fs, b, 0, buf, 4096);
		(void)ukfs_create(fs, b, 0600);
		(void)ukfs_write(fs, b, 0, buf, 4096);
	}
	for (unsigned i = 1; i < ndirs && i < 10; i++) {
		snprintf(b, sizeof(b), "/hostile-moved-%u", i);
		(void)ukfs_rename(fs, dirs[i], b);
		(void)ukfs_rmdir(fs, b);
	}
	(void)ukfs_sync(fs);
}

/* Existing files are written to, cut and removed. */
static void
change_files(struct ukfs *fs, const char *dir)
{
	off_t off = 0;
	char ents[8192];
	ssize_t n = ukfs_getdents(fs, dir, &off, ents, sizeof(ents));
	unsigned k = 0;

	for (ssize_t at = 0; at < n; k++) {
		struct linux_dirent *de = (struct linux_dirent *)(ents + at);
		char path[4200];

		at += de->d_reclen;
		if (de->d_name[0] == '.' || (size_t)snprintf(path, sizeof(path), "%s/%s",
						dir, de->d_name) >= sizeof(path))
			continue;
		if (k % 3 == 0)
			(void)ukfs_write(fs, path, 1000, buf, 30000);
		if (k % 3 == 1)
			(void)ukfs_truncate(fs, path, 10);
		if (k % 3 == 2)
			(void)ukfs_remove(fs, path);
		(void)ukfs_chown(fs, path, 1, 2);
	}
}

static int
child(const char *file)
{
	struct ukfs *fs = ukfs_mount(type, file, "/", writes ? 0 : UKFS_RDONLY, NULL, 0);
	struct statvfs sv;

	if (!fs)
		return END_REFUSED;
	(void)ukfs_statvfs(fs, &sv);
	dirs[ndirs++] = strdup("/");
	for (unsigned i = 0; i < ndirs; i++)
		list(fs, dirs[i]);
	if (writes && !ukfs_rdonly(fs)) {
		write_some(fs);
		for (unsigned i = 0; i < ndirs && i < 20; i++)
			change_files(fs, dirs[i]);
	}
	(void)ukfs_release(fs, UKFS_RELFLAG_FORCE);
	for (unsigned i = 0; i < ndirs; i++)
		free(dirs[i]);
	return END_MOUNTED;
}

static int
put_image(const char *file, uint64_t seed)
{
	uint8_t *p = malloc(image_len);
	size_t len = image_len;
	int fd = open(file, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600), r = -1;

	if (p && fd >= 0) {
		memcpy(p, image, len);
		corrupt(p, &len, &hot, seed);
		r = write(fd, p, len) == (ssize_t)len ? 0 : -1;
	}
	if (fd >= 0)
		close(fd);
	free(p);
	return r;
}

/* In the parent. */

struct job {
	pid_t pid;
	uint64_t seed;
	struct timespec begin;
	char file[300], said[300];
};

static void
start(struct job *j, const char *dir, unsigned slot, uint64_t seed)
{
	snprintf(j->file, sizeof(j->file), "%s/hostile.%u", dir, slot);
	snprintf(j->said, sizeof(j->said), "%s/hostile.%u.said", dir, slot);
	j->seed = seed;
	clock_gettime(CLOCK_MONOTONIC, &j->begin);
	fflush(stdout);
	j->pid = fork();
	if (j->pid == 0) {
		struct rlimit none = {0, 0}, room = {6ull << 30, 6ull << 30};
		int fd = open(j->said, O_CREAT | O_TRUNC | O_WRONLY, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		setrlimit(RLIMIT_CORE, &none);
#ifndef RF_SANITIZED
		setrlimit(RLIMIT_AS, &room);
#else
		(void)room;
#endif
		alarm(limit);
		if (put_image(j->file, seed) < 0) {
			perror(j->file);
			_exit(3);
		}
		exit(child(j->file));
	}
}

static bool
has_report(const char *said)
{
	FILE *f = fopen(said, "r");
	char line[1024];
	bool bad = false;

	while (f && !bad && fgets(line, sizeof(line), f))
		bad = strstr(line, "Sanitizer") || strstr(line, "runtime error") ||
		      strstr(line, "Assertion") || strstr(line, "corrupted") ||
		      strstr(line, "lock order");
	if (f)
		fclose(f);
	return bad;
}

static void
show(const char *said)
{
	FILE *f = fopen(said, "r");
	char line[1024];

	for (int i = 0; f && i < 40 && fgets(line, sizeof(line), f); i++)
		printf("  | %s", line);
	if (f)
		fclose(f);
}

static unsigned mounted, refused, bad;
static double slowest;
static uint64_t slowest_seed;

static void
finish(struct job *j, const char *name, int status)
{
	struct timespec now;
	double took;

	clock_gettime(CLOCK_MONOTONIC, &now);
	took = (double)(now.tv_sec - j->begin.tv_sec) +
	       (double)(now.tv_nsec - j->begin.tv_nsec) / 1e9;
	if (took > slowest) {
		slowest = took;
		slowest_seed = j->seed;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == END_MOUNTED &&
	    !has_report(j->said)) {
		mounted++;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == END_REFUSED &&
		   !has_report(j->said)) {
		refused++;
	} else {
		bad++;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			printf("FAIL %s seed %llu: not done within %u s\n", name,
			    (unsigned long long)j->seed, limit);
		else if (WIFSIGNALED(status))
			printf("FAIL %s seed %llu: signal %d\n", name,
			    (unsigned long long)j->seed, WTERMSIG(status));
		else
			printf("FAIL %s seed %llu: status %d\n", name,
			    (unsigned long long)j->seed, WEXITSTATUS(status));
		show(j->said);
	}
	unlink(j->file);
	unlink(j->said);
	j->pid = 0;
}

static void
load(const char *file)
{
	struct stat st;
	int fd = open(file, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0) {
		perror(file);
		exit(2);
	}
	image_len = (size_t)st.st_size;
	image = mmap(NULL, image_len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED) {
		perror(file);
		exit(2);
	}
	close(fd);
	corrupt_look(image, image_len, &hot);
}

int
main(int argc, char **argv)
{
	unsigned count = 200, njobs = 2, running = 0;
	uint64_t seed = 1, next;
	struct job jobs[16] = {{0}};
	int o, status;

	while ((o = getopt(argc, argv, "wn:s:t:l:j:")) != -1) {
		switch (o) {
		case 'w':
			writes = true;
			break;
		case 'n':
			count = (unsigned)atoi(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			type = optarg;
			break;
		case 'l':
			limit = (unsigned)atoi(optarg);
			break;
		case 'j':
			njobs = (unsigned)atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 3 || njobs < 1 || njobs > 16) {
		fprintf(stderr, "usage: p-hostile [-w] [-n COUNT] [-s SEED] [-t TYPE] "
				"[-l SECONDS] [-j JOBS] NAME IMAGE DIR\n");
		return 2;
	}
	load(argv[optind + 1]);
	ukfs_init();
	/* So that not every child does. */
	if (getenv("UKFS_MODULES"))
		(void)ukfs_modload_dir(getenv("UKFS_MODULES"));
	for (next = seed; next < seed + count || running > 0;) {
		unsigned i;
		pid_t pid;

		for (i = 0; i < njobs && next < seed + count; i++) {
			if (jobs[i].pid == 0) {
				start(&jobs[i], argv[optind + 2], i, next++);
				running++;
			}
		}
		pid = waitpid(-1, &status, 0);
		for (i = 0; i < njobs; i++) {
			if (pid > 0 && jobs[i].pid == pid) {
				finish(&jobs[i], argv[optind], status);
				running--;
			}
		}
	}
	printf(
	    "figure %s%s: %u images: %u mounted, %u refused, %u failed; the slowest took "
	    "%.1f s (seed %llu)\n",
	    argv[optind], writes ? ", written" : "", count, mounted, refused, bad,
	    slowest, (unsigned long long)slowest_seed);
	return bad > 0;
}
