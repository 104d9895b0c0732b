/*
 * The operations of ext vnodes: where each is.
 */
#include "vfs/image/ext/ext.h"

const struct vops ext_vops = {
    .vo_name = "ext",
    .lookup = ext_lookup,
    .getattr = ext_getattr,
    .setattr = ext_setattr,
    .readlink = ext_readlink,
    .make = ext_make,
    .tmpfile = ext_tmpfile,
    .link = ext_link,
    .unlink = ext_unlink,
    .rmdir = ext_rmdir,
    .rename = ext_rename,
    .open = ext_open,
    .close = ext_close,
    .read = ext_read,
    .write = ext_write,
    .fsync = ext_fsync,
    .fallocate = ext_fallocate,
    .seek = ext_seek,
    .readdir = ext_readdir,
    .getxattr = ext_getxattr,
    .setxattr = ext_setxattr,
    .listxattr = ext_listxattr,
    .removexattr = ext_removexattr,
    .ioctl = ext_ioctl,
    .statfs = ext_statfs,
    .last_unref = imgnode_last_unref,
    .reclaim = ext_node_reclaim,
};
