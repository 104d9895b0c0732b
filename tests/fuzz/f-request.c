/*
 * Fuzzer of the request decoder: messages as the kernel sends them, and as it never would,
 * through a FUSE session whose other end is held by us, down to the vnodes and a directory
 * of the host in memory.
 *
 * Each input has a namespace of its own, declared as an administrator would: memory, a
 * whole directory key, views of it that are read-only, flat or follow links, windows, a
 * key that is missing, a whiteout and a directory in memory over the host's.
 *
 * What must hold: every request that is owed an answer gets one and only one, with its
 * number and of a length that the kernel takes; forgets get none; and when the input is over
 * everything comes down with no vnode, no memory and no fd left (checked build, ASan's leak
 * check, a count of ours).  Answers that cannot be delivered are part of it: nothing may be
 * left of what they would have given.
 *
 * What the kernel holds by then, by our books, is what the namespace has on its own: each
 * lookup and each open file that was delivered and not given back, and none else.
 *
 * What is read from a message ends where the message ends: for those in the form of the
 * kernel the rest of the buffer is poisoned.
 *
 * The calls at the daemon's end of the socket pair are wrapped, to stand in for the device
 * where a socket is another thing.  The host is kept small (so is fallocate), and the rights to make devices and
 * immutable files are dropped: an input may come from anywhere.
 */
#include "daemon/fe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <linux/capability.h>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/apply.h"
#include "daemon/fe_wire.h"
#include "daemon/log.h"
#include "hostcalls/hostcalls.h"
#include "tests/fuzz/request.h"

#define HOST_MAX (16u << 20)
#define BUF_MAX  (2u << 20)
#define TAIL     8192u /* behind a message, zeroed or poisoned */

static char base[64]; /* the directory of the host's that the keys are in */
static int base_fd, host_fd;
static struct conf *conf;
static struct fe fe;
static size_t answer_max;

/* One input's session. */
static struct fuse_session *se;
static int ends[2]; /* the daemon's and the kernel's */
static unsigned char msg[MSG_MAX + 64], buf[BUF_MAX] __attribute__((aligned(4096)));
static struct script script;
static struct sent sent[2 * STEPS_MAX + 2];
static unsigned nsent;
static bool lost;
static size_t message_end; /* in buf */

int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_splice(
    int from, off_t *off, int to, off_t *to_off, size_t n, unsigned flags);

int
__wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	off_t end;

	if (!(mode & FALLOC_FL_PUNCH_HOLE) && !__builtin_add_overflow(off, len, &end) &&
	    end > HOST_MAX) {
		errno = ENOSPC;
		return -1;
	}
	return __real_fallocate64(fd, mode, off, len);
}

static const char conf_text[] =
    "[daemon]\nattr-timeout = 1s\n"
    "[rumpfs]\nsize = 2M\ninodes = 100\n"
    "[dir /mem]\nmode = 01777\n"
    "[file /mem/f]\ncontent = hello\\n\n"
    "[symlink /mem/l]\ntarget = f\n"
    "[node /mem/fifo]\ntype = fifo\n"
    "[whiteout /k/hidden]\n"
    "[dir /k/over]\n"
    "[file /k/over/f]\ncontent = over\n"
    "[file /k/sub/deep]\ncontent = deep\n"
    "[etfs /k]\nhost = %s/t\nspecial = yes\n"
    "[etfs /ro]\nhost = %s/t\naccess = ro\n"
    "[etfs /flw]\nhost = %s/t\nsymlinks = follow\n"
    "[etfs /one]\nhost = %s/t\ntype = dir\n"
    "[etfs /w]\nhost = %s/img\ntype = blk\nbegin = 4096\nsize = 8192\n"
    "[etfs /c]\nhost = %s/img\ntype = chr\nbegin = 512\nsize = 2048\n"
    "[etfs /r]\nhost = %s/t/file\n"
    "[etfs /late]\nhost = %s/t/late\nmissing = hide\n";

static void
quiet(enum fuse_log_level level, const char *fmt, va_list ap)
{
}

/* Whatever an input asks for, it is not a device that it gets. */
static void
drop_rights(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	NEED(syscall(SYS_capget, &head, data) == 0);
	for (unsigned i = 0; i < 2; i++) {
		if (i == 0)
			data[i].effective &=
			    ~(1u << CAP_MKNOD | 1u << CAP_LINUX_IMMUTABLE);
		data[i].permitted = data[i].effective;
		data[i].inheritable = 0;
	}
	NEED(syscall(SYS_capset, &head, data) == 0);
}

