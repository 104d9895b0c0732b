/* Directory keys: what shows, what passes through, identity, and the bounded fds. */
#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"

TEST(what_shows)
{
	static const struct {
		enum etfs_symlinks links;
		bool special;
		const char *names;
		int link_err, fifo_err;
		enum vtype link_type;
	} rows[] = {
	    {ETFS_SYMLINKS_SHOW, false, "file link sub", 0, -ENOENT, VLNK},
	    {ETFS_SYMLINKS_SHOW, true, "fifo file link sub", 0, 0, VLNK},
	    {ETFS_SYMLINKS_HIDE, false, "file sub", -ENOENT, -ENOENT, 0},
	    {ETFS_SYMLINKS_FOLLOW, true, "fifo file link sub", 0, 0, VREG},
	};
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vnode *vp;

		CHECK_EQ(
		    reg_dir(&b, "/d", "t", ETFS_AUTO, rows[i].links, rows[i].special), 0);
		CHECK_STR(names(&b, "/d"), rows[i].names);
		CHECK_STR(names_cap(&b, "/d", 48), rows[i].names);
		CHECK_EQ(at_err(&b, "/d/link"), rows[i].link_err);
		CHECK_EQ(at_err(&b, "/d/fifo"), rows[i].fifo_err);
		vp = at(&b, "/d/link");
		CHECK_EQ(vp ? vp->v_type : 0, rows[i].link_type);
		if (vp)
			vn_unref(vp);
		CHECK(mount_is(&b, "/d/sub/inner", "in"));
		CHECK_EQ(at_err(&b, "/d/none"), -ENOENT);
		CHECK_EQ(at_err(&b, "/d/file/x"), -ENOTDIR);
		CHECK_EQ(etfs_remove(b.e, "/d"), 0);
	}
}

TEST(hidden_is_protected)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_HIDE, false), 0);
	CHECK_EQ(do_remove(&b, "/d/fifo", false), -ENOENT);
	CHECK_EQ(do_remove(&b, "/d/link", false), -ENOENT);
	CHECK_EQ(do_rename(&b, "/d/fifo", "/d/x", 0), -ENOENT);
	CHECK_EQ(do_rename(&b, "/d/file", "/d/fifo", 0), -EEXIST);
	CHECK_EQ(do_rename(&b, "/d/file", "/d/fifo", RENAME_EXCHANGE), -ENOENT);
	CHECK_EQ(do_make(&b, "/d/fifo", VREG, NULL), -EEXIST);
	CHECK_EQ(do_make(&b, "/d/fifo", VDIR, NULL), -EEXIST);
	CHECK_EQ(do_create(&b, "/d/fifo", O_RDWR, NULL), -EEXIST);
	CHECK_EQ(do_create(&b, "/d/link", O_RDWR, NULL), -EEXIST);
	CHECK_EQ(do_link(&b, "/d/file", "/d/fifo"), -EEXIST);
	CHECK_EQ(do_make(&b, "/d/s", VLNK, "x"), -EPERM);
	CHECK_EQ(do_make(&b, "/d/p", VFIFO, NULL), -EPERM);
	CHECK_EQ(access(host(&b, "t/fifo"), F_OK), 0);
	CHECK(host_is(&b, "t/file", "top"));
}

