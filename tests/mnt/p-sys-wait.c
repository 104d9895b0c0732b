/*
 * System calls, part four: locks that are waited for, changed and lost.  See list-peer.h.
 */
#include "list-peer.h"

#include <pthread.h>

/* It is not to have answered after this time; and then, soon. */
#define STILL 30

GROUP(wait_for_lock)
{
	static const struct {
		const char *what;
		int mine, theirs; /* commands; 0 is flock */
	} t[] = {{"POSIX", F_SETLK, F_SETLKW}, {"OFD", F_OFD_SETLK, F_OFD_SETLKW},
	    {"POSIX for OFD", F_OFD_SETLK, F_SETLKW},
	    {"OFD for POSIX", F_SETLK, F_OFD_SETLKW}, {"flock", 0, 0}};
	struct peer p = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		bool fl = t[i].mine == 0;
		CASE_OK(fl ? flock(fd, LOCK_EX) : lock(fd, t[i].mine, F_WRLCK, 0, 10),
		    "%s: held", t[i].what);
		peer_ask(&p, fl ? (struct ask){.what = FLOCK, .cmd = LOCK_SH}
				: lock_ask(0, t[i].theirs, F_RDLCK, 5, 1));
		CASE(!peer_ready(&p, STILL), "%s: the other waits", t[i].what);
		/* Less than what it waits for does not help it. */
		CASE_OK(fl ? 0 : lock(fd, t[i].mine, F_UNLCK, 0, 5), "%s: part of it",
		    t[i].what);
		CASE(!peer_ready(&p, STILL), "%s: the other still waits", t[i].what);
		CASE_OK(fl ? flock(fd, LOCK_UN) : lock(fd, t[i].mine, F_UNLCK, 5, 1),
		    "%s: the rest", t[i].what);
		CASE_OK(peer_answer(&p, NULL), "%s: the other has it", t[i].what);
		CASE_ERR(EAGAIN,
		    fl ? flock(fd, LOCK_EX | LOCK_NB)
		       : lock(fd, t[i].mine, F_WRLCK, 5, 1),
		    "%s: it is the other's", t[i].what);
		/* A change to a lock for readers lets a reader in. */
		peer_does(&p, FLOCK, 0, LOCK_UN);
		peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0);
		peer_lock(&p, 0, F_OFD_SETLK, F_UNLCK, 0, 0);
		CASE_OK(fl ? flock(fd, LOCK_EX) : lock(fd, t[i].mine, F_WRLCK, 0, 10),
		    "%s: held again", t[i].what);
		peer_ask(&p, fl ? (struct ask){.what = FLOCK, .cmd = LOCK_SH}
				: lock_ask(0, t[i].theirs, F_RDLCK, 5, 1));
		CASE(!peer_ready(&p, STILL), "%s: a reader waits", t[i].what);
		CASE_OK(fl ? flock(fd, LOCK_SH) : lock(fd, t[i].mine, F_RDLCK, 0, 10),
		    "%s: changed to reading", t[i].what);
		CASE_OK(peer_answer(&p, NULL), "%s: the reader has it", t[i].what);
		CASE_ERR(EAGAIN,
		    fl ? flock(fd, LOCK_EX | LOCK_NB)
		       : lock(fd, t[i].mine, F_WRLCK, 0, 10),
		    "%s: no more writing", t[i].what);
		peer_does(&p, FLOCK, 0, LOCK_UN);
		peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0);
		peer_lock(&p, 0, F_OFD_SETLK, F_UNLCK, 0, 0);
		flock(fd, LOCK_UN);
		lock(fd, F_SETLK, F_UNLCK, 0, 0);
		lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
	}
	close(fd);
	peer_end(&p);
}

