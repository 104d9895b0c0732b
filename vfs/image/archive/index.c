/*
 * The index of an archive: one pass of libarchive over its headers (archive_private.h).
 */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/image/archive/archive_private.h"

/* A hard link to what comes later. */
struct wait {
	char *wt_path, *wt_target;
	int wt_err;
};

struct index {
	struct ar *ix_ar;
	struct tree *ix_t;
	struct la ix_la;
	int ix_format;    /* ARCHIVE_FORMAT_…, base */
	bool ix_plain;    /* iso9660 without Rock Ridge */
	bool ix_zip_ux;   /* the zip member has owners */
	uint64_t ix_fed;  /* bytes of units */
	int64_t ix_mtime; /* the newest */
	uint32_t ix_headers, ix_refused, ix_secret, ix_lost, ix_unknown;
	char ix_first[160]; /* the first that was refused, and why */
	struct wait *ix_waits;
	uint32_t ix_nwaits;
};

#define MAX_WAITS  65536u
#define MAX_TARGET 4095u
#define FED_MAX    (1ull << 62)
#define NOBODY     65534u

/* Names of a known charset are converted to that of the locale, which is to be UTF-8 however
 * the program runs. */
static locale_t utf8;

static void
make_utf8(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static bool
is_fatal(int r)
{
	return r == -ENOMEM || r == -ENOSPC;
}

/* path may be NULL. */
static void
refuse(struct index *ix, const char *path, int err)
{
	const char *why = err == -EXDEV          ? "it leads out"
	                  : err == -EISDIR       ? "it has the name of a directory"
	                  : err == -ENOTDIR      ? "it is below a file"
	                  : err == -ELOOP        ? "it is behind a loop of links"
	                  : err == -ENAMETOOLONG ? "its name is too long"
	                  : err == -ENOENT       ? "what it is a link to is missing"
	                                         : "it is not a file of any type";
	char *p = ix->ix_first;

	if (ix->ix_refused++)
		return;
	snprintf(p, sizeof(ix->ix_first), "%.100s: %s",
	    path ? path : "one without a name", why);
	for (; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
}

/* Where data are. */

/* The local header of the zip member whose data begin at this place, found from its end:
 * libarchive does not tell.  False: there is none. */
static bool
zip_header(struct index *ix, uint64_t data, uint64_t *ret)
{
	static const uint32_t reach[] = {512, 30 + 2 * 65535};
	uint8_t *buf = NULL;
	bool found = false;

	for (unsigned i = 0; i < 2 && !found; i++) {
		uint32_t len = data < reach[i] ? (uint32_t)data : reach[i];
		uint8_t *p = realloc(buf, len + 1);

		if (!p)
			break;
		buf = p;
		if (stream_read(&ix->ix_ar->ar_st, buf, len, data - len) < 0)
			break;
		for (uint32_t back = 30; back <= len && !found; back++) {
			p = buf + len - back;
			found = memcmp(p, "PK\3\4", 4) == 0 &&
			        p[26] + 256u * p[27] + p[28] + 256u * p[29] + 30 == back;
		}
		if (found) {
			const uint8_t *x = p + 30 + p[26] + 256u * p[27],
				      *end = buf + len;

			*ret = data - (uint64_t)(end - p);
			ix->ix_zip_ux = false;
			for (; end - x >= 4; x += 4 + x[2] + 256u * x[3])
				ix->ix_zip_ux |= (x[0] == 'u' && x[1] == 'x') ||
				                 (x[0] == 'U' && x[1] == 'x');
		}
	}
	free(buf);
	return found;
}

static int
add_unit(struct index *ix, uint64_t where, struct anode *an)
{
	struct ar *ar = ix->ix_ar;

	if (an->an_size > FED_MAX - ix->ix_fed) {
		an->an_kind = DK_LOST;
		return 0;
	}
	/* One more for the end. */
	if (ar->ar_nunits + 2 > ar->ar_units_cap) {
		uint32_t cap = ar->ar_units_cap ? ar->ar_units_cap * 2 : 64;
		struct unit *p = reallocarray(ar->ar_units, cap, sizeof(*p));

		if (!p)
			return -ENOMEM;
		ar->ar_units = p;
		ar->ar_units_cap = cap;
	}
	an->an_kind = DK_FED;
	an->an_data = ix->ix_fed;
	ar->ar_units[ar->ar_nunits].un_base = ix->ix_fed;
	ar->ar_units[ar->ar_nunits].un_where = where;
	ar->ar_units[ar->ar_nunits].un_good = UINT64_MAX;
	ix->ix_fed += an->an_size;
	ar->ar_nunits++;
	ar->ar_units[ar->ar_nunits].un_base = ix->ix_fed;
	return 0;
}

static int
locate_zip(struct index *ix, struct anode *an)
{
	uint64_t data = (uint64_t)archive_filter_bytes(ix->ix_la.la_a, 0), header;
	const char *method = archive_format_name(ix->ix_la.la_a);

	ix->ix_zip_ux = false;
	if (!zip_header(ix, data, &header)) {
		an->an_kind = DK_LOST;
		ix->ix_lost++;
		return 0;
	}
	if (method && strstr(method, "(uncompressed)")) {
		an->an_kind = DK_DIRECT;
		an->an_data = data;
		return 0;
	}
	ix->ix_ar->ar_zip = true;
	return add_unit(ix, header, an);
}

/* iso9660 may be compressed by file (zisofs).  What comes from our own buffer is not. */
static int
locate_iso(struct index *ix, struct anode *an)
{
	struct la *la = &ix->ix_la;
	const void *buf;
	size_t len;
	uint64_t off;
	int r = la_data(la, &buf, &len, &off);
	const uint8_t *p = buf;

	if (r <= 0) {
		an->an_kind = DK_LOST;
		ix->ix_lost++;
		return 0;
	}
	if (off == 0 && p >= la->la_buf && p < la->la_buf + la->la_buf_len) {
		an->an_kind = DK_DIRECT;
		an->an_data = la->la_buf_at + (uint64_t)(p - la->la_buf);
		return 0;
	}
	return add_unit(ix, ix->ix_headers - 1, an);
}

static int
locate(struct index *ix, struct archive_entry *e, struct anode *an)
{
	an->an_kind = DK_NONE;
	if (!an_is(an, S_IFREG) || an->an_size == 0)
		return 0;
	if (archive_entry_is_encrypted(e)) {
		an->an_kind = DK_SECRET;
		ix->ix_secret++;
		return 0;
	}
	switch (ix->ix_format) {
	case ARCHIVE_FORMAT_TAR:
	case ARCHIVE_FORMAT_CPIO:
	case ARCHIVE_FORMAT_AR:
		an->an_kind = DK_DIRECT;
		an->an_data = (uint64_t)archive_filter_bytes(ix->ix_la.la_a, 0);
		return 0;
	case ARCHIVE_FORMAT_ZIP:
		return locate_zip(ix, an);
	case ARCHIVE_FORMAT_ISO9660:
		return locate_iso(ix, an);
	default:
		return add_unit(ix, ix->ix_headers - 1, an);
	}
}

/* The holes of a file in a tar, whose data are packed. */
static int
add_holes(struct index *ix, struct archive_entry *e, uint32_t node)
{
	struct tree *t = ix->ix_t;
	uint32_t first = t->t_nsparse;
	uint64_t pos = 0, end = 0, size = t->t_nodes[node].an_size;
	la_int64_t off, len;
	struct aextra *ax;
	int r = 0;

	if (t->t_nodes[node].an_kind != DK_DIRECT || archive_entry_sparse_reset(e) <= 0)
		return 0;
	while (r == 0 && archive_entry_sparse_next(e, &off, &len) == ARCHIVE_OK) {
		if (len == 0)
			continue;
		if (off < 0 || len < 0 || (uint64_t)off < end || (uint64_t)off > size ||
		    (uint64_t)len > size - (uint64_t)off) {
			t->t_nsparse = first;
			t->t_nodes[node].an_kind = DK_LOST;
			ix->ix_lost++;
			return 0;
		}
		r = tree_sparse(t, (uint64_t)off, (uint64_t)len, pos);
		pos += (uint64_t)len;
		end = (uint64_t)off + (uint64_t)len;
	}
	if (r == 0)
		r = tree_extra(t, node, &ax);
	if (r < 0)
		return r;
	ax->ax_sparse = first;
	ax->ax_nsparse = t->t_nsparse - first;
	ax->ax_stored = pos;
	if (pos == 0)
		t->t_nodes[node].an_kind = DK_NONE;
	return 0;
}

/* Attributes. */

static bool
has_owners(const struct index *ix)
{
	switch (ix->ix_format) {
	case ARCHIVE_FORMAT_TAR:
	case ARCHIVE_FORMAT_CPIO:
	case ARCHIVE_FORMAT_AR:
	case ARCHIVE_FORMAT_XAR:
		return true;
	case ARCHIVE_FORMAT_ISO9660:
		return !ix->ix_plain;
	case ARCHIVE_FORMAT_ZIP:
		return ix->ix_zip_ux;
	default:
		return false;
	}
}

static uint32_t
to_id(la_int64_t id)
{
	return id < 0 || id >= UINT32_MAX ? NOBODY : (uint32_t)id;
}

static uint32_t
to_nsec(long ns)
{
	return ns < 0 || ns > 999999999 ? 0 : (uint32_t)ns;
}

static int
set_times(struct index *ix, struct archive_entry *e, uint32_t node)
{
	struct anode *an = &ix->ix_t->t_nodes[node];
	bool a = archive_entry_atime_is_set(e), c = archive_entry_ctime_is_set(e),
	     b = archive_entry_birthtime_is_set(e);
	struct aextra *ax;
	int r;

	an->an_mtime = archive_entry_mtime(e);
	an->an_mtime_ns = to_nsec(archive_entry_mtime_nsec(e));
	if (an->an_mtime > ix->ix_mtime)
		ix->ix_mtime = an->an_mtime;
	if (!a && !c && !b)
		return 0;
	r = tree_extra(ix->ix_t, node, &ax);
	if (r < 0)
		return r;
	if (a) {
		ax->ax_atime.tv_sec = archive_entry_atime(e);
		ax->ax_atime.tv_nsec = to_nsec(archive_entry_atime_nsec(e));
	}
	if (c) {
		ax->ax_ctime.tv_sec = archive_entry_ctime(e);
		ax->ax_ctime.tv_nsec = to_nsec(archive_entry_ctime_nsec(e));
	}
	if (b) {
		ax->ax_btime.tv_sec = archive_entry_birthtime(e);
		ax->ax_btime.tv_nsec = to_nsec(archive_entry_birthtime_nsec(e));
	}
	return 0;
}

static int
set_attributes(struct index *ix, struct archive_entry *e, uint32_t node, uint32_t mode)
{
	struct tree *t = ix->ix_t;
	struct anode *an = &t->t_nodes[node];
	uint64_t at = 0;
	uint32_t len = 0;
	struct aextra *ax;
	int r;

	an->an_uid = has_owners(ix) ? to_id(archive_entry_uid(e)) : ix->ix_ar->ar_uid;
	an->an_gid = has_owners(ix) ? to_id(archive_entry_gid(e)) : ix->ix_ar->ar_gid;
	an->an_made = 0;
	/* Those of a symbolic link mean nothing, and the kernel shows this one. */
	if (S_ISLNK(mode))
		mode = S_IFLNK | 0777;
	/* What the kernel's driver shows where the image has no modes. */
	else if (ix->ix_plain)
		mode = (mode & S_IFMT) | 0555;
	r = set_times(ix, e, node);
	if (r == 0)
		r = xattr_collect(t, e, &mode, &at, &len);
	if (r < 0)
		return r;
	ix->ix_unknown += (uint32_t)r;
	t->t_nodes[node].an_mode = (uint16_t)mode;
	if (len == 0)
		return 0;
	r = tree_extra(t, node, &ax);
	if (r == 0) {
		ax->ax_xattrs = at;
		ax->ax_xattrs_len = len;
	}
	return r;
}

/* Entries. */

static int
fill_symlink(struct index *ix, struct archive_entry *e, uint32_t node)
{
	const char *to = archive_entry_symlink(e);
	size_t len;
	uint32_t at;
	int r;

	if (!to)
		to = archive_entry_symlink_utf8(e);
	len = to ? strlen(to) : 0;
	if (len == 0 || len > MAX_TARGET)
		return -EINVAL;
	r = tree_text(ix->ix_t, to, len, &at);
	if (r == 0) {
		ix->ix_t->t_nodes[node].an_first = at;
		ix->ix_t->t_nodes[node].an_size = len;
	}
	return r;
}

static int
fill(struct index *ix, struct archive_entry *e, uint32_t node, uint32_t mode)
{
	struct tree *t = ix->ix_t;
	int r = 0;

	switch (mode & S_IFMT) {
	case S_IFREG:
		if (archive_entry_size(e) < 0)
			return -EINVAL;
		t->t_nodes[node].an_size = (uint64_t)archive_entry_size(e);
		r = locate(ix, e, &t->t_nodes[node]);
		break;
	case S_IFLNK:
		r = fill_symlink(ix, e, node);
		break;
	case S_IFCHR:
	case S_IFBLK:
		t->t_nodes[node].an_data = archive_entry_rdev(e);
		break;
	default:
		break;
	}
	if (r == 0)
		r = set_attributes(ix, e, node, mode);
	if (r == 0)
		r = add_holes(ix, e, node);
	return r;
}

/* The data of a link that brings them: cpio has them with the last one. */
static int
data_of_link(struct index *ix, struct archive_entry *e, uint32_t node)
{
	struct anode *an = &ix->ix_t->t_nodes[node];

	if (!archive_entry_size_is_set(e) || archive_entry_size(e) <= 0 ||
	    !an_is(an, S_IFREG))
		return 0;
	an->an_size = (uint64_t)archive_entry_size(e);
	if (an->an_extra) {
		ix->ix_t->t_extras[an->an_extra - 1].ax_stored = an->an_size;
		ix->ix_t->t_extras[an->an_extra - 1].ax_nsparse = 0;
	}
	return locate(ix, e, an);
}

static int
add_link(struct index *ix, const char *path, const char *target, uint32_t *ret_node)
{
	struct tree *t = ix->ix_t;
	uint32_t dir;
	const char *name;
	size_t len;
	int r = tree_lookup(t, target, ret_node);

	if (r == 0 && an_is(&t->t_nodes[*ret_node], S_IFDIR))
		return -EISDIR;
	if (r == 0)
		r = tree_place(t, path, &dir, &name, &len);
	if (r == 0 && len == 0)
		return -EISDIR;
	return r < 0 ? r : tree_enter(t, dir, name, len, *ret_node);
}

static int
wait_for(struct index *ix, const char *path, const char *target)
{
	struct wait *w;

	if (ix->ix_nwaits == MAX_WAITS)
		return -EINVAL;
	if (ix->ix_nwaits % 64 == 0) {
		w = reallocarray(ix->ix_waits, ix->ix_nwaits + 64, sizeof(*w));
		if (!w)
			return -ENOMEM;
		ix->ix_waits = w;
	}
	w = &ix->ix_waits[ix->ix_nwaits];
	w->wt_path = strdup(path);
	w->wt_target = strdup(target);
	if (!w->wt_path || !w->wt_target) {
		free(w->wt_path);
		free(w->wt_target);
		return -ENOMEM;
	}
	ix->ix_nwaits++;
	return 0;
}

static int
add_entry(struct index *ix, struct archive_entry *e, const char *path)
{
	struct tree *t = ix->ix_t;
	uint32_t mode = archive_entry_mode(e), dir, node = UINT32_MAX, at;
	const char *name;
	size_t len;
	int r;

	if (vtype_of_mode(mode) == 0)
		return -EINVAL;
	r = tree_place(t, path, &dir, &name, &len);
	if (r < 0)
		return r;
	at = len ? tree_find(t, dir, name, len) : UINT32_MAX;
	if (len == 0)
		node = 0;
	else if (at != UINT32_MAX && an_is(&t->t_nodes[t->t_ents[at].ad_node], S_IFDIR))
		node = t->t_ents[at].ad_node;
	if (node != UINT32_MAX && S_ISDIR(mode))
		return set_attributes(ix, e, node, mode);
	if (len == 0)
		return -EISDIR;
	r = tree_node(t, mode, &node);
	if (r == 0)
		r = fill(ix, e, node, mode);
	return r < 0 ? r : tree_enter(t, dir, name, len, node);
}

static int
add(struct index *ix, struct archive_entry *e)
{
	const char *path = archive_entry_pathname(e), *target = archive_entry_hardlink(e);
	uint32_t node;
	int r;

	if (!path)
		path = archive_entry_pathname_utf8(e);
	if (!path)
		return -EINVAL;
	if (!target)
		return add_entry(ix, e, path);
	r = add_link(ix, path, target, &node);
	if (r == -ENOENT)
		return wait_for(ix, path, target);
	return r < 0 ? r : data_of_link(ix, e, node);
}

/* What came before its target, again and again while that gets any further. */
static void
add_waits(struct index *ix)
{
	uint32_t left = ix->ix_nwaits, before;

	for (unsigned i = 0; i < 8; i++) {
		before = left;
		left = 0;
		for (uint32_t j = 0; j < before; j++) {
			struct wait w = ix->ix_waits[j];
			uint32_t node;

			w.wt_err = add_link(ix, w.wt_path, w.wt_target, &node);
			if (w.wt_err < 0) {
				ix->ix_waits[left++] = w;
				continue;
			}
			free(w.wt_path);
			free(w.wt_target);
		}
		if (left == before)
			break;
	}
	for (uint32_t j = 0; j < left; j++) {
		refuse(ix, ix->ix_waits[j].wt_path, ix->ix_waits[j].wt_err);
		free(ix->ix_waits[j].wt_path);
		free(ix->ix_waits[j].wt_target);
	}
	free(ix->ix_waits);
}

/* The whole. */

static void
note_format(struct index *ix)
{
	const char *name = archive_format_name(ix->ix_la.la_a);

	ix->ix_format = archive_format(ix->ix_la.la_a) & ARCHIVE_FORMAT_BASE_MASK;
	ix->ix_plain = ix->ix_format == ARCHIVE_FORMAT_ISO9660 &&
	               (!name || !strstr(name, "Rockridge"));
}

/* 0, or why it ended early. */
static int
add_all(struct index *ix)
{
	struct archive_entry *e;
	int r;

	while ((r = la_next(&ix->ix_la, &e)) > 0) {
		if (ix->ix_headers++ == 0)
			note_format(ix);
		r = add(ix, e);
		if (is_fatal(r))
			return r;
		if (r < 0)
			refuse(ix, archive_entry_pathname(e), r);
	}
	return r;
}

static void __attribute__((format(printf, 3, 4)))
say(char *why, size_t len, const char *fmt, ...)
{
	size_t n = strlen(why);
	va_list ap;

	if (n && n + 2 < len)
		n += (size_t)snprintf(why + n, len - n, "; ");
	va_start(ap, fmt);
	vsnprintf(why + n, len - n, fmt, ap);
	va_end(ap);
}

static void
say_all(struct index *ix, int r, char *why, size_t len)
{
	const char *text = archive_error_string(ix->ix_la.la_a);

	if (r == -ENOSPC)
		say(why, len, "it has more than %u entries, of which the first are shown",
		    ix->ix_t->t_max);
	else if (r < 0)
		say(why, len, "damaged after %u entries (%s)", ix->ix_headers,
		    text && r == -EUCLEAN ? text : strerrordesc_np(-r));
	if (ix->ix_secret)
		say(why, len, "%u files are encrypted and cannot be read", ix->ix_secret);
	if (ix->ix_lost)
		say(why, len, "the data of %u files are not to be found", ix->ix_lost);
	if (ix->ix_refused)
		say(why, len, "%u entries are left out, the first %s", ix->ix_refused,
		    ix->ix_first);
	if (ix->ix_unknown)
		say(why, len, "%u attributes are left out", ix->ix_unknown);
}

/* Directories that the archive does not name are as old as what it has. */
static void
date_made(struct index *ix)
{
	struct tree *t = ix->ix_t;

	for (uint32_t i = 0; i < t->t_nnodes; i++) {
		if (t->t_nodes[i].an_made)
			t->t_nodes[i].an_mtime = ix->ix_mtime;
	}
}

static int
index_with(struct index *ix, char *why, size_t len)
{
	int r = add_all(ix);

	if (r < 0 && (ix->ix_headers == 0 || r == -ENOMEM)) {
		const char *text = archive_error_string(ix->ix_la.la_a);

		if (archive_read_has_encrypted_entries(ix->ix_la.la_a) > 0)
			r = -EACCES;
		snprintf(
		    why, len, "%s", text && r != -ENOMEM ? text : strerrordesc_np(-r));
		add_waits(ix);
		return r;
	}
	add_waits(ix);
	/* Zeros are the end of a tar: an image of a disk may begin with some. */
	if (r == 0 && ix->ix_headers == 0 && ix->ix_ar->ar_st.st_seq)
		return ar_raw(ix->ix_ar, why, len);
	date_made(ix);
	say_all(ix, r, why, len);
	tree_settle(ix->ix_t);
	return 0;
}

int
ar_index(struct ar *ar, char *why, size_t why_len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct index ix = {.ix_ar = ar, .ix_t = &ar->ar_tree};
	locale_t old = (locale_t)0;
	char text[128] = "";
	int r;

	pthread_once(&once, make_utf8);
	if (utf8)
		old = uselocale(utf8);
	r = la_open(&ix.ix_la, &ar->ar_st, 0, ar->ar_st.st_seq ? LA_INDEX_TEXT : LA_INDEX,
	    ar->ar_rar, text);
	if (r == 0) {
		if (ar->ar_st.st_seq)
			ix.ix_la.la_limit = ar->ar_limit;
		if (!ar->ar_st.st_seq)
			ix.ix_la.la_pg = &ar->ar_pg;
		r = index_with(&ix, why, why_len);
		la_close(&ix.ix_la);
	} else if (r == -EUCLEAN && ar->ar_st.st_seq) {
		r = ar_raw(ar, why, why_len);
	} else {
		snprintf(why, why_len, "%s", text);
	}
	if (utf8)
		uselocale(old);
	return r;
}