TEST(pass_through)
{
	char target[4096];
	struct vnode *vp;
	struct file *f = NULL;
	struct stat st;
	size_t len;
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, true), 0);
	CHECK_EQ(do_make(&b, "/d/new", VDIR, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/new", VDIR, NULL), -EEXIST);
	CHECK_EQ(do_make(&b, "/d/new/p", VFIFO, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/new/f", VREG, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/new/l", VLNK, "some/where"), 0);
	vp = at(&b, "/d/new/l");
	REQUIRE(vp);
	CHECK_EQ(vop_readlink(vp, target, sizeof(target), &len), 0);
	CHECK(len == 10 && memcmp(target, "some/where", 10) == 0);
	CHECK_EQ(attr(&b, "/d/new/l").va_size, 10);
	vn_unref(vp);
	CHECK_EQ(do_create(&b, "/d/new/c", O_RDWR | O_EXCL, &f), 0);
	REQUIRE(f);
	CHECK_EQ(put(f, "data", 4, 0), 4);
	CHECK_EQ(vop_fsync(f->f_vp, f, true), 0);
	CHECK(host_is(&b, "t/new/c", "data"));
	/* Unlinked while open: it can still be asked about and used. */
	CHECK_EQ(do_remove(&b, "/d/new/c", false), 0);
	fds_shrink(b.e);
	struct vattr va;
	CHECK_EQ(vop_getattr(f->f_vp, NULL, &va), 0);
	CHECK_EQ(va.va_nlink, 0);
	CHECK_EQ(get(f, target, 10, 0), 4);
	vop_close(f);
	CHECK_EQ(do_create(&b, "/d/file", O_RDWR | O_EXCL, NULL), -EEXIST);
	CHECK_EQ(do_create(&b, "/d/file", O_RDWR, NULL), 0);
	CHECK(host_is(&b, "t/file", "top"));
	CHECK_EQ(do_create(&b, "/d/file", O_RDWR | O_TRUNC, NULL), 0);
	CHECK(host_is(&b, "t/file", ""));
	CHECK_EQ(do_create(&b, "/d/link", O_RDWR, NULL), -ESTALE);
	CHECK_EQ(do_create(&b, "/d/sub", O_RDWR, NULL), -EISDIR);
	/* Hard links are one vnode. */
	CHECK_EQ(do_link(&b, "/d/file", "/d/sub/hard"), 0);
	AUTO_VNODE one = at(&b, "/d/file");
	AUTO_VNODE two = at(&b, "/d/sub/hard");
	CHECK(one && one == two);
	CHECK_EQ(attr(&b, "/d/file").va_nlink, 2);
	CHECK_EQ(do_remove(&b, "/d/sub", true), -ENOTEMPTY);
	CHECK_EQ(do_remove(&b, "/d/sub", false), -EISDIR);
	CHECK_EQ(do_remove(&b, "/d/sub/hard", true), -ENOTDIR);
	CHECK_EQ(do_remove(&b, "/d/sub/hard", false), 0);
	CHECK_EQ(set_mode(&b, "/d/file", 0600), 0);
	CHECK_EQ(set_size(&b, "/d/file", 100), 0);
	CHECK_EQ(stat(host(&b, "t/file"), &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK_EQ(st.st_size, 100);
	CHECK_EQ(attr(&b, "/d/file").va_ino & 0xffffffffffff, st.st_ino);
	CHECK_EQ(do_rename(&b, "/d/file", "/elsewhere", 0), -EXDEV);
}

TEST(renames)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_EQ(do_rename(&b, "/d/file", "/d/sub/moved", 0), 0);
	CHECK(mount_is(&b, "/d/sub/moved", "top"));
	CHECK_EQ(
	    do_rename(&b, "/d/sub/moved", "/d/sub/inner", RENAME_NOREPLACE), -EEXIST);
	CHECK_EQ(do_rename(&b, "/d/sub/moved", "/d/sub/inner", RENAME_EXCHANGE), 0);
	CHECK(mount_is(&b, "/d/sub/inner", "top"));
	CHECK(mount_is(&b, "/d/sub/moved", "in"));
	CHECK_EQ(do_rename(&b, "/d/sub/moved", "/d/sub/inner", 0), 0);
	CHECK(mount_is(&b, "/d/sub/inner", "in"));
	CHECK_EQ(do_make(&b, "/d/a", VDIR, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/b", VDIR, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/a/deep", VDIR, NULL), 0);
	/* A directory's parent is kept up to date. */
	AUTO_VNODE deep = at(&b, "/d/a/deep");
	AUTO_VNODE to = at(&b, "/d/b");
	REQUIRE(deep && to);
	CHECK_EQ(do_rename(&b, "/d/a/deep", "/d/b/deep", 0), 0);
	CHECK(deep->v_parent == to);
	CHECK_EQ(do_rename(&b, "/d/b", "/d/b/deep/x", 0), -EINVAL);
	/* What it leaves behind is a device, which mknod could not make either. */
	CHECK_EQ(do_rename(&b, "/d/sub/inner", "/d/inner", RENAME_WHITEOUT), -EPERM);
	CHECK_STR(names(&b, "/d/sub"), "inner");
	CHECK_EQ(at_err(&b, "/d/inner"), -ENOENT);
	CHECK_EQ(access(host(&b, "t/inner"), F_OK), -1);
	if (geteuid() == 0) {
		CHECK_EQ(
		    reg_dir(&b, "/s", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, true),
		    0);
		CHECK_EQ(do_rename(&b, "/s/sub/inner", "/s/inner", RENAME_WHITEOUT), 0);
		CHECK(S_ISCHR(attr(&b, "/s/sub/inner").va_mode));
		CHECK_STR(names(&b, "/d/sub"), "");
		CHECK_EQ(unlink(host(&b, "t/sub/inner")), 0);
	}
}

TEST(one_level)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_STR(names(&b, "/d"), "file link sub");
	CHECK_STR(names(&b, "/d/sub"), "");
	CHECK_STR(names_cap(&b, "/d/sub", 48), "");
	CHECK_EQ(at_err(&b, "/d/sub/inner"), -ENOENT);
	CHECK(mount_is(&b, "/d/file", "top"));
	CHECK_EQ(do_create(&b, "/d/new", O_RDWR, NULL), 0);
	CHECK_EQ(do_rename(&b, "/d/new", "/d/newer", 0), 0);
	CHECK_EQ(do_remove(&b, "/d/newer", false), 0);
	CHECK_EQ(do_make(&b, "/d/dir", VDIR, NULL), -EPERM);
	CHECK_EQ(do_make(&b, "/d/sub/x", VREG, NULL), -EACCES);
	CHECK_EQ(do_make(&b, "/d/sub/x", VDIR, NULL), -EACCES);
	CHECK_EQ(do_create(&b, "/d/sub/x", O_RDWR, NULL), -EACCES);
	CHECK_EQ(do_link(&b, "/d/file", "/d/sub/x"), -EACCES);
	CHECK_EQ(do_rename(&b, "/d/file", "/d/sub/x", 0), -EACCES);
	CHECK_EQ(do_rename(&b, "/d/sub/inner", "/d/x", 0), -ENOENT);
	CHECK_EQ(do_remove(&b, "/d/sub/inner", false), -ENOENT);
	CHECK_EQ(do_remove(&b, "/d/sub", true), -EPERM);
	CHECK_EQ(do_rename(&b, "/d/sub", "/d/sub2", 0), -EPERM);
	CHECK(host_is(&b, "t/sub/inner", "in"));
}

TEST(nested_keys)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	host_text(&b, "other", "nested");
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_EQ(reg(&b, "/d/sub/file", "other", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/d/file", "other", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/d/made/by/key", "other", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/dx", "other", ETFS_REG), 0);
	CHECK(mount_is(&b, "/d/file", "nested"));
	CHECK(mount_is(&b, "/d/sub/file", "nested"));
	CHECK_STR(names(&b, "/d"), "file link made sub");
	CHECK_STR(names_cap(&b, "/d", 48), "file link made sub");
	CHECK_STR(names(&b, "/d/sub"), "file inner");
	CHECK_EQ(do_rename(&b, "/d/sub", "/d/sub2", 0), -EBUSY);
	CHECK_EQ(do_remove(&b, "/d/file", false), -EBUSY);
	CHECK_EQ(access(host(&b, "t/made"), F_OK), -1);
	/* The key above goes and comes back under those below it. */
	CHECK_EQ(etfs_remove(b.e, "/d"), 0);
	CHECK(mount_is(&b, "/d/sub/file", "nested"));
	CHECK_EQ(at_err(&b, "/d/link"), -ENOENT);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK(mount_is(&b, "/d/sub/file", "nested"));
	CHECK_EQ(at_err(&b, "/d/link"), 0);
	CHECK_EQ(etfs_remove(b.e, "/d/file"), 0);
	CHECK(mount_is(&b, "/d/file", "top"));
	CHECK_EQ(etfs_remove(b.e, "/d/sub/file"), 0);
	CHECK_EQ(do_rename(&b, "/d/sub", "/d/sub2", 0), 0);
}

TEST(root_key)
{
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	host_text(&b, "other", "nested");
	CHECK_EQ(reg(&b, "/k", "other", ETFS_REG), 0);
	CHECK_EQ(reg_dir(&b, "/", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_STR(names(&b, "/"), "file k link sub");
	CHECK(mount_is(&b, "/file", "top"));
	CHECK(mount_is(&b, "/k", "nested"));
	CHECK_EQ(etfs_remove(b.e, "/"), 0);
	CHECK_STR(names(&b, "/"), "k");
}

/* Links below t/ and what following them is to say. */
static const struct {
	const char *name, *target;
	int want;
} links[] = {
    {"same", "file", 0},
    {"below", "sub/inner", 0},
    {"chain", "below", 0},
    {"dots", "sub/../sub/./inner", 0},
    {"slash", "file/", 0},
    {"sub/up", "../file", 0},
    {"sub/viadir", "../dirlink/inner", 0},
    {"abs", "/etc/passwd", -EACCES},
    {"out", "../outside", -EACCES},
    {"sub/out", "../../outside", -EACCES},
    {"dangling", "nowhere", -ENOENT},
    {"loop", "loop", -ELOOP},
    {"notdir", "file/x", -ENOTDIR},
    {"key", "nested", -EACCES},
};

TEST(follow)
{
	char path[100];
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	host_text(&b, "outside", "secret");
	CHECK_EQ(symlink("sub", host(&b, "t/dirlink")), 0);
	CHECK_EQ(symlink(".", host(&b, "t/self")), 0);
	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "t/%s", links[i].name);
		CHECK_EQ(symlink(links[i].target, host(&b, path)), 0);
	}
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_FOLLOW, false), 0);
	CHECK_EQ(reg(&b, "/d/nested", "outside", ETFS_REG), 0);
	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		int r;

		snprintf(path, sizeof(path), "/d/%s", links[i].name);
		r = at_err(&b, path);
		if (r != links[i].want)
			printf("%s -> %s\n", links[i].name, links[i].target);
		CHECK_EQ(r, links[i].want);
	}
	/* What leads nowhere is not listed. */
	CHECK_STR(names(&b, "/d"),
	    "below chain dirlink dots file link nested same self slash sub");
	AUTO_VNODE same = at(&b, "/d/same");
	AUTO_VNODE file = at(&b, "/d/file");
	CHECK(same && same == file);
	/* A directory behind a link is a vnode of its own, and stays the same one. */
	AUTO_VNODE sub = at(&b, "/d/sub");
	AUTO_VNODE dirlink = at(&b, "/d/dirlink");
	AUTO_VNODE again = at(&b, "/d/dirlink");
	CHECK(sub && dirlink && sub != dirlink && dirlink == again);
	CHECK_EQ(attr(&b, "/d/sub").va_ino, attr(&b, "/d/dirlink").va_ino);
	CHECK(mount_is(&b, "/d/dirlink/inner", "in"));
	CHECK(mount_is(&b, "/d/dirlink/up", "top"));
	CHECK(mount_is(&b, "/d/self/self/dirlink/up", "top"));
	/* Also after their fds were closed. */
	fds_shrink(b.e);
	CHECK(mount_is(&b, "/d/dirlink/up", "top"));
	CHECK_EQ(at_err(&b, "/d/self/self/self/self/self/self/self/self"), 0);
	CHECK_EQ(at_err(&b, "/d/self/self/self/self/self/self/self/self/self"), -ELOOP);
	CHECK_EQ(do_make(&b, "/d/newlink", VLNK, "file"), -EPERM);
	CHECK_EQ(do_create(&b, "/d/dangling", O_RDWR, NULL), -EEXIST);
	CHECK_EQ(access(host(&b, "t/nowhere"), F_OK), -1);
}

