/*
 * Nodes and inodes: found, made, written, freed.
 *
 * A node has its inode's fields (en_i), the same as on the device: each change is written by
 * ext_node_write() before the mutex is let go.  Attributes that are kept in the inode behind
 * those fields are the library's (ext_xattr.c), which reads and writes inodes by itself; then
 * the node's are read again (ext_node_reload), and what was not written would be lost.
 *
 * A file without a name is on the mount's list of orphans until its last user has gone, or
 * the image is unmounted; then its blocks and its number are given back.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "vfs/image/ext/ext.h"

#define EA_MAGIC 0xea020000u

/* m: en_i from the buffer, and what else follows from it. */
static int
take_inode(struct ext *e, struct ext_node *en, ext2_ino_t ino)
{
	size_t isize = EXT2_INODE_SIZE(e->e_fs->super), at;
	struct ext2_inode_large *i = &en->en_i;
	uint32_t magic = 0;
	int r = ext_err(ext2fs_read_inode_full(
	    e->e_fs, ino, (struct ext2_inode *)e->e_ibuf, (int)isize));

	if (r < 0)
		return r;
	memset(i, 0, sizeof(*i));
	memcpy(i, e->e_ibuf, isize < sizeof(*i) ? isize : sizeof(*i));
	/* There the second half is something else. */
	if (!S_ISREG(i->i_mode) && !ext2fs_has_feature_largedir(e->e_fs->super))
		i->i_size_high = 0;
	at = 128u + i->i_extra_isize;
	if (isize > 128 && at + sizeof(magic) <= isize)
		memcpy(&magic, e->e_ibuf + at, sizeof(magic));
	en->en_noxattr = magic != EA_MAGIC && i->i_file_acl == 0 &&
	                 i->osd2.linux2.l_i_file_acl_high == 0;
	return 0;
}

static int
check_inode(struct ext *e, const struct ext2_inode_large *i)
{
	uint64_t acl;

	if (i->i_links_count == 0 || vtype_of_mode(i->i_mode) == 0)
		return -EUCLEAN;
	if (i->i_flags & EXT4_EA_INODE_FL)
		return -EUCLEAN;
	if (EXT2_I_SIZE(i) > INT64_MAX)
		return -EUCLEAN;
	acl = ext2fs_file_acl_block(e->e_fs, (const struct ext2_inode *)i);
	if (acl && !ext_blocks_ok(e, acl, 1))
		return -EUCLEAN;
	return 0;
}

static int
node_alloc(struct ext *e, enum vtype type, ext2_ino_t ino, const struct ext_node *from,
    struct ext_node **ret)
{
	struct ext_node *en = calloc(1, sizeof(*en));
	int r;

	if (!en)
		return -ENOMEM;
	en->en_i = from->en_i;
	en->en_noxattr = from->en_noxattr;
	r = imgnode_init(&en->en_in, &e->e_im, &ext_vops, type, ino);
	if (r < 0) {
		free(en);
		return r;
	}
	pthread_rwlock_init(&en->en_lock, NULL);
	pthread_mutex_init(&en->en_map_mtx, NULL);
	*ret = en;
	return 0;
}

/* A directory has one place.  An image in which it has two could be walked for ever. */
static int
check_place(const struct ext_node *en, const struct vnode *dvp)
{
	const struct vnode *vp = &en->en_in.in_vn;

	return vp->v_type == VDIR && dvp && vp->v_parent != dvp ? -EUCLEAN : 0;
}

int
ext_node_get(struct ext *e, ext2_ino_t ino, struct vnode *dvp, struct ext_node **ret)
{
	struct ext_node *en = (struct ext_node *)inotab_find(&e->e_im, ino), tmp;
	int r;

	if (en) {
		r = check_place(en, dvp);
		if (r < 0)
			vn_unref(ext_vn(en));
		else
			*ret = en;
		return r;
	}
	if (ino > e->e_fs->super->s_inodes_count ||
	    (ino != EXT2_ROOT_INO && ino < EXT2_FIRST_INO(e->e_fs->super)))
		return -EUCLEAN;
	if (ino == EXT2_ROOT_INO && dvp)
		return -EUCLEAN;
	r = take_inode(e, &tmp, ino);
	if (r == 0)
		r = check_inode(e, &tmp.en_i);
	if (r == 0)
		r = node_alloc(e, vtype_of_mode(tmp.en_i.i_mode), ino, &tmp, &en);
	if (r < 0)
		return r;
	if (ext_vn(en)->v_type == VDIR && dvp)
		ext_vn(en)->v_parent = vn_ref(dvp); /* nobody else knows it yet */
	*ret = (struct ext_node *)inotab_enter(&e->e_im, &en->en_in);
	return 0;
}

