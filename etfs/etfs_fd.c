/*
 * The fds of nodes: as many as allowed, and how to get one back.
 *
 * A node is used through an O_PATH fd, but there are more nodes than fds.  Each shard
 * keeps a list of its nodes with an fd, the one used last first, and closes from the
 * other end when it has more than its share.  A user pins the fd; pinned ones stay.  So
 * the number of fds is bounded by eo_fd_max, plus what is in use at the moment, plus the
 * files that are open.
 *
 * An open file's fd serves its node too.  That saves fds, and it keeps a file usable that
 * was unlinked while open.  An open file that is closed while its fd is borrowed is freed
 * by the borrower.
 *
 * Getting an fd back: by file handle where that is possible; the handle is taken when the
 * fd is closed for the first time.  Else a key's root by its host path, a followed link's
 * directory by way of the directory itself, and any other node by its name in its parent,
 * and what is found must be the same file (device, inode, birth time): else ESTALE.
 *
 * When the process or the system runs out of fds, fds_shrink() closes all that are not
 * pinned, and the call is made again (WITH_FDS).
 *
 * A directory is pinned by whoever does anything in or to it, so that is where it is made
 * sure that the host has not moved it out of the key (etfs_inside.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

static void
list_del(struct etfs_shard *sh, struct enode *n)
{
	if (n->n_prev)
		n->n_prev->n_next = n->n_next;
	else
		sh->sh_head = n->n_next;
	if (n->n_next)
		n->n_next->n_prev = n->n_prev;
	else
		sh->sh_tail = n->n_prev;
	n->n_prev = n->n_next = NULL;
	n->n_listed = false;
	sh->sh_nfds--;
}

static void
list_add(struct etfs_shard *sh, struct enode *n)
{
	n->n_prev = NULL;
	n->n_next = sh->sh_head;
	if (sh->sh_head)
		sh->sh_head->n_prev = n;
	else
		sh->sh_tail = n;
	sh->sh_head = n;
	n->n_listed = true;
	sh->sh_nfds++;
}

void
node_give_fd_locked(struct etfs_shard *sh, struct enode *n, int *fd)
{
	if (n->n_fd >= 0 || *fd < 0)
		return;
	n->n_fd = *fd;
	*fd = -1;
	list_add(sh, n);
}

int
node_take_fd_locked(struct etfs_shard *sh, struct enode *n)
{
	int fd = n->n_fd;

	if (n->n_listed)
		list_del(sh, n);
	n->n_fd = -1;
	return fd;
}

/* Where the node is to be looked for by name: its parent with a reference, and the name,
 * or -ESTALE if that is not known. */
static int
last_seen(struct enode *n, struct enode **ret_parent, char name[NAME_LEN_MAX + 1])
{
	struct etfs_shard *sh = node_shard(n);
	struct vnode *parent = NULL;
	bool named;

	if (n->n_vn.v_type == VDIR) {
		lk_read(&n->n_vn.v_lock, LK_DIR);
		if (n->n_vn.v_parent)
			parent = vn_ref(n->n_vn.v_parent);
		lk_unlock(&n->n_vn.v_lock, LK_DIR);
	}
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (n->n_parent && !parent)
		parent = vn_ref(&n->n_parent->n_vn);
	named = n->n_name != NULL;
	if (named)
		strcpy(name, n->n_name);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (!parent || !named) {
		if (parent)
			vn_unref(parent);
		return -ESTALE;
	}
	*ret_parent = node_of(parent);
	return 0;
}

/* O_PATH, by name or path; what is found is not checked yet. */
static int
open_again(struct enode *n)
{
	struct etfs *e = key_of(n)->k_etfs;
	AUTO_NODE parent = NULL;
	AUTO_PIN pin = {.p_fd = -1};
	char name[NAME_LEN_MAX + 1];
	int r;

	if (node_is_root(n))
		return WITH_FDS(e, hc_open_root(key_of(n)->k_host, O_PATH));
	if (n->n_real) {
		r = node_pin(n->n_real, &pin);
		return r < 0 ? r : WITH_FDS(e, hc_reopen(pin.p_fd, O_PATH));
	}
	r = last_seen(n, &parent, name);
	if (r == 0)
		r = node_pin(parent, &pin);
	if (r < 0)
		return r;
	return WITH_FDS(e, hc_open_beneath(pin.p_fd, name, O_PATH, 0));
}