static void
handles(bool on)
{
	((struct hc_features *)(uintptr_t)hc_features())->hf_handles = on;
}

enum {
	MANY = 1500
};

/* t/DIR/I for I below MANY, each saying "file I". */
static void
make_many(struct bed *b)
{
	char path[64], text[32];

	CHECK_EQ(mkdir(host(b, "t"), 0755), 0);
	for (unsigned i = 0; i < 30; i++) {
		snprintf(path, sizeof(path), "t/%u", i);
		CHECK_EQ(mkdir(host(b, path), 0755), 0);
	}
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "t/%u/%u", i % 30, i);
		snprintf(text, sizeof(text), "file %u", i);
		host_text(b, path, text);
	}
}

/* Many more files than fds: each is found again, the same vnode with the same contents.
 */
static void
walk_many(bool use_handles)
{
	static struct vnode *vp[MANY];
	char path[64], text[32];
	struct etfs_stats st;
	bool could;
	AUTO_BED b;

	CHECK_EQ(hc_init(), 0);
	could = hc_features()->hf_handles;
	if (use_handles && !could)
		return;
	handles(use_handles);
	bed_start(&b, 1);
	make_many(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/d/%u/%u", i % 30, i);
		vp[i] = at(&b, path);
		REQUIRE(vp[i]);
	}
	etfs_stats(b.e, &st);
	/* By name, a file keeps the directory it is in. */
	CHECK_EQ(st.et_nodes, use_handles ? MANY + 1 : MANY + 31);
	CHECK_EQ(st.et_fd_max, 128);
	CHECK(st.et_fds <= 128);
	/* One directory is renamed by us, one file by us, one by the host. */
	CHECK_EQ(do_rename(&b, "/d/7", "/d/seven", 0), 0);
	CHECK_EQ(do_rename(&b, "/d/8/8", "/d/9/eight", 0), 0);
	CHECK_EQ(rename(host(&b, "t/10/10"), host(&b, "t/10/ten")), 0);
	fds_shrink(b.e);
	etfs_stats(b.e, &st);
	CHECK_EQ(st.et_fds, 0);
	for (unsigned i = 0; i < MANY; i++) {
		struct file *f = NULL;
		char buf[32];
		int r = vop_open(vp[i], O_RDONLY, &root_cred, &f);

		CHECK_EQ(r, i == 10 && !use_handles ? -ESTALE : 0);
		if (r == 0) {
			snprintf(text, sizeof(text), "file %u", i);
			CHECK_EQ(get(f, buf, sizeof(buf), 0), strlen(text));
			CHECK(memcmp(buf, text, strlen(text)) == 0);
			vop_close(f);
		}
	}
	/* Looked up again it has its place again. */
	AUTO_VNODE ten = at(&b, "/d/10/ten");
	CHECK(ten == vp[10]);
	fds_shrink(b.e);
	CHECK_EQ(attr(&b, "/d/10/ten").va_size, 7);
	etfs_stats(b.e, &st);
	CHECK(st.et_fds <= 128);
	for (unsigned i = 0; i < MANY; i++)
		vn_unref(vp[i]);
	etfs_stats(b.e, &st);
	CHECK_EQ(
	    st.et_nodes, use_handles ? 2 : 3); /* the root, the file, its directory */
	handles(could);
}

