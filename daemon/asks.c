/*
 * What a session asks of the kernel (asks.h).
 */
#include "daemon/asks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/confine.h"
#include "daemon/fe_wire.h"
#include "daemon/log.h"
#include "daemon/store.h"
#include "vfs/rumpfs.h"

static void
unopened(void *arg)
{
	struct session *s = arg;

	s->s_notify.nt_drops = s->s_fe.fe_minor >= FE_MINOR_PRUNE;
	atomic_store(&s->s_space.sp_unopened, true);
	etfs_unopened(s->s_space.sp_etfs);
}

/* Without opens nobody knows what is open; where only memory is shown nobody needs to. */
void
asks_init(struct session *s)
{
	const struct conf *c = s->s_conf;
	bool memory = c->c_netfs == 0 && c->c_nmounts == 0;
	struct fe *fe = &s->s_fe;

	fe->fe_want_no_open =
	    c->c_no_open == WHEN_YES || (c->c_no_open == WHEN_AUTO && memory);
	fe->fe_unopened = unopened;
	fe->fe_want_writeback = c->c_writeback == WHEN_YES;
	s->s_space.sp_writeback = fe->fe_want_writeback;
	/* Who may not hand out files (which is what administrators may) must not ask for it
	 * either: it costs a level of stacked file systems. */
	fe->fe_want_passthrough = !c->c_no_passthrough && !fe->fe_want_no_open &&
	                          !fe->fe_want_writeback && confine_can_unmount();
}

/* What is in memory can be handed to the kernel where its account is the kernel's. */
static void
make_store(struct session *s)
{
	int r;

	if (!s->s_fe.fe_want_passthrough)
		return;
	r = store_new(s->s_conf->c_size, &s->s_store);
	if (r < 0)
		log_msg(LOG_NOTICE,
		    "files in memory are read and written through the daemon: no tmpfs: %s",
		    strerror(-r));
}

static void
set_bdi(dev_t dev, const char *name, const char *value)
{
	char path[96];
	int fd;

	snprintf(
	    path, sizeof(path), "/sys/class/bdi/%u:%u/%s", major(dev), minor(dev), name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_msg(LOG_NOTICE, "%s: %s: the kernel keeps little of what is written",
		    path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* The kernel lets a FUSE mount have 1% of what may be written later, and slows down who
 * writes even before that.  What is written here ends in memory, with nothing to wait for. */
static void
lift_dirty_limit(const struct session *s)
{
	if (!s->s_fe.fe_want_writeback || s->s_dev == 0 || !confine_can_unmount())
		return;
	set_bdi(s->s_dev, "strict_limit", "0");
	set_bdi(s->s_dev, "max_ratio", "50");
}

void
asks_mounted(struct session *s)
{
	make_store(s);
	lift_dirty_limit(s);
}

/*
 * FUSE mounts read 128 KiB ahead.  More can be had from /sys alone, and only now: what has been
 * agreed on in the greeting is a limit to what was set before it.  Who may not, has less.
 */
void
asks_answered(const struct session *s)
{
	char path[64], kib[16];
	int fd, n;

	if (s->s_dev == 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
	    major(s->s_dev), minor(s->s_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(kib, sizeof(kib), "%u", FE_DATA_MAX >> 10);
	(void)!write(fd, kib, (size_t)n);
	close(fd);
}

void
asks_done(struct session *s)
{
	if (s->s_store)
		s->s_store->st_free(s->s_store);
	s->s_store = NULL;
}

void
asks_agreed(struct session *s)
{
	struct mount *mem = s->s_space.sp_vfs.vfs_mem_root->v_mount;
	int r = 0;

	if (s->s_store && s->s_fe.fe_agreed & FE_INIT_PASSTHROUGH)
		r = rumpfs_store_use(mem, s->s_store);
	else
		r = -EOPNOTSUPP;
	if (r < 0)
		asks_done(s);
	s->s_store = NULL;
}
