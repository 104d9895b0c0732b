/*
 * The configuration as a whole: made with its defaults, filled from a file and its
 * drop-ins or from -k, freed.
 *
 * Data: plain structs in three arrays.  Paths and other values are owned by the struct that
 * has them; file and section names are shared by many and owned by struct conf_own.
 * Life: conf_load() makes one, conf_add_key() adds to it, conf_free() ends it.  Nothing
 * is locked; a conf belongs to one thread at a time.  Limits: a file of 64 MiB.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_int.h"

#define FILE_MAX  (64u << 20)
#define READ_STEP 65536

struct conf *
conf_new(void)
{
	struct conf *c = g_new0(struct conf, 1);
	struct conf_own *own = g_new0(struct conf_own, 1);

	own->co_files = g_ptr_array_new_with_free_func(g_free);
	own->co_names = g_string_chunk_new(4096);
	c->c_strings = own;
	c->c_attr_timeout_ns = UINT64_C(1000000000);
	c->c_wait_ns = UINT64_C(30000000000);
	c->c_slow_ns = UINT64_C(5000000000);
	c->c_size = conf_memory_percent(50);
	c->c_inodes = UINT64_C(1) << 20;
	c->c_mode = 0755;
	return c;
}

/* Members that a section takes out of itself when it joins the conf are NULL by then: see
 * the finish functions of conf_kinds.c. */
void
conf_etfs_done(struct conf_etfs *e)
{
	g_free(e->ce_path);
	g_free(e->ce_host);
	g_free(e->ce_partition);
}

void
conf_node_done(struct conf_node *n)
{
	g_free(n->cn_path);
	g_free(n->cn_content);
	g_free(n->cn_host_copy);
	g_free(n->cn_target);
}

void
conf_mount_done(struct conf_mount *m)
{
	g_free(m->cm_path);
	g_free(m->cm_vfs);
	g_free(m->cm_device);
	g_free(m->cm_host);
	g_free(m->cm_partition);
	g_free(m->cm_options);
}

void
conf_free(struct conf *c)
{
	struct conf_own *own;

	if (c == NULL)
		return;
	for (size_t i = 0; i < c->c_nnodes; i++)
		conf_node_done(&c->c_nodes[i]);
	for (size_t i = 0; i < c->c_netfs; i++)
		conf_etfs_done(&c->c_etfs[i]);
	for (size_t i = 0; i < c->c_nmounts; i++)
		conf_mount_done(&c->c_mounts[i]);
	g_free(c->c_mounts);
	g_free(c->c_nodes);
	g_free(c->c_etfs);
	g_free(c->c_mountpoint);
	own = c->c_strings;
	g_ptr_array_free(own->co_files, TRUE);
	g_string_chunk_free(own->co_names);
	g_free(own);
	g_free(c);
}

/* Names live as long as the conf, since every place points to one. */
static struct conf_file *
file_new(struct conf *c, const char *name, unsigned rank)
{
	struct conf_own *own = c->c_strings;
	size_t len = strlen(name);
	struct conf_file *f = g_malloc(offsetof(struct conf_file, cf_name) + len + 1);

	f->cf_rank = rank;
	memcpy(f->cf_name, name, len + 1);
	g_ptr_array_add(own->co_files, f);
	return f;
}

/* The absolute path of dir, for g_free(); NULL and *ret_errno if it is relative to a
 * working directory that has no path. */
static char *
absolute_dir(const char *dir, int *ret_errno)
{
	g_autofree char *cwd = g_malloc(PATH_MAX);

	if (dir[0] == '/')
		return conf_path_host("/", dir);
	if (getcwd(cwd, PATH_MAX) == NULL) {
		*ret_errno = errno;
		return NULL;
	}
	return conf_path_host(cwd, dir);
}

