/*
 * The control socket and its thread (control.h).
 *
 * The thread sleeps in poll(2) over the socket, the connections and an eventfd, by which the
 * manager says that a task is done.  Nothing else makes it wait.
 */
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control_private.h"
#include "daemon/log.h"
#include "daemon/session.h"

#define RUNDIR "rumpfuse"
/* Connections: at most, and what part of the descriptors that there may be. */
#define AT_ONCE         16 /* are let in before the others have their turn */
#define CONNS_MAX       512u
#define CONNS_MIN       4u
#define CONNS_SHARE     8u
#define BACKLOG         64
#define NS_PER_S        UINT64_C(1000000000)
#define NS_PER_MS       UINT64_C(1000000)
#define UNREAD_NS       (30 * NS_PER_S)
#define UNREAD_ROUND_MS 1000
#define FULL_WAIT_MS    100

uint64_t
control_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* The place. */

/* No socket: why, for control_ready(). */
__attribute__((format(printf, 2, 3))) static int
no_place(struct control *ct, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&ct->ct_why, fmt, ap) < 0)
		ct->ct_why = NULL;
	va_end(ap);
	return -ENOENT;
}

/* The directory, open, made if need be; -errno.  *ret_path: its name, for free(). */
static int
open_rundir(struct control *ct, char **ret_path)
{
	bool root = geteuid() == 0;
	const char *run = root ? "/run" : getenv("XDG_RUNTIME_DIR");
	struct stat st;
	char *path;
	int fd;

	if (!run || run[0] != '/')
		return no_place(ct, "XDG_RUNTIME_DIR is not set");
	if (asprintf(&path, "%s/" RUNDIR, run) < 0)
		return -ENOMEM;
	if (mkdir(path, root ? 0755 : 0700) < 0 && errno != EEXIST) {
		no_place(ct, "%s: %s", path, strerror(errno));
		free(path);
		return -ENOENT;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
	    st.st_mode & (S_IWGRP | S_IWOTH)) {
		no_place(ct, "%s: not a directory that is ours alone", path);
		if (fd >= 0)
			close(fd);
		free(path);
		return -ENOENT;
	}
	*ret_path = path;
	return fd;
}

/* A socket of this name in the directory; what another with our number has left goes: the
 * number is ours. */
static int
listen_in(int dir, const char *name, struct stat *ret_st)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;
	mode_t old;

	if (fd < 0)
		return -errno;
	/* By way of /proc the name cannot be too long. */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/%s", dir, name);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	old = umask(0177);
	if (r == 0 && bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
		r = -errno;
	umask(old);
	if (r == 0 && (fstatat(dir, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0 ||
			  listen(fd, BACKLOG) < 0))
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static unsigned
conns_max(void)
{
	struct rlimit rl;
	rlim_t n = CONNS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / CONNS_SHARE < n)
		n = rl.rlim_cur / CONNS_SHARE;
	return n < CONNS_MIN ? CONNS_MIN : (unsigned)n;
}

void
control_unlink(struct control *ct)
{
	struct stat st;

	if (!ct)
		return;
	/* One with our number may have come after our mount had gone. */
	if (ct->ct_listen >= 0 && ct->ct_path && lstat(ct->ct_path, &st) == 0 &&
	    st.st_dev == ct->ct_dev && st.st_ino == ct->ct_ino)
		(void)unlinkat(AT_FDCWD, ct->ct_path, 0);
}

static int
make(struct control *ct, int dir, const char *dirname)
{
	struct stat st;
	char name[32];

	snprintf(name, sizeof(name), "%u:%u", major(ct->ct_session->s_dev),
	    minor(ct->ct_session->s_dev));
	if (asprintf(&ct->ct_path, "%s/%s", dirname, name) < 0)
		ct->ct_path = NULL;
	if (!ct->ct_path)
		return -ENOMEM;
	ct->ct_listen = listen_in(dir, name, &st);
	if (ct->ct_listen < 0)
		return ct->ct_listen;
	ct->ct_dev = st.st_dev;
	ct->ct_ino = st.st_ino;
	return 0;
}

static void
wake(void *arg)
{
	const struct control *ct = arg;
	const uint64_t one = 1;

	/* It can only fail where it is awake already. */
	if (write(ct->ct_wake, &one, sizeof(one)) < 0)
		return;
}

/* The thread without a socket. */
static struct control *
control_new(struct session *s)
{
	struct control *ct = calloc(1, sizeof(*ct));

	if (!ct)
		return NULL;
	ct->ct_session = s;
	ct->ct_listen = -1;
	ct->ct_max = conns_max();
	ct->ct_conns = calloc(ct->ct_max, sizeof(struct conn *));
	ct->ct_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&ct->ct_mtx, NULL);
	if (!ct->ct_conns || ct->ct_wake < 0) {
		control_free(ct);
		return NULL;
	}
	s->s_fe.fe_woken_arg = ct;
	s->s_fe.fe_woken = s->s_slow_ns ? wake : NULL;
	return ct;
}

