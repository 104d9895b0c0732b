/*
 * System calls, part three: locks.  POSIX locks belong to a process, the others (OFD,
 * flock) to an opening.  The rivals are a process of their own ("the peer"), which does
 * one thing at a time and answers.
 */
#include "list-peer.h"

/* What F_GETLK says, as text: "free" or type start len, and whose. */
static const char *
ask_lock(int fd, int cmd, int type, off_t start, off_t len, pid_t pid)
{
	static char out[100];
	struct flock fl = range(type, start, len);

	if (fcntl(fd, cmd, &fl) != 0)
		return strerrorname_np(errno);
	if (fl.l_type == F_UNLCK)
		return "free";
	snprintf(out, sizeof(out), "%s %lld %lld%s%s", fl.l_type == F_RDLCK ? "r" : "w",
	    (long long)fl.l_start, (long long)fl.l_len,
	    fl.l_whence == SEEK_SET ? "" : " whence",
	    fl.l_pid == pid ? "" : " of somebody else");
	return out;
}

/* Every pair of kinds: does the second get its lock? */
GROUP(lock_conflicts)
{
	static const char *const kinds[] = {"F_SETLK", "F_OFD_SETLK", "flock"};
	static const int cmds[] = {F_SETLK, F_OFD_SETLK, 0};
	static const int types[] = {F_RDLCK, F_WRLCK};
	static const int ops[] = {LOCK_SH, LOCK_EX};
	struct peer p = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	for (int i = 0; i < 36; i++) {
		int mine = i % 3, theirs = i / 3 % 3, a = i / 9 % 2, b = i / 18;
		bool other = (mine == 2) != (theirs == 2); /* flock is a world apart */
		int r = mine == 2 ? flock(fd, ops[a] | LOCK_NB)
		                  : lock(fd, cmds[mine], types[a], 0, 10);
		CASE_OK(r, "%s %s", kinds[mine], a ? "write" : "read");
		r = theirs == 2 ? peer_does(&p, FLOCK, 0, ops[b] | LOCK_NB)
		                : peer_lock(&p, 0, cmds[theirs], types[b], 5, 10);
		if (other || (a == 0 && b == 0))
			CASE_OK(r, "%s %s beside %s %s", kinds[theirs],
			    b ? "write" : "read", kinds[mine], a ? "write" : "read");
		else
			CASE_ERR(EAGAIN, r, "%s %s against %s %s", kinds[theirs],
			    b ? "write" : "read", kinds[mine], a ? "write" : "read");
		/* Both give up what they have. */
		flock(fd, LOCK_UN);
		lock(fd, F_SETLK, F_UNLCK, 0, 0);
		lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
		peer_does(&p, FLOCK, 0, LOCK_UN);
		peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0);
		peer_lock(&p, 0, F_OFD_SETLK, F_UNLCK, 0, 0);
		r = peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 0);
		CASE_OK(r, "all free after %s and %s", kinds[mine], kinds[theirs]);
		peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0);
	}
	close(fd);
	peer_end(&p);
}

