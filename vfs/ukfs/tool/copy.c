/*
 * Copying a tree: what becomes of each name, and the way through the directories, with a
 * stack of its own.
 *
 * Safety.  The tree may be an image's and hostile, and the destination the host.  Names are
 * single components; what is below the first is neither followed in the source (unless -L)
 * nor in the destination: something that is in the way of a file and is not one, is replaced.
 */
#include "vfs/ukfs/tool/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"
#include "vfs/ukfs/tool/walk.h"

void
copy_bad(
    struct copy *c, const struct place *p, const char *name, const char *what, int err)
{
	AUTO_FREE char *path = place_name(p, name);

	c->c_rc = badf("%s %s%s: %s", what, p->p_op == &place_image ? ":" : "", qm(path),
	    strerror(-err));
}

/* A sentence about the destination. */
static void
refuse(struct copy *c, const char *to, const char *text)
{
	AUTO_FREE char *path = place_name(c->c_dst, to);

	c->c_rc =
	    badf("%s%s: %s", c->c_dst->p_op == &place_image ? ":" : "", qm(path), text);
}

/* What there is at the destination. */
enum there {
	NOTHING,
	REGULAR,
	DIRECTORY,
	OTHER,
	SKIP, /* leave it, and it is not an error or has been said */
};

static bool
same_file(const struct copy *c, const struct stat *a, const struct stat *b)
{
	return c->c_src->p_op == c->c_dst->p_op && a->st_dev == b->st_dev &&
	       a->st_ino == b->st_ino;
}

static bool
not_older(const struct stat *dst, const struct stat *src)
{
	return dst->st_mtim.tv_sec > src->st_mtim.tv_sec ||
	       (dst->st_mtim.tv_sec == src->st_mtim.tv_sec &&
		   dst->st_mtim.tv_nsec >= src->st_mtim.tv_nsec);
}

/* follow: a symbolic link that the user named. */
static enum there
look(struct copy *c, const struct stat *st, const char *to, bool follow)
{
	struct place *d = c->c_dst;
	struct stat have;
	int r = d->p_op->stat(d, to, follow, &have);

	if (r == -ENOENT && follow && d->p_op->stat(d, to, false, &have) == 0) {
		refuse(c, to,
		    "it is a symbolic link to nothing, which is not written through");
		return SKIP;
	}
	if (r == -ENOENT)
		return NOTHING;
	if (r < 0) {
		copy_bad(c, d, to, "cannot access", r);
		return SKIP;
	}
	if (S_ISDIR(have.st_mode) && S_ISDIR(st->st_mode))
		return DIRECTORY;
	if (same_file(c, st, &have)) {
		refuse(c, to, "source and destination are the same file");
		return SKIP;
	}
	if (S_ISDIR(have.st_mode)) {
		refuse(c, to, "cannot overwrite a directory with a non-directory");
		return SKIP;
	}
	if (S_ISDIR(st->st_mode)) {
		refuse(c, to, "cannot overwrite a non-directory with a directory");
		return SKIP;
	}
	if (c->c_o->co_no_clobber || (c->c_o->co_update && not_older(&have, st)))
		return SKIP;
	return S_ISREG(have.st_mode) ? REGULAR : OTHER;
}

/* What is in the way of something that cannot be written into goes. */
static int
clear(struct copy *c, const char *to, enum there there)
{
	int r = there == NOTHING ? 0 : c->c_dst->p_op->unlink(c->c_dst, to);

	if (r < 0)
		copy_bad(c, c->c_dst, to, "cannot remove", r);
	return r;
}

/* The file to write into. */
static int
open_out(struct copy *c, const struct stat *st, const char *to, enum there there,
    bool first, struct pfile *out)
{
	struct place *d = c->c_dst;
	mode_t mode = st->st_mode & 0777 & ~c->c_umask;
	int r = -EEXIST;

	/* Nobody else reads it before it has its owner. */
	if (c->c_o->co_preserve)
		mode &= 0700;
	if (there == REGULAR || (there == OTHER && first)) {
		r = d->p_op->empty(d, to, first, out);
		if (r == 0 || !c->c_o->co_force) {
			if (r < 0)
				copy_bad(c, d, to, "cannot write", r);
			return r;
		}
	}
	r = clear(c, to, there);
	if (r < 0)
		return r;
	r = d->p_op->create(d, to, mode | 0200, out);
	if (r < 0)
		copy_bad(c, d, to, "cannot create", r);
	return r;
}

static int
copy_regular(struct copy *c, const char *from, const struct stat *st, const char *to,
    enum there there, bool first)
{
	struct place *s = c->c_src;
	struct pfile in, out;
	int r = s->p_op->open(s, from, first || c->c_o->co_follow, &in);

