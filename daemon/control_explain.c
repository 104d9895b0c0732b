/*
 * The answer to explain (control.h): what rules a path, by what is declared and known.  The
 * host is not asked, so that whether something exists there is not said.
 */
#include <string.h>

#include "daemon/control_links.h"
#include "daemon/control_private.h"
#include "daemon/session.h"

#define NS_PER_MS UINT64_C(1000000)

/* What is found out about a path. */
struct finding {
	const char *f_kind, *f_type;
	char *f_host;
	uint64_t f_begin, f_size; /* ENTRY_SIZE_UNKNOWN */
	bool f_rdonly, f_ranged;
	bool f_timed; /* names and attributes are asked for again after cg_ttl_ns */
	bool f_watched;
	bool f_passed; /* whole host files may be used by the kernel without us */
	const char *f_contents; /* contents_cached */
	int f_exists;           /* 1, 0, -1: only the host knows */
	bool f_hidden;          /* by a whiteout: nothing may be done to it */
	const char *f_note[8];
	char *f_own[2]; /* notes that are freed with it */
	unsigned f_nnotes, f_nown;
};

static void
add_note(struct finding *f, const char *text)
{
	f->f_note[f->f_nnotes++] = text;
}

/* text is taken over. */
static void
add_own_note(struct finding *f, char *text)
{
	f->f_own[f->f_nown++] = text;
	add_note(f, text);
}

/* What is left of path below the entry: "" or "/…". */
static const char *
below(const struct entry *en, const char *path)
{
	const char *rest =
	    strcmp(en->en_path, "/") == 0 ? path : path + strlen(en->en_path);

	return strcmp(rest, "/") == 0 ? "" : rest;
}

static const char *
type_word(uint32_t mode)
{
	static const char *const words[] = {[VREG] = "file",
	    [VDIR] = "dir",
	    [VLNK] = "symlink",
	    [VCHR] = "chr",
	    [VBLK] = "blk",
	    [VFIFO] = "fifo",
	    [VSOCK] = "sock"};

	return words[vtype_of_mode(mode)];
}

/* In memory, at or below a declared node or not. */
static void
in_memory(struct session *s, const struct entry *en, const char *path, struct finding *f)
{
	struct vfs *v = &s->s_space.sp_vfs;
	struct vattr va;

	f->f_kind = en && !*below(en, path) ? "node" : "memory";
	f->f_contents = "always";
	f->f_rdonly = atomic_load(&v->vfs_mem_root->v_mount->mnt_flags) & MNT_RDONLY;
	f->f_exists = vfs_look(v, path, &va) == 0;
	if (!f->f_exists)
		return;
	f->f_type = type_word(va.va_mode);
	if ((va.va_mode & S_IFMT) == S_IFREG) {
		f->f_ranged = true;
		f->f_size = va.va_size;
	}
}

static bool
is_dir(const struct etfs_info *i)
{
	return i->ei_type == ETFS_DIR || i->ei_type == ETFS_DIR_SUBDIRS;
}

static void
at_key(const struct session *s, const struct etfs_info *i, const char *rest,
    struct finding *f)
{
	f->f_kind = i->ei_missing && !*rest ? "missing" : "key";
	f->f_rdonly = i->ei_rdonly;
	f->f_exists = *rest || i->ei_missing ? -1 : 1;
	f->f_timed = true;
	f->f_watched = i->ei_watched;
	f->f_passed = i->ei_passes && control_passes(s);
	f->f_contents = i->ei_nocache ? "no" : "until changed";
	if (is_dir(i) || i->ei_missing) {
		f->f_host = g_strconcat(i->ei_host, rest, NULL);
	} else if (!*rest) {
		f->f_host = g_strdup(i->ei_host);
		f->f_ranged = true;
		f->f_begin = i->ei_begin;
		f->f_size = i->ei_size;
	} else {
		f->f_exists = 0; /* nothing lies below a file */
	}
	if (!*rest && !(i->ei_missing && i->ei_type == ETFS_AUTO))
		f->f_type = etfs_type_name(i->ei_type);
	/* Its own files alone; subdirectories show, and are empty. */
	if (i->ei_type == ETFS_DIR && *rest && strchr(rest + 1, '/'))
		f->f_exists = 0;
	if (i->ei_missing)
		add_note(
		    f, "the host object is not there as yet; the key appears with it");
	if (i->ei_watched)
		add_note(f,
		    "changes on the host are told to the kernel where it can be known");
	if (!s->s_fe.fe_live && !i->ei_nocache)
		add_note(
		    f, "changes of contents on the host show in files opened after them");
}

/* The key that en is; it may have been lost in a reload. */
static void
in_key(struct session *s, const struct entry *en, const char *path, struct finding *f)
{
	struct etfs_list l = {0};

	if (etfs_list_at(s->s_space.sp_etfs, en->en_path, &l) == 0) {
		at_key(s, &l.el_all[0], below(en, path), f);
	} else {
		f->f_kind = "missing";
		f->f_rdonly = en->en_rdonly;
		f->f_exists = 0;
		f->f_host = g_strconcat(en->en_host, below(en, path), NULL);
		add_note(
		    f, "the key is declared and not registered; a reload tries it again");
	}
	etfs_list_done(&l);
}

static void
in_image(struct session *s, const struct entry *en, const char *path, struct finding *f)
{
	const char *rest = below(en, path);

	f->f_kind = en->en_missing ? "missing" : "image";
	f->f_type = *rest ? NULL : en->en_type;
	f->f_host = *rest ? NULL : g_strdup(en->en_host);
	f->f_rdonly = en->en_rdonly || atomic_load(&s->s_rdonly);
	f->f_ranged = !*rest && en->en_host;
	f->f_begin = en->en_begin;
	f->f_size = en->en_size;
	f->f_contents = "always";
	f->f_exists = en->en_missing ? 0 : *rest ? -1 : 1;
}

