/*
 * A name: one component of a path, counted and hashed.
 *
 * Every name that enters the vnode layer passes name_init() once, at the door; below it
 * nobody measures, compares with strlen() or looks for slashes again.  The bytes stay the
 * caller's and must outlive the struct.  They are followed by a NUL, so that they can be
 * handed to a host call as they are.
 */
#ifndef RF_VFS_NAME_H
#define RF_VFS_NAME_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NAME_LEN_MAX 255 /* bytes, as on every Linux file system */

struct name {
	const char *n_ptr; /* n_len bytes and a NUL */
	uint32_t n_hash;
	uint16_t n_len;
};

/* The seed is drawn once per process, so that nobody can choose colliding names. */
extern uint64_t name_hash_seed;

uint32_t name_hash(const char *ptr, size_t len);

/*
 * Fills *ret from a NUL-terminated component.  Returns 0, -ENOENT (empty),
 * -ENAMETOOLONG (more than 255 bytes), or -EINVAL ("." or "..", or a slash in it).
 */
int name_init(struct name *ret, const char *component);

/* The same for the first len bytes of ptr; ptr[len] must be NUL. */
int name_init_len(struct name *ret, const char *ptr, size_t len);

#endif
