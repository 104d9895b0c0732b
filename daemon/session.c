/*
 * A session (session.h).
 */
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "daemon/asks.h"
#include "daemon/confine.h"
#include "daemon/fe_uring.h"
#include "daemon/fe_wire.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"
#include "daemon/mount_failure.h"
#include "daemon/mountpoint.h"
#include "daemon/options.h"
#include "daemon/remount.h"
#include "daemon/service.h"
#include "daemon/transport.h"
#include "vfs/trace.h"

#define DEVICE_WITHIN_S 5
#define THREADS_MIN     8
#define THREADS_MAX     64

/* libfuse's messages are ours.  Its levels are syslog's; a newline ends each. */
static void
from_libfuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[512];
	size_t n;

	vsnprintf(text, sizeof(text), fmt, ap);
	n = strlen(text);
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	log_msg((int)level, "%s", text);
}

static int
add_opt(char **opts, const char *text)
{
	return fuse_opt_add_opt_escaped(opts, text);
}

/* name=value, whatever characters value has. */
static int
add_value(char **opts, const char *name, const char *value)
{
	char *text = NULL;
	int r = asprintf(&text, "%s=%s", name, value) < 0 ? -1 : add_opt(opts, text);

	free(text);
	return r;
}

/*
 * The mount options for libfuse, allocated.  Set-id bits and device nodes are without
 * effect unless they are asked for: libfuse mounts nosuid and nodev for everybody, and only
 * root can have it otherwise.
 */
static char *
mount_options(const struct session *s)
{
	const struct options *o = s->s_opt;
	char *opts = NULL;
	int r = add_opt(&opts, "default_permissions");

	r |= add_value(&opts, "fsname", s->s_source);
	r |= add_value(&opts, "subtype", o->o_subtype ? o->o_subtype : "rumpfuse");
	if (o->o_rdonly || s->s_conf->c_rdonly)
		r |= add_opt(&opts, "ro");
	if (o->o_allow_other || s->s_conf->c_allow_other)
		r |= add_opt(&opts, "allow_other");
	if (geteuid() == 0 && s->s_conf->c_dev && !options_mount_has(o, "nodev"))
		r |= add_opt(&opts, "dev");
	if (geteuid() == 0 && s->s_conf->c_suid && !options_mount_has(o, "nosuid"))
		r |= add_opt(&opts, "suid");
	for (size_t i = 0; i < o->o_nmount; i++)
		r |= add_opt(&opts, o->o_mount[i]);
	if (r != 0) {
		free(opts);
		return NULL;
	}
	return opts;
}

/* Device nodes that nobody will be able to open. */
static void
tell_devices(const struct conf *c, const struct options *o)
{
	bool asked =
	    (c->c_dev && !options_mount_has(o, "nodev")) || options_mount_has(o, "dev");

	for (size_t i = 0; i < c->c_nnodes; i++) {
		const struct conf_node *n = &c->c_nodes[i];
		bool device = n->cn_type == 'b' ||
		              (n->cn_type == 'c' && (n->cn_major || n->cn_minor));

		if (n->cn_kind != CK_NODE || !device || (asked && geteuid() == 0))
			continue;
		log_msg(LOG_NOTICE, "%s:%u: [%s]: the device cannot be opened: %s",
		    n->cn_where.cw_file, n->cn_where.cw_line, n->cn_where.cw_section,
		    asked ? "only root's mounts have devices"
			  : "the mount is nodev (-o dev, or dev = yes in [daemon])");
	}
}

static struct fuse_session *
new_session(struct session *s)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	char *opts = mount_options(s);

	if (!opts || fuse_opt_add_arg(&args, "rumpfuse") != 0 ||
	    fuse_opt_add_arg(&args, "-o") != 0 || fuse_opt_add_arg(&args, opts) != 0)
		log_msg(LOG_ERR, "out of memory");
	else
		se = fuse_session_new(&args, &fe_wire_ops, sizeof(fe_wire_ops), &s->s_fe);
	fuse_opt_free_args(&args);
	free(opts);
	return se;
}

