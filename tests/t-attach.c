/*
 * Attaching and detaching: parents made and pruned, shadowing, nesting in any order, the
 * root, whiteouts, names that are pending, what is refused, what the kernel is told.
 *
 * A second rumpfs stands for a host directory: it is not the namespace's own tree.
 */
#include "tests/t-tree.h"

/* Nothing is attached and nothing is left of it. */
static void
check_bare(struct world *w, uint64_t nodes)
{
	CHECK_EQ(w->v.vfs_acount, 0);
	CHECK_EQ(atomic_load(&w->root->v_nattach), 0);
	CHECK_EQ(usage(w).ru_inodes_used, nodes);
	CHECK(vfs_root_peek(&w->v) == w->root);
	CHECK(tree_check(w->root, false, NULL));
}

TEST(parents_are_made_and_go_again)
{
	AUTO_WORLD w;
	struct vattr va;

	world_init(&w);
	CHECK_EQ(at_file(&w, "/a/b/k"), 0);
	CHECK_EQ(at_file(&w, "/a/b/l"), 0);
	CHECK_EQ(at_tree(&w, "/a/c/d/k"), 0);
	CHECK_EQ(p_stat(&w, "/a/b", &va), 0);
	CHECK_EQ(va.va_mode, S_IFDIR | 0755);
	CHECK_EQ(va.va_uid, 1000);
	CHECK_EQ(p_stat(&w, "/a/b/k", &va), 0);
	CHECK_EQ(va.va_mode, S_IFREG | 0600);
	CHECK_EQ(atomic_load(&w.root->v_nattach), 3);
	CHECK(vfs_attach_peek(&w.v, "/a/b/k") != NULL);
	CHECK(vfs_attach_peek(&w.v, "/a/b") == NULL);
	CHECK_EQ(at_del(&w, "/a/b/k"), 0);
	CHECK(p_exists(&w, "/a/b") && !p_exists(&w, "/a/b/k"));
	CHECK_EQ(at_del(&w, "/a/b/l"), 0);
	CHECK(!p_exists(&w, "/a/b") && p_exists(&w, "/a/c/d/k"));
	CHECK_EQ(at_del(&w, "/a/c/d/k"), 0);
	CHECK(!p_exists(&w, "/a"));
	check_bare(&w, 1);
}

TEST(parents_in_use_stay)
{
	AUTO_WORLD w;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/own", VDIR), 0);
	CHECK_EQ(at_file(&w, "/own/a/k"), 0);
	CHECK_EQ(p_make(&w, "/own/a/mine", VREG), 0);
	CHECK_EQ(at_del(&w, "/own/a/k"), 0);
	CHECK(p_exists(&w, "/own/a/mine"));
	/* Made for a key once, empty again, and given to the next. */
	CHECK_EQ(p_unlink(&w, "/own/a/mine"), 0);
	CHECK_EQ(at_file(&w, "/own/a/k"), 0);
	CHECK_EQ(at_del(&w, "/own/a/k"), 0);
	CHECK(!p_exists(&w, "/own/a"));
	CHECK(p_exists(&w, "/own")); /* somebody's own directory is not pruned */
	check_bare(&w, 2);
}

TEST(shadowing)
{
	static const enum vtype types[] = {VREG, VDIR, VLNK, VCHR};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		AUTO_WORLD w;
		AUTO_VNODE there = NULL;
		char *before, *after;

		world_init(&w);
		CHECK_EQ(p_make(&w, "/n", types[i]), 0);
		if (types[i] == VDIR)
			CHECK_EQ(p_make(&w, "/n/inside", VREG), 0);
		there = p_get(&w, "/n");
		tree_check(w.root, false, &before);
		for (unsigned dir = 0; dir < 2; dir++) {
			AUTO_VNODE key = dir ? other_tree(&w) : other_file(&w);

			CHECK_EQ(at_add(&w, AT_MOUNT, "/n", key), 0);
			AUTO_VNODE seen = p_get(&w, "/n");
			CHECK(seen == key);
			CHECK(!p_exists(&w, "/n/inside"));
			CHECK(tree_check(w.root, true, NULL));
			CHECK_EQ(at_del(&w, "/n"), 0);
			AUTO_VNODE again = p_get(&w, "/n");
			CHECK(again == there);
		}
		tree_check(w.root, false, &after);
		CHECK(strcmp(before, after) == 0);
		free(before);
		free(after);
	}
}

