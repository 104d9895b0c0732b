/*
 * Directories of an ext image that are renamed while something is attached in them.
 *
 * The order of events is made with the trace (vfs/trace.h): what the rename has asked and not
 * done yet is where the other side comes in.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "tests/t-tmp.h"
#include "tests/t-ukfs.h"
#include "tests/t-vfs.h"
#include "vfs/trace.h"
#include "vfs/ukfs/image.h"

struct place {
	struct world w;
	struct etfs *e;
	struct tmp dir;
	char host[80];
	struct image *im;
	struct vnode *key; /* what is attached in the image */
};

static bool
place_init(struct place *p)
{
	static const struct etfs_opts o;
	struct image_spec s = {.is_path = "/img", .is_type = "ext", .is_host = p->host};
	struct image_why why = {.iw_text = "no image could be made"};

	world_init(&p->w);
	CHECK_EQ(etfs_new(&p->w.v, &o, &p->e), 0);
	p->dir = tmp_new("/dev/shm");
	p->key = other_file(&p->w);
	snprintf(p->host, sizeof(p->host), "%s/image", p->dir.path);
	s.is_size = ETFS_SIZE_END;
	if (RUN("truncate", "-s", "8M", p->host) == 0 &&
	    RUN("mke2fs", "-q", "-F", "-t", "ext4", p->host) == 0)
		(void)image_mount(&p->w.v, p->e, &s, &p->im, &why);
	if (!p->im)
		printf("%s\n", why.iw_text);
	return p->im && p_make(&p->w, "/img/a", VDIR) == 0 &&
	       p_make(&p->w, "/img/b", VDIR) == 0;
}

static void
place_done(struct place *p)
{
	bool gone;

	trace_sink = NULL;
	if (p->im)
		CHECK_EQ(image_unmount(&p->w.v, p->im, false, &gone), 0);
	vn_unref(p->key);
	etfs_free(p->e);
	world_done(&p->w);
	CHECK_EQ(RUN("e2fsck", "-fn", p->host), 0);
	tmp_done(&p->dir);
}
#define PLACE(p)                                                               \
	CHECK_EQ(ukfs_init(), 0);                                              \
	if (!have_type("ext") || access("/sbin/mke2fs", X_OK) != 0)            \
		SKIP("no type ext, or nothing to make an image of");           \
	__attribute__((cleanup(place_done))) struct place p##_ = {.host = ""}; \
	struct place *p = &p##_;                                               \
	REQUIRE(place_init(p))

static bool
is_lookup(const char *line, const char *name)
{
	char quoted[32];

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	return strncmp(line, "lookup ", 7) == 0 && strstr(line, quoted);
}

static uint32_t
attached_below(struct place *p, const char *path)
{
	AUTO_VNODE vp = p_get(&p->w, path);

	return vp ? atomic_load(&vp->v_nattach) : UINT32_MAX;
}

/* Between the question whether something is attached and the rename itself. */

static struct place *attaching;

/* The target is looked up after the question has been asked of what is renamed. */
static void
attach_after_the_question(const char *line)
{
	if (!is_lookup(line, "moved"))
		return;
	trace_sink = NULL;
	CHECK_EQ(at_add(&attaching->w, AT_MOUNT, "/img/a/k", attaching->key), 0);
}

