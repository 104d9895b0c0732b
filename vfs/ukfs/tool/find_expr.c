/*
 * The expressions of find (find.h): parsed by descent into a tree.  What nests is what the
 * user has written, up to a bound.
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/find.h"
#include "vfs/ukfs/tool/find_private.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

#define DEPTH 200

struct parser {
	char **p_v;
	int p_n, p_at;
	unsigned p_depth;
	bool p_acts;
	struct find_options *p_o;
	char *p_why;
};

static struct find_expr *parse_or(struct parser *p);

void
find_free(struct find_expr *e)
{
	if (!e)
		return;
	find_free(e->e_left);
	find_free(e->e_right);
	free(e);
}

static struct find_expr *
make(enum find_op op, struct find_expr *left, struct find_expr *right)
{
	struct find_expr *e = xmalloc(sizeof(*e));

	*e = (struct find_expr){.e_op = op, .e_left = left, .e_right = right};
	return e;
}

/* The first thing that is wrong is told. */
static struct find_expr *
wrong(struct parser *p, const char *fmt, const char *word)
{
	if (!p->p_why) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		p->p_why = xasprintf(fmt, word);
#pragma GCC diagnostic pop
	}
	return NULL;
}

static const char *
peek(const struct parser *p)
{
	return p->p_at < p->p_n ? p->p_v[p->p_at] : NULL;
}

static bool
take(struct parser *p, const char *a, const char *b)
{
	const char *w = peek(p);

	if (!w || (strcmp(w, a) != 0 && (!b || strcmp(w, b) != 0)))
		return false;
	p->p_at++;
	return true;
}

/* "+N", "-N", "N", with a unit for sizes. */
static bool
parse_number(struct find_expr *e, const char *s, uint64_t unit)
{
	uint64_t bytes;

	e->e_cmp = *s == '+' ? 1 : *s == '-' ? -1 : 0;
	if (e->e_cmp)
		s++;
	if (size_parse(s, unit, &bytes, &e->e_unit) < 0)
		return false;
	if (e->e_op != F_SIZE && s[strspn(s, "0123456789")])
		return false;
	e->e_number = bytes / e->e_unit;
	return true;
}

static bool
parse_types(struct find_expr *e, const char *s)
{
	static const char letters[] = "fdlcbps";
	static const mode_t types[] = {
	    S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};

	for (;; s++) {
		const char *l = *s ? strchr(letters, *s) : NULL;
		if (!l)
			return false;
		e->e_number |= 1ull << (types[l - letters] >> 12);
		if (!*++s)
			return true;
		if (*s != ',')
			return false;
	}
}

static bool
parse_perm(struct find_expr *e, const char *s)
{
	mode_t mode;

	e->e_cmp = *s == '-' ? -1 : *s == '/' ? 1 : 0;
	if (e->e_cmp)
		s++;
	if (mode_change(s, 0, false, 0, &mode) < 0)
		return false;
	e->e_number = mode;
	return true;
}

