/*
 * A writer that knows what it was promised.
 *
 *	p-writer FILE LOG	writes records of 512 bytes one after the other until a write
 *				fails; LOG always holds how many were acknowledged
 *	p-writer -c FILE N	are the first N records in FILE, whole?
 *
 * The exit status of the writer is 0 if it was ended by an error of the mount (which is
 * what is to happen), and 1 after 30 s without.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORD = 512
};

static void
record(unsigned long i, char *buf)
{
	for (int k = 0; k < RECORD; k += 16)
		snprintf(buf + k, 17, "record %8lu\n", i % 100000000);
}

static int
check(const char *path, unsigned long n)
{
	char want[RECORD + 16], got[RECORD];
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	for (unsigned long i = 0; i < n; i++) {
		record(i, want);
		if (pread(fd, got, RECORD, (off_t)(i * RECORD)) != RECORD ||
		    memcmp(want, got, RECORD) != 0) {
			printf("record %lu of %lu is not there\n", i, n);
			return 1;
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	char buf[RECORD + 16], text[32];
	time_t end = time(NULL) + 30;
	int fd, log;

	if (argc == 4 && strcmp(argv[1], "-c") == 0)
		return check(argv[2], strtoul(argv[3], NULL, 10));
	if (argc != 3)
		return 2;
	log = open(argv[2], O_CREAT | O_RDWR | O_TRUNC, 0644);
	fd = open(argv[1], O_CREAT | O_RDWR | O_TRUNC, 0644);
	if (fd < 0 || log < 0) {
		perror("open");
		return 2;
	}
	for (unsigned long i = 0; time(NULL) < end; i++) {
		record(i, buf);
		if (pwrite(fd, buf, RECORD, (off_t)(i * RECORD)) != RECORD) {
			printf(
			    "ended by %s after %lu records\n", strerrorname_np(errno), i);
			return 0;
		}
		int n = snprintf(text, sizeof(text), "%lu\n", i + 1);
		if (pwrite(log, text, (size_t)n, 0) != n)
			return 2;
	}
	return 1;
}
