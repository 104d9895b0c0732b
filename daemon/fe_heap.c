/*
 * What the C library keeps of freed memory, given back (fe.h).
 *
 * After a large tree has been forgotten the free memory is most of the process.  Four
 * things see to it that it goes, and that what stays is the same every time:
 *
 *   - while nodes are forgotten a look is taken every so many, and when a quarter of what
 *     was known at the peak has gone the heap is trimmed;
 *   - the last few nodes of a large tree hold a page each, because they are all over it, so
 *     it is trimmed once more when no more is forgotten.  That is for a thread that serves
 *     no requests (fe_forgot);
 *   - the library keeps some freed blocks of each small size for each thread and never
 *     gives them back.  If they come from a heap at its peak each holds a page for ever,
 *     hundreds in all.  So a thread has its fill before it begins, from one place;
 *   - the kernel tells of up to 65,000 forgotten nodes in one request, which makes a
 *     megabyte of each thread's buffer used that no other request needs.
 */
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/fe_reply.h"

/* Nodes. */
#define TRIM_LOOK_EVERY 1024u
#define TRIM_MIN        2048u

/* Of a buffer this much may stay. */
#define BUFFER_STAYS (64u << 10)

/* How many blocks of a size glibc keeps for a thread, and up to which size ours matter. */
#define KEPT_BLOCKS 7
#define KEPT_BYTES  512u

void
fe_heap_thread(void)
{
	static _Thread_local bool done;
	void *p[KEPT_BLOCKS];

	if (done)
		return;
	done = true;
	for (size_t size = 16; size <= KEPT_BYTES; size += 16) {
		for (int i = 0; i < KEPT_BLOCKS; i++)
			p[i] = malloc(size);
		for (int i = 0; i < KEPT_BLOCKS; i++)
			free(p[i]);
	}
}

void
fe_forgotten(struct fe *fe, uint64_t n)
{
	uint64_t before = atomic_fetch_add(&fe->fe_forgotten, n);
	uint32_t nodes, peak;

	if (before / TRIM_LOOK_EVERY == (before + n) / TRIM_LOOK_EVERY)
		return;
	nodes = slots_count(&fe->fe_vfs->vfs_nodes);
	/* Not for less than an eighth of what is known: the cost stays in proportion. */
	if (fe->fe_forgot && before + n - atomic_load(&fe->fe_told) > nodes / 8) {
		atomic_store(&fe->fe_told, before + n);
		fe->fe_forgot(fe->fe_forgot_arg);
	}
	peak = atomic_load(&fe->fe_peak);
	if (nodes > peak) {
		atomic_store(&fe->fe_peak, nodes);
	} else if (peak - nodes > TRIM_MIN && peak - nodes > peak / 4) {
		atomic_store(&fe->fe_peak, nodes);
		malloc_trim(0);
	}
}

void
fe_buffer_read(const void *mem, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)mem,
		  end = (begin + len) & ~(page - 1);

	begin = (begin + page - 1) & ~(page - 1);
	if (len > BUFFER_STAYS && begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
