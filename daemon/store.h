/*
 * The store of what is in memory: a tmpfs of our own, mounted nowhere (rumpfs_store_use()).
 *
 * It is made before rights are given up.  After that its size can be changed, with what was
 * opened then (fspick(2)), and files made in it; nothing else can be mounted or changed.
 */
#ifndef RF_DAEMON_STORE_H
#define RF_DAEMON_STORE_H

#include <stdint.h>

struct rumpfs_store;

/* bytes: its size; 0: no limit.  0, or -errno: most often -EPERM, for who may not mount.
 * Its st_free frees it. */
int store_new(uint64_t bytes, struct rumpfs_store **ret);

#endif
