/*
 * File systems for tests of libukfs, by ukfs.h alone.
 *
 * T_TYPE says on which type the cases of a program run.  fresh() mounts an empty one; at the
 * end of the scope it is released, which must succeed, and an image is checked by the tool
 * of its format.
 */
#ifndef RF_T_UKFS_H
#define RF_T_UKFS_H

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/t.h"
#include "vfs/ukfs/ukfs.h"

extern char **environ;

/* Runs a program without a word from it; its exit status. */
static inline int
run(const char *const argv[])
{
	posix_spawn_file_actions_t fa;
	int st = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &fa, NULL, (char **)(uintptr_t)argv, environ) ==
	    0)
		waitpid(pid, &st, 0);
	posix_spawn_file_actions_destroy(&fa);
	return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* The modules of the build that this program belongs to. */
__attribute__((constructor)) static void
find_modules(void)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	for (int i = 0; n > 0 && i < 2; i++) {
		exe[n] = '\0';
		n = strrchr(exe, '/') - exe;
	}
	exe[n > 0 ? n : 0] = '\0';
	setenv("UKFS_MODULES", exe, 0);
	/* mke2fs is where root's programs are. */
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

static inline bool
have_type(const char *type)
{
	char all[1024], want[64];

	all[0] = ' ';
	if (ukfs_vfstypes(all + 1, sizeof(all) - 2) < 0)
		return false;
	strcat(all, " ");
	snprintf(want, sizeof(want), " %s ", type);
	return strstr(all, want) != NULL;
}

#ifdef T_TYPE
#include "tests/t-tmp.h"

static struct tmp t_media;
static char t_image[96];

static bool
on_image(void)
{
	return strcmp(T_TYPE, "rumpfs") != 0;
}

static void
media_done(void)
{
	tmp_done(&t_media);
}

/* An empty image of T_TYPE. */
static bool
new_image(void)
{
	if (!t_image[0]) {
		t_media = tmp_new("/dev/shm");
		snprintf(t_image, sizeof(t_image), "%s/image", t_media.path);
		atexit(media_done);
	}
	unlink(t_image);
	return RUN("truncate", "-s", "24M", t_image) == 0 &&
	       RUN("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", t_image) == 0;
}

static struct ukfs *
again(int flags)
{
	return ukfs_mount(T_TYPE, on_image() ? t_image : NULL, "/mnt", flags, NULL, 0);
}

static struct ukfs *
fresh(void)
{
	struct ukfs *fs;

	if (on_image() && !new_image())
		return NULL;
	fs = again(0);
	if (!fs)
		printf("%s\n", ukfs_why());
	else if (on_image() && ukfs_rmdir(fs, "/lost+found") < 0)
		perror("lost+found");
	return fs;
}

static void
fs_done(struct ukfs **fs)
{
	if (!*fs)
		return;
	CHECK_EQ(ukfs_release(*fs, 0), 0);
	if (on_image())
		CHECK_EQ(RUN("e2fsck", "-fn", t_image), 0);
	*fs = NULL;
}

/* Skips the case where there is no such type. */
#define FRESH(fs)                                                                    \
	__attribute__((cleanup(fs_done))) struct ukfs *fs = NULL;                    \
	REQUIRE(ukfs_init() == 0);                                                   \
	if (!have_type(T_TYPE) || (on_image() && access("/sbin/mke2fs", X_OK) != 0)) \
		SKIP("no type " T_TYPE ", or nothing to make an image of");          \
	fs = fresh();                                                                \
	REQUIRE(fs)

#endif

/* -1 with this errno. */
#define FAILS(call, e)                                                           \
	do {                                                                     \
		errno = 0;                                                       \
		long long r_ = (long long)(call);                                \
		int e_ = errno;                                                  \
		if (r_ != -1 || e_ != (e)) {                                     \
			printf("%s:%d: %s is %lld, %s; expected %s\n", __FILE__, \
			    __LINE__, #call, r_, strerror(e_), #e);              \
			t_bad++;                                                 \
		}                                                                \
	} while (0)

static inline int
put(struct ukfs *fs, const char *path, const char *text)
{
	if (ukfs_create(fs, path, 0644) < 0)
		return -1;
	return ukfs_write(fs, path, 0, text, strlen(text)) == (ssize_t)strlen(text) ? 0
	                                                                            : -1;
}

/* What the file holds, good until the next. */
static inline const char *
text_of(struct ukfs *fs, const char *path)
{
	static _Thread_local char buf[8192];
	ssize_t n = ukfs_read(fs, path, 0, buf, sizeof(buf) - 1);

	if (n < 0)
		return strerror(errno);
	buf[n] = '\0';
	return buf;
}

static inline struct stat
st_of(struct ukfs *fs, const char *path)
{
	struct stat st;

	if (ukfs_lstat(fs, path, &st) < 0)
		memset(&st, 0xff, sizeof(st));
	return st;
}

#endif
