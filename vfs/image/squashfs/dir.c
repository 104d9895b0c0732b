/*
 * Directories: an index of the names in each, made in one pass over the listing when it is
 * first used, and kept.
 *
 * The index is an array in the order of the listing (whose places are the cookies), the
 * names behind one another, and a hash table over both.  All that there are of a mount are
 * bounded together: beyond that, those go that were not used for longest and are not in use
 * now; they are made again when they are wanted.
 */
#include <dirent.h>

#include "vfs/image/squashfs/sqfs.h"

#define DIRS_BYTES  (64u << 20)  /* of indexes that nobody uses */
#define LIST_BYTES  (128u << 20) /* of one listing: three million names */
#define RUN_ENTRIES 256u         /* that a header of the listing may have */

struct sq_entry {
	uint64_t e_ref;
	uint32_t e_ino, e_name; /* where the name begins */
	uint32_t e_hash;
	uint16_t e_len;
	uint8_t e_type; /* DT_* */
};

struct sq_dir {
	struct sq_entry *d_entries;
	char *d_names;
	uint32_t *d_slots; /* 1 + place of an entry, 0: free */
	uint32_t d_n, d_cap, d_nslots;
	size_t d_used, d_room;  /* of d_names */
	size_t d_bytes;         /* c when installed: of all this */
	uint32_t d_refs;        /* d */
	struct sq_node *d_node; /* d: whose it is; NULL: it is to go with the last user */
	struct sq_dir *d_newer, *d_older; /* d */
};

static void
dir_free(struct sq_dir *d)
{
	free(d->d_entries);
	free(d->d_names);
	free(d->d_slots);
	free(d);
}

/* Making one. */

/* The place of a name in the table, or of the free slot where it would be. */
static uint32_t *
slot_of(const struct sq_dir *d, const char *name, uint32_t len, uint32_t hash)
{
	for (uint32_t i = hash;; i++) {
		uint32_t *s = &d->d_slots[i & (d->d_nslots - 1)];
		const struct sq_entry *e;

		if (*s == 0)
			return s;
		e = &d->d_entries[*s - 1];
		if (e->e_hash == hash && e->e_len == len &&
		    memcmp(d->d_names + e->e_name, name, len) == 0)
			return s;
	}
}

static int
grow(struct sq_dir *d, uint32_t len)
{
	if (d->d_n == d->d_cap) {
		uint32_t cap = d->d_cap ? d->d_cap * 2 : 16;
		void *p = reallocarray(d->d_entries, cap, sizeof(struct sq_entry));

		if (!p)
			return -ENOMEM;
		d->d_entries = p;
		d->d_cap = cap;
	}
	if (d->d_used + len + 1 > d->d_room) {
		size_t room = d->d_room ? d->d_room * 2 : 512;
		char *p = realloc(d->d_names, room);

		if (!p)
			return -ENOMEM;
		d->d_names = p;
		d->d_room = room;
	}
	return 0;
}

