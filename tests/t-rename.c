/* rename: kinds on kinds, flags, ancestors, link counts, parents. */
#include "tests/t-tree.h"

#define NOREPLACE RENAME_NOREPLACE
#define EXCHANGE  RENAME_EXCHANGE
#define WHITEOUT  RENAME_WHITEOUT

/* The tree each row starts from: in /a and /b a file f with a second name g, an empty
 * directory e, a directory d with a subdirectory s and a file in it, a symlink l. */
static void
plant(struct world *w)
{
	static const char *const tops[] = {"/a", "/b"};

	world_init(w);
	for (int i = 0; i < 2; i++) {
		char p[32], q[32];
#define AT(x) (snprintf(p, sizeof(p), "%s/%s", tops[i], x), p)
		CHECK_EQ(p_make(w, tops[i], VDIR), 0);
		CHECK_EQ(p_make(w, AT("f"), VREG), 0);
		CHECK_EQ(p_make(w, AT("e"), VDIR), 0);
		CHECK_EQ(p_make(w, AT("d"), VDIR), 0);
		CHECK_EQ(p_make(w, AT("d/s"), VDIR), 0);
		CHECK_EQ(p_make(w, AT("d/s/x"), VREG), 0);
		CHECK_EQ(p_make(w, AT("l"), VLNK), 0);
		snprintf(q, sizeof(q), "%s/f", tops[i]);
		CHECK_EQ(p_link(w, q, AT("g")), 0);
	}
}