TEST(reopen_by_handle)
{
	walk_many(true);
}

TEST(reopen_by_name)
{
	walk_many(false);
}

TEST(reopen_keys)
{
	for (int by_path = 0; by_path < 2; by_path++) {
		bool could = (hc_init(), hc_features()->hf_handles);
		struct vattr va;
		AUTO_BED b;

		if (by_path)
			handles(false);
		bed_start(&b, 0);
		host_text(&b, "f", "12345");
		CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 1, 3), 0);
		CHECK_EQ(reg(&b, "/l", "f", ETFS_REG), 0);
		fds_shrink(b.e);
		CHECK(mount_is(&b, "/k", "234"));
		fds_shrink(b.e);
		/* Another file in its place is not the key's file. */
		CHECK_EQ(rename(host(&b, "f"), host(&b, "g")), 0);
		host_text(&b, "f", "abcde");
		AUTO_VNODE vp = at(&b, "/k");
		AUTO_VNODE lp = at(&b, "/l");
		REQUIRE(vp && lp);
		CHECK_EQ(vop_getattr(vp, NULL, &va), by_path ? -ESTALE : 0);
		CHECK_EQ(vop_getattr(lp, NULL, &va), by_path ? -ESTALE : 0);
		handles(could);
	}
}

TEST(reused_inode)
{
	struct etfs_opts eo = {.eo_fd_max = 0};
	struct vnode *old, *new;
	struct vattr va;
	struct stat was, is;
	struct bed b;

	/* Needs a host that reuses numbers and keeps birth times: ext4 does both. */
	b.dir = tmp_new("/tmp");
	bed_start_opts(&b, &eo);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	host_text(&b, "t/a", "old");
	CHECK_EQ(stat(host(&b, "t/a"), &was), 0);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	old = at(&b, "/d/a");
	fds_shrink(b.e);
	CHECK_EQ(unlink(host(&b, "t/a")), 0);
	usleep(10000); /* birth times are as coarse as the kernel's clock */
	host_text(&b, "t/a", "new");
	CHECK_EQ(stat(host(&b, "t/a"), &is), 0);
	new = at(&b, "/d/a");
	CHECK(old && new);
	if (was.st_ino != is.st_ino) {
		t_skipped = "the host did not reuse the inode number";
	} else if (old && new) {
		CHECK(old != new);
		CHECK_EQ(vop_getattr(old, NULL, &va), -ESTALE);
		CHECK_EQ(vop_getattr(new, NULL, &va), 0);
		CHECK(mount_is(&b, "/d/a", "new"));
	}
	vn_unref(old);
	vn_unref(new);
	bed_done(&b);
}

