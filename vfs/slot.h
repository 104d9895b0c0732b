/*
 * A slot table: small numbers that stand for objects, so that nobody outside the process
 * (the kernel's node ids and file handles) ever holds a pointer.
 *
 * An id is (generation << 32 | index).  The generation of a slot rises each time it is
 * given back, so a stale id finds nothing instead of somebody else's object.  Index 0 is
 * never used; the first id handed out is 1, FUSE's root.
 *
 * Slots come in chunks of SLOT_CHUNK, which are mapped when first needed and never
 * unmapped before the table goes, so a look-up is two loads and no lock.  The memory of a
 * chunk none of whose slots is in use is given back to the kernel; it reads as zeros, which
 * is "free", and the slots' generations go on from the highest that was reached there.
 * Giving out and taking back ids takes the table's leaf mutex.
 *
 * A look-up does not take a reference: whoever sent the id holds one on the object (the
 * kernel counts its lookups and opens), or the caller keeps it alive by other means.
 */
#ifndef RF_VFS_SLOT_H
#define RF_VFS_SLOT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SLOT_CHUNK  4096u
#define SLOT_CHUNKS 65536u /* 268 million objects */

struct slot {
	_Atomic(void *) sl_obj;  /* a: NULL when free */
	_Atomic uint32_t sl_gen; /* a: rises at each release */
	uint32_t sl_next;        /* m: the next free slot of the chunk, 0 = none */
};

struct slot_chunk {
	_Atomic(struct slot *) sc_slots; /* a: NULL until first needed */
	uint32_t sc_used;                /* m: ids in use */
	uint32_t sc_free;                /* m: first slot of those given back, 0 = none */
	uint32_t sc_fresh; /* m: first slot not used since the memory was last zero */
	uint32_t sc_gen;   /* m: no slot here has had a higher generation */
	uint32_t sc_next;  /* m: next chunk with room, plus one; 0 = none */
	bool sc_listed;    /* m: among those with room */
};

struct slots {
	struct slot_chunk *st_chunks; /* c: SLOT_CHUNKS of them */
	pthread_mutex_t st_mtx;       /* rank LEAF */
	uint32_t st_room;             /* m: first chunk with room, plus one; 0 = none */
	uint32_t st_top;              /* m: chunks that have been mapped */
	uint32_t st_count;            /* m: ids in use */
};

/* 0 or -ENOMEM. */
int slots_init(struct slots *t);
/* Frees the table, not the objects. */
void slots_done(struct slots *t);

/* Gives obj an id in *ret_id.  0, -ENOMEM or -ENFILE. */
int slot_new(struct slots *t, void *obj, uint64_t *ret_id);
/* Takes the id back.  It must be valid. */
void slot_release(struct slots *t, uint64_t id);
/* The object, or NULL for an id that is not in use (any more). */
void *slot_peek(const struct slots *t, uint64_t id);

/* The same for an id that may be released at any moment: hold() is called with the object
 * before that can happen, under a lock of rank LEAF, and says whether it can still be had. */
void *slot_hold(struct slots *t, uint64_t id, bool (*hold)(void *obj));

/* Calls fn for every object; nothing may be added meanwhile, but objects may be released. */
void slots_each(struct slots *t, void (*fn)(void *obj, void *arg), void *arg);

/* Whether there is an object for which is() says so, under a lock of rank LEAF: objects come
 * and go meanwhile, but not the one that it is asked about. */
bool slots_any(struct slots *t, bool (*is)(const void *obj, void *arg), void *arg);

uint32_t slots_count(struct slots *t);

#endif
