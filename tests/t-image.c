/*
 * Images in a namespace: mounting, use of devices, unmounting (vfs/ukfs/image.h).
 *
 * Beside the example module there are types of the test's own, one that writes and one that
 * fails as it is told.  In checked builds the end of each case aborts if a vnode is left.
 */
#include "tests/t-tmp.h"
#include "tests/t-ukfs.h"
#include "tests/t-vfs.h"
#include "vfs/image/fstype.h"
#include "vfs/ukfs/image.h"

struct place {
	struct world w;
	struct etfs *e;
	struct tmp dir;
	char text[80]; /* a host file of three lines */
};

static void
place_init(struct place *p)
{
	static const struct etfs_opts o;
	FILE *f;

	world_init(&p->w);
	CHECK_EQ(etfs_new(&p->w.v, &o, &p->e), 0);
	p->dir = tmp_new("/tmp");
	snprintf(p->text, sizeof(p->text), "%s/text", p->dir.path);
	f = fopen(p->text, "w");
	fputs("one\ntwo\nthree\n", f);
	fclose(f);
}

static void
place_done(struct place *p)
{
	etfs_free(p->e);
	world_done(&p->w);
	tmp_done(&p->dir);
}
#define PLACE(p)                                                \
	__attribute__((cleanup(place_done))) struct place p##_; \
	struct place *p = &p##_;                                \
	place_init(p)

static struct image_why why;

static struct image_spec
host_spec(struct place *p, const char *type, const char *at)
{
	return (struct image_spec){.is_path = at,
	    .is_type = type,
	    .is_host = p->text,
	    .is_size = ETFS_SIZE_END,
	    .is_uid = 7,
	    .is_gid = 8};
}

/* NULL: it was refused, with *ret_err. */
static struct image *
mount_spec(struct place *p, const struct image_spec *s, int *ret_err)
{
	struct image *im = NULL;
	int r = image_mount(&p->w.v, p->e, s, &im, &why);

	CHECK((r == 0) == (im != NULL));
	CHECK(r == 0 || (strstr(why.iw_text, s->is_path) && strlen(why.iw_text) > 15));
	if (ret_err)
		*ret_err = r;
	return im;
}

static struct image *
mount_at(struct place *p, const char *type, const char *at)
{
	struct image_spec s = host_spec(p, type, at);
	struct image *im = mount_spec(p, &s, NULL);

	if (!im)
		printf("%s\n", why.iw_text);
	return im;
}

static int
unmount(struct place *p, struct image *im, bool force)
{
	bool gone;
	int r = image_unmount(&p->w.v, im, force, &gone);

	CHECK(gone || r < 0);
	return r;
}

static const char *
text_at(struct place *p, const char *path)
{
	static char buf[256];
	AUTO_VNODE vp = NULL;
	struct file *f;
	ssize_t n = -1;
	int r = namei(&p->w.v, path, &vp);

	if (r == 0)
		r = vop_open(vp, O_RDONLY, &t_cred, &f);
	if (r == 0) {
		struct uio u;

		uio_init_buf(&u, buf, sizeof(buf) - 1, 0);
		r = vop_read(vp, f, &u);
		n = u.uio_fd < 0 ? (ssize_t)u.uio_done
		                 : pread(u.uio_fd, buf, u.uio_done, (off_t)u.uio_fdoff);
		vop_close(f);
	}
	if (r < 0) {
		const char *name = strerrorname_np(-r);

		return name ? name : "?";
	}
	buf[n < 0 ? 0 : n] = '\0';
	return buf;
}

static bool
reads(struct place *p, const char *path, const char *text)
{
	const char *got = text_at(p, path);

	if (strcmp(got, text) != 0)
		printf("%s: \"%s\", expected \"%s\"\n", path, got, text);
	return strcmp(got, text) == 0;
}

/* A type that writes, and does as it is told. */

static struct {
	int mount, unmount; /* what they return */
	bool turns_rdonly;
	unsigned mounts, unmounts;
	bool writable;
} told;

static struct {
	struct mount *mount;
	struct device *dev;
} keeps[4];

static unsigned
keeps_of(const struct mount *mp)
{
	unsigned i = 0;

	while (keeps[i].mount != mp)
		i++;
	return i;
}

