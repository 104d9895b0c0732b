/* A host that changes: directories that are moved away, inode numbers that come back. */
#include <linux/fs.h>

#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"

static int
look(struct vnode *dvp, const char *name)
{
	struct vnode *vp;
	struct name n;
	int r = name_init(&n, name);

	if (r == 0)
		r = vop_lookup(dvp, &n, &vp);
	if (r == 0)
		vn_unref(vp);
	return r;
}

static int
make_file(struct vnode *dvp, const char *name)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};
	struct vnode *vp;
	struct name n;
	int r = name_init(&n, name);

	if (r == 0)
		r = vop_make(dvp, &n, &mk, &root_cred, &vp);
	if (r == 0)
		vn_unref(vp);
	return r;
}

/* Everything that is done in or to a directory gives want. */
static void
check_all(struct bed *b, struct vnode *d, int want)
{
	struct vattr_set vs = {.vs_valid = VS_MODE, .vs_mode = 0755};
	AUTO_VNODE top = at(b, "/d");
	struct file *f;
	struct vattr va;
	struct name n, m;
	int r = vop_open(d, O_RDONLY | O_DIRECTORY, &root_cred, &f);

	CHECK_EQ(r, want);
	if (r == 0)
		vop_close(f);
	name_init(&n, "made");
	name_init(&m, "renamed");
	CHECK_EQ(look(d, "file"), want);
	CHECK_EQ(make_file(d, "made"), want);
	CHECK_EQ(vop_rename(d, &n, top, &m, 0, &root_cred), want);
	CHECK_EQ(vop_rename(top, &m, d, &n, 0, &root_cred), want);
	CHECK_EQ(vop_unlink(d, &n, &root_cred), want);
	CHECK_EQ(vop_setattr(d, NULL, &vs, &root_cred), want);
	CHECK_EQ(vop_getattr(d, NULL, &va), want);
}

/* The same for one that is open all the time. */
static void
check_open(struct file *f, int want)
{
	char buf[1024] __attribute__((aligned(8)));
	struct dirbuf db = {.db_base = buf, .db_cap = sizeof(buf)};
	int flags;

	CHECK_EQ(vop_readdir(f, &db), want);
	CHECK_EQ(db.db_used != 0, want == 0);
	CHECK_EQ(vop_fsync(f->f_vp, f, false), want);
	if (want < 0)
		CHECK_EQ(vop_ioctl(f->f_vp, f, FS_IOC_GETFLAGS, NULL, 0, &flags,
			     sizeof(flags), &root_cred),
		    want);
}

/* How long names are good for in the next test. */
static void
moved_away(uint64_t ttl_ns)
{
	struct etfs_opts eo = {.eo_ttl_ns = ttl_ns};
	struct bed b __attribute__((cleanup(bed_done)));
	struct vnode *a, *deep;
	struct file *f;

	b.dir = tmp_new("/dev/shm");
	bed_start_opts(&b, &eo);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/a"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/a/b"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/a/b/deep"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/x"), 0755), 0);
	/* The same beginning, and not below it. */
	CHECK_EQ(mkdir(host(&b, "tt"), 0755), 0);
	host_text(&b, "t/a/b/deep/file", "f");
	host_text(&b, "t/a/file", "f");
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	a = at(&b, "/d/a");
	deep = at(&b, "/d/a/b/deep");
	f = open_at(&b, "/d/a/b/deep", O_RDONLY | O_DIRECTORY);
	REQUIRE(f);
	check_all(&b, a, 0);
	check_all(&b, deep, 0);
	check_open(f, 0);
	CHECK_EQ(rename(host(&b, "t/a"), host(&b, "t/x/a")), 0);
	usleep((unsigned)(ttl_ns / 1000) * 2 + 10000);
	check_all(&b, a, 0); /* within the key */
	check_all(&b, deep, 0);
	check_open(f, 0);
	CHECK_EQ(rename(host(&b, "t/x/a"), host(&b, "tt/a")), 0);
	usleep((unsigned)(ttl_ns / 1000) * 2 + 10000);
	check_open(f, -ESTALE);
	check_all(&b, deep, -ESTALE);
	check_all(&b, a, -ESTALE);
	CHECK_EQ(access(host(&b, "tt/a/b/deep/made"), F_OK), -1);
	CHECK_EQ(rename(host(&b, "tt/a"), host(&b, "t/back")), 0);
	check_open(f, 0);
	vop_close(f);
	check_all(&b, a, 0);
	check_all(&b, deep, 0);
	/* The root itself may go anywhere. */
	CHECK_EQ(rename(host(&b, "t"), host(&b, "tt/t")), 0);
	usleep((unsigned)(ttl_ns / 1000) * 2 + 10000);
	check_all(&b, deep, 0);
	vn_unref(a);
	vn_unref(deep);
}

