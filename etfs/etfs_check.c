/*
 * What a key must pass before it is one, in this order: the host object and whether it
 * may be used, the rules for directories, the range, the device's size, the lock.  (The
 * syntax comes before, the duplicate after: etfs_table.c.)
 *
 * Nothing is opened but regular files, directories and block devices: opening a fifo
 * blocks, and opening a character device can do anything.  The host's character devices
 * have no size, so none of them can be a key.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "etfs/etfs_private.h"

void
why_say(struct etfs_why *why, const char *key, const char *host, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!why)
		return;
	/* The reason must be there however long the names are. */
	n = snprintf(why->ew_text, sizeof(why->ew_text), "%.180s%s: %.180s%s: ", key,
	    strlen(key) > 180 ? "..." : "", host, strlen(host) > 180 ? "..." : "");
	va_start(ap, fmt);
	vsnprintf(why->ew_text + n, sizeof(why->ew_text) - (size_t)n, fmt, ap);
	va_end(ap);
}

#define SAY(k, why, ...) why_say(why, (k)->k_at.at_path, (k)->k_host, __VA_ARGS__)

/* An errno in words, with a capital letter as the C library has it. */
#define WORDS(r) strerrordesc_np(-(r))

static const char *
kind_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFBLK:
		return "a block device";
	case S_IFCHR:
		return "a character device, which has no size";
	case S_IFIFO:
		return "a fifo";
	case S_IFSOCK:
		return "a socket";
	default:
		return "not a file";
	}
}

static enum etfs_type
type_for(enum etfs_type wanted, uint32_t mode)
{
	if (wanted != ETFS_AUTO)
		return wanted;
	return S_ISDIR(mode) ? ETFS_DIR_SUBDIRS : S_ISBLK(mode) ? ETFS_BLK : ETFS_REG;
}

/* The table of what may be what. */
static int
check_kind(enum etfs_type t, uint32_t mode)
{
	bool dir_key = t == ETFS_DIR || t == ETFS_DIR_SUBDIRS;

	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFBLK:
		return dir_key ? -ENOTDIR : 0;
	case S_IFDIR:
		return dir_key ? 0 : t == ETFS_REG ? -EISDIR : -EINVAL;
	case S_IFCHR:
		return dir_key ? -ENOTDIR : -EOPNOTSUPP;
	default:
		return dir_key ? -ENOTDIR : -EINVAL;
	}
}

/*
 * Files that have just been opened for a key, and may be opened so for the next: very many
 * keys are of few images.  What would change that moves the change time, and what would not
 * (a program that is run) does not come within the moment.
 */
#define TRIED_FILES 1024u /* a power of two */
#define TRIED_NS    200000000u

struct tried {
	uint64_t t_dev, t_ino, t_at_ns;
	struct timespec t_ctime;
	bool t_write;
};

/* e_list_mtx is held.  NULL: out of memory. */
static struct tried *
tried_slot(struct etfs *e, const struct hc_stat *hs)
{
	if (!e->e_tried)
		e->e_tried = calloc(TRIED_FILES, sizeof(*e->e_tried));
	return e->e_tried
	           ? &e->e_tried[(hs->hs_dev * 31 + hs->hs_ino) & (TRIED_FILES - 1)]
	           : NULL;
}

static bool
was_tried(struct etfs *e, const struct key_probe *p)
{
	const struct hc_stat *hs = &p->kp_stat;
	const struct tried *t;
	bool was;

	lk_mutex(&e->e_list_mtx, LK_LEAF);
	t = tried_slot(e, hs);
	was = t && t->t_at_ns && t->t_dev == hs->hs_dev && t->t_ino == hs->hs_ino &&
	      t->t_write == p->kp_write && t->t_ctime.tv_sec == hs->hs_ctime.tv_sec &&
	      t->t_ctime.tv_nsec == hs->hs_ctime.tv_nsec &&
	      etfs_clock_ns() - t->t_at_ns < TRIED_NS;
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
	return was;
}

