/* pages.c -- an HTTP server that is the limit of a load, not the load itself
 *
 * Takes a free port and prints "port N"; ends with standard input. Answers any path with the same
 * 1 000 bytes, a thread for each connection, and computes some 50 us for each. One that is as fast as
 * its load would not do to compare loads by their rates: it has to wake the better load, which sleeps
 * more often, and that makes it slower.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

static char text[1001];
static int seen;

static enum MHD_Result answer(void *data, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *size, void **state)
{
	struct MHD_Response *r;
	enum MHD_Result done;

	if (!*state)
		return *state = &seen, MHD_YES;
	for (volatile int i = 0; i < 20000; i++)
		;
	r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	done = MHD_queue_response(c, MHD_HTTP_OK, r);
	MHD_destroy_response(r);
	return done;
}

int main(void)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
			 MHD_USE_POLL;
	struct MHD_Daemon *daemon;

	memset(text, 'x', 1000);
	daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, NULL, MHD_OPTION_END);
	if (!daemon)
		return 1;
	printf("port %d\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	return getchar() == 'q';
}
