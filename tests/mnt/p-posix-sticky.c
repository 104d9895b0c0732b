/*
 * POSIX, name by name: directories with the sticky bit: who may take what out of them, put
 * something over it, or give it another name.  See posix.h.
 */
#include "posix.h"

static const struct owner {
	const char *name;
	uid_t uid;
	gid_t gid;
} owners[] = {
    {"root", 0, 0},
    {"ann", ANN_UID, ANN_GID},
    {"bob", BOB_UID, BOB_GID},
};

/* May the user take away what is file's in a sticky directory of dir's? */
static bool
may(uid_t user, const struct owner *dir, const struct owner *file)
{
	return user == 0 || user == dir->uid || user == file->uid;
}

#define WANT(allowed, call)                                      \
	({                                                       \
		long w_ = (call);                                \
		int e_ = errno;                                  \
		if (allowed)                                     \
			l_good(w_, e_, __LINE__, #call);         \
		else                                             \
			l_error(w_, e_, EPERM, __LINE__, #call); \
	})

/* Takes away; what was refused is still there, and as it was. */
static void
removing(uid_t user, enum kind k, const struct owner *dir, const struct owner *file)
{
	bool allowed = may(user, dir, file);

	WANT(allowed, take_away(k, "t/a"));
	T(l_exists("t/a") == !allowed);
}

/* Moves out, in, and within. */
static void
moving(uid_t user, enum kind k, const struct owner *dir, const struct owner *file)
{
	bool allowed = may(user, dir, file);

	WANT(allowed, rename("t/a", "t/b"));
	if (allowed)
		MUST(rename("t/b", "t/a"));
	/* A directory that is not one's own cannot be given another parent at all. */
	if (k != DIRECTORY || user == file->uid) {
		WANT(allowed, rename("t/a", "plain/a"));
		if (allowed)
			MUST(rename("plain/a", "t/a"));
	}
	WANT(allowed, renameat2(AT_FDCWD, "t/a", AT_FDCWD, "t/b", RENAME_NOREPLACE));
	if (allowed)
		MUST(rename("t/b", "t/a"));
}

/* Puts one's own over it, which takes it away. */
static void
replacing(uid_t user, enum kind k, const struct owner *dir, const struct owner *file)
{
	bool allowed = may(user, dir, file);

	MUST(try_make(k, "plain/own", 0700));
	if (user == file->uid || user == dir->uid || user == 0 || k != DIRECTORY)
		WANT(allowed,
		    renameat2(AT_FDCWD, "plain/own", AT_FDCWD, "t/a", RENAME_EXCHANGE));
	if (allowed)
		MUST(renameat2(AT_FDCWD, "plain/own", AT_FDCWD, "t/a", RENAME_EXCHANGE));
	WANT(allowed, rename("plain/own", "t/a"));
	if (!allowed)
		MUST(take_away(k, "plain/own"));
}

static void
each(
    void (*fn)(uid_t, enum kind, const struct owner *, const struct owner *), enum kind k)
{
	make(DIRECTORY, "plain", 0777, 0, 0);
	for (size_t d = 0; d < 3; d++) {
		for (size_t f = 0; f < 3; f++) {
			const struct owner *dir = &owners[d], *file = &owners[f];
			char text[100];

			snprintf(text, sizeof(text), "%s of %s in a directory of %s",
			    kind_name[k], file->name, dir->name);
			about(text);
			make(DIRECTORY, "t", 01777, dir->uid, dir->gid);
			make(k, "t/a", 0777, file->uid, file->gid);
			BY (ann)
				fn(ANN_UID, k, dir, file);
			if (l_exists("t/a"))
				MUST(take_away(k, "t/a"));
			make(k, "t/a", 0777, file->uid, file->gid);
			BY (bob)
				fn(BOB_UID, k, dir, file);
			if (l_exists("t/a"))
				MUST(take_away(k, "t/a"));
			make(k, "t/a", 0777, file->uid, file->gid);
			fn(0, k, dir, file);
			if (l_exists("t/a"))
				MUST(take_away(k, "t/a"));
			MUST(rmdir("t"));
		}
	}
	MUST(rmdir("plain"));
}

GROUP(remove)
{
	for (enum kind k = REG; k < NKINDS; k++)
		each(removing, k);
}

GROUP(move)
{
	for (enum kind k = REG; k < NKINDS; k++)
		each(moving, k);
}

GROUP(replace)
{
	each(replacing, REG);
	each(replacing, LNK);
	each(replacing, FIFO);
	each(replacing, DIRECTORY);
}

/* What the bit does not say. */
GROUP(others)
{
	make(DIRECTORY, "t", 01777, 0, 0);
	make(REG, "t/roots", 0666, 0, 0);
	make(DIRECTORY, "t/dir", 0777, 0, 0);
	make(REG, "t/anns", 0600, ANN_UID, ANN_GID);
	MARK("t", "t/roots", "t/anns");
	BY (bob) {
		ERR(EPERM, unlink("t/roots"));
		ERR(EPERM, rmdir("t/dir"));
		ERR(EPERM, rename("t/anns", "t/x"));
		ERR(EPERM, rename("t/roots", "t/anns"));
		/* Order: what is not there, and of which sort it is. */
		ERR(ENOENT, unlink("t/none"));
		ERR(EPERM, rmdir("t/roots"));
		ERR(EPERM, unlink("t/dir"));
	}
	MOVED("t", NONE);
	MOVED("t/roots", NONE);
	MOVED("t/anns", NONE);
	BY (bob) {
		/* To make, to link, to write are free. */
		OK(link("t/roots", "t/linked"));
		ERR(EPERM, unlink("t/linked"));
		OK(truncate("t/roots", 3));
		OK(mkdir("t/dir/x", 0755));
		OK(rmdir("t/dir/x"));
		OK(mkdir("t/bobs", 0755));
		OK(rmdir("t/bobs"));
		OK(symlink("x", "t/l"));
		OK(unlink("t/l"));
	}
	/* Without write permission the bit does not matter. */
	MUST(chmod("t", 01755));
	BY (ann) {
		ERR(EACCES, unlink("t/anns"));
		ERR(EACCES, rename("t/anns", "t/x"));
	}
	/* And without the bit the owner does not. */
	MUST(chmod("t", 0777));
	BY (bob) {
		OK(unlink("t/anns"));
		OK(unlink("t/linked"));
		OK(rename("t/roots", "t/x"));
		OK(rmdir("t/dir"));
	}
	/* The bit of a file says nothing. */
	make(REG, "t/f", 01666, 0, 0);
	BY (bob)
		OK(unlink("t/f"));
}
