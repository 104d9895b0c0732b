/* A module of another version. */
#include "vfs/image/fstype.h"

struct fstype ukfs_fstype = {.ft_abi = FSTYPE_ABI + 1, .ft_name = "told"};
