/*
 * Fuzzer of vfs/dirtab.h: a stream of changes with scans going on meanwhile, against a model
 * that is a plain array.
 *
 * An input is a byte that says how badly the names collide, then operations of two bytes:
 * what, and with which of the names.  Each name has at most one entry; the model knows
 * the entry, when it was made, and its cookie since a scan has listed it first.
 *
 * What must hold: a name is found if and only if it is there; the count is right; cookies
 * rise, are those of the entry for as long as it lives, and are never used again; and a scan
 * lists what is there from its begin to its end exactly once, what came or went meanwhile at
 * most once, and nothing else, in the order of creation.
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "vfs/dirtab.h"

#define NAMES 512u
#define SCANS 4u
#define BULK  64u

struct entry {
	struct dirent_node *node; /* NULL: there is none */
	uint64_t born;            /* when it was made; from 1 */
	uint64_t cookie;          /* 0: not known as yet */
};

struct scan {
	uint64_t seq;
	uint32_t pos;
	uint64_t last; /* the birth of what was listed last */
	bool listed[NAMES];
};

struct model {
	struct dirtab tab;
	struct entry entry[NAMES];
	struct scan scan[SCANS];
	uint64_t births;
	uint64_t top, top_born; /* the highest cookie that was seen, and whose it was */
	unsigned count;
	uint8_t collide;
};

static void
name_of(const struct model *m, unsigned id, char text[32], struct name *ret)
{
	/* Some names are long, so that entries are of several sizes. */
	int len = snprintf(text, 32, id % 7 ? "n%u" : "a-name-that-is-longer-%u", id);

	NEED(name_init_len(ret, text, (size_t)len) == 0);
	switch (m->collide & 3) {
	case 0:
		break;
	case 1:
		ret->n_hash &= 7;
		break;
	case 2:
		ret->n_hash = id & 1 ? UINT32_MAX : 0;
		break;
	case 3:
		ret->n_hash = (id << 20) | 1; /* far apart, and all in one place */
		break;
	}
}

static void
check_found(const struct model *m, unsigned id)
{
	const struct entry *e = &m->entry[id];
	char text[32];
	struct name n;

	name_of(m, id, text, &n);
	NEED(dirtab_find(&m->tab, &n) == e->node);
	if (e->node) {
		NEED(e->node->de_value == &m->entry[id]);
		NEED(e->node->de_len == n.n_len);
		NEED(strcmp(e->node->de_name, text) == 0);
	}
	NEED(dirtab_count(&m->tab) == m->count);
}

static void
add(struct model *m, unsigned id, bool reserve)
{
	struct entry *e = &m->entry[id];
	struct dirent_node *spare = NULL;
	char text[32];
	struct name n;
	int r;

	name_of(m, id, text, &n);
	if (reserve) {
		NEED(dirtab_reserve(&m->tab, &n, &spare) == 0 && spare);
		r = e->node ? -EEXIST : 0;
		if (r == 0)
			dirtab_add_spare(&m->tab, spare, e);
		else
			free(spare);
	} else {
		r = dirtab_add(&m->tab, &n, e);
	}
	NEED(r == (e->node ? -EEXIST : 0));
	if (r == 0) {
		*e = (struct entry){dirtab_find(&m->tab, &n), ++m->births, 0};
		NEED(e->node);
		m->count++;
		for (unsigned i = 0; i < SCANS; i++)
			m->scan[i].listed[id] = false;
	}
	check_found(m, id);
}

static void
del(struct model *m, unsigned id)
{
	struct entry *e = &m->entry[id];

	if (e->node) {
		dirtab_remove(&m->tab, e->node);
		e->node = NULL;
		m->count--;
	}
	check_found(m, id);
}

/* Entry e was listed with this cookie. */
static void
cookie_seen(struct model *m, struct entry *e, uint64_t cookie)
{
	if (e->cookie == 0) {
		/* Never one that was another's, if that is gone too. */
		NEED(e->born > m->top_born ? cookie > m->top : cookie < m->top);
		e->cookie = cookie;
	}
	NEED(e->cookie == cookie);
	if (cookie > m->top) {
		m->top = cookie;
		m->top_born = e->born;
	}
}

/* The end was reached: nothing that is there has been left out.  What came during the
 * scan has the highest cookies, so it was listed too. */
static void
scan_check(const struct model *m, const struct scan *s)
{
	for (unsigned id = 0; id < NAMES; id++)
		NEED(!m->entry[id].node || s->listed[id]);
}

static void
scan_step(struct model *m, struct scan *s, bool hint)
{
	uint64_t before = s->seq;
	struct dirent_node *de;
	struct entry *e;
	unsigned id;

	if (!hint)
		s->pos = 0;
	de = dirtab_next(&m->tab, &s->seq, &s->pos);
	if (!de) {
		NEED(s->seq == before);
		scan_check(m, s);
		memset(s, 0, sizeof(*s));
		return;
	}
	NEED(s->seq > before);
	e = de->de_value;
	id = (unsigned)(e - m->entry);
	NEED(id < NAMES && e->node == de);
	NEED(!s->listed[id]);
	s->listed[id] = true;
	NEED(e->born > s->last);
	s->last = e->born;
	cookie_seen(m, e, s->seq);
}

/* A whole listing from any cookie: those after it, in order. */
static void
list_from(struct model *m, uint64_t cookie)
{
	uint64_t seq = cookie, last = 0;
	uint32_t pos = 0;
	unsigned n = 0;
	struct dirent_node *de;

	while ((de = dirtab_next(&m->tab, &seq, &pos))) {
		struct entry *e = de->de_value;

		NEED(e->node == de && seq > cookie && e->born > last);
		cookie_seen(m, e, seq);
		last = e->born;
		n++;
	}
	NEED(n <= m->count && (cookie || n == m->count));
}

/* One of many at once, for tables that grow and shrink. */
static void
bulk(struct model *m, uint8_t what, unsigned id, unsigned i)
{
	if ((what & 15) == 9)
		add(m, (id + i) % NAMES, what & 16);
	else if ((what & 15) == 10)
		del(m, (id + i) % NAMES);
	else
		scan_step(m, &m->scan[id % SCANS], what & 16);
}

static void
step(struct model *m, uint8_t what, unsigned id)
{
	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		add(m, id, what & 1);
		break;
	case 3:
	case 4:
		del(m, id);
		break;
	case 5:
		check_found(m, id);
		break;
	case 6:
		memset(&m->scan[id % SCANS], 0, sizeof(m->scan[0]));
		break;
	case 7:
		list_from(m, m->entry[id].cookie);
		break;
	case 8:
		list_from(m, 0);
		break;
	case 9:
	case 10:
	case 11:
		for (unsigned i = 0; i < BULK; i++)
			bulk(m, what, id, i);
		break;
	default:
		scan_step(m, &m->scan[id % SCANS], what & 16);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	static struct model m;

	memset(&m, 0, sizeof(m));
	name_hash_seed = 1; /* an input does the same each time */
	m.collide = in_byte(&in);
	dirtab_init(&m.tab, m.collide & 4 ? UINT64_C(1) << 33 : 0);
	while (in.in_left > 0) {
		uint8_t what = in_byte(&in);
		unsigned id = (unsigned)in_number(&in, 1) | (what >> 5 & 1u) << 8;

		step(&m, what, id % NAMES);
	}
	list_from(&m, 0);
	for (unsigned i = 0; i < NAMES; i++)
		check_found(&m, i);
	dirtab_done(&m.tab);
	return 0;
}
