/*
 * The daemon that somebody asks for (peer.h).
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "daemon/ctl/peer.h"
#include "daemon/ctl/text.h"

#define PROTOCOL 1

void
peer_init(struct peer *p, double seconds)
{
	*p = (struct peer){.p_seconds = seconds};
	conn_init(&p->p_conn);
}

static void
peer_forget(struct peer *p)
{
	g_clear_pointer(&p->p_hello, json_node_unref);
	g_clear_pointer(&p->p_mounts, g_ptr_array_unref);
	g_clear_pointer(&p->p_sockets, g_strfreev);
	g_clear_pointer(&p->p_point, g_free);
	p->p_mnt = NULL;
}

void
peer_done(struct peer *p)
{
	conn_done(&p->p_conn);
	peer_forget(p);
}

JsonObject *
peer_hello(const struct peer *p)
{
	return p->p_hello ? json_node_get_object(p->p_hello) : NULL;
}

static void
explain_no_mount(struct peer *p, GString *why)
{
	const struct mnt *over = mounts_over(p->p_mounts, p->p_point);
	g_autofree char *point = text_show(p->p_point);

	if (over && mnt_ours(over)) {
		g_autofree char *it = text_show(over->m_point);

		g_string_append_printf(why,
		    "%s is not a mount point, but lies in the mount at %s: name that",
		    point, it);
	} else {
		g_string_append_printf(why,
		    "%s is not a mount point; \"rumpfusectl mounts\" lists the daemons that run",
		    point);
	}
}

/* -o subtype= can give a mount of ours any name. */
static bool
has_socket(const struct mnt *m)
{
	g_auto(GStrv) sockets =
	    g_str_has_prefix(m->m_type, "fuse") ? sockets_of(m) : NULL;

	for (char **s = sockets; s && *s; s++)
		if (access(*s, F_OK) == 0)
			return true;
	return false;
}

int
peer_find(struct peer *p, const char *mountpoint, const char *socket, GString *why)
{
	g_autofree char *cwd = NULL, *absolute = NULL;
	size_t n;

	peer_forget(p);
	if (socket) {
		p->p_sockets = g_new0(char *, 2);
		p->p_sockets[0] = g_strdup(socket);
		return CTL_OK;
	}
	p->p_mounts = mounts_read();
	if (!p->p_mounts) {
		g_string_append(
		    why, "/proc/self/mountinfo cannot be read: is /proc mounted?");
		return CTL_NODAEMON;
	}
	cwd = g_get_current_dir();
	absolute = path_absolute(mountpoint, cwd);
	p->p_point = path_resolve(p->p_mounts, absolute);
	p->p_mnt = mounts_at(p->p_mounts, p->p_point);
	if (!p->p_mnt && (p->p_mnt = mounts_from(p->p_mounts, absolute, &n))) {
		/* The configuration, which the unit knows and a person may. */
		g_free(p->p_point);
		p->p_point = g_strdup(p->p_mnt->m_point);
		if (n > 1) {
			g_string_append_printf(why,
			    "%s is mounted %zu times: name the mount point", absolute, n);
			return CTL_NODAEMON;
		}
	}
	if (!p->p_mnt) {
		explain_no_mount(p, why);
		return CTL_NODAEMON;
	}
	if (!mnt_ours(p->p_mnt) && !has_socket(p->p_mnt)) {
		g_autofree char *point = text_show(p->p_point);
		g_autofree char *type = text_show(p->p_mnt->m_type);
		g_autofree char *source = text_show(p->p_mnt->m_source);

		g_string_append_printf(why,
		    "%s is a mount of type %s (%s), not of rumpfuse", point, type,
		    source);
		return CTL_NODAEMON;
	}
	p->p_sockets = sockets_of(p->p_mnt);
	return CTL_OK;
}

static char *
user_name(uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	return pw ? g_strdup_printf("%s (uid %u)", pw->pw_name, uid)
	          : g_strdup_printf("uid %u", uid);
}

/* Nobody listens: what to do about it. */
static void
explain_dead(struct peer *p, bool certain, GString *why)
{
	g_autofree char *point = text_show(p->p_point);
	g_autofree char *source = text_show(p->p_mnt->m_source);

	if (certain) {
		g_string_append_printf(why,
		    "the daemon of %s is gone, and whoever uses the mount gets \"Transport "
		    "endpoint is not connected\"",
		    point);
	} else {
		g_autofree char *tried = g_strjoinv(", ", p->p_sockets);
		g_autofree char *names = text_show(tried);

		g_string_append_printf(why,
		    "%s is a mount of rumpfuse, but its daemon has no control socket (%s): "
		    "either it has no runtime directory, and has logged that, or it is gone, and "
		    "whoever uses the mount gets \"Transport endpoint is not connected\"",
		    point, names);
	}
	g_string_append_printf(why,
	    ".\nIf it is gone: \"rumpfuse %s %s\" replaces it, \"umount -l %s\" takes it away",
	    source, point, point);
}

