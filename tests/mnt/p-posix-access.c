/*
 * POSIX, name by name: who may do what by a file's mode: open, access, faccessat, for each
 * class of users and each of its bits.  See posix.h.
 */
#include "posix.h"

#include <sys/fsuid.h>

static long
open_close(const char *p, int flags)
{
	int fd = open(p, flags);

	if (fd >= 0)
		close(fd);
	return fd;
}

static void
want(bool allowed, long r, int err, int line, const char *text)
{
	if (allowed)
		l_good(r, err, line, text);
	else
		l_error(r, err, EACCES, line, text);
}
#define MAY(allowed, call)                                 \
	({                                                 \
		long m_ = (call);                          \
		want(allowed, m_, errno, __LINE__, #call); \
	})

/* The classes by owner and group of the file: what decides for ann, and for bob. */
static const struct class
{
	const char *name;
	uid_t uid;
	gid_t gid;
	unsigned ann, bob; /* how far the bits are shifted */
} classes[] = {
    {"ann owns it", ANN_UID, OTHER, 6, 0},
    {"ann's and the club's", ANN_UID, CLUB, 6, 0},
    {"the club's", 0, CLUB, 3, 0},
    {"bob's and ann's group's", BOB_UID, ANN_GID, 3, 6},
    {"nobody's", 0, OTHER, 0, 0},
};
#define NCLASSES (sizeof(classes) / sizeof(classes[0]))

static void
file_bits(unsigned bits)
{
	bool r = bits & 4, w = bits & 2, x = bits & 1;

	MAY(r, open_close("f", O_RDONLY));
	MAY(w, open_close("f", O_WRONLY));
	MAY(r && w, open_close("f", O_RDWR));
	MAY(w, open_close("f", O_WRONLY | O_APPEND));
	MAY(r, open_close("f", O_RDONLY | O_NOFOLLOW));
	OK(open_close("f", O_PATH));
	MAY(r, access("f", R_OK));
	MAY(w, access("f", W_OK));
	MAY(x, access("f", X_OK));
	MAY(r && w, access("f", R_OK | W_OK));
	MAY(r && x, faccessat(AT_FDCWD, "f", R_OK | X_OK, 0));
	MAY(w && x, faccessat(AT_FDCWD, "f", W_OK | X_OK, AT_EACCESS));
	MAY(r && w && x, access("f", R_OK | W_OK | X_OK));
	OK(access("f", F_OK));
}

/* A mode that gives this class these bits, and the others all the rest. */
static mode_t
mode_for(unsigned shift, unsigned bits)
{
	return (0777u & ~(7u << shift)) | bits << shift;
}

GROUP(file_classes)
{
	make(REG, "f", 0, 0, 0);
	for (size_t i = 0; i < NCLASSES; i++) {
		const struct class *c = &classes[i];
		char text[60];

		MUST(chown("f", c->uid, c->gid));
		for (unsigned bits = 0; bits < 8; bits++) {
			snprintf(text, sizeof(text), "%s, %o", c->name, bits);
			about(text);
			MUST(chmod("f", mode_for(c->ann, bits)));
			BY (ann)
				file_bits(bits);
			MUST(chmod("f", mode_for(c->bob, bits)));
			BY (bob)
				file_bits(bits);
		}
	}
}

static void
directory_bits(unsigned bits)
{
	bool r = bits & 4, w = bits & 2, x = bits & 1;
	int fd;

	MAY(r, open_close("d", O_RDONLY | O_DIRECTORY));
	MAY(r, open_close("d", O_RDONLY));
	MAY(x, open_close("d/f", O_RDONLY));
	MAY(x, access("d/f", F_OK));
	MAY(w && x, mkdir("d/new", 0755));
	MAY(w && x, rename("d/f", "d/g"));
	if (w && x) {
		MUST(rename("d/g", "d/f"));
		MUST(rmdir("d/new"));
	}
	MAY(r, access("d", R_OK));
	MAY(w, access("d", W_OK));
	MAY(x, access("d", X_OK));
	MAY(r && x, access("d", R_OK | X_OK));
	/* The last one: it does not come back. */
	fd = open(".", O_RDONLY | O_DIRECTORY);
	MAY(x, chdir("d"));
	if (fd >= 0 && x)
		MUST(fchdir(fd));
	OK(access("d", F_OK));
}

GROUP(directory_classes)
{
	make(DIRECTORY, "d", 0777, 0, 0);
	l_file("d/f", "");
	MUST(chmod("d/f", 0666));
	for (size_t i = 0; i < NCLASSES; i++) {
		const struct class *c = &classes[i];
		char text[60];

		MUST(chown("d", c->uid, c->gid));
		for (unsigned bits = 0; bits < 8; bits++) {
			snprintf(text, sizeof(text), "%s, %o", c->name, bits);
			about(text);
			MUST(chmod("d", mode_for(c->ann, bits)));
			BY (ann)
				directory_bits(bits);
			MUST(chmod("d", mode_for(c->bob, bits)));
			BY (bob)
				directory_bits(bits);
		}
	}
}

/* Root may do everything but execute what nobody may. */
GROUP(root)
{
	make(REG, "f", 0, ANN_UID, ANN_GID);
	make(DIRECTORY, "d", 0, ANN_UID, ANN_GID);
	OK(open_close("f", O_RDWR));
	OK(access("f", R_OK | W_OK));
	ERR(EACCES, access("f", X_OK));
	OK(access("d", R_OK | W_OK | X_OK));
	OK(mkdir("d/x", 0755));
	OK(rmdir("d/x"));
	for (unsigned shift = 0; shift < 9; shift += 3) {
		MUST(chmod("f", 1u << shift));
		OK(access("f", X_OK));
		OK(access("f", R_OK | W_OK | X_OK));
	}
	MUST(chmod("f", 0666));
	ERR(EACCES, access("f", X_OK));
}

GROUP(access_errors)
{
	int fd, dir;

	l_file("f", "");
	MUST(mkdir("d", 0755));
	l_file("d/g", "");
	MUST(symlink("none", "l"));
	ERR(EINVAL, access("f", 8));
	ERR(EINVAL, access("f", -1));
	ERR(EINVAL, faccessat(AT_FDCWD, "f", R_OK, 0x40000000));
	ERR(EBADF, faccessat(-1, "f", F_OK, 0));
	fd = (int)MUST(open("f", O_RDONLY));
	dir = (int)MUST(open("d", O_RDONLY | O_DIRECTORY));
	ERR(ENOTDIR, faccessat(fd, "f", F_OK, 0));
	OK(faccessat(dir, "g", R_OK, 0));
	ERR(ENOENT, faccessat(dir, "f", R_OK, 0));
	ERR(ENOENT, access("l", F_OK));
	OK(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	close(fd);
	close(dir);
	MARK("f", ".");
	OK(access("f", R_OK | W_OK));
	MOVED("f", NONE);
	MOVED(".", NONE);
}

/* access asks for whom the process was started, the others for whom it acts. */
GROUP(access_real)
{
	make(REG, "f", 0600, 0, 0);
	make(REG, "anns", 0600, ANN_UID, ANN_GID);
	make(REG, "clubs", 0060, 0, CLUB);
	gid_t club = CLUB;

	BY (((const struct user){"root as ann", 0, 0, 0, 0})) {
		MUST(setresuid(0, ANN_UID, 0));
		OK(access("f", R_OK | W_OK));
		OK(access("anns", R_OK | W_OK));
		ERR(EACCES, faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
		OK(faccessat(AT_FDCWD, "anns", R_OK | W_OK, AT_EACCESS));
		ERR(EACCES, open_close("f", O_RDONLY));
		OK(open_close("anns", O_RDWR));
		ERR(EACCES, open_close("clubs", O_RDWR));
		/* And for groups. */
		MUST(setresuid(0, 0, 0));
		MUST(setgroups(1, &club));
		MUST(setresuid(0, ANN_UID, 0));
		OK(open_close("clubs", O_RDWR));
		MUST(setresuid(0, 0, 0));
	}
	BY (((const struct user){"ann as root", 0, 0, 0, 0})) {
		MUST(setresuid(ANN_UID, 0, 0));
		ERR(EACCES, access("f", R_OK));
		OK(access("anns", R_OK | W_OK));
		OK(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
		OK(open_close("f", O_RDWR));
	}
}

/* Whose a new file is follows from whom the thread acts for on files. */
GROUP(file_system_ids)
{
	make(DIRECTORY, "d", 0777, 0, 0);
	BY (((const struct user){"root with ann's fsuid", 0, 0, 0, 0})) {
		setfsgid(ANN_GID);
		setfsuid(ANN_UID);
		int fd = open("d/f", O_CREAT | O_RDWR, 0644);
		OK(fd);
		NODE("d/f", S_IFREG | 0644, ANN_UID, ANN_GID);
		OK(mkdir("d/d", 0755));
		NODE("d/d", S_IFDIR | 0755, ANN_UID, ANN_GID);
		OK(symlink("x", "d/l"));
		NODE("d/l", S_IFLNK | 0777, ANN_UID, ANN_GID);
		OK(mkfifo("d/p", 0644));
		NODE("d/p", S_IFIFO | 0644, ANN_UID, ANN_GID);
		setfsuid(0);
		setfsgid(0);
		close(fd);
	}
	BY (((const struct user){"root with bob's effective ids", 0, 0, 0, 0})) {
		MUST(setresgid(0, BOB_GID, 0));
		MUST(setresuid(0, BOB_UID, 0));
		OK(mkdir("d/bobs", 0755));
		NODE("d/bobs", S_IFDIR | 0755, BOB_UID, BOB_GID);
		ERR(EACCES, open_close("d/d/x", O_RDWR | O_CREAT));
	}
}
