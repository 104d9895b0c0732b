/*
 * Are directories still below their key?
 *
 * The host can move a directory out of the mapped tree while somebody has it: as working
 * directory, by an fd, by a cached name.  An fd of it keeps working, on the host and here,
 * and would lead to whatever is there now.  So a directory is used only while it is known
 * to be below its key's root, which is believed for as long as names are (mnt_ttl_ns):
 *
 *   – the root is, always;
 *   – what has been found in a directory is as long as that is: looking a path up costs
 *     nothing here;
 *   – for any other the host is asked (hc_inside()), once in that time; for one that is
 *     open too, because its fd goes where it goes.
 *
 * Directories that moved within the key pass.  Others are ESTALE, until they are back.
 *
 * Files are not asked about: they may have many names, and a file that is open stays open
 * wherever its names go.  A name of theirs is looked up in a directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "etfs/etfs_private.h"

uint64_t
etfs_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The time only moves forward. */
static void
stamp(struct enode *n, uint64_t ns)
{
	uint64_t was = atomic_load_explicit(&n->n_inside_ns, memory_order_relaxed);

	while (was < ns && !atomic_compare_exchange_weak(&n->n_inside_ns, &was, ns))
		continue;
}

void
node_found_inside(struct enode *n, const struct enode *parent)
{
	if (n->n_vn.v_type == VDIR)
		stamp(n, node_is_root(parent) ? etfs_clock_ns()
					      : atomic_load(&parent->n_inside_ns));
}

/* The node of the key's root, with a reference; NULL: it is not to be found upward. */
static struct enode *
root_of(struct enode *n)
{
	struct vnode *vp = vn_ref(&n->n_vn);

	while (vp && !node_is_root(node_of(vp))) {
		struct vnode *up = NULL;

		lk_read(&vp->v_lock, LK_DIR);
		if (vp->v_parent)
			up = vn_ref(vp->v_parent);
		lk_unlock(&vp->v_lock, LK_DIR);
		vn_unref(vp);
		vp = up;
	}
	return vp ? node_of(vp) : NULL;
}

/* An fd of the key's root, opened anew: -ESTALE if that is another directory by now. */
static int
open_root(struct etfs_key *k)
{
	AUTO_FD fd = WITH_FDS(k->k_etfs, hc_open_root(k->k_host, O_PATH | O_DIRECTORY));
	struct hc_stat hs;
	int r = fd < 0 ? fd : hc_stat(fd, &hs);

	if (r == 0 && (hs.hs_dev != k->k_dev || hs.hs_ino != k->k_ino))
		r = -ESTALE;
	if (r < 0)
		return r;
	r = fd;
	fd = -1;
	return r;
}

/* The same where fd was opened by handle through another mount than the root's: once more
 * through that. */
static int
ask_in_mount(struct enode *n, int fd, int rootfd)
{
	struct etfs *e = key_of(n)->k_etfs;
	struct hc_handle *h = NULL;
	AUTO_FD again = -1;
	int r = 0;

	if (n->n_dev != key_of(n)->k_dev || hc_handle_get(fd, &h) < 0)
		return 0;
	again = WITH_FDS(e, hc_handle_open(rootfd, h, O_PATH));
	free(h);
	if (again >= 0)
		r = WITH_FDS(e, hc_inside(again, rootfd));
	return r;
}

static int
ask(struct enode *n, int fd)
{
	struct etfs *e = key_of(n)->k_etfs;
	AUTO_NODE root = root_of(n);
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_FD own = -1;
	int rootfd, r = 0;

	if (root) {
		r = node_pin(root, &pin);
		rootfd = pin.p_fd;
	} else {
		r = rootfd = own = open_root(key_of(n));
	}
	if (r < 0)
		return r;
	r = WITH_FDS(e, hc_inside(fd, rootfd));
	if (r == 0)
		r = ask_in_mount(n, fd, rootfd);
	return r < 0 ? r : r ? 0 : -ESTALE;
}

int
node_inside(struct enode *n, int fd)
{
	uint64_t ttl = n->n_vn.v_mount->mnt_ttl_ns, now, seen;
	int r;

	if (node_is_root(n))
		return 0;
	now = etfs_clock_ns();
	seen = atomic_load_explicit(&n->n_inside_ns, memory_order_relaxed);
	if (seen && now - seen < ttl)
		return 0;
	r = ask(n, fd);
	if (r == 0)
		stamp(n, now);
	return r;
}