/* One entry of the listing. */
static int
add(struct sq_dir *d, struct sq_cursor *c, const sqfs_dir_header_t *h)
{
	sqfs_dir_entry_t de;
	struct sq_entry *e;
	uint32_t len;
	char *name;
	int r = sq_read(c, &de, sizeof(de));

	if (r < 0)
		return r;
	len = (uint32_t)le16toh(de.size) + 1;
	if (len > NAME_LEN_MAX || !sq_ifmt(le16toh(de.type)))
		return -EUCLEAN;
	r = grow(d, len);
	if (r < 0)
		return r;
	name = d->d_names + d->d_used;
	r = sq_read(c, name, len);
	if (r < 0)
		return r;
	name[len] = '\0';
	if (memchr(name, '/', len) || memchr(name, '\0', len) || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return -EUCLEAN;
	e = &d->d_entries[d->d_n++];
	e->e_ref = (uint64_t)le32toh(h->start_block) << 16 | le16toh(de.offset);
	e->e_ino = le32toh(h->inode_number) + (uint32_t)(int16_t)le16toh(de.inode_diff);
	e->e_name = (uint32_t)d->d_used;
	e->e_len = (uint16_t)len;
	e->e_type = (uint8_t)IFTODT(sq_ifmt(le16toh(de.type)));
	e->e_hash = name_hash(name, len);
	d->d_used += len + 1;
	return (int)(sizeof(de) + len);
}

/* The listing: headers, each with up to 256 entries, for d_len bytes. */
static int
read_listing(struct sq_dir *d, struct sq_cursor *c, uint32_t left)
{
	while (left > 0) {
		sqfs_dir_header_t h;
		uint32_t n;
		int r;

		if (left < sizeof(h))
			return -EUCLEAN;
		r = sq_read(c, &h, sizeof(h));
		if (r < 0)
			return r;
		left -= (uint32_t)sizeof(h);
		n = le32toh(h.count);
		if (n >= RUN_ENTRIES)
			return -EUCLEAN;
		for (n++; n > 0; n--) {
			r = add(d, c, &h);
			if (r < 0)
				return r;
			if ((uint32_t)r > left)
				return -EUCLEAN;
			left -= (uint32_t)r;
		}
	}
	return 0;
}

/* The hash table.  A name that is there twice is damage. */
static int
hash_all(struct sq_dir *d)
{
	d->d_nslots = 4;
	while (d->d_nslots < d->d_n + d->d_n / 2)
		d->d_nslots *= 2;
	d->d_slots = calloc(d->d_nslots, sizeof(uint32_t));
	if (!d->d_slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->d_n; i++) {
		const struct sq_entry *e = &d->d_entries[i];
		uint32_t *s = slot_of(d, d->d_names + e->e_name, e->e_len, e->e_hash);

		if (*s)
			return -EUCLEAN;
		*s = i + 1;
	}
	return 0;
}

static int
make(struct sq_node *n, struct sq_dir **ret)
{
	struct sq_dir *d;
	struct sq_cursor c;
	int r;

	if (n->n_dir.d_len > LIST_BYTES)
		return -EFBIG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	sq_cursor_init(&c, sq_mount_of(&n->n_in.in_vn), n->n_dir.d_pos, n->n_dir.d_off);
	r = read_listing(d, &c, n->n_dir.d_len);
	sq_cursor_done(&c);
	if (r == 0)
		r = hash_all(d);
	if (r < 0) {
		dir_free(d);
		return r;
	}
	d->d_bytes = sizeof(*d) + d->d_cap * sizeof(struct sq_entry) + d->d_room +
	             d->d_nslots * sizeof(uint32_t);
	*ret = d;
	return 0;
}

/* Keeping them.  All with d held. */

static void
list_remove(struct sq_mount *m, struct sq_dir *d)
{
	*(d->d_newer ? &d->d_newer->d_older : &m->m_dirs_new) = d->d_older;
	*(d->d_older ? &d->d_older->d_newer : &m->m_dirs_old) = d->d_newer;
}

static void
list_add(struct sq_mount *m, struct sq_dir *d)
{
	d->d_newer = NULL;
	d->d_older = m->m_dirs_new;
	*(m->m_dirs_new ? &m->m_dirs_new->d_newer : &m->m_dirs_old) = d;
	m->m_dirs_new = d;
}

/* No longer its node's. */
static void
leave(struct sq_mount *m, struct sq_dir *d)
{
	list_remove(m, d);
	m->m_dirs_bytes -= d->d_bytes;
	d->d_node->n_dir.d_index = NULL;
	d->d_node = NULL;
}

/* Those that are too much go to a list of the caller's, who frees them without the lock. */
static struct sq_dir *
trim(struct sq_mount *m)
{
	struct sq_dir *gone = NULL, *newer;

	for (struct sq_dir *d = m->m_dirs_old; d && m->m_dirs_bytes > DIRS_BYTES;
	     d = newer) {
		newer = d->d_newer;
		if (d->d_refs == 0) {
			leave(m, d);
			d->d_older = gone;
			gone = d;
		}
	}
	return gone;
}

static struct sq_dir *
peek(struct sq_mount *m, struct sq_node *n)
{
	struct sq_dir *d = n->n_dir.d_index;

	if (!d)
		return NULL;
	d->d_refs++;
	if (m->m_dirs_new != d) {
		list_remove(m, d);
		list_add(m, d);
	}
	return d;
}

static void
free_list(struct sq_dir *d)
{
	for (struct sq_dir *next; d; d = next) {
		next = d->d_older;
		dir_free(d);
	}
}

/* The node's index, with a reference. */
static int
dir_get(struct sq_node *n, struct sq_dir **ret)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	struct sq_dir *d, *gone;
	int r = 0;

	lk_mutex(&m->m_dirs_mtx, LK_LEAF);
	d = peek(m, n);
	lk_mutex_unlock(&m->m_dirs_mtx, LK_LEAF);
	if (d) {
		*ret = d;
		return 0;
	}
	pthread_mutex_lock(sq_build_of(n));
	lk_mutex(&m->m_dirs_mtx, LK_LEAF);
	d = peek(m, n);
	lk_mutex_unlock(&m->m_dirs_mtx, LK_LEAF);
	if (!d && (r = make(n, &d)) == 0) {
		lk_mutex(&m->m_dirs_mtx, LK_LEAF);
		d->d_refs = 1;
		d->d_node = n;
		n->n_dir.d_index = d;
		list_add(m, d);
		m->m_dirs_bytes += d->d_bytes;
		gone = trim(m);
		lk_mutex_unlock(&m->m_dirs_mtx, LK_LEAF);
		free_list(gone);
	}
	pthread_mutex_unlock(sq_build_of(n));
	if (r == 0)
		*ret = d;
	return r;
}

