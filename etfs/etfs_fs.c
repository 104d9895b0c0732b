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
 * An entry also keeps one real fd on the file system, which opening by file handle wants:
 * of the first directory there that gets a node or holds the file of a key, for an fd of a
 * file would keep that file from being freed.  Whether handles work is found out then, by
 * trying.  The mount through which the directory was seen is the one that handles are
 * opened in: where one file system is mapped both from a read-only and from a writable
 * mount, the first decides.
 *
 * Entries are never removed, so that numbers stay as they are.  The fd is closed when the
 * last node on the file system goes, which lets it be unmounted.  While there is a node,
 * hf_mount_fd does not change but once, from -1, and hf_near not at all.
 *
 * Locking: the list is only added to, under e_fs_mtx, and read without a lock.  hf_nodes
 * goes from and to 0, and hf_mount_fd changes, under e_fs_mtx.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

/* A directory on the file system of fd: fd itself, or for a file the one that path has it
 * in, unless path leads there through a link. */
static int
mount_dir(const struct hc_stat *hs, int fd, const char *path)
{
	AUTO_FD got = -1;
	struct hc_stat up;
	char *text, *slash;
	int r;

	if (S_ISDIR(hs->hs_mode))
		return hc_reopen(fd, O_RDONLY | O_DIRECTORY | O_NOCTTY);
	text = strdup(path);
	if (!text)
		return -ENOMEM;
	slash = strrchr(text, '/');
	if (slash)
		slash[slash == text] = '\0';
	got = hc_open_root(slash ? text : ".", O_RDONLY | O_DIRECTORY | O_NOCTTY);
	free(text);
	r = got < 0 ? got : hc_stat(got, &up);
	if (r < 0)
		return r;
	if (up.hs_dev != hs->hs_dev)
		return -EXDEV;
	r = got;
	got = -1;
	return r;
}

/* Whether the object at hand, which fd is of, can be opened by handle. */
static bool
handles_work(const struct hc_stat *hs, int fd, int mount_fd)
{
	struct hc_handle *h = NULL;
	struct hc_stat again;
	int r = hc_handle_get(fd, &h);

	if (r == 0) {
		AUTO_FD got = hc_handle_open(mount_fd, h, O_PATH);

		r = got < 0 ? got : hc_stat(got, &again);
		if (r == 0 && (again.hs_dev != hs->hs_dev || again.hs_ino != hs->hs_ino))
			r = -EOPNOTSUPP;
	}
	free(h);
	return r == 0;
}

/* Finds out about handles, if there is a directory to do it with.  e_fs_mtx is held. */
static void
try_handles(struct hostfs *fs, const struct hc_stat *hs, int fd, const char *path)
{
	int mount_fd;

	if (!hc_features()->hf_handles) {
		atomic_store(&fs->hf_tried, true);
		return;
	}
	mount_fd = mount_dir(hs, fd, path);
	if (mount_fd < 0)
		return;
	if (handles_work(hs, fd, mount_fd))
		atomic_store(&fs->hf_mount_fd, mount_fd);
	else
		hc_close(mount_fd);
	atomic_store(&fs->hf_tried, true);
}

/* Adds an entry; e_fs_mtx is held. */
static int
add_fs(struct etfs *e, uint64_t dev, struct hostfs **ret)
{
	struct hostfs *first = atomic_load(&e->e_fs), *fs;

	if (first && first->hf_index == INDEX_MAX)
		return -ENFILE;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	fs->hf_next = first;
	fs->hf_dev = dev;
	fs->hf_index = first ? first->hf_index + 1 : 1;
	atomic_init(&fs->hf_mount_fd, -1);
	pthread_mutex_init(&fs->hf_mtx, NULL);
	atomic_store_explicit(&e->e_fs, fs, memory_order_release);
	*ret = fs;
	return 0;
}

/* One more node, without the mutex: not the first, nor one to try handles with. */
static bool
ref_known(struct hostfs *fs, bool may_try)
{
	uint64_t was = fs ? atomic_load(&fs->hf_nodes) : 0;

	if (was && may_try && !atomic_load(&fs->hf_tried))
		return false;
	while (was && !atomic_compare_exchange_weak(&fs->hf_nodes, &was, was + 1))
		continue;
	return was;
}

/* The entry of the file system that *hs is of, known or made, for one node more.  fd: any
 * of the object; path: of a key's, else NULL. */
int
hostfs_ref(struct etfs *e, const struct hc_stat *hs, int fd, const char *path,
    struct hostfs **ret)
{
	struct hostfs *fs = find(e, hs->hs_dev);
	bool may_try = S_ISDIR(hs->hs_mode) || (S_ISREG(hs->hs_mode) && path);
	int r = 0;

	if (ref_known(fs, may_try)) {
		*ret = fs;
		return 0;
	}
	pthread_mutex_lock(&e->e_fs_mtx);
	fs = find(e, hs->hs_dev);
	if (!fs)
		r = add_fs(e, hs->hs_dev, &fs);
	if (r == 0) {
		if (atomic_fetch_add(&fs->hf_nodes, 1) == 0)
			atomic_store(&fs->hf_near, hc_is_near(fd));
		if (may_try && !atomic_load(&fs->hf_tried))
			try_handles(fs, hs, fd, path);
		*ret = fs;
	}
	pthread_mutex_unlock(&e->e_fs_mtx);
	return r;
}

void
hostfs_unref(struct etfs *e, struct hostfs *fs)
{
	uint64_t was = atomic_load(&fs->hf_nodes);

	while (was > 1)
		if (atomic_compare_exchange_weak(&fs->hf_nodes, &was, was - 1))
			return;
	pthread_mutex_lock(&e->e_fs_mtx);
	if (atomic_fetch_sub(&fs->hf_nodes, 1) == 1) {
		atomic_store(&fs->hf_tried, false);
		hc_close(atomic_exchange(&fs->hf_mount_fd, -1));
	}
	pthread_mutex_unlock(&e->e_fs_mtx);
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
		hc_close(atomic_load(&fs->hf_mount_fd));
		pthread_mutex_destroy(&fs->hf_mtx);
		free(fs->hf_big);
		free(fs);
	}
}

int
etfs_mounted_at(struct etfs *e, const char *mountpoint)
{
	uint64_t dev;
	int r = hc_own_mount_of(mountpoint, &dev);

	if (r < 0)
		return r;
	hc_own_mount(dev);
	return 0;
}
