/*
 * File system types and their modules (fstype.h).
 */
#include "vfs/image/fstype.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfs/image/inotab.h"

#define PREFIX "libukfs_"
#define SUFFIX ".so"

/* What detection is shown of an image: superblocks lie at its beginning, and iso9660's at
 * 32 KiB; a few have a mark at the end. */
#define HEAD_BYTES (192u << 10)
#define TAIL_BYTES (64u << 10)

static pthread_mutex_t types_mtx = PTHREAD_MUTEX_INITIALIZER; /* rank LEAF */
/* m: sorted by name.  A type stays for the life of the process. */
static struct fstype *types;

int
fstype_register(struct fstype *t)
{
	struct fstype **p = &types;
	int r = 0;

	if (t->ft_abi != FSTYPE_ABI || !t->ft_name || !t->ft_mount || !t->ft_name[0] ||
	    strpbrk(t->ft_name, " ,/"))
		return -EINVAL;
	lk_mutex(&types_mtx, LK_LEAF);
	while (*p && strcmp((*p)->ft_name, t->ft_name) < 0)
		p = &(*p)->ft_next;
	if (*p && strcmp((*p)->ft_name, t->ft_name) == 0) {
		r = -EEXIST;
	} else {
		t->ft_next = *p;
		*p = t;
	}
	lk_mutex_unlock(&types_mtx, LK_LEAF);
	return r;
}

/* The type after t (NULL: the first).  Types are only ever added: who comes meanwhile may be
 * missed. */
static struct fstype *
next_type(const struct fstype *t)
{
	struct fstype *next;

	lk_mutex(&types_mtx, LK_LEAF);
	next = t ? t->ft_next : types;
	lk_mutex_unlock(&types_mtx, LK_LEAF);
	return next;
}

const struct fstype *
fstype_find(const char *name)
{
	struct fstype *t;

	lk_mutex(&types_mtx, LK_LEAF);
	for (t = types; t && strcmp(t->ft_name, name) != 0;)
		t = t->ft_next;
	lk_mutex_unlock(&types_mtx, LK_LEAF);
	return t;
}

int
fstype_each(int (*fn)(const struct fstype *t, void *arg), void *arg)
{
	int r = 0;

	for (const struct fstype *t = NULL; r == 0 && (t = next_type(t));)
		r = fn(t, arg);
	return r;
}

/* Detection. */

/*
 * libblkid wants a file descriptor, and the device may be a file in another image.  It is
 * shown a memfd of the device's size with only the places filled in that it looks at.
 */
static void
ask_blkid(const struct fsprobe *p, char ret[32])
{
	uint64_t size = device_size(p->fp_dev);
	int fd = memfd_create("ukfs-probe", MFD_CLOEXEC);
	blkid_probe pr = blkid_new_probe();
	const char *type = NULL;
	char *tail = NULL;

	ret[0] = '\0';
	if (fd < 0 || !pr || ftruncate(fd, (off_t)size) < 0 ||
	    pwrite(fd, p->fp_head, p->fp_len, 0) != (ssize_t)p->fp_len)
		goto out;
	if (size > HEAD_BYTES + TAIL_BYTES && (tail = malloc(TAIL_BYTES)) &&
	    device_read(p->fp_dev, tail, TAIL_BYTES, size - TAIL_BYTES) == 0)
		(void)!pwrite(fd, tail, TAIL_BYTES, (off_t)(size - TAIL_BYTES));
	if (blkid_probe_set_device(pr, fd, 0, 0) == 0 &&
	    blkid_probe_enable_superblocks(pr, 1) == 0 &&
	    blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE) == 0 &&
	    blkid_do_safeprobe(pr) == 0 &&
	    blkid_probe_lookup_value(pr, "TYPE", &type, NULL) == 0)
		snprintf(ret, 32, "%s", type);
out:
	free(tail);
	if (pr)
		blkid_free_probe(pr);
	if (fd >= 0)
		close(fd);
}

const struct fstype *
fstype_detect(struct device *d, char ret_blkid[32])
{
	const struct fstype *best = NULL;
	size_t len = device_size(d) < HEAD_BYTES ? (size_t)device_size(d) : HEAD_BYTES;
	uint8_t *head = malloc(HEAD_BYTES);
	char blkid[32] = "";
	struct fsprobe p = {d, blkid, head, len};
	int sure = 0;

	if (head && device_read(d, head, len, 0) == 0) {
		ask_blkid(&p, blkid);
		for (const struct fstype *t = NULL; (t = next_type(t));) {
			int s = t->ft_probe ? t->ft_probe(&p) : 0;

			if (s > sure) {
				sure = s;
				best = t;
			}
		}
	}
	free(head);
	if (ret_blkid)
		memcpy(ret_blkid, blkid, sizeof(blkid));
	return best;
}

