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
	pl->pl_after = g_ptr_array_new();
	g_ptr_array_add(pn->pn_places, pl);
	return pl;
}

static void
add(struct place *pl, const char *path, bool must)
{
	struct need nd = {.nd_must = must};

	for (guint i = 0; i < pl->pl_needs->len; i++) {
		struct need *had = &g_array_index(pl->pl_needs, struct need, i);

		if (strcmp(had->nd_path, path) == 0) {
			had->nd_must |= must;
			return;
		}
	}
	nd.nd_path = g_strdup(path);
	g_array_append_val(pl->pl_needs, nd);
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
	struct conf *c;

	add_path(pl, pl->pl_config, true);
	if (!gen_is_local(pl->pl_config) && !gen_is_within(pl->pl_config, "/etc")) {
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

struct step {
	struct plan *sp_plan;
	struct place *sp_place;
	const char *sp_path;
	GPtrArray *sp_after;
};

/* The place that is mounted here, if any.  True: the path must be left out. */
static bool
try_prefix(const char *prefix, void *arg)
{
	struct step *st = arg;
	struct place *pl = st->sp_place;
	struct place *at = g_hash_table_lookup(st->sp_plan->pn_at, prefix);
	bool remote = g_hash_table_contains(st->sp_plan->pn_remote, prefix);

	if (pl->pl_mountpoint && strcmp(prefix, pl->pl_mountpoint) == 0)
		return true; /* below its own mount: for as long as that is not there */
	if (pl->pl_early && (remote || (at && at->pl_service))) {
		gen_log(LOG_WARNING,
		    "%s: %s comes later than what the boot waits for: give the fstab line of "
		    "%s %s",
		    pl->pl_config, st->sp_path, pl->pl_mountpoint,
		    remote ? "_netdev or nofail" : "nofail");
		return true;
	}
	if (at) {
		g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

		if (comes_after(at, pl, seen)) {
			gen_log(LOG_WARNING,
			    "%s: %s lies in the mount of %s, which needs this one first",
			    pl->pl_config, st->sp_path, at->pl_unit);
			return true;
		}
		g_ptr_array_add(st->sp_after, at);
	}
	return false;
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
			if (!g_ptr_array_find(pl->pl_after, after->pdata[k], NULL))
				g_ptr_array_add(pl->pl_after, after->pdata[k]);
		i++;
	}
}

void
gen_order(struct plan *pn)
{
	for (guint i = 0; i < pn->pn_places->len; i++) {
		struct place *pl = pn->pn_places->pdata[i];

		/* What fstab mounts is not the unit's, though that could. */
		if (pl->pl_mountpoint &&
		    (!pl->pl_service ||
			!g_hash_table_contains(pn->pn_at, pl->pl_mountpoint)))
			g_hash_table_insert(pn->pn_at, pl->pl_mountpoint, pl);
	}
	for (guint i = 0; i < pn->pn_places->len; i++)
		order_place(pn, pn->pn_places->pdata[i]);
}
