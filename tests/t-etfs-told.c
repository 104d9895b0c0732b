/* What the kernel is told of changes, and for how long things are good: watched
 * directories, and one host file under several keys. */
#include <pthread.h>
#include <sys/fsuid.h>

#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"

/* What was told. */
static struct told {
	pthread_mutex_t mtx;
	unsigned expired, attrs, settled;
	char name[NAME_LEN_MAX + 1]; /* the last that expired */
	struct vnode *vp;            /* the last whose attributes did; not to be used */
} told = {.mtx = PTHREAD_MUTEX_INITIALIZER};

static void
note_name(void *arg, struct vnode *dvp, const struct name *n)
{
	(void)arg;
	(void)dvp;
	pthread_mutex_lock(&told.mtx);
	told.expired++;
	strcpy(told.name, n->n_ptr);
	pthread_mutex_unlock(&told.mtx);
}

static void
note_inode(void *arg, struct vnode *vp)
{
	(void)arg;
	pthread_mutex_lock(&told.mtx);
	told.attrs++;
	told.vp = vp;
	pthread_mutex_unlock(&told.mtx);
}

static void
note_settle(void *arg)
{
	(void)arg;
	told.settled++;
}

static const struct vfs_notify_ops recorder = {
    .entry = note_name,
    .inode = note_inode,
    .expire = note_name,
    .attrs = note_inode,
    .settle = note_settle,
};

static unsigned
read_count(const unsigned *n)
{
	pthread_mutex_lock(&told.mtx);
	unsigned v = *n;
	pthread_mutex_unlock(&told.mtx);
	return v;
}

/* Waits until the count is over what it was. */
static bool
comes(const unsigned *n, unsigned was)
{
	for (unsigned i = 0; i < 500 && read_count(n) <= was; i++)
		usleep(10000);
	return read_count(n) > was;
}

static uint64_t
attr_ttl(struct vnode *dvp, struct vnode *vp)
{
	struct vattr va;

	if (vop_getattr(vp, NULL, &va) < 0)
		return 1;
	return mount_attr_ttl(dvp, vp, &va);
}

#define LONG 10000000000ull
#define BASE 1000000000ull

TEST(watched)
{
	AUTO_BED b;
	struct vnode *d, *f, *p;
	unsigned was;

	bed_start(&b, 0);
	b.v.vfs_notify = &recorder;
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	host_text(&b, "t/f", "f");
	CHECK_EQ(link(host(&b, "t/f"), host(&b, "t/g")), 0);
	host_text(&b, "t/h", "h");
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	struct etfs_spec s = {.es_key = "/p",
	    .es_host = host(&b, "t"),
	    .es_size = ETFS_SIZE_END,
	    .es_watch = ETFS_WATCH_NO};
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	watch_start(b.e);
	usleep(60000); /* the files are not of this tick any more */
	d = at(&b, "/d");
	f = at(&b, "/d/h");
	CHECK(node_of(d)->n_wd != 0);
	CHECK_EQ(mount_name_ttl(d), LONG);
	CHECK_EQ(attr_ttl(d, f), LONG);
	CHECK_EQ(attr_ttl(NULL, f), LONG);
	vn_unref(f);
	f = at(&b, "/d/f"); /* it has another name */
	CHECK_EQ(attr_ttl(d, f), BASE);
	vn_unref(f);
	p = at(&b, "/p");
	f = at(&b, "/p/h");
	CHECK_EQ(mount_name_ttl(p), BASE);
	CHECK_EQ(attr_ttl(p, f), BASE);
	vn_unref(f);

	was = read_count(&told.expired);
	host_text(&b, "t/new", "new");
	CHECK(comes(&told.expired, was));
	CHECK_STR(told.name, "new");
	/* What was made here, and is as it was told, is left alone. */
	was = read_count(&told.expired);
	CHECK_EQ(do_make(&b, "/d/made", VDIR, NULL), 0);
	f = at(&b, "/d/made");
	CHECK(attr_ttl(d, f) > 0);
	usleep(200000);
	CHECK_EQ(read_count(&told.expired), was);
	/* Its attributes are told when they change. */
	was = read_count(&told.attrs);
	CHECK_EQ(chmod(host(&b, "t/made"), 0700), 0);
	CHECK(comes(&told.attrs, was));
	vn_unref(f);
	/* Names that go. */
	was = read_count(&told.expired);
	CHECK_EQ(unlink(host(&b, "t/h")), 0);
	CHECK(comes(&told.expired, was));
	CHECK_STR(told.name, "h");
	vn_unref(p);
	vn_unref(d);
}

