/*
 * Requests by io_uring (fe_uring.h).
 *
 * An entry's memory: a page that the kernel describes the request in, room for small requests,
 * room for the data that come with the request or its answer, room for listings.  What has
 * data comes with them where they are, behind its header, which is put before them; anything
 * else is copied to its own room, so that the answer can be made where it is to be.
 *
 * The rings have no registered files: those, and the connection with them, would stay for as
 * long as anything of the process does.
 */
#include "daemon/fe_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/fe_ring.h"
#include "daemon/fe_wire.h"

/* As the kernel has it. */
#define CMD_REGISTER 1u
#define CMD_COMMIT   2u /* and the next */

struct ring_head {
	char in_out[128]; /* fuse_in_header, fuse_out_header */
	char op[128];     /* what the operation has before its names and data */
	uint64_t flags, commit_id;
	uint32_t payload_len, padding;
	uint64_t reserved;
};
_Static_assert(sizeof(struct ring_head) == 288, "as the kernel has it");

struct ring_cmd {
	uint64_t flags, commit_id;
	uint16_t queue;
	uint8_t padding[6];
};

#define ROOM        (16u << 10) /* of small requests; at least a page */
#define SMALL       (8u << 10)
#define KICK_MS     5
#define THREADS_MAX 512u /* of all queues */
#define CPUS_MAX    4096u
#define FDS_SHARE   8u /* of what may be open */

struct entry {
	struct ring_head *e_head;
	char *e_room, *e_data, *e_dir;
	struct iovec e_iov[2]; /* for the kernel */
	uint64_t e_commit_id;  /* 0: it has no request */
	uint64_t e_unique;     /* of the request */
	uint16_t e_queue;      /* c */
	bool e_answered;
	void *e_mem;
};

struct server {
	struct fe_uring *sv_ur;
	struct fe_ring sv_ring;
	struct entry *sv_entries; /* c: sv_n */
	unsigned sv_n, sv_live;
	int sv_cpu; /* c: or -1 */
	pthread_t sv_thread;
	atomic_bool sv_waits; /* a: in its ring */
	atomic_bool sv_ended; /* a */
};

enum gate {
	GATE_SHUT,
	GATE_OPEN,
	GATE_END
};

struct fe_uring {
	struct fe *ur_fe;             /* c */
	struct fuse_session *ur_se;   /* c */
	struct server *ur_servers;    /* c: ur_n */
	unsigned ur_n, ur_started;    /* c */
	size_t ur_room, ur_entry_len; /* c */
	pthread_mutex_t ur_mtx;
	pthread_cond_t ur_cond;
	enum gate ur_gate;    /* ur_mtx */
	atomic_bool ur_stop;  /* a */
	atomic_bool ur_gone;  /* a: the connection */
	_Atomic int ur_error; /* a */
};

static _Thread_local struct entry *serving;
static _Thread_local struct fe_uring *serving_for;

bool
fe_uring_serves(void)
{
	return serving != NULL;
}

bool
fe_uring_reply(const struct iovec *iov, int count, ssize_t *ret)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	struct entry *e = serving;
	struct fuse_out_header head;
	size_t len = 0;

	if (!e || e->e_answered || out->unique != e->e_unique)
		return false;
	head = *out;
	for (int i = 1; i < count; i++) {
		if (iov[i].iov_len > FE_DATA_MAX - len) {
			errno = EINVAL;
			*ret = -1;
			return true; /* it is answered with an error */
		}
		if (iov[i].iov_base != e->e_data + len)
			memcpy(e->e_data + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	memcpy(e->e_head->in_out, &head, sizeof(head));
	e->e_head->payload_len = (uint32_t)len;
	e->e_answered = true;
	*ret = (ssize_t)(sizeof(head) + len);
	/* The kernel has given it up, and takes nothing with it. */
	if (atomic_load_explicit(&serving_for->ur_gone, memory_order_relaxed)) {
		errno = ENOENT;
		*ret = -1;
	}
	return true;
}

/* Commands. */

static void
command(struct server *sv, struct entry *e, unsigned op)
{
	struct io_uring_sqe *sqe = fe_ring_next(&sv->sv_ring);
	struct ring_cmd cmd = {.commit_id = e->e_commit_id, .queue = e->e_queue};

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fuse_session_fd(sv->sv_ur->ur_se);
	sqe->cmd_op = op;
	sqe->user_data = (uintptr_t)e;
	if (op == CMD_REGISTER) {
		sqe->addr = (uintptr_t)e->e_iov;
		sqe->len = 2;
	}
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &cmd, sizeof(cmd));
}

