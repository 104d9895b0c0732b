/*
 * Walking a tree of the image (walk.h).
 */
#include "vfs/ukfs/tool/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

struct inoset_slot {
	dev_t s_dev;
	ino_t s_ino;
	bool s_used;
};

static struct inoset_slot *
slot_of(const struct inoset *is, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u;

	for (size_t i = (size_t)(h >> 20);; i++) {
		struct inoset_slot *s = &is->is_v[i & (is->is_room - 1)];
		if (!s->s_used || (s->s_dev == dev && s->s_ino == ino))
			return s;
	}
}

bool
inoset_add(struct inoset *is, dev_t dev, ino_t ino)
{
	if (is->is_n * 2 >= is->is_room) {
		struct inoset big = {.is_room = is->is_room ? is->is_room * 2 : 64};

		big.is_v = xmalloc(big.is_room * sizeof(big.is_v[0]));
		memset(big.is_v, 0, big.is_room * sizeof(big.is_v[0]));
		for (size_t i = 0; i < is->is_room; i++)
			if (is->is_v[i].s_used)
				*slot_of(&big, is->is_v[i].s_dev, is->is_v[i].s_ino) =
				    is->is_v[i];
		big.is_n = is->is_n;
		free(is->is_v);
		*is = big;
	}
	struct inoset_slot *s = slot_of(is, dev, ino);
	if (s->s_used)
		return true;
	*s = (struct inoset_slot){dev, ino, true};
	is->is_n++;
	return false;
}

void
inoset_done(struct inoset *is)
{
	free(is->is_v);
	*is = (struct inoset){0};
}

/* A directory that is being walked. */
struct frame {
	struct names f_names;
	size_t f_at;
	size_t f_len; /* of its path */
	bool f_last;
	int f_err;
	struct stat f_st;
};

struct state {
	struct walk *s_w;
	int (*s_fn)(struct walk *, enum when);
	char *s_path;
	size_t s_room;
	struct frame *s_v;
	size_t s_n, s_frames;
	struct inoset s_seen;
	int s_rc;
};

/* The path becomes its first len bytes and name. */
static void
set_path(struct state *s, size_t len, const char *name)
{
	size_t add = strlen(name), need = len + add + 2;

	if (need > s->s_room) {
		s->s_room = need * 2;
		s->s_path = xrealloc(s->s_path, s->s_room);
	}
	if (len && s->s_path[len - 1] != '/')
		s->s_path[len++] = '/';
	memcpy(s->s_path + len, name, add + 1);
}

static const char *
last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int
call(struct state *s, enum when when, const struct stat *st, bool last, int err)
{
	struct walk *w = s->s_w;

	w->w_path = s->s_path;
	w->w_name = last_name(s->s_path);
	w->w_st = st;
	w->w_depth = (unsigned)s->s_n;
	w->w_last = last;
	w->w_err = err;
	w->w_prune = false;
	return s->s_fn(w, when);
}

static void
complain(struct state *s, const char *text)
{
	const char *command = s->s_w->w_command;

	s->s_rc = badf("%s%s%s: %s", command ? command : "", command ? " " : "",
	    qm(s->s_path), text);
	s->s_w->w_failed = true;
}

static void
filter(const struct walk *w, struct names *na)
{
	size_t n = 0;

	if (!w->w_wants)
		return;
	for (size_t i = 0; i < na->na_n; i++) {
		if (w->w_wants(w, &na->na_v[i]))
			na->na_v[n++] = na->na_v[i];
		else
			free(na->na_v[i].ne_name);
	}
	na->na_n = n;
}

static void
push(struct state *s, const struct stat *st, bool last)
{
	if (s->s_n == s->s_frames) {
		s->s_frames = s->s_frames ? s->s_frames * 2 : 16;
		s->s_v = xrealloc(s->s_v, s->s_frames * sizeof(s->s_v[0]));
	}
	struct frame *f = &s->s_v[s->s_n++];
	*f = (struct frame){.f_len = strlen(s->s_path), .f_last = last, .f_st = *st};
	f->f_err = img_names(s->s_path, &f->f_names);
	if (f->f_err < 0)
		complain(s, strerror(-f->f_err));
	filter(s->s_w, &f->f_names);
	if (s->s_w->w_sorted)
		names_sort(&f->f_names);
}

/* What is at the path now. */
static int
visit(struct state *s, bool last)
{
	struct stat st;
	bool follow = s->s_n == 0 && s->s_w->w_follow_first;
	int r = follow ? img_stat(s->s_path, &st) : img_lstat(s->s_path, &st);

	if (r < 0 && follow)
		r = img_lstat(s->s_path, &st);
	if (r < 0) {
		complain(s, strerror(-r));
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return call(s, W_FILE, &st, last, 0);
	r = call(s, W_PRE, &st, last, 0);
	if (r != 0 || s->s_w->w_prune)
		return r;
	if (inoset_add(&s->s_seen, st.st_dev, st.st_ino)) {
		complain(s, MET_AGAIN);
		return 0;
	}
	push(s, &st, last);
	return 0;
}

/* One step: an entry of the uppermost directory, or its end. */
static int
step(struct state *s)
{
	struct frame *f = &s->s_v[s->s_n - 1];

	if (f->f_at < f->f_names.na_n) {
		char *name = f->f_names.na_v[f->f_at++].ne_name;
		set_path(s, f->f_len, name);
		return visit(s, f->f_at == f->f_names.na_n);
	}
	s->s_path[f->f_len] = '\0';
	struct frame top = *f;
	s->s_n--;
	names_done(&top.f_names);
	return call(s, W_POST, &top.f_st, top.f_last, top.f_err);
}

int
walk_tree(struct walk *w, const char *path, int (*fn)(struct walk *w, enum when when))
{
	struct state s = {.s_w = w, .s_fn = fn};
	int r;

	set_path(&s, 0, path);
	r = visit(&s, true);
	while (r == 0 && s.s_n > 0 && !tool_interrupted())
		r = step(&s);
	while (s.s_n > 0)
		names_done(&s.s_v[--s.s_n].f_names);
	free(s.s_v);
	free(s.s_path);
	inoset_done(&s.s_seen);
	return r ? r : s.s_rc;
}
