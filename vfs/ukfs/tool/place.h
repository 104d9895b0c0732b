/*
 * A directory that a copy is in: one of the image, or one of the host.  What is below it is
 * named by one component, and is not followed if it is a symbolic link unless a call says
 * so; so nothing that an image contains leads a copy out of where it was sent.
 *
 * 0 or a count, else -errno.
 */
#ifndef UKFS_TOOL_PLACE_H
#define UKFS_TOOL_PLACE_H

#include "vfs/ukfs/tool/img.h"

struct place;

/* An open file. */
struct pfile {
	const struct place *pf_place;
	int pf_fd;
	bool pf_stream; /* of the host, and cannot be read at an offset */
};

struct place_ops {
	int (*enter)(struct place *p, const char *name, bool follow);
	int (*leave)(struct place *p);
	void (*done)(struct place *p);
	int (*stat)(struct place *p, const char *name, bool follow, struct stat *ret);
	int (*names)(struct place *p, struct names *na);
	int (*open)(struct place *p, const char *name, bool follow, struct pfile *ret);
	/* A new file, or an old one made empty. */
	int (*create)(struct place *p, const char *name, mode_t mode, struct pfile *ret);
	int (*empty)(struct place *p, const char *name, bool follow, struct pfile *ret);
	void (*close)(struct pfile *f);
	ssize_t (*read)(struct pfile *f, uint64_t off, void *buf, size_t n);
	ssize_t (*write)(struct pfile *f, uint64_t off, const void *buf, size_t n);
	int64_t (*seek)(struct pfile *f, uint64_t off, int whence);
	int (*truncate)(
	    struct place *p, const char *name, struct pfile *f, uint64_t size);
	int (*mkdir)(struct place *p, const char *name, mode_t mode);
	int (*mknod)(struct place *p, const char *name, mode_t mode, dev_t dev);
	int (*symlink)(struct place *p, const char *to, const char *name);
	int (*readlink)(struct place *p, const char *name, char **ret);
	/* old: a path as p_path was when the other name was made, with that name. */
	int (*link)(struct place *p, const char *old, const char *name);
	int (*unlink)(struct place *p, const char *name);
	int (*chmod)(struct place *p, const char *name, mode_t mode);
	int (*chown)(struct place *p, const char *name, uid_t uid, gid_t gid);
	int (*utimens)(struct place *p, const char *name, const struct timespec t[2]);
	ssize_t (*listxattr)(struct place *p, const char *name, char *buf, size_t n);
	ssize_t (*getxattr)(
	    struct place *p, const char *name, const char *attr, void *buf, size_t n);
	int (*setxattr)(
	    struct place *p, const char *name, const char *attr, const void *v, size_t n);
};

struct place {
	const struct place_ops *p_op;
	char *p_path; /* to it, as the user began it; "" is the current directory */
	int p_fd;     /* of the host's, or AT_FDCWD */
	struct level *p_levels; /* the host's: the way back */
};

extern const struct place_ops place_image, place_host;

/* Begins at the directory that path's last component is in; *ret_name is that (the caller's
 * to free), or "." for a path that ends in a slash, "." or "..". */
int place_begin(
    struct place *p, const struct place_ops *op, const char *path, char **ret_name);
void place_done(struct place *p);
/* One down, one up again: parent is what p_path was. */
int place_enter(struct place *p, const char *name, bool follow);
int place_leave(struct place *p, size_t parent_len);
/* p_path with the name: the caller's to free. */
char *place_name(const struct place *p, const char *name);

#endif
