/* The slot table (slot.h). */
#include "vfs/slot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vfs/lock.h"

#define CHUNK_BYTES (SLOT_CHUNK * sizeof(struct slot))

/* The first slot of the table stands for nothing. */
static uint32_t
first_slot(uint32_t chunk)
{
	return chunk == 0;
}

static struct slot *
slots_of(const struct slots *t, uint32_t chunk)
{
	if (chunk >= SLOT_CHUNKS)
		return NULL;
	return atomic_load_explicit(&t->st_chunks[chunk].sc_slots, memory_order_acquire);
}

int
slots_init(struct slots *t)
{
	/* Two MiB of address space; only what is used is ever touched. */
	t->st_chunks = calloc(SLOT_CHUNKS, sizeof(*t->st_chunks));
	if (!t->st_chunks)
		return -ENOMEM;
	pthread_mutex_init(&t->st_mtx, NULL);
	t->st_room = 0;
	t->st_top = 0;
	t->st_count = 0;
	return 0;
}

void
slots_done(struct slots *t)
{
	if (!t->st_chunks)
		return;
	for (uint32_t c = 0; c < t->st_top; c++)
		munmap(slots_of(t, c), CHUNK_BYTES);
	free(t->st_chunks);
	t->st_chunks = NULL;
	pthread_mutex_destroy(&t->st_mtx);
}

static void
list_chunk(struct slots *t, uint32_t chunk)
{
	struct slot_chunk *sc = &t->st_chunks[chunk];

	if (sc->sc_listed)
		return;
	sc->sc_listed = true;
	sc->sc_next = t->st_room;
	t->st_room = chunk + 1;
}

/* A chunk with room, mapped now if there is none; st_mtx is held. */
static int
find_room(struct slots *t, uint32_t *ret_chunk)
{
	uint32_t c = t->st_top;
	void *mem;

	if (t->st_room) {
		*ret_chunk = t->st_room - 1;
		return 0;
	}
	if (c == SLOT_CHUNKS)
		return -ENFILE;
	mem = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	    -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	t->st_chunks[c].sc_fresh = first_slot(c);
	atomic_store_explicit(&t->st_chunks[c].sc_slots, mem, memory_order_release);
	t->st_top++;
	list_chunk(t, c);
	*ret_chunk = c;
	return 0;
}

/* Takes a slot of a chunk that has room, first those given back. */
static uint32_t
take(struct slots *t, uint32_t chunk)
{
	struct slot_chunk *sc = &t->st_chunks[chunk];
	struct slot *slots = slots_of(t, chunk);
	uint32_t i = sc->sc_free;

	if (i) {
		sc->sc_free = slots[i].sl_next;
	} else {
		i = sc->sc_fresh++;
		atomic_store(&slots[i].sl_gen, sc->sc_gen);
	}
	sc->sc_used++;
	if (!sc->sc_free && sc->sc_fresh == SLOT_CHUNK) {
		t->st_room = sc->sc_next;
		sc->sc_listed = false;
	}
	return i;
}

int
slot_new(struct slots *t, void *obj, uint64_t *ret_id)
{
	uint32_t chunk, i;
	int r;

	lk_mutex(&t->st_mtx, LK_LEAF);
	r = find_room(t, &chunk);
	if (r == 0) {
		struct slot *s;

		i = take(t, chunk);
		s = &slots_of(t, chunk)[i];
		t->st_count++;
		*ret_id =
		    (uint64_t)atomic_load(&s->sl_gen) << 32 | (chunk * SLOT_CHUNK + i);
		atomic_store_explicit(&s->sl_obj, obj, memory_order_release);
	}
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
	return r;
}

void
slot_release(struct slots *t, uint64_t id)
{
	uint32_t chunk = (uint32_t)id / SLOT_CHUNK, i = (uint32_t)id % SLOT_CHUNK, gen;
	struct slot_chunk *sc = &t->st_chunks[chunk];
	struct slot *s = &slots_of(t, chunk)[i];

	lk_mutex(&t->st_mtx, LK_LEAF);
	atomic_store_explicit(&s->sl_obj, NULL, memory_order_release);
	gen = atomic_fetch_add(&s->sl_gen, 1) + 1;
	if (gen > sc->sc_gen)
		sc->sc_gen = gen;
	/* In chunk 0 slot 0 is never given out, so 0 can mean none; elsewhere slot 0 waits
	 * until the chunk is empty. */
	if (i != 0) {
		s->sl_next = sc->sc_free;
		sc->sc_free = i;
	}
	t->st_count--;
	if (--sc->sc_used == 0 && sc->sc_fresh == SLOT_CHUNK) {
		/* Once per chunk filled: the memory goes, the generation stays. */
		madvise(slots_of(t, chunk), CHUNK_BYTES, MADV_DONTNEED);
		sc->sc_free = 0;
		sc->sc_fresh = first_slot(chunk);
	}
	if (sc->sc_free || sc->sc_fresh < SLOT_CHUNK)
		list_chunk(t, chunk);
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
}

void *
slot_peek(const struct slots *t, uint64_t id)
{
	struct slot *s = slots_of(t, (uint32_t)id / SLOT_CHUNK);
	void *obj;

	if (!s)
		return NULL;
	s += (uint32_t)id % SLOT_CHUNK;
	obj = atomic_load_explicit(&s->sl_obj, memory_order_acquire);
	/* The generation is read after the object: a slot that changed hands in between has
	 * a higher one, and the id is refused. */
	if (atomic_load_explicit(&s->sl_gen, memory_order_acquire) !=
	    (uint32_t)(id >> 32))
		return NULL;
	return obj;
}

void *
slot_hold(struct slots *t, uint64_t id, bool (*hold)(void *obj))
{
	void *obj;

	lk_mutex(&t->st_mtx, LK_LEAF);
	obj = slot_peek(t, id);
	if (obj && !hold(obj))
		obj = NULL;
	lk_mutex_unlock(&t->st_mtx, LK_LEAF);
	return obj;
}

void
slots_each(struct slots *t, void (*fn)(void *obj, void *arg), void *arg)
{
	for (uint32_t c = 0; c < t->st_top; c++)
		for (uint32_t i = 0; i < t->st_chunks[c].sc_fresh; i++) {
			void *obj = atomic_load(&slots_of(t, c)[i].sl_obj);
			if (obj)
				fn(obj, arg);
		}
}

bool
slots_any(struct slots *t, bool (*is)(const void *obj, void *arg), void *arg)
{
	bool found = false;

	for (uint32_t c = 0; !found; c++) {
		lk_mutex(&t->st_mtx, LK_LEAF);
		if (c >= t->st_top) {
			lk_mutex_unlock(&t->st_mtx, LK_LEAF);
			return false;
		}
		for (uint32_t i = 0; i < t->st_chunks[c].sc_fresh && !found; i++) {
			const void *obj = atomic_load(&slots_of(t, c)[i].sl_obj);

			found = obj && is(obj, arg);
		}
		lk_mutex_unlock(&t->st_mtx, LK_LEAF);
	}
	return true;
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
