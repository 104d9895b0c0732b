#!/usr/bin/env python3
"""Daemons that are none: each answers rumpfusectl as it is called, most of them badly.

    ctl-fake.py DIRECTORY MODE…

One listens at DIRECTORY/MODE for each.  Prints "ready"; ends with its standard input.
"""
import json
import os
import socket
import sys
import threading
import time

started = time.monotonic()

HELLO = {"version": "0", "protocol": 1, "pid": os.getpid(), "uid": os.getuid(),
         "source": "/etc/rumpfuse/lab.conf", "mountpoint": "/mnt/lab", "config": None,
         "device": "0:999", "access": "rw"}
ENTRIES = [
    {"path": "/disk/p1", "kind": "key", "type": "blk", "begin": 1048576, "size": 33554432,
     "access": "ro", "host": "/lab/disk.img", "device": None, "hidden": False,
     "missing": False, "origin": "lab.conf:3"},
    {"path": "/etc/motd", "kind": "node", "type": "file", "begin": None, "size": 7,
     "access": "rw", "host": None, "device": None, "hidden": False, "missing": False,
     "origin": "lab.conf:9"},
    {"path": "/evil\x1b[2J\n\u202ename\\", "kind": "key", "type": "reg", "begin": 0,
     "size": 1001, "access": "rw", "host": "/h", "device": None, "hidden": True,
     "missing": True, "origin": "added"},
]
EXPLAIN = {"covered_by": "/disk/p1", "kind": "key", "type": "blk", "host": "/lab/disk.img",
           "begin": 1048576, "size": 33554432, "access": "ro", "names_cached_ms": 1000,
           "attributes_cached_ms": None, "contents_cached": "until changed", "watched": True,
           "passthrough": False, "exists": None, "device": None, "section": "[etfs /disk/p1]",
           "origin": "lab.conf:3", "notes": ["a note", "another\nin two lines"]}


