/* rumpfs through the vop wrappers: kinds of nodes, entries, times, attributes, limits. */
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/t-tree.h"

TEST(an_empty_tree)
{
	AUTO_WORLD w;
	struct vattr va;

	world_init(&w);
	CHECK_EQ(w.root->v_id, 1);
	CHECK(vfs_root_peek(&w.v) == w.root);
	CHECK(vfs_node_peek(&w.v, 1) == w.root);
	CHECK_EQ(vop_getattr(w.root, NULL, &va), 0);
	CHECK_EQ(va.va_mode, S_IFDIR | 0755);
	CHECK_EQ(va.va_uid, 1000);
	CHECK_EQ(va.va_gid, 100);
	CHECK_EQ(va.va_nlink, 2);
	CHECK(tree_check(w.root, false, NULL));
	CHECK_EQ(usage(&w).ru_inodes_used, 1);
	CHECK_EQ(usage(&w).ru_size_used, 0);
}

TEST(seven_kinds)
{
	const struct {
		enum vtype type;
		mode_t ifmt;
		unsigned char dt;
	} rows[] = {
	    {VREG, S_IFREG, DT_REG},
	    {VDIR, S_IFDIR, DT_DIR},
	    {VLNK, S_IFLNK, DT_LNK},
	    {VCHR, S_IFCHR, DT_CHR},
	    {VBLK, S_IFBLK, DT_BLK},
	    {VFIFO, S_IFIFO, DT_FIFO},
	    {VSOCK, S_IFSOCK, DT_SOCK},
	};
	AUTO_WORLD w;
	uint64_t last_ino = 0;

	world_init(&w);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct vmake mk = {rows[i].type, 01640, makedev(8, 3), "to"};
		const char name[] = {'/', (char)('a' + i), '\0'};
		bool dev = rows[i].type == VCHR || rows[i].type == VBLK;
		struct vattr va;

		CHECK_EQ(vtype_of_mode(rows[i].ifmt | 0644), rows[i].type);
		CHECK_EQ(vtype_to_dt(rows[i].type), rows[i].dt);
		CHECK_EQ(p_make_full(&w, name, &mk), 0);
		REQUIRE(p_stat(&w, name, &va) == 0);
		CHECK_EQ(
		    va.va_mode, rows[i].ifmt | (rows[i].type == VLNK ? 0777 : 01640));
		CHECK_EQ(va.va_rdev, dev ? makedev(8, 3) : 0);
		CHECK_EQ(va.va_nlink, rows[i].type == VDIR ? 2 : 1);
		CHECK_EQ(va.va_uid, t_cred.cr_uid);
		CHECK_EQ(va.va_blocks_blk, 0);
		CHECK(va.va_ino > last_ino);
		last_ino = va.va_ino;
		CHECK_EQ(p_make_full(&w, name, &mk), -EEXIST);
	}
	CHECK_EQ(vtype_of_mode(0644), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, 8);
	CHECK(tree_check(w.root, false, NULL));
}

