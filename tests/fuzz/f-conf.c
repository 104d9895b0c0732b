/*
 * Fuzzer of conf/: the text of a configuration file, from the file to the structs.  Nothing
 * is looked at that the text names.
 *
 * An input is the file's text, or, where it begins with "-k ", what is given with -k.
 * Whatever it is: there is either a configuration, all of whose values are within what
 * conf.h promises, or at least one sentence that says in which file and line the error is.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/fuzz/fuzz.h"

static int fd;
static char file[64];

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	NEED(fd >= 0);
	return 0;
}

/* "FILE:LINE: …", or "FILE: …" for what is wrong with the file as a whole, which cannot
 * be here; one line. */
static void
check_sentence(const char *text, const char *where, unsigned lines)
{
	size_t len = strlen(where);
	unsigned long line;
	char *end;

	NEED(strncmp(text, where, len) == 0);
	NEED(text[len] == ':');
	line = strtoul(text + len + 1, &end, 10);
	NEED(line >= 1 && line <= lines);
	NEED(end[0] == ':' && end[1] == ' ' && end[2] != '\0');
	for (const char *p = text; *p; p++)
		NEED((unsigned char)*p >= 0x20 && *p != 0x7f);
}

/* A path of the tree in its one form. */
static void
check_path(const char *path)
{
	size_t len = 0;

	NEED(path && path[0] == '/' && strlen(path) < 4096);
	if (strcmp(path, "/") == 0)
		return;
	for (const char *p = path; *p; p += len) {
		NEED(*p == '/');
		p++;
		len = strcspn(p, "/");
		NEED(len >= 1 && len <= 255);
		NEED(len != 1 || *p != '.');
		NEED(len != 2 || p[0] != '.' || p[1] != '.');
	}
}

static void
check_where(const struct conf_where *w, unsigned lines)
{
	NEED(w->cw_file && w->cw_section);
	NEED(w->cw_line >= 1 && w->cw_line <= lines);
}

static void
check_node(const struct conf_node *n, unsigned lines)
{
	check_where(&n->cn_where, lines);
	check_path(n->cn_path);
	NEED(!n->cn_set_mode || n->cn_mode <= 07777);
	NEED(!n->cn_host_copy || n->cn_host_copy[0] == '/');
	NEED(n->cn_kind != CK_SYMLINK ||
	     (n->cn_target && *n->cn_target && strlen(n->cn_target) < 4096));
	NEED(n->cn_kind != CK_NODE || strchr("cbps", n->cn_type));
	NEED(!n->cn_content || n->cn_content_len == strlen(n->cn_content));
}

static void
check_key(const struct conf_etfs *e, unsigned lines)
{
	check_where(&e->ce_where, lines);
	check_path(e->ce_path);
	NEED(e->ce_host && e->ce_host[0] == '/');
	NEED(e->ce_begin <= INT64_MAX);
	NEED(e->ce_size <= INT64_MAX || e->ce_size == CONF_SIZE_END);
	NEED(!e->ce_set_mode || e->ce_mode <= 07777);
	NEED(!e->ce_partition || e->ce_begin == 0);
}

static void
check_mount(const struct conf_mount *m, unsigned lines)
{
	bool memory = m->cm_vfs && strcmp(m->cm_vfs, "rumpfs") == 0;

	check_where(&m->cm_where, lines);
	check_path(m->cm_path);
	NEED((m->cm_device != NULL) + (m->cm_host != NULL) == !memory);
	if (m->cm_device)
		check_path(m->cm_device);
	NEED(!m->cm_host || m->cm_host[0] == '/');
	NEED(m->cm_host || (m->cm_begin == 0 && m->cm_size == CONF_SIZE_END));
	NEED(m->cm_size == CONF_SIZE_END || m->cm_begin + m->cm_size <= INT64_MAX);
}

/* Is above at path, or above it? */
static bool
is_above(const char *above, const char *path)
{
	size_t len = strcmp(above, "/") == 0 ? 0 : strlen(above);

	return strncmp(path, above, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Everything once, and what a mount needs before it. */
static void
check_order(const struct conf *c)
{
	size_t n;
	struct conf_item *items = conf_order(c, &n);

	NEED(n == c->c_nnodes + c->c_netfs + c->c_nmounts);
	for (size_t i = 0; i < n; i++) {
		const struct conf_mount *m = items[i].ci_mount;

		NEED(!items[i].ci_node + !items[i].ci_key + !m == 2);
		for (size_t k = i; m && m->cm_device && k < n; k++)
			NEED(!is_above(items[k].ci_path, m->cm_device));
	}
	conf_order_free(items);
}

/* Takes over c, and empties e. */
static void
check_conf(struct conf *c, struct conf_errors *e, const char *where, unsigned lines)
{
	NEED((c != NULL) == (e->ce_n == 0));
	for (size_t i = 0; i < e->ce_n; i++)
		check_sentence(e->ce_text[i], where, lines);
	conf_errors_done(e);
	if (!c)
		return;
	NEED(!c->c_mountpoint || c->c_mountpoint[0] == '/');
	NEED(c->c_mode <= 07777);
	for (size_t i = 0; i < c->c_nnodes; i++)
		check_node(&c->c_nodes[i], lines);
	for (size_t i = 0; i < c->c_netfs; i++)
		check_key(&c->c_etfs[i], lines);
	for (size_t i = 0; i < c->c_nmounts; i++)
		check_mount(&c->c_mounts[i], lines);
	check_order(c);
	/* What was found good once is good again. */
	NEED(conf_check(c, e) && e->ce_n == 0);
	conf_free(c);
}

static void
load(const uint8_t *data, size_t size)
{
	struct conf_errors e = {0};
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	NEED(ftruncate(fd, 0) == 0);
	NEED(pwrite(fd, data, size, 0) == (ssize_t)size);
	check_conf(conf_load(file, &e), &e, file, lines);
}

static void
add_key(const uint8_t *data, size_t size)
{
	struct conf_errors e = {0};
	struct conf *c = conf_new();
	char *text = strndup((const char *)data, size);

	if (conf_add_key(c, text, 1, &e)) {
		NEED(c->c_netfs == 1);
	} else {
		NEED(e.ce_n > 0 && c->c_netfs == 0);
		conf_free(c);
		c = NULL;
	}
	if (c && !conf_check(c, &e)) {
		conf_free(c);
		c = NULL;
	}
	check_conf(c, &e, "-k", 1);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 3 && memcmp(data, "-k ", 3) == 0)
		add_key(data + 3, size - 3);
	else
		load(data, size);
	return 0;
}
