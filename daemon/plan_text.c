/*
 * A plan in words (plan.h).
 *
 * What can be said of an object is a list of fields, the same for all of its kind and in the
 * same order: a name, a value in words, and whether that goes without saying.  A change names
 * the fields whose words differ.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plan.h"

#define FIELDS_MAX 24
#define QUOTED_MAX 32 /* bytes of a content that are shown as they are */

struct field {
	const char *fd_name;
	char *fd_text;
	bool fd_plain; /* the default */
};

struct fields {
	struct field fs_all[FIELDS_MAX];
	size_t fs_n;
};

static void
fields_done(struct fields *fs)
{
	for (size_t i = 0; i < fs->fs_n; i++)
		g_free(fs->fs_all[i].fd_text);
}

static void __attribute__((format(printf, 4, 5)))
add(struct fields *fs, const char *name, bool plain, const char *fmt, ...)
{
	struct field *fd = &fs->fs_all[fs->fs_n++];
	va_list ap;

	va_start(ap, fmt);
	*fd = (struct field){name, g_strdup_vprintf(fmt, ap), plain};
	va_end(ap);
}

static void
add_text(struct fields *fs, const char *name, const char *text, const char *none)
{
	add(fs, name, !text, "%s", text ? text : none);
}

static void
add_flag(struct fields *fs, const char *name, bool value, const char *on, const char *off)
{
	add(fs, name, !value, "%s", value ? on : off);
}

static void
add_mode(struct fields *fs, bool set, uint32_t mode, const char *none)
{
	if (set)
		add(fs, "mode", false, "%04o", mode);
	else
		add_text(fs, "mode", NULL, none);
}

static void
add_id(struct fields *fs, const char *name, bool set, uint32_t id, const char *none)
{
	if (set)
		add(fs, name, false, "%" PRIu32, id);
	else
		add_text(fs, name, NULL, none);
}

static void
add_range(struct fields *fs, uint64_t begin, uint64_t size, const char *partition)
{
	add(fs, "begin", begin == 0, "%" PRIu64, begin);
	if (size == CONF_SIZE_END)
		add_text(fs, "size", NULL, "end");
	else
		add(fs, "size", false, "%" PRIu64, size);
	add_text(fs, "partition", partition, "none");
}

static void
key_fields(struct fields *fs, const struct conf_etfs *ce)
{
	static const char *const types[] = {
	    "auto", "reg", "blk", "chr", "dir", "dir-subdirs"};
	static const char *const links[] = {"show", "hide", "follow"};
	static const char *const missing[] = {"fail", "hide", "wait"};
	static const char *const watch[] = {"default", "auto", "no"};

	add(fs, "host", false, "%s", ce->ce_host);
	add(fs, "type", ce->ce_type == CT_AUTO, "%s", types[ce->ce_type]);
	add_range(fs, ce->ce_begin, ce->ce_size, ce->ce_partition);
	add_flag(fs, "access", ce->ce_rdonly, "ro", "rw");
	add(fs, "missing", ce->ce_missing == CM_FAIL, "%s", missing[ce->ce_missing]);
	add_flag(fs, "hidden", ce->ce_hidden, "yes", "no");
	add_flag(fs, "lock", ce->ce_no_lock, "no", "yes");
	add(fs, "symlinks", ce->ce_symlinks == CS_SHOW, "%s", links[ce->ce_symlinks]);
	add_flag(fs, "special", ce->ce_special, "yes", "no");
	add(fs, "watch", ce->ce_watch == CW_DEFAULT, "%s", watch[ce->ce_watch]);
	add_mode(fs, ce->ce_set_mode, ce->ce_mode, "the host's");
	add_id(fs, "uid", ce->ce_set_uid, ce->ce_uid, "the host's");
	add_id(fs, "gid", ce->ce_set_gid, ce->ce_gid, "the host's");
}

static void
image_fields(struct fields *fs, const struct conf_mount *cm)
{
	add_text(fs, "vfs", cm->cm_vfs, "auto");
	add_text(fs, "device", cm->cm_device, "none");
	add_text(fs, "host", cm->cm_host, "none");
	add_range(fs, cm->cm_begin, cm->cm_size, cm->cm_partition);
	add_flag(fs, "access", cm->cm_rdonly, "ro", "rw");
	add_flag(fs, "lock", cm->cm_no_lock, "no", "yes");
	add_text(fs, "options", cm->cm_options, "none");
	add_id(fs, "uid", cm->cm_set_uid, cm->cm_uid, "the root's");
	add_id(fs, "gid", cm->cm_set_gid, cm->cm_gid, "the root's");
}

