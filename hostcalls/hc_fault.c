/*
 * The door of every host call in checked builds: the hook, the count, the injected fault.
 *
 * fault_left counts down to the call that is to fail; the thread that takes it from 1 to
 * 0 is the one that fails, and no other does.  All of it is atomic and nothing is locked.
 */
#include "hostcalls/hc_private.h"

void (*hc_hook)(const char *call);

#ifdef RF_CHECKED

static atomic_ulong fault_left;  /* a: 0 = off */
static atomic_int fault_err;     /* a */
static atomic_ulong fault_calls; /* a: since hc_fault_set() */

void
hc_enter_nofail(const char *call)
{
	if (hc_hook)
		hc_hook(call);
}

int
hc_enter(const char *call)
{
	hc_enter_nofail(call);
	atomic_fetch_add(&fault_calls, 1);
	unsigned long left = atomic_load(&fault_left);
	while (left > 0) {
		if (atomic_compare_exchange_weak(&fault_left, &left, left - 1))
			return left == 1 ? atomic_load(&fault_err) : 0;
	}
	return 0;
}

void
hc_fault_set(unsigned long n, int err)
{
	/* Off while the parts are exchanged, so that no call fails with the old errno. */
	atomic_store(&fault_left, 0);
	atomic_store(&fault_err, err);
	atomic_store(&fault_calls, 0);
	atomic_store(&fault_left, n);
}

unsigned long
hc_fault_calls(void)
{
	return atomic_load(&fault_calls);
}

#else

void
hc_fault_set(unsigned long n, int err)
{
	(void)n;
	(void)err;
}

unsigned long
hc_fault_calls(void)
{
	return 0;
}

#endif