static void
note_tried(struct etfs *e, const struct key_probe *p)
{
	const struct hc_stat *hs = &p->kp_stat;
	struct tried *t;

	lk_mutex(&e->e_list_mtx, LK_LEAF);
	t = tried_slot(e, hs);
	if (t)
		*t = (struct tried){
		    .t_dev = hs->hs_dev,
		    .t_ino = hs->hs_ino,
		    .t_at_ns = etfs_clock_ns(),
		    .t_ctime = hs->hs_ctime,
		    .t_write = p->kp_write,
		};
	lk_mutex_unlock(&e->e_list_mtx, LK_LEAF);
}

/* Opens the object as the key will be used; the fd is good for asking its size. */
static int
try_open(const struct etfs_key *k, struct etfs_why *why, const struct key_probe *p)
{
	struct etfs *e = k->k_etfs;
	bool dir = S_ISDIR(p->kp_stat.hs_mode), rw = !dir && p->kp_write;
	int flags = O_NOCTTY | O_NONBLOCK | (dir ? O_DIRECTORY : 0), fd;

	fd = WITH_FDS(e, hc_reopen(p->kp_fd, flags | (rw ? O_RDWR : O_RDONLY)));
	if (fd < 0 && rw) {
		AUTO_FD rd = WITH_FDS(e, hc_reopen(p->kp_fd, flags | O_RDONLY));

		if (rd >= 0) {
			SAY(k, why,
			    "cannot be written: %s (access = ro would do without)",
			    WORDS(fd));
			return fd;
		}
	}
	if (fd < 0)
		SAY(k, why, "cannot be read: %s", WORDS(fd));
	return fd;
}

static int
check_partition(const struct etfs_key *k, struct etfs_why *why, int fd,
    uint64_t *ret_begin, uint64_t *ret_size)
{
	int r = hc_partition(fd, k->k_partition, ret_begin, ret_size);

	if (r == -ENOENT)
		SAY(k, why, "there is no partition %s", k->k_partition);
	else if (r == -ENODATA)
		SAY(k, why, "partition %s was asked for, but there is no partition table",
		    k->k_partition);
	else if (r == -EEXIST)
		SAY(k, why, "several partitions have the label %s", k->k_partition);
	else if (r < 0)
		SAY(k, why, "the partition table cannot be read: %s", WORDS(r));
	return r;
}

static int
check_range(const struct etfs_key *k, struct etfs_why *why, int fd, struct key_probe *p)
{
	uint64_t begin = k->k_begin, size = k->k_size, total = p->kp_stat.hs_size;
	int r = S_ISREG(p->kp_stat.hs_mode) ? 0 : hc_size(fd, &total);

	if (r < 0) {
		SAY(k, why, "its size cannot be told: %s", WORDS(r));
		return r;
	}
	if (k->k_partition) {
		r = check_partition(k, why, fd, &begin, &size);
		if (r < 0)
			return r;
	}
	switch (range_init(&p->kp_win, begin, size, total)) {
	case RANGE_BEGIN:
		SAY(k, why, "begin %llu lies past the end (size %llu)",
		    (unsigned long long)begin, (unsigned long long)total);
		return -EINVAL;
	case RANGE_OVERFLOW:
		SAY(k, why, "begin %llu plus size %llu is more than a file can have",
		    (unsigned long long)begin, (unsigned long long)size);
		return -EINVAL;
	case RANGE_END:
		SAY(k, why, "begin %llu plus size %llu lies past the end (size %llu)",
		    (unsigned long long)begin, (unsigned long long)size,
		    (unsigned long long)total);
		return -EINVAL;
	case RANGE_OK:
		break;
	}
	return 0;
}

