/*
 * The front end's requests for names and attributes, and the table of all requests (fe.h).
 *
 * Each function has the same form: find the vnodes, make the names, call the vop, reply.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/fe_mode.h"
#include "daemon/fe_pass.h"
#include "daemon/fe_reply.h"
#include "daemon/fe_wire.h"
#include "vfs/acl.h"

/* A directory by its id and a name in it.  0 or -errno. */
static int
dir_and_name(const struct fe *fe, fuse_ino_t parent, const char *name,
    struct vnode **ret_dvp, struct name *ret_n)
{
	*ret_dvp = fe_node(fe, parent);
	if (!*ret_dvp)
		return -ESTALE;
	return name_init(ret_n, name);
}

/* "." and "..", which the kernel asks for only to make something of a file handle.  It need
 * not know the node, so a reference has to be got first. */
static void
lookup_dots(fuse_req_t req, struct fe *fe, fuse_ino_t ino, bool up)
{
	AUTO_VNODE vp = vfs_node_get(fe->fe_vfs, ino);
	struct vnode *to = NULL;

	if (vp)
		to = up ? vfs_parent_get(vp) : vn_ref(vp);
	if (to)
		fe_entry(req, vp, to);
	else
		fe_error(req, -ESTALE);
}

static void
fe_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fe *fe = fe_begin(req, FE_LOOKUP);
	struct vnode *dvp, *vp;
	struct name n;
	int r;

	if (name[0] == '.' && (name[1] == '\0' || strcmp(name, "..") == 0)) {
		lookup_dots(req, fe, parent, name[1] != '\0');
		return;
	}
	r = dir_and_name(fe, parent, name, &dvp, &n);

	if (r == 0)
		r = vop_lookup(dvp, &n, &vp);
	else if (r == -ENOENT)
		r = -EINVAL; /* an empty name, which the kernel does not send */
	if (r == 0)
		fe_entry(req, dvp, vp);
	else if (r == -ENOENT)
		fe_no_entry(req, dvp);
	else
		fe_error(req, r);
}

static void
forget_one(const struct fe *fe, fuse_ino_t ino, uint64_t n)
{
	struct vnode *vp = ino == FUSE_ROOT_ID ? NULL : fe_node(fe, ino);

	/* The root is not looked up and has nothing to give back. */
	if (vp)
		vn_forget(vp, n);
}

static void
fe_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct fe *fe = fe_begin(req, FE_FORGET);

	forget_one(fe, ino, n);
	fe_forgotten(fe, 1);
	fuse_reply_none(req);
}

static void
fe_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
	struct fe *fe = fe_begin(req, FE_FORGET);

	for (size_t i = 0; i < count; i++)
		forget_one(fe, all[i].ino, all[i].nlookup);
	fe_forgotten(fe, count);
	fe_buffer_read(all, count * sizeof(*all));
	fuse_reply_none(req);
}

static void
fe_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool statx = fe_wire_is_statx();
	struct fe *fe = fe_begin(req, statx ? FE_STATX : FE_GETATTR);
	struct vnode *vp = fe_node(fe, ino);

	if (!vp)
		fe_error(req, -ESTALE);
	else if (statx)
		fe_statx(req, vp, fe_file(fe, fi));
	else
		fe_attr(req, vp, fe_file(fe, fi));
}

