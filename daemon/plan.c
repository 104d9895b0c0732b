/*
 * The difference of two configurations (plan.h).
 */
#include "daemon/plan.h"

#include <stdlib.h>
#include <string.h>

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A number that is there only if it is set. */
static bool
same_set(bool a_set, uint32_t a, bool b_set, uint32_t b)
{
	return a_set == b_set && (!a_set || a == b);
}

bool
plan_same_key(const struct conf_etfs *a, const struct conf_etfs *b, bool but_looks)
{
	return same_text(a->ce_host, b->ce_host) && a->ce_type == b->ce_type &&
	       a->ce_begin == b->ce_begin && a->ce_size == b->ce_size &&
	       same_text(a->ce_partition, b->ce_partition) &&
	       a->ce_rdonly == b->ce_rdonly && a->ce_missing == b->ce_missing &&
	       a->ce_no_lock == b->ce_no_lock && a->ce_special == b->ce_special &&
	       a->ce_watch == b->ce_watch && a->ce_symlinks == b->ce_symlinks &&
	       (but_looks ||
		   (a->ce_hidden == b->ce_hidden &&
		       same_set(a->ce_set_mode, a->ce_mode, b->ce_set_mode, b->ce_mode) &&
		       same_set(a->ce_set_uid, a->ce_uid, b->ce_set_uid, b->ce_uid) &&
		       same_set(a->ce_set_gid, a->ce_gid, b->ce_set_gid, b->ce_gid)));
}

bool
plan_same_image(const struct conf_mount *a, const struct conf_mount *b)
{
	return same_text(a->cm_vfs, b->cm_vfs) && same_text(a->cm_device, b->cm_device) &&
	       same_text(a->cm_host, b->cm_host) && a->cm_begin == b->cm_begin &&
	       a->cm_size == b->cm_size && same_text(a->cm_partition, b->cm_partition) &&
	       same_text(a->cm_options, b->cm_options) &&
	       a->cm_no_lock == b->cm_no_lock && a->cm_rdonly == b->cm_rdonly &&
	       same_set(a->cm_set_uid, a->cm_uid, b->cm_set_uid, b->cm_uid) &&
	       same_set(a->cm_set_gid, a->cm_gid, b->cm_set_gid, b->cm_gid);
}

static bool
same_content(const struct conf_node *a, const struct conf_node *b)
{
	/* An empty content is none. */
	return a->cn_content_len == b->cn_content_len &&
	       (a->cn_content_len == 0 ||
		   memcmp(a->cn_content, b->cn_content, a->cn_content_len) == 0);
}

bool
plan_same_node(const struct conf_node *a, const struct conf_node *b, bool but_looks)
{
	return a->cn_kind == b->cn_kind && same_content(a, b) &&
	       same_text(a->cn_host_copy, b->cn_host_copy) &&
	       same_text(a->cn_target, b->cn_target) && a->cn_type == b->cn_type &&
	       a->cn_major == b->cn_major && a->cn_minor == b->cn_minor &&
	       (but_looks ||
		   (same_set(a->cn_set_mode, a->cn_mode, b->cn_set_mode, b->cn_mode) &&
		       same_set(a->cn_set_uid, a->cn_uid, b->cn_set_uid, b->cn_uid) &&
		       same_set(a->cn_set_gid, a->cn_gid, b->cn_set_gid, b->cn_gid)));
}

static enum plan_kind
kind_of(const struct conf_item *i)
{
	return i->ci_key ? PK_KEY : i->ci_mount ? PK_IMAGE : PK_NODE;
}

/* Nodes of different kinds are different things. */
static bool
same_kind(const struct conf_item *a, const struct conf_item *b)
{
	return kind_of(a) == kind_of(b) &&
	       (!a->ci_node || a->ci_node->cn_kind == b->ci_node->cn_kind);
}

static bool
same_item(const struct conf_item *a, const struct conf_item *b, bool but_looks)
{
	switch (kind_of(a)) {
	case PK_KEY:
		return plan_same_key(a->ci_key, b->ci_key, but_looks);
	case PK_IMAGE:
		return plan_same_image(a->ci_mount, b->ci_mount);
	default:
		return plan_same_node(a->ci_node, b->ci_node, but_looks);
	}
}

