/*
 * A namespace with etfs in it, over a directory of its own on the host.
 */
#ifndef RF_T_ETFS_H
#define RF_T_ETFS_H

#include <sys/stat.h>
#include <sys/wait.h>

#include "etfs/etfs.h"
#include "hostcalls/hostcalls.h"
#include "tests/t-tmp.h"
#include "tests/t.h"
#include "vfs/namei.h"
#include "vfs/rumpfs.h"
#include "vfs/vop.h"

static const struct cred root_cred;

struct bed {
	struct tmp dir;
	struct vfs v;
	struct vnode *root;
	struct etfs *e;
	struct etfs_why why;
};

static inline void
bed_start_opts(struct bed *b, const struct etfs_opts *eo)
{
	struct rumpfs_opts ro = {.ro_mode = 0755};

	umask(0);
	if (vfs_init(&b->v) < 0 || rumpfs_new(&b->v, &ro, &b->root) < 0 ||
	    etfs_new(&b->v, eo, &b->e) < 0)
		abort();
}

static inline void
bed_start(struct bed *b, unsigned fd_max)
{
	struct etfs_opts eo = {.eo_ttl_ns = 1000000000, .eo_fd_max = fd_max};

	b->dir = tmp_new("/dev/shm");
	bed_start_opts(b, &eo);
}

static inline void
bed_done(struct bed *b)
{
	etfs_free(b->e);
	vn_unref(b->root);
	vfs_done(&b->v);
	tmp_done(&b->dir);
}
#define AUTO_BED __attribute__((cleanup(bed_done))) struct bed

