/*
 * The command line (options.h).
 *
 * The list of -o comes from people, from fstab through mount(8), and from systemd; words
 * that are theirs (nofail, _netdev, x-…) are skipped.  A word that is nobody's is an
 * error that names it: a misspelt "ro" must not give a writable mount.
 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/images.h"
#include "daemon/log.h"

#ifndef RF_VERSION
#define RF_VERSION "0.1.0"
#endif

enum {
	OPT_CHECK = 256,
	OPT_DIFF,
	OPT_TYPES,
	OPT_CLONE_FD,
};

static const struct option long_options[] = {
    {"foreground", no_argument, NULL, 'f'},
    {"debug", no_argument, NULL, 'd'},
    {"single", no_argument, NULL, 's'},
    {"option", required_argument, NULL, 'o'},
    {"key", required_argument, NULL, 'k'},
    {"check", no_argument, NULL, OPT_CHECK},
    {"diff", no_argument, NULL, OPT_DIFF},
    {"types", no_argument, NULL, OPT_TYPES},
    {"clone-fd", no_argument, NULL, OPT_CLONE_FD},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static const char usage_text[] =
    "usage: rumpfuse [options] CONFIG [MOUNTPOINT]\n"
    "       rumpfuse [options] -k KEY=HOST[,name=value...] ... [CONFIG|none] MOUNTPOINT\n"
    "       rumpfuse --check CONFIG\n"
    "       rumpfuse --check --diff OLD NEW\n"
    "\n"
    "Mounts what CONFIG declares; \"none\" is an empty in-memory tree.\n"
    "\n"
    "  -k, --key KEY=HOST[,...]  add a key: a host file or directory in the mount\n"
    "  -o, --option OPT[,OPT]    mount options: ro, allow_other, max_threads=N, noatime,\n"
    "                            nosuid, nodev, noexec, fsname=, subtype=\n"
    "  -f, --foreground          do not detach\n"
    "  -d, --debug               print each operation (implies -f)\n"
    "  -s, --single              serve with one thread\n"
    "      --clone-fd            one device descriptor for each thread\n"
    "      --check               validate CONFIG and print the table of keys\n"
    "      --diff                with --check: print what a reload from OLD to NEW does\n"
    "      --types               list the file system types\n"
    "  -h, --help                this text\n"
    "  -V, --version             the version\n";

static enum options_next
bad(const char *what, const char *arg)
{
	log_msg(LOG_ERR, "%s%s%s (try rumpfuse --help)", what, arg ? ": " : "",
	    arg ? arg : "");
	return OPTIONS_BAD;
}

bool
options_mount_has(const struct options *o, const char *word)
{
	for (size_t i = 0; i < o->o_nmount; i++)
		if (strcmp(o->o_mount[i], word) == 0)
			return true;
	return false;
}

/* Words for the mount itself, each with its opposite. */
static const char *const mount_words[][2] = {
    {"atime", "noatime"},
    {"suid", "nosuid"},
    {"dev", "nodev"},
    {"exec", "noexec"},
    {"async", "sync"},
    {"dirsync", ""},
};

static bool
take_mount_word(struct options *o, const char *word)
{
	for (size_t i = 0; i < sizeof(mount_words) / sizeof(mount_words[0]); i++) {
		const char *const *pair = mount_words[i];
		int which = strcmp(word, pair[0]) == 0 ? 0 : 1;

		if (strcmp(word, pair[which]) != 0)
			continue;
		for (size_t k = 0; k < o->o_nmount; k++) {
			if (o->o_mount[k] == pair[0] || o->o_mount[k] == pair[1]) {
				o->o_mount[k] = pair[which];
				return true;
			}
		}
		o->o_mount[o->o_nmount++] = pair[which]; /* at most one of each pair */
		return true;
	}
	return false;
}

