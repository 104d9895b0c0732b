/*
 * Faults: making the n-th allocation, memfd call or host call fail.
 *
 * The test program is linked with the linker's --wrap for the functions below
 * (tests/meson.build, tests called t-fault*), so that every call of ours goes through
 * here; calls that libc makes by itself do not.  Host calls fail by hc_fault_set(), in
 * checked builds.
 */
#ifndef RF_T_FAULT_H
#define RF_T_FAULT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/t.h"

enum fault_kind {
	FAULT_ALLOC,
	FAULT_MEMFD
};

static struct {
	unsigned long left[2]; /* calls until the one that fails; 0: none does */
	int err;
	bool fired;
} fault;

static inline void
fault_set(enum fault_kind kind, unsigned long n, int err)
{
	fault.left[kind] = n;
	fault.err = err;
	fault.fired = false;
}

/* Switches it off; did the call come? */
static inline bool
fault_end(void)
{
	fault.left[FAULT_ALLOC] = fault.left[FAULT_MEMFD] = 0;
	return fault.fired;
}

static inline bool
fault_hits(enum fault_kind kind)
{
	if (fault.left[kind] == 0 || --fault.left[kind] > 0)
		return false;
	fault.fired = true;
	errno = fault.err;
	return true;
}

#define WRAP(kind, ret, fail, name, params, args) \
	ret __real_##name params;                 \
	ret __wrap_##name params;                 \
	ret __wrap_##name params                  \
	{                                         \
		if (fault_hits(kind))             \
			return fail;              \
		return __real_##name args;        \
	}

WRAP(FAULT_ALLOC, void *, NULL, malloc, (size_t n), (n))
WRAP(FAULT_ALLOC, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(FAULT_ALLOC, void *, NULL, realloc, (void *p, size_t n), (p, n))
WRAP(FAULT_ALLOC, char *, NULL, strdup, (const char *s), (s))
WRAP(FAULT_ALLOC, char *, NULL, strndup, (const char *s, size_t n), (s, n))
WRAP(
    FAULT_MEMFD, int, -1, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(FAULT_MEMFD, int, -1, ftruncate64, (int fd, off_t n), (fd, n))
WRAP(FAULT_MEMFD, int, -1, fallocate64, (int fd, int mode, off_t off, off_t n),
    (fd, mode, off, n))
WRAP(FAULT_MEMFD, ssize_t, -1, pwrite64, (int fd, const void *p, size_t n, off_t off),
    (fd, p, n, off))

#endif
