/*
 * What the two parts of p-fstress share: p-fstress.c starts the processes and looks at what
 * they leave, p-fstress_ops.c is what they do.
 */
#ifndef RF_P_FSTRESS_H
#define RF_P_FSTRESS_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of all processes. */
struct shared {
	_Atomic bool stop;
	_Atomic unsigned long done, good;
	_Atomic unsigned odd; /* results that nothing explains */
};
extern struct shared *shared;
extern int top; /* the directory */

/* Works until shared->stop. */
void work(uint64_t seed);

#endif
