/*
 * Directories: an index of the names of each that is in use.
 *
 * The index is built when the directory is first looked at, by one walk over its blocks, and
 * kept in step with every change: a dirtab of name → inode, type, and the block the entry is
 * in; and for each block the largest room in it.  So finding is O(1), and an entry is added or
 * removed by changing one block, found without a search on the device.  The dirtab's sequence
 * numbers are the cookies of listings.
 *
 * All indexes together have at most NAMES_MAX names; then those that were used least recently
 * go, except of directories that are open.
 *
 * The image's own index (htree) is not kept: the kernel's hash order is of no use here, and
 * half an index is worse than none.  The first change of such a directory makes its index
 * blocks blocks without entries and takes the flag away, as libext2fs does; e2fsck -D makes
 * it anew.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "vfs/image/ext/ext.h"

#define NAMES_MAX     (1u << 20)
#define DIR_NAMES_MAX (16u << 20)
#define LBLK_LIMIT    (1u << 29)

/* d_room of a block of a hash tree. */
#define ROOM_INDEX UINT16_MAX

#define COOKIE_DOT    (DIR_COOKIE_BASE + 1)
#define COOKIE_DOTDOT (DIR_COOKIE_BASE + 2)

_Static_assert(sizeof(void *) >= 8, "an entry's value is packed into a pointer");

static void *
ent_pack(const struct ext_ent *x)
{
	return (void *)(uintptr_t)((uint64_t)x->ent_lblk << 35 |
				   (uint64_t)(x->ent_type & 7) << 32 | x->ent_ino);
}

static struct ext_ent
ent_unpack(const void *value)
{
	uint64_t v = (uintptr_t)value;

	return (struct ext_ent){(ext2_ino_t)v, v >> 32 & 7, (uint32_t)(v >> 35)};
}

static void
ring_del(struct ext *e, struct ext_dir *d)
{
	d->d_next->d_prev = d->d_prev;
	d->d_prev->d_next = d->d_next;
	if (e->e_dirs == d)
		e->e_dirs = d->d_next == d ? NULL : d->d_next;
}

static void
ring_add(struct ext *e, struct ext_dir *d)
{
	struct ext_dir *first = e->e_dirs;

	if (first) {
		d->d_next = first;
		d->d_prev = first->d_prev;
		d->d_prev->d_next = d;
		first->d_prev = d;
	} else {
		d->d_next = d->d_prev = d;
	}
	e->e_dirs = d;
}

static void
dir_free(struct ext_dir *d)
{
	dirtab_done(&d->d_tab);
	free(d->d_room);
	free(d);
}

void
ext_dir_drop(struct ext *e, struct ext_node *dir)
{
	struct ext_dir *d = dir->en_dir;

	if (!d)
		return;
	ring_del(e, d);
	e->e_dir_names -= dirtab_count(&d->d_tab);
	dir->en_dir = NULL;
	dir_free(d);
}

/* Too many names: the oldest indexes go, but not keep's. */
static void
shed(struct ext *e, const struct ext_dir *keep)
{
	struct ext_dir *d = e->e_dirs ? e->e_dirs->d_prev : NULL, *prev;

	while (d && e->e_dir_names > NAMES_MAX) {
		bool last = d == e->e_dirs;

		prev = d->d_prev;
		if (d != keep && atomic_load(&d->d_node->en_nopen) == 0)
			ext_dir_drop(e, d->d_node);
		if (last)
			break;
		d = prev;
	}
}

struct loading {
	struct ext *ld_ext;
	struct ext_dir *ld_dir;
	bool ld_indexed; /* it has a hash tree */
	unsigned ld_nth; /* record of the block */
	bool ld_is_index;
	uint32_t ld_lblk;
};