/* Three trees in one another and one in a parent that has to be made, attached in every
 * order and detached in every order.  What is seen depends on neither. */
static const char *const nest[] = {"/a", "/a/b", "/a/b/x/c", "/a/y"};
enum {
	NEST = 4,
	ORDERS = 24
};

static void
permute(unsigned k, unsigned ret[NEST])
{
	unsigned left[NEST] = {0, 1, 2, 3};

	for (unsigned i = 0, f = ORDERS / NEST; i < NEST; i++) {
		unsigned at = k / f;

		ret[i] = left[at];
		memmove(left + at, left + at + 1, (NEST - 1 - at) * sizeof(*left));
		k %= f;
		f /= i + 1 < NEST ? NEST - 1 - i : 1;
		f = f ? f : 1;
	}
}

static void
check_nest(struct world *w, struct vnode *const *keys, const bool *on)
{
	unsigned count = 0;

	for (unsigned i = 0; i < NEST; i++) {
		AUTO_VNODE vp = p_get(w, nest[i]);

		CHECK((vp == keys[i]) == on[i]);
		CHECK((vfs_attach_peek(&w->v, nest[i]) != NULL &&
			  !vfs_attach_peek(&w->v, nest[i])->at_synth) == on[i]);
		count += on[i];
	}
	CHECK_EQ(atomic_load(&w->root->v_nattach), count);
	CHECK(tree_check(w->root, true, NULL));
}

TEST(nesting_in_any_order)
{
	AUTO_WORLD w;
	struct vnode *keys[NEST];

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/a/own", VREG), 0);
	for (unsigned i = 0; i < NEST; i++)
		keys[i] = other_tree(&w);
	for (unsigned in = 0; in < ORDERS; in++) {
		for (unsigned out = 0; out < ORDERS; out++) {
			bool on[NEST] = {false};
			unsigned p[NEST], q[NEST], was = t_bad;

			permute(in, p);
			permute(out, q);
			for (unsigned i = 0; i < NEST; i++) {
				CHECK_EQ(at_add(&w, AT_MOUNT, nest[p[i]], keys[p[i]]), 0);
				on[p[i]] = true;
				check_nest(&w, keys, on);
			}
			for (unsigned i = 0; i < NEST; i++) {
				CHECK_EQ(at_del(&w, nest[q[i]]), 0);
				on[q[i]] = false;
				check_nest(&w, keys, on);
			}
			check_bare(&w, 3);
			if (t_bad != was) {
				printf("orders %u, %u\n", in, out);
				in = out = ORDERS;
			}
		}
	}
	for (unsigned i = 0; i < NEST; i++) {
		CHECK_EQ(atomic_load(&keys[i]->v_nattach), 0);
		CHECK(keys[i]->v_parent == NULL);
		CHECK(tree_check(keys[i], false, NULL));
		vn_unref(keys[i]);
	}
}

static int
in_order(struct attach *at, void *arg)
{
	char *s = arg;

	strcat(strcat(s, at->at_path), " ");
	return strcmp(at->at_path, "/stop") == 0 ? 7 : 0;
}

TEST(each_in_order)
{
	AUTO_WORLD w;
	char s[200] = "";

	world_init(&w);
	CHECK_EQ(at_tree(&w, "/b/x"), 0);
	CHECK_EQ(at_tree(&w, "/a"), 0);
	CHECK_EQ(at_tree(&w, "/b"), 0); /* moves /b/x, which stays the first */
	CHECK_EQ(vfs_attach_each(&w.v, in_order, s), 0);
	CHECK(strcmp(s, "/b/x /a /b ") == 0);
	CHECK_EQ(at_tree(&w, "/stop"), 0);
	CHECK_EQ(at_tree(&w, "/z"), 0);
	s[0] = '\0';
	CHECK_EQ(vfs_attach_each(&w.v, in_order, s), 7);
	CHECK(strcmp(s, "/b/x /a /b /stop ") == 0);
	CHECK_EQ(at_del(&w, "/z"), 0);
	CHECK_EQ(at_del(&w, "/b"), 0);
	s[0] = '\0';
	CHECK_EQ(vfs_attach_each(&w.v, in_order, s), 7);
	CHECK(strcmp(s, "/b/x /a /stop ") == 0);
	CHECK_EQ(at_del(&w, "/stop"), 0);
	CHECK_EQ(at_del(&w, "/a"), 0);
	CHECK_EQ(at_del(&w, "/b/x"), 0);
	check_bare(&w, 1);
}

