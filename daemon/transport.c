/*
 * How requests come (transport.h).
 */
#include "daemon/transport.h"

#include <errno.h>
#include <string.h>

#include "daemon/fe_uring.h"
#include "daemon/fe_wire.h"
#include "daemon/log.h"
#include "daemon/options.h"

static enum conf_transport
wanted(const struct session *s)
{
	return s->s_opt->o_transport_given ? s->s_opt->o_transport
	                                   : s->s_conf->c_transport;
}

/* What has been asked for by name is told of; what is only as it is everywhere is not. */
static void
not_by_rings(const struct session *s, const char *why)
{
	log_msg(wanted(s) == CTR_URING ? LOG_NOTICE : LOG_DEBUG,
	    "requests come by /dev/fuse, not by io_uring: %s", why);
}

static const char *
reason(int r)
{
	switch (r) {
	case -ENOSYS:
		return "the kernel does not offer it (Linux 6.14 does)";
	case -ENXIO:
		return "it is off (enable_uring of the kernel's module fuse)";
	case -EPERM:
		return "the system does not permit rings (kernel.io_uring_disabled)";
	default:
		return strerror(-r);
	}
}

void
transport_prepare(struct session *s)
{
	int r;

	if (wanted(s) == CTR_DEVICE)
		return;
	if (s->s_nthreads == 1) {
		not_by_rings(s, "one thread is to serve, and it takes one per processor");
		return;
	}
	if (!FE_WIRE) {
		not_by_rings(s, "this libfuse does not let others read and write for it");
		return;
	}
	r = fe_uring_offered();
	if (r == 0)
		r = fe_uring_new(&s->s_fe, s->s_se, s->s_nthreads, &s->s_uring);
	if (r < 0)
		not_by_rings(s, reason(r));
}

void
transport_start(struct session *s)
{
	int r = s->s_uring ? fe_uring_start(s->s_uring) : 0;

	if (r < 0) {
		not_by_rings(s, strerror(-r));
		fe_uring_free(s->s_uring);
		s->s_uring = NULL;
	}
	s->s_fe.fe_want_uring = s->s_uring != NULL;
}

void
transport_agreed(struct session *s)
{
	bool agreed = s->s_fe.fe_agreed & FE_INIT_URING;

	if (!s->s_uring)
		return;
	fe_uring_go(s->s_uring, agreed);
	if (!agreed)
		not_by_rings(s, "the kernel does not offer it");
	atomic_store(&s->s_by_rings, agreed);
}

void
transport_end(struct session *s)
{
	struct fe_uring *ur = s->s_uring;

	fe_uring_stop(ur);
	if (ur && fe_uring_error(ur) < 0)
		log_msg(LOG_WARNING, "io_uring: %s", strerror(-fe_uring_error(ur)));
}

const char *
transport_name(struct session *s)
{
	return atomic_load(&s->s_by_rings) && fe_uring_error(s->s_uring) == 0 ? "io-uring"
	                                                                      : "device";
}

unsigned
transport_threads(struct session *s)
{
	return atomic_load(&s->s_by_rings) ? fe_uring_threads(s->s_uring) : s->s_nthreads;
}
