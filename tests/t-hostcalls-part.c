/*
 * Partitions and sizes of devices: tables that sfdisk writes to images, and a loop
 * device.
 */
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "hostcalls/hc_private.h"
#include "tests/t-tmp.h"
#include "tests/t.h"

static bool
have_sfdisk(void)
{
	return system("PATH=$PATH:/usr/sbin:/sbin; command -v sfdisk >/dev/null") == 0;
}

/* Lets sfdisk write a table to a file or device. */
static void
write_table(const char *path, const char *script)
{
	char cmd[1200];

	snprintf(cmd, sizeof(cmd),
	    "PATH=$PATH:/usr/sbin:/sbin; printf '%s' | sfdisk -q --no-reread --no-tell-kernel "
	    "%s >/dev/null 2>&1",
	    script, path);
	CHECK_EQ(system(cmd), 0);
}

/* Makes an image of 16 MiB with a table. */
static int
make_table(const struct tmp *t, const char *name, const char *script)
{
	char path[100];
	int fd = hc_open_beneath(t->fd, name, O_CREAT | O_EXCL | O_RDWR, 0644);

	CHECK_EQ(hc_truncate(fd, 16 << 20), 0);
	snprintf(path, sizeof(path), "%s/%s", t->path, name);
	write_table(path, script);
	return fd;
}

struct part_row {
	const char *spec;
	int err;
	uint64_t begin_blk, size_blk; /* 512-byte units */
};

static void
check_parts(int fd, const struct part_row *rows)
{
	for (; rows->spec; rows++) {
		uint64_t begin = 77, size = 77;
		int err = hc_partition(fd, rows->spec, &begin, &size);
		if (err != rows->err)
			printf("partition %s:\n", rows->spec);
		CHECK_EQ(err, rows->err);
		CHECK_EQ(begin, rows->err ? 77 : rows->begin_blk * 512);
		CHECK_EQ(size, rows->err ? 77 : rows->size_blk * 512);
	}
}

TEST(partitions)
{
	REQUIRE(hc_init() == 0);
	static const struct part_row gpt[] = {{"1", 0, 2048, 2048}, {"5", 0, 4096, 1024},
	    {"2", -ENOENT}, {"0", -ENOENT}, {"", -ENOENT}, {"data", 0, 4096, 1024},
	    {"DATA", -ENOENT}, {"twin", -EEXIST}, {"9", 0, 10240, 1024},
	    {"11111111-2222-3333-4444-55555555abcd", 0, 2048, 2048},
	    {"11111111-2222-3333-4444-55555555ABCD", 0, 2048, 2048},
	    {"11111111-2222-3333-4444-555555550000", -ENOENT}, {NULL}};
	static const struct part_row dos[] = {{"1", 0, 2048, 2048}, {"5", 0, 10240, 2048},
	    {"6", 0, 14336, 4096}, {"3", -ENOENT}, {"7", -ENOENT},
	    {"deadBEEF-06", 0, 14336, 4096}, {"data", -ENOENT}, {NULL}};
	static const struct part_row empty[] = {{"1", -ENOENT}, {NULL}};
	static const struct part_row first[] = {{"1", 0, 2048, 2048}, {NULL}};
	static const struct part_row none[] = {{"1", -ENODATA}, {NULL}};

	if (!have_sfdisk())
		SKIP("no sfdisk");
	AUTO_TMP t = tmp_new("/dev/shm");
	AUTO_FD g = make_table(&t, "gpt",
	    "label: gpt\\n1: start=2048, size=2048, name=9, "
	    "uuid=11111111-2222-3333-4444-55555555ABCD\\n5: start=4096, size=1024, name=data\\n"
	    "6: start=6144, size=1024, name=twin\\n7: start=8192, size=1024, name=twin\\n"
	    "9: start=10240, size=1024\\n");
	check_parts(g, gpt);
	AUTO_FD path = hc_open_beneath(t.fd, "gpt", O_PATH, 0);
	check_parts(path, gpt);
	AUTO_FD d = make_table(&t, "dos",
	    "label: dos\\nlabel-id: 0xdeadbeef\\n1: start=2048, size=2048\\n"
	    "4: start=8192, size=20480, type=5\\n5: start=10240, size=2048\\n"
	    "6: start=14336, size=4096\\n");
	check_parts(d, dos);
	AUTO_FD e = make_table(&t, "empty", "label: gpt\\n");
	check_parts(e, empty);
	AUTO_FD de = make_table(&t, "emptydos", "label: dos\\n");
	check_parts(de, empty);
	/* A GPT whose headers are gone, both of them. */
	AUTO_FD torn = make_table(&t, "torn", "label: gpt\\n1: start=2048, size=2048\\n");
	CHECK_EQ(hc_pwrite(torn, "torn", 4, 512), 4);
	check_parts(torn, first);
	CHECK_EQ(hc_pwrite(torn, "torn", 4, (16 << 20) - 512), 4);
	check_parts(torn, none);
	AUTO_FD n = hc_open_beneath(t.fd, "none", O_CREAT | O_EXCL | O_RDWR, 0644);
	check_parts(n, none);
	CHECK_EQ(hc_pwrite(n, "no table", 8, 1000000), 8);
	check_parts(n, none);
	uint64_t x;
	CHECK_EQ(hc_partition(t.fd, "1", &x, &x), -EISDIR);
}

/* A loop device with sectors of 4096 bytes: its size, and a table that counts in them,
 * seen through the device and in the file behind it. */
TEST(block_device)
{
	static const struct part_row large[] = {
	    {"1", 0, 4096, 8192}, {"2", -ENOENT}, {NULL}};
	AUTO_TMP t = tmp_new("/tmp");
	char dev[32];
	uint64_t size = 0;

	REQUIRE(hc_init() == 0);
	AUTO_FD ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int n = ctl < 0 ? -1 : ioctl(ctl, LOOP_CTL_GET_FREE);
	if (n < 0)
		SKIP("no loop devices");
	snprintf(dev, sizeof(dev), "/dev/loop%d", n);
	AUTO_FD loop = hc_open_root(dev, O_RDWR);
	AUTO_FD fd = hc_open_beneath(t.fd, "img", O_CREAT | O_RDWR, 0600);
	CHECK_EQ(hc_truncate(fd, 16773120), 0);
	struct loop_config lc = {.fd = (uint32_t)fd,
	    .block_size = 4096,
	    .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &lc) < 0)
		SKIP("loop device in use");
	CHECK_EQ(hc_size(loop, &size), 0);
	CHECK_EQ(size, 16773120);
	if (have_sfdisk()) {
		write_table(dev, "label: gpt\\n1: start=512, size=1024\\n");
		check_parts(loop, large);
		CHECK_EQ(hc_fsync(loop, false), 0);
		check_parts(fd, large);
	}
	CHECK_EQ(ioctl(loop, LOOP_CLR_FD), 0);
}
