/*
 * rumpfusectl: asks a running daemon, and tells it what to do.  rumpfusectl(8).
 *
 * It knows the daemon by its socket alone, and never touches the mount.
 */
#include <errno.h>
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/text.h"

static const char usage_text[] =
    "usage: rumpfusectl [--json] [--timeout SECONDS] MOUNTPOINT COMMAND\n"
    "       rumpfusectl [--json] [--timeout SECONDS] -S SOCKET COMMAND\n"
    "       rumpfusectl [--json] mounts\n"
    "\n"
    "Commands:\n"
    "  list [-p]                   what is declared in the mount; -p: the paths alone\n"
    "  add KEY=HOST[,name=value…]  make a host file or directory appear at KEY\n"
    "  remove KEY                  take it away\n"
    "  explain PATH…               what a path is, and what it depends on\n"
    "  stats [--openmetrics]       what was done, how fast, and what waits\n"
    "  reload [-q]                 read the configuration again\n"
    "  top [-d SECONDS] [-n ROUNDS] [-b]\n"
    "                              the same, live; q ends it\n"
    "  mounts                      the daemons that run\n"
    "\n"
    "  -j, --json                  results as JSON\n"
    "  -t, --timeout SECONDS       how long to wait for the daemon (10)\n"
    "  -S, --socket SOCKET         the daemon's socket, instead of its mount point\n"
    "  -h, --help; -V, --version\n"
    "\n"
    "Exit status: 0 done, 1 refused, 2 usage, 3 no daemon, 4 no answer, 5 output failed.\n";

enum {
	OPT_OPENMETRICS = 256,
	/* What an option is for, to be or-ed: the commands that take it. */
	FOR_LIST = 1,
	FOR_STATS = 2,
	FOR_TOP = 4,
	FOR_RELOAD = 8,
};

static const struct command {
	const char *name;
	int (*fn)(const struct ctl *o, struct peer *p);
	int min, max; /* arguments */
	unsigned options;
	bool json;
} commands[] = {
    {"list", cmd_list, 0, 0, FOR_LIST, true},
    {"add", cmd_add, 1, 1, 0, true},
    {"remove", cmd_remove, 1, 1, 0, true},
    {"explain", cmd_explain, 1, INT_MAX, 0, true},
    {"stats", cmd_stats, 0, 0, FOR_STATS, true},
    {"reload", cmd_reload, 0, 0, FOR_RELOAD, true},
    {"top", cmd_top, 0, 0, FOR_TOP, false},
};
static const struct command mounts = {"mounts", cmd_mounts, 0, 0, 0, true};

static int
misuse(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_autofree char *text = g_strdup_vprintf(format, ap);
	va_end(ap);
	complain("%s; \"rumpfusectl -h\" shows what there is", text);
	return CTL_USAGE;
}

/* A number of seconds, or of rounds, in a range. */
static int
number(const char *what, const char *text, double min, double max, double *ret)
{
	char *end;
	double n = strtod(text, &end);

	if (end == text || *end || !isfinite(n) || n < min || n > max)
		return misuse("%s is to be a number from %g to %g, not \"%s\"", what, min,
		    max, text);
	*ret = n;
	return CTL_OK;
}

/* One option; *used says what it is for. */
static int
take_option(struct ctl *o, int opt, unsigned *used)
{
	double n;
	int rc = CTL_OK;

	switch (opt) {
	case 'j':
		o->o_json = true;
		break;
	case 't':
		rc = number("--timeout", optarg, 0.001, 86400 * 365.0, &o->o_timeout);
		break;
	case 'S':
		o->o_socket = optarg;
		break;
	case 'p':
		o->o_paths = true;
		*used |= FOR_LIST;
		break;
	case 'q':
		o->o_quiet = true;
		*used |= FOR_RELOAD;
		break;
	case OPT_OPENMETRICS:
		o->o_openmetrics = true;
		*used |= FOR_STATS;
		break;
	case 'b':
		o->o_batch = true;
		*used |= FOR_TOP;
		break;
	case 'd':
		*used |= FOR_TOP;
		rc = number("--delay", optarg, 0.05, 86400, &o->o_delay);
		break;
	case 'n':
		*used |= FOR_TOP;
		rc = number("--rounds", optarg, 1, 1e9, &n);
		o->o_rounds = rc ? 0 : (long)n;
		break;
	default:
		rc = CTL_USAGE; /* getopt has said why */
		break;
	}
	return rc;
}