TEST(the_root)
{
	AUTO_WORLD w;
	AUTO_VNODE key = NULL;
	struct vnode *o;

	world_init(&w);
	o = other_tree(&w);
	CHECK_EQ(p_make(&w, "/mem", VREG), 0);
	key = other_file(&w);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/x/k", key), 0);
	CHECK_EQ(at_file(&w, "/"), -EBUSY);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/", o), 0);
	CHECK(vfs_root_peek(&w.v) == o);
	CHECK(vfs_node_peek(&w.v, 1) == o);
	CHECK_EQ(vfs_node_id(&w.v, o), 1);
	CHECK(!p_exists(&w, "/mem"));
	AUTO_VNODE seen = p_get(&w, "/x/k");
	CHECK(seen == key);
	CHECK_EQ(atomic_load(&w.root->v_nattach), 0);
	CHECK_EQ(atomic_load(&o->v_nattach), 1);
	CHECK_EQ(at_tree(&w, "/"), -EEXIST);
	CHECK_EQ(at_tree(&w, "/y"), 0);
	vn_unref(o); /* whoever made the tree lets go; requests may still use it */
	CHECK_EQ(at_del(&w, "/"), 0);
	CHECK(vfs_root_peek(&w.v) == w.root);
	CHECK(atomic_load(&o->v_ref) > 0);
	CHECK(p_exists(&w, "/mem") && p_exists(&w, "/x/k") && p_exists(&w, "/y"));
	CHECK_EQ(at_del(&w, "/x/k"), 0);
	CHECK_EQ(at_del(&w, "/y"), 0);
	CHECK_EQ(at_file(&w, "/"), -ENOTDIR);
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/", NULL), -EINVAL);
	check_bare(&w, 3); /* root, mem, and the file that is held here */
}

TEST(whiteouts)
{
	struct vmake mk = {.vm_type = VREG};
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/g", VREG), 0);
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/f", NULL), 0);
	CHECK(!p_exists(&w, "/f"));
	CHECK_EQ(p_make(&w, "/f", VREG), -EACCES);
	CHECK_EQ(vop_make(w.root, nm("f"), &mk, &t_cred, &vp), -EACCES);
	CHECK_EQ(p_unlink(&w, "/f"), -ENOENT);
	CHECK_EQ(p_rmdir(&w, "/f"), -ENOENT);
	CHECK_EQ(p_rename(&w, "/f", "/h", 0), -ENOENT);
	CHECK_EQ(p_rename(&w, "/g", "/f", 0), -EACCES);
	CHECK_EQ(p_link(&w, "/g", "/f"), -EACCES);
	CHECK_EQ(at_file(&w, "/f/below"), -EBUSY);
	CHECK_EQ(at_file(&w, "/f"), -EEXIST);
	CHECK(tree_check(w.root, true, NULL));
	CHECK_EQ(at_del(&w, "/f"), 0);
	CHECK(p_exists(&w, "/f"));
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/none/deep", NULL), 0);
	CHECK(p_exists(&w, "/none"));
	CHECK_EQ(at_del(&w, "/none/deep"), 0);
	/* In a tree that is not the namespace's own. */
	AUTO_VNODE o = other_tree(&w);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/o", o), 0);
	CHECK_EQ(p_make(&w, "/o/secret", VREG), 0);
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/o/secret", NULL), 0);
	CHECK(!p_exists(&w, "/o/secret"));
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/o", NULL), -EEXIST);
	CHECK_EQ(at_del(&w, "/o"), 0);
	CHECK(p_exists(&w, "/o") && !p_exists(&w, "/o/secret"));
	CHECK_EQ(at_del(&w, "/o/secret"), 0);
	check_bare(&w, 3);
}

