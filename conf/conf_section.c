/*
 * Sections as they go by: a section is begun with its name, filled key by key, and at its
 * end joins the conf, also when it has errors: the checks of the whole then find theirs
 * in the same run.  Which sections and keys there are is conf_kinds.c's.
 */
#include <string.h>

#include "conf/conf_int.h"

const char *
conf_section_name(const struct conf_parse *p)
{
	return p->cp_section ? p->cp_section->se_name : NULL;
}

void
conf_section_error(struct conf_parse *p, int k, const char *fmt, ...)
{
	const struct conf_section *s = p->cp_section;
	unsigned line = k >= 0 && s->se_key_line[k] ? s->se_key_line[k] : s->se_line;
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	conf_diag(p->cp_diags, p->cp_file, line, s->se_name,
	    k >= 0 ? s->se_kind->s_keys[k].k_name : NULL, "%s", text);
}

/* Points the section to what it fills, and gives that its place and defaults. */
static void
section_target(struct conf_parse *p, struct conf_section *s)
{
	struct conf_where where = {p->cp_file->cf_name, s->se_line, s->se_name};

	if (s->se_kind == CONF_KIND_ETFS) {
		s->se_u.u_etfs =
		    (struct conf_etfs){.ce_where = where, .ce_size = CONF_SIZE_END};
		s->se_obj = &s->se_u.u_etfs;
		s->se_path = &s->se_u.u_etfs.ce_path;
	} else if (s->se_kind == CONF_KIND_MOUNT) {
		s->se_u.u_mount =
		    (struct conf_mount){.cm_where = where, .cm_size = CONF_SIZE_END};
		s->se_obj = &s->se_u.u_mount;
		s->se_path = &s->se_u.u_mount.cm_path;
	} else if (s->se_kind->s_has_path) {
		s->se_u.u_node = (struct conf_node){.cn_where = where};
		s->se_obj = &s->se_u.u_node;
		s->se_path = &s->se_u.u_node.cn_path;
	} else {
		s->se_obj = p->cp_conf;
	}
}

/* The path in the section's name.  Its key counts as given even if the path is wrong: that
 * was told, and "no path" beside it would be a second error for one mistake. */
static void
section_path(struct conf_parse *p, const char *path)
{
	struct conf_section *s = p->cp_section;
	char *why;

	*s->se_path = conf_path_tree(path, &why);
	s->se_key_line[K_PATH] = s->se_line;
	if (*s->se_path == NULL) {
		conf_section_error(p, -1, "%s", why);
		g_free(why);
	}
}

/* The row of conf_kinds for the first word of a section's name. */
static const struct conf_kinddef *
find_kind(struct conf_parse *p, const char *word)
{
	const char *near;
	g_autofree char *q = NULL;

	for (size_t i = 0; i < CONF_NKINDS; i++) {
		if (strcmp(conf_kinds[i].s_name, word) == 0)
			return &conf_kinds[i];
	}
	near = conf_nearest(word, conf_kinds, CONF_NKINDS, sizeof(conf_kinds[0]));
	q = conf_quote(word, strlen(word));
	if (near)
		conf_section_error(
		    p, -1, "%s is not a kind of section, did you mean \"%s\"?", q, near);
	else
		conf_section_error(p, -1,
		    "%s is not a kind of section, expected daemon or rumpfs, "
		    "or dir, file, symlink, node, whiteout, etfs or mount and a path",
		    q);
	return NULL;
}

/* A repeated section is read for its errors, but does not join: its path would be told as
 * declared twice on top. */
static void
check_repeated(struct conf_parse *p, struct conf_section *s)
{
	void *first;

	if (g_hash_table_lookup_extended(p->cp_seen, s->se_name, NULL, &first)) {
		s->se_repeated = true;
		conf_section_error(p, -1,
		    "the section is repeated, expected it once (first in line %u)",
		    GPOINTER_TO_UINT(first));
	} else {
		g_hash_table_insert(p->cp_seen, (void *)(uintptr_t)s->se_name,
		    GUINT_TO_POINTER(s->se_line));
	}
}

/* Ends the section before and starts one that has a line and a name, no more. */
static struct conf_section *
section_new(struct conf_parse *p, const char *name)
{
	struct conf_own *own = p->cp_conf->c_strings;
	struct conf_section *s;

	conf_section_end(p);
	s = p->cp_section = g_new0(struct conf_section, 1);
	s->se_line = p->cp_line;
	if (name)
		s->se_name = g_string_chunk_insert(own->co_names, name);
	return s;
}