/* Words of mount(8), fstab and systemd that say nothing to us. */
static bool
is_foreign_word(const char *word)
{
	static const char *const words[] = {"nofail", "_netdev", "auto", "noauto", "user",
	    "nouser", "users", "owner", "group", "defaults", "relatime", "norelatime",
	    "strictatime", "nostrictatime", "nodiratime", "diratime", "lazytime",
	    "nolazytime", "silent", "loud", "rw", "default_permissions"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return strncmp(word, "x-", 2) == 0 || strncmp(word, "X-", 2) == 0 ||
	       strncmp(word, "user=", 5) == 0 || strncmp(word, "comment=", 8) == 0;
}

static bool
replace_text(char **p, const char *text)
{
	free(*p);
	*p = strdup(text);
	return *p != NULL;
}

static bool
parse_threads(const char *text, unsigned *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || n < 1 || n > 1024 || text[0] == '-')
		return false;
	*ret = (unsigned)n;
	return true;
}

static enum options_next
take_word(struct options *o, const char *word)
{
	static const char *const loops[] = {"loop", "offset", "sizelimit"};

	if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0) {
		/* mount(8) adds rw of its own accord: it takes an ro on the same line
		 * back, not the configuration's. */
		o->o_rdonly = word[1] == 'o';
		return OPTIONS_RUN;
	}
	if (strcmp(word, "allow_other") == 0) {
		o->o_allow_other = true;
		return OPTIONS_RUN;
	}
	if (strcmp(word, "clone_fd") == 0) {
		o->o_clone_fd = true;
		return OPTIONS_RUN;
	}
	if (strncmp(word, "fsname=", 7) == 0)
		return replace_text(&o->o_fsname, word + 7) ? OPTIONS_RUN
		                                            : bad("out of memory", NULL);
	if (strncmp(word, "subtype=", 8) == 0)
		return replace_text(&o->o_subtype, word + 8) ? OPTIONS_RUN
		                                             : bad("out of memory", NULL);
	if (strncmp(word, "max_threads=", 12) == 0)
		return parse_threads(word + 12, &o->o_max_threads)
		           ? OPTIONS_RUN
		           : bad("max_threads must be a number from 1 to 1024",
				 word + 12);
	if (take_mount_word(o, word) || is_foreign_word(word) || !*word)
		return OPTIONS_RUN;
	if (strcmp(word, "remount") == 0)
		return bad("-o remount is not supported: unmount, and mount again", NULL);
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		size_t n = strlen(loops[i]);

		if (strncmp(word, loops[i], n) == 0 && (!word[n] || word[n] == '='))
			return bad(
			    "this is an option of mount(8) for loop devices; a range "
			    "of a file is a key with begin and size",
			    word);
	}
	return bad("unknown mount option", word);
}

/* A list of -o: words between commas; a backslash takes the next character as it is. */
static enum options_next
take_words(struct options *o, const char *list)
{
	char *word = malloc(strlen(list) + 1);
	enum options_next next = OPTIONS_RUN;
	const char *p = list;

	if (!word)
		return bad("out of memory", NULL);
	while (next == OPTIONS_RUN && *p) {
		size_t n = 0;

		for (; *p && *p != ','; p++) {
			if (*p == '\\' && p[1])
				p++;
			word[n++] = *p;
		}
		word[n] = '\0';
		if (*p)
			p++;
		next = take_word(o, word);
	}
	free(word);
	return next;
}

/* cwd/path, allocated; special characters of cwd escaped by a backslash. */
static char *
beneath(const char *cwd, const char *path, const char *special)
{
	char *out = malloc(2 * strlen(cwd) + strlen(path) + 2);
	size_t n = 0;

	if (!out)
		return NULL;
	for (const char *p = cwd; *p; p++) {
		if (strchr(special, *p))
			out[n++] = '\\';
		out[n++] = *p;
	}
	if (n == 0 || out[n - 1] != '/')
		out[n++] = '/';
	strcpy(out + n, path);
	return out;
}

/* KEY=HOST,… with HOST made absolute, allocated.  A text of another form is left for the
 * configuration's parser to complain about. */
static char *
absolute_key(const char *text, const char *cwd)
{
	const char *host = strchr(text, '=');
	char *tail, *out = NULL;

	if (!host || host[1] == '/' || host[1] == '\0' || host[1] == ',')
		return strdup(text);
	tail = beneath(cwd, host + 1, ",\\");
	if (!tail || asprintf(&out, "%.*s%s", (int)(host + 1 - text), text, tail) < 0)
		out = NULL;
	free(tail);
	return out;
}