	if (r < 0) {
		copy_bad(c, s, from, "cannot open", r);
		return r;
	}
	r = open_out(c, st, to, there, first, &out);
	if (r == 0) {
		r = copy_data(c, from, st, &in, to, &out);
		c->c_dst->p_op->close(&out);
		/* It was made so that its owner can write. */
		mode_t mode = st->st_mode & 0777 & ~c->c_umask;
		if (r == 0 && there == NOTHING && !c->c_o->co_preserve && !(mode & 0200))
			(void)c->c_dst->p_op->chmod(c->c_dst, to, mode);
	}
	s->p_op->close(&in);
	return r;
}

static int
copy_special(struct copy *c, const char *from, const struct stat *st, const char *to,
    enum there there)
{
	struct place *d = c->c_dst;
	int r = clear(c, to, there);

	if (r < 0)
		return r;
	if (S_ISLNK(st->st_mode)) {
		AUTO_FREE char *target_ = NULL;
		r = c->c_src->p_op->readlink(c->c_src, from, &target_);
		if (r < 0) {
			copy_bad(c, c->c_src, from, "cannot read the link", r);
			return r;
		}
		r = d->p_op->symlink(d, target_, to);
	} else {
		mode_t mode = st->st_mode & 0777 & ~c->c_umask;
		r = d->p_op->mknod(d, to, (st->st_mode & S_IFMT) | mode, st->st_rdev);
	}
	if (r < 0)
		copy_bad(c, d, to, "cannot create", r);
	return r;
}

