/*
 * The tree of an archive: arrays of nodes and entries, and one hash of all names by the
 * directory that they are in (archive_private.h).
 *
 * Entries are never taken out: a name that comes again gets another node.  So the list of a
 * directory's entries is in the order of the archive, and an entry's index is its cookie.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/archive/archive_private.h"

#define PATH_MAX_LEN 4095u
#define MAX_HOPS     40u
#define MAX_SPARSE   (8u << 20)
#define MAX_XATTRS   (256u << 20)

/* Makes room for n more of size bytes each. */
static int
grow(void *pp, uint32_t used, uint32_t *cap, uint32_t n, size_t size)
{
	void **p = pp, *q;
	uint64_t want = (uint64_t)used + n, c = *cap ? *cap : 64;

	if (want <= *cap)
		return 0;
	while (c < want)
		c *= 2;
	if (c > UINT32_MAX)
		return -ENOSPC;
	q = reallocarray(*p, c, size);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = (uint32_t)c;
	return 0;
}

static int
grow_bytes(void *pp, uint64_t used, uint64_t *cap, uint64_t n, uint64_t max)
{
	void **p = pp, *q;
	uint64_t c = *cap ? *cap : 4096;

	if (used + n <= *cap)
		return 0;
	if (used + n > max)
		return -ENOSPC;
	while (c < used + n)
		c *= 2;
	q = realloc(*p, c);
	if (!q)
		return -ENOMEM;
	*p = q;
	*cap = c;
	return 0;
}

int
tree_node(struct tree *t, uint32_t mode, uint32_t *ret)
{
	struct anode *an;
	int r;

	if (t->t_nnodes >= t->t_max)
		return -ENOSPC;
	r = grow(&t->t_nodes, t->t_nnodes, &t->t_nodes_cap, 1, sizeof(*an));
	if (r < 0)
		return r;
	an = &t->t_nodes[t->t_nnodes];
	memset(an, 0, sizeof(*an));
	an->an_mode = (uint16_t)mode;
	an->an_nlink = (mode & S_IFMT) == S_IFDIR ? 2 : 0;
	*ret = t->t_nnodes++;
	return 0;
}

int
tree_extra(struct tree *t, uint32_t node, struct aextra **ret)
{
	struct anode *an = &t->t_nodes[node];
	int r = 0;

	if (!an->an_extra) {
		struct aextra *ax;

		r = grow(&t->t_extras, t->t_nextras, &t->t_extras_cap, 1, sizeof(*ax));
		if (r < 0)
			return r;
		ax = &t->t_extras[t->t_nextras++];
		memset(ax, 0, sizeof(*ax));
		ax->ax_atime.tv_sec = an->an_mtime;
		ax->ax_atime.tv_nsec = an->an_mtime_ns;
		ax->ax_ctime = ax->ax_btime = ax->ax_atime;
		ax->ax_stored = an->an_size;
		an->an_extra = t->t_nextras;
	}
	*ret = &t->t_extras[an->an_extra - 1];
	return r;
}

int
tree_text(struct tree *t, const char *s, size_t len, uint32_t *ret)
{
	int r =
	    grow_bytes(&t->t_text, t->t_text_len, &t->t_text_cap, len + 2, UINT32_MAX);

	if (r < 0)
		return r;
	*ret = (uint32_t)t->t_text_len;
	/* For names; targets have theirs in an_size. */
	t->t_text[t->t_text_len++] = (char)len;
	memcpy(t->t_text + t->t_text_len, s, len);
	t->t_text_len += len;
	t->t_text[t->t_text_len++] = '\0';
	return 0;
}

int
tree_sparse(struct tree *t, uint64_t off, uint64_t len, uint64_t pos)
{
	int r = t->t_nsparse < MAX_SPARSE ? grow(&t->t_sparse, t->t_nsparse,
						&t->t_sparse_cap, 1, sizeof(*t->t_sparse))
	                                  : -ENOSPC;

	if (r == 0)
		t->t_sparse[t->t_nsparse++] = (struct asparse){off, len, pos};
	return r;
}