/* The kernel has said hello (called by a worker). */
static void
ready(void *arg)
{
	struct session *s = arg;

	transport_agreed(s);
	asks_agreed(s);
	readiness_start(s);
}

static unsigned
thread_count(const struct session *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (s->s_opt->o_single)
		return 1;
	if (s->s_opt->o_max_threads)
		return s->s_opt->o_max_threads;
	if (s->s_conf->c_threads)
		return s->s_conf->c_threads;
	/* Threads wait for the host's disks, so more of them than processors are of use.
	 */
	if (cpus < THREADS_MIN / 2)
		return THREADS_MIN;
	return cpus * 2 > THREADS_MAX ? THREADS_MAX : (unsigned)cpus * 2;
}

/* Serves until unmounted or told to stop.  0 or -errno. */
static int
loop(struct session *s)
{
	struct fuse_loop_config *cfg = fuse_loop_cfg_create();
	int r;

	if (!cfg)
		return -ENOMEM;
	/* One thread is a loop of several with one worker, so that ending is the same. */
	fuse_loop_cfg_set_max_threads(cfg, s->s_nthreads);
	fuse_loop_cfg_set_clone_fd(cfg, s->s_opt->o_clone_fd);
	r = fuse_session_loop_mt(s->s_se, cfg);
	fuse_loop_cfg_destroy(cfg);
	transport_end(s);
	return r > 0 ? 0 : r;
}

/* The connection to the kernel: cut, or its file system is gone. */
static bool
is_cut(const struct session *s)
{
	struct pollfd pfd = {.fd = fuse_session_fd(s->s_se)};

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLERR;
}

/* A file system that is gone gives its number away, and the next who mounts there, at once,
 * has it.  Ours, with a connection that was cut, would be dead. */
bool
session_is_mounted(const struct session *s)
{
	return mnttab_is(s->s_mountpoint, s->s_dev) &&
	       (!is_cut(s) || mnttab_dead_at(s->s_mountpoint));
}

/*
 * Takes the mount away if it is still there.  libfuse's own unmounting goes by the path and
 * could hit somebody else's mount there.  It is asked to clean up only when the connection
 * is dead, which it notices and leaves the path alone, or when the path has no mount.
 */
static void
unmount(struct session *s)
{
	struct mnttab_entry e;
	int r;

	/* What it writes to is closed here. */
	notify_stop(&s->s_notify);
	/* Where it has been moved, the closing of
	 * the session cuts it off. */
	if (session_is_mounted(s)) {
		mnttab_abort(s->s_dev);
		r = mnttab_unmount(s->s_mountpoint, true);
		if (r < 0)
			log_msg(LOG_ERR,
			    "%s: the mount cannot be taken away (%s), and is dead: umount it",
			    s->s_mountpoint, strerror(-r));
	}
	r = mnttab_at(s->s_mountpoint, &e);
	if (r == 0)
		mnttab_entry_done(&e);
	if (r == -ENOENT || is_cut(s))
		fuse_session_unmount(s->s_se);
}

/* The mount has been taken away. */
static void
end_notes(struct session *s)
{
	s->s_held = !notify_end(&s->s_notify);
	/* As long as the kernel holds a thread of ours it holds the mount, so that the number
	 * is ours; and what that thread writes to does not close. */
	if (s->s_held)
		mnttab_abort(s->s_dev);
}

/* Others may look at the mount point, and see what is there. */
static void
unlock_point(struct session *s)
{
	if (s->s_lock < 0)
		return;
	(void)flock(s->s_lock, LOCK_UN);
	close(s->s_lock);
	s->s_lock = -1;
}

/* A thread that the kernel or the host holds has the session; it is left to it.  What runs
 * at a proper exit could wait for it. */
