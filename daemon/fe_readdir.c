/*
 * The front end's listings (fe.h).
 *
 * The vnode layer lists into the thread's fb_dir as packed records; here they become
 * FUSE's entries in fb_data.  A record is never shorter than the plain FUSE entry of the
 * same name, so a plain listing fetches nothing in vain.  An entry with attributes
 * (readdirplus) is up to five times as long as its record; such a listing is fetched in
 * rounds, each a fifth of the room that is left.
 *
 * References.  Each entry of a readdirplus that carries a node id carries one lookup
 * reference.  The vnodes are remembered until the reply is sent: if it fails, all of them
 * are given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "daemon/fe_mode.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_stats.h"

/* The longest entry of a readdirplus: its head, and a name of 255 bytes. */
#define PLUS_HEAD 152
#define PLUS_MAX  (PLUS_HEAD + 256)
/* The longest record. */
#define RECORD_MAX 288
/* Where in fb_data the vnodes of a reply are remembered: behind the reply. */
#define GIVEN_AT  FE_DIR_MAX
#define GIVEN_MAX (FE_DIR_MAX / PLUS_HEAD + 1)

_Static_assert(GIVEN_AT + GIVEN_MAX * sizeof(struct vnode *) <= FE_DATA_MAX,
    "the vnodes fit behind the reply");

/* The directory of a listing. */
static int
use_dir(struct fe *fe, fuse_req_t req, const struct fuse_file_info *fi, struct vnode *dvp,
    struct fe_use *ret)
{
	int r = dvp ? fe_use(fe, req, fi, dvp, O_RDONLY | O_DIRECTORY, ret) : -ESTALE;

	/* A handle of another directory says nothing of this one. */
	if (r == 0 && ret->fu_f && ret->fu_f->f_vp != dvp)
		r = -EBADF;
	return r;
}

void
fe_readdir(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_READDIR);
	struct vnode *dvp = fe_node(fe, ino);
	struct fe_bufs *fb = fe_bufs(fe);
	struct dirbuf db = {.db_cookie = (uint64_t)off};
	struct fe_use fu = {0};
	size_t used = 0;
	int r = use_dir(fe, req, fi, dvp, &fu);

	if (r == 0 && !fb)
		r = -ENOMEM;
	if (size > FE_DIR_MAX)
		size = FE_DIR_MAX;
	db.db_base = fb ? fb->fb_dir : NULL;
	db.db_cap = size;
	if (r == 0)
		r = vop_readdir_at(dvp, fu.fu_f, &db);
	fe_unuse(&fu);
	if (r < 0) {
		fe_error(req, r);
		return;
	}
	for (struct dirrec *dr = dirbuf_next(&db, NULL); dr; dr = dirbuf_next(&db, dr)) {
		struct stat st = {
		    .st_ino = dr->dr_ino,
		    .st_mode = (mode_t)dr->dr_type << 12,
		};
		size_t n = fuse_add_direntry(req, fb->fb_data + used, size - used,
		    dr->dr_name, &st, (off_t)dr->dr_cookie);

		if (n > size - used)
			break;
		used += n;
	}
	(void)fuse_reply_buf(req, fb->fb_data, used);
}

/* A readdirplus in the making. */
struct plus {
	const struct fe *p_fe;
	fuse_req_t p_req;
	struct vnode *p_dvp;
	char *p_buf;
	size_t p_size, p_used;
	struct vnode **p_given; /* each with the lookup that its entry carries */
	size_t p_ngiven;
};

static bool
is_dots(const struct dirrec *dr)
{
	return dr->dr_name[0] == '.' &&
	       (dr->dr_namelen == 1 || (dr->dr_namelen == 2 && dr->dr_name[1] == '.'));
}

/* The vnode of an entry, with a reference, or NULL: it has gone, or cannot be had. */
static struct vnode *
entry_vnode(const struct plus *p, struct dirrec *dr)
{
	struct vnode *vp = dr->dr_vp;
	struct name n;

	dr->dr_vp = NULL;
	if (vp || is_dots(dr))
		return vp;
	if (name_init_len(&n, dr->dr_name, dr->dr_namelen) < 0 ||
	    vop_lookup(p->p_dvp, &n, &vp) < 0)
		return NULL;
	return vp;
}

