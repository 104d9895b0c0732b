/*
 * System calls, part one: POSIX access control lists.  Run as root, on a directory that
 * other users can reach.  See list.h and list-sys.h.
 */
#include "list-sys.h"

/* What the list and the mode of a file say about one another. */
GROUP(acl_mode)
{
	struct stat was;

	l_file("f", "");
	TEXT(acl_get("f", ACL_A), "none");
	ERR(ENODATA, getxattr("f", ACL_A, NULL, 0));
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	IS(MODE("f"), 0660);
	TEXT(acl_get("f", ACL_A), "u::6 u:65533:4 g::4 m::6 o::0");
	OK(acl_set("f", ACL_A, "u::7 u:65533:7 g::7 m::0 o::1"));
	IS(MODE("f"), 0701);
	/* chmod changes the mask, and the owning group's entry stays. */
	OK(acl_set("f", ACL_A, "u::6 u:65533:7 g::5 m::7 o::4"));
	IS(MODE("f"), 0674);
	OK(chmod("f", 0640));
	TEXT(acl_get("f", ACL_A), "u::6 u:65533:7 g::5 m::4 o::0");
	IS(MODE("f"), 0640);
	OK(chmod("f", 0777));
	TEXT(acl_get("f", ACL_A), "u::7 u:65533:7 g::5 m::7 o::7");
	OK(chmod("f", 0));
	TEXT(acl_get("f", ACL_A), "u::0 u:65533:7 g::5 m::0 o::0");
	IS(MODE("f"), 0);
	int fd = open("f", O_RDWR);
	OK(fchmod(fd, 06753));
	TEXT(acl_get("f", ACL_A), "u::7 u:65533:7 g::5 m::5 o::3");
	IS(MODE("f"), 06753);
	/* The bits beyond the nine are no matter of the list. */
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	IS(MODE("f"), 06660);
	OK(chmod("f", 0644));
	close(fd);
	/* A list with a mask but without named entries is one. */
	OK(acl_set("f", ACL_A, "u::6 g::6 m::4 o::4"));
	TEXT(acl_get("f", ACL_A), "u::6 g::6 m::4 o::4");
	IS(MODE("f"), 0644);
	OK(chmod("f", 0664));
	TEXT(acl_get("f", ACL_A), "u::6 g::6 m::6 o::4");
	/* Times: that of the change of the node alone. */
	was = l_stat("f");
	tick();
	OK(acl_set("f", ACL_A, "u::6 u:1:4 g::4 m::6 o::0"));
	T(t_cmp(l_stat("f").st_ctim, was.st_ctim) > 0);
	T(t_cmp(l_stat("f").st_mtim, was.st_mtim) == 0);
	IS(l_stat("f").st_nlink, 1);
}

/* A list that says what a mode can say is none. */
GROUP(acl_collapse)
{
	l_file("f", "");
	OK(acl_set("f", ACL_A, "u::7 g::5 o::1"));
	IS(MODE("f"), 0751);
	TEXT(acl_get("f", ACL_A), "none");
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	OK(acl_set("f", ACL_A, "u::6 g::4 o::0"));
	IS(MODE("f"), 0640);
	TEXT(acl_get("f", ACL_A), "none");
	IS(listxattr("f", NULL, 0), 0);
	OK(chmod("f", 0604));
	TEXT(acl_get("f", ACL_A), "none");
	/* A default list is kept as it is. */
	OK(mkdir("d", 0755));
	OK(acl_set("d", ACL_D, "u::7 g::5 o::1"));
	TEXT(acl_get("d", ACL_D), "u::7 g::5 o::1");
	IS(MODE("d"), 0755);
	TEXT(acl_get("d", ACL_A), "none");
}