static void
dir_put(struct sq_node *n, struct sq_dir *d)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	struct sq_dir *gone = NULL;

	lk_mutex(&m->m_dirs_mtx, LK_LEAF);
	if (--d->d_refs == 0 && m->m_dirs_bytes > DIRS_BYTES)
		gone = trim(m);
	lk_mutex_unlock(&m->m_dirs_mtx, LK_LEAF);
	free_list(gone);
}

void
sq_dir_forget(struct sq_node *n)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	struct sq_dir *d;

	lk_mutex(&m->m_dirs_mtx, LK_LEAF);
	d = n->n_dir.d_index; /* whoever uses it would have the node */
	if (d)
		leave(m, d);
	lk_mutex_unlock(&m->m_dirs_mtx, LK_LEAF);
	if (d)
		dir_free(d);
}

/* Using them. */

int
sq_lookup(struct vnode *dvp, const struct name *name, struct vnode **ret_vp)
{
	struct sq_node *n = sq_node_of(dvp);
	struct sq_dir *d;
	uint64_t ref = 0;
	uint32_t s;
	int r = dir_get(n, &d);

	if (r < 0)
		return r;
	s = *slot_of(d, name->n_ptr, name->n_len, name->n_hash);
	if (s)
		ref = d->d_entries[s - 1].e_ref;
	dir_put(n, d);
	return s ? sq_node_get(sq_mount_of(dvp), dvp, ref, ret_vp) : -ENOENT;
}

/* "." is 0, ".." is 1, entry i is i + 2; the cookie is one more. */
static bool
list_one(struct sq_node *n, const struct sq_dir *d, uint64_t at, uint64_t base,
    struct dirbuf *db)
{
	struct vnode *dvp = &n->n_in.in_vn, *vp = NULL;
	const struct sq_entry *e;

	if (at < 2)
		return dirbuf_add(db,
		    at == 0 || dvp == sq_mount_of(dvp)->m_root ? n->n_va.va_ino
							       : n->n_dir.d_parent,
		    base + at + 1, DT_DIR, "..", at + 1, NULL);
	e = &d->d_entries[at - 2];
	/* An inode that cannot be had is told to who looks the name up. */
	if (db->db_want_vnodes && sq_node_get(sq_mount_of(dvp), dvp, e->e_ref, &vp) < 0)
		vp = NULL;
	if (dirbuf_add(db, e->e_ino, base + at + 1, e->e_type, d->d_names + e->e_name,
		e->e_len, vp))
		return true;
	if (vp)
		vn_unref(vp);
	return false;
}

int
sq_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct sq_node *n = sq_node_of(dvp);
	uint64_t base = merged ? DIR_COOKIE_BASE : 0;
	uint64_t at = db->db_cookie > base ? db->db_cookie - base : 0;
	struct sq_dir *d;
	int r = dir_get(n, &d);

	if (r < 0)
		return r;
	while (at < (uint64_t)d->d_n + 2 && list_one(n, d, at, base, db))
		at++;
	dir_put(n, d);
	return 0;
}
