/*
 * rumpfuse: rumpfs and etfs as a FUSE file system (rumpfuse(8)).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/mount_helper.h"
#include "daemon/options.h"
#include "daemon/progress.h"
#include "daemon/remount.h"
#include "daemon/session.h"

/* What is opened later must not become stdin, stdout or stderr. */
static void
open_stdio(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= 2)
		fd = dup(fd);
	if (fd > 2)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct options o;
	int code = EXIT_USAGE;

	open_stdio();
	if (mount_helper_is(argv[0]))
		return mount_helper_main(argc, argv);
	switch (options_parse(&o, argc, argv)) {
	case OPTIONS_BAD:
		break;
	case OPTIONS_DONE:
		code = EXIT_OK;
		break;
	case OPTIONS_RUN:
		log_init(o.o_debug ? LOG_DEBUG : LOG_INFO);
		progress_start(o.o_debug);
		code = o.o_diff      ? session_diff(&o)
		       : o.o_check   ? session_check(&o)
		       : o.o_remount ? remount_run(&o, false)
		                     : session_run(&o);
		break;
	}
	options_done(&o);
	return code;
}
