/*
 * symlinks = follow: a link shows as what it leads to, if that is below the key.
 *
 * The target is resolved one component at a time from the directory that holds the link,
 * through the same look-ups that a user's path goes through, so it cannot leave the key:
 * an absolute target, a ".." at the key's root and a name where something is attached are
 * EACCES, a missing one is ENOENT, more than 40 links on the way are ELOOP.  Whiteouts
 * hide from links too.
 *
 * A file that is reached through a link is the file itself.  A directory is not: the
 * kernel wants each directory in one place, so the link leads to a node of its own (an
 * alias, etfs_ident.c) for the same host directory, and so do the directories below it.
 * Links are resolved among the directories themselves, never among aliases, so that ".."
 * is what it is on the host; an alias knows the directory it stands for, or its parent
 * does.  A link to a directory above itself makes an endless tree; ELOOP ends it at the
 * eighth level.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etfs/etfs_private.h"

#define LINKS_MAX  40u
#define TARGET_MAX 4096u

/* Where resolving has got to. */
struct walk {
	struct enode *wk_at; /* one reference */
	unsigned wk_links;
	char *wk_rest; /* what is still to be walked, in wk_buf */
	char wk_buf[2 * TARGET_MAX];
};

/* The directory itself that d stands for, with a reference. */
static int
real_dir(struct enode *d, struct enode **ret)
{
	struct etfs_shard *sh = node_shard(d);
	AUTO_NODE parent = NULL;
	AUTO_NODE real = NULL;
	char text[NAME_LEN_MAX + 1] = "";
	struct name n;
	int r;

	if (!d->n_alias || d->n_real) {
		*ret = d->n_real ? d->n_real : d;
		vn_ref(&(*ret)->n_vn);
		return 0;
	}
	/* Below an alias: the same name in what its parent stands for. */
	lk_read(&d->n_vn.v_lock, LK_DIR);
	if (d->n_vn.v_parent)
		parent = node_of(vn_ref(d->n_vn.v_parent));
	lk_unlock(&d->n_vn.v_lock, LK_DIR);
	lk_mutex(&sh->sh_mtx, LK_LEAF);
	if (d->n_name)
		strcpy(text, d->n_name);
	lk_mutex_unlock(&sh->sh_mtx, LK_LEAF);
	if (!parent || name_init(&n, text) < 0)
		return -ESTALE;
	r = real_dir(parent, &real);
	if (r == 0)
		r = dir_lookup_raw(real, &n, ret);
	return r;
}

/* Puts a link's target in front of what is left. */
static int
push_target(struct walk *w, struct enode *link)
{
	char text[TARGET_MAX];
	size_t rest = strlen(w->wk_rest), len;
	int r;

	if (++w->wk_links > LINKS_MAX)
		return -ELOOP;
	r = etfs_readlink(&link->n_vn, text, sizeof(text), &len);
	if (r < 0)
		return r;
	if (len == 0 || text[0] == '/')
		return -EACCES;
	if (len + 1 + rest + 1 > sizeof(w->wk_buf))
		return -ENAMETOOLONG;
	memmove(w->wk_buf + len + 1, w->wk_rest, rest + 1);
	memcpy(w->wk_buf, text, len);
	w->wk_buf[len] = '/';
	w->wk_rest = w->wk_buf;
	return 0;
}

static int
step_up(struct walk *w)
{
	struct enode *at = w->wk_at;
	struct vnode *up = NULL;

	if (node_is_root(at))
		return -EACCES;
	lk_read(&at->n_vn.v_lock, LK_DIR);
	if (at->n_vn.v_parent)
		up = vn_ref(at->n_vn.v_parent);
	lk_unlock(&at->n_vn.v_lock, LK_DIR);
	if (!up)
		return -ESTALE;
	w->wk_at = node_of(up);
	vn_unref(&at->n_vn);
	return 0;
}