static int
load_entry(void *arg, struct ext2_dir_entry *de, unsigned reclen)
{
	struct loading *ld = arg;
	unsigned nth = ld->ld_nth++, len = (unsigned)ext2fs_dirent_name_len(de);
	struct ext_ent x = {de->inode, (uint8_t)ext2fs_dirent_file_type(de), ld->ld_lblk};
	char text[NAME_LEN_MAX + 1];
	struct name n;
	int r;

	if (ld->ld_indexed && ((de->inode == 0 && reclen == ld->ld_ext->e_bs) ||
				  (ld->ld_lblk == 0 && nth == 1)))
		ld->ld_is_index = true;
	if (de->inode == 0)
		return 0;
	memcpy(text, de->name, len);
	text[len] = '\0';
	if (ld->ld_lblk == 0 && nth < 2)
		return strcmp(text, nth == 0 ? "." : "..") == 0 ? 0 : -EUCLEAN;
	if (name_init_len(&n, text, len) < 0 || memchr(text, 0, len))
		return -EUCLEAN;
	if (!ext2fs_has_feature_filetype(ld->ld_ext->e_fs->super) || x.ent_type > 7)
		x.ent_type = 0;
	if (dirtab_count(&ld->ld_dir->d_tab) >= DIR_NAMES_MAX)
		return -EFBIG;
	r = dirtab_add(&ld->ld_dir->d_tab, &n, ent_pack(&x));
	/* Twice the same name: the first is the one that is found. */
	return r == -EEXIST ? 0 : r;
}

/* Records of a directory in its inode. */
static int
load_inline(ext2_ino_t ino, int entry, struct ext2_dir_entry *de, int offset,
    int blocksize, char *buf, void *arg)
{
	struct loading *ld = arg;
	int *ret = (int *)(void *)&ld->ld_nth;
	char text[NAME_LEN_MAX + 1];
	unsigned len = (unsigned)ext2fs_dirent_name_len(de);
	struct ext_ent x = {de->inode, (uint8_t)ext2fs_dirent_file_type(de), 0};
	struct name n;

	(void)ino;
	(void)offset;
	(void)blocksize;
	(void)buf;
	(void)entry;
	if (de->inode == 0)
		return 0;
	memcpy(text, de->name, len);
	text[len] = '\0';
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return 0;
	if (name_init_len(&n, text, len) < 0 || memchr(text, 0, len)) {
		*ret = EUCLEAN;
		return DIRENT_ABORT;
	}
	x.ent_type = x.ent_type > 7 ? 0 : x.ent_type;
	if (dirtab_add(&ld->ld_dir->d_tab, &n, ent_pack(&x)) == -ENOMEM) {
		*ret = ENOMEM;
		return DIRENT_ABORT;
	}
	return 0;
}

