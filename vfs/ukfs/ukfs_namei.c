/*
 * Paths of a handle.
 *
 * One component after the other is looked up from where the walk stands.  A symbolic link
 * puts its text in front of the rest of the path: the rest is kept on a stack, which only
 * grows where there is a rest, so a link at the end costs one place however often it leads
 * to another.
 *
 * ".." goes to the directory above, and at the handle's root nowhere.  A mount's root has the
 * directory that it is attached in above it (vfs/mount.h).
 */
#include <stdlib.h>

#include "vfs/ukfs/ukfs_private.h"

/* As the kernel. */
#define LINKS_MAX 40

struct link {
	struct link *lk_up;
	const char *lk_rest; /* of the path, behind the link's name */
	char lk_text[PATH_MAX];
};

struct walker {
	struct ukfs *wk_fs;
	unsigned wk_flags; /* WALK_* */
	const char *wk_p;  /* what is to be walked yet */
	struct link *wk_links;
	unsigned wk_nlinks;
	struct vnode *wk_at; /* one reference: where it stands */
};

static void
pop(struct walker *wk)
{
	struct link *lk = wk->wk_links;

	wk->wk_links = lk->lk_up;
	free(lk);
}

static const char *
skip_slashes(const char *p)
{
	while (*p == '/')
		p++;
	return p;
}

static void
stand_at(struct walker *wk, struct vnode *vp)
{
	vn_unref(wk->wk_at);
	wk->wk_at = vp;
}

/* Is what has just been cut off the end of it all?  Else the rest is at wk_p. */
static bool
at_end(struct walker *wk)
{
	const char *p = skip_slashes(wk->wk_p);

	if (*p)
		return false;
	if (!wk->wk_links || !*skip_slashes(wk->wk_links->lk_rest))
		return true;
	wk->wk_p = wk->wk_links->lk_rest;
	pop(wk);
	return false;
}

/* The walk goes on with the text of a link. */
static int
follow(struct walker *wk, struct vnode *vp, bool last)
{
	struct link *lk;
	size_t len;
	int r;

	if (++wk->wk_nlinks > LINKS_MAX)
		return -ELOOP;
	lk = malloc(sizeof(*lk));
	if (!lk)
		return -ENOMEM;
	r = vop_readlink(vp, lk->lk_text, sizeof(lk->lk_text), &len);
	if (r == 0 && len == 0)
		r = -ENOENT;
	if (r == 0 && len >= sizeof(lk->lk_text))
		r = -ENAMETOOLONG;
	if (r < 0) {
		free(lk);
		return r;
	}
	lk->lk_text[len] = '\0';
	lk->lk_rest = last ? "" : wk->wk_p;
	/* Nothing is left of what a link at the end comes from. */
	while (last && wk->wk_links)
		pop(wk);
	lk->lk_up = wk->wk_links;
	wk->wk_links = lk;
	wk->wk_p = lk->lk_text;
	if (lk->lk_text[0] == '/')
		stand_at(wk, vn_ref(wk->wk_fs->fs_root));
	return 0;
}

/* The walk has ended: at vp (a reference, or NULL) in where it stands. */
static int
finish(struct walker *wk, struct walk *w, int last, struct vnode *vp)
{
	w->w_last = last;
	w->w_dvp = vn_ref(wk->wk_at);
	w->w_vp = vp;
	return 0;
}

static struct vnode *
above(const struct walker *wk)
{
	return wk->wk_at == wk->wk_fs->fs_root ? vn_ref(wk->wk_at)
	                                       : vfs_parent_get(wk->wk_at);
}

static int
step_dots(struct walker *wk, struct walk *w, bool two, bool last)
{
	struct vnode *vp;

	if (last && (wk->wk_flags & WALK_PARENT))
		return finish(wk, w, two ? LAST_DOTDOT : LAST_DOT, NULL);
	vp = two ? above(wk) : vn_ref(wk->wk_at);
	if (last)
		return finish(wk, w, two ? LAST_DOTDOT : LAST_DOT, vp);
	stand_at(wk, vp);
	return 1;
}

static int
step_name(struct walker *wk, struct walk *w, bool last)
{
	struct vnode *vp;
	int r;

	if (last && (wk->wk_flags & WALK_PARENT))
		return finish(wk, w, LAST_NAME, NULL);
	r = vop_lookup(wk->wk_at, &w->w_name, &vp);
	if (r == -ENOENT && last && (wk->wk_flags & WALK_MISSING))
		return finish(wk, w, LAST_NAME, NULL);
	if (r < 0)
		return r;
	if (vp->v_type == VLNK && (!last || w->w_slash || (wk->wk_flags & WALK_FOLLOW))) {
		r = follow(wk, vp, last);
		vn_unref(vp);
		return r < 0 ? r : 1;
	}
	if (!last) {
		stand_at(wk, vp);
		return 1;
	}
	if (w->w_slash && vp->v_type != VDIR && !(wk->wk_flags & WALK_MISSING)) {
		vn_unref(vp);
		return -ENOTDIR;
	}
	return finish(wk, w, LAST_NAME, vp);
}

