/*
 * The command line of ukfs, and the table of commands:
 *
 *	ukfs [-t type] [-o options] IMAGE[:PARTITION] [COMMAND [ARGUMENT…]]
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

struct target target = {.tg_type = "auto"};

bool
cmd_always(int argc, char **argv)
{
	return true;
}

void
cmd_begin_options(void)
{
	optind = 0; /* GNU: begin anew, permute */
}

static const struct command *
find_command(const char *name)
{
	for (unsigned i = 0; commands[i]; i++)
		if (strcmp(commands[i]->c_name, name) == 0)
			return commands[i];
	return NULL;
}

int
cmd_usage(const char *name)
{
	const struct command *c = find_command(name);

	if (c)
		fprintf(stderr, "Usage: %s %s\n", c->c_name, c->c_synopsis);
	return RC_USAGE;
}

int
cmd_missing(const char *name)
{
	badf("%s: missing operand", name);
	return cmd_usage(name);
}

int
run_command(int argc, char **argv)
{
	const struct command *c = find_command(argv[0]);

	if (!c) {
		badf("there is no command %s; \"help\" lists them", qm(argv[0]));
		return RC_USAGE;
	}
	if (!c->c_nomount) {
		int rc = tool_need(c->c_writes && c->c_writes(argc, argv));
		if (rc != RC_FINE)
			return rc;
	}
	int rc = c->c_run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		if (errno != EPIPE)
			badf("write error: %s", strerror(errno));
		clearerr(stdout);
		rc = rc ? rc : RC_SOME;
	}
	return rc;
}

static void
print_help(FILE *f)
{
	fprintf(f,
	    "Usage: ukfs [-r] [-t TYPE] [-o OPTION,…] IMAGE[:PARTITION] "
	    "[COMMAND [ARGUMENT…]]\n"
	    "Works on a file system image without mounting it; see ukfs(1).\n\n"
	    "  -t, --type TYPE        type of the file system (auto)\n"
	    "  -o, --options OPTIONS  begin=, size=, partition=, ro, nolock, or the type's own\n"
	    "  -r, --read-only        never write to the image\n"
	    "  -h, --help             this text\n"
	    "  -V, --version          the version\n\n"
	    "Without a command: the partition table, or what the image is.\n"
	    "\"-\" as the command: commands from standard input, one in a line.\n\n"
	    "Commands:\n");
	for (unsigned i = 0; commands[i]; i++)
		fprintf(f, "  %-9s %s\n", commands[i]->c_name, commands[i]->c_help);
}

static int
run_help(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;

	if (argc > 1 && !c) {
		badf("there is no command %s", qm(argv[1]));
		return RC_USAGE;
	}
	if (c)
		printf("Usage: %s %s\n%s\n", c->c_name, c->c_synopsis, c->c_help);
	else
		print_help(stdout);
	return RC_FINE;
}

const struct command cmd_help = {
    .c_name = "help",
    .c_synopsis = "[COMMAND]",
    .c_help = "this list, or how a command is used",
    .c_run = run_help,
    .c_nomount = true,
};

const struct command *const commands[] = {&cmd_cat, &cmd_cd, &cmd_chmod, &cmd_chown,
    &cmd_cp, &cmd_df, &cmd_du, &cmd_find, &cmd_help, &cmd_ln, &cmd_ls, &cmd_mkdir,
    &cmd_mv, &cmd_readlink, &cmd_rm, &cmd_rmdir, &cmd_stat, &cmd_sync, &cmd_touch,
    &cmd_tree, &cmd_truncate, &cmd_write, &cmd_xattr, NULL};

void
target_set(const char *arg)
{
	struct stat st;

	target.tg_name = xstrdup(arg);
	target.tg_image = xstrdup(arg);
	if (stat(arg, &st) == 0)
		return;
	/* Labels may have colons in them, too: the longest name of a file that is there. */
	for (size_t n = strlen(arg); n-- > 1;) {
		if (arg[n] != ':' || !arg[n + 1])
			continue;
		target.tg_image[n] = '\0';
		if (stat(target.tg_image, &st) == 0) {
			target.tg_partition = xstrdup(arg + n + 1);
			return;
		}
		target.tg_image[n] = ':';
	}
}

/* "ro" and "rw" are ours, "partition=" is kept apart for the table; the others go on. */
static void
take_options(const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);
	char *save = NULL;

	for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		if (strcmp(o, "ro") == 0) {
			target.tg_rdonly = true;
		} else if (strncmp(o, "partition=", 10) == 0) {
			free(target.tg_partition);
			target.tg_partition = xstrdup(o + 10);
		} else if (strcmp(o, "rw") != 0) {
			char *old = target.tg_options;
			target.tg_options = old ? xasprintf("%s,%s", old, o) : xstrdup(o);
			free(old);
		}
	}
}

/* Those before IMAGE.  -1: go on; else the exit code. */
static int
take_command_line(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {"type", required_argument, NULL, 't'},
	    {"options", required_argument, NULL, 'o'},
	    {"read-only", no_argument, NULL, 'r'},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+t:o:rhV", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			target.tg_type = optarg;
			break;
		case 'o':
			take_options(optarg);
			break;
		case 'r':
			target.tg_rdonly = true;
			break;
		case 'h':
			print_help(stdout);
			return RC_FINE;
		case 'V':
			printf("ukfs (rumpfuse) %s\n", RF_VERSION);
			return RC_FINE;
		default:
			return RC_USAGE;
		}
	}
	return -1;
}

int
tool_main(int argc, char **argv)
{
	int rc;

	rc = take_command_line(argc, argv);
	if (rc >= 0)
		return fflush(stdout) != 0 ? RC_SOME : rc;
	if (optind >= argc) {
		print_help(stderr);
		return RC_USAGE;
	}
	if (ukfs_init() < 0) {
		badf("the library is of another version: %s", strerror(errno));
		return RC_MOUNT;
	}
	AUTO_FREE char *part = target.tg_partition;
	target.tg_partition = NULL;
	target_set(argv[optind]);
	if (part && target.tg_partition) {
		badf("two partitions are named");
		return RC_USAGE;
	}
	if (part)
		target.tg_partition = xstrdup(part);
	argc -= optind + 1;
	argv += optind + 1;
	if (argc == 0)
		rc = table_show();
	else if (strcmp(argv[0], "-") == 0)
		rc = argc > 1 ? cmd_usage("help") : script_run();
	else
		rc = run_command(argc, argv);
	int end = tool_release();
	return rc ? rc : end;
}