/* An O_PATH fd of the node's file, by whatever way there is. */
static int
node_reopen(struct enode *n, const struct hc_handle *handle)
{
	struct etfs *e = key_of(n)->k_etfs;
	struct hc_stat hs;
	int fd, r;

	if (handle)
		return WITH_FDS(e, hc_handle_open(n->n_fs->hf_mount_fd, handle, O_PATH));
	fd = open_again(n);
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return -ESTALE;
	if (fd < 0)
		return fd;
	r = hc_stat(fd, &hs);
	if (r == 0 && !node_same(n, &hs, fd))
		r = -ESTALE;
	if (r < 0) {
		hc_close(fd);
		return r;
	}
	return fd;
}

/* node_pin() without asking where the directory is. */
static int
pin_anywhere(struct enode *n, struct pin *ret)
{
	struct etfs_shard *sh = node_shard(n);
	struct hc_handle *handle;
	struct efile *ef = NULL;
	int fd = -1;

	for (;;) {
		lk_mutex(&sh->sh_mtx, LK_LEAF);
		node_give_fd_locked(sh, n, &fd);
		ef = n->n_fd < 0 ? n->n_files : NULL;
		if (n->n_fd >= 0 || ef)
			break;
		handle = n->n_handle;
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
		fd = node_reopen(n, handle);
		if (fd < 0)
			return fd;
	}
	if (ef) {
		ef->ef_pins++;
	} else {
		n->n_pins++;
		if (sh->sh_head != n) {
			list_del(sh, n);
			list_add(sh, n);
		}
	}
	*ret = (struct pin){n, ef, ef ? ef->ef_fd : n->n_fd};
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	hc_close(fd);
	return 0;
}

int
node_pin(struct enode *n, struct pin *ret)
{
	AUTO_PIN pin = {.p_fd = -1};
	int r = pin_anywhere(n, &pin);

	if (r == 0 && n->n_vn.v_type == VDIR)
		r = node_inside(n, pin.p_fd);
	if (r == 0) {
		*ret = pin;
		pin.p_node = NULL;
	}
	return r;
}

void
node_unpin(struct pin *p)
{
	struct enode *n = p->p_node;
	struct etfs *e;
	struct etfs_shard *sh;
	bool last = false, over;

	if (!n)
		return;
	e = key_of(n)->k_etfs;
	sh = node_shard(n);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (p->p_file)
		last = --p->p_file->ef_pins == 0 && p->p_file->ef_closed;
	else
		n->n_pins--;
	over = sh->sh_nfds > e->e_shard_fds;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (last) {
		hc_close(p->p_file->ef_fd);
		free(p->p_file);
	}
	if (over)
		shard_trim(e, sh, e->e_shard_fds);
	p->p_node = NULL;
}

void
hold_name(struct enode *d, int dirfd, const struct name *n, struct enode **ret_node,
    struct pin *ret)
{
	struct etfs_key *k = key_of(d);
	struct hc_stat hs;

	if (!atomic_load_explicit(&k->k_etfs->e_unopened, memory_order_relaxed) ||
	    hc_stat_beneath(dirfd, n->n_ptr, &hs) < 0 || S_ISDIR(hs.hs_mode))
		return;
	*ret_node = node_find(k, &hs, 0);
	if (*ret_node)
		(void)node_pin(*ret_node, ret);
}

/* Whether the node's fd may be closed: nobody uses it, and there is a way back. */
static bool
closable_locked(const struct enode *n)
{
	if (n->n_pins)
		return false;
	return n->n_handle || n->n_fs->hf_mount_fd >= 0 || node_is_root(n) || n->n_real ||
	       n->n_name;
}

