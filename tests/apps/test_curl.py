#!/usr/bin/python3
"""test_curl -- curl fetches 20 URLs at once, by a name that a resolver thread finds in a hosts file

The hosts file stands in a mount namespace of the test's own; the machine's is left alone.
"""
import hashlib
import random

from app import *

needs("curl", PYTHON)
if os.geteuid() != 0:
    skip("a mount namespace of its own needs root")
NAME = "twenty.weft.test"
FILES, SIZE = 20, 4 << 20

harness.own_mounts({"/etc/hosts": "127.0.0.1 localhost\n127.0.0.1 %s\n" % NAME,
                    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n"})
os.makedirs(path("www"))
DIGEST = {}
for number in range(1, FILES + 1):
    data = random.Random(number).randbytes(SIZE + number)
    DIGEST[number] = hashlib.sha256(data).hexdigest()
    write("www/file%d" % number, data)

# http.server with room for 20 callers at once: its backlog of 5 makes clients repeat their SYN.
SERVER = write("server.py", r"""
import functools, http.server, socketserver, sys
socketserver.TCPServer.request_queue_size = 64
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
""")


def site(**options):
    port = free_port()
    server = start([PYTHON, SERVER, port, path("www")], **options)
    server.wait_port(port)
    return server, port


def fetch(port, hubs, **options):
    """All files at once; each must be whole. Returns the Result."""
    for number in DIGEST:
        if os.path.exists(path("got%d" % number)):
            os.unlink(path("got%d" % number))
    url = "http://%s:%d/file[1-%d]" % (NAME, port, FILES)
    result = run(["curl", "--disable", "-Z", "--parallel-immediate", "--parallel-max", FILES, "-sS",
                  "--fail", "--noproxy", "*", "-o", path("got#1"), url], hubs, threads=1, **options)
    for number, digest in DIGEST.items():
        with open(path("got%d" % number), "rb") as f:
            got = hashlib.sha256(f.read()).hexdigest()
        check(got == digest, "file", number, "has other content")
    return result


@each_way
def twenty_urls_of_a_name_are_fetched_at_once(hubs):
    server, port = site()
    with server:
        result = fetch(port, hubs, blocked=BLOCKED)
        if hubs is not None:
            check(result.stats["tasks_created"] >= 1, "no resolver thread:", result.stats.text())


@each_way
def a_name_that_nobody_has_is_refused(hubs):
    result = run(["curl", "--disable", "-sS", "http://nobody.weft.test:1/"], hubs, rc=6, threads=1)
    check(b"Could not resolve host" in result.err, result.err)


@each_hubs
def fetching_takes_no_longer(hubs):
    server, port = site(cpus={load_cpu()})
    with server:
        wall_time(hubs, lambda way, cpus: fetch(port, way, cpus=cpus).wall)


main()
