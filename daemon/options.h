/*
 * The command line: from argv to plain values.
 *
 *   rumpfuse [options] CONFIG MOUNTPOINT
 *   rumpfuse [options] -k KEY=HOST[,…] … [CONFIG|none] MOUNTPOINT
 *   rumpfuse --check CONFIG
 *   rumpfuse --check --diff OLD NEW
 *
 * Nothing here looks at the objects that are named.  Host paths are made absolute,
 * because the daemon leaves its working directory and reads the configuration again on
 * reload. Strings are copies or point into argv.
 */
#ifndef RF_DAEMON_OPTIONS_H
#define RF_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

/* Exit codes (rumpfuse(8)). */
enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_CONFIG = 2,
	EXIT_OBJECT = 3, /* a host object is missing or refused */
	EXIT_MOUNT = 4,
	EXIT_RUN = 5,
};

#define MOUNT_OPTS_MAX 16

struct options {
	const char *o_source; /* the configuration as given, or "none" */
	char *o_config;       /* its absolute path; NULL: none, an empty in-memory tree */
	const char *o_mountpoint; /* as given, or NULL: the configuration's */
	char **o_keys;            /* the texts of -k, their host paths made absolute */
	size_t o_nkeys;
	size_t o_nowned; /* of them, allocated */
	const char
	    *o_diff; /* --diff: the old configuration as given; o_source is the new one */
	bool o_want_diff;
	bool o_foreground, o_debug, o_single, o_clone_fd, o_check;
	bool o_sloppy; /* unknown words of -o are passed over */
	bool o_quiet;  /* a check prints no table */
	/* -o */
	bool o_rdonly, o_allow_other, o_default_permissions;
	bool o_remount;               /* change a mount that is there (remount.h) */
	unsigned long o_set, o_clear; /* flags of mount(2) that were named, for that */
	unsigned o_max_threads;       /* 0: the configuration's */
	bool o_transport_given;       /* else it is the configuration's */
	enum conf_transport o_transport;
	char *o_fsname;  /* or NULL: the configuration */
	char *o_subtype; /* or NULL: rumpfuse */
	/* Words for the mount itself (noatime, nosuid …): static strings, each once, the
	 * last of two that contradict one another. */
	const char *o_mount[MOUNT_OPTS_MAX];
	size_t o_nmount;
};

enum options_next {
	OPTIONS_RUN,  /* go on */
	OPTIONS_DONE, /* help, version: printed; exit with EXIT_OK */
	OPTIONS_BAD,  /* printed why; exit with EXIT_USAGE */
};

enum options_next options_parse(struct options *o, int argc, char **argv);
void options_done(struct options *o);

/* Parts of it, for another grammar (mount_helper.h), on an o that is zeroed: a list of -o … */
enum options_next options_words(struct options *o, const char *list);
/* … and what is no option, last. */
enum options_next options_arguments(struct options *o, int n, char **args);

/* What /proc/mounts shows as the source: the configuration's absolute path, as a line of fstab
 * has it, unless something else is asked for. */
const char *options_source(const struct options *o);

/* Is this mount word in o_mount? */
bool options_mount_has(const struct options *o, const char *word);

#endif