/* The node that was used longest ago, of those whose fd may be closed, with a reference
 * and a pin. */
static struct enode *
victim_locked(struct etfs_shard *sh, unsigned keep)
{
	struct enode *n;

	if (sh->sh_nfds <= keep)
		return NULL;
	for (n = sh->sh_tail; n; n = n->n_prev)
		if (closable_locked(n) && vn_ref_live(&n->n_vn)) {
			n->n_pins++;
			return n;
		}
	return NULL;
}

/* Without a name on the host, and maybe in use without an open file that would keep it. */
static bool
hangs_on_fd(const struct enode *n)
{
	struct hc_stat hs;

	return atomic_load_explicit(
		   &key_of(n)->k_etfs->e_unopened, memory_order_relaxed) &&
	       hc_stat(n->n_fd, &hs) == 0 && hs.hs_nlink == 0;
}

/* Closes the victim's fd.  False: there turned out to be no way back, so it stays. */
static bool
evict(struct etfs_shard *sh, struct enode *n)
{
	struct hc_handle *h = NULL;
	bool take = !n->n_handle && n->n_fs->hf_mount_fd >= 0;
	bool last = hangs_on_fd(n);
	int fd = -1, r = 0;

	/* The pin keeps n_fd, and only evict() sets n_handle. */
	if (last)
		r = -EBUSY;
	else if (take)
		r = hc_handle_get(n->n_fd, &h);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (h && !n->n_handle) {
		n->n_handle = h;
		h = NULL;
	}
	n->n_pins--;
	if (last || (r < 0 && !node_is_root(n) && !n->n_real && !n->n_name)) {
		/* Out of the way of the search; it comes round again. */
		list_del(sh, n);
		list_add(sh, n);
	} else if (n->n_pins == 0) {
		fd = node_take_fd_locked(sh, n);
		r = 0;
	}
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	free(h);
	hc_close(fd);
	vn_unref(&n->n_vn);
	return r == 0;
}

void
shard_trim(struct etfs *e, struct etfs_shard *sh, unsigned keep)
{
	struct enode *n;

	/* The caller's own node may be the last of its key, and e go with it. */
	atomic_fetch_add(&e->e_ref, 1);
	do {
		lk_mutex(&sh->sh_mtx, LK_LEAF);
		n = victim_locked(sh, keep);
		lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	} while (n && evict(sh, n));
	etfs_unref(e);
}

void
fds_shrink(struct etfs *e)
{
	for (unsigned i = 0; i < ETFS_NSHARDS; i++)
		shard_trim(e, &e->e_shard[i], 0);
}

int
efile_open(struct enode *n, int *fd, size_t size, struct file *f)
{
	struct etfs_shard *sh = node_shard(n);
	struct efile *ef = calloc(1, size);

	if (!ef)
		return -ENOMEM;
	ef->ef_node = n;
	ef->ef_fd = *fd;
	*fd = -1;
	f->f_fd = ef->ef_fd;
	f->f_priv = ef;
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	ef->ef_next = n->n_files;
	if (n->n_files)
		n->n_files->ef_prev = ef;
	n->n_files = ef;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (n->n_vn.v_type == VREG && (f->f_flags & O_ACCMODE) != O_RDONLY)
		share_open(ef);
	else if (f->f_flags & O_TRUNC)
		share_changed(n);
	return 0;
}

void
efile_close(struct file *f)
{
	struct efile *ef = f->f_priv;
	struct enode *n = ef->ef_node;
	struct etfs_shard *sh = node_shard(n);
	bool last;

	if (ef->ef_writes)
		share_close(ef);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (ef->ef_prev)
		ef->ef_prev->ef_next = ef->ef_next;
	else
		n->n_files = ef->ef_next;
	if (ef->ef_next)
		ef->ef_next->ef_prev = ef->ef_prev;
	ef->ef_closed = true;
	last = ef->ef_pins == 0;
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	f->f_fd = -1;
	f->f_priv = NULL;
	if (last) {
		hc_close(ef->ef_fd);
		free(ef);
	}
}
