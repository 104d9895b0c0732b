/*
 * Fuzzer of the request decoder: what its files share.
 *
 *   f-request.c         the namespace, the session, one input from begin to end
 *   f-request_build.c   records of an input → messages of the kernel
 *   f-request_held.c    the books of what was given and given back
 *   f-request_answer.c  is an answer well-formed, and what does it tell
 *
 * An input is records of RECORD bytes, each a step: a request, or something that happens
 * to the host or the keys meanwhile.  The fields of a request come from the bytes of its
 * record one after the other, so that a changed byte is a changed field; ids and handles
 * are mostly those that answers have given.
 */
#ifndef RF_FUZZ_REQUEST_H
#define RF_FUZZ_REQUEST_H

#include <linux/fuse.h>

#include "tests/fuzz/fuzz.h"

/* Newer than some linux/fuse.h. */
#define OP_SYNCFS  50u
#define OP_TMPFILE 51u
#define OP_STATX   52u

#define RECORD    24u
#define MSG_MAX   (320u << 10) /* of what is sent */
#define STEPS_MAX 256u
#define POOL      64u

/* How the message of a record is made (its second byte). */
enum {
	HOW_RAW = 1 << 0,    /* the body is the bytes of the records that follow */
	HOW_CUT = 1 << 1,    /* the message ends too early */
	HOW_NO_NUL = 1 << 2, /* its last string has no end */
	HOW_LENGTH = 1 << 3, /* its header says another length */
	HOW_LOST = 1 << 4,   /* the answer cannot be sent: the asker has gone */
	HOW_WILD = 1 << 5,   /* ids and handles are any numbers */
	HOW_FAULT = 1 << 6,  /* a host call fails meanwhile */
	HOW_NOBODY = 1 << 7, /* asked by a user without rights */
};

/* What answers have given: the last POOL of each. */
struct pool {
	uint64_t p_id[POOL];
	unsigned p_n;
};

/* What the kernel would hold by now: of each node how many lookups, and which files. */
#define HELD_MAX 8192u
struct held {
	struct {
		uint64_t id, lookups;
	} h_nodes[HELD_MAX];
	uint64_t h_files[HELD_MAX];
	unsigned h_nnodes, h_nfiles;
};

struct script {
	struct input s_in;
	struct pool s_nodes, s_files;
	uint64_t s_unique;
	struct held s_held;
	size_t s_max; /* the largest answer that may be asked for */
};

/* A request under way. */
struct sent {
	uint64_t r_unique;
	uint32_t r_opcode, r_size; /* r_size: as asked for, where there is one */
	bool r_silent;             /* there is no answer to it */
	bool r_plain;              /* as the kernel would send it, in its form */
	unsigned r_answers;
};

void pool_add(struct pool *p, uint64_t id);

/* Takes what a message gives back; it is zero behind its end. */
void held_message(struct held *h, const unsigned char *msg);
void held_lookup(struct held *h, uint64_t id);
void held_open(struct held *h, uint64_t fh);
uint64_t held_lookups(const struct held *h, uint64_t id);

/* Makes the message of a record whose first byte was op; its length. */
size_t build_request(
    struct script *s, uint8_t op, unsigned char msg[MSG_MAX], struct sent *ret);
size_t build_init(struct script *s, uint32_t minor, uint32_t flags, unsigned char *msg);
size_t build_statfs(struct script *s, unsigned char *msg, struct sent *ret);
/* A name that is likely to be there. */
const char *build_name(uint8_t b);
const char *build_host_name(uint8_t b);

/* Aborts if the answer is not one to r.  What it gives goes to the pools. */
void answer_check(struct script *s, struct sent *r, const unsigned char *msg, size_t len);

#endif
