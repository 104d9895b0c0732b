/* Inode flags, files without a name, and nodes by id, in memory. */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>

#include "t.h"

#include "t-vfs.h"

static int
set(struct vnode *vp, uint32_t flags)
{
	return vop_ioctl(
	    vp, NULL, FS_IOC_SETFLAGS, &flags, sizeof(flags), NULL, 0, &t_cred);
}

static int
setx(struct vnode *vp, const struct fsxattr *fx, size_t len)
{
	return vop_ioctl(vp, NULL, FS_IOC_FSSETXATTR, fx, len, NULL, 0, &t_cred);
}

static uint32_t
get(struct vnode *vp)
{
	uint32_t flags = ~0u;

	CHECK_EQ(
	    vop_ioctl(vp, NULL, FS_IOC_GETFLAGS, NULL, 0, &flags, sizeof(flags), &t_cred),
	    0);
	return flags;
}

static int
attr(struct vnode *vp, struct file *f, unsigned valid)
{
	struct vattr_set vs = {.vs_valid = valid, .vs_mode = 0700};

	return vop_setattr(vp, f, &vs, &t_cred);
}

static int
opening(struct vnode *vp, int flags)
{
	struct file *f;
	int r = vop_open(vp, flags, &t_cred, &f);

	if (r == 0)
		vop_close(f);
	return r;
}