void
conf_section_begin(struct conf_parse *p, const char *name, size_t len)
{
	g_autofree char *word = NULL, *canonical = NULL;
	const char *rest;
	size_t wlen = 0;
	struct conf_section *s;

	if (name == NULL) {
		section_new(p, NULL);
		return;
	}
	/* One blank between the kind and the path, so that repetitions are seen. */
	while (wlen < len && !g_ascii_isspace(name[wlen]))
		wlen++;
	word = g_strndup(name, wlen);
	while (wlen < len && g_ascii_isspace(name[wlen]))
		wlen++;
	canonical = g_strdup_printf(
	    "%s%s%.*s", word, wlen < len ? " " : "", (int)(len - wlen), name + wlen);
	rest = canonical + strlen(word);

	s = section_new(p, canonical);
	s->se_kind = find_kind(p, word);
	if (s->se_kind == NULL)
		return;
	section_target(p, s);
	check_repeated(p, s);
	if (!s->se_kind->s_has_path && *rest)
		conf_section_error(
		    p, -1, "this section has no path, expected [%s]", word);
	else if (s->se_kind->s_has_path && rest[0] && rest[1] == '/')
		section_path(p, rest + 1);
}

void
conf_section_begin_k(struct conf_parse *p, const char *path)
{
	g_autofree char *name = g_strdup_printf("etfs %s", path);
	struct conf_section *s = section_new(p, name);

	s->se_kind = CONF_KIND_ETFS;
	section_target(p, s);
	section_path(p, path);
}

/* The key that was probably meant counts as given, so that it is not told as missing. */
static void
unknown_key(struct conf_parse *p)
{
	struct conf_section *s = p->cp_section;
	/* A path in the section's name leaves no room for the key. */
	size_t skip = s->se_kind->s_has_path && s->se_key_line[K_PATH] == s->se_line;
	const struct conf_key *keys = s->se_kind->s_keys + skip;
	size_t n = s->se_kind->s_nkeys - skip;
	const char *near = conf_nearest(p->cp_key, keys, n, sizeof(*keys));
	g_autofree char *list = NULL;

	if (near == NULL) {
		list = conf_list(keys, n, sizeof(*keys));
		conf_bad(p, "unknown key, expected %s", n ? list : "none");
		return;
	}
	conf_bad(p, "unknown key, did you mean \"%s\"?", near);
	for (size_t k = 0; k < s->se_kind->s_nkeys; k++)
		s->se_meant[k] |= near == s->se_kind->s_keys[k].k_name;
}

void
conf_section_key(struct conf_parse *p, const char *key, const char *value)
{
	struct conf_section *s = p->cp_section;
	unsigned *first;
	size_t k = 0;

	if (s->se_kind == NULL)
		return;
	p->cp_key = key;
	while (k < s->se_kind->s_nkeys && strcmp(s->se_kind->s_keys[k].k_name, key) != 0)
		k++;
	if (k == s->se_kind->s_nkeys) {
		unknown_key(p);
		return;
	}
	first = &s->se_key_line[k];
	if (*first && k == K_PATH && s->se_kind->s_has_path && *first == s->se_line)
		conf_bad(p, "the section's name has the path already, expected only one");
	else if (*first && *first == p->cp_line)
		conf_bad(p, "repeated, expected it once");
	else if (*first)
		conf_bad(p, "repeated, expected it once (first in line %u)", *first);
	else if (value)
		s->se_kind->s_keys[k].k_set(p, &s->se_kind->s_keys[k], value, s->se_obj);
	if (*first == 0)
		*first = p->cp_line;
}

void
conf_section_end(struct conf_parse *p)
{
	struct conf_section *s = p->cp_section;

	if (s == NULL)
		return;
	if (s->se_kind && s->se_kind->s_has_path && conf_section_missing(s, K_PATH))
		conf_section_error(p, -1, "no path, expected [%s /PATH] or a path key",
		    s->se_kind->s_name);
	if (s->se_kind && s->se_kind->s_finish)
		s->se_kind->s_finish(p);
	/* What did not join the conf. */
	if (s->se_kind == CONF_KIND_ETFS)
		conf_etfs_done(&s->se_u.u_etfs);
	else if (s->se_kind == CONF_KIND_MOUNT)
		conf_mount_done(&s->se_u.u_mount);
	else if (s->se_kind && s->se_kind->s_has_path)
		conf_node_done(&s->se_u.u_node);
	g_free(s);
	p->cp_section = NULL;
}
