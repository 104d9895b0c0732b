/*
 * The catalogue: what a session has declared and mounted, for those who may not wait.
 *
 * The configuration and the images are the manager's, and he may be waiting for the host.
 * So whenever he has changed them he makes a catalogue of them, and puts it in the place of
 * the last.  A catalogue never changes; whoever has got it keeps it as long as he likes.
 * Where one entry comes or goes the others are shared with the last.
 *
 * What changes by itself (a key whose host object has come) is not in it: etfs_list().
 *
 * Locking: ca_mtx of the place, for exchanging a pointer; nothing is taken below it.
 */
#ifndef RF_DAEMON_CATALOG_H
#define RF_DAEMON_CATALOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct conf_etfs;
struct space;

enum entry_kind {
	ENTRY_KEY,
	ENTRY_IMAGE,
	ENTRY_NODE,
};

#define ENTRY_SIZE_UNKNOWN UINT64_MAX

struct entry {
	_Atomic unsigned en_ref; /* a: of catalogues */
	char *en_path;
	enum entry_kind en_kind;
	const char *en_type; /* static */
	char *en_host;       /* or NULL */
	char *en_device;     /* of an image that lies on a path of the tree; or NULL */
	uint64_t en_begin, en_size; /* bytes; ENTRY_SIZE_UNKNOWN */
	bool en_rdonly, en_hidden, en_missing;
	char *en_section; /* "[etfs /src]" */
	char *en_origin;  /* "FILE:LINE", "-k", "added" */
};

struct catalog {
	_Atomic unsigned cg_ref; /* a */
	struct entry **cg_all;   /* c: in the order of their paths; a reference each */
	size_t cg_n;             /* c */
	uint64_t cg_ttl_ns;      /* c: of keys */
};

/* Where the present one is. */
struct catalog_place {
	pthread_mutex_t ca_mtx;
	struct catalog *ca_now; /* under it; NULL before the first */
};
void catalog_place_init(struct catalog_place *p);
void catalog_place_done(struct catalog_place *p);

/* The manager's, or before he runs: makes one of c and sp and puts it there.  Without
 * memory for it the last stays. */
void catalog_publish(
    struct catalog_place *p, const struct space *sp, const struct conf *c);
/* The same where only this key has joined, or what was at this path has gone. */
void catalog_add(struct catalog_place *p, const struct space *sp, const struct conf *c,
    const struct conf_etfs *ce);
void catalog_remove(struct catalog_place *p, const char *path);
/* The present one, or NULL; for catalog_unref(). */
struct catalog *catalog_get(struct catalog_place *p);
void catalog_unref(struct catalog *cg);

/* The entry at just this path, or NULL. */
const struct entry *catalog_find(const struct catalog *cg, const char *path, size_t len);
/* The entry at it or at the longest path above it, or NULL. */
const struct entry *catalog_above(const struct catalog *cg, const char *path);
/* "key", "image", "node". */
const char *entry_kind_name(enum entry_kind k);

#endif
