/*
 * Another process that takes and gives up locks of the file "f", one at a time, and
 * answers ("the peer"); and short forms of the calls.
 */
#ifndef RF_LIST_PEER_H
#define RF_LIST_PEER_H

#include "list-sys.h"

enum what {
	OPEN,
	CLOSE,
	LOCK,
	FLOCK,
	DIE
};
struct ask {
	enum what what;
	int slot, cmd; /* of OPEN: flags; of FLOCK: the operation */
	struct flock fl;
};
struct answer {
	int r, err;
	struct flock fl;
};
struct peer {
	pid_t pid;
	int fd;
};

UNUSED static void
peer_serve(int sock)
{
	struct ask q;
	struct answer a;
	int fds[4] = {-1, -1, -1, -1};

	while (read(sock, &q, sizeof(q)) == sizeof(q)) {
		a.fl = q.fl;
		switch (q.what) {
		case OPEN:
			a.r = fds[q.slot] = open("f", q.cmd);
			break;
		case CLOSE:
			a.r = close(fds[q.slot]);
			break;
		case LOCK:
			a.r = fcntl(fds[q.slot], q.cmd, &a.fl);
			break;
		case FLOCK:
			a.r = flock(fds[q.slot], q.cmd);
			break;
		default:
			_exit(0);
		}
		a.err = errno;
		if (write(sock, &a, sizeof(a)) != sizeof(a))
			break;
	}
	_exit(0);
}

static void
nothing(int sig)
{
	(void)sig;
}

UNUSED static struct peer
peer_start(void)
{
	struct peer p = {-1, -1};
	struct sigaction sa = {.sa_handler = nothing}; /* no SA_RESTART */
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) != 0 ||
	    (p.pid = fork()) < 0) {
		perror("peer");
		exit(1);
	}
	if (p.pid == 0) {
		/* It must hold nothing of ours. */
		close_range(3, (unsigned)s[1] - 1, 0);
		close_range((unsigned)s[1] + 1, ~0u, 0);
		sigaction(SIGUSR1, &sa, NULL);
		peer_serve(s[1]);
	}
	close(s[1]);
	p.fd = s[0];
	return p;
}

UNUSED static void
peer_ask(struct peer *p, struct ask q)
{
	if (write(p->fd, &q, sizeof(q)) != sizeof(q))
		errno = EPIPE;
}

/* Is there an answer within this time? */
UNUSED static bool
peer_ready(struct peer *p, int ms)
{
	struct pollfd pf = {.fd = p->fd, .events = POLLIN};

	return poll(&pf, 1, ms) == 1;
}

/* The value of what it has done, and errno. */
UNUSED static int
peer_answer(struct peer *p, struct flock *fl)
{
	struct answer a = {.r = -1, .err = ETIMEDOUT};

	if (peer_ready(p, 5000) && read(p->fd, &a, sizeof(a)) != sizeof(a))
		a.err = EPIPE;
	if (fl)
		*fl = a.fl;
	errno = a.err;
	return a.r;
}

UNUSED static int
peer_does(struct peer *p, enum what what, int slot, int cmd)
{
	peer_ask(p, (struct ask){.what = what, .slot = slot, .cmd = cmd});
	return peer_answer(p, NULL);
}

UNUSED static void
peer_end(struct peer *p)
{
	if (p->pid <= 0)
		return;
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->fd);
	p->pid = -1;
}

UNUSED static struct flock
range(int type, off_t start, off_t len)
{
	return (struct flock){
	    .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

UNUSED static struct ask
lock_ask(int slot, int cmd, int type, off_t start, off_t len)
{
	return (struct ask){LOCK, slot, cmd, range(type, start, len)};
}

UNUSED static int
peer_lock(struct peer *p, int slot, int cmd, int type, off_t start, off_t len)
{
	peer_ask(p, lock_ask(slot, cmd, type, start, len));
	return peer_answer(p, NULL);
}

UNUSED static int
lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = range(type, start, len);

	return fcntl(fd, cmd, &fl);
}

#endif
