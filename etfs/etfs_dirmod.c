/*
 * Directory keys: making and removing.
 *
 * Everything is done by the host, as the caller; what was made is then looked up as any
 * other name would be.  What a key does not show can neither be removed (ENOENT) nor
 * made: a fifo, socket or device where special = no, and a symlink where links are
 * hidden or followed, is EPERM.  Creating over a hidden name is EEXIST, which the host
 * says by itself.  In a key of type dir no directories are made (EPERM), and nothing in
 * those that are there (EACCES).
 *
 * Whether a name that is to be removed is hidden costs one more host call, and only
 * where a key hides anything.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etfs/etfs_private.h"

#define CREATE_TRIES 8

/* Whether the key takes such a node at all. */
static int
may_make(struct enode *d, enum vtype t)
{
	const struct etfs_key *k = key_of(d);

	if (dir_is_leaf(d))
		return -EACCES;
	switch (t) {
	case VREG:
		return 0;
	case VDIR:
		return k->k_type == ETFS_DIR ? -EPERM : 0;
	case VLNK:
		return k->k_symlinks == ETFS_SYMLINKS_SHOW ? 0 : -EPERM;
	default:
		return k->k_special ? 0 : -EPERM;
	}
}

/* The mode to ask the host for.  The host is to apply the umask, for it knows of default
 * ACLs; where that cannot be had, what they would grant beyond the umask is lost. */
static uint32_t
host_mode(const struct vmake *mk)
{
	return hc_umask(mk->vm_umask) == 0 ? mk->vm_mode : mk->vm_mode & ~mk->vm_umask;
}

static int
make_on_host(int dirfd, const char *name, const struct vmake *mk)
{
	switch (mk->vm_type) {
	case VDIR:
		return hc_mkdir(dirfd, name, host_mode(mk));
	case VLNK:
		return hc_symlink(mk->vm_target, dirfd, name);
	default:
		return hc_mknod(dirfd, name, vtype_to_ifmt(mk->vm_type) | host_mode(mk),
		    (dev_t)mk->vm_rdev);
	}
}

/* The caller sees a failure, so nothing is to stay behind.  As the caller again, for the
 * name may be another's by now. */
static void
undo_make(
    struct enode *d, int dirfd, const struct name *n, bool dir, const struct cred *cr)
{
	AUTO_ACT acting = false;

	if (act_as(d, cr, &acting) == 0)
		(void)hc_unlink(dirfd, n->n_ptr, dir);
}

int
etfs_make(struct vnode *dvp, const struct name *n, const struct vmake *mk,
    const struct cred *cr, struct vnode **ret_vp)
{
	struct enode *d = node_of(dvp), *made;
	AUTO_OWN own = watch_own(d);
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = may_make(d, mk->vm_type);

	if (r == 0)
		r = node_pin(d, &pin);
	if (r == 0)
		r = act_as(d, cr, &acting);
	if (r == 0)
		r = make_on_host(pin.p_fd, n->n_ptr, mk);
	act_done(&acting);
	if (r < 0)
		return r;
	r = dir_lookup_raw(d, n, &made);
	if (r < 0) {
		undo_make(d, pin.p_fd, n, mk->vm_type == VDIR, cr);
		return r;
	}
	if (made->n_vn.v_type != mk->vm_type) {
		/* Somebody on the host was quicker. */
		vn_unref(&made->n_vn);
		return -ESTALE;
	}
	*ret_vp = &made->n_vn;
	return 0;
}

/* Makes the node of a file that was just made and opened, and fills f with its fd. */
static int
adopt(const struct node_place *pl, int *fd, struct file *f, struct enode **ret)
{
	AUTO_FD path = WITH_FDS(pl->np_key->k_etfs, hc_reopen(*fd, O_PATH));
	AUTO_NODE made = NULL;
	struct hc_stat hs;
	int r = path < 0 ? path : hc_stat(path, &hs);

	if (r == 0)
		r = node_get(pl, &hs, &path, &made);
	if (r == 0)
		r = efile_open(made, fd, sizeof(struct efile), f);
	if (r < 0)
		return r;
	*ret = made;
	made = NULL;
	return 0;
}

/* Makes a file that is not there.  EEXIST: it is. */
static int
create_new(struct enode *d, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct file *f, struct enode **ret)
{
	struct etfs *e = key_of(d)->k_etfs;
	struct node_place pl = {.np_key = key_of(d), .np_parent = d, .np_name = n};
	int how = flags & (O_ACCMODE | O_SYNC | O_DSYNC);
	AUTO_OWN own = watch_own(d);
	AUTO_FD fd = -1;
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = node_pin(d, &pin);

	if (r == 0)
		r = act_as(d, cr, &acting);
	if (r < 0)
		return r;
	fd = WITH_FDS(e, hc_open_beneath(pin.p_fd, n->n_ptr,
			     how | O_CREAT | O_EXCL | O_NOCTTY, host_mode(mk)));
	act_done(&acting);
	if (fd < 0)
		return fd;
	r = adopt(&pl, &fd, f, ret);
	if (r < 0)
		undo_make(d, pin.p_fd, n, false, cr);
	return r;
}

