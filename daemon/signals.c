/*
 * The signal thread: TERM and INT end the session, HUP has the manager reload, USR1 logs
 * statistics.
 *
 * All of them are blocked everywhere and taken here by sigwait(), so no code runs in a
 * signal handler, and what they ask for may wait for requests, because this thread serves
 * none.
 *
 * Ending.  libfuse's loop notices fuse_session_exit() only when its main thread wakes up,
 * and its workers sit in read(2).  SIGUSR2, which has an empty handler, wakes the main
 * thread; it is sent until the loop has been left, because one that comes just before the
 * wait wakes nobody.  The main thread then cancels the workers, which allow that only
 * while they read: a request that has been read is answered first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/changes.h"
#include "daemon/fe_stats.h"
#include "daemon/log.h"
#include "daemon/mnttab.h"
#include "daemon/options.h"
#include "daemon/reload.h"
#include "daemon/service.h"
#include "daemon/session.h"
#include "vfs/rumpfs.h"

/* After a clean unmount the loop ends by itself; this long it is waited for. */
#define UNMOUNTED_WAIT_MS 1000
/* Somebody who never stops writing must not keep us. */
#define SYNC_WAIT_MS  2000
#define SYNC_ROUND_MS 10
/* A host that has not answered for so long while the end waits is taken for one that does not. */
#define STUCK_MS      5000
#define KICK_EVERY_MS 5

static void
our_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

static void
wake_up(int sig)
{
	(void)sig;
}

void
signals_block(void)
{
	sigset_t set;

	our_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void
signals_init(void)
{
	struct sigaction sa = {.sa_handler = wake_up};
	sigset_t set;

	/* Who started us may have had them blocked. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGUSR2, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	/* A write over the limit of file sizes then fails with EFBIG. */
	sigaction(SIGXFSZ, &sa, NULL);
}

static void
sleep_ms(long ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

static long
ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long)(now.tv_sec - then->tv_sec) * 1000 +
	       (now.tv_nsec - then->tv_nsec) / 1000000;
}

static uint64_t
writes(struct session *s)
{
	return fe_count(&s->s_fe, FE_WRITE);
}

/*
 * Has pages that were dirtied through mappings written while requests are still served.
 * The kernel does not wait for a FUSE server's writes in syncfs(2); that they have come is
 * seen by a round in which there are none.  A statfs goes through the same queue as they.
 */
static void *
sync_mount(void *arg)
{
	struct session *s = arg;
	uint64_t before;
	int fd, err = 0;

	pthread_setname_np(pthread_self(), "rumpfuse-sync");
	mnttab_ask_alone();
	fd = open(s->s_mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int ms = 0; fd >= 0 && ms < SYNC_WAIT_MS; ms += SYNC_ROUND_MS) {
		struct statvfs sv;

		before = writes(s);
		if (syncfs(fd) < 0 || fstatvfs(fd, &sv) < 0) {
			err = errno;
			break;
		}
		sleep_ms(SYNC_ROUND_MS);
		if (writes(s) == before)
			break;
	}
	if (fd >= 0)
		close(fd);
	return (void *)(intptr_t)err;
}

/* Requests that have been taken from the kernel. */
static uint64_t
requests(struct session *s)
{
	uint64_t n = 0;

	for (int op = 0; op < FE_NOPS; op++)
		n += fe_count(&s->s_fe, (enum fe_op)op);
	return n;
}

/* False: nothing has moved for STUCK_MS, and the thread that asks waits on. */
static bool
sync_within(struct session *s)
{
	uint64_t before = requests(s), now;
	struct timespec until;
	void *err = NULL;
	pthread_t t;

	if (pthread_create(&t, NULL, sync_mount, s) != 0)
		return true;
	for (;;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STUCK_MS / 1000;
		if (pthread_timedjoin_np(t, &err, &until) == 0)
			break;
		now = requests(s);
		if (now == before)
			return false;
		before = now;
	}
	if (err)
		log_msg(LOG_WARNING, "%s: sync: %s", s->s_mountpoint,
		    strerror((int)(intptr_t)err));
	return true;
}

/* Requests wait for a host that does not answer, and the threads that serve them do not come
 * back.  Who waits for them is let go, and the process ends around them. */
static void __attribute__((noreturn)) give_up(struct session *s)
{
	log_msg(LOG_ERR,
	    "%s: a host path does not answer, and requests wait for it: they are cut off",
	    s->s_mountpoint);
	if (session_is_mounted(s)) {
		mnttab_abort(s->s_dev);
		(void)mnttab_unmount(s->s_mountpoint, true);
	}
	control_unlink(s->s_control);
	mnttab_helper_stop();
	_exit(EXIT_RUN);
}

static void
tell_users(struct session *s)
{
	unsigned n = slots_count(&s->s_space.sp_vfs.vfs_files);

	/* Without opens nobody knows how many there are. */
	if (atomic_load(&s->s_space.sp_unopened)) {
		log_msg(LOG_NOTICE, "%s is in use: it is taken away from who uses it",
		    s->s_mountpoint);
		return;
	}
	log_msg(LOG_NOTICE,
	    "%s is in use (open files: %u): it is taken away from who uses it",
	    s->s_mountpoint, n);
}

