/*
 * Modules of libukfs: file system types, loaded (vfs/image/fstype.h).
 */
#include "vfs/image/fstype.h"
#include "vfs/ukfs/ukfs_private.h"

int
ukfs_modload(const char *file)
{
	int r = uk_ready();

	if (r == 0)
		r = file ? fstype_load(file, NULL, 0) : -EFAULT;
	return (int)uk_ret(r);
}

int
ukfs_modload_dir(const char *dir)
{
	int r = uk_ready();

	if (r == 0)
		r = dir ? fstype_load_dir(dir) : -EFAULT;
	return (int)uk_ret(r);
}

/* Names on their way into the buffer. */
struct names {
	char *n_buf;
	size_t n_size, n_len;
};

static void
add(struct names *n, const char *text)
{
	for (; *text; text++, n->n_len++)
		if (n->n_len < n->n_size)
			n->n_buf[n->n_len] = *text;
}

static int
add_type(const struct fstype *t, void *arg)
{
	struct names *n = arg;

	if (n->n_len)
		add(n, " ");
	add(n, t->ft_name);
	return 0;
}

ssize_t
ukfs_vfstypes(char *buf, size_t size)
{
	struct names n = {buf, buf ? size : 0, 0};
	int r = uk_ready();

	if (r < 0)
		return uk_ret(r);
	image_types_load();
	fstype_each(add_type, &n);
	if (n.n_len < n.n_size)
		buf[n.n_len] = '\0';
	return (ssize_t)n.n_len;
}