TEST(what_is_refused)
{
	AUTO_WORLD w;
	AUTO_VNODE f = NULL;
	struct vattr_set big = {.vs_valid = VS_SIZE, .vs_size = 1ull << 63};
	struct file *file;
	struct uio u;
	size_t len;
	char buf[4096];

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/l", VLNK), 0);
	CHECK_EQ(p_make(&w, "/p", VFIFO), 0);
	f = p_get(&w, "/f");
	CHECK_EQ(p_make(&w, "/f/x", VREG), -ENOTDIR);
	CHECK_EQ(p_make(&w, "/none/x", VREG), -ENOENT);
	CHECK_EQ(p_unlink(&w, "/d"), -EISDIR);
	CHECK_EQ(p_unlink(&w, "/none"), -ENOENT);
	CHECK_EQ(p_rmdir(&w, "/f"), -ENOTDIR);
	CHECK_EQ(p_rmdir(&w, "/none"), -ENOENT);
	CHECK_EQ(p_truncate(&w, "/d", 0), -EISDIR);
	CHECK_EQ(p_truncate(&w, "/p", 0), -EINVAL);
	CHECK_EQ(vop_setattr(f, NULL, &big, &t_cred), -EFBIG);
	CHECK_EQ(v_write(f, "x", 1, INT64_MAX), -EFBIG);
	uio_init_buf(&u, buf, 1, 0);
	CHECK_EQ(vop_read(w.root, NULL, &u), -EISDIR);
	CHECK_EQ(vop_readlink(f, buf, sizeof(buf), &len), -EINVAL);
	CHECK_EQ(p_link(&w, "/d", "/d2"), -EPERM);
	CHECK_EQ(p_link(&w, "/f", "/l"), -EEXIST);
	CHECK_EQ(vop_open(w.root, O_RDWR, &t_cred, &file), -EISDIR);
	CHECK_EQ(vop_fallocate(f, NULL, 0, 0, 0), -EINVAL);
	CHECK_EQ(vop_fallocate(f, NULL, 0, INT64_MAX, 2), -EFBIG);
	CHECK_EQ(vop_fallocate(f, NULL, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	CHECK_EQ(vop_fallocate(f, NULL, FALLOC_FL_PUNCH_HOLE, 0, 4096), -EOPNOTSUPP);
	CHECK_EQ(vop_ioctl(f, NULL, 1, NULL, 0, NULL, 0, &t_cred), -ENOTTY);
	CHECK(tree_check(w.root, false, NULL));
}

TEST(symlink_targets)
{
	static char target[4200];
	struct vmake mk = {.vm_type = VLNK, .vm_target = target};
	AUTO_WORLD w;
	AUTO_VNODE l = NULL;
	char buf[4096];
	size_t len = 0;

	world_init(&w);
	CHECK_EQ(p_make_full(&w, "/l", &mk), -ENOENT);
	memset(target, 't', 4096);
	CHECK_EQ(p_make_full(&w, "/l", &mk), -ENAMETOOLONG);
	CHECK_EQ(usage(&w).ru_inodes_used, 1);
	target[4095] = '\0';
	CHECK_EQ(p_make_full(&w, "/l", &mk), 0);
	l = p_get(&w, "/l");
	CHECK_EQ(vop_readlink(l, buf, sizeof(buf), &len), 0);
	CHECK_EQ(len, 4095);
	CHECK(memcmp(buf, target, len) == 0);
}

TEST(links_and_unlinked_but_open)
{
	AUTO_WORLD w;
	struct vnode *f;
	struct vattr va;
	char c = 0;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_link(&w, "/f", "/d/g"), 0);
	CHECK_EQ(p_stat(&w, "/f", &va), 0);
	CHECK_EQ(va.va_nlink, 2);
	CHECK(tree_check(w.root, false, NULL));
	f = p_get(&w, "/f");
	CHECK_EQ(v_write(f, "x", 1, 0), 1);
	CHECK_EQ(p_unlink(&w, "/f"), 0);
	CHECK_EQ(p_unlink(&w, "/d/g"), 0);
	CHECK_EQ(vop_getattr(f, NULL, &va), 0);
	CHECK_EQ(va.va_nlink, 0);
	CHECK_EQ(v_read(f, &c, 1, 0), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(vop_link(f, w.root, nm("again"), &t_cred), -ENOENT);
	CHECK_EQ(usage(&w).ru_size_used, 4096);
	CHECK_EQ(usage(&w).ru_inodes_used, 3);
	vn_unref(f);
	CHECK_EQ(usage(&w).ru_size_used, 0);
	CHECK_EQ(usage(&w).ru_inodes_used, 2);
}

TEST(a_removed_directory_takes_nothing)
{
	AUTO_WORLD w;
	AUTO_VNODE d = NULL;
	AUTO_VNODE vp = NULL;
	struct vmake mk = {.vm_type = VREG};
	struct vattr va;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/e", VDIR), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	d = p_get(&w, "/d");
	CHECK_EQ(p_rmdir(&w, "/d"), -ENOTEMPTY);
	CHECK_EQ(p_rmdir(&w, "/d/e"), 0);
	CHECK_EQ(p_rmdir(&w, "/d"), 0);
	CHECK_EQ(vop_getattr(d, NULL, &va), 0);
	CHECK_EQ(va.va_nlink, 0);
	CHECK_EQ(vop_make(d, nm("x"), &mk, &t_cred, &vp), -ENOENT);
	AUTO_VNODE f = p_get(&w, "/f");
	CHECK_EQ(vop_link(f, d, nm("x"), &t_cred), -ENOENT);
	CHECK_EQ(vop_rename(w.root, nm("f"), d, nm("x"), 0, &t_cred), -ENOENT);
	CHECK(tree_check(w.root, false, NULL));
}

TEST(create_opens)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0600};
	AUTO_WORLD w;
	AUTO_VNODE a = NULL;
	AUTO_VNODE b = NULL;
	AUTO_VNODE c = NULL;
	struct file *f, *g;
	struct vattr va;

	world_init(&w);
	CHECK_EQ(vop_create(w.root, nm("n"), &mk, O_RDWR, &t_cred, &a, &f), 0);
	CHECK(f->f_vp == a);
	CHECK(vfs_file_peek(&w.v, f->f_id) == f);
	CHECK_EQ(v_write(a, "hello", 5, 0), 5);
	CHECK_EQ(
	    vop_create(w.root, nm("n"), &mk, O_RDWR | O_EXCL, &t_cred, &b, &g), -EEXIST);
	CHECK_EQ(vop_create(w.root, nm("n"), &mk, O_RDWR, &t_cred, &b, &g), 0);
	CHECK(a == b);
	vop_close(g);
	CHECK_EQ(vop_getattr(a, NULL, &va), 0);
	CHECK_EQ(va.va_size, 5);
	CHECK_EQ(vop_create(w.root, nm("n"), &mk, O_RDWR | O_TRUNC, &t_cred, &c, &g), 0);
	vop_close(g);
	CHECK_EQ(vop_getattr(a, NULL, &va), 0);
	CHECK_EQ(va.va_size, 0);
	vop_close(f);
	CHECK_EQ(slots_count(&w.v.vfs_files), 0);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/l", VLNK), 0);
	struct vnode *x;
	CHECK_EQ(vop_create(w.root, nm("d"), &mk, O_RDWR, &t_cred, &x, &g), -EISDIR);
	CHECK_EQ(vop_create(w.root, nm("l"), &mk, O_RDWR, &t_cred, &x, &g), -ESTALE);
	/* What is there is opened for its owner as the mode says; whether others may, the
	 * kernel has to find out. */
	struct vnode *mine = NULL;
	static const struct cred other = {1001, 100};
	mk.vm_mode = 0644;
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDWR, &t_cred, &mine, &g), 0);
	vop_close(g);
	vn_unref(mine);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDWR, &other, &x, &g), -ESTALE);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDONLY, &other, &x, &g), -ESTALE);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDWR, &t_cred, &mine, &g), 0);
	vop_close(g);
	struct vattr_set ro = {.vs_valid = VS_MODE, .vs_mode = 0444};
	CHECK_EQ(vop_setattr(mine, NULL, &ro, &t_cred), 0);
	vn_unref(mine);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_WRONLY, &t_cred, &x, &g), -ESTALE);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDONLY | O_TRUNC, &t_cred, &x, &g),
	    -ESTALE);
	CHECK_EQ(vop_create(w.root, nm("o"), &mk, O_RDONLY, &t_cred, &mine, &g), 0);
	vop_close(g);
	vn_unref(mine);
}