/* One of a configuration's items, and when it is made. */
struct ordered {
	struct conf_item od_item;
	size_t od_order;
};

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct ordered *)a)->od_item.ci_path,
	    ((const struct ordered *)b)->od_item.ci_path);
}

static struct ordered *
by_paths(const struct conf *c, size_t *ret_n)
{
	size_t n;
	struct conf_item *items = conf_order(c, &n);
	struct ordered *all = calloc(n + 1, sizeof(*all));

	for (size_t i = 0; all && i < n; i++)
		all[i] = (struct ordered){items[i], i};
	conf_order_free(items);
	if (all)
		qsort(all, n, sizeof(*all), by_path);
	*ret_n = n;
	return all;
}

static struct plan_step *
add_step(struct plan *pl, enum plan_op op, enum plan_kind kind)
{
	struct plan_step *ps = &pl->pl_steps[pl->pl_n++];

	*ps = (struct plan_step){.ps_op = op, .ps_kind = kind};
	pl->pl_added += op == PO_ADD;
	pl->pl_removed += op == PO_REMOVE;
	pl->pl_changed += op == PO_CHANGE;
	return ps;
}

static void
item_goes(struct plan *pl, const struct ordered *od)
{
	struct plan_step *ps = add_step(pl, PO_REMOVE, kind_of(&od->od_item));

	ps->ps_old = od->od_item;
	ps->ps_path = od->od_item.ci_path;
	ps->ps_order = od->od_order;
}

static void
item_comes(struct plan *pl, const struct ordered *od)
{
	struct plan_step *ps = add_step(pl, PO_ADD, kind_of(&od->od_item));

	ps->ps_new = od->od_item;
	ps->ps_path = od->od_item.ci_path;
	ps->ps_order = od->od_order;
}

static void
item_stays(struct plan *pl, const struct ordered *was, const struct ordered *is)
{
	struct plan_step *ps;

	if (!same_kind(&was->od_item, &is->od_item)) {
		item_goes(pl, was);
		item_comes(pl, is);
		return;
	}
	if (same_item(&was->od_item, &is->od_item, false))
		return;
	ps = add_step(pl, PO_CHANGE, kind_of(&is->od_item));
	ps->ps_old = was->od_item;
	ps->ps_new = is->od_item;
	ps->ps_path = is->od_item.ci_path;
	ps->ps_order = is->od_order;
	ps->ps_was_order = was->od_order;
	ps->ps_in_place =
	    !is->od_item.ci_mount && same_item(&was->od_item, &is->od_item, true);
}

static bool
runs_now(const struct plan_runs *runs, const struct conf_item *item)
{
	return !runs || item->ci_node || runs->pr_runs(item, runs->pr_arg);
}

static void
merge(struct plan *pl, const struct ordered *was, size_t nwas, const struct ordered *is,
    size_t nis, const struct plan_runs *runs)
{
	size_t i = 0, k = 0;

	while (i < nwas || k < nis) {
		int c = i == nwas ? 1 : k == nis ? -1 : by_path(&was[i], &is[k]);
		/* What was taken away by hand, or could not be put back. */
		bool gone = c <= 0 && !runs_now(runs, &was[i].od_item);

		if (c == 0 && !gone)
			item_stays(pl, &was[i], &is[k]);
		else if (c < 0 && !gone)
			item_goes(pl, &was[i]);
		else if (c >= 0)
			item_comes(pl, &is[k]);
		i += c <= 0;
		k += c >= 0;
	}
}

/* Settings, removals from the last to the first, the others from the first to the last. */
static int
by_turn(const void *pa, const void *pb)
{
	const struct plan_step *a = pa, *b = pb;
	int turn_a = a->ps_name ? 0 : a->ps_op == PO_REMOVE ? 1 : 2;
	int turn_b = b->ps_name ? 0 : b->ps_op == PO_REMOVE ? 1 : 2;
	int order = (a->ps_order > b->ps_order) - (a->ps_order < b->ps_order);

	return turn_a != turn_b ? turn_a - turn_b : turn_a == 1 ? -order : order;
}

static void
setting(enum plan_kind kind, const char *name, void *arg)
{
	struct plan *pl = arg;
	struct plan_step *ps = add_step(pl, PO_CHANGE, kind);
	bool timeout = kind == PK_DAEMON && strcmp(name, "attr-timeout") == 0;

	ps->ps_name = name;
	ps->ps_order = pl->pl_n;
	/* Without any caching nothing is watched: that is made up one's mind about once. */
	ps->ps_later =
	    kind == PK_DAEMON && (!timeout || pl->pl_old->c_attr_timeout_ns == 0 ||
				     pl->pl_new->c_attr_timeout_ns == 0);
	pl->pl_later += ps->ps_later;
}

