#!/usr/bin/python3 -B
"""greenlet_create -- greenlet: creation and end of a greenlet that does nothing

One after another; each returns to the main greenlet when it ends. Prints the processor time of one.
"""
import time

from greenlet import greenlet

COUNT = 200000


def nothing():
    pass


def create_and_finish(count):
    for _ in range(count):
        greenlet(nothing).switch()


create_and_finish(1000)
began = time.process_time_ns()
create_and_finish(COUNT)
print("create_join %.10g ns" % ((time.process_time_ns() - began) / COUNT))
