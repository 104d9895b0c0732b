/* As whom things are done on the host, and what is kept open there. */
#include <dirent.h>
#include <sys/xattr.h>

#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"
#include "vfs/acl.h"

static const struct cred nobody = {.cr_uid = 65534, .cr_gid = 65534};

static uint32_t
host_mode(const struct bed *b, const char *name)
{
	struct stat st;

	return stat(host(b, name), &st) == 0 ? st.st_mode & 07777 : ~0u;
}

TEST(owner_shown_is_not_the_owner)
{
	struct vattr_set mode = {.vs_valid = VS_MODE, .vs_mode = 04755};
	struct vattr_set unset = {.vs_valid = VS_MODE, .vs_mode = 0755};
	struct vattr_set gid = {.vs_valid = VS_GID, .vs_gid = 65534};
	struct vattr_set time = {.vs_valid = VS_MTIME, .vs_mtime = {5, 0}};
	struct vattr_set size = {.vs_valid = VS_SIZE, .vs_size = 2};
	struct etfs_spec s = {.es_key = "/k",
	    .es_type = ETFS_REG,
	    .es_size = ETFS_SIZE_END,
	    .es_set_uid = true,
	    .es_uid = 65534};
	AUTO_BED b;

	bed_start(&b, 0);
	if (geteuid() != 0)
		SKIP("needs root");
	host_text(&b, "f", "text");
	CHECK_EQ(chmod(host(&b, "f"), 0755), 0);
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	AUTO_VNODE vp = at(&b, "/k");
	REQUIRE(vp);
	CHECK_EQ(attr(&b, "/k").va_uid, 65534);
	CHECK_EQ(vop_setattr(vp, NULL, &mode, &nobody), -EPERM);
	CHECK_EQ(vop_setattr(vp, NULL, &gid, &nobody), -EPERM);
	CHECK_EQ(vop_setattr(vp, NULL, &time, &nobody), -EPERM);
	CHECK_EQ(vop_setxattr(vp, "user.x", "y", 1, 0, &nobody), -EACCES);
	CHECK_EQ(vop_removexattr(vp, "user.x", &nobody), -EACCES);
	CHECK_EQ(host_mode(&b, "f"), 0755);
	/* What the key was registered for is its data. */
	CHECK_EQ(vop_setattr(vp, NULL, &size, &nobody), 0);
	CHECK(host_is(&b, "f", "te"));
	/* Root may, and whoever writes takes the bits off again. */
	CHECK_EQ(vop_setattr(vp, NULL, &mode, &root_cred), 0);
	CHECK_EQ(host_mode(&b, "f"), 04755);
	CHECK_EQ(vop_setattr(vp, NULL, &unset, &nobody), 0);
	CHECK_EQ(host_mode(&b, "f"), 0755);
	/* So may the real owner. */
	CHECK_EQ(chown(host(&b, "f"), 65534, 65534), 0);
	CHECK_EQ(vop_setattr(vp, NULL, &mode, &nobody), 0);
	CHECK_EQ(host_mode(&b, "f"), 04755);
}

/* The same as bits that the host file has: they go before a stranger's bytes come, whatever
 * mode the key shows. */
