/*
 * The catalogue (catalog.h).
 */
#include "daemon/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/apply.h"

void
catalog_place_init(struct catalog_place *p)
{
	pthread_mutex_init(&p->ca_mtx, NULL);
	p->ca_now = NULL;
}

static void
entry_done(struct entry *en)
{
	free(en->en_path);
	free(en->en_host);
	free(en->en_device);
	free(en->en_section);
	free(en->en_origin);
}

void
catalog_unref(struct catalog *cg)
{
	if (!cg || atomic_fetch_sub(&cg->cg_ref, 1) != 1)
		return;
	for (size_t i = 0; i < cg->cg_n; i++)
		entry_done(&cg->cg_all[i]);
	free(cg->cg_all);
	free(cg);
}

void
catalog_place_done(struct catalog_place *p)
{
	catalog_unref(p->ca_now);
	pthread_mutex_destroy(&p->ca_mtx);
}

struct catalog *
catalog_get(struct catalog_place *p)
{
	struct catalog *cg;

	pthread_mutex_lock(&p->ca_mtx);
	cg = p->ca_now;
	if (cg)
		atomic_fetch_add(&cg->cg_ref, 1);
	pthread_mutex_unlock(&p->ca_mtx);
	return cg;
}

/* A copy of text in *ret; text may be NULL.  False: no memory. */
static bool
copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return !text || *ret;
}

/* What all have. */
static bool
place(struct entry *en, const char *path, const struct conf_where *w)
{
	bool file = strcmp(w->cw_file, "-k") != 0 && strcmp(w->cw_file, ADDED_FROM) != 0;

	if (!copy(path, &en->en_path))
		return false;
	if (asprintf(&en->en_section, "[%s]", w->cw_section) < 0) {
		en->en_section = NULL;
		return false;
	}
	if (!file)
		return copy(w->cw_file, &en->en_origin);
	if (asprintf(&en->en_origin, "%s:%u", w->cw_file, w->cw_line) < 0)
		en->en_origin = NULL;
	return en->en_origin != NULL;
}

static uint64_t
size_of(uint64_t conf_size)
{
	return conf_size == CONF_SIZE_END ? ENTRY_SIZE_UNKNOWN : conf_size;
}

/* The words of conf_value.c; what the host object makes of auto is etfs_list()'s. */
static bool
of_key(struct entry *en, const struct conf_etfs *ce, bool rdonly)
{
	static const char *const types[] = {
	    [CT_AUTO] = "auto",
	    [CT_REG] = "reg",
	    [CT_BLK] = "blk",
	    [CT_CHR] = "chr",
	    [CT_DIR] = "dir",
	    [CT_DIR_SUBDIRS] = "dir-subdirs",
	};

	en->en_kind = ENTRY_KEY;
	en->en_type = types[ce->ce_type];
	en->en_begin = ce->ce_begin;
	en->en_size = size_of(ce->ce_size);
	en->en_rdonly = ce->ce_rdonly || rdonly;
	en->en_hidden = ce->ce_hidden;
	en->en_missing = true; /* unless it is in etfs_list() */
	return copy(ce->ce_host, &en->en_host) && place(en, ce->ce_path, &ce->ce_where);
}

static const char *
node_type(const struct conf_node *cn)
{
	switch (cn->cn_kind) {
	case CK_DIR:
		return "dir";
	case CK_FILE:
		return "file";
	case CK_SYMLINK:
		return "symlink";
	case CK_NODE:
		return cn->cn_type == 'c'   ? "chr"
		       : cn->cn_type == 'b' ? "blk"
		       : cn->cn_type == 'p' ? "fifo"
		                            : "sock";
	case CK_WHITEOUT:
		break;
	}
	return "whiteout";
}

static bool
of_node(struct entry *en, const struct conf_node *cn)
{
	en->en_kind = ENTRY_NODE;
	en->en_type = node_type(cn);
	en->en_size = ENTRY_SIZE_UNKNOWN;
	return copy(cn->cn_host_copy, &en->en_host) &&
	       place(en, cn->cn_path, &cn->cn_where);
}

