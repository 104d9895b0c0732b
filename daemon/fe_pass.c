/*
 * Files that the kernel uses without us (fe_pass.h).
 *
 * A table of what is open, by vnode: an entry for each file that anybody has open, and none
 * for others.  What is asked of the file system (vop_backing()) is asked before the lock is
 * taken.  Handing a file to the kernel is a matter of memory, and so done under it; taking
 * it back may be the last use of a host file, and is done when the lock is given back.
 */
#include "daemon/fe_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/fe_reply.h"

#define NSHARDS   64u
#define NOBODY_ID 65534u

/* What linux/fuse.h may lack. */
#define OPEN_DIRECT_IO   (1u << 0)
#define OPEN_NOFLUSH     (1u << 5)
#define OPEN_PASSTHROUGH (1u << 7)

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define DEV_BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define DEV_BACKING_CLOSE _IOW(229, 2, uint32_t)

struct wire_open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing;
};

_Static_assert(sizeof(struct wire_open_out) == sizeof(struct fuse_open_out), "its form");

/* How the kernel has a file open (f_kernel). */
enum {
	HOW_UNKNOWN,
	HOW_CACHED,
	HOW_DROPPING, /* the same, and it drops what pages it has when it is opened */
	HOW_PASSED,
	HOW_WRITTEN /* passed, and it writes by itself */
};

/* A file that is open: s the shard's mutex. */
struct pass {
	struct pass *p_next;
	const struct vnode *p_vp;
	uint32_t p_cached, p_passed; /* s: how many have it open, and how */
	uint32_t p_writers;          /* s: of those passed, who writes without us */
	int32_t p_backing;           /* s: while p_passed */
};

struct shard {
	_Alignas(64) pthread_mutex_t sh_mtx;
	struct pass **sh_hash;      /* s: a power of two of chains, or none */
	uint32_t sh_size, sh_count; /* s */
	struct pass *sh_spare;      /* s: the last that became free */
};

struct fe_passes {
	const struct fe_pass_ops *ps_ops; /* c */
	_Atomic bool ps_off;              /* a: the kernel lets us hand out nothing */
	_Atomic uint64_t ps_passed, ps_refused; /* a */
	struct shard ps_shard[NSHARDS];
};

/* The kernel's numbers are above 0. */
static int
kernel_open(int dev, int fd)
{
	struct backing_map map = {.fd = fd};
	bool root = geteuid() == 0;
	int r;

	if (root)
		setfsuid(NOBODY_ID);
	r = ioctl(dev, DEV_BACKING_OPEN, &map);
	if (r < 0)
		r = -errno;
	if (root)
		setfsuid(0);
	return r;
}

static void
kernel_close(int dev, int32_t backing)
{
	uint32_t id = (uint32_t)backing;

	(void)ioctl(dev, DEV_BACKING_CLOSE, &id);
}

static const struct fe_pass_ops kernel_ops = {kernel_open, kernel_close};

struct fe_passes *
fe_passes_new(const struct fe_pass_ops *ops)
{
	struct fe_passes *ps = aligned_alloc(64, sizeof(*ps));

	if (!ps)
		return NULL;
	memset(ps, 0, sizeof(*ps));
	ps->ps_ops = ops ? ops : &kernel_ops;
	for (unsigned i = 0; i < NSHARDS; i++)
		pthread_mutex_init(&ps->ps_shard[i].sh_mtx, NULL);
	return ps;
}

void
fe_passes_free(struct fe_passes *ps)
{
	if (!ps)
		return;
	for (unsigned i = 0; i < NSHARDS; i++) {
		struct shard *sh = &ps->ps_shard[i];

		/* What is open at the end of the mount is closed without a release. */
		for (uint32_t c = 0; c < sh->sh_size; c++)
			while (sh->sh_hash[c]) {
				struct pass *p = sh->sh_hash[c];

				sh->sh_hash[c] = p->p_next;
				free(p);
			}
		free(sh->sh_hash);
		free(sh->sh_spare);
		pthread_mutex_destroy(&sh->sh_mtx);
	}
	free(ps);
}

void
fe_pass_stats(const struct fe_passes *ps, struct fe_pass_stats *ret)
{
	ret->fps_on = !atomic_load(&ps->ps_off);
	ret->fps_passed = atomic_load(&ps->ps_passed);
	ret->fps_refused = atomic_load(&ps->ps_refused);
}

/* The table. */

