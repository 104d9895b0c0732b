#!/usr/bin/env python3
"""Runs rumpfusectl top on a terminal, and plays the person.

    ctl-pty.py SCRIPT COMMAND…

SCRIPT: words, done in turn.  see:TEXT waits until the screen that is drawn has TEXT, hide:TEXT
until one has not; key:K types; size:ROWSxCOLUMNS; signal:NAME; stop (a Ctrl-Z, which must give
the terminal back) and go on again; end:STATUS (or -SIGNAL) waits for the end.  Then the terminal has
to be as it was: echo on, the alternate screen left as often as entered, the cursor shown.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

script, command = sys.argv[1].split(";"), sys.argv[2:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.execv(command[0], command)
seen, frame = b"", b""


def fail(why):
    print(why)
    print("the last screen:", frame.decode(errors="replace"))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    sys.exit(1)


def read(seconds):
    """What comes; the screen is what followed the last home position."""
    global seen, frame
    if select.select([master], [], [], seconds)[0]:
        data = os.read(master, 65536)
        seen += data
        # Up to the last one that is complete.
        frames = seen.split(b"\x1b[H")
        whole = [f for f in frames if f.endswith(b"\x1b[J")]
        frame = whole[-1] if whole else frames[-1]


def until(what, test, seconds=30):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            fail(f"not within {seconds} s: {what}")
        read(0.05)


def stopped():
    return os.waitpid(pid, os.WUNTRACED | os.WNOHANG)[0] == pid


def ended():
    global status
    p, s = os.waitpid(pid, os.WNOHANG)
    if p == pid:
        status = os.waitstatus_to_exitcode(s)
    return p == pid


status = None
for word in script:
    verb, _, arg = word.partition(":")
    if verb == "see":
        until(word, lambda: re.search(arg.encode(), frame))
    elif verb == "hide":
        until(word, lambda: frame and not re.search(arg.encode(), frame))
    elif verb == "key":
        os.write(master, arg.encode())
    elif verb == "size":
        rows, columns = map(int, arg.split("x"))
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        seen = frame = b""
        until("a frame of the new size", lambda: frame.endswith(b"\x1b[J"))
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", frame).decode()
        lines = text.split("\r\n")
        if len(lines) > rows or max(map(len, lines)) > columns:
            fail(f"{len(lines)} lines of {max(map(len, lines))} do not fit into {arg}")
    elif verb == "signal":
        os.kill(pid, getattr(signal, "SIG" + arg))
    elif verb == "run":
        if os.system(arg) != 0:
            fail(f"failed: {arg}")
    elif verb == "stop":
        os.kill(pid, signal.SIGTSTP)
        until("it stops", stopped)
        read(0.1)
        if termios.tcgetattr(slave) != before or not seen.endswith(b"\x1b[?1049l"):
            fail("the terminal is not given back while it is stopped")
        seen = frame = b""
        os.kill(pid, signal.SIGCONT)
        until("a frame after it went on", lambda: frame.endswith(b"\x1b[J"))
    elif verb == "end":
        until("the end", ended)
        if status != int(arg):
            fail(f"status {status}, expected {arg}")
    else:
        fail(f"what is {word}?")
read(0.1)
if status is None:
    fail("it was not ended")
if termios.tcgetattr(slave) != before:
    fail("the terminal's modes are not what they were")
if seen.count(b"\x1b[?1049h") > seen.count(b"\x1b[?1049l") or not seen.endswith(b"\x1b[?1049l"):
    fail("the alternate screen is not left")
if b"\x1b[?25h" not in seen:
    fail("the cursor stays hidden")
