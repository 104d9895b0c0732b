/*
 * Extended attributes: an inode has the number of a set of them, which is a run of names
 * and values in metadata blocks.  A value may be that of another set, and is then a
 * reference.
 */
#include <sys/xattr.h>

#include "vfs/image/squashfs/sqfs.h"

/* What one set may be, at most, before it is taken for damage. */
#define SET_COUNT 65536u
#define SET_BYTES (16u << 20)
#define VALUE_MAX 65536u

static const char *const prefixes[] = {"user.", "trusted.", "security."};

struct attr {
	char a_name[NAME_LEN_MAX + 16]; /* with a NUL */
	uint32_t a_nlen;
	uint32_t a_vlen;
	struct sq_cursor a_value; /* the value is to be read from here, or not */
};

int
sq_xattr_load(struct sq_mount *m)
{
	uint64_t start = m->m_super.xattr_id_table_start;
	sqfs_xattr_id_table_t t;
	int r;

	if (start == SQ_NOWHERE)
		return 0;
	if (start > m->m_limit || sizeof(t) > m->m_limit - start)
		return -EUCLEAN;
	r = device_read(m->m_im.im_dev, &t, sizeof(t), start);
	if (r < 0)
		return r;
	m->m_xattr_start = le64toh(t.xattr_table_start);
	if (m->m_xattr_start > m->m_limit)
		return -EUCLEAN;
	return sq_table_load(m, &m->m_xattrs, start + sizeof(t), le32toh(t.xattr_ids),
	    sizeof(sqfs_xattr_id_t));
}

/* A cursor to a reference into the area of attributes. */
static int
point(struct sq_mount *m, uint64_t ref, struct sq_cursor *c)
{
	if (ref >> 16 > m->m_limit)
		return -EUCLEAN;
	sq_cursor_init(c, m, m->m_xattr_start + (ref >> 16), ref & 0xffff);
	return 0;
}

/* The set's next name.  1, or 0: of a family that nobody knows, a_name is empty. */
static int
read_name(struct sq_cursor *c, struct attr *a, bool *ret_elsewhere)
{
	sqfs_xattr_entry_t e;
	unsigned family;
	size_t len;
	int r = sq_read(c, &e, sizeof(e));

	if (r < 0)
		return r;
	family = le16toh(e.type) & SQFS_XATTR_PREFIX_MASK;
	*ret_elsewhere = le16toh(e.type) & SQFS_XATTR_FLAG_OOL;
	a->a_nlen = 0;
	if (family >= sizeof(prefixes) / sizeof(prefixes[0]))
		return sq_read(c, NULL, le16toh(e.size));
	len = strlen(prefixes[family]);
	if (e.size == 0 || len + le16toh(e.size) > NAME_LEN_MAX)
		return -EUCLEAN;
	memcpy(a->a_name, prefixes[family], len);
	r = sq_read(c, a->a_name + len, le16toh(e.size));
	if (r < 0)
		return r;
	a->a_nlen = (uint32_t)len + le16toh(e.size);
	a->a_name[a->a_nlen] = '\0';
	return memchr(a->a_name, '\0', a->a_nlen) ? -EUCLEAN : 0;
}

/* The set's next attribute, c being moved on to the one after it; *left is what the set may
 * still have.  a_value is to be done with. */
static int
next(struct sq_mount *m, struct sq_cursor *c, struct attr *a, uint32_t *left)
{
	uint32_t here;
	uint64_t ref;
	bool elsewhere;
	int r = read_name(c, a, &elsewhere);

	if (r == 0)
		r = sq_read(c, &here, sizeof(here));
	if (r < 0)
		return r;
	here = le32toh(here);
	if (here > VALUE_MAX || here > *left || (elsewhere && here != sizeof(ref)))
		return -EUCLEAN;
	*left -= here;
	a->a_vlen = here;
	sq_cursor_init(&a->a_value, m, c->c_pos, c->c_off);
	if (!elsewhere)
		return sq_read(c, NULL, here);
	r = sq_read(c, &ref, sizeof(ref));
	if (r == 0)
		r = point(m, le64toh(ref), &a->a_value);
	if (r == 0)
		r = sq_read(&a->a_value, &a->a_vlen, sizeof(a->a_vlen));
	a->a_vlen = le32toh(a->a_vlen);
	if (r == 0 && a->a_vlen > VALUE_MAX)
		r = -EUCLEAN;
	return r;
}

/* Calls fn for each attribute until it returns non-zero, which is returned. */
static int
each(struct sq_node *n, int (*fn)(struct attr *a, void *arg), void *arg)
{
	struct sq_mount *m = sq_mount_of(&n->n_in.in_vn);
	uint32_t left = SET_BYTES, count;
	sqfs_xattr_id_t id;
	struct sq_cursor c;
	int r;

	if (n->n_xattr == SQ_NONE || m->m_super.xattr_id_table_start == SQ_NOWHERE)
		return 0;
	r = sq_table_get(m, &m->m_xattrs, n->n_xattr, &id);
	if (r == 0)
		r = point(m, le64toh(id.xattr), &c);
	if (r < 0)
		return r;
	count = le32toh(id.count);
	if (count > SET_COUNT)
		r = -EUCLEAN;
	for (; r == 0 && count > 0; count--) {
		struct attr a = {.a_nlen = 0};

		r = next(m, &c, &a, &left);
		if (r == 0 && a.a_nlen)
			r = fn(&a, arg);
		sq_cursor_done(&a.a_value);
	}
	sq_cursor_done(&c);
	return r;
}

struct wanted {
	const char *name;
	void *buf;
	size_t size, len;
};

static int
match(struct attr *a, void *arg)
{
	struct wanted *w = arg;
	int r = 0;

	if (strcmp(a->a_name, w->name) != 0)
		return 0;
	w->len = a->a_vlen;
	if (w->size && w->size < w->len)
		return -ERANGE;
	if (w->size)
		r = sq_read(&a->a_value, w->buf, w->len);
	return r < 0 ? r : 1;
}

int
sq_getxattr(struct vnode *vp, const char *name, void *buf, size_t size, size_t *ret_len)
{
	struct wanted w = {name, buf, size, 0};
	int r = each(sq_node_of(vp), match, &w);

	if (r == 0)
		return -ENODATA;
	if (r < 0)
		return r;
	*ret_len = w.len;
	return 0;
}

struct list {
	char *buf;
	size_t size, len;
};

static int
append(struct attr *a, void *arg)
{
	struct list *l = arg;

	if (l->size) {
		if (a->a_nlen + 1 > l->size - l->len)
			return -ERANGE;
		memcpy(l->buf + l->len, a->a_name, a->a_nlen + 1);
	}
	l->len += a->a_nlen + 1;
	return 0;
}

int
sq_listxattr(struct vnode *vp, char *buf, size_t size, size_t *ret_len)
{
	struct list l = {buf, size, 0};
	int r = each(sq_node_of(vp), append, &l);

	if (r == 0)
		*ret_len = l.len;
	return r;
}
