/*
 * A compressed stream that is no archive: one file (archive_private.h).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "vfs/image/archive/archive_private.h"

/* What tar makes of no files: zeros, and no more of them than this. */
#define EMPTY_TAR 10240u

static bool
is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* How long it is, by running through it beside the cache, which it would only flood.
 * 0 or -errno: it does not go on after *ret_size bytes. */
static int
measure(struct ar *ar, uint64_t *ret_size, bool *ret_zero)
{
	const struct feed_ops *ops = &feed_filter_ops;
	struct feed *f;
	const void *buf;
	size_t len;
	bool zero = true;
	int r = ops->start(ar, 0, &f);

	if (r < 0)
		return r;
	while ((r = ops->next(f, &buf, &len)) > 0) {
		zero = zero && is_zero(buf, len);
		f->fd_pos += len;
		if (f->fd_pos > ar->ar_limit) {
			r = -EFBIG;
			break;
		}
	}
	*ret_size = f->fd_pos;
	*ret_zero = zero;
	ops->end(f);
	return r;
}

int
ar_raw(struct ar *ar, char *why, size_t why_len)
{
	struct tree *t = &ar->ar_tree;
	uint64_t size = 0;
	uint32_t node;
	bool zero = true;
	int r = measure(ar, &size, &zero);

	if (r == -EFBIG)
		return r;
	if (size == 0)
		return r < 0 ? r : -EUCLEAN;
	if (r == 0 && zero && size <= EMPTY_TAR)
		return 0;
	if (r < 0)
		snprintf(
		    why, why_len, "damaged after %llu bytes", (unsigned long long)size);
	r = tree_node(t, S_IFREG | 0444, &node);
	if (r < 0)
		return r;
	t->t_nodes[node].an_uid = t->t_uid;
	t->t_nodes[node].an_gid = t->t_gid;
	t->t_nodes[node].an_size = size;
	t->t_nodes[node].an_kind = DK_DIRECT;
	return tree_enter(t, 0, "data", 4, node);
}
