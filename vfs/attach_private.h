/*
 * What the files of attaching share: attach.c and attach_table.c.  The attach mutex is held
 * for all of it.
 */
#ifndef RF_VFS_ATTACH_PRIVATE_H
#define RF_VFS_ATTACH_PRIVATE_H

#include "vfs/mount.h"

void attach_table_add(struct vfs *v, struct attach *at);
void attach_table_del(struct vfs *v, struct attach *at);
/* All attachments strictly below path (NULL: all), oldest first.  *ret is allocated.
 * 0 or -ENOMEM. */
int attach_collect(struct vfs *v, const char *path, struct attach ***ret, size_t *ret_n);

#endif
