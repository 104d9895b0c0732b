/*
 * Contents of in-memory files: against a plain buffer, on the heap and in a memfd, with
 * the accounts; holes, seeking, limits, sources that fall short.
 */
#include "tests/t-tree.h"

#define PG    4096u
#define KEEP  FALLOC_FL_KEEP_SIZE
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define MODEL (600u * 1024)

static unsigned rnd_state;

static unsigned
rnd(unsigned n)
{
	rnd_state = rnd_state * 1103515245 + 12345;
	return (rnd_state >> 8) % n;
}

static struct vnode *
new_file(struct world *w)
{
	CHECK_EQ(p_make(w, "/f", VREG), 0);
	return p_get(w, "/f");
}

static uint64_t
size_of(struct vnode *vp)
{
	struct vattr va = {0};

	CHECK_EQ(vop_getattr(vp, NULL, &va), 0);
	return va.va_size;
}

static uint64_t
held_by(struct vnode *vp)
{
	struct vattr va = {0};

	CHECK_EQ(vop_getattr(vp, NULL, &va), 0);
	return va.va_blocks_blk * 512;
}

static int
truncate_to(struct vnode *vp, uint64_t size)
{
	struct vattr_set vs = {.vs_valid = VS_SIZE, .vs_size = size};

	return vop_setattr(vp, NULL, &vs, &t_cred);
}

/* What the file must be. */
static unsigned char model[MODEL], got[MODEL], src[MODEL];
static uint64_t model_size;

static void
model_step(struct vnode *f, unsigned top)
{
	uint64_t off = rnd(top), len = rnd(rnd(4) ? 2 * PG : top - (unsigned)off) + 1;
	bool grow = false;

	if (rnd(3) == 0)
		off &= ~(uint64_t)(PG - 1);
	if (rnd(3) == 0)
		len = (len + PG - 1) & ~(uint64_t)(PG - 1);
	if (off + len > top)
		len = top - off;
	switch (rnd(8)) {
	case 0:
		memset(model + off, 0, top - off);
		CHECK_EQ(truncate_to(f, off), 0);
		model_size = off;
		return;
	case 1:
		CHECK_EQ(vop_fallocate(f, NULL, PUNCH, off, len), 0);
		memset(model + off, 0, len);
		return;
	case 2:
		grow = rnd(2);
		CHECK_EQ(vop_fallocate(
			     f, NULL, FALLOC_FL_ZERO_RANGE | (grow ? 0 : KEEP), off, len),
		    0);
		memset(model + off, 0, len);
		break;
	case 3:
		grow = rnd(2);
		CHECK_EQ(vop_fallocate(f, NULL, grow ? 0 : KEEP, off, len), 0);
		break;
	default:
		grow = true;
		for (uint64_t i = 0; i < len; i += 97)
			src[i] = (unsigned char)rnd(256);
		CHECK_EQ(v_write(f, src, len, off), len);
		memcpy(model + off, src, len);
	}
	if (grow && off + len > model_size)
		model_size = off + len;
}

static void
run_model(unsigned seed, unsigned top, unsigned steps)
{
	AUTO_WORLD w;
	AUTO_VNODE f = NULL;

	world_init(&w);
	f = new_file(&w);
	rnd_state = seed;
	memset(model, 0, sizeof(model));
	model_size = 0;
	for (unsigned i = 0; i < steps; i++) {
		unsigned was = t_bad;

		model_step(f, top);
		CHECK_EQ(size_of(f), model_size);
		CHECK_EQ(usage(&w).ru_size_used, held_by(f));
		CHECK_EQ(v_read(f, got, top, 0), model_size);
		CHECK(memcmp(got, model, model_size) == 0);
		if (t_bad != was) {
			printf("seed %u, top %u, step %u\n", seed, top, i);
			return;
		}
	}
	CHECK_EQ(truncate_to(f, 0), 0);
	CHECK_EQ(usage(&w).ru_size_used, 0);
}

