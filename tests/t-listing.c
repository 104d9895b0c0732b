/*
 * Listings: cookies, buffers of every size, attachments merged in, hidden and covered
 * names, entries that come and go between two helpings.
 */
#include "tests/t-tree.h"

struct listing {
	char text[8192]; /* names with a space behind each, dots left out */
	unsigned n, dots, calls;
	uint64_t last;
};

/* One call from a cookie on; returns the number of records. */
static unsigned
helping(struct file *f, uint64_t cookie, size_t cap, struct listing *l)
{
	static _Alignas(8) char mem[1 << 16];
	struct dirbuf db = {.db_base = mem, .db_cap = cap, .db_cookie = cookie};
	unsigned n = 0;

	CHECK_EQ(vop_readdir(f, &db), 0);
	l->calls++;
	for (struct dirrec *r = NULL; (r = dirbuf_next(&db, r)); n++) {
		CHECK_EQ(strlen(r->dr_name), r->dr_namelen);
		CHECK_EQ(r->dr_reclen % 8, 0);
		CHECK(r->dr_vp == NULL);
		CHECK(r->dr_cookie != cookie);
		l->last = r->dr_cookie;
		if (strcmp(r->dr_name, ".") == 0 || strcmp(r->dr_name, "..") == 0) {
			l->dots++;
			continue;
		}
		l->n++;
		strcat(strcat(l->text, r->dr_name), " ");
	}
	return n;
}

static struct listing
list(struct vnode *dvp, size_t cap)
{
	struct listing l = {.last = 0};
	struct file *f;

	if (vop_open(dvp, O_RDONLY, &t_cred, &f) < 0)
		abort();
	while (helping(f, l.last, cap, &l) > 0)
		;
	vop_close(f);
	return l;
}

/* In buffers from that of the whole listing down to that of one record. */
static void
check_list(struct vnode *dvp, const char *want)
{
	static const size_t caps[] = {65536, 4096, 256, 120, 80, 64};

	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		struct listing l = list(dvp, caps[i]);

		CHECK(strcmp(l.text, want) == 0);
		CHECK_EQ(l.dots, 2);
		if (strcmp(l.text, want) != 0)
			printf("buffer %zu: %s\n", caps[i], l.text);
	}
}

TEST(plain)
{
	AUTO_WORLD w;

	world_init(&w);
	check_list(w.root, "");
	CHECK_EQ(p_make(&w, "/b", VREG), 0);
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/c", VLNK), 0);
	check_list(w.root, "b a c ");
	CHECK_EQ(p_unlink(&w, "/b"), 0);
	CHECK_EQ(p_make(&w, "/b", VREG), 0);
	check_list(w.root, "a c b ");
}

TEST(a_buffer_too_small_for_one)
{
	AUTO_WORLD w;
	struct file *f;
	_Alignas(8) char mem[24];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};

	world_init(&w);
	REQUIRE(vop_open(w.root, O_RDONLY, &t_cred, &f) == 0);
	CHECK_EQ(vop_readdir(f, &db), 0);
	CHECK_EQ(db.db_used, 0);
	CHECK(db.db_full);
	vop_close(f);
}

TEST(with_vnodes)
{
	static _Alignas(8) char mem[4096];
	AUTO_WORLD w;
	struct dirbuf db = {
	    .db_base = mem, .db_cap = sizeof(mem), .db_want_vnodes = true};
	struct file *f;
	unsigned with = 0;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VREG), 0);
	CHECK_EQ(p_make(&w, "/b", VDIR), 0);
	CHECK_EQ(p_make(&w, "/covered", VDIR), 0);
	CHECK_EQ(at_tree(&w, "/covered"), 0);
	CHECK_EQ(at_file(&w, "/k"), 0);
	REQUIRE(vop_open(w.root, O_RDONLY, &t_cred, &f) == 0);
	CHECK_EQ(vop_readdir(f, &db), 0);
	for (struct dirrec *r = NULL; (r = dirbuf_next(&db, r));) {
		struct vattr va;

		if (!r->dr_vp)
			continue;
		with++;
		CHECK_EQ(vop_getattr(r->dr_vp, NULL, &va), 0);
		CHECK_EQ(va.va_ino, r->dr_ino);
		CHECK_EQ(r->dr_type, vtype_to_dt(r->dr_vp->v_type));
	}
	CHECK_EQ(with, 4);
	dirbuf_release(&db, NULL);
	vop_close(f);
	CHECK_EQ(at_del(&w, "/k"), 0);
	CHECK_EQ(at_del(&w, "/covered"), 0);
}

static int
at_hidden(struct world *w, const char *path)
{
	struct attach *at = calloc(1, sizeof(*at));

	at->at_kind = AT_MOUNT;
	at->at_hidden = true;
	at->at_path = strdup(path);
	at->at_vp = other_file(w);
	return vfs_attach(&w->v, at);
}

