/*
 * POSIX ACLs in the form in which they are extended attributes.
 *
 * An ACL is kept as the value of system.posix_acl_access or system.posix_acl_default, and
 * never turned into anything else: a header and entries of eight bytes, little-endian
 * (linux/posix_acl_xattr.h).  Enforcing is the kernel's business, which reads the value;
 * here is what follows for mode bits: the same as in Linux's fs/posix_acl.c.
 *
 * All take a value that acl_check() has accepted, and the mode as permission bits.
 */
#ifndef RF_VFS_ACL_H
#define RF_VFS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* Is it one of the two names? */
bool acl_is_name(const char *name);

/* 0, -EINVAL, or -EOPNOTSUPP (a version that is not known).  *ret_empty: there are no
 * entries, which stands for "no ACL". */
int acl_check(const void *value, size_t len, bool *ret_empty);
/* What the ACL says of the mode: the three classes' bits of *mode are replaced.  True: it
 * says more than a mode can, so it is to be kept. */
bool acl_to_mode(const void *value, size_t len, uint32_t *mode);
/* A mode is being set: the entries that stand for it follow. */
void acl_chmod(void *value, size_t len, uint32_t mode);
/* Turns a copy of a directory's default ACL into the access ACL of what is being made
 * there with this mode, and takes off the mode what the ACL does not grant.  True: it says
 * more than the mode, so it is to be kept. */
bool acl_inherit(void *value, size_t len, uint32_t *mode);

#endif