static void
setattr_from(struct vattr_set *vs, const struct stat *st, int set)
{
	static const struct {
		int fuse;
		unsigned ours;
	} bits[] = {
	    {FUSE_SET_ATTR_MODE, VS_MODE},
	    {FUSE_SET_ATTR_UID, VS_UID},
	    {FUSE_SET_ATTR_GID, VS_GID},
	    {FUSE_SET_ATTR_SIZE, VS_SIZE},
	    {FUSE_SET_ATTR_ATIME, VS_ATIME},
	    {FUSE_SET_ATTR_MTIME, VS_MTIME},
	    {FUSE_SET_ATTR_ATIME_NOW, VS_ATIME_NOW},
	    {FUSE_SET_ATTR_MTIME_NOW, VS_MTIME_NOW},
	};

	memset(vs, 0, sizeof(*vs));
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (set & bits[i].fuse)
			vs->vs_valid |= bits[i].ours;
	vs->vs_mode = st->st_mode & 07777;
	vs->vs_uid = st->st_uid;
	vs->vs_gid = st->st_gid;
	vs->vs_size = (uint64_t)st->st_size;
	vs->vs_atime = st->st_atim;
	vs->vs_mtime = st->st_mtim;
	/* Only where the kernel writes later. */
	vs->vs_has_ctime = set & FUSE_SET_ATTR_CTIME;
	vs->vs_ctime = st->st_ctim;
}

/* What is not set is zero.  UTIME_NOW and the like mean nothing here. */
static bool
is_time(const struct timespec *ts)
{
	return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

static void
fe_setattr(
    fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *fi)
{
	struct fe *fe = fe_begin(req, FE_SETATTR);
	struct vnode *vp = fe_node(fe, ino);
	struct fe_use fu = {0};
	struct vattr_set vs;
	struct cred cr;
	int r = vp ? 0 : -ESTALE;

	fe_cred(req, &cr);
	setattr_from(&vs, st, set);
	if (r == 0 &&
	    !(is_time(&st->st_atim) && is_time(&st->st_mtim) && is_time(&st->st_ctim)))
		r = -EINVAL;
	/* Nothing at all comes before a write too (rule_setid_lost()).  Where the kernel
	 * writes by itself, this is all that is heard of it. */
	if (fe_wire_kills_setid(NULL, set) ||
	    (r == 0 && vs.vs_valid == 0 && cr.cr_uid != 0 &&
		fe_pass_is_written(fe->fe_passes, vp)))
		vs.vs_valid |= VS_KILL_SETID;
	/* What is open for writing can be cut, whatever its mode says by now. */
	if (r == 0 && fi && (vs.vs_valid & VS_SIZE))
		r = fe_use(fe, req, fi, vp, O_WRONLY, &fu);
	else
		fu.fu_f = fe_file(fe, fi);
	if (r == 0)
		r = vop_setattr(vp, fu.fu_f, &vs, &cr);
	if (r < 0)
		fe_error(req, r);
	else
		fe_attr(req, vp, fu.fu_f);
	fe_unuse(&fu);
}

static void
fe_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fe *fe = fe_begin(req, FE_READLINK);
	struct vnode *vp = fe_node(fe, ino);
	char target[4096 + 1];
	size_t len;
	int r = vp ? vop_readlink(vp, target, sizeof(target) - 1, &len) : -ESTALE;

	if (r < 0) {
		fe_error(req, r);
		return;
	}
	target[len] = '\0';
	(void)fuse_reply_readlink(req, target);
}

/* mknod, mkdir, symlink. */
static void
make(fuse_req_t req, enum fe_op op, fuse_ino_t parent, const char *name, struct vmake *mk)
{
	struct fe *fe = fe_begin(req, op);
	struct vnode *dvp, *vp;
	struct name n;
	struct cred cr;
	int r = mk->vm_type ? dir_and_name(fe, parent, name, &dvp, &n) : -EINVAL;

	fe_cred(req, &cr);
	mk->vm_umask = fe_umask(req);
	if (r == 0)
		r = vop_make(dvp, &n, mk, &cr, &vp);
	if (r < 0)
		fe_error(req, r);
	else
		fe_entry(req, dvp, vp);
}

static void
fe_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct vmake mk = {
	    /* mknod(2): no type means a regular file */
	    .vm_type = mode & S_IFMT ? vtype_of_mode(mode) : VREG,
	    .vm_mode = mode & 07777,
	    .vm_rdev = rdev,
	};

	/* A symlink would need a target, and neither is mknod(2)'s to make. */
	if (mk.vm_type == VLNK || mk.vm_type == VDIR)
		mk.vm_type = 0;
	make(req, FE_MKNOD, parent, name, &mk);
}