TEST(strangers_take_setid_off)
{
	static const char *const keys[] = {"/whole", "/own", "/window"};
	struct vattr_set size = {.vs_valid = VS_SIZE, .vs_size = 5};
	struct etfs_spec s = {.es_key = "/own",
	    .es_type = ETFS_REG,
	    .es_size = ETFS_SIZE_END,
	    .es_set_mode = true,
	    .es_mode = 0666};
	struct file *f, *from;
	size_t done;
	AUTO_BED b;

	bed_start(&b, 0);
	if (geteuid() != 0)
		SKIP("needs root");
	host_text(&b, "f", "0123456789");
	host_text(&b, "g", "abcdefghij");
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	CHECK_EQ(reg(&b, "/whole", "f", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/from", "g", ETFS_REG), 0);
	CHECK_EQ(etfs_register_withsize(b.e, "/window", s.es_host, ETFS_BLK, 2, 4), 0);
	from = open_at(&b, "/from", O_RDONLY);
	REQUIRE(from);
	for (unsigned i = 0; i < 3; i++) {
		AUTO_VNODE vp = at(&b, keys[i]);
		bool window = i == 2;

		REQUIRE(vp);
		f = open_at(&b, keys[i], O_RDWR);
		REQUIRE(f);
		CHECK_EQ(chmod(host(&b, "f"), 06777), 0);
		CHECK_EQ(put(f, "x", 1, 0), 1);
		CHECK_EQ(host_mode(&b, "f"), 06777); /* root's own */
		vop_close(f);

		CHECK_EQ(vop_open(vp, O_RDWR, &nobody, &f), 0);
		CHECK_EQ(get(f, &(char){0}, 1, 0), 1);
		CHECK_EQ(host_mode(&b, "f"), 06777);
		CHECK_EQ(put(f, "x", 1, 0), 1);
		CHECK_EQ(host_mode(&b, "f"), 0777);
		/* Those that come later go as well; a group that may not execute has none. */
		CHECK_EQ(chmod(host(&b, "f"), 06767), 0);
		CHECK_EQ(put(f, "x", 1, 1), 1);
		CHECK_EQ(host_mode(&b, "f"), 02767);
		CHECK_EQ(chmod(host(&b, "f"), 06777), 0);
		CHECK_EQ(vop_copy_range(from, 0, f, 0, 2, &done), 0);
		CHECK_EQ(host_mode(&b, "f"), 0777);
		CHECK_EQ(chmod(host(&b, "f"), 06777), 0);
		CHECK_EQ(vop_fallocate(vp, f, 3, 0, 1), 0);
		CHECK_EQ(host_mode(&b, "f"), 0777);
		CHECK_EQ(chmod(host(&b, "f"), 06777), 0);
		vop_close(f);
		size.vs_size = window ? 4 : 8;
		CHECK_EQ(vop_setattr(vp, NULL, &size, &nobody), 0);
		CHECK_EQ(host_mode(&b, "f"), window ? 06777 : 0777); /* nothing changes */
		CHECK_EQ(chmod(host(&b, "f"), 06777), 0);
		CHECK_EQ(vop_open(vp, O_WRONLY | O_TRUNC, &nobody, &f), 0);
		CHECK_EQ(host_mode(&b, "f"), window ? 06777 : 0777);
		vop_close(f);
		host_text(&b, "f", "0123456789");
	}
	vop_close(from);
}

/* An ACL of the host's file limits what its mode shows, in a window of it too; a key that
 * shows a mode of its own has none. */
TEST(acls_of_keys)
{
	/* u::rw-,u:0:rwx,g::---,m::rw-,o::--- */
	static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2,
	    0, 7, 0, 0, 0, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255,
	    255, 255, 32, 0, 0, 0, 255, 255, 255, 255};
	struct vattr_set mode = {.vs_valid = VS_MODE, .vs_mode = 0666};
	struct etfs_spec s = {.es_key = "/k",
	    .es_type = ETFS_REG,
	    .es_size = ETFS_SIZE_END,
	    .es_set_mode = true,
	    .es_mode = 0600};
	unsigned char got[64];
	size_t len;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "0123456789");
	if (setxattr(host(&b, "f"), ACL_ACCESS, acl, sizeof(acl), 0) != 0)
		SKIP("no ACLs where the test's files are");
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	CHECK_EQ(reg(&b, "/whole", "f", ETFS_REG), 0);
	CHECK_EQ(etfs_register_withsize(b.e, "/window", s.es_host, ETFS_BLK, 2, 4), 0);
	AUTO_VNODE own = at(&b, "/k");
	AUTO_VNODE whole = at(&b, "/whole");
	AUTO_VNODE window = at(&b, "/window");
	REQUIRE(own && whole && window);
	CHECK_EQ(vop_getxattr(whole, ACL_ACCESS, got, sizeof(got), &len), 0);
	CHECK(len == sizeof(acl) && memcmp(got, acl, len) == 0);
	CHECK_EQ(vop_getxattr(window, ACL_ACCESS, got, sizeof(got), &len), 0);
	CHECK(len == sizeof(acl) && memcmp(got, acl, len) == 0);
	CHECK_EQ(vop_setxattr(window, ACL_ACCESS, acl, len, 0, &root_cred), -EOPNOTSUPP);
	CHECK_EQ(vop_getxattr(own, ACL_ACCESS, got, sizeof(got), &len), -ENODATA);
	CHECK_EQ(
	    vop_setxattr(own, ACL_ACCESS, acl, sizeof(acl), 0, &root_cred), -EOPNOTSUPP);
	/* To remove what it does not have is no error, and not the host's. */
	CHECK_EQ(vop_removexattr(own, ACL_ACCESS, &root_cred), 0);
	CHECK_EQ(vop_removexattr(own, ACL_DEFAULT, &root_cred), 0);
	CHECK_EQ(getxattr(host(&b, "f"), ACL_ACCESS, got, sizeof(got)), sizeof(acl));
	CHECK_EQ(vop_removexattr(window, ACL_ACCESS, &root_cred), -EOPNOTSUPP);
	CHECK_EQ(vop_setattr(window, NULL, &mode, &root_cred), 0);
	CHECK_EQ(vop_getxattr(window, ACL_ACCESS, got, sizeof(got), &len), -ENODATA);
	CHECK_EQ(host_mode(&b, "f"), 0660);
	/* Where it is seen it goes. */
	CHECK_EQ(vop_removexattr(whole, ACL_ACCESS, &root_cred), 0);
	CHECK_EQ(getxattr(host(&b, "f"), ACL_ACCESS, got, sizeof(got)), -1);
}