GROUP(acl_remove)
{
	char names[200];

	l_file("f", "");
	OK(mkdir("d", 0755));
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	IS(listxattr("f", names, sizeof(names)), sizeof(ACL_A));
	TEXT(names, ACL_A);
	OK(removexattr("f", ACL_A));
	TEXT(acl_get("f", ACL_A), "none");
	/* What the mask has left in the mode stays there. */
	IS(MODE("f"), 0660);
	IS(listxattr("f", names, sizeof(names)), 0);
	OK(removexattr("f", ACL_A));
	OK(removexattr("d", ACL_D));
	/* No bytes, or a head without entries, say: none. */
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	OK(setxattr("f", ACL_A, "", 0, 0));
	TEXT(acl_get("f", ACL_A), "none");
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	OK(acl_set("f", ACL_A, ""));
	TEXT(acl_get("f", ACL_A), "none");
	OK(acl_set("d", ACL_A, "u::7 u:65533:5 g::5 m::7 o::0"));
	OK(acl_set("d", ACL_D, "u::7 u:65533:5 g::5 m::7 o::0"));
	IS(listxattr("d", names, sizeof(names)), sizeof(ACL_A) + sizeof(ACL_D));
	OK(removexattr("d", ACL_D));
	TEXT(acl_get("d", ACL_D), "none");
	TEXT(acl_get("d", ACL_A), "u::7 u:65533:5 g::5 m::7 o::0");
	IS(MODE("d"), 0770);
	/* The value is there with the size that is asked for. */
	struct acl_raw a;
	IS(getxattr("d", ACL_A, NULL, 0), 44);
	IS(getxattr("d", ACL_A, &a, 44), 44);
	ERR(ERANGE, getxattr("d", ACL_A, &a, 43));
	/* The flags that ask for a new or an old attribute mean nothing here. */
	OK(setxattr("d", ACL_A, &a, 44, XATTR_CREATE));
	OK(setxattr("f", ACL_A, &a, 44, XATTR_REPLACE));
	ERR(EINVAL, setxattr("f", ACL_A, &a, 44, 4));
	/* Through a descriptor, too. */
	int fd = open("d", O_RDONLY | O_DIRECTORY);
	IS(fgetxattr(fd, ACL_A, &a, sizeof(a)), 44);
	OK(fremovexattr(fd, ACL_A));
	TEXT(acl_get("d", ACL_A), "none");
	OK(fsetxattr(fd, ACL_D, &a, 44, 0));
	TEXT(acl_get("d", ACL_D), "u::7 u:65533:5 g::5 m::7 o::0");
	close(fd);
}

GROUP(acl_invalid)
{
	static const struct {
		const char *text;
		int err;
	} t[] = {
	    {"u::6 g::4", EINVAL},
	    {"g::4 o::4", EINVAL},
	    {"u::6 o::4", EINVAL},
	    {"u::6", EINVAL},
	    {"m::6", EINVAL},
	    {"u::6 u:65533:4 g::4 o::4", EINVAL},
	    {"u::6 g::4 g:65533:4 o::4", EINVAL},
	    {"u::6 u::6 g::4 o::4", EINVAL},
	    {"u::6 g::4 g::4 o::4", EINVAL},
	    {"u::6 g::4 o::4 o::4", EINVAL},
	    {"u::6 g::4 m::4 m::4 o::4", EINVAL},
	    {"g::4 u::6 o::4", EINVAL},
	    {"u::6 o::4 g::4", EINVAL},
	    {"u::6 g::4 u:65533:4 m::4 o::4", EINVAL},
	    {"u:65533:4 u::6 g::4 m::4 o::4", EINVAL},
	    {"u::6 g::4 o::4 m::4", EINVAL},
	    {"u::8 g::4 o::4", EINVAL},
	    {"u::6 g::9 o::4", EINVAL},
	    {"u::6 u:4294967295:4 g::4 m::4 o::4", EINVAL},
	    {"u::6 g::4 g:4294967295:4 m::4 o::4", EINVAL},
	};
	struct acl_raw a;
	size_t n;

	l_file("f", "");
	OK(mkdir("d", 0750));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CASE_ERR(t[i].err, acl_set("f", ACL_A, t[i].text), "list %s", t[i].text);
		CASE_ERR(t[i].err, acl_set("d", ACL_D, t[i].text), "default list %s",
		    t[i].text);
	}
	n = acl_make(&a, "u::6 g::4 o::4");
	a.version = 1;
	ERR(EOPNOTSUPP, setxattr("f", ACL_A, &a, n, 0));
	a.version = 3;
	ERR(EOPNOTSUPP, setxattr("f", ACL_A, &a, n, 0));
	a.version = 2;
	ERR(EINVAL, setxattr("f", ACL_A, &a, n - 1, 0));
	ERR(EINVAL, setxattr("f", ACL_A, &a, n + 1, 0));
	ERR(EINVAL, setxattr("f", ACL_A, &a, 3, 0));
	ERR(EINVAL, setxattr("f", ACL_A, &a, 1, 0));
	a.e[1].tag = 3;
	ERR(EINVAL, setxattr("f", ACL_A, &a, n, 0));
	a.e[1].tag = 0x40;
	ERR(EINVAL, setxattr("f", ACL_A, &a, n, 0));
	a.e[1].tag = 0;
	ERR(EINVAL, setxattr("f", ACL_A, &a, n, 0));
	IS(MODE("f"), 0644);
	TEXT(acl_get("f", ACL_A), "none");
	TEXT(acl_get("d", ACL_D), "none");
	IS(MODE("d"), 0750);
}

