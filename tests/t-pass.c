/* Who has what file open, and how the kernel is to have it (daemon/fe_pass.h). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "daemon/fe_pass.h"
#include "tests/t.h"

#define NODES   40
#define THREADS 4
#define ROUNDS  20000

/* The kernel: numbers that are out, and what it has been asked. */
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static bool out[THREADS * NODES + 1];
static int refuse; /* what it says instead; 0 */
static unsigned opened, closed;

static int
k_open(int dev, int fd)
{
	int id = -EMFILE;

	CHECK_EQ(dev, 7);
	CHECK(fd >= 0);
	if (refuse)
		return refuse;
	pthread_mutex_lock(&mtx);
	for (int i = 1; id < 0 && i <= THREADS * NODES; i++)
		if (!out[i]) {
			out[i] = true;
			id = i;
		}
	opened++;
	pthread_mutex_unlock(&mtx);
	return id;
}

static void
k_close(int dev, int32_t id)
{
	CHECK_EQ(dev, 7);
	pthread_mutex_lock(&mtx);
	CHECK(id > 0 && id <= THREADS * NODES && out[id]);
	out[id] = false;
	closed++;
	pthread_mutex_unlock(&mtx);
}

static const struct fe_pass_ops kernel = {k_open, k_close};

static int has; /* what the file system says of its files */

static int
backing(struct vnode *vp, struct file *f, int *ret_fd)
{
	(void)vp;
	(void)f;
	if (has == 0)
		*ret_fd = 3;
	return has;
}

static const struct vops with = {.vo_name = "with", .backing = backing};
static const struct vops without = {.vo_name = "without"};
static struct mount mnt;
static struct vnode nodes[NODES];

static struct fe_passes *
begin(void)
{
	memset(out, 0, sizeof(out));
	opened = closed = 0;
	refuse = has = 0;
	for (unsigned i = 0; i < NODES; i++)
		nodes[i] = (struct vnode){
		    .v_op = &with, .v_type = VREG, .v_id = i + 1, .v_mount = &mnt};
	return fe_passes_new(&kernel);
}

static struct fe_pass_how
open_as(struct fe_passes *ps, struct file *f, struct vnode *vp, int flags)
{
	struct fe_pass_how how = {.ph_backing = -1, .ph_direct = true};

	*f = (struct file){.f_vp = vp, .f_flags = flags};
	CHECK_EQ(fe_pass_open(ps, 7, f, &how), 0);
	return how;
}

TEST(one_number_while_it_is_open)
{
	struct fe_passes *ps = begin();
	struct fe_pass_stats st;
	struct fe_pass_how a, b;
	struct file f, g, h;

	a = open_as(ps, &f, &nodes[0], O_RDONLY);
	b = open_as(ps, &g, &nodes[0], O_RDWR);
	CHECK(a.ph_backing > 0 && !a.ph_direct && !b.ph_direct);
	CHECK_EQ(a.ph_backing, b.ph_backing);
	CHECK(fe_pass_is_written(ps, &nodes[0]) && !fe_pass_is_written(ps, &nodes[1]));
	CHECK(open_as(ps, &h, &nodes[1], O_RDONLY).ph_backing != a.ph_backing);
	fe_pass_close(ps, 7, &f, true);
	CHECK_EQ(closed, 0);
	fe_pass_close(ps, 7, &g, true);
	CHECK_EQ(closed, 1);
	CHECK(!fe_pass_is_written(ps, &nodes[0]));
	/* A release that nobody waits for. */
	fe_pass_close(ps, 7, &g, true);
	CHECK_EQ(closed, 1);
	fe_pass_close(ps, 7, &h, true);
	fe_pass_stats(ps, &st);
	CHECK(st.fps_on && st.fps_passed == 3 && st.fps_refused == 0);
	CHECK_EQ(opened, 2);
	fe_passes_free(ps);
}

