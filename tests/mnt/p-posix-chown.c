/*
 * POSIX, name by name: chown, lchown, fchown, fchownat.  See posix.h.
 */
#include "posix.h"

#define SAME ((uid_t)-1)

GROUP(chown_root)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		mode_t mode = kind_type[k] | (k == LNK ? 0777 : 0755);

		about(kind_name[k]);
		make(k, "a", 0755, 0, 0);
		MARK("a", ".");
		OK(lchown("a", ANN_UID, OTHER));
		NODE("a", mode, ANN_UID, OTHER);
		MOVED("a", CT);
		MOVED(".", NONE);
		OK(lchown("a", SAME, CLUB));
		NODE("a", mode, ANN_UID, CLUB);
		OK(lchown("a", BOB_UID, SAME));
		NODE("a", mode, BOB_UID, CLUB);
		OK(fchownat(AT_FDCWD, "a", 1, 2, AT_SYMLINK_NOFOLLOW));
		NODE("a", mode, 1, 2);
		OK(lchown("a", 4294967294u, 4294967294u));
		NODE("a", mode, 4294967294u, 4294967294u);
		/* What it has already. */
		MARK("a");
		OK(lchown("a", 4294967294u, 4294967294u));
		MOVED("a", CT);
		/* By a descriptor that stands for the name only. */
		int fd = (int)MUST(open("a", O_PATH | O_NOFOLLOW));
		ERR(EBADF, fchown(fd, 0, 0));
		OK(fchownat(fd, "", ANN_UID, CLUB, AT_EMPTY_PATH));
		NODE("a", mode, ANN_UID, CLUB);
		close(fd);
		OK(take_away(k, "a"));
	}
}

/* What an owner may do: choose among the own groups. */
GROUP(chown_owner)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		mode_t mode = kind_type[k] | (k == LNK ? 0777 : 0755);

		about(kind_name[k]);
		make(k, "a", 0755, ANN_UID, OTHER);
		BY (ann) {
			MARK("a", ".");
			ERR(EPERM, lchown("a", BOB_UID, SAME));
			ERR(EPERM, lchown("a", 0, SAME));
			ERR(EPERM, lchown("a", BOB_UID, CLUB));
			ERR(EPERM, lchown("a", SAME, BOB_GID));
			ERR(EPERM, lchown("a", SAME, 0));
			ERR(EPERM, lchown("a", ANN_UID, BOB_GID));
			NODE("a", mode, ANN_UID, OTHER);
			MOVED("a", NONE);
			/* The group that it has, though ann is not of it. */
			OK(lchown("a", SAME, OTHER));
			OK(lchown("a", ANN_UID, SAME));
			NODE("a", mode, ANN_UID, OTHER);
			MARK("a", ".");
			OK(lchown("a", SAME, CLUB));
			NODE("a", mode, ANN_UID, CLUB);
			MOVED("a", CT);
			MOVED(".", NONE);
			OK(lchown("a", ANN_UID, ANN_GID));
			NODE("a", mode, ANN_UID, ANN_GID);
			/* There is no way back. */
			ERR(EPERM, lchown("a", SAME, OTHER));
		}
		OK(take_away(k, "a"));
	}
}

GROUP(chown_others)
{
	for (enum kind k = REG; k < NKINDS; k++) {
		mode_t mode = kind_type[k] | 0777;

		about(kind_name[k]);
		make(k, "a", 0777, BOB_UID, CLUB);
		MARK("a", ".");
		BY (ann) {
			ERR(EPERM, lchown("a", ANN_UID, SAME));
			ERR(EPERM, lchown("a", SAME, ANN_GID));
			ERR(EPERM, lchown("a", SAME, CLUB));
			ERR(EPERM, lchown("a", BOB_UID, SAME));
			ERR(EPERM, lchown("a", BOB_UID, CLUB));
			ERR(EPERM,
			    fchownat(AT_FDCWD, "a", ANN_UID, SAME, AT_SYMLINK_NOFOLLOW));
		}
		NODE("a", mode, BOB_UID, CLUB);
		MOVED("a", NONE);
		MOVED(".", NONE);
		OK(take_away(k, "a"));
	}
}

