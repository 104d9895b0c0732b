/*
 * POSIX, name by name: chmod, fchmod, fchmodat.  See posix.h.
 */
#include "posix.h"

static const mode_t modes[] = {
    0, 0111, 0444, 0640, 0755, 01755, 02755, 04755, 06711, 07777};
#define NMODES (sizeof(modes) / sizeof(modes[0]))

GROUP(chmod_root)
{
	for (enum kind k = REG; k < LNK; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, ANN_UID, OTHER);
		for (size_t i = 0; i < NMODES; i++) {
			OK(chmod("a", modes[i]));
			NODE("a", kind_type[k] | modes[i], ANN_UID, OTHER);
		}
		MARK("a", ".");
		OK(chmod("a", 0600));
		MOVED("a", CT);
		MOVED(".", NONE);
		/* The mode that it has already is set again. */
		MARK("a");
		OK(chmod("a", 0600));
		MOVED("a", CT);
		/* Bits that are no permission are dropped. */
		OK(chmod("a", S_IFLNK | 0640));
		NODE("a", kind_type[k] | 0640, ANN_UID, OTHER);
		OK(fchmodat(AT_FDCWD, "a", 04711, 0));
		NODE("a", kind_type[k] | 04711, ANN_UID, OTHER);
		OK(take_away(k, "a"));
	}
}

GROUP(chmod_owner)
{
	OK(chmod(".", 0755));
	for (enum kind k = REG; k < LNK; k++) {
		about(kind_name[k]);
		make(k, "a", 0644, ANN_UID, ANN_GID);
		BY (ann) {
			for (size_t i = 0; i < NMODES; i++) {
				OK(chmod("a", modes[i]));
				NODE("a", kind_type[k] | modes[i], ANN_UID, ANN_GID);
			}
			MARK("a");
			OK(chmod("a", 0400));
			MOVED("a", CT);
		}
		MARK("a", ".");
		BY (bob) {
			ERR(EPERM, chmod("a", 0666));
			ERR(EPERM, fchmodat(AT_FDCWD, "a", 0400, 0));
		}
		NODE("a", kind_type[k] | 0400, ANN_UID, ANN_GID);
		MOVED("a", NONE);
		/* Write permission, and being of the group, are not enough. */
		MUST(chown("a", 0, CLUB));
		MUST(chmod("a", 0777));
		MARK("a", ".");
		BY (ann)
			ERR(EPERM, chmod("a", 0700));
		NODE("a", kind_type[k] | 0777, 0, CLUB);
		MOVED("a", NONE);
		MOVED(".", NONE);
		OK(take_away(k, "a"));
	}
}

/* An owner who is not of the group does not get the set-group-id bit. */
GROUP(chmod_setgid)
{
	static const mode_t with[] = {02755, 02744, 06755, 03777, 02000};

	for (enum kind k = REG; k < LNK; k++) {
		about(kind_name[k]);
		make(k, "other", 0644, ANN_UID, OTHER);
		make(k, "club", 0644, ANN_UID, CLUB);
		make(k, "bobs", 0644, BOB_UID, CLUB);
		BY (ann) {
			for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
				OK(chmod("other", with[i]));
				IS(perm("other"), with[i] & ~(mode_t)S_ISGID);
				OK(chmod("club", with[i]));
				IS(perm("club"), with[i]);
			}
		}
		BY (bob) {
			OK(chmod("bobs", 02755));
			IS(perm("bobs"), 0755);
		}
		OK(chmod("other", 02755));
		IS(perm("other"), 02755);
		/* What was given by root is lost with the next change. */
		BY (ann)
			OK(chmod("other", 02755));
		IS(perm("other"), 0755);
		OK(take_away(k, "other"));
		OK(take_away(k, "club"));
		OK(take_away(k, "bobs"));
	}
}

