/*
 * Reload (reload.h).
 *
 * A reload is a list of steps (plan.h), each of which can be gone back on: what is taken away is
 * kept aside, without a name but with its locks, its contents and whoever has it open, until
 * all has gone well; what comes is made, contents and all, before anything is touched.  So a
 * reload that fails leaves what there was: the same nodes, in their places of the listings.
 * Only an image that was unmounted cannot be kept aside; it is mounted again.
 */
#include "daemon/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/reload_private.h"
#include "vfs/rumpfs.h"

/* So many lines of the plan are told and logged; a reload can be of very many keys. */
#define PLAN_LINES_MAX 200

static const struct conf_mount *
mount_at(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->c_nmounts; i++)
		if (strcmp(c->c_mounts[i].cm_path, path) == 0)
			return &c->c_mounts[i];
	return NULL;
}

static bool
item_runs(const struct conf_item *item, void *arg)
{
	const struct space *sp = arg;
	struct etfs_info i;

	if (item->ci_mount)
		return images_find(sp, item->ci_path) != NULL;
	return etfs_find(sp->sp_etfs, item->ci_path, &i) == 0;
}

struct running {
	const struct space *rn_space;
	const struct conf *rn_conf;
};

/* For the trial: an image that stays as it is is not looked at again. */
static bool
image_runs(const struct conf_mount *cm, void *arg)
{
	const struct running *rn = arg;
	const struct conf_mount *was = mount_at(rn->rn_conf, cm->cm_path);

	return was && plan_same_image(was, cm) && images_find(rn->rn_space, cm->cm_path);
}

/* Could there be a namespace of it?  Reasons are logged. */
static bool
try_it(const struct space *sp, const struct conf *old, const struct conf *new,
    const struct options *o)
{
	struct running rn = {sp, old};
	struct space_how how = {.sh_rdonly = o->o_rdonly,
	    .sh_check = true,
	    .sh_runs = image_runs,
	    .sh_arg = &rn};
	struct space trial;

	if (space_new(&trial, new, &how) != 0)
		return false;
	space_done(&trial);
	return true;
}

static bool
is_live(const struct conf_etfs *ce)
{
	return ce->ce_type == CT_DIR || ce->ce_type == CT_DIR_SUBDIRS ||
	       ((ce->ce_type == CT_REG || ce->ce_type == CT_AUTO) && ce->ce_begin == 0 &&
		   ce->ce_size == CONF_SIZE_END && !ce->ce_partition);
}

/* What was decided at the start, when there was nothing that needed it. */
static void
tell_not_live(struct space *sp, const struct plan *pl)
{
	for (size_t i = 0; i < pl->pl_n; i++) {
		const struct conf_etfs *ce = pl->pl_steps[i].ps_new.ci_key;

		if (ce && !pl->pl_steps[i].ps_in_place && is_live(ce))
			log_msg(LOG_NOTICE,
			    "key %s: changes made on the host show in files that are opened "
			    "after them; from the next mount on, in open ones too",
			    ce->ce_path);
	}
	if (space_overlaps(sp))
		log_msg(LOG_NOTICE,
		    "windows overlap: what is written through one shows through the other in "
		    "files that are opened after it; from the next mount on, in open ones "
		    "too");
}

/* The lines of the plan, for the log and for who asked. */
static void
tell_plan(const struct plan *pl, struct reload_result *ret)
{
	size_t mounted = 0, unmounted = 0;
	size_t n = pl->pl_n < PLAN_LINES_MAX ? pl->pl_n : PLAN_LINES_MAX;
	char *summary = plan_summary(pl);

	*ret = (struct reload_result){
	    .rr_added = pl->pl_added,
	    .rr_removed = pl->pl_removed,
	    .rr_changed = pl->pl_changed - pl->pl_later,
	    .rr_later = pl->pl_later,
	    .rr_plan = calloc(n, sizeof(char *)),
	};
	for (size_t i = 0; ret->rr_plan && i < n; i++) {
		char *line = plan_text(pl, &pl->pl_steps[i]);

		if (!line)
			break;
		log_msg(LOG_INFO, "reload: %s", line);
		ret->rr_plan[ret->rr_nplan++] = line;
	}
	ret->rr_left_out = pl->pl_n - ret->rr_nplan;
	if (ret->rr_left_out)
		log_msg(LOG_INFO, "reload: ... and %zu more", ret->rr_left_out);
	log_msg(LOG_NOTICE, "reloaded: %s", summary ? summary : "");
	free(summary);
	for (size_t i = 0; i < pl->pl_n; i++) {
		mounted += pl->pl_steps[i].ps_new.ci_mount != NULL;
		unmounted += pl->pl_steps[i].ps_old.ci_mount != NULL;
	}
	if (mounted || unmounted)
		log_msg(LOG_NOTICE, "reloaded: images mounted: %zu, unmounted: %zu",
		    mounted, unmounted);
}

/* False: nothing has changed, or *ret_failed things are not as they were. */
static bool
carry_out(
    struct space *sp, const struct plan *pl, const struct options *o, size_t *ret_failed)
{
	bool rdonly = memory_unlock(sp);
	bool ok = reload_apply(sp, pl, o, ret_failed);

	memory_lock(sp, rdonly);
	return ok;
}

/* The new configuration is read. */
static bool
reload_to(struct space *sp, const struct conf *old, const struct conf *new,
    const struct options *o, bool live, struct reload_result *ret, size_t *ret_failed)
{
	struct plan_runs runs = {item_runs, sp};
	struct plan pl;
	bool ok = try_it(sp, old, new, o);

	if (!plan_make(&pl, old, new, &runs)) {
		log_msg(LOG_ERR, "out of memory");
		return false;
	}
	/* All that is wrong is said at once. */
	ok &= reload_foresee(sp, &pl);
	ok = ok && carry_out(sp, &pl, o, ret_failed);
	if (ok) {
		if (!live)
			tell_not_live(sp, &pl);
		tell_plan(&pl, ret);
	}
	plan_done(&pl);
	return ok;
}

void
reload_result_done(struct reload_result *rr)
{
	for (size_t i = 0; i < rr->rr_nplan; i++)
		free(rr->rr_plan[i]);
	free(rr->rr_plan);
	*rr = (struct reload_result){0};
}

bool
reload(struct space *sp, struct conf **conf, const struct options *o, bool live,
    struct reload_result *ret)
{
	struct conf *new = apply_load(o, o->o_config, &sp->sp_added);
	struct reload_result rr = {0};
	size_t failed = 0;
	bool ok = new &&reload_to(sp, *conf, new, o, live, &rr, &failed);

	if (ok) {
		conf_free(*conf);
		*conf = new;
	} else {
		if (failed)
			log_msg(LOG_ERR,
			    "the configuration was not reloaded, and %zu keys or images are not as "
			    "they were",
			    failed);
		else
			log_msg(LOG_ERR,
			    "the configuration was not reloaded; nothing has changed");
		if (new)
			conf_free(new);
	}
	if (ok && ret)
		*ret = rr;
	else
		reload_result_done(&rr);
	return ok;
}