GROUP(wait_interrupted)
{
	static const int cmds[] = {F_SETLKW, F_OFD_SETLKW, 0};
	static const char *const names[] = {"F_SETLKW", "F_OFD_SETLKW", "flock"};
	struct peer p = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	for (int i = 0; i < 3; i++) {
		OK(cmds[i] ? lock(fd, F_SETLK, F_WRLCK, 0, 10) : flock(fd, LOCK_EX));
		peer_ask(&p, cmds[i] ? lock_ask(0, cmds[i], F_WRLCK, 0, 1)
				     : (struct ask){.what = FLOCK, .cmd = LOCK_EX});
		CASE(!peer_ready(&p, STILL), "%s waits", names[i]);
		OK(kill(p.pid, SIGUSR1));
		CASE_ERR(EINTR, peer_answer(&p, NULL), "%s, interrupted", names[i]);
		/* What was asked for in vain is not there later. */
		OK(cmds[i] ? lock(fd, F_SETLK, F_UNLCK, 0, 0) : flock(fd, LOCK_UN));
		ms_sleep(5);
		CASE_OK(cmds[i] ? lock(fd, F_SETLK, F_WRLCK, 0, 0)
				: flock(fd, LOCK_EX | LOCK_NB),
		    "all free after the interrupted %s", names[i]);
		/* And with nobody in the way it is had at once. */
		OK(cmds[i] ? lock(fd, F_SETLK, F_UNLCK, 0, 0) : flock(fd, LOCK_UN));
		CASE_OK(cmds[i] ? peer_lock(&p, 0, cmds[i], F_WRLCK, 0, 1)
				: peer_does(&p, FLOCK, 0, LOCK_EX),
		    "%s without waiting", names[i]);
		peer_does(&p, FLOCK, 0, LOCK_UN);
		peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0);
		peer_lock(&p, 0, F_OFD_SETLK, F_UNLCK, 0, 0);
		flock(fd, LOCK_UN);
	}
	/* One that is killed while it waits leaves nothing. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	peer_ask(&p, lock_ask(0, F_SETLKW, F_WRLCK, 0, 20));
	T(!peer_ready(&p, STILL));
	peer_end(&p);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	p = peer_start();
	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 0));
	peer_end(&p);
	close(fd);
}

/* Two who wait for one another; the second is told. */
GROUP(wait_deadlock)
{
	struct peer p = peer_start(), q = peer_start();
	int fd = make("f");

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(peer_does(&q, OPEN, 0, O_RDWR));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 1, 1));
	peer_ask(&p, lock_ask(0, F_SETLKW, F_WRLCK, 0, 1));
	T(!peer_ready(&p, STILL));
	ERR(EDEADLK, lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	ERR(EDEADLK, lock(fd, F_SETLKW, F_RDLCK, 1, 1));
	ERR(EAGAIN, lock(fd, F_SETLK, F_WRLCK, 1, 1));
	T(!peer_ready(&p, 0));
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
	OK(peer_answer(&p, NULL));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0));
	/* A ring of three. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 1, 1));
	OK(peer_lock(&q, 0, F_SETLK, F_WRLCK, 2, 1));
	peer_ask(&p, lock_ask(0, F_SETLKW, F_WRLCK, 0, 1));
	T(!peer_ready(&p, STILL));
	peer_ask(&q, lock_ask(0, F_SETLKW, F_WRLCK, 1, 1));
	T(!peer_ready(&q, STILL));
	ERR(EDEADLK, lock(fd, F_SETLKW, F_WRLCK, 2, 1));
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	OK(peer_answer(&p, NULL));
	T(!peer_ready(&q, STILL));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0));
	OK(peer_answer(&q, NULL));
	OK(peer_lock(&q, 0, F_SETLK, F_UNLCK, 0, 0));
	close(fd);
	peer_end(&p);
	peer_end(&q);
}

/* What ends them besides the unlocking. */
GROUP(lock_lost)
{
	struct peer p = peer_start();
	int fd = make("f"), also, dupd, status;
	pid_t pid;

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(also = open("f", O_RDONLY));
	/* POSIX: the close of any descriptor of the file. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 1));
	close(also);
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(dupd = dup(fd));
	close(dupd);
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 1));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 0));
	/* Not a child's, who has none of them. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	if ((pid = fork()) == 0) {
		int r = lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0 ? 0 : errno;
		close(fd);
		_exit(r);
	}
	waitpid(pid, &status, 0);
	IS(WEXITSTATUS(status), EAGAIN);
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 1));
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	/* OFD and flock: the last close of the opening, whoever has it. */
	OK(dupd = dup(fd));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	OK(flock(fd, LOCK_EX));
	OK(also = open("f", O_RDONLY));
	close(also);
	ERR(EAGAIN, peer_lock(&p, 0, F_OFD_SETLK, F_WRLCK, 0, 1));
	close(fd);
	ERR(EAGAIN, peer_lock(&p, 0, F_OFD_SETLK, F_WRLCK, 0, 1));
	ERR(EAGAIN, peer_does(&p, FLOCK, 0, LOCK_SH | LOCK_NB));
	if ((pid = fork()) == 0) {
		/* In a child they are the same. */
		_exit(lock(dupd, F_OFD_SETLK, F_RDLCK, 0, 0) == 0 ? 0 : errno);
	}
	waitpid(pid, &status, 0);
	IS(WEXITSTATUS(status), 0);
	OK(peer_lock(&p, 0, F_OFD_SETLK, F_RDLCK, 0, 1));
	OK(peer_lock(&p, 0, F_OFD_SETLK, F_UNLCK, 0, 0));
	ERR(EAGAIN, peer_does(&p, FLOCK, 0, LOCK_SH | LOCK_NB));
	close(dupd);
	OK(peer_lock(&p, 0, F_OFD_SETLK, F_WRLCK, 0, 1));
	OK(peer_does(&p, FLOCK, 0, LOCK_EX | LOCK_NB));
	/* The death of who holds them. */
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 0) == -1 && errno == EAGAIN ? 0 : -1);
	OK(fd = open("f", O_RDWR));
	ERR(EAGAIN, lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	ERR(EAGAIN, flock(fd, LOCK_SH | LOCK_NB));
	peer_end(&p);
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	OK(flock(fd, LOCK_EX | LOCK_NB));
	close(fd);
}

