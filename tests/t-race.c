/*
 * Threads doing random things to one tree, and then everything must add up.
 *
 * RF_RACE_SECONDS says how long (0.3 s without); RF_RACE_SEED which random numbers.  The
 * tree alone; the tree with attachments that come and go in it; and some meetings that
 * chance brings about too rarely.
 */
#include <dirent.h>
#include <pthread.h>
#include <time.h>

#include "tests/t-tree.h"

/* The order of two directories is that of the tree at the moment; the detector of lock
 * cycles knows only an order for ever, and finds every renamed directory. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
	return "detect_deadlocks=0";
}

enum {
	NTHREADS = 4,
	NNAMES = 6,
	NDEPTH = 4
};

struct race {
	struct world w;
	_Atomic bool stop;
	_Atomic uint64_t ops, odd; /* odd: an errno that cannot be */
	unsigned seed;
	bool attach;
};

struct racer {
	struct race *race;
	unsigned rnd, id;
	pthread_t thread;
};

static unsigned
rnd(struct racer *r, unsigned n)
{
	r->rnd = r->rnd * 1103515245 + 12345;
	return (r->rnd >> 9) % n;
}

/* A directory found by a walk of random length, and a name for it.  The few names make
 * the threads meet. */
static struct vnode *
somewhere(struct racer *r, struct name *ret)
{
	static const char *const names[NNAMES] = {"a", "b", "c", "d", "e", "f"};
	struct vnode *at = vn_ref(r->race->w.root), *next;

	for (unsigned depth = rnd(r, NDEPTH); depth > 0; depth--) {
		if (vop_lookup(at, nm(names[rnd(r, NNAMES)]), &next) < 0)
			break;
		if (next->v_type != VDIR) {
			vn_unref(next);
			break;
		}
		vn_unref(at);
		at = next;
	}
	*ret = *nm(names[rnd(r, NNAMES)]);
	return at;
}

/* Which answers an op may give, whatever the others do meanwhile. */
static void
expect(struct racer *r, const char *op, int e, const int *allowed)
{
	for (; *allowed; allowed++)
		if (e == -*allowed)
			return;
	if (e == 0)
		return;
	atomic_fetch_add(&r->race->odd, 1);
	printf("%s: %d\n", op, e);
}
#define EXPECT(op, e, ...) expect(r, op, e, (const int[]){__VA_ARGS__, 0})

static void
do_make(struct racer *r)
{
	static const enum vtype types[] = {VDIR, VDIR, VDIR, VREG, VREG, VLNK, VFIFO};
	struct vmake mk = {
	    .vm_type = types[rnd(r, 7)], .vm_mode = 0755, .vm_target = "x"};
	struct name n;
	AUTO_VNODE d = somewhere(r, &n);
	AUTO_VNODE vp = NULL;

	EXPECT("make", vop_make(d, &n, &mk, &t_cred, &vp), EEXIST, ENOENT, EACCES);
}

static void
do_create(struct racer *r)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};
	struct name n;
	AUTO_VNODE d = somewhere(r, &n);
	AUTO_VNODE vp = NULL;
	int flags = O_RDWR | (rnd(r, 3) ? 0 : O_EXCL) | (rnd(r, 3) ? 0 : O_TRUNC);
	static const char text[300];
	struct file *f;
	int e = vop_create(d, &n, &mk, flags, &t_cred, &vp, &f);

	EXPECT("create", e, EEXIST, ENOENT, EISDIR, ESTALE, EACCES);
	if (e < 0)
		return;
	/* Some large enough to become memfds. */
	v_write(vp, text, sizeof(text), rnd(r, 60) * 4096);
	if (rnd(r, 20) == 0)
		vop_fallocate(vp, NULL, 0, 0, 200 * 1024);
	if (rnd(r, 4) == 0)
		EXPECT("unlink", vop_unlink(d, &n, &t_cred), ENOENT, EISDIR, EBUSY);
	vop_close(f);
}

static void
do_remove(struct racer *r)
{
	struct name n;
	AUTO_VNODE d = somewhere(r, &n);

	if (rnd(r, 2))
		EXPECT("unlink", vop_unlink(d, &n, &t_cred), ENOENT, EISDIR, EBUSY);
	else
		EXPECT("rmdir", vop_rmdir(d, &n, &t_cred), ENOENT, ENOTDIR, ENOTEMPTY,
		    EBUSY);
}