/* On what there can be one, and who may set it. */
GROUP(acl_whose)
{
	struct acl_raw a;
	size_t n = acl_make(&a, "u::6 u:65533:4 g::4 m::6 o::4");

	l_file("f", "");
	OK(mkdir("d", 0755));
	OK(symlink("f", "l"));
	OK(mkfifo("p", 0600));
	OK(mknod("s", S_IFSOCK | 0600, 0));
	ERR(EACCES, setxattr("f", ACL_D, &a, n, 0));
	ERR(EACCES, setxattr("p", ACL_D, &a, n, 0));
	TEXT(acl_get("f", ACL_D), "none");
	OK(removexattr("f", ACL_D));
	ERR(EOPNOTSUPP, lsetxattr("l", ACL_A, &a, n, 0));
	ERR(EOPNOTSUPP, lgetxattr("l", ACL_A, &a, sizeof(a)));
	ERR(EOPNOTSUPP, lremovexattr("l", ACL_A));
	OK(setxattr("l", ACL_A, &a, n, 0));
	TEXT(acl_get("f", ACL_A), "u::6 u:65533:4 g::4 m::6 o::4");
	OK(setxattr("p", ACL_A, &a, n, 0));
	IS(MODE("p"), 0664);
	TEXT(acl_get("p", ACL_A), "u::6 u:65533:4 g::4 m::6 o::4");
	OK(setxattr("s", ACL_A, &a, n, 0));
	IS(MODE("s"), 0664);
	ERR(ENOENT, setxattr("no", ACL_A, &a, n, 0));
	ERR(ENOENT, acl_set("no", ACL_D, ""));
	ERR(ENOTDIR, setxattr("f/x", ACL_A, &a, n, 0));
	/* The owner and who may be anybody; not who may merely write. */
	OK(chown("f", UID_A, GID_A));
	OK(acl_set("f", ACL_A, "u::6 u:65532:7 g::4 m::7 o::7"));
	ERR_AS(B, EPERM, setxattr("f", ACL_A, &a, n, 0));
	ERR_AS(B, EPERM, removexattr("f", ACL_A));
	ERR_AS(B, EPERM, chmod("f", 0600));
	TEXT(acl_get("f", ACL_A), "u::6 u:65532:7 g::4 m::7 o::7");
	OK_AS(A, setxattr("f", ACL_A, &a, n, 0));
	TEXT(acl_get("f", ACL_A), "u::6 u:65533:4 g::4 m::6 o::4");
	OK_AS(A, chmod("f", 0620));
	TEXT(acl_get("f", ACL_A), "u::6 u:65533:4 g::4 m::2 o::0");
	OK_AS(A, removexattr("f", ACL_A));
	OK(chown("d", UID_A, GID_A));
	ERR_AS(B, EPERM, acl_set("d", ACL_D, "u::7 g::5 o::5"));
	ERR_AS(B, EPERM, removexattr("d", ACL_D));
	OK_AS(A, acl_set("d", ACL_D, "u::7 g::5 o::5"));
	/* To read it takes no right to read the file. */
	OK(chmod("f", 0600));
	OK(acl_set("f", ACL_A, "u::6 u:65533:4 g::4 m::6 o::0"));
	OK_AS(B, getxattr("f", ACL_A, &a, sizeof(a)));
	OK(chmod("d", 0700));
	OK_AS(B, getxattr("d", ACL_D, &a, sizeof(a)));
	ERR_AS(B, EACCES, getxattr("d/x", ACL_D, &a, sizeof(a)));
}

