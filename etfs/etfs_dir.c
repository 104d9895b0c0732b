/*
 * Directory keys: looking up, opening, listing.
 *
 * A look-up opens one name beneath the directory's fd, without following anything, asks
 * what it is, and finds or makes the node.  What a key does not show (symlinks = hide,
 * special = no) is not there.  Below a key of type dir the subdirectories are there, and
 * empty.
 *
 * Listing.  The cookie is the host's own position after the entry.  Where attachments are
 * merged into the listing, cookies must be above DIR_COOKIE_BASE, and the host's
 * positions can be any number; then the open directory keeps the positions it has given
 * out, and the cookie is DIR_COOKIE_BASE + 1 + an index into them.  An index that it has not
 * given out comes from the kernel, which has lost part of a listing that it kept: so many
 * entries are passed over.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

#define LIST_MAX (16u << 10) /* bytes asked of the host at once */
#define LIST_MIN 1024u

bool
mode_shown(const struct etfs_key *k, uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return true;
	case S_IFLNK:
		return k->k_symlinks != ETFS_SYMLINKS_HIDE;
	default:
		return k->k_special;
	}
}

int
dir_lookup_raw(struct enode *d, const struct name *n, struct enode **ret)
{
	struct etfs_key *k = key_of(d);
	struct node_place pl = {
	    .np_key = k,
	    .np_parent = d,
	    .np_name = n,
	    .np_alias = d->n_alias,
	    .np_depth = d->n_depth,
	};
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_FD fd = -1;
	struct hc_stat hs;
	int r;

	if (dir_is_leaf(d))
		return -ENOENT;
	r = node_pin(d, &pin);
	if (r < 0)
		return r;
	watch_want(d, pin.p_fd);
	fd = WITH_FDS(k->k_etfs, hc_open_beneath(pin.p_fd, n->n_ptr, O_PATH, 0));
	if (fd < 0)
		return fd;
	r = hc_stat(fd, &hs);
	if (r < 0)
		return r;
	if (!mode_shown(k, hs.hs_mode))
		return -ENOENT;
	return node_get(&pl, &hs, &fd, ret);
}

int
dir_lookup_shown(struct enode *d, const struct name *n, struct enode **ret)
{
	AUTO_NODE raw = NULL;
	int r = dir_lookup_raw(d, n, &raw);

	if (r < 0)
		return r;
	if (raw->n_vn.v_type == VLNK && key_of(d)->k_symlinks == ETFS_SYMLINKS_FOLLOW)
		return etfs_follow(d, n, raw, ret);
	*ret = raw;
	raw = NULL;
	return 0;
}

static int
dir_lookup(struct vnode *dvp, const struct name *n, struct vnode **ret_vp)
{
	struct enode *found;
	int r = dir_lookup_shown(node_of(dvp), n, &found);

	if (r == 0)
		*ret_vp = &found->n_vn;
	return r;
}

static int
dir_open(struct vnode *dvp, int flags, const struct cred *cr, struct file *f)
{
	struct enode *d = node_of(dvp);
	struct etfs_key *k = key_of(d);
	AUTO_PIN pin = {.p_fd = -1};
	AUTO_ACT acting = false;
	AUTO_FD fd = -1;
	/* For one request as the daemon, for who may list it has been looked at; unless that
	 * was not the host's mode (open_host()). */
	bool daemon = f->f_once && !dir_is_disguised(d);
	struct edir *ed;
	int r = node_pin(d, &pin), how = O_RDONLY | O_DIRECTORY | O_NOCTTY;

	if (r == 0)
		r = act_as(d, daemon ? NULL : cr, &acting);
	if (r < 0)
		return r;
	/* As with files, as far as the host lets one who is not the owner. */
	fd =
	    WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how | (k->k_rdonly ? O_NOATIME : 0)));
	if (fd == -EPERM && k->k_rdonly)
		fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how));
	if (fd == -EACCES && daemon && act_as(d, cr, &acting) == 0)
		fd = WITH_FDS(k->k_etfs, hc_reopen(pin.p_fd, how));
	act_done(&acting);
	if (fd < 0)
		return fd;
	r = efile_open(d, &fd, sizeof(*ed), f);
	if (r < 0)
		return r;
	ed = f->f_priv;
	pthread_mutex_init(&ed->ed_mtx, NULL);
	return 0;
}

static void
dir_close(struct file *f)
{
	struct edir *ed = f->f_priv;

	listing_close(ed->ed_file.ef_node, ed);
	free(ed->ed_offs);
	pthread_mutex_destroy(&ed->ed_mtx);
	efile_close(f);
}

