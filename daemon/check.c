/*
 * rumpfuse --check: the resolved keys and images as a table (apply.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/apply.h"
#include "daemon/log.h"

enum {
	COL_KEY,
	COL_TYPE,
	COL_BEGIN,
	COL_SIZE,
	COL_ACCESS,
	COL_HOST,
	NCOLS
};

struct row {
	char *cell[NCOLS];
};

static void
row_fill(struct row *row, const struct etfs_info *i)
{
	bool dir = i->ei_type == ETFS_DIR || i->ei_type == ETFS_DIR_SUBDIRS;
	bool sized = !dir && !i->ei_missing;
	char begin[32] = "-", size[32] = "-";
	char *host = NULL;

	if (sized) {
		snprintf(begin, sizeof(begin), "%" PRIu64, i->ei_begin);
		snprintf(size, sizeof(size), "%" PRIu64, i->ei_size);
	}
	if (asprintf(&host, "%s%s", i->ei_host, i->ei_missing ? " (missing)" : "") < 0)
		host = NULL;
	row->cell[COL_KEY] = strdup(i->ei_key);
	row->cell[COL_TYPE] =
	    strdup(i->ei_type == ETFS_AUTO ? "-" : etfs_type_name(i->ei_type));
	row->cell[COL_BEGIN] = strdup(begin);
	row->cell[COL_SIZE] = strdup(size);
	row->cell[COL_ACCESS] = strdup(i->ei_rdonly ? "ro" : "rw");
	row->cell[COL_HOST] = host;
}

/* An image, with the range of its host file where it lies on one. */
static void
row_fill_image(struct row *row, const struct conf_mount *cm, const struct mounted *md)
{
	char begin[32] = "-", size[32] = "-";
	struct etfs_info i;
	char *host = NULL;

	if (image_host(md->md_image, &i)) {
		snprintf(begin, sizeof(begin), "%" PRIu64, i.ei_begin);
		snprintf(size, sizeof(size), "%" PRIu64, i.ei_size);
	}
	if (asprintf(&host, "%s%s", md->md_device ? md->md_device : "-",
		cm->cm_device ? " (device)" : "") < 0)
		host = NULL;
	row->cell[COL_KEY] = strdup(cm->cm_path);
	row->cell[COL_TYPE] = strdup(image_type(md->md_image));
	row->cell[COL_BEGIN] = strdup(begin);
	row->cell[COL_SIZE] = strdup(size);
	row->cell[COL_ACCESS] = strdup(image_rdonly(md->md_image) ? "ro" : "rw");
	row->cell[COL_HOST] = host;
}

static void
table_print(const struct row *rows, size_t n)
{
	int width[NCOLS] = {0};

	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < NCOLS; c++) {
			int len = rows[i].cell[c] ? (int)strlen(rows[i].cell[c]) : 0;

			if (len > width[c])
				width[c] = len;
		}
	}
	for (size_t i = 0; i < n; i++) {
		for (int c = 0; c < NCOLS; c++) {
			const char *text = rows[i].cell[c] ? rows[i].cell[c] : "";
			bool number = c == COL_BEGIN || c == COL_SIZE;

			if (c == COL_HOST)
				printf("%s\n", text); /* no blanks at the end of a line */
			else
				printf("%*s  ", number ? width[c] : -width[c], text);
		}
	}
}

static void
warn_overlap(const struct etfs_info *a, const struct etfs_info *b, void *arg)
{
	(void)arg;
	log_msg(LOG_WARNING,
	    "warning: keys %s and %s are windows of %s that overlap, and %s can be written",
	    a->ei_key, b->ei_key, a->ei_host,
	    a->ei_rdonly   ? b->ei_key
	    : b->ei_rdonly ? a->ei_key
			   : "both");
}

void
space_print(struct space *sp, const struct conf *c)
{
	static const char *const heads[NCOLS] = {
	    "key", "type", "begin", "size", "access", "host"};
	struct row *rows = calloc(c->c_netfs + c->c_nmounts + 1, sizeof(*rows));
	struct etfs_info info;
	size_t n = 0;

	if (!rows) {
		log_msg(LOG_ERR, "out of memory");
		return;
	}
	for (int k = 0; k < NCOLS; k++)
		rows[0].cell[k] = strdup(heads[k]);
	for (size_t i = 0; i < c->c_netfs; i++)
		if (etfs_find(sp->sp_etfs, c->c_etfs[i].ce_path, &info) == 0)
			row_fill(&rows[++n], &info);
	for (size_t i = 0; i < c->c_nmounts; i++) {
		const struct mounted *md = images_find(sp, c->c_mounts[i].cm_path);

		if (md)
			row_fill_image(&rows[++n], &c->c_mounts[i], md);
	}
	table_print(rows, n + 1);
	for (size_t i = 0; i <= n; i++)
		for (int k = 0; k < NCOLS; k++)
			free(rows[i].cell[k]);
	free(rows);
	etfs_overlaps(sp->sp_etfs, warn_overlap, NULL);
}
