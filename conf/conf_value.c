/*
 * Values: from the unescaped text of one key to a number, a word's meaning or a string.
 *
 * Every reader here is a k_set of struct conf_key.  It stores into the field that the
 * key's row names, or tells what is wrong and stores nothing; the order of the rows and
 * other keys' values are no concern of it.
 */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_int.h"

#define NS_PER_S    UINT64_C(1000000000)
#define TARGET_MAX  4095 /* bytes of a symlink's target */
#define THREADS_MAX 1024
#define ID_BUF_MAX  (8 << 20)        /* a group with very many members */
#define ID_MAX      (UINT32_MAX - 1) /* (uid_t)-1 means "as it is" to chown */

/* The one place that knows how wide fields are: enums and numbers have four or eight
 * bytes, bools and the type letter of a node one. */
static void
store(const struct conf_key *k, void *obj, uint64_t v)
{
	void *field = (char *)obj + k->k_off;

	switch (k->k_size) {
	case 1:
		*(uint8_t *)field = v;
		break;
	case 4:
		*(uint32_t *)field = v;
		break;
	case 8:
		*(uint64_t *)field = v;
		break;
	default:
		g_assert_not_reached();
	}
	if (k->k_flag)
		*(bool *)((char *)obj + k->k_flag) = true;
}

/* A drop-in may give a key that the file before has given: the old text goes. */
static void
store_text(const struct conf_key *k, void *obj, const char *text)
{
	char **field = (char **)(void *)((char *)obj + k->k_off);

	g_free(*field);
	*field = g_strdup(text);
}

/* "TEXT" WRONG, expected EXPECTED. */
static void
bad_value(struct conf_parse *p, const char *text, const char *wrong, const char *expected)
{
	g_autofree char *q = conf_quote(text, strlen(text));

	conf_bad(p, "%s %s, expected %s", q, wrong, expected);
}

/* Digits of the base at *text, at least one; *text is moved behind them. */
static int
digits(const char **text, unsigned base, uint64_t *ret)
{
	const char *s = *text;
	uint64_t v = 0;
	bool over = false;

	for (; g_ascii_isdigit(*s) && (unsigned)(*s - '0') < base; s++) {
		over |= __builtin_mul_overflow(v, base, &v);
		over |= __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
	}
	if (s == *text)
		return -EINVAL;
	*text = s;
	if (over)
		return -ERANGE;
	*ret = v;
	return 0;
}

/* A number and at most one unit of units, a table that ends with a zero. */
struct unit {
	char u_letter;
	uint64_t u_factor;
};

/* 0; -EINVAL: not that at all; -ERANGE: more than 2^63-1, which no file size and no
 * signed offset can be.  *ret is touched on success only. */
static int
number_with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
	uint64_t v = 0;
	int r = digits(&text, 10, &v);

	if (r == -EINVAL)
		return r;
	if (*text) {
		const struct unit *u = units;
		while (u->u_letter && u->u_letter != *text)
			u++;
		if (u->u_letter == '\0' || text[1] != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(v, u->u_factor, &v))
			r = -ERANGE;
	}
	if (r == 0 && v > INT64_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = v;
	return r;
}

static const struct unit size_units[] = {
    {'K', UINT64_C(1) << 10},
    {'M', UINT64_C(1) << 20},
    {'G', UINT64_C(1) << 30},
    {'T', UINT64_C(1) << 40},
    {'s', 512},
    {0, 0},
};
static const struct unit count_units[] = {
    {'K', UINT64_C(1) << 10},
    {'M', UINT64_C(1) << 20},
    {0, 0},
};

bool
conf_parse_size(const char *text, uint64_t *ret)
{
	return number_with_unit(text, size_units, ret) == 0;
}

#define A_SIZE "a whole number with an optional K, M, G, T or s (512-byte sectors)"

/* expected: all that the key takes, for the message. */
static void
set_size(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj,
    const char *expected)
{
	uint64_t v;
	int r = number_with_unit(text, size_units, &v);

	if (r == 0)
		store(k, obj, v);
	else if (r == -ERANGE)
		bad_value(p, text, "is too large", "at most 2^63-1 bytes");
	else
		bad_value(p, text, "is not a size", expected);
}

