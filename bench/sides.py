"""What is measured: limits (the kernel's own file systems), peers, and ours in its variants.

A Side is a mount with a directory to work in.  All of them are mounted at once and asked in
turns; those that show a host directory have it on one tmpfs.  Peers share the large trees that
are only read; ours has copies, since it watches the directories that it knows, which the others
would pay for.

Layout below $W, a tmpfs of the benchmark's own mount namespace:

    b/theirs, b/ours    what is shown; tree/, many/, big, and w/SIDE for what each writes
    m/SIDE              mount points
"""

import os
import re
import shutil
import signal
import subprocess
import time

DEVICE, URING = "device", "io-uring"


class NotAvailable(Exception):
    """The reason why a side cannot be had."""


class Side:
    def __init__(self, name, cls, kind, transport="", passthrough=None, quick=False, title=None):
        self.name = name
        self.cls = cls  # limit, peer, ours
        self.kind = kind  # dir, mem, file, window
        self.transport = transport
        self.passthrough = passthrough
        self.quick = quick
        self.title = title or name
        self.main = None  # Popen of what runs in the foreground
        self.root = None
        self.missing = None  # why it is not there
        self.dev = None  # the connection's number

    def pids(self):
        """The daemon and what it has started."""
        if not self.main:
            return []
        found, parents = [self.main.pid], {}
        for d in os.listdir("/proc"):
            if d.isdigit():
                try:
                    with open("/proc/%s/stat" % d) as f:
                        parents[int(d)] = int(f.read().rsplit(")", 1)[1].split()[1])
                except (OSError, IndexError):
                    pass
        for pid in found:
            found += [p for p, pp in parents.items() if pp == pid]
        return found

    def uses_uring(self):
        for pid in self.pids():
            try:
                for fd in os.listdir("/proc/%d/fd" % pid):
                    if "io_uring" in os.readlink("/proc/%d/fd/%s" % (pid, fd)):
                        return True
            except OSError:
                pass
        return False


class Context:
    """Where everything is, and the mounting."""

    def __init__(self, work, top, quick):
        self.W = work
        self.top = top
        self.quick = quick
        self.env = os.environ
        self.rumpfuse = self.env["RUMPFUSE"]
        self.ops = self.env["BENCH_OPS"]
        self.lib = {"3.14": self.env.get("BENCH_LIBFUSE_SYSTEM", ""),
                    "new": self.env.get("BENCH_LIBFUSE_NEW", "")}
        for d in ("b/theirs/w", "b/ours/w", "m", "log", "empty", "conf", "img"):
            os.makedirs(self.path(d), exist_ok=True)

    def path(self, *p):
        return os.path.join(self.W, *p)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def serve(self, side, command, mountpoint):
        """Starts what stays in the foreground, and returns when the mount is there."""
        with open(self.path("log", side.name), "wb") as log:
            side.main = subprocess.Popen(command, stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL, cwd=self.W)
        self.wait_mounted(side, mountpoint, 10)

    def wait_mounted(self, side, mountpoint, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            side.dev = mounted(mountpoint)
            if side.dev:
                return
            if side.main and side.main.poll() is not None:
                break
            time.sleep(0.01)
        with open(self.path("log", side.name), errors="replace") as f:
            said = " ".join(f.read().split())[-200:]
        raise NotAvailable("does not mount: " + (said or "it says nothing"))

    def unmount(self, side):
        m = self.path("m", side.name)
        for _ in range(40):
            if not mounted(m) or quiet(["umount", m]) == 0:
                break
            time.sleep(0.05)
        else:
            self.abort(side)
        if side.main:
            try:
                side.main.wait(5)
            except subprocess.TimeoutExpired:
                self.abort(side)
                side.main.kill()
                try:
                    side.main.wait(5)
                except subprocess.TimeoutExpired:
                    pass
        side.main = side.root = side.dev = None

    def abort(self, side):
        """Whatever waits for a daemon that hangs is let go."""
        if side.dev:
            try:
                with open("/sys/fs/fuse/connections/%s/abort" % side.dev.split(":")[1], "w") as f:
                    f.write("1")
            except OSError:
                pass
        quiet(["umount", "-l", self.path("m", side.name)])


def mounted(path):
    """major:minor of what is mounted at a path; the path itself is never touched."""
    with open("/proc/self/mountinfo") as f:
        found = [line.split()[2] for line in f if line.split()[4] == path]
    return found[-1] if found else None


def quiet(command):
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL)


