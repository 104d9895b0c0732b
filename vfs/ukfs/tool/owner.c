/*
 * Names of users and groups (text.h): the image's own, or the host's.
 *
 * What an image says of its users is read once per mount, up to a size, and a name is taken
 * only if it is one that can be printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/img.h"
#include "vfs/ukfs/tool/text.h"
#include "vfs/ukfs/tool/tool.h"

#define FILE_MAX (4u << 20)

struct entry {
	const char *e_name;
	uint32_t e_id, e_gid;
};

/* One file. */
struct users {
	bool u_read; /* it has been looked for */
	char *u_text;
	struct entry *u_v; /* by id */
	size_t u_n;        /* 0: the host's names are used */
};

static struct users users, groups;

static void
forget(struct users *u)
{
	free(u->u_text);
	free(u->u_v);
	*u = (struct users){0};
}

void
owner_forget(void)
{
	forget(&users);
	forget(&groups);
}

/* The file's bytes with a NUL, or NULL. */
static char *
read_file(const char *path)
{
	struct stat st;
	size_t have = 0;

	if (img_stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return NULL;
	int fd = img_open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	size_t want = (size_t)st.st_size;
	char *text = xmalloc(want + 1);
	while (have < want) {
		ssize_t n = img_read(fd, have, text + have, want - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	img_close(fd);
	text[have] = '\0';
	return text;
}

static bool
is_name(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 64)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 127)
			return false;
	return true;
}

/* "name:x:id[:gid]…": in place. */
static bool
parse_line(char *line, bool is_passwd, struct entry *ret)
{
	char *f[4];

	for (unsigned i = 0; i < 4; i++) {
		f[i] = strsep(&line, ":");
		if (!f[i] && i < (is_passwd ? 4u : 3u))
			return false;
	}
	if (!is_name(f[0]) || !*f[2] || f[2][strspn(f[2], "0123456789")])
		return false;
	*ret = (struct entry){f[0], (uint32_t)strtoul(f[2], NULL, 10),
	    is_passwd ? (uint32_t)strtoul(f[3], NULL, 10) : 0};
	return true;
}

static int
by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->e_id < y->e_id ? -1 : x->e_id > y->e_id;
}

static struct users *
load(struct users *u, const char *path, bool is_passwd)
{
	size_t room = 0;

	if (u->u_read)
		return u;
	u->u_read = true;
	u->u_text = read_file(path);
	for (char *s = u->u_text, *line; s && (line = strsep(&s, "\n"));) {
		if (u->u_n == room) {
			room = room ? room * 2 : 64;
			u->u_v = xrealloc(u->u_v, room * sizeof(u->u_v[0]));
		}
		u->u_n += parse_line(line, is_passwd, &u->u_v[u->u_n]);
	}
	if (u->u_n)
		qsort(u->u_v, u->u_n, sizeof(u->u_v[0]), by_id);
	return u;
}

static const char *
find_id(const struct users *u, uint32_t id)
{
	const struct entry key = {NULL, id, 0}, *e;

	e = bsearch(&key, u->u_v, u->u_n, sizeof(u->u_v[0]), by_id);
	return e ? e->e_name : NULL;
}

static const struct entry *
find_name(const struct users *u, const char *name)
{
	for (size_t i = 0; i < u->u_n; i++)
		if (strcmp(u->u_v[i].e_name, name) == 0)
			return &u->u_v[i];
	return NULL;
}

const char *
owner_user(uid_t uid)
{
	static struct passwd *last;
	const struct users *u = load(&users, "/etc/passwd", true);

	if (u->u_n)
		return find_id(u, uid);
	if (!last || last->pw_uid != uid)
		last = getpwuid(uid);
	return last ? last->pw_name : NULL;
}

const char *
owner_group(gid_t gid)
{
	static struct group *last;
	const struct users *u = load(&groups, "/etc/group", false);

	if (u->u_n)
		return find_id(u, gid);
	if (!last || last->gr_gid != gid)
		last = getgrgid(gid);
	return last ? last->gr_name : NULL;
}

/* All digits, and not (uid_t)-1, which stands for "as it is". */
static bool
number(const char *text, uint32_t *ret)
{
	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 10)
		return false;
	unsigned long long n = strtoull(text, NULL, 10);
	if (n >= UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

int
owner_find_user(const char *text, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct users *u = load(&users, "/etc/passwd", true);
	const struct entry *e = find_name(u, text);
	struct passwd *pw;
	uint32_t id;

	if (e) {
		*ret_uid = e->e_id;
		*ret_gid = e->e_gid;
	} else if (!u->u_n && (pw = getpwnam(text))) {
		*ret_uid = pw->pw_uid;
		*ret_gid = pw->pw_gid;
	} else if (number(text, &id)) {
		*ret_uid = id;
		*ret_gid = (gid_t)-1;
	} else {
		return -ENOENT;
	}
	return 0;
}

int
owner_find_group(const char *text, gid_t *ret)
{
	const struct users *u = load(&groups, "/etc/group", false);
	const struct entry *e = find_name(u, text);
	struct group *gr;
	uint32_t id;

	if (e)
		*ret = e->e_id;
	else if (!u->u_n && (gr = getgrnam(text)))
		*ret = gr->gr_gid;
	else if (number(text, &id))
		*ret = id;
	else
		return -ENOENT;
	return 0;
}
