/*
 * Data: moving bytes, holes, space, syncing, locks, sizes.
 *
 * All input and output is positional; the file position of an fd is never relied on.
 * Transfers go on after a short one, so that a count that is short says something: the
 * end was reached, or the next byte fails.
 */
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "hostcalls/hc_private.h"

ssize_t
hc_do_pread(int fd, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	/* Once even for no bytes: a bad fd or offset is still an error. */
	do {
		ssize_t n = TEMP_FAILURE_RETRY(
		    pread(fd, (char *)buf + done, len - done, (off_t)(off + done)));
		if (n < 0 && done == 0)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	} while (done < len);
	return (ssize_t)done;
}

static ssize_t
do_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	do {
		ssize_t n = TEMP_FAILURE_RETRY(pwrite(
		    fd, (const char *)buf + done, len - done, (off_t)(off + done)));
		if (n < 0 && done == 0)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	} while (done < len);
	return (ssize_t)done;
}

ssize_t
hc_pread(int fd, void *buf, size_t len, uint64_t off)
{
	HC_ENTER("pread");
	return hc_do_pread(fd, buf, len, off);
}

ssize_t
hc_pwrite(int fd, const void *buf, size_t len, uint64_t off)
{
	HC_ENTER("pwrite");
	return do_pwrite(fd, buf, len, off);
}

ssize_t
hc_append(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	HC_ENTER("append");
	do {
		struct iovec iov = {(char *)(uintptr_t)buf + done, len - done};
		ssize_t n = TEMP_FAILURE_RETRY(pwritev2(fd, &iov, 1, 0, RWF_APPEND));
		if (n < 0 && done == 0)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	} while (done < len);
	return (ssize_t)done;
}

/*
 * Steps over the done bytes of a vector; returns how far into the first element that is
 * left they reach.
 */
static size_t
iov_skip(const struct iovec **iov, int *n, size_t done)
{
	while (*n > 0 && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*n)--;
	}
	return done;
}

/* The caller's vector is not to be changed: an element that was moved in part is finished
 * alone, then the vector goes on behind it. */
ssize_t
hc_preadv(int fd, const struct iovec *iov, int n, uint64_t off)
{
	HC_ENTER("preadv");
	size_t done = 0;

	while (n > 0) {
		ssize_t got = TEMP_FAILURE_RETRY(
		    preadv(fd, iov, n < IOV_MAX ? n : IOV_MAX, (off_t)(off + done)));
		if (got < 0 && done == 0)
			return -errno;
		if (got < 0)
			break;
		size_t part = iov_skip(&iov, &n, (size_t)got);
		done += (size_t)got;
		if (got == 0)
			break;
		if (part == 0)
			continue;
		size_t rest = iov->iov_len - part;
		got = hc_do_pread(fd, (char *)iov->iov_base + part, rest, off + done);
		if (got > 0)
			done += (size_t)got;
		if (got < 0 || (size_t)got < rest)
			break;
		iov++;
		n--;
	}
	return (ssize_t)done;
}

ssize_t
hc_pwritev(int fd, const struct iovec *iov, int n, uint64_t off)
{
	HC_ENTER("pwritev");
	size_t done = 0;

	while (n > 0) {
		ssize_t put = TEMP_FAILURE_RETRY(
		    pwritev(fd, iov, n < IOV_MAX ? n : IOV_MAX, (off_t)(off + done)));
		if (put < 0 && done == 0)
			return -errno;
		if (put < 0)
			break;
		size_t part = iov_skip(&iov, &n, (size_t)put);
		done += (size_t)put;
		if (put == 0)
			break;
		if (part == 0)
			continue;
		size_t rest = iov->iov_len - part;
		put = do_pwrite(fd, (const char *)iov->iov_base + part, rest, off + done);
		if (put > 0)
			done += (size_t)put;
		if (put < 0 || (size_t)put < rest)
			break;
		iov++;
		n--;
	}
	return (ssize_t)done;
}

ssize_t
hc_copy_range(int fd_in, uint64_t off_in, int fd_out, uint64_t off_out, size_t len)
{
	HC_ENTER("copy_range");
	off_t in = (off_t)off_in, out = (off_t)off_out;
	size_t done = 0;

	do {
		ssize_t n = TEMP_FAILURE_RETRY(
		    copy_file_range(fd_in, &in, fd_out, &out, len - done, 0));
		if (n < 0 && done == 0)
			return -errno;
		if (n <= 0)
			break;
		done += (size_t)n;
	} while (done < len);
	return (ssize_t)done;
}

int
hc_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	HC_ENTER("fallocate");
	if (off > INT64_MAX || len > INT64_MAX)
		return -EFBIG;
	return TEMP_FAILURE_RETRY(fallocate(fd, mode, (off_t)off, (off_t)len)) < 0
	           ? -errno
	           : 0;
}

int
hc_seek(int fd, uint64_t off, int whence, uint64_t *ret_off)
{
	HC_ENTER("seek");
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off > INT64_MAX)
		return -ENXIO;
	off_t at = lseek(fd, (off_t)off, whence);
	if (at < 0)
		return -errno;
	*ret_off = (uint64_t)at;
	return 0;
}

int
hc_fsync(int fd, bool datasync)
{
	HC_ENTER("fsync");
	if (TEMP_FAILURE_RETRY(datasync ? fdatasync(fd) : fsync(fd)) < 0)
		return -errno;
	return 0;
}

int
hc_flush(int fd)
{
	int copy;

	HC_ENTER("flush");
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return -errno;
	/* Closed whatever it says; EINTR is no error of the file's. */
	if (close(copy) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int
hc_ioctl(int fd, unsigned long cmd, void *arg)
{
	HC_ENTER("ioctl");
	int r = (int)TEMP_FAILURE_RETRY(ioctl(fd, cmd, arg));
	return r < 0 ? -errno : r;
}

int
hc_size(int fd, uint64_t *ret_size)
{
	HC_ENTER("size");
	struct hc_stat st;
	uint64_t size;

	int err = hc_do_stat(fd, &st);
	if (err)
		return err;
	switch (st.hs_mode & S_IFMT) {
	case S_IFREG:
		*ret_size = st.hs_size;
		return 0;
	case S_IFBLK:
		if (ioctl(fd, BLKGETSIZE64, &size) < 0)
			return -errno;
		*ret_size = size;
		return 0;
	case S_IFDIR:
		return -EISDIR;
	default:
		return -EOPNOTSUPP;
	}
}

int
hc_lock(int fd, int type, uint64_t off, uint64_t len, pid_t *ret_pid)
{
	HC_ENTER("lock");
	if (off > INT64_MAX || len > INT64_MAX)
		return -EINVAL;
	struct flock fl = {
	    .l_type = (short)type,
	    .l_whence = SEEK_SET,
	    .l_start = (off_t)off,
	    .l_len = (off_t)len,
	};
	if (TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_SETLK, &fl)) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return -errno;
	/* The holder may have let go by the time that it is asked for. */
	if (ret_pid) {
		int r = fcntl(fd, F_OFD_GETLK, &fl);
		*ret_pid = r == 0 && fl.l_type != F_UNLCK ? fl.l_pid : 0;
	}
	return -EAGAIN;
}