int
ext_node_get_orphan(struct ext *e, ext2_ino_t ino, struct ext_node **ret)
{
	struct ext_node tmp, *en;
	int r = take_inode(e, &tmp, ino);

	if (r == 0 &&
	    (vtype_of_mode(tmp.en_i.i_mode) == 0 || tmp.en_i.i_flags & EXT4_EA_INODE_FL))
		r = -EUCLEAN;
	if (r == 0)
		r = node_alloc(e, vtype_of_mode(tmp.en_i.i_mode), ino, &tmp, &en);
	if (r == 0)
		*ret = (struct ext_node *)inotab_enter(&e->e_im, &en->en_in);
	return r;
}

int
ext_node_write(struct ext *e, struct ext_node *en)
{
	return ext_err(
	    ext2fs_write_inode_full(e->e_fs, ext_ino(en), ext_i(en), sizeof(en->en_i)));
}

int
ext_node_reload(struct ext *e, struct ext_node *en)
{
	struct ext_node tmp;
	const unsigned char *from = (const unsigned char *)&tmp.en_i;
	unsigned char *to = (unsigned char *)&en->en_i;
	int r = take_inode(e, &tmp, ext_ino(en));

	if (r < 0)
		return r;
	/* Only what has changed: others read the size and the flags under l alone, and those
	 * change with the contents. */
	for (size_t k = 0; k < sizeof(tmp.en_i); k++)
		if (to[k] != from[k])
			to[k] = from[k];
	en->en_noxattr = tmp.en_noxattr;
	return 0;
}

/* m.  Is a number that the bitmap has as free another's?  What has never been written in the
 * inode table may be anything, and so may what its checksum is wrong for: nobody has that. */
static bool
is_taken(struct ext *e, ext2_ino_t ino)
{
	ext2_filsys fs = e->e_fs;
	struct imgnode *known = inotab_find(&e->e_im, ino);
	dgrp_t g = ext2fs_group_of_ino(fs, ino);
	uint32_t per = fs->super->s_inodes_per_group;
	struct ext2_inode i;

	if (known) {
		vn_unref(&known->in_vn);
		return true;
	}
	if (ino < EXT2_FIRST_INO(fs->super))
		return true;
	if (ext2fs_has_group_desc_csum(fs) &&
	    (ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT) ||
		(ino - 1) % per >= per - ext2fs_bg_itable_unused(fs, g)))
		return false;
	if (ext2fs_read_inode(fs, ino, &i))
		return false;
	return i.i_links_count != 0 || (i.i_mode != 0 && i.i_dtime == 0);
}

/* m.  The bitmap's half of a new inode; what it is found by must be on the device before
 * anybody relies on it. */
static int
take_number(struct ext *e, struct ext_node *dir, enum vtype type, ext2_ino_t *ret)
{
	ext2_filsys fs = e->e_fs;
	bool isdir = type == VDIR;
	uint32_t unused;
	uint16_t flags;
	dgrp_t g;
	int r;

	if (fs->super->s_free_inodes_count == 0)
		return -ENOSPC;
	r = ext_err(
	    ext2fs_new_inode(fs, ext_ino(dir), isdir ? S_IFDIR : S_IFREG, NULL, ret));
	if (r < 0)
		return r;
	if (is_taken(e, *ret))
		return ext_wrong(e);
	g = ext2fs_group_of_ino(fs, *ret);
	unused = ext2fs_bg_itable_unused(fs, g);
	flags = ext2fs_bg_flags(fs, g);
	ext2fs_inode_alloc_stats2(fs, *ret, 1, isdir);
	if (unused != ext2fs_bg_itable_unused(fs, g) || flags != ext2fs_bg_flags(fs, g))
		e->e_gdt_dirty[g / EXT2_DESC_PER_BLOCK(fs->super)] = true;
	return 0;
}

