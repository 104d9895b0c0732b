/*
 * Paths as names of units, and as words in a unit file (generator.h).
 */
#include <string.h>

#include "daemon/generator/generator.h"

#define UNIT_NAME_MAX 255 /* systemd's, with the suffix */
#define WORD_MAX      4095

static bool
is_plain(char c)
{
	return g_ascii_isalnum(c) || c == ':' || c == '_' || c == '.';
}

char *
gen_mount_unit(const char *path)
{
	GString *s = g_string_new(NULL);

	while (*path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		if (s->len > 0)
			g_string_append_c(s, '-');
		for (size_t i = 0; i < len; i++) {
			/* A name must not begin with a dot; within, a dot is one. */
			if (is_plain(path[i]) && !(path[i] == '.' && s->len == 0))
				g_string_append_c(s, path[i]);
			else
				g_string_append_printf(
				    s, "\\x%02x", (unsigned char)path[i]);
		}
		path += len;
	}
	if (s->len == 0)
		g_string_append_c(s, '-');
	g_string_append(s, ".mount");
	return g_string_free(s, s->len > UNIT_NAME_MAX);
}

bool
gen_is_instance(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len + strlen("rumpfuse@.service") > UNIT_NAME_MAX)
		return false;
	for (; *name; name++)
		if (!is_plain(*name) && !strchr("-@\\", *name))
			return false;
	return true;
}

char *
gen_word(const char *path)
{
	GString *s;

	/* The lines of a unit file are text, and nothing in them stands for a newline. */
	if (!g_utf8_validate(path, -1, NULL) || strpbrk(path, "\n\r") ||
	    strlen(path) > WORD_MAX)
		return NULL;
	s = g_string_new("\"");
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			g_string_append_c(s, '\\');
		if (*path == '%')
			g_string_append_c(s, '%');
		g_string_append_c(s, *path);
	}
	g_string_append_c(s, '"');
	return g_string_free(s, FALSE);
}