/* Where ranges touch: the peer's request [start, start+len) against our [100, 200). */
GROUP(lock_ranges)
{
	static const struct {
		off_t start, len;
		bool free;
	} t[] = {{0, 100, true}, {0, 101, false}, {99, 1, true}, {100, 1, false},
	    {199, 1, false}, {200, 1, true}, {200, 0, true}, {199, 0, false},
	    {0, 0, false}, {150, 10, false}, {50, 300, false}, {100, 100, false},
	    {201, 1000, true}, {INT64_MAX, 0, true}, {INT64_MAX, 1, true}};
	struct peer p = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(lock(fd, F_SETLK, F_WRLCK, 100, 100));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int r = peer_lock(&p, 0, F_SETLK, F_WRLCK, t[i].start, t[i].len);
		if (t[i].free)
			CASE_OK(r, "[%lld+%lld) beside [100+100)", (long long)t[i].start,
			    (long long)t[i].len);
		else
			CASE_ERR(EAGAIN, r, "[%lld+%lld) against [100+100)",
			    (long long)t[i].start, (long long)t[i].len);
		OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, t[i].start, t[i].len));
	}
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	/* A negative length reaches back. */
	OK(lock(fd, F_SETLK, F_WRLCK, 200, -100));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_RDLCK, 100, 1));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_RDLCK, 199, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_RDLCK, 200, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_RDLCK, 99, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	ERR(EINVAL, lock(fd, F_SETLK, F_WRLCK, 10, -11));
	ERR(EINVAL, lock(fd, F_SETLK, F_WRLCK, -1, 1));
	ERR(EINVAL, lock(fd, F_SETLK, 77, 0, 1));
	ERR(EOVERFLOW, lock(fd, F_SETLK, F_WRLCK, INT64_MAX, 2));
	/* From the position, and from the end. */
	OK(ftruncate(fd, 1000));
	OK(lseek(fd, 300, SEEK_SET));
	struct flock fl = {
	    .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -50, .l_len = 10};
	OK(fcntl(fd, F_SETLK, &fl));
	fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -1};
	OK(fcntl(fd, F_SETLK, &fl));
	fl.l_whence = 9;
	ERR(EINVAL, fcntl(fd, F_SETLK, &fl));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 250));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, 250, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 260, 739));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, 999, 1));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, INT64_MAX, 1));
	close(fd);
	peer_end(&p);
}

/* Our locks as the peer sees them, one after the other: "w0+10 r20+5 …". */
static const char *
map(struct peer *p, int cmd)
{
	static char out[400];
	size_t n = 0;
	off_t at = 0;
	struct flock fl;

	out[0] = 0;
	while (n < 300) {
		/* The first one that is in the way is told. */
		peer_ask(p, lock_ask(0, cmd, F_WRLCK, at, 0));
		if (peer_answer(p, &fl) != 0)
			return strerrorname_np(errno);
		if (fl.l_type == F_UNLCK)
			break;
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%c%lld+%lld",
		    n ? " " : "", fl.l_type == F_RDLCK ? 'r' : 'w', (long long)fl.l_start,
		    (long long)fl.l_len);
		if (fl.l_len == 0)
			break;
		at = fl.l_start + fl.l_len;
	}
	return out;
}

GROUP(lock_pieces)
{
	static const struct {
		int type;
		off_t start, len;
		const char *map;
	} t[] = {
	    {F_WRLCK, 100, 100, "w100+100"},
	    /* A hole splits it, and what fills the hole joins it. */
	    {F_UNLCK, 140, 20, "w100+40 w160+40"},
	    {F_WRLCK, 140, 20, "w100+100"},
	    /* Another type in the middle makes three of it. */
	    {F_RDLCK, 140, 20, "w100+40 r140+20 w160+40"},
	    {F_RDLCK, 130, 20, "w100+30 r130+30 w160+40"},
	    {F_WRLCK, 150, 5, "w100+30 r130+20 w150+5 r155+5 w160+40"},
	    {F_WRLCK, 0, 1000, "w0+1000"},
	    {F_UNLCK, 0, 100, "w100+900"},
	    {F_UNLCK, 900, 0, "w100+800"},
	    {F_UNLCK, 100, 1, "w101+799"},
	    {F_UNLCK, 899, 1, "w101+798"},
	    {F_UNLCK, 500, 1, "w101+399 w501+398"},
	    {F_UNLCK, 950, 10, "w101+399 w501+398"},
	    {F_RDLCK, 400, 200, "w101+299 r400+200 w600+299"},
	    {F_RDLCK, 101, 1, "r101+1 w102+298 r400+200 w600+299"},
	    {F_UNLCK, 0, 0, ""},
	    /* Neighbours of one type are one. */
	    {F_RDLCK, 10, 10, "r10+10"},
	    {F_RDLCK, 30, 10, "r10+10 r30+10"},
	    {F_RDLCK, 20, 10, "r10+30"},
	    {F_RDLCK, 5, 5, "r5+35"},
	    {F_WRLCK, 40, 10, "r5+35 w40+10"},
	    {F_RDLCK, 40, 0, "r5+0"},
	    {F_WRLCK, 7, 0, "r5+2 w7+0"},
	    {F_UNLCK, 8, 0, "r5+2 w7+1"},
	};
	struct peer p = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CASE_OK(lock(fd, F_SETLK, t[i].type, t[i].start, t[i].len),
		    "step %zu of pieces", i);
		CASE_TEXT(map(&p, F_GETLK), t[i].map, "POSIX locks after step %zu", i);
	}
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CASE_OK(lock(fd, F_OFD_SETLK, t[i].type, t[i].start, t[i].len),
		    "step %zu of pieces (OFD)", i);
		CASE_TEXT(map(&p, F_OFD_GETLK), t[i].map, "OFD locks after step %zu", i);
	}
	close(fd);
	peer_end(&p);
}

