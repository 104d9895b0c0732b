/*
 * The vnode layer without the kernel: what an operation costs in one thread and in two, in one
 * directory and in separate ones.
 *
 *	contend [MILLISECONDS]
 *
 * For each operation: nanoseconds of a thread's own processor time for one, with one thread,
 * with two in directories of their own, and with two in one directory.  What is more than the
 * first is waiting for lines of the other processor's cache and for locks; beside it the
 * operations of all threads in a second of wall time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vfs/rumpfs.h"
#include "vfs/vop.h"

#define FILES 64

enum {
	NTHREADS = 2
};

static const struct cred t_cred = {1000, 100, 0};
static struct vnode *dirs[NTHREADS + 1];
static _Atomic bool stop;

struct worker {
	pthread_t thread;
	unsigned id;
	struct vnode *dir;
	void (*op)(struct worker *wk, unsigned i);
	struct file *f[FILES];
	uint64_t n, cpu_ns;
};

static uint64_t
clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static const struct name *
nm(const char *text)
{
	static _Thread_local struct name n;

	if (name_init(&n, text) < 0)
		abort();
	return &n;
}

static const char *
file_name(unsigned i)
{
	static _Thread_local char name[16];

	snprintf(name, sizeof(name), "f%u", i % FILES);
	return name;
}

static void
op_lookup(struct worker *wk, unsigned i)
{
	struct vnode *vp;

	if (vop_lookup(wk->dir, nm(file_name(i)), &vp) < 0)
		abort();
	/* As the kernel has it. */
	vn_lookup_given(vp);
	vn_forget(vp, 1);
}

static void
op_missing(struct worker *wk, unsigned i)
{
	struct vnode *vp;

	(void)i;
	if (vop_lookup(wk->dir, nm("none"), &vp) != -ENOENT)
		abort();
}

static void
op_getattr(struct worker *wk, unsigned i)
{
	struct vattr va;

	if (vop_getattr(wk->f[i % FILES]->f_vp, NULL, &va) < 0)
		abort();
}

static void
op_open(struct worker *wk, unsigned i)
{
	struct file *f;

	if (vop_open(wk->f[i % FILES]->f_vp, O_RDONLY, &t_cred, &f) < 0)
		abort();
	vop_close(f);
}

static void
op_read(struct worker *wk, unsigned i)
{
	static _Thread_local char buf[4096];
	size_t done;

	if (vop_read_whole(
		wk->f[i % FILES]->f_vp, wk->f[i % FILES], buf, sizeof(buf), 0, &done) < 0)
		abort();
}

static void
op_write(struct worker *wk, unsigned i)
{
	static const char buf[4096];
	size_t done;

	if (vop_write_whole(wk->f[i % FILES]->f_vp, wk->f[i % FILES], buf, sizeof(buf), 0,
		false, &done) < 0)
		abort();
}

static void
op_create(struct worker *wk, unsigned i)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};
	struct vnode *vp;
	struct file *f;
	char name[32];

	snprintf(name, sizeof(name), "new%u-%u", wk->id, i);
	if (vop_create(wk->dir, nm(name), &mk, O_RDWR | O_EXCL, &t_cred, &vp, &f) < 0)
		abort();
	vop_close(f);
	vn_unref(vp);
	if (vop_unlink(wk->dir, nm(name), &t_cred) < 0)
		abort();
}

static void *
work(void *arg)
{
	struct worker *wk = arg;
	uint64_t began = clock_of(CLOCK_THREAD_CPUTIME_ID);
	unsigned i = 0;

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		wk->op(wk, i++);
	wk->n = i;
	wk->cpu_ns = clock_of(CLOCK_THREAD_CPUTIME_ID) - began;
	return NULL;
}

static void
fill(struct worker *wk)
{
	static const char buf[4096];
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};

	for (unsigned i = 0; i < FILES; i++) {
		struct vnode *vp;
		size_t done;

		if (vop_create(wk->dir, nm(file_name(i)), &mk, O_RDWR, &t_cred, &vp,
			&wk->f[i]) < 0)
			abort();
		vop_write_whole(vp, wk->f[i], buf, sizeof(buf), 0, false, &done);
		vn_unref(vp);
	}
}

static void
run(void (*op)(struct worker *, unsigned), unsigned n, bool shared, unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	struct worker wk[NTHREADS] = {{.n = 0}};
	uint64_t ops = 0, cpu = 0, began;

	for (unsigned i = 0; i < n; i++) {
		wk[i].id = i;
		wk[i].op = op;
		wk[i].dir = dirs[shared ? NTHREADS : i];
		fill(&wk[i]);
	}
	atomic_store(&stop, false);
	began = clock_of(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&wk[i].thread, NULL, work, &wk[i]);
	nanosleep(&ts, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(wk[i].thread, NULL);
		ops += wk[i].n;
		cpu += wk[i].cpu_ns;
	}
	began = clock_of(CLOCK_MONOTONIC) - began;
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < FILES; j++)
			vop_close(wk[i].f[j]);
	printf(" %6.0f ns %8.0f/s |", (double)cpu / (double)ops,
	    (double)ops * 1e9 / (double)began);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*op)(struct worker *, unsigned);
	} ops[] = {
	    {"look-up and forget", op_lookup},
	    {"look-up of nothing", op_missing},
	    {"getattr", op_getattr},
	    {"open and close", op_open},
	    {"read 4 KiB", op_read},
	    {"write 4 KiB", op_write},
	    {"create and unlink", op_create},
	};
	struct rumpfs_opts o = {.ro_mode = 0755};
	struct vnode *root;
	static struct vfs v;
	unsigned ms = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 500;

	if (vfs_init(&v) < 0 || rumpfs_new(&v, &o, &root) < 0)
		abort();
	for (unsigned i = 0; i <= NTHREADS; i++) {
		struct vmake mk = {.vm_type = VDIR, .vm_mode = 0755};
		char name[16];

		snprintf(name, sizeof(name), "d%u", i);
		if (vop_make(root, nm(name), &mk, &t_cred, &dirs[i]) < 0)
			abort();
	}
	printf("| operation | one thread | two, own directories | two, one directory |\n"
	       "|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		printf("| %-18s |", ops[i].name);
		run(ops[i].op, 1, false, ms);
		run(ops[i].op, 2, false, ms);
		run(ops[i].op, 2, true, ms);
		printf("\n");
	}
	return 0;
}
