/*
 * Connections to the control socket: lines in, answers out (control_private.h).
 *
 * One request at a time: while one is being done, or its answer is not taken, nothing more
 * is read.  So what a connection can make the daemon keep is a line and an answer.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control_private.h"

/* Then it is the others' turn. */
#define LINES_AT_ONCE 32
/* Of a buffer, which is doubled up to CONTROL_LINE_MAX. */
#define LINE_MIN 1024u

struct conn *
conn_new(int fd, uint64_t id)
{
	struct conn *cn = calloc(1, sizeof(*cn));

	if (!cn)
		return NULL;
	cn->cn_fd = fd;
	cn->cn_id = id;
	cn->cn_used_ns = control_now_ns();
	return cn;
}

void
conn_free(struct conn *cn)
{
	close(cn->cn_fd);
	free(cn->cn_in);
	if (cn->cn_out)
		g_string_free(cn->cn_out, TRUE);
	if (cn->cn_listing)
		listing_free(cn->cn_listing);
	free(cn);
}

bool
conn_busy(const struct conn *cn)
{
	return cn->cn_task || cn->cn_out;
}

short
conn_wants(const struct conn *cn)
{
	/* That the other end has closed is always told. */
	return cn->cn_out ? POLLOUT : cn->cn_task || cn->cn_eof ? 0 : POLLIN;
}

/* Sends what goes.  False: nobody is there. */
static bool
flush(struct conn *cn)
{
	while (cn->cn_out) {
		ssize_t n = send(cn->cn_fd, cn->cn_out->str + cn->cn_sent,
		    cn->cn_out->len - cn->cn_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		cn->cn_used_ns = control_now_ns();
		cn->cn_sent += (size_t)n;
		if (cn->cn_sent < cn->cn_out->len)
			continue;
		g_string_free(cn->cn_out, TRUE);
		cn->cn_out = NULL;
		cn->cn_sent = 0;
		if (cn->cn_listing) {
			/* It is the others' turn. */
			cn->cn_out = control_list_more(cn);
			return true;
		}
	}
	return !cn->cn_last;
}

/* Takes the first n bytes out. */
static void
consume(struct conn *cn, size_t n)
{
	cn->cn_nin -= n;
	if (cn->cn_nin > 0) {
		memmove(cn->cn_in, cn->cn_in + n, cn->cn_nin);
		return;
	}
	free(cn->cn_in);
	cn->cn_in = NULL;
	cn->cn_cap = 0;
}

/* Does what is asked by the lines that are there.  False: at its end. */
static bool
work(struct control *ct, struct conn *cn)
{
	cn->cn_more = false;
	for (int i = 0; i < LINES_AT_ONCE; i++) {
		const char *nl;
		size_t len;

		if (conn_busy(cn))
			return true;
		nl = cn->cn_in ? memchr(cn->cn_in, '\n', cn->cn_nin) : NULL;
		if (!nl && cn->cn_nin < CONTROL_LINE_MAX)
			return !cn->cn_eof;
		/* Without a newline it is refused as too long. */
		len = nl ? (size_t)(nl - cn->cn_in) : cn->cn_nin;
		cn->cn_out = control_request(ct, cn, cn->cn_in, len, &cn->cn_last);
		consume(cn, len + (nl != NULL));
		if (!flush(cn))
			return false;
	}
	cn->cn_more = true;
	return true;
}

static bool
room(struct conn *cn)
{
	size_t cap = cn->cn_cap ? cn->cn_cap * 2 : LINE_MIN;
	char *in;

	if (cn->cn_nin < cn->cn_cap)
		return true;
	in = realloc(cn->cn_in, cap);
	if (!in)
		return false;
	cn->cn_in = in;
	cn->cn_cap = cap;
	return true;
}

/* Reads what is there.  False: it cannot be read.  A full line of CONTROL_LINE_MAX has been
 * dealt with before. */
static bool
take(struct conn *cn)
{
	ssize_t n;

	if (!room(cn))
		return false;
	do
		n = recv(cn->cn_fd, cn->cn_in + cn->cn_nin, cn->cn_cap - cn->cn_nin,
		    MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return false;
	cn->cn_eof = n == 0;
	if (n > 0) {
		cn->cn_nin += (size_t)n;
		cn->cn_used_ns = control_now_ns();
	}
	if (cn->cn_nin == 0)
		consume(cn, 0);
	return true;
}

bool
conn_serve(struct control *ct, struct conn *cn, short revents)
{
	if (revents & POLLOUT && !flush(cn))
		return false;
	if (revents & POLLIN && !take(cn))
		return false;
	/* Both directions are closed, or worse: whatever is done for it is done for nobody. */
	if (revents & (POLLHUP | POLLERR | POLLNVAL) && !(revents & POLLIN))
		return false;
	return work(ct, cn);
}

bool
conn_tell(struct conn *cn, GString *line)
{
	if (!cn->cn_task || cn->cn_out) {
		g_string_free(line, TRUE);
		return true;
	}
	cn->cn_out = line;
	return flush(cn);
}

bool
conn_answer(struct control *ct, struct conn *cn, GString *answer)
{
	cn->cn_task = NULL;
	if (cn->cn_out) {
		/* A line of how far it was is still being sent. */
		g_string_append_len(cn->cn_out, answer->str, (gssize)answer->len);
		g_string_free(answer, TRUE);
	} else {
		cn->cn_out = answer;
	}
	return flush(cn) && work(ct, cn);
}
