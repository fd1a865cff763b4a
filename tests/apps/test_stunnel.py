#!/usr/bin/python3
"""test_stunnel -- stunnel4 with a thread per connection, and 500 TLS connections"""
import selectors
import signal
import ssl

from app import *
from load import Echo

needs("stunnel4", "openssl")
BLOCK = 1024

CONFIG = """\
foreground = yes
syslog = no
debug = warning
pid =
[echo]
accept = 127.0.0.1:%d
connect = 127.0.0.1:%d
cert = %s
"""


def make_certificate():
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                           "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                           "/CN=weft.test", "-addext", "subjectAltName=DNS:weft.test",
                           "-keyout", path("key"), "-out", path("cert")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, done.stdout)
    with open(path("key")) as key, open(path("cert")) as cert:
        return write("pem", key.read() + cert.read())


PEM = make_certificate()
CONTEXT = ssl.create_default_context(cafile=path("cert"))


def tunnel(hubs, echo, **options):
    port = free_port()
    config = write("stunnel.conf", CONFIG % (port, echo.port, PEM))
    server = start(["stunnel4", config], hubs, **options)
    server.wait_port(port)
    return server, port


class Client:
    """A TLS connection that sends blocks of its own and compares what comes back."""

    def __init__(self, port, number, rounds):
        plain = socket.create_connection(("127.0.0.1", port), 30)
        plain.setblocking(False)
        self.sock = CONTEXT.wrap_socket(plain, server_hostname="weft.test",
                                        do_handshake_on_connect=False)
        self.number, self.rounds, self.sent, self.got = number, rounds, 0, b""
        self.step = self.greet

    def block(self):
        word = b"%d,%d;" % (self.number, self.sent)
        return (word * (BLOCK // len(word) + 1))[:BLOCK]

    def greet(self):
        self.sock.do_handshake()
        self.step = self.listen

    def ask(self):
        self.sent += 1
        self.got = b""
        check(self.sock.send(self.block()) == BLOCK, "a block was not taken whole")

    def listen(self):
        while len(self.got) < BLOCK:
            piece = self.sock.recv(BLOCK)
            check(piece, "connection", self.number, "was closed")
            self.got += piece
        check(self.got == self.block(), "connection", self.number, "got other bytes")
        if self.sent < self.rounds:
            self.ask()

    def move(self):
        """Goes as far as it can; returns whether it waits to write."""
        try:
            while self.step == self.greet or self.sent and self.got != self.block():
                self.step()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            return True
        return False

    def finished(self):
        return self.sent == self.rounds and len(self.got) == BLOCK


def drive(clients, until):
    """Moves all clients until each says so."""
    with selectors.DefaultSelector() as ready:
        for client in clients:
            client.move()
            if not until(client):
                ready.register(client.sock, selectors.EVENT_READ, client)
        while ready.get_map():
            events = ready.select(30)
            check(events, "nothing for 30 s,", len(ready.get_map()), "connections wait")
            for key, _ in events:
                write_too = selectors.EVENT_WRITE if key.data.move() else 0
                if until(key.data):
                    ready.unregister(key.fileobj)
                else:
                    ready.modify(key.fileobj, selectors.EVENT_READ | write_too, key.data)


def connect(port, count, rounds):
    """Opens `count' connections, fifty handshakes at a time."""
    clients = []
    for begin in range(0, count, 50):
        some = [Client(port, n, rounds) for n in range(begin, min(count, begin + 50))]
        drive(some, lambda c: c.step == c.listen)
        clients += some
    return clients


def converse(clients):
    for client in clients:
        client.ask()
    drive(clients, Client.finished)


@each_way
def five_hundred_tls_connections_carry_their_own_bytes(hubs):
    with Echo() as echo:
        server, port = tunnel(hubs, echo, threads=500, blocked=BLOCKED, cpus=server_cpus(hubs))
        with server:
            clients = connect(port, 500, 4)
            converse(clients)
            for client in clients:
                client.sock.close()
            server.stop(signal.SIGKILL)  # stopped kindly it joins detached threads and may crash, natively as well


def fifty_connections(hubs, cpus):
    """Handshakes and blocks both count as requests: this is what a tunnel does."""
    with Echo(load_cpu()) as echo:
        server, port = tunnel(hubs, echo, threads=50, cpus=cpus)
        with server:
            for client in connect(port, 5, 1):
                client.sock.close()
            before = server.cpu_time()
            clients = connect(port, 50, 60)
            converse(clients)
            spent = server.cpu_time() - before
            for client in clients:
                client.sock.close()
            server.stop(signal.SIGKILL)  # stopped kindly it joins detached threads and may crash, natively as well
    return 50 * 61, spent


@each_hubs
def tunnels_cost_no_more_cpu(hubs):
    served_per_cpu_second(hubs, fifty_connections)


main()
