/* The control socket's lines, what is counted, and the catalogue. */
#include "conf/conf.h"
#include "daemon/apply.h"
#include "daemon/catalog.h"
#include "daemon/control_json.h"
#include "daemon/fe_stats.h"
#include "tests/t.h"

TEST(buckets_follow_one_another)
{
	uint64_t begin = 0;

	for (unsigned b = 0; b < FE_BUCKETS - 1; b++) {
		uint64_t end = fe_bucket_end_us(b);

		CHECK(end > begin);
		CHECK_EQ(fe_bucket(begin * 1000), b);
		CHECK_EQ(fe_bucket(end * 1000 - 1), b);
		/* No wider than an eighth of what is in it. */
		CHECK(end - begin == 1 || (end - begin) * 8 <= begin);
		begin = end;
	}
	CHECK_EQ(begin, 1u << 27);
	CHECK_EQ(fe_bucket(begin * 1000), FE_BUCKETS - 1);
	CHECK_EQ(fe_bucket(UINT64_MAX), FE_BUCKETS - 1);
	CHECK(fe_bucket_end_us(FE_BUCKETS - 1) == UINT64_MAX);
}

TEST(percentiles)
{
	struct fe_sum fs = {.fs_max_ns = 5000000};

	CHECK_EQ(fe_percentile_us(&fs, 500), 0);
	fs.fs_bucket[fe_bucket(2500)] = 90;
	fs.fs_bucket[fe_bucket(100000)] = 9;
	fs.fs_bucket[fe_bucket(5000000)] = 1;
	CHECK_EQ(fe_percentile_us(&fs, 500), 3);
	CHECK_EQ(fe_percentile_us(&fs, 900), 3);
	CHECK_EQ(fe_percentile_us(&fs, 901), 104);
	CHECK_EQ(fe_percentile_us(&fs, 990), 104);
	/* Never more than the longest there was. */
	CHECK_EQ(fe_percentile_us(&fs, 999), 5000);
	fs = (struct fe_sum){.fs_max_ns = UINT64_C(200000000000)};
	fs.fs_bucket[FE_BUCKETS - 1] = 1;
	CHECK_EQ(fe_percentile_us(&fs, 500), 200000000);
}

/* What is kept of a request's line; NULL: it is refused. */
static const struct {
	const char *line, *id, *op;
} lines[] = {
    {"{}", "null", NULL},
    {"{\"op\":\"list\"}", "null", "list"},
    {" {\"id\": 7, \"op\" : \"list\"}\r", "7", "list"},
    {"{\"id\":-1.5,\"op\":7}", "-1.5", NULL},
    {"{\"id\":\"a\\\"\\u00e4\\n\",\"op\":\"\"}", "\"a\\\"\\u00e4\\n\"", ""},
    {"{\"id\":null,\"x\":[[[[1]]]]}", "null", NULL},
    {"{\"op\":\"[[[[[[[[[[[[[[[[[[[[[[\"}", "null", "[[[[[[[[[[[[[[[[[[[[[["},
    {"{\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", "null", NULL},
    {"{\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", NULL, NULL},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL, NULL},
    {"", NULL, NULL},
    {" ", NULL, NULL},
    {"[]", NULL, NULL},
    {"1", NULL, NULL},
    {"null", NULL, NULL},
    {"{", NULL, NULL},
    {"{\"op\":\"li", NULL, NULL},
    {"{\"op\":\"li\\", NULL, NULL},
    {"{'op':'list'}", NULL, NULL},
    {"/* \" */ {}", NULL, NULL},
    {"// {}", NULL, NULL},
    {"var x = {};", NULL, NULL},
    {"{\"id\":[1]}", NULL, NULL},
    {"{\"id\":{}}", NULL, NULL},
    {"{\"id\":true}", NULL, NULL},
    {"{\"op\":\"\xff\"}", NULL, NULL},
    /* The id comes back to the byte, whatever a parser would make of it. */
    {"{\"id\":1e999}", "1e999", NULL},
    {"{\"id\":123456789012345678901234567890}", "123456789012345678901234567890", NULL},
    {"{\"id\":0.1}", "0.1", NULL},
    {"{\"id\":1E5}", "1E5", NULL},
    {"{\"id\":-0}", "-0", NULL},
    {"{\"id\":1.50e-07 ,\"op\":\"x\"}", "1.50e-07", "x"},
    {"{\"id\":\"a\\u0000b\"}", "\"a\\u0000b\"", NULL},
    {"{\"id\":\"\\/\\ud83d\\ude00\"}", "\"\\/\\ud83d\\ude00\"", NULL},
    {"{\"x\":{\"id\":2},\"y\":[{\"id\":3}]}", "null", NULL},
    {"{\"id\":1,\"id\":\"2\"}", "\"2\"", NULL},
    {"{\"\\u0069d\":1}", "1", NULL},
    {"{\"i\\u0064\":1}", "1", NULL},
    {"{\"ide\":1,\"i\":2}", "null", NULL},
    {"{\"id\":01}", NULL, NULL},
    {"{\"id\":-}", NULL, NULL},
    {"{\"id\":+1}", NULL, NULL},
    {"{\"id\":.5}", NULL, NULL},
    {"{\"id\":5.}", NULL, NULL},
    {"{\"id\":1e}", NULL, NULL},
    {"{\"id\":0x1}", NULL, NULL},
    {"{\"id\":1-1}", NULL, NULL},
    {"{\"id\":inf}", NULL, NULL},
    {"{\"id\":nul}", NULL, NULL},
    {"{\"x\":00}", NULL, NULL},
    {"{\"x\":tru}", NULL, NULL},
    {"{\"x\":1,}", NULL, NULL},
    {"{\"x\":[1,]}", NULL, NULL},
    {"{,}", NULL, NULL},
    {"{\"x\" 1}", NULL, NULL},
    {"{\"id\":\"a\tb\"}", NULL, NULL},
    {"{\"id\":\"\\x\"}", NULL, NULL},
    {"{\"id\":\"\\u12g4\"}", NULL, NULL},
    {"{\"id\":\"\\ud83d\"}", NULL, NULL},
    {"{\"id\":\"\\ude00\"}", NULL, NULL},
    {"{} {}", NULL, NULL},
};