/* A directory that the daemon may not read goes without a watch, and others do not. */
TEST(watch_refused)
{
	static const struct {
		const char *dir;
		bool watched;
	} rows[] = {{"/d/bad", false}, {"/d/good", true}, {"/d/other", true}};
	int uid = 0;
	AUTO_BED b;

	bed_start(&b, 0);
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/bad"), 0711), 0);
	CHECK_EQ(mkdir(host(&b, "t/good"), 0755), 0);
	CHECK_EQ(mkdir(host(&b, "t/other"), 0755), 0);
	CHECK_EQ(chmod(b.dir.path, 0755), 0);
	if (geteuid() != 0)
		CHECK_EQ(chmod(host(&b, "t/bad"), 0311), 0);
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	watch_start(b.e);
	if (geteuid() == 0)
		uid = setfsuid(65534) == 0 ? 65534 : 0;
	for (unsigned i = 0; i < 3; i++) {
		AUTO_VNODE d = at(&b, rows[i].dir);
		AUTO_PIN pin = {.p_fd = -1};

		CHECK(d != NULL);
		if (!d || node_pin(node_of(d), &pin) < 0)
			continue;
		watch_want(node_of(d), pin.p_fd);
		CHECK_EQ(node_of(d)->n_wd != 0, rows[i].watched);
		/* It is not asked about again just now. */
		setfsuid(0);
		watch_want(node_of(d), pin.p_fd);
		CHECK_EQ(node_of(d)->n_wd != 0, rows[i].watched);
		setfsuid((uid_t)uid);
	}
	setfsuid(0);
}