static void
do_rename(struct racer *r)
{
	static const unsigned flags[] = {
	    0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, RENAME_WHITEOUT};
	struct name fn, tn;
	AUTO_VNODE fd = somewhere(r, &fn);
	AUTO_VNODE td = rnd(r, 3) ? somewhere(r, &tn) : NULL;

	if (!td) {
		td = vn_ref(fd);
		tn = *nm("a");
	}
	EXPECT("rename", vop_rename(fd, &fn, td, &tn, flags[rnd(r, 7)], &t_cred), ENOENT,
	    ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL, EBUSY, EACCES, EXDEV);
}

static void
do_link(struct racer *r)
{
	struct name n, m;
	AUTO_VNODE d = somewhere(r, &n);
	AUTO_VNODE e = somewhere(r, &m);
	AUTO_VNODE vp = NULL;

	if (vop_lookup(d, &n, &vp) == 0)
		EXPECT("link", vop_link(vp, e, &m, &t_cred), EEXIST, ENOENT, EPERM,
		    EACCES, EXDEV);
}

static void
do_look(struct racer *r)
{
	static _Thread_local _Alignas(8) char mem[512];
	struct dirbuf db = {
	    .db_base = mem, .db_cap = sizeof(mem), .db_want_vnodes = true};
	struct name n;
	AUTO_VNODE d = somewhere(r, &n);
	AUTO_VNODE vp = NULL;
	struct vattr va;
	struct file *f;
	char buf[64];

	if (vop_lookup(d, &n, &vp) == 0) {
		EXPECT("getattr", vop_getattr(vp, NULL, &va), EIO);
		if (vp->v_type == VREG) {
			v_read(vp, buf, sizeof(buf), rnd(r, 60) * 4096);
			vop_setxattr(vp, "user.x", buf, rnd(r, 60), 0, &t_cred);
		}
	}
	if (vop_open(d, O_RDONLY, &t_cred, &f) < 0)
		return;
	for (unsigned i = 0; i < 3 && vop_readdir(f, &db) == 0 && db.db_used > 0; i++) {
		for (struct dirrec *x = NULL; (x = dirbuf_next(&db, x));)
			db.db_cookie = x->dr_cookie;
		dirbuf_release(&db, NULL);
	}
	vop_close(f);
}

/* Attachments come and go; each thread has paths of its own. */
static void
do_attach(struct racer *r)
{
	static const char *const paths[] = {
	    "/a/k%u", "/b/c/k%u", "/k%u", "/a/b/c/k%u", "/a/k%u/x/y", "/d/d%u"};
	char path[32];
	unsigned which = rnd(r, 6);
	int e;

	snprintf(path, sizeof(path), paths[which], r->id);
	if (rnd(r, 2)) {
		bool tree = which == 2 || which == 5;
		AUTO_VNODE vp = tree ? other_tree(&r->race->w) : other_file(&r->race->w);

		e = at_add(&r->race->w, AT_MOUNT, path, vp);
		EXPECT("attach", e, EEXIST, ENOTDIR, EBUSY);
		/* Nobody else takes it off, and what is above it holds still. */
		AUTO_VNODE seen = e == 0 ? p_get(&r->race->w, path) : NULL;
		if (e == 0 && seen != vp)
			atomic_fetch_add(&r->race->odd, 1);
	} else {
		EXPECT("detach", at_del(&r->race->w, path), ENOENT, ENOTDIR, EBUSY);
	}
}

static void *
racer(void *arg)
{
	static void (*const ops[])(struct racer *) = {do_make, do_make, do_make,
	    do_create, do_create, do_remove, do_rename, do_rename, do_rename, do_link,
	    do_look, do_look};
	struct racer *r = arg;

	while (!atomic_load_explicit(&r->race->stop, memory_order_relaxed)) {
		if (r->race->attach && rnd(r, 8) == 0)
			do_attach(r);
		else
			ops[rnd(r, sizeof(ops) / sizeof(*ops))](r);
		atomic_fetch_add_explicit(&r->race->ops, 1, memory_order_relaxed);
	}
	lock_assert_none("the end of a racer");
	return NULL;
}

