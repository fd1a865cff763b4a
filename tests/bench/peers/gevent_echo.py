"""gevent_echo -- gevent: a TCP echo server with a greenlet for each connection

    gevent_echo.py [ADDRESS]        takes a free port and prints "port N"
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
listener.bind((sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1", 0))
listener.listen(4096)
print("port", listener.getsockname()[1], flush=True)
while True:
    gevent.spawn(serve, listener.accept()[0])
