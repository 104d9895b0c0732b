/*
 * Mount points and sockets (find.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/find.h"

#define MAX_LINKS 40

static void
mnt_free(void *p)
{
	struct mnt *m = p;

	g_free(m->m_point);
	g_free(m->m_type);
	g_free(m->m_source);
	g_free(m);
}

/* Blanks, newlines and backslashes are \ooo in there. */
static char *
unescape(const char *s)
{
	GString *out = g_string_new(NULL);

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			g_string_append_c(
			    out, (s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
			s += 3;
		} else {
			g_string_append_c(out, *s);
		}
	}
	return g_string_free(out, FALSE);
}

/* user_id=N among the options of the file system. */
static void
parse_uid(struct mnt *m, const char *options)
{
	g_auto(GStrv) opt = g_strsplit(options, ",", -1);

	for (char **o = opt; *o; o++) {
		if (g_str_has_prefix(*o, "user_id=")) {
			m->m_uid = strtoul(*o + 8, NULL, 10);
			m->m_has_uid = true;
		}
	}
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD…] - TYPE SOURCE OPTIONS */
static struct mnt *
parse_line(const char *line)
{
	g_auto(GStrv) f = g_strsplit(line, " ", -1);
	guint n = g_strv_length(f), dash = 6;
	unsigned maj, min;
	struct mnt *m;

	if (n < 9 || sscanf(f[2], "%u:%u", &maj, &min) != 2)
		return NULL;
	while (dash < n && strcmp(f[dash], "-") != 0)
		dash++;
	if (dash + 2 >= n)
		return NULL;
	m = g_new0(struct mnt, 1);
	m->m_major = maj;
	m->m_minor = min;
	m->m_point = unescape(f[4]);
	m->m_type = unescape(f[dash + 1]);
	m->m_source = unescape(f[dash + 2]);
	if (dash + 3 < n)
		parse_uid(m, f[dash + 3]);
	return m;
}

GPtrArray *
mounts_parse(const char *text)
{
	GPtrArray *mounts = g_ptr_array_new_with_free_func(mnt_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **l = lines; *l; l++) {
		struct mnt *m = parse_line(*l);

		if (m)
			g_ptr_array_add(mounts, m);
	}
	return mounts;
}

GPtrArray *
mounts_read(void)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
		return NULL;
	return mounts_parse(text);
}

const struct mnt *
mounts_at(GPtrArray *mounts, const char *path)
{
	for (guint i = mounts->len; i-- > 0;) {
		const struct mnt *m = mounts->pdata[i];

		if (strcmp(m->m_point, path) == 0)
			return m;
	}
	return NULL;
}

const struct mnt *
mounts_from(GPtrArray *mounts, const char *source, size_t *ret_n)
{
	const struct mnt *found = NULL;

	*ret_n = 0;
	for (guint i = 0; i < mounts->len; i++) {
		const struct mnt *m = mounts->pdata[i];

		if (mnt_ours(m) && strcmp(m->m_source, source) == 0) {
			found = m;
			++*ret_n;
		}
	}
	return found;
}

const struct mnt *
mounts_over(GPtrArray *mounts, const char *path)
{
	const struct mnt *best = NULL;

	for (guint i = 0; i < mounts->len; i++) {
		const struct mnt *m = mounts->pdata[i];

		if (path_below(path, m->m_point) &&
		    (!best || strlen(m->m_point) >= strlen(best->m_point)))
			best = m;
	}
	return best;
}

bool
mnt_ours(const struct mnt *m)
{
	return strcmp(m->m_type, "fuse.rumpfuse") == 0;
}

/* A file system that is not the kernel's own business: its answers come from somebody. */
static bool
may_hang(const struct mnt *m)
{
	static const char *const types[] = {"fuse", "nfs", "cifs", "smb", "9p", "ceph",
	    "afs", "autofs", "coda", "virtiofs"};

	for (size_t i = 0; m && i < G_N_ELEMENTS(types); i++)
		if (g_str_has_prefix(m->m_type, types[i]))
			return true;
	return false;
}

