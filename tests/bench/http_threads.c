/* http_threads.c -- an HTTP server with a thread for each connection, by libmicrohttpd
 *
 *   http_threads PORT       on 127.0.0.1; answers any path with the same 1 000 bytes
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *page;

/* It is called with the headers, and again when the request is complete; an answer to the first call closes the connection. */
static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *data, size_t *size, void **own)
{
	if (!*own)
		return *own = page, MHD_YES;
	return MHD_queue_response(connection, MHD_HTTP_OK, page);
}

int main(int argc, char **argv)
{
	static char text[1000];
	uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 0;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;

	memset(text, 'x', sizeof(text));
	page = MHD_create_response_from_buffer(sizeof(text), text, MHD_RESPMEM_PERSISTENT);
	if (!page || !MHD_start_daemon(flags, port, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_END))
		return perror("MHD_start_daemon"), 1;
	for (;;)
		pause();
}