static const struct row {
	const char *from, *to;
	unsigned flags;
	int r;
} rows[] = {
    /* Within a directory and across, onto nothing. */
    {"/a/f", "/a/n", 0, 0},
    {"/a/f", "/b/n", 0, 0},
    {"/a/d", "/a/n", 0, 0},
    {"/a/d", "/b/n", 0, 0},
    {"/a/l", "/b/n", 0, 0},
    {"/a/d", "/b/d/s/n", 0, 0},
    {"/a/none", "/b/n", 0, -ENOENT},
    {"/a/none", "/b/f", 0, -ENOENT},
    {"/a/f/x", "/b/n", 0, -ENOTDIR},
    {"/a/f", "/b/f/x", 0, -ENOTDIR},
    {"/a/f", "/none/x", 0, -ENOENT},
    /* Onto something. */
    {"/a/f", "/b/f", 0, 0},
    {"/a/f", "/a/l", 0, 0},
    {"/a/l", "/b/f", 0, 0},
    {"/a/f", "/b/e", 0, -EISDIR},
    {"/a/f", "/b/d", 0, -EISDIR},
    {"/a/f", "/a/e", 0, -EISDIR},
    {"/a/d", "/b/f", 0, -ENOTDIR},
    {"/a/d", "/a/f", 0, -ENOTDIR},
    {"/a/d", "/b/l", 0, -ENOTDIR},
    {"/a/d", "/b/e", 0, 0},
    {"/a/d", "/a/e", 0, 0},
    {"/a/e", "/a/d", 0, -ENOTEMPTY},
    {"/a/e", "/b/d", 0, -ENOTEMPTY},
    {"/a/e", "/b/e", 0, 0},
    /* Onto itself, by the same and by another name. */
    {"/a/f", "/a/f", 0, 0},
    {"/a/d", "/a/d", 0, 0},
    {"/a/f", "/a/g", 0, 0},
    {"/a/f", "/a/f", NOREPLACE, -EEXIST},
    {"/a/f", "/a/g", EXCHANGE, 0},
    {"/a/f", "/a/f", EXCHANGE, 0},
    {"/a/d", "/a/d", EXCHANGE, 0},
    /* Into or over one's own subtree. */
    {"/a", "/a/n", 0, -EINVAL},
    {"/a/d", "/a/d/n", 0, -EINVAL},
    {"/a/d", "/a/d/s", 0, -EINVAL},
    {"/a/d", "/a/d/s/n", 0, -EINVAL},
    {"/a/d", "/a/d/s/x", 0, -EINVAL},
    {"/a/d/s", "/a/d", 0, -ENOTEMPTY},
    {"/a/d/s/x", "/a/d", 0, -ENOTEMPTY},
    {"/a/d/s", "/a", 0, -ENOTEMPTY},
    {"/a/d", "/a/d/s", EXCHANGE, -EINVAL},
    {"/a/d/s", "/a/d", EXCHANGE, -EINVAL},
    {"/a/d/s/x", "/a", EXCHANGE, -EINVAL},
    {"/a/d", "/a/d/s/n", NOREPLACE, -EINVAL},
    {"/a/d", "/a/d/s/n", EXCHANGE, -ENOENT},
    {"/a/d/s", "/a", NOREPLACE, -EEXIST},
    {"/a/d/s", "/a/n", 0, 0},
    {"/a/d/s/x", "/n", 0, 0},
    {"/a/f", "/a/d/s/n", 0, 0},
    /* Flags. */
    {"/a/f", "/b/n", NOREPLACE, 0},
    {"/a/f", "/b/f", NOREPLACE, -EEXIST},
    {"/a/d", "/b/e", NOREPLACE, -EEXIST},
    {"/a/none", "/b/f", NOREPLACE, -ENOENT},
    {"/a/f", "/b/f", EXCHANGE, 0},
    {"/a/f", "/a/l", EXCHANGE, 0},
    {"/a/f", "/b/d", EXCHANGE, 0},
    {"/a/d", "/b/f", EXCHANGE, 0},
    {"/a/d", "/a/e", EXCHANGE, 0},
    {"/a/d", "/b/d", EXCHANGE, 0},
    {"/a/d", "/a/f", EXCHANGE, 0},
    {"/a", "/b", EXCHANGE, 0},
    {"/a", "/b/d", EXCHANGE, 0},
    {"/a/f", "/b/n", EXCHANGE, -ENOENT},
    {"/a/none", "/b/f", EXCHANGE, -ENOENT},
    {"/a/f", "/a/n", WHITEOUT, 0},
    {"/a/f", "/b/n", WHITEOUT, 0},
    {"/a/f", "/b/f", WHITEOUT, 0},
    {"/a/d", "/b/n", WHITEOUT, 0},
    {"/a/d", "/b/e", WHITEOUT, 0},
    {"/a/d", "/a/e", WHITEOUT, 0},
    {"/a/e", "/b/d", WHITEOUT, -ENOTEMPTY},
    {"/a/f", "/b/f", WHITEOUT | NOREPLACE, -EEXIST},
    {"/a/f", "/b/n", WHITEOUT | NOREPLACE, 0},
    {"/a/f", "/b/f", EXCHANGE | NOREPLACE, -EINVAL},
    {"/a/f", "/b/f", EXCHANGE | WHITEOUT, -EINVAL},
    {"/a/f", "/b/f", 1 << 7, -EINVAL},
};

/* What must have become of the two names. */
static void
check_moved(
    struct world *w, const struct row *row, const struct vnode *f, const struct vnode *t)
{
	AUTO_VNODE nf = p_get(w, row->from);
	AUTO_VNODE nt = p_get(w, row->to);
	struct vattr va;

	CHECK(nt == f);
	if (row->flags & EXCHANGE) {
		CHECK(nf == t);
	} else if (row->flags & WHITEOUT) {
		CHECK(nf && vop_getattr(nf, NULL, &va) == 0);
		CHECK_EQ(va.va_mode, S_IFCHR);
		CHECK_EQ(va.va_rdev, 0);
		CHECK_EQ(va.va_nlink, 1);
	} else {
		CHECK(nf == NULL);
	}
}

TEST(matrix)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		unsigned was = t_bad;
		AUTO_WORLD w;
		char *before, *after;
		uint64_t nodes;
		int r;

		plant(&w);
		nodes = usage(&w).ru_inodes_used;
		CHECK(tree_check(w.root, false, &before));
		AUTO_VNODE f = p_get(&w, row->from);
		AUTO_VNODE t = p_get(&w, row->to);
		r = p_rename(&w, row->from, row->to, row->flags);
		CHECK_EQ(r, row->r);
		CHECK(tree_check(w.root, false, &after));
		if (r < 0 || f == t)
			CHECK(strcmp(before, after) == 0);
		else
			check_moved(&w, row, f, t);
		if (r < 0 || (row->flags & EXCHANGE))
			CHECK_EQ(usage(&w).ru_inodes_used, nodes);
		free(before);
		free(after);
		if (t_bad != was)
			printf("  in row %s -> %s, flags %#x\n", row->from, row->to,
			    row->flags);
	}
}