TEST(what_is_kept)
{
	struct fsxattr fx;
	AUTO_WORLD w;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	CHECK_EQ(get(d), 0);
	CHECK_EQ(set(d, FS_COMPR_FL), -EOPNOTSUPP);
	CHECK_EQ(get(d), 0);
	CHECK_EQ(vop_ioctl(d, NULL, FS_IOC_SETFLAGS, &fx, 3, NULL, 0, &t_cred), -EINVAL);
	CHECK_EQ(set(d, FS_NODUMP_FL | FS_NOATIME_FL), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	AUTO_VNODE f = p_get(&w, "/d/f");
	CHECK_EQ(get(f), FS_NODUMP_FL | FS_NOATIME_FL);
	CHECK_EQ(set(f, FS_IMMUTABLE_FL | FS_APPEND_FL), 0);
	CHECK_EQ(
	    vop_ioctl(f, NULL, FS_IOC_FSGETXATTR, NULL, 0, &fx, sizeof(fx), &t_cred), 0);
	CHECK_EQ(fx.fsx_xflags, FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND);
	/* The other form sets as well, but nothing that is not a flag of ours. */
	fx.fsx_xflags = FS_XFLAG_NODUMP;
	CHECK_EQ(setx(f, &fx, sizeof(fx)), 0);
	CHECK_EQ(get(f), FS_NODUMP_FL);
	CHECK_EQ(setx(f, &fx, sizeof(fx) - 1), -EINVAL);
	fx.fsx_xflags = FS_XFLAG_IMMUTABLE | FS_XFLAG_DAX;
	CHECK_EQ(setx(f, &fx, sizeof(fx)), -EOPNOTSUPP);
	fx.fsx_xflags = 0;
	fx.fsx_projid = 1;
	CHECK_EQ(setx(f, &fx, sizeof(fx)), -EOPNOTSUPP);
	CHECK_EQ(get(f), FS_NODUMP_FL);
	CHECK_EQ(set(d, FS_IMMUTABLE_FL), 0);
	CHECK_EQ(set(d, 0), 0);
}

TEST(immutable)
{
	AUTO_WORLD w;
	struct file *f;
	char data[4] = "abc";
	struct uio u;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/d/e", VDIR), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	AUTO_VNODE vp = p_get(&w, "/d/f");
	CHECK_EQ(vop_open(vp, O_RDWR, &t_cred, &f), 0);
	CHECK_EQ(set(vp, FS_IMMUTABLE_FL), 0);
	CHECK_EQ(opening(vp, O_RDONLY), 0);
	CHECK_EQ(opening(vp, O_WRONLY), -EPERM);
	CHECK_EQ(opening(vp, O_WRONLY | O_APPEND), -EPERM);
	CHECK_EQ(opening(vp, O_RDONLY | O_TRUNC), -EPERM);
	CHECK_EQ(attr(vp, NULL, VS_MODE), -EPERM);
	CHECK_EQ(attr(vp, NULL, VS_UID), -EPERM);
	CHECK_EQ(attr(vp, NULL, VS_SIZE), -EPERM);
	CHECK_EQ(attr(vp, NULL, VS_MTIME), -EPERM);
	CHECK_EQ(attr(vp, NULL, VS_MTIME | VS_MTIME_NOW), -EPERM);
	CHECK_EQ(vop_setxattr(vp, "user.x", "", 0, 0, &t_cred), -EPERM);
	CHECK_EQ(vop_removexattr(vp, "user.x", &t_cred), -EPERM);
	CHECK_EQ(vop_link(vp, d, nm("g"), &t_cred), -EPERM);
	CHECK_EQ(p_unlink(&w, "/d/f"), -EPERM);
	CHECK_EQ(p_rename(&w, "/d/f", "/d/g", 0), -EPERM);
	CHECK_EQ(p_rename(&w, "/d/e", "/d/f", RENAME_EXCHANGE), -EPERM);
	CHECK_EQ(vop_fallocate(vp, f, 0, 0, 1), -EPERM);
	/* Who has it open goes on writing. */
	uio_init_buf(&u, data, 3, 0);
	CHECK_EQ(vop_write(vp, f, &u), 0);
	CHECK_EQ(attr(vp, f, VS_SIZE), 0);
	vop_close(f);
	CHECK_EQ(set(vp, 0), 0);
	CHECK_EQ(set(d, FS_IMMUTABLE_FL), 0);
	CHECK_EQ(p_make(&w, "/d/n", VREG), -EPERM);
	CHECK_EQ(p_make(&w, "/d/f", VREG), -EEXIST);
	CHECK_EQ(p_unlink(&w, "/d/f"), -EPERM);
	CHECK_EQ(p_unlink(&w, "/d/none"), -ENOENT);
	CHECK_EQ(p_rmdir(&w, "/d/e"), -EPERM);
	CHECK_EQ(p_rename(&w, "/d/f", "/f", 0), -EPERM);
	CHECK_EQ(vop_link(vp, d, nm("g"), &t_cred), -EPERM);
	CHECK_EQ(opening(vp, O_RDWR), 0);
	CHECK_EQ(set(d, 0), 0);
	CHECK_EQ(p_unlink(&w, "/d/f"), 0);
}

TEST(append_only)
{
	AUTO_WORLD w;
	struct file *f;
	char data[4] = "abc";
	struct uio u;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	AUTO_VNODE vp = p_get(&w, "/d/f");
	CHECK_EQ(set(vp, FS_APPEND_FL), 0);
	CHECK_EQ(opening(vp, O_WRONLY), -EPERM);
	CHECK_EQ(opening(vp, O_RDONLY | O_TRUNC), -EPERM);
	CHECK_EQ(opening(vp, O_WRONLY | O_APPEND | O_TRUNC), -EPERM);
	CHECK_EQ(vop_open(vp, O_WRONLY | O_APPEND, &t_cred, &f), 0);
	uio_init_buf(&u, data, 3, 0);
	CHECK_EQ(vop_write(vp, f, &u), -EPERM);
	uio_init_buf(&u, data, 3, 0);
	u.uio_append = true;
	CHECK_EQ(vop_write(vp, f, &u), 0);
	CHECK_EQ(u.uio_done, 3);
	CHECK_EQ(attr(vp, f, VS_SIZE), -EPERM);
	CHECK_EQ(attr(vp, f, VS_ATIME), -EPERM);
	CHECK_EQ(attr(vp, f, VS_ATIME | VS_ATIME_NOW), 0);
	CHECK_EQ(vop_fallocate(vp, f, FALLOC_FL_KEEP_SIZE, 0, 1), 0);
	CHECK_EQ(vop_fallocate(vp, f, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 1),
	    -EPERM);
	vop_close(f);
	CHECK_EQ(p_unlink(&w, "/d/f"), -EPERM);
	CHECK_EQ(set(vp, 0), 0);
	/* What was open for all of it goes on. */
	CHECK_EQ(vop_open(vp, O_WRONLY, &t_cred, &f), 0);
	CHECK_EQ(set(vp, FS_APPEND_FL), 0);
	uio_init_buf(&u, data, 3, 0);
	CHECK_EQ(vop_write(vp, f, &u), 0);
	vop_close(f);
	CHECK_EQ(set(vp, 0), 0);
	/* A directory that only grows. */
	CHECK_EQ(set(d, FS_APPEND_FL), 0);
	CHECK_EQ(p_make(&w, "/d/g", VREG), 0);
	CHECK_EQ(p_unlink(&w, "/d/f"), -EPERM);
	CHECK_EQ(p_rename(&w, "/d/f", "/d/h", 0), -EPERM);
	CHECK_EQ(vop_link(vp, d, nm("l"), &t_cred), 0);
	CHECK_EQ(set(d, 0), 0);
	CHECK_EQ(p_unlink(&w, "/d/f"), 0);
}

TEST(files_without_a_name)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0666, .vm_umask = 022};
	AUTO_WORLD w;
	struct vnode *vp;
	struct file *f;
	struct vattr va;
	uint64_t nodes;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	nodes = usage(&w).ru_inodes_used;
	CHECK_EQ(vop_tmpfile(d, &mk, O_RDWR, &t_cred, &vp, &f), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes + 1);
	CHECK_EQ(vop_getattr(vp, f, &va), 0);
	CHECK_EQ(va.va_nlink, 0);
	CHECK_EQ(va.va_mode, S_IFREG | 0644);
	CHECK_EQ(vop_link(vp, d, nm("x"), &t_cred), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes + 1);
	CHECK_EQ(vop_link(vp, d, nm("y"), &t_cred), 0);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes + 2);
	vop_close(f);
	CHECK_EQ(p_unlink(&w, "/d/x"), 0);
	CHECK_EQ(p_unlink(&w, "/d/y"), 0);
	/* Once it had a name it gets no other after its last. */
	CHECK_EQ(vop_link(vp, d, nm("z"), &t_cred), -ENOENT);
	vn_unref(vp);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes);
	CHECK_EQ(vop_tmpfile(d, &mk, O_RDWR | O_EXCL, &t_cred, &vp, &f), 0);
	CHECK_EQ(vop_link(vp, d, nm("x"), &t_cred), -ENOENT);
	CHECK_EQ(vop_tmpfile(vp, &mk, O_RDWR, &t_cred, &vp, &f), -ENOTDIR);
	vop_close(f);
	vn_unref(vp);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes);
	CHECK_EQ(p_rmdir(&w, "/d"), 0);
	CHECK_EQ(vop_tmpfile(d, &mk, O_RDWR, &t_cred, &vp, &f), 0);
	vop_close(f);
	vn_unref(vp);
}

TEST(nodes_by_id)
{
	AUTO_WORLD w;
	uint64_t id;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/d/f", VREG), 0);
	struct vnode *f = p_get(&w, "/d/f");
	AUTO_VNODE d = p_get(&w, "/d");
	id = f->v_id;
	struct vnode *got = vfs_node_get(&w.v, id);
	CHECK(got == f);
	CHECK(vfs_parent_get(f) == NULL);
	struct vnode *up = vfs_parent_get(d);
	CHECK(up == w.root);
	vn_unref(up);
	up = vfs_parent_get(w.root);
	CHECK(up == w.root);
	vn_unref(up);
	vn_unref(got);
	CHECK_EQ(p_unlink(&w, "/d/f"), 0);
	vn_unref(f);
	CHECK(vfs_node_get(&w.v, id) == NULL);
	up = vfs_node_get(&w.v, 1);
	CHECK(up == w.root);
	vn_unref(up);
}
