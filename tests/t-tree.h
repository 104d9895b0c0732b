/*
 * A tree as text, and its invariants.
 *
 * Whatever happened, these must hold: a directory's link count is two and its
 * subdirectories, its parent pointer is where it was found, a file has as many links as
 * names, and a listing has each name once and only names that a lookup finds.
 */
#ifndef RF_T_TREE_H
#define RF_T_TREE_H

#include "tests/t-vfs.h"

struct tree {
	FILE *out; /* the dump; NULL: none is wanted */
	unsigned nodes, bad;
	struct seen {
		struct vnode *vp; /* files only, a reference */
		unsigned names;
	} * seen;
	size_t nseen;
	bool foreign; /* attachments are in it: link counts are not checked */
	bool no_data; /* contents can be read through an open file only: left out */
	struct todo {
		struct todo *next;
		struct vnode *vp;
		char path[];
	} * first, **tail; /* no recursion: a tree may be deeper than the stack */
};

static inline void
tree_bad(struct tree *t, const char *path, const char *fmt, ...)
{
	va_list ap;

	t->bad++;
	printf("tree: %s: ", path);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static inline void
tree_see(struct tree *t, struct vnode *vp)
{
	for (size_t i = 0; i < t->nseen; i++) {
		if (t->seen[i].vp == vp) {
			t->seen[i].names++;
			return;
		}
	}
	if ((t->nseen & (t->nseen - 1)) == 0)
		t->seen =
		    realloc(t->seen, (t->nseen ? t->nseen * 2 : 1) * sizeof(*t->seen));
	t->seen[t->nseen++] = (struct seen){vn_ref(vp), 1};
}

/* Contents, shortened to a sum. */
static inline uint64_t
tree_sum(struct vnode *vp, uint64_t size)
{
	static uint64_t buf[8192];
	uint64_t sum = 0;
	ssize_t n;

	for (uint64_t off = 0; off < size && off < (1 << 24); off += (uint64_t)n) {
		n = v_read(vp, buf, sizeof(buf), off);
		if (n <= 0)
			return UINT64_MAX;
		memset((char *)buf + n, 0, -(size_t)n % 8);
		for (ssize_t i = 0; i < (n + 7) / 8; i++)
			sum = (sum << 7 | sum >> 57) + buf[i] + 1;
	}
	return sum;
}

static inline void
tree_print(struct tree *t, const char *path, struct vnode *vp, const struct vattr *va)
{
	char link[4096], names[4096];
	size_t len = 0;

	fprintf(t->out, "%s %o %u:%u nlink=%llu rdev=%llu size=%llu blocks=%llu", path,
	    va->va_mode, va->va_uid, va->va_gid, (unsigned long long)va->va_nlink,
	    (unsigned long long)va->va_rdev,
	    (unsigned long long)(vp->v_type == VDIR ? 0 : va->va_size),
	    (unsigned long long)va->va_blocks_blk);
	if (vp->v_type == VREG)
		fprintf(
		    t->out, " sum=%llx", (unsigned long long)tree_sum(vp, va->va_size));
	if (vp->v_type == VLNK && vop_readlink(vp, link, sizeof(link), &len) == 0)
		fprintf(t->out, " -> %.*s", (int)len, link);
	if (vop_listxattr(vp, names, sizeof(names), &len) == 0) {
		for (size_t o = 0; o < len; o += strlen(names + o) + 1) {
			char value[256];
			size_t n = 0;

			if (vop_getxattr(vp, names + o, value, sizeof(value), &n) == 0)
				fprintf(t->out, " %s=%.*s", names + o, (int)n, value);
		}
	}
	fputc('\n', t->out);
}

/* To be visited.  The reference becomes the list's.  Of a very long path only the end is
 * kept, for messages. */
static inline void
tree_later(struct tree *t, const char *path, const char *name, struct vnode *vp)
{
	const char *dots = strlen(path) > 4000 ? "..." : "";
	struct todo *td;

	if (*dots)
		path += strlen(path) - 1000;
	td = calloc(1, sizeof(*td) + strlen(dots) + strlen(path) + strlen(name) + 2);
	sprintf(td->path, "%s%s%s%s", dots, path, *name ? "/" : "", name);
	td->vp = vp;
	*t->tail = td;
	t->tail = &td->next;
}

/* The entries of a directory, in small helpings.  *ret_nsub: subdirectories. */
static inline int
tree_entries(struct tree *t, const char *path, struct vnode *dvp, unsigned *ret_nsub)
{
	_Alignas(8) char mem[1024];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	struct file *f;
	unsigned dots = 0;
	int r = vop_open(dvp, O_RDONLY | O_DIRECTORY, &t_cred, &f);

	while (r == 0 && (r = vop_readdir(f, &db)) == 0 && db.db_used > 0) {
		for (struct dirrec *d = NULL; (d = dirbuf_next(&db, d));) {
			struct vnode *vp;
			struct name n;

			db.db_cookie = d->dr_cookie;
			if (name_init(&n, d->dr_name) < 0) {
				dots++;
				continue;
			}
			if (vop_lookup(dvp, &n, &vp) < 0) {
				tree_bad(t, path, "%s is listed but not there", n.n_ptr);
				continue;
			}
			if (d->dr_type != vtype_to_dt(vp->v_type))
				tree_bad(
				    t, path, "d_type of %s is %u", n.n_ptr, d->dr_type);
			*ret_nsub += vp->v_type == VDIR;
			if (vp->v_type == VDIR && vp->v_parent != dvp)
				tree_bad(t, path, "wrong parent of %s", n.n_ptr);
			tree_later(t, path, n.n_ptr, vp);
		}
	}
	if (dots != 2)
		tree_bad(t, path, "%u dots", dots);
	vop_close(f);
	return r;
}

static inline void
tree_visit(struct tree *t, const char *path, struct vnode *vp)
{
	struct vattr va;
	unsigned nsub = 0;
	int r = vop_getattr(vp, NULL, &va);

	t->nodes++;
	if (r < 0) {
		tree_bad(t, path, "getattr: %d", r);
		return;
	}
	if (t->out)
		tree_print(t, path, vp, &va);
	if (vp->v_type != VDIR) {
		tree_see(t, vp);
		return;
	}
	r = tree_entries(t, path, vp, &nsub);
	if (r < 0)
		tree_bad(t, path, "readdir: %d", r);
	if (!t->foreign && va.va_nlink != 2 + nsub)
		tree_bad(t, path, "%u subdirectories, %llu links", nsub,
		    (unsigned long long)va.va_nlink);
}

/* True if all invariants hold below vp.  *ret_dump (if not NULL) is the dump, for free().
 */
static inline bool
tree_check_as(struct tree t, struct vnode *vp, char **ret_dump)
{
	size_t len;

	if (ret_dump)
		t.out = open_memstream(ret_dump, &len);
	t.tail = &t.first;
	tree_later(&t, "", "", vn_ref(vp));
	for (struct todo *td; (td = t.first); free(td)) {
		tree_visit(&t, td->path, td->vp);
		vn_unref(td->vp);
		t.first = td->next;
		if (!t.first)
			t.tail = &t.first;
	}
	for (size_t i = 0; i < t.nseen; i++) {
		struct vattr va;

		if (vop_getattr(t.seen[i].vp, NULL, &va) == 0 && !t.foreign &&
		    va.va_nlink != t.seen[i].names)
			tree_bad(&t, "a file", "%u names, %llu links", t.seen[i].names,
			    (unsigned long long)va.va_nlink);
		vn_unref(t.seen[i].vp);
	}
	free(t.seen);
	if (t.out)
		fclose(t.out);
	return t.bad == 0;
}

/* foreign: there are attachments in the tree. */
static inline bool
tree_check(struct vnode *vp, bool foreign, char **ret_dump)
{
	return tree_check_as((struct tree){.foreign = foreign}, vp, ret_dump);
}

static inline int
tree_by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Cuts a dump into lines and sorts them; the array is for free(). */
static inline char **
tree_lines(char *dump, size_t *ret_n)
{
	char **lines = NULL, *save = NULL;
	size_t n = 0;

	for (char *l = strtok_r(dump, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (n % 64 == 0)
			lines = realloc(lines, (n + 64) * sizeof(*lines));
		lines[n++] = l;
	}
	qsort(lines, n, sizeof(*lines), tree_by_line);
	*ret_n = n;
	return lines;
}

/* Do two dumps say the same, whatever the order of the entries?  Prints what differs.
 * Frees them. */
static inline bool
tree_same(char *before, char *after)
{
	size_t n, m, i = 0, k = 0, bad = 0;
	char **a = tree_lines(before, &n), **b = tree_lines(after, &m);

	while (i < n || k < m) {
		int c = i == n ? 1 : k == m ? -1 : strcmp(a[i], b[k]);

		bad += c != 0;
		if (c < 0)
			printf("tree: gone: %s\n", a[i]);
		if (c > 0)
			printf("tree: come: %s\n", b[k]);
		i += c <= 0;
		k += c >= 0;
	}
	free(a);
	free(b);
	free(before);
	free(after);
	return bad == 0;
}

#endif
