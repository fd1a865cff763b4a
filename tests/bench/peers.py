"""peers -- the systems nearest to Weft that Debian packages, and how their programs are started

A program of tests/bench/peers is one subject of one peer: `switch', `create' or `echo', named
PEER_SUBJECT. It runs natively, never under Weft. bench.mk builds those in C, C++ and Go whose peer
is installed, and those in Python are run where the interpreter finds the module.
"""
import collections
import os
import subprocess

from harness import BUILD, ROOT

ALL = ("switch", "create", "echo")

# name, the stem of its programs, its package, its module where it is one of Python, its subjects,
# and whether its program `switch' yields to whoever is next, without a word to the other one
Peer = collections.namedtuple("Peer", "name short package module subjects yields")
PEERS = (
    Peer("state-threads", "st", "libst-dev", None, ALL, False),
    Peer("libuv", "uv", "libuv1-dev", None, ("echo",), False),
    Peer("Boost.Fiber", "fiber", "libboost-fiber-dev", None, ALL, True),
    Peer("Go", "go", "golang-go", None, ALL, True),
    Peer("greenlet", "greenlet", "python3-greenlet", "greenlet", ("switch", "create"), False),
    Peer("gevent", "gevent", "python3-gevent", "gevent", ALL, True),
    Peer("asyncio", "asyncio", "python3", "asyncio", ALL, True),
    Peer("uvloop", "uvloop", "python3-uvloop", "uvloop", ALL, True),
)


def program(peer, subject):
    """The path of a peer's program."""
    name = "tests/bench/peers/%s_%s" % (peer.short, subject)
    return os.path.join(ROOT, name + ".py") if peer.module else os.path.join(BUILD, name)


def missing(peer):
    """Why a peer cannot be measured here; None where it can."""
    if peer.module:
        try:
            found = subprocess.run(["/usr/bin/python3", "-c", "import " + peer.module],
                                   stderr=subprocess.DEVNULL).returncode == 0
        except OSError:
            found = False
    else:
        found = all(os.path.exists(program(peer, s)) for s in peer.subjects)
    return None if found else "needs the package " + peer.package
