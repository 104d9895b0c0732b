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
#include <sys/mount.h>
#include <unistd.h>

#include "daemon/images.h"
#include "daemon/log.h"

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
    "                            nosuid, nodev, noexec, fsname=, subtype=, transport=\n"
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

const char *
options_source(const struct options *o)
{
	if (o->o_fsname)
		return o->o_fsname;
	return o->o_config ? o->o_config : o->o_source;
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

/* What a word means to mount(2), for a remount. */
static void
note_flag(struct options *o, const char *word)
{
	static const struct {
		const char *word;
		unsigned long set, clear;
	} words[] = {
	    {"ro", MS_RDONLY, 0},
	    {"rw", 0, MS_RDONLY},
	    {"nosuid", MS_NOSUID, 0},
	    {"suid", 0, MS_NOSUID},
	    {"nodev", MS_NODEV, 0},
	    {"dev", 0, MS_NODEV},
	    {"noexec", MS_NOEXEC, 0},
	    {"exec", 0, MS_NOEXEC},
	    {"sync", MS_SYNCHRONOUS, 0},
	    {"async", 0, MS_SYNCHRONOUS},
	    {"dirsync", MS_DIRSYNC, 0},
	    {"noatime", MS_NOATIME, MS_RELATIME | MS_STRICTATIME},
	    {"atime", 0, MS_NOATIME},
	    {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME},
	    {"norelatime", 0, MS_RELATIME},
	    {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME},
	    {"nodiratime", MS_NODIRATIME, 0},
	    {"diratime", 0, MS_NODIRATIME},
	    {"lazytime", MS_LAZYTIME, 0},
	    {"nolazytime", 0, MS_LAZYTIME},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		o->o_set = (o->o_set & ~words[i].clear) | words[i].set;
		o->o_clear = (o->o_clear & ~words[i].set) | words[i].clear;
	}
}

/* What the kernel shows of a mount of ours, and mount(8) gives back on a remount. */
static bool
is_shown_word(const char *word)
{
	static const char *const begins[] = {
	    "user_id=", "group_id=", "rootmode=", "max_read=", "blksize=", "fd="};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(word, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Options of mount.fuse3(8), which a helper that is asked instead of it must not pass over. */
static bool
is_fuse3_word(const char *word)
{
	return strcmp(word, "drop_privileges") == 0 || strncmp(word, "setuid=", 7) == 0;
}

/* Words of mount(8), fstab and systemd that say nothing to us. */
static bool
is_foreign_word(const char *word)
{
	static const char *const words[] = {"nofail", "_netdev", "auto", "noauto", "user",
	    "nouser", "users", "owner", "group", "defaults", "relatime", "norelatime",
	    "strictatime", "nostrictatime", "nodiratime", "diratime", "lazytime",
	    "nolazytime", "silent", "loud"};

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

/* A word that nobody knows. */
static enum options_next
unknown_word(const struct options *o, const char *word)
{
	static const char *const loops[] = {"loop", "offset", "sizelimit"};

	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		size_t n = strlen(loops[i]);

		if (strncmp(word, loops[i], n) == 0 && (!word[n] || word[n] == '='))
			return bad(
			    "this is an option of mount(8) for loop devices; a range "
			    "of a file is a key with begin and size",
			    word);
	}
	if (is_fuse3_word(word))
		return bad("this is an option of mount.fuse3(8): the type that knows it "
			   "is fuse.rumpfuse",
		    word);
	return o->o_sloppy ? OPTIONS_RUN : bad("unknown mount option", word);
}

static enum options_next
take_transport(struct options *o, const char *word)
{
	static const char *const names[] = {
	    [CTR_AUTO] = "auto", [CTR_DEVICE] = "device", [CTR_URING] = "io-uring"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(word, names[i]) != 0)
			continue;
		o->o_transport_given = true;
		o->o_transport = (enum conf_transport)i;
		return OPTIONS_RUN;
	}
	return bad("transport must be auto, device or io-uring", word);
}

static enum options_next
take_word(struct options *o, const char *word)
{
	note_flag(o, word);
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
	if (strcmp(word, "default_permissions") == 0) {
		o->o_default_permissions = true;
		return OPTIONS_RUN;
	}
	if (strcmp(word, "remount") == 0)
		return OPTIONS_RUN; /* has_word() has seen it */
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
	if (strncmp(word, "transport=", 10) == 0)
		return take_transport(o, word + 10);
	if (take_mount_word(o, word) || is_foreign_word(word) || !*word)
		return OPTIONS_RUN;
	if (o->o_remount && is_shown_word(word))
		return OPTIONS_RUN;
	return unknown_word(o, word);
}

static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
	return false;
}

/* A list of -o: words between commas; a backslash takes the next character as it is. */
enum options_next
options_words(struct options *o, const char *list)
{
	char *word = malloc(strlen(list) + 1);
	enum options_next next = OPTIONS_RUN;
	const char *p = list;

	if (!word)
		return bad("out of memory", NULL);
	o->o_remount |= has_word(list, "remount");
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

/* Is there a name that the working directory is needed for? */
static bool
is_relative(const struct options *o)
{
	bool yes =
	    o->o_source && strcmp(o->o_source, "none") != 0 && o->o_source[0] != '/';

	for (size_t i = 0; i < o->o_nkeys; i++) {
		const char *host = strchr(o->o_keys[i], '=');

		yes |= host && host[1] != '/';
	}
	return yes;
}

/* ./NAME is NAME. */
static const char *
without_dot(const char *path)
{
	while (path[0] == '.' && path[1] == '/' && path[2] && path[2] != '/')
		path += 2;
	return path;
}

static enum options_next
make_absolute(struct options *o)
{
	char *cwd = NULL;
	bool ok = true;

	/* It may be gone, which is none of our business if nothing is relative to it. */
	if (is_relative(o) && !(cwd = getcwd(NULL, 0)))
		return bad("the working directory cannot be named", strerror(errno));
	if (o->o_source && strcmp(o->o_source, "none") != 0) {
		o->o_config = o->o_source[0] == '/'
		                  ? strdup(o->o_source)
		                  : beneath(cwd, without_dot(o->o_source), "");
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

enum options_next
options_arguments(struct options *o, int n, char **args)
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
		return options_words(o, optarg);
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
		next = options_arguments(o, argc - optind, argv + optind);
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
