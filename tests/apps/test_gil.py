#!/usr/bin/python3
"""test_gil -- Python threads that sleep beside one that never does, and a connection to them

Each of ten threads in time.sleep(0.1) makes at least 90 rounds in 10 s (natively about 95), and of
an echo connection the 99th percentile is at most 40 ms: who is due gets the interpreter's lock.
"""
import select
import statistics
import time

from app import *

needs(PYTHON)
SECONDS = 10
ROUNDS = 90
SLEEPERS = 10
EVERY = 0.02                # s between two blocks on the connection, answered or not
SLOWEST = 0.040             # s, 99th percentile

PROGRAM = write("program.py", r"""
import socket, sys, threading, time

seconds, count = float(sys.argv[1]), int(sys.argv[2])
rounds, begin = [0] * count, threading.Event()
listener = socket.create_server(("127.0.0.1", 0))

def busy():
    begin.wait()
    while True:
        pass

def sleeper(me):
    begin.wait()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
        rounds[me] += 1

def echo(connection):
    # An answer must not wait for the other side to acknowledge the one before it.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(4096):
        connection.sendall(data)

threads = [threading.Thread(target=sleeper, args=(n,)) for n in range(count)]
for t in threads:
    t.start()
threading.Thread(target=busy, daemon=True).start()
print(listener.getsockname()[1], flush=True)
threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
begin.set()
for t in threads:
    t.join()
print(*rounds, flush=True)
""")


def ping(port):
    """Sends a block every EVERY seconds, whether or not the one before came back, and compares.

    Returns the times from the intended start of each to its answer, sorted.
    """
    count, sent, got, times = int((SECONDS - 1) / EVERY), 0, b"", []
    blocks = b"".join(b"%08d" % n for n in range(count))
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.monotonic()
        while len(times) < count:
            due = begin + sent * EVERY if sent < count else begin + SECONDS
            if select.select([s], [], [], max(0, due - time.monotonic()))[0]:
                piece = s.recv(65536)
                check(piece, "the connection was closed")
                got += piece
                now = time.monotonic()
                times += [now - begin - n * EVERY for n in range(len(times), len(got) // 8)]
            elif sent < count:
                s.sendall(blocks[8 * sent:8 * sent + 8])
                sent += 1
            else:
                raise Failure("%d of %d blocks came back" % (len(times), count))
    check(got == blocks, "other bytes came back")
    return sorted(times)


def measure(hubs):
    """One run. Returns (fewest rounds of a sleeper, 99th percentile in s)."""
    program = start([PYTHON, PROGRAM, SECONDS, SLEEPERS], hubs, threads=SLEEPERS + 2,
                    cpus=server_cpus(hubs))
    with program:
        port = int(program.wait_output(r"^(\d+)\n").group(1))
        times = ping(port)
        result = program.wait()
    rounds = [int(n) for n in result.out.split()[1:]]
    check(len(rounds) == SLEEPERS, "rounds:", rounds)
    p99 = times[int(len(times) * 0.99)]
    print("     %s: rounds %d … %d, echo p50 %.1f ms, p99 %.1f ms" % (
        harness.way_name(hubs), min(rounds), max(rounds), times[len(times) // 2] * 1e3, p99 * 1e3))
    return min(rounds), p99


def middle(runs):
    """The median of the rounds and that of the percentiles."""
    return [statistics.median_low(run[i] for run in runs) for i in range(2)]


@each_way
def sleepers_and_a_connection_stay_alive_beside_a_busy_thread(hubs):
    ours, native = [measure(hubs)], []
    (rounds, p99), fewest, slowest = ours[0], ROUNDS, SLOWEST
    # On a machine busy with other things native misses the limits as well: then that counts. One stall of the machine is
    # enough for a run to miss them, so the middle one of three, or of five, is judged then, each beside one of native.
    while hubs is not None and (rounds < fewest or p99 > slowest) and len(native) < 5:
        native += [measure(None)] if not native else [measure(None), measure(None)]
        ours += [measure(hubs) for _ in range(len(native) - len(ours))]
        rounds, p99 = middle(ours)
        native_rounds, native_p99 = middle(native)
        fewest, slowest = min(ROUNDS, native_rounds), max(SLOWEST, native_p99)
    if hubs is not None:
        check(rounds >= fewest, "a sleeper made %d rounds, %d wanted" % (rounds, fewest))
        check(p99 <= slowest, "99th percentile %.1f ms, %.1f wanted" % (p99 * 1e3, slowest * 1e3))


main(420)
