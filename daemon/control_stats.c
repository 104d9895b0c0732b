/*
 * The answers to list and stats (control.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control_private.h"
#include "daemon/fe_pass.h"
#include "daemon/fe_stats.h"
#include "daemon/fe_wire.h"
#include "daemon/session.h"
#include "daemon/transport.h"
#include "vfs/rumpfs.h"

/* Of a list: then it is the others' turn. */
#define ENTRIES_AT_ONCE 1000u

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

/* A list in the making. */
struct listing {
	struct catalog *li_cg; /* or NULL */
	struct etfs_list li_keys;
	size_t li_next;
	bool li_more; /* there has been one */
};

struct listing *
listing_new(struct session *s)
{
	struct listing *li = g_new0(struct listing, 1);
	struct etfs_list *l = &li->li_keys;

	li->li_cg = catalog_get(&s->s_catalog);
	if (etfs_list(s->s_space.sp_etfs, l) == 0 && l->el_n)
		qsort(l->el_all, l->el_n, sizeof(*l->el_all), by_key);
	return li;
}

void
listing_free(struct listing *li)
{
	etfs_list_done(&li->li_keys);
	catalog_unref(li->li_cg);
	g_free(li);
}

bool
listing_put(struct listing *li, GString *out)
{
	struct jw w = {.jw_s = out, .jw_more = li->li_more};
	size_t all = li->li_cg ? li->li_cg->cg_n : 0;

	for (unsigned n = 0; n < ENTRIES_AT_ONCE && li->li_next < all; n++) {
		const struct entry *en = li->li_cg->cg_all[li->li_next++];

		put_entry(&w, en,
		    en->en_kind == ENTRY_KEY ? registered(&li->li_keys, en->en_path)
					     : NULL);
	}
	li->li_more = w.jw_more;
	return li->li_next < all;
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

bool
control_passes(const struct session *s)
{
	struct fe_pass_stats fps;

	fe_pass_stats(s->s_fe.fe_passes, &fps);
	return fps.fps_on && s->s_fe.fe_agreed & FE_INIT_PASSTHROUGH;
}

/* Opens of files that the kernel uses without us. */
static void
put_passthrough(struct session *s, struct jw *w)
{
	struct fe_pass_stats fps;

	fe_pass_stats(s->s_fe.fe_passes, &fps);
	jw_open(w, "passthrough", '{');
	jw_bool(w, "on", control_passes(s));
	jw_number(w, "opens", fps.fps_passed);
	jw_number(w, "refused", fps.fps_refused);
	jw_close(w, '}');
}

static void
put_buckets(struct jw *w, const struct fe_sum *fs)
{
	jw_open(w, "buckets", '[');
	for (unsigned i = 0; i < FE_BUCKETS; i++) {
		uint64_t end = fe_bucket_end_us(i);

		if (!fs->fs_bucket[i])
			continue;
		jw_open(w, NULL, '[');
		if (end == UINT64_MAX)
			jw_null(w, NULL);
		else
			jw_number(w, NULL, end);
		jw_number(w, NULL, fs->fs_bucket[i]);
		jw_close(w, ']');
	}
	jw_close(w, ']');
}

static void
put_operations(struct session *s, bool buckets, struct jw *w)
{
	struct fe_sum fs;

	jw_open(w, "operations", '[');
	for (int op = 0; op < FE_NOPS; op++) {
		fe_sum_get(&s->s_fe, (enum fe_op)op, &fs);
		if (fs.fs_count == 0)
			continue;
		jw_open(w, NULL, '{');
		jw_text(w, "name", fe_op_name((enum fe_op)op));
		jw_number(w, "count", fs.fs_count);
		jw_number(w, "errors", fs.fs_errors);
		jw_number(w, "total_us", fs.fs_total_ns / 1000);
		jw_number(w, "bytes", fs.fs_bytes);
		jw_number(w, "p50_us", fe_percentile_us(&fs, 500));
		jw_number(w, "p90_us", fe_percentile_us(&fs, 900));
		jw_number(w, "p99_us", fe_percentile_us(&fs, 990));
		jw_number(w, "p999_us", fe_percentile_us(&fs, 999));
		jw_number(w, "max_us", (fs.fs_max_ns + 999) / 1000);
		if (buckets)
			put_buckets(w, &fs);
		jw_close(w, '}');
	}
	jw_close(w, ']');
}

static void
put_counts(struct jw *w, const char *path, uint64_t ops, uint64_t bytes_in,
    uint64_t bytes_out, uint64_t passed)
{
	jw_open(w, NULL, '{');
	jw_text(w, "path", path);
	jw_number(w, "operations", ops);
	jw_number(w, "read_bytes", bytes_in);
	jw_number(w, "written_bytes", bytes_out);
	jw_number(w, "passthrough_opens", passed);
	jw_close(w, '}');
}

/* Those that have been used, to the beginning and in the order of their paths. */
static struct etfs_list
used_keys(struct etfs_list *l)
{
	struct etfs_list used = {.el_all = l->el_all};

	for (size_t i = 0; i < l->el_n; i++)
		if (l->el_all[i].ei_ops)
			used.el_all[used.el_n++] = l->el_all[i];
	if (used.el_n)
		qsort(used.el_all, used.el_n, sizeof(*used.el_all), by_key);
	return used;
}

/* Keys that have been used, and images, in the order of their paths. */
static void
put_keys(struct session *s, struct jw *w)
{
	struct catalog *cg = catalog_get(&s->s_catalog);
	struct etfs_list l = {0}, used;
	uint64_t ops, in, out;

	(void)etfs_list(s->s_space.sp_etfs, &l);
	used = used_keys(&l);
	jw_open(w, "keys", '[');
	for (size_t i = 0; cg && i < cg->cg_n; i++) {
		const char *path = cg->cg_all[i]->en_path;
		const struct etfs_info *k = registered(&used, path);

		if (k)
			put_counts(
			    w, path, k->ei_ops, k->ei_read, k->ei_written, k->ei_passed);
		else if (cg->cg_all[i]->en_kind == ENTRY_IMAGE &&
			 vfs_counts_at(&s->s_space.sp_vfs, path, &ops, &in, &out) == 0)
			put_counts(w, path, ops, in, out, 0);
	}
	jw_close(w, ']');
	etfs_list_done(&l);
	catalog_unref(cg);
}

/* Of /proc/self/statm, whose second number is of pages. */
static uint64_t
rss_bytes(void)
{
	unsigned long long all, rss;
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t bytes = 0;

	if (f && fscanf(f, "%llu %llu", &all, &rss) == 2)
		bytes = rss * (uint64_t)sysconf(_SC_PAGESIZE);
	if (f)
		fclose(f);
	return bytes;
}

void
control_stats(struct session *s, bool buckets, struct jw *w)
{
	struct vfs *v = &s->s_space.sp_vfs;

	jw_number(w, "uptime_ms", (control_now_ns() - s->s_began_ns) / 1000000);
	put_operations(s, buckets, w);
	put_keys(s, w);
	jw_number(w, "nodes", slots_count(&v->vfs_nodes));
	jw_number(w, "open_files", slots_count(&v->vfs_files));
	put_memory(s, w);
	jw_number(w, "rss_bytes", rss_bytes());
	jw_text(w, "transport", transport_name(s));
	jw_number(w, "threads", transport_threads(s));
	put_host(s, w);
	put_passthrough(s, w);
	control_waiting(s, w);
}
