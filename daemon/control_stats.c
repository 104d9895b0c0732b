/*
 * The answers to list and stats (control.h).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control_private.h"
#include "daemon/session.h"
#include "vfs/rumpfs.h"

static int
by_key(const void *a, const void *b)
{
	const struct etfs_info *x = a, *y = b;

	return strcmp(x->ei_key, y->ei_key);
}

/* The key at this path among those that are registered. */
static const struct etfs_info *
registered(const struct etfs_list *l, const char *path)
{
	struct etfs_info at = {.ei_key = path};

	return l->el_n ? bsearch(&at, l->el_all, l->el_n, sizeof(at), by_key) : NULL;
}

static void
put_size(struct jw *w, uint64_t size)
{
	if (size == ENTRY_SIZE_UNKNOWN)
		jw_null(w, "size");
	else
		jw_number(w, "size", size);
}

/* en as declared; i: what became of it, or NULL. */
static void
put_entry(struct jw *w, const struct entry *en, const struct etfs_info *i)
{
	bool key = en->en_kind == ENTRY_KEY;

	jw_open(w, NULL, '{');
	jw_text(w, "path", en->en_path);
	jw_text(w, "kind", entry_kind_name(en->en_kind));
	jw_text(w, "type", i ? etfs_type_name(i->ei_type) : en->en_type);
	jw_number(w, "begin", i ? i->ei_begin : en->en_begin);
	/* Directories have none, and what is missing has none that is known. */
	if (i && (i->ei_type == ETFS_DIR || i->ei_type == ETFS_DIR_SUBDIRS))
		jw_null(w, "size");
	else
		put_size(w, i ? i->ei_size : en->en_size);
	jw_text(w, "access", (i ? i->ei_rdonly : en->en_rdonly) ? "ro" : "rw");
	jw_text(w, "host", i ? i->ei_host : en->en_host);
	jw_text(w, "device", en->en_device);
	jw_bool(w, "hidden", en->en_hidden);
	jw_bool(w, "missing", key ? !i || i->ei_missing : en->en_missing);
	jw_text(w, "origin", en->en_origin);
	jw_close(w, '}');
}

void
control_list(struct session *s, struct jw *w)
{
	struct catalog *cg = catalog_get(&s->s_catalog);
	struct etfs_list l = {0};

	if (etfs_list(s->s_space.sp_etfs, &l) == 0 && l.el_n)
		qsort(l.el_all, l.el_n, sizeof(*l.el_all), by_key);
	jw_open(w, "entries", '[');
	for (size_t i = 0; cg && i < cg->cg_n; i++) {
		const struct entry *en = &cg->cg_all[i];

		put_entry(
		    w, en, en->en_kind == ENTRY_KEY ? registered(&l, en->en_path) : NULL);
	}
	jw_close(w, ']');
	etfs_list_done(&l);
	catalog_unref(cg);
}

static void
put_memory(struct session *s, struct jw *w)
{
	struct rumpfs_usage ru;

	rumpfs_usage(s->s_space.sp_vfs.vfs_mem_root->v_mount, &ru);
	jw_open(w, "memory", '{');
	jw_number(w, "size", ru.ru_size);
	jw_number(w, "size_used", ru.ru_size_used);
	jw_number(w, "inodes", ru.ru_inodes);
	jw_number(w, "inodes_used", ru.ru_inodes_used);
	jw_close(w, '}');
}

static void
put_host(struct session *s, struct jw *w)
{
	struct etfs_stats et;

	etfs_stats(s->s_space.sp_etfs, &et);
	jw_open(w, "host", '{');
	jw_number(w, "known", et.et_nodes);
	jw_number(w, "descriptors", et.et_fds);
	jw_number(w, "descriptors_max", et.et_fd_max);
	jw_number(w, "watches", et.et_watches);
	jw_number(w, "events", et.et_events);
	jw_close(w, '}');
}

void
control_stats(struct session *s, bool buckets, struct jw *w)
{
	struct vfs *v = &s->s_space.sp_vfs;

	jw_number(w, "uptime_ms", (control_now_ns() - s->s_began_ns) / 1000000);
	jw_open(w, "operations", '[');
	for (int op = 0; op < FE_NOPS; op++) {
		uint64_t n = atomic_load(&s->s_fe.fe_count[op]);

		if (n == 0)
			continue;
		jw_open(w, NULL, '{');
		jw_text(w, "name", fe_op_name((enum fe_op)op));
		jw_number(w, "count", n);
		jw_close(w, '}');
	}
	jw_close(w, ']');
	jw_number(w, "nodes", slots_count(&v->vfs_nodes));
	jw_number(w, "open_files", slots_count(&v->vfs_files));
	put_memory(s, w);
	put_host(s, w);
	(void)buckets;
}
