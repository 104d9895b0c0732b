/*
 * etfs with its 1st, 2nd, 3rd … allocation failing, then host call, until the scenario
 * succeeds without reaching the fault.  Each run that fails returns an errno, leaves the
 * mount and the host's directory as they were, and leaks no vnode, file or fd.
 */
#include <dirent.h>
#include <ftw.h>
#include <sys/xattr.h>

#include "tests/t-fault.h"

#include "tests/t-etfs.h"
#include "tests/t-tree.h"

/* /d: t, all of it. /one: t, one level.  /reg, /blk, /chr: f, whole and windows of it.
 * /p/q/deep: f, in parents made for it. */
static void
bed_plant(struct bed *b)
{
	bed_start(b, 0);
	make_tree(b);
	host_file(b, "f", 10000);
	CHECK_EQ(symlink("nowhere", host(b, "t/sub/l")), 0);
	CHECK_EQ(mkdir(host(b, "t/empty"), 0755), 0);
	CHECK_EQ(link(host(b, "t/file"), host(b, "t/sub/same")), 0);
	CHECK_EQ(reg(b, "/d", "t", ETFS_DIR_SUBDIRS), 0);
	CHECK_EQ(reg(b, "/one", "t", ETFS_DIR), 0);
	CHECK_EQ(reg(b, "/reg", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(b, "/blk", "f", ETFS_BLK, 100, 1000), 0);
	CHECK_EQ(reg_win(b, "/chr", "f", ETFS_CHR, 2000, 1024), 0);
	CHECK_EQ(reg(b, "/p/q/deep", "f", ETFS_REG), 0);
}

static int
look_up(struct bed *b, const char *path)
{
	struct vattr va;
	AUTO_VNODE vp = NULL;
	int r = namei(&b->v, path, &vp);

	return r < 0 ? r : vop_getattr(vp, NULL, &va);
}

/* Opens, moves some bytes, closes.  Written is what is there already. */
static int
move(struct bed *b, const char *path, int flags)
{
	AUTO_VNODE vp = NULL;
	struct file *f;
	char buf[512];
	ssize_t n;
	int r = namei(&b->v, path, &vp);

	if (r == 0)
		r = vop_open(vp, flags, &root_cred, &f);
	if (r < 0)
		return r;
	n = get(f, buf, sizeof(buf), 0);
	if (n > 0 && flags != O_RDONLY)
		n = put(f, buf, (size_t)n, 0);
	if (n >= 0)
		n = vop_fsync(vp, f, false);
	vop_close(f);
	return n < 0 ? (int)n : 0;
}

static int
list(struct bed *b, const char *path)
{
	_Alignas(8) char mem[96];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	AUTO_VNODE vp = NULL;
	struct file *f;
	int r = namei(&b->v, path, &vp);

	if (r == 0)
		r = vop_open(vp, O_RDONLY, &root_cred, &f);
	if (r < 0)
		return r;
	while ((r = vop_readdir(f, &db)) == 0 && db.db_used > 0)
		for (struct dirrec *d = NULL; (d = dirbuf_next(&db, d));)
			db.db_cookie = d->dr_cookie;
	vop_close(f);
	return r;
}

static int
set(struct bed *b, const char *path, unsigned valid)
{
	struct vattr_set vs = {.vs_valid = valid, .vs_mode = 0600, .vs_size = 1};
	AUTO_VNODE vp = NULL;
	int r = namei(&b->v, path, &vp);

	return r < 0 ? r : vop_setattr(vp, NULL, &vs, &root_cred);
}

static int
read_link(struct bed *b, const char *path)
{
	AUTO_VNODE vp = NULL;
	char buf[4096];
	size_t len;
	int r = namei(&b->v, path, &vp);

	return r < 0 ? r : vop_readlink(vp, buf, sizeof(buf), &len);
}

static int
hard_link(struct bed *b)
{
	AUTO_VNODE vp = NULL;
	AUTO_VNODE dvp = NULL;
	int r = namei(&b->v, "/d/file", &vp);

	if (r == 0)
		r = namei(&b->v, "/d/sub", &dvp);
	return r < 0 ? r : vop_link(vp, dvp, nm("new"), &root_cred);
}

static int
stat_fs(struct bed *b)
{
	AUTO_VNODE vp = NULL;
	struct statvfs sv;
	int r = namei(&b->v, "/d", &vp);

	return r < 0 ? r : vop_statfs(vp, &sv);
}

static int
set_xattr(struct bed *b)
{
	AUTO_VNODE vp = NULL;
	int r = namei(&b->v, "/d/file", &vp);

	if (r == 0)
		r = vop_setxattr(vp, "user.x", "y", 1, 0, &root_cred);
	return r == -EOPNOTSUPP ? 0 : r; /* an older kernel's tmpfs */
}

static int
another(void)
{
	struct etfs_opts eo = {.eo_ttl_ns = 1};
	struct etfs *e;
	struct vfs v;
	struct rumpfs_opts ro = {.ro_mode = 0755};
	struct vnode *root;
	int r = vfs_init(&v);

	if (r < 0)
		return r;
	r = rumpfs_new(&v, &ro, &root);
	if (r == 0) {
		r = etfs_new(&v, &eo, &e);
		if (r == 0)
			etfs_free(e);
		vn_unref(root);
	}
	vfs_done(&v);
	return r;
}

#define SCENARIOS(X)                                                      \
	X(register_reg, reg(b, "/n", "f", ETFS_REG), 0)                   \
	X(register_blk, reg_win(b, "/n", "f", ETFS_BLK, 4000, 100), 0)    \
	X(register_chr, reg_win(b, "/n", "f", ETFS_CHR, 4000, 100), 0)    \
	X(register_dir, reg(b, "/n", "t", ETFS_DIR), 0)                   \
	X(register_subdirs, reg(b, "/n", "t", ETFS_DIR_SUBDIRS), 0)       \
	X(register_auto, reg(b, "/n", "t", ETFS_AUTO), 0)                 \
	X(register_deep, reg(b, "/p/1/2/n", "f", ETFS_REG), 0)            \
	X(register_nested, reg(b, "/d/sub/n", "f", ETFS_REG), 0)          \
	X(register_nested_deep, reg(b, "/d/sub/1/2/n", "f", ETFS_REG), 0) \
	X(register_over, reg(b, "/d/file", "f", ETFS_REG), 0)             \
	X(register_between, reg(b, "/p", "t", ETFS_DIR_SUBDIRS), 0)       \
	X(register_root, reg(b, "/", "t", ETFS_DIR_SUBDIRS), 2)           \
	X(remove_reg, etfs_remove(b->e, "/reg"), 0)                       \
	X(remove_blk, etfs_remove(b->e, "/blk"), 0)                       \
	X(remove_dir, etfs_remove(b->e, "/d"), 0)                         \
	X(remove_deep, etfs_remove(b->e, "/p/q/deep"), 0)                 \
	X(look_up, look_up(b, "/d/sub/inner"), 0)                         \
	X(look_up_key, look_up(b, "/blk"), 0)                             \
	X(move_reg, move(b, "/reg", O_RDWR), 0)                           \
	X(move_blk, move(b, "/blk", O_RDWR), 0)                           \
	X(move_chr, move(b, "/chr", O_RDWR), 0)                           \
	X(move_file, move(b, "/d/file", O_RDWR), 0)                       \
	X(truncating_open, move(b, "/d/sub/inner", O_RDWR | O_TRUNC), 1)  \
	X(create, do_create(b, "/d/new", O_RDWR, NULL), 0)                \
	X(create_there, do_create(b, "/d/file", O_RDWR, NULL), 0)         \
	X(make_dir, do_make(b, "/d/new", VDIR, NULL), 0)                  \
	X(make_file, do_make(b, "/d/new", VREG, NULL), 0)                 \
	X(make_link, do_make(b, "/d/new", VLNK, "to"), 0)                 \
	X(hard_link, hard_link(b), 0)                                     \
	X(unlink, do_remove(b, "/d/file", false), 0)                      \
	X(rmdir, do_remove(b, "/d/empty", true), 0)                       \
	X(rename, do_rename(b, "/d/file", "/d/sub/n", 0), 0)              \
	X(rename_onto, do_rename(b, "/d/file", "/d/sub/inner", 0), 0)     \
	X(rename_dir, do_rename(b, "/d/sub", "/d/empty/n", 0), 0)         \
	X(rename_dir_onto, do_rename(b, "/d/sub", "/d/empty", 0), 0)      \
	X(exchange, do_rename(b, "/d/sub", "/d/file", 2), 0)              \
	X(truncate, set(b, "/d/file", VS_SIZE), 0)                        \
	X(chmod, set(b, "/d/file", VS_MODE), 0)                           \
	X(both, set(b, "/d/file", VS_MODE | VS_SIZE), 1)                  \
	X(chmod_window, set(b, "/blk", VS_MODE), 0)                       \
	X(list, list(b, "/d/sub"), 0)                                     \
	X(list_one_level, list(b, "/one"), 0)                             \
	X(read_link, read_link(b, "/d/sub/l"), 0)                         \
	X(set_xattr, set_xattr(b), 0)                                     \
	X(stat_fs, stat_fs(b), 0)                                         \
	X(another, another(), 0)

#define DEFINE(id, expr, partly)           \
	static int run_##id(struct bed *b) \
	{                                  \
		(void)b;                   \
		return (expr);             \
	}
SCENARIOS(DEFINE)

static const struct scenario {
	const char *name;
	int (*run)(struct bed *b);
	/* 1: a failure may have done a part; 2: what was the root for a moment is kept
	 * until the end */
	int partly;
} scenarios[] = {
#define ROW(id, expr, partly) {#id, run_##id, partly},
    SCENARIOS(ROW)};

static FILE *host_out;
static size_t host_skip;

static int
host_line(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	uint64_t sum = 0;
	FILE *f = S_ISREG(st->st_mode) ? fopen(path, "r") : NULL;
	int c;

	(void)type;
	(void)ftw;
	while (f && (c = getc(f)) != EOF)
		sum = (sum << 7 | sum >> 57) + (unsigned)c + 1;
	if (f)
		fclose(f);
	fprintf(host_out, "host %s %o %lu %lld %llx\n", path + host_skip, st->st_mode,
	    (unsigned long)st->st_nlink,
	    (long long)(S_ISDIR(st->st_mode) ? 0 : st->st_size), (unsigned long long)sum);
	return 0;
}

static unsigned
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

struct state {
	char *dump;
	struct etfs_stats stats;
	uint32_t nodes, files, attached;
	unsigned fds;
};

static struct state
look(struct bed *b)
{
	const struct tree as = {.foreign = true, .no_data = true};
	struct state st;
	char *mount = NULL;
	size_t len;

	CHECK(tree_check_as(as, vfs_root_peek(&b->v), &mount));
	host_out = open_memstream(&st.dump, &len);
	host_skip = strlen(b->dir.path);
	fputs(mount, host_out);
	free(mount);
	nftw(b->dir.path, host_line, 8, FTW_PHYS);
	fclose(host_out);
	etfs_stats(b->e, &st.stats);
	st.nodes = slots_count(&b->v.vfs_nodes);
	st.files = slots_count(&b->v.vfs_files);
	st.attached = b->v.vfs_acount;
	st.fds = open_fds();
	return st;
}

static void
check_unchanged(struct state *was, struct state *is, int partly)
{
	CHECK(tree_same(was->dump, is->dump));
	CHECK_EQ(is->stats.et_keys, was->stats.et_keys);
	CHECK_EQ(is->attached, was->attached);
	if (partly == 2)
		return;
	CHECK_EQ(is->stats.et_nodes, was->stats.et_nodes);
	CHECK_EQ(is->nodes, was->nodes);
	CHECK_EQ(is->fds, was->fds);
}

/* One run with the n-th call failing; err 0: allocation, else host call.  *ret_r is what
 * it said.  False: the fault was not reached. */
static bool
once(struct bed *b, const struct scenario *sc, unsigned long n, int err, int *ret_r)
{
	struct state was = look(b), is;
	bool fired;
	int r;

	if (err)
		hc_fault_set(n, err);
	else
		fault_set(FAULT_ALLOC, n, ENOMEM);
	r = sc->run(b);
	fired = err ? hc_fault_calls() >= n : fault_end();
	hc_fault_set(0, 0);
	is = look(b);
	CHECK(r <= 0 && r > -4096);
	CHECK(r == 0 || fired);
	CHECK_EQ(is.files, was.files);
	if (r < 0 && sc->partly != 1) {
		check_unchanged(&was, &is, sc->partly);
	} else {
		free(was.dump);
		free(is.dump);
	}
	*ret_r = r;
	return fired;
}

/* After a failure the bed is used again: it must be as good as new. */
static void
every_call(int err)
{
	struct bed first; /* what is opened once and kept is open then */

	bed_plant(&first);
	bed_done(&first);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
		bool fired = true;
		unsigned long n = 1;
		unsigned fds = open_fds();

		while (fired && n < 1000) {
			struct bed b;
			unsigned was = t_bad;
			int r = -1;

			bed_plant(&b);
			for (; fired && r < 0 && t_bad == was; n++) {
				fired = once(&b, &scenarios[i], n, err, &r);
				if (t_bad != was)
					printf("  scenario %s, call %lu, errno %d: %d\n",
					    scenarios[i].name, n, err, r);
				if (scenarios[i].partly == 1)
					r = 0;
			}
			bed_done(&b);
		}
		CHECK(!fired);
		CHECK_EQ(open_fds(), fds);
	}
}

TEST(allocations)
{
	every_call(0);
}

static bool
checked(void)
{
	hc_fault_set(1, EIO);
	AUTO_FD probe = hc_open_root("/", O_PATH);
	hc_fault_set(0, 0);
	return probe == -EIO;
}

#define HOST_CALLS(err)                                                 \
	TEST(host_calls_##err)                                          \
	{                                                               \
		if (!checked())                                         \
			SKIP("host calls fail only in checked builds"); \
		every_call(err);                                        \
	}
HOST_CALLS(EIO)
HOST_CALLS(ENOSPC)
HOST_CALLS(EMFILE)
HOST_CALLS(EINTR)