int
tree_xattr_bytes(struct tree *t, const void *p, size_t len)
{
	int r =
	    grow_bytes(&t->t_xattrs, t->t_xattrs_len, &t->t_xattrs_cap, len, MAX_XATTRS);

	if (r == 0) {
		memcpy(t->t_xattrs + t->t_xattrs_len, p, len);
		t->t_xattrs_len += len;
	}
	return r;
}

int
tree_init(struct tree *t, uint32_t max, uint32_t uid, uint32_t gid)
{
	uint32_t root;
	int r;

	memset(t, 0, sizeof(*t));
	t->t_max = max;
	t->t_uid = uid;
	t->t_gid = gid;
	t->t_nindex = 64;
	t->t_index = calloc(t->t_nindex, sizeof(*t->t_index));
	r = t->t_index ? tree_node(t, S_IFDIR | 0755, &root) : -ENOMEM;
	if (r < 0)
		return r;
	t->t_nodes[0].an_uid = uid;
	t->t_nodes[0].an_gid = gid;
	t->t_nodes[0].an_made = 1;
	return 0;
}

void
tree_done(struct tree *t)
{
	free(t->t_nodes);
	free(t->t_ents);
	free(t->t_extras);
	free(t->t_sparse);
	free(t->t_xattrs);
	free(t->t_text);
	free(t->t_index);
	free(t->t_last_path);
	memset(t, 0, sizeof(*t));
}

static void
shrink(void *pp, uint64_t bytes)
{
	void **p = pp, *q = realloc(*p, bytes ? bytes : 1);

	if (q)
		*p = q;
}

void
tree_settle(struct tree *t)
{
	shrink(&t->t_nodes, (uint64_t)t->t_nnodes * sizeof(*t->t_nodes));
	shrink(&t->t_ents, (uint64_t)t->t_nents * sizeof(*t->t_ents));
	shrink(&t->t_extras, (uint64_t)t->t_nextras * sizeof(*t->t_extras));
	shrink(&t->t_sparse, (uint64_t)t->t_nsparse * sizeof(*t->t_sparse));
	shrink(&t->t_xattrs, t->t_xattrs_len);
	shrink(&t->t_text, t->t_text_len);
	free(t->t_last_path);
	t->t_last_path = NULL;
	t->t_last_len = t->t_last_cap = 0;
}

/* Names. */

static uint32_t
hash_in(uint32_t dir, uint32_t name_hash)
{
	return (uint32_t)((((uint64_t)dir << 32 | name_hash) ^ name_hash_seed) *
			      0x9e3779b97f4a7c15ull >>
			  32);
}

static uint32_t
find_hashed(
    const struct tree *t, uint32_t dir, const char *name, size_t len, uint32_t hash)
{
	uint32_t mask = t->t_nindex - 1;

	for (uint32_t i = hash & mask; t->t_index[i]; i = (i + 1) & mask) {
		const struct adirent *ad = &t->t_ents[t->t_index[i] - 1];
		const char *s = t->t_text + ad->ad_name;

		if (ad->ad_hash == hash && ad->ad_dir == dir && (uint8_t)s[0] == len &&
		    memcmp(s + 1, name, len) == 0)
			return t->t_index[i] - 1;
	}
	return UINT32_MAX;
}

uint32_t
tree_find(const struct tree *t, uint32_t dir, const char *name, size_t len)
{
	return find_hashed(t, dir, name, len, hash_in(dir, name_hash(name, len)));
}

static int
grow_index(struct tree *t)
{
	uint32_t n = t->t_nindex * 2, *new;

	if (t->t_nents < t->t_nindex / 4 * 3)
		return 0;
	new = n ? calloc(n, sizeof(*new)) : NULL;
	if (!new)
		return -ENOMEM;
	for (uint32_t e = 0; e < t->t_nents; e++) {
		uint32_t i = t->t_ents[e].ad_hash & (n - 1);

		while (new[i])
			i = (i + 1) & (n - 1);
		new[i] = e + 1;
	}
	free(t->t_index);
	t->t_index = new;
	t->t_nindex = n;
	return 0;
}

