/*
 * The model test: one random sequence of operations, applied to a reference directory (of
 * a tmpfs) and to others in lockstep.
 *
 *	p-model [-s SEED] [-n STEPS] [-e EVERY] [-p] REFERENCE DIR...
 *
 * After every step these must agree with the reference: the result or errno, the data
 * returned, and of each file and directory that the step could touch the kind, mode, link
 * count, owner, size (not of directories) and whether its mtime and ctime moved.  Every
 * EVERY steps and at the end the whole trees are compared, contents and attributes
 * included, and which names are the same file.  Times are compared at one step of
 * TIMES_EVERY, because the clock has to move before it.
 *
 * The first divergence is printed with the seed, the step, and the steps before it; the
 * exit status is 1 then.  The same seed gives the same sequence on the same reference.
 *
 * What is not compared, because Linux file systems differ in it among themselves: sizes of
 * directories, st_blocks, access times, and times after fallocate and after a failed rename
 * with RENAME_WHITEOUT (ext4 has undone something by then).
 */
#include "p-model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	HISTORY = 16,
	TIMES_EVERY = 64
};

static uint64_t rnd_state;
static struct root roots[ROOTS_MAX];
static unsigned nroots;
static unsigned long step;
static uint64_t first_seed;
static struct op history[HISTORY];

