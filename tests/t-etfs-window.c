/* Windows: what is read and written where, chr keys' sectors, space, ioctls of block
 * devices (SEMANTICS 3). */
#include "tests/t-etfs.h"

#include <linux/falloc.h>
#include <linux/fs.h>

TEST(window_io)
{
	static const enum etfs_type types[] = {ETFS_REG, ETFS_BLK};
	unsigned char before[64000], after[64000], buf[40000];
	AUTO_BED b;

	bed_start(&b, 0);
	for (unsigned t = 0; t < 2; t++) {
		struct file *f;
		int fd;

		host_file(&b, "f", 64000);
		fd = open(host(&b, "f"), O_RDONLY);
		CHECK_EQ(pread(fd, before, 64000, 0), 64000);
		CHECK_EQ(reg_win(&b, "/k", "f", types[t], 16000, 32000), 0);
		CHECK_EQ(open_err(&b, "/k", O_RDWR | O_TRUNC), 0);
		f = open_at(&b, "/k", O_RDWR);
		REQUIRE(f);
		CHECK_EQ(get(f, buf, sizeof(buf), 0), 32000);
		CHECK(memcmp(buf, before + 16000, 32000) == 0);
		CHECK_EQ(get(f, buf, 100, 31950), 50);
		CHECK_EQ(get(f, buf, 100, 32000), 0);
		CHECK_EQ(get(f, buf, 100, UINT64_MAX - 5), 0);
		memset(buf, '!', sizeof(buf));
		CHECK_EQ(put(f, buf, 10, 5), 10);
		CHECK_EQ(put(f, buf, 100, 31990), 10);
		CHECK_EQ(put(f, buf, 1, 32000), -ENOSPC);
		CHECK_EQ(put(f, buf, 1, INT64_MAX - 10), -ENOSPC);
		CHECK_EQ(put(f, buf, 40000, 0), 32000);
		CHECK_EQ(vop_fsync(f->f_vp, f, false), 0);
		CHECK_EQ(set_size(&b, "/k", 32000), 0);
		CHECK_EQ(set_size(&b, "/k", 31999), -EINVAL);
		CHECK_EQ(set_size(&b, "/k", 0), -EINVAL);
		vop_close(f);
		CHECK_EQ(pread(fd, after, 64000, 0), 64000);
		CHECK(memcmp(before, after, 16000) == 0);
		CHECK(memcmp(buf, after + 16000, 32000) == 0);
		CHECK(memcmp(before + 48000, after + 48000, 16000) == 0);
		close(fd);
		CHECK_EQ(etfs_remove(b.e, "/k"), 0);
	}
}

TEST(chr_sectors)
{
	char buf[4096] = "";
	struct file *f;
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 1300);
	CHECK_EQ(reg(&b, "/k", "f", ETFS_CHR), 0);
	f = open_at(&b, "/k", O_RDWR);
	REQUIRE(f);
	CHECK(f->f_vp->v_mount->mnt_flags & MNT_NOCACHE);
	CHECK_EQ(get(f, buf, 512, 0), 512);
	CHECK_EQ(get(f, buf, 1024, 1024), 276);
	CHECK_EQ(get(f, buf, 512, 1536), 0);
	CHECK_EQ(get(f, buf, 511, 0), -EINVAL);
	CHECK_EQ(get(f, buf, 512, 1), -EINVAL);
	CHECK_EQ(put(f, buf, 512, 100), -EINVAL);
	CHECK_EQ(put(f, buf, 100, 512), -EINVAL);
	CHECK_EQ(put(f, buf, 1024, 1024), 276);
	CHECK_EQ(put(f, buf, 512, 1536), -ENOSPC);
	vop_close(f);
}

