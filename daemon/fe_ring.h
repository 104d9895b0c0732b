/*
 * A ring of io_uring: the three system calls, as far as the transport needs them (fe_uring.h).
 *
 * One thread uses a ring.  It is made before rights are given up and cannot do anything but
 * commands to a device (IORING_OP_URING_CMD): what io_uring does is not seen by the filter of
 * system calls (confine.h), so the ring itself refuses all else, and new ones cannot be made.
 * The thread that enables it is the one that may use it.
 */
#ifndef RF_DAEMON_FE_RING_H
#define RF_DAEMON_FE_RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fe_ring {
	int rg_fd; /* or -1 */
	unsigned *rg_sq_tail, rg_sq_mask, rg_queued;
	unsigned *rg_cq_head, *rg_cq_tail, rg_cq_mask;
	char *rg_sqes;
	struct io_uring_cqe *rg_cqes;
	void *rg_map;
	size_t rg_map_len, rg_sqes_len;
};

/* For so many commands at a time.  0 or -errno. */
int fe_ring_init(struct fe_ring *rg, unsigned depth);
/* By the thread that is to use it.  0 or -errno. */
int fe_ring_enable(struct fe_ring *rg);
/* What was under way is cancelled, in its own time. */
void fe_ring_done(struct fe_ring *rg);

/* The next command to be filled, empty; there are never more than the depth. */
struct io_uring_sqe *fe_ring_next(struct fe_ring *rg);
/* Hands over what was filled, and waits until something is to be taken.  0 or -errno: EINTR
 * for a signal. */
int fe_ring_wait(struct fe_ring *rg);
/* Hands over without waiting. */
int fe_ring_submit(struct fe_ring *rg);
/* Takes what a command has come to.  False: nothing is there. */
bool fe_ring_take(struct fe_ring *rg, uint64_t *ret_data, int *ret_result);

#endif
