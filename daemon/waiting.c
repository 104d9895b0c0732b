/*
 * Waiting for host objects (waiting.h).
 */
#include "daemon/waiting.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/service.h"

#define NSEC    UINT64_C(1000000000)
#define STEP_MS 250 /* signals are looked for so often */

bool
waiting_ended(void)
{
	sigset_t set;

	return sigpending(&set) == 0 &&
	       (sigismember(&set, SIGTERM) || sigismember(&set, SIGINT));
}

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

bool
waiting_for(struct etfs *e, const struct conf_etfs *ce, uint64_t *left_ns)
{
	uint64_t start = clock_ns(), end = start + *left_ns, now = start, told = start;
	bool there = etfs_wait(e, ce->ce_path, 0) == 0, ended = false;

	if (!there)
		service_status("waiting for %s", ce->ce_host);
	while (!there && now < end && !(ended = waiting_ended())) {
		uint64_t ms = (end - now) / 1000000 + 1;

		/* The manager's own patience is not to end before ours. */
		if (now == start || now - told >= WAITING_EVERY_S * NSEC)
			service_extend(2 * WAITING_EVERY_S);
		if (now - told >= WAITING_EVERY_S * NSEC) {
			told = now;
			log_msg(LOG_NOTICE, "key %s: waiting for %s, for %u s more",
			    ce->ce_path, ce->ce_host, (unsigned)((end - now) / NSEC));
		}
		there =
		    etfs_wait(e, ce->ce_path, ms < STEP_MS ? (unsigned)ms : STEP_MS) == 0;
		now = clock_ns();
	}
	*left_ns = now < end ? end - now : 0;
	if (!there && !ended)
		log_msg(LOG_WARNING,
		    "%s:%u: [%s]: %s has not come in time: the key is left out until it does",
		    ce->ce_where.cw_file, ce->ce_where.cw_line, ce->ce_where.cw_section,
		    ce->ce_host);
	return !ended;
}

void
waiting_late(void *arg, const char *key, const char *host, const char *why)
{
	(void)arg;
	if (why)
		log_msg(LOG_WARNING, "%s", why);
	else
		log_msg(LOG_NOTICE, "key %s: %s has come", key, host);
}
