/*
 * The types that are built into the library.
 */
#ifndef RF_VFS_IMAGE_TYPES_H
#define RF_VFS_IMAGE_TYPES_H

#include "vfs/image/fstype.h"

extern struct fstype rumpfs_fstype;

#endif
