#!/usr/bin/python3 -B
"""asyncio_echo -- asyncio: a TCP echo server with a task for each connection

    asyncio_echo.py ADDRESS PORT

By sock_recv and sock_sendall, which cost less than streams do.
"""
import asyncio
import socket
import sys


async def serve(connection):
    loop = asyncio.get_running_loop()
    with connection:
        while True:
            try:
                data = await loop.sock_recv(connection, 1024)
                if not data:
                    return
                await loop.sock_sendall(connection, data)
            except OSError:
                return


async def main():
    loop, tasks = asyncio.get_running_loop(), set()
    listener = socket.socket()
    listener.setblocking(False)
    listener.bind((sys.argv[1], int(sys.argv[2])))
    listener.listen(4096)
    while True:
        task = loop.create_task(serve((await loop.sock_accept(listener))[0]))
        tasks.add(task)             # the loop itself keeps none of them
        task.add_done_callback(tasks.discard)


asyncio.run(main())
