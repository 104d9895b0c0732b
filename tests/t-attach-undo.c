/*
 * Attaching that fails, leaves nothing; and what people leave in directories that were
 * made for attachments is kept.
 */
#include "tests/t-tree.h"

/* The whole namespace as text, with what is attached. */
static char *
snapshot(struct world *w)
{
	char *dump = NULL;

	CHECK(tree_check(vfs_root_peek(&w->v), true, &dump));
	return dump;
}

/* Parents that were made for attachments may have been made anew, in another order. */
static void
check_same(struct world *w, const char *before, uint32_t nattach, uint64_t nodes)
{
	CHECK(tree_same(strdup(before), snapshot(w)));
	CHECK_EQ(atomic_load(&w->root->v_nattach), nattach);
	CHECK_EQ(usage(w).ru_inodes_used, nodes);
}

/* The tree that would come in between has a file where a parent is needed. */
TEST(a_tree_with_no_place_for_what_is_below)
{
	AUTO_WORLD w;
	AUTO_VNODE o = NULL;
	struct vmake mk = {.vm_type = VREG};
	struct vnode *vp;
	char *before;
	uint64_t nodes;

	world_init(&w);
	o = other_tree(&w);
	REQUIRE(vop_make(o, nm("b"), &mk, &t_cred, &vp) == 0);
	vn_unref(vp);
	CHECK_EQ(at_file(&w, "/a/b/k"), 0);
	CHECK_EQ(at_file(&w, "/a/c/k"), 0);
	CHECK_EQ(at_tree(&w, "/a/c/d/e/f/g/h"), 0);
	CHECK_EQ(at_file(&w, "/a/c/d/e/f/g/h/k"), 0);
	before = snapshot(&w);
	nodes = usage(&w).ru_inodes_used;
	CHECK_EQ(at_add(&w, AT_MOUNT, "/a", o), -ENOTDIR);
	check_same(&w, before, 4, nodes);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/", o), 0); /* here b is not in the way */
	CHECK_EQ(at_del(&w, "/"), 0);
	check_same(&w, before, 4, nodes);
	CHECK(o->v_parent == NULL);
	CHECK_EQ(atomic_load(&o->v_nattach), 0);
	CHECK(vfs_attach_peek(&w.v, "/a") == NULL);
	free(before);
	CHECK_EQ(at_del(&w, "/a/c/d/e/f/g/h"), 0);
	CHECK_EQ(at_del(&w, "/a/c/d/e/f/g/h/k"), 0);
	CHECK_EQ(at_del(&w, "/a/c/k"), 0);
	CHECK_EQ(at_del(&w, "/a/b/k"), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, 1);
}

/* What would be revealed has no place for what is attached below. */
TEST(nothing_to_go_back_to)
{
	AUTO_WORLD w;
	char *before;
	uint64_t nodes;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/a/b", VREG), 0);
	CHECK_EQ(at_tree(&w, "/a"), 0);
	CHECK_EQ(at_file(&w, "/a/c/k"), 0);
	CHECK_EQ(at_file(&w, "/a/b/k"), 0);
	before = snapshot(&w);
	nodes = usage(&w).ru_inodes_used;
	CHECK_EQ(at_del(&w, "/a"), -ENOTDIR);
	check_same(&w, before, 3, nodes);
	CHECK_EQ(at_del(&w, "/a/b/k"), 0);
	CHECK_EQ(at_del(&w, "/a"), 0);
	CHECK(p_exists(&w, "/a/c/k"));
	CHECK_EQ(at_del(&w, "/a/c/k"), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, 3);
	free(before);
}

