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

/* Of newer headers (Linux 6.5): the queues are in memory that is given, whose address is at the
 * end of the offsets. */
#define SETUP_NO_MMAP (1u << 14)
#define USER_ADDR     (sizeof(struct io_sqring_offsets) - sizeof(uint64_t))
_Static_assert(sizeof(struct io_sqring_offsets) == 40, "as the kernel has it");
_Static_assert(sizeof(struct io_cqring_offsets) == 40, "as the kernel has it");

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

/* The memory is ours and is only lent: a mapping of the ring itself would keep that, and with
 * it the connection, for as long as any thread of a killed process waits for its own mount. */
static int
new_memory(struct fe_ring *rg, unsigned depth)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), places = 1;
	char *at;

	while (places < depth)
		places *= 2;
	/* Heads, tails and counters; twice as many results as commands; their order. */
	rg->rg_map_len =
	    (512 + places * (2 * sizeof(struct io_uring_cqe) + sizeof(unsigned)) + page -
		1) /
	    page * page;
	rg->rg_sqes_len = (places * SQE_BYTES + page - 1) / page * page;
	at = mmap(NULL, rg->rg_map_len + rg->rg_sqes_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	rg->rg_map = at;
	rg->rg_sqes = at + rg->rg_map_len;
	return 0;
}

static void
find_places(struct fe_ring *rg, const struct io_uring_params *p)
{
	char *at = rg->rg_map;
	unsigned *array = (unsigned *)(void *)(at + p->sq_off.array);

	rg->rg_sq_tail = (unsigned *)(void *)(at + p->sq_off.tail);
	rg->rg_sq_mask = p->sq_entries - 1;
	rg->rg_cq_head = (unsigned *)(void *)(at + p->cq_off.head);
	rg->rg_cq_tail = (unsigned *)(void *)(at + p->cq_off.tail);
	rg->rg_cq_mask = p->cq_entries - 1;
	rg->rg_cqes = (struct io_uring_cqe *)(void *)(at + p->cq_off.cqes);
	/* Each place of the queue is for the command of the same number. */
	for (unsigned i = 0; i < p->sq_entries; i++)
		array[i] = i;
}

int
fe_ring_init(struct fe_ring *rg, unsigned depth)
{
	/* What has come is brought in when its thread waits, and never in between. */
	struct io_uring_params p = {
	    .flags = IORING_SETUP_SQE128 | IORING_SETUP_R_DISABLED |
	             IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	             IORING_SETUP_SUBMIT_ALL | SETUP_NO_MMAP,
	};
	uint64_t at;
	long fd;
	int r;

	*rg = (struct fe_ring){.rg_fd = -1};
	r = new_memory(rg, depth);
	if (r < 0)
		return r;
	at = (uintptr_t)rg->rg_map;
	memcpy((char *)&p.cq_off + USER_ADDR, &at, sizeof(at));
	at = (uintptr_t)rg->rg_sqes;
	memcpy((char *)&p.sq_off + USER_ADDR, &at, sizeof(at));
	fd = syscall(SYS_io_uring_setup, depth, &p);
	r = fd < 0 ? -errno : 0;
	rg->rg_fd = (int)fd;
	if (r == 0) {
		find_places(rg, &p);
		r = restrict_ring(rg->rg_fd);
	}
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
	if (rg->rg_fd >= 0)
		close(rg->rg_fd);
	if (rg->rg_map)
		munmap(rg->rg_map, rg->rg_map_len + rg->rg_sqes_len);
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
