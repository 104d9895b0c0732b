#!/usr/bin/env python3
# A client of the control socket, for tests.
#
#	control.py ask SOCKET LINE…        sends each line and prints its answer
#	control.py pace SOCKET SECONDS     asks hello, explain, list and stats in turn; prints the
#	                                   longest wait in milliseconds, of a third of the time
#	control.py beside SOCKET SECONDS   the same of hello and explain, while another lists
#	control.py storm SOCKET COUNT IDLE PID   IDLE connections that say nothing, then COUNT
#	                                   malformed messages; prints figures, and fails where
#	                                   others wait for 100 ms or the daemon grows by 1 MiB
#	control.py deaf SOCKET PID         asks and does not read
#	control.py drop SOCKET LINE        sends a line and goes a moment later, when it has begun
#	control.py told SOCKET LINE        sends a line, prints what it is told first, and goes
#	control.py flood SOCKET COUNT      as many reloads at once, by as many clients; prints the
#	                                   codes of those that are refused at once
#	control.py pour SOCKET FILE        sends a file and the end of it; prints what comes
#	control.py strict FILE             is each line JSON, with numbers that JSON has?
import json
import os
import random
import resource
import socket
import sys
import time

SLOW = float(os.environ.get("RF_SLOW", "1"))


def no_number(text):
    raise ValueError("%s is no JSON" % text)


def strict(line):
    return json.loads(line, parse_constant=no_number)


class Client:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(path)  # waits where many come at once
        self.s.settimeout(20)
        self.buf = b""

    def send(self, line):
        self.s.sendall(line if isinstance(line, bytes) else line.encode())

    def line(self):
        while b"\n" not in self.buf:
            try:
                got = self.s.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.buf += got
        line, self.buf = self.buf.split(b"\n", 1)
        return line

    def ask(self, line):
        self.send(line + "\n")
        return self.line()

    def close(self):
        self.s.close()


def rss_kib(pid):
    with open("/proc/%s/status" % pid) as f:
        return int(next(l for l in f if l.startswith("VmRSS:")).split()[1])


QUESTIONS = ('{"op":"hello"}', '{"op":"explain","path":"/d/some/where"}', '{"op":"list"}', '{"op":"stats"}')


def worst_ms(client, rounds, questions=QUESTIONS):
    worst = 0.0
    for i in range(rounds):
        t = time.monotonic()
        answer = client.ask(questions[i % len(questions)])
        worst = max(worst, time.monotonic() - t)
        if not answer or not strict(answer)["ok"]:
            sys.exit("no answer to %s: %s" % (questions[i % len(questions)], answer))
    return worst * 1000


def least_worst_ms(client, seconds, questions):
    """The best of three: who is held up by the daemon is so in all of them, who is held up by
    other work on the machine is not."""
    least = float("inf")
    for _ in range(3):
        until, worst = time.monotonic() + seconds / 3, 0.0
        while time.monotonic() < until:
            worst = max(worst, worst_ms(client, 4, questions))
        least = min(least, worst)
    return least


def lister(path):
    """Lists until it is killed."""
    pid = os.fork()
    while pid == 0:
        Client(path).ask('{"op":"list"}')
    return pid


def mutated(rnd):
    """A request with something wrong in it, or just bytes."""
    kind = rnd.randrange(8)
    good = bytearray(rnd.choice([
        b'{"id":1,"op":"list"}', b'{"id":-1.50e+09,"op":"x"}', b'{"id":"a\\u0000","op":"x"}',
        b'{"op":"explain","path":"/d/x"}', b'{"op":"stats","buckets":false}',
        b'{"op":"add","key":"/x=/y,begin=1"}', b'{"op":"remount","access":"xx"}']))
    if kind == 0:
        return bytes(rnd.randrange(256) for _ in range(rnd.randrange(60)))
    if kind == 1:
        return bytes(good[: rnd.randrange(len(good))])
    if kind == 2:
        return b"[" * rnd.randrange(1, 300)
    if kind == 3:
        return b'{"op":' + b'{"a":' * rnd.randrange(1, 40) + b"}" * rnd.randrange(40)
    if kind == 4:
        return b'{"op":"' + bytes(rnd.randrange(32, 256) for _ in range(30)) + b'"}'
    if kind == 5 and rnd.randrange(50) == 0:
        return b'{"op":"' + b"x" * rnd.choice([1000, 65529, 65536, 70000]) + b'"}'
    for _ in range(rnd.randrange(1, 4)):
        good[rnd.randrange(len(good))] = rnd.randrange(256)
    return bytes(good)


