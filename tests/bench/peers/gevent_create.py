#!/usr/bin/python3 -B
"""gevent_create -- gevent: spawn and join of a greenlet that does nothing

One after another. Prints the processor time of one.
"""
import time

import gevent

COUNT = 30000


def nothing():
    pass


def create_and_join(count):
    for _ in range(count):
        gevent.spawn(nothing).join()


create_and_join(1000)
began = time.process_time_ns()
create_and_join(COUNT)
print("create_join %.10g ns" % ((time.process_time_ns() - began) / COUNT))