TEST(moved_away_without_cache)
{
	moved_away(0);
}

TEST(moved_away_after_the_cache_time)
{
	moved_away(50000000);
}

/* Within the cache time nothing is asked. */
TEST(asked_once_in_the_cache_time)
{
	AUTO_BED b;
	struct vnode *d;
	unsigned long first, second;

	bed_start(&b, 0);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/a"), 0755), 0);
	host_text(&b, "t/a/file", "f");
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	d = at(&b, "/d/a");
	hc_fault_set(0, 0);
	CHECK_EQ(look(d, "file"), 0);
	first = hc_fault_calls();
	atomic_store(&node_of(d)->n_inside_ns, 0);
	hc_fault_set(0, 0);
	CHECK_EQ(look(d, "file"), 0);
	second = hc_fault_calls();
	vn_unref(d);
	if (!first)
		SKIP("not a checked build");
	CHECK_EQ(second, first + 1);
}

/* Paths longer than the kernel tells are climbed. */
TEST(deep_trees)
{
	static char name[201];
	AUTO_BED b;
	int fd, up, out;

	bed_start(&b, 0);
	memset(name, 'n', 200);
	fd = open(b.dir.path, O_PATH | O_DIRECTORY);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(mkdirat(fd, name, 0755), 0);
		up = openat(fd, name, O_PATH | O_DIRECTORY);
		close(fd);
		fd = up;
	}
	CHECK_EQ(hc_inside(fd, b.dir.fd), 1);
	CHECK_EQ(hc_inside(b.dir.fd, b.dir.fd), 1);
	CHECK_EQ(hc_inside(b.dir.fd, fd), 0);
	out = open("/usr", O_PATH | O_DIRECTORY);
	CHECK_EQ(hc_inside(fd, out), 0);
	CHECK_EQ(hc_inside(out, b.dir.fd), 0);
	close(out);
	out = open("/", O_PATH | O_DIRECTORY);
	CHECK_EQ(hc_inside(fd, out), 1);
	close(out);
	close(fd);
}

/* A number that comes back within one tick of the clock, and so with the same birth time,
 * is another file. */
TEST(generations_tell_lives_apart)
{
	AUTO_BED b;
	struct vnode *vp, *other;
	struct hc_stat hs;
	uint64_t gen;
	int fd;

	bed_start(&b, 0);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	host_text(&b, "t/f", "f");
	fd = open(host(&b, "t/f"), O_RDONLY);
	if (hc_generation(fd, &gen) < 0) {
		close(fd);
		SKIP("no generations here");
	}
	CHECK(gen != 0);
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	vp = at(&b, "/d/f");
	CHECK_EQ(node_of(vp)->n_gen, gen);
	CHECK_EQ(hc_stat(fd, &hs), 0);
	CHECK(node_same(node_of(vp), &hs, fd));
	other = at(&b, "/d/f");
	CHECK(other == vp);
	vn_unref(other);
	/* As if it had another, which the host cannot be made to do at will. */
	node_of(vp)->n_gen ^= 2;
	CHECK(!node_same(node_of(vp), &hs, fd));
	other = at(&b, "/d/f");
	CHECK(other != vp && other->v_id != vp->v_id);
	vn_unref(other);
	vn_unref(vp);
	close(fd);
}
