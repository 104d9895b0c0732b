/*
 * Connections that are not like others (fe.h): without opens, and with the kernel writing
 * later.  Both are agreed on with the greeting, and for good.
 *
 * Without opens.  An OPEN that is answered ENOSYS is the last: from then on the kernel opens
 * by itself, after its checks of the mode, keeps pages and listings over opens, and uses the
 * handle 0.  It releases nothing either: what a CREATE has opened is closed at once.
 *
 *   – A request with handle 0 works on the vnode.  What is reached through an open host file
 *     has one for the request (fe_use()).
 *   – A host file's attributes are good for no time, so that the kernel asks at each open;
 *     etfs drops pages then (etfs_unopened()).
 *   – What an open would be refused for is refused to the writing: chattr's flags, a key that
 *     is read-only, the device of an image.
 *   – O_TRUNC is a truncation, which must not be agreed on otherwise: the kernel would empty
 *     its pages and tell nobody.
 *
 * Writing later.  The kernel says what size, mtime and ctime of regular files are, and asks
 * nobody again.
 */
#ifndef RF_DAEMON_FE_MODE_H
#define RF_DAEMON_FE_MODE_H

#include "daemon/fe.h"

/* What comes of what is wanted and what the kernel offers. */
void fe_mode_agree(struct fe *fe, const struct fuse_conn_info *conn);

/* An open file for one request. */
struct fe_use {
	struct file *fu_f; /* NULL: the vnode will do */
	bool fu_once;
};
/* The open file of fi, or what stands for it: flags are what is going to be done with it.  0,
 * to be given to fe_unuse() when the reply is made; -EBADF; or why it cannot be opened. */
int fe_use(struct fe *fe, fuse_req_t req, const struct fuse_file_info *fi,
    struct vnode *vp, int flags, struct fe_use *ret);
/* The same, never NULL. */
int fe_use_file(struct fe *fe, fuse_req_t req, const struct fuse_file_info *fi,
    struct vnode *vp, int flags, struct fe_use *ret);
void fe_unuse(struct fe_use *fu);
/* What was written to host files is to be told now if it went wrong: nothing else will ask.
 * 0 or -errno. */
int fe_use_written(const struct fe *fe, const struct fe_use *fu);

/* How long attributes are good for, as mount_attr_ttl(). */
uint64_t fe_attr_ttl(
    const struct fe *fe, struct vnode *dvp, struct vnode *vp, const struct vattr *va);
/* What is read from vp is not to be kept, which an open would say: NULL, or vp with a reference
 * for fe_mode_was_read() when the reply is made. */
struct vnode *fe_mode_reads(const struct fe *fe, struct vnode *vp);
void fe_mode_was_read(const struct fe *fe, struct vnode *unkept);

#endif