/* The set-group-id bit goes when the owner is not in the file's group. */
GROUP(acl_setgid)
{
	l_file("f", "");
	OK(chown("f", UID_A, 12345));
	OK(chmod("f", 02755));
	OK_AS(A, acl_set("f", ACL_A, "u::7 u:65532:5 g::5 m::5 o::5"));
	IS(MODE("f"), 0755);
	OK(chmod("f", 02755));
	OK(acl_set("f", ACL_A, "u::7 u:65532:7 g::5 m::5 o::5"));
	IS(MODE("f"), 02755);
	OK(chown("f", UID_A, GID_A));
	OK(chmod("f", 02755));
	OK_AS(A, acl_set("f", ACL_A, "u::7 u:65532:5 g::5 m::7 o::5"));
	IS(MODE("f"), 02775);
	OK(chown("f", UID_A, GID_ALSO));
	OK(chmod("f", 02755));
	OK_AS(A, acl_set("f", ACL_A, "u::7 u:65532:5 g::5 m::5 o::5"));
	IS(MODE("f"), 02755);
	OK(chown("f", UID_A, 12345));
	OK(chmod("f", 02755));
	OK_AS(A, acl_set("f", ACL_A, "u::7 g::5 o::0"));
	IS(MODE("f"), 0750);
	/* A change of owner takes the bits and leaves the list. */
	OK(acl_set("f", ACL_A, "u::7 u:65532:5 g::5 m::5 o::5"));
	OK(chmod("f", 06755));
	OK(chown("f", UID_B, GID_B));
	IS(MODE("f"), 0755);
	TEXT(acl_get("f", ACL_A), "u::7 u:65532:5 g::5 m::5 o::5");
	OK(mkdir("d", 0755));
	OK(chown("d", UID_A, 12345));
	OK(chmod("d", 02755));
	OK_AS(A, acl_set("d", ACL_D, "u::7 g::5 o::0"));
	IS(MODE("d"), 02755);
	OK_AS(A, acl_set("d", ACL_A, "u::7 u:65532:5 g::5 m::5 o::5"));
	IS(MODE("d"), 0755);
	OK(chmod("d", 01755));
	OK_AS(A, acl_set("d", ACL_A, "u::7 g::0 o::0"));
	IS(MODE("d"), 01700);
}

struct rights {
	uid_t uid;
	gid_t gid;
	const char *list, *a, *b; /* what the users may do */
};

/* Which entry decides, and where the mask counts. */
static const struct rights rights[] = {
    /* The owner's entry, and no other. */
    {UID_A, 0, "u::4 u:65533:7 g::7 m::7 o::7", "r--", "rwx"},
    {UID_A, GID_A, "u::0 u:65533:7 g::7 g:65533:7 m::7 o::7", "---", "rwx"},
    {UID_A, 0, "u::7 g::0 m::0 o::0", "rwx", "---"},
    /* A named user's, limited by the mask, and not the groups nor the others. */
    {0, 0, "u::7 u:65533:6 g::0 m::7 o::0", "rw-", "---"},
    {0, 0, "u::7 u:65533:6 g::0 m::4 o::0", "r--", "---"},
    {0, 0, "u::7 u:65533:7 g::0 m::0 o::0", "---", "---"},
    {0, GID_A, "u::7 u:65533:0 g::7 m::7 o::7", "---", "rwx"},
    {0, GID_A, "u::7 u:65533:4 g::7 g:65530:7 m::7 o::1", "r--", "--x"},
    {0, 0, "u::7 u:65532:1 u:65533:2 g::0 m::7 o::7", "-w-", "--x"},
    {0, 0, "u::7 u:65532:5 u:65533:3 g::7 m::6 o::0", "-w-", "r--"},
    {0, 0, "u::7 u:65533:7 g::0 m::5 o::2", "r-x", "-w-"},
    {0, 0, "u::7 u:12345:7 g::0 m::7 o::4", "r--", "r--"},
    /* The owning group's. */
    {0, GID_A, "u::7 u:12345:7 g::6 m::7 o::1", "rw-", "--x"},
    {0, GID_A, "u::7 u:12345:7 g::6 m::5 o::1", "r--", "--x"},
    {0, GID_A, "u::7 g::7 m::1 o::7", "--x", "rwx"},
    {0, GID_A, "u::7 u:12345:0 g::0 m::7 o::7", "---", "rwx"},
    {0, GID_ALSO, "u::7 u:12345:0 g::4 m::7 o::7", "r--", "rwx"},
    {0, GID_ALSO, "u::7 u:12345:0 g::0 m::0 o::3", "---", "-wx"},
    {0, GID_B, "u::7 u:65533:4 g::5 m::7 o::2", "r--", "r-x"},
    /* A named group's. */
    {0, 0, "u::7 g::0 g:65533:4 m::7 o::0", "r--", "---"},
    {0, 0, "u::7 g::0 g:65530:6 m::7 o::0", "rw-", "---"},
    {0, 0, "u::7 g::0 g:65530:6 m::4 o::7", "r--", "rwx"},
    {0, 0, "u::7 g::0 g:65530:0 m::7 o::7", "---", "rwx"},
    {0, 0, "u::7 g::0 g:65532:7 g:65533:5 m::3 o::0", "--x", "-wx"},
    {0, 0, "u::7 g::7 g:12345:7 m::7 o::4", "r--", "r--"},
    {0, 0, "u::7 u:65532:2 g::7 g:65532:7 g:65533:7 m::6 o::1", "rw-", "-w-"},
    /* The others' is not limited by the mask. */
    {0, 0, "u::7 u:12345:7 g::7 m::0 o::5", "r-x", "r-x"},
    {0, 0, "u::7 g::7 m::0 o::6", "rw-", "rw-"},
    /* One of the groups that match must give all that is asked for. */
    {0, GID_A, "u::7 g::4 g:65530:2 m::7 o::0", "rw-", "---"},
    {0, GID_A, "u::7 g::4 g:65530:1 m::7 o::2", "r-x", "-w-"},
};

