/*
 * May the caller search the directories above?
 *
 * Look-ups are made as the daemon, and the kernel goes by the mode bits that it is shown.
 * Where the host says more than these (an ACL), somebody can get hold of a directory that
 * the host would not have let him walk to.  So before something is done in or to a
 * directory, the host is asked as the caller whether each of those above it, up to the
 * key's root, may be searched.  The directory itself is the host's to check in the doing.
 *
 * The way is that by which the directory was last seen (v_parent).  A directory reached
 * through a link (symlinks = follow) has two: that of the link and that of the target.
 * Other files may have many, of which none is kept, so for them nothing is asked.
 *
 * Directories are pinned as the daemon and asked about as the caller, up to CLIMB_MAX at a
 * time.  Taking references up the tree is all the locking there is.
 */
#include <errno.h>
#include <unistd.h>

#include "etfs/etfs_private.h"

#define CLIMB_MAX 16u

struct climb {
	struct enode *cl_at; /* one reference: the next is above; or NULL */
	/* One reference each: the targets of links on the way, whose ways are to come. */
	struct enode *cl_real[ETFS_ALIAS_DEPTH + 1];
	unsigned cl_nreal;
	struct enode *cl_dir[CLIMB_MAX]; /* one reference each: to be asked about */
	struct pin cl_pin[CLIMB_MAX];
	unsigned cl_n;
};

/* Goes up one step on the way at hand. */
static void
go_up(struct climb *c)
{
	struct enode *at = c->cl_at, *up = NULL;

	if (at->n_real && c->cl_nreal < sizeof(c->cl_real) / sizeof(c->cl_real[0]))
		c->cl_real[c->cl_nreal++] = node_of(vn_ref(&at->n_real->n_vn));
	if (!node_is_root(at)) {
		lk_read(&at->n_vn.v_lock, LK_DIR);
		if (at->n_vn.v_parent)
			up = node_of(vn_ref(at->n_vn.v_parent));
		lk_unlock(&at->n_vn.v_lock, LK_DIR);
	}
	vn_unref(&at->n_vn);
	c->cl_at = up;
}

/* The next directory, which is c->cl_at then.  False: that was all. */
static bool
next_dir(struct climb *c)
{
	if (c->cl_at)
		go_up(c);
	while (!c->cl_at && c->cl_nreal) {
		c->cl_at = c->cl_real[--c->cl_nreal];
		go_up(c);
	}
	return c->cl_at != NULL;
}

static int
pin_some(struct climb *c)
{
	while (c->cl_n < CLIMB_MAX && next_dir(c)) {
		int r = node_pin(c->cl_at, &c->cl_pin[c->cl_n]);

		/* It has gone, so the way does not lead through it any more. */
		if (r == -ESTALE)
			continue;
		if (r < 0)
			return r;
		c->cl_dir[c->cl_n++] = node_of(vn_ref(&c->cl_at->n_vn));
	}
	return 0;
}

static int
ask(const struct climb *c)
{
	int r = 0;

	for (unsigned i = 0; i < c->cl_n && r == 0; i++)
		r = WITH_FDS(
		    key_of(c->cl_dir[i])->k_etfs, hc_access_search(c->cl_pin[i].p_fd));
	return r;
}

static void
unpin_all(struct climb *c)
{
	for (; c->cl_n; c->cl_n--) {
		node_unpin(&c->cl_pin[c->cl_n - 1]);
		vn_unref(&c->cl_dir[c->cl_n - 1]->n_vn);
	}
}

int
act_below(struct enode *d, const struct cred *cr, bool *ret_acting)
{
	struct climb c = {.cl_at = NULL};
	bool more = true;
	int r = 0;

	if (!cr || cr->cr_uid == geteuid() || !hc_features()->hf_privileged)
		return act_as(d, cr, ret_acting);
	c.cl_at = node_of(vn_ref(&d->n_vn));
	while (r == 0 && more) {
		act_done(ret_acting);
		r = pin_some(&c);
		more = c.cl_n == CLIMB_MAX;
		if (r == 0)
			r = act_as(d, cr, ret_acting);
		if (r == 0)
			r = ask(&c);
		unpin_all(&c);
	}
	if (c.cl_at)
		vn_unref(&c.cl_at->n_vn);
	while (c.cl_nreal)
		vn_unref(&c.cl_real[--c.cl_nreal]->n_vn);
	return r;
}
