/*
 * Answers (request.h): the kernel refuses one whose length is not that of its kind, so
 * each kind is held to it.
 */
#include <sys/stat.h>

#include "tests/fuzz/request.h"

#define HEAD sizeof(struct fuse_out_header)

static void
check_attr(const struct fuse_attr *a)
{
	NEED(a->atimensec < 1000000000 && a->mtimensec < 1000000000 &&
	     a->ctimensec < 1000000000);
	NEED(a->size <= INT64_MAX);
	switch (a->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		NEED(!"a node has a type");
	}
}

/* A node that is given; id 0 says that there is none. */
static void
check_entry(struct script *s, const struct fuse_entry_out *e, bool maybe)
{
	NEED(e->nodeid != 0 || maybe);
	if (e->nodeid == 0)
		return;
	check_attr(&e->attr);
	pool_add(&s->s_nodes, e->nodeid);
	held_lookup(&s->s_held, e->nodeid);
}

static void
check_open(struct script *s, const struct fuse_open_out *o)
{
	pool_add(&s->s_files, o->fh);
	held_open(&s->s_held, o->fh);
}

/* One entry of a listing at p, n bytes at most; its length. */
static size_t
check_dirent(const struct fuse_dirent *d, size_t n)
{
	NEED(n >= FUSE_NAME_OFFSET);
	NEED(d->namelen >= 1 && d->namelen <= 255);
	NEED(FUSE_DIRENT_SIZE(d) <= n);
	NEED(!memchr(d->name, '/', d->namelen) && !memchr(d->name, '\0', d->namelen));
	NEED(d->type <= 14);
	NEED(d->off != 0);
	return FUSE_DIRENT_SIZE(d);
}

static void
check_listing(const unsigned char *p, size_t n)
{
	while (n > 0) {
		size_t used = check_dirent((const struct fuse_dirent *)p, n);

		p += used;
		n -= used;
	}
}

static void
check_plus(struct script *s, const unsigned char *p, size_t n)
{
	while (n > 0) {
		const struct fuse_direntplus *d = (const struct fuse_direntplus *)p;
		size_t used;

		NEED(n >= FUSE_NAME_OFFSET_DIRENTPLUS);
		check_entry(s, &d->entry_out, true);
		used = check_dirent(
		    &d->dirent, n - offsetof(struct fuse_direntplus, dirent));
		used = FUSE_DIRENTPLUS_SIZE(d);
		NEED(used <= n);
		p += used;
		n -= used;
	}
}

/* The kinds whose length is said by the request. */
static void
check_sized(struct script *s, const struct sent *r, const unsigned char *body, size_t n)
{
	switch (r->r_opcode) {
	case FUSE_READDIR:
		NEED(n <= r->r_size);
		check_listing(body, n);
		break;
	case FUSE_READDIRPLUS:
		NEED(n <= r->r_size);
		check_plus(s, body, n);
		break;
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		NEED(r->r_size ? n <= r->r_size : n == sizeof(struct fuse_getxattr_out));
		break;
	case FUSE_IOCTL:
		NEED(n >= sizeof(struct fuse_ioctl_out));
		NEED(n - sizeof(struct fuse_ioctl_out) <= r->r_size);
		break;
	case FUSE_READLINK:
		NEED(n >= 1 && n <= 4095 && !memchr(body, '\0', n));
		break;
	case FUSE_WRITE:
		NEED(n == sizeof(struct fuse_write_out));
		NEED(((const struct fuse_write_out *)body)->size <= r->r_size);
		break;
	default:
		NEED(n <= r->r_size);
	}
}

/* The kinds of one length. */
static const struct {
	uint32_t opcode;
	size_t len;
} fixed[] = {
    {FUSE_SETXATTR, 0}, {FUSE_REMOVEXATTR, 0}, {FUSE_UNLINK, 0}, {FUSE_RMDIR, 0},
    {FUSE_RENAME, 0}, {FUSE_RENAME2, 0}, {FUSE_RELEASE, 0}, {FUSE_RELEASEDIR, 0},
    {FUSE_FLUSH, 0}, {FUSE_FSYNC, 0}, {FUSE_FSYNCDIR, 0}, {FUSE_ACCESS, 0},
    {FUSE_FALLOCATE, 0}, {FUSE_SETLK, 0}, {FUSE_SETLKW, 0}, {FUSE_DESTROY, 0},
    {OP_SYNCFS, 0}, {FUSE_GETLK, sizeof(struct fuse_lk_out)},
    {FUSE_GETATTR, sizeof(struct fuse_attr_out)},
    {FUSE_SETATTR, sizeof(struct fuse_attr_out)},
    {FUSE_LOOKUP, sizeof(struct fuse_entry_out)},
    {FUSE_MKNOD, sizeof(struct fuse_entry_out)},
    {FUSE_MKDIR, sizeof(struct fuse_entry_out)},
    {FUSE_SYMLINK, sizeof(struct fuse_entry_out)},
    {FUSE_LINK, sizeof(struct fuse_entry_out)}, {FUSE_OPEN, sizeof(struct fuse_open_out)},
    {FUSE_OPENDIR, sizeof(struct fuse_open_out)},
    {FUSE_CREATE, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)},
    {OP_TMPFILE, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out)},
    {FUSE_STATFS, sizeof(struct fuse_statfs_out)},
    {FUSE_LSEEK, sizeof(struct fuse_lseek_out)},
    {FUSE_COPY_FILE_RANGE, sizeof(struct fuse_write_out)},
    {FUSE_BMAP, sizeof(struct fuse_bmap_out)}, {FUSE_POLL, sizeof(struct fuse_poll_out)},
    {FUSE_INIT, sizeof(struct fuse_init_out)},
    {OP_STATX, 288}, /* struct fuse_statx_out */
};

static void
check_body(struct script *s, const struct sent *r, const unsigned char *body, size_t n)
{
	bool known = false;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (fixed[i].opcode != r->r_opcode)
			continue;
		NEED(n == fixed[i].len);
		known = true;
	}
	switch (known ? r->r_opcode : 0) {
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		check_attr(&((const struct fuse_attr_out *)body)->attr);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		check_entry(
		    s, (const struct fuse_entry_out *)body, r->r_opcode == FUSE_LOOKUP);
		break;
	case FUSE_CREATE:
	case OP_TMPFILE:
		check_entry(s, (const struct fuse_entry_out *)body, false);
		body += sizeof(struct fuse_entry_out);
		check_open(s, (const struct fuse_open_out *)body);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		check_open(s, (const struct fuse_open_out *)body);
		break;
	case 0:
		check_sized(s, r, body, n);
		break;
	}
}

void
answer_check(struct script *s, struct sent *r, const unsigned char *msg, size_t len)
{
	const struct fuse_out_header *h = (const struct fuse_out_header *)msg;

	NEED(len >= HEAD && h->len == len);
	NEED(h->error <= 0 && h->error >= -4095);
	NEED(h->unique == r->r_unique);
	NEED(!r->r_silent);
	NEED(++r->r_answers == 1);
	if (h->error != 0) {
		NEED(len == HEAD);
		return;
	}
	/* An interrupt is never answered but with an error: to be asked again. */
	NEED(r->r_opcode != FUSE_INTERRUPT);
	check_body(s, r, msg + HEAD, len - HEAD);
}