/* What may the user do with it?  Reading and writing are tried, and searching. */
static const char *
may(enum user u, const char *path, bool dir)
{
	static char got[4];
	char in[100];
	int r, w, x;

	as(u);
	r = open(path, dir ? O_RDONLY | O_DIRECTORY : O_RDONLY);
	snprintf(in, sizeof(in), "%s/new", path);
	if (dir) {
		/* It takes both to make something. */
		w = faccessat(AT_FDCWD, path, W_OK, AT_EACCESS);
		x = chdir(path);
		if (x == 0 && fchdir(open("..", O_PATH)) != 0)
			exit(1);
		if ((mkdir(in, 0700) == 0) != (w == 0 && x == 0))
			w = -2;
		rmdir(in);
	} else {
		w = open(path, O_WRONLY);
		x = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
	}
	as(ROOT);
	snprintf(got, sizeof(got), "%c%c%c", r >= 0 ? 'r' : '-',
	    w == -2  ? '!'
	    : w >= 0 ? 'w'
		     : '-',
	    x >= 0 ? 'x' : '-');
	if (r >= 0)
		close(r);
	if (w > 0)
		close(w);
	return got;
}

GROUP(acl_rights_file)
{
	int fd;

	l_file("f", "");
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		const struct rights *t = &rights[i];
		if (chown("f", t->uid, t->gid) != 0 || acl_set("f", ACL_A, t->list) != 0)
			CASE(false, "%s can be set", t->list);
		CASE_TEXT(may(A, "f", false), t->a, "user A, owner %u:%u, %s", t->uid,
		    t->gid, t->list);
		CASE_TEXT(may(B, "f", false), t->b, "user B, owner %u:%u, %s", t->uid,
		    t->gid, t->list);
	}
	/* Both at once must come from one entry. */
	OK(chown("f", 0, GID_A));
	OK(acl_set("f", ACL_A, "u::7 g::4 g:65530:2 m::7 o::0"));
	ERR_AS(A, EACCES, open("f", O_RDWR));
	OK(acl_set("f", ACL_A, "u::7 g::4 g:65530:6 m::7 o::0"));
	OK_AS(A, fd = open("f", O_RDWR));
	close(fd);
	ERR_AS(B, EACCES, open("f", O_RDONLY));
	ERR_AS(B, EACCES, truncate("f", 0));
	OK_AS(A, truncate("f", 0));
	/* To set the present time takes the right to write. */
	OK_AS(A, utimensat(AT_FDCWD, "f", NULL, 0));
	ERR_AS(B, EACCES, utimensat(AT_FDCWD, "f", NULL, 0));
	struct timespec ts[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	ERR_AS(A, EPERM, utimensat(AT_FDCWD, "f", ts, 0));
	/* Root needs an x somewhere. */
	OK(acl_set("f", ACL_A, "u::0 u:65533:1 g::0 m::0 o::0"));
	OK(fd = open("f", O_RDWR));
	close(fd);
	ERR(EACCES, faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
	OK(acl_set("f", ACL_A, "u::0 u:65533:1 g::0 m::1 o::0"));
	OK(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS));
}