static void
set_device(struct ext2_inode_large *i, uint64_t rdev)
{
	unsigned ma = major(rdev), mi = minor(rdev);

	if (ma < 256 && mi < 256)
		i->i_block[0] = ma << 8 | mi;
	else
		i->i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

static void
set_owner(struct ext_node *en, const struct ext_node *dir, const struct cred *cr)
{
	struct ext2_inode_large *i = &en->en_i;
	uint32_t uid = cr ? cr->cr_uid : 0, gid = cr ? cr->cr_gid : 0;

	if (dir->en_i.i_mode & S_ISGID) {
		gid = ext_gid(dir);
		if (S_ISDIR(i->i_mode))
			i->i_mode |= S_ISGID;
	}
	i->i_uid = (uint16_t)uid;
	i->osd2.linux2.l_i_uid_high = (uint16_t)(uid >> 16);
	i->i_gid = (uint16_t)gid;
	i->osd2.linux2.l_i_gid_high = (uint16_t)(gid >> 16);
}

/* m: en_i of a new inode, all but its links, contents and attributes. */
static void
fill_inode(struct ext *e, struct ext_node *en, struct ext_node *dir,
    const struct vmake *mk, const struct cred *cr)
{
	struct ext2_super_block *sb = e->e_fs->super;
	struct ext2_inode_large *i = &en->en_i;
	struct timespec now;

	memset(i, 0, sizeof(*i));
	i->i_mode = (uint16_t)(vtype_to_ifmt(mk->vm_type) | (mk->vm_mode & 07777));
	if (EXT2_INODE_SIZE(sb) > 128) {
		i->i_extra_isize = sizeof(*i) - 128;
		if (EXT2_INODE_SIZE(sb) < sizeof(*i))
			i->i_extra_isize = (uint16_t)(EXT2_INODE_SIZE(sb) - 128);
	}
	set_owner(en, dir, cr);
	i->i_flags = ext_flags_below(dir, mk->vm_type);
	vfs_now(&now);
	i->i_generation = (uint32_t)((uint64_t)now.tv_nsec * 2654435761u ^
				     (uint64_t)now.tv_sec ^ (uintptr_t)en >> 4);
	ext_touch(e, en, EXT_ATIME | EXT_MTIME | EXT_CTIME | EXT_BTIME);
	if (mk->vm_type == VCHR || mk->vm_type == VBLK)
		set_device(i, mk->vm_rdev);
	if (ext2fs_has_feature_extents(sb) &&
	    (mk->vm_type == VREG || mk->vm_type == VDIR)) {
		struct ext3_extent_header *eh = (void *)i->i_block;

		i->i_flags |= EXT4_EXTENTS_FL;
		eh->eh_magic = ext2fs_cpu_to_le16(EXT3_EXT_MAGIC);
		eh->eh_max = ext2fs_cpu_to_le16(
		    (sizeof(i->i_block) - sizeof(*eh)) / sizeof(struct ext3_extent));
	}
}

/* The whole inode, so that nothing of one that had the number before is left. */
static int
write_new(struct ext *e, struct ext_node *en)
{
	size_t isize = EXT2_INODE_SIZE(e->e_fs->super);

	memset(e->e_ibuf, 0, isize);
	memcpy(e->e_ibuf, &en->en_i, isize < sizeof(en->en_i) ? isize : sizeof(en->en_i));
	return ext_err(ext2fs_write_inode_full(
	    e->e_fs, ext_ino(en), (struct ext2_inode *)e->e_ibuf, (int)isize));
}

int
ext_node_new(struct ext *e, struct ext_node *dir, const struct vmake *mk,
    const struct cred *cr, struct ext_node **ret)
{
	struct ext_node tmp, *en;
	struct imgnode *known;
	ext2_ino_t ino;
	int r = take_number(e, dir, mk->vm_type, &ino);

	if (r < 0)
		return r;
	memset(&tmp, 0, sizeof(tmp));
	tmp.en_noxattr = true;
	fill_inode(e, &tmp, dir, mk, cr);
	r = node_alloc(e, mk->vm_type, ino, &tmp, &en);
	if (r < 0) {
		ext2fs_inode_alloc_stats2(e->e_fs, ino, -1, mk->vm_type == VDIR);
		return r;
	}
	/* From here on dropping it frees the number. */
	known = inotab_enter(&e->e_im, &en->en_in);
	if (known != &en->en_in) { /* en has gone */
		vn_unref(&known->in_vn);
		return ext_wrong(e);
	}
	ext_node_orphan(e, en);
	r = write_new(e, en);
	if (r < 0)
		vn_unref(ext_vn(en));
	else
		*ret = en;
	return r;
}

void
ext_node_orphan(struct ext *e, struct ext_node *en)
{
	if (en->en_orphan)
		return;
	en->en_orphan = true;
	en->en_oprev = NULL;
	en->en_onext = e->e_orphans;
	if (en->en_onext)
		en->en_onext->en_oprev = en;
	e->e_orphans = en;
}

void
ext_node_adopt(struct ext *e, struct ext_node *en)
{
	if (!en->en_orphan)
		return;
	en->en_orphan = false;
	if (en->en_onext)
		en->en_onext->en_oprev = en->en_oprev;
	if (en->en_oprev)
		en->en_oprev->en_onext = en->en_onext;
	else
		e->e_orphans = en->en_onext;
}

int
ext_node_free(struct ext *e, struct ext_node *en)
{
	struct ext2_inode_large *i = &en->en_i;
	bool isdir = ext_vn(en)->v_type == VDIR;
	int r = 0, e1;

	ext_node_adopt(e, en);
	ext_map_forget(en);
	if (!en->en_noxattr)
		r = ext_err(ext2fs_free_ext_attr(e->e_fs, ext_ino(en), i));
	if (ext2fs_inode_has_valid_blocks2(e->e_fs, ext_i(en))) {
		e1 = ext_punch(e, en, 0, UINT64_MAX);
		if (r == 0)
			r = e1;
	}
	/* What could not be given back is left to e2fsck, with the number. */
	if (r == -EUCLEAN)
		e->e_failed = true;
	i->i_links_count = 0;
	i->i_size = i->i_size_high = 0;
	i->i_dtime = (uint32_t)time(NULL);
	e1 = ext_node_write(e, en);
	/* A number whose inode may still be read as one in use is not given to another. */
	if (e1 == 0 && r != -EUCLEAN)
		ext2fs_inode_alloc_stats2(e->e_fs, ext_ino(en), -1, isdir);
	return r < 0 ? r : e1;
}

void
ext_node_reclaim(struct vnode *vp)
{
	struct ext_node *en = ext_node_of(vp);
	struct ext *e = ext_of(vp);

	pthread_mutex_lock(&e->e_mtx);
	ext_dir_drop(e, en);
	if (en->en_orphan) {
		if (!atomic_load(&e->e_dead) && ext_will_change(e) == 0)
			(void)ext_node_free(e, en);
		ext_node_adopt(e, en);
	}
	pthread_mutex_unlock(&e->e_mtx);
	free(en->en_map.m_runs);
	pthread_rwlock_destroy(&en->en_lock);
	pthread_mutex_destroy(&en->en_map_mtx);
	imgnode_done(&en->en_in); /* may free the mount */
	free(en);
}

int
ext_may_link(struct ext *e, const struct ext_node *en)
{
	if (en->en_i.i_links_count < EXT_LINK_MAX)
		return 0;
	return S_ISDIR(en->en_i.i_mode) && ext2fs_has_feature_dir_nlink(e->e_fs->super)
	           ? 0
	           : -EMLINK;
}

/* A directory with more subdirectories than can be counted has one link, and keeps it. */
void
ext_link_add(struct ext *e, struct ext_node *en, int delta)
{
	struct ext2_inode_large *i = &en->en_i;

	(void)e;
	if (S_ISDIR(i->i_mode) && i->i_links_count == 1)
		return;
	if (delta > 0 && i->i_links_count >= EXT_LINK_MAX)
		i->i_links_count = 1;
	else if (delta > 0 || i->i_links_count > 0)
		i->i_links_count = (uint16_t)(i->i_links_count + delta);
}
