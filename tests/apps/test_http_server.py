#!/usr/bin/python3
"""test_http_server -- `python3 -m http.server': a Python thread for each of 200 downloads"""
import hashlib
import random
import selectors

from app import *
from load import Generator

needs(PYTHON)
SIZES = {"empty": 0, "byte": 1, "64k": 64 << 10, "8m": 8 << 20}
CLIENTS = 200
SMALL = 16384               # receive buffer of a client until all are connected
SIP = 100                   # bytes it reads at a time until then: the 8 MiB stay in the server

os.makedirs(path("www"))
DIGEST = {}
for name, size in SIZES.items():
    data = random.Random(name).randbytes(size)
    DIGEST[name] = hashlib.sha256(data).hexdigest()
    write("www/" + name, data)


def http_server(hubs, **options):
    port = free_port()
    server = start([PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", path("www"),
                    port], hubs, **options)
    server.wait_port(port)
    return server, port


class Download:
    """One client: a request, a header, and the digest of what follows."""

    def __init__(self, port, name):
        self.name, self.head, self.size, self.hash = name, b"", 0, hashlib.sha256()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        self.sock.settimeout(30)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(b"GET /%s HTTP/1.0\r\n\r\n" % name.encode())
        self.body = self.done = False

    def read(self, most):
        """Takes up to `most' bytes; True at the end."""
        data = self.sock.recv(most)
        self.done = not data
        if not self.body:
            self.head += data
            head, gap, data = self.head.partition(b"\r\n\r\n")
            if not gap:
                return self.done
            self.body, self.head = True, head
        self.hash.update(data)
        self.size += len(data)
        return self.done

    def judge(self):
        status = self.head.split(b"\r\n")[0]
        check(status == b"HTTP/1.0 200 OK", self.name, "got", status)
        check(b"Content-Length: %d" % SIZES[self.name] in self.head, self.name, self.head)
        check(self.size == SIZES[self.name], self.name, "has", self.size, "bytes")
        check(self.hash.hexdigest() == DIGEST[self.name], self.name, "has other content")


def download_at_once(port, name):
    """Connects CLIENTS clients, each sipping meanwhile, then lets all read to the end."""
    clients = []
    for _ in range(CLIENTS):
        clients.append(Download(port, name))
        for client in clients[-3:]:         # so that each has begun before the next few connect
            if not client.done:
                client.read(SIP)
    with selectors.DefaultSelector() as ready:
        for client in clients:
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            if not client.done:
                ready.register(client.sock, selectors.EVENT_READ, client)
        while ready.get_map():
            events = ready.select(30)
            check(events, "no bytes for 30 s,", len(ready.get_map()), "downloads unfinished")
            for key, _ in events:
                if key.data.read(1 << 18):
                    ready.unregister(key.data.sock)
    for client in clients:
        client.sock.close()
        client.judge()


@each_way
def two_hundred_downloads_at_once_are_whole(hubs):
    server, port = http_server(hubs, threads=CLIENTS, blocked=BLOCKED, cpus=server_cpus(hubs))
    with server:
        for name in SIZES:
            download_at_once(port, name)
        server.stop(signal.SIGINT)


def downloads(hubs, cpus):
    """400 downloads of 64 KiB, four at a time (the server's backlog is five)."""
    request = b"GET /64k HTTP/1.0\r\n\r\n"
    server, port = http_server(hubs, threads=1, cpus=cpus)
    with server:
        for _ in range(20):
            model = exchange(port, request)
        head = model.index(b"\r\n\r\n") + 4
        with Generator(port, 4, 400, request, model, skip=head, again=True, cpu=load_cpu()) as load:
            result = load_served(server, load)
        server.stop(signal.SIGINT)
    return result


@each_hubs
def downloads_cost_no_more_cpu(hubs):
    served_per_cpu_second(hubs, downloads)


main()
