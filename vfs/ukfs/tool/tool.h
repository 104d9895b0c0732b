/*
 * ukfs, the tool: what its parts share.
 *
 * The program knows a file system by ukfs.h alone, and the host by plain system calls.  One
 * image is mounted at a time, read-only until a command is to write (tool_need()).  There is
 * one thread.
 *
 * Paths in the image are what the user wrote, with names added on the way down; so they are
 * what messages show, too.  They are as long as they have to be (img.h).
 *
 * Messages go to the standard error output as those of coreutils do, and a command goes on
 * after one if it can; its result is then 1.
 */
#ifndef UKFS_TOOL_H
#define UKFS_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <ukfs.h>

/* Exit codes, and what a command returns. */
enum {
	RC_FINE = 0,
	RC_SOME = 1,  /* something failed */
	RC_USAGE = 2, /* nothing was tried */
	RC_MOUNT = 3, /* the image cannot be mounted */
};

struct command {
	const char *c_name;
	const char *c_synopsis, *c_help;
	/* argv[0] is the name.  RC_*. */
	int (*c_run)(int argc, char **argv);
	/* Does it write to the image?  Empty: never.  cmd_always: always. */
	bool (*c_writes)(int argc, char **argv);
	bool c_nomount; /* needs no image */
};

extern const struct command *const commands[]; /* cmdline.c; ends with NULL */
bool cmd_always(int argc, char **argv);
/* Begins getopt_long() anew; what it has to say is said as the command (argv[0]). */
void cmd_begin_options(void);
/* Says how the command is used: RC_USAGE. */
int cmd_usage(const char *name);
/* There are too few operands: RC_USAGE. */
int cmd_missing(const char *name);

/* The image. */
struct target {
	const char *tg_type; /* "auto" */
	char *tg_options;    /* for ukfs_mount(), or NULL */
	bool tg_rdonly;      /* asked for */
	char *tg_image;      /* the host file */
	char *tg_partition;  /* number, PARTLABEL or PARTUUID, or NULL */
	char *tg_name;       /* as the user wrote it */
};
extern struct target target; /* cmdline.c */
/* Sets image and partition: "IMAGE" if there is such a file, else "IMAGE:PARTITION". */
void target_set(const char *arg);

/* The mount. */
extern struct ukfs *tool_fs; /* or NULL */
/* Mounts, or mounts again for writing if need be.  RC_FINE or RC_MOUNT. */
int tool_need(bool writing);
/* RC_FINE or RC_SOME: what was written may not be on the disk. */
int tool_release(void);
/* The user wants it to end: asked in every loop, and the image is unmounted then. */
bool tool_interrupted(void);

/* partition table and what is in the image: RC_* (table.c). */
int table_show(void);
/* Has the image a partition table, though none was asked for? */
bool table_there(void);
/* The number of the partition that was asked for; or -1, and it has been said. */
int table_number(void);

/* Commands from standard input (script.c). */
int script_run(void);
/* Cuts a line into words (in the line's own memory): how many, or -EINVAL at a quote that is
 * not closed.  *ret_argv ends with NULL and is the caller's to free. */
int script_split(char *line, char ***ret_argv);

/* The program: RC_*. */
int tool_main(int argc, char **argv);
/* argv[0] is the command's name: RC_*. */
int run_command(int argc, char **argv);

/* Messages: "ukfs: PATH: text of err" (err as errno or -errno), "ukfs: …".  RC_SOME. */
int bad(const char *path, int err);
int badf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Memory that is there: else a message, the image is unmounted, and the end. */
void *xmalloc(size_t n);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* dir/name, with one slash. */
char *path_join(const char *dir, const char *name);
/* The last component without slashes, as memory of the caller's; "/" for the root. */
char *path_base(const char *path);

static inline void
free_p(void *p)
{
	__builtin_free(*(void **)p);
}
#define AUTO_FREE __attribute__((cleanup(free_p)))

/* The commands. */
extern const struct command cmd_cat, cmd_cd, cmd_chmod, cmd_chown, cmd_cp, cmd_df, cmd_du,
    cmd_find, cmd_help, cmd_ln, cmd_ls, cmd_mkdir, cmd_mv, cmd_readlink, cmd_rm,
    cmd_rmdir, cmd_stat, cmd_sync, cmd_touch, cmd_tree, cmd_truncate, cmd_write,
    cmd_xattr;

#endif
