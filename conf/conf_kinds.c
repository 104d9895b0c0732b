/*
 * Which sections there are, which keys they take, and what the keys of one section must
 * agree on.  Read it from the end upward: a kind of section is a row of conf_kinds[], a
 * key is a row of its table, and a rule between keys is a line of a finish function.
 */
#include <string.h>

#include "conf/conf_int.h"

/* The keys that have rules, by their places in their tables. */
#define F_CONTENT   1
#define F_HOST_COPY 2
#define S_TARGET    1
#define N_TYPE      1
#define N_MAJOR     2
#define N_MINOR     3
#define E_HOST      1
#define E_TYPE      2
#define E_BEGIN     3
#define E_SIZE      4
#define E_PARTITION 5
#define E_LOCK      9
#define E_SYMLINKS  10
#define E_SPECIAL   11
#define E_WATCH     12
#define M_VFS       1
#define M_DEVICE    2
#define M_HOST      3
#define M_BEGIN     4
#define M_SIZE      5
#define M_PARTITION 6
#define M_LOCK      7

/* For the tables that follow. */
#define AT(type, field)   offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define FLAG(type, field) offsetof(struct type, field)

static const struct conf_word yes_no[] = {
    {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {NULL, 0}};
static const struct conf_word no_yes[] = {/* for fields that say the opposite */
    {"yes", 0}, {"no", 1}, {"true", 0}, {"false", 1}, {NULL, 0}};
static const struct conf_word rw_ro[] = {{"rw", 0}, {"ro", 1}, {NULL, 0}};
static const struct conf_word missing_words[] = {
    {"fail", CM_FAIL}, {"hide", CM_HIDE}, {"wait", CM_WAIT}, {NULL, 0}};
static const struct conf_word symlink_words[] = {
    {"show", CS_SHOW}, {"hide", CS_HIDE}, {"follow", CS_FOLLOW}, {NULL, 0}};
static const struct conf_word watch_words[] = {
    {"auto", CW_AUTO}, {"no", CW_NO}, {NULL, 0}};
static const struct conf_word auto_no[] = {{"auto", 0}, {"no", 1}, {NULL, 0}};
static const struct conf_word when_words[] = {
    {"auto", WHEN_AUTO}, {"yes", WHEN_YES}, {"no", WHEN_NO}, {NULL, 0}};
static const struct conf_word transport_words[] = {
    {"auto", CTR_AUTO}, {"device", CTR_DEVICE}, {"io-uring", CTR_URING}, {NULL, 0}};
static const struct conf_word etfs_types[] = {{"reg", CT_REG}, {"blk", CT_BLK},
    {"chr", CT_CHR}, {"dir", CT_DIR}, {"dir-subdirs", CT_DIR_SUBDIRS}, {NULL, 0}};
static const struct conf_word node_types[] = {
    {"chr", 'c'}, {"blk", 'b'}, {"fifo", 'p'}, {"sock", 's'}, {NULL, 0}};

/* Makes room for one more element in an array of n; the room is a power of two. */
static void *
grow(void *array, size_t n, size_t size)
{
	if ((n & (n - 1)) == 0)
		array = g_realloc_n(array, n ? n * 2 : 1, size);
	return array;
}

static bool
given(const struct conf_section *s, int k)
{
	return s->se_key_line[k] != 0;
}

/* Device numbers belong to devices.  With a type that is missing or wrong nothing can be
 * said of them. */
static void
finish_device(struct conf_parse *p, const struct conf_node *n)
{
	bool device = n->cn_type == 'c' || n->cn_type == 'b';

	for (int k = N_MAJOR; k <= N_MINOR && n->cn_type; k++) {
		if (device && conf_section_missing(p->cp_section, k))
			conf_section_error(p, k, "missing, expected a device number");
		else if (!device && given(p->cp_section, k))
			conf_section_error(
			    p, k, "only chr and blk have device numbers, expected none");
	}
}

/* [dir], [file], [symlink], [node], [whiteout]. */
static void
finish_node(struct conf_parse *p)
{
	struct conf_section *s = p->cp_section;
	struct conf_node *n = &s->se_u.u_node;
	struct conf *c = p->cp_conf;

	n->cn_kind = s->se_kind->s_node;
	if (n->cn_path && strcmp(n->cn_path, "/") == 0) {
		conf_section_error(p, -1,
		    "the path is the root of the mount, expected one below it "
		    "([rumpfs] has the root's mode, uid and gid)");
		g_clear_pointer(&n->cn_path, g_free);
	}
	if (n->cn_kind == CK_SYMLINK && conf_section_missing(s, S_TARGET))
		conf_section_error(
		    p, S_TARGET, "missing, expected what the symlink points to");
	if (n->cn_kind == CK_NODE && conf_section_missing(s, N_TYPE))
		conf_section_error(p, N_TYPE, "missing, expected chr, blk, fifo or sock");
	if (n->cn_kind == CK_NODE)
		finish_device(p, n);
	if (n->cn_kind == CK_FILE && given(s, F_CONTENT) && given(s, F_HOST_COPY)) {
		bool first = s->se_key_line[F_CONTENT] < s->se_key_line[F_HOST_COPY];
		conf_section_error(p, first ? F_HOST_COPY : F_CONTENT,
		    "%s is given too, expected only one of them",
		    first ? "content" : "host-copy");
	}
	if (n->cn_path && !s->se_repeated) {
		c->c_nodes = grow(c->c_nodes, c->c_nnodes, sizeof(*n));
		c->c_nodes[c->c_nnodes++] = *n;
		*n = (struct conf_node){0};
	}
}

/* Keys that make no sense for the type, as far as the type is known. */
static void
finish_etfs_type(struct conf_parse *p, const struct conf_etfs *e)
{
	static const int for_files[] = {E_BEGIN, E_SIZE, E_PARTITION, E_LOCK};
	static const int for_dirs[] = {E_SYMLINKS, E_SPECIAL, E_WATCH};
	const struct conf_section *s = p->cp_section;
	bool dir = e->ce_type == CT_DIR || e->ce_type == CT_DIR_SUBDIRS;

	for (size_t i = 0; i < G_N_ELEMENTS(for_files) && dir; i++) {
		if (given(s, for_files[i]))
			conf_section_error(p, for_files[i],
			    "not for a directory, expected type reg, blk or chr with it");
	}
	for (size_t i = 0; i < G_N_ELEMENTS(for_dirs) && !dir && e->ce_type; i++) {
		if (given(s, for_dirs[i]))
			conf_section_error(p, for_dirs[i],
			    "only for a directory, expected type dir or dir-subdirs with it");
	}
	if (!dir && e->ce_type && e->ce_path && strcmp(e->ce_path, "/") == 0)
		conf_section_error(p, E_TYPE,
		    "the root of the mount is a directory, expected dir or dir-subdirs");
}

/* Begin, size and partition of a host file.  Whether the range is within the host object is
 * etfs's to say; here only what no object could satisfy is refused. */
static void
finish_range(struct conf_parse *p, int k_begin, int k_size, int k_partition,
    uint64_t begin, uint64_t size)
{
	const struct conf_section *s = p->cp_section;

	for (int k = k_begin; k <= k_size && given(s, k_partition); k++) {
		if (given(s, k))
			conf_section_error(p, k,
			    "the partition says it already, expected only one of partition and begin, size");
	}
	if (size != CONF_SIZE_END && begin > INT64_MAX - size)
		conf_section_error(p, k_size,
		    "begin + size is too large, expected at most 2^63-1 bytes");
}

static void
finish_etfs(struct conf_parse *p)
{
	struct conf_section *s = p->cp_section;
	struct conf_etfs *e = &s->se_u.u_etfs;
	struct conf *c = p->cp_conf;

	if (conf_section_missing(s, E_HOST))
		conf_section_error(
		    p, E_HOST, "missing, expected the path of a host file or directory");
	finish_etfs_type(p, e);
	finish_range(p, E_BEGIN, E_SIZE, E_PARTITION, e->ce_begin, e->ce_size);
	if (e->ce_path && !s->se_repeated) {
		c->c_etfs = grow(c->c_etfs, c->c_netfs, sizeof(*e));
		c->c_etfs[c->c_netfs++] = *e;
		*e = (struct conf_etfs){0};
	}
}

/* Where the image of a mount is: in the tree, on the host, or nowhere. */
static void
finish_mount_device(struct conf_parse *p, const struct conf_mount *m)
{
	const struct conf_section *s = p->cp_section;
	bool device = !conf_section_missing(s, M_DEVICE);
	bool host = !conf_section_missing(s, M_HOST);
	bool memory = m->cm_vfs && strcmp(m->cm_vfs, "rumpfs") == 0;

	for (int k = M_DEVICE; k <= M_HOST && memory; k++) {
		if (given(s, k))
			conf_section_error(
			    p, k, "a tree in memory lies on no device, expected none");
	}
	if (given(s, M_DEVICE) && given(s, M_HOST) && !memory) {
		bool first = s->se_key_line[M_DEVICE] < s->se_key_line[M_HOST];
		conf_section_error(p, first ? M_HOST : M_DEVICE,
		    "%s is given too, expected only one of them",
		    first ? "device" : "host");
	}
	/* With a type that could not be read nothing can be said of it. */
	if (!device && !host && !memory && (m->cm_vfs || !given(s, M_VFS)))
		conf_section_error(p, -1,
		    "no device, expected device = a path of this mount or host = a host file");
	for (int k = M_BEGIN; k <= M_LOCK && !host; k++) {
		if (given(s, k))
			conf_section_error(
			    p, k, "only for a host file, expected host with it");
	}
}

static void
finish_mount(struct conf_parse *p)
{
	struct conf_section *s = p->cp_section;
	struct conf_mount *m = &s->se_u.u_mount;
	struct conf *c = p->cp_conf;

	finish_mount_device(p, m);
	if (given(s, M_HOST))
		finish_range(p, M_BEGIN, M_SIZE, M_PARTITION, m->cm_begin, m->cm_size);
	if (m->cm_path && !s->se_repeated) {
		c->c_mounts = grow(c->c_mounts, c->c_nmounts, sizeof(*m));
		c->c_mounts[c->c_nmounts++] = *m;
		*m = (struct conf_mount){0};
	}
}

/* The tables. */
static const struct conf_key daemon_keys[] = {
    {"mountpoint", conf_set_host, AT(conf, c_mountpoint)},
    {"access", conf_set_word, AT(conf, c_rdonly), 0, rw_ro, "an access"},
    {"allow-other", conf_set_word, AT(conf, c_allow_other), 0, yes_no, "a boolean"},
    {"attr-timeout", conf_set_duration, AT(conf, c_attr_timeout_ns)},
    {"watch", conf_set_word, AT(conf, c_watch), 0, watch_words, "a choice"},
    {"wait", conf_set_duration, AT(conf, c_wait_ns)},
    {"threads", conf_set_threads, AT(conf, c_threads)},
    {"dev", conf_set_word, AT(conf, c_dev), 0, yes_no, "a boolean"},
    {"suid", conf_set_word, AT(conf, c_suid), 0, yes_no, "a boolean"},
    {"export", conf_set_word, AT(conf, c_export), 0, yes_no, "a boolean"},
    {"seccomp", conf_set_word, AT(conf, c_no_seccomp), 0, no_yes, "a boolean"},
    {"slow", conf_set_duration, AT(conf, c_slow_ns)},
    {"passthrough", conf_set_word, AT(conf, c_no_passthrough), 0, auto_no, "a choice"},
    {"transport", conf_set_word, AT(conf, c_transport), 0, transport_words, "a choice"},
    {"no-open", conf_set_word, AT(conf, c_no_open), 0, when_words, "a choice"},
    {"writeback", conf_set_word, AT(conf, c_writeback), 0, when_words, "a choice"},
};

static const struct conf_key rumpfs_keys[] = {
    {"size", conf_set_size_ram, AT(conf, c_size)},
    {"inodes", conf_set_count, AT(conf, c_inodes)},
    {"mode", conf_set_mode, AT(conf, c_mode)},
    {"uid", conf_set_uid, AT(conf, c_uid), FLAG(conf, c_set_uid)},
    {"gid", conf_set_gid, AT(conf, c_gid), FLAG(conf, c_set_gid)},
};

/* Keys that several kinds of nodes have. */
#define NODE_PATH "path", conf_set_path, AT(conf_node, cn_path)
#define NODE_MODE \
	"mode", conf_set_mode, AT(conf_node, cn_mode), FLAG(conf_node, cn_set_mode)
#define NODE_UID "uid", conf_set_uid, AT(conf_node, cn_uid), FLAG(conf_node, cn_set_uid)
#define NODE_GID "gid", conf_set_gid, AT(conf_node, cn_gid), FLAG(conf_node, cn_set_gid)

static const struct conf_key dir_keys[] = {
    [K_PATH] = {NODE_PATH},
    {NODE_MODE},
    {NODE_UID},
    {NODE_GID},
};

static const struct conf_key file_keys[] = {
    [K_PATH] = {NODE_PATH},
    [F_CONTENT] = {"content", conf_set_content, AT(conf_node, cn_content)},
    [F_HOST_COPY] = {"host-copy", conf_set_host, AT(conf_node, cn_host_copy)},
    {NODE_MODE},
    {NODE_UID},
    {NODE_GID},
};

static const struct conf_key symlink_keys[] = {
    [K_PATH] = {NODE_PATH},
    [S_TARGET] = {"target", conf_set_target, AT(conf_node, cn_target)},
    {NODE_UID},
    {NODE_GID},
};

/* The largest device numbers are the kernel's: 12 and 20 bits. */
static const struct conf_key node_keys[] = {
    [K_PATH] = {NODE_PATH},
    [N_TYPE] = {"type", conf_set_word, AT(conf_node, cn_type), 0, node_types, "a type"},
    [N_MAJOR] = {"major", conf_set_number, AT(conf_node, cn_major), .k_max = 4095},
    [N_MINOR] = {"minor", conf_set_number, AT(conf_node, cn_minor), .k_max = 1048575},
    {NODE_MODE},
    {NODE_UID},
    {NODE_GID},
};

static const struct conf_key whiteout_keys[] = {
    [K_PATH] = {NODE_PATH},
};

#define ETFS(field) AT(conf_etfs, field)
static const struct conf_key etfs_keys[] = {
    [K_PATH] = {"path", conf_set_path, ETFS(ce_path)},
    [E_HOST] = {"host", conf_set_host, ETFS(ce_host)},
    [E_TYPE] = {"type", conf_set_word, ETFS(ce_type), 0, etfs_types, "a type"},
    [E_BEGIN] = {"begin", conf_set_size, ETFS(ce_begin)},
    [E_SIZE] = {"size", conf_set_size_end, ETFS(ce_size)},
    [E_PARTITION] = {"partition", conf_set_text, ETFS(ce_partition),
	.k_what = "a number, PARTLABEL or PARTUUID"},
    {"access", conf_set_word, ETFS(ce_rdonly), 0, rw_ro, "an access"},
    {"missing", conf_set_word, ETFS(ce_missing), 0, missing_words, "a choice"},
    {"hidden", conf_set_word, ETFS(ce_hidden), 0, yes_no, "a boolean"},
    [E_LOCK] = {"lock", conf_set_word, ETFS(ce_no_lock), 0, no_yes, "a boolean"},
    [E_SYMLINKS] = {"symlinks", conf_set_word, ETFS(ce_symlinks), 0, symlink_words,
	"a choice"},
    [E_SPECIAL] = {"special", conf_set_word, ETFS(ce_special), 0, yes_no, "a boolean"},
    [E_WATCH] = {"watch", conf_set_word, ETFS(ce_watch), 0, watch_words, "a choice"},
    {"mode", conf_set_mode, ETFS(ce_mode), FLAG(conf_etfs, ce_set_mode)},
    {"uid", conf_set_uid, ETFS(ce_uid), FLAG(conf_etfs, ce_set_uid)},
    {"gid", conf_set_gid, ETFS(ce_gid), FLAG(conf_etfs, ce_set_gid)},
};
_Static_assert(G_N_ELEMENTS(etfs_keys) <= CONF_KEYS_MAX, "se_key_line is too small");

#define MOUNT(field) AT(conf_mount, field)
static const struct conf_key mount_keys[] = {
    [K_PATH] = {"path", conf_set_path, MOUNT(cm_path)},
    [M_VFS] = {"vfs", conf_set_text, MOUNT(cm_vfs),
	.k_what = "a file system type, or auto"},
    [M_DEVICE] = {"device", conf_set_path, MOUNT(cm_device)},
    [M_HOST] = {"host", conf_set_host, MOUNT(cm_host)},
    [M_BEGIN] = {"begin", conf_set_size, MOUNT(cm_begin)},
    [M_SIZE] = {"size", conf_set_size_end, MOUNT(cm_size)},
    [M_PARTITION] = {"partition", conf_set_text, MOUNT(cm_partition),
	.k_what = "a number, PARTLABEL or PARTUUID"},
    [M_LOCK] = {"lock", conf_set_word, MOUNT(cm_no_lock), 0, no_yes, "a boolean"},
    {"access", conf_set_word, MOUNT(cm_rdonly), 0, rw_ro, "an access"},
    {"options", conf_set_text, MOUNT(cm_options),
	.k_what = "options of the file system type"},
    {"uid", conf_set_uid, MOUNT(cm_uid), FLAG(conf_mount, cm_set_uid)},
    {"gid", conf_set_gid, MOUNT(cm_gid), FLAG(conf_mount, cm_set_gid)},
};

#define KEYS(t) t, G_N_ELEMENTS(t)
const struct conf_kinddef conf_kinds[CONF_NKINDS] = {
    {"daemon", false, 0, KEYS(daemon_keys), NULL},
    {"rumpfs", false, 0, KEYS(rumpfs_keys), NULL},
    {"dir", true, CK_DIR, KEYS(dir_keys), finish_node},
    {"file", true, CK_FILE, KEYS(file_keys), finish_node},
    {"symlink", true, CK_SYMLINK, KEYS(symlink_keys), finish_node},
    {"node", true, CK_NODE, KEYS(node_keys), finish_node},
    {"whiteout", true, CK_WHITEOUT, KEYS(whiteout_keys), finish_node},
    {"etfs", true, 0, KEYS(etfs_keys), finish_etfs},
    {"mount", true, 0, KEYS(mount_keys), finish_mount},
};
