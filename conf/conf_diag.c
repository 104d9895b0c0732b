/*
 * Errors.  They are found out of order (a missing key is seen at the end of its section,
 * a path declared twice at the very end), so they are collected with their place and
 * sorted when they are handed over.  Each is one line: control characters from the file
 * are written as \xHH, so that a broken file cannot play with the terminal.
 */
#include <stdarg.h>
#include <string.h>

#include "conf/conf_int.h"

struct diag {
	unsigned d_rank, d_line, d_seq;
	char *d_text;
};

/* A longer value is cut in messages. */
#define QUOTE_MAX 80
/* Words of more bytes than this are not compared for suggestions. */
#define WORD_MAX 24

static void
diag_clear(void *p)
{
	g_free(((struct diag *)p)->d_text);
}

void
conf_diags_init(struct conf_diags *d)
{
	d->cd_list = g_array_new(FALSE, FALSE, sizeof(struct diag));
	g_array_set_clear_func(d->cd_list, diag_clear);
}

void
conf_diags_done(struct conf_diags *d)
{
	g_array_free(d->cd_list, TRUE);
}

void
conf_diag(struct conf_diags *d, const struct conf_file *f, unsigned line,
    const char *section, const char *key, const char *fmt, ...)
{
	GString *raw = g_string_new(f->cf_name), *text;
	struct diag diag = {f->cf_rank, line, d->cd_list->len, NULL};
	va_list ap;

	if (line)
		g_string_append_printf(raw, ":%u", line);
	g_string_append(raw, ": ");
	if (section)
		g_string_append_printf(raw, "[%s]%s", section, key ? " " : ": ");
	if (key)
		g_string_append_printf(raw, "%s: ", key);
	va_start(ap, fmt);
	g_string_append_vprintf(raw, fmt, ap);
	va_end(ap);

	text = g_string_sized_new(raw->len + 1);
	for (size_t i = 0; i < raw->len; i++) {
		if (g_ascii_iscntrl(raw->str[i]))
			g_string_append_printf(
			    text, "\\x%02x", (unsigned char)raw->str[i]);
		else
			g_string_append_c(text, raw->str[i]);
	}
	g_string_free(raw, TRUE);
	diag.d_text = g_string_free(text, FALSE);
	g_array_append_val(d->cd_list, diag);
}

static int
diag_order(const void *pa, const void *pb)
{
	const struct diag *a = pa, *b = pb;

	if (a->d_rank != b->d_rank)
		return a->d_rank < b->d_rank ? -1 : 1;
	if (a->d_line != b->d_line)
		return a->d_line < b->d_line ? -1 : 1;
	return a->d_seq < b->d_seq ? -1 : a->d_seq > b->d_seq;
}

/* The sort need not be stable: d_seq, the order of finding, decides last. */
bool
conf_diags_flush(struct conf_diags *d, struct conf_errors *errs)
{
	unsigned n = d->cd_list->len;

	if (n == 0)
		return true;
	g_array_sort(d->cd_list, diag_order);
	errs->ce_text = g_renew(char *, errs->ce_text, errs->ce_n + n);
	for (unsigned i = 0; i < n; i++) {
		struct diag *diag = &g_array_index(d->cd_list, struct diag, i);
		errs->ce_text[errs->ce_n++] = g_steal_pointer(&diag->d_text);
	}
	g_array_set_size(d->cd_list, 0);
	return false;
}

void
conf_errors_done(struct conf_errors *e)
{
	for (size_t i = 0; i < e->ce_n; i++)
		g_free(e->ce_text[i]);
	g_free(e->ce_text);
	*e = (struct conf_errors){0};
}

/* Messages quote what a person wrote, but not a page of it. */
char *
conf_quote(const char *text, size_t len)
{
	size_t cut = len;

	if (len > QUOTE_MAX) {
		cut = QUOTE_MAX - 3;
		/* Not in the middle of a character. */
		while (cut > 0 && ((unsigned char)text[cut] & 0xc0) == 0x80)
			cut--;
	}
	return g_strdup_printf("\"%.*s%s\"", (int)cut, text, cut < len ? "..." : "");
}

/* Insertions, deletions, changes and swaps of neighbours that lead from a to b, case and
 * "_" for "-" not counted.  Both have at most WORD_MAX bytes. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned t[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);
	char x[WORD_MAX + 1], y[WORD_MAX + 1];

	for (size_t i = 0; i < la; i++)
		x[i] = a[i] == '_' ? '-' : g_ascii_tolower(a[i]);
	for (size_t j = 0; j < lb; j++)
		y[j] = g_ascii_tolower(b[j]);
	for (size_t i = 0; i <= la; i++)
		t[i][0] = i;
	for (size_t j = 0; j <= lb; j++)
		t[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned d = t[i - 1][j - 1] + (x[i - 1] != y[j - 1]);
			d = MIN(d, t[i - 1][j] + 1);
			d = MIN(d, t[i][j - 1] + 1);
			if (i > 1 && j > 1 && x[i - 1] == y[j - 2] &&
			    x[i - 2] == y[j - 1])
				d = MIN(d, t[i - 2][j - 2] + 1);
			t[i][j] = d;
		}
	}
	return t[la][lb];
}

static const char *
table_name(const void *table, size_t i, size_t size)
{
	return *(const char *const *)(const void *)((const char *)table + i * size);
}

const char *
conf_nearest(const char *word, const void *table, size_t n, size_t size)
{
	const char *best = NULL;
	unsigned best_d = 3;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *name = table_name(table, i, size);
		unsigned d = distance(word, name);
		/* One slip in a short word, two in one of six letters or more. */
		if (d < best_d && d <= (strlen(name) >= 6 ? 2 : 1)) {
			best = name;
			best_d = d;
		}
	}
	return best;
}

char *
conf_list(const void *table, size_t n, size_t size)
{
	GString *s = g_string_new(NULL);

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			g_string_append(s, i + 1 == n ? " or " : ", ");
		g_string_append(s, table_name(table, i, size));
	}
	return g_string_free(s, FALSE);
}
