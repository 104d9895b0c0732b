/*
 * JSON for the control socket (control_json.h).
 */
#include "daemon/control_json.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/control_scan.h"

/* The id as it came, for the answer. */
static bool
take_id(struct request *rq, const struct control_scan *sc, const char **ret_why)
{
	if (sc->sc_id && !strchr("-0123456789\"n", sc->sc_id[0])) {
		*ret_why = "id: neither a number nor a string";
		return false;
	}
	rq->rq_id = sc->sc_id ? g_strndup(sc->sc_id, sc->sc_idlen) : g_strdup("null");
	return true;
}

bool
request_parse(struct request *rq, const char *line, size_t len, const char **ret_why)
{
	struct control_scan sc;
	JsonNode *root;

	*rq = (struct request){.rq_id = NULL};
	if (!g_utf8_validate(line, (gssize)len, NULL)) {
		*ret_why = "not UTF-8";
		return false;
	}
	if (!control_scan(line, len, &sc, ret_why) || !take_id(rq, &sc, ret_why))
		return false;
	rq->rq_nul = sc.sc_nul;
	rq->rq_parser = json_parser_new();
	root = json_parser_load_from_data(rq->rq_parser, line, (gssize)len, NULL)
	           ? json_parser_get_root(rq->rq_parser)
	           : NULL;
	if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
		*ret_why = "not a JSON object";
		request_done(rq);
		return false;
	}
	rq->rq_object = json_node_get_object(root);
	return true;
}

void
request_done(struct request *rq)
{
	g_free(rq->rq_id);
	g_clear_object(&rq->rq_parser);
	*rq = (struct request){.rq_id = NULL};
}

static JsonNode *
member(const struct request *rq, const char *name, GType type)
{
	JsonNode *n = json_object_get_member(rq->rq_object, name);

	return n && JSON_NODE_HOLDS_VALUE(n) && json_node_get_value_type(n) == type
	           ? n
	           : NULL;
}

const char *
request_text(const struct request *rq, const char *name)
{
	JsonNode *n = member(rq, name, G_TYPE_STRING);

	return n ? json_node_get_string(n) : NULL;
}

bool
request_bool(const struct request *rq, const char *name, bool otherwise)
{
	JsonNode *n = member(rq, name, G_TYPE_BOOLEAN);

	return n ? json_node_get_boolean(n) : otherwise;
}

/* Writing. */

/* One character of n bytes. */
static void
put_char(GString *s, const char *at, size_t n)
{
	unsigned char c = (unsigned char)*at;

	if (c == '"' || c == '\\')
		g_string_append_c(s, '\\');
	if (c < 0x20 || c == 0x7f)
		g_string_append_printf(s, "\\u%04x", c);
	else
		g_string_append_len(s, at, (gssize)n);
}

/* How much of the beginning is as it is in JSON. */
static size_t
plain(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= 0x20 && text[n] < 0x7f && text[n] != '"' &&
	       text[n] != '\\')
		n++;
	return n;
}

static void
put_text(GString *s, const char *text, size_t len)
{
	g_string_append_c(s, '"');
	while (len > 0) {
		size_t n = plain(text, len);
		gunichar u;

		/* Nearly all of nearly everything. */
		if (n > 0) {
			g_string_append_len(s, text, (gssize)n);
			text += n;
			len -= n;
			continue;
		}
		u = g_utf8_get_char_validated(text, (gssize)len);
		n = 1;
		if (*text == '\0') {
			g_string_append(s, "\\u0000");
		} else if (u == (gunichar)-1 || u == (gunichar)-2) {
			g_string_append(s, "\xef\xbf\xbd");
		} else {
			n = (size_t)(g_utf8_next_char(text) - text);
			put_char(s, text, n);
		}
		text += n;
		len -= n;
	}
	g_string_append_c(s, '"');
}

/* What comes before a value. */
static void
begin(struct jw *w, const char *name)
{
	if (w->jw_more)
		g_string_append_c(w->jw_s, ',');
	w->jw_more = true;
	if (name) {
		put_text(w->jw_s, name, strlen(name));
		g_string_append_c(w->jw_s, ':');
	}
}

void
jw_open(struct jw *w, const char *name, char bracket)
{
	begin(w, name);
	g_string_append_c(w->jw_s, bracket);
	w->jw_more = false;
}

void
jw_close(struct jw *w, char bracket)
{
	g_string_append_c(w->jw_s, bracket);
	w->jw_more = true;
}

void
jw_raw(struct jw *w, const char *name, const char *json)
{
	begin(w, name);
	g_string_append(w->jw_s, json);
}

void
jw_null(struct jw *w, const char *name)
{
	jw_raw(w, name, "null");
}

void
jw_text_len(struct jw *w, const char *name, const char *text, size_t len)
{
	begin(w, name);
	put_text(w->jw_s, text, len);
}

void
jw_text(struct jw *w, const char *name, const char *text)
{
	if (text)
		jw_text_len(w, name, text, strlen(text));
	else
		jw_null(w, name);
}

void
jw_number(struct jw *w, const char *name, uint64_t n)
{
	char digits[24];

	g_snprintf(digits, sizeof(digits), "%" PRIu64, n);
	jw_raw(w, name, digits);
}

void
jw_bool(struct jw *w, const char *name, bool b)
{
	jw_raw(w, name, b ? "true" : "false");
}
