/*
 * Links in memory (control_links.h): followed as the kernel does, name by name.  What lies
 * below a key or in an image is not looked at.
 */
#include "daemon/control_links.h"

#include <limits.h>
#include <string.h>

#include "daemon/catalog.h"
#include "daemon/control_private.h"
#include "daemon/session.h"

#define LINKS_MAX 40 /* the kernel's */

/* Only another file system could say more of it. */
static bool
is_elsewhere(struct session *s, const struct catalog *cg, const char *path)
{
	const struct entry *en = control_ruler(s, cg, path);

	return en && en->en_kind != ENTRY_NODE;
}

/* What is left of an absolute target that leads into the mount; NULL: it leads out. */
static const char *
in_mount(const struct session *s, const char *target)
{
	size_t n = strlen(s->s_mountpoint);

	return strncmp(target, s->s_mountpoint, n) == 0 &&
	               (target[n] == '/' || !target[n])
	           ? target + n
	           : NULL;
}

static void
note(struct links *lk, const char *target)
{
	g_free(lk->lk_last);
	lk->lk_last = g_strdup_printf("%s -> %s", lk->lk_path->str, target);
	g_string_append_printf(
	    lk->lk_followed, "%s%s", lk->lk_followed->len ? ", " : "", lk->lk_last);
}

/* lk_path is a link to target: the way goes on from where it lies. */
static void
follow(const struct session *s, struct links *lk, const char *target, GString *way)
{
	const char *slash = strrchr(lk->lk_path->str, '/');

	note(lk, target);
	if (lk->lk_n++ == LINKS_MAX) {
		lk->lk_end = LINKS_LOOP;
		return;
	}
	if (target[0] == '/') {
		target = in_mount(s, target);
		slash = lk->lk_path->str;
	}
	if (!target) {
		lk->lk_end = LINKS_AWAY;
		return;
	}
	g_string_truncate(lk->lk_path, (gsize)(slash - lk->lk_path->str));
	g_string_prepend_c(way, '/');
	g_string_prepend(way, target);
}

/* One directory up; the key's own root lies where it is declared, but what is below it may
 * have been reached by a link of the host. */
static void
up(struct session *s, const struct catalog *cg, struct links *lk)
{
	char *slash = strrchr(lk->lk_path->str, '/');
	const struct entry *en = slash ? control_ruler(s, cg, lk->lk_path->str) : NULL;

	if (!slash || (en && en->en_kind != ENTRY_NODE &&
			  strcmp(en->en_path, lk->lk_path->str) != 0))
		lk->lk_end = LINKS_AWAY;
	else
		g_string_truncate(lk->lk_path, (gsize)(slash - lk->lk_path->str));
}

/* Takes the first name out of way, for g_free(); NULL: it is at its end. */
static char *
next_name(GString *way)
{
	size_t skip = strspn(way->str, "/"), n = strcspn(way->str + skip, "/");
	char *name = n ? g_strndup(way->str + skip, n) : NULL;

	g_string_erase(way, 0, (gssize)(skip + n));
	return name;
}

/* One name on. */
static void
step(struct session *s, const struct catalog *cg, struct links *lk, const char *name,
    GString *way)
{
	bool last = !way->str[strspn(way->str, "/")];
	char target[PATH_MAX];

	if (strcmp(name, ".") == 0)
		return;
	if (strcmp(name, "..") == 0) {
		up(s, cg, lk);
		return;
	}
	g_string_append_printf(lk->lk_path, "/%s", name);
	if (!last && !is_elsewhere(s, cg, lk->lk_path->str) &&
	    vfs_look_link(&s->s_space.sp_vfs, lk->lk_path->str, target, sizeof(target)) ==
		0)
		follow(s, lk, target, way);
}

void
links_follow(
    struct session *s, const struct catalog *cg, const char *path, struct links *ret)
{
	GString *way = g_string_new(path);
	char *name;

	*ret = (struct links){
	    .lk_path = g_string_new(NULL), .lk_followed = g_string_new(NULL)};
	while (ret->lk_end == LINKS_THERE && (name = next_name(way)) != NULL) {
		step(s, cg, ret, name, way);
		g_free(name);
	}
	if (!ret->lk_path->len)
		g_string_append_c(ret->lk_path, '/');
	g_string_free(way, TRUE);
}

void
links_done(struct links *lk)
{
	g_string_free(lk->lk_path, TRUE);
	g_string_free(lk->lk_followed, TRUE);
	g_free(lk->lk_last);
}