/* Where the request is, in one piece; NULL: it has no form that could be. */
static char *
join(struct fe_uring *ur, struct entry *e, size_t *ret_len)
{
	const struct ring_head *rh = e->e_head;
	const struct fuse_in_header *in = (const void *)rh->in_out;
	size_t data = rh->payload_len, op;
	char *at;

	if (in->len < sizeof(*in) + data || data > FE_DATA_MAX)
		return NULL;
	op = in->len - sizeof(*in) - data;
	if (op > sizeof(rh->op))
		return NULL;
	if (in->opcode == FUSE_WRITE || data > SMALL) {
		at = e->e_data - op - sizeof(*in);
	} else {
		at = e->e_room;
		memcpy(at + sizeof(*in) + op, e->e_data, data);
	}
	memcpy(at, in, sizeof(*in));
	memcpy(at + sizeof(*in), rh->op, op);
	*ret_len = in->len;
	return at;
}

static void
answer_unanswered(struct entry *e)
{
	struct fuse_out_header out = {
	    .len = sizeof(out), .error = -EIO, .unique = e->e_unique};

	memcpy(e->e_head->in_out, &out, sizeof(out));
	e->e_head->payload_len = 0;
}

static void
serve_request(struct server *sv, struct entry *e, struct fe_bufs *fb)
{
	struct fe_uring *ur = sv->sv_ur;
	struct fuse_buf buf = {.fd = -1};
	char *req = join(ur, e, &buf.size);

	e->e_commit_id = e->e_head->commit_id;
	e->e_unique =
	    ((const struct fuse_in_header *)(const void *)e->e_head->in_out)->unique;
	e->e_answered = false;
	if (req) {
		fb->fb_data = e->e_data;
		fb->fb_dir = e->e_dir;
		buf.mem = req;
		serving = e;
		serving_for = ur;
		fe_wire_take(ur->ur_fe, req, buf.size);
		fuse_session_process_buf(ur->ur_se, &buf);
		serving = NULL;
		fe_wire_rest(ur->ur_fe);
	}
	if (!e->e_answered)
		answer_unanswered(e);
	command(sv, e, CMD_COMMIT);
}

/* What a command has come to. */
static void
take(struct server *sv, struct entry *e, int result, struct fe_bufs *fb)
{
	struct fe_uring *ur = sv->sv_ur;
	int none = 0;

	if (result == 0) {
		serve_request(sv, e, fb);
	} else if (result == -EAGAIN || result == -EINTR) {
		command(sv, e, e->e_commit_id ? CMD_COMMIT : CMD_REGISTER);
	} else {
		sv->sv_live--;
		if (result == -ENOTCONN || result == -ECONNABORTED ||
		    result == -ECANCELED)
			atomic_store(&ur->ur_gone, true);
		else if (!e->e_commit_id)
			atomic_compare_exchange_strong(&ur->ur_error, &none, result);
	}
}

static void
serve(struct server *sv, struct fe_bufs *fb)
{
	struct fe_uring *ur = sv->sv_ur;
	uint64_t data;
	int r = fe_ring_enable(&sv->sv_ring), result;

	for (unsigned i = 0; i < sv->sv_n; i++)
		command(sv, &sv->sv_entries[i], CMD_REGISTER);
	sv->sv_live = sv->sv_n;
	while (r == 0 && sv->sv_live > 0 && !atomic_load(&ur->ur_stop)) {
		atomic_store(&sv->sv_waits, true);
		r = fe_ring_wait(&sv->sv_ring);
		atomic_store(&sv->sv_waits, false);
		if (r == -EINTR || r == -EAGAIN || r == -EBUSY)
			r = 0;
		/* One, so that its answer waits for none of the others. */
		if (r == 0 && fe_ring_take(&sv->sv_ring, &data, &result))
			take(sv, (struct entry *)(uintptr_t)data, result, fb);
	}
	/* What was answered last. */
	if (r == 0 && sv->sv_ring.rg_queued)
		(void)fe_ring_submit(&sv->sv_ring);
	if (r < 0)
		atomic_compare_exchange_strong(&ur->ur_error, &(int){0}, r);
}

static enum gate
await_gate(struct fe_uring *ur)
{
	enum gate g;

	pthread_mutex_lock(&ur->ur_mtx);
	while (ur->ur_gate == GATE_SHUT)
		pthread_cond_wait(&ur->ur_cond, &ur->ur_mtx);
	g = ur->ur_gate;
	pthread_mutex_unlock(&ur->ur_mtx);
	return g;
}