void
conf_set_size(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	set_size(p, k, text, obj, A_SIZE);
}

/* Only the size of a key can be the rest of the host object; where it begins cannot. */
void
conf_set_size_end(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	if (strcmp(text, "end") == 0)
		store(k, obj, CONF_SIZE_END);
	else
		set_size(p, k, text, obj, A_SIZE ", or end");
}

/* Divided first: the product with the percentage could overflow on a huge machine, and a
 * hundredth of a page more or less is nothing. */
uint64_t
conf_memory_percent(unsigned percent)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return (uint64_t)pages * (uint64_t)size / 100 * percent;
}

/* A percentage is recognised by its sign; everything else is held to the rules of a size,
 * so that the messages are the same. */
void
conf_set_size_ram(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	const char *s = text;
	uint64_t v = 0;
	int r = digits(&s, 10, &v);

	if (r == -EINVAL || strcmp(s, "%") != 0)
		set_size(p, k, text, obj, A_SIZE ", or a percentage of the memory");
	else if (r != 0 || v < 1 || v > 100)
		bad_value(p, text, "is out of range", "1% to 100%");
	else
		store(k, obj, conf_memory_percent((unsigned)v));
}

void
conf_set_count(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	uint64_t v;
	int r = number_with_unit(text, count_units, &v);

	if (r == 0)
		store(k, obj, v);
	else if (r == -ERANGE)
		bad_value(p, text, "is too large", "at most 2^63-1");
	else
		bad_value(
		    p, text, "is not a count", "a whole number with an optional K or M");
}

void
conf_set_number(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	const char *s = text;
	uint64_t v = 0;
	int r = digits(&s, 10, &v);

	if (r == 0 && *s == '\0' && v <= k->k_max) {
		store(k, obj, v);
	} else {
		g_autofree char *q = conf_quote(text, strlen(text));
		conf_bad(p,
		    "%s is not a device number, expected a number from 0 to %" PRIu64, q,
		    k->k_max);
	}
}

void
conf_set_word(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	g_autofree char *q = NULL, *list = NULL;
	size_t n = 0;

	for (; k->k_words[n].w_name; n++) {
		if (strcmp(text, k->k_words[n].w_name) == 0) {
			store(k, obj, k->k_words[n].w_value);
			return;
		}
	}
	q = conf_quote(text, strlen(text));
	list = conf_list(k->k_words, n, sizeof(*k->k_words));
	conf_bad(p, "%s is not %s, expected %s", q, k->k_what, list);
}

/* Permission bits with set-id and sticky, as chmod(1) takes them in octal: the leading zero
 * is a habit, not a sign. */
void
conf_set_mode(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	const char *s = text;
	uint64_t v = 0;

	if (digits(&s, 8, &v) == 0 && *s == '\0' && v <= 07777)
		store(k, obj, v);
	else
		bad_value(p, text, "is not a mode", "octal digits, 0 to 7777");
}

/* 0, ENOENT or what the lookup said; ERANGE: buf is too small for the entry. */
static int
user_id(const char *name, char *buf, size_t cap, uint32_t *ret)
{
	struct passwd pw, *found = NULL;
	int r = getpwnam_r(name, &pw, buf, cap, &found);

	if (r == 0 && found)
		*ret = pw.pw_uid;
	return r == 0 && found == NULL ? ENOENT : r;
}

static int
group_id(const char *name, char *buf, size_t cap, uint32_t *ret)
{
	struct group gr, *found = NULL;
	int r = getgrnam_r(name, &gr, buf, cap, &found);

	if (r == 0 && found)
		*ret = gr.gr_gid;
	return r == 0 && found == NULL ? ENOENT : r;
}

/* The id of a user or group name; remembered, since a lookup reads a file or asks a
 * server, and thousands of sections may name the same one. */
