/*
 * p-randread [-t THREADS] [-n COUNT] [-s SEED] FILE REFERENCE: each thread reads COUNT random
 * ranges of FILE, of 1 byte to 200,000, and compares them with the same of REFERENCE.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LEN 200000

static int fd, ref;
static off_t size;
static int count = 200;
static unsigned seed = 1;
static int failures;

static void *
reader(void *arg)
{
	uint64_t rng = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15ull + seed;
	char *a = malloc(MAX_LEN), *b = malloc(MAX_LEN);

	for (int i = 0; i < count; i++) {
		off_t off;
		size_t len;
		ssize_t n, m;

		rng = rng * 6364136223846793005ull + 1442695040888963407ull;
		off = (off_t)((rng >> 20) % (uint64_t)size);
		len = 1 + (rng >> 40) % MAX_LEN;
		n = pread(fd, a, len, off);
		m = pread(ref, b, len, off);
		if (n != m || n < 0 || memcmp(a, b, (size_t)n) != 0) {
			printf("%zd bytes of %zu at %lld, expected %zd\n", n, len,
			    (long long)off, m);
			__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
			break;
		}
	}
	free(a);
	free(b);
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t threads[64];
	int nthreads = 4, o;
	struct stat st;

	while ((o = getopt(argc, argv, "t:n:s:")) != -1) {
		if (o == 't')
			nthreads = atoi(optarg);
		else if (o == 'n')
			count = atoi(optarg);
		else if (o == 's')
			seed = (unsigned)atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 2 || nthreads < 1 || nthreads > 64)
		return 2;
	fd = open(argv[optind], O_RDONLY);
	ref = open(argv[optind + 1], O_RDONLY);
	if (fd < 0 || ref < 0 || fstat(ref, &st) < 0) {
		perror("open");
		return 1;
	}
	/* So that the file system is asked, and not its pages. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	size = st.st_size;
	for (intptr_t i = 0; i < nthreads; i++)
		pthread_create(&threads[i], NULL, reader, (void *)(i + 1));
	for (int i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	return failures > 0;
}