/* As it is where it is short and can be shown in a line, else by its length and a sum. */
static void
add_content(struct fields *fs, const struct conf_node *cn)
{
	bool shown = cn->cn_content_len <= QUOTED_MAX;
	uint32_t sum = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < cn->cn_content_len; i++) {
		unsigned char c = (unsigned char)cn->cn_content[i];

		shown &= c >= ' ' && c != 0x7f;
		sum = (sum ^ c) * 16777619u;
	}
	if (cn->cn_content_len == 0)
		add_text(fs, "content", NULL, "none");
	else if (shown)
		add(fs, "content", false, "\"%.*s\"", (int)cn->cn_content_len,
		    cn->cn_content);
	else
		add(fs, "content", false, "%zu bytes (sum %08" PRIx32 ")",
		    cn->cn_content_len, sum);
}

static void
node_fields(struct fields *fs, const struct conf_node *cn)
{
	if (cn->cn_kind == CK_FILE) {
		add_content(fs, cn);
		add_text(fs, "host-copy", cn->cn_host_copy, "none");
	}
	if (cn->cn_kind == CK_SYMLINK)
		add(fs, "target", false, "%s", cn->cn_target);
	if (cn->cn_kind == CK_NODE) {
		add(fs, "type", false, "%s",
		    cn->cn_type == 'c'   ? "chr"
		    : cn->cn_type == 'b' ? "blk"
		    : cn->cn_type == 'p' ? "fifo"
					 : "sock");
		add(fs, "major", cn->cn_major == 0, "%" PRIu32, cn->cn_major);
		add(fs, "minor", cn->cn_minor == 0, "%" PRIu32, cn->cn_minor);
	}
	add_mode(
	    fs, cn->cn_set_mode, cn->cn_mode, cn->cn_kind == CK_DIR ? "0755" : "0644");
	add_id(fs, "uid", cn->cn_set_uid, cn->cn_uid, "the root's");
	add_id(fs, "gid", cn->cn_set_gid, cn->cn_gid, "the root's");
}

static void
daemon_fields(struct fields *fs, const struct conf *c)
{
	static const char *const when[] = {
	    [WHEN_AUTO] = NULL, [WHEN_YES] = "yes", [WHEN_NO] = "no"};

	add_text(fs, "mountpoint", c->c_mountpoint, "none");
	add_flag(fs, "access", c->c_rdonly, "ro", "rw");
	add_flag(fs, "allow-other", c->c_allow_other, "yes", "no");
	add(fs, "attr-timeout", false, "%g s", (double)c->c_attr_timeout_ns / 1e9);
	add(fs, "wait", false, "%g s", (double)c->c_wait_ns / 1e9);
	add_flag(fs, "watch", c->c_watch == CW_NO, "no", "auto");
	if (c->c_threads)
		add(fs, "threads", false, "%u", c->c_threads);
	else
		add_text(fs, "threads", NULL, "auto");
	add_flag(fs, "dev", c->c_dev, "yes", "no");
	add_flag(fs, "suid", c->c_suid, "yes", "no");
	add_flag(fs, "export", c->c_export, "yes", "no");
	add_flag(fs, "seccomp", c->c_no_seccomp, "no", "yes");
	add(fs, "slow", false, "%g s", (double)c->c_slow_ns / 1e9);
	add_flag(fs, "passthrough", c->c_no_passthrough, "no", "auto");
	add_text(fs, "transport",
	    c->c_transport == CTR_DEVICE  ? "device"
	    : c->c_transport == CTR_URING ? "io-uring"
					  : NULL,
	    "auto");
	add_text(fs, "no-open", when[c->c_no_open], "auto");
	add_text(fs, "writeback", when[c->c_writeback], "auto");
}

static void
memory_fields(struct fields *fs, const struct conf *c)
{
	add(fs, "size", false, "%" PRIu64, c->c_size);
	add(fs, "inodes", false, "%" PRIu64, c->c_inodes);
	add(fs, "mode", false, "%04o", c->c_mode);
	add_id(fs, "uid", c->c_set_uid, c->c_uid, "the mounting user's");
	add_id(fs, "gid", c->c_set_gid, c->c_gid, "the mounting user's");
}

static void
conf_fields(struct fields *fs, enum plan_kind kind, const struct conf *c)
{
	fs->fs_n = 0;
	if (kind == PK_DAEMON)
		daemon_fields(fs, c);
	else
		memory_fields(fs, c);
}

static void
item_fields(struct fields *fs, const struct conf_item *i)
{
	fs->fs_n = 0;
	if (i->ci_key)
		key_fields(fs, i->ci_key);
	else if (i->ci_mount)
		image_fields(fs, i->ci_mount);
	else
		node_fields(fs, i->ci_node);
}