TEST(attached_after_it_has_been_asked)
{
	static const struct {
		const char *to;
		unsigned flags;
		enum vtype there; /* or nothing */
	} rows[] = {
	    {"/img/b/moved", 0, 0},
	    {"/img/moved", 0, 0},
	    {"/img/b/moved", RENAME_NOREPLACE, 0},
	    {"/img/b/moved", 0, VDIR},
	    {"/img/b/moved", RENAME_EXCHANGE, VDIR},
	    {"/img/b/moved", RENAME_EXCHANGE, VREG},
	};
	PLACE(p);

	attaching = p;
	/* Without anything attached in either directory nothing is asked. */
	CHECK_EQ(at_file(&p->w, "/img/b/held"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool exchange = rows[i].flags & RENAME_EXCHANGE;
		unsigned bad = t_bad;

		if (rows[i].there)
			CHECK_EQ(p_make(&p->w, rows[i].to, rows[i].there), 0);
		trace_sink = attach_after_the_question;
		CHECK_EQ(p_rename(&p->w, "/img/a", rows[i].to, rows[i].flags), -EBUSY);
		CHECK(!trace_sink);
		AUTO_VNODE seen = p_get(&p->w, "/img/a/k");
		CHECK(seen == p->key);
		CHECK_EQ(p_exists(&p->w, rows[i].to), rows[i].there != 0);
		CHECK_EQ(at_del(&p->w, "/img/a/k"), 0);
		/* Without it there is nothing in the way. */
		CHECK_EQ(p_rename(&p->w, "/img/a", rows[i].to, rows[i].flags), 0);
		CHECK(p_exists(&p->w, rows[i].to));
		CHECK_EQ(p_exists(&p->w, "/img/a"), exchange);
		CHECK_EQ(p_rename(&p->w, rows[i].to, "/img/a", rows[i].flags), 0);
		if (exchange)
			CHECK_EQ(rows[i].there == VDIR ? p_rmdir(&p->w, rows[i].to)
						       : p_unlink(&p->w, rows[i].to),
			    0);
		if (t_bad != bad) {
			printf("row %zu\n", i);
			break;
		}
	}
	CHECK_EQ(at_del(&p->w, "/img/b/held"), 0);
	CHECK_EQ(attached_below(p, "/img"), 0);
}

/* Counted while the rename, which has found nothing, is under way. */

static struct {
	struct place *p;
	struct vnode *moving;
	sem_t looked, begun;
	unsigned lookups;
	int attached; /* what attaching said */
} meet;

static _Thread_local bool is_attacher;

/* The attacher has /img/a in its hand and waits; the rename, in its first write, waits until
 * the attacher has counted. */
static void
meet_half_way(const char *line)
{
	static const struct timespec ms = {0, 1000000};

	/* Once to see what is there, and once to attach in it. */
	if (is_attacher && is_lookup(line, "a") && ++meet.lookups == 2) {
		sem_post(&meet.looked);
		sem_wait(&meet.begun);
	} else if (!is_attacher && strncmp(line, "write ", 6) == 0) {
		trace_sink = NULL;
		sem_post(&meet.begun);
		for (int i = 0; i < 5000 && atomic_load(&meet.moving->v_nattach) == 0;
		     i++)
			nanosleep(&ms, NULL);
		CHECK_EQ(atomic_load(&meet.moving->v_nattach), 1);
	}
}

static void *
attach_meanwhile(void *arg)
{
	is_attacher = true;
	meet.attached = at_add(&meet.p->w, AT_MOUNT, "/img/a/k", meet.p->key);
	sem_post(&meet.looked); /* should it not have got that far */
	return arg;
}

TEST(counted_while_it_moves)
{
	pthread_t thread;
	PLACE(p);
	AUTO_VNODE b = p_get(&p->w, "/img/b");

	meet.p = p;
	meet.moving = p_get(&p->w, "/img/a");
	sem_init(&meet.looked, 0, 0);
	sem_init(&meet.begun, 0, 0);
	trace_sink = meet_half_way;
	REQUIRE(pthread_create(&thread, NULL, attach_meanwhile, NULL) == 0);
	sem_wait(&meet.looked);
	CHECK_EQ(p_rename(&p->w, "/img/a", "/img/b/moved", 0), 0);
	sem_post(&meet.begun); /* nor this */
	pthread_join(thread, NULL);
	/* The directory is where it has been moved to, with nothing in it; what has been
	 * attached is at its path, in a directory made for it. */
	CHECK_EQ(meet.attached, 0);
	AUTO_VNODE seen = p_get(&p->w, "/img/a/k");
	AUTO_VNODE moved = p_get(&p->w, "/img/b/moved");
	AUTO_VNODE up = vfs_parent_get(meet.moving);
	CHECK(seen == p->key);
	CHECK(moved == meet.moving);
	CHECK(up == b);
	CHECK_EQ(attached_below(p, "/img/b/moved"), 0);
	CHECK_EQ(attached_below(p, "/img/b"), 0);
	CHECK_EQ(attached_below(p, "/img"), 1);
	CHECK_EQ(at_del(&p->w, "/img/a/k"), 0);
	CHECK_EQ(attached_below(p, "/img"), 0);
	CHECK_EQ(p_rename(&p->w, "/img/b/moved", "/img/a", 0), 0);
	vn_unref(meet.moving);
}

/* Attributes are set beside a change of size: each by itself, and neither is lost. */

static struct {
	struct vnode *file;
	_Atomic bool stop;
	unsigned odd;
} beside;

static void *
set_attributes(void *arg)
{
	for (unsigned i = 0; !atomic_load(&beside.stop); i++)
		beside.odd += vop_setxattr(beside.file, "user.x", i % 2 ? "one" : "two",
				  3, 0, &t_cred) != 0;
	return arg;
}

/* One more size, by one of the calls that set it. */
static int
resize(unsigned i, uint64_t *size)
{
	struct vattr_set vs = {.vs_valid = VS_SIZE};

	if (i % 3 == 1) {
		*size += 5000;
		return vop_fallocate(beside.file, NULL, 0, 0, *size);
	}
	*size = vs.vs_size = i % 3 ? 9000 : 0;
	return vop_setattr(beside.file, NULL, &vs, &t_cred);
}

TEST(sizes_and_attributes_at_once)
{
	uint64_t size = 0, wrong = 0;
	pthread_t thread;
	PLACE(p);

	CHECK_EQ(p_make(&p->w, "/img/f", VREG), 0);
	beside.file = p_get(&p->w, "/img/f");
	REQUIRE(pthread_create(&thread, NULL, set_attributes, NULL) == 0);
	for (unsigned i = 0; i < 9000; i++) {
		struct vattr va = {0};

		if (resize(i, &size) < 0 || vop_getattr(beside.file, NULL, &va) < 0 ||
		    va.va_size != size)
			wrong++;
	}
	atomic_store(&beside.stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(beside.odd, 0);
	vn_unref(beside.file);
}
