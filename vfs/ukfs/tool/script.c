/*
 * Commands from standard input: one in a line, words as in a shell without its expansions:
 * 'as it is', "with \" and \\", \x; # begins a comment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vfs/ukfs/tool/tool.h"

/* Cuts the word at *s off, in place: it and what is behind it.  NULL: the quote is open. */
static char *
one_word(char **s)
{
	char *in = *s, *out = in, *word = in, quote = 0;

	for (; *in && (quote || !strchr(" \t\r\n", *in)); in++) {
		if (quote != '\'' && *in == '\\' && in[1] &&
		    (!quote || in[1] == '"' || in[1] == '\\'))
			*out++ = *++in;
		else if (quote ? *in == quote : *in == '\'' || *in == '"')
			quote = quote ? 0 : *in;
		else
			*out++ = *in;
	}
	if (quote)
		return NULL;
	*s = *in ? in + 1 : in;
	*out = '\0';
	return word;
}

int
script_split(char *line, char ***ret_argv)
{
	char **argv = xmalloc(sizeof(*argv));
	int n = 0;

	for (;;) {
		line += strspn(line, " \t\r\n");
		if (!*line || *line == '#')
			break;
		argv = xrealloc(argv, ((size_t)n + 2) * sizeof(*argv));
		argv[n] = one_word(&line);
		if (!argv[n]) {
			free(argv);
			return -EINVAL;
		}
		n++;
	}
	argv[n] = NULL;
	*ret_argv = argv;
	return n;
}

static int
run_line(char *line, unsigned long number)
{
	AUTO_FREE char **argv = NULL;
	int n = script_split(line, &argv);

	if (n < 0)
		return badf("line %lu: a quote is not closed", number);
	return n ? run_command(n, argv) : RC_FINE;
}

int
script_run(void)
{
	AUTO_FREE char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = RC_FINE;
	bool ask = isatty(STDIN_FILENO);

	for (unsigned long number = 1; !tool_interrupted(); number++) {
		if (ask)
			fputs("ukfs> ", stderr);
		n = getline(&line, &room, stdin);
		if (n < 0)
			break;
		if (strlen(line) != (size_t)n) {
			rc = badf("line %lu: it has a NUL in it", number);
			continue;
		}
		int r = run_line(line, number);
		if (r == RC_MOUNT)
			return r;
		/* That a command was misused is for the user to see, and a failure. */
		if (r != RC_FINE)
			rc = RC_SOME;
	}
	return rc;
}