TEST(merged)
{
	AUTO_WORLD w;
	AUTO_VNODE key = NULL;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VREG), 0);
	CHECK_EQ(p_make(&w, "/b", VREG), 0);
	CHECK_EQ(p_make(&w, "/c", VREG), 0);
	CHECK_EQ(at_file(&w, "/k"), 0);
	CHECK_EQ(at_file(&w, "/b"), 0);
	check_list(w.root, "k b a c ");
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/c", NULL), 0);
	check_list(w.root, "k b a ");
	CHECK_EQ(at_hidden(&w, "/a"), 0); /* its name is covered, and it is not listed */
	check_list(w.root, "k b ");
	key = p_get(&w, "/a");
	CHECK(key && key->v_mount == w.root->v_mount);
	CHECK_EQ(at_tree(&w, "/made/for/it"), 0);
	check_list(w.root, "k b made ");
	CHECK_EQ(at_del(&w, "/k"), 0);
	CHECK_EQ(at_del(&w, "/b"), 0);
	CHECK_EQ(at_del(&w, "/c"), 0);
	CHECK_EQ(at_del(&w, "/a"), 0);
	CHECK_EQ(at_del(&w, "/made/for/it"), 0);
	check_list(w.root, "a b c ");
}

/* Buffers full of nothing but covered names are not the end. */
TEST(mostly_covered)
{
	AUTO_WORLD w;
	char name[32];

	world_init(&w);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "/n%u", i);
		CHECK_EQ(p_make(&w, name, VREG), 0);
		if (i != 3 && i != 150)
			CHECK_EQ(at_add(&w, AT_WHITEOUT, name, NULL), 0);
	}
	check_list(w.root, "n3 n150 ");
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "/n%u", i);
		if (i != 3 && i != 150)
			CHECK_EQ(at_del(&w, name), 0);
	}
}

/* Going on from any cookie gives what is behind it: seekdir and a lost buffer. */
TEST(from_any_cookie)
{
	AUTO_WORLD w;
	struct listing whole = {.last = 0}, part;
	uint64_t cookies[32];
	struct file *f;
	unsigned n = 0;
	const char *rest;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VREG), 0);
	CHECK_EQ(p_make(&w, "/b", VREG), 0);
	CHECK_EQ(at_file(&w, "/k1"), 0);
	CHECK_EQ(at_file(&w, "/k2"), 0);
	REQUIRE(vop_open(w.root, O_RDONLY, &t_cred, &f) == 0);
	cookies[n++] = 0;
	while (n < 32 && helping(f, whole.last, 40, &whole) > 0)
		cookies[n++] = whole.last;
	CHECK_EQ(n, 7);
	CHECK_EQ(whole.n, 4);
	for (unsigned i = n; i-- > 0;) {
		part = (struct listing){.last = 0};
		helping(f, cookies[i], 4096, &part);
		rest = whole.text + strlen(whole.text) - strlen(part.text);
		CHECK(strcmp(rest, part.text) == 0);
		CHECK_EQ(part.n + part.dots, n - 1 - i);
	}
	vop_close(f);
	CHECK_EQ(at_del(&w, "/k1"), 0);
	CHECK_EQ(at_del(&w, "/k2"), 0);
}

/* What is there all the time is seen once, whatever happens between two helpings. */
TEST(under_change)
{
	enum {
		N = 500
	};
	static unsigned char seen[N];
	AUTO_WORLD w;
	struct listing l = {.last = 0};
	struct file *f;
	unsigned calls = 0;
	char name[64], other[64], *save = NULL;

	world_init(&w);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "/stay%u", i);
		CHECK_EQ(p_make(&w, name, VREG), 0);
		snprintf(name, sizeof(name), "/go%u", i);
		CHECK_EQ(p_make(&w, name, VREG), 0);
	}
	REQUIRE(vop_open(w.root, O_RDONLY, &t_cred, &f) == 0);
	while (helping(f, l.last, 400, &l) > 0) {
		calls++;
		for (unsigned k = 0; k < 5; k++) {
			snprintf(name, sizeof(name), "/go%u", calls * 5 % N + k);
			if (p_unlink(&w, name) == 0)
				continue;
			snprintf(other, sizeof(other), "/new%u-%u", calls, k);
			p_make(&w, other, VREG);
		}
		for (char *p = strtok_r(l.text, " ", &save); p;
		     p = strtok_r(NULL, " ", &save)) {
			unsigned i;

			if (sscanf(p, "stay%u", &i) == 1)
				seen[i]++;
		}
		l.text[0] = '\0';
		REQUIRE(calls < 10000);
	}
	vop_close(f);
	for (unsigned i = 0; i < N; i++)
		CHECK_EQ(seen[i], 1);
	CHECK(tree_check(w.root, false, NULL));
}

/* ".." has the number of the parent, where that is in memory. */
TEST(dots)
{
	static _Alignas(8) char mem[256];
	AUTO_WORLD w;
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	struct vattr va;
	struct file *f;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/e", VDIR), 0);
	CHECK_EQ(p_make(&w, "/e/s", VDIR), 0);
	CHECK_EQ(p_rename(&w, "/e/s", "/d/s", 0), 0);
	AUTO_VNODE s = p_get(&w, "/d/s");
	REQUIRE(vop_open(s, O_RDONLY, &t_cred, &f) == 0);
	CHECK_EQ(vop_readdir(f, &db), 0);
	struct dirrec *dot = dirbuf_next(&db, NULL), *dotdot = dirbuf_next(&db, dot);
	CHECK_EQ(p_stat(&w, "/d/s", &va), 0);
	CHECK_EQ(dot->dr_ino, va.va_ino);
	CHECK_EQ(p_stat(&w, "/d", &va), 0);
	CHECK_EQ(dotdot->dr_ino, va.va_ino);
	CHECK(dirbuf_next(&db, dotdot) == NULL);
	vop_close(f);
}
