/*
 * What is to be made before what.
 *
 * The order is that of depth, and of the files within one.  A mount needs its device, and
 * so all that is declared at the device's path or above it: that comes first, whatever its
 * depth, and what that needs before it.  So the order is that of a walk which goes through
 * all that is declared, and from a mount to what it needs before it comes back to it.  What
 * it comes to again while it is still at it is in a circle.
 */
#include <string.h>

#include "conf/conf_int.h"

enum {
	NEW,
	OPEN,
	DONE
};

struct entry {
	struct conf_item e_item;
	unsigned e_depth;
	int e_state;
	size_t e_at; /* OPEN: how much of the device's path has been looked at */
	struct entry *e_back;
};

struct order {
	GHashTable *o_paths; /* path → struct entry */
	struct entry *o_all;
	size_t o_n;
	struct conf_item *o_out;
	size_t o_nout;
	struct conf_diags *o_diags; /* or NULL */
};

static unsigned
path_depth(const char *path)
{
	unsigned n = 0;

	for (; *path; path++)
		n += path[0] == '/' && path[1];
	return n;
}

/* The entries come in the order of the files, kind by kind, and qsort need not keep it. */
static int
by_depth(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->e_depth != y->e_depth)
		return x->e_depth < y->e_depth ? -1 : 1;
	return (x->e_at > y->e_at) - (x->e_at < y->e_at);
}

static void
add(struct order *o, struct conf_item item)
{
	struct entry *e = &o->o_all[o->o_n];

	*e = (struct entry){
	    .e_item = item, .e_depth = path_depth(item.ci_path), .e_at = o->o_n};
	o->o_n++;
}

static void
collect(struct order *o, const struct conf *c)
{
	o->o_all = g_new(struct entry, c->c_nnodes + c->c_netfs + c->c_nmounts + 1);
	for (size_t i = 0; i < c->c_nnodes; i++) {
		const struct conf_node *n = &c->c_nodes[i];
		add(o, (struct conf_item){&n->cn_where, n->cn_path, .ci_node = n});
	}
	for (size_t i = 0; i < c->c_netfs; i++) {
		const struct conf_etfs *k = &c->c_etfs[i];
		add(o, (struct conf_item){&k->ce_where, k->ce_path, .ci_key = k});
	}
	for (size_t i = 0; i < c->c_nmounts; i++) {
		const struct conf_mount *m = &c->c_mounts[i];
		add(o, (struct conf_item){&m->cm_where, m->cm_path, .ci_mount = m});
	}
	qsort(o->o_all, o->o_n, sizeof(*o->o_all), by_depth);
	o->o_paths = g_hash_table_new(g_str_hash, g_str_equal);
	for (size_t i = 0; i < o->o_n; i++) {
		struct entry *e = &o->o_all[i];
		e->e_at = 0;
		if (!g_hash_table_contains(o->o_paths, e->e_item.ci_path))
			g_hash_table_insert(
			    o->o_paths, (void *)(uintptr_t)e->e_item.ci_path, e);
	}
}

/* What is declared at the next longer part of the path of e's device, from the root on; NULL
 * at its end. */
static struct entry *
next_need(struct order *o, struct entry *e)
{
	const struct conf_mount *m = e->e_item.ci_mount;
	const char *path = m ? m->cm_device : NULL;

	while (path && path[e->e_at]) {
		size_t from = e->e_at + (e->e_at > 0 && path[e->e_at] == '/');
		size_t len = e->e_at == 0 ? 1 : from + strcspn(path + from, "/");
		g_autofree char *part = g_strndup(path, len);
		struct entry *need = g_hash_table_lookup(o->o_paths, part);

		e->e_at = len;
		if (need)
			return need;
	}
	return NULL;
}

static void
tell_circle(struct order *o, const struct entry *e, const struct entry *need)
{
	const struct conf_where *w = e->e_item.ci_where, *n = need->e_item.ci_where;

	if (!o->o_diags)
		return;
	if (e == need)
		conf_diag(o->o_diags, conf_file_of(w), w->cw_line, w->cw_section,
		    "device", "it is in what is mounted, expected a path elsewhere");
	else
		conf_diag(o->o_diags, conf_file_of(w), w->cw_line, w->cw_section,
		    "device",
		    "it is in [%s] (%s:%u), whose device is in this one, "
		    "expected no circle",
		    n->cw_section, n->cw_file, n->cw_line);
}

static void
walk(struct order *o, struct entry *e)
{
	if (e->e_state != NEW)
		return;
	e->e_state = OPEN;
	while (e) {
		struct entry *need = next_need(o, e);

		if (!need) {
			e->e_state = DONE;
			o->o_out[o->o_nout++] = e->e_item;
			e = e->e_back;
		} else if (need->e_state == NEW) {
			need->e_state = OPEN;
			need->e_back = e;
			e = need;
		} else if (need->e_state == OPEN) {
			tell_circle(o, e, need);
		}
	}
}

struct conf_item *
conf_order_into(const struct conf *c, struct conf_diags *d, size_t *ret_n)
{
	struct order o = {.o_diags = d};

	collect(&o, c);
	o.o_out = g_new(struct conf_item, o.o_n + 1);
	for (size_t i = 0; i < o.o_n; i++)
		walk(&o, &o.o_all[i]);
	g_hash_table_destroy(o.o_paths);
	g_free(o.o_all);
	*ret_n = o.o_nout;
	return o.o_out;
}

struct conf_item *
conf_order(const struct conf *c, size_t *ret_n)
{
	return conf_order_into(c, NULL, ret_n);
}

void
conf_order_free(struct conf_item *items)
{
	g_free(items);
}