int
control_open(struct session *s, struct control **ret)
{
	struct control *ct = control_new(s);
	char *dirname = NULL;
	int dir, r;

	if (!ct)
		return -ENOMEM;
	*ret = ct;
	dir = open_rundir(ct, &dirname);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	r = make(ct, dir, dirname);
	close(dir);
	if (r < 0)
		no_place(ct, "%s: %s", dirname, strerror(-r));
	free(dirname);
	return 0;
}

void
control_ready(const struct control *ct)
{
	if (ct && ct->ct_why)
		log_msg(LOG_INFO, "no control socket: %s", ct->ct_why);
}

/* Connections. */

static void
drop(struct control *ct, unsigned i)
{
	struct task *t = ct->ct_conns[i]->cn_task;

	/* What has begun is carried out. */
	if (t && manager_withdraw(&ct->ct_session->s_manager, &t->t_job))
		task_free(t);
	conn_free(ct->ct_conns[i]);
	ct->ct_conns[i] = ct->ct_conns[--ct->ct_nconns];
}

/* The one that has been idle longest goes.  False: none is idle. */
static bool
make_room(struct control *ct)
{
	unsigned oldest = ct->ct_nconns;

	for (unsigned i = 0; i < ct->ct_nconns; i++)
		if (!conn_busy(ct->ct_conns[i]) &&
		    (oldest == ct->ct_nconns ||
			ct->ct_conns[i]->cn_used_ns < ct->ct_conns[oldest]->cn_used_ns))
			oldest = i;
	if (oldest == ct->ct_nconns)
		return false;
	drop(ct, oldest);
	return true;
}

static bool
may_enter(int fd)
{
	struct ucred uc;
	socklen_t len = sizeof(uc);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) == 0 &&
	       (uc.uid == 0 || uc.uid == geteuid());
}

/* False: nobody waits, or there is no room. */
static bool
let_in(struct control *ct)
{
	struct conn *cn;
	int fd = accept4(ct->ct_listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* It waits until there is one, or a moment. */
		if ((errno == EMFILE || errno == ENFILE || errno == ENOMEM) &&
		    !make_room(ct))
			ct->ct_full_ns = control_now_ns();
		return false;
	}
	cn = may_enter(fd) && (ct->ct_nconns < ct->ct_max || make_room(ct))
	         ? conn_new(fd, ++ct->ct_last_id)
	         : NULL;
	if (cn)
		ct->ct_conns[ct->ct_nconns++] = cn;
	else
		close(fd);
	return true;
}

static struct task *
take_done(struct control *ct, bool *ret_stop, GString **ret_news, uint64_t *ret_conn)
{
	struct task *t;
	uint64_t n;

	if (read(ct->ct_wake, &n, sizeof(n)) < 0)
		n = 0; /* nobody has written to it */
	pthread_mutex_lock(&ct->ct_mtx);
	t = ct->ct_done;
	ct->ct_done = NULL;
	*ret_news = ct->ct_news;
	*ret_conn = ct->ct_news_conn;
	ct->ct_news = NULL;
	*ret_stop = ct->ct_stop;
	pthread_mutex_unlock(&ct->ct_mtx);
	return t;
}

void
control_task_tell(struct task *t, GString *line)
{
	struct control *ct = t->t_control;
	GString *old;

	pthread_mutex_lock(&ct->ct_mtx);
	old = ct->ct_news;
	ct->ct_news = line;
	ct->ct_news_conn = t->t_conn;
	pthread_mutex_unlock(&ct->ct_mtx);
	if (old)
		g_string_free(old, TRUE);
	wake(ct);
}

void
control_task_done(struct task *t)
{
	struct control *ct = t->t_control;
	struct task **tp;

	pthread_mutex_lock(&ct->ct_mtx);
	for (tp = &ct->ct_done; *tp; tp = &(*tp)->t_next)
		;
	*tp = t;
	pthread_mutex_unlock(&ct->ct_mtx);
	wake(ct);
}

/* Answers whoever is still there. */
static void
answer_done(struct control *ct, struct task *t)
{
	while (t) {
		struct task *next = t->t_next;
		uint64_t id = t->t_conn;
		GString *answer = task_answer(t);
		unsigned i;

		for (i = 0; i < ct->ct_nconns && ct->ct_conns[i]->cn_id != id; i++)
			;
		if (i == ct->ct_nconns)
			g_string_free(answer, TRUE);
		else if (!conn_answer(ct, ct->ct_conns[i], answer))
			drop(ct, i);
		t = next;
	}
}

