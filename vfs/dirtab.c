/* The directory table (dirtab.h). */
#include "vfs/dirtab.h"

#include <stdlib.h>

#define INDEX_EMPTY   0u
#define INDEX_DELETED UINT32_MAX
#define INDEX_MIN     8u
#define SQUEEZE_MIN   64u

void
dirtab_init(struct dirtab *t, uint64_t base)
{
	memset(t, 0, sizeof(*t));
	t->dt_seq = base;
}

void
dirtab_done(struct dirtab *t)
{
	for (uint32_t i = 0; i < t->dt_used; i++)
		free(t->dt_places[i].dp_de);
	free(t->dt_places);
	free(t->dt_index);
	memset(t, 0, sizeof(*t));
}

/* The index slot that holds the name, or NULL. */
static uint32_t *
probe(const struct dirtab *t, uint32_t hash, const char *name, size_t len)
{
	if (!t->dt_isize)
		return NULL;
	for (uint32_t i = hash & (t->dt_isize - 1);; i = (i + 1) & (t->dt_isize - 1)) {
		uint32_t at = t->dt_index[i];
		const struct dirent_node *de;

		if (at == INDEX_EMPTY)
			return NULL;
		if (at == INDEX_DELETED)
			continue;
		de = t->dt_places[at - 1].dp_de;
		if (de->de_hash == hash && de->de_len == len &&
		    memcmp(de->de_name, name, len) == 0)
			return &t->dt_index[i];
	}
}

struct dirent_node *
dirtab_find(const struct dirtab *t, const struct name *n)
{
	uint32_t *at = probe(t, n->n_hash, n->n_ptr, n->n_len);

	return at ? t->dt_places[*at - 1].dp_de : NULL;
}

static void
index_put(uint32_t *index, uint32_t isize, uint32_t hash, uint32_t pos)
{
	uint32_t i = hash & (isize - 1);

	while (index[i] != INDEX_EMPTY)
		i = (i + 1) & (isize - 1);
	index[i] = pos + 1;
}

/* Squeezes the gaps out, keeping the order, and builds the index again with room for at
 * least one more entry.  Fails with the table as it was. */
static int
rebuild(struct dirtab *t)
{
	uint32_t isize = INDEX_MIN, n = 0, *index;

	while (isize < (t->dt_live + 1) * 2)
		isize *= 2;
	index = calloc(isize, sizeof(*index));
	if (!index)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->dt_used; i++) {
		const struct dirent_node *de = t->dt_places[i].dp_de;

		if (!de)
			continue;
		index_put(index, isize, de->de_hash, n);
		t->dt_places[n++] = t->dt_places[i];
	}
	t->dt_used = n;
	t->dt_first = 0;
	free(t->dt_index);
	t->dt_index = index;
	t->dt_isize = isize;
	t->dt_ifill = n;
	if (t->dt_cap > SQUEEZE_MIN && n < t->dt_cap / 4) {
		void *p = realloc(t->dt_places, n * 2 * sizeof(*t->dt_places));
		if (p) {
			t->dt_places = p;
			t->dt_cap = n * 2;
		}
	}
	return 0;
}

static int
grow(struct dirtab *t)
{
	uint32_t cap = t->dt_cap ? t->dt_cap * 2 : 4;
	void *p;

	if (cap > UINT32_MAX / 4)
		return -EFBIG;
	p = realloc(t->dt_places, cap * sizeof(*t->dt_places));
	if (!p)
		return -ENOMEM;
	t->dt_places = p;
	t->dt_cap = cap;
	return 0;
}

/* Room for one more in both arrays.  A full array of which half is gaps is squeezed
 * instead of grown; a third of the index is always empty, so that probes stay short. */
static int
make_room(struct dirtab *t)
{
	if (t->dt_used == t->dt_cap && t->dt_live * 2 >= t->dt_cap) {
		int r = grow(t);
		if (r < 0)
			return r;
	}
	if (t->dt_used == t->dt_cap || (t->dt_ifill + 1) * 3ull > t->dt_isize * 2ull)
		return rebuild(t);
	return 0;
}

int
dirtab_reserve(struct dirtab *t, const struct name *n, struct dirent_node **ret_spare)
{
	struct dirent_node *de;
	int r = make_room(t);

	if (r < 0)
		return r;
	de = malloc(sizeof(*de) + n->n_len + 1);
	if (!de)
		return -ENOMEM;
	de->de_hash = n->n_hash;
	de->de_len = n->n_len;
	memcpy(de->de_name, n->n_ptr, n->n_len);
	de->de_name[n->n_len] = '\0';
	*ret_spare = de;
	return 0;
}