TEST(the_first_decides)
{
	struct fe_passes *ps = begin();
	struct fe_pass_how how;
	struct file f, g, h;

	/* As usual: the others too, though it could be handed out by now. */
	has = -EOPNOTSUPP;
	CHECK_EQ(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing, 0);
	has = 0;
	CHECK_EQ(open_as(ps, &g, &nodes[0], O_RDONLY).ph_backing, 0);
	CHECK(!fe_pass_is_written(ps, &nodes[0]));
	fe_pass_close(ps, 7, &f, true);
	CHECK_EQ(open_as(ps, &f, &nodes[0], O_RDONLY).ph_backing, 0);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	CHECK_EQ(opened, 0);
	/* Who only reads takes no set-id bits off, nor who writes through us. */
	CHECK(open_as(ps, &f, &nodes[0], O_RDONLY).ph_backing > 0);
	CHECK(open_as(ps, &g, &nodes[0], O_WRONLY | O_APPEND).ph_direct);
	CHECK(!fe_pass_is_written(ps, &nodes[0]));
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	closed = 0;
	/* Handed out: the others too, though it would not be by now; what they do comes to
	 * us. */
	CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing > 0);
	has = -EOPNOTSUPP;
	how = open_as(ps, &g, &nodes[0], O_RDONLY);
	CHECK(how.ph_backing > 0 && how.ph_direct);
	has = 0;
	how = open_as(ps, &h, &nodes[0], O_RDONLY);
	CHECK(how.ph_backing > 0 && !how.ph_direct);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &h, true);
	CHECK_EQ(closed, 0);
	fe_pass_close(ps, 7, &g, true);
	CHECK_EQ(closed, 1);
	fe_passes_free(ps);
}

TEST(flags_that_can_be_changed_later)
{
	static const int flags[] = {O_WRONLY | O_APPEND, O_RDWR | O_DIRECT};

	for (unsigned i = 0; i < 2; i++) {
		struct fe_passes *ps = begin();
		struct fe_pass_how how;
		struct file f, g;

		CHECK_EQ(open_as(ps, &f, &nodes[0], flags[i]).ph_backing, 0);
		fe_pass_close(ps, 7, &f, true);
		CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing > 0);
		how = open_as(ps, &g, &nodes[0], flags[i]);
		CHECK(how.ph_backing > 0 && how.ph_direct);
		fe_pass_close(ps, 7, &f, true);
		fe_pass_close(ps, 7, &g, true);
		fe_passes_free(ps);
	}
}

/* Pages that the kernel has from before it was lent it: they go with the first who opens it as
 * usual, and until that one is closed nobody keeps any. */
TEST(old_pages)
{
	struct fe_passes *ps = begin();
	struct file f, g;

	CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing > 0);
	CHECK(!open_as(ps, &g, &nodes[0], O_RDWR).ph_drop);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	has = -EOPNOTSUPP;
	CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_drop);
	fe_pass_close(ps, 7, &f, false); /* nobody had it */
	CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_drop);
	CHECK(open_as(ps, &g, &nodes[0], O_RDWR).ph_drop);
	fe_pass_close(ps, 7, &g, true);
	CHECK(!open_as(ps, &g, &nodes[0], O_RDWR).ph_drop);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	fe_passes_free(ps);
}

/* What has become append-only since it was handed out is not for who could map it. */
TEST(append_only)
{
	struct fe_passes *ps = begin();
	struct fe_pass_how how;
	struct file f, g = {.f_vp = &nodes[0], .f_flags = O_RDWR | O_APPEND};

	has = -EPERM;
	CHECK_EQ(open_as(ps, &f, &nodes[0], O_RDONLY).ph_backing, 0);
	CHECK_EQ(fe_pass_open(ps, 7, &g, &how), 0);
	CHECK(how.ph_backing == 0 && how.ph_direct);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	has = 0;
	CHECK(open_as(ps, &f, &nodes[0], O_RDONLY).ph_backing > 0);
	has = -EPERM;
	CHECK_EQ(fe_pass_open(ps, 7, &g, &how), -ETXTBSY);
	fe_pass_close(ps, 7, &g, true);
	for (int flags = O_RDONLY; flags <= O_WRONLY; flags++) {
		how = open_as(ps, &g, &nodes[0], flags);
		CHECK(how.ph_backing > 0 && how.ph_direct);
		fe_pass_close(ps, 7, &g, true);
	}
	fe_pass_close(ps, 7, &f, true);
	CHECK_EQ(opened, 1);
	CHECK_EQ(closed, 1);
	fe_passes_free(ps);
}

