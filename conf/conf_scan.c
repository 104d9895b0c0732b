/*
 * Text to sections, keys and values, by GKeyFile's rules: lines; blank lines and those
 * whose first character is "#" do not count; "[NAME]"; "KEY = VALUE" with the blanks
 * around both dropped; in values \s \n \t \r \\.  (GKeyFile itself would merge what is
 * repeated and forget the lines.)  Stricter in two things, each a trap otherwise: blanks
 * at the end of a value are dropped, and " #" inside one is refused, since whoever wrote
 * it meant a comment.
 */
#include <string.h>

#include "conf/conf_int.h"

struct line {
	const char *l_ptr; /* blanks at both ends dropped */
	size_t l_len;
};

static void
trim(struct line *l)
{
	while (l->l_len > 0 && g_ascii_isspace(l->l_ptr[l->l_len - 1]))
		l->l_len--;
	while (l->l_len > 0 && g_ascii_isspace(l->l_ptr[0])) {
		l->l_ptr++;
		l->l_len--;
	}
}

/* GKeyFile's escapes for strings that are not lists. */
char *
conf_unescape(const char *raw, size_t len, const char **ret_bad)
{
	static const char letters[] = "sntr\\", meant[] = " \n\t\r\\";
	char *out = g_malloc(len + 1), *o = out;

	for (size_t i = 0; i < len; i++) {
		const char *at;
		if (raw[i] != '\\') {
			*o++ = raw[i];
			continue;
		}
		at =
		    i + 1 < len ? memchr(letters, raw[i + 1], sizeof(letters) - 1) : NULL;
		if (at == NULL) {
			*ret_bad = raw + i;
			g_free(out);
			return NULL;
		}
		*o++ = meant[at - letters];
		i++;
	}
	*o = '\0';
	return out;
}

/* Shows the backslash with the character behind it, which may have several bytes. */
static void
bad_escape(struct conf_parse *p, const char *bad, const char *end)
{
	const char *next = bad + 1 < end ? g_utf8_next_char(bad + 1) : end;
	g_autofree char *q = conf_quote(bad, (size_t)(next - bad));

	conf_bad(p, "%s is not an escape, expected \\s, \\n, \\t, \\r or \\\\", q);
}

/* The first blank that is followed by "#". */
static bool
has_comment(const struct line *v)
{
	for (size_t i = 1; i < v->l_len; i++) {
		if (v->l_ptr[i] == '#' && g_ascii_isspace(v->l_ptr[i - 1]))
			return true;
	}
	return false;
}

/* The unescaped value, or NULL and it is told why. */
static char *
read_value(struct conf_parse *p, const struct line *v)
{
	const char *bad;
	char *value;

	if (has_comment(v)) {
		conf_bad(p, "a comment after the value, expected it on a line of its own "
			    "(a \" #\" that belongs to the value is written \"\\s#\")");
		return NULL;
	}
	value = conf_unescape(v->l_ptr, v->l_len, &bad);
	if (value == NULL)
		bad_escape(p, bad, v->l_ptr + v->l_len);
	return value;
}

/* An error of the line, as far as it belongs to a section that has a name. */
#define line_error(p, ...)                                                               \
	conf_diag((p)->cp_diags, (p)->cp_file, (p)->cp_line, conf_section_name(p), NULL, \
	    __VA_ARGS__)

static void
scan_key(struct conf_parse *p, const struct line *l, bool utf8)
{
	const char *eq = memchr(l->l_ptr, '=', l->l_len);
	struct line k = {l->l_ptr, (size_t)(eq - l->l_ptr)};
	struct line v = {eq + 1, l->l_len - k.l_len - 1};
	g_autofree char *key = NULL, *value = NULL;

	trim(&k);
	trim(&v);
	if (k.l_len == 0) {
		g_autofree char *q = conf_quote(l->l_ptr, l->l_len);
		line_error(p, "%s has no key, expected KEY = VALUE", q);
		return;
	}
	key = g_strndup(k.l_ptr, k.l_len);
	if (p->cp_section == NULL) {
		conf_diag(p->cp_diags, p->cp_file, p->cp_line, NULL, key,
		    "a key before any section, expected one first, such as [etfs /PATH]");
		return;
	}
	p->cp_key = key;
	if (utf8 && conf_section_name(p))
		value = read_value(p, &v);
	conf_section_key(p, key, value);
	p->cp_key = NULL;
}

