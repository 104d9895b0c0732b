/*
 * Words and tables for people (text.h).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "daemon/ctl/text.h"

bool text_utf8 = true;

static bool
harmless(gunichar ch)
{
	GUnicodeType type = g_unichar_type(ch);

	/* Format characters turn the direction of writing around. */
	return ch != '\\' && type != G_UNICODE_CONTROL && type != G_UNICODE_FORMAT &&
	       type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *
text_show(const char *s)
{
	GString *out = g_string_new(NULL);
	const char *end;

	if (!s)
		return g_string_free(g_string_append_c(out, '-'), FALSE);
	end = s + strlen(s);
	while (s < end) {
		gunichar ch = g_utf8_get_char_validated(s, end - s);
		bool valid = ch != (gunichar)-1 && ch != (gunichar)-2;
		int len = valid ? g_utf8_next_char(s) - s : 1;

		if (valid && harmless(ch)) {
			g_string_append_len(out, s, len);
		} else {
			for (int i = 0; i < len; i++)
				g_string_append_printf(
				    out, "\\%03o", (unsigned char)s[i]);
		}
		s += len;
	}
	return g_string_free(out, FALSE);
}

char *
text_size(uint64_t bytes)
{
	static const char unit[] = "TGMK";

	for (int i = 0; unit[i] && bytes; i++) {
		int shift = 10 * (4 - i);

		if (bytes % (UINT64_C(1) << shift) == 0)
			return g_strdup_printf("%" PRIu64 "%c", bytes >> shift, unit[i]);
	}
	return g_strdup_printf("%" PRIu64, bytes);
}

char *
text_bytes(uint64_t bytes)
{
	static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = bytes / 1024.0;
	size_t i = 0;

	if (bytes < 1024)
		return g_strdup_printf("%" PRIu64, bytes);
	for (; n >= 1023.95 && i + 1 < G_N_ELEMENTS(unit); i++)
		n /= 1024;
	return g_strdup_printf("%" PRIu64 " (%.1f %s)", bytes, n, unit[i]);
}

char *
text_about(double n)
{
	static const char unit[] = "KMGTPE";
	int i = -1;

	if (n < 99.95)
		return g_strdup_printf(n > 0 && n < 9.995 ? "%.1f" : "%.0f", n);
	for (; n >= 999.5 && unit[i + 1]; i++)
		n /= i < 0 && n < 1023.5 ? 1000 : 1024;
	if (i < 0)
		return g_strdup_printf("%.0f", n);
	return g_strdup_printf(n < 9.995   ? "%.2f%c"
			       : n < 99.95 ? "%.1f%c"
					   : "%.0f%c",
	    n, unit[i]);
}

char *
text_us(uint64_t us)
{
	if (us == UINT64_MAX)
		return g_strdup("> 2 min");
	if (us < 1000)
		return g_strdup_printf("%" PRIu64 " %s", us, text_utf8 ? "µs" : "us");
	if (us < 1000000)
		return g_strdup_printf("%.*f ms", us < 10000 ? 2 : 1, us / 1e3);
	return g_strdup_printf("%.*f s", us < 10000000 ? 2 : 1, us / 1e6);
}

char *
text_uptime(uint64_t ms)
{
	uint64_t s = ms / 1000;
	unsigned h = s / 3600 % 24, m = s / 60 % 60, rest = s % 60;

	if (s >= 86400)
		return g_strdup_printf(
		    "%" PRIu64 "d %02u:%02u:%02u", s / 86400, h, m, rest);
	return g_strdup_printf("%02u:%02u:%02u", h, m, rest);
}

/* Columns of a terminal. */
static size_t
width_of(const char *s)
{
	size_t w = 0;

	if (!g_utf8_validate(s, -1, NULL))
		return strlen(s);
	for (; *s; s = g_utf8_next_char(s)) {
		gunichar ch = g_utf8_get_char(s);

		w += g_unichar_iszerowidth(ch) ? 0 : g_unichar_iswide(ch) ? 2 : 1;
	}
	return w;
}

void
text_cut(GString *line, size_t width)
{
	size_t w = 0;

	if (!width || !g_utf8_validate(line->str, -1, NULL))
		return;
	for (const char *s = line->str; *s; s = g_utf8_next_char(s)) {
		gunichar ch = g_utf8_get_char(s);

		w += g_unichar_iszerowidth(ch) ? 0 : g_unichar_iswide(ch) ? 2 : 1;
		if (w > width) {
			g_string_truncate(line, s - line->str);
			return;
		}
	}
}

struct table {
	char *t_format;
	size_t t_columns;
	GPtrArray *t_cells; /* row after row, the head first; t_columns each */
};

struct table *
table_new(const char *format, const char *const *heads)
{
	struct table *t = g_new0(struct table, 1);

	t->t_format = g_strdup(format);
	t->t_columns = strlen(format);
	t->t_cells = g_ptr_array_new_with_free_func(g_free);
	for (size_t c = 0; c < t->t_columns; c++)
		g_ptr_array_add(t->t_cells, g_strdup(heads[c]));
	return t;
}

void
table_row(struct table *t, ...)
{
	va_list ap;

	va_start(ap, t);
	for (size_t c = 0; c < t->t_columns; c++)
		g_ptr_array_add(t->t_cells, va_arg(ap, char *));
	va_end(ap);
}

size_t
table_rows(const struct table *t)
{
	return t->t_cells->len / t->t_columns - 1;
}

void
table_free(struct table *t)
{
	if (!t)
		return;
	g_ptr_array_unref(t->t_cells);
	g_free(t->t_format);
	g_free(t);
}

static void
pad(GString *line, size_t n)
{
	while (n--)
		g_string_append_c(line, ' ');
}

static void
row_print(const struct table *t, size_t row, const size_t *widths, GString *line)
{
	for (size_t c = 0; c < t->t_columns; c++) {
		const char *cell = t->t_cells->pdata[row * t->t_columns + c];
		size_t space = widths[c] - width_of(cell);
		bool last = c + 1 == t->t_columns;

		if (t->t_format[c] == 'r')
			pad(line, space);
		g_string_append(line, cell);
		/* No blanks at the end of a line. */
		if (t->t_format[c] != 'r' && !last)
			pad(line, space);
		if (!last)
			g_string_append(line, "  ");
	}
}

void
table_print(const struct table *t, GString *out, size_t rows, size_t width)
{
	g_autofree size_t *widths = g_new0(size_t, t->t_columns);
	size_t n = MIN(table_rows(t), rows) + 1;

	for (size_t i = 0; i < n * t->t_columns; i++) {
		size_t w = width_of(t->t_cells->pdata[i]);

		if (w > widths[i % t->t_columns])
			widths[i % t->t_columns] = w;
	}
	for (size_t i = 0; i < n; i++) {
		GString *line = g_string_new(NULL);

		row_print(t, i, widths, line);
		text_cut(line, width);
		g_string_append_printf(out, "%s\n", line->str);
		g_string_free(line, TRUE);
	}
}
