/*
 * Waiting for host objects (waiting.h).
 */
#include "daemon/waiting.h"

#include <stdbool.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/service.h"

#define NSEC UINT64_C(1000000000)

static uint64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec;
}

/* Whatever else happens meanwhile. */
static bool
wait_until(struct etfs *e, const char *key, uint64_t end)
{
	bool there = false;

	for (uint64_t now; !there && (now = clock_ns()) < end;)
		there = etfs_wait(e, key, (unsigned)((end - now) / 1000000 + 1)) == 0;
	return there;
}

void
waiting_for(struct etfs *e, const struct conf_etfs *ce, uint64_t *left_ns)
{
	uint64_t now = clock_ns(), end = now + *left_ns;
	bool there = etfs_wait(e, ce->ce_path, 0) == 0, first = true;

	if (!there)
		service_status("waiting for %s", ce->ce_host);
	while (!there && now < end) {
		uint64_t ms = (end - now) / 1000000 + 1;

		/* The manager's patience is not to end before ours. */
		service_extend(2 * WAITING_EVERY_S);
		if (!first)
			log_msg(LOG_NOTICE, "key %s: waiting for %s, for %u s more",
			    ce->ce_path, ce->ce_host, (unsigned)(ms / 1000));
		first = false;
		if (ms > WAITING_EVERY_S * 1000)
			ms = WAITING_EVERY_S * 1000;
		there = wait_until(e, ce->ce_path, now + ms * 1000000);
		now = clock_ns();
	}
	*left_ns = now < end ? end - now : 0;
	if (!there)
		log_msg(LOG_WARNING,
		    "%s:%u: [%s]: %s has not come in time: the key is left out until it does",
		    ce->ce_where.cw_file, ce->ce_where.cw_line, ce->ce_where.cw_section,
		    ce->ce_host);
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