/* A node without an fd of its own is used through an open file, also one that can only
 * read. */
TEST(borrowed_fd)
{
	struct file *f;
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_DIR_SUBDIRS, ETFS_SYMLINKS_SHOW, false), 0);
	AUTO_VNODE vp = at(&b, "/d/file");
	f = open_at(&b, "/d/file", O_RDONLY);
	REQUIRE(vp && f);
	fds_shrink(b.e);
	struct vattr_set vs = {.vs_valid = VS_SIZE, .vs_size = 1};
	CHECK_EQ(vop_setattr(vp, NULL, &vs, &root_cred), 0);
	CHECK(host_is(&b, "t/file", "t"));
	vop_close(f);
}

TEST(many_entries)
{
	char path[64];
	const char *want;
	char all[4096] = "";
	AUTO_BED b;

	bed_start(&b, 0);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	for (unsigned i = 100; i < 300; i++) {
		snprintf(path, sizeof(path), "t/%u", i);
		host_text(&b, path, "");
		snprintf(all + strlen(all), 8, "%s%u", i > 100 ? " " : "", i);
	}
	want = all;
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	CHECK_STR(names_cap(&b, "/d", 100), want);
	CHECK_EQ(reg(&b, "/d/150", "t/160", ETFS_REG), 0);
	CHECK_STR(names_cap(&b, "/d", 100), want);
	CHECK_STR(names_cap(&b, "/d", 4096), want);
}

