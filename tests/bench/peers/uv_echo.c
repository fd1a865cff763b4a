/* uv_echo.c -- libuv: a TCP echo server of callbacks
 *
 *   uv_echo [ADDRESS]           takes a free port and prints "port N"
 *
 * As fast as libuv's interface allows: one buffer for all connections, and uv_try_write first,
 * which needs no request; what the socket does not take is copied and queued.
 */
#include "bench.h"
#include <arpa/inet.h>
#include <signal.h>
#include <uv.h>

static char buffer[16384];

static void released(uv_handle_t *handle)
{
	free(handle);
}

static void lend(uv_handle_t *handle, size_t size, uv_buf_t *lent)
{
	*lent = uv_buf_init(buffer, sizeof(buffer));
}

static void written(uv_write_t *request, int status)
{
	free(request);
}

static void echo(uv_stream_t *stream, ssize_t got, const uv_buf_t *lent)
{
	uv_buf_t data = uv_buf_init(lent->base, got > 0 ? got : 0);
	uv_write_t *request;
	int sent;

	if (got < 0)
		uv_close((uv_handle_t *)stream, released);
	if (got <= 0 || (sent = uv_try_write(stream, &data, 1)) == got)
		return;
	if (sent < 0)
		sent = 0; /* uv_write and the next read tell what it was */
	request = malloc(sizeof(*request) + got - sent);
	bench_check(request ? 0 : ENOMEM, "malloc");
	data = uv_buf_init((char *)(request + 1), got - sent);
	memcpy(data.base, lent->base + sent, got - sent);
	if (uv_write(request, stream, &data, 1, written))
		free(request);
}

static void greet(uv_stream_t *listener, int status)
{
	uv_tcp_t *connection = malloc(sizeof(*connection));

	bench_check(connection ? -status : ENOMEM, "accept");
	uv_tcp_init(listener->loop, connection);
	bench_check(-uv_accept(listener, (uv_stream_t *)connection), "uv_accept");
	uv_read_start((uv_stream_t *)connection, lend, echo);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;
	int size = sizeof(at);
	uv_tcp_t listener;

	signal(SIGPIPE, SIG_IGN);
	uv_tcp_init(uv_default_loop(), &listener);
	uv_ip4_addr(argc > 1 ? argv[1] : "127.0.0.1", 0, &at);
	uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
	bench_check(-uv_listen((uv_stream_t *)&listener, 4096, greet), "uv_listen");
	uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &size);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