/* A listing under way. */
struct listing {
	struct enode *li_dir;
	struct edir *li_ed;
	struct dirbuf *li_db;
	bool li_merged;
	bool
	    li_once; /* the directory is open for this part alone: nothing to note it in */
	int64_t li_pos;    /* the host's: what comes after it is next */
	uint32_t li_index; /* merged: of the next entry */
	uint32_t li_skip;  /* merged: of the first that is wanted */
};

/*
 * A cookie above the base that says by itself where the host is.  Hashed directories use all
 * of the host's range, and their end is the last of it: what has no room is that.  An entry
 * has such a place by one chance in 2^29.
 */
static uint64_t
cookie_alone(int64_t off)
{
	return off > INT64_MAX - (int64_t)DIR_COOKIE_BASE
	           ? INT64_MAX
	           : (uint64_t)off + DIR_COOKIE_BASE;
}

static int64_t
place_alone(uint64_t cookie)
{
	if (cookie >= INT64_MAX)
		return INT64_MAX;
	return cookie > DIR_COOKIE_BASE ? (int64_t)(cookie - DIR_COOKIE_BASE) : 0;
}

/* The cookie of the entry after which the host is at off. */
static int
cookie_for(struct listing *li, int64_t off, uint64_t *ret)
{
	struct edir *ed = li->li_ed;

	if (!li->li_merged) {
		*ret = (uint64_t)off;
		return 0;
	}
	if (li->li_once) {
		*ret = cookie_alone(off);
		return 0;
	}
	if (li->li_index == ed->ed_cap) {
		uint32_t cap = ed->ed_cap ? ed->ed_cap * 2 : 64;
		int64_t *p = realloc(ed->ed_offs, cap * sizeof(*p));

		if (!p)
			return -ENOMEM;
		ed->ed_offs = p;
		ed->ed_cap = cap;
	}
	ed->ed_offs[li->li_index] = off;
	if (ed->ed_n <= li->li_index)
		ed->ed_n = li->li_index + 1;
	*ret = DIR_COOKIE_BASE + 1 + li->li_index;
	return 0;
}

/* Where the listing goes on. */
static void
find_place(struct listing *li)
{
	uint64_t c = li->li_db->db_cookie;
	const struct edir *ed = li->li_ed;

	li->li_pos = 0;
	li->li_index = 0;
	if (!li->li_merged) {
		li->li_pos = (int64_t)c;
	} else if (li->li_once) {
		li->li_pos = place_alone(c);
	} else if (c > DIR_COOKIE_BASE && c - DIR_COOKIE_BASE <= UINT32_MAX) {
		li->li_skip = (uint32_t)(c - DIR_COOKIE_BASE);
		li->li_index = li->li_skip < ed->ed_n ? li->li_skip : ed->ed_n;
		if (li->li_index > 0)
			li->li_pos = ed->ed_offs[li->li_index - 1];
	}
}

/* Adds an entry.  1: it is in, 0: there is no room, or -errno. */
static int
add(struct listing *li, uint64_t ino, unsigned char dt, const char *name, int64_t off)
{
	uint64_t cookie;
	int r = cookie_for(li, off, &cookie);

	if (r < 0)
		return r;
	if (li->li_index >= li->li_skip &&
	    !dirbuf_add(li->li_db, ino, cookie, dt, name, strlen(name), NULL))
		return 0;
	li->li_index++;
	li->li_pos = off;
	return 1;
}

/* The inode number of "..": what lies above a key is not the host's. */
static uint64_t
parent_ino(struct enode *d)
{
	uint64_t ino = d->n_shown_ino;

	if (node_is_root(d))
		return ino;
	lk_read(&d->n_vn.v_lock, LK_DIR);
	if (d->n_vn.v_parent)
		ino = node_of(d->n_vn.v_parent)->n_shown_ino;
	lk_unlock(&d->n_vn.v_lock, LK_DIR);
	return ino;
}

/* What a followed link shows as: type and number of its target.  False: nothing. */
static bool
link_target(struct enode *d, const char *name, uint64_t *ret_ino, unsigned char *ret_dt)
{
	AUTO_NODE to = NULL;
	struct name n;

	if (name_init(&n, name) < 0 || dir_lookup_shown(d, &n, &to) < 0)
		return false;
	*ret_ino = to->n_shown_ino;
	*ret_dt = vtype_to_dt(to->n_vn.v_type);
	return true;
}