static void __attribute__((noreturn)) end_without_thread(int code, const char *why)
{
	log_msg(LOG_WARNING, "%s: the process is gone when that ends", why);
	mnttab_helper_stop();
	fflush(NULL);
	_exit(code);
}

/* Where the mount is, now that it is there.  0 or -errno. */
static int
locate(struct session *s)
{
	struct mnttab_entry e;
	int r;

	if (s->s_given && s->s_dev == 0)
		return 0;
	r = mnttab_at(s->s_mountpoint, &e);
	if (r < 0)
		return r;
	s->s_dev = e.me_dev;
	mnttab_entry_done(&e);
	return etfs_mounted_at(s->s_space.sp_etfs, s->s_mountpoint);
}

/* What neither libfuse nor fusermount3(1) passes on: root can have it a moment later, before
 * anybody knows of the mount.  0 or -errno. */
static int
set_more_flags(const struct session *s)
{
	const unsigned long more = MS_STRICTATIME | MS_NODIRATIME | MS_LAZYTIME;
	const struct options *o = s->s_opt;
	struct mnttab_entry e;
	unsigned long flags;
	int r;

	if (!(o->o_set & more))
		return 0;
	if (!confine_can_unmount() || (s->s_given && s->s_dev == 0)) {
		log_msg(LOG_NOTICE,
		    "%s: strictatime, nodiratime and lazytime are ignored: only root's mounts "
		    "have them",
		    s->s_mountpoint);
		return 0;
	}
	r = mnttab_at(s->s_mountpoint, &e);
	if (r < 0)
		return r;
	flags = remount_flags(o, &e);
	mnttab_entry_done(&e);
	return mount(NULL, s->s_mountpoint, NULL, MS_REMOUNT | flags, NULL) < 0 ? -errno
	                                                                        : 0;
}

/* Mounted: everything from here to the unmounting.  An exit code. */
static int
serve(struct session *s)
{
	int r = locate(s), code = EXIT_OK;

	unlock_point(s);
	background_mounted(&s->s_bg);
	s->s_nkeys = s->s_conf->c_netfs;
	s->s_nimages = s->s_conf->c_nmounts;
	s->s_nthreads = thread_count(s);
	if (r == 0)
		r = set_more_flags(s);
	if (r == 0)
		asks_mounted(s);
	if (r == 0)
		r = control_open(s, &s->s_control);
	if (r == 0)
		transport_prepare(s);
	if (r == 0)
		confine(!s->s_conf->c_no_seccomp);
	if (r == 0)
		s->s_notify.nt_serving = s->s_nthreads;
	if (r == 0)
		r = notify_start(&s->s_notify, s->s_se);
	/* Threads have what confine() has left. */
	if (r == 0)
		etfs_watch(s->s_space.sp_etfs);
	if (r == 0)
		r = manager_start(&s->s_manager, s);
	if (r == 0)
		r = control_start(s->s_control);
	if (r == 0)
		transport_start(s);
	if (r == 0)
		r = signals_start(s);
	if (r < 0) {
		log_msg(LOG_ERR, "%s: %s", s->s_mountpoint, strerror(-r));
		transport_end(s);
		control_stop(s->s_control);
		s->s_stuck = !manager_stop(&s->s_manager);
		/* It has not been seen in the table; but a moment ago it was put there. */
		if (s->s_dev == 0 && !s->s_given)
			fuse_session_unmount(s->s_se);
		unmount(s);
		end_notes(s);
		return EXIT_MOUNT;
	}
	r = loop(s);
	signals_stop(s);
	service_stopping();
	control_stop(s->s_control);
	s->s_stuck = !manager_stop(&s->s_manager);
	if (r < 0) {
		log_msg(LOG_ERR, "serving %s: %s", s->s_mountpoint, strerror(-r));
		code = EXIT_RUN;
	} else if (!atomic_load(&s->s_stopping) && session_is_mounted(s)) {
		log_msg(LOG_ERR, "%s: the connection was aborted", s->s_mountpoint);
		code = EXIT_RUN;
	}
	unmount(s);
	end_notes(s);
	s->s_held |= !readiness_stop(s);
	return code;
}

