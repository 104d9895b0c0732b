/* Files and directories that nobody has said to have opened: reading, writing and listing for
 * one request at a time. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"

/* One entry after another, each with nothing but the cookie of the one before. */
static unsigned
list_alone(struct vnode *dvp, char *names)
{
	static _Alignas(8) char mem[320];
	struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
	struct dirrec *r;
	struct file *f;
	unsigned n = 0;

	for (*names = '\0';; db.db_cookie = r->dr_cookie) {
		if (vop_open_once(dvp, O_RDONLY | O_DIRECTORY, &root_cred, &f) < 0)
			abort();
		CHECK_EQ(vop_readdir_at(dvp, f, &db), 0);
		if (f)
			vop_close(f);
		r = dirbuf_next(&db, NULL);
		if (!r)
			return n;
		if (r->dr_name[0] != '.') {
			strcat(strcat(names, r->dr_name), " ");
			n++;
		}
	}
}

TEST(listings)
{
	char names[1024];
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "t/n%d", i);
		host_text(&b, name, "");
	}
	CHECK_EQ(reg(&b, "/k", "t", ETFS_AUTO), 0);
	CHECK_EQ(reg(&b, "/k/in", "t/file", ETFS_REG), 0);
	CHECK_EQ(reg(&b, "/k/n7", "t/file", ETFS_REG), 0);
	CHECK_EQ(do_make(&b, "/m", VDIR, NULL), 0);
	CHECK_EQ(do_make(&b, "/m/a", VREG, NULL), 0);
	CHECK_EQ(do_make(&b, "/m/b", VREG, NULL), 0);
	CHECK_EQ(reg(&b, "/m/k", "t/file", ETFS_REG), 0);
	AUTO_VNODE m = at(&b, "/m");
	AUTO_VNODE k = at(&b, "/k");
	REQUIRE(m && k);
	CHECK_EQ(list_alone(m, names), 3);
	CHECK(strcmp(names, "k a b ") == 0);
	/* n0 … n39 (one of them covered), file, sub, link; in. */
	CHECK_EQ(list_alone(k, names), 44);
	CHECK(strstr(names, "in n7 ") == names || strstr(names, "n7 in ") == names);
	CHECK_EQ(etfs_remove(b.e, "/m/k"), 0);
	CHECK_EQ(list_alone(m, names), 2);
}

TEST(contents)
{
	char buf[32];
	struct file *f;
	struct uio u;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "hello");
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/w", "f", ETFS_REG, 1, 3), 0);
	CHECK_EQ(do_make(&b, "/m", VREG, NULL), 0);
	AUTO_VNODE k = at(&b, "/k");
	AUTO_VNODE w = at(&b, "/w");
	AUTO_VNODE m = at(&b, "/m");
	REQUIRE(k && w && m);

	/* In memory there is nothing to open. */
	CHECK_EQ(vop_open_once(m, O_WRONLY, &root_cred, &f), 0);
	CHECK(f == NULL);
	memcpy(buf, "text", 4);
	uio_init_buf(&u, buf, 4, 0);
	CHECK_EQ(vop_write(m, NULL, &u), 0);
	CHECK_EQ(u.uio_done, 4);
	/* Nobody knows how it was opened: not what is not to be written … */
	unsigned flags = FS_IMMUTABLE_FL;
	CHECK_EQ(vop_ioctl(m, NULL, FS_IOC_SETFLAGS, &flags, sizeof(flags), NULL, 0,
		     &root_cred),
	    0);
	CHECK_EQ(vop_write(m, NULL, &u), -EPERM);
	flags = FS_APPEND_FL;
	CHECK_EQ(vop_ioctl(m, NULL, FS_IOC_SETFLAGS, &flags, sizeof(flags), NULL, 0,
		     &root_cred),
	    0);
	CHECK_EQ(vop_write(m, NULL, &u), -EPERM);
	uio_init_buf(&u, buf, 4, 0);
	u.uio_append = true;
	CHECK_EQ(vop_write(m, NULL, &u), 0);
	uio_init_buf(&u, buf, 4, 8);
	u.uio_kept = true; /* decided on when the kernel took it */
	CHECK_EQ(vop_write(m, NULL, &u), 0);
	/* … nor the device of an image. */
	flags = 0;
	CHECK_EQ(vop_ioctl(m, NULL, FS_IOC_SETFLAGS, &flags, sizeof(flags), NULL, 0,
		     &root_cred),
	    0);
	atomic_fetch_or(&m->v_flags, VF_DEVICE);
	uio_init_buf(&u, buf, 4, 0);
	CHECK_EQ(vop_write(m, NULL, &u), -EBUSY);
	CHECK_EQ(vop_fallocate(m, NULL, 0, 0, 10), -EBUSY);
	atomic_fetch_and(&m->v_flags, (uint16_t)~VF_DEVICE);

	/* A host file is open for the one request, and has no handle. */
	CHECK_EQ(vop_open_once(k, O_WRONLY, &root_cred, &f), 0);
	REQUIRE(f);
	CHECK_EQ(f->f_id, 0);
	CHECK_EQ(put(f, "J", 1, 0), 1);
	CHECK_EQ(vop_flush(f), 0);
	vop_close(f);
	CHECK(host_is(&b, "f", "Jello"));
	CHECK_EQ(atomic_load(&k->v_mount->mnt_nopen), 0);
	CHECK_EQ(vop_open_once(w, O_WRONLY, &root_cred, &f), 0);
	REQUIRE(f);
	CHECK_EQ(put(f, "XXXXXX", 6, 0), 3);
	CHECK_EQ(put(f, "X", 1, 3), -ENOSPC);
	vop_close(f);
	CHECK(host_is(&b, "f", "JXXXo"));
	/* O_TRUNC of a window cannot be told from a truncation. */
	CHECK_EQ(set_size(&b, "/w", 0), -EINVAL);
	etfs_unopened(b.e);
	CHECK_EQ(set_size(&b, "/w", 0), 0);
	CHECK_EQ(set_size(&b, "/w", 1), -EINVAL);
	CHECK(host_is(&b, "f", "JXXXo"));
	etfs_set_rdonly(b.e, true);
	CHECK_EQ(vop_open_once(k, O_WRONLY, &root_cred, &f), -EROFS);
	etfs_set_rdonly(b.e, false);
}