/* What a line should have behind the "]" instead of rest. */
static const char *
nothing_after(const char *rest, size_t len)
{
	if (memchr(rest, '#', len))
		return "nothing after the \"]\" (a comment stands on a line of its own)";
	if (memchr(rest, ']', len))
		return "nothing after the \"]\" (a path with \"]\" goes into a path key)";
	return "nothing after the \"]\"";
}

/* A line that starts with "[".  Like GKeyFile, the first "]" ends the name. */
static void
scan_section(struct conf_parse *p, const struct line *l)
{
	const char *end = memchr(l->l_ptr, ']', l->l_len);
	struct line name = {l->l_ptr + 1, end ? (size_t)(end - l->l_ptr) - 1 : 0};
	size_t rest = end ? l->l_len - name.l_len - 2 : 0;
	const char *expected = NULL;
	g_autofree char *q = NULL;

	trim(&name);
	if (end == NULL)
		expected = "a closing \"]\"";
	else if (rest > 0)
		expected = nothing_after(end + 1, rest);
	else if (name.l_len == 0)
		expected = "a name between the brackets";
	else if (memchr(name.l_ptr, '[', name.l_len))
		expected =
		    "no \"[\" in the name (a path with \"[\" goes into a path key)";
	for (size_t i = 0; i < name.l_len && expected == NULL; i++) {
		if (g_ascii_iscntrl(name.l_ptr[i]))
			expected =
			    "no control characters in the name (a path with one goes into a path key)";
	}
	if (expected == NULL) {
		conf_section_begin(p, name.l_ptr, name.l_len);
		return;
	}
	q = conf_quote(l->l_ptr, l->l_len);
	conf_section_begin(p, NULL, 0);
	conf_diag(p->cp_diags, p->cp_file, p->cp_line, NULL, NULL,
	    "%s is not a section, expected %s", q, expected);
}

/* Tells a line that is not UTF-8. */
static bool
line_utf8(struct conf_parse *p, const char *line, size_t len)
{
	const char *bad;

	if (g_utf8_validate(line, (gssize)len, &bad))
		return true;
	line_error(p, "byte 0x%02x in column %zu is not UTF-8, expected UTF-8 text",
	    (unsigned char)*bad, (size_t)(bad - line) + 1);
	return false;
}

/* utf8: the whole file is known to be, and the line need not be looked at again. */
static void
scan_line(struct conf_parse *p, const char *line, size_t len, bool utf8)
{
	struct line l = {line, len};

	trim(&l);
	if (l.l_len == 0) {
		return;
	} else if (!utf8 && !line_utf8(p, line, len)) {
		/* What the line began is taken note of, so that nothing else seems wrong.
		 */
		if (l.l_ptr[0] == '[')
			conf_section_begin(p, NULL, 0);
		else if (p->cp_section && l.l_ptr[0] != '#' &&
			 memchr(l.l_ptr, '=', l.l_len))
			scan_key(p, &l, false);
	} else if (l.l_ptr[0] == '#') {
		return;
	} else if (l.l_ptr[0] == '[') {
		scan_section(p, &l);
	} else if (memchr(l.l_ptr, '=', l.l_len)) {
		scan_key(p, &l, true);
	} else {
		g_autofree char *q = conf_quote(l.l_ptr, l.l_len);
		line_error(p, "%s has no \"=\", expected KEY = VALUE%s", q,
		    l.l_ptr[0] == ';' || l.l_ptr[0] == '/'
			? " (comments start with \"#\")"
			: "");
	}
}

void
conf_scan(struct conf_parse *p, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len),
		   *end = text + (nul ? (size_t)(nul - text) : len);
	bool utf8 = g_utf8_validate(text, end - text, NULL);

	if (g_str_has_prefix(text, "\xef\xbb\xbf")) {
		conf_diag(p->cp_diags, p->cp_file, 1, NULL, NULL,
		    "the file starts with a byte order mark, expected plain UTF-8 text");
		text += 3;
	}
	for (p->cp_line = 1; text < end; p->cp_line++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end;
		/* The line that a NUL cuts off means nothing. */
		if (nl || nul == NULL)
			scan_line(p, text, (size_t)(stop - text), utf8);
		else
			break;
		text = nl ? nl + 1 : end;
	}
	if (nul)
		conf_diag(p->cp_diags, p->cp_file, p->cp_line, NULL, NULL,
		    "a NUL byte, expected a text file (nothing after it was read)");
	conf_section_end(p);
}
