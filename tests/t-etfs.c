/* Keys: registering and removing, whole files (SEMANTICS 2 and 3). */
#include "tests/t-etfs.h"

#include <sys/socket.h>
#include <sys/un.h>

TEST(host_objects)
{
	static const char *const objects[] = {
	    "file", "link", "dir", "fifo", "sock", "chr", "absent", "dangling"};
	static const struct {
		enum etfs_type t;
		int want[8];
	} rows[] = {
	    {ETFS_REG, {0, 0, -EISDIR, -EINVAL, -EINVAL, -EOPNOTSUPP, -ENOENT, -ENOENT}},
	    {ETFS_BLK, {0, 0, -EINVAL, -EINVAL, -EINVAL, -EOPNOTSUPP, -ENOENT, -ENOENT}},
	    {ETFS_CHR, {0, 0, -EINVAL, -EINVAL, -EINVAL, -EOPNOTSUPP, -ENOENT, -ENOENT}},
	    {ETFS_DIR,
		{-ENOTDIR, -ENOTDIR, 0, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOENT, -ENOENT}},
	    {ETFS_DIR_SUBDIRS,
		{-ENOTDIR, -ENOTDIR, 0, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOENT, -ENOENT}},
	    {ETFS_AUTO, {0, 0, 0, -EINVAL, -EINVAL, -EOPNOTSUPP, -ENOENT, -ENOENT}},
	};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	AUTO_BED b;
	int s;

	bed_start(&b, 0);
	host_file(&b, "file", 1024);
	CHECK_EQ(symlink("file", host(&b, "link")), 0);
	CHECK_EQ(symlink("nowhere", host(&b, "dangling")), 0);
	CHECK_EQ(mkdir(host(&b, "dir"), 0755), 0);
	CHECK_EQ(mkfifo(host(&b, "fifo"), 0644), 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", host(&b, "sock"));
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_EQ(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	close(s);
	CHECK_EQ(symlink("/dev/null", host(&b, "chr")), 0);
	for (unsigned t = 0; t < sizeof(rows) / sizeof(rows[0]); t++)
		for (unsigned o = 0; o < 8; o++) {
			int r;

			r = reg_win(&b, "/k", objects[o], rows[t].t, 0, ETFS_SIZE_END);
			if (r != rows[t].want[o])
				printf("type %d, %s: %s\n", rows[t].t, objects[o],
				    b.why.ew_text);
			CHECK_EQ(r, rows[t].want[o]);
			CHECK_EQ(at_err(&b, "/k"), r == 0 ? 0 : -ENOENT);
			CHECK_EQ(etfs_remove(b.e, "/k"), r == 0 ? 0 : -ENOENT);
		}
}

TEST(key_syntax)
{
	char longname[300] = "/", longpath[5000];
	AUTO_BED b;

	memset(longname + 1, 'x', 256);
	memset(longpath, 'y', sizeof(longpath));
	for (unsigned i = 0; i < sizeof(longpath); i += 100)
		longpath[i] = '/';
	longpath[4097] = '\0';
	bed_start(&b, 0);
	host_text(&b, "f", "text");
	CHECK_EQ(reg(&b, "key", "f", ETFS_REG), -EINVAL);
	CHECK_EQ(reg(&b, "", "f", ETFS_REG), -EINVAL);
	CHECK_EQ(reg(&b, "/a/../b", "f", ETFS_REG), -EINVAL);
	CHECK_EQ(reg(&b, "/a/.", "f", ETFS_REG), -EINVAL);
	CHECK_EQ(reg(&b, longname, "f", ETFS_REG), -ENAMETOOLONG);
	CHECK_EQ(reg(&b, longpath, "f", ETFS_REG), -ENAMETOOLONG);
	/* The syntax comes before the host object, and that before the range. */
	CHECK_EQ(reg(&b, "key", "absent", ETFS_REG), -EINVAL);
	CHECK_EQ(reg_win(&b, "/k", "absent", ETFS_REG, 5, UINT64_MAX - 1), -ENOENT);
	CHECK_EQ(reg(&b, "////key", "f", ETFS_REG), 0);
	CHECK(mount_is(&b, "/key", "text"));
	CHECK_EQ(reg(&b, "/key", "f", ETFS_REG), -EEXIST);
	CHECK_EQ(reg(&b, "/key/", "absent", ETFS_REG), -ENOENT);
	CHECK(mount_is(&b, "/key", "text"));
	CHECK_EQ(reg(&b, "/key/below", "f", ETFS_REG), -ENOTDIR);
	CHECK_EQ(etfs_remove(b.e, "key"), -EINVAL);
	CHECK_EQ(etfs_remove(b.e, "/nokey"), -ENOENT);
	CHECK_EQ(etfs_remove(b.e, "/key/below"), -ENOENT);
	CHECK_EQ(etfs_remove(b.e, "//key/"), 0);
	CHECK_EQ(at_err(&b, "/key"), -ENOENT);
	CHECK_EQ(reg(&b, "/", "f", ETFS_REG), -ENOTDIR);
}

TEST(ranges)
{
	static const struct {
		uint64_t begin, size;
		int want;
		uint64_t len;
	} rows[] = {
	    {0, ETFS_SIZE_END, 0, 64000},
	    {16000, 32000, 0, 32000},
	    {64000, ETFS_SIZE_END, 0, 0},
	    {64000, 0, 0, 0},
	    {64001, 0, -EINVAL, 0},
	    {64000, 1, -EINVAL, 0},
	    {1, 64000, -EINVAL, 0},
	    {5, UINT64_MAX - 1, -EINVAL, 0},
	    {63999, 1, 0, 1},
	    {1, 3, 0, 3},
	};
	static const enum etfs_type types[] = {ETFS_REG, ETFS_BLK, ETFS_CHR};
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 64000);
	for (unsigned t = 0; t < 3; t++)
		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			int r =
			    reg_win(&b, "/k", "f", types[t], rows[i].begin, rows[i].size);

			CHECK_EQ(r, rows[i].want);
			if (r == 0)
				CHECK_EQ(attr(&b, "/k").va_size, rows[i].len);
			(void)etfs_remove(b.e, "/k");
		}
	CHECK_EQ(mkdir(host(&b, "d"), 0755), 0);
	CHECK_EQ(reg_win(&b, "/k", "d", ETFS_DIR, 1, ETFS_SIZE_END), -EISDIR);
	CHECK_EQ(reg_win(&b, "/k", "d", ETFS_DIR_SUBDIRS, 0, 0), -EISDIR);
	CHECK_EQ(reg_win(&b, "/k", "d", ETFS_AUTO, 0, 1), -EISDIR);
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_DIR, 1, 1), -ENOTDIR);
}