/* The kernel cuts a large transfer where the caller's memory has a page. */
TEST(chr_pieces)
{
	enum {
		MB = 1 << 20,
		ODD = 16
	};
	char *buf = calloc(2, MB);
	struct file *f;
	AUTO_BED b;

	bed_start(&b, 0);
	host_text(&b, "f", "");
	CHECK_EQ(truncate(host(&b, "f"), 4 * MB), 0);
	CHECK_EQ(reg(&b, "/k", "f", ETFS_CHR), 0);
	f = open_at(&b, "/k", O_RDWR);
	REQUIRE(f && buf);
	CHECK_EQ(get(f, buf, MB - ODD, 0), MB - ODD);
	/* Reading and writing are each their own. */
	CHECK_EQ(put(f, buf, ODD, MB - ODD), -EINVAL);
	CHECK_EQ(get(f, buf, MB, MB - ODD), MB);
	CHECK_EQ(get(f, buf, ODD, MB - ODD), -EINVAL);
	CHECK_EQ(get(f, buf, ODD + 100, 2 * MB - ODD), -EINVAL);
	CHECK_EQ(get(f, buf, ODD + 512, 2 * MB - ODD), ODD + 512);
	CHECK_EQ(get(f, buf, ODD + 512, 2 * MB - ODD), -EINVAL);
	CHECK_EQ(put(f, buf, MB - ODD, 2 * MB), MB - ODD);
	CHECK_EQ(put(f, buf, MB, 3 * MB - ODD), MB);
	CHECK_EQ(put(f, buf, ODD, 4 * MB - ODD), ODD);
	/* Up to the end of the window, and a little more. */
	CHECK_EQ(get(f, buf, MB - ODD, 3 * MB), MB - ODD);
	CHECK_EQ(get(f, buf, ODD + 1, 4 * MB - ODD), ODD);
	CHECK_EQ(get(f, buf, 1, 4 * MB), 0);
	CHECK_EQ(get(f, buf, ODD + 1, 4 * MB - ODD), -EINVAL);
	CHECK_EQ(get(f, buf, MB - 4096 - ODD, 0), -EINVAL);
	CHECK_EQ(get(f, buf, MB - ODD, ODD), -EINVAL);
	vop_close(f);
	free(buf);
}

TEST(window_append)
{
	static const enum etfs_type types[] = {ETFS_REG, ETFS_BLK, ETFS_CHR};
	char buf[512] = "";
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 4096);
	for (unsigned t = 0; t < 3; t++) {
		struct file *f;
		struct uio u;

		CHECK_EQ(reg_win(&b, "/k", "f", types[t], 512, 1024), 0);
		f = open_at(&b, "/k", O_RDWR | O_TRUNC | O_APPEND);
		REQUIRE(f);
		/* After O_TRUNC the kernel says that the end is at 0. */
		for (size_t len = 1; len <= 512; len += 511) {
			uio_init_buf(&u, buf, len, 0);
			u.uio_append = true;
			CHECK_EQ(vop_write(f->f_vp, f, &u), -ENOSPC);
		}
		/* A page of a mapping has its place. */
		CHECK_EQ(put(f, buf, 512, 512), 512);
		vop_close(f);
		CHECK_EQ(etfs_remove(b.e, "/k"), 0);
	}
}

