/*
 * A connection to a daemon (conn.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ctl/conn.h"

#define REQUEST_MAX 65536u
/* Longer than any table of entries that a machine can hold keys for. */
#define LINE_MAX_IN (256u << 20)

int64_t
conn_now(void)
{
	return g_get_monotonic_time();
}

int64_t
conn_deadline(double seconds)
{
	return seconds > 0 ? conn_now() + (int64_t)(seconds * 1e6) : CONN_FOREVER;
}

void
conn_init(struct conn *c)
{
	*c = (struct conn){.c_fd = -1, .c_wake = -1, .c_in = g_string_new(NULL)};
}

void
conn_close(struct conn *c)
{
	if (c->c_fd >= 0)
		close(c->c_fd);
	c->c_fd = -1;
	g_string_truncate(c->c_in, 0);
	c->c_seen = 0;
}

void
conn_done(struct conn *c)
{
	conn_close(c);
	g_string_free(c->c_in, TRUE);
}

/* A full queue of a daemon that accepts nobody is EAGAIN, at once. */
static int
connect_until(int fd, const struct sockaddr_un *sa, int64_t deadline)
{
	for (;;) {
		if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (conn_now() >= deadline)
			return -ETIMEDOUT;
		g_usleep(20000);
	}
}

int
conn_open(struct conn *c, const char *path, int64_t deadline)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = connect_until(fd, &sa, deadline);
	if (err == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	conn_close(c);
	c->c_fd = fd;
	c->c_pid = cred.pid;
	c->c_uid = cred.uid;
	return 0;
}

/* 0: it can be read, or written; -EINTR; -ETIMEDOUT. */
static int
wait_for(struct conn *c, short events, int64_t deadline)
{
	struct pollfd p[2] = {{c->c_fd, events, 0}, {c->c_wake, POLLIN, 0}};
	struct timespec ts, *timeout = NULL;

	if (deadline != CONN_FOREVER) {
		int64_t left = MAX(deadline - conn_now(), 0);

		ts = (struct timespec){left / 1000000, left % 1000000 * 1000};
		timeout = &ts;
	}
	int n = ppoll(p, 2, timeout, c->c_mask);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ETIMEDOUT;
	/* Whoever waits at the terminal comes first. */
	return p[1].revents ? -EINTR : 0;
}

JsonObject *
request_new(const char *op)
{
	JsonObject *o = json_object_new();

	json_object_set_string_member(o, "op", op);
	return o;
}

int
conn_send(struct conn *c, JsonObject *request, int64_t deadline)
{
	g_autoptr(JsonNode) node = json_of(request);
	g_autofree char *text = NULL, *line = NULL;
	size_t len, done = 0;

	json_object_set_int_member(request, "id", ++c->c_id);
	json_object_unref(request);
	text = json_text(node, false);
	line = g_strdup_printf("%s\n", text);
	len = strlen(line);
	if (len > REQUEST_MAX)
		return -E2BIG;
	while (done < len) {
		ssize_t n = send(c->c_fd, line + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			int err = wait_for(c, POLLOUT, deadline);

			if (err && err != -EINTR)
				return err;
			if (err && conn_now() >= deadline)
				return -ETIMEDOUT;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n > 0) {
			done += n;
		}
	}
	return 0;
}

/* The next line, without its end; the caller frees it. */
static int
next_line(struct conn *c, int64_t deadline, char **ret, const char **ret_why)
{
	char buf[65536];

	for (;;) {
		char *at = c->c_in->str + c->c_seen;
		char *end = memchr(at, '\n', c->c_in->len - c->c_seen);
		ssize_t n;
		int err;

		if (end) {
			gsize len = end - c->c_in->str;

			*ret = g_strndup(c->c_in->str, len);
			g_string_erase(c->c_in, 0, len + 1);
			c->c_seen = 0;
			return 0;
		}
		c->c_seen = c->c_in->len;
		if (c->c_in->len > LINE_MAX_IN) {
			*ret_why = "a line without end";
			return -EPROTO;
		}
		err = wait_for(c, POLLIN, deadline);
		if (err)
			return err;
		n = recv(c->c_fd, buf, sizeof(buf), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return -ECONNRESET;
		if (n > 0)
			g_string_append_len(c->c_in, buf, n);
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		/* Who drips bytes is out of time as well. */
		if (conn_now() >= deadline)
			return -ETIMEDOUT;
	}
}

/* Takes the line apart. */
static int
understand(struct answer *a, const char **ret_why)
{
	JsonObject *o = json_node_get_object(a->a_root), *error = get_obj(o, "error");
	int ok = get_bool(o, "ok");

	a->a_ok = ok == 1;
	a->a_result = get_obj(o, "result");
	a->a_log = get_arr(o, "log");
	a->a_code = get_str(error, "code");
	a->a_text = get_str(error, "text");
	if (ok < 0 || (ok && !a->a_result) || (!ok && !a->a_text && !a->a_code)) {
		*ret_why = "an answer without a result or an error";
		return -EPROTO;
	}
	if (!a->a_code)
		a->a_code = "";
	if (!a->a_text)
		a->a_text = a->a_code;
	return 0;
}

int
conn_answer(struct conn *c, uint64_t id, int64_t deadline, void (*progress)(JsonObject *),
    struct answer *ret, const char **ret_why)
{
	for (;;) {
		g_autofree char *line = NULL;
		struct answer a = {0};
		JsonObject *o;
		int err = next_line(c, deadline, &line, ret_why);

		if (err)
			return err;
		a.a_root = json_line(line, ret_why);
		if (!a.a_root)
			return -EPROTO;
		o = json_node_get_object(a.a_root);
		/* Without an id: it is about the connection, and the last that comes. */
		bool null = json_object_has_member(o, "id") &&
		            json_object_get_null_member(o, "id");
		if (!null && (!has_num(o, "id") || get_num(o, "id", 0) != id)) {
			*ret_why = "an answer to what was not asked";
			err = -EPROTO;
		} else if (!null && get_obj(o, "progress")) {
			if (progress)
				progress(get_obj(o, "progress"));
			answer_done(&a);
			continue;
		} else {
			err = understand(&a, ret_why);
		}
		if (err) {
			answer_done(&a);
			return err;
		}
		*ret = a;
		return 0;
	}
}

void
answer_done(struct answer *a)
{
	g_clear_pointer(&a->a_root, json_node_unref);
}
