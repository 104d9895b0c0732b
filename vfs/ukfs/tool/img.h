/*
 * The calls of ukfs.h on the mounted image, with 0 or a count, or -errno, and for paths of
 * any length: where one is longer than a system call takes, the handle's current directory
 * is moved near to its end first.
 */
#ifndef UKFS_TOOL_IMG_H
#define UKFS_TOOL_IMG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <time.h>

/* The names of a directory, without "." and "..". */
struct name_entry {
	char *ne_name;
	ino_t ne_ino;
	unsigned char ne_type; /* DT_* */
};
struct names {
	struct name_entry *na_v;
	size_t na_n, na_room;
};
void names_add(struct names *na, const char *name, ino_t ino, unsigned char type);
void names_sort(struct names *na); /* as strcoll() */
void names_done(struct names *na);
#define AUTO_NAMES __attribute__((cleanup(names_done)))

int img_stat(const char *path, struct stat *ret);
int img_lstat(const char *path, struct stat *ret);
/* Adds to *na what could be read, though there is an error. */
int img_names(const char *path, struct names *na);
/* *ret is the caller's to free. */
int img_readlink(const char *path, char **ret);
int img_open(const char *path, int flags); /* a descriptor or -errno */
void img_close(int fd);
ssize_t img_read(int fd, uint64_t off, void *buf, size_t n);
ssize_t img_write(int fd, uint64_t off, const void *buf, size_t n);
int64_t img_seek(int fd, uint64_t off, int whence);
int img_truncate(const char *path, uint64_t size);
int img_create(const char *path, mode_t mode);
int img_mkdir(const char *path, mode_t mode);
int img_mknod(const char *path, mode_t mode, dev_t dev);
int img_symlink(const char *to, const char *path);
int img_link(const char *old, const char *path);
int img_rename(const char *from, const char *to);
int img_remove(const char *path);
int img_rmdir(const char *path);
int img_chmod(const char *path, mode_t mode);
int img_chown(const char *path, uid_t uid, gid_t gid, bool follow);
int img_utimens(const char *path, const struct timespec t[2], bool follow);
ssize_t img_listxattr(const char *path, char *buf, size_t n);
ssize_t img_getxattr(const char *path, const char *name, void *buf, size_t n);
int img_setxattr(const char *path, const char *name, const void *v, size_t n);
int img_removexattr(const char *path, const char *name);
int img_statvfs(struct statvfs *ret);

/* The directory that relative paths start at: 0 or -errno. */
int img_chdir(const char *path);
/* There is a new handle: relative paths go on starting where they did. */
void img_mounted(void);

#endif
