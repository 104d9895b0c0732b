/*
 * Host file systems: inode numbers and file handles.
 *
 * Every st_dev that a node is on gets an entry with an index, in the order of first use;
 * keys are registered in the order of the configuration, so a restart counts the same
 * way.  The inode number shown is (index << 48 | host inode); in-memory nodes have index
 * 0.  The few host file systems whose numbers need more than 48 bits get theirs from a
 * table, in an index range of their own: those are unique, but not the same after a
 * restart.
 *
 * An entry also keeps one real fd on the file system, which opening by file handle wants.
 * Whether handles work there is found out once, by trying.  The mount through which the
 * file system was first seen is the one that handles are opened in: where one file system
 * is mapped both from a read-only and from a writable mount, the first decides.
 *
 * Entries are never removed and hold one fd each at most, so the number of host file
 * systems (not of keys or files) is what costs.
 *
 * Locking: the list is only added to, under e_fs_mtx, and read without a lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

#define INO_BITS  48
#define INO_MAX   (1ull << INO_BITS)
#define INDEX_MAX 0x7fffu
#define INDEX_BIG 0x8000ull /* added to the index of numbers from the table */

static struct hostfs *
find(struct etfs *e, uint64_t dev)
{
	struct hostfs *fs = atomic_load_explicit(&e->e_fs, memory_order_acquire);

	while (fs && fs->hf_dev != dev)
		fs = fs->hf_next;
	return fs;
}

/* A real fd for opening by handle on the file system of fd, or -1 if that does not work
 * there, which is tried with the object at hand. */
static int
try_handles(const struct hc_stat *hs, int fd)
{
	struct hc_handle *h = NULL;
	struct hc_stat again;
	int mount_fd, r;

	if (!hc_features()->hf_handles || !(S_ISREG(hs->hs_mode) || S_ISDIR(hs->hs_mode)))
		return -1;
	mount_fd = hc_reopen(fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (mount_fd < 0)
		return -1;
	r = hc_handle_get(fd, &h);
	if (r == 0) {
		AUTO_FD got = hc_handle_open(mount_fd, h, O_PATH);

		r = got < 0 ? got : hc_stat(got, &again);
		if (r == 0 && (again.hs_dev != hs->hs_dev || again.hs_ino != hs->hs_ino))
			r = -EOPNOTSUPP;
	}
	free(h);
	if (r < 0) {
		hc_close(mount_fd);
		return -1;
	}
	return mount_fd;
}

/* The entry of the file system that *hs is of, known or made.  fd: any of the object. */
int
hostfs_get(struct etfs *e, const struct hc_stat *hs, int fd, struct hostfs **ret)
{
	struct hostfs *fs = find(e, hs->hs_dev), *first;
	int r = 0;

	if (fs) {
		*ret = fs;
		return 0;
	}
	pthread_mutex_lock(&e->e_fs_mtx);
	fs = find(e, hs->hs_dev);
	if (!fs) {
		first = atomic_load(&e->e_fs);
		if (first && first->hf_index == INDEX_MAX)
			r = -ENFILE;
		fs = r < 0 ? NULL : calloc(1, sizeof(*fs));
		if (fs) {
			fs->hf_next = first;
			fs->hf_dev = hs->hs_dev;
			fs->hf_index = first ? first->hf_index + 1 : 1;
			fs->hf_mount_fd = try_handles(hs, fd);
			pthread_mutex_init(&fs->hf_mtx, NULL);
			atomic_store_explicit(&e->e_fs, fs, memory_order_release);
		}
	}
	pthread_mutex_unlock(&e->e_fs_mtx);
	if (!fs)
		return r < 0 ? r : -ENOMEM;
	*ret = fs;
	return 0;
}

static uint64_t *
big_slot(uint64_t *pairs, uint32_t size, uint64_t ino)
{
	uint32_t i = (uint32_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) & (size - 1);

	while (pairs[2 * i] && pairs[2 * i] != ino)
		i = (i + 1) & (size - 1);
	return &pairs[2 * i];
}

/* At most half full.  hf_mtx is held. */
static int
big_room(struct hostfs *fs)
{
	uint32_t size = fs->hf_size ? fs->hf_size * 2 : 64;
	uint64_t *pairs;

	if (fs->hf_count + 1 <= fs->hf_size / 2)
		return 0;
	pairs = calloc(size, 2 * sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	for (uint32_t i = 0; i < fs->hf_size; i++) {
		const uint64_t *old = &fs->hf_big[2 * i];

		if (old[0]) {
			uint64_t *p = big_slot(pairs, size, old[0]);
			p[0] = old[0];
			p[1] = old[1];
		}
	}
	free(fs->hf_big);
	fs->hf_big = pairs;
	fs->hf_size = size;
	return 0;
}

/* The number shown for a host inode. */
int
hostfs_ino(struct hostfs *fs, uint64_t ino, uint64_t *ret)
{
	uint64_t *p;
	int r;

	if (ino < INO_MAX) {
		*ret = (uint64_t)fs->hf_index << INO_BITS | ino;
		return 0;
	}
	lk_mutex(&fs->hf_mtx, LK_LEAF);
	r = big_room(fs);
	if (r == 0) {
		p = big_slot(fs->hf_big, fs->hf_size, ino);
		if (!p[0]) {
			p[0] = ino;
			p[1] = ++fs->hf_count;
		}
		*ret = (fs->hf_index | INDEX_BIG) << INO_BITS | p[1];
	}
	lk_mutex_unlock(&fs->hf_mtx, LK_LEAF);
	return r;
}

void
hostfs_done(struct etfs *e)
{
	struct hostfs *fs = atomic_load(&e->e_fs), *next;

	for (; fs; fs = next) {
		next = fs->hf_next;
		hc_close(fs->hf_mount_fd);
		pthread_mutex_destroy(&fs->hf_mtx);
		free(fs->hf_big);
		free(fs);
	}
}