static void
keep_free(struct mount *mp)
{
	unsigned i = keeps_of(mp);

	device_close(keeps[i].dev);
	keeps[i].mount = NULL;
	free(mp);
}

static int
keep_mount(struct fsmount *m, struct vnode **ret_root)
{
	struct rumpfs_opts ro = {0, 0, 0755, m->fm_uid, m->fm_gid};
	int r = told.mount;
	unsigned i = keeps_of(NULL);

	if (r < 0) {
		snprintf(m->fm_why, sizeof(m->fm_why), "as it was told");
		return r;
	}
	r = rumpfs_new(m->fm_vfs, &ro, ret_root);
	if (r < 0)
		return r;
	(*ret_root)->v_mount->mnt_free = keep_free;
	keeps[i].mount = (*ret_root)->v_mount;
	keeps[i].dev = m->fm_dev;
	told.mounts++;
	told.writable = device_writable(m->fm_dev);
	if (told.turns_rdonly) {
		m->fm_rdonly = true;
		snprintf(m->fm_why, sizeof(m->fm_why), "it turned");
	}
	return 0;
}

static int
keep_unmount(struct vnode *root)
{
	unsigned i = keeps_of(root->v_mount);
	int r = 0;

	if (device_writable(keeps[i].dev))
		r = device_write(keeps[i].dev, "END", 3, 0);
	CHECK_EQ(r, 0);
	rumpfs_empty(root);
	told.unmounts++;
	return told.unmount;
}

static struct fstype keep_type = {
    .ft_abi = FSTYPE_ABI,
    .ft_name = "keep",
    .ft_title = "a tree in memory that keeps a device",
    .ft_mount = keep_mount,
    .ft_unmount = keep_unmount,
};

static void
tell(void)
{
	(void)fstype_register(&keep_type); /* -EEXIST: done before */
	memset(&told, 0, sizeof(told));
}

TEST(the_lines_of_a_host_file)
{
	PLACE(p);
	struct image *im = mount_at(p, "lines", "/a/b");
	struct vattr va;

	REQUIRE(im);
	CHECK(why.iw_text[0] == '\0');
	CHECK(strcmp(image_type(im), "lines") == 0);
	CHECK(strcmp(image_path(im), "/a/b") == 0);
	CHECK(image_rdonly(im));
	CHECK(reads(p, "/a/b/1", "one\n"));
	CHECK(reads(p, "/a/b/3", "three\n"));
	CHECK(reads(p, "/a/b/4", "ENOENT"));
	CHECK(reads(p, "/a/b/01", "ENOENT"));
	CHECK_EQ(p_stat(&p->w, "/a/b/3", &va), 0);
	CHECK_EQ(va.va_size, 6);
	CHECK_EQ(va.va_uid, 7);
	CHECK_EQ(va.va_gid, 8);
	CHECK_EQ(p_make(&p->w, "/a/b/new", VREG), -EROFS);
	CHECK_EQ(p_unlink(&p->w, "/a/b/1"), -EROFS);
	CHECK_EQ(p_unlink(&p->w, "/a/b"), -EBUSY);
	CHECK_EQ(image_sync(im), 0);
	CHECK_EQ(unmount(p, im, false), 0);
	CHECK(!p_exists(&p->w, "/a"));
}

TEST(a_window_of_a_host_file)
{
	PLACE(p);
	struct image_spec s = host_spec(p, "lines", "/w");
	struct image *im;
	int r;

	s.is_begin = 4;
	s.is_size = 6;
	im = mount_spec(p, &s, NULL);
	REQUIRE(im);
	CHECK(reads(p, "/w/1", "two\n"));
	CHECK(reads(p, "/w/2", "th"));
	CHECK(reads(p, "/w/3", "ENOENT"));
	CHECK_EQ(unmount(p, im, false), 0);
	s.is_begin = 15;
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EINVAL);
	s.is_begin = 14;
	s.is_size = ETFS_SIZE_END;
	im = mount_spec(p, &s, NULL); /* empty, and that is a text too */
	REQUIRE(im);
	CHECK(reads(p, "/w/1", "ENOENT"));
	CHECK_EQ(unmount(p, im, false), 0);
}