uint64_t
rnd(void)
{
	uint64_t z = (rnd_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

unsigned
below(unsigned n)
{
	return (unsigned)(rnd() % n);
}

uint64_t
hash_add(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;

	for (; n >= 8; n -= 8, c += 8) {
		uint64_t w;
		memcpy(&w, c, 8);
		h = (h ^ w) * 0x9fb21c651e98df25ull;
		h ^= h >> 32;
	}
	while (n-- > 0)
		h = (h ^ *c++) * 0x100000001b3ull;
	return h;
}

/*
 * Sleeps for more than a tick of the coarse clock, which is what some changes of a file get
 * as their time.
 */
static void
tick(void)
{
	struct timespec ts;

	clock_getres(CLOCK_REALTIME_COARSE, &ts);
	ts.tv_nsec += ts.tv_nsec / 4;
	nanosleep(&ts, NULL);
}

static void
diverge(const struct root *r, const char *what)
{
	printf("DIVERGENCE seed %llu step %lu: %s\n", (unsigned long long)first_seed,
	    step, what);
	printf("  %s against %s\n", r->path, roots[0].path);
	for (unsigned i = HISTORY; i-- > 0;) {
		if (i > step)
			continue;
		printf("  %s%lu: ", i == 0 ? "-> " : "   ", step - i);
		op_print(&history[(step - i) % HISTORY]);
	}
}

/* Which times moved: 1 mtime, 2 ctime, 4: it was not among what was seen before. */
static unsigned
moved(const struct seen before[], const struct seen *after)
{
	for (int i = 0; i < TOUCHED_MAX; i++) {
		const struct stat *b = &before[i].st, *a = &after->st;

		if (!before[i].there || b->st_ino != a->st_ino)
			continue;
		return (b->st_mtim.tv_sec != a->st_mtim.tv_sec ||
			   b->st_mtim.tv_nsec != a->st_mtim.tv_nsec) |
		       (b->st_ctim.tv_sec != a->st_ctim.tv_sec ||
			   b->st_ctim.tv_nsec != a->st_ctim.tv_nsec)
		           << 1;
	}
	return 4;
}

struct outcome {
	struct result res;
	struct seen before[TOUCHED_MAX], after[TOUCHED_MAX];
};

static bool
same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_nlink == b->st_nlink &&
	       a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       (S_ISDIR(a->st_mode) ||
		   (a->st_size == b->st_size && a->st_rdev == b->st_rdev));
}

static void
print_stat(const char *who, const struct seen *s, unsigned times)
{
	if (!s->there) {
		printf("  %s: not there\n", who);
		return;
	}
	printf("  %s: mode %o nlink %lu uid %u gid %u size %lld%s%s%s\n", who,
	    s->st.st_mode, (unsigned long)s->st.st_nlink, s->st.st_uid, s->st.st_gid,
	    (long long)s->st.st_size, times & 1 ? " mtime moved" : "",
	    times & 2 ? " ctime moved" : "", times & 4 ? " not seen before" : "");
}

/* Do Linux file systems agree on the times that this moves? */
static bool
times_agree(const struct op *o, const struct result *res)
{
	return o->kind != K_FALLOCATE &&
	       !(o->kind == K_RENAME && res->ret < 0 && (o->flags & RENAME_WHITEOUT));
}

/* Compares what one root made of a step with the reference. */
static bool
agree(const struct op *o, const struct outcome *ref, const struct outcome *out,
    const struct root *r, bool times)
{
	static const char *const what[TOUCHED_MAX] = {"the first name", "its directory",
	    "the second name", "its directory", "the open file"};

	if (ref->res.ret != out->res.ret || ref->res.err != out->res.err ||
	    ref->res.hash != out->res.hash) {
		diverge(r, "results");
		printf("  expected %ld %s %llx\n", ref->res.ret,
		    ref->res.err ? strerrorname_np(ref->res.err) : "",
		    (unsigned long long)ref->res.hash);
		printf("  got      %ld %s %llx\n", out->res.ret,
		    out->res.err ? strerrorname_np(out->res.err) : "",
		    (unsigned long long)out->res.hash);
		return false;
	}
	for (int i = 0; i < TOUCHED_MAX; i++) {
		const struct seen *a = &ref->after[i], *b = &out->after[i];
		unsigned ta = 0, tb = 0;
		bool good = a->there == b->there;

		if (good && a->there) {
			if (times && times_agree(o, &ref->res)) {
				ta = moved(ref->before, a);
				tb = moved(out->before, b);
			}
			good = same_stat(&a->st, &b->st) && ta == tb;
		}
		if (good)
			continue;
		diverge(r, what[i]);
		printf("  the result was %ld %s\n", out->res.ret,
		    out->res.err ? strerrorname_np(out->res.err) : "");
		print_stat("expected", a, ta);
		print_stat("got     ", b, tb);
		return false;
	}
	return true;
}

/* Compares whole trees. */
static bool
trees_agree(void)
{
	char **ref = tree_list(&roots[0]);
	bool good = true;

	for (unsigned i = 1; i < nroots && good; i++) {
		char **got = tree_list(&roots[i]);
		unsigned n = 0;

		while (ref[n] && got[n] && strcmp(ref[n], got[n]) == 0)
			n++;
		if (ref[n] || got[n]) {
			diverge(&roots[i], "the trees");
			printf("  expected %s\n", ref[n] ? ref[n] : "no more");
			printf("  got      %s\n", got[n] ? got[n] : "no more");
			good = false;
		}
		tree_free(got);
	}
	tree_free(ref);
	return good;
}

static bool
run(unsigned long steps, unsigned long every)
{
	static struct outcome out[ROOTS_MAX];

	for (step = 0; step < steps; step++) {
		struct op *o = &history[step % HISTORY];
		bool times = step % TIMES_EVERY == 0;

		op_draw(o);
		for (unsigned i = 0; i < nroots; i++) {
			memset(&out[i], 0, sizeof(out[i]));
			if (times)
				op_look(&roots[i], o, out[i].before);
		}
		if (times)
			tick();
		for (unsigned i = 0; i < nroots; i++) {
			op_run(&roots[i], o, &out[i].res);
			op_look(&roots[i], o, out[i].after);
		}
		for (unsigned i = 1; i < nroots; i++)
			if (!agree(o, &out[0], &out[i], &roots[i], times))
				return false;
		op_remember(o, &out[0].res);
		if ((step + 1) % every == 0 && !trees_agree())
			return false;
	}
	step = steps - 1;
	return trees_agree();
}

static void
remove_tree(int dirfd, char **list)
{
	unsigned n = 0;

	while (list[n])
		n++;
	/* Names come before what is below them, so from the end on everything is empty. */
	while (n-- > 0) {
		char *end = strchr(list[n], ' ');
		*end = '\0';
		if (unlinkat(dirfd, list[n], 0) != 0)
			unlinkat(dirfd, list[n], AT_REMOVEDIR);
	}
}

int
main(int argc, char **argv)
{
	unsigned long steps = 10000, every = 5000;
	struct timespec a, b;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	first_seed = (uint64_t)time(NULL) * 1000 + (unsigned)getpid() % 1000;
	while ((opt = getopt(argc, argv, "s:n:e:p")) != -1) {
		if (opt == 's')
			first_seed = strtoull(optarg, NULL, 10);
		else if (opt == 'n')
			steps = strtoul(optarg, NULL, 10);
		else if (opt == 'e')
			every = strtoul(optarg, NULL, 10);
		else if (opt == 'p')
			no_setid = true;
	}
	for (; optind < argc && nroots < ROOTS_MAX; optind++) {
		struct root *r = &roots[nroots++];

		r->path = argv[optind];
		r->fd = open(r->path, O_RDONLY | O_DIRECTORY);
		if (r->fd < 0) {
			perror(r->path);
			return 2;
		}
		for (int i = 0; i < SLOTS; i++)
			r->slot[i] = -1;
	}
	if (nroots < 2 || steps == 0 || every == 0)
		return 2;
	rnd_state = first_seed;
	umask(0);
	printf("seed %llu, %lu steps\n", (unsigned long long)first_seed, steps);
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (!run(steps, every))
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &b);
	for (unsigned i = 0; i < nroots; i++) {
		char **list = tree_list(&roots[i]);
		remove_tree(roots[i].fd, list);
		tree_free(list);
	}
	printf(
	    "figure: model: %lu operations on %u directories agree with tmpfs, %.0f a second, "
	    "seed %llu\n",
	    steps * (nroots - 1), nroots - 1,
	    (double)steps * (nroots - 1) /
		((double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec)),
	    (unsigned long long)first_seed);
	return 0;
}