/* Everything below a directory goes, without recursion: what is not empty is entered. */
static void
remove_all(struct vnode *root)
{
	static _Alignas(8) char mem[65536];
	struct vnode *at = vn_ref(root);

	for (;;) {
		struct dirbuf db = {.db_base = mem, .db_cap = sizeof(mem)};
		struct vnode *into = NULL;
		struct file *f;

		CHECK_EQ(vop_open(at, O_RDONLY, &t_cred, &f), 0);
		CHECK_EQ(vop_readdir(f, &db), 0);
		vop_close(f);
		for (struct dirrec *d = NULL; !into && (d = dirbuf_next(&db, d));) {
			struct name n;

			if (name_init(&n, d->dr_name) < 0)
				continue;
			if (d->dr_type != DT_DIR)
				CHECK_EQ(vop_unlink(at, &n, &t_cred), 0);
			else if (vop_rmdir(at, &n, &t_cred) == -ENOTEMPTY)
				CHECK_EQ(vop_lookup(at, &n, &into), 0);
		}
		if (!into && at == root)
			break;
		if (!into) /* empty: it goes from above */
			into = vn_ref(at->v_parent);
		vn_unref(at);
		at = into;
	}
	vn_unref(at);
}

static double
race_seconds(void)
{
	const char *s = getenv("RF_RACE_SECONDS");

	return s ? atof(s) : 0.3;
}

static void
sleep_for(double s)
{
	struct timespec ts = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};

	nanosleep(&ts, NULL);
}

static int
is_attached(struct attach *at, void *arg)
{
	snprintf(arg, 64, "%s", at->at_path);
	return 1;
}

static void
run(struct race *race, double seconds)
{
	struct racer racers[NTHREADS];
	const char *s = getenv("RF_RACE_SEED");

	world_init(&race->w);
	race->seed = s ? (unsigned)strtoul(s, NULL, 0) : (unsigned)time(NULL);
	for (unsigned i = 0; i < NTHREADS; i++) {
		racers[i] = (struct racer){race, race->seed * 31 + i * 7919, i, 0};
		if (pthread_create(&racers[i].thread, NULL, racer, &racers[i]) != 0)
			abort();
	}
	sleep_for(seconds);
	atomic_store(&race->stop, true);
	for (unsigned i = 0; i < NTHREADS; i++)
		pthread_join(racers[i].thread, NULL);
}

static void
check_end(struct race *race)
{
	struct world *w = &race->w;
	unsigned was = t_bad;
	char path[64];

	CHECK_EQ(race->odd, 0);
	CHECK(tree_check(w->root, race->attach, NULL));
	/* Deepest or not: what cannot go yet goes after the others. */
	for (unsigned i = 0; i < 100 && vfs_attach_each(&w->v, is_attached, path); i++)
		CHECK_EQ(at_del(w, path), 0);
	CHECK_EQ(atomic_load(&w->root->v_nattach), 0);
	CHECK(tree_check(w->root, false, NULL));
	remove_all(w->root);
	CHECK_EQ(usage(w).ru_inodes_used, 1);
	CHECK_EQ(usage(w).ru_size_used, 0);
	CHECK_EQ(slots_count(&w->v.vfs_files), 0);
	if (w->v.vfs_acount == 0)
		CHECK_EQ(slots_count(&w->v.vfs_nodes), 1);
	if (t_bad != was)
		printf("seed %u\n", race->seed);
	if (getenv("RF_RACE_SECONDS"))
		printf("%llu operations, seed %u\n", (unsigned long long)race->ops,
		    race->seed);
	world_done(w);
}

TEST(the_tree)
{
	struct race race = {.attach = false};

	run(&race, race_seconds() / 3);
	check_end(&race);
}

TEST(the_tree_with_attachments)
{
	struct race race = {.attach = true};

	run(&race, race_seconds() / 3);
	check_end(&race);
}

/* Two or three threads, each with one thing to do, for ever. */
struct duel {
	struct world w;
	struct vnode *x, *t, *f;
	_Atomic bool stop;
	_Atomic unsigned odd;
};