/* At boot its node may come a little later than we do. */
static void
await_device(void)
{
	struct timespec pause = {.tv_nsec = 100000000};

	for (int i = 0; i < DEVICE_WITHIN_S * 10; i++) {
		if (access("/dev/fuse", F_OK) == 0)
			return;
		if (i == 0)
			log_msg(LOG_NOTICE, "/dev/fuse is not there: waiting for it");
		nanosleep(&pause, NULL);
	}
}

/* An exit code. */
static int
mount_and_serve(struct session *s)
{
	int code = EXIT_MOUNT, r;

	fuse_set_log_func(from_libfuse);
	s->s_se = new_session(s);
	if (!s->s_se)
		return EXIT_MOUNT;
	if (!s->s_given)
		await_device();
	signals_block();
	if (fuse_session_mount(s->s_se, s->s_given ? s->s_given : s->s_mountpoint) != 0)
		mount_failure(
		    s->s_mountpoint, s->s_opt->o_allow_other || s->s_conf->c_allow_other);
	else if ((r = fe_wire_start(s->s_se, s->s_fe.fe_dev = fuse_session_fd(s->s_se))) <
		 0)
		log_msg(LOG_ERR, "%s", strerror(-r));
	else
		code = serve(s);
	if (!s->s_held && !s->s_stuck) {
		fe_uring_free(s->s_uring);
		s->s_uring = NULL;
		fuse_session_destroy(s->s_se);
	}
	return code;
}

/* What is written here is other users', whose own limits the kernel has looked at. */
static void
lift_file_size(void)
{
	struct rlimit rl = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_FSIZE, &rl) == 0 || getrlimit(RLIMIT_FSIZE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_FSIZE, &rl);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The process that stays.  An exit code. */
static int
run(struct session *s)
{
	const struct options *o = s->s_opt;
	int code, r;

	signals_init();
	lift_file_size();
	umask(0);
	r = confine_can_unmount() || s->s_given ? 0
	                                        : mnttab_helper_start(s->s_mountpoint);
	if (r < 0) {
		log_msg(LOG_ERR, "fork: %s", strerror(-r));
		return EXIT_RUN;
	}
	if (!o->o_foreground && chdir("/") < 0) {
		log_msg(LOG_ERR, "/: %s", strerror(errno));
		return EXIT_RUN;
	}
	if (o->o_debug)
		trace_sink = log_trace;
	tell_devices(s->s_conf, o);
	code = space_new(
	    &s->s_space, s->s_conf, &(struct space_how){.sh_rdonly = o->o_rdonly});
	if (code)
		return code;
	notify_init(&s->s_notify, &s->s_space.sp_vfs);
	manager_init(&s->s_manager);
	catalog_place_init(&s->s_catalog);
	catalog_publish(&s->s_catalog, &s->s_space, s->s_conf);
	atomic_store(&s->s_rdonly, o->o_rdonly || s->s_conf->c_rdonly);
	s->s_began_ns = now_ns();
	s->s_slow_ns = s->s_conf->c_slow_ns;
	r = fe_init(&s->s_fe, &s->s_space.sp_vfs);
	if (r == 0) {
		s->s_fe.fe_live = space_is_live(&s->s_space);
		asks_init(s);
		s->s_fe.fe_forgot = notify_trim;
		s->s_fe.fe_forgot_arg = &s->s_notify;
		s->s_fe.fe_export = s->s_conf->c_export;
		s->s_fe.fe_ready = ready;
		s->s_fe.fe_ready_arg = s;
		code = mount_and_serve(s);
		if (s->s_stuck)
			end_without_thread(EXIT_RUN,
			    "a host path does not answer, and a reload or an image waits for it");
		control_free(s->s_control);
		asks_done(s);
		fe_done(&s->s_fe);
	} else {
		log_msg(LOG_ERR, "%s", strerror(-r));
		code = EXIT_RUN;
	}
	if (space_done(&s->s_space) < 0)
		code = EXIT_RUN;
	if (s->s_held)
		end_without_thread(code, "somebody who holds a directory holds a thread");
	notify_done(&s->s_notify);
	manager_done(&s->s_manager);
	catalog_place_done(&s->s_catalog);
	return code;
}

