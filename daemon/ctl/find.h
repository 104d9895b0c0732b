/*
 * Which daemon serves a mount point, and where its socket is.
 *
 * Nothing here touches a mount that could hang, least of all the one that is looked for: a
 * path is resolved by reading symbolic links up to where the mount table says that
 * something begins which depends on somebody else, and from there on as text.
 */
#ifndef RF_CTL_FIND_H
#define RF_CTL_FIND_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct mnt {
	unsigned m_major, m_minor;
	char *m_point, *m_type, *m_source;
	bool m_has_uid; /* m_uid: who mounted it, of FUSE mounts */
	uid_t m_uid;
};

/* The mounts in a text like /proc/self/mountinfo, struct mnt, lower ones first; lines that
 * are no such thing are left out. */
GPtrArray *mounts_parse(const char *text);
/* This process's; NULL with errno if they cannot be read. */
GPtrArray *mounts_read(void);
/* What one sees at the path: the last one that was mounted there; NULL: nothing is. */
const struct mnt *mounts_at(GPtrArray *mounts, const char *path);
/* The mount of ours that comes from this source, and in *ret_n how many there are; the last one.
 * NULL: none does. */
const struct mnt *mounts_from(GPtrArray *mounts, const char *source, size_t *ret_n);
/* The innermost mount that the path is in or at; NULL if even / is not known. */
const struct mnt *mounts_over(GPtrArray *mounts, const char *path);
bool mnt_ours(const struct mnt *m);

/* An absolute path for what somebody typed, relative to cwd. */
char *path_absolute(const char *arg, const char *cwd);
/* Without symbolic links, "." and ".."; see above. */
char *path_resolve(GPtrArray *mounts, const char *absolute);
/* The same as text alone: nothing is looked at. */
char *path_clean(const char *absolute);
/*
 * The path in a mount that somebody means by arg: one at or below the mount point (point,
 * or typed, what he called it; either may be NULL) is the host's; any other that begins
 * with a slash is one in the mount; one without is relative to cwd if that is in the
 * mount, and to its root if not.
 */
char *path_in_mount(
    const char *point, const char *typed, const char *arg, const char *cwd);
/* What is behind the directory in path, "/" for itself; NULL: it is not below. */
const char *path_below(const char *path, const char *dir);

/* Where the daemon of a mount may have its socket, in the order to try. */
char **sockets_of(const struct mnt *m);
/* Directories that sockets of any daemon may be in. */
char **socket_dirs(void);

#endif
