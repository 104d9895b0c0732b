/*
 * Which units are started, and by whom (generator.h).
 *
 * "systemctl enable" leaves a link TARGET.wants/UNIT; its name says all.
 */
#include <dirent.h>
#include <string.h>

#include "daemon/generator/generator.h"

static void
note_links(GHashTable *services, const char *dir, const char *target)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, target);
	struct dirent *de;
	DIR *dp = opendir(path);

	while (dp && (de = readdir(dp))) {
		struct place *pl = g_hash_table_lookup(services, de->d_name);

		/* The same target may be asked for in two directories. */
		if (pl && !g_ptr_array_find_with_equal_func(
			      pl->pl_wanted_by, target, g_str_equal, NULL))
			g_ptr_array_add(pl->pl_wanted_by, g_strdup(target));
	}
	if (dp)
		closedir(dp);
}

void
gen_enabled(struct plan *pn, const char *dir)
{
	g_autoptr(GHashTable) services = g_hash_table_new(g_str_hash, g_str_equal);
	struct dirent *de;
	DIR *dp = opendir(dir);

	for (guint i = 0; i < pn->pn_places->len; i++) {
		struct place *pl = pn->pn_places->pdata[i];

		if (pl->pl_service)
			g_hash_table_insert(services, pl->pl_unit, pl);
	}
	while (dp && (de = readdir(dp)))
		if (g_str_has_suffix(de->d_name, ".wants") ||
		    g_str_has_suffix(de->d_name, ".requires"))
			note_links(services, dir, de->d_name);
	if (dp)
		closedir(dp);
}