/* Modules. */

/* The linker's way of saying that something which may still come is missing. */
static bool
is_dependency(const char *text)
{
	return strstr(text, "undefined symbol") ||
	       strstr(text, "cannot open shared object file");
}

/*
 * Does a module use this vnode layer?  In a program that has the static library it brings the
 * shared one, with types and names of its own, unless the program shows what it has to
 * what it loads (ukfs(3)).
 */
static bool
is_ours(void)
{
	return dlsym(RTLD_DEFAULT, "vn_init") == (void *)vn_init &&
	       dlsym(RTLD_DEFAULT, "imgnode_get") == (void *)imgnode_get &&
	       dlsym(RTLD_DEFAULT, "device_read") == (void *)device_read;
}

int
fstype_load(const char *file, char *why, size_t why_len)
{
	char path[PATH_MAX];
	struct fstype *t;
	void *so;
	int r;

	if (why && why_len)
		why[0] = '\0';
	if (access(file, R_OK) < 0) {
		r = -errno;
		if (why)
			snprintf(why, why_len, "%s: %s", file, strerrordesc_np(-r));
		return r;
	}
	/* A bare name is a file here, not one of the linker's directories. */
	if (snprintf(path, sizeof(path), "%s%s", strchr(file, '/') ? "" : "./", file) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	dlerror();
	/* Modules may build on one another, so their symbols are everybody's. */
	so = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (!so) {
		const char *text = dlerror();

		if (why)
			snprintf(why, why_len, "%s", text ? text : file);
		return text && is_dependency(text) ? 0 : -ENOEXEC;
	}
	t = dlsym(so, "ukfs_fstype");
	r = t && is_ours() ? fstype_register(t) : -EINVAL;
	if (r == 0)
		return 1;
	if (r == -EEXIST && fstype_find(t->ft_name) == t)
		r = 1; /* loaded before */
	else if (why)
		snprintf(why, why_len, "%s: %s", file,
		    !t             ? "it has no symbol ukfs_fstype"
		    : !is_ours()   ? "the program is linked with another libukfs"
		    : r == -EEXIST ? "there is a type of that name"
				   : "it was made for another version");
	dlclose(so);
	return r;
}

static int
is_module(const struct dirent *de)
{
	size_t len = strlen(de->d_name);

	return len > strlen(PREFIX SUFFIX) &&
	       strncmp(de->d_name, PREFIX, strlen(PREFIX)) == 0 &&
	       strcmp(de->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

int
fstype_load_dir(const char *dir)
{
	struct dirent **all;
	int n = scandir(dir, &all, is_module, alphasort), loaded = 0, before;

	if (n < 0)
		return -errno;
	do {
		before = loaded;
		for (int i = 0; i < n; i++) {
			char path[PATH_MAX];

			if (!all[i])
				continue;
			snprintf(path, sizeof(path), "%s/%s", dir, all[i]->d_name);
			int r = fstype_load(path, NULL, 0);
			if (r == 0)
				continue; /* perhaps next time */
			loaded += r == 1;
			free(all[i]);
			all[i] = NULL;
		}
	} while (loaded > before);
	for (int i = 0; i < n; i++)
		free(all[i]);
	free(all);
	return loaded;
}

/* Is this the library as it was built, not installed?  Then its modules lie beside it. */
static bool
is_build(void)
{
	static const char dir[] = UKFS_BUILD_DIR "/";
	Dl_info di;

	return dladdr((const void *)&types, &di) && di.dli_fname &&
	       strncmp(di.dli_fname, dir, strlen(dir)) == 0;
}

const char *
fstype_dir(void)
{
	const char *dir = secure_getenv("UKFS_MODULES");

	if (dir && dir[0])
		return dir;
	return is_build() ? UKFS_BUILD_DIR : UKFS_MODULE_DIR;
}

static void
load_all(void)
{
	(void)fstype_load_dir(fstype_dir());
}

void
fstype_load_all(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_all);
}

int
fs_option(char **options, char **ret_name, char **ret_value)
{
	char *p = *options, *end;

	p += strspn(p, ",");
	if (!*p)
		return 0;
	end = p + strcspn(p, ",");
	*options = end;
	if (*end) {
		*end = '\0';
		*options = end + 1;
	}
	*ret_name = p;
	*ret_value = strchr(p, '=');
	if (*ret_value) {
		**ret_value = '\0';
		(*ret_value)++;
	}
	return 1;
}