TEST(reasons)
{
	AUTO_BED b;
	char want[256];

	bed_start(&b, 0);
	host_text(&b, "f", "12345");
	CHECK_EQ(reg_win(&b, "//disk/p1", "f", ETFS_BLK, 10, ETFS_SIZE_END), -EINVAL);
	snprintf(want, sizeof(want), "/disk/p1: %s: begin 10 lies past the end (size 5)",
	    host(&b, "f"));
	CHECK_STR(b.why.ew_text, want);
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_DIR, 0, ETFS_SIZE_END), -ENOTDIR);
	snprintf(want, sizeof(want),
	    "/k: %s: is a regular file and cannot be a key of type dir", host(&b, "f"));
	CHECK_STR(b.why.ew_text, want);
	CHECK_EQ(reg_win(&b, "/k", "g", ETFS_REG, 0, ETFS_SIZE_END), -ENOENT);
	snprintf(want, sizeof(want), "/k: %s: No such file or directory", host(&b, "g"));
	CHECK_STR(b.why.ew_text, want);
	/* Parents that were made on the way to a refusal are gone. */
	CHECK_EQ(at_err(&b, "/disk"), -ENOENT);
	/* Where the key cannot be. */
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/k/x", "f", ETFS_REG, 0, ETFS_SIZE_END), -ENOTDIR);
	CHECK(strstr(b.why.ew_text, ": a component of the key is not a directory"));
	CHECK_EQ(mkdir(host(&b, "d"), 0755), 0);
	CHECK_EQ(reg(&b, "/d", "d", ETFS_DIR_SUBDIRS), 0);
	CHECK_EQ(mkdir(host(&b, "d/e"), 0755), 0);
	CHECK_EQ(reg(&b, "/d/e/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/d/e", "f", ETFS_REG, 0, ETFS_SIZE_END), -EBUSY);
	CHECK(strstr(b.why.ew_text, "attached below"));
}

