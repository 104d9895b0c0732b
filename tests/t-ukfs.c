/*
 * Every call of ukfs.h, and every failure that ukfs(3) tells of, on the tree in memory.
 */
#define T_TYPE "rumpfs"
#include "tests/t-ukfs.h"

/* First of all, because it is once per process. */
TEST(init_comes_first)
{
	char buf[8];

	FAILS(ukfs_mount("rumpfs", NULL, "/x", 0, NULL, 0) ? 0 : -1, EPROTO);
	CHECK(*ukfs_why());
	FAILS(ukfs_vfstypes(buf, sizeof(buf)), EPROTO);
	FAILS(ukfs_modload("/nothing"), EPROTO);
	FAILS(ukfs_modload_dir("/nothing"), EPROTO);
	FAILS(_ukfs_init(UKFS_VERSION + 1), EPROGMISMATCH);
	CHECK_EQ(ukfs_init(), 0);
	CHECK_EQ(ukfs_init(), 0);
	FAILS(_ukfs_init(0), EPROGMISMATCH);
}

#include "tests/t-ukfs-calls.h"
