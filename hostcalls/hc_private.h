/*
 * What the host calls share among themselves.
 *
 * Every public call starts with HC_ENTER(): in checked builds it calls the hook and is
 * the point where a fault is injected; in others it is nothing.  The hc_do_… functions
 * are the calls without it, so that a call made of two others counts as one.
 */
#ifndef RF_HC_PRIVATE_H
#define RF_HC_PRIVATE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "hostcalls/hostcalls.h"

struct hc_global {
	struct hc_features g_has;   /* c after hc_init() */
	int g_proc_fd;              /* c: the directory /proc */
	uid_t g_uid;                /* c: the daemon's own */
	gid_t g_gid;                /* c */
	gid_t *g_groups;            /* c: its supplementary groups */
	int g_ngroups;              /* c */
	_Atomic uint64_t g_own_dev; /* a: st_dev of our own mount, 0 = not known */
};
extern struct hc_global hc_g;

#ifdef RF_CHECKED
/* 0, or the errno to fail with. */
int hc_enter(const char *call);
void hc_enter_nofail(const char *call);
#define HC_ENTER(call)                              \
	do {                                        \
		int hc_enter_err_ = hc_enter(call); \
		if (hc_enter_err_)                  \
			return -hc_enter_err_;      \
	} while (0)
#define HC_ENTER_NOFAIL(call) hc_enter_nofail(call)
#else
#define HC_ENTER(call)        ((void)0)
#define HC_ENTER_NOFAIL(call) ((void)0)
#endif

/*
 * The name of an fd in /proc, for the calls that the kernel does not offer on O_PATH fds.
 * It leads to the very file, wherever that is, and not on from it if that is a symlink.
 */
struct hc_fd_name {
	char fn_abs[32]; /* "/proc/self/fd/N" */
};
void hc_fd_name(struct hc_fd_name *ret, int fd);
/* The same relative to g_proc_fd.  "self" is looked up each time, so it is right in a
 * forked child too. */
static inline const char *
hc_fd_rel(const struct hc_fd_name *n)
{
	return n->fn_abs + sizeof("/proc/") - 1;
}

/* 0, or -EINVAL and -EACCES for what must not be looked up: see hc_open.c. */
int hc_name_check(const char *name);
int hc_do_open_beneath(int dirfd, const char *name, int flags, mode_t mode);
int hc_do_reopen(int fd, int flags, mode_t mode);
int hc_do_stat(int fd, struct hc_stat *ret);
ssize_t hc_do_pread(int fd, void *buf, size_t len, uint64_t off);

/* -EDEADLK if fd lies on our own mount, without asking that mount; else 0 or -errno. */
int hc_refuse_own(int fd);

/* Reads a file of /proc whole: *ret_text is allocated and ends with a NUL. */
int hc_proc_read(const char *rel, char **ret_text);

static inline void
hc_free_p(void *p)
{
	free(*(void **)p);
}
#define AUTO_MEM __attribute__((cleanup(hc_free_p)))

#endif
