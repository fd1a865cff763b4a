#!/usr/bin/python3
"""test_crawler -- a Python crawler of 64 threads against `python3 -m http.server'"""
import hashlib
import random

from app import *

needs(PYTHON)
THREADS = 64
PAGES = 400

# The program under test: it prints a line for each page, path and digest, in order.
CRAWLER = write("crawler.py", r"""
import hashlib, queue, re, sys, threading, urllib.request

base, count = sys.argv[1], int(sys.argv[2])
todo, seen, lock = queue.Queue(), {"/index.html"}, threading.Lock()
found, started = {}, threading.Barrier(count)

def work():
    started.wait()
    while True:
        path = todo.get()
        if path is None:
            return
        try:
            with urllib.request.urlopen(base + path, timeout=60) as reply:
                page = reply.read()
            found[path] = hashlib.sha256(page).hexdigest()
            for link in re.findall(rb'href="([^"]+)"', page):
                link = link.decode()
                with lock:
                    if link in seen:
                        continue
                    seen.add(link)
                todo.put(link)
        except Exception as e:
            found[path] = repr(e)
        finally:
            todo.task_done()

threads = [threading.Thread(target=work) for _ in range(count)]
todo.put("/index.html")
for t in threads:
    t.start()
todo.join()
for t in threads:
    todo.put(None)
for t in threads:
    t.join()
for path in sorted(found):
    print(path, found[path])
""")

# http.server with room for 64 callers at once: its backlog of 5 makes clients repeat their SYN.
SERVER = write("server.py", r"""
import functools, http.server, socketserver, sys
socketserver.TCPServer.request_queue_size = 256
http.server.SimpleHTTPRequestHandler.log_message = lambda *_: None
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
""")


def make_site():
    """A tree of pages, each linking to three more and to the first; returns what is to be found."""
    os.makedirs(path("site"))
    expected, choice = [], random.Random(1)
    for n in range(PAGES):
        name = "/page%d.html" % n if n else "/index.html"
        links = ["/page%d.html" % k for k in range(3 * n + 1, 3 * n + 4) if k < PAGES]
        page = "".join('<a href="%s">there</a>\n' % k for k in links + ["/index.html"])
        page += choice.randbytes(choice.randrange(100, 20000)).hex()
        write("site" + name, page)
        expected.append("%s %s\n" % (name, hashlib.sha256(page.encode()).hexdigest()))
    return "".join(sorted(expected))


EXPECTED = make_site()


def crawl(port, hubs, **options):
    argv = [PYTHON, CRAWLER, "http://127.0.0.1:%d" % port, THREADS]
    result = run(argv, hubs, threads=THREADS, **options)
    check(result.out.decode() == EXPECTED, "the crawler found something else:\n" + result.text())
    return result.wall


@each_way
def every_page_is_found_whole(hubs):
    port = free_port()
    with start([PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", path("site"),
                port], hubs, threads=1, blocked=BLOCKED) as server:
        server.wait_port(port)
        crawl(port, hubs, blocked=BLOCKED)
        server.stop(signal.SIGINT)


@each_hubs
def crawling_takes_no_longer(hubs):
    port = free_port()
    with start([PYTHON, SERVER, port, path("site")], cpus={load_cpu()}) as server:
        server.wait_port(port)
        wall_time(hubs, lambda way, cpus: crawl(port, way, cpus=cpus))


main()