static enum options_next
make_absolute(struct options *o)
{
	char *cwd = getcwd(NULL, 0);
	bool ok = true;

	if (!cwd)
		return bad("the working directory cannot be named", strerror(errno));
	if (o->o_source && strcmp(o->o_source, "none") != 0) {
		o->o_config = o->o_source[0] == '/' ? strdup(o->o_source)
		                                    : beneath(cwd, o->o_source, "");
		ok = o->o_config != NULL;
	} else {
		o->o_source = "none";
	}
	for (size_t i = 0; ok && i < o->o_nkeys; i++) {
		o->o_keys[i] = absolute_key(o->o_keys[i], cwd);
		ok = o->o_keys[i] != NULL;
		o->o_nowned = i + 1;
	}
	free(cwd);
	return ok ? OPTIONS_RUN : bad("out of memory", NULL);
}

static enum options_next
take_arguments(struct options *o, int n, char **args)
{
	if (n > 2)
		return bad("too many arguments", args[2]);
	if (o->o_want_diff) {
		if (!o->o_check || n != 2)
			return bad(
			    "--diff needs --check and two configuration files", NULL);
		o->o_diff = args[0];
		o->o_source = args[1];
		return make_absolute(o);
	}
	if (n == 2) {
		o->o_source = args[0];
		o->o_mountpoint = args[1];
	} else if (n == 1 && (o->o_nkeys == 0 || o->o_check)) {
		o->o_source = args[0];
	} else if (n == 1) {
		o->o_mountpoint = args[0];
	} else if (!o->o_check || o->o_nkeys == 0) {
		return bad("a configuration file and a mount point are needed", NULL);
	}
	if (o->o_check && o->o_mountpoint)
		return bad("--check takes no mount point", o->o_mountpoint);
	if (o->o_source && !*o->o_source)
		return bad("the name of the configuration file is empty", NULL);
	if (o->o_mountpoint && !*o->o_mountpoint)
		return bad("the name of the mount point is empty", NULL);
	if (o->o_source && strcmp(o->o_source, "none") == 0 && !o->o_mountpoint &&
	    !o->o_check)
		return bad("\"none\" needs a mount point", NULL);
	return make_absolute(o);
}

/* One option of getopt's; OPTIONS_RUN: read on. */
static enum options_next
take_option(struct options *o, int c)
{
	switch (c) {
	case 'f':
		o->o_foreground = true;
		break;
	case 'd':
		o->o_debug = true;
		o->o_foreground = true;
		break;
	case 's':
		o->o_single = true;
		break;
	case 'o':
		return take_words(o, optarg);
	case 'k':
		o->o_keys[o->o_nkeys++] = optarg;
		break;
	case OPT_CHECK:
		o->o_check = true;
		break;
	case OPT_DIFF:
		o->o_want_diff = true;
		break;
	case OPT_CLONE_FD:
		o->o_clone_fd = true;
		break;
	case OPT_TYPES:
		images_print_types();
		return OPTIONS_DONE;
	case 'h':
		fputs(usage_text, stdout);
		return OPTIONS_DONE;
	case 'V':
		puts("rumpfuse " RF_VERSION);
		return OPTIONS_DONE;
	default: /* getopt has said why */
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}

enum options_next
options_parse(struct options *o, int argc, char **argv)
{
	enum options_next next = OPTIONS_RUN;
	int c;

	memset(o, 0, sizeof(*o));
	/* There cannot be more -k than arguments. */
	o->o_keys = calloc((size_t)argc + 1, sizeof(*o->o_keys));
	if (!o->o_keys)
		return bad("out of memory", NULL);
	optind = 1;
	while (next == OPTIONS_RUN &&
	       (c = getopt_long(argc, argv, "fdso:k:hV", long_options, NULL)) != -1)
		next = take_option(o, c);
	if (next == OPTIONS_RUN)
		next = take_arguments(o, argc - optind, argv + optind);
	return next;
}

void
options_done(struct options *o)
{
	for (size_t i = 0; i < o->o_nowned; i++)
		free(o->o_keys[i]);
	free(o->o_keys);
	free(o->o_config);
	free(o->o_fsname);
	free(o->o_subtype);
	memset(o, 0, sizeof(*o));
}
