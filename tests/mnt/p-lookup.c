/*
 * How long does a lookup take in one directory, compared with another?
 *
 *	p-lookup [-r ROUNDS] [-n LOOKUPS] WHAT LIMIT DIR-A PREFIX-A COUNT-A DIR-B PREFIX-B
 *	    COUNT-B
 *
 * The entries of A are PREFIX-A0 to PREFIX-A(COUNT-A - 1), those of B likewise.  Prints a
 * figure with both times and how many times the one of A is that of B; the exit status is
 * 1 if that is over LIMIT three times, or a name was not there.
 */
#include "timed.h"

/* A worker thread that has settled on another processor doubles the times of one daemon
 * for a while; what is really slower is so each time. */
#define TRIES 3

int
main(int argc, char **argv)
{
	int rounds = 11, opt;
	unsigned lookups = 1000;
	static struct timed a, b;
	double ta, tb;

	while ((opt = getopt(argc, argv, "r:n:")) != -1) {
		if (opt == 'r' && atoi(optarg) <= ROUNDS_MAX)
			rounds = atoi(optarg);
		else if (opt == 'n')
			lookups = (unsigned)atoi(optarg);
	}
	argv += optind;
	if (argc - optind != 8)
		return 2;
	timed_init(
	    &a, open(argv[2], O_RDONLY | O_DIRECTORY), argv[3], (unsigned)atoi(argv[4]));
	timed_init(
	    &b, open(argv[5], O_RDONLY | O_DIRECTORY), argv[6], (unsigned)atoi(argv[7]));
	if (a.fd < 0 || b.fd < 0)
		return 2;
	for (int tries = 0; tries < TRIES; tries++) {
		timed_compare(&a, &b, rounds, lookups, &ta, &tb);
		printf("figure: %s: %.1f us and %.1f us, %.2f times (limit %s)\n",
		    argv[0], ta, tb, ta / tb, argv[1]);
		if (ta / tb <= atof(argv[1]))
			break;
	}
	if (a.errors || b.errors)
		printf("%u and %u names were not there\n", a.errors, b.errors);
	return a.errors || b.errors || ta / tb > atof(argv[1]);
}