/* The last notes are sent while requests are served, for the kernel may need an answer
 * before it can take one, and for no longer than a moment.  Then: unmount, or, if the mount
 * is in use, leave the loop and let the main thread take the mount away from its users. */
static void
stop(struct session *s)
{
	int r = -EBUSY, waited = 0;
	struct timespec since;

	atomic_store(&s->s_stopping, true);
	service_stopping();
	notify_stop(&s->s_notify);
	if (session_is_mounted(s)) {
		r = mnttab_unmount(s->s_mountpoint, false);
		if (r == -EBUSY)
			tell_users(s);
		if (r < 0 && !sync_within(s))
			give_up(s);
	}
	while (r == 0 && !atomic_load(&s->s_ended) && waited < UNMOUNTED_WAIT_MS) {
		sleep_ms(KICK_EVERY_MS);
		waited += KICK_EVERY_MS;
	}
	for (clock_gettime(CLOCK_MONOTONIC, &since); !atomic_load(&s->s_ended);) {
		if (ms_since(&since) >= STUCK_MS)
			give_up(s);
		fuse_session_exit(s->s_se);
		pthread_kill(s->s_main, SIGUSR2);
		sleep_ms(KICK_EVERY_MS);
	}
}

/* "lookup 12, read 3": what has been counted at all. */
static void
counts(struct fe *fe, char *buf, size_t cap, uint64_t *ret_total, uint64_t *ret_errors)
{
	size_t used = 0;

	buf[0] = '\0';
	*ret_total = *ret_errors = 0;
	for (int op = 0; op < FE_NOPS; op++) {
		struct fe_sum fs;
		uint64_t n;
		int len;

		fe_sum_get(fe, (enum fe_op)op, &fs);
		n = fs.fs_count;
		*ret_total += n;
		*ret_errors += fs.fs_errors;
		if (n == 0 || used >= cap)
			continue;
		len = snprintf(buf + used, cap - used, "%s%s %" PRIu64, used ? ", " : "",
		    fe_op_name((enum fe_op)op), n);
		used += len > 0 ? (size_t)len : 0;
	}
}

static void
log_statistics(struct session *s)
{
	struct vfs *v = &s->s_space.sp_vfs;
	struct rumpfs_usage ru;
	struct etfs_stats et;
	uint64_t total, errors;
	char text[1400];

	rumpfs_usage(v->vfs_mem_root->v_mount, &ru);
	etfs_stats(s->s_space.sp_etfs, &et);
	counts(&s->s_fe, text, sizeof(text), &total, &errors);
	log_msg(LOG_NOTICE, "statistics of %s on %s: %u nodes, %u open files",
	    s->s_source, s->s_mountpoint, slots_count(&v->vfs_nodes),
	    slots_count(&v->vfs_files));
	log_msg(LOG_NOTICE,
	    "in memory: %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 " of %" PRIu64
	    " nodes",
	    ru.ru_size_used, ru.ru_size, ru.ru_inodes_used, ru.ru_inodes);
	log_msg(LOG_NOTICE,
	    "keys: %" PRIu64 ", known host files: %" PRIu64 ", fds: %" PRIu64
	    " of %" PRIu64,
	    et.et_keys, et.et_nodes, et.et_fds, et.et_fd_max);
	log_msg(LOG_NOTICE, "watched directories: %" PRIu64 ", events: %" PRIu64,
	    et.et_watches, et.et_events);
	log_msg(LOG_NOTICE, "requests: %" PRIu64 ", errors: %" PRIu64 "%s%s", total,
	    errors, text[0] ? "; " : "", text);
}

static void
do_reload(struct session *s, struct job *jb)
{
	struct reload_result rr = {0};

	if (!s)
		return;
	/* What comes from here on may be about a text that is not seen any more. */
	atomic_store(&s->s_reload_asked, false);
	(void)change_reload(s, &rr);
	reload_result_done(&rr);
}

static void
hang_up(struct session *s)
{
	if (!s->s_opt->o_config) {
		log_msg(LOG_WARNING, "there is no configuration file to reload");
		return;
	}
	if (atomic_exchange(&s->s_reload_asked, true))
		return;
	s->s_reload = (struct job){.jb_run = do_reload, .jb_what = "reload"};
	manager_post(&s->s_manager, &s->s_reload);
}

static void *
take_signals(void *arg)
{
	struct session *s = arg;
	sigset_t set;

	pthread_setname_np(pthread_self(), "rumpfuse-signal");
	our_signals(&set);
	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (atomic_load(&s->s_ended))
			return NULL;
		/* A process that was stopped and goes on hears of it by EINTR. */
		if (sig < 0)
			continue;
		switch (sig) {
		case SIGHUP:
			hang_up(s);
			break;
		case SIGUSR1:
			log_statistics(s);
			break;
		default:
			stop(s);
			return NULL;
		}
	}
}

int
signals_start(struct session *s)
{
	s->s_main = pthread_self();
	return -pthread_create(&s->s_signals, NULL, take_signals, s);
}

void
signals_stop(struct session *s)
{
	atomic_store(&s->s_ended, true);
	pthread_kill(s->s_signals, SIGTERM);
	pthread_join(s->s_signals, NULL);
}