/* Holds the thread that tells, at the first thing that it tells. */
static struct gate {
	pthread_mutex_t mtx;
	pthread_cond_t cond;
	bool reached, open;
	struct vnode *want;
	bool told; /* what became of that one */
} gate = {.mtx = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void
gate_pass(void *arg, struct vnode *vp)
{
	(void)arg;
	pthread_mutex_lock(&gate.mtx);
	gate.reached = true;
	gate.told |= vp == gate.want;
	pthread_cond_broadcast(&gate.cond);
	while (!gate.open)
		pthread_cond_wait(&gate.cond, &gate.mtx);
	pthread_mutex_unlock(&gate.mtx);
}

static void
gate_name(void *arg, struct vnode *dvp, const struct name *n)
{
	(void)arg;
	(void)dvp;
	(void)n;
}

static const struct vfs_notify_ops gatekeeper = {
    .entry = gate_name,
    .inode = gate_pass,
    .expire = gate_name,
    .attrs = gate_pass,
    .settle = note_settle,
};

/* Waits for one of the two, 5 s at most. */
static bool
gate_says(const bool *what)
{
	bool is = false;

	for (unsigned i = 0; i < 500 && !is; i++) {
		pthread_mutex_lock(&gate.mtx);
		is = *what;
		pthread_mutex_unlock(&gate.mtx);
		if (!is)
			usleep(10000);
	}
	return is;
}

/* How many events wait to be read at the most; 0: not known, or too many to make. */
static unsigned
events_max(void)
{
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
	unsigned n = 0;

	if (f && fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n <= 100000 ? n : 0;
}

/* Of a change whose event is lost the kernel is told because something was lost. */
TEST(lost_events)
{
	unsigned max = events_max(), events;
	struct vnode *d, *f, *late;
	struct vattr va;
	AUTO_BED b;

	bed_start(&b, 0);
	if (max == 0)
		SKIP("too many events are kept for to lose any");
	b.v.vfs_notify = &gatekeeper;
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	host_text(&b, "t/f", "f");
	host_text(&b, "t/g", "g");
	host_text(&b, "t/late", "late");
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	watch_start(b.e);
	d = at(&b, "/d");
	f = at(&b, "/d/f");
	late = at(&b, "/d/late");
	REQUIRE(d && f && late);
	CHECK_EQ(vop_getattr(f, NULL, &va), 0);
	CHECK_EQ(vop_getattr(late, NULL, &va), 0);
	usleep(60000); /* of another tick */
	pthread_mutex_lock(&gate.mtx);
	gate.want = late;
	pthread_mutex_unlock(&gate.mtx);
	CHECK_EQ(chmod(host(&b, "t/f"), 0600), 0);
	CHECK(gate_says(&gate.reached));
	/* Two in turn: one after the other of the same kind would be one event. */
	for (unsigned i = 0; i <= max; i++)
		CHECK_EQ(chmod(host(&b, i % 2 ? "t/f" : "t/g"), 0640), 0);
	CHECK_EQ(chmod(host(&b, "t/late"), 0600), 0);
	CHECK(!gate.told);
	events = (unsigned)atomic_load(&b.e->e_watcher.wt_events);
	pthread_mutex_lock(&gate.mtx);
	gate.open = true;
	pthread_cond_broadcast(&gate.cond);
	pthread_mutex_unlock(&gate.mtx);
	CHECK(gate_says(&gate.told));
	/* That they were lost is one as well. */
	CHECK(atomic_load(&b.e->e_watcher.wt_events) - events <= max + 1);
	vn_unref(f);
	vn_unref(late);
	vn_unref(d);
}

/* Who is told when a file is opened for writing through one of its keys. */
TEST(siblings)
{
	AUTO_BED b;
	struct vnode *w1, *w2, *w3, *in, *alone;
	struct vattr va, again;
	struct file *f;
	unsigned was;

	bed_start(&b, 0);
	b.v.vfs_notify = &recorder;
	CHECK_EQ(mkdir(host(&b, "t"), 0755), 0);
	host_file(&b, "t/img", 10000);
	host_file(&b, "t/other", 100);
	CHECK_EQ(reg_win(&b, "/w1", "t/img", ETFS_BLK, 0, 4000), 0);
	CHECK_EQ(reg_win(&b, "/w2", "t/img", ETFS_BLK, 3000, 2000), 0);
	CHECK_EQ(reg_win(&b, "/w3", "t/img", ETFS_BLK, 5000, 5000), 0);
	w1 = at(&b, "/w1");
	w2 = at(&b, "/w2");
	w3 = at(&b, "/w3");
	usleep(60000);
	was = told.attrs;
	f = open_at(&b, "/w1", O_RDWR);
	CHECK_EQ(told.attrs, was + 1);
	CHECK(told.vp == w2 && told.settled);
	CHECK_EQ(attr_ttl(NULL, w1), BASE);
	CHECK_EQ(attr_ttl(NULL, w2), 0);
	CHECK_EQ(attr_ttl(NULL, w3), BASE);
	vop_close(f);
	CHECK_EQ(attr_ttl(NULL, w2), BASE);
	was = told.attrs;
	f = open_at(&b, "/w3", O_RDWR);
	CHECK_EQ(told.attrs, was);
	vop_close(f);
	/* The whole file is in a directory key too. */
	CHECK_EQ(reg(&b, "/d", "t", ETFS_AUTO), 0);
	in = at(&b, "/d/img");
	alone = at(&b, "/d/other");
	was = told.attrs;
	f = open_at(&b, "/w3", O_RDWR);
	CHECK_EQ(told.attrs, was + 1);
	CHECK(told.vp == in);
	CHECK_EQ(attr_ttl(NULL, in), 0);
	CHECK_EQ(attr_ttl(NULL, alone), BASE);
	vop_close(f);
	was = told.attrs;
	f = open_at(&b, "/d/img", O_WRONLY);
	CHECK_EQ(told.attrs, was + 3);
	CHECK_EQ(attr_ttl(NULL, w3), 0);
	CHECK_EQ(attr_ttl(NULL, in), BASE);
	/* Times that are fresh differ each time they are told. */
	CHECK_EQ(put(f, "x", 1, 0), 1);
	CHECK_EQ(vop_getattr(w1, NULL, &va), 0);
	CHECK_EQ(vop_getattr(w1, NULL, &again), 0);
	CHECK(va.va_mtime.tv_nsec != again.va_mtime.tv_nsec);
	/* A key that goes while its file is open. */
	CHECK_EQ(etfs_remove(b.e, "/w2"), 0);
	CHECK_EQ(attr_ttl(NULL, w1), 0);
	vop_close(f);
	f = open_at(&b, "/w1", O_RDWR);
	CHECK_EQ(etfs_remove(b.e, "/w1"), 0);
	CHECK_EQ(etfs_remove(b.e, "/w3"), 0);
	/* The host file is without a key, and is being written to. */
	CHECK_EQ(reg(&b, "/x", "t/other", ETFS_REG), 0);
	was = told.attrs;
	share_changed(node_of(w1));
	CHECK_EQ(told.attrs, was + 1);
	vop_close(f);
	CHECK_EQ(attr_ttl(NULL, in), BASE);
	vn_unref(w1);
	vn_unref(w2);
	vn_unref(w3);
	vn_unref(in);
	vn_unref(alone);
}
