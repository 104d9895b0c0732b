/*
 * Paths.  Those of the tree are held to what a path of the mount can be: absolute, no "."
 * and no "..", components of at most 255 bytes, at most 4095 in all.  Those of the host
 * are only made absolute: a ".." in them is the kernel's to resolve, since a symlink may
 * precede it.
 */
#include <string.h>

#include "conf/conf_int.h"

#define TREE_PATH_MAX 4095
#define TREE_NAME_MAX 255
#define HOST_PATH_MAX 4095

/* Appends the component to *out; a sentence for g_free() if it cannot be one, else NULL.
 */
static char *
add_component(GString *out, const char *c, size_t len)
{
	if ((len == 1 && c[0] == '.') || (len == 2 && memcmp(c, "..", 2) == 0))
		return g_strdup_printf(
		    "the path has a \"%.*s\" component, expected only names", (int)len,
		    c);
	if (len > TREE_NAME_MAX)
		return g_strdup_printf(
		    "a name of the path has %zu bytes, expected at most %d", len,
		    TREE_NAME_MAX);
	g_string_append_c(out, '/');
	g_string_append_len(out, c, len);
	return NULL;
}

char *
conf_path_tree(const char *text, char **ret_why)
{
	g_autoptr(GString) out = g_string_new(NULL);
	char *why = NULL;

	if (text[0] != '/') {
		g_autofree char *q = conf_quote(text, strlen(text));
		*ret_why = g_strdup_printf(
		    "%s is not absolute, expected a path that starts with \"/\"", q);
		return NULL;
	}
	for (const char *c = text; *c && why == NULL;) {
		size_t len = strcspn(c, "/");
		if (len > 0)
			why = add_component(out, c, len);
		c += len + (c[len] == '/');
	}
	if (why == NULL && out->len > TREE_PATH_MAX)
		why = g_strdup_printf("the path has %zu bytes, expected at most %d",
		    out->len, TREE_PATH_MAX);
	if (why) {
		*ret_why = why;
		return NULL;
	}
	return g_strdup(out->len ? out->str : "/");
}

/* "a/./b" and "a//b" are the same everywhere; "a/../b" is not. */
static void
add_host_components(GString *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "/");
		if (len > 0 && !(len == 1 && text[0] == '.')) {
			g_string_append_c(out, '/');
			g_string_append_len(out, text, len);
		}
		text += len + (text[len] == '/');
	}
}

char *
conf_path_host(const char *base, const char *text)
{
	GString *out = g_string_new(NULL);

	if (text[0] != '/')
		add_host_components(out, base);
	add_host_components(out, text);
	if (out->len == 0)
		g_string_append_c(out, '/');
	return g_string_free(out, FALSE);
}

static void
store(const struct conf_key *k, void *obj, char *path)
{
	char **field = (char **)(void *)((char *)obj + k->k_off);

	g_free(*field);
	*field = path;
}

void
conf_set_path(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	char *why, *path = conf_path_tree(text, &why);

	if (path == NULL) {
		conf_bad(p, "%s", why);
		g_free(why);
		return;
	}
	store(k, obj, path);
}

void
conf_set_host(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	char *path;

	if (*text == '\0') {
		conf_bad(p, "empty, expected a path");
		return;
	}
	path = conf_path_host(p->cp_base, text);
	if (strlen(path) > HOST_PATH_MAX) {
		conf_bad(p, "the path has %zu bytes, expected at most %d", strlen(path),
		    HOST_PATH_MAX);
		g_free(path);
		return;
	}
	store(k, obj, path);
}
