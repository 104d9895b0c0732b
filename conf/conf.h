/*
 * The configuration file: from text to plain structs, and every error that can be seen in
 * the text alone.
 *
 * The syntax is GKeyFile's.  Beside FILE.conf, the drop-ins FILE.conf.d/ *.conf are read
 * after it in the order of their names.  Relative host paths are taken relative to the
 * directory of the file that names them, and come out absolute.  Nothing here touches the
 * objects the paths name.
 *
 * Errors are sentences "FILE:LINE: [section] key: what is wrong, what was expected"; all
 * are collected, none stops the reading.
 */
#ifndef RF_CONF_H
#define RF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a section starts: for errors found later (a host object that is missing). */
struct conf_where {
	const char *cw_file; /* owned by the conf */
	unsigned cw_line;
	const char *cw_section; /* "etfs /disk/p1" */
};

#define CONF_SIZE_END UINT64_MAX

enum conf_type {
	CT_AUTO,
	CT_REG,
	CT_BLK,
	CT_CHR,
	CT_DIR,
	CT_DIR_SUBDIRS
};
enum conf_watch {
	CW_DEFAULT, /* of a key: as [daemon] says; there: auto */
	CW_AUTO,
	CW_NO
};
/* How requests come from the kernel. */
enum conf_transport {
	CTR_AUTO, /* by io_uring where the kernel offers it */
	CTR_DEVICE,
	CTR_URING
};
enum conf_when {
	WHEN_AUTO,
	WHEN_YES,
	WHEN_NO
};
enum conf_missing {
	CM_FAIL,
	CM_HIDE,
	CM_WAIT /* at the start for a while, then as CM_HIDE */
};
enum conf_symlinks {
	CS_SHOW,
	CS_HIDE,
	CS_FOLLOW
};

struct conf_etfs {
	struct conf_where ce_where;
	char *ce_path; /* as written, checked, normalised */
	char *ce_host; /* absolute */
	enum conf_type ce_type;
	uint64_t ce_begin, ce_size; /* bytes; CONF_SIZE_END */
	char *ce_partition;         /* or NULL */
	bool ce_rdonly, ce_hidden, ce_no_lock, ce_special;
	enum conf_missing ce_missing;
	enum conf_symlinks ce_symlinks;
	enum conf_watch ce_watch;
	bool ce_set_mode, ce_set_uid, ce_set_gid;
	uint32_t ce_mode, ce_uid, ce_gid;
};

enum conf_kind {
	CK_DIR,
	CK_FILE,
	CK_SYMLINK,
	CK_NODE,
	CK_WHITEOUT
};

/* [dir], [file], [symlink], [node], [whiteout] */
struct conf_node {
	struct conf_where cn_where;
	enum conf_kind cn_kind;
	char *cn_path;
	bool cn_set_mode, cn_set_uid,
	    cn_set_gid; /* else 0755 / 0644, owner of the root */
	uint32_t cn_mode, cn_uid, cn_gid;
	char *cn_content; /* CK_FILE: cn_content_len bytes, or NULL */
	size_t cn_content_len;
	char *cn_host_copy; /* CK_FILE: absolute host path, or NULL */
	char *cn_target;    /* CK_SYMLINK */
	char cn_type;       /* CK_NODE: 'c' 'b' 'p' 's' */
	uint32_t cn_major, cn_minor;
};

/* [mount]: an image file system */
struct conf_mount {
	struct conf_where cm_where;
	char *cm_path;
	char *cm_vfs; /* or NULL: found out */
	/* One of the two; none for what lies on no device. */
	char *cm_device;            /* a path of the tree, as cm_path */
	char *cm_host;              /* absolute, with a range: */
	uint64_t cm_begin, cm_size; /* bytes; CONF_SIZE_END */
	char *cm_partition;         /* or NULL */
	char *cm_options;           /* or NULL */
	bool cm_no_lock, cm_rdonly;
	bool cm_set_uid, cm_set_gid; /* else the owner of the root */
	uint32_t cm_uid, cm_gid;
};

