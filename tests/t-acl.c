/* POSIX ACLs: which values are ACLs, what they say of the mode, what is inherited. */
#include <endian.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sys/stat.h>

#include "t.h"
#include "vfs/acl.h"

#include "t-vfs.h"

/* "u7 U1000:6 g5 G10:4 m7 o0", a word for each entry: its kind, for U and G an id, and its
 * permission; "v1" gives the header another version. */
static size_t
acl(char *out, const char *text)
{
	static const struct {
		char c;
		uint16_t tag;
	} kinds[] = {{'u', ACL_USER_OBJ}, {'U', ACL_USER}, {'g', ACL_GROUP_OBJ},
	    {'G', ACL_GROUP}, {'m', ACL_MASK}, {'o', ACL_OTHER}, {'?', 0x40}};
	struct posix_acl_xattr_header *h = (void *)out;
	struct posix_acl_xattr_entry *e = (void *)(out + sizeof(*h));
	char buf[128], *save, *w;

	h->a_version = htole32(POSIX_ACL_XATTR_VERSION);
	snprintf(buf, sizeof(buf), "%s", text);
	for (w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *colon = strchr(w, ':');

		if (*w == 'v') {
			h->a_version = htole32((uint32_t)atoi(w + 1));
			continue;
		}
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (*w == kinds[i].c)
				e->e_tag = htole16(kinds[i].tag);
		e->e_id = htole32(colon ? (uint32_t)atoll(w + 1) : (uint32_t)-1);
		e->e_perm = htole16((uint16_t)atoi(colon ? colon + 1 : w + 1));
		e++;
	}
	return (size_t)((char *)e - out);
}

TEST(values)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
	    {"", 0},
	    {"u7 g5 o0", 0},
	    {"u7 U1000:6 g5 m7 o0", 0},
	    {"u7 U1:6 U1:6 g5 G1:0 G2:7 m7 o0", 0},
	    {"u7 g5 m7 o0", 0},
	    {"v1 u7 g5 o0", -EOPNOTSUPP},
	    {"v3", -EOPNOTSUPP},
	    {"u7", -EINVAL},
	    {"u7 g5", -EINVAL},
	    {"g5 u7 o0", -EINVAL},
	    {"u7 o0 g5", -EINVAL},
	    {"u7 u7 g5 o0", -EINVAL},
	    {"u7 g5 g5 o0", -EINVAL},
	    {"u7 g5 o0 o0", -EINVAL},
	    {"u7 g5 m7 m7 o0", -EINVAL},
	    {"u7 U1:6 g5 o0", -EINVAL}, /* nothing to limit it */
	    {"u7 g5 G1:6 o0", -EINVAL},
	    {"u7 g5 U1:6 m7 o0", -EINVAL},
	    {"u7 G1:6 g5 m7 o0", -EINVAL},
	    {"u7 U4294967295:6 g5 m7 o0", -EINVAL},
	    {"u7 g5 G4294967295:6 m7 o0", -EINVAL},
	    {"u8 g5 o0", -EINVAL},
	    {"u7 g5 o16", -EINVAL},
	    {"u7 g5 ?7 o0", -EINVAL},
	};
	char v[256];
	bool empty;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = acl_check(v, acl(v, rows[i].text), &empty);

		if (r != rows[i].want)
			printf("row \"%s\"\n", rows[i].text);
		CHECK_EQ(r, rows[i].want);
		if (r == 0)
			CHECK_EQ(empty, rows[i].text[0] == '\0');
	}
	CHECK_EQ(acl_check(v, 0, &empty), -EINVAL);
	CHECK_EQ(acl_check(v, 3, &empty), -EINVAL);
	CHECK_EQ(acl_check(v, acl(v, "u7 g5 o0") - 1, &empty), -EINVAL);
	CHECK_EQ(acl_check(v, acl(v, "u7 g5 o0") + 4, &empty), -EINVAL);
}

