/*
 * What the fuzzers share: the door of libFuzzer, a check, and an input that is taken byte
 * by byte.
 *
 * An input is not random text but a program for its fuzzer (f-conf.c, which is about text,
 * apart): whatever the bytes are, they mean something, so that none are wasted.  Behind
 * the end of an input there are zeros.
 *
 * A check that fails aborts, which libFuzzer reports as any other crash, with the input
 * kept.
 */
#ifndef RF_FUZZ_H
#define RF_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(
    uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define NEED(cond)                                                                 \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

struct input {
	const uint8_t *in_ptr;
	size_t in_left;
};

static inline uint8_t
in_byte(struct input *in)
{
	if (in->in_left == 0)
		return 0;
	in->in_left--;
	return *in->in_ptr++;
}

/* The number that n bytes make, the lowest first. */
static inline uint64_t
in_number(struct input *in, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)in_byte(in) << (8 * i);
	return v;
}

#endif
