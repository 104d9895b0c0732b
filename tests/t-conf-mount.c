/* [mount] sections: what they say, and what is made before what. */
#include <string.h>

#include "conf-t.h"

TEST(mounts)
{
	const struct conf_mount *m;
	g_autofree char *host = NULL;
	struct conf *c;

	start();
	c = load_good("[mount /p1]\n"
		      "device = /disk/p1/\n"
		      "vfs = ext\n"
		      "access = ro\n"
		      "options = a=1,b\n"
		      "uid = 5\n"
		      "[mount /]\n"
		      "host = a.img\n"
		      "begin = 1M\n"
		      "size = 64s\n"
		      "lock = no\n"
		      "gid = 6\n"
		      "[mount]\n"
		      "path = /p[2]\n"
		      "host = /b.img\n"
		      "partition = data\n"
		      "[mount /mem]\n"
		      "vfs = rumpfs\n");
	m = c->c_mounts;
	host = g_strdup_printf("%s/a.img", work);

	CHECK_EQ(c->c_nmounts, 4);
	check_text("m[0].cm_path", m[0].cm_path, "/p1");
	check_text("m[0].cm_device", m[0].cm_device, "/disk/p1");
	check_text("m[0].cm_vfs", m[0].cm_vfs, "ext");
	check_text("m[0].cm_options", m[0].cm_options, "a=1,b");
	CHECK(m[0].cm_rdonly && !m[0].cm_host && m[0].cm_size == CONF_SIZE_END);
	CHECK(m[0].cm_set_uid && m[0].cm_uid == 5 && !m[0].cm_set_gid);
	check_text("m[0].cm_where.cw_section", m[0].cm_where.cw_section, "mount /p1");
	CHECK_EQ(m[0].cm_where.cw_line, 1);
	check_text("m[1].cm_path", m[1].cm_path, "/");
	check_text("m[1].cm_host", m[1].cm_host, host);
	CHECK_EQ(m[1].cm_begin, 1 << 20);
	CHECK_EQ(m[1].cm_size, 32768);
	CHECK(m[1].cm_no_lock && !m[1].cm_rdonly && !m[1].cm_device && !m[1].cm_vfs);
	CHECK(m[1].cm_set_gid && m[1].cm_gid == 6);
	check_text("m[2].cm_path", m[2].cm_path, "/p[2]");
	check_text("m[2].cm_host", m[2].cm_host, "/b.img");
	check_text("m[2].cm_partition", m[2].cm_partition, "data");
	CHECK(!m[3].cm_device && !m[3].cm_host);
	conf_free(c);
}

/* By depth, but what a mount's device needs comes before it. */
TEST(order)
{
	static const struct {
		const char *text, *order;
	} rows[] = {
	    {"[dir /a/b]\n[etfs /c]\nhost = c\n[dir /a]\n[file /d/e/f]\n",
		"/a /c /a/b /d/e/f"},
	    {"[mount /m]\ndevice = /x/y/z\n[dir /a]\n[etfs /x/y]\nhost = c\n[dir /x]\n",
		"/a /x /x/y /m"},
	    {"[mount /a]\ndevice = /b/img\n[mount /b]\ndevice = /c/img\n"
	     "[mount /c]\ndevice = /d/e/f\n[etfs /d/e/f]\nhost = f\n",
		"/d/e/f /c /b /a"},
	    {"[file /m/note]\n[mount /m]\nhost = a\n[mount /]\nhost = b\n",
		"/ /m /m/note"},
	    {"[mount /a]\ndevice = /abc\n[mount /abc]\nhost = a\n[mount /ab]\nhost = b\n",
		"/abc /a /ab"},
	};

	start();
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct conf *c;
		struct conf_item *items;
		g_autoptr(GString) got = g_string_new(NULL);
		size_t n;

		c = load_good(rows[i].text);
		items = conf_order(c, &n);
		for (size_t k = 0; k < n; k++)
			g_string_append_printf(
			    got, "%s%s", k ? " " : "", items[k].ci_path);
		check_text(rows[i].text, got->str, rows[i].order);
		conf_order_free(items);
		conf_free(c);
	}
}