GROUP(lock_lost_waiting)
{
	struct peer p = peer_start(), q = peer_start();
	int fd = make("f"), also;

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(peer_does(&q, OPEN, 0, O_RDWR));
	/* Those who wait are woken by each of these ends. */
	OK(also = open("f", O_RDONLY));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	peer_ask(&p, lock_ask(0, F_SETLKW, F_WRLCK, 0, 1));
	T(!peer_ready(&p, STILL));
	close(also);
	OK(peer_answer(&p, NULL));
	peer_ask(&q, lock_ask(0, F_SETLKW, F_WRLCK, 0, 1));
	T(!peer_ready(&q, STILL));
	peer_end(&p);
	OK(peer_answer(&q, NULL));
	OK(peer_lock(&q, 0, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	peer_ask(&q, lock_ask(0, F_OFD_SETLKW, F_RDLCK, 9, 1));
	T(!peer_ready(&q, STILL));
	close(fd);
	OK(peer_answer(&q, NULL));
	OK(peer_does(&q, CLOSE, 0, 0));
	OK(peer_does(&q, OPEN, 0, O_RDWR));
	OK(fd = open("f", O_RDWR));
	OK(flock(fd, LOCK_EX));
	peer_ask(&q, (struct ask){.what = FLOCK, .cmd = LOCK_EX});
	T(!peer_ready(&q, STILL));
	close(fd);
	OK(peer_answer(&q, NULL));
	/* Two readers, and a writer who waits for the second of them. */
	OK(fd = open("f", O_RDWR));
	ERR(EAGAIN, flock(fd, LOCK_SH | LOCK_NB));
	OK(peer_does(&q, FLOCK, 0, LOCK_SH));
	OK(flock(fd, LOCK_SH | LOCK_NB));
	peer_ask(&q, (struct ask){.what = FLOCK, .cmd = LOCK_EX});
	T(!peer_ready(&q, STILL));
	OK(flock(fd, LOCK_UN));
	OK(peer_answer(&q, NULL));
	close(fd);
	peer_end(&q);
}

GROUP(lock_change)
{
	struct peer p = peer_start();
	int fd = make("f"), also;

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(also = open("f", O_RDWR));
	/* POSIX: a process does not stand in its own way. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	OK(lock(also, F_SETLK, F_RDLCK, 0, 10));
	OK(peer_lock(&p, 0, F_SETLK, F_RDLCK, 0, 10));
	ERR(EAGAIN, lock(fd, F_SETLK, F_WRLCK, 0, 10));
	/* What it has it keeps when it does not get more. */
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 10));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 10));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_RDLCK, 0, 10));
	OK(lock(also, F_SETLK, F_UNLCK, 0, 10));
	OK(peer_lock(&p, 0, F_SETLK, F_RDLCK, 0, 10));
	OK(peer_lock(&p, 0, F_SETLK, F_UNLCK, 0, 10));
	/* OFD: two openings do, in one process as well. */
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	ERR(EAGAIN, lock(also, F_OFD_SETLK, F_RDLCK, 5, 1));
	ERR(EAGAIN, lock(also, F_SETLK, F_RDLCK, 5, 1));
	OK(lock(fd, F_OFD_SETLK, F_RDLCK, 0, 10));
	OK(lock(also, F_OFD_SETLK, F_RDLCK, 5, 1));
	ERR(EAGAIN, lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 5));
	OK(lock(also, F_OFD_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(lock(also, F_OFD_SETLK, F_UNLCK, 0, 0));
	ERR(EAGAIN, lock(also, F_OFD_SETLK, F_WRLCK, 0, 1));
	OK(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	/* flock: the same, for the whole file. */
	OK(flock(fd, LOCK_SH));
	OK(flock(also, LOCK_SH));
	ERR(EAGAIN, flock(also, LOCK_EX | LOCK_NB));
	OK(flock(fd, LOCK_UN));
	OK(flock(also, LOCK_EX | LOCK_NB));
	ERR(EAGAIN, flock(fd, LOCK_SH | LOCK_NB));
	OK(flock(also, LOCK_SH));
	OK(flock(fd, LOCK_SH | LOCK_NB));
	OK(flock(fd, LOCK_UN));
	OK(flock(fd, LOCK_UN));
	OK(flock(also, LOCK_UN));
	close(fd);
	close(also);
	peer_end(&p);
}

struct taker {
	int fd, cmd, r, err;
};

static void *
take(void *arg)
{
	struct taker *t = arg;

	t->r = t->cmd ? lock(t->fd, t->cmd, F_WRLCK, 0, 10) : flock(t->fd, LOCK_EX);
	t->err = errno;
	return NULL;
}

/* In another thread: how it ends. */
static int
in_thread(int fd, int cmd)
{
	struct taker t = {.fd = fd, .cmd = cmd};
	pthread_t id;

	if (pthread_create(&id, NULL, take, &t) != 0)
		return -1;
	pthread_join(id, NULL);
	errno = t.err;
	return t.r;
}

GROUP(lock_threads)
{
	int fd = make("f"), also;
	struct taker t;
	pthread_t id;

	OK(also = open("f", O_RDWR));
	/* A POSIX lock is the process's, so every thread has it. */
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	OK(in_thread(fd, F_SETLK));
	OK(in_thread(also, F_SETLKW));
	OK(lock(also, F_SETLK, F_UNLCK, 0, 0));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(in_thread(fd, F_OFD_SETLK));
	ERR(EAGAIN, in_thread(also, F_OFD_SETLK));
	t = (struct taker){.fd = also, .cmd = F_OFD_SETLKW, .r = 77};
	OK(-pthread_create(&id, NULL, take, &t));
	ms_sleep(STILL);
	IS(__atomic_load_n(&t.r, __ATOMIC_SEQ_CST), 77);
	OK(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	pthread_join(id, NULL);
	IS(t.r, 0);
	ERR(EAGAIN, lock(fd, F_OFD_SETLK, F_WRLCK, 0, 1));
	OK(flock(fd, LOCK_EX));
	t = (struct taker){.fd = also, .r = 77};
	OK(-pthread_create(&id, NULL, take, &t));
	ms_sleep(STILL);
	IS(__atomic_load_n(&t.r, __ATOMIC_SEQ_CST), 77);
	OK(flock(fd, LOCK_UN));
	pthread_join(id, NULL);
	IS(t.r, 0);
	ERR(EAGAIN, flock(fd, LOCK_SH | LOCK_NB));
	close(fd);
	close(also);
}

/* Locks are the file's, not the name's, and no obstacle to anything else. */
GROUP(lock_and_names)
{
	struct peer p = peer_start();
	int fd = make("f"), other;

	OK(peer_does(&p, OPEN, 0, O_RDWR));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(flock(fd, LOCK_EX));
	OK(rename("f", "g"));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_RDLCK, 0, 0));
	OK(link("g", "f"));
	OK(peer_does(&p, OPEN, 1, O_RDWR));
	ERR(EAGAIN, peer_lock(&p, 1, F_SETLK, F_RDLCK, 0, 0));
	ERR(EAGAIN, peer_does(&p, FLOCK, 1, LOCK_SH | LOCK_NB));
	OK(unlink("g"));
	OK(unlink("f"));
	ERR(EAGAIN, peer_lock(&p, 0, F_SETLK, F_RDLCK, 0, 0));
	OK(other = make("f"));
	OK(peer_does(&p, OPEN, 2, O_RDWR));
	OK(peer_lock(&p, 2, F_SETLK, F_WRLCK, 0, 0));
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	OK(peer_lock(&p, 0, F_SETLK, F_WRLCK, 0, 0));
	/* Advisory. */
	IS(pwrite(fd, "written", 7, 0), 7);
	T(all(fd, 0, 1, 'w'));
	OK(ftruncate(fd, 3));
	IS(f_stat(fd).st_size, 3);
	close(other);
	close(fd);
	peer_end(&p);
}