TEST(set_group_id_directories)
{
	struct vmake dir = {.vm_type = VDIR, .vm_mode = 02775};
	struct vattr_set vs = {.vs_valid = VS_GID, .vs_gid = 55};
	AUTO_WORLD w;
	struct vattr va;

	world_init(&w);
	CHECK_EQ(p_make_full(&w, "/d", &dir), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	CHECK_EQ(vop_setattr(d, NULL, &vs, &t_cred), 0);
	CHECK_EQ(p_make(&w, "/d/e", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	CHECK_EQ(p_stat(&w, "/d/e", &va), 0);
	CHECK_EQ(va.va_gid, 55);
	CHECK_EQ(va.va_mode, S_IFDIR | 02755);
	CHECK_EQ(p_stat(&w, "/d/f", &va), 0);
	CHECK_EQ(va.va_gid, 55);
	CHECK_EQ(va.va_mode, S_IFREG | 0755);
}

TEST(attributes)
{
	struct vattr_set vs = {VS_MODE | VS_UID | VS_GID | VS_ATIME | VS_MTIME, 0170777,
	    1, 2, 0, {-5, 7}, {1ll << 33, 999999999}};
	struct vattr_set now = {
	    .vs_valid = VS_ATIME | VS_ATIME_NOW | VS_MTIME | VS_MTIME_NOW};
	AUTO_WORLD w;
	struct vattr va, was;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	AUTO_VNODE f = p_get(&w, "/f");
	CHECK_EQ(vop_getattr(f, NULL, &was), 0);
	CHECK_EQ(vop_setattr(f, NULL, &vs, &t_cred), 0);
	CHECK_EQ(vop_getattr(f, NULL, &va), 0);
	CHECK_EQ(va.va_mode, S_IFREG | 0777);
	CHECK_EQ(va.va_uid, 1);
	CHECK_EQ(va.va_gid, 2);
	CHECK_EQ(va.va_atime.tv_sec, -5);
	CHECK_EQ(va.va_atime.tv_nsec, 7);
	CHECK_EQ(va.va_mtime.tv_sec, 1ll << 33);
	CHECK_EQ(va.va_mtime.tv_nsec, 999999999);
	CHECK_EQ(va.va_btime.tv_sec, was.va_btime.tv_sec);
	CHECK_EQ(vop_setattr(f, NULL, &now, &t_cred), 0);
	CHECK_EQ(vop_getattr(f, NULL, &va), 0);
	CHECK(va.va_mtime.tv_sec >= was.va_mtime.tv_sec &&
	      va.va_mtime.tv_sec < was.va_mtime.tv_sec + 100);
}

/* Which of a, m, c each operation moves, of the node and of the directory it is in. */
TEST(times)
{
	struct vattr_set old = {.vs_valid = VS_ATIME | VS_MTIME,
	    .vs_atime = {1000, 0},
	    .vs_mtime = {1000, 0}};
	AUTO_WORLD w;
	struct vattr va;
	char c;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	AUTO_VNODE f = p_get(&w, "/f");
#define AGE(vp) CHECK_EQ(vop_setattr(vp, NULL, &old, &t_cred), 0)
#define MOVED(vp, a, m)                                  \
	do {                                             \
		CHECK_EQ(vop_getattr(vp, NULL, &va), 0); \
		CHECK_EQ(va.va_atime.tv_sec != 1000, a); \
		CHECK_EQ(va.va_mtime.tv_sec != 1000, m); \
	} while (0)
	AGE(f);
	MOVED(f, 0, 0);
	CHECK_EQ(v_write(f, "x", 1, 0), 1);
	MOVED(f, 0, 1);
	AGE(f);
	CHECK_EQ(v_read(f, &c, 1, 0), 1);
	MOVED(f, 1, 0);
	AGE(f);
	CHECK_EQ(p_truncate(&w, "/f", 0), 0);
	MOVED(f, 0, 1);
	AGE(f);
	CHECK_EQ(vop_fallocate(f, NULL, 0, 0, 1), 0);
	MOVED(f, 0, 1);
	AGE(f);
	AGE(w.root);
	CHECK_EQ(p_link(&w, "/f", "/g"), 0);
	MOVED(f, 0, 0);
	MOVED(w.root, 0, 1);
	AGE(w.root);
	CHECK_EQ(p_rename(&w, "/g", "/h", 0), 0);
	MOVED(w.root, 0, 1);
	AGE(w.root);
	CHECK_EQ(p_unlink(&w, "/h"), 0);
	MOVED(w.root, 0, 1);
	AGE(w.root);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	MOVED(w.root, 0, 1);
	AGE(w.root);
	CHECK_EQ(p_rmdir(&w, "/d"), 0);
	MOVED(w.root, 0, 1);
}

TEST(read_only)
{
	struct vmake mk = {.vm_type = VREG};
	struct vattr_set vs = {.vs_valid = VS_MODE};
	AUTO_WORLD w;
	struct vnode *vp;
	struct file *file;
	char *before, *after;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	AUTO_VNODE f = p_get(&w, "/f");
	tree_check(w.root, false, &before);
	atomic_fetch_or(&w.root->v_mount->mnt_flags, MNT_RDONLY);
	CHECK_EQ(p_make(&w, "/x", VREG), -EROFS);
	CHECK_EQ(p_unlink(&w, "/f"), -EROFS);
	CHECK_EQ(p_rmdir(&w, "/d"), -EROFS);
	CHECK_EQ(p_rename(&w, "/f", "/g", 0), -EROFS);
	CHECK_EQ(p_link(&w, "/f", "/g"), -EROFS);
	CHECK_EQ(p_truncate(&w, "/f", 0), -EROFS);
	CHECK_EQ(p_xattr(&w, "/f", "user.a", "b"), -EROFS);
	CHECK_EQ(vop_removexattr(f, "user.a", &t_cred), -EROFS);
	CHECK_EQ(v_write(f, "x", 1, 0), -EROFS);
	CHECK_EQ(vop_fallocate(f, NULL, 0, 0, 1), -EROFS);
	CHECK_EQ(vop_setattr(f, NULL, &vs, &t_cred), -EROFS);
	CHECK_EQ(vop_open(f, O_RDWR, &t_cred, &file), -EROFS);
	CHECK_EQ(vop_open(f, O_RDONLY | O_TRUNC, &t_cred, &file), -EROFS);
	CHECK_EQ(vop_create(w.root, nm("x"), &mk, O_RDWR, &t_cred, &vp, &file), -EROFS);
	CHECK_EQ(vop_create(w.root, nm("f"), &mk, O_RDWR, &t_cred, &vp, &file), -EROFS);
	CHECK_EQ(vop_create(w.root, nm("f"), &mk, O_RDONLY, &t_cred, &vp, &file), 0);
	vop_close(file);
	vn_unref(vp);
	tree_check(w.root, false, &after);
	CHECK(strcmp(before, after) == 0);
	free(before);
	free(after);
}

TEST(xattrs)
{
	static char big[65537];
	AUTO_WORLD w;
	char buf[256];
	size_t len = 0;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	AUTO_VNODE f = p_get(&w, "/f");
	CHECK_EQ(vop_getxattr(f, "user.a", buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(vop_setxattr(f, "user.a", "1", 1, XATTR_REPLACE, &t_cred), -ENODATA);
	CHECK_EQ(vop_setxattr(f, "user.a", "1", 1, XATTR_CREATE, &t_cred), 0);
	CHECK_EQ(vop_setxattr(f, "user.a", "2", 1, XATTR_CREATE, &t_cred), -EEXIST);
	CHECK_EQ(vop_setxattr(f, "trusted.overlay.opaque", "y", 1, 0, &t_cred), 0);
	CHECK_EQ(vop_setxattr(f, "security.x", NULL, 0, 0, &t_cred), 0);
	CHECK_EQ(vop_setxattr(f, "user.a", "long", 4, XATTR_REPLACE, &t_cred), 0);
	CHECK_EQ(vop_getxattr(f, "user.a", NULL, 0, &len), 0);
	CHECK_EQ(len, 4);
	CHECK_EQ(vop_getxattr(f, "user.a", buf, 3, &len), -ERANGE);
	CHECK_EQ(vop_getxattr(f, "user.a", buf, 4, &len), 0);
	CHECK(memcmp(buf, "long", 4) == 0);
	CHECK_EQ(vop_listxattr(f, NULL, 0, &len), 0);
	CHECK_EQ(len, strlen("user.a") + strlen("trusted.overlay.opaque") +
			  strlen("security.x") + 3);
	CHECK_EQ(vop_listxattr(f, buf, len - 1, &len), -ERANGE);
	CHECK_EQ(vop_listxattr(f, buf, sizeof(buf), &len), 0);
	/* In the order they were made; replacing keeps the place. */
	CHECK(memcmp(buf, "user.a\0trusted.overlay.opaque\0security.x", len) == 0);
	CHECK_EQ(vop_setxattr(f, "system.nothing", "x", 1, 0, &t_cred), -EOPNOTSUPP);
	CHECK_EQ(vop_setxattr(f, "user.", "x", 1, 0, &t_cred), -EINVAL);
	CHECK_EQ(vop_setxattr(f, "user.big", big, 65537, 0, &t_cred), -E2BIG);
	CHECK_EQ(vop_setxattr(f, "user.big", big, 65536, 0, &t_cred), 0);
	CHECK(usage(&w).ru_size_used > 65536);
	CHECK_EQ(vop_removexattr(f, "user.big", &t_cred), 0);
	CHECK_EQ(vop_removexattr(f, "user.big", &t_cred), -ENODATA);
	CHECK_EQ(vop_removexattr(f, "user.a", &t_cred), 0);
	CHECK_EQ(vop_removexattr(f, "security.x", &t_cred), 0);
	CHECK_EQ(vop_removexattr(f, "trusted.overlay.opaque", &t_cred), 0);
	CHECK_EQ(usage(&w).ru_size_used, 0);
	CHECK_EQ(p_xattr(&w, "/f", "user.left", "for the end"), 0);
}

TEST(node_limit)
{
	AUTO_WORLD w;
	struct statvfs sv;

	REQUIRE(world_init_sized(&w, 0, 4) == 0);
	CHECK_EQ(p_make(&w, "/a", VREG), 0);
	CHECK_EQ(p_make(&w, "/b", VDIR), 0);
	CHECK_EQ(p_make(&w, "/c", VLNK), 0);
	CHECK_EQ(p_make(&w, "/d", VREG), -ENOSPC);
	CHECK_EQ(p_rename(&w, "/a", "/x", RENAME_WHITEOUT), -ENOSPC);
	CHECK(p_exists(&w, "/a") && !p_exists(&w, "/x"));
	CHECK_EQ(p_link(&w, "/a", "/d"), -ENOSPC); /* each name counts, as on tmpfs */
	CHECK(!p_exists(&w, "/d"));
	CHECK_EQ(vop_statfs(w.root, &sv), 0);
	CHECK_EQ(sv.f_files, 4);
	CHECK_EQ(sv.f_ffree, 0);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 0, 3), -EBUSY);
	CHECK_EQ(p_unlink(&w, "/c"), 0);
	CHECK_EQ(p_make(&w, "/e", VREG), 0);
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, 0, 5), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/g", VREG), -ENOSPC);
	CHECK(tree_check(w.root, false, NULL));
}

/* Inode numbers are never used again. */
TEST(inode_numbers)
{
	AUTO_WORLD w;
	uint64_t last = 0;

	world_init(&w);
	for (unsigned i = 0; i < 100; i++) {
		struct vattr va;

		CHECK_EQ(p_make(&w, "/f", VREG), 0);
		CHECK_EQ(p_stat(&w, "/f", &va), 0);
		CHECK(va.va_ino > last);
		last = va.va_ino;
		CHECK_EQ(p_unlink(&w, "/f"), 0);
	}
}

/* A chain of directories is given back without as many stack frames, whether by rmdir
 * from below while the deepest is held, or by the end of the namespace. */
TEST(deep_chains)
{
	enum {
		DEPTH = 20000
	};
	struct vmake mk = {.vm_type = VDIR, .vm_mode = 0755};

	for (int held = 0; held < 2; held++) {
		AUTO_WORLD w;
		struct vnode *at, *next;

		world_init(&w);
		at = vn_ref(w.root);
		for (unsigned i = 0; i < DEPTH; i++) {
			REQUIRE(vop_make(at, nm("d"), &mk, &t_cred, &next) == 0);
			vn_unref(at);
			at = next;
		}
		CHECK_EQ(usage(&w).ru_inodes_used, DEPTH + 1);
		for (struct vnode *p; held && (p = at->v_parent); at = p) {
			vn_ref(p);
			CHECK_EQ(vop_rmdir(p, nm("d"), &t_cred), 0);
			vn_unref(at);
		}
		if (held)
			CHECK_EQ(usage(&w).ru_inodes_used, 1);
		vn_unref(at);
	}
}

/* What the kernel still knows when the end comes. */
TEST(lookups_are_given_back)
{
	AUTO_WORLD w;
	struct vnode *a;
	struct file *f;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/a", VDIR), 0);
	CHECK_EQ(p_make(&w, "/a/b", VREG), 0);
	a = p_get(&w, "/a");
	vn_lookup_given(a);
	vn_lookup_given(vn_ref(a));
	vn_lookup_given(vn_ref(a));
	vn_forget(a, 2);
	CHECK_EQ(atomic_load(&a->v_nlookup), 1);
	vn_lookup_given(p_get(&w, "/a/b"));
	AUTO_VNODE b = p_get(&w, "/a/b");
	CHECK_EQ(vop_open(b, O_RDONLY, &t_cred, &f), 0);
	CHECK_EQ(p_unlink(&w, "/a/b"), 0);
}