static void
duel(struct duel *d, void *(*const *fns)(void *), unsigned n, double seconds)
{
	pthread_t threads[3];

	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, fns[i], d) != 0)
			abort();
	sleep_for(seconds);
	d->stop = true;
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static void *
attach_for_ever(void *arg)
{
	struct duel *d = arg;
	AUTO_VNODE key = other_file(&d->w);

	while (!d->stop) {
		if (at_add(&d->w, AT_MOUNT, "/a/b/k", key) < 0)
			continue;
		AUTO_VNODE seen = p_get(&d->w, "/a/b/k");
		d->odd += seen != key;
		d->odd += at_del(&d->w, "/a/b/k") < 0;
	}
	return NULL;
}

static void *
move_parents_for_ever(void *arg)
{
	struct duel *d = arg;

	while (!d->stop) {
		(void)p_rename(&d->w, "/a/b", "/a/c", 0);
		(void)p_rename(&d->w, "/a/c", "/a/b", 0);
		(void)p_rename(&d->w, "/a", "/z", 0);
		(void)p_rename(&d->w, "/z", "/a", 0);
		(void)p_rmdir(&d->w, "/z/b");
		(void)p_rmdir(&d->w, "/z");
		(void)p_rmdir(&d->w, "/a/b");
		(void)p_make(&d->w, "/a/b", VDIR);
		(void)p_rmdir(&d->w, "/a/c");
	}
	return NULL;
}

/* What is attached is at its path, although its parents move and go all the time. */
TEST(attaching_below_what_moves)
{
	static void *(*const fns[])(void *) = {attach_for_ever, move_parents_for_ever};
	struct duel d = {.odd = 0};

	world_init(&d.w);
	CHECK_EQ(p_make(&d.w, "/a", VDIR), 0);
	duel(&d, fns, 2, race_seconds() / 6);
	CHECK_EQ(d.odd, 0);
	CHECK_EQ(atomic_load(&d.w.root->v_nattach), 0);
	CHECK(tree_check(d.w.root, false, NULL));
	world_done(&d.w);
}

static void *
exchange_for_ever(void *arg)
{
	struct duel *d = arg;

	while (!d->stop)
		d->odd += p_rename(&d->w, "/f", "/t", RENAME_EXCHANGE) != 0;
	return NULL;
}

static void *
rmdir_for_ever(void *arg)
{
	struct duel *d = arg;

	while (!d->stop)
		d->odd += vop_rmdir(d->f, nm("x"), &t_cred) != -ENOTEMPTY;
	return NULL;
}

static void *
move_across_for_ever(void *arg)
{
	struct duel *d = arg;

	while (!d->stop) {
		d->odd += vop_rename(d->x, nm("i"), d->t, nm("i"), 0, &t_cred) != 0;
		d->odd += vop_rename(d->t, nm("i"), d->x, nm("i"), 0, &t_cred) != 0;
	}
	return NULL;
}

/* Three that lock siblings, a sibling's child and a cousin: a circle, if two siblings may
 * be locked without the rename mutex.  The ids rise in the order that closes it. */
TEST(no_deadlock_among_siblings)
{
	static void *(*const fns[])(void *) = {
	    exchange_for_ever, rmdir_for_ever, move_across_for_ever};
	struct duel d = {.odd = 0};

	world_init(&d.w);
	CHECK_EQ(p_make(&d.w, "/x", VDIR), 0);
	CHECK_EQ(p_make(&d.w, "/t", VDIR), 0);
	CHECK_EQ(p_make(&d.w, "/f", VDIR), 0);
	CHECK_EQ(p_make(&d.w, "/x/i", VREG), 0);
	CHECK_EQ(p_make(&d.w, "/x/stays", VREG), 0);
	CHECK_EQ(p_rename(&d.w, "/x", "/f/x", 0), 0);
	d.x = p_get(&d.w, "/f/x");
	d.t = p_get(&d.w, "/t");
	d.f = p_get(&d.w, "/f");
	duel(&d, fns, 3, race_seconds() / 6);
	CHECK_EQ(d.odd, 0);
	CHECK(tree_check(d.w.root, false, NULL));
	vn_unref(d.x);
	vn_unref(d.t);
	vn_unref(d.f);
	world_done(&d.w);
}