TEST(refusals_change_nothing)
{
	PLACE(p);
	struct image *first = mount_at(p, "lines", "/there");
	char none[160];
	unsigned before;
	struct image_spec good = host_spec(p, "lines", "/x");

	REQUIRE(first);
	snprintf(none, sizeof(none), "%s/none", p->dir.path);
	CHECK_EQ(p_make(&p->w, "/mem", VREG), 0);
	CHECK_EQ(p_make(&p->w, "/fifo", VFIFO), 0);
	const struct {
		const char *at, *type, *host, *device, *options, *text;
		int err;
	} rows[] = {
	    {"/x", "nofs", p->text, NULL, NULL, "lines, rumpfs", -ENODEV},
	    {"/x", "auto", p->text, NULL, NULL, "recognises", -ENODEV},
	    {"/x", "lines", none, NULL, NULL, "none", -ENOENT},
	    {"/x", "lines", p->dir.path, NULL, NULL, "directory", -EINVAL},
	    {"/x", "lines", NULL, NULL, NULL, "needs a device", -EINVAL},
	    {"/x", "auto", NULL, NULL, NULL, "needs a device", -EINVAL},
	    {"/x", "rumpfs", p->text, NULL, NULL, "no device", -EINVAL},
	    {"/x", "rumpfs", NULL, NULL, "size=x", "size", -EINVAL},
	    {"/x", "rumpfs", NULL, NULL, "wrong", "wrong", -EINVAL},
	    {"/x", "lines", NULL, "/none", NULL, "No such", -ENOENT},
	    {"/x", "lines", NULL, "/", NULL, "", -EISDIR},
	    {"/x", "lines", NULL, "/fifo", NULL, "", -EINVAL},
	    {"/there", "lines", p->text, NULL, NULL, "something is mounted", -EEXIST},
	    {"/mem/x", "lines", p->text, NULL, NULL, "not a directory", -ENOTDIR},
	    {"x", "rumpfs", NULL, NULL, NULL, "", -EINVAL},
	    {"/a/../x", "rumpfs", NULL, NULL, NULL, "", -EINVAL},
	};
	before = slots_count(&p->w.v.vfs_nodes);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct image_spec s = good;
		int r;

		s.is_path = rows[i].at;
		s.is_type = rows[i].type;
		s.is_host = rows[i].host;
		s.is_device = rows[i].device;
		s.is_options = rows[i].options;
		CHECK(!mount_spec(p, &s, &r));
		if (r != rows[i].err || !strstr(why.iw_text, rows[i].text)) {
			printf("row %zu: %d: %s\n", i, r, why.iw_text);
			t_bad++;
		}
		CHECK_EQ(slots_count(&p->w.v.vfs_nodes), before);
		CHECK_EQ(slots_count(&p->w.v.vfs_files), 1);
	}
	CHECK(reads(p, "/there/1", "one\n"));
	CHECK_EQ(unmount(p, first, false), 0);
}

TEST(what_is_only_read_is_shared)
{
	PLACE(p);
	struct image *a = mount_at(p, "lines", "/a"), *b = mount_at(p, "lines", "/b");

	REQUIRE(a && b);
	CHECK(reads(p, "/a/2", "two\n"));
	CHECK(reads(p, "/b/2", "two\n"));
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK(reads(p, "/b/2", "two\n"));
	CHECK_EQ(unmount(p, b, false), 0);
}

TEST(what_is_written_is_ones_own)
{
	PLACE(p);
	struct image_spec s, ro;
	struct image *a, *b;
	int r;

	tell();
	a = mount_at(p, "keep", "/a");
	REQUIRE(a);
	CHECK(told.writable);
	CHECK(!image_rdonly(a));
	/* The same bytes, in whatever way. */
	s = host_spec(p, "keep", "/b");
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EBUSY);
	CHECK(strstr(why.iw_text, "mounted already"));
	ro = s;
	ro.is_rdonly = true;
	CHECK(!mount_spec(p, &ro, &r));
	CHECK_EQ(r, -EBUSY);
	ro.is_begin = 13;
	ro.is_size = 1;
	CHECK(!mount_spec(p, &ro, &r));
	CHECK_EQ(r, -EBUSY);
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK_EQ(told.unmounts, 1);
	/* Two read it, and then nobody can write it. */
	ro = s;
	ro.is_rdonly = true;
	a = mount_spec(p, &ro, NULL);
	REQUIRE(a);
	CHECK(!told.writable);
	ro.is_path = "/c";
	b = mount_spec(p, &ro, NULL);
	REQUIRE(b);
	s.is_path = "/d";
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EBUSY);
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK_EQ(unmount(p, b, false), 0);
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	CHECK_EQ(unmount(p, a, false), 0);
}

