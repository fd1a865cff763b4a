#!/usr/bin/python3
"""test_memcached -- memcached with four workers: what was set is what is got, by all connections"""
import threading

from app import *
from load import Generator

needs("memcached")
WORKERS = 4
CLIENTS, KEYS = 20, 100


def memcached(hubs, user="root", threads=WORKERS, **options):
    port = free_port()
    argv = ["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", WORKERS, "-m", 64]
    server = start(argv + (["-u", user] if os.geteuid() == 0 else []), hubs, threads=threads,
                   **options)
    server.wait_port(port)
    return server, port


def value_of(client, key):
    return (b"%d.%d " % (client, key)) * (1 + 37 * key % 400)


class Client:
    """A connection that speaks memcached's text protocol."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("rwb")

    def set(self, key, value):
        self.file.write(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
        self.file.flush()
        answer = self.file.readline()
        check(answer == b"STORED\r\n", key, "was answered", answer)

    def get(self, key):
        self.file.write(b"get %s\r\n" % key)
        self.file.flush()
        head = self.file.readline().split()
        check(head[:2] == [b"VALUE", key], key, "was answered", head)
        value = self.file.read(int(head[3]))
        check(self.file.readline() + self.file.readline() == b"\r\nEND\r\n", "no end of", key)
        return value

    def close(self):
        self.file.close()
        self.sock.close()


def store_and_fetch(port):
    """Twenty clients at once store their keys; then each fetches the keys of another one."""
    stored, errors = threading.Barrier(CLIENTS, timeout=60), []

    def work(me):
        try:
            client = Client(port)
            for key in range(KEYS):
                client.set(b"%d.%d" % (me, key), value_of(me, key))
            stored.wait()
            other = (me + 1) % CLIENTS
            for key in range(KEYS):
                got = client.get(b"%d.%d" % (other, key))
                check(got == value_of(other, key), "key %d.%d has other content" % (other, key))
            client.close()
        except Exception as e:
            errors.append(e)
            stored.abort()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@each_way
def what_was_set_is_got(hubs):
    server, port = memcached(hubs, blocked=BLOCKED)
    with server:
        store_and_fetch(port)
        server.stop()


@each_way
def what_was_set_is_got_after_it_dropped_root(hubs):
    if os.geteuid() != 0:
        return
    # Its text may be out of reach then: under Weft or natively, but it works.
    server, port = memcached(hubs, "nobody", threads=0, env={"WEFT_REQUIRE": None})
    with server:
        store_and_fetch(port)
        server.stop()


def fifty_connections(hubs, cpus):
    server, port = memcached(hubs, cpus=cpus)
    with server:
        client = Client(port)
        client.set(b"key", b"x" * 1000)
        client.close()
        answer = b"VALUE key 0 1000\r\n" + b"x" * 1000 + b"\r\nEND\r\n"
        with Generator(port, 50, 40000, b"get key\r\n", answer, cpu=load_cpu()) as load:
            result = load_served(server, load)
        server.stop(signal.SIGKILL)         # SIGTERM takes it a second
    return result


@each_hubs
def gets_cost_no_more_cpu(hubs):
    served_per_cpu_second(hubs, fifty_connections)


main()