TEST(requests)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct request rq;
		const char *why = NULL, *op;
		bool ok = request_parse(&rq, lines[i].line, strlen(lines[i].line), &why);

		if (ok != (lines[i].id != NULL)) {
			printf("%s: %s\n", lines[i].line, ok ? "taken" : why);
			CHECK(ok == (lines[i].id != NULL));
		}
		CHECK(ok || why);
		if (!ok)
			continue;
		CHECK_STR(rq.rq_id, lines[i].id ? lines[i].id : "");
		op = request_text(&rq, "op");
		CHECK(!op == !lines[i].op && (!op || strcmp(op, lines[i].op) == 0));
		CHECK(request_bool(&rq, "op", true));
		CHECK(!request_text(&rq, "absent"));
		request_done(&rq);
	}
}

/* The lines, and whether a string other than the id has a NUL. */
static const struct {
	const char *line;
	bool nul;
} nuls[] = {
    {"{\"op\":\"explain\",\"path\":\"/a\\u0000b\"}", true},
    {"{\"op\\u0000\":\"list\"}", true},
    {"{\"x\":[{\"y\":[\"\\u0000\"]}]}", true},
    {"{\"id\":\"\\u0000\"}", false},
    {"{\"x\":\"\\\\u0000\"}", false},
};

TEST(a_nul_is_refused)
{
	struct request rq;
	const char *why;

	for (size_t i = 0; i < sizeof(nuls) / sizeof(nuls[0]); i++) {
		REQUIRE(request_parse(&rq, nuls[i].line, strlen(nuls[i].line), &why));
		CHECK_EQ(rq.rq_nul, nuls[i].nul);
		request_done(&rq);
	}
	CHECK(!request_parse(&rq, "{}\0", 3, &why));
	CHECK(!request_parse(&rq, "{\"op\":\"a\0b\"}", 12, &why));
}

TEST(writing)
{
	struct jw w = {.jw_s = g_string_new(NULL)};

	jw_open(&w, NULL, '{');
	jw_text(&w, "a", "q\"b\\n\n\x7f");
	jw_open(&w, "l", '[');
	jw_number(&w, NULL, UINT64_MAX);
	jw_null(&w, NULL);
	jw_open(&w, NULL, '{');
	jw_close(&w, '}');
	jw_close(&w, ']');
	jw_text_len(&w, "bytes", "\xc3\xa4\xff\xe2\x82 \0x", 8);
	jw_text(&w, "none", NULL);
	jw_bool(&w, "t", true);
	jw_close(&w, '}');
	CHECK_STR(w.jw_s->str,
	    "{\"a\":\"q\\\"b\\\\n\\u000a\\u007f\",\"l\":[18446744073709551615,null,{}],"
	    "\"bytes\":\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \\u0000x\","
	    "\"none\":null,\"t\":true}");
	g_string_free(w.jw_s, TRUE);
}

TEST(catalogue)
{
	static const char *const keys[] = {
	    "/src=/h", "/src-2=/h", "/src/a/b=/h", "/z=/h"};
	static const struct {
		const char *path, *entry;
	} rows[] = {{"/", NULL}, {"/x", NULL}, {"/src", "/src"}, {"/src/a", "/src"},
	    {"/src/a/b", "/src/a/b"}, {"/src/a/b/c/d", "/src/a/b"}, {"/src/a/bc", "/src"},
	    {"/src-2/a", "/src-2"}, {"/src-", NULL}, {"/z/", "/z"}};
	struct conf_errors errs = {0};
	struct conf *c = conf_new();
	struct catalog_place p;
	struct space sp = {0};
	struct catalog *cg;

	catalog_place_init(&p);
	CHECK(catalog_get(&p) == NULL);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CHECK(conf_add_key_from(c, "added", keys[i], (unsigned)i + 1, &errs));
	REQUIRE(errs.ce_n == 0);
	catalog_publish(&p, &sp, c);
	cg = catalog_get(&p);
	REQUIRE(cg);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct entry *en = catalog_above(cg, rows[i].path);

		CHECK_STR(en ? en->en_path : "", rows[i].entry ? rows[i].entry : "");
	}
	CHECK_STR(cg->cg_all[0].en_path, "/src");
	CHECK_STR(cg->cg_all[1].en_path, "/src/a/b");
	CHECK_STR(cg->cg_all[2].en_path, "/src-2");
	CHECK_STR(cg->cg_all[0].en_origin, "added");
	/* Who has it keeps it. */
	conf_drop_key(c, 0);
	conf_drop_key(c, 2);
	catalog_publish(&p, &sp, c);
	CHECK_EQ(cg->cg_n, 4);
	catalog_unref(cg);
	cg = catalog_get(&p);
	CHECK_EQ(cg->cg_n, 2);
	CHECK_STR(cg->cg_all[0].en_path, "/src/a/b");
	CHECK_STR(cg->cg_all[1].en_path, "/src-2");
	catalog_unref(cg);
	catalog_place_done(&p);
	conf_free(c);
}
