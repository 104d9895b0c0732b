/*
 * A configuration applied: a namespace with the in-memory tree, the declared nodes and
 * the keys.
 *
 * Nodes, keys and images are made in the order that conf_order() says, so that what lies
 * above is there first, and what an image lies on.  A node whose directory is in
 * memory is made in it; one whose directory is the host's is laid over it (vfs/mount.h),
 * so that nothing is ever created on the host by a declaration.
 *
 * Errors are logged, each with its FILE:LINE and section, and none stops the rest.
 */
#ifndef RF_DAEMON_APPLY_H
#define RF_DAEMON_APPLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "daemon/images.h"
#include "daemon/nodes.h"
#include "etfs/etfs.h"
#include "vfs/mount.h"

struct options;

/* How a namespace is made. */
struct space_how {
	bool sh_rdonly; /* the whole of it */
	/* Only to see whether it could be: no locks are taken, nothing is written. */
	bool sh_check;
	/* Is this image mounted, just so, by the namespace that runs?  Then it is not looked
	 * at again.  NULL: none is. */
	bool (*sh_runs)(const struct conf_mount *cm, void *arg);
	void *sh_arg;
};

/* conf_diag()'s name, and list's, for where added keys come from. */
#define ADDED_FROM "added"

/* Keys that were added while the namespace was served. */
struct added_key {
	char *ak_path;
	char *ak_text; /* of -k */
};
struct added {
	struct added_key *ad_keys;
	size_t ad_n;
};

struct space {
	struct vfs sp_vfs;
	struct etfs *sp_etfs;
	struct space_how sp_how; /* c; sh_rdonly is the manager's */
	uint32_t sp_uid, sp_gid; /* of the root, and of what has no other owner */
	struct nodes sp_nodes;
	struct images sp_images;
	struct added sp_added; /* the manager's */
	/* c once mounted: the kernel writes later (writeback = yes): no key can be there */
	bool sp_writeback;
	atomic_bool sp_unopened; /* a: the kernel does not say what is open */
};

/* Reads the configuration file, if any, the -k keys of o, and those of ad (NULL: none) at
 * whose path nothing is declared.  file is what messages call it.  NULL after error
 * messages. */
struct conf *apply_load(
    const struct options *o, const char *file, const struct added *ad);

/* Was it added?  Else it is declared, in a file or by -k. */
bool added_is(const struct conf_etfs *ce);
/* Forgets those for which goes() is true. */
void added_drop(struct added *ad, bool (*goes)(const char *path, void *arg), void *arg);
void added_done(struct added *ad);

/* Makes the namespace that c declares.  0, or an exit code after error messages; *sp is
 * then empty. */
int space_new(struct space *sp, const struct conf *c, const struct space_how *how);
/* No request may be running.  -errno: an image could not be written back, which has been
 * logged; all has gone nevertheless. */
int space_done(struct space *sp);

/* Registers the key ce.  0 or -errno, with its error message logged. */
int apply_key(struct etfs *e, const struct conf_etfs *ce);
/* Logs "FILE:LINE: [section]: text". */
void apply_complain(const struct conf_where *w, int level, const char *text);

/* Makes all of it read-only; or writable again, but what was declared or mounted read-only.
 * What has been changed in images is written back. */
void space_set_rdonly(struct space *sp, bool rdonly);

/* Are there windows with bytes in common, one of them writable? */
bool space_overlaps(struct space *sp);
/* Can contents change behind the kernel: is there a key that is a living file or a
 * directory, or that is not there as yet, or do windows overlap? */
bool space_is_live(struct space *sp);

/* rumpfuse --check: the table of keys on stdout, warnings on stderr. */
void space_print(struct space *sp, const struct conf *c);

#endif
