/*
 * rumpfusectl: the command line, and the commands.
 */
#ifndef RF_CTL_CTL_H
#define RF_CTL_CTL_H

#include "daemon/ctl/peer.h"

struct ctl {
	const char *o_mountpoint; /* NULL with o_socket */
	const char *o_socket;
	char **o_args; /* of the command */
	int o_nargs;
	bool o_json, o_openmetrics, o_batch, o_paths, o_quiet;
	double o_timeout; /* seconds; 0: not given */
	double o_delay;   /* seconds between rounds of top */
	long o_rounds;    /* 0: without end */
};

/* The commands; an exit status each.  p is connected. */
int cmd_list(const struct ctl *o, struct peer *p);
int cmd_add(const struct ctl *o, struct peer *p);
int cmd_remove(const struct ctl *o, struct peer *p);
int cmd_explain(const struct ctl *o, struct peer *p);
int cmd_stats(const struct ctl *o, struct peer *p);
int cmd_reload(const struct ctl *o, struct peer *p);
int cmd_top(const struct ctl *o, struct peer *p);
/* p is not. */
int cmd_mounts(const struct ctl *o, struct peer *p);

/* One line to stderr, or several, with the program's name. */
void complain(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Writes the text to stdout; CTL_OUTPUT if that fails.  Takes it. */
int output(GString *text);
/* The same with a result as JSON. */
int output_json(JsonObject *result);
/*
 * Asks; what cannot be asked and what is refused is said on stderr, with what the daemon
 * logged (and refusals as JSON on stdout, with --json); with o_quiet in a line alone.  seconds: to wait, 0: for ever.
 */
int ask(const struct ctl *o, struct peer *p, JsonObject *request, double seconds,
    struct answer *ret);
/* Seconds for what the daemon answers at once, and for what it has to work for. */
double soon(const struct ctl *o);
double patient(const struct ctl *o);
#endif