GROUP(acl_rights_dir)
{
	OK(mkdir("d", 0755));
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		const struct rights *t = &rights[i];
		if (chown("d", t->uid, t->gid) != 0 || acl_set("d", ACL_A, t->list) != 0)
			CASE(false, "%s can be set", t->list);
		CASE_TEXT(may(A, "d", true), t->a, "user A, owner %u:%u, %s", t->uid,
		    t->gid, t->list);
		CASE_TEXT(may(B, "d", true), t->b, "user B, owner %u:%u, %s", t->uid,
		    t->gid, t->list);
	}
	OK(chown("d", 0, 0));
	OK(acl_set("d", ACL_A, "u::7 u:65533:7 g::5 m::7 o::5"));
	l_file("d/f", "");
	ERR_AS(B, EACCES, unlink("d/f"));
	ERR_AS(B, EACCES, rename("d/f", "d/g"));
	ERR_AS(B, EACCES, symlink("x", "d/l"));
	OK_AS(A, rename("d/f", "d/g"));
	OK_AS(A, link("d/g", "d/h") == 0 || errno == EPERM ? 0 : -1);
	OK_AS(A, symlink("x", "d/l"));
	OK_AS(A, mkfifo("d/p", 0600));
	OK_AS(A, unlink("d/g"));
	/* The right to write is not the ownership that a sticky directory asks for. */
	l_file("d/f", "");
	OK(chmod("d", 01777));
	ERR_AS(A, EPERM, unlink("d/f"));
	OK_AS(A, unlink("d/l"));
}

/* What new nodes get: by list and mode; the umask counts only where there is no list. */
GROUP(acl_inherit)
{
	static const struct {
		const char *list;
		mode_t mode, file_mode;
		const char *file;
		mode_t dir_mode;
		const char *dir;
	} t[] = {
	    {"u::7 u:65533:7 g::5 m::7 o::5", 0666, 0664, "u::6 u:65533:7 g::5 m::6 o::4",
		0664, "u::6 u:65533:7 g::5 m::6 o::4"},
	    {"u::7 u:65533:7 g::5 m::7 o::5", 0777, 0775, "u::7 u:65533:7 g::5 m::7 o::5",
		0775, "u::7 u:65533:7 g::5 m::7 o::5"},
	    {"u::7 u:65533:7 g::5 m::7 o::5", 0600, 0600, "u::6 u:65533:7 g::5 m::0 o::0",
		0600, "u::6 u:65533:7 g::5 m::0 o::0"},
	    {"u::7 u:65533:7 g::5 m::7 o::5", 0, 0, "u::0 u:65533:7 g::5 m::0 o::0", 0,
		"u::0 u:65533:7 g::5 m::0 o::0"},
	    {"u::7 g::7 g:65530:6 m::4 o::0", 0777, 0740, "u::7 g::7 g:65530:6 m::4 o::0",
		0740, "u::7 g::7 g:65530:6 m::4 o::0"},
	    {"u::5 u:1:1 g::1 g:2:2 m::3 o::7", 0722, 0522,
		"u::5 u:1:1 g::1 g:2:2 m::2 o::2", 0522,
		"u::5 u:1:1 g::1 g:2:2 m::2 o::2"},
	    {"u::7 g::7 m::7 o::7", 0666, 0666, "u::6 g::7 m::6 o::6", 0666,
		"u::6 g::7 m::6 o::6"},
	    {"u::7 g::5 o::0", 0666, 0640, "none", 0640, "none"},
	    {"u::7 g::7 o::7", 0777, 0777, "none", 0777, "none"},
	    {"u::0 g::0 o::0", 0777, 0, "none", 0, "none"},
	};
	int fd;

	OK(mkdir("d", 0755));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		OK(acl_set("d", ACL_D, t[i].list));
		umask(i & 1 ? 077 : 022);
		CASE_OK(fd = open("d/f", O_CREAT | O_WRONLY | O_EXCL, t[i].mode),
		    "open with mode %o below %s", t[i].mode, t[i].list);
		close(fd);
		CASE_IS(MODE("d/f"), t[i].file_mode, "mode of a file, %o below %s",
		    t[i].mode, t[i].list);
		CASE_TEXT(acl_get("d/f", ACL_A), t[i].file, "list of a file, %o below %s",
		    t[i].mode, t[i].list);
		TEXT(acl_get("d/f", ACL_D), "none");
		OK(mkdir("d/d", t[i].mode));
		CASE_IS(MODE("d/d"), t[i].dir_mode, "mode of a directory, %o below %s",
		    t[i].mode, t[i].list);
		CASE_TEXT(acl_get("d/d", ACL_A), t[i].dir,
		    "list of a directory, %o below %s", t[i].mode, t[i].list);
		CASE_TEXT(acl_get("d/d", ACL_D), t[i].list,
		    "default list of a directory, %o below %s", t[i].mode, t[i].list);
		OK(mkfifo("d/p", t[i].mode));
		CASE_IS(MODE("d/p"), t[i].file_mode, "mode of a fifo, %o below %s",
		    t[i].mode, t[i].list);
		CASE_TEXT(acl_get("d/p", ACL_A), t[i].file, "list of a fifo, %o below %s",
		    t[i].mode, t[i].list);
		OK(unlink("d/f"));
		OK(rmdir("d/d"));
		OK(unlink("d/p"));
	}
	umask(022);
}

