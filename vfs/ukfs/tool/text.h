/*
 * How things look: names that are safe on a terminal, sizes, modes, times, owners.
 */
#ifndef UKFS_TOOL_TEXT_H
#define UKFS_TOOL_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

enum quoting {
	Q_LITERAL,  /* the bytes as they are */
	Q_QUESTION, /* ? for what cannot be printed */
	Q_ESCAPE,   /* C escapes: \n, \033, "\ ", \\ */
	Q_SHELL,    /* a word that a shell takes for the name: 'a b', 'a'$'\033''b' */
	Q_ALWAYS,   /* the same with quotes where none are needed */
};

/* Q_SHELL if standard output is a terminal, else Q_LITERAL. */
enum quoting quoting_default(void);
/* Memory of the caller's. */
char *name_text(const char *name, enum quoting q);
/* Q_SHELL for a message; good for the next seven calls. */
const char *qm(const char *name);
/* Columns on a terminal. */
int text_width(const char *s);

/* As ls -h: "1.5K"; powers of 1024, rounded up. */
const char *human(uint64_t n, char buf[16]);
/* "-rwxr-xr-x" */
void mode_text(mode_t mode, char buf[12]);
/* A type in words: "regular file". */
const char *type_text(const struct stat *st);
/* As ls -l: "Nov 21 16:30", "Nov 21  2019". */
void time_short(const struct timespec *t, char *buf, size_t size);
/* As stat: "2026-11-21 16:30:00.123456789 +0000". */
void time_full(const struct timespec *t, char *buf, size_t size);

/*
 * Owners.  The names are those of the image's own /etc/passwd and /etc/group where it has
 * them, else the host's.  NULL: it has no name.  Good until the next call.
 */
const char *owner_user(uid_t uid);
const char *owner_group(gid_t gid);
/* A name or a number: 0, or -ENOENT. */
int owner_find_user(const char *text, uid_t *ret_uid, gid_t *ret_gid);
int owner_find_group(const char *text, gid_t *ret);
/* The image is another one now. */
void owner_forget(void);

/*
 * chmod's modes: octal, or symbolic ("u+x,go-w", "a=rX", "g=u", "+t").  old: the mode to
 * change; umask is for clauses that name nobody.  0 or -EINVAL.
 */
int mode_change(const char *text, mode_t old, bool is_dir, mode_t umask_, mode_t *ret);
/* The process's. */
mode_t mode_umask(void);

/* A size with a suffix: "10k", "2M", "512"; c, w (2), b (512), k, M, G, T, P, and the same
 * letters with B or iB.  unit: of a number without one.  0 or -EINVAL (-ERANGE). */
int size_parse(const char *text, uint64_t unit, uint64_t *ret, uint64_t *ret_unit);

#endif
