/*
 * libarchive over a stream of ours (archive_private.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/image/archive/archive_private.h"

int
stream_read(const struct stream *st, void *buf, size_t len, uint64_t off)
{
	ssize_t n;

	if (!st->st_seq)
		return device_read(st->st_dev, buf, len, off);
	n = seq_read(st->st_seq, buf, len, off);
	return n < 0 ? (int)n : (size_t)n < len ? -EIO : 0;
}

/* Fewer than len bytes at the end of the stream. */
static ssize_t
stream_some(const struct stream *st, void *buf, size_t len, uint64_t off)
{
	uint64_t size;
	int r;

	if (st->st_seq)
		return seq_read(st->st_seq, buf, len, off);
	size = device_size(st->st_dev);
	if (off >= size)
		return 0;
	if (len > size - off)
		len = (size_t)(size - off);
	r = device_read(st->st_dev, buf, len, off);
	return r < 0 ? r : (ssize_t)len;
}

static la_ssize_t
la_read_cb(struct archive *a, void *arg, const void **ret_buf)
{
	struct la *la = arg;
	ssize_t n = la->la_pos < la->la_limit
	                ? stream_some(&la->la_st, la->la_buf, LA_BUF, la->la_pos)
	                : -EFBIG;

	if (n < 0) {
		la->la_error = (int)n;
		archive_set_error(a, (int)-n, "%s", strerrordesc_np((int)-n));
		return ARCHIVE_FATAL;
	}
	la->la_buf_at = la->la_pos;
	la->la_buf_len = (size_t)n;
	la->la_pos += (uint64_t)n;
	la->la_got += (uint64_t)n;
	if (la->la_pg && la->la_pg->pg_what) {
		la->la_pg->pg_done = la->la_pos;
		PROGRESS_TELL(la->la_pg, 0);
	}
	*ret_buf = la->la_buf;
	return n;
}

static la_int64_t
la_skip_cb(struct archive *a, void *arg, la_int64_t n)
{
	struct la *la = arg;

	/* A device that ends there ends the skip. */
	if (la->la_st.st_dev && !la->la_st.st_seq) {
		uint64_t size = device_size(la->la_st.st_dev);
		uint64_t left = la->la_pos < size ? size - la->la_pos : 0;

		if ((uint64_t)n > left)
			n = (la_int64_t)left;
	}
	la->la_pos += (uint64_t)n;
	return n;
}

/* Of devices only, whose size is known. */
static la_int64_t
la_seek_cb(struct archive *a, void *arg, la_int64_t off, int whence)
{
	struct la *la = arg;
	uint64_t size = device_size(la->la_st.st_dev);
	la_int64_t base = whence == SEEK_SET   ? 0
	                  : whence == SEEK_CUR ? (la_int64_t)la->la_pos
	                                       : (la_int64_t)size;
	la_int64_t to;

	if (__builtin_add_overflow(base, off, &to) || to < 0 || (uint64_t)to > size)
		return ARCHIVE_FAILED;
	la->la_pos = (uint64_t)to;
	return to;
}

/* One by one: what returns a warning would run a program. */
static void
add_filters(struct archive *a)
{
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_bzip2(a);
	(void)archive_read_support_filter_compress(a);
	(void)archive_read_support_filter_lzma(a);
	(void)archive_read_support_filter_xz(a);
	(void)archive_read_support_filter_lzip(a);
	(void)archive_read_support_filter_lz4(a);
	(void)archive_read_support_filter_zstd(a);
}

/* Not: mtree, which reads files that a text names; warc. */
static void
add_formats(struct archive *a, enum la_mode mode, bool rar)
{
	switch (mode) {
	case LA_INDEX:
		(void)archive_read_support_format_zip_seekable(a);
		(void)archive_read_support_format_7zip(a);
		(void)archive_read_support_format_iso9660(a);
		(void)archive_read_support_format_cab(a);
		(void)archive_read_support_format_xar(a);
		/* Their decoders have a history. */
		if (rar) {
			(void)archive_read_support_format_rar(a);
			(void)archive_read_support_format_rar5(a);
			(void)archive_read_support_format_lha(a);
		}
		/* fall through */
	case LA_INDEX_TEXT:
		(void)archive_read_support_format_tar(a);
		(void)archive_read_support_format_cpio(a);
		(void)archive_read_support_format_ar(a);
		break;
	case LA_ZIP_MEMBER:
		(void)archive_read_support_format_zip_streamable(a);
		break;
	case LA_UNFILTER:
	case LA_SIGHT:
		add_filters(a);
		(void)archive_read_support_format_raw(a);
		break;
	}
}

static int
la_errno(struct la *la)
{
	int e = la->la_error ? -la->la_error : archive_errno(la->la_a);

	return la->la_error || e == ENOMEM ? -e : -EUCLEAN;
}

int
la_open(struct la *la, const struct stream *st, uint64_t at, enum la_mode mode, bool rar,
    char text[128])
{
	int r = -ENOMEM;

	memset(la, 0, sizeof(*la));
	la->la_st = *st;
	la->la_pos = at;
	la->la_limit = UINT64_MAX;
	la->la_a = archive_read_new();
	la->la_buf = malloc(LA_BUF);
	if (!la->la_a || !la->la_buf)
		goto fail;
	add_formats(la->la_a, mode, rar);
	archive_read_set_read_callback(la->la_a, la_read_cb);
	archive_read_set_skip_callback(la->la_a, la_skip_cb);
	if (!st->st_seq && mode != LA_ZIP_MEMBER)
		archive_read_set_seek_callback(la->la_a, la_seek_cb);
	archive_read_set_callback_data(la->la_a, la);
	if (archive_read_open1(la->la_a) == ARCHIVE_OK)
		return 0;
	r = la_errno(la);
	if (text)
		snprintf(text, 128, "%s", archive_error_string(la->la_a));
fail:
	la_close(la);
	return r;
}

void
la_close(struct la *la)
{
	if (la->la_a)
		archive_read_free(la->la_a);
	free(la->la_buf);
	la->la_a = NULL;
	la->la_buf = NULL;
}

int
la_next(struct la *la, struct archive_entry **ret)
{
	for (unsigned i = 0; i < 16; i++) {
		int r = archive_read_next_header(la->la_a, ret);

		if (r == ARCHIVE_OK || r == ARCHIVE_WARN)
			return 1;
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_RETRY)
			break;
	}
	return la_errno(la);
}

int
la_data(struct la *la, const void **ret_buf, size_t *ret_len, uint64_t *ret_off)
{
	/* Some formats give empty blocks in between. */
	for (unsigned i = 0; i < 4096; i++) {
		la_int64_t off;
		int r = archive_read_data_block(la->la_a, ret_buf, ret_len, &off);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return -EIO;
		if (off < 0)
			return -EIO;
		*ret_off = (uint64_t)off;
		if (*ret_len)
			return 1;
		if (r == ARCHIVE_WARN)
			return -EIO; /* what it warns of will not get better */
	}
	return -EIO;
}

int
ar_compressed(struct device *d)
{
	struct stream st = {.st_dev = d};
	struct archive_entry *e;
	struct la la;
	int r;

	if (device_size(d) == 0)
		return 0;
	r = la_open(&la, &st, 0, LA_SIGHT, false, NULL);
	if (r < 0)
		return r == -EUCLEAN ? 0 : r;
	/* One of them is "none". */
	r = la_next(&la, &e) > 0 && archive_filter_count(la.la_a) > 1;
	la_close(&la);
	return r;
}