/* Removes everything below the directory dirfd. */
static void
clear(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	NEED(d);
	while ((e = readdir(d))) {
		int sub;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    unlinkat(dirfd, e->d_name, 0) == 0)
			continue;
		if (fchmodat(dirfd, e->d_name, 0700, 0) == 0 &&
		    (sub = openat(
			 dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) >= 0) {
			clear(sub);
			close(sub);
		}
		NEED(unlinkat(dirfd, e->d_name, AT_REMOVEDIR) == 0);
	}
	closedir(d);
}

static void
clear_base(void)
{
	clear(base_fd);
	rmdir(base);
}

static void
host_file(int dirfd, const char *name, size_t size)
{
	int fd = openat(
	    dirfd, name, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644);

	if (fd < 0)
		return; /* there is something else by that name */
	if (write(fd, "hello, host", 11) < 0 || ftruncate(fd, (off_t)size) < 0)
		close(fd);
	else
		close(fd);
}

static void
host_tree(void)
{
	NEED(mkdirat(base_fd, "t", 0777) == 0);
	host_fd = openat(base_fd, "t", O_RDONLY | O_DIRECTORY);
	NEED(host_fd >= 0);
	host_file(base_fd, "img", 16384);
	host_file(host_fd, "file", 200);
	NEED(mkdirat(host_fd, "sub", 0777) == 0);
	host_file(host_fd, "sub/inner", 5000);
	NEED(symlinkat("file", host_fd, "link") == 0);
	NEED(symlinkat("sub", host_fd, "up") == 0);
	NEED(symlinkat("loop", host_fd, "loop") == 0);
	NEED(mkfifoat(host_fd, "fifo", 0644) == 0);
}

static void
load_conf(void)
{
	char name[64], text[4096];
	struct conf_errors e = {0};
	int fd = memfd_create("conf", MFD_CLOEXEC);
	int len = snprintf(text, sizeof(text), conf_text, base, base, base, base, base,
	    base, base, base);

	NEED(fd >= 0 && write(fd, text, (size_t)len) == len);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	conf = conf_load(name, &e);
	for (size_t i = 0; i < e.ce_n; i++)
		fprintf(stderr, "%s\n", e.ce_text[i]);
	NEED(conf);
	close(fd);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("TMPDIR");

	snprintf(base, sizeof(base), "%s/rf-fuzz-XXXXXX", dir ? dir : "/dev/shm");
	NEED(mkdtemp(base));
	NEED(chmod(base, 0755) == 0);
	base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	NEED(base_fd >= 0);
	drop_rights();
	umask(0);
	name_hash_seed = 1; /* an input does the same each time */
	atexit(clear_base);
	log_init(LOG_EMERG);
	fuse_set_log_func(quiet);
	load_conf();
	NEED(hc_init() == 0); /* it keeps an fd */
	return 0;
}

/* How much of what was got is the message's.  Beyond it libfuse is to find zeros where it
 * reads on (request.h); everybody else is to read nothing. */
static size_t
poison(size_t got)
{
	const struct fuse_in_header *h = (const struct fuse_in_header *)buf;
	size_t end = got;

	/* These are decoded by fe_wire.c, which goes by the length that the header says. */
	if ((h->opcode == OP_TMPFILE || h->opcode == OP_STATX) && h->len < got)
		end = h->len < sizeof(*h) ? sizeof(*h) : h->len;
	else if (h->opcode != OP_TMPFILE && h->opcode != OP_STATX &&
		 !sent[nsent - 1].r_plain)
		return got;
	ASAN_POISON_MEMORY_REGION(buf + end, got - end + TAIL);
	return end;
}

/* The daemon's end. */
static ssize_t
take_in(void *to, size_t n)
{
	ssize_t got;

	NEED(to == buf && n <= sizeof(buf) - MSG_MAX - TAIL);
	ASAN_UNPOISON_MEMORY_REGION(buf + message_end, MSG_MAX + TAIL);
	got = recv(ends[0], to, n, MSG_DONTWAIT);
	if (got <= 0)
		return got;
	memset(buf + got, 0, TAIL);
	message_end = poison((size_t)got);
	return got;
}

/* An answer to somebody who has gone meanwhile: it counts, and nothing comes of it. */
static ssize_t
lose(const struct iovec *iov)
{
	const struct fuse_out_header *h = iov[0].iov_base;
	bool known = false;

	for (unsigned i = 0; i < nsent; i++) {
		if (sent[i].r_unique != h->unique)
			continue;
		NEED(++sent[i].r_answers == 1);
		known = true;
	}
	NEED(known);
	errno = ENOENT;
	return -1;
}

