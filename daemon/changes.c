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

static void
print_errors(struct conf_errors *errs)
{
	for (size_t i = 0; i < errs->ce_n; i++)
		log_text(LOG_ERR, errs->ce_text[i]);
	conf_errors_done(errs);
}

/* Something declared that is not a key, or NULL. */
static const struct conf_where *
declared_else(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->c_nnodes; i++)
		if (strcmp(c->c_nodes[i].cn_path, path) == 0)
			return &c->c_nodes[i].cn_where;
	for (size_t i = 0; i < c->c_nmounts; i++)
		if (strcmp(c->c_mounts[i].cm_path, path) == 0)
			return &c->c_mounts[i].cm_where;
	return NULL;
}

/* The first of n keys that is at path; n: none. */
static size_t
key_at(const struct conf *c, const char *path, size_t n)
{
	size_t i;

	for (i = 0; i < n && strcmp(c->c_etfs[i].ce_path, path) != 0; i++)
		;
	return i;
}

/* Remembers it.  False: no memory. */
static bool
added_put(struct added *ad, const char *path, const char *text)
{
	struct added_key *all = reallocarray(ad->ad_keys, ad->ad_n + 1, sizeof(*all));
	struct added_key *ak;

	if (!all)
		return false;
	ad->ad_keys = all;
	ak = &all[ad->ad_n];
	*ak = (struct added_key){strdup(path), strdup(text)};
	if (!ak->ak_path || !ak->ak_text) {
		free(ak->ak_path);
		free(ak->ak_text);
		return false;
	}
	ad->ad_n++;
	return true;
}

static bool
same_path(const char *path, void *arg)
{
	return strcmp(path, arg) == 0;
}

/* The last key of c, which has just joined it: whether it can be there, and then makes it. */
static int
make_last(struct session *s, struct conf *c)
{
	size_t last = c->c_netfs - 1;
	struct conf_etfs *ce = &c->c_etfs[last];
	struct conf_errors errs = {0};

	if (key_at(c, ce->ce_path, last) < last || declared_else(c, ce->ce_path)) {
		apply_complain(
		    &ce->ce_where, LOG_ERR, "there is something at that path already");
		return -EEXIST;
	}
	if (!conf_check(c, &errs)) {
		print_errors(&errs);
		return -EINVAL;
	}
	return reload_key(&s->s_space, c, last, PO_ADD, s->s_opt);
}

int
change_add(struct session *s, const char *text)
{
	struct added *ad = &s->s_space.sp_added;
	struct conf *c = s->s_conf;
	struct conf_errors errs = {0};
	char *path;
	int r;

	if (!conf_add_key_from(c, ADDED_FROM, text, (unsigned)ad->ad_n + 1, &errs)) {
		print_errors(&errs);
		return -EINVAL;
	}
	path = c->c_etfs[c->c_netfs - 1].ce_path;
	r = make_last(s, c);
	if (r == 0 && !added_put(ad, path, text)) {
		(void)reload_key(&s->s_space, c, c->c_netfs - 1, PO_REMOVE, s->s_opt);
		r = -ENOMEM;
	}
	if (r < 0) {
		conf_drop_key(c, c->c_netfs - 1);
		return r;
	}
	log_msg(LOG_NOTICE, "key %s: added", path);
	catalog_publish(&s->s_catalog, &s->s_space, c);
	return 0;
}

static int
no_key(const struct conf *c, const char *path)
{
	const struct conf_where *w = declared_else(c, path);

	if (w)
		log_msg(LOG_ERR,
		    "%s: this is no key but [%s] of %s:%u: what is declared there goes when "
		    "it is taken out of the file and that is reloaded",
		    path, w->cw_section, w->cw_file, w->cw_line);
	else
		log_msg(LOG_ERR, "%s: there is no key of that name", path);
	return -ENOENT;
}

static int
remove_key(struct session *s, char *path)
{
	struct conf *c = s->s_conf;
	size_t i = key_at(c, path, c->c_netfs);
	int r;

	if (i == c->c_netfs)
		return no_key(c, path);
	r = reload_key(&s->s_space, c, i, PO_REMOVE, s->s_opt);
	if (r < 0)
		return r;
	conf_drop_key(c, i);
	added_drop(&s->s_space.sp_added, same_path, path);
	log_msg(LOG_NOTICE, "key %s: removed", path);
	catalog_publish(&s->s_catalog, &s->s_space, c);
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