/* What is to be said of an entry beside its name.  False: nothing, the kernel will ask if it
 * is used.  So only who uses what is attached from far away waits for it. */
static bool
fill_plus(const struct plus *p, struct fuse_entry_param *e, const struct dirrec *dr,
    struct vnode *vp)
{
	const struct mount *mp = vp->v_mount;

	if (mp != p->p_dvp->v_mount) {
		if (atomic_load_explicit(&mp->mnt_flags, memory_order_relaxed) & MNT_FAR)
			return false;
		fe_stats_at(p->p_fe, dr->dr_name, dr->dr_namelen);
	}
	return fe_entry_fill(p->p_fe, e, p->p_dvp, vp) == 0;
}

/* Appends an entry.  False: no room. */
static bool
add_plus(struct plus *p, struct dirrec *dr)
{
	struct vnode *vp = entry_vnode(p, dr);
	struct fuse_entry_param e;
	size_t n, room = p->p_size - p->p_used;

	if (!vp || !fill_plus(p, &e, dr, vp)) {
		/* Node id 0: a name without a lookup. */
		if (vp)
			vn_unref(vp);
		vp = NULL;
		memset(&e, 0, sizeof(e));
		e.attr.st_ino = dr->dr_ino;
		e.attr.st_mode = (mode_t)dr->dr_type << 12;
	}
	n = fuse_add_direntry_plus(
	    p->p_req, p->p_buf + p->p_used, room, dr->dr_name, &e, (off_t)dr->dr_cookie);
	if (n > room) {
		if (vp)
			vn_unref(vp);
		return false;
	}
	p->p_used += n;
	if (vp) {
		vn_lookup_given(vp);
		p->p_given[p->p_ngiven++] = vp;
	}
	return true;
}

/* One round: fetches records after *cookie and appends them.  0 at the end or when there
 * is no more room, 1 if there may be more, or -errno. */
static int
add_round(struct plus *p, struct file *f, struct fe_bufs *fb, uint64_t *cookie)
{
	size_t cap = (p->p_size - p->p_used) / 5;
	struct dirbuf db = {
	    .db_base = fb->fb_dir,
	    .db_cap = cap < RECORD_MAX ? RECORD_MAX : cap,
	    .db_cookie = *cookie,
	    .db_want_vnodes = true,
	};
	struct dirrec *dr;
	int r = vop_readdir_at(p->p_dvp, f, &db);

	if (r < 0)
		return r;
	for (dr = dirbuf_next(&db, NULL); dr; dr = dirbuf_next(&db, dr)) {
		*cookie = dr->dr_cookie;
		if (!add_plus(p, dr)) {
			dirbuf_release(&db, dr);
			return 0;
		}
	}
	return db.db_full && db.db_used > 0 ? 1 : 0;
}

void
fe_readdirplus(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_READDIRPLUS);
	struct vnode *dvp = fe_node(fe, ino);
	struct fe_bufs *fb = fe_bufs(fe);
	uint64_t cookie = (uint64_t)off;
	struct fe_use fu = {0};
	struct plus p;
	int r = fb ? use_dir(fe, req, fi, dvp, &fu) : -ENOMEM;

	if (r < 0) {
		fe_unuse(&fu);
		fe_error(req, r);
		return;
	}
	p = (struct plus){
	    .p_fe = fe,
	    .p_req = req,
	    .p_dvp = dvp,
	    .p_buf = fb->fb_data,
	    .p_size = size > FE_DIR_MAX ? FE_DIR_MAX : size,
	    .p_given = (struct vnode **)(fb->fb_data + GIVEN_AT),
	};
	do
		r = add_round(&p, fu.fu_f, fb, &cookie);
	while (r > 0 && p.p_size - p.p_used >= PLUS_MAX);
	fe_unuse(&fu);
	/* What has been listed before an error is good; the error comes again. */
	if (r < 0 && p.p_used == 0) {
		fe_error(req, r);
		return;
	}
	if (fuse_reply_buf(req, p.p_buf, p.p_used) < 0)
		for (size_t i = 0; i < p.p_ngiven; i++)
			vn_forget(p.p_given[i], 1);
}