ssize_t
__wrap_read(int fd, void *to, size_t n)
{
	return fd == ends[0] ? take_in(to, n) : __real_read(fd, to, n);
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int n)
{
	if (fd == ends[0] && lost)
		return lose(iov);
	return __real_writev(fd, iov, n);
}

/* The device takes an answer out of a pipe as one, a socket would take it by pages. */
ssize_t
__wrap_splice(int from, off_t *off, int to, off_t *to_off, size_t n, unsigned flags)
{
	static char out[BUF_MAX] __attribute__((aligned(8)));
	struct iovec iov = {out, 0};

	NEED(to == ends[0] && n <= sizeof(out));
	while (iov.iov_len < n) {
		ssize_t got = __real_read(from, out + iov.iov_len, n - iov.iov_len);

		NEED(got > 0);
		iov.iov_len += (size_t)got;
	}
	return __wrap_writev(to, &iov, 1);
}

static struct sent *
sent_find(uint64_t unique)
{
	for (unsigned i = nsent; i-- > 0;)
		if (sent[i].r_unique == unique)
			return &sent[i];
	NEED(!"an answer is to a request");
	return NULL;
}

static void
drain(void)
{
	static unsigned char answer[BUF_MAX] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = recv(ends[1], answer, sizeof(answer), MSG_DONTWAIT)) >= 0) {
		uint64_t unique = ((struct fuse_out_header *)answer)->unique;

		NEED((size_t)n >= sizeof(struct fuse_out_header));
		answer_check(&script, sent_find(unique), answer, (size_t)n);
	}
	NEED(errno == EAGAIN);
}

/* Sends what is in msg; all of it is done when this returns. */
static void
deliver(size_t len)
{
	struct fuse_buf fb = {.mem = buf};

	memset(msg + len, 0, 64);
	NEED(send(ends[1], msg, len, 0) == (ssize_t)len);
	held_message(&script.s_held, msg);
	/* Nothing is left for libfuse of what fe_wire.c answers itself. */
	if (fuse_session_receive_buf(se, &fb) > 0)
		fuse_session_process_buf(se, &fb);
	drain();
	if (sent[nsent - 1].r_opcode != FUSE_INTERRUPT)
		NEED(sent[nsent - 1].r_answers == !sent[nsent - 1].r_silent);
}

static void
step_request(uint8_t op)
{
	struct sent *r = &sent[nsent++];
	uint8_t how = script.s_in.in_left ? script.s_in.in_ptr[0] : 0;
	uint8_t fault = script.s_in.in_left > 2 ? script.s_in.in_ptr[2] : 0;
	size_t len = build_request(&script, op, msg, r);

	lost = how & HOW_LOST;
	if (how & HOW_FAULT)
		hc_fault_set(1 + (fault & 7), fault & 8 ? EMFILE : EIO);
	deliver(len);
	hc_fault_set(0, 0);
	lost = false;
}

/* libfuse keeps interrupts that it has no request for, and hands each back at a later
 * request, to be tried again; what it keeps at the end it never frees. */
static void
after_interrupts(void)
{
	unsigned n = nsent;

	for (unsigned i = 0; i < n; i++) {
		if (sent[i].r_opcode != FUSE_INTERRUPT)
			continue;
		deliver(build_statfs(&script, msg, &sent[nsent++]));
	}
}

static const struct conf_etfs *
key_number(uint8_t b)
{
	return &conf->c_etfs[b % conf->c_netfs];
}

/* The world changes by itself.  None of it may fail the test, whatever comes of it. */
static void
step_world(struct space *sp, uint8_t op)
{
	struct input *in = &script.s_in;
	const char *a, *b;
	uint8_t n;

	n = in_byte(in);
	a = build_host_name(n);
	b = build_host_name(in_byte(in));
	/* Of one component: no directory on the way is a link that leads away. */
	if (strchr(a, '/') || strchr(b, '/'))
		return;
	switch (op & 7) {
	case 0:
		(void)!renameat2(host_fd, a, host_fd, b, n & 0x80 ? RENAME_EXCHANGE : 0);
		break;
	case 1:
		(void)!unlinkat(host_fd, a, 0);
		break;
	case 2:
		(void)!unlinkat(host_fd, a, AT_REMOVEDIR);
		break;
	case 3:
		(void)!mkdirat(host_fd, a, 0777);
		break;
	case 4:
		host_file(n & 0x80 ? base_fd : host_fd, n & 0x80 ? "img" : a, n * 64);
		break;
	case 5:
		(void)!symlinkat(b, host_fd, a);
		break;
	case 6:
		(void)etfs_remove(sp->sp_etfs, key_number(n)->ce_path);
		break;
	case 7:
		(void)apply_key(sp->sp_etfs, key_number(n));
		break;
	}
}

