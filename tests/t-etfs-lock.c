/* Range locks against other processes, and overlapping windows (SEMANTICS 3). */
#include "tests/t-etfs.h"

/* Tries, as another process, to lock a byte range of the host file. */
static int
foreign_lock(struct bed *b, const char *name, short type, off_t off, off_t len)
{
	struct flock fl = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = off, .l_len = len};
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(host(b, name), O_RDWR);
		_exit(fcntl(fd, F_SETLK, &fl) == 0 ? 0 : errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST(locks)
{
	struct etfs_spec ro = {
	    .es_key = "/ro", .es_begin = 4000, .es_size = 1000, .es_rdonly = true};
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 64000);
	ro.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &ro, NULL), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 4000, 1000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 4999, 1), EAGAIN);
	/* The first writable one takes the lock fd over, the shared lock with it. */
	CHECK_EQ(reg_win(&b, "/w1", "f", ETFS_BLK, 1000, 1000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 4000, 1), EAGAIN);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 4000, 1000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 1000, 1), EAGAIN);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 0, 1000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 2000, 2000), 0);
	/* Overlapping keys of one daemon; each removal leaves what the others need. */
	CHECK_EQ(reg_win(&b, "/w2", "f", ETFS_BLK, 1500, 3000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 4499, 1), EAGAIN);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 4500, 1), 0);
	CHECK_EQ(etfs_remove(b.e, "/w1"), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 1000, 500), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 1500, 1), EAGAIN);
	CHECK_EQ(etfs_remove(b.e, "/w2"), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 0, 4000), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 4000, 1), EAGAIN);
	CHECK_EQ(foreign_lock(&b, "f", F_RDLCK, 4000, 1000), 0);
	CHECK_EQ(etfs_remove(b.e, "/ro"), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 0, 0), 0);
	/* Whole files and empty windows take none. */
	CHECK_EQ(reg(&b, "/k", "f", ETFS_REG), 0);
	CHECK_EQ(reg_win(&b, "/e", "f", ETFS_BLK, 500, 0), 0);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 0, 0), 0);
}

TEST(lock_refused)
{
	struct etfs_spec s = {.es_key = "/k", .es_begin = 100, .es_size = 200};
	struct flock fl = {.l_type = F_WRLCK, .l_start = 250, .l_len = 10};
	char want[64];
	int ready[2], end[2];
	char c;
	pid_t pid;
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 1000);
	REQUIRE(pipe(ready) == 0 && pipe(end) == 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(host(&b, "f"), O_RDWR);

		close(end[1]);
		if (fcntl(fd, F_SETLK, &fl) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		_exit((int)read(end[0], &c, 1));
	}
	close(ready[1]);
	close(end[0]);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	s.es_host = host(&b, "f");
	CHECK_EQ(etfs_register_spec(b.e, &s, &b.why), -EBUSY);
	snprintf(
	    want, sizeof(want), "bytes 100 to 300 are in use: locked by process %d", pid);
	CHECK(strstr(b.why.ew_text, want));
	CHECK(strstr(b.why.ew_text, "/k: "));
	CHECK_EQ(at_err(&b, "/k"), -ENOENT);
	/* The lock comes before the duplicate, and a refusal leaves nothing locked. */
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 0, 100), 0);
	CHECK_EQ(etfs_register_spec(b.e, &s, &b.why), -EBUSY);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 100, 100), 0);
	CHECK_EQ(reg_win(&b, "/k", "f", ETFS_BLK, 300, 100), -EEXIST);
	CHECK_EQ(foreign_lock(&b, "f", F_WRLCK, 300, 100), 0);
	s.es_key = "/free";
	s.es_no_lock = true;
	CHECK_EQ(etfs_register_spec(b.e, &s, &b.why), 0);
	close(end[1]);
	waitpid(pid, NULL, 0);
	close(ready[0]);
}

static void
count_pair(const struct etfs_info *a, const struct etfs_info *b, void *arg)
{
	unsigned *n = arg;

	n[0]++;
	if (strcmp(a->ei_key, "/a") == 0 && strcmp(b->ei_key, "/b") == 0)
		n[1]++;
}

TEST(overlaps)
{
	struct etfs_spec s = {.es_size = 100, .es_rdonly = true};
	unsigned n[2] = {0, 0};
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", 1000);
	host_file(&b, "g", 1000);
	CHECK_EQ(reg_win(&b, "/a", "f", ETFS_BLK, 0, 100), 0);
	CHECK_EQ(reg_win(&b, "/b", "f", ETFS_BLK, 50, 100), 0);
	CHECK_EQ(reg_win(&b, "/c", "f", ETFS_BLK, 150, 100), 0);
	CHECK_EQ(reg_win(&b, "/d", "g", ETFS_BLK, 0, 1000), 0);
	CHECK_EQ(reg(&b, "/whole", "f", ETFS_REG), 0);
	s.es_host = host(&b, "f");
	s.es_begin = 400;
	s.es_key = "/r1";
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	s.es_key = "/r2";
	CHECK_EQ(etfs_register_spec(b.e, &s, NULL), 0);
	etfs_overlaps(b.e, count_pair, n);
	CHECK_EQ(n[0], 1);
	CHECK_EQ(n[1], 1);
}

/* Windows in any order, overlapping at random: what another process may lock is exactly
 * what no window covers, at every step. */
TEST(lock_model)
{
	enum {
		UNITS = 40,
		KEYS = 24
	};
	struct {
		bool there, rdonly;
		unsigned begin, len;
	} key[KEYS] = {0};
	uint32_t seed = 12345;
	AUTO_BED b;

	bed_start(&b, 0);
	host_file(&b, "f", UNITS * 10);
	int fd = open(host(&b, "f"), O_RDWR);
	for (unsigned i = 0; i < 400; i++) {
		struct etfs_spec s = {0};
		char name[16];
		unsigned k;

		seed = seed * 1664525 + 1013904223;
		k = (seed >> 8) % KEYS;
		snprintf(name, sizeof(name), "/k%u", k);
		if (key[k].there) {
			CHECK_EQ(etfs_remove(b.e, name), 0);
			key[k].there = false;
		} else {
			key[k].begin = (seed >> 16) % UNITS;
			key[k].len = (seed >> 20) % (UNITS - key[k].begin + 1);
			key[k].rdonly = seed >> 31;
			key[k].there = true;
			s.es_key = name;
			s.es_host = host(&b, "f");
			s.es_type = ETFS_BLK;
			s.es_begin = key[k].begin * 10;
			s.es_size = key[k].len * 10;
			s.es_rdonly = key[k].rdonly;
			CHECK_EQ(etfs_register_spec(b.e, &s, &b.why), 0);
		}
		for (unsigned u = 0; u < UNITS; u++) {
			bool wr = false, rd = false;
			/* Asked with another open file: its locks conflict like another
			 * process's. */
			struct flock fl = {
			    .l_type = F_WRLCK, .l_start = u * 10, .l_len = 10};

			for (unsigned j = 0; j < KEYS; j++)
				if (key[j].there && u >= key[j].begin &&
				    u < key[j].begin + key[j].len)
					*(key[j].rdonly ? &rd : &wr) = true;
			CHECK_EQ(fcntl(fd, F_OFD_GETLK, &fl), 0);
			CHECK_EQ(fl.l_type, wr ? F_WRLCK : rd ? F_RDLCK : F_UNLCK);
		}
	}
	close(fd);
}
