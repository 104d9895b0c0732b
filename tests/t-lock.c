/* The lock order: what is allowed passes, what is not aborts (in checked builds). */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/t-vfs.h"
#include "vfs/lock.h"

#ifdef RF_CHECKED
#define CHECKED 1
#else
#define CHECKED 0
#endif

/* Runs fn in a child: true if it was aborted. */
static bool
aborts(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* What the abort says is not for the test's reader. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
in_order(void)
{
	for (int r = LK_MOUNTS; r < LK_NRANKS; r++)
		lock_note((enum lock_rank)r);
	for (int r = LK_LEAF; r >= LK_MOUNTS; r--)
		lock_forget((enum lock_rank)r);
	lock_assert_none("all are given back");
}

static void
two_of_the_same(void)
{
	lock_note(LK_DIR);
	lock_note(LK_DIR);
	lock_note(LK_FILE);
	lock_note(LK_FILE);
	lock_forget(LK_DIR); /* the order of giving back is free */
	lock_forget(LK_FILE);
	lock_forget(LK_FILE);
	lock_forget(LK_DIR);
	lock_assert_none("all are given back");
}

static void
dir_below_file(void)
{
	lock_note(LK_FILE);
	lock_note(LK_DIR);
}

static void
rename_below_dir(void)
{
	lock_note(LK_DIR);
	lock_note(LK_RENAME);
}

static void
anything_below_a_leaf(void)
{
	lock_note(LK_LEAF);
	lock_note(LK_MOUNTS);
}

static void
two_leaves(void)
{
	lock_note(LK_LEAF);
	lock_note(LK_LEAF);
}

static void
two_rename_mutexes(void)
{
	lock_note(LK_RENAME);
	lock_note(LK_RENAME);
}

static void
given_back_twice(void)
{
	lock_note(LK_DIR);
	lock_forget(LK_DIR);
	lock_forget(LK_DIR);
}

static void
host_call_under_a_lock(void)
{
	lock_note(LK_DIR);
	lock_assert_none("a host call");
}

TEST(what_is_allowed)
{
	CHECK(!aborts(in_order));
	CHECK(!aborts(two_of_the_same));
}

TEST(what_aborts)
{
	static void (*const wrong[])(void) = {dir_below_file, rename_below_dir,
	    anything_below_a_leaf, two_leaves, two_rename_mutexes, given_back_twice,
	    host_call_under_a_lock};

	if (!CHECKED)
		SKIP("the order is only kept in checked builds");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK(aborts(wrong[i]));
}

/* The same through real locks: the helpers note what they take. */
static void
leaf_then_dir(void)
{
	struct world w;

	world_init(&w);
	lk_mutex(&w.v.vfs_nodes.st_mtx, LK_LEAF);
	lk_read(&w.root->v_lock, LK_DIR);
}

static void
vop_under_a_file_lock(void)
{
	struct world w;
	struct vnode *f;

	world_init(&w);
	p_make(&w, "/f", VREG);
	f = p_get(&w, "/f");
	lk_read(&f->v_lock, LK_FILE);
	p_exists(&w, "/f");
}

static void
a_leaked_vnode(void)
{
	struct world w;

	world_init(&w);
	p_make(&w, "/f", VREG);
	p_get(&w, "/f"); /* and never given back */
	world_done(&w);
}

TEST(real_locks)
{
	if (!CHECKED)
		SKIP("the order is only kept in checked builds");
	CHECK(aborts(leaf_then_dir));
	CHECK(aborts(vop_under_a_file_lock));
	CHECK(aborts(a_leaked_vnode));
}

TEST(no_op_leaves_one_behind)
{
	AUTO_WORLD w;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	CHECK_EQ(p_rename(&w, "/d/f", "/g", 0), 0);
	CHECK_EQ(p_rename(&w, "/d", "/g", 0), -ENOTDIR);
	CHECK_EQ(p_link(&w, "/g", "/d/h"), 0);
	CHECK_EQ(at_file(&w, "/a/k"), 0);
	CHECK_EQ(at_del(&w, "/a/k"), 0);
	lock_assert_none("after all of it");
}