TEST(no_room_for_parents)
{
	struct rumpfs_opts ro = {.ro_mode = 0755, .ro_inodes = 2};
	struct etfs_opts eo = {.eo_ttl_ns = 1000000000};
	AUTO_BED b;

	memset(&b, 0, sizeof(b));
	b.dir = tmp_new("/dev/shm");
	if (vfs_init(&b.v) < 0 || rumpfs_new(&b.v, &ro, &b.root) < 0 ||
	    etfs_new(&b.v, &eo, &b.e) < 0)
		abort();
	host_text(&b, "f", "12345");
	CHECK_EQ(reg_win(&b, "/a/b/c/k", "f", ETFS_REG, 0, ETFS_SIZE_END), -ENOSPC);
	CHECK(strstr(b.why.ew_text, "in-memory tree") &&
	      strstr(b.why.ew_text, "([rumpfs] size, inodes)"));
	CHECK_EQ(at_err(&b, "/a"), -ENOENT);
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
}

/* What is for directories only, for a key whose type shows only now. */
TEST(only_for_directories)
{
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "12345");
	CHECK_EQ(reg_dir(&b, "/k", "f", ETFS_AUTO, ETFS_SYMLINKS_SHOW, true), -ENOTDIR);
	CHECK(strstr(b.why.ew_text,
	    ": is a regular file, and symlinks and special are only for directories"));
	CHECK_EQ(reg_dir(&b, "/k", "f", ETFS_AUTO, ETFS_SYMLINKS_HIDE, false), -ENOTDIR);
	CHECK_EQ(reg_dir(&b, "/k", "f", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
}

TEST(live_file)
{
	char buf[100];
	struct file *f, *a;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "hello");
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	f = open_at(&b, "/k", O_RDWR);
	a = open_at(&b, "/k", O_WRONLY | O_APPEND);
	REQUIRE(f && a);
	host_text(&b, "f", "hello, world");
	CHECK_EQ(attr(&b, "/k").va_size, 12);
	CHECK_EQ(get(f, buf, 100, 7), 5);
	/* Where the end is, the host decides, whatever offset the kernel computed. */
	struct uio u;
	uio_init_buf(&u, buf, 1, 3);
	buf[0] = '!';
	u.uio_append = true;
	CHECK_EQ(vop_write(a->f_vp, a, &u), 0);
	CHECK_EQ(u.uio_done, 1);
	CHECK(host_is(&b, "f", "hello, world!"));
	/* A page of a mapping comes through any open file and has its place. */
	CHECK_EQ(put(a, "H", 1, 0), 1);
	CHECK(host_is(&b, "f", "Hello, world!"));
	CHECK_EQ(put(f, "J", 1, 0), 1);
	CHECK_EQ(set_size(&b, "/k", 5), 0);
	CHECK(host_is(&b, "f", "Jello"));
	vop_close(f);
	vop_close(a);
	f = open_at(&b, "/k", O_WRONLY | O_TRUNC);
	REQUIRE(f);
	CHECK(host_is(&b, "f", ""));
	vop_close(f);
	CHECK_EQ(set_mode(&b, "/k", 0640), 0);
	CHECK_EQ(attr(&b, "/k").va_mode, S_IFREG | 0640);
	struct stat st;
	CHECK_EQ(stat(host(&b, "f"), &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
}

TEST(window_attributes)
{
	struct vattr_set vs = {.vs_valid = VS_UID | VS_MTIME, .vs_uid = 77};
	struct etfs_spec s = {.es_key = "/o",
	    .es_size = ETFS_SIZE_END,
	    .es_set_mode = true,
	    .es_mode = 0600,
	    .es_set_uid = true,
	    .es_uid = 5};
	struct vnode *vp;
	struct vattr va;
	struct stat st;
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 8192);
	CHECK_EQ(chmod(host(&b, "f"), 0644), 0);
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 4096, 1024), 0);
	CHECK_EQ(set_mode(&b, "/k", 0600), 0);
	vs.vs_mtime.tv_sec = 1000;
	vp = at(&b, "/k");
	REQUIRE(vp);
	CHECK_EQ(vop_setattr(vp, NULL, &vs, &root_cred), 0);
	vn_unref(vp);
	va = attr(&b, "/k");
	CHECK_EQ(va.va_mode, S_IFREG | 0600);
	CHECK_EQ(va.va_uid, 77);
	CHECK_EQ(va.va_mtime.tv_sec, 1000);
	CHECK_EQ(va.va_nlink, 1);
	CHECK_EQ(va.va_size, 1024);
	CHECK_EQ(va.va_blocks_blk, 2);
	CHECK_EQ(stat(host(&b, "f"), &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK(st.st_mtim.tv_sec != 1000);
	/* An override shows, follows chmod, and leaves the host alone. */
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	va = attr(&b, "/o");
	CHECK_EQ(va.va_mode, S_IFREG | 0600);
	CHECK_EQ(va.va_uid, 5);
	CHECK_EQ(set_mode(&b, "/o", 0666), 0);
	CHECK_EQ(attr(&b, "/o").va_mode, S_IFREG | 0666);
	CHECK_EQ(stat(host(&b, "f"), &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	/* Two keys on one file: two vnodes, one number. */
	CHECK(attr(&b, "/o").va_ino == attr(&b, "/k").va_ino);
	CHECK(attr(&b, "/o").va_ino >> 48 != 0);
}

TEST(read_only)
{
	struct etfs_spec s = {
	    .es_key = "/k", .es_size = ETFS_SIZE_END, .es_rdonly = true};
	struct vnode *vp;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "hello");
	CHECK_EQ(mkdir(host(&b, "d"), 0755), 0);
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	CHECK_EQ(open_err(&b, "/k", O_RDONLY), 0);
	CHECK_EQ(open_err(&b, "/k", O_RDWR), -EROFS);
	CHECK_EQ(open_err(&b, "/k", O_RDONLY | O_TRUNC), -EROFS);
	CHECK_EQ(set_mode(&b, "/k", 0600), -EROFS);
	CHECK_EQ(set_size(&b, "/k", 0), -EROFS);
	s.es_key = "/d";
	s.es_host = host(&b, "d");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	CHECK_EQ(do_make(&b, "/d/x", VDIR, NULL), -EROFS);
	CHECK_EQ(do_create(&b, "/d/x", O_RDWR, NULL), -EROFS);
	CHECK_EQ(set_mode(&b, "/d", 0700), -EROFS);
	vp = at(&b, "/d");
	REQUIRE(vp);
	CHECK_EQ(vop_setxattr(vp, "user.x", "1", 1, 0, &root_cred), -EROFS);
	vn_unref(vp);
}

TEST(unreadable)
{
	AUTO_BED b;
	int status = -1;
	pid_t pid;

	bed_start(&b, 0);
	if (geteuid() != 0)
		SKIP("needs root");
	host_text(&b, "secret", "x");
	host_text(&b, "readable", "x");
	CHECK_EQ(mkdir(host(&b, "d"), 0700), 0);
	CHECK_EQ(chmod(host(&b, "secret"), 0600), 0);
	CHECK_EQ(chmod(host(&b, "readable"), 0644), 0);
	CHECK_EQ(chmod(b.dir.path, 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct etfs_spec s = {.es_key = "/r", .es_size = ETFS_SIZE_END};

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(9);
		if (reg(&b, "/k", "secret", ETFS_REG) != -EACCES ||
		    reg(&b, "/k", "d", ETFS_DIR) != -EACCES)
			_exit(1);
		if (reg_win(&b, "/k", "readable", ETFS_BLK, 0, 1) != -EACCES ||
		    !strstr(b.why.ew_text, "cannot be written"))
			_exit(2);
		s.es_host = host(&b, "readable");
		s.es_rdonly = true;
		_exit(etfs_register_spec(b.e, &s, NULL) == 0 ? 0 : 3);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

TEST(removing)
{
	char buf[8];
	struct file *f, *d, *w;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "one");
	host_text(&b, "g", "two");
	CHECK_EQ(mkdir(host(&b, "d"), 0755), 0);
	host_text(&b, "d/x", "below");
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/w", "f", ETFS_BLK, 0, 2), 0);
	CHECK_EQ(reg(&b, "/d", "d", ETFS_DIR_SUBDIRS), 0);
	/* The key itself stays where it is. */
	CHECK_EQ(do_remove(&b, "/k", false), -EBUSY);
	CHECK_EQ(do_remove(&b, "/d", true), -EBUSY);
	CHECK_EQ(do_rename(&b, "/k", "/l", 0), -EBUSY);
	CHECK_EQ(do_make(&b, "/k", VREG, NULL), -EEXIST);
	CHECK_EQ(do_create(&b, "/k", O_RDWR | O_EXCL, NULL), -EEXIST);
	CHECK_EQ(do_create(&b, "/k", O_RDWR, NULL), 0);
	f = open_at(&b, "/k", O_RDWR);
	w = open_at(&b, "/w", O_RDWR);
	d = open_at(&b, "/d/x", O_RDWR);
	REQUIRE(f && d && w);
	CHECK_EQ(etfs_remove(b.e, "/k"), 0);
	CHECK_EQ(etfs_remove(b.e, "/w"), 0);
	CHECK_EQ(etfs_remove(b.e, "/d"), 0);
	CHECK_EQ(at_err(&b, "/k"), -ENOENT);
	CHECK_EQ(at_err(&b, "/d"), -ENOENT);
	/* The same names at once, with other files. */
	CHECK_EQ(reg(&b, "/k", "g", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/w", "g", ETFS_BLK, 1, 2), 0);
	CHECK(mount_is(&b, "/k", "two"));
	CHECK(mount_is(&b, "/w", "wo"));
	CHECK_EQ(get(f, buf, 3, 0), -EIO);
	CHECK_EQ(put(f, "x", 1, 0), -EIO);
	CHECK_EQ(vop_fsync(f->f_vp, f, false), -EIO);
	CHECK_EQ(get(w, buf, 1, 0), -EIO);
	CHECK_EQ(get(d, buf, 8, 0), 5);
	CHECK_EQ(put(d, "B", 1, 0), 1);
	CHECK(host_is(&b, "d/x", "Below"));
	vop_close(f);
	vop_close(w);
	vop_close(d);
	CHECK(host_is(&b, "f", "one"));
}

TEST(parents)
{
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "x");
	CHECK_EQ(reg(&b, "/a/b/c", "f", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/a/b/d", "f", ETFS_REG), 0);
	CHECK_STR(names(&b, "/a"), "b");
	CHECK_STR(names(&b, "/a/b"), "c d");
	CHECK_EQ(attr(&b, "/a/b").va_mode, S_IFDIR | 0755);
	CHECK_EQ(do_make(&b, "/a/own", VREG, NULL), 0);
	CHECK_EQ(etfs_remove(b.e, "/a/b/c"), 0);
	CHECK_EQ(at_err(&b, "/a/b"), 0);
	CHECK_EQ(etfs_remove(b.e, "/a/b/d"), 0);
	CHECK_EQ(at_err(&b, "/a/b"), -ENOENT);
	CHECK_EQ(at_err(&b, "/a"), 0); /* not empty */
	/* Over a node in memory, which comes back. */
	CHECK_EQ(reg(&b, "/a/own", "f", ETFS_REG), 0);
	CHECK(mount_is(&b, "/a/own", "x"));
	CHECK_STR(names(&b, "/a"), "own");
	CHECK_EQ(etfs_remove(b.e, "/a/own"), 0);
	CHECK_EQ(attr(&b, "/a/own").va_size, 0);
	CHECK_EQ(do_remove(&b, "/a/own", false), 0);
}

TEST(many_and_listing)
{
	struct etfs_info i;
	struct etfs_list l;
	struct etfs_stats st;
	struct etfs_spec s = {
	    .es_key = "/hid", .es_size = ETFS_SIZE_END, .es_hidden = true};
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 1000);
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	CHECK_EQ(reg_win(&b, "/w", "f", ETFS_REG, 10, 20), 0);
	CHECK_STR(names(&b, "/"), "w");
	CHECK_EQ(at_err(&b, "/hid"), 0);
	CHECK_EQ(etfs_find(b.e, "//w", &i), 0);
	CHECK_STR(i.ei_key, "/w");
	CHECK(i.ei_window && !i.ei_rdonly && !i.ei_hidden && !i.ei_missing);
	CHECK_EQ(i.ei_begin, 10);
	CHECK_EQ(i.ei_size, 20);
	CHECK_EQ(i.ei_type, ETFS_REG);
	CHECK_EQ(etfs_find(b.e, "/none", &i), -ENOENT);
	CHECK_EQ(etfs_find(b.e, "none", &i), -EINVAL);
	CHECK_EQ(etfs_find(b.e, "/hid", &i), 0);
	CHECK(i.ei_hidden && !i.ei_window);
	/* One alone, whose texts outlive it. */
	CHECK_EQ(etfs_list_at(b.e, "/none", &l), -ENOENT);
	etfs_list_done(&l);
	CHECK_EQ(etfs_list_at(b.e, "/", &l), -ENOENT);
	etfs_list_done(&l);
	CHECK_EQ(etfs_list_at(b.e, "/w", &l), 0);
	CHECK_EQ(l.el_n, 1);
	CHECK_EQ(etfs_remove(b.e, "/w"), 0);
	CHECK_STR(l.el_all[0].ei_key, "/w");
	CHECK_STR(l.el_all[0].ei_host, host(&b, "f"));
	etfs_list_done(&l);
	CHECK_EQ(etfs_list_at(b.e, "/w", &l), -ENOENT);
	etfs_list_done(&l);
	CHECK_EQ(reg_win(&b, "/w", "f", ETFS_REG, 10, 20), 0);
	etfs_stats(b.e, &st);
	CHECK_EQ(st.et_keys, 2);
	CHECK_EQ(st.et_nodes, 2);
}

TEST(missing_hide)
{
	struct etfs_spec s = {
	    .es_key = "/k", .es_begin = 2, .es_size = 3, .es_missing_hide = true};
	struct etfs_info i;
	AUTO_BED b;

	bed_start(&b, 0);
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, &b.why), 0);
	CHECK_EQ(at_err(&b, "/k"), -ENOENT);
	CHECK_EQ(etfs_find(b.e, "/k", &i), 0);
	CHECK(i.ei_missing && i.ei_type == ETFS_AUTO);
	CHECK_STR(names(&b, "/"), "");
	host_text(&b, "f", "123"); /* too small for the range: it stays away */
	CHECK_EQ(at_err(&b, "/k"), -ENOENT);
	host_text(&b, "f", "123456");
	CHECK(mount_is(&b, "/k", "345"));
	CHECK_STR(names(&b, "/"), "k");
	CHECK_EQ(etfs_find(b.e, "/k", &i), 0);
	CHECK(!i.ei_missing && i.ei_type == ETFS_REG && i.ei_window);
	CHECK_EQ(etfs_remove(b.e, "/k"), 0);
	CHECK_EQ(at_err(&b, "/k"), -ENOENT);
	/* Other failures than absence are failures. */
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	s.es_key = "/l";
	s.es_begin = 7;
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), -EINVAL);
}

TEST(huge)
{
	const uint64_t T = 1ull << 40;
	char buf[8] = "";
	struct file *f;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "big", "");
	CHECK_EQ(truncate(host(&b, "big"), (off_t)(8 * T)), 0);
	CHECK_EQ(reg(&b, "/a", "big", ETFS_BLK), 0);
	f = open_at(&b, "/a", O_RDWR);
	REQUIRE(f);
	CHECK_EQ(put(f, "far away", 8, 6 * T), 8);
	CHECK_EQ(put(f, "far away", 8, 8 * T), -ENOSPC);
	vop_close(f);
	CHECK_EQ(etfs_remove(b.e, "/a"), 0);
	CHECK_EQ(reg(&b, "/other", "big", ETFS_BLK), 0);
	CHECK_EQ(attr(&b, "/other").va_size, 8 * T);
	f = open_at(&b, "/other", O_RDONLY);
	REQUIRE(f);
	CHECK_EQ(get(f, buf, 8, 6 * T), 8);
	CHECK(memcmp(buf, "far away", 8) == 0);
	vop_close(f);
}

TEST(copy_in)
{
	struct etfs_why why = {""};
	struct vnode *vp;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "contents");
	CHECK_EQ(truncate(host(&b, "f"), 1 << 20), 0);
	CHECK_EQ(mkfifo(host(&b, "fifo"), 0644), 0);
	CHECK_EQ(do_make(&b, "/m", VREG, NULL), 0);
	vp = at(&b, "/m");
	REQUIRE(vp);
	CHECK_EQ(etfs_copy_in(host(&b, "fifo"), vp, &why), -EINVAL);
	CHECK_EQ(etfs_copy_in(host(&b, "none"), vp, &why), -ENOENT);
	CHECK(strstr(why.ew_text, "none: No such file"));
	CHECK_EQ(etfs_copy_in(host(&b, "f"), vp, &why), 0);
	vn_unref(vp);
	CHECK_EQ(attr(&b, "/m").va_size, 1 << 20);
	CHECK_EQ(set_size(&b, "/m", 8), 0);
	struct file *f = open_at(&b, "/m", O_RDONLY);
	struct uio u;
	char buf[16];
	REQUIRE(f);
	uio_init_buf(&u, buf, 16, 0);
	CHECK_EQ(vop_read(f->f_vp, f, &u), 0);
	CHECK_EQ(u.uio_done, 8);
	vop_close(f);
}
