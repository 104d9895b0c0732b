/*
 * Descriptors: small numbers for open files, of the whole process, each good on the handle
 * that opened it.
 *
 * A number has a place in a chunk that is never freed, so finding it is two loads.  The
 * place's state is one word: whether the number is open, and how many use its file now, the
 * open number itself being one.  Who closes it takes the mark away; who is last closes the
 * file and gives the number back.  So a close beside a read ends when the read does, and who
 * comes later gets EBADF.
 */
#include <stdlib.h>

#include "vfs/ukfs/ukfs_private.h"

#define CHUNK  256u
#define CHUNKS 4096u
#define OPEN   ((uint64_t)1 << 63)

struct openfile {
	_Atomic uint64_t of_state; /* a: OPEN, and users */
	struct ukfs *of_fs;        /* c while there are users */
	struct file *of_file;      /* c while there are users */
	uint32_t of_fd;            /* c */
	uint32_t of_next;          /* m: the next free one, plus one */
};

static pthread_mutex_t fds_mtx = PTHREAD_MUTEX_INITIALIZER; /* rank LEAF */
static _Atomic(struct openfile *) chunks[CHUNKS];
static uint32_t first_free; /* m: plus one; 0 = none */
static uint32_t fds_top;    /* m: numbers that have a place */

/* fds_mtx is held.  Places for CHUNK more numbers. */
static int
grow_locked(void)
{
	struct openfile *c;

	if (fds_top == CHUNK * CHUNKS)
		return -EMFILE;
	c = calloc(CHUNK, sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < CHUNK; i++) {
		c[i].of_fd = fds_top + i;
		c[i].of_next = i + 1 < CHUNK ? fds_top + i + 2 : 0;
	}
	first_free = fds_top + 1;
	atomic_store_explicit(&chunks[fds_top / CHUNK], c, memory_order_release);
	fds_top += CHUNK;
	return 0;
}

static struct openfile *
place_of(int fd)
{
	struct openfile *c;

	if (fd < 0 || (uint32_t)fd >= CHUNK * CHUNKS)
		return NULL;
	c = atomic_load_explicit(&chunks[(uint32_t)fd / CHUNK], memory_order_acquire);
	return c ? &c[(uint32_t)fd % CHUNK] : NULL;
}

int
uk_fd_new(struct ukfs *fs, struct file *f)
{
	struct openfile *of = NULL;
	int r = 0;

	lk_mutex(&fds_mtx, LK_LEAF);
	if (!first_free)
		r = grow_locked();
	if (r == 0) {
		of = place_of((int)first_free - 1);
		first_free = of->of_next;
	}
	lk_mutex_unlock(&fds_mtx, LK_LEAF);
	if (r < 0)
		return r;
	of->of_fs = fs;
	of->of_file = f;
	atomic_fetch_add_explicit(&fs->fs_nfds, 1, memory_order_relaxed);
	atomic_store_explicit(&of->of_state, OPEN | 1, memory_order_release);
	return (int)of->of_fd;
}

void
uk_fd_put(struct openfile *of)
{
	if (atomic_fetch_sub(&of->of_state, 1) != 1)
		return;
	vop_close(of->of_file);
	lk_mutex(&fds_mtx, LK_LEAF);
	of->of_next = first_free;
	first_free = of->of_fd + 1;
	lk_mutex_unlock(&fds_mtx, LK_LEAF);
}

struct file *
uk_fd_get(struct ukfs *fs, int fd, struct openfile **ret)
{
	struct openfile *of = place_of(fd);
	uint64_t s;

	if (!of)
		return NULL;
	s = atomic_load(&of->of_state);
	do {
		if (!(s & OPEN))
			return NULL;
	} while (!atomic_compare_exchange_weak(&of->of_state, &s, s + 1));
	if (of->of_fs != fs) {
		uk_fd_put(of);
		return NULL;
	}
	*ret = of;
	return of->of_file;
}

int
uk_fd_close(struct ukfs *fs, int fd)
{
	struct openfile *of;
	struct file *f = uk_fd_get(fs, fd, &of);
	int r;

	if (!f)
		return -EBADF;
	if (!(atomic_fetch_and(&of->of_state, ~OPEN) & OPEN)) {
		uk_fd_put(of); /* somebody was quicker */
		return -EBADF;
	}
	atomic_fetch_sub_explicit(&fs->fs_nfds, 1, memory_order_relaxed);
	r = vop_flush(f);
	uk_fd_put(of);
	uk_fd_put(of); /* the number's own */
	return r;
}

void
uk_fd_close_all(struct ukfs *fs)
{
	uint32_t top;

	lk_mutex(&fds_mtx, LK_LEAF);
	top = fds_top;
	lk_mutex_unlock(&fds_mtx, LK_LEAF);
	for (uint32_t fd = 0; fd < top && atomic_load(&fs->fs_nfds) > 0; fd++)
		(void)uk_fd_close(fs, (int)fd);
}