const char *
path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return path;
	if (strncmp(path, dir, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path[n] ? path + n : "/";
}

char *
path_absolute(const char *arg, const char *cwd)
{
	if (arg[0] == '/')
		return g_strdup(arg);
	return g_strdup_printf("%s/%s", cwd, arg);
}

/* Puts what a link says before the components that are still to be gone. */
static void
splice(GQueue *todo, const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", -1);

	for (guint n = g_strv_length(parts); n-- > 0;)
		g_queue_push_head(todo, g_strdup(parts[n]));
}

char *
path_resolve(GPtrArray *mounts, const char *absolute)
{
	GQueue todo = G_QUEUE_INIT;
	GString *cur = g_string_new(NULL);
	unsigned links = 0;
	char *part;

	splice(&todo, absolute);
	while ((part = g_queue_pop_head(&todo))) {
		g_autofree char *name = part;
		char target[4096];
		size_t at = cur->len;
		ssize_t n = -1;

		if (name[0] == '\0' || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			const char *slash = strrchr(cur->str, '/');

			g_string_truncate(cur, slash ? slash - cur->str : 0);
			continue;
		}
		bool hangs = may_hang(mounts_over(mounts, at ? cur->str : "/"));
		g_string_append_printf(cur, "/%s", name);
		if (!hangs && !mounts_at(mounts, cur->str))
			n = readlink(cur->str, target, sizeof(target) - 1);
		if (n <= 0 || links >= MAX_LINKS)
			continue;
		links++;
		target[n] = '\0';
		g_string_truncate(cur, target[0] == '/' ? 0 : at);
		splice(&todo, target);
	}
	if (cur->len == 0)
		g_string_assign(cur, "/");
	return g_string_free(cur, FALSE);
}

char *
path_clean(const char *absolute)
{
	g_auto(GStrv) parts = g_strsplit(absolute, "/", -1);
	GString *out = g_string_new(NULL);

	for (char **p = parts; *p; p++) {
		if (strcmp(*p, "..") == 0) {
			const char *slash = strrchr(out->str, '/');

			g_string_truncate(out, slash ? slash - out->str : 0);
		} else if (**p && strcmp(*p, ".") != 0) {
			g_string_append_printf(out, "/%s", *p);
		}
	}
	if (out->len == 0)
		g_string_assign(out, "/");
	return g_string_free(out, FALSE);
}

char *
path_in_mount(const char *point, const char *typed, const char *arg, const char *cwd)
{
	const char *dirs[] = {point, typed}, *here = NULL;
	g_autofree char *text = NULL;

	if (arg[0] == '/') {
		text = path_clean(arg);
		for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
			const char *below = dirs[i] ? path_below(text, dirs[i]) : NULL;

			/* At the root of all, the two kinds of path are the same. */
			if (below)
				return g_strdup(below);
		}
		return g_steal_pointer(&text);
	}
	here = point ? path_below(cwd, point) : NULL;
	text = g_strdup_printf("%s/%s", here ? here : "", arg);
	return path_clean(text);
}

char **
socket_dirs(void)
{
	GPtrArray *dirs = g_ptr_array_new();
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	g_ptr_array_add(dirs, g_strdup("/run/rumpfuse"));
	if (runtime && runtime[0] == '/')
		g_ptr_array_add(dirs, g_strdup_printf("%s/rumpfuse", runtime));
	/* Those of others are open to root alone. */
	g_autoptr(GDir) users = geteuid() == 0 ? g_dir_open("/run/user", 0, NULL) : NULL;
	for (const char *u; users && (u = g_dir_read_name(users));)
		g_ptr_array_add(dirs, g_strdup_printf("/run/user/%s/rumpfuse", u));
	if (!users)
		g_ptr_array_add(
		    dirs, g_strdup_printf("/run/user/%u/rumpfuse", geteuid()));
	g_ptr_array_add(dirs, NULL);
	for (guint i = 0; i + 1 < dirs->len; i++)
		for (guint k = i + 1; k + 1 < dirs->len;)
			if (strcmp(dirs->pdata[i], dirs->pdata[k]) == 0)
				g_free(g_ptr_array_remove_index(dirs, k));
			else
				k++;
	return (char **)g_ptr_array_free(dirs, FALSE);
}

static void
candidate(GPtrArray *list, const char *dir, const struct mnt *m)
{
	char *path = g_strdup_printf("%s/%u:%u", dir, m->m_major, m->m_minor);

	for (guint i = 0; i < list->len; i++) {
		if (strcmp(list->pdata[i], path) == 0) {
			g_free(path);
			return;
		}
	}
	g_ptr_array_add(list, path);
}

char **
sockets_of(const struct mnt *m)
{
	GPtrArray *list = g_ptr_array_new();
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uid_t owner = m->m_has_uid ? m->m_uid : geteuid();
	g_autofree char *theirs = g_strdup_printf("/run/user/%u/rumpfuse", owner);

	if (owner == 0)
		candidate(list, "/run/rumpfuse", m);
	if (runtime && runtime[0] == '/') {
		g_autofree char *mine = g_strdup_printf("%s/rumpfuse", runtime);

		candidate(list, mine, m);
	}
	candidate(list, theirs, m);
	candidate(list, "/run/rumpfuse", m);
	g_ptr_array_add(list, NULL);
	return (char **)g_ptr_array_free(list, FALSE);
}
