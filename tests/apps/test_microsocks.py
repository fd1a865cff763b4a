#!/usr/bin/python3
"""test_microsocks -- a SOCKS5 proxy with a thread per connection, and 1 000 connections"""
from app import *
from load import Echo, Generator

needs("microsocks")
BLOCK = bytes(range(256)) * 4


def proxy(hubs, **options):
    port = free_port()
    server = start(["microsocks", "-i", "127.0.0.1", "-p", port], hubs, **options)
    server.wait_port(port)
    return server, port


@each_way
def a_thousand_connections_carry_their_own_bytes(hubs):
    server, port = proxy(hubs, threads=1000, blocked=BLOCKED, cpus=server_cpus(hubs))
    with server, Echo() as echo:
        with Generator(port, 1000, 60000, BLOCK, BLOCK, socks=echo.port, stamp=True) as load:
            load.go()
        server.stop()


def fifty_connections(hubs, cpus):
    server, port = proxy(hubs, threads=50, cpus=cpus)
    with server, Echo(load_cpu()) as echo:
        with Generator(port, 50, 8000, BLOCK, BLOCK, socks=echo.port, stamp=True,
                       cpu=load_cpu()) as load:
            result = load_served(server, load)
        server.stop()
    return result


@each_hubs
def echoes_cost_no_more_cpu(hubs):
    served_per_cpu_second(hubs, fifty_connections)


main()