def storm(path, count, idle, pid):
    rnd = random.Random(20)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    other = Client(path)
    # What there is once of the allocator, the threads, the parser.
    warm(path, 2000, rnd)
    worst_ms(other, 40)
    before = rss_kib(pid)
    silent = [Client(path) for _ in range(idle)]
    worst, sent, start = 0.0, 0, time.monotonic()
    while sent < count:
        sent += warm(path, 100, rnd)
        worst = max(worst, worst_ms(other, 4))
    took = time.monotonic() - start
    grown = rss_kib(pid) - before
    alive = sum(c.ask('{"op":"hello"}') is not None for c in silent[-20:])
    print("figure: %d malformed messages beside %d idle connections in %.1f s; the longest wait "
          "of another %.1f ms, growth %d KiB" % (sent, idle, took, worst, grown))
    if SLOW == 1 and (worst > 100 or grown > 1024):
        sys.exit("too long, or too much")
    if alive != min(20, idle):
        sys.exit("%d of 20 idle connections live" % alive)


def warm(path, n, rnd):
    """n malformed messages, several to a connection as long as it lasts."""
    c = None
    for _ in range(n):
        c = c or Client(path)
        try:
            c.send(mutated(rnd).replace(b"\n", b" ") + b"\n")
            answer = c.line()
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer:
            a = strict(answer)
            if not a["ok"] and a["error"]["code"] != "EPROTO":
                continue
            if a["ok"]:
                continue
        c.close()
        c = None
    if c:
        c.close()
    return n


def deaf(path, pid):
    other = Client(path)
    worst_ms(other, 8)
    before = rss_kib(pid)
    c = Client(path)
    c.s.settimeout(0.5)
    sent = 0
    try:
        while sent < 200000:
            c.send('{"op":"list"}\n{"op":"stats"}\n' * 50)
            sent += 100
    except socket.timeout:
        pass
    worst = worst_ms(other, 100)
    grown = rss_kib(pid) - before
    print("figure: who does not read: %d requests taken, growth %d KiB, longest wait of another %.1f ms"
          % (sent, grown, worst))
    if sent >= 200000 or (SLOW == 1 and (grown > 1024 or worst > 100)):
        sys.exit("too much was taken, or it was too long")
    # What was asked is answered once it is read, in order.
    c.s.settimeout(20)
    for want in ("entries", "uptime_ms") * 3:
        if want not in strict(c.line())["result"]:
            sys.exit("not the answer to what was asked")


def main(what, path, *rest):
    if what == "ask":
        c = Client(path)
        for line in rest:
            try:
                answer = c.ask(line)
            except BrokenPipeError:
                answer = None
            if answer is None:
                sys.exit("closed")
            print(answer.decode(), flush=True)
    elif what == "pace":
        print("%.1f" % least_worst_ms(Client(path), float(rest[0]), QUESTIONS))
    elif what == "beside":
        pid = lister(path)
        try:
            print("%.1f" % least_worst_ms(Client(path), float(rest[0]), QUESTIONS[:2]))
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
    elif what == "storm":
        storm(path, int(rest[0]), int(rest[1]), rest[2])
    elif what == "deaf":
        deaf(path, rest[0])
    elif what == "pour":
        c = Client(path)
        try:
            with open(rest[0], "rb") as f:
                c.send(f.read())
            c.s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has been answered before
        while (line := c.line()) is not None:
            print(line.decode())
    elif what == "strict":
        with open(path, "rb") as f:
            for line in f:
                strict(line)
    elif what == "drop":
        c = Client(path)
        c.send(rest[0] + "\n")
        time.sleep(0.2)
        c.close()
    elif what == "told":
        print(Client(path).ask(rest[0]).decode())
    elif what == "flood":
        clients = [Client(path) for _ in range(int(rest[0]))]
        for c in clients:
            c.send('{"op":"reload"}\n')
        for c in clients:
            c.s.settimeout(0.02)
            try:
                line = json.loads(c.line())
                print(line["error"]["code"] if "error" in line else "told")
            except socket.timeout:
                pass
    else:
        sys.exit("what?")


main(*sys.argv[1:])