static void *
run(void *arg)
{
	struct server *sv = arg;
	struct fe_uring *ur = sv->sv_ur;
	/* The key frees it. */
	struct fe_bufs *fb = calloc(1, sizeof(*fb));

	pthread_setname_np(pthread_self(), "rumpfuse-ring");
	if (fb && pthread_setspecific(ur->ur_fe->fe_bufs_key, fb) != 0) {
		free(fb);
		fb = NULL;
	}
	if (await_gate(ur) == GATE_OPEN && fb)
		serve(sv, fb);
	atomic_store(&sv->sv_ended, true);
	return NULL;
}

/* Starting and ending. */

static void
set_gate(struct fe_uring *ur, enum gate g)
{
	pthread_mutex_lock(&ur->ur_mtx);
	ur->ur_gate = g;
	pthread_cond_broadcast(&ur->ur_cond);
	pthread_mutex_unlock(&ur->ur_mtx);
}

void
fe_uring_go(struct fe_uring *ur, bool agreed)
{
	set_gate(ur, agreed ? GATE_OPEN : GATE_END);
}

/* Wakes those that wait in their rings; how many have not ended. */
static unsigned
kick(struct fe_uring *ur)
{
	unsigned left = 0;

	for (unsigned i = 0; i < ur->ur_started; i++) {
		struct server *sv = &ur->ur_servers[i];

		if (atomic_load(&sv->sv_ended))
			continue;
		left++;
		if (atomic_load(&sv->sv_waits))
			pthread_kill(sv->sv_thread, SIGUSR2);
	}
	return left;
}

void
fe_uring_stop(struct fe_uring *ur)
{
	const struct timespec pause = {.tv_nsec = KICK_MS * 1000000};

	if (!ur)
		return;
	atomic_store(&ur->ur_stop, true);
	pthread_mutex_lock(&ur->ur_mtx);
	if (ur->ur_gate == GATE_SHUT)
		ur->ur_gate = GATE_END;
	pthread_cond_broadcast(&ur->ur_cond);
	pthread_mutex_unlock(&ur->ur_mtx);
	/* Again, for a signal that comes just before a thread waits wakes nobody. */
	while (kick(ur) > 0)
		nanosleep(&pause, NULL);
	for (unsigned i = 0; i < ur->ur_started; i++)
		pthread_join(ur->ur_servers[i].sv_thread, NULL);
	ur->ur_started = 0;
}

static int
start_one(struct server *sv)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int r;

	if (sv->sv_cpu < 0 || sv->sv_cpu >= CPU_SETSIZE)
		return -pthread_create(&sv->sv_thread, NULL, run, sv);
	CPU_ZERO(&cpus);
	CPU_SET(sv->sv_cpu, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	r = -pthread_create(&sv->sv_thread, &attr, run, sv);
	pthread_attr_destroy(&attr);
	/* We may not run there. */
	return r < 0 ? -pthread_create(&sv->sv_thread, NULL, run, sv) : 0;
}

int
fe_uring_start(struct fe_uring *ur)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ur->ur_n; i++) {
		r = start_one(&ur->ur_servers[i]);
		if (r == 0)
			ur->ur_started++;
	}
	if (r < 0)
		fe_uring_stop(ur);
	return r;
}

unsigned
fe_uring_threads(const struct fe_uring *ur)
{
	return ur->ur_n;
}

int
fe_uring_error(const struct fe_uring *ur)
{
	return atomic_load(&ur->ur_error);
}

/* Making. */