static bool
of_image(struct entry *en, const struct conf_mount *cm, const struct space *sp)
{
	const struct mounted *md = images_find(sp, cm->cm_path);
	struct etfs_info at;
	bool host = md && image_host(md->md_image, &at);

	en->en_kind = ENTRY_IMAGE;
	/* Types are never unloaded. */
	en->en_type = md ? image_type(md->md_image) : "auto";
	en->en_begin = host ? at.ei_begin : cm->cm_begin;
	en->en_size = host ? at.ei_size : size_of(cm->cm_size);
	en->en_rdonly = md ? image_rdonly(md->md_image) : cm->cm_rdonly;
	en->en_missing = !md;
	return copy(cm->cm_host, &en->en_host) && copy(cm->cm_device, &en->en_device) &&
	       place(en, cm->cm_path, &cm->cm_where);
}

/* As paths, in which what is below another comes right after it. */
static int
path_order(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t n = alen < blen ? alen : blen;

	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return a[i] == '/'   ? -1
			       : b[i] == '/' ? 1
			                     : (unsigned char)a[i] - (unsigned char)b[i];
	return (alen > blen) - (alen < blen);
}

static int
by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return path_order(x->en_path, strlen(x->en_path), y->en_path, strlen(y->en_path));
}

static bool
fill(struct catalog *cg, const struct space *sp, const struct conf *c)
{
	bool ok = true;

	/* What is being filled is freed with the rest. */
	for (size_t i = 0; ok && i < c->c_netfs; i++)
		ok = of_key(&cg->cg_all[cg->cg_n++], &c->c_etfs[i], c->c_rdonly);
	for (size_t i = 0; ok && i < c->c_nnodes; i++)
		ok = of_node(&cg->cg_all[cg->cg_n++], &c->c_nodes[i]);
	for (size_t i = 0; ok && i < c->c_nmounts; i++)
		ok = of_image(&cg->cg_all[cg->cg_n++], &c->c_mounts[i], sp);
	return ok;
}

void
catalog_publish(struct catalog_place *p, const struct space *sp, const struct conf *c)
{
	struct catalog *cg = calloc(1, sizeof(*cg)), *old;

	if (!cg)
		return;
	atomic_init(&cg->cg_ref, 1);
	cg->cg_ttl_ns = c->c_attr_timeout_ns;
	cg->cg_all =
	    calloc(c->c_netfs + c->c_nnodes + c->c_nmounts + 1, sizeof(*cg->cg_all));
	if (!cg->cg_all || !fill(cg, sp, c)) {
		catalog_unref(cg);
		return;
	}
	qsort(cg->cg_all, cg->cg_n, sizeof(*cg->cg_all), by_path);
	pthread_mutex_lock(&p->ca_mtx);
	old = p->ca_now;
	p->ca_now = cg;
	pthread_mutex_unlock(&p->ca_mtx);
	catalog_unref(old);
}

const struct entry *
catalog_find(const struct catalog *cg, const char *path, size_t len)
{
	size_t lo = 0, hi = cg->cg_n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct entry *en = &cg->cg_all[mid];
		int c = path_order(path, len, en->en_path, strlen(en->en_path));

		if (c == 0)
			return en;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct entry *
catalog_above(const struct catalog *cg, const char *path)
{
	size_t len = strlen(path);

	for (;;) {
		const struct entry *en = catalog_find(cg, path, len);

		if (en || len <= 1)
			return en;
		do
			len--;
		while (path[len] != '/');
		if (len == 0)
			len = 1;
	}
}

const char *
entry_kind_name(enum entry_kind k)
{
	static const char *const names[] = {
	    [ENTRY_KEY] = "key", [ENTRY_IMAGE] = "image", [ENTRY_NODE] = "node"};

	return names[k];
}
