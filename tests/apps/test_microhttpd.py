#!/usr/bin/python3
"""test_microhttpd -- a libmicrohttpd server of fifteen lines, a thread for each of 200 connections

The library waits in select() or in poll(), as the program asks; both are run.
"""
from app import *
from load import Generator

needs("gcc", "microhttpd.h")
CONNECTIONS = 200

SOURCE = r"""
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[1001];
static int seen;

static enum MHD_Result answer(void *data, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *size, void **state)
{
	struct MHD_Response *r;
	enum MHD_Result done;

	if (!*state)		/* the header alone: an answer now would end the connection */
		return *state = &seen, MHD_YES;
	r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	done = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return done;
}

int main(int argc, char **argv)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD;

	flags |= strcmp(argv[2], "poll") ? 0 : MHD_USE_POLL;
	for (int i = 0; i < 250; i++)
		sprintf(text + 4 * i, "%04d", i);
	if (!MHD_start_daemon(flags, atoi(argv[1]), NULL, NULL, answer, NULL, MHD_OPTION_END))
		return 1;
	return getchar() == 'q' ? 0 : 2;
}
"""
PROGRAM = compile("microhttpd", SOURCE, "-lmicrohttpd")
TEXT = b"".join(b"%04d" % n for n in range(250))
REQUEST = b"GET /text HTTP/1.1\r\nHost: weft.test\r\n\r\n"


def http_server(hubs, way, **options):
    """Starts the server. Returns it, its port, and a pipe: a byte there ends it."""
    port = free_port()
    reader, writer = os.pipe()
    server = start([PROGRAM, port, way], hubs, stdin=reader, **options)
    os.close(reader)
    server.wait_port(port)
    return server, port, writer


def finish(server, writer):
    """Ends the server by its own way out: it joins nothing and returns from main."""
    os.write(writer, b"q")
    os.close(writer)
    server.wait()


def model_answer(port):
    """One answer, to compare the others with, and the size of its header, which holds a date."""
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(REQUEST)
        model = b""
        while TEXT not in model:
            piece = s.recv(65536)
            check(piece, "no whole answer:", model)
            model += piece
    check(model.startswith(b"HTTP/1.1 200 OK\r\n"), model)
    return model, model.index(b"\r\n\r\n") + 4


def talk(hubs, way, conns, total, threads, cpus, **options):
    server, port, writer = http_server(hubs, way, threads=threads, cpus=cpus, **options)
    with server:
        model, head = model_answer(port)
        with Generator(port, conns, total, REQUEST, model, skip=head, cpu=load_cpu()) as load:
            result = load_served(server, load)
        finish(server, writer)
    return result


@each_way
def two_hundred_connections_by_select(hubs):
    talk(hubs, "select", CONNECTIONS, 100000, CONNECTIONS, server_cpus(hubs), blocked=BLOCKED)


@each_way
def two_hundred_connections_by_poll(hubs):
    talk(hubs, "poll", CONNECTIONS, 100000, CONNECTIONS, server_cpus(hubs), blocked=BLOCKED)


@each_hubs
def answers_cost_no_more_cpu(hubs):
    served_per_cpu_second(hubs, lambda way, cpus: talk(way, "select", 50, 20000, 50, cpus))


main()
