/*
 * Replaying an ext3 or ext4 journal.
 *
 * libext2fs knows where a journal is, but what is in it only e2fsck knows.  This brings a
 * file system that was not unmounted (by the kernel, mostly) to the state of its last
 * committed transaction, as the kernel and e2fsck do: format and rules are those of the
 * kernel's documentation of jbd2 (Documentation/filesystems/ext4/journal.rst).
 */
#ifndef RF_VFS_IMAGE_EXT_JOURNAL_H
#define RF_VFS_IMAGE_EXT_JOURNAL_H

#include <ext2fs/ext2fs.h>
#include <stddef.h>

#include "vfs/image/fstype.h"

/*
 * Writes what is committed to its places on m's device, and marks the journal empty.  fs is open in any
 * way and only asked where the journal lies; all it has read may be stale afterwards: it is
 * to be closed without being flushed and opened anew.  The needs_recovery flag is then the
 * caller's to clear.
 *
 * 0, and *ret_errors says whether the kernel had noted an error in the journal; or -errno
 * with why filled, and then nothing has been written but for an -EIO: -EOPNOTSUPP (an external journal, fast commits, asynchronous commits: e2fsck can
 * do them), -EUCLEAN (the journal is damaged), -EIO, -ENOMEM.
 */
int ext_journal_replay(
    ext2_filsys fs, const struct fsmount *m, bool *ret_errors, char *why, size_t why_len);

#endif