static struct vnode *appears;
static unsigned tried;

static int
resolve(struct attach *at, struct vnode **ret_vp)
{
	(void)at;
	tried++;
	if (!appears)
		return -EIO; /* whatever the reason: it is not there */
	*ret_vp = vn_ref(appears);
	return 0;
}

static int
at_pending(struct world *w, const char *path)
{
	struct attach *at = calloc(1, sizeof(*at));
	int r;

	at->at_kind = AT_PENDING;
	at->at_path = strdup(path);
	at->at_resolve = resolve;
	r = vfs_attach(&w->v, at);
	if (r < 0) {
		free(at->at_path);
		free(at);
	}
	return r;
}

TEST(pending)
{
	AUTO_WORLD w;
	AUTO_VNODE o = NULL;

	world_init(&w);
	appears = NULL;
	tried = 0;
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/a/p", VREG), 0); /* hidden while it is pending, too */
	CHECK_EQ(p_make(&w, "/g", VREG), 0);
	CHECK_EQ(at_pending(&w, "/a/p"), 0);
	AUTO_VNODE a = p_get(&w, "/a");
	CHECK(atomic_load(&a->v_flags) & VF_PENDING);
	CHECK(!p_exists(&w, "/a/p"));
	CHECK_EQ(tried, 1);
	CHECK_EQ(p_make(&w, "/a/p", VREG), -EACCES);
	CHECK_EQ(p_unlink(&w, "/a/p"), -ENOENT);
	CHECK_EQ(p_rename(&w, "/g", "/a/p", 0), -EACCES);
	CHECK_EQ(at_file(&w, "/a/p/below"), -EBUSY);
	CHECK(tree_check(w.root, true, NULL)); /* and is not listed */
	o = other_tree(&w);
	appears = o;
	AUTO_VNODE seen = p_get(&w, "/a/p");
	CHECK(seen == o);
	CHECK(o->v_parent == a);
	CHECK_EQ(p_make(&w, "/a/p/inside", VREG), 0);
	CHECK_EQ(p_unlink(&w, "/a/p"), -EBUSY);
	CHECK_EQ(at_file(&w, "/a/p/below"), 0);
	tried = 0;
	CHECK(tree_check(w.root, true, NULL));
	CHECK_EQ(tried, 0); /* once is enough */
	/* The file that it hides has no place for what is attached below. */
	CHECK_EQ(at_del(&w, "/a/p"), -ENOTDIR);
	CHECK_EQ(at_del(&w, "/a/p/below"), 0);
	CHECK_EQ(at_del(&w, "/a/p"), 0);
	CHECK(o->v_parent == NULL);
	check_bare(&w, 4);
}

TEST(what_is_refused)
{
	static const struct {
		const char *path;
		int r;
	} rows[] = {
	    {"/f", -EEXIST},
	    {"/d/k", -EEXIST},
	    {"/reg/x", -ENOTDIR},
	    {"/reg/x/y/z", -ENOTDIR},
	    {"/f/x", -ENOTDIR},
	    {"/w/x", -EBUSY},
	    {"/w/x/y", -EBUSY},
	    {"/d", -EBUSY}, /* not a tree, over something with attachments in it */
	    {"/synth", -EBUSY},
	    {"/", -EBUSY},
	};
	AUTO_WORLD w;
	char *before, *after;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/reg", VREG), 0);
	CHECK_EQ(at_file(&w, "/f"), 0);
	CHECK_EQ(at_tree(&w, "/d"), 0);
	CHECK_EQ(at_file(&w, "/d/k"), 0);
	CHECK_EQ(at_file(&w, "/synth/k"), 0);
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/w", NULL), 0);
	tree_check(w.root, true, &before);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned was = t_bad;

		if (strcmp(rows[i].path, "/d") != 0)
			CHECK_EQ(at_file(&w, rows[i].path), rows[i].r);
		else
			CHECK_EQ(at_file(&w, rows[i].path), -EEXIST);
		tree_check(w.root, true, &after);
		CHECK(strcmp(before, after) == 0);
		CHECK_EQ(atomic_load(&w.root->v_nattach), 5);
		free(after);
		if (t_bad != was)
			printf("row %s\n", rows[i].path);
	}
	CHECK_EQ(at_del(&w, "/none"), -ENOENT);
	CHECK_EQ(at_del(&w, "/synth"), -ENOENT);
	CHECK_EQ(at_del(&w, "/d/k/x"), -ENOENT);
	free(before);
	CHECK_EQ(at_del(&w, "/d/k"), 0);
	CHECK_EQ(at_del(&w, "/d"), 0);
	CHECK_EQ(at_del(&w, "/f"), 0);
	CHECK_EQ(at_del(&w, "/w"), 0);
	CHECK_EQ(at_del(&w, "/synth/k"), 0);
	check_bare(&w, 2);
}

