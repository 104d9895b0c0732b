/*
 * The drop-ins (generator.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "daemon/generator/generator.h"

/* Units to be ordered after, each once. */
static void
add_unit(GString *out, GHashTable *seen, const char *kind, const char *unit)
{
	if (unit && g_hash_table_add(seen, g_strconcat(kind, unit, NULL)))
		g_string_append_printf(out, "%s=%s\n", kind, unit);
}

/* The order alone: after whatever is mounted at the path or above it, down to stop. */
static void
add_late(GString *out, GHashTable *seen, const char *path, const char *stop)
{
	g_autofree char *p = g_strdup(path);

	while (strcmp(p, "/") != 0 && strcmp(p, stop) != 0) {
		g_autofree char *unit = gen_mount_unit(p);
		char *above = gen_above(p);

		add_unit(out, seen, "After", unit);
		g_free(p);
		p = above;
	}
}

static void
add_need(GString *out, GHashTable *seen, const struct need *nd)
{
	g_autofree char *p = g_strdup(nd->nd_path), *word = NULL;

	if (!nd->nd_must) {
		add_late(out, seen, p, "/");
		return;
	}
	/* Where the path cannot be written, what is above it can, and the rest is ordered. */
	while (!(word = gen_word(p))) {
		char *above = gen_above(p);

		g_free(p);
		p = above;
	}
	if (strcmp(p, nd->nd_path) != 0)
		add_late(out, seen, nd->nd_path, p);
	add_unit(out, seen, "RequiresMountsFor", strcmp(p, "/") ? word : NULL);
}

/* A mount unit is found by its path already. */
static void
add_services(GString *out, GHashTable *seen, const char *kind, const GPtrArray *places)
{
	for (guint i = 0; i < places->len; i++) {
		const struct place *pl = places->pdata[i];

		if (pl->pl_service)
			add_unit(out, seen, kind, pl->pl_unit);
	}
}

char *
gen_drop_in_text(const struct place *pl)
{
	g_autoptr(GHashTable) seen =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GString *out = g_string_new("# By rumpfuse-generator, from what is named in\n# ");
	g_autofree char *said = g_strescape(pl->pl_config, NULL);

	g_string_append_printf(out, "%s\n\n[Unit]\n", said);
	for (guint i = 0; i < pl->pl_needs->len; i++)
		add_need(out, seen, &g_array_index(pl->pl_needs, struct need, i));
	add_services(out, seen, "After", pl->pl_after);
	add_services(out, seen, "PartOf", pl->pl_part_of);
	add_services(out, seen, "Wants", pl->pl_wants);
	return g_string_free(out, FALSE);
}

void
gen_drop_in(const struct place *pl, const char *dir)
{
	g_autofree char *to = g_strdup_printf("%s/%s.d", dir, pl->pl_unit);
	g_autofree char *file = g_strconcat(to, "/50-rumpfuse.conf", NULL);
	g_autofree char *text = gen_drop_in_text(pl);
	g_autoptr(GError) err = NULL;

	if (mkdir(to, 0755) < 0 && errno != EEXIST)
		gen_log(LOG_ERR, "%s: %s", to, g_strerror(errno));
	else if (!g_file_set_contents_full(
		     file, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, &err))
		gen_log(LOG_ERR, "%s", err->message);
}
