/*
 * Declared nodes (nodes.h): the table of them, and making them.
 */
#include "daemon/nodes.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "daemon/apply.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

static void
declared_free(void *p)
{
	struct declared *dc = p;

	free(dc->dc_path);
	free(dc);
}

/* In byte order, where "/a/…" are all between "/a/" and "/a0". */
static int
path_order(const void *a, const void *b, void *arg)
{
	(void)arg;
	return strcmp(a, b);
}

void
nodes_init(struct nodes *ns)
{
	ns->ns_all = g_tree_new_full(path_order, NULL, NULL, declared_free);
}

static int
deepest_first(const void *a, const void *b)
{
	size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

	return (x < y) - (x > y);
}

static void
lift(struct space *sp, const char *path)
{
	struct attach *at;

	if (vfs_detach(&sp->sp_vfs, path, &at) < 0)
		return;
	if (at->at_vp)
		vn_unref(at->at_vp);
	free(at->at_path);
	free(at);
}

void
nodes_done(struct space *sp)
{
	GTree *all = sp->sp_nodes.ns_all;
	GPtrArray *laid = g_ptr_array_new();

	for (GTreeNode *n = g_tree_node_first(all); n; n = g_tree_node_next(n)) {
		const struct declared *dc = g_tree_node_value(n);

		if (dc->dc_laid)
			g_ptr_array_add(laid, dc->dc_path);
	}
	g_ptr_array_sort(laid, deepest_first);
	for (guint i = 0; i < laid->len; i++)
		lift(sp, laid->pdata[i]);
	g_ptr_array_free(laid, TRUE);
	g_tree_destroy(all);
	sp->sp_nodes.ns_all = NULL;
}

const struct declared *
nodes_find(const struct space *sp, const char *path)
{
	return g_tree_lookup(sp->sp_nodes.ns_all, path);
}

/* What a [section] says, as the vnode layer wants it. */
static void
say_make(const struct conf_node *cn, struct vmake *mk)
{
	memset(mk, 0, sizeof(*mk));
	mk->vm_mode = cn->cn_set_mode ? cn->cn_mode : cn->cn_kind == CK_DIR ? 0755 : 0644;
	switch (cn->cn_kind) {
	case CK_DIR:
		mk->vm_type = VDIR;
		break;
	case CK_FILE:
		mk->vm_type = VREG;
		break;
	case CK_SYMLINK:
		mk->vm_type = VLNK;
		mk->vm_mode = 0777;
		mk->vm_target = cn->cn_target;
		break;
	case CK_NODE:
		mk->vm_type = cn->cn_type == 'c'   ? VCHR
		              : cn->cn_type == 'b' ? VBLK
		              : cn->cn_type == 'p' ? VFIFO
		                                   : VSOCK;
		mk->vm_rdev = makedev(cn->cn_major, cn->cn_minor);
		break;
	case CK_WHITEOUT: /* Linux's form: a 0:0 character device */
		mk->vm_type = VCHR;
		mk->vm_mode = 0;
		break;
	}
}

/* As declared. */
static void
say_cred(const struct space *sp, const struct conf_node *cn, struct cred *cr)
{
	*cr = (struct cred){
	    .cr_uid = cn->cn_set_uid ? cn->cn_uid : sp->sp_uid,
	    .cr_gid = cn->cn_set_gid ? cn->cn_gid : sp->sp_gid,
	};
}

const char *
node_words(int r)
{
	return r == -ENOTDIR  ? "a component of the path is not a directory"
	       : r == -ENOSPC ? "no room in the in-memory tree ([rumpfs] size, inodes)"
	       : r == -EEXIST ? "something that users have made is in the way"
	       : r == -EBUSY  ? "its path leads through a name that is hidden or missing"
	                      : strerror(-r);
}

int
node_make(struct space *sp, const struct conf_node *cn, struct vnode **ret_vp)
{
	struct mount *mem = sp->sp_vfs.vfs_mem_root->v_mount;
	AUTO_VNODE vp = NULL;
	struct etfs_why why = {{0}};
	struct vmake mk;
	struct cred cr;
	size_t done;
	int r;

	say_make(cn, &mk);
	say_cred(sp, cn, &cr);
	r = rumpfs_node_new(mem, &mk, &cr, &vp);
	if (r == 0 && cn->cn_host_copy) {
		r = etfs_copy_in(cn->cn_host_copy, vp, &why);
		if (r < 0) {
			apply_complain(&cn->cn_where, LOG_ERR,
			    why.ew_text[0] ? why.ew_text : strerror(-r));
			return EXIT_OBJECT;
		}
	} else if (r == 0 && cn->cn_content) {
		r = vop_write_whole(
		    vp, NULL, cn->cn_content, cn->cn_content_len, 0, false, &done);
	}
	if (r < 0) {
		apply_complain(&cn->cn_where, LOG_ERR, node_words(r));
		return EXIT_CONFIG;
	}
	rumpfs_unname(vp);
	*ret_vp = vp;
	vp = NULL;
	return 0;
}
