/* The slot table (slot.h). */
#include "vfs/slot.h"

#include <errno.h>
#include <stdlib.h>

#include "vfs/lock.h"

static struct slot *
slot_at(const struct slots *t, uint32_t index)
{
	struct slot *chunk;

	if (index / SLOT_CHUNK >= SLOT_CHUNKS)
		return NULL;
	chunk =
	    atomic_load_explicit(&t->st_chunks[index / SLOT_CHUNK], memory_order_acquire);
	return chunk ? &chunk[index % SLOT_CHUNK] : NULL;
}

int
slots_init(struct slots *t)
{
	/* Half a MiB of address space; only what is used is ever touched. */
	t->st_chunks = calloc(SLOT_CHUNKS, sizeof(*t->st_chunks));
	if (!t->st_chunks)
		return -ENOMEM;
	pthread_mutex_init(&t->st_mtx, NULL);
	t->st_free = 0;
	t->st_top = 1;
	t->st_count = 0;
	return 0;
}

void
slots_done(struct slots *t)
{
	if (!t->st_chunks)
		return;
	for (uint32_t c = 0; c * SLOT_CHUNK < t->st_top; c++)
		free(atomic_load(&t->st_chunks[c]));
	free((void *)t->st_chunks);
	t->st_chunks = NULL;
	pthread_mutex_destroy(&t->st_mtx);
}

/* A slot that was never handed out; st_mtx is held. */
static int
take_top(struct slots *t, uint32_t *ret_index)
{
	uint32_t i = t->st_top;
	struct slot *chunk;

	if (i / SLOT_CHUNK >= SLOT_CHUNKS)
		return -ENFILE;
	if (!atomic_load_explicit(&t->st_chunks[i / SLOT_CHUNK], memory_order_relaxed)) {
		chunk = calloc(SLOT_CHUNK, sizeof(*chunk));
		if (!chunk)
			return -ENOMEM;
		atomic_store_explicit(
		    &t->st_chunks[i / SLOT_CHUNK], chunk, memory_order_release);
	}
	t->st_top++;
	*ret_index = i;
	return 0;
}

int
slot_new(struct slots *t, void *obj, uint64_t *ret_id)
{
	uint32_t i;
	struct slot *s;
	int r = 0;

	lk_mutex(&t->st_mtx, LK_LEAF);
	i = t->st_free;
	if (i)
		t->st_free = slot_at(t, i)->sl_next;
	else
		r = take_top(t, &i);
	if (r == 0) {
		t->st_count++;
		s = slot_at(t, i);
		*ret_id = (uint64_t)atomic_load(&s->sl_gen) << 32 | i;
		atomic_store_explicit(&s->sl_obj, obj, memory_order_release);
	}
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
	return r;
}

void
slot_release(struct slots *t, uint64_t id)
{
	uint32_t i = (uint32_t)id;
	struct slot *s = slot_at(t, i);

	lk_mutex(&t->st_mtx, LK_LEAF);
	atomic_store_explicit(&s->sl_obj, NULL, memory_order_release);
	atomic_fetch_add(&s->sl_gen, 1);
	s->sl_next = t->st_free;
	t->st_free = i;
	t->st_count--;
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
}

void *
slot_peek(const struct slots *t, uint64_t id)
{
	struct slot *s = slot_at(t, (uint32_t)id);
	void *obj;

	if (!s)
		return NULL;
	obj = atomic_load_explicit(&s->sl_obj, memory_order_acquire);
	/* The generation is read after the object: a slot that changed hands in between
	 * has a higher one, and the id is refused. */
	if (atomic_load_explicit(&s->sl_gen, memory_order_acquire) !=
	    (uint32_t)(id >> 32))
		return NULL;
	return obj;
}

void
slots_each(struct slots *t, void (*fn)(void *obj, void *arg), void *arg)
{
	for (uint32_t i = 1; i < t->st_top; i++) {
		void *obj = atomic_load(&slot_at(t, i)->sl_obj);
		if (obj)
			fn(obj, arg);
	}
}

uint32_t
slots_count(struct slots *t)
{
	uint32_t n;

	lk_mutex(&t->st_mtx, LK_LEAF);
	n = t->st_count;
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
	return n;
}