/* One reading: section names repeat only within a file, so what was seen starts empty. */
void
conf_parse_init(struct conf_parse *p, struct conf *c, struct conf_diags *d,
    const struct conf_file *f, char *base)
{
	*p = (struct conf_parse){
	    .cp_conf = c, .cp_diags = d, .cp_file = f, .cp_base = base};
	p->cp_seen = g_hash_table_new(g_str_hash, g_str_equal);
	p->cp_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void
conf_parse_done(struct conf_parse *p)
{
	g_hash_table_destroy(p->cp_seen);
	g_hash_table_destroy(p->cp_ids);
	g_free(p->cp_base);
}

/* Values do not know where they are; the reading does. */
void
conf_bad(struct conf_parse *p, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	conf_diag(p->cp_diags, p->cp_file, p->cp_line, conf_section_name(p), p->cp_key,
	    "%s", text);
}

/* Everything that fd has.  0, or -errno; -EFBIG over FILE_MAX, -EISDIR for a directory,
 * -ENOTSUP for what else is not a regular file. */
static int
read_all(int fd, GString *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ENOTSUP;
	if (st.st_size > FILE_MAX)
		return -EFBIG;
	for (;;) {
		size_t had = out->len;
		ssize_t n;
		g_string_set_size(out, had + READ_STEP);
		n = read(fd, out->str + had, READ_STEP);
		if (n < 0) {
			int err = errno;
			if (err != EINTR)
				return -err;
			n = 0;
		} else if (n == 0) {
			g_string_set_size(out, had);
			return 0;
		}
		g_string_set_size(out, had + (size_t)n);
		if (out->len > FILE_MAX)
			return -EFBIG;
	}
}

static int
read_file(const char *name, GString *out)
{
	/* Opening a fifo would wait for somebody to write to it. */
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, out);
	close(fd);
	return r;
}