/* One component.  1: there is more; 0: the end. */
static int
step(struct walker *wk, struct walk *w)
{
	const char *p = skip_slashes(wk->wk_p);
	size_t len = strcspn(p, "/");
	bool last;
	int r;

	/* Nothing but slashes: "/", or a link to it. */
	if (len == 0 && at_end(wk))
		return finish(wk, w, LAST_ROOT,
		    wk->wk_flags & WALK_PARENT ? NULL : vn_ref(wk->wk_at));
	if (len == 0)
		return 1;
	if (wk->wk_at->v_type != VDIR)
		return -ENOTDIR;
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	memcpy(w->w_buf, p, len);
	w->w_buf[len] = '\0';
	wk->wk_p = p + len;
	last = at_end(wk);
	w->w_slash |= last && p[len] == '/';
	if (strcmp(w->w_buf, ".") == 0 || strcmp(w->w_buf, "..") == 0)
		return step_dots(wk, w, len == 2, last);
	r = name_init_len(&w->w_name, w->w_buf, len);
	return r < 0 ? r : step_name(wk, w, last);
}

static struct vnode *
cwd_get(struct ukfs *fs)
{
	struct vnode *vp;

	lk_mutex(&fs->fs_mtx, LK_LEAF);
	vp = vn_ref(fs->fs_cwd);
	lk_mutex_unlock(&fs->fs_mtx, LK_LEAF);
	return vp;
}

/* Whoever looks at one name in a directory will look at the next one. */
static void
remember(struct ukfs *fs, struct vnode *dvp)
{
	struct vnode *old = dvp;

	lk_mutex(&fs->fs_mtx, LK_LEAF);
	for (unsigned i = 0; i < UK_RECENT && old; i++)
		if (fs->fs_recent[i] == dvp)
			old = NULL;
	if (old) {
		unsigned i = fs->fs_nrecent++ % UK_RECENT;

		old = fs->fs_recent[i];
		fs->fs_recent[i] = vn_ref(dvp);
	}
	lk_mutex_unlock(&fs->fs_mtx, LK_LEAF);
	vn_unref(old);
}

void
uk_forget(struct ukfs *fs)
{
	for (unsigned i = 0; i < UK_RECENT; i++) {
		struct vnode *old;

		lk_mutex(&fs->fs_mtx, LK_LEAF);
		old = fs->fs_recent[i];
		fs->fs_recent[i] = NULL;
		lk_mutex_unlock(&fs->fs_mtx, LK_LEAF);
		vn_unref(old);
	}
}

int
uk_walk(struct ukfs *fs, const char *path, unsigned flags, struct walk *w)
{
	struct walker wk = {.wk_fs = fs, .wk_flags = flags, .wk_p = path};
	int r;

	w->w_dvp = w->w_vp = NULL;
	w->w_slash = false;
	if (!path)
		return -EFAULT;
	if (!*path)
		return -ENOENT;
	if (strnlen(path, PATH_MAX) == PATH_MAX)
		return -ENAMETOOLONG;
	wk.wk_at = *path == '/' ? vn_ref(fs->fs_root) : cwd_get(fs);
	do
		r = step(&wk, w);
	while (r > 0);
	while (wk.wk_links)
		pop(&wk);
	vn_unref(wk.wk_at);
	if (r == 0)
		remember(fs, w->w_dvp);
	return r;
}

void
uk_walk_done(struct walk *w)
{
	vn_unref(w->w_dvp);
	vn_unref(w->w_vp);
	w->w_dvp = w->w_vp = NULL;
}

int
uk_lookup(struct ukfs *fs, const char *path, bool follow_last, struct vnode **ret_vp)
{
	AUTO_WALK w = {0};
	int r = uk_walk(fs, path, follow_last ? WALK_FOLLOW : 0, &w);

	if (r < 0)
		return r;
	*ret_vp = w.w_vp;
	w.w_vp = NULL;
	return 0;
}

int
uk_make(struct walk *w, const struct vmake *mk, struct vnode **ret_vp)
{
	struct vnode *vp;
	int r = vop_make(w->w_dvp, &w->w_name, mk, &uk_cred, ret_vp);

	if ((r == -EROFS || r == -EPERM || r == -ENOSPC) &&
	    vop_lookup(w->w_dvp, &w->w_name, &vp) == 0) {
		vn_unref(vp);
		r = -EEXIST;
	}
	return r;
}

int
ukfs_chdir(struct ukfs *fs, const char *path)
{
	struct vnode *vp, *old;
	int r = uk_lookup(fs, path, true, &vp);

	if (r == 0 && vp->v_type != VDIR) {
		vn_unref(vp);
		r = -ENOTDIR;
	}
	if (r < 0)
		return (int)uk_ret(r);
	lk_mutex(&fs->fs_mtx, LK_LEAF);
	old = fs->fs_cwd;
	fs->fs_cwd = vp;
	lk_mutex_unlock(&fs->fs_mtx, LK_LEAF);
	vn_unref(old);
	return 0;
}