/* Names that are attached, and directories above them, hold still. */
TEST(what_is_attached_holds_still)
{
	static const struct {
		const char *from, *to; /* to: "" unlink, NULL rmdir */
		unsigned flags;
		int r;
	} rows[] = {
	    {"/a/k", "", 0, -EBUSY},
	    {"/a/t", NULL, 0, -EBUSY},
	    {"/a/k", "/n", 0, -EBUSY},
	    {"/f", "/a/k", 0, -EBUSY},
	    {"/f", "/a/k", RENAME_NOREPLACE, -EEXIST},
	    {"/f", "/a/k", RENAME_EXCHANGE, -EBUSY},
	    {"/a/k", "/f", RENAME_EXCHANGE, -EBUSY},
	    {"/a", "/n", 0, -EBUSY},
	    {"/a", "/d/n", 0, -EBUSY},
	    {"/up", "/n", 0, -EBUSY},
	    {"/up/on", "/up/n", 0, -EBUSY},
	    {"/a", "/d", RENAME_EXCHANGE, -EBUSY},
	    {"/d", "/a", RENAME_EXCHANGE, -EBUSY},
	    {"/d", "/a", 0, -ENOTEMPTY},
	    {"/d", "/up", 0, -ENOTEMPTY},
	    {"/a", NULL, 0, -ENOTEMPTY},
	    {"/up", NULL, 0, -ENOTEMPTY},
	    {"/up/on", NULL, 0, -ENOTEMPTY},
	    {"/a/f", "/f", 0, 0}, /* what is beside them moves freely */
	    {"/a/f2", "/a/f3", 0, 0},
	    {"/d", "/a/d", 0, 0},
	};
	AUTO_WORLD w;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/a/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/a/f2", VREG), 0);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(at_file(&w, "/a/k"), 0);
	CHECK_EQ(at_tree(&w, "/a/t"), 0);
	CHECK_EQ(at_file(&w, "/up/on/top"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		unsigned was = t_bad;
		int r = !rows[i].to ? p_rmdir(&w, rows[i].from)
		        : !*rows[i].to
		            ? p_unlink(&w, rows[i].from)
		            : p_rename(&w, rows[i].from, rows[i].to, rows[i].flags);

		CHECK_EQ(r, rows[i].r);
		if (t_bad != was)
			printf("row %s -> %s\n", rows[i].from,
			    rows[i].to ? rows[i].to : "rmdir");
	}
	CHECK_EQ(p_make(&w, "/a/k", VREG), -EEXIST);
	CHECK_EQ(p_make(&w, "/a/t", VDIR), -EEXIST);
	CHECK_EQ(p_link(&w, "/f", "/a/k"), -EEXIST);
	CHECK(tree_check(w.root, true, NULL));
	CHECK_EQ(at_del(&w, "/a/k"), 0);
	CHECK_EQ(at_del(&w, "/a/t"), 0);
	CHECK_EQ(at_del(&w, "/up/on/top"), 0);
	CHECK_EQ(p_rename(&w, "/a", "/z", 0), 0);
	CHECK_EQ(p_rmdir(&w, "/z/d"), 0);
	check_bare(&w, 4);
}