TEST(xattrs)
{
	char buf[64];
	size_t len;
	AUTO_BED b;

	b.dir = tmp_new("/tmp");
	bed_start_opts(&b, &(struct etfs_opts){.eo_fd_max = 0});
	host_text(&b, "f", "x");
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/w", "f", ETFS_BLK, 0, 1), 0);
	AUTO_VNODE k = at(&b, "/k");
	AUTO_VNODE w = at(&b, "/w");
	REQUIRE(k && w);
	CHECK_EQ(vop_setxattr(k, "user.a", "value", 5, 0, &root_cred), 0);
	CHECK_EQ(vop_getxattr(k, "user.a", buf, sizeof(buf), &len), 0);
	CHECK(len == 5 && memcmp(buf, "value", 5) == 0);
	CHECK_EQ(vop_getxattr(k, "user.a", buf, 2, &len), -ERANGE);
	CHECK_EQ(vop_listxattr(k, buf, sizeof(buf), &len), 0);
	CHECK(len >= 7);
	CHECK_EQ(vop_removexattr(k, "user.a", &root_cred), 0);
	CHECK_EQ(vop_getxattr(k, "user.a", buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(vop_setxattr(w, "user.a", "v", 1, 0, &root_cred), -EOPNOTSUPP);
	CHECK_EQ(vop_getxattr(w, "user.a", buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(vop_listxattr(w, buf, sizeof(buf), &len), 0);
	CHECK_EQ(len, 0);
}

TEST(who_acts)
{
	const struct cred user = {12345, 23456, 0};
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0666};
	struct vnode *vp;
	struct file *f = NULL;
	struct stat st;
	struct name n;
	AUTO_BED b;

	bed_start(&b, 0);
	if (!hc_features()->hf_privileged)
		SKIP("needs root");
	make_tree(&b);
	CHECK_EQ(chmod(b.dir.path, 0755), 0);
	CHECK_EQ(chmod(host(&b, "t"), 0777), 0);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	AUTO_VNODE d = at(&b, "/d");
	AUTO_VNODE sub = at(&b, "/d/sub");
	REQUIRE(d && sub);
	CHECK_EQ(name_init(&n, "mine"), 0);
	CHECK_EQ(vop_create(d, &n, &mk, O_RDWR | O_CREAT, &user, &vp, &f), 0);
	vop_close(f);
	vn_unref(vp);
	CHECK_EQ(stat(host(&b, "t/mine"), &st), 0);
	CHECK_EQ(st.st_uid, 12345);
	CHECK_EQ(st.st_gid, 23456);
	CHECK_EQ(st.st_mode, S_IFREG | 0666);
	mk.vm_type = VDIR;
	CHECK_EQ(vop_make(sub, &n, &mk, &user, &vp), -EACCES);
	CHECK_EQ(name_init(&n, "inner"), 0);
	CHECK_EQ(vop_unlink(sub, &n, &user), -EACCES);
}