def run(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def have(program):
    if not shutil.which(program):
        raise NotAvailable(program + " is not installed")
    return program


# How each is mounted.  up(c, side) mounts and sets side.root.


def up_limit(c, s):
    m = c.path("m", s.name)
    os.makedirs(m, exist_ok=True)
    theirs = c.path("b/theirs")
    if s.name == "tmpfs":
        s.root = theirs
    elif s.name == "bind":
        run(["mount", "--bind", theirs, m])
        s.root = m
    elif s.name == "overlayfs":
        os.makedirs(c.path("b/ovl-work"), exist_ok=True)
        os.makedirs(c.path("b/ovl-upper"), exist_ok=True)
        run(["mount", "-t", "overlay", "overlay", "-o", "lowerdir=%s,upperdir=%s,workdir=%s"
             % (theirs, c.path("b/ovl-upper"), c.path("b/ovl-work")), m])
        s.root = m
    elif s.name == "ext4":
        image = c.path("img/ext4")
        with open(image, "wb") as f:
            f.truncate(2 << 30)
        run(["mkfs.ext4", "-q", "-F", image])
        try:
            run(["mount", "-o", "loop,noatime", image, m])
        except subprocess.CalledProcessError:
            raise NotAvailable("no loop device to be had")
        s.root = m
    os.makedirs(os.path.join(s.root, "w"), exist_ok=True)


def up_peer(c, s):
    m, theirs = c.path("m", s.name), c.path("b/theirs")
    os.makedirs(m, exist_ok=True)
    uring = ["-o", "io_uring"] if s.transport == URING else []
    if s.name == "bindfs":
        command = [have("bindfs"), "-f", theirs, m]
    elif s.name == "mergerfs":
        command = [have("mergerfs"), "-f", "-o", "cache.files=auto-full", theirs, m]
    elif s.name == "fuse-overlayfs":
        for d in ("b/fovl-upper", "b/fovl-work"):
            os.makedirs(c.path(d), exist_ok=True)
        command = [have("fuse-overlayfs"), "-f", "-o", "lowerdir=%s,upperdir=%s,workdir=%s"
                   % (theirs, c.path("b/fovl-upper"), c.path("b/fovl-work")), m]
    elif s.name == "unionfs-fuse":
        command = [have("unionfs"), "-f", theirs + "=RW", m]
    else:
        program, version = re.match(r"([a-z_]+)-(3\.14|new)", s.name).groups()
        program = {"ll": "passthrough_ll", "hp": "passthrough_hp", "memfs": "memfs_ll"}[program]
        directory = c.lib[version]
        if not directory:
            raise NotAvailable("libfuse's examples have not been built")
        path = os.path.join(directory, program)
        if not os.path.exists(path):
            raise NotAvailable("this libfuse has no " + program)
        if program == "passthrough_ll":
            command = [path, "-f", "-o", "source=" + theirs, "-o", "cache=always"] + uring + [m]
        elif program == "passthrough_hp":
            no = [] if s.passthrough or version == "3.14" else ["--nopassthrough"]
            command = [path, "--foreground"] + no + uring + [theirs, m]
        else:
            command = [path, "-f"] + uring + [m]
    c.serve(s, command, m)
    s.root = m
    if s.transport == URING and not takes_uring(s, m):
        raise NotAvailable("it does not take io_uring from this kernel")


def takes_uring(s, m):
    """Whether it serves by io_uring, which is settled by the first request."""
    try:
        subprocess.run(["stat", m], timeout=10, stdout=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise NotAvailable("its first request is not answered in 10 s")
    for _ in range(100):
        if s.uses_uring():
            return True
        time.sleep(0.02)
    return False


def up_ours(c, s):
    m = c.path("m", s.name)
    os.makedirs(m, exist_ok=True)
    text = "[daemon]\ntransport = %s\npassthrough = %s\n" % (
        s.transport, "no" if s.passthrough is False else "auto")
    if s.name.startswith("mem-wb"):
        text += "writeback = yes\n"
    elif s.name.startswith("mem-opens"):
        # Large files are passed through where opens are told.
        text += "no-open = no\n"
    text += "[rumpfs]\nsize = 0\ninodes = 0\n"
    s.root = m
    if s.kind == "dir":
        text += "[etfs /k]\nhost = %s\n" % c.path("b/ours")
        s.root = m + "/k"
    elif s.kind == "file":
        os.makedirs(c.path("b/ours/w", s.name), exist_ok=True)
        for name, size in (("big", c.big), ("w0", 64 << 20), ("w1", 64 << 20)):
            host = c.path("b/ours/w", s.name, name)
            if not os.path.exists(host):
                zeros(host, size)
            text += "[etfs /%s]\nhost = %s\n" % (name, host)
    elif s.name.startswith("mem-beside"):
        text += "[etfs /key]\nhost = %s\n" % c.path("empty")
    conf = c.write("conf/%s.conf" % s.name, text)
    c.serve(s, [c.rumpfuse, "-f", conf, m], m)
    if s.transport == URING and not takes_uring(s, m):
        raise NotAvailable("it does not take io_uring from this kernel")


def zeros(path, size):
    block = b"\0" * (1 << 20)
    with open(path, "wb", buffering=0) as f:
        for at in range(0, size, len(block)):
            f.write(block[:size - at])


def tree_sides():
    """Those that have a directory to work in."""
    made = [
        Side("tmpfs", "limit", "dir", quick=True),
        Side("bind", "limit", "dir", title="bind mount"),
        Side("overlayfs", "limit", "dir"),
        Side("ext4", "limit", "dir", title="ext4, loop device"),
        Side("bindfs", "peer", "dir", DEVICE, quick=True),
        Side("mergerfs", "peer", "dir", DEVICE),
        Side("fuse-overlayfs", "peer", "dir", DEVICE),
        Side("unionfs-fuse", "peer", "dir", DEVICE),
        Side("ll-3.14", "peer", "dir", DEVICE, title="passthrough_ll 3.14"),
        Side("hp-3.14", "peer", "dir", DEVICE, title="passthrough_hp 3.14"),
        Side("ll-new", "peer", "dir", DEVICE, title="passthrough_ll new"),
        Side("ll-new-uring", "peer", "dir", URING, title="passthrough_ll new"),
        Side("hp-new", "peer", "dir", DEVICE, True, True, "passthrough_hp new"),
        Side("hp-new-uring", "peer", "dir", URING, True, True, "passthrough_hp new"),
        Side("hp-new-no", "peer", "dir", DEVICE, False, True, "passthrough_hp new"),
        Side("hp-new-no-uring", "peer", "dir", URING, False, False, "passthrough_hp new"),
        Side("memfs-new", "peer", "mem", DEVICE, title="memfs_ll new"),
        Side("memfs-new-uring", "peer", "mem", URING, title="memfs_ll new"),
    ]
    for tail, transport in (("", DEVICE), ("-uring", URING)):
        made += [
            Side("mem" + tail, "ours", "mem", transport, quick=True, title="in memory"),
            Side("mem-opens" + tail, "ours", "mem", transport, title="in memory, no-open = no"),
            Side("mem-beside" + tail, "ours", "mem", transport, title="in memory, beside a key"),
            Side("mem-wb" + tail, "ours", "mem", transport, title="in memory, writeback = yes"),
            Side("key" + tail, "ours", "dir", transport, True, True, title="directory key"),
            Side("key-no" + tail, "ours", "dir", transport, False, title="directory key"),
            Side("file" + tail, "ours", "file", transport, True, title="file keys"),
        ]
    for s in made:
        s.up = {"limit": up_limit, "peer": up_peer, "ours": up_ours}[s.cls]
    return made


# Windows: one file that is (a part of) an image.

WINDOW = 128 << 20


def up_window(c, s):
    m = c.path("m", s.name)
    os.makedirs(m, exist_ok=True)
    image = c.path("img", s.name)
    if not os.path.exists(image):
        zeros(image, WINDOW + (2 << 20))
    if s.name == "loop":
        loop = subprocess.run(["losetup", "-f", "--show", "-o", str(1 << 20), "--sizelimit",
                               str(WINDOW), image], capture_output=True, text=True)
        if loop.returncode:
            raise NotAvailable("no loop device to be had")
        s.root = loop.stdout.strip()
    elif s.name == "xmount":
        have("xmount")
        with open(c.path("log", s.name), "wb") as log:
            subprocess.run(["xmount", "--in", "raw", image, "--out", "raw", "--cache",
                            c.path("img/xmount.cache"), m], stdout=log, stderr=log, timeout=20,
                           stdin=subprocess.DEVNULL)
        c.wait_mounted(s, m, 10)
        s.main = Found(by_argument("xmount", m))
        s.root = os.path.join(m, [n for n in os.listdir(m) if not n.endswith(".info")][0])
    elif s.name == "nbdfuse":
        have("nbdkit")
        c.serve(s, [have("nbdfuse"), m, "--command", "nbdkit", "-s", "file", image], m)
        s.root = m + "/nbd"
    else:
        text = "[daemon]\ntransport = %s\n[etfs /w]\nhost = %s\ntype = blk\n" \
            "begin = 1M\nsize = %d\n" % (s.transport, image, WINDOW)
        conf = c.write("conf/%s.conf" % s.name, text)
        c.serve(s, [c.rumpfuse, "-f", conf, m], m)
        s.root = m + "/w"
        if s.transport == URING and not takes_uring(s, m):
            raise NotAvailable("it does not take io_uring from this kernel")


class Found:
    """A daemon that has put itself into the background; the same face as Popen."""

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        return None if os.path.exists("/proc/%d" % self.pid) else 0

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("", seconds)
            time.sleep(0.02)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


def by_argument(program, argument):
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                with open("/proc/%s/cmdline" % d, "rb") as f:
                    words = f.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == program and argument in words:
                return int(d)
    raise NotAvailable(program + " has gone")


def window_sides():
    made = [
        Side("loop", "limit", "window", title="loop device", quick=True),
        Side("xmount", "peer", "window", DEVICE),
        Side("nbdfuse", "peer", "window", DEVICE, title="nbdkit + nbdfuse", quick=True),
        Side("window", "ours", "window", DEVICE, title="block window", quick=True),
        Side("window-uring", "ours", "window", URING, title="block window", quick=True),
    ]
    for s in made:
        s.up = up_window
    return made
