/*
 * Records to messages (request.h).
 *
 * The form of each request's body is a string of letters, one a field, in the order of
 * linux/fuse.h.
 *
 * What is never sent: libfuse takes some lengths in a message on trust, because the kernel
 * is who wrote them: the count of a batch of forgets, and how long the value of setxattr
 * and the argument of an ioctl are.  Where they lie, libfuse gives away memory behind the
 * message.  It also keeps a notify reply that nobody waits for until it ends.  tame() is
 * about these.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/request.h"

/*
 *   h handle · n node id · o offset or length (8 bytes) · z size · f open flags · m mode ·
 *   w small number · u any 4 bytes · U any 8 bytes · 0 four zeros · s name · x name of an
 *   xattr · t symlink's target · d data, as many as the z before said · q ioctl · a the
 *   kinds of fallocate · v what setattr sets · l a time · b forgets with their count
 *   i a request's number
 */
static const struct form {
	uint32_t opcode;
	const char *body;
} forms[] = {
    {FUSE_LOOKUP, "s"},
    {FUSE_FORGET, "U"},
    {FUSE_GETATTR, "w0h"},
    {FUSE_SETATTR, "v0hoUlllwwwm0uu0"},
    {FUSE_READLINK, ""},
    {FUSE_SYMLINK, "st"},
    {FUSE_MKNOD, "mww0s"},
    {FUSE_MKDIR, "mws"},
    {FUSE_UNLINK, "s"},
    {FUSE_RMDIR, "s"},
    {FUSE_RENAME, "nss"},
    {FUSE_LINK, "ns"},
    {FUSE_OPEN, "fw"},
    {FUSE_READ, "hozwUf0"},
    {FUSE_WRITE, "hozwUf0d"},
    {FUSE_STATFS, ""},
    {FUSE_RELEASE, "hfwU"},
    {FUSE_FSYNC, "hw0"},
    {FUSE_SETXATTR, "zwxd"},
    {FUSE_GETXATTR, "z0x"},
    {FUSE_LISTXATTR, "z0"},
    {FUSE_REMOVEXATTR, "x"},
    {FUSE_FLUSH, "h00U"},
    {FUSE_INIT, "wwwuU"},
    {FUSE_OPENDIR, "fw"},
    {FUSE_READDIR, "hozwUf0"},
    {FUSE_RELEASEDIR, "hfwU"},
    {FUSE_FSYNCDIR, "hw0"},
    {FUSE_GETLK, "hUoowww0"},
    {FUSE_SETLK, "hUoowww0"},
    {FUSE_SETLKW, "hUoowww0"},
    {FUSE_ACCESS, "w0"},
    {FUSE_CREATE, "fmwws"},
    {FUSE_INTERRUPT, "i"},
    {FUSE_BMAP, "ow0"},
    {FUSE_IOCTL, "hwqUzwd"},
    {FUSE_POLL, "hUww"},
    {FUSE_BATCH_FORGET, "b"},
    {FUSE_FALLOCATE, "hooa0"},
    {FUSE_READDIRPLUS, "hozwUf0"},
    {FUSE_RENAME2, "nw0ss"},
    {FUSE_LSEEK, "how0"},
    {FUSE_COPY_FILE_RANGE, "honhooU"},
    {FUSE_SETUPMAPPING, "UUUUU"},
    {FUSE_REMOVEMAPPING, "uUU"},
    {OP_SYNCFS, "U"},
    {OP_TMPFILE, "fmwws"},
    {OP_STATX, "w0hww"},
};
#define NFORMS (sizeof(forms) / sizeof(forms[0]))

static const char long_name[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const char *const names[] = {"a", "b", "c", "d", "k", "file", "sub", "inner",
    "link", "mem", "f", "w", "c", "r", "ro", "one", "flw", "late", "hidden", "over",
    "fifo", "up", "away", "loop", "l", "deep", ".", "..", "", "x/y", "\xff\n\x01",
    long_name, long_name + 1, long_name + 2};
#define NNAMES (sizeof(names) / sizeof(names[0]))

static const char *const host_names[] = {"file", "sub", "sub/inner", "link", "fifo", "a",
    "b", "sub/a", "up", "over", "hidden"};

static const char *const xattrs[] = {"user.a", "user.b", "user.",
    "trusted.overlay.opaque", "security.capability", "system.posix_acl_access",
    "system.posix_acl_default", "security.selinux", "nothing", "", "user.\xff",
    long_name};

static const uint64_t edges[] = {0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 12288,
    65535, 65536, 131071, 131072, 131073, 1048575, 1048576, 2097152, INT32_MAX,
    UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 33) - 1,
    UINT64_C(1) << 33, UINT64_C(1) << 40, INT64_MAX - 4096, INT64_MAX - 1, INT64_MAX,
    UINT64_C(1) << 63, UINT64_MAX - 4095, UINT64_MAX - 1, UINT64_MAX};

