/*
 * The lock order, as code.
 *
 *   LK_MOUNTS  1  the mount table
 *   LK_RENAME  2  the namespace's rename mutex: cross-directory renames of directories
 *   LK_DIR     3  a directory's v_lock: parent before child; unrelated ones only under 2
 *   LK_FILE    4  any other vnode's v_lock: two of them in the order of their node ids
 *   LK_LEAF    5  shards, registries, counters: nothing is taken below
 *
 * A thread takes locks in rising rank; equal rank is allowed for 3 and 4 under the rules
 * above.  Builds with -Dchecked=true keep the ranks a thread holds and abort when one is
 * taken out of order, and when a host call is made with any lock held
 * (lock_assert_none(), which etfs installs as the host calls' hook).
 */
#ifndef RF_VFS_LOCK_H
#define RF_VFS_LOCK_H

#include <pthread.h>

enum lock_rank {
	LK_MOUNTS = 1,
	LK_RENAME,
	LK_DIR,
	LK_FILE,
	LK_LEAF,
	LK_NRANKS
};

#ifdef RF_CHECKED
void lock_note(enum lock_rank rank);
void lock_forget(enum lock_rank rank);
void lock_assert_none(const char *what);
#else
static inline void
lock_note(enum lock_rank rank)
{
	(void)rank;
}
static inline void
lock_forget(enum lock_rank rank)
{
	(void)rank;
}
static inline void
lock_assert_none(const char *what)
{
	(void)what;
}
#endif

static inline void
lk_read(pthread_rwlock_t *l, enum lock_rank rank)
{
	lock_note(rank);
	pthread_rwlock_rdlock(l);
}

static inline void
lk_write(pthread_rwlock_t *l, enum lock_rank rank)
{
	lock_note(rank);
	pthread_rwlock_wrlock(l);
}

static inline void
lk_unlock(pthread_rwlock_t *l, enum lock_rank rank)
{
	pthread_rwlock_unlock(l);
	lock_forget(rank);
}

static inline void
lk_mutex(pthread_mutex_t *m, enum lock_rank rank)
{
	lock_note(rank);
	pthread_mutex_lock(m);
}

static inline void
lk_mutex_unlock(pthread_mutex_t *m, enum lock_rank rank)
{
	pthread_mutex_unlock(m);
	lock_forget(rank);
}

#endif
