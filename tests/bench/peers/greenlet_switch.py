#!/usr/bin/python3 -B
"""greenlet_switch -- greenlet: one switch between two greenlets that name each other

There is no scheduler: who switches says to whom. A round is two switches; prints the processor time
of one.
"""
import time

from greenlet import getcurrent, greenlet

ROUNDS = 300000


def answer():
    switch = main.switch
    while True:
        switch()


main = getcurrent()
there = greenlet(answer).switch
there()
began = time.process_time_ns()
for _ in range(ROUNDS):
    there()
print("switch %.10g ns" % ((time.process_time_ns() - began) / (2 * ROUNDS)))
