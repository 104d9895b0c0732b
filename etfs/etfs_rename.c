/*
 * Where nodes are in the tree: rename, and keeping their places up to date.
 *
 * A directory's v_parent is for those above etfs (attachments) and for "..".  A node
 * whose fd cannot be got back by file handle also needs the name it was last seen under,
 * and one that is no directory its parent.  Each look-up brings these up to date; so does
 * a rename, which asks the host what now has the new name where anything depends on it.
 *
 * The places are hints: what is found by them is checked to be the same file.
 *
 * Locking: v_parent changes under the namespace's rename mutex (under which whoever
 * attaches walks up) and the directory's own v_lock.  A directory at or below which
 * something is attached keeps its parent.  The host can move directories behind our back
 * so that stale parents would form a circle; such a change is not taken over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

/* Whether n is at or above d; the rename mutex is held. */
static bool
above(const struct enode *n, const struct enode *d)
{
	const struct vnode *vp = &d->n_vn;

	for (; vp && vp->v_mount == n->n_vn.v_mount; vp = vp->v_parent)
		if (vp == &n->n_vn)
			return true;
	return false;
}

static bool
has_parent(struct enode *n, const struct enode *parent)
{
	bool same;

	lk_read(&n->n_vn.v_lock, LK_DIR);
	same = n->n_vn.v_parent == &parent->n_vn;
	lk_unlock(&n->n_vn.v_lock, LK_DIR);
	return same;
}

static void
set_parent(struct enode *n, struct enode *parent)
{
	struct vfs *v = n->n_vn.v_mount->mnt_vfs;
	struct vnode *old = NULL;

	if (has_parent(n, parent))
		return;
	lk_mutex(&v->vfs_rename, LK_RENAME);
	if (atomic_load(&n->n_vn.v_nattach) == 0 && !above(n, parent)) {
		lk_write(&n->n_vn.v_lock, LK_DIR);
		old = n->n_vn.v_parent;
		n->n_vn.v_parent = vn_ref(&parent->n_vn);
		lk_unlock(&n->n_vn.v_lock, LK_DIR);
	}
	lk_mutex_unlock(&v->vfs_rename, LK_RENAME);
	if (old)
		vn_unref(old);
}

/* Whether the name matters: there is no other way to get an fd back, or a link below has
 * to be followed from the directory's own place. */
static bool
needs_name(const struct enode *n)
{
	return n->n_fs->hf_mount_fd < 0 || (n->n_alias && !n->n_real);
}

void
node_placed(struct enode *n, struct enode *parent, const struct name *name)
{
	struct etfs_shard *sh = node_shard(n);
	bool dir = n->n_vn.v_type == VDIR, same;
	struct enode *old_parent = NULL;
	char *copy = NULL;

	if (node_is_root(n))
		return;
	if (dir)
		set_parent(n, parent);
	if (!needs_name(n))
		return;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	same = n->n_name && strcmp(n->n_name, name->n_ptr) == 0 &&
	       (dir || n->n_parent == parent);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (same)
		return;
	/* Without memory the old place stays; at worst that is ESTALE later. */
	copy = strndup(name->n_ptr, name->n_len);
	if (!copy)
		return;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	char *old_name = n->n_name;
	n->n_name = copy;
	if (!dir) {
		old_parent = n->n_parent;
		vn_ref(&parent->n_vn);
		n->n_parent = parent;
	}
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	free(old_name);
	if (old_parent)
		vn_unref(&old_parent->n_vn);
}

/* What is called name in d now gets its place noted, if we know it. */
static void
note_moved(struct enode *d, int dirfd, const struct name *name)
{
	AUTO_NODE n = NULL;
	struct hc_stat hs;

	if (hc_stat_beneath(dirfd, name->n_ptr, &hs) < 0)
		return;
	n = node_find(key_of(d), &hs, d->n_alias);
	if (n)
		node_placed(n, d, name);
}

/* A rename that some node's place may depend on. */
static bool
places_matter(const struct enode *from, const struct enode *to)
{
	return from != to || to->n_fs->hf_mount_fd < 0 || to->n_alias;
}

/* One of the two names; may_lack: it need not be there. */
static int
check_name(struct enode *d, int dirfd, const struct name *n, bool may_lack)
{
	const struct etfs_key *k = key_of(d);
	bool plain = k->k_type == ETFS_DIR;
	struct hc_stat hs;
	int r;

	if (k->k_special && k->k_symlinks != ETFS_SYMLINKS_HIDE && !plain)
		return 0;
	r = hc_stat_beneath(dirfd, n->n_ptr, &hs);
	if (r < 0)
		return r == -ENOENT && may_lack ? 0 : r;
	if (!mode_shown(k, hs.hs_mode))
		return may_lack ? -EEXIST : -ENOENT;
	return plain && S_ISDIR(hs.hs_mode) ? -EPERM : 0;
}

/* The rules of the key, before the host is asked. */
static int
check_rename(struct enode *from, int from_fd, const struct name *fname, struct enode *to,
    int to_fd, const struct name *tname, unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	int r = check_name(from, from_fd, fname, false);

	if (r == 0)
		r = check_name(to, to_fd, tname, !exchange);
	if (r == 0 && (flags & RENAME_WHITEOUT) && !key_of(from)->k_special)
		r = -EPERM; /* what stays behind is a device, as if made by mknod */
	return r;
}

int
etfs_rename(struct vnode *fdvp, const struct name *fname, struct vnode *tdvp,
    const struct name *tname, unsigned flags, const struct cred *cr)
{
	struct enode *from = node_of(fdvp), *to = node_of(tdvp);
	AUTO_OWN own_from = watch_own(from);
	AUTO_OWN own_to = watch_own(to);
	AUTO_NODE there = NULL;
	AUTO_PIN fp = {.p_fd = -1}, tp = {.p_fd = -1}, held = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r;

	if (dir_is_leaf(from))
		return -ENOENT;
	if (dir_is_leaf(to))
		return -EACCES;
	r = node_pin(from, &fp);
	if (r == 0)
		r = node_pin(to, &tp);
	if (r == 0)
		r = check_rename(from, fp.p_fd, fname, to, tp.p_fd, tname, flags);
	if (r == 0)
		hold_name(to, tp.p_fd, tname, &there, &held);
	if (r == 0)
		r = act_as(to, cr, &acting);
	if (r == 0)
		r = hc_rename(fp.p_fd, fname->n_ptr, tp.p_fd, tname->n_ptr, flags);
	act_done(&acting);
	if (r == 0)
		watch_moved(to, tp.p_fd, tname);
	if (r == 0 && (flags & RENAME_EXCHANGE))
		watch_moved(from, fp.p_fd, fname);
	if (r == 0 && places_matter(from, to)) {
		note_moved(to, tp.p_fd, tname);
		if (flags & RENAME_EXCHANGE)
			note_moved(from, fp.p_fd, fname);
	}
	return r;
}