GROUP(lock_ask)
{
	struct peer p = peer_start();
	int fd = make("f"), ro;
	struct flock fl;

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(ro = open("f", O_RDONLY));
	TEXT(ask_lock(fd, F_GETLK, F_WRLCK, 0, 0, p.pid), "free");
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 10, 20));
	OK(peer_lock(&p, 0, F_SETLK, F_RDLCK, 50, 0));
	TEXT(ask_lock(fd, F_GETLK, F_WRLCK, 0, 0, p.pid), "w 10 20");
	TEXT(ask_lock(fd, F_GETLK, F_RDLCK, 0, 0, p.pid), "w 10 20");
	TEXT(ask_lock(fd, F_GETLK, F_RDLCK, 29, 1, p.pid), "w 10 20");
	TEXT(ask_lock(fd, F_GETLK, F_RDLCK, 30, 0, p.pid), "free");
	TEXT(ask_lock(fd, F_GETLK, F_WRLCK, 30, 0, p.pid), "r 50 0");
	TEXT(ask_lock(fd, F_GETLK, F_WRLCK, 0, 10, p.pid), "free");
	TEXT(ask_lock(ro, F_GETLK, F_WRLCK, 30, 0, p.pid), "r 50 0");
	TEXT(ask_lock(fd, F_OFD_GETLK, F_WRLCK, 30, 0, p.pid), "r 50 0");
	/* Nothing but the type changes if it is free. */
	fl = range(F_WRLCK, 3, 4);
	fl.l_pid = 4711;
	OK(fcntl(fd, F_GETLK, &fl));
	T(fl.l_type == F_UNLCK && fl.l_start == 3 && fl.l_len == 4 && fl.l_pid == 4711);
	fl = range(F_UNLCK, 0, 0);
	ERR(EINVAL, fcntl(fd, F_GETLK, &fl));
	/* One does not see one's own. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 5));
	TEXT(ask_lock(fd, F_GETLK, F_WRLCK, 0, 5, p.pid), "free");
	TEXT(ask_lock(ro, F_GETLK, F_WRLCK, 0, 5, p.pid), "free");
	peer_ask(&p, lock_ask(0, F_GETLK, F_RDLCK, 0, 0));
	OK(peer_answer(&p, &fl));
	T(fl.l_type == F_WRLCK && fl.l_start == 0 && fl.l_len == 5);
	IS(fl.l_pid, getpid());
	/* An OFD lock has no process. */
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5));
	TEXT(ask_lock(ro, F_GETLK, F_WRLCK, 0, 5, -1), "w 0 5");
	TEXT(ask_lock(ro, F_OFD_GETLK, F_WRLCK, 0, 5, -1), "w 0 5");
	TEXT(ask_lock(fd, F_OFD_GETLK, F_WRLCK, 0, 5, -1), "free");
	fl = range(F_WRLCK, 0, 5);
	fl.l_pid = 1;
	ERR(EINVAL, fcntl(fd, F_OFD_SETLK, &fl));
	ERR(EINVAL, fcntl(fd, F_OFD_GETLK, &fl));
	ERR(EFAULT, fcntl(fd, F_GETLK, nowhere()));
	ERR(EFAULT, fcntl(fd, F_SETLK, nowhere()));
	ERR(EBADF, lock(999, F_SETLK, F_WRLCK, 0, 0));
	close(fd);
	close(ro);
	peer_end(&p);
}

