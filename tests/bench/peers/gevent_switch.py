#!/usr/bin/python3 -B
"""gevent_switch -- gevent: one switch between two greenlets that yield by sleep(0)

Each goes by way of the hub, which makes it two switches of greenlet. Prints the processor time for
one sleep(0) of either.
"""
import time

import gevent

ROUNDS = 50000


def pause(times):
    sleep = gevent.sleep
    for _ in range(times):
        sleep(0)


def both(rounds):
    """Nanoseconds of two greenlets with so many rounds each."""
    began = time.process_time_ns()
    gevent.joinall([gevent.spawn(pause, rounds) for _ in range(2)])
    return time.process_time_ns() - began


both(1000)
print("switch %.10g ns" % (both(ROUNDS) / (2 * ROUNDS)))
