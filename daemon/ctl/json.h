/*
 * Reading JSON that a stranger may have written: a member that is not there, or is
 * something else than expected, is as good as absent.
 */
#ifndef RF_CTL_JSON_H
#define RF_CTL_JSON_H

#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The object of a line, or NULL with *ret_why (a literal): no JSON, no object, or nested
 * so deeply that reading it could take the stack. */
JsonNode *json_line(const char *line, const char **ret_why);

/* NULL, 0, false or `other` if there is none; o may be NULL. */
const char *get_str(JsonObject *o, const char *name);
JsonObject *get_obj(JsonObject *o, const char *name);
JsonArray *get_arr(JsonObject *o, const char *name);
/* Never negative; what is larger than 2^64 - 1 is that. */
uint64_t get_num(JsonObject *o, const char *name, uint64_t other);
bool has_num(JsonObject *o, const char *name);
/* 1, 0, or -1 for null, absent or something else. */
int get_bool(JsonObject *o, const char *name);
/* The element as an object, or NULL. */
JsonObject *elem_obj(JsonArray *a, guint i);
/* The element as a number. */
uint64_t elem_num(JsonArray *a, guint i);
guint arr_len(JsonArray *a);

/* As one line without its end, or over several if pretty. */
char *json_text(JsonNode *n, bool pretty);
/* A node that holds the object; takes a reference. */
JsonNode *json_of(JsonObject *o);

#endif
