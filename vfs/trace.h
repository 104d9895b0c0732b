/*
 * Tracing: one line per vop, for rumpfuse -d.
 *
 * Nothing is formatted unless a sink is set; the test for it is one predictable branch.
 * The sink gets a finished line without a newline, from any thread, with no lock held.
 */
#ifndef RF_VFS_TRACE_H
#define RF_VFS_TRACE_H

extern void (*trace_sink)(const char *line); /* set before the first request */

void trace_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define TRACE(...)                                        \
	do {                                              \
		if (__builtin_expect(trace_sink != 0, 0)) \
			trace_line(__VA_ARGS__);          \
	} while (0)

#endif