static const uint32_t open_flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC,
    O_RDWR | O_APPEND, O_WRONLY | O_APPEND, O_RDONLY | O_DIRECTORY, O_RDWR | O_DIRECT,
    O_RDWR | O_EXCL, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_SYNC, O_ACCMODE,
    O_RDONLY | O_NOFOLLOW, O_RDONLY | O_NOATIME, O_PATH, UINT32_MAX};

static const uint32_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, S_IFIFO | 0600,
    S_IFSOCK | 0777, S_IFCHR | 0666, S_IFBLK | 0660, S_IFLNK | 0777, 0, 0600, 0700,
    S_IFREG | 07777, S_IFDIR | 03777, 0170000, 0130000, 07777, UINT32_MAX};

static const uint32_t ioctls[] = {FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR,
    FS_IOC_FSSETXATTR, BLKGETSIZE64, BLKFLSBUF, BLKSSZGET, BLKDISCARD, FS_IOC_GETVERSION,
    FS_IOC32_GETFLAGS, 0, UINT32_MAX};

static const uint32_t fallocs[] = {0, FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
    FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, UINT32_MAX};

#define PICK(table, b) ((table)[(b) % (sizeof(table) / sizeof((table)[0]))])

void
pool_add(struct pool *p, uint64_t id)
{
	for (unsigned i = 0; i < p->p_n && i < POOL; i++)
		if (p->p_id[i] == id)
			return;
	p->p_id[p->p_n++ % POOL] = id;
}

/* One of the pool; the latest for the highest numbers. */
static uint64_t
pool_pick(const struct pool *p, uint8_t b)
{
	unsigned n = p->p_n < POOL ? p->p_n : POOL;

	if (n == 0)
		return b;
	if (b >= 0xf0)
		return p->p_id[(p->p_n - 1 - (b & 3) % n) % POOL];
	return p->p_id[b % n];
}

const char *
build_name(uint8_t b)
{
	return PICK(names, b);
}

const char *
build_host_name(uint8_t b)
{
	return PICK(host_names, b);
}

static uint64_t
number(uint8_t b)
{
	if (b < 0x80)
		return b;
	if (b < 0xa0)
		return (uint64_t)(b - 0x80) * 4096;
	return edges[(b - 0xa0) % (sizeof(edges) / sizeof(edges[0]))];
}

/* A message in the making. */
struct making {
	struct script *k_script;
	struct input k_rec; /* what is left of the record */
	unsigned char *k_msg;
	size_t k_len;
	uint8_t k_how;
	uint64_t k_last_z; /* the size that was said last */
};

static void
put(struct making *k, const void *p, size_t n)
{
	if (n > MSG_MAX - k->k_len)
		n = MSG_MAX - k->k_len;
	memcpy(k->k_msg + k->k_len, p, n);
	k->k_len += n;
}

static void
put4(struct making *k, uint64_t v)
{
	uint32_t v4 = (uint32_t)v;

	put(k, &v4, 4);
}

static void
put8(struct making *k, uint64_t v)
{
	put(k, &v, 8);
}

static void
put_text(struct making *k, const char *text)
{
	put(k, text, strlen(text) + 1);
}

static uint64_t
id_from(struct making *k, const struct pool *p, uint8_t b)
{
	if (k->k_how & HOW_WILD)
		return number(b) ^ (b & 1 ? pool_pick(p, b >> 1) : 0);
	return pool_pick(p, b);
}

/* An ACL as the kernel hands it over: a version, then a tag, rights and an id each. */
static void
put_acl(struct making *k, uint8_t b)
{
	static const uint16_t tags[] = {1, 2, 4, 8, 0x10, 0x20, 0, 3};
	size_t begin = k->k_len;

	put4(k, b & 0x40 ? 1 : 2);
	for (unsigned i = 0; i < (b & 7u); i++) {
		uint8_t what = in_byte(&k->k_rec);
		uint32_t entry[2] = {
		    tags[b & 8 ? what & 7 : i % 6] | ((uint32_t)(what >> 4 & 7) << 16),
		    what & 8 ? 1000u + i : UINT32_MAX};

		put(k, entry, sizeof(entry));
	}
	k->k_last_z = k->k_len - begin;
}

static void
put_data(struct making *k)
{
	uint8_t b = in_byte(&k->k_rec);
	size_t n = k->k_last_z < MSG_MAX - k->k_len ? k->k_last_z : MSG_MAX - k->k_len;

	memset(k->k_msg + k->k_len, b, n);
	for (size_t i = 0; i < n; i += 64)
		k->k_msg[k->k_len + i] = (unsigned char)(i >> 6);
	k->k_len += n;
}

