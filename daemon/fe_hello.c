/*
 * The greeting: what the kernel and we agree on (fe.h).
 *
 * What libfuse knows it is told in fe_hello().  What the libfuse at hand does not know is
 * added to its answer on the way to the kernel (fe_wire.c), so that what can be had does not
 * depend on the library.
 */
#include "daemon/fe.h"
#include "daemon/fe_mode.h"
#include "daemon/fe_wire.h"

#define MAX_BACKGROUND 64

static void
want(struct fuse_conn_info *conn, uint64_t cap, bool on)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 18)
	if (on)
		fuse_set_feature_flag(conn, cap);
	else
		fuse_unset_feature_flag(conn, cap);
#else
	if (on && (conn->capable & cap))
		conn->want |= (unsigned)cap;
	else
		conn->want &= ~(unsigned)cap;
#endif
}

/* What fe_hello_more() agrees on, where libfuse knows it by itself. */
static void
agree(struct fe *fe, struct fuse_conn_info *conn)
{
#if !FE_WIRE
	static const struct {
		uint64_t cap, flag;
	} known[] = {
	    {FUSE_CAP_HANDLE_KILLPRIV_V2, FE_INIT_KILLPRIV_V2},
	    {FUSE_CAP_PASSTHROUGH, FE_INIT_PASSTHROUGH},
	    {FUSE_CAP_OVER_IO_URING, FE_INIT_URING},
	};
	uint64_t offered = 0, agreed;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (conn->capable_ext & known[i].cap)
			offered |= known[i].flag;
	agreed = fe_hello_more(fe, offered);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		want(conn, known[i].cap, agreed & known[i].flag);
	/* Here fe_ready() comes before the answer, which would be a limit to what that sets
	 * (asks.c). */
	conn->max_readahead = FE_DATA_MAX;
	/* libfuse adds the one that we are. */
	conn->max_backing_stack_depth = FE_STACK_DEPTH - 1;
#endif
}

/*
 * The greeting.  libfuse turns some capabilities on by itself; all of them are decided
 * here.  Left to the kernel: fcntl and flock locks, which it keeps for this mount as for any
 * local file system.  Set-id bits that writing takes off are ours (KILLPRIV_V2): else the
 * kernel would ask before each write whether there are any.  The umask is ours, because a
 * default ACL comes before it; ACLs are enforced by the kernel, which reads them from us.
 * Taking requests in by splice is off: writes of 1 MiB are no faster with it, and small ones
 * pay for an allocation.
 */
void
fe_hello(void *userdata, struct fuse_conn_info *conn)
{
	struct fe *fe = userdata;

	fe_mode_agree(fe, conn);
	/* Contents and symlinks that change only through the kernel are kept without
	 * looking at mtime again.  Symlinks of the host are not: for those the kernel has
	 * nothing to go by. */
	const struct {
		uint64_t cap;
		bool on;
	} caps[] = {
	    {FUSE_CAP_ASYNC_READ, true},
	    {FUSE_CAP_PARALLEL_DIROPS, true},
	    {FUSE_CAP_ATOMIC_O_TRUNC, !fe->fe_no_open},
	    {FUSE_CAP_READDIRPLUS, true},
	    {FUSE_CAP_READDIRPLUS_AUTO, true},
	    {FUSE_CAP_ASYNC_DIO, true},
	    {FUSE_CAP_IOCTL_DIR, true},
	    {FUSE_CAP_SPLICE_WRITE, true},
	    {FUSE_CAP_SPLICE_MOVE, true},
	    {FUSE_CAP_SPLICE_READ, false},
	    {FUSE_CAP_AUTO_INVAL_DATA, fe->fe_live},
	    {FUSE_CAP_CACHE_SYMLINKS, !fe->fe_live},
	    {FUSE_CAP_EXPLICIT_INVAL_DATA, false},
	    /* overlayfs would take the dentries that are made of handles for stale */
	    {FUSE_CAP_EXPORT_SUPPORT, fe->fe_export},
	    {FUSE_CAP_HANDLE_KILLPRIV, false},
	    {FUSE_CAP_DONT_MASK, true},
	    {FUSE_CAP_WRITEBACK_CACHE, fe->fe_writeback},
	    {FUSE_CAP_POSIX_LOCKS, false},
	    {FUSE_CAP_FLOCK_LOCKS, false},
	    {FUSE_CAP_POSIX_ACL, true},
	};

	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		want(conn, caps[i].cap, caps[i].on);
	agree(fe, conn);
	if (conn->max_write > FE_DATA_MAX)
		conn->max_write = FE_DATA_MAX;
	conn->max_background = MAX_BACKGROUND;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	conn->no_interrupt = 1; /* no request looks at it */
#endif
}

uint64_t
fe_hello_more(struct fe *fe, uint64_t offered)
{
	const struct {
		uint64_t flag;
		bool on;
	} more[] = {
	    {FE_INIT_KILLPRIV_V2, true},
	    {FE_INIT_PASSTHROUGH, fe->fe_want_passthrough},
	    {FE_INIT_URING, fe->fe_want_uring},
	};
	uint64_t agreed = 0;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i].on && offered & more[i].flag)
			agreed |= more[i].flag;
	fe->fe_agreed = agreed;
	return agreed;
}
