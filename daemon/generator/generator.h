/*
 * rumpfuse-generator: what systemd is told of the mounts at boot, and at each daemon-reload.
 *
 * A place is a unit that mounts: rumpfuse@NAME.service for each /etc/rumpfuse/NAME.conf (of a
 * user manager: ~/.config/rumpfuse/NAME.conf), and the .mount unit of each fstab line of ours.
 * For every host path that its configuration names, a drop-in says that the file systems above
 * the path are to be mounted first (RequiresMountsFor=); for those of keys that may come late,
 * only the order (After=).  What lies in the mount of another place is ordered after that,
 * and goes and is restarted with it (PartOf=); nothing is started that nobody enabled.
 *
 * It runs before anything is mounted but the root, and while anything may be: so it asks
 * nothing but the root's file system (openat2 with RESOLVE_NO_XDEV), and what does not answer
 * cannot hold it up.  It never fails: a configuration with errors has them in the log and no
 * drop-in.
 *
 *   unitname.c  paths as names of units, and as words in a unit file
 *   hostpath.c  paths with the root's symbolic links resolved
 *   fstab.c     the lines of fstab
 *   enabled.c   which units are started, and by whom
 *   needs.c     what a place needs, and what of it would be a cycle
 *   dropin.c    the drop-ins
 *   main.c      where all that is, and the rehearsal for a person (--check)
 *
 * One thread.  Memory is the process's, which ends soon.
 */
#ifndef RF_GENERATOR_H
#define RF_GENERATOR_H

#include <glib.h>
#include <stdbool.h>

/* One path of a place. */
struct need {
	char *nd_path; /* absolute */
	bool nd_must;  /* else it may come late */
};

struct place {
	char *pl_unit;
	char *pl_config;     /* absolute */
	char *pl_mountpoint; /* resolved, or NULL */
	bool pl_service;     /* else the .mount unit of an fstab line */
	bool pl_early;       /* it is waited for before file systems of networks come */
	GPtrArray *pl_wanted_by; /* of char *: the targets that start it, as enabled */
	GArray *pl_needs;        /* of struct need */
	GHashTable *pl_known;  /* path → its index in pl_needs + 1, until gen_order() */
	GPtrArray *pl_after;   /* other places, which come first */
	GPtrArray *pl_part_of; /* of them, those whose mount it cannot go on without */
	GPtrArray *pl_wants;   /* places that are to come back with this one */
};

struct plan {
	GPtrArray *pn_places;
	GHashTable *pn_at; /* mount point → GPtrArray of the places that may be there */
	GHashTable *pn_remote; /* mount points of fstab that come with the network */
};

/* A line in the log. */
void gen_log(int prio, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The name of the unit of a path, as systemd-escape --path --suffix=mount says; for g_free().
 * NULL: too long for one, or not a path that can have one. */
char *gen_mount_unit(const char *path);
/* Can it stand between "@" and the suffix as it is? */
bool gen_is_instance(const char *name);
/* The path as a word of RequiresMountsFor=; for g_free().  NULL: there is no way to write
 * it. */
char *gen_word(const char *path);

/* With the symbolic links resolved that lie on the root's file system, as far as the path
 * leads on it; absolute, without "." and "..".  For g_free(). */
char *gen_resolve(const char *path);
/* Is the file itself on the root's file system, so that it can be read at any time? */
bool gen_is_local(const char *path);
/* The directory above, for g_free(); "/" of "/". */
char *gen_above(const char *path);
/* Is path at or below dir? */
bool gen_is_within(const char *path, const char *dir);

struct place *gen_place_new(struct plan *pn, char *unit, const char *config);
/* Notes who wants which service, by the links in DIR/TARGET.wants and .requires. */
void gen_enabled(struct plan *pn, const char *dir);
/* Adds the places of fstab's lines. */
void gen_fstab(struct plan *pn, const char *fstab);
/* Reads the place's configuration and collects what it needs.  False: it has errors, which
 * have been told. */
bool gen_needs(struct place *pl);
/* Puts the places in order, and leaves out what would be a cycle. */
void gen_order(struct plan *pn);

/* The text of a drop-in, for g_free(). */
char *gen_drop_in_text(const struct place *pl);
/* Writes UNIT.d/50-rumpfuse.conf into dir. */
void gen_drop_in(const struct place *pl, const char *dir);

#endif
