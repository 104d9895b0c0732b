#!/usr/bin/env python3
# Listings and links that the kernel keeps, against what is there.
#
#	dircache.py tick MOUNTED HOST SECONDS   changes the host's directory and lists the mounted one
#	                                        at once, again and again
#	dircache.py beside MOUNTED HOST SECONDS the same while others list it, and hold it open
#	dircache.py held MOUNTED HOST           one that is held open and read again, after changes
#	                                        on the host within one tick
#	dircache.py through DIR                 changes through the mount, listed after each
#	dircache.py links MOUNTED HOST SECONDS  replaces a link on the host and reads it
#
# Prints what differs and exits with 1, or prints how much was done.
import ctypes
import os
import random
import sys
import threading
import time


def differ(what, is_, should):
    print("%s: %s too much, %s missing" % (what, sorted(set(is_) - set(should))[:5],
                                           sorted(set(should) - set(is_))[:5]))
    sys.exit(1)


def compare(what, mounted, should):
    names = os.listdir(mounted)
    if sorted(names) != sorted(should):
        differ(what, names, should)


def change(host, i):
    name = "%s/n%d" % (host, i % 7)
    if not os.path.lexists(name):
        (os.mkdir, lambda n: os.symlink("x", n), lambda n: os.close(os.open(n, os.O_CREAT)))[i % 3](name)
    elif random.random() < 0.3:
        os.rename(name, "%s/n%d" % (host, 7 + i % 5)) if not os.path.lexists(
            "%s/n%d" % (host, 7 + i % 5)) else remove(name)
    else:
        remove(name)


def remove(name):
    os.rmdir(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)


def tick(mounted, host, seconds, others=False):
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        for _ in range(random.randint(0, 2)):
            change(host, random.randrange(1000))
        for _ in range(random.randint(1, 2)):
            compare("round %d" % rounds, mounted, os.listdir(host))
        if random.random() < 0.1:  # so long that it is settled, and kept
            time.sleep(random.choice((0.005, 0.05, 0.06)))
            compare("round %d, later" % rounds, mounted, os.listdir(host))
        rounds += 1
    print("%d rounds" % rounds)


def beside(mounted, host, seconds):
    stop = False

    def lister():
        held = os.open(mounted, os.O_RDONLY)
        while not stop:
            os.listdir(mounted)
            os.listdir(held)
            with os.scandir(mounted) as it:
                next(it, None)  # and no further
        os.close(held)

    for i in range(200):
        os.close(os.open("%s/with-a-long-name-so-that-there-are-several-parts-%04d" % (host, i), os.O_CREAT))
    threads = [threading.Thread(target=lister) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        tick(mounted, host, seconds)
    finally:
        stop = True
        for t in threads:
            t.join()


def held(mounted, host):
    fd = os.open(mounted, os.O_RDONLY)
    for i in range(40):
        os.listdir(fd)
        os.mkdir("%s/h%d" % (host, i))
        os.listdir(fd)
        os.mkdir("%s/i%d" % (host, i))
        end = time.monotonic() + 5
        while sorted(os.listdir(fd)) != sorted(os.listdir(host)):
            if time.monotonic() > end:
                differ("held open", os.listdir(fd), os.listdir(host))
        if i % 10 == 0:
            time.sleep(0.06)
    print("40 rounds")


def through(d):
    fd = os.open(d, os.O_RDONLY)
    have = set(os.listdir(d))
    files = {}

    def now(what, add=(), sub=()):
        have.update(add)
        have.difference_update(sub)
        for _ in range(2):
            compare(what, d, have)
            if sorted(os.listdir(fd)) != sorted(have):
                differ(what + ", held open", os.listdir(fd), have)

    now("before")
    for i in range(5):
        f = os.open(d + "/by-f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        now("create", ["by-f"])
        os.write(f, b"x")
        os.close(f)
        now("write")
        os.mkdir(d + "/by-sub")
        now("mkdir", ["by-sub"])
        os.symlink("x", d + "/by-l")
        now("symlink", ["by-l"])
        os.link(d + "/by-f", d + "/by-hard")
        now("link", ["by-hard"])
        os.mknod(d + "/by-node")
        now("mknod", ["by-node"])
        os.rename(d + "/by-f", d + "/by-g")
        now("rename", ["by-g"], ["by-f"])
        os.rename(d + "/by-g", d + "/by-sub/g")
        now("rename away", [], ["by-g"])
        os.rename(d + "/by-sub/g", d + "/by-hard2")
        now("rename back", ["by-hard2"])
        os.rename(d + "/by-hard2", d + "/by-l")
        now("rename over", [], ["by-hard2"])
        t = os.open(d, os.O_TMPFILE | os.O_WRONLY)
        now("a file without a name")
        if libc.linkat(-100, b"/proc/self/fd/%d" % t, -100, (d + "/by-t").encode(), 0x400) != 0:
            differ("linkat", [], [os.strerror(ctypes.get_errno())])
        now("which gets one", ["by-t"])
        os.close(t)
        for n in ("hard", "l", "node", "t"):
            os.unlink(d + "/by-" + n)
            now("unlink", [], ["by-" + n])
        os.rmdir(d + "/by-sub")
        now("rmdir", [], ["by-sub"])
    print("5 rounds")


def links(mounted, host, seconds):
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        target = "target-%06d" % rounds
        os.symlink(target, host + "/link")
        for _ in range(2):
            if os.readlink(mounted + "/link") != target:
                print("round %d: %s, not %s" % (rounds, os.readlink(mounted + "/link"), target))
                sys.exit(1)
            if os.lstat(mounted + "/link").st_size != len(target):
                print("round %d: size" % rounds)
                sys.exit(1)
        os.unlink(host + "/link")
        rounds += 1
    print("%d rounds" % rounds)


libc = ctypes.CDLL(None, use_errno=True)
what, args = sys.argv[1], sys.argv[2:]
if what in ("tick", "beside", "links"):
    args[2] = float(args[2])
{"tick": tick, "beside": beside, "held": held, "through": through, "links": links}[what](*args)
