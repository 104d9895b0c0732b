/* Threads that race for one node, and every host call failing in its turn. */
#include <pthread.h>

#include "etfs/etfs_private.h"
#include "tests/t-etfs.h"

struct racer {
	struct bed *ra_b;
	unsigned ra_bad;
};

static void *
race(void *arg)
{
	struct racer *ra = arg;

	for (unsigned i = 0; i < 300; i++) {
		struct vnode *x = at(ra->ra_b, "/d/file"), *y = at(ra->ra_b, "/d/hard");
		struct vattr va;

		if (!x || x != y || vop_getattr(x, NULL, &va) < 0)
			ra->ra_bad++;
		if (x)
			vn_unref(x);
		if (i % 50 == 0)
			fds_shrink(ra->ra_b->e);
		if (y)
			vn_unref(y);
	}
	return NULL;
}

TEST(race_for_one_node)
{
	pthread_t t[4];
	struct racer ra[4];
	AUTO_BED b;

	bed_start(&b, 0);
	make_tree(&b);
	CHECK_EQ(link(host(&b, "t/file"), host(&b, "t/hard")), 0);
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	for (unsigned i = 0; i < 4; i++) {
		ra[i] = (struct racer){&b, 0};
		CHECK_EQ(pthread_create(&t[i], NULL, race, &ra[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		CHECK_EQ(ra[i].ra_bad, 0);
	}
}

/* Each scenario with its n-th host call failing, until none is reached any more: an errno
 * comes back, and afterwards everything works and nothing is left over. */
static int
scenario(struct bed *b, unsigned which)
{
	struct file *f = NULL;
	int r;

	switch (which) {
	case 0:
		r = reg_win(b, "/k", "f", ETFS_BLK, 1, 3);
		return r < 0 ? r : etfs_remove(b->e, "/k");
	case 1:
		r = do_create(b, "/d/new", O_RDWR, &f);
		if (r < 0)
			return r;
		vop_close(f);
		return do_remove(b, "/d/new", false);
	case 2:
		r = do_make(b, "/d/newdir", VDIR, NULL);
		return r < 0 ? r : do_remove(b, "/d/newdir", true);
	case 3:
		r = do_rename(b, "/d/file", "/d/sub/file", 0);
		return r < 0 ? r : do_rename(b, "/d/sub/file", "/d/file", 0);
	case 4:
		return strcmp(names(b, "/d"), "file link sub") == 0 ? 0 : -EIO;
	default:
		fds_shrink(b->e);
		r = at_err(b, "/d/sub/inner");
		return r < 0 ? r : set_mode(b, "/d/file", 0644);
	}
}

TEST(faults)
{
	static const int errors[] = {EIO, EMFILE, ENOSPC, ENOMEM};
	AUTO_BED b;

	bed_start(&b, 0);
	hc_fault_set(1, EIO);
	AUTO_FD probe = hc_open_root("/", O_PATH);
	hc_fault_set(0, 0);
	if (probe >= 0)
		SKIP("not a checked build");
	make_tree(&b);
	host_text(&b, "f", "12345");
	CHECK_EQ(reg_dir(&b, "/d", "t", ETFS_AUTO, ETFS_SYMLINKS_SHOW, false), 0);
	for (unsigned s = 0; s < 6; s++)
		for (unsigned e = 0; e < 4; e++)
			for (unsigned long n = 1; n < 200; n++) {
				unsigned long calls;
				int r;

				hc_fault_set(n, errors[e]);
				r = scenario(&b, s);
				calls = hc_fault_calls();
				hc_fault_set(0, 0);
				CHECK(r <= 0);
				/* What a failure half-way left in the scenario's way. */
				(void)etfs_remove(b.e, "/k");
				(void)rename(host(&b, "t/sub/file"), host(&b, "t/file"));
				(void)unlink(host(&b, "t/new"));
				(void)rmdir(host(&b, "t/newdir"));
				r = scenario(&b, s);
				if (r != 0)
					printf("scenario %u, call %lu, errno %d\n", s, n,
					    errors[e]);
				CHECK_EQ(r, 0);
				if (calls < n)
					break;
			}
	CHECK_STR(names(&b, "/d"), "file link sub");
}