static int
step_down(struct walk *w, const struct name *n)
{
	struct vnode *attached = NULL;
	AUTO_NODE next = NULL;
	int r;

	if (atomic_load(&w->wk_at->n_vn.v_shadow)) {
		r = shadow_lookup(&w->wk_at->n_vn, n, &attached);
		if (r == 0)
			vn_unref(attached);
		if (r != -ENODATA)
			return r == 0 ? -EACCES : r;
	}
	r = dir_lookup_raw(w->wk_at, n, &next);
	if (r < 0)
		return r;
	if (next->n_vn.v_type == VLNK)
		return push_target(w, next);
	struct enode *old = w->wk_at;
	w->wk_at = next;
	next = old;
	return 0;
}

/* Takes the next component.  1: there is more, 0: that was it. */
static int
step(struct walk *w)
{
	char text[NAME_LEN_MAX + 1];
	struct name n;
	size_t len;

	w->wk_rest += strspn(w->wk_rest, "/");
	len = strcspn(w->wk_rest, "/");
	if (len == 0)
		return 0;
	if (w->wk_at->n_vn.v_type != VDIR)
		return -ENOTDIR;
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	memcpy(text, w->wk_rest, len);
	text[len] = '\0';
	w->wk_rest += len;
	if (strcmp(text, ".") == 0)
		return 1;
	int r = strcmp(text, "..") == 0 ? step_up(w) : name_init_len(&n, text, len);
	if (r == 0 && strcmp(text, "..") != 0)
		r = step_down(w, &n);
	return r < 0 ? r : 1;
}

static uint64_t
alias_number(const struct enode *dir, const struct name *name)
{
	uint64_t h = dir->n_alias ^ name_hash_seed;

	h = (h ^ dir->n_dev) * 0xa0761d6478bd642full;
	h = (h ^ h >> 31 ^ dir->n_ino) * 0xe7037ed1a0b428dbull;
	for (unsigned i = 0; i < name->n_len; i++)
		h = (h ^ h >> 29 ^ (unsigned char)name->n_ptr[i]) * 0x8ebc6af09c88c6e3ull;
	h ^= h >> 32;
	return h ? h : 1;
}

/* The directory that the link name in dir stands for. */
static int
make_alias(
    struct enode *dir, const struct name *name, struct enode *real, struct enode **ret)
{
	struct node_place pl = {
	    .np_key = key_of(dir),
	    .np_parent = dir,
	    .np_name = name,
	    .np_alias = alias_number(dir, name),
	    .np_depth = (uint8_t)(dir->n_depth + 1),
	    .np_real = real,
	};
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_FD fd = -1;
	struct hc_stat hs;
	int r;

	if (dir->n_depth >= ETFS_ALIAS_DEPTH)
		return -ELOOP;
	r = node_pin(real, &pin);
	if (r < 0)
		return r;
	fd = WITH_FDS(key_of(dir)->k_etfs, hc_reopen(pin.p_fd, O_PATH));
	r = fd < 0 ? fd : hc_stat(fd, &hs);
	return r < 0 ? r : node_get(&pl, &hs, &fd, ret);
}

int
etfs_follow(
    struct enode *dir, const struct name *name, struct enode *link, struct enode **ret)
{
	struct walk *w = malloc(sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->wk_at = NULL;
	w->wk_links = 0;
	w->wk_buf[0] = '\0';
	w->wk_rest = w->wk_buf;
	r = real_dir(dir, &w->wk_at);
	if (r == 0)
		r = push_target(w, link);
	if (r == 0)
		do {
			r = step(w);
		} while (r > 0);
	if (r == 0 && w->wk_at->n_vn.v_type == VDIR) {
		r = make_alias(dir, name, w->wk_at, ret);
	} else if (r == 0) {
		*ret = w->wk_at;
		w->wk_at = NULL;
	}
	if (w->wk_at)
		vn_unref(&w->wk_at->n_vn);
	free(w);
	return r;
}
