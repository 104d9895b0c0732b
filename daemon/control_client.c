/*
 * A question to the daemon (control_client.h).
 */
#include "daemon/control_client.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Two messages more than it needs; a request that changes something may wait for its turn. */
#define ASK_WITHIN_S    2
#define CHANGE_WITHIN_S 30
#define LINE_MAX_BYTES  65536

/* dir/MAJOR:MINOR.  A connected socket or -errno. */
static int
connect_in(const char *dir, uint64_t dev)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, err;
	int n = snprintf(
	    sun.sun_path, sizeof(sun.sun_path), "%s/%u:%u", dir, major(dev), minor(dev));

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err = errno;
	close(fd);
	/* One that nobody listens to is left over. */
	return err == ECONNREFUSED ? -ENOENT : -err;
}

/* Where the daemon of this user has its socket. */
static int
connect_to(uint64_t dev, uid_t user)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	char dir[256];

	if (user == 0)
		return connect_in("/run/rumpfuse", dev);
	if (own && user == geteuid())
		snprintf(dir, sizeof(dir), "%s/rumpfuse", own);
	else
		snprintf(dir, sizeof(dir), "/run/user/%u/rumpfuse", user);
	return connect_in(dir, dev);
}

static int
send_all(int fd, const char *text)
{
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

/* A line without its newline.  0 or -errno. */
static int
read_line(FILE *fp, char *line, size_t cap)
{
	size_t n;

	if (!fgets(line, (int)cap, fp))
		return feof(fp) ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
	n = strlen(line);
	if (n == 0 || line[n - 1] != '\n')
		return -EPROTO;
	line[n - 1] = '\0';
	return 0;
}

/* The answer: an object that says whether it went well, allocated; before it, there may be
 * some that tell of progress.  NULL: not one. */
static JsonNode *
read_answer(FILE *fp, int *ret_err)
{
	char *line = malloc(LINE_MAX_BYTES + 1);
	JsonNode *node = NULL;
	int r = line ? 0 : -ENOMEM;

	while (r == 0 && !node) {
		r = read_line(fp, line, LINE_MAX_BYTES + 1);
		if (r < 0)
			break;
		node = json_from_string(line, NULL);
		if (!node || !JSON_NODE_HOLDS_OBJECT(node))
			r = -EPROTO;
		else if (json_object_has_member(json_node_get_object(node), "ok"))
			break;
		g_clear_pointer(&node, json_node_unref);
	}
	free(line);
	*ret_err = r;
	return node;
}

/* *ret is allocated.  0 or -errno. */
static int
ask(uint64_t dev, uid_t user, const char *request, int within_s, JsonNode **ret)
{
	struct timeval tv = {.tv_sec = within_s};
	int fd = connect_to(dev, user), r;
	FILE *fp;

	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	r = send_all(fd, request);
	fp = r == 0 ? fdopen(fd, "r") : NULL;
	if (!fp) {
		close(fd);
		return r < 0 ? r : -ENOMEM;
	}
	*ret = read_answer(fp, &r);
	fclose(fp);
	return r;
}

/* A member of an object that somebody else has written, or NULL. */
static JsonObject *
object_of(JsonObject *o, const char *name)
{
	JsonNode *n = json_object_get_member(o, name);

	return n && JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
}

int
control_client_remount(uint64_t dev, uid_t user, const char *access, char **ret_text)
{
	char request[64];
	JsonNode *node = NULL;
	JsonObject *o, *err;
	int r;

	snprintf(request, sizeof(request), "{\"op\": \"remount\", \"access\": \"%s\"}\n",
	    access);
	r = ask(dev, user, request, CHANGE_WITHIN_S, &node);
	if (r < 0)
		return r;
	o = json_node_get_object(node);
	err = object_of(o, "error");
	if (json_object_get_boolean_member_with_default(o, "ok", FALSE)) {
		r = 0;
	} else if (err &&
		   strcmp(json_object_get_string_member_with_default(err, "code", ""),
		       "ENOSYS") == 0) {
		r = -ENOSYS;
	} else {
		const char *text =
		    err ? json_object_get_string_member_with_default(err, "text", NULL)
			: NULL;

		*ret_text = text ? strdup(text) : NULL;
		r = -EREMOTEIO;
	}
	json_node_unref(node);
	return r;
}

pid_t
control_client_pid(uint64_t dev, uid_t user)
{
	JsonNode *node = NULL;
	JsonObject *result;
	pid_t pid = 0;

	if (ask(dev, user, "{\"op\": \"hello\"}\n", ASK_WITHIN_S, &node) < 0)
		return 0;
	result = object_of(json_node_get_object(node), "result");
	if (result)
		pid = (pid_t)json_object_get_int_member_with_default(result, "pid", 0);
	json_node_unref(node);
	return pid;
}

int
control_client_threads(
    uint64_t dev, uid_t user, unsigned *ret_threads, bool *ret_clone_fd)
{
	JsonNode *node = NULL;
	JsonObject *result;
	int r = ask(dev, user, "{\"op\": \"hello\"}\n", ASK_WITHIN_S, &node);

	if (r < 0)
		return r;
	result = object_of(json_node_get_object(node), "result");
	if (result && json_object_has_member(result, "threads")) {
		*ret_threads = (unsigned)json_object_get_int_member_with_default(
		    result, "threads", 0);
		*ret_clone_fd = json_object_get_boolean_member_with_default(
		    result, "clone_fd", FALSE);
	} else {
		r = -ENOENT;
	}
	json_node_unref(node);
	return r;
}