static uint64_t
hash_of(const struct vnode *vp)
{
	return vp->v_id * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *
shard_of(struct fe_passes *ps, const struct vnode *vp)
{
	return &ps->ps_shard[hash_of(vp) >> 58];
}

static struct pass **
slot_of(const struct shard *sh, const struct vnode *vp)
{
	return &sh->sh_hash[(hash_of(vp) >> 26) & (sh->sh_size - 1)];
}

/* Where there is no memory for more chains those that are there get longer. */
static int
resize_locked(struct shard *sh, uint32_t size)
{
	struct pass **was = sh->sh_hash, **h = calloc(size, sizeof(*h));
	uint32_t old = sh->sh_size;

	if (!h)
		return old ? 0 : -ENOMEM;
	sh->sh_hash = h;
	sh->sh_size = size;
	for (uint32_t i = 0; i < old; i++) {
		struct pass *p, *next;

		for (p = was[i]; p; p = next) {
			struct pass **slot = slot_of(sh, p->p_vp);

			next = p->p_next;
			p->p_next = *slot;
			*slot = p;
		}
	}
	free(was);
	return 0;
}

static struct pass *
find_locked(const struct shard *sh, const struct vnode *vp)
{
	struct pass *p = sh->sh_size ? *slot_of(sh, vp) : NULL;

	while (p && p->p_vp != vp)
		p = p->p_next;
	return p;
}

/* NULL: no memory. */
static struct pass *
get_locked(struct shard *sh, const struct vnode *vp)
{
	struct pass *p = find_locked(sh, vp);

	if (p)
		return p;
	if (sh->sh_count >= sh->sh_size &&
	    resize_locked(sh, sh->sh_size ? sh->sh_size * 2 : 4) < 0)
		return NULL;
	p = sh->sh_spare ? sh->sh_spare : malloc(sizeof(*p));
	sh->sh_spare = NULL;
	if (!p)
		return NULL;
	*p = (struct pass){.p_next = *slot_of(sh, vp), .p_vp = vp};
	*slot_of(sh, vp) = p;
	sh->sh_count++;
	return p;
}

static void
drop_locked(struct shard *sh, struct pass *p)
{
	struct pass **at = slot_of(sh, p->p_vp);

	while (*at != p)
		at = &(*at)->p_next;
	*at = p->p_next;
	if (sh->sh_spare)
		free(p);
	else
		sh->sh_spare = p;
	if (--sh->sh_count < sh->sh_size / 8 && sh->sh_size > 4)
		(void)resize_locked(sh, sh->sh_size / 2);
}

/* Opening and closing. */

/* The first who has it open: hands it out if the kernel takes it. */
static void
hand_out_locked(struct fe_passes *ps, int dev, struct pass *p, int fd)
{
	struct mount_count *mc = &p->p_vp->v_mount->mnt_count;
	int id = ps->ps_ops->open(dev, fd);

	if (id > 0) {
		p->p_backing = id;
		atomic_fetch_or(&((struct vnode *)(uintptr_t)p->p_vp)->v_flags, VF_LENT);
		return;
	}
	atomic_fetch_add_explicit(&ps->ps_refused, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&mc->mc_refused, 1, memory_order_relaxed);
	/* Not for this file alone: we lack the right. */
	if (id == -EPERM || id == -ENOTTY)
		atomic_store(&ps->ps_off, true);
}

/* For writing, to which reading belongs. */
static bool
may_map(const struct file *f)
{
	return (f->f_flags & O_ACCMODE) == O_RDWR;
}

int
fe_pass_open(struct fe_passes *ps, int dev, struct file *f, struct fe_pass_how *ret)
{
	struct vnode *vp = f->f_vp;
	struct shard *sh = shard_of(ps, vp);
	bool off = atomic_load_explicit(&ps->ps_off, memory_order_relaxed);
	struct pass *p;
	int fd = -1, r;

	*ret = (struct fe_pass_how){0};
	if (vp->v_type != VREG || !vp->v_op->backing)
		return 0;
	r = off ? -EOPNOTSUPP : vop_backing(vp, f, &fd);
	pthread_mutex_lock(&sh->sh_mtx);
	p = get_locked(sh, vp);
	if (!p || (r == -EPERM && p->p_backing && may_map(f))) {
		pthread_mutex_unlock(&sh->sh_mtx);
		return p ? -ETXTBSY : -ENOMEM;
	}
	if (r == 0 && (f->f_flags & (O_APPEND | O_DIRECT)))
		r = -EOPNOTSUPP;
	if (r == 0 && !p->p_passed && !p->p_cached)
		hand_out_locked(ps, dev, p, fd);
	if (p->p_backing) {
		bool writes = r == 0 && (f->f_flags & O_ACCMODE) != O_RDONLY;

		p->p_passed++;
		p->p_writers += writes;
		f->f_kernel = writes ? HOW_WRITTEN : HOW_PASSED;
		ret->ph_backing = p->p_backing;
		ret->ph_direct = r < 0;
		atomic_fetch_add_explicit(&ps->ps_passed, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(
		    &vp->v_mount->mnt_count.mc_passed, 1, memory_order_relaxed);
	} else {
		p->p_cached++;
		ret->ph_drop = atomic_load(&vp->v_flags) & VF_LENT;
		f->f_kernel = ret->ph_drop ? HOW_DROPPING : HOW_CACHED;
		ret->ph_direct = r == -EPERM && may_map(f);
	}
	pthread_mutex_unlock(&sh->sh_mtx);
	return 0;
}

bool
fe_pass_is_written(struct fe_passes *ps, const struct vnode *vp)
{
	struct shard *sh = shard_of(ps, vp);
	const struct pass *p;
	bool is;

	pthread_mutex_lock(&sh->sh_mtx);
	p = find_locked(sh, vp);
	is = p && p->p_writers;
	pthread_mutex_unlock(&sh->sh_mtx);
	return is;
}

void
fe_pass_close(struct fe_passes *ps, int dev, struct file *f, bool answered)
{
	struct shard *sh = shard_of(ps, f->f_vp);
	int32_t backing = 0;
	struct pass *p;

	if (f->f_kernel == HOW_UNKNOWN)
		return;
	pthread_mutex_lock(&sh->sh_mtx);
	p = find_locked(sh, f->f_vp);
	p->p_writers -= f->f_kernel == HOW_WRITTEN;
	/* It has dropped them by now.  Nobody has been lent it meanwhile. */
	if (f->f_kernel == HOW_DROPPING && answered)
		atomic_fetch_and(&f->f_vp->v_flags, (uint16_t)~VF_LENT);
	if (f->f_kernel == HOW_CACHED || f->f_kernel == HOW_DROPPING) {
		p->p_cached--;
	} else if (--p->p_passed == 0) {
		backing = p->p_backing;
		p->p_backing = 0;
	}
	if (!p->p_cached && !p->p_passed)
		drop_locked(sh, p);
	pthread_mutex_unlock(&sh->sh_mtx);
	f->f_kernel = HOW_UNKNOWN;
	if (backing)
		ps->ps_ops->close(dev, backing);
}

/* Replies. */

static void
put_ttl(double ttl, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	*ret_sec = (uint64_t)ttl;
	*ret_nsec = (uint32_t)((ttl - (double)*ret_sec) * 1e9);
}

static void
put_attr(const struct stat *st, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
	    .ino = st->st_ino,
	    .size = (uint64_t)st->st_size,
	    .blocks = (uint64_t)st->st_blocks,
	    .atime = (uint64_t)st->st_atim.tv_sec,
	    .mtime = (uint64_t)st->st_mtim.tv_sec,
	    .ctime = (uint64_t)st->st_ctim.tv_sec,
	    .atimensec = (uint32_t)st->st_atim.tv_nsec,
	    .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
	    .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
	    .mode = st->st_mode,
	    .nlink = (uint32_t)st->st_nlink,
	    .uid = st->st_uid,
	    .gid = st->st_gid,
	    .rdev = (uint32_t)st->st_rdev,
	    .blksize = (uint32_t)st->st_blksize,
	};
}

int
fe_pass_reply(fuse_req_t req, const struct fuse_entry_param *e,
    const struct fuse_file_info *fi, const struct fe_pass_how *how)
{
	struct {
		struct fuse_entry_out entry;
		struct wire_open_out open;
	} out = {.open = {
		     .fh = fi->fh,
		     .open_flags = OPEN_PASSTHROUGH | OPEN_NOFLUSH |
	                           (how->ph_direct ? OPEN_DIRECT_IO : 0),
		     .backing = how->ph_backing,
		 }};

	if (!e)
		return fuse_reply_buf(req, (const char *)&out.open, sizeof(out.open));
	out.entry.nodeid = e->ino;
	out.entry.generation = e->generation;
	put_ttl(e->entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
	put_ttl(e->attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
	put_attr(&e->attr, &out.entry.attr);
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
