/*
 * Opening: roots, names beneath a directory, fds anew, file handles.
 *
 * Containment.  A name is one component; the empty one, "." and anything with a slash are
 * -EINVAL, ".." is -EACCES.  With O_NOFOLLOW that alone keeps a step inside; openat2's
 * RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS make the kernel hold it too.
 *
 * Mount points.  As long as our own mount is known (hc_own_mount()), a step is tried with
 * RESOLVE_NO_XDEV.  If that says a mount point is in the way, the root of what is mounted
 * there is opened as O_PATH, which asks no file system, its device is looked up, and only
 * if it is another's is it opened as wanted, through its fd.  So there is no moment at
 * which the name could come to mean another file.
 */
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "hostcalls/hc_private.h"

/* openat2 refuses flags it does not know, where open(2) ignores them. */
#define OPEN_FLAGS                                                                       \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK |     \
	    O_SYNC | O_DSYNC | O_DIRECT | O_DIRECTORY | O_NOATIME | O_PATH | O_TMPFILE | \
	    O_LARGEFILE)

#define RESOLVE_STEP (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

/* How often openat2's "the tree moved, I could not be sure" is tried again. */
#define OPEN_TRIES 16

void
hc_close(int fd)
{
	if (fd < 0)
		return;
	int saved = errno;
	HC_ENTER_NOFAIL("close");
	/* Never repeated: the fd is gone even if close says EINTR. */
	close(fd);
	errno = saved;
}

int
hc_name_check(const char *name)
{
	if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0)
		return -EINVAL;
	return strcmp(name, "..") == 0 ? -EACCES : 0;
}

/* flags as the kernel wants them with O_NOFOLLOW. */
static int
clean_flags(int flags)
{
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY;
	return (flags & OPEN_FLAGS) | O_NOFOLLOW | O_CLOEXEC;
}

static bool
makes_file(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* One step, as far as the kernel can guard it. */
static int
open_step(int dirfd, const char *name, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
	    .flags = (uint64_t)(unsigned)flags,
	    .mode = makes_file(flags) ? mode & 07777 : 0,
	    .resolve = resolve,
	};

	if (!hc_g.g_has.hf_openat2) {
		int fd =
		    (int)TEMP_FAILURE_RETRY(openat(dirfd, name, flags, mode & 07777));
		return fd < 0 ? -errno : fd;
	}
	for (int tries = 0;;) {
		int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
		if (fd >= 0)
			return fd;
		int err = errno;
		if (err != EINTR && (err != EAGAIN || ++tries == OPEN_TRIES))
			return -err;
	}
}

