/* A module that needs a symbol of another one: the mode of its root is what that says. */
#include "vfs/image/fstype.h"
#include "vfs/rumpfs.h"

int t_base_answer(void);

static int
mount_memory(struct fsmount *m, struct vnode **ret_root)
{
	const struct rumpfs_opts o = {.ro_mode = (uint32_t)t_base_answer()};

	return rumpfs_new(m->fm_vfs, &o, ret_root);
}

static int
unmount_memory(struct vnode *root)
{
	rumpfs_empty(root);
	return 0;
}

struct fstype ukfs_fstype = {
    .ft_abi = FSTYPE_ABI,
    .ft_flags = FT_NODEV,
    .ft_name = "tabove",
    .ft_mount = mount_memory,
    .ft_unmount = unmount_memory,
};