GROUP(chmod_link)
{
	make(REG, "f", 0644, ANN_UID, ANN_GID);
	MUST(symlink("f", "l"));
	MUST(symlink("l", "ll"));
	MUST(link("f", "hard"));
	MARK("f", "l", ".");
	OK(chmod("l", 0600));
	IS(perm("f"), 0600);
	IS(perm("hard"), 0600);
	IS(perm("l"), 0777);
	MOVED("f", CT);
	T(after(l_stat("l").st_ctim, p_marks[1].st.st_ctim) == 0);
	MOVED(".", NONE);
	OK(chmod("ll", 0640));
	IS(perm("f"), 0640);
	BY (ann) {
		/* The link is root's; the file counts. */
		OK(chmod("ll", 0664));
		IS(perm("f"), 0664);
	}
	BY (bob)
		ERR(EPERM, chmod("ll", 0666));
	ERR(EOPNOTSUPP, fchmodat(AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
	IS(perm("l"), 0777);
	IS(perm("f"), 0664);
	ERR(EINVAL, fchmodat(AT_FDCWD, "f", 0600, 0x40000000));
	OK(unlink("f"));
	ERR(ENOENT, chmod("l", 0600));
}

GROUP(chmod_fd)
{
	int fd, dir, path;

	make(REG, "f", 0644, ANN_UID, ANN_GID);
	make(DIRECTORY, "d", 0755, ANN_UID, ANN_GID);
	fd = (int)MUST(open("f", O_RDONLY));
	dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	path = (int)MUST(open("f", O_PATH));
	MARK("f", "d", ".");
	OK(fchmod(fd, 0600));
	OK(fchmod(dir, 0700));
	NODE("f", S_IFREG | 0600, ANN_UID, ANN_GID);
	NODE("d", S_IFDIR | 0700, ANN_UID, ANN_GID);
	MOVED("f", CT);
	MOVED("d", CT);
	MOVED(".", NONE);
	ERR(EBADF, fchmod(path, 0666));
	ERR(EBADF, fchmod(-1, 0666));
	ERR(EBADF, fchmodat(-1, "f", 0666, 0));
	ERR(ENOTDIR, fchmodat(fd, "f", 0666, 0));
	MUST(mkfifo("d/p", 0600));
	OK(fchmodat(dir, "p", 0622, 0));
	IS(perm("d/p"), 0622);
	MARK("f", "d");
	BY (bob) {
		ERR(EPERM, fchmod(fd, 0777));
		ERR(EPERM, fchmod(dir, 0777));
		ERR(EACCES, fchmodat(dir, "p", 0777, 0));
	}
	MOVED("f", NONE);
	MOVED("d", NONE);
	BY (ann) {
		OK(fchmod(fd, 0640));
		OK(fchmod(dir, 0750));
		ERR(EPERM, fchmodat(dir, "p", 0777, 0));
	}
	IS(perm("f"), 0640);
	IS(perm("d"), 0750);
	/* One without a name. */
	OK(unlink("f"));
	OK(fchmod(fd, 0444));
	struct stat st;
	OK(fstat(fd, &st));
	IS(st.st_mode, S_IFREG | 0444);
	BY (bob)
		ERR(EPERM, fchmod(fd, 0777));
	BY (ann) {
		OK(fchmod(fd, 0777));
		OK(fstat(fd, &st));
		IS(st.st_mode, S_IFREG | 0777);
	}
	close(fd);
	close(dir);
	close(path);
}

/* What a mode means is decided at open, and afresh each time. */
GROUP(chmod_use)
{
	char c;
	int fd;

	make(REG, "f", 0666, 0, 0);
	make(DIRECTORY, "d", 0755, 0, 0);
	l_file("d/f", "text");
	fd = (int)MUST(open("f", O_RDWR));
	OK(chmod("f", 0));
	BY (ann) {
		IS(write(fd, "x", 1), 1);
		IS(pread(fd, &c, 1, 0), 1);
		ERR(EACCES, open("f", O_RDONLY));
		ERR(EACCES, open("f", O_WRONLY));
		OK(open("d/f", O_RDONLY));
	}
	OK(open("f", O_RDWR));
	OK(chmod("f", 0004));
	BY (ann) {
		OK(open("f", O_RDONLY));
		ERR(EACCES, open("f", O_WRONLY));
	}
	OK(chmod("d", 0744));
	BY (ann) {
		ERR(EACCES, open("d/f", O_RDONLY));
		OK(open("d", O_RDONLY));
	}
	OK(chmod("d", 0711));
	BY (ann) {
		OK(open("d/f", O_RDONLY));
		ERR(EACCES, open("d", O_RDONLY));
		ERR(EACCES, open("d/new", O_CREAT | O_WRONLY, 0644));
	}
	OK(chmod("d", 0713));
	BY (ann) {
		OK(open("d/new", O_CREAT | O_WRONLY, 0644));
		OK(unlink("d/new"));
	}
	OK(chmod("d", 0712));
	BY (ann)
		ERR(EACCES, open("d/new", O_CREAT | O_WRONLY, 0644));
	close(fd);
}