static int
take_lock(const struct etfs_key *k, struct etfs_why *why, struct key_probe *p)
{
	const struct etfs_range *w = &p->kp_win;
	char who[32] = "another process";
	pid_t pid = 0;
	int r;

	p->kp_lock = NULL;
	if (k->k_no_lock || !p->kp_window)
		return 0;
	r = hostlock_add(
	    k->k_etfs, &p->kp_stat, p->kp_fd, w, p->kp_write, &pid, &p->kp_lock);
	if (r == -EAGAIN) {
		if (pid > 0)
			snprintf(who, sizeof(who), "process %d", pid);
		SAY(k, why, "bytes %llu to %llu are in use: locked by %s",
		    (unsigned long long)w->r_begin, (unsigned long long)range_end(w),
		    who);
		return -EBUSY;
	}
	if (r < 0)
		SAY(k, why,
		    "bytes %llu to %llu cannot be locked: %s (lock = no avoids it)",
		    (unsigned long long)w->r_begin, (unsigned long long)range_end(w),
		    WORDS(r));
	return r;
}

/* A range, for what is not a directory; p->kp_fd is open. */
static int
check_window(const struct etfs_key *k, struct etfs_why *why, int fd, struct key_probe *p)
{
	int r = check_range(k, why, fd, p);

	if (r < 0)
		return r;
	p->kp_window = p->kp_type != ETFS_REG || k->k_partition || k->k_begin ||
	               k->k_size != ETFS_SIZE_END;
	return take_lock(k, why, p);
}

/* What only directories may have or be, and what they may not. */
static int
check_dir_rules(const struct etfs_key *k, struct etfs_why *why, uint32_t mode)
{
	if (S_ISDIR(mode)) {
		if (!k->k_begin && k->k_size == ETFS_SIZE_END && !k->k_partition)
			return 0;
		SAY(k, why, "is a directory and cannot have a range");
		return -EISDIR;
	}
	if (!k->k_device && strcmp(k->k_at.at_path, "/") == 0) {
		SAY(k, why, "only a directory can be the root of the mount");
		return -ENOTDIR;
	}
	if (k->k_special || k->k_symlinks != ETFS_SYMLINKS_SHOW) {
		SAY(k, why, "is %s, and symlinks and special are only for directories",
		    kind_name(mode));
		return -ENOTDIR;
	}
	return 0;
}

static int
check_object(const struct etfs_key *k, struct etfs_why *why, struct key_probe *p)
{
	AUTO_FD fd = -1;
	int r;

	r = hc_stat(p->kp_fd, &p->kp_stat);
	if (r < 0) {
		SAY(k, why, "%s", WORDS(r));
		return r;
	}
	p->kp_write = !atomic_load(&k->k_rdonly);
	p->kp_type = type_for(k->k_wanted, p->kp_stat.hs_mode);
	r = check_kind(p->kp_type, p->kp_stat.hs_mode);
	if (r < 0) {
		SAY(k, why, "is %s and cannot be a key of type %s",
		    kind_name(p->kp_stat.hs_mode), etfs_type_name(p->kp_type));
		return r;
	}
	if (!S_ISREG(p->kp_stat.hs_mode) || k->k_partition || !was_tried(k->k_etfs, p)) {
		fd = try_open(k, why, p);
		if (fd < 0)
			return fd;
		note_tried(k->k_etfs, p);
	}
	r = check_dir_rules(k, why, p->kp_stat.hs_mode);
	if (r < 0 || S_ISDIR(p->kp_stat.hs_mode))
		return r;
	return check_window(k, why, fd, p);
}

int
key_check(const struct etfs_key *k, struct etfs_why *why, struct key_probe *ret)
{
	struct key_probe p = {.kp_fd = -1};
	int r;

	ret->kp_fd = -1;
	p.kp_fd = WITH_FDS(k->k_etfs, hc_open_root(k->k_host, O_PATH));
	if (p.kp_fd < 0) {
		SAY(k, why, "%s",
		    p.kp_fd == -EDEADLK ? "lies in this very mount" : WORDS(p.kp_fd));
		return p.kp_fd;
	}
	r = check_object(k, why, &p);
	if (r < 0) {
		hc_close(p.kp_fd);
		return r;
	}
	*ret = p;
	return 0;
}