TEST(model_on_the_heap)
{
	for (unsigned seed = 1; seed < 8; seed++)
		run_model(seed, 20 * PG, 100);
}

TEST(model_across_the_border)
{
	for (unsigned seed = 1; seed < 5; seed++)
		run_model(seed, 60 * PG, 60);
}

TEST(model_large)
{
	run_model(77, MODEL, 20);
}

TEST(reads_at_the_end)
{
	for (unsigned big = 0; big < 2; big++) {
		AUTO_WORLD w;
		AUTO_VNODE f = NULL;
		uint64_t size = big ? MODEL : 100;
		char c[10];

		world_init(&w);
		f = new_file(&w);
		CHECK_EQ(v_read(f, c, 10, 0), 0);
		CHECK_EQ(v_write(f, src, size, 0), size);
		CHECK_EQ(v_read(f, c, 10, size), 0);
		CHECK_EQ(v_read(f, c, 10, size - 3), 3);
		CHECK_EQ(v_read(f, c, 10, INT64_MAX), 0);
		CHECK_EQ(v_read(f, c, 0, 0), 0);
	}
}

/* Whoever writes: the kernel does not say. */
TEST(capabilities_go_with_writing)
{
	AUTO_WORLD w;
	AUTO_VNODE vp = NULL;
	size_t len;
	struct uio u;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/caps", VREG), 0);
	vp = p_get(&w, "/caps");
	CHECK_EQ(vop_setxattr(vp, "user.x", "x", 1, 0, &t_cred), 0);
	CHECK_EQ(vop_setxattr(vp, "security.capability", "x", 1, 0, &t_cred), 0);
	uio_init_buf(&u, src, 1, 0);
	CHECK_EQ(vop_write(vp, NULL, &u), 0);
	CHECK(u.uio_killed);
	CHECK_EQ(vop_getxattr(vp, "security.capability", got, 1, &len), -ENODATA);
	CHECK_EQ(vop_getxattr(vp, "user.x", got, 1, &len), 0);
	uio_init_buf(&u, src, 1, 0);
	CHECK_EQ(vop_write(vp, NULL, &u), 0);
	CHECK(!u.uio_killed);
}

TEST(append)
{
	for (unsigned big = 0; big < 2; big++) {
		AUTO_WORLD w;
		AUTO_VNODE f = NULL;
		uint64_t size = big ? MODEL : 100;
		struct uio u;
		char c[3];

		world_init(&w);
		f = new_file(&w);
		CHECK_EQ(v_write(f, src, size, 0), size);
		uio_init_buf(&u, (void *)(uintptr_t) "end", 3, 0);
		u.uio_append = true;
		CHECK_EQ(vop_write(f, NULL, &u), 0);
		CHECK_EQ(u.uio_done, 3);
		CHECK_EQ(size_of(f), size + 3);
		CHECK_EQ(v_read(f, c, 3, size), 3);
		CHECK(memcmp(c, "end", 3) == 0);
	}
}

/* Data at 0 and far away, a hole between, and one at the end. */
TEST(seeking)
{
	static const uint64_t far_off[] = {40 * PG, 1ull << 40};
	uint64_t at = 0;

	for (unsigned big = 0; big < 2; big++) {
		for (unsigned i = 0; i < 2; i++) {
			AUTO_WORLD w;
			AUTO_VNODE f = NULL;
			uint64_t far = far_off[i], run = big ? 140 * PG : 2 * PG;

			world_init(&w);
			f = new_file(&w);
			far += run;
			CHECK_EQ(vop_seek(f, NULL, 0, SEEK_DATA, &at), -ENXIO);
			CHECK_EQ(v_write(f, src, run, 0), run);
			CHECK_EQ(v_write(f, src, 10, far), 10);
			CHECK_EQ(vop_seek(f, NULL, 5, SEEK_DATA, &at), 0);
			CHECK_EQ(at, 5);
			CHECK_EQ(vop_seek(f, NULL, 5, SEEK_HOLE, &at), 0);
			CHECK_EQ(at, run);
			CHECK_EQ(vop_seek(f, NULL, run + 1, SEEK_HOLE, &at), 0);
			CHECK_EQ(at, run + 1);
			CHECK_EQ(vop_seek(f, NULL, run + 1, SEEK_DATA, &at), 0);
			CHECK_EQ(at, far);
			CHECK_EQ(vop_seek(f, NULL, far + 1, SEEK_HOLE, &at), 0);
			CHECK_EQ(at, far + 10);
			CHECK_EQ(vop_seek(f, NULL, far + 10, SEEK_HOLE, &at), -ENXIO);
			CHECK_EQ(truncate_to(f, far + 100 * PG), 0);
			CHECK_EQ(
			    vop_seek(f, NULL, far + 50 * PG, SEEK_DATA, &at), -ENXIO);
			CHECK_EQ(vop_seek(f, NULL, 0, SEEK_SET, &at), -EINVAL);
			CHECK_EQ(held_by(f), run + PG);
		}
	}
}

