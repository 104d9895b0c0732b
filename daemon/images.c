/*
 * The images of a namespace (images.h).
 */
#include "daemon/images.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/apply.h"
#include "daemon/log.h"
#include "daemon/manager.h"
#include "vfs/image/fstype.h"
#include "vfs/namei.h"
#include "vfs/progress.h"

/* How long files may be open that have just been closed. */
#define BUSY_WAIT_MS  500
#define BUSY_PAUSE_MS 20

static struct mounted *
find(const struct space *sp, const char *path)
{
	for (size_t i = sp->sp_images.is_n; i-- > 0;)
		if (strcmp(image_path(sp->sp_images.is_all[i].md_image), path) == 0)
			return &sp->sp_images.is_all[i];
	return NULL;
}

const struct mounted *
images_find(const struct space *sp, const char *path)
{
	return find(sp, path);
}

/* Is path in a place that an empty directory stands in for? */
static bool
is_blank(const struct space *sp, const char *path)
{
	for (size_t i = 0; i < sp->sp_images.is_n; i++) {
		const struct mounted *md = &sp->sp_images.is_all[i];
		const char *at = image_path(md->md_image);
		size_t len = strcmp(at, "/") == 0 ? 0 : strlen(at);

		if (md->md_blank && strncmp(path, at, len) == 0 && path[len] == '/')
			return true;
	}
	return false;
}

static bool
is_there(struct space *sp, const char *path)
{
	AUTO_VNODE vp = NULL;

	return namei(&sp->sp_vfs, path, &vp) == 0;
}

/* Is this one that cannot be looked at? */
static bool
must_be_blank(struct space *sp, const struct conf_mount *cm)
{
	const struct space_how *how = &sp->sp_how;

	return (how->sh_runs && how->sh_runs(cm, how->sh_arg)) ||
	       (cm->cm_device && is_blank(sp, cm->cm_device) &&
		   !is_there(sp, cm->cm_device));
}

static void
make_spec(const struct space *sp, const struct conf_mount *cm, struct image_spec *ret)
{
	*ret = (struct image_spec){
	    .is_path = cm->cm_path,
	    .is_type = cm->cm_vfs ? cm->cm_vfs : "auto",
	    .is_device = cm->cm_device,
	    .is_host = cm->cm_host,
	    .is_begin = cm->cm_begin,
	    .is_size = cm->cm_size == CONF_SIZE_END ? ETFS_SIZE_END : cm->cm_size,
	    .is_partition = cm->cm_partition,
	    .is_no_lock = cm->cm_no_lock,
	    .is_options = cm->cm_options,
	    .is_uid = cm->cm_set_uid ? cm->cm_uid : sp->sp_uid,
	    .is_gid = cm->cm_set_gid ? cm->cm_gid : sp->sp_gid,
	    .is_rdonly = cm->cm_rdonly || sp->sp_how.sh_rdonly,
	    .is_check = sp->sp_how.sh_check,
	};
}

static int
mount_blank(struct space *sp, const struct conf_mount *cm, struct mounted *ret,
    struct image_why *why)
{
	struct image_spec spec = {
	    .is_path = cm->cm_path, .is_type = "rumpfs", .is_check = true};

	ret->md_blank = true;
	return image_mount(&sp->sp_vfs, sp->sp_etfs, &spec, &ret->md_image, why);
}

static int
mount_one(struct space *sp, const struct conf_mount *cm, struct mounted *ret,
    struct image_why *why)
{
	struct image_spec spec;
	int r;

	if (must_be_blank(sp, cm))
		return mount_blank(sp, cm, ret, why);
	make_spec(sp, cm, &spec);
	r = image_mount(&sp->sp_vfs, sp->sp_etfs, &spec, &ret->md_image, why);
	if (r == -EINPROGRESS && sp->sp_how.sh_runs)
		r = mount_blank(sp, cm, ret, why);
	return r;
}

int
images_mount(struct space *sp, const struct conf_mount *cm)
{
	struct images *is = &sp->sp_images;
	struct mounted md = {NULL}, *all;
	struct image_why why = {{0}};
	int r = 0;

	all = reallocarray(is->is_all, is->is_n + 1, sizeof(*all));
	if (all)
		is->is_all = all;
	if (cm->cm_device || cm->cm_host) {
		md.md_device = strdup(cm->cm_device ? cm->cm_device : cm->cm_host);
		r = md.md_device ? 0 : -ENOMEM;
	}
	manager_at(cm->cm_path, md.md_device);
	r = all && r == 0 ? mount_one(sp, cm, &md, &why) : -ENOMEM;
	manager_at(NULL, NULL);
	if (r < 0) {
		apply_complain(
		    &cm->cm_where, LOG_ERR, why.iw_text[0] ? why.iw_text : strerror(-r));
		free(md.md_device);
		return r;
	}
	/* What a check is told is told again when it is mounted. */
	if (why.iw_text[0] && !sp->sp_how.sh_runs)
		apply_complain(&cm->cm_where, LOG_WARNING, why.iw_text);
	all[is->is_n++] = md;
	return 0;
}