/* A batch of forgets. */
static void
put_forgets(struct making *k)
{
	unsigned n = in_byte(&k->k_rec) % 9;

	put4(k, n);
	put4(k, 0);
	for (unsigned i = 0; i < n; i++) {
		put8(k, id_from(k, &k->k_script->s_nodes, in_byte(&k->k_rec)));
		put8(k, number(in_byte(&k->k_rec)));
	}
}

/* A size that is asked for, or of data that follow. */
static void
put_size(struct making *k, uint32_t opcode, uint8_t b)
{
	uint64_t v = number(b);
	bool data =
	    opcode == FUSE_WRITE || opcode == FUSE_SETXATTR || opcode == FUSE_IOCTL;

	if (data && v > (b & 1 ? 4096u : MSG_MAX - 1024))
		v = 4096;
	k->k_last_z = v;
	put4(k, v);
}

static void
put_strange(struct making *k, char c, uint8_t b)
{
	switch (c) {
	case 'q':
		put4(k, PICK(ioctls, b));
		break;
	case 'a':
		put4(k, PICK(fallocs, b));
		break;
	case 'v':
		put4(k, b | (uint32_t)in_byte(&k->k_rec) << 8);
		break;
	case 'l':
		put8(k, number(b));
		break;
	case 'b':
		put_forgets(k);
		break;
	case 'i':
		put8(k, k->k_script->s_unique - (b & 15) * 2);
		break;
	default:
		abort();
	}
}

static void
put_field(struct making *k, uint32_t opcode, char c)
{
	struct script *s = k->k_script;
	uint8_t b = c == '0' || c == 'b' || c == 'd' ? 0 : in_byte(&k->k_rec);

	switch (c) {
	case 'h':
		put8(k, id_from(k, &s->s_files, b));
		break;
	case 'n':
		put8(k, id_from(k, &s->s_nodes, b));
		break;
	case 'o':
	case 'U':
		put8(k, number(b));
		break;
	case 'u':
	case 'w':
		put4(k, b < 0xf0 && c == 'w' ? b & 15u : number(b));
		break;
	case 'z':
		put_size(k, opcode, b);
		break;
	case 'f':
		put4(k, PICK(open_flags, b));
		break;
	case 'm':
		put4(k, PICK(modes, b));
		break;
	case '0':
		put4(k, 0);
		break;
	case 's':
	case 't':
		put_text(k, build_name(b));
		break;
	case 'x':
		put_text(k, PICK(xattrs, b));
		break;
	case 'd':
		put_data(k);
		break;
	default:
		put_strange(k, c, b);
	}
}

static uint32_t
field4(const unsigned char *msg, size_t len, size_t at)
{
	uint32_t v = 0;

	if (at < len)
		memcpy(&v, msg + at, len - at < 4 ? len - at : 4);
	return v;
}

static void
limit4(unsigned char *msg, size_t len, size_t at, size_t most)
{
	uint32_t v = (uint32_t)most;

	if (field4(msg, len, at) > most)
		memcpy(msg + at, &v, len - at < 4 ? len - at : 4);
}

#define BODY sizeof(struct fuse_in_header)

/* Puts right what only libfuse would stumble over, and bounds what a step can cost. */
static void
tame(const struct script *s, unsigned char *msg, size_t len)
{
	struct fuse_in_header *h = (struct fuse_in_header *)msg;
	size_t name, value;

	switch (h->opcode) {
	case FUSE_NOTIFY_REPLY:
		h->opcode = FUSE_STATFS;
		break;
	case FUSE_BATCH_FORGET:
		limit4(msg, len, BODY, len > BODY + 8 ? (len - BODY - 8) / 16 : 0);
		break;
	case FUSE_SETXATTR:
		name =
		    len > BODY + 8 ? strnlen((char *)msg + BODY + 8, len - BODY - 8) : 0;
		value = BODY + 8 + name + 1;
		limit4(msg, len, BODY, len > value ? len - value : 0);
		break;
	case FUSE_IOCTL:
		limit4(msg, len, BODY + 24, len > BODY + 32 ? len - BODY - 32 : 0);
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		limit4(msg, len, BODY + 16, s->s_max);
		break;
	case FUSE_COPY_FILE_RANGE:
		/* Holes are copied as zeros, and they can be large. */
		limit4(msg, len, BODY + 40, MSG_MAX);
		if (len > BODY + 44)
			memset(msg + BODY + 44, 0,
			    len - BODY - 44 < 4 ? len - BODY - 44 : 4);
		break;
	}
}

static uint32_t
size_asked(const unsigned char *msg, size_t len, uint32_t opcode)
{
	switch (opcode) {
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
		return field4(msg, len, BODY);
	case FUSE_IOCTL:
		return field4(msg, len, BODY + 28);
	default:
		return field4(msg, len, BODY + 16);
	}
}