GROUP(chown_link)
{
	make(REG, "f", 0644, 0, 0);
	MUST(symlink("f", "l"));
	MUST(symlink("none", "dangling"));
	MARK("f", "l", ".");
	OK(chown("l", ANN_UID, ANN_GID));
	NODE("f", S_IFREG | 0644, ANN_UID, ANN_GID);
	NODE("l", S_IFLNK | 0777, 0, 0);
	MOVED("f", CT);
	T(after(l_stat("l").st_ctim, p_marks[1].st.st_ctim) == 0);
	MARK("f", "l", ".");
	OK(lchown("l", BOB_UID, BOB_GID));
	NODE("f", S_IFREG | 0644, ANN_UID, ANN_GID);
	NODE("l", S_IFLNK | 0777, BOB_UID, BOB_GID);
	MOVED("f", NONE);
	T(after(l_stat("l").st_ctim, p_marks[1].st.st_ctim) > 0);
	BY (bob)
		ERR(EPERM, chown("l", BOB_UID, BOB_GID));
	BY (ann) {
		OK(chown("l", SAME, CLUB));
		ERR(EPERM, lchown("l", SAME, CLUB));
		OK(fchownat(AT_FDCWD, "l", SAME, ANN_GID, 0));
	}
	NODE("f", S_IFREG | 0644, ANN_UID, ANN_GID);
	ERR(ENOENT, chown("dangling", 0, 0));
	OK(lchown("dangling", ANN_UID, CLUB));
	NODE("dangling", S_IFLNK | 0777, ANN_UID, CLUB);
	ERR(EINVAL, fchownat(AT_FDCWD, "f", 0, 0, 0x40000000));
}

GROUP(chown_fd)
{
	struct stat st;
	int fd, dir;

	make(REG, "f", 0644, 0, 0);
	make(DIRECTORY, "d", 0755, 0, 0);
	make(FIFO, "d/p", 0644, 0, 0);
	fd = (int)MUST(open("f", O_RDONLY));
	dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	MARK("f", "d");
	OK(fchown(fd, ANN_UID, OTHER));
	OK(fchown(dir, ANN_UID, OTHER));
	NODE("f", S_IFREG | 0644, ANN_UID, OTHER);
	NODE("d", S_IFDIR | 0755, ANN_UID, OTHER);
	MOVED("f", CT);
	MOVED("d", CT);
	OK(fchownat(dir, "p", BOB_UID, BOB_GID, 0));
	NODE("d/p", S_IFIFO | 0644, BOB_UID, BOB_GID);
	ERR(EBADF, fchown(-1, 0, 0));
	ERR(EBADF, fchownat(-1, "f", 0, 0, 0));
	ERR(ENOTDIR, fchownat(fd, "f", 0, 0, 0));
	MARK("f", "d");
	BY (bob) {
		ERR(EPERM, fchown(fd, BOB_UID, SAME));
		ERR(EPERM, fchown(dir, SAME, BOB_GID));
		OK(fchownat(dir, "p", BOB_UID, BOB_GID, 0));
	}
	BY (ann) {
		ERR(EPERM, fchown(fd, SAME, BOB_GID));
		ERR(EPERM, fchownat(dir, "p", ANN_UID, SAME, 0));
	}
	MOVED("f", NONE);
	MOVED("d", NONE);
	BY (ann) {
		OK(fchown(fd, SAME, CLUB));
		OK(fchown(dir, ANN_UID, ANN_GID));
	}
	NODE("f", S_IFREG | 0644, ANN_UID, CLUB);
	NODE("d", S_IFDIR | 0755, ANN_UID, ANN_GID);
	OK(unlink("f"));
	OK(fchown(fd, BOB_UID, CLUB));
	OK(fstat(fd, &st));
	IS(st.st_uid, BOB_UID);
	BY (ann)
		ERR(EPERM, fchown(fd, ANN_UID, CLUB));
	BY (bob)
		OK(fchown(fd, SAME, BOB_GID));
	OK(fstat(fd, &st));
	IS(st.st_gid, BOB_GID);
	close(fd);
	close(dir);
}

/*
 * Who owns what changes, and the set-id bits go, whoever does it; but not from a directory,
 * and the set-group-id bit of a file that its group may not execute is no set-id bit: it
 * stays for whom it could be set by.
 */
struct bits {
	mode_t before, by_root, by_ann;
};

static const struct bits bits[] = {
    {06777, 0777, 0777},
    {06755, 0755, 0755},
    {04755, 0755, 0755},
    {02755, 0755, 0755},
    {04644, 0644, 0644},
    {02644, 02644, 02644},
    {06744, 02744, 02744},
    {01755, 01755, 01755},
    {07777, 01777, 01777},
    {07711, 01711, 01711},
};

