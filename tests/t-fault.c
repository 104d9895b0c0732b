/*
 * Every scenario with its 1st, 2nd, 3rd … allocation failing, then memfd call, until it
 * succeeds without reaching the fault.  Each run that fails returns an errno, leaves the
 * tree as it was, keeps the accounts and leaks nothing.
 */
#include "tests/t-fault.h"

#include "tests/t-tree.h"

struct stage {
	struct world w;
	struct vnode *a, *f, *big; /* /a, /a/f, /a/big */
	struct vnode *key, *tree;  /* to be attached: a file, a tree */
	struct file *dir;          /* /a, opened */
	struct vnode *vp;          /* results of the scenario, to be given back */
	struct file *file;
};

static char bytes[300 * 1024];

/* /a has four entries, so that the next makes its table grow; /a/big is in a memfd; two
 * keys are in parents made for them; /o is a tree that is not in memory. */
static void
stage_init(struct stage *s)
{
	static const char *const dirs[] = {"/a", "/a/d", "/a/d/e", "/b"};

	memset(s, 0, sizeof(*s));
	memset(bytes, 'b', sizeof(bytes));
	world_init(&s->w);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(p_make(&s->w, dirs[i], VDIR), 0);
	CHECK_EQ(p_make(&s->w, "/a/f", VREG), 0);
	CHECK_EQ(p_make(&s->w, "/a/big", VREG), 0);
	CHECK_EQ(p_make(&s->w, "/a/l", VLNK), 0);
	CHECK_EQ(p_make(&s->w, "/b/f", VREG), 0);
	CHECK_EQ(p_xattr(&s->w, "/a/f", "user.x", "y"), 0);
	CHECK_EQ(p_write(&s->w, "/a/f", bytes, 100, 0), 100);
	CHECK_EQ(p_write(&s->w, "/a/big", bytes, 160 * 1024, 0), 160 * 1024);
	CHECK_EQ(at_tree(&s->w, "/o"), 0);
	CHECK_EQ(p_make(&s->w, "/o/host", VDIR), 0);
	CHECK_EQ(at_file(&s->w, "/t/1/2/k"), 0);
	CHECK_EQ(at_file(&s->w, "/t/3/k"), 0);
	CHECK_EQ(at_file(&s->w, "/o/x/y/k"), 0);
	s->a = p_get(&s->w, "/a");
	s->f = p_get(&s->w, "/a/f");
	s->big = p_get(&s->w, "/a/big");
	s->key = other_file(&s->w);
	s->tree = other_tree(&s->w);
	CHECK_EQ(vop_open(s->a, O_RDONLY, &t_cred, &s->dir), 0);
}

static int
keep_path(struct attach *at, void *arg)
{
	snprintf(arg, 256, "%s", at->at_path);
	return 1;
}

static void
stage_done(struct stage *s)
{
	char path[256];

	vn_unref_p(&s->vp);
	if (s->file)
		vop_close(s->file);
	vop_close(s->dir);
	while (vfs_attach_each(&s->w.v, keep_path, path) > 0) {
		if (at_del(&s->w, path) < 0) {
			CHECK(!"detached");
			break;
		}
	}
	vn_unref(s->a);
	vn_unref(s->f);
	vn_unref(s->big);
	vn_unref(s->key);
	vn_unref(s->tree);
	world_done(&s->w);
}

static int
make(struct stage *s, enum vtype type)
{
	struct vmake mk = {.vm_type = type, .vm_mode = 0755, .vm_target = "somewhere"};

	return vop_make(s->a, nm("new"), &mk, &t_cred, &s->vp);
}

static int
create(struct stage *s, const char *name, int flags)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};

	return vop_create(s->a, nm(name), &mk, flags, &t_cred, &s->vp, &s->file);
}