static const struct entry *
next_above(const struct catalog *cg, const struct entry *en)
{
	char *up = g_path_get_dirname(en->en_path);
	const struct entry *over =
	    strcmp(en->en_path, "/") == 0 ? NULL : catalog_above(cg, up);

	g_free(up);
	return over;
}

static bool
is_it(struct attach *at, void *arg)
{
	return true;
}

/* Is the key registered, or the image mounted? */
static bool
is_attached(struct session *s, const struct entry *en)
{
	return vfs_attached(&s->s_space.sp_vfs, en->en_path, is_it, NULL);
}

/* What en, or what is declared above it, comes to: a node that is in memory below a key or an
 * image is covered by that. */
static const struct entry *
that_rules(struct session *s, const struct catalog *cg, const struct entry *en)
{
	const struct entry *over = en;

	while (over && over->en_kind == ENTRY_NODE && !is_attached(s, over))
		over = next_above(cg, over);
	return over && over->en_kind != ENTRY_NODE && is_attached(s, over) ? over : en;
}

const struct entry *
control_ruler(struct session *s, const struct catalog *cg, const char *path)
{
	return cg ? that_rules(s, cg, catalog_above(cg, path)) : NULL;
}

static void
find(struct session *s, const struct entry *en, const char *path, struct finding *f)
{
	if (en && en->en_kind == ENTRY_KEY) {
		in_key(s, en, path, f);
		return;
	}
	if (en && en->en_kind == ENTRY_IMAGE) {
		in_image(s, en, path, f);
		return;
	}
	/* In memory a whiteout is a device 0:0 like any other; over something else it hides. */
	if (!en || strcmp(en->en_type, "whiteout") != 0 || !is_attached(s, en))
		in_memory(s, en, path, f);
	if (!en || strcmp(en->en_type, "whiteout") != 0)
		return;
	f->f_hidden = true;
	if (*below(en, path)) {
		f->f_kind = "none";
		f->f_type = NULL;
		f->f_exists = 0;
		add_own_note(f, g_strdup_printf("not there: %s is hidden by a whiteout",
				    en->en_path));
		return;
	}
	f->f_kind = "whiteout";
	f->f_type = "whiteout";
}

/* The way to path does not lead to where it could be told. */
static void
not_found_out(const struct links *lk, struct finding *f)
{
	f->f_kind = "none";
	f->f_exists = lk->lk_end == LINKS_LOOP ? 0 : -1;
	f->f_hidden = true;
	add_own_note(
	    f, lk->lk_end == LINKS_LOOP
		   ? g_strdup("not there: too many symbolic links")
		   : g_strconcat("a symlink is in the way: ", lk->lk_last, NULL));
}

static void
put_ttl(struct jw *w, const char *name, const struct catalog *cg, const struct finding *f)
{
	if (f->f_timed)
		jw_number(w, name, cg->cg_ttl_ns / NS_PER_MS);
	else
		jw_null(w, name);
}

/* at: where path leads to. */
static void
put(struct jw *w, const struct catalog *cg, const struct entry *en, const char *path,
    const char *at, const struct finding *f)
{
	/* What is attached in memory is known by name until it is detached. */
	const struct entry *dir = en && !*below(en, at) ? NULL : en;

	jw_text(w, "path", path);
	jw_text(w, "covered_by", en ? en->en_path : "/");
	jw_text(w, "kind", f->f_kind);
	jw_text(w, "type", f->f_type);
	jw_text(w, "host", f->f_host);
	jw_number(w, "begin", f->f_ranged ? f->f_begin : 0);
	if (f->f_ranged && f->f_size != ENTRY_SIZE_UNKNOWN)
		jw_number(w, "size", f->f_size);
	else
		jw_null(w, "size");
	jw_text(w, "access", f->f_hidden ? NULL : f->f_rdonly ? "ro" : "rw");
	if (dir)
		put_ttl(w, "names_cached_ms", cg, f);
	else
		jw_null(w, "names_cached_ms");
	put_ttl(w, "attributes_cached_ms", cg, f);
	jw_text(w, "contents_cached", f->f_contents);
	jw_bool(w, "watched", f->f_watched);
	jw_bool(w, "passthrough", f->f_passed);
	if (f->f_exists < 0)
		jw_null(w, "exists");
	else
		jw_bool(w, "exists", f->f_exists);
	jw_text(w, "device", en ? en->en_device : NULL);
	jw_text(w, "section", en ? en->en_section : NULL);
	jw_text(w, "origin", en ? en->en_origin : NULL);
	jw_open(w, "notes", '[');
	for (unsigned i = 0; i < f->f_nnotes; i++)
		jw_text(w, NULL, f->f_note[i]);
	jw_close(w, ']');
}

void
control_explain(struct session *s, const char *path, struct jw *w)
{
	struct catalog *cg = catalog_get(&s->s_catalog);
	struct finding f = {.f_contents = "no", .f_size = ENTRY_SIZE_UNKNOWN};
	const struct entry *en;
	struct links lk;
	const char *at;

	links_follow(s, cg, path, &lk);
	at = lk.lk_path->str;
	en = control_ruler(s, cg, at);
	if (lk.lk_end == LINKS_THERE)
		find(s, en, at, &f);
	else
		not_found_out(&lk, &f);
	if (lk.lk_followed->len)
		add_own_note(
		    &f, g_strconcat("symlinks followed: ", lk.lk_followed->str, NULL));
	put(w, cg, en, path, at, &f);
	for (unsigned i = 0; i < f.f_nown; i++)
		g_free(f.f_own[i]);
	g_free(f.f_host);
	links_done(&lk);
	catalog_unref(cg);
}
