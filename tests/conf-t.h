/*
 * For the tests of conf/: a working directory, and texts that are loaded from a file
 * t.conf in it.
 */
#ifndef RF_CONF_T_H
#define RF_CONF_T_H

#include <ftw.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"

#include "t.h"

static char *work; /* the working directory of all cases */

static inline int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline void
clean_up(void)
{
	if (chdir("/") == 0)
		nftw(work, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	g_free(work);
}

/* Every case calls it first: an own, empty working directory, the same for all. */
static inline void
start(void)
{
	g_autofree char *real = NULL;

	if (work)
		return;
	work = g_dir_make_tmp("t-conf.XXXXXX", NULL);
	real = work ? realpath(work, NULL) : NULL;
	if (real == NULL || chdir(real) != 0) {
		perror("working directory");
		exit(1);
	}
	g_free(work);
	work = g_steal_pointer(&real);
	atexit(clean_up);
}

static inline void
put_len(const char *name, const char *text, size_t len)
{
	FILE *f;

	/* A truncated file would be written back to the disk at once. */
	unlink(name);
	f = fopen(name, "w");
	if (f == NULL || fwrite(text, 1, len, f) != len || fclose(f) != 0) {
		perror(name);
		exit(1);
	}
}

static inline void
put(const char *name, const char *text)
{
	put_len(name, text, strlen(text));
}

/* All sentences, one a line; e is emptied. */
static inline char *
take_errors(struct conf_errors *e)
{
	GString *s = g_string_new(NULL);

	for (size_t i = 0; i < e->ce_n; i++)
		g_string_append_printf(s, "%s%s", i ? "\n" : "", e->ce_text[i]);
	conf_errors_done(e);
	return g_string_free(s, FALSE);
}

static inline void
check_text(const char *what, const char *got, const char *expected)
{
	if (strcmp(got, expected) != 0) {
		printf("%s\n  says     %s\n  expected %s\n", what, got, expected);
		t_bad++;
	}
}

static inline void
check_bad(const char *file, const char *expected)
{
	struct conf_errors e = {0};
	struct conf *c = conf_load(file, &e);
	g_autofree char *got = take_errors(&e);

	check_text(file, got, expected);
	CHECK(c == NULL);
	conf_free(c);
}

static inline void
check_bad_text(const char *text, const char *expected)
{
	put("t.conf", text);
	check_bad("t.conf", expected);
}

/* Loads text, which must be good. */
static inline struct conf *
load_good(const char *text)
{
	struct conf_errors e = {0};
	struct conf *c;

	put("t.conf", text);
	c = conf_load("t.conf", &e);
	if (c == NULL) {
		g_autofree char *got = take_errors(&e);
		check_text(text, got, "");
		c = conf_new();
	}
	CHECK_EQ(e.ce_n, 0);
	return c;
}

#endif