/* The options; *ret_end: the program is done, with the status that is returned. */
static int
take_options(struct ctl *o, int argc, char **argv, unsigned *used, bool *ret_end)
{
	static const struct option longs[] = {
	    {"json", no_argument, NULL, 'j'},
	    {"timeout", required_argument, NULL, 't'},
	    {"socket", required_argument, NULL, 'S'},
	    {"paths", no_argument, NULL, 'p'},
	    {"quiet", no_argument, NULL, 'q'},
	    {"openmetrics", no_argument, NULL, OPT_OPENMETRICS},
	    {"batch", no_argument, NULL, 'b'},
	    {"delay", required_argument, NULL, 'd'},
	    {"rounds", required_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {NULL, 0, NULL, 0},
	};
	int opt;

	*ret_end = true;
	while ((opt = getopt_long(argc, argv, "jt:S:pqbd:n:hV", longs, NULL)) != -1) {
		int rc;

		if (opt == 'h')
			return output(g_string_new(usage_text));
		if (opt == 'V')
			return output(g_string_new("rumpfusectl " RF_VERSION "\n"));
		rc = take_option(o, opt, used);
		if (rc)
			return rc;
	}
	*ret_end = false;
	return CTL_OK;
}

static int
check(const struct ctl *o, const struct command *c, unsigned used)
{
	if (o->o_nargs < c->min)
		return misuse("%s needs an argument", c->name);
	if (o->o_nargs > c->max)
		return misuse("%s: \"%s\" is too much", c->name, o->o_args[c->max]);
	if (used & ~c->options)
		return misuse("%s does not have one of these options", c->name);
	if (o->o_json && (!c->json || o->o_openmetrics))
		return misuse(
		    "%s has no --json%s", c->name, o->o_openmetrics ? " of that" : "");
	for (int i = 0; i < o->o_nargs; i++)
		if (!g_utf8_validate(o->o_args[i], -1, NULL))
			return misuse("%s: an argument is not UTF-8", c->name);
	return CTL_OK;
}

/* The words after the options. */
static int
take_words(struct ctl *o, int n, char **words, const struct command **ret)
{
	*ret = NULL;
	if (n == 1 && strcmp(words[0], "mounts") == 0 && !o->o_socket) {
		*ret = &mounts;
		return CTL_OK;
	}
	if (!o->o_socket) {
		if (n < 2)
			return misuse(
			    n ? "what is to be done at %s?" : "there is no MOUNTPOINT",
			    words[0]);
		o->o_mountpoint = words[0];
		words++;
		n--;
	} else if (n < 1) {
		return misuse("there is no command");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
		if (strcmp(words[0], commands[i].name) == 0)
			*ret = &commands[i];
	if (!*ret)
		return misuse("there is no command \"%s\"", words[0]);
	o->o_args = words + 1;
	o->o_nargs = n - 1;
	return CTL_OK;
}

static int
run(const struct ctl *o, const struct command *c)
{
	g_autoptr(GString) why = g_string_new(NULL);
	struct peer p;
	int rc = CTL_OK;

	peer_init(&p, soon(o));
	if (c != &mounts) {
		rc = peer_find(&p, o->o_mountpoint, o->o_socket, why);
		if (rc == CTL_OK)
			rc = peer_dial(&p, why);
	}
	if (rc)
		complain("%s", why->str);
	else
		rc = c->fn(o, &p);
	peer_done(&p);
	return rc;
}

int
main(int argc, char **argv)
{
	struct ctl o = {.o_delay = 1};
	const struct command *c;
	unsigned used = 0;
	bool end;
	int rc;

	setlocale(LC_CTYPE, "");
	text_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	if (argc < 2) {
		fputs(usage_text, stderr);
		return CTL_USAGE;
	}
	rc = take_options(&o, argc, argv, &used, &end);
	if (rc == CTL_OK && !end)
		rc = take_words(&o, argc - optind, argv + optind, &c);
	if (rc == CTL_OK && !end)
		rc = check(&o, c, used);
	if (rc || end)
		return rc;
	return run(&o, c);
}