static int
add_entry(struct tree *t, uint32_t dir, const char *name, size_t len, uint32_t hash,
    uint32_t node)
{
	struct anode *d;
	struct adirent *ad;
	uint32_t i, text;
	int r = grow_index(t);

	/* As many names as nodes at most, though hard links need none of those. */
	if (r == 0 && t->t_nents >= t->t_max)
		r = -ENOSPC;
	if (r == 0)
		r = grow(&t->t_ents, t->t_nents, &t->t_ents_cap, 1, sizeof(*ad));
	if (r == 0)
		r = tree_text(t, name, len, &text);
	if (r < 0)
		return r;
	ad = &t->t_ents[t->t_nents++];
	*ad = (struct adirent){text, hash, dir, node, 0};
	for (i = hash & (t->t_nindex - 1); t->t_index[i];)
		i = (i + 1) & (t->t_nindex - 1);
	t->t_index[i] = t->t_nents;
	d = &t->t_nodes[dir];
	if (d->an_last)
		t->t_ents[d->an_last - 1].ad_next = t->t_nents;
	else
		d->an_first = t->t_nents;
	d->an_last = t->t_nents;
	return 0;
}

/* node has one name more, in dir; or one less. */
static void
count(struct tree *t, uint32_t dir, uint32_t node, int by)
{
	struct anode *an = &t->t_nodes[node];

	if (!an_is(an, S_IFDIR)) {
		an->an_nlink += (uint32_t)by;
	} else {
		t->t_nodes[dir].an_nlink += (uint32_t)by;
		an->an_data = dir;
	}
}

int
tree_enter(struct tree *t, uint32_t dir, const char *name, size_t len, uint32_t node)
{
	uint32_t hash = hash_in(dir, name_hash(name, len));
	uint32_t e = find_hashed(t, dir, name, len, hash);
	int r = 0;

	if (e == UINT32_MAX) {
		r = add_entry(t, dir, name, len, hash, node);
	} else {
		uint32_t old = t->t_ents[e].ad_node;

		if (old == node)
			return 0;
		if (an_is(&t->t_nodes[old], S_IFDIR) && t->t_nodes[old].an_first)
			return -EISDIR;
		/* It may be on the way there, as a directory or as a symbolic link. */
		t->t_last_len = 0;
		count(t, dir, old, -1);
		t->t_ents[e].ad_node = node;
	}
	if (r == 0)
		count(t, dir, node, 1);
	return r;
}

static int
make_dir(struct tree *t, uint32_t dir, const char *name, size_t len, uint32_t *ret)
{
	uint32_t node;
	int r = tree_node(t, S_IFDIR | 0755, &node);

	if (r < 0)
		return r;
	t->t_nodes[node].an_uid = t->t_uid;
	t->t_nodes[node].an_gid = t->t_gid;
	t->t_nodes[node].an_made = 1;
	r = tree_enter(t, dir, name, len, node);
	if (r == 0)
		*ret = node;
	return r;
}

/* A walk along a path, in which the targets of symbolic links are put as they are met. */
struct walk {
	uint32_t w_dir;
	unsigned w_hops;
	char *w_rest;
	char w_buf[2][2 * PATH_MAX_LEN + 4];
};

/* The target takes the place of the component that has been cut off. */
static int
follow(struct tree *t, struct walk *w, uint32_t node)
{
	const struct anode *an = &t->t_nodes[node];
	const char *target = t->t_text + an->an_first + 1;
	size_t rest = strlen(w->w_rest), len = (size_t)an->an_size;
	char *to = w->w_buf[w->w_hops & 1];

	if (++w->w_hops > MAX_HOPS)
		return -ELOOP;
	if (len + 1 + rest > 2 * PATH_MAX_LEN + 2)
		return -ENAMETOOLONG;
	if (target[0] == '/')
		w->w_dir = 0;
	memcpy(to, target, len);
	to[len] = '/';
	memcpy(to + len + 1, w->w_rest, rest + 1);
	w->w_rest = to;
	return 0;
}