static void
session_open(void)
{
	char name[] = "fuzz", *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int room = 4 << 20;
	socklen_t len = sizeof(room);

	NEED(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	for (unsigned i = 0; i < 2; i++)
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) <
		    0)
			setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	NEED(getsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, &len) == 0);
	answer_max = room > (int)BUF_MAX ? UINT32_MAX : (size_t)room / 4;
	se = fuse_session_new(&args, &fe_ops, sizeof(fe_ops), &fe);
	NEED(se);
	NEED(fe_wire_start(se, ends[0]) == 0);
	fuse_opt_free_args(&args);
}

static void
greet(uint8_t b)
{
	uint32_t flags[] = {UINT32_MAX, UINT32_MAX & ~(uint32_t)FUSE_INIT_EXT,
	    FUSE_BIG_WRITES | FUSE_ASYNC_READ, 0};
	size_t len;

	nsent = 1;
	len = build_init(&script, 31 + b % 15, flags[b >> 6], msg);
	sent[0] = (struct sent){
	    .r_unique = script.s_unique, .r_opcode = FUSE_INIT, .r_plain = true};
	deliver(len);
}

static unsigned
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	NEED(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void
check_node(void *obj, void *arg)
{
	struct vnode *vp = obj;

	/* The root is the kernel's whether it has looked it up or not. */
	if (vp != vfs_root_peek(arg))
		NEED(atomic_load(&vp->v_nlookup) ==
		     held_lookups(&script.s_held, vp->v_id));
}

/* What answers have given is there, and nothing else is. */
static void
check_held(struct vfs *v)
{
	const struct held *h = &script.s_held;

	slots_each(&v->vfs_nodes, check_node, v);
	for (unsigned i = 0; i < h->h_nnodes; i++)
		if (h->h_nodes[i].lookups > 0)
			NEED(vfs_node_peek(v, h->h_nodes[i].id));
	NEED(slots_count(&v->vfs_files) == h->h_nfiles);
	for (unsigned i = 0; i < h->h_nfiles; i++)
		NEED(vfs_file_peek(v, h->h_files[i]));
}

static void
run(struct space *sp)
{
	while (script.s_in.in_left > 0 && nsent < STEPS_MAX) {
		uint8_t op = in_byte(&script.s_in);

		if (op >= 0xf0)
			step_world(sp, op);
		else
			step_request(op);
	}
	after_interrupts();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct space sp;
	unsigned fds = count_fds();

	host_tree();
	NEED(space_new(&sp, conf, &(struct space_how){0}) == 0);
	/* One for all inputs: the buffers are the thread's. */
	if (!fe.fe_vfs)
		NEED(fe_init(&fe, &sp.sp_vfs) == 0);
	fe.fe_live = space_is_live(&sp);
	session_open();
	memset(&script, 0, sizeof(script));
	script.s_in = (struct input){data, size};
	script.s_max = answer_max;
	pool_add(&script.s_nodes, FUSE_ROOT_ID);
	greet(in_byte(&script.s_in));
	run(&sp);
	ASAN_UNPOISON_MEMORY_REGION(buf, sizeof(buf));
	message_end = 0;
	check_held(&sp.sp_vfs);
	fuse_session_destroy(se);
	close(ends[1]);
	space_done(&sp);
	close(host_fd);
	clear(base_fd);
	NEED(count_fds() == fds);
	return 0;
}

/* Whole records are moved about; what is in them is libFuzzer's to change. */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t n = size > 1 ? (size - 1) / RECORD : 0, a, b;
	uint8_t *rec = data + 1;

	if (n < 2 || seed % 4 != 0)
		return LLVMFuzzerMutate(data, size, max_size);
	seed /= 4;
	a = seed / 8 % n;
	b = seed / 64 % n;
	switch (seed % 4) {
	case 0: /* once more */
		if (size + RECORD > max_size)
			break;
		memmove(rec + (a + 1) * RECORD, rec + a * RECORD, size - 1 - a * RECORD);
		return size + RECORD;
	case 1: /* not at all */
		memmove(rec + a * RECORD, rec + (a + 1) * RECORD,
		    size - 1 - (a + 1) * RECORD);
		return size - RECORD;
	case 2: /* as another */
		memmove(rec + a * RECORD, rec + b * RECORD, RECORD);
		break;
	default: /* the same to other fields */
		rec[a * RECORD] = (uint8_t)(seed >> 16);
		break;
	}
	return size;
}