static void
fe_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct vmake mk = {.vm_type = VDIR, .vm_mode = mode & 07777};

	make(req, FE_MKDIR, parent, name, &mk);
}

static void
fe_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct vmake mk = {.vm_type = VLNK, .vm_mode = 0777, .vm_target = target};

	make(req, FE_SYMLINK, parent, name, &mk);
}

static void
fe_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fe *fe = fe_begin(req, FE_UNLINK);
	struct vnode *dvp;
	struct name n;
	struct cred cr;
	int r = dir_and_name(fe, parent, name, &dvp, &n);

	fe_cred(req, &cr);
	if (r == 0)
		r = vop_unlink(dvp, &n, &cr);
	fe_error(req, r);
}

static void
fe_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fe *fe = fe_begin(req, FE_RMDIR);
	struct vnode *dvp;
	struct name n;
	struct cred cr;
	int r = dir_and_name(fe, parent, name, &dvp, &n);

	fe_cred(req, &cr);
	if (r == 0)
		r = vop_rmdir(dvp, &n, &cr);
	fe_error(req, r);
}

static void
fe_rename(fuse_req_t req, fuse_ino_t from, const char *fname, fuse_ino_t to,
    const char *tname, unsigned int flags)
{
	struct fe *fe = fe_begin(req, FE_RENAME);
	struct vnode *fdvp, *tdvp;
	struct name fn, tn;
	struct cred cr;
	int r = dir_and_name(fe, from, fname, &fdvp, &fn);

	if (r == 0)
		r = dir_and_name(fe, to, tname, &tdvp, &tn);
	fe_cred(req, &cr);
	if (r == 0)
		r = vop_rename(fdvp, &fn, tdvp, &tn, flags, &cr);
	fe_error(req, r);
}

static void
fe_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t to, const char *name)
{
	struct fe *fe = fe_begin(req, FE_LINK);
	struct vnode *vp = fe_node(fe, ino), *dvp;
	struct name n;
	struct cred cr;
	int r = vp ? dir_and_name(fe, to, name, &dvp, &n) : -ESTALE;

	fe_cred(req, &cr);
	if (r == 0)
		r = vop_link(vp, dvp, &n, &cr);
	if (r < 0)
		fe_error(req, r);
	else
		fe_entry(req, dvp, vn_ref(vp));
}

static void
fe_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fe *fe = fe_begin(req, FE_STATFS);
	struct vnode *vp = fe_node(fe, ino ? ino : FUSE_ROOT_ID);
	struct statvfs sv;
	int r = vp ? vop_statfs(vp, &sv) : -ESTALE;

	if (r < 0)
		fe_error(req, r);
	else
		(void)fuse_reply_statfs(req, &sv);
}

/* Permission is the kernel's to check (default_permissions). */
static void
fe_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct fe *fe = fe_begin(req, FE_ACCESS);

	(void)mask;
	fe_error(req, fe_node(fe, ino) ? 0 : -ESTALE);
}

static void
fe_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
    size_t size, int flags)
{
	struct fe *fe = fe_begin(req, FE_SETXATTR);
	struct vnode *vp = fe_node(fe, ino);
	struct cred cr;

	fe_cred(req, &cr);
	fe_error(req, vp ? vop_setxattr(vp, name, value, size, flags, &cr) : -ESTALE);
}

/* Takes the names that only root may see out of a list of len bytes; what is left of it.
 * Local file systems leave them out by themselves, and the kernel does not do it for us.
 */