static int
id_by_name(struct conf_parse *p, const char *name, bool group, uint32_t *ret)
{
	g_autofree char *id = g_strdup_printf("%c%s", group ? 'g' : 'u', name);
	uint32_t found = 0;
	void *known;

	if (g_hash_table_lookup_extended(p->cp_ids, id, NULL, &known)) {
		*ret = GPOINTER_TO_UINT(known);
		return 0;
	}
	for (size_t cap = 1024; cap <= ID_BUF_MAX; cap *= 8) {
		g_autofree char *buf = g_malloc(cap);
		int r = group ? group_id(name, buf, cap, &found)
		              : user_id(name, buf, cap, &found);
		if (r == ERANGE)
			continue;
		if (r != 0)
			return -r;
		g_hash_table_insert(
		    p->cp_ids, g_steal_pointer(&id), GUINT_TO_POINTER(found));
		*ret = found;
		return 0;
	}
	return -ERANGE;
}

/* A name may start with a digit, so a text is a number only if all of it is. */
static void
set_id(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj,
    bool group)
{
	const char *s = text;
	uint64_t v = 0;
	uint32_t id = 0;
	int r = digits(&s, 10, &v);

	if (r != -EINVAL && *s == '\0') {
		if (r == 0 && v <= ID_MAX)
			store(k, obj, v);
		else
			bad_value(p, text, "is too large", "at most 4294967294");
	} else if (*text && p->cp_no_ids) {
		store(k, obj, ID_MAX);
	} else if (*text && id_by_name(p, text, group, &id) == 0) {
		store(k, obj, id);
	} else {
		bad_value(p, text, group ? "is not a group" : "is not a user",
		    "a number or a name that this system knows");
	}
}

void
conf_set_uid(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	set_id(p, k, text, obj, false);
}

void
conf_set_gid(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	set_id(p, k, text, obj, true);
}

/* A number, decimals allowed, and "s", "ms" or nothing: nanoseconds. */
static int
duration(const char *text, uint64_t *ret_ns)
{
	uint64_t whole = 0, part = 0, unit, ns;
	int r = digits(&text, 10, &whole);
	uint64_t part_unit = 1;

	if (r == -EINVAL)
		return r;
	if (*text == '.') {
		const char *from = ++text;
		if (digits(&text, 10, &part) != 0 || text - from > 9)
			return -EINVAL;
		for (; from < text; from++)
			part_unit *= 10;
	}
	if (strcmp(text, "ms") == 0)
		unit = NS_PER_S / 1000;
	else if (*text == '\0' || strcmp(text, "s") == 0)
		unit = NS_PER_S;
	else
		return -EINVAL;
	if (r != 0 || __builtin_mul_overflow(whole, unit, &ns) ||
	    __builtin_add_overflow(ns, part * unit / part_unit, &ns) || ns > INT64_MAX)
		return -ERANGE;
	*ret_ns = ns;
	return 0;
}

void
conf_set_duration(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	uint64_t ns;
	int r = duration(text, &ns);

	if (r == 0)
		store(k, obj, ns);
	else if (r == -ERANGE)
		bad_value(p, text, "is too large", "at most 9223372036s");
	else
		bad_value(p, text, "is not a time", "a number with an optional s or ms");
}

/* 0 stands for "auto" in the conf, so it cannot be asked for as a number. */
void
conf_set_threads(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	const char *s = text;
	uint64_t v = 0;

	if (strcmp(text, "auto") == 0)
		store(k, obj, 0);
	else if (digits(&s, 10, &v) == 0 && *s == '\0' && v >= 1 && v <= THREADS_MAX)
		store(k, obj, v);
	else
		bad_value(p, text, "is not a number of threads", "auto or 1 to 1024");
}

/* A text that must not be empty; k_what says what it should have been. */
void
conf_set_text(struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	if (*text == '\0')
		conf_bad(p, "empty, expected %s", k->k_what);
	else
		store_text(k, obj, text);
}

/* The limit is the kernel's for what readlink(2) gives. */
void
conf_set_target(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	size_t len = strlen(text);

	if (len == 0)
		conf_bad(p, "empty, expected what the symlink points to");
	else if (len > TARGET_MAX)
		conf_bad(
		    p, "the target has %zu bytes, expected at most %d", len, TARGET_MAX);
	else
		store_text(k, obj, text);
}

/* A value's text cannot hold a NUL, so its length is all there is to add. */
void
conf_set_content(
    struct conf_parse *p, const struct conf_key *k, const char *text, void *obj)
{
	struct conf_node *n = obj;

	store_text(k, obj, text);
	n->cn_content_len = strlen(text);
}