/* Parents that cannot all be made: those that were go again. */
TEST(no_room_for_parents)
{
	for (uint64_t room = 0; room < 4; room++) {
		AUTO_WORLD w;
		struct vnode *o;
		char *before;
		unsigned more;

		REQUIRE(world_init_sized(&w, 0, 4 + room) == 0);
		CHECK_EQ(p_make(&w, "/a", VDIR), 0);
		o = other_tree(&w);
		CHECK_EQ(at_add(&w, AT_MOUNT, "/o", o), 0);
		before = snapshot(&w);
		/* 4 parents are needed; there is room for 2 to 5. */
		more = 2 + (unsigned)room < 4;
		CHECK_EQ(
		    at_add(&w, AT_WHITEOUT, "/a/1/2/3/4/k", NULL), more ? -ENOSPC : 0);
		if (more)
			check_same(&w, before, 1, 2);
		else
			CHECK_EQ(at_del(&w, "/a/1/2/3/4/k"), 0);
		/* The same in a tree that is not in memory. */
		CHECK_EQ(
		    at_add(&w, AT_WHITEOUT, "/o/1/2/3/4/k", NULL), more ? -ENOSPC : 0);
		if (!more)
			CHECK_EQ(at_del(&w, "/o/1/2/3/4/k"), 0);
		check_same(&w, before, 1, 2);
		CHECK_EQ(w.v.vfs_acount, 1);
		free(before);
		CHECK_EQ(at_del(&w, "/o"), 0);
		vn_unref(o);
	}
}

TEST(parents_in_a_tree_that_is_not_in_memory)
{
	AUTO_WORLD w;
	AUTO_VNODE o = NULL;
	char *before;

	world_init(&w);
	o = other_tree(&w);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/o", o), 0);
	CHECK_EQ(p_make(&w, "/o/host", VDIR), 0);
	before = snapshot(&w);
	CHECK_EQ(at_file(&w, "/o/host/x/y/k"), 0);
	CHECK_EQ(at_tree(&w, "/o/host/x/z"), 0);
	AUTO_VNODE x = p_get(&w, "/o/host/x");
	CHECK(x->v_mount == w.root->v_mount);  /* made in memory, not in the tree */
	CHECK_EQ(at_tree(&w, "/o/host/x"), 0); /* takes the place of what was made */
	CHECK(p_exists(&w, "/o/host/x/y/k") && p_exists(&w, "/o/host/x/z"));
	CHECK_EQ(at_del(&w, "/o/host/x"), 0);
	CHECK(p_exists(&w, "/o/host/x/y/k") && p_exists(&w, "/o/host/x/z"));
	CHECK_EQ(p_rename(&w, "/o/host", "/o/elsewhere", 0), -EBUSY);
	CHECK_EQ(at_del(&w, "/o/host/x/y/k"), 0);
	CHECK(p_exists(&w, "/o/host/x") && !p_exists(&w, "/o/host/x/y"));
	CHECK_EQ(at_del(&w, "/o/host/x/z"), 0);
	check_same(&w, before, 1, 2); /* x is held here */
	CHECK_EQ(p_rename(&w, "/o/host", "/o/elsewhere", 0), 0);
	/* A directory that is going takes nothing more. */
	struct vmake mk = {.vm_type = VREG};
	AUTO_VNODE vp = NULL;
	CHECK_EQ(vop_make(x, nm("late"), &mk, &t_cred, &vp), -ENOENT);
	free(before);
	CHECK_EQ(at_del(&w, "/o"), 0);
}

/* Files that somebody has put into a parent made over a host directory are there as long
 * as the mount; keys come and go around them; and at the end all is given back. */
TEST(leftovers)
{
	AUTO_WORLD w;
	AUTO_VNODE o = NULL;

	world_init(&w);
	o = other_tree(&w);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/o", o), 0);
	CHECK_EQ(at_file(&w, "/o/x/y/k"), 0);
	CHECK_EQ(p_make(&w, "/o/x/mine", VREG), 0);
	CHECK_EQ(p_make(&w, "/o/x/dir", VDIR), 0);
	CHECK_EQ(at_del(&w, "/o/x/y/k"), 0);
	CHECK(p_exists(&w, "/o/x/mine") && !p_exists(&w, "/o/x/y"));
	CHECK_EQ(at_file(&w, "/o/x/y/k"), 0);
	CHECK_EQ(at_del(&w, "/o/x/y/k"), 0);
	CHECK(p_exists(&w, "/o/x/mine"));
	CHECK_EQ(at_del(&w, "/o"), 0);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/o", o), 0);
	CHECK(p_exists(&w, "/o/x/mine"));
	CHECK_EQ(at_del(&w, "/o"), 0);
	CHECK_EQ(w.v.vfs_acount, 1);
}

