/*
 * What a place needs, and what of it would be a cycle (generator.h).
 *
 * Places are nodes of a graph; an edge goes from one to another in whose mount something
 * lies that it needs.  An edge that would close a circle is left out together with the paths
 * that ask for it, and told.
 */
#include <string.h>
#include <syslog.h>

#include "conf/conf.h"
#include "daemon/generator/generator.h"

/* How many errors of a configuration are told; it has been seen by a person by then, or
 * will be, with --check. */
#define ERRORS_MAX 5

struct place *
gen_place_new(struct plan *pn, char *unit, const char *config)
{
	struct place *pl = g_new0(struct place, 1);

	pl->pl_unit = unit;
	pl->pl_config = g_strdup(config);
	pl->pl_needs = g_array_new(FALSE, FALSE, sizeof(struct need));
	pl->pl_known = g_hash_table_new(g_str_hash, g_str_equal);
	pl->pl_after = g_ptr_array_new();
	pl->pl_part_of = g_ptr_array_new();
	pl->pl_wants = g_ptr_array_new();
	pl->pl_wanted_by = g_ptr_array_new();
	g_ptr_array_add(pn->pn_places, pl);
	return pl;
}

static void
add(struct place *pl, const char *path, bool must)
{
	guint i = GPOINTER_TO_UINT(g_hash_table_lookup(pl->pl_known, path));

	if (i > 0) {
		g_array_index(pl->pl_needs, struct need, i - 1).nd_must |= must;
	} else {
		struct need nd = {.nd_path = g_strdup(path), .nd_must = must};

		g_array_append_val(pl->pl_needs, nd);
		g_hash_table_insert(
		    pl->pl_known, nd.nd_path, GUINT_TO_POINTER(pl->pl_needs->len));
	}
}

/* The path as written, up to a "..", which only whoever walks it can tell the meaning of, and
 * what it comes to. */
static void
add_path(struct place *pl, const char *path, bool must)
{
	g_autofree char *resolved = gen_resolve(path);
	const char *up = path;

	while ((up = strstr(up, "/..")) && up[3] != '/' && up[3] != '\0')
		up += 3;
	if (!up) {
		add(pl, path, must);
	} else if (up > path) {
		g_autofree char *before = g_strndup(path, (size_t)(up - path));

		add(pl, before, must);
	}
	add(pl, resolved, must);
}

static void
add_conf(struct place *pl, const struct conf *c)
{
	for (size_t i = 0; i < c->c_netfs; i++)
		add_path(pl, c->c_etfs[i].ce_host, c->c_etfs[i].ce_missing == CM_FAIL);
	for (size_t i = 0; i < c->c_nnodes; i++)
		if (c->c_nodes[i].cn_host_copy)
			add_path(pl, c->c_nodes[i].cn_host_copy, true);
	for (size_t i = 0; i < c->c_nmounts; i++)
		if (c->c_mounts[i].cm_host)
			add_path(pl, c->c_mounts[i].cm_host, true);
	if (!pl->pl_mountpoint && c->c_mountpoint)
		pl->pl_mountpoint = gen_resolve(c->c_mountpoint);
}

static void
tell_errors(const struct place *pl, struct conf_errors *errs)
{
	for (size_t i = 0; i < errs->ce_n && i < ERRORS_MAX; i++)
		gen_log(LOG_ERR, "%s", errs->ce_text[i]);
	if (errs->ce_n > ERRORS_MAX)
		gen_log(
		    LOG_ERR, "%s: and %zu more", pl->pl_config, errs->ce_n - ERRORS_MAX);
	gen_log(LOG_WARNING, "%s: has errors, so nothing is ordered before %s",
	    pl->pl_config, pl->pl_unit);
	conf_errors_done(errs);
}

bool
gen_needs(struct place *pl)
{
	struct conf_errors errs = {0};
	g_autofree char *resolved = gen_resolve(pl->pl_config);
	struct conf *c;

	add_path(pl, pl->pl_config, true);
	if (!gen_is_local(pl->pl_config) && !gen_is_within(resolved, "/etc")) {
		/* At boot it is not there, and what is read must be the same ever after. */
		gen_log(LOG_NOTICE,
		    "%s: on a file system of its own, so what it names is not known at boot",
		    pl->pl_config);
	} else {
		c = conf_load_paths(pl->pl_config, &errs);
		if (!c) {
			tell_errors(pl, &errs);
			return false;
		}
		add_conf(pl, c);
		conf_free(c);
	}
	if (pl->pl_mountpoint) {
		g_autofree char *above = gen_above(pl->pl_mountpoint);

		add(pl, above, true);
	}
	return true;
}

/* Does a come after b, by what is settled already? */
static bool
comes_after(const struct place *a, const struct place *b, GHashTable *seen)
{
	if (a == b)
		return true;
	if (!g_hash_table_add(seen, (void *)(uintptr_t)a))
		return false;
	for (guint i = 0; i < a->pl_after->len; i++)
		if (comes_after(a->pl_after->pdata[i], b, seen))
			return true;
	return false;
}