/* One component of the way.  make: what is missing is made. */
static int
step(struct tree *t, struct walk *w, const char *name, size_t len, bool make)
{
	uint32_t e;

	if (len == 0 || (len == 1 && name[0] == '.'))
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		/* Of a link's target. */
		w->w_dir = (uint32_t)t->t_nodes[w->w_dir].an_data;
		return 0;
	}
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	e = tree_find(t, w->w_dir, name, len);
	if (e == UINT32_MAX)
		return make ? make_dir(t, w->w_dir, name, len, &w->w_dir) : -ENOENT;
	e = t->t_ents[e].ad_node;
	if (an_is(&t->t_nodes[e], S_IFLNK))
		return follow(t, w, e);
	if (!an_is(&t->t_nodes[e], S_IFDIR))
		return -ENOTDIR;
	w->w_dir = e;
	return 0;
}

static int
walk_along(struct tree *t, const char *path, size_t len, bool make, uint32_t *ret)
{
	struct walk w; /* large, and cheap as long as it is not filled */

	w.w_dir = 0;
	w.w_hops = 0;
	w.w_rest = w.w_buf[1];
	memcpy(w.w_rest, path, len);
	w.w_rest[len] = '\0';
	while (*w.w_rest) {
		char *name = w.w_rest;
		size_t n = strcspn(name, "/");
		int r;

		w.w_rest += n + (name[n] == '/');
		r = step(t, &w, name, n, make);
		if (r < 0)
			return r;
	}
	*ret = w.w_dir;
	return 0;
}

/* Cuts a path into directory and last name, and refuses what leads out. */
static int
split(const char *path, size_t *ret_dirlen, const char **ret_name, size_t *ret_len)
{
	size_t len = strlen(path), dir = 0, at = 0, last = 0, last_len = 0;

	if (len > PATH_MAX_LEN)
		return -ENAMETOOLONG;
	while (at < len) {
		size_t n = strcspn(path + at, "/");

		if (n == 2 && path[at] == '.' && path[at + 1] == '.')
			return -EXDEV;
		if (n > NAME_LEN_MAX)
			return -ENAMETOOLONG;
		if (n && !(n == 1 && path[at] == '.')) {
			dir = at;
			last = at;
			last_len = n;
		}
		at += n + 1;
	}
	*ret_dirlen = dir;
	*ret_name = path + last;
	*ret_len = last_len;
	return 0;
}

int
tree_place(struct tree *t, const char *path, uint32_t *ret_dir, const char **ret_name,
    size_t *ret_len)
{
	size_t dirlen;
	int r = split(path, &dirlen, ret_name, ret_len);

	if (r < 0)
		return r;
	if (dirlen && t->t_last_len == dirlen &&
	    memcmp(t->t_last_path, path, dirlen) == 0) {
		*ret_dir = t->t_last_dir;
		return 0;
	}
	r = walk_along(t, path, dirlen, true, ret_dir);
	if (r == 0 && dirlen) {
		if (dirlen > t->t_last_cap) {
			char *p = realloc(t->t_last_path, dirlen);

			if (!p)
				return -ENOMEM;
			t->t_last_path = p;
			t->t_last_cap = dirlen;
		}
		memcpy(t->t_last_path, path, dirlen);
		t->t_last_len = dirlen;
		t->t_last_dir = *ret_dir;
	}
	return r;
}

int
tree_lookup(struct tree *t, const char *path, uint32_t *ret_node)
{
	const char *name;
	size_t dirlen, len;
	uint32_t dir, e;
	int r = split(path, &dirlen, &name, &len);

	if (r == 0)
		r = walk_along(t, path, dirlen, false, &dir);
	if (r < 0)
		return -ENOENT;
	e = len ? tree_find(t, dir, name, len) : UINT32_MAX;
	if (e == UINT32_MAX)
		return -ENOENT;
	*ret_node = t->t_ents[e].ad_node;
	return 0;
}