/* The same for a name that may be a mount point, perhaps our own. */
static int
open_across(int dirfd, const char *name, int flags, mode_t mode)
{
	struct hc_stat st;

	AUTO_FD path =
	    open_step(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_STEP);
	/* Nothing is mounted on what is not there. */
	if (path == -ENOENT && (flags & O_CREAT))
		return open_step(dirfd, name, flags, mode, RESOLVE_STEP);
	if (path < 0)
		return path == -EXDEV ? -EACCES : path;
	int err = hc_refuse_own(path);
	if (err)
		return err;
	if ((flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (flags & O_CREAT) {
		err = hc_do_stat(path, &st);
		if (err)
			return err;
		if (S_ISDIR(st.hs_mode))
			return -EISDIR;
	}
	return hc_do_reopen(path, flags, mode);
}

int
hc_do_open_beneath(int dirfd, const char *name, int flags, mode_t mode)
{
	int err = hc_name_check(name);
	if (err)
		return err;

	flags = clean_flags(flags);
	bool own = atomic_load_explicit(&hc_g.g_own_dev, memory_order_relaxed) != 0;
	if (own && !hc_g.g_has.hf_openat2)
		return open_across(dirfd, name, flags, mode);
	int fd = open_step(dirfd, name, flags, mode,
	    own ? RESOLVE_STEP | RESOLVE_NO_XDEV : RESOLVE_STEP);
	if (fd != -EXDEV)
		return fd;
	return own ? open_across(dirfd, name, flags, mode) : -EACCES;
}

int
hc_open_beneath(int dirfd, const char *name, int flags, mode_t mode)
{
	HC_ENTER("open_beneath");
	return hc_do_open_beneath(dirfd, name, flags, mode);
}

int
hc_open_tmpfile(int dirfd, int flags, mode_t mode)
{
	HC_ENTER("open_tmpfile");
	/* "." of an fd that may be O_PATH: the directory itself, and nothing is followed. */
	int fd = (int)TEMP_FAILURE_RETRY(openat(dirfd, ".",
	    (flags & (O_ACCMODE | O_EXCL | O_SYNC | O_DSYNC)) | O_TMPFILE | O_CLOEXEC,
	    mode & 07777));
	return fd < 0 ? -errno : fd;
}

int
hc_do_reopen(int fd, int flags, mode_t mode)
{
	struct hc_fd_name fn;

	/* The last component is a link in /proc, to be followed.  The file is there, so
	 * that there is nothing to create; O_EXCL alone has a meaning for a block device.
	 */
	flags = clean_flags(flags) & ~O_NOFOLLOW;
	if (flags & O_CREAT)
		flags &= ~(O_CREAT | O_EXCL);
	hc_fd_name(&fn, fd);
	int got = (int)TEMP_FAILURE_RETRY(
	    openat(hc_g.g_proc_fd, hc_fd_rel(&fn), flags, mode & 07777));
	return got < 0 ? -errno : got;
}

int
hc_reopen(int fd, int flags)
{
	HC_ENTER("reopen");
	return hc_do_reopen(fd, flags, 0);
}

int
hc_open_root(const char *path, int flags)
{
	HC_ENTER("open_root");
	int fd;

	flags &= ~O_CREAT;
	if (atomic_load(&hc_g.g_own_dev) == 0) {
		fd = (int)TEMP_FAILURE_RETRY(open(path, flags | O_CLOEXEC));
		return fd < 0 ? -errno : fd;
	}
	AUTO_FD at = (int)TEMP_FAILURE_RETRY(
	    open(path, O_PATH | O_CLOEXEC | (flags & (O_DIRECTORY | O_NOFOLLOW))));
	if (at < 0)
		return -errno;
	int err = hc_refuse_own(at);
	if (err)
		return err;
	return hc_do_reopen(at, flags, 0);
}

int
hc_handle_get(int fd, struct hc_handle **ret_handle)
{
	HC_ENTER("handle_get");
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.fh = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id;

	if (!hc_g.g_has.hf_handles)
		return -EOPNOTSUPP;
	if (name_to_handle_at(fd, "", &h.fh, &mount_id, AT_EMPTY_PATH) < 0)
		return errno == EOVERFLOW ? -EOPNOTSUPP : -errno;

	size_t len = h.fh.handle_bytes;
	struct hc_handle *hh = malloc(sizeof(*hh) + len);
	if (!hh)
		return -ENOMEM;
	hh->hh_len = (uint32_t)len;
	hh->hh_type = h.fh.handle_type;
	memcpy(hh->hh_bytes, h.room + offsetof(struct file_handle, f_handle), len);
	*ret_handle = hh;
	return 0;
}

/* open_by_handle_at wants a real fd to know the file system by; makes one of an O_PATH.
 */
static int
open_mount_fd(int fd)
{
	struct hc_stat st;
	int err = hc_do_stat(fd, &st);
	if (err)
		return err;
	/* Opening anything else could have effects. */
	if (!S_ISDIR(st.hs_mode) && !S_ISREG(st.hs_mode))
		return -EBADF;
	return hc_do_reopen(fd, O_RDONLY | O_NONBLOCK, 0);
}

int
hc_handle_open(int mount_fd, const struct hc_handle *hh, int flags)
{
	HC_ENTER("handle_open");
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.fh = {.handle_bytes = hh->hh_len, .handle_type = hh->hh_type}};
	AUTO_FD real = -1;

	if (!hc_g.g_has.hf_handles)
		return -EOPNOTSUPP;
	if (hh->hh_len > MAX_HANDLE_SZ)
		return -EINVAL;
	memcpy(h.room + offsetof(struct file_handle, f_handle), hh->hh_bytes, hh->hh_len);
	flags = clean_flags(flags) & ~(O_CREAT | O_EXCL);
	int fd = (int)TEMP_FAILURE_RETRY(open_by_handle_at(mount_fd, &h.fh, flags));
	if (fd < 0 && errno == EBADF) {
		real = open_mount_fd(mount_fd);
		if (real < 0)
			return real;
		fd = (int)TEMP_FAILURE_RETRY(open_by_handle_at(real, &h.fh, flags));
	}
	return fd < 0 ? -errno : fd;
}
