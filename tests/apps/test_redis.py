#!/usr/bin/python3
"""test_redis -- redis-server with two I/O threads, which spin for each other between requests"""
import threading

from app import *

needs("redis-server", "redis-benchmark", "taskset")
CLIENTS, KEYS = 20, 30
SLOWER = 3                  # × native's wall time for redis-benchmark


def redis(hubs, **options):
    port = free_port()
    argv = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", SCRATCH, "--save", "",
            "--appendonly", "no", "--io-threads", 2, "--io-threads-do-reads", "yes"]
    server = start(argv, hubs, threads=1, timeout=120, **options)
    server.wait_port(port)
    return server, port


class Client:
    """A connection that speaks RESP."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("rwb")

    def send(self, *words):
        self.file.write(b"*%d\r\n" % len(words))
        for word in words:
            self.file.write(b"$%d\r\n%s\r\n" % (len(word), word))

    def answer(self):
        self.file.flush()
        line = self.file.readline()
        check(line[:1] in b"+:$" and line.endswith(b"\r\n"), "redis answered", line)
        if line[:1] != b"$":
            return line[1:-2]
        return self.file.read(int(line[1:]) + 2)[:-2]

    def close(self):
        self.file.close()
        self.sock.close()


def value_of(client, key):
    return (b"%d.%d " % (client, key)) * (1 + 37 * key % 400)


def store_and_fetch(port):
    """Twenty clients at once store their keys in pipelines; then each fetches another one's."""
    stored, errors = threading.Barrier(CLIENTS, timeout=60), []

    def work(me):
        try:
            client = Client(port)
            for key in range(KEYS):
                client.send(b"SET", b"%d.%d" % (me, key), value_of(me, key))
            for key in range(KEYS):
                check(client.answer() == b"OK", "a SET was refused")
            stored.wait()
            other = (me + 1) % CLIENTS
            for key in range(KEYS):
                client.send(b"GET", b"%d.%d" % (other, key))
                check(client.answer() == value_of(other, key), "key %d.%d differs" % (other, key))
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


def benchmark(port):
    """redis-benchmark natively on the last CPU; returns its wall time."""
    result = run(["redis-benchmark", "-p", port, "-n", 20000, "-t", "set,get", "--csv"],
                 cpus={load_cpu()}, timeout=90)
    names = [line.split(b",")[0] for line in result.out.splitlines()]
    check(names[-2:] == [b'"SET"', b'"GET"'], "redis-benchmark printed", result.out, result.err)
    return result.wall


@each_way
def what_was_set_is_got(hubs):
    server, port = redis(hubs, blocked=BLOCKED)
    with server:
        store_and_fetch(port)
        server.stop()


@each_way
def a_snapshot_forked_under_load_holds_everything(hubs):
    """BGSAVE forks while the I/O threads run; a new server loads what the child wrote."""
    server, port = redis(hubs)
    with server:
        store_and_fetch(port)
        client = Client(port)
        client.send(b"BGSAVE")
        check(client.answer() == b"Background saving started", "no BGSAVE")
        store_and_fetch(port)

        def saved():
            client.send(b"INFO", b"persistence")
            return b"rdb_bgsave_in_progress:0" in client.answer()
        harness.wait_for(saved, 20, "the snapshot")
        client.send(b"INFO", b"persistence")
        check(b"rdb_last_bgsave_status:ok" in client.answer(), "BGSAVE failed")
        client.close()
        server.stop()
    server, port = redis(hubs)
    with server:
        client = Client(port)
        client.send(b"DBSIZE")
        check(client.answer() == b"%d" % (CLIENTS * KEYS), "keys are missing in the snapshot")
        client.close()
        server.stop()
    os.unlink(path("dump.rdb"))


def benchmarked(hubs, cpus):
    server, port = redis(hubs, cpus=cpus)
    with server:
        seconds = benchmark(port)
        server.stop()
    return seconds


@each_hubs
def a_benchmark_takes_at_most_three_times_as_long(hubs):
    """One pair with one hub: natively the I/O threads spin away 12 s, and 3 is a coarse limit."""
    wall_time(hubs, benchmarked, SLOWER, 1 if hubs == 1 else 3)


main(240)
