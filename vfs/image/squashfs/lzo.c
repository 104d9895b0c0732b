/*
 * LZO for libsquashfs, which leaves it out: liblzo2 is under the GPL.
 */
#include <lzo/lzo1x.h>

#include "vfs/image/squashfs/sqfs.h"

static sqfs_s32
lzo_do_block(sqfs_compressor_t *cmp, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
    sqfs_u32 outsize)
{
	lzo_uint len = outsize;

	/* Neither reads nor writes beyond what it is given. */
	if (lzo1x_decompress_safe(in, size, out, &len, NULL) != LZO_E_OK)
		return SQFS_ERROR_COMPRESSOR;
	return (sqfs_s32)len;
}

static void
lzo_destroy(sqfs_object_t *obj)
{
	free(obj);
}

static sqfs_object_t *
lzo_copy(const sqfs_object_t *obj)
{
	sqfs_compressor_t *cmp = malloc(sizeof(*cmp));

	if (cmp)
		memcpy(cmp, obj, sizeof(*cmp));
	return (sqfs_object_t *)cmp;
}

int
sq_lzo_create(sqfs_compressor_t **ret)
{
	sqfs_compressor_t *cmp = calloc(1, sizeof(*cmp));

	if (!cmp)
		return -ENOMEM;
	cmp->base.destroy = lzo_destroy;
	cmp->base.copy = lzo_copy;
	cmp->do_block = lzo_do_block;
	*ret = cmp;
	return 0;
}