TEST(modes)
{
	static const struct {
		const char *text;
		uint32_t mode, to_mode, inherited;
		bool more;
	} rows[] = {
	    {"u7 g5 o1", 06777, 06751, 06751, false},
	    {"u7 g5 o1", 0, 0751, 0, false},
	    {"u6 U1:7 g7 m4 o0", 01777, 01640, 01640, true},
	    {"u7 g7 m5 o5", 0660, 0755, 0640, true},
	    {"u7 g0 G5:7 m7 o7", 0606, 0777, 0606, true},
	};
	char v[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = acl(v, rows[i].text);
		uint32_t mode = rows[i].mode;

		CHECK_EQ(acl_to_mode(v, n, &mode), rows[i].more);
		CHECK_EQ(mode, rows[i].to_mode);
		mode = rows[i].mode;
		CHECK_EQ(acl_inherit(v, n, &mode), rows[i].more);
		CHECK_EQ(mode, rows[i].inherited);
		/* What was inherited says the same as the mode. */
		mode = rows[i].mode & 07000;
		acl_to_mode(v, n, &mode);
		CHECK_EQ(mode, rows[i].inherited);
		acl_chmod(v, n, 0421);
		acl_to_mode(v, n, &mode);
		CHECK_EQ(mode & 0777, 0421);
	}
	/* The type of a file is none of its business. */
	char typed[256];
	uint32_t whole = 0100644;
	CHECK(acl_to_mode(typed, acl(typed, "u6 U1:6 g4 m6 o4"), &whole));
	CHECK_EQ(whole, 0100664);
	/* Only the mask stands for the group's bits, if there is one. */
	size_t n = acl(v, "u7 U1:7 g5 m7 o0");
	char want[256];
	acl_chmod(v, n, 0711);
	CHECK_EQ(acl(want, "u7 U1:7 g5 m1 o1"), n);
	CHECK(memcmp(v, want, n) == 0);
}

static uint32_t
mode_of(struct vnode *vp)
{
	struct vattr va;

	return vop_getattr(vp, NULL, &va) == 0 ? va.va_mode & 07777 : 0;
}