/* A further name of a file that has been copied: true if it is done. */
static bool
copy_as_link(struct copy *c, const struct stat *st, const char *to, enum there there)
{
	AUTO_FREE char *path = place_name(c->c_dst, to);
	struct stat a, b;

	if (!c->c_o->co_links || st->st_nlink < 2)
		return false;
	const char *old = copy_links_find(c->c_links, st->st_dev, st->st_ino, path);
	if (!old)
		return false;
	if (strcmp(old, path) == 0)
		return true; /* named twice */
	/* Another copy into the same tree: they may be one file already. */
	if (there != NOTHING && c->c_dst->p_op->stat(c->c_dst, to, false, &a) == 0 &&
	    a.st_nlink > 1 && c->c_dst->p_op->stat(c->c_dst, old, false, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return true;
	if (clear(c, to, there) < 0)
		return true;
	int r = c->c_dst->p_op->link(c->c_dst, old, to);
	if (r < 0)
		copy_bad(c, c->c_dst, to, "cannot link", r);
	return true;
}

static void
say_copied(struct copy *c, const char *from, const char *to)
{
	AUTO_FREE char *a = place_name(c->c_src, from), *b = place_name(c->c_dst, to);

	if (c->c_o->co_verbose)
		printf("%s%s -> %s%s\n", c->c_src->p_op == &place_image ? ":" : "", qm(a),
		    c->c_dst->p_op == &place_image ? ":" : "", qm(b));
}

static void
copy_other(
    struct copy *c, const char *from, const struct stat *st, const char *to, bool first)
{
	/* Without -r what can be read is read, whatever it is. */
	bool bytes =
	    S_ISREG(st->st_mode) || (!c->c_o->co_recursive && !S_ISLNK(st->st_mode));
	enum there there = look(c, st, to, first && bytes);

	if (there == SKIP || copy_as_link(c, st, to, there))
		return;
	say_copied(c, from, to);
	int r = bytes ? copy_regular(c, from, st, to, there, first)
	              : copy_special(c, from, st, to, there);
	if (r < 0)
		copy_links_forget(c->c_links, st->st_dev, st->st_ino);
	else
		copy_attributes(c, from, st, to);
}

/* A directory on the way. */
struct frame {
	struct names f_names;
	size_t f_at;
	size_t f_src_len, f_dst_len; /* of the paths above it */
	struct stat f_st;
	char *f_from, *f_to;
	bool f_made;
	struct frame *f_up;
};

/* Below the source's symbolic links there are loops of the host, too. */
static bool
is_above(const struct frame *f, const struct stat *st)
{
	for (; f; f = f->f_up)
		if (f->f_st.st_dev == st->st_dev && f->f_st.st_ino == st->st_ino)
			return true;
	return false;
}

struct trip {
	struct copy *t_c;
	struct frame *t_top;
	struct inoset t_seen; /* the image's directories */
	struct stat t_first;  /* the first directory that was made */
	bool t_made, t_lost;
};

static bool
may_enter(struct trip *t, const char *from, const struct stat *st)
{
	struct copy *c = t->t_c;

	if (!c->c_o->co_recursive) {
		AUTO_FREE char *path = place_name(c->c_src, from);
		c->c_rc = badf("-r not specified; omitting directory %s", qm(path));
		return false;
	}
	if (t->t_made && same_file(c, st, &t->t_first)) {
		AUTO_FREE char *path = place_name(c->c_src, from);
		c->c_rc = badf("%s is not copied into itself", qm(path));
		return false;
	}
	if (is_above(t->t_top, st) ||
	    (c->c_src->p_op == &place_image && !c->c_o->co_follow &&
		inoset_add(&t->t_seen, st->st_dev, st->st_ino))) {
		AUTO_FREE char *path = place_name(c->c_src, from);
		c->c_rc = badf("%s: " MET_AGAIN, qm(path));
		return false;
	}
	return true;
}

/* Both places go one down. */
static int
enter_both(struct copy *c, const char *from, const char *to, bool first)
{
	size_t len = strlen(c->c_src->p_path);
	int r = place_enter(c->c_src, from, first || c->c_o->co_follow);

	if (r < 0) {
		copy_bad(c, c->c_src, from, "cannot enter", r);
		return r;
	}
	r = place_enter(c->c_dst, to, first);
	if (r < 0) {
		copy_bad(c, c->c_dst, to, "cannot enter", r);
		(void)place_leave(c->c_src, len);
	}
	return r;
}

static void
enter(struct trip *t, const char *from, const struct stat *st, const char *to, bool first)
{
	struct copy *c = t->t_c;
	struct place *d = c->c_dst;
	bool made = false;
	enum there there;
	int r;

	if (!may_enter(t, from, st))
		return;
	there = look(c, st, to, first);
	if (there == SKIP)
		return;
	if (there == NOTHING) {
		/* Its owner can fill it; the rest comes when it is full. */
		r = d->p_op->mkdir(d, to,
		    c->c_o->co_preserve ? 0700
					: (st->st_mode & 0777 & ~c->c_umask) | 0700);
		if (r < 0) {
			copy_bad(c, d, to, "cannot create directory", r);
			return;
		}
		made = true;
		say_copied(c, from, to);
	}
	if (!t->t_made && d->p_op->stat(d, to, true, &t->t_first) == 0)
		t->t_made = true;
	struct frame *f = xmalloc(sizeof(*f));
	*f = (struct frame){.f_src_len = strlen(c->c_src->p_path),
	    .f_dst_len = strlen(d->p_path),
	    .f_st = *st,
	    .f_made = made,
	    .f_up = t->t_top};
	if (enter_both(c, from, to, first) < 0) {
		free(f);
		return;
	}
	f->f_from = xstrdup(from);
	f->f_to = xstrdup(to);
	r = c->c_src->p_op->names(c->c_src, &f->f_names);
	if (r < 0)
		copy_bad(c, c->c_src, ".", "cannot read directory", r);
	t->t_top = f;
}

static void
leave(struct trip *t)
{
	struct copy *c = t->t_c;
	struct frame *f = t->t_top;
	int r = place_leave(c->c_src, f->f_src_len),
	    q = place_leave(c->c_dst, f->f_dst_len);

	t->t_top = f->f_up;
	if (r < 0 || q < 0) {
		copy_bad(c, r < 0 ? c->c_src : c->c_dst, ".", "cannot go back to",
		    r < 0 ? r : q);
		t->t_lost = true;
	} else {
		mode_t mode = f->f_st.st_mode & 0777 & ~c->c_umask;
		if (f->f_made && !c->c_o->co_preserve && (mode & 0700) != 0700)
			(void)c->c_dst->p_op->chmod(c->c_dst, f->f_to, mode);
		copy_attributes(c, f->f_from, &f->f_st, f->f_to);
	}
	names_done(&f->f_names);
	free(f->f_from);
	free(f->f_to);
	free(f);
}

static void
copy_one(struct trip *t, const char *from, const char *to, bool first)
{
	struct copy *c = t->t_c;
	struct stat st;
	bool follow = c->c_o->co_follow || (first && c->c_o->co_follow_first);
	int r = c->c_src->p_op->stat(c->c_src, from, follow, &st);

	if (r < 0)
		copy_bad(c, c->c_src, from, "cannot stat", r);
	else if (S_ISDIR(st.st_mode))
		enter(t, from, &st, to, first);
	else
		copy_other(c, from, &st, to, first);
}

void
copy_tree(struct copy *c, const char *from, const char *to)
{
	struct trip t = {.t_c = c};

	copy_one(&t, from, to, true);
	while (t.t_top) {
		struct frame *f = t.t_top;

		if (f->f_at < f->f_names.na_n && !t.t_lost && !tool_interrupted()) {
			/* Entering keeps the frame where it is. */
			const char *name = f->f_names.na_v[f->f_at++].ne_name;
			copy_one(&t, name, name, false);
		} else {
			leave(&t);
		}
	}
	inoset_done(&t.t_seen);
}
