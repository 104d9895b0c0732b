/*
 * A configuration applied: a namespace with the in-memory tree, the declared nodes and
 * the keys.
 *
 * Nodes and keys are made in the order of their depth, and in the order of the files
 * within one, so that what lies above is there first.  A node whose directory is in
 * memory is made in it; one whose directory is the host's is laid over it (vfs/mount.h),
 * so that nothing is ever created on the host by a declaration.
 *
 * Errors are logged, each with its FILE:LINE and section, and none stops the rest.
 */
#ifndef RF_DAEMON_APPLY_H
#define RF_DAEMON_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "etfs/etfs.h"
#include "vfs/mount.h"
#include "vfs/ukfs/image.h"

struct options;

struct space {
	struct vfs sp_vfs;
	struct etfs *sp_etfs;
	char **sp_laid; /* paths of the nodes that are laid over host directories */
	size_t sp_nlaid;
	struct image **sp_images; /* in the order in which they were mounted */
	size_t sp_nimages;
	bool sp_rdonly;          /* c: the whole of it */
	uint32_t sp_uid, sp_gid; /* c: of the root, and of what has no other owner */
};

/* Reads the configuration file, if any, and the -k keys of o.  file is what messages call
 * it.  NULL after error messages. */
struct conf *apply_load(const struct options *o, const char *file);

/* Makes the namespace that c declares.  check: only to see whether it could be: range
 * locks are not taken.  0, or an exit code after error messages; *sp is then empty. */
int space_new(struct space *sp, const struct conf *c, bool rdonly, bool check);
/* No request may be running.  -errno: an image could not be written back, which has been
 * logged; all has gone nevertheless. */
int space_done(struct space *sp);

/* Registers the key ce.  0 or -errno, with its error message logged. */
int apply_key(struct etfs *e, const struct conf_etfs *ce);
/* Mounts the image cm; it is the last of sp_images then.  The same. */
int apply_mount(struct space *sp, const struct conf_mount *cm);

/* Are there windows with bytes in common, one of them writable? */
bool space_overlaps(struct space *sp);
/* Can contents change behind the kernel: is there a key that is a living file or a
 * directory, or that is not there as yet, or do windows overlap? */
bool space_is_live(struct space *sp);

/* rumpfuse --check: the table of keys on stdout, warnings on stderr. */
void space_print(struct space *sp, const struct conf *c);

#endif