GROUP(chown_setid)
{
	static const enum kind kinds[] = {REG, FIFO, SOCK};

	for (size_t j = 0; j < 3; j++) {
		enum kind k = kinds[j];
		about(kind_name[k]);
		make(k, "a", 0644, ANN_UID, ANN_GID);
		for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
			MUST(chown("a", ANN_UID, ANN_GID));
			MUST(chmod("a", bits[i].before));
			OK(chown("a", BOB_UID, SAME));
			IS(perm("a"), bits[i].by_root);
			MUST(chmod("a", bits[i].before));
			OK(chown("a", SAME, OTHER));
			IS(perm("a"), bits[i].by_root);
			MUST(chown("a", ANN_UID, ANN_GID));
			MUST(chmod("a", bits[i].before));
			/* The owner that it has. */
			OK(chown("a", ANN_UID, ANN_GID));
			IS(perm("a"), bits[i].by_root);
			MUST(chmod("a", bits[i].before));
			BY (ann)
				OK(chown("a", SAME, CLUB));
			IS(perm("a"), bits[i].by_ann);
			MUST(chmod("a", bits[i].before));
			/* What fails leaves them. */
			BY (ann)
				ERR(EPERM, chown("a", SAME, OTHER));
			BY (bob)
				ERR(EPERM, chown("a", BOB_UID, SAME));
			IS(perm("a"), bits[i].before);
		}
		OK(take_away(k, "a"));
	}
}

GROUP(chown_setid_foreign_group)
{
	make(REG, "a", 0644, ANN_UID, OTHER);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		MUST(chown("a", ANN_UID, OTHER));
		MUST(chmod("a", bits[i].before));
		BY (ann)
			OK(chown("a", ANN_UID, CLUB));
		IS(perm("a"), bits[i].before & ~(mode_t)(S_ISUID | S_ISGID));
	}
}

GROUP(chown_setid_directory)
{
	make(DIRECTORY, "a", 0755, ANN_UID, ANN_GID);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		MUST(chown("a", ANN_UID, ANN_GID));
		MUST(chmod("a", bits[i].before));
		OK(chown("a", ANN_UID, ANN_GID));
		IS(perm("a"), bits[i].before);
		BY (ann)
			OK(chown("a", SAME, CLUB));
		IS(perm("a"), bits[i].before);
		OK(chown("a", BOB_UID, OTHER));
		IS(perm("a"), bits[i].before);
	}
}

/* Neither owner nor group: a change of nothing. */
GROUP(chown_nothing)
{
	make(REG, "a", 0755, ANN_UID, ANN_GID);
	OK(chown("a", SAME, SAME));
	NODE("a", S_IFREG | 0755, ANN_UID, ANN_GID);
	BY (ann)
		OK(chown("a", SAME, SAME));
	BY (bob)
		OK(chown("a", SAME, SAME));
	NODE("a", S_IFREG | 0755, ANN_UID, ANN_GID);
	make(DIRECTORY, "d", 06755, ANN_UID, ANN_GID);
	OK(chown("d", SAME, SAME));
	BY (bob)
		OK(chown("d", SAME, SAME));
	NODE("d", S_IFDIR | 06755, ANN_UID, ANN_GID);
	MARK("a", "d");
	OK(chown("a", SAME, SAME));
	MOVED("a", CT);
	MUST(chmod("a", 06755));
	OK(chown("a", SAME, SAME));
	IS(perm("a"), 0755);
	MUST(chmod("a", 06755));
	BY (ann)
		OK(chown("a", SAME, SAME));
	IS(perm("a"), 0755);
	MUST(chmod("a", 06755));
	/* To FUSE this is what comes with a stranger's write, which takes off more itself. */
	TAG("chown-nothing");
	BY (bob)
		ERR(EPERM, chown("a", SAME, SAME));
	TAG(NULL);
	IS(perm("a"), 06755);
	MUST(chmod("a", 02644));
	BY (ann)
		OK(chown("a", SAME, SAME));
	IS(perm("a"), 02644);
	TAG("chown-nothing");
	BY (bob)
		ERR(EPERM, chown("a", SAME, SAME));
	IS(perm("a"), 02644);
	TAG(NULL);
}
