/*
 * Fuzzer of daemon/control_json.c: lines of the control socket.
 *
 * An input is a line.  Whatever is taken must be an object with an id, which stands in it byte
 * for byte; and what is written of its texts, and of the line itself, must be JSON to the letter
 * and be read again as it was, but for what is no UTF-8.
 */
#include "daemon/control_json.h"
#include "tests/fuzz/fuzz.h"

/* An answer with this id and text, read again. */
static void
check_answer(const char *id, const char *text, size_t len)
{
	struct jw w = {.jw_s = g_string_new(NULL)};
	struct request rq;
	const char *why, *back;

	jw_open(&w, NULL, '{');
	jw_raw(&w, "id", id);
	jw_text_len(&w, "text", text, len);
	jw_close(&w, '}');
	NEED(!memchr(w.jw_s->str, '\n', w.jw_s->len));
	NEED(request_parse(&rq, w.jw_s->str, w.jw_s->len, &why));
	NEED(strcmp(rq.rq_id, id) == 0);
	NEED(rq.rq_nul == (memchr(text, '\0', len) != NULL));
	back = request_text(&rq, "text");
	NEED(back);
	if (!rq.rq_nul && g_utf8_validate(text, (gssize)len, NULL))
		NEED(strlen(back) == len && memcmp(back, text, len) == 0);
	request_done(&rq);
	g_string_free(w.jw_s, TRUE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"op", "key", "path", "access"};
	const char *line = (const char *)data, *why = NULL, *text;
	struct request rq;

	check_answer("null", line, size);
	if (!request_parse(&rq, line, size, &why)) {
		NEED(why && !rq.rq_id && !rq.rq_parser);
		return 0;
	}
	NEED(rq.rq_id);
	NEED(strcmp(rq.rq_id, "null") == 0 ||
	     memmem(line, size, rq.rq_id, strlen(rq.rq_id)));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((text = request_text(&rq, names[i])))
			check_answer(rq.rq_id, text, strlen(text));
	(void)request_bool(&rq, "buckets", true);
	request_done(&rq);
	return 0;
}