/* All of it, or the error; a short write is finished. */
static int
write_all(struct vnode *vp, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = v_write(vp, bytes, len, off);

		if (n < 0)
			return (int)n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

static int
write_short(struct vnode *vp, size_t len, uint64_t off)
{
	ssize_t n = v_write(vp, bytes, len, off);

	return n < 0 ? (int)n : 0;
}

static int
list(struct stage *s)
{
	_Alignas(8) char mem[128];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	int r;

	while ((r = vop_readdir(s->dir, &db)) == 0 && db.db_used > 0)
		for (struct dirrec *d = NULL; (d = dirbuf_next(&db, d));)
			db.db_cookie = d->dr_cookie;
	return r;
}

static int
setattr_size(struct vnode *vp, uint64_t size)
{
	struct vattr_set vs = {VS_SIZE | VS_MODE, 0600, 0, 0, size, {0, 0}, {0, 0}};

	return vop_setattr(vp, NULL, &vs, &t_cred);
}

static int
whole_namespace(void)
{
	struct world w;
	int r = world_init_sized(&w, 0, 0);

	if (r == 0)
		world_done(&w);
	return r;
}

static int
path_normal(void)
{
	char *p;
	int r = vfs_path_normal("//a///b/", &p);

	if (r == 0)
		free(p);
	return r;
}

#define MOVE(from, to, flags)      p_rename(&s->w, from, to, flags)
#define FALLOC(vp, mode, off, len) vop_fallocate(vp, NULL, mode, off, len)
#define ZERO                       (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)
#define PUNCH                      (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

/* name, what it does, and whether a failure may have done a part (a write has). */
#define SCENARIOS(X)                                                               \
	X(make_file, make(s, VREG), 0)                                             \
	X(make_dir, make(s, VDIR), 0)                                              \
	X(make_symlink, make(s, VLNK), 0)                                          \
	X(make_fifo, make(s, VFIFO), 0)                                            \
	X(open, vop_open(s->f, O_RDWR, &t_cred, &s->file), 0)                      \
	X(open_trunc, vop_open(s->f, O_RDWR | O_TRUNC, &t_cred, &s->file), 0)      \
	X(create, create(s, "new", O_RDWR), 0)                                     \
	X(create_existing, create(s, "f", O_RDWR), 0)                              \
	X(write_small, write_short(s->f, 5000, 4000), 0)                           \
	X(write_sparse, write_short(s->f, 10, 1ull << 40), 0)                      \
	X(write_large, write_all(s->f, sizeof(bytes), 0), 1)                       \
	X(write_memfd, write_all(s->big, sizeof(bytes), 100 * 1024), 1)            \
	X(truncate, setattr_size(s->f, 10), 0)                                     \
	X(truncate_memfd, setattr_size(s->big, 10), 0)                             \
	X(grow_memfd, setattr_size(s->big, 1 << 30), 0)                            \
	X(fallocate, FALLOC(s->f, 0, 0, 64 * 1024), 0)                             \
	X(fallocate_large, FALLOC(s->f, FALLOC_FL_KEEP_SIZE, 8192, 256 * 1024), 0) \
	X(fallocate_memfd, FALLOC(s->big, 0, 140 * 1024, 256 * 1024), 0)           \
	X(zero, FALLOC(s->f, ZERO, 10, 20000), 0)                                  \
	X(zero_memfd, FALLOC(s->big, ZERO, 10, 20000), 1)                          \
	X(punch, FALLOC(s->f, PUNCH, 10, 50), 0)                                   \
	X(punch_memfd, FALLOC(s->big, PUNCH, 10, 50000), 0)                        \
	X(link, vop_link(s->f, s->a, nm("new"), &t_cred), 0)                       \
	X(unlink, p_unlink(&s->w, "/a/f"), 0)                                      \
	X(rmdir, p_rmdir(&s->w, "/a/d/e"), 0)                                      \
	X(rename_here, MOVE("/a/f", "/a/new", 0), 0)                               \
	X(rename_there, MOVE("/b/f", "/a/new", 0), 0)                              \
	X(rename_onto, MOVE("/b/f", "/a/f", 0), 0)                                 \
	X(rename_dir, MOVE("/b", "/a/new", 0), 0)                                  \
	X(rename_dir_onto, MOVE("/b", "/a/d/e", 0), 0)                             \
	X(rename_whiteout, MOVE("/b/f", "/a/new", RENAME_WHITEOUT), 0)             \
	X(rename_whiteout_onto, MOVE("/b/f", "/a/f", RENAME_WHITEOUT), 0)          \
	X(rename_exchange, MOVE("/a/d", "/b/f", RENAME_EXCHANGE), 0)               \
	X(setxattr, vop_setxattr(s->f, "user.n", "v", 1, 0, &t_cred), 0)           \
	X(replace_xattr, vop_setxattr(s->f, "user.x", "long", 4, 0, &t_cred), 0)   \
	X(removexattr, vop_removexattr(s->f, "user.x", &t_cred), 0)                \
	X(readdir, list(s), 0)                                                     \
	X(attach, at_add(&s->w, AT_MOUNT, "/k", s->key), 0)                        \
	X(attach_over, at_add(&s->w, AT_MOUNT, "/a/f", s->key), 0)                 \
	X(attach_deep, at_add(&s->w, AT_MOUNT, "/a/1/2/3/k", s->key), 0)           \
	X(attach_deep_there, at_add(&s->w, AT_MOUNT, "/o/host/1/2/k", s->key), 0)  \
	X(attach_whiteout, at_add(&s->w, AT_WHITEOUT, "/o/1/2/k", NULL), 0)        \
	X(attach_between, at_add(&s->w, AT_MOUNT, "/t", s->tree), 0)               \
	X(attach_between_there, at_add(&s->w, AT_MOUNT, "/o/x", s->tree), 0)       \
	X(attach_root, at_add(&s->w, AT_MOUNT, "/", s->tree), 0)                   \
	X(detach, at_del(&s->w, "/t/1/2/k"), 0)                                    \
	X(detach_there, at_del(&s->w, "/o/x/y/k"), 0)                              \
	X(detach_between, at_del(&s->w, "/o"), 0)                                  \
	X(whole_namespace, whole_namespace(), 0)                                   \
	X(path_normal, path_normal(), 0)

#define DEFINE(id, expr, partly)             \
	static int run_##id(struct stage *s) \
	{                                    \
		(void)s;                     \
		return (expr);               \
	}
SCENARIOS(DEFINE)

static const struct scenario {
	const char *name;
	int (*run)(struct stage *s);
	bool partly;
} scenarios[] = {
#define ROW(id, expr, partly) {#id, run_##id, partly},
    SCENARIOS(ROW)};

/* What must not have changed. */
struct state {
	char *dump;
	struct rumpfs_usage usage;
	uint32_t nodes, files, nattach, attached;
};

static struct state
look(struct stage *s)
{
	struct state st;

	CHECK(tree_check(vfs_root_peek(&s->w.v), true, &st.dump));
	st.usage = usage(&s->w);
	st.nodes = slots_count(&s->w.v.vfs_nodes);
	st.files = slots_count(&s->w.v.vfs_files);
	st.nattach = atomic_load(&s->w.root->v_nattach);
	st.attached = s->w.v.vfs_acount;
	return st;
}

static void
check_unchanged(struct state *was, struct state *is)
{
	CHECK(tree_same(was->dump, is->dump));
	CHECK_EQ(is->usage.ru_size_used, was->usage.ru_size_used);
	CHECK_EQ(is->usage.ru_inodes_used, was->usage.ru_inodes_used);
	CHECK_EQ(is->nodes, was->nodes);
	CHECK_EQ(is->files, was->files);
	CHECK_EQ(is->nattach, was->nattach);
	CHECK_EQ(is->attached, was->attached);
}

/* One run with the n-th call failing.  *ret_r is what it said.  False: the call was not
 * reached. */
static bool
once(struct stage *s, const struct scenario *sc, enum fault_kind kind, unsigned long n,
    int err, int *ret_r)
{
	struct state was = look(s), is;
	bool fired;
	int r;

	fault_set(kind, n, err);
	r = sc->run(s);
	fired = fault_end();
	is = look(s);
	if (r < 0 && !sc->partly) {
		check_unchanged(&was, &is);
	} else {
		free(was.dump);
		free(is.dump);
	}
	CHECK(r == 0 || (fired && r == -err));
	*ret_r = r;
	return fired;
}

/* After a failure the stage is used again: it must be as good as new. */
static void
every_call(enum fault_kind kind, int err)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
		bool fired = true;
		unsigned long n = 1;

		while (fired && n < 1000) {
			struct stage s;
			unsigned was = t_bad;
			int r = -1;

			stage_init(&s);
			for (; fired && r < 0 && t_bad == was; n++) {
				fired = once(&s, &scenarios[i], kind, n, err, &r);
				if (t_bad != was)
					printf("  scenario %s, call %lu: %d\n",
					    scenarios[i].name, n, r);
				if (scenarios[i].partly)
					r = 0;
			}
			stage_done(&s);
		}
		CHECK(!fired);
	}
}

TEST(allocations)
{
	every_call(FAULT_ALLOC, ENOMEM);
}

TEST(memfds)
{
	every_call(FAULT_MEMFD, ENOSPC);
}