/* What is wrong with the message as a whole. */
static void
spoil(struct making *k, uint8_t b)
{
	struct fuse_in_header *h = (struct fuse_in_header *)k->k_msg;

	if (k->k_how & HOW_NO_NUL && k->k_len > BODY)
		k->k_len--;
	if (k->k_how & HOW_CUT && k->k_len > BODY)
		k->k_len -= 1 + b % (k->k_len - BODY);
	h->len = (uint32_t)k->k_len;
	if (k->k_how & HOW_LENGTH)
		h->len = (uint32_t)number(b);
}

static void
fill_body(struct making *k, uint32_t opcode)
{
	struct input *rest = &k->k_script->s_in;
	const char *body = NULL;

	for (size_t i = 0; i < NFORMS; i++)
		if (forms[i].opcode == opcode)
			body = forms[i].body;
	if (k->k_how & HOW_RAW || !body) {
		size_t n = in_byte(&k->k_rec) % 97;

		n = n < rest->in_left ? n : rest->in_left;
		put(k, rest->in_ptr, n);
		rest->in_ptr += n;
		rest->in_left -= n;
		return;
	}
	for (; *body; body++) {
		size_t at = k->k_len;

		put_field(k, opcode, *body);
		/* The value of an ACL has a form of its own. */
		if (*body == 'x' && opcode == FUSE_SETXATTR &&
		    strncmp((char *)k->k_msg + at, "system.posix", 12) == 0) {
			put_acl(k, in_byte(&k->k_rec));
			memcpy(k->k_msg + BODY, &k->k_last_z, 4);
			return;
		}
	}
}

size_t
build_request(struct script *s, uint8_t op, unsigned char msg[MSG_MAX], struct sent *ret)
{
	struct making k = {.k_script = s, .k_msg = msg, .k_len = BODY};
	struct fuse_in_header *h = (struct fuse_in_header *)msg;
	uint8_t node, cred;

	k.k_rec = (struct input){s->s_in.in_ptr, RECORD - 1};
	if (k.k_rec.in_left > s->s_in.in_left)
		k.k_rec.in_left = s->s_in.in_left;
	s->s_in.in_ptr += k.k_rec.in_left;
	s->s_in.in_left -= k.k_rec.in_left;
	k.k_how = in_byte(&k.k_rec);
	node = in_byte(&k.k_rec);
	cred = in_byte(&k.k_rec);
	memset(h, 0, BODY);
	h->opcode =
	    op < 0xe0 ? forms[op % NFORMS].opcode : (uint32_t)number(in_byte(&k.k_rec));
	h->unique = s->s_unique += 2;
	h->nodeid = id_from(&k, &s->s_nodes, node);
	h->uid = k.k_how & HOW_NOBODY ? 1000u + (cred & 1) : cred & 0x80 ? UINT32_MAX : 0;
	h->gid = k.k_how & HOW_NOBODY ? 1000u + (cred & 2) : 0;
	h->pid = cred & 0x40 ? (uint32_t)getpid() : 0;
	fill_body(&k, h->opcode);
	spoil(&k, cred);
	tame(s, msg, k.k_len);
	*ret = (struct sent){
	    .r_unique = h->unique,
	    .r_opcode = h->opcode,
	    .r_size = size_asked(msg, k.k_len, h->opcode),
	    .r_silent = h->opcode == FUSE_FORGET || h->opcode == FUSE_BATCH_FORGET,
	    .r_plain =
		!(k.k_how & (HOW_RAW | HOW_CUT | HOW_NO_NUL | HOW_LENGTH)) && op < 0xe0,
	};
	return k.k_len;
}

size_t
build_init(struct script *s, uint32_t minor, uint32_t flags, unsigned char *msg)
{
	struct fuse_in_header *h = (struct fuse_in_header *)msg;
	struct making k = {.k_script = s, .k_msg = msg, .k_len = BODY};

	memset(msg, 0, BODY + 64);
	put4(&k, 7);
	put4(&k, minor);
	put4(&k, 131072);
	put4(&k, flags);
	k.k_len = BODY + 64;
	h->len = (uint32_t)k.k_len;
	h->opcode = FUSE_INIT;
	h->unique = s->s_unique += 2;
	return k.k_len;
}

size_t
build_statfs(struct script *s, unsigned char *msg, struct sent *ret)
{
	struct fuse_in_header h = {
	    .len = sizeof(h),
	    .opcode = FUSE_STATFS,
	    .unique = s->s_unique += 2,
	    .nodeid = FUSE_ROOT_ID,
	};

	memcpy(msg, &h, sizeof(h));
	*ret =
	    (struct sent){.r_unique = h.unique, .r_opcode = FUSE_STATFS, .r_plain = true};
	return sizeof(h);
}
