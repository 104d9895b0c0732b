/*
 * A session's reload: the same for SIGHUP and for the control socket (session.h).
 */
#include "daemon/options.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/session.h"

bool
session_reload(struct session *s, struct reload_result *ret)
{
	struct reload_result rr = {0};
	bool ok;

	service_reloading();
	service_status("Reloading %s", s->s_source);
	ok = reload(&s->s_space, &s->s_conf, s->s_opt, s->s_fe.fe_live, &rr);
	if (ok)
		service_status("Reloaded: %zu added, %zu removed, %zu changed",
		    rr.rr_added, rr.rr_removed, rr.rr_changed);
	else
		service_status(
		    "The reload failed; the log says why.  What was mounted goes on");
	service_ready();
	if (ok && ret)
		*ret = rr;
	else
		reload_result_done(&rr);
	return ok;
}