TEST(window_space)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	unsigned char buf[16384], was[65536], is[65536];
	struct file *f;
	uint64_t off;
	AUTO_BED b;
	int fd;

	bed_start(&b, 0);
	host_file(&b, "f", 65536);
	fd = open(host(&b, "f"), O_RDONLY);
	CHECK_EQ(pread(fd, was, sizeof(was), 0), sizeof(was));
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 8192, 16384), 0);
	f = open_at(&b, "/k", O_RDWR);
	REQUIRE(f);
	CHECK_EQ(vop_fallocate(f->f_vp, f, 0, 0, 100), -EOPNOTSUPP);
	CHECK_EQ(
	    vop_fallocate(f->f_vp, f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	CHECK_EQ(
	    vop_fallocate(f->f_vp, f, FALLOC_FL_ZERO_RANGE, 8192, 8193), -EOPNOTSUPP);
	CHECK_EQ(vop_fallocate(f->f_vp, f, punch, 4096, 4096), 0);
	/* What reaches past the end stops there. */
	CHECK_EQ(vop_fallocate(f->f_vp, f, punch, 12288, 1 << 20), 0);
	CHECK_EQ(vop_fallocate(f->f_vp, f, punch, 16384, 4096), 0);
	CHECK_EQ(vop_seek(f->f_vp, f, 0, SEEK_HOLE, &off), 0);
	CHECK_EQ(off, 4096);
	CHECK_EQ(vop_seek(f->f_vp, f, 4096, SEEK_DATA, &off), 0);
	CHECK_EQ(off, 8192);
	CHECK_EQ(vop_seek(f->f_vp, f, 12288, SEEK_DATA, &off), -ENXIO);
	CHECK_EQ(vop_seek(f->f_vp, f, 16384, SEEK_HOLE, &off), -ENXIO);
	CHECK_EQ(vop_fallocate(f->f_vp, f, FALLOC_FL_ZERO_RANGE, 0, 100), 0);
	CHECK_EQ(pread(fd, is, sizeof(is), 0), sizeof(is));
	memset(was + 8192, 0, 100);
	memset(was + 12288, 0, 4096);
	memset(was + 20480, 0, 4096);
	CHECK(memcmp(is, was, sizeof(is)) == 0);
	CHECK_EQ(etfs_remove(b.e, "/k"), 0);
	vop_close(f);
	/* A window without a hole ends in the hole at its end, not the file's. */
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_REG, 32768, 4096), 0);
	f = open_at(&b, "/k", O_RDONLY);
	REQUIRE(f);
	CHECK_EQ(vop_seek(f->f_vp, f, 10, SEEK_HOLE, &off), 0);
	CHECK_EQ(off, 4096);
	CHECK_EQ(get(f, buf, sizeof(buf), 0), 4096);
	vop_close(f);
	close(fd);
}

TEST(block_ioctls)
{
	uint64_t size = 0, arg[2] = {4096, 4096};
	char buf[4096], zero[4096] = "";
	struct file *f, *r;
	int sector = 0;
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 65536);
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 4096, 16384), 0);
	f = open_at(&b, "/k", O_RDWR);
	r = open_at(&b, "/k", O_RDONLY);
	REQUIRE(f && r);
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKGETSIZE64, NULL, 0, &size, 8, &root_cred), 0);
	CHECK_EQ(size, 16384);
	CHECK_EQ(
	    vop_ioctl(f->f_vp, f, BLKGETSIZE64, NULL, 0, &size, 4, &root_cred), -EINVAL);
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKSSZGET, NULL, 0, &sector, 4, &root_cred), 0);
	CHECK_EQ(sector, 512);
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKPBSZGET, NULL, 0, &sector, 4, &root_cred), 0);
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKFLSBUF, NULL, 0, NULL, 0, &root_cred), 0);
	CHECK_EQ(
	    vop_ioctl(f->f_vp, f, BLKDISCARD, arg, sizeof(arg), NULL, 0, &root_cred), 0);
	CHECK_EQ(get(f, buf, 4096, 4096), 4096);
	CHECK(memcmp(buf, zero, 4096) == 0);
	arg[0] = 16384;
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKDISCARD, arg, sizeof(arg), NULL, 0, &root_cred),
	    -EINVAL);
	arg[0] = 100;
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKDISCARD, arg, sizeof(arg), NULL, 0, &root_cred),
	    -EINVAL);
	arg[0] = 0;
	CHECK_EQ(vop_ioctl(r->f_vp, r, BLKDISCARD, arg, sizeof(arg), NULL, 0, &root_cred),
	    -EBADF);
	CHECK_EQ(vop_ioctl(f->f_vp, f, BLKDISCARD, arg, 8, NULL, 0, &root_cred), -EINVAL);
	CHECK_EQ(
	    vop_ioctl(f->f_vp, f, BLKROGET, NULL, 0, &sector, 4, &root_cred), -ENOTTY);
	vop_close(f);
	vop_close(r);
	CHECK_EQ(reg(&b, "/r", "f", ETFS_REG), 0);
	f = open_at(&b, "/r", O_RDWR);
	REQUIRE(f);
	CHECK_EQ(
	    vop_ioctl(f->f_vp, f, BLKGETSIZE64, NULL, 0, &size, 8, &root_cred), -ENOTTY);
	vop_close(f);
}
