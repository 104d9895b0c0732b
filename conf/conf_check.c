/*
 * What only the whole shows.  All paths are put into one table in the order in which they
 * were declared: the second of two that are the same is wrong.  Then every path's parents
 * are looked up among those paths that cannot have anything below them.
 */
#include <string.h>

#include "conf/conf_int.h"

struct entry {
	const struct conf_where *e_where;
	const char *e_path;
	bool e_leaf; /* is not a directory, whatever the host has */
};

static int
entry_order(const void *pa, const void *pb)
{
	const struct conf_where *a = ((const struct entry *)pa)->e_where;
	const struct conf_where *b = ((const struct entry *)pb)->e_where;
	unsigned ra = conf_file_of(a)->cf_rank, rb = conf_file_of(b)->cf_rank;

	if (ra != rb)
		return ra < rb ? -1 : 1;
	return a->cw_line < b->cw_line ? -1 : a->cw_line > b->cw_line;
}

static struct entry *
entries_new(const struct conf *c, size_t *ret_n)
{
	size_t max = c->c_nnodes + c->c_netfs + c->c_nmounts;
	struct entry *all = g_new(struct entry, max + 1), *e = all;

	for (size_t i = 0; i < c->c_nnodes; i++) {
		const struct conf_node *n = &c->c_nodes[i];
		*e++ = (struct entry){&n->cn_where, n->cn_path, n->cn_kind != CK_DIR};
	}
	for (size_t i = 0; i < c->c_netfs; i++) {
		const struct conf_etfs *k = &c->c_etfs[i];
		*e++ = (struct entry){&k->ce_where, k->ce_path,
		    k->ce_type == CT_REG || k->ce_type == CT_BLK || k->ce_type == CT_CHR};
	}
	for (size_t i = 0; i < c->c_nmounts; i++) {
		const struct conf_mount *m = &c->c_mounts[i];
		*e++ = (struct entry){&m->cm_where, m->cm_path, false};
	}
	*ret_n = (size_t)(e - all);
	qsort(all, *ret_n, sizeof(*all), entry_order);
	return all;
}

static void
entry_error(struct conf_diags *d, const struct entry *e, const char *what,
    const struct entry *other, const char *expected)
{
	const struct conf_where *w = e->e_where, *o = other->e_where;

	conf_diag(d, conf_file_of(w), w->cw_line, w->cw_section, NULL,
	    "%s [%s] (%s:%u), expected %s", what, o->cw_section, o->cw_file, o->cw_line,
	    expected);
}

/* The leaf that is nearest above e, or NULL.  The root needs no look: nothing but a
 * directory can be declared there. */
static const struct entry *
leaf_above(GHashTable *leaves, const struct entry *e, char *buf)
{
	char *slash;

	strcpy(buf, e->e_path);
	while ((slash = strrchr(buf, '/')) && slash > buf) {
		const struct entry *leaf;
		*slash = '\0';
		leaf = g_hash_table_lookup(leaves, buf);
		if (leaf)
			return leaf;
	}
	return NULL;
}

/* What the kernel writes later it never asks about. */
static void
no_keys(const struct conf *c, struct conf_diags *d)
{
	for (size_t i = 0; i < c->c_netfs; i++) {
		const struct conf_where *w = &c->c_etfs[i].ce_where;

		conf_diag(d, conf_file_of(w), w->cw_line, w->cw_section, NULL,
		    "with writeback = yes the kernel does not look at what is on the host, "
		    "expected no [etfs] section, or writeback = no");
	}
}

void
conf_check_into(const struct conf *c, struct conf_diags *d)
{
	g_autoptr(GHashTable) paths = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) leaves = g_hash_table_new(g_str_hash, g_str_equal);
	size_t n, longest = 0;
	g_autofree struct entry *all = entries_new(c, &n);
	g_autofree char *buf = NULL;

	for (size_t i = 0; i < n; i++) {
		struct entry *e = &all[i], *first;
		void *key = (void *)(uintptr_t)e->e_path;
		longest = MAX(longest, strlen(e->e_path));
		first = g_hash_table_lookup(paths, e->e_path);
		if (first) {
			entry_error(d, e, "the path is declared already by", first,
			    "one section for a path");
			continue;
		}
		g_hash_table_insert(paths, key, e);
		if (e->e_leaf)
			g_hash_table_insert(leaves, key, e);
	}
	buf = g_malloc(longest + 1);
	for (size_t i = 0; i < n; i++) {
		const struct entry *leaf = leaf_above(leaves, &all[i], buf);
		if (leaf)
			entry_error(d, &all[i], "the path is below", leaf,
			    "a directory above it");
	}
	conf_order_free(conf_order_into(c, d, &n));
	if (c->c_writeback == WHEN_YES)
		no_keys(c, d);
}

bool
conf_check(const struct conf *c, struct conf_errors *errs)
{
	struct conf_diags d;
	bool ok;

	conf_diags_init(&d);
	conf_check_into(c, &d);
	ok = conf_diags_flush(&d, errs);
	conf_diags_done(&d);
	return ok;
}