void
plan_settings(const struct conf *a, const struct conf *b,
    void (*fn)(enum plan_kind kind, const char *name, void *arg), void *arg)
{
	static const enum plan_kind kinds[] = {PK_DAEMON, PK_MEMORY};

	for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++) {
		struct fields fa, fb;

		conf_fields(&fa, kinds[k], a);
		conf_fields(&fb, kinds[k], b);
		for (size_t i = 0; i < fa.fs_n; i++)
			if (strcmp(fa.fs_all[i].fd_text, fb.fs_all[i].fd_text) != 0)
				fn(kinds[k], fa.fs_all[i].fd_name, arg);
		fields_done(&fa);
		fields_done(&fb);
	}
}

static const char *
section(const struct plan_step *ps)
{
	static const char *const nodes[] = {"dir", "file", "symlink", "node", "whiteout"};
	const struct conf_item *i = ps->ps_op == PO_REMOVE ? &ps->ps_old : &ps->ps_new;

	switch (ps->ps_kind) {
	case PK_DAEMON:
		return "daemon";
	case PK_MEMORY:
		return "rumpfs";
	case PK_KEY:
		return "etfs";
	case PK_IMAGE:
		return "mount";
	default:
		return nodes[i->ci_node->cn_kind];
	}
}

/* What is said of something new: all that does not go without saying. */
static void
say_new(GString *s, const struct conf_item *i)
{
	const char *sep = ": ";
	struct fields fs;

	item_fields(&fs, i);
	for (size_t k = 0; k < fs.fs_n; k++) {
		if (fs.fs_all[k].fd_plain)
			continue;
		g_string_append_printf(
		    s, "%s%s %s", sep, fs.fs_all[k].fd_name, fs.fs_all[k].fd_text);
		sep = ", ";
	}
	fields_done(&fs);
}

static void
say_change(GString *s, const struct plan *pl, const struct plan_step *ps)
{
	const char *sep = ": ";
	struct fields a, b;

	if (ps->ps_name) {
		conf_fields(&a, ps->ps_kind, pl->pl_old);
		conf_fields(&b, ps->ps_kind, pl->pl_new);
	} else {
		item_fields(&a, &ps->ps_old);
		item_fields(&b, &ps->ps_new);
	}
	for (size_t i = 0; i < a.fs_n; i++) {
		const struct field *was = &a.fs_all[i], *is = &b.fs_all[i];

		if (strcmp(was->fd_text, is->fd_text) == 0 ||
		    (ps->ps_name && strcmp(ps->ps_name, was->fd_name) != 0))
			continue;
		g_string_append_printf(
		    s, "%s%s %s -> %s", sep, was->fd_name, was->fd_text, is->fd_text);
		sep = ", ";
	}
	fields_done(&a);
	fields_done(&b);
}

char *
plan_text(const struct plan *pl, const struct plan_step *ps)
{
	static const char signs[] = {
	    [PO_ADD] = '+', [PO_REMOVE] = '-', [PO_CHANGE] = '~'};
	GString *s = g_string_new(NULL);
	char *text;

	g_string_append_printf(s, "%c [%s%s%s]", signs[ps->ps_op], section(ps),
	    ps->ps_path ? " " : "", ps->ps_path ? ps->ps_path : "");
	if (ps->ps_op == PO_ADD)
		say_new(s, &ps->ps_new);
	else if (ps->ps_op == PO_CHANGE)
		say_change(s, pl, ps);
	if (ps->ps_later)
		g_string_append(s, " (at the next mount)");
	/* It is one line, whatever a path has in it. */
	for (char *p = s->str; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	text = strdup(s->str);
	g_string_free(s, TRUE);
	return text;
}

char *
plan_summary(const struct plan *pl)
{
	char *text = NULL, later[64] = "";

	if (pl->pl_n == 0)
		return strdup("no difference");
	if (pl->pl_later)
		snprintf(later, sizeof(later), ", %zu at the next mount", pl->pl_later);
	if (asprintf(&text, "%zu added, %zu removed, %zu changed%s", pl->pl_added,
		pl->pl_removed, pl->pl_changed - pl->pl_later, later) < 0)
		return NULL;
	return text;
}

void
plan_print(const struct plan *pl, FILE *to)
{
	char *text;

	for (size_t i = 0; i < pl->pl_n; i++) {
		text = plan_text(pl, &pl->pl_steps[i]);
		fprintf(to, "%s\n", text ? text : "out of memory");
		free(text);
	}
	text = plan_summary(pl);
	fprintf(to, "%s\n", text ? text : "out of memory");
	free(text);
}
