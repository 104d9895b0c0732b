/*
 * The control socket: what rumpfusectl(8) talks to.
 *
 * Where.  RUNDIR/MAJOR:MINOR, the device number of the mount as in /proc/self/mountinfo,
 * which no other living mount of this kernel has, in whatever mount namespace; RUNDIR is
 * /run/rumpfuse for root, $XDG_RUNTIME_DIR/rumpfuse for others.  Mode 0600; and whoever
 * connects is asked for by SO_PEERCRED: root and the daemon's own user are let in.  It lies
 * outside the mount, so that it answers when the mount does not.  Where there is no RUNDIR
 * the daemon goes on without one, and says so in its log once it is mounted.
 *
 * Protocol.  Text, one JSON object to a line, both ways.  A request has at most 64 KiB with
 * its newline; an answer may be of any length, for the list of keys is.  A connection is
 * good for any number of requests, which may be sent without waiting; they are done one after
 * the other, and the answers come in the order of the requests.  Who does not read his
 * answer for half a minute is cut off.
 *
 *	{"id": 1, "op": "list"}
 *	{"id": 1, "ok": true, "result": {…}}
 *	{"id": 2, "op": "add", "key": "/p1=/lab/disk.img,partition=1"}
 *	{"id": 2, "ok": false, "error": {"code": "ENOENT", "text": "…"}, "log": [{"priority": 3, "text": "…"}]}
 *
 * id: any number or string, given back as it came, byte for byte; optional.  Other strings have
 * no NUL (EINVAL).  While a request takes long,
 * lines {"id": 2, "progress": {"what": "…", "done": N, "total": N, "unit": "…"}} may come
 * before its answer.  "log" has the lines that doing it has logged (syslog's priorities).
 * Members that are not known are ignored, so that either side may be newer; an op that is
 * not known is ENOSYS.  A line that is not a JSON object, or too long or too deep, is
 * answered with EPROTO (and id null), and the connection is closed after it.
 *
 * Operations:
 *	hello    result: {"version", "protocol": 1, "pid", "uid", "source", "mountpoint",
 *	         "config" (path or null), "device" ("0:52"), "access" ("rw", "ro"),
 *	         "threads" (that serve, at most; by io_uring: for each processor),
 *	         "transport" ("device", "io-uring"), "clone_fd": bool}
 *	list     result: {"entries": [entry…]} in the order of their paths.  An entry: {"path",
 *	         "kind": "key" | "image" | "node", "type" (reg, blk, chr, dir, dir-subdirs, -;
 *	         the image's type; dir, file, symlink, chr …, whiteout), "begin", "size" (bytes
 *	         or null), "access": "rw" | "ro", "host" (path or null), "device" (of an image
 *	         on a path of the tree, or null), "hidden", "missing": bool, "origin":
 *	         "FILE:LINE" | "-k" | "added"}
 *	add      "key": as the -k option's text.  Registered at once, kept over reloads.
 *	remove   "key": a path.  One that the file declares comes back with the next reload.
 *	explain  "path": absolute in the mount; symbolic links in memory on the way to it are
 *	         followed.  result: {"path", "covered_by" (the path of the
 *	         entry that rules it, or "/"), "kind": "memory" | "key" | "image" | "node" |
 *	         "whiteout" | "missing" | "none" (below a whiteout, or behind a link that leads
 *	         away), "type", "host" (the host's path of just this, or null),
 *	         "begin", "size", "access" (null: of nothing that is there), "names_cached_ms", "attributes_cached_ms" (null:
 *	         until they change), "contents_cached": "always" | "until changed" | "no",
 *	         "watched": bool, "passthrough": bool (host files that are
 *	         opened may be used by the kernel without the daemon), "exists": true | false | null (null: only the
 *	         host knows), "device", "section" ("[etfs /src]"), "origin", "notes": [text…]}
 *	stats    result: {"uptime_ms", "operations": [{"name", "count", "errors", "total_us",
 *	         "bytes", "p50_us", "p90_us", "p99_us", "p999_us", "max_us", "buckets":
 *	         [[upper_us, count]… the occupied ones, not cumulative; the upper end of what
 *	         took longer than 134 s is null]}… those that there were], "keys": [{"path",
 *	         "operations", "read_bytes", "written_bytes", "passthrough_opens"}… images, and keys that have been used], "nodes", "open_files",
 *	         "memory": {"size", "size_used", "inodes", "inodes_used"}, "rss_bytes",
 *	         "transport" (as hello), "threads" (that serve by it, at most),
 *	         "host": {"known", "descriptors", "descriptors_max", "watches", "events"},
 *	         "passthrough": {"on": bool, "opens" (of files that the kernel uses without the
 *	         daemon; what it reads and writes there is in no count), "refused" (that were
 *	         offered to it, and served as usual)},
 *	         "waiting": [{"operation", "path" (or null), "host" (or null), "age_ms", "pid"}…: requests
 *	         that have been with the daemon for longer than the limit, oldest first; and
 *	         what the manager has been at for as long, with its name ("reload", "add" …)
 *	         for the operation, and no pid: null],
 *	         "waiting_limit_ms" (slow = of [daemon]; 0: none are listed)}.  "..." stands for
 *	         a part of a path that only the host could tell.  "buckets": false in the request leaves them out.
 *	reload   as SIGHUP.  result: {"added", "removed", "changed", "later" (settings that
 *	         wait for the next mount, not counted in "changed"): numbers; "plan": [text…], the
 *	         first 200; "plan_left_out": how many there are besides}
 *	remount  "access": "rw" | "ro": of the whole mount; what mount -o remount asks.  To rw:
 *	         EROFS where the configuration has access = ro; and what the host says to a key
 *	         that it had been asked for to be read only.  Images that were mounted read-only
 *	         stay so.
 *
 * hello, list, explain and stats wait for nothing but short locks: they make no host call
 * and take no lock that is held over one.  add, remove, reload and remount are jobs of the
 * manager (manager.h), one after the other.  While it waits for a host for longer than the
 * limit, all whose jobs it has are told each second: "progress" with what "waiting for HOST
 * (reload)", seconds done.  A job that has not begun when its connection is closed is not
 * done; reloads that have not begun are one; and of jobs that wait there are at most 64: then
 * EBUSY.
 *
 * One thread serves all connections; none waits for another.  Memory per connection comes
 * with its first byte; the number of connections is bounded, and the one that was idle
 * longest goes for a new one.
 */
#ifndef RF_DAEMON_CONTROL_H
#define RF_DAEMON_CONTROL_H

#include <stdbool.h>

struct session;
struct control;

/*
 * Makes the socket of a session that is mounted (s_dev is known), before the process is
 * confined and has threads.  Where there is no place for it there is only the thread, which
 * also tells of requests that wait too long.  0 or -errno.
 */
int control_open(struct session *s, struct control **ret);
/* The mount answers: logs why there is no socket, if there is none.  Not before, for where one
 * cannot be this would be on the terminal of every start. */
void control_ready(const struct control *c);
/* Starts the thread; after the manager.  c may be NULL, here and below.  0 or -errno. */
int control_start(struct control *c);
/* Ends the thread and takes the socket away; before the manager is stopped.  Requests whose
 * jobs are queued are not answered any more. */
void control_stop(struct control *c);
/* Takes the socket away, and no more, for who ends the process; from any thread. */
void control_unlink(struct control *c);
/* When no job can be running any more. */
void control_free(struct control *c);

#endif
