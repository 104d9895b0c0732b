/* A module that another one builds on. */
#include <errno.h>

#include "vfs/image/fstype.h"

int t_base_answer(void);
int
t_base_answer(void)
{
	return 42;
}

static int
mount_none(struct fsmount *m, struct vnode **ret_root)
{
	return -EOPNOTSUPP;
}

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_NODEV,
    .ft_name = "tbase",
    .ft_mount = mount_none,
};
