/*
 * The device that an image file system lies on: a file of the namespace, seen as a fixed
 * array of bytes.
 *
 * It is an open vnode, whatever is behind that: a window of a host file (an etfs key), a
 * file in memory, a file in another image.  Image file systems reach their bytes through
 * here and in no other way.
 *
 * Locking.  All calls may be made from any thread.  None may be made with a ranked lock
 * (lock.h) held, since a host call may be behind it: an image file system is not
 * VOPS_LOCKED and has locks of its own, which rank above everything of its device.
 *
 * Life.  The open file goes with device_close(), or earlier when the namespace ends; from
 * then on everything is -EIO.
 */
#ifndef RF_VFS_IMAGE_DEVICE_H
#define RF_VFS_IMAGE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfs/uio.h"
#include "vfs/vnode.h"

struct device;

/* Opens vp.  That nobody else has it mounted is for the caller to see to (vfs/ukfs/image.c).
 * -EROFS: it cannot be written.  -EINVAL, -EISDIR: not a regular file (device keys are).
 * Else as vop_open. */
int device_open(struct vnode *vp, bool writable, struct device **ret);
/* Takes NULL. */
void device_close(struct device *d);
/* It is used no more, though somebody may still have a vnode of the file system: waits for
 * calls that are under way; later ones are -EIO.  The open file goes now, or, where windows
 * of it may be lent, with device_close().  Takes NULL. */
void device_shut(struct device *d, bool lent);

/* Bytes, as it was opened. */
uint64_t device_size(const struct device *d);
bool device_writable(const struct device *d);

/* All of len bytes or an error: -EIO also where the device ends before (it was cut short
 * behind us, or the image lies about its size). */
int device_read(struct device *d, void *buf, size_t len, uint64_t off);
int device_write(struct device *d, const void *buf, size_t len, uint64_t off);
/* Everything written is with the host's disk when it returns. */
int device_sync(struct device *d, bool datasync);
/* Makes a range read as zeros and gives its room back where that can be done;
 * -EOPNOTSUPP else. */
int device_discard(struct device *d, uint64_t off, uint64_t len);
/*
 * Answers a read of the image's own user with the len bytes at off: a window of the host
 * file where there is one, so that nobody copies, else the bytes in u->uio_buf.  Only for
 * what cannot change under a window that has been lent: read-only mounts.  len is at most
 * u->uio_len.
 */
int device_lend(struct device *d, uint64_t off, size_t len, struct uio *u);

#endif