/* Calls fn for the path and each directory above it; stops at non-zero. */
static bool
each_prefix(const char *path, bool (*fn)(const char *prefix, void *arg), void *arg)
{
	g_autofree char *p = g_strdup(path);

	for (;;) {
		char *slash;

		if (fn(p, arg))
			return true;
		slash = strrchr(p, '/');
		if (!slash || strcmp(p, "/") == 0)
			return false;
		if (slash == p)
			slash++;
		*slash = '\0';
	}
}

/* Places at one mount point are of one kind. */
static bool
is_of_services(const GPtrArray *at)
{
	return ((const struct place *)at->pdata[0])->pl_service;
}

struct step {
	struct plan *sp_plan;
	struct place *sp_place;
	const char *sp_path;
	GPtrArray *sp_after;
};

/* The first of them that would have to come both before and after this one, or NULL. */
static struct place *
find_circle(const struct place *pl, GPtrArray *at)
{
	for (guint i = 0; i < at->len; i++) {
		g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

		if (comes_after(at->pdata[i], pl, seen))
			return at->pdata[i];
	}
	return NULL;
}

/* The places that may be mounted here, if any.  True: the path must be left out. */
static bool
try_prefix(const char *prefix, void *arg)
{
	struct step *st = arg;
	struct place *pl = st->sp_place;
	GPtrArray *at = g_hash_table_lookup(st->sp_plan->pn_at, prefix);
	bool remote = g_hash_table_contains(st->sp_plan->pn_remote, prefix);

	if (pl->pl_mountpoint && strcmp(prefix, pl->pl_mountpoint) == 0)
		return true; /* below its own mount: for as long as that is not there */
	if (pl->pl_early && (remote || (at && is_of_services(at)))) {
		gen_log(LOG_WARNING,
		    "%s: %s comes later than what the boot waits for: give the fstab line of "
		    "%s %s",
		    pl->pl_config, st->sp_path, pl->pl_mountpoint,
		    remote ? "_netdev or nofail" : "nofail");
		return true;
	}
	if (at) {
		struct place *circle = find_circle(pl, at);

		if (circle) {
			gen_log(LOG_WARNING,
			    "%s: %s lies in the mount of %s, which needs this one first",
			    pl->pl_config, st->sp_path, circle->pl_unit);
			return true;
		}
		g_ptr_array_add(st->sp_after, at);
	}
	return false;
}

/* Does something start both? */
static bool
come_together(const struct place *a, const struct place *b)
{
	for (guint i = 0; i < a->pl_wanted_by->len; i++)
		if (g_ptr_array_find_with_equal_func(
			b->pl_wanted_by, a->pl_wanted_by->pdata[i], g_str_equal, NULL))
			return true;
	return false;
}

/* pl comes after all that may be mounted at one place.  Which of them it is to go with is
 * clear of the only one, and of those that are enabled; what one target starts together comes
 * back together. */
static void
follow(struct place *pl, GPtrArray *at)
{
	for (guint i = 0; i < at->len; i++) {
		struct place *other = at->pdata[i];

		if (g_ptr_array_find(pl->pl_after, other, NULL))
			continue;
		g_ptr_array_add(pl->pl_after, other);
		if (at->len == 1 || other->pl_wanted_by->len > 0)
			g_ptr_array_add(pl->pl_part_of, other);
		if (come_together(pl, other))
			g_ptr_array_add(other->pl_wants, pl);
	}
}

static void
order_place(struct plan *pn, struct place *pl)
{
	for (guint i = 0; i < pl->pl_needs->len;) {
		struct need *nd = &g_array_index(pl->pl_needs, struct need, i);
		g_autoptr(GPtrArray) after = g_ptr_array_new();
		struct step st = {pn, pl, nd->nd_path, after};

		if (each_prefix(nd->nd_path, try_prefix, &st)) {
			g_free(nd->nd_path);
			g_array_remove_index(pl->pl_needs, i);
			continue;
		}
		for (guint k = 0; k < after->len; k++)
			follow(pl, after->pdata[k]);
		i++;
	}
}

/* What fstab mounts is not the unit's, though that could. */
static void
put_place(struct plan *pn, struct place *pl)
{
	GPtrArray *at = g_hash_table_lookup(pn->pn_at, pl->pl_mountpoint);
	const struct place *first = at ? at->pdata[0] : NULL;

	if (!at) {
		at = g_ptr_array_new();
		g_hash_table_insert(pn->pn_at, pl->pl_mountpoint, at);
	}
	if (first && strcmp(first->pl_config, pl->pl_config) != 0)
		gen_log(LOG_WARNING,
		    "%s and %s have one mount point, %s: only one of them can be mounted",
		    first->pl_config, pl->pl_config, pl->pl_mountpoint);
	if (first && first->pl_service != pl->pl_service) {
		if (pl->pl_service)
			return;
		g_ptr_array_set_size(at, 0);
	}
	g_ptr_array_add(at, pl);
}

void
gen_order(struct plan *pn)
{
	for (guint i = 0; i < pn->pn_places->len; i++) {
		struct place *pl = pn->pn_places->pdata[i];

		if (pl->pl_mountpoint)
			put_place(pn, pl);
	}
	for (guint i = 0; i < pn->pn_places->len; i++)
		order_place(pn, pn->pn_places->pdata[i]);
}