/* Reads one file into the conf; false: it could not be read at all, which was told. */
static bool
load_file(struct conf *c, struct conf_diags *d, const char *name, bool ids)
{
	struct conf_own *own = c->c_strings;
	struct conf_file *f = file_new(c, name, own->co_files->len);
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *dir = g_path_get_dirname(name);
	char *base;
	struct conf_parse p;
	int r = read_file(name, text), err = 0;

	if (r == -EISDIR)
		conf_diag(d, f, 0, NULL, NULL, "a directory, expected a text file");
	else if (r == -ENOTSUP)
		conf_diag(
		    d, f, 0, NULL, NULL, "not a regular file, expected a text file");
	else if (r == -EFBIG)
		conf_diag(d, f, 0, NULL, NULL, "larger than 64 MiB, expected less");
	else if (r != 0)
		conf_diag(d, f, 0, NULL, NULL, "cannot be read: %s, expected a text file",
		    g_strerror(-r));
	if (r != 0)
		return false;
	base = absolute_dir(dir, &err);
	if (base == NULL) {
		conf_diag(d, f, 0, NULL, NULL,
		    "the working directory has no path: %s, expected an absolute file name",
		    g_strerror(err));
		return false;
	}
	conf_parse_init(&p, c, d, f, base);
	p.cp_no_ids = !ids;
	conf_scan(&p, text->str, text->len);
	conf_parse_done(&p);
	return true;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the drop-ins in dir, in order.  0 or -errno. */
static int
list_drop_ins(const char *dir, GPtrArray *names)
{
	DIR *dp = opendir(dir);
	struct dirent *de;
	int err;

	if (dp == NULL)
		return -errno;
	while (errno = 0, (de = readdir(dp))) {
		if (de->d_name[0] != '.' && g_str_has_suffix(de->d_name, ".conf"))
			g_ptr_array_add(names, g_strdup(de->d_name));
	}
	err = errno;
	closedir(dp);
	g_ptr_array_sort(names, name_order);
	return -err;
}

/* Drop-ins are read into the same conf: single values of [daemon] and [rumpfs] are
 * replaced, everything else is added and held against the whole by conf_check_into(). */
static void
load_drop_ins(struct conf *c, struct conf_diags *d, const char *name, bool ids)
{
	struct conf_own *own = c->c_strings;
	g_autofree char *dir = g_strconcat(name, ".d", NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int r = list_drop_ins(dir, names);

	if (r != 0 && r != -ENOENT)
		conf_diag(d, file_new(c, dir, own->co_files->len), 0, NULL, NULL,
		    "cannot be read: %s, expected a directory of drop-ins",
		    g_strerror(-r));
	for (unsigned i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat(dir, "/", names->pdata[i], NULL);
		load_file(c, d, path, ids);
	}
}

static struct conf *
load(const char *file, struct conf_errors *errs, bool ids)
{
	struct conf *c = conf_new();
	struct conf_diags d;

	conf_diags_init(&d);
	if (load_file(c, &d, file, ids))
		load_drop_ins(c, &d, file, ids);
	/* Also after errors: what joined the conf is enough to find the rest of them. */
	conf_check_into(c, &d);
	if (!conf_diags_flush(&d, errs))
		g_clear_pointer(&c, conf_free);
	conf_diags_done(&d);
	return c;
}

struct conf *
conf_load(const char *file, struct conf_errors *errs)
{
	return load(file, errs, true);
}

struct conf *
conf_load_paths(const char *file, struct conf_errors *errs)
{
	return load(file, errs, false);
}

/* The text up to the next comma, "\," undone, for g_free(); *text is moved behind the
 * comma, or becomes NULL at the end. */
static char *
next_part(const char **text)
{
	GString *part = g_string_new(NULL);
	const char *s = *text;

	for (; *s && *s != ','; s++) {
		if (s[0] == '\\' && s[1] == ',')
			s++;
		g_string_append_c(part, *s);
	}
	*text = *s ? s + 1 : NULL;
	return g_string_free(part, FALSE);
}

/* The options after KEY=HOST. */
static void
parse_options(struct conf_parse *p, const char *text)
{
	while (text) {
		g_autofree char *part = next_part(&text);
		char *eq = strchr(part, '=');
		if (eq == NULL) {
			g_autofree char *q = conf_quote(part, strlen(part));
			p->cp_key = NULL;
			conf_bad(p, "%s has no \"=\", expected NAME=VALUE", q);
			continue;
		}
		*eq = '\0';
		conf_section_key(p, part, eq + 1);
		p->cp_key = NULL;
	}
}

/* The first "=" ends KEY; a HOST may have more of them. */
static void
parse_key(struct conf_parse *p, const char *text)
{
	const char *eq = strchr(text, '=');
	g_autofree char *key = eq ? g_strndup(text, (size_t)(eq - text)) : g_strdup(text);
	g_autofree char *host = NULL;

	if (eq == NULL) {
		g_autofree char *q = conf_quote(text, strlen(text));
		conf_bad(p, "%s has no \"=\", expected KEY=HOST", q);
		return;
	}
	conf_section_begin_k(p, key);
	text = eq + 1;
	host = next_part(&text);
	conf_section_key(p, "host", host);
	parse_options(p, text);
	conf_section_end(p);
}

/* What messages call the place of keys that no file declares. */
static struct conf_file *
file_of_keys(struct conf *c, const char *from)
{
	struct conf_own *own = c->c_strings;

	for (unsigned i = 0; i < own->co_files->len; i++) {
		struct conf_file *f = own->co_files->pdata[i];
		if (f->cf_rank == UINT_MAX && strcmp(f->cf_name, from) == 0)
			return f;
	}
	return file_new(c, from, UINT_MAX);
}

bool
conf_add_key(struct conf *c, const char *text, unsigned line, struct conf_errors *errs)
{
	return conf_add_key_from(c, "-k", text, line, errs);
}

bool
conf_add_key_from(struct conf *c, const char *from, const char *text, unsigned line,
    struct conf_errors *errs)
{
	const struct conf_file *f = file_of_keys(c, from);
	size_t had = c->c_netfs;
	struct conf_diags d;
	int err = 0;
	char *base = absolute_dir(".", &err);
	bool ok;

	conf_diags_init(&d);
	if (base) {
		struct conf_parse p;
		conf_parse_init(&p, c, &d, f, base);
		p.cp_line = line;
		parse_key(&p, text);
		conf_parse_done(&p);
	} else {
		conf_diag(&d, f, line, NULL, NULL,
		    "the working directory has no path: %s, expected one",
		    g_strerror(err));
	}
	ok = conf_diags_flush(&d, errs);
	conf_diags_done(&d);
	/* A key with errors has joined, as a section with errors does; here it must not. */
	if (!ok && c->c_netfs > had)
		conf_etfs_done(&c->c_etfs[--c->c_netfs]);
	return ok;
}

void
conf_drop_key(struct conf *c, size_t i)
{
	conf_etfs_done(&c->c_etfs[i]);
	c->c_netfs--;
	memmove(
	    &c->c_etfs[i], &c->c_etfs[i + 1], (c->c_netfs - i) * sizeof(c->c_etfs[0]));
}