/* How a file must be open. */
GROUP(lock_open_mode)
{
	int rw = make("f"), ro, wo, path, p[2];

	OK(ro = open("f", O_RDONLY));
	OK(wo = open("f", O_WRONLY));
	OK(path = open("f", O_PATH));
	OK(lock(ro, F_SETLK, F_RDLCK, 0, 0));
	ERR(EBADF, lock(ro, F_SETLK, F_WRLCK, 0, 0));
	ERR(EBADF, lock(wo, F_SETLK, F_RDLCK, 0, 0));
	OK(lock(wo, F_SETLK, F_WRLCK, 0, 0));
	OK(lock(ro, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(rw, F_SETLK, F_RDLCK, 0, 0));
	OK(lock(rw, F_SETLK, F_WRLCK, 0, 0));
	OK(lock(wo, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(ro, F_OFD_SETLK, F_RDLCK, 0, 0));
	ERR(EBADF, lock(ro, F_OFD_SETLK, F_WRLCK, 0, 0));
	OK(lock(ro, F_OFD_SETLK, F_UNLCK, 0, 0));
	ERR(EBADF, lock(wo, F_OFD_SETLK, F_RDLCK, 0, 0));
	ERR(EBADF, lock(wo, F_SETLKW, F_RDLCK, 0, 0));
	ERR(EBADF, lock(path, F_SETLK, F_RDLCK, 0, 0));
	ERR(EBADF, lock(path, F_OFD_SETLK, F_RDLCK, 0, 0));
	ERR(EBADF, flock(path, LOCK_SH));
	/* flock does not ask. */
	OK(flock(ro, LOCK_EX));
	OK(flock(ro, LOCK_UN));
	OK(flock(wo, LOCK_SH));
	OK(flock(wo, LOCK_UN));
	ERR(EINVAL, flock(ro, 0));
	ERR(EINVAL, flock(ro, LOCK_NB));
	ERR(EINVAL, flock(ro, LOCK_SH | LOCK_EX));
	ERR(EBADF, flock(999, LOCK_SH));
	close(path);
	close(rw);
	close(ro);
	close(wo);
	/* Directories and fifos can be locked, too. */
	OK(mkdir("d", 0755));
	OK(ro = open("d", O_RDONLY | O_DIRECTORY));
	OK(rw = open("d", O_RDONLY | O_DIRECTORY));
	OK(lock(ro, F_SETLK, F_RDLCK, 0, 0));
	OK(flock(ro, LOCK_EX));
	ERR(EAGAIN, flock(rw, LOCK_SH | LOCK_NB));
	close(ro);
	OK(flock(rw, LOCK_SH | LOCK_NB));
	close(rw);
	OK(mkfifo("p", 0644));
	OK(p[0] = open("p", O_RDWR));
	OK(p[1] = open("p", O_RDWR));
	OK(flock(p[0], LOCK_EX));
	ERR(EAGAIN, flock(p[1], LOCK_EX | LOCK_NB));
	OK(lock(p[0], F_OFD_SETLK, F_WRLCK, 0, 0));
	ERR(EAGAIN, lock(p[1], F_OFD_SETLK, F_RDLCK, 0, 0));
	close(p[0]);
	close(p[1]);
}
