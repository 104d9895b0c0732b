/*
 * The mount that commands work on, messages, memory (tool.h).
 */
#include "vfs/ukfs/tool/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"

struct ukfs *tool_fs;
static bool writable;                /* asked for, of tool_fs */
static volatile sig_atomic_t caught; /* a signal that is to end us */

static void
on_signal(int sig)
{
	caught = sig;
}

bool
tool_interrupted(void)
{
	return caught != 0;
}

/* A mount for writing is to be ended in order, whatever comes. */
static void
catch_signals(bool on)
{
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on ? on_signal : SIG_DFL}, old;

	for (unsigned i = 0; i < 3; i++) {
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &sa, NULL);
	}
	signal(SIGPIPE, on ? SIG_IGN : SIG_DFL);
}

/* What ukfs_mount() is to be told besides; NULL: it has been said what is wrong. */
static char *
mount_arg(void)
{
	const char *o = target.tg_options;

	/* Of a label with a comma in it options know nothing. */
	if (target.tg_partition && strchr(target.tg_partition, ',')) {
		int n = table_number();
		if (n < 0)
			return NULL;
		free(target.tg_partition);
		target.tg_partition = xasprintf("%d", n);
	}
	if (!target.tg_partition)
		return xstrdup(o ? o : "");
	return xasprintf(
	    "partition=%s%s%s", target.tg_partition, o ? "," : "", o ? o : "");
}

/* The library's sentence without what only it knows of: where the image is mounted. */
static void
say_why(const char *why)
{
	static const char mount[] = "mount /image from ", at[] = "/image: ";
	size_t n = strlen(target.tg_image);

	if (strncmp(why, mount, sizeof(mount) - 1) == 0)
		why += sizeof(mount) - 1;
	if (strncmp(why, target.tg_image, n) == 0 && strncmp(why + n, ": ", 2) == 0)
		why += n + 2;
	if (strncmp(why, at, sizeof(at) - 1) == 0)
		why += sizeof(at) - 1;
	if (strncmp(why, target.tg_image, n) == 0 && strncmp(why + n, ": ", 2) == 0)
		why += n + 2;
	badf("%s: %s", qm(target.tg_name), why);
}

static int
mount_now(bool writing)
{
	AUTO_FREE char *arg = mount_arg();

	if (!arg)
		return RC_MOUNT;
	if (writing)
		catch_signals(true);
	tool_fs = ukfs_mount(target.tg_type, target.tg_image, "/image",
	    writing ? 0 : UKFS_RDONLY, arg, strlen(arg));
	int err = errno;
	const char *why = ukfs_why();
	if (!tool_fs) {
		if (writing)
			catch_signals(false);
		if (*why)
			say_why(why);
		else
			bad(target.tg_name, err);
		if (err == ENODEV && table_there())
			badf("%s has a partition table; name one: %s:1",
			    qm(target.tg_image), qm(target.tg_image));
		return RC_MOUNT;
	}
	if (*why)
		say_why(why);
	writable = writing;
	img_mounted();
	owner_forget();
	return RC_FINE;
}

int
tool_need(bool writing)
{
	writing = writing && !target.tg_rdonly;
	if (tool_fs && (writable || !writing))
		return RC_FINE;
	int rc = tool_release();
	return rc ? rc : mount_now(writing);
}

int
tool_release(void)
{
	int rc = RC_FINE;

	if (!tool_fs)
		return RC_FINE;
	if (writable && ukfs_sync(tool_fs) < 0)
		rc = bad(target.tg_name, errno);
	if (ukfs_release(tool_fs, 0) != 0) {
		rc = bad(target.tg_name, errno);
		ukfs_release(tool_fs, UKFS_RELFLAG_FORCE);
	}
	tool_fs = NULL;
	if (writable) {
		writable = false;
		int sig = caught;
		catch_signals(false);
		if (sig)
			raise(sig);
	}
	return rc;
}

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("ukfs: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int
badf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return RC_SOME;
}

int
bad(const char *path, int err)
{
	return badf("%s: %s", qm(path), strerror(err < 0 ? -err : err));
}

static void __attribute__((noreturn)) no_memory(void)
{
	fputs("ukfs: out of memory\n", stderr);
	if (tool_fs)
		ukfs_release(tool_fs, UKFS_RELFLAG_FORCE);
	exit(RC_SOME);
}

void *
xmalloc(size_t n)
{
	return xrealloc(NULL, n);
}

void *
xrealloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	if (!q)
		no_memory();
	return q;
}

char *
xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(xmalloc(n), s, n);
}

char *
xasprintf(const char *fmt, ...)
{
	char *s;
	va_list ap;

	va_start(ap, fmt);
	int r = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (r < 0)
		no_memory();
	return s;
}

char *
path_join(const char *dir, const char *name)
{
	size_t a = strlen(dir), b = strlen(name);
	char *s = xmalloc(a + b + 2);

	memcpy(s, dir, a);
	if (a && dir[a - 1] != '/')
		s[a++] = '/';
	memcpy(s + a, name, b + 1);
	return s;
}

char *
path_base(const char *path)
{
	size_t end = strlen(path), begin;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (begin = end; begin && path[begin - 1] != '/';)
		begin--;
	if (begin == end) /* the root */
		begin = 0;
	char *s = xmalloc(end - begin + 1);
	memcpy(s, path + begin, end - begin);
	s[end - begin] = '\0';
	return s;
}