static bool
parse_depth(unsigned *ret, const char *s)
{
	uint64_t n;

	if (size_parse(s, 1, &n, NULL) < 0 || s[strspn(s, "0123456789")] ||
	    n > UINT_MAX - 1)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* What an argument is, by the test. */
static bool
parse_argument(struct parser *p, struct find_expr *e, const char *s)
{
	e->e_text = s;
	switch (e->e_op) {
	case F_TYPE:
		return parse_types(e, s);
	case F_SIZE:
		return parse_number(e, s, 512);
	case F_MTIME:
	case F_MMIN:
	case F_LINKS:
	case F_INUM:
	case F_UID:
	case F_GID:
		return parse_number(e, s, 1);
	case F_PERM:
		return parse_perm(e, s);
	case F_MAXDEPTH:
		e->e_op = F_TRUE;
		return parse_depth(&p->p_o->fo_maxdepth, s);
	case F_MINDEPTH:
		e->e_op = F_TRUE;
		return parse_depth(&p->p_o->fo_mindepth, s);
	default:
		return true;
	}
}

static const struct word {
	const char *w_text;
	enum find_op w_op;
	bool w_argument, w_action;
} words[] = {
    {"-name", F_NAME, true, false},
    {"-iname", F_INAME, true, false},
    {"-path", F_PATH, true, false},
    {"-wholename", F_PATH, true, false},
    {"-lname", F_LNAME, true, false},
    {"-type", F_TYPE, true, false},
    {"-size", F_SIZE, true, false},
    {"-empty", F_EMPTY, false, false},
    {"-newer", F_NEWER, true, false},
    {"-mtime", F_MTIME, true, false},
    {"-mmin", F_MMIN, true, false},
    {"-perm", F_PERM, true, false},
    {"-links", F_LINKS, true, false},
    {"-inum", F_INUM, true, false},
    {"-user", F_USER, true, false},
    {"-group", F_GROUP, true, false},
    {"-uid", F_UID, true, false},
    {"-gid", F_GID, true, false},
    {"-maxdepth", F_MAXDEPTH, true, false},
    {"-mindepth", F_MINDEPTH, true, false},
    {"-depth", F_DEPTH, false, false},
    {"-true", F_TRUE, false, false},
    {"-false", F_FALSE, false, false},
    {"-prune", F_PRUNE, false, false},
    {"-quit", F_QUIT, false, true},
    {"-print", F_PRINT, false, true},
    {"-print0", F_PRINT0, false, true},
    {"-ls", F_LS, false, true},
    {"-delete", F_DELETE, false, true},
};

static struct find_expr *
parse_word(struct parser *p, const char *text)
{
	const struct word *w = NULL;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].w_text, text) == 0)
			w = &words[i];
	if (!w)
		return wrong(p, "there is no test or action %s", qm(text));
	struct find_expr *e = make(w->w_op, NULL, NULL);
	const char *argument = w->w_argument ? peek(p) : NULL;
	if (w->w_argument && !argument) {
		find_free(e);
		return wrong(p, "missing argument to %s", text);
	}
	if (argument) {
		p->p_at++;
		if (!parse_argument(p, e, argument)) {
			find_free(e);
			AUTO_FREE char *both = xasprintf("%s %s", text, qm(argument));
			return wrong(p, "invalid argument: %s", both);
		}
	}
	p->p_acts |= w->w_action && w->w_op != F_QUIT;
	p->p_o->fo_post |= w->w_op == F_DEPTH || w->w_op == F_DELETE;
	p->p_o->fo_writes |= w->w_op == F_DELETE;
	return e;
}

static struct find_expr *
parse_primary(struct parser *p)
{
	const char *w = peek(p);
	struct find_expr *e;

	if (!w)
		return wrong(p, "%s: an expression is missing", "at the end");
	if (p->p_depth >= DEPTH)
		return wrong(p, "%s", "the expression nests too deep");
	p->p_at++;
	p->p_depth++;
	if (strcmp(w, "!") == 0 || strcmp(w, "-not") == 0) {
		e = parse_primary(p);
		e = e ? make(F_NOT, e, NULL) : NULL;
	} else if (strcmp(w, "(") == 0) {
		e = parse_or(p);
		if (e && !take(p, ")", NULL)) {
			find_free(e);
			e = wrong(p, "%s is not closed", "(");
		}
	} else {
		e = parse_word(p, w);
	}
	p->p_depth--;
	return e;
}

static bool
ends_and(const struct parser *p)
{
	const char *w = peek(p);

	return !w || strcmp(w, ")") == 0 || strcmp(w, "-o") == 0 || strcmp(w, "-or") == 0;
}

static struct find_expr *
parse_and(struct parser *p)
{
	struct find_expr *e = parse_primary(p);

	while (e && !ends_and(p)) {
		(void)take(p, "-a", "-and");
		struct find_expr *right = parse_primary(p);
		if (!right) {
			find_free(e);
			return NULL;
		}
		e = make(F_AND, e, right);
	}
	return e;
}

static struct find_expr *
parse_or(struct parser *p)
{
	struct find_expr *e = parse_and(p);

	while (e && take(p, "-o", "-or")) {
		struct find_expr *right = parse_and(p);
		if (!right) {
			find_free(e);
			return NULL;
		}
		e = make(F_OR, e, right);
	}
	return e;
}

struct find_expr *
find_parse(int n, char **v, struct find_options *ret_o, char **ret_why)
{
	struct parser p = {.p_v = v, .p_n = n, .p_o = ret_o};
	struct find_expr *e;

	*ret_o = (struct find_options){.fo_maxdepth = UINT_MAX};
	/* A chain of tests is a tree as deep as it is long. */
	if (n > 10000)
		return *ret_why = xstrdup("the expression is too long"), NULL;
	e = n > 0 ? parse_or(&p) : make(F_TRUE, NULL, NULL);
	if (e && p.p_at < n) {
		find_free(e);
		e = wrong(&p, "%s was not expected", qm(v[p.p_at]));
	}
	if (!e) {
		*ret_why = p.p_why;
		return NULL;
	}
	return p.p_acts ? e : make(F_AND, e, make(F_PRINT, NULL, NULL));
}

int
find_paths(int n, char **v)
{
	int i = 0;

	while (
	    i < n && v[i][0] != '-' && strcmp(v[i], "!") != 0 && strcmp(v[i], "(") != 0)
		i++;
	return i;
}
