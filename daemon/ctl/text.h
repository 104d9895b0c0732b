/*
 * Words and tables for people.
 */
#ifndef RF_CTL_TEXT_H
#define RF_CTL_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Whether what is printed may be UTF-8; set once by the program. */
extern bool text_utf8;

/*
 * A name as it can be shown: what would move a terminal's cursor, is no UTF-8, or is a
 * backslash, becomes \ooo (octal, as in /proc/mounts), so that it can be told apart.
 * NULL is "-".  The caller frees it, as all that is returned here.
 */
char *text_show(const char *s);
/* Bytes as the configuration would have them: "32M", "1536"; exact. */
char *text_size(uint64_t bytes);
/* "33554432 (32.0 MiB)"; below a KiB the number alone. */
char *text_bytes(uint64_t bytes);
/* About: "1.21G", "512"; at most five characters and the letter. */
char *text_about(double n);
/* "850 µs", "1.20 ms", "3.02 s"; UINT64_MAX, a bucket without a bound: "> 2 min". */
char *text_us(uint64_t us);
/* "2d 03:04:05", "00:00:07". */
char *text_uptime(uint64_t ms);

/* Cuts at so many columns of a terminal, between characters; 0: not. */
void text_cut(GString *line, size_t width);

/* Rows of cells, shown in columns. */
struct table;

/* format: a letter per column: l or r, the side that its cells
 * and its head are on.  heads: as many strings. */
struct table *table_new(const char *format, const char *const *heads);
/* As many cells as columns; takes them. */
void table_row(struct table *t, ...);
size_t table_rows(const struct table *t);
/* Appends the lines to out; at most `rows` of them after the head; each cut at `width`
 * columns (0: not). */
void table_print(const struct table *t, GString *out, size_t rows, size_t width);
void table_free(struct table *t);

#endif