static bool
goes_first(const struct plan_step *ps)
{
	return ps->ps_op == PO_REMOVE ||
	       (ps->ps_op == PO_CHANGE && ps->ps_kind == PK_IMAGE);
}

static size_t
made_at(const struct plan_step *ps)
{
	return ps->ps_op == PO_REMOVE ? ps->ps_order : ps->ps_was_order;
}

static int
last_first(const void *a, const void *b, void *arg)
{
	const struct plan_step *steps = arg;
	size_t x = made_at(&steps[*(const size_t *)a]);
	size_t y = made_at(&steps[*(const size_t *)b]);

	return (x < y) - (x > y);
}

/* The steps are in their order. */
static bool
list_away(struct plan *pl)
{
	pl->pl_away = calloc(pl->pl_n + 1, sizeof(*pl->pl_away));
	for (size_t i = 0; pl->pl_away && i < pl->pl_n; i++)
		if (goes_first(&pl->pl_steps[i]))
			pl->pl_away[pl->pl_naway++] = i;
	if (pl->pl_away)
		qsort_r(pl->pl_away, pl->pl_naway, sizeof(*pl->pl_away), last_first,
		    pl->pl_steps);
	return pl->pl_away != NULL;
}

static bool
list_paths(struct plan *pl, const struct ordered *is, size_t n)
{
	pl->pl_paths = calloc(n + 1, sizeof(*pl->pl_paths));
	for (size_t i = 0; pl->pl_paths && i < n; i++)
		pl->pl_paths[i] = is[i].od_item.ci_path;
	pl->pl_npaths = n;
	return pl->pl_paths != NULL;
}

bool
plan_declares_below(const struct plan *pl, const char *path)
{
	size_t lo = 0, hi = pl->pl_npaths, len = strlen(path);

	/* The first that is not before "path/". */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const char *p = pl->pl_paths[mid];
		int c = strncmp(p, path, len);

		if (c < 0 || (c == 0 && (unsigned char)p[len] < '/'))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < pl->pl_npaths && strncmp(pl->pl_paths[lo], path, len) == 0 &&
	       pl->pl_paths[lo][len] == '/';
}

#define SETTINGS_MAX 32

bool
plan_make(struct plan *pl, const struct conf *old_conf, const struct conf *new_conf,
    const struct plan_runs *runs)
{
	size_t nwas, nis;
	struct ordered *was = by_paths(old_conf, &nwas), *is = by_paths(new_conf, &nis);

	*pl = (struct plan){.pl_old = old_conf, .pl_new = new_conf};
	if (was && is)
		pl->pl_steps = calloc(SETTINGS_MAX + nwas + nis, sizeof(*pl->pl_steps));
	if (pl->pl_steps && list_paths(pl, is, nis)) {
		plan_settings(old_conf, new_conf, setting, pl);
		merge(pl, was, nwas, is, nis, runs);
		qsort(pl->pl_steps, pl->pl_n, sizeof(*pl->pl_steps), by_turn);
	}
	free(was);
	free(is);
	if (pl->pl_paths && list_away(pl))
		return true;
	plan_done(pl);
	return false;
}

bool
plan_make_key(struct plan *pl, const struct conf *c, size_t i, enum plan_op op)
{
	const struct conf_etfs *ce = &c->c_etfs[i];
	struct ordered od = {
	    .od_item = {.ci_where = &ce->ce_where, .ci_path = ce->ce_path, .ci_key = ce}};

	*pl = (struct plan){.pl_old = c, .pl_new = c};
	pl->pl_steps = calloc(1, sizeof(*pl->pl_steps));
	if (pl->pl_steps && op == PO_ADD)
		item_comes(pl, &od);
	else if (pl->pl_steps)
		item_goes(pl, &od);
	if (pl->pl_steps && list_away(pl))
		return true;
	plan_done(pl);
	return false;
}

void
plan_done(struct plan *pl)
{
	free(pl->pl_steps);
	free(pl->pl_away);
	free(pl->pl_paths);
	*pl = (struct plan){0};
}
