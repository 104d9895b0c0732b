/* The ranks a thread holds, for checked builds (lock.h). */
#include "vfs/lock.h"

#ifdef RF_CHECKED
#include <stdio.h>
#include <stdlib.h>

static _Thread_local unsigned held[LK_NRANKS];

static void
violated(const char *what, int rank)
{
	fprintf(stderr, "lock order: %s (rank %d); held:", what, rank);
	for (int r = LK_MOUNTS; r < LK_NRANKS; r++)
		fprintf(stderr, " %d×%u", r, held[r]);
	fputc('\n', stderr);
	abort();
}

void
lock_note(enum lock_rank rank)
{
	for (int r = rank + 1; r < LK_NRANKS; r++)
		if (held[r])
			violated("taken below a higher one", (int)rank);
	if (held[rank] && (rank == LK_LEAF || rank == LK_RENAME || rank == LK_MOUNTS))
		violated("taken twice", (int)rank);
	held[rank]++;
}

void
lock_forget(enum lock_rank rank)
{
	if (held[rank]-- == 0)
		violated("released but not held", (int)rank);
}

void
lock_assert_none(const char *what)
{
	for (int r = LK_MOUNTS; r < LK_NRANKS; r++)
		if (held[r])
			violated(what, r);
}
#else
/* An empty translation unit is not C. */
typedef int lock_unchecked;
#endif
