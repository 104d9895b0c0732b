/* Tracing and progress (trace.h, progress.h). */
#include "vfs/trace.h"

#include "vfs/progress.h"

#include <stdarg.h>
#include <stdio.h>

void (*trace_sink)(const char *line);
void (*progress_sink)(struct progress *pg, int end);

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