struct conf {
	/* [daemon] */
	char *c_mountpoint; /* absolute, or NULL */
	bool c_rdonly;
	bool c_allow_other;
	uint64_t c_attr_timeout_ns; /* default 1 s */
	uint64_t c_wait_ns;         /* for all keys that are CM_WAIT; default 30 s */
	enum conf_watch c_watch;    /* of keys that do not say it */
	unsigned c_threads;         /* 0: auto */
	bool c_dev, c_suid;         /* devices and set-id bits have effect */
	bool c_export; /* file handles are good as long as the file is there */
	bool c_no_seccomp;
	bool c_no_passthrough; /* the kernel never reads host files without us */
	enum conf_transport c_transport;
	enum conf_when c_no_open;   /* opening needs no message */
	enum conf_when c_writeback; /* the kernel writes its pages back later */
	uint64_t
	    c_slow_ns; /* a request that takes longer is told of; 0: none; default 5 s */
	/* [rumpfs] */
	uint64_t c_size;           /* bytes; default half of the memory */
	uint64_t c_inodes;         /* default 1M */
	uint32_t c_mode;           /* default 0755 */
	bool c_set_uid, c_set_gid; /* else the mounting user's */
	uint32_t c_uid, c_gid;

	struct conf_node *c_nodes; /* in the order of the files */
	size_t c_nnodes;
	struct conf_etfs *c_etfs; /* in the order of the files */
	size_t c_netfs;
	struct conf_mount *c_mounts; /* in the order of the files */
	size_t c_nmounts;
	void *c_strings; /* conf.c's own */
};

struct conf_errors {
	char **ce_text; /* ce_n sentences */
	size_t ce_n;
};
void conf_errors_done(struct conf_errors *e);

/* A configuration with nothing but defaults ("none"). */
struct conf *conf_new(void);
/* NULL if there was any error; errs has them all. */
struct conf *conf_load(const char *file, struct conf_errors *errs);
/* The same for who wants the paths alone: names of users and groups are not looked up, which
 * could wait for a server, and their numbers are nobody's. */
struct conf *conf_load_paths(const char *file, struct conf_errors *errs);
void conf_free(struct conf *c);

/* Adds what -k KEY=HOST[,name=value…] says, by the rules of an [etfs] section; "line" is
 * the place among the -k options and the file is called "-k".  Host paths are relative to
 * the working directory.  A comma in HOST is written "\,".  False: errs has grown. */
bool conf_add_key(
    struct conf *c, const char *text, unsigned line, struct conf_errors *errs);

/* The same of keys that come from elsewhere: "from" stands for "-k". */
bool conf_add_key_from(struct conf *c, const char *from, const char *text, unsigned line,
    struct conf_errors *errs);
/* Takes the i'th key of c_etfs out, and frees what it owns; those after it move up. */
void conf_drop_key(struct conf *c, size_t i);

/* Checks what only the whole shows: one path declared twice, a path below something that
 * is not a directory, mounts that need one another.  conf_load() has done it; call it again after conf_add_key(). */
bool conf_check(const struct conf *c, struct conf_errors *errs);

/* What is declared at a path: one of the three. */
struct conf_item {
	const struct conf_where *ci_where;
	const char *ci_path;
	const struct conf_node *ci_node;
	const struct conf_etfs *ci_key;
	const struct conf_mount *ci_mount;
};
/* All that c declares, in the order in which it is to be made: by depth, so that what is
 * above is there first, and within one as in the files; but before a mount all that is
 * declared at or above its device's path.  For conf_order_free(). */
struct conf_item *conf_order(const struct conf *c, size_t *ret_n);
void conf_order_free(struct conf_item *items);

/* A size: a number with an optional K, M, G, T (powers of 1024) or s (512-byte sectors).
 * False: not one, or over 2^63-1. */
bool conf_parse_size(const char *text, uint64_t *ret);

#endif