TEST(windows_that_touch_and_windows_that_overlap)
{
	PLACE(p);
	struct image_spec s = host_spec(p, "keep", "/a");
	struct image *a, *b;
	int r;

	tell();
	s.is_size = 7;
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	s.is_path = "/b";
	s.is_begin = 6;
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EBUSY);
	s.is_begin = 7;
	b = mount_spec(p, &s, NULL);
	REQUIRE(b);
	/* Keys of the namespace are the same bytes too. */
	CHECK_EQ(etfs_register_withsize(p->e, "/key", p->text, ETFS_BLK, 0, 3), 0);
	s = (struct image_spec){.is_path = "/c", .is_type = "keep", .is_device = "/key"};
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EBUSY);
	CHECK_EQ(unmount(p, a, false), 0);
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK_EQ(unmount(p, b, false), 0);
}

static int
write_to(struct place *p, const char *path, int flags)
{
	AUTO_VNODE vp = NULL;
	struct file *f;
	int r = namei(&p->w.v, path, &vp);

	if (r == 0)
		r = vop_open(vp, flags, &t_cred, &f);
	if (r == 0)
		vop_close(f);
	return r;
}

static int
cut(struct place *p, const char *path)
{
	static const struct vattr_set empty = {.vs_valid = VS_SIZE};
	AUTO_VNODE vp = NULL;
	int r = namei(&p->w.v, path, &vp);

	return r < 0 ? r : vop_setattr(vp, NULL, &empty, &t_cred);
}

/* What is read there is lent, and who is lent cannot tell a cut file from its end. */
TEST(a_host_file_that_is_cut_short)
{
	PLACE(p);
	struct image *im = mount_at(p, "lines", "/a");

	REQUIRE(im);
	CHECK(reads(p, "/a/3", "three\n"));
	CHECK_EQ(truncate(p->text, 6), 0);
	CHECK(reads(p, "/a/1", "one\n"));
	CHECK(reads(p, "/a/2", "EIO"));
	CHECK(reads(p, "/a/3", "EIO"));
	CHECK_EQ(unmount(p, im, false), 0);
}

TEST(a_key_that_is_mounted_stays)
{
	PLACE(p);
	struct image_spec s = {
	    .is_path = "/a", .is_type = "lines", .is_device = "/dev/key"};
	struct image *a, *b;

	CHECK_EQ(etfs_register(p->e, "/dev/key", p->text, ETFS_BLK), 0);
	a = mount_spec(p, &s, NULL);
	s.is_path = "/b";
	b = mount_spec(p, &s, NULL);
	REQUIRE(a && b);
	CHECK_EQ(etfs_remove(p->e, "/dev/key"), -EBUSY);
	CHECK_EQ(write_to(p, "/dev/key", O_WRONLY), -EBUSY);
	CHECK_EQ(write_to(p, "/dev/key", O_RDONLY | O_TRUNC), -EBUSY);
	CHECK_EQ(cut(p, "/dev/key"), -EBUSY);
	CHECK(reads(p, "/dev/key", "one\ntwo\nthree\n"));
	CHECK(reads(p, "/a/1", "one\n"));
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK_EQ(etfs_remove(p->e, "/dev/key"), -EBUSY);
	CHECK_EQ(unmount(p, b, false), 0);
	CHECK_EQ(write_to(p, "/dev/key", O_WRONLY), 0);
	CHECK_EQ(etfs_remove(p->e, "/dev/key"), 0);
	CHECK(!p_exists(&p->w, "/dev"));
}