TEST(no_borrowed_right_to_truncate)
{
	struct vattr_set size = {.vs_valid = VS_SIZE, .vs_size = 1};
	AUTO_BED b;

	bed_start(&b, 0);
	if (geteuid() != 0)
		SKIP("needs root");
	make_tree(&b);
	CHECK_EQ(chmod(host(&b, "t/file"), 0644), 0);
	CHECK_EQ(reg(&b, "/d", "t", ETFS_DIR_SUBDIRS), 0);
	AUTO_VNODE vp = at(&b, "/d/file");
	struct file *f = open_at(&b, "/d/file", O_RDWR);
	REQUIRE(vp && f);
	fds_shrink(b.e);
	CHECK_EQ(vop_setattr(vp, NULL, &size, &nobody), -EACCES);
	CHECK(host_is(&b, "t/file", "top"));
	CHECK_EQ(vop_setattr(vp, f, &size, &nobody), 0);
	CHECK(host_is(&b, "t/file", "t"));
	vop_close(f);
}

/* How many fds this process has on what is below the bed's directory. */
static int
fds_below(const struct bed *b)
{
	DIR *d = opendir("/proc/self/fd");
	size_t len = strlen(b->dir.path);
	char to[4096];
	int n = 0;

	for (struct dirent *de; d && (de = readdir(d));) {
		ssize_t got = readlinkat(dirfd(d), de->d_name, to, sizeof(to) - 1);

		n += got > (ssize_t)len && memcmp(to, b->dir.path, len) == 0 &&
		     to[len] == '/';
	}
	if (d)
		closedir(d);
	return n;
}

TEST(nothing_stays_open)
{
	struct vattr was;
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	host_file(&b, "img", 8192);
	host_file(&b, "other", 8192);
	CHECK_EQ(fds_below(&b), 0);
	CHECK_EQ(reg_win(&b, "/img", "img", ETFS_BLK, 0, 4096), 0);
	CHECK_EQ(reg(&b, "/other", "other", ETFS_REG), 0);
	CHECK_EQ(etfs_remove(b.e, "/img"), 0);
	fds_shrink(b.e);
	CHECK_EQ(fds_below(&b), 0);
	was = attr(&b, "/other");
	/* A directory is kept for as long as there is a node on its file system. */
	CHECK_EQ(reg(&b, "/d", "t", ETFS_DIR_SUBDIRS), 0);
	CHECK_EQ(at_err(&b, "/d/sub/inner"), 0);
	CHECK_EQ(etfs_remove(b.e, "/d"), 0);
	CHECK_EQ(etfs_remove(b.e, "/other"), 0);
	CHECK_EQ(fds_below(&b), 0);
	CHECK_EQ(reg(&b, "/d", "t", ETFS_DIR_SUBDIRS), 0);
	CHECK(mount_is(&b, "/d/sub/inner", "in"));
	fds_shrink(b.e);
	CHECK(mount_is(&b, "/d/sub/inner", "in"));
	CHECK_EQ(reg(&b, "/other", "other", ETFS_REG), 0);
	CHECK_EQ(attr(&b, "/other").va_ino, was.va_ino);
}
