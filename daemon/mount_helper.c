/*
 * The mount helper (mount_helper.h).
 */
#include "daemon/mount_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/remount.h"
#include "daemon/session.h"

/* mount(8)'s. */
enum {
	MNT_USAGE = 1,
	MNT_SYSTEM = 2,
	MNT_FAIL = 32,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char usage_text[] =
    "usage: mount.rumpfuse SOURCE DIR [-sfnv] [-N namespace] [-t type] "
    "[-o option[,option]]\n";

struct helper {
	struct options options;
	bool fake, verbose;
};

bool
mount_helper_is(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;

	return name && (strcmp(name, "mount.rumpfuse") == 0 ||
			   strcmp(name, "mount.fuse.rumpfuse") == 0);
}

/* mount -N: all that is named is in that mount namespace. */
static enum options_next
enter(const char *ns)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0) {
		log_msg(LOG_ERR, "namespace %s: %s", ns, strerror(errno));
		if (fd >= 0)
			close(fd);
		return OPTIONS_BAD;
	}
	close(fd);
	return OPTIONS_RUN;
}

static enum options_next
take_option(struct helper *h, int c, const char *arg)
{
	switch (c) {
	case 's':
		h->options.o_sloppy = true;
		break;
	case 'f':
		h->fake = true;
		break;
	case 'v':
		h->verbose = true;
		break;
	case 'n': /* there is no mtab that we write */
	case 't': /* what brought us here */
	case 'o': /* when it is known whether unknown words are passed over */
		break;
	case 'N':
		return enter(arg);
	case 'h':
		fputs(usage_text, stdout);
		return OPTIONS_DONE;
	case 'V':
		puts("mount.rumpfuse " RF_VERSION);
		return OPTIONS_DONE;
	default: /* getopt has said why */
		fputs(usage_text, stderr);
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}

static enum options_next
parse(struct helper *h, int argc, char **argv)
{
	enum options_next next = OPTIONS_RUN;
	const char *list = NULL;
	int c;

	while (next == OPTIONS_RUN &&
	       (c = getopt_long(argc, argv, "sfnvN:t:o:hV", long_options, NULL)) != -1) {
		if (c == 'o' && list) {
			/* mount(8) gives one. */
			log_msg(LOG_ERR, "-o is there twice");
			return OPTIONS_BAD;
		}
		if (c == 'o')
			list = optarg;
		next = take_option(h, c, optarg);
	}
	if (next == OPTIONS_RUN && list)
		next = options_words(&h->options, list);
	if (next == OPTIONS_RUN && argc - optind != 2) {
		log_msg(LOG_ERR, "a configuration file and a mount point are needed");
		return OPTIONS_BAD;
	}
	return next == OPTIONS_RUN
	           ? options_arguments(&h->options, argc - optind, argv + optind)
	           : next;
}

static int
mount_code(int code)
{
	switch (code) {
	case EXIT_OK:
		return 0;
	case EXIT_USAGE:
		return MNT_USAGE;
	case EXIT_RUN:
		return MNT_SYSTEM;
	default:
		return MNT_FAIL;
	}
}

/* What is asked for, but for the mount itself: an exit code. */
static int
pretend(struct helper *h)
{
	h->options.o_quiet = !h->verbose;
	return h->options.o_remount ? remount_run(&h->options, true)
	                            : session_check(&h->options);
}

int
mount_helper_main(int argc, char **argv)
{
	struct helper h = {.verbose = false};
	pid_t self = getpid();
	enum options_next next;
	int code = EXIT_USAGE;

	log_init(LOG_INFO);
	next = parse(&h, argc, argv);
	if (next == OPTIONS_DONE)
		code = EXIT_OK;
	if (next == OPTIONS_RUN) {
		const struct options *o = &h.options;

		code = h.fake         ? pretend(&h)
		       : o->o_remount ? remount_run(o, false)
		                      : session_run(o);
		if (h.verbose && code == EXIT_OK && getpid() == self)
			printf("mount.rumpfuse: %s %s on %s.\n", o->o_source,
			    h.fake         ? "could be mounted"
			    : o->o_remount ? "remounted"
					   : "mounted",
			    o->o_mountpoint);
	}
	options_done(&h.options);
	/* The daemon's own end is for its parent to translate. */
	return getpid() == self ? mount_code(code) : code;
}