/* To the connection of that number, if it is still there. */
static void
pass_on(struct control *ct, uint64_t id, GString *line)
{
	unsigned i;

	for (i = 0; i < ct->ct_nconns && ct->ct_conns[i]->cn_id != id; i++)
		;
	if (i == ct->ct_nconns)
		g_string_free(line, TRUE);
	else if (!conn_tell(ct->ct_conns[i], line))
		drop(ct, i);
}

void
control_tell_waiting(struct control *ct, const char *what, uint64_t seconds)
{
	for (unsigned i = ct->ct_nconns; i-- > 0;) {
		struct conn *cn = ct->ct_conns[i];

		if (cn->cn_task && !conn_tell(cn, task_waits(cn->cn_task, what, seconds)))
			drop(ct, i);
	}
}

static int
sooner(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* Milliseconds until something is to be done that no descriptor tells of, or -1. */
static int
patience(struct control *ct)
{
	int ms = sooner(slow_rounds(ct), ct->ct_full_ns ? FULL_WAIT_MS : -1);

	for (unsigned i = 0; i < ct->ct_nconns; i++) {
		if (ct->ct_conns[i]->cn_more)
			return 0;
		if (ct->ct_conns[i]->cn_out)
			ms = sooner(ms, UNREAD_ROUND_MS);
	}
	return ms;
}

/* Fills pfd: the socket, the eventfd, the connections in their order. */
static nfds_t
gather(const struct control *ct, struct pollfd *pfd)
{
	pfd[0] =
	    (struct pollfd){.fd = ct->ct_full_ns ? -1 : ct->ct_listen, .events = POLLIN};
	pfd[1] = (struct pollfd){.fd = ct->ct_wake, .events = POLLIN};
	for (unsigned i = 0; i < ct->ct_nconns; i++)
		pfd[2 + i] = (struct pollfd){
		    .fd = ct->ct_conns[i]->cn_fd, .events = conn_wants(ct->ct_conns[i])};
	return 2 + ct->ct_nconns;
}

static void
serve_all(struct control *ct, const struct pollfd *pfd)
{
	uint64_t now = control_now_ns();

	/* From the last, because the last takes the place of one that goes. */
	for (unsigned i = ct->ct_nconns; i-- > 0;) {
		struct conn *cn = ct->ct_conns[i];
		short revents = pfd[2 + i].revents;
		bool ok = true;

		if (revents || cn->cn_more)
			ok = conn_serve(ct, cn, revents);
		else if (cn->cn_out)
			ok = now - cn->cn_used_ns < UNREAD_NS;
		if (!ok)
			drop(ct, i);
	}
}

static void *
serve(void *arg)
{
	struct control *ct = arg;
	struct pollfd *pfd = calloc(ct->ct_max + 2, sizeof(*pfd));
	bool stop = !pfd;

	pthread_setname_np(pthread_self(), "rumpfuse-ctl");
	while (!stop) {
		int ms = patience(ct); /* may send something */
		nfds_t n = gather(ct, pfd);
		struct task *done;
		GString *news;
		uint64_t conn;

		if (poll(pfd, n, ms) < 0)
			continue; /* EINTR */
		if (ct->ct_full_ns &&
		    control_now_ns() - ct->ct_full_ns >= FULL_WAIT_MS * NS_PER_MS)
			ct->ct_full_ns = 0;
		serve_all(ct, pfd);
		done = take_done(ct, &stop, &news, &conn);
		if (news)
			pass_on(ct, conn, news);
		answer_done(ct, done);
		for (int i = 0; pfd[0].revents & POLLIN && i < AT_ONCE && let_in(ct); i++)
			;
	}
	free(pfd);
	return NULL;
}

int
control_start(struct control *ct)
{
	int r;

	if (!ct)
		return 0;
	r = pthread_create(&ct->ct_thread, NULL, serve, ct);
	ct->ct_started = r == 0;
	return -r;
}

void
control_stop(struct control *ct)
{
	if (!ct)
		return;
	control_unlink(ct);
	if (!ct->ct_started)
		return;
	pthread_mutex_lock(&ct->ct_mtx);
	ct->ct_stop = true;
	pthread_mutex_unlock(&ct->ct_mtx);
	wake(ct);
	pthread_join(ct->ct_thread, NULL);
	ct->ct_started = false;
	while (ct->ct_nconns > 0)
		drop(ct, 0);
}

void
control_free(struct control *ct)
{
	if (!ct)
		return;
	while (ct->ct_done) {
		struct task *t = ct->ct_done;

		ct->ct_done = t->t_next;
		task_free(t);
	}
	if (ct->ct_news)
		g_string_free(ct->ct_news, TRUE);
	if (ct->ct_listen >= 0)
		close(ct->ct_listen);
	if (ct->ct_wake >= 0)
		close(ct->ct_wake);
	slow_done(ct);
	free(ct->ct_conns);
	free(ct->ct_path);
	free(ct->ct_why);
	pthread_mutex_destroy(&ct->ct_mtx);
	free(ct);
}
