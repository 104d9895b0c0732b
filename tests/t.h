/*
 * The smallest unit test: a program of cases, each a function, each check counted.
 *
 * A case is TEST(name) { … CHECK(cond) … }; cases register themselves.  main is here.  Run
 * without arguments: all cases; with names: those.  The last line is "N passed, N failed,
 * N skipped"; the exit status says whether any failed.
 */
#ifndef RF_T_H
#define RF_T_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct t_case {
	const char *name;
	void (*fn)(void);
	struct t_case *next;
};
static struct t_case *t_first, **t_tail = &t_first;
static unsigned t_bad;
static const char *t_skipped;

#define TEST(id)                                                 \
	static void test_##id(void);                             \
	__attribute__((constructor)) static void add_##id(void)  \
	{                                                        \
		static struct t_case c = {#id, test_##id, NULL}; \
		*t_tail = &c;                                    \
		t_tail = &c.next;                                \
	}                                                        \
	static void test_##id(void)

#define CHECK(cond)                                                       \
	do {                                                              \
		if (!(cond)) {                                            \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			t_bad++;                                          \
		}                                                         \
	} while (0)

/* Two numbers that must agree; prints both. */
#define CHECK_EQ(a, b)                                                              \
	do {                                                                        \
		long long a_ = (long long)(a), b_ = (long long)(b);                 \
		if (a_ != b_) {                                                     \
			printf("%s:%d: %s is %lld, expected %s = %lld\n", __FILE__, \
			    __LINE__, #a, a_, #b, b_);                              \
			t_bad++;                                                    \
		}                                                                   \
	} while (0)

/* Two texts that must agree; prints both. */
#define CHECK_STR(a, b)                                                            \
	do {                                                                       \
		const char *a_ = (a), *b_ = (b);                                   \
		if (strcmp(a_, b_) != 0) {                                         \
			printf("%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, \
			    __LINE__, #a, a_, b_);                                 \
			t_bad++;                                                   \
		}                                                                  \
	} while (0)

/* Like CHECK, but the case cannot go on without it. */
#define REQUIRE(cond)                                                                \
	do {                                                                         \
		if (!(cond)) {                                                       \
			printf("%s:%d: %s (required)\n", __FILE__, __LINE__, #cond); \
			t_bad++;                                                     \
			return;                                                      \
		}                                                                    \
	} while (0)

#define SKIP(why)                  \
	do {                       \
		t_skipped = (why); \
		return;            \
	} while (0)

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0, skipped = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct t_case *c = t_first; c; c = c->next) {
		int wanted = argc < 2;
		for (int i = 1; i < argc; i++)
			wanted |= strcmp(argv[i], c->name) == 0;
		if (!wanted)
			continue;
		t_bad = 0;
		t_skipped = NULL;
		c->fn();
		if (t_bad) {
			failed++;
			printf("FAIL %s\n", c->name);
		} else if (t_skipped) {
			skipped++;
			printf("SKIP %s: %s\n", c->name, t_skipped);
		} else {
			passed++;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed != 0 || passed + skipped == 0;
}

#endif