/* mount.fuse3(8) has mounted, and given up the right to.  0, or -1 after an error message. */
static int
take_given(struct session *s, const char *mountpoint, const char *fstype)
{
	const struct options *o = s->s_opt;
	bool others = o->o_allow_other || s->s_conf->c_allow_other;
	struct mnttab_entry e;

	if (others && !o->o_default_permissions) {
		/* The kernel would let everybody do everything. */
		log_msg(LOG_ERR,
		    "allow_other with drop_privileges: the options need default_permissions "
		    "too, because who mounts is not rumpfuse");
		return -1;
	}
	s->s_given = mountpoint;
	if (mnttab_of_device(mnttab_given_fd(mountpoint), fstype, &s->s_mountpoint, &e) ==
	    0) {
		s->s_dev = e.me_dev;
		mnttab_entry_done(&e);
		return 0;
	}
	s->s_mountpoint = strdup(mountpoint);
	return s->s_mountpoint ? 0 : -1;
}

static int
prepare_and_run(struct session *s)
{
	const struct options *o = s->s_opt;
	const char *mountpoint =
	    o->o_mountpoint ? o->o_mountpoint : s->s_conf->c_mountpoint;
	char fstype[256];
	int code;

	if (!mountpoint) {
		log_msg(LOG_ERR,
		    "no mount point: neither on the command line nor in [daemon]");
		return EXIT_USAGE;
	}
	snprintf(
	    fstype, sizeof(fstype), "fuse.%s", o->o_subtype ? o->o_subtype : "rumpfuse");
	if (mnttab_given_fd(mountpoint) >= 0)
		code = take_given(s, mountpoint, fstype);
	else
		code = mountpoint_prepare(
		    mountpoint, s->s_source, fstype, &s->s_mountpoint, &s->s_lock);
	if (code < 0)
		return EXIT_MOUNT;
	if (!o->o_foreground) {
		code = background_enter(&s->s_bg);
		if (code < 0)
			return EXIT_RUN;
		if (s->s_bg.bg_parent)
			return code;
		s->s_forked = true;
	}
	code = run(s);
	mnttab_helper_stop();
	return code;
}

int
session_run(const struct options *o)
{
	struct session s = {
	    .s_opt = o,
	    .s_source = options_source(o),
	    .s_bg = {.bg_fd = -1},
	    .s_lock = -1,
	};
	int code;

	/* Who reads our messages may be gone. */
	signal(SIGPIPE, SIG_IGN);
	s.s_conf = apply_load(o, o->o_config ? o->o_source : NULL, NULL);
	if (!s.s_conf)
		return EXIT_CONFIG;
	code = prepare_and_run(&s);
	if (s.s_bg.bg_fd >= 0)
		close(s.s_bg.bg_fd);
	if (s.s_lock >= 0)
		close(s.s_lock); /* the child's, if this is the parent */
	free(s.s_mountpoint);
	conf_free(s.s_conf);
	return code;
}

int
session_check(const struct options *o)
{
	struct conf *c = apply_load(o, o->o_config ? o->o_source : NULL, NULL);
	struct space_how how = {.sh_rdonly = o->o_rdonly, .sh_check = true};
	struct space sp;
	int code;

	if (!c)
		return EXIT_CONFIG;
	code = space_new(&sp, c, &how);
	if (code == 0) {
		if (!o->o_quiet)
			space_print(&sp, c);
		space_done(&sp);
		tell_devices(c, o);
	}
	conf_free(c);
	return code;
}
