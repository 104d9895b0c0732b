/*
 * rumpfuse --check --diff OLD NEW: what a reload from one file to the other would do.
 */
#include <stdio.h>

#include "daemon/apply.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/plan.h"
#include "daemon/session.h"

/* Both files are read, so that all errors of both are said; and what would be done, although
 * it could not be. */
static int
print_diff(
    const struct conf *old_conf, const struct conf *new_conf, const struct options *o)
{
	struct space_how how = {.sh_rdonly = o->o_rdonly, .sh_check = true};
	struct space sp;
	struct plan pl;
	int code;

	if (!plan_make(&pl, old_conf, new_conf, NULL)) {
		log_msg(LOG_ERR, "out of memory");
		return EXIT_RUN;
	}
	plan_print(&pl, stdout);
	plan_done(&pl);
	fflush(stdout); /* before the errors, where both go to one place */
	code = space_new(&sp, new_conf, &how);
	if (code == EXIT_OK)
		space_done(&sp);
	return code;
}

int
session_diff(const struct options *o)
{
	struct conf *old_conf = apply_load(o, o->o_diff, NULL);
	struct conf *new_conf = apply_load(o, o->o_source, NULL);
	int code = EXIT_CONFIG;

	if (old_conf && new_conf)
		code = print_diff(old_conf, new_conf, o);
	if (old_conf)
		conf_free(old_conf);
	if (new_conf)
		conf_free(new_conf);
	return code;
}