void
dirtab_add_spare(struct dirtab *t, struct dirent_node *spare, void *value)
{
	spare->de_value = value;
	t->dt_places[t->dt_used] = (struct dirtab_place){++t->dt_seq, spare};
	index_put(t->dt_index, t->dt_isize, spare->de_hash, t->dt_used);
	t->dt_used++;
	t->dt_ifill++;
	t->dt_live++;
}

int
dirtab_add(struct dirtab *t, const struct name *n, void *value)
{
	struct dirent_node *de;
	int r;

	if (dirtab_find(t, n))
		return -EEXIST;
	r = dirtab_reserve(t, n, &de);
	if (r == 0)
		dirtab_add_spare(t, de, value);
	return r;
}

uint64_t
dirtab_seq(const struct dirtab *t, const struct dirent_node *de)
{
	const uint32_t *at = probe(t, de->de_hash, de->de_name, de->de_len);

	return t->dt_places[*at - 1].dp_seq;
}

/* Makes a gap at pos: all behind it moves up.  There is room. */
static void
open_gap(struct dirtab *t, uint32_t pos)
{
	memmove(&t->dt_places[pos + 1], &t->dt_places[pos],
	    (t->dt_used - pos) * sizeof(*t->dt_places));
	for (uint32_t i = 0; i < t->dt_isize; i++)
		if (t->dt_index[i] != INDEX_EMPTY && t->dt_index[i] != INDEX_DELETED &&
		    t->dt_index[i] > pos)
			t->dt_index[i]++;
	t->dt_used++;
}

int
dirtab_add_at(struct dirtab *t, const struct name *n, void *value, uint64_t seq)
{
	struct dirent_node *de;
	uint32_t pos = 0;
	int r;

	if (dirtab_find(t, n))
		return -EEXIST;
	r = dirtab_reserve(t, n, &de);
	if (r < 0)
		return r;
	/* What comes back has gone lately, and lies near the end. */
	for (pos = t->dt_used; pos > 0 && t->dt_places[pos - 1].dp_seq >= seq; pos--)
		;
	if (pos == t->dt_used || t->dt_places[pos].dp_seq != seq ||
	    t->dt_places[pos].dp_de)
		open_gap(t, pos);
	de->de_value = value;
	t->dt_places[pos] = (struct dirtab_place){seq, de};
	index_put(t->dt_index, t->dt_isize, de->de_hash, pos);
	if (pos < t->dt_first)
		t->dt_first = pos;
	t->dt_ifill++;
	t->dt_live++;
	return 0;
}

/* The first position whose sequence number is over seq; it may be a gap. */
static uint32_t
seek(const struct dirtab *t, uint64_t seq)
{
	uint32_t lo = t->dt_first, hi = t->dt_used;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->dt_places[mid].dp_seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct dirent_node *
dirtab_next(const struct dirtab *t, uint64_t *seq, uint32_t *pos)
{
	uint32_t i = *pos;

	if (i == 0 || i > t->dt_used || t->dt_places[i - 1].dp_seq != *seq)
		i = seek(t, *seq);
	while (i < t->dt_used && !t->dt_places[i].dp_de)
		i++;
	if (i == t->dt_used)
		return NULL;
	*pos = i + 1;
	*seq = t->dt_places[i].dp_seq;
	return t->dt_places[i].dp_de;
}

void
dirtab_remove(struct dirtab *t, struct dirent_node *de)
{
	uint32_t *at = probe(t, de->de_hash, de->de_name, de->de_len);

	t->dt_places[*at - 1].dp_de = NULL;
	*at = INDEX_DELETED;
	free(de);
	t->dt_live--;
	while (t->dt_first < t->dt_used && !t->dt_places[t->dt_first].dp_de)
		t->dt_first++;
	if (t->dt_live == 0) {
		/* Empty: give the memory back; numbers go on rising. */
		free(t->dt_places);
		free(t->dt_index);
		t->dt_places = NULL;
		t->dt_index = NULL;
		t->dt_used = t->dt_cap = t->dt_isize = t->dt_ifill = t->dt_first = 0;
	} else if (t->dt_used > SQUEEZE_MIN && t->dt_live < t->dt_used / 4) {
		/* Mostly gaps.  Without memory for a smaller index it stays as it is. */
		(void)rebuild(t);
	}
}
