/* uv_echo.c -- libuv: a TCP echo server of callbacks
 *
 *   uv_echo ADDRESS PORT
 *
 * As fast as libuv's interface allows: one buffer for all connections, and uv_try_write first,
 * which needs no request; what the socket does not take is copied and queued.
 */
#include "bench.h"
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
	uv_tcp_t listener;

	uv_tcp_init(uv_default_loop(), &listener);
	bench_check(-uv_tcp_open(&listener, bench_listen(argc, argv, SOCK_NONBLOCK)), "uv_tcp_open");
	bench_check(-uv_listen((uv_stream_t *)&listener, 4096, greet), "uv_listen");
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