/* What the host says of an entry, as the key shows it.  False: it does not. */
static bool
translate(struct listing *li, const struct hc_dirent *h, uint64_t *ret_ino,
    unsigned char *ret_dt)
{
	struct enode *d = li->li_dir;
	const struct etfs_key *k = key_of(d);
	unsigned char dt = h->hd_type;
	struct hc_stat hs;

	if (strcmp(h->hd_name, ".") == 0 || strcmp(h->hd_name, "..") == 0) {
		*ret_ino = h->hd_name[1] ? parent_ino(d) : d->n_shown_ino;
		*ret_dt = DT_DIR;
		return true;
	}
	if (dt == DT_UNKNOWN) {
		int r = hc_stat_beneath(li->li_ed->ed_file.ef_fd, h->hd_name, &hs);

		if (r < 0 && r != -EDEADLK)
			return false;
		dt = r < 0 ? DT_DIR : IFTODT(hs.hs_mode);
	}
	if (!mode_shown(k, DTTOIF(dt)))
		return false;
	if (dt == DT_LNK && k->k_symlinks == ETFS_SYMLINKS_FOLLOW)
		return link_target(d, h->hd_name, ret_ino, ret_dt);
	/* Out of memory for a large number: any will do, a look-up says the real one. */
	if (hostfs_ino(d->n_fs, h->hd_ino, ret_ino) < 0)
		*ret_ino = h->hd_ino;
	*ret_dt = dt;
	return true;
}

static int
list_host(struct listing *li)
{
	_Alignas(8) char buf[LIST_MAX];
	const struct dirbuf *db = li->li_db;

	for (;;) {
		size_t room = db->db_cap - db->db_used, len, at;
		int r;

		/* Not much more than fits: the rest would be asked for again. */
		room = room < LIST_MIN ? LIST_MIN : room < LIST_MAX ? room : LIST_MAX;
		r = hc_getdents(li->li_ed->ed_file.ef_fd, li->li_pos, buf, room, &len);
		if (r < 0 || len == 0)
			return r;
		for (at = 0; at < len;) {
			const struct hc_dirent *h = (const void *)(buf + at);
			unsigned char dt;
			uint64_t ino;

			at += h->hd_reclen;
			r = 1;
			if (translate(li, h, &ino, &dt))
				r = add(li, ino, dt, h->hd_name, h->hd_off);
			else
				li->li_pos = h->hd_off;
			if (r <= 0)
				return r;
		}
	}
}

/* The subdirectory of a key of type dir: nothing but dots, at positions 1 and 2. */
static int
list_leaf(struct listing *li)
{
	int r = 1;

	if (li->li_pos < 1)
		r = add(li, li->li_dir->n_shown_ino, DT_DIR, ".", 1);
	if (r == 1 && li->li_pos < 2)
		r = add(li, parent_ino(li->li_dir), DT_DIR, "..", 2);
	return r < 0 ? r : 0;
}

static int
dir_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct listing li = {
	    .li_dir = node_of(dvp),
	    .li_ed = f->f_priv,
	    .li_db = db,
	    .li_merged = merged,
	    .li_once = f->f_once,
	};
	int r = node_inside(li.li_dir, li.li_ed->ed_file.ef_fd);

	if (r < 0)
		return r;
	listing_read(li.li_dir, li.li_ed);
	pthread_mutex_lock(&li.li_ed->ed_mtx);
	find_place(&li);
	r = dir_is_leaf(li.li_dir) ? list_leaf(&li) : list_host(&li);
	pthread_mutex_unlock(&li.li_ed->ed_mtx);
	/* What is listed already is handed out; the error comes with the next call. */
	return r < 0 && db->db_used ? 0 : r;
}

const struct vops etfs_dir_vops = {
    .vo_name = "etfs-dir",
    .vo_flags = VOPS_OPENED,
    .lookup = dir_lookup,
    .getattr = etfs_getattr,
    .setattr = etfs_setattr,
    .make = etfs_make,
    .create = etfs_create,
    .tmpfile = etfs_tmpfile,
    .link = etfs_link,
    .unlink = etfs_unlink,
    .rmdir = etfs_rmdir,
    .rename = etfs_rename,
    .open = dir_open,
    .close = dir_close,
    .fsync = etfs_fsync,
    .ioctl = etfs_ioctl,
    .readdir = dir_readdir,
    .listing = etfs_listing,
    .getxattr = etfs_getxattr,
    .setxattr = etfs_setxattr,
    .listxattr = etfs_listxattr,
    .removexattr = etfs_removexattr,
    .statfs = etfs_statfs,
    .last_unref = node_last_unref,
    .reclaim = node_reclaim,
};