GROUP(acl_inherit_more)
{
	int fd;
	struct acl_raw a;

	OK(mkdir("d", 0755));
	OK(acl_set("d", ACL_D, "u::7 u:65533:7 g::5 m::7 o::5"));
	umask(0777);
	OK(mknod("d/n", S_IFCHR | 0666, makedev(1, 3)));
	IS(MODE("d/n"), 0664);
	OK(mknod("d/s", S_IFSOCK | 0666, 0));
	TEXT(acl_get("d/s", ACL_A), "u::6 u:65533:7 g::5 m::6 o::4");
	OK(mknod("d/r", S_IFREG | 0600, 0));
	TEXT(acl_get("d/r", ACL_A), "u::6 u:65533:7 g::5 m::0 o::0");
	OK(symlink("f", "d/l"));
	ERR(EOPNOTSUPP, lgetxattr("d/l", ACL_A, &a, sizeof(a)));
	umask(022);
	/* Its own rights are not those that it gives. */
	IS(MODE("d"), 0755);
	ERR_AS(A, EACCES, mkdir("d/x", 0777));
	/* What is there already, or comes from elsewhere, stays as it is. */
	l_file("f", "");
	OK(rename("f", "d/f"));
	TEXT(acl_get("d/f", ACL_A), "none");
	IS(MODE("d/f"), 0644);
	OK(fd = open("d/f", O_CREAT | O_RDWR, 0600));
	close(fd);
	TEXT(acl_get("d/f", ACL_A), "none");
	OK(link("d/r", "r"));
	TEXT(acl_get("r", ACL_A), "u::6 u:65533:7 g::5 m::0 o::0");
	OK(chmod("r", 0640));
	TEXT(acl_get("d/r", ACL_A), "u::6 u:65533:7 g::5 m::4 o::0");
	/* Two levels down, and after the first has lost it. */
	OK(mkdir("d/1", 0777));
	OK(mkdir("d/1/2", 0777));
	TEXT(acl_get("d/1/2", ACL_D), "u::7 u:65533:7 g::5 m::7 o::5");
	OK(removexattr("d", ACL_D));
	OK(mkdir("d/3", 0777));
	IS(MODE("d/3"), 0755);
	TEXT(acl_get("d/3", ACL_A), "none");
	TEXT(acl_get("d/3", ACL_D), "none");
	OK(mkdir("d/1/2/3", 0777));
	TEXT(acl_get("d/1/2/3", ACL_A), "u::7 u:65533:7 g::5 m::7 o::5");
	/* Named by the list, the creator is the owner all the same. */
	OK(mkdir("e", 0777));
	OK(chmod("e", 02777));
	OK(chown("e", 0, GID_ALSO));
	OK(acl_set("e", ACL_D, "u::7 u:65533:0 g::7 g:65530:7 m::7 o::0"));
	OK_AS(A, mkdir("e/d", 0777));
	IS(l_stat("e/d").st_uid, UID_A);
	IS(l_stat("e/d").st_gid, GID_ALSO);
	IS(MODE("e/d"), 02770);
	OK_AS(A, fd = open("e/f", O_CREAT | O_RDWR, 0666));
	close(fd);
	TEXT(acl_get("e/f", ACL_A), "u::6 u:65533:0 g::7 g:65530:7 m::6 o::0");
	OK_AS(A, fd = open("e/f", O_RDWR));
	close(fd);
	ERR_AS(B, EACCES, open("e/f", O_RDONLY));
}
