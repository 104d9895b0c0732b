/*
 * The images of a namespace: what [mount] sections declare (vfs/ukfs/image.h).
 *
 * They are kept in the order in which they were mounted, in which none comes before what it
 * lies on; they are unmounted in the opposite one.  All calls are for threads that serve no
 * request, one at a time: at first the main thread, then the manager, at the end the main
 * thread again.
 *
 * Trying.  Where a namespace is only tried beside one that runs, an image that is mounted
 * there and stays as it is, one whose bytes are being written there, and what lies on one of
 * these, cannot be looked at: an empty directory stands in for it.
 */
#ifndef RF_DAEMON_IMAGES_H
#define RF_DAEMON_IMAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "vfs/ukfs/image.h"

struct space;

struct mounted {
	struct image *md_image;
	int md_error; /* of writing it back last */
	char
	    *md_device; /* what its table row says: of the tree or of the host, or NULL */
	bool md_blank;  /* an empty directory stands in for it */
};

struct images {
	struct mounted *is_all;
	size_t is_n;
	int is_error; /* of writing one back that is not mounted any more */
};

/* Mounts what cm says.  0 or -errno, with its error message logged. */
int images_mount(struct space *sp, const struct conf_mount *cm);
/* Unmounts the one at this path.  0; -ENOENT: none is; or -errno, logged: it is still there.
 * An error of writing it back is logged and kept for images_end(). */
int images_unmount(struct space *sp, const char *path);
/* The image at this path, or NULL. */
const struct mounted *images_find(const struct space *sp, const char *path);
/* Writes all back that has been changed; errors are logged. */
void images_sync(struct space *sp);
/* Every change in them is EROFS from here on, and what was changed is written back; or no
 * longer, but in those that were mounted read-only. */
void images_set_rdonly(struct space *sp, bool rdonly);
/* Can any be written? */
bool images_writable(const struct space *sp);
/* Unmounts all, whoever uses them, and leaves them clean.  No request may be running.  0, or
 * the error of writing one back. */
int images_end(struct space *sp);

/* rumpfuse --types: what vfs = can say, on stdout. */
void images_print_types(void);

#endif