int
fe_uring_offered(void)
{
	char c = 0;
	int fd = open("/sys/module/fuse/parameters/enable_uring", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return access("/sys/module", F_OK) == 0 ? -ENOSYS : 0;
	if (read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c == 'Y' || c == '1' ? 0 : -ENXIO;
}

/* The processors of a list as "0-3,6", of which there can be n; how many the last of them
 * comes to, or -errno. */
static int
read_cpus(const char *path, bool *set, unsigned n)
{
	FILE *f = fopen(path, "re");
	unsigned a, b, end = 0;
	int c;

	if (!f)
		return -errno;
	while (fscanf(f, "%u", &a) == 1) {
		b = a;
		c = fgetc(f);
		if (c == '-' && fscanf(f, "%u", &b) == 1)
			c = fgetc(f);
		for (; a <= b && a < n; a++) {
			if (set)
				set[a] = true;
			end = a + 1;
		}
		if (c != ',')
			break;
	}
	fclose(f);
	return end ? (int)end : -EINVAL;
}

static int
new_entry(struct fe_uring *ur, struct entry *e, unsigned queue)
{
	char *at = mmap(NULL, ur->ur_entry_len, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	e->e_mem = at;
	e->e_head = (struct ring_head *)(void *)at;
	e->e_room = at + ur->ur_room;
	e->e_data = e->e_room + ur->ur_room;
	e->e_dir = e->e_data + FE_DATA_MAX;
	e->e_iov[0] = (struct iovec){at, sizeof(struct ring_head)};
	e->e_iov[1] = (struct iovec){e->e_data, FE_DATA_MAX};
	e->e_queue = (uint16_t)queue;
	return 0;
}

static struct server *
new_server(struct fe_uring *ur, int cpu, unsigned entries)
{
	struct server *sv = &ur->ur_servers[ur->ur_n];

	sv->sv_ur = ur;
	sv->sv_cpu = cpu;
	sv->sv_entries = calloc(entries, sizeof(*sv->sv_entries));
	if (!sv->sv_entries || fe_ring_init(&sv->sv_ring, entries) < 0) {
		free(sv->sv_entries);
		return NULL;
	}
	ur->ur_n++;
	return sv;
}

/* 0 or -errno. */
static int
new_servers(struct fe_uring *ur, const bool *online, unsigned cpus, unsigned each)
{
	unsigned absent = 0;
	struct server *sv;
	int r = 0;

	for (unsigned k = 0; k < each; k++) {
		for (unsigned q = 0; r == 0 && q < cpus; q++) {
			if (!online[q]) {
				absent += k == 0;
				continue;
			}
			sv = new_server(ur, (int)q, 1);
			if (!sv)
				return k ? 0 : -ENOMEM;
			sv->sv_n = 1;
			r = new_entry(ur, &sv->sv_entries[0], q);
		}
	}
	if (absent == 0 || r < 0)
		return r;
	sv = new_server(ur, -1, absent);
	for (unsigned q = 0; sv && r == 0 && q < cpus; q++)
		if (!online[q])
			r = new_entry(ur, &sv->sv_entries[sv->sv_n++], q);
	return sv ? r : -ENOMEM;
}

/* Each has a descriptor. */
static unsigned
most_servers(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur / FDS_SHARE > THREADS_MAX)
		return THREADS_MAX;
	return (unsigned)(rl.rlim_cur / FDS_SHARE);
}

int
fe_uring_new(
    struct fe *fe, struct fuse_session *se, unsigned threads, struct fe_uring **ret)
{
	static bool online[CPUS_MAX];
	int cpus = read_cpus("/sys/devices/system/cpu/possible", NULL, CPUS_MAX);
	int there = read_cpus("/sys/devices/system/cpu/online", online, CPUS_MAX);
	unsigned n = 0, most = most_servers();
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fe_uring *ur;
	int r;

	if (cpus < 0 || there < 0)
		return cpus < 0 ? cpus : there;
	for (int i = 0; i < cpus; i++)
		n += online[i];
	if (n + 1 > most)
		return -EMFILE;
	if (threads > (most - 1) / n)
		threads = (most - 1) / n;
	ur = calloc(1, sizeof(*ur));
	if (!ur)
		return -ENOMEM;
	ur->ur_fe = fe;
	ur->ur_se = se;
	ur->ur_room = ROOM > page ? ROOM : page;
	ur->ur_entry_len = 2 * ur->ur_room + FE_DATA_MAX + FE_DIR_MAX;
	pthread_mutex_init(&ur->ur_mtx, NULL);
	pthread_cond_init(&ur->ur_cond, NULL);
	ur->ur_servers = calloc((size_t)n * threads + 1, sizeof(*ur->ur_servers));
	r = ur->ur_servers ? new_servers(ur, online, (unsigned)cpus, threads) : -ENOMEM;
	if (r < 0)
		fe_uring_free(ur);
	else
		*ret = ur;
	return r;
}

void
fe_uring_free(struct fe_uring *ur)
{
	if (!ur)
		return;
	for (unsigned i = 0; i < ur->ur_n; i++) {
		struct server *sv = &ur->ur_servers[i];

		fe_ring_done(&sv->sv_ring);
		for (unsigned k = 0; k < sv->sv_n; k++)
			if (sv->sv_entries[k].e_mem)
				munmap(sv->sv_entries[k].e_mem, ur->ur_entry_len);
		free(sv->sv_entries);
	}
	free(ur->ur_servers);
	pthread_mutex_destroy(&ur->ur_mtx);
	pthread_cond_destroy(&ur->ur_cond);
	free(ur);
}
