/*
 * Directories of a handle: listing.
 *
 * Records of the vnode layer are put into the caller's buffer in getdents64(2)'s layout.
 * The offset is the record's cookie, so a listing can go on anywhere, through any open
 * directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>

#include "vfs/ukfs/ukfs_private.h"

/* How much is asked for at a time, on the stack; a record is at most 288 bytes. */
#define ROUND 8192

struct ukfs_dircookie {
	struct ukfs *dc_fs;     /* c */
	struct file *dc_file;   /* c */
	pthread_mutex_t dc_mtx; /* a listing at a time; outside the rank order */
	struct ukfs_dircookie *dc_next, **dc_prevp; /* m: of the handle */
};

/* glibc's own struct dirent64 has the layout of the system call's. */
#define NAME_AT offsetof(struct dirent64, d_name)

static bool
put_record(const struct dirrec *dr, char *to, size_t room, size_t *ret_len)
{
	size_t len = (NAME_AT + dr->dr_namelen + 1 + 7) & ~(size_t)7;
	struct dirent64 *de = (struct dirent64 *)(void *)to;
	const uint64_t ino = dr->dr_ino;
	const int64_t off = (int64_t)dr->dr_cookie;
	const uint16_t reclen = (uint16_t)len;

	if (len > room)
		return false;
	/* The caller's buffer need not be aligned. */
	memset(to + len - 8, 0, 8);
	memcpy(&de->d_ino, &ino, sizeof(ino));
	memcpy(&de->d_off, &off, sizeof(off));
	memcpy(&de->d_reclen, &reclen, sizeof(reclen));
	de->d_type = dr->dr_type;
	memcpy(to + NAME_AT, dr->dr_name, dr->dr_namelen);
	*ret_len = len;
	return true;
}

static ssize_t
list(struct file *f, off_t *off, void *buf, size_t size)
{
	char round[ROUND] __attribute__((aligned(8)));
	struct dirbuf db = {.db_base = round, .db_cap = sizeof(round)};
	uint64_t cookie = (uint64_t)*off;
	size_t used = 0, len;
	struct dirrec *dr;
	int r;

	if (*off < 0)
		return -EINVAL;
	if (size > UK_RW_MAX)
		size = UK_RW_MAX;
	do {
		db.db_cookie = cookie;
		r = vop_readdir(f, &db);
		if (r < 0)
			return used ? (ssize_t)used : r;
		for (dr = dirbuf_next(&db, NULL); dr; dr = dirbuf_next(&db, dr)) {
			if (!put_record(dr, (char *)buf + used, size - used, &len))
				return used ? (ssize_t)used : -EINVAL;
			used += len;
			cookie = dr->dr_cookie;
			*off = (off_t)cookie;
		}
	} while (db.db_full && db.db_used > 0);
	return (ssize_t)used;
}

int
ukfs_opendir(struct ukfs *fs, const char *path, struct ukfs_dircookie **ret)
{
	struct ukfs_dircookie *dc = calloc(1, sizeof(*dc));
	int r = dc ? uk_open(fs, path, O_RDONLY | O_DIRECTORY, &dc->dc_file) : -ENOMEM;

	if (r < 0) {
		free(dc);
		return (int)uk_ret(r);
	}
	dc->dc_fs = fs;
	pthread_mutex_init(&dc->dc_mtx, NULL);
	lk_mutex(&fs->fs_mtx, LK_LEAF);
	dc->dc_next = fs->fs_dirs;
	dc->dc_prevp = &fs->fs_dirs;
	if (dc->dc_next)
		dc->dc_next->dc_prevp = &dc->dc_next;
	fs->fs_dirs = dc;
	lk_mutex_unlock(&fs->fs_mtx, LK_LEAF);
	*ret = dc;
	return 0;
}

ssize_t
ukfs_getdents_cookie(
    struct ukfs *fs, struct ukfs_dircookie *dc, off_t *off, void *buf, size_t size)
{
	ssize_t n;

	if (!dc || dc->dc_fs != fs)
		return uk_ret(-EBADF);
	pthread_mutex_lock(&dc->dc_mtx);
	n = list(dc->dc_file, off, buf, size);
	pthread_mutex_unlock(&dc->dc_mtx);
	return uk_ret(n);
}

ssize_t
ukfs_getdents(struct ukfs *fs, const char *path, off_t *off, void *buf, size_t size)
{
	struct file *f;
	ssize_t n = uk_open(fs, path, O_RDONLY | O_DIRECTORY, &f);

	if (n == 0) {
		n = list(f, off, buf, size);
		vop_close(f);
	}
	return uk_ret(n);
}

static void
dir_close(struct ukfs_dircookie *dc)
{
	lk_mutex(&dc->dc_fs->fs_mtx, LK_LEAF);
	*dc->dc_prevp = dc->dc_next;
	if (dc->dc_next)
		dc->dc_next->dc_prevp = dc->dc_prevp;
	lk_mutex_unlock(&dc->dc_fs->fs_mtx, LK_LEAF);
	vop_close(dc->dc_file);
	pthread_mutex_destroy(&dc->dc_mtx);
	free(dc);
}

int
ukfs_closedir(struct ukfs *fs, struct ukfs_dircookie *dc)
{
	if (!dc || dc->dc_fs != fs)
		return (int)uk_ret(-EBADF);
	dir_close(dc);
	return 0;
}

void
uk_dirs_close(struct ukfs *fs)
{
	while (fs->fs_dirs)
		dir_close(fs->fs_dirs);
}