/* The host path of a name in the bed's directory; good for the next four calls. */
static inline const char *
host(const struct bed *b, const char *name)
{
	static char path[4][512];
	static unsigned i;
	char *p = path[i++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", b->dir.path, name);
	return p;
}

/* A host file of len bytes: byte i is i / 100 + i. */
static inline void
host_file(const struct bed *b, const char *name, size_t len)
{
	FILE *f = fopen(host(b, name), "w");

	for (size_t i = 0; f && i < len; i++)
		putc((int)((i / 100 + i) & 0xff), f);
	if (!f || fclose(f) != 0)
		abort();
}

static inline void
host_text(const struct bed *b, const char *name, const char *text)
{
	FILE *f = fopen(host(b, name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static inline bool
host_is(const struct bed *b, const char *name, const char *text)
{
	char buf[256] = "";
	FILE *f = fopen(host(b, name), "r");
	size_t n = f ? fread(buf, 1, sizeof(buf) - 1, f) : 0;

	if (f)
		fclose(f);
	return f && n == strlen(text) && memcmp(buf, text, n) == 0;
}

static inline int
reg(struct bed *b, const char *key, const char *name, enum etfs_type t)
{
	return etfs_register(b->e, key, host(b, name), t);
}

static inline int
reg_win(struct bed *b, const char *key, const char *name, enum etfs_type t,
    uint64_t begin, uint64_t size)
{
	struct etfs_spec s = {.es_key = key,
	    .es_host = host(b, name),
	    .es_type = t,
	    .es_begin = begin,
	    .es_size = size};

	return etfs_register_spec(b->e, &s, &b->why);
}

static inline int
reg_dir(struct bed *b, const char *key, const char *name, enum etfs_type t,
    enum etfs_symlinks links, bool special)
{
	struct etfs_spec s = {.es_key = key,
	    .es_host = host(b, name),
	    .es_type = t,
	    .es_size = ETFS_SIZE_END,
	    .es_symlinks = links,
	    .es_special = special};

	return etfs_register_spec(b->e, &s, &b->why);
}

/* t/{file, sub/inner, link -> file, fifo} */
static inline void
make_tree(struct bed *b)
{
	if (mkdir(host(b, "t"), 0755) < 0 || mkdir(host(b, "t/sub"), 0755) < 0 ||
	    symlink("file", host(b, "t/link")) < 0 || mkfifo(host(b, "t/fifo"), 0644) < 0)
		abort();
	host_text(b, "t/file", "top");
	host_text(b, "t/sub/inner", "in");
}

/* The vnode at a path, which the caller drops; NULL if there is none. */
static inline struct vnode *
at(struct bed *b, const char *path)
{
	struct vnode *vp;

	return namei(&b->v, path, &vp) == 0 ? vp : NULL;
}

static inline int
at_err(struct bed *b, const char *path)
{
	struct vnode *vp;
	int r = namei(&b->v, path, &vp);

	if (r == 0)
		vn_unref(vp);
	return r;
}

static inline struct vattr
attr(struct bed *b, const char *path)
{
	struct vattr va = {0};
	AUTO_VNODE vp = at(b, path);

	if (!vp || vop_getattr(vp, NULL, &va) < 0)
		va.va_mode = 0;
	return va;
}

static inline struct file *
open_at(struct bed *b, const char *path, int flags)
{
	AUTO_VNODE vp = at(b, path);
	struct file *f;

	return vp && vop_open(vp, flags, &root_cred, &f) == 0 ? f : NULL;
}

static inline int
open_err(struct bed *b, const char *path, int flags)
{
	AUTO_VNODE vp = at(b, path);
	struct file *f;
	int r = vp ? vop_open(vp, flags, &root_cred, &f) : -ENOENT;

	if (r == 0)
		vop_close(f);
	return r;
}

/* Reads, as the front end does, through the window that is lent. */
static inline ssize_t
get(struct file *f, void *buf, size_t len, uint64_t off)
{
	struct uio u;
	int r;

	uio_init_buf(&u, NULL, len, off);
	r = vop_read(f->f_vp, f, &u);
	if (r < 0)
		return r;
	return u.uio_done && u.uio_fd >= 0
	           ? pread(u.uio_fd, buf, u.uio_done, (off_t)u.uio_fdoff)
	           : (ssize_t)u.uio_done;
}

static inline ssize_t
put(struct file *f, const void *buf, size_t len, uint64_t off)
{
	struct uio u;
	int r;

	uio_init_buf(&u, (void *)(uintptr_t)buf, len, off);
	r = vop_write(f->f_vp, f, &u);
	return r < 0 ? r : (ssize_t)u.uio_done;
}

/* The contents of a small file in the mount. */
static inline bool
mount_is(struct bed *b, const char *path, const char *text)
{
	struct file *f = open_at(b, path, O_RDONLY);
	char buf[256];
	ssize_t n = f ? get(f, buf, sizeof(buf), 0) : -1;

	if (f)
		vop_close(f);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static inline int
set_size(struct bed *b, const char *path, uint64_t size)
{
	struct vattr_set vs = {.vs_valid = VS_SIZE, .vs_size = size};
	AUTO_VNODE vp = at(b, path);

	return vp ? vop_setattr(vp, NULL, &vs, &root_cred) : -ENOENT;
}

static inline int
set_mode(struct bed *b, const char *path, uint32_t mode)
{
	struct vattr_set vs = {.vs_valid = VS_MODE, .vs_mode = mode};
	AUTO_VNODE vp = at(b, path);

	return vp ? vop_setattr(vp, NULL, &vs, &root_cred) : -ENOENT;
}

/* The names in a directory, sorted and joined by spaces, without dots; through a buffer
 * of cap bytes. */
static inline int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline const char *
names_cap(struct bed *b, const char *path, size_t cap)
{
	static char out[4096];
	char buf[4096] __attribute__((aligned(8))), *names[256];
	struct dirbuf db = {.db_base = buf, .db_cap = cap};
	struct file *f = open_at(b, path, O_RDONLY | O_DIRECTORY);
	unsigned n = 0, dots = 0;
	bool failed;

	out[0] = '\0';
	if (!f)
		return "(cannot be opened)";
	for (;;) {
		failed = vop_readdir(f, &db) < 0;
		if (failed || !db.db_used)
			break;
		for (struct dirrec *r = dirbuf_next(&db, NULL); r;
		     r = dirbuf_next(&db, r)) {
			db.db_cookie = r->dr_cookie;
			if (strcmp(r->dr_name, ".") == 0 || strcmp(r->dr_name, "..") == 0)
				dots++;
			else if (n < 256)
				names[n++] = strdup(r->dr_name);
		}
	}
	vop_close(f);
	qsort(names, n, sizeof(names[0]), by_name);
	for (unsigned i = 0; i < n; i++) {
		if (i)
			strcat(out, " ");
		strncat(out, names[i], 15);
		free(names[i]);
	}
	return failed ? "(error)" : dots == 2 ? out : "(dots missing)";
}

static inline const char *
names(struct bed *b, const char *path)
{
	return names_cap(b, path, 4096);
}

#define CHECK_STR(a, b)                                                            \
	do {                                                                       \
		const char *a_ = (a), *b_ = (b);                                   \
		if (strcmp(a_, b_) != 0) {                                         \
			printf("%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, \
			    __LINE__, #a, a_, b_);                                 \
			t_bad++;                                                   \
		}                                                                  \
	} while (0)

/* Operations on a path's parent. */
static inline int
do_make(struct bed *b, const char *path, enum vtype t, const char *target)
{
	struct vmake mk = {.vm_type = t, .vm_mode = 0755, .vm_target = target};
	AUTO_VNODE dvp = NULL;
	struct vnode *vp;
	struct name n;
	int r = namei_parent(&b->v, path, false, &dvp, &n);

	if (r == 0)
		r = vop_make(dvp, &n, &mk, &root_cred, &vp);
	if (r == 0)
		vn_unref(vp);
	return r;
}

static inline int
do_create(struct bed *b, const char *path, int flags, struct file **ret_f)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0644};
	AUTO_VNODE dvp = NULL;
	AUTO_VNODE vp = NULL;
	struct file *f;
	struct name n;
	int r = namei_parent(&b->v, path, false, &dvp, &n);

	if (r == 0)
		r = vop_create(dvp, &n, &mk, flags | O_CREAT, &root_cred, &vp, &f);
	if (r == 0 && ret_f)
		*ret_f = f;
	else if (r == 0)
		vop_close(f);
	return r;
}

static inline int
do_remove(struct bed *b, const char *path, bool dir)
{
	AUTO_VNODE dvp = NULL;
	struct name n;
	int r = namei_parent(&b->v, path, false, &dvp, &n);

	if (r < 0)
		return r;
	return dir ? vop_rmdir(dvp, &n, &root_cred) : vop_unlink(dvp, &n, &root_cred);
}

static inline int
do_rename(struct bed *b, const char *from, const char *to, unsigned flags)
{
	AUTO_VNODE fd = NULL;
	AUTO_VNODE td = NULL;
	struct name fn, tn;
	int r = namei_parent(&b->v, from, false, &fd, &fn);

	if (r == 0)
		r = namei_parent(&b->v, to, false, &td, &tn);
	return r < 0 ? r : vop_rename(fd, &fn, td, &tn, flags, &root_cred);
}

static inline int
do_link(struct bed *b, const char *from, const char *to)
{
	AUTO_VNODE vp = at(b, from);
	AUTO_VNODE td = NULL;
	struct name tn;
	int r = namei_parent(&b->v, to, false, &td, &tn);

	return r < 0 ? r : !vp ? -ENOENT : vop_link(vp, td, &tn, &root_cred);
}

#endif