/* Room for the rooms of n blocks. */
static int
grow_rooms(struct ext_dir *d, uint32_t n)
{
	uint32_t cap = d->d_cap ? d->d_cap : 8;
	uint16_t *p;

	if (n <= d->d_cap)
		return 0;
	while (cap < n)
		cap *= 2;
	p = realloc(d->d_room, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	d->d_room = p;
	d->d_cap = cap;
	return 0;
}

static void
set_room(struct ext_dir *d, uint32_t lblk, uint32_t room)
{
	d->d_room[lblk] = (uint16_t)(room / 4);
}

static int
read_dirblk(struct ext *e, struct ext_node *dir, uint32_t lblk, uint64_t *ret_pblk)
{
	struct ext_run run;
	int r = ext_map_find_locked(e, dir, lblk, &run);

	if (r < 0)
		return r;
	if (run.r_kind != RUN_DATA)
		return -EUCLEAN;
	*ret_pblk = run.r_pblk;
	return ext_err(
	    ext2fs_read_dir_block4(e->e_fs, run.r_pblk, e->e_dbuf, 0, ext_ino(dir)));
}

static int
write_dirblk(struct ext *e, struct ext_node *dir, uint64_t pblk)
{
	return ext_err(
	    ext2fs_write_dir_block4(e->e_fs, pblk, e->e_dbuf, 0, ext_ino(dir)));
}

static int
load_blocks(struct loading *ld, struct ext_node *dir)
{
	struct ext *e = ld->ld_ext;
	struct ext_dir *d = ld->ld_dir;
	uint64_t n = ext_size(dir) >> e->e_bits, pblk;
	int r;

	/* No more blocks than the image has, whatever it says. */
	if (n >= LBLK_LIMIT || n > ext2fs_blocks_count(e->e_fs->super) ||
	    (ext_size(dir) & (e->e_bs - 1)))
		return -EUCLEAN;
	r = grow_rooms(d, (uint32_t)n);
	for (; r == 0 && d->d_nblk < n; d->d_nblk++) {
		ld->ld_lblk = d->d_nblk;
		ld->ld_nth = 0;
		ld->ld_is_index = false;
		r = read_dirblk(e, dir, d->d_nblk, &pblk);
		if (r == 0)
			r = ext_blk_each(e, e->e_dbuf, load_entry, ld);
		if (r < 0)
			break;
		set_room(d, d->d_nblk, ext_blk_room(e, e->e_dbuf));
		if (ld->ld_is_index)
			d->d_room[d->d_nblk] = ROOM_INDEX;
	}
	return r;
}

static int
build(struct ext *e, struct ext_node *dir, struct ext_dir *d)
{
	struct loading ld = {
	    .ld_ext = e,
	    .ld_dir = d,
	    .ld_indexed = dir->en_i.i_flags & EXT2_INDEX_FL,
	};
	int r;

	if (!ext_is_inline(dir))
		return load_blocks(&ld, dir);
	r = ext_err(
	    ext2fs_dir_iterate2(e->e_fs, ext_ino(dir), 0, NULL, load_inline, &ld));
	return r == 0 && ld.ld_nth ? -(int)ld.ld_nth : r;
}

int
ext_dir_load(struct ext *e, struct ext_node *dir)
{
	struct ext_dir *d = dir->en_dir;
	int r;

	if (d) {
		if (e->e_dirs != d) {
			ring_del(e, d);
			ring_add(e, d);
		}
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->d_node = dir;
	dirtab_init(&d->d_tab, COOKIE_DOTDOT);
	r = build(e, dir, d);
	if (r < 0) {
		dir_free(d);
		return r;
	}
	dir->en_dir = d;
	ring_add(e, d);
	e->e_dir_names += dirtab_count(&d->d_tab);
	shed(e, d);
	return 0;
}

int
ext_dir_find(struct ext *e, struct ext_node *dir, const struct name *n,
    struct ext_ent *ret, struct dirent_node **ret_de)
{
	struct dirent_node *de;
	int r = ext_dir_load(e, dir);

	if (r < 0)
		return r;
	de = dirtab_find(&dir->en_dir->d_tab, n);
	if (!de)
		return -ENOENT;
	*ret = ent_unpack(de->de_value);
	if (ret_de)
		*ret_de = de;
	return 0;
}

bool
ext_dir_empty(struct ext *e, struct ext_node *dir)
{
	return ext_dir_load(e, dir) == 0 && dirtab_count(&dir->en_dir->d_tab) == 0;
}

/* The names, which were in the inode, are in one block.  They are the same ones, and in the
 * index already. */
static int
leave_inode(struct ext *e, struct ext_node *dir)
{
	struct ext_dir *d = dir->en_dir;
	uint64_t pblk;
	int r = grow_rooms(d, 1);

	if (r == 0)
		r = ext_inline_expand(e, dir);
	if (r < 0)
		return r;
	r = read_dirblk(e, dir, 0, &pblk);
	if (r < 0) {
		ext_dir_drop(e, dir);
		return r;
	}
	d->d_nblk = 1;
	set_room(d, 0, ext_blk_room(e, e->e_dbuf));
	return 0;
}

/* Before the first change: names in blocks, and no hash tree over them. */
static int
make_plain(struct ext *e, struct ext_node *dir)
{
	struct ext_dir *d = dir->en_dir;
	int r = 0;

	if (ext_is_inline(dir))
		return leave_inode(e, dir);
	if (!(dir->en_i.i_flags & EXT2_INDEX_FL))
		return 0;
	for (uint32_t i = 0; r == 0 && i < d->d_nblk; i++) {
		uint64_t pblk;

		if (d->d_room[i] != ROOM_INDEX)
			continue;
		r = read_dirblk(e, dir, i, &pblk);
		if (r < 0)
			break;
		ext_blk_unindex(e, e->e_dbuf, i == 0);
		r = write_dirblk(e, dir, pblk);
		set_room(d, i, ext_blk_room(e, e->e_dbuf));
	}
	if (r < 0)
		return r;
	dir->en_i.i_flags &= ~(uint32_t)EXT2_INDEX_FL;
	return ext_node_write(e, dir);
}

/* A block that has room for an entry, or d_nblk: none. */
static uint32_t
find_room(const struct ext_dir *d, unsigned need)
{
	for (uint32_t i = d->d_hint; i < d->d_nblk; i++)
		if (d->d_room[i] >= need && d->d_room[i] != ROOM_INDEX)
			return i;
	for (uint32_t i = 0; i < d->d_hint && i < d->d_nblk; i++)
		if (d->d_room[i] >= need && d->d_room[i] != ROOM_INDEX)
			return i;
	return d->d_nblk;
}

static int
init_block(void *arg, uint64_t pblk, uint64_t n)
{
	(void)arg;
	(void)pblk;
	(void)n;
	return 0;
}

/* One more block, empty. */
static int
extend(struct ext *e, struct ext_node *dir, uint64_t *ret_pblk)
{
	struct ext_dir *d = dir->en_dir;
	uint64_t size = ext_size(dir) + e->e_bs, n;
	int r = ext_have_room(e, 1, true);

	if (r == 0 && size > INT32_MAX && !ext2fs_has_feature_largedir(e->e_fs->super))
		r = -ENOSPC;
	if (r == 0)
		r = grow_rooms(d, d->d_nblk + 1);
	if (r == 0)
		r = ext_alloc(
		    e, dir, d->d_nblk, 1, RUN_DATA, init_block, NULL, ret_pblk, &n);
	if (r < 0)
		return r;
	ext_blk_init(e, e->e_dbuf);
	r = write_dirblk(e, dir, *ret_pblk);
	if (r < 0)
		return r;
	set_room(d, d->d_nblk, ext_blk_room(e, e->e_dbuf));
	d->d_nblk++;
	(void)ext2fs_inode_size_set(e->e_fs, ext_i(dir), (ext2_off64_t)size);
	return ext_node_write(e, dir);
}

/* Puts it into a block; e_dbuf has that block then. */
static int
place(struct ext *e, struct ext_node *dir, const struct name *n, struct ext_ent *x)
{
	struct ext_dir *d = dir->en_dir;
	uint32_t lblk = find_room(d, (8u + n->n_len + 3) / 4);
	uint64_t pblk;
	int r =
	    lblk < d->d_nblk ? read_dirblk(e, dir, lblk, &pblk) : extend(e, dir, &pblk);

	if (r == 0)
		r = ext_blk_add(e, e->e_dbuf, n, x->ent_ino, x->ent_type);
	if (r == 0)
		r = write_dirblk(e, dir, pblk);
	if (r < 0)
		return r;
	set_room(d, lblk, ext_blk_room(e, e->e_dbuf));
	d->d_hint = lblk;
	x->ent_lblk = lblk;
	return 0;
}

int
ext_dir_add(struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino,
    enum vtype type)
{
	struct ext_ent x = {ino, ext_ft(e, type), 0};
	struct dirent_node *spare;
	int r = ext_dir_load(e, dir);

	if (r == 0)
		r = dirtab_reserve(&dir->en_dir->d_tab, n, &spare);
	if (r < 0)
		return r;
	r = ext_is_inline(dir) ? ext_inline_add(e, dir, n, ino, x.ent_type) : -ENOSPC;
	if (r == -ENOSPC) {
		r = make_plain(e, dir);
		if (r == 0)
			r = place(e, dir, n, &x);
	}
	if (r < 0) {
		free(spare);
		return r;
	}
	dirtab_add_spare(&dir->en_dir->d_tab, spare, ent_pack(&x));
	e->e_dir_names++;
	shed(e, dir->en_dir);
	return 0;
}

/* The entry's block, in e_dbuf, without the name. */
static int
take_out(struct ext *e, struct ext_node *dir, const struct name *n, uint32_t lblk)
{
	uint64_t pblk;
	int r;

	if (ext_is_inline(dir))
		return ext_inline_del(e, dir, n);
	r = make_plain(e, dir);
	if (r == 0)
		r = read_dirblk(e, dir, lblk, &pblk);
	if (r == 0)
		r = ext_blk_del(e, e->e_dbuf, n);
	if (r == 0)
		r = write_dirblk(e, dir, pblk);
	if (r == 0)
		set_room(dir->en_dir, lblk, ext_blk_room(e, e->e_dbuf));
	return r;
}

int
ext_dir_del(struct ext *e, struct ext_node *dir, const struct name *n)
{
	struct dirent_node *de = NULL;
	struct ext_ent x = {0};
	int r = ext_dir_find(e, dir, n, &x, &de);

	if (r == 0)
		r = take_out(e, dir, n, x.ent_lblk);
	if (r < 0)
		return r;
	dirtab_remove(&dir->en_dir->d_tab, de);
	e->e_dir_names--;
	return 0;
}

/* The entry's block with another inode. */
static int
redirect(
    struct ext *e, struct ext_node *dir, const struct name *n, const struct ext_ent *x)
{
	uint64_t pblk;
	int r;

	if (ext_is_inline(dir))
		return ext_inline_set(e, dir, n, x->ent_ino, x->ent_type);
	r = make_plain(e, dir);
	if (r == 0)
		r = read_dirblk(e, dir, x->ent_lblk, &pblk);
	if (r == 0)
		r = ext_blk_set(e, e->e_dbuf, n, x->ent_ino, x->ent_type);
	return r < 0 ? r : write_dirblk(e, dir, pblk);
}

int
ext_dir_set(struct ext *e, struct ext_node *dir, const struct name *n, ext2_ino_t ino,
    enum vtype type)
{
	struct dirent_node *de;
	struct ext_ent x;
	int r = ext_dir_find(e, dir, n, &x, &de);

	if (r < 0)
		return r;
	x.ent_ino = ino;
	x.ent_type = ext_ft(e, type);
	r = redirect(e, dir, n, &x);
	if (r == 0)
		de->de_value = ent_pack(&x);
	return r;
}

int
ext_dir_set_dotdot(struct ext *e, struct ext_node *dir, ext2_ino_t ino)
{
	static const struct name dotdot = {"..", 0, 2};
	struct ext_ent x = {ino, ext_ft(e, VDIR), 0};
	int r = ext_dir_load(e, dir);

	return r < 0 ? r : redirect(e, dir, &dotdot, &x);
}

int
ext_dir_init(struct ext *e, struct ext_node *dir, ext2_ino_t parent)
{
	uint64_t pblk, n;
	char *blk;
	int r = ext_have_room(e, 1, true);

	if (r == 0)
		r = ext_alloc(e, dir, 0, 1, RUN_DATA, init_block, NULL, &pblk, &n);
	if (r == 0)
		r = ext_err(ext2fs_new_dir_block(e->e_fs, ext_ino(dir), parent, &blk));
	if (r < 0)
		return r;
	r = ext_err(ext2fs_write_dir_block4(e->e_fs, pblk, blk, 0, ext_ino(dir)));
	ext2fs_free_mem(&blk);
	if (r < 0)
		return r;
	dir->en_i.i_size = e->e_bs;
	return ext_node_write(e, dir);
}

/* With its vnode where that can be had: an inode that is damaged is listed all the same. */
static bool
list_one(struct ext *e, struct vnode *dvp, struct dirbuf *db,
    const struct dirent_node *de, uint64_t cookie)
{
	static const unsigned char dts[8] = {
	    DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK};
	struct ext_ent x = ent_unpack(de->de_value);
	unsigned char dt = dts[x.ent_type];
	struct ext_node *en = NULL;

	if (db->db_want_vnodes && ext_node_get(e, x.ent_ino, dvp, &en) == 0)
		dt = vtype_to_dt(ext_vn(en)->v_type);
	else
		en = NULL;
	if (dirbuf_add(db, x.ent_ino, cookie, dt, de->de_name, de->de_len,
		en ? ext_vn(en) : NULL))
		return true;
	if (en)
		vn_unref(ext_vn(en));
	return false;
}

int
ext_readdir(struct vnode *dvp, struct file *f, struct dirbuf *db, bool merged)
{
	struct ext_node *dir = ext_node_of(dvp), *up;
	struct ext *e = ext_of(dvp);
	struct dirent_node *de;
	uint64_t seq = db->db_cookie;
	uint32_t pos = 0;
	int r;

	(void)f;
	(void)merged;
	ext_touch_atime(e, dir);
	AUTO_EXT(e);
	r = ext_dir_load(e, dir);
	if (r < 0)
		return r;
	up = ext_node_above(dir);
	if (!up)
		up = dir;
	if (seq < COOKIE_DOT &&
	    !dirbuf_add(db, ext_ino(dir), COOKIE_DOT, DT_DIR, ".", 1, NULL))
		return 0;
	if (seq < COOKIE_DOTDOT &&
	    !dirbuf_add(db, ext_ino(up), COOKIE_DOTDOT, DT_DIR, "..", 2, NULL))
		return 0;
	if (seq < COOKIE_DOTDOT)
		seq = COOKIE_DOTDOT;
	/* A directory without links has no names either. */
	while ((de = dirtab_next(&dir->en_dir->d_tab, &seq, &pos)))
		if (!list_one(e, dvp, db, de, seq))
			return 0;
	return 0;
}
