/*
 * A ring of io_uring (fe_ring.h).
 */
#include "daemon/fe_ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQE_BYTES 128u

/* The kernel reads and writes these, too. */
static unsigned
load(const unsigned *from)
{
	return atomic_load_explicit(
	    (_Atomic unsigned *)(uintptr_t)from, memory_order_acquire);
}

static void
store(unsigned *to, unsigned n)
{
	atomic_store_explicit((_Atomic unsigned *)to, n, memory_order_release);
}

static int
restrict_ring(int fd)
{
	struct io_uring_restriction only[] = {
	    {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_URING_CMD},
	};

	return syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, only,
		   sizeof(only) / sizeof(only[0])) < 0
	           ? -errno
	           : 0;
}

static int
map_ring(struct fe_ring *rg, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	unsigned *array;
	char *at;

	if (!(p->features & IORING_FEAT_SINGLE_MMAP))
		return -EOPNOTSUPP;
	rg->rg_map_len = sq > cq ? sq : cq;
	rg->rg_sqes_len = (size_t)p->sq_entries * SQE_BYTES;
	at = mmap(NULL, rg->rg_map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
	    rg->rg_fd, IORING_OFF_SQ_RING);
	if (at == MAP_FAILED)
		return -errno;
	rg->rg_map = at;
	rg->rg_sqes = mmap(NULL, rg->rg_sqes_len, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_POPULATE, rg->rg_fd, IORING_OFF_SQES);
	if (rg->rg_sqes == MAP_FAILED) {
		rg->rg_sqes = NULL;
		return -errno;
	}
	rg->rg_sq_tail = (unsigned *)(void *)(at + p->sq_off.tail);
	rg->rg_sq_mask = p->sq_entries - 1;
	rg->rg_cq_head = (unsigned *)(void *)(at + p->cq_off.head);
	rg->rg_cq_tail = (unsigned *)(void *)(at + p->cq_off.tail);
	rg->rg_cq_mask = p->cq_entries - 1;
	rg->rg_cqes = (struct io_uring_cqe *)(void *)(at + p->cq_off.cqes);
	/* Each place of the queue is for the command of the same number. */
	array = (unsigned *)(void *)(at + p->sq_off.array);
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i;
	return 0;
}

int
fe_ring_init(struct fe_ring *rg, unsigned depth)
{
	/* What has come is brought in when its thread waits, and never in between. */
	struct io_uring_params p = {
	    .flags = IORING_SETUP_SQE128 | IORING_SETUP_R_DISABLED |
	             IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	             IORING_SETUP_SUBMIT_ALL,
	};
	long fd = syscall(SYS_io_uring_setup, depth, &p);
	int r;

	memset(rg, 0, sizeof(*rg));
	rg->rg_fd = (int)fd;
	if (fd < 0)
		return -errno;
	r = map_ring(rg, &p);
	if (r == 0)
		r = restrict_ring(rg->rg_fd);
	if (r < 0)
		fe_ring_done(rg);
	return r;
}

int
fe_ring_enable(struct fe_ring *rg)
{
	return syscall(SYS_io_uring_register, rg->rg_fd, IORING_REGISTER_ENABLE_RINGS, 0,
		   0) < 0
	           ? -errno
	           : 0;
}

void
fe_ring_done(struct fe_ring *rg)
{
	if (rg->rg_sqes)
		munmap(rg->rg_sqes, rg->rg_sqes_len);
	if (rg->rg_map)
		munmap(rg->rg_map, rg->rg_map_len);
	if (rg->rg_fd >= 0)
		close(rg->rg_fd);
	*rg = (struct fe_ring){.rg_fd = -1};
}

struct io_uring_sqe *
fe_ring_next(struct fe_ring *rg)
{
	unsigned tail = *rg->rg_sq_tail;
	char *at =
	    rg->rg_sqes + (size_t)((tail + rg->rg_queued) & rg->rg_sq_mask) * SQE_BYTES;

	rg->rg_queued++;
	memset(at, 0, SQE_BYTES);
	return (struct io_uring_sqe *)(void *)at;
}

static int
enter(struct fe_ring *rg, unsigned await, unsigned flags)
{
	unsigned n = rg->rg_queued;
	long r;

	store(rg->rg_sq_tail, *rg->rg_sq_tail + n);
	r = syscall(SYS_io_uring_enter, rg->rg_fd, n, await, flags, NULL, 0);
	if (r < 0) {
		int err = errno;

		/* None of them has been taken. */
		store(rg->rg_sq_tail, *rg->rg_sq_tail - n);
		return -err;
	}
	rg->rg_queued = n - (unsigned)r;
	store(rg->rg_sq_tail, *rg->rg_sq_tail - rg->rg_queued);
	return 0;
}

int
fe_ring_submit(struct fe_ring *rg)
{
	return enter(rg, 0, 0);
}

int
fe_ring_wait(struct fe_ring *rg)
{
	if (rg->rg_queued == 0 && load(rg->rg_cq_tail) != *rg->rg_cq_head)
		return 0;
	return enter(rg, 1, IORING_ENTER_GETEVENTS);
}

bool
fe_ring_take(struct fe_ring *rg, uint64_t *ret_data, int *ret_result)
{
	unsigned head = *rg->rg_cq_head;
	const struct io_uring_cqe *cqe = &rg->rg_cqes[head & rg->rg_cq_mask];

	if (head == load(rg->rg_cq_tail))
		return false;
	*ret_data = cqe->user_data;
	*ret_result = cqe->res;
	store(rg->rg_cq_head, head + 1);
	return true;
}