TEST(not_at_all)
{
	struct fe_passes *ps = begin();
	struct vnode other = {.v_op = &without, .v_type = VREG, .v_mount = &mnt};
	struct vnode dir = {.v_op = &with, .v_type = VDIR, .v_mount = &mnt};
	struct file f;

	CHECK_EQ(open_as(ps, &f, &other, O_RDWR).ph_backing, 0);
	fe_pass_close(ps, 7, &f, true);
	CHECK_EQ(open_as(ps, &f, &dir, O_RDONLY).ph_backing, 0);
	fe_pass_close(ps, 7, &f, true);
	/* An image is mounted from it. */
	nodes[0].v_flags = VF_DEVICE;
	CHECK_EQ(open_as(ps, &f, &nodes[0], O_RDONLY).ph_backing, 0);
	fe_pass_close(ps, 7, &f, true);
	CHECK_EQ(opened, 0);
	fe_passes_free(ps);
}

TEST(the_kernel_refuses)
{
	struct fe_passes *ps = begin();
	struct fe_pass_stats st;
	struct file f, g;

	/* This one, and once while it is open … */
	refuse = -ELOOP;
	CHECK_EQ(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing, 0);
	refuse = 0;
	CHECK_EQ(open_as(ps, &g, &nodes[0], O_RDWR).ph_backing, 0);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	CHECK(open_as(ps, &f, &nodes[0], O_RDWR).ph_backing > 0);
	fe_pass_stats(ps, &st);
	CHECK(st.fps_on && st.fps_refused == 1);
	/* … or whoever asks: then it is not asked again. */
	refuse = -EPERM;
	CHECK_EQ(open_as(ps, &g, &nodes[1], O_RDWR).ph_backing, 0);
	fe_pass_close(ps, 7, &g, true);
	refuse = 0;
	CHECK_EQ(open_as(ps, &g, &nodes[1], O_RDWR).ph_backing, 0);
	fe_pass_close(ps, 7, &g, true);
	fe_pass_stats(ps, &st);
	CHECK(!st.fps_on && st.fps_refused == 2);
	/* What it has goes on. */
	CHECK(open_as(ps, &g, &nodes[0], O_RDWR).ph_backing > 0);
	fe_pass_close(ps, 7, &f, true);
	fe_pass_close(ps, 7, &g, true);
	CHECK_EQ(closed, 1);
	fe_passes_free(ps);
}

/* The kernel's rule: who has a file open at a time has it in one way, by one number. */
static _Atomic int number_of[NODES], cached_of[NODES], passed_of[NODES];

static void *
use(void *arg)
{
	struct fe_passes *ps = arg;
	unsigned seed = (unsigned)(uintptr_t)pthread_self();

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned at = (unsigned)rand_r(&seed) % NODES;
		struct file f = {.f_vp = &nodes[at],
		    .f_flags = rand_r(&seed) % 4 ? O_RDWR : O_RDWR | O_APPEND};
		struct fe_pass_how how;

		CHECK_EQ(fe_pass_open(ps, 7, &f, &how), 0);
		if (how.ph_backing) {
			atomic_fetch_add(&passed_of[at], 1);
			CHECK_EQ(atomic_load(&cached_of[at]), 0);
			atomic_store(&number_of[at], how.ph_backing);
			CHECK(out[how.ph_backing]);
			CHECK_EQ(atomic_load(&number_of[at]), how.ph_backing);
			atomic_fetch_sub(&passed_of[at], 1);
		} else {
			atomic_fetch_add(&cached_of[at], 1);
			CHECK_EQ(atomic_load(&passed_of[at]), 0);
			atomic_fetch_sub(&cached_of[at], 1);
		}
		fe_pass_close(ps, 7, &f, true);
	}
	return NULL;
}

TEST(many_at_once)
{
	struct fe_passes *ps = begin();
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, use, ps), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(opened > 0);
	CHECK_EQ(opened, closed);
	fe_passes_free(ps);
}

TEST(what_is_open_at_the_end)
{
	struct fe_passes *ps = begin();
	struct file f[NODES];

	for (unsigned i = 0; i < NODES; i++)
		CHECK(open_as(ps, &f[i], &nodes[i], O_RDWR).ph_backing > 0);
	fe_passes_free(ps);
}
