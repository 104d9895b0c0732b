/*
 * Private to conf/: how a text becomes structs.
 *
 *   conf.c          the conf itself, files and drop-ins, -k
 *   conf_scan.c     bytes → lines → sections, keys and unescaped values
 *   conf_section.c  sections as they go by
 *   conf_kinds.c    which sections and keys there are, and what they must agree on
 *   conf_value.c    one value: words, numbers, sizes, users
 *   conf_path.c     one path: of the tree, or of the host
 *   conf_check.c    what only the whole shows
 *   conf_order.c    what is to be made before what
 *   conf_diag.c     errors: collected, put in order, handed over; suggestions
 *
 * A reading has one thread and no locks.
 */
#ifndef RF_CONF_INT_H
#define RF_CONF_INT_H

#include <glib.h>

#include "conf/conf.h"

/* A file that was read, "-k" or the like.  conf_where.cw_file points to cf_name, so that the order
 * of reading is at hand wherever a place is. */
struct conf_file {
	unsigned cf_rank; /* order of reading; UINT_MAX: no file, last */
	char cf_name[];
};

/* What conf.c_strings points to: everything that several structs share. */
struct conf_own {
	GPtrArray *co_files;    /* of struct conf_file */
	GStringChunk *co_names; /* of sections */
};

/* Errors on their way to a struct conf_errors. */
struct conf_diags {
	GArray *cd_list;
};
void conf_diags_init(struct conf_diags *d);
void conf_diags_done(struct conf_diags *d);
/* FILE:LINE: [section] key: text.  Line 0, a section or key of NULL: left out. */
void conf_diag(struct conf_diags *d, const struct conf_file *f, unsigned line,
    const char *section, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* Hands them over in the order of files and lines; true if there were none. */
bool conf_diags_flush(struct conf_diags *d, struct conf_errors *errs);

/* text in quotes, cut if it is long.  For g_free(). */
char *conf_quote(const char *text, size_t len);
/* Which of the n names (the first member of each size-byte element of a table) could be
 * meant by word; or NULL. */
const char *conf_nearest(const char *word, const void *table, size_t n, size_t size);
/* "a, b or c" of such a table; for g_free(). */
char *conf_list(const void *table, size_t n, size_t size);

struct conf_section;

/* The reading of one file, or of one -k. */
struct conf_parse {
	struct conf *cp_conf;
	struct conf_diags *cp_diags;
	const struct conf_file *cp_file;
	char *cp_base; /* absolute: what relative host paths are below */
	struct conf_section *cp_section; /* being read; NULL before the first */
	GHashTable *cp_seen;             /* section name → its line */
	GHashTable *cp_ids;              /* user and group names that were looked up */
	bool cp_no_ids;                  /* those are not looked up */
	unsigned cp_line;                /* being read */
	const char *cp_key;              /* the key whose value is being read */
};
/* base is taken over. */
void conf_parse_init(struct conf_parse *p, struct conf *c, struct conf_diags *d,
    const struct conf_file *f, char *base);
void conf_parse_done(struct conf_parse *p);
/* An error of the value that is being read. */
void conf_bad(struct conf_parse *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Reads text (text[len] is NUL) to its end, the last section included. */
void conf_scan(struct conf_parse *p, const char *text, size_t len);
/* Undoes GKeyFile's escapes; for g_free().  NULL: *ret_bad says which is wrong. */
char *conf_unescape(const char *raw, size_t len, const char **ret_bad);

/*
 * Sections, as the scanner meets them.  A section that cannot be used (unknown, not a
 * section at all: name NULL) swallows its keys, so that one mistake is one error.
 */
void conf_section_begin(struct conf_parse *p, const char *name, size_t len);
/* value NULL: it was unreadable and the error told; the key counts as given. */
void conf_section_key(struct conf_parse *p, const char *key, const char *value);
void conf_section_end(struct conf_parse *p);
const char *conf_section_name(const struct conf_parse *p); /* or NULL */
/* Begins the [etfs] section of a -k with this path. */
void conf_section_begin_k(struct conf_parse *p, const char *path);

/* One key of a kind of section: how its value is read and where it goes. */
struct conf_word {
	const char *w_name;
	unsigned w_value;
};
struct conf_key {
	const char *k_name; /* first: conf_nearest(), conf_list() */
	void (*k_set)(
	    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj);
	uint16_t k_off, k_size;          /* the field in obj; size 1, 4, 8 or a pointer */
	uint16_t k_flag;                 /* a bool in obj that becomes true; 0: none */
	const struct conf_word *k_words; /* conf_set_word: ends with a NULL name */
	const char *k_what;              /* conf_set_word: "a type"; conf_set_text */
	uint64_t k_max;                  /* conf_set_number */
};
/* A kind of section (conf_kinds.c). */
#define CONF_KEYS_MAX   16
#define CONF_NKINDS     9
#define CONF_KIND_ETFS  (&conf_kinds[CONF_NKINDS - 2])
#define CONF_KIND_MOUNT (&conf_kinds[CONF_NKINDS - 1])
#define K_PATH          0 /* the place of "path" among the keys of a section with a path */
struct conf_kinddef {
	const char *s_name; /* first: conf_nearest(), conf_list() */
	bool s_has_path;    /* "[NAME PATH]"; then key 0 is "path" */
	enum conf_kind s_node;
	const struct conf_key *s_keys;
	size_t s_nkeys;
	void (*s_finish)(struct conf_parse *p); /* or NULL */
};

struct conf_section {
	const struct conf_kinddef *se_kind; /* NULL: keys are swallowed */
	const char *se_name;                /* owned by the conf, or NULL */
	unsigned se_line;
	bool se_repeated;
	unsigned se_key_line[CONF_KEYS_MAX]; /* 0: not given */
	bool se_meant[CONF_KEYS_MAX];        /* given under a misspelt name */
	char **se_path;                      /* in se_obj */
	void *se_obj;                        /* what k_set() fills */
	union {
		struct conf_node u_node;
		struct conf_etfs u_etfs;
		struct conf_mount u_mount;
	} se_u;
};

extern const struct conf_kinddef conf_kinds[CONF_NKINDS];

/* An error of the section's key number k, told at the key's line if it was given and at
 * the section's otherwise; key -1: of the section itself. */
void conf_section_error(struct conf_parse *p, int k, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool
conf_section_missing(const struct conf_section *s, int k)
{
	return s->se_key_line[k] == 0 && !s->se_meant[k];
}

/* Readers of values (k_set).  A bad value is told and leaves the field as it is. */
void conf_set_word(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_number(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_size(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_size_end(
    struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_size_ram(
    struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_count(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_mode(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_uid(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_gid(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_duration(
    struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_threads(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_text(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_target(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_content(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_path(struct conf_parse *, const struct conf_key *, const char *, void *);
void conf_set_host(struct conf_parse *, const struct conf_key *, const char *, void *);

/* The default of [rumpfs] size. */
uint64_t conf_memory_percent(unsigned percent);

/* A path of the tree, checked and normalised, for g_free(); or NULL and *ret_why, for
 * g_free(), says what is wrong. */
char *conf_path_tree(const char *text, char **ret_why);
/* A host path made absolute with base: no repeated slashes, no "." components. */
char *conf_path_host(const char *base, const char *text);

/* Frees what the struct owns. */
void conf_etfs_done(struct conf_etfs *e);
void conf_node_done(struct conf_node *n);
void conf_mount_done(struct conf_mount *m);

void conf_check_into(const struct conf *c, struct conf_diags *d);
/* conf_order(), and with d the errors of mounts that need one another. */
struct conf_item *conf_order_into(
    const struct conf *c, struct conf_diags *d, size_t *ret_n);

static inline const struct conf_file *
conf_file_of(const struct conf_where *w)
{
	return (
	    const struct conf_file *)(const void *)(w->cw_file -
						    offsetof(struct conf_file, cf_name));
}

#endif
