/* What is shown of progress, and when (daemon/progress.h). */
#include "daemon/progress.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/service.h"
#include "t-tmp.h"
#include "t.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define T0 (1000 * S) /* whenever the machine was started */

/* What was logged. */
static char lines[64][256];
static unsigned nlines;

static void
keep(void *arg, int prio, const char *text)
{
	(void)arg;
	CHECK_EQ(prio, LOG_INFO);
	if (nlines < 64)
		snprintf(lines[nlines], sizeof(lines[0]), "%s", text);
	nlines++;
}

/* stderr is a pipe from here on, of which the test reads the other end. */
static int shown_fd = -1;

static void
catch_stderr(void)
{
	int fds[2];

	if (shown_fd < 0) {
		CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
		CHECK(dup2(fds[1], STDERR_FILENO) >= 0);
		close(fds[1]);
		shown_fd = fds[0];
	}
	log_init(LOG_INFO);
	log_tee(keep, NULL);
	nlines = 0;
}

static const char *
shown(void)
{
	static char buf[8192];
	ssize_t n = read(shown_fd, buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void
begin(bool bar)
{
	struct progress_how how = {.ph_bar = bar, .ph_after_ns = S, .ph_line_ns = 5 * S};

	catch_stderr();
	(void)shown();
	progress_set(&how);
}

#define PG(what, name, unit, total)           \
	((struct progress){.pg_what = (what), \
	    .pg_name = (name),                \
	    .pg_unit = (unit),                \
	    .pg_total = (total)})

static void
tell(struct progress *pg, uint64_t done, uint64_t at)
{
	pg->pg_done = done;
	progress_tell_at(pg, 0, at);
}

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

TEST(text)
{
	static const struct {
		struct progress pg;
		uint64_t after;
		const char *want;
	} rows[] = {
	    {{"opening", "/l/big.tar.gz", "bytes", 3 * GIB, 9 * GIB, T0, 0, 0}, 30 * S,
		"opening /l/big.tar.gz: 3.0 of 9.0 GiB, 33 %, 102 MiB/s, 1:00 left"},
	    {{"reading through", "a", "bytes", 1536 * MIB, 0, T0, 0, 0}, S,
		"reading through a: 1.5 GiB, 1.5 GiB/s"},
	    {{"registering", NULL, "entries", 12800, 100000, T0, 0, 0}, 2 * S,
		"registering: 12800 of 100000 entries, 12 %, 6400/s, 0:14 left"},
	    /* Nothing done: no rate, and no end to be told. */
	    {{"copying", "f", "bytes", 0, 9 * GIB, T0, 0, 0}, 2 * S,
		"copying f: 0.0 of 9.0 GiB, 0 %"},
	    {{"copying", "f", "bytes", 0, 0, T0, 0, 0}, 2 * S, "copying f: 0 bytes"},
	    /* Where it began does not count for the rate. */
	    {{"copying", "f", "bytes", 200 * MIB, 300 * MIB, T0, 100 * MIB, 0}, 10 * S,
		"copying f: 200 of 300 MiB, 66 %, 10.0 MiB/s, 0:10 left"},
	    /* More than was said. */
	    {{"copying", "f", "bytes", 20, 10, T0, 0, 0}, S,
		"copying f: 20 of 10 bytes, 100 %, 20 bytes/s"},
	    {{"copying", "f", "bytes", 1, UINT64_MAX, T0, 0, 0}, S,
		"copying f: 0.0 of 16384 PiB, 0 %, 1 bytes/s, 277777:46:40 left"},
	    {{"copying", "f", "bytes", 7200, 14400 + 61, T0, 0, 0}, 7200 * S,
		"copying f: 7.0 of 14.1 KiB, 49 %, 1 bytes/s, 2:01:01 left"},
	    /* No time has passed, or it has gone backwards. */
	    {{"copying", "f", "bytes", 5, 10, T0, 0, 0}, 0,
		"copying f: 5 of 10 bytes, 50 %"},
	    {{"copying", "f", "bytes", 5, 10, T0 + S, 0, 0}, 0,
		"copying f: 5 of 10 bytes, 50 %"},
	};
	char buf[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		progress_text(buf, sizeof(buf), &rows[i].pg, T0 + rows[i].after);
		if (strcmp(buf, rows[i].want) != 0)
			printf("row %zu: %s\n", i, buf);
		CHECK(strcmp(buf, rows[i].want) == 0);
	}
}

TEST(bar)
{
	struct progress pg = PG("opening", "/lab/big.tar.gz", "bytes", 9 * GIB);
	char buf[1024], name[3000];

	pg.pg_done = 3 * GIB;
	pg.pg_began_ns = T0;
	progress_bar(buf, sizeof(buf), &pg, T0 + 30 * S, 100);
	CHECK(
	    strcmp(buf, "opening /lab/big.tar.gz [#########---------------------] 33 %  "
			"3.0 of 9.0 GiB  102 MiB/s  1:00 left") == 0 ||
	    (printf("%s\n", buf), 0));
	/* Whatever there is, it fits, and says how far it is if there is room for that. */
	memset(name, 'n', sizeof(name));
	memcpy(name + sizeof(name) - 7, "/\xc3\xa4\x1b[7\0", 7);
	pg.pg_name = name;
	for (unsigned width = 1; width < 300; width++) {
		unsigned n = 0;

		progress_bar(buf, sizeof(buf), &pg, T0 + 30 * S, width);
		for (const char *p = buf; *p; p++)
			n += ((unsigned char)*p & 0xc0) != 0x80;
		CHECK(n <= width);
		CHECK(width < 60 || strstr(buf, "33 %"));
		CHECK(width < 64 || strstr(buf, "\xc3\xa4?[7"));
		CHECK(!strchr(buf, '\x1b'));
	}
	pg = PG("reading through", NULL, "bytes", 0);
	pg.pg_done = 5 * MIB;
	pg.pg_began_ns = T0;
	progress_bar(buf, sizeof(buf), &pg, T0 + 2 * S, 80);
	CHECK(strcmp(buf, "reading through  5.0 MiB  2.5 MiB/s") == 0 ||
	      (printf("%s\n", buf), 0));
}

TEST(quick_work_is_silent)
{
	struct progress pg = PG("opening", "a", "bytes", 100);

	begin(true);
	for (unsigned i = 0; i < 100; i++)
		tell(&pg, i, T0 + i * 9 * MS);
	progress_tell_at(&pg, 1, T0 + 5 * S);
	CHECK_EQ(nlines, 0);
	CHECK(shown()[0] == '\0');
}

TEST(lines_every_five_seconds)
{
	struct progress pg = PG("opening", "a", "bytes", 300);

	begin(false);
	for (unsigned i = 0; i < 120; i++)
		tell(&pg, i, T0 + i * 100 * MS);
	/* At 1, 6 and 11 s. */
	CHECK_EQ(nlines, 3);
	CHECK(strcmp(lines[0],
		  "opening a: 10 of 300 bytes, 3 %, 10 bytes/s, 0:29 left") == 0);
	CHECK(strcmp(lines[2],
		  "opening a: 110 of 300 bytes, 36 %, 10 bytes/s, 0:19 left") == 0);
	progress_tell_at(&pg, 1, T0 + 12 * S);
	CHECK_EQ(nlines, 4);
	CHECK(strcmp(lines[3], "opening a: it took 0:12") == 0);
}

/* However many there are, a line every five seconds, and of the one that began last. */
TEST(several)
{
	struct progress outer = PG("registering", NULL, "entries", 10),
			inner = PG("opening", "b", "bytes", 0);

	begin(false);
	tell(&outer, 0, T0 + 60 * S);
	tell(&inner, 0, T0 + 61 * S);
	for (unsigned i = 15; i < 115; i++) {
		tell(&outer, i / 15, T0 + 60 * S + i * 100 * MS);
		tell(&inner, i, T0 + 60 * S + i * 100 * MS + 1);
	}
	CHECK_EQ(nlines, 2);
	CHECK(strncmp(lines[0], "registering: ", 13) == 0);
	CHECK(strncmp(lines[1], "opening b: ", 11) == 0);
	progress_tell_at(&inner, 1, T0 + 72 * S);
	CHECK_EQ(nlines, 3);
	/* The place is free for the other, and nobody's when that is over. */
	tell(&outer, 9, T0 + 73 * S);
	CHECK_EQ(nlines, 4);
	CHECK(strncmp(lines[3], "registering: 9 of 10", 20) == 0);
	progress_tell_at(&outer, 1, T0 + 74 * S);
	CHECK_EQ(nlines, 5);
	CHECK(strcmp(lines[4], "registering: it took 0:14") == 0);
}

/* What does not get any further leaves its place to what does. */
TEST(stale)
{
	struct progress old = PG("opening", "old", "bytes", 0),
			new = PG("opening", "new", "bytes", 0);

	begin(false);
	tell(&old, 0, T0 + 100 * S);
	tell(&new, 0, T0 + 100 * S + 1);
	tell(&new, 1, T0 + 102 * S);
	CHECK(nlines == 1 && strncmp(lines[0], "opening new", 11) == 0);
	tell(&old, 1, T0 + 102 * S + 900 * MS);
	tell(&old, 1, T0 + 110 * S);
	CHECK(nlines == 2 && strncmp(lines[1], "opening old", 11) == 0);
	progress_tell_at(&new, 1, T0 + 111 * S);
	progress_tell_at(&old, 1, T0 + 111 * S);
	CHECK_EQ(nlines, 4);
}

TEST(bar_on_a_terminal)
{
	struct progress pg = PG("opening", "a", "bytes", 100 * MIB);
	const char *out;
	unsigned n = 0;

	begin(true);
	for (unsigned i = 0; i < 2000; i++)
		tell(&pg, i * 10000, T0 + 200 * S + i * MS);
	out = shown();
	for (const char *p = out; (p = strstr(p, "\r\033[Kopening a [")); p++)
		n++;
	/* One second of two, ten times. */
	CHECK_EQ(n, 10);
	/* A line of the log comes above it, and it is below again. */
	log_msg(LOG_INFO, "said");
	out = shown();
	CHECK(strncmp(out, "\r\033[Krumpfuse: said\nopening a [", 30) == 0);
	progress_tell_at(&pg, 1, T0 + 203 * S);
	CHECK(strcmp(shown(), "\r\033[K") == 0);
	log_msg(LOG_INFO, "said");
	CHECK(strcmp(shown(), "rumpfuse: said\n") == 0);
	CHECK_EQ(nlines, 2);
}

TEST(detached_in_the_midst)
{
	struct progress pg = PG("opening", "a", "bytes", 0);

	begin(true);
	tell(&pg, 0, T0 + 300 * S);
	tell(&pg, 1, T0 + 302 * S);
	CHECK(strstr(shown(), "opening a"));
	progress_detach();
	CHECK(strcmp(shown(), "\r\033[K") == 0);
	tell(&pg, 2, T0 + 310 * S);
	CHECK(nlines == 1 && !strchr(shown(), '\033'));
	progress_tell_at(&pg, 1, T0 + 311 * S);
	CHECK_EQ(nlines, 2);
}

/* Who asked for it. */

static void
count(void *arg, const struct progress *pg)
{
	CHECK(strcmp(pg->pg_name, "a") == 0);
	++*(unsigned *)arg;
}

TEST(tee)
{
	struct progress pg = PG("opening", "a", "bytes", 0);
	unsigned n = 0;

	begin(false);
	progress_tee(count, &n);
	for (unsigned i = 0; i < 35; i++)
		tell(&pg, i, T0 + 350 * S + i * 100 * MS);
	CHECK_EQ(n, 3); /* at 1, 2 and 3 s */
	progress_tee(NULL, NULL);
	tell(&pg, 50, T0 + 355 * S);
	progress_tell_at(&pg, 1, T0 + 356 * S);
	CHECK_EQ(n, 3);
}

/* The service manager. */

static char told[2048];

static const char *
receive(int fd)
{
	ssize_t n = recv(fd, told, sizeof(told) - 1, MSG_DONTWAIT);

	told[n > 0 ? n : 0] = '\0';
	return told;
}

static int
listen_at(const char *dir)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", dir);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	return fd;
}

TEST(service_manager)
{
	struct progress pg = PG("opening", "a", "bytes", 0);
	AUTO_TMP dir = tmp_new("/dev/shm");
	int fd = listen_at(dir.path);
	unsigned n = 0;

	REQUIRE(fd >= 0);
	begin(false);
	service_status("%d keys", 7);
	CHECK(strcmp(receive(fd), "STATUS=7 keys") == 0);
	for (unsigned i = 0; i < 35; i++) {
		tell(&pg, i, T0 + 400 * S + i * 100 * MS);
		if (receive(fd)[0]) {
			CHECK(strncmp(told, "STATUS=opening a: ", 18) == 0);
			CHECK(strstr(told, "\nEXTEND_TIMEOUT_USEC="));
			n++;
		}
	}
	CHECK_EQ(n, 3); /* at 1, 2 and 3 s */
	CHECK_EQ(nlines, 1);
	/* What is said meanwhile is what it goes back to. */
	service_status("%d keys", 8);
	CHECK(strcmp(receive(fd), "STATUS=8 keys") == 0);
	progress_tell_at(&pg, 1, T0 + 404 * S);
	CHECK(strcmp(receive(fd), "STATUS=8 keys") == 0);
	/* One that runs is given no more time. */
	service_ready();
	CHECK(strcmp(receive(fd), "READY=1") == 0);
	pg = PG("reading through", "b", "bytes", 0);
	tell(&pg, 0, T0 + 500 * S);
	tell(&pg, 1, T0 + 501 * S);
	CHECK(strcmp(receive(fd), "STATUS=reading through b: 1 bytes, 1 bytes/s") == 0);
	progress_tell_at(&pg, 1, T0 + 502 * S);
	CHECK(strcmp(receive(fd), "STATUS=8 keys") == 0);
	CHECK(receive(fd)[0] == '\0');
	unsetenv("NOTIFY_SOCKET");
	close(fd);
}

/* Threads. */

static void *
work(void *arg)
{
	for (unsigned k = 0; k < 50; k++) {
		struct progress pg = PG("opening", arg, "bytes", 1000);

		for (unsigned i = 0; i < 200; i++)
			tell(&pg, i, T0 + 600 * S + (k * 200 + i) * 20 * MS);
		progress_tell_at(&pg, 1, T0 + 600 * S + k * 4 * S + 4 * S);
	}
	return NULL;
}

static void *
drain(void *arg)
{
	char buf[4096];

	while (!*(atomic_bool *)arg)
		if (read(shown_fd, buf, sizeof(buf)) < 0)
			usleep(100);
	return NULL;
}

TEST(threads)
{
	pthread_t t[4], reader;
	atomic_bool stop = false;

	begin(true);
	CHECK(pthread_create(&reader, NULL, drain, &stop) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, work, "x") == 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	stop = true;
	pthread_join(reader, NULL);
	/* Nothing remains, however much there is to read yet. */
	while (*shown())
		;
	log_msg(LOG_INFO, "the end");
	CHECK(strcmp(shown(), "rumpfuse: the end\n") == 0);
}