TEST(the_largest_file)
{
	AUTO_WORLD w;
	AUTO_VNODE f = NULL;
	char c = 0;

	world_init(&w);
	f = new_file(&w);
	CHECK_EQ(v_write(f, "x", 1, INT64_MAX - 1), 1);
	CHECK_EQ(size_of(f), INT64_MAX);
	CHECK_EQ(v_read(f, &c, 1, INT64_MAX - 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(held_by(f), PG);
	CHECK_EQ(truncate_to(f, INT64_MAX - 1), 0);
	CHECK_EQ(truncate_to(f, 1), 0);
	CHECK_EQ(held_by(f), 0);
}

/* The limit: a write is cut where it runs into it, and not one page more is held. */
TEST(size_limit)
{
	for (unsigned pages = 4; pages <= 64; pages += 60) {
		AUTO_WORLD w;
		AUTO_VNODE f = NULL;
		uint64_t limit = pages * PG;
		struct statvfs sv;

		REQUIRE(world_init_sized(&w, limit, 0) == 0);
		f = new_file(&w);
		CHECK_EQ(v_write(f, src, 3 * PG, 0), 3 * PG);
		CHECK_EQ(v_write(f, src, MODEL, PG / 2), limit - PG / 2);
		CHECK_EQ(usage(&w).ru_size_used, limit);
		CHECK_EQ(size_of(f), limit);
		CHECK_EQ(v_write(f, src, 1, limit), -ENOSPC);
		CHECK_EQ(vop_fallocate(f, NULL, 0, limit, 1), -ENOSPC);
		CHECK_EQ(vop_fallocate(f, NULL, KEEP, 0, limit + PG), -ENOSPC);
		CHECK_EQ(v_write(f, src, limit, 0), limit); /* over itself: no more */
		CHECK_EQ(vop_statfs(f, &sv), 0);
		CHECK_EQ(sv.f_blocks, pages);
		CHECK_EQ(sv.f_bfree, 0);
		CHECK_EQ(p_xattr(&w, "/f", "user.x", "y"), -ENOSPC);
		CHECK_EQ(vop_fallocate(f, NULL, PUNCH, 0, PG), 0);
		CHECK_EQ(p_xattr(&w, "/f", "user.x", "y"), 0);
		CHECK_EQ(v_write(f, src, 1, 0), -ENOSPC);
		CHECK_EQ(truncate_to(f, 0), 0);
		CHECK_EQ(v_write(f, src, 2 * PG, 0), 2 * PG);
		CHECK_EQ(vop_fallocate(f, NULL, KEEP, 4 * PG, limit - 2 * PG), -ENOSPC);
		CHECK_EQ(held_by(f), 2 * PG);
		CHECK_EQ(size_of(f), 2 * PG);
		vn_unref_p(&f);
		f = NULL;
		CHECK_EQ(p_unlink(&w, "/f"), 0);
		CHECK_EQ(usage(&w).ru_size_used, 0);
	}
}

/* Pages kept past the end: they move along to the memfd, keep their account, and growing
 * over them gives zeros. */
TEST(kept_past_the_end)
{
	AUTO_WORLD w;
	AUTO_VNODE f = NULL;

	world_init(&w);
	f = new_file(&w);
	CHECK_EQ(vop_fallocate(f, NULL, KEEP, 100 * PG, 20 * PG), 0);
	CHECK_EQ(size_of(f), 0);
	CHECK_EQ(held_by(f), 20 * PG);
	memset(src, 'q', sizeof(src));
	CHECK_EQ(v_write(f, src, 50 * PG, 0), 50 * PG);
	CHECK_EQ(held_by(f), 70 * PG);
	CHECK_EQ(size_of(f), 50 * PG);
	/* It is in a memfd by now: reading lends a window. */
	struct uio u;
	struct file *open;
	CHECK_EQ(vop_open(f, O_RDONLY, &t_cred, &open), 0);
	uio_init_buf(&u, got, 1, 0);
	CHECK_EQ(vop_read(f, open, &u), 0);
	CHECK(u.uio_fd >= 0);
	vop_close(open);
	CHECK_EQ(truncate_to(f, 110 * PG), 0);
	CHECK_EQ(v_read(f, got, PG, 105 * PG), PG);
	for (unsigned i = 0; i < PG; i++)
		CHECK_EQ(got[i], 0);
	CHECK_EQ(truncate_to(f, 0), 0);
	CHECK_EQ(usage(&w).ru_size_used, 0);
}

/* A source that comes in pieces, and ends early or with an error after some of them. */
struct source {
	size_t left;
	int err;
	char next;
};

static ssize_t
pull_mem(struct uio *u, void *dst, size_t n)
{
	struct source *s = u->uio_arg;

	if (s->left == 0)
		return s->err;
	if (n > s->left)
		n = s->left;
	memset(dst, s->next, n);
	s->left -= n;
	return (ssize_t)n;
}

static ssize_t
pull_fd(struct uio *u, int fd, uint64_t off, size_t n)
{
	char piece[1000];
	ssize_t r = pull_mem(u, piece, n < sizeof(piece) ? n : sizeof(piece));

	return r <= 0 ? r : pwrite(fd, piece, (size_t)r, (off_t)off);
}

static int
write_from(struct vnode *f, struct source *s, size_t len, uint64_t off, size_t *ret_done)
{
	struct uio u;
	int r;

	uio_init_buf(&u, NULL, len, off);
	u.uio_pull_mem = pull_mem;
	u.uio_pull_fd = pull_fd;
	u.uio_arg = s;
	r = vop_write(f, NULL, &u);
	*ret_done = u.uio_done;
	return r;
}

TEST(sources_that_fall_short)
{
	static const size_t pieces[] = {0, 1, PG - 1, PG, PG + 1, 5 * PG};

	for (unsigned big = 0; big < 2; big++) {
		for (unsigned i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
			AUTO_WORLD w;
			AUTO_VNODE f = NULL;
			uint64_t base = big ? 50 * PG : 0;
			struct source s = {pieces[i], -EFAULT, 'z'};
			size_t done = 0;
			int r;

			world_init(&w);
			f = new_file(&w);
			if (base)
				CHECK_EQ(v_write(f, src, base, 0), base);
			r = write_from(f, &s, 10 * PG, base + 7, &done);
			CHECK_EQ(r, pieces[i] ? 0 : -EFAULT);
			CHECK_EQ(done, pieces[i]);
			CHECK_EQ(size_of(f), pieces[i] ? base + 7 + pieces[i] : base);
			CHECK_EQ(usage(&w).ru_size_used, held_by(f));
			CHECK_EQ(held_by(f),
			    base + (pieces[i] ? (7 + pieces[i] + PG - 1) / PG * PG : 0));
			CHECK_EQ(v_read(f, got, sizeof(got), base), size_of(f) - base);
			for (size_t k = 0; k < size_of(f) - base; k++)
				CHECK_EQ(got[k], k < 7 ? 0 : 'z');
		}
	}
}