TEST(what_is_replaced_is_given_back)
{
	AUTO_WORLD w;
	struct rumpfs_usage u;

	plant(&w);
	u = usage(&w);
	CHECK_EQ(p_write(&w, "/b/l", "x", 1, 0), -EINVAL);
	CHECK_EQ(p_rename(&w, "/a/d", "/b/e", 0), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, u.ru_inodes_used - 1);
	CHECK_EQ(p_rename(&w, "/a/l", "/b/l", 0), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, u.ru_inodes_used - 2);
	/* The other name keeps the file; each name counts. */
	CHECK_EQ(p_rename(&w, "/a/e/../f", "/b/f", 0), -EINVAL);
	CHECK_EQ(p_rename(&w, "/a/f", "/b/f", 0), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, u.ru_inodes_used - 3);
	CHECK_EQ(p_unlink(&w, "/b/g"), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, u.ru_inodes_used - 4);
	CHECK(tree_check(w.root, false, NULL));
}

/* A target that is open, or a directory somebody is in, lives on without a name. */
TEST(replaced_while_in_use)
{
	AUTO_WORLD w;
	AUTO_VNODE e = NULL;
	AUTO_VNODE vp = NULL;
	struct vmake mk = {.vm_type = VREG};
	struct vattr va;

	plant(&w);
	e = p_get(&w, "/b/e");
	CHECK_EQ(p_rename(&w, "/a/d", "/b/e", 0), 0);
	CHECK_EQ(vop_getattr(e, NULL, &va), 0);
	CHECK_EQ(va.va_nlink, 0);
	CHECK_EQ(vop_make(e, nm("x"), &mk, &t_cred, &vp), -ENOENT);
	CHECK(tree_check(w.root, false, NULL));
}

/* Moving keeps the places of a listing: a scan does not see what moved into a place that
 * it has passed, and an exchange moves nothing. */
TEST(order_of_a_listing)
{
	AUTO_WORLD w;
	char *dump;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/1", VREG), 0);
	CHECK_EQ(p_make(&w, "/2", VREG), 0);
	CHECK_EQ(p_make(&w, "/3", VREG), 0);
	CHECK_EQ(p_rename(&w, "/1", "/4", 0), 0);
	CHECK_EQ(p_rename(&w, "/2", "/3", EXCHANGE), 0);
	CHECK(tree_check(w.root, false, &dump));
	CHECK(strstr(dump, "\n/2") < strstr(dump, "\n/3"));
	CHECK(strstr(dump, "\n/3") < strstr(dump, "\n/4"));
	free(dump);
}

/* A table that has only the one entry that moves, in the same table: the room that was
 * reserved must survive the entry's going. */
TEST(the_only_entry)
{
	AUTO_WORLD w;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/0", VREG), 0);
	for (unsigned i = 0; i < 1000; i++) {
		char a[16], b[16];

		snprintf(a, sizeof(a), "/%u", i);
		snprintf(b, sizeof(b), "/%u", i + 1);
		REQUIRE(p_rename(&w, a, b, 0) == 0);
	}
	CHECK(p_exists(&w, "/1000"));
	CHECK(tree_check(w.root, false, NULL));
}

TEST(not_across_mounts)
{
	AUTO_WORLD w;
	AUTO_VNODE o = NULL;

	world_init(&w);
	o = other_tree(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(vop_rename(w.root, nm("f"), o, nm("f"), 0, &t_cred), -EXDEV);
	AUTO_VNODE f = p_get(&w, "/f");
	CHECK_EQ(vop_link(f, o, nm("f"), &t_cred), -EXDEV);
	CHECK_EQ(vop_rename(f, nm("f"), w.root, nm("g"), 0, &t_cred), -ENOTDIR);
}