TEST(a_key_that_cannot_be_written)
{
	PLACE(p);
	struct etfs_spec es = {.es_key = "/key",
	    .es_host = p->text,
	    .es_type = ETFS_BLK,
	    .es_size = ETFS_SIZE_END,
	    .es_rdonly = true};
	struct image_spec s = {.is_path = "/a", .is_type = "keep", .is_device = "/key"};
	struct image *a;
	int r;

	tell();
	CHECK_EQ(etfs_register_spec(p->e, &es, NULL), 0);
	CHECK(!mount_spec(p, &s, &r));
	CHECK_EQ(r, -EROFS);
	s.is_rdonly = true;
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	CHECK_EQ(unmount(p, a, false), 0);
}

TEST(what_the_type_refuses_can_be_tried_again)
{
	PLACE(p);
	struct image_spec s = host_spec(p, "keep", "/a");
	struct image *a;
	int r;

	tell();
	told.mount = -EUCLEAN;
	for (int i = 0; i < 3; i++) {
		CHECK(!mount_spec(p, &s, &r));
		CHECK_EQ(r, -EUCLEAN);
		CHECK(strstr(why.iw_text, "keep: as it was told"));
	}
	CHECK_EQ(slots_count(&p->w.v.vfs_files), 0);
	told.mount = 0;
	told.turns_rdonly = true;
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	CHECK(strstr(why.iw_text, "it turned"));
	CHECK(image_rdonly(a));
	CHECK_EQ(p_make(&p->w, "/a/x", VREG), -EROFS);
	/* It has been unmounted although there is something to say of it. */
	told.unmount = -EIO;
	bool gone;
	CHECK_EQ(image_unmount(&p->w.v, a, false, &gone), -EIO);
	CHECK(gone);
	CHECK(!p_exists(&p->w, "/a"));
}

TEST(open_files_keep_it_mounted)
{
	PLACE(p);
	struct image *im = mount_at(p, "lines", "/a");
	struct file *f;
	struct vnode *vp, *line;
	char buf[16];
	bool gone = true;
	struct uio u;

	REQUIRE(im);
	line = p_get(&p->w, "/a/1");
	vp = p_get(&p->w, "/a/2");
	REQUIRE(vp && line);
	CHECK_EQ(vop_open(vp, O_RDONLY, &t_cred, &f), 0);
	CHECK_EQ(image_unmount(&p->w.v, im, false, &gone), -EBUSY);
	CHECK(!gone);
	CHECK(reads(p, "/a/2", "two\n"));
	CHECK_EQ(image_unmount(&p->w.v, im, true, &gone), 0);
	CHECK(gone);
	CHECK(!p_exists(&p->w, "/a"));
	uio_init_buf(&u, buf, sizeof(buf), 0);
	CHECK_EQ(vop_read(vp, f, &u), -EIO);
	vop_close(f);
	vn_unref(vp);
	/* The last of its users takes the mount along. */
	vn_unref(line);
	im = mount_at(p, "lines", "/a");
	REQUIRE(im);
	CHECK(reads(p, "/a/2", "two\n"));
	CHECK_EQ(unmount(p, im, false), 0);
}

TEST(an_image_in_an_image_in_memory)
{
	PLACE(p);
	struct image_spec s = {.is_type = "lines"};
	struct image *a, *b, *c;
	bool gone;

	CHECK_EQ(p_make(&p->w, "/text", VREG), 0);
	CHECK_EQ(p_write(&p->w, "/text", "first\nsecond\n", 13, 0), 13);
	s.is_path = "/a";
	s.is_device = "/text";
	a = mount_spec(p, &s, NULL);
	s.is_path = "/a2/b";
	s.is_device = "/a/2";
	b = mount_spec(p, &s, NULL);
	s.is_path = "/c";
	s.is_device = "/a2/b/1";
	c = mount_spec(p, &s, NULL);
	REQUIRE(a && b && c);
	CHECK(reads(p, "/c/1", "second\n"));
	CHECK_EQ(image_unmount(&p->w.v, a, false, &gone), -EBUSY);
	CHECK_EQ(image_unmount(&p->w.v, b, false, &gone), -EBUSY);
	CHECK(reads(p, "/c/1", "second\n"));
	CHECK_EQ(unmount(p, c, false), 0);
	/* What lies on what is forced away is an error, and can be unmounted. */
	CHECK_EQ(unmount(p, a, true), 0);
	CHECK_EQ(unmount(p, b, true), 0);
	CHECK(!p_exists(&p->w, "/a2"));
}

