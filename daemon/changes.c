/*
 * Changes (changes.h).
 */
#include "daemon/changes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/service.h"
#include "daemon/session.h"

/* conf_diag()'s name for where they come from, and list's. */
#define ADDED "added"

static void
print_errors(struct conf_errors *errs)
{
	for (size_t i = 0; i < errs->ce_n; i++)
		log_text(LOG_ERR, errs->ce_text[i]);
	conf_errors_done(errs);
}

/* Room for one more text.  False: no memory. */
static bool
added_room(struct added *ad)
{
	char **all = reallocarray(ad->ad_text, ad->ad_n + 1, sizeof(*all));

	if (all)
		ad->ad_text = all;
	return all != NULL;
}

static bool
declared(const struct conf *c, const char *path, size_t nkeys)
{
	for (size_t i = 0; i < nkeys; i++)
		if (strcmp(c->c_etfs[i].ce_path, path) == 0)
			return true;
	for (size_t i = 0; i < c->c_nnodes; i++)
		if (strcmp(c->c_nodes[i].cn_path, path) == 0)
			return true;
	for (size_t i = 0; i < c->c_nmounts; i++)
		if (strcmp(c->c_mounts[i].cm_path, path) == 0)
			return true;
	return false;
}

/* The last key of c, which has just joined it: whether it can be there, and then makes it. */
static int
make_last(struct session *s, struct conf *c)
{
	struct conf_etfs *ce = &c->c_etfs[c->c_netfs - 1];
	struct conf_errors errs = {0};

	if (declared(c, ce->ce_path, c->c_netfs - 1)) {
		apply_complain(
		    &ce->ce_where, LOG_ERR, "there is something at that path already");
		return -EEXIST;
	}
	if (!conf_check(c, &errs)) {
		print_errors(&errs);
		return -EINVAL;
	}
	return apply_key(s->s_space.sp_etfs, ce);
}

int
change_add(struct session *s, const char *text)
{
	struct added *ad = &s->s_space.sp_added;
	struct conf *c = s->s_conf;
	struct conf_errors errs = {0};
	char *copy = strdup(text);
	int r = copy && added_room(ad) ? 0 : -ENOMEM;

	if (r == 0 && !conf_add_key_from(c, ADDED, text, (unsigned)ad->ad_n + 1, &errs)) {
		print_errors(&errs);
		r = -EINVAL;
	} else if (r == 0) {
		r = make_last(s, c);
		if (r < 0)
			conf_drop_key(c, c->c_netfs - 1);
	}
	if (r < 0) {
		free(copy);
		return r;
	}
	ad->ad_text[ad->ad_n++] = copy;
	log_msg(LOG_NOTICE, "key %s: added", c->c_etfs[c->c_netfs - 1].ce_path);
	catalog_add(&s->s_catalog, &s->s_space, c, &c->c_etfs[c->c_netfs - 1]);
	return 0;
}

/* Is this text that of the key at path?  It has been read before, without an error. */
static bool
is_of(const char *text, const char *path)
{
	struct conf_errors errs = {0};
	struct conf *c = conf_new();
	bool is = conf_add_key_from(c, ADDED, text, 1, &errs) &&
	          strcmp(c->c_etfs[0].ce_path, path) == 0;

	conf_errors_done(&errs);
	conf_free(c);
	return is;
}

static void
added_drop(struct added *ad, const char *path)
{
	size_t kept = 0;

	for (size_t i = 0; i < ad->ad_n; i++) {
		if (is_of(ad->ad_text[i], path))
			free(ad->ad_text[i]);
		else
			ad->ad_text[kept++] = ad->ad_text[i];
	}
	ad->ad_n = kept;
}

static int
remove_key(struct session *s, const char *path)
{
	struct conf *c = s->s_conf;
	struct etfs *e = s->s_space.sp_etfs;
	struct etfs_info info;
	bool added;
	size_t i;
	int r;

	for (i = 0; i < c->c_netfs && strcmp(c->c_etfs[i].ce_path, path) != 0; i++)
		;
	if (i == c->c_netfs) {
		log_msg(LOG_ERR, "%s: there is no key of that name", path);
		return -ENOENT;
	}
	r = etfs_remove(e, path);
	/* It may have been lost in a reload that failed. */
	if (r < 0 && etfs_find(e, path, &info) == 0) {
		log_msg(LOG_ERR, "key %s: cannot be removed: %s", path,
		    r == -EBUSY ? "an image is mounted from it" : strerror(-r));
		return r;
	}
	added = strcmp(c->c_etfs[i].ce_where.cw_file, ADDED) == 0;
	conf_drop_key(c, i);
	/* Their texts have to be read. */
	if (added)
		added_drop(&s->s_space.sp_added, path);
	/* Who is told that it is gone finds it so. */
	s->s_space.sp_vfs.vfs_notify->settle_names(s->s_space.sp_vfs.vfs_notify_arg);
	log_msg(LOG_NOTICE, "key %s: removed", path);
	catalog_remove(&s->s_catalog, path);
	return 0;
}

int
change_remove(struct session *s, const char *path)
{
	char *normal;
	int r = vfs_path_normal(path, &normal);

	if (r < 0) {
		log_msg(LOG_ERR, "%s: %s", path,
		    r == -EINVAL ? "a key is an absolute path without . and .."
				 : strerror(-r));
		return r;
	}
	r = remove_key(s, normal);
	free(normal);
	return r;
}

int
change_reload(struct session *s, struct reload_result *ret)
{
	struct reload_result rr = {0};
	bool ok;

	if (!s->s_opt->o_config) {
		log_msg(LOG_WARNING, "there is no configuration file to reload");
		return -ENOENT;
	}
	service_reloading();
	ok = reload(&s->s_space, &s->s_conf, s->s_opt, s->s_fe.fe_live, &rr);
	service_ready();
	/* Also after a failure: it may have lost something. */
	catalog_publish(&s->s_catalog, &s->s_space, s->s_conf);
	if (ok && ret)
		*ret = rr;
	else
		reload_result_done(&rr);
	return ok ? 0 : -EINVAL;
}

int
change_access(struct session *s, bool rdonly)
{
	struct etfs_why why = {{0}};

	if (!rdonly && s->s_conf->c_rdonly) {
		log_msg(LOG_ERR, "the configuration has access = ro");
		return -EROFS;
	}
	if (!rdonly) {
		int r = etfs_make_writable(s->s_space.sp_etfs, &why);

		if (r < 0) {
			log_msg(
			    LOG_ERR, "%s", why.ew_text[0] ? why.ew_text : strerror(-r));
			return r;
		}
	}
	space_set_rdonly(&s->s_space, rdonly);
	atomic_store(&s->s_rdonly, rdonly);
	log_msg(LOG_NOTICE, "%s is %s now", s->s_mountpoint,
	    rdonly ? "read-only" : "writable");
	return 0;
}
