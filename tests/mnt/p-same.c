/*
 * Are two files the same, however they are read?  Random stretches by many threads, with
 * read and through a mapping, and where the holes are said to be.
 *
 *	p-same FILE REFERENCE THREADS COUNT
 *
 * Each thread reads COUNT stretches of FILE, of 1 to 300,000 bytes, every other one through
 * its mapping, and compares them with REFERENCE.  Then the data and holes of FILE must
 * alternate, cover it all, and be zeros where they are holes.  Prints "figure: holes: N
 * bytes" and is silent about what is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEN_MAX 300000u

static int fd;
static const char *got, *want; /* mappings */
static uint64_t size;
static unsigned count;
static _Atomic unsigned bad;

static uint64_t
rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void *
reader(void *arg)
{
	uint64_t s = (uint64_t)(uintptr_t)arg;
	char *buf = malloc(LEN_MAX);

	for (unsigned i = 0; buf && i < count; i++) {
		uint64_t off = rnd(&s) % size, len = rnd(&s) % LEN_MAX + 1;
		uint64_t all = len < size - off ? len : size - off;
		ssize_t n = i % 2 ? (ssize_t)all : pread(fd, buf, len, (off_t)off);

		if (n != (ssize_t)all ||
		    memcmp(i % 2 ? got + off : buf, want + off, all) != 0) {
			printf("%llu bytes at %llu differ (%zd)\n",
			    (unsigned long long)len, (unsigned long long)off, n);
			bad++;
		}
	}
	free(buf);
	return NULL;
}

static void
holes(void)
{
	static const char zeros[4096];
	uint64_t total = 0, at = 0;

	while (at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), end;
		uint64_t to = data < 0 ? size : (uint64_t)data;

		if (data < 0 && errno != ENXIO) {
			printf("SEEK_DATA %llu: %m\n", (unsigned long long)at);
			bad++;
			return;
		}
		total += to - at;
		for (; at < to; at += to - at < sizeof(zeros) ? to - at : sizeof(zeros)) {
			if (memcmp(want + at, zeros,
				to - at < sizeof(zeros) ? to - at : sizeof(zeros)) != 0) {
				printf(
				    "a hole over data at %llu\n", (unsigned long long)at);
				bad++;
				return;
			}
		}
		if (at == size)
			break;
		end = lseek(fd, (off_t)at, SEEK_HOLE);
		if (end <= (off_t)at || (uint64_t)end > size) {
			printf("SEEK_HOLE %llu: %lld\n", (unsigned long long)at,
			    (long long)end);
			bad++;
			return;
		}
		at = (uint64_t)end;
	}
	printf("figure: holes: %llu bytes\n", (unsigned long long)total);
}

static const char *
map(const char *path, int *ret_fd)
{
	struct stat st;
	void *p;

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0 || fstat(*ret_fd, &st) < 0) {
		perror(path);
		exit(2);
	}
	if (size && (uint64_t)st.st_size != size) {
		printf("sizes differ: %lld and %llu\n", (long long)st.st_size,
		    (unsigned long long)size);
		exit(1);
	}
	size = (uint64_t)st.st_size;
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, *ret_fd, 0);
	if (p == MAP_FAILED) {
		perror(path);
		exit(2);
	}
	return p;
}

int
main(int argc, char **argv)
{
	pthread_t t[64];
	unsigned n;
	int ref;

	if (argc != 5 || (n = (unsigned)atoi(argv[3])) == 0 || n > 64) {
		fprintf(stderr, "p-same FILE REFERENCE THREADS COUNT\n");
		return 2;
	}
	count = (unsigned)atoi(argv[4]);
	got = map(argv[1], &fd);
	want = map(argv[2], &ref);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)(i + 1));
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	holes();
	return bad != 0;
}