TEST(over_what_is_there_and_over_one_another)
{
	PLACE(p);
	struct image_spec s = {.is_type = "rumpfs", .is_path = "/d"};
	struct image *a, *b, *root;

	CHECK_EQ(p_make(&p->w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&p->w, "/d/under", VREG), 0);
	a = mount_spec(p, &s, NULL);
	REQUIRE(a);
	CHECK(!p_exists(&p->w, "/d/under"));
	CHECK_EQ(p_make(&p->w, "/d/x", VDIR), 0);
	s.is_path = "/d/x/y";
	b = mount_spec(p, &s, NULL);
	REQUIRE(b);
	CHECK_EQ(p_make(&p->w, "/d/x/y/z", VREG), 0);
	CHECK_EQ(p_rename(&p->w, "/d/x", "/d/w", 0), -EBUSY);
	CHECK_EQ(p_rename(&p->w, "/d/x/y/z", "/d/z", 0), -EXDEV);
	s = host_spec(p, "lines", "/");
	root = mount_spec(p, &s, NULL);
	REQUIRE(root);
	CHECK(reads(p, "/1", "one\n"));
	CHECK(p_exists(&p->w, "/d/x/y/z"));
	CHECK_EQ(unmount(p, root, false), 0);
	/* The upper goes first or last; the lower stays. */
	CHECK_EQ(unmount(p, a, false), 0);
	CHECK(p_exists(&p->w, "/d/under"));
	CHECK(p_exists(&p->w, "/d/x/y/z"));
	CHECK_EQ(unmount(p, b, false), 0);
	CHECK(p_exists(&p->w, "/d/under"));
}

TEST(a_tree_in_memory_gives_its_memory_back)
{
	PLACE(p);
	uint32_t before = slots_count(&p->w.v.vfs_nodes);
	struct image_spec s = {.is_type = "rumpfs",
	    .is_path = "/m",
	    .is_options = "size=1M,inodes=3000,mode=700"};
	char path[64];
	struct vattr va;

	for (int round = 0; round < 3; round++) {
		struct image *im = mount_spec(p, &s, NULL);
		struct vnode *kept;
		struct file *f;

		REQUIRE(im);
		CHECK_EQ(p_stat(&p->w, "/m", &va), 0);
		CHECK_EQ(va.va_mode, S_IFDIR | 0700);
		strcpy(path, "/m");
		for (int i = 0; i < 20; i++) { /* deep, and wide */
			strcat(path, "/d");
			CHECK_EQ(p_make(&p->w, path, VDIR), 0);
		}
		for (int i = 0; i < 2000; i++) {
			snprintf(path, sizeof(path), "/m/d/f%d", i);
			CHECK_EQ(p_make(&p->w, path, VREG), 0);
		}
		CHECK_EQ(p_make(&p->w, "/m/link", VLNK), 0);
		CHECK_EQ(p_link(&p->w, "/m/d/f1", "/m/hard"), 0);
		CHECK_EQ(p_write(&p->w, "/m/hard", "data", 4, 0), 4);
		CHECK_EQ(p_write(&p->w, "/m/d/f2", "x", 1, 2 << 20), 1);
		kept = p_get(&p->w, "/m/hard");
		CHECK_EQ(vop_open(kept, O_RDWR, &t_cred, &f), 0);
		CHECK_EQ(unmount(p, im, false), -EBUSY);
		CHECK_EQ(unmount(p, im, true), 0);
		/* What is open lives on, alone. */
		CHECK_EQ(v_read(kept, path, 4, 0), 4);
		vop_close(f);
		CHECK(slots_count(&p->w.v.vfs_nodes) <= before + 2);
		vn_unref(kept);
		CHECK_EQ(slots_count(&p->w.v.vfs_nodes), before);
	}
}