static size_t
drop_trusted(char *list, size_t len)
{
	size_t out = 0, n;

	for (size_t i = 0; i < len; i += n) {
		n = strnlen(list + i, len - i);
		n += i + n < len; /* the NUL */
		if (n > XATTR_TRUSTED_PREFIX_LEN &&
		    memcmp(list + i, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) == 0)
			continue;
		memmove(list + out, list + i, n);
		out += n;
	}
	return out;
}

/* The list of names as the caller may see it.  How long that is shows only when it is
 * there, so size, 0 or too small, is looked at last. */
static int
list_xattrs(
    fuse_req_t req, struct vnode *vp, struct fe_bufs *fb, size_t size, size_t *ret_len)
{
	struct cred cr;
	size_t len;
	int r = vop_listxattr(vp, fb->fb_data, FE_DATA_MAX, &len);

	if (r < 0)
		return r;
	fe_cred(req, &cr);
	if (cr.cr_uid != 0)
		len = drop_trusted(fb->fb_data, len);
	if (size && len > size)
		return -ERANGE;
	*ret_len = len;
	return 0;
}

/* name NULL: the list of names.  Size 0 asks how much there is. */
static void
get_xattrs(fuse_req_t req, struct fe *fe, fuse_ino_t ino, const char *name, size_t size)
{
	struct vnode *vp = fe_node(fe, ino);
	struct fe_bufs *fb = fe_bufs(fe);
	size_t len = 0;
	int r;

	if (!vp || !fb) {
		fe_error(req, !vp ? -ESTALE : -ENOMEM);
		return;
	}
	if (size > FE_DATA_MAX)
		size = FE_DATA_MAX;
	r = name ? vop_getxattr(vp, name, size ? fb->fb_data : NULL, size, &len)
	         : list_xattrs(req, vp, fb, size, &len);
	/* Whom the mode does not decide about the kernel refuses with any other error. */
	if (r == -EOPNOTSUPP && name && acl_is_name(name))
		r = -ENODATA;
	if (r < 0)
		fe_error(req, r);
	else if (size == 0)
		(void)fuse_reply_xattr(req, len);
	else
		(void)fuse_reply_buf(req, fb->fb_data, len);
}

static void
fe_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	get_xattrs(req, fe_begin(req, FE_GETXATTR), ino, name, size);
}

static void
fe_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	get_xattrs(req, fe_begin(req, FE_LISTXATTR), ino, NULL, size);
}

static void
fe_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct fe *fe = fe_begin(req, FE_REMOVEXATTR);
	struct vnode *vp = fe_node(fe, ino);
	struct cred cr;

	fe_cred(req, &cr);
	fe_error(req, vp ? vop_removexattr(vp, name, &cr) : -ESTALE);
}

const struct fuse_lowlevel_ops fe_ops = {
    .init = fe_hello,
    .lookup = fe_lookup,
    .forget = fe_forget,
    .forget_multi = fe_forget_multi,
    .getattr = fe_getattr,
    .setattr = fe_setattr,
    .readlink = fe_readlink,
    .mknod = fe_mknod,
    .mkdir = fe_mkdir,
    .unlink = fe_unlink,
    .rmdir = fe_rmdir,
    .symlink = fe_symlink,
    .rename = fe_rename,
    .link = fe_link,
    .open = fe_open,
    .create = fe_create,
    .read = fe_read,
    .write_buf = fe_write_buf,
    .flush = fe_flush,
    .release = fe_release,
    .fsync = fe_fsync,
    .fallocate = fe_fallocate,
    .lseek = fe_lseek,
    .copy_file_range = fe_copy_range,
    .ioctl = fe_ioctl,
    .opendir = fe_opendir,
    .readdir = fe_readdir,
    .readdirplus = fe_readdirplus,
    .releasedir = fe_releasedir,
    .fsyncdir = fe_fsyncdir,
    .statfs = fe_statfs,
    .access = fe_access,
    .setxattr = fe_setxattr,
    .getxattr = fe_getxattr,
    .listxattr = fe_listxattr,
    .removexattr = fe_removexattr,
};
