/* Tracing (trace.h). */
#include "vfs/trace.h"

#include <stdarg.h>
#include <stdio.h>

void (*trace_sink)(const char *line);

void
trace_line(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	trace_sink(line);
}
