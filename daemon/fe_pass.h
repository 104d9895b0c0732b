/*
 * Files that the kernel reads, writes and maps without us (FUSE passthrough).
 *
 * The kernel is handed a host file at opening and uses it until the release.  It asks of
 * all who have one file open at the same time that they have it open in one way: through
 * its own pages, as usual, or all through the same host file.  Else it fails the open.  So
 * the first who opens a file decides for those who come while it is open, and what each has
 * is noted here: from before the open is answered until the release has come, which is
 * longer than the kernel counts it on both sides.
 *
 * Who must join though the file would not be handed out now (a file system that refuses
 * it, or O_APPEND and O_DIRECT: the kernel keeps the flags that the host file was opened
 * with, and fcntl(2) would not change them) is given both: the host file, for mappings, and reading
 * and writing through us, uncached.  But who could map for writing what by now may
 * not be written everywhere (a file that has become append-only) is not let in: a mapping is of
 * the host file and asks nobody, and the kernel takes no other answer.
 *
 * What the kernel does to the host file it does with the rights of the thread that has
 * handed it out.  That thread is nobody for the moment, so that the host takes the set-id
 * bits off what is written, and keeps its reserved blocks to itself.
 */
#ifndef RF_DAEMON_FE_PASS_H
#define RF_DAEMON_FE_PASS_H

#include "daemon/fe.h"

struct fe_passes;

/* What a mount has come to. */
struct fe_pass_stats {
	bool fps_on;          /* the kernel lets us hand files to it */
	uint64_t fps_passed;  /* opens that are without us */
	uint64_t fps_refused; /* files that were offered and not taken */
};

/* How an open is to be answered. */
struct fe_pass_how {
	int32_t ph_backing; /* the number of the host file; 0: as usual */
	bool ph_drop;       /* as usual, but for the pages it has, which are old */
	bool ph_direct;     /* reading and writing are for us; as usual: and no mapping */
};

/* The kernel's side, for tests to replace: the number of the file that fd is of, or -errno;
 * and giving it back. */
struct fe_pass_ops {
	int (*open)(int dev, int fd);
	void (*close)(int dev, int32_t backing);
};

/* NULL: no memory.  ops NULL: the kernel's. */
struct fe_passes *fe_passes_new(const struct fe_pass_ops *ops);
void fe_passes_free(struct fe_passes *ps);
void fe_pass_stats(const struct fe_passes *ps, struct fe_pass_stats *ret);

/* f has just been opened, of the connection that dev is of: how the kernel is to have it.
 * Noted until fe_pass_close(), which comes before vop_close(); answered: the kernel has had it
 * so, and this is the release.  0, or -errno: it is not to be
 * opened (nothing is noted). */
int fe_pass_open(struct fe_passes *ps, int dev, struct file *f, struct fe_pass_how *ret);
void fe_pass_close(struct fe_passes *ps, int dev, struct file *f, bool answered);

/* Is it open to somebody whose writes the kernel does by itself? */
bool fe_pass_is_written(struct fe_passes *ps, const struct vnode *vp);

/* Replies to an open or (e not NULL) a create that the kernel is to have so.  As
 * fuse_reply_open(). */
int fe_pass_reply(fuse_req_t req, const struct fuse_entry_param *e,
    const struct fuse_file_info *fi, const struct fe_pass_how *how);

#endif