/* 0 or -errno: it is still there. */
static int
unmount(struct space *sp, struct mounted *md, bool force)
{
	struct images *is = &sp->sp_images;
	const char *path = image_path(md->md_image);
	char *copy = strdup(path);
	bool gone;
	int r = image_unmount(&sp->sp_vfs, md->md_image, force, &gone);

	if (gone) {
		if (r < 0) {
			log_msg(LOG_ERR, "image at %s: it could not be written back: %s",
			    copy ? copy : "?", strerror(-r));
			is->is_error = r;
			r = 0;
		}
		free(md->md_device);
		is->is_n--;
		memmove(md, md + 1,
		    (size_t)(is->is_all + is->is_n - md) * sizeof(struct mounted));
	}
	free(copy);
	return r;
}

int
images_unmount(struct space *sp, const char *path)
{
	const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000};
	struct mounted *md = find(sp, path);
	int r = md ? unmount(sp, md, false) : -ENOENT;

	/* close(2) does not wait until the kernel has told us. */
	for (int ms = 0; r == -EBUSY && ms < BUSY_WAIT_MS; ms += BUSY_PAUSE_MS) {
		nanosleep(&pause, NULL);
		r = unmount(sp, md, false);
	}

	if (r < 0 && md)
		log_msg(LOG_ERR, "image at %s: it cannot be unmounted: %s", path,
		    r == -EBUSY ? "files are open in it, or another is mounted from it"
				: strerror(-r));
	return r;
}

void
images_sync(struct space *sp)
{
	for (size_t i = sp->sp_images.is_n; i-- > 0;) {
		struct mounted *md = &sp->sp_images.is_all[i];
		int r;

		manager_at(image_path(md->md_image), md->md_device);
		r = image_rdonly(md->md_image) ? 0 : image_sync(md->md_image);
		manager_at(NULL, NULL);
		/* Told once, not every time. */
		if (r < 0 && r != md->md_error)
			log_msg(LOG_ERR, "image at %s: it could not be written back: %s",
			    image_path(md->md_image), strerror(-r));
		md->md_error = r;
	}
}

void
images_set_rdonly(struct space *sp, bool rdonly)
{
	for (size_t i = 0; i < sp->sp_images.is_n; i++) {
		struct image *im = sp->sp_images.is_all[i].md_image;
		struct mount *mp = image_root_peek(im)->v_mount;

		if (rdonly)
			atomic_fetch_or(&mp->mnt_flags, MNT_RDONLY);
		else if (!image_rdonly(im))
			atomic_fetch_and(&mp->mnt_flags, ~(unsigned)MNT_RDONLY);
	}
	if (rdonly)
		images_sync(sp);
}

bool
images_writable(const struct space *sp)
{
	for (size_t i = 0; i < sp->sp_images.is_n; i++)
		if (sp->sp_images.is_all[i].md_device &&
		    !image_rdonly(sp->sp_images.is_all[i].md_image))
			return true;
	return false;
}

struct keys {
	char **ks_all;
	size_t ks_n;
};

static int
add_key(const struct etfs_info *i, void *arg)
{
	struct keys *ks = arg;
	char **all = reallocarray(ks->ks_all, ks->ks_n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	ks->ks_all = all;
	all[ks->ks_n] = strdup(i->ei_key);
	return all[ks->ks_n] ? (ks->ks_n++, 0) : -ENOMEM;
}

/* What lies over an image needs a place elsewhere when that goes, and there may be no room
 * for it: keys that are no device go first then. */
static void
remove_keys(struct space *sp)
{
	struct keys ks = {NULL, 0};

	(void)etfs_each(sp->sp_etfs, add_key, &ks);
	while (ks.ks_n > 0) {
		(void)etfs_remove(sp->sp_etfs, ks.ks_all[--ks.ks_n]);
		free(ks.ks_all[ks.ks_n]);
	}
	free(ks.ks_all);
}

int
images_end(struct space *sp)
{
	struct images *is = &sp->sp_images;
	struct progress pg = {
	    .pg_what = "writing back", .pg_unit = "images", .pg_total = is->is_n};
	int r;

	while (is->is_n > 0) {
		struct mounted *last = &is->is_all[is->is_n - 1];

		pg.pg_done = pg.pg_total - is->is_n;
		PROGRESS_TELL(&pg, 0);
		r = unmount(sp, last, true);
		if (r < 0) {
			remove_keys(sp);
			r = unmount(sp, last, true);
		}
		if (r < 0) { /* not to be had off; its bytes are at least written */
			log_msg(LOG_ERR, "image at %s: it cannot be unmounted: %s",
			    image_path(last->md_image), strerror(-r));
			(void)image_sync(last->md_image);
			free(last->md_device);
			is->is_error = r;
			is->is_n--;
		}
	}
	PROGRESS_TELL(&pg, 1);
	free(is->is_all);
	is->is_all = NULL;
	return is->is_error;
}

static int
print_type(const struct fstype *t, void *arg)
{
	(void)arg;
	printf("%-10s %-2s  %s\n", t->ft_name, t->ft_flags & FT_RDONLY ? "ro" : "rw",
	    t->ft_title ? t->ft_title : "");
	return 0;
}

void
images_print_types(void)
{
	image_types_load();
	(void)fstype_each(print_type, NULL);
}
