#!/usr/bin/python3 -B
"""gevent_echo -- gevent: a TCP echo server with a greenlet for each connection

    gevent_echo.py ADDRESS PORT
"""
import sys

import gevent
from gevent import socket


def serve(connection):
    with connection:
        receive, send = connection.recv, connection.sendall
        while True:
            try:
                data = receive(1024)
                if not data:
                    return
                send(data)
            except OSError:
                return


listener = socket.socket()
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen(4096)
while True:
    gevent.spawn(serve, listener.accept()[0])