/* What the kernel is told: of every name that means something else, when it does. */
static struct told {
	struct world *w;
	char text[512];
	unsigned wrong;
} told;

static void
tell_entry(void *arg, struct vnode *dvp, const struct name *n)
{
	struct told *t = arg;
	AUTO_VNODE vp = NULL;
	int r = vop_lookup(dvp, n, &vp);

	/* What is found must be what is there from now on. */
	strcat(strcat(strcat(t->text, r == 0 ? "+" : "-"), n->n_ptr), " ");
	t->wrong += r != 0 && r != -ENOENT;
	lock_assert_none("telling");
}

static void
tell_inode(void *arg, struct vnode *vp)
{
	struct told *t = arg;

	strcat(t->text, vp->v_flags & VF_ROOT ? "root " : "inode ");
	lock_assert_none("telling");
}

static const struct vfs_notify_ops tell = {tell_entry, tell_inode};

#define TOLD(what)                                       \
	do {                                             \
		CHECK(strcmp(told.text, what) == 0);     \
		if (strcmp(told.text, what) != 0)        \
			printf("told: %s\n", told.text); \
		told.text[0] = '\0';                     \
	} while (0)

TEST(the_kernel_is_told)
{
	AUTO_WORLD w;

	world_init(&w);
	told = (struct told){.w = &w};
	w.v.vfs_notify = &tell;
	w.v.vfs_notify_arg = &told;
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	TOLD(""); /* the kernel did it itself */
	CHECK_EQ(at_file(&w, "/k"), 0);
	TOLD("+k ");
	CHECK_EQ(at_del(&w, "/k"), 0);
	TOLD("-k inode ");
	CHECK_EQ(at_file(&w, "/f"), 0);
	TOLD("+f ");
	CHECK_EQ(at_del(&w, "/f"), 0);
	TOLD("+f inode ");
	CHECK_EQ(at_add(&w, AT_WHITEOUT, "/f", NULL), 0);
	TOLD("-f ");
	CHECK_EQ(at_del(&w, "/f"), 0);
	TOLD("+f ");
	CHECK_EQ(at_file(&w, "/a/b/k"), 0);
	TOLD("+a +b +k ");
	CHECK_EQ(at_file(&w, "/a/l"), 0);
	TOLD("+l ");
	CHECK_EQ(at_del(&w, "/a/b/k"), 0);
	TOLD("-k inode -b ");
	CHECK_EQ(at_del(&w, "/a/l"), 0);
	TOLD("-l inode -a ");
	CHECK_EQ(at_tree(&w, "/o"), 0);
	TOLD("+o ");
	CHECK_EQ(at_file(&w, "/o/x/k"), 0);
	TOLD("+x +k ");
	CHECK_EQ(at_file(&w, "/f/x"), -ENOTDIR);
	TOLD("");
	CHECK_EQ(at_del(&w, "/o/x/k"), 0);
	TOLD("-k inode -x ");
	CHECK_EQ(at_del(&w, "/o"), 0);
	TOLD("-o root ");
	/* Of a new root, all names of the old and of the new. */
	AUTO_VNODE o = other_tree(&w);
	AUTO_VNODE vp = NULL;
	CHECK_EQ(vop_make(o, nm("x"), &(struct vmake){.vm_type = VREG}, &t_cred, &vp), 0);
	CHECK_EQ(at_add(&w, AT_MOUNT, "/", o), 0);
	TOLD("root -f +x ");
	CHECK_EQ(at_del(&w, "/"), 0);
	TOLD("root -x +f ");
	CHECK_EQ(told.wrong, 0);
}