static unsigned told;
static bool too_late;

static void
note_pages(void *arg, struct vnode *vp)
{
	(void)arg;
	(void)vp;
	told++;
}

static bool
drop_pages(void *arg, struct vnode *vp)
{
	note_pages(arg, vp);
	return !too_late;
}

static void
note_settle(void *arg)
{
	(void)arg;
}

/* So long a change time says nothing. */
static void
grow_old(void)
{
	const struct timespec t = {.tv_nsec = 60000000};

	nanosleep(&t, NULL);
}

static void
note_name(void *arg, struct vnode *dvp, const struct name *n)
{
	(void)arg;
	(void)dvp;
	(void)n;
}

static const struct vfs_notify_ops recorder = {
    .entry = note_name,
    .inode = note_pages,
    .expire = note_name,
    .attrs = note_pages,
    .pages = drop_pages,
    .settle = note_settle,
};

TEST(told_of_changes)
{
	struct file *f;
	char buf[8];
	AUTO_BED b;

	bed_start(&b, 0);
	etfs_unopened(b.e);
	CHECK_EQ(mkdir(host(&b, "d"), 0755), 0);
	host_text(&b, "d/f", "one");
	CHECK_EQ(reg(&b, "/k", "d", ETFS_AUTO), 0);
	AUTO_VNODE n = at(&b, "/k/f");
	REQUIRE(n);
	grow_old();
	attr(&b, "/k/f");
	b.v.vfs_notify = &recorder;
	told = 0;
	attr(&b, "/k/f");
	/* It was looked up when it was young: the first look has pages dropped for that. */
	told = 0;
	attr(&b, "/k/f");
	CHECK_EQ(told, 0);
	host_text(&b, "d/f", "longer");
	attr(&b, "/k/f");
	CHECK_EQ(told, 1);
	/* The next change could have had the same time: once more when it is old. */
	grow_old();
	too_late = true;
	attr(&b, "/k/f");
	CHECK_EQ(told, 2);
	too_late = false;
	attr(&b, "/k/f");
	CHECK_EQ(told, 3);
	attr(&b, "/k/f");
	CHECK_EQ(told, 3);
	b.v.vfs_notify = NULL;
	/* Without a name and without a file that is open it is there as long as its node. */
	CHECK_EQ(do_remove(&b, "/k/f", false), 0);
	fds_shrink(b.e);
	CHECK_EQ(vop_open_once(n, O_RDONLY, &root_cred, &f), 0);
	REQUIRE(f);
	CHECK_EQ(get(f, buf, 8, 0), 6);
	vop_close(f);
}
