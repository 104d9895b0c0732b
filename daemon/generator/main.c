/*
 * rumpfuse-generator: called by systemd with three directories (systemd.generator(7)), of
 * which the first takes the drop-ins.
 *
 * $SYSTEMD_SCOPE says whose manager calls; without it the directory of the program does.
 * $SYSTEMD_FSTAB is another file than /etc/fstab, $RUMPFUSE_CONFIG_DIR another directory of
 * configurations: for tests.
 *
 * With --check it shows a person what it would write, and what it has to say.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/generator/generator.h"

/* The kernel's log, for at boot there is nobody else to keep what is said; in a container, which
 * has none, the journal's, once that runs; or stderr. */
static int log_fd = -1;

/* Something was said. */
static bool complained;

static void
log_open(void)
{
	const struct sockaddr_un journal = {
	    .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/dev-log"};

	log_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (log_fd >= 0)
		return;
	log_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log_fd >= 0 && connect(log_fd, (const void *)&journal, sizeof(journal)) < 0) {
		close(log_fd);
		log_fd = -1;
	}
}

/* By a manager, and not by hand. */
static bool
is_called_by_systemd(void)
{
	const char *pid = getenv("SYSTEMD_EXEC_PID");

	return pid && atoi(pid) == (int)getpid();
}

void
gen_log(int prio, const char *fmt, ...)
{
	g_autofree char *text = NULL, *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	complained |= prio <= LOG_WARNING;
	line = g_strdup_printf(
	    "<%d>rumpfuse-generator[%d]: %s\n", LOG_DAEMON | prio, (int)getpid(), text);
	if (log_fd < 0 || write(log_fd, line, strlen(line)) < 0)
		fprintf(stderr, "rumpfuse-generator: %s\n", text);
}

static bool
is_of_user(const char *program)
{
	const char *scope = getenv("SYSTEMD_SCOPE");

	return scope ? strcmp(scope, "user") == 0
	             : strstr(program, "/user-generators/") != NULL;
}

/* The configurations that rumpfuse@.service can mount: those whose name can be an instance. */
static void
add_services(struct plan *pn, const char *dir)
{
	struct dirent *de;
	DIR *dp = opendir(dir);

	while (dp && (de = readdir(dp))) {
		g_autofree char *name = NULL, *config = NULL;
		struct place *pl;

		if (de->d_name[0] == '.' || de->d_type == DT_DIR ||
		    !g_str_has_suffix(de->d_name, ".conf"))
			continue;
		name = g_strndup(de->d_name, strlen(de->d_name) - strlen(".conf"));
		if (!gen_is_instance(name))
			continue;
		config = g_strdup_printf("%s/%s", dir, de->d_name);
		pl = gen_place_new(
		    pn, g_strdup_printf("rumpfuse@%s.service", name), config);
		pl->pl_service = true;
	}
	if (dp)
		closedir(dp);
}

static int
by_unit(const void *a, const void *b)
{
	const struct place *const *x = a, *const *y = b;

	return strcmp((*x)->pl_unit, (*y)->pl_unit);
}

/* Those with errors go. */
static void
read_places(struct plan *pn)
{
	guint kept = 0;

	/* Whatever order a directory is read in, the same drop-ins. */
	g_ptr_array_sort(pn->pn_places, by_unit);
	for (guint i = 0; i < pn->pn_places->len; i++)
		if (gen_needs(pn->pn_places->pdata[i]))
			pn->pn_places->pdata[kept++] = pn->pn_places->pdata[i];
	g_ptr_array_set_size(pn->pn_places, (int)kept);
}

/* The links of those who enabled something, of whom it may be. */
static void
read_enabled(struct plan *pn, bool user, const char *home)
{
	static const char *const dirs[] = {"/etc/systemd/system", "/run/systemd/system"};
	g_autofree char *own = NULL;

	if (!user) {
		for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++)
			gen_enabled(pn, dirs[i]);
		return;
	}
	gen_enabled(pn, "/etc/systemd/user");
	if (home && home[0] == '/') {
		own = g_strconcat(home, "/.config/systemd/user", NULL);
		gen_enabled(pn, own);
	}
}

/* Instead of writing them: on stdout.  What there is to say goes to stderr. */
static int
show(const struct plan *pn)
{
	for (guint i = 0; i < pn->pn_places->len; i++) {
		const struct place *pl = pn->pn_places->pdata[i];
		g_autofree char *text = gen_drop_in_text(pl);

		printf("%s# %s.d/50-rumpfuse.conf\n%s", i ? "\n" : "", pl->pl_unit, text);
	}
	return fflush(stdout) != 0 || complained;
}

int
main(int argc, char **argv)
{
	bool check = argc == 2 && strcmp(argv[1], "--check") == 0;
	bool user = is_of_user(argv[0]);
	const char *test_dir = getenv("RUMPFUSE_CONFIG_DIR");
	const char *fstab = getenv("SYSTEMD_FSTAB"), *home = getenv("HOME");
	g_autofree char *dir = NULL;
	struct plan pn = {
	    .pn_places = g_ptr_array_new(),
	    .pn_at = g_hash_table_new(g_str_hash, g_str_equal),
	    .pn_remote = g_hash_table_new(g_str_hash, g_str_equal),
	};

	if (argc != 2 && argc != 4) {
		fprintf(stderr,
		    "usage: rumpfuse-generator NORMAL-DIR [EARLY-DIR LATE-DIR]\n"
		    "       rumpfuse-generator --check\n");
		return 1;
	}
	umask(022);
	if (test_dir)
		dir = g_strdup(test_dir);
	else if (!user)
		dir = g_strdup("/etc/rumpfuse");
	else if (home && home[0] == '/')
		dir = g_strconcat(home, "/.config/rumpfuse", NULL);
	if (!check && !user && is_called_by_systemd())
		log_open();
	if (dir)
		add_services(&pn, dir);
	if (!user)
		gen_fstab(&pn, fstab ? fstab : "/etc/fstab");
	read_places(&pn);
	read_enabled(&pn, user, home);
	gen_order(&pn);
	if (check)
		return show(&pn);
	for (guint i = 0; i < pn.pn_places->len; i++)
		gen_drop_in(pn.pn_places->pdata[i], argv[1]);
	return 0;
}