/* A file without a name ends with its fd, so there is nothing to undo. */
int
etfs_tmpfile(struct vnode *dvp, const struct vmake *mk, int flags, const struct cred *cr,
    struct file *f, struct vnode **ret_vp)
{
	struct enode *d = node_of(dvp), *made;
	struct node_place pl = {.np_key = key_of(d), .np_parent = d};
	int how = flags & (O_ACCMODE | O_EXCL | O_SYNC | O_DSYNC);
	AUTO_FD fd = -1;
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = may_make(d, VREG);

	if (r == 0)
		r = node_pin(d, &pin);
	if (r == 0)
		r = act_as(d, cr, &acting);
	if (r < 0)
		return r;
	fd = WITH_FDS(pl.np_key->k_etfs, hc_open_tmpfile(pin.p_fd, how, host_mode(mk)));
	act_done(&acting);
	if (fd < 0)
		return fd;
	r = adopt(&pl, &fd, f, &made);
	if (r == 0)
		*ret_vp = &made->n_vn;
	return r;
}

/* Whether what is opened for the caller is opened as the caller, so that the host says
 * whether he may.  The kernel does not ask where a create opens what is there already. */
static bool
host_judges(const struct cred *cr)
{
	return hc_features()->hf_privileged || cr->cr_uid == geteuid();
}

/* Opens the file that is there.  ENOENT: it is not; ESTALE: the kernel is to look at it,
 * and to ask who may. */
static int
create_existing(struct enode *d, const struct name *n, int flags, const struct cred *cr,
    struct file *f, struct enode **ret)
{
	AUTO_NODE there = NULL;
	int r = dir_lookup_shown(d, n, &there);

	if (r < 0)
		return r;
	if (there->n_vn.v_type == VDIR)
		return -EISDIR;
	if (there->n_vn.v_type != VREG || !host_judges(cr))
		return -ESTALE;
	r = there->n_vn.v_op->open(&there->n_vn, flags, cr, f);
	if (r < 0)
		return r;
	*ret = there;
	there = NULL;
	return 0;
}

/* Opening with O_CREAT alone would open whatever is there, a fifo perhaps; so it is made
 * with O_EXCL, or looked at first and then opened. */
int
etfs_create(struct vnode *dvp, const struct name *n, const struct vmake *mk, int flags,
    const struct cred *cr, struct file *f, struct vnode **ret_vp)
{
	struct enode *d = node_of(dvp), *got = NULL;
	int r = may_make(d, VREG);

	if (r < 0)
		return r;
	for (int i = 0; i < CREATE_TRIES; i++) {
		r = create_new(d, n, mk, flags, cr, f, &got);
		if (r != -EEXIST || (flags & O_EXCL))
			break;
		r = create_existing(d, n, flags & ~(O_CREAT | O_EXCL), cr, f, &got);
		if (r != -ENOENT)
			break;
		/* It has gone since, or it is there and hidden. */
		r = -EEXIST;
	}
	if (r == 0)
		*ret_vp = &got->n_vn;
	return r;
}

int
etfs_link(
    struct vnode *vp, struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	struct enode *d = node_of(dvp), *src = node_of(vp);
	AUTO_OWN own = watch_own(d);
	AUTO_OWN linked = watch_own(src);
	AUTO_PIN pin = {.p_fd = -1}, from = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = may_make(d, VREG);

	if (r == 0)
		r = node_pin(d, &pin);
	if (r == 0)
		r = node_pin(src, &from);
	if (r == 0)
		r = act_as(d, cr, &acting);
	if (r == 0)
		r = hc_link(from.p_fd, pin.p_fd, n->n_ptr);
	act_done(&acting);
	if (r == 0)
		node_placed(src, d, n);
	return r;
}

/* Whether there is such a name in the key. */
static int
check_shown(struct enode *d, int dirfd, const struct name *n)
{
	const struct etfs_key *k = key_of(d);
	struct hc_stat hs;
	int r;

	if (k->k_special && k->k_symlinks != ETFS_SYMLINKS_HIDE)
		return 0;
	r = hc_stat_beneath(dirfd, n->n_ptr, &hs);
	if (r < 0)
		return r;
	return mode_shown(k, hs.hs_mode) ? 0 : -ENOENT;
}

static int
remove_name(struct enode *d, const struct name *n, bool dir, const struct cred *cr)
{
	AUTO_OWN own = watch_own(d);
	AUTO_NODE there = NULL;
	AUTO_PIN pin = {.p_fd = -1}, held = {.p_fd = -1};
	AUTO_ACT acting = false;
	int r = dir_is_leaf(d) ? -ENOENT : node_pin(d, &pin);

	if (r == 0)
		r = check_shown(d, pin.p_fd, n);
	if (r == 0 && dir && key_of(d)->k_type == ETFS_DIR)
		r = -EPERM;
	if (r == 0 && !dir)
		hold_name(d, pin.p_fd, n, &there, &held);
	if (r == 0)
		r = act_as(d, cr, &acting);
	return r < 0 ? r : hc_unlink(pin.p_fd, n->n_ptr, dir);
}

int
etfs_unlink(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	return remove_name(node_of(dvp), n, false, cr);
}

int
etfs_rmdir(struct vnode *dvp, const struct name *n, const struct cred *cr)
{
	return remove_name(node_of(dvp), n, true, cr);
}