/* err: what connecting ended with. */
static int
explain_unreached(struct peer *p, int err, const char *path, GString *why)
{
	g_autofree char *name = text_show(path);

	if (err == -ETIMEDOUT) {
		g_string_append_printf(why,
		    "%s: the daemon takes no connections for %g s: is it stopped?", name,
		    p->p_seconds);
		return CTL_PROTOCOL;
	}
	if (err == -EPERM) {
		g_autofree char *stranger = user_name(p->p_conn.c_uid);

		g_string_append_printf(why,
		    "%s belongs to %s, who does not serve this mount: not used", name,
		    stranger);
	} else if (err == -EACCES) {
		g_autofree char *owner =
		    p->p_mnt && p->p_mnt->m_has_uid ? user_name(p->p_mnt->m_uid) : NULL;

		g_string_append_printf(why,
		    "%s: permission denied: only root and the user who runs the daemon%s%s may "
		    "control it",
		    name, owner ? ", " : "", owner ? owner : "");
	} else if (!p->p_mnt) {
		g_string_append_printf(why, "%s: %s", name,
		    err == -ECONNREFUSED ? "no daemon listens there (it is gone)"
					 : g_strerror(-err));
	} else if (err == -ENOENT || err == -ENOTDIR || err == -ECONNREFUSED) {
		explain_dead(p, err == -ECONNREFUSED, why);
	} else {
		g_string_append_printf(why, "%s: %s", name, g_strerror(-err));
	}
	return CTL_NODAEMON;
}

/* A stranger could have made a socket of this name, and tell us anything. */
static bool
trusted(struct peer *p)
{
	uid_t uid = p->p_conn.c_uid;

	return !p->p_mnt || uid == 0 || uid == geteuid() ||
	       (p->p_mnt->m_has_uid && uid == p->p_mnt->m_uid);
}

/* Tries each place; what is most to the point is what is said of it. */
static int
peer_connect(struct peer *p, GString *why)
{
	int64_t deadline = conn_deadline(p->p_seconds);
	const char *worst_path = p->p_sockets[0];
	int worst = -ENOENT;

	for (char **s = p->p_sockets; *s; s++) {
		int err = conn_open(&p->p_conn, *s, deadline);

		if (err == 0 && trusted(p))
			return CTL_OK;
		if (err == 0) {
			conn_close(&p->p_conn);
			err = -EPERM;
		}
		if (err != -ENOENT && (worst == -ENOENT || err == -ETIMEDOUT)) {
			worst = err;
			worst_path = *s;
		}
	}
	return explain_unreached(p, worst, worst_path, why);
}

int
peer_failed(struct peer *p, int err, const char *unknown, double seconds, GString *why)
{
	g_autofree char *point = text_show(p->p_point ? p->p_point : p->p_sockets[0]);

	g_string_append_printf(
	    why, "%s: the daemon (process %d) ", point, (int)p->p_conn.c_pid);
	switch (err) {
	case -ETIMEDOUT:
		g_string_append_printf(why,
		    "has not answered for %g s: is it stopped? --timeout allows more",
		    seconds);
		break;
	case -ECONNRESET:
	case -EPIPE:
		g_string_append(why, "has closed the connection without an answer");
		break;
	case -E2BIG:
		g_string_append(why, "takes requests of at most 64 KiB");
		break;
	case -EPROTO:
		g_string_append_printf(why, "says what is not in the protocol: %s",
		    unknown ? unknown : "garbage");
		break;
	default:
		g_string_append_printf(why, "cannot be talked to: %s", g_strerror(-err));
		break;
	}
	return CTL_PROTOCOL;
}

int
peer_ask(struct peer *p, JsonObject *request, double seconds,
    void (*progress)(JsonObject *), struct answer *ret, GString *why)
{
	const char *unknown = NULL;
	int64_t deadline = conn_deadline(seconds);
	int err = conn_send(&p->p_conn, request, deadline);

	/* Who refuses us may have said why before it closed the connection. */
	if (err == 0 || err == -EPIPE || err == -ECONNRESET) {
		do
			err = conn_answer(&p->p_conn, p->p_conn.c_id, deadline, progress,
			    ret, &unknown);
		while (err == -EINTR);
	}
	return err ? peer_failed(p, err, unknown, seconds, why) : CTL_OK;
}

/* That it is the one that was looked for. */
static int
judge_hello(struct peer *p, JsonObject *hello, GString *why)
{
	const char *device = get_str(hello, "device");
	uint64_t protocol = get_num(hello, "protocol", 0);

	if (protocol != PROTOCOL) {
		g_string_append_printf(why,
		    "the daemon speaks protocol %" G_GUINT64_FORMAT
		    " and this program %d: use the one that came with it",
		    protocol, PROTOCOL);
		return CTL_PROTOCOL;
	}
	if (p->p_mnt && device) {
		g_autofree char *ours =
		    g_strdup_printf("%u:%u", p->p_mnt->m_major, p->p_mnt->m_minor);

		if (strcmp(ours, device) != 0) {
			g_autofree char *theirs = text_show(device);

			g_string_append_printf(why,
			    "the socket is of another mount: it says %s, not %s", theirs,
			    ours);
			return CTL_PROTOCOL;
		}
	}
	return CTL_OK;
}

int
peer_dial(struct peer *p, GString *why)
{
	struct answer a;
	JsonObject *hello;
	int rc = peer_connect(p, why);

	if (rc)
		return rc;
	rc = peer_ask(p, request_new("hello"), p->p_seconds, NULL, &a, why);
	if (rc)
		return rc;
	if (!a.a_ok) {
		g_autofree char *text = text_show(a.a_text);

		g_string_append_printf(why, "the daemon lets nobody in but %s: %s",
		    "root and its own user", text);
		answer_done(&a);
		return CTL_NODAEMON;
	}
	rc = judge_hello(p, a.a_result, why);
	if (rc == CTL_OK) {
		hello = a.a_result;
		g_clear_pointer(&p->p_hello, json_node_unref);
		p->p_hello = json_of(hello);
		if (!p->p_point)
			p->p_point = g_strdup(get_str(hello, "mountpoint"));
	}
	answer_done(&a);
	return rc;
}
