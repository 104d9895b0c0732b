/*
 * Copying: which file of several names was copied to where first.
 */
#include <stdlib.h>
#include <string.h>

#include "vfs/ukfs/tool/copy.h"
#include "vfs/ukfs/tool/tool.h"

struct copy_link {
	dev_t cl_dev;
	ino_t cl_ino;
	char *cl_path;
	struct copy_link *cl_next;
};

struct copy_links {
	struct copy_link **l_v;
	size_t l_n, l_room;
};

struct copy_links *
copy_links_new(void)
{
	struct copy_links *l = xmalloc(sizeof(*l));

	*l = (struct copy_links){.l_room = 256};
	l->l_v = xmalloc(l->l_room * sizeof(l->l_v[0]));
	memset(l->l_v, 0, l->l_room * sizeof(l->l_v[0]));
	return l;
}

void
copy_links_free(struct copy_links *l)
{
	for (size_t i = 0; i < l->l_room; i++) {
		for (struct copy_link *cl = l->l_v[i]; cl;) {
			struct copy_link *next = cl->cl_next;
			free(cl->cl_path);
			free(cl);
			cl = next;
		}
	}
	free(l->l_v);
	free(l);
}

static struct copy_link **
chain(const struct copy_links *l, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15u;

	return &l->l_v[(h >> 20) & (l->l_room - 1)];
}

static void
links_grow(struct copy_links *l)
{
	struct copy_links big = {.l_room = l->l_room * 2, .l_n = l->l_n};

	big.l_v = xmalloc(big.l_room * sizeof(big.l_v[0]));
	memset(big.l_v, 0, big.l_room * sizeof(big.l_v[0]));
	for (size_t i = 0; i < l->l_room; i++) {
		for (struct copy_link *cl = l->l_v[i]; cl;) {
			struct copy_link *next = cl->cl_next,
					 **to = chain(&big, cl->cl_dev, cl->cl_ino);
			cl->cl_next = *to;
			*to = cl;
			cl = next;
		}
	}
	free(l->l_v);
	*l = big;
}

const char *
copy_links_find(struct copy_links *l, dev_t dev, ino_t ino, const char *path)
{
	for (struct copy_link *cl = *chain(l, dev, ino); cl; cl = cl->cl_next)
		if (cl->cl_dev == dev && cl->cl_ino == ino)
			return cl->cl_path;
	if (l->l_n++ > l->l_room)
		links_grow(l);
	struct copy_link *cl = xmalloc(sizeof(*cl)), **to = chain(l, dev, ino);
	*cl = (struct copy_link){dev, ino, xstrdup(path), *to};
	*to = cl;
	return NULL;
}

void
copy_links_forget(struct copy_links *l, dev_t dev, ino_t ino)
{
	for (struct copy_link **p = chain(l, dev, ino); *p; p = &(*p)->cl_next) {
		struct copy_link *cl = *p;
		if (cl->cl_dev != dev || cl->cl_ino != ino)
			continue;
		*p = cl->cl_next;
		free(cl->cl_path);
		free(cl);
		l->l_n--;
		return;
	}
}