TEST(on_nodes)
{
	static const struct cred stranger = {1000, 101};
	struct vattr_set chmod = {.vs_valid = VS_MODE, .vs_mode = 02604};
	AUTO_WORLD w;
	char v[256], buf[256], want[256];
	size_t n, len;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	CHECK_EQ(p_make(&w, "/f", VREG), 0);
	CHECK_EQ(p_make(&w, "/l", VLNK), 0);
	AUTO_VNODE f = p_get(&w, "/f");
	AUTO_VNODE d = p_get(&w, "/d");
	AUTO_VNODE l = p_get(&w, "/l");
	n = acl(v, "u6 U1:7 g5 m4 o0");
	CHECK_EQ(vop_getxattr(f, ACL_ACCESS, buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(vop_setxattr(f, ACL_ACCESS, v, n - 1, 0, &t_cred), -EINVAL);
	CHECK_EQ(mode_of(f), 0755);
	CHECK_EQ(vop_setxattr(f, ACL_ACCESS, v, n, 0, &t_cred), 0);
	CHECK_EQ(mode_of(f), 0640);
	CHECK_EQ(vop_getxattr(f, ACL_ACCESS, buf, sizeof(buf), &len), 0);
	CHECK(len == n && memcmp(v, buf, n) == 0);
	CHECK_EQ(vop_setattr(f, NULL, &chmod, &t_cred), 0);
	CHECK_EQ(vop_getxattr(f, ACL_ACCESS, buf, sizeof(buf), &len), 0);
	CHECK_EQ(acl(want, "u6 U1:7 g5 m0 o4"), len);
	CHECK(memcmp(want, buf, len) == 0);
	/* One that says no more than a mode is not kept. */
	n = acl(v, "u7 g1 o1");
	CHECK_EQ(vop_setxattr(f, ACL_ACCESS, v, n, 0, &t_cred), 0);
	CHECK_EQ(mode_of(f), 02711);
	CHECK_EQ(vop_setxattr(f, ACL_ACCESS, v, n, 0, &stranger), 0);
	CHECK_EQ(mode_of(f), 0711);
	CHECK_EQ(vop_getxattr(f, ACL_ACCESS, buf, sizeof(buf), &len), -ENODATA);
	CHECK_EQ(usage(&w).ru_size_used, 0);
	CHECK_EQ(vop_removexattr(f, ACL_ACCESS, &t_cred), 0);
	/* Default ACLs are for directories. */
	CHECK_EQ(vop_setxattr(f, ACL_DEFAULT, v, n, 0, &t_cred), -EACCES);
	CHECK_EQ(vop_setxattr(f, ACL_DEFAULT, v, acl(v, ""), 0, &t_cred), 0);
	CHECK_EQ(vop_setxattr(l, ACL_ACCESS, v, n, 0, &t_cred), -EOPNOTSUPP);
	n = acl(v, "u7 g1 o1");
	CHECK_EQ(vop_setxattr(d, ACL_DEFAULT, v, n, 0, &t_cred), 0);
	CHECK_EQ(mode_of(d), 0755);
	CHECK_EQ(vop_setxattr(d, ACL_DEFAULT, v, acl(v, ""), 0, &t_cred), 0);
	CHECK_EQ(vop_getxattr(d, ACL_DEFAULT, buf, sizeof(buf), &len), -ENODATA);
}

TEST(inheritance)
{
	struct vmake mk = {.vm_type = VREG, .vm_mode = 0666, .vm_umask = 0777};
	AUTO_WORLD w;
	char v[256], buf[256];
	struct vnode *vp;
	struct file *t;
	size_t n, len;

	world_init(&w);
	CHECK_EQ(p_make(&w, "/d", VDIR), 0);
	AUTO_VNODE d = p_get(&w, "/d");
	CHECK_EQ(p_make_full(&w, "/masked", &mk), 0);
	AUTO_VNODE masked = p_get(&w, "/masked");
	CHECK_EQ(mode_of(masked), 0);
	n = acl(v, "u7 U9:6 g5 m7 o4");
	CHECK_EQ(vop_setxattr(d, ACL_DEFAULT, v, n, 0, &t_cred), 0);
	CHECK_EQ(p_make_full(&w, "/d/f", &mk), 0);
	AUTO_VNODE f = p_get(&w, "/d/f");
	CHECK_EQ(mode_of(f), 0664);
	CHECK_EQ(vop_getxattr(f, ACL_ACCESS, buf, sizeof(buf), &len), 0);
	CHECK_EQ(vop_getxattr(f, ACL_DEFAULT, buf, sizeof(buf), &len), -ENODATA);
	mk.vm_type = VDIR;
	CHECK_EQ(p_make_full(&w, "/d/e", &mk), 0);
	AUTO_VNODE e = p_get(&w, "/d/e");
	CHECK_EQ(vop_getxattr(e, ACL_DEFAULT, buf, sizeof(buf), &len), 0);
	CHECK(len == n && memcmp(buf, v, n) == 0);
	mk = (struct vmake){.vm_type = VREG, .vm_mode = 0600, .vm_umask = 0777};
	CHECK_EQ(vop_tmpfile(d, &mk, O_RDWR, &t_cred, &vp, &t), 0);
	CHECK_EQ(mode_of(vp), 0600);
	CHECK_EQ(vop_getxattr(vp, ACL_ACCESS, buf, sizeof(buf), &len), 0);
	vop_close(t);
	vn_unref(vp);
	mk = (struct vmake){.vm_type = VLNK, .vm_target = "x"};
	CHECK_EQ(p_make_full(&w, "/d/l", &mk), 0);
	AUTO_VNODE l = p_get(&w, "/d/l");
	CHECK_EQ(vop_getxattr(l, ACL_ACCESS, buf, sizeof(buf), &len), -ENODATA);
	/* No room for the ACL: nothing is made. */
	CHECK_EQ(rumpfs_set_limits(w.root->v_mount, usage(&w).ru_size_used, 0), 0);
	mk = (struct vmake){.vm_type = VREG, .vm_mode = 0600};
	uint64_t nodes = usage(&w).ru_inodes_used;
	CHECK_EQ(p_make_full(&w, "/d/g", &mk), -ENOSPC);
	CHECK_EQ(usage(&w).ru_inodes_used, nodes);
	CHECK(p_get(&w, "/d/g") == NULL);
}
