/*
 * Reading JSON that a stranger may have written (json.h).
 */
#include <string.h>

#include "daemon/ctl/json.h"

#define MAX_DEPTH 64

/*
 * What could be JSON, and not nested deeply: checked before the parser has it.  That calls
 * itself for each level, and takes more than JSON: behind the quote in a comment brackets
 * would not be seen here.
 */
static bool
is_flat(const char *s, const char **ret_why)
{
	bool quoted = false;
	int depth = 0;

	for (; *s; s++) {
		if (quoted) {
			if (*s == '\\' && s[1])
				s++;
			else if (*s == '"')
				quoted = false;
		} else if (*s == '"') {
			quoted = true;
		} else if (*s == '[' || *s == '{') {
			if (++depth > MAX_DEPTH) {
				*ret_why = "nested too deeply";
				return false;
			}
		} else if (*s == ']' || *s == '}') {
			/* The parser would go on with a second one. */
			if (--depth <= 0 && s[1 + strspn(s + 1, " \t\r")]) {
				*ret_why = "more than one JSON object";
				return false;
			}
		} else if (!strchr("0123456789+-.eE:, \t\rtruefalsn", *s)) {
			*ret_why = "no JSON";
			return false;
		}
	}
	return true;
}

JsonNode *
json_line(const char *line, const char **ret_why)
{
	g_autoptr(JsonParser) parser = json_parser_new_immutable();
	JsonNode *root;

	if (!is_flat(line, ret_why))
		return NULL;
	if (!json_parser_load_from_data(parser, line, -1, NULL) ||
	    !(root = json_parser_get_root(parser)) || !JSON_NODE_HOLDS_OBJECT(root)) {
		*ret_why = "no JSON object";
		return NULL;
	}
	return json_node_ref(root);
}

static JsonNode *
member(JsonObject *o, const char *name)
{
	return o ? json_object_get_member(o, name) : NULL;
}

const char *
get_str(JsonObject *o, const char *name)
{
	JsonNode *n = member(o, name);

	return n && JSON_NODE_HOLDS_VALUE(n) &&
	               json_node_get_value_type(n) == G_TYPE_STRING
	           ? json_node_get_string(n)
	           : NULL;
}

JsonObject *
get_obj(JsonObject *o, const char *name)
{
	JsonNode *n = member(o, name);

	return n && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

JsonArray *
get_arr(JsonObject *o, const char *name)
{
	JsonNode *n = member(o, name);

	return n && JSON_NODE_HOLDS_ARRAY(n) ? json_node_get_array(n) : NULL;
}

static bool
numeric(JsonNode *n)
{
	return n && JSON_NODE_HOLDS_VALUE(n) &&
	       (json_node_get_value_type(n) == G_TYPE_INT64 ||
		   json_node_get_value_type(n) == G_TYPE_DOUBLE);
}

static uint64_t
number(JsonNode *n)
{
	if (json_node_get_value_type(n) == G_TYPE_DOUBLE) {
		double d = json_node_get_double(n);

		return d >= 0x1p64 ? UINT64_MAX : d > 0 ? (uint64_t)d : 0;
	}
	return MAX(json_node_get_int(n), 0);
}

uint64_t
get_num(JsonObject *o, const char *name, uint64_t other)
{
	JsonNode *n = member(o, name);

	return numeric(n) ? number(n) : other;
}

bool
has_num(JsonObject *o, const char *name)
{
	return numeric(member(o, name));
}

int
get_bool(JsonObject *o, const char *name)
{
	JsonNode *n = member(o, name);

	if (!n || !JSON_NODE_HOLDS_VALUE(n) ||
	    json_node_get_value_type(n) != G_TYPE_BOOLEAN)
		return -1;
	return json_node_get_boolean(n);
}

guint
arr_len(JsonArray *a)
{
	return a ? json_array_get_length(a) : 0;
}

JsonObject *
elem_obj(JsonArray *a, guint i)
{
	JsonNode *n = json_array_get_element(a, i);

	return JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

uint64_t
elem_num(JsonArray *a, guint i)
{
	JsonNode *n = json_array_get_element(a, i);

	return numeric(n) ? number(n) : 0;
}

char *
json_text(JsonNode *n, bool pretty)
{
	return json_to_string(n, pretty);
}

JsonNode *
json_of(JsonObject *o)
{
	JsonNode *n = json_node_new(JSON_NODE_OBJECT);

	json_node_set_object(n, o);
	return n;
}
