/*
 * Paths with the root's symbolic links resolved (generator.h).
 *
 * What lies behind a mount point is not asked for: it may be a server that is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/generator/generator.h"

#define LINKS_MAX 40

/* The path itself, on the root's file system: an fd, or -1 with errno. */
static int
open_local(const char *path, int flags)
{
	struct open_how how = {
	    .flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
	    .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

bool
gen_is_local(const char *path)
{
	int fd = open_local(path, 0), err = errno;

	if (fd >= 0)
		close(fd);
	/* One that is not there can be asked for as well. */
	return fd >= 0 || err != EXDEV;
}

/* Where the symbolic link points to, for g_free(); NULL: it is none, or cannot be asked;
 * *ret_there says whether something is there at all. */
static char *
link_target(const char *path, bool *ret_there)
{
	char buf[PATH_MAX];
	ssize_t n = -1;
	int fd = open_local(path, O_NOFOLLOW);

	*ret_there = fd >= 0;
	if (fd < 0)
		return NULL;
	n = readlinkat(fd, "", buf, sizeof(buf));
	close(fd);
	return n > 0 && n < (ssize_t)sizeof(buf) ? g_strndup(buf, (size_t)n) : NULL;
}

char *
gen_resolve(const char *path)
{
	GString *done = g_string_new(NULL), *todo = g_string_new(path);
	bool asking = true;
	int links = 0;

	while (todo->len > 0) {
		size_t had = done->len, skip = strspn(todo->str, "/");
		size_t len = strcspn(todo->str + skip, "/");
		g_autofree char *name = g_strndup(todo->str + skip, len);
		g_autofree char *target = NULL;

		g_string_erase(todo, 0, (gssize)(skip + len));
		if (len == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			const char *slash = strrchr(done->str, '/');

			g_string_truncate(done, slash ? (gsize)(slash - done->str) : 0);
			continue;
		}
		g_string_append_printf(done, "/%s", name);
		if (asking)
			target = link_target(done->str, &asking);
		if (!target || ++links > LINKS_MAX)
			continue;
		g_string_truncate(done, target[0] == '/' ? 0 : had);
		g_string_prepend(todo, "/");
		g_string_prepend(todo, target);
	}
	g_string_free(todo, TRUE);
	if (done->len == 0)
		g_string_append_c(done, '/');
	return g_string_free(done, FALSE);
}

char *
gen_above(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash || slash == path ? g_strdup("/")
	                               : g_strndup(path, (size_t)(slash - path));
}

bool
gen_is_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}