def stats():
    """Counts that grow by 100 lookups and one slow read in a second."""
    n = int((time.monotonic() - started) * 100) + 100
    return {
        "uptime_ms": 90061000 + int((time.monotonic() - started) * 1000),
        "operations": [
            {"name": "lookup", "count": n, "errors": 3, "total_us": 10 * n, "bytes": 0,
             "p50_us": 8, "p90_us": 16, "p99_us": 1024, "p999_us": 1024, "max_us": 1000,
             "buckets": [[8, n - 10], [16, 5], [1024, 5]]},
            {"name": "read", "count": n // 100, "errors": 0, "total_us": 2000000, "bytes": n * 4096,
             "p50_us": 2097152, "p90_us": 2097152, "p99_us": 2097152, "p999_us": 2097152,
             "max_us": 2000000, "buckets": [[2097152, n // 100]]},
            {"name": "never", "count": 0, "errors": 0, "total_us": 0, "bytes": 0, "p50_us": 0,
             "p90_us": 0, "p99_us": 0, "p999_us": 0, "max_us": 0, "buckets": []}],
        "keys": [{"path": "/disk/p1", "operations": n, "read_bytes": n * 4096,
                  "written_bytes": 0},
                 {"path": "/q\"uo\\te\n", "operations": 0, "read_bytes": 0,
                  "written_bytes": 0}],
        "nodes": 12, "open_files": 3,
        "memory": {"size": 8 << 30, "size_used": 4096, "inodes": 1 << 20, "inodes_used": 9},
        "rss_bytes": 7340032,
        "host": {"known": 4, "descriptors": 5, "descriptors_max": 900, "watches": 1,
                 "events": 77},
        "passthrough": {"on": True, "opens": 5, "refused": 1},
        "waiting": [{"operation": "read", "path": "/disk/p1", "host": "/lab/disk.img",
                     "age_ms": 12500, "pid": 4711}],
        "waiting_limit_ms": 5000}


def good(mode, request):
    """The lines of a daemon that is well."""
    op, rid = request.get("op"), request.get("id")
    if op == "hello":
        return [{"id": rid, "ok": True, "result": HELLO}]
    if op == "list":
        n = int(mode[4:]) if mode.startswith("many") else 1
        return [{"id": rid, "ok": True, "result": {"entries": ENTRIES * n}}]
    if op == "explain":
        if request["path"] == "/none":
            break_it = {"code": "ENOENT", "text": "/none: there is no such thing"}
            return [{"id": rid, "ok": False, "error": break_it}]
        return [{"id": rid, "ok": True, "result": {**EXPLAIN, "path": request["path"]}}]
    if op == "stats":
        return [{"id": rid, "ok": True, "result": stats()}]
    if op == "reload":
        steps = [{"id": rid, "progress": {"what": "registering", "done": i, "total": 9,
                                          "unit": "keys"}} for i in range(9)]
        return steps + [{"id": rid, "ok": True, "result": {
            "added": 2, "removed": 1, "changed": 0, "plan": ["add /a", "add /b", "remove /c"]},
            "log": [{"priority": 4, "text": "warning: two keys overlap"}]}]
    if op == "add":
        return [{"id": rid, "ok": True, "result": {"key": request["key"]}}]
    return [{"id": rid, "ok": False, "error": {"code": "ENOSYS", "text": "not that"},
             "log": [{"priority": 3, "text": "what led to it"}]}]


# What an answer of each kind, but to hello, looks like instead.
BAD = {
    "garbage": b"\x00\xff\xfe rubbish }{\n",
    "half": b'{"id": 2, "ok": tr',
    "wrongid": b'{"id": 77, "ok": true, "result": {}}\n',
    "stringid": b'{"id": "2", "ok": true, "result": {}}\n',
    "noid": b'{"ok": true, "result": {}}\n',
    "nullid": b'{"id": null, "ok": false, "error": {"code": "EPROTO", "text": "no"}}\n',
    "deep": b"[" * 200000 + b"\n",
    "deepobject": b'{"id": 2, "ok": true, "result": ' + b'{"a":' * 100000 + b"\n",
    "comment": b'{"id": 2, "ok": true, /*"*/ "result": ' + b"[" * 200000 + b"\n",
    "array": b"[1, 2]\n",
    "empty": b"\n",
    "noresult": b'{"id": 2, "ok": true}\n',
    "noerror": b'{"id": 2, "ok": false}\n',
    "okstring": b'{"id": 2, "ok": "true", "result": {}}\n',
    "latin1": b'{"id": 2, "ok": true, "result": {"entries": [{"path": "/\xe4"}]}}\n',
    # These say something, and what they say is of other types than it should be.
    "types": b'{"id": 2, "ok": true, "log": 5, "result": {"entries": [1, null, [], {"path": 7, '
             b'"size": "x", "begin": -1, "hidden": 3}, {"path": null, "size": 1e300}], '
             b'"operations": [0, {"name": "x", "count": -5, "buckets": [1, [2], [3, "4"], '
             b'[18446744073709551615, 9223372036854775807], [5, 9223372036854775807], '
             b'[6, 9223372036854775807]]}], "keys": {"path": 1}, "waiting": [[], {"age_ms": {}}], '
             b'"memory": [], "host": "none", "uptime_ms": "long", "notes": [3, {}], '
             b'"plan": [9, null], "path": 4, "kind": [], "exists": "perhaps", "added": {}}}\n',
    "closed": None,
}


def misbehave(mode, c, line):
    """False: the connection is over."""
    request = json.loads(line)
    op = request["op"]
    if mode == "protocol2" and op == "hello":
        c.sendall(json.dumps({"id": request["id"], "ok": True,
                              "result": {**HELLO, "protocol": 2}}).encode() + b"\n")
        return True
    if mode == "stranger" and op == "hello":
        c.sendall(b'{"id": null, "ok": false, "error": {"code": "EPERM", "text": "not you"}}\n')
        return False
    if mode == "silent" or (mode == "nothing" and op != "hello"):
        return True
    if op != "hello":
        if mode == "closed":
            return False
        if mode in BAD:
            c.sendall(BAD[mode])
            return True
        if mode == "drip":
            while True:
                c.sendall(b" ")
                time.sleep(0.02)
        if mode == "endless":
            while True:
                c.sendall(b"x" * 65536)
        if mode == "progress":
            while True:
                c.sendall(b'{"id": 2, "progress": {"what": "still", "done": 1, "total": 0}}\n')
                time.sleep(0.02)
    for answer in good(mode, request):
        c.sendall(json.dumps(answer).encode() + b"\n")
    return True


def converse(mode, c):
    """One connection, until it is over."""
    data = b""
    try:
        with c:
            while True:
                more = c.recv(65536)
                data += more
                if not more:
                    return
                while b"\n" in data:
                    line, data = data.split(b"\n", 1)
                    if not misbehave(mode, c, line):
                        return
    except (BrokenPipeError, ConnectionResetError):
        pass


def serve(mode, s):
    while True:
        c = s.accept()[0]
        threading.Thread(target=converse, args=(mode, c), daemon=True).start()


def main():
    os.chdir(sys.argv[1])
    kept = []
    for mode in sys.argv[2:]:
        s = socket.socket(socket.AF_UNIX)
        s.bind(mode)
        s.listen(0 if mode == "deaf" else 8)
        kept.append(s)
        if mode != "deaf":
            threading.Thread(target=serve, args=(mode, s), daemon=True).start()
            continue
        # Its queue is full, and stays so.
        for _ in range(2):
            o = socket.socket(socket.AF_UNIX)
            kept.append(o)
            o.setblocking(False)
            try:
                o.connect(mode)
            except BlockingIOError:
                pass
    print("ready", flush=True)
    sys.stdin.read()
    sys.stderr.flush()
    os._exit(0)


main()
