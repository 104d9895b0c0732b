/*
 * conf/: cut, damaged and random text.  Whatever it is, it is good or there are errors;
 * values are what GKeyFile itself makes of them.
 */
#include "conf-t.h"

static const char robust[] =
    "# all there is\n[daemon]\nmountpoint = /m\naccess = ro\nattr-timeout = 1.5s\n"
    "[rumpfs]\nsize = 50%\nuid = root\n[dir /d\xc3\xa9]\nmode = 01777\n"
    "[file /f]\ncontent = a\\n\\\\b\n[symlink /s]\ntarget = t\n"
    "[node n]\npath = /n\ntype = chr\nmajor = 1\nminor = 3\n[whiteout /w]\n"
    "[etfs /e]\nhost = h\ntype = blk\nbegin = 1M\nsize = end\n"
    "[etfs /x]\nhost = x\npartition = 1\nmissing = hide\n";

/* Loads any text; it is good or there are errors. */
static void
load_any(const char *text, size_t len)
{
	struct conf_errors e = {0};
	struct conf *c;

	put_len("t.conf", text, len);
	c = conf_load("t.conf", &e);
	CHECK((c != NULL) == (e.ce_n == 0));
	conf_free(c);
	conf_errors_done(&e);
}

TEST(truncated)
{
	start();
	conf_free(load_good(robust));
	for (size_t len = 0; len < sizeof(robust); len++)
		load_any(robust, len);
}

TEST(mutated)
{
	g_autoptr(GRand) rnd = g_rand_new_with_seed(20240607);
	static const char spice[] = "[]=#\\/ \n\t\r.,%\x01\x7f\xff\xc3s0K";

	start();
	for (int i = 0; i < 400; i++) {
		char text[sizeof(robust)];
		memcpy(text, robust, sizeof(robust));
		for (int k = g_rand_int_range(rnd, 1, 8); k; k--)
			text[g_rand_int_range(rnd, 0, sizeof(robust) - 1)] =
			    spice[g_rand_int_range(rnd, 0, sizeof(spice))];
		load_any(text, sizeof(robust) - 1);
	}
}

/* Random values are read, or refused, as GKeyFile does. */
TEST(like_gkeyfile)
{
	g_autoptr(GRand) rnd = g_rand_new_with_seed(4711);
	static const char *const bits[] = {"a", "\\s", "\\n", "\\t", "\\r", "\\\\", "\\",
	    "=", " ", "#", "[", "]", "\xc3\xa9", "\\;", ";", "x y"};

	start();
	for (int i = 0; i < 400; i++) {
		g_autoptr(GString) text = g_string_new("[file /f]\ncontent =");
		g_autoptr(GKeyFile) kf = g_key_file_new();
		g_autoptr(GError) error = NULL;
		g_autofree char *theirs = NULL;
		struct conf_errors e = {0};
		struct conf *c;
		for (int k = g_rand_int_range(rnd, 0, 10); k; k--)
			g_string_append(
			    text, bits[g_rand_int_range(rnd, 0, G_N_ELEMENTS(bits))]);
		g_strchomp(text->str);
		/* GKeyFile warns of itself if this is its second bad escape. */
		if (g_str_has_suffix(text->str, "\\"))
			continue;
		if (strstr(strchr(text->str, '=') + 1, " #"))
			continue; /* refused here, by intention */
		put("t.conf", text->str);
		c = conf_load("t.conf", &e);
		if (g_key_file_load_from_data(kf, text->str, (gsize)-1, 0, NULL))
			theirs = g_key_file_get_string(kf, "file /f", "content", &error);
		if ((c == NULL) != (theirs == NULL || error))
			check_text(text->str, c ? "good" : e.ce_text[0], "the other");
		else if (c)
			check_text(text->str, c->c_nodes[0].cn_content, theirs);
		conf_free(c);
		conf_errors_done(&e);
	}
}

TEST(many_keys)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct conf *c;

	start();
	for (int i = 0; i < 10000; i++)
		g_string_append_printf(
		    text, "[etfs /d%d/k%d]\nhost = %d.img\nuid = root\n", i / 100, i, i);
	c = load_good(text->str);
	REQUIRE(c->c_netfs == 10000);
	check_text("last", c->c_etfs[9999].ce_path, "/d99/k9999");
	conf_free(c);
}
